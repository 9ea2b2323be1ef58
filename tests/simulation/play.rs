//! One run: [`Play`]. The seed says what happens next, and after each step it is looked whether the invariants hold.

use std::cell::RefCell;
use std::fs;
use std::net::SocketAddr;
use std::panic;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Once;
use std::time::{Duration, SystemTime};

use tandem::clock;
use tandem::config::Source;
use tandem::host::by_hand::ByHand as Host;
use tandem::transport::Socket;
use tandem::version::{Instance, Lease, Snapshot};
use tandem_component::Peer;
use tokio::net::UnixStream;
use tokio::task::yield_now;

use super::Break;
use super::around::{EDITIONS, Floor, OnFloor};
use super::chance::{Chance, Trace};
use super::components::{GROUND, PANIC};
use super::invariants::{self, Memory, Sight};
use super::peers::Client;

thread_local! {
    /// What has happened in the run of this thread.
    pub(crate) static TRACE: RefCell<Trace> = RefCell::default();
}

macro_rules! tell {
    ($($said:tt)*) => { TRACE.with_borrow_mut(|trace| trace.tell(format_args!($($said)*))) };
}

/// So much the account may have, in all of a run: it is over within a day.
const QUOTA: u64 = 24;
/// How many steps a run has before it settles.
const STEPS: u64 = 900;
const CLIENTS: u64 = 5;
const WORKERS: usize = 2;
/// The first of January 2026.
const BEGIN: u64 = 1_767_225_600_000_000_000;

/// Panics that belong to the play are not told.
pub(crate) fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let text = info.payload().downcast_ref::<String>();
            if !text.is_some_and(|text| text.contains(PANIC)) {
                before(info);
            }
        }));
    });
}

/// One run.
pub(crate) struct Play {
    floor: Rc<Floor>,
    host: Option<Host>,
    directory: tempfile::TempDir,
    /// What differs by seed in the configuration.
    settings: String,
    seed: u64,
    late: bool,
    /// How often the process was started with files of its own.
    places: u32,
    clients: Vec<Client>,
    admitted: u64,
    memory: Memory,
    breaks: Break,
    /// Connections may be closed for what the seed has done: a version panics, or the store fails.
    panics: bool,
    failing: bool,
    has_failed: bool,
    /// What is never given back, where that is what is broken.
    keeps: Option<Lease<Instance>>,
    /// The host was just asked whether it has something to do, and has not.
    idle: bool,
}

impl Play {
    /// Plays a seed.
    pub(crate) async fn run(seed: u64, breaks: Break) -> Result<(), String> {
        clock::begin_at(BEGIN);
        GROUND.take();
        let floor = Floor::new(seed, breaks);
        let (settings, late) = settings(&mut floor.chance.borrow_mut());
        let directory = place();
        let clients = (1..=CLIENTS).map(Client::new).collect();
        let mut play = Play {
            floor,
            host: None,
            directory,
            settings,
            seed,
            late,
            places: 0,
            clients,
            admitted: 0,
            memory: Memory::default(),
            breaks,
            panics: false,
            failing: false,
            has_failed: false,
            keeps: None,
            idle: false,
        };
        let played = play.all().await;
        // What goes now goes as it does in a process that is killed.
        GROUND.with_borrow_mut(|ground| ground.dead = true);
        play.tear_down();
        played
    }

    async fn all(&mut self) -> Result<(), String> {
        fs::create_dir(self.path("components")).map_err(|error| error.to_string())?;
        fs::create_dir(self.path("data-0")).map_err(|error| error.to_string())?;
        self.deploy("clerk", 1);
        self.deploy("teller", 1);
        self.boot().await?;
        for _ in 0..STEPS {
            self.step().await?;
            self.look()?;
        }
        self.settle().await
    }

