//! A deadline of ours: E50 to E53. The linger is as long as `Deadlines::linger`, 3 s.

use std::time::Duration;

use bytes::Bytes;
use webtransport_session::{
    AnswerError, CloseMessage, CloseReason, Config, ConnectionLost, Deadline, Dialect, Dir, Event,
    Input, Response, SessionId, Side, StreamId,
};

use crate::support::*;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn abort(code: u64) -> Vec<webtransport_session::Output> {
    vec![reset(CONNECT, code), stop_sending(CONNECT, code)]
}

/// The peer's half of the CONNECT stream stays open: it is stopped after the linger (E52).
#[track_caller]
fn lingers(mut rig: Rig, session: SessionId) {
    rig.wait(ms(2_999));
    assert_eq!(rig.outputs(), []);
    rig.wait(ms(1));
    assert_eq!(rig.outputs(), [stop_sending(CONNECT, WT_SESSION_GONE)]);
    rig.is_over(session);
}

// ---- E50: the answer

fn unanswered() -> CloseReason {
    CloseReason::TimedOut(Deadline::Request)
}

#[test]
fn e50_connect_that_nobody_answers_times_out() {
    both_roles(|side| {
        let (mut rig, session) = Rig::requested(side);
        rig.wait(ms(9_999));
        assert_eq!(rig.outputs(), []);
        rig.wait(ms(1));
        rig.ends(session, unanswered(), &abort(H3_REQUEST_CANCELLED));
    });
}

#[test]
fn e50_answer_behind_the_deadline_is_too_late() {
    let (mut rig, session) = Rig::requested(Side::Server);
    rig.wait(ms(10_000));
    rig.drain();
    let late = rig.connection.accept(rig.now, session, Response::default());
    assert_eq!(late, Err(AnswerError::Gone));
    let late = rig
        .connection
        .reject(rig.now, session, http::StatusCode::NOT_FOUND.into());
    assert_eq!(late, Err(AnswerError::Gone));
    assert_eq!(rig.outputs(), []);
    rig.is_over(session);

    let (mut rig, session) = Rig::requested(Side::Client);
    rig.wait(ms(10_000));
    rig.drain();
    rig.feed(CONNECT, &response("200"));
    assert_eq!(rig.outputs(), []);
    rig.is_over(session);
}

#[test]
fn e50_answer_before_the_deadline_stops_the_clock() {
    both_roles(|side| {
        let (mut rig, session) = Rig::requested(side);
        rig.wait(ms(9_999));
        rig.answer(session);
        assert_eq!(rig.connection.poll_timeout(), None);
    });
}

#[test]
fn e50_interim_response_and_body_do_not_stop_the_clock() {
    let (mut rig, session) = Rig::requested(Side::Client);
    rig.wait(ms(9_000));
    rig.feed(CONNECT, &response("103"));
    rig.wait(ms(1_000));
    rig.ends(session, unanswered(), &abort(H3_REQUEST_CANCELLED));

    let (mut rig, session) = Rig::requested(Side::Server);
    rig.wait(ms(9_000));
    rig.feed(CONNECT, &close_frame(1, b"unread"));
    rig.wait(ms(1_000));
    rig.ends(session, unanswered(), &abort(H3_REQUEST_CANCELLED));
}

#[test]
fn e50_parked_streams_are_gone_with_the_request() {
    both_roles(|side| {
        let (mut rig, session) = Rig::requested(side);
        let (bi, uni) = (rig.peer_bidi(0), rig.peer_uni(0));
        rig.peer_opens(bi, session, b"early");
        rig.peer_opens(uni, session, b"early");
        rig.peer_sends_datagram(CONNECT, b"early");
        rig.wait(ms(10_000));
        let mut expected = abort(H3_REQUEST_CANCELLED);
        let mut gone = vec![
            (bi, reset(bi, WT_SESSION_GONE)),
            (bi, stop_sending(bi, WT_SESSION_GONE)),
            (uni, stop_sending(uni, WT_SESSION_GONE)),
        ];
        gone.sort_by_key(|&(stream, _)| stream);
        expected.extend(gone.into_iter().map(|(_, action)| action));
        rig.ends(session, unanswered(), &expected);
    });
}

