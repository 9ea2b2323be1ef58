//! What an account may use of the session's service, and what the session holds of it.

use tandem_component::Allowance;
use tandem_component::abi::{admission, kind, unstored};

use super::driver::Driver;
use super::effects::Reason;
use super::{Answer, Content, Session};
use crate::agreement::shares::{Asked, Hold, Verdict};
use crate::observe::notice::Notice;
use crate::store::Home;

/// What a session holds, by token. Most hold nothing, so all that it costs them is a pointer.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "a vector is three times as wide")]
pub(super) struct Admitted(Option<Box<Vec<(u64, Hold)>>>);

/// So much may be held at a time.
const HELD_MAX: usize = 4096;

impl Driver<'_, '_> {
    /// Finds out whether an account may have an exchange: at once where the worker has a share of it, else by an answer that
    /// comes later.
    ///
    /// # Errors
    /// The session holds too much.
    pub(super) fn admit(
        &mut self,
        (account, sender): (&str, &str),
        units: u64,
        what: u32,
        token: u64,
    ) -> Result<(), Reason> {
        let session = &mut *self.session;
        let sender = (what & admission::SENDER != 0).then_some(sender);
        let asked = Asked { service: session.service, account, sender, units, what };
        let verdict = match self.worker.admits(&asked, self.now, self.wall) {
            Verdict::Waits => match session.asked.ask(token) {
                Some(number) => {
                    let home = Home { worker: self.worker.index(), key: session.key, session: session.id };
                    self.worker.wait_for_admission(&asked, home, number);
                    return Ok(());
                }
                None => Verdict::Failed(crate::store::Failure::Unavailable(
                    "its session asks for too much at a time".to_owned(),
                )),
            },
            verdict => verdict,
        };
        let left = match what & admission::TELL {
            0 => None,
            _ => self.worker.left(&asked, &verdict, self.now, self.wall),
        };
        session.take_verdict(token, verdict, left.as_deref());
        if session.admitted.len() > HELD_MAX {
            return Err(format!("it holds more than {HELD_MAX} admissions"));
        }
        Ok(())
    }

    /// Whether it may not call, dial or forward now: its service's exchanges have to be admitted, and it holds none.
    pub(super) fn lacks_admission(&self, what: &str) -> bool {
        let session = &*self.session;
        let lacks = !session.admitted.has_exchange() && self.worker.requires_admission(session.service);
        if lacks {
            self.worker.notice(
                session,
                Notice::AdmissionMissing,
                &format!("a {what} without an admission is not made"),
            );
        }
        lacks
    }
}

impl Session {
    /// Answers a question, unless it was cancelled or the session has ended. What it was admitted is given back then.
    pub fn admitted(&mut self, number: u64, verdict: Verdict, left: Option<&[Allowance]>) {
        if let Some(token) = self.asked.answer(number) {
            self.take_verdict(token, verdict, left);
            self.wake();
        }
    }

    /// What was admitted is over.
    pub(super) fn done(&mut self, token: u64) {
        self.asked.cancel(token);
        self.admitted.take(token);
    }

    fn take_verdict(&mut self, token: u64, verdict: Verdict, left: Option<&[Allowance]>) {
        let content = left.map(|left| Content::beside(&Allowance::write(left)));
        let answer = Answer { kind: kind::ADMITTED, token, content, ..Answer::default() };
        self.answers.push_back(match verdict {
            Verdict::Admitted(hold) => {
                if let Some(hold) = hold {
                    self.admitted.hold(token, hold);
                }
                answer
            }
            Verdict::Refused(refusal, _) => {
                let number = refusal.frees_at.unwrap_or(0);
                Answer { detail: refusal.limit.number(), number, ..answer }
            }
            Verdict::Failed(_) | Verdict::Waits => {
                Answer { kind: kind::STORE_FAILED, detail: unstored::UNAVAILABLE, ..answer }
            }
        });
    }
}

impl Admitted {
    fn hold(&mut self, token: u64, hold: Hold) {
        self.0.get_or_insert_default().push((token, hold));
    }

    /// What is held under this token is over.
    pub(super) fn take(&mut self, token: u64) {
        if let Some(held) = &mut self.0
            && let Some(at) = held.iter().position(|one| one.0 == token)
        {
            held.swap_remove(at);
        }
    }

    /// Whether an exchange is held.
    pub(super) fn has_exchange(&self) -> bool {
        self.0.as_ref().is_some_and(|held| held.iter().any(|one| !one.1.is_session()))
    }

    /// All of it is over.
    pub(super) fn clear(&mut self) {
        self.0 = None;
    }

    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |held| held.len())
    }
}
