//! The ESME's side: we bind to an SMSC (section 4.1), because we have connected to it, or because it has asked us to by
//! `outbind` (4.1.7). Here is the SMSC's end of that as well: [`Bind::opened`] invites an ESME that we have connected to.

use rusmpp_core::pdus::owned::{BindTransceiver, Outbind, Pdu};
use tandem_component::prelude::*;

use crate::Smpp;
use crate::config::{self, Mode};
use crate::frame::Frame;
use crate::pdu::{self, GENERIC_NACK, Status, bytes_of, decode, encode, field, framed, header};
use crate::session::{Bind, Stage};
use crate::then::Then;
use crate::window::Request;

impl Bind {
    /// The connection is there: whoever has made it speaks first.
    pub(crate) fn opened(&mut self, smpp: &Smpp, out: &mut Out<'_, Bind>) {
        let config = &smpp.config;
        match self.stage {
            Stage::Joining { mode } => self.join(smpp, mode, out),
            Stage::Inviting { since } => {
                let outbind = Outbind::new(field(&config.system_id), field(&config.password));
                // It has no response (section 4.1.7): the bind that follows is one.
                let sequence = self.window.next();
                out.send(Stream::OWN, &encode(Status::EsmeRok, sequence, &outbind.into()));
                self.stage = Stage::Unbound { since };
            }
            _ => {}
        }
    }

    /// Asks to be bound.
    fn join(&mut self, smpp: &Smpp, mode: Mode, out: &mut Out<'_, Bind>) {
        let config = &smpp.config;
        self.stage = Stage::Joining { mode };
        let command = mode.command();
        let sequence = self.window.ask(Request::Bind { command }, out.now());
        // The three binds differ in their command alone (sections 4.1.1, 4.1.3, 4.1.5).
        let bind = BindTransceiver::new(
            field(&config.system_id),
            field(&config.password),
            field(&config.system_type),
            config.interface_version.number().into(),
            config.address_range.ton.into(),
            config.address_range.npi.into(),
            field(&config.address_range.range),
        );
        out.send(Stream::OWN, &framed(command, Status::EsmeRok, sequence, &bytes_of(&[bind])));
    }

    /// The SMSC has answered our bind.
    pub(crate) fn bind_answered(&mut self, frame: &Frame<'_>, failed: bool, out: &mut Out<'_, Bind>) {
        let Stage::Joining { mode } = self.stage else { return };
        // An SMSC that does not know the command says so by generic_nack (4.3), and in whatever status: it is a refusal.
        let status = match (frame.id, frame.status) {
            (GENERIC_NACK, 0) => Status::EsmeRinvcmdid.into(),
            (_, status) => status,
        };
        if status != 0 {
            tracing::warn!(status, why = ?Status::from(status), bind = mode.word(), "the SMSC refuses our bind");
            return self.leave(failed, out);
        }
        self.stage = Stage::Joined { mode };
        (self.heard, self.transacted) = (out.now(), out.now());
        out.serve(mode.transmits());
    }

    /// An SMSC asks us to bind.
    pub(crate) fn outbind(&mut self, smpp: &Smpp, frame: &Frame<'_>, failed: bool, out: &mut Out<'_, Bind>) {
        let refused = match (&self.stage, smpp.config.outbind, decode(frame)) {
            (_, None | Some(config::Outbind::Send), _) => Status::EsmeRinvcmdid,
            (Stage::Unbound { .. }, _, Some(Pdu::Outbind(it))) => {
                // The SMSC is an account as well: whoever can connect must not make us bind to it.
                self.stage = Stage::Invited;
                out.authenticate(it.system_id.as_str(), it.password.as_str().as_bytes(), Then::Invited);
                return;
            }
            (Stage::Unbound { .. }, _, _) => Status::EsmeRinvcmdlen,
            _ => Status::EsmeRinvbndsts,
        };
        out.send(Stream::OWN, &header(pdu::GENERIC_NACK, refused, frame.sequence));
        if refused == Status::EsmeRinvcmdlen {
            self.leave(failed, out);
        }
    }

    /// Whether the SMSC is who it says.
    pub(crate) fn invited(&mut self, smpp: &Smpp, answer: Answer<'_>, failed: bool, out: &mut Out<'_, Bind>) {
        if !matches!(self.stage, Stage::Invited) {
            return;
        }
        if let Answer::Authenticated(Some(account)) = answer {
            tracing::info!(account = account.name(), "outbind");
            // As a receiver: that is what it has asked for (section 2.2.1).
            return self.join(smpp, Mode::Receiver, out);
        }
        // There is no response that could say so.
        tracing::warn!("an outbind of nobody that we know");
        self.leave(failed, out);
    }
}
