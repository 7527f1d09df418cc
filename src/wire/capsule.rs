//! The capsules of a CONNECT stream (RFC 9297 §3.2, draft §4.7, §5.6, §6), written and read.
//!
//! Rules that bytes alone decide are checked here, each at the first byte that breaks it. Whether a capsule
//! may come at this moment, and what it does to the session, is not known here.

use bytes::{BufMut, Bytes};

use super::tlv::{Collect, Part, Reader};
use super::{frame, varint};
use crate::{Dir, Violation};

pub(crate) const DATAGRAM: u64 = 0x00;
pub(crate) const CLOSE: u64 = 0x2843;
pub(crate) const DRAIN: u64 = 0x78ae;
pub(crate) const MAX_DATA: u64 = 0x190B_4D3D;
pub(crate) const MAX_STREAM_DATA: u64 = 0x190B_4D3E;
pub(crate) const MAX_STREAMS_BIDI: u64 = 0x190B_4D3F;
pub(crate) const MAX_STREAMS_UNI: u64 = 0x190B_4D40;
pub(crate) const DATA_BLOCKED: u64 = 0x190B_4D41;
pub(crate) const STREAM_DATA_BLOCKED: u64 = 0x190B_4D42;
pub(crate) const STREAMS_BLOCKED_BIDI: u64 = 0x190B_4D43;
pub(crate) const STREAMS_BLOCKED_UNI: u64 = 0x190B_4D44;

/// The error code in front of a close message.
const CLOSE_CODE_LEN: u64 = 4;
/// The longest variable-length integer.
const VARINT_LEN: u64 = 8;
/// §6: "its length MUST NOT exceed 1024 bytes."
const CLOSE_MESSAGE_MAX: u64 = 1024;

/// WT_CLOSE_SESSION. The message is a `CloseMessage`, which holds no more than fits.
pub(crate) fn close(code: u32, message: &str) -> Bytes {
    let len = 4usize.saturating_add(message.len());
    let wire_len = u64::try_from(len).unwrap_or(u64::MAX);
    let mut out =
        Vec::with_capacity((varint::size(CLOSE) + varint::size(wire_len)).saturating_add(len));
    frame::put_header(&mut out, CLOSE, wire_len);
    out.put_u32(code);
    out.put_slice(message.as_bytes());
    Bytes::from(out)
}

/// WT_DRAIN_SESSION.
pub(crate) fn drain() -> Bytes {
    frame::encode(DRAIN, &[])
}

/// A flow control capsule (§5.6).
pub(crate) fn flow(kind: FlowKind, value: u64) -> Bytes {
    let kind = match kind {
        FlowKind::MaxData => MAX_DATA,
        FlowKind::MaxStreams(Dir::Bi) => MAX_STREAMS_BIDI,
        FlowKind::MaxStreams(Dir::Uni) => MAX_STREAMS_UNI,
        FlowKind::DataBlocked => DATA_BLOCKED,
        FlowKind::StreamsBlocked(Dir::Bi) => STREAMS_BLOCKED_BIDI,
        FlowKind::StreamsBlocked(Dir::Uni) => STREAMS_BLOCKED_UNI,
    };
    let (value, len) = varint::encode(value);
    frame::encode(kind, value.get(..len).unwrap_or(&value))
}

/// What a flow control capsule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "testing", derive(Hash))]
pub(crate) enum FlowKind {
    MaxData,
    MaxStreams(Dir),
    DataBlocked,
    StreamsBlocked(Dir),
}

impl FlowKind {
    const fn of(kind: u64) -> Option<Self> {
        Some(match kind {
            MAX_DATA => Self::MaxData,
            MAX_STREAMS_BIDI => Self::MaxStreams(Dir::Bi),
            MAX_STREAMS_UNI => Self::MaxStreams(Dir::Uni),
            DATA_BLOCKED => Self::DataBlocked,
            STREAMS_BLOCKED_BIDI => Self::StreamsBlocked(Dir::Bi),
            STREAMS_BLOCKED_UNI => Self::StreamsBlocked(Dir::Uni),
            _ => return None,
        })
    }
}

/// A capsule that has come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Capsule {
    /// The message is at most 1024 bytes, and a copy: a short one keeps no large buffer of QUIC's alive.
    Close {
        code: u32,
        message: String,
    },
    Drain,
    Datagram {
        payload: Bytes,
    },
    Flow {
        kind: FlowKind,
        value: u64,
    },
    /// Of no meaning here, or a datagram over the limit: passed over, unread.
    Ignored,
}

/// What is allowed in this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Whether WT_MAX_STREAM_DATA and WT_STREAM_DATA_BLOCKED are violations; else they are unknown capsules.
    pub(crate) stream_data_prohibited: bool,
    /// Whether there is flow control; else its capsules are passed over, unread (§5.1).
    pub(crate) flow_control: bool,
    /// Longer DATAGRAM capsules are passed over, in bytes of payload.
    pub(crate) datagram_limit: usize,
}

/// What becomes of the payload that is being read.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "testing", derive(PartialEq, Eq, Hash))]
enum Fate {
    Ignore,
    Drain,
    Close,
    Datagram,
    Flow(FlowKind),
    /// There was a violation: everything is swallowed.
    Failed,
}

