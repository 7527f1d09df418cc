//! The sessions' streams: whose they are, what waits until its session is open (§4.6), and their
//! bytes.
//!
//! What waits is not read: its bytes stay in QUIC's own window.

use std::time::Instant;

use bytes::Bytes;

use super::{
    Early, Host, Stack,
    demux::Unidirectional,
    pipe::{Fault, Pipe, Read},
};
use crate::{
    Dir, Event, Http3Error, OpenError, SessionId, StreamId, session,
    wire::error_code::{WT_BUFFERED_STREAM_REJECTED, WT_SESSION_GONE},
};

/// A session's stream.
pub(super) struct Data {
    pub(super) session: SessionId,
    pub(super) pipe: Pipe,
    stage: Stage,
    /// The application does not read.
    is_paused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its session was not requested yet.
    Parked { until: Option<Instant> },
    /// Its session is not open yet.
    Waiting,
    /// The application knows it.
    Told,
}

impl Data {
    pub(super) fn parked_until(&self) -> Option<Instant> {
        match self.stage {
            Stage::Parked { until } => until,
            Stage::Waiting | Stage::Told => None,
        }
    }

    fn is_parked(&self) -> bool {
        matches!(self.stage, Stage::Parked { .. })
    }
}

/// What a stream or datagram finds under the session id that it names.
enum Destination {
    Session,
    /// The request may still be on its way.
    Expected,
    /// A session that is over, or something that never was one.
    Gone,
}

impl<C: Stack> Host<C> {
    // ---- whose they are

    pub(super) fn attach_unidirectional(&mut self, stream: Unidirectional<C::RecvStream>) {
        let waker = self.wakes.waker(stream.stream);
        let pipe = Pipe::incoming(stream.receive, waker);
        self.attach(stream.session, stream.stream, pipe);
    }

    /// A peer's stream has said which session it belongs to.
    pub(super) fn attach(&mut self, session: u64, stream: StreamId, pipe: Pipe) {
        // §4: "the endpoint MUST close the connection with an H3_ID_ERROR error code"
        let Ok(session) = SessionId::try_from(StreamId::from(session)) else {
            return self.fail(Http3Error::Id);
        };
        match self.destination(session) {
            Destination::Session => self.attach_to(session, stream, pipe),
            Destination::Expected => {
                let wait = self.config.deadlines.buffered;
                let until = self.now.and_then(|now| now.checked_add(wait));
                self.keep(session, stream, pipe, Stage::Parked { until });
            }
            Destination::Gone => self.refuse_stream(pipe, WT_SESSION_GONE),
        }
    }

    fn destination(&self, session: SessionId) -> Destination {
        let stream = session.connect_stream();
        if self.sessions.contains_key(&session) {
            Destination::Session
        } else if self.heads.contains_key(&stream)
            || self.held.contains_key(&stream)
            || !self.seen.contains(stream)
        {
            Destination::Expected
        } else {
            Destination::Gone
        }
    }

    fn attach_to(&mut self, session: SessionId, stream: StreamId, pipe: Pipe) {
        if self.keep(session, stream, pipe, Stage::Waiting) {
            self.with_session(session, |connect, now| {
                let opened = session::Input::StreamOpened { stream };
                connect.session.handle(now, opened);
            });
            self.drop_stream_if_over(stream);
        }
    }

    /// False when there is no room for what waits.
    fn keep(&mut self, session: SessionId, stream: StreamId, pipe: Pipe, stage: Stage) -> bool {
        let is_open = self.session(session).is_some_and(|it| !it.is_requested());
        let waits = |data: &&Data| data.stage != Stage::Told;
        let limit = usize::try_from(self.config.limits.buffered_streams).unwrap_or(usize::MAX);
        if !is_open && self.streams.values().filter(waits).count() >= limit {
            self.refuse_stream(pipe, WT_BUFFERED_STREAM_REJECTED);
            return false;
        }
        let data = Data {
            session,
            pipe,
            stage,
            is_paused: false,
        };
        self.streams.insert(stream, data);
        true
    }

    /// A stream that no session knows.
    fn refuse_stream(&mut self, mut pipe: Pipe, code: u64) {
        self.stats.streams_refused += 1;
        pipe.reset(code);
        pipe.stop(code, self.may_stop_reading);
    }

