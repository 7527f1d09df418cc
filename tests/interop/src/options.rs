//! What the command line asks for.

use lexopt::{Arg, Parser, ValueExt};

pub(crate) const HELP: &str = "\
cargo run --release -- [part …] [options]

Parts, all if none is named:
  chromium    Chromium against our server
  firefox     Firefox against our server
  browsers    both
  peers       other implementations, against our client and our server
  loss        every ending over links that lose and reorder
  capture     records the fixtures in tests/fixtures/browsers anew (only if named)

Options:
  --filter TEXT   only what has TEXT in its name, or that of another --filter; nothing is stored
  --runs N        how often each way of leaving is measured (5; with fewer, no delay
                  is judged, and nothing is stored)
  --keep          reuse what was installed under target/, and install nothing
  --help
";

/// How often a delay is measured that is judged and stored.
pub(crate) const RUNS: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Chromium,
    Firefox,
    Peers,
    Loss,
    Capture,
}

impl Part {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
            Self::Peers => "peers",
            Self::Loss => "loss",
            Self::Capture => "capture",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) parts: Vec<Part>,
    /// Only what has one of these in its name, if there are any.
    pub(crate) filters: Vec<String>,
    /// How often each delay is measured.
    pub(crate) runs: usize,
    /// Nothing is to be installed.
    pub(crate) keep: bool,
}

impl Options {
    /// `None`: help is wanted. The error is one line.
    pub(crate) fn parse() -> Result<Option<Self>, lexopt::Error> {
        Self::from(Parser::from_env())
    }

    fn from(mut parser: Parser) -> Result<Option<Self>, lexopt::Error> {
        let mut options = Self {
            parts: Vec::new(),
            filters: Vec::new(),
            runs: RUNS,
            keep: false,
        };
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                Arg::Long("filter") => options.filters.push(parser.value()?.string()?),
                Arg::Long("keep") => options.keep = true,
                Arg::Long("runs") => {
                    options.runs = parser.value()?.parse()?;
                    if options.runs == 0 {
                        return Err("--runs: at least one".into());
                    }
                }
                Arg::Value(part) => match part.string()?.as_str() {
                    "chromium" => options.parts.push(Part::Chromium),
                    "firefox" => options.parts.push(Part::Firefox),
                    "browsers" => options.parts.extend([Part::Chromium, Part::Firefox]),
                    "peers" => options.parts.push(Part::Peers),
                    "loss" => options.parts.push(Part::Loss),
                    "capture" => options.parts.push(Part::Capture),
                    other => return Err(format!("no part is called {other:?}, see --help").into()),
                },
                other => return Err(other.unexpected()),
            }
        }
        if options.parts.is_empty() {
            options.parts = vec![Part::Chromium, Part::Firefox, Part::Peers, Part::Loss];
        }
        Ok(Some(options))
    }

    /// Whether this is less than what the results are to show.
    pub(crate) fn is_partial(&self) -> bool {
        !self.filters.is_empty() || self.runs < RUNS
    }

    /// Whether something of this name is to be run.
    pub(crate) fn wants(&self, name: &str) -> bool {
        let mut filters = self.filters.iter();
        self.filters.is_empty() || filters.any(|filter| name.contains(filter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Option<Options>, lexopt::Error> {
        Options::from(Parser::from_args(args))
    }

    #[test]
    fn all_but_the_capture_runs_when_nothing_is_named() -> Result<(), lexopt::Error> {
        let options = parse(&[])?.ok_or("help")?;
        assert_eq!(
            options.parts,
            [Part::Chromium, Part::Firefox, Part::Peers, Part::Loss]
        );
        assert!(options.wants("anything"));
        Ok(())
    }

    #[test]
    fn what_any_filter_names_is_wanted() -> Result<(), lexopt::Error> {
        let options = parse(&["peers", "--filter", "aioquic", "--filter", "h3"])?.ok_or("help")?;
        assert!(options.wants("aioquic as client") && options.wants("h3 as server"));
        assert!(!options.wants("wtransport"));
        Ok(())
    }

    #[test]
    fn a_part_that_is_not_there_is_refused() {
        assert!(parse(&["opera"]).is_err());
        assert!(parse(&["--runs", "0"]).is_err());
        assert!(parse(&["--what"]).is_err());
    }
}
