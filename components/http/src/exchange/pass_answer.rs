//! Passes bodies on, in both directions.

use tandem_component::prelude::*;

use super::{Link, Passage};
use crate::Http;
use crate::refusal::Refused;
use crate::session::{Conversation, Stage};

impl Conversation {
    /// More of a chunked request came in.
    pub(crate) fn pass_up(&mut self, http: &Http, bytes: &[u8], out: &mut Out<'_, Self>) {
        let Some(way) = self.way_up(http) else { return };
        if !matches!(self.exchange.upload, Passage::Chunked { forward: None, .. }) {
            return;
        }
        let mut sent = 0;
        let passed = self.exchange.upload.pass(bytes, |run| {
            sent += run.len();
            out.send(way.to, run);
        });
        self.exchange.committed |= sent > 0;
        let taken = match passed {
            Ok(taken) => taken,
            Err(reason) => {
                // What follows in the connection cannot be told from a body.
                self.exchange.upload.abandon(out);
                return self.fail(http, reason.into(), out);
            }
        };
        self.exchange.bytes_in += taken as u64;
        self.consume(taken, out);
        if self.exchange.upload.is_through() {
            if matches!(self.stage, Stage::AwaitAnswer) {
                self.alarm.set(out.now() + http.timeouts.response_head);
            }
            return;
        }
        if self.half_closed {
            return self.request_cut_off(http, out);
        }
        self.exchange.upload.forward_rest(way, out);
        if matches!(self.stage, Stage::AwaitAnswer) {
            if self.exchange.upload.is_forwarding() {
                self.alarm.clear();
            } else if taken > 0 {
                self.alarm.set(out.now() + http.timeouts.body);
            }
        }
    }

    /// The client has finished in the middle of its request.
    pub(crate) fn request_cut_off(&mut self, http: &Http, out: &mut Out<'_, Self>) {
        self.exchange.upload.abandon(out);
        self.fail(http, Refused::Malformed, out);
    }

    /// The host has moved what it was to move of the request's body.
    pub(crate) fn uploaded(&mut self, http: &Http, bytes: u64, out: &mut Out<'_, Self>) {
        self.exchange.bytes_in += bytes;
        self.exchange.upload.forwarded(bytes);
        if matches!(self.stage, Stage::AwaitAnswer) {
            let through = self.exchange.upload.is_through();
            let span = if through { http.timeouts.response_head } else { http.timeouts.body };
            self.alarm.set(out.now() + span);
        }
    }

    /// The request's body did not get through.
    pub(crate) fn upload_failed(
        &mut self,
        http: &Http,
        bytes: u64,
        broken: Stream,
        stalled: bool,
        out: &mut Out<'_, Self>,
    ) {
        self.exchange.bytes_in += bytes;
        self.exchange.upload = Passage::Abandoned;
        let (answered, of_client) = (self.exchange.answered, broken == Stream::OWN);
        if stalled && !answered {
            if !of_client {
                out.blame(broken);
            }
            self.fail(http, if of_client { Refused::TooSlow } else { Refused::SlowServer }, out);
        } else if of_client && !stalled {
            self.request_cut_off(http, out);
        } else if !answered {
            // The server takes no more of it. It may have answered all the same; if not, it will be seen to be gone.
            self.alarm.set(out.now() + http.timeouts.response_head);
        }
    }

    /// More of a chunked answer came in.
    pub(crate) fn pass_down(&mut self, http: &Http, link: Link, bytes: &[u8], out: &mut Out<'_, Self>) {
        let Some(way) = self.way_down(http) else { return };
        let Stage::PassAnswer { download } = &mut self.stage else { return };
        let mut sent = 0;
        let passed = download.pass(bytes, |run| {
            sent += run.len() as u64;
            out.send(way.to, run);
        });
        self.exchange.bytes_out += sent;
        let Ok(taken) = passed else {
            out.blame(link.stream);
            return self.cut(out);
        };
        let Stage::PassAnswer { download } = &mut self.stage else { return };
        out.consume(taken);
        if download.is_through() {
            return self.answer_through(http, out);
        }
        download.forward_rest(way, out);
        if download.is_forwarding() {
            self.alarm.clear();
        } else if taken > 0 {
            self.chunks_go_on(out);
            self.alarm.set(out.now() + http.timeouts.response_body);
        }
    }

    /// The host has moved what it was to move of the answer's body.
    pub(crate) fn downloaded(&mut self, http: &Http, bytes: u64, out: &mut Out<'_, Self>) {
        self.exchange.bytes_out += bytes;
        let Stage::PassAnswer { download } = &mut self.stage else { return };
        download.forwarded(bytes);
        if download.is_through() {
            self.answer_through(http, out);
        } else {
            self.alarm.set(out.now() + http.timeouts.response_body);
        }
    }

    /// The answer's body did not get through.
    pub(crate) fn download_failed(
        &mut self,
        http: &Http,
        bytes: u64,
        broken: Stream,
        stalled: bool,
        out: &mut Out<'_, Self>,
    ) {
        self.exchange.bytes_out += bytes;
        if stalled && broken == Stream::OWN && self.wait_for_client(http, bytes, out) {
            return;
        }
        let Stage::PassAnswer { download } = &mut self.stage else { return };
        *download = Passage::Abandoned;
        if broken == Stream::OWN {
            self.client_gone(out);
            out.abort(Stream::OWN);
        } else {
            self.answer_cut_off(out);
        }
    }

    /// The server has stopped in the middle of its answer.
    pub(crate) fn answer_cut_off(&mut self, out: &mut Out<'_, Self>) {
        if let Some(link) = self.exchange.link {
            out.blame(link.stream);
        }
        self.cut(out);
    }
}
