//! A host over a QUIC stack in memory: what cannot be made to happen over loopback, or not surely.

mod stack;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use ::h3::quic::ConnectionErrorIncoming;
use bytes::Bytes;

use super::{Host, Output, turn::at_once, wake::Wakes};
use crate::{
    AbortedBy, CloseReason, CloseVia, Config, ConnectionLost, Deadline, Dialect, Dir, Event,
    OpenError, Rejection, Request, Requirement, Response, SendError, SessionId, StreamId,
    connection::handshake, wire::error_code as code,
};
use stack::{Came, Fake};

/// Firefox's control stream, byte for byte.
const FIREFOX: &[u8] = b"\x00\x04\x15\x01\x80\x01\x00\x00\x07\x14\xab\x60\x37\x42\x01\
    \x80\xff\xd2\x77\x01\x33\x01\x08\x01";
const CLOSE: &[u8] = b"\x00\x08\x68\x43\x05\x00\x00\x00\x07!";

struct Server {
    host: Host<Fake>,
    quic: Fake,
    now: Instant,
}

impl Server {
    fn start() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let quic = Fake::new();
        let Poll::Ready(Ok(host)) = at_once(Host::server(quic.clone(), Arc::new(config))) else {
            panic!("nothing here waits");
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "a starting point, never compared"
        )]
        let now = Instant::now();
        Self { host, quic, now }
    }

    /// With a client whose SETTINGS are in, and nothing to say of it.
    fn ready() -> Self {
        let mut server = Self::start();
        server.quic.data(2, FIREFOX);
        assert!(matches!(server.events()[..], [Event::Ready(_)]));
        server
    }

    /// With a session that is open.
    fn open() -> (Self, SessionId) {
        let mut server = Self::ready();
        let session = server.request(0);
        let now = server.now;
        server
            .host
            .accept(now, session, Response::default())
            .unwrap();
        assert!(matches!(server.events()[..], [Event::SessionOpened { .. }]));
        (server, session)
    }

    fn ask(&self, id: u64) {
        self.quic.data(id, &connect());
    }

    /// Asks for a session, which is told.
    fn request(&mut self, id: u64) -> SessionId {
        self.ask(id);
        match &self.events()[..] {
            &[Event::SessionRequested { session, .. }] => session,
            events => panic!("{events:?}"),
        }
    }

    fn outputs(&mut self) -> Vec<Output<Fake>> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut outputs = Vec::new();
        while let Poll::Ready(Some(output)) = self.host.poll(&mut cx, self.now) {
            outputs.push(output);
        }
        outputs
    }

    fn events(&mut self) -> Vec<Event> {
        let event = |output| match output {
            Output::Event(event) => event,
            Output::Request(request) => panic!("{request:?}"),
        };
        self.outputs().into_iter().map(event).collect()
    }

    fn reasons(&mut self) -> Vec<CloseReason> {
        let reason = |event| {
            let Event::SessionClosed { reason, .. } = event else {
                return None;
            };
            Some(reason)
        };
        self.events().into_iter().filter_map(reason).collect()
    }

    fn later(&mut self, wait: Duration) {
        self.now += wait;
    }
}

fn connect() -> Bytes {
    let request = Request::new("https://localhost/echo".parse().unwrap());
    handshake::connect(&request, Dialect::Draft02).frame
}

fn peer(code: u32, message: &str, via: CloseVia) -> CloseReason {
    CloseReason::Peer {
        code,
        message: message.into(),
        via,
    }
}

// ---- requests

#[test]
fn n13_a_connect_waits_for_the_settings() {
    let mut server = Server::start();
    server.ask(0);
    assert_eq!(server.events(), []);
    server.quic.data(2, FIREFOX);
    let events = server.events();
    assert!(
        matches!(
            events[..],
            [Event::Ready(_), Event::SessionRequested { .. }]
        ),
        "{events:?}"
    );
}

