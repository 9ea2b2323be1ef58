//! Ports that nobody else has.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// A port of the loopback that is free for TCP and UDP.
///
/// It lies below those that the kernel gives to outgoing connections, so that none of these takes it before the
/// gateway does; tests that run at the same time begin at different places.
pub fn free_port() -> u16 {
    // Relaxed: only that each number is given once matters.
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let begin = std::process::id().wrapping_mul(97);
    let free = |port: &u16| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok() && UdpSocket::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()
    };
    std::iter::repeat_with(|| u32::from(TAKEN.fetch_add(1, Ordering::Relaxed)))
        .take(usize::from(LAST - FIRST))
        .map(|taken| FIRST + (begin.wrapping_add(taken) % u32::from(LAST - FIRST)) as u16)
        .find(free)
        .expect("of twelve thousand ports one is free")
}

const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;
