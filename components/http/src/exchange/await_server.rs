//! Awaits a connection to a server, and tries another where one fails.

use tandem_component::prelude::*;

use super::{Link, Passage};
use crate::Http;
use crate::refusal::Refused;
use crate::session::{Conversation, Stage, Then};

impl Conversation {
    /// A server is there: it gets the request.
    #[inline]
    pub(crate) fn dialed(&mut self, http: &Http, link: Link, out: &mut Out<'_, Self>) {
        self.exchange.link = Some(link);
        self.stage = Stage::AwaitAnswer;
        out.send(link.stream, &self.buffer);
        if self.exchange.upload.is_through() {
            self.alarm.set(out.now() + http.timeouts.response_head);
        } else {
            self.begin_upload(http, out);
        }
    }

    fn begin_upload(&mut self, http: &Http, out: &mut Out<'_, Self>) {
        let Some(way) = self.way_up(http) else { return };
        if let Passage::Chunked { .. } = self.exchange.upload {
            self.alarm.set(out.now() + http.timeouts.body);
        } else {
            self.exchange.committed = true;
            // What the host forwards is unread no more.
            if let Passage::Counted { length, .. } = self.exchange.upload {
                self.unread = self.unread.saturating_sub(length);
            }
            self.exchange.upload.begin(way, out);
        }
    }

    /// No server is there. Nothing was sent, so that any request may be tried on another.
    pub(crate) fn dial_failed(
        &mut self,
        http: &Http,
        server: Option<Server>,
        why: DialFailure,
        out: &mut Out<'_, Self>,
    ) {
        let another = matches!(why, DialFailure::Refused | DialFailure::TimedOut);
        if let Some(server) = server.filter(|_| another && self.tried.len() < http.retries) {
            self.tried.push(server);
            return self.dial_again(false, out);
        }
        let refused = if why == DialFailure::NoServer && !self.tried.is_empty() {
            // There are servers, and none of them would have it.
            Refused::BadServer
        } else {
            Refused::from(why)
        };
        self.fail(http, refused, out);
    }

    fn dial_again(&mut self, fresh: bool, out: &mut Out<'_, Self>) {
        self.exchange.link = None;
        let mut dial = Dial::to(&self.upstream).avoiding(&self.tried);
        if fresh {
            dial = dial.fresh();
        }
        let dial = out.dial(dial, Then::Dialed);
        self.stage = Stage::AwaitServer { dial };
        self.alarm.clear();
    }

    /// The server has gone before it answered. An idempotent request of which no server can have begun to act twice is
    /// tried again: over a fresh connection, where a kept one has turned out to be dead, else on another server.
    pub(crate) fn server_lost(&mut self, http: &Http, out: &mut Out<'_, Self>) {
        let Some(link) = self.exchange.link else { return };
        if !link.reused {
            out.blame(link.stream);
        }
        let again = self.exchange.idempotent && !self.exchange.committed;
        if again && link.reused {
            out.abort(link.stream);
            self.dial_again(true, out);
        } else if again && self.tried.len() < http.retries {
            out.abort(link.stream);
            self.tried.push(link.server);
            self.dial_again(true, out);
        } else {
            self.fail(http, Refused::BadServer, out);
        }
    }
}
