//! A service listens at every address that its configuration names, however many these are.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use support::{Gateway, PATIENCE, fixture, free_port};

/// More than the commands that may wait for a worker.
const ADDRESSES: usize = 400;

#[test]
fn each_of_many_addresses_is_served_from_the_beginning() {
    let builder = Gateway::builder().library(&fixture("careless"));
    let paths: Vec<_> = (0..ADDRESSES).map(|number| builder.scratch(&format!("{number}.sock"))).collect();
    let mut listen = format!("\"tcp://127.0.0.1:{}\"", free_port());
    paths.iter().for_each(|path| write!(listen, ", \"unix://{}\"", path.display()).unwrap());
    let gateway = builder
        .toml(&format!("workers = 1\n[service.careless]\ncomponent = \"misbehaving-careless\"\nlisten = [{listen}]\n"))
        .start();

    for path in &paths {
        let mut stream = UnixStream::connect(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"hello\n").unwrap();
        let mut back = [0; 6];
        stream.read_exact(&mut back).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(&back, b"hello\n");
    }
    assert_eq!(gateway.status().notice("worker-stuck"), None, "it took all that it was told");
}
