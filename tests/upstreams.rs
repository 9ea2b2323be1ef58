//! What a client sees of the servers behind the gateway: the answer of one that works, or the status that says why not.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use support::{Answer, Client, Gateway, Upstream, free_port, libraries, loopback, settled};

#[test]
fn an_idempotent_request_is_tried_on_another_server() {
    let (one, other) = (Upstream::start("one"), Upstream::start("other"));
    one.fail(true);
    let place = Place::start(&[one.address(), other.address()], "eject = { failures = 0 }", "");
    let mut client = place.connect();
    for _ in 0..40 {
        let answer = client.get("/name").unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "other"));
    }
    assert!(one.requests() > 0, "it was tried at all");
}

#[test]
fn a_request_that_is_not_idempotent_is_not_tried_twice() {
    let (one, other) = (Upstream::start("one"), Upstream::start("other"));
    one.fail(true);
    other.fail(true);
    let place = Place::start(&[one.address(), other.address()], "eject = { failures = 0 }", "");

    let answer = place.connect().post("/echo", b"once").unwrap();

    assert_eq!(answer.status, 502);
    assert_eq!(one.requests() + other.requests(), 1);
}

#[test]
fn a_server_that_fails_is_left_out_and_comes_back() {
    let (one, other) = (Upstream::start("one"), Upstream::start("other"));
    one.fail(true);
    let eject = "eject = { failures = 3, within = \"10s\", for = \"1s\" }";
    let place = Place::start(&[one.address(), other.address()], eject, "");
    let mut client = place.connect();
    let name = |client: &mut Client| {
        let answer = client.get("/name").unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text()
    };
    let begun = Instant::now();
    settled(3, || {
        assert_eq!(name(&mut client), "other");
        one.requests()
    });
    for _ in 0..20 {
        assert_eq!(name(&mut client), "other");
    }
    assert!(one.requests() == 3 || begun.elapsed() > Duration::from_secs(1), "it is left out");
    let notice = place.gateway.status().notice("server-ejected").expect("it is a notice").to_owned();
    assert!(notice.contains("upstream.app") && notice.contains(&one.address().to_string()), "{notice}");

    one.fail(false);

    settled("one".to_owned(), || name(&mut client));
    assert!(begun.elapsed() >= Duration::from_secs(1), "it was left out for its time");
}

#[test]
fn connections_to_a_server_are_kept_and_used_again_across_swaps() {
    let upstream = Upstream::start("app");
    let place = Place::start(&[upstream.address()], "", "");
    let (mut one, mut other) = (place.connect(), place.connect());

    for swap in 0..20 {
        assert_eq!(one.get("/name").unwrap().status, 200);
        assert_eq!(other.post("/echo", b"x").unwrap().text(), "POST /echo x");
        place.gateway.swap(&libraries().http, &format!("1.0.{swap}"));
    }

    assert_eq!((upstream.requests(), upstream.accepted()), (40, 1));
}

#[test]
fn a_kept_connection_that_the_server_has_closed_is_not_used() {
    let upstream = Upstream::start("app");
    let place = Place::start(&[upstream.address()], "", "");
    let mut client = place.connect();
    for _ in 0..10 {
        assert_eq!(client.post("/echo", b"x").unwrap().status, 200);
        upstream.disconnect();
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!((upstream.requests(), upstream.accepted()), (10, 10));
}

#[test]
fn servers_that_refuse_are_502_and_then_503_while_they_are_left_out() {
    let nobody = [loopback(free_port()), loopback(free_port())];
    let place = Place::start(&nobody, "eject = { failures = 3, for = \"60s\" }", "retries = 0");
    let mut client = place.connect();
    let statuses: Vec<u16> = (0..8).map(|_| client.get("/name").unwrap().status).collect();
    assert_eq!(statuses, [502, 502, 502, 502, 502, 502, 503, 503]);
}

#[test]
fn the_only_server_is_never_left_out() {
    let nobody = loopback(free_port());
    let place = Place::start(&[nobody], "eject = { failures = 3, for = \"60s\" }", "retries = 0");
    let mut client = place.connect();
    let statuses: Vec<u16> = (0..6).map(|_| client.get("/name").unwrap().status).collect();
    assert_eq!(statuses, [502; 6]);
}

#[test]
fn what_a_server_says_too_much_is_nobodys_answer() {
    let listener = TcpListener::bind(loopback(0)).unwrap();
    let place = Place::start(&[listener.local_addr().unwrap()], "", "");
    let server = thread::spawn(move || {
        let answers: [&[u8]; 2] = [
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood",
        ];
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            stream.write_all(answer).unwrap();
            thread::sleep(Duration::from_millis(100));
        }
    });

    assert_eq!(place.connect().get("/one").unwrap().text(), "ok");
    assert_eq!(place.connect().get("/other").unwrap().text(), "good");
    server.join().unwrap();
}

