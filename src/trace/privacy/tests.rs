use std::time::Duration;

use super::*;
use crate::{Request, Support, Transport};

const SECRET: &[u8] = b"secret";

/// What becomes of these bytes of one stream, fed in pieces of `size`.
fn redacted(redactor: &mut Redactor, stream: u64, data: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in data.chunks(size) {
        let input = Input::StreamData {
            stream: stream.into(),
            data: Bytes::copy_from_slice(piece),
            fin: false,
        };
        out.extend_from_slice(&data_of(redactor, input));
    }
    out
}

fn data_of(redactor: &mut Redactor, input: Input) -> Bytes {
    let record = Record::new(Duration::ZERO, Step::Input(input));
    let redacted = redactor.redact(&record).into_owned();
    assert_eq!(redacted.at, record.at);
    let Step::Input(Input::StreamData { data, .. } | Input::DatagramReceived { data }) =
        redacted.step
    else {
        panic!("{redacted:?}");
    };
    data
}

fn tell(redactor: &mut Redactor, step: Step) {
    let record = Record::new(Duration::ZERO, step);
    assert_eq!(redactor.redact(&record).into_owned(), record);
}

fn with_secret(head: &[u8]) -> Vec<u8> {
    [head, SECRET].concat()
}

fn with_zeros(head: &[u8]) -> Vec<u8> {
    [head, &[0; 6]].concat()
}

#[test]
fn only_the_header_of_a_data_stream_stays_however_it_was_cut() {
    // The shortest and the longest encodings of 0x54, 0x41 and the session.
    let heads: [(u64, &[u8]); 5] = [
        (2, b"\x40\x54\x00"),
        (2, b"\xc0\x00\x00\x00\x00\x00\x00\x54\x80\x00\x00\x04"),
        (0, b"\x40\x41\x40\x04"),
        (4, b"\x80\x00\x00\x41\xc0\x00\x00\x00\x00\x00\x00\x00"),
        // A session that cannot be.
        (2, b"\x40\x54\x03"),
    ];
    for (stream, head) in heads {
        for size in 1..=head.len() + SECRET.len() {
            let mut redactor = Redactor::new(Side::Server);
            let out = redacted(&mut redactor, stream, &with_secret(head), size);
            assert_eq!(out, with_zeros(head), "stream {stream}, by {size}");
            assert!(redactor.heads.is_empty());
            assert_eq!(redacted(&mut redactor, stream, SECRET, 2), [0; 6]);
        }
    }
}

#[test]
fn control_qpack_and_requests_keep_their_bytes() {
    for (stream, head) in [
        (2, b"\x00\x04"),
        (6, b"\x02\x20"),
        (10, b"\x03\x41"),
        (0, b"\x01\x20"),
    ] {
        for size in 1..8 {
            let mut redactor = Redactor::new(Side::Server);
            let data = with_secret(head);
            assert_eq!(
                redacted(&mut redactor, stream, &data, size),
                data,
                "{stream}"
            );
        }
    }
}

#[test]
fn a_stream_of_unknown_type_keeps_its_type_alone() {
    // GREASE, and a push.
    for head in [&b"\x21"[..], b"\x40\x40", b"\x01"] {
        for size in 1..8 {
            let mut redactor = Redactor::new(Side::Client);
            let out = redacted(&mut redactor, 3, &with_secret(head), size);
            assert_eq!(out, with_zeros(head));
        }
    }
    // A server opens no request.
    let mut redactor = Redactor::new(Side::Client);
    let out = redacted(&mut redactor, 1, &with_secret(b"\x01"), 3);
    assert_eq!(out, with_zeros(b"\x01"));
}

