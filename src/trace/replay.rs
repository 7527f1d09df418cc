//! A recording, run again.

use std::{io::BufRead, time::Instant};

use super::{Calls, Header, ReadError, Reader, Record, SessionHeader, SessionStep, Step};
use crate::{Connection, script::Script, session::Session};

/// A connection, or a session alone, that does again what a recorded one did: the same steps give the
/// same outputs, byte for byte.
#[derive(Debug)]
pub struct Replay<S: Calls = Step> {
    machine: S::Machine,
    origin: Instant,
}

impl Replay {
    /// A connection to which nothing has happened.
    #[must_use]
    pub fn new(header: &Header) -> Self {
        Self::make(header)
    }

    /// The connection as it is now: to look at, or to be asked for what it did.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.machine
    }
}

impl Replay<SessionStep> {
    /// A session to which nothing has happened.
    #[must_use]
    pub fn of_session(header: &SessionHeader) -> Self {
        Self::make(header)
    }

    /// The session as it is now: to look at, or to be asked for what it did.
    pub fn session(&mut self) -> &mut Session {
        &mut self.machine
    }
}

impl<S: Calls> Replay<S> {
    #[expect(
        clippy::disallowed_methods,
        reason = "an origin; only offsets from it are ever seen"
    )]
    fn make(header: &S::Header) -> Self {
        let origin = Instant::now();
        Self {
            machine: S::machine(header, origin),
            origin,
        }
    }

    /// Makes one call again. Gives what it gave, in order: only polls give anything.
    pub fn step(&mut self, record: Record<S>) -> Vec<S::Output> {
        // A time that no clock reaches counts as none.
        let now = self.origin.checked_add(record.at).unwrap_or(self.origin);
        record.step.apply(now, &mut self.machine)
    }

    /// Replays a whole file. The transcript is of what could be read, also where that is not all.
    pub fn run<R: BufRead>(reader: Reader<R, S>) -> (Script, Result<(), ReadError>) {
        let side = S::side(reader.header());
        let mut replay = Self::make(reader.header());
        let mut script = Script::default();
        for record in reader {
            let record = match record {
                Ok(record) => record,
                Err(error) => return (script, Err(error)),
            };
            let at = record.at;
            record.step.write(&mut script, at, side);
            for output in replay.step(record) {
                S::write_output(&output, &mut script, at, side);
            }
        }
        (script, Ok(()))
    }
}
