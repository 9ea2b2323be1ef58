//! A TCP connection with TLS on it, terminated here: who reads and writes sees the plain bytes.
//!
//! rustls has no sockets. It is driven here by the same non-blocking calls that plain connections are, so that nothing of a
//! worker's turn is different: what is encrypted and what is decrypted lies in the connection, which is the session's as its socket
//! is, and stays where it is when the session moves to another version.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use socket2::SockRef;
use tandem_component::Secured;
use tokio::io::{Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::system;
use crate::tls::names;

/// So much is encrypted at a time, and not before the last has left: what is encrypted is held twice.
const AT_ONCE: usize = 64 * 1024;

/// A connection with TLS on it.
pub struct Tls {
    tcp: TcpStream,
    connection: Connection,
    /// So much of what was to be written is encrypted and has not left as a whole. Until it has, none of it counts as written, and the
    /// same bytes are offered again.
    owed: usize,
    /// How much is decrypted and was not read.
    plain: usize,
    end: End,
    /// Who the other side is by its certificate.
    subject: Option<String>,
}

/// How far our end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    /// Our side has said that nothing more comes, and it may not have left.
    Said,
    /// … and it has. Or nothing is to be said.
    Told,
}

/// The kernel's end of a connection, as rustls reads and writes it.
struct Kernel<'a>(&'a TcpStream);

impl Read for Kernel<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        system::receive(self.0, buffer)
    }
}

impl Write for Kernel<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        system::send(self.0, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("tcp", &self.tcp).field("owed", &self.owed).field("end", &self.end).finish()
    }
}

impl Tls {
    fn of(tcp: TcpStream, mut connection: Connection) -> Box<Self> {
        // How much is encrypted at a time is said here.
        connection.set_buffer_limit(None);
        Box::new(Tls { tcp, connection, owed: 0, plain: 0, end: End::Open, subject: None })
    }

    /// As [`Socket::taken_over`](super::Socket::taken_over).
    ///
    /// # Errors
    /// The runtime does not take it, or there is no descriptor for it.
    pub fn take_over(&mut self) -> io::Result<()> {
        let same: std::net::TcpStream = SockRef::from(&self.tcp).try_clone()?.into();
        self.tcp = TcpStream::from_std(same)?;
        Ok(())
    }

