//! QUIC takes less than it is given, or nothing: protocol bytes, payload and streams wait and lose
//! nothing.

use std::time::Duration;

use quinn_proto::{self as quic, VarInt};
use webtransport_session::{
    AbortedBy, CloseReason, CloseVia, ConnectError, Dialect, Dialects, Dir, Event, OpenError,
    Rejection, Request, SendError, SessionId, Side, StreamId,
};

use crate::{
    pair::{Pair, received},
    setup::Setup,
};

const LONG: Duration = Duration::from_secs(8);

/// Both ends with the same limits of quinn's.
fn both(limit: impl Fn(&mut quic::TransportConfig)) -> Setup {
    let mut setup = Setup::default();
    limit(&mut setup.client_quic);
    limit(&mut setup.server_quic);
    // Small windows need many round trips.
    setup.client.deadlines.linger = LONG;
    setup.server.deadlines.linger = LONG;
    setup
}

/// SETTINGS, CONNECT, response, stream header, FIN and close capsule, each longer than the limit.
fn goes_through_a_session(setup: impl Fn() -> Setup, what: &str) {
    for side in [Side::Client, Side::Server] {
        let mut pair = Pair::connecting(setup());
        pair.run(LONG);
        let session = pair.client.connect(&format!("/game?{}", "x".repeat(300)));
        pair.run(LONG);
        pair.server.accept(session);
        pair.run(LONG);
        pair.client.take();
        pair.server.take();

        let stream = pair.side(side).open(session, Dir::Uni);
        let mut rest: &[u8] = &[b'y'; 300];
        pair.run_until(LONG, |pair| {
            let peer = pair.side(side);
            peer.take();
            while let Ok(written) = peer.write(stream, rest) {
                rest = &rest[written..];
                if rest.is_empty() {
                    peer.finish(stream);
                    return true;
                }
            }
            false
        });
        pair.run(LONG);
        let events = pair.side(side.other()).take();
        let (payload, ended) = received(&events, stream);
        assert_eq!((payload.len(), ended), (300, true), "{what}, {side:?}");

        let message = "m".repeat(1000);
        pair.side(side).close(session, 7, &message);
        pair.run(LONG);
        let reason = CloseReason::Peer {
            code: 7,
            message: message.into(),
            via: CloseVia::Capsule,
        };
        let peer = pair.side(side.other());
        assert_eq!(peer.end_of(session), reason, "{what}, {side:?}");
        for side in [Side::Client, Side::Server] {
            let sessions = pair.side(side).sessions();
            assert!(sessions.is_settled(), "{what}, {side:?}");
        }
    }
}

/// The same for several sizes of what `limit` sets.
fn goes_through_a_small(what: &str, limit: impl Fn(&mut quic::TransportConfig, u32)) {
    for size in [8, 17, 100] {
        let setup = || both(|transport| limit(transport, size));
        goes_through_a_session(setup, &format!("{what} {size}"));
    }
}

#[test]
fn protocol_bytes_go_out_in_pieces_through_a_small_stream_window() {
    goes_through_a_small("stream window", |transport, size| {
        transport.stream_receive_window(size.into());
    });
}

#[test]
fn protocol_bytes_go_out_in_pieces_through_a_small_connection_window() {
    goes_through_a_small("connection window", |transport, size| {
        transport.receive_window(size.into());
    });
}

#[test]
fn protocol_bytes_go_out_in_pieces_through_a_small_send_buffer() {
    goes_through_a_small("send buffer", |transport, size| {
        transport.send_window(size.into());
    });
}

#[test]
fn a_rejection_goes_out_in_pieces() {
    for window in [8_u32, 17] {
        let mut pair = Pair::connecting(both(|transport| {
            transport.receive_window(window.into());
        }));
        pair.run(LONG);
        let session = pair.client.connect("/nowhere");
        pair.run(LONG);
        let mut rejection = Rejection::from(http::StatusCode::NOT_FOUND);
        let why = "x".repeat(200).parse().unwrap();
        rejection.headers.insert("why", why);
        pair.server.reject(session, rejection.clone());
        pair.run(LONG);
        let reason = CloseReason::Rejected {
            by: webtransport_session::Endpoint::Peer,
            rejection: rejection.into(),
        };
        assert_eq!(pair.client.end_of(session), reason);
    }
}

// ---- payload

/// A client's stream with a window of 1000 bytes, of which the header takes 3.
fn small_stream() -> (Pair, SessionId, StreamId) {
    let mut setup = Setup::default();
    setup
        .server_quic
        .stream_receive_window(VarInt::from_u32(1000));
    let (mut pair, session) = Pair::in_session(setup);
    let stream = pair.client.open(session, Dir::Uni);
    (pair, session, stream)
}

