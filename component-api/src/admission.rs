//! What an account may use of a service: an [`Admission`] is asked for, and a [`Limit`] is what refuses it.

use std::fmt;

use crate::abi::{admission, limit};

/// One exchange, or a session, that is to count for an account's agreements.
///
/// ```
/// use tandem_component::Admission;
/// let long_message = Admission::of("acme").units(3).sender("+4930123456").held();
/// let bind = Admission::session("acme");
/// # let _ = (long_message, bind);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Admission<'a> {
    pub(crate) account: &'a str,
    pub(crate) sender: Option<&'a str>,
    pub(crate) units: u64,
    /// Bits of [`admission`].
    pub(crate) what: u32,
}

impl<'a> Admission<'a> {
    /// One exchange of an account, by the name that [`authenticate`](crate::Out::authenticate) has answered.
    pub fn of(account: &'a str) -> Self {
        Admission { account, sender: None, units: 1, what: 0 }
    }

    /// This session as one of the account's: it counts for `sessions`, and for nothing else, until it ends or is
    /// [done](crate::Out::done).
    pub fn session(account: &'a str) -> Self {
        Admission { account, sender: None, units: 0, what: admission::HELD | admission::SESSION }
    }

    /// How much it counts for rates and quotas: the parts of a long message, the recipients of one. 1 where it is not said.
    #[must_use]
    pub fn units(mut self, units: u64) -> Self {
        self.units = units;
        self
    }

    /// The sender's address, where the exchange has one: an agreement may name those that are allowed.
    #[must_use]
    pub fn sender(mut self, sender: &'a str) -> Self {
        self.sender = Some(sender);
        self
    }

    /// What is left is to be told as well: the answer is [`AdmittedWith`](crate::Answer::AdmittedWith) or
    /// [`RefusedWith`](crate::Answer::RefusedWith). It costs the host a look at what all workers share, so ask where it is passed on.
    #[must_use]
    pub fn telling(mut self) -> Self {
        self.what |= admission::TELL;
        self
    }

    /// It lasts, and counts for `concurrent`, until it is [done](crate::Out::done) or the session ends.
    #[must_use]
    pub fn held(mut self) -> Self {
        self.what |= admission::HELD;
        self
    }
}

impl<'a> From<&'a str> for Admission<'a> {
    fn from(account: &'a str) -> Self {
        Admission::of(account)
    }
}

/// What has refused an admission.
///
/// ```
/// use tandem_component::Limit;
/// assert_eq!((Limit::Day.to_string().as_str(), Limit::TimeOfDay.word()), ("day", "hours"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// So many in a span of time.
    Rate,
    /// The quota of a minute …
    Minute,
    /// … of an hour …
    Hour,
    /// … of a day …
    Day,
    /// … or of a month.
    Month,
    /// Exchanges at a time.
    Concurrent,
    /// Sessions at a time.
    Sessions,
    /// The sender's address is none of those that are allowed.
    Sender,
    /// It is not the time of day.
    TimeOfDay,
    /// The account is suspended.
    Suspended,
    /// One that a newer host knows.
    Other,
}

impl Limit {
    /// The key of the agreement that says it.
    pub const fn word(self) -> &'static str {
        match self {
            Limit::Rate => "rate",
            Limit::Minute => "minute",
            Limit::Hour => "hour",
            Limit::Day => "day",
            Limit::Month => "month",
            Limit::Concurrent => "concurrent",
            Limit::Sessions => "sessions",
            Limit::Sender => "senders",
            Limit::TimeOfDay => "hours",
            Limit::Suspended => "suspended",
            Limit::Other => "other",
        }
    }

    /// The one with this word.
    pub fn of_word(word: &str) -> Option<Self> {
        (limit::RATE..=limit::SUSPENDED).map(Limit::of).find(|limit| limit.word() == word)
    }

    /// As it crosses the boundary.
    #[doc(hidden)]
    pub const fn number(self) -> u32 {
        match self {
            Limit::Rate => limit::RATE,
            Limit::Minute => limit::MINUTE,
            Limit::Hour => limit::HOUR,
            Limit::Day => limit::DAY,
            Limit::Month => limit::MONTH,
            Limit::Concurrent => limit::CONCURRENT,
            Limit::Sessions => limit::SESSIONS,
            Limit::Sender => limit::SENDER,
            Limit::TimeOfDay => limit::TIME_OF_DAY,
            Limit::Suspended => limit::SUSPENDED,
            Limit::Other => u32::MAX,
        }
    }

    pub(crate) const fn of(number: u32) -> Self {
        match number {
            limit::RATE => Limit::Rate,
            limit::MINUTE => Limit::Minute,
            limit::HOUR => Limit::Hour,
            limit::DAY => Limit::Day,
            limit::MONTH => Limit::Month,
            limit::CONCURRENT => Limit::Concurrent,
            limit::SESSIONS => Limit::Sessions,
            limit::SENDER => Limit::Sender,
            limit::TIME_OF_DAY => Limit::TimeOfDay,
            limit::SUSPENDED => Limit::Suspended,
            _ => Limit::Other,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
