//! A realtime game server on plain UDP sockets and its own event loop: who left, and why, at once.
//!
//! `cargo run --release --example arena` lets players without a screen join over loopback and
//! leave, each in its own way, and checks the reason that the server gives for each.
//! `… -- serve` is the same server for people, with a page where every tab is a player.
//!
//! Read `server.rs` first: it is what an application of this crate looks like. `net.rs` is the
//! QUIC under it and `game.rs` the game, which knows of neither. `ways.rs` has the ways of
//! leaving, `players.rs` those who go them, `scores.rs` what became of it. `identity.rs` makes the
//! certificate, `page.rs` serves the page, `json.rs` writes events for scripts,
//! `traces.rs` records connections.

mod arguments;
mod clock;
mod demonstration;
mod format;
mod game;
mod identity;
mod json;
mod net;
mod page;
mod people;
mod players;
mod scores;
mod server;
mod traces;
mod ways;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use arguments::Task;

/// What `main` says when the players did not leave as they should have.
const UNEXPECTED: u8 = 1;
/// What `main` says when the arguments make no sense.
const MISUSED: u8 = 2;

fn main() -> ExitCode {
    let task = match arguments::parse(std::env::args_os()) {
        Ok(task) => task,
        Err(error) => {
            complain(&format_args!("{error}; `--help` says what there is"));
            return ExitCode::from(MISUSED);
        }
    };
    let done = match task {
        Task::Help => writeln!(io::stdout(), "{}", arguments::HELP)
            .map(|()| ExitCode::SUCCESS)
            .map_err(Failure::Output),
        Task::Demonstrate(output) => demonstration::run(output).map(|as_expected| {
            if as_expected {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(UNEXPECTED)
            }
        }),
        Task::Serve(options) => people::run(options).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|failure| {
        complain(&failure);
        ExitCode::FAILURE
    })
}

/// One line for people. Where even that cannot be written the arena goes on, or its exit status has
/// to do.
fn complain(about: &dyn std::fmt::Display) {
    let _unheard = writeln!(io::stderr(), "arena: {about}");
}

/// Why the arena cannot open, or cannot stay open.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// Somebody else listens there.
    #[error("{port} {address} is taken: choose another with {flag}")]
    Taken {
        port: &'static str,
        address: std::net::SocketAddr,
        flag: &'static str,
    },
    #[error("cannot listen on {address}: {error}")]
    Listen {
        address: std::net::SocketAddr,
        error: io::Error,
    },
    #[error("cannot read the {what} from {file:?}: {error}")]
    Unreadable {
        what: &'static str,
        file: std::path::PathBuf,
        error: rustls::pki_types::pem::Error,
    },
    #[error("cannot write traces to {}: {error}", dir.display())]
    Traces {
        dir: std::path::PathBuf,
        error: io::Error,
    },
    #[error("cannot use the certificate and key: {0}")]
    Identity(String),
    #[error("a socket failed: {0}")]
    Socket(io::Error),
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    #[error("cannot write the output: {0}")]
    Output(io::Error),
    #[error("the {0} ended before its time")]
    Ended(&'static str),
}
