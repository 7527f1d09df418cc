//! Why the connection is over, as truly as h3 lets it be known, and what then becomes of the
//! sessions.

use ::h3::{
    error::{Code, ConnectionError, LocalError, internal_error::InternalConnectionError},
    quic::ConnectionErrorIncoming,
};
use bytes::Bytes;

use super::{Host, Phase, Stack};
use crate::{ConnectionLost, Event, Http3Error, session};

impl<C: Stack> Host<C> {
    /// h3 says that the connection is gone.
    pub(super) fn lose(&mut self, error: ConnectionError) {
        let reason = match error {
            // h3 has closed it, because the peer broke a rule.
            ConnectionError::Local { error } => of_http3(&error),
            ConnectionError::Remote(error) => return self.lose_quic(&error),
            ConnectionError::Timeout => {
                return self.lose_quic(&ConnectionErrorIncoming::Timeout);
            }
            _ => ConnectionLost::Unknown,
        };
        self.lost(reason);
    }

    /// QUIC says that the connection is gone.
    pub(super) fn lose_quic(&mut self, error: &ConnectionErrorIncoming) {
        let asked = self.on_loss.as_ref().and_then(|reason| reason());
        self.lost(asked.unwrap_or_else(|| of_quic(error)));
    }

    /// The first reason counts. Everything is read once more.
    fn lost(&mut self, reason: ConnectionLost) {
        if self.is_closed() {
            return;
        }
        self.phase = Phase::Lost(reason);
        for &session in self.sessions.keys() {
            self.wakes.again(session.connect_stream());
        }
        for &stream in self.streams.keys() {
            self.wakes.again(stream);
        }
    }

    /// The peer broke HTTP/3.
    pub(super) fn fail(&mut self, error: Http3Error) {
        if self.is_closed() {
            return;
        }
        let told = InternalConnectionError::new(Code::from(error.code()), error.name().into());
        // h3 tells the ordinary requests, and closes the connection.
        let _the_same = self.h3.inner.handle_connection_error(told);
        self.lost(ConnectionLost::Http3(error));
    }

    /// We close it.
    pub(super) fn close_connection(&mut self, code: u64, reason: &str) {
        if !self.is_closed() {
            let code_of_h3 = Code::from(code);
            self.h3.inner.close_connection(code_of_h3, reason.into());
            self.lost(ConnectionLost::Local { code: Some(code) });
        }
    }

    /// One event for each session, in order, then the connection's.
    pub(super) fn conclude(&mut self, reason: ConnectionLost) {
        self.phase = Phase::Over;
        for id in self.session_ids() {
            self.with_session(id, |connect, now| {
                let reason = reason.clone();
                let closed = session::Input::ConnectionClosed { reason };
                connect.session.handle(now, closed);
            });
        }
        self.sessions.clear();
        self.streams.clear();
        self.heads.clear();
        self.held.clear();
        self.early.clear();
        self.log.connection_closed(&reason);
        self.event(Event::ConnectionClosed { reason });
    }
}

/// What h3 has found itself.
fn of_http3(error: &LocalError) -> ConnectionLost {
    match error {
        LocalError::Application { code, .. } => match Http3Error::from_code(code.value()) {
            Some(error) => ConnectionLost::Http3(error),
            None => ConnectionLost::Local {
                code: Some(code.value()),
            },
        },
        LocalError::Closing { .. } => ConnectionLost::Local {
            code: Some(Code::H3_NO_ERROR.value()),
        },
        _ => ConnectionLost::Unknown,
    }
}

/// What h3 lets through of QUIC's own reason.
fn of_quic(error: &ConnectionErrorIncoming) -> ConnectionLost {
    match error {
        ConnectionErrorIncoming::ApplicationClose { error_code } => {
            ConnectionLost::PeerApplication {
                code: *error_code,
                // h3 drops it.
                reason: Bytes::new(),
            }
        }
        ConnectionErrorIncoming::Timeout => ConnectionLost::IdleTimeout,
        ConnectionErrorIncoming::InternalError(_) => ConnectionLost::Local {
            code: Some(Code::H3_INTERNAL_ERROR.value()),
        },
        ConnectionErrorIncoming::Undefined(error) => of_stack(error.as_ref()),
    }
}

/// The stack's own error, where it is known.
#[cfg(feature = "quinn-proto")]
fn of_stack(error: &(dyn std::error::Error + Send + Sync + 'static)) -> ConnectionLost {
    match error.downcast_ref::<quinn_proto::ConnectionError>() {
        Some(error) => error.clone().into(),
        None => ConnectionLost::Unknown,
    }
}

#[cfg(not(feature = "quinn-proto"))]
fn of_stack(_: &(dyn std::error::Error + Send + Sync + 'static)) -> ConnectionLost {
    ConnectionLost::Unknown
}
