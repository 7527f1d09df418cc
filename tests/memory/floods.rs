//! What a peer can repeat for ever, or announce and never finish: at every pace and in pieces of every
//! size the connection holds less than the formula, and reacts as `Limits` says.

use std::time::Duration;

use webtransport_session::{Dialect, Dir, Input, Limits, SessionId, Side, StreamId};

use crate::{
    script::long_varint,
    siege::{Siege, quic},
    support::{
        connect_request, data_frame, grease, peer_settings, settings, stream_header, tlv, varint,
    },
    theme::{Quic, tiny},
};

const H3_FRAME_UNEXPECTED: u64 = 0x105;
const H3_EXCESSIVE_LOAD: u64 = 0x107;
const H3_REQUEST_CANCELLED: u64 = 0x10c;
/// Five hundred in a second: no flood yet.
const SLOWLY: Duration = Duration::from_millis(2);
/// How many are sent of what never ends.
const MANY: u64 = 3000;
/// What emptied queues may keep.
const ROOM: usize = 512;
/// The longest length that can be written.
const HUGE: u64 = (1 << 62) - 1;

pub fn no_flood_makes_a_connection_hold_more_than_the_formula() {
    for limits in [tiny(), Limits::default()] {
        for side in [Side::Client, Side::Server] {
            too_many_settings(side, &limits);
            settings_again(side, &limits);
            for pace in [Duration::ZERO, SLOWLY] {
                for (place, piece, counts) in idle_pieces() {
                    let is_flood = counts && pace.is_zero();
                    idle(side, &limits, (pace, is_flood), place, &piece);
                }
                unknown_streams(side, &limits, pace);
            }
            for (place, head) in endless(&limits) {
                endless_length(side, &limits, place, &head);
            }
            unread_sessions(side, &limits);
        }
        for polls in [false, true] {
            for pace in [Duration::ZERO, SLOWLY] {
                requests_and_resets(&limits, pace, polls);
            }
        }
        requests_that_stay(&limits);
        for (name, section) in bombs() {
            header_bomb(&limits, name, &section);
        }
        byte_by_byte(&limits);
    }
}

/// Where on a connection something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Control,
    /// Before the head of a request, or of the answer to one.
    Head,
    /// Behind it, in frames of their own or as capsules in DATA.
    Body,
    /// A unidirectional stream that is new.
    Stream,
}

fn control(siege: &Siege) -> StreamId {
    StreamId::new(siege.peer, Dir::Uni, 0)
}

/// A stream on which `place` is now, on a connection that is ready.
fn at(siege: &mut Siege, place: Place) -> StreamId {
    match place {
        Place::Control => control(siege),
        Place::Body => siege.open(0).connect_stream(),
        Place::Stream => StreamId::new(siege.peer, Dir::Uni, 1),
        Place::Head => {
            if siege.side == Side::Client {
                siege.request(0);
            }
            StreamId::new(Side::Client, Dir::Bi, 0)
        }
    }
}

// ---- SETTINGS

fn too_many_settings(side: Side, limits: &Limits) {
    let mut siege = Siege::before_settings("too many settings", side, limits, quic(1, 1));
    let many: Vec<_> = (0..=limits.settings.into())
        .map(|n| (0x40 + n * 0x1f, HUGE))
        .collect();
    let control = control(&siege);
    siege.feed(control, &[0x00], false);
    for byte in settings(&many) {
        siege.feed(control, &[byte], false);
    }
    assert_eq!(siege.closed, Some(H3_EXCESSIVE_LOAD));
    siege.lift();
}

/// §7.2.4 of RFC 9114: "If an endpoint receives a second SETTINGS frame on the control stream, the
/// endpoint MUST respond with a connection error of type H3_FRAME_UNEXPECTED."
fn settings_again(side: Side, limits: &Limits) {
    let mut siege = Siege::begin("settings again", side, limits, quic(1, 1));
    let control = control(&siege);
    for _ in 0..100 {
        siege.feed(control, &peer_settings(side, Dialect::Draft16)[1..], false);
    }
    assert_eq!(siege.closed, Some(H3_FRAME_UNEXPECTED));
    siege.lift();
}

// ---- what means nothing

/// With whether so many of them are a flood: frames are counted, what is in DATA pays by its bytes.
fn idle_pieces() -> Vec<(Place, Vec<u8>, bool)> {
    let mut pieces = vec![(Place::Body, data_frame(&[]), true)];
    for payload in [&[][..], &[0; 40]] {
        for place in [Place::Control, Place::Head, Place::Body] {
            pieces.push((place, grease(payload), true));
        }
        pieces.push((Place::Body, data_frame(&tlv(0x17, payload)), false));
    }
    pieces
}

