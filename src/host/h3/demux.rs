//! What h3 sees of a QUIC connection: everything but the unidirectional streams of sessions.
//!
//! h3 0.0.8 tells those apart itself, but not well: it reads once more before it looks at a session
//! id that it has already, so that a stream is not told before its second chunk; and it takes the
//! length of the stream type for that of the session id, so that an empty stream is lost and an id in
//! two pieces ends the connection. Here they are taken out before h3 looks.

use std::{
    collections::VecDeque,
    task::{Context, Poll, ready},
};

use ::h3::{
    error::Code,
    quic::{
        Connection, ConnectionErrorIncoming, OpenStreams, RecvStream, StreamErrorIncoming,
        StreamId as QuicId,
    },
};
use bytes::{Buf, Bytes};

use super::Stack;
use crate::{
    StreamId,
    wire::{stream_header, varint::Partial},
};

/// A QUIC connection, and the sessions' streams that came on it.
pub(super) struct Demux<C: Stack> {
    quic: C,
    begun: VecDeque<Begun<C::RecvStream>>,
    /// In the order in which their headers were complete.
    pub(super) of_sessions: VecDeque<Unidirectional<C::RecvStream>>,
}

/// A session's stream behind its header.
pub(super) struct Unidirectional<S> {
    pub(super) stream: StreamId,
    pub(super) session: u64,
    pub(super) receive: Replay<S>,
}

/// A stream whose header is not complete.
struct Begun<S> {
    id: QuicId,
    stream: S,
    chunks: VecDeque<Bytes>,
    kind: Option<u64>,
    session: Option<u64>,
    partial: Partial,
}

/// A stream some of whose bytes were read already.
pub(super) struct Replay<S> {
    // Stacks do not tell the id while they read (h3-quinn 0.0.10 panics).
    id: QuicId,
    chunks: VecDeque<Bytes>,
    stream: S,
}

enum Kind<S> {
    Http3(Replay<S>),
    Session(Unidirectional<S>),
    /// RFC 9114 §6.2: "A receiver MUST tolerate unidirectional streams being closed or reset prior
    /// to the reception of the unidirectional stream header."
    Nothing,
}

impl<C: Stack> Demux<C> {
    pub(super) fn new(quic: C) -> Self {
        Self {
            quic,
            begun: VecDeque::new(),
            of_sessions: VecDeque::new(),
        }
    }

    /// Reads on in all streams that have begun, each once; gives one that is h3's.
    fn poll_begun(&mut self, cx: &mut Context<'_>) -> Option<Replay<C::RecvStream>> {
        for _ in 0..self.begun.len() {
            let mut begun = self.begun.pop_front()?;
            match begun.poll_kind(cx) {
                Poll::Pending => self.begun.push_back(begun),
                Poll::Ready(()) => match begun.into_kind() {
                    Kind::Http3(stream) => return Some(stream),
                    Kind::Session(stream) => self.of_sessions.push_back(stream),
                    Kind::Nothing => {}
                },
            }
        }
        None
    }
}

impl<S: RecvStream> Begun<S> {
    fn new(stream: S) -> Self {
        Self {
            id: stream.recv_id(),
            stream,
            chunks: VecDeque::new(),
            kind: None,
            session: None,
            partial: Partial::new(),
        }
    }

    /// Ready when it is known what the stream is, or that it is nothing.
    fn poll_kind(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Ok(Some(mut chunk)) = ready!(self.stream.poll_data(cx)) else {
                self.kind = None;
                return Poll::Ready(());
            };
            let chunk = chunk.copy_to_bytes(chunk.remaining());
            let mut rest = chunk.clone();
            self.chunks.push_back(chunk);
            if self.kind.is_none() {
                self.kind = self.partial.read(&mut rest);
            }
            match self.kind {
                None => {}
                Some(stream_header::UNI) => {
                    if let Some(session) = self.partial.read(&mut rest) {
                        // The payload alone is replayed.
                        self.chunks.clear();
                        if !rest.is_empty() {
                            self.chunks.push_back(rest);
                        }
                        self.session = Some(session);
                        return Poll::Ready(());
                    }
                }
                Some(_) => return Poll::Ready(()),
            }
        }
    }

    fn into_kind(self) -> Kind<S> {
        let receive = Replay {
            id: self.id,
            chunks: self.chunks,
            stream: self.stream,
        };
        match (self.kind, self.session) {
            (None, _) => Kind::Nothing,
            (Some(stream_header::UNI), Some(session)) => Kind::Session(Unidirectional {
                stream: StreamId::from(self.id.into_inner()),
                session,
                receive,
            }),
            (Some(_), _) => Kind::Http3(receive),
        }
    }
}

impl<C: Stack> Connection<Bytes> for Demux<C> {
    type RecvStream = Replay<C::RecvStream>;
    type OpenStreams = C::OpenStreams;

    fn poll_accept_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::RecvStream, ConnectionErrorIncoming>> {
        loop {
            if let Some(stream) = self.poll_begun(cx) {
                return Poll::Ready(Ok(stream));
            }
            let stream = ready!(self.quic.poll_accept_recv(cx))?;
            self.begun.push_back(Begun::new(stream));
        }
    }

    fn poll_accept_bidi(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::BidiStream, ConnectionErrorIncoming>> {
        self.quic.poll_accept_bidi(cx)
    }

    fn opener(&self) -> Self::OpenStreams {
        self.quic.opener()
    }
}

impl<C: Stack> OpenStreams<Bytes> for Demux<C> {
    type BidiStream = <C as OpenStreams<Bytes>>::BidiStream;
    type SendStream = <C as OpenStreams<Bytes>>::SendStream;

    fn poll_open_bidi(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::BidiStream, StreamErrorIncoming>> {
        self.quic.poll_open_bidi(cx)
    }

    fn poll_open_send(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::SendStream, StreamErrorIncoming>> {
        self.quic.poll_open_send(cx)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        self.quic.close(code, reason);
    }
}

impl<S: RecvStream> RecvStream for Replay<S> {
    type Buf = Bytes;

    fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        if let Some(chunk) = self.chunks.pop_front() {
            return Poll::Ready(Ok(Some(chunk)));
        }
        let chunk = ready!(self.stream.poll_data(cx))?;
        Poll::Ready(Ok(
            chunk.map(|mut chunk| chunk.copy_to_bytes(chunk.remaining()))
        ))
    }

    fn stop_sending(&mut self, code: u64) {
        self.stream.stop_sending(code);
    }

    fn recv_id(&self) -> QuicId {
        self.id
    }
}
