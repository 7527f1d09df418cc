//! What a byte of a hostile peer's costs, in instructions. `cargo bench --bench linear` prints a table and
//! fails where a byte costs more than the row's bound, or much more when there is ten times as much: of
//! the input, or, with the same input, of the streams and sessions that are open already.
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
    hint::black_box,
    process::{Command, ExitCode},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use webtransport_session::{Config, Connection, Input, Side, StreamId};

mod operations;

use operations::ends::{Ends, crowded, drain};

/// How often the input is repeated, or how long it is.
const SMALL: usize = 200;
const LARGE: usize = 10 * SMALL;
/// How many streams or sessions are open, where it is these that grow.
const FEW: usize = 100;
const MANY: usize = 10 * FEW;
/// A byte of the large one may cost so many percent of one of the small: maps have logarithms,
/// and buffers grow.
const FACTOR: u64 = 150;

/// What comes in, one after another.
type Inputs = Vec<Input>;

struct Case {
    name: &'static str,
    /// The bound: so many instructions a byte. About twice what it was when it was last set.
    most: u64,
    side: Side,
    inputs: fn(usize) -> Inputs,
    polls: Polls,
    /// What is there before; `None`: it is the input that grows.
    before: Option<fn(usize) -> Ends>,
}

/// Which events the application polls.
#[derive(Clone, Copy)]
enum Polls {
    /// All, after each input.
    All,
    /// None before the last.
    Last,
    /// As few as it can, so that the stream is read.
    AtTheEdge,
}

impl Case {
    /// The input is as it is, and comes to so many streams or sessions.
    const fn beside(mut self, before: fn(usize) -> Ends) -> Self {
        self.before = Some(before);
        self
    }

    /// What grows: small and large.
    fn sizes(&self) -> [usize; 2] {
        match self.before {
            Some(_) => [FEW, MANY],
            None => [SMALL, LARGE],
        }
    }

    fn inputs(&self, size: usize) -> Inputs {
        let is_standing = self.before.is_some();
        (self.inputs)(if is_standing { SMALL } else { size })
    }
}

const fn case(name: &'static str, most: u64, inputs: fn(usize) -> Inputs) -> Case {
    Case {
        name,
        most,
        side: Side::Server,
        inputs,
        polls: Polls::All,
        before: None,
    }
}

const fn unread(name: &'static str, most: u64, inputs: fn(usize) -> Inputs) -> Case {
    Case {
        polls: Polls::Last,
        ..case(name, most, inputs)
    }
}

const fn at_the_edge(name: &'static str, most: u64, inputs: fn(usize) -> Inputs) -> Case {
    Case {
        polls: Polls::AtTheEdge,
        ..case(name, most, inputs)
    }
}

const fn of_client(name: &'static str, most: u64, inputs: fn(usize) -> Inputs) -> Case {
    Case {
        side: Side::Client,
        ..case(name, most, inputs)
    }
}