#[test]
fn a_write_that_was_refused_may_be_tried_again_when_told_so() {
    let (mut pair, session, stream) = small_stream();
    pair.settle();
    pair.server.take();

    pair.server.sessions().pause(stream);
    let client = &mut pair.client;
    assert_eq!(client.write(stream, &[1; 2000]), Ok(997));
    assert_eq!(client.write(stream, &[1; 2000]), Err(SendError::Blocked));
    pair.settle();
    assert_eq!(pair.client.take(), []);

    pair.server.sessions().resume(stream);
    pair.settle();
    let client = &mut pair.client;
    assert_eq!(client.take(), [Event::StreamWritable { session, stream }]);
    assert_eq!(client.write(stream, &[2; 500]), Ok(500));
    pair.settle();
    let (payload, _) = received(&pair.server.take(), stream);
    assert_eq!(payload, [&[1; 997][..], &[2; 500]].concat());
    // Nobody was refused since.
    assert_eq!(pair.client.take(), []);
}

#[test]
fn a_write_that_was_not_refused_is_not_told_of_new_room() {
    let (mut pair, _, stream) = small_stream();
    pair.client.write_all(stream, &[1; 997]);
    pair.settle();
    assert_eq!(pair.client.take(), []);
    pair.client.write_all(stream, &[1; 997]);
}

#[test]
fn a_write_to_a_full_connection_may_be_tried_again_when_told_so() {
    let mut full = Full::but_for(0);
    let (session, stream) = (full.second, full.filler);
    let client = &mut full.pair.client;
    assert_eq!(client.write(stream, b"more"), Err(SendError::Blocked));
    assert_eq!(client.take(), []);

    full.drain();
    let client = &mut full.pair.client;
    assert_eq!(client.take(), [Event::StreamWritable { session, stream }]);
    client.write_all(stream, b"more");
    full.pair.settle();
    let (payload, _) = received(&full.pair.server.take(), stream);
    assert!(payload.ends_with(b"more"));
}

// ---- stream headers

/// A connection with two sessions whose window at the server is full but for some bytes, because of
/// a stream of the second that the server does not read.
struct Full {
    pair: Pair,
    first: SessionId,
    second: SessionId,
    /// The stream that fills it, and how many bytes went on it.
    filler: StreamId,
    len: usize,
}

impl Full {
    fn but_for(left: usize) -> Self {
        let room = Self::empty().room();
        let mut full = Self::empty();
        full.len = room - left;
        full.pair.client.write_all(full.filler, &vec![0; full.len]);
        full.pair.settle();
        full
    }

    fn empty() -> Self {
        let mut setup = Setup::default();
        setup.server_quic.receive_window(VarInt::from_u32(2000));
        setup.client.deadlines.linger = Duration::from_secs(2);
        setup.client.dialects = Dialects::only(Dialect::Draft02);
        setup.server.dialects = Dialects::only(Dialect::Draft02);
        let (mut pair, first) = Pair::in_session(setup);
        let second = pair.open_session();
        let filler = pair.client.open(second, Dir::Uni);
        pair.settle();
        pair.server.take();
        pair.server.sessions().pause(filler);
        Self {
            pair,
            first,
            second,
            filler,
            len: 0,
        }
    }

    /// How many bytes fit.
    fn room(&mut self) -> usize {
        self.pair.client.write(self.filler, &[0; 4000]).unwrap()
    }

    /// The server reads.
    fn drain(&mut self) {
        self.pair.server.sessions().resume(self.filler);
        self.pair.settle();
    }
}

#[test]
fn a_stream_header_that_is_taken_in_pieces_goes_before_the_payload() {
    for left in 0..4 {
        let mut full = Full::but_for(left);
        let session = full.first;
        let client = &mut full.pair.client;
        let stream = client.open(session, Dir::Uni);
        let first_try = client.write(stream, b"payload");
        assert_eq!(first_try, Err(SendError::Blocked), "{left} bytes left");
        full.pair.settle();
        assert_eq!(full.pair.client.take(), [], "{left} bytes left");

        full.drain();
        let client = &mut full.pair.client;
        let writable = Event::StreamWritable { session, stream };
        assert_eq!(client.take(), [writable], "{left} bytes left");
        client.write_all(stream, b"payload");
        client.finish(stream);
        full.pair.settle();
        let events = full.pair.server.take();
        assert_eq!(received(&events, full.filler).0.len(), full.len);
        assert_eq!(received(&events, stream), ("payload".into(), true));
    }
}

#[test]
fn a_stream_that_is_finished_behind_a_blocked_header_arrives_empty() {
    for dir in [Dir::Uni, Dir::Bi] {
        let mut full = Full::but_for(1);
        let session = full.first;
        let stream = full.pair.client.open(session, dir);
        full.pair.client.finish(stream);
        full.pair.settle();
        full.drain();
        let events = full.pair.server.take();
        assert!(events.contains(&Event::StreamOpened { session, stream }));
        assert_eq!(received(&events, stream), ("".into(), true));
    }
}

