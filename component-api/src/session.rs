//! One conversation: [`Session`], what it waits for ([`Then`]), and how it fails ([`Fault`]).

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::component::{Component, Opening, Refusal};
use crate::event::Event;
use crate::out::Out;

/// One conversation: state only. It has no socket, thread, lock or clock inside.
///
/// Between two events nothing of it is left on a stack, so it can be exported after any event and resumed by another
/// version. Derive `Serialize` and `Deserialize`; a field that is added later needs `#[serde(default)]`. Whole ones stand in
/// the [manual](crate::manual::sessions).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no session",
    label = "it has no `impl Session for {Self}`",
    note = "a session is data that takes one event after the other: see `tandem_component::manual::sessions`"
)]
pub trait Session: Serialize + DeserializeOwned + Send + 'static {
    /// The component that it is a session of.
    type Component: Component<Session = Self>;

    /// What an answer continues. Data, so that another version can continue it. `()` where nothing is waited for.
    type Then: Then;

    /// Takes one event and tells `out` everything that follows from it.
    ///
    /// It finishes at most one exchange a turn, and consumes nothing of the next one before its answer is complete:
    /// the host looks for a newer version in between and delivers the rest again.
    ///
    /// # Errors
    /// A [`Fault`] ends the session: none of the event's effects happens, and [`last_words`](Session::last_words) are
    /// said. Return one where going on would be wrong; what a peer does wrong is answered in the protocol instead.
    fn handle(
        &mut self,
        component: &Self::Component,
        event: Event<'_, Self::Then>,
        out: &mut Out<'_, Self>,
    ) -> Result<(), Fault>;

    /// Is nothing half done? Only then may a session of policy `renew` be dropped and another opened in its place.
    fn at_boundary(&self) -> bool;

    /// Called once when another version has resumed this session, before its next event.
    ///
    /// # Errors
    /// A [`Refusal`] leaves the session with the version that it came from, and is a notice.
    fn resumed(&mut self, component: &Self::Component, opening: &Opening<'_>) -> Result<(), Refusal> {
        let _ = (component, opening);
        Ok(())
    }

    /// Called once after a panic or a [`Fault`], before the host closes the session's streams: the place for the
    /// protocol's own error. Only `send` has an effect here.
    fn last_words(&mut self, component: &Self::Component, out: &mut Out<'_, Self>) {
        let _ = (component, out);
    }
}

/// What a session waits for, as data. Derive it for an enum: `#[derive(Serialize, Deserialize, Then)]`.
///
/// ```
/// use tandem_component::prelude::*;
///
/// #[derive(Serialize, Deserialize, Then)]
/// enum Waiting {
///     Dialed,
///     Idle { since: Time },
/// }
/// assert_eq!(Waiting::VARIANTS, ["Dialed", "Idle"]);
/// assert_eq!(Waiting::Dialed.variant(), "Dialed");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that a session can wait for",
    label = "it has no `derive(Then)`",
    note = "derive it for an enum: `#[derive(Serialize, Deserialize, Then)]`; where nothing is waited for, write `type Then = ();`"
)]
pub trait Then: Serialize + DeserializeOwned + Send + 'static {
    /// The names of the variants, as the manifest lists them.
    const VARIANTS: &'static [&'static str];

    /// The name of this value's variant.
    fn variant(&self) -> &'static str;
}

impl Then for () {
    const VARIANTS: &'static [&'static str] = &[];

    fn variant(&self) -> &'static str {
        ""
    }
}

/// Why a session cannot go on. The operator reads it; the peer gets the protocol's own error.
///
/// ```
/// use tandem_component::Fault;
/// fn checked(state: u8) -> Result<(), Fault> {
///     if state > 4 { Err(format!("there is no state {state}").into()) } else { Ok(()) }
/// }
/// assert_eq!(checked(5).unwrap_err().to_string(), "there is no state 5");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(String);

impl<T: Into<String>> From<T> for Fault {
    fn from(reason: T) -> Self {
        Fault(reason.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
