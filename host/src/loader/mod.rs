//! What brings a component's library into the process, and takes it out again.
//!
//! A file goes through these modules in this order: [`shelf`] copies it under the name of its content, [`signature`] says
//! whether it is by somebody who is trusted, [`manifest`] reads what it says of itself without running any of it, [`linked`] whether it is what
//! the linker has written, [`examine`] has a child process try it, [`library`] loads it, and when the last lease is gone, [`threads`] clears what it left behind on the host's threads, so that
//! [`library`] can close it and see that it is gone.
//!
//! One that does not come back from a call holds its thread; what that thread had is taken over by way of [`estate`].
//!
//! One that ends the process is written down by [`crash`].
//!
//! Here, and nowhere else in the host, code is loaded, so here is the host's unsafe code. What the modules rely on
//! together:
//!
//! - what is loaded is a copy on the shelf that nobody writes to, and its content has passed the examination;
//! - one library is loaded from one path, once: the dynamic linker would give the old image back for the second load;
//! - while a thread's list has an entry of a library, that library stays mapped.

pub mod code;
pub mod crash;
pub mod digest;
pub mod elf;
pub mod estate;
pub mod examine;
pub mod image;
pub mod library;
pub mod linked;
pub mod manifest;
pub mod shelf;
pub mod signature;
pub mod threads;
