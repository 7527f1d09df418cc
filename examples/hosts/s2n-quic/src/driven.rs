//! What the suite asks of a host.

use std::time::Instant;

use host_suite::{Host as Driven, Sessions};
use webtransport_session::{
    Action, ConnectError, Dir, OpenError, Request, SendError, SessionId, StreamId,
};

use crate::host::Host;

impl Driven for Host {
    fn sessions(&mut self) -> &mut dyn Sessions {
        &mut self.sessions
    }

    fn connect(&mut self, now: Instant, request: &Request) -> Result<SessionId, ConnectError> {
        Self::connect(self, now, request)
    }

    fn open(&mut self, now: Instant, session: SessionId, dir: Dir) -> Result<StreamId, OpenError> {
        Self::open(self, now, session, dir)
    }

    fn write(&mut self, _: Instant, stream: StreamId, data: &[u8]) -> Result<usize, SendError> {
        Self::write(self, stream, data)
    }

    fn send_datagram(&mut self, session: SessionId, payload: &[u8]) -> Result<(), String> {
        Self::send_datagram(self, session, payload).map_err(|error| error.to_string())
    }

    fn max_datagram_size(&mut self, session: SessionId) -> Option<usize> {
        Self::max_datagram_size(self, session)
    }

    fn raw(&mut self, _: Instant, action: Action) {
        match action {
            Action::Write { stream, data, fin } => _ = self.quic.write(stream, data, fin),
            Action::Reset { stream, code, .. } => self.quic.reset(stream, code),
            Action::StopSending { stream, code } => self.quic.stop(stream, code),
            Action::Read { .. } | Action::CloseConnection { .. } => {}
        }
    }

    fn abort(&mut self, now: Instant, code: u32, _: &[u8]) {
        Self::abort(self, now, code.into());
    }
}
