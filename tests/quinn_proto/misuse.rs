//! Mistakes of the application: an error or nothing, and never a panic.

use std::time::Duration;

use webtransport_session::{
    AnswerError, ConnectError, ConnectionLost, DatagramError, Dir, Event, OpenError, Request,
    Response, SendError, SessionId, Side, StreamClosed, StreamId,
    host::quinn_proto::DatagramSendError,
};

use crate::{
    pair::{End, Pair},
    setup::Setup,
};

fn session(id: u64) -> SessionId {
    SessionId::try_from(StreamId::from(id)).unwrap()
}

/// Ids that name nothing, or nothing that can exist.
fn strange_ids() -> impl Iterator<Item = StreamId> {
    let small = 0..64;
    let large = [1 << 32, 1 << 60, (1 << 62) - 1, 1 << 62, u64::MAX];
    small
        .chain(large.into_iter().flat_map(|id: u64| id - 3..=id))
        .map(StreamId::from)
}

/// Every command on every id; what they answer is not looked at.
fn do_everything(peer: &mut End) {
    for stream in strange_ids() {
        let _ = peer.write(stream, b"x");
        let _ = peer.write(stream, b"");
        let sessions = peer.sessions();
        sessions.pause(stream);
        sessions.resume(stream);
        let _ = sessions.credit(stream);
        let _ = sessions.stop(stream, 1);
        let _ = sessions.finish(stream);
        let _ = sessions.finish(stream);
        let _ = sessions.reset(stream, 1);
        peer.poll();
        let Ok(session) = SessionId::try_from(stream) else {
            continue;
        };
        let (now, sessions) = (peer.now, peer.sessions());
        let _ = sessions.reject(now, session, http::StatusCode::GONE.into());
        let _ = sessions.accept(now, session, Response::default());
        sessions.drain(session);
        sessions.close(now, session, 1, "x");
        let _ = peer.try_open(session, Dir::Uni);
        let _ = peer.try_open(session, Dir::Bi);
        let _ = peer.peer().send_datagram(session, b"x");
        let _ = peer.peer().max_datagram_size(session);
        peer.poll();
    }
    let request = Request::new("https://localhost/".parse().unwrap());
    let _ = peer.try_connect(&request);
    let now = peer.now;
    peer.peer().host.handle_timeout(now);
    peer.poll();
}

#[test]
fn every_command_on_every_id_at_any_time_is_survived() {
    // Before the handshake.
    let mut pair = Pair::connecting(Setup::default());
    do_everything(&mut pair.client);
    pair.settle();
    // With SETTINGS, and no session.
    do_everything(&mut pair.client);
    do_everything(&mut pair.server);
    pair.settle();

    for side in [Side::Client, Side::Server] {
        let (mut pair, session) = Pair::in_session(Setup::default());
        for dir in [Dir::Uni, Dir::Bi] {
            let stream = pair.client.open(session, dir);
            pair.client.write_all(stream, b"hello");
            let stream = pair.server.open(session, dir);
            pair.server.write_all(stream, b"hello");
        }
        pair.settle();
        do_everything(pair.side(side));
        pair.settle();
        do_everything(pair.side(side));

        // After the end.
        let peer = pair.side(side);
        peer.abort(1, b"");
        peer.abort(2, b"");
        do_everything(peer);
        peer.abort(3, b"");
        do_everything(peer);
        assert!(matches!(
            peer.loss(),
            ConnectionLost::Local { code: Some(1) }
        ));
        pair.turn();
        pair.arrive();
        for side in [Side::Client, Side::Server] {
            let peer = pair.side(side);
            do_everything(peer);
            // Until quinn has nothing to say any more.
            let later = peer.now + Duration::from_secs(60);
            peer.quic().handle_timeout(later);
            assert!(peer.quic().is_drained());
            do_everything(peer);
            assert!(peer.sessions().is_closed());
        }
    }
}

