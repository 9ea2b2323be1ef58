//! Traffic over HTTP, REST and SMPP together, while a component by chance is replaced every tenth of a second: by a bad version each tenth
//! time, and each fifth time it goes back. A bad version is the real component, with its tables and states, that breaks at work; it is
//! deployed for all or as a canary. No exchange fails but those on a bad version's way, a canary fails its own peers and no others, it is
//! taken back by itself, and nothing that was accepted is lost. SECONDS says for how long, three minutes where it does not; SEED says
//! which.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::esme::UNBIND;
use support::{
    Blame, By, Chance, Client, Esme, Gateway, Over, PATIENCE, Reach, SECRET, Sums, TakenBack, Turns, all_ends,
    eventually, fixture, free_port, libraries, relabel, request, settled, stamp,
};

const EVERY: Duration = Duration::from_millis(100);
const NAMES: [&str; 4] = ["http", "rest", "smpp", "messaging"];
const HTTP: usize = 0;
const REST: usize = 1;
const SMPP: usize = 2;
const MESSAGING: usize = 3;
/// How a bad version breaks: what `tests/misbehaving/spoilt` knows.
const BREAKS: [&str; 5] = ["panics", "seldom", "faults", "overruns", "opens"];

/// Peers of each kind that canaries tell apart, by their addresses. Each of some threads is so many of them in turn.
const PEERS: u8 = 24;
const THREADS: u8 = 4;
/// How long a thread rests after each request, and after each message: two more threads send by REST, and two on binds that stay.
const BETWEEN_REQUESTS: Duration = Duration::from_millis(4);
const BETWEEN_MESSAGES: Duration = Duration::from_millis(25);
/// By the component, so many exchanges that go by it are asked in a second at most.
const ASKED_A_SECOND: [u64; 4] = [4 * 250, 2 * 40, 6 * 40, 8 * 40];
/// The share of a canary.
const SHARE: f64 = 0.25;

#[test]
fn whatever_is_deployed_no_exchange_fails_but_those_of_a_bad_version() {
    let seconds = std::env::var("SECONDS").map_or(180, |seconds| seconds.parse().expect("SECONDS is a number"));
    let place = Place::start();
    let mut rounds = Rounds::new(&place);
    let (blame, over) = (&place.blame, AtomicBool::new(false));
    let sent = thread::scope(|scope| {
        let _over = Over(&over);
        let peers = |thread: u8, kind: u8| {
            (0..PEERS).filter(move |n| n % THREADS == thread).map(move |n| Ipv4Addr::new(127, 0, kind, 10 + n))
        };
        let place = &place;
        let over = &over;
        let browsing: Vec<_> = (0..THREADS).map(|n| scope.spawn(move || place.browse(peers(n, 1), over))).collect();
        let mut sending: Vec<_> = (0..THREADS).map(|n| scope.spawn(move || place.visit(peers(n, 2), over))).collect();
        sending.extend((0..2).map(|n| scope.spawn(move || place.send(n, over))));
        sending.extend((0..2).map(|n| scope.spawn(move || place.stay(n, over))));
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(seconds) || rounds.swaps < 60 {
            let round = Instant::now();
            rounds.next();
            thread::sleep(EVERY.saturating_sub(round.elapsed()));
        }
        over.store(true, Ordering::SeqCst);
        let answered: u64 = browsing.into_iter().map(|it| it.join().expect("what is answered is right")).sum();
        println!("{answered} requests were answered in {:.0?}", begun.elapsed());
        assert!(answered > rounds.swaps);
        let each = sending.into_iter().map(|it| it.join().expect("what is sent is taken"));
        each.fold(Sent::default(), Sent::and)
    });
    println!("{rounds}\n{sent}");

    // Whoever was told that a message is taken can rely on it; who was not told does not know.
    all_ends(&place.gateway);
    let sums = place.gateway.ledger_in_all();
    let accepted = sums.accepted;
    let (acknowledged, attempted) = (sent.acknowledged.len() as i64, sent.attempted as i64);
    println!("{acknowledged} acknowledged, {accepted} accepted, {attempted} attempted");
    assert_eq!(sums, Sums { accepted, delivered: accepted, ..Sums::default() });
    assert!(acknowledged > 0 && (acknowledged..=attempted).contains(&accepted));
    place.all_arrived(&sent, accepted, &rounds.were_bad);

    let shares = blame.shares();
    let whole = (shares.canaries * u64::from(PEERS)) as f64;
    // Each peer is a canary's by a hash of its own, so their number is that of as many throws. Five deviations are one run in a million.
    let (most, expected) = (whole * SHARE + 5.0 * (whole * SHARE * (1.0 - SHARE)).sqrt(), whole * SHARE);
    println!("{shares:?}: of {whole} peers {expected} are a share of {SHARE}");
    assert!(shares.canaries > 0 && shares.theirs > 0 && shares.spared > 0);
    assert!((shares.theirs as f64) < most, "{shares:?}: at most {most}");

    rounds.assert_memory_is_flat();
    // What serves, what is kept for a way back, and what comes or goes: of each.
    assert!(rounds.mapped <= 3 * NAMES.len(), "{} libraries were mapped at a time", rounds.mapped);
    settled(true, || place.gateway.maps().len() <= 2 * NAMES.len());
    assert_eq!(place.gateway.status().count("version-failing"), 0);
}

