//! Prints what happened on a recorded connection, or in a recorded session: `cargo run --example replay -- FILE`.
//!
//! The file is one that a `trace::Writer` wrote, such as those of `arena serve --trace DIR`. What
//! could be read is printed, also where the rest could not; then the exit status is 1, and one line
//! says what is wrong and where. Arguments that make no sense give 2.

use std::{
    fs::File,
    io::{self, BufReader, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use webtransport_session::trace::{Problem, ReadError, Reader, Replay, Script};

const HELP: &str = "\
replay FILE    prints what happened on a recorded connection, or in a recorded session

  <-  went into it       ->  what QUIC had to do
  **  the application was told    --  the application's commands";

fn main() -> ExitCode {
    match parse() {
        Ok(Some(file)) => match replay(&file) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("replay: {}: {error}", file.display());
                ExitCode::FAILURE
            }
        },
        Ok(None) => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("replay: {error}; it takes one file, or `--help`");
            ExitCode::from(2)
        }
    }
}

/// The file; `None` where help is wanted.
fn parse() -> Result<Option<PathBuf>, lexopt::Error> {
    let mut file = None;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            lexopt::Arg::Short('h') | lexopt::Arg::Long("help") => return Ok(None),
            lexopt::Arg::Value(path) if file.is_none() => file = Some(PathBuf::from(path)),
            lexopt::Arg::Short(_) | lexopt::Arg::Long(_) | lexopt::Arg::Value(_) => {
                return Err(argument.unexpected());
            }
        }
    }
    file.map(Some).ok_or_else(|| "no file is given".into())
}

fn replay(file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let (script, complete) = run(file)?;
    match write!(io::stdout().lock(), "{script}") {
        // Who reads no further wants no more.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        written => written?,
    }
    Ok(complete?)
}

/// The transcript of what could be read, and why not all could.
fn run(file: &Path) -> Result<(Script, Result<(), ReadError>), Box<dyn std::error::Error>> {
    let open = || File::open(file).map(BufReader::new);
    match Reader::new(open()?) {
        Ok(reader) => Ok(Replay::run(reader)),
        Err(ReadError {
            problem: Problem::AnotherLayer { found: 1, .. },
            ..
        }) => Ok(Replay::run(Reader::of_session(open()?)?)),
        Err(error) => Err(error.into()),
    }
}
