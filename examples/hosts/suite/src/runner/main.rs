//! Plays every scenario between any two hosts, over UDP on loopback, and prints a table.

mod hosts;
mod matrix;
mod process;
mod relay;
mod scenarios;
mod stage;
mod table;

use std::{fmt, path::PathBuf, process::ExitCode};

use hosts::Host;
use lexopt::{Arg, ValueExt as _};
use matrix::Selection;

const HELP: &str = "\
Plays every scenario between any two hosts.

host-suite [options]
  --hosts A,B…       only these, as clients and as servers
  --clients A,B…     only these as clients
  --servers A,B…     only these as servers
  --program A=PATH   a host of your own, built already, also in the place of one; may be repeated
  --only E01,W05…    only these scenarios
  --jobs N           so many at a time (4)
  --write FILE       the table goes to this file too
  --list             the scenarios and the hosts, and nothing else
";

/// What went wrong, in words.
#[derive(Debug)]
struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug)]
struct Arguments {
    clients: Option<Vec<String>>,
    servers: Option<Vec<String>>,
    programs: Vec<Host>,
    only: Option<Vec<String>>,
    jobs: usize,
    write: Option<PathBuf>,
    list: bool,
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    match run(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(2)
        }
    }
}

fn arguments() -> Result<Option<Arguments>, lexopt::Error> {
    let mut result = Arguments {
        clients: None,
        servers: None,
        programs: Vec::new(),
        only: None,
        jobs: 4,
        write: None,
        list: false,
    };
    let list = |value: std::ffi::OsString| -> Result<Option<Vec<String>>, lexopt::Error> {
        let mut names: Vec<String> = Vec::new();
        for name in value.string()?.split(',').map(str::trim) {
            if !names.iter().any(|known| known == name) {
                names.push(name.into());
            }
        }
        Ok(Some(names))
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("hosts") => {
                result.clients = list(parser.value()?)?;
                result.servers.clone_from(&result.clients);
            }
            Arg::Long("clients") => result.clients = list(parser.value()?)?,
            Arg::Long("servers") => result.servers = list(parser.value()?)?,
            Arg::Long("only") => result.only = list(parser.value()?)?,
            Arg::Long("jobs") => result.jobs = parser.value()?.parse::<usize>()?.max(1),
            Arg::Long("write") => result.write = Some(parser.value()?.into()),
            Arg::Long("list") => result.list = true,
            Arg::Long("program") => {
                let value = parser.value()?.string()?;
                let (name, path) = value.split_once('=').ok_or("--program takes NAME=PATH")?;
                result.programs.push(Host::program(name, path));
            }
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(result))
}

fn run(arguments: Arguments) -> Result<bool, Failure> {
    let programs = arguments.programs;
    let is_replaced = |host: &Host| programs.iter().any(|program| program.name == host.name);
    let mut hosts: Vec<Host> = hosts::all().filter(|host| !is_replaced(host)).collect();
    for program in programs {
        if hosts.iter().any(|host| host.name == program.name) {
            return Err(Failure(format!("two programs are called {}", program.name)));
        }
        hosts.push(program);
    }
    if arguments.list {
        for host in &hosts {
            println!("host {}", host.name);
        }
        for scenario in scenarios::all() {
            for actor in scenario.actors {
                println!("{} the {actor:?} {}", scenario.id, scenario.title);
            }
        }
        return Ok(true);
    }
    let named = |names: Option<Vec<String>>| hosts::select(&hosts, names);
    let mut selection = Selection {
        clients: named(arguments.clients)?,
        servers: named(arguments.servers)?,
        scenarios: matrix::select(arguments.only)?,
    };
    selection.servers.retain(|host| host.is_server);
    selection.clients.retain(|host| host.is_client);
    let results = matrix::play(&selection, arguments.jobs)?;
    let text = table::render(&selection, &results);
    print!("{text}");
    if let Some(file) = arguments.write {
        std::fs::write(&file, &text)
            .map_err(|error| Failure(format!("{}: {error}", file.display())))?;
    }
    Ok(results.is_good())
}
