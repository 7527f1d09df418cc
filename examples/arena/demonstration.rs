//! The default task: server and players in one process, and whether each left as it should have.

use std::{
    io::{self, Write},
    net::SocketAddr,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, Scope, ScopedJoinHandle},
    time::{Duration, Instant},
};

use webtransport_session::Config;

use crate::{
    Failure,
    arguments::Output,
    clock,
    identity::Identity,
    net::Loopback,
    players::Players,
    scores::Scores,
    server::{Report, Rules, Server},
    ways::Way,
};

/// How often it is looked whether both threads are still there.
const GLANCE: Duration = Duration::from_millis(250);
/// By then the slowest way has long come to its end.
const PATIENCE: Duration = Duration::from_secs(25);
/// How long to look for an end too many, after the last one that is due.
const AFTERMATH: Duration = Duration::from_millis(300);

/// What the two threads tell this one.
enum News {
    Acted(Way, Instant),
    Noticed(Report),
}

/// Opens the arena, and closes it when everybody has left. Whether all of them left as expected.
pub(crate) fn run(output: Output) -> Result<bool, Failure> {
    let identity = Identity::fresh()?;
    let sockets = Loopback::udp(0)?;
    let note = sockets.note();
    let servers: Vec<SocketAddr> = [Some(&sockets.v4), sockets.v6.as_ref()]
        .into_iter()
        .flatten()
        .filter_map(|socket| socket.local_addr().ok())
        .collect();
    if output == Output::People {
        let (all, port) = (Way::ALL.len(), sockets.port);
        say(|out| {
            writeln!(
                out,
                "{all} players come to UDP port {port} {note}, and each leaves in its own way."
            )
        })?;
    }

    let (news, arrivals) = mpsc::channel();
    let (acts, notices): (Sender<News>, Sender<News>) = (news.clone(), news);
    let server = Server::new(sockets.into_vec(), &identity, rules(), move |report| {
        // Nobody listens any more once the arena closes.
        let _closing = notices.send(News::Noticed(report));
        Ok(())
    })?;
    let players = Players::new(&servers, &identity, move |way, at| {
        let _closing = acts.send(News::Acted(way, at));
    })?;

    let mut scores = Scores::new(clock::now());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let server = start(scope, "server", || server.run(&stop))?;
        let players = start(scope, "players", || players.run(&stop));
        let watched = match &players {
            Ok(players) => {
                let is_lost = || server.is_finished() || players.is_finished();
                watch(&arrivals, &mut scores, output, is_lost)
            }
            Err(_) => Ok(()),
        };
        stop.store(true, Ordering::Relaxed);
        ended(server, "server")?;
        ended(players?, "players")?;
        watched
    })?;

    match output {
        Output::People => say(|out| scores.write_table(out))?,
        Output::Scripts => {
            for way in scores.missing() {
                say(|out| scores.write_json(out, way))?;
            }
        }
    }
    Ok(scores.is_as_expected())
}

/// The slow ways come to their end within three seconds, and no two deadlines are in each other's
/// way: QUIC's idle timeout is the shortest, so that it is the one that finds who vanished.
fn rules() -> Rules {
    let mut sessions = Config::default();
    sessions.deadlines.request = Some(Duration::from_millis(2500));
    sessions.deadlines.inactivity = Some(Duration::from_millis(2500));
    Rules {
        sessions,
        idle_ms: 1500,
        // Longer than the request may wait.
        slow: Some(Duration::from_secs(5)),
        traces: None,
    }
}

/// Follows what happens until everybody has left, or should have.
fn watch(
    arrivals: &Receiver<News>,
    scores: &mut Scores,
    output: Output,
    is_lost: impl Fn() -> bool,
) -> Result<(), Failure> {
    let mut until = clock::now() + PATIENCE;
    let mut is_complete = false;
    loop {
        let patience = until.saturating_duration_since(clock::now());
        let report = match arrivals.recv_timeout(patience.min(GLANCE)) {
            Ok(News::Noticed(report)) => report,
            Ok(News::Acted(way, at)) => {
                scores.acted(way, at);
                continue;
            }
            Err(RecvTimeoutError::Timeout) if patience > GLANCE && !is_lost() => continue,
            // Time is up, or a thread has failed, and will say why.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(()),
        };
        if output == Output::People {
            say(|out| scores.write_news(out, &report))?;
        }
        if let Some(way) = scores.noticed(&report) {
            if output == Output::Scripts {
                say(|out| scores.write_json(out, way))?;
            }
        }
        if scores.is_complete() && !is_complete {
            is_complete = true;
            until = clock::now() + AFTERMATH;
        }
    }
}

fn start<'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    task: impl FnOnce() -> Result<(), Failure> + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, Result<(), Failure>>, Failure> {
    let thread = thread::Builder::new().name(name.into());
    thread.spawn_scoped(scope, task).map_err(Failure::Thread)
}

fn ended(
    thread: ScopedJoinHandle<'_, Result<(), Failure>>,
    name: &'static str,
) -> Result<(), Failure> {
    thread.join().unwrap_or(Err(Failure::Ended(name)))
}

fn say(write: impl FnOnce(&mut io::StdoutLock<'static>) -> io::Result<()>) -> Result<(), Failure> {
    write(&mut io::stdout().lock()).map_err(Failure::Output)
}
