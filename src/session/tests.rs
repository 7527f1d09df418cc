//! The table of states as text, and layer 1 driven by hand.

use std::{sync::Arc, time::Duration};

use super::state::{Code, Parting, Step, step};
use super::*;
use crate::{CloseReason, CloseVia, ConnectionLost, Support};

// ---- the table

const STATES: [State; 4] = [State::Requested, State::Open, State::Stopped, State::Closed];

/// Every fact, with the words for it.
fn facts(side: Side) -> Vec<(&'static str, Fact)> {
    let message = CloseMessage::default();
    vec![
        ("2xx", Fact::Accepted),
        (
            "2xx behind STOP_SENDING(c)",
            Fact::AcceptedStopped { code: 7 },
        ),
        (
            "another final answer",
            Fact::Rejected {
                by: match side {
                    Side::Client => Endpoint::Peer,
                    Side::Server => Endpoint::Local,
                },
                rejection: Box::new(http::StatusCode::FORBIDDEN.into()),
            },
        ),
        (
            "WT_CLOSE_SESSION",
            Fact::PeerClosed {
                code: 7,
                message: message.clone(),
            },
        ),
        ("FIN", Fact::PeerFinished),
        ("RESET_STREAM(c)", Fact::PeerReset { code: 7 }),
        ("STOP_SENDING(c)", Fact::PeerStopped { code: 7 }),
        ("STOP_SENDING(WT_SESSION_GONE)", Fact::PeerGone),
        ("GOAWAY that covers it", Fact::WentAway),
        ("`close`", Fact::LocallyClosed { code: 7, message }),
        ("a rule broken", Fact::Violated(Violation::Truncated)),
        ("no answer in time", Fact::RequestOverdue),
        ("silence for too long", Fact::Inactive),
        ("the grace for a capsule is over", Fact::GraceOver),
        (
            "the connection is lost, say by idle timeout",
            Fact::Lost(ConnectionLost::IdleTimeout),
        ),
    ]
}

/// The next state, the reason's label, and what goes out on the CONNECT stream.
fn describe(step: Step, fact: Fact) -> Option<[String; 3]> {
    let (next, reason, wire) = match step {
        Step::Ignore => return None,
        Step::NoteStop => (
            "requested",
            "",
            "RESET_STREAM(c), unless c is WT_SESSION_GONE; remembered",
        ),
        Step::Open => ("open", "", ""),
        Step::Hold => ("stopped", "", "RESET_STREAM(WT_SESSION_GONE)"),
        Step::End(verdict, parting) => {
            let wire = match parting {
                Parting::Finish => "FIN",
                Parting::Capsule => "WT_CLOSE_SESSION, FIN",
                Parting::Decline => "FIN, STOP_SENDING",
                Parting::Abort(Code::Cancelled) => "abort(H3_REQUEST_CANCELLED)",
                Parting::Abort(Code::Gone) => "abort(WT_SESSION_GONE)",
                Parting::Abort(Code::Message) => "abort(H3_MESSAGE_ERROR)",
                Parting::Abort(Code::AsStated) => "abort(c)",
                Parting::Silent => "",
            };
            ("closed", fact.into_reason(verdict).label(), wire)
        }
    };
    Some([next, reason, wire].map(String::from))
}

fn table() -> String {
    let mut text = String::from(
        "| in state | what happens | next | reason | on the CONNECT stream |\n|---|---|---|---|---|\n",
    );
    for state in STATES {
        for ((words, fact), (_, at_server)) in
            facts(Side::Client).into_iter().zip(facts(Side::Server))
        {
            let client = describe(step(Side::Client, state, &fact), fact);
            let server = describe(step(Side::Server, state, &at_server), at_server);
            let name = format!("{state:?}").to_lowercase();
            let mut row = |role: &str, outcome: &Option<[String; 3]>| {
                if let Some([next, reason, wire]) = outcome {
                    text.push_str(&format!(
                        "| {name} | {words}{role} | {next} | {reason} | {wire} |\n"
                    ));
                }
            };
            if client == server {
                row("", &client);
            } else {
                row(" (client)", &client);
                row(" (server)", &server);
            }
        }
    }
    text
}

#[test]
fn the_table_in_the_docs_is_the_table_in_the_code() {
    assert_eq!(
        table(),
        include_str!("life.md"),
        "src/session/life.md is generated: it must read\n{}",
        table()
    );
}

