//! Streams that we open: QUIC may have none to spare, and then has one when nobody asks any more.

use std::task::{Context, Poll, Waker};

use ::h3::{
    quic::{OpenStreams, SendStream, StreamErrorIncoming},
    stream::BufRecvStream,
};

use super::{
    Stack,
    pipe::{Fault, Pipe},
};
use crate::{Dir, Side, StreamId, session::StreamHeader};

/// Whose waker is that of [`Openings`]: no stream has this id.
pub(super) const OPENINGS: StreamId = StreamId::new(Side::Server, Dir::Uni, u64::MAX);

/// How streams are opened, and those that came too late for whoever asked.
pub(super) struct Openings<C: Stack> {
    opener: C::OpenStreams,
    waker: Waker,
    bi: Opening<C::BidiStream>,
    uni: Opening<C::SendStream>,
}

struct Opening<S> {
    is_refused: bool,
    spare: Option<S>,
}

/// A stream that QUIC has opened.
pub(super) enum Opened<C: Stack> {
    Bi(C::BidiStream),
    Uni(C::SendStream),
}

impl<C: Stack> Openings<C> {
    pub(super) fn new(opener: C::OpenStreams, waker: Waker) -> Self {
        Self {
            opener,
            waker,
            bi: Opening::default(),
            uni: Opening::default(),
        }
    }

    /// `None`: QUIC has none to spare, and wakes when it has.
    pub(super) fn open(&mut self, dir: Dir) -> Result<Option<Opened<C>>, Fault> {
        let mut cx = Context::from_waker(&self.waker);
        Ok(match dir {
            Dir::Bi => {
                let poll = || self.opener.poll_open_bidi(&mut cx);
                self.bi.take(poll)?.map(Opened::Bi)
            }
            Dir::Uni => {
                let poll = || self.opener.poll_open_send(&mut cx);
                self.uni.take(poll)?.map(Opened::Uni)
            }
        })
    }

    /// Keeps the stream for whoever asks next.
    pub(super) fn is_available_again(&mut self, dir: Dir) -> bool {
        let is_refused = match dir {
            Dir::Bi => self.bi.is_refused,
            Dir::Uni => self.uni.is_refused,
        };
        if !is_refused {
            return false;
        }
        match self.open(dir) {
            Ok(Some(Opened::Bi(stream))) => self.bi.spare = Some(stream),
            Ok(Some(Opened::Uni(stream))) => self.uni.spare = Some(stream),
            Ok(None) | Err(_) => return false,
        }
        true
    }
}

impl<S> Default for Opening<S> {
    fn default() -> Self {
        Self {
            is_refused: false,
            spare: None,
        }
    }
}

impl<S> Opening<S> {
    fn take(
        &mut self,
        poll: impl FnOnce() -> Poll<Result<S, StreamErrorIncoming>>,
    ) -> Result<Option<S>, Fault> {
        if let Some(spare) = self.spare.take() {
            return Ok(Some(spare));
        }
        let opened = match poll() {
            Poll::Pending => None,
            Poll::Ready(opened) => Some(opened?),
        };
        self.is_refused = opened.is_none();
        Ok(opened)
    }
}

impl<C: Stack> Opened<C> {
    pub(super) fn id(&self) -> StreamId {
        let id = match self {
            Self::Bi(stream) => stream.send_id(),
            Self::Uni(stream) => stream.send_id(),
        };
        StreamId::from(id.into_inner())
    }

    pub(super) fn into_pipe(self, header: &StreamHeader, waker: Waker) -> Pipe {
        let mut pipe = match self {
            Self::Bi(stream) => Pipe::bidirectional(BufRecvStream::new(stream), waker),
            Self::Uni(stream) => Pipe::outgoing(stream, waker),
        };
        pipe.queue(header.as_ref());
        pipe
    }
}
