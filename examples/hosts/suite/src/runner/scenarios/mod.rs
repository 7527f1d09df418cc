//! What is played. The ids are those of the endings in the README; what works has ids with a W.

mod connection;
mod never_opened;
mod peer_ends;
mod we_end;
mod works;

use webtransport_session::{CloseReason, CloseVia, Side, StreamId};

use crate::{
    Failure,
    stage::{Setup, Stage},
};

/// One row of the table for each of its actors.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) id: &'static str,
    /// What the actor does.
    pub(crate) title: &'static str,
    /// Who acts. Told of it is mostly the other side.
    pub(crate) actors: &'static [Side],
    pub(crate) setup: fn(&mut Setup, Side),
    pub(crate) play: fn(&mut Stage, Side) -> Result<(), Failure>,
}

const EITHER: &[Side] = &[Side::Client, Side::Server];
const CLIENT: &[Side] = &[Side::Client];
const SERVER: &[Side] = &[Side::Server];

/// Nothing beyond the defaults.
fn plain(_: &mut Setup, _: Side) {}

pub(crate) fn all() -> impl Iterator<Item = &'static Scenario> {
    [
        works::SCENARIOS,
        peer_ends::SCENARIOS,
        never_opened::SCENARIOS,
        connection::SCENARIOS,
        we_end::SCENARIOS,
    ]
    .into_iter()
    .flatten()
}

/// The control stream that this side opens first.
fn control(side: Side) -> StreamId {
    StreamId::new(side, webtransport_session::Dir::Uni, 0)
}

fn peer_closed(code: u32, message: &str) -> CloseReason {
    CloseReason::Peer {
        code,
        message: message.into(),
        via: CloseVia::Capsule,
    }
}

fn local(code: u32, message: &str) -> CloseReason {
    let message = message.into();
    CloseReason::Local { code, message }
}

// ---- bytes of HTTP/3, for peers that break rules

/// A frame or a capsule of a type and a length below 64.
fn tlv(kind: &[u8], value: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_vec();
    bytes.push(u8::try_from(value.len()).unwrap_or(0x3f));
    bytes.extend_from_slice(value);
    bytes
}

/// A DATA frame (RFC 9114 §7.2.1).
fn data(value: &[u8]) -> Vec<u8> {
    tlv(&[0x00], value)
}

/// A capsule that closes the session (draft §6).
fn close_capsule(code: u32, message: &[u8]) -> Vec<u8> {
    tlv(&[0x68, 0x43], &[&code.to_be_bytes(), message].concat())
}

const H3_NO_ERROR: u64 = 0x100;
const H3_FRAME_UNEXPECTED: u64 = 0x105;
const H3_REQUEST_REJECTED: u64 = 0x10b;
const H3_REQUEST_CANCELLED: u64 = 0x10c;
const WT_SESSION_GONE: u64 = 0x170d_7b68;
