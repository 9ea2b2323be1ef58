//! Which of the things that happen belong together: a [`Trace`] goes from service to service with what they ask each other.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The context of a trace, as W3C Trace Context has it: an id that all that follows from one beginning shares, the span that has
/// led to this, and flags. In a state, a row, or a header it is its `traceparent`.
///
/// ```
/// use tandem_component::Trace;
/// let said = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let trace: Trace = said.parse().unwrap();
/// assert_eq!((trace.to_string().as_str(), trace.is_sampled()), (said, true));
/// assert_eq!(trace.id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Trace {
    id: TraceId,
    /// Never 0.
    span: u64,
    flags: u8,
}

/// What all that follows from one beginning shares. Never 0. Written as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(u128);

/// A step of a trace, such as one exchange: whatever it asks others is [within](Span::trace) it, and its [record](crate::Record) is
/// what is exported of it. Data: an exchange that outlasts an event keeps it in the state.
///
/// ```
/// # use tandem_component::prelude::*;
/// # fn exchange<S: Session<Then = ()>>(out: &mut Out<'_, S>) {
/// let said: Option<Trace> = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().ok();
/// let span = out.begin_span(said);
/// assert_eq!((span.trace().id(), span.parent()), (said.unwrap().id(), Some(0xf067aa0ba902b7)));
/// out.call(Call::to("messages").trace(span.trace()), &"hi", ());
/// out.record(Record { span: Some(span), ..Record::of(Outcome::Done) }, &());
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    trace: Trace,
    parent: Option<u64>,
}

/// Which share of the traces that begin here is sampled, between 0 and 1. Which ones follows from their ids, so that whoever else
/// samples by those takes the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sampling(f64);

/// It is no `traceparent` that anybody may go on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTrace;

impl Trace {
    /// One that begins, of random numbers.
    #[doc(hidden)]
    pub fn begin(high: u64, low: u64, span: u64, sampling: Sampling) -> Self {
        let id = u128::from(high) << 64 | u128::from(low);
        let flags = if sampling.takes(low) { SAMPLED } else { 0 };
        Trace { id: TraceId(id.max(1)), span: span.max(1), flags }
    }

    /// What the `traceparent` fields of a request say: where there is just one, and it is one (W3C Trace Context, section 3.2).
    pub fn of_fields<'f>(mut values: impl Iterator<Item = &'f [u8]>) -> Option<Self> {
        let trace = std::str::from_utf8(values.next()?).ok()?.parse().ok();
        trace.filter(|_| values.next().is_none())
    }

    /// What all of it shares.
    pub fn id(&self) -> TraceId {
        self.id
    }

    /// The span that has led to this: of a request, the call.
    pub fn span(&self) -> u64 {
        self.span
    }

    /// Whether whoever began it has recorded it.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The same trace in another span.
    #[must_use]
    pub fn within(self, span: u64) -> Self {
        Trace { span: span.max(1), ..self }
    }

    /// The value of the header that tells others of it (W3C Trace Context, section 3.2).
    ///
    /// ```
    /// # use tandem_component::Trace;
    /// let said = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    /// assert_eq!(said.parse::<Trace>().unwrap().traceparent(), *said.as_bytes());
    /// ```
    pub fn traceparent(&self) -> [u8; 55] {
        let mut text = *b"00-................................-................-..";
        text[3..35].copy_from_slice(&digits::<32>(self.id.0));
        text[36..52].copy_from_slice(&digits::<16>(self.span.into()));
        text[53..].copy_from_slice(&digits::<2>(self.flags.into()));
        text
    }

    /// As it crosses the boundary.
    #[doc(hidden)]
    pub fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..16].copy_from_slice(&self.id.0.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.span.to_be_bytes());
        bytes[24] = self.flags;
        bytes
    }

    /// What `to_bytes` has written.
    #[doc(hidden)]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, rest) = bytes.split_first_chunk()?;
        let (span, flags) = rest.split_first_chunk()?;
        let (id, span) = (u128::from_be_bytes(*id), u64::from_be_bytes(*span));
        (id > 0 && span > 0).then_some(Trace { id: TraceId(id), span, flags: *flags.first()? })
    }
}

impl Span {
    /// The next step of a trace, or of one that has begun here, with a number of its own.
    #[doc(hidden)]
    pub fn within(trace: Trace, number: u64) -> Self {
        Span { trace: trace.within(number), parent: Some(trace.span) }
    }

    /// What it asks others is a part of this, and led to by it.
    pub fn trace(&self) -> Trace {
        self.trace
    }

    /// The step that has led to this one, where it is not the first.
    pub fn parent(&self) -> Option<u64> {
        self.parent
    }
}

impl From<Trace> for Span {
    /// The first step of a trace that [begins](crate::Out::begin_trace) here.
    fn from(begun: Trace) -> Self {
        Span { trace: begun, parent: None }
    }
}