#[test]
fn a_closed_session_never_changes() {
    for side in [Side::Client, Side::Server] {
        for (words, fact) in facts(side) {
            assert_eq!(step(side, State::Closed, &fact), Step::Ignore, "{words}");
        }
    }
}

// ---- layer 1 by hand

fn session(side: Side) -> (Session, Instant) {
    session_with(side, Config::default())
}

fn session_with(side: Side, config: Config) -> (Session, Instant) {
    #[expect(clippy::disallowed_methods, reason = "an origin; only offsets matter")]
    let now = Instant::now();
    let id = SessionId::try_from(StreamId::from(4)).unwrap();
    let terms = Terms::new(Dialect::Draft16, Transport::new(Support::Yes));
    (Session::new(now, side, id, terms, Arc::new(config)), now)
}

fn opened(side: Side) -> (Session, Instant) {
    let (mut session, now) = session(side);
    session.open(now);
    assert_eq!(outputs(&mut session), [Output::Event(Event::Opened)]);
    (session, now)
}

fn outputs(session: &mut Session) -> Vec<Output> {
    std::iter::from_fn(|| session.poll()).collect()
}

fn body(data: Bytes, fin: bool) -> Input {
    Input::Body { data, fin }
}

fn closed(reason: CloseReason) -> Output {
    Output::Event(Event::Closed { reason })
}

fn their_stream(index: u64) -> StreamId {
    StreamId::new(Side::Client, Dir::Bi, index)
}

#[test]
fn a_capsule_ends_the_session_and_is_answered_with_a_fin() {
    for side in [Side::Client, Side::Server] {
        let (mut session, now) = opened(side);
        session.handle(now, body(capsule::close(9, "bye"), true));
        let fin = Action::SendBody {
            data: Bytes::new(),
            fin: true,
        };
        let reason = CloseReason::Peer {
            code: 9,
            message: "bye".into(),
            via: CloseVia::Capsule,
        };
        assert_eq!(outputs(&mut session), [Output::Action(fin), closed(reason)]);
        assert!(session.is_drained());
    }
}

#[test]
fn a_close_waits_for_the_peers_half_and_then_lingers_no_longer() {
    let (mut session, now) = opened(Side::Server);
    session.close(now, 3, "kicked");
    let capsule = Action::SendBody {
        data: capsule::close(3, "kicked"),
        fin: true,
    };
    let reason = CloseReason::Local {
        code: 3,
        message: "kicked".into(),
    };
    assert_eq!(
        outputs(&mut session),
        [Output::Action(capsule), closed(reason)]
    );
    assert!(!session.is_drained());
    let linger = session.poll_timeout().unwrap();
    assert_eq!(linger - now, Duration::from_secs(3));
    session.handle(linger, Input::Timeout);
    let stop = Action::StopConnect {
        code: error_code::WT_SESSION_GONE,
    };
    assert_eq!(outputs(&mut session), [Output::Action(stop)]);
    assert!(session.is_drained());
    assert_eq!(session.poll_timeout(), None);
}

#[test]
fn a_parked_stream_is_told_with_the_opening_and_what_became_of_it() {
    let (mut session, now) = session(Side::Server);
    let stream = their_stream(2);
    let (len, fin) = (5, false);
    session.handle(now, Input::StreamOpened { stream });
    session.handle(now, Input::StreamData { stream, len, fin });
    session.handle(
        now,
        Input::StreamReset {
            stream,
            code: error_code::from_application(11),
            final_size: None,
        },
    );
    assert_eq!(outputs(&mut session), []);
    session.open(now);
    assert_eq!(
        outputs(&mut session),
        [
            Output::Event(Event::Opened),
            Output::Event(Event::StreamOpened { stream }),
            Output::Event(Event::StreamReset {
                stream,
                code: Some(11)
            }),
        ]
    );
}

#[test]
fn datagrams_before_the_answer_are_kept_within_the_limit() {
    let mut config = Config::default();
    config.limits.buffered_datagrams = 2;
    let (mut session, now) = session_with(Side::Client, config);
    for payload in ["a", "b", "c"] {
        let payload = Bytes::from_static(payload.as_bytes());
        session.handle(now, Input::DatagramReceived { payload });
    }
    session.open(now);
    let received = |payload: &'static str| {
        let payload = Bytes::from_static(payload.as_bytes());
        Output::Event(Event::DatagramReceived { payload })
    };
    assert_eq!(
        outputs(&mut session),
        [Output::Event(Event::Opened), received("a"), received("b")]
    );
    assert_eq!(session.stats().datagrams_absorbed, 1);
}

