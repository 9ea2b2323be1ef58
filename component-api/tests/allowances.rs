//! What is left is told to who asks, at once and late, and to nobody else.

use tandem_component::prelude::*;

/// Each line asks for as many units as it is long; one that begins with `?` wants to be told.
struct Asks;

#[derive(Serialize, Deserialize)]
struct Asking;

#[derive(Serialize, Deserialize, Then)]
enum Waiting {
    Admission,
}

impl Component for Asks {
    type Config = ();
    type Session = Asking;
    const POLICY: Policy = Policy::Carry;
    fn start((): (), _: &Starting<'_>) -> Result<Self, Refusal> {
        Ok(Asks)
    }
    fn open(&self, _: &Opening<'_>) -> Result<Asking, Refusal> {
        Ok(Asking)
    }
}

impl Session for Asking {
    type Component = Asks;
    type Then = Waiting;

    fn handle(&mut self, _: &Asks, event: Event<'_, Waiting>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        let left = |left: Allowances<'_>| {
            left.to_vec().iter().map(|it| format!(" {} {} of {}", it.limit, it.left, it.of)).collect::<String>()
        };
        match event {
            Event::Bytes { bytes, .. } => {
                out.consume(bytes.len());
                let admission = Admission::of("acme").units(bytes.len() as u64);
                out.admit(if bytes[0] == b'?' { admission.telling() } else { admission }, Waiting::Admission);
            }
            Event::Answer { then: Waiting::Admission, answer } => {
                let said = match answer {
                    Answer::Admitted => "yes".to_owned(),
                    Answer::AdmittedWith(it) => format!("yes,{}", left(it)),
                    Answer::Refused { limit, .. } => format!("no: {limit}"),
                    Answer::RefusedWith { limit, left: it, .. } => format!("no: {limit},{}", left(it)),
                    other => format!("{other:?}"),
                };
                out.send(Stream::OWN, said.as_bytes());
            }
            _ => {}
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        true
    }
}

#[test]
fn who_asks_is_told_and_who_does_not_sees_what_it_saw() {
    for seed in 0..8 {
        let session = Harness::<Asks>::start(&()).unwrap();
        let mut session = if seed == 0 { session } else { session.late(seed) };
        let of = |limit, of| Allowance { of, left: of, ..Allowance::none_of(limit) };
        session.allow(&[of(Limit::Month, 20), of(Limit::Day, 8)]);
        for (line, said) in [
            ("?", "yes, month 19 of 20 day 7 of 8"),
            ("abc", "yes"),
            ("?bc", "yes, month 13 of 20 day 1 of 8"),
            ("ab", "no: day"),
            ("?b", "no: day, day 1 of 8 month 13 of 20"),
        ] {
            session.bytes(Stream::OWN, line.as_bytes());
            // What was asked by one version is answered to another.
            session = session.carry::<Asks>(&()).unwrap();
            assert_eq!(String::from_utf8(session.sent(Stream::OWN)).unwrap(), said, "seed {seed}");
        }
        assert_eq!(session.admitted().len(), 3);
        let mut none = Harness::<Asks>::start(&()).unwrap();
        none.bytes(Stream::OWN, b"?");
        assert_eq!(none.sent(Stream::OWN), b"yes,", "there is nothing that counts");
    }
}
