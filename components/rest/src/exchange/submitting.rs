//! Messages are submitted: one for each recipient, some at a time, and the client is told once all are answered for.

use serde_json::{Map, Value, json};
use tandem_component::prelude::*;
use tandem_sms::{Asked, Left, Submitted};

use super::answer::Told;
use super::reserving::settle;
use super::{Connection, Exchange, Stage};
use crate::Rest;
use crate::json;
use crate::left;
use crate::message::Draft;
use crate::problem::{Kind, Problem};
use crate::session::{Conversation, Then};
use crate::status;
use crate::tables::Key;

/// A message, until all of its recipients are answered for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Submission {
    draft: Draft,
    /// What its parts are known by here, for logs.
    id: String,
    /// Of as many as were asked.
    outcomes: Vec<Outcome>,
    open: usize,
    /// What is not asked by then is not asked.
    until: Time,
    /// The key that it is done under.
    #[serde(default)]
    key: Option<Key>,
    /// What the account has left, as far as it was told.
    #[serde(default)]
    left: Vec<Left>,
}

/// What has become of one.
#[derive(Debug, Serialize, Deserialize)]
enum Outcome {
    /// It was asked.
    Asked,
    /// It was answered.
    Answered {
        status: u32,
        message_id: String,
        reason: String,
        parts: u32,
        #[serde(default)]
        retry_after: Option<u64>,
        #[serde(default)]
        uncertain: bool,
        /// Which limit has refused it.
        #[serde(default)]
        limit: String,
    },
    /// It was not.
    Unanswered { why: Silence },
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Silence {
    Down,
    Full,
    /// Whether it was done, nobody knows.
    Lost,
}

impl Connection {
    /// The body is there.
    pub(super) fn submit(&mut self, rest: &Rest, out: &mut Out<'_, Conversation>) {
        let body = std::mem::take(&mut self.buffer);
        let read = json::read(&body).and_then(|body| {
            let draft = Draft::read(&body, rest.config.limits.recipients, out.now()).map_err(Problem::invalid)?;
            Ok((draft, body))
        });
        match (read, self.exchange.key.clone()) {
            (Ok((draft, said)), Some(key)) => self.reserve(rest, &key, (draft, &said), out),
            (Ok((draft, _)), None) => self.begin(rest, draft, None, out),
            (Err(problem), _) => self.refuse(rest, &problem, out),
        }
    }

    /// Asks for the messages, under the key that is ours.
    pub(super) fn begin(&mut self, rest: &Rest, draft: Draft, key: Option<Key>, out: &mut Out<'_, Conversation>) {
        let mut submission = Submission {
            draft,
            id: format!("{:016x}", out.random()),
            outcomes: Vec::new(),
            open: 0,
            until: out.now() + rest.config.timeouts.answer,
            key,
            left: Vec::new(),
        };
        submission.ask(rest, &self.exchange, out);
        self.stage = Stage::Submit(Box::new(submission));
    }

    /// One of them is answered for.
    pub(super) fn submitted(
        &mut self,
        rest: &Rest,
        (n, answer): (usize, Answer<'_>),
        failed: bool,
        out: &mut Out<'_, Conversation>,
    ) {
        let Stage::Submit(submission) = &mut self.stage else { return };
        let Some(outcome @ Outcome::Asked) = submission.outcomes.get_mut(n) else { return };
        let left;
        (*outcome, left) = Outcome::of(answer);
        left::learn(&mut submission.left, left);
        submission.open -= 1;
        submission.ask(rest, &self.exchange, out);
        if submission.open > 0 {
            return;
        }
        let told = submission.told(&self.exchange.path);
        let taken = submission.outcomes.iter().filter(|it| it.is_taken()).count();
        if let Some(entry) = &mut self.exchange.entry {
            entry.messages = taken;
        }
        // What may turn out otherwise is asked again by whoever asks again. Where it cannot be stored the key is free after a while.
        if let (Some(key), false) = (&submission.key, failed) {
            settle(key, Some(&told).filter(|_| taken > 0 && submission.is_final()), out);
        }
        let fields = submission.fields(told.status);
        if let (0, Some(problem)) = (taken, submission.problem()) {
            self.note(&problem);
        }
        let told = fields.into_iter().fold(told, |told, (name, value)| told.with(name, &value));
        self.answer(rest, told, out);
    }
}

impl Submission {
    /// Asks for as many as may be asked at a time.
    fn ask(&mut self, rest: &Rest, exchange: &Exchange, out: &mut Out<'_, Conversation>) {
        let Exchange { account, span, key, .. } = exchange;
        while self.open < TOGETHER && self.outcomes.len() < self.draft.to.len() {
            let n = self.outcomes.len();
            let left = self.until.since(out.now());
            if left.is_zero() {
                self.outcomes.push(Outcome::Unanswered { why: Silence::Down });
                continue;
            }
            let to = &self.draft.to[n];
            // One key is for a request; each of its messages has one of its own, whatever the order of the recipients.
            let key = key.as_ref().map(|key| format!("{key}/{to}"));
            let submit = self.draft.submit(account, to, format!("{}-{n}", self.id), key);
            let call =
                Call::to(&rest.config.submit_to).within(left).account(account).trace(span.map(|span| span.trace()));
            let sender = submit.sms.source.digits.clone();
            out.call(call.label(&sender), &Asked::Submit(submit), Then::Submitted { n });
            self.outcomes.push(Outcome::Asked);
            self.open += 1;
        }
    }

