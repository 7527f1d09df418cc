//! What the command line asks for.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use lexopt::{Arg, Parser};

use crate::traces::Payload;

pub(crate) const HELP: &str = "\
A game server that knows at once who left, and why.

arena [--json]            players join over loopback, and each leaves in its own way
arena serve [options]     the same server for people, with a page for browsers

Without `serve`, the exit status is 0 only if the server gave every reason that it should have.
Every path is accepted, except /refused.

  --json              one JSON object a line: for each way, or, with `serve`, for each event
  --port <port>       serve: UDP port of the game (4433; 0 takes any)
  --page-port <port>  serve: TCP port of the page (8433; 0 takes any)
  --cert <file>       serve: certificate chain, PEM
  --key <file>        serve: its private key, PEM
  --trace <dir>       serve: record each connection to a file in this directory, for `replay`;
                      paths and headers of requests are in it
  --trace-payload     serve: record what players send too, not zeros in its place
  -h, --help          this text

Without --cert and --key a fresh certificate is made; it is valid for 13 days.";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Help,
    Demonstrate(Output),
    Serve(Options),
}

/// For whom to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    People,
    Scripts,
}

/// How to serve.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) output: Output,
    pub(crate) port: u16,
    pub(crate) page_port: u16,
    /// Certificate chain and key; without them both are made.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    /// Where to record each connection, and how much of it.
    pub(crate) traces: Option<(PathBuf, Payload)>,
}

/// Understands the arguments, the first of which is the program's own name.
///
/// # Errors
/// One line that says what is wrong.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Task, lexopt::Error> {
    let mut parser = Parser::from_iter(arguments);
    let mut output = Output::People;
    let mut serves = false;
    let (mut port, mut page_port, mut cert, mut key) = (None, None, None, None);
    let (mut trace, mut payload) = (None, Payload::LeftOut);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("json") => output = Output::Scripts,
            Arg::Long("port") => port = Some(number("--port", &parser.value()?)?),
            Arg::Long("page-port") => page_port = Some(number("--page-port", &parser.value()?)?),
            Arg::Long("cert") => cert = Some(PathBuf::from(parser.value()?)),
            Arg::Long("key") => key = Some(PathBuf::from(parser.value()?)),
            Arg::Long("trace") => trace = Some(PathBuf::from(parser.value()?)),
            Arg::Long("trace-payload") => payload = Payload::Kept,
            Arg::Short('h') | Arg::Long("help") => return Ok(Task::Help),
            Arg::Value(ref word) if word == "serve" && !serves => serves = true,
            Arg::Short(_) | Arg::Long(_) | Arg::Value(_) => return Err(argument.unexpected()),
        }
    }
    if payload == Payload::Kept && trace.is_none() {
        return Err("--trace-payload needs --trace".into());
    }
    if !serves {
        if port.is_some() || page_port.is_some() || cert.is_some() || key.is_some() {
            return Err("ports, certificate and key are options of `serve`".into());
        }
        if trace.is_some() {
            return Err("--trace is an option of `serve`".into());
        }
        return Ok(Task::Demonstrate(output));
    }
    let identity = match (cert, key) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err("--cert and --key go together".into()),
    };
    Ok(Task::Serve(Options {
        output,
        port: port.unwrap_or(4433),
        page_port: page_port.unwrap_or(8433),
        identity,
        traces: trace.map(|dir| (dir, payload)),
    }))
}

fn number(flag: &str, value: &OsStr) -> Result<u16, lexopt::Error> {
    let port = value.to_str().and_then(|value| value.parse().ok());
    port.ok_or_else(|| format!("{flag} takes a port from 0 to 65535, not {value:?}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Task, String> {
        parse(line.split(' ').map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn without_arguments_the_players_show_their_ways() {
        assert_eq!(parsed("arena"), Ok(Task::Demonstrate(Output::People)));
        assert_eq!(
            parsed("arena --json"),
            Ok(Task::Demonstrate(Output::Scripts))
        );
    }

    #[test]
    fn serving_has_ports_and_an_identity() {
        let options = Options {
            output: Output::People,
            port: 1,
            page_port: 8433,
            identity: Some(("a".into(), "b".into())),
            traces: None,
        };
        assert_eq!(
            parsed("arena serve --port=1 --cert a --key b"),
            Ok(Task::Serve(options))
        );
    }

    #[test]
    fn connections_are_recorded_without_payload_unless_told() {
        for (line, payload) in [
            ("arena serve --trace t", Payload::LeftOut),
            ("arena serve --trace-payload --trace t", Payload::Kept),
        ] {
            let Ok(Task::Serve(options)) = parsed(line) else {
                panic!("{line}");
            };
            assert_eq!(options.traces, Some(("t".into(), payload)));
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for line in [
            "arena --port 1",
            "arena serve --cert a",
            "arena serve serve",
            "arena serve --port 65536",
            "arena serve --port",
            "arena serve --trace",
            "arena serve --trace-payload",
            "arena --trace t",
            "arena --trace t --trace-payload",
            "arena walk",
            "arena --loud",
        ] {
            let error = parsed(line).unwrap_err();
            assert_eq!(error.lines().count(), 1, "{line}: {error}");
        }
    }
}
