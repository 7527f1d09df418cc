//! The connection ends under its sessions: E40 to E45 and E47. E46 is in `http3_errors`.

use std::time::Duration;

use bytes::Bytes;
use webtransport_session::{
    CloseMessage, CloseReason, CloseVia, Config, ConnectionLost, Dialect, Dir, Event, SessionId,
    Side, Support, Transport,
};

use crate::support::*;

/// With an open session that has a live stream of each kind.
fn busy(side: Side) -> (Rig, SessionId) {
    let (mut rig, session) = Rig::open(side);
    rig.one_stream_of_each_kind(session);
    (rig, session)
}

/// The session and the connection end with `lost`; and so does a session that nobody answered.
fn ends_open_and_unanswered(lost: &ConnectionLost) {
    both_roles(|side| {
        let (mut rig, session) = busy(side);
        rig.connection_lost(lost.clone());
        rig.connection_ends(&[session], lost, &[], "open");

        let (mut rig, session) = Rig::requested(side);
        rig.connection_lost(lost.clone());
        rig.connection_ends(&[session], lost, &[], "unanswered");

        let mut rig = Rig::new(side);
        rig.connection_lost(lost.clone());
        rig.connection_ends(&[], lost, &[], "no session");

        let mut rig = Rig::before_settings(side, Config::default());
        rig.connection_lost(lost.clone());
        rig.connection_ends(&[], lost, &[], "no SETTINGS");
    });
}

fn by_application() -> ConnectionLost {
    ConnectionLost::PeerApplication {
        code: H3_NO_ERROR,
        reason: Bytes::from_static(b"bye"),
    }
}

// ---- each loss

#[test]
fn e40_connection_close_of_the_application_gives_its_code_and_words() {
    ends_open_and_unanswered(&by_application());
    ends_open_and_unanswered(&ConnectionLost::PeerApplication {
        code: (1 << 62) - 1,
        reason: Bytes::from_static(b"\xff is no UTF-8"),
    });
}

#[test]
fn e41_connection_close_of_the_transport_gives_its_code_and_words() {
    ends_open_and_unanswered(&ConnectionLost::PeerTransport {
        code: 0x0a,
        reason: Bytes::from_static(b"protocol violation"),
    });
}

#[test]
fn e42_idle_timeout_ends_every_session() {
    ends_open_and_unanswered(&ConnectionLost::IdleTimeout);
}

#[test]
fn e43_stateless_reset_ends_every_session() {
    ends_open_and_unanswered(&ConnectionLost::StatelessReset);
}

#[test]
fn e45_close_by_the_host_behind_our_back_is_local() {
    ends_open_and_unanswered(&ConnectionLost::Local { code: Some(0x77) });
}

#[test]
fn e47_close_by_our_own_quic_gives_its_code_and_words() {
    ends_open_and_unanswered(&ConnectionLost::LocalTransport {
        code: 0x05,
        reason: Bytes::from_static(b"stream state"),
    });
}

#[test]
fn e40_loss_that_the_stack_cannot_name_ends_every_session() {
    ends_open_and_unanswered(&ConnectionLost::Unknown);
}

// ---- all sessions, in order, before the one end of the connection

#[test]
fn e40_every_session_has_its_own_event_in_the_order_of_ids() {
    both_roles(|side| {
        let mut rig = Rig::with(side, Config::default(), Dialect::Draft02);
        // The last first: ids count, not the order of arrival.
        let sessions = [12, 8, 4, 0].map(|stream| rig.request_session(stream));
        let [unanswered, second, over, first] = sessions;
        rig.answer(second);
        rig.answer(over);
        rig.answer(first);
        rig.feed_fin(over.connect_stream(), b"");
        rig.drain();
        rig.we_open(second, Dir::Bi);
        rig.drain();
        rig.connection_lost(by_application());
        let all = [first, second, unanswered];
        rig.connection_ends(&all, &by_application(), &[], "four sessions");
    });
}