#[test]
fn a_reset_waits_for_the_header_of_its_stream() {
    let mut full = Full::but_for(1);
    let client = &mut full.pair.client;
    let stream = client.open(full.first, Dir::Uni);
    client.sessions().reset(stream, 7).unwrap();
    assert!(client.sessions().reset(stream, 8).is_err());
    full.pair.settle();
    let sent = |full: &mut Full| full.pair.client.quic().stats().frame_tx.reset_stream;
    assert_eq!(sent(&mut full), 0);

    full.drain();
    assert_eq!(sent(&mut full), 1);
}

#[test]
fn a_reset_behind_a_header_that_left_names_its_session() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    let stream = pair.client.open(session, Dir::Uni);
    pair.turn();
    pair.client.sessions().reset(stream, 7).unwrap();
    pair.settle();
    // Quinn drops what was not read: the header too, if both come in one flight.
    assert_eq!(pair.server.take(), []);

    let stream = pair.client.open(session, Dir::Uni);
    pair.run(Duration::from_millis(11));
    pair.client.sessions().reset(stream, 7).unwrap();
    pair.settle();
    let code = Some(7);
    assert_eq!(
        pair.server.take(),
        [
            Event::StreamOpened { session, stream },
            Event::StreamReset {
                session,
                stream,
                code
            }
        ]
    );
}

// ---- the end

#[test]
fn a_close_is_told_at_once_and_delivered_when_quic_takes_it() {
    for left in 0..4 {
        let mut full = Full::but_for(left);
        let session = full.first;
        full.pair.client.close(session, 7, "bye");
        full.pair.settle();
        let reason = CloseReason::Local {
            code: 7,
            message: "bye".into(),
        };
        assert_eq!(full.pair.client.end_of(session), reason);
        assert_eq!(full.pair.server.take(), [], "{left} bytes left");

        full.drain();
        let reason = CloseReason::Peer {
            code: 7,
            message: "bye".into(),
            via: CloseVia::Capsule,
        };
        let server = &mut full.pair.server;
        assert_eq!(server.end_of(session), reason, "{left} bytes left");
    }
}

#[test]
fn a_close_that_quic_never_takes_becomes_a_reset_after_the_linger() {
    let mut full = Full::but_for(0);
    let session = full.first;
    full.pair.client.close(session, 7, "bye");
    full.pair.run(Duration::from_secs(1));
    assert_eq!(full.pair.server.take(), []);
    full.pair.run(Duration::from_secs(2));
    let reason = CloseReason::Aborted {
        by: AbortedBy::Reset,
        code: 0x170d_7b68,
    };
    assert_eq!(full.pair.server.end_of(session), reason);
}

// ---- streams

#[test]
fn without_credit_for_a_control_stream_the_start_waits() {
    for side in [Side::Client, Side::Server] {
        let mut setup = Setup::default();
        let transport = match side {
            Side::Client => &mut setup.server_quic,
            Side::Server => &mut setup.client_quic,
        };
        transport.max_concurrent_uni_streams(0_u32.into());
        let mut pair = Pair::connecting(setup);
        pair.settle();
        assert_eq!(pair.client.take(), []);
        assert_eq!(pair.server.take(), []);
        let request = Request::new("https://localhost/game".parse().unwrap());
        let refused = pair.client.try_connect(&request);
        assert_eq!(refused, Err(ConnectError::NotReady));

        let peer = pair.side(side.other());
        peer.quic()
            .set_max_concurrent_streams(quic::Dir::Uni, 10_u32.into());
        pair.settle();
        for side in [Side::Client, Side::Server] {
            let events = pair.side(side).take();
            assert!(matches!(events[..], [Event::Ready(_)]), "{events:?}");
        }
        pair.open_session();
    }
}

#[test]
fn an_open_that_was_refused_may_be_tried_again_when_told_so() {
    let mut setup = Setup::default();
    // One of them is the control stream.
    setup.server_quic.max_concurrent_uni_streams(2_u32.into());
    let (mut pair, session) = Pair::in_session(setup);
    let client = &mut pair.client;
    let stream = client.open(session, Dir::Uni);
    let refused = client.try_open(session, Dir::Uni);
    assert_eq!(refused, Err(OpenError::Blocked));
    pair.settle();
    assert_eq!(pair.client.take(), []);

    pair.client.finish(stream);
    pair.settle();
    let client = &mut pair.client;
    let dir = Dir::Uni;
    assert_eq!(client.take(), [Event::StreamsAvailable { dir }]);
    client.open(session, dir);
}

#[test]
fn a_connect_that_was_refused_may_be_tried_again_when_told_so() {
    let mut setup = Setup::default();
    setup.server_quic.max_concurrent_bidi_streams(0_u32.into());
    let mut pair = Pair::connected(setup);
    let request = Request::new("https://localhost/game".parse().unwrap());
    let refused = pair.client.try_connect(&request);
    assert_eq!(refused, Err(ConnectError::Blocked));

    let server = &mut pair.server;
    server
        .quic()
        .set_max_concurrent_streams(quic::Dir::Bi, 1_u32.into());
    pair.settle();
    let dir = Dir::Bi;
    assert_eq!(pair.client.take(), [Event::StreamsAvailable { dir }]);
    pair.open_session();
}
