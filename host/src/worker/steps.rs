//! What a worker tells of exchanges and of calls: their records, and the steps of traces that they are.

use std::sync::Arc;

use serde::Deserialize;
use tandem_component::abi::About;
use tandem_component::{Outcome, Trace};

use super::Worker;
use crate::observe::records::Line;
use crate::observe::traces::Call;
use crate::session::{Made, Session};

/// What is known of a step when it begins.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    /// The step that has led to it.
    parent: Option<u64>,
    /// When, in nanoseconds since 1970.
    at: u64,
}

/// What is counted of exchanges, among the fields of a record of a component that tells of no other.
#[derive(Deserialize)]
struct Ended<'a> {
    outcome: &'a str,
    duration_us: u64,
}

impl Worker {
    /// An exchange has ended. A number that is that of no outcome is of no version that is loaded.
    pub fn count_ended(&self, session: &Session, outcome: u32, nanos: u64) {
        if let (Some(instance), Some(outcome)) = (session.instance(), Outcome::ALL.get(outcome as usize)) {
            instance.counts.exchanges.count(self.index, *outcome, nanos);
        }
    }

    /// Takes the record of an exchange. `led_by`: the call that it follows from.
    pub fn record(&self, session: &Session, wall: u64, fields: &[u8], led_by: Option<Trace>) {
        if let Some(instance) = session.instance().filter(|instance| !instance.tells_ends())
            && let Ok(Ended { outcome, duration_us }) = rmp_serde::from_slice(fields)
            && let Some(outcome) = Outcome::ALL.into_iter().find(|known| known.word() == outcome)
        {
            instance.counts.exchanges.count(self.index, outcome, duration_us.saturating_mul(1000));
        }
        self.look(|snapshot| {
            let service = &snapshot.services[session.service];
            let traces = snapshot.traces.as_deref().filter(|_| may_be_sampled(fields, led_by));
            if service.records.is_none() && traces.is_none() {
                return;
            }
            let line = Line {
                time: wall,
                service: Arc::clone(&service.name),
                version: version_of(session),
                session: session.id,
                peer: session.peer(),
                fields: fields.to_vec(),
                trace: led_by,
            };
            match (&service.records, traces) {
                (Some(records), Some(traces)) => {
                    traces.push_exchange(line.clone());
                    records.push(line);
                }
                (Some(records), None) => records.push(line),
                (None, Some(traces)) => traces.push_exchange(line),
                (None, None) => {}
            }
        });
    }

    /// A call begins, about which this is said. `None` where nobody wants to know.
    pub fn begin_step(&self, about: &[u8], parent: Option<u64>) -> Option<Box<Begun>> {
        let exported = self.look(|snapshot| snapshot.traces.is_some());
        let sampled = exported && About::read(about).is_some_and(|about| about.trace.is_sampled());
        sampled.then(|| Box::new(Begun { parent, at: self.now().1 }))
    }

    /// … and is over. `failed`: why there is no answer.
    pub fn end_step(&self, session: &Session, made: &Made, failed: Option<&'static str>) {
        let Some(Begun { parent, at }) = made.step.as_deref() else { return };
        let Some(about) = About::read(&made.about) else { return };
        let told = self.look(|snapshot| {
            let name = |service: usize| snapshot.services[service].name.to_string();
            Some((Arc::clone(snapshot.traces.as_ref()?), name(session.service), name(made.service)))
        });
        let Some((traces, from, to)) = told else { return };
        traces.push_call(Call {
            trace: about.trace,
            parent: *parent,
            began: *at,
            ended: self.now().1,
            from,
            version: version_of(session),
            to,
            account: about.account.to_owned(),
            failed,
        });
    }
}

fn version_of(session: &Session) -> Arc<str> {
    session.instance().map_or_else(|| Arc::from(""), |instance| Arc::clone(&instance.version))
}

/// Whether it is worth a look at whether an exchange is a step of a trace that is sampled. Nothing is read for that: who exports it
/// does.
fn may_be_sampled(fields: &[u8], led_by: Option<Trace>) -> bool {
    /// As MessagePack has it: a text of seven bytes, and `true`.
    const SAMPLED: &[u8] = b"\xa7sampled\xc3";
    led_by.is_some_and(|trace| trace.is_sampled()) || memchr::memmem::find(fields, SAMPLED).is_some()
}
