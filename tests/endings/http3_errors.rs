//! The peer breaks HTTP/3: every condition of E46's table, each with its code.
//!
//! Each comes once in one piece and once byte by byte, to a connection whose session has a live
//! stream of each kind.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use webtransport_session::{
    Action, CloseMessage, CloseReason, Config, ConnectError, ConnectionLost, Dialect, Dir, Event,
    Http3Error, Input, Output, Rejection, SessionId, Side, StreamId,
};

use crate::support::{
    setting::{DATAGRAM, DATAGRAM_DRAFT04, ENABLE_CONNECT_PROTOCOL, ENABLED_02, ENABLED_16},
    *,
};

const GREASE: u64 = 0x21;
const DATA: u64 = 0x00;
const HEADERS: u64 = 0x01;
const CANCEL_PUSH: u64 = 0x03;
const SETTINGS: u64 = 0x04;
const PUSH_PROMISE: u64 = 0x05;
const GOAWAY: u64 = 0x07;
const MAX_PUSH_ID: u64 = 0x0d;
const WT_STREAM: u64 = 0x41;
const PRIORITY_UPDATES: [u64; 2] = [0xf0700, 0xf0701];
const OF_HTTP2: [u64; 4] = [0x02, 0x06, 0x08, 0x09];

/// What each error is on the wire: the codes of RFC 9114 §8.1, RFC 9204 §8.3 and RFC 9297 §5.2.
fn on_the_wire(error: Http3Error) -> Output {
    let (code, name) = match error {
        Http3Error::MissingSettings => (0x10a, "H3_MISSING_SETTINGS"),
        Http3Error::FrameUnexpected => (0x105, "H3_FRAME_UNEXPECTED"),
        Http3Error::Settings => (0x109, "H3_SETTINGS_ERROR"),
        Http3Error::Frame => (0x106, "H3_FRAME_ERROR"),
        Http3Error::ClosedCriticalStream => (0x104, "H3_CLOSED_CRITICAL_STREAM"),
        Http3Error::StreamCreation => (0x103, "H3_STREAM_CREATION_ERROR"),
        Http3Error::Id => (0x108, "H3_ID_ERROR"),
        Http3Error::Datagram => (0x33, "H3_DATAGRAM_ERROR"),
        Http3Error::QpackDecompression => (0x200, "QPACK_DECOMPRESSION_FAILED"),
        Http3Error::QpackEncoderStream => (0x201, "QPACK_ENCODER_STREAM_ERROR"),
        Http3Error::QpackDecoderStream => (0x202, "QPACK_DECODER_STREAM_ERROR"),
        Http3Error::ExcessiveLoad => (0x107, "H3_EXCESSIVE_LOAD"),
        Http3Error::General | _ => panic!("{error} is not in the table"),
    };
    close_connection(code, name)
}

// ---- where it happens

#[derive(Clone, Copy, Debug)]
enum Scene {
    /// One open session with live streams.
    Open(Side),
    /// One session that waits for its answer.
    Requested(Side),
    /// Before the peer's SETTINGS; at a server with a CONNECT that is not announced.
    BeforeSettings(Side),
    /// A client whose server cannot carry sessions.
    Unsupported,
}
use Scene::{BeforeSettings, Open, Requested, Unsupported};

impl Scene {
    /// A connection, and the sessions that must end with it.
    fn set(self) -> (Rig, Vec<SessionId>) {
        match self {
            Open(side) => {
                let (mut rig, session) = Rig::open(side);
                rig.one_stream_of_each_kind(session);
                (rig, vec![session])
            }
            Requested(side) => {
                let (rig, session) = Rig::requested(side);
                (rig, vec![session])
            }
            BeforeSettings(side) => {
                let mut rig = Rig::before_settings(side, Config::default());
                if side == Side::Server {
                    rig.feed(CONNECT, &connect_request(rig.token()));
                    assert_eq!(rig.outputs(), []);
                }
                (rig, vec![])
            }
            Unsupported => {
                let config = speaking(Dialect::Draft02);
                let mut rig = Rig::before_settings(Side::Client, config);
                let theirs = peer_settings(Side::Client, Dialect::Draft07);
                rig.feed(rig.peer_control(), &theirs);
                assert!(matches!(rig.events()[..], [Event::Unsupported(_)]));
                (rig, vec![])
            }
        }
    }
}

/// A stream of the client's that has no use yet.
const FRESH: u64 = 32;
/// A unidirectional stream of the peer that has no use yet.
fn fresh_uni(rig: &Rig) -> StreamId {
    rig.peer_uni(8)
}

/// `act` on the scene is this error and nothing else.
#[track_caller]
fn breaks(error: Http3Error, condition: &str, scene: Scene, act: impl Fn(&mut Rig)) {
    for chunk_len in [usize::MAX, 1] {
        let (mut rig, sessions) = scene.set();
        rig.chunk_len = chunk_len;
        act(&mut rig);
        let lost = ConnectionLost::Http3(error);
        rig.connection_ends(&sessions, &lost, &[on_the_wire(error)], condition);
    }
}

/// These bytes on the peer's control stream, as its first.
#[track_caller]
fn breaks_as_first(error: Http3Error, side: Side, condition: &str, bytes: &[u8]) {
    let condition = format!("{side:?}: {condition}");
    breaks(error, &condition, BeforeSettings(side), |rig| {
        rig.feed(rig.peer_control(), &[&[0x00], bytes].concat())
    });
}

/// These bytes on the peer's control stream, behind its SETTINGS.
#[track_caller]
fn breaks_on_control(error: Http3Error, side: Side, condition: &str, bytes: &[u8]) {
    let condition = format!("{side:?}: {condition}");
    breaks(error, &condition, Open(side), |rig| {
        rig.feed(rig.peer_control(), bytes)
    });
}

