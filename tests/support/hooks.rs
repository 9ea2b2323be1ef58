//! A receiver of webhooks: [`Hooks`].

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::Value;

/// It answers each POST by 204 and keeps its events, each once. Its thread ends with the test's process.
#[derive(Debug)]
pub struct Hooks {
    /// Where it listens.
    pub port: u16,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Debug, Default)]
struct Heard {
    events: Vec<Value>,
    wrong: Vec<String>,
}

impl Hooks {
    /// What events are signed with.
    pub const SECRET: &str = "hooks of the tests";

    /// Starts one.
    ///
    /// # Panics
    /// Where there is no free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let heard = Arc::<Mutex<Heard>>::default();
        let shared = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let heard = Arc::clone(&shared);
                // Until the gateway closes.
                thread::spawn(move || while take(&stream, &heard).is_some() {});
            }
        });
        Hooks { port, heard }
    }

    /// All events, in the order in which they came, without those that came again.
    pub fn events(&self) -> Vec<Value> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).events.clone()
    }

    /// Whatever should not have come.
    pub fn wrong(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).wrong.clone()
    }
}

/// Reads a request whose body has a length: its head and its body; nothing where there is none, or none that can be read.
pub(crate) fn posted(reader: &mut BufReader<&TcpStream>) -> Option<(String, Vec<u8>)> {
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let start = head.len();
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
        if let Some(value) = head[start..].to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// Takes one request and answers it; nothing where there is none, or none that can be read.
fn take(mut stream: &TcpStream, heard: &Mutex<Heard>) -> Option<()> {
    let (head, body) = posted(&mut BufReader::new(stream))?;
    {
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        if !head.starts_with("POST ") || !head.to_ascii_lowercase().contains("\r\ntandem-signature: t=") {
            heard.wrong.push(head);
        }
        match serde_json::from_slice::<Value>(&body) {
            Ok(said) => {
                for event in said["events"].as_array().into_iter().flatten() {
                    if !heard.events.iter().any(|known| known["id"] == event["id"] && known["type"] == event["type"]) {
                        heard.events.push(event.clone());
                    }
                }
            }
            Err(error) => heard.wrong.push(error.to_string()),
        }
    }
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()
}