#[test]
fn e50_a_connect_whose_settings_never_come_is_cancelled() {
    let mut server = Server::start();
    server.ask(0);
    server.events();
    let due = server.host.poll_timeout().unwrap();
    assert_eq!(due, server.now + Duration::from_secs(10));
    server.now = due;
    assert_eq!(server.events(), []);
    let world = server.quic.world();
    assert_eq!(world.streams[&0].reset, Some(code::H3_REQUEST_CANCELLED));
}

#[test]
fn n14_a_client_without_datagrams_is_told_of_and_refused() {
    let mut server = Server::start();
    server.quic.data(2, b"\x00\x04\x05\xab\x60\x37\x42\x01");
    let events = server.events();
    assert_eq!(events, [Event::Unsupported(Requirement::Datagrams)]);
    server.ask(0);
    assert_eq!(server.events(), []);
    let world = server.quic.world();
    assert_eq!(world.streams[&0].reset, Some(code::H3_MESSAGE_ERROR));
}

#[test]
fn a_client_that_announces_nothing_is_answered_501() {
    let mut server = Server::start();
    server.quic.data(2, b"\x00\x04\x02\x33\x01");
    assert!(matches!(server.events()[..], [Event::Ready(_)]));
    server.ask(0);
    assert_eq!(server.events(), []);
    let head = handshake::reject(&Rejection::from(http::StatusCode::NOT_IMPLEMENTED));
    assert_eq!(server.quic.sent(0), head.frame);
    assert!(server.quic.world().streams[&0].finished);
}

#[test]
fn a_setting_that_is_no_flag_ends_the_connection() {
    let mut server = Server::start();
    server.quic.data(2, b"\x00\x04\x05\xab\x60\x37\x42\x02");
    let events = server.events();
    let lost = ConnectionLost::Http3(crate::Http3Error::Settings);
    assert_eq!(events, [Event::ConnectionClosed { reason: lost }]);
    let closed = server.quic.world().closed.clone().unwrap();
    assert_eq!(closed, (0x109, "H3_SETTINGS_ERROR".into()));
}

#[test]
fn e36_a_client_that_leaves_before_the_answer_has_withdrawn() {
    let mut server = Server::ready();
    let session = server.request(0);
    server.quic.comes(0, Came::Reset(0x10c));
    assert_eq!(
        server.reasons(),
        [CloseReason::Withdrawn { code: Some(0x10c) }]
    );
    let answer = server.host.accept(server.now, session, Response::default());
    assert_eq!(answer, Err(crate::AnswerError::Gone));
}

#[test]
fn e36_stop_sending_before_the_answer_is_noticed_without_a_write() {
    let mut server = Server::ready();
    server.request(0);
    server.quic.stop(0, 0x10c);
    assert_eq!(
        server.reasons(),
        [CloseReason::Withdrawn { code: Some(0x10c) }]
    );
    assert_eq!(server.quic.world().streams[&0].reset, Some(0x10c));
}

#[test]
fn e39_what_came_before_the_answer_counts_after_it() {
    let mut server = Server::ready();
    let session = server.request(0);
    server.quic.data(0, CLOSE);
    assert_eq!(server.events(), []);
    let now = server.now;
    server
        .host
        .accept(now, session, Response::default())
        .unwrap();
    let events = server.events();
    assert!(
        matches!(
            &events[..],
            [Event::SessionOpened { .. }, Event::SessionClosed { reason, .. }]
                if *reason == peer(7, "!", CloseVia::Capsule)
        ),
        "{events:?}"
    );
}

#[test]
fn requests_beyond_the_limit_are_refused() {
    let mut config = Config::default();
    config.limits.unanswered_requests = 2;
    let mut server = Server::with(config);
    server.quic.data(2, FIREFOX);
    for id in [0, 4, 8] {
        server.ask(id);
    }
    assert_eq!(server.events().len(), 3);
    assert_eq!(server.host.sessions().count(), 2);
    let world = server.quic.world();
    assert_eq!(world.streams[&8].reset, Some(code::H3_REQUEST_REJECTED));
}

