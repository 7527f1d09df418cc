//! The connection ends: which `ConnectionLost` quinn's own errors become, and what a shutdown waits
//! for.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use quinn_proto::{EndpointConfig, RandomConnectionIdGenerator};
use webtransport_session::{
    CloseReason, CloseVia, Config, ConnectionLost, Dialect, Dialects, Event, Http3Error, Rejection,
    Side, host::quinn_proto::Endpoint,
};

use crate::{
    pair::{Link, Pair},
    setup::{Setup, client_tls_trusting, server_tls_with_client_certificates},
};

const H3_NO_ERROR: u64 = 0x100;
const PROTOCOL_VIOLATION: u64 = 0xa;
/// CRYPTO_ERROR with the TLS alert certificate_required.
const CERTIFICATE_REQUIRED: u64 = 0x174;

// ---- a session that is open

#[test]
fn silence_is_an_idle_timeout() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    pair.client.link = Link::Cut;
    pair.server.link = Link::Cut;
    pair.run(Duration::from_secs(29));
    assert_eq!(pair.client.take(), []);
    pair.run(Duration::from_secs(2));
    pair.client
        .assert_lost(session, &ConnectionLost::IdleTimeout);
    pair.server
        .assert_lost(session, &ConnectionLost::IdleTimeout);
    assert!(pair.client.endpoint.is_empty());
}

#[test]
fn a_peer_that_has_forgotten_the_connection_is_a_stateless_reset() {
    let mut keys = EndpointConfig::default();
    keys.cid_generator(|| Box::<RandomConnectionIdGenerator>::default());
    let setup = Setup {
        server_endpoint: Some(keys.clone()),
        ..Setup::default()
    };
    let (mut pair, session) = Pair::in_session(setup);
    // As after a restart.
    let restarted = quinn_proto::Endpoint::new(Arc::new(keys), None, true, None);
    pair.server.endpoint = Endpoint::new(restarted, Arc::default());
    pair.client.datagram(session, &[1; 100]);
    pair.settle();
    pair.client
        .assert_lost(session, &ConnectionLost::StatelessReset);
}

#[test]
fn the_peers_close_gives_its_code_and_its_words() {
    for side in [Side::Client, Side::Server] {
        let (mut pair, session) = Pair::in_session(Setup::default());
        pair.side(side).close_quic(0x1234, "so long");
        pair.settle();
        let lost = ConnectionLost::PeerApplication {
            code: 0x1234,
            reason: "so long".into(),
        };
        pair.side(side.other()).assert_lost(session, &lost);
    }
}

#[test]
fn a_peer_that_breaks_quic_is_closed_by_our_stack() {
    let mut setup = Setup::default();
    // Quinn announces this many bytes, and takes a datagram that nearly fills them for too large.
    setup.server_quic.datagram_receive_buffer_size(Some(200));
    let (mut pair, session) = Pair::in_session(setup);
    pair.client.datagram(session, &[1; 180]);
    pair.settle();

    let events = pair.server.take();
    let Some(Event::ConnectionClosed { reason: lost }) = events.last() else {
        panic!("{events:?}");
    };
    let ConnectionLost::LocalTransport { code, reason } = lost else {
        panic!("{lost:?}");
    };
    assert_eq!(*code, PROTOCOL_VIOLATION);
    let reason_there = ConnectionLost::PeerTransport {
        code: *code,
        reason: reason.clone(),
    };
    pair.client.assert_lost(session, &reason_there);
}

#[test]
fn an_http3_error_closes_the_connection_with_its_code() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    // The third stream of the client is its first that belongs to nobody: a control stream again.
    let client = &mut pair.client;
    let stream = client.quic().streams().open(quinn_proto::Dir::Uni).unwrap();
    client.quic().send_stream(stream).write(&[0]).unwrap();
    pair.settle();
    let error = Http3Error::StreamCreation;
    pair.server
        .assert_lost(session, &ConnectionLost::Http3(error));
    let lost = ConnectionLost::PeerApplication {
        code: error.code(),
        reason: "H3_STREAM_CREATION_ERROR".into(),
    };
    pair.client.assert_lost(session, &lost);
}

