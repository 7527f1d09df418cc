//! What a recording can be of: a connection, or a session alone. Each says here what begins its file,
//! what is left out of it, and what it looks like in a transcript.

#![expect(unnameable_types, reason = "so is `Calls` implemented here only")]

use std::{
    borrow::Cow,
    fmt::Debug,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    Header, Record, SessionHeader, SessionStep, Step,
    header::{Line, SessionLine},
    privacy::{Redactor, SessionRedactor},
};
use crate::{
    Connection, Output, Side,
    script::Script,
    session::{self, Session},
};

/// The calls that a recording can be of: [`Step`] or [`SessionStep`]. Nobody else implements it.
pub trait Calls: Layer {}

impl<S: Layer> Calls for S {}

/// The working side of [`Calls`].
pub trait Layer: Clone + Debug + PartialEq + Serialize + DeserializeOwned {
    /// As in files.
    const NUMBER: u64;
    type Machine: Debug;
    type Output;
    type Header: Clone + Debug;
    /// What was seen, as far as it says what is payload.
    type Redactor: Debug;

    /// From a file's first line.
    fn header(line: &[u8]) -> serde_json::Result<Self::Header>;
    fn side(header: &Self::Header) -> Side;
    /// To which nothing has happened. `now`: where times are counted from.
    fn machine(header: &Self::Header, now: Instant) -> Self::Machine;
    /// The next record, without payload.
    fn redact<'r>(redactor: &mut Self::Redactor, record: &'r Record<Self>)
    -> Cow<'r, Record<Self>>;
    fn apply(self, now: Instant, machine: &mut Self::Machine) -> Vec<Self::Output>;
    /// Whether the next step is more of this run of polls, and is counted now.
    fn takes_in(&mut self, next: &Self) -> bool;
    /// Says that calls before it are missing.
    fn missed() -> Self;
    fn write(&self, script: &mut Script, at: Duration, side: Side);
    fn write_output(output: &Self::Output, script: &mut Script, at: Duration, side: Side);
}

impl Layer for Step {
    const NUMBER: u64 = 2;
    type Machine = Connection;
    type Output = Output;
    type Header = Header;
    type Redactor = Redactor;

    fn header(line: &[u8]) -> serde_json::Result<Header> {
        serde_json::from_slice::<Line<'_>>(line).map(Header::from)
    }

    fn side(header: &Header) -> Side {
        header.side
    }

    fn machine(header: &Header, _: Instant) -> Connection {
        Connection::new(header.side, Arc::new(header.config.clone()))
    }

    fn redact<'r>(redactor: &mut Redactor, record: &'r Record) -> Cow<'r, Record> {
        redactor.redact(record)
    }

    fn apply(self, now: Instant, connection: &mut Connection) -> Vec<Output> {
        self.apply(now, connection)
    }

    fn takes_in(&mut self, next: &Self) -> bool {
        match (self, next) {
            (Self::Poll { times }, Self::Poll { times: more })
            | (Self::PollAction { times }, Self::PollAction { times: more }) => {
                *times = times.saturating_add(*more);
                true
            }
            _ => false,
        }
    }

    fn missed() -> Self {
        Self::Missed
    }

    fn write(&self, script: &mut Script, at: Duration, side: Side) {
        script.step(at, side, self);
    }

    fn write_output(output: &Output, script: &mut Script, at: Duration, side: Side) {
        script.output(at, side, output);
    }
}

impl Layer for SessionStep {
    const NUMBER: u64 = 1;
    type Machine = Session;
    type Output = session::Output;
    type Header = SessionHeader;
    type Redactor = SessionRedactor;

    fn header(line: &[u8]) -> serde_json::Result<SessionHeader> {
        serde_json::from_slice::<SessionLine<'_>>(line).map(SessionHeader::from)
    }

    fn side(header: &SessionHeader) -> Side {
        header.side
    }

    fn machine(header: &SessionHeader, now: Instant) -> Session {
        let (terms, config) = (header.terms.clone(), header.config.clone());
        Session::new(now, header.side, header.id, terms, Arc::new(config))
    }

    fn redact<'r>(
        redactor: &mut SessionRedactor,
        record: &'r Record<Self>,
    ) -> Cow<'r, Record<Self>> {
        redactor.redact(record)
    }

    fn apply(self, now: Instant, session: &mut Session) -> Vec<session::Output> {
        self.apply(now, session)
    }

    fn takes_in(&mut self, next: &Self) -> bool {
        if let (Self::Poll { times }, Self::Poll { times: more }) = (self, next) {
            *times = times.saturating_add(*more);
            return true;
        }
        false
    }

    fn missed() -> Self {
        Self::Missed
    }

    fn write(&self, script: &mut Script, at: Duration, side: Side) {
        script.session_step(at, side, self);
    }

    fn write_output(output: &session::Output, script: &mut Script, at: Duration, side: Side) {
        script.session_output(at, side, output);
    }
}