#[test]
fn an_ordinary_request_is_h3s() {
    let mut server = Server::ready();
    // `:method GET`, `:scheme https`, `:path /`, `:authority localhost`.
    server
        .quic
        .data(0, b"\x01\x10\x00\x00\xd1\xd7\xc1\x50\x09localhost");
    server.quic.comes(0, Came::Fin);
    let outputs = server.outputs();
    let [Output::Request(request)] = <[_; 1]>::try_from(outputs).unwrap() else {
        panic!("it is none");
    };
    let Poll::Ready(Ok((request, mut stream))) = at_once(request.resolve()) else {
        panic!("it is complete");
    };
    assert_eq!(request.uri().path(), "/");
    let answered = at_once(stream.send_response(http::Response::new(())));
    assert!(matches!(answered, Poll::Ready(Ok(()))));
    assert!(!server.quic.sent(0).is_empty());
}

// ---- the end

#[test]
fn e10_a_capsule_and_a_reset_at_once_are_a_close() {
    let (mut server, _) = Server::open();
    server.quic.data(0, CLOSE);
    server.quic.comes(0, Came::Reset(0x10c));
    assert_eq!(server.reasons(), [peer(7, "!", CloseVia::Capsule)]);
    server.events();
    assert_eq!(server.host.sessions.len(), 0);
}

#[test]
fn e09_a_reset_and_a_stop_at_once_are_one_end() {
    let (mut server, _) = Server::open();
    server.quic.comes(0, Came::Reset(1));
    server.quic.stop(0, 2);
    let reset = CloseReason::Aborted {
        by: AbortedBy::Reset,
        code: 1,
    };
    assert_eq!(server.reasons(), [reset]);
    assert_eq!(server.reasons(), []);
}

#[test]
fn a_capsule_and_a_stop_at_once_are_a_close() {
    let (mut server, _) = Server::open();
    server.quic.data(0, CLOSE);
    server.quic.stop(0, 2);
    assert_eq!(server.reasons(), [peer(7, "!", CloseVia::Capsule)]);
}

#[test]
fn e12_a_stop_whose_capsule_never_comes_is_a_stop_when_the_grace_is_over() {
    let (mut server, _) = Server::open();
    server.quic.stop(0, code::WT_SESSION_GONE);
    assert_eq!(server.events(), []);
    server.now = server.host.poll_timeout().unwrap();
    let stopped = CloseReason::Aborted {
        by: AbortedBy::StopSending,
        code: code::WT_SESSION_GONE,
    };
    assert_eq!(server.reasons(), [stopped]);
}

#[test]
fn e46_a_fin_inside_a_frame_ends_the_connection() {
    let (mut server, _) = Server::open();
    server.quic.data(0, b"\x00\x08\x68");
    server.quic.comes(0, Came::Fin);
    let lost = ConnectionLost::Http3(crate::Http3Error::Frame);
    assert_eq!(server.reasons(), [CloseReason::ConnectionLost(lost)]);
}

#[test]
fn e46_a_request_that_breaks_http3_ends_the_sessions_beside_it() {
    let (mut server, _) = Server::open();
    // DATA before HEADERS. h3 finds it, and wakes whoever polls.
    server.quic.data(4, b"\x00\x01!");
    assert_eq!(server.events(), []);
    let lost = ConnectionLost::Http3(crate::Http3Error::FrameUnexpected);
    assert_eq!(server.reasons(), [CloseReason::ConnectionLost(lost)]);
    assert_eq!(server.quic.world().closed.as_ref().unwrap().0, 0x105);
}

#[test]
fn e52_a_peer_that_never_answers_our_close_is_stopped_after_the_linger() {
    let (mut server, session) = Server::open();
    let now = server.now;
    server.host.close(now, session, 3, "done");
    let local = CloseReason::Local {
        code: 3,
        message: "done".into(),
    };
    assert_eq!(server.reasons(), [local]);
    assert!(server.quic.world().streams[&0].finished);
    // What they say is in the way of nothing: STOP_SENDING would overtake the capsule.
    assert!(!server.quic.world().streams[&0].let_go);
    server.later(Duration::from_secs(3));
    assert_eq!(server.events(), []);
    let world = server.quic.world();
    assert!(world.streams[&0].let_go);
    assert!(!world.streams[&0].stopped_reading, "h3-quinn would panic");
    assert_eq!(world.streams[&0].reset, None);
    drop(world);
    assert_eq!(server.host.sessions.len(), 0);
}

