//! What holds after each step, each by itself. What only peers can see is in [`peers`](super::peers).

use std::collections::{BTreeMap, BTreeSet};

use tandem::host::by_hand::{ByHand as Host, Seen as Version};
use tandem::worker::by_hand::Seen as Session;

use super::around::edition_of;
use super::components::GROUND;

/// What was seen before, as far as invariants are about change.
#[derive(Default)]
pub(crate) struct Memory {
    /// The last publication that was seen: of the host, of each worker, of each session.
    published: u64,
    taken: BTreeMap<usize, u64>,
    looked: BTreeMap<u64, u64>,
    /// How often a version was seen that nobody held while nobody had anything to do.
    free: BTreeMap<(String, String), u32>,
}

/// What is seen at once.
pub(crate) struct Sight<'a> {
    pub(crate) host: &'a Host,
    pub(crate) versions: Vec<Version>,
    /// By worker: the publication that it has taken, and its sessions.
    pub(crate) workers: Vec<(u64, Vec<Session>)>,
    /// Nobody has anything to do.
    pub(crate) idle: bool,
}

/// 1. Each session's instance is one of a version that is loaded, and mapped; nothing was called that is not.
pub(crate) fn no_session_is_unmapped(sight: &Sight<'_>) -> Result<(), String> {
    if let Some(wrong) = GROUND.with_borrow_mut(|ground| ground.wrong.pop()) {
        return Err(wrong);
    }
    for session in sight.workers.iter().flat_map(|(_, sessions)| sessions) {
        let Some(instance) = session.instance else { continue };
        let version = sight.versions.iter().find(|version| version.instances.contains(&instance));
        let version = version.ok_or_else(|| format!("session {} is on an instance that is no more", session.id))?;
        if !version.loaded || !is_mapped(version) {
            return Err(format!(
                "session {} is on {} {}, which is not mapped",
                session.id, version.component, version.number
            ));
        }
    }
    Ok(())
}

fn is_mapped(version: &Version) -> bool {
    let edition = edition_of(&version.component, &version.number);
    edition.is_some_and(|one| GROUND.with_borrow(|ground| ground.mapped.contains(&(one.component, one.edition))))
}

/// 3. So much was admitted, and so much there was.
pub(crate) fn limits_hold(admitted: u64, quota: u64) -> Result<(), String> {
    if admitted > quota { Err(format!("{admitted} units were admitted of {quota}")) } else { Ok(()) }
}

/// 4. A version that neither a session nor the publication nor the way back holds is unloaded once nobody has anything to do; and one that
///    is retired is held by nobody.
pub(crate) fn who_is_free_retires(sight: &Sight<'_>, memory: &mut Memory) -> Result<(), String> {
    /// So often is often enough: an end takes some events, one after the other.
    const OFTEN: u32 = 3;
    let snapshot = sight.host.snapshot();
    let mut held: BTreeSet<u32> =
        sight.workers.iter().flat_map(|(_, sessions)| sessions).filter_map(|session| session.instance).collect();
    for service in &snapshot.services {
        let canary = service.canary.as_ref().map(|canary| &canary.instance);
        held.extend(service.instance.iter().chain(canary).chain(&service.bound).map(|one| one.as_ref().number));
    }
    for version in &sight.versions {
        let is_held = !version.kept.is_empty() || version.instances.iter().any(|instance| held.contains(instance));
        let name = format!("{} {}", version.component, version.number);
        if version.stage == "retired" && (is_held || version.loaded || is_mapped(version)) {
            return Err(format!("{name} is retired, and held"));
        }
        let free = memory.free.entry((version.component.clone(), version.number.clone())).or_default();
        match version.loaded && !is_held {
            true if sight.idle => *free += 1,
            true => {}
            false => *free = 0,
        }
        if *free > OFTEN {
            return Err(format!("{name} is held by nobody, and is not retired: {version:?}"));
        }
    }
    Ok(())
}

/// 7. The number of the publication only grows, wherever it is looked at; nobody has looked at one that is not there yet.
pub(crate) fn publications_grow(sight: &Sight<'_>, memory: &mut Memory) -> Result<(), String> {
    let grows = |whose: String, before: u64, now: u64| {
        if now < before { Err(format!("{whose}: publication {now} follows {before}")) } else { Ok(now) }
    };
    let now = sight.host.snapshot().number;
    memory.published = grows("the host".to_owned(), memory.published, now)?;
    let mut looked = BTreeMap::new();
    for (worker, (taken, sessions)) in sight.workers.iter().enumerate() {
        let before = memory.taken.get(&worker).copied().unwrap_or_default();
        memory.taken.insert(worker, grows(format!("worker {worker}"), before, *taken)?);
        for session in sessions.iter().filter(|session| session.instance.is_some()) {
            let before = memory.looked.get(&session.id).copied().unwrap_or_default();
            let seen = grows(format!("session {}", session.id), before, session.publication)?;
            if seen > now {
                return Err(format!("session {} has looked at publication {seen}, and there is {now}", session.id));
            }
            looked.insert(session.id, seen);
        }
    }
    memory.looked = looked;
    Ok(())
}