fn idle(
    side: Side,
    limits: &Limits,
    (pace, is_flood): (Duration, bool),
    place: Place,
    piece: &[u8],
) {
    let mut siege = Siege::begin("what means nothing", side, limits, quic(1, 1));
    siege.pace = pace;
    let stream = at(&mut siege, place);
    siege.victim.drain();
    let before = siege.victim.heap();
    for _ in 0..MANY {
        siege.feed(stream, piece, false);
    }
    let expected = is_flood.then_some(H3_EXCESSIVE_LOAD);
    assert_eq!(siege.closed, expected, "{side:?}, {place:?}, {piece:?}");
    let held = siege.victim.heap();
    assert!(held <= before + ROOM, "{place:?}: {before}, then {held}");
    siege.lift();
}

/// RFC 9114 §6.2: "Recipients of unknown stream types MUST either abort reading of the stream or
/// discard incoming data without further processing."
fn unknown_streams(side: Side, limits: &Limits, pace: Duration) {
    let mut siege = Siege::begin("unknown streams", side, limits, quic(1, 2));
    let before = siege.victim.heap();
    siege.pace = pace;
    for n in 1..MANY {
        let stream = StreamId::new(siege.peer, Dir::Uni, n);
        siege.feed(stream, &varint(0x21 + 0x1f * n), false);
        siege.feed(stream, b"anything", false);
        siege.victim.handle(|| Input::StreamReset {
            stream,
            code: 0,
            final_size: None,
        });
        siege.check();
        siege.victim.drain();
    }
    let held = siege.victim.heap();
    assert!(held <= before + ROOM, "{before}, then {held}");
    siege.lift();
}

// ---- lengths that are never reached

fn endless(limits: &Limits) -> Vec<(Place, Vec<u8>)> {
    let begun = |kind: u64, len: u64| [varint(kind), long_varint(len)].concat();
    let capsule = |kind| [begun(0x00, HUGE), begun(kind, HUGE)].concat();
    let fits = limits.control_frame as u64;
    vec![
        // GOAWAY, MAX_PUSH_ID, PRIORITY_UPDATE, and what nobody knows.
        (Place::Control, begun(0x07, HUGE)),
        (Place::Control, begun(0x0d, HUGE)),
        (Place::Control, begun(0xf_0700, HUGE)),
        (Place::Control, begun(0xf_0700, fits)),
        (Place::Control, begun(0x21, HUGE)),
        (Place::Head, begun(0x01, HUGE)),
        (Place::Head, begun(0x01, limits.field_section as u64)),
        (Place::Head, begun(0x21, HUGE)),
        (Place::Body, begun(0x21, HUGE)),
        (Place::Body, begun(0x01, HUGE)),
        // DATAGRAM, close, drain, flow control, and what nobody knows.
        (Place::Body, capsule(0x00)),
        (Place::Body, capsule(0x2843)),
        (Place::Body, capsule(0x78ae)),
        (Place::Body, capsule(0x190b_4d3d)),
        (Place::Body, capsule(0x17)),
        (Place::Stream, long_varint(0x21)),
        // Of a session that never comes.
        (Place::Stream, [varint(0x54), long_varint(HUGE)].concat()),
        (Place::Stream, stream_header(Dir::Uni, 400)),
    ]
}

fn endless_length(side: Side, limits: &Limits, place: Place, head: &[u8]) {
    let mut siege = Siege::begin("an endless length", side, limits, quic(2, 2));
    let stream = at(&mut siege, place);
    for byte in head {
        siege.feed(stream, &[*byte], false);
    }
    for _ in 0..2000 {
        siege.feed(stream, b"x", false);
    }
    for _ in 0..100 {
        siege.feed(stream, &[b'x'; 1500], false);
    }
    siege.lift();
}

// ---- requests

/// The same id is never used again, so that each of them is a session or a refusal more.
fn requests_and_resets(limits: &Limits, pace: Duration, polls: bool) {
    let mut siege = Siege::begin("requests and resets", Side::Server, limits, quic(2, 1));
    siege.pace = pace;
    siege.victim.drain();
    let before = siege.victim.heap();
    let connect = connect_request("webtransport");
    for n in 0..MANY {
        let stream = StreamId::new(Side::Client, Dir::Bi, n);
        siege.feed(stream, &connect, false);
        siege.victim.handle(|| Input::StreamReset {
            stream,
            code: H3_REQUEST_CANCELLED,
            final_size: None,
        });
        siege.check();
        if polls {
            siege.victim.drain();
        }
    }
    if polls {
        assert_eq!(siege.closed, pace.is_zero().then_some(H3_EXCESSIVE_LOAD));
        let held = siege.victim.heap();
        assert!(held <= before + ROOM, "{before}, then {held}");
    }
    siege.lift();
}

