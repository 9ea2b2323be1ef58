//! Sockets that whoever has started the process hands over, as systemd does: descriptors from 3 on, counted by `LISTEN_FDS`.

use std::io;

use listenfd::ListenFd;
use socket2::{Socket, Type};

use super::{HandedOver, Place};

/// The sockets that were handed over. To be called once, while the process has one thread: it
/// takes the variables out of the environment, so that no child thinks that they are its own.
///
/// # Errors
/// One of them is no socket that listens at an address, or the variables say something else than what is there.
pub fn handed_over() -> io::Result<Vec<HandedOver>> {
    // It looks at whose they are (`LISTEN_PID`), and closes them to children.
    let names: Vec<String> = sd_notify::listen_fds_with_names()?.map(|(_, name)| name).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut descriptors = ListenFd::from_env();
    let take = |(index, name): (usize, String)| {
        let taken = socket(&mut descriptors, index).and_then(|socket| Ok((place(&socket)?, socket)));
        let (place, socket) = taken
            .map_err(|error| io::Error::new(error.kind(), format!("descriptor {} (`{name}`): {error}", index + 3)))?;
        Ok(HandedOver { name, place, socket })
    };
    names.into_iter().enumerate().map(take).collect()
}

fn socket(descriptors: &mut ListenFd, index: usize) -> io::Result<Socket> {
    if let Ok(tcp) = descriptors.take_tcp_listener(index) {
        return tcp.map(Socket::from).ok_or_else(gone);
    }
    if let Ok(unix) = descriptors.take_unix_listener(index) {
        return unix.map(Socket::from).ok_or_else(gone);
    }
    let udp = descriptors.take_udp_socket(index);
    let udp = udp.map_err(|_| io::Error::other("it is no TCP, UDP or Unix stream socket that is bound"))?;
    udp.map(Socket::from).ok_or_else(gone)
}

fn gone() -> io::Error {
    io::Error::other("it is not there")
}

/// Where it listens. It may have come as one that waits, and is none from here on.
fn place(socket: &Socket) -> io::Result<Place> {
    let (local, kind) = (socket.local_addr()?, socket.r#type()?);
    if kind == Type::STREAM && !socket.is_listener()? {
        return Err(io::Error::other("it is a connection and listens nowhere; a socket unit says `Accept=no`"));
    }
    socket.set_nonblocking(true)?;
    let inet = local.as_socket();
    match kind {
        Type::STREAM if let Some(inet) = inet => Ok(Place::Tcp(inet)),
        Type::DGRAM if let Some(inet) = inet => Ok(Place::Udp(inet)),
        Type::STREAM if let Some(path) = local.as_pathname() => Ok(Place::Unix(path.to_owned())),
        _ => Err(io::Error::other("it is bound to no address that a service could listen at")),
    }
}
