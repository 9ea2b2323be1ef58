//! Messages that are told apart by a number in their text, and who has come: [`Watch`].

/// How a text begins. An `m` and digits are the same in every alphabet and every encoding that a gateway may put it into.
const MARK: u8 = b'm';
const DIGITS: usize = 12;
/// What a message says, as long as it is: 100 characters, with the number to be written over the zeros.
pub(crate) const TEXT: &str =
    "m000000000000xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// Where the number of a message stands in what carries it.
pub(crate) fn place(carrier: &[u8]) -> Option<usize> {
    carrier.windows(1 + DIGITS).position(|window| number_in(window).is_some()).map(|at| at + 1)
}

/// Writes the number of a message into what carries it.
pub(crate) fn write(carrier: &mut [u8], place: usize, mut number: u64) {
    for digit in carrier[place..place + DIGITS].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// The number of the message that this carries.
fn read(carrier: &[u8]) -> Option<u64> {
    let mut rest = carrier;
    while let Some(at) = rest.iter().position(|byte| *byte == MARK) {
        rest = &rest[at..];
        if let Some(number) = rest.get(..=DIGITS).and_then(number_in) {
            return Some(number);
        }
        rest = &rest[1..];
    }
    None
}

fn number_in(window: &[u8]) -> Option<u64> {
    let (mark, digits) = window.split_first()?;
    let number = digits
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')));
    number.filter(|_| *mark == MARK && digits.len() == DIGITS)
}

/// Which messages have come, of those from a number on.
#[derive(Default)]
pub(crate) struct Watch {
    first: u64,
    seen: Vec<u64>,
    /// So many are there.
    pub(crate) distinct: u64,
    /// So many were there already.
    pub(crate) doubled: u64,
    /// So many are of another time, or are no messages of the bench.
    pub(crate) strays: u64,
}

impl Watch {
    /// Of so many numbers from the first one on.
    const NUMBERS: u64 = 100_000_000;

    pub(crate) fn from(first: u64) -> Self {
        Watch { first, ..Watch::default() }
    }

    pub(crate) fn take(&mut self, carrier: &[u8]) {
        let number = read(carrier).and_then(|number| number.checked_sub(self.first));
        let Some(number) = number.filter(|number| *number < Self::NUMBERS) else {
            self.strays += 1;
            return;
        };
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        if self.seen[word] & bit == 0 {
            self.seen[word] |= bit;
            self.distinct += 1;
        } else {
            self.doubled += 1;
        }
    }
    /// As if it had not come.
    pub(crate) fn leave_out(&mut self, number: u64) {
        let Some(number) = number.checked_sub(self.first) else { return };
        let word = self.seen.get_mut((number / 64) as usize).filter(|word| **word & 1 << (number % 64) != 0);
        if let Some(word) = word {
            *word &= !(1 << (number % 64));
            self.distinct -= 1;
        }
    }
}