    /// What carries it.
    pub fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// What was agreed on with the other side.
    pub fn secured(&self) -> Secured<'_> {
        let server_name = match &self.connection {
            Connection::Server(server) => server.server_name(),
            Connection::Client(_) => None,
        };
        let alpn = self.connection.alpn_protocol().and_then(|name| std::str::from_utf8(name).ok());
        Secured::new(alpn, server_name, self.subject.as_deref())
    }

    /// Reads what was sent; nothing read and ready is the end, which the other side has said: one that goes without is lost.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.bring_out(cx);
        loop {
            match self.read_plain(buffer.initialize_unfilled()) {
                Ok(n) => {
                    buffer.advance(n);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            ready!(self.poll_receive(cx))?;
            // What came may have been about the connection itself, and is to be answered.
            self.bring_out(cx);
        }
    }

    /// As [`Socket::read_at_once`](super::Socket::read_at_once).
    pub fn read_at_once(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.read_plain(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            self.connection.read_tls(&mut Kernel(&self.tcp))?;
            self.process()?;
        }
    }

    /// Encrypts what there is of two slices and writes it, the first first. Says how much was written once the kernel has taken it;
    /// until then, the same bytes are to be offered again.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, first: &[u8], second: &[u8]) -> Poll<io::Result<usize>> {
        if self.owed == 0 {
            let first = &first[..first.len().min(AT_ONCE)];
            let second = &second[..second.len().min(AT_ONCE - first.len())];
            let slices = [IoSlice::new(first), IoSlice::new(second)];
            self.owed = self.connection.writer().write_vectored(&slices)?;
        }
        debug_assert!(self.owed <= first.len() + second.len(), "what was not taken is offered again");
        ready!(self.poll_flush(cx))?;
        Poll::Ready(Ok(std::mem::take(&mut self.owed)))
    }

    /// Says that nothing more comes.
    pub fn finish(&mut self) {
        if self.end == End::Open {
            self.end = End::Said;
            self.connection.send_close_notify();
            self.bring_out_at_once();
        }
    }

    /// It is to end without a word.
    pub fn abandon(&mut self) {
        self.end = End::Told;
    }

    /// Whether something is there to be read, or to be done in reading.
    pub fn may_read(&self) -> bool {
        self.plain > 0 || self.connection.wants_write() || self.tcp.try_io(Interest::READABLE, || Ok(())).is_ok()
    }

    /// Whether the other side has said nothing, though it may have had something to say about the connection itself.
    pub fn is_quiet(&mut self) -> bool {
        let mut nothing = [0; 1];
        matches!(self.read_at_once(&mut nothing), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    fn read_plain(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.connection.reader().read(buffer)?;
        self.plain = self.plain.saturating_sub(n);
        Ok(n)
    }

    /// Takes in what the kernel has; none is its end.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            let (tcp, connection) = (&self.tcp, &mut self.connection);
            match tcp.try_io(Interest::READABLE, || connection.read_tls(&mut Kernel(tcp))) {
                Ok(n) => {
                    self.process()?;
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(self.tcp.poll_read_ready(cx))?,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn process(&mut self) -> io::Result<()> {
        match self.connection.process_new_packets() {
            Ok(state) => {
                self.plain = state.plaintext_bytes_to_read();
                Ok(())
            }
            Err(error) => {
                // The other side is told why.
                self.bring_out_at_once();
                self.end = End::Told;
                Err(io::Error::new(io::ErrorKind::InvalidData, error))
            }
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.connection.wants_write() {
            let (tcp, connection) = (&self.tcp, &mut self.connection);
            match tcp.try_io(Interest::WRITABLE, || connection.write_tls(&mut Kernel(tcp))) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(self.tcp.poll_write_ready(cx))?,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what is to leave beside the bytes that are written, and our end once it has.
    fn bring_out(&mut self, cx: &mut Context<'_>) {
        if self.connection.wants_write() || self.end == End::Said {
            // That it is broken, reading tells.
            if self.poll_flush(cx).is_ready() {
                self.tell_end();
            }
        }
    }

    /// As `bring_out`, with what the kernel takes now.
    fn bring_out_at_once(&mut self) {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut Kernel(&self.tcp)) {
                Ok(1..) => {}
                // That it is broken, reading tells.
                Ok(0) | Err(_) => return,
            }
        }
        self.tell_end();
    }

    fn tell_end(&mut self) {
        if self.end == End::Said {
            self.end = End::Told;
            // An error means that the connection is gone already, which reading will tell.
            let _ = SockRef::from(&self.tcp).shutdown(std::net::Shutdown::Write);
        }
    }
}

impl Drop for Tls {
    /// A connection that is closed says so where all has left, so that nobody takes a part for the whole.
    fn drop(&mut self) {
        if self.owed == 0 {
            self.finish();
        }
    }
}

/// A connection on which TLS is being agreed on.
#[derive(Debug)]
pub struct Handshake(Box<Tls>);

impl Handshake {
    /// With a client that has connected to us.
    ///
    /// # Errors
    /// rustls does not begin.
    pub fn accept(tcp: TcpStream, config: &Arc<ServerConfig>) -> io::Result<Self> {
        let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        Ok(Handshake(Tls::of(tcp, connection.into())))
    }

    /// With a server that we are connected to.
    ///
    /// # Errors
    /// rustls does not begin.
    pub fn connect(tcp: TcpStream, config: &Arc<ClientConfig>, name: ServerName<'static>) -> io::Result<Self> {
        let connection = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        Ok(Handshake(Tls::of(tcp, connection.into())))
    }

    /// As [`Tls::take_over`].
    ///
    /// # Errors
    /// The runtime does not take it.
    pub fn taken_over(mut self) -> io::Result<Self> {
        self.0.take_over()?;
        Ok(self)
    }

    /// Whether it is agreed on.
    ///
    /// # Errors
    /// It cannot be, or the connection is gone.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tls = &mut *self.0;
        loop {
            let flushed = tls.poll_flush(cx)?;
            if !tls.connection.is_handshaking() {
                ready!(flushed);
                tls.subject = tls.connection.peer_certificates().and_then(|chain| names::subject(chain.first()?));
                return Poll::Ready(Ok(()));
            }
            if ready!(tls.poll_receive(cx))? == 0 {
                tls.end = End::Told;
                let reason = "the other side went before the handshake was over";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason)));
            }
        }
    }

    /// The connection, once `poll` has said that it is agreed on.
    pub fn done(self) -> Box<Tls> {
        self.0
    }
}
