//! What quinn-proto 0.11 does in its own way, each thing once, and that the host copes with it.

use std::time::Duration;

use bytes::Bytes;
use quinn_proto::{self as quic, VarInt};
use webtransport_session::{
    AbortedBy, CloseReason, CloseVia, Config, ConnectionLost, Dir, Event, SessionId, Side, StreamId,
};

use crate::{
    pair::{End, Link, Pair, received},
    setup::{Setup, client_tls, server_tls},
};

const H3_REQUEST_CANCELLED: u32 = 0x10c;
const WT_SESSION_GONE: u32 = 0x170d_7b68;

fn peer_closed(code: u32, message: &str) -> CloseReason {
    CloseReason::Peer {
        code,
        message: message.into(),
        via: CloseVia::Capsule,
    }
}

/// The CONNECT stream, for what a test does on quinn behind the host's back.
fn connect_stream(session: SessionId) -> quic::StreamId {
    session.connect_stream().into()
}

/// The peer's unidirectional streams that quinn holds: one is its control stream.
fn open_unis(end: &mut End) -> u64 {
    end.quic().streams().remote_open_streams(quic::Dir::Uni)
}

/// It was told that its half of this stream was stopped, and has reset it, which was its only reset.
#[track_caller]
fn was_stopped(end: &mut End, session: SessionId, stream: StreamId, code: u32) {
    let code = Some(code);
    assert_eq!(
        end.take(),
        [Event::StreamStopped {
            session,
            stream,
            code
        }]
    );
    assert_eq!(end.quic().stats().frame_tx.reset_stream, 1);
}

// ---- 1: quinn tells of datagrams before streams

#[test]
fn a_datagram_that_overtakes_its_connect_waits_for_the_session() {
    let mut pair = Pair::connected(Setup::default());
    let client = &mut pair.client;
    let session = client.connect("/game");
    // The host refuses this before the answer, so behind its back: quarter stream id 0, payload.
    let datagram = Bytes::from_static(b"\0early");
    client.quic().datagrams().send(datagram, true).unwrap();
    pair.settle();

    let server = &mut pair.server;
    let events = server.take();
    assert!(
        matches!(events[..], [Event::SessionRequested { .. }]),
        "{events:?}"
    );
    server.accept(session);
    pair.settle();
    let payload = Bytes::from_static(b"early");
    let events = pair.server.take();
    assert!(matches!(events[0], Event::SessionOpened { .. }));
    assert_eq!(events[1..], [Event::DatagramReceived { session, payload }]);
}

#[test]
fn a_datagram_in_one_flight_with_the_answer_comes_behind_it() {
    let mut pair = Pair::connected(Setup::default());
    let session = pair.client.connect("/game");
    pair.settle();
    let server = &mut pair.server;
    server.accept(session);
    server.datagram(session, b"welcome");
    pair.settle();

    let payload = Bytes::from_static(b"welcome");
    let events = pair.client.take();
    assert!(matches!(events[0], Event::SessionOpened { .. }));
    assert_eq!(events[1..], [Event::DatagramReceived { session, payload }]);
}

#[test]
fn datagrams_of_one_flight_come_in_order() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    for index in 0..100 {
        pair.client.datagram(session, &[index]);
    }
    pair.settle();
    let datagrams: Vec<_> = (0..100)
        .map(|index| Event::DatagramReceived {
            session,
            payload: vec![index].into(),
        })
        .collect();
    assert_eq!(pair.server.take(), datagrams);
}

// ---- 2: one `Opened` for any number of streams, and no `Readable` for their first data

#[test]
fn streams_opened_in_one_flight_are_all_read_at_once() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    let mut streams = Vec::new();
    for index in 0..20_u8 {
        let dir = [Dir::Uni, Dir::Bi][usize::from(index % 2)];
        let client = &mut pair.client;
        let stream = client.open(session, dir);
        client.write_all(stream, &[index; 3]);
        streams.push((stream, [index; 3]));
    }
    pair.settle();

    let events = pair.server.take();
    for (stream, payload) in streams {
        let opened = Event::StreamOpened { session, stream };
        assert!(events.contains(&opened), "{stream}");
        assert_eq!(received(&events, stream), (payload.to_vec().into(), false));
    }
}

