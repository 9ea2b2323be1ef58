//! `tandem sessions`: who holds a version. Sessions are the workers' to tell; what else holds one, this thread knows.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use data_encoding::HEXLOWER;

use super::Host;
use super::versions::Stop;
use crate::admin::{Answer, Holders, OtherHolder, Reply, SessionState, SessionStatus};
use crate::clock::{self, Clock, Nanos, time_of_day};
use crate::session::{Holding, State};
use crate::worker::{Command, Listed, Listing};

/// So many sessions are told at most, and so many conversations of each version.
const MOST: usize = 10_000;
/// How long workers get to say theirs.
const PATIENCE: Duration = Duration::from_secs(5);

impl Host {
    /// Says who holds the versions of a component, one of them, or all. It is answered once the workers have told.
    pub(super) fn holders(&mut self, named: Option<&str>, most: usize, states: bool, reply: Reply) {
        let most = most.min(MOST);
        let versions = match self.versions_named(named) {
            Ok(versions) => versions,
            Err(reason) => return drop(reply.send(Answer::Refused(reason))),
        };
        let instances = named.is_some().then(|| {
            let running = versions.iter().flat_map(|at| &self.versions[*at].running);
            running.map(|running| running.number).collect::<BTreeSet<u32>>()
        });
        let others = self.other_holders(&versions, most);
        let (told, tells) = channel();
        let listing = Listing { instances, most, states, told };
        let asked: BTreeSet<usize> = (0..self.workers.len())
            .filter(|worker| self.workers[*worker].tell(Command::List(listing.clone())))
            .collect();
        drop(listing);
        let (clock, count) = (self.clock.clone(), self.workers.len());
        let reply = Arc::new(Mutex::new(Some(reply)));
        let failed = Arc::clone(&reply);
        let answer = |reply: &Mutex<Option<Reply>>, answer| {
            let reply = reply.lock().unwrap_or_else(PoisonError::into_inner).take();
            // Who asked may have gone.
            reply.and_then(|reply| reply.send(answer).err())
        };
        // Not on the host's thread: a worker that is stuck keeps only whoever has asked.
        let collecting = thread::Builder::new().name("sessions".into()).spawn(move || {
            let mut holders = collect(&tells, asked, count, &clock);
            holders.sessions.truncate(most);
            holders.others = others;
            answer(&reply, Answer::Holders(holders));
        });
        if let Err(error) = collecting {
            answer(&failed, Answer::Refused(format!("no thread could be had to collect them on: {error}")));
        }
    }

    fn versions_named(&self, named: Option<&str>) -> Result<Vec<usize>, String> {
        let Some(named) = named else { return Ok((0..self.versions.len()).collect()) };
        let (component, wanted) = named.split_once('@').map_or((named, None), |(name, wanted)| (name, Some(wanted)));
        let of_it = |at: &usize| {
            let version = &self.versions[*at];
            version.manifest.name == component && wanted.is_none_or(|wanted| version.candidate().is(wanted))
        };
        let there: Vec<usize> = (0..self.versions.len()).filter(of_it).collect();
        if there.is_empty() {
            let known: Vec<String> = self.versions.iter().map(super::Version::name).collect();
            return Err(format!("no version {named} is known; known are {}", known.join(", ")));
        }
        Ok(there)
    }

