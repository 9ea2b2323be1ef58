//! A gigabyte that was under way before a swap arrives byte for byte, in either direction, while the gateway's memory
//! stays flat.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use support::{Answer, Bytes, Client, Gateway, Over, Upstream, free_port, libraries};

const GIBIBYTE: u64 = 1 << 30;
const MEBIBYTE: u64 = 1 << 20;
/// What a body may add to the gateway's memory while it passes, with the libraries of the swaps.
const GROWTH_MAX: u64 = 32 * MEBIBYTE;
const SWAPS: u32 = 10;

#[test]
fn a_gigabyte_down_arrives_byte_for_byte_in_flat_memory() {
    let place = Place::start();
    let answer = place.download(&format!("/bytes/{GIBIBYTE}"), GIBIBYTE);
    assert_eq!(answer.field("content-length"), Some(GIBIBYTE.to_string().as_str()));
}

#[test]
fn a_chunked_body_down_keeps_its_end_and_its_trailers() {
    let place = Place::start();
    let answer = place.download(&format!("/chunked/{}", 64 * MEBIBYTE), 64 * MEBIBYTE);
    assert_eq!(answer.trailers, [("X-End".to_owned(), "reached".to_owned())]);
}

#[test]
fn a_body_that_ends_with_its_connection_is_whole() {
    let place = Place::start();
    place.download(&format!("/until-close/{}", 64 * MEBIBYTE), 64 * MEBIBYTE);
}

#[test]
fn a_gigabyte_up_arrives_byte_for_byte_in_flat_memory() {
    let place = Place::start();
    place.upload(&format!("Content-Length: {GIBIBYTE}\r\n"), GIBIBYTE, |socket, piece| socket.write_all(piece));
}

#[test]
fn a_chunked_body_up_keeps_its_end() {
    let place = Place::start();
    place.upload("Transfer-Encoding: chunked\r\n", 64 * MEBIBYTE, |socket, piece| {
        socket.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
        socket.write_all(piece)?;
        socket.write_all(b"\r\n")
    });
}

/// A gateway in front of an upstream, and a connection to it.
struct Place {
    gateway: Gateway,
    _upstream: Upstream,
    port: u16,
}

impl Place {
    fn start() -> Self {
        let upstream = Upstream::start("bodies");
        let port = free_port();
        let gateway = Gateway::builder()
            .library(&libraries().http)
            .toml(&format!(
                r#"
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
[service.web.config]
routes = [{{ path = "/", upstream = "app" }}]

[upstream.app]
servers = ["tcp://{}"]

[component.http]
versions = {{ keep = 0 }}
"#,
                upstream.address()
            ))
            .start();
        // What a first exchange takes is not the body's.
        assert_eq!(gateway.connect(port).get("/name").unwrap().text(), "bodies");
        Place { gateway, _upstream: upstream, port }
    }

    /// Reads a body that stands still during the first swap and runs during the others.
    fn download(&self, target: &str, length: u64) -> Answer {
        let before = self.gateway.rss();
        let mut client = self.gateway.connect(self.port);
        client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).unwrap();
        // The server sends as fast as it can; nobody reads.
        thread::sleep(Duration::from_millis(300));
        self.gateway.swap(&libraries().http, "1.0.0");
        let (mut bytes, mut wrong) = (Bytes::new(), None);
        let (answer, highest) = self.while_swapping(|| {
            client.answer_into("GET", |piece| wrong = wrong.or(bytes.compare(piece).err())).expect("the body is whole")
        });
        assert_eq!((answer.status, wrong, bytes.at()), (200, None, length));
        assert!(highest < before + GROWTH_MAX, "{highest} bytes of memory, and {before} before");
        answer
    }

    fn upload(&self, framing: &str, length: u64, put: impl Fn(&mut dyn Write, &[u8]) -> std::io::Result<()> + Sync) {
        let before = self.gateway.rss();
        let mut client: Client = self.gateway.connect(self.port);
        client.send(format!("POST /count HTTP/1.1\r\nHost: test\r\n{framing}\r\n").as_bytes()).unwrap();
        let mut socket = client.socket();
        let (answer, highest) = self.while_swapping(|| {
            let (mut bytes, mut piece) = (Bytes::new(), vec![0; 100_000]);
            while bytes.at() < length {
                let now = piece.len().min(usize::try_from(length - bytes.at()).unwrap());
                bytes.fill(&mut piece[..now]);
                put(&mut socket, &piece[..now]).expect("the gateway takes the body");
            }
            if framing.contains("chunked") {
                socket.write_all(b"0\r\n\r\n").unwrap();
            }
            client.answer("POST").expect("the body is answered")
        });
        assert_eq!((answer.status, answer.text()), (200, length.to_string()));
        assert!(highest < before + GROWTH_MAX, "{highest} bytes of memory, and {before} before");
    }

    /// Does something while versions are swapped: what it returns, and the most memory that the gateway had.
    fn while_swapping<T: Send>(&self, act: impl FnOnce() -> T + Send) -> (T, u64) {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let meter = scope.spawn(|| {
                let mut highest = 0;
                while !over.load(Ordering::SeqCst) {
                    highest = highest.max(self.gateway.rss());
                    thread::sleep(Duration::from_millis(5));
                }
                highest
            });
            let acting = scope.spawn(act);
            let _over = Over(&over); // The measuring ends also where the body does not.
            let mut swaps = 0;
            while swaps < SWAPS && !acting.is_finished() {
                swaps += 1;
                self.gateway.swap(&libraries().http, &format!("1.1.{swaps}"));
            }
            println!("{swaps} swaps while the body was under way");
            assert!(swaps > 0);
            let done = acting.join().expect("the body is whole");
            over.store(true, Ordering::SeqCst);
            (done, meter.join().expect("the gateway is there"))
        })
    }
}
