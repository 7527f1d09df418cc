//! `Action::Write` and `Input::Written`: what QUIC does not take is offered again, once it takes bytes;
//! never a second write before the answer; nothing overtakes what is queued.

use webtransport_session::{
    Action, Config, ConnectionLost, Dialect, Dir, Event, Http3Error, Input, Output, Response,
    SendError, SessionId, Side, StreamId,
};

use crate::support::*;

/// A WT_DRAIN_SESSION capsule in its frame.
const DRAIN: &[u8] = &[0x00, 0x05, 0x80, 0x00, 0x78, 0xae, 0x00];

/// A session whose streams QUIC does not write until the test answers.
fn open() -> (Rig, SessionId) {
    Rig::open(Side::Server)
}

fn poll(rig: &mut Rig) -> Option<Output> {
    rig.connection.poll()
}

fn written(rig: &mut Rig, stream: impl Into<StreamId>, len: usize, fin: bool) {
    let stream = stream.into();
    rig.handle(Input::Written { stream, len, fin });
}

fn writable(rig: &mut Rig, stream: impl Into<StreamId>) {
    let stream = stream.into();
    rig.handle(Input::StreamWritable { stream });
}

/// Binds a stream whose header QUIC has not been offered yet.
fn bind(rig: &mut Rig, session: SessionId, dir: Dir, stream: u64) -> StreamId {
    let stream = StreamId::from(stream);
    rig.connection.open(session, dir).unwrap().bind(stream);
    stream
}

#[test]
fn what_quic_does_not_take_is_offered_when_it_takes_bytes_again() {
    let (mut rig, session) = open();
    rig.connection.drain(session);
    assert_eq!(poll(&mut rig), Some(write(CONNECT, DRAIN, false)));
    written(&mut rig, CONNECT, 3, false);
    assert_eq!(poll(&mut rig), None);
    writable(&mut rig, CONNECT);
    assert_eq!(poll(&mut rig), Some(write(CONNECT, &DRAIN[3..], false)));
    written(&mut rig, CONNECT, 0, false);
    assert_eq!(poll(&mut rig), None);
    writable(&mut rig, CONNECT);
    assert_eq!(poll(&mut rig), Some(write(CONNECT, &DRAIN[3..], false)));
    written(&mut rig, CONNECT, 4, false);
    assert_eq!(poll(&mut rig), None);
    writable(&mut rig, CONNECT);
    assert_eq!(poll(&mut rig), None);
}

#[test]
fn no_second_write_comes_before_the_answer() {
    let (mut rig, session) = open();
    rig.connection.drain(session);
    assert_eq!(poll(&mut rig), Some(write(CONNECT, DRAIN, false)));
    rig.connection.close(rig.now, session, 7, "bye");
    writable(&mut rig, CONNECT);
    assert!(matches!(
        poll(&mut rig),
        Some(Output::Event(Event::SessionClosed { .. }))
    ));
    assert_eq!(poll(&mut rig), None);
    written(&mut rig, CONNECT, DRAIN.len(), false);
    let close = write(CONNECT, &close_frame(7, b"bye"), true);
    assert_eq!(poll(&mut rig), Some(close));
}

#[test]
fn capsules_wait_behind_what_is_blocked_and_then_go_in_order() {
    let (mut rig, session) = Rig::requested(Side::Server);
    rig.connection
        .accept(rig.now, session, Response::default())
        .unwrap();
    assert_eq!(poll(&mut rig), Some(write(CONNECT, OK_200, false)));
    written(&mut rig, CONNECT, 1, false);
    rig.connection.drain(session);
    rig.connection.close(rig.now, session, 7, "bye");
    rig.drain();
    writable(&mut rig, CONNECT);
    assert_eq!(poll(&mut rig), Some(write(CONNECT, &OK_200[1..], false)));
    written(&mut rig, CONNECT, 4, false);
    let capsules = [DRAIN, &close_frame(7, b"bye")].concat();
    assert_eq!(poll(&mut rig), Some(write(CONNECT, &capsules, true)));
    written(&mut rig, CONNECT, capsules.len(), true);
    assert_eq!(poll(&mut rig), None);
}

#[test]
fn what_is_queued_between_two_polls_is_one_write() {
    let (mut rig, session) = open();
    rig.connection.drain(session);
    rig.connection.close(rig.now, session, 0, "");
    let both = [DRAIN, &close_frame(0, b"")].concat();
    assert_eq!(poll(&mut rig), Some(write(CONNECT, &both, true)));
}