#[test]
fn a_stack_that_takes_it_is_told_the_code_while_it_reads() {
    let (mut server, session) = Server::open();
    server.host = server.host.may_stop_reading();
    let now = server.now;
    server.host.close(now, session, 3, "done");
    server.events();
    server.later(Duration::from_secs(3));
    server.events();
    let stopped = server.quic.world().streams[&0].stopped;
    assert_eq!(stopped, Some(code::WT_SESSION_GONE));
}

#[test]
fn e50_a_request_that_is_never_answered_ends_by_the_clock() {
    let mut server = Server::ready();
    server.request(0);
    server.later(Duration::from_secs(10));
    assert_eq!(server.reasons(), [CloseReason::TimedOut(Deadline::Request)]);
}

#[test]
fn a_capsule_that_came_before_the_loss_wins_over_it_and_every_session_ends_once() {
    let (mut server, first) = Server::open();
    let second = server.request(4);
    server.quic.data(0, CLOSE);
    server.quic.lose(ConnectionErrorIncoming::Timeout);
    let events = server.events();
    let lost = ConnectionLost::IdleTimeout;
    assert_eq!(
        events,
        [
            Event::SessionClosed {
                session: first,
                reason: peer(7, "!", CloseVia::Capsule),
            },
            Event::SessionClosed {
                session: second,
                reason: CloseReason::ConnectionLost(lost.clone()),
            },
            Event::ConnectionClosed { reason: lost },
        ]
    );
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(
        server.host.poll(&mut cx, server.now),
        Poll::Ready(None)
    ));
}

#[test]
fn each_loss_that_h3_lets_through_has_its_own_reason() {
    let unknown = std::io::Error::other("something of the stack's");
    let losses = [
        (
            ConnectionErrorIncoming::ApplicationClose { error_code: 0x107 },
            ConnectionLost::PeerApplication {
                code: 0x107,
                reason: Bytes::new(),
            },
        ),
        (
            ConnectionErrorIncoming::Timeout,
            ConnectionLost::IdleTimeout,
        ),
        (
            ConnectionErrorIncoming::InternalError("oh".into()),
            ConnectionLost::Local { code: Some(0x102) },
        ),
        (
            ConnectionErrorIncoming::Undefined(Arc::new(unknown)),
            ConnectionLost::Unknown,
        ),
        #[cfg(feature = "quinn-proto")]
        (
            ConnectionErrorIncoming::Undefined(Arc::new(quinn_proto::ConnectionError::Reset)),
            ConnectionLost::StatelessReset,
        ),
    ];
    for (error, reason) in losses {
        let (mut server, _) = Server::open();
        server.quic.lose(error);
        assert_eq!(server.reasons(), [CloseReason::ConnectionLost(reason)]);
    }
}

#[test]
fn a_stack_that_can_be_asked_knows_better() {
    let (mut server, _) = Server::open();
    let lost = ConnectionLost::PeerTransport {
        code: 2,
        reason: "who are you".into(),
    };
    let told = lost.clone();
    server.host = server.host.on_loss(move || Some(told.clone()));
    let error_code = 0x107;
    server
        .quic
        .lose(ConnectionErrorIncoming::ApplicationClose { error_code });
    assert_eq!(server.reasons(), [CloseReason::ConnectionLost(lost)]);
}

#[test]
fn e45_abort_ends_every_session_and_closes_quic() {
    let (mut server, _) = Server::open();
    server.host.abort(0x100, "enough");
    let lost = ConnectionLost::Local { code: Some(0x100) };
    assert_eq!(server.reasons(), [CloseReason::ConnectionLost(lost)]);
    let closed = server.quic.world().closed.clone();
    assert_eq!(closed, Some((0x100, "enough".into())));
}

