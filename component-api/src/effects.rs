//! The effects of one event, written down: [`Batch`]. They are carried out when the event has been handled, or not at all.

use crate::abi::Effects;

/// One effect. Ranges are into the batch's bytes.
#[derive(Clone, Copy, Debug)]
pub enum Effect {
    Consume {
        n: u64,
    },
    Send {
        stream: u64,
        bytes: Range,
    },
    Forward {
        from: u64,
        to: u64,
        n: u64,
        idle: u64,
        token: u64,
    },
    Writable {
        stream: u64,
        token: u64,
    },
    /// `avoid` holds the servers' numbers, eight bytes each, in the machine's order.
    Dial {
        upstream: Range,
        avoid: Range,
        fresh: bool,
        token: u64,
    },
    Release {
        stream: u64,
    },
    Blame {
        stream: u64,
    },
    Finish {
        stream: u64,
    },
    Close {
        stream: u64,
    },
    Abort {
        stream: u64,
    },
    After {
        nanos: u64,
        token: u64,
    },
    Cancel {
        token: u64,
    },
    Record {
        fields: Range,
    },
}

/// A part of a batch's bytes.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    start: u32,
    end: u32,
}

/// The effects of one event, in order, with their bytes. Used again for the next event, so it allocates only to grow.
pub struct Batch {
    pub effects: Vec<Effect>,
    bytes: Vec<u8>,
    random: Box<dyn FnMut() -> u64 + Send>,
}

impl Batch {
    /// An empty batch that draws its random numbers there.
    pub fn new(random: impl FnMut() -> u64 + Send + 'static) -> Self {
        Batch { effects: Vec::new(), bytes: Vec::new(), random: Box::new(random) }
    }

    /// The bytes of a range.
    #[inline]
    pub fn bytes(&self, range: Range) -> &[u8] {
        &self.bytes[range.start as usize..range.end as usize]
    }

    /// The text of a range that was made of a text.
    pub fn text(&self, range: Range) -> &str {
        std::str::from_utf8(self.bytes(range)).unwrap_or_default()
    }

    /// The numbers of a range that was made of numbers.
    pub fn numbers(&self, range: Range) -> impl Iterator<Item = u64> + '_ {
        self.bytes(range).as_chunks().0.iter().map(|number| u64::from_ne_bytes(*number))
    }

    /// Forgets everything; keeps a buffer of usual size.
    pub fn clear(&mut self) {
        const KEPT_BYTES: usize = 256 * 1024;
        self.effects.clear();
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
    }

    /// One number from the batch's source.
    pub fn draw(&mut self) -> u64 {
        (self.random)()
    }

    #[inline]
    fn keep(&mut self, bytes: &[u8]) -> Range {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let offset = |at: usize| u32::try_from(at).expect("an event's effects stay below 4 GiB");
        Range { start: offset(start), end: offset(self.bytes.len()) }
    }
}

impl Effects for Batch {
    fn consume(&mut self, n: u64) {
        self.effects.push(Effect::Consume { n });
    }
    fn send(&mut self, stream: u64, bytes: &[u8]) {
        let bytes = self.keep(bytes);
        self.effects.push(Effect::Send { stream, bytes });
    }
    fn forward(&mut self, from: u64, to: u64, n: u64, idle: u64, token: u64) {
        self.effects.push(Effect::Forward { from, to, n, idle, token });
    }
    fn writable(&mut self, stream: u64, token: u64) {
        self.effects.push(Effect::Writable { stream, token });
    }
    fn dial(&mut self, upstream: &str, avoid: &[u64], fresh: bool, token: u64) {
        let upstream = self.keep(upstream.as_bytes());
        let start = self.keep(&[]).start;
        for server in avoid {
            self.keep(&server.to_ne_bytes());
        }
        let avoid = Range { start, end: self.keep(&[]).end };
        self.effects.push(Effect::Dial { upstream, avoid, fresh, token });
    }
    fn release(&mut self, stream: u64) {
        self.effects.push(Effect::Release { stream });
    }
    fn blame(&mut self, stream: u64) {
        self.effects.push(Effect::Blame { stream });
    }
    fn finish(&mut self, stream: u64) {
        self.effects.push(Effect::Finish { stream });
    }
    fn close(&mut self, stream: u64) {
        self.effects.push(Effect::Close { stream });
    }
    fn abort(&mut self, stream: u64) {
        self.effects.push(Effect::Abort { stream });
    }
    fn after(&mut self, nanos: u64, token: u64) {
        self.effects.push(Effect::After { nanos, token });
    }
    fn cancel(&mut self, token: u64) {
        self.effects.push(Effect::Cancel { token });
    }
    fn random(&mut self) -> u64 {
        self.draw()
    }
    fn record(&mut self, fields: &[u8]) {
        let fields = self.keep(fields);
        self.effects.push(Effect::Record { fields });
    }
}
