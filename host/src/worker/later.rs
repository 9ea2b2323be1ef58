//! A session whose turns take too long goes after the others.

use std::task::Waker;

/// Wakes a task at once; or, where its turn has taken too long, once the runtime has looked whom else something has come for. It does so
/// before it wakes one that yields, and otherwise only after some dozens of turns, which may be minutes of such a task's.
pub(super) fn wake(waker: &Waker, at_once: bool) {
    if at_once {
        return waker.wake_by_ref();
    }
    let waker = waker.clone();
    tokio::task::spawn_local(async move {
        tokio::task::yield_now().await;
        waker.wake();
    });
}
