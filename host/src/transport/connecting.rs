//! A connection that is being made, with a PROXY header and TLS on it where these are wanted.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use socket2::{Domain, Protocol, Type};
use tokio::net::TcpStream;

use super::proxy::header::{self, Client, Version};
use super::{Address, Handshake, Socket};
use crate::system;
use crate::tls::Dialing;

/// How a server is connected to.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// By this version of the PROXY protocol it is told on behalf of whom.
    pub proxy_protocol: Option<Version>,
    /// By this TLS is agreed on, after that.
    pub tls: Option<Arc<Dialing>>,
}

/// A connection that is being made.
#[derive(Debug)]
pub struct Connecting(State);

#[derive(Debug)]
enum State {
    /// These bytes are to be said first, once it is there.
    Says(TcpStream, Vec<u8>, Option<Arc<Dialing>>),
    /// To be had as it is, once it is there.
    Plain(Socket),
    /// To be had by TLS, once it is there.
    Secured(TcpStream, Arc<Dialing>),
    /// It is there, and TLS is being agreed on.
    Shaking(Handshake),
    /// It came to nothing.
    Failed,
}

impl Connecting {
    /// Begins to connect, on behalf of somebody or of nobody but us. Does not wait.
    ///
    /// # Errors
    /// No socket can be had, or the kernel refuses at once.
    pub fn begin(address: &Address, way: &Way, client: Option<Client>) -> io::Result<Self> {
        match address {
            Address::Tcp(inet) => {
                let socket = socket2::Socket::new(Domain::for_address(*inet), Type::STREAM, Some(Protocol::TCP))?;
                socket.set_nonblocking(true)?;
                socket.set_tcp_nodelay(true)?;
                match socket.connect(&(*inet).into()) {
                    Err(error) if !system::is_connecting(&error) => return Err(error),
                    _ => {}
                }
                let stream = TcpStream::from_std(socket.into())?;
                let tls = way.tls.clone();
                Ok(Connecting(match way.proxy_protocol {
                    None => State::of(stream, tls),
                    Some(version) => State::Says(stream, header::write(version, client), tls),
                }))
            }
            Address::Unix(path) => Ok(Connecting(State::Plain(Socket::Unix(system::connect_unix(path)?)))),
            Address::Udp(_) => Err(io::Error::new(io::ErrorKind::Unsupported, "an upstream is a stream")),
        }
    }

    /// As [`Socket::taken_over`].
    ///
    /// # Errors
    /// The runtime does not take it.
    pub fn taken_over(self) -> io::Result<Self> {
        Ok(Connecting(match self.0 {
            State::Plain(socket) => State::Plain(socket.taken_over()?),
            State::Says(stream, rest, tls) => State::Says(TcpStream::from_std(stream.into_std()?)?, rest, tls),
            State::Secured(stream, tls) => State::Secured(TcpStream::from_std(stream.into_std()?)?, tls),
            State::Shaking(handshake) => State::Shaking(handshake.taken_over()?),
            State::Failed => State::Failed,
        }))
    }

    /// Whether the connection is there.
    ///
    /// # Errors
    /// It was refused, or cannot be made. What TLS is about is [`InvalidData`](io::ErrorKind::InvalidData).
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.0 {
                State::Says(stream, rest, _) => {
                    ready!(there(stream, cx))?;
                    while !rest.is_empty() {
                        match stream.try_write(rest) {
                            Ok(n) => drop(rest.drain(..n)),
                            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                                ready!(stream.poll_write_ready(cx))?;
                            }
                            Err(error) => return Poll::Ready(Err(error)),
                        }
                    }
                }
                State::Plain(Socket::Tcp(stream)) => return there(stream, cx),
                State::Plain(_) => return Poll::Ready(Ok(())),
                State::Secured(stream, _) => ready!(there(stream, cx))?,
                State::Shaking(handshake) => return handshake.poll(cx),
                State::Failed => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            }
            self.0 = match std::mem::replace(&mut self.0, State::Failed) {
                State::Says(stream, _, tls) => State::of(stream, tls),
                State::Secured(stream, tls) => {
                    let name = tls.name(stream.peer_addr()?);
                    State::Shaking(Handshake::connect(stream, tls.config(), name)?)
                }
                other => other,
            };
        }
    }

    /// The connection, once `poll` has said that it is there.
    pub fn done(self) -> Option<Socket> {
        match self.0 {
            State::Plain(socket) => Some(socket),
            State::Shaking(handshake) => Some(Socket::Tls(handshake.done())),
            State::Says(..) | State::Secured(..) | State::Failed => None,
        }
    }
}

impl State {
    /// A connection on which nothing else is to be said first.
    fn of(stream: TcpStream, tls: Option<Arc<Dialing>>) -> Self {
        match tls {
            None => State::Plain(Socket::Tcp(stream)),
            Some(tls) => State::Secured(stream, tls),
        }
    }
}

fn there(stream: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    ready!(stream.poll_write_ready(cx))?;
    Poll::Ready(match stream.take_error()? {
        Some(error) => Err(error),
        None => Ok(()),
    })
}
