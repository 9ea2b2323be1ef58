//! TLS on listeners, as openssl, curl and rustls see it.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use support::{Authority, Builder, Certificate, Gateway, PATIENCE, free_port, greeter, libraries, loopback, settled};

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A gateway whose services are behind TLS, and what its certificates are made by.
struct Place {
    gateway: Gateway,
    authority: Authority,
    own: Certificate,
    port: u16,
}

impl Place {
    /// The greeter by TLS; `more` is said of it besides, and `files` may make what that names.
    fn greeting(more: impl FnOnce(&Authority) -> String) -> Self {
        let builder = Gateway::builder().library_as(&greeter(), "libtandem_greeter.so");
        Place::serving(builder, "greeter", "", more)
    }

    fn echoing() -> Self {
        Place::serving(Gateway::builder().library(&libraries().echo), "echo", "", |_| String::new())
    }

    fn serving(builder: Builder, component: &str, rest: &str, more: impl FnOnce(&Authority) -> String) -> Self {
        let (port, authority) = (free_port(), Authority::new(&builder.scratch("certificates"), "authority"));
        let own = authority.certify("own", "own", &["localhost", "own.example"]);
        let more = more(&authority);
        let certificates =
            if more.contains("certificates =") { String::new() } else { format!("certificates = [{}]", own.pair()) };
        let gateway = builder
            .toml(&format!(
                "workers = 2\n[service.one]\ncomponent = \"{component}\"\n\
                 listen = [{{ address = \"tcp://127.0.0.1:{port}\", tls = \"public\" }}]\n{rest}\n\
                 [component.{component}]\nversions = {{ keep = 0 }}\n[tls.public]\n{certificates}\n{more}"
            ))
            .start();
        Place { gateway, authority, own, port }
    }

    /// A client that trusts the authority, and shows a certificate where it has one.
    fn client(&self, shows: Option<&Certificate>, alpn: &[&str], name: &str) -> io::Result<Stream> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(chain(&self.authority.file));
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let mut config = match shows {
            None => builder.with_no_client_auth(),
            Some(Certificate { certificate, key }) => {
                let key = PrivateKeyDer::from_pem_file(key).unwrap();
                builder.with_client_auth_cert(chain(certificate), key).unwrap()
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let tcp = TcpStream::connect(loopback(self.port))?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), tcp);
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(stream)
    }

    /// Whom the gateway shows itself as to who asks for this name.
    fn shown(&self, name: &str) -> Vec<u8> {
        let stream = self.client(None, &[], name).expect("it is agreed on");
        stream.conn.peer_certificates().expect("it shows one")[0].to_vec()
    }

    /// Runs `openssl s_client` with one line said.
    fn openssl(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &format!("127.0.0.1:{}", self.port)]).args(arguments);
        let ca = self.authority.file.to_str().unwrap();
        let mut child = command
            .args(["-CAfile", ca, "-verify_return_error"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("openssl is installed");
        // Where it was refused it is gone already.
        let _ = child.stdin.take().unwrap().write_all(b"Q\n");
        child.wait_with_output().unwrap()
    }

    fn failed_handshakes(&self) -> (u64, String) {
        let status = self.gateway.status();
        (status.count("handshake-failed"), status.notice("handshake-failed").unwrap_or_default().to_owned())
    }
}

fn chain(file: &std::path::Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(file).unwrap().collect::<Result<_, _>>().unwrap()
}

fn says(stream: &mut Stream, text: &str) {
    stream.write_all(text.as_bytes()).unwrap();
    stream.flush().unwrap();
}

fn hears(stream: &mut Stream, text: &str) {
    let mut heard = vec![0; text.len()];
    stream.read_exact(&mut heard).expect("it answers");
    assert_eq!(String::from_utf8_lossy(&heard), text);
}

/// A line of the greeter's.
fn line(stream: &mut Stream) -> String {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("it answers");
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

/// More than all buffers on the way take.
fn long_text() -> Vec<u8> {
    (0..12_000_000_u32).map(|n| (n / 7) as u8).collect()
}

/// Sends a text and reads none of what comes back until nothing more goes out: each side waits for the other then, for which `stuck` is
/// called. What comes back after that is the same.
fn echoes(stream: &mut Stream, text: &[u8], stuck: impl FnOnce()) {
    const STUCK: Duration = Duration::from_millis(300);
    let (mut sent, mut back, mut stuck, mut wrote_at) = (0, Vec::new(), Some(stuck), Instant::now());
    stream.sock.set_nonblocking(true).unwrap();
    let mut buffer = [0; 65_536];
    while back.len() < text.len() {
        if sent < text.len() {
            sent += stream.conn.writer().write(&text[sent..]).unwrap();
            if sent == text.len() {
                stream.conn.send_close_notify();
            }
        }
        if stream.conn.wants_write() && stream.conn.write_tls(&mut stream.sock).is_ok() {
            wrote_at = Instant::now();
            continue;
        }
        if stuck.is_some() && wrote_at.elapsed() < STUCK {
            std::thread::yield_now();
            continue;
        }
        if let Some(stuck) = stuck.take() {
            assert!(sent < text.len(), "all of it was taken, and nobody waits");
            stuck();
        }
        match stream.conn.read_tls(&mut stream.sock) {
            Ok(_) => drop(stream.conn.process_new_packets().unwrap()),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                std::thread::yield_now();
            }
        }
        while let Ok(n @ 1..) = stream.conn.reader().read(&mut buffer) {
            back.extend_from_slice(&buffer[..n]);
        }
    }
    assert!(back == text);
    stream.sock.set_nonblocking(false).unwrap();
    // An end that was said: one that was not is an error.
    assert_eq!(stream.read(&mut buffer).unwrap(), 0);
}

