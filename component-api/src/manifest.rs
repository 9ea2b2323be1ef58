//! What a library says of itself, in bytes that can be read without loading it.
//!
//! The section `.tandem` holds one JSON object, padded with spaces:
//! `{"tandem":1,"name":"http","version":"1.2.0","api":1,"policy":"renew","then":["Dialed"],"tables":[]}`. Keys may be
//! added; a reader passes over those that it does not know. It is written at compile time, from the component's
//! constants, so it cannot say anything else than the code.

use crate::abi::REVISION;
use crate::component::Component;
use crate::export::Exported;
use crate::ledger::Ledger;
use crate::session::{Session, Then};
use crate::table::{Column, Index, Literal, Table};

/// The section's name.
pub const SECTION: &str = ".tandem";

/// A component's name: the package's, without a leading `tandem-`.
pub const fn name_of_package(package: &str) -> &str {
    let (bytes, prefix) = (package.as_bytes(), b"tandem-");
    let mut at = 0;
    while at < prefix.len() {
        if at >= bytes.len() || bytes[at] != prefix[at] {
            return package;
        }
        at += 1;
    }
    package.split_at(prefix.len()).1
}

/// The length of the manifest with its padding: room for a version to be stamped anew in place.
pub const fn encoded_length<X: Exported>(name: &str, version: &str) -> usize {
    let mut json = Json::<0> { bytes: [], at: 0 };
    json.manifest::<X::Component>(name, version);
    (json.at + 32).next_multiple_of(64)
}

/// The manifest's bytes. `LENGTH` is [`encoded_length`].
pub const fn encode<X: Exported, const LENGTH: usize>(name: &str, version: &str) -> [u8; LENGTH] {
    let mut json = Json { bytes: [b' '; LENGTH], at: 0 };
    json.manifest::<X::Component>(name, version);
    json.bytes
}

/// Writes JSON at compile time. With a length of 0 it only counts.
struct Json<const LENGTH: usize> {
    bytes: [u8; LENGTH],
    at: usize,
}

impl<const LENGTH: usize> Json<LENGTH> {
    const fn manifest<C: Component>(&mut self, name: &str, version: &str) {
        self.raw("{\"tandem\":1,\"name\":");
        self.text(name);
        self.raw(",\"version\":");
        self.text(version);
        self.raw(",\"api\":");
        self.number(REVISION as u64);
        self.raw(",\"policy\":");
        self.text(C::POLICY.word());
        self.raw(",\"then\":");
        self.texts(<<C::Session as Session>::Then as Then>::VARIANTS);
        self.raw(",\"tables\":[");
        let mut at = 0;
        while at < C::TABLES.len() {
            self.comma(at);
            self.table(&C::TABLES[at]);
            at += 1;
        }
        self.raw("]");
        if C::RESIDENT {
            self.raw(",\"resident\":true");
        }
        if let Some(ledger) = C::LEDGER {
            self.ledger(&ledger);
        }
        self.raw("}");
    }

    const fn ledger(&mut self, ledger: &Ledger) {
        self.raw(",\"ledger\":{\"totals\":");
        self.text(ledger.totals);
        self.raw(",\"rows\":");
        self.text(ledger.rows);
        self.raw(",\"version\":");
        self.text(ledger.version);
        self.raw(",\"more\":");
        self.text(ledger.more);
        self.raw(",\"uncertain\":");
        self.text(ledger.uncertain);
        self.raw(",\"phase\":");
        self.text(ledger.phase);
        self.raw(",\"pending\":");
        self.texts(ledger.pending);
        self.raw("}");
    }

    const fn table(&mut self, table: &Table) {
        self.raw("{\"name\":");
        self.text(table.name);
        self.raw(",\"key\":");
        self.texts(table.key);
        self.raw(",\"columns\":[");
        let mut at = 0;
        while at < table.columns.len() {
            self.comma(at);
            self.column(&table.columns[at]);
            at += 1;
        }
        self.raw("]}");
    }

    const fn column(&mut self, column: &Column) {
        self.raw("{\"name\":");
        self.text(column.name);
        self.raw(",\"kind\":");
        self.text(column.kind.word());
        if let Some(literal) = column.default {
            self.raw(",\"default\":");
            match literal {
                Literal::Integer(number) => {
                    if number < 0 {
                        self.raw("-");
                    }
                    self.number(number.unsigned_abs());
                }
                Literal::Text(text) => self.text(text),
                Literal::Boolean(true) => self.raw("true"),
                Literal::Boolean(false) => self.raw("false"),
                Literal::Null => self.raw("null"),
            }
        }
        self.raw(match column.index {
            Index::None => "}",
            Index::Plain => ",\"index\":true}",
            Index::Unique => ",\"index\":true,\"unique\":true}",
        });
    }

    const fn texts(&mut self, texts: &[&str]) {
        self.raw("[");
        let mut at = 0;
        while at < texts.len() {
            self.comma(at);
            self.text(texts[at]);
            at += 1;
        }
        self.raw("]");
    }

    const fn comma(&mut self, at: usize) {
        if at > 0 {
            self.byte(b',');
        }
    }

    const fn text(&mut self, text: &str) {
        self.byte(b'"');
        let mut at = 0;
        while at < text.len() {
            let byte = text.as_bytes()[at];
            assert!(byte >= b' ', "a name or a default in the manifest has no control characters");
            if byte == b'"' || byte == b'\\' {
                self.byte(b'\\');
            }
            self.byte(byte);
            at += 1;
        }
        self.byte(b'"');
    }

    const fn number(&mut self, number: u64) {
        if number >= 10 {
            self.number(number / 10);
        }
        self.byte(b'0' + (number % 10) as u8);
    }

    const fn raw(&mut self, text: &str) {
        let mut at = 0;
        while at < text.len() {
            self.byte(text.as_bytes()[at]);
            at += 1;
        }
    }

    const fn byte(&mut self, byte: u8) {
        if LENGTH > 0 {
            self.bytes[self.at] = byte;
        }
        self.at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::name_of_package;

    #[test]
    fn a_package_of_ours_loses_its_prefix() {
        assert_eq!(name_of_package("tandem-http"), "http");
        assert_eq!(name_of_package("smpp"), "smpp");
        assert_eq!(name_of_package("tandem"), "tandem");
    }
}
