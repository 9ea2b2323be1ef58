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
    /// An operation of [`row`](crate::abi::row).
    Row {
        operation: u32,
        table: Range,
        first: Range,
        second: Range,
        number: i64,
        token: u64,
    },
    /// `account` and `trace` are empty where they are those of the request that the event is about, `label` where there is none.
    Call {
        service: Range,
        asked: Range,
        account: Range,
        trace: Range,
        label: Range,
        within: u64,
        token: u64,
    },
    Answer {
        request: u64,
        response: Range,
    },
    Serve {
        serving: bool,
    },
    Authenticate {
        account: Range,
        secret: Range,
        token: u64,
    },
    Route {
        key: Range,
        begin: bool,
    },
    Bind {
        key: Range,
    },
    Label {
        label: Range,
    },
    Save,
    /// `what`: bits of [`admission`](crate::abi::admission).
    Admit {
        account: Range,
        sender: Range,
        units: u64,
        what: u32,
        token: u64,
    },
    Done {
        token: u64,
    },
    /// `outcome`: the number of an [`Outcome`](crate::Outcome).
    Ended {
        outcome: u32,
        nanos: u64,
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
    too_much: bool,
    writes: bool,
    random: Box<dyn FnMut() -> u64 + Send>,
}

impl Batch {
    /// The fault of a session whose event had [too much](Batch::is_too_much).
    pub const TOO_MUCH: &str = "one event had more effects, or more bytes in them, than it may";

    /// An empty batch that draws its random numbers there.
    pub fn new(random: impl FnMut() -> u64 + Send + 'static) -> Self {
        Batch { effects: Vec::new(), bytes: Vec::new(), too_much: false, writes: false, random: Box::new(random) }
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
        self.too_much = false;
        self.writes = false;
        self.bytes.shrink_to(KEPT_BYTES);
    }

    /// Whether there were more effects, or more bytes in them, than an event may have. What is here is then not all, and
    /// none of it may happen.
    #[inline]
    pub fn is_too_much(&self) -> bool {
        self.too_much
    }

    /// Whether some of the effects are for the store: operations on rows, bindings, a state to be saved.
    #[inline]
    pub fn has_writes(&self) -> bool {
        self.writes
    }

    /// One number from the batch's source.
    pub fn draw(&mut self) -> u64 {
        (self.random)()
    }

    #[inline]
    fn keep(&mut self, bytes: &[u8]) -> Range {
        if bytes.len() > BYTES_MAX - self.bytes.len() {
            self.too_much = true;
            return Range { start: 0, end: 0 };
        }
        // No offset is cut off: BYTES_MAX is far below 4 GiB.
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        Range { start, end: self.bytes.len() as u32 }
    }

    #[inline]
    fn push(&mut self, effect: Effect) {
        if self.effects.len() < EFFECTS_MAX {
            self.effects.push(effect);
        } else {
            self.too_much = true;
        }
    }
}

/// So many bytes the effects of one event may carry: what a session may have unsent on four streams.
const BYTES_MAX: usize = 64 << 20;
/// So many effects one event may have.
const EFFECTS_MAX: usize = 1 << 20;