#[test]
fn e40_loss_during_the_linger_ends_no_session_twice() {
    both_roles(|side| {
        // We closed, and the peer has not.
        let (mut rig, session) = busy(side);
        rig.connection.close(rig.now, session, 7, "done");
        rig.drain();
        rig.connection_lost(by_application());
        rig.connection_ends(&[], &by_application(), &[], "after our close");

        // The peer closed, without a FIN.
        let (mut rig, _) = busy(side);
        rig.feed(CONNECT, &close_frame(7, b"done"));
        rig.drain();
        rig.connection_lost(by_application());
        rig.connection_ends(&[], &by_application(), &[], "after the peer's close");
    });
}

#[test]
fn e40_loss_while_shutting_down_is_the_end_of_the_connection() {
    both_roles(|side| {
        let (mut rig, _) = busy(side);
        rig.connection.shutdown(rig.now, 7, "done");
        rig.drain();
        rig.connection_lost(by_application());
        rig.connection_ends(&[], &by_application(), &[], "while shutting down");
    });
}

#[test]
fn e40_only_the_first_loss_counts() {
    both_roles(|side| {
        let (mut rig, session) = busy(side);
        rig.connection_lost(ConnectionLost::IdleTimeout);
        rig.connection_lost(by_application());
        let lost = ConnectionLost::IdleTimeout;
        rig.connection_ends(&[session], &lost, &[], "two losses");
    });
}

#[test]
fn e40_request_held_for_the_settings_was_never_announced_and_gets_no_event() {
    let mut rig = Rig::before_settings(Side::Server, Config::default());
    rig.feed(CONNECT, &connect_request(rig.token()));
    rig.peer_opens_for(CONNECT, rig.peer_uni(3), b"parked");
    rig.connection_lost(by_application());
    rig.connection_ends(&[], &by_application(), &[], "held");
}

#[test]
fn e40_refused_connect_is_not_called_back_on_a_connection_that_is_gone() {
    let (mut rig, session) = Rig::open(Side::Client);
    assert!(rig.connection.connect(rig.now, &request()).is_err());
    rig.connection_lost(by_application());
    rig.connection_ends(&[session], &by_application(), &[], "refused connect");
}

// ---- what came before it

#[test]
fn e40_capsule_that_arrived_before_the_loss_wins() {
    both_roles(|side| {
        for fin in [true, false] {
            let (mut rig, session) = busy(side);
            rig.feed_maybe_fin(CONNECT, &close_frame(4242, b"bye-bye"), fin);
            rig.connection_lost(by_application());
            let reason = CloseReason::Peer {
                code: 4242,
                message: CloseMessage::from("bye-bye"),
                via: CloseVia::Capsule,
            };
            let expected = [
                closed(session, reason),
                connection_closed(&by_application()),
            ];
            assert_eq!(rig.outputs(), expected);
            rig.is_inert("capsule first");
        }
    });
}

#[test]
fn e40_fin_and_reset_that_arrived_before_the_loss_win() {
    both_roles(|side| {
        let (mut rig, session) = busy(side);
        rig.feed_fin(CONNECT, b"");
        rig.connection_lost(by_application());
        let reason = CloseReason::Peer {
            code: 0,
            message: CloseMessage::default(),
            via: CloseVia::Fin,
        };
        let expected = [
            closed(session, reason),
            connection_closed(&by_application()),
        ];
        assert_eq!(rig.outputs(), expected);

        let (mut rig, session) = busy(side);
        rig.peer_resets(CONNECT, 99);
        rig.connection_lost(by_application());
        let expected = [
            closed(session, aborted_by_reset(99)),
            connection_closed(&by_application()),
        ];
        assert_eq!(rig.outputs(), expected);
    });
}

#[test]
fn e40_half_a_capsule_is_no_reason() {
    both_roles(|side| {
        let (mut rig, session) = busy(side);
        let frame = close_frame(4242, b"bye-bye");
        rig.feed(CONNECT, &frame[..frame.len() - 1]);
        rig.connection_lost(by_application());
        rig.connection_ends(&[session], &by_application(), &[], "half a capsule");
    });
}

