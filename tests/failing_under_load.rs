//! A version that is well as long as little comes, and fails when much does: while it is tried, it costs its share alone; where it serves
//! already, the one before serves again. Its sessions go back with their state.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};
use support::{Client, Gateway, eventually, fixture, free_port, settled};

const FILE: &str = "libmisbehaving_turncoat.so";
const NAME: &str = "misbehaving-turncoat";
/// So many come one after the other, and then at once: some times of what a version takes that is told to be `crowded`.
const PEERS: usize = 60;

#[test]
fn a_canary_that_only_a_crowd_breaks_is_withdrawn_when_it_comes_and_breaks_nobody_elses_sessions() {
    let place = Place::start("share = \"50%\", for = \"1h\"");
    place.deploy("2.0.0", "tried");
    let canarys = place.one_by_one();
    assert!((PEERS / 4..=3 * PEERS / 4).contains(&canarys.len()), "{canarys:?} of {PEERS}");
    assert_eq!((place.stage("2.0.0").as_str(), place.broken()), ("canary", 0), "nothing of it is seen");

    let mut crowd = Crowd::gather(&place);
    eventually("it is withdrawn", || {
        crowd.speaks(&place);
        (place.stage("2.0.0") != "canary").then_some(())
    });

    assert!(!crowd.harmed.is_empty() && crowd.harmed.is_subset(&canarys), "{:?} are not of {canarys:?}", crowd.harmed);
    let status = place.gateway.status();
    assert_eq!((status.count("version-withdrawn"), status.count("version-quarantined")), (1, 1));
    crowd.goes_on_with(&place, "1.0.0");
}

#[test]
fn a_version_that_its_canary_did_not_show_to_break_goes_back_when_all_are_its() {
    let place = Place::start("share = \"20%\", for = \"500ms\", samples = 20");
    place.deploy("2.0.0", "tried");
    eventually("it serves", || {
        place.one_by_one();
        (place.stage("2.0.0") == "active").then_some(())
    });
    assert_eq!(place.broken(), 0, "nothing of it is seen");

    let mut crowd = Crowd::gather(&place);
    eventually("the one before serves again", || {
        crowd.speaks(&place);
        (place.stage("1.0.0") == "active").then_some(())
    });

    assert!(!crowd.harmed.is_empty());
    assert_eq!(place.gateway.status().count("version-quarantined"), 1);
    crowd.goes_on_with(&place, "1.0.0");
}

/// Peers that are there all at once.
struct Crowd {
    lines: Vec<Line>,
    /// Whom it has cost a session.
    harmed: BTreeSet<usize>,
}

impl Crowd {
    fn gather(place: &Place) -> Self {
        Crowd { lines: (0..PEERS).map(|peer| place.line(peer)).collect(), harmed: BTreeSet::new() }
    }

    /// Each says a line. Whose session ends comes again.
    fn speaks(&mut self, place: &Place) {
        for (peer, line) in self.lines.iter_mut().enumerate() {
            if line.says().is_none() {
                self.harmed.insert(peer);
                *line = place.line(peer);
            }
        }
    }

    /// From now on nobody is harmed. What is left of the other version is nothing.
    fn goes_on_with(mut self, place: &Place, version: &str) {
        self.harmed.clear();
        for _ in 0..3 {
            // Also those who had lost their sessions just before, and come again.
            self.speaks(place);
        }
        assert!(self.lines.iter_mut().all(|line| line.says().as_deref() == Some(version)));
        assert_eq!(self.harmed.len(), 0);
        settled("quarantined".to_owned(), || place.stage("2.0.0"));
        settled(1, || place.gateway.maps().len());
    }
}

struct Line {
    client: Client,
    said: u64,
}

impl Line {
    /// The version that answers. It knows how many lines there were, whichever has answered those.
    #[track_caller]
    fn says(&mut self) -> Option<String> {
        let answer = self.client.send(b"line\n").and_then(|()| self.client.line()).ok()?;
        self.said += 1;
        let (version, count) = answer.split_once(' ').unwrap();
        assert_eq!(count, self.said.to_string(), "{answer}");
        Some(version.to_owned())
    }
}

struct Place {
    gateway: Gateway,
    port: u16,
}

impl Place {
    fn start(canary: &str) -> Self {
        let port = free_port();
        let builder = Gateway::builder().toml(&format!(
            "workers = 2\n[service.it]\ncomponent = \"{NAME}\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n\
             [service.it.config]\nmisbehaves = {{ \"2.0.0\" = \"crowded\" }}\n\
             [component.{NAME}]\ncanary = {{ {canary} }}\n"
        ));
        let first = builder.scratch("first.so");
        support::stamp(&fixture("turncoat"), &first, "1.0.0").unwrap();
        Place { gateway: builder.library_as(&first, FILE).start(), port }
    }

    fn deploy(&self, version: &str, outcome: &str) {
        self.gateway.deploy_stamped(&fixture("turncoat"), version);
        let reload = self.gateway.reload();
        assert_eq!((reload.ok, reload.file(FILE).outcome.as_str()), (true, outcome), "{reload:?}");
    }

    /// Each peer says a line and goes. Which of them are the canary's.
    fn one_by_one(&self) -> BTreeSet<usize> {
        let served = (0..PEERS).map(|peer| (peer, self.line(peer).says().expect("nobody is harmed")));
        served.filter(|(_, version)| version == "2.0.0").map(|(peer, _)| peer).collect()
    }

    fn line(&self, peer: usize) -> Line {
        let [.., high, low] = (peer + 2).to_be_bytes();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, high, low), 0)).into()).unwrap();
        socket.connect(&SocketAddr::from(([127, 0, 0, 1], self.port)).into()).unwrap();
        Line { client: Client::over(TcpStream::from(socket)), said: 0 }
    }

    fn stage(&self, number: &str) -> String {
        self.gateway.status().versions.into_iter().find(|one| one.number == number).unwrap().stage
    }

    fn broken(&self) -> u64 {
        self.gateway.status().count("session-broken")
    }
}
