//! Keyed conversations: which version the exchange in hand belongs to.
//!
//! A session that has named the conversation gets no event until it is known which version that is bound to: by a row that is
//! there, or by one that is committed first. Then the session goes on, or one of that version has the untouched bytes.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Weak;
use std::time::Duration;

use tandem_component::abi::kind;
use tandem_component::effects::{Batch, Effect};
use tandem_component::{Peer, Policy, Transport};

use super::driver::Driver;
use super::effects::Reason;
use super::pipe::Link;
use super::storing::{self, Outcome};
use super::{Answer, Datagram, Session};
use crate::clock::{Nanos, nanos};
use crate::observe::notice::Notice;
use crate::store::bindings::{Binding, KEY_MAX};
use crate::store::{Failure, Found, Home, Step, Transaction};
use crate::transport::Socket;
use crate::version::{Instance, Lease};

/// The conversation that a session is.
#[derive(Debug)]
pub(super) struct Keyed {
    key: Vec<u8>,
    /// How often it was saved, as far as this session knows.
    pub(super) saves: i64,
    /// How long it may be silent, where it has a session of its own: one of datagrams, at home on this worker.
    home: Option<Nanos>,
}

/// A datagram on its way to the conversation that it belongs to.
#[derive(Debug)]
pub struct Letter {
    /// The place of the service in the snapshot.
    pub service: usize,
    /// The conversation …
    pub key: Vec<u8>,
    /// … and the version that it is bound to.
    pub version: String,
    /// Where it came in, and from whom.
    pub from: (Weak<UdpSocket>, SocketAddr),
    /// What it says.
    pub bytes: Vec<u8>,
}

/// A conversation that is looked for, or only the version that the exchange in hand goes to.
#[derive(Default)]
pub(super) struct Routing {
    key: Vec<u8>,
    /// It is no conversation: the exchange has a label.
    labelled: bool,
    /// The datagram that belongs to it.
    datagram: Option<Datagram>,
    /// What it is bound to, once that is known; `None` where it is not.
    bound: Option<Result<Option<Binding>, Failure>>,
    /// It was not bound, and counts as new.
    fresh: bool,
    /// Another was faster to bind it.
    beaten: bool,
    /// What it was bound to has ended meanwhile: it is bound anew.
    gone: bool,
}

impl Routing {
    /// Whether it is known what the conversation is bound to.
    pub(super) fn is_found(&self) -> bool {
        self.bound.is_some()
    }
}

/// Whether what a session has in hand belongs to a conversation that is bound to its version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Bound {
    /// It belongs to none.
    #[default]
    Free,
    /// It does, and nothing of it was consumed.
    Named,
    /// It does, and is under way.
    UnderWay,
}

impl Driver<'_, '_> {
    /// Looks for the conversation with this key.
    #[cold]
    pub(super) fn route(&mut self, batch: &Batch, key: &[u8], begin: bool) -> Result<(), Reason> {
        check_key(key)?;
        if batch.effects.iter().any(|effect| matches!(effect, Effect::Consume { n: 1.. })) {
            return Err("it has named the conversation of an exchange that it consumes: name it first".to_owned());
        }
        if self.session.keyed.as_ref().is_some_and(|keyed| keyed.home.is_some()) {
            return Err("it has named the conversation that it is".to_owned());
        }
        if self.session.routing.is_some() {
            return Err("it has named two conversations in one event".to_owned());
        }
        let known = self.worker.binding(self.session.service, key);
        let fresh = matches!(known, Ok(None));
        let bound = match known {
            Err(failure) => Some(Err(failure)),
            Ok(known) if !begin && known.as_ref().is_none_or(|known| known.until <= self.wall) => Some(Ok(None)),
            Ok(Some(known)) if known.until > self.wall && self.instance_of(&known).is_some() => {
                self.worker.touch_binding(self.session.service, key, &known, self.wall);
                Some(Ok(Some(known)))
            }
            Ok(known) => match self.bind(key, known.as_ref()) {
                Ok(steps) => {
                    self.worker.give(Transaction { home: self.home(), steps });
                    None
                }
                Err(failure) => Some(Err(failure)),
            },
        };
        self.session.routing = Some(Box::new(Routing { key: key.to_vec(), bound, fresh, ..Routing::default() }));
        Ok(())
    }