/// What is deployed, one after the other, and what was seen of it.
struct Rounds<'a> {
    place: &'a Place,
    real: [&'a PathBuf; 4],
    spoilt: [PathBuf; 4],
    chance: Chance,
    /// What is still to be tried of all that can be bad, before all of it is tried again.
    bad: Vec<(usize, &'static str, bool)>,
    swaps: u64,
    back: u64,
    promoted: u64,
    withdrawn: u64,
    mapped: usize,
    memory: Vec<u64>,
    taken_back: BTreeMap<(&'static str, bool), Vec<TakenBack>>,
    /// When what sends messages on was bad, in nanoseconds since 1970.
    were_bad: Vec<(i64, i64)>,
    begun: Instant,
}

impl<'a> Rounds<'a> {
    fn new(place: &'a Place) -> Self {
        let all = libraries();
        Rounds {
            place,
            real: [&all.http, &all.rest, &all.smpp, &all.messaging],
            spoilt: NAMES.map(|name| fixture(&format!("spoilt_{name}"))),
            chance: Chance::new(),
            bad: Vec::new(),
            swaps: 0,
            back: 0,
            promoted: 0,
            withdrawn: 0,
            mapped: 0,
            memory: Vec::new(),
            taken_back: BTreeMap::new(),
            were_bad: Vec::new(),
            begun: Instant::now(),
        }
    }

    fn next(&mut self) {
        self.swaps += 1;
        let which = self.chance.below(NAMES.len());
        match self.swaps {
            n if n % 10 == 0 => self.deploy_bad(),
            n if n % 10 == 7 => self.try_good([HTTP, SMPP][which % 2]),
            n if n % 5 == 3 => {
                if self.place.gateway.tandem(&["rollback", NAMES[which]]).status.success() {
                    self.back += 1;
                    self.promote(NAMES[which]);
                }
            }
            _ => self.swap(which),
        }
        self.mapped = self.mapped.max(self.place.gateway.maps().len());
        self.memory.push(self.place.gateway.rss());
    }

    fn swap(&self, which: usize) {
        self.place.canary(None);
        self.place.gateway.swap(self.real[which], &format!("1.{}.0", self.swaps));
    }

    fn file(which: usize) -> String {
        format!("libtandem_{}.so", NAMES[which])
    }

    fn promote(&self, name: &str) {
        let promoted = self.place.gateway.tandem(&["promote", name]);
        assert!(promoted.status.success(), "{promoted:?}");
    }

    /// A version that is as good as the one before is tried beside it, and then serves or is withdrawn.
    fn try_good(&mut self, which: usize) {
        let library = self.place.gateway.scratch("good.so");
        stamp(self.real[which], &library, &format!("1.{}.0", self.swaps)).unwrap();
        self.deploy(which, &library, true);
        thread::sleep(EVERY);
        if self.chance.draw().is_multiple_of(3) {
            let withdrawn = self.place.gateway.tandem(&["rollback", NAMES[which]]);
            assert!(withdrawn.status.success(), "{withdrawn:?}");
            self.withdrawn += 1;
        } else {
            self.promote(NAMES[which]);
            self.promoted += 1;
        }
    }

    fn deploy(&self, which: usize, library: &Path, canary: bool) {
        self.place.canary(canary.then_some(NAMES[which]));
        let file = Self::file(which);
        self.place.gateway.deploy(library, &file);
        let reload = self.place.gateway.reload();
        // Workers that a bad version keeps busy may not have taken it in time: it is deployed all the same, and that is said.
        assert_eq!(reload.file(&file).outcome, if canary { "tried" } else { "loaded" }, "{reload:?}");
    }

    /// A bad version is deployed, is gone again by itself, and is mended.
    fn deploy_bad(&mut self) {
        let (which, breaks, canary) = self.draw_bad();
        let number = format!("1.{}.0-{breaks}", self.swaps);
        let library = self.place.gateway.scratch("bad.so");
        relabel(&self.spoilt[which], &library, NAMES[which], &number).unwrap();
        let (blame, since) = (&self.place.blame, time_of_day());
        let reach = if canary || breaks == "opens" { Reach::New } else { Reach::All };
        blame.begins(which, reach, breaks);
        self.deploy(which, &library, canary);
        let deployed = Instant::now();
        let mut seen = deployed;
        let reason = eventually(&format!("{} {number} is taken back", NAMES[which]), || {
            let asked = Instant::now();
            let versions = self.place.gateway.status().versions;
            let one = versions.into_iter().find(|one| one.component == NAMES[which] && one.number == number);
            let at_work = one.as_ref().is_some_and(|one| matches!(one.stage.as_str(), "active" | "canary"));
            if at_work {
                seen = asked;
                return None;
            }
            Some(one.and_then(|one| one.reason).unwrap_or_default())
        });
        let taken_back = blame.ends(which, reach, canary.then_some((deployed, seen)));
        println!(
            "{:.0?}, {} MB, {} under way: {} {number}{}: {} exchanges failed, taken back after {:.0?}: {reason}",
            self.begun.elapsed(),
            self.place.gateway.rss() >> 20,
            self.place.gateway.ledger_in_all().pending,
            NAMES[which],
            if canary { ", a canary" } else { "" },
            taken_back.failed,
            taken_back.after
        );
        // Within a second of its first hundred exchanges. Counted in exchanges, since a machine that is slow at the one is so at the other:
        // as many as all peers ask in a second that nothing else takes of their time, twice over.
        assert!(taken_back.failed < 100 + 2 * ASKED_A_SECOND[which], "{} {number}: {taken_back:?}", NAMES[which]);
        self.taken_back.entry((breaks, canary)).or_default().push(taken_back);
        if matches!(which, SMPP | MESSAGING) {
            self.were_bad.push((since, time_of_day()));
        }
        // Workers that are still at what it has begun take the mended one when they are through with that.
        self.place.canary(None);
        self.place.gateway.deploy_stamped_as(self.real[which], &format!("1.{}.0", self.swaps), &Self::file(which));
        eventually("workers have taken the mended version", || self.place.gateway.reload().ok.then_some(()));
    }

    /// Each second one is a canary, for as long as there are of both.
    fn draw_bad(&mut self) -> (usize, &'static str, bool) {
        if self.bad.is_empty() {
            self.bad = all_that_can_be_bad();
        }
        let fit: Vec<usize> =
            (0..self.bad.len()).filter(|at| self.bad[*at].2 == self.swaps.is_multiple_of(20)).collect();
        let drawn = if fit.is_empty() { self.chance.below(self.bad.len()) } else { fit[self.chance.below(fit.len())] };
        self.bad.swap_remove(drawn)
    }

    /// Memory is flat where the last quarter has no more than the second, in the middle of each. In the first one, what is kept grows to
    /// what it is to be: versions for a way back, the store's caches, the allocator's arenas. A library of these is up to 13 MB, of which some
    /// are mapped now and others then, and more while one leaves: that is the tolerance.
    fn assert_memory_is_flat(&self) {
        let quarter = self.memory.len() / 4;
        let middles: Vec<u64> = self.memory.chunks(quarter.max(1)).take(4).map(middle).collect();
        println!("resident memory, by quarters: {:?} MB", middles.iter().map(|bytes| bytes >> 20).collect::<Vec<_>>());
        let most = middles[1] + middles[1] / 10 + (16 << 20);
        assert!(middles[3] < most, "it grew from {} bytes to {}", middles[1], middles[3]);
    }
}

impl fmt::Display for Rounds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bad: usize = self.taken_back.values().map(Vec::len).sum();
        writeln!(
            f,
            "{} swaps: {} went back by hand, {} were tried and promoted, {} withdrawn; {bad} bad ones; at most {} libraries",
            self.swaps, self.back, self.promoted, self.withdrawn, self.mapped
        )?;
        for ((breaks, canary), all) in &self.taken_back {
            let mut after: Vec<Duration> = all.iter().map(|one| one.after).collect();
            after.sort_unstable();
            let failed: u64 = all.iter().map(|one| one.failed).sum();
            let how = if *canary { "canary" } else { "for all" };
            let (half, last) = (after[after.len() / 2], after[after.len() - 1]);
            let hundred = all.iter().filter_map(|one| one.after_hundred).max();
            let hundred = hundred.map_or(String::new(), |span| format!(", {span:.0?} after the hundredth"));
            writeln!(
                f,
                "  {breaks}, {how}: {} taken back after {half:.0?}, at most {last:.0?}; {failed} exchanges failed{hundred}",
                all.len()
            )?;
        }
        Ok(())
    }
}