/// These bytes on the CONNECT stream of an open session.
#[track_caller]
fn breaks_on_connect(error: Http3Error, side: Side, condition: &str, bytes: &[u8]) {
    let condition = format!("{side:?}: {condition}");
    breaks(error, &condition, Open(side), |rig| {
        rig.feed(CONNECT, bytes);
    });
}

/// These bytes where HEADERS are due: a fresh stream at a server, an unanswered CONNECT at a
/// client.
#[track_caller]
fn breaks_as_message(error: Http3Error, side: Side, condition: &str, bytes: &[u8]) {
    breaks_as_whole_message(error, side, condition, bytes, false);
}

#[track_caller]
fn breaks_as_whole_message(
    error: Http3Error,
    side: Side,
    condition: &str,
    bytes: &[u8],
    fin: bool,
) {
    let condition = format!("{side:?}: {condition}");
    match side {
        Side::Client => breaks(error, &condition, Requested(side), |rig| {
            rig.feed_maybe_fin(CONNECT, bytes, fin);
        }),
        Side::Server => breaks(error, &condition, Open(side), |rig| {
            rig.feed_maybe_fin(FRESH, bytes, fin);
        }),
    }
}

fn frame(kind: u64) -> Vec<u8> {
    tlv(kind, &[0])
}

// ---- H3_MISSING_SETTINGS

#[test]
fn e46_first_frame_on_the_control_stream_is_not_settings() {
    both_roles(|side| {
        let kinds = [
            DATA,
            HEADERS,
            CANCEL_PUSH,
            PUSH_PROMISE,
            GOAWAY,
            MAX_PUSH_ID,
            GREASE,
            WT_STREAM,
        ];
        for kind in kinds.into_iter().chain(PRIORITY_UPDATES).chain(OF_HTTP2) {
            let condition = format!("first frame {kind:#x}");
            breaks_as_first(Http3Error::MissingSettings, side, &condition, &frame(kind));
        }
    });
}

#[test]
fn e46_settings_that_never_come_are_no_error() {
    let mut rig = Rig::before_settings(Side::Client, Config::default());
    rig.feed(rig.peer_control(), &[0x00]);
    rig.wait(Duration::from_secs(3600));
    assert_eq!(rig.outputs(), []);
    let request = request();
    let refused = rig.connection.connect(rig.now, &request);
    assert_eq!(refused.err(), Some(ConnectError::NotReady));

    let mut config = Config::default();
    config.deadlines.idle_connection = None;
    let mut rig = Rig::before_settings(Side::Server, config);
    rig.feed(CONNECT, &connect_request(rig.token()));
    rig.wait(Duration::from_millis(9_999));
    assert_eq!(rig.outputs(), []);
    // E50: the clock runs from the request's arrival.
    rig.wait(Duration::from_millis(1));
    let expected = [
        reset(CONNECT, H3_REQUEST_CANCELLED),
        stop_sending(CONNECT, H3_REQUEST_CANCELLED),
    ];
    assert_eq!(rig.outputs(), expected);
    assert_eq!(rig.connection.stats().requests_refused, 1);
    rig.wait(Duration::from_secs(3600));
    assert_eq!(rig.outputs(), []);
    assert!(!rig.connection.is_closed());
}

// ---- H3_FRAME_UNEXPECTED

#[test]
fn e46_frame_that_does_not_belong_on_the_control_stream() {
    both_roles(|side| {
        let kinds = [DATA, HEADERS, PUSH_PROMISE];
        for kind in kinds.into_iter().chain(OF_HTTP2) {
            let condition = format!("{kind:#x} on the control stream");
            breaks_on_control(Http3Error::FrameUnexpected, side, &condition, &frame(kind));
        }
        breaks_on_control(
            Http3Error::FrameUnexpected,
            side,
            "second SETTINGS",
            &settings(&[(DATAGRAM, 1)]),
        );
        breaks_on_control(
            Http3Error::FrameUnexpected,
            side,
            "second SETTINGS, empty",
            &settings(&[]),
        );
    });
}

#[test]
fn e46_frame_that_only_a_client_sends_reaches_a_client() {
    for kind in PRIORITY_UPDATES.into_iter().chain([MAX_PUSH_ID]) {
        let condition = format!("{kind:#x} at a client");
        breaks_on_control(
            Http3Error::FrameUnexpected,
            Side::Client,
            &condition,
            &frame(kind),
        );
    }
}

#[test]
fn e46_priority_of_something_that_is_no_request() {
    // RFC 9218 §7.2: "If a server receives a PRIORITY_UPDATE (type=0xF0700) for a stream ID that is
    // not a request stream, this MUST be treated as a connection error of type H3_ID_ERROR."
    for id in [1, 2, 3, 7, (1 << 62) - 1] {
        let condition = format!("priority of stream {id}");
        let bytes = tlv(0xf0700, &[varint(id), b"u=1".to_vec()].concat());
        breaks_on_control(Http3Error::Id, Side::Server, &condition, &bytes);
        let bytes = tlv(0xf0700, &[varint(id), vec![b' '; 20_000]].concat());
        let condition = format!("{condition}, long");
        breaks_on_control(Http3Error::Id, Side::Server, &condition, &bytes);
    }
    // "…with a push ID that is greater than the maximum push ID or that has not yet been promised,
    // this MUST be treated as a connection error of type H3_ID_ERROR."
    for id in [0, 4, 1 << 20] {
        let condition = format!("priority of push {id}");
        let bytes = tlv(0xf0701, &[varint(id), b"u=1".to_vec()].concat());
        let bytes = [tlv(MAX_PUSH_ID, &[8]), bytes].concat();
        breaks_on_control(Http3Error::Id, Side::Server, &condition, &bytes);
    }
    for kind in PRIORITY_UPDATES {
        for payload in [&b""[..], &[0x40], &[0xc0, 0, 0]] {
            let condition = format!("{kind:#x} that ends in its id");
            let bytes = tlv(kind, payload);
            breaks_on_control(Http3Error::Frame, Side::Server, &condition, &bytes);
        }
    }
}

