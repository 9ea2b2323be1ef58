//! The PROXY protocol: whose connection it is by the word of HAProxy, curl and whoever else, and who is not believed; and what servers are
//! told of it in their turn.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use support::{
    Authority, Client, Gateway, PATIENCE, Peer, eventually, fixture, free_port, greeter, libraries, loopback, settled,
    signal,
};

/// A gateway that says who is there, in plain words, by TLS and by HTTP, always behind proxies.
struct Place {
    gateway: Gateway,
    authority: Authority,
    plain: u16,
    tls: u16,
    web: u16,
    web_tls: u16,
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// From 203.0.113.7:4711, in either version.
const V1: &[u8] = b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x07\xc0\x00\x02\x01\x12\x67\x00\x50";

impl Place {
    fn start() -> Self {
        let [plain, tls, web, web_tls] = [free_port(), free_port(), free_port(), free_port()];
        let builder = Gateway::builder().library_as(&greeter(), "libtandem_greeter.so").library(&libraries().http);
        let authority = Authority::new(&builder.scratch("certificates"), "authority");
        let own = authority.certify("own", "own", &["localhost", "own.example"]);
        let listen = |port, more: &str| {
            format!(
                "{{ address = \"tcp://127.0.0.1:{port}\", proxy_protocol = {{ from = [\"127.0.0.0/31\"], timeout = \"5s\" }}{more} }}"
            )
        };
        let tls_too = ", tls = \"public\"";
        let text = format!(
            "workers = 2\n[service.one]\ncomponent = \"greeter\"\nlisten = [{}, {}]\n[service.web]\ncomponent = \"http\"\n\
             listen = [{}, {}]\nconfig = {{ routes = [{{ path = \"/\", status = 200, body = \"hello\" }}] }}\n\
             [tls.public]\ncertificates = [{}]\n",
            listen(plain, ""),
            listen(tls, tls_too),
            listen(web, ""),
            listen(web_tls, tls_too),
            own.pair()
        );
        Place { gateway: builder.toml(&text).start(), authority, plain, tls, web, web_tls }
    }

    fn refused(&self) -> (u64, String) {
        let status = self.gateway.status();
        (status.count("proxy-refused"), status.notice("proxy-refused").unwrap_or_default().to_owned())
    }

    /// Begins with these bytes, and is refused for this reason, while the connection stays open on our side.
    fn refuses(&self, bytes: &[u8], reason: &str) {
        let (before, _) = self.refused();
        let mut client = self.gateway.connect(self.plain);
        let address = loopback(client.port());
        client.send(bytes).unwrap();
        // By a reset where it had said more than was read.
        assert!(client.read(1).is_err(), "{}", bytes.escape_ascii());
        settled(before + 1, || self.refused().0);
        let (_, last) = self.refused();
        assert!(last.starts_with(&format!("service.one: {address}: ")) && last.contains(reason), "{last}");
    }

    fn curl(&self, arguments: &[&str], url: &str) -> Output {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "20", "--ipv4", "--cacert"]).arg(&self.authority.file);
        command.args(arguments).args([url, url]).output().expect("curl is installed")
    }
}

/// Asks who is there, where the session has not said anything yet.
fn who(client: &mut Client) -> String {
    assert_eq!(client.line().unwrap(), "opened");
    client.send(b"who\n").unwrap();
    client.line().unwrap()
}

