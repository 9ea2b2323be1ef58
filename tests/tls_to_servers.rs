//! TLS towards servers: those of upstreams, and those that a service keeps connected to.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use support::{Authority, Certificate, Gateway, eventually, free_port, greeter, libraries, settled};

/// A gateway in front of itself: what comes in plain goes on by TLS, to a service that asks for a certificate.
#[test]
fn an_upstream_is_who_it_should_be_or_is_not_sent_anything() {
    let (front, back) = (free_port(), free_port());
    let builder = Gateway::builder().library(&libraries().http);
    let authority = Authority::new(&builder.scratch("certificates"), "authority");
    let server = authority.certify("server", "server", &["app.example"]);
    let client = authority.certify("client", "gateway", &[]);
    let strange = Authority::new(&builder.scratch("strange"), "stranger");
    let ca = authority.file.display();
    let dial = format!(
        "tls = {{ name = \"app.example\", ca = \"{ca}\", certificate = \"{}\", key = \"{}\" }}",
        client.certificate.display(),
        client.key.display()
    );
    let gateway = builder
        .toml(&format!(
            "workers = 1\n[service.front]\ncomponent = \"http\"\nlisten = [\"tcp://127.0.0.1:{front}\"]\n\
             config = {{ routes = [{{ path = \"/\", upstream = \"app\" }}] }}\n\
             [service.back]\ncomponent = \"http\"\n\
             listen = [{{ address = \"tcp://127.0.0.1:{back}\", tls = \"inside\" }}]\n\
             config = {{ routes = [{{ path = \"/\", status = 200, body = \"{}\" }}] }}\n\
             [upstream.app]\nservers = [\"tcp://127.0.0.1:{back}\"]\n{dial}\n\
             [tls.inside]\ncertificates = [{}]\nclient_ca = \"{ca}\"\n",
            "x".repeat(200_000),
            server.pair()
        ))
        .start();
    let status = |path: &str| gateway.connect(front).get(path).unwrap().status;

    // More than once: by the connection that is kept, on which the server has said something of its own meanwhile.
    for _ in 0..3 {
        let answer = gateway.connect(front).get("/").unwrap();
        assert_eq!((answer.status, answer.body.len()), (200, 200_000));
    }
    assert_eq!(gateway.status().count("handshake-failed"), 0);

    for (wrong, reason) in [
        (dial.replace("app.example", "other.example"), "not valid for name \"other.example\""),
        (dial.replace("name = \"app.example\", ", ""), "not valid for name \"127.0.0.1\""),
        (dial.replace(&ca.to_string(), strange.file.to_str().unwrap()), "UnknownIssuer"),
    ] {
        let before = gateway.status().count("handshake-failed");
        gateway.configure(|text| text.replace(&dial, &wrong));
        assert!(gateway.reload().ok);
        assert_eq!(status("/"), 502, "{wrong}");
        // Both sides say so.
        settled(true, || gateway.status().count("handshake-failed") > before);
        eventually("the log says why", || {
            let log = gateway.log();
            log.lines()
                .any(|line| line.contains("upstream.app: tcp://127.0.0.1:") && line.contains(reason))
                .then_some(())
        });
        gateway.configure(|text| text.replace(&wrong, &dial));
        assert!(gateway.reload().ok);
        assert_eq!(status("/"), 200);
    }

    // What servers are shown is read again by a reload, and shown on no connection that was made before.
    client.renew_as(&strange.certify("renewed", "gateway", &[]));
    assert!(gateway.reload().ok);
    assert_eq!(status("/"), 502);
    client.renew_as(&authority.certify("renewed", "gateway", &[]));
    assert!(gateway.reload().ok);
    assert_eq!(status("/"), 200);

    for (from, to, reason) in [
        ("name = \"app.example\"", "name = \"not a name\"", "upstream.app.tls.name: `not a name` is no name of a host"),
        ("key = \"", "min_version = \"1.1\", key = \"", "unknown variant `1.1`"),
        ("certificate = \"", "alpn = [\"\"], certificate = \"", "upstream.app.tls.alpn: "),
    ] {
        let file = gateway.file();
        let right = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, right.replace(&dial, &dial.replacen(from, to, 1))).unwrap();
        let error = gateway.reload().error.expect("it is refused");
        assert!(error.contains(reason), "{error}");
        std::fs::write(&file, right).unwrap();
    }
}

/// A server by openssl, which is ended with the test.
struct Server {
    child: Child,
    says: BufReader<std::process::ChildStdout>,
}

impl Server {
    fn listening_at(port: u16, Certificate { certificate, key }: &Certificate) -> Self {
        let mut command = Command::new("openssl");
        command.args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}"), "-cert"]).arg(certificate);
        let piped = command.arg("-key").arg(key).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.stderr(Stdio::null()).spawn().expect("openssl is installed");
        let says = BufReader::new(child.stdout.take().unwrap());
        Server { child, says }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_connector_speaks_with_who_it_should_and_says_why_it_does_not() {
    let port = free_port();
    let builder = Gateway::builder().library_as(&greeter(), "libtandem_greeter.so");
    let authority = Authority::new(&builder.scratch("certificates"), "authority");
    let mut server = Server::listening_at(port, &authority.certify("server", "server", &["app.example"]));
    // Without any named, the authorities are the system's.
    let gateway = builder
        .system_trusts(&authority.file)
        .toml(&format!(
            "workers = 1\n[service.one]\ncomponent = \"greeter\"\nconnect = [\"tcp://127.0.0.1:{port}\"]\n\
             reconnect = {{ from = \"50ms\", to = \"500ms\" }}\n\
             connect_tls = {{ name = \"other.example\" }}\n"
        ))
        .start();
    eventually("it says why", || {
        let status = gateway.status();
        let down = status.notice("connector-down")?;
        (down.contains("not valid for name \"other.example\"")).then_some(())
    });

    gateway.configure(|text| text.replace("other.example", "app.example"));
    assert!(gateway.reload().ok);
    let mut line = String::new();
    server.says.read_line(&mut line).unwrap();
    assert_eq!(line, "opened\n");
}
