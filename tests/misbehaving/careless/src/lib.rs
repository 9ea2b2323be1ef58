//! Echoes lines and datagrams, and does what they say: leaves things behind on the host's threads, as real dependencies
//! of components do, panics, does not come back, does not let itself be moved, or does not stop.
//!
//! All of it is cured by the host when the version retires, but for `thread`, which holds the library for good, and `hang`,
//! which holds the worker.

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::path::PathBuf;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use tandem_component::prelude::*;

/// The protocol: a line, and the same line back.
pub struct Careless {
    /// It does not stop before this file is there.
    stops_with: Option<PathBuf>,
    /// Nor does it come back from `hold`.
    comes_back_with: Option<PathBuf>,
    /// While this is there it holds where a session is opened.
    opens_without: Option<PathBuf>,
}

/// What it may be told to do wrong before it serves.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// To start a thread that never ends, unless it is being examined.
    #[serde(default)]
    thread: bool,
    /// To wait for this file before it stops, unless it is being examined.
    stops_with: Option<PathBuf>,
    /// To wait for this file, busily, where it is told `hold`.
    comes_back_with: Option<PathBuf>,
    /// To do so where a session is opened while this file is there.
    opens_without: Option<PathBuf>,
}

/// One conversation.
#[derive(Default, Serialize, Deserialize)]
pub struct Conversation {
    /// How many lines there were.
    lines: u64,
    /// Between `begin` and `end`: at no boundary, and no other version takes it over.
    begun: bool,
    /// After `dawdle` it takes its time over its goodbye.
    dawdles: bool,
    /// After `finish` it has half closed, and closes with the next line.
    #[serde(default)]
    finished: bool,
    /// After `hold at goodbye` it does not come back from it.
    #[serde(default)]
    holds: bool,
}

impl Component for Careless {
    type Config = Option<Settings>;
    type Session = Conversation;
    const POLICY: Policy = Policy::Carry;

    fn start(settings: Option<Settings>, _: &Starting<'_>) -> Result<Self, Refusal> {
        let examined = std::env::args().nth(1).is_some_and(|command| command == "examine");
        let settings = settings.filter(|_| !examined);
        if settings.as_ref().is_some_and(|settings| settings.thread) {
            act(b"thread");
        }
        Ok(match settings {
            None => Careless { stops_with: None, comes_back_with: None, opens_without: None },
            Some(Settings { stops_with, comes_back_with, opens_without, .. }) => {
                Careless { stops_with, comes_back_with, opens_without }
            }
        })
    }

    fn open(&self, _: &Opening<'_>) -> Result<Conversation, Refusal> {
        if self.opens_without.as_ref().is_some_and(|file| file.exists()) {
            self.hold();
        }
        Ok(Conversation::default())
    }
}

impl Careless {
    /// Does not come back before it may, and wants all of its thread until then.
    fn hold(&self) {
        tracing::info!("holds");
        while !self.comes_back_with.as_ref().is_some_and(|file| file.exists()) {
            std::hint::spin_loop();
        }
    }
}

impl Drop for Careless {
    fn drop(&mut self) {
        act(b"thread-local");
        while self.stops_with.as_ref().is_some_and(|file| !file.exists()) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Session for Conversation {
    type Component = Careless;
    type Then = ();

    fn handle(&mut self, careless: &Careless, event: Event<'_, ()>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        match event {
            Event::Bytes { stream, bytes } => {
                let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(()) };
                if self.finished {
                    out.close(stream);
                    return Ok(());
                }
                match &bytes[..end] {
                    b"begin" => self.begun = true,
                    b"end" => self.begun = false,
                    b"dawdle" => self.dawdles = true,
                    b"hold" => careless.hold(),
                    b"hold at goodbye" => self.holds = true,
                    line => act(line),
                }
                out.send(stream, &bytes[..=end]);
                if &bytes[..end] == b"finish" {
                    out.finish(stream);
                    self.finished = true;
                }
                out.consume(end + 1);
                self.lines += 1;
            }
            Event::Datagram { bytes } => {
                match bytes {
                    b"hold" => careless.hold(),
                    bytes => act(bytes),
                }
                out.send(Stream::OWN, bytes);
            }
            Event::End { stream } => out.close(stream),
            Event::Drain { .. } => {
                if self.holds {
                    careless.hold();
                }
                if self.dawdles {
                    tracing::info!("dawdles");
                    std::thread::sleep(DAWDLE);
                }
                out.close(Stream::OWN);
            }
            _ => {}
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        !self.begun
    }

    fn resumed(&mut self, _: &Careless, _: &Opening<'_>) -> Result<(), Refusal> {
        if self.begun { Err("it is in the middle of something".into()) } else { Ok(()) }
    }

    fn last_words(&mut self, _: &Careless, out: &mut Out<'_, Self>) {
        out.send(Stream::OWN, b"sorry\n");
    }
}

export_component!(Careless);

/// How long it lets a worker wait: long enough for peers to say something meanwhile.
const DAWDLE: Duration = Duration::from_secs(2);

/// How long it sleeps where it is told `nap`.
const NAP: Duration = Duration::from_millis(100);
/// What `leak` does not free.
const LEAK: usize = 4321;
/// What `hoard` keeps as long as the library is there.
const HOARDED: usize = 1 << 20;
static HOARD: std::sync::Mutex<Vec<Vec<u8>>> = std::sync::Mutex::new(Vec::new());

fn act(line: &[u8]) {
    match line {
        b"panic" => panic!("as it was told"),
        b"panic in lines" => panic!("as it was told,\nin \"two\" lines"),
        b"log in lines" => tracing::warn!(said = "one\n\"two\"", "as it was told,\nin lines"),
        b"log" => tracing::info!(answer = 42, "as it was told"),
        b"thread-local" => {
            thread_local!(static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
            BUFFER.with_borrow_mut(|buffer| buffer.resize(1000, 1));
        }
        // Which nobody catches: std ends the process.
        b"thread-local that panics" => {
            struct Panics;
            impl Drop for Panics {
                fn drop(&mut self) {
                    panic!("as it was told");
                }
            }
            thread_local!(static LAST: Panics = const { Panics });
            LAST.with(|_| ());
        }
        b"current" => drop(std::hint::black_box(std::thread::current())),
        b"channel" => {
            let (sender, mut receiver) = tokio::sync::mpsc::channel::<u32>(1);
            let mut context = Context::from_waker(Waker::noop());
            assert!(pin!(receiver.recv()).as_mut().poll(&mut context).is_pending());
            sender.try_send(1).expect("there is room for one");
            assert!(pin!(receiver.recv()).as_mut().poll(&mut context).is_ready());
        }
        b"random" => _ = std::hint::black_box(rand::random::<u64>()),
        b"leak" => std::mem::forget(vec![1_u8; LEAK]),
        b"hoard" => HOARD.lock().expect("nobody panics with it").push(vec![1; HOARDED]),
        b"devour" => loop {
            std::mem::forget(std::hint::black_box(vec![1_u8; 1 << 16]));
        },
        b"thread" => drop(std::thread::spawn(|| hang())),
        b"exit" => std::process::exit(3),
        b"abort" => std::process::abort(),
        b"overflow" => drop(std::hint::black_box(deep(0))),
        b"nap" => std::thread::sleep(NAP),
        b"hang" => {
            tracing::info!("hangs");
            hang()
        }
        _ => {}
    }
}

fn hang() -> ! {
    loop {
        std::thread::park();
    }
}

/// Has more on the stack than there is room for.
#[expect(unconditional_recursion, reason = "that is what it is for")]
fn deep(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 512]);
    deep(depth + 1) + room[7]
}
