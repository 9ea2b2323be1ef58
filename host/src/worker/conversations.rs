//! Conversations of datagrams, which have a session of their own: each is at home on one worker, to which what arrives elsewhere
//! goes by the post.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use super::{Mail, Opened, Worker};
use crate::observe::notice::{self, Notice};
use crate::session::{Letter, Session};
use crate::store::Home;

/// Those that are at home on one worker: their sessions.
#[derive(Default)]
pub(super) struct Conversations(RefCell<HashMap<usize, HashMap<Vec<u8>, Home>>>);

impl Conversations {
    /// What another worker had.
    pub(super) fn taken_over(&self) -> Self {
        Conversations(RefCell::new(self.0.take()))
    }
}

impl Worker {
    /// Sends a datagram to where its conversation is at home. False where that worker takes none.
    pub fn send_letter(&self, letter: Letter) -> bool {
        // The same on every worker of this run; after it, all begin anew.
        let mut hasher = DefaultHasher::new();
        (letter.service, &letter.key).hash(&mut hasher);
        let home = usize::try_from(hasher.finish() % self.workers).unwrap_or(0);
        if self.is_full(home) {
            return false;
        }
        self.post(home, Mail::Datagram(Box::new(letter)));
        true
    }

    /// Gives a datagram to its conversation, which is begun, or resumed as it was saved, where it is not there.
    pub(super) fn take_letter(self: &Rc<Self>, letter: Letter) {
        let there = self.conversations.0.borrow().get(&letter.service).and_then(|keys| keys.get(&letter.key)).copied();
        let home = there.or_else(|| self.begin_conversation(&letter));
        let Some(home) = home else { return };
        let (service, peer) = (letter.service, letter.from.1);
        if self.with_session(home, |session| session.push_letter(letter)) != Some(true) {
            let name = self.service_name(service);
            let reason = format!("service.{name}: {peer} sends faster than its conversation takes it");
            notice::give(Notice::DatagramLost, &reason);
        }
    }

    fn begin_conversation(self: &Rc<Self>, letter: &Letter) -> Option<Home> {
        let (name, settings) = (self.service_name(letter.service), self.bindings_of(letter.service));
        let count = self.conversations.0.borrow().get(&letter.service).map_or(0, HashMap::len);
        if count as u64 >= settings.max {
            notice::give(Notice::DatagramLost, &format!("service.{name}: {} conversations are there", settings.max));
            return None;
        }
        let (publication, serving) =
            self.look(|snapshot| (snapshot.number, snapshot.services[letter.service].instance.clone()));
        let Some(instance) = self.instance_of(letter.service, &letter.version).or(serving) else {
            notice::give(Notice::ServiceDown, &format!("service.{name}: no version serves it; a datagram was dropped"));
            return None;
        };
        // What cannot be read now begins anew: it is told, below, as what it is.
        let saved = self.binding(letter.service, &letter.key);
        let opened = saved.map_err(|failure| failure.to_string()).and_then(|binding| {
            Session::open_conversation(self, publication, instance, letter, settings.idle.get(), binding)
        });
        match opened {
            Ok(session) => {
                let Opened { key, id, .. } = self.seat(session);
                let home = Home { worker: self.index, key, session: id };
                let mut conversations = self.conversations.0.borrow_mut();
                conversations.entry(letter.service).or_default().insert(letter.key.clone(), home);
                Some(home)
            }
            Err(reason) => {
                notice::give(Notice::SessionRefused, &format!("service.{name}: {}: {reason}", letter.from.1));
                None
            }
        }
    }

    /// The session of a conversation has ended.
    pub fn leave_conversation(&self, service: usize, key: &[u8], session: u64) {
        let mut conversations = self.conversations.0.borrow_mut();
        let Some(keys) = conversations.get_mut(&service) else { return };
        if keys.get(key).is_some_and(|there| there.session == session) {
            keys.remove(key);
        }
    }
}