#[test]
fn e50_half_that_the_server_stopped_is_not_reset_again() {
    // E29
    let (mut rig, session) = Rig::requested(Side::Client);
    rig.peer_stops(CONNECT, 0x10b);
    assert_eq!(rig.outputs(), [reset(CONNECT, 0x10b)]);
    rig.wait(ms(10_000));
    let expected = [stop_sending(CONNECT, H3_REQUEST_CANCELLED)];
    rig.ends(session, unanswered(), &expected);

    let (mut rig, session) = Rig::requested(Side::Client);
    rig.peer_stops(CONNECT, WT_SESSION_GONE);
    assert_eq!(rig.outputs(), []);
    rig.wait(ms(10_000));
    rig.ends(session, unanswered(), &abort(H3_REQUEST_CANCELLED));
}

#[test]
fn e50_request_that_quic_never_took_times_out() {
    let mut rig = Rig::new(Side::Client);
    rig.takes = 0;
    let session = rig.request_session(CONNECT);
    rig.wait(ms(10_000));
    rig.ends(session, unanswered(), &abort(H3_REQUEST_CANCELLED));
}

#[test]
fn e50_clock_of_a_held_request_runs_from_its_arrival() {
    // N13: announced 4 s after it came.
    let mut rig = Rig::before_settings(Side::Server, Config::default());
    rig.feed(CONNECT, &connect_request(rig.token()));
    rig.wait(ms(4_000));
    let settings = peer_settings(Side::Server, Dialect::Draft16);
    rig.feed(rig.peer_control(), &settings);
    let events = rig.events();
    let [Event::Ready(_), Event::SessionRequested { session, .. }] = events[..] else {
        panic!("{events:?}");
    };
    rig.wait(ms(5_999));
    assert_eq!(rig.outputs(), []);
    rig.wait(ms(1));
    rig.ends(session, unanswered(), &abort(H3_REQUEST_CANCELLED));
}

#[test]
fn e50_held_request_that_times_out_has_no_event_and_is_counted() {
    let mut rig = Rig::before_settings(Side::Server, Config::default());
    rig.feed(CONNECT, &connect_request(rig.token()));
    rig.wait(ms(10_000));
    assert_eq!(rig.outputs(), abort(H3_REQUEST_CANCELLED));
    assert_eq!(rig.connection.stats().requests_refused, 1);
    // The SETTINGS come too late for it, and not for others.
    let settings = peer_settings(Side::Server, Dialect::Draft16);
    rig.feed(rig.peer_control(), &settings);
    assert!(matches!(rig.events()[..], [Event::Ready(_)]));
    let other = rig.request_session(4);
    rig.answer(other);
}

#[test]
fn e50_deadline_can_be_none_or_zero() {
    both_roles(|side| {
        let mut config = Config::default();
        config.deadlines.request = None;
        let mut rig = Rig::with(side, config, Dialect::Draft16);
        rig.request_session(CONNECT);
        assert_eq!(rig.connection.poll_timeout(), None);

        let mut config = Config::default();
        config.deadlines.request = Some(Duration::ZERO);
        let mut rig = Rig::with(side, config, Dialect::Draft16);
        let session = rig.request_session(CONNECT);
        assert_eq!(rig.connection.poll_timeout(), Some(rig.now));
        rig.wait(Duration::ZERO);
        rig.ends(session, unanswered(), &abort(H3_REQUEST_CANCELLED));
    });
}

// ---- E51: the peer's silence

const INACTIVITY: Duration = ms(8_000);

fn silent() -> CloseReason {
    CloseReason::TimedOut(Deadline::Inactivity)
}

fn watchful() -> Config {
    let mut config = Config::default();
    config.deadlines.inactivity = Some(INACTIVITY);
    config
}

fn open(side: Side) -> (Rig, SessionId) {
    Rig::open_with(side, watchful(), Dialect::Draft16)
}