#[test]
fn the_last_bytes_of_a_tunnel_arrive_though_the_server_had_finished_before() {
    let listener = TcpListener::bind(loopback(0)).unwrap();
    let place = Place::start(&[listener.local_addr().unwrap()], "", "");
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // Slower than the client, so that much is under way when it finishes.
        thread::sleep(Duration::from_millis(300));
        io::copy(&mut stream, &mut io::sink()).unwrap()
    });
    let mut client = TcpStream::connect(loopback(place.port)).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").unwrap();
    assert!(client.read(&mut [0; 4096]).unwrap() > 0);

    client.write_all(&vec![b'x'; 8 << 20]).unwrap();
    client.shutdown(Shutdown::Write).unwrap();

    assert_eq!(server.join().unwrap(), 8 << 20);
}

#[test]
fn a_server_with_all_the_connections_that_it_may_have_is_503() {
    let upstream = Upstream::start("app");
    let place = Place::start(&[upstream.address()], "max_connections = 1", "");
    let mut waiting = place.connect();
    waiting.send(b"GET /slow/1000 HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    settled(1, || upstream.requests());

    assert_eq!(place.connect().get("/name").unwrap().status, 503);

    assert_eq!(waiting.answer("GET").unwrap().text(), "slow");
    assert_eq!(place.connect().get("/name").unwrap().status, 200);
}

#[test]
fn a_server_that_does_not_accept_is_504() {
    let (_queue, address) = full_queue();
    let place = Place::start(&[address], "connect_timeout = \"300ms\"", "retries = 0");
    within(Duration::from_millis(300), || place.connect().get("/name").unwrap(), 504);
}

#[test]
fn a_server_that_does_not_answer_is_504() {
    let upstream = Upstream::start("app");
    let place = Place::start(&[upstream.address()], "", "timeouts = { response_head = \"300ms\" }");
    let mut client = place.connect();
    within(Duration::from_millis(300), || client.post("/slow/5000", b"x").unwrap(), 504);
    assert_eq!(place.connect().get("/name").unwrap().status, 200);
}

#[test]
fn a_server_that_answers_nonsense_or_nothing_is_502() {
    let upstream = Upstream::start("app");
    let place = Place::start(&[upstream.address()], "eject = { failures = 0 }", "");
    assert_eq!(place.connect().get("/dies").unwrap().status, 502);
    assert_eq!(place.connect().get("/name").unwrap().status, 200);
}

#[test]
fn an_answer_that_breaks_off_is_never_taken_for_a_whole_one() {
    let upstream = Upstream::start("app");
    let place = Place::start(&[upstream.address()], "eject = { failures = 0 }", "");
    for bytes in [0, 1, 1000, 999_999] {
        let error = place.connect().get(&format!("/dies/{bytes}")).expect_err("it is not whole");
        let kind = error.kind();
        use std::io::ErrorKind::{ConnectionReset, UnexpectedEof};
        assert!([ConnectionReset, UnexpectedEof].contains(&kind), "{error}");
    }
    assert_eq!(place.connect().get("/name").unwrap().status, 200);
}

#[test]
fn clients_that_take_nothing_do_not_get_a_server_left_out() {
    let (one, other) = (Upstream::start("app"), Upstream::start("app"));
    let timeouts = "timeouts = { response_body = \"300ms\", send = \"300ms\" }";
    let place = Place::start(&[one.address(), other.address()], "eject = { failures = 1, for = \"60s\" }", timeouts);
    for target in ["/bytes/100000000", "/chunked/100000000", "/until-close/100000000"] {
        let mut idle: Vec<Client> = (0..4).map(|_| place.connect()).collect();
        for client in &mut idle {
            client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).unwrap();
        }
        thread::sleep(Duration::from_millis(900));

        for mut client in idle {
            client.answer("GET").expect_err("it was cut off");
        }
        assert_eq!(place.connect().get("/name").unwrap().status, 200, "{target}");
    }
    assert_eq!(place.gateway.status().notice("server-ejected"), None);
}

