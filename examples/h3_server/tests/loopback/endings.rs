//! Every way a session ends that can be made to happen over loopback, and the one reason that the
//! server gives for it. The ids are those of the crate's README.

use std::time::{Duration, Instant};

use crate::client::{self, Client, Server};
use quinn_proto::VarInt;
use webtransport_session::{
    AbortedBy, CloseReason, CloseVia, Config, ConnectionLost, Dialect, Dialects, Dir, Endpoint,
    Event, Http3Error, Rejection, SessionId, Violation,
};

const CANCELLED: u32 = 0x10c;
const SESSION_GONE: u32 = 0x170d_7b68;

fn capsule(code: u32, message: &str) -> CloseReason {
    CloseReason::Peer {
        code,
        message: message.into(),
        via: CloseVia::Capsule,
    }
}

fn aborted(by: AbortedBy, code: u32) -> CloseReason {
    CloseReason::Aborted {
        by,
        code: code.into(),
    }
}

fn connect_stream(session: SessionId) -> quinn_proto::StreamId {
    session.connect_stream().into()
}

/// Raw bytes where the capsules go.
fn write(client: &mut Client, session: SessionId, bytes: &[u8]) {
    let mut stream = client.peer().quic.send_stream(connect_stream(session));
    assert_eq!(stream.write(bytes), Ok(bytes.len()));
    client.flush();
}

/// Opens a session, does this, and gives what the server says.
fn after(act: impl FnOnce(&mut Client, SessionId)) -> (Server, Client, SessionId, CloseReason) {
    let server = Server::start();
    let mut client = Client::connect(&server);
    let session = client.open("/echo");
    act(&mut client, session);
    let until = Instant::now() + client::PATIENCE;
    // Both have to turn: the client's packets do not go by themselves.
    let reason = loop {
        client.turn();
        if let Some(reason) = server.reason_if_told(session) {
            break reason;
        }
        assert!(Instant::now() < until, "the server never told");
    };
    (server, client, session, reason)
}

#[test]
fn e01_a_close_capsule_is_told_with_code_and_message() {
    let (.., reason) = after(|client, session| {
        client
            .peer()
            .sessions()
            .close(Instant::now(), session, 7, "good game");
    });
    assert_eq!(reason, capsule(7, "good game"));
}

#[test]
fn e03_an_empty_close_is_told_as_a_capsule() {
    let (.., reason) = after(|client, session| {
        let now = Instant::now();
        client.peer().sessions().close(now, session, 0, "");
    });
    assert_eq!(reason, capsule(0, ""));
}

#[test]
fn e02_a_capsule_whose_fin_never_comes_is_told_at_once_and_answered_with_a_fin() {
    let (_server, mut client, session, reason) = after(|client, session| {
        write(client, session, b"\x00\x08\x68\x43\x05\x00\x00\x00\x07!");
    });
    assert_eq!(reason, capsule(7, "!"));
    let fin = CloseReason::Peer {
        code: 0,
        message: "".into(),
        via: CloseVia::Fin,
    };
    assert_eq!(client.reason(session), fin);
}

#[test]
fn e04_a_bare_fin_is_told_as_a_fin() {
    let (.., reason) = after(|client, session| {
        let mut stream = client.peer().quic.send_stream(connect_stream(session));
        stream.finish().unwrap();
    });
    let fin = CloseReason::Peer {
        code: 0,
        message: "".into(),
        via: CloseVia::Fin,
    };
    assert_eq!(reason, fin);
}

#[test]
fn e05_trailers_are_a_broken_http3() {
    let (server, mut client, session, reason) =
        after(|client, session| write(client, session, b"\x01\x02\x00\x00"));
    let broken = CloseReason::ConnectionLost(ConnectionLost::Http3(Http3Error::FrameUnexpected));
    assert_eq!(reason, broken);
    let told = client.reason(session);
    let CloseReason::ConnectionLost(ConnectionLost::PeerApplication { code, .. }) = told else {
        panic!("{told}");
    };
    assert_eq!(code, Http3Error::FrameUnexpected.code());
    server.assert_no_more();
}

#[test]
fn e06_a_capsule_in_single_bytes_behind_unknown_ones_is_read_whole() {
    let (.., reason) = after(|client, session| {
        // An unknown frame, an unknown capsule, and the close over two DATA frames.
        let bytes = b"\x21\x02xx\x00\x06\x29\x01y\x68\x43\x06\x00\x06\x00\x00\x00\x09hi";
        for &byte in bytes {
            write(client, session, &[byte]);
            client.turn();
        }
    });
    assert_eq!(reason, capsule(9, "hi"));
}

