//! The interface of applications is as its own description says: schemathesis, which is not ours, reads that from a gateway, and asks
//! what it allows and what it does not. EXAMPLES and SEED say how much of each operation, and which.

use std::fmt::Write;

use support::{Applications, Network, Setup, described};

#[test]
fn what_is_asked_as_described_is_answered_as_described() {
    let Some(mut command) = described() else { return };
    let network = Network::up();
    let port = network.port;
    network.oblige();
    let setup = Setup {
        routes: "{ to = { smsc-a = 1 } }",
        rest: "limits.recipients = 5\nevents.wait_max = \"1s\"",
        messages: "networks.smsc-a.receipts = false",
        ..Setup::default()
    };
    let place = Applications::start(port, setup);
    // Some of each, so that what is asked after is there.
    for n in 0..3 {
        place.send(&format!("message {n}"));
    }
    let (examples, seed) = (number("EXAMPLES", 60), number("SEED", 1));
    println!("EXAMPLES={examples} SEED={seed}");
    let output = command
        .args(["run", &format!("http://127.0.0.1:{}/openapi.json", place.port), "--auth", "acme:secret"])
        .args(["--max-examples", &examples.to_string(), "--seed", &seed.to_string(), "--checks", "all"])
        .args(["--no-color", "--continue-on-failure"])
        .current_dir(place.gateway.scratch(""))
        .output()
        .expect("it can be run");
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    write!(said, "{}", String::from_utf8_lossy(&output.stderr)).expect("a text takes a text");
    assert!(output.status.success() && said.contains("Tested: 6"), "{said}");
    println!("{said}");
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}