#[test]
fn a_stream_that_is_opened_implicitly_waits_for_its_first_bytes() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    // The header of the first is on its way, and lost, when the second arrives.
    pair.client.link = Link::Cut;
    let first = pair.client.open(session, Dir::Uni);
    pair.turn();
    pair.client.link = Link::Up;
    let second = pair.client.open(session, Dir::Uni);
    pair.client.write_all(second, b"second");
    pair.run(Duration::from_millis(11));
    let events = pair.server.take();
    assert_eq!(received(&events, second).0, "second");
    assert!(!events.contains(&Event::StreamOpened {
        session,
        stream: first
    }));

    pair.settle();
    let stream = first;
    assert_eq!(
        pair.server.take(),
        [Event::StreamOpened { session, stream }]
    );
}

// ---- 3: the FIN comes by itself

#[test]
fn a_fin_is_told_once_alone_or_behind_data() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    let alone = pair.client.open(session, Dir::Uni);
    pair.client.write_all(alone, b"first");
    pair.settle();
    assert_eq!(
        received(&pair.server.take(), alone),
        ("first".into(), false)
    );
    pair.client.finish(alone);
    let behind = pair.client.open(session, Dir::Uni);
    pair.client.write_all(behind, b"all");
    pair.client.finish(behind);
    pair.settle();

    let server = &mut pair.server;
    let events = server.take();
    assert_eq!(received(&events, alone), ("".into(), true));
    assert_eq!(received(&events, behind), ("all".into(), true));
    let fins = events
        .iter()
        .filter(|event| matches!(event, Event::StreamData { fin: true, .. }));
    assert_eq!(fins.count(), 2);
    // Quinn holds nothing of the two any more: only control streams are left.
    assert_eq!(open_unis(server), 1);
}

// ---- 4: a reset is told on read, with its code only

#[test]
fn a_reset_gives_its_code_and_not_what_was_unread() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    let stream = pair.client.open(session, Dir::Uni);
    pair.client.write_all(stream, b"read");
    pair.settle();
    assert_eq!(received(&pair.server.take(), stream).0, "read");

    pair.server.sessions().pause(stream);
    pair.client.write_all(stream, b"unread");
    pair.settle();
    pair.client.sessions().reset(stream, 7).unwrap();
    pair.settle();
    assert_eq!(pair.server.take(), []);
    pair.server.sessions().resume(stream);
    pair.settle();
    let code = Some(7);
    assert_eq!(
        pair.server.take(),
        [Event::StreamReset {
            session,
            stream,
            code
        }]
    );
}

#[test]
fn a_reset_of_the_connect_stream_ends_the_session_with_its_code() {
    for side in [Side::Client, Side::Server] {
        let (mut pair, session) = Pair::in_session(Setup::default());
        let code = VarInt::from_u32(0x1234);
        let stream = connect_stream(session);
        pair.side(side)
            .quic()
            .send_stream(stream)
            .reset(code)
            .unwrap();
        pair.settle();
        let reason = CloseReason::Aborted {
            by: AbortedBy::Reset,
            code: 0x1234,
        };
        assert_eq!(pair.side(side.other()).end_of(session), reason);
    }
}

// ---- 5: quinn leaves the reset for STOP_SENDING to the host; a stopped half goes silent

#[test]
fn stop_sending_is_answered_with_a_reset() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    let stream = pair.client.open(session, Dir::Bi);
    pair.client.write_all(stream, b"hello");
    pair.settle();
    pair.server.sessions().stop(stream, 9).unwrap();
    pair.settle();

    was_stopped(&mut pair.client, session, stream, 9);
}

#[test]
fn a_half_that_was_stopped_here_is_over_at_once_and_stays_silent() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    let stream = pair.client.open(session, Dir::Uni);
    pair.client.write_all(stream, b"hello");
    pair.settle();
    pair.server.take();
    // The FIN crosses the STOP_SENDING.
    pair.client.finish(stream);
    let server = pair.server.sessions();
    server.stop(stream, 9).unwrap();
    assert!(server.stop(stream, 9).is_err());
    pair.settle();

    let server = &mut pair.server;
    assert_eq!(server.take(), []);
    assert_eq!(open_unis(server), 1);
}

// ---- 6: streams are read before the loss is told

#[test]
fn a_close_capsule_in_one_flight_with_connection_close_is_the_reason() {
    for side in [Side::Client, Side::Server] {
        let (mut pair, session) = Pair::in_session(Setup::default());
        let link = |pair: &mut Pair, link| match side {
            Side::Client => pair.client.link = link,
            Side::Server => pair.server.link = link,
        };
        link(&mut pair, Link::Held);
        pair.side(side).close(session, 7, "bye");
        pair.turn();
        pair.side(side).close_quic(0x100, "gone");
        pair.turn();
        link(&mut pair, Link::Up);
        pair.settle();

        let events = pair.side(side.other()).take();
        let lost = ConnectionLost::PeerApplication {
            code: 0x100,
            reason: "gone".into(),
        };
        let reason = peer_closed(7, "bye");
        assert_eq!(
            events,
            [
                Event::SessionClosed { session, reason },
                Event::ConnectionClosed { reason: lost }
            ]
        );
    }
}

