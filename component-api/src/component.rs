//! One protocol at one version: [`Component`], and what it is told when it starts and when a session opens.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::ledger::Ledger;
use crate::record::Recording;
use crate::session::Session;
use crate::table::Table;
use crate::trace::Sampling;

/// One protocol at one version, at work for one service with one configuration.
///
/// It is immutable once started and shared by all its sessions on all workers. What must change lives in the session or
/// in the store. The [manual](crate::manual::echo) walks through a whole one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no component",
    label = "it has no `impl Component for {Self}`",
    note = "a component says its configuration, its sessions and their policy: see `tandem_component::manual::echo`"
)]
pub trait Component: Sized + Send + Sync + 'static {
    /// The service's configuration, deserialized from `[service.NAME.config]`.
    ///
    /// Refuse unknown keys (`#[serde(deny_unknown_fields)]`): the operator is told the key and what would be right.
    /// `()` where there is nothing to configure.
    type Config: DeserializeOwned;

    /// One conversation.
    type Session: Session<Component = Self>;

    /// The tables that this version reads and writes, with their columns.
    const TABLES: &'static [Table] = &[];

    /// How these tables tell what became of all that was accepted, where they do.
    const LEDGER: Option<Ledger> = None;

    /// What becomes of a session when a newer version is active.
    const POLICY: Policy;

    /// Whether the host keeps a session of each service open that has no peer ([`Transport::Resident`]), one on each worker: for
    /// what happens by itself, and for requests of other services that want a session that stays. It follows new versions as
    /// others do; when it has ended it is opened again, after a wait that grows or with the next publication. Asked to say goodbye, it has to end.
    const RESIDENT: bool = false;

    /// Makes a component of its configuration. Runs off the workers, first in a child process that examines the library.
    ///
    /// # Errors
    /// A [`Refusal`] says why this configuration cannot be served. The version that ran before goes on.
    fn start(config: Self::Config, starting: &Starting<'_>) -> Result<Self, Refusal>;

    /// Begins a session. Its first event is [`Event::Opened`](crate::Event::Opened).
    ///
    /// # Errors
    /// A [`Refusal`] closes the connection; the operator reads the reason.
    fn open(&self, opening: &Opening<'_>) -> Result<Self::Session, Refusal>;
}

/// What becomes of a session when a newer version is active. See the [manual](crate::manual::versions).
///
/// ```
/// use tandem_component::Policy;
/// assert_eq!([Policy::Renew, Policy::Carry, Policy::Pin].map(Policy::word), ["renew", "carry", "pin"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Stateless between exchanges: at a boundary the session is dropped and a fresh one opened by the new version on
    /// the same connection; not at a boundary it is carried.
    Renew,
    /// Exported by the old version and resumed by the new one, between any two events.
    Carry,
    /// Stays with the version that it began on, until it ends.
    Pin,
}

impl Policy {
    /// The word that stands in the manifest.
    pub const fn word(self) -> &'static str {
        match self {
            Policy::Renew => "renew",
            Policy::Carry => "carry",
            Policy::Pin => "pin",
        }
    }
}

/// What a component is told when it starts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Starting<'a> {
    /// The service that it starts for: `web`.
    pub service: &'a str,
    /// The version as the host writes it: `http@1.2.0#3fa9c1`.
    pub version: &'a str,
    /// The upstreams that the configuration has, by name. Refuse one that is not there. Others may be added while the
    /// component is at work; where one is taken out, it is started anew.
    #[serde(borrow)]
    pub upstreams: Vec<&'a str>,
    /// The run of the host: another number after each restart, never 0. One host at a time has a store, so what a session of
    /// another run holds there, a lease say, nobody holds any more. 0 where an older host does not tell.
    #[serde(default)]
    pub run: u64,
    /// Whether a record of each exchange is wanted, see [`recording`](Self::recording), which also knows of traces. Where that changes it is
    /// started anew. Of what is not recorded, tell that it has [ended](crate::Out::ended): by that a canary is compared.
    #[serde(default)]
    pub records: bool,
    /// Where traces are exported, the share of those that begin here which is [sampled](crate::Trace::is_sampled). What belongs to a
    /// trace is then to be told to others, in the way that the protocol has for it. Where that changes it is started anew.
    #[serde(default)]
    pub traces: Option<Sampling>,
}

impl Starting<'_> {
    /// Which exchanges are to be recorded.
    pub fn recording(&self) -> Recording {
        match (self.records, self.traces) {
            (true, _) => Recording::All,
            (false, Some(_)) => Recording::Sampled,
            (false, None) => Recording::None,
        }
    }
}

