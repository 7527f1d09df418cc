//! The CONNECT: bytes to the application's question, and the application's question to bytes. With the
//! session that is made for it, and the codec alone.

use std::hint::black_box;

use bytes::Bytes;
use webtransport_session::{Action, Dialect, Input, Output, testing::codec};

use super::{
    OURS, Operation, Work,
    ends::{Ends, crowded, pieces, plain, request},
};

pub const ALL: &[Operation] = &[
    ours("connect-in-plain", |n| received(n, PLAIN)),
    ours("connect-in-huffman", |n| received(n, HUFFMAN)),
    ours("connect-out", sent),
    ours("connect-decode-plain", |n| decoded(n, PLAIN)),
    ours("connect-decode-huffman", |n| decoded(n, HUFFMAN)),
    ours("connect-encode", encoded),
];

const fn ours(row: &'static str, prepare: fn(usize) -> Work) -> Operation {
    Operation {
        row,
        by: OURS,
        rounds: 50,
        prepare,
    }
}

/// CONNECT for https://example.org/game with an origin, its strings as they are.
pub const PLAIN: &[u8] = include_bytes!("connect_plain.bin");
/// The same with Huffman codes for all strings.
pub const HUFFMAN: &[u8] = include_bytes!("connect_huffman.bin");

/// From the HEADERS frame to `SessionRequested`: besides the decoding the session is made.
fn received(rounds: usize, head: &[u8]) -> Work {
    // Draft 02's `:protocol`, which all implementations know.
    let config = crowded();
    let mut all: Vec<_> = (0..rounds).map(|_| Ends::ready(&config)).collect();
    let mut inputs: std::vec::IntoIter<Bytes> = pieces(head, rounds).into_iter();
    Box::new(move || {
        let mut asked = Vec::with_capacity(rounds);
        for (ends, data) in all.iter_mut().zip(inputs.by_ref()) {
            let (stream, fin) = (0.into(), false);
            let input = Input::StreamData { stream, data, fin };
            ends.server.handle(ends.now, input);
            let Some(Output::Event(event)) = ends.server.poll() else {
                panic!("SessionRequested");
            };
            asked.push(event);
        }
        Box::new((all, inputs, asked))
    })
}

/// From the permit to the bytes for QUIC: besides the encoding the session is made.
fn sent(rounds: usize) -> Work {
    let config = plain();
    let mut all: Vec<_> = (0..rounds).map(|_| Ends::ready(&config)).collect();
    let request = request();
    Box::new(move || {
        for ends in &mut all {
            let permit = ends.client.connect(ends.now, &request).expect("ready");
            permit.bind(0.into());
            let Some(Output::Action(Action::Write { data, .. })) = ends.client.poll() else {
                panic!("the CONNECT");
            };
            black_box(data);
        }
        Box::new((all, request))
    })
}

/// From the HEADERS frame to the `Request`, and no more.
fn decoded(rounds: usize, head: &[u8]) -> Work {
    let config = crowded();
    let mut inputs: std::vec::IntoIter<Bytes> = pieces(head, rounds).into_iter();
    Box::new(move || {
        for data in inputs.by_ref() {
            let request = codec::read_connect(black_box(data), Dialect::Draft02, &config);
            black_box(request.expect("a CONNECT"));
        }
        Box::new((inputs, config))
    })
}

/// From the `Request` to the HEADERS frame, and no more.
fn encoded(rounds: usize) -> Work {
    let request = request();
    Box::new(move || {
        for _ in 0..rounds {
            let frame = codec::write_connect(black_box(&request), Dialect::Draft16);
            black_box(frame.expect("a request that may be sent"));
        }
        Box::new(request)
    })
}