#[test]
fn by_haproxy_everybody_is_who_they_are() {
    let place = Place::start();
    let Place { gateway, authority, plain, tls, .. } = &place;
    let [v1, v2, v2_tls] = [free_port(), free_port(), free_port()];
    let file = gateway.scratch("haproxy.cfg");
    // The health checks of the second are its own connections, and say so: LOCAL.
    let text = format!(
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
         listen v1\n  bind 127.0.0.1:{v1}\n  server one 127.0.0.1:{plain} send-proxy\n\
         listen v2\n  bind 127.0.0.1:{v2}\n  option tcp-check\n  tcp-check expect string opened\n  \
         server one 127.0.0.1:{plain} send-proxy-v2 proxy-v2-options crc32c check check-send-proxy inter 100ms\n\
         listen v2-tls\n  bind 127.0.0.1:{v2_tls}\n  server one 127.0.0.1:{tls} send-proxy-v2 ssl verify required \
         ca-file {} sni str(own.example)\n",
        authority.file.display()
    );
    fs::write(&file, text).unwrap();
    let _haproxy = haproxy(&file);
    for (port, what) in [(v1, "plain"), (v2, "plain"), (v2_tls, "- own.example -")] {
        let mut client = eventually("haproxy listens", || Client::try_connect(loopback(port)).ok());
        let own = loopback(client.port());
        assert_eq!(who(&mut client), format!("{own} {what}"));
        // The next version is told the same.
        gateway.swap(&greeter(), &format!("1.0.{port}"));
        client.send(b"who\n").unwrap();
        assert_eq!([client.line().unwrap(), client.line().unwrap()], ["opened".to_owned(), format!("{own} {what}")]);
    }
    assert_eq!(place.refused().0, 0, "{}", place.refused().1);
    assert_eq!(gateway.status().count("handshake-failed"), 0);
}

#[test]
fn curl_gets_its_answer_where_it_says_whose_it_is_and_else_not() {
    let place = Place::start();
    for url in [format!("http://localhost:{}/", place.web), format!("https://localhost:{}/", place.web_tls)] {
        let output = place.curl(&["--haproxy-protocol"], &url);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "hellohello", "{output:?}");
        let (before, _) = place.refused();
        let output = place.curl(&[], &url);
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        settled(true, || place.refused().0 > before);
    }
}

#[test]
fn a_header_may_come_with_what_follows_or_a_byte_at_a_time() {
    let place = Place::start();
    let mut with_checksum = [SIGNATURE, b"\x21\x11\x00\x13", &V2[16..], b"\x03\x00\x04\x00\x00\x00\x00"].concat();
    let rows: [(&[u8], bool); 6] = [
        (V1, true),
        (V2, true),
        (b"PROXY UNKNOWN\r\n", false),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00", false),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\x11\x00\x05never", false),
        (b"PROXY UNKNOWN 203.0.113.7 and whatever\r\n", false),
    ];
    for (header, named) in rows {
        for slowly in [false, true] {
            let mut client = place.gateway.connect(place.plain);
            let expected = if named { "203.0.113.7:4711".parse().unwrap() } else { loopback(client.port()) };
            let all = [header, b"who\nwho\n"].concat();
            let pieces: Vec<&[u8]> = if slowly { all.chunks(1).collect() } else { vec![&all] };
            pieces.into_iter().for_each(|piece| client.send(piece).unwrap());
            assert_eq!(client.line().unwrap(), "opened");
            for _ in 0..2 {
                assert_eq!(client.line().unwrap(), format!("{expected} plain"), "{}", header.escape_ascii());
            }
        }
    }

    // TLS right behind it, in what may be the same segment.
    for header in [V1, V2] {
        let mut connection = trusting(&place.authority);
        let mut both = header.to_vec();
        connection.write_tls(&mut both).unwrap();
        let mut tcp = TcpStream::connect(loopback(place.tls)).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp.write_all(&both).unwrap();
        let mut stream = StreamOwned::new(connection, tcp);
        stream.write_all(b"who\n").unwrap();
        let expected = "opened\n203.0.113.7:4711 - own.example -\n";
        let mut heard = vec![0; expected.len()];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(String::from_utf8_lossy(&heard), expected);
    }
    assert_eq!(place.refused().0, 0, "{}", place.refused().1);

    // A checksum has to be right, though nothing else beside the addresses is looked at.
    place.refuses(&with_checksum, "its checksum is another one's");
    let at = with_checksum.len() - 4;
    let sum = crc32c(&with_checksum);
    with_checksum[at..].copy_from_slice(&sum.to_be_bytes());
    let mut client = place.gateway.connect(place.plain);
    client.send(&with_checksum).unwrap();
    assert_eq!(who(&mut client), "203.0.113.7:4711 plain");
}

