//! What a library has allocated: an allocator that counts, and passes on to one that allocates.
//!
//! `export_component!` makes it the library's own. It passes on to the system's allocator, which the host uses as well: that is there
//! before the host has said anything, so what an initializer has allocated is freed by the same one, and no call goes through a table.
//! Nothing crosses the boundary to be freed on the other side, so it could be any other: see
//! [`export_component!`](crate::export_component).
//!
//! What the API itself keeps for as long as the library is there lies in the library: nobody could free it, since the panic hook and the
//! log are in use until the last moment, so it goes with what it lies in.
//!
//! The count is exact, on whatever thread memory is freed. It is kept in parts, each in a cache line of its own; which part a thread
//! writes to is told by where its stack is, so it takes no thread-local, and workers seldom share one. The limit is looked at where a
//! part has grown by a share of what was left, so up to a sixteenth more than the limit may be there.

#![allow(unsafe_code)] // An allocator is unsafe by its trait.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

/// An allocator that counts what is allocated and not freed.
#[derive(Debug)]
pub struct Counted<A = System> {
    to: A,
    memory: Memory,
}

/// How much is allocated and not freed.
#[derive(Debug)]
pub struct Memory {
    parts: [Part; PARTS],
    /// There is never to be more.
    hard: AtomicI64,
    /// What the API itself keeps for as long as the library is there, which is nobody's fault.
    kept: AtomicI64,
    /// Where that lies.
    ground: Ground,
}

/// Room in the library itself. What is allocated here is never given back: it goes when the library is unmapped.
#[derive(Debug)]
#[repr(align(16))]
struct Ground {
    room: UnsafeCell<[u8; GROUND]>,
    /// How much of it is taken; all of it but while the library begins.
    taken: AtomicUsize,
}

// SAFETY: the room is only pointed into; who has a piece of it has it alone, as `taken` says.
unsafe impl Sync for Ground {}

/// Some times what is needed. What would not fit is the allocator's.
const GROUND: usize = 512;

/// On a line of its own, and on none that is fetched along with another's.
#[derive(Debug)]
#[repr(align(128))]
struct Part {
    /// May be less than nothing: others free what this part's threads have allocated, and the other way round.
    live: AtomicI64,
    /// Where it is more than this, the limit is looked at.
    look_above: AtomicI64,
}

const PARTS: usize = 8;
/// Stacks of threads are as large, and lie beside each other.
const STACK_BITS: u32 = 21;
/// A part grows by no more than such a fraction of the limit between two looks at it.
const STEPS: i64 = 128;

impl<A> Counted<A> {
    /// One that passes on to another.
    pub const fn over(to: A) -> Self {
        Counted { to, memory: Memory::new() }
    }

    /// What it has counted.
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }
}

impl Memory {
    const fn new() -> Self {
        let parts = [const { Part { live: AtomicI64::new(0), look_above: AtomicI64::new(i64::MAX) } }; PARTS];
        Memory { parts, hard: AtomicI64::new(i64::MAX), kept: AtomicI64::new(0), ground: Ground::full() }
    }

    /// How many bytes are allocated and not freed. Exact where nobody allocates meanwhile.
    pub fn live(&self) -> u64 {
        u64::try_from(self.sum()).unwrap_or(0)
    }

    /// From now on there are never to be more bytes: the allocation that would make it more does not return, where the host keeps
    /// its thread.
    pub fn limit(&self, bytes: u64) {
        // In this order, as in `look`: whoever has read the limit before stores what it made of it, and looks once more.
        self.hard.store(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::SeqCst);
        self.parts.iter().for_each(|part| part.look_above.store(i64::MIN, Ordering::SeqCst));
    }

    /// What this allocates lies in the library, and is left out as far as it does not free it. Nothing else of the library runs
    /// meanwhile.
    pub(crate) fn leave_out(&self, begin: impl FnOnce()) {
        let before = self.sum();
        self.ground.taken.store(0, Ordering::Relaxed);
        begin();
        self.ground.taken.store(GROUND, Ordering::Relaxed);
        self.kept.fetch_add(self.sum() - before, Ordering::Relaxed);
    }

    fn sum(&self) -> i64 {
        let live: i64 = self.parts.iter().map(|part| part.live.load(Ordering::Relaxed)).sum();
        live - self.kept.load(Ordering::Relaxed)
    }

    #[inline]
    fn part(&self) -> &Part {
        let here = 0_u8;
        &self.parts[((&raw const here).addr() >> STACK_BITS) % PARTS]
    }