    /// Whether the same would be answered again.
    fn is_final(&self) -> bool {
        self.outcomes.iter().filter_map(Outcome::problem).all(|problem| problem.retry_after.is_none())
    }

    /// What the client is told: 202 where one was taken at least, else what is wrong.
    fn told(&self, path: &str) -> Told {
        let messages: Vec<Value> = self.draft.to.iter().zip(&self.outcomes).map(|(to, it)| it.told(to)).collect();
        let taken: Vec<&str> = self.outcomes.iter().filter_map(Outcome::taken).collect();
        if let ([], Some(problem)) = (&taken[..], self.problem()) {
            return Told::problem_with(&problem, path, (messages.len() > 1).then(|| ("messages", messages.into())));
        }
        let mut body = Map::new();
        body.insert("accepted".into(), taken.len().into());
        body.insert("refused".into(), (messages.len() - taken.len()).into());
        body.insert("messages".into(), messages.into());
        if let Some(reference) = &self.draft.reference {
            body.insert("reference".into(), reference.as_str().into());
        }
        match &taken[..] {
            [one] if self.draft.to.len() == 1 && is_plain(one) => {
                Told::json(202, &body).with("Location", &format!("/v1/messages/{one}"))
            }
            _ => Told::json(202, &body),
        }
    }

    /// What the account has left, where it is told that something was taken, or that a limit has refused.
    fn fields(&self, status: u16) -> Vec<(&'static str, String)> {
        let refused: Vec<&str> = self.outcomes.iter().filter_map(Outcome::limit).collect();
        match status {
            202 => left::fields(&self.left, &refused, false),
            429 => left::fields(&self.left, &refused, true),
            _ => Vec::new(),
        }
    }

    /// Why none was taken: the one reason, or, of several, whether it is worth asking again.
    fn problem(&self) -> Option<Problem> {
        let mut problems = self.outcomes.iter().filter_map(Outcome::problem);
        let first = problems.next()?;
        let (mut alike, mut worth) = (true, first.retry_after);
        for problem in problems {
            alike &= problem.kind == first.kind;
            worth = worth.max(problem.retry_after);
        }
        let words = "none of the messages was taken; messages says why";
        Some(match (alike, worth) {
            (true, _) if self.outcomes.len() == 1 => first,
            (true, _) => Problem { retry_after: worth, errors: Vec::new(), ..first.kind.because(words) },
            (false, Some(seconds)) => Kind::Unavailable.because(words).after(seconds),
            (false, None) => Kind::Refused.because(words),
        })
    }
}

impl Outcome {
    /// With what the account has left, where that is said.
    fn of(answer: Answer<'_>) -> (Self, Vec<Left>) {
        let silence = |why| (Outcome::Unanswered { why }, Vec::new());
        match answer {
            Answer::Answered(response) => match response.read::<Submitted>() {
                Ok(Submitted { status: 0, message_id, .. }) if message_id.is_empty() => {
                    tracing::warn!("a message was taken and has no name");
                    silence(Silence::Lost)
                }
                Ok(Submitted { status, message_id, reason, parts, retry_after, uncertain, limit, left }) => {
                    let answered =
                        Outcome::Answered { status, message_id, reason, parts, retry_after, uncertain, limit };
                    (answered, left)
                }
                Err(misfit) => {
                    tracing::warn!(%misfit, "a service answers what nobody here knows");
                    silence(Silence::Lost)
                }
            },
            Answer::CallFailed(CallFailure::TimedOut | CallFailure::Ended) => silence(Silence::Lost),
            Answer::CallFailed(CallFailure::Full) => silence(Silence::Full),
            other => {
                tracing::warn!(why = ?other, "a message cannot be submitted");
                silence(Silence::Down)
            }
        }
    }

    fn is_taken(&self) -> bool {
        self.taken().is_some()
    }

    fn taken(&self) -> Option<&str> {
        match self {
            Outcome::Answered { status: 0, message_id, .. } => Some(message_id),
            _ => None,
        }
    }

    /// Which limit has refused it, where it was one.
    fn limit(&self) -> Option<&str> {
        match self {
            Outcome::Answered { status: 1.., limit, .. } if !limit.is_empty() => Some(limit),
            _ => None,
        }
    }

    fn problem(&self) -> Option<Problem> {
        match self {
            Outcome::Answered { status: 0, .. } => None,
            Outcome::Answered { uncertain: true, reason, retry_after, .. } => {
                Some(status::uncertain(reason, *retry_after))
            }
            Outcome::Answered { status, reason, retry_after, .. } => {
                Some(status::problem(*status, reason, *retry_after))
            }
            Outcome::Asked => Some(status::silence(CallFailure::Ended)),
            Outcome::Unanswered { why } => Some(status::silence(match why {
                Silence::Down => CallFailure::Down,
                Silence::Full => CallFailure::Full,
                Silence::Lost => CallFailure::Ended,
            })),
        }
    }

    fn told(&self, to: &str) -> Value {
        match (self, self.problem()) {
            (_, Some(problem)) => json!({ "to": to, "problem": problem.to_json() }),
            (Outcome::Answered { message_id, parts: 0, .. }, _) => json!({ "to": to, "id": message_id }),
            (Outcome::Answered { message_id, parts, .. }, _) => json!({ "to": to, "id": message_id, "parts": parts }),
            (_, None) => json!({ "to": to }),
        }
    }
}

/// Whether a name can stand in a path as it is.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// So many messages of a request are asked at a time: those of other clients have their turns between them.
const TOGETHER: usize = 64;