#[test]
fn who_says_nothing_right_is_closed_counted_and_named() {
    let place = Place::start();
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(200));
    let rows: [(&[u8], &str); 9] = [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "what comes first is no PROXY header"),
        (b"\x16\x03\x01\x02\x00", "what comes first is no PROXY header"),
        (b"PROXY TCP4 203.0.113.7 192.0.2.1 4711\r\n", "not family, two addresses and two ports"),
        (b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\n", "does not end with CR and LF"),
        (b"PROXY TCP4 203.0.113.700 192.0.2.1 4711 80\r\n", "an address is none of its family"),
        (endless.as_bytes(), "a line of more than 107 bytes"),
        (b"\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x0c", "its version is 3"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x04\0\0\0\0", "shorter than its addresses"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", "no more than 4096 are taken"),
    ];
    for (bytes, reason) in rows {
        place.refuses(bytes, reason);
    }

    // One that goes, one that waits, and one that nobody believes whatever it says.
    let (before, _) = place.refused();
    let mut gone = place.gateway.connect(place.plain);
    gone.send(&V1[..10]).unwrap();
    gone.finish().unwrap();
    gone.closed().unwrap();
    settled((before + 1, true), || {
        let (count, last) = place.refused();
        (count, last.contains("went before its PROXY header was over"))
    });
    place.gateway.configure(|text| text.replace("timeout = \"5s\"", "timeout = \"200ms\""));
    assert!(place.gateway.reload().ok);
    place.refuses(&V2[..20], "its PROXY header was not over within 200ms");
    let mut stranger = Client::connect_from(Ipv4Addr::new(127, 0, 0, 2), place.plain).unwrap();
    let address = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), stranger.port()));
    // It may be closed before that.
    let _ = stranger.send(V1);
    assert!(stranger.read(1).is_err());
    settled(true, || place.refused().1.starts_with(&format!("service.one: {address}: it is none of the proxies")));

    // Who has named somebody is spoken of as that one.
    let mut proxied = place.gateway.connect(place.tls);
    proxied.send(&[V1, b"no TLS at all"].concat()).unwrap();
    settled(true, || {
        let status = place.gateway.status();
        status.notice("handshake-failed").is_some_and(|last| last.starts_with("service.one: 203.0.113.7:4711: "))
    });
    let mut client = place.gateway.connect(place.plain);
    client.send(V1).unwrap();
    assert_eq!(who(&mut client), "203.0.113.7:4711 plain");
}

#[test]
fn it_comes_and_goes_by_reload_and_what_cannot_be_is_refused_with_the_way_out() {
    let place = Place::start();
    let listed = place.gateway.tandem(&["status"]);
    let listed = String::from_utf8_lossy(&listed.stdout);
    let listens = format!("tcp://127.0.0.1:{} (proxy protocol, tls public)", place.tls);
    assert!(listed.contains(&listens), "{listed}");
    let mut early = place.gateway.connect(place.plain);
    early.send(V1).unwrap();
    assert_eq!(who(&mut early), "203.0.113.7:4711 plain");
    let asked = ", proxy_protocol = { from = [\"127.0.0.0/31\"], timeout = \"5s\" } }";
    let file = place.gateway.file();
    let right = fs::read_to_string(&file).unwrap();
    for (to, reason) in [
        (", proxy_protocol = {} }", "missing field `from`"),
        (", proxy_protocol = { from = [] } }", "nobody is believed"),
        (", proxy_protocol = { from = [\"10.0.0.1/8\"] } }", "it has bits beyond the first 8; write"),
        (", proxy_protocol = { from = [\"proxy.example\"] } }", "is no network"),
        (", proxy_protocol = { from = [\"127.0.0.1\"], timeout = \"0s\" } }", "at least 1ms"),
        (", proxy_protocol = \"v2\" }", "invalid type"),
    ] {
        fs::write(&file, right.replacen(asked, to, 1)).unwrap();
        let error = place.gateway.reload().error.expect("it is refused");
        assert!(error.contains("tandem.toml:") && error.contains(reason), "{to}\n{error}");
    }
    for other in ["udp://127.0.0.1:", "unix:///tmp/"] {
        fs::write(&file, right.replacen("tcp://127.0.0.1:", other, 1)).unwrap();
        let error = place.gateway.reload().error.expect("it is refused");
        assert!(error.contains("is not TCP, by which proxies connect; write tcp://127.0.0.1:8080"), "{error}");
    }

    fs::write(&file, right.replace(asked, " }")).unwrap();
    assert!(place.gateway.reload().ok);
    let mut plain = place.gateway.connect(place.plain);
    let own = loopback(plain.port());
    assert_eq!(who(&mut plain), format!("{own} plain"));
    fs::write(&file, &right).unwrap();
    assert!(place.gateway.reload().ok);
    place.refuses(b"who\n", "what comes first is no PROXY header");
    // Who is there already stays.
    early.send(b"again\n").unwrap();
    assert_eq!(early.line().unwrap(), "again");
}

