//! Sessions from the request to the end, and the SETTINGS before them. Each round has ends of its own.

use std::hint::black_box;

use bytes::Bytes;
use webtransport_session::{Action, Input, Output, SessionId, StreamId};

use super::{
    OURS, Operation, Work,
    ends::{Ends, drain, plain, request},
};

pub const ALL: &[Operation] = &[
    ours("session-open", open),
    ours("session-open-and-close", open_and_close),
    ours("handshake", handshake),
    ours("settings-in", settings_in),
    ours("settings-out", settings_out),
    ours("close-capsule-in", close_in),
    ours("close-capsule-both", close_both),
];

const fn ours(row: &'static str, prepare: fn(usize) -> Work) -> Operation {
    Operation {
        row,
        by: OURS,
        rounds: 50,
        prepare,
    }
}

fn first() -> SessionId {
    SessionId::try_from(StreamId::from(0)).expect("the first session")
}

fn open(rounds: usize) -> Work {
    let config = plain();
    let mut all: Vec<_> = (0..rounds).map(|_| Ends::ready(&config)).collect();
    let request = request();
    Box::new(move || {
        for ends in &mut all {
            ends.open(&request);
        }
        Box::new((all, request))
    })
}

fn open_and_close(rounds: usize) -> Work {
    let config = plain();
    let mut all: Vec<_> = (0..rounds).map(|_| Ends::ready(&config)).collect();
    let request = request();
    Box::new(move || {
        for ends in &mut all {
            let session = ends.open(&request);
            ends.client.close(ends.now, session, 7, "bye");
            ends.exchange();
        }
        assert!(all.iter().all(|ends| ends.server.is_settled()));
        Box::new((all, request))
    })
}

fn handshake(rounds: usize) -> Work {
    let config = plain();
    let request = request();
    let mut all = Vec::with_capacity(rounds);
    Box::new(move || {
        for _ in 0..rounds {
            let mut ends = Ends::new(&config);
            ends.start();
            ends.open(&request);
            all.push(ends);
        }
        Box::new((all, request))
    })
}

/// The client's SETTINGS at a server that has said its own.
fn settings_in(rounds: usize) -> Work {
    let config = plain();
    let mut client = Ends::new(&config);
    let control = start(&mut client, true);
    let mut all: Vec<_> = (0..rounds).map(|_| Ends::new(&config)).collect();
    for ends in &mut all {
        start(ends, false);
    }
    let mut inputs = super::ends::pieces(&control, rounds).into_iter();
    Box::new(move || {
        for (ends, data) in all.iter_mut().zip(inputs.by_ref()) {
            let (stream, fin) = (2.into(), false);
            let input = Input::StreamData { stream, data, fin };
            ends.server.handle(ends.now, input);
            assert_eq!(drain(&mut ends.server, ends.now), 1, "Ready");
        }
        Box::new((all, inputs))
    })
}

/// Starts one end, and gives what it writes first.
fn start(ends: &mut Ends, is_client: bool) -> Bytes {
    use webtransport_session::{Support, Transport};
    let (end, control) = match is_client {
        true => (&mut ends.client, 2),
        false => (&mut ends.server, 3),
    };
    end.start(ends.now, Transport::new(Support::Yes));
    if let Some(permit) = end.protocol_stream() {
        permit.bind(control.into());
    }
    let Some(Output::Action(Action::Write { stream, data, fin })) = end.poll() else {
        panic!("SETTINGS come first");
    };
    let len = data.len();
    end.handle(ends.now, Input::Written { stream, len, fin });
    data
}

fn settings_out(rounds: usize) -> Work {
    let config = plain();
    let mut all: Vec<_> = (0..rounds).map(|_| Ends::new(&config)).collect();
    Box::new(move || {
        for ends in &mut all {
            black_box(start(ends, false));
        }
        Box::new(all)
    })
}

/// WT_CLOSE_SESSION(7, "bye") in a DATA frame.
pub const CLOSE: &[u8] = &[0, 10, 0x68, 0x43, 7, 0, 0, 0, 7, b'b', b'y', b'e'];

fn close_in(rounds: usize) -> Work {
    let config = plain();
    let mut all: Vec<_> = (0..rounds)
        .map(|_| Ends::with_sessions(&config, 1))
        .collect();
    let mut inputs = super::ends::pieces(CLOSE, rounds).into_iter();
    Box::new(move || {
        for (ends, data) in all.iter_mut().zip(inputs.by_ref()) {
            let (stream, fin) = (0.into(), true);
            let input = Input::StreamData { stream, data, fin };
            ends.server.handle(ends.now, input);
            assert_eq!(drain(&mut ends.server, ends.now), 1, "SessionClosed");
        }
        assert!(all.iter().all(|ends| ends.server.is_settled()));
        Box::new((all, inputs))
    })
}

/// The client closes; both have told it, and owe each other nothing.
fn close_both(rounds: usize) -> Work {
    let config = plain();
    let mut all: Vec<_> = (0..rounds)
        .map(|_| Ends::with_sessions(&config, 1))
        .collect();
    Box::new(move || {
        for ends in &mut all {
            ends.client.close(ends.now, first(), 7, "bye");
            ends.exchange();
        }
        assert!(all.iter().all(|ends| ends.server.is_settled()));
        Box::new(all)
    })
}
