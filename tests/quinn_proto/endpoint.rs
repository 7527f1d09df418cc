//! `Endpoint`: many connections behind one address, and what its caller may do out of turn.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use bytes::BytesMut;
use webtransport_session::{
    CloseReason, CloseVia, ConnectionLost, Dir, Event, Request, Response, SendError, SessionId,
    host::quinn_proto::PeerId,
    trace::{Record, Step},
};

use crate::{
    pair::{Door, End, Link, Pair, received},
    setup::Setup,
};

/// How sessions ended, in order.
fn ends(end: &End) -> Vec<(PeerId, &CloseReason)> {
    let ends = end.told.iter().filter_map(|(peer, event)| match event {
        Event::SessionClosed { reason, .. } => Some((*peer, reason)),
        _ => None,
    });
    ends.collect()
}

/// Where nobody is.
fn elsewhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 9))
}

/// So many connections with a session each, which has the same id: it is the first of its connection.
/// Gives the connections as the client and as the server knows them.
fn in_sessions(count: usize) -> (Pair, [Vec<PeerId>; 2], SessionId) {
    let mut pair = Pair::connecting(Setup::default());
    for _ in 1..count {
        pair.dial();
    }
    pair.settle();
    let request = Request::new("https://localhost/game".parse().unwrap());
    let (now, client) = (pair.now, &mut pair.client.endpoint);
    let dialled: Vec<_> = client.peers().collect();
    let asked = dialled.iter().map(|&peer| {
        let peer = client.peer(peer).unwrap();
        peer.connect(now, &request).unwrap()
    });
    let sessions: Vec<_> = asked.collect();
    let session = sessions[0];
    assert_eq!(sessions, vec![session; count]);
    pair.settle();

    let (now, server) = (pair.now, &mut pair.server.endpoint);
    let accepted: Vec<_> = server.peers().collect();
    for &peer in &accepted {
        let sessions = server.peer(peer).unwrap().sessions();
        let answer = sessions.accept(now, session, Response::default());
        answer.unwrap();
    }
    pair.settle();
    for (end, peers) in [(&pair.client, &dialled), (&pair.server, &accepted)] {
        let opened = end.told.iter().filter_map(|(peer, event)| match event {
            Event::SessionOpened { .. } => Some(*peer),
            _ => None,
        });
        assert!(opened.eq(peers.iter().copied()));
    }
    (pair, [dialled, accepted], session)
}

#[test]
fn every_connection_has_its_own_sessions_and_its_own_end() {
    let (mut pair, [_, peers], session) = in_sessions(3);
    assert_eq!(peers.len(), 3);
    assert_eq!(peers.iter().map(|&peer| u64::from(peer)).max(), Some(3));

    let second = pair.server.endpoint.peer(peers[1]).unwrap();
    second.sessions().close(pair.now, session, 7, "kicked");
    pair.settle();
    let (code, message) = (7, "kicked".into());
    let kicked = CloseReason::Local { code, message };
    assert_eq!(ends(&pair.server), [(peers[1], &kicked)]);
    assert!(pair.server.endpoint.peers().eq(peers.iter().copied()));

    // Without their clients' packets the others idle out, and are forgotten.
    pair.client.link = Link::Cut;
    pair.run(Duration::from_secs(120));
    assert_eq!(ends(&pair.server).len(), 3);
    let server = &mut pair.server.endpoint;
    assert!(server.is_empty());
    assert_eq!(server.len(), 0);
    assert_eq!(server.poll_timeout(), None);
    assert!(server.peer(peers[0]).is_none());
}

#[test]
fn each_connection_exports_keying_material_of_its_own() {
    let (mut pair, [clients, servers], session) = in_sessions(2);
    let secret = |end: &mut End, peer: PeerId| {
        let mut secret = [0; 16];
        let peer = end.endpoint.peer(peer).unwrap();
        let exported = peer.export_keying_material(session, b"label", b"", &mut secret);
        exported.map(|()| secret).unwrap()
    };
    let [first, second] = [0, 1].map(|n| {
        let of_client = secret(&mut pair.client, clients[n]);
        assert_eq!(of_client, secret(&mut pair.server, servers[n]));
        of_client
    });
    assert_ne!(first, second);
}