/// What a session is told when it opens, and again when it is resumed by another version.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Opening<'a> {
    /// The service: `web`.
    pub service: &'a str,
    /// The number of the session, unique in this run of the host; log records carry it.
    pub session: u64,
    /// What carries the bytes.
    pub transport: Transport,
    /// Which side of the protocol the session plays.
    pub role: Role,
    /// The other side's address.
    pub peer: Peer,
    /// Our own address.
    pub local: Peer,
    /// When the connection was established. Older than the session where the session renews another.
    pub established: Time,
    /// Since when the connection is idle: no exchange has begun since. A renewed session counts its idle time from here.
    pub idle_since: Time,
    /// The conversation that the session is, where it was opened or resumed because another had [named](crate::Out::route) it.
    #[serde(default, borrow, with = "serde_bytes", skip_serializing_if = "Option::is_none")]
    pub key: Option<&'a [u8]>,
    /// What was agreed on with the other side, where there is TLS on the connection: the host has it, and the session's bytes are
    /// plain either way. `None` as well where an older host does not tell.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Secured<'a>>,
}

/// What was agreed on with the other side of a connection with TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Secured<'a> {
    /// The protocol that both speak (ALPN), of those that the configuration names: `h2`.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub alpn: Option<&'a str>,
    /// The name by which a client has asked for us (SNI).
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<&'a str>,
    /// Whose certificate the other side has shown and proven to be its own, as RFC 4514 writes it: `CN=alice,O=Example`. Of a
    /// client there is one only where the configuration asks for it.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub subject: Option<&'a str>,
}

impl<'a> Secured<'a> {
    /// With this protocol, this name and this subject.
    pub fn new(alpn: Option<&'a str>, server_name: Option<&'a str>, subject: Option<&'a str>) -> Self {
        Secured { alpn, server_name, subject }
    }
}

/// What carries the bytes of a session's own stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Transport {
    /// A TCP connection.
    Tcp,
    /// Datagrams to and from one peer.
    Udp,
    /// A Unix stream socket.
    Unix,
    /// No connection: the session was opened for one request of another service. It ends once that is answered and it waits
    /// for nothing else.
    Call,
    /// No connection, and for as long as the service is served: a [resident](Component::RESIDENT).
    Resident,
}

/// Which side of the protocol a session plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The peer connected to a listener of ours.
    Server,
    /// We connected to the peer.
    Client,
}

/// One end of a connection.
///
/// ```
/// use tandem_component::Peer;
/// let peer = Peer::Inet("192.0.2.1:40000".parse().unwrap());
/// assert_eq!((peer.to_string().as_str(), peer.ip().is_some()), ("192.0.2.1:40000", true));
/// assert_eq!((Peer::Unix.to_string().as_str(), Peer::Unix.ip()), ("unix", None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Peer {
    /// An address and a port.
    Inet(SocketAddr),
    /// An unnamed end of a Unix socket.
    Unix,
    /// Another service of this gateway.
    Service,
}

impl Peer {
    /// The address, where there is one.
    pub fn ip(&self) -> Option<std::net::IpAddr> {
        match self {
            Peer::Inet(address) => Some(address.ip()),
            Peer::Unix | Peer::Service => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Inet(address) => address.fmt(f),
            Peer::Unix => f.write_str("unix"),
            Peer::Service => f.write_str("service"),
        }
    }
}

/// A point in time, in nanoseconds since 1970-01-01T00:00:00Z.
///
/// ```
/// use std::time::Duration;
/// use tandem_component::Time;
/// let noon = Time::from_nanos(1_000_000_000);
/// assert_eq!((noon + Duration::from_millis(5)).since(noon), Duration::from_millis(5));
/// assert_eq!(noon.since(noon + Duration::from_secs(1)), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(u64);

impl Time {
    /// From nanoseconds since 1970.
    pub const fn from_nanos(nanos: u64) -> Self {
        Time(nanos)
    }

    /// Nanoseconds since 1970.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero where it is before.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Time {
    type Output = Time;
    fn add(self, span: Duration) -> Time {
        Time(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl From<Time> for std::time::SystemTime {
    fn from(time: Time) -> Self {
        std::time::UNIX_EPOCH + Duration::from_nanos(time.0)
    }
}

/// Why a component does not start, a session does not open, or a state is not resumed. The operator reads it.
///
/// ```
/// use tandem_component::Refusal;
/// assert_eq!(Refusal::from("routes is empty").to_string(), "routes is empty");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(String);

impl<T: Into<String>> From<T> for Refusal {
    fn from(reason: T) -> Self {
        Refusal(reason.into())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
