//! One service asks another: on the same worker or another one, through swaps of both, and whatever becomes of the one that
//! was asked, each call is answered or fails, once.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::{Client, Gateway, Over, asks, eventually, free_port, settled, signal};

#[test]
fn a_request_is_answered_by_a_session_of_this_worker_or_another() {
    let place = Place::start("carry");
    let mut callee = place.callee();
    let number: u64 = callee.says("number").parse().unwrap();
    let mut workers = BTreeSet::new();
    for _ in 0..16 {
        let mut caller = place.caller();
        let worker = caller.says("number").parse::<u64>().unwrap() % WORKERS;
        assert_eq!(caller.says("ask back who"), format!("front asks back over Tcp {number}"));
        workers.insert(worker == number % WORKERS);
    }
    assert_eq!(workers.len(), 2, "of this worker, and of the other");
}

#[test]
fn answers_come_in_the_order_in_which_was_asked() {
    // All of them may wait at once: a session takes 1024.
    const CALLERS: u64 = 4;
    const EACH: u64 = 250;
    let place = Place::start("carry");
    let mut callee = place.callee();
    let mut callers: Vec<Line> = (0..CALLERS).map(|_| place.caller()).collect();
    for caller in &mut callers {
        caller.tell(&(0..EACH).map(|n| format!("ask back echo {n}\n")).collect::<String>());
    }
    for caller in &mut callers {
        for n in 0..EACH {
            assert_eq!(caller.hear(), n.to_string());
        }
    }
    let taken: u64 = callee.says("count").parse().unwrap();
    assert!(taken >= CALLERS * EACH, "{taken}");
}

#[test]
fn requests_go_to_the_callees_in_turn() {
    let place = Place::start("carry");
    let mut callees: Vec<Line> = (0..4).map(|_| place.callee()).collect();
    let mut caller = place.caller();
    settled(4, || (0..8).map(|_| caller.says("ask back who")).collect::<BTreeSet<_>>().len());
    let before: Vec<u64> = callees.iter_mut().map(|callee| callee.says("count").parse().unwrap()).collect();

    caller.tell(&"ask back keep it\n".repeat(40));

    for (callee, before) in callees.iter_mut().zip(before) {
        for _ in 0..10 {
            assert_eq!(callee.hear(), "asked it");
        }
        assert_eq!(callee.says("count"), (before + 10).to_string());
        callee.tell(&"answer done\n".repeat(10));
    }
    for _ in 0..40 {
        assert_eq!(caller.hear(), "done");
    }
}

#[test]
fn who_is_no_longer_asked_is_told_so() {
    let place = Place::start("carry");
    let mut callee = place.callee();
    for _ in 0..4 {
        let mut caller = place.caller();
        for call in ["ask back keep it", "ask alone pass back keep it"] {
            caller.tell(&format!("{call}\n"));
            assert_eq!(callee.hear(), "asked it");
            assert_eq!(caller.says("cancel"), "cancelled");
            assert_eq!(callee.hear(), "withdrawn it");
            assert_eq!(caller.says("ask back echo on"), "on");
        }
        let begun = Instant::now();
        assert_eq!(caller.says("within 50 back keep it"), "failed TimedOut");
        assert!(begun.elapsed() >= Duration::from_millis(50));
        assert_eq!([callee.hear(), callee.hear()], ["asked it", "withdrawn it"]);
        caller.tell("ask back keep it\n");
        assert_eq!(callee.hear(), "asked it");
        caller.tell("bye\n");
        assert_eq!(callee.hear(), "withdrawn it");
        caller.0.closed().unwrap();
    }
    // What is answered now goes nowhere.
    assert_eq!(callee.says("answer it"), "what");
}

#[test]
fn a_callee_that_ends_fails_what_it_had_and_nothing_else() {
    let place = Place::start("carry");
    for end in ["bye", "panic"] {
        let mut callee = place.callee();
        let mut callers: Vec<Line> = (0..4).map(|_| place.caller()).collect();
        for caller in &mut callers {
            caller.tell("ask back keep it\n");
            assert_eq!(callee.hear(), "asked it");
        }
        let mut other = place.callee();
        callee.tell(&format!("{end}\n"));
        for caller in &mut callers {
            assert_eq!(caller.hear(), "failed Ended", "{end}");
            eventually("the other is asked", || (caller.says("ask back echo on") == "on").then_some(()));
        }
        other.tell("bye\n");
        other.0.closed().unwrap();
        for caller in &mut callers {
            settled("failed Down".to_owned(), || caller.says("ask back echo on"));
        }
    }
    let mut callee = place.callee();
    let mut caller = place.caller();
    assert_eq!(caller.says("ask back panic"), "failed Ended");
    callee.0.closed().unwrap();
    let said = place.gateway.status().notice("call-failed").unwrap().to_owned();
    assert!(said.contains("a call to `back` failed: the session that had it has ended"), "{said}");
}

