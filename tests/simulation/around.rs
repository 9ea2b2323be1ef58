//! What the simulated host has around it: [`Floor`]. Libraries are compiled in, the store is written when it is its turn, and workers
//! are polled one after the other; whose turn it is, the seed says.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tandem::agreement::Usage;
use tandem::agreement::usage::{Deliver as TellReserved, Reserving};
use tandem::clock::Clock;
use tandem::host::{Around, Passed};
use tandem::loader::code::{Code, Mapped};
use tandem::loader::examine::{Limits, Trial};
use tandem::loader::library::Closed;
use tandem::loader::manifest::Manifest;
use tandem::loader::shelf::{Shelf, Shelved};
use tandem::observe::crash;
use tandem::store::sqlite::{Deliver, OpenError, Sqlite};
use tandem::store::{
    self, Failure, Found, Home, Migrant, Migration, Operation, Reader, Settled, Step, Store, Transaction, Unfit, table,
};
use tandem::version::Snapshot;
use tandem::version::table::Table;
use tandem::worker::by_hand::ByHand as Worker;
use tandem::worker::{Handle, Seat, Watchdog};
use tandem_component::export::Exported;
use tandem_component::manifest;
use tandem_component::memory::Memory;

use super::Break;
use super::chance::Chance;
use super::components::{Clerk, GROUND, Teller};

/// All that is around the host.
pub(crate) struct Floor {
    pub(crate) chance: RefCell<Chance>,
    pub(crate) workers: RefCell<Vec<Worker>>,
    pub(crate) shop: RefCell<Option<Arc<Shop>>>,
    pub(crate) reserving: RefCell<Option<Reserving>>,
    /// What is to be done on threads of its own.
    pub(crate) aside: RefCell<VecDeque<Box<dyn FnOnce() + Send>>>,
    /// That is done at once: nobody has turns any more.
    pub(crate) at_once: Cell<bool>,
    /// How often others had to work while the host waited: it does not wait for ever.
    waited: Cell<u32>,
    breaks: Break,
}

impl Floor {
    pub(crate) fn new(seed: u64, breaks: Break) -> Rc<Self> {
        Rc::new(Floor {
            chance: RefCell::new(Chance::of(seed)),
            workers: RefCell::default(),
            shop: RefCell::default(),
            reserving: RefCell::default(),
            aside: RefCell::default(),
            at_once: Cell::new(false),
            waited: Cell::new(0),
            breaks,
        })
    }

    /// One of those that have something to do does some of it. False where nobody has.
    pub(crate) fn work(&self) -> bool {
        let first = self.chance.borrow_mut().below(5);
        (0..5).any(|more| match (first + more) % 5 {
            0 => self.reserving.borrow().as_ref().is_some_and(Reserving::step),
            1 => self.shop.borrow().as_ref().is_some_and(|shop| shop.step(&mut self.chance.borrow_mut())),
            2 => self.do_aside(),
            other => {
                let mut workers = self.workers.borrow_mut();
                let count = workers.len();
                let at = usize::try_from(other).expect("small");
                count > 0 && workers[at % count].turn()
            }
        })
    }

    fn do_aside(&self) -> bool {
        let work = self.aside.borrow_mut().pop_front();
        work.map(|work| work()).is_some()
    }
}

/// The host's hold on its floor.
pub(crate) struct OnFloor(pub(crate) Rc<Floor>);

impl Around for OnFloor {
    fn begin(&self, data: &Path, _: &Shelf) -> anyhow::Result<crash::Run> {
        Ok(crash::Run::unwatched(data)?)
    }

    fn watchdog(&self, _: &Clock) -> io::Result<Watchdog> {
        Ok(Watchdog::asleep())
    }

    fn usage(&self, store: store::Handle, workers: usize, epoch: u64, deliver: TellReserved) -> io::Result<Usage> {
        let (usage, reserving) = Usage::unattended(store, workers, epoch, deliver);
        *self.0.reserving.borrow_mut() = Some(reserving);
        Ok(usage)
    }

    fn worker(&self, seat: Seat, table: &Table<Snapshot>, clock: &Clock, _: &Watchdog) -> io::Result<Handle> {
        let (handle, worker) = Worker::start(seat, table, clock);
        self.0.workers.borrow_mut().push(worker);
        Ok(handle)
    }

    fn manifest(&self, library: &Path) -> Result<Manifest, String> {
        let edition = Edition::in_file(library)?;
        Manifest::from_json((edition.manifest)(), 1..=tandem_component::abi::REVISION)
            .map_err(|error| error.to_string())
    }

