//! The child's side of the examination: `tandem examine`.
//!
//! It reads its request, confines itself, says each step before it enters it, and ends with a verdict. It may die at any of them; the
//! parent is prepared for that. Its verdicts go out where no `println!` of a component reaches: standard output is moved
//! aside first, and what is printed goes where errors go.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::check_layout_compatibility;
use abi_stable::library::{AbiHeaderRef, LibHeader};
use abi_stable::std_types::RSlice;
use tandem_component::abi::{self, ComponentTableRef, REVISION, Reply, Reports};

use super::confine::confine;
use super::{Layer, Line, Request, Resumed, Step, Trial};
use crate::loader::library::{Closed, Library};
use crate::loader::manifest::{self, Manifest};
use crate::loader::threads;

/// What the hidden subcommand `examine` does.
pub fn main(without: impl IntoIterator<Item = Layer>) -> ExitCode {
    match prepare().and_then(|(verdicts, request)| {
        let say = |line: Line| {
            let mut text = serde_json::to_vec(&line)?;
            text.push(b'\n');
            (&verdicts).write_all(&text)
        };
        let lacks = confine(request.limits, without.into_iter().collect(), &verdicts)?;
        say(Line::Lacks(lacks))?;
        match check(&request, &mut |line| say(line))? {
            Ok(lingers) => {
                say(Line::Entering(Step::End))?;
                say(Line::Passed { lingers })
            }
            Err(reason) => say(Line::Unfit { reason }),
        }
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Only reached if the parent is gone or is no tandem: there is nobody else to tell.
            eprintln!("tandem examine: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Goes through the steps. The outer error is ours, the inner one says what is wrong with the library.
fn check(request: &Request, say: &mut dyn FnMut(Line) -> io::Result<()>) -> io::Result<Result<Option<String>, String>> {
    /// Leaves with what is wrong.
    macro_rules! fit {
        ($result:expr) => {
            match $result {
                Ok(value) => value,
                Err(reason) => return Ok(Err(reason.to_string())),
            }
        };
    }
    let mut enter = |step| say(Line::Entering(step));
    let shelf = request.library.parent().unwrap_or(Path::new("/"));
    threads::watch(shelf).map_err(io::Error::other)?;

    enter(Step::Load)?;
    // SAFETY: this is the process that examines it: if its constructors do harm, they do it here.
    let library = fit!(unsafe { Library::load(&request.library) });

    enter(Step::Header)?;
    // SAFETY: the symbol is a static that begins with an `AbiHeader`, if the library is a component; `upgrade` looks at
    // its magic bytes first. If it lies, it harms this process only.
    let header = fit!(unsafe { library.symbol::<AbiHeaderRef>(abi::SYMBOL) }.map_err(|_| {
        format!("it has a manifest, but not the symbol `{}` that export_component! makes", abi::SYMBOL)
    }));
    let header = fit!(header.upgrade().map_err(|error| format!("its header does not fit this host: {error}")));

    enter(Step::Layout)?;
    let revision = fit!(Manifest::read(&request.library, 1..=REVISION)).api;
    fit!(check_layout(header, revision).map_err(|error| {
        format!(
            "its types are laid out differently from this host's; build it with the host's tandem-component ({})",
            first_words(&error)
        )
    }));
    // SAFETY: the layout has been checked in the line before. Package versions are not compared: what fits is decided by
    // the layout and the revision.
    let table = fit!(unsafe { header.unchecked_layout::<ComponentTableRef>() }.map_err(|error| format!("{error:?}")));

    enter(Step::Manifest)?;
    fit!(compare_manifests(&request.library, (table.manifest())().as_slice(), table.revision()));

    enter(Step::Panic)?;
    (table.begin())(abi::host_table::<Overheard>());
    if !(table.probe())() {
        return Ok(Err("it did not catch a panic of its own; build it with panic = \"unwind\"".to_owned()));
    }

    // All at once, as they will be in the host.
    let mut started = Vec::new();
    for trial in &request.trials {
        enter(Step::Start(trial.service.clone()))?;
        started.push((trial, fit!(start(table, trial))));
    }
    for (trial, component) in &started {
        for (which, session) in trial.states.iter().enumerate() {
            say(Line::Entering(Step::Resume(trial.service.clone())))?;
            if let Err(reason) = resume(table, *component, session) {
                say(Line::Refused { service: trial.service.clone(), which, reason })?;
            }
        }
    }
    let mut enter = |step| say(Line::Entering(step));
    for (trial, component) in started {
        enter(Step::Stop(trial.service.clone()))?;
        // SAFETY: the pointer is from `start` of this table, it has no sessions, and it is used no more.
        unsafe { (table.stop())(component) };
    }

    enter(Step::Unload)?;
    Ok(close(library))
}

/// Compares the layout of the library's types with that of ours, in full.
///
/// Tables of functions grow at their end, and abi_stable takes the longer one for the newer: a library of our revision has
/// to have all that we have, of one of an earlier revision we have to have all that it has. What it lacks is not used
/// before its revision was looked at.
fn check_layout(header: &LibHeader, revision: u32) -> Result<(), String> {
    let (ours, theirs) = (ComponentTableRef::LAYOUT, header.layout().ok_or("it has none")?);
    let (shorter, longer) = if revision < REVISION { (theirs, ours) } else { (ours, theirs) };
    check_layout_compatibility(shorter, longer).map_err(|errors| errors.to_string())
}

/// The beginning of an explanation of many lines, as one line.
fn first_words(text: &str) -> String {
    const WORDS: usize = 24;
    let mut words: Vec<&str> = text.split_whitespace().take(WORDS + 1).collect();
    if words.len() > WORDS {
        words[WORDS] = "…";
    }
    words.join(" ")
}

fn compare_manifests(library: &Path, in_code: &[u8], revision: u32) -> Result<(), String> {
    let in_file = Manifest::read(library, 1..=REVISION).map_err(|error| error.to_string())?;
    let in_code = Manifest::from_json(in_code, 1..=REVISION).map_err(|error| error.to_string())?;
    if in_file != in_code {
        return Err(format!(
            "its code is {} {}, and its section `{}` says {} {}; build it again",
            in_code.name,
            in_code.version,
            manifest::SECTION,
            in_file.name,
            in_file.version
        ));
    }
    if revision != in_file.api {
        return Err(format!(
            "its code has API revision {revision}, and its manifest says {}; build it again",
            in_file.api
        ));
    }
    Ok(())
}

fn start(table: ComponentTableRef, trial: &Trial) -> Result<*mut (), String> {
    let mut reason = Vec::new();
    let (starting, config) = (RSlice::from_slice(&trial.starting), RSlice::from_slice(&trial.config));
    let component = (table.start())(starting, config, &mut Reply::new(&mut reason));
    if !component.is_null() {
        return Ok(component);
    }
    let panic = LAST_PANIC.lock().ok().and_then(|mut last| last.take());
    let reason = panic.unwrap_or_else(|| String::from_utf8_lossy(&reason).into_owned());
    Err(format!("service `{}`: {reason}", trial.service))
}

/// Goes on with a session of another version, and ends it.
fn resume(table: ComponentTableRef, component: *mut (), session: &Resumed) -> Result<(), String> {
    let mut reason = Vec::new();
    let (opening, state) = (RSlice::from_slice(&session.opening), RSlice::from_slice(&session.state));
    // SAFETY: the pointer is from `start` of this table, and is stopped only after its sessions.
    let resumed = unsafe { (table.resume())(component, opening, state, &mut Reply::new(&mut reason)) };
    if resumed.is_null() {
        let panic = LAST_PANIC.lock().ok().and_then(|mut last| last.take());
        return Err(panic.unwrap_or_else(|| String::from_utf8_lossy(&reason).into_owned()));
    }
    // SAFETY: the pointer is from `resume` of this table and is used no more.
    unsafe { (table.close())(resumed) };
    Ok(())
}

/// Closes the library. What it leaves running is against the rules, what it leaves mapped is said.
fn close(mut library: Library) -> Result<Option<String>, String> {
    for _ in 0..PATIENCE {
        match library.close() {
            Closed::Unmapped => return Ok(None),
            Closed::Lingering { reason, library: None } | Closed::Unseen { reason, .. } => return Ok(Some(reason)),
            // A thread that it joined may have some steps to go.
            Closed::Lingering { library: Some(still), .. } => library = still,
        }
        thread::sleep(Duration::from_millis(10));
    }
    let holders = threads::holders(&library.range());
    let holders = holders.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Err(format!("it was stopped, and {holders}; a component starts no threads"))
}

/// What the component says meanwhile: panics are kept for the reason, warnings go where errors go.
struct Overheard;

impl Reports for Overheard {
    fn level() -> u32 {
        2
    }

    fn log(_level: u32, target: &str, message: &str, fields: &str) {
        eprintln!("{target}: {message} {fields}");
    }

    fn panicked(message: &str, location: &str) {
        if let Ok(mut last) = LAST_PANIC.lock() {
            *last = Some(format!("it panicked: {message} ({location})"));
        }
    }
}

static LAST_PANIC: Mutex<Option<String>> = Mutex::new(None);
/// How often a library that a thread still needs is closed, 10 ms apart.
const PATIENCE: usize = 30;
/// The bound of a request: the configurations of all services of one component.
const REQUEST_MAX: u64 = 64 << 20;

/// Takes care that nothing remains of this process, moves standard output aside, and reads the request.
fn prepare() -> io::Result<(File, Request)> {
    let verdicts = aside()?;
    let mut request = Vec::new();
    io::stdin().take(REQUEST_MAX).read_to_end(&mut request)?;
    Ok((verdicts, rmp_serde::from_slice(&request).map_err(io::Error::other)?))
}

#[cfg(unix)]
fn aside() -> io::Result<File> {
    use std::os::fd::{FromRawFd as _, OwnedFd};

    #[cfg(target_os = "linux")]
    {
        // SAFETY: the call changes one setting of this process: it dies with the thread that started it.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    }
    let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is a valid structure, read during the call.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &no_core) };

    let moved = |result: libc::c_int| if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) };
    // SAFETY: the calls make and replace descriptors of this process, which so far has only those that it was given.
    let aside = moved(unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_DUPFD_CLOEXEC, 3) })?;
    // SAFETY: as above.
    moved(unsafe { libc::dup2(libc::STDERR_FILENO, libc::STDOUT_FILENO) })?;
    // SAFETY: the descriptor was just made, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(aside) }.into())
}

#[cfg(windows)]
fn aside() -> io::Result<File> {
    use std::os::windows::io::AsHandle as _;
    // Standard output cannot be replaced here without the system's own calls; lines that are no verdicts are passed over.
    Ok(io::stdout().as_handle().try_clone_to_owned()?.into())
}