// ---- 7: a close of our own gives no event

#[test]
fn an_abort_ends_the_sessions_and_the_connection_here_and_there() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    pair.server.abort(0x1234, b"no more");
    pair.settle();
    let local = ConnectionLost::Local { code: Some(0x1234) };
    pair.server.assert_lost(session, &local);
    let reason = ConnectionLost::PeerApplication {
        code: 0x1234,
        reason: "no more".into(),
    };
    assert_eq!(pair.client.loss(), reason);
}

#[test]
fn a_close_behind_the_hosts_back_is_found_at_the_next_poll() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    pair.server.close_quic(0x1234, "");
    pair.server.poll();
    let local = ConnectionLost::Local { code: None };
    pair.server.assert_lost(session, &local);
    pair.settle();
    assert_eq!(pair.server.take(), []);
}

#[test]
fn an_abort_does_not_hide_what_had_ended_before() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    // The peer's capsule is with quinn, and nobody has polled.
    pair.client.close(session, 7, "bye");
    pair.client.poll();
    pair.turn();
    assert_eq!(pair.server.take(), []);
    pair.arrive();
    let server = &mut pair.server;
    server.abort(1, b"");
    server.poll();
    assert_eq!(server.end_of(session), peer_closed(7, "bye"));

    let (mut pair, session) = Pair::in_session(Setup::default());
    pair.client.close_quic(0x100, "gone");
    pair.turn();
    pair.arrive();
    let server = &mut pair.server;
    server.abort(1, b"");
    server.poll();
    let lost = ConnectionLost::PeerApplication {
        code: 0x100,
        reason: "gone".into(),
    };
    let reason = CloseReason::ConnectionLost(lost);
    assert_eq!(server.end_of(session), reason);
}

// ---- 8: the size of datagrams is not known before the handshake is done

#[test]
fn datagrams_are_negotiated_when_the_handshake_is_done_and_not_before() {
    let mut pair = Pair::connecting(Setup::default());
    let session = SessionId::try_from(StreamId::from(0)).unwrap();
    let client = &mut pair.client;
    assert_eq!(client.quic().datagrams().max_size(), None);
    client.poll();
    let size = client.peer().max_datagram_size(session);
    assert_eq!(size, None);
    pair.settle();
    let events = pair.client.take();
    assert!(matches!(events[..], [Event::Ready(_)]), "{events:?}");

    let session = pair.open_session();
    let client = &mut pair.client;
    let size = client.peer().max_datagram_size(session);
    let size = size.unwrap();
    assert_eq!(Some(size + 1), client.quic().datagrams().max_size());
    client.datagram(session, &vec![1; size]);
    let too_large = client.peer().send_datagram(session, &vec![1; size + 1]);
    assert!(too_large.is_err());
    pair.settle();
    let payload = vec![1; size].into();
    let received = Event::DatagramReceived { session, payload };
    assert_eq!(pair.server.take(), [received]);
}

#[test]
fn without_datagrams_on_either_side_no_session_is_possible() {
    for side in [Side::Client, Side::Server] {
        let mut setup = Setup::default();
        let transport = match side {
            Side::Client => &mut setup.client_quic,
            Side::Server => &mut setup.server_quic,
        };
        transport.datagram_receive_buffer_size(None);
        let mut pair = Pair::connecting(setup);
        pair.settle();
        for side in [Side::Client, Side::Server] {
            let events = pair.side(side).take();
            assert!(
                matches!(events[..], [Event::Unsupported(_)]),
                "{side:?}: {events:?}"
            );
        }
    }
}

/// RFC 9297 §2.1.1: SETTINGS_H3_DATAGRAM without the transport parameter is an error of the peer's.
#[test]
fn settings_promise_datagrams_only_where_both_transports_have_them() {
    for (here, there) in [(true, true), (false, true), (true, false)] {
        let mut setup = Setup::default();
        let size = |has: bool| has.then_some(65_536);
        setup.client_quic.datagram_receive_buffer_size(size(here));
        setup.server_quic.datagram_receive_buffer_size(size(there));
        let mut pair = Pair::connecting(setup);
        let soon = Duration::from_secs(1);
        pair.run_until(soon, |pair| !pair.client.quic().is_handshaking());
        pair.arrive();

        let server = pair.server.quic();
        let control = server.streams().accept(quic::Dir::Uni).unwrap();
        let mut receive = server.recv_stream(control);
        let settings = receive.read(true).unwrap().next(1000).unwrap();
        let settings = settings.unwrap().bytes;
        let has_h3_datagram = settings.windows(2).any(|pair| pair == [0x33, 1]);
        assert_eq!(has_h3_datagram, here && there, "{here} {there}");
    }
}

