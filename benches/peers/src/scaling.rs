//! What a datagram costs where there are many sessions, many connections and two threads: by the
//! clock, because caches are the matter.

use std::{
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use peers::operations::ends::{Ends, crowded, drain};
use serde_json::{Value, json};
use webtransport_session::{Input, SessionId};

/// A measurement.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// On each connection.
    pub sessions: usize,
    pub connections: usize,
    pub threads: usize,
    /// Of the clock, for each datagram.
    pub nanoseconds: f64,
}

const COUNTS: [usize; 5] = [1, 10, 100, 1000, 10_000];
const DATAGRAMS: usize = 100_000;

pub fn measure() -> Vec<Line> {
    let sessions = COUNTS.map(|sessions| line(sessions, 1, 1));
    let connections = COUNTS.map(|connections| line(1, connections, 1));
    let threads = [line(1, 1000, 1), line(1, 1000, 2)];
    [&sessions[..], &connections[1..], &threads[1..]].concat()
}

pub fn write(lines: &[Line]) -> Value {
    let line = |line: &Line| {
        json!({
            "sessions": line.sessions,
            "connections": line.connections,
            "threads": line.threads,
            "nanoseconds": line.nanoseconds,
        })
    };
    lines.iter().map(line).collect()
}

pub fn read(kept: &Value) -> Vec<Line> {
    let line = |line: &Value| {
        let number = |key: &str| usize::try_from(line[key].as_u64()?).ok();
        Some(Line {
            sessions: number("sessions")?,
            connections: number("connections")?,
            threads: number("threads")?,
            nanoseconds: line["nanoseconds"].as_f64()?,
        })
    };
    kept.as_array()
        .into_iter()
        .flatten()
        .filter_map(line)
        .collect()
}

/// The connections are divided among the threads.
fn line(sessions: usize, connections: usize, threads: usize) -> Line {
    let work = || {
        let mut server = Servers::new(sessions, connections / threads);
        let times: Vec<_> = (0..5).map(|_| server.run(DATAGRAMS / threads)).collect();
        times.into_iter().min().unwrap_or_default()
    };
    let slowest = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let times = running.into_iter().map(|one| one.join().expect("no panic"));
        times.max().unwrap_or_default()
    });
    Line {
        sessions,
        connections,
        threads,
        nanoseconds: slowest.as_secs_f64() * 1e9 / DATAGRAMS as f64,
    }
}

struct Servers {
    all: Vec<Ends>,
    /// One for each session, the same on each connection.
    datagrams: Vec<Bytes>,
}

impl Servers {
    fn new(sessions: usize, connections: usize) -> Self {
        let config = crowded();
        let all: Vec<_> = (0..connections)
            .map(|_| Ends::with_sessions(&config, sessions))
            .collect();
        let ids: Vec<SessionId> = all[0].client.sessions().collect();
        let encode = |id: &SessionId| {
            let permit = all[0].client.datagram(*id).expect("it is open");
            permit.encode(&[7; 100])
        };
        let datagrams = ids.iter().map(encode).collect();
        Self { all, datagrams }
    }

    fn run(&mut self, count: usize) -> Duration {
        let (connections, sessions) = (self.all.len(), self.datagrams.len());
        let start = Instant::now();
        for n in 0..count {
            // Far apart, so that nothing that lies beside it helps.
            let ends = &mut self.all[n * 617 % connections];
            let data = self.datagrams[n * 617 % sessions].clone();
            let input = Input::DatagramReceived { data };
            ends.server.handle(ends.now, input);
            black_box(drain(&mut ends.server, ends.now));
        }
        start.elapsed()
    }
}