#[test]
fn e07_a_reset_is_told_with_its_code() {
    let (.., reason) = after(|client, session| {
        let mut stream = client.peer().quic.send_stream(connect_stream(session));
        stream.reset(VarInt::from_u32(CANCELLED)).unwrap();
    });
    assert_eq!(reason, aborted(AbortedBy::Reset, CANCELLED));
}

#[test]
fn e08_stop_sending_is_told_with_its_code_although_nobody_writes() {
    let (.., reason) = after(|client, session| {
        let mut stream = client.peer().quic.recv_stream(connect_stream(session));
        stream.stop(VarInt::from_u32(CANCELLED)).unwrap();
    });
    assert_eq!(reason, aborted(AbortedBy::StopSending, CANCELLED));
}

#[test]
fn e10_a_capsule_and_a_reset_behind_it_are_a_close() {
    let (.., reason) = after(|client, session| {
        write(client, session, b"\x00\x08\x68\x43\x05\x00\x00\x00\x07!");
        // QUIC throws unread bytes away when a reset comes: the server is to have read them. And
        // the client is not to know the answer.
        std::thread::sleep(Duration::from_millis(100));
        let mut stream = client.peer().quic.send_stream(connect_stream(session));
        stream.reset(VarInt::from_u32(CANCELLED)).unwrap();
    });
    assert_eq!(reason, capsule(7, "!"));
}

#[test]
fn e12_a_stop_that_overtakes_the_capsule_waits_for_it() {
    let (.., reason) = after(|client, session| {
        let mut stream = client.peer().quic.recv_stream(connect_stream(session));
        stream.stop(VarInt::from_u32(SESSION_GONE)).unwrap();
        // Behind the probe, long before the grace is over.
        let until = Instant::now() + Duration::from_millis(1300);
        while Instant::now() < until {
            client.turn();
        }
        write(client, session, b"\x00\x08\x68\x43\x05\x00\x00\x00\x07!");
    });
    assert_eq!(reason, capsule(7, "!"));
}

#[test]
fn e20_a_close_capsule_without_room_for_its_code_is_a_violation() {
    let (_server, mut client, session, reason) = after(|client, session| {
        write(client, session, b"\x00\x05\x68\x43\x02\x00\x00");
    });
    assert_eq!(reason, CloseReason::Violation(Violation::TruncatedClose));
    assert_eq!(client.reason(session), aborted(AbortedBy::Reset, 0x10e));
}

#[test]
fn e23_a_fin_inside_a_capsule_is_a_violation() {
    let (.., reason) = after(|client, session| {
        write(client, session, b"\x00\x03\x68\x43\x05");
        let mut stream = client.peer().quic.send_stream(connect_stream(session));
        stream.finish().unwrap();
    });
    assert_eq!(reason, CloseReason::Violation(Violation::Truncated));
}

#[test]
fn e37_a_refusal_is_told_on_both_sides() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    client.ready();
    let session = client.ask("/closed");
    let told = client.reason(session);
    let CloseReason::Rejected { by, rejection } = told else {
        panic!("{told}");
    };
    assert_eq!((by, rejection.status.as_u16()), (Endpoint::Peer, 403));
    let refused = CloseReason::Rejected {
        by: Endpoint::Local,
        rejection: Box::new(Rejection::from(rejection.status)),
    };
    assert_eq!(server.reason(session), refused);
}

#[test]
fn e40_connection_close_is_told_with_code_and_phrase_for_each_session_once() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    let sessions = [client.open("/echo"), client.open("/echo")];
    client.peer().abort(Instant::now(), 0x107, b"too much");
    client.turn();
    for session in sessions {
        let lost = ConnectionLost::PeerApplication {
            code: 0x107,
            reason: "too much".into(),
        };
        assert_eq!(server.reason(session), CloseReason::ConnectionLost(lost));
    }
    server.assert_no_more();
}

