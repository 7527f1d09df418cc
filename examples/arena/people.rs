//! The other task: the server for people, its page, and a log of who comes and goes.

use std::{
    io::{self, Write},
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use webtransport_session::Config;

use crate::{
    Failure,
    arguments::{Options, Output},
    clock,
    identity::Identity,
    json,
    net::Loopback,
    page::{self, Page},
    server::{Fact, REFUSED, Report, Rules, Server},
    traces::Traces,
};

/// Serves until the process is ended.
pub(crate) fn run(options: Options) -> Result<(), Failure> {
    let own_certificate = options.identity.is_none();
    let identity = match options.identity {
        Some((chain, key)) => Identity::read(chain, key)?,
        None => Identity::fresh()?,
    };
    let mut rules = rules();
    if let Some((dir, payload)) = options.traces {
        rules.traces = Some(Traces::new(dir, payload, rules.sessions.clone())?);
    }
    let game = Loopback::udp(options.port)?;
    let pages = Loopback::tcp(options.page_port)?;

    // Chromium knows localhost as ::1 alone, where that exists.
    let host = game.v6.as_ref().map_or("127.0.0.1", |_| "localhost");
    let page = Page {
        url: format!("https://{host}:{}/arena", game.port),
        certificate_hash: identity.hash(),
        is_known_by_hash_alone: own_certificate,
    };
    let banner = format!(
        "The arena is open: http://localhost:{}/ (each tab is a player)\n\
         The game: UDP port {} {}; the page: TCP port {} {}.\n\
         Every path is accepted, except {}.",
        pages.port,
        game.port,
        game.note(),
        pages.port,
        pages.note(),
        REFUSED.0,
    );
    let output = options.output;
    let opening = clock::now();
    let log = move |report: Report| {
        let out = &mut io::stdout().lock();
        match output {
            Output::People => write_log(out, opening, &report),
            Output::Scripts => json::write(out, &report),
        }
        .map_err(Failure::Output)
    };
    let server = Server::new(game.into_vec(), &identity, rules, log)?;
    page::serve(pages.into_vec(), page)?;
    match output {
        Output::People => writeln!(io::stdout(), "{banner}"),
        // A script reads events and nothing else.
        Output::Scripts => writeln!(io::stderr(), "{banner}"),
    }
    .map_err(Failure::Output)?;
    server.run(&AtomicBool::new(false))
}

/// A page sends its position twenty times a second, also from a tab in the background. Who says
/// nothing for seconds is gone: nothing else tells that a tab of Firefox was closed.
fn rules() -> Rules {
    let mut sessions = Config::default();
    sessions.deadlines.inactivity = Some(Duration::from_secs(4));
    sessions.deadlines.inactivity_close = (4002, "nothing was heard for four seconds".into());
    // Firefox opens a connection that it never uses, and no browser closes one in time.
    sessions.deadlines.idle_connection = Some(Duration::from_secs(10));
    Rules {
        sessions,
        idle_ms: 30_000,
        slow: None,
        traces: None,
    }
}

fn write_log(out: &mut impl Write, opening: Instant, report: &Report) -> io::Result<()> {
    let at = report.at.saturating_duration_since(opening).as_secs_f64();
    let conn = report.conn;
    match &report.fact {
        Fact::Requested { session, request } => {
            let path = request.path();
            let origin = request.origin.as_ref();
            let from = origin.map_or("nowhere".into(), |o| String::from_utf8_lossy(o.as_bytes()));
            writeln!(
                out,
                "{at:9.3} s  connection {conn}, session {session}: asks for {path:?} from {from:?}"
            )
        }
        Fact::Opened { session, player } => writeln!(
            out,
            "{at:9.3} s  connection {conn}, session {session}: player {player} joins"
        ),
        Fact::Closed {
            session,
            reason,
            departure,
        } => {
            let who = match departure {
                Some(departure) => format!(
                    "player {} left, last heard of {:.1} ms before",
                    departure.player,
                    departure.silent_for.as_secs_f64() * 1000.0
                ),
                None => "never joined".into(),
            };
            writeln!(
                out,
                "{at:9.3} s  connection {conn}, session {session}: {who}: {reason}"
            )
        }
        Fact::ConnectionClosed { reason } => {
            writeln!(out, "{at:9.3} s  connection {conn}: over: {reason}")
        }
    }
}
