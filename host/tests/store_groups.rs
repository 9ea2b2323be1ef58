//! What is committed together comes to the same as one after the other: answers, refusals and rows, whatever two versions write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use semver::Version as Number;
use serde::Deserialize;
use serde_json::json;
use tandem::loader::manifest::TableManifest;
use tandem::store::row::Value;
use tandem::store::sqlite::Sqlite;
use tandem::store::table::Table;
use tandem::store::{Found, Home, Migrant, Operation, Question, Scan, Settled, Step, Store, Transaction};

/// `SEED=` runs one again, `ROUNDS=` more of them.
#[test]
fn a_group_comes_to_what_its_transactions_come_to_one_by_one() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("SEED").unwrap_or(now.as_micros() as u64);
    for seed in (seed..).take(number("ROUNDS").unwrap_or(20) as usize) {
        println!("SEED={seed} ROUNDS=1");
        go_on(seed);
    }
}

fn go_on(seed: u64) {
    let directory = tempfile::tempdir().unwrap();
    let (sender, settled) = channel();
    let deliver = move |_, batch: Vec<Settled>| batch.into_iter().for_each(|one| drop(sender.send(one)));
    let store = Sqlite::open(&directory.path().join("store.sqlite"), Box::new(deliver)).unwrap();
    let versions = [older(), newer()];
    for (number, version) in versions.iter().enumerate() {
        let number = Number::new(number as u64, 0, 0);
        let migrant = Migrant { component: "smpp", number: &number, name: &format!("smpp@{number}#000000") };
        store.migrate(&migrant, &[Table::clone(version)]).unwrap();
    }
    let (mut random, mut model) = (Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1), Model::default());
    for _ in 0..15 {
        let group: Vec<Vec<Told>> = (0..1 + random.below(40)).map(|_| random.transaction()).collect();
        for (place, told) in group.iter().enumerate() {
            let home = Home { worker: 0, key: place, session: 1 };
            store.give(Transaction { home, steps: told.iter().map(|told| told.step(&versions)).collect() });
        }
        for (place, told) in group.iter().enumerate() {
            let Settled { home, outcome } = settled.recv_timeout(Duration::from_secs(30)).expect("it is settled");
            assert_eq!(home.key, place, "in the order in which they were given");
            let answers = outcome.ok().map(|found| found.into_iter().map(|(_, found)| Answer::of(found)).collect());
            assert_eq!(answers, model.take(told), "{told:?}");
        }
        let all = Question::Scan(Scan { by: 0, from: None, to: None, after: None, limit: 100 });
        let found = store.reader().unwrap().ask(&versions[1], &all).unwrap();
        assert_eq!(Answer::of(found), Answer::Rows(model.0.values().cloned().collect()));
    }
}

/// A row, as both versions see it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Row {
    id: i64,
    n: i64,
    state: String,
    /// No two have the same.
    name: Option<String>,
}

/// What the newer one knows.
fn newer() -> Arc<Table> {
    table(json!([
        {"name": "id", "kind": "integer"},
        {"name": "n", "kind": "integer", "default": 3, "index": true},
        {"name": "state", "kind": "text", "default": "new"},
        {"name": "name", "kind": "text", "default": null, "unique": true},
        {"name": "more", "kind": "integer", "default": 0},
    ]))
}

/// The older one has fewer columns, and other places for them.
fn older() -> Arc<Table> {
    table(json!([
        {"name": "id", "kind": "integer"},
        {"name": "state", "kind": "text", "default": "new"},
        {"name": "name", "kind": "text", "default": null, "unique": true},
        {"name": "n", "kind": "integer", "default": 3, "index": true},
    ]))
}

fn table(columns: serde_json::Value) -> Arc<Table> {
    let manifest: TableManifest =
        serde_json::from_value(json!({"name": "messages", "key": ["id"], "columns": columns})).unwrap();
    Arc::new(Table::of("smpp", &manifest).unwrap())
}

