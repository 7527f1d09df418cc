//! Streams that this end opens: at once, or never.
//!
//! Quinn waits where the peer allows no stream, but a permit of the sessions cannot be held for so
//! long. So the caller is told to come again, and a stream lies ready for it then.

use std::future::pending;

use quinn::{Connection, RecvStream, SendStream};
use webtransport_session::Dir;

use crate::host::ready;

#[derive(Debug)]
pub(crate) struct Opening {
    quic: Connection,
    bi: Spare<(SendStream, RecvStream)>,
    uni: Spare<SendStream>,
}

#[derive(Debug)]
enum Spare<S> {
    Unneeded,
    /// Somebody was refused.
    Needed,
    Here(S),
}

impl Opening {
    pub(crate) fn new(quic: Connection) -> Self {
        Self {
            quic,
            bi: Spare::Unneeded,
            uni: Spare::Unneeded,
        }
    }

    /// `None`: [`spare`](Self::spare) says when there is one.
    pub(crate) fn bi(&mut self) -> Option<(SendStream, RecvStream)> {
        let quic = &self.quic;
        self.bi.take(|| ready(quic.open_bi())?.ok())
    }

    /// `None`: [`spare`](Self::spare) says when there is one.
    pub(crate) fn uni(&mut self) -> Option<SendStream> {
        let quic = &self.quic;
        self.uni.take(|| ready(quic.open_uni())?.ok())
    }

    /// Waits until there is a stream of a kind that was refused. May be dropped while it waits.
    pub(crate) async fn spare(&mut self) -> Dir {
        tokio::select! {
            Ok(streams) = self.quic.open_bi(), if self.bi.is_needed() => {
                self.bi = Spare::Here(streams);
                Dir::Bi
            }
            Ok(stream) = self.quic.open_uni(), if self.uni.is_needed() => {
                self.uni = Spare::Here(stream);
                Dir::Uni
            }
            // None was refused, or the connection is over, which `closed` tells.
            else => pending().await,
        }
    }
}

impl<S> Spare<S> {
    fn take(&mut self, open: impl FnOnce() -> Option<S>) -> Option<S> {
        let stream = match std::mem::replace(self, Self::Unneeded) {
            Self::Here(stream) => Some(stream),
            Self::Unneeded | Self::Needed => open(),
        };
        if stream.is_none() {
            *self = Self::Needed;
        }
        stream
    }

    fn is_needed(&self) -> bool {
        matches!(self, Self::Needed)
    }
}
