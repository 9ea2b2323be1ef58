//! The host: the only place where parts are wired together.
//!
//! One thread owns the versions. It takes [`Event`]s one after the other: what operators ask, signals, instances whose last
//! lease is gone. What it decides goes out as publications and as commands to the workers; it never touches a session.

mod accounts;
mod agreements;
mod around;
mod bound;
pub mod by_hand;
mod canaries;
pub(crate) mod certificates;
mod connectors;
mod drains;
mod findings;
mod holders;
mod ledger;
pub(crate) mod lock;
mod memory;
mod publication;
mod reload;
mod retire;
mod rollouts;
mod starting;
mod status;
pub(crate) mod tables;
pub(crate) mod trust;
mod versions;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::account::verifiers::Verifiers;
use crate::admin::{self, Answer, Beside, PromoteRequest, Refused, Reply, Report, Request, RollbackRequest, Stopping};
use crate::agreement::Usage;
use crate::clock::{self, Clock, time_of_day};
use crate::config::{Config, Source, Upstreams};
use crate::loader::examine;
use crate::loader::shelf::Shelf;
use crate::observe::crash;
use crate::observe::records::Records;
use crate::observe::traces::Traces;
use crate::store::bindings::Bindings;
use crate::store::{self, Settled};
use crate::system::{self, Progress, Signal};
use crate::transport::{Address, Entrance, Handed};
use crate::version::table::Table;
use crate::version::{Instance, Snapshot};
use crate::worker::{Command, Following, Handle, Seat, Watchdog, mailboxes};

pub use around::{Around, Load, Passed};

use around::Process;
use certificates::Certificates;
use versions::Version;

/// What the host's thread takes in.
pub enum Event {
    /// An operator asks.
    Asked(Request, Reply),
    /// SIGHUP.
    Reload,
    /// SIGTERM, SIGINT, SIGQUIT, or an operator who was told what follows.
    Stop,
    /// SIGUSR1.
    Reopen,
    /// The last lease of an instance is gone.
    Returned(Box<Instance>),
    /// The component of an instance, by its number, has stopped; or its start, that nobody waits for any more, has come back, and
    /// nothing is left of it.
    Stopped(u32),
}

/// The host.
pub struct Host {
    around: Box<dyn Around>,
    source: Source,
    /// When it began, by the time of day.
    since: u64,
    /// Tells components one run from another.
    run: u64,
    /// The configuration that holds.
    config: Config,
    shelf: Shelf,
    table: Table<Snapshot>,
    workers: Vec<Handle>,
    watchdog: Watchdog,
    versions: Vec<Version>,
    /// By the service's number; `None` for one that the configuration has no more.
    services: Vec<String>,
    listening: BTreeMap<Address, usize>,
    /// What is asked there of whoever connects …
    entrances: BTreeMap<Address, Arc<Entrance>>,
    /// … and where the admin interface is …
    admin_entrance: Arc<Entrance>,
    /// … and by which certificates.
    certificates: Certificates,
    /// Listening sockets that are not ours to bind.
    handed: Handed,
    connections: Vec<connectors::Kept>,
    records: BTreeMap<PathBuf, Records>,
    traces: Option<Arc<Traces>>,
    upstreams: Arc<Upstreams>,
    /// How the sessions follow the last publication.
    following: Arc<Following>,
    refused: Vec<Refused>,
    reload_error: Option<String>,
    /// What else the last reload found.
    findings: Vec<String>,
    /// In what examinations are not confined, as far as that was said.
    lacks: Vec<String>,
    /// Counts versions, instances and connections that were begun.
    seen: u64,
    instances: u32,
    connections_begun: u64,
    store: store::Handle,
    /// Which versions keyed conversations are bound to …
    bindings: Arc<Bindings>,
    /// … and what this thread reads them by.
    reader: Option<Box<dyn store::Reader>>,
    /// When it was looked last for versions that nothing is bound to any more.
    looked_for_bindings: Instant,
    /// Where each worker takes what the store has settled.
    homes: Vec<UnboundedSender<Vec<Settled>>>,
    /// What accounts have used of their agreements, and whether what the run before has used is among it.
    usage: Arc<Usage>,
    usage_read: bool,
    verifiers: Arc<Verifiers>,
    auditor: ledger::Auditor,
    /// What was decided of versions beyond what their files say.
    verdicts: rollouts::Verdicts,
    /// What operators have begun to drain.
    drains: Vec<(drains::Drain, Reply)>,
    /// When it was looked last how much memory versions have.
    looked_at_memory: Instant,
    /// The workers' time.
    clock: Clock,
    events: Sender<Event>,
    /// What the next run is to know of this one, should it be ended by a component.
    begun: crash::Run,
    /// Holds the lock of the data directory.
    _lock: std::fs::File,
}