#[test]
fn ids_are_never_used_again() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    let first = pair.client.endpoint.peers().next().unwrap();
    pair.client.abort(5, b"gone");
    pair.run(Duration::from_secs(10));
    assert!(pair.client.endpoint.is_empty());
    let by_peer = ConnectionLost::PeerApplication {
        code: 5,
        reason: "gone".into(),
    };
    let reason = CloseReason::ConnectionLost(by_peer);
    assert_eq!(pair.server.end_of(session), reason);

    // Quinn gives the same handle again.
    assert!(pair.dial() > first);
    pair.settle();
    let peers = pair.server.endpoint.peers().map(u64::from);
    assert!(peers.eq([2]));
}

#[test]
fn what_is_written_and_sent_through_a_peer_arrives() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    let stream = pair.client.open(session, Dir::Uni);
    let peer = pair.client.peer();
    assert!(peer.max_datagram_size(session).unwrap() > 1000);
    peer.send_datagram(session, b"datagram").unwrap();
    let mut data = BytesMut::from(&b"stream"[..]);
    peer.write_buf(stream, &mut data).unwrap();
    assert!(data.is_empty());
    peer.sessions().finish(stream).unwrap();
    assert_eq!(peer.write(stream, b"more"), Err(SendError::StreamClosed));
    pair.settle();

    let events = pair.server.take();
    let payload = "datagram".into();
    assert!(events.contains(&Event::DatagramReceived { session, payload }));
    assert_eq!(received(&events, stream), ("stream".into(), true));
}

#[test]
fn what_a_blocked_stream_does_not_take_stays_with_the_caller() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    let stream = pair.client.open(session, Dir::Uni);
    let all = 64 << 20;
    let mut data = BytesMut::zeroed(all);
    let written = pair.client.peer().write_buf(stream, &mut data);
    assert_eq!(written, Err(SendError::Blocked));
    assert!(!data.is_empty() && data.len() < all);
    // Told when to go on.
    pair.settle();
    let writable = Event::StreamWritable { session, stream };
    assert!(pair.client.take().contains(&writable));
}

#[test]
fn a_refused_connection_is_told_so() {
    let mut pair = Pair::connecting(Setup::default());
    pair.server.door = Door::Shut;
    pair.run(Duration::from_secs(10));
    assert!(pair.server.endpoint.is_empty() && pair.client.endpoint.is_empty());
    assert_eq!(pair.server.take(), []);
    let reason = ConnectionLost::HandshakeFailed;
    assert_eq!(pair.client.take(), [Event::ConnectionClosed { reason }]);
}

/// An unknown version of QUIC is answered without a connection. Nobody can make the answers pile up.
#[test]
fn answers_without_a_connection_are_sent_and_limited() {
    let mut pair = Pair::connecting(Setup::default());
    let (now, server) = (pair.now, &mut pair.server.endpoint);
    let mut initial = vec![0xc0, 0x1a, 0x1a, 0x1a, 0x1a, 8];
    initial.extend([1; 8]);
    initial.push(8);
    initial.resize(1200, 2);
    for _ in 0..1000 {
        let packet = initial.as_slice().into();
        let incoming = server.handle(now, elsewhere(), None, None, packet);
        assert!(incoming.is_none());
    }
    let mut answers = 0;
    let mut packet = Vec::new();
    while let Some(transmit) = server.poll_transmit(now, &mut packet) {
        assert_eq!(transmit.destination, elsewhere());
        assert_eq!(packet[1..5], [0; 4]);
        packet.clear();
        answers += 1;
    }
    assert_eq!(answers, 64);
}