#[test]
fn a_fin_that_quic_refused_is_offered_alone() {
    let (mut rig, session) = open();
    rig.connection.close(rig.now, session, 0, "");
    let close = close_frame(0, b"");
    assert_eq!(poll(&mut rig), Some(write(CONNECT, &close, true)));
    written(&mut rig, CONNECT, close.len(), false);
    rig.drain();
    writable(&mut rig, CONNECT);
    assert_eq!(poll(&mut rig), Some(write(CONNECT, b"", true)));
    written(&mut rig, CONNECT, 0, false);
    assert_eq!(poll(&mut rig), None);
    writable(&mut rig, CONNECT);
    assert_eq!(poll(&mut rig), Some(write(CONNECT, b"", true)));
    written(&mut rig, CONNECT, 0, true);
    assert_eq!(poll(&mut rig), None);
    // The peer finishes as well: the slot is free.
    rig.feed_fin(CONNECT, b"");
    assert!(rig.connection.is_settled());
}

#[test]
fn a_close_that_is_not_written_keeps_the_connection_unsettled() {
    let (mut rig, session) = open();
    rig.connection.close(rig.now, session, 0, "");
    rig.feed_fin(CONNECT, b"");
    assert!(!rig.connection.is_settled());
    rig.drain();
    assert!(rig.connection.is_settled());
}

#[test]
fn credit_is_blocked_until_the_header_is_written_and_is_told_of() {
    let (mut rig, session) = open();
    for (dir, stream) in [(Dir::Uni, 7), (Dir::Bi, 1)] {
        let stream = bind(&mut rig, session, dir, stream);
        assert_eq!(
            rig.connection.credit(stream).err(),
            Some(SendError::Blocked)
        );
        let header = stream_header(dir, CONNECT);
        assert_eq!(poll(&mut rig), Some(write(stream, &header, false)));
        assert_eq!(
            rig.connection.credit(stream).err(),
            Some(SendError::Blocked)
        );
        written(&mut rig, stream, 1, false);
        assert_eq!(
            rig.connection.credit(stream).err(),
            Some(SendError::Blocked)
        );
        assert_eq!(poll(&mut rig), None);
        writable(&mut rig, stream);
        assert_eq!(poll(&mut rig), Some(write(stream, &header[1..], false)));
        written(&mut rig, stream, header.len() - 1, false);
        let event = Event::StreamWritable { session, stream };
        assert_eq!(poll(&mut rig), Some(Output::Event(event)));
        assert_eq!(poll(&mut rig), None);
        let credit = rig.connection.credit(stream).unwrap();
        assert_eq!(credit.clamp(b"payload"), b"payload");
        credit.spend(7);
    }
}

/// §4.3: "Endpoints MUST NOT send WT_STREAM as a frame type on HTTP/3 streams other than the very
/// first bytes of a request stream."
#[test]
fn a_stream_header_goes_to_no_stream_that_is_something_else() {
    let (mut rig, session) = open();
    let ours = bind(&mut rig, session, Dir::Bi, 5);
    let header = stream_header(Dir::Bi, CONNECT);
    assert_eq!(poll(&mut rig), Some(write(ours, &header, false)));
    written(&mut rig, ours, header.len(), false);
    let theirs = rig.peer_bidi(3);
    rig.peer_opens(theirs, session, b"");
    rig.drain();

    let control = StreamId::new(Side::Server, Dir::Uni, 0);
    let own_uni = StreamId::new(Side::Server, Dir::Uni, 7);
    let never = StreamId::new(Side::Client, Dir::Bi, 9);
    let others = [
        session.connect_stream(),
        control,
        own_uni,
        ours,
        theirs,
        never,
    ];
    for stream in others {
        rig.connection.open(session, Dir::Bi).unwrap().bind(stream);
        assert_eq!(poll(&mut rig), None, "{stream}");
    }
}

#[test]
fn a_header_that_nobody_waited_for_is_not_told_of() {
    let (mut rig, session) = open();
    let stream = bind(&mut rig, session, Dir::Uni, 7);
    let header = stream_header(Dir::Uni, CONNECT);
    assert_eq!(rig.outputs(), [write(stream, &header, false)]);
    rig.connection.credit(stream).unwrap().spend(1);
    writable(&mut rig, stream);
    assert_eq!(poll(&mut rig), None);
}