#[test]
fn a_client_that_is_slower_than_the_servers_time_gets_all_of_its_answer() {
    const BYTES: usize = 20_000_000;
    let upstream = Upstream::start("app");
    let place = Place::start(&[upstream.address()], "", "timeouts = { response_body = \"200ms\", send = \"20s\" }");
    for target in ["/bytes/20000000", "/chunked/20000000", "/until-close/20000000"] {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        socket.connect(&loopback(place.port).into()).unwrap();
        let mut client = TcpStream::from(socket);
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(client, "GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
        // The kernel's buffers are full by now, and ours above its mark.
        thread::sleep(Duration::from_millis(1500));

        let mut answer = Vec::new();
        client
            .read_to_end(&mut answer)
            .unwrap_or_else(|error| panic!("{target}: {error} after {} bytes", answer.len()));

        let body = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        assert!(answer.len() - body >= BYTES, "{target}: {} bytes", answer.len() - body);
    }
}

#[test]
fn a_server_that_takes_no_more_of_a_body_is_504() {
    let listener = TcpListener::bind(loopback(0)).unwrap();
    let place = Place::start(&[listener.local_addr().unwrap()], "", "timeouts = { body = \"300ms\" }");
    let client = TcpStream::connect(loopback(place.port)).unwrap();
    let mut writer = client.try_clone().unwrap();
    let writing = thread::spawn(move || {
        writer.write_all(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100000000\r\n\r\n").unwrap();
        // It gets as far as the buffers reach.
        while writer.write_all(&[0; 1 << 16]).is_ok() {}
    });

    let mut status = [0; 12];
    (&client).read_exact(&mut status).unwrap();

    assert_eq!(&status, b"HTTP/1.1 504");
    client.shutdown(Shutdown::Both).unwrap();
    writing.join().unwrap();
}

#[test]
fn a_server_that_reads_no_more_of_a_body_may_still_answer_and_if_not_it_is_504() {
    for (answer, status) in [("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", 413), ("", 504)] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let server = format!("unix://{}", path.display());
        // Not because nothing moves: the server would be given a minute for that.
        let place = Place::at(&[server], "", "timeouts = { body = \"60s\", response_head = \"500ms\" }");
        let mut client = place.connect();
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\n").unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            server.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        // What a peer over TCP does not hear, one at a path does.
        server.shutdown(Shutdown::Read).unwrap();

        client.send(b"a part of the body").unwrap();
        server.write_all(answer.as_bytes()).unwrap();

        assert_eq!(client.answer("POST").unwrap().status, status);
    }
}

#[test]
fn an_upstream_that_no_route_may_name_is_refused_before_it_serves() {
    let place = Place::start(&[loopback(free_port())], "", "");
    place.gateway.configure(|text| text.replace("upstream = \"app\"", "upstream = \"nowhere\""));
    let reload = place.gateway.reload();
    assert!(reload.error.as_ref().is_some_and(|error| error.contains("nowhere")), "{reload:?}");
}

#[test]
fn a_server_added_by_a_reload_is_used_by_a_connection_that_was_there() {
    let (one, other) = (Upstream::start("one"), Upstream::start("other"));
    let place = Place::start(&[one.address()], "", "");
    let mut client = place.connect();
    assert_eq!(client.get("/name").unwrap().text(), "one");

    place.gateway.configure(|text| text.replace(&one.address().to_string(), &other.address().to_string()));
    assert!(place.gateway.reload().ok);

    assert_eq!(client.get("/name").unwrap().text(), "other");
}

#[test]
fn a_server_added_by_a_reload_costs_the_others_no_connection() {
    let (one, other) = (Upstream::start("one"), Upstream::start("other"));
    let place = Place::start(&[one.address()], "", "");
    let mut client = place.connect();
    assert_eq!(client.get("/name").unwrap().text(), "one");

    let servers = format!("tcp://{}\", \"tcp://{}", one.address(), other.address());
    place.gateway.configure(|text| text.replace(&format!("tcp://{}", one.address()), &servers));
    assert!(place.gateway.reload().ok);

    let begun = Instant::now();
    while one.requests() < 3 || other.requests() == 0 {
        assert_eq!(client.get("/name").unwrap().status, 200);
        assert!(begun.elapsed() < support::PATIENCE);
    }
    assert_eq!((one.accepted(), other.accepted()), (1, 1));
}

struct Place {
    gateway: Gateway,
    port: u16,
}

impl Place {
    /// One worker, so that there is one pool.
    fn start(servers: &[SocketAddr], upstream: &str, service: &str) -> Self {
        let servers: Vec<String> = servers.iter().map(|server| format!("tcp://{server}")).collect();
        Place::at(&servers, upstream, service)
    }

    /// The same, of servers wherever they are.
    fn at(servers: &[String], upstream: &str, service: &str) -> Self {
        let port = free_port();
        let servers: Vec<String> = servers.iter().map(|server| format!("\"{server}\"")).collect();
        let gateway = Gateway::builder()
            .library(&libraries().http)
            .toml(&format!(
                r#"
workers = 1
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
[service.web.config]
routes = [{{ path = "/", upstream = "app" }}]
{service}

[upstream.app]
servers = [{}]
{upstream}

[component.http]
versions = {{ keep = 0 }}
"#,
                servers.join(", ")
            ))
            .start();
        Place { gateway, port }
    }

    fn connect(&self) -> Client {
        self.gateway.connect(self.port)
    }
}

/// Asks, and expects a status not before its time has come, nor long after.
fn within(timeout: Duration, ask: impl FnOnce() -> Answer, status: u16) {
    let begun = Instant::now();
    let answer = ask();
    assert_eq!(answer.status, status, "{answer:?}");
    let took = begun.elapsed();
    assert!(took >= timeout && took < timeout + Duration::from_secs(2), "after {took:?}");
}

/// A listener that nobody accepts from, with as many connections in its queue as it takes: the next one waits.
fn full_queue() -> (Vec<socket2::Socket>, SocketAddr) {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&loopback(0).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().expect("it is bound to an address");
    let mut queue = vec![listener];
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        queue.push(stream.into());
        assert!(queue.len() < 100, "the queue does not fill");
    }
    (queue, address)
}
