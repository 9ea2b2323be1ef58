//! The store in SQLite: what is written is there, also for versions that know less or more, and bad files are refused.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use semver::Version as Number;
use serde::{Deserialize, Serialize};
use tandem::loader::manifest::TableManifest;
use tandem::store::row;
use tandem::store::sqlite::Sqlite;
use tandem::store::table::Table;
use tandem::store::{
    Failure, Found, Home, Migrant, Operation, Question, Scan, Settled, Step, Store, Transaction, Unfit,
};
use tempfile::TempDir;

struct Place {
    store: Sqlite,
    settled: Receiver<Settled>,
    file: PathBuf,
    _directory: TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("store.sqlite");
        let (store, settled) = open(&file);
        Place { store, settled, file, _directory: directory }
    }

    /// Takes a version's tables, and gives the one that the test is about.
    fn migrate(&self, number: &str, table: &Arc<Table>) -> Result<(), Unfit> {
        let number = Number::parse(number).unwrap();
        let name = format!("smpp@{number}#000000");
        self.store.migrate(&Migrant { component: "smpp", number: &number, name: &name }, &[Table::clone(table)])
    }

    /// One transaction, whole.
    fn give(&self, steps: Vec<Step>) -> Result<Vec<(u64, Found)>, Failure> {
        self.store.give(Transaction { home: HOME, steps });
        let settled = self.settled.recv_timeout(Duration::from_secs(10)).expect("it is settled");
        assert_eq!(settled.home, HOME);
        settled.outcome
    }

    fn put(&self, table: &Arc<Table>, row: &impl Serialize) {
        self.give(vec![put(table, row)]).unwrap();
    }

    fn get<T: for<'de> Deserialize<'de>>(&self, table: &Arc<Table>, id: i64) -> Option<T> {
        let mut reader = self.store.reader().unwrap();
        match reader.ask(table, &Question::Get { key: vec![row::Value::Integer(id)] }).unwrap() {
            Found::Row(row) => row.map(|row| rmp_serde::from_slice(&row).unwrap()),
            found => panic!("{found:?}"),
        }
    }
}

const HOME: Home = Home { worker: 0, key: 7, session: 9 };

fn open(file: &std::path::Path) -> (Sqlite, Receiver<Settled>) {
    let (sender, settled) = channel();
    let deliver = move |_, batch: Vec<Settled>| batch.into_iter().for_each(|one| drop(sender.send(one)));
    (Sqlite::open(file, Box::new(deliver)).unwrap(), settled)
}

fn table(json: serde_json::Value) -> Arc<Table> {
    let manifest: TableManifest = serde_json::from_value(json).unwrap();
    Arc::new(Table::of("smpp", &manifest).unwrap())
}

fn put(table: &Arc<Table>, row: &impl Serialize) -> Step {
    let columns = row::read(table, &rmp_serde::to_vec_named(row).unwrap()).unwrap();
    Step { table: Arc::clone(table), operation: Operation::Put(columns) }
}

fn key(id: i64) -> Vec<row::Value> {
    vec![row::Value::Integer(id)]
}

/// The first version's: an id, a state, and a nested value.
fn one() -> Arc<Table> {
    table(serde_json::json!({"name": "messages", "key": ["id"], "columns": [
        {"name": "id", "kind": "integer"},
        {"name": "state", "kind": "text", "default": "new", "index": true},
        {"name": "parts", "kind": "nested"},
    ]}))
}

