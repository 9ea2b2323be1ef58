//! The command line's end of the admin interface.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use super::{AccountRequest, Answer, Request, Stopping};
use crate::system;

/// A reload with many examinations takes its time.
const PATIENCE: Duration = Duration::from_secs(120);
/// What a stop may take beyond the time that sessions get.
const SLACK: Duration = Duration::from_secs(10);

/// Why the host could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Nobody listens there.
    #[error("no host answers at {path}; is it running, and is this its configuration?", path = path.display())]
    NoHost {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It answered something else.
    #[error("the host's answer cannot be read: {0}")]
    Unreadable(String),
    /// It has not stopped in its time.
    #[error("the host, process {}, still runs after {} seconds; its log says why", .0.pid, (.0.within() + SLACK).as_secs())]
    StillRuns(Stopping),
}

/// Asks the host whose socket this is.
///
/// # Errors
/// No host is there, or its answer cannot be read.
pub fn ask(socket: &Path, request: &Request) -> Result<Answer, AdminError> {
    ask_for(socket, request, Duration::ZERO)
}

/// As [`ask`], for what may take so much longer than others.
///
/// # Errors
/// As for `ask`.
pub fn ask_for(socket: &Path, request: &Request, longer: Duration) -> Result<Answer, AdminError> {
    let client = Client { socket };
    client.within(PATIENCE.saturating_add(longer), client.ask(request))
}

/// Has the host stop, and waits until its process is gone: the notices that it tells end with it.
///
/// # Errors
/// No host is there, its answer cannot be read, or it still runs when its time is up.
pub fn stop(socket: &Path) -> Result<Stopping, AdminError> {
    let client = Client { socket };
    client.within(Duration::MAX, async {
        let mut notices = client.connect().await?.send(Method::GET, "/v1/notices", &()).await?.into_body();
        let stopping = match tokio::time::timeout(PATIENCE, client.ask(&Request::Stop)).await {
            Ok(answer) => match answer? {
                Answer::Stop(stopping) => stopping,
                other => return Err(AdminError::Unreadable(format!("{other:?}"))),
            },
            Err(_) => return Err(client.no_host(io::ErrorKind::TimedOut.into())),
        };
        let gone = async { while let Some(Ok(_)) = notices.frame().await {} };
        match tokio::time::timeout(stopping.within() + SLACK, gone).await {
            Ok(()) => Ok(stopping),
            Err(_) => Err(AdminError::StillRuns(stopping)),
        }
    })
}

/// Who asks.
pub(super) struct Client<'a> {
    pub(super) socket: &'a Path,
}

/// A connection, and what is shown on it.
pub(super) struct Connection<'a> {
    client: &'a Client<'a>,
    sender: SendRequest<Full<Bytes>>,
    token: Option<String>,
}

impl Client<'_> {
    pub(super) fn within<T>(
        &self,
        patience: Duration,
        asks: impl Future<Output = Result<T, AdminError>>,
    ) -> Result<T, AdminError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| self.no_host(error))?.block_on(async {
            match tokio::time::timeout(patience, asks).await {
                Ok(answer) => answer,
                Err(_) => Err(self.no_host(io::ErrorKind::TimedOut.into())),
            }
        })
    }

    pub(super) fn no_host(&self, source: io::Error) -> AdminError {
        AdminError::NoHost { path: self.socket.to_owned(), source }
    }

    pub(super) async fn connect(&self) -> Result<Connection<'_>, AdminError> {
        let (stream, token) = system::connect_admin(self.socket).await.map_err(|error| self.no_host(error))?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(|error| self.no_host(io::Error::other(error)))?;
        // It ends with the runtime.
        tokio::spawn(connection);
        Ok(Connection { client: self, sender, token })
    }

    pub(super) async fn ask(&self, request: &Request) -> Result<Answer, AdminError> {
        let mut connection = self.connect().await?;
        let response = match request {
            Request::Reload => connection.send(Method::POST, "/v1/reload", &()).await,
            Request::Status => connection.send(Method::GET, "/v1/status", &()).await,
            Request::Schema => connection.send(Method::GET, "/v1/schema", &()).await,
            Request::Ledger => connection.send(Method::GET, "/v1/ledger", &()).await,
            Request::Rollback(rollback) => connection.send(Method::POST, "/v1/rollback", rollback).await,
            Request::Promote(promote) => connection.send(Method::POST, "/v1/promote", promote).await,
            Request::Sessions { named, most, states } => {
                let of = named.as_deref().map(|named| format!("of={}&", escaped(named))).unwrap_or_default();
                connection.send(Method::GET, &format!("/v1/sessions?{of}limit={most}&states={states}"), &()).await
            }
            Request::Drain(drain) => connection.send(Method::POST, "/v1/drain", drain).await,
            Request::Account(AccountRequest::List) => connection.send(Method::GET, "/v1/accounts", &()).await,
            Request::Account(change) => connection.send(Method::POST, "/v1/accounts", change).await,
            Request::Stop => connection.send(Method::POST, "/v1/stop", &()).await,
        }?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| self.no_host(io::Error::other(error)))?;
        read(request, status, &body.to_bytes())
    }
}

impl Connection<'_> {
    pub(super) async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<hyper::Response<hyper::body::Incoming>, AdminError> {
        let unreadable = |error: &dyn std::error::Error| AdminError::Unreadable(error.to_string());
        let body = serde_json::to_vec(body).map_err(|error| unreadable(&error))?;
        let body = if body == b"null" { Bytes::new() } else { Bytes::from(body) };
        let mut head = hyper::Request::builder().method(method).uri(path).header(HOST, "localhost");
        head = head.header(ACCEPT, "application/json").header(CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            head = head.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = head.body(Full::new(body)).map_err(|error| unreadable(&error))?;
        let sent = self.sender.send_request(request).await;
        sent.map_err(|error| self.client.no_host(io::Error::other(error)))
    }
}

/// What the host has answered.
fn read(request: &Request, status: StatusCode, body: &[u8]) -> Result<Answer, AdminError> {
    fn as_it_is<T: DeserializeOwned>(body: &[u8]) -> Result<T, AdminError> {
        serde_json::from_slice(body).map_err(|error| AdminError::Unreadable(error.to_string()))
    }
    if !status.is_success() {
        let Problem { detail, .. } = as_it_is(body)?;
        return match status {
            StatusCode::CONFLICT => Ok(Answer::Refused(detail)),
            StatusCode::BAD_REQUEST => Ok(Answer::Unknown(detail)),
            _ => Err(AdminError::Unreadable(format!("{status}: {detail}"))),
        };
    }
    match request {
        Request::Reload => as_it_is(body).map(Answer::Reload),
        Request::Status => as_it_is(body).map(Answer::Status),
        Request::Schema => as_it_is(body).map(Answer::Schema),
        Request::Ledger => as_it_is(body).map(Answer::Ledger),
        Request::Rollback(_) | Request::Promote(_) => as_it_is(body).map(Answer::Rolled),
        Request::Sessions { .. } => as_it_is(body).map(Answer::Holders),
        Request::Drain(_) => as_it_is(body).map(Answer::Drained),
        Request::Account(AccountRequest::List) => as_it_is(body).map(Answer::Accounts),
        Request::Account(_) => as_it_is(body).map(Answer::Account),
        Request::Stop => as_it_is(body).map(Answer::Stop),
    }
}

/// As a value in a query: RFC 3986, section 2.1.
fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}
