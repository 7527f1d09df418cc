//! What concerns all sessions of a connection at once: time, and its end.

use std::{sync::Arc, time::Duration};

use webtransport_session::{Config, ConnectionLost, Input};

use super::{
    OURS, Operation, Work,
    ends::{Ends, crowded, drain},
};

const SESSIONS: usize = 1000;
const SILENCE: Duration = Duration::from_secs(20);

pub const ALL: &[Operation] = &[
    ours("timeout-not-due-1000-sessions", 1000, not_due),
    ours("inactivity-of-1000-sessions", SESSIONS, all_due),
    ours("connection-lost-1000-sessions", SESSIONS, lost),
];

const fn ours(row: &'static str, rounds: usize, prepare: fn(usize) -> Work) -> Operation {
    Operation {
        row,
        by: OURS,
        rounds,
        prepare,
    }
}

fn ends() -> Ends {
    let mut config: Config = Config::clone(&crowded());
    config.deadlines.inactivity = Some(SILENCE);
    Ends::with_sessions(&Arc::new(config), SESSIONS)
}

/// Asking for the next deadline, and a wake-up that finds nothing to do.
fn not_due(rounds: usize) -> Work {
    let mut ends = ends();
    Box::new(move || {
        for _ in 0..rounds {
            assert!(std::hint::black_box(ends.server.poll_timeout()).is_some());
            ends.server.handle(ends.now, Input::Timeout);
            assert_eq!(drain(&mut ends.server, ends.now), 0);
        }
        Box::new(ends)
    })
}

fn all_due(rounds: usize) -> Work {
    let mut ends = ends();
    Box::new(move || {
        ends.now += SILENCE;
        ends.server.handle(ends.now, Input::Timeout);
        assert_eq!(drain(&mut ends.server, ends.now), rounds);
        Box::new(ends)
    })
}

fn lost(rounds: usize) -> Work {
    let mut ends = ends();
    Box::new(move || {
        let reason = ConnectionLost::IdleTimeout;
        let input = Input::ConnectionClosed { reason };
        ends.server.handle(ends.now, input);
        let events = drain(&mut ends.server, ends.now);
        assert_eq!(events, rounds + 1, "each session, and the connection");
        Box::new(ends)
    })
}