/// The session on stream 0 is open, unless a row says what is; ids of further streams begin behind it.
const CASES: &[Case] = &[
    case("stream, a byte at a time", 1300, |n| {
        bytewise(2, &payload(n))
    }),
    unread("stream, a byte at a time, unread", 1400, |n| {
        bytewise(2, &payload(n))
    }),
    case("stream header and FIN, again and again", 670, |n| {
        let header = [varint(0x54), varint(0)].concat();
        streams(n)
            .flat_map(|id| [data(id, &header, true)])
            .collect()
    }),
    unread("the same, unread", 730, |n| {
        let header = [varint(0x54), varint(0)].concat();
        streams(n)
            .flat_map(|id| [data(id, &header, true)])
            .collect()
    }),
    case("streams that are reset", 760, |n| {
        let header = [varint(0x54), varint(0)].concat();
        streams(n)
            .flat_map(|id| [data(id, &header, false), reset(id)])
            .collect()
    }),
    case("every second stream, open", 1100, |n| {
        let header = [varint(0x54), varint(0)].concat();
        streams(2 * n)
            .step_by(2)
            .map(|id| data(id, &header, false))
            .collect()
    }),
    case("open streams with ids that collide", 7700, |n| {
        let header = [varint(0x54), varint(0)].concat();
        colliding(n).map(|id| data(id, &header, false)).collect()
    }),
    case("streams of unknown types", 320, |n| {
        streams(n)
            .flat_map(|id| [data(id, &varint(0x21 + 0x1f * id), false), reset(id)])
            .collect()
    }),
    case("streams of a session to come", 2300, |n| {
        let header = [varint(0x54), varint(4)].concat();
        let early = streams(n).map(|id| data(id, &header, false));
        early.chain([data(4, &connect(&[]), false)]).collect()
    }),
    case("datagrams of a session to come", 1800, |n| {
        let early = (0..n).map(|_| Input::DatagramReceived {
            data: Bytes::from_static(b"\x01d"),
        });
        early.chain([data(4, &connect(&[]), false)]).collect()
    }),
    unread("datagrams, unread", 450, |n| {
        let one = || Input::DatagramReceived {
            data: Bytes::from_static(b"\0d"),
        };
        (0..n).map(|_| one()).collect()
    }),
    case("DATA frames of a byte", 2100, |n| {
        bytewise(0, &tlv(0x00, &[0x17]).repeat(n))
    }),
    case("capsules of unknown types", 220, |n| {
        whole(0, &tlv(0x00, &tlv(0x17, b"x").repeat(n)))
    }),
    case("DATAGRAM capsules", 900, |n| {
        whole(0, &tlv(0x00, &tlv(0x00, b"d").repeat(n)))
    }),
    case("DATAGRAM capsule, a byte at a time", 3300, |n| {
        bytewise(0, &tlv(0x00, &tlv(0x00, &payload(16 * n))))
    }),
    case("an unknown frame, a byte at a time", 1600, |n| {
        bytewise(0, &tlv(0x21, &payload(16 * n)))
    }),
    case("head, a byte at a time", 1900, |n| {
        bytewise(4, &connect(&[("x".into(), "v".repeat(8 * n))]))
    }),
    case("head with names that differ", 520, |n| {
        let name = |n: usize| format!("x{n}");
        let fields: Vec<_> = (0..n).map(|n| (name(n), "v".into())).collect();
        whole(4, &connect(&fields))
    }),
    case("head with one name again and again", 600, |n| {
        whole(4, &connect(&vec![("x".into(), "v".into()); n]))
    }),
    case("head with cookies", 280, |n| {
        whole(4, &connect(&vec![("cookie".into(), "v".into()); n]))
    }),
    case("head with protocols", 310, |n| {
        let offered: Vec<_> = (0..n).map(|n| format!("\"{n}\"")).collect();
        let name = "wt-available-protocols".into();
        whole(4, &connect(&[(name, offered.join(", "))]))
    }),
    case("head with Huffman codes", 90, |n| {
        let mut section = vec![0, 0, 0x21, b'x'];
        section.extend(prefixed(0x80, 7, 8 * n));
        section.extend(vec![0; 8 * n]);
        whole(4, &tlv(0x01, &section))
    }),
    case("requests that are taken back", 170, |n| {
        let head = connect(&[]);
        (1..=n as u64)
            .flat_map(|n| [data(4 * n, &head, false), reset(4 * n)])
            .collect()
    }),
    unread("requests that stay, unread", 150, |n| {
        let head = connect(&[]);
        (1..=n as u64).map(|n| data(4 * n, &head, false)).collect()
    }),
    case("priorities of requests to come", 540, |n| {
        (1..=n as u64)
            .flat_map(|n| {
                let update = [varint(4 * n), b"u=1".to_vec()].concat();
                whole(2, &tlv(0xf_0700, &update))
            })
            .collect()
    }),
    case("GREASE frames on the control stream", 660, |n| {
        (0..n).flat_map(|_| whole(2, &tlv(0x21, b"x"))).collect()
    }),
    at_the_edge("data, much undelivered | streams", 20, |n| {
        (0..100 * n)
            .map(|_| data(6, &payload(100), false))
            .collect()
    })
    .beside(open_streams),
    case("streams of a session that are reset | streams", 880, |n| {
        let header = [varint(0x54), varint(0)].concat();
        later_streams(n)
            .flat_map(|id| [data(id, &header, false), reset(id)])
            .collect()
    })
    .beside(open_streams),
    case("streams reset before their header | streams", 400, |n| {
        later_streams(n).map(reset).collect()
    })
    .beside(open_streams),
    case("streams reset before their header | sessions", 410, |n| {
        later_streams(n).map(reset).collect()
    })
    .beside(open_sessions),
    case("datagrams of no session | unfinished headers", 800, |n| {
        (0..n)
            .map(|_| Input::DatagramReceived {
                data: Bytes::from_static(b"\x3fd"),
            })
            .collect()
    })
    .beside(unfinished_headers),
    case("datagrams of a session | sessions", 420, |n| {
        (0..n)
            .map(|_| Input::DatagramReceived {
                data: Bytes::from_static(b"\0d"),
            })
            .collect()
    })
    .beside(open_sessions),
    case("requests that are taken back | sessions", 190, |n| {
        let head = connect(&[]);
        (1..=n as u64)
            .map(|n| LATER + n)
            .flat_map(|n| [data(4 * n, &head, false), reset(4 * n)])
            .collect()
    })
    .beside(open_sessions),
    case("GOAWAY, again and again | sessions", 790, |n| {
        (0..n).flat_map(|_| whole(2, &tlv(0x07, &[0]))).collect()
    })
    .beside(told_to_go),
    of_client(
        "GOAWAY, lower and lower | a client's sessions",
        1000,
        |_| {
            let ids = (0..FEW as u64 / 2).rev().map(|n| 4 * n);
            ids.flat_map(|id| whole(3, &tlv(0x07, &varint(id))))
                .collect()
        },
    )
    .beside(told_to_go),
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

/// Behind all that are open already, and [skipped](skip) to.
const LATER: u64 = 2 * MANY as u64;

/// Behind those that are open already.
fn later_streams(count: usize) -> impl Iterator<Item = u64> {
    streams(count).map(|id| id + 4 * LATER)
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
fn unlimited() -> Config {
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
    config
}

fn open_sessions(count: usize) -> Ends {
    let mut ends = Ends::with_sessions(&Arc::new(unlimited()), count);
    drain(&mut ends.server, ends.now);
    skip(&mut ends);
    ends
}

/// Of one session; of what waits no more than is usual.
fn open_streams(count: usize) -> Ends {
    let mut config = unlimited();
    config.limits.undelivered_bytes = Config::default().limits.undelivered_bytes;
    let mut ends = Ends::with_sessions(&Arc::new(config), 1);
    let header = [varint(0x54), varint(0)].concat();
    take(&mut ends, streams(count).map(|id| data(id, &header, false)));
    skip(&mut ends);
    ends
}

/// Streams that do not say what they are, and no session.
fn unfinished_headers(count: usize) -> Ends {
    let mut ends = Ends::with_sessions(&Arc::new(unlimited()), 0);
    take(&mut ends, streams(count).map(|id| data(id, &[0x40], false)));
    ends
}

/// Either side was told a first time that the other goes away.
fn told_to_go(count: usize) -> Ends {
    let mut ends = open_sessions(count);
    let goaway = tlv(0x07, &varint(2 * FEW as u64));
    take(&mut ends, [data(2, &goaway, false)].into_iter());
    ends.client.handle(ends.now, data(3, &goaway, false));
    drain(&mut ends.client, ends.now);
    ends
}

/// Streams that were skipped are owed, and are noted when the first behind them comes.
fn skip(ends: &mut Ends) {
    take(ends, [4 * LATER, 4 * LATER + 2].map(reset).into_iter());
}

fn take(ends: &mut Ends, inputs: impl Iterator<Item = Input>) {
    for input in inputs {
        ends.server.handle(ends.now, input);
        drain(&mut ends.server, ends.now);
    }
}

/// The only function whose instructions count.
#[inline(never)]
fn measured(connection: &mut Connection, mut now: Instant, inputs: Inputs, polls: Polls) {
    for input in inputs {
        // Slow enough to be no flood.
        now += Duration::from_millis(2);
        if let (Polls::AtTheEdge, Input::StreamData { stream, .. }) = (polls, &input) {
            while !connection.wants(*stream) {
                black_box(connection.poll());
            }
            while let Some(action) = connection.poll_action() {
                black_box(action);
            }
        }
        connection.handle(now, input);
        if let Polls::All = polls {
            drain(connection, now);
        }
        black_box(connection.poll_timeout());
    }
    drain(connection, now);
}

fn play(case: &Case, size: usize) {
    let mut ends = match case.before {
        Some(before) => before(size),
        None => Ends::with_sessions(&Arc::new(unlimited()), 1),
    };
    let now = ends.now;
    let connection = ends.end(case.side);
    drain(connection, now);
    measured(connection, now, case.inputs(size), case.polls);
    assert!(!connection.is_closed(), "{}: it was taken", case.name);
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
        "instructions for a byte: the bound, of {SMALL} pieces, of {LARGE}, and the one in percent of the"
    );
    println!("other; or, where it says what is open already, with {FEW} and {MANY} of these");
    let mut over = false;
    for case in CASES {
        let [small, large] = case.sizes().map(|size| {
            let len = len_of(&case.inputs(size));
            count(case.name, size, len)
        });
        let percent = large * 100 / small;
        let is_over = percent > FACTOR || small.max(large) > case.most * 100;
        over |= is_over;
        let mark = if is_over { " !" } else { "" };
        println!(
            "{:45} {:>6} {:>6} {:>6} {percent:>4} %{mark}",
            case.name,
            case.most,
            small / 100,
            large / 100
        );
    }
    if over {
        println!("more than the bound, or than {FACTOR} %: some input costs more than its length");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