#[test]
fn servers_are_told_on_behalf_of_whom_and_never_wrongly() {
    let [front, proxied, v1, v2, v2_tls] = [free_port(), free_port(), free_port(), free_port(), free_port()];
    let network = TcpListener::bind(loopback(0)).unwrap();
    let builder =
        Gateway::builder().library_as(&greeter(), "libtandem_greeter.so").library_as(&libraries().http, "libhttp.so");
    let authority = Authority::new(&builder.scratch("certificates"), "authority");
    let server = authority.certify("server", "server", &["app.example"]);
    let ca = authority.file.display();
    let upstream = |name: &str, port, more: &str| {
        format!("[upstream.{name}]\nservers = [\"tcp://127.0.0.1:{port}\"]\nkeepalive = 2\n{more}\n")
    };
    let text = format!(
        "workers = 1\n[service.front]\ncomponent = \"http\"\nlisten = [\"tcp://127.0.0.1:{front}\", \
         {{ address = \"tcp://127.0.0.1:{proxied}\", proxy_protocol = {{ from = [\"127.0.0.1\"] }} }}]\n\
         config = {{ routes = [{{ path = \"/v1\", upstream = \"v1\" }}, {{ path = \"/v2\", upstream = \"v2\" }}, \
         {{ path = \"/tls\", upstream = \"tls\" }}] }}\n\
         [service.own]\ncomponent = \"greeter\"\nconnect = [\"tcp://{}\"]\nconnect_proxy_protocol = \"v2\"\n{}{}{}",
        network.local_addr().unwrap(),
        upstream("v1", v1, "proxy_protocol = \"v1\""),
        upstream("v2", v2, "proxy_protocol = \"v2\""),
        upstream("tls", v2_tls, &format!("proxy_protocol = \"v2\"\ntls = {{ name = \"app.example\", ca = \"{ca}\" }}")),
    );
    // HAProxy has a certificate and its key in one file.
    let both = builder.scratch("both.pem");
    let pair = [&server.certificate, &server.key].map(|file| fs::read_to_string(file).unwrap());
    fs::write(&both, pair.concat()).unwrap();
    let says = "  http-request return status 200 content-type text/plain lf-string \"%ci:%cp\"\n";
    let config = format!(
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
         listen v1\n  bind 127.0.0.1:{v1} accept-proxy\n{says}listen v2\n  bind 127.0.0.1:{v2} accept-proxy\n{says}\
         listen tls\n  bind 127.0.0.1:{v2_tls} accept-proxy ssl crt {}\n{says}",
        both.display()
    );
    let file = builder.scratch("haproxy.cfg");
    fs::write(&file, config).unwrap();
    let _haproxy = haproxy(&file);
    [v1, v2, v2_tls]
        .iter()
        .for_each(|port| drop(eventually("haproxy listens", || Client::try_connect(loopback(*port)).ok())));
    let gateway = builder.toml(&text).start();

    let mut clients: Vec<(Client, SocketAddr)> = (0..3)
        .map(|_| {
            let client = gateway.connect(front);
            let address = loopback(client.port());
            (client, address)
        })
        .collect();
    let mut behind = gateway.connect(proxied);
    behind.send(V1).unwrap();
    clients.push((behind, "203.0.113.7:4711".parse().unwrap()));
    // More than are kept, so that some have theirs and some need another one.
    for _ in 0..3 {
        for (client, address) in &mut clients {
            for path in ["/v1", "/v2", "/tls", "/v1"] {
                let answer = client.get(path).unwrap();
                assert_eq!((answer.status, answer.text()), (200, address.to_string()), "{path}");
            }
        }
    }

    // What is kept connected to is connected to for nobody.
    let (mut stream, _) = network.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let expected = [SIGNATURE, b"\x20\x00\x00\x00opened\n"].concat();
    let mut heard = vec![0; expected.len()];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(heard.escape_ascii().to_string(), expected.escape_ascii().to_string());

    let file = gateway.file();
    let right = fs::read_to_string(&file).unwrap();
    for (from, to, reason) in [
        ("proxy_protocol = \"v1\"", "proxy_protocol = \"v3\"", "unknown variant `v3`, expected `v1` or `v2`"),
        (
            &format!("tcp://127.0.0.1:{v1}"),
            "unix:///app.sock",
            "upstream.v1.proxy_protocol: unix:///app.sock is not TCP",
        ),
        ("connect = [\"tcp://127.0.0.1:", "connect = [\"unix:///", "service.own.connect_proxy_protocol: unix:///"),
    ] {
        fs::write(&file, right.replacen(from, to, 1)).unwrap();
        let error = gateway.reload().error.expect("it is refused");
        assert!(error.contains("tandem.toml:") && error.contains(reason), "{error}");
    }
}