/// The second's, with a count.
fn two() -> Arc<Table> {
    table(serde_json::json!({"name": "messages", "key": ["id"], "columns": [
        {"name": "id", "kind": "integer"},
        {"name": "state", "kind": "text", "default": "new", "index": true},
        {"name": "parts", "kind": "nested"},
        {"name": "tries", "kind": "integer", "default": 3, "index": true},
        {"name": "urgent", "kind": "boolean", "default": false},
    ]}))
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct One {
    id: i64,
    state: String,
    parts: Option<Vec<Part>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Part {
    number: u8,
    text: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Two {
    id: i64,
    state: String,
    parts: Option<Vec<Part>>,
    tries: i64,
    urgent: bool,
}

#[test]
fn a_row_is_there_as_it_was_written_also_after_a_restart() {
    let place = Place::new();
    let table = one();
    place.migrate("1.0.0", &table).unwrap();
    let row = One { id: 1, state: "sent".into(), parts: Some(vec![Part { number: 1, text: "ä".into() }]) };

    place.put(&table, &row);

    assert_eq!(place.get::<One>(&table, 1).unwrap(), row);
    assert_eq!(place.get::<One>(&table, 2), None);
    let Place { store, file, _directory, .. } = place;
    drop(store);
    let (store, _settled) = open(&file);
    let found = store.reader().unwrap().ask(&table, &Question::Get { key: key(1) }).unwrap();
    let Found::Row(Some(found)) = found else { panic!("{found:?}") };
    assert_eq!(rmp_serde::from_slice::<One>(&found).unwrap(), row);
}

#[test]
fn an_older_version_leaves_alone_what_it_does_not_know() {
    let place = Place::new();
    let (older, newer) = (one(), two());
    place.migrate("1.0.0", &older).unwrap();
    place.put(&older, &One { id: 1, state: "first".into(), parts: None });
    place.migrate("2.0.0", &newer).unwrap();
    let before: Two = place.get(&newer, 1).unwrap();
    assert_eq!((before.tries, before.urgent), (3, false), "rows that were there have the default");
    place.put(&newer, &Two { id: 1, state: "second".into(), parts: None, tries: 9, urgent: true });

    place.migrate("1.0.0", &older).unwrap();
    place.put(&older, &One { id: 1, state: "third".into(), parts: None });

    let after: Two = place.get(&newer, 1).unwrap();
    assert_eq!(after, Two { id: 1, state: "third".into(), parts: None, tries: 9, urgent: true });
    let key = key(1);
    place.give(vec![Step { table: Arc::clone(&older), operation: Operation::Delete { key } }]).unwrap();
    place.put(&older, &One { id: 1, state: "anew".into(), parts: None });
    assert_eq!(place.get::<Two>(&newer, 1).unwrap().tries, 3, "what is put after it was deleted is a new row");
}

#[test]
fn every_operation_does_what_it_says_in_one_transaction() {
    let place = Place::new();
    let table = two();
    place.migrate("1.0.0", &table).unwrap();
    let step = |operation| Step { table: Arc::clone(&table), operation };
    let columns = |json: serde_json::Value| row::read(&table, &rmp_serde::to_vec_named(&json).unwrap()).unwrap();
    let (state, tries) = (table.column("state").unwrap(), table.column("tries").unwrap());
    let text = |text: &str| row::Value::Text(text.into());
    let answers = place
        .give(vec![
            step(Operation::Insert { columns: columns(serde_json::json!({"id": 1, "state": "a"})), token: 1 }),
            step(Operation::Insert { columns: columns(serde_json::json!({"id": 1, "state": "b"})), token: 2 }),
            step(Operation::Add { key: key(1), column: tries, delta: 4 }),
            step(Operation::Add { key: key(2), column: tries, delta: -1 }),
            step(Operation::Update { key: key(3), columns: vec![(state, text("nowhere"))] }),
            step(Operation::Swap {
                key: key(1),
                expected: vec![(state, text("b"))],
                columns: vec![(state, text("c"))],
                token: 3,
            }),
            step(Operation::Swap {
                key: key(1),
                expected: vec![(state, text("a"))],
                columns: vec![(state, text("d"))],
                token: 4,
            }),
            step(Operation::Ask { question: Question::Get { key: key(1) }, token: 5 }),
            step(Operation::Ask { question: Question::Get { key: key(3) }, token: 6 }),
        ])
        .unwrap();
    let done: Vec<_> = answers.iter().take(4).cloned().collect();
    assert_eq!(
        done,
        [(1, Found::Done(true)), (2, Found::Done(false)), (3, Found::Done(false)), (4, Found::Done(true))]
    );
    let Found::Row(Some(own)) = &answers[4].1 else { panic!("{answers:?}") };
    let own: Two = rmp_serde::from_slice(own).unwrap();
    assert_eq!((own.state.as_str(), own.tries), ("d", 7), "what is asked after writes sees them; 3 is the default");
    assert_eq!(answers[5], (6, Found::Row(None)));
    assert_eq!(place.get::<Two>(&table, 2).unwrap().tries, 2);
}

#[test]
fn what_is_done_on_condition_is_done_with_it_or_not_at_all() {
    let place = Place::new();
    let table = two();
    place.migrate("1.0.0", &table).unwrap();
    let (state, tries) = (table.column("state").unwrap(), table.column("tries").unwrap());
    let text = |text: &str| row::Value::Text(text.into());
    let step = |operation| Step { table: Arc::clone(&table), operation };
    let swap = |from: &str, to: &str| {
        step(Operation::Swap {
            key: key(1),
            expected: vec![(state, text(from))],
            columns: vec![(state, text(to))],
            token: 1,
        })
    };
    let add = |id| step(Operation::Add { key: key(id), column: tries, delta: 1 });
    place.put(&table, &Two { id: 1, state: "a".into(), parts: None, tries: 0, urgent: false });
    let found = place.give(vec![
        swap("a", "b"),
        step(Operation::IfDone),
        add(2),
        step(Operation::Update { key: key(1), columns: vec![(tries, row::Value::Integer(7))] }),
        step(Operation::End),
        swap("a", "c"),
        step(Operation::IfDone),
        add(2),
        step(Operation::Delete { key: key(1) }),
        step(Operation::End),
        add(3),
    ]);
    assert_eq!(found, Ok(vec![(1, Found::Done(true)), (1, Found::Done(false))]));
    let first = Two { id: 1, state: "b".into(), parts: None, tries: 7, urgent: false };
    assert_eq!(place.get::<Two>(&table, 1), Some(first));
    assert_eq!([2, 3].map(|id| place.get::<Two>(&table, id).unwrap().tries), [4, 4], "3 is the default");
}

#[test]
fn what_many_add_to_one_number_is_there_for_who_asks_after_them() {
    let place = Place::new();
    let (older, newer) = (two(), two());
    place.migrate("1.0.0", &older).unwrap();
    let tries = older.column("tries").unwrap();
    let add = |table: &Arc<Table>, id, delta| Step {
        table: Arc::clone(table),
        operation: Operation::Add { key: key(id), column: tries, delta },
    };
    let ask = || Step {
        table: Arc::clone(&newer),
        operation: Operation::Ask { question: Question::Get { key: key(1) }, token: 1 },
    };
    let of = |found: Result<Vec<(u64, Found)>, Failure>| match found.unwrap().pop() {
        Some((1, Found::Row(Some(row)))) => rmp_serde::from_slice::<Two>(&row).unwrap().tries,
        found => panic!("{found:?}"),
    };
    // One version asks for what the other has added.
    assert_eq!(of(place.give(vec![add(&older, 1, 1), add(&older, 2, 1), add(&older, 1, 2), ask()])), 6);
    // Given at once, so that they are one group. What goes beyond the bounds of a number fails by itself.
    for steps in [vec![add(&older, 1, 1)], vec![add(&older, 1, i64::MAX)], vec![add(&newer, 1, 1)]] {
        place.store.give(Transaction { home: HOME, steps });
    }
    let outcomes: Vec<bool> = (0..3).map(|_| place.settled.recv().unwrap().outcome.is_ok()).collect();
    assert_eq!(outcomes, [true, false, true]);
    assert_eq!(of(place.give(vec![ask()])), 8);
    // More numbers than are looked at.
    place.give((1..100).chain(1..100).map(|id| add(&older, id, 1)).collect()).unwrap();
    assert_eq!([1, 2, 50, 99].map(|id| place.get::<Two>(&older, id).unwrap().tries), [10, 6, 5, 5]);
}

#[test]
fn a_scan_goes_by_an_index_in_pages() {
    let place = Place::new();
    let table = two();
    place.migrate("1.0.0", &table).unwrap();
    for id in 0..10 {
        place.put(&table, &Two { id, state: "x".into(), parts: None, tries: id / 3, urgent: false });
    }
    let by = table.column("tries").unwrap();
    let mut reader = place.store.reader().unwrap();
    let mut scan = |from, to, after, limit| {
        let scan = Scan { by, from, to, after, limit };
        match reader.ask(&table, &Question::Scan(scan)).unwrap() {
            Found::Rows(rows) => rmp_serde::from_slice::<Vec<Two>>(&rows).unwrap().iter().map(|row| row.id).collect(),
            found => panic!("{found:?}"),
        }
    };
    let at = |tries| Some(row::Value::Integer(tries));
    let all: Vec<i64> = scan(None, None, None, 100);
    assert_eq!(all, (0..10).collect::<Vec<_>>());
    assert_eq!(scan(at(1), at(2), None, 4), [3, 4, 5, 6]);
    assert_eq!(scan(at(1), at(2), Some((row::Value::Integer(2), key(6))), 4), [7, 8]);
}

#[test]
fn what_cannot_be_committed_fails_alone() {
    let place = Place::new();
    let table = table(serde_json::json!({"name": "names", "key": ["id"], "columns": [
        {"name": "id", "kind": "integer"}, {"name": "name", "kind": "text", "unique": true},
    ]}));
    place.migrate("1.0.0", &table).unwrap();
    let row = |id: i64, name: &str| put(&table, &serde_json::json!({"id": id, "name": name}));
    // Given at once, so that they are one group.
    let given = [vec![row(1, "a")], vec![row(2, "b"), row(3, "a")], vec![row(4, "d")]];
    let count = given.len();
    for steps in given {
        place.store.give(Transaction { home: HOME, steps });
    }
    let outcomes: Vec<_> = (0..count).map(|_| place.settled.recv().unwrap().outcome.map(drop)).collect();
    assert!(
        matches!(&outcomes[..], [Ok(()), Err(Failure::Conflict(reason)), Ok(())] if reason.contains("UNIQUE")),
        "{outcomes:?}"
    );
    assert!(place.get::<serde_json::Value>(&table, 2).is_none(), "none of its writes is there");
    assert!(place.get::<serde_json::Value>(&table, 4).is_some());
}

#[test]
fn a_version_that_does_not_fit_changes_nothing() {
    let place = Place::new();
    place.migrate("1.0.0", &one()).unwrap();
    place.put(&one(), &One { id: 1, state: "same".into(), parts: None });
    place.put(&one(), &One { id: 2, state: "same".into(), parts: None });
    let before = place.store.history().unwrap();
    let unique = table(serde_json::json!({"name": "messages", "key": ["id"], "columns": [
        {"name": "id", "kind": "integer"},
        {"name": "more", "kind": "text", "default": null},
        {"name": "state", "kind": "text", "default": "new", "unique": true},
        {"name": "parts", "kind": "nested"},
    ]}));
    let reason = place.migrate("2.0.0", &unique).unwrap_err().to_string();
    assert!(reason.starts_with("table `messages`, column `state`: rows that are there share a value"), "{reason}");
    assert_eq!(place.store.history().unwrap(), before);

    let dropped =
        table(serde_json::json!({"name": "messages", "key": ["id"], "columns": [{"name": "id", "kind": "integer"}]}));
    assert!(place.migrate("2.0.0", &dropped).unwrap_err().to_string().contains("column `state`"));
    let number = Number::parse("2.0.0").unwrap();
    let migrant = Migrant { component: "smpp", number: &number, name: "smpp@2.0.0#000000" };
    place.store.compare(&migrant, &[Table::clone(&two())]).unwrap();
    assert_eq!(place.store.history().unwrap(), before, "a comparison changes nothing");
    place.migrate("2.0.0", &two()).unwrap();
    let history: Vec<_> = place.store.history().unwrap().into_iter().map(|one| (one.version, one.change)).collect();
    let newest = ("smpp@2.0.0#000000".to_owned(), "column urgent boolean default 0".to_owned());
    assert_eq!(history.last(), Some(&newest), "{history:?}");
}

#[test]
fn a_file_that_is_no_store_of_ours_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let refused = |file: &std::path::Path| Sqlite::open(file, Box::new(|_, _| ())).err().expect("refused").to_string();
    std::fs::write(file("text"), "this is no database, but it is long enough to be looked at as one".repeat(100))
        .unwrap();
    let reason = refused(&file("text"));
    assert!(reason.contains("is no SQLite file") && reason.contains("move it away"), "{reason}");
    for (pragma, what) in [("application_id", "another program"), ("user_version", "newer tandem")] {
        let path = file(pragma);
        rusqlite::Connection::open(&path).unwrap().pragma_update(None, pragma, 77).unwrap();
        let reason = refused(&path);
        assert!(reason.contains(what), "{reason}");
    }
    let held = file("held");
    drop(open(&held));
    let holder = rusqlite::Connection::open(&held).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE; CREATE TABLE x (y)").unwrap();
    let (store, settled) = open(&held);
    let table = one();
    store.give(Transaction { home: HOME, steps: vec![put(&table, &One { id: 1, state: "x".into(), parts: None })] });
    let Err(Failure::Unavailable(reason)) = settled.recv().unwrap().outcome else { panic!("it is held") };
    assert!(reason.contains("another process"), "{reason}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_store_without_room_says_so_and_goes_on_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let Some(_disk) = SmallDisk::mount(directory.path()) else {
        println!("skipped: no small disk can be mounted here");
        return;
    };
    let file = directory.path().join("store.sqlite");
    let (store, settled) = open(&file);
    let table = one();
    let number = Number::new(1, 0, 0);
    store
        .migrate(&Migrant { component: "smpp", number: &number, name: "smpp@1.0.0#000000" }, &[Table::clone(&table)])
        .unwrap();
    let give = |id: i64, bytes: usize| {
        let row = One { id, state: "x".repeat(bytes), parts: None };
        store.give(Transaction { home: HOME, steps: vec![put(&table, &row)] });
        settled.recv_timeout(Duration::from_secs(10)).unwrap().outcome
    };
    give(1, 100).unwrap();
    let filler = directory.path().join("filler");
    std::fs::write(&filler, vec![0; 1 << 20]).unwrap();

    let Err(Failure::Unavailable(reason)) = give(2, 1 << 20) else { panic!("there is no room") };

    assert!(reason.contains("full"), "{reason}");
    let mut reader = store.reader().unwrap();
    assert_eq!(reader.ask(&table, &Question::Get { key: key(2) }), Ok(Found::Row(None)));
    std::fs::remove_file(filler).unwrap();
    give(2, 1 << 18).expect("there is room");
    let Ok(Found::Row(Some(_))) = reader.ask(&table, &Question::Get { key: key(2) }) else { panic!("it is there") };
}

/// A disk of two megabytes in memory, for as long as the value lives.
#[cfg(target_os = "linux")]
struct SmallDisk(PathBuf);

#[cfg(target_os = "linux")]
impl SmallDisk {
    fn mount(at: &std::path::Path) -> Option<Self> {
        let mount =
            std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(at).output();
        mount.is_ok_and(|output| output.status.success()).then(|| SmallDisk(at.to_owned()))
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking(), "it can be unmounted");
    }
}