#[test]
fn a_credit_that_is_not_spent_is_told_of_when_quic_takes_bytes_once() {
    let (mut rig, session) = open();
    let stream = rig.we_open(session, Dir::Uni);
    drop(rig.connection.credit(stream).unwrap());
    rig.connection.credit(stream).unwrap().spend(0);
    assert_eq!(poll(&mut rig), None);
    writable(&mut rig, stream);
    writable(&mut rig, stream);
    let event = Event::StreamWritable { session, stream };
    assert_eq!(poll(&mut rig), Some(Output::Event(event)));
    assert_eq!(poll(&mut rig), None);
}

#[test]
fn a_fin_goes_behind_the_header() {
    let (mut rig, session) = open();
    let stream = bind(&mut rig, session, Dir::Uni, 7);
    rig.connection.finish(stream).unwrap();
    assert!(rig.connection.finish(stream).is_err());
    assert_eq!(
        rig.connection.credit(stream).err(),
        Some(SendError::StreamClosed)
    );
    let header = stream_header(Dir::Uni, CONNECT);
    assert_eq!(poll(&mut rig), Some(write(stream, &header, true)));
    written(&mut rig, stream, 1, false);
    writable(&mut rig, stream);
    assert_eq!(poll(&mut rig), Some(write(stream, &header[1..], true)));
    written(&mut rig, stream, header.len() - 1, false);
    writable(&mut rig, stream);
    assert_eq!(poll(&mut rig), Some(write(stream, b"", true)));
    written(&mut rig, stream, 0, true);
    assert_eq!(poll(&mut rig), None);
    assert!(rig.connection.reset(stream, 0).is_err());
}

#[test]
fn a_fin_of_ours_that_is_queued_behind_an_offered_header_is_a_write_of_its_own() {
    let (mut rig, session) = open();
    let stream = bind(&mut rig, session, Dir::Bi, 1);
    let header = stream_header(Dir::Bi, CONNECT);
    assert_eq!(poll(&mut rig), Some(write(stream, &header, false)));
    rig.connection.finish(stream).unwrap();
    assert_eq!(poll(&mut rig), None);
    written(&mut rig, stream, header.len(), false);
    assert_eq!(poll(&mut rig), Some(write(stream, b"", true)));
}

#[test]
fn a_reset_waits_for_the_header_and_no_longer() {
    let (mut rig, session) = open();
    let stream = bind(&mut rig, session, Dir::Uni, 7);
    rig.connection.reset(stream, 0).unwrap();
    assert!(rig.connection.reset(stream, 0).is_err());
    let header = stream_header(Dir::Uni, CONNECT);
    assert_eq!(poll(&mut rig), Some(write(stream, &header, false)));
    written(&mut rig, stream, 1, false);
    assert_eq!(poll(&mut rig), None);
    writable(&mut rig, stream);
    assert_eq!(poll(&mut rig), Some(write(stream, &header[1..], false)));
    written(&mut rig, stream, 2, false);
    assert_eq!(poll(&mut rig), Some(reset(stream, APPLICATION_0)));
    assert_eq!(poll(&mut rig), None);
}

#[test]
fn a_reset_overtakes_a_fin_that_quic_did_not_take() {
    let (mut rig, session) = open();
    let stream = rig.we_open(session, Dir::Uni);
    rig.connection.finish(stream).unwrap();
    assert_eq!(poll(&mut rig), Some(write(stream, b"", true)));
    written(&mut rig, stream, 0, false);
    rig.connection.reset(stream, 0).unwrap();
    assert_eq!(poll(&mut rig), Some(reset(stream, APPLICATION_0)));
    writable(&mut rig, stream);
    written(&mut rig, stream, 0, true);
    assert_eq!(poll(&mut rig), None);
}

#[test]
fn what_waits_on_a_stream_that_is_reset_is_dropped() {
    let (mut rig, session) = open();
    rig.connection.drain(session);
    assert_eq!(poll(&mut rig), Some(write(CONNECT, DRAIN, false)));
    written(&mut rig, CONNECT, 2, false);
    rig.peer_resets(CONNECT, 7);
    assert_eq!(poll(&mut rig), Some(reset(CONNECT, WT_SESSION_GONE)));
    writable(&mut rig, CONNECT);
    written(&mut rig, CONNECT, 5, false);
    assert!(matches!(
        poll(&mut rig),
        Some(Output::Event(Event::SessionClosed { .. }))
    ));
    assert_eq!(poll(&mut rig), None);
}

#[test]
fn a_write_that_was_not_polled_in_time_is_not_offered() {
    let (mut rig, session) = open();
    rig.connection.drain(session);
    rig.peer_resets(CONNECT, 7);
    assert_eq!(poll(&mut rig), Some(reset(CONNECT, WT_SESSION_GONE)));
}

