//! Records to a file, a line for each.

use std::io;

use super::{LINE_LIMIT, Record, Step, header::Line, privacy::Redactor};
use crate::{Config, Side};

/// Writes the records of one connection, without payload if not told otherwise.
///
/// **What stays without payload:** the headers of requests and answers with all that is in them
/// (paths, tokens, cookies), close messages, and whatever else comes on a request's stream, such as
/// the bodies of ordinary requests and datagrams in capsules. Also lengths and times.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    side: Side,
    /// `None`: payload is written too.
    redactor: Option<Redactor>,
    /// Lines that are not with `out`.
    lines: Vec<u8>,
    /// The first record is written.
    has_begun: bool,
    failed: bool,
}

/// Lines are collected up to so many bytes.
const BATCH: usize = 64 * 1024;

impl<W: io::Write> Writer<W> {
    /// Begins a file: writes the first line.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(out: W, side: Side, config: &Config) -> io::Result<Self> {
        let mut writer = Self {
            out,
            side,
            redactor: Some(Redactor::new(side)),
            lines: Vec::new(),
            has_begun: false,
            failed: false,
        };
        serde_json::to_writer(&mut writer.lines, &Line::new(side, config))?;
        writer.lines.push(b'\n');
        writer.finish()?;
        Ok(writer)
    }

    /// Whether payload is written as it is (`true`) or as zeros of the same length (`false`, the
    /// default). To be said before the first record.
    #[must_use]
    pub fn with_payload(mut self, payload: bool) -> Self {
        self.redactor = (!payload).then(|| Redactor::new(self.side));
        self
    }

    /// Writes the next records, each as a whole line, and flushes: of a process that is killed at
    /// most the last line is cut.
    ///
    /// # Errors
    /// Those of `out`; and after the first of them always, for what followed would be no trace. A
    /// record whose line would be longer than 16 MiB cannot be read, and is such an error.
    pub fn write(&mut self, records: &[Record]) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("an earlier write failed"));
        }
        let written = self.write_all(records);
        self.failed = written.is_err();
        written
    }

    fn write_all(&mut self, records: &[Record]) -> io::Result<()> {
        for record in records {
            let is_first = !std::mem::replace(&mut self.has_begun, true);
            // Times count from the first record: this is the rest of another file's recording.
            let is_rest = is_first && !record.at.is_zero();
            let missed = is_rest || record.step == Step::Missed;
            if let Some(redactor) = self.redactor.as_mut().filter(|_| missed) {
                redactor.go_blind();
            }
            let start = self.lines.len();
            match &mut self.redactor {
                Some(redactor) => serde_json::to_writer(&mut self.lines, &redactor.redact(record)),
                None => serde_json::to_writer(&mut self.lines, record),
            }?;
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
