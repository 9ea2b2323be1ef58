//! A publisher, readers and their leases. What is leased here is [`Code`], which is unmapped when it is handed back; loom
//! faults a use of it that is not ordered before its end.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use crate::lease::Lease;
use crate::table::Table;

#[test]
fn what_is_leased_is_handed_back_once_after_the_last_lease() {
    loom::model(|| {
        let ends = Ends::default();
        let first = ends.lease(0);
        let others: Vec<_> = (0..2)
            .map(|_| {
                let lease = first.clone();
                thread::spawn(move || {
                    lease.run();
                    let twice = lease.clone();
                    drop(lease);
                    twice.run();
                })
            })
            .collect();
        first.run();
        drop(first);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(ends.of(0), 1, "handed back once");
    });
}

#[test]
fn the_old_version_is_there_for_whoever_has_looked_and_goes_when_all_have_looked_again() {
    loom::model(|| {
        let ends = Ends::default();
        let table = Table::new(ends.lease(0));
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let mut reader = table.reader();
                thread::spawn(move || {
                    // A session opens on what is active, and runs after another publication may have come.
                    let session = Lease::clone(reader.look());
                    session.run();
                    drop(session);
                    reader
                })
            })
            .collect();
        table.publish(ends.lease(1));
        let readers: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
        assert_eq!(ends.of(1), 0, "it is active");
        for mut reader in readers {
            assert_eq!(reader.look().number, 1, "the publication was before this look");
        }
        assert_eq!(ends.of(0), 1, "every reader has looked past it");
        drop(table);
        assert_eq!((ends.of(0), ends.of(1)), (1, 1), "each once");
    });
}

#[test]
fn a_session_keeps_the_version_that_its_reader_has_left() {
    loom::model(|| {
        let ends = Ends::default();
        let table = Table::new(ends.lease(0));
        let mut reader = table.reader();
        let worker = thread::spawn(move || {
            let session = Lease::clone(reader.look());
            // Looks until it is there: the reader leaves the old version, the session does not.
            while reader.look().number == 0 {
                thread::yield_now();
            }
            assert!(!session.same(reader.look()) || session.number == 1);
            session.run();
            session
        });
        table.publish(ends.lease(1));
        let session = worker.join().unwrap();
        assert_eq!(ends.of(session.number), 0, "a lease is held");
        let number = session.number;
        drop(session);
        assert_eq!((ends.of(number), ends.of(0)), (usize::from(number == 0), 1));
    });
}

#[test]
fn a_reader_told_of_a_publication_sees_it_and_so_does_who_hears_that_it_has() {
    loom::model(|| {
        let ends = Ends::default();
        let table = Table::new(ends.lease(0));
        let (told, taken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let worker = {
            let (mut reader, told, taken) = (table.reader(), Arc::clone(&told), Arc::clone(&taken));
            thread::spawn(move || {
                reader.look().run();
                // The host's channels order like this pair of words, one each way.
                if told.load(Ordering::Acquire) == 1 {
                    assert_eq!(reader.look().number, 1, "told of it");
                    taken.store(1, Ordering::Release);
                }
                reader
            })
        };
        table.publish(ends.lease(1));
        told.store(1, Ordering::Release);
        if taken.load(Ordering::Acquire) == 1 {
            // The one reader has taken it, so this is where the reload is over, and the old version is unmapped.
            assert_eq!(ends.of(0), 1, "nobody has it any more");
        }
        drop(worker.join().unwrap());
        assert_eq!(ends.of(0), 1);
    });
}

#[test]
fn two_publications_leave_the_second() {
    loom::model(|| {
        let ends = Ends::default();
        let table = Table::new(ends.lease(0));
        let mut reader = table.reader();
        let worker = thread::spawn(move || {
            let mut seen = 0;
            for _ in 0..3 {
                let now = reader.look();
                now.run();
                assert!(now.number >= seen, "never one that was before");
                seen = now.number;
            }
            reader
        });
        table.publish(ends.lease(1));
        table.publish(ends.lease(2));
        let mut reader = worker.join().unwrap();
        assert_eq!(reader.look().number, 2);
        assert_eq!([0, 1, 2].map(|number| ends.of(number)), [1, 1, 0]);
    });
}

/// A library's code.
struct Code {
    number: usize,
    mapped: AtomicUsize,
}

impl Code {
    /// Runs it. Relaxed: that it is mapped has to be ordered by the lease.
    fn run(&self) {
        assert_eq!(self.mapped.load(Ordering::Relaxed), 1, "it is mapped");
    }
}

/// How often each was handed back.
#[derive(Clone, Default)]
struct Ends(Arc<[AtomicUsize; 3]>);

impl Ends {
    fn lease(&self, number: usize) -> Lease<Code> {
        let ends = self.clone();
        Lease::new(Code { number, mapped: AtomicUsize::new(1) }, move |mut code: Code| {
            // Exclusive: a use of it on another thread that is not ordered before this is faulted by loom.
            code.mapped.with_mut(|mapped| *mapped = 0);
            ends.0[code.number].fetch_add(1, Ordering::Relaxed);
        })
    }

    fn of(&self, number: usize) -> usize {
        self.0[number].load(Ordering::Relaxed)
    }
}
