//! A version of any component that breaks at work: it is the real one, with its tables, states and calls, so the host takes it, and what
//! others have begun it goes on with; how it breaks its version says: `1.2.0-panics`. One that says nothing is as good as the real one.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tandem_component::prelude::*;

/// A component that is not as good as the one inside.
pub struct Spoilt<C> {
    inside: C,
    breaks: Option<How>,
    events: AtomicU64,
}

/// One of its sessions. Its state is that of the one inside, so that any version takes it over from any other.
#[derive(Serialize, Deserialize)]
#[serde(transparent, bound = "S: Session")]
pub struct Inside<S>(S);

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// It panics in each event.
    Panics,
    /// It panics in each so many events, whosever they are.
    Seldom,
    /// It gives up in each event.
    Faults,
    /// It panics as a session opens; with those that are there it goes on.
    Opens,
    /// It takes too long over each so many events.
    Overruns,
}

impl How {
    /// As the version `http@1.2.0-panics#3fa9c1` says.
    fn of(version: &str) -> Option<Self> {
        let number = version.split(['@', '#']).nth(1).unwrap_or_default();
        Some(match number.split_once('-')?.1 {
            "panics" => How::Panics,
            "seldom" => How::Seldom,
            "faults" => How::Faults,
            "opens" => How::Opens,
            "overruns" => How::Overruns,
            _ => return None,
        })
    }
}

impl<C: Component> Component for Spoilt<C> {
    type Config = C::Config;
    type Session = Inside<C::Session>;
    const TABLES: &'static [Table] = C::TABLES;
    const LEDGER: Option<Ledger> = C::LEDGER;
    const POLICY: Policy = C::POLICY;
    const RESIDENT: bool = C::RESIDENT;

    fn start(config: C::Config, starting: &Starting<'_>) -> Result<Self, Refusal> {
        let breaks = How::of(starting.version);
        Ok(Spoilt { inside: C::start(config, starting)?, breaks, events: AtomicU64::new(0) })
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Self::Session, Refusal> {
        assert!(self.breaks != Some(How::Opens), "as its version says");
        self.inside.open(opening).map(Inside)
    }
}

impl<C> Spoilt<C> {
    /// Whether this event is one of so many, the last of them.
    fn is_one_of(&self, many: u64) -> bool {
        (self.events.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(many)
    }
}

impl<S: Session> Session for Inside<S> {
    type Component = Spoilt<S::Component>;
    type Then = S::Then;

    /// What the session inside has told of the event is told before it breaks: nothing of that may happen.
    fn handle(
        &mut self,
        component: &Self::Component,
        event: Event<'_, S::Then>,
        out: &mut Out<'_, Self>,
    ) -> Result<(), Fault> {
        self.0.handle(&component.inside, event, &mut out.inside())?;
        match component.breaks {
            Some(How::Panics) => panic!("as its version says"),
            Some(How::Seldom) => assert!(!component.is_one_of(SELDOM), "as its version says"),
            Some(How::Faults) => return Err("as its version says".into()),
            Some(How::Overruns) if component.is_one_of(OFTEN) => std::thread::sleep(TOO_LONG),
            Some(How::Overruns | How::Opens) | None => {}
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        self.0.at_boundary()
    }

    fn resumed(&mut self, component: &Self::Component, opening: &Opening<'_>) -> Result<(), Refusal> {
        self.0.resumed(&component.inside, opening)
    }

    fn last_words(&mut self, component: &Self::Component, out: &mut Out<'_, Self>) {
        self.0.last_words(&component.inside, &mut out.inside());
    }
}

/// In one of so many events it panics seldom …
const SELDOM: u64 = 20;
/// … and in one of so many it takes too long. Where it did in each, its workers would come to nothing else: a resident handles hundreds of
/// answers in one turn.
const OFTEN: u64 = 10;
/// Longer by far than the host lets pass without a word, since what a thread has waited for a processor is not counted, and shorter than
/// what it gives a session up for.
const TOO_LONG: Duration = Duration::from_millis(600);