#[test]
fn of_our_own_streams_those_keep_their_bytes_that_a_connect_has_bound() {
    let mut redactor = Redactor::new(Side::Client);
    let connect = |stream: u64| Step::Connect {
        request: Box::new(Request::new("https://a/".parse().unwrap())),
        bound: Some(stream.into()),
    };
    let open = |stream: u64, dir| Step::Open {
        session: SessionId::try_from(StreamId::from(0)).unwrap(),
        dir,
        bound: Some(stream.into()),
    };
    tell(&mut redactor, connect(0));
    tell(&mut redactor, open(4, Dir::Bi));
    // Mistakes: bound twice, a stream of the peer's, a kind that a connection does not take.
    tell(&mut redactor, connect(4));
    tell(&mut redactor, connect(1));
    tell(&mut redactor, open(8, Dir::Uni));
    assert_eq!(redacted(&mut redactor, 0, SECRET, 4), SECRET);
    for stream in [4, 8, 12, 2, 1 << 62] {
        assert_eq!(
            redacted(&mut redactor, stream, SECRET, 4),
            [0; 6],
            "{stream}"
        );
    }
    // Not until now were they bound.
    for stream in [8, 12] {
        tell(&mut redactor, connect(stream));
        assert_eq!(redacted(&mut redactor, stream, SECRET, 4), SECRET);
    }
}

#[test]
fn a_server_opens_data_streams_only() {
    let mut redactor = Redactor::new(Side::Server);
    tell(
        &mut redactor,
        Step::Start {
            transport: Transport::new(Support::Yes),
            remembered: None,
        },
    );
    for stream in [1, 3, 5] {
        assert_eq!(redacted(&mut redactor, stream, SECRET, 4), [0; 6]);
    }
    // Nor does it connect: that stream is still to say what it is.
    tell(
        &mut redactor,
        Step::Connect {
            request: Box::new(Request::new("https://a/".parse().unwrap())),
            bound: Some(0.into()),
        },
    );
    let head = b"\x40\x41\x00";
    let out = redacted(&mut redactor, 0, &with_secret(head), 4);
    assert_eq!(out, with_zeros(head));
}

#[test]
fn what_comes_behind_the_end_of_a_stream_is_no_new_stream() {
    for over in [
        Input::StreamReset {
            stream: 0.into(),
            code: 0,
            final_size: None,
        },
        Input::StreamData {
            stream: 0.into(),
            data: Bytes::new(),
            fin: true,
        },
    ] {
        for head in [&b""[..], b"\x40", b"\x01"] {
            let mut redactor = Redactor::new(Side::Server);
            redacted(&mut redactor, 0, head, 8);
            tell(&mut redactor, Step::Input(over.clone()));
            assert!(redactor.heads.is_empty());
            assert_eq!(redacted(&mut redactor, 0, b"\x01\x20", 8), [0; 2]);
        }
    }
}

#[test]
fn a_stream_may_be_stopped_before_its_first_byte() {
    let mut redactor = Redactor::new(Side::Server);
    let stop = Input::StreamStopped {
        stream: 0.into(),
        code: 0,
    };
    tell(&mut redactor, Step::Input(stop));
    let head = b"\x40\x41\x00";
    let out = redacted(&mut redactor, 0, &with_secret(head), 2);
    assert_eq!(out, with_zeros(head));
}

#[test]
fn of_a_datagram_the_session_stays() {
    let mut redactor = Redactor::new(Side::Server);
    for head in [
        &b"\x00"[..],
        b"\x40\x07",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let data = with_secret(head).into();
        let data = data_of(&mut redactor, Input::DatagramReceived { data });
        assert_eq!(data, with_zeros(head));
    }
    for data in [&b""[..], b"\x40", b"\x05"] {
        let data = Bytes::copy_from_slice(data);
        let input = Input::DatagramReceived { data: data.clone() };
        assert_eq!(data_of(&mut redactor, input), data);
    }
}

#[test]
fn endless_requests_take_no_endless_memory_and_the_busy_ones_stay() {
    let mut redactor = Redactor::new(Side::Server);
    redacted(&mut redactor, 0, b"\x01", 1);
    for index in 1..40_000 {
        redacted(&mut redactor, 4 * index, b"\x01", 1);
        if index % 10_000 == 0 {
            assert_eq!(redacted(&mut redactor, 0, SECRET, 9), SECRET);
        }
    }
    assert!(redactor.kept.recent.len() + redactor.kept.earlier.len() <= 2 * KEPT);
    assert_eq!(redacted(&mut redactor, 4, SECRET, 9), [0; 6]);
}
