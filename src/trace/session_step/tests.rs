use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::StatusCode;

use super::*;
use crate::{
    Config, ConnectionLost, Dialect, OpenError, SendError, SessionId, Side, StreamClosed, Support,
    Transport,
    script::Script,
    session::{Action, Event, Terms},
    trace::{Record, SessionHeader},
};

/// One of each.
fn steps() -> Vec<SessionStep> {
    let stream = StreamId::from(4);
    let inputs = [
        Input::Body {
            data: Bytes::from_static(b"\x00\xff"),
            fin: true,
        },
        Input::ConnectReset { code: 0x10c },
        Input::ConnectStopped { code: 0x10c },
        Input::StreamOpened { stream },
        Input::StreamData {
            stream,
            len: 5,
            fin: true,
        },
        Input::StreamReset {
            stream,
            code: 1,
            final_size: None,
        },
        Input::StreamStopped { stream, code: 2 },
        Input::StreamWritable { stream },
        Input::StreamsAvailable { dir: Dir::Uni },
        Input::DatagramReceived {
            payload: Bytes::from_static(b"x"),
        },
        Input::GoAway { id: 8 },
        Input::ConnectionClosed {
            reason: ConnectionLost::IdleTimeout,
        },
        Input::Timeout,
    ];
    let commands = [
        SessionStep::Missed,
        SessionStep::Open,
        SessionStep::Reject {
            by: Endpoint::Peer,
            rejection: Box::new(StatusCode::NOT_FOUND.into()),
        },
        SessionStep::Fail {
            violation: Violation::MalformedResponse,
        },
        SessionStep::Poll { times: 3 },
        SessionStep::OpenStream {
            dir: Dir::Bi,
            bound: Some(stream),
        },
        SessionStep::OpenStream {
            dir: Dir::Uni,
            bound: None,
        },
        SessionStep::Credit {
            stream,
            spent: Some(12),
        },
        SessionStep::Credit {
            stream,
            spent: None,
        },
        SessionStep::Consumed { len: 7 },
        SessionStep::Finish { stream },
        SessionStep::Reset { stream, code: 1 },
        SessionStep::Stop { stream, code: 2 },
        SessionStep::Drain,
        SessionStep::Close {
            code: 7,
            message: "bye\n".into(),
        },
        SessionStep::Pause,
        SessionStep::Resume,
    ];
    let inputs = inputs.into_iter().map(SessionStep::Input);
    inputs.chain(commands).collect()
}