#[test]
fn e46_frame_that_does_not_belong_on_a_request_stream() {
    both_roles(|side| {
        let control_only = [CANCEL_PUSH, SETTINGS, GOAWAY, MAX_PUSH_ID];
        for kind in control_only
            .into_iter()
            .chain(PRIORITY_UPDATES)
            .chain(OF_HTTP2)
        {
            let condition = format!("{kind:#x} on the CONNECT stream");
            breaks_on_connect(Http3Error::FrameUnexpected, side, &condition, &frame(kind));
            let condition = format!("{kind:#x} before HEADERS");
            breaks_as_message(Http3Error::FrameUnexpected, side, &condition, &frame(kind));
        }
    });
}

#[test]
fn e46_data_before_headers() {
    both_roles(|side| {
        let error = Http3Error::FrameUnexpected;
        breaks_as_message(error, side, "DATA first", &data_frame(b"x"));
        breaks_as_message(error, side, "empty DATA first", &data_frame(b""));
        let behind = [tlv(GREASE, b"x"), data_frame(b"x")].concat();
        breaks_as_message(error, side, "DATA behind GREASE", &behind);
    });
    let behind = [response("103"), data_frame(b"x")].concat();
    breaks_as_message(
        Http3Error::FrameUnexpected,
        Side::Client,
        "DATA behind 1xx",
        &behind,
    );
}

#[test]
fn e46_second_headers() {
    let trailers = headers(&[("x", "y")]);
    both_roles(|side| {
        // E05
        breaks_on_connect(Http3Error::FrameUnexpected, side, "trailers", &trailers);
    });
    let before_answer = |scene: fn(Side) -> Scene, condition: &str| {
        breaks(
            Http3Error::FrameUnexpected,
            condition,
            scene(Side::Server),
            |rig| rig.feed(CONNECT, &trailers),
        );
    };
    before_answer(Requested, "trailers before the answer");
    before_answer(BeforeSettings, "trailers before the SETTINGS");
}

#[test]
fn e46_push_promise_at_a_server() {
    let error = Http3Error::FrameUnexpected;
    let promise = tlv(PUSH_PROMISE, &[0, 0, 0]);
    breaks_on_connect(error, Side::Server, "PUSH_PROMISE", &promise);
    breaks_as_message(error, Side::Server, "PUSH_PROMISE first", &promise);
}

// ---- H3_SETTINGS_ERROR

#[test]
fn e46_setting_that_may_not_be() {
    both_roles(|side| {
        let mut wrong: Vec<(String, Vec<(u64, u64)>)> = vec![
            (
                "a known setting twice".into(),
                vec![(DATAGRAM, 1), (DATAGRAM, 1)],
            ),
            (
                "an unknown setting twice".into(),
                vec![(GREASE, 1), (DATAGRAM, 1), (GREASE, 2)],
            ),
        ];
        for id in [0x00, 0x02, 0x03, 0x04, 0x05] {
            for value in [0, 1] {
                wrong.push((format!("setting {id:#x} = {value}"), vec![(id, value)]));
            }
        }
        for id in [
            ENABLE_CONNECT_PROTOCOL,
            DATAGRAM,
            DATAGRAM_DRAFT04,
            ENABLED_02,
        ] {
            for value in [2, (1 << 62) - 1] {
                wrong.push((format!("setting {id:#x} = {value}"), vec![(id, value)]));
            }
        }
        if side == Side::Client {
            wrong.push(("0x2c7cf000 = 2".into(), vec![(ENABLED_16, 2)]));
        }
        for (condition, entries) in wrong {
            let bytes = settings(&entries);
            breaks_as_first(Http3Error::Settings, side, &condition, &bytes);
        }
    });
}

#[test]
fn e46_wt_enabled_above_one_is_not_offered_at_a_server() {
    let mut rig = Rig::before_settings(Side::Server, Config::default());
    let bytes = settings(&[(DATAGRAM, 1), (ENABLED_16, 2)]);
    rig.feed(rig.peer_control(), &[&[0x00], &bytes[..]].concat());
    let events = rig.events();
    assert!(
        matches!(events[..], [Event::Ready(negotiated)] if negotiated.dialect.is_none()),
        "{events:?}"
    );
}

// ---- H3_FRAME_ERROR

#[test]
fn e46_frame_payload_longer_or_shorter_than_its_fields() {
    both_roles(|side| {
        for (condition, payload) in [
            ("SETTINGS: identifier alone", &[0x33][..]),
            ("SETTINGS: half a value", &[0x33, 0x40]),
            ("SETTINGS: half an identifier", &[0x33, 0x01, 0x80]),
        ] {
            let bytes = tlv(SETTINGS, payload);
            breaks_as_first(Http3Error::Frame, side, condition, &bytes);
        }
        let kinds = match side {
            Side::Client => vec![GOAWAY, CANCEL_PUSH],
            Side::Server => vec![GOAWAY, CANCEL_PUSH, MAX_PUSH_ID],
        };
        for kind in kinds {
            for (what, payload) in [
                ("empty", &[][..]),
                ("half a varint", &[0x40]),
                ("a byte behind it", &[0, 0]),
                ("longer than any varint", &[0; 9]),
            ] {
                let condition = format!("{kind:#x}: {what}");
                let bytes = tlv(kind, payload);
                breaks_on_control(Http3Error::Frame, side, &condition, &bytes);
            }
        }
    });
}

