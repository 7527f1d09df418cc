use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;

use super::*;
use crate::{Config, ConnectionLost, Event, SendError, Support, script::Script};

fn session() -> SessionId {
    SessionId::try_from(StreamId::from(0)).unwrap()
}

/// One of each.
fn steps() -> Vec<Step> {
    let (session, stream) = (session(), StreamId::from(4));
    let mut request = Request::new("https://example.org/a?b=c".parse().unwrap());
    request
        .headers
        .append("x", http::HeaderValue::from_static("y"));
    vec![
        Step::Start {
            transport: Transport::new(Support::Yes),
            remembered: None,
        },
        Step::ProtocolStream { bound: 3.into() },
        Step::Input(Input::StreamData {
            stream,
            data: Bytes::from_static(b"\x00\xff"),
            fin: true,
        }),
        Step::Input(Input::ConnectionClosed {
            reason: ConnectionLost::Local { code: Some(1) },
        }),
        Step::Poll { times: 3 },
        Step::PollAction { times: 1 },
        Step::Connect {
            request: Box::new(request.clone()),
            bound: Some(0.into()),
        },
        Step::Connect {
            request: Box::new(request),
            bound: None,
        },
        Step::Open {
            session,
            dir: Dir::Bi,
            bound: Some(stream),
        },
        Step::Open {
            session,
            dir: Dir::Uni,
            bound: None,
        },
        Step::Credit {
            stream,
            spent: Some(12),
        },
        Step::Credit {
            stream,
            spent: None,
        },
        Step::Accept {
            session,
            response: Box::new(Response::default().protocol("p".try_into().unwrap())),
        },
        Step::Reject {
            session,
            rejection: Box::new(StatusCode::NOT_FOUND.into()),
        },
        Step::Drain { session },
        Step::Close {
            session,
            code: 7,
            message: "bye\n".into(),
        },
        Step::GoAway,
        Step::Shutdown {
            code: 8,
            message: "closing time".into(),
        },
        Step::Finish { stream },
        Step::Reset { stream, code: 1 },
        Step::Stop { stream, code: 2 },
        Step::Pause { stream },
        Step::Resume { stream },
    ]
}