#[test]
fn what_was_not_delivered_is_nobodys() {
    let place = Place::start("carry");
    let mut callee = place.callee();
    let number: u64 = callee.says("number").parse().unwrap();
    let mut caller = place.caller_where(|worker| worker != number % WORKERS);
    let held = place.hold(&mut callee, "");
    assert_eq!(caller.says("within 100 back keep it"), "failed TimedOut");
    fs::remove_file(held).unwrap();
    // It is told neither of the request nor that it was withdrawn.
    assert_eq!(caller.says("ask back echo on"), "on");
    let taken = callee.says("count");
    assert_eq!(caller.says("ask back echo on"), "on");
    assert_eq!(callee.says("count"), (taken.parse::<u64>().unwrap() + 1).to_string());

    // Another gets what one that has ended was not given.
    let mut other = place.callee();
    let held = place.hold(&mut callee, "bye");
    caller.tell(&"ask back keep it\n".repeat(10));
    thread::sleep(Duration::from_millis(100));
    fs::remove_file(held).unwrap();
    for _ in 0..10 {
        assert_eq!(other.hear(), "asked it");
        other.tell("answer done\n");
        assert_eq!(caller.hear(), "done");
    }
}

#[test]
fn no_call_fails_while_callees_come_and_go() {
    let place = Place::start("carry");
    let _stays = place.callee();
    let callers: Vec<Line> = (0..4).map(|_| place.caller()).collect();
    let over = AtomicBool::new(false);

    thread::scope(|scope| {
        let over = Over(&over);
        for (at, caller) in callers.into_iter().enumerate() {
            scope.spawn(move || ask(caller, at, over.0));
        }
        for n in 0..200 {
            let mut callee = Line(place.gateway.connect(place.back));
            callee.says("number");
            thread::sleep(Duration::from_millis(n % 7));
            callee.tell(["bye\n", "panic\n", "rest\nserve\nrest\n", "nap 3\nbye\n", ""][n as usize % 5]);
        }
    });

    assert_eq!(place.gateway.status().notice("call-failed"), None);
}

#[test]
fn who_serves_no_more_is_asked_no_more() {
    let place = Place::start("carry");
    let mut callee = place.callee();
    let mut caller = place.caller();
    assert_eq!(callee.says("rest"), "ok");
    settled("failed Down".to_owned(), || caller.says("ask back echo on"));
    assert_eq!(callee.says("serve"), "ok");
    // Itself, too: after the event that asks.
    settled("me".to_owned(), || callee.says("ask back echo me"));
    settled("on".to_owned(), || caller.says("ask back echo on"));
}

#[test]
fn a_service_without_callees_gets_a_session_for_each_request() {
    let place = Place::start("carry");
    let mut caller = place.caller();
    let mut numbers = BTreeSet::new();
    for _ in 0..10 {
        let said = caller.says("ask alone who");
        let number = said.strip_prefix("front asks alone over Call ").unwrap_or_else(|| panic!("{said}"));
        numbers.insert(number.to_owned());
    }
    assert_eq!(numbers.len(), 10, "each its own");
    let rows = [
        ("ask alone after 50 done", "done"),
        ("ask alone twice", "one"),
        ("ask alone pass alone pass alone echo far", "far"),
        ("ask alone bye", "failed Ended"),
        ("ask alone panic", "failed Ended"),
        ("within 100 alone silent", "failed TimedOut"),
        ("within 100 alone keep it", "failed TimedOut"),
        ("ask alone circle", "failed TooDeep........"),
        ("ask nobody echo on", "failed Unknown"),
    ];
    for (asked, answered) in rows {
        assert_eq!(caller.says(asked), answered, "{asked}");
    }
    // None of them is left: the caller alone.
    settled(1, || place.sessions());
    assert_eq!(place.gateway.status().count("call-failed"), 6);
}

#[test]
fn a_session_for_a_request_waits_for_servers_as_well() {
    let place = Place::start("carry");
    let mut caller = place.caller();
    // The first is a new connection, the others that one, which was given back.
    let number = caller.says("ask alone fetch front number");
    assert_ne!(number, caller.says("number"));
    for _ in 0..10 {
        assert_eq!(caller.says("ask alone fetch front number"), number);
    }
    assert_eq!(caller.says("ask alone fetch front ask alone after 100 done"), "done", "which is not there at once");
}