#[test]
fn e46_fin_inside_a_frame() {
    let error = Http3Error::Frame;
    both_roles(|side| {
        for frame in [
            close_frame(1, b"message"),
            tlv(GREASE, b"grease"),
            tlv(0x1234_5678, b"unknown"),
        ] {
            for cut in 1..frame.len() {
                let condition = format!("{side:?}: FIN behind {:?}", &frame[..cut]);
                breaks(error, &condition, Open(side), |rig| {
                    rig.feed_fin(CONNECT, &frame[..cut]);
                });
            }
        }
        let message = match side {
            Side::Client => response("200"),
            Side::Server => connect_request("webtransport-h3"),
        };
        for cut in 1..message.len() {
            let condition = format!("FIN behind {cut} bytes of HEADERS");
            breaks_as_whole_message(error, side, &condition, &message[..cut], true);
        }
    });
}

#[test]
fn e46_fin_inside_a_frame_before_the_answer() {
    let part = &data_frame(b"body")[..3];
    for (scene, condition) in [
        (Requested as fn(Side) -> Scene, "unanswered"),
        (BeforeSettings, "before the SETTINGS"),
    ] {
        breaks(Http3Error::Frame, condition, scene(Side::Server), |rig| {
            rig.feed_fin(CONNECT, part);
        });
    }
}

#[test]
fn e46_wt_stream_signal_that_is_not_the_first_of_its_senders_stream() {
    // §4.3: "Endpoints MUST NOT send WT_STREAM as a frame type on HTTP/3 streams other than the
    // very first bytes of a request stream."
    let error = Http3Error::Frame;
    let signal = stream_header(Dir::Bi, 0);
    both_roles(|side| {
        breaks_on_control(error, side, "0x41 on the control stream", &signal);
        breaks_on_connect(error, side, "0x41 on the CONNECT stream", &signal);
    });
    breaks_as_message(error, Side::Client, "0x41 for an answer", &signal);
    let behind = [connect_request("webtransport-h3"), signal.clone()].concat();
    breaks(
        error,
        "0x41 behind a CONNECT that waits for the SETTINGS",
        BeforeSettings(Side::Server),
        |rig| rig.feed(FRESH, &behind),
    );
    let behind = [tlv(GREASE, b""), signal].concat();
    breaks_as_message(error, Side::Server, "0x41 behind GREASE", &behind);
}

// ---- H3_CLOSED_CRITICAL_STREAM

#[test]
fn e46_end_of_a_critical_stream_of_the_peer() {
    let error = Http3Error::ClosedCriticalStream;
    both_roles(|side| {
        let scene = Open(side);
        breaks(error, "FIN on the control stream", scene, |rig| {
            rig.feed_fin(rig.peer_control(), b"");
        });
        breaks(error, "FIN behind a frame", scene, |rig| {
            rig.feed_fin(rig.peer_control(), &tlv(GREASE, b"x"));
        });
        breaks(error, "FIN inside a frame", scene, |rig| {
            rig.feed_fin(rig.peer_control(), &[0x21, 0x05, 0x00]);
        });
        breaks(error, "RESET on the control stream", scene, |rig| {
            rig.peer_resets(rig.peer_control(), 0);
        });
        breaks(
            error,
            "FIN behind the control stream's type",
            BeforeSettings(side),
            |rig| rig.feed_fin(rig.peer_control(), &[0x00]),
        );
        for kind in [0x02, 0x03] {
            let condition = format!("FIN behind type {kind}");
            breaks(error, &condition, scene, |rig| {
                rig.feed_fin(fresh_uni(rig), &[kind]);
            });
            let condition = format!("FIN on stream of type {kind}");
            breaks(error, &condition, scene, |rig| {
                rig.feed(fresh_uni(rig), &[kind]);
                rig.feed_fin(fresh_uni(rig), b"");
            });
            let condition = format!("RESET on stream of type {kind}");
            breaks(error, &condition, scene, |rig| {
                rig.feed(fresh_uni(rig), &[kind]);
                rig.peer_resets(fresh_uni(rig), 0x100);
            });
        }
    });
}

#[test]
fn e46_stop_sending_on_our_control_stream() {
    both_roles(|side| {
        let ours = StreamId::new(side, Dir::Uni, 0);
        let error = Http3Error::ClosedCriticalStream;
        breaks(error, "STOP_SENDING", Open(side), |rig| {
            rig.peer_stops(ours, 0x100);
        });
    });
}

// ---- H3_STREAM_CREATION_ERROR

#[test]
fn e46_second_critical_stream_of_a_kind() {
    both_roles(|side| {
        let error = Http3Error::StreamCreation;
        let second = [&[0x00][..], &settings(&[])].concat();
        breaks(error, "second control stream", Open(side), |rig| {
            rig.feed(fresh_uni(rig), &second);
        });
        for kind in [0x02, 0x03] {
            let condition = format!("second stream of type {kind}");
            breaks(error, &condition, Open(side), |rig| {
                rig.feed(rig.peer_uni(4), &[kind]);
                rig.feed(rig.peer_uni(5), &[kind]);
            });
        }
    });
}

#[test]
fn e46_push_stream_at_a_server() {
    let error = Http3Error::StreamCreation;
    breaks(error, "push stream", Open(Side::Server), |rig| {
        rig.feed(fresh_uni(rig), &[0x01, 0x00]);
    });
}