    /// Counts what is about to be allocated. Relaxed, as all of it: the counts order nothing.
    #[inline]
    fn take(&self, size: usize) {
        let (part, size) = (self.part(), size as i64);
        let live = part.live.fetch_add(size, Ordering::Relaxed) + size;
        if live > part.look_above.load(Ordering::Relaxed) {
            self.look(part, size);
        }
    }

    #[inline]
    fn give(&self, size: usize) {
        self.part().live.fetch_sub(size as i64, Ordering::Relaxed);
    }

    /// Looks at the limit, and how far it is until the next look.
    #[cold]
    #[inline(never)]
    fn look(&self, part: &Part, size: i64) {
        loop {
            let hard = self.hard.load(Ordering::SeqCst);
            let room = hard.saturating_sub(self.sum());
            if room < 0 {
                // Not while it waits: it was not allocated.
                part.live.fetch_sub(size, Ordering::Relaxed);
                crate::report::exhausted();
                part.live.fetch_add(size, Ordering::Relaxed);
                return;
            }
            // Near the limit each allocation looks.
            let step = if room < hard / 8 { 0 } else { (hard / STEPS).max(1) };
            let next = if hard == i64::MAX { hard } else { part.live.load(Ordering::Relaxed).saturating_add(step) };
            part.look_above.store(next, Ordering::SeqCst);
            if self.hard.load(Ordering::SeqCst) == hard {
                return;
            }
        }
    }
}

impl Ground {
    const fn full() -> Self {
        Ground { room: UnsafeCell::new([0; GROUND]), taken: AtomicUsize::new(GROUND) }
    }

    /// Room for one, while the library begins. A load, otherwise.
    #[inline]
    fn take(&self, layout: Layout) -> Option<*mut u8> {
        let taken = self.taken.load(Ordering::Relaxed);
        if taken == GROUND { None } else { self.take_from(taken, layout) }
    }

    #[cold]
    fn take_from(&self, mut taken: usize, layout: Layout) -> Option<*mut u8> {
        if layout.align() > align_of::<Ground>() {
            return None;
        }
        loop {
            let at = taken.next_multiple_of(layout.align());
            let end = at.checked_add(layout.size()).filter(|end| *end < GROUND)?;
            match self.taken.compare_exchange(taken, end, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(self.room.get().cast::<u8>().wrapping_add(at)),
                Err(GROUND) => return None,
                Err(other) => taken = other,
            }
        }
    }

    /// Whether it was taken here.
    #[inline]
    fn has(&self, pointer: *mut u8) -> bool {
        pointer.addr().wrapping_sub(self.room.get().addr()) < GROUND
    }
}