    /// The session was announced: what came before it belongs to it.
    pub(super) fn adopt(&mut self, session: SessionId) {
        let theirs = |data: &mut Data| data.session == session && data.is_parked();
        let mut adopted = Vec::new();
        for (&stream, data) in &mut self.streams {
            if theirs(data) {
                data.stage = Stage::Waiting;
                adopted.push(stream);
            }
        }
        for stream in adopted {
            self.with_session(session, |connect, now| {
                let opened = session::Input::StreamOpened { stream };
                connect.session.handle(now, opened);
            });
            self.drop_stream_if_over(stream);
        }
        for payload in self.take_early(session) {
            self.with_session(session, |connect, now| {
                let input = session::Input::DatagramReceived { payload };
                connect.session.handle(now, input);
            });
        }
    }

    /// What waited for a session that will not be.
    pub(super) fn refuse_parked(&mut self, session: SessionId, code: u64) {
        self.refuse_where(code, |data| data.session == session && data.is_parked());
    }

    pub(super) fn expire_parked(&mut self, now: Instant) {
        self.refuse_where(WT_BUFFERED_STREAM_REJECTED, |data| {
            data.parked_until().is_some_and(|until| until <= now)
        });
    }

    fn refuse_where(&mut self, code: u64, is_refused: impl Fn(&Data) -> bool) {
        let refused = self.streams.iter().filter(|(_, data)| is_refused(data));
        for stream in refused.map(|(&stream, _)| stream).collect::<Vec<_>>() {
            if let Some(data) = self.streams.remove(&stream) {
                self.refuse_stream(data.pipe, code);
            }
        }
    }

    /// The session tells the application of a stream: it is read from now on.
    pub(super) fn told(&mut self, stream: StreamId) {
        if let Some(data) = self.streams.get_mut(&stream) {
            data.stage = Stage::Told;
            self.wakes.again(stream);
        }
    }

    // ---- their bytes

    /// The stream was woken, or has more.
    pub(super) fn serve_data(&mut self, stream: StreamId) {
        self.flush_stream(stream);
        let Some(data) = self.streams.get_mut(&stream) else {
            return;
        };
        let session = data.session;
        match data.pipe.is_writable_again() {
            Ok(false) => {}
            Ok(true) => self.of_session(session, session::Input::StreamWritable { stream }),
            Err(fault) => self.stream_fault(stream, fault),
        }
        self.read_stream(stream);
        self.drop_stream_if_over(stream);
    }

    /// Takes in one chunk.
    fn read_stream(&mut self, stream: StreamId) {
        let reads = |data: &&mut Data| data.stage == Stage::Told && !data.is_paused;
        let Some(data) = self.streams.get_mut(&stream).filter(reads) else {
            return;
        };
        let session = data.session;
        match data.pipe.read() {
            Read::Nothing => {}
            Read::Data(data) => {
                self.wakes.again(stream);
                self.received(session, stream, data, false);
            }
            Read::Fin => self.received(session, stream, Bytes::new(), true),
            Read::Reset(code) => {
                let input = session::Input::StreamReset {
                    stream,
                    code,
                    final_size: None,
                };
                self.of_session(session, input);
            }
            Read::Lost(error) => self.lose_quic(&error),
        }
    }

    fn received(&mut self, session: SessionId, stream: StreamId, data: Bytes, fin: bool) {
        let is_wanted = self
            .session(session)
            .is_some_and(|session| session.is_receiving_on(stream));
        let len = u64::try_from(data.len()).unwrap_or(u64::MAX);
        self.of_session(session, session::Input::StreamData { stream, len, fin });
        if is_wanted {
            self.event(Event::StreamData {
                session,
                stream,
                data,
                fin,
            });
        }
    }

    fn of_session(&mut self, session: SessionId, input: session::Input) {
        self.with_session(session, |connect, now| connect.session.handle(now, input));
    }

    pub(super) fn set_paused(&mut self, stream: StreamId, is_paused: bool) {
        let changes = |data: &&mut Data| data.is_paused != is_paused;
        let Some(data) = self.streams.get_mut(&stream).filter(changes) else {
            return;
        };
        data.is_paused = is_paused;
        let session = data.session;
        self.with_session(session, |connect, now| {
            if is_paused {
                connect.session.pause();
            } else {
                connect.session.resume(now);
            }
        });
        if !is_paused {
            self.wakes.again(stream);
        }
    }

    // ---- our half

    /// Works on a stream, then sends what can be sent of it.
    pub(super) fn with_pipe(&mut self, stream: StreamId, work: impl FnOnce(&mut Pipe)) {
        if let Some(data) = self.streams.get_mut(&stream) {
            work(&mut data.pipe);
        }
        self.flush_stream(stream);
        self.drop_stream_if_over(stream);
    }