#[test]
fn e46_bidirectional_stream_of_a_server_that_is_not_a_sessions() {
    let error = Http3Error::StreamCreation;
    let first = [
        ("HEADERS", response("200")),
        ("DATA", data_frame(b"x")),
        ("GREASE", tlv(GREASE, b"x")),
        ("a unidirectional type", stream_header(Dir::Uni, 0)),
    ];
    for (condition, bytes) in &first {
        for scene in [Open, BeforeSettings] {
            breaks(error, condition, scene(Side::Client), |rig| {
                rig.feed(rig.peer_bidi(8), bytes);
            });
        }
    }
}

#[test]
fn e46_bidirectional_stream_of_a_server_without_webtransport() {
    breaks(Http3Error::StreamCreation, "0x41", Unsupported, |rig| {
        rig.peer_opens_for(CONNECT, rig.peer_bidi(0), b"");
    });
}

// ---- H3_ID_ERROR

#[test]
fn e46_push_at_a_client() {
    let error = Http3Error::Id;
    let promise = tlv(PUSH_PROMISE, &[0, 0, 0]);
    breaks(error, "push stream", Open(Side::Client), |rig| {
        rig.feed(fresh_uni(rig), &[0x01, 0x00]);
    });
    breaks_on_connect(error, Side::Client, "PUSH_PROMISE", &promise);
    breaks_as_message(error, Side::Client, "PUSH_PROMISE first", &promise);
}

#[test]
fn e46_cancel_push_of_what_was_never_promised() {
    both_roles(|side| {
        let cancel = tlv(CANCEL_PUSH, &[0]);
        breaks_on_control(Http3Error::Id, side, "CANCEL_PUSH", &cancel);
    });
}

#[test]
fn e46_goaway_that_rises() {
    both_roles(|side| {
        breaks(Http3Error::Id, "rising GOAWAY", Open(side), |rig| {
            rig.feed(rig.peer_control(), &tlv(GOAWAY, &varint(8)));
            rig.drain();
            rig.feed(rig.peer_control(), &tlv(GOAWAY, &varint(8)));
            rig.feed(rig.peer_control(), &tlv(GOAWAY, &varint(4)));
            assert_eq!(rig.outputs(), []);
            rig.feed(rig.peer_control(), &tlv(GOAWAY, &varint(8)));
        });
    });
}

#[test]
fn e46_goaway_with_the_id_of_no_request() {
    for id in [1, 2, 3, (1 << 62) - 1] {
        let condition = format!("GOAWAY {id}");
        let bytes = tlv(GOAWAY, &varint(id));
        breaks_on_control(Http3Error::Id, Side::Client, &condition, &bytes);
    }
}

#[test]
fn e46_max_push_id_that_falls() {
    let bytes = [tlv(MAX_PUSH_ID, &[5]), tlv(MAX_PUSH_ID, &[4])].concat();
    breaks_on_control(Http3Error::Id, Side::Server, "MAX_PUSH_ID", &bytes);
}

#[test]
fn e46_session_id_that_no_request_can_have() {
    both_roles(|side| {
        for id in [1, 2, 3, 5, (1 << 62) - 1] {
            for stream in [|rig: &Rig| rig.peer_bidi(8), |rig: &Rig| rig.peer_uni(8)] {
                let condition = format!("session id {id}");
                breaks(Http3Error::Id, &condition, Open(side), |rig| {
                    rig.peer_opens_for(id, stream(rig), b"payload");
                });
            }
        }
    });
}

// ---- H3_DATAGRAM_ERROR

#[test]
fn e46_datagram_without_a_session_id() {
    let mut too_large = varint(1 << 60);
    too_large.extend_from_slice(b"payload");
    both_roles(|side| {
        for (condition, bytes) in [
            ("empty", &[][..]),
            ("half a quarter id", &[0x40]),
            ("seven eighths of one", &[0xc0, 0, 0, 0, 0, 0, 0]),
            ("above 2^60-1", &too_large),
            ("the largest varint", &[0xff; 8]),
        ] {
            for scene in [Open, BeforeSettings] {
                breaks(Http3Error::Datagram, condition, scene(side), |rig| {
                    let data = Bytes::copy_from_slice(bytes);
                    rig.handle(Input::DatagramReceived { data });
                });
            }
        }
    });
}

// ---- QPACK

#[test]
fn e46_field_section_that_cannot_be_decoded() {
    both_roles(|side| {
        let sections: &[(&str, &[u8])] = &[
            ("empty", &[]),
            ("without Base", &[0]),
            ("Required Insert Count 1", &[1, 0, 0xd9]),
            ("Required Insert Count in two bytes", &[0xff, 0, 0, 0xd9]),
            ("Base below zero", &[0, 0x80, 0xd9]),
            ("static index 99", &[0, 0, 0xff, 36]),
            ("static name 99", &[0, 0, 0x5f, 84, 0]),
            ("dynamic index", &[0, 0, 0x80]),
            ("post-base index", &[0, 0, 0x10]),
            ("dynamic name", &[0, 0, 0x40, 0]),
            ("post-base name", &[0, 0, 0x00, 0]),
            ("Huffman padding of zeros", &[0, 0, 0x51, 0x81, 0x00]),
            ("Huffman padding of a byte", &[0, 0, 0x51, 0x81, 0xff]),
            ("Huffman EOS", &[0, 0, 0x51, 0x84, 255, 255, 255, 255]),
            ("cut inside an index", &[0, 0, 0xff]),
            ("cut inside a name", &[0, 0, 0x27, 5, b'a']),
            ("cut before a value", &[0, 0, 0x51]),
            ("cut inside a value", &[0, 0, 0x51, 5, b'a']),
            (
                "an index without end",
                &[
                    0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 127,
                ],
            ),
            ("behind a malformed line", &[0, 0, 0x21, b'A', 0, 0x80]),
        ];
        for (condition, section) in sections {
            let error = Http3Error::QpackDecompression;
            breaks_as_message(error, side, condition, &tlv(HEADERS, section));
        }
    });
}

