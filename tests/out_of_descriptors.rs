//! A gateway that has no descriptors left waits for some, at rest, and goes on; without those for its workers it does not
//! begin.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use support::{Client, Gateway, free_port, libraries, limit_descriptors, processor_time, settled};

#[test]
fn without_descriptors_it_waits_at_rest_and_then_goes_on() {
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&libraries().echo)
        .toml(&format!("workers = 1\n[service.echo]\ncomponent = \"echo\"\nlisten = [\"tcp://127.0.0.1:{port}\"]"))
        .start();
    limit_descriptors(gateway.pid(), 64);
    let mut clients: Vec<Client> = (0..80).map(|_| gateway.connect(port)).collect();
    // Takes the one that the admin socket had kept ready.
    let mut operator = UnixStream::connect(gateway.file().with_file_name("data/admin.sock")).unwrap();

    let before = processor_time(gateway.pid());
    thread::sleep(Duration::from_secs(2));
    let busy = processor_time(gateway.pid()) - before;

    assert!(busy < Duration::from_millis(500), "{busy:?} of two seconds");
    operator.write_all(b"?\n").unwrap();
    drop(operator);
    // Those that were accepted are served, and those that were not are once there is room.
    let mut last = clients.split_off(40);
    clients.iter_mut().for_each(echo);
    drop(clients);
    last.iter_mut().for_each(echo);
    // What is to be loaded takes some descriptors as well.
    drop(last.split_off(20));
    gateway.swap(&libraries().echo, "1.0.0");
    last.iter_mut().for_each(echo);
    assert!(gateway.status().notice("accept-failed").is_some_and(|last| last.contains("open files")));
}

#[test]
fn a_version_that_is_closed_without_them_is_seen_to_be_gone_later() {
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&libraries().echo)
        .toml(&format!(
            r#"
[service.echo]
component = "echo"
listen = ["tcp://127.0.0.1:{port}"]
policy = "pin"
[component.echo]
versions = {{ keep = 0 }}
"#
        ))
        .start();
    let mut last = gateway.connect(port);
    echo(&mut last);
    gateway.swap(&libraries().echo, "1.0.0");
    let before = limit_descriptors(gateway.pid(), 3);

    drop(last);

    settled(true, || gateway.log().contains("what is mapped cannot be read"));
    assert_eq!(gateway.maps().len(), 1, "it is gone");
    limit_descriptors(gateway.pid(), before);
    settled(vec!["0.1.0".to_owned()], || {
        gateway.status().numbers("echo", "retired").into_iter().map(str::to_owned).collect()
    });
    assert_eq!(gateway.status().count("version-lingering"), 1, "it was no news");
}

#[test]
fn a_gateway_that_cannot_have_its_workers_does_not_start() {
    let port = free_port();
    let failed = Gateway::builder()
        .library(&libraries().echo)
        .toml(&format!("workers = 64\n[service.echo]\ncomponent = \"echo\"\nlisten = [\"tcp://127.0.0.1:{port}\"]"))
        .descriptors(100)
        .start_in_vain();
    assert!(failed.log.contains("a worker cannot be started"), "{}", failed.log);
}

fn echo(client: &mut Client) {
    client.send(b"hello").unwrap();
    assert_eq!(client.read(5).unwrap(), b"hello");
}
