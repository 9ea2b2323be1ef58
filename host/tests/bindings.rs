//! Bindings of conversations, in the store: found, counted, listed by version, and gone when their time is up.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use semver::Version as Number;
use tandem::store::bindings::{Binding, Bindings};
use tandem::store::sqlite::Sqlite;
use tandem::store::{Failure, Found, HOST, Home, Migrant, Settled, Step, Store, Transaction};
use tempfile::TempDir;

struct Place {
    store: Sqlite,
    settled: Receiver<Settled>,
    bindings: Bindings,
    _directory: TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (sender, settled) = channel();
        let deliver = move |_, batch: Vec<Settled>| batch.into_iter().for_each(|one| drop(sender.send(one)));
        let store = Sqlite::open(&directory.path().join("store.sqlite"), Box::new(deliver)).unwrap();
        let (bindings, number) = (Bindings::default(), Number::new(1, 0, 0));
        let host = Migrant { component: HOST, number: &number, name: "tandem@1.0.0" };
        store.migrate(&host, &[bindings.table().clone()]).unwrap();
        Place { store, settled, bindings, _directory: directory }
    }

    fn give(&self, steps: Vec<Step>) -> Result<Vec<(u64, Found)>, Failure> {
        self.store.give(Transaction { home: Home { worker: 0, key: 0, session: 0 }, steps });
        self.settled.recv_timeout(Duration::from_secs(10)).expect("it is settled").outcome
    }

    /// Binds, and says what is bound then.
    fn bind(&self, service: &str, key: &str, version: &str, until: u64, known: Option<&Binding>) -> Binding {
        let binding = Binding { version: version.to_owned(), until, state: None, saves: 0 };
        let found = self.give(self.bindings.bind(service, key.as_bytes(), &binding, known, 0)).unwrap();
        Binding::read(&found.last().unwrap().1).unwrap().unwrap()
    }

    fn find(&self, service: &str, key: &str) -> Option<Binding> {
        self.bindings.find(&mut *self.store.reader().unwrap(), service, key.as_bytes()).unwrap()
    }

    fn versions(&self, service: &str) -> Vec<String> {
        self.bindings.versions(&mut *self.store.reader().unwrap(), service).unwrap()
    }
}

#[test]
fn who_is_first_binds_and_who_comes_later_is_told() {
    let place = Place::new();
    assert_eq!(place.find("web", "k"), None);
    let first = place.bind("web", "k", "http@1.0.0#aa", 50, None);
    assert_eq!(place.bind("web", "k", "http@2.0.0#bb", 60, None), first);
    assert_eq!(place.find("web", "k"), Some(first.clone()));
    assert_eq!(place.find("api", "k"), None, "another service's is another");

    let second = place.bind("web", "k", "http@2.0.0#bb", 70, Some(&first));
    assert_eq!(second, Binding { version: "http@2.0.0#bb".to_owned(), until: 70, state: None, saves: 0 });
    assert_eq!(place.bind("web", "k", "http@3.0.0#cc", 80, Some(&first)), second, "what was known is out of date");

    place.give(vec![place.bindings.touch("web", b"k", 90)]).unwrap();
    assert_eq!(place.find("web", "k"), Some(Binding { until: 90, ..second }));
}

#[test]
fn versions_are_listed_by_service_each_once() {
    let place = Place::new();
    for (at, (service, version)) in
        [("web", "b"), ("web", "a"), ("api", "c"), ("web", "a"), ("webby", "d"), ("web", "b")].into_iter().enumerate()
    {
        place.bind(service, &format!("k{at}"), version, 10, None);
    }
    assert_eq!(place.versions("web"), ["a", "b"]);
    assert_eq!(place.versions("api"), ["c"]);
    assert!(place.versions("we").is_empty());
    let mut reader = place.store.reader().unwrap();
    assert!(place.bindings.any(&mut *reader, "web", "a").unwrap());
    assert!(!place.bindings.any(&mut *reader, "web", "c").unwrap());
}