#[test]
fn a_connection_without_a_session_is_closed_when_it_was_idle() {
    let mut setup = Setup::default();
    setup.server.deadlines.idle_connection = Some(Duration::from_secs(5));
    let mut pair = Pair::connected(setup);
    pair.run(Duration::from_secs(6));
    let code = H3_NO_ERROR;
    assert_eq!(
        pair.server.loss(),
        ConnectionLost::Local { code: Some(code) }
    );
    let reason = Bytes::new();
    assert_eq!(
        pair.client.loss(),
        ConnectionLost::PeerApplication { code, reason }
    );
}

// ---- no session yet

#[test]
fn a_certificate_that_is_not_trusted_is_a_failed_handshake_on_both_sides() {
    let setup = Setup {
        client_tls: client_tls_trusting(rustls::RootCertStore::empty()),
        ..Setup::default()
    };
    let mut pair = Pair::connecting(setup);
    pair.settle();
    for side in [Side::Client, Side::Server] {
        let reason = ConnectionLost::HandshakeFailed;
        assert_eq!(pair.side(side).take(), [Event::ConnectionClosed { reason }]);
    }
}

#[test]
fn a_server_that_never_answers_is_a_failed_handshake() {
    let mut pair = Pair::connecting(Setup::default());
    pair.client.link = Link::Cut;
    pair.run(Duration::from_secs(60));
    let reason = ConnectionLost::HandshakeFailed;
    assert_eq!(pair.client.take(), [Event::ConnectionClosed { reason }]);
}

#[test]
fn no_common_version_is_a_version_mismatch() {
    let mut endpoint = EndpointConfig::default();
    endpoint.supported_versions(vec![0xff00_001d]);
    let setup = Setup {
        server_endpoint: Some(endpoint),
        ..Setup::default()
    };
    let mut pair = Pair::connecting(setup);
    pair.settle();
    let reason = ConnectionLost::VersionMismatch;
    assert_eq!(pair.client.take(), [Event::ConnectionClosed { reason }]);
}

#[test]
fn a_server_that_refuses_a_client_which_was_connected_already_closes_by_transport() {
    let setup = Setup {
        server_tls: server_tls_with_client_certificates(),
        ..Setup::default()
    };
    let mut pair = Pair::connecting(setup);
    pair.settle();
    let reason = ConnectionLost::HandshakeFailed;
    assert_eq!(pair.server.take(), [Event::ConnectionClosed { reason }]);
    let lost = pair.client.loss();
    assert!(
        matches!(lost, ConnectionLost::PeerTransport { code, .. } if code == CERTIFICATE_REQUIRED),
        "{lost:?}"
    );
}

#[test]
fn a_peer_that_leaves_as_soon_as_it_is_connected_says_why() {
    let mut pair = Pair::connecting(Setup::default());
    pair.run_until(Duration::from_secs(1), |pair| {
        !pair.client.quic().is_handshaking()
    });
    // With the end of its handshake in one flight.
    pair.client.close_quic(0x1234, "so long");
    pair.settle();
    let lost = ConnectionLost::PeerApplication {
        code: 0x1234,
        reason: "so long".into(),
    };
    assert_eq!(pair.server.loss(), lost);
}

#[test]
fn a_peer_that_never_lets_us_open_a_stream_says_why_it_leaves() {
    let mut setup = Setup::default();
    setup.client_quic.max_concurrent_uni_streams(0_u32.into());
    let mut pair = Pair::connecting(setup);
    pair.settle();
    pair.client.close_quic(0x1234, "");
    pair.settle();
    let reason = Bytes::new();
    let code = 0x1234;
    let lost = ConnectionLost::PeerApplication { code, reason };
    assert_eq!(pair.server.loss(), lost);
}

#[test]
fn a_close_of_our_own_before_the_handshake_is_ours() {
    let mut pair = Pair::connecting(Setup::default());
    pair.client.poll();
    pair.client.abort(0x1234, b"");
    pair.settle();
    let reason = ConnectionLost::Local { code: Some(0x1234) };
    assert_eq!(pair.client.take(), [Event::ConnectionClosed { reason }]);
}

// ---- shutdown

/// The dialect that has many sessions on a connection.
fn many_sessions() -> Setup {
    let config = || {
        let mut config = Config::default();
        config.dialects = Dialects::only(Dialect::Draft02);
        config
    };
    Setup {
        client: config(),
        server: config(),
        ..Setup::default()
    }
}