#[test]
fn a_client_keeps_its_connection_to_a_server_and_gets_nobody_elses() {
    let front = free_port();
    let network = TcpListener::bind(loopback(0)).unwrap();
    let gateway = Gateway::builder()
        .library(&libraries().http)
        .toml(&format!(
            "workers = 1\n[service.front]\ncomponent = \"http\"\nlisten = [\"tcp://127.0.0.1:{front}\"]\n\
             config = {{ routes = [{{ path = \"/\", upstream = \"app\" }}] }}\n\
             [upstream.app]\nservers = [\"tcp://{}\"]\nproxy_protocol = \"v1\"\n",
            network.local_addr().unwrap()
        ))
        .start();
    let (mut one, mut other) = (gateway.connect(front), gateway.connect(front));
    let accepted = |client: &Client| {
        let mut server = Client::over(network.accept().unwrap().0);
        let line = server.line().unwrap();
        assert_eq!(line, format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {front}\r", client.port()));
        server
    };
    let ask = |client: &mut Client| client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let serve = |server: &mut Client, client: &mut Client, text: &str| {
        while server.line().unwrap() != "\r" {}
        server.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()).as_bytes()).unwrap();
        assert_eq!(client.answer("GET").unwrap().text(), text);
    };
    ask(&mut one);
    let mut for_one = accepted(&one);
    serve(&mut for_one, &mut one, "one");
    ask(&mut other);
    let mut for_other = accepted(&other);
    serve(&mut for_other, &mut other, "other");
    // On those that are there.
    for _ in 0..2 {
        ask(&mut one);
        serve(&mut for_one, &mut one, "one again");
        ask(&mut other);
        serve(&mut for_other, &mut other, "other again");
    }
    network.set_nonblocking(true).unwrap();
    assert!(network.accept().is_err(), "no other was made");

    // Nobody has any use for it once its session has ended.
    drop(one);
    for_one.closed().expect("it is closed in order");
    ask(&mut other);
    serve(&mut for_other, &mut other, "still there");
}

