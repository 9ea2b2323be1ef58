//! Times as SMPP writes them: [`minute`] for receipts, [`absolute`] for `final_date`; [`read`] takes what peers write. All are
//! nanoseconds since 1970.

/// `YYMMDDhhmm`, as in appendix B.
pub fn minute(nanos: i64) -> String {
    parts(nanos)[..5].iter().map(|part| format!("{part:02}")).collect()
}

/// `YYMMDDhhmmsstnnp` of section 7.1.1, in UTC.
pub fn absolute(nanos: i64) -> String {
    let tenths = nanos.rem_euclid(1_000_000_000) / 100_000_000;
    parts(nanos).iter().map(|part| format!("{part:02}")).collect::<String>() + &format!("{tenths}00+")
}

/// An absolute or relative time in the format of section 7.1.1; `Ok(None)` where it is empty.
///
/// # Errors
/// It has another format, or is a date that there is not.
pub fn read(text: &str, now: i64) -> Result<Option<i64>, NoTime> {
    let bytes = text.as_bytes();
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.len() != 16 || !bytes[..15].iter().all(u8::is_ascii_digit) {
        return Err(NoTime);
    }
    let two = |at: usize| i64::from(bytes[at] - b'0') * 10 + i64::from(bytes[at + 1] - b'0');
    let [year, month, day, hour, minute, second] = [0, 2, 4, 6, 8, 10].map(two);
    let (tenths, quarters) = (i64::from(bytes[12] - b'0'), two(13));
    let of_day = hour * 3600 + minute * 60 + second;
    if bytes[15] == b'R' {
        // How long a month or a year is, the specification leaves open.
        let days = year * 365 + month * 30 + day;
        return Ok(Some(now.saturating_add((days * 86_400 + of_day) * 1_000_000_000)));
    }
    let sign = match bytes[15] {
        b'+' => 1,
        b'-' => -1,
        _ => return Err(NoTime),
    };
    let fits = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    if !fits || quarters > 48 {
        return Err(NoTime);
    }
    // A time east of Greenwich is ahead of UTC.
    let seconds = days(2000 + year, month, day) * 86_400 + of_day - sign * quarters * 900;
    Ok(Some(seconds * 1_000_000_000 + tenths * 100_000_000))
}

/// It is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTime;

/// Days since 1970 of a date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // A year begins in March here, so that the leap day is its last.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_specification_says() {
        let noon = 1_767_268_800_000_000_000;
        assert_eq!((minute(noon).as_str(), absolute(noon).as_str()), ("2601011200", "260101120000000+"));
        assert_eq!(minute(951_782_400_000_000_000), "0002290000");
    }

    #[test]
    fn times_are_read_as_the_specification_says() {
        let (noon, second) = (1_767_268_800_000_000_000, 1_000_000_000);
        let at = |text: &str| read(text, noon);
        assert_eq!(at(""), Ok(None));
        assert_eq!(at("260101120000000+"), Ok(Some(noon)));
        assert_eq!(at("260101130000504+"), Ok(Some(noon + second / 2)), "an hour east of Greenwich");
        assert_eq!(at("260101110000004-"), Ok(Some(noon)));
        assert_eq!(at("000000000130000R"), Ok(Some(noon + 90 * second)));
        assert_eq!(at("000002000000000R"), Ok(Some(noon + 2 * 86_400 * second)));
        assert_eq!(at("000229000000000+"), Ok(Some(951_782_400_000_000_000)));
        for text in ["tomorrow", "260101120000000", "261301120000000+", "260132120000000+", "260101240000000+"] {
            assert_eq!(at(text), Err(NoTime), "{text}");
        }
        for day in 0..36_525 {
            let time = (946_684_800 + day * 86_400) * second;
            assert_eq!(at(&absolute(time)), Ok(Some(time)), "{time}");
        }
    }
}
