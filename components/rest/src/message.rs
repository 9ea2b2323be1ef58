//! A message as an application writes it: [`Draft`].

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tandem_component::Time;
use tandem_sms::tlv::{MESSAGE_PAYLOAD, write};
use tandem_sms::{Address, Coding, Sms, Submit};

use crate::date;
use crate::json::pointer;
use crate::problem::FieldError;

/// What `POST /v1/messages` asks for: one message, for one recipient or several.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Draft {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    content: Content,
    /// When it is not to be sent before.
    #[serde(default)]
    schedule: Option<Time>,
    /// When it is not worth anything any more.
    #[serde(default)]
    validity: Option<Time>,
    receipt: bool,
    #[serde(default)]
    pub(crate) reference: Option<String>,
}

/// What it says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Content {
    Text {
        text: String,
        coding: Option<Coding>,
    },
    Binary {
        /// With the user data header, where there is one.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
        has_header: bool,
    },
}

impl Draft {
    /// Reads it.
    ///
    /// # Errors
    /// All that is wrong, and where.
    pub(crate) fn read(body: &Value, recipients_max: usize, now: Time) -> Result<Self, Vec<FieldError>> {
        let Value::Object(members) = body else {
            return Err(vec![FieldError::at("", "a message is an object")]);
        };
        let mut reader = Reader { members, errors: Vec::new() };
        reader.refuse_unknown();
        let from = reader.from();
        let to = reader.to(recipients_max);
        let content = reader.content();
        let schedule = reader.schedule();
        let begins = schedule.unwrap_or(now).max(now);
        let validity = reader.validity().map(|span| begins + span);
        let receipt = reader.flag("receipt").unwrap_or(true);
        let reference = reader.reference();
        match (from, content) {
            (Some(from), Some(content)) if reader.errors.is_empty() => {
                Ok(Draft { from, to, content, schedule, validity, receipt, reference })
            }
            _ => Err(reader.errors),
        }
    }

    /// The message for one of its recipients.
    pub(crate) fn submit(&self, account: &str, to: &str, id: String, key: Option<String>) -> Submit {
        let time = |at: Option<Time>| at.and_then(date::absolute).unwrap_or_default();
        let mut sms = Sms {
            source: address(&self.from).unwrap_or_default(),
            destination: address(to).unwrap_or_default(),
            // One that is over, and may be of the last century where it is, means at once.
            schedule: time(self.schedule),
            validity: time(self.validity),
            registered_delivery: u8::from(self.receipt),
            ..Sms::default()
        };
        let (mut text, mut coding) = (None, None);
        match &self.content {
            Content::Text { text: said, coding: wanted } => (text, coding) = (Some(said.clone()), *wanted),
            Content::Binary { bytes, has_header } => {
                sms.data_coding = BINARY;
                sms.esm_class = if *has_header { HEADER } else { 0 };
                if bytes.len() <= SHORT_MESSAGE_MAX {
                    sms.short_message.clone_from(bytes);
                } else {
                    write(&mut sms.tlvs, MESSAGE_PAYLOAD, bytes);
                }
            }
        }
        let reference = self.reference.clone().unwrap_or_default();
        Submit { id, account: account.to_owned(), sms, text, coding, key, reference }
    }
}

/// An address as an application writes it, for a network. `+` and digits is an international number, digits alone are a number
/// of whatever kind, anything else is a name.
pub(crate) fn address(text: &str) -> Option<Address> {
    let of = |ton, npi, digits: &str| Some(Address { ton, npi, digits: digits.to_owned() });
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b" ._&-".contains(&byte);
    match text.strip_prefix('+') {
        Some(digits) if (5..=15).contains(&digits.len()) && is_number(digits) => of(INTERNATIONAL, ISDN, digits),
        None if (1..=20).contains(&text.len()) && is_number(text) => of(0, ISDN, text),
        None if (1..=11).contains(&text.len()) && !text.starts_with(' ') && text.bytes().all(is_name) => {
            of(ALPHANUMERIC, 0, text)
        }
        _ => None,
    }
}

/// The other way round.
pub(crate) fn written(address: &Address) -> String {
    if address.ton == INTERNATIONAL { format!("+{}", address.digits) } else { address.digits.clone() }
}

struct Reader<'a> {
    members: &'a Map<String, Value>,
    errors: Vec<FieldError>,
}

impl<'a> Reader<'a> {
    fn wrong<T>(&mut self, at: impl Into<String>, why: impl Into<String>) -> Option<T> {
        self.errors.push(FieldError::at(at, why));
        None
    }

