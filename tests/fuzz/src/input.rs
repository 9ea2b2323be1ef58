//! Bytes as choices: [`Input`]. Whatever they are, they mean something, so that each mutation is another conversation.

/// What is left of an input. At its end all choices are 0 and all texts empty.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Input(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// One of so many, by one byte.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }

    pub(crate) fn one_of<T: Copy>(&mut self, some: &[T]) -> T {
        some[self.below(some.len())]
    }

    /// A text: its length in one byte, or 255 and two more, and then the text as far as it is there.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let length = match self.byte() {
            255 => usize::from(u16::from_be_bytes([self.byte(), self.byte()])),
            length => usize::from(length),
        };
        let (text, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        text
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}
