//! What the suite asks of a host.

use std::time::Instant;

use host_suite::Sessions;
use webtransport_session::{
    Action, ConnectError, Dir, OpenError, Request, SendError, SessionId, StreamId,
};

use crate::host::{Host, code_of, ready};

impl host_suite::Host for Host {
    fn sessions(&mut self) -> &mut dyn Sessions {
        &mut self.sessions
    }

    fn connect(&mut self, _: Instant, request: &Request) -> Result<SessionId, ConnectError> {
        self.connect(request)
    }

    fn open(&mut self, _: Instant, session: SessionId, dir: Dir) -> Result<StreamId, OpenError> {
        self.open(session, dir)
    }

    fn write(&mut self, _: Instant, stream: StreamId, data: &[u8]) -> Result<usize, SendError> {
        self.write(stream, data)
    }

    fn send_datagram(&mut self, session: SessionId, payload: &[u8]) -> Result<(), String> {
        match self.send_datagram(session, payload) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn max_datagram_size(&mut self, session: SessionId) -> Option<usize> {
        Self::max_datagram_size(self, session)
    }

    fn raw(&mut self, _: Instant, action: Action) {
        match action {
            Action::Write { stream, data, fin } => {
                if let (Some(send), _) = self.halves(stream) {
                    let _written = ready(send.write(&data));
                    if fin {
                        let _over = send.finish();
                    }
                }
            }
            Action::Reset { stream, code, .. } => {
                if let (Some(send), _) = self.halves(stream) {
                    let _over = send.reset(code_of(code));
                }
            }
            Action::StopSending { stream, code } => {
                if let (_, Some(receive)) = self.halves(stream) {
                    let _over = receive.stop(code_of(code));
                }
            }
            Action::Read { .. } | Action::CloseConnection { .. } => {}
        }
    }

    fn abort(&mut self, _: Instant, code: u32, reason: &[u8]) {
        self.abort(code, reason);
    }
}