#[test]
fn a_stream_that_is_not_ours_to_write_is_closed_to_us() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    let theirs = pair.server.open(session, Dir::Uni);
    pair.server.write_all(theirs, b"hello");
    pair.settle();
    let client = &mut pair.client;
    for stream in [theirs, StreamId::from(400), StreamId::from(u64::MAX)] {
        assert_eq!(client.write(stream, b"x"), Err(SendError::StreamClosed));
        let sessions = client.sessions();
        assert_eq!(sessions.finish(stream), Err(StreamClosed));
        assert_eq!(sessions.reset(stream, 1), Err(StreamClosed));
    }
    // The session's own stream and the control stream are not the application's.
    for stream in [session.connect_stream(), StreamId::from(2)] {
        assert_eq!(client.write(stream, b"x"), Err(SendError::StreamClosed));
        let sessions = client.sessions();
        assert_eq!(sessions.finish(stream), Err(StreamClosed));
        assert_eq!(sessions.stop(stream, 1), Err(StreamClosed));
    }
    let ours = client.open(session, Dir::Uni);
    let sessions = client.sessions();
    assert_eq!(sessions.stop(ours, 1), Err(StreamClosed));
}

#[test]
fn a_stream_is_finished_once() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    let client = &mut pair.client;
    let stream = client.open(session, Dir::Uni);
    client.write_all(stream, b"all");
    let sessions = client.sessions();
    assert_eq!(sessions.finish(stream), Ok(()));
    assert_eq!(sessions.finish(stream), Err(StreamClosed));
    assert_eq!(client.write(stream, b"more"), Err(SendError::StreamClosed));
    pair.settle();
    let client = &mut pair.client;
    let sessions = client.sessions();
    assert_eq!(sessions.finish(stream), Err(StreamClosed));
    assert_eq!(sessions.reset(stream, 1), Err(StreamClosed));
    assert_eq!(client.write(stream, b"more"), Err(SendError::StreamClosed));
}

#[test]
fn a_session_that_is_over_opens_and_sends_nothing() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    let stream = pair.client.open(session, Dir::Bi);
    pair.client.close(session, 7, "bye");
    for _ in 0..2 {
        let client = &mut pair.client;
        let refused = Err(OpenError::SessionClosed);
        assert_eq!(client.try_open(session, Dir::Uni), refused);
        assert_eq!(client.write(stream, b"x"), Err(SendError::StreamClosed));
        let refused = client.peer().send_datagram(session, b"x");
        let gone = DatagramSendError::Session(DatagramError::SessionClosed);
        assert_eq!(refused, Err(gone));
        client.close(session, 8, "again");
        pair.settle();
    }
    let is_end = |event: &Event| matches!(event, Event::SessionClosed { .. });
    let ends = pair.client.take().into_iter().filter(is_end);
    assert_eq!(ends.count(), 1);
}

#[test]
fn a_session_that_is_not_answered_opens_and_sends_nothing() {
    let mut pair = Pair::connected(Setup::default());
    let session = pair.client.connect("/game");
    pair.settle();
    for side in [Side::Client, Side::Server] {
        let peer = pair.side(side);
        assert_eq!(peer.try_open(session, Dir::Bi), Err(OpenError::NotOpen));
        let refused = peer.peer().send_datagram(session, b"x");
        let early = DatagramSendError::Session(DatagramError::NotOpen);
        assert_eq!(refused, Err(early));
    }
}

#[test]
fn each_side_does_what_is_its_own() {
    let (mut pair, open) = Pair::in_session(Setup::default());
    let request = Request::new("https://localhost/".parse().unwrap());
    let refused = pair.server.try_connect(&request);
    assert_eq!(refused, Err(ConnectError::NotClient));
    for side in [Side::Client, Side::Server] {
        let peer = pair.side(side);
        for session in [open, session(4), session(400)] {
            let (now, sessions) = (peer.now, peer.sessions());
            let answer = sessions.accept(now, session, Response::default());
            assert_eq!(answer, Err(AnswerError::Gone));
        }
    }
}