/// What residents serve (`rest`, `messaging`) has no canary, and nothing that opens.
fn all_that_can_be_bad() -> Vec<(usize, &'static str, bool)> {
    let (alone, resident) = ([HTTP, SMPP], [REST, MESSAGING]);
    let alone = alone.iter().flat_map(|which| BREAKS.map(|breaks| [(*which, breaks, false), (*which, breaks, true)]));
    let resident = resident.iter().flat_map(|which| BREAKS.map(|breaks| (*which, breaks, false)));
    alone.flatten().chain(resident.filter(|one| one.1 != "opens")).collect()
}

fn middle(of: &[u64]) -> u64 {
    let mut sorted = of.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

fn time_of_day() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed().expect("it is after 1970");
    i64::try_from(since.as_nanos()).expect("it is before 2262")
}

/// What was sent, each text once.
#[derive(Default)]
struct Sent {
    attempted: u64,
    acknowledged: BTreeSet<String>,
    failed: u64,
}

impl Sent {
    fn and(mut self, other: Sent) -> Self {
        self.attempted += other.attempted;
        self.failed += other.failed;
        self.acknowledged.extend(other.acknowledged);
        self
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages were sent; {} exchanges failed", self.attempted, self.failed)
    }
}

struct Place {
    gateway: Gateway,
    blame: Blame,
    web: u16,
    rest: u16,
    smpp: u16,
}