#[test]
fn e51_silence_of_the_peer_is_a_clean_close_with_a_reason_of_its_own() {
    both_roles(|side| {
        let (mut rig, session) = open(side);
        let gone = rig.one_stream_of_each_kind(session);
        rig.wait(INACTIVITY - ms(1));
        assert_eq!(rig.outputs(), []);
        rig.wait(ms(1));
        let mut expected = vec![write(CONNECT, &close_frame(0, b""), true)];
        expected.extend(gone);
        rig.closes(session, silent(), &expected);
        // E52
        lingers(rig, session);
    });
}

#[test]
fn e51_code_and_message_are_configured() {
    both_roles(|side| {
        let mut config = watchful();
        config.deadlines.inactivity_close = (77, CloseMessage::from("are you there?"));
        let (mut rig, session) = Rig::open_with(side, config, Dialect::Draft16);
        rig.wait(INACTIVITY);
        let capsule = close_frame(77, b"are you there?");
        rig.ends_after_linger(session, silent(), &[write(CONNECT, &capsule, true)]);
    });
}

#[test]
fn e51_whatever_the_peer_sends_for_the_session_is_a_sign_of_life() {
    type Sign = fn(&mut Rig, SessionId);
    let signs: [(&str, Sign); 9] = [
        ("a datagram", |rig, _| rig.peer_sends_datagram(CONNECT, b"")),
        ("a new stream", |rig, session| {
            rig.peer_opens(rig.peer_uni(5), session, b"");
        }),
        ("stream bytes", |rig, _| rig.feed(rig.peer_bidi(0), b"x")),
        ("stream bytes of ours", |rig, _| rig.feed(ours(rig), b"x")),
        ("FIN of a stream", |rig, _| {
            rig.feed_fin(rig.peer_uni(0), b"")
        }),
        ("RESET of a stream", |rig, _| {
            rig.peer_resets(rig.peer_uni(0), APPLICATION_0);
        }),
        ("a capsule", |rig, _| {
            rig.feed(CONNECT, &data_frame(&tlv(0x78ae, b"")));
        }),
        ("an unknown capsule", |rig, _| {
            rig.feed(CONNECT, &data_frame(&grease(b"x")));
        }),
        ("half a capsule", |rig, _| {
            let frame = close_frame(1, b"message");
            rig.feed(CONNECT, &frame[..frame.len() - 1]);
        }),
    ];
    both_roles(|side| {
        for (condition, sign) in signs {
            let (mut rig, session) = open(side);
            rig.one_stream_of_each_kind(session);
            rig.wait(INACTIVITY - ms(1));
            sign(&mut rig, session);
            assert_eq!(rig.connection.last_activity(session), Some(rig.now));
            rig.wait(INACTIVITY - ms(1));
            let before = rig.events();
            assert!(ended(&before).is_none(), "{condition}: {before:?}");
            rig.wait(ms(1));
            assert_eq!(ended(&rig.events()), Some(silent()), "{condition}");
        }
    });
}

fn ended(events: &[Event]) -> Option<CloseReason> {
    events.iter().find_map(|event| {
        let Event::SessionClosed { reason, .. } = event else {
            return None;
        };
        Some(reason.clone())
    })
}

/// The bidirectional stream that `one_stream_of_each_kind` opened for us.
fn ours(rig: &Rig) -> StreamId {
    StreamId::new(rig.side(), Dir::Bi, 100)
}

