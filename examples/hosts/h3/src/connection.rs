//! What the suite asks of a host, over h3 and the QUIC connection below it.

use std::{sync::Arc, time::Instant};

use host_suite::Sessions;
use webtransport_session::{
    Action, AnswerError, CloseMessage, Config, ConnectError, Dir, OpenError, Rejection, Request,
    Response, SendError, SessionId, StreamClosed, StreamId,
    host::h3::{Host, http3::error::ConnectionError},
};

pub(crate) struct Connection {
    pub(crate) host: Host<h3_quinn::Connection>,
    /// For datagrams, which h3 cannot send, and for the whole reason of a loss.
    pub(crate) quic: quinn::Connection,
}

impl Connection {
    pub(crate) async fn new(
        quic: quinn::Connection,
        config: Arc<Config>,
    ) -> Result<Self, ConnectionError> {
        let asked = quic.clone();
        let host = Host::server(h3_quinn::Connection::new(quic.clone()), config).await?;
        let host = host.on_loss(move || asked.close_reason().map(Into::into));
        Ok(Self { host, quic })
    }
}

impl host_suite::Host for Connection {
    fn sessions(&mut self) -> &mut dyn Sessions {
        self
    }

    fn connect(&mut self, _: Instant, _: &Request) -> Result<SessionId, ConnectError> {
        Err(ConnectError::NotClient)
    }

    fn open(&mut self, _: Instant, session: SessionId, dir: Dir) -> Result<StreamId, OpenError> {
        self.host.open(session, dir)
    }

    fn write(&mut self, _: Instant, stream: StreamId, data: &[u8]) -> Result<usize, SendError> {
        self.host.write(stream, data)
    }

    fn send_datagram(&mut self, session: SessionId, payload: &[u8]) -> Result<(), String> {
        let datagram = self.host.datagram(session, payload).map_err(words)?;
        self.quic.send_datagram(datagram).map_err(words)
    }

    fn max_datagram_size(&mut self, session: SessionId) -> Option<usize> {
        let header = self.host.datagram(session, b"").ok()?.len();
        self.quic.max_datagram_size()?.checked_sub(header)
    }

    /// Not to be had: the program says so.
    fn raw(&mut self, _: Instant, _: Action) {}

    fn abort(&mut self, _: Instant, code: u32, reason: &[u8]) {
        self.host
            .abort(code.into(), &String::from_utf8_lossy(reason));
    }
}

impl Sessions for Connection {
    fn accept(
        &mut self,
        now: Instant,
        session: SessionId,
        response: Response,
    ) -> Result<(), AnswerError> {
        self.host.accept(now, session, response)
    }

    fn reject(
        &mut self,
        now: Instant,
        session: SessionId,
        rejection: Rejection,
    ) -> Result<(), AnswerError> {
        self.host.reject(now, session, rejection)
    }

    fn close(&mut self, now: Instant, session: SessionId, code: u32, message: CloseMessage) {
        self.host.close(now, session, code, message);
    }

    fn drain(&mut self, session: SessionId) {
        self.host.drain(session);
    }

    fn go_away(&mut self) {
        self.host.go_away();
    }

    fn shutdown(&mut self, now: Instant, code: u32, message: CloseMessage) {
        self.host.shutdown(now, code, message);
    }

    fn finish(&mut self, stream: StreamId) -> Result<(), StreamClosed> {
        self.host.finish(stream)
    }

    fn reset(&mut self, stream: StreamId, code: u32) -> Result<(), StreamClosed> {
        self.host.reset(stream, code)
    }

    fn stop(&mut self, stream: StreamId, code: u32) -> Result<(), StreamClosed> {
        self.host.stop(stream, code)
    }

    fn pause(&mut self, stream: StreamId) {
        self.host.pause(stream);
    }

    fn resume(&mut self, stream: StreamId) {
        self.host.resume(stream);
    }
}

fn words(error: impl ToString) -> String {
    error.to_string()
}
