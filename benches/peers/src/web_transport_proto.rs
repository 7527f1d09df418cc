//! `web-transport-proto`: codecs. There are no sessions to find and no events to queue, so that each row
//! is less work than ours.

use std::hint::black_box;

use bytes::{Buf, BytesMut};
use web_transport_proto::{Capsule, ConnectRequest, Frame, Settings, StreamUni, VarInt};

use crate::operations::{CLOSE, HUFFMAN, Operation, PLAIN, Work, streams::uni_bytes};

pub const ALL: &[Operation] = &[
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
        by: "web-transport-proto (codec)",
        rounds: 50,
        prepare,
    }
}

fn connect_in(rounds: usize, head: &'static [u8]) -> Work {
    Box::new(move || {
        for _ in 0..rounds {
            let request = ConnectRequest::decode(&mut black_box(head));
            black_box(request.expect("a CONNECT"));
        }
        Box::new(())
    })
}

fn connect_out(rounds: usize) -> Work {
    let url: url::Url = "https://example.org/game".parse().expect("a URL");
    let origin = http::HeaderValue::from_static("https://example.org");
    let request = ConnectRequest::new(url).with_header(http::header::ORIGIN, origin);
    Box::new(move || {
        for _ in 0..rounds {
            let mut out = BytesMut::new();
            request.encode(&mut out).expect("a buffer that grows");
            black_box(out.freeze());
        }
        Box::new(request)
    })
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.enable_webtransport(1);
    settings
}

fn settings_out(rounds: usize) -> Work {
    Box::new(move || {
        for _ in 0..rounds {
            let mut out = BytesMut::new();
            settings().encode(&mut out);
            black_box(out.freeze());
        }
        Box::new(())
    })
}

fn settings_in(rounds: usize) -> Work {
    let mut bytes = Vec::new();
    settings().encode(&mut bytes);
    Box::new(move || {
        for _ in 0..rounds {
            let settings = Settings::decode(&mut black_box(&bytes[..]));
            black_box(settings.expect("SETTINGS"));
        }
        Box::new(bytes)
    })
}

fn close_in(rounds: usize) -> Work {
    Box::new(move || {
        for _ in 0..rounds {
            let mut data = black_box(CLOSE);
            let (kind, mut body) = Frame::read(&mut data).expect("a frame");
            assert_eq!(kind, Frame::DATA);
            black_box(Capsule::decode(&mut body).expect("a capsule"));
        }
        Box::new(())
    })
}

fn uni_stream_in(rounds: usize) -> Work {
    let bytes = uni_bytes(b"x");
    Box::new(move || {
        for _ in 0..rounds {
            let mut data = black_box(&bytes[..]);
            let kind = StreamUni::decode(&mut data).expect("a type");
            let session = VarInt::decode(&mut data).expect("a session");
            black_box((kind, session, data.chunk()));
        }
        Box::new(bytes)
    })
}
