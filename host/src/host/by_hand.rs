//! A host without a thread, which does what it is told when it is told: for the simulation.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use super::{Around, Event, Host};
use crate::admin::{Report, Rolled};
use crate::clock;
use crate::config::Source;
use crate::version::{Instance, Lease, Snapshot};
use crate::worker::Command;

/// A host without a thread.
pub struct ByHand {
    host: Host,
    events: Receiver<Event>,
}

/// What is seen of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its component.
    pub component: String,
    /// Its number.
    pub number: String,
    /// Where it is in its life.
    pub stage: &'static str,
    /// Whether it is loaded.
    pub loaded: bool,
    /// The numbers of its instances that are not gone.
    pub instances: Vec<u32>,
    /// The instances that are kept for a way back.
    pub kept: Vec<u32>,
}

impl ByHand {
    /// Starts it: the first reload is done, and what came of it.
    ///
    /// # Errors
    /// As for a host that starts.
    pub fn start(around: Box<dyn Around>, source: Source, late: Option<u64>) -> anyhow::Result<(Self, Report)> {
        let (sender, events) = channel();
        let config = source.read()?;
        let mut host = Host::new(around, source, config, sender, late)?;
        let report = host.reload();
        Ok((ByHand { host, events }, report))
    }

    /// Takes one event of those that come by themselves. False where there is none.
    pub fn step(&mut self) -> bool {
        match self.events.try_recv() {
            Ok(Event::Returned(instance)) => self.host.retire(*instance),
            Ok(Event::Stopped(number)) => self.host.stopped(number),
            Ok(Event::Asked(..) | Event::Reload | Event::Reopen | Event::Stop) => {}
            Err(_) => return false,
        }
        true
    }

    /// What it does each tenth of a second.
    pub fn look_after(&mut self) {
        self.host.look_after(clock::instant());
    }

    /// A reload.
    pub fn reload(&mut self) -> Report {
        self.host.reload()
    }

    /// `tandem rollback`
    ///
    /// # Errors
    /// Why not.
    pub fn roll_back(&mut self, component: &str) -> Result<Rolled, String> {
        self.host.roll_back(component)
    }

    /// `tandem promote`
    ///
    /// # Errors
    /// Why not.
    pub fn promote(&mut self, component: &str, version: Option<&str>) -> Result<Rolled, String> {
        self.host.promote(component, version)
    }

    /// Tells workers to stop.
    pub fn tell_to_stop(&self) {
        for worker in &self.host.workers {
            worker.tell(Command::Stop(self.host.config.shutdown.get()));
        }
    }

    /// Ends, once workers have.
    pub fn stop(mut self) -> Vec<String> {
        self.host.settle(&self.events)
    }

    /// The publication now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.host.table.current()
    }

    /// Publishes this one, for whoever wants to see that found which must not be.
    pub fn publish(&self, snapshot: Snapshot) {
        self.host.table.publish(snapshot);
    }

    /// All versions that are known.
    pub fn versions(&self) -> Vec<Seen> {
        let number = |lease: &Lease<Instance>| lease.as_ref().number;
        let seen = self.host.versions.iter().map(|version| Seen {
            component: version.manifest.name.clone(),
            number: version.manifest.version.to_string(),
            stage: version.stage.word(),
            loaded: version.code.is_some(),
            instances: version.running.iter().map(|running| running.number).collect(),
            kept: version.kept.iter().map(number).collect(),
        });
        seen.collect()
    }
}