/// What a version tells of a row.
#[derive(Clone, Debug)]
struct Told {
    version: usize,
    id: i64,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Put(&'static str, Option<String>),
    Insert(&'static str),
    Update(&'static str),
    Delete,
    Add(i64),
    Swap(&'static str, &'static str),
    IfDone,
    End,
    Get,
    ByNumber,
}

impl Told {
    fn step(&self, versions: &[Arc<Table>]) -> Step {
        let table = &versions[self.version];
        let at = |name: &str| table.column(name).unwrap();
        let text = |text: &str| Value::Text(text.into());
        let (key, state) = (vec![Value::Integer(self.id)], |it: &str| (at("state"), text(it)));
        let operation = match &self.what {
            What::Put(to, name) => {
                let name = name.as_deref().map_or(Value::Null, text);
                Operation::Put(vec![(at("id"), Value::Integer(self.id)), state(to), (at("name"), name)])
            }
            What::Insert(to) => {
                Operation::Insert { columns: vec![(at("id"), Value::Integer(self.id)), state(to)], token: 1 }
            }
            What::Update(to) => Operation::Update { key, columns: vec![state(to)] },
            What::Delete => Operation::Delete { key },
            What::Add(delta) => Operation::Add { key, column: at("n"), delta: *delta },
            What::Swap(from, to) => {
                Operation::Swap { key, expected: vec![state(from)], columns: vec![state(to)], token: 1 }
            }
            What::IfDone => Operation::IfDone,
            What::End => Operation::End,
            What::Get => Operation::Ask { question: Question::Get { key }, token: 1 },
            What::ByNumber => {
                let scan = Scan { by: at("n"), from: None, to: Some(Value::Integer(5)), after: None, limit: 3 };
                Operation::Ask { question: Question::Scan(scan), token: 1 }
            }
        };
        Step { table: Arc::clone(table), operation }
    }
}

/// What is answered; of rows what both versions know.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Done(bool),
    Rows(Vec<Row>),
}

impl Answer {
    fn of(found: Found) -> Self {
        match found {
            Found::Done(done) => Answer::Done(done),
            Found::Row(row) => Answer::Rows(row.iter().map(|row| rmp_serde::from_slice(row).unwrap()).collect()),
            Found::Rows(rows) => Answer::Rows(rmp_serde::from_slice(&rows).unwrap()),
        }
    }
}

/// The rows as they would be, by the plainest of means.
#[derive(Clone, Default)]
struct Model(BTreeMap<i64, Row>);

impl Model {
    /// What a transaction is answered; nothing where it cannot be committed, and then nothing of it is there.
    fn take(&mut self, told: &[Told]) -> Option<Vec<Answer>> {
        let mut after = self.clone();
        let answers = after.carry_out(told)?;
        *self = after;
        Some(answers)
    }

    fn carry_out(&mut self, told: &[Told]) -> Option<Vec<Answer>> {
        let (mut answers, mut skips) = (Vec::new(), false);
        for Told { id, what, .. } in told {
            match what {
                What::IfDone => skips = answers.last() == Some(&Answer::Done(false)),
                What::End => skips = false,
                _ if skips => {}
                What::Put(state, name) => {
                    let taken = |row: &Row| row.id != *id && row.name == *name;
                    if name.is_some() && self.0.values().any(taken) {
                        return None;
                    }
                    let row = self.row(*id);
                    (row.state, row.name) = ((*state).to_owned(), name.clone());
                }
                What::Insert(state) => {
                    let is_there = self.0.contains_key(id);
                    if !is_there {
                        self.row(*id).state = (*state).to_owned();
                    }
                    answers.push(Answer::Done(!is_there));
                }
                What::Update(state) => {
                    if let Some(row) = self.0.get_mut(id) {
                        row.state = (*state).to_owned();
                    }
                }
                What::Delete => drop(self.0.remove(id)),
                What::Add(delta) => {
                    let row = self.row(*id);
                    row.n = row.n.checked_add(*delta)?;
                }
                What::Swap(from, to) => {
                    let row = self.0.get_mut(id).filter(|row| row.state == *from);
                    answers.push(Answer::Done(row.is_some()));
                    if let Some(row) = row {
                        row.state = (*to).to_owned();
                    }
                }
                What::Get => answers.push(Answer::Rows(self.0.get(id).cloned().into_iter().collect())),
                What::ByNumber => {
                    let mut rows: Vec<Row> = self.0.values().filter(|row| row.n <= 5).cloned().collect();
                    rows.sort_by_key(|row| (row.n, row.id));
                    rows.truncate(3);
                    answers.push(Answer::Rows(rows));
                }
            }
        }
        Some(answers)
    }

    fn row(&mut self, id: i64) -> &mut Row {
        self.0.entry(id).or_insert_with(|| Row { id, n: 3, state: "new".into(), name: None })
    }
}

/// What is drawn.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % n
    }

    /// What one version writes, and asks.
    fn transaction(&mut self) -> Vec<Told> {
        let version = self.below(2);
        let mut told = Vec::new();
        for _ in 0..1 + self.below(4) {
            let what = self.what();
            let may_be_condition = matches!(what, What::Insert(_) | What::Swap(..));
            told.push(self.told(version, what));
            if may_be_condition && self.below(2) == 0 {
                told.push(self.told(version, What::IfDone));
                for _ in 0..self.below(4) {
                    let written = self.written();
                    told.push(self.told(version, written));
                }
                told.push(self.told(version, What::End));
            }
        }
        told
    }

    fn told(&mut self, version: usize, what: What) -> Told {
        // More numbers than are added up at a time, and a few that all have to do with.
        let id = if self.below(3) == 0 { 10 + self.below(30) } else { self.below(4) };
        Told { version, id: id as i64, what }
    }

    fn what(&mut self) -> What {
        match self.below(10) {
            0 => What::Insert(self.state()),
            1..4 => What::Swap(self.state(), self.state()),
            4 => What::Get,
            5 => What::ByNumber,
            _ => self.written(),
        }
    }

    fn written(&mut self) -> What {
        match self.below(12) {
            0 => What::Put(self.state(), None),
            // Another row may have that name.
            1 => What::Put(self.state(), Some(format!("name {}", self.below(8)))),
            2 => What::Update(self.state()),
            3 => What::Delete,
            // Beyond the bounds of a number, where something is there already.
            4 if self.below(8) == 0 => What::Add(i64::MAX - 1),
            _ => What::Add(self.below(3) as i64),
        }
    }

    fn state(&mut self) -> &'static str {
        ["new", "a", "b"][self.below(3)]
    }
}