#[test]
fn e40_a_capsule_and_connection_close_behind_it_are_a_close() {
    let (server, ..) = {
        let server = Server::start();
        let mut client = Client::connect(&server);
        let session = client.open("/echo");
        let now = Instant::now();
        client.peer().sessions().close(now, session, 7, "bye");
        client.flush();
        client.peer().abort(now, 0x100, b"");
        client.flush();
        assert_eq!(server.reason(session), capsule(7, "bye"));
        (server, client)
    };
    server.assert_no_more();
}

#[test]
fn e42_silence_is_an_idle_timeout() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    let session = client.open("/echo");
    // Nobody turns the client any more.
    let lost = CloseReason::ConnectionLost(ConnectionLost::IdleTimeout);
    assert_eq!(server.reason(session), lost);
    server.assert_no_more();
}

#[test]
fn e51_a_session_that_says_nothing_ends_by_the_callers_clock() {
    let mut config = Config::default();
    config.deadlines.inactivity = Some(Duration::from_millis(300));
    config.deadlines.inactivity_close = (9, "asleep".into());
    let server = Server::with(config);
    let mut client = Client::connect(&server);
    let session = client.open("/echo");
    assert_eq!(client.reason(session), capsule(9, "asleep"));
    let inactive = CloseReason::TimedOut(webtransport_session::Deadline::Inactivity);
    assert_eq!(server.reason(session), inactive);
}

#[test]
fn e60_the_servers_close_reaches_the_client_with_code_and_message() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    let session = client.open("/kick");
    client.peer().send_datagram(session, b"let me go").unwrap();
    assert_eq!(client.reason(session), capsule(42, "as you wish"));
    let local = CloseReason::Local {
        code: 42,
        message: "as you wish".into(),
    };
    assert_eq!(server.reason(session), local);
    // The connection is as good as new.
    let next = client.open("/echo");
    assert_ne!(next, session);
}

#[test]
fn e64_shutdown_gives_each_session_its_close_before_the_connection_goes() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    let first = client.open("/echo");
    let second = client.open("/end");
    client.peer().send_datagram(second, b"enough").unwrap();
    assert_eq!(client.reason(first), capsule(42, "as you wish"));
    assert_eq!(client.reason(second), capsule(42, "as you wish"));
    let reason = client.wait(|event| match event {
        Event::ConnectionClosed { reason } => Some(reason.clone()),
        _ => None,
    });
    let ConnectionLost::PeerApplication { code: 0x100, .. } = reason else {
        panic!("{reason}");
    };
    let local = CloseReason::Local {
        code: 42,
        message: "as you wish".into(),
    };
    assert_eq!(server.reason(first), local);
    assert_eq!(server.reason(second), local);
    server.assert_no_more();
}

#[test]
fn a_client_that_speaks_nothing_of_h3_s_never_gets_a_session() {
    let server = Server::start();
    let dialects = Dialects::only(Dialect::Draft16).with(Dialect::Draft07);
    let mut client = Client::speaking(&server, dialects);
    let missing = client.wait(|event| match event {
        Event::Unsupported(missing) => Some(*missing),
        _ => None,
    });
    assert_eq!(missing, webtransport_session::Requirement::Dialect);
}

#[test]
fn sessions_in_sequence_and_at_once_end_each_with_its_own_reason() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    for code in 0..20 {
        let session = client.open("/echo");
        let now = Instant::now();
        client.peer().sessions().close(now, session, code, "next");
        client.flush();
        assert_eq!(server.reason(session), capsule(code, "next"));
        client.turn();
    }
    let sessions = [(); 4].map(|()| client.open("/echo"));
    for (code, &session) in (0..).zip(&sessions) {
        let payload = [code; 3];
        client.peer().send_datagram(session, &payload).unwrap();
        // Each gets its own back: the quarter stream id is that of the session.
        assert_eq!(client.datagram(session), &payload[..]);
    }
    for (code, &session) in (0..).zip(&sessions) {
        let now = Instant::now();
        client.peer().sessions().close(now, session, code, "now");
        client.flush();
        assert_eq!(server.reason(session), capsule(code, "now"));
    }
}

#[test]
fn a_page_and_a_session_share_the_connection() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    client.ready();
    let before = client.get();
    let session = client.open("/echo");
    let beside = client.get();
    assert_eq!(before, beside);
    let page = b"<!doctype html>";
    assert!(before.windows(page.len()).any(|part| part == page));
    let stream = client.stream(session, Dir::Bi);
    client.write(stream, b"still here");
    client.peer().sessions().finish(stream).unwrap();
    assert_eq!(client.read(stream), b"still here");
}
