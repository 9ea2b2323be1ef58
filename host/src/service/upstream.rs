//! Upstreams: groups of servers with pooled connections, as one worker sees them.
//!
//! A dial goes to the less loaded of two servers chosen by chance, over a pooled connection where one is there. Load and
//! pool are the worker's own; a server's health is shared by all workers, and is written only when a server fails.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use serde::Deserialize;

use crate::clock::{Nanos, nanos};
use crate::config::{self, Span};
use crate::observe::notice::{self, Notice};
use crate::tls::{Dial, Dialing};
use crate::transport::proxy::header::{Client, Version};
use crate::transport::{Address, Connecting, Socket, Way};

/// `[upstream.NAME]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where its servers are.
    pub servers: Vec<Address>,
    /// How long a connection may take to be made.
    #[serde(default = "Settings::connect_timeout")]
    pub connect_timeout: Span,
    /// How many idle connections to a server each worker keeps.
    #[serde(default = "Settings::keepalive")]
    pub keepalive: usize,
    /// How long an idle connection is kept.
    #[serde(default = "Settings::idle_timeout")]
    pub idle_timeout: Span,
    /// How many connections each worker has to a server at most, idle ones left out.
    #[serde(default = "Settings::max_connections")]
    pub max_connections: u32,
    /// When a server is left out, and for how long.
    #[serde(default)]
    pub eject: Eject,
    /// How it is made sure who a server is; by nothing where it is not said.
    pub tls: Option<Dial>,
    /// By which version of the PROXY protocol servers are told on behalf of whom; by none where it is not said.
    pub proxy_protocol: Option<Version>,
    /// What was read of `tls`.
    #[serde(skip)]
    pub dialing: Option<Arc<Dialing>>,
}

/// When a server is left out: after `failures` within a time, for a time.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Eject {
    /// So many failures; 0 is never.
    pub failures: u32,
    /// … within so long
    pub within: Span,
    /// … leave it out for so long.
    #[serde(rename = "for")]
    pub span: Span,
}

impl Default for Eject {
    fn default() -> Self {
        Eject { failures: 3, within: Span::seconds(10), span: Span::seconds(10) }
    }
}

impl Settings {
    /// Whether they say the same of each server.
    fn are_but_for_servers(&self, other: &Settings) -> bool {
        let alone = |settings: &Settings| Settings { servers: Vec::new(), ..settings.clone() };
        alone(self) == alone(other)
    }

    fn way(&self) -> Way {
        Way { proxy_protocol: self.proxy_protocol, tls: self.dialing.clone() }
    }

    fn connect_timeout() -> Span {
        Span::seconds(5)
    }
    fn keepalive() -> usize {
        64
    }
    fn idle_timeout() -> Span {
        Span::seconds(60)
    }
    fn max_connections() -> u32 {
        4096
    }
}

/// How a server does, as all workers see it.
#[derive(Debug, Default)]
pub struct Health {
    /// Out until then; 0 when in.
    out_until: AtomicU64,
    window_begun: AtomicU64,
    failures: AtomicU32,
}

impl Health {
    /// Whether it is not left out. Relaxed throughout: a worker that sees an ejection a moment late sends one more request there.
    pub fn is_in(&self, now: Nanos) -> bool {
        self.out_until.load(Ordering::Relaxed) <= now
    }

    /// Counts a failure. True where it ejects the server.
    fn blame(&self, now: Nanos, eject: &Eject) -> bool {
        if eject.failures == 0 || !self.is_in(now) {
            return false;
        }
        if now.saturating_sub(self.window_begun.load(Ordering::Relaxed)) > nanos(eject.within.get()) {
            self.window_begun.store(now, Ordering::Relaxed);
            self.failures.store(0, Ordering::Relaxed);
        }
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 < eject.failures {
            return false;
        }
        self.failures.store(0, Ordering::Relaxed);
        self.out_until.store(now.saturating_add(nanos(eject.span.get())), Ordering::Relaxed);
        true
    }
}

/// A connection's part in its server's load. It is counted until it is dropped.
#[derive(Debug)]
pub struct Ticket {
    server: Arc<Server>,
    /// On behalf of whom it was said to be made.
    owner: Option<Box<Owner>>,
}