#[test]
fn a_shutdown_delivers_code_and_message_of_every_session_before_the_connection_closes() {
    for side in [Side::Client, Side::Server] {
        for loses_packets in [false, true] {
            let (mut pair, first) = Pair::in_session(many_sessions());
            let sessions = [first, pair.open_session(), pair.open_session()];
            pair.side(side).shutdown(7, "restart");
            let link = if loses_packets { Link::Cut } else { Link::Up };
            pair.client.link = link;
            pair.server.link = link;
            pair.turn();
            pair.client.link = Link::Up;
            pair.server.link = Link::Up;
            pair.run(Duration::from_secs(2));

            let closed = |reason: CloseReason| {
                let ends = sessions.map(|session| Event::SessionClosed {
                    session,
                    reason: reason.clone(),
                });
                Vec::from(ends)
            };
            let mut here = closed(CloseReason::Local {
                code: 7,
                message: "restart".into(),
            });
            let code = H3_NO_ERROR;
            let reason = ConnectionLost::Local { code: Some(code) };
            here.push(Event::ConnectionClosed { reason });
            assert_eq!(pair.side(side).take(), here);

            let mut there = closed(CloseReason::Peer {
                code: 7,
                message: "restart".into(),
                via: CloseVia::Capsule,
            });
            let reason = Bytes::new();
            let reason = ConnectionLost::PeerApplication { code, reason };
            there.push(Event::ConnectionClosed { reason });
            let mut events = pair.side(side.other()).take();
            // GOAWAY went before, on a stream of its own.
            events.retain(|event| !matches!(event, Event::SessionDraining { .. }));
            assert_eq!(events, there);
        }
    }
}

#[test]
fn a_shutdown_does_not_wait_for_a_peer_that_is_gone_longer_than_the_linger() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    pair.client.link = Link::Cut;
    pair.server.shutdown(7, "restart");
    pair.run(Duration::from_secs(2));
    let reason = CloseReason::Local {
        code: 7,
        message: "restart".into(),
    };
    assert_eq!(pair.server.end_of(session), reason);
    assert!(!pair.server.quic().is_closed());
    pair.run(Duration::from_secs(2));
    let code = H3_NO_ERROR;
    assert_eq!(
        pair.server.loss(),
        ConnectionLost::Local { code: Some(code) }
    );
    assert!(pair.server.endpoint.is_empty());
}

#[test]
fn a_shutdown_right_behind_a_refusal_does_not_overtake_it() {
    for loses_packets in [false, true] {
        let mut pair = Pair::connected(Setup::default());
        let session = pair.client.connect("/game");
        pair.settle();
        let rejection = Rejection::from(http::StatusCode::FORBIDDEN);
        pair.server.reject(session, rejection);
        pair.server.shutdown(7, "restart");
        if loses_packets {
            pair.server.link = Link::Cut;
            pair.turn();
            pair.server.link = Link::Up;
        }
        pair.run(Duration::from_secs(1));
        let reason = pair.client.end_of(session);
        assert!(
            matches!(reason, CloseReason::Rejected { ref rejection, .. } if rejection.status == 403),
            "{reason:?}"
        );
        // It was not the linger that let it go.
        let code = H3_NO_ERROR;
        assert_eq!(
            pair.server.loss(),
            ConnectionLost::Local { code: Some(code) }
        );
    }
}

// ---- a bad network

#[test]
fn on_a_lossy_link_every_session_ends_once_and_as_it_was_ended() {
    for every in 2..8 {
        let (mut pair, session) = Pair::in_session(Setup::default());
        pair.client.link = Link::Lossy(every);
        pair.server.link = Link::Lossy(every);
        let code = u32::try_from(every).unwrap();
        pair.server.close(session, code, "bye");
        pair.run(Duration::from_secs(20));
        let message = || "bye".into();
        let local = CloseReason::Local {
            code,
            message: message(),
        };
        assert_eq!(pair.server.end_of(session), local);
        let there = CloseReason::Peer {
            code,
            message: message(),
            via: CloseVia::Capsule,
        };
        assert_eq!(pair.client.end_of(session), there);
    }
}