#[test]
fn who_is_in_the_middle_of_entering_is_served_before_a_stop() {
    let mut place = Place::start();
    let mut by_header = place.gateway.connect(place.web);
    by_header.send(&V1[..10]).unwrap();
    let (mut connection, mut hello) = (trusting(&place.authority), Vec::new());
    connection.write_tls(&mut hello).unwrap();
    let mut tcp = TcpStream::connect(loopback(place.web_tls)).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.write_all(&[V1, &hello[..20]].concat()).unwrap();
    signal(place.gateway.pid(), libc::SIGTERM);
    settled(true, || [place.web, place.web_tls].iter().all(|port| Client::try_connect(loopback(*port)).is_err()));

    by_header.send(&[&V1[10..], b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"].concat()).unwrap();
    assert_eq!(by_header.answer("GET").unwrap().text(), "hello");
    by_header.closed().expect("its connection is closed in order");
    tcp.write_all(&hello[20..]).unwrap();
    let mut stream = StreamOwned::new(connection, tcp);
    stream.conn.complete_io(&mut stream.sock).expect("the handshake is gone through with");
    drop(stream);
    assert_eq!(place.gateway.ended(PATIENCE).code(), Some(0));
}

#[test]
fn who_is_in_the_middle_of_entering_enters_also_where_another_worker_takes_over() {
    let [lines, proxied, tls] = [free_port(), free_port(), free_port()];
    let builder = Gateway::builder().library(&fixture("careless"));
    let authority = Authority::new(&builder.scratch("certificates"), "authority");
    let own = authority.certify("own", "own", &["own.example"]);
    let comes_back = builder.scratch("comes back");
    let behind = "proxy_protocol = { from = [\"127.0.0.1\"] }";
    let gateway = builder
        .toml(&format!(
            "workers = 1\n[service.lines]\ncomponent = \"misbehaving-careless\"\nlisten = [\"tcp://127.0.0.1:{lines}\", \
             {{ address = \"tcp://127.0.0.1:{proxied}\", {behind} }}, \
             {{ address = \"tcp://127.0.0.1:{tls}\", {behind}, tls = \"public\" }}]\n\
             config = {{ comes_back_with = \"{}\" }}\n[component.misbehaving-careless]\nrollback = {{ failures = 1000 }}\n\
             [tls.public]\ncertificates = [{}]\n",
            comes_back.display(),
            own.pair()
        ))
        .start();
    let echoes = |client: &mut Client, text: &str| {
        client.send(format!("{text}\n").as_bytes()).unwrap();
        assert_eq!(client.line().unwrap(), text);
    };
    // In the middle of a header, and of a handshake.
    let mut by_header = gateway.connect(proxied);
    by_header.send(&V2[..20]).unwrap();
    let (mut connection, mut hello) = (trusting(&authority), Vec::new());
    connection.write_tls(&mut hello).unwrap();
    let mut tcp = TcpStream::connect(loopback(tls)).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.write_all(&[V1, &hello[..20]].concat()).unwrap();
    // The one worker has seen them before these.
    (0..3).for_each(|_| echoes(&mut gateway.connect(lines), "before"));
    let mut held = gateway.connect(lines);
    held.send(b"hold\n").unwrap();
    settled(1, || gateway.status().count("worker-taken-over"));

    by_header.send(&V2[20..]).unwrap();
    echoes(&mut by_header, "after");
    tcp.write_all(&hello[20..]).unwrap();
    let mut stream = StreamOwned::new(connection, tcp);
    stream.write_all(b"after\n").unwrap();
    let mut heard = [0; 6];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"after\n");
    let status = gateway.status();
    assert_eq!((status.count("proxy-refused"), status.count("handshake-failed")), (0, 0), "{status:?}");
    fs::write(&comes_back, "").unwrap();
    settled(1, || gateway.status().count("thread-returned"));
}

/// A client of `own.example` that trusts this authority alone.
fn trusting(authority: &Authority) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&authority.file).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    ClientConnection::new(Arc::new(config), ServerName::try_from("own.example").unwrap()).unwrap()
}

fn haproxy(file: &Path) -> Peer {
    let mut command = Command::new("/usr/sbin/haproxy");
    Peer::start(command.args(["-db", "-f"]).arg(file).stdout(Stdio::null()).stderr(Stdio::null()))
}

/// As RFC 3720 has it, by its table-free definition with the polynomial written the other way round.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut remainder = u32::MAX;
    for byte in bytes {
        remainder ^= u32::from(byte.reverse_bits()) << 24;
        for _ in 0..8 {
            let carries = remainder >> 31 == 1;
            remainder <<= 1;
            if carries {
                remainder ^= 0x1edc_6f41;
            }
        }
    }
    !remainder.reverse_bits()
}
