//! A recording, run again.

use std::{io::BufRead, sync::Arc, time::Instant};

use super::{Header, ReadError, Reader, Record};
use crate::{Connection, Output, script::Script};

/// A connection that does again what a recorded one did: the same steps give the same outputs, byte
/// for byte.
#[derive(Debug)]
pub struct Replay {
    connection: Connection,
    origin: Instant,
}

impl Replay {
    /// A connection to which nothing has happened.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "an origin; only offsets from it are ever seen"
    )]
    pub fn new(header: &Header) -> Self {
        let config = Arc::new(header.config.clone());
        Self {
            connection: Connection::new(header.side, config),
            origin: Instant::now(),
        }
    }

    /// Makes one call again. Gives what it gave, in order: only polls give anything.
    pub fn step(&mut self, record: Record) -> Vec<Output> {
        // A time that no clock reaches counts as none.
        let now = self.origin.checked_add(record.at).unwrap_or(self.origin);
        record.step.apply(now, &mut self.connection)
    }

    /// The connection as it is now: to look at, or to be asked for what it did.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Replays a whole file. The transcript is of what could be read, also where that is not all.
    pub fn run<R: BufRead>(reader: Reader<R>) -> (Script, Result<(), ReadError>) {
        let side = reader.header().side;
        let mut replay = Self::new(reader.header());
        let mut script = Script::default();
        for record in reader {
            let record = match record {
                Ok(record) => record,
                Err(error) => return (script, Err(error)),
            };
            let at = record.at;
            script.step(at, side, &record.step);
            for output in replay.step(record) {
                script.output(at, side, &output);
            }
        }
        (script, Ok(()))
    }
}
