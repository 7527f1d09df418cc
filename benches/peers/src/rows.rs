//! Which rows the report shows, in which order, and what was aimed at.

/// A row of instructions and allocations.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The operation.
    pub id: &'static str,
    /// For readers.
    pub title: &'static str,
    /// At most so many instructions, and so many allocations (reallocations among them).
    pub aim: Option<(f64, f64)>,
}

pub const ROWS: &[Row] = &[
    row("datagram-in-20", "datagram in, 20 B, to event"),
    aimed(
        "datagram-in-100",
        "datagram in, 100 B, to event",
        200.0,
        0.0,
    ),
    row("datagram-in-1200", "datagram in, 1200 B, to event"),
    row(
        "datagram-in-100-of-1000-sessions",
        "the same of 100 B, 1000 sessions",
    ),
    row(
        "datagram-in-100-of-10000-sessions",
        "the same of 100 B, 10,000 sessions",
    ),
    row(
        "datagram-in-100-batch-of-16",
        "the same of 100 B, polled after 16",
    ),
    row("datagram-out-20", "datagram out, 20 B"),
    aimed("datagram-out-100", "datagram out, 100 B", 300.0, 1.0),
    row("datagram-out-1200", "datagram out, 1200 B"),
    row(
        "datagram-out-100-of-1000-sessions",
        "datagram out, 100 B, 1000 sessions",
    ),
    aimed(
        "datagram-out-100-reused",
        "datagram out, 100 B, caller's buffer",
        120.0,
        0.0,
    ),
    row("datagram-both-100", "datagram through both ends, 100 B"),
    row("datagram-both-1200", "datagram through both ends, 1200 B"),
    aimed("chunk-in-1200", "1200 B of a data stream, in", 220.0, 0.0),
    row("chunk-in-65536", "64 KiB of a data stream, in"),
    row("chunk-in-1200-flow-control", "1200 B in, flow control"),
    row("chunk-in-65536-flow-control", "64 KiB in, flow control"),
    row("chunk-out-1200", "leave to write 1200 B"),
    row(
        "chunk-out-1200-flow-control",
        "leave to write 1200 B, flow control",
    ),
    aimed(
        "uni-stream-in",
        "uni stream in: header, 1 byte, FIN",
        1000.0,
        1.0,
    ),
    row("uni-stream-in-flow-control", "the same with flow control"),
    row("uni-stream-out", "uni stream out: open, write, finish"),
    aimed(
        "session-open",
        "session on a ready connection, both sides",
        20_000.0,
        16.0,
    ),
    row(
        "session-open-and-close",
        "the same, and its close, both sides",
    ),
    aimed("handshake", "whole handshake, both sides", 30_000.0, 30.0),
    row(
        "connect-in-huffman",
        "CONNECT with origin to SessionRequested, Huffman",
    ),
    row("connect-in-plain", "the same, plain"),
    row("connect-out", "CONNECT with origin, from permit to write"),
    aimed_instructions(
        "connect-decode-huffman",
        "CONNECT with origin, decode, Huffman",
        6000.0,
    ),
    aimed_instructions("connect-decode-plain", "the same, plain", 2500.0),
    aimed_instructions("connect-encode", "CONNECT with origin, encode", 1000.0),
    row("settings-in", "SETTINGS in"),
    row("settings-out", "SETTINGS out"),
    aimed(
        "close-capsule-in",
        "close capsule to SessionClosed",
        2500.0,
        4.0,
    ),
    row("close-capsule-both", "close, both sides"),
    row(
        "timeout-not-due-1000-sessions",
        "timeout that is nobody's, 1000 sessions",
    ),
    row(
        "inactivity-of-1000-sessions",
        "inactivity of 1000 sessions, for each",
    ),
    row(
        "connection-lost-1000-sessions",
        "connection lost with 1000 sessions, for each",
    ),
];

/// What sessions add to QUIC.
pub const WHOLES: &[Held] = &[
    held("quic-datagram-100", "datagram of 100 B", Some(560.0)),
    held("quic-datagram-1200", "datagram of 1200 B", Some(870.0)),
    held(
        "quic-mib-of-stream",
        "1 MiB of a unidirectional stream",
        None,
    ),
    held("quic-session", "session, open and close", Some(80_000.0)),
];

/// A row of bytes, or of what is added.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub id: &'static str,
    pub title: &'static str,
    /// At most so many.
    pub aim: Option<f64>,
}

pub const HELD: &[Held] = &[
    held("size-of-connection", "size_of::<Connection>()", None),
    held("size-of-event", "size_of::<Event>()", None),
    held(
        "connection-with-one-session",
        "one server connection with one session: its size and its heap",
        Some(2500.0),
    ),
    held(
        "one-more-session",
        "heap of one more session, one side",
        Some(350.0),
    ),
    held(
        "after-10000-streams",
        "heap that 10,000 finished streams leave",
        Some(0.0),
    ),
    held(
        "after-1000-sessions",
        "heap that 1,000 finished sessions leave, both sides",
        None,
    ),
];

const fn row(id: &'static str, title: &'static str) -> Row {
    let aim = None;
    Row { id, title, aim }
}

const fn aimed(id: &'static str, title: &'static str, instructions: f64, allocations: f64) -> Row {
    let aim = Some((instructions, allocations));
    Row { id, title, aim }
}

const fn aimed_instructions(id: &'static str, title: &'static str, instructions: f64) -> Row {
    aimed(id, title, instructions, f64::INFINITY)
}

const fn held(id: &'static str, title: &'static str, aim: Option<f64>) -> Held {
    Held { id, title, aim }
}
