//! Times as SMPP writes them: [`minute`] for receipts, [`absolute`] for `final_date`; [`is_time`] checks what peers write.

use tandem_component::Time;

/// `YYMMDDhhmm`, as in appendix B.
pub(crate) fn minute(nanos: i64) -> String {
    parts(nanos)[..5].iter().map(|part| format!("{part:02}")).collect()
}

/// `YYMMDDhhmmsstnnp` of section 7.1.1, in UTC.
pub(crate) fn absolute(nanos: i64) -> String {
    let tenths = nanos.rem_euclid(1_000_000_000) / 100_000_000;
    parts(nanos).iter().map(|part| format!("{part:02}")).collect::<String>() + &format!("{tenths}00+")
}

/// Whether it is empty, absolute or relative in the format of section 7.1.1.
pub(crate) fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.is_empty()
        || bytes.len() == 16 && bytes[..15].iter().all(u8::is_ascii_digit) && matches!(bytes[15], b'+' | b'-' | b'R')
}

fn parts(nanos: i64) -> [i64; 6] {
    let seconds = nanos.div_euclid(1_000_000_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days since 0000-03-01, so that the leap day is a year's last.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (of_month, month) = (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = era * 400 + year + i64::from(month <= 2);
    [year.rem_euclid(100), month, of_month, second / 3600, second / 60 % 60, second % 60]
}

/// Seconds since 1970.
pub(crate) fn seconds(time: Time) -> u64 {
    time.nanos() / 1_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_specification_says() {
        let noon = 1_767_268_800_000_000_000;
        assert_eq!((minute(noon).as_str(), absolute(noon).as_str()), ("2601011200", "260101120000000+"));
        assert_eq!(minute(951_782_400_000_000_000), "0002290000");
        assert!(is_time("") && is_time("260101120000000+") && is_time("000002000000000R") && !is_time("tomorrow"));
    }
}
