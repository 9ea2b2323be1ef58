//! A session that writes in its first event, says so once that is kept, and answers each line with it, in order.
//!
//! It is renewed between two lines, so that its first event and the lines that are there already meet.

use tandem_component::prelude::*;

/// The component.
pub struct Greeter;

/// What was opened, by number.
pub const OPENED: Table =
    Table { name: "opened", key: &["id"], columns: &[Column::new("id", Kind::Text), Column::new("line", Kind::Text)] };

/// A conversation.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Greeting {
    /// Who is on the other side, by what the host says.
    who: String,
}

#[derive(Serialize)]
struct Row<'a> {
    id: String,
    line: &'a str,
}

impl Component for Greeter {
    type Config = ();
    type Session = Greeting;
    const TABLES: &'static [Table] = &[OPENED];
    const POLICY: Policy = Policy::Renew;

    fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> {
        Ok(Greeter)
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Greeting, Refusal> {
        Ok(Greeting { who: who(opening) })
    }
}

fn who(Opening { peer, tls, .. }: &Opening<'_>) -> String {
    let Some(Secured { alpn, server_name, subject, .. }) = *tls else { return format!("{peer} plain") };
    let [alpn, server_name, subject] = [alpn, server_name, subject].map(|what| what.unwrap_or("-"));
    format!("{peer} {alpn} {server_name} {subject}")
}

impl Session for Greeting {
    type Component = Greeter;
    type Then = ();

    fn handle(&mut self, _: &Greeter, event: Event<'_, ()>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        match event {
            Event::Opened => {
                write(out, "");
                out.send(Stream::OWN, b"opened\n");
            }
            Event::Bytes { stream, bytes } => {
                let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(()) };
                let line = String::from_utf8_lossy(&bytes[..end]).into_owned();
                // Every other line is written down.
                if line.ends_with('w') {
                    write(out, &line);
                }
                match &*line {
                    "who" => out.send(stream, format!("{}\n", self.who).as_bytes()),
                    _ => out.send(stream, &bytes[..=end]),
                }
                out.consume(end + 1);
            }
            Event::End { stream } => out.close(stream),
            _ => {}
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        true
    }
}

fn write(out: &mut Out<'_, Greeting>, line: &str) {
    let id = format!("{:016x}", out.random());
    out.put(&OPENED, &Row { id, line });
}

export_component!(Greeter);