#[test]
fn there_are_only_so_many_requests_at_a_time() {
    const REQUESTS_MAX: usize = 1024;
    let place = Place::start("carry");
    let mut callee = place.callee();
    let mut callers = [place.caller(), place.caller()];
    for caller in &mut callers {
        caller.tell(&"ask back keep it\n".repeat(700));
    }
    let reader = thread::spawn(move || {
        for _ in 0..REQUESTS_MAX {
            assert_eq!(callee.hear(), "asked it");
        }
        callee
    });
    settled(1400 - REQUESTS_MAX as u64, || place.gateway.status().count("call-failed"));
    let mut callee = reader.join().unwrap();
    callee.tell(&"answer done\n".repeat(REQUESTS_MAX));
    let heard: Vec<String> = callers.iter_mut().flat_map(|caller| [0; 700].map(|_| caller.hear())).collect();
    assert_eq!(heard.iter().filter(|line| *line == "done").count(), REQUESTS_MAX);
    assert_eq!(heard.iter().filter(|line| *line == "failed Full").count(), 1400 - REQUESTS_MAX);

    // And so many calls of one session.
    let mut caller = place.caller();
    caller.tell(&"ask alone after 1000 done\n".repeat(REQUESTS_MAX + 10));
    for expected in [vec!["failed Full"; 10], vec!["done"; REQUESTS_MAX]].concat() {
        assert_eq!(caller.hear(), expected);
    }
}

#[test]
fn calls_go_on_through_swaps_of_caller_and_callee() {
    through_swaps("carry");
}

/// A session of this policy that has calls or requests is carried: a fresh one in its place would know nothing of them.
#[test]
fn calls_go_on_through_swaps_of_sessions_that_are_renewed() {
    through_swaps("renew");
}

fn through_swaps(policy: &str) {
    const CALLERS: u64 = 6;
    let place = Place::start(policy);
    let mut callees: Vec<Line> = (0..3).map(|_| place.callee()).collect();
    let callers: Vec<Line> = (0..CALLERS).map(|_| place.caller()).collect();
    // One call for each callee that is under way all the time.
    let mut patient = place.caller();
    patient.tell(&"ask back keep it\n".repeat(callees.len()));
    for callee in &mut callees {
        assert_eq!(callee.hear(), "asked it");
    }
    let before = taken(&mut callees);
    let over = AtomicBool::new(false);

    let asked: u64 = thread::scope(|scope| {
        let over = Over(&over);
        let asking = callers.into_iter().enumerate().map(|(at, caller)| scope.spawn(move || ask(caller, at, over.0)));
        let asking: Vec<_> = asking.collect();
        for number in 1..=20 {
            place.gateway.swap(&asks(None), &format!("1.0.{number}"));
        }
        drop(over);
        asking.into_iter().map(|thread| thread.join().unwrap()).sum()
    });

    assert!(asked > 20 * CALLERS, "{asked} calls: there was traffic");
    assert_eq!(taken(&mut callees), before + asked, "each was delivered once");
    for callee in &mut callees {
        callee.tell("answer done\n");
        assert_eq!(patient.hear(), "done");
    }
    assert_eq!(place.gateway.status().count("call-failed"), 0);
}

#[test]
fn a_call_says_for_whom_it_is_what_it_is_a_part_of_and_until_when() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let place = Place::start("carry");
    let mut callee = place.callee();
    let said = |caller: &mut Line, line: &str| {
        let said = caller.says(line);
        let [account, trace, sampled, left] = said.split(' ').collect::<Vec<_>>()[..] else { panic!("{said}") };
        (account.to_owned(), trace.to_owned(), sampled == "true", left.parse::<u64>().unwrap())
    };
    for worker in 0..WORKERS {
        let mut caller = place.caller_where(|number| number == worker);
        // To this worker and to the other, along a row of requests, and after the answer to one.
        for way in ["back", "alone", "alone pass back", "alone pass alone pass back", "alone twofold back"] {
            let (account, trace, sampled, left) =
                said(&mut caller, &format!("for acme 00-{TRACE}-00f067aa0ba902b7-01 {way} whose"));
            assert_eq!((account.as_str(), trace.as_str(), sampled), ("\"acme\"", TRACE, true), "{way}");
            assert!((20_000..=30_000).contains(&left), "{way}: {left}");
            let (account, trace, sampled, left) = said(&mut caller, &format!("within 9000 {way} whose"));
            assert_eq!((account.as_str(), trace.len(), sampled), ("\"\"", 32, false), "{way}");
            assert!((1..=9000).contains(&left), "{way}: nobody waits longer than who has asked first: {left}");
            let (_, other, ..) = said(&mut caller, &format!("ask {way} whose"));
            assert_ne!(trace, other, "another begins");
        }
        // What it asks once it has answered is its own, in the same trace.
        assert_eq!(caller.says(&format!("for acme 00-{TRACE}-00f067aa0ba902b7-00 alone then back tell")), "first");
        assert!(callee.hear().starts_with(&format!("\"acme\" {TRACE} false ")));
        assert_eq!(caller.says("within 9000 alone then back tell"), "first");
        let left: u64 = callee.hear().rsplit_once(' ').unwrap().1.parse().unwrap();
        assert!((20_000..=30_000).contains(&left), "{left}");
    }
}

