//! Takes what applications said to each other out of a recording, and leaves what makes it run.
//!
//! Payload of datagrams and of data streams becomes zeros of the same length. A stream's first
//! varints say what it is, so each is followed from its beginning. Knows nothing of sessions: a
//! stream keeps its bytes only where it is known to carry HTTP/3 itself.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use bytes::{Bytes, BytesMut};

use super::{Record, SessionStep, Step};
use crate::{
    Dir, Input, SessionId, Side, StreamId,
    connection::{
        control::{CONTROL, QPACK_DECODER, QPACK_ENCODER},
        seen::Seen,
    },
    session,
    wire::{
        stream_header,
        varint::{self, Partial},
    },
};

/// Follows one recording from its beginning.
#[derive(Debug)]
#[expect(
    unnameable_types,
    reason = "of what a connection's steps keep to themselves"
)]
pub struct Redactor {
    side: Side,
    /// Streams whose beginning has been seen, however far they came.
    seen: Seen,
    /// Streams of the peer that have not said all of what they are.
    heads: BTreeMap<StreamId, Head>,
    kept: Kept,
    has_begun: bool,
    /// The beginning was missed: what a stream is cannot be told, and no byte of one stays.
    is_blind: bool,
}

/// The first varints of a stream.
#[derive(Debug, Default)]
struct Head {
    partial: Partial,
    /// It is a data stream, and the session id follows.
    is_data: bool,
}

impl Redactor {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            seen: Seen::default(),
            heads: BTreeMap::new(),
            kept: Kept::default(),
            has_begun: false,
            is_blind: false,
        }
    }

    /// The next record, without payload.
    pub(super) fn redact<'r>(&mut self, record: &'r Record) -> Cow<'r, Record> {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        // Times count from the first record: this is the rest of what another file began.
        let is_rest = is_first && !record.at.is_zero();
        self.is_blind |= is_rest || record.step == Step::Missed;
        let Step::Input(input) = &record.step else {
            self.command(&record.step);
            return Cow::Borrowed(record);
        };
        match self.input(input) {
            Some(input) => Cow::Owned(Record {
                at: record.at,
                step: Step::Input(input),
            }),
            None => Cow::Borrowed(record),
        }
    }

    /// Streams of our own, as far as a connection takes them.
    fn command(&mut self, step: &Step) {
        if let Step::Connect { bound, .. } = *step {
            let ours = |stream: &StreamId| {
                self.side == Side::Client && SessionId::try_from(*stream).is_ok()
            };
            if let Some(stream) = bound.filter(ours) {
                if self.seen.mark(stream) {
                    self.kept.insert(stream);
                }
            }
        } else if let Step::Open { bound, dir, .. } = *step {
            let ours = |stream: &StreamId| stream.initiator() == self.side && stream.dir() == dir;
            if let Some(stream) = bound.filter(ours) {
                self.seen.mark(stream);
            }
        }
    }

    /// `None`: it has no payload.
    fn input(&mut self, input: &Input) -> Option<Input> {
        match *input {
            Input::StreamData {
                stream,
                ref data,
                fin,
            } => {
                let known = self.stream_data(stream, data, fin);
                let stays = if self.is_blind { 0 } else { known };
                let data = zeroed(data, stays)?;
                return Some(Input::StreamData { stream, data, fin });
            }
            Input::DatagramReceived { ref data } => {
                // RFC 9297 §2.1: the Quarter Stream ID. What has none is no payload either.
                let stays = varint::get(data).map_or(data.len(), |(_, len)| len);
                let data = zeroed(data, stays)?;
                return Some(Input::DatagramReceived { data });
            }
            Input::StreamReset { stream, .. } => {
                self.begin(stream);
                self.end(stream);
            }
            Input::StreamStopped { .. }
            | Input::Written { .. }
            | Input::StreamWritable { .. }
            | Input::StreamAcknowledged { .. }
            | Input::StreamsAvailable { .. }
            | Input::ConnectionClosed { .. }
            | Input::Timeout => {}
        }
        None
    }

    /// How many bytes at the front of `data` stay.
    fn stream_data(&mut self, stream: StreamId, data: &Bytes, fin: bool) -> usize {
        if !data.is_empty() || fin {
            self.begin(stream);
        }
        let stays = if self.kept.has(stream) {
            data.len()
        } else {
            self.head(stream, data)
        };
        if fin {
            self.end(stream);
        }
        stays
    }

    fn begin(&mut self, stream: StreamId) {
        if stream.initiator() != self.side && self.seen.mark(stream) {
            self.heads.insert(stream, Head::default());
        }
    }

    fn end(&mut self, stream: StreamId) {
        self.heads.remove(&stream);
        self.kept.remove(stream);
    }

    /// How much of `data` is what the stream says of itself.
    fn head(&mut self, stream: StreamId, data: &Bytes) -> usize {
        let Some(head) = self.heads.get_mut(&stream) else {
            return 0;
        };
        let mut rest = data.clone();
        if !head.is_data {
            let Some(kind) = head.partial.read(&mut rest) else {
                return data.len();
            };
            match (stream.dir(), kind) {
                (Dir::Uni, stream_header::UNI) | (Dir::Bi, stream_header::BIDI) => {
                    head.is_data = true;
                }
                (Dir::Uni, CONTROL | QPACK_ENCODER | QPACK_DECODER) => {
                    return self.keep(stream, data);
                }
                // A request: whatever a server would open is none.
                (Dir::Bi, _) if self.side == Side::Server => return self.keep(stream, data),
                (Dir::Uni | Dir::Bi, _) => {
                    self.heads.remove(&stream);
                    return data.len() - rest.len();
                }
            }
        }
        if head.partial.read(&mut rest).is_some() {
            self.heads.remove(&stream);
        }
        data.len() - rest.len()
    }

    fn keep(&mut self, stream: StreamId, data: &Bytes) -> usize {
        self.heads.remove(&stream);
        self.kept.insert(stream);
        data.len()
    }
}