#[test]
fn what_is_sent_and_half_closed_comes_back_to_the_end() {
    let place = Place::echoing();
    let mut stream = place.client(None, &[], "localhost").unwrap();
    echoes(&mut stream, &long_text(), || {});
}

/// What is encrypted and was not taken yet goes along, and so does what was read and not told yet.
#[test]
fn a_session_that_waits_for_its_peer_is_carried_with_its_state() {
    let place = Place::echoing();
    let mut stream = place.client(None, &[], "localhost").unwrap();
    echoes(&mut stream, &long_text(), || {
        for version in ["1.1.0", "1.2.0"] {
            place.gateway.swap(&libraries().echo, version);
            let on = || place.gateway.status().versions.iter().find(|it| it.number == version).map(|it| it.sessions);
            settled(Some(1), on);
        }
        let retired = || place.gateway.status().versions.iter().filter(|it| it.stage == "retired").count();
        settled(2, retired);
    });
}

/// Bytes that go from a server to a client without a component between.
#[test]
fn what_is_forwarded_to_a_peer_that_waits_comes_whole_and_once() {
    let server = TcpListener::bind(loopback(0)).unwrap();
    let upstream = format!(
        "config = {{ routes = [{{ path = \"/\", upstream = \"app\" }}] }}\n[upstream.app]\nservers = [\"tcp://{}\"]",
        server.local_addr().unwrap()
    );
    let builder = Gateway::builder().library(&libraries().http);
    let place = Place::serving(builder, "http", &upstream, |_| String::new());
    let text = long_text();
    let written = Arc::new(AtomicUsize::new(0));
    let (body, so_far) = (text.clone(), Arc::clone(&written));
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes()).unwrap();
        for part in body.chunks(16_384) {
            stream.write_all(part).unwrap();
            so_far.fetch_add(part.len(), Ordering::Relaxed);
        }
    });
    let mut client = place.client(None, &[], "localhost").unwrap();
    says(&mut client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head = head + &line(&mut client);
    }
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    // The server is kept from writing by a client that does not read.
    let so_far = || written.load(Ordering::Relaxed);
    settled(true, || {
        let before = so_far();
        std::thread::sleep(Duration::from_millis(300));
        before > 0 && before == so_far()
    });
    assert!(so_far() < text.len());
    place.gateway.swap(&libraries().http, "1.1.0");

    let mut body = vec![0; text.len()];
    client.read_exact(&mut body).unwrap();
    assert!(body == text);
    serving.join().unwrap();
    // Nothing comes after it but the next answer, by the new version.
    says(&mut client, "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(line(&mut client).starts_with("HTTP/1.1 400 "));
}