/// Whose connection to a server it is, where servers are told: the session's alone. An address would not do, since one may be another
/// client's a moment later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The session's number.
    pub session: u64,
    /// What servers are told.
    pub client: Client,
}

impl Ticket {
    fn take(server: &Arc<Server>, owner: Option<Owner>) -> Self {
        server.load.fetch_add(1, Ordering::Relaxed);
        Ticket { server: Arc::clone(server), owner: owner.map(Box::new) }
    }

    /// The server's number.
    pub fn server(&self) -> u64 {
        self.server.number
    }

    /// Counts a failure against the server.
    pub fn blame(&self, now: Nanos) {
        if self.server.health.blame(now, &self.server.settings.eject) {
            let Eject { failures, within, span } = &self.server.settings.eject;
            let (upstream, address) = (&self.server.upstream, &self.server.address);
            let reason =
                format!("upstream.{upstream}: {address} failed {failures} times within {within}, left out for {span}");
            notice::give(Notice::ServerEjected, &reason);
        }
    }
}

impl Ticket {
    /// Says why the server was not connected to, where that is to be mended by an operator: a server that is not who it should be.
    pub fn say(&self, error: &std::io::Error) {
        if error.kind() == std::io::ErrorKind::InvalidData {
            let Server { upstream, address, .. } = &*self.server;
            notice::give(Notice::HandshakeFailed, &format!("upstream.{upstream}: {address}: {error}"));
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.server.load.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a dial came to.
#[derive(Debug)]
pub enum Dialed {
    /// A pooled connection.
    Reused(Socket, Ticket),
    /// A connection that is being made, and until when.
    Connecting(Connecting, Nanos, Ticket),
    /// The server refused at once.
    Refused(u64),
    /// There is no such upstream.
    Unknown,
    /// Every server is out or was to be avoided.
    NoServer,
    /// Every server that is in has as many connections as it may.
    Full,
}

/// The upstreams as one worker sees them.
#[derive(Debug, Default)]
pub struct Upstreams {
    /// Sorted by name: there are few, and a search beats a hash.
    all: Vec<Upstream>,
    /// Servers are told of clients.
    has_owners: bool,
    chance: u64,
}

#[derive(Debug)]
struct Upstream {
    name: String,
    servers: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    server: Arc<Server>,
    idle: VecDeque<Idle>,
}

/// A connection that can serve again.
#[derive(Debug)]
struct Idle {
    since: Nanos,
    socket: Socket,
    /// Whose it was said to be, whom alone it serves again.
    owner: Option<Owner>,
}

/// One server, as one worker sees it.
#[derive(Debug)]
struct Server {
    /// The same in every version and worker: a digest of upstream and address.
    number: u64,
    upstream: String,
    address: Address,
    settings: Settings,
    /// Connections in use, counted by this worker alone; atomic because a session may be dropped elsewhere.
    load: AtomicU32,
    health: Arc<Health>,
}

impl Upstreams {
    /// Takes the configuration's upstreams. Pools of servers that stay as they were are kept. `health` is shared with the
    /// other workers.
    pub fn configure(&mut self, upstreams: &config::Upstreams) {
        let mut old = std::mem::take(&mut self.all);
        self.has_owners = upstreams.values().any(|(settings, _)| settings.proxy_protocol.is_some());
        for (name, (settings, healths)) in upstreams {
            let before = old.iter_mut().find(|upstream| upstream.name == *name);
            let mut kept = before.map(|upstream| std::mem::take(&mut upstream.servers)).unwrap_or_default();
            let servers = settings.servers.iter().zip(healths).map(|(address, health)| {
                let same = |member: &Member| {
                    member.server.address == *address && member.server.settings.are_but_for_servers(settings)
                };
                match kept.iter().position(same) {
                    Some(at) => kept.swap_remove(at),
                    None => Member::new(name, address, settings, Arc::clone(health)),
                }
            });
            let servers = servers.collect();
            self.all.push(Upstream { name: name.clone(), servers });
        }
    }

    /// Makes pooled connections part of the runtime that it is called in. One that it does not take is made anew when it is needed.
    pub fn taken_over(mut self) -> Self {
        for member in self.all.iter_mut().flat_map(|upstream| &mut upstream.servers) {
            let idle = std::mem::take(&mut member.idle).into_iter();
            member.idle =
                idle.filter_map(|idle| Some(Idle { socket: idle.socket.taken_over().ok()?, ..idle })).collect();
        }
        self
    }

    /// A connection to a server of an upstream, for an owner where servers are told.
    pub fn dial<N: Iterator<Item = u64>>(
        &mut self,
        upstream: &[u8],
        avoid: impl Fn() -> N,
        fresh: bool,
        owner: impl FnOnce() -> Option<Owner>,
        now: Nanos,
    ) -> Dialed {
        let chance = self.draw();
        let Some(upstream) = self.named(upstream) else { return Dialed::Unknown };
        let member = match upstream.choose(chance, avoid, now) {
            Ok(at) => &mut upstream.servers[at],
            Err(dialed) => return dialed,
        };
        let owner = member.server.settings.proxy_protocol.and_then(|_| owner());
        let ticket = Ticket::take(&member.server, owner);
        if !fresh && let Some(socket) = member.take_idle(now, owner) {
            return Dialed::Reused(socket, ticket);
        }
        match Connecting::begin(&member.server.address, &member.server.settings.way(), owner.map(|owner| owner.client))
        {
            Ok(connecting) => {
                let deadline = now.saturating_add(nanos(member.server.settings.connect_timeout.get()));
                Dialed::Connecting(connecting, deadline, ticket)
            }
            Err(error) => {
                // That we have no descriptors left is not the server's fault.
                if is_the_servers(&error) {
                    ticket.blame(now);
                }
                Dialed::Refused(ticket.server())
            }
        }
    }

    /// Takes a connection back that can serve again, its owner alone where its server was told.
    pub fn pool(&mut self, socket: Socket, mut ticket: Ticket, now: Nanos) {
        let Some(upstream) = self.named(ticket.server.upstream.as_bytes()) else { return };
        let Some(member) = upstream.servers.iter_mut().find(|member| Arc::ptr_eq(&member.server, &ticket.server))
        else {
            return;
        };
        let keepalive = member.server.settings.keepalive;
        let owner = ticket.owner.take().map(|owner| *owner);
        if member.idle.len() >= keepalive && owner.is_some() {
            // Whoever was last here is the likeliest to come back.
            member.idle.pop_front();
        }
        if member.idle.len() < keepalive {
            member.idle.push_back(Idle { since: now, socket, owner });
        }
    }

    /// A session has ended: what is idle and was its own serves nobody any more.
    pub fn forget(&mut self, session: u64) {
        if self.has_owners {
            let idle = self.all.iter_mut().flat_map(|upstream| &mut upstream.servers).map(|member| &mut member.idle);
            idle.for_each(|idle| idle.retain(|one| one.owner.is_none_or(|owner| owner.session != session)));
        }
    }

    /// Closes idle connections whose time is up, or that their server has closed.
    pub fn sweep(&mut self, now: Nanos) {
        for member in self.all.iter_mut().flat_map(|upstream| &mut upstream.servers) {
            let kept = nanos(member.server.settings.idle_timeout.get());
            member.idle.retain_mut(|idle| now.saturating_sub(idle.since) <= kept && idle.socket.is_quiet());
        }
    }

    fn named(&mut self, name: &[u8]) -> Option<&mut Upstream> {
        let at = self.all.binary_search_by(|upstream| upstream.name.as_bytes().cmp(name)).ok()?;
        Some(&mut self.all[at])
    }

    /// xorshift64: which two servers are compared needs no better chance.
    fn draw(&mut self) -> u64 {
        if self.chance == 0 {
            // Any number but 0 will do; where this worker's data lies differs from the next one's.
            self.chance = (std::ptr::from_ref(self).addr() as u64) ^ 0x9e37_79b9_7f4a_7c15;
        }
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance
    }
}

impl Upstream {
    /// The less loaded of two servers that are in, not avoided and not full.
    fn choose<N: Iterator<Item = u64>>(&self, chance: u64, avoid: impl Fn() -> N, now: Nanos) -> Result<usize, Dialed> {
        let mut full = false;
        let usable = |at: &usize, full: &mut bool| {
            let server = &self.servers[*at].server;
            // The only server is never left out: there is nobody to turn to.
            let is_in = self.servers.len() == 1 || server.health.is_in(now);
            if !is_in || avoid().any(|number| number == server.number) {
                return false;
            }
            let has_room = server.load.load(Ordering::Relaxed) < server.settings.max_connections;
            *full |= !has_room;
            has_room
        };
        let count = (0..self.servers.len()).filter(|at| usable(at, &mut full)).count();
        let nth = |n: usize| (0..self.servers.len()).filter(|at| usable(at, &mut false)).nth(n);
        let load = |at: usize| self.servers[at].server.load.load(Ordering::Relaxed);
        match count {
            0 if full => Err(Dialed::Full),
            0 => Err(Dialed::NoServer),
            1 => nth(0).ok_or(Dialed::NoServer),
            _ => {
                let (one, other) = (chance as usize % count, (chance >> 32) as usize % (count - 1));
                let other = if other >= one { other + 1 } else { other };
                let (one, other) = (nth(one).ok_or(Dialed::NoServer)?, nth(other).ok_or(Dialed::NoServer)?);
                Ok(if load(other) < load(one) { other } else { one })
            }
        }
    }
}

impl Member {
    fn new(upstream: &str, address: &Address, settings: &Settings, health: Arc<Health>) -> Self {
        let digest = blake3::hash(format!("{upstream} {address}").as_bytes());
        let (number, _) = digest.as_bytes().split_first_chunk().expect("a digest has 32 bytes");
        let server = Server {
            // One bit less, so that one more still fits.
            number: u64::from_le_bytes(*number) >> 1,
            upstream: upstream.to_owned(),
            address: address.clone(),
            settings: settings.clone(),
            load: AtomicU32::new(0),
            health,
        };
        Member { server: Arc::new(server), idle: VecDeque::new() }
    }

    /// The connection that was used last for this owner, or for anybody where nobody is told of, and is still quiet.
    fn take_idle(&mut self, now: Nanos, owner: Option<Owner>) -> Option<Socket> {
        let kept = nanos(self.server.settings.idle_timeout.get());
        // Where nobody is told of that is the last one.
        while let Some(at) = self.idle.iter().rposition(|idle| idle.owner == owner)
            && let Some(Idle { since, mut socket, .. }) = self.idle.remove(at)
        {
            if now.saturating_sub(since) <= kept && socket.is_quiet() {
                return Some(socket);
            }
        }
        None
    }
}

/// Whether it is the server that could not be connected to, and not we who could not connect.
fn is_the_servers(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NotFound
            | ErrorKind::WouldBlock
    )
}

/// How often a worker sweeps its pools.
pub const SWEEP: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::{Dialed, Settings, Upstreams};
    use crate::transport::Address;

    #[test]
    fn chance_reaches_every_server() {
        for servers in 1..=8_u16 {
            let addresses: Vec<Address> =
                (1..=servers).map(|port| format!("tcp://192.0.2.1:{port}").parse().unwrap()).collect();
            let settings: Settings = toml::from_str("servers = []").unwrap();
            let healths = addresses.iter().map(|_| Default::default()).collect();
            let mut upstreams = Upstreams::default();
            let settings = Settings { servers: addresses, ..settings };
            upstreams.configure(&[("app".to_owned(), (settings, healths))].into());
            let mut chosen = vec![0; usize::from(servers)];
            for _ in 0..1000 {
                let chance = upstreams.draw();
                let at = upstreams.named(b"app").unwrap().choose(chance, || [].into_iter(), 0);
                chosen[at.unwrap_or_else(|dialed: Dialed| panic!("{dialed:?}"))] += 1;
            }
            let fair = 1000 / usize::from(servers);
            assert!(chosen.iter().all(|count| *count > fair / 2), "{servers} servers were chosen {chosen:?} times");
        }
    }
}
