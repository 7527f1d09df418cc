//! The least that each operation can take: written by hand for it alone, without checks that the work
//! itself does not need, and with an [`Event`] of this crate's size.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
    hint::black_box,
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use webtransport_session::{Event, SessionId, StreamId};

use super::{FLOOR, Operation, Work, datagrams::slices, ends::pieces, streams};

pub const ALL: &[Operation] = &[
    floor("datagram-in-20", datagram_in::<20, 1>),
    floor("datagram-in-100", datagram_in::<100, 1>),
    floor("datagram-in-1200", datagram_in::<1200, 1>),
    floor("datagram-in-100-of-1000-sessions", datagram_in::<100, 1000>),
    floor("datagram-out-20", datagram_out::<20>),
    floor("datagram-out-100", datagram_out::<100>),
    floor("datagram-out-1200", datagram_out::<1200>),
    floor("datagram-out-100-reused", datagram_out_reused),
    floor("chunk-in-1200", chunk_in::<1200>),
    floor("chunk-in-65536", chunk_in::<65536>),
    floor("uni-stream-in", uni_stream_in),
    floor("connect-encode", connect_out),
];

const fn floor(row: &'static str, prepare: fn(usize) -> Work) -> Operation {
    Operation {
        row,
        by: FLOOR,
        rounds: 1000,
        prepare,
    }
}

/// One multiplication: what FxHash does with an integer.
#[derive(Default)]
struct Multiply(u64);

impl Hasher for Multiply {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_u64(&mut self, value: u64) {
        self.0 = value.wrapping_mul(0x517c_c1b7_2722_0a95).rotate_left(26);
    }
}

type Table<T> = HashMap<u64, T, BuildHasherDefault<Multiply>>;

/// A varint of one, two or four bytes.
fn varint(data: &mut Bytes) -> u64 {
    let first = u64::from(data[0]);
    let (value, len) = match first >> 6 {
        0 => (first, 1),
        1 => (
            u64::from(u16::from_be_bytes([data[0], data[1]]) & 0x3fff),
            2,
        ),
        _ => (
            u64::from(u32::from_be_bytes([data[0], data[1], data[2], data[3]]) & 0x3fff_ffff),
            4,
        ),
    };
    data.advance(len);
    value
}

fn session(id: u64) -> SessionId {
    SessionId::try_from(StreamId::from(id)).expect("a client's bidirectional stream")
}

fn datagram_in<const LEN: usize, const SESSIONS: usize>(rounds: usize) -> Work {
    let sessions: Table<SessionId> = (0..SESSIONS as u64).map(|n| (n, session(n * 4))).collect();
    let datagram = |n: usize| {
        let mut data = Vec::new();
        match (n * 617 % SESSIONS) as u64 {
            quarter @ 0..64 => data.put_u8(quarter as u8),
            quarter => data.put_u16(quarter as u16 | 0x4000),
        }
        data.put_bytes(7, LEN);
        data
    };
    // One more, so that the buffer is not freed inside.
    let datagrams: Vec<_> = (0..rounds + 1).map(datagram).collect();
    let mut datagrams = slices(&datagrams).into_iter();
    let last = datagrams.next_back();
    let mut events = VecDeque::with_capacity(16);
    Box::new(move || {
        for mut data in datagrams.by_ref() {
            let quarter = varint(&mut data);
            let session = sessions[&quarter];
            let payload = data;
            events.push_back(Event::DatagramReceived { session, payload });
            black_box(events.pop_front());
        }
        Box::new((sessions, datagrams, last))
    })
}

fn datagram_out<const LEN: usize>(rounds: usize) -> Work {
    let payload = [7; LEN];
    Box::new(move || {
        for _ in 0..rounds {
            let mut out = BytesMut::with_capacity(LEN + 1);
            out.put_u8(black_box(0));
            out.put_slice(black_box(&payload));
            black_box(out.freeze());
        }
        Box::new(())
    })
}

fn datagram_out_reused(rounds: usize) -> Work {
    let payload = [7; 100];
    let mut out = Vec::with_capacity(2048);
    Box::new(move || {
        for _ in 0..rounds {
            out.clear();
            out.put_u8(black_box(0));
            out.put_slice(black_box(&payload));
            black_box(&out);
        }
        Box::new(out)
    })
}

fn chunk_in<const LEN: usize>(rounds: usize) -> Work {
    let stream = streams::uni(0);
    let streams: Table<SessionId> = [(u64::from(stream), session(0))].into_iter().collect();
    let mut chunks = pieces(&[7; LEN], rounds).into_iter();
    let mut events = VecDeque::with_capacity(16);
    Box::new(move || {
        for data in chunks.by_ref() {
            let session = streams[&u64::from(black_box(stream))];
            events.push_back(Event::StreamData {
                session,
                stream,
                data,
                fin: false,
            });
            black_box(events.pop_front());
        }
        Box::new((streams, chunks))
    })
}

fn uni_stream_in(rounds: usize) -> Work {
    let sessions: Table<SessionId> = [(0, session(0))].into_iter().collect();
    let mut streams = Table::<SessionId>::default();
    let mut chunks = pieces(&streams::uni_bytes(b"x"), rounds).into_iter();
    let mut events = VecDeque::with_capacity(16);
    Box::new(move || {
        for (n, mut data) in chunks.by_ref().enumerate() {
            let stream = streams::uni(n);
            assert_eq!(varint(&mut data), 0x54);
            let session = sessions[&varint(&mut data)];
            streams.insert(stream.into(), session);
            events.push_back(Event::StreamOpened { session, stream });
            let fin = true;
            events.push_back(Event::StreamData {
                session,
                stream,
                data,
                fin,
            });
            streams.remove(&u64::from(stream));
            black_box(events.pop_front());
            black_box(events.pop_front());
        }
        Box::new((streams, chunks))
    })
}

fn connect_out(rounds: usize) -> Work {
    Box::new(move || {
        for _ in 0..rounds {
            let mut out = BytesMut::with_capacity(128);
            // Frame, prefix and the fields with their names; what varies in between.
            out.put_slice(b"\x01\x45\0\0\xcf\x27\x02:protocol");
            for text in [
                "webtransport",
                "example.org",
                "/game",
                "https://example.org",
            ] {
                out.put_u8(text.len() as u8);
                out.put_slice(black_box(text).as_bytes());
            }
            black_box(out.freeze());
        }
        Box::new(())
    })
}
