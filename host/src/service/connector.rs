//! Connectors: the connections that the host keeps to addresses, for as long as the configuration names them.
//!
//! What is decided about one without doing anything: how long to wait before the next try ([`Backoff`]), and what an operator
//! is told of it ([`Telling`]). The work is done by a task of its worker, in `worker/connect.rs`. [`Connection`] is what that
//! task and `status` both see.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use crate::clock::Nanos;
use crate::config::Span;
use crate::transport::Address;

/// `reconnect = { … }`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reconnect {
    /// The first wait is so long at most; each next one may be twice as long …
    pub from: Span,
    /// … up to this. A connection that has stood for longer begins with the first wait again.
    pub to: Span,
    /// How long a connection may take to be made.
    pub timeout: Span,
}

impl Default for Reconnect {
    fn default() -> Self {
        Reconnect { from: Span::millis(500), to: Span::seconds(30), timeout: Span::seconds(5) }
    }
}

impl Reconnect {
    /// What is wrong with it: the key, and the reason.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if self.from.get() < Backoff::FLOOR {
            return Err(("from", format!("at least {:?}: no peer is asked more often than that", Backoff::FLOOR)));
        }
        if self.to < self.from {
            return Err(("to", format!("{} is shorter than the first wait, from = \"{}\"", self.to, self.from)));
        }
        if self.timeout.get().is_zero() {
            return Err(("timeout", "at least 1ms: within no time there is no connection".into()));
        }
        Ok(())
    }
}

/// How long to wait before the next try: by chance, between nothing and a span that doubles with each try, so that those who
/// lost their connections in one moment do not come back in one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    /// No wait is shorter, whatever chance says.
    pub const FLOOR: Duration = Duration::from_millis(20);

    /// The wait before the next try. Any number is as likely as another to be `chance`.
    pub fn wait(&mut self, reconnect: &Reconnect, chance: u64) -> Duration {
        let doubled = 1_u32.checked_shl(self.tries).and_then(|times| reconnect.from.get().checked_mul(times));
        let most = doubled.map_or(reconnect.to.get(), |most| most.min(reconnect.to.get()));
        self.tries = self.tries.saturating_add(1);
        // The part of it that chance is of all numbers. It is shorter than `most`, which is less than 100 years.
        let nanos = (most.as_nanos() * u128::from(chance)) >> u64::BITS;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).max(Self::FLOOR)
    }

    /// The next wait is the first one again.
    pub fn start_again(&mut self) {
        self.tries = 0;
    }
}

/// What an operator was told of a connection. An outage is said once, and then from time to time; that it is over is said at
/// once, and of a connection that comes and goes only when it has stood.
#[derive(Debug, Default)]
pub struct Telling {
    /// It was said last that it is up.
    up: Option<bool>,
    said: Nanos,
    /// It has been up since it last stood.
    wavers: bool,
}

impl Telling {
    /// While it is down, that is said so often.
    const AGAIN: Nanos = 60_000_000_000;

    /// It is down. Whether that is to be said.
    pub fn is_down(&mut self, now: Nanos) -> bool {
        let news = self.up != Some(false) || now.saturating_sub(self.said) >= Self::AGAIN;
        news && self.say(false, now)
    }

    /// It is up. Whether that is to be said.
    pub fn is_up(&mut self, now: Nanos) -> bool {
        let wavered = std::mem::replace(&mut self.wavers, true);
        !wavered && self.say(true, now)
    }

    /// It has been up for long enough. Whether it is to be said that it is up.
    pub fn stands(&mut self, now: Nanos) -> bool {
        self.wavers = false;
        self.up != Some(true) && self.say(true, now)
    }

    fn say(&mut self, up: bool, now: Nanos) -> bool {
        (self.up, self.said) = (Some(up), now);
        true
    }
}

/// One connection that is kept.
#[derive(Debug)]
pub struct Connection {
    /// Its number, unique in this run of the host.
    pub number: u64,
    /// The place of its service in the snapshot.
    pub service: usize,
    /// What it is connected to.
    pub address: Address,
    /// Which of the service's connections to that address it is, from 0.
    pub nth: usize,
    /// How it is. Behind a lock since the host's thread looks at it; its worker writes when a connection comes or goes.
    standing: Mutex<Standing>,
}

