//! The rows while no session is there: what a killed gateway has left, until another is started.

use std::time::Duration;

use tandem_component::prelude::*;
use tandem_messaging::{MESSAGES, Messaging, SENT, WAITING};
use tandem_sms::State;

use crate::support::Part;

/// A component that does nothing but change rows, where a test asks it.
pub(crate) struct Nobody;

#[derive(Serialize, Deserialize)]
pub(crate) struct Silence;

/// What a test asks.
#[derive(Serialize, Deserialize)]
pub(crate) enum Change {
    /// That a message was taken on in this run.
    Run { id: String, run: i64 },
    /// That there is something to be done about a message that only a later version knows.
    Phase { id: String, phase: String },
    /// That a version has taken a message that did not count it among those that wait.
    Uncounted { id: String },
    /// That such a version has ended it, and its time is over.
    Ended { id: String },
    /// That a network has a part.
    Part(Part),
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    run: i64,
}

#[derive(Serialize)]
struct Later<'a> {
    id: &'a str,
    phase: &'a str,
}

#[derive(Serialize)]
struct Uncounted<'a> {
    id: &'a str,
    counted: bool,
}

#[derive(Serialize)]
struct Over<'a> {
    id: &'a str,
    state: State,
    phase: &'a str,
    due_at: i64,
    ended_at: i64,
}

impl Component for Nobody {
    type Config = ();
    type Session = Silence;
    const TABLES: &'static [Table] = Messaging::TABLES;
    const POLICY: Policy = Policy::Renew;

    fn start((): (), _: &Starting<'_>) -> Result<Self, Refusal> {
        Ok(Nobody)
    }

    fn open(&self, _: &Opening<'_>) -> Result<Silence, Refusal> {
        Ok(Silence)
    }
}

impl Session for Silence {
    type Component = Nobody;
    type Then = ();

    fn handle(&mut self, _: &Nobody, event: Event<'_, ()>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        if let Event::Request { request, .. } = event {
            match request.read() {
                Ok(Change::Run { id, run }) => out.update(&MESSAGES, &Row { id: &id, run }),
                Ok(Change::Phase { id, phase }) => out.update(&MESSAGES, &Later { id: &id, phase: &phase }),
                Ok(Change::Uncounted { id }) => {
                    out.update(&MESSAGES, &Uncounted { id: &id, counted: false });
                    out.add(&WAITING, &"acme", "taken", -1);
                }
                Ok(Change::Ended { id }) => {
                    let (state, phase) = (State::Delivered, "ended");
                    out.update(&MESSAGES, &Over { id: &id, state, phase, due_at: 1, ended_at: 1 });
                }
                Ok(Change::Part(part)) => out.put(&SENT, &part),
                Err(misfit) => panic!("{misfit}"),
            }
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        true
    }
}

impl Nobody {
    /// So long after the first session was opened.
    pub(crate) fn with_the_rows_of(session: &mut Harness<Messaging>, at: Duration) -> Harness<Nobody> {
        let mut rows = Harness::<Nobody>::start_as(&(), Role::Server, Transport::Resident).unwrap();
        rows.advance(at);
        rows.copy_rows(session);
        rows
    }
}