    /// Has the exchange in hand go on with the version that one with this label belongs to.
    #[cold]
    pub(super) fn label(&mut self, batch: &Batch, label: &str) -> Result<(), Reason> {
        if batch.effects.iter().any(|effect| matches!(effect, Effect::Consume { n: 1.. })) {
            return Err("it has labelled an exchange that it consumes: label it first".to_owned());
        }
        let session = &mut *self.session;
        if session.routing.is_some() {
            return Err("it has named two conversations in one event, or labelled one".to_owned());
        }
        if session.label.as_deref() != Some(label) {
            session.label = Some(label.into());
        }
        session.routing = Some(Box::new(Routing { labelled: true, bound: Some(Ok(None)), ..Routing::default() }));
        Ok(())
    }

    /// Has a session of the version that the label stands for take what is in hand.
    fn go_by_label(&mut self) {
        let session = &*self.session;
        if let Some(there) = self.worker.service_now(session.service, |service| session.chosen(service)) {
            self.move_to(there);
        }
    }

    /// The steps that bind a conversation to the version that is active, whatever it was bound to before.
    fn bind(&self, key: &[u8], known: Option<&Binding>) -> Result<Vec<Step>, Failure> {
        let session = &*self.session;
        let active =
            self.worker.service_now(session.service, |service| session.chosen(service)).or_else(|| session.lease());
        let active = active.ok_or_else(|| Failure::Unavailable("no version serves".to_owned()))?;
        // Where sessions are carried, that is how it should be.
        let told = active.policy != Policy::Carry;
        if let Some(known) = known.filter(|known| told && known.until > self.wall && *known.version != *active.identity)
        {
            let reason = format!("{} is not there; a conversation goes on with {}", known.version, active.version);
            self.worker.notice(session, Notice::BindingMoved, &reason);
        }
        self.worker.bind(session.service, key, &active.identity, known, self.wall)
    }

    /// The steps of a batch that bind conversations which begin in this exchange.
    pub(super) fn bindings(&self, batch: &Batch) -> Result<Vec<Step>, Reason> {
        let mut steps = Vec::new();
        for effect in &batch.effects {
            let Effect::Bind { key } = *effect else { continue };
            let key = batch.bytes(key);
            check_key(key)?;
            let Some(instance) = self.session.lease() else { continue };
            let known = self.worker.binding(self.session.service, key);
            let made = known.and_then(|known| match known {
                Some(known) if known.until > self.wall => Ok(Vec::new()),
                known => self.worker.bind(self.session.service, key, &instance.identity, known.as_ref(), self.wall),
            });
            match made {
                Ok(made) => steps.extend(made),
                Err(failure) => self.not_bound(&failure),
            }
        }
        Ok(steps)
    }

    /// Says that a conversation is not bound: it goes on with whichever version is active.
    pub(super) fn not_bound(&self, failure: &Failure) {
        let reason = format!("a conversation that begins here is not bound to its version: {failure}");
        self.worker.notice(self.session, Notice::BindingMoved, &reason);
    }

    /// Goes on where it is known what the conversation is bound to. False where it is not yet.
    #[cold]
    pub(super) fn find_conversation(&mut self) -> bool {
        if let Some(routing) = self.session.routing.take_if(|routing| routing.gone) {
            self.bind_again(*routing);
        }
        if !self.session.routing.as_ref().is_some_and(|routing| routing.is_found()) || !self.is_late_enough() {
            return false;
        }
        let Some(routing) = self.session.routing.take() else { return false };
        if routing.labelled {
            self.go_by_label();
        }
        if routing.beaten && routing.fresh {
            self.worker.unbind(self.session.service);
        }
        let Routing { key, datagram, bound, .. } = *routing;
        let detail = match (bound.expect("just looked at"), datagram) {
            (Ok(Some(binding)), Some(datagram)) => {
                self.send_on(binding, key, datagram);
                return true;
            }
            (Ok(Some(binding)), None) => match self.enter(binding, key) {
                Ok(()) => 0,
                Err(reason) => {
                    self.break_off(reason);
                    return true;
                }
            },
            (Ok(None), datagram) => {
                self.session.datagrams.extend(datagram);
                0
            }
            (Err(failure), datagram) => {
                // Told before the datagram comes again.
                if let Some(datagram) = datagram {
                    self.session.datagrams.push_front(datagram);
                }
                storing::why(&failure)
            }
        };
        (self.session.offers, self.session.busy) = (true, true);
        self.session.progress += 1;
        self.session.answers.push_back(Answer { kind: kind::ROUTED, detail, ..Answer::default() });
        true
    }