    async fn step(&mut self) -> Result<(), String> {
        let what = self.floor.chance.borrow_mut().below(1000);
        self.idle = false;
        match what {
            0..380 => drop(self.floor.work()),
            380..600 => self.speak(),
            600..840 => {
                let at = self.floor.chance.borrow_mut().place(self.clients.len());
                self.hear(at)?;
            }
            840..890 => self.idle = !self.host().step(),
            890..960 => {
                let millis = {
                    let chance = &mut *self.floor.chance.borrow_mut();
                    if chance.percent(8) { 700 } else { 1 + chance.below(30) }
                };
                self.pass(Duration::from_millis(millis)).await;
            }
            _ => self.operate().await?,
        }
        // What the kernel knows of sockets is told.
        yield_now().await;
        Ok(())
    }

    fn host(&mut self) -> &mut Host {
        self.host.as_mut().expect("it was started")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Time passes, for everybody.
    async fn pass(&mut self, span: Duration) {
        tell!("{span:?} pass");
        tokio::time::advance(span).await;
        yield_now().await;
        self.host().look_after();
    }

    /// A peer connects, thinks of something, sends, or goes.
    fn speak(&mut self) {
        let chance = &mut *self.floor.chance.borrow_mut();
        let at = chance.place(self.clients.len());
        let client = &mut self.clients[at];
        if client.connection.is_none() {
            let theirs = client.connect();
            let worker = chance.place(WORKERS);
            let peer = Peer::Inet(SocketAddr::from(([192, 0, 2, chance.below(200) as u8], 4000)));
            let desk = self
                .host
                .as_ref()
                .and_then(|host| host.snapshot().services.iter().position(|service| &*service.name == "desk"));
            let socket = UnixStream::from_std(theirs).map(Socket::Unix);
            let taken = match (desk, socket) {
                (Some(desk), Ok(socket)) => self.floor.workers.borrow()[worker].take(desk, socket, peer),
                _ => false,
            };
            tell!("client {} connects to worker {worker}: {taken}", client.id);
            if !taken {
                client.lose();
            }
            return;
        }
        match chance.below(10) {
            0..6 if client.waits_for() < 30 => {
                let said = client.ask(chance, self.breaks);
                tell!("client {} says {said}", client.id);
            }
            0..9 => {
                let sent = client.send(chance, false);
                tell!("client {} sends {sent}", client.id);
            }
            _ if chance.percent(6) => {
                tell!("client {} goes", client.id);
                client.lose();
            }
            _ => {}
        }
    }

    /// A peer hears.
    fn hear(&mut self, at: usize) -> Result<(), String> {
        let client = &mut self.clients[at];
        let heard = client.hear()?;
        if !heard.lines.is_empty() {
            tell!("client {} hears{}", client.id, heard.lines);
        }
        self.admitted += heard.units;
        if heard.closed {
            self.closed(at)?;
        }
        Ok(())
    }

    /// 2. A connection has come to its end, for a reason.
    fn closed(&mut self, at: usize) -> Result<(), String> {
        let client = &mut self.clients[at];
        let goodbye = client.connection.as_ref().is_some_and(|connection| connection.goodbye);
        tell!("client {} is closed", client.id);
        client.lose();
        if goodbye || self.panics || self.has_failed {
            return Ok(());
        }
        Err(format!("the connection of client {} was closed for nothing", client.id))
    }

    /// Something that operators do, or that happens to them.
    async fn operate(&mut self) -> Result<(), String> {
        let what = self.floor.chance.borrow_mut().below(120);
        match what {
            0..40 => {
                let teller: &[u32] = match self.breaks {
                    Break::ForgetsAColumn => &[2, 3, 6],
                    Break::ForgetsOfAState => &[2, 3, 9],
                    _ if self.seed.is_multiple_of(3) => &[1, 2, 3, 4, 5, 7, 8],
                    _ => &[1, 2, 3],
                };
                let edition = *self.floor.chance.borrow_mut().pick(teller);
                self.deploy("teller", edition);
                self.reload();
            }
            40..50 => {
                let edition = *self.floor.chance.borrow_mut().pick(&[1, 2]);
                self.deploy("clerk", edition);
                self.reload();
            }
            50..56 => self.reload(),
            56..64 => {
                let rolled = self.host().roll_back("teller").map(|rolled| rolled.publication);
                tell!("rollback: {rolled:?}");
            }
            64..72 => {
                let rolled = self.host().promote("teller", None).map(|rolled| rolled.publication);
                tell!("promote: {rolled:?}");
            }
            72..78 => self.crash().await?,
            78..82 => self.restart().await?,
            82..88 if self.seed.is_multiple_of(2) => {
                self.failing = !self.failing;
                self.has_failed = true;
                tell!("the store fails: {}", self.failing);
                if let Some(shop) = &*self.floor.shop.borrow() {
                    shop.fail(self.failing);
                }
            }
            88..94 if self.breaks == Break::PublishesAnOlder => {
                let host = self.host();
                let now = host.snapshot();
                let Snapshot { number, services, upstreams, accounts, agreements, traces } = &*now;
                host.publish(Snapshot {
                    number: number.saturating_sub(1),
                    services: services.clone(),
                    upstreams: upstreams.clone(),
                    accounts: accounts.clone(),
                    agreements: agreements.clone(),
                    traces: traces.clone(),
                });
            }
            88..94 if self.breaks == Break::KeepsALease && self.keeps.is_none() => {
                self.keeps = self.host().snapshot().services.iter().find_map(|service| service.instance.clone());
            }
            _ => {}
        }
        Ok(())
    }

    /// A file lies in the components directory, instead of what was there.
    fn deploy(&mut self, component: &str, edition: u32) {
        tell!("deploy {component} {edition}");
        self.panics |= component == "teller" && edition == 4;
        let found = EDITIONS.iter().find(|one| one.component == component && one.edition == edition);
        let content = found.expect("an edition").content();
        let file = self.path("components").join(format!("{component}.so"));
        fs::write(&file, content).expect("a file");
        // The host looks at the oldest first; files have the simulation's time.
        let now = SystemTime::UNIX_EPOCH + Duration::from_nanos(clock::time_of_day());
        fs::File::options().write(true).open(file).and_then(|file| file.set_modified(now)).expect("a time");
    }

    fn reload(&mut self) {
        let before = GROUND.with_borrow(|ground| ground.mapped.clone());
        let report = self.host().reload();
        tell!("reload: publication {}, {:?}", report.publication, report.lines());
        if self.breaks == Break::UnmapsEarly {
            let serving: Vec<String> = self
                .host()
                .snapshot()
                .services
                .iter()
                .filter_map(|one| Some(one.instance.as_ref()?.version.to_string()))
                .collect();
            GROUND.with_borrow_mut(|ground| {
                ground.mapped.retain(|one| {
                    let edition = EDITIONS.iter().find(|it| (it.component, it.edition) == *one).expect("an edition");
                    let name = format!("{}@{}#", edition.component, edition.number);
                    !before.contains(one) || serving.iter().any(|version| version.starts_with(&name))
                });
            });
        }
    }

    /// The process is started, with the files that there are.
    async fn boot(&mut self) -> Result<(), String> {
        let config = self.path("tandem.toml");
        let data = format!("components = \"components\"\ndata = \"data-{}\"\n{}", self.places, self.settings);
        fs::write(&config, data).map_err(|error| error.to_string())?;
        let late = self.late.then_some(self.seed);
        let started = Host::start(Box::new(OnFloor(Rc::clone(&self.floor))), Source::File(config), late);
        let (host, report) = started.map_err(|error| format!("the host does not start: {error:#}"))?;
        tell!("it starts: publication {}, {:?}", report.publication, report.lines());
        self.host = Some(host);
        let served = self.host().snapshot().services.iter().all(|service| service.instance.is_some());
        if !served || report.error.is_some() {
            // What lies there cannot serve: whoever has started it puts something else there.
            self.deploy("teller", 3);
            self.reload();
        }
        yield_now().await;
        Ok(())
    }

    /// The process is killed: what is left are its files, and what it had given to the kernel.
    async fn crash(&mut self) -> Result<(), String> {
        let (old, new) = (self.path(&format!("data-{}", self.places)), self.path(&format!("data-{}", self.places + 1)));
        tell!("it is killed");
        if self.seed % 7 == 6 {
            self.ended_by_a_teller(&old)?;
        }
        copy(&old, &new).map_err(|error| format!("its files cannot be copied: {error}"))?;
        self.places += 1;
        GROUND.with_borrow_mut(|ground| ground.dead = true);
        self.tear_down();
        GROUND.with_borrow_mut(|ground| (ground.dead, ground.mapped) = (false, Default::default()));
        self.begin_again().await
    }

    /// What is killed has ended itself, in the code of the teller that serves: the next run quarantines that.
    fn ended_by_a_teller(&mut self, data: &Path) -> Result<(), String> {
        let snapshot = self.host().snapshot();
        let desk = snapshot.services.iter().find(|service| &*service.name == "desk");
        let Some(instance) = desk.and_then(|desk| desk.instance.as_ref()) else { return Ok(()) };
        tell!("… by {}", instance.version);
        let line = format!("signal 11 instance {} session 1 what 2\n", instance.as_ref().number);
        fs::write(data.join("crash"), line).map_err(|error| error.to_string())
    }

    /// The process is stopped, and another one started.
    async fn restart(&mut self) -> Result<(), String> {
        tell!("it is stopped");
        self.host().tell_to_stop();
        for _ in 0..2000 {
            while self.floor.work() {}
            if self.floor.workers.borrow().iter().all(|worker| worker.has_ended()) {
                break;
            }
            tokio::time::advance(Duration::from_millis(5)).await;
            yield_now().await;
            for at in 0..self.clients.len() {
                self.hear_the_last(at)?;
            }
        }
        if !self.floor.workers.borrow().iter().all(|worker| worker.has_ended()) {
            return Err("a worker does not stop".to_owned());
        }
        self.floor.workers.borrow_mut().clear();
        self.floor.at_once.set(true);
        while self.floor.work() {}
        let overdue = self.host.take().map(Host::stop).unwrap_or_default();
        self.floor.at_once.set(false);
        if !overdue.is_empty() && self.keeps.is_none() {
            return Err(format!("it does not stop: {overdue:?}"));
        }
        self.tear_down();
        GROUND.with_borrow_mut(|ground| ground.mapped.clear());
        self.begin_again().await
    }

    fn tear_down(&mut self) {
        self.keeps = None;
        self.floor.workers.borrow_mut().clear();
        self.host = None;
        self.floor.aside.borrow_mut().clear();
        *self.floor.reserving.borrow_mut() = None;
        *self.floor.shop.borrow_mut() = None;
    }

    async fn begin_again(&mut self) -> Result<(), String> {
        for at in 0..self.clients.len() {
            self.hear_the_last(at)?;
            self.clients[at].lose();
        }
        self.failing = false;
        self.memory = Memory::default();
        self.boot().await
    }

    /// Hears what was sent before the end, which may have come.
    fn hear_the_last(&mut self, at: usize) -> Result<(), String> {
        let heard = self.clients[at].hear()?;
        if !heard.lines.is_empty() {
            tell!("client {} hears at the end{}", self.clients[at].id, heard.lines);
        }
        self.admitted += heard.units;
        if heard.closed {
            self.clients[at].lose();
        }
        Ok(())
    }

    /// Looks whether the invariants hold.
    fn look(&mut self) -> Result<(), String> {
        let Some(host) = &self.host else { return Ok(()) };
        let workers = self.floor.workers.borrow();
        let sight = Sight {
            host,
            versions: host.versions(),
            workers: workers.iter().map(|worker| (worker.publication(), worker.sessions())).collect(),
            idle: self.idle && self.floor.aside.borrow().is_empty() && !workers.iter().any(|worker| worker.is_woken()),
        };
        invariants::no_session_is_unmapped(&sight)?;
        invariants::limits_hold(self.admitted, QUOTA)?;
        invariants::who_is_free_retires(&sight, &mut self.memory)?;
        invariants::publications_grow(&sight, &mut self.memory)
    }

    /// Nothing happens any more that nobody waits for: all that was asked is answered, and what nobody needs is gone.
    async fn settle(&mut self) -> Result<(), String> {
        tell!("it settles");
        self.failing = false;
        if let Some(shop) = &*self.floor.shop.borrow() {
            shop.fail(false);
        }
        for at in 0..self.clients.len() {
            if self.clients[at].connection.is_some() {
                self.clients[at].ask_row(&mut self.floor.chance.borrow_mut());
            }
        }
        for _ in 0..400 {
            for at in 0..self.clients.len() {
                self.clients[at].send(&mut self.floor.chance.borrow_mut(), true);
            }
            yield_now().await;
            while self.floor.work() || self.host().step() {}
            self.idle = true;
            for at in 0..self.clients.len() {
                self.hear(at)?;
            }
            self.look()?;
            if self.clients.iter().all(|client| client.waits_for() == 0) {
                break;
            }
            self.pass(Duration::from_millis(20)).await;
        }
        if let Some(client) = self.clients.iter().find(|client| client.waits_for() > 0) {
            return Err(format!(
                "an event is lost: client {} waits for {} answers, and its connection stands",
                client.id,
                client.waits_for()
            ));
        }
        // Beyond the drain deadline and the time for a goodbye.
        for _ in 0..80 {
            self.pass(Duration::from_millis(100)).await;
            while self.floor.work() || self.host().step() {}
            self.idle = true;
            yield_now().await;
            for at in 0..self.clients.len() {
                self.hear(at)?;
            }
            self.look()?;
        }
        let loaded = self.host().versions().into_iter().filter(|version| version.loaded);
        match loaded
            .clone()
            .find(|version| version.stage != "active" && version.stage != "canary" && version.kept.is_empty())
        {
            Some(version) => Err(format!("{version:?} is not retired, long after its deadline")),
            None => Ok(()),
        }
    }
}

/// A directory in memory, where there is one: nothing here is to outlive a power cut.
fn place() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a directory")
}

