//! What is committed together: [`Groups`].

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::Job;
use crate::store::Transaction;

/// So many transactions share one sync at most, so that the first of them does not wait for ever.
const GROUP_MAX: usize = 1024;
/// Nobody is waited for longer, however slow the disk is.
const WAIT_MAX: Duration = Duration::from_millis(2);

/// How many were committed together, and how long that took: those who are told of it go on, and most of them write again. So as many
/// are waited for, half as long at most: it is less than the commit that they would take otherwise, and each of those costs the same
/// however many share it. Who writes alone never waits.
#[derive(Default)]
pub(super) struct Groups {
    last: usize,
    took: Duration,
}

impl Groups {
    /// Those that are committed with a first one, and what is to be done next where that is something else.
    pub(super) fn gather(&self, first: Transaction, jobs: &Receiver<Job>) -> (Vec<Transaction>, Option<Job>) {
        let until = Instant::now() + (self.took / 2).min(WAIT_MAX);
        let mut group = vec![first];
        while group.len() < GROUP_MAX {
            let job = jobs.try_recv().ok().or_else(|| {
                let waits = group.len() < self.last;
                waits.then(|| jobs.recv_timeout(until.saturating_duration_since(Instant::now())).ok()).flatten()
            });
            match job {
                Some(Job::Write(transaction)) => group.push(transaction),
                other => return (group, other),
            }
        }
        (group, None)
    }

    /// Commits so many together.
    pub(super) fn commit(&mut self, count: usize, commit: impl FnOnce()) {
        let begun = Instant::now();
        commit();
        (self.last, self.took) = (count, begun.elapsed());
    }
}
