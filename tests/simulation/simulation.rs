//! A simulation of the host: its version table, leases, sessions, carries, store, agreements, calls, crashes and restarts, under a seed.
//!
//! **What is real**: the host's reloads, publications, rollouts, verdicts and canaries, the shelf, the leases, the workers with their
//! mailboxes, the sessions with all that is held for them, the store in SQLite, the counts of agreements, the connections (pairs of Unix
//! sockets). **What the seed has in its hand** ([`around`]): who has a turn next, of workers, store, reservations and what is otherwise
//! done on threads of its own; the clock, which stands still but for the steps of the seed; what libraries there are ([`components`]); what
//! peers say, and in which pieces ([`peers`]); what operators do, when the store fails, and when the process is killed.
//!
//! All of it happens on one thread, so one seed is one run: a failure prints it, with the last steps, and
//! `SEED=n cargo test -p tandem-simulation --test simulation` plays it again.
//!
//! # The invariants
//! 1. No session is on a version that is not mapped, and nothing of such a version is called ([`invariants::no_session_is_unmapped`]).
//! 2. No event is handled twice, by one version or by two; none is lost while its connection stands; no connection is closed because of a
//!    swap ([`peers`], who count; [`Play::closed`], [`Play::settle`]).
//! 3. No account is admitted more than its agreement has, over all versions, crashes and restarts ([`invariants::limits_hold`]).
//! 4. A version that nobody holds is retired, soon; a retired one is held by nobody ([`invariants::who_is_free_retires`]).
//! 5. No column of a state or of a row is lost, over versions that do not know it ([`peers`]).
//! 6. What was acknowledged is committed, and there after a crash ([`peers`]).
//! 7. Publications are only followed by later ones, for the host, for each worker, and for each session
//!    ([`invariants::publications_grow`]).
//!
//! That each can be broken, and that it is then found, is a test as well: see [`Break`].

mod around;
mod chance;
mod components;
mod invariants;
mod peers;
mod play;

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};

use play::{Play, TRACE};

/// What is broken on purpose, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    /// Nothing.
    Nothing,
    /// A library is unmapped though sessions hold it.
    UnmapsEarly,
    /// A line is delivered twice …
    DeliversTwice,
    /// … or not at all.
    LosesALine,
    /// What is reserved of an agreement is not written down.
    ForgetsReservations,
    /// A lease is never given back.
    KeepsALease,
    /// A version writes a column of rows that it should know as if nothing was there …
    ForgetsAColumn,
    /// … or one of states.
    ForgetsOfAState,
    /// Commits are acknowledged before they are done.
    AcknowledgesEarly,
    /// An earlier publication follows a later one.
    PublishesAnOlder,
}

/// Plays one seed. The hash of its trace; or what was found.
fn play(seed: u64, breaks: Break) -> Result<u64, String> {
    TRACE.take();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    let played = catch_unwind(AssertUnwindSafe(|| runtime.block_on(Play::run(seed, breaks))));
    let found = match played {
        Ok(Ok(())) => return Ok(TRACE.take().hash()),
        Ok(Err(found)) => found,
        Err(panic) => match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
            (Some(text), _) => format!("a panic: {text}"),
            (_, Some(text)) => format!("a panic: {text}"),
            _ => "a panic".to_owned(),
        },
    };
    Err(format!("{}seed {seed}: {found}", TRACE.take()))
}

/// So many are played where nobody says how many.
const SEEDS: u64 = 3000;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

/// Seeds from here on, on as many threads as there are processors.
fn play_many(first: u64, count: u64) {
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let played = std::thread::scope(|scope| {
        let share = |thread: u64| {
            move || {
                (first..first + count)
                    .filter(move |seed| seed % threads == thread)
                    .try_for_each(|seed| play(seed, Break::Nothing).map(drop))
            }
        };
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(share(thread))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it catches panics")).collect::<Vec<_>>()
    });
    if let Some(found) = played.into_iter().find_map(Result::err) {
        panic!("\n{found}\nplay it again: SEED=… cargo test -p tandem-simulation --test simulation\n");
    }
}

#[test]
fn every_seed_keeps_the_invariants() {
    play::quiet();
    match number("SEED") {
        Some(seed) => {
            // What the host has to say of it comes beside the trace.
            let _ = tandem::observe::log::begin(false);
            play_many(seed, 1);
        }
        None => play_many(number("FIRST").unwrap_or(1), number("SEEDS").unwrap_or(SEEDS)),
    }
}

/// Seeds that have found something, which was mended.
const FOUND: [u64; 6] = [
    11, 77, 94,
    95, // A session that had asked for a row and was carried was told the columns of the version before.
    207, 894, // A version that was promoted and did not start stayed loaded until the next reload.
];

#[test]
fn what_was_found_is_not_found_again() {
    play::quiet();
    for seed in FOUND {
        play(seed, Break::Nothing).unwrap_or_else(|found| panic!("\n{found}\n"));
    }
}

#[test]
fn one_seed_is_one_run() {
    play::quiet();
    for seed in 1..=20 {
        assert_eq!(play(seed, Break::Nothing), play(seed, Break::Nothing), "seed {seed}");
    }
}

/// Plays with something broken until it is found: the reason has these words.
fn finds(breaks: Break, words: &str) {
    const WITHIN: u64 = 60;
    play::quiet();
    for seed in 1..=WITHIN {
        if let Err(found) = play(seed, breaks) {
            let reason = found.lines().last().unwrap_or_default();
            assert!(reason.contains(words), "{breaks:?} was found for another reason: {reason}");
            println!("{breaks:?}: found by seed {seed}: {reason}");
            return;
        }
    }
    panic!("{breaks:?} was not found by {WITHIN} seeds");
}

#[test]
fn it_finds_a_library_that_is_unmapped_early() {
    finds(Break::UnmapsEarly, "not mapped");
}

#[test]
fn it_finds_an_event_that_is_delivered_twice() {
    finds(Break::DeliversTwice, "handled twice");
}

#[test]
fn it_finds_an_event_that_is_lost() {
    finds(Break::LosesALine, "in another order");
}

#[test]
fn it_finds_a_limit_that_a_crash_refills() {
    finds(Break::ForgetsReservations, "admitted");
}

#[test]
fn it_finds_a_lease_that_is_never_given_back() {
    finds(Break::KeepsALease, "is not retired");
}

#[test]
fn it_finds_a_column_that_a_version_forgets() {
    finds(Break::ForgetsAColumn, "the row has lost a column");
}

#[test]
fn it_finds_a_column_of_a_state_that_a_version_forgets() {
    finds(Break::ForgetsOfAState, "the state has lost a column");
}

#[test]
fn it_finds_what_is_acknowledged_before_it_is_committed() {
    finds(Break::AcknowledgesEarly, "were acknowledged");
}

#[test]
fn it_finds_an_older_publication_after_a_later_one() {
    finds(Break::PublishesAnOlder, "publication");
}
