//! What s2n-quic says to its event subscriber only: STOP_SENDING before we write, the final size of a
//! reset, the peer's words when it closes the connection, and its limits.

use std::{convert::Infallible, task::Waker};

use bytes::Bytes;
use s2n_quic::{
    connection::Error,
    provider::event::{
        ConnectionInfo, ConnectionMeta, Location, Subscriber,
        events::{
            ConnectionCloseFrameReceived, ConnectionClosed, Frame, FrameReceived, MtuUpdated,
            StreamType, TransportParametersReceived,
        },
    },
};
use tokio::sync::mpsc::{Sender, WeakSender};
use webtransport_session::{ConnectionLost, Dir, Input};

/// Notes it for each connection.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Each connection holds a sender while s2n-quic has anything to do for it.
    pub(crate) alive: WeakSender<Infallible>,
}

/// What was noted of one connection.
#[derive(Debug)]
pub(crate) struct Told {
    facts: Vec<Input>,
    /// Why the connection is over.
    pub(crate) closed: Option<ConnectionLost>,
    /// The largest DATAGRAM frame that the peer takes, in bytes; 0: none.
    pub(crate) max_datagram: Option<u64>,
    /// The largest UDP payload, in bytes.
    pub(crate) mtu: u16,
    host: Waker,
    _alive: Option<Sender<Infallible>>,
}

impl Told {
    /// The facts since the last time; `host` is woken for the next.
    pub(crate) fn take(&mut self, host: &Waker) -> Vec<Input> {
        self.host.clone_from(host);
        std::mem::take(&mut self.facts)
    }
}

impl Subscriber for Listener {
    type ConnectionContext = Told;

    fn create_connection_context(&mut self, _: &ConnectionMeta, _: &ConnectionInfo<'_>) -> Told {
        Told {
            facts: Vec::new(),
            closed: None,
            max_datagram: None,
            mtu: 0,
            host: Waker::noop().clone(),
            _alive: self.alive.upgrade(),
        }
    }

    fn on_frame_received(
        &mut self,
        told: &mut Told,
        _: &ConnectionMeta,
        event: &FrameReceived<'_>,
    ) {
        let fact = match event.frame {
            Frame::ResetStream {
                id,
                error_code,
                final_size,
                ..
            } => Input::StreamReset {
                stream: id.into(),
                code: error_code,
                final_size: Some(final_size),
            },
            Frame::StopSending { id, error_code, .. } => Input::StreamStopped {
                stream: id.into(),
                code: error_code,
            },
            Frame::MaxStreams {
                ref stream_type, ..
            } => Input::StreamsAvailable {
                dir: match stream_type {
                    StreamType::Bidirectional { .. } => Dir::Bi,
                    _ => Dir::Uni,
                },
            },
            _ => return,
        };
        told.facts.push(fact);
        told.host.wake_by_ref();
    }

    fn on_connection_close_frame_received(
        &mut self,
        told: &mut Told,
        _: &ConnectionMeta,
        event: &ConnectionCloseFrameReceived<'_>,
    ) {
        let code = event.frame.error_code;
        let reason = Bytes::copy_from_slice(event.frame.reason.unwrap_or_default());
        // RFC 9000 §19.19: only the transport's kind names a frame type.
        told.closed = Some(match event.frame.frame_type {
            None => ConnectionLost::PeerApplication { code, reason },
            Some(_) => ConnectionLost::PeerTransport { code, reason },
        });
    }

    fn on_connection_closed(
        &mut self,
        told: &mut Told,
        _: &ConnectionMeta,
        event: &ConnectionClosed,
    ) {
        told.closed.get_or_insert_with(|| lost(event.error));
    }

    fn on_transport_parameters_received(
        &mut self,
        told: &mut Told,
        _: &ConnectionMeta,
        event: &TransportParametersReceived<'_>,
    ) {
        told.max_datagram = Some(event.transport_parameters.max_datagram_frame_size);
    }

    fn on_mtu_updated(&mut self, told: &mut Told, _: &ConnectionMeta, event: &MtuUpdated) {
        told.mtu = event.mtu;
    }
}

/// Why s2n-quic gave up, where no frame of the peer's says it better: its error has no words.
fn lost(error: Error) -> ConnectionLost {
    match error {
        Error::IdleTimerExpired { .. } => ConnectionLost::IdleTimeout,
        Error::StatelessReset { .. } => ConnectionLost::StatelessReset,
        Error::Application {
            error,
            initiator: Location::Local,
            ..
        } => ConnectionLost::Local {
            code: Some(error.into()),
        },
        Error::Transport {
            code,
            reason,
            initiator: Location::Local,
            ..
        } => ConnectionLost::LocalTransport {
            code: code.as_u64(),
            reason: Bytes::from_static(reason.as_bytes()),
        },
        // INTERNAL_ERROR (RFC 9000 §20.1): it sends no code of its own for these.
        Error::NoValidPath { .. }
        | Error::StreamIdExhausted { .. }
        | Error::ImmediateClose { .. } => ConnectionLost::LocalTransport {
            code: 1,
            reason: error.to_string().into(),
        },
        _ => ConnectionLost::Unknown,
    }
}
