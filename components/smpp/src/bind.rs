//! Who may bind, and how often at a time (section 4.1): [`BINDS`], as many rows for an account as it may have sessions.
//!
//! A row is a lease. A session takes one that is free, by an insert or a compare-and-set, so that of two binds at the same time no
//! more pass than may; it renews it while it is there, so that a bind that nobody has ended, ends by itself. Those of a host that
//! was killed end with it: a lease names the run that it was taken in.

use std::time::Duration;

use rusmpp_core::pdus::owned::{BindReceiverResp, BindTransceiverResp, BindTransmitterResp, Pdu};
use rusmpp_core::values::InterfaceVersion;
use tandem_component::prelude::*;

use crate::Smpp;
use crate::frame::Frame;
use crate::message::nanos;
use crate::message::seconds;
use crate::pdu::{BIND_RECEIVER, BIND_TRANSCEIVER, BIND_TRANSMITTER, RESPONSE, Status, decode, encode, field};
use crate::session::{Bind, Stage};
use crate::then::Then;

/// The leases of the sessions that are bound.
pub const BINDS: Table = Table {
    name: "binds",
    key: &["id"],
    columns: &[
        Column::new("id", Kind::Text),
        Column::new("system_id", Kind::Text).indexed(),
        Column::new("bound_until", Kind::Integer),
        Column::new("holder", Kind::Text).or(Literal::Text("")),
    ],
};

/// A row of [`BINDS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Lease {
    /// The account, and a number below its `max_binds`.
    id: String,
    system_id: String,
    bound_until: i64,
    /// The run of the host, and a name of the session that has it.
    holder: String,
}

impl Lease {
    /// Whether its session has ended with the host that it was of. Versions that did not name the run have no dash in it.
    fn is_of_another_run(&self, run: u64) -> bool {
        let named = self.holder.split_once('-').and_then(|(named, _)| u64::from_str_radix(named, 16).ok());
        named.is_some_and(|named| named != run)
    }
}

#[derive(Serialize)]
struct Until<'a> {
    id: &'a str,
    bound_until: i64,
}

#[derive(Serialize)]
struct Held<'a> {
    id: &'a str,
    holder: &'a str,
}

/// Who has bound, as what.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) system_id: String,
    /// The row in [`BINDS`].
    id: String,
    /// What that row calls us.
    #[serde(default)]
    holder: String,
    /// `command_id` of the bind.
    command: u32,
    /// Whether the peer speaks 3.4 or later, and so may be sent TLVs in the response (section 3.4).
    tlvs: bool,
    /// That the account's agreements count it as a session.
    #[serde(default)]
    admission: Option<Token>,
}

impl Login {
    pub(crate) fn transmits(&self) -> bool {
        self.command != BIND_RECEIVER
    }

    pub(crate) fn receives(&self) -> bool {
        self.command != BIND_TRANSMITTER
    }

    /// Whether it is whom it says, and may be a session.
    pub(crate) fn is_admitted(&self) -> bool {
        self.admission.is_some()
    }

    /// It counts no more for the account's agreements.
    pub(crate) fn give_back(&self, out: &mut Out<'_, Bind>) {
        if let Some(admission) = self.admission {
            out.done(admission);
        }
    }

    /// Holds the lease for another while, if it is still ours.
    pub(crate) fn renew(&self, out: &mut Out<'_, Bind>) {
        self.hold(nanos(out.now() + LEASE), Then::Renewed, out);
    }

    /// Gives the lease back.
    pub(crate) fn end(&self, out: &mut Out<'_, Bind>) {
        self.hold(0, Then::GivenBack, out);
    }

    fn hold(&self, bound_until: i64, then: Then, out: &mut Out<'_, Bind>) {
        let held = Held { id: &self.id, holder: &self.holder };
        out.swap(&BINDS, &held, &Until { id: &self.id, bound_until }, then);
    }

    /// The other binds are known: takes a lease that is free. Whether it was is answered.
    fn take(&mut self, known: &[Lease], max: u32, run: u64, out: &mut Out<'_, Bind>) -> Option<()> {
        let lease = free(&self.system_id, known, max, run, nanos(out.now()))?;
        self.id.clone_from(&lease.id);
        let ours = Lease { bound_until: nanos(out.now() + LEASE), holder: self.holder.clone(), ..lease.clone() };
        if known.contains(&lease) {
            out.swap(&BINDS, &lease, &ours, Then::Leased);
        } else {
            out.insert(&BINDS, &ours, Then::Leased);
        }
        Some(())
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
        let holder = format!("{:x}-{:08x}{:016x}", smpp.run, seconds(out.now()), out.random());
        let login = Login {
            system_id: system_id.as_str().to_owned(),
            id: String::new(),
            holder,
            command: frame.id,
            tlvs: u8::from(version) >= VERSION,
            admission: None,
        };
        out.authenticate(&login.system_id, password.as_str().as_bytes(), Then::Authenticated);
        self.stage = Stage::Binding { sequence: frame.sequence, login, tries: 0 };
    }