    fn other_holders(&mut self, versions: &[usize], most: usize) -> Vec<OtherHolder> {
        let mut others = Vec::new();
        let current = self.table.current();
        for at in versions {
            let version = &self.versions[*at];
            let name = version.name();
            let mut hold = |service: Option<&str>, what: String| {
                others.push(OtherHolder { version: name.clone(), service: service.map(str::to_owned), what });
            };
            for running in &version.running {
                let of_it = |instance: &crate::version::Lease<crate::version::Instance>| {
                    instance.as_ref().number == running.number
                };
                let name = self.services[running.service].as_str();
                let service = &current.services[running.service];
                if service.instance.as_ref().is_some_and(of_it) {
                    hold(Some(name), "it serves".to_owned());
                }
                if service.canary.as_ref().is_some_and(|canary| of_it(&canary.instance)) {
                    hold(Some(name), "it takes a share, as a canary".to_owned());
                }
                if version.kept.iter().any(of_it) && !service.instance.as_ref().is_some_and(of_it) {
                    hold(Some(name), "kept started for a way back".to_owned());
                }
                if let Some(inside) = running.inside() {
                    hold(Some(name), inside);
                }
                match &running.stop {
                    Stop::NotYet => {}
                    Stop::By(_) => hold(Some(name), "its component is being stopped".to_owned()),
                    Stop::Overdue(reason) => hold(None, reason.clone()),
                }
                if !service.bound.iter().any(of_it) {
                    continue;
                }
                let Some(reader) = &mut self.reader else { continue };
                match self.bindings.of(&mut **reader, name, &version.identity(), most) {
                    Ok(bound) if bound.is_empty() => {
                        hold(Some(name), "conversations were bound to it a moment ago".to_owned());
                    }
                    Ok(bound) => {
                        for (key, until) in bound {
                            let until = std::time::UNIX_EPOCH + Duration::from_nanos(until);
                            let until = humantime::format_rfc3339_seconds(until);
                            hold(Some(name), format!("the conversation {} is bound to it until {until}", text(&key)));
                        }
                    }
                    Err(failure) => hold(Some(name), format!("conversations may be bound to it: {failure}")),
                }
            }
            version.lingering.iter().for_each(|lingering| hold(None, lingering.reason.clone()));
        }
        others
    }
}

fn collect(tells: &Receiver<Listed>, mut missing: BTreeSet<usize>, workers: usize, clock: &Clock) -> Holders {
    let mut holders = Holders::default();
    let mut silent: BTreeSet<usize> = (0..workers).filter(|worker| !missing.contains(worker)).collect();
    let deadline = clock::instant() + PATIENCE;
    // Once, so that times that are one are told as one.
    let epoch = time_of_day().saturating_sub(clock.now());
    let time = |at: Nanos| epoch.saturating_add(at);
    // Not for as long as somebody could still tell: a thread that was given up never does, and keeps what it would do so by.
    while !missing.is_empty()
        && let Ok(Listed { worker, count, sessions }) =
            tells.recv_timeout(deadline.saturating_duration_since(clock::instant()))
    {
        missing.remove(&worker);
        holders.count += count;
        holders.sessions.extend(sessions.into_iter().map(|(service, holding)| status(&service, worker, holding, time)));
    }
    silent.append(&mut missing);
    if !silent.is_empty() {
        let finding = format!("workers {silent:?} have not said theirs in time; is a component stuck in an event?");
        holders.findings.push(finding);
    }
    holders.sessions.sort_by_key(|session| (session.stays.is_none(), session.since, session.session));
    holders
}

fn status(service: &str, worker: usize, holding: Holding, time: impl Fn(Nanos) -> u64) -> SessionStatus {
    let Holding {
        version,
        session,
        peer,
        here_since,
        established,
        idle_since,
        policy,
        waits,
        conversation,
        stays,
        ends,
        state,
    } = holding;
    SessionStatus {
        version,
        service: service.to_owned(),
        worker,
        session,
        peer: peer.to_string(),
        since: time(here_since),
        established: time(established),
        idle_since: time(idle_since),
        policy: policy.word().to_owned(),
        waits,
        conversation: conversation.map(|key| text(&key)),
        stays,
        ends: ends.map(time),
        state: state.map(|State { opening, state }| SessionState {
            opening: HEXLOWER.encode(&opening),
            state: HEXLOWER.encode(&state),
        }),
    }
}

/// A key as a person reads it. Components choose them: a text, or any bytes.
fn text(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) => format!("{text:?}"),
        Err(_) => key.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}