/// As many as QUIC has streams; the application answers none.
fn requests_that_stay(limits: &Limits) {
    let mut siege = Siege::begin("requests that stay", Side::Server, limits, quic(100, 1));
    siege.pace = SLOWLY;
    let connect = connect_request("webtransport");
    for n in 0..100 {
        let stream = StreamId::new(Side::Client, Dir::Bi, n);
        siege.feed(stream, &connect, false);
        siege.feed(stream, &data_frame(&[0; 40]), false);
    }
    let known = siege.victim.ask().sessions().count();
    assert!(known <= limits.unanswered_requests as usize, "{known}");
    siege.lift();
}

/// Field sections that are much larger than their bytes, or say that they are.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let prefix = [0, 0];
    let and = |bytes: &[u8]| [&prefix[..], bytes].concat();
    // RFC 9204 §4.5.2: a byte for a whole line of the static table; 85 is a long one.
    let indexed = and(&[&[0xff, 85 - 63][..]; 8000].concat());
    let one_byte = and(&[0xc0 | 23; 16_000]);
    // A name and a value of no length; and a length of which nothing comes.
    let empty = and(&[&[0x21, b'x', 0x00][..]; 5000].concat());
    let long = and(&[0x21, b'x', 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    let overflow = and(&[&[0x21, b'x', 0x7f][..], &[0xff; 100]].concat());
    // Huffman: '0' has five bits, which a byte of the length counts as eight.
    let huffman = and(&[&[0x21, b'x', 0xff, 0x81, 0x7e][..], &[0; 16_000]].concat());
    vec![
        ("indexed lines", indexed),
        ("indexed lines of a byte", one_byte),
        ("empty lines", empty),
        ("a long value", long),
        ("a length without end", overflow),
        ("Huffman codes", huffman),
    ]
}

fn header_bomb(limits: &Limits, name: &'static str, section: &[u8]) {
    let mut siege = Siege::begin(name, Side::Server, limits, quic(8, 1));
    for n in 0..8 {
        let stream = StreamId::new(Side::Client, Dir::Bi, n);
        siege.feed(stream, &tlv(0x01, section), false);
    }
    assert_eq!(siege.victim.ask().sessions().count(), 0, "{name}");
    siege.lift();
}

// ---- a byte at a time, and nobody who reads

fn byte_by_byte(limits: &Limits) {
    let quic = Quic {
        read: 1,
        ..quic(2, 2)
    };
    let mut siege = Siege::begin("a byte at a time", Side::Server, limits, quic);
    let session = siege.open(0);
    let capsules = [tlv(0x00, &[b'd'; 200]), tlv(0x17, &[0; 2000])].concat();
    siege.feed(session.connect_stream(), &data_frame(&capsules), false);
    let stream = StreamId::new(Side::Client, Dir::Uni, 1);
    siege.feed(stream, &stream_header(Dir::Uni, 0), false);
    // The host asks.
    for _ in 0..20_000 {
        if siege.victim.ask().wants(stream) {
            siege.feed(stream, b"p", false);
        }
    }
    assert!(!siege.victim.ask().wants(stream) || limits.undelivered_bytes > 20_000);
    siege.lift();
}

/// As many sessions as there may be; the application reads none of them.
fn unread_sessions(side: Side, limits: &Limits) {
    let mut siege = Siege::begin("unread sessions", side, limits, quic(16, 100));
    let sessions: Vec<SessionId> = (0..limits.sessions.into()).map(|n| siege.open(n)).collect();
    let mut streams = Vec::new();
    // More would be a flood of events.
    let count = (limits.undelivered_bytes as u64 / 500).min(100);
    for n in 0..count {
        let session = sessions[n as usize % sessions.len()];
        let stream = StreamId::new(siege.peer, Dir::Uni, 1 + n);
        let id = session.connect_stream().into();
        siege.feed(stream, &stream_header(Dir::Uni, id), false);
        streams.push(stream);
    }
    let datagram = data_frame(&tlv(0x00, &[b'd'; 60]));
    for _ in 0..20 {
        for &stream in &streams {
            // The host asks.
            if siege.victim.ask().wants(stream) {
                siege.feed(stream, &[b'p'; 1500], false);
            }
        }
        for &session in &sessions {
            siege.datagram(session, &[b'd'; 60]);
            siege.feed(session.connect_stream(), &datagram, false);
        }
    }
    assert_eq!(siege.closed, None);
    assert!(!siege.victim.ask().wants(streams[0]), "all of it was taken");
    siege.lift();
}
