//! Permissions by value: ask the session, do it on QUIC, commit what really happened.
//!
//! Dropping a permit spends nothing.

use std::marker::PhantomData;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Session, record};
use crate::{
    Dir, SessionId, StreamId,
    wire::{datagram, stream_header},
};

/// The right to open one stream. Dropped unbound: [`Event::StreamsAvailable`](super::Event) will
/// follow.
#[must_use]
#[derive(Debug)]
pub struct OpenPermit<'a> {
    pub(super) session: &'a mut Session,
    pub(super) dir: Dir,
}

impl OpenPermit<'_> {
    /// The kind of stream to open.
    #[must_use]
    pub fn dir(&self) -> Dir {
        self.dir
    }

    /// Commits the stream that QUIC opened. Write the header first: here nobody holds payload back
    /// for you.
    ///
    /// A stream that is bound already, or that this side could not have opened, is not added.
    pub fn bind(self, stream: StreamId) -> StreamHeader {
        let header = StreamHeader::new(self.dir, self.session.id());
        record!(
            self.session,
            SessionStep::OpenStream {
                dir: self.dir,
                bound: Some(stream),
            }
        );
        self.session.bind(stream, self.dir, header.len);
        std::mem::forget(self);
        header
    }
}

impl Drop for OpenPermit<'_> {
    fn drop(&mut self) {
        record!(
            self.session,
            SessionStep::OpenStream {
                dir: self.dir,
                bound: None,
            }
        );
        self.session.refuse_open(self.dir);
    }
}

/// The right to write `len() >= 1` payload bytes now. Dropped unspent, as where QUIC takes none:
/// [`Event::StreamWritable`](super::Event) will follow, with the next fact that QUIC is writable.
#[must_use]
#[derive(Debug)]
pub struct SendCredit<'a> {
    session: &'a mut Session,
    stream: StreamId,
    len: usize,
    spent: Option<usize>,
    #[cfg(feature = "trace")]
    witness: Option<crate::trace::Witness<'a>>,
}

impl<'a> SendCredit<'a> {
    pub(super) fn new(session: &'a mut Session, stream: StreamId, len: usize) -> Self {
        Self {
            session,
            stream,
            len,
            spent: None,
            #[cfg(feature = "trace")]
            witness: None,
        }
    }

    /// What becomes of it is told to somebody.
    #[cfg(feature = "trace")]
    pub(crate) fn before(mut self, witness: crate::trace::Witness<'a>) -> Self {
        self.witness = Some(witness);
        self
    }
}

impl SendCredit<'_> {
    /// Bytes that may be written now; never 0.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "never empty: no credit is an error"
    )]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The front of `data` that may be written.
    #[must_use]
    pub fn clamp<'d>(&self, data: &'d [u8]) -> &'d [u8] {
        data.get(..self.len).unwrap_or(data)
    }

    /// Commits what QUIC took, in bytes. 0 is the same as dropping the credit. Of less than
    /// [`len`](Self::len) no event follows: QUIC is to be asked again, until it refuses.
    pub fn spend(mut self, written: usize) {
        let written = written.min(self.len);
        self.session.spent(written);
        self.spent = Some(written).filter(|&written| written > 0);
    }
}

impl Drop for SendCredit<'_> {
    fn drop(&mut self) {
        #[cfg(feature = "trace")]
        if let Some(witness) = &mut self.witness {
            witness.tell(self.spent);
        }
        record!(
            self.session,
            SessionStep::Credit {
                stream: self.stream,
                spent: self.spent,
            }
        );
        if self.spent.is_none() {
            self.session.refuse_write(self.stream);
        }
    }
}

/// The bytes that begin a data stream and name its session (§4.2, §4.3).
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamHeader {
    bytes: [u8; 12],
    len: u8,
}

impl StreamHeader {
    pub(crate) fn new(dir: Dir, session: SessionId) -> Self {
        let (bytes, len) = stream_header::encode(dir, session.connect_stream().into());
        Self { bytes, len }
    }
}

impl AsRef<[u8]> for StreamHeader {
    fn as_ref(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.len))
            .unwrap_or(&self.bytes)
    }
}

/// The right to send one datagram now. Borrows the machine, so that it cannot outlive its session.
#[must_use]
#[derive(Clone, Copy, Debug)]
pub struct DatagramPermit<'a> {
    header: [u8; 8],
    len: u8,
    machine: PhantomData<&'a Session>,
}

impl DatagramPermit<'_> {
    #[inline]
    pub(crate) fn new(session: SessionId) -> Self {
        let (header, len) = datagram::header(session.connect_stream().into());
        Self {
            header,
            len,
            machine: PhantomData,
        }
    }

    /// At most 8 bytes, to be put before the payload (RFC 9297 §2.1).
    #[inline]
    #[must_use]
    pub fn header(&self) -> &[u8] {
        self.header
            .get(..usize::from(self.len))
            .unwrap_or(&self.header)
    }

    /// The whole payload of QUIC's DATAGRAM frame, in a buffer of its own.
    #[inline]
    #[must_use]
    pub fn encode(&self, payload: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(self.header().len() + payload.len());
        self.encode_into(payload, &mut out);
        out.freeze()
    }

    /// Appends the datagram to a buffer of the caller's; allocates nothing itself.
    #[inline]
    pub fn encode_into(&self, payload: &[u8], out: &mut impl BufMut) {
        out.put_slice(self.header());
        out.put_slice(payload);
    }
}
