//! Streams that this end opens: at once, or never.
//!
//! Quinn waits where the peer allows no stream, but a permit of the sessions cannot be held for so
//! long. So the caller is told to come again, and a stream lies ready for it then.

use quinn::{Connection, ConnectionError, RecvStream, SendStream};
use webtransport_session::Dir;

use crate::signals::{Signal, Signals, Waiting};

#[derive(Debug)]
pub(crate) struct Opening {
    quic: Connection,
    signals: Signals,
    bi: Spare<(SendStream, RecvStream)>,
    uni: Spare<SendStream>,
}

#[derive(Debug)]
enum Spare<S> {
    Unneeded,
    /// Somebody was refused.
    Needed(Waiting<Result<S, ConnectionError>>),
    Here(S),
}

impl Opening {
    pub(crate) fn new(quic: Connection, signals: Signals) -> Self {
        Self {
            quic,
            signals,
            bi: Spare::Unneeded,
            uni: Spare::Unneeded,
        }
    }

    /// `None`: `Signal::Available` follows.
    pub(crate) fn bi(&mut self) -> Option<(SendStream, RecvStream)> {
        let quic = self.quic.clone();
        self.bi.take(|| {
            let waker = self.signals.waker(Signal::Available(Dir::Bi));
            Waiting::new(waker, async move { quic.open_bi().await })
        })
    }

    /// `None`: `Signal::Available` follows.
    pub(crate) fn uni(&mut self) -> Option<SendStream> {
        let quic = self.quic.clone();
        self.uni.take(|| {
            let waker = self.signals.waker(Signal::Available(Dir::Uni));
            Waiting::new(waker, async move { quic.open_uni().await })
        })
    }

    /// Whether there is a stream of a kind that was refused.
    pub(crate) fn is_available(&mut self, dir: Dir) -> bool {
        match dir {
            Dir::Bi => self.bi.is_here(),
            Dir::Uni => self.uni.is_here(),
        }
    }
}

impl<S> Spare<S> {
    fn take(&mut self, open: impl FnOnce() -> Waiting<Result<S, ConnectionError>>) -> Option<S> {
        if matches!(self, Self::Unneeded) {
            *self = Self::Needed(open());
        }
        if !self.is_here() {
            return None;
        }
        match std::mem::replace(self, Self::Unneeded) {
            Self::Here(stream) => Some(stream),
            Self::Unneeded | Self::Needed(_) => None,
        }
    }

    fn is_here(&mut self) -> bool {
        // An error says that the connection is over, which the host learns from elsewhere.
        if let Self::Needed(waiting) = self
            && let Some(Ok(stream)) = waiting.poll()
        {
            *self = Self::Here(stream);
        }
        matches!(self, Self::Here(_))
    }
}