    fn examine(&self, library: &Shelved, _: &[Trial], _: Limits) -> Result<Passed, String> {
        let edition = Edition::in_file(&library.path)?;
        if edition.edition == 7 {
            return Err("it does not pass".to_owned());
        }
        let load = Box::new(move |_: &Shelf, manifest| {
            let mapped = GROUND.with_borrow_mut(|ground| ground.mapped.insert((edition.component, edition.edition)));
            if !mapped {
                return Err(format!("{} {} is mapped already", edition.component, edition.edition));
            }
            (edition.code)(Box::new(Library(edition)), manifest)
        });
        Ok(Passed { lingers: None, lacks: Vec::new(), load })
    }

    fn open_store(&self, file: &Path, deliver: Deliver) -> Result<Box<dyn Store>, OpenError> {
        let shop = Arc::new(Shop::open(file, deliver, self.0.breaks)?);
        *self.0.shop.borrow_mut() = Some(Arc::clone(&shop));
        Ok(Box::new(InShop(shop)))
    }

    fn start(&self, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        // The host waits for it, and none of these components takes its time.
        work();
        Ok(())
    }

    fn aside(&self, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        if self.0.at_once.get() {
            work();
        } else {
            self.0.aside.borrow_mut().push_back(work);
        }
        Ok(())
    }

    fn have_others_work(&self) -> bool {
        const PATIENCE: u32 = 100_000;
        self.0.waited.set(self.0.waited.get() + 1);
        let waits = self.0.waited.get() < PATIENCE;
        assert!(waits, "the host waits for workers that do not say a word");
        // Where nobody has anything to do, it waits for nothing.
        self.0.work()
    }
}

/// An edition of a component, as its library.
#[derive(Clone, Copy)]
pub(crate) struct Edition {
    pub(crate) component: &'static str,
    pub(crate) edition: u32,
    pub(crate) number: &'static str,
    manifest: fn() -> &'static [u8],
    code: fn(Box<dyn Mapped>, Manifest) -> Result<Code, String>,
}

impl Edition {
    /// The one that a file stands for: its content is the component and the edition.
    fn in_file(file: &Path) -> Result<&'static Self, String> {
        let content = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
        let found = EDITIONS.iter().find(|one| one.content() == content);
        found.ok_or_else(|| format!("{content:?} is no edition"))
    }

    pub(crate) fn content(&self) -> String {
        format!("{} {}", self.component, self.edition)
    }
}

struct Library(&'static Edition);

impl Mapped for Library {
    fn range(&self) -> Range<usize> {
        0..0
    }

    fn close(self: Box<Self>) -> Closed {
        GROUND.with_borrow_mut(|ground| ground.mapped.remove(&(self.0.component, self.0.edition)));
        Closed::Unmapped
    }
}

/// What `export_component!` says of a library, for one that is compiled in.
struct Built<C, const NUMBER: usize>(std::marker::PhantomData<C>);

macro_rules! editions {
    ($($component:literal $edition:literal $number:literal $type:ty;)*) => {
        $(const _: () = {
            const LENGTH: usize = manifest::encoded_length::<Built<$type, $edition>>($component, $number);
            static MANIFEST: [u8; LENGTH] = manifest::encode::<Built<$type, $edition>, LENGTH>($component, $number);
            impl Exported for Built<$type, $edition> {
                type Component = $type;
                fn manifest() -> &'static [u8] {
                    &MANIFEST
                }
                fn memory() -> Option<&'static Memory> {
                    None
                }
            }
        };)*

        /// All editions there are.
        pub(crate) static EDITIONS: &[Edition] = &[$(Edition {
            component: $component,
            edition: $edition,
            number: $number,
            manifest: <Built<$type, $edition> as Exported>::manifest,
            code: Code::compiled_in::<Built<$type, $edition>>,
        }),*];
    };
}

editions! {
    "teller" 1 "1.0.0" Teller<1>;
    "teller" 2 "1.1.0" Teller<2>;
    "teller" 3 "1.2.0" Teller<3>;
    "teller" 4 "1.3.0" Teller<4>;
    "teller" 5 "1.4.0" Teller<5>;
    "teller" 6 "1.0.1" Teller<6>;
    "teller" 7 "1.5.0" Teller<7>;
    "teller" 8 "1.6.0" Teller<8>;
    "teller" 9 "1.0.2" Teller<9>;
    "clerk" 1 "1.0.0" Clerk<1>;
    "clerk" 2 "1.1.0" Clerk<2>;
}

