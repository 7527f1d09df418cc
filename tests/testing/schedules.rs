//! Every ending over links that do their worst: the reason is the same, however the bytes came.
//!
//! `SCHEDULES=100000 cargo test --release --test testing schedules` plays more of them;
//! `SCHEDULE=42 cargo test --test testing schedules -- --nocapture` plays one alone and prints it.

use std::{collections::BTreeSet, env, panic, time::Duration};

use fastrand::Rng;
use webtransport_session::{
    CloseReason, ConnectionLost, Deadline, Dir, Event, Response, SessionId, Side, StreamId,
    testing::{Ending, Link, Pair, Stage},
};

use crate::endings::reason;

const SCHEDULES: u64 = 2_000;

fn number(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
}

#[test]
fn schedules_do_not_change_the_reason() {
    if let Some(seed) = number("SCHEDULE") {
        let schedule = Schedule::play(seed);
        println!("{}", schedule.pair.script());
        schedule.check();
        return;
    }
    let count = number("SCHEDULES").unwrap_or(SCHEDULES);
    let mut endings = BTreeSet::new();
    for seed in 0..count {
        let schedule = Schedule::play(seed);
        endings.insert((schedule.ending.name(), schedule.side == Side::Client));
        let result = panic::catch_unwind(panic::AssertUnwindSafe(|| schedule.check()));
        assert!(
            result.is_ok(),
            "again, alone: SCHEDULE={seed} cargo test --test testing schedules -- --nocapture"
        );
    }
    let all = Ending::all();
    let all: usize = all.iter().map(|ending| ending.sides().len()).sum();
    assert_eq!(endings.len(), all, "each ending at each side is played");
}

/// One ending in the middle of some traffic.
struct Schedule {
    ending: Ending,
    side: Side,
    session: SessionId,
    pair: Pair,
    /// The link is cut while the ending is under way, perhaps.
    cut: bool,
    chance: Rng,
}

impl Schedule {
    fn play(seed: u64) -> Self {
        let mut chance = Rng::with_seed(seed);
        let (ending, side) = pick(seed);
        let mut pair = ending.pair(side, Link::seeded(seed));
        pair.run();
        let session = pair.connect(&ending.request()).unwrap();
        pair.run();
        if ending.stage() == Stage::Open {
            pair.accept(session, Response::default());
            pair.run();
        }
        let mut schedule = Self {
            cut: chance.u8(..8) == 0,
            ending,
            side,
            session,
            pair,
            chance,
        };
        schedule.traffic();
        if schedule.chance.bool() {
            schedule.pair.run();
        }
        schedule.end();
        schedule
    }

    fn end(&mut self) {
        let (side, session) = (self.side, self.session);
        self.pair.inject(side, session, &self.ending);
        if !matches!(self.ending, Ending::NoAnswer | Ending::Inactivity) {
            self.traffic();
        }
        if self.cut {
            let until = Duration::from_micros(self.chance.u64(..30_000));
            self.pair.wait(until);
            self.pair.link.cut();
            self.pair.wait(Ending::IdleTimeout.duration());
        }
        self.pair.wait(self.ending.duration());
    }

    /// Streams and datagrams of both sides, in all stages of their lives.
    fn traffic(&mut self) {
        for _ in 0..self.chance.usize(..6) {
            let side = self.side();
            let payload = vec![b'.'; self.chance.usize(..3_000)];
            if self.chance.bool() {
                let short = payload.get(..payload.len() / 3).unwrap_or_default();
                let _not_open = self.pair.send_datagram(side, self.session, short);
                continue;
            }
            let dir = if self.chance.bool() {
                Dir::Uni
            } else {
                Dir::Bi
            };
            let Ok(stream) = self.pair.open_stream(side, self.session, dir) else {
                continue;
            };
            let _blocked = self.pair.write(side, stream, &payload);
            self.command(side, stream);
            if self.chance.bool() {
                self.pair.wait(Duration::from_millis(self.chance.u64(..10)));
                let other = self.side();
                self.command(other, stream);
            }
        }
    }

    fn side(&mut self) -> Side {
        if self.chance.bool() {
            Side::Client
        } else {
            Side::Server
        }
    }

    /// What one side may do with a stream. Whether it can is not the question.
    fn command(&mut self, side: Side, stream: StreamId) {
        let connection = &mut self.pair.end(side).machine;
        match self.chance.u8(..6) {
            0 => _ = connection.finish(stream),
            1 => _ = connection.reset(stream, 5),
            2 => _ = connection.stop(stream, 6),
            3 if self.ending != Ending::Inactivity => connection.pause(stream),
            4 => connection.resume(stream),
            _ => {}
        }
    }

    fn check(&self) {
        let (ending, side, script) = (&self.ending, self.side, self.pair.script());
        for end in [&self.pair.client, &self.pair.server] {
            ends_at_most_once(end.events(), self.session);
        }
        let told = reason(&self.pair, side, self.session);
        let lost = [
            CloseReason::ConnectionLost(ConnectionLost::IdleTimeout),
            CloseReason::TimedOut(Deadline::Request),
        ];
        let half = matches!(
            ending,
            Ending::PeerStopsAndCloses { .. } | Ending::PeerStopsAndFinishes
        );
        let explained =
            self.cut && (lost.contains(&told) || half && told == Ending::PeerIsGone.reason());
        assert!(
            told == ending.reason() || explained,
            "{ending} at the {side:?} gave {told}:\n{script}"
        );
    }
}

/// Which ending a seed is about, so that all are played in turn.
fn pick(seed: u64) -> (Ending, Side) {
    let all = Ending::all().into_iter();
    let mut all = all.flat_map(|ending| {
        let sides = ending.sides().iter();
        sides
            .map(move |&side| (ending.clone(), side))
            .collect::<Vec<_>>()
    });
    let count = all.clone().count();
    all.nth(usize::try_from(seed).unwrap() % count).unwrap()
}

fn ends_at_most_once<'a>(events: impl Iterator<Item = &'a Event>, session: SessionId) {
    let mut over = false;
    for event in events.filter(|event| event.session() == Some(session)) {
        assert!(!over, "behind the end: {event:?}");
        over = matches!(event, Event::SessionClosed { .. });
    }
}
