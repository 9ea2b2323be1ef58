//! A session as an input drives it, the same way with and without other versions going on with it: [`Driven`].
//!
//! A run with carries has to show its peers exactly what a run without them shows. For that the run without them takes a
//! turn of the harness at the same points, since a turn decides anew, in late mode, which answers are held back.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use serde::Serialize;
use tandem_component::harness::Ending;
use tandem_component::prelude::*;

/// What happens at those points of an input that say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Swap {
    /// Nothing.
    Stays,
    /// Another version goes on with the session.
    Carried,
    /// Another version opens a session in its place where it is at a boundary, and goes on with it elsewhere.
    Renewed,
}

/// One session, and all that its peers were shown.
pub(crate) struct Driven<C: Component, K> {
    session: Option<Harness<C>>,
    config: K,
    swap: Swap,
    late: bool,
    streams: Vec<Stream>,
    shown: Shown,
}

/// What peers, other services and operators can see of a session.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Shown {
    pub(crate) sent: BTreeMap<Stream, Text>,
    endings: Vec<(Stream, Option<Ending>)>,
    records: Vec<Vec<u8>>,
    bindings: Vec<Vec<u8>>,
    rows: Vec<String>,
    more: Vec<String>,
}

/// Bytes that are printed so that they can be read.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Text(pub(crate) Vec<u8>);

impl Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl<C: Component, K: Serialize> Driven<C, K> {
    pub(crate) fn new(session: Harness<C>, config: K, swap: Swap, late: Option<u64>) -> Self {
        let session = match late {
            Some(seed) => session.late(seed),
            None => session,
        };
        let (late, streams) = (late.is_some(), vec![Stream::OWN]);
        Driven { session: Some(session), config, swap, late, streams, shown: Shown::default() }
    }

    pub(crate) fn session(&mut self) -> &mut Harness<C> {
        self.session.as_mut().expect("it is taken out for a moment only")
    }

    pub(crate) fn is_late(&self) -> bool {
        self.late
    }

    pub(crate) fn is_over(&mut self) -> bool {
        let session = self.session();
        session.fault().is_some() || session.ending(Stream::OWN).is_some()
    }

    /// The point at which another version may go on.
    pub(crate) fn swap(&mut self) {
        let session = self.session.take().expect("it is taken out for a moment only");
        let renewed = self.swap == Swap::Renewed && session.at_boundary();
        let session = match self.swap {
            Swap::Stays => turn(session),
            Swap::Carried | Swap::Renewed if !renewed => self.carried(session),
            _ => session.renew(&self.config).expect("what was opened once is opened again"),
        };
        self.session = Some(session);
    }

    fn carried(&self, session: Harness<C>) -> Harness<C> {
        let before = session.export().expect("every state can be exported");
        let session = session.carry::<C>(&self.config).expect("a version resumes what it has exported itself");
        // Late, the turn after it may have brought an answer.
        if !self.late {
            let after = session.export().expect("every state can be exported");
            assert_eq!(after, before, "a state is exported as it was resumed");
        }
        session
    }

    pub(crate) fn connect(&mut self, server: Server, reused: bool) -> Option<Stream> {
        self.session().dialing()?;
        let stream = self.session().connect(server, reused);
        self.streams.push(stream);
        Some(stream)
    }

    /// The connection to a server that was made last.
    pub(crate) fn server(&self) -> Option<Stream> {
        self.streams.last().copied().filter(|stream| *stream != Stream::OWN)
    }

    pub(crate) fn servers(&self) -> Vec<Stream> {
        self.streams[1..].to_vec()
    }

    pub(crate) fn advance(&mut self, span: Duration) {
        self.session().advance(span);
    }

    /// Something else that was shown.
    pub(crate) fn note(&mut self, what: &dyn Debug) {
        self.shown.more.push(format!("{what:?}"));
    }

    /// Looks at what was sent, for which all answers that are under way have to be there.
    pub(crate) fn look(&mut self) -> &Shown {
        let session = self.session.as_mut().expect("it is taken out for a moment only");
        for stream in &self.streams {
            let sent = session.sent(*stream);
            self.shown.sent.entry(*stream).or_default().0.extend(sent);
        }
        self.shown.records.extend(session.records());
        &self.shown
    }

    /// All that was shown in the end.
    pub(crate) fn end(mut self) -> Shown {
        self.look();
        let (streams, session) = (std::mem::take(&mut self.streams), self.session());
        let endings = streams.iter().map(|stream| (*stream, session.ending(*stream))).collect();
        let rows = C::TABLES.iter().flat_map(|table| session.rows::<rmpv::Value>(table));
        let rows = rows.map(|row| row.to_string()).collect();
        let (bindings, fault) = (session.bindings().to_vec(), format!("{:?}", session.fault()));
        self.note(&fault);
        Shown { endings, rows, bindings, ..self.shown }
    }
}

/// A turn in which nothing comes: there is no such stream.
fn turn<C: Component>(mut session: Harness<C>) -> Harness<C> {
    session.bytes(Stream(u64::MAX), b"");
    session
}