/// The same of a session alone: of its streams it knows nothing but lengths, and the body of the
/// CONNECT stream is what makes it run.
#[derive(Debug, Default)]
#[expect(
    unnameable_types,
    reason = "of what a session's steps keep to themselves"
)]
pub struct SessionRedactor {
    /// The beginning was missed: it does not run, and no byte of the body stays.
    is_blind: bool,
}

impl SessionRedactor {
    /// The next record, without payload.
    pub(super) fn redact<'r>(
        &mut self,
        record: &'r Record<SessionStep>,
    ) -> Cow<'r, Record<SessionStep>> {
        self.is_blind |= record.step == SessionStep::Missed;
        let SessionStep::Input(input) = &record.step else {
            return Cow::Borrowed(record);
        };
        match self.input(input) {
            Some(input) => Cow::Owned(Record::new(record.at, SessionStep::Input(input))),
            None => Cow::Borrowed(record),
        }
    }

    /// `None`: it has no payload.
    fn input(&self, input: &session::Input) -> Option<session::Input> {
        match input {
            session::Input::DatagramReceived { payload } => {
                let payload = zeroed(payload, 0)?;
                Some(session::Input::DatagramReceived { payload })
            }
            session::Input::Body { data, fin } if self.is_blind => {
                let (data, fin) = (zeroed(data, 0)?, *fin);
                Some(session::Input::Body { data, fin })
            }
            session::Input::Body { .. }
            | session::Input::ConnectReset { .. }
            | session::Input::ConnectStopped { .. }
            | session::Input::StreamOpened { .. }
            | session::Input::StreamData { .. }
            | session::Input::StreamReset { .. }
            | session::Input::StreamStopped { .. }
            | session::Input::StreamWritable { .. }
            | session::Input::StreamsAvailable { .. }
            | session::Input::GoAway { .. }
            | session::Input::ConnectionClosed { .. }
            | session::Input::Timeout => None,
        }
    }
}

/// Zeros behind the first `stays` bytes; `None` when there is nothing behind them.
fn zeroed(data: &Bytes, stays: usize) -> Option<Bytes> {
    let stay = data.get(..stays)?;
    if stays == data.len() {
        return None;
    }
    let mut zeroed = BytesMut::with_capacity(data.len());
    zeroed.extend_from_slice(stay);
    zeroed.resize(data.len(), 0);
    Some(zeroed.freeze())
}

/// Streams that keep their bytes.
///
/// QUIC does not tell the end of a stream that was stopped, so that some would stay for ever:
/// those that were fed longest ago are dropped when there are very many, and lose their bytes
/// should they go on after all.
#[derive(Debug, Default)]
struct Kept {
    recent: BTreeSet<StreamId>,
    earlier: BTreeSet<StreamId>,
}

/// As many in each half.
const KEPT: usize = 16_384;

impl Kept {
    fn has(&mut self, stream: StreamId) -> bool {
        if self.earlier.remove(&stream) {
            self.insert(stream);
        }
        self.recent.contains(&stream)
    }

    fn insert(&mut self, stream: StreamId) {
        if self.recent.len() >= KEPT {
            self.earlier = std::mem::take(&mut self.recent);
        }
        self.recent.insert(stream);
    }

    fn remove(&mut self, stream: StreamId) {
        self.recent.remove(&stream);
        self.earlier.remove(&stream);
    }
}

#[cfg(test)]
mod tests;