#[test]
fn a_client_takes_no_connections() {
    let mut pair = Pair::connecting(Setup::default());
    pair.turn();
    let (_, _, initial) = pair.server.inbox.pop_front().unwrap();
    let (packet, client) = (initial.as_slice().into(), &mut pair.client.endpoint);
    let incoming = client.handle(pair.now, elsewhere(), None, None, packet);
    assert!(incoming.is_none());
    assert_eq!(client.len(), 1);
}

#[test]
fn a_session_over_one_connection_ends_once_with_its_reason() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    pair.client.shutdown(3, "done");
    pair.run(Duration::from_secs(20));
    let closed = CloseReason::Peer {
        code: 3,
        message: "done".into(),
        via: CloseVia::Capsule,
    };
    assert_eq!(pair.server.end_of(session), closed);
    assert!(pair.server.endpoint.is_empty() && pair.client.endpoint.is_empty());
}

/// Whatever the order of a turn, and wherever it was cut short: no end is lost.
#[test]
fn a_connection_is_not_forgotten_before_its_end_was_told() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    // The client is silent from now on.
    let (mut now, server) = (pair.now, &mut pair.server.endpoint);
    let peer = server.peers().next().unwrap();
    let mut told = Vec::new();
    for _ in 0..100 {
        now += Duration::from_secs(1);
        let _touched = server.peer(peer);
        while let Some((_, event)) = server.poll(now) {
            told.push(event);
        }
        // Later than its place.
        server.handle_timeout(now);
        while server.poll_transmit(now, &mut Vec::new()).is_some() {}
    }
    let lost = ConnectionLost::IdleTimeout;
    let reason = CloseReason::ConnectionLost(lost.clone());
    let ends = [
        Event::SessionClosed { session, reason },
        Event::ConnectionClosed { reason: lost },
    ];
    assert_eq!(told, ends);
    assert!(server.is_empty());
}

#[test]
fn what_is_commanded_after_the_turn_makes_the_next_one_due() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    let due = |pair: &Pair| pair.server.endpoint.poll_timeout().unwrap();
    assert!(due(&pair) > pair.now);
    pair.server.close(session, 7, "kicked");
    assert!(due(&pair) <= pair.now);
    pair.turn();
    assert!(due(&pair) > pair.now);
}

#[test]
fn what_was_recorded_is_taken_without_making_a_turn_due() {
    let mut pair = Pair::connecting(Setup::default());
    pair.client.sessions().set_recording(true);
    pair.settle();
    let session = pair.open_session();
    let peer = pair.client.endpoint.peers().next().unwrap();
    let due = pair.client.endpoint.poll_timeout();
    assert!(due > Some(pair.now));
    let records = pair.client.endpoint.take_trace(peer);
    assert_eq!(pair.client.endpoint.poll_timeout(), due);
    let is_connect = |record: &Record| {
        let bound = Some(session.connect_stream());
        matches!(record.step, Step::Connect { bound: to, .. } if to == bound)
    };
    assert_eq!(records.into_iter().filter(is_connect).count(), 1);
    assert_eq!(pair.client.endpoint.take_trace(peer), []);

    // The last of it is there until the connection is forgotten.
    pair.client.abort(0, b"");
    pair.turn();
    assert_eq!(pair.client.endpoint.len(), 1);
    let last = pair.client.endpoint.take_trace(peer);
    assert!(
        matches!(
            last.last(),
            Some(Record {
                step: Step::Poll { .. },
                ..
            })
        ),
        "{last:?}"
    );
    pair.settle();
    assert!(pair.client.endpoint.is_empty());
    assert_eq!(pair.client.endpoint.take_trace(peer), []);
}

#[test]
fn a_client_proves_its_address_when_it_is_asked_to() {
    let mut pair = Pair::connecting(Setup::default());
    pair.server.door = Door::Asks;
    pair.settle();
    assert_eq!(pair.server.asked, 1);
    assert_eq!(pair.server.endpoint.len(), 1);
    pair.open_session();
}