impl Sampling {
    /// This share of them. `None` for what is no share.
    pub fn share(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Sampling(share))
    }

    /// By the lower 56 bits of an id, which are the random ones (W3C Trace Context level 2, section 3.2.2.3).
    fn takes(self, low: u64) -> bool {
        const ALL: u64 = 1 << 56;
        #[expect(clippy::cast_precision_loss, reason = "it is a power of two")]
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is between 0 and 1")]
        let taken = (self.0 * ALL as f64) as u64;
        low & (ALL - 1) < taken
    }
}

/// What a record says of its span.
#[derive(Serialize)]
pub(crate) struct Fields {
    trace: TraceId,
    span: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<Number>,
    sampled: bool,
}

impl Span {
    pub(crate) fn fields(&self) -> Fields {
        let Span { trace, parent } = *self;
        Fields { trace: trace.id, span: Number(trace.span), parent: parent.map(Number), sampled: trace.is_sampled() }
    }
}

/// The number of a span. Written as 16 hexadecimal digits.
struct Number(u64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text(&digits::<16>(self.0.into())))
    }
}

/// So many bytes it has as it crosses the boundary.
#[doc(hidden)]
pub const BYTES: usize = 25;

const SAMPLED: u8 = 1;

/// The lowest hexadecimal digits of a number. Traces are told of with each request, and the formatting of the standard library takes
/// three times as long.
fn digits<const N: usize>(number: u128) -> [u8; N] {
    std::array::from_fn(|at| b"0123456789abcdef"[(number >> (4 * (N - 1 - at))) as usize & 0xf])
}

fn text(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).expect("digits are ASCII")
}

impl FromStr for Trace {
    type Err = NoTrace;

    /// Reads a `traceparent` (W3C Trace Context, section 3.2): of a version that is not known yet, what it has in common with
    /// version 00.
    fn from_str(text: &str) -> Result<Self, NoTrace> {
        let hex = |part: &str, digits: usize| {
            let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            let fits = part.len() == digits && part.bytes().all(lower);
            fits.then(|| u128::from_str_radix(part, 16).ok()).flatten().ok_or(NoTrace)
        };
        let mut parts = text.trim_ascii().splitn(5, '-');
        let mut part = |digits| hex(parts.next().unwrap_or_default(), digits);
        let (version, id, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        let more = parts.next().is_some();
        if version == 0xff || version == 0 && more || id == 0 || span == 0 {
            return Err(NoTrace);
        }
        // Each has as many digits as its number has room for.
        Ok(Trace { id: TraceId(id), span: span as u64, flags: flags as u8 })
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(text(&self.traceparent()))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(text(&digits::<32>(self.0)))
    }
}

impl fmt::Display for NoTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no traceparent, which looks like 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    }
}

impl std::error::Error for NoTrace {}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text(&digits::<32>(self.0)))
    }
}

impl Serialize for Trace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text(&self.traceparent()))
    }
}

impl<'de> Deserialize<'de> for Trace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_no_traceparent_is_none() {
        let bad = [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        ];
        for text in bad {
            assert_eq!(text.parse::<Trace>(), Err(NoTrace), "{text}");
        }
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-will-be-like";
        assert_eq!(later.parse(), GOOD.parse::<Trace>());
        assert_eq!(format!(" {GOOD}\t").parse(), GOOD.parse::<Trace>());
        let of =
            |values: &[&str]| Trace::of_fields(values.iter().map(|value| value.as_bytes())).map(|it| it.to_string());
        assert_eq!([of(&[]), of(&["x"]), of(&[GOOD]), of(&[GOOD, GOOD])], [None, None, Some(GOOD.to_owned()), None]);
    }

    #[test]
    fn it_is_the_same_behind_the_boundary_and_in_a_row() {
        let trace: Trace = GOOD.parse().unwrap();
        assert_eq!(Trace::from_bytes(&trace.to_bytes()), Some(trace));
        assert_eq!([&[][..], &[0; BYTES], &[1; BYTES - 1]].map(Trace::from_bytes), [None; 3]);
        let written = crate::named::write(&trace).unwrap();
        assert_eq!(crate::named::read::<Trace>(&written), Ok(trace));
        assert_eq!(crate::named::read::<&str>(&written), Ok(GOOD));
        let none = Trace::begin(0, 0, 0, Sampling::default());
        assert_eq!(none.to_string().parse(), Ok(none));
        assert_eq!(trace.within(0x17).to_string(), "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000017-01");
    }

    #[test]
    fn a_share_of_the_traces_is_sampled_and_it_is_the_same_ones_everywhere() {
        let sampled = |share, low| Trace::begin(7, low, 7, Sampling::share(share).unwrap()).is_sampled();
        assert!([0, 1, u64::MAX].iter().all(|low| sampled(1.0, *low) && !sampled(0.0, *low)));
        assert_eq!([0xff_3f_ff_ff_ff_ff_ff_ff, 0x40_00_00_00_00_00_00].map(|low| sampled(0.25, low)), [true, false]);
        assert_eq!([-0.1, 1.1, f64::NAN].map(Sampling::share), [None; 3]);
    }
}