impl Place {
    fn start() -> Self {
        let (web, rest, smpp, network) = (free_port(), free_port(), free_port(), free_port());
        // A bind whose session has died counts until its lease is over, so an account has many; a receipt that it had in hand is sent again
        // when twice the time of a response is over.
        let text = format!(
            r#"
workers = 2
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{web}"]
[service.web.config]
served_by = "x-served-by"
routes = [{{ path = "/", status = 200, body = "well" }}]
[service.rest]
component = "rest"
listen = ["tcp://127.0.0.1:{rest}"]
[service.rest.config]
submit_to = "messages"
[service.esme]
component = "smpp"
listen = ["tcp://127.0.0.1:{smpp}"]
[service.esme.config]
submit_to = "messages"
messages = "receipts"
unnamed = {{ max_binds = 255 }}
timers.response = "5s"
[service.messages]
component = "messaging"
[service.messages.config]
routes = [{{ to = {{ smsc = 1 }} }}]
front = "rest"
accounts.acme.front = "esme"
retry = {{ from = "100ms", to = "2s" }}
networks.smsc.within = "5s"
[service.smsc]
component = "smpp"
connect = ["tcp://127.0.0.1:{network}"]
reconnect = {{ from = "50ms", to = "500ms" }}
[service.smsc.config]
system_id = "gateway"
password = "secret"
deliver_to = "messages"
timers.response = "5s"
[service.network]
component = "smpp"
listen = ["tcp://127.0.0.1:{network}"]
[service.network.config]
smsc = {{ receipt_after = "100ms" }}
unnamed = {{ max_binds = 255 }}
timers = {{ response = "5s", receipts = "1s" }}
[account.acme]
secret = "{SECRET}"
[account.bolt]
secret = "{SECRET}"
[account.gateway]
secret = "{SECRET}"
{CANARY}
"#
        );
        let all = libraries();
        let builder =
            Gateway::builder().library(&all.http).library(&all.rest).library(&all.smpp).library(&all.messaging);
        let gateway = builder.data("data").toml(&text).start();
        eventually("it is bound", || (gateway.status().count("connector-up") > 0).then_some(()));
        Place { gateway, blame: Blame::default(), web, rest, smpp }
    }