#[test]
fn a_refused_open_is_told_when_it_may_be_tried_again_and_only_then() {
    let (mut session, now) = opened(Side::Server);
    let dir = Dir::Uni;
    session.handle(now, Input::StreamsAvailable { dir });
    assert_eq!(outputs(&mut session), []);
    drop(session.open_stream(dir).unwrap());
    session.handle(now, Input::StreamsAvailable { dir });
    session.handle(now, Input::StreamsAvailable { dir });
    assert_eq!(
        outputs(&mut session),
        [Output::Event(Event::StreamsAvailable { dir })]
    );
}

#[test]
fn an_unspent_credit_is_told_when_it_may_be_tried_again_and_only_then() {
    let (mut session, now) = opened(Side::Server);
    let stream = StreamId::new(Side::Server, Dir::Uni, 4);
    let header = session.open_stream(Dir::Uni).unwrap().bind(stream);
    assert_eq!(header.as_ref(), [0x40, 0x54, 4]);
    session.credit(stream).unwrap().spend(10);
    session.handle(now, Input::StreamWritable { stream });
    assert_eq!(outputs(&mut session), []);
    session.credit(stream).unwrap().spend(0);
    session.handle(now, Input::StreamWritable { stream });
    assert_eq!(
        outputs(&mut session),
        [Output::Event(Event::StreamWritable { stream })]
    );
}

#[test]
fn inactivity_does_not_run_while_reads_are_held_back() {
    let mut config = Config::default();
    config.deadlines.inactivity = Some(Duration::from_secs(5));
    let (mut session, now) = session_with(Side::Server, config);
    session.open(now);
    let at = |seconds| now + Duration::from_secs(seconds);
    assert_eq!(session.poll_timeout(), Some(at(5)));
    session.pause();
    assert_eq!(session.poll_timeout(), None);
    session.resume(at(60));
    assert_eq!(session.poll_timeout(), Some(at(65)));
    assert_eq!(session.last_activity(), now);
}

#[test]
fn a_caller_whose_clock_goes_back_does_no_harm() {
    let (mut session, now) = opened(Side::Server);
    let later = now + Duration::from_secs(9);
    session.handle(
        later,
        Input::DatagramReceived {
            payload: Bytes::new(),
        },
    );
    session.handle(
        now,
        Input::DatagramReceived {
            payload: Bytes::new(),
        },
    );
    assert_eq!(session.last_activity(), later);
}

#[test]
fn a_stream_that_this_side_could_not_have_opened_is_not_added() {
    let (mut session, _) = opened(Side::Server);
    for wrong in [
        StreamId::new(Side::Client, Dir::Uni, 1),
        StreamId::new(Side::Server, Dir::Bi, 1),
    ] {
        let _header = session.open_stream(Dir::Uni).unwrap().bind(wrong);
        assert!(session.credit(wrong).is_err(), "{wrong:?}");
    }
    // One that is bound already is the same stream still.
    let ours = StreamId::new(Side::Server, Dir::Bi, 1);
    let _header = session.open_stream(Dir::Bi).unwrap().bind(ours);
    session.finish(ours).unwrap();
    let _header = session.open_stream(Dir::Bi).unwrap().bind(ours);
    assert!(session.credit(ours).is_err());
}

#[test]
fn streams_of_ours_that_quic_tells_of_are_not_the_peers() {
    let (mut session, now) = opened(Side::Server);
    for dir in [Dir::Bi, Dir::Uni] {
        let stream = StreamId::new(Side::Server, dir, 0);
        session.handle(now, Input::StreamOpened { stream });
    }
    assert_eq!(outputs(&mut session), []);
    // Nor is one that was told already.
    let stream = their_stream(2);
    session.handle(now, Input::StreamOpened { stream });
    session.handle(now, Input::StreamOpened { stream });
    let expected = [Output::Event(Event::StreamOpened { stream })];
    assert_eq!(outputs(&mut session), expected);
}

#[test]
fn nothing_is_sent_on_a_stream_that_waits_for_the_session() {
    let (mut session, now) = session(Side::Server);
    let stream = their_stream(2);
    session.handle(now, Input::StreamOpened { stream });
    assert_eq!(session.credit(stream).err(), Some(SendError::StreamClosed));
    session.open(now);
    assert!(session.credit(stream).is_ok());
}