#[test]
fn e51_what_we_send_and_what_is_not_the_sessions_is_no_sign_of_life() {
    type Noise = fn(&mut Rig, SessionId);
    let noises: [(&str, Noise); 10] = [
        ("our datagram", |rig, session| {
            let _ = rig.connection.datagram(session).unwrap().encode(b"x");
        }),
        ("our stream bytes", |rig, _| {
            let stream = ours(rig);
            rig.connection.credit(stream).unwrap().spend(1);
        }),
        ("our new stream", |rig, session| {
            rig.we_open(session, Dir::Uni);
        }),
        ("our drain", |rig, session| rig.connection.drain(session)),
        ("QUIC takes bytes", |rig, _| {
            let (stream, len, fin) = (ours(rig), 0, false);
            rig.handle(Input::Written { stream, len, fin });
            rig.handle(Input::StreamWritable { stream });
            rig.handle(Input::StreamsAvailable { dir: Dir::Bi });
        }),
        ("time", |rig, _| rig.handle(Input::Timeout)),
        ("a frame on the control stream", |rig, _| {
            rig.feed(rig.peer_control(), &grease(b"x"));
        }),
        ("a datagram for another session", |rig, _| {
            rig.peer_sends_datagram(96, b"x");
        }),
        ("a stream for another session", |rig, _| {
            rig.peer_opens_for(96, rig.peer_uni(5), b"x");
        }),
        ("bytes of a stream that we stopped", |rig, _| {
            let stream = rig.peer_uni(0);
            rig.connection.stop(stream, 1).unwrap();
            rig.feed(stream, b"x");
        }),
    ];
    both_roles(|side| {
        for (condition, noise) in noises {
            let (mut rig, session) = open(side);
            rig.one_stream_of_each_kind(session);
            rig.wait(INACTIVITY - ms(1));
            noise(&mut rig, session);
            rig.wait(ms(1));
            assert_eq!(ended(&rig.events()), Some(silent()), "{condition}");
        }
    });
}

#[test]
fn e51_clock_starts_when_the_session_opens() {
    both_roles(|side| {
        let mut rig = Rig::with(side, watchful(), Dialect::Draft16);
        let session = rig.request_session(CONNECT);
        rig.wait(ms(9_000));
        rig.answer(session);
        rig.wait(INACTIVITY - ms(1));
        assert_eq!(rig.outputs(), []);
        rig.wait(ms(1));
        let capsule = write(CONNECT, &close_frame(0, b""), true);
        rig.ends_after_linger(session, silent(), &[capsule]);
    });
}

#[test]
fn e51_each_session_has_a_clock_of_its_own() {
    both_roles(|side| {
        let mut rig = Rig::with(side, watchful(), Dialect::Draft02);
        let sessions = [0, 4].map(|stream| {
            let session = rig.request_session(stream);
            rig.answer(session);
            session
        });
        rig.wait(ms(5_000));
        rig.peer_sends_datagram(4, b"alive");
        rig.drain();
        rig.wait(ms(3_000));
        let capsule = write(0, &close_frame(0, b""), true);
        rig.closes(sessions[0], silent(), &[capsule]);
        rig.feed_fin(0, b"");
        rig.wait(ms(5_000));
        let capsule = write(4, &close_frame(0, b""), true);
        rig.closes(sessions[1], silent(), &[capsule]);
    });
}

#[test]
fn e51_clock_stands_while_a_stream_is_paused() {
    both_roles(|side| {
        let (mut rig, session) = open(side);
        let gone = rig.one_stream_of_each_kind(session);
        let [first, second] = [rig.peer_bidi(0), rig.peer_uni(0)];
        rig.wait(ms(7_000));
        rig.connection.pause(first);
        rig.connection.pause(second);
        rig.connection.pause(second); // twice is once
        assert!(!rig.connection.wants(first));
        rig.wait(ms(60_000));
        rig.connection.resume(first);
        rig.wait(ms(60_000));
        assert_eq!(rig.outputs(), [read(first)]);
        rig.connection.resume(second);
        assert_eq!(rig.outputs(), [read(second)]);
        rig.wait(INACTIVITY - ms(1));
        assert_eq!(rig.outputs(), []);
        rig.wait(ms(1));
        let mut expected = vec![write(CONNECT, &close_frame(0, b""), true)];
        expected.extend(gone);
        rig.ends_after_linger(session, silent(), &expected);
    });
}