    /// Has new versions of a component tried as canaries from the next reload on, or none.
    fn canary(&self, name: Option<&str>) {
        self.gateway.configure(|text| {
            let kept = text.split(CANARY).next().unwrap_or_default();
            let canary =
                name.map(|name| format!("[component.{name}]\ncanary = {{ share = \"{}%\" }}\n", SHARE * 100.0));
            format!("{kept}{CANARY}\n{}", canary.unwrap_or_default())
        });
    }

    /// Asks, one peer after the other, each on one connection for as long as it holds, and now and then on another one. How many were
    /// answered.
    fn browse(&self, peers: impl Iterator<Item = Ipv4Addr>, over: &AtomicBool) -> u64 {
        let connect = |peer| Client::connect_from(peer, self.web).expect("it listens");
        let mut peers: Vec<(Ipv4Addr, Client, Turns)> =
            peers.map(|peer| (peer, connect(peer), self.blame.now())).collect();
        let (mut answered, mut chance) = (0, Chance::seeded(peers.len() as u64));
        for n in (0..peers.len()).cycle() {
            if over.load(Ordering::SeqCst) {
                break;
            }
            let (peer, client, since) = &mut peers[n];
            if chance.below(20) == 0 {
                (*since, *client) = (self.blame.now(), connect(*peer));
            }
            let (before, begun) = (self.blame.now(), Instant::now());
            let answer = client.get("/");
            let by = match &answer {
                Ok(answer) if answer.status == 200 => {
                    assert_eq!(answer.text(), "well");
                    answered += 1;
                    if answer.served_by().contains('-') { By::Bad } else { self.blame.well(false) }
                }
                failed => {
                    // A session is another one for each request.
                    self.blame.must_have_failed(since, &[HTTP], |_, _| true, &format!("{peer}: {failed:?}"));
                    *client = connect(*peer);
                    By::Failed
                }
            };
            self.blame.says(HTTP, &before, *peer, begun, by);
            *since = before;
            thread::sleep(BETWEEN_REQUESTS);
        }
        answered
    }