#[test]
fn a_connection_goes_on_through_swaps_and_reloads_and_new_ones_see_the_new_certificate() {
    let place = Place::greeting(|_| String::new());
    let mut old = place.client(None, &[], "localhost").unwrap();
    assert_eq!(line(&mut old), "opened\n");
    let first = place.shown("localhost");
    assert_eq!(first, chain(&place.own.certificate)[0].to_vec());

    place.gateway.swap(&greeter(), "1.1.0");
    says(&mut old, "swapped\n");
    hears(&mut old, "opened\nswapped\n");

    place.own.renew_as(&place.authority.certify("next", "own", &["localhost"]));
    place.gateway.sighup();
    let next = chain(&place.own.certificate)[0].to_vec();
    assert_ne!(first, next);
    settled(true, || place.shown("localhost") == next);
    says(&mut old, "reloaded\n");
    hears(&mut old, "reloaded\n");

    // What is wrong with a file changes nothing.
    let key = std::fs::read(&place.own.key).unwrap();
    let other = place.authority.certify("other", "own", &["localhost"]);
    let rows: [(&[u8], &str); 3] = [
        (b"garbage", "has no private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "own.pem and "),
        (&std::fs::read(&other.key).unwrap(), "is not the key of the first certificate in"),
    ];
    for (content, reason) in rows {
        std::fs::write(&place.own.key, content).unwrap();
        let error = place.gateway.reload().error.expect("it is refused");
        assert!(error.contains("tls.public.certificates: ") && error.contains(reason), "{error}");
        assert_eq!(place.shown("localhost"), next);
    }
    std::fs::write(&place.own.key, key).unwrap();
    assert!(place.gateway.reload().ok);
    place.gateway.swap(&greeter(), "1.2.0");
    says(&mut old, "again\n");
    hears(&mut old, "opened\nagain\n");
}

#[test]
fn a_certificate_is_chosen_by_the_name_that_is_asked_for() {
    let place = Place::greeting(|authority| {
        let [first, second, any] = [
            authority.certify("first", "first", &["localhost", "first.example"]),
            authority.certify("second", "second", &["second.example"]),
            authority.certify("any", "any", &["*.any.example"]),
        ];
        format!("certificates = [{}, {}, {}]", first.pair(), second.pair(), any.pair())
    });
    for (name, whose) in [
        ("first.example", "first"),
        ("SECOND.example", "second"),
        ("one.any.example", "any"),
        ("two.one.any.example", "first"),
        ("elsewhere.example", "first"),
    ] {
        let output = place.openssl(&["-servername", name]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(&format!("subject=CN = {whose}\n")), "{name}: {text}");
    }
    let output = place.openssl(&["-noservername"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("subject=CN = first\n"));
}

#[test]
fn a_client_is_who_its_certificate_says_and_refused_without_one() {
    let place = Place::greeting(|authority| {
        format!("client_ca = \"{}\"\nalpn = [\"greeting/2\", \"greeting/1\"]", authority.file.display())
    });
    let alice = place.authority.certify("alice", "alice", &[]);
    let mut stream = place.client(Some(&alice), &["greeting/1", "greeting/2"], "own.example").unwrap();
    assert_eq!(line(&mut stream), "opened\n");
    let peer = stream.sock.local_addr().unwrap();
    let who = format!("{peer} greeting/2 own.example CN=alice\n");
    says(&mut stream, "who\n");
    hears(&mut stream, &who);
    // The next version, which renews the session, is told as well.
    place.gateway.swap(&greeter(), "1.1.0");
    says(&mut stream, "who\n");
    hears(&mut stream, &format!("opened\n{who}"));

    let stranger = Authority::new(&place.gateway.scratch("strange"), "stranger").certify("mallory", "alice", &[]);
    let expired = place.authority.certify_expired("expired", "alice", &[]);
    for (shows, reason) in [(None, "no certificates"), (Some(&stranger), "UnknownIssuer"), (Some(&expired), "expired")]
    {
        let (before, _) = place.failed_handshakes();
        // By TLS 1.3 a client hears of it with what it reads first.
        let heard = place.client(shows, &[], "localhost").and_then(|mut stream| stream.read(&mut [0; 100]));
        assert!(!matches!(heard, Ok(1..)), "{heard:?}");
        settled(before + 1, || place.failed_handshakes().0);
        let (_, last) = place.failed_handshakes();
        assert!(last.starts_with("service.one: 127.0.0.1:") && last.contains(reason), "{last}");
    }
    // Nor with a protocol that nobody speaks here.
    let unheard = place.client(Some(&alice), &["h2"], "localhost").unwrap_err();
    assert!(unheard.to_string().contains("NoApplicationProtocol"), "{unheard}");

    // Where it is optional, nobody in particular comes in as well; who lies does not.
    place.gateway.configure(|text| format!("{text}client = \"optional\"\n"));
    assert!(place.gateway.reload().ok);
    let mut anybody = place.client(None, &[], "localhost").unwrap();
    let peer = anybody.sock.local_addr().unwrap();
    says(&mut anybody, "who\n");
    hears(&mut anybody, &format!("opened\n{peer} - localhost -\n"));
    let heard = place.client(Some(&stranger), &[], "localhost").and_then(|mut stream| stream.read(&mut [0; 100]));
    assert!(heard.is_err(), "{heard:?}");
}

#[test]
fn old_protocols_and_other_bytes_are_refused_and_who_says_nothing_has_only_so_long() {
    let place = Place::greeting(|_| "timeout = \"200ms\"".to_owned());
    let version = |version: &str| {
        let output = place.openssl(&[version, "-cipher", "ALL:@SECLEVEL=0"]);
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for old in ["-tls1", "-tls1_1"] {
        let (agreed, said) = version(old);
        // It is told so: by which alert depends on what else it lacks.
        assert!(!agreed && said.contains("SSL alert number"), "{old}: {said}");
    }
    assert!(version("-tls1_2").0 && place.openssl(&["-tls1_3"]).status.success());
    // What was broken in 1.2 is not there either.
    for broken in ["AES128-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "NULL", "RC4", "3DES"] {
        assert!(!place.openssl(&["-tls1_2", "-cipher", &format!("{broken}:@SECLEVEL=0")]).status.success(), "{broken}");
    }
    let (before, _) = place.failed_handshakes();

    let mut plain = TcpStream::connect(loopback(place.port)).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut said = Vec::new();
    // An alert at most (21), and never an answer.
    let _ = plain.read_to_end(&mut said);
    assert!(said.first().is_none_or(|kind| *kind == 21), "{said:?}");
    settled(before + 1, || place.failed_handshakes().0);

    let mut silent = TcpStream::connect(loopback(place.port)).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    // A record that is never whole.
    silent.write_all(&[22, 3, 1, 1, 0]).unwrap();
    let mut others = place.client(None, &[], "localhost").unwrap();
    says(&mut others, "meanwhile\n");
    hears(&mut others, "opened\nmeanwhile\n");
    said.clear();
    let _ = silent.read_to_end(&mut said);
    assert!(said.first().is_none_or(|kind| *kind == 21), "{said:?}");
    settled(true, || place.failed_handshakes().1.contains("it was not over within 200ms"));

    place.gateway.configure(|text| format!("{text}min_version = \"1.3\"\n"));
    assert!(place.gateway.reload().ok);
    assert!(!version("-tls1_2").0 && place.openssl(&["-tls1_3"]).status.success());
}

#[test]
fn curl_gets_its_answer_and_tls_comes_and_goes_by_reload() {
    let rest = "[service.one.config]\nroutes = [{ path = \"/\", status = 200, body = \"hello\" }]";
    let place = Place::serving(Gateway::builder().library(&libraries().http), "http", rest, |_| String::new());
    let curl = |scheme: &str, versions: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "20", "--cacert"]).arg(&place.authority.file);
        let url = format!("{scheme}://localhost:{0}/", place.port);
        command.arg("--ipv4").args(versions).args([&url, &url]).output().expect("curl is installed")
    };
    let twice = |output: Output| assert_eq!(String::from_utf8_lossy(&output.stdout), "hellohello", "{output:?}");
    twice(curl("https", &["--tlsv1.3"]));
    twice(curl("https", &["--tls-max", "1.2"]));
    assert!(!curl("http", &["--tlsv1.2"]).status.success());

    let with = format!("{{ address = \"tcp://127.0.0.1:{}\", tls = \"public\" }}", place.port);
    let without = format!("\"tcp://127.0.0.1:{}\"", place.port);
    place.gateway.configure(|text| text.replace(&with, &without));
    assert!(place.gateway.reload().ok);
    twice(curl("http", &["--tlsv1.2"]));
    place.gateway.configure(|text| text.replace(&without, &with));
    assert!(place.gateway.reload().ok);
    twice(curl("https", &["--tlsv1.2"]));
}

