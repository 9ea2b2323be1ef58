//! `Date: …` of the present second, formatted once a second for all who need it.
//!
//! A sequence lock of atomics: whoever finds an older second writes the new one, if no one else is at it; whoever finds
//! a lock formats for itself. The second never goes back, so that what was read between two equal stamps is one text.

use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::{Duration, UNIX_EPOCH};

/// How long `Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n` is.
const LENGTH: usize = 37;

/// The stamp of a text that is being written.
const WRITING: u64 = u64::MAX;

/// The text of the present second.
#[derive(Default)]
pub struct DateCache {
    /// The second that the text is of; 0 of none.
    stamp: AtomicU64,
    text: [AtomicU64; 5],
}

impl DateCache {
    /// Writes the `Date` line of a second since 1970.
    #[inline]
    pub fn write(&self, second: u64, to: &mut Vec<u8>) {
        // Acquire: the text was written before the stamp.
        if self.stamp.load(Ordering::Acquire) == second {
            let mut line = [0; 40];
            for (word, part) in self.text.iter().zip(line.chunks_exact_mut(8)) {
                part.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
            }
            // The words are read before the stamp is read again.
            fence(Ordering::Acquire);
            if self.stamp.load(Ordering::Relaxed) == second {
                return to.extend_from_slice(&line[..LENGTH]);
            }
        }
        self.renew(second, to);
    }

    #[cold]
    fn renew(&self, second: u64, to: &mut Vec<u8>) {
        // A date past the year 9999 has no text; the host's clock is not that far.
        let second = second.min(253_402_300_799);
        let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
        let mut line = [0; 40];
        line[..6].copy_from_slice(b"Date: ");
        line[6..35].copy_from_slice(text.as_bytes());
        line[35..LENGTH].copy_from_slice(b"\r\n");
        to.extend_from_slice(&line[..LENGTH]);
        let stamp = self.stamp.load(Ordering::Relaxed);
        if stamp == WRITING || stamp >= second {
            return;
        }
        // Relaxed is enough to take the lock: who takes it reads nothing that it guards.
        if self.stamp.compare_exchange(stamp, WRITING, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            // The lock is seen before any of the words.
            fence(Ordering::Release);
            for (word, part) in self.text.iter().zip(line.chunks_exact(8)) {
                word.store(u64::from_ne_bytes(part.try_into().expect("chunks of eight")), Ordering::Relaxed);
            }
            // Release: the words are seen before the stamp.
            self.stamp.store(second, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::DateCache;

    #[test]
    fn each_second_has_its_text_whatever_is_kept() {
        let cache = DateCache::default();
        for (second, text) in [
            (784_111_777, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
            (784_111_777, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
            (784_111_778, "Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"),
            (784_111_777, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
        ] {
            let mut line = Vec::new();
            cache.write(second, &mut line);
            assert_eq!(String::from_utf8(line).unwrap(), text);
        }
    }
}