#[test]
fn e64_shutdown_waits_for_the_peers_fin_and_no_longer_than_the_linger() {
    for answers in [true, false] {
        let (mut server, _) = Server::open();
        let now = server.now;
        server.host.shutdown(now, 1, "over");
        assert_eq!(server.reasons().len(), 1);
        assert_eq!(server.quic.world().closed, None);
        server.ask(4);
        assert_eq!(server.events(), []);
        let refused = server.quic.world().streams[&4].reset;
        assert_eq!(refused, Some(code::H3_REQUEST_REJECTED));
        if answers {
            server.quic.comes(0, Came::Fin);
            assert_eq!(server.events(), []);
            // A page has to hear of its session before it hears of the connection.
            server.now = now + Duration::from_millis(100);
        } else {
            server.now = now + Duration::from_secs(3);
        }
        let closed = ConnectionLost::Local { code: Some(0x100) };
        assert_eq!(
            server.events(),
            [Event::ConnectionClosed { reason: closed }]
        );
        assert_eq!(server.quic.world().closed, Some((0x100, String::new())));
    }
}

#[test]
fn n02_the_clients_goaway_drains_and_ours_refuses_what_is_new() {
    let (mut server, session) = Server::open();
    server.quic.data(2, b"\x07\x01\x00");
    assert_eq!(server.events(), [Event::SessionDraining { session }]);
    let before = server.quic.sent(3);
    server.host.go_away();
    // None to who speaks draft 02: Chromium would crash.
    assert_eq!(server.quic.sent(3), before);
    // WT_DRAIN_SESSION.
    assert!(
        server
            .quic
            .sent(0)
            .ends_with(b"\x00\x05\x80\x00\x78\xae\x00")
    );
    server.ask(4);
    assert_eq!(server.events(), []);
    assert_eq!(server.host.sessions().count(), 1);
}

#[test]
fn n02_a_client_without_sessions_is_sent_goaway() {
    let mut server = Server::start();
    // A control stream, and SETTINGS that announce nothing.
    server.quic.data(2, b"\x00\x04\x00");
    server.events();
    server.host.go_away();
    // It names the first request that is refused.
    assert!(server.quic.sent(3).ends_with(b"\x07\x01\x00"));
}

// ---- streams

/// The stream's payload so far.
fn payload(events: &[Event]) -> Vec<u8> {
    let data = |event: &Event| {
        let Event::StreamData { data, .. } = event else {
            return Vec::new();
        };
        data.to_vec()
    };
    events.iter().flat_map(data).collect()
}

#[test]
fn a_unidirectional_stream_is_told_with_its_header_alone_at_any_cut() {
    let whole = b"\x40\x54\x00late";
    for cut in 1..whole.len() {
        let (mut server, session) = Server::open();
        let stream = StreamId::from(6);
        server.quic.data(6, &whole[..cut]);
        let mut events = server.events();
        let is_told = events.contains(&Event::StreamOpened { session, stream });
        assert_eq!(is_told, cut >= 3, "{cut}");
        server.quic.data(6, &whole[cut..]);
        server.quic.comes(6, Came::Fin);
        events.extend(server.events());
        assert_eq!(payload(&events), b"late");
        assert!(matches!(
            events.last(),
            Some(Event::StreamData { fin: true, .. })
        ));
        assert!(server.host.streams.is_empty());
    }
}

#[test]
fn streams_that_are_over_leave_nothing_behind() {
    let (mut server, _) = Server::open();
    for id in 0..1000 {
        let id = 4 * id + 6;
        server.quic.data(id, b"\x21");
        server.quic.comes(id, Came::Fin);
    }
    for id in 0..1000 {
        let id = 4 * id + 4;
        server.quic.data(id, b"\x40\x41\x00!");
        server.quic.comes(id, Came::Fin);
        let events = server.events();
        assert_eq!(payload(&events), b"!");
        server.host.finish(StreamId::from(id)).unwrap();
    }
    assert!(server.host.streams.is_empty());
    assert!(server.host.heads.is_empty());
}