#[test]
fn e46_instruction_on_the_encoder_stream_that_needs_a_table() {
    both_roles(|side| {
        for (condition, bytes) in [
            ("Set Dynamic Table Capacity 1", &[0x21][..]),
            ("Set Dynamic Table Capacity 4096", &[0x3f, 0xe1, 0x1f]),
            ("Insert with Name Reference", &[0xc1, 0x01, b'a']),
            ("Insert with Literal Name", &[0x41, b'a', 0x01, b'a']),
            ("Duplicate", &[0x00]),
            ("Capacity 0, then an insert", &[0x20, 0xc1, 0x01, b'a']),
        ] {
            let error = Http3Error::QpackEncoderStream;
            breaks(error, condition, Open(side), |rig| {
                rig.feed(fresh_uni(rig), &[&[0x02], bytes].concat());
            });
        }
    });
}

#[test]
fn e46_instruction_on_the_decoder_stream_about_what_was_never_inserted() {
    both_roles(|side| {
        for (condition, bytes) in [
            ("Section Acknowledgment", &[0x80][..]),
            ("Section Acknowledgment of stream 4", &[0x84]),
            ("Insert Count Increment 1", &[0x01]),
            ("Insert Count Increment 0", &[0x00]),
            ("a cancellation, then one", &[0x7f, 0x80, 0x01, 0x80]),
        ] {
            let error = Http3Error::QpackDecoderStream;
            breaks(error, condition, Open(side), |rig| {
                rig.feed(fresh_uni(rig), &[&[0x03], bytes].concat());
            });
        }
    });
}

#[test]
fn e46_instructions_that_a_table_of_size_zero_allows_are_no_error() {
    both_roles(|side| {
        for chunk_len in [usize::MAX, 1] {
            let (mut rig, _) = Rig::open(side);
            rig.chunk_len = chunk_len;
            rig.feed(rig.peer_uni(4), &[0x02, 0x20, 0x20]);
            let cancellations = [0x03, 0x40, 0x44, 0x7f, 0x80, 0x80, 0x01, 0x40];
            rig.feed(rig.peer_uni(5), &cancellations);
            assert_eq!(rig.outputs(), []);
            assert!(!rig.connection.is_closed());
        }
    });
}

// ---- H3_EXCESSIVE_LOAD

#[test]
fn e46_more_settings_than_we_read() {
    both_roles(|side| {
        let entries: Vec<_> = (0..65).map(|n| (0x1_0000 + n, 1)).collect();
        let error = Http3Error::ExcessiveLoad;
        breaks_as_first(error, side, "65 settings", &settings(&entries));
    });
}

#[test]
fn e46_control_frame_longer_than_we_keep() {
    both_roles(|side| {
        let mut header = varint(SETTINGS);
        header.extend(varint(16 * 1024 + 1));
        breaks_as_first(Http3Error::ExcessiveLoad, side, "SETTINGS", &header);
    });
}

/// What a peer may do 1024 times in a second, and not once more. Its answers may be actions; the
/// close is the last of them.
#[track_caller]
fn floods(condition: &str, scene: Scene, act: impl Fn(&mut Rig, u64)) {
    let (mut rig, sessions) = scene.set();
    for n in 0..1024 {
        act(&mut rig, n);
    }
    rig.drain();
    assert!(!rig.connection.is_closed(), "{condition}: too early");
    rig.wait(Duration::from_secs(1));
    for n in 1024..2048 {
        act(&mut rig, n);
    }
    rig.drain();
    assert!(!rig.connection.is_closed(), "{condition}: a second later");
    act(&mut rig, 2048);
    let mut outputs = rig.outputs();
    let error = Http3Error::ExcessiveLoad;
    let last = outputs
        .iter()
        .rposition(|output| matches!(output, Output::Action(_)));
    let tail = outputs.split_off(last.unwrap());
    let mut expected = vec![on_the_wire(error)];
    for session in sessions {
        let reason = CloseReason::ConnectionLost(ConnectionLost::Http3(error));
        expected.push(closed(session, reason));
    }
    expected.push(connection_closed(&ConnectionLost::Http3(error)));
    assert_eq!(tail, expected, "{condition}");
    rig.is_inert(condition);
}

#[test]
fn e46_flood_of_frames_on_the_control_stream() {
    both_roles(|side| {
        floods("GREASE", Open(side), |rig, _| {
            rig.feed(rig.peer_control(), &tlv(GREASE, b""));
        });
        floods("GOAWAY", Open(side), |rig, _| {
            rig.feed(rig.peer_control(), &tlv(GOAWAY, &[0]));
        });
    });
    floods("MAX_PUSH_ID", Open(Side::Server), |rig, _| {
        rig.feed(rig.peer_control(), &tlv(MAX_PUSH_ID, &[0]));
    });
    floods("PRIORITY_UPDATE", Open(Side::Server), |rig, _| {
        rig.feed(rig.peer_control(), &tlv(PRIORITY_UPDATES[0], b"\x00u=1"));
    });
}

