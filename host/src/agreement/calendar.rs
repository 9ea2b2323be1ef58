//! When the windows of quotas begin and end, and the hours of a day: in UTC, by the proleptic Gregorian calendar.

use std::fmt;

use serde::Deserialize;
use tandem_component::Limit;

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// What a quota is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    /// Of the clock.
    Minute,
    /// Of the clock.
    Hour,
    /// From midnight on.
    Day,
    /// From midnight of the first on.
    Month,
}

impl Period {
    /// All of them, by the place that each has where there is one of each.
    pub const ALL: [Period; 4] = [Period::Minute, Period::Hour, Period::Day, Period::Month];

    /// The window that a moment is in: its beginning, and the next one's.
    pub fn window(self, at: u64) -> (u64, u64) {
        let of = |length: u64| (at - at % length, (at - at % length).saturating_add(length));
        match self {
            Period::Minute => of(MINUTE),
            Period::Hour => of(HOUR),
            Period::Day => of(DAY),
            Period::Month => {
                let (year, month) = month_of(at / DAY);
                let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                (first_day(year, month) * DAY, first_day(next.0, next.1) * DAY)
            }
        }
    }

    /// The limit that it is.
    pub fn limit(self) -> Limit {
        match self {
            Period::Minute => Limit::Minute,
            Period::Hour => Limit::Hour,
            Period::Day => Limit::Day,
            Period::Month => Limit::Month,
        }
    }
}

/// The year and the month of a day since 1970. After Howard Hinnant: years that begin in March end with the day that some have.
fn month_of(day: u64) -> (u64, u64) {
    let day = day + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    match month {
        0..10 => (400 * era + year, month + 3),
        _ => (400 * era + year + 1, month - 9),
    }
}

/// The first day of a month, since 1970.
fn first_day(year: u64, month: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year) = (year / 400, year % 400);
    era * 146_097 + 365 * year + year / 4 - year / 100 + (153 * month + 2) / 5 - 719_468
}

/// The hours of a day: `08:00-20:00`. Over midnight where the second is earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Hours {
    from: u64,
    to: u64,
}

impl Hours {
    /// Until when it is open, or else when it opens.
    ///
    /// # Errors
    /// It is closed until then.
    pub fn open_until(self, at: u64) -> Result<u64, u64> {
        let time = at % DAY;
        let next = |of: u64| at + if of > time { of - time } else { of + DAY - time };
        let open = if self.from < self.to {
            (self.from..self.to).contains(&time)
        } else {
            time >= self.from || time < self.to
        };
        if open { Ok(next(self.to)) } else { Err(next(self.from)) }
    }
}

impl TryFrom<String> for Hours {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let time = |text: &str| {
            let (hours, minutes) = text.trim().split_once(':')?;
            let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            if !digits(hours) || !digits(minutes) {
                return None;
            }
            let (hours, minutes): (u64, u64) = (hours.parse().ok()?, minutes.parse().ok()?);
            (hours < 24 && minutes < 60 || (hours, minutes) == (24, 0)).then_some(hours * HOUR + minutes * MINUTE)
        };
        let hours = text.split_once('-').and_then(|(from, to)| Some(Hours { from: time(from)?, to: time(to)? }));
        hours
            .filter(|hours| hours.from % DAY != hours.to % DAY)
            .ok_or_else(|| format!("`{text}` are no hours of a day; write 08:00-20:00, in UTC"))
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |at: u64| (at / HOUR, at % HOUR / MINUTE);
        let ((from, past), (to, and)) = (time(self.from), time(self.to));
        write!(f, "{from:02}:{past:02}-{to:02}:{and:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> u64 {
        let time = humantime::parse_rfc3339(text).unwrap();
        u64::try_from(time.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()).unwrap()
    }

    #[test]
    fn windows_begin_and_end_where_the_calendar_says() {
        let rows = [
            (Period::Minute, "2026-03-01T10:20:59.999999999Z", "2026-03-01T10:20:00Z", "2026-03-01T10:21:00Z"),
            (Period::Hour, "2026-12-31T23:00:00Z", "2026-12-31T23:00:00Z", "2027-01-01T00:00:00Z"),
            (Period::Day, "2026-06-30T23:59:59.999999999Z", "2026-06-30T00:00:00Z", "2026-07-01T00:00:00Z"),
            (Period::Day, "2026-07-01T00:00:00Z", "2026-07-01T00:00:00Z", "2026-07-02T00:00:00Z"),
            (Period::Month, "2026-12-31T23:59:59.999999999Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            (Period::Month, "2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z"),
            (Period::Month, "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            (Period::Month, "2100-02-28T12:00:00Z", "2100-02-01T00:00:00Z", "2100-03-01T00:00:00Z"),
            (Period::Month, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1970-02-01T00:00:00Z"),
        ];
        for (period, moment, from, to) in rows {
            assert_eq!(period.window(at(moment)), (at(from), at(to)), "{period:?} at {moment}");
        }
    }

    #[test]
    fn months_follow_on_each_other_for_five_hundred_years() {
        let (mut begins, mut months) = (0, 0);
        while begins < at("2470-01-01T00:00:00Z") {
            let (from, to) = Period::Month.window(begins);
            assert_eq!(from, begins);
            assert_eq!(Period::Month.window(to - 1), (from, to));
            (begins, months) = (to, months + 1);
        }
        assert_eq!((begins, months), (at("2470-01-01T00:00:00Z"), 500 * 12));
    }

    #[test]
    fn hours_open_and_close_also_over_midnight() {
        let hours = |text: &str| Hours::try_from(text.to_owned());
        let day = hours("08:00-20:00").unwrap();
        assert_eq!(day.open_until(at("2026-01-31T08:00:00Z")), Ok(at("2026-01-31T20:00:00Z")));
        assert_eq!(day.open_until(at("2026-01-31T20:00:00Z")), Err(at("2026-02-01T08:00:00Z")));
        assert_eq!(day.open_until(at("2026-01-31T07:59:59Z")), Err(at("2026-01-31T08:00:00Z")));
        let night = hours("22:00-06:30").unwrap();
        assert_eq!(night.open_until(at("2026-01-31T23:00:00Z")), Ok(at("2026-02-01T06:30:00Z")));
        assert_eq!(night.open_until(at("2026-02-01T06:30:00Z")), Err(at("2026-02-01T22:00:00Z")));
        assert_eq!(hours("18:00-24:00").unwrap().to_string(), "18:00-24:00");
        for wrong in ["", "8-20", "08:00", "08:00-25:00", "08:60-20:00", "+8:00-20:00", "08:00-08:00", "00:00-24:00"] {
            assert!(hours(wrong).unwrap_err().contains("08:00-20:00"), "{wrong}");
        }
    }
}
