//! What workers hand to a thread that writes or exports it. A worker never waits for that thread, and does not wake it for each: what
//! comes is gathered, and taken together.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Where it is handed over. The thread ends when the last one is gone.
#[derive(Debug)]
pub(super) struct Inlet<T>(Arc<Shared<T>>);

/// Where it is taken.
#[derive(Debug)]
pub(super) struct Outlet<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    waiting: Mutex<Waiting<T>>,
    /// There is something to be taken.
    come: Condvar,
    /// How many may wait …
    room: usize,
    /// … and for how long they are gathered.
    gather: Duration,
}

#[derive(Debug)]
struct Waiting<T> {
    entries: Vec<T>,
    /// They are to be taken at once.
    urgent: bool,
    /// One end is gone.
    closed: bool,
}

/// A queue in which so many may wait, for as long at the most as long as its taker is not busy.
pub(super) fn queue<T>(room: usize, gather: Duration) -> (Inlet<T>, Outlet<T>) {
    let waiting = Mutex::new(Waiting { entries: Vec::new(), urgent: false, closed: false });
    let shared = Arc::new(Shared { waiting, come: Condvar::new(), room, gather });
    (Inlet(Arc::clone(&shared)), Outlet(shared))
}

impl<T> Shared<T> {
    /// What panicked while it had it has left it whole: nothing is done between two steps.
    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().closed = true;
        self.come.notify_one();
    }
}

impl<T> Inlet<T> {
    /// Hands one over, or gives it back where there is no room or nobody to take it.
    pub(super) fn push(&self, entry: T) -> Result<(), T> {
        self.hand_over(entry, false)
    }

    /// … with all that came before, at once.
    pub(super) fn push_urgent(&self, entry: T) -> Result<(), T> {
        self.hand_over(entry, true)
    }

    /// Nobody takes anything any more.
    pub(super) fn is_closed(&self) -> bool {
        self.0.lock().closed
    }

    fn hand_over(&self, entry: T, urgent: bool) -> Result<(), T> {
        let mut waiting = self.0.lock();
        if waiting.closed || waiting.entries.len() >= self.0.room {
            return Err(entry);
        }
        waiting.entries.push(entry);
        let (first, half) = (waiting.entries.len() == 1, waiting.entries.len() == self.0.room / 2);
        waiting.urgent |= urgent || half;
        drop(waiting);
        if first || half || urgent {
            self.0.come.notify_one();
        }
        Ok(())
    }
}

impl<T> Outlet<T> {
    /// Takes what has come, into a vector that is empty, in the order in which it came. `false` when nothing will come any more.
    pub(super) fn take(&self, into: &mut Vec<T>) -> bool {
        let Shared { come, gather, .. } = &*self.0;
        let nothing = |waiting: &mut Waiting<T>| waiting.entries.is_empty() && !waiting.closed;
        let waiting = come.wait_while(self.0.lock(), nothing).unwrap_or_else(PoisonError::into_inner);
        let gathering = |waiting: &mut Waiting<T>| !waiting.urgent && !waiting.closed;
        let gathered = come.wait_timeout_while(waiting, *gather, gathering);
        let (mut waiting, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        waiting.urgent = false;
        std::mem::swap(&mut waiting.entries, into);
        !into.is_empty()
    }
}

impl<T> Drop for Inlet<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<T> Drop for Outlet<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::queue;

    /// Longer than a test lasts.
    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn what_comes_is_taken_together_and_in_its_order() {
        let (inlet, outlet) = queue(100, LONG);
        for entry in 0..40 {
            inlet.push(entry).unwrap();
        }
        inlet.push_urgent(40).unwrap();
        let mut taken = Vec::new();
        assert!(outlet.take(&mut taken));
        assert_eq!(taken, (0..=40).collect::<Vec<_>>());
        taken.clear();

        // Half of what has room is reason enough, and what is left when it is closed is taken as well.
        let handing = thread::spawn(move || (0..60).for_each(|entry| inlet.push(entry).unwrap()));
        let mut all = Vec::new();
        while outlet.take(&mut taken) {
            all.append(&mut taken);
        }
        handing.join().unwrap();
        assert_eq!(all, (0..60).collect::<Vec<_>>());
        assert!(!outlet.take(&mut taken));
    }

    #[test]
    fn what_has_no_room_is_given_back() {
        let (inlet, outlet) = queue(2, LONG);
        assert_eq!([1, 2, 3].map(|entry| inlet.push(entry)), [Ok(()), Ok(()), Err(3)]);
        let mut taken = Vec::new();
        assert!(outlet.take(&mut taken));
        assert_eq!((taken, inlet.push(4)), (vec![1, 2], Ok(())));
        drop(outlet);
        assert_eq!([inlet.push(5), inlet.push_urgent(6)], [Err(5), Err(6)]);
        assert!(inlet.is_closed());
    }

    #[test]
    fn what_is_alone_is_taken_after_its_time() {
        let (inlet, outlet) = queue(100, Duration::from_millis(1));
        inlet.push(1).unwrap();
        let mut taken = Vec::new();
        assert!(outlet.take(&mut taken));
        assert_eq!(taken, [1]);
    }
}
