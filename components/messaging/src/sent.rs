//! Which message is which for a network: [`SENT`], a row for each part that a network has taken.

use tandem_component::prelude::*;
use tandem_sms::State;

/// The parts that networks have taken, by the names that they gave them.
pub const SENT: Table = Table {
    name: "sent",
    key: &["network", "network_id"],
    columns: &[
        Column::new("network", Kind::Text),
        Column::new("network_id", Kind::Text),
        Column::new("id", Kind::Text).indexed(),
        Column::new("part", Kind::Integer),
        Column::new("state", Kind::Text),
        Column::new("error", Kind::Text),
    ],
};

/// A row of [`SENT`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The service.
    pub(crate) network: String,
    /// What its network knows the part by.
    pub(crate) network_id: String,
    /// The message.
    pub(crate) id: String,
    /// Which part of it, from 1 on.
    pub(crate) part: u32,
    /// What has become of it.
    pub(crate) state: State,
    /// Why it was not delivered.
    pub(crate) error: String,
}

/// What a receipt says of one.
#[derive(Serialize)]
pub(crate) struct Ended<'a> {
    network: &'a str,
    network_id: &'a str,
    state: State,
    error: &'a str,
}

impl<'a> Ended<'a> {
    pub(crate) fn of(part: &'a Part, state: State, error: &'a str) -> Self {
        Ended { network: &part.network, network_id: &part.network_id, state, error }
    }
}

/// What has become of a message, by its parts: `None` as long as one of them is under way. One that is not delivered decides.
pub(crate) fn outcome(parts: &[Part], of: u32) -> Option<(State, String)> {
    // One that was sent twice has two rows: whichever ends well counts.
    let mut all = Vec::new();
    for n in 1..=of {
        let sent = parts.iter().filter(|part| part.part == n);
        let best = sent.min_by_key(|part| match part.state {
            State::Delivered => 0,
            State::Enroute => 1,
            _ => 2,
        });
        all.push(best.filter(|part| part.state != State::Enroute)?);
    }
    let worst = all.iter().find(|part| part.state != State::Delivered).or(all.first())?;
    Some((worst.state, worst.error.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(part: u32, state: State) -> Part {
        let (network, network_id) = ("smsc".to_owned(), format!("{part}{state:?}"));
        Part { network, network_id, id: "m".into(), part, state, error: String::new() }
    }

    #[test]
    fn a_message_has_ended_when_all_its_parts_have() {
        use State::{Delivered, Enroute, Undeliverable};
        let outcome = |parts: &[(u32, State)], of| {
            let parts: Vec<Part> = parts.iter().map(|(n, state)| part(*n, *state)).collect();
            super::outcome(&parts, of).map(|(state, _)| state)
        };
        assert_eq!(outcome(&[(1, Delivered)], 1), Some(Delivered));
        assert_eq!(outcome(&[(1, Delivered)], 2), None, "the other is not sent yet");
        assert_eq!(outcome(&[(1, Delivered), (2, Enroute)], 2), None);
        assert_eq!(outcome(&[(1, Undeliverable), (2, Delivered)], 2), Some(Undeliverable));
        assert_eq!(outcome(&[(1, Undeliverable), (1, Delivered), (2, Delivered)], 2), Some(Delivered), "sent twice");
        assert_eq!(outcome(&[(1, Undeliverable), (1, Enroute)], 1), None, "sent twice, and one is under way");
    }
}