    fn flush_stream(&mut self, stream: StreamId) {
        if let Some(data) = self.streams.get_mut(&stream) {
            if let Err(fault) = data.pipe.flush() {
                self.stream_fault(stream, fault);
            }
        }
    }

    pub(super) fn stream_fault(&mut self, stream: StreamId, fault: Fault) {
        match fault {
            Fault::Gone => {}
            Fault::Lost(error) => self.lose_quic(&error),
            Fault::Stopped(code) => {
                let Some(data) = self.streams.get(&stream) else {
                    return;
                };
                self.of_session(data.session, session::Input::StreamStopped { stream, code });
                // After our FIN the session does not reset; here the FIN may not be with QUIC yet.
                self.with_pipe(stream, |pipe| pipe.reset(code));
            }
        }
    }

    pub(super) fn probe_streams(&mut self) {
        for stream in self.streams.keys().copied().collect::<Vec<_>>() {
            let Some(data) = self.streams.get_mut(&stream) else {
                continue;
            };
            if data.is_parked() {
                continue;
            }
            if let Err(fault) = data.pipe.probe() {
                self.stream_fault(stream, fault);
            }
        }
    }

    fn drop_stream_if_over(&mut self, stream: StreamId) {
        let is_over = |data: &Data| data.pipe.is_over();
        if self.streams.get(&stream).is_some_and(is_over) {
            // Reads that the application held back are over.
            self.set_paused(stream, false);
            self.streams.remove(&stream);
        }
    }

    // ---- streams of ours

    pub(super) fn open_stream(
        &mut self,
        session: SessionId,
        dir: Dir,
    ) -> Result<StreamId, OpenError> {
        let connect = self
            .sessions
            .get_mut(&session)
            .ok_or(OpenError::SessionClosed)?;
        let permit = connect.session.open_stream(dir)?;
        let opened = match self.openings.open(dir) {
            Ok(Some(opened)) => opened,
            Ok(None) => return Err(OpenError::Blocked),
            Err(Fault::Lost(error)) => {
                drop(permit);
                self.lose_quic(&error);
                return Err(OpenError::SessionClosed);
            }
            Err(Fault::Stopped(_) | Fault::Gone) => return Err(OpenError::Blocked),
        };
        let stream = opened.id();
        let header = permit.bind(stream);
        let data = Data {
            session,
            pipe: opened.into_pipe(&header, self.wakes.waker(stream)),
            stage: Stage::Told,
            is_paused: false,
        };
        self.streams.insert(stream, data);
        self.wakes.again(stream);
        self.flush_stream(stream);
        Ok(stream)
    }

    /// QUIC may have a stream to spare again.
    pub(super) fn serve_openings(&mut self) {
        for dir in [Dir::Bi, Dir::Uni] {
            if self.openings.is_available_again(dir) {
                for session in self.session_ids() {
                    self.of_session(session, session::Input::StreamsAvailable { dir });
                }
            }
        }
    }

    // ---- datagrams

    pub(super) fn datagram_received(&mut self, session: u64, payload: Bytes) {
        let Ok(session) = SessionId::try_from(StreamId::from(session)) else {
            return self.fail(Http3Error::Datagram);
        };
        match self.destination(session) {
            Destination::Session => {
                self.of_session(session, session::Input::DatagramReceived { payload });
            }
            Destination::Expected if self.has_early_room(payload.len()) => {
                let wait = self.config.deadlines.buffered;
                self.early.push_back(Early {
                    session,
                    // Copied, so that a small datagram does not keep a large buffer alive.
                    payload: Bytes::copy_from_slice(&payload),
                    due: self.now.and_then(|now| now.checked_add(wait)),
                });
            }
            Destination::Expected | Destination::Gone => self.stats.datagrams_absorbed += 1,
        }
    }

    fn has_early_room(&self, len: usize) -> bool {
        let limit = usize::try_from(self.config.limits.buffered_datagrams).unwrap_or(usize::MAX);
        let bytes: usize = self.early.iter().map(|early| early.payload.len()).sum();
        self.early.len() < limit && bytes + len <= self.config.limits.buffered_bytes
    }

    fn take_early(&mut self, session: SessionId) -> Vec<Bytes> {
        let (theirs, others) = std::mem::take(&mut self.early)
            .into_iter()
            .partition::<Vec<_>, _>(|early| early.session == session);
        self.early = others.into();
        theirs.into_iter().map(|early| early.payload).collect()
    }

    pub(super) fn forget_early(&mut self, session: SessionId) {
        let forgotten = self.take_early(session).len();
        self.stats.datagrams_absorbed += u64::try_from(forgotten).unwrap_or(u64::MAX);
    }
}
