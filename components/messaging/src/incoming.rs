//! Messages of phones for our accounts: [`INCOMING`] keeps them until the account's front has them.

use tandem_component::prelude::*;
use tandem_sms::{Asked, Deliver, Sms, status};

use crate::Messaging;
use crate::desk::Desk;
use crate::ending::SOON;
use crate::message::{after, nanos};
use crate::pieces::{new_name, text};
use crate::receiving::answer;
use crate::reporting::said;
use crate::then::Then;

/// What came in and is not with its front yet.
pub const INCOMING: Table = Table {
    name: "incoming",
    key: &["id"],
    columns: &[
        Column::new("id", Kind::Text),
        Column::new("account", Kind::Text),
        Column::new("sms", Kind::Nested),
        Column::new("received_at", Kind::Integer),
        Column::new("due_at", Kind::Integer).indexed(),
        Column::new("run", Kind::Integer),
        Column::new("tries", Kind::Integer),
        Column::new("trace", Kind::Text).or(Literal::Null),
    ],
};

/// A row of [`INCOMING`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incoming {
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) sms: Sms,
    pub(crate) received_at: i64,
    pub(crate) due_at: i64,
    pub(crate) run: i64,
    pub(crate) tries: u32,
    /// What it came as a part of.
    #[serde(default)]
    pub(crate) trace: Option<Trace>,
}

impl Incoming {
    /// One that came now, and is handed on at once where somebody has until `due_at` to do so.
    pub(crate) fn new(id: String, account: &str, sms: Sms, (now, due_at): (i64, i64), run: i64) -> Self {
        let account = account.to_owned();
        Incoming { id, account, sms, received_at: now, due_at, run, tries: 0, trace: None }
    }
}

#[derive(Serialize)]
struct Due<'a> {
    id: &'a str,
    due_at: i64,
}

#[derive(Serialize)]
struct Claim {
    due_at: i64,
    run: i64,
}

#[derive(Serialize)]
struct Later<'a> {
    id: &'a str,
    due_at: i64,
    tries: u32,
}

impl Desk {
    /// Keeps a message for its account, answers, and hands it on, in this order.
    pub(crate) fn take_in(
        &mut self,
        m: &Messaging,
        (asked, trace): (RequestId, Trace),
        sms: Sms,
        out: &mut Out<'_, Desk>,
    ) {
        let Some(account) = m.config.account_at(&sms.destination.digits) else {
            tracing::warn!(destination = sms.destination.digits, "a message for nobody's address");
            return answer(asked, status::UNWANTED, out);
        };
        if self.take_piece(m, asked, account, &sms, out) {
            return;
        }
        let name = new_name(out);
        let incoming = Incoming { trace: Some(trace), ..self.incoming(m, name, account, sms, out.now()) };
        out.put(&INCOMING, &incoming);
        answer(asked, status::OK, out);
        self.hand_on_if_resident(m, incoming, out);
    }

    /// A session that was opened for a request ends with its answer: a resident finds the row.
    pub(crate) fn hand_on_if_resident(&mut self, m: &Messaging, incoming: Incoming, out: &mut Out<'_, Desk>) {
        if self.transport == Transport::Resident {
            self.hand_on(m, incoming, out);
        }
    }

    /// Gives a message to its account's front. The row says already that this is under way.
    fn hand_on(&mut self, m: &Messaging, incoming: Incoming, out: &mut Out<'_, Desk>) {
        let Incoming { id, account, sms, tries, trace, .. } = incoming;
        let Some(front) = m.config.front_of(&account) else {
            // The configuration has changed: it may change again.
            let due_at = after(nanos(out.now()), m.config.retry.to);
            return out.update(&INCOMING, &Later { id: &id, due_at, tries });
        };
        let then = Then::Handed { id: id.clone(), tries };
        let call = Call::to(front).within(SOON / 2).account(&account).trace(trace);
        let account = account.clone();
        out.call(call, &Asked::Deliver(Deliver { text: text(&sms), sms, account, id, ..Deliver::default() }), then);
        self.telling += 1;
    }

    /// Whether the front has it.
    pub(crate) fn handed(
        &mut self,
        m: &Messaging,
        id: &str,
        tries: u32,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) {
        self.telling = self.telling.saturating_sub(1);
        if failed {
            return;
        }
        match said(answer) {
            Some(status::OK) => out.delete(&INCOMING, &id),
            Some(status) if !status::is_temporary(status) => {
                tracing::error!(id, status, "a front does not want a message for its account: it is dropped");
                out.delete(&INCOMING, &id);
            }
            _ => {
                let due_at = after(nanos(out.now()), m.config.retry.wait(tries, out.random()));
                out.update(&INCOMING, &Later { id, due_at, tries: tries + 1 });
            }
        }
    }

    /// What is due was found: takes it on.
    pub(crate) fn incoming_due(
        &mut self,
        m: &Messaging,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        let (Answer::Rows(rows), false) = (answer, failed) else { return Ok(()) };
        let now = nanos(out.now());
        for incoming in rows.read::<Incoming>()? {
            if incoming.due_at <= now || incoming.run != m.run && incoming.tries == 0 {
                let due = Due { id: &incoming.id, due_at: incoming.due_at };
                let claim = Claim { due_at: after(now, SOON), run: m.run };
                out.swap(&INCOMING, &due, &claim, Then::IncomingClaimed { incoming: Box::new(incoming.clone()) });
            }
        }
        Ok(())
    }

    /// Whether it is ours to hand on.
    pub(crate) fn incoming_claimed(
        &mut self,
        m: &Messaging,
        incoming: Incoming,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) {
        if answer != Answer::Changed(true) || failed {
            return;
        }
        if after(incoming.received_at, m.config.keep) <= nanos(out.now()) {
            let Incoming { id, account, .. } = &incoming;
            tracing::error!(id, account, "a front was away for too long: a message for its account is dropped");
            return out.delete(&INCOMING, id);
        }
        self.hand_on(m, incoming, out);
    }
}
