//! Who asks the gateway and then takes no answer has his place for a while only.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::net::UnixStream;

use support::{Gateway, eventually, fixture};

/// So many may ask at a time.
const PLACES: usize = 64;

#[test]
fn operators_who_take_no_answer_do_not_keep_others_out() {
    // Names so long that an answer is more than the kernel keeps for who does not read.
    const SERVICES: usize = 32;
    let builder = Gateway::builder().library(&fixture("careless"));
    let mut text = String::from("workers = 1\n");
    for number in 0..SERVICES {
        let socket = builder.scratch(&format!("{number}.sock"));
        let name = format!("{}-{number}", "long".repeat(2048));
        let listen = format!("unix://{}", socket.display());
        writeln!(text, "[service.{name}]\ncomponent = \"misbehaving-careless\"\nlisten = [\"{listen}\"]").unwrap();
    }
    let gateway = builder.toml(&text).start();
    let admin = gateway.file().with_file_name("data/admin.sock");
    let silent = (0..PLACES).map(|_| {
        let mut operator = UnixStream::connect(&admin).unwrap();
        operator.write_all(b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        operator
    });
    let silent: Vec<UnixStream> = silent.collect();

    let asked = || gateway.tandem(&["status", "--json"]).status.success();
    assert!(!asked(), "all places are taken");
    eventually("there is a place again", || asked().then_some(()));
    drop(silent);
}