#[test]
fn e51_paused_stream_that_is_over_holds_nothing_back() {
    both_roles(|side| {
        type End = fn(&mut Rig, StreamId);
        let ends: [(&str, End); 3] = [
            ("FIN", |rig, stream| rig.feed_fin(stream, b"")),
            ("RESET", |rig, stream| {
                rig.peer_resets(stream, APPLICATION_0)
            }),
            ("stopped by us", |rig, stream| {
                rig.connection.stop(stream, 1).unwrap();
            }),
        ];
        for (condition, end) in ends {
            for stream in [|rig: &Rig| rig.peer_uni(0), |rig: &Rig| rig.peer_bidi(0)] {
                let (mut rig, session) = open(side);
                rig.one_stream_of_each_kind(session);
                let stream = stream(&rig);
                rig.connection.pause(stream);
                end(&mut rig, stream);
                rig.wait(INACTIVITY);
                let events = rig.events();
                assert_eq!(ended(&events), Some(silent()), "{condition}: {stream}");
            }
        }
    });
}

#[test]
fn e51_clock_stands_while_undelivered_bytes_hold_reads_back() {
    both_roles(|side| {
        let mut config = watchful();
        config.limits.undelivered_bytes = 1_000;
        let (mut rig, session) = Rig::open_with(side, config, Dialect::Draft16);
        let stream = rig.peer_uni(0);
        rig.peer_opens(stream, session, &[0; 2_000]);
        assert!(!rig.connection.wants(stream));
        rig.wait(ms(60_000));
        // The application comes back: nobody could have heard the peer before.
        let events = rig.events();
        assert!(ended(&events).is_none(), "{events:?}");
        assert!(rig.connection.wants(stream));
        rig.wait(INACTIVITY - ms(1));
        assert_eq!(rig.outputs(), []);
        rig.wait(ms(1));
        assert_eq!(ended(&rig.events()), Some(silent()));
    });
}

#[test]
fn e51_off_by_default() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        assert_eq!(rig.connection.poll_timeout(), None);
        rig.wait(ms(86_400_000));
        assert_eq!(rig.outputs(), []);
        assert_eq!(rig.connection.sessions().next(), Some(session));
    });
}

#[test]
fn e51_does_not_run_during_the_grace_of_e12() {
    both_roles(|side| {
        let mut config = watchful();
        config.deadlines.stop_grace = INACTIVITY * 2;
        let (mut rig, session) = Rig::open_with(side, config, Dialect::Draft16);
        rig.peer_stops(CONNECT, WT_SESSION_GONE);
        rig.drain();
        rig.wait(INACTIVITY * 2 - ms(1));
        assert_eq!(rig.outputs(), []);
        rig.wait(ms(1));
        let reason = aborted_by_stop(WT_SESSION_GONE);
        rig.ends(session, reason, &[stop_sending(CONNECT, WT_SESSION_GONE)]);
    });
}

// ---- E52: the peer's half after the end

fn we_closed(side: Side) -> (Rig, SessionId) {
    let (mut rig, session) = Rig::open(side);
    rig.connection.close(rig.now, session, 7, "done");
    rig.drain();
    (rig, session)
}

#[test]
fn e52_peer_that_does_not_close_its_half_is_stopped_after_the_linger() {
    both_roles(|side| {
        let (mut rig, session) = we_closed(side);
        rig.wait(ms(2_999));
        rig.feed(CONNECT, &data_frame(&grease(b"still talking")));
        assert_eq!(rig.outputs(), []);
        assert!(!rig.connection.is_settled());
        assert!(rig.connection.wants(session.connect_stream()));
        rig.wait(ms(1));
        assert_eq!(rig.outputs(), [stop_sending(CONNECT, WT_SESSION_GONE)]);
        rig.is_over(session);
    });
}

#[test]
fn e52_peer_that_closes_its_half_in_time_is_not_stopped() {
    both_roles(|side| {
        type End = fn(&mut Rig);
        let ends: [(&str, End); 4] = [
            ("FIN", |rig| rig.feed_fin(CONNECT, b"")),
            ("capsule and FIN", |rig| {
                rig.feed_fin(CONNECT, &close_frame(1, b"me too"));
            }),
            ("RESET", |rig| rig.peer_resets(CONNECT, 9)), // E14
            ("FIN inside a capsule", |rig| {
                rig.feed_fin(CONNECT, &data_frame(&[0x68]));
            }),
        ];
        for (condition, end) in ends {
            let (mut rig, session) = we_closed(side);
            rig.wait(ms(2_999));
            end(&mut rig);
            assert_eq!(rig.outputs(), [], "{condition}");
            assert!(rig.connection.is_settled(), "{condition}");
            rig.is_over(session);
        }
    });
}

