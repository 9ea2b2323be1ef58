//! Moves bytes from one stream of a session to another, without the component seeing them.

use std::task::Context;

use bytes::Buf;
use tandem_component::abi::{TO_END, kind};

use super::driver::UNSENT_HIGH;
use super::{Answer, Session};
use crate::clock::Nanos;

/// A forward from the stream that holds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forward {
    pub(super) to: u64,
    pub(super) left: u64,
    pub(super) moved: u64,
    pub(super) idle: Nanos,
    pub(super) deadline: Nanos,
    pub(super) token: u64,
}

impl Forward {
    pub(super) fn done(&self) -> Answer {
        Answer { kind: kind::FORWARDED, token: self.token, number: self.moved, ..Answer::default() }
    }

    pub(super) fn failed(&self, broken: u64, stalled: bool) -> Answer {
        let (number, detail) = (self.moved, u32::from(stalled));
        Answer { kind: kind::FORWARD_FAILED, detail, token: self.token, stream: broken, number, ..Answer::default() }
    }

    /// How many of so many bytes belong to it.
    fn share(&self, bytes: usize) -> usize {
        usize::try_from(self.left).map_or(bytes, |left| bytes.min(left))
    }

    fn took(&mut self, bytes: usize, now: Nanos) {
        self.moved += bytes as u64;
        if self.left != TO_END {
            self.left -= bytes as u64;
        }
        self.deadline = now.saturating_add(self.idle);
    }
}

impl Session {
    /// Moves what belongs to the forward from `pipes[from]`, out of `fresh` bytes that were just read. Returns how many
    /// were taken. What the kernel does not take at once is kept as unsent.
    pub(super) fn forward_fresh(&mut self, from: usize, fresh: &[u8], now: Nanos, cx: &mut Context<'_>) -> usize {
        let Some(mut forward) = self.pipes[from].forward else { return 0 };
        let share = forward.share(fresh.len());
        let Some(target) = self.pipe_mut(forward.to).filter(|pipe| pipe.takes()) else {
            let answer = forward.failed(forward.to, false);
            self.pipes[from].forward = None;
            self.answers.push_back(answer);
            return 0;
        };
        match target.write(cx, &fresh[..share]) {
            Ok(taken) => {
                target.unsent.extend_from_slice(&fresh[taken..share]);
                target.sent += (share - taken) as u64;
            }
            Err(_) => target.deaf = true,
        }
        forward.took(share, now);
        if forward.left == 0 {
            self.answers.push_back(forward.done());
            self.pipes[from].forward = None;
        } else {
            self.pipes[from].forward = Some(forward);
        }
        share
    }

    /// Moves unread bytes that belong to the forward from `pipes[from]`, and ends it where its stream has ended. True where
    /// something changed.
    pub(super) fn move_unread(&mut self, from: usize, now: Nanos, cx: &mut Context<'_>) -> bool {
        let Some(forward) = self.pipes[from].forward else { return false };
        let mut progress = false;
        if !self.pipes[from].unread.is_empty() {
            if self.pipe(forward.to).is_some_and(|target| target.unsent.len() >= UNSENT_HIGH) {
                return false;
            }
            let mut unread = std::mem::take(&mut self.pipes[from].unread);
            let taken = self.forward_fresh(from, &unread, now, cx);
            unread.advance(taken);
            self.pipes[from].give_back(unread);
            progress = true;
        }
        let pipe = &mut self.pipes[from];
        if pipe.ended
            && pipe.unread.is_empty()
            && let Some(forward) = pipe.forward.take()
        {
            let complete = forward.left == TO_END;
            let answer = if complete { forward.done() } else { forward.failed(pipe.number, false) };
            self.answers.push_back(answer);
            progress = true;
        }
        progress
    }

    /// Ends the forwards that have moved nothing for too long, and says because of which stream: the one that takes
    /// nothing, else the one that gives nothing.
    pub(super) fn fail_stalled(&mut self, now: Nanos) {
        for at in 0..self.pipes.len() {
            let Some(forward) = self.pipes[at].forward.take_if(|forward| forward.deadline <= now) else { continue };
            let full = self.pipe(forward.to).is_some_and(|target| target.unsent.len() >= UNSENT_HIGH);
            let stalled = if full { forward.to } else { self.pipes[at].number };
            self.answers.push_back(forward.failed(stalled, true));
        }
    }

    /// Ends the forwards from and to a stream that is gone.
    pub(super) fn fail_forwards(&mut self, broken: u64) {
        for pipe in &mut self.pipes {
            let number = pipe.number;
            if let Some(forward) = pipe.forward.take_if(|forward| number == broken || forward.to == broken) {
                self.answers.push_back(forward.failed(broken, false));
            }
        }
    }

    /// Ends the forwards to a stream whose peer takes no more. True where there was one.
    pub(super) fn fail_forwards_to(&mut self, deaf: u64) -> bool {
        let before = self.answers.len();
        for pipe in &mut self.pipes {
            if let Some(forward) = pipe.forward.take_if(|forward| forward.to == deaf) {
                self.answers.push_back(forward.failed(deaf, false));
            }
        }
        self.answers.len() > before
    }
}
