//! Watches a host from the outside: how it is at every turn, its notices as they come, and that it is gone until it is back.

use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Method;

use super::client::{AdminError, Client};
use super::{Answer, Request, Status};
use crate::observe::notice::Said;

/// What is told of a host.
#[derive(Clone, Debug)]
pub enum Told {
    /// How it is.
    Status(Box<Status>),
    /// A notice. Whoever comes back to a host is told its last ones again.
    Notice(Said),
    /// It cannot be asked, and why. It is tried again at the next turn.
    Gone(String),
}

/// Tells of the host whose socket this is, for ever. A host that is not there, or goes, is waited for.
///
/// # Errors
/// There is no runtime for it.
pub fn watch(socket: &Path, every: Duration, tell: impl Fn(Told)) -> Result<Infallible, AdminError> {
    let client = Client { socket };
    client.within(Duration::MAX, async {
        loop {
            let ended = tokio::select! {
                ended = statuses(&client, every, &tell) => ended,
                ended = notices(&client, &tell) => ended,
            };
            let Err(error) = ended;
            tell(Told::Gone(error.to_string()));
            tokio::time::sleep(every).await;
        }
    })
}

async fn statuses(client: &Client<'_>, every: Duration, tell: &impl Fn(Told)) -> Result<Infallible, AdminError> {
    loop {
        match client.ask(&Request::Status).await? {
            Answer::Status(status) => tell(Told::Status(status)),
            other => return Err(AdminError::Unreadable(format!("{other:?}"))),
        }
        tokio::time::sleep(every).await;
    }
}

async fn notices(client: &Client<'_>, tell: &impl Fn(Told)) -> Result<Infallible, AdminError> {
    let mut body = client.connect().await?.send(Method::GET, "/v1/notices", &()).await?.into_body();
    let mut lines = Lines::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| client.no_host(std::io::Error::other(error)))?;
        for said in lines.take(frame.data_ref().map_or(&[][..], |data| data))? {
            tell(Told::Notice(said));
        }
    }
    Err(client.no_host(std::io::ErrorKind::UnexpectedEof.into()))
}

/// No line of a host is as long as this.
const LINE_MAX: usize = 1 << 20;

/// The part of a stream of events that has no end yet.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    /// The notices that are whole with these bytes. Those that a newer host knows and we do not are left out.
    fn take(&mut self, bytes: &[u8]) -> Result<Vec<Said>, AdminError> {
        self.0.extend_from_slice(bytes);
        let whole = self.0.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if self.0.len() - whole > LINE_MAX {
            return Err(AdminError::Unreadable("a notice without an end".to_owned()));
        }
        let lines: Vec<u8> = self.0.drain(..whole).collect();
        let data = lines.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"data:"));
        Ok(data.filter_map(|json| serde_json::from_slice(json).ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_read_however_they_are_cut() {
        let one = |number| {
            format!(
                "id: {number}\nevent: notice\ndata: {{\"number\":{number},\"at\":5,\"notice\":\"version-active\",\"count\":1,\
                 \"reason\":\"it — serves\"}}\n\n"
            )
        };
        let stream = [one(1), ":\n\n".to_owned(), "data: {\"notice\":\"of tomorrow\"}\n\n".to_owned(), one(2)].concat();
        for size in 1..stream.len() {
            let mut lines = Lines::default();
            let said: Vec<Said> = stream.as_bytes().chunks(size).flat_map(|cut| lines.take(cut).unwrap()).collect();
            let numbers: Vec<u64> = said.iter().map(|said| said.number).collect();
            assert_eq!((numbers, said[1].reason.as_str()), (vec![1, 2], "it — serves"), "{size}");
        }
    }

    #[test]
    fn what_has_no_end_is_not_kept_for_ever() {
        let mut lines = Lines::default();
        assert!(lines.take(&vec![b'x'; LINE_MAX]).unwrap().is_empty());
        assert!(lines.take(b"x").is_err());
    }
}