/// How a connection is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What it does.
    pub stage: Stage,
    /// Why it was last down.
    pub reason: Option<String>,
}

/// What a connection does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Nothing: no version serves its service.
    #[default]
    Unserved,
    /// It is being made.
    Connecting,
    /// It is up, since this time of day.
    Up(u64),
    /// It is down, and is tried again at this time of day.
    Down(u64),
}

impl Connection {
    /// One that is not made yet.
    pub fn new(number: u64, service: usize, address: Address, nth: usize) -> Self {
        Connection { number, service, address, nth, standing: Mutex::default() }
    }

    /// How it is now.
    pub fn standing(&self) -> Standing {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// It does something else now; why it was last down stays known.
    pub fn enter(&self, stage: Stage) {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).stage = stage;
    }

    /// It is down until this time of day.
    pub fn fall(&self, until: u64, reason: &str) {
        let standing = Standing { stage: Stage::Down(until), reason: Some(reason.to_owned()) };
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)?;
        if self.nth > 0 { write!(f, " (connection {})", self.nth + 1) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Backoff, Reconnect, Telling};

    const MOST: u64 = u64::MAX;

    fn reconnect(text: &str) -> Reconnect {
        toml::from_str(text).unwrap()
    }

    fn waits(reconnect: &Reconnect, chance: u64) -> Vec<u128> {
        let mut backoff = Backoff::default();
        (0..8).map(|_| (backoff.wait(reconnect, chance) + Duration::from_nanos(1)).as_millis()).collect()
    }

    #[test]
    fn the_longest_wait_doubles_up_to_the_longest_of_all() {
        assert_eq!(waits(&Reconnect::default(), MOST), [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        assert_eq!(waits(&reconnect("from = '1s'\nto = '1s'"), MOST), [1000; 8]);
    }

    #[test]
    fn chance_chooses_all_of_it_but_what_is_too_short() {
        assert_eq!(waits(&Reconnect::default(), MOST / 2), [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
        assert_eq!(waits(&Reconnect::default(), 0), [20; 8]);
    }

    #[test]
    fn it_goes_on_for_ever_and_starts_again() {
        let (mut backoff, reconnect) = (Backoff::default(), reconnect("from = '20ms'\nto = '36500days'"));
        for _ in 0..1000 {
            assert!(backoff.wait(&reconnect, MOST) <= reconnect.to.get());
        }
        backoff.tries = u32::MAX;
        assert!(backoff.wait(&reconnect, MOST) > Duration::from_secs(3_000_000_000));
        backoff.start_again();
        assert_eq!(backoff.wait(&reconnect, MOST), Duration::from_millis(20));
    }

    #[test]
    fn what_would_spin_or_never_connect_is_refused() {
        let rows = [
            ("from = '0s'", Some("from")),
            ("from = '19ms'", Some("from")),
            ("from = '20ms'", None),
            ("from = '2s'\nto = '1s'", Some("to")),
            ("from = '1s'\nto = '1s'", None),
            ("timeout = '0s'", Some("timeout")),
            ("", None),
        ];
        for (text, key) in rows {
            assert_eq!(reconnect(text).check().err().map(|error| error.0), key, "{text}");
        }
    }

    #[test]
    fn an_outage_is_said_once_and_then_each_minute() {
        let (mut telling, second) = (Telling::default(), 1_000_000_000);
        let said: Vec<bool> = (0..=120).map(|n| telling.is_down(n * second)).collect();
        let at: Vec<usize> = (0..said.len()).filter(|n| said[*n]).collect();
        assert_eq!(at, [0, 60, 120]);
        assert!(telling.is_up(121 * second), "that it is over is said at once");
        assert!(!telling.stands(122 * second) && telling.is_down(123 * second), "so is the next outage");
    }

    #[test]
    fn one_that_comes_and_goes_is_said_to_be_up_when_it_stands() {
        let mut telling = Telling::default();
        assert!(telling.is_up(0) && telling.is_down(1));
        for now in 2..100 {
            assert!(!telling.is_up(now) && !telling.is_down(now));
        }
        assert!(!telling.is_up(100) && telling.stands(101));
        assert!(telling.is_down(102) && telling.is_up(103));
    }
}