    fn refuse_unknown(&mut self) {
        const MEMBERS: [&str; 10] =
            ["from", "to", "text", "binary", "udh", "coding", "validity", "schedule", "receipt", "reference"];
        for name in self.members.keys().filter(|name| !MEMBERS.contains(&name.as_str())) {
            self.errors
                .push(FieldError::at(pointer("", name), format!("there is no member `{}`", name.escape_debug())));
        }
    }

    fn text(&mut self, name: &str) -> Option<&'a str> {
        match self.members.get(name)? {
            Value::String(text) => Some(text),
            _ => self.wrong(format!("/{name}"), format!("`{name}` is a string")),
        }
    }

    fn flag(&mut self, name: &str) -> Option<bool> {
        match self.members.get(name)? {
            Value::Bool(flag) => Some(*flag),
            _ => self.wrong(format!("/{name}"), format!("`{name}` is true or false")),
        }
    }

    fn bytes(&mut self, name: &str) -> Option<Vec<u8>> {
        let text = self.text(name)?;
        match STANDARD.decode(text) {
            Ok(bytes) => Some(bytes),
            Err(error) => self.wrong(format!("/{name}"), format!("`{name}` is not base64: {error}")),
        }
    }

    fn from(&mut self) -> Option<String> {
        if !self.members.contains_key("from") {
            return self.wrong("/from", "`from` is missing");
        }
        let from = self.text("from")?;
        match address(from) {
            Some(_) => Some(from.to_owned()),
            None => {
                let name = "no name of up to 11 letters, digits, spaces and `.`, `_`, `&`, `-`";
                self.wrong("/from", format!("{} is no number ({NUMBER}) and {name}", quoted(from)))
            }
        }
    }

    fn to(&mut self, max: usize) -> Vec<String> {
        let list = match self.members.get("to") {
            Some(one @ Value::String(_)) => std::slice::from_ref(one),
            Some(Value::Array(list)) if list.is_empty() => {
                self.wrong::<()>("/to", "nobody is to get it");
                return Vec::new();
            }
            Some(Value::Array(list)) if list.len() > max => {
                self.wrong::<()>("/to", format!("{} recipients, where {max} are as many as may be", list.len()));
                return Vec::new();
            }
            Some(Value::Array(list)) => list.as_slice(),
            Some(_) => {
                self.wrong::<()>("/to", "`to` is a string, or a list of them");
                return Vec::new();
            }
            None => {
                self.wrong::<()>("/to", "`to` is missing");
                return Vec::new();
            }
        };
        let (mut to, mut known) = (Vec::with_capacity(list.len()), BTreeSet::new());
        for (at, one) in list.iter().enumerate() {
            let place = if self.members["to"].is_string() { "/to".to_owned() } else { format!("/to/{at}") };
            match one {
                Value::String(text) if !is_recipient(text) => {
                    self.wrong::<()>(place, format!("{} is no number: {NUMBER}", quoted(text)));
                }
                Value::String(text) if !known.insert(text) => self.wrong(place, "it stands there twice").unwrap_or(()),
                Value::String(text) => to.push(text.clone()),
                _ => self.wrong(place, "a recipient is a string").unwrap_or(()),
            }
        }
        to
    }

    fn content(&mut self) -> Option<Content> {
        match (self.members.contains_key("text"), self.members.contains_key("binary")) {
            (true, true) => self.wrong("/binary", "there is `text` already, and a message is one of the two"),
            (false, false) => self.wrong("/text", "there is neither `text` nor `binary`"),
            (true, false) => self.said(),
            (false, true) => self.binary(),
        }
    }

    fn said(&mut self) -> Option<Content> {
        if self.members.contains_key("udh") {
            self.wrong::<()>("/udh", "`udh` is for `binary`: the headers of text are written by the gateway");
        }
        let coding = self.coding();
        let text = self.text("text")?;
        match text.chars().count() {
            0 => self.wrong("/text", "it says nothing"),
            n if n > TEXT_MAX => self.wrong("/text", format!("{n} characters, where {TEXT_MAX} are as many as may be")),
            _ => match coding.map_or(Ok(Vec::new()), |coding| coding.encode(text)) {
                Ok(_) => Some(Content::Text { text: text.to_owned(), coding }),
                Err(why) => self.wrong("/text", format!("{why}: with `coding` left out, one is taken that does")),
            },
        }
    }

    fn coding(&mut self) -> Option<Coding> {
        match self.text("coding")? {
            "auto" => None,
            "gsm7" => Some(Coding::Gsm7),
            "latin1" => Some(Coding::Latin1),
            "ucs2" => Some(Coding::Ucs2),
            _ => self.wrong("/coding", "`coding` is `auto`, `gsm7`, `latin1` or `ucs2`"),
        }
    }

    fn binary(&mut self) -> Option<Content> {
        if self.members.contains_key("coding") {
            self.wrong::<()>("/coding", "`coding` is for `text`");
        }
        let header = self.bytes("udh");
        let bytes = self.bytes("binary")?;
        let Some(mut whole) = header else {
            return match bytes.len() {
                0 => self.wrong("/binary", "it says nothing"),
                n if n > BINARY_MAX => {
                    self.wrong("/binary", format!("{n} bytes, where {BINARY_MAX} are as many as may be"))
                }
                _ => Some(Content::Binary { bytes, has_header: false }),
            };
        };
        if whole.first().is_none_or(|length| usize::from(*length) + 1 != whole.len()) {
            return self.wrong("/udh", "its first byte is not the number of those that follow");
        }
        whole.extend(bytes);
        if whole.len() > ONE_MAX {
            let why = format!("{} bytes with `udh`, which are more than the {ONE_MAX} of one message", whole.len());
            return self.wrong("/binary", why);
        }
        Some(Content::Binary { bytes: whole, has_header: true })
    }

    fn validity(&mut self) -> Option<Duration> {
        let value = self.members.get("validity")?;
        // 60.0 is an integer as JSON Schema has it.
        let whole = value.as_f64().filter(|it| it.fract() == 0.0 && (1.0..=VALIDITY_MAX).contains(it));
        match whole {
            Some(seconds) => Some(Duration::from_secs_f64(seconds)),
            None if value.is_number() => {
                self.wrong("/validity", format!("not a whole number of seconds from 1 to {VALIDITY_MAX}"))
            }
            None => self.wrong("/validity", "`validity` is a number of seconds"),
        }
    }

    fn schedule(&mut self) -> Option<Time> {
        let text = self.text("schedule")?;
        match date::read(text) {
            // A message's validity may be later, and its year has two digits on the way.
            Some(at) if text.starts_with("20") && !text.starts_with("2099") => Some(at),
            Some(_) => self.wrong("/schedule", "its year is not from 2000 to 2098"),
            None => self.wrong("/schedule", "no date and time of RFC 3339, such as 2030-12-31T23:59:59Z"),
        }
    }

    fn reference(&mut self) -> Option<String> {
        let text = self.text("reference")?;
        if text.chars().count() > REFERENCE_MAX {
            return self.wrong("/reference", format!("more than {REFERENCE_MAX} characters"));
        }
        Some(text.to_owned())
    }
}

