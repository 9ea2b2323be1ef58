//! Services of any two versions understand each other: what one leaves out has its default, what one does not know is passed over.

use serde::{Deserialize, Serialize};
use tandem_sms::{Asked, Deliver, Delivered, Known, Left, Sms, State, Submit, Submitted};

/// As the first version had it.
mod first {
    use super::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub(crate) enum Asked {
        Submit(Submit),
        Deliver(Deliver),
    }

    #[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(default)]
    pub(crate) struct Submit {
        pub(crate) id: String,
        pub(crate) account: String,
        pub(crate) sms: tandem_sms::Sms,
    }

    #[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(default)]
    pub(crate) struct Submitted {
        pub(crate) status: u32,
        pub(crate) message_id: String,
    }

    #[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(default)]
    pub(crate) struct Deliver {
        pub(crate) sms: tandem_sms::Sms,
        pub(crate) receipt: Option<tandem_sms::Report>,
    }
}

/// As a version may have it that is not written yet.
mod later {
    use super::Serialize;

    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    pub(crate) enum Asked {
        Submit(Submit),
        Forward(u32),
    }

    #[derive(Serialize)]
    pub(crate) struct Submit {
        pub(crate) urgency: Vec<u8>,
        pub(crate) account: &'static str,
        pub(crate) nested: (u8, Option<String>),
    }
}

fn across<D: for<'a> Deserialize<'a>>(said: &impl Serialize) -> Result<D, rmp_serde::decode::Error> {
    rmp_serde::from_slice(&rmp_serde::to_vec_named(said).unwrap())
}

fn sms() -> Sms {
    Sms { short_message: b"hello".to_vec(), ..Sms::default() }
}

#[test]
fn an_older_caller_is_understood() {
    let asked = first::Asked::Submit(first::Submit { id: "1".into(), account: "acme".into(), sms: sms() });
    let expected = Submit { id: "1".into(), account: "acme".into(), sms: sms(), ..Submit::default() };
    assert_eq!(across::<Asked>(&asked).unwrap(), Asked::Submit(expected));
    let asked = first::Asked::Deliver(first::Deliver { sms: sms(), receipt: None });
    assert_eq!(across::<Asked>(&asked).unwrap(), Asked::Deliver(Deliver { sms: sms(), ..Deliver::default() }));
    let answered = first::Submitted { status: 8, message_id: "7".into() };
    let expected = Submitted { status: 8, message_id: "7".into(), ..Submitted::default() };
    assert_eq!(across::<Submitted>(&answered).unwrap(), expected);
}

#[test]
fn an_older_callee_understands() {
    let asked = Submit {
        id: "1".into(),
        account: "acme".into(),
        sms: sms(),
        text: Some("longer".into()),
        coding: Some(tandem_sms::Coding::Ucs2),
        key: Some("k".into()),
        reference: "r1".into(),
    };
    let expected = first::Asked::Submit(first::Submit { id: "1".into(), account: "acme".into(), sms: sms() });
    assert_eq!(across::<first::Asked>(&Asked::Submit(asked)).unwrap(), expected);
    let left = vec![Left { limit: "day".into(), of: 10, left: 3, ..Left::default() }];
    let answered = Submitted { message_id: "7".into(), parts: 3, retry_after: Some(9), left, ..Submitted::default() };
    let expected = first::Submitted { status: 0, message_id: "7".into() };
    assert_eq!(across::<first::Submitted>(&answered).unwrap(), expected);
}

#[test]
fn a_later_caller_is_understood_where_the_question_is_known() {
    let submit = later::Submit { urgency: vec![1], account: "acme", nested: (1, None) };
    let expected = Submit { account: "acme".into(), ..Submit::default() };
    assert_eq!(across::<Asked>(&later::Asked::Submit(submit)).unwrap(), Asked::Submit(expected));
    assert!(across::<Asked>(&later::Asked::Forward(1)).is_err());
}

#[test]
fn what_an_older_callee_leaves_out_has_its_default() {
    #[derive(Serialize)]
    struct Bare {
        message_id: &'static str,
        state: State,
    }
    let known: Known = across(&Bare { message_id: "7", state: State::Enroute }).unwrap();
    assert_eq!((known.parts, known.ended_at, known.maybe_twice), (0, None, false));
    #[derive(Serialize)]
    struct Nothing {}
    assert_eq!(across::<Delivered>(&Nothing {}).unwrap(), Delivered { status: 0 });
}