/// Reads capsules from any chunks. Holds at most one close message or datagram.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "testing", derive(PartialEq, Eq, Hash))]
pub(crate) struct Decoder {
    reader: Reader,
    collect: Collect,
    fate: Fate,
}

const _: () = assert!(size_of::<Decoder>() <= 64);

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self {
            reader: Reader::new(),
            collect: Collect::default(),
            fate: Fate::Ignore,
        }
    }

    /// The next capsule that ends in `input`. `None`: all of `input` is taken, more is wanted.
    ///
    /// A violation comes once; everything after it is taken without a word.
    pub(crate) fn next(
        &mut self,
        input: &mut Bytes,
        rules: Rules,
    ) -> Option<Result<Capsule, Violation>> {
        if matches!(self.fate, Fate::Failed) {
            input.clear();
            return None;
        }
        let next = self.advance(input, rules).transpose();
        if matches!(next, Some(Err(_))) {
            self.fate = Fate::Failed;
            self.collect = Collect::default();
        }
        next
    }

    /// Whether no capsule is begun: where a FIN may come. `false` after a violation.
    pub(crate) const fn is_between(&self) -> bool {
        self.reader.is_between() && !matches!(self.fate, Fate::Failed)
    }

    /// Nobody wants the datagram that is being read, if one is.
    pub(crate) fn drop_datagram(&mut self) {
        if matches!(self.fate, Fate::Datagram) {
            self.fate = Fate::Ignore;
            self.collect = Collect::default();
        }
    }

    fn advance(&mut self, input: &mut Bytes, rules: Rules) -> Result<Option<Capsule>, Violation> {
        while let Some(part) = self.reader.next(input) {
            match part {
                Part::Header { kind, len } => self.fate = fate(kind, len, rules)?,
                Part::Payload { data, end } => {
                    if let Some(capsule) = self.payload(data, end)? {
                        return Ok(Some(capsule));
                    }
                }
            }
        }
        match self.reader.begun_kind() {
            Some(kind) => check_kind(kind, rules).map(|()| None),
            None => Ok(None),
        }
    }

    fn payload(&mut self, data: Bytes, end: bool) -> Result<Option<Capsule>, Violation> {
        match self.fate {
            Fate::Ignore | Fate::Failed => Ok(end.then_some(Capsule::Ignored)),
            Fate::Drain => Ok(end.then_some(Capsule::Drain)),
            Fate::Datagram => Ok(self
                .collect
                .push(data, end)
                .map(|payload| Capsule::Datagram { payload })),
            Fate::Close => self.collect.push(data, end).map(close_from).transpose(),
            Fate::Flow(kind) => match self.collect.push(data, end) {
                None => Ok(None),
                // RFC 9297 §3.3: fields that end early or late make the message malformed.
                Some(payload) => frame::single_varint(&payload)
                    .map(|value| Some(Capsule::Flow { kind, value }))
                    .ok_or(Violation::MalformedCapsule),
            },
        }
    }
}

fn check_kind(kind: u64, rules: Rules) -> Result<(), Violation> {
    match kind {
        // §5.4: "Endpoints MUST treat receipt of a WT_MAX_STREAM_DATA or a WT_STREAM_DATA_BLOCKED
        // capsule as a session error."
        MAX_STREAM_DATA | STREAM_DATA_BLOCKED if rules.stream_data_prohibited => {
            Err(Violation::ForbiddenCapsule)
        }
        _ => Ok(()),
    }
}

fn fate(kind: u64, len: u64, rules: Rules) -> Result<Fate, Violation> {
    check_kind(kind, rules)?;
    match kind {
        // RFC 9297 §3.3: a capsule that ends inside its fields makes the message malformed.
        CLOSE if len < CLOSE_CODE_LEN => Err(Violation::TruncatedClose),
        // §6: "If the Application Error Message exceeds 1024 bytes or is not valid UTF-8, the
        // receiver MUST reset the stream with code H3_MESSAGE_ERROR."
        CLOSE if len > CLOSE_CODE_LEN + CLOSE_MESSAGE_MAX => Err(Violation::MessageTooLong),
        CLOSE => Ok(Fate::Close),
        // §4.7: "Length (i) = 0"
        DRAIN if len > 0 => Err(Violation::MalformedCapsule),
        DRAIN => Ok(Fate::Drain),
        DATAGRAM if usize::try_from(len).is_ok_and(|len| len <= rules.datagram_limit) => {
            Ok(Fate::Datagram)
        }
        // RFC 9297 §3.2: a capsule of unknown type is silently dropped and skipped over.
        _ => match FlowKind::of(kind).filter(|_| rules.flow_control) {
            Some(_) if !(1..=VARINT_LEN).contains(&len) => Err(Violation::MalformedCapsule),
            Some(kind) => Ok(Fate::Flow(kind)),
            None => Ok(Fate::Ignore),
        },
    }
}

fn close_from(payload: Bytes) -> Result<Capsule, Violation> {
    let (code, message) = payload
        .split_first_chunk()
        .ok_or(Violation::TruncatedClose)?;
    match String::from_utf8(message.to_vec()) {
        Ok(message) => Ok(Capsule::Close {
            code: u32::from_be_bytes(*code),
            message,
        }),
        Err(_) => Err(Violation::MessageNotUtf8),
    }
}

#[cfg(test)]
mod tests;