#[test]
fn every_step_is_stored_in_a_line_of_its_own_and_read_back() {
    let mut stored = String::new();
    for (at, step) in (0u64..).zip(steps()) {
        let record = Record::new(Duration::from_nanos(at), step);
        let line = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
        stored += &format!("{line}\n");
    }
    insta::assert_snapshot!(stored, @r#"
    {"at":0,"step":{"Start":{"transport":{"datagrams":"Yes","reset_stream_at":"Unknown","peer_reset_stream_at":"Unknown","stream_receive_window":1250000,"early_data_accepted":false}}}}
    {"at":1,"step":{"ProtocolStream":{"bound":3}}}
    {"at":2,"step":{"Input":{"StreamData":{"stream":4,"data":"00ff","fin":true}}}}
    {"at":3,"step":{"Input":{"ConnectionClosed":{"reason":{"Local":{"code":1}}}}}}
    {"at":4,"step":{"Poll":{"times":3}}}
    {"at":5,"step":{"PollAction":{"times":1}}}
    {"at":6,"step":{"Connect":{"request":{"uri":"https://example.org/a?b=c","origin":null,"protocols":[],"protocol_required":false,"headers":[["x","79"]],"dialect":null},"bound":0}}}
    {"at":7,"step":{"Connect":{"request":{"uri":"https://example.org/a?b=c","origin":null,"protocols":[],"protocol_required":false,"headers":[["x","79"]],"dialect":null},"bound":null}}}
    {"at":8,"step":{"Open":{"session":0,"dir":"Bi","bound":4}}}
    {"at":9,"step":{"Open":{"session":0,"dir":"Uni","bound":null}}}
    {"at":10,"step":{"Credit":{"stream":4,"spent":12}}}
    {"at":11,"step":{"Credit":{"stream":4,"spent":null}}}
    {"at":12,"step":{"Accept":{"session":0,"response":{"protocol":"p","headers":[]}}}}
    {"at":13,"step":{"Reject":{"session":0,"rejection":{"status":404,"headers":[]}}}}
    {"at":14,"step":{"Drain":{"session":0}}}
    {"at":15,"step":{"Close":{"session":0,"code":7,"message":"bye\n"}}}
    {"at":16,"step":"GoAway"}
    {"at":17,"step":{"Shutdown":{"code":8,"message":"closing time"}}}
    {"at":18,"step":{"Finish":{"stream":4}}}
    {"at":19,"step":{"Reset":{"stream":4,"code":1}}}
    {"at":20,"step":{"Stop":{"stream":4,"code":2}}}
    {"at":21,"step":{"Pause":{"stream":4}}}
    {"at":22,"step":{"Resume":{"stream":4}}}
    "#);
}

#[test]
fn every_command_has_a_line_in_the_transcript_and_polls_have_none() {
    let mut script = Script::default();
    for step in steps() {
        script.step(Duration::ZERO, crate::Side::Client, &step);
    }
    let lines = script.to_string().replace("    0.000 ms client ", "");
    insta::assert_snapshot!(lines, @r#"
    -- start: datagrams Yes
    -- protocol stream 3
    <- StreamData 4: 2 bytes 00ff, FIN
    <- ConnectionClosed: closed by us with code 0x1
    -- connect 0: https://example.org/a?b=c
    -- connect: https://example.org/a?b=c, but not bound
    -- open 0/4
    -- open 0: Uni, but not bound
    -- credit 4: 12 bytes spent
    -- credit 4: not spent
    -- accept 0: "p"
    -- reject 0: 404 Not Found
    -- drain 0
    -- close 0: 7 "bye\n"
    -- go_away
    -- shutdown: 8 "closing time"
    -- finish 4
    -- reset 4: 1
    -- stop 4: 2
    -- pause 4
    -- resume 4
    "#);
}

#[test]
fn what_no_step_is_is_refused() {
    for stored in [
        r#"{"at":0,"step":{"Walk":{}}}"#,
        r#"{"at":-1,"step":"GoAway"}"#,
        r#"{"at":0.5,"step":"GoAway"}"#,
        r#"{"at":0,"step":"GoAway","more":1}"#,
        r#"{"at":0,"step":{"Drain":{"session":1}}}"#,
        r#"{"at":0,"step":{"Drain":{"session":0,"more":1}}}"#,
        r#"{"step":"GoAway"}"#,
    ] {
        assert!(serde_json::from_str::<Record>(stored).is_err(), "{stored}");
    }
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "an origin")]
    Instant::now()
}

/// A server that is connected, and recorded.
fn server() -> Connection {
    let mut server = Connection::server(Arc::new(Config::default()));
    server.set_recording(true);
    server
}

#[test]
fn polls_are_counted_and_those_that_find_nothing_are_not() {
    let (mut server, now) = (server(), now());
    assert_eq!(server.poll(), None);
    assert_eq!(server.poll_action(), None);
    assert_eq!(server.take_trace(), []);

    server.start(now, Transport::new(Support::Yes));
    server.protocol_stream().unwrap().bind(3.into());
    let reason = ConnectionLost::IdleTimeout;
    assert!(matches!(server.poll(), Some(Output::Action(_))));
    assert_eq!(server.poll(), None);
    server.handle(now, Input::ConnectionClosed { reason });
    assert_eq!(server.poll_action(), None);
    assert!(matches!(
        server.poll(),
        Some(Output::Event(Event::ConnectionClosed { .. }))
    ));
    let steps: Vec<_> = server
        .take_trace()
        .into_iter()
        .map(|record| record.step)
        .collect();
    assert_eq!(steps.len(), 5, "{steps:?}");
    assert_eq!(steps[2], Step::Poll { times: 1 });
    assert_eq!(steps[4], Step::Poll { times: 1 });
    assert_eq!(server.take_trace(), []);
}