/// While versions drain, the host looks at them so often.
const TICK: Duration = Duration::from_millis(100);

/// Runs the gateway until it is told to stop. With a seed every answer comes late, for tests.
///
/// # Errors
/// The configuration is wrong, the data directory is in use, nothing can be loaded, or a port is taken.
pub fn run(source: Source, late: Option<u64>) -> anyhow::Result<()> {
    // Before there is another thread.
    let handed = system::handed_over().map(Handed::of).context("LISTEN_FDS, the sockets that were handed over")?;
    let (events, received) = channel();
    // First: a signal that nobody takes ends the process, and whoever sends one does not know how far it is.
    system::on_signal(take_signals(events.clone())).context("signals")?;
    let config = source.read()?;
    // So that the examination's child is this very program, also when another is installed at its path.
    examine::own_executable().context("this executable")?;
    if let Some(seed) = late {
        tracing::warn!(seed, "every answer comes late, by --late: that is for tests");
    }
    let asked_beside = config.admin.token().and_then(|token| Beside::bind(&config.admin.listen, token));
    let mut asked_beside = asked_beside.map_err(anyhow::Error::msg)?;
    let mut host = Host::new(Box::new(Process), source, config, events, late)?;
    host.handed = handed;
    asked_beside.entrance = Arc::clone(&host.admin_entrance);
    let report = host.reload();
    for line in report.lines() {
        tracing::info!("{line}");
    }
    for idle in host.handed.idle(host.listening.keys()) {
        tracing::warn!("{idle} was handed over, and no service listens there");
    }
    if let Some(error) = report.error {
        bail!(error);
    }
    if host.table.current().services.iter().all(|service| service.instance.is_none()) {
        let refused = host.refused.iter().map(|one| format!("{}: {}", one.file, one.reason));
        let reasons: Vec<String> = refused.chain(host.findings.iter().cloned()).collect();
        bail!("no service can be served; {}", reasons.join("; "));
    }
    admin::serve(&host.config.admin_socket(), asked_beside, host.events.clone())
        .with_context(|| format!("the admin socket {}", host.config.admin_socket().display()))?;
    tracing::info!(pid = std::process::id(), "serving");
    system::tell(Progress::Serving(&host.in_short()));
    host.serve(&received)
}