fn copy(from: &PathBuf, to: &PathBuf) -> std::io::Result<()> {
    fs::create_dir(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let (path, to) = {
            let entry = entry?;
            (entry.path(), to.join(entry.file_name()))
        };
        if path.is_dir() {
            copy(&path, &to)?;
        } else if path.extension().is_none_or(|extension| extension != "sqlite-shm") {
            fs::copy(&path, &to)?;
        }
    }
    Ok(())
}

/// What the configuration says beyond its directories, and whether answers come late.
fn settings(chance: &mut Chance) -> (String, bool) {
    let keep = chance.below(3);
    let canary = if chance.percent(25) { "canary = { share = \"40%\", for = \"2s\", samples = 2 }\n" } else { "" };
    let late = chance.percent(20);
    let policy = if chance.percent(15) { "policy = \"pin\"\n" } else { "" };
    let settings = format!(
        "workers = {WORKERS}\nshutdown = \"1s\"\n\
         [service.desk]\ncomponent = \"teller\"\n{policy}config = {{}}\n\
         [service.back]\ncomponent = \"clerk\"\nconfig = {{}}\n\
         [agreement.gold]\naccounts = [\"*\"]\nservices = [\"desk\"]\nquota = {{ day = {QUOTA} }}\n\
         [component.teller]\nversions = {{ drain = \"3s\", goodbye = \"500ms\", rate = 0, keep = {keep} }}\n\
         rollback = {{ failures = 2, share = \"1%\", within = \"60s\" }}\n{canary}\
         [component.clerk]\nversions = {{ drain = \"3s\", goodbye = \"500ms\", rate = 0, keep = 0 }}\n"
    );
    (settings, late)
}
