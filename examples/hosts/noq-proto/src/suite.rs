//! What the suite asks of a host.

use std::time::Instant;

use host_suite::Sessions;
use webtransport_session::{
    Action, ConnectError, Dir, OpenError, Request, SendError, SessionId, StreamId,
};

use crate::host::{Host, code_of, id_of};

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
        self.max_datagram_size(session)
    }

    fn raw(&mut self, _: Instant, action: Action) {
        match action {
            Action::Write { stream, data, fin } => {
                let mut send = self.quic.send_stream(id_of(stream));
                let _written = send.write(&data);
                if fin {
                    let _over = send.finish();
                }
            }
            Action::Reset { stream, code, .. } => {
                let _over = self.quic.send_stream(id_of(stream)).reset(code_of(code));
            }
            Action::StopSending { stream, code } => {
                let _over = self.quic.recv_stream(id_of(stream)).stop(code_of(code));
            }
            Action::Read { .. } | Action::CloseConnection { .. } => {}
        }
    }

    fn abort(&mut self, now: Instant, code: u32, reason: &[u8]) {
        self.abort(now, code, reason);
    }
}
