//! `wtransport-proto`: codecs. There are no sessions to find and no events to queue, so that each row is
//! less work than ours.

use std::hint::black_box;

use wtransport_proto::{
    bytes::{BufferReader, BufferWriter},
    capsule::{Capsule, CapsuleKind, capsules::CloseWebTransportSession},
    datagram::Datagram,
    frame::Frame,
    headers::Headers,
    ids::{QStreamId, SessionId, StreamId},
    session::SessionRequest,
    settings::Settings,
    stream_header::StreamHeader,
    varint::VarInt,
};

use crate::operations::{CLOSE, HUFFMAN, Operation, PLAIN, Work, streams::uni_bytes};

pub const ALL: &[Operation] = &[
    codec("datagram-in-100", datagram_in),
    codec("datagram-out-100-reused", datagram_out),
    codec("connect-decode-plain", |n| connect_in(n, PLAIN)),
    codec("connect-decode-huffman", |n| connect_in(n, HUFFMAN)),
    codec("connect-encode", connect_out),
    codec("settings-in", settings_in),
    codec("settings-out", settings_out),
    codec("close-capsule-in", close_in),
    codec("uni-stream-in", uni_stream_in),
];

const fn codec(row: &'static str, prepare: fn(usize) -> Work) -> Operation {
    Operation {
        row,
        by: "wtransport-proto (codec)",
        rounds: 50,
        prepare,
    }
}

fn first() -> QStreamId {
    let stream = StreamId::new(VarInt::from_u32(0));
    let session = SessionId::try_from_session_stream(stream);
    QStreamId::from_session_id(session.expect("a client's bidirectional stream"))
}

fn datagram_in(rounds: usize) -> Work {
    let bytes = [&[0][..], &[7; 100]].concat();
    Box::new(move || {
        for _ in 0..rounds {
            let datagram = Datagram::read(black_box(&bytes)).expect("a datagram");
            black_box((datagram.qstream_id(), datagram.payload()));
        }
        Box::new(bytes)
    })
}

fn datagram_out(rounds: usize) -> Work {
    let mut buffer = vec![0; 2048];
    Box::new(move || {
        for _ in 0..rounds {
            let datagram = Datagram::new(first(), black_box(&[7; 100]));
            black_box(datagram.write(&mut buffer).expect("room"));
        }
        Box::new(buffer)
    })
}

fn frame(bytes: &[u8]) -> Frame<'_> {
    let mut reader = BufferReader::new(black_box(bytes));
    let frame = Frame::read_from_buffer(&mut reader).expect("a frame");
    frame.expect("all of it")
}

fn connect_in(rounds: usize, head: &'static [u8]) -> Work {
    Box::new(move || {
        for _ in 0..rounds {
            let headers = Headers::with_frame(&frame(head)).expect("headers");
            black_box(SessionRequest::try_from(headers).expect("a CONNECT"));
        }
        Box::new(())
    })
}

fn write(frame: &Frame<'_>) -> Vec<u8> {
    let mut out = vec![0; frame.write_size()];
    let mut writer = BufferWriter::new(&mut out);
    frame.write_to_buffer(&mut writer).expect("room");
    out
}

fn connect_out(rounds: usize) -> Work {
    let request = SessionRequest::new("https://example.org/game");
    let mut request = request.expect("a URL");
    let inserted = request.insert("origin", "https://example.org");
    inserted.expect("not one of its own");
    Box::new(move || {
        for _ in 0..rounds {
            black_box(write(&request.headers().generate_frame()));
        }
        Box::new(request)
    })
}

fn settings() -> Settings {
    Settings::builder()
        .enable_connect_protocol()
        .enable_webtransport()
        .enable_h3_datagrams()
        .webtransport_max_sessions(VarInt::from_u32(1))
        .build()
}

fn settings_out(rounds: usize) -> Work {
    Box::new(move || {
        for _ in 0..rounds {
            black_box(write(&settings().generate_frame()));
        }
        Box::new(())
    })
}

fn settings_in(rounds: usize) -> Work {
    let bytes = write(&settings().generate_frame());
    Box::new(move || {
        for _ in 0..rounds {
            black_box(Settings::with_frame(&frame(&bytes)).expect("SETTINGS"));
        }
        Box::new(bytes)
    })
}

fn close_in(rounds: usize) -> Work {
    Box::new(move || {
        for _ in 0..rounds {
            let frame = frame(CLOSE);
            let capsule = Capsule::with_frame(&frame).expect("a capsule");
            assert!(matches!(
                capsule.kind(),
                CapsuleKind::CloseWebTransportSession
            ));
            black_box(CloseWebTransportSession::with_capsule(&capsule).expect("a close"));
        }
        Box::new(())
    })
}

fn uni_stream_in(rounds: usize) -> Work {
    let bytes = uni_bytes(b"x");
    Box::new(move || {
        for _ in 0..rounds {
            let mut reader = BufferReader::new(black_box(&bytes));
            let header = StreamHeader::read_from_buffer(&mut reader).expect("a header");
            black_box((header.and_then(|header| header.session_id()), &reader));
        }
        Box::new(bytes)
    })
}
