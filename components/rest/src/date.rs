//! Times in their formats: RFC 3339 for applications, section 7.1.1 of SMPP for messages.

use tandem_component::Time;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Reads RFC 3339. `None`: it is none, or before 1970.
pub(crate) fn read(text: &str) -> Option<Time> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(at.unix_timestamp_nanos()).ok().map(Time::from_nanos)
}

/// Writes RFC 3339, in UTC and to the millisecond where there are any.
pub(crate) fn write(millis: u64) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok();
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
}

/// `YYMMDDhhmmsstnnp`, absolute and in UTC. `None`: the year is not of this century, which is all that the format has.
pub(crate) fn absolute(at: Time) -> Option<String> {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.nanos())).ok()?;
    let year = at.year().checked_sub(2000).filter(|year| (0..100).contains(year))?;
    let (month, day) = (u8::from(at.month()), at.day());
    let (hour, minute, second) = at.to_hms();
    Some(format!("{year:02}{month:02}{day:02}{hour:02}{minute:02}{second:02}{}00+", at.nanosecond() / 100_000_000))
}

/// Milliseconds since 1970.
pub(crate) fn millis(at: Time) -> u64 {
    at.nanos() / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        let noon = read("2026-01-01T13:00:00.25+01:00").unwrap();
        assert_eq!(write(millis(noon)), "2026-01-01T12:00:00.25Z");
        assert_eq!(absolute(noon).unwrap(), "260101120000200+");
        assert_eq!(write(0), "1970-01-01T00:00:00Z");
        for wrong in ["", "2026-01-01", "2026-01-01T12:00:00", "2026-13-01T12:00:00Z", "1969-01-01T00:00:00Z", "now"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(absolute(read("2100-01-01T00:00:00Z").unwrap()), None);
    }
}
