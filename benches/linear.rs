//! What a byte of a hostile peer's costs, in instructions: ten times the bytes must not cost much more
//! than ten times as much. `cargo bench --bench linear` prints a table and fails where they do.
//!
//! Wants valgrind alone: it runs itself under callgrind, once for each input and size, and counts what
//! happens inside [`measured`].
#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a bench may panic, writes small numbers, and looks at what it expects"
)]

use std::{
    env,
    process::{Command, ExitCode},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use webtransport_session::{Config, Input, StreamId};

mod operations;

use operations::ends::{Ends, crowded, drain};

/// How often the input is repeated, or how long it is.
const SMALL: usize = 200;
const LARGE: usize = 10 * SMALL;
/// A byte of the large input may cost so many percent of one of the small: maps have logarithms,
/// and buffers grow.
const FACTOR: u64 = 150;

/// What comes in, one after another.
type Inputs = Vec<Input>;

struct Case {
    name: &'static str,
    inputs: fn(usize) -> Inputs,
    /// Whether events are polled after each input, or only after the last.
    polls: bool,
}

const fn case(name: &'static str, inputs: fn(usize) -> Inputs) -> Case {
    let polls = true;
    Case {
        name,
        inputs,
        polls,
    }
}

const fn unread(name: &'static str, inputs: fn(usize) -> Inputs) -> Case {
    let polls = false;
    Case {
        name,
        inputs,
        polls,
    }
}

/// The session on stream 0 is open; ids of further streams begin behind it.
const CASES: &[Case] = &[
    case("stream, a byte at a time", |n| bytewise(2, &payload(n))),
    unread("stream, a byte at a time, unread", |n| {
        bytewise(2, &payload(n))
    }),
    case("stream header and FIN, again and again", |n| {
        let header = [varint(0x54), varint(0)].concat();
        streams(n)
            .flat_map(|id| [data(id, &header, true)])
            .collect()
    }),
    unread("the same, unread", |n| {
        let header = [varint(0x54), varint(0)].concat();
        streams(n)
            .flat_map(|id| [data(id, &header, true)])
            .collect()
    }),
    case("streams that are reset", |n| {
        let header = [varint(0x54), varint(0)].concat();
        streams(n)
            .flat_map(|id| [data(id, &header, false), reset(id)])
            .collect()
    }),
    case("every second stream, open", |n| {
        let header = [varint(0x54), varint(0)].concat();
        streams(2 * n)
            .step_by(2)
            .map(|id| data(id, &header, false))
            .collect()
    }),
    case("open streams with ids that collide", |n| {
        let header = [varint(0x54), varint(0)].concat();
        colliding(n).map(|id| data(id, &header, false)).collect()
    }),
    case("streams of unknown types", |n| {
        streams(n)
            .flat_map(|id| [data(id, &varint(0x21 + 0x1f * id), false), reset(id)])
            .collect()
    }),
    case("streams of a session to come", |n| {
        let header = [varint(0x54), varint(4)].concat();
        let early = streams(n).map(|id| data(id, &header, false));
        early.chain([data(4, &connect(&[]), false)]).collect()
    }),
    case("datagrams of a session to come", |n| {
        let early = (0..n).map(|_| Input::DatagramReceived {
            data: Bytes::from_static(b"\x01d"),
        });
        early.chain([data(4, &connect(&[]), false)]).collect()
    }),
    unread("datagrams, unread", |n| {
        let one = || Input::DatagramReceived {
            data: Bytes::from_static(b"\0d"),
        };
        (0..n).map(|_| one()).collect()
    }),
    case("DATA frames of a byte", |n| {
        bytewise(0, &tlv(0x00, &[0x17]).repeat(n))
    }),
    case("capsules of unknown types", |n| {
        whole(0, &tlv(0x00, &tlv(0x17, b"x").repeat(n)))
    }),
    case("DATAGRAM capsules", |n| {
        whole(0, &tlv(0x00, &tlv(0x00, b"d").repeat(n)))
    }),
    case("DATAGRAM capsule, a byte at a time", |n| {
        bytewise(0, &tlv(0x00, &tlv(0x00, &payload(16 * n))))
    }),
    case("an unknown frame, a byte at a time", |n| {
        bytewise(0, &tlv(0x21, &payload(16 * n)))
    }),
    case("head, a byte at a time", |n| {
        bytewise(4, &connect(&[("x".into(), "v".repeat(8 * n))]))
    }),
    case("head with names that differ", |n| {
        let name = |n: usize| format!("x{n}");
        let fields: Vec<_> = (0..n).map(|n| (name(n), "v".into())).collect();
        whole(4, &connect(&fields))
    }),
    case("head with one name again and again", |n| {
        whole(4, &connect(&vec![("x".into(), "v".into()); n]))
    }),
    case("head with cookies", |n| {
        whole(4, &connect(&vec![("cookie".into(), "v".into()); n]))
    }),
    case("head with protocols", |n| {
        let offered: Vec<_> = (0..n).map(|n| format!("\"{n}\"")).collect();
        let name = "wt-available-protocols".into();
        whole(4, &connect(&[(name, offered.join(", "))]))
    }),
    case("head with Huffman codes", |n| {
        let mut section = vec![0, 0, 0x21, b'x'];
        section.extend(prefixed(0x80, 7, 8 * n));
        section.extend(vec![0; 8 * n]);
        whole(4, &tlv(0x01, &section))
    }),
    case("requests that are taken back", |n| {
        let head = connect(&[]);
        (1..=n as u64)
            .flat_map(|n| [data(4 * n, &head, false), reset(4 * n)])
            .collect()
    }),
    unread("requests that stay, unread", |n| {
        let head = connect(&[]);
        (1..=n as u64).map(|n| data(4 * n, &head, false)).collect()
    }),
    case("priorities of requests to come", |n| {
        (1..=n as u64)
            .flat_map(|n| {
                let update = [varint(4 * n), b"u=1".to_vec()].concat();
                whole(2, &tlv(0xf_0700, &update))
            })
            .collect()
    }),
    case("GREASE frames on the control stream", |n| {
        (0..n).flat_map(|_| whole(2, &tlv(0x21, b"x"))).collect()
    }),
];

// ---- bytes

fn varint(value: u64) -> Vec<u8> {
    match value {
        0..0x40 => vec![value as u8],
        0x40..0x4000 => (value as u16 | 0x4000).to_be_bytes().to_vec(),
        _ => (value as u32 | 0x8000_0000).to_be_bytes().to_vec(),
    }
}

fn tlv(kind: u64, value: &[u8]) -> Vec<u8> {
    [&varint(kind)[..], &varint(value.len() as u64), value].concat()
}

/// RFC 7541 §5.1.
fn prefixed(first: u8, bits: u32, value: usize) -> Vec<u8> {
    let most = (1 << bits) - 1;
    if value < most {
        return vec![first | value as u8];
    }
    let (mut bytes, mut rest) = (vec![first | most as u8], value - most);
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

/// HEADERS of a CONNECT, every line with a literal name (RFC 9204 §4.5.6).
fn connect(more: &[(String, String)]) -> Vec<u8> {
    let plain = [
        (":method", "CONNECT"),
        (":protocol", "webtransport"),
        (":scheme", "https"),
        (":authority", "example.org"),
        (":path", "/game"),
    ];
    let plain = plain.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut section = vec![0, 0];
    for (name, value) in plain.iter().chain(more) {
        section.extend(prefixed(0x20, 3, name.len()));
        section.extend(name.bytes());
        section.extend(prefixed(0, 7, value.len()));
        section.extend(value.bytes());
    }
    tlv(0x01, &section)
}

/// What no one looks into.
fn payload(len: usize) -> Vec<u8> {
    vec![b'p'; len]
}

// ---- inputs

/// Unidirectional streams of the client; 2 is its control stream.
fn streams(count: usize) -> impl Iterator<Item = u64> {
    (1..=count as u64).map(|n| 4 * n + 2)
}

/// Of more streams than one of these ends and the next begins, those that lie at one place of the
/// library's tables.
fn colliding(count: usize) -> impl Iterator<Item = u64> {
    /// What `src/table.rs` multiplies ids with.
    const SPREAD: u64 = 0xd1b5_4a32_d192_ed03;
    let is_near = |id: &u64| id.wrapping_mul(SPREAD) >> 54 == 0;
    streams(1 << 22).filter(is_near).take(count)
}

fn data(stream: u64, bytes: &[u8], fin: bool) -> Input {
    Input::StreamData {
        stream: StreamId::from(stream),
        data: Bytes::copy_from_slice(bytes),
        fin,
    }
}

fn reset(stream: u64) -> Input {
    Input::StreamReset {
        stream: StreamId::from(stream),
        code: 0x10c,
        final_size: None,
    }
}

/// As much at a time as is in a packet.
fn whole(stream: u64, bytes: &[u8]) -> Inputs {
    let pieces = bytes.chunks(1400);
    pieces.map(|piece| data(stream, piece, false)).collect()
}

/// On a stream of the session, if it is no other.
fn bytewise(stream: u64, bytes: &[u8]) -> Inputs {
    let (stream, header) = match stream {
        2 => (6, [varint(0x54), varint(0)].concat()),
        other => (other, Vec::new()),
    };
    let bytes = [&header[..], bytes].concat();
    bytes
        .iter()
        .map(|&byte| data(stream, &[byte], false))
        .collect()
}

fn len_of(inputs: &[Input]) -> u64 {
    let len = |input: &Input| match input {
        Input::StreamData { data, .. } | Input::DatagramReceived { data } => data.len() as u64,
        // A frame of QUIC's that says so.
        _ => 4,
    };
    inputs.iter().map(len).sum()
}

// ---- measuring

/// Limits that nothing here reaches: it is the algorithms that are looked at.
fn ready() -> Ends {
    let mut config: Config = Config::clone(&crowded());
    let limits = &mut config.limits;
    limits.answered_requests = 1 << 20;
    limits.unanswered_body = 1 << 20;
    limits.buffered_streams = 1 << 20;
    limits.buffered_bytes = 1 << 24;
    limits.buffered_datagrams = 1 << 20;
    limits.field_section = 1 << 24;
    limits.datagram_capsule = 1 << 20;
    limits.undelivered_datagrams = 1 << 20;
    limits.undelivered_bytes = 1 << 28;
    limits.unwritten_bytes = 1 << 24;
    let mut ends = Ends::with_sessions(&Arc::new(config), 1);
    drain(&mut ends.server, ends.now);
    ends
}

/// The only function whose instructions count.
#[inline(never)]
fn measured(ends: &mut Ends, inputs: Inputs, polls: bool) {
    for input in inputs {
        // Slow enough to be no flood.
        ends.now += Duration::from_millis(2);
        ends.server.handle(ends.now, input);
        if polls {
            drain(&mut ends.server, ends.now);
        }
    }
    drain(&mut ends.server, ends.now);
}

fn play(case: &Case, count: usize) {
    let mut ends = ready();
    let inputs = (case.inputs)(count);
    measured(&mut ends, inputs, case.polls);
    assert!(!ends.server.is_closed(), "{}: it was taken", case.name);
    std::mem::forget(ends);
}

/// Instructions for each hundred bytes.
fn count(name: &str, count: usize, len: u64) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args(["--collect-atstart=no", "--toggle-collect=*linear*measured*"])
        .arg(env::current_exe().unwrap())
        .args([name, &count.to_string()])
        .output()
        .expect("valgrind is here");
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said
        .lines()
        .find_map(|line| line.split("Collected : ").nth(1));
    let collected = collected.and_then(|count| count.trim().parse::<u64>().ok());
    let collected = collected.filter(|&count| count > 0 && output.status.success());
    collected.unwrap_or_else(|| panic!("{name}: {said}")) * 100 / len
}

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (name, size) = (args.next().unwrap_or_default(), args.next());
    if let Some(size) = size.and_then(|size| size.parse().ok()) {
        let case = CASES.iter().find(|case| case.name == name).unwrap();
        play(case, size);
        return ExitCode::SUCCESS;
    }
    // What `cargo test --all-targets` runs is to be quick.
    if name != "--bench" {
        return ExitCode::SUCCESS;
    }
    println!(
        "instructions for a byte: of {SMALL} pieces, of {LARGE}, and the one in percent of the other"
    );
    let mut over = false;
    for case in CASES {
        let [small, large] = [SMALL, LARGE].map(|size| {
            let len = len_of(&(case.inputs)(size));
            count(case.name, size, len)
        });
        let percent = large * 100 / small;
        over |= percent > FACTOR;
        let mark = if percent > FACTOR { " !" } else { "" };
        println!(
            "{:40} {:>6} {:>6} {percent:>4} %{mark}",
            case.name,
            small / 100,
            large / 100
        );
    }
    if over {
        println!("more than {FACTOR} %: some input costs more than its length");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
