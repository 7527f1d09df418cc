//! What the suite asks of a host.

use std::time::Instant;

use host_suite::Sessions;
use quiche::Shutdown;
use webtransport_session::{
    Action, ConnectError, Dir, OpenError, Request, SendError, SessionId, StreamId,
};

use crate::host::Host;

impl host_suite::Host for Host {
    fn sessions(&mut self) -> &mut dyn Sessions {
        &mut self.sessions
    }

    fn connect(&mut self, now: Instant, request: &Request) -> Result<SessionId, ConnectError> {
        self.connect(now, request)
    }

    fn open(&mut self, now: Instant, session: SessionId, dir: Dir) -> Result<StreamId, OpenError> {
        self.open(now, session, dir)
    }

    fn write(&mut self, now: Instant, stream: StreamId, data: &[u8]) -> Result<usize, SendError> {
        self.write(now, stream, data)
    }

    fn send_datagram(&mut self, session: SessionId, payload: &[u8]) -> Result<(), String> {
        self.send_datagram(session, payload)
            .map_err(|error| error.to_string())
    }

    fn max_datagram_size(&mut self, session: SessionId) -> Option<usize> {
        Self::max_datagram_size(self, session)
    }

    fn raw(&mut self, _: Instant, action: Action) {
        match action {
            Action::Write { stream, data, fin } => {
                let _taken = self.quic.stream_send(stream.into(), &data, fin);
            }
            Action::Reset { stream, code, .. } => {
                let (stream, how) = (stream.into(), Shutdown::Write);
                let _over = self.quic.stream_shutdown(stream, how, code);
            }
            Action::StopSending { stream, code } => {
                let (stream, how) = (stream.into(), Shutdown::Read);
                let _over = self.quic.stream_shutdown(stream, how, code);
            }
            Action::Read { .. } | Action::CloseConnection { .. } => {}
        }
    }

    fn abort(&mut self, _: Instant, code: u32, reason: &[u8]) {
        Self::abort(self, code.into(), reason);
    }
}
