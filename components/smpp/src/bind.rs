//! Who may bind, and how often at a time (section 4.1): [`BINDS`], one row for each bound session.
//!
//! A row is a lease: a session renews it while it is there, so that the binds of a host that was killed end by themselves.

use std::time::Duration;

use rusmpp_core::pdus::owned::{BindReceiverResp, BindTransceiverResp, BindTransmitterResp, Pdu};
use rusmpp_core::values::InterfaceVersion;
use tandem_component::prelude::*;

use crate::Smpp;
use crate::date::seconds;
use crate::frame::Frame;
use crate::message::nanos;
use crate::pdu::{BIND_RECEIVER, BIND_TRANSCEIVER, BIND_TRANSMITTER, RESPONSE, Status, decode, encode, field};
use crate::session::{Bind, Stage, Then};

/// The sessions that are bound.
pub const BINDS: Table = Table {
    name: "binds",
    key: &["id"],
    columns: &[
        Column::new("id", Kind::Text),
        Column::new("system_id", Kind::Text).indexed(),
        Column::new("bound_until", Kind::Integer),
    ],
};

/// A row of [`BINDS`].
#[derive(Serialize, Deserialize)]
struct Lease {
    id: String,
    system_id: String,
    bound_until: i64,
}

/// Who has bound, as what.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) system_id: String,
    /// The row in [`BINDS`].
    id: String,
    /// `command_id` of the bind.
    command: u32,
    /// Whether the peer speaks 3.4 or later, and so may be sent TLVs in the response (section 3.4).
    tlvs: bool,
}

impl Login {
    pub(crate) fn transmits(&self) -> bool {
        self.command != BIND_RECEIVER
    }

    pub(crate) fn receives(&self) -> bool {
        self.command != BIND_TRANSMITTER
    }

    /// Holds the lease for another while.
    pub(crate) fn renew(&self, out: &mut Out<'_, Bind>) {
        let bound_until = nanos(out.now() + LEASE);
        out.put(&BINDS, &Lease { id: self.id.clone(), system_id: self.system_id.clone(), bound_until });
    }

    /// Gives the lease back.
    pub(crate) fn end(&self, out: &mut Out<'_, Bind>) {
        out.delete(&BINDS, &self.id);
    }

    fn response(&self, system_id: &str, sequence: u32) -> Vec<u8> {
        let version = self.tlvs.then(|| InterfaceVersion::from(VERSION));
        let system_id = field(system_id);
        let pdu = match self.command {
            BIND_RECEIVER => Pdu::from(BindReceiverResp::new(system_id, version)),
            BIND_TRANSMITTER => Pdu::from(BindTransmitterResp::new(system_id, version)),
            _ => Pdu::from(BindTransceiverResp::new(system_id, version)),
        };
        encode(Status::EsmeRok, sequence, &pdu)
    }
}

impl Bind {
    /// A bind: refused, or its account's other binds are looked at.
    pub(crate) fn bind(&mut self, smpp: &Smpp, frame: &Frame<'_>, out: &mut Out<'_, Bind>) {
        if !matches!(self.stage, Stage::Unbound { .. }) {
            return self.refuse(frame.id, frame.sequence, Status::EsmeRalybnd, out);
        }
        let (system_id, password, version) = match decode(frame) {
            Some(Pdu::BindReceiver(it)) => (it.system_id, it.password, it.interface_version),
            Some(Pdu::BindTransmitter(it)) => (it.system_id, it.password, it.interface_version),
            Some(Pdu::BindTransceiver(it)) => (it.system_id, it.password, it.interface_version),
            _ => return self.refuse_bind(frame.id, frame.sequence, Status::EsmeRinvcmdlen, out),
        };
        let account = smpp.config.accounts.iter().find(|account| account.system_id == system_id.as_str());
        let Some(account) = account else {
            return self.refuse_bind(frame.id, frame.sequence, Status::EsmeRinvsysid, out);
        };
        if account.password != password.as_str() {
            return self.refuse_bind(frame.id, frame.sequence, Status::EsmeRinvpaswd, out);
        }
        let id = format!("{:08x}{:016x}", seconds(out.now()), out.random());
        let login =
            Login { system_id: account.system_id.clone(), id, command: frame.id, tlvs: u8::from(version) >= VERSION };
        out.scan(&Scan::of(&BINDS).by("system_id").at(&login.system_id).limit(1000), Then::OtherBinds);
        self.stage = Stage::Binding { sequence: frame.sequence, login };
    }

    /// The account's other binds are known.
    pub(crate) fn other_binds(
        &mut self,
        smpp: &Smpp,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Bind>,
    ) -> Result<(), Fault> {
        let Stage::Binding { sequence, login } = &self.stage else { return Ok(()) };
        let (sequence, login) = (*sequence, login.clone());
        let Answer::Rows(rows) = answer else {
            self.refuse_bind(login.command, sequence, Status::EsmeRsyserr, out);
            return Ok(());
        };
        if failed {
            self.refuse_bind(login.command, sequence, Status::EsmeRsyserr, out);
            return Ok(());
        }
        let now = nanos(out.now());
        let (bound, gone): (Vec<Lease>, Vec<Lease>) =
            rows.read::<Lease>()?.into_iter().partition(|lease| lease.bound_until > now);
        let account = smpp.config.accounts.iter().find(|account| account.system_id == login.system_id);
        if account.is_none_or(|account| bound.len() >= account.max_binds as usize) {
            self.refuse_bind(login.command, sequence, Status::EsmeRalybnd, out);
            return Ok(());
        }
        gone.iter().for_each(|lease| out.delete(&BINDS, &lease.id));
        login.renew(out);
        out.send(Stream::OWN, &login.response(&smpp.config.system_id, sequence));
        self.bound(login, out);
        self.look(smpp, out);
        Ok(())
    }

    /// Refuses a bind. Whoever cannot bind may connect again: passwords are tried at the price of a connection.
    fn refuse_bind(&mut self, id: u32, sequence: u32, status: Status, out: &mut Out<'_, Bind>) {
        tracing::warn!(status = u32::from(status), "bind refused");
        self.refuse(id, sequence, status, out);
        self.stage = Stage::Over;
        out.close(Stream::OWN);
    }
}

/// Whether this is a bind.
pub(crate) fn is_bind(id: u32) -> bool {
    matches!(id, BIND_RECEIVER | BIND_TRANSMITTER | BIND_TRANSCEIVER) && id & RESPONSE == 0
}

/// SMPP 3.4, as `interface_version` says it.
const VERSION: u8 = 0x34;
/// So long a bind counts whose session renews it no more.
const LEASE: Duration = Duration::from_secs(90);
/// So often it is renewed.
pub(crate) const RENEWAL: Duration = Duration::from_secs(30);