/// What was said for a number, as far as it can be one.
fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(NUMBER_SHOWN).collect();
    format!("`{}`", shown.escape_debug())
}

/// Whether a message can be for it: a number.
fn is_recipient(text: &str) -> bool {
    address(text).is_some_and(|address| address.ton != ALPHANUMERIC)
}

/// What a number is.
const NUMBER: &str = "`+` and 5 to 15 digits, or 1 to 20 digits";
/// As much of what is none is said again.
const NUMBER_SHOWN: usize = 40;
/// Type of number (section 5.2.5), and numbering plan (5.2.6).
const INTERNATIONAL: u8 = 1;
const ALPHANUMERIC: u8 = 5;
const ISDN: u8 = 1;
/// `data_coding` of bytes that are no text (section 5.2.19).
const BINARY: u8 = 0x04;
/// `esm_class`: there is a user data header (section 5.2.12).
const HEADER: u8 = 0x40;
/// As many bytes as `short_message` takes (section 4.4.1).
const SHORT_MESSAGE_MAX: usize = 254;
/// As many bytes as one short message has.
const ONE_MAX: usize = 140;
/// As many characters and bytes as 255 messages have, each with the header that joins them.
pub(crate) const TEXT_MAX: usize = 255 * 153;
pub(crate) const BINARY_MAX: usize = 255 * 134;
/// 30 days.
pub(crate) const VALIDITY_MAX: f64 = 2_592_000.0;
pub(crate) const REFERENCE_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::problem::At;

    const NOON: Time = Time::from_nanos(1_767_268_800_000_000_000);

    fn read(body: &Value) -> Result<Draft, Vec<(String, String)>> {
        Draft::read(body, 3, NOON).map_err(|errors| {
            let place = |error: FieldError| match error.at {
                At::Pointer(pointer) => (pointer, error.detail),
                other => panic!("{other:?}"),
            };
            errors.into_iter().map(place).collect()
        })
    }

    fn submit(body: &Value) -> Submit {
        read(body).unwrap().submit("acme", "+491711", "id".into(), None)
    }

    #[test]
    fn a_text_is_left_to_be_encoded() {
        let asked = submit(&json!({ "from": "+4917100", "to": "+491711", "text": "hi", "coding": "ucs2" }));
        assert_eq!((asked.text.as_deref(), asked.coding), (Some("hi"), Some(Coding::Ucs2)));
        assert_eq!(asked.sms.source, Address { ton: 1, npi: 1, digits: "4917100".into() });
        assert_eq!(asked.sms.destination, Address { ton: 1, npi: 1, digits: "491711".into() });
        assert_eq!((asked.sms.registered_delivery, asked.sms.schedule.as_str()), (1, ""));
        assert!(asked.sms.short_message.is_empty());
    }

    #[test]
    fn times_are_those_of_the_message() {
        let asked = submit(&json!({ "from": "Shop", "to": "1", "text": "hi", "receipt": false, "validity": 60.0,
            "schedule": "2026-01-01T14:00:00+01:00" }));
        assert_eq!(asked.sms.schedule, "260101130000000+");
        assert_eq!(asked.sms.validity, "260101130100000+");
        assert_eq!((asked.sms.registered_delivery, asked.sms.source.ton), (0, 5));
        // One that is over means at once.
        let asked =
            submit(&json!({ "from": "1", "to": "1", "text": "hi", "validity": 1, "schedule": "2001-01-01T00:00:00Z" }));
        assert_eq!(asked.sms.validity, "260101120001000+");
    }

    #[test]
    fn bytes_go_with_their_header() {
        let asked = submit(&json!({ "from": "1", "to": "1", "binary": "AQID", "udh": "BQQLhAAA" }));
        assert_eq!(asked.sms.short_message, b"\x05\x04\x0b\x84\0\0\x01\x02\x03");
        assert_eq!((asked.sms.data_coding, asked.sms.esm_class, asked.text), (4, 0x40, None));
        let asked = submit(&json!({ "from": "1", "to": "1", "binary": STANDARD.encode([7; 300]) }));
        assert!(asked.sms.short_message.is_empty());
        assert_eq!(tandem_sms::tlv::find(&asked.sms.tlvs, MESSAGE_PAYLOAD), Some(&[7; 300][..]));
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let wrong =
            read(&json!({ "from": "+1", "to": ["1", "x", "1"], "text": 5, "validity": "60", "schedule": "soon",
            "receipt": "no", "reference": 7, "coding": "utf8", "te/xt": 1 }));
        let places: Vec<_> = wrong.unwrap_err().into_iter().map(|(at, _)| at).collect();
        assert_eq!(
            places,
            [
                "/te~1xt",
                "/from",
                "/to/1",
                "/to/2",
                "/coding",
                "/text",
                "/schedule",
                "/validity",
                "/receipt",
                "/reference"
            ]
        );
    }

    #[test]
    fn each_mistake_has_its_words() {
        let with = |member: &str, value: Value| {
            let mut body = json!({ "from": "1", "to": "1", "text": "hi" });
            body[member] = value;
            read(&body).unwrap_err()
        };
        for (member, value, at, why) in [
            ("to", json!([]), "/to", "nobody is to get it"),
            ("to", json!(["1", "2", "3", "4"]), "/to", "4 recipients, where 3 are as many as may be"),
            ("to", json!({}), "/to", "`to` is a string, or a list of them"),
            ("to", json!("Shop"), "/to", "`Shop` is no number: `+` and 5 to 15 digits, or 1 to 20 digits"),
            ("text", json!(""), "/text", "it says nothing"),
            ("binary", json!(""), "/binary", "there is `text` already, and a message is one of the two"),
            ("udh", json!("AA=="), "/udh", "`udh` is for `binary`: the headers of text are written by the gateway"),
            ("validity", json!(0.5), "/validity", "not a whole number of seconds from 1 to 2592000"),
            ("validity", json!(null), "/validity", "`validity` is a number of seconds"),
        ] {
            assert_eq!(with(member, value), [(at.to_owned(), why.to_owned())]);
        }
        assert_eq!(read(&json!([])).unwrap_err()[0].1, "a message is an object");
        let bytes = |binary: &str, udh: &str| {
            read(&json!({ "from": "1", "to": "1", "binary": binary, "udh": udh })).unwrap_err()[0].clone()
        };
        assert_eq!(bytes("AA==", "BQ==").1, "its first byte is not the number of those that follow");
        assert_eq!(bytes("?", "AA==").0, "/binary");
        let long = STANDARD.encode([0; 140]);
        assert_eq!(bytes(&long, "AA==").1, "141 bytes with `udh`, which are more than the 140 of one message");
    }
}