#[test]
fn n08_streams_wait_for_their_session_for_a_while_and_not_too_many() {
    let mut config = Config::default();
    config.limits.buffered_streams = 2;
    let mut server = Server::with(config);
    server.quic.data(2, FIREFOX);
    server.events();
    for id in [6, 10, 14] {
        server.quic.data(id, b"\x40\x54\x00");
    }
    assert_eq!(server.events(), []);
    let stopped = |server: &Server, id| server.quic.world().streams[&id].stopped;
    assert_eq!(
        stopped(&server, 14),
        Some(code::WT_BUFFERED_STREAM_REJECTED)
    );
    assert_eq!(stopped(&server, 6), None);
    server.later(Duration::from_secs(5));
    assert_eq!(server.events(), []);
    assert_eq!(stopped(&server, 6), Some(code::WT_BUFFERED_STREAM_REJECTED));
    assert_eq!(server.host.stats().streams_refused, 3);
}

#[test]
fn a_write_that_was_refused_may_be_tried_again_when_quic_takes_bytes() {
    let (mut server, session) = Server::open();
    let stream = server.host.open(session, Dir::Bi).unwrap();
    assert_eq!(server.quic.sent(1), b"\x40\x41\x00");
    assert_eq!(server.host.write(stream, b"one"), Ok(3));
    server.quic.set_blocked(1, true);
    assert_eq!(server.host.write(stream, b"two"), Err(SendError::Blocked));
    assert_eq!(server.events(), []);
    server.quic.set_blocked(1, false);
    assert_eq!(server.events(), [Event::StreamWritable { session, stream }]);
    assert_eq!(server.host.write(stream, b"two"), Ok(3));
    server.host.finish(stream).unwrap();
    assert_eq!(server.quic.sent(1), b"\x40\x41\x00onetwo");
    assert!(server.quic.world().streams[&1].finished);
}

#[test]
fn a_finish_waits_for_the_header_and_a_reset_too() {
    for resets in [false, true] {
        let (mut server, session) = Server::open();
        server.quic.set_blocked(15, true);
        let stream = server.host.open(session, Dir::Uni).unwrap();
        assert_eq!(u64::from(stream), 15);
        if resets {
            server.host.reset(stream, 9).unwrap();
        } else {
            server.host.finish(stream).unwrap();
        }
        let world = server.quic.world();
        assert_eq!(world.streams[&15].reset, None);
        assert!(!world.streams[&15].finished);
        drop(world);
        server.quic.set_blocked(15, false);
        server.events();
        assert_eq!(server.quic.sent(15), b"\x40\x54\x00");
        let world = server.quic.world();
        assert_eq!(world.streams[&15].reset.is_some(), resets);
        assert_eq!(world.streams[&15].finished, !resets);
    }
}

#[test]
fn an_open_that_was_refused_may_be_tried_again_when_quic_has_streams() {
    let (mut server, session) = Server::open();
    server.quic.world().spare = 0;
    let refused = server.host.open(session, Dir::Uni);
    assert_eq!(refused, Err(OpenError::Blocked));
    assert_eq!(server.events(), []);
    server.quic.world().spare = 1;
    server.quic.set_blocked(0, false);
    let dir = Dir::Uni;
    assert_eq!(server.events(), [Event::StreamsAvailable { dir }]);
    assert_eq!(server.host.open(session, Dir::Uni), Ok(StreamId::from(15)));
}

#[test]
fn a_paused_stream_is_not_read_and_holds_no_clock_against_its_session() {
    let mut config = Config::default();
    config.deadlines.inactivity = Some(Duration::from_secs(2));
    let mut server = Server::with(config);
    server.quic.data(2, FIREFOX);
    server.events();
    let session = server.request(0);
    let now = server.now;
    server
        .host
        .accept(now, session, Response::default())
        .unwrap();
    server.quic.data(6, b"\x40\x54\x00one");
    assert_eq!(payload(&server.events()), b"one");
    server.host.pause(StreamId::from(6));
    server.quic.data(6, b"two");
    server.later(Duration::from_secs(60));
    assert_eq!(server.events(), []);
    server.host.resume(StreamId::from(6));
    assert_eq!(payload(&server.events()), b"two");
    server.later(Duration::from_secs(2));
    assert_eq!(
        server.reasons(),
        [CloseReason::TimedOut(Deadline::Inactivity)]
    );
}