#[test]
fn e52_our_half_is_reset_only_if_its_last_byte_is_still_with_the_host() {
    both_roles(|side| {
        // Everything but the FIN is with QUIC: that is not the last byte gone.
        for (takes, peer_finishes) in [(0, true), (0, false), (3, true), (3, false)] {
            let (mut rig, session) = Rig::open(side);
            rig.takes = takes;
            rig.connection.close(rig.now, session, 7, "done");
            rig.drain();
            if peer_finishes {
                rig.feed_fin(CONNECT, b"");
            }
            rig.wait(ms(2_999));
            assert_eq!(rig.outputs(), []);
            assert!(!rig.connection.is_settled());
            rig.wait(ms(1));
            let mut expected = vec![];
            if !peer_finishes {
                expected.push(stop_sending(CONNECT, WT_SESSION_GONE));
            }
            expected.push(reset(CONNECT, WT_SESSION_GONE));
            assert_eq!(rig.outputs(), expected);
            rig.is_over(session);
        }
    });
}

#[test]
fn e52_our_half_goes_out_when_quic_takes_bytes_within_the_linger() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        rig.takes = 3;
        rig.connection.close(rig.now, session, 7, "done");
        let capsule = close_frame(7, b"done");
        assert_eq!(rig.outputs()[0], write(CONNECT, &capsule, true));
        rig.feed_fin(CONNECT, b"");
        rig.takes = usize::MAX;
        rig.wait(ms(2_999));
        let stream = session.connect_stream();
        rig.handle(Input::StreamWritable { stream });
        assert_eq!(rig.outputs(), [write(CONNECT, &capsule[3..], true)]);
        rig.is_over(session);
    });
}

#[test]
fn e52_linger_of_a_session_that_the_peer_closed_without_fin() {
    // E02
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        rig.feed(CONNECT, &close_frame(7, b"done"));
        rig.drain();
        lingers(rig, session);
    });
}

#[test]
fn e52_linger_of_zero_waits_for_nobody() {
    both_roles(|side| {
        let mut config = Config::default();
        config.deadlines.linger = Duration::ZERO;
        let (mut rig, session) = Rig::open_with(side, config, Dialect::Draft16);
        rig.connection.close(rig.now, session, 7, "done");
        rig.drain();
        rig.wait(Duration::ZERO);
        assert_eq!(rig.outputs(), [stop_sending(CONNECT, WT_SESSION_GONE)]);
        rig.is_over(session);
    });
}

#[test]
fn e52_late_end_of_the_peers_half_changes_nothing() {
    both_roles(|side| {
        let (mut rig, session) = we_closed(side);
        rig.wait(ms(3_000));
        rig.drain();
        rig.feed_fin(CONNECT, &close_frame(1, b"late"));
        assert_eq!(rig.outputs(), []);
        rig.is_over(session);
    });
}

// ---- E53: a connection without a session

fn idle() -> (ConnectionLost, Vec<webtransport_session::Output>) {
    let lost = ConnectionLost::Local {
        code: Some(H3_NO_ERROR),
    };
    (lost, vec![close_connection(H3_NO_ERROR, "")])
}

#[test]
fn e53_server_closes_a_connection_that_never_had_a_session() {
    // Firefox opens one for each page.
    let mut rig = Rig::new(Side::Server);
    rig.wait(ms(29_999));
    assert_eq!(rig.outputs(), []);
    rig.wait(ms(1));
    let (lost, actions) = idle();
    rig.connection_ends(&[], &lost, &actions, "never a session");

    let mut rig = Rig::before_settings(Side::Server, Config::default());
    rig.wait(ms(30_000));
    let (lost, actions) = idle();
    rig.connection_ends(&[], &lost, &actions, "not even SETTINGS");
}