#[test]
fn e46_flood_of_frames_that_mean_nothing_on_the_connect_stream() {
    both_roles(|side| {
        for scene in [Open, Requested] {
            floods("GREASE", scene(side), |rig, _| {
                rig.feed(CONNECT, &tlv(GREASE, b"x"));
            });
        }
        floods("empty DATA", Open(side), |rig, _| {
            rig.feed(CONNECT, &data_frame(b""));
        });
    });
    floods(
        "GREASE before the SETTINGS",
        BeforeSettings(Side::Server),
        |rig, _| {
            rig.feed(CONNECT, &tlv(GREASE, b"x"));
        },
    );
}

#[test]
fn e46_flood_of_interim_responses() {
    floods("1xx", Requested(Side::Client), |rig, _| {
        rig.feed(CONNECT, &response("103"));
    });
}

#[test]
fn e46_flood_of_qpack_instructions() {
    both_roles(|side| {
        for (kind, instruction) in [(0x02, 0x20), (0x03, 0x40)] {
            let condition = format!("stream type {kind}");
            floods(&condition, Open(side), |rig, n| {
                if n == 0 {
                    rig.feed(fresh_uni(rig), &[kind]);
                }
                rig.feed(fresh_uni(rig), &[instruction]);
            });
        }
    });
}

#[test]
fn e46_flood_of_streams_that_mean_nothing() {
    both_roles(|side| {
        floods("unknown types", Open(side), |rig, n| {
            rig.feed(rig.peer_uni(8 + n), &varint(GREASE));
        });
        floods("cancelled before their header", Open(side), |rig, n| {
            rig.peer_resets(rig.peer_uni(8 + n), 0);
        });
        floods("finished inside their header", Open(side), |rig, n| {
            rig.feed_fin(rig.peer_bidi(8 + n), &[0x40]);
        });
    });
}

#[test]
fn e46_flood_of_refused_requests() {
    let malformed = headers(&[(":method", "CONNECT"), (":status", "200")]);
    floods("malformed", Open(Side::Server), |rig, n| {
        rig.feed(FRESH + 4 * n, &malformed);
    });
    let second = connect_request("webtransport-h3");
    floods("a second session", Open(Side::Server), |rig, n| {
        rig.feed(FRESH + 4 * n, &second);
    });
    let other = headers(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "example.org"),
        (":path", "/"),
    ]);
    floods("not found", Open(Side::Server), |rig, n| {
        rig.drain();
        rig.feed(FRESH + 4 * n, &other);
    });
    // Nobody takes the answers: beyond 64 they are resets.
    floods("not found, and not taken", Open(Side::Server), |rig, n| {
        rig.feed(FRESH + 4 * n, &other);
    });
}

/// The application hears of each of them twice.
#[test]
fn e46_flood_of_requests_taken_back() {
    type TakeBack = fn(&mut Rig, u64);
    let ways: [(Option<u64>, TakeBack); 3] = [
        (Some(H3_REQUEST_CANCELLED), |rig, stream| {
            rig.peer_resets(stream, H3_REQUEST_CANCELLED);
        }),
        (Some(1), |rig, stream| rig.peer_stops(stream, 1)),
        (None, |rig, stream| rig.feed_fin(stream, b"")),
    ];
    for (code, take_back) in ways {
        let mut rig = Rig::new(Side::Server);
        for second in 0..2 {
            for n in 0..1024 {
                let stream = 4 * (1024 * second + n);
                rig.request_session(stream);
                take_back(&mut rig, stream);
                rig.drain();
            }
            assert!(!rig.connection.is_closed(), "{code:?}: too early");
            if second == 0 {
                rig.wait(Duration::from_secs(1));
            }
        }
        let session = rig.request_session(4 * 2048);
        take_back(&mut rig, 4 * 2048);
        let lost = ConnectionLost::Http3(Http3Error::ExcessiveLoad);
        let mut outputs = rig.outputs();
        let tail = outputs.split_off(outputs.len() - 3);
        let expected = [
            on_the_wire(Http3Error::ExcessiveLoad),
            closed(session, CloseReason::Withdrawn { code }),
            connection_closed(&lost),
        ];
        assert_eq!(tail, expected);
        rig.is_inert("taken back");
    }
}

#[test]
fn e46_flood_of_streams_whose_session_is_not_there() {
    let none = SessionId::try_from(StreamId::from(400_000)).unwrap();
    for dir in [Dir::Bi, Dir::Uni] {
        let streams = move |rig: &Rig, n| match dir {
            Dir::Bi => rig.peer_bidi(8 + n),
            Dir::Uni => rig.peer_uni(8 + n),
        };
        both_roles(|side| {
            // A client knows all that there are; a server lets 32 wait.
            let condition = format!("{side:?}, {dir:?}: {none}");
            floods(&condition, Open(side), |rig, n| {
                if n == 0 && side == Side::Server {
                    for early in 5000..5032 {
                        rig.peer_opens(streams(rig, early), none, b"");
                    }
                }
                rig.peer_opens(streams(rig, n), none, b"");
            });
        });
    }
}

/// What an honest peer does in numbers, or what others pace.
#[test]
fn e46_what_is_no_flood() {
    const MANY: u64 = 3000;
    let no_flood = |rig: &mut Rig, condition: &str| {
        rig.drain();
        assert!(!rig.connection.is_closed(), "{condition}");
    };
    let mut rig = Rig::new(Side::Server);
    for n in 0..MANY {
        let session = rig.request_session(4 * n);
        if n % 2 == 0 {
            rig.answer(session);
            rig.peer_resets(4 * n, 0);
        } else {
            let rejection = Rejection::from(StatusCode::FORBIDDEN);
            rig.connection.reject(rig.now, session, rejection).unwrap();
        }
        no_flood(&mut rig, "requests that were answered");
    }
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        for n in 0..MANY {
            rig.peer_opens(rig.peer_uni(8 + n), session, b"");
            rig.peer_resets(rig.peer_uni(8 + n), 0);
            no_flood(&mut rig, "streams of a session, opened and reset");
        }
        rig.peer_resets(CONNECT, 0);
        for n in MANY..2 * MANY {
            rig.peer_opens(rig.peer_uni(8 + n), session, b"");
            no_flood(&mut rig, "streams of a session that is gone");
        }
        let (mut rig, session) = Rig::requested(side);
        for n in 0..MANY {
            rig.peer_opens(rig.peer_uni(8 + n), session, b"");
            no_flood(&mut rig, "streams of a session that is not answered");
        }
    });
}