    /// Binds a conversation whose earlier binding has ended between being read and being changed.
    fn bind_again(&mut self, mut routing: Routing) {
        (routing.gone, routing.beaten, routing.fresh) = (false, false, true);
        match self.bind(&routing.key, None) {
            Ok(steps) => self.worker.give(Transaction { home: self.home(), steps }),
            Err(failure) => routing.bound = Some(Err(failure)),
        }
        self.session.routing = Some(Box::new(routing));
    }

    /// Has the session, or another one in its place, be the conversation's.
    fn enter(&mut self, binding: Binding, key: Vec<u8>) -> Result<(), Reason> {
        if self.session.greeting.transport == Transport::Udp {
            return Err("it has named a conversation where there is no datagram".to_owned());
        }
        self.go_to(&binding, &key);
        let before = self.session.keyed.take();
        let here = before.as_ref().is_some_and(|keyed| keyed.key == key && keyed.saves == binding.saves);
        self.session.keyed = Some(Box::new(Keyed { key, saves: binding.saves, home: None }));
        let lasts = self.session.lease().is_some_and(|lease| lease.policy != Policy::Renew);
        if here || !lasts || binding.state.is_none() && before.is_none() {
            return Ok(());
        }
        // Another session takes this one's place: it is to have asked for nothing that the other would be answered.
        if !self.session.asks_nothing() {
            return Err("it has named another conversation while it waits for something".to_owned());
        }
        match binding.state {
            Some(state) => {
                self.resume_saved(&state).map_err(|reason| format!("the saved session is refused: {reason}"))
            }
            None => {
                if let Some(lease) = self.session.lease() {
                    self.renew(lease);
                }
                Ok(())
            }
        }
    }

    /// Has a session of the bound version take what is in hand.
    fn go_to(&mut self, binding: &Binding, key: &[u8]) {
        let Some(here) = self.session.lease() else { return };
        // A session that is carried is on the active version in any case; its conversation follows it.
        if here.policy == Policy::Carry {
            return;
        }
        let Some(there) = self.instance_of(binding) else {
            let reason = format!("{} has gone meanwhile; {} goes on", binding.version, here.version);
            return self.worker.notice(self.session, Notice::BindingMoved, &reason);
        };
        let stays = here.same(&there);
        // Neither lies on the stack while a component is called.
        drop(here);
        if !stays {
            let (renews, there) = self.worker.goes_to.keep(there, || self.session.may_renew());
            if !renews {
                let key = key.escape_ascii();
                let reason =
                    format!("the conversation \"{key}\" is {}'s, but this session is not at a boundary", there.version);
                return self.worker.notice(self.session, Notice::BindingMoved, &reason);
            }
            self.renew(there);
        }
        self.session.bound = Bound::Named;
    }

    /// The step that ends the conversation where the session that it is ends itself: by the time that anybody hears of it, the
    /// next that is said begins another.
    pub(super) fn ending_conversation(&self, batch: &Batch) -> Option<Step> {
        let keyed = self.session.keyed.as_ref().filter(|_| self.ends_conversation(batch))?;
        Some(self.worker.forget(self.session.service, &keyed.key))
    }

    /// Whether these effects end the conversation that the session is.
    #[inline]
    pub(super) fn ends_conversation(&self, batch: &Batch) -> bool {
        let closes = |effect: &Effect| matches!(effect, Effect::Close { stream: 0 } | Effect::Abort { stream: 0 });
        // One that says goodbye because it was asked to is there again afterwards.
        let ends = self.session.keyed.as_ref().is_some_and(|keyed| keyed.home.is_some());
        ends && self.session.drained.is_none() && batch.effects.iter().any(closes)
    }

    /// Sends a datagram to its conversation.
    fn send_on(&mut self, binding: Binding, key: Vec<u8>, datagram: Datagram) {
        let Some(from) = datagram.from.or_else(|| self.session.udp()) else { return };
        let (service, version, bytes) = (self.session.service, binding.version, datagram.bytes);
        if !self.worker.send_letter(Letter { service, key, version, from, bytes }) {
            self.worker.notice(self.session, Notice::DatagramLost, "the worker of its conversation takes no mail");
        }
        self.session.progress += 1;
    }

    /// The session of a conversation ends.
    pub(super) fn leave_conversation(&mut self) {
        let Some(keyed) = self.session.keyed.take().filter(|keyed| keyed.home.is_some()) else { return };
        self.worker.leave_conversation(self.session.service, &keyed.key, self.session.id);
    }

