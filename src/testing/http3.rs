//! What a peer's HTTP/3 would write, put on the link in its name.

use bytes::Bytes;

use super::{
    Pair,
    machine::{Answer, Broken},
};
use crate::{
    Dir, Input, SessionId, Side, StreamId,
    wire::{
        frame::{self, DATA, GOAWAY, HEADERS, SETTINGS},
        qpack::Encoder,
    },
};

/// A type that is reserved to be ignored, of frames as of capsules.
pub(super) const RESERVED: u64 = 0x40;

/// A protocol that no request offers, as the header has it.
const ANOTHER_PROTOCOL: &str = "\"another\"";

pub(super) fn data_frame(payload: &[u8]) -> Bytes {
    frame::encode(DATA, payload)
}

/// The server answers.
pub(super) fn answer(pair: &mut Pair, session: SessionId, answer: Answer) {
    let connect = session.connect_stream();
    let ok = (":status", "200");
    let (head, fin) = match answer {
        Answer::Accepted { fin } => (headers(&[ok]), fin),
        Answer::AnotherProtocol => (headers(&[ok, ("wt-protocol", ANOTHER_PROTOCOL)]), false),
        Answer::Malformed => (headers(&[ok, ("content-length", "0")]), false),
        Answer::Rejected(rejection) => {
            let mut fields = vec![(":status", rejection.status.as_str())];
            for (name, value) in &rejection.headers {
                fields.push((name.as_str(), value.to_str().unwrap_or_default()));
            }
            (headers(&fields), true)
        }
    };
    send(pair, Side::Server, connect, head, fin);
}

/// The server goes away, and has looked at no request.
pub(super) fn go_away(pair: &mut Pair) {
    let frame = frame::encode(GOAWAY, &[0]);
    send(pair, Side::Server, control(Side::Server), frame, false);
}

/// The peer of `side` breaks HTTP/3.
pub(super) fn break_http3(pair: &mut Pair, side: Side, session: SessionId, how: Broken) {
    let (peer, connect) = (side.other(), session.connect_stream());
    match how {
        Broken::Trailers => send(pair, peer, connect, headers(&[("late", "1")]), false),
        Broken::ForbiddenFrame => {
            let settings = frame::encode(SETTINGS, b"");
            send(pair, peer, connect, settings, false);
        }
        Broken::ControlStream => send(pair, peer, control(peer), Bytes::new(), true),
        Broken::Datagram => {
            let data = Bytes::new();
            pair.send_safely(peer, Input::DatagramReceived { data });
        }
    }
}

fn send(pair: &mut Pair, from: Side, stream: StreamId, data: Bytes, fin: bool) {
    pair.send_as(from, Input::StreamData { stream, data, fin });
}

/// The control stream is the first that each side opens.
fn control(side: Side) -> StreamId {
    StreamId::new(side, Dir::Uni, 0)
}

/// A HEADERS frame.
fn headers(fields: &[(&str, &str)]) -> Bytes {
    let (frame, ()) = frame::encode_with(HEADERS, |section| {
        let mut encoder = Encoder::new(section);
        for (name, value) in fields {
            encoder.encode_field(name.as_bytes(), value.as_bytes());
        }
    });
    frame
}