#[test]
fn what_has_ended_goes_and_of_too_many_the_one_that_ends_first() {
    let place = Place::new();
    for (key, until) in [("a", 30), ("b", 10), ("c", 20), ("d", 5_000_000_000_000_000_000)] {
        place.bind("web", key, "v", until, None);
    }
    place.bind("api", "a", "v", 1, None);
    let mut reader = place.store.reader().unwrap();
    place.bindings.count(&mut *reader).unwrap();
    assert!(place.bindings.make_room(&mut *reader, "web", 5).unwrap().is_none());

    let room = place.bindings.make_room(&mut *reader, "web", 4).unwrap().unwrap();
    place.give(vec![room]).unwrap();
    assert_eq!(place.find("web", "b"), None);
    assert!(place.bindings.make_room(&mut *reader, "web", 4).unwrap().is_none());

    place.give(place.bindings.expire(&mut *reader, "web", 30).unwrap()).unwrap();
    assert_eq!(["a", "c", "d"].map(|key| place.find("web", key).is_some()), [false, false, true]);
    assert!(place.find("api", "a").is_some());
    place.give(place.bindings.expire(&mut *reader, "web", u64::MAX).unwrap()).unwrap();
    assert!(place.bindings.has_had_some("web") && !place.bindings.has_had_some("other"));
}

#[test]
fn they_are_counted_also_where_there_are_many() {
    let place = Place::new();
    for from in (0_u64..1200).step_by(100) {
        let binding = |at: u64| Binding { version: "v".to_owned(), until: at, state: None, saves: 0 };
        let steps = (from..from + 100).flat_map(|at| {
            place.bindings.bind(if at % 3 == 0 { "web" } else { "api" }, &at.to_be_bytes(), &binding(at), None, 0)
        });
        place.give(steps.collect()).unwrap();
    }
    let mut reader = place.store.reader().unwrap();
    place.bindings.count(&mut *reader).unwrap();
    assert!(place.bindings.make_room(&mut *reader, "web", 401).unwrap().is_none());
    assert!(place.bindings.make_room(&mut *reader, "web", 400).unwrap().is_some());
    assert!(place.bindings.make_room(&mut *reader, "api", 801).unwrap().is_none());
    assert!(place.bindings.make_room(&mut *reader, "api", 800).unwrap().is_some());
}

#[test]
fn a_saved_state_is_kept_until_the_time_is_up() {
    let place = Place::new();
    let bound = place.bind("web", "k", "v1", 50, None);
    let saved = Binding { until: 60, state: Some(b"state".to_vec()), ..bound };
    place.give(vec![place.bindings.save("web", b"k", saved.clone())]).unwrap();
    let saved = Binding { saves: 1, ..saved };
    assert_eq!(place.find("web", "k"), Some(saved.clone()));
    let late = Binding { state: Some(b"late".to_vec()), saves: 0, ..saved.clone() };
    let refused = place.give(vec![place.bindings.save("web", b"k", late)]);
    assert!(matches!(refused, Err(Failure::Conflict(_))), "another has saved it: {refused:?}");
    assert_eq!(place.find("web", "k"), Some(saved.clone()));

    let moved = Binding { version: "v2".to_owned(), until: 70, state: None, saves: 0 };
    place.give(place.bindings.bind("web", b"k", &moved, Some(&saved), 55)).unwrap();
    assert_eq!(
        place.find("web", "k"),
        Some(Binding { state: saved.state.clone(), saves: 1, ..moved.clone() }),
        "it goes on"
    );
    let known = place.find("web", "k").unwrap();
    place.give(place.bindings.bind("web", b"k", &Binding { until: 90, ..moved.clone() }, Some(&known), 80)).unwrap();
    assert_eq!(place.find("web", "k"), Some(Binding { until: 90, saves: 1, ..moved }), "it begins anew");

    place.give(vec![place.bindings.forget("web", b"k")]).unwrap();
    assert_eq!(place.find("web", "k"), None);
}