    /// Whether the session stays with the version that its conversation is bound to. Between two exchanges it does not: whose
    /// the next one is, the active version finds out.
    #[cold]
    pub(super) fn stays_bound(&mut self) -> bool {
        let Some(here) = self.session.lease() else { return false };
        match here.policy {
            Policy::Carry | Policy::Pin => false,
            // It is the conversation, which is never between two exchanges of others.
            Policy::Renew if self.session.keyed.as_ref().is_some_and(|keyed| keyed.home.is_some()) => true,
            Policy::Renew if self.session.bound == Bound::Named => true,
            Policy::Renew if !self.session.may_renew() => true,
            Policy::Renew => {
                self.session.bound = Bound::Free;
                let session = &*self.session;
                if let Some(active) = self.worker.service_now(session.service, |service| session.chosen(service)) {
                    self.move_to(active);
                }
                false
            }
        }
    }

    fn instance_of(&self, binding: &Binding) -> Option<Lease<Instance>> {
        self.worker.instance_of(self.session.service, &binding.version)
    }

    /// Where the store answers to.
    pub(super) fn home(&self) -> Home {
        Home { worker: self.worker.index(), key: self.session.key, session: self.session.id }
    }
}

fn check_key(key: &[u8]) -> Result<(), Reason> {
    match key.len() {
        1..=KEY_MAX => Ok(()),
        length => Err(format!("a conversation's name has 1 to {KEY_MAX} bytes, and this one {length}")),
    }
}

impl Keyed {
    /// The conversation with this key, which may be silent for so long.
    pub(super) fn at_home(key: Vec<u8>, saves: i64, idle: Nanos) -> Self {
        Keyed { key, saves, home: Some(idle) }
    }

    /// The key.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }
}

/// A session of datagrams that names no conversation ends when nothing was said for so long.
const DATAGRAM_IDLE: Duration = Duration::from_secs(60);

impl Session {
    /// When a session of datagrams has been silent for too long.
    pub(super) fn silent_at(&self) -> Nanos {
        let idle = self.keyed.as_ref().and_then(|keyed| keyed.home).unwrap_or(nanos(DATAGRAM_IDLE));
        self.greeting.idle_since.saturating_add(idle)
    }

    /// Who is answered from now on: whoever has sent this.
    pub(super) fn answer_to(&mut self, datagram: &Datagram) {
        if let Some((socket, peer)) = &datagram.from {
            self.greeting.peer = Peer::Inet(*peer);
            self.pipes[0].socket = Link::Up(Socket::Udp(Weak::clone(socket), *peer));
        }
    }

    /// A datagram that was delivered, to be delivered again.
    pub(super) fn datagram(&self, bytes: &[u8]) -> Datagram {
        Datagram { bytes: bytes.to_vec(), from: self.udp() }
    }

    /// A datagram was handled: it waits where its conversation is looked for.
    #[inline]
    pub(super) fn route_datagram(&mut self, datagram: Datagram) {
        if let Some(routing) = &mut self.routing {
            routing.datagram = Some(datagram);
        }
    }

    /// Takes a datagram of its conversation in; false where there are too many already.
    pub fn push_letter(&mut self, letter: Letter) -> bool {
        self.push(Datagram { bytes: letter.bytes, from: Some(letter.from) })
    }

    fn udp(&self) -> Option<(Weak<UdpSocket>, SocketAddr)> {
        match &self.pipes[0].socket {
            Link::Up(Socket::Udp(socket, peer)) => Some((Weak::clone(socket), *peer)),
            _ => None,
        }
    }

    fn lease(&self) -> Option<Lease<Instance>> {
        self.conversation.as_ref().map(|conversation| conversation.lease().clone())
    }

    /// The store has settled a binding. False where none was waited for.
    pub(super) fn bound(&mut self, outcome: Outcome) -> Option<Outcome> {
        let Some(routing) = self.routing.as_mut().filter(|routing| routing.bound.is_none()) else {
            return Some(outcome);
        };
        routing.beaten = outcome.as_ref().is_ok_and(|found| found.contains(&(0, Found::Done(false))));
        match outcome.and_then(|found| binding(&found)) {
            Ok(None) => routing.gone = true,
            bound => routing.bound = Some(bound),
        }
        self.wake();
        None
    }
}

/// What a transaction that bound a conversation has found it bound to.
fn binding(found: &[(u64, Found)]) -> Result<Option<Binding>, Failure> {
    found.iter().find_map(|(_, found)| Binding::read(found).transpose()).transpose()
}