    /// Whose password it is.
    pub(crate) fn authenticated(&mut self, smpp: &Smpp, answer: Answer<'_>, out: &mut Out<'_, Bind>) {
        let Stage::Binding { sequence, login, .. } = &mut self.stage else { return };
        let (sequence, command) = (*sequence, login.command);
        let refused = match answer {
            Answer::Authenticated(Some(account)) => {
                account.name().clone_into(&mut login.system_id);
                let may = smpp.config.account(account.name());
                // The password is right, but not for this: the generic refusal of a bind.
                if may.binds.iter().any(|mode| mode.command() == command) {
                    let session = Admission::session(&login.system_id);
                    login.admission = Some(out.admit(session, Then::BindAdmitted));
                    return;
                }
                Status::EsmeRbindfail
            }
            // For an account that there is not as well: who guesses shall not learn which names exist.
            Answer::Authenticated(None) => Status::EsmeRinvpaswd,
            // The password is right.
            Answer::Suspended(_) => Status::EsmeRbindfail,
            // Nobody has looked whether it is.
            Answer::PutOff { .. } => Status::EsmeRthrottled,
            _ => Status::EsmeRsyserr,
        };
        self.refuse_bind(command, sequence, refused, out);
    }

    /// Whether the account may have another session.
    pub(crate) fn bind_admitted(&mut self, answer: Answer<'_>, out: &mut Out<'_, Bind>) {
        let Stage::Binding { sequence, login, .. } = &self.stage else { return };
        let (sequence, command) = (*sequence, login.command);
        match answer {
            Answer::Admitted => self.look_at_binds(out),
            // The password is right, and nothing else is wrong with the bind.
            Answer::Refused { .. } => self.refuse_bind(command, sequence, Status::EsmeRbindfail, out),
            _ => self.refuse_bind(command, sequence, Status::EsmeRsyserr, out),
        }
    }

    fn look_at_binds(&mut self, out: &mut Out<'_, Bind>) {
        let Stage::Binding { login, tries, .. } = &mut self.stage else { return };
        *tries += 1;
        out.scan(&Scan::of(&BINDS).by("system_id").at(&login.system_id).limit(1000), Then::OtherBinds);
    }

    /// The account's other binds are known.
    pub(crate) fn other_binds(
        &mut self,
        smpp: &Smpp,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Bind>,
    ) -> Result<(), Fault> {
        let Stage::Binding { sequence, login, .. } = &mut self.stage else { return Ok(()) };
        let (sequence, command) = (*sequence, login.command);
        let refused = match answer {
            Answer::Rows(rows) if !failed => {
                let max = smpp.config.account(&login.system_id).max_binds;
                match login.take(&rows.read::<Lease>()?, max, smpp.run, out) {
                    Some(()) => return Ok(()),
                    None => Status::EsmeRalybnd,
                }
            }
            _ => Status::EsmeRsyserr,
        };
        self.refuse_bind(command, sequence, refused, out);
        Ok(())
    }

    /// The lease is ours, or another session was faster.
    pub(crate) fn leased(&mut self, smpp: &Smpp, answer: Answer<'_>, failed: bool, out: &mut Out<'_, Bind>) {
        let Stage::Binding { sequence, login, tries } = &self.stage else { return };
        let (sequence, login, tries) = (*sequence, login.clone(), *tries);
        match answer {
            Answer::Changed(true) => {
                self.respond(&login.response(&smpp.config.system_id, sequence), out);
                self.queue.read(&login.system_id, out);
                self.bound(login, out);
                self.look(smpp, out);
            }
            // Each time another session has got one, so after so many there is none left.
            Answer::Changed(false) if tries <= smpp.config.account(&login.system_id).max_binds && !failed => {
                self.look_at_binds(out);
            }
            Answer::Changed(false) => self.refuse_bind(login.command, sequence, Status::EsmeRalybnd, out),
            _ => self.refuse_bind(login.command, sequence, Status::EsmeRsyserr, out),
        }
    }

