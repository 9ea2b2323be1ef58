//! A reader of heads that takes nearly everything, as peers behind and before a gateway do: [`Lenient`].
//!
//! What it reads of a head that the strict reader has taken, it has to read in the same way: otherwise a request could be
//! smuggled past one of the two.

/// A head as a careless peer reads it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lenient {
    /// Where it ends.
    pub(crate) length: usize,
    /// How many fields it has.
    pub(crate) fields: usize,
    /// Whether any `Transfer-Encoding` says `chunked`.
    pub(crate) chunked: bool,
    /// What each `Content-Length` says.
    pub(crate) lengths: Vec<u64>,
    /// How many fields are named `Host`.
    pub(crate) hosts: usize,
}

impl Lenient {
    /// Lines end with LF, with or without CR; empty ones before the first are skipped; names have blanks around them; what
    /// begins with a blank goes on with the field before it.
    pub(crate) fn read(bytes: &[u8]) -> Option<Lenient> {
        let mut head = Lenient { length: 0, fields: 0, chunked: false, lengths: Vec::new(), hosts: 0 };
        let mut begun = false;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            head.length += line.len();
            let text = line.strip_suffix(b"\n")?;
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            match (begun, text) {
                (false, b"") => {}
                (true, b"") => return Some(head),
                (false, _) => begun = true,
                (true, text) => head.field(text),
            }
        }
        None
    }

    fn field(&mut self, line: &[u8]) {
        let lower = line.to_ascii_lowercase();
        let colon = lower.iter().position(|byte| *byte == b':').unwrap_or(lower.len());
        let (name, value) = (lower[..colon].trim_ascii(), lower.get(colon + 1..).unwrap_or_default().trim_ascii());
        self.fields += usize::from(!line.starts_with(b" ") && !line.starts_with(b"\t"));
        match name {
            b"transfer-encoding" => self.chunked |= value.windows(7).any(|some| some == b"chunked"),
            b"content-length" => {
                self.lengths.extend(std::str::from_utf8(value).ok().and_then(|value| value.parse::<u64>().ok()));
            }
            b"host" => self.hosts += 1,
            _ => {}
        }
    }
}