#[test]
fn e53_server_closes_a_connection_whose_last_session_has_ended() {
    let mut rig = Rig::with(Side::Server, Config::default(), Dialect::Draft02);
    let sessions = [0, 4].map(|stream| rig.request_session(stream));
    rig.answer(sessions[0]);
    rig.wait(ms(9_000));
    rig.feed_fin(0, b"");
    rig.drain();
    rig.wait(ms(1_000)); // the other one times out
    rig.drain();
    rig.wait(ms(29_999));
    assert_eq!(rig.outputs(), []);
    rig.wait(ms(1));
    let (lost, actions) = idle();
    rig.connection_ends(&[], &lost, &actions, "after the last session");
}

#[test]
fn e53_session_stops_the_clock_and_its_end_starts_it_anew() {
    let mut rig = Rig::new(Side::Server);
    rig.wait(ms(29_000));
    let session = rig.open_session();
    rig.wait(ms(3_600_000));
    assert_eq!(rig.outputs(), []);
    rig.feed_fin(CONNECT, b"");
    rig.drain();
    rig.wait(ms(29_000));
    assert_eq!(rig.outputs(), []);
    assert_eq!(session.connect_stream(), StreamId::from(CONNECT));
    let other = rig.request_session(4);
    rig.answer(other);
    rig.wait(ms(3_600_000));
    assert_eq!(rig.outputs(), []);
}

#[test]
fn e53_refused_requests_and_other_traffic_are_no_session() {
    let mut rig = Rig::new(Side::Server);
    for n in 1..=30 {
        rig.feed(rig.peer_control(), &grease(b"x"));
        rig.feed(4 * n, &connect_request("other"));
        rig.peer_sends_datagram(400, b"x");
        rig.drain();
        assert!(!rig.connection.is_closed());
        rig.wait(ms(1_000));
    }
    let (lost, actions) = idle();
    rig.connection_ends(&[], &lost, &actions, "traffic");
}

#[test]
fn e53_does_not_outrun_the_close_of_the_last_session() {
    // The peer is still owed the capsule: CONNECTION_CLOSE would overtake it.
    let mut config = Config::default();
    config.deadlines.idle_connection = Some(Duration::ZERO);
    config.deadlines.linger = ms(3_000);
    let mut rig = Rig::before_start(Side::Server, config, Dialect::Draft16);
    let settings = peer_settings(Side::Server, Dialect::Draft16);
    rig.feed(rig.peer_control(), &settings);
    rig.feed(CONNECT, &connect_request(rig.token()));
    let transport = webtransport_session::Transport::new(webtransport_session::Support::Yes);
    rig.start(transport);
    let session = SessionId::try_from(StreamId::from(CONNECT)).unwrap();
    rig.drain();
    rig.answer(session);
    rig.connection.close(rig.now, session, 7, "done");
    rig.drain();
    rig.wait(ms(2_000));
    assert_eq!(rig.outputs(), []);
    rig.feed_fin(CONNECT, b"");
    rig.wait(Duration::ZERO);
    let (lost, actions) = idle();
    rig.connection_ends(&[], &lost, &actions, "settled");
}

#[test]
fn e53_client_never_closes_an_idle_connection() {
    let mut rig = Rig::new(Side::Client);
    assert_eq!(rig.connection.poll_timeout(), None);
    rig.wait(ms(86_400_000));
    assert_eq!(rig.outputs(), []);
    assert!(!rig.connection.is_closed());
}

#[test]
fn e53_deadline_can_be_none() {
    let mut config = Config::default();
    config.deadlines.idle_connection = None;
    let mut rig = Rig::with(Side::Server, config, Dialect::Draft16);
    assert_eq!(rig.connection.poll_timeout(), None);
    let payload = Bytes::from_static(b"\0");
    rig.handle(Input::DatagramReceived { data: payload });
    rig.wait(ms(86_400_000));
    assert!(!rig.connection.is_closed());
}