#[test]
fn what_is_wrong_with_files_is_said_with_the_way_out() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::echoing();
    std::fs::set_permissions(&place.own.key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = || place.gateway.reload().error.expect("it is refused");
    let way_out = format!("everybody may use it (mode 644): chmod 640 {}", place.own.key.display());
    assert!(refused().contains(&way_out), "{}", refused());
    let checked = place.gateway.tandem(&["check"]);
    assert!(String::from_utf8_lossy(&checked.stdout).contains(&way_out), "{checked:?}");
    std::fs::set_permissions(&place.own.key, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(place.gateway.reload().ok);

    // It is served nevertheless: whoever starts a gateway anew needs it.
    place.own.renew_as(&place.authority.certify_expired("expired", "own", &["localhost"]));
    let report = place.gateway.reload();
    assert!(report.error.is_none() && report.findings[0].contains("own.pem has expired"), "{report:?}");
    assert!(!place.openssl(&[]).status.success());

    std::fs::remove_file(&place.own.certificate).unwrap();
    assert!(refused().contains("own.pem cannot be read: No such file"), "{}", refused());
    for (from, to, reason) in [
        ("tls = \"public\"", "tls = \"private\"", "there is no [tls.private]; write it, with certificates"),
        ("tls = \"public\"", "tls = true", "invalid type: boolean"),
        ("tcp://", "udp://", "is not TCP, which TLS is served on"),
        ("[tls.public]", "[tls.public]\nclient = \"optional\"", "name the file of authorities, client_ca"),
        ("certificates = [", "certificates = [] #", "there is none; write certificates = [{"),
        ("tls = \"public\" }", "tls = \"public\", name = \"x\" }", "unknown field `name`"),
    ] {
        let file = place.gateway.file();
        let right = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, right.replacen(from, to, 1)).unwrap();
        let error = refused();
        assert!(error.contains("tandem.toml:") && error.contains(reason), "{from} {to}\n{error}");
        std::fs::write(&file, right).unwrap();
    }
}