#[test]
fn e40_events_that_were_not_polled_stay_and_actions_go() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        let stream = rig.peer_uni(0);
        rig.peer_opens(stream, session, b"data");
        rig.peer_sends_datagram(CONNECT, b"datagram");
        rig.connection.drain(session);
        rig.connection.stop(stream, 1).unwrap();
        rig.connection_lost(ConnectionLost::IdleTimeout);
        let data = Bytes::from_static(b"data");
        let payload = Bytes::from_static(b"datagram");
        let expected = [
            event(Event::StreamOpened { session, stream }),
            event(Event::StreamData {
                session,
                stream,
                data,
                fin: false,
            }),
            event(Event::DatagramReceived { session, payload }),
            closed(
                session,
                CloseReason::ConnectionLost(ConnectionLost::IdleTimeout),
            ),
            connection_closed(&ConnectionLost::IdleTimeout),
        ];
        assert_eq!(rig.outputs(), expected);
        rig.is_inert("events kept");
    });
}

// ---- before there was a connection

#[test]
fn e44_whatever_ends_it_before_quic_is_connected_is_a_failed_handshake() {
    let code = 0x0178;
    let reason = Bytes::from_static(b"no application protocol");
    let losses = [
        ConnectionLost::HandshakeFailed,
        ConnectionLost::IdleTimeout,
        ConnectionLost::StatelessReset,
        ConnectionLost::Unknown,
        ConnectionLost::PeerApplication {
            code,
            reason: reason.clone(),
        },
        ConnectionLost::PeerTransport {
            code,
            reason: reason.clone(),
        },
        ConnectionLost::LocalTransport { code, reason },
    ];
    both_roles(|side| {
        for lost in &losses {
            let mut rig = Rig::before_start(side, Config::default(), Dialect::Draft16);
            rig.connection_lost(lost.clone());
            let failed = ConnectionLost::HandshakeFailed;
            rig.connection_ends(&[], &failed, &[], lost.label());
        }
    });
}

#[test]
fn e44_no_common_version_stays_that() {
    both_roles(|side| {
        let mut rig = Rig::before_start(side, Config::default(), Dialect::Draft16);
        let lost = ConnectionLost::VersionMismatch;
        rig.connection_lost(lost.clone());
        rig.connection_ends(&[], &lost, &[], "version");
    });
}

#[test]
fn e44_close_of_our_own_during_the_handshake_stays_local() {
    both_roles(|side| {
        let mut rig = Rig::before_start(side, Config::default(), Dialect::Draft16);
        let lost = ConnectionLost::Local { code: Some(5) };
        rig.connection_lost(lost.clone());
        rig.connection_ends(&[], &lost, &[], "given up");
    });
}

#[test]
fn e44_requests_in_early_data_are_no_sessions_yet() {
    let mut rig = Rig::before_start(Side::Server, Config::default(), Dialect::Draft16);
    let settings = peer_settings(Side::Server, Dialect::Draft16);
    rig.feed(rig.peer_control(), &settings);
    rig.feed(CONNECT, &connect_request(rig.token()));
    assert_eq!(rig.outputs(), []);
    rig.connection_lost(ConnectionLost::IdleTimeout);
    let failed = ConnectionLost::HandshakeFailed;
    rig.connection_ends(&[], &failed, &[], "early data");
}

#[test]
fn e44_start_after_the_loss_does_nothing() {
    both_roles(|side| {
        let mut rig = Rig::before_start(side, Config::default(), Dialect::Draft16);
        rig.connection_lost(ConnectionLost::HandshakeFailed);
        rig.drain();
        let transport = Transport::new(Support::Yes);
        rig.connection.start(rig.now, transport);
        assert!(rig.connection.protocol_stream().is_none());
        rig.wait(Duration::from_secs(3600));
        assert_eq!(rig.outputs(), []);
    });
}
