//! Records to a file, a line for each.

use std::io;

use serde::Serialize;

use super::{
    Calls, LINE_LIMIT, Record, SessionHeader, SessionStep, Step,
    header::{Line, SessionLine},
    privacy::{Redactor, SessionRedactor},
};
use crate::{Config, Side};

/// Writes the records of one connection, or of one session alone, without payload if not told
/// otherwise.
///
/// **What stays without payload:** the headers of requests and answers with all that is in them
/// (paths, tokens, cookies), close messages, and whatever else comes on a request's stream, such as
/// the bodies of ordinary requests and datagrams in capsules. Also lengths and times. Of a session
/// alone all of [`Body`](crate::session::Input::Body) stays, if it was recorded from the beginning,
/// and its streams have lengths only.
#[derive(Debug)]
pub struct Writer<W, S: Calls = Step> {
    out: W,
    redactor: S::Redactor,
    /// Payload is written too.
    payload: bool,
    /// Lines that are not with `out`.
    lines: Vec<u8>,
    failed: bool,
}

/// Lines are collected up to so many bytes.
const BATCH: usize = 64 * 1024;

impl<W: io::Write> Writer<W> {
    /// Begins a connection's file: writes the first line.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(out: W, side: Side, config: &Config) -> io::Result<Self> {
        Self::begin(out, Redactor::new(side), &Line::new(side, config))
    }
}

impl<W: io::Write> Writer<W, SessionStep> {
    /// Begins a session's file: writes the first line.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn of_session(out: W, header: &SessionHeader) -> io::Result<Self> {
        Self::begin(out, SessionRedactor::default(), &SessionLine::new(header))
    }
}

impl<W: io::Write, S: Calls> Writer<W, S> {
    fn begin(out: W, redactor: S::Redactor, line: &impl Serialize) -> io::Result<Self> {
        let mut writer = Self {
            out,
            redactor,
            payload: false,
            lines: Vec::new(),
            failed: false,
        };
        serde_json::to_writer(&mut writer.lines, line)?;
        writer.lines.push(b'\n');
        writer.finish()?;
        Ok(writer)
    }

    /// Whether payload is written as it is (`true`) or as zeros of the same length (`false`, the
    /// default). To be said before the first record.
    #[must_use]
    pub fn with_payload(mut self, payload: bool) -> Self {
        self.payload = payload;
        self
    }

    /// Writes the next records, each as a whole line, and flushes: of a process that is killed at
    /// most the last line is cut.
    ///
    /// # Errors
    /// Those of `out`; and after the first of them always, for what followed would be no trace. A
    /// record whose line would be longer than 16 MiB cannot be read, and is such an error.
    pub fn write(&mut self, records: &[Record<S>]) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("an earlier write failed"));
        }
        let written = self.write_all(records);
        self.failed = written.is_err();
        written
    }

    fn write_all(&mut self, records: &[Record<S>]) -> io::Result<()> {
        for record in records {
            let start = self.lines.len();
            if self.payload {
                serde_json::to_writer(&mut self.lines, record)?;
            } else {
                let redacted = S::redact(&mut self.redactor, record);
                serde_json::to_writer(&mut self.lines, &redacted)?;
            }
            self.lines.push(b'\n');
            if self.lines.len() - start > LINE_LIMIT {
                let too_long = "a record of more than 16 MiB cannot be stored";
                return Err(io::Error::new(io::ErrorKind::InvalidData, too_long));
            }
            if self.lines.len() >= BATCH {
                self.pass_on()?;
            }
        }
        self.finish()
    }

    fn pass_on(&mut self) -> io::Result<()> {
        self.out.write_all(&self.lines)?;
        self.lines.clear();
        // What one long line needed is not kept.
        self.lines.shrink_to(2 * BATCH);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.pass_on()?;
        self.out.flush()
    }

    /// What was written to.
    pub fn into_inner(self) -> W {
        self.out
    }
}