// ---- 9: a rejected 0-RTT handshake takes all streams back

#[test]
fn nothing_is_lost_with_rejected_early_data() {
    let mut resuming = client_tls();
    resuming.enable_early_data = true;
    let setup = || {
        let mut server_tls = server_tls();
        server_tls.max_early_data_size = u32::MAX;
        Setup {
            client_tls: resuming.clone(),
            server_tls,
            ..Setup::default()
        }
    };
    Pair::in_session(setup());

    // The same client, and a server that knows nothing of the first.
    let mut pair = Pair::connecting(setup());
    let client = &mut pair.client;
    assert!(client.quic().has_0rtt());
    client.poll();
    assert_eq!(client.quic().streams().send_streams(), 0);
    pair.settle();
    assert!(!pair.client.quic().accepted_0rtt());
    pair.open_session();
}

// ---- 10: quinn puts STOP_SENDING in front of stream data

#[test]
fn a_clean_close_sends_no_stop_sending_that_could_overtake_it() {
    for side in [Side::Client, Side::Server] {
        let (mut pair, session) = Pair::in_session(Setup::default());
        pair.side(side).close(session, 7, "bye");
        pair.settle();
        assert_eq!(
            pair.side(side.other()).end_of(session),
            peer_closed(7, "bye")
        );
        for side in [Side::Client, Side::Server] {
            let sent = pair.side(side).quic().stats().frame_tx;
            assert_eq!((sent.stop_sending, sent.reset_stream), (0, 0), "{side:?}");
            assert!(pair.side(side).sessions().is_settled());
        }
    }
}

// ---- 11: `reset` after `finish` throws away what is not acknowledged

#[test]
fn a_close_that_is_lost_beyond_the_linger_still_arrives() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    pair.client.link = Link::Cut;
    pair.client.close(session, 7, "bye");
    pair.run(Config::default().deadlines.linger + Duration::from_secs(1));
    assert!(pair.client.sessions().is_settled());
    assert_eq!(pair.server.take(), []);

    pair.client.link = Link::Up;
    pair.run(Duration::from_secs(10));
    assert_eq!(pair.server.end_of(session), peer_closed(7, "bye"));
    assert_eq!(pair.client.quic().stats().frame_tx.reset_stream, 0);
}

// ---- 12: `finish` fails on a stream that was stopped

#[test]
fn a_stop_that_crosses_our_fin_is_answered_with_a_reset() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    let stream = pair.client.open(session, Dir::Uni);
    pair.client.write_all(stream, b"hello");
    pair.settle();
    pair.server.take();
    pair.server.sessions().stop(stream, 9).unwrap();
    pair.turn();
    pair.arrive();
    // Quinn knows of the STOP_SENDING; the application does not.
    pair.client.finish(stream);
    pair.settle();

    was_stopped(&mut pair.client, session, stream, 9);
    let server = &mut pair.server;
    assert_eq!(server.take(), []);
    assert_eq!(open_unis(server), 1);
}

// ---- 13: what came before a STOP_SENDING may say why

#[test]
fn a_stop_of_the_connect_stream_does_not_overtake_the_capsule_that_came_with_it() {
    for code in [WT_SESSION_GONE, H3_REQUEST_CANCELLED] {
        let (mut pair, session) = Pair::in_session(Setup::default());
        // As webtransport-go closes: capsule, STOP_SENDING, FIN in one flight.
        let client = &mut pair.client;
        client.close(session, 7, "bye");
        let mut receive = client.quic().recv_stream(connect_stream(session));
        receive.stop(VarInt::from_u32(code)).unwrap();
        pair.settle();
        assert_eq!(pair.server.end_of(session), peer_closed(7, "bye"));
    }
}

#[test]
fn a_stop_of_the_connect_stream_alone_is_an_abort() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    let mut receive = pair.client.quic().recv_stream(connect_stream(session));
    receive
        .stop(VarInt::from_u32(H3_REQUEST_CANCELLED))
        .unwrap();
    pair.settle();
    let reason = CloseReason::Aborted {
        by: AbortedBy::StopSending,
        code: H3_REQUEST_CANCELLED.into(),
    };
    assert_eq!(pair.server.end_of(session), reason);
}
