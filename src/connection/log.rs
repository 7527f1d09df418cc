//! What the connection says to `tracing`: a span for itself and one event for each end.
//!
//! Without the feature it says nothing. Never payload; the peer's text only as `Display` of a
//! reason gives it, escaped.

use crate::{CloseReason, ConnectionLost, SessionId, Side};

#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone))]
pub(crate) struct Log {
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

/// Two connections that differ in what they say to a log only are the same.
#[cfg(feature = "testing")]
impl PartialEq for Log {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

#[cfg(feature = "testing")]
impl Eq for Log {}

#[cfg(feature = "testing")]
impl std::hash::Hash for Log {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

#[cfg(feature = "tracing")]
impl Log {
    pub(crate) fn new(side: Side) -> Self {
        let span = tracing::info_span!("webtransport", ?side);
        Self { span }
    }

    pub(crate) fn session_closed(&self, session: SessionId, reason: &CloseReason) {
        let label = reason.label();
        tracing::info!(parent: &self.span, %session, label, %reason, "session closed");
    }

    pub(crate) fn connection_closed(&self, reason: &ConnectionLost) {
        let label = reason.label();
        tracing::info!(parent: &self.span, label, %reason, "connection closed");
    }
}

#[cfg(not(feature = "tracing"))]
#[expect(clippy::unused_self, reason = "the other half of a pair")]
impl Log {
    pub(crate) fn new(_: Side) -> Self {
        Self {}
    }

    pub(crate) fn session_closed(&self, _: SessionId, _: &CloseReason) {}

    pub(crate) fn connection_closed(&self, _: &ConnectionLost) {}
}
