//! A connection, whatever carries it.

use std::io::{self, IoSlice, Read};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tandem_component::{Peer, Secured, Transport};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::Tls;
use crate::system::{self, UnixStream};

/// A connection, whatever carries it.
#[derive(Debug)]
pub enum Socket {
    /// A TCP connection.
    Tcp(TcpStream),
    /// A TCP connection with TLS on it.
    Tls(Box<Tls>),
    /// A connection over a Unix socket.
    Unix(UnixStream),
    /// Datagrams to one peer, by the socket that all peers of a listener share. What comes in is handed over by the
    /// listener, with which the socket goes.
    Udp(Weak<UdpSocket>, SocketAddr),
}

impl Socket {
    /// Makes it part of the runtime that it is called in, whichever it was part of.
    ///
    /// # Errors
    /// The runtime does not take it.
    pub fn taken_over(self) -> io::Result<Self> {
        Ok(match self {
            Socket::Tcp(stream) => Socket::Tcp(TcpStream::from_std(stream.into_std()?)?),
            Socket::Unix(stream) => Socket::Unix(UnixStream::from_std(stream.into_std()?)?),
            Socket::Tls(mut tls) => {
                tls.take_over()?;
                Socket::Tls(tls)
            }
            // It is part of none.
            udp @ Socket::Udp(..) => udp,
        })
    }

    /// What the component is told.
    pub fn transport(&self) -> Transport {
        match self {
            Socket::Tcp(_) | Socket::Tls(_) => Transport::Tcp,
            Socket::Unix(_) => Transport::Unix,
            Socket::Udp(..) => Transport::Udp,
        }
    }

    /// What was agreed on by TLS, where it has that.
    pub fn secured(&self) -> Option<Secured<'_>> {
        if let Socket::Tls(tls) = self { Some(tls.secured()) } else { None }
    }

    /// Our own address.
    pub fn local(&self) -> Peer {
        let address = match self {
            Socket::Tcp(stream) => stream.local_addr(),
            Socket::Tls(tls) => tls.tcp().local_addr(),
            Socket::Udp(socket, _) => match socket.upgrade() {
                Some(socket) => socket.local_addr(),
                None => return Peer::Unix,
            },
            Socket::Unix(_) => return Peer::Unix,
        };
        // A socket that has just been accepted has an address; one that broke meanwhile is found out at its first use.
        address.map_or(Peer::Unix, Peer::Inet)
    }

    /// Reads into `buffer`; nothing read and ready is the end.
    #[inline]
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Tcp(stream) => read_tcp(stream, cx, buffer),
            Socket::Tls(tls) => tls.poll_read(cx, buffer),
            Socket::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Socket::Udp(..) => Poll::Pending,
        }
    }

    /// Reads what the kernel has now, whether the runtime knows of it or not.
    pub fn read_at_once(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => (&*SockRef::from(&*stream)).read(buffer),
            Socket::Tls(tls) => tls.read_at_once(buffer),
            Socket::Unix(stream) => (&*SockRef::from(&*stream)).read(buffer),
            Socket::Udp(..) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Writes what the kernel takes of two slices, the first first.
    #[inline]
    pub fn poll_write(&mut self, cx: &mut Context<'_>, first: &[u8], second: &[u8]) -> Poll<io::Result<usize>> {
        let (one, both) = (IoSlice::new(first), [IoSlice::new(first), IoSlice::new(second)]);
        let single = [one];
        let slices: &[IoSlice<'_>] = if second.is_empty() { &single } else { &both };
        match self {
            // Most writes are taken at once, and then there is no waker to be registered.
            Socket::Tcp(stream) if second.is_empty() => {
                match stream.try_io(Interest::WRITABLE, || system::send(stream, first)) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Pin::new(stream).poll_write(cx, first),
                    written => Poll::Ready(written),
                }
            }
            Socket::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Socket::Tls(tls) => tls.poll_write(cx, first, second),
            Socket::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Socket::Udp(..) => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        }
    }

    /// Sends one datagram at once, or not: what the kernel has no room for is lost, as datagrams are.
    pub fn send_datagram(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Udp(socket, peer) => match socket.upgrade() {
                Some(socket) => socket.send_to(bytes, *peer),
                None => Err(io::ErrorKind::NotConnected.into()),
            },
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Half-closes: the peer sees the end.
    pub fn finish(&mut self) {
        // An error means that the connection is gone already, which reading will tell.
        let _ = match self {
            Socket::Tcp(stream) => SockRef::from(&*stream).shutdown(std::net::Shutdown::Write),
            Socket::Tls(tls) => {
                tls.finish();
                Ok(())
            }
            Socket::Unix(stream) => SockRef::from(&*stream).shutdown(std::net::Shutdown::Write),
            Socket::Udp(..) => Ok(()),
        };
    }

    /// Makes the coming drop a reset instead of an orderly end.
    pub fn reset(&mut self) {
        let stream = match self {
            Socket::Tcp(stream) => &*stream,
            Socket::Tls(tls) => {
                tls.abandon();
                tls.tcp()
            }
            Socket::Unix(_) | Socket::Udp(..) => return,
        };
        // An error means that the connection is gone already.
        let _ = SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
    }

    /// Whether the runtime knows of something to read: bytes, the end, an error. Asks the runtime only, not the kernel.
    #[inline]
    pub fn may_read(&self) -> bool {
        let known = || Ok(());
        match self {
            Socket::Tcp(stream) => stream.try_io(Interest::READABLE, known).is_ok(),
            Socket::Tls(tls) => tls.may_read(),
            Socket::Unix(stream) => stream.try_io(Interest::READABLE, known).is_ok(),
            Socket::Udp(..) => false,
        }
    }

    /// Whether the other side has said nothing, not even that it goes. For a connection that nothing is expected on.
    pub fn is_quiet(&mut self) -> bool {
        match self {
            // By TLS more is said than what is for us: tickets for later connections.
            Socket::Tls(tls) => tls.is_quiet(),
            socket => !socket.may_read(),
        }
    }
}

/// Reads as the runtime would, with less on the way: a waker is registered only where there is nothing to read.
fn read_tcp(stream: &TcpStream, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    loop {
        let mut drained = None;
        let read = stream.try_io(Interest::READABLE, || {
            let room = buffer.initialize_unfilled();
            match system::receive(stream, room) {
                // Less than there is room for is all that there was: the runtime may forget that there was something.
                Ok(n) if 0 < n && n < room.len() => {
                    drained = Some(n);
                    Err(io::ErrorKind::WouldBlock.into())
                }
                read => read,
            }
        });
        match (drained, read) {
            (Some(n), _) | (None, Ok(n)) => {
                buffer.advance(n);
                return Poll::Ready(Ok(()));
            }
            (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => ready!(stream.poll_read_ready(cx))?,
            (None, Err(error)) => return Poll::Ready(Err(error)),
        }
    }
}