#[test]
fn every_step_is_stored_in_a_line_of_its_own_and_read_back() {
    let mut stored = String::new();
    for (at, step) in (0u64..).zip(steps()) {
        let record = Record::new(Duration::from_nanos(at), step);
        let line = serde_json::to_string(&record).unwrap();
        let read: Record<SessionStep> = serde_json::from_str(&line).unwrap();
        assert_eq!(read, record);
        stored += &format!("{line}\n");
    }
    insta::assert_snapshot!(stored, @r#"
    {"at":0,"step":{"Input":{"Body":{"data":"00ff","fin":true}}}}
    {"at":1,"step":{"Input":{"ConnectReset":{"code":268}}}}
    {"at":2,"step":{"Input":{"ConnectStopped":{"code":268}}}}
    {"at":3,"step":{"Input":{"StreamOpened":{"stream":4}}}}
    {"at":4,"step":{"Input":{"StreamData":{"stream":4,"len":5,"fin":true}}}}
    {"at":5,"step":{"Input":{"StreamReset":{"stream":4,"code":1,"final_size":null}}}}
    {"at":6,"step":{"Input":{"StreamStopped":{"stream":4,"code":2}}}}
    {"at":7,"step":{"Input":{"StreamWritable":{"stream":4}}}}
    {"at":8,"step":{"Input":{"StreamsAvailable":{"dir":"Uni"}}}}
    {"at":9,"step":{"Input":{"DatagramReceived":{"payload":"78"}}}}
    {"at":10,"step":{"Input":{"GoAway":{"id":8}}}}
    {"at":11,"step":{"Input":{"ConnectionClosed":{"reason":"IdleTimeout"}}}}
    {"at":12,"step":{"Input":"Timeout"}}
    {"at":13,"step":"Missed"}
    {"at":14,"step":"Open"}
    {"at":15,"step":{"Reject":{"by":"Peer","rejection":{"status":404,"headers":[]}}}}
    {"at":16,"step":{"Fail":{"violation":"MalformedResponse"}}}
    {"at":17,"step":{"Poll":{"times":3}}}
    {"at":18,"step":{"OpenStream":{"dir":"Bi","bound":4}}}
    {"at":19,"step":{"OpenStream":{"dir":"Uni","bound":null}}}
    {"at":20,"step":{"Credit":{"stream":4,"spent":12}}}
    {"at":21,"step":{"Credit":{"stream":4,"spent":null}}}
    {"at":22,"step":{"Consumed":{"len":7}}}
    {"at":23,"step":{"Finish":{"stream":4}}}
    {"at":24,"step":{"Reset":{"stream":4,"code":1}}}
    {"at":25,"step":{"Stop":{"stream":4,"code":2}}}
    {"at":26,"step":"Drain"}
    {"at":27,"step":{"Close":{"code":7,"message":"bye\n"}}}
    {"at":28,"step":"Pause"}
    {"at":29,"step":"Resume"}
    "#);
}

#[test]
fn every_call_has_a_line_in_the_transcript_and_polls_have_none() {
    let mut script = Script::default();
    for step in steps() {
        script.session_step(Duration::ZERO, Side::Client, &step);
    }
    let lines = script.to_string().replace("    0.000 ms client ", "");
    insta::assert_snapshot!(lines, @r#"
    <- Body: 2 bytes 00ff, FIN
    <- ConnectReset: 0x10c
    <- ConnectStopped: 0x10c
    <- StreamOpened 4
    <- StreamData 4: 5 bytes, FIN
    <- StreamReset 4: 0x1
    <- StreamStopped 4: 0x2
    <- StreamWritable 4
    <- StreamsAvailable Uni
    <- DatagramReceived: 1 byte 78
    <- GoAway: 8
    <- ConnectionClosed: QUIC idle timeout
    <- Timeout
    -- what came before was not recorded
    -- open
    -- reject: 404 Not Found by Peer
    -- fail: malformed response
    -- open_stream 4
    -- open_stream: Uni, but not bound
    -- credit 4: 12 bytes spent
    -- credit 4: not spent
    -- consumed: 7 bytes
    -- finish 4
    -- reset 4: 1
    -- stop 4: 2
    -- drain
    -- close: 7 "bye\n"
    -- pause
    -- resume
    "#);
}

#[test]
fn what_no_step_is_is_refused() {
    for stored in [
        r#"{"at":0,"step":"GoAway"}"#,
        r#"{"at":0,"step":{"Drain":{"session":0}}}"#,
        r#"{"at":0,"step":{"Fail":{"violation":"Rude"}}}"#,
        r#"{"at":0,"step":"Drain","more":1}"#,
    ] {
        let read = serde_json::from_str::<Record<SessionStep>>(stored);
        assert!(read.is_err(), "{stored}");
    }
}

#[expect(clippy::disallowed_methods, reason = "an origin")]
fn now() -> Instant {
    Instant::now()
}

fn session(now: Instant) -> Session {
    let id = SessionId::try_from(StreamId::from(0)).unwrap();
    let terms = Terms::new(Dialect::Draft16, Transport::new(Support::Yes));
    let header = SessionHeader::new(Side::Server, id, terms, Config::default());
    let config = Arc::new(header.config);
    Session::new(now, header.side, id, header.terms, config)
}

fn taken(session: &mut Session) -> Vec<SessionStep> {
    let records = session.take_trace();
    records.into_iter().map(|record| record.step).collect()
}

#[test]
fn polls_are_counted_in_one_record_and_those_that_find_nothing_are_not() {
    let now = now();
    let mut session = session(now);
    session.set_recording(true);
    assert_eq!(session.poll(), None);
    assert_eq!(session.take_trace(), []);

    session.open(now);
    session.drain();
    let sent = session.poll();
    assert!(matches!(
        sent,
        Some(Output::Action(Action::SendBody { .. }))
    ));
    assert_eq!(session.poll(), Some(Output::Event(Event::Opened)));
    assert_eq!(session.poll(), None);
    let expected = [
        SessionStep::Open,
        SessionStep::Drain,
        SessionStep::Poll { times: 2 },
    ];
    assert_eq!(taken(&mut session), expected);
}

#[test]
fn errors_and_dropped_permits_are_steps_too() {
    let now = now();
    let mut session = session(now);
    session.set_recording(true);
    let refused = session.open_stream(Dir::Bi).map(drop);
    assert_eq!(refused.unwrap_err(), OpenError::NotOpen);
    let refused = session.credit(4.into()).map(drop);
    assert_eq!(refused.unwrap_err(), SendError::StreamClosed);
    assert_eq!(session.finish(4.into()), Err(StreamClosed));
    session.open(now);
    drop(session.open_stream(Dir::Uni).unwrap());
    let _header = session.open_stream(Dir::Uni).unwrap().bind(3.into());
    session.credit(3.into()).unwrap().spend(0);
    session.credit(3.into()).unwrap().spend(2);
    let open = |dir, bound| SessionStep::OpenStream { dir, bound };
    let credit = |stream: u64, spent| SessionStep::Credit {
        stream: stream.into(),
        spent,
    };
    let expected = [
        open(Dir::Bi, None),
        credit(4, None),
        SessionStep::Finish { stream: 4.into() },
        SessionStep::Open,
        open(Dir::Uni, None),
        open(Dir::Uni, Some(3.into())),
        credit(3, None),
        credit(3, Some(2)),
    ];
    assert_eq!(taken(&mut session), expected);
}

#[test]
fn times_count_from_when_recording_was_turned_on() {
    let now = now();
    let mut session = session(now);
    session.set_recording(false);
    assert_eq!(session.take_trace(), []);
    session.set_recording(true);
    session.handle(now + Duration::from_millis(5), Input::Timeout);
    session.set_recording(false);
    session.handle(now + Duration::from_millis(6), Input::Timeout);
    session.set_recording(true);
    session.handle(now, Input::Timeout);
    let timeout = SessionStep::Input(Input::Timeout);
    let expected = [(5, timeout.clone()), (6, SessionStep::Missed), (6, timeout)];
    let expected = expected.map(|(at, step)| Record::new(Duration::from_millis(at), step));
    assert_eq!(session.take_trace(), expected);
}

/// Whatever it was, and also where the session still waits for its answer.
#[test]
fn a_recording_that_begins_behind_any_call_says_so() {
    let calls: [fn(&mut Session, Instant); 9] = [
        |session, now| session.open(now),
        |session, now| session.handle(now, Input::StreamOpened { stream: 2.into() }),
        |session, now| session.handle(now, Input::Timeout),
        |session, _| session.drain(),
        |session, _| session.pause(),
        |session, _| session.consumed(1),
        |session, _| drop(session.open_stream(Dir::Bi)),
        |session, _| drop(session.credit(4.into())),
        |session, now| session.close(now, 0, ""),
    ];
    for (n, call) in calls.into_iter().enumerate() {
        let now = now();
        let mut session = session(now);
        call(&mut session, now);
        session.set_recording(true);
        // Again, which changes nothing.
        session.set_recording(true);
        assert_eq!(taken(&mut session), [SessionStep::Missed], "call {n}");
    }
}

#[test]
fn what_changes_nothing_is_not_missed() {
    let mut session = session(now());
    assert_eq!(session.poll(), None);
    assert!(session.datagram().is_err());
    assert!(!session.is_closed());
    session.set_recording(false);
    session.set_recording(true);
    assert_eq!(session.take_trace(), []);
}

#[test]
fn endless_polls_end() {
    let now = now();
    let step = SessionStep::Poll { times: u64::MAX };
    assert_eq!(step.apply(now, &mut session(now)), []);
}

#[test]
fn a_record_is_as_small_as_is_said() {
    let size = size_of::<Record<SessionStep>>();
    assert!(size <= 100, "{size}");
}
