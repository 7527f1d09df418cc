//! Data streams: what comes in on one, and short ones.

use bytes::Bytes;
use std::sync::Arc;
use webtransport_session::{Config, Dir, Input, SessionId, Side, StreamId};

use super::{
    OURS, Operation, Work,
    ends::{Ends, drain, flow_control, pieces, plain},
};

pub const ALL: &[Operation] = &[
    ours("chunk-in-1200", 1000, |n| chunks::<1200>(&plain(), n)),
    ours("chunk-in-65536", 200, |n| chunks::<65536>(&plain(), n)),
    ours("chunk-in-1200-flow-control", 1000, |n| {
        chunks::<1200>(&flow_control(), n)
    }),
    ours("chunk-in-65536-flow-control", 200, |n| {
        chunks::<65536>(&flow_control(), n)
    }),
    ours("chunk-out-1200", 1000, |n| written(&plain(), n)),
    ours("chunk-out-1200-flow-control", 500, |n| {
        written(&flow_control(), n)
    }),
    ours("uni-stream-in", 1000, |n| short(&plain(), n)),
    ours("uni-stream-in-flow-control", 1000, |n| {
        short(&flow_control(), n)
    }),
    ours("uni-stream-out", 1000, opened),
];

const fn ours(row: &'static str, rounds: usize, prepare: fn(usize) -> Work) -> Operation {
    Operation {
        row,
        by: OURS,
        rounds,
        prepare,
    }
}

/// A client's unidirectional stream that is not its control stream.
pub fn uni(n: usize) -> StreamId {
    let n = u64::try_from(n).expect("a stream's number");
    StreamId::new(Side::Client, Dir::Uni, n + 1)
}

/// The header of a unidirectional stream of session 0, and what follows.
pub fn uni_bytes(payload: &[u8]) -> Vec<u8> {
    [&[0x40, 0x54, 0x00], payload].concat()
}

fn feed(ends: &mut Ends, stream: StreamId, data: Bytes, fin: bool) -> usize {
    let input = Input::StreamData { stream, data, fin };
    ends.server.handle(ends.now, input);
    drain(&mut ends.server, ends.now)
}

fn chunks<const LEN: usize>(config: &Arc<Config>, rounds: usize) -> Work {
    let mut ends = Ends::with_sessions(config, 1);
    let stream = uni(0);
    feed(&mut ends, stream, uni_bytes(b"").into(), false);
    let mut chunks = pieces(&[7; LEN], rounds + 1).into_iter();
    let first = chunks.next().expect("there are many");
    feed(&mut ends, stream, first, false);
    Box::new(move || {
        let mut events = 0;
        for data in chunks.by_ref() {
            // As a host does: it asks before each read.
            assert!(ends.server.wants(stream));
            events += feed(&mut ends, stream, data, false);
        }
        assert_eq!(events, rounds);
        Box::new((ends, chunks))
    })
}

/// What it costs to be allowed to write; the bytes go to QUIC directly.
fn written(config: &Arc<Config>, rounds: usize) -> Work {
    let mut ends = Ends::with_sessions(config, 1);
    let stream = open(&mut ends, 0);
    let data = [7; 1200];
    Box::new(move || {
        for _ in 0..rounds {
            let credit = ends.client.credit(stream).expect("there is credit");
            let len = std::hint::black_box(credit.clamp(&data)).len();
            credit.spend(len);
        }
        Box::new(ends)
    })
}

fn open(ends: &mut Ends, n: usize) -> StreamId {
    let session = SessionId::try_from(StreamId::from(0)).expect("the first session");
    let permit = ends.client.open(session, Dir::Uni).expect("no limit");
    let stream = uni(n);
    permit.bind(stream);
    drain(&mut ends.client, ends.now);
    stream
}

fn short(config: &Arc<Config>, rounds: usize) -> Work {
    let mut ends = Ends::with_sessions(config, 1);
    let mut streams = pieces(&uni_bytes(b"x"), rounds + 1).into_iter();
    let first = streams.next().expect("there are many");
    feed(&mut ends, uni(0), first, true);
    Box::new(move || {
        let mut events = 0;
        for (n, data) in streams.by_ref().enumerate() {
            events += feed(&mut ends, uni(n + 1), data, true);
        }
        assert_eq!(events, 2 * rounds, "that it opened, and its bytes");
        Box::new((ends, streams))
    })
}

/// The client's side of the same: opened, written, finished.
fn opened(rounds: usize) -> Work {
    let mut ends = Ends::with_sessions(&plain(), 1);
    open(&mut ends, 0);
    Box::new(move || {
        for n in 1..=rounds {
            let stream = open(&mut ends, n);
            ends.client.credit(stream).expect("no limit").spend(1);
            ends.client.finish(stream).expect("it is open");
            drain(&mut ends.client, ends.now);
        }
        Box::new(ends)
    })
}