/// The edition of a component with a number.
pub(crate) fn edition_of(component: &str, number: &str) -> Option<&'static Edition> {
    EDITIONS.iter().find(|one| one.component == component && one.number == number)
}

/// The store: SQLite, whose writer has its turns, and which fails when the seed says so.
pub(crate) struct Shop {
    sqlite: Sqlite,
    deliver: Arc<Mutex<Deliver>>,
    /// Who was told before it was committed.
    told: Arc<Mutex<Vec<Home>>>,
    state: Mutex<Counter>,
    breaks: Break,
}

#[derive(Default)]
struct Counter {
    waiting: VecDeque<Transaction>,
    failing: bool,
}

impl Shop {
    fn open(file: &Path, deliver: Deliver, breaks: Break) -> Result<Self, OpenError> {
        let deliver = Arc::new(Mutex::new(deliver));
        let tell = Arc::clone(&deliver);
        let told: Arc<Mutex<Vec<Home>>> = Arc::default();
        let early = Arc::clone(&told);
        let sqlite = Sqlite::open_by_hand(
            file,
            Box::new(move |worker, mut settled| {
                // Who was told early is not told again.
                let mut early = lock(&early);
                settled
                    .retain(|one| early.iter().position(|home| *home == one.home).map(|at| early.remove(at)).is_none());
                lock(&tell)(worker, settled);
            }),
        )?;
        Ok(Shop { sqlite, deliver, told, state: Mutex::default(), breaks })
    }

    /// From now on nothing can be written, or everything can be again.
    pub(crate) fn fail(&self, failing: bool) {
        lock(&self.state).failing = failing;
    }

    /// Some of what waits is written. False where nothing waits.
    fn step(&self, chance: &mut Chance) -> bool {
        let waiting = lock(&self.state).waiting.len();
        if waiting == 0 {
            return false;
        }
        self.write_some(chance.place(waiting) + 1);
        true
    }

    fn write_some(&self, count: usize) {
        let mut state = lock(&self.state);
        let some: Vec<Transaction> = state.waiting.drain(..count).collect();
        let failing = state.failing;
        drop(state);
        for transaction in some {
            if failing {
                let outcome = Err(Failure::Unavailable("the seed says so".to_owned()));
                lock(&self.deliver)(transaction.home.worker, vec![Settled { home: transaction.home, outcome }]);
            } else {
                self.sqlite.give(transaction);
            }
        }
        self.sqlite.step();
    }

    /// What was given comes before what is asked for now.
    fn catch_up(&self) -> Result<(), Failure> {
        let waiting = lock(&self.state).waiting.len();
        self.write_some(waiting);
        if lock(&self.state).failing { Err(Failure::Unavailable("the seed says so".to_owned())) } else { Ok(()) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The host's hold on its store.
struct InShop(Arc<Shop>);

impl Store for InShop {
    fn reader(&self) -> Result<Box<dyn Reader>, Failure> {
        self.0.sqlite.reader()
    }

    fn give(&self, transaction: Transaction) {
        // What asks as well has to wait for its answers.
        let only_writes = |step: &Step| matches!(step.operation, Operation::Add { .. } | Operation::Update { .. });
        if self.0.breaks == Break::AcknowledgesEarly && transaction.steps.iter().all(only_writes) {
            lock(&self.0.told).push(transaction.home);
            let settled = Settled { home: transaction.home, outcome: Ok(Vec::new()) };
            lock(&self.0.deliver)(transaction.home.worker, vec![settled]);
        }
        lock(&self.0.state).waiting.push_back(transaction);
    }

    fn write(&self, steps: Vec<Step>) -> Result<Vec<(u64, Found)>, Failure> {
        if self.0.breaks == Break::ForgetsReservations && steps.iter().any(|step| step.table.name == "agreements") {
            return Ok(Vec::new());
        }
        self.0.catch_up()?;
        self.0.sqlite.write(steps)
    }

    fn compare(&self, version: &Migrant<'_>, tables: &[table::Table]) -> Result<(), Unfit> {
        self.0.catch_up()?;
        self.0.sqlite.compare(version, tables)
    }

    fn migrate(&self, version: &Migrant<'_>, tables: &[table::Table]) -> Result<(), Unfit> {
        self.0.catch_up()?;
        self.0.sqlite.migrate(version, tables)
    }

    fn history(&self) -> Result<Vec<Migration>, Failure> {
        self.0.catch_up()?;
        self.0.sqlite.history()
    }
}