#[test]
fn stop_sending_is_noticed_within_a_second_on_a_silent_connection() {
    let (mut server, session) = Server::open();
    let stream = server.host.open(session, Dir::Uni).unwrap();
    server.quic.stop(15, 0x52e4_a40f_a8db);
    assert_eq!(server.events(), []);
    let due = server.host.poll_timeout().unwrap();
    assert!(due <= server.now + Duration::from_secs(1));
    server.now = due;
    let code = Some(0);
    assert_eq!(
        server.events(),
        [Event::StreamStopped {
            session,
            stream,
            code
        }]
    );
    assert_eq!(
        server.quic.world().streams[&15].reset,
        Some(0x52e4_a40f_a8db)
    );
}

#[test]
fn the_streams_of_a_session_that_ends_are_reset_and_let_go() {
    let (mut server, session) = Server::open();
    server.host.open(session, Dir::Bi).unwrap();
    server.quic.data(6, b"\x40\x54\x00");
    server.events();
    server.quic.comes(0, Came::Fin);
    assert_eq!(server.reasons(), [peer(0, "", CloseVia::Fin)]);
    let world = server.quic.world();
    assert_eq!(world.streams[&1].reset, Some(code::WT_SESSION_GONE));
    assert!(world.streams[&1].let_go && world.streams[&6].let_go);
    drop(world);
    assert!(server.host.streams.is_empty());
}

// ---- waking

#[derive(Default)]
struct Counter(AtomicU32);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn the_task_is_woken_once_for_all_streams_since_it_looked() {
    let counter = Arc::new(Counter::default());
    let task = Waker::from(counter.clone());
    let woken = || counter.0.load(Ordering::Relaxed);
    let wakes = Wakes::default();
    wakes.watch(&task);
    // A command left something to look at: nobody was woken for that.
    wakes.again(StreamId::from(0));
    assert_eq!(woken(), 0);
    wakes.waker(StreamId::from(4)).wake();
    wakes.waker(StreamId::from(8)).wake();
    assert_eq!(woken(), 1);
    wakes.watch(&task);
    wakes.waker(StreamId::from(8)).wake();
    assert_eq!(woken(), 2);
    assert_eq!(wakes.take().len(), 3);
    assert!(wakes.is_empty());
}

// ---- datagrams

#[test]
fn datagrams_have_the_quarter_of_their_sessions_id() {
    let (mut server, first) = Server::open();
    let second = server.request(4);
    let now = server.now;
    let not_open = server.host.datagram(second, b"no");
    assert_eq!(not_open, Err(crate::DatagramError::NotOpen));
    server
        .host
        .accept(now, second, Response::default())
        .unwrap();
    server.events();
    assert_eq!(server.host.datagram(first, b"a").unwrap(), b"\x00a"[..]);
    assert_eq!(server.host.datagram(second, b"b").unwrap(), b"\x01b"[..]);
    let datagram = Bytes::from_static(b"\x01back");
    server.host.handle_datagram(now, datagram);
    let payload = Bytes::from_static(b"back");
    let session = second;
    assert_eq!(
        server.events(),
        [Event::DatagramReceived { session, payload }]
    );
}

#[test]
fn more_datagrams_than_anybody_polls_are_dropped_and_counted() {
    let (mut server, _) = Server::open();
    for _ in 0..2000 {
        let datagram = Bytes::from_static(b"\x00!");
        server.host.handle_datagram(server.now, datagram);
    }
    assert_eq!(server.events().len(), 1024);
    assert_eq!(server.host.stats().datagrams_absorbed, 2000 - 1024);
}