impl Host {
    fn new(
        around: Box<dyn Around>,
        source: Source,
        config: Config,
        events: Sender<Event>,
        late: Option<u64>,
    ) -> anyhow::Result<Self> {
        let data = &config.data;
        system::make_private_directory(data).with_context(|| format!("data: {} cannot be made", data.display()))?;
        trust::check_own(&config, &source).map_err(anyhow::Error::msg)?;
        let lock = lock::take(data)?;
        let shelf = Shelf::open(&data.join(trust::SHELF))
            .with_context(|| format!("data: the shelf in {} cannot be opened", data.display()))?;
        let begun = around.begin(data, &shelf)?;
        let (table, clock) = (Table::new(Snapshot::default()), Clock::new());
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        let count = config.workers.unwrap_or_else(processors);
        let (store, bindings) = (store::Handle::default(), Arc::new(Bindings::default()));
        let (homes, settled): (Vec<_>, Vec<_>) = (0..count).map(|_| unbounded_channel()).unzip();
        let (askers, verified): (Vec<_>, Vec<_>) = (0..count).map(|_| unbounded_channel()).unzip();
        // A worker that has ended has no sessions to be told.
        let deliver = move |worker: usize, verified| drop(askers[worker].send(verified));
        let verifiers = Verifiers::start(processors(), Box::new(deliver)).context("secrets cannot be verified")?;
        let verifiers = Arc::new(verifiers);
        let (tell_reserved, reserved): (Vec<_>, Vec<_>) = (0..count).map(|_| unbounded_channel()).unzip();
        let deliver = move |worker: usize, reserved| drop(tell_reserved[worker].send(reserved));
        let epoch = time_of_day().saturating_sub(clock.now());
        let usage = around.usage(store.clone(), count, epoch, Box::new(deliver));
        let usage = Arc::new(usage.context("agreements cannot be counted")?);
        let (mailboxes, mail) = mailboxes(count);
        let watchdog = around.watchdog(&clock).context("workers cannot be watched")?;
        watchdog.set(config.overrun);
        let seats = settled.into_iter().zip(verified).zip(reserved).zip(mail).enumerate();
        let workers = seats
            .map(|(index, (((settled, verified), reserved), mail))| Seat {
                index,
                workers: count,
                store: store.clone(),
                bindings: Arc::clone(&bindings),
                settled,
                verifiers: Arc::clone(&verifiers),
                verified,
                usage: Arc::clone(&usage),
                reserved,
                mailboxes: mailboxes.clone(),
                mail,
                late,
            })
            .map(|seat| around.worker(seat, &table, &clock, &watchdog))
            .collect::<Result<_, _>>()
            .context("a worker cannot be started")?;
        let auditor = ledger::Auditor::start(store.clone()).context("ledgers cannot be looked at")?;
        Ok(Host {
            around,
            source,
            since: time_of_day(),
            run: std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0).max(1),
            config,
            shelf,
            table,
            workers,
            watchdog,
            versions: Vec::new(),
            services: Vec::new(),
            listening: BTreeMap::new(),
            entrances: BTreeMap::new(),
            admin_entrance: Arc::default(),
            certificates: Certificates::default(),
            handed: Handed::default(),
            connections: Vec::new(),
            records: BTreeMap::new(),
            traces: None,
            upstreams: Arc::default(),
            following: Arc::new(Following::new(0, clock::instant(), 0)),
            refused: Vec::new(),
            reload_error: None,
            findings: Vec::new(),
            lacks: Vec::new(),
            seen: 0,
            instances: 0,
            connections_begun: 0,
            store,
            bindings,
            reader: None,
            looked_for_bindings: clock::instant(),
            homes,
            usage,
            usage_read: false,
            verifiers,
            auditor,
            verdicts: rollouts::Verdicts::default(),
            drains: Vec::new(),
            looked_at_memory: clock::instant(),
            clock,
            events,
            begun,
            _lock: lock,
        })
    }

    /// Takes events until it is told to stop.
    fn serve(&mut self, received: &Receiver<Event>) -> anyhow::Result<()> {
        // The workers go before this thread and the children that it examines with: on a busy machine a reload takes
        // longer, and requests do not.
        if let Err(error) = system::give_way() {
            // No harm: it then takes its turns like a worker.
            tracing::debug!("the host's thread keeps its priority: {error}");
        }
        let mut waiting: VecDeque<Event> = VecDeque::new();
        let mut looked = clock::instant();
        let mut told = self.table.current().number;
        loop {
            // By an operator's word, or since a version has failed at work.
            if self.table.current().number != told {
                told = self.table.current().number;
                system::tell(Progress::Now(&self.in_short()));
            }
            // Also where one event follows on another: what drains has its time.
            if looked.elapsed() >= TICK && self.wants_looking_after() {
                looked = clock::instant();
                self.look_after(looked);
            }
            let event = match waiting.pop_front() {
                Some(event) => event,
                None => match received.recv_timeout(self.tick()) {
                    Ok(event) => event,
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                },
            };
            match event {
                Event::Stop => return self.stop(received),
                Event::Reopen => {
                    self.records.values().for_each(Records::reopen);
                    tracing::info!(
                        files = self.records.len(),
                        "files of records are begun anew where they were moved away"
                    );
                }
                Event::Returned(instance) => self.retire(*instance),
                Event::Stopped(instance) => self.stopped(instance),
                Event::Asked(Request::Status, reply) => {
                    self.look_after_draining(clock::instant());
                    // Who asked may have gone.
                    let _ = reply.send(Answer::Status(Box::new(self.status())));
                }
                Event::Asked(Request::Schema, reply) => {
                    let schema = self.schema().map_err(|error| format!("{error:#}"));
                    let _ = reply.send(schema.map_or_else(Answer::Unknown, Answer::Schema));
                }
                Event::Asked(Request::Rollback(RollbackRequest { component }), reply) => {
                    let rolled = self.roll_back(&component);
                    let _ = reply.send(rolled.map_or_else(Answer::Refused, Answer::Rolled));
                }
                Event::Asked(Request::Promote(PromoteRequest { component, version }), reply) => {
                    let rolled = self.promote(&component, version.as_deref());
                    let _ = reply.send(rolled.map_or_else(Answer::Refused, Answer::Rolled));
                }
                Event::Asked(Request::Sessions { named, most, states }, reply) => {
                    self.holders(named.as_deref(), most, states, reply);
                }
                Event::Asked(Request::Drain(request), reply) => self.drain(&request, reply),
                Event::Asked(Request::Ledger, reply) => self.auditor.ask(reply),
                Event::Asked(Request::Account(request), reply) => drop(reply.send(self.account(request))),
                // Who asks is told first, and then has it stop: `Event::Stop` follows.
                Event::Asked(Request::Stop, reply) => drop(reply.send(Answer::Stop(self.stopping()))),
                Event::Reload | Event::Asked(Request::Reload, _) => {
                    // All who have asked by now are served by one reload: it looks at what is there from here on.
                    waiting.extend(received.try_iter());
                    let mut replies: Vec<Reply> = Vec::new();
                    let mut keep = |event| match event {
                        Event::Asked(Request::Reload, reply) => {
                            replies.push(reply);
                            None
                        }
                        Event::Reload => None,
                        other => Some(other),
                    };
                    keep(event);
                    waiting = waiting.into_iter().filter_map(keep).collect();
                    system::tell(Progress::Reloading);
                    let report = self.reload();
                    log(&report);
                    told = self.table.current().number;
                    system::tell(Progress::Serving(&self.in_short()));
                    for reply in replies {
                        let _ = reply.send(Answer::Reload(report.clone()));
                    }
                }
            }
        }
    }

    /// Looks after what drains, fails or is tried.
    fn look_after(&mut self, now: Instant) {
        self.look_after_draining(now);
        self.look_after_drains(now);
        self.look_at_memory(now);
        self.take_back_failing(now);
        self.judge_canaries(now);
    }

    /// How long to wait for an event: short while something drains.
    fn tick(&self) -> Duration {
        const LONG: Duration = Duration::from_secs(3600);
        if self.wants_looking_after() { TICK } else { LONG }
    }

    fn wants_looking_after(&self) -> bool {
        self.versions.iter().any(Version::wants_looking_after)
            || self.watches_failures()
            || !self.drains.is_empty()
            || self.watches_memory()
    }

    /// What is said before a stop.
    fn stopping(&self) -> Stopping {
        let within_ms = u64::try_from(self.config.shutdown.get().as_millis()).unwrap_or(u64::MAX);
        Stopping { pid: std::process::id(), within_ms }
    }

    /// Stops gracefully: nothing new is taken, what is under way gets its time. Told again, it ends the process at once.
    fn stop(&mut self, received: &Receiver<Event>) -> anyhow::Result<()> {
        let within = self.config.shutdown.get();
        tracing::info!(within = %self.config.shutdown, "stopping");
        system::tell(Progress::Stopping(within + AFTERWARDS));
        for worker in &self.workers {
            worker.tell(Command::Stop(within));
        }
        let workers = std::mem::take(&mut self.workers);
        let (done, all_done) = channel();
        let count = workers.len();
        for (index, mut worker) in workers.into_iter().enumerate() {
            let done = done.clone();
            // The host waits for all of them, but not for one that a component does not give back.
            std::thread::spawn(move || {
                worker.join();
                done.send(index)
            });
        }
        let mut left: BTreeSet<usize> = (0..count).collect();
        let deadline = clock::instant() + within + Duration::from_secs(1);
        while !left.is_empty() && clock::instant() < deadline {
            match all_done.recv_timeout(Duration::from_millis(20)) {
                Ok(index) => drop(left.remove(&index)),
                Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => {
                    self.take_at_the_end(received.try_iter());
                }
            }
        }
        let overdue = self.settle(received);
        // Who waits for a socket to know that the host has gone finds none. It may have been removed by hand.
        let _ = std::fs::remove_file(self.config.admin_socket());
        if !left.is_empty() {
            bail!("workers {left:?} did not stop; a component does not give them back");
        }
        if !overdue.is_empty() {
            bail!(overdue.join("; "));
        }
        tracing::info!("stopped");
        Ok(())
    }

    /// The end: what workers have left is stopped and written down. What has not stopped in time.
    fn settle(&mut self, received: &Receiver<Event>) -> Vec<String> {
        let overdue = self.stop_all(received);
        self.settle_agreements();
        self.records.values().for_each(Records::flush);
        self.traces.iter().for_each(|traces| traces.flush());
        overdue
    }

    /// Takes events while the host stops: instances stop on threads of their own also now.
    fn take_at_the_end(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            match event {
                Event::Stop => {
                    tracing::warn!("stopped at once: told to stop a second time");
                    std::process::exit(1);
                }
                Event::Asked(Request::Stop, reply) => drop(reply.send(Answer::Stop(self.stopping()))),
                Event::Returned(instance) => self.retire(*instance),
                Event::Stopped(instance) => self.forget_instance(instance),
                // Whoever asks anything else sees its connection end.
                Event::Asked(..) | Event::Reload | Event::Reopen => {}
            }
        }
    }
}

/// How long the end may take once sessions have had their time: components stop, and what is left is written down.
const AFTERWARDS: Duration = Duration::from_secs(15);

/// Turns signals into events. A second one to stop ends the process here and not where the host stops: its thread may be in
/// a reload that takes its time, or in a component.
fn take_signals(events: Sender<Event>) -> impl FnMut(Signal) -> bool + Send {
    let mut stopping = false;
    move |signal| {
        if signal == Signal::Stop && std::mem::replace(&mut stopping, true) {
            tracing::warn!("stopped at once, by a second signal");
            std::process::exit(1);
        }
        let event = match signal {
            Signal::Reload => Event::Reload,
            Signal::Stop => Event::Stop,
            Signal::Reopen => Event::Reopen,
            Signal::Other(name) => {
                tracing::warn!("{name} does nothing here; the README says which signals do");
                return true;
            }
        };
        events.send(event).is_ok()
    }
}

fn log(report: &Report) {
    for line in report.lines() {
        if report.ok { tracing::info!("reload: {line}") } else { tracing::warn!("reload: {line}") }
    }
}
