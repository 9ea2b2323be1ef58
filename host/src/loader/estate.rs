//! What a thread has, and another one takes over once a component does not give that thread back.
//!
//! What makes it sound is one exchange ([`inside`]): a thread that was abandoned is in a component's code, and when it comes out
//! of it, it goes no further. So nothing that it has is used by it again, nothing on its stack is dropped, and what it did
//! before it went in is seen by whoever has abandoned it. Only what the component was given for its call (an event, a batch, the
//! conversation itself) is used as long as it is in there, and is left alone by the heir until the thread has come back.

use std::cell::Cell;
use std::ptr::{self, NonNull};

use crate::observe::inside::{self, Abandoned, Place};

/// Something that a thread has, as seen from others: they may open it once that thread was abandoned.
pub struct Estate<T: 'static> {
    place: &'static Place,
    value: NonNull<T>,
}

// SAFETY: all that another thread can do with it is to open it, which is to take over what an abandoned thread had.
unsafe impl<T> Send for Estate<T> {}

impl<T> Clone for Estate<T> {
    fn clone(&self) -> Self {
        Estate { ..*self }
    }
}

impl<T> Estate<T> {
    /// Works with a value, on a thread that may be abandoned meanwhile wherever it is in a component.
    pub fn watched<R>(value: &T, work: impl FnOnce(Estate<T>) -> R) -> R {
        let (place, _watch) = inside::watch();
        work(Estate { place, value: NonNull::from(value) })
    }

    /// Where its thread is.
    pub fn place(&self) -> &'static Place {
        self.place
    }

    /// What an abandoned thread had.
    ///
    /// # Panics
    /// Where it is not this one's thread that was abandoned.
    pub fn open(self, abandoned: &Abandoned) -> &'static T {
        assert!(ptr::eq(self.place, abandoned.place()), "it was this one's thread that was abandoned");
        // SAFETY: a thread is watched, and so can be abandoned, only within `watched`, from which an abandoned one never
        // returns: the value is borrowed there for ever. The thread uses it no more, so the one that has its `Abandoned` is the
        // only one that does.
        unsafe { self.value.as_ref() }
    }
}

/// Has a value that the thread goes on with after a call, for whoever takes over: on the thread's stack nobody would find it.
pub struct Aside<T>(Cell<Option<T>>);

impl<T> Default for Aside<T> {
    fn default() -> Self {
        Aside(Cell::new(None))
    }
}

impl<T> Aside<T> {
    /// Has the value while something is called that has no use for it, and gives it back then.
    #[inline]
    pub fn keep<R>(&self, value: T, call: impl FnOnce() -> R) -> (R, T) {
        struct Kept<'a, T>(&'a Cell<Option<T>>);
        impl<T> Drop for Kept<'_, T> {
            fn drop(&mut self) {
                self.0.take();
            }
        }
        self.0.set(Some(value));
        // Also where the call panics it is kept no longer.
        let kept = Kept(&self.0);
        let result = call();
        (result, kept.0.take().expect("a call keeps nothing itself, and whoever takes over does not come back from it"))
    }

    /// The value that an abandoned thread would have gone on with.
    pub fn take(&self, _: &Abandoned) -> Option<T> {
        self.0.take()
    }
}

/// Has a value that the thread works with now, for whoever takes over.
pub struct Lent<T>(Cell<Option<NonNull<T>>>);

impl<T> Default for Lent<T> {
    fn default() -> Self {
        Lent(Cell::new(None))
    }
}

impl<T> Lent<T> {
    /// Works with a value, which is whoever's takes over meanwhile.
    #[inline]
    pub fn lend<R>(&self, value: &mut T, work: impl FnOnce(&mut T) -> R) -> R {
        struct Back<'a, T>(&'a Cell<Option<NonNull<T>>>, Option<NonNull<T>>);
        impl<T> Drop for Back<'_, T> {
            fn drop(&mut self) {
                self.0.set(self.1);
            }
        }
        let mut value = NonNull::from(value);
        let _back = Back(&self.0, self.0.replace(Some(value)));
        // SAFETY: it is the reference that was given, which is not used otherwise before this one is gone.
        work(unsafe { value.as_mut() })
    }

    /// The value that an abandoned thread worked with, where it did with one.
    pub fn take(&self, _: &Abandoned) -> Option<T> {
        // SAFETY: as long as it is noted here, `lend` borrows it. Whoever has an `Abandoned` and can reach this has opened the
        // estate of the thread that was abandoned in there: that thread neither uses nor drops the value again. It is read and
        // not written, since the component is given a part of it for its call.
        self.0.take().map(|value| unsafe { value.as_ptr().read() })
    }
}
