//! What is on its way to one end: the bytes of each stream in order, and everything else in any.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use webtransport_session::{Action, ConnectionLost, StreamId};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Packet {
    Data { data: Bytes, fin: bool },
    Reset { code: u64 },
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Network {
    pub streams: BTreeMap<StreamId, VecDeque<Packet>>,
    pub stops: BTreeMap<StreamId, u64>,
    pub datagrams: VecDeque<Bytes>,
    /// CONNECTION_CLOSE.
    pub close: Option<ConnectionLost>,
    /// Streams that this end reads no more of.
    dead: BTreeSet<StreamId>,
}

impl Network {
    pub fn send(&mut self, stream: StreamId, packet: Packet) {
        if !self.dead.contains(&stream) {
            self.streams.entry(stream).or_default().push_back(packet);
        }
    }

    /// The next of a stream, in order.
    pub fn next(&mut self, stream: StreamId) -> Option<Packet> {
        let queue = self.streams.get_mut(&stream)?;
        let packet = queue.pop_front()?;
        if queue.is_empty() {
            self.streams.remove(&stream);
        }
        Some(packet)
    }

    /// A reset that is behind other bytes of its stream.
    pub fn can_overtake(&self, stream: StreamId) -> bool {
        let queue = &self.streams[&stream];
        queue.len() > 1 && matches!(queue.back(), Some(Packet::Reset { .. }))
    }

    /// That reset; the bytes are dropped.
    pub fn overtake(&mut self, stream: StreamId) -> Option<Packet> {
        self.streams.remove(&stream)?.pop_back()
    }

    /// This end reads no more of a stream.
    pub fn stop(&mut self, stream: StreamId) {
        self.streams.remove(&stream);
        self.dead.insert(stream);
    }

    /// This end's QUIC is closed.
    pub fn shut(&mut self) {
        *self = Self::default();
    }

    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
            && self.stops.is_empty()
            && self.datagrams.is_empty()
            && self.close.is_none()
    }
}

/// What an action puts on the way to the other end.
pub fn carry(action: Action, from: &mut Network, to: &mut Network) {
    match action {
        Action::Write { stream, data, fin } => to.send(stream, Packet::Data { data, fin }),
        Action::Reset { stream, code, .. } => to.send(stream, Packet::Reset { code }),
        Action::StopSending { stream, code } => {
            from.stop(stream);
            to.stops.insert(stream, code);
        }
        Action::CloseConnection { code, reason } => {
            from.shut();
            let reason = Bytes::from_static(reason.as_bytes());
            to.close = Some(ConnectionLost::PeerApplication { code, reason });
        }
        Action::Read { .. } => {}
    }
}