impl Effects for Batch {
    fn consume(&mut self, n: u64) {
        self.push(Effect::Consume { n });
    }
    fn send(&mut self, stream: u64, bytes: &[u8]) {
        let bytes = self.keep(bytes);
        self.push(Effect::Send { stream, bytes });
    }
    fn forward(&mut self, from: u64, to: u64, n: u64, idle: u64, token: u64) {
        self.push(Effect::Forward { from, to, n, idle, token });
    }
    fn writable(&mut self, stream: u64, token: u64) {
        self.push(Effect::Writable { stream, token });
    }
    fn dial(&mut self, upstream: &str, avoid: &[u64], fresh: bool, token: u64) {
        let upstream = self.keep(upstream.as_bytes());
        let avoid: Vec<u8> = avoid.iter().flat_map(|server| server.to_ne_bytes()).collect();
        let avoid = self.keep(&avoid);
        self.push(Effect::Dial { upstream, avoid, fresh, token });
    }
    fn release(&mut self, stream: u64) {
        self.push(Effect::Release { stream });
    }
    fn blame(&mut self, stream: u64) {
        self.push(Effect::Blame { stream });
    }
    fn finish(&mut self, stream: u64) {
        self.push(Effect::Finish { stream });
    }
    fn close(&mut self, stream: u64) {
        self.push(Effect::Close { stream });
    }
    fn abort(&mut self, stream: u64) {
        self.push(Effect::Abort { stream });
    }
    fn after(&mut self, nanos: u64, token: u64) {
        self.push(Effect::After { nanos, token });
    }
    fn cancel(&mut self, token: u64) {
        self.push(Effect::Cancel { token });
    }
    fn random(&mut self) -> u64 {
        self.draw()
    }
    fn record(&mut self, fields: &[u8]) {
        let fields = self.keep(fields);
        self.push(Effect::Record { fields });
    }
    fn row(&mut self, operation: u32, table: &str, first: &[u8], second: &[u8], number: i64, token: u64) {
        let (table, first, second) = (self.keep(table.as_bytes()), self.keep(first), self.keep(second));
        self.writes = true;
        self.push(Effect::Row { operation, table, first, second, number, token });
    }
    fn call_for(&mut self, service: &str, asked: &[u8], behalf: (&str, &[u8], &str), within: u64, token: u64) {
        let (service, asked) = (self.keep(service.as_bytes()), self.keep(asked));
        let (account, trace, label) = behalf;
        let (account, trace, label) = (self.keep(account.as_bytes()), self.keep(trace), self.keep(label.as_bytes()));
        self.push(Effect::Call { service, asked, account, trace, label, within, token });
    }
    fn label(&mut self, label: &str) {
        let label = self.keep(label.as_bytes());
        self.push(Effect::Label { label });
    }
    fn answer(&mut self, request: u64, response: &[u8]) {
        let response = self.keep(response);
        self.push(Effect::Answer { request, response });
    }
    fn serve(&mut self, serving: bool) {
        self.push(Effect::Serve { serving });
    }
    fn authenticate(&mut self, account: &str, secret: &[u8], token: u64) {
        let (account, secret) = (self.keep(account.as_bytes()), self.keep(secret));
        self.push(Effect::Authenticate { account, secret, token });
    }
    fn route(&mut self, key: &[u8], begin: bool) {
        let key = self.keep(key);
        self.push(Effect::Route { key, begin });
    }
    fn bind(&mut self, key: &[u8]) {
        let key = self.keep(key);
        self.writes = true;
        self.push(Effect::Bind { key });
    }
    fn save(&mut self) {
        self.writes = true;
        self.push(Effect::Save);
    }
    fn admit(&mut self, account: &str, sender: &str, units: u64, what: u32, token: u64) {
        let (account, sender) = (self.keep(account.as_bytes()), self.keep(sender.as_bytes()));
        self.push(Effect::Admit { account, sender, units, what, token });
    }
    fn done(&mut self, token: u64) {
        self.push(Effect::Done { token });
    }
    fn ended(&mut self, outcome: u32, nanos: u64) {
        self.push(Effect::Ended { outcome, nanos });
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES_MAX, Batch, EFFECTS_MAX};
    use crate::abi::Effects;

    #[test]
    fn an_event_has_no_effects_without_end() {
        let mut batch = Batch::new(|| 0);
        let piece = vec![0; 1 << 20];
        for _ in 0..BYTES_MAX >> 20 {
            batch.send(0, &piece);
        }
        assert!(!batch.is_too_much());
        batch.send(0, b"x");
        assert!(batch.is_too_much() && batch.bytes.len() == BYTES_MAX);

        batch.clear();
        for _ in 0..EFFECTS_MAX {
            batch.finish(0);
        }
        assert!(!batch.is_too_much());
        batch.finish(0);
        assert!(batch.is_too_much() && batch.effects.len() == EFFECTS_MAX);
    }
}
