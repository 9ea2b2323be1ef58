//! A receiver of webhooks that behaves as it is told to, each path in its own manner: [`Unruly`].

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

/// Where webhooks are told. Its threads end with the test's process.
#[derive(Debug)]
pub struct Unruly {
    /// Where it listens.
    pub port: u16,
    shared: Arc<Mutex<Shared>>,
}

/// What is done with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It is answered by 204.
    Good,
    /// It is read, and nothing is said.
    Hangs,
    /// It is answered by this, and the connection is kept.
    Says(String),
    /// It is answered by this, and the connection is closed.
    Breaks(String),
}

/// One request that was read whole.
#[derive(Clone, Debug)]
pub struct Telling {
    /// When.
    pub at: Instant,
    /// How it was answered.
    pub manner: Manner,
    /// The events' names.
    pub ids: Vec<String>,
}

#[derive(Debug, Default)]
struct Shared {
    manners: BTreeMap<String, Manner>,
    told: BTreeMap<String, Vec<Telling>>,
    wrong: Vec<String>,
}

impl Unruly {
    /// What events are signed with.
    pub const SECRET: &str = "unruly";

    /// Starts one, on which all paths are good.
    ///
    /// # Panics
    /// Where there is no free port.
    pub fn start() -> Self {
        Unruly::at(0)
    }

    /// Starts one at a port.
    ///
    /// # Panics
    /// Where it was taken in between.
    pub fn at(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::<Mutex<Shared>>::default();
        let ours = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&ours);
                thread::spawn(move || while take(&stream, &shared).is_some() {});
            }
        });
        Unruly { port, shared }
    }

    /// From now on a path is in this manner.
    pub fn behave(&self, path: &str, manner: Manner) {
        lock(&self.shared).manners.insert(path.to_owned(), manner);
    }

    /// What came for a path, in its order.
    pub fn told(&self, path: &str) -> Vec<Telling> {
        lock(&self.shared).told.get(path).cloned().unwrap_or_default()
    }

    /// The events that a path has taken, in their order, each as often as it was.
    pub fn taken(&self, path: &str) -> Vec<String> {
        self.told(path).into_iter().filter(|it| it.manner == Manner::Good).flat_map(|it| it.ids).collect()
    }

    /// Whatever should not have come.
    pub fn wrong(&self) -> Vec<String> {
        lock(&self.shared).wrong.clone()
    }
}

/// Takes one request; nothing where the connection is over.
fn take(mut stream: &TcpStream, shared: &Mutex<Shared>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = field(&head, "Content-Length").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let manner = {
        let mut shared = lock(shared);
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        if !is_signed(&head, &body) {
            shared.wrong.push(format!("not signed: {head}"));
        }
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        let events = said["events"].as_array().into_iter().flatten();
        let ids: Vec<String> = events.filter_map(|event| event["id"].as_str().map(str::to_owned)).collect();
        if ids.is_empty() {
            shared.wrong.push(format!("no events: {head}"));
        }
        let manner = shared.manners.get(&path).cloned().unwrap_or(Manner::Good);
        shared.told.entry(path).or_default().push(Telling { at: Instant::now(), manner: manner.clone(), ids });
        manner
    };
    match manner {
        Manner::Good => stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok(),
        Manner::Says(answer) => stream.write_all(answer.as_bytes()).ok(),
        Manner::Breaks(answer) => {
            // The gateway may have gone.
            let _ = stream.write_all(answer.as_bytes());
            None
        }
        Manner::Hangs => {
            // Until the gateway has had enough of it.
            let _ = reader.read(&mut [0]);
            None
        }
    }
}

/// Whether the body has the signature that `Tandem-Signature` says, of a moment ago.
fn is_signed(head: &str, body: &[u8]) -> bool {
    let said = field(head, "Tandem-Signature").and_then(|said| said.strip_prefix("t=")?.split_once(",v1="));
    let Some((seconds, said)) = said else { return false };
    let mut mac = Hmac::<Sha256>::new_from_slice(Unruly::SECRET.as_bytes()).expect("a key may have any length");
    mac.update(seconds.as_bytes());
    mac.update(b".");
    mac.update(body);
    let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    signature == said
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
