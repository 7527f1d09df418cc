//! Datagrams in, out, and through both ends.

use bytes::Bytes;
use webtransport_session::{Input, SessionId, StreamId};

use super::{
    OURS, Operation, Work,
    ends::{Ends, crowded, drain, plain},
};

const ROUNDS: usize = 1000;

pub const ALL: &[Operation] = &[
    ours("datagram-in-20", received::<20, 1>),
    ours("datagram-in-100", received::<100, 1>),
    ours("datagram-in-1200", received::<1200, 1>),
    ours("datagram-in-100-of-1000-sessions", received::<100, 1000>),
    ours("datagram-in-100-of-10000-sessions", received::<100, 10_000>),
    ours("datagram-in-100-batch-of-16", received_in_batches),
    ours("datagram-out-20", sent::<20, 1>),
    ours("datagram-out-100", sent::<100, 1>),
    ours("datagram-out-1200", sent::<1200, 1>),
    ours("datagram-out-100-of-1000-sessions", sent::<100, 1000>),
    ours("datagram-out-100-reused", sent_from_a_buffer),
    ours("datagram-both-100", through::<100>),
    ours("datagram-both-1200", through::<1200>),
];

const fn ours(row: &'static str, prepare: fn(usize) -> Work) -> Operation {
    Operation {
        row,
        by: OURS,
        rounds: ROUNDS,
        prepare,
    }
}

fn ends(sessions: usize) -> Ends {
    match sessions {
        1 => Ends::with_sessions(&plain(), 1),
        _ => Ends::with_sessions(&crowded(), sessions),
    }
}

/// The sessions, one after another.
fn turns(sessions: usize, rounds: usize) -> Vec<SessionId> {
    let id = |n: usize| StreamId::from(u64::try_from(n % sessions * 4).expect("a stream id"));
    let session = |n| SessionId::try_from(id(n)).expect("a client's bidirectional stream");
    // Far apart, so that no cache line serves two turns.
    (0..rounds).map(|n| session(n * 617)).collect()
}

fn encoded(ends: &Ends, payload: &[u8], turns: &[SessionId]) -> Vec<Bytes> {
    let one = |session: &SessionId| {
        let permit = ends.client.datagram(*session).expect("it is open");
        permit.encode(payload).to_vec()
    };
    slices(&turns.iter().map(one).collect::<Vec<_>>())
}

/// These, each a part of one buffer.
pub fn slices(all: &[Vec<u8>]) -> Vec<Bytes> {
    let mut rest = Bytes::from(all.concat());
    all.iter().map(|one| rest.split_to(one.len())).collect()
}

fn received<const LEN: usize, const SESSIONS: usize>(rounds: usize) -> Work {
    let mut ends = ends(SESSIONS);
    let datagrams = encoded(&ends, &[7; LEN], &turns(SESSIONS, rounds + 1));
    let mut datagrams = datagrams.into_iter();
    take(&mut ends, datagrams.next());
    Box::new(move || {
        let mut events = 0;
        for data in datagrams.by_ref() {
            events += take(&mut ends, Some(data));
        }
        assert_eq!(events, rounds);
        Box::new(ends)
    })
}

#[inline]
fn take(ends: &mut Ends, data: impl IntoIterator<Item = Bytes>) -> usize {
    for data in data {
        ends.server
            .handle(ends.now, Input::DatagramReceived { data });
    }
    drain(&mut ends.server, ends.now)
}

fn received_in_batches(rounds: usize) -> Work {
    let mut ends = ends(1);
    let datagrams = encoded(&ends, &[7; 100], &turns(1, rounds + 16));
    let mut batches: Vec<_> = datagrams.chunks(16).map(<[Bytes]>::to_vec).collect();
    take(&mut ends, batches.remove(0));
    Box::new(move || {
        let mut events = 0;
        for batch in &mut batches {
            events += take(&mut ends, batch.drain(..));
        }
        assert_eq!(events, rounds);
        Box::new((ends, batches))
    })
}

fn sent<const LEN: usize, const SESSIONS: usize>(rounds: usize) -> Work {
    let ends = ends(SESSIONS);
    let turns = turns(SESSIONS, rounds);
    let payload = [7; LEN];
    Box::new(move || {
        for &session in &turns {
            let permit = ends.server.datagram(session).expect("it is open");
            std::hint::black_box(permit.encode(std::hint::black_box(&payload)));
        }
        Box::new((ends, turns))
    })
}

fn sent_from_a_buffer(rounds: usize) -> Work {
    let ends = ends(1);
    let turns = turns(1, rounds);
    let payload = [7; 100];
    let mut buffer = Vec::with_capacity(2048);
    Box::new(move || {
        for &session in &turns {
            let permit = ends.server.datagram(session).expect("it is open");
            buffer.clear();
            permit.encode_into(std::hint::black_box(&payload), &mut buffer);
            std::hint::black_box(&buffer);
        }
        Box::new((ends, turns, buffer))
    })
}

fn through<const LEN: usize>(rounds: usize) -> Work {
    let mut ends = ends(1);
    let turns = turns(1, rounds);
    let payload = [7; LEN];
    let first = encoded(&ends, &payload, &turns[..1]);
    take(&mut ends, first);
    Box::new(move || {
        let mut events = 0;
        for &session in &turns {
            let permit = ends.client.datagram(session).expect("it is open");
            let data = permit.encode(std::hint::black_box(&payload));
            events += take(&mut ends, Some(data));
        }
        assert_eq!(events, rounds);
        Box::new((ends, turns))
    })
}