#[test]
fn answers_that_no_write_asked_for_are_ignored() {
    let (mut rig, session) = open();
    let stream = rig.we_open(session, Dir::Uni);
    for stream in [CONNECT, stream.into(), 2, 3, 99, 1 << 62, u64::MAX] {
        written(&mut rig, stream, 1000, true);
        written(&mut rig, stream, 0, false);
    }
    assert_eq!(poll(&mut rig), None);
    rig.connection.drain(session);
    assert_eq!(rig.outputs(), [write(CONNECT, DRAIN, false)]);
    rig.connection.credit(stream).unwrap().spend(1);
}

#[test]
fn an_answer_that_is_too_large_counts_as_all() {
    let (mut rig, session) = open();
    rig.connection.drain(session);
    assert_eq!(poll(&mut rig), Some(write(CONNECT, DRAIN, false)));
    written(&mut rig, CONNECT, usize::MAX, true);
    rig.connection.close(rig.now, session, 0, "");
    assert_eq!(
        poll(&mut rig),
        Some(write(CONNECT, &close_frame(0, b""), true))
    );
}

#[test]
fn a_fin_that_was_not_offered_is_not_taken() {
    let (mut rig, session) = open();
    let stream = bind(&mut rig, session, Dir::Uni, 7);
    assert!(matches!(
        poll(&mut rig),
        Some(Output::Action(Action::Write { fin: false, .. }))
    ));
    written(&mut rig, stream, 3, true);
    rig.connection.finish(stream).unwrap();
    assert_eq!(poll(&mut rig), Some(write(stream, b"", true)));
}

#[test]
fn streams_do_not_wait_for_each_other() {
    let (mut rig, session) = open();
    rig.connection.drain(session);
    let stream = bind(&mut rig, session, Dir::Uni, 7);
    assert_eq!(poll(&mut rig), Some(write(CONNECT, DRAIN, false)));
    let header = stream_header(Dir::Uni, CONNECT);
    assert_eq!(poll(&mut rig), Some(write(stream, &header, false)));
    written(&mut rig, stream, 3, false);
    rig.connection.credit(stream).unwrap().spend(1);
    written(&mut rig, CONNECT, 0, false);
    writable(&mut rig, stream);
    assert_eq!(poll(&mut rig), None);
    writable(&mut rig, CONNECT);
    assert_eq!(poll(&mut rig), Some(write(CONNECT, DRAIN, false)));
}

#[test]
fn actions_come_before_events_and_alone_for_who_wants_only_them() {
    let (mut rig, session) = open();
    rig.feed(rig.peer_uni(0), &stream_header(Dir::Uni, CONNECT));
    rig.connection.drain(session);
    let action = rig.connection.poll_action();
    assert!(matches!(action, Some(Action::Write { .. })));
    assert_eq!(rig.connection.poll_action(), None);
    rig.connection.close(rig.now, session, 0, "");
    written(&mut rig, CONNECT, DRAIN.len(), false);
    let outputs = rig.outputs();
    let first_event = outputs
        .iter()
        .position(|output| matches!(output, Output::Event(_)));
    let last_action = outputs
        .iter()
        .rposition(|output| matches!(output, Output::Action(_)));
    assert!(last_action < first_event, "{outputs:?}");
    assert!(matches!(
        outputs[first_event.unwrap()..],
        [
            Output::Event(Event::StreamOpened { .. }),
            Output::Event(Event::SessionClosed { .. })
        ]
    ));
}

#[test]
fn protocol_bytes_that_quic_never_takes_are_limited() {
    let mut config = Config::default();
    config.limits.unwritten_bytes = 100;
    let (mut rig, session) = Rig::open_with(Side::Server, config, Dialect::Draft16);
    rig.takes = 0;
    // Not until QUIC refuses: what it was not offered says nothing of it.
    rig.connection.close(rig.now, session, 0, "x".repeat(200));
    assert!(!rig.connection.is_closed());
    let outputs = rig.outputs();
    let code = Http3Error::ExcessiveLoad.code();
    let reason = "H3_EXCESSIVE_LOAD";
    assert!(outputs.contains(&Output::Action(Action::CloseConnection { code, reason })));
    let lost = ConnectionLost::Http3(Http3Error::ExcessiveLoad);
    assert_eq!(
        outputs.last(),
        Some(&Output::Event(Event::ConnectionClosed { reason: lost }))
    );
}