    /// Whether the lease is still ours. It is another's where it could not be renewed for so long that it ran out: then this
    /// session is one too many.
    pub(crate) fn renewed(&mut self, smpp: &Smpp, answer: Answer<'_>, out: &mut Out<'_, Bind>) {
        if answer == Answer::Changed(false) {
            tracing::warn!("another session has this one's place");
            self.unbind(out.now() + smpp.config.timers.response, out);
        }
    }

    /// Refuses a bind. Whoever cannot bind may connect again: passwords are tried at the price of a connection.
    fn refuse_bind(&mut self, id: u32, sequence: u32, status: Status, out: &mut Out<'_, Bind>) {
        tracing::warn!(status = u32::from(status), "bind refused");
        self.refuse(id, sequence, status, out);
        if let Stage::Binding { login, .. } = std::mem::replace(&mut self.stage, Stage::Over) {
            login.give_back(out);
        }
        out.close(Stream::OWN);
    }
}

/// The first lease that is free: none, where as many are held as may be. Rows of a version that did not number them count as
/// well.
fn free(system_id: &str, known: &[Lease], max: u32, run: u64, now: i64) -> Option<Lease> {
    let held = |lease: &&Lease| lease.bound_until > now && !lease.is_of_another_run(run);
    if known.iter().filter(held).count() >= max as usize {
        return None;
    }
    (0..max).find_map(|n| {
        let id = format!("{system_id}/{n}");
        match known.iter().find(|lease| lease.id == id) {
            Some(lease) if held(&lease) => None,
            Some(lease) => Some(lease.clone()),
            None => Some(Lease { id, system_id: system_id.to_owned(), bound_until: 0, holder: String::new() }),
        }
    })
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Sessions that bind at the same time, step by step in an order that a seed decides: each looks, then tries to take what
    /// it has found free, as the store does it.
    #[test]
    fn of_binds_at_the_same_time_exactly_as_many_pass_as_may() {
        for seed in 1..500u64 {
            let (max, mut state) = (1 + u32::try_from(seed % 4).unwrap(), seed);
            let mut random = move || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                usize::try_from(state >> 16).unwrap()
            };
            // One lease has run out with its session.
            let gone = Lease { id: "acme/0".into(), system_id: "acme".into(), bound_until: 5, holder: "gone".into() };
            let mut rows = BTreeMap::from([(gone.id.clone(), gone)]);
            // What each has seen, until it has passed (true) or was refused (false).
            let mut sessions: Vec<Result<Option<Vec<Lease>>, bool>> = vec![Ok(None); 8];
            while let Some(undecided) = sessions.iter().position(Result::is_ok) {
                let n =
                    (0..sessions.len()).cycle().skip(random() % 8).find(|n| sessions[*n].is_ok()).unwrap_or(undecided);
                sessions[n] = match &sessions[n] {
                    Ok(None) => Ok(Some(rows.values().cloned().collect())),
                    Ok(Some(seen)) => match free("acme", seen, max, 1, 10) {
                        None => Err(false),
                        Some(lease) if rows.get(&lease.id) == seen.iter().find(|it| it.id == lease.id) => {
                            let ours = Lease { bound_until: 100, holder: n.to_string(), ..lease };
                            rows.insert(ours.id.clone(), ours);
                            Err(true)
                        }
                        Some(_) => Ok(None),
                    },
                    Err(_) => continue,
                };
            }
            let passed = sessions.iter().filter(|it| **it == Err(true)).count();
            assert_eq!(passed, max as usize, "seed {seed}");
        }
    }

    #[test]
    fn leases_of_another_run_are_free_and_those_without_one_are_not() {
        let lease = |holder: &str| Lease {
            id: "acme/0".into(),
            system_id: "acme".into(),
            bound_until: 50,
            holder: holder.into(),
        };
        assert!(free("acme", &[lease("1f-68af")], 1, 0x1f, 10).is_none());
        assert_eq!(free("acme", &[lease("1f-68af")], 1, 0x20, 10), Some(lease("1f-68af")));
        assert!(free("acme", &[lease("68af")], 1, 0x20, 10).is_none());
    }

    #[test]
    fn leases_of_a_version_that_did_not_number_them_count() {
        let old = Lease { id: "68af".into(), system_id: "acme".into(), bound_until: 50, holder: String::new() };
        assert!(free("acme", std::slice::from_ref(&old), 1, 1, 10).is_none());
        assert_eq!(free("acme", &[old], 1, 1, 60).unwrap().id, "acme/0");
    }
}