#[test]
fn e46_answers_that_quic_does_not_take() {
    let mut config = Config::default();
    config.limits.unwritten_bytes = 64;
    let (mut rig, session) = Rig::open_with(Side::Server, config, Dialect::Draft16);
    rig.takes = 0;
    let mut refused = 0;
    while !rig.connection.is_closed() {
        rig.feed(
            FRESH + 4 * refused,
            &headers(&[(":method", "CONNECT"), (":authority", "a")]),
        );
        let writes = rig.outputs();
        refused += 1;
        assert!(refused <= 64, "{writes:?}");
        if rig.connection.is_closed() {
            let lost = ConnectionLost::Http3(Http3Error::ExcessiveLoad);
            let tail = &writes[writes.len() - 3..];
            let expected = [
                on_the_wire(Http3Error::ExcessiveLoad),
                closed(session, CloseReason::ConnectionLost(lost.clone())),
                connection_closed(&lost),
            ];
            assert_eq!(tail, expected);
        }
    }
    rig.is_inert("unwritten answers");
}

#[test]
fn e46_our_close_that_overflows_what_quic_does_not_take_is_still_our_close() {
    both_roles(|side| {
        let mut config = Config::default();
        config.limits.unwritten_bytes = 100;
        let (mut rig, session) = Rig::open_with(side, config, Dialect::Draft16);
        rig.takes = 0;
        rig.connection.drain(session);
        rig.drain();
        let message = CloseMessage::from("a message longer than the limit".repeat(4));
        rig.connection.close(rig.now, session, 7, message.clone());
        let reason = CloseReason::Local { code: 7, message };
        let lost = ConnectionLost::Http3(Http3Error::ExcessiveLoad);
        let expected = [
            on_the_wire(Http3Error::ExcessiveLoad),
            closed(session, reason),
            connection_closed(&lost),
        ];
        assert_eq!(rig.outputs(), expected);
        rig.is_inert("unwritten close");
    });
}

// ---- all of it together

#[test]
fn e46_every_session_ends_in_order_behind_the_one_close() {
    both_roles(|side| {
        let mut rig = Rig::with(side, Config::default(), Dialect::Draft02);
        let [unanswered, second, over, first] = [12, 8, 4, 0].map(|id| rig.request_session(id));
        for session in [second, over, first] {
            rig.answer(session);
        }
        rig.we_open(second, Dir::Bi);
        rig.feed_fin(over.connect_stream(), b"");
        rig.drain();
        rig.handle(Input::DatagramReceived { data: Bytes::new() });
        let lost = ConnectionLost::Http3(Http3Error::Datagram);
        let actions = [on_the_wire(Http3Error::Datagram)];
        let sessions = [first, second, unanswered];
        rig.connection_ends(&sessions, &lost, &actions, "four sessions");
    });
}

#[test]
fn e46_what_was_queued_before_it_stays_in_front_of_it() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        let unknown = rig.peer_uni(8);
        rig.peer_sends_datagram(CONNECT, b"first");
        rig.feed(unknown, &varint(GREASE));
        rig.handle(Input::DatagramReceived { data: Bytes::new() });
        let lost = ConnectionLost::Http3(Http3Error::Datagram);
        let payload = Bytes::from_static(b"first");
        let expected = [
            stop_sending(unknown, H3_STREAM_CREATION_ERROR),
            on_the_wire(Http3Error::Datagram),
            event(Event::DatagramReceived { session, payload }),
            closed(session, CloseReason::ConnectionLost(lost.clone())),
            connection_closed(&lost),
        ];
        assert_eq!(rig.outputs(), expected);
        rig.is_inert("queued before");
    });
}

#[test]
fn e46_loss_reported_behind_our_own_close_changes_nothing() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        rig.handle(Input::DatagramReceived { data: Bytes::new() });
        rig.connection_lost(ConnectionLost::Local { code: Some(0x33) });
        let lost = ConnectionLost::Http3(Http3Error::Datagram);
        let actions = [on_the_wire(Http3Error::Datagram)];
        rig.connection_ends(&[session], &lost, &actions, "close reported");
    });
}

#[test]
fn e46_close_is_the_last_action_also_in_the_middle_of_an_answer() {
    let mut config = Config::default();
    config.limits.answered_requests = 0;
    let mut rig = Rig::with(Side::Server, config, Dialect::Draft16);
    let plain = headers(&[(":method", "CONNECT"), (":authority", "a")]);
    for n in 0..1100 {
        rig.feed(4 * n, &plain);
    }
    let outputs = rig.outputs();
    let close = outputs
        .iter()
        .position(|output| matches!(output, Output::Action(Action::CloseConnection { .. })));
    let lost = ConnectionLost::Http3(Http3Error::ExcessiveLoad);
    assert_eq!(outputs[close.unwrap() + 1..], [connection_closed(&lost)]);
    // Each was refused once, and counted once.
    assert_eq!(rig.connection.stats().requests_refused, 1025);
}