#[test]
fn a_run_of_polls_is_one_record_and_gives_all_it_gave() {
    let (mut server, now) = (server(), now());
    server.start(now, Transport::new(Support::Yes));
    server.protocol_stream().unwrap().bind(3.into());
    for dir in 0..3u64 {
        // Streams of a kind that nobody knows are each stopped.
        let stream = StreamId::from(2 + 4 * dir);
        let data = Bytes::from_static(b"\x21");
        let fin = false;
        server.handle(now, Input::StreamData { stream, data, fin });
    }
    let polled: Vec<_> = std::iter::from_fn(|| server.poll()).collect();
    assert_eq!(polled.len(), 4);
    let trace = server.take_trace();
    assert_eq!(trace.last().unwrap().step, Step::Poll { times: 4 });

    let mut again = Connection::server(Arc::new(Config::default()));
    let mut given = Vec::new();
    for record in trace {
        given.extend(record.step.apply(now + record.at, &mut again));
    }
    assert_eq!(given, polled);
}

#[test]
fn endless_polls_end() {
    let mut server = server();
    let (step, now) = (Step::Poll { times: u64::MAX }, now());
    assert_eq!(step.apply(now, &mut server), []);
    let step = Step::PollAction { times: u64::MAX };
    assert_eq!(step.apply(now, &mut server), []);
}

#[test]
fn nothing_is_recorded_while_recording_is_off_and_what_was_is_kept() {
    let (mut server, now) = (server(), now());
    server.handle(now, Input::Timeout);
    server.set_recording(false);
    server.handle(now, Input::Timeout);
    assert_eq!(
        server.credit(4.into()).unwrap_err(),
        SendError::StreamClosed
    );
    server.go_away();
    server.set_recording(true);
    server.handle(now + Duration::from_millis(5), Input::Timeout);
    let expected = [
        Record::new(Duration::ZERO, Step::Input(Input::Timeout)),
        Record::new(Duration::ZERO, Step::Missed),
        Record::new(Duration::from_millis(5), Step::Input(Input::Timeout)),
    ];
    assert_eq!(server.take_trace(), expected);
}

#[test]
fn time_never_goes_back_in_a_trace_either() {
    let (mut server, now) = (server(), now());
    let later = now + Duration::from_secs(1);
    server.drain(session());
    server.handle(now, Input::Timeout);
    server.handle(later, Input::Timeout);
    server.handle(now, Input::Timeout);
    server.pause(4.into());
    let times: Vec<_> = server
        .take_trace()
        .iter()
        .map(|record| record.at.as_millis())
        .collect();
    assert_eq!(times, [0, 0, 1000, 1000, 1000]);
}

#[test]
fn errors_are_steps_too() {
    let (mut server, now) = (server(), now());
    let request = Request::new("https://a/".parse().unwrap());
    assert!(server.connect(now, &request).is_err());
    assert!(server.open(session(), Dir::Bi).is_err());
    assert!(server.credit(5.into()).is_err());
    assert!(server.accept(now, session(), Response::default()).is_err());
    assert!(server.finish(5.into()).is_err());
    let expected = [
        Step::Connect {
            request: Box::new(request),
            bound: None,
        },
        Step::Open {
            session: session(),
            dir: Dir::Bi,
            bound: None,
        },
        Step::Credit {
            stream: 5.into(),
            spent: None,
        },
        Step::Accept {
            session: session(),
            response: Box::default(),
        },
        Step::Finish { stream: 5.into() },
    ];
    let steps: Vec<_> = server
        .take_trace()
        .into_iter()
        .map(|record| record.step)
        .collect();
    assert_eq!(steps, expected);
}

#[test]
fn a_recorder_shows_no_payload() {
    let (mut server, now) = (server(), now());
    let data = Bytes::from_static(b"\0secret");
    server.handle(now, Input::DatagramReceived { data });
    let shown = format!("{:?}", server.recorder());
    assert_eq!(shown, "Recorder { is_on: true, records: 1, .. }");
}

#[test]
fn a_record_is_as_small_as_is_said() {
    assert!(size_of::<Record>() <= 100, "{}", size_of::<Record>());
}