/// Asks until it is over. So many requests were for callees.
fn ask(mut caller: Line, at: usize, over: &AtomicBool) -> u64 {
    let mut asked = 0;
    for n in 0.. {
        let word = format!("{at}-{n}");
        let (line, counts) = match n % 4 {
            0 => (format!("ask alone pass back echo {word}"), 1),
            1 => (format!("ask alone after 5 {word}"), 0),
            _ => (format!("ask back echo {word}"), 1),
        };
        assert_eq!(caller.says(&line), word);
        asked += counts;
        if over.load(Ordering::SeqCst) {
            break;
        }
    }
    asked
}

fn taken(callees: &mut [Line]) -> u64 {
    callees.iter_mut().map(|callee| callee.says("count").parse::<u64>().unwrap()).sum()
}

#[test]
fn calls_under_way_are_answered_before_the_host_stops() {
    let mut place = Place::start("carry");
    let mut callee = place.callee();
    let mut caller = place.caller();
    caller.tell("ask back keep it\nask alone after 300 later\nask alone pass back keep it\n");
    assert_eq!([callee.hear(), callee.hear()], ["asked it", "asked it"]);

    signal(place.gateway.pid(), libc::SIGTERM);
    assert_eq!(caller.hear(), "later");
    callee.tell("answer done\nanswer done\n");

    assert_eq!([caller.hear(), caller.hear()], ["done", "done"]);
    caller.0.closed().unwrap();
    callee.0.closed().unwrap();
    assert!(place.gateway.ended(Duration::from_secs(10)).success());
}

const WORKERS: u64 = 2;

struct Place {
    gateway: Gateway,
    front: u16,
    back: u16,
}

impl Place {
    fn start(policy: &str) -> Self {
        let (front, back) = (free_port(), free_port());
        let text = format!(
            "workers = {WORKERS}\noverrun = {{ abandon = \"1h\" }}\n\
             [service.front]\ncomponent = \"asks\"\nlisten = [\"tcp://127.0.0.1:{front}\"]\npolicy = \"{policy}\"\n\
             [service.back]\ncomponent = \"asks\"\nlisten = [\"tcp://127.0.0.1:{back}\"]\npolicy = \"{policy}\"\n\
             config = {{ serves = true }}\n\
             [service.alone]\ncomponent = \"asks\"\npolicy = \"{policy}\"\n\
             [upstream.front]\nservers = [\"tcp://127.0.0.1:{front}\"]\n"
        );
        let gateway = Gateway::builder().library_as(&asks(None), "libtandem_asks.so").toml(&text).start();
        Place { gateway, front, back }
    }

    fn caller(&self) -> Line {
        Line(self.gateway.connect(self.front))
    }

    /// A caller on a worker like this.
    fn caller_where(&self, is: impl Fn(u64) -> bool) -> Line {
        eventually("there is one on each worker", || {
            let mut caller = self.caller();
            is(caller.says("number").parse::<u64>().unwrap() % WORKERS).then_some(caller)
        })
    }

    /// One more session that takes requests, and of which every worker knows.
    fn callee(&self) -> Line {
        let mut callee = Line(self.gateway.connect(self.back));
        let number = callee.says("number");
        let mut unknown: BTreeSet<u64> = (0..WORKERS).collect();
        eventually("every worker knows it", || {
            let mut caller = self.caller();
            let worker = caller.says("number").parse::<u64>().unwrap() % WORKERS;
            if (0..16).any(|_| caller.says("ask back who").ends_with(&format!("Tcp {number}"))) {
                unknown.remove(&worker);
            }
            unknown.is_empty().then_some(())
        });
        callee
    }

    /// Has a session not come back until the file that is returned is removed, and then obey a line.
    fn hold(&self, session: &mut Line, then: &str) -> PathBuf {
        let file = self.gateway.scratch("held");
        session.tell(&format!("hold {} {then}\n", file.display()));
        settled(true, || file.exists());
        file
    }

    fn sessions(&self) -> u64 {
        self.gateway.status().versions.iter().map(|version| version.sessions).sum()
    }
}

struct Line(Client);

impl Line {
    #[track_caller]
    fn says(&mut self, line: &str) -> String {
        self.tell(&format!("{line}\n"));
        self.hear()
    }

    #[track_caller]
    fn tell(&mut self, lines: &str) {
        self.0.send(lines.as_bytes()).unwrap();
    }

    #[track_caller]
    fn hear(&mut self) -> String {
        self.0.line().unwrap()
    }
}
