//! A record as a line of JSON, written as it is read.

use std::fmt;
use std::net::SocketAddr;

use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use tandem_component::Peer;

use super::Line;

/// Writes a record: what the host says of it, then what the component says. What the host says, no component says otherwise.
pub(super) fn write(line: &Line, into: &mut Vec<u8>) {
    into.push(b'{');
    first(into, "time_ns", &line.time);
    next(into, "service", &*line.service);
    next(into, "component", line.component());
    next(into, "version", &*line.version);
    next(into, "session", &line.session);
    into.extend(b",\"peer\":");
    put_peer(into, line.peer);
    let so_far = into.len();
    let traced = match Fields(into).deserialize(&mut rmp_serde::Deserializer::from_read_ref(&line.fields)) {
        Ok(traced) => traced,
        Err(error) => {
            into.truncate(so_far);
            next(into, "unreadable", &format_args!("{error}"));
            false
        }
    };
    if let (Some(trace), false) = (line.trace, traced) {
        next(into, "trace", &format_args!("{}", trace.id()));
        next(into, "parent", &format_args!("{:016x}", trace.span()));
    }
    into.extend(b"}\n");
}

fn next<T: Serialize + ?Sized>(into: &mut Vec<u8>, key: &str, value: &T) {
    into.push(b',');
    first(into, key, value);
}

fn first<T: Serialize + ?Sized>(into: &mut Vec<u8>, key: &str, value: &T) {
    put(into, key);
    into.push(b':');
    put(into, value);
}

fn put<T: Serialize + ?Sized>(into: &mut Vec<u8>, value: &T) {
    let written = value.serialize(&mut serde_json::Serializer::new(into));
    written.expect("texts and numbers are JSON, and a vector takes them");
}

/// Most peers have an address of this kind, and numbers that are formatted cost more than these.
fn put_peer(into: &mut Vec<u8>, peer: Peer) {
    let Peer::Inet(SocketAddr::V4(address)) = peer else { return put(into, &format_args!("{peer}")) };
    put(into, address.ip());
    into.pop();
    into.push(b':');
    put(into, &address.port());
    into.push(b'"');
}

/// Writes the fields of a component. Whether they name a trace.
struct Fields<'w>(&'w mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the fields of a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<bool, A::Error> {
        let mut traced = false;
        while let Some(key) = fields.next_key::<&str>()? {
            match key {
                // `sampled` is for those who export it.
                "time_ns" | "service" | "component" | "version" | "session" | "peer" | "sampled" => {
                    let IgnoredAny = fields.next_value()?;
                }
                _ => {
                    traced |= key == "trace";
                    self.0.push(b',');
                    put(self.0, key);
                    self.0.push(b':');
                    fields.next_value_seed(Whatever(self.0))?;
                }
            }
        }
        Ok(traced)
    }
}

/// Writes a value.
struct Whatever<'w>(&'w mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Whatever<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        serde_transcode::transcode(deserializer, &mut serde_json::Serializer::new(self.0)).map_err(Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    fn line(fields: &Value) -> Line {
        Line {
            time: 7,
            service: Arc::from("we\"b"),
            version: Arc::from("http@1.2.0#3fa9c1"),
            session: 9,
            peer: Peer::Inet(([127, 0, 0, 1], 80).into()),
            fields: rmp_serde::to_vec_named(fields).unwrap(),
            trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().ok(),
        }
    }

    fn written(line: &Line) -> Value {
        let mut bytes = Vec::new();
        write(line, &mut bytes);
        assert!(bytes.ends_with(b"}\n") && !bytes[..bytes.len() - 1].contains(&b'\n'), "it is one line");
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn a_line_has_what_the_host_says_and_what_the_component_says() {
        let fields = json!({ "status": 200, "text": "a\n\"\u{1}ü", "share": 0.5, "less": -3, "is": true, "none": null, "more": [1, { "a": "b" }],
            "peer": "mallory", "sampled": true });
        let expected = json!({ "time_ns": 7, "service": "we\"b", "component": "http", "version": "http@1.2.0#3fa9c1", "session": 9,
            "peer": "127.0.0.1:80", "status": 200, "text": "a\n\"\u{1}ü", "share": 0.5, "less": -3, "is": true, "none": null,
            "more": [1, { "a": "b" }], "trace": "4bf92f3577b34da6a3ce929d0e0e4736", "parent": "00f067aa0ba902b7" });
        assert_eq!(written(&line(&fields)), expected);

        let peers = [([0, 0, 0, 0, 0, 0, 0, 1], 80).into(), ([255, 0, 0, 10], 65535).into()].map(Peer::Inet);
        for peer in peers.into_iter().chain([Peer::Unix, Peer::Service]) {
            assert_eq!(written(&Line { peer, ..line(&json!({})) })["peer"], peer.to_string());
        }
        let traced = written(&line(&json!({ "trace": "11", "span": "22" })));
        assert_eq!((&traced["trace"], traced.get("parent")), (&json!("11"), None));
    }

    #[test]
    fn what_cannot_be_read_is_said_to_be_so() {
        let whole = line(&json!({ "status": 200, "text": "abc" }));
        for fields in
            [&[][..], &whole.fields[..whole.fields.len() - 2], &[0x81, 0x01, 0x01], b"\xc1", &[0x81, 0xa1, 0xff, 0x01]]
        {
            let written = written(&Line { fields: fields.to_vec(), ..whole.clone() });
            assert!(written["unreadable"].is_string() && written["peer"] == "127.0.0.1:80", "{fields:?}: {written}");
            assert_eq!(written.get("status"), None);
        }
    }
}
