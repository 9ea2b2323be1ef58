//! What is known of a host and where the operator looks.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};

use crate::admin::{Status, Told, VersionStatus};
use crate::clock::Nanos;
use crate::observe::notice::Said;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Board {
    status: Option<(Nanos, Status)>,
    /// Why the host cannot be asked.
    gone: Option<String>,
    /// What versions had taken, the last few times.
    counts: VecDeque<(Nanos, HashMap<String, Counts>)>,
    /// The newest last.
    notices: VecDeque<Said>,
    order: Order,
    /// The version that is selected; the first row where there is none.
    selected: Option<String>,
    /// The first row that is shown.
    pub(super) first: usize,
    help: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    taken: u64,
    exchanges: Option<u64>,
}

/// What the operator may want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Up(usize),
    Down(usize),
    Order,
    Help,
    Close,
}

/// By what versions are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// As the host says them: by component, newest first.
    #[default]
    Version,
    Traffic,
    Sessions,
    Memory,
    Failures,
}

impl Order {
    pub(super) fn word(self) -> &'static str {
        match self {
            Order::Version => "version",
            Order::Traffic => "traffic",
            Order::Sessions => "sessions",
            Order::Memory => "memory",
            Order::Failures => "failures",
        }
    }

    fn next(self) -> Self {
        match self {
            Order::Version => Order::Traffic,
            Order::Traffic => Order::Sessions,
            Order::Sessions => Order::Memory,
            Order::Memory => Order::Failures,
            Order::Failures => Order::Version,
        }
    }
}

/// A version, and what it has done of late.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) version: &'a VersionStatus,
    /// Sessions taken over in a second; nothing before it was seen twice.
    pub(super) taken: Option<f64>,
    /// Its share of those of its component, from 0 to 1; nothing where none were.
    pub(super) share: Option<f64>,
    /// Exchanges ended in a second, where it tells of them.
    pub(super) exchanges: Option<f64>,
}

/// What is done in a second is measured over so many statuses.
const COUNTS_KEPT: usize = 6;
/// So many notices are kept.
const NOTICES_KEPT: usize = 256;

impl Board {
    pub(super) fn told(&mut self, now: Nanos, told: Told) {
        match told {
            Told::Status(status) => self.update(now, *status),
            Told::Notice(said) => {
                // Whoever comes back to a host hears its last ones again.
                let known = |one: &Said| (one.number, one.at) == (said.number, said.at);
                if !self.notices.iter().any(known) {
                    if self.notices.len() == NOTICES_KEPT {
                        self.notices.pop_front();
                    }
                    self.notices.push_back(said);
                }
            }
            Told::Gone(reason) => self.gone = Some(reason),
        }
    }

    fn update(&mut self, now: Nanos, status: Status) {
        let before = self.status.as_ref().map(|(_, status)| (status.pid, status.since));
        if before.is_some_and(|before| before != (status.pid, status.since)) {
            // Another host counts from zero.
            self.counts.clear();
        }
        let counts = status.versions.iter().map(|one| {
            let counts = Counts { taken: one.taken, exchanges: one.exchanges.as_ref().map(|it| it.ended) };
            (one.version.clone(), counts)
        });
        self.counts.push_back((now, counts.collect()));
        if self.counts.len() > COUNTS_KEPT {
            self.counts.pop_front();
        }
        self.gone = None;
        self.status = Some((now, status));
    }

    pub(super) fn pressed(&mut self, key: Key) {
        match key {
            Key::Quit => {}
            Key::Help => self.help = !self.help,
            Key::Close => self.help = false,
            Key::Order => self.order = self.order.next(),
            Key::Up(by) => self.select(|at, _| at.saturating_sub(by)),
            Key::Down(by) => self.select(|at, last| at.saturating_add(by).min(last)),
        }
    }

    fn select(&mut self, to: impl FnOnce(usize, usize) -> usize) {
        let rows = self.rows();
        let selected = to(self.selected(&rows), rows.len().saturating_sub(1));
        self.selected = rows.get(selected).map(|row| row.version.version.clone());
    }

    /// Which row is selected. A version that is gone leaves the first one selected.
    pub(super) fn selected(&self, rows: &[Row<'_>]) -> usize {
        rows.iter().position(|row| Some(&row.version.version) == self.selected.as_ref()).unwrap_or(0)
    }

    /// The versions in their order.
    pub(super) fn rows(&self) -> Vec<Row<'_>> {
        let Some((_, status)) = &self.status else { return Vec::new() };
        let rates: Vec<(Option<f64>, Option<f64>)> = status.versions.iter().map(|one| self.rates(one)).collect();
        let mut of_component: HashMap<&str, f64> = HashMap::new();
        for (version, (taken, _)) in status.versions.iter().zip(&rates) {
            *of_component.entry(&version.component).or_default() += taken.unwrap_or_default();
        }
        let mut rows: Vec<Row<'_>> = status
            .versions
            .iter()
            .zip(rates)
            .map(|(version, (taken, exchanges))| {
                let all = of_component.get(version.component.as_str()).copied().unwrap_or_default();
                let share = taken.filter(|_| all > 0.0).map(|taken| taken / all);
                Row { version, taken, share, exchanges }
            })
            .collect();
        // Those that are equal stay as the host says them.
        match self.order {
            Order::Version => {}
            Order::Traffic => rows.sort_by(|one, other| {
                let rate = |row: &Row<'_>| row.exchanges.unwrap_or_default().max(row.taken.unwrap_or_default());
                rate(other).total_cmp(&rate(one))
            }),
            Order::Sessions => rows.sort_by_key(|row| Reverse(row.version.sessions)),
            Order::Memory => rows.sort_by_key(|row| Reverse(row.version.memory)),
            Order::Failures => rows.sort_by_key(|row| Reverse(row.version.failures)),
        }
        rows
    }

    /// Sessions taken and exchanges ended in a second.
    fn rates(&self, version: &VersionStatus) -> (Option<f64>, Option<f64>) {
        let (Some((from, before)), Some((to, now))) = (self.counts.front(), self.counts.back()) else {
            return (None, None);
        };
        let seconds = to.saturating_sub(*from) as f64 / 1e9;
        if seconds <= 0.0 {
            return (None, None);
        }
        let now = now.get(&version.version).copied().unwrap_or_default();
        // One that was not there has done all that it did since.
        let before = before.get(&version.version).copied().unwrap_or_default();
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        let exchanges = now.exchanges.map(|now| rate(now, before.exchanges.unwrap_or_default()));
        (Some(rate(now.taken, before.taken)), exchanges)
    }

    pub(super) fn status(&self) -> Option<&Status> {
        self.status.as_ref().map(|(_, status)| status)
    }

    /// How old that is.
    pub(super) fn age(&self, now: Nanos) -> Nanos {
        self.status.as_ref().map_or(0, |(at, _)| now.saturating_sub(*at))
    }

    pub(super) fn gone(&self) -> Option<&str> {
        self.gone.as_deref()
    }

    /// The newest first.
    pub(super) fn notices(&self) -> impl Iterator<Item = &Said> {
        self.notices.iter().rev()
    }

    pub(super) fn order(&self) -> Order {
        self.order
    }

    pub(super) fn helps(&self) -> bool {
        self.help
    }
}