// SAFETY: every call is passed on as it came to an allocator, which upholds what the trait asks; what is added counts. What lies in the
// library's own room has been given to nobody else, and lives longer than all that could use it.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counted<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.memory.take(layout.size());
        if let Some(pointer) = self.memory.ground.take(layout) {
            return pointer;
        }
        // SAFETY: as the caller says of this call.
        let pointer = unsafe { self.to.alloc(layout) };
        if pointer.is_null() {
            self.memory.give(layout.size());
        }
        pointer
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.memory.give(layout.size());
        if self.memory.ground.has(pointer) {
            return;
        }
        // SAFETY: as the caller says of this call, and it is from there.
        unsafe { self.to.dealloc(pointer, layout) };
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.memory.take(layout.size());
        if let Some(pointer) = self.memory.ground.take(layout) {
            // It was nobody's before, so it is as it was in the file.
            return pointer;
        }
        // SAFETY: as the caller says of this call.
        let pointer = unsafe { self.to.alloc_zeroed(layout) };
        if pointer.is_null() {
            self.memory.give(layout.size());
        }
        pointer
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if self.memory.ground.has(pointer) {
            // SAFETY: the caller says that this is one of the same alignment.
            let layout_there = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
            // SAFETY: the caller says that the size is not 0.
            let moved = unsafe { self.alloc(layout_there) };
            if !moved.is_null() {
                // SAFETY: both are as long as that, and the new one is nobody's yet.
                unsafe { pointer.copy_to_nonoverlapping(moved, layout.size().min(size)) };
                self.memory.give(layout.size());
            }
            return moved;
        }
        let grows = size.saturating_sub(layout.size());
        self.memory.take(grows);
        // SAFETY: as the caller says of this call.
        let moved = unsafe { self.to.realloc(pointer, layout, size) };
        match moved.is_null() {
            true => self.memory.give(grows),
            false => self.memory.give(layout.size().saturating_sub(size)),
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::thread;

    use super::{Counted, PARTS, STEPS};

    #[test]
    fn what_one_thread_frees_of_another_balances() {
        static COUNTED: Counted = Counted::over(System);
        let layout = Layout::array::<u8>(1000).unwrap();
        let address = |pointer: *mut u8| pointer.expose_provenance();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                // SAFETY: each is freed below, with the layout that it has then.
                thread::spawn(move || (0..100).map(|_| address(unsafe { COUNTED.alloc(layout) })).collect::<Vec<_>>())
            })
            .collect();
        let made: Vec<usize> = threads.into_iter().flat_map(|made| made.join().unwrap()).collect();
        assert_eq!(COUNTED.memory().live(), 400_000);
        for (at, address) in made.into_iter().enumerate() {
            let pointer = std::ptr::with_exposed_provenance_mut(address);
            // SAFETY: it is from this allocator, and of the layout that is said.
            unsafe {
                let size = [10, 5000][at % 2];
                let pointer = COUNTED.realloc(pointer, layout, size);
                COUNTED.dealloc(pointer, Layout::array::<u8>(size).unwrap());
            }
        }
        assert_eq!(COUNTED.memory().live(), 0);
    }

    #[test]
    fn what_is_kept_from_the_beginning_lies_in_the_library_whatever_becomes_of_it() {
        static COUNTED: Counted = Counted::over(System);
        let memory = COUNTED.memory();
        let of = |size| Layout::from_size_align(size, 8).unwrap();
        let here = |pointer: *mut u8| memory.ground.has(pointer);
        // SAFETY: each is of the layout that is said of it, none is of size 0, and none is used once it is freed.
        let kept = unsafe {
            let before = COUNTED.alloc(of(10));
            let mut kept = Vec::new();
            memory.leave_out(|| {
                kept.extend([13, 96, 300].map(|size| COUNTED.alloc(of(size))));
                kept.push(COUNTED.alloc_zeroed(of(7)));
                // There is no room for it any more, and none so aligned.
                kept.push(COUNTED.alloc(of(400)));
                kept.push(COUNTED.alloc(Layout::from_size_align(1, 4096).unwrap()));
            });
            assert!(!here(before) && !here(COUNTED.alloc(of(1))), "only what is allocated in the beginning");
            kept
        };
        assert_eq!(
            kept.iter().map(|pointer| here(*pointer)).collect::<Vec<_>>(),
            [true, true, true, true, false, false]
        );
        assert!(kept.iter().take(5).all(|pointer| pointer.addr().is_multiple_of(8)));
        assert_eq!(memory.live(), 11, "nothing of it is counted");
        // SAFETY: as above.
        unsafe {
            kept[0].write_bytes(7, 13);
            kept[1].write_bytes(8, 96);
            let grown = COUNTED.realloc(kept[0], of(13), 200);
            assert!(!here(grown) && (0..13).all(|at| grown.add(at).read() == 7));
            assert_eq!(memory.live(), 11 + 200 - 13);
            COUNTED.dealloc(grown, of(200));
            COUNTED.dealloc(kept[2], of(300));
            assert!((0..96).all(|at| kept[1].add(at).read() == 8), "its neighbours are as they were");
        }
    }

    #[test]
    fn a_limit_is_seen_in_time_wherever_it_is_set() {
        let memory = super::Memory::new();
        let part = &memory.parts[0];
        let looks_at = |part: &super::Part| part.look_above.load(std::sync::atomic::Ordering::Relaxed);
        memory.take(1000);
        assert!(memory.parts.iter().all(|part| looks_at(part) == i64::MAX), "nobody looks where there is no limit");
        memory.limit(1 << 20);
        memory.look(part, 0);
        assert_eq!(looks_at(part), part.live.load(std::sync::atomic::Ordering::Relaxed) + (1 << 20) / STEPS);
        // All parts together, each as far as it may go unlooked at, are a sixteenth of the limit.
        assert!(PARTS as i64 * ((1 << 20) / STEPS) <= (1 << 20) / 16);
        // Where little is left, each allocation is looked at.
        memory.take(950_000);
        memory.look(part, 0);
        assert!(looks_at(part) <= part.live.load(std::sync::atomic::Ordering::Relaxed));
        memory.limit(u64::MAX);
        memory.look(part, 0);
        assert_eq!(looks_at(part), i64::MAX);
    }
}
