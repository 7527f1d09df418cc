//! One QUIC stream, one slot: everything that the connection knows of a stream is in here.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::{handshake::Wanted, outgoing::Outgoing, request_stream::Frames};
use crate::{
    Priority, Protocol, Response, SessionId,
    session::Session,
    wire::{
        tlv::{Collect, Reader},
        varint::Partial,
    },
};

/// As large as a data stream needs, of which there are many: what is larger is in a box.
#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) enum Slot {
    /// The peer's; its first bytes do not yet say what it is.
    Preamble(Box<Preamble>),
    /// Our stream that means nothing.
    Grease(Box<Outgoing>),
    /// Our control stream.
    Control(Box<Outgoing>),
    /// The peer's control stream.
    PeerControl(Box<PeerControl>),
    /// The peer's QPACK encoder stream.
    PeerEncoder,
    /// The peer's QPACK decoder stream.
    PeerDecoder(DecoderStream),
    /// Server: a request that no session was announced for.
    Request(Box<RequestStream>),
    /// A session's CONNECT stream.
    Connect(Box<ConnectStream>),
    /// A data stream.
    Data(DataStream),
}

const _: () = assert!(size_of::<Slot>() <= 32);

impl Slot {
    #[inline]
    pub(super) fn as_connect(&self) -> Option<&ConnectStream> {
        if let Self::Connect(connect) = self {
            Some(connect)
        } else {
            None
        }
    }

    pub(super) fn as_request(&self) -> Option<&RequestStream> {
        if let Self::Request(request) = self {
            Some(request)
        } else {
            None
        }
    }
}

/// The first varints of a peer's stream.
#[derive(Debug, Default)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct Preamble {
    /// The stream type or the first frame type.
    pub(super) kind: Option<u64>,
    pub(super) partial: Partial,
    /// How many bytes of them came.
    pub(super) len: u8,
    /// STOP_SENDING overtook them.
    pub(super) stopped: Option<u64>,
}

#[derive(Debug, Default)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct PeerControl {
    pub(super) reader: Reader,
    pub(super) collect: Collect,
    /// The frame whose payload is being read; `None`: it is skipped.
    pub(super) kind: Option<u64>,
    /// How much more of that payload is kept.
    pub(super) room: usize,
    /// Not all of it is.
    pub(super) is_cut: bool,
    pub(super) has_settings: bool,
}

/// The peer's QPACK decoder stream: how far into a Stream Cancellation it is.
#[derive(Debug, Default)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct DecoderStream {
    pub(super) continues: bool,
}

#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct RequestStream {
    pub(super) frames: Frames,
    pub(super) phase: RequestPhase,
    /// FIN or RESET_STREAM came, perhaps behind bytes that are still being read.
    pub(super) ended: bool,
    pub(super) armed: Option<Instant>,
}

#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) enum RequestPhase {
    /// Its HEADERS are not complete.
    Head,
    /// It asks for a session, and nothing may be said before the peer's SETTINGS.
    Held(Held),
    /// It was answered, and QUIC has not taken all of the answer.
    Answered(Outgoing),
}

/// A CONNECT before the SETTINGS.
#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct Held {
    pub(super) wanted: Wanted,
    pub(super) body: BytesMut,
    pub(super) since: Instant,
}

#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct ConnectStream {
    pub(super) session: Session,
    pub(super) frames: Frames,
    pub(super) outgoing: Outgoing,
    /// Until the answer, where there was anything.
    pub(super) offered: Option<Box<Offered>>,
    /// How urgent it is, as far as was said.
    pub(super) priority: Priority,
    /// The 2xx, until the application has been told.
    pub(super) response: Option<Box<Response>>,
    pub(super) armed: Option<Instant>,
}

/// The protocols that a request offered.
#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct Offered {
    protocols: Vec<Protocol>,
    is_required: bool,
}

#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct DataStream {
    pub(super) session: SessionId,
    /// Bytes of the peer's half that are no payload.
    pub(super) header_len: u8,
    pub(super) sending: Option<Box<Sending>>,
    pub(super) reading: Reading,
    /// Set while the session is not open.
    pub(super) parked: Option<Box<Parked>>,
}

/// Whether the peer's half may bring anything that the application is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "testing", derive(Hash))]
pub(super) enum Reading {
    On,
    /// The application does not read.
    Paused,
    /// It ended, or we have stopped it, or there is none.
    Over,
}

/// The header, or the FIN, on its way to QUIC.
#[derive(Debug, Default)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct Sending {
    pub(super) outgoing: Outgoing,
    pub(super) ending: Ending,
}

/// What our half waits to do behind bytes that QUIC has not taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "testing", derive(Hash))]
pub(super) enum Ending {
    #[default]
    None,
    Finish,
    Reset {
        code: u32,
    },
}

/// What reached a data stream before its session was open.
#[derive(Debug, Default)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct Parked {
    pub(super) bytes: BytesMut,
    pub(super) fin: bool,
    /// While the session is not even requested: what it will be told.
    pub(super) reset: Option<Reset>,
    pub(super) stopped: Option<u64>,
    /// The session knows the stream.
    pub(super) known: bool,
    pub(super) armed: Option<Instant>,
}

/// The peer's reset of a stream.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "testing", derive(PartialEq, Eq, Hash))]
pub(super) struct Reset {
    pub(super) code: u64,
    /// How much payload was sent, where the stack tells.
    pub(super) payload: Option<u64>,
}

impl DataStream {
    pub(super) fn new(session: SessionId, header_len: u8) -> Self {
        Self {
            session,
            header_len,
            sending: None,
            reading: Reading::On,
            parked: None,
        }
    }

    /// What our half waits to do.
    pub(super) fn ending(&self) -> Ending {
        match &self.sending {
            Some(sending) => sending.ending,
            None => Ending::None,
        }
    }

    /// Payload that comes now is for the application, at once.
    #[inline]
    pub(super) fn is_receiving(&self) -> bool {
        self.parked.is_none() && self.reading != Reading::Over
    }
}

impl ConnectStream {
    pub(super) fn new(session: Session, frames: Frames) -> Self {
        Self {
            session,
            frames,
            outgoing: Outgoing::default(),
            offered: None,
            priority: Priority::default(),
            response: None,
            armed: None,
        }
    }

    pub(super) fn offer(&mut self, protocols: &[Protocol], is_required: bool) {
        if is_required || !protocols.is_empty() {
            let protocols = protocols.to_vec();
            self.offered = Some(Box::new(Offered {
                protocols,
                is_required,
            }));
        }
    }

    /// What the request offered, and whether the client insists on one of them.
    pub(super) fn offered(&self) -> (&[Protocol], bool) {
        match &self.offered {
            Some(offered) => (&offered.protocols, offered.is_required),
            None => (&[], false),
        }
    }

    /// Nothing is owed in either direction.
    pub(super) fn is_over(&self) -> bool {
        self.session.is_drained() && self.outgoing.is_written()
    }
}

impl Preamble {
    /// Reads one of them.
    pub(super) fn read(&mut self, data: &mut Bytes) -> Option<u64> {
        let before = data.len();
        let value = self.partial.read(data);
        let read = u8::try_from(before - data.len()).unwrap_or(u8::MAX);
        self.len = self.len.saturating_add(read);
        value
    }
}

impl Parked {
    /// The bytes, and whether they are the last.
    pub(super) fn take(&mut self) -> (Bytes, bool) {
        (self.bytes.split().freeze(), self.fin)
    }
}
