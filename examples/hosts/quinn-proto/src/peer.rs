//! What the suite asks of a host, on `Endpoint`'s peers.

use std::time::Instant;

use host_suite::{Host, Sessions};
use quinn_proto::{self as quic, VarInt};
use webtransport_session::{
    Action, ConnectError, Dir, OpenError, Request, SendError, SessionId, StreamId,
    host::quinn_proto::Peer,
};

pub(crate) struct Driven<'a>(pub(crate) &'a mut Peer);

impl Host for Driven<'_> {
    fn sessions(&mut self) -> &mut dyn Sessions {
        self.0.sessions()
    }

    fn connect(&mut self, now: Instant, request: &Request) -> Result<SessionId, ConnectError> {
        self.0.connect(now, request)
    }

    fn open(&mut self, now: Instant, session: SessionId, dir: Dir) -> Result<StreamId, OpenError> {
        self.0.open(now, session, dir)
    }

    fn write(&mut self, _: Instant, stream: StreamId, data: &[u8]) -> Result<usize, SendError> {
        self.0.write(stream, data)
    }

    fn send_datagram(&mut self, session: SessionId, payload: &[u8]) -> Result<(), String> {
        self.0
            .send_datagram(session, payload)
            .map_err(|error| error.to_string())
    }

    fn max_datagram_size(&mut self, session: SessionId) -> Option<usize> {
        self.0.max_datagram_size(session)
    }

    fn raw(&mut self, _: Instant, action: Action) {
        match action {
            Action::Write { stream, data, fin } => {
                let mut send = self.0.quic.send_stream(stream.into());
                let _written = send.write(&data);
                if fin {
                    let _gone = send.finish();
                }
            }
            Action::Reset { stream, code, .. } => {
                let _gone = self.0.quic.send_stream(stream.into()).reset(code_of(code));
            }
            Action::StopSending { stream, code } => {
                let _gone = self.0.quic.recv_stream(stream.into()).stop(code_of(code));
            }
            Action::Read { .. } | Action::CloseConnection { .. } => {}
        }
    }

    fn abort(&mut self, now: Instant, code: u32, reason: &[u8]) {
        self.0.abort(now, code.into(), reason);
    }
}

fn code_of(code: u64) -> VarInt {
    quic::VarInt::from_u64(code).unwrap_or(VarInt::MAX)
}