    /// Sends messages by REST, on one connection for as long as it holds.
    fn send(&self, number: u8, over: &AtomicBool) -> Sent {
        let (mut sent, mut client, mut since) = (Sent::default(), self.gateway.connect(self.rest), self.blame.now());
        while !over.load(Ordering::SeqCst) {
            let before = self.blame.now();
            let text = format!("rest {number} {}", sent.attempted);
            let body = format!(r#"{{"from": "100", "to": "+4917012345", "text": "{text}"}}"#);
            sent.attempted += 1;
            let answer = client
                .send(request(BOLT, "POST /v1/messages", "", &body).as_bytes())
                .and_then(|()| client.answer("POST"));
            match answer {
                Ok(answer) if answer.status == 202 => drop(sent.acknowledged.insert(text)),
                failed => {
                    self.blame.must_have_failed(
                        &since,
                        &[REST, MESSAGING],
                        |_, _| true,
                        &format!("{text}: {failed:?}"),
                    );
                    sent.failed += 1;
                    client = self.gateway.connect(self.rest);
                }
            }
            since = before;
            thread::sleep(BETWEEN_MESSAGES);
        }
        sent
    }

    /// Submits messages on one bind for as long as it holds.
    fn stay(&self, number: u8, over: &AtomicBool) -> Sent {
        let mut sent = Sent::default();
        while !over.load(Ordering::SeqCst) {
            let mut since = self.blame.now();
            let bound = Esme::bound_from(Ipv4Addr::new(127, 0, 3, 10 + number), self.smpp, "acme");
            let born = since.born_with(&self.blame.now(), SMPP);
            let mut esme = match bound {
                Ok(esme) => esme,
                Err(failed) => {
                    self.blame.must_have_failed(&since, &[SMPP], |_, _| true, &format!("it does not bind: {failed}"));
                    sent.failed += 1;
                    thread::sleep(BETWEEN_MESSAGES);
                    continue;
                }
            };
            while !over.load(Ordering::SeqCst) {
                let before = self.blame.now();
                let text = format!("stay {number} {}", sent.attempted);
                sent.attempted += 1;
                match esme.submit_and_hear(&text) {
                    Ok(0) => drop(sent.acknowledged.insert(text)),
                    failed => {
                        let born = |_, turn| born == Some(turn);
                        self.blame.must_have_failed(&since, &[SMPP, MESSAGING], born, &format!("{text}: {failed:?}"));
                        sent.failed += 1;
                        if failed.is_err() {
                            break;
                        }
                    }
                }
                since = before;
                thread::sleep(BETWEEN_MESSAGES);
            }
        }
        sent
    }

    /// Submits messages, one peer after the other, each on a bind of its own.
    fn visit(&self, peers: impl Iterator<Item = Ipv4Addr>, over: &AtomicBool) -> Sent {
        let (mut sent, peers) = (Sent::default(), Vec::from_iter(peers));
        for peer in peers.into_iter().cycle() {
            if over.load(Ordering::SeqCst) {
                break;
            }
            let (before, begun) = (self.blame.now(), Instant::now());
            let text = format!("visit {} {}", peer.octets()[3], sent.attempted);
            let submitted = Esme::bound_from(peer, self.smpp, "bolt").and_then(|mut esme| {
                sent.attempted += 1;
                let status = esme.submit_and_hear(&text)?;
                esme.ask(UNBIND, &[])?;
                esme.response()?;
                Ok(status)
            });
            let by = match submitted {
                Ok(0) => {
                    sent.acknowledged.insert(text);
                    self.blame.well(true)
                }
                failed => {
                    self.blame.must_have_failed(
                        &before,
                        &[SMPP, MESSAGING],
                        |_, _| true,
                        &format!("{text}: {failed:?}"),
                    );
                    sent.failed += 1;
                    By::Failed
                }
            };
            self.blame.says(SMPP, &before, peer, begun, by);
            thread::sleep(BETWEEN_MESSAGES);
        }
        sent
    }

    /// The network has each message that was acknowledged, and none that was not sent. It has one twice only where `messaging` or `smpp`,
    /// by which it was sent and taken, was bad then: the answer was lost, and nobody else could know.
    fn all_arrived(&self, sent: &Sent, accepted: i64, were_bad: &[(i64, i64)]) {
        let store = rusqlite::Connection::open(self.gateway.scratch("data/store.sqlite")).unwrap();
        store.busy_timeout(PATIENCE).unwrap();
        let query =
            "SELECT CAST(short_message AS TEXT), submitted_at FROM \"smpp.messages\" WHERE system_id = 'gateway'";
        let mut arrived: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        let mut rows = store.prepare(query).unwrap();
        for row in rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap() {
            let (text, at) = row.unwrap();
            arrived.entry(text).or_default().push(at);
        }
        let lost: Vec<&String> = sent.acknowledged.iter().filter(|text| !arrived.contains_key(*text)).collect();
        assert!(lost.is_empty(), "{} were acknowledged and have not arrived: {lost:?}", lost.len());
        assert_eq!(arrived.len() as i64, accepted, "each that was accepted has arrived, and no other");
        // An answer takes no longer than this; then it is another try.
        let slack = 5_000_000_000;
        let twice: Vec<(String, Vec<i64>)> = arrived.into_iter().filter(|(_, times)| times.len() > 1).collect();
        println!("{} arrived more than once", twice.len());
        for (text, times) in twice {
            let first = times.iter().min().expect("it has arrived");
            let excused = were_bad.iter().any(|(from, to)| (from - slack..=to + slack).contains(first));
            assert!(excused, "{text} arrived at {times:?}, and what sends was bad at {were_bad:?}");
        }
    }
}

/// bolt:secret, as a field.
const BOLT: &str = "Authorization: Basic Ym9sdDpzZWNyZXQ=\r\n";
/// What stands behind it in the configuration says what is tried.
const CANARY: &str = "# canaries:";
