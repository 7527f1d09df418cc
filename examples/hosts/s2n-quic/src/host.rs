//! Joins a [`Connection`] to one of s2n-quic's. One task owns both, and polls them until the last
//! event: [`Host::feed`] makes facts of what s2n-quic says, [`Host::perform`] makes calls on it of
//! what the sessions want.

use std::{
    pin::Pin,
    task::{Context, Poll, Poll::Pending, Poll::Ready},
    time::{Duration, Instant},
};

use s2n_quic::provider::datagram::default::DatagramError as QuicDatagramError;
use tokio::time::{Sleep, sleep};
use webtransport_session::{
    Action, ConnectError, Connection, ConnectionLost, DatagramError, Dir, Event, Input, OpenError,
    Output, Request, SendError, SessionId, StreamId, Transport,
};

use crate::quic::Quic;

/// One connection, with the sessions on it. It does not wait: after whatever was called here,
/// [`poll`](Self::poll) until it is pending.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) quic: Quic,
    /// For the commands that do not touch QUIC.
    pub(crate) sessions: Connection,
    /// What we let the peer send on one stream, in bytes.
    window: u64,
    timer: Pin<Box<Sleep>>,
}

/// A datagram was not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendDatagramError {
    #[error(transparent)]
    Session(#[from] DatagramError),
    #[error("{0}")]
    Quic(QuicDatagramError),
}

impl Host {
    /// For a connection whose handshake is complete: s2n-quic gives none sooner. Its endpoint has
    /// [`Listener`](crate::told::Listener) as event subscriber, and datagrams. `window` is what its
    /// limits let the peer send on one stream, in bytes.
    pub(crate) fn new(quic: s2n_quic::Connection, sessions: Connection, window: u64) -> Self {
        Self {
            quic: Quic::new(quic),
            sessions,
            window,
            timer: Box::pin(sleep(Duration::ZERO)),
        }
    }

    /// The next event. [`Event::ConnectionClosed`] is the last: then drop the host. s2n-quic sees to
    /// what is still to be sent.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        self.quic.waker.clone_from(cx.waker());
        loop {
            // What is queued comes first: s2n-quic is asked again when all of it is performed.
            if let Some(event) = self.output() {
                return Ready(event);
            }
            self.feed();
            if let Some(event) = self.output() {
                return Ready(event);
            }
            let Some(due) = self.sessions.poll_timeout() else {
                return Pending;
            };
            self.timer.as_mut().reset(due.into());
            if self.timer.as_mut().poll(cx).is_pending() {
                return Pending;
            }
            self.sessions.handle(Instant::now(), Input::Timeout);
        }
    }

    // ---- s2n-quic to sessions

    fn feed(&mut self) {
        let now = Instant::now();
        // Asked first and fed last: what came before it can be read in between.
        let told = self.quic.told();
        let lost = self.quic.accept();
        self.start(now);
        while let Some(data) = self.quic.datagram() {
            self.sessions.handle(now, Input::DatagramReceived { data });
        }
        self.quic.progress(now, &mut self.sessions);
        for fact in told {
            self.sessions.handle(now, fact);
        }
        if let Some(reason) = lost {
            self.sessions
                .handle(now, Input::ConnectionClosed { reason });
        }
    }

    /// Once: another call is ignored. But streams may be to spare later on.
    fn start(&mut self, now: Instant) {
        let mut transport = Transport::new(self.quic.datagrams());
        transport.stream_receive_window = self.window;
        self.sessions.start(now, transport);
        while let Some(permit) = self.sessions.protocol_stream() {
            let Some(id) = self.quic.open(Dir::Uni) else {
                return;
            };
            permit.bind(id);
        }
    }

    // ---- sessions to s2n-quic

    fn output(&mut self) -> Option<Event> {
        loop {
            match self.sessions.poll()? {
                Output::Action(action) => self.perform(Instant::now(), action),
                Output::Event(event) => return Some(event),
            }
        }
    }

    fn perform(&mut self, now: Instant, action: Action) {
        match action {
            Action::Write { stream, data, fin } => {
                let (len, fin) = self.quic.write(stream, data, fin);
                self.sessions
                    .handle(now, Input::Written { stream, len, fin });
            }
            Action::Read { stream } => self.quic.read(now, stream, &mut self.sessions),
            // RESET_STREAM_AT is not to be had, and was not promised.
            Action::Reset { stream, code, .. } => self.quic.reset(stream, code),
            Action::StopSending { stream, code } => self.quic.stop(stream, code),
            // Nor is there a way to send words.
            Action::CloseConnection { code, reason: _ } => self.quic.close(code),
        }
    }

    // ---- what needs both

    /// Client: asks for a session.
    pub(crate) fn connect(
        &mut self,
        now: Instant,
        request: &Request,
    ) -> Result<SessionId, ConnectError> {
        let permit = self.sessions.connect(now, request)?;
        let id = self.quic.open(Dir::Bi).ok_or(ConnectError::Blocked)?;
        Ok(permit.bind(id))
    }

    /// Opens a stream of a session.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        session: SessionId,
        dir: Dir,
    ) -> Result<StreamId, OpenError> {
        let permit = self.sessions.open(session, dir)?;
        let id = self.quic.open(dir).ok_or(OpenError::Blocked)?;
        permit.bind(id);
        // The stream header.
        while let Some(action) = self.sessions.poll_action() {
            self.perform(now, action);
        }
        Ok(id)
    }

    /// How many bytes of the front were taken. [`SendError::Blocked`]: an event follows.
    pub(crate) fn write(&mut self, stream: StreamId, data: &[u8]) -> Result<usize, SendError> {
        let credit = self.sessions.credit(stream)?;
        let written = self.quic.write_some(stream, credit.clamp(data))?;
        credit.spend(written);
        Ok(written)
    }

    pub(crate) fn send_datagram(
        &mut self,
        session: SessionId,
        payload: &[u8],
    ) -> Result<(), SendDatagramError> {
        let datagram = self.sessions.datagram(session)?.encode(payload);
        self.quic
            .send_datagram(datagram)
            .map_err(SendDatagramError::Quic)
    }

    /// The largest payload that is likely to go through, in bytes.
    pub(crate) fn max_datagram_size(&self, session: SessionId) -> Option<usize> {
        self.sessions
            .max_datagram_payload(session, self.quic.largest_datagram())
    }

    /// Closes the connection at once, with an application's code.
    pub(crate) fn abort(&mut self, now: Instant, code: u64) {
        let reason = ConnectionLost::Local { code: Some(code) };
        self.sessions
            .handle(now, Input::ConnectionClosed { reason });
        self.quic.close(code);
    }
}
