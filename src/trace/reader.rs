//! A file to records, and what is wrong with it.

use std::io::{self, BufRead, Read};

use super::{
    Calls, LINE_LIMIT, Record, SessionStep, Step,
    header::{AnyLayer, AnyLine, MAGIC, VERSION},
};

/// Reads what a [`Writer`](super::Writer) wrote: the header at once, then one record after another.
/// Ends after the last one or the first error.
///
/// A line holds at most 16 MiB, the first one 64 KiB: a file that has longer ones is an error, not
/// a memory full of it.
#[derive(Debug)]
pub struct Reader<R, S: Calls = Step> {
    lines: Lines<R>,
    header: S::Header,
    is_over: bool,
}

/// Why a file cannot be read on.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {problem}")]
#[non_exhaustive]
pub struct ReadError {
    /// The line, counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file is something else.
    #[error("this is no trace of webtransport-session")]
    NotATrace,
    /// The file was written by a later version of this crate.
    #[error("a trace of version {0}, where only {VERSION} is known")]
    UnknownVersion(u64),
    /// The file is of the other kind: [`Reader::new`] reads those of layer 2, connections, and
    /// [`Reader::of_session`] those of layer 1, sessions alone.
    #[error(
        "a trace of layer {found}, read as one of layer {expected} (1: a session, 2: a connection)"
    )]
    AnotherLayer {
        /// What the file is of.
        found: u64,
        /// What it was read as.
        expected: u64,
    },
    /// The file ends inside of the line: its writer was stopped, or a copy is not complete.
    #[error("cut off: the file ends here, inside of a line")]
    Truncated,
    /// The line is longer than any that a writer makes.
    #[error("longer than any line of a trace")]
    TooLong,
    /// Recording was turned on here, when the connection or the session had been used already: what
    /// came before is not in the file.
    #[error("not recorded from the beginning, and so it cannot be replayed")]
    NotFromTheBeginning,
    /// The line is whole, and no record.
    #[error("malformed: {0}")]
    Malformed(String),
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Io(io::Error),
}

/// The first line is short: another file need not be read far to be told apart.
const HEADER_LIMIT: usize = 64 * 1024;

impl<R: BufRead> Reader<R> {
    /// Reads the first line of a connection's file.
    ///
    /// # Errors
    /// Each says which line, and what is wrong with it.
    pub fn new(input: R) -> Result<Self, ReadError> {
        Self::open(input)
    }
}

impl<R: BufRead> Reader<R, SessionStep> {
    /// Reads the first line of a session's file.
    ///
    /// # Errors
    /// Each says which line, and what is wrong with it.
    pub fn of_session(input: R) -> Result<Self, ReadError> {
        Self::open(input)
    }
}

impl<R: BufRead, S: Calls> Reader<R, S> {
    fn open(input: R) -> Result<Self, ReadError> {
        let mut lines = Lines {
            input,
            line: Vec::new(),
            number: 0,
        };
        let header = lines.header::<S>()?;
        Ok(Self {
            lines,
            header,
            is_over: false,
        })
    }

    /// What was recorded: a [`Header`](super::Header) or a [`SessionHeader`](super::SessionHeader).
    pub fn header(&self) -> &S::Header {
        &self.header
    }
}

impl<R: BufRead, S: Calls> Iterator for Reader<R, S> {
    type Item = Result<Record<S>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = match self.lines.record::<S>() {
            Ok(Some(record)) if record.step == S::missed() => {
                Some(Err(self.lines.error(Problem::NotFromTheBeginning)))
            }
            next => next.transpose(),
        };
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}

#[derive(Debug)]
struct Lines<R> {
    input: R,
    /// The latest, without its end.
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    fn header<S: Calls>(&mut self) -> Result<S::Header, ReadError> {
        if let Err(error) = self.advance(HEADER_LIMIT) {
            let shared = self.line.len().min(MAGIC.len());
            let is_ours = shared > 0 && self.line.get(..shared) == MAGIC.get(..shared);
            let is_of_lines = matches!(error.problem, Problem::Truncated | Problem::TooLong);
            return Err(if is_of_lines && !is_ours {
                self.error(Problem::NotATrace)
            } else {
                error
            });
        }
        // An array of one number would do for the object.
        let is_object = self.line.first() == Some(&b'{');
        let any = serde_json::from_slice(&self.line).ok();
        let Some(AnyLine { version }) = any.filter(|_| is_object) else {
            return Err(self.error(Problem::NotATrace));
        };
        if version != VERSION {
            return Err(self.error(Problem::UnknownVersion(version)));
        }
        let AnyLayer { layer } = self.parse(|line| serde_json::from_slice(line))?;
        if layer != S::NUMBER {
            return Err(self.error(Problem::AnotherLayer {
                found: layer,
                expected: S::NUMBER,
            }));
        }
        self.parse(S::header)
    }

    fn record<S: Calls>(&mut self) -> Result<Option<Record<S>>, ReadError> {
        if self.advance(LINE_LIMIT)? {
            self.parse(|line| serde_json::from_slice(line)).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Reads the next line. False when there is none.
    fn advance(&mut self, limit: usize) -> Result<bool, ReadError> {
        self.number += 1;
        self.line.clear();
        let most = u64::try_from(limit).unwrap_or(u64::MAX);
        let read = (&mut self.input)
            .take(most)
            .read_until(b'\n', &mut self.line);
        match read {
            Err(error) => Err(self.error(Problem::Io(error))),
            Ok(0) => Ok(false),
            Ok(_) if self.line.last() == Some(&b'\n') => Ok(true),
            Ok(_) if self.line.len() >= limit => Err(self.error(Problem::TooLong)),
            Ok(_) => Err(self.error(Problem::Truncated)),
        }
    }

    fn parse<T>(&self, parse: impl FnOnce(&[u8]) -> serde_json::Result<T>) -> Result<T, ReadError> {
        parse(&self.line).map_err(|error| {
            // Its own words name a line too, which is always the first.
            let (text, column) = (error.to_string(), error.column());
            let what = text
                .rsplit_once(" at line ")
                .map_or(&*text, |(what, _)| what);
            self.error(Problem::Malformed(format!("{what}, at column {column}")))
        })
    }
}

impl<R> Lines<R> {
    fn error(&self, problem: Problem) -> ReadError {
        let line = self.number;
        ReadError { line, problem }
    }
}

#[cfg(test)]
mod tests;
