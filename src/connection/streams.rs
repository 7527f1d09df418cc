//! Data streams: which session they belong to, what is parked until that is open, and the
//! application's commands on them.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    Connection,
    slot::{ConnectStream, DataStream, Ending, Parked, Preamble, Reset, Slot},
};
use crate::{
    Action, Dir, Event, Http3Error, OpenError, SendError, SessionId, Side, StreamClosed, StreamId,
    session::{self, SendCredit},
    wire::error_code::{WT_BUFFERED_STREAM_REJECTED, WT_SESSION_GONE},
};

/// How many times `undelivered_bytes` may pile up, where bytes are fed that were not wanted or the
/// peer opens stream after stream while nobody polls, before it is a flood.
const FLOOD: usize = 4;

/// What a stream or datagram finds under the session id that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// A session, in whatever state.
    Session,
    /// Nothing yet: the request may still be on its way.
    Expected,
    /// A session that is over, or a request that was not answered with 2xx.
    Gone,
    /// Something that never was a session.
    Never,
}

/// Leave to write payload to a stream that [`may`](Connection::may_write) be written. Of the
/// connection it needs the slots alone.
pub(super) fn credit(
    slots: &mut BTreeMap<StreamId, Slot>,
    stream: StreamId,
) -> Result<SendCredit<'_>, SendError> {
    let Some(Slot::Data(slot)) = slots.get(&stream) else {
        return Err(SendError::StreamClosed);
    };
    let connect = slot.session.connect_stream();
    match slots.get_mut(&connect) {
        Some(Slot::Connect(connect)) => connect.session.credit(stream),
        _ => Err(SendError::StreamClosed),
    }
}

impl Connection {
    pub(super) fn destination(&self, session: SessionId) -> Destination {
        let id = session.connect_stream();
        match self.slots.get(&id) {
            Some(Slot::Connect(_)) => Destination::Session,
            Some(Slot::Request(request)) if request.is_answered() => Destination::Gone,
            Some(Slot::Preamble(_) | Slot::Request(_)) => Destination::Expected,
            Some(
                Slot::Data(_)
                | Slot::Control(_)
                | Slot::Grease(_)
                | Slot::PeerControl(_)
                | Slot::PeerEncoder
                | Slot::PeerDecoder(_),
            ) => Destination::Never,
            None if self.seen.contains(id) => Destination::Gone,
            None => match self.side {
                Side::Server => Destination::Expected,
                Side::Client => Destination::Never,
            },
        }
    }

    /// A peer's stream has said which session it belongs to.
    pub(super) fn attach(
        &mut self,
        stream: StreamId,
        session: u64,
        preamble: &Preamble,
        data: Bytes,
        fin: bool,
    ) {
        // §4: "the endpoint MUST close the connection with an H3_ID_ERROR error code"
        let Ok(session) = SessionId::try_from(StreamId::from(session)) else {
            return self.fail(Http3Error::Id);
        };
        let destination = if session.connect_stream() == stream {
            Destination::Never
        } else {
            self.destination(session)
        };
        match destination {
            Destination::Session => self.attach_to(session, stream, preamble.len),
            Destination::Expected => self.park_orphan(session, stream, preamble.len),
            Destination::Gone => self.refuse_stream(stream, WT_SESSION_GONE),
            Destination::Never => self.refuse_stream(stream, WT_BUFFERED_STREAM_REJECTED),
        }
        if let Some(code) = preamble.stopped {
            self.data_stopped(stream, code);
        }
        self.data(stream, data, fin);
    }

    fn attach_to(&mut self, session: SessionId, stream: StreamId, header_len: u8) {
        let mut slot = DataStream::new(session, header_len);
        let is_requested = self
            .connect_stream(session)
            .is_some_and(|connect| connect.session.is_requested());
        if is_requested {
            if !self.buffered.has_stream_room(&self.config.limits) {
                self.forgive(session, stream.dir());
                return self.refuse_stream(stream, WT_BUFFERED_STREAM_REJECTED);
            }
            self.buffered.add_stream();
            slot.parked = Some(Box::new(Parked {
                known: true,
                ..Parked::default()
            }));
        }
        self.slots.insert(stream, Slot::Data(slot));
        self.with_session(session, |connect, now| {
            let opened = session::Input::StreamOpened { stream };
            connect.session.handle(now, opened);
        });
        self.drop_data_if_over(stream);
    }

    fn park_orphan(&mut self, session: SessionId, stream: StreamId, header_len: u8) {
        if !self.buffered.has_stream_room(&self.config.limits) {
            self.forgive(session, stream.dir());
            return self.refuse_stream(stream, WT_BUFFERED_STREAM_REJECTED);
        }
        self.buffered.add_stream();
        self.buffered.add_orphan(session, stream);
        let mut slot = DataStream::new(session, header_len);
        let mut parked = Box::<Parked>::default();
        let due = self
            .now
            .and_then(|now| now.checked_add(self.config.deadlines.buffered));
        self.deadlines.arm(stream, &mut parked.armed, due);
        slot.parked = Some(parked);
        self.slots.insert(stream, Slot::Data(slot));
    }

    /// The session that parked streams and datagrams waited for has been requested.
    pub(super) fn adopt_orphans(&mut self, session: SessionId) {
        if let Some(forsaken) = self.buffered.take_forsaken(session) {
            self.with_session(session, |connect, _| {
                connect.session.forgive(Dir::Bi, forsaken.bidi.into());
                connect.session.forgive(Dir::Uni, forsaken.uni.into());
            });
        }
        for stream in self.buffered.orphans_of(session) {
            self.adopt(session, stream);
        }
        for payload in self.buffered.datagrams_of(session) {
            let datagram = session::Input::DatagramReceived { payload };
            self.with_session(session, |connect, now| {
                connect.session.handle(now, datagram)
            });
        }
    }

    fn adopt(&mut self, session: SessionId, stream: StreamId) {
        self.buffered.remove_orphan(session, stream);
        let Some(Slot::Data(DataStream {
            parked: Some(parked),
            ..
        })) = self.slots.get_mut(&stream)
        else {
            return;
        };
        self.deadlines.arm(stream, &mut parked.armed, None);
        parked.known = true;
        let len = u64::try_from(parked.bytes.len()).unwrap_or(u64::MAX);
        let (fin, reset, stopped) = (parked.fin, parked.reset, parked.stopped);
        self.with_session(session, |connect, now| {
            let session = &mut connect.session;
            session.handle(now, session::Input::StreamOpened { stream });
            session.handle(now, session::Input::StreamData { stream, len, fin });
            if let Some(Reset { code, payload }) = reset {
                let final_size = payload;
                session.handle(
                    now,
                    session::Input::StreamReset {
                        stream,
                        code,
                        final_size,
                    },
                );
            }
            if let Some(code) = stopped {
                session.handle(now, session::Input::StreamStopped { stream, code });
            }
        });
    }

    /// The session that parked streams and datagrams waited for will never be.
    pub(super) fn forsake_orphans(&mut self, session: SessionId, code: u64) {
        self.buffered.take_forsaken(session);
        for stream in self.buffered.orphans_of(session) {
            self.refuse_stream(stream, code);
        }
        let datagrams = self.buffered.datagrams_of(session).len();
        self.stats.datagrams_absorbed += u64::try_from(datagrams).unwrap_or(u64::MAX);
    }

    /// A stream is refused that its session has not counted, and its peer has: what that used is
    /// given back, or the session might get stuck.
    fn forgive(&mut self, session: SessionId, dir: Dir) {
        if self.connect_stream(session).is_none() {
            self.buffered.forsake(session, dir, &self.config.limits);
            return;
        }
        self.with_session(session, |connect, _| connect.session.forgive(dir, 1));
    }

    /// The same of a stream that ended before it named its session, which may be any.
    pub(super) fn forgive_nameless(&mut self, dir: Dir) {
        for session in self.connect_streams() {
            self.forgive(session, dir);
        }
    }

    /// Refuses a peer's stream, whether it has a slot or not.
    pub(super) fn refuse_stream(&mut self, stream: StreamId, code: u64) {
        self.refuse_halves(stream, code, stream.dir() == Dir::Bi);
    }

    fn refuse_halves(&mut self, stream: StreamId, code: u64, sending: bool) {
        self.stats.streams_refused += 1;
        self.remove_data(stream);
        if sending {
            self.reset_half(stream, code, 0);
        }
        self.out.action(Action::StopSending { stream, code });
    }

    // ---- the peer's facts

    /// Payload of a data stream.
    pub(super) fn data(&mut self, stream: StreamId, data: Bytes, fin: bool) {
        if data.is_empty() && !fin {
            return;
        }
        let Some(Slot::Data(slot)) = self.slots.get_mut(&stream) else {
            return;
        };
        let session = slot.session;
        let is_receiving = match &slot.parked {
            Some(parked) if !parked.known => !parked.fin && parked.reset.is_none(),
            Some(_) | None => self.is_receiving_on(session, stream),
        };
        if !is_receiving || !self.park_bytes(stream, &data, fin) {
            return;
        }
        let len = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let told = self.with_session(session, |connect, now| {
            let input = session::Input::StreamData { stream, len, fin };
            connect.session.handle(now, input);
            connect.session.is_open()
        });
        if told == Some(true) {
            self.out.event(Event::StreamData {
                session,
                stream,
                data,
                fin,
            });
        }
        self.drop_data_if_over(stream);
    }

    fn is_receiving_on(&self, session: SessionId, stream: StreamId) -> bool {
        self.connect_stream(session)
            .is_some_and(|connect| connect.session.is_receiving_on(stream))
    }

    /// Keeps bytes of a parked stream, copied, so that they do not keep a larger buffer alive.
    /// False when there was no room and the stream was refused.
    fn park_bytes(&mut self, stream: StreamId, data: &Bytes, fin: bool) -> bool {
        let Some(Slot::Data(DataStream {
            parked: Some(parked),
            session,
            ..
        })) = self.slots.get_mut(&stream)
        else {
            return true;
        };
        if self.buffered.has_byte_room(data.len(), &self.config.limits) {
            self.buffered.add_bytes(data.len());
            parked.bytes.extend_from_slice(data);
            parked.fin |= fin;
            return true;
        }
        let session = *session;
        if !parked.known {
            self.forgive(session, stream.dir());
        }
        let was_sending = self.with_session(session, |connect, _| connect.session.forget(stream));
        // The peer's STOP_SENDING had its answer already.
        let sending = was_sending.unwrap_or(true) && stream.dir() == Dir::Bi;
        self.refuse_halves(stream, WT_BUFFERED_STREAM_REJECTED, sending);
        false
    }

    pub(super) fn data_reset(&mut self, stream: StreamId, code: u64, final_size: Option<u64>) {
        let Some(Slot::Data(slot)) = self.slots.get_mut(&stream) else {
            return;
        };
        let session = slot.session;
        let header_len = u64::from(slot.header_len);
        let payload = final_size.map(|size| size.saturating_sub(header_len));
        if let Some(parked) = &mut slot.parked {
            let dropped = std::mem::take(&mut parked.bytes).len();
            self.buffered.remove_bytes(dropped);
            if !parked.known {
                let reset = Reset { code, payload };
                parked.reset = parked.reset.or(Some(reset)).filter(|_| !parked.fin);
                return;
            }
        }
        self.with_session(session, |connect, now| {
            let input = session::Input::StreamReset {
                stream,
                code,
                final_size: payload,
            };
            connect.session.handle(now, input);
        });
        self.drop_data_if_over(stream);
    }

    pub(super) fn data_stopped(&mut self, stream: StreamId, code: u64) {
        let Some(Slot::Data(slot)) = self.slots.get_mut(&stream) else {
            return;
        };
        let session = slot.session;
        if let Some(parked) = slot.parked.as_mut().filter(|parked| !parked.known) {
            parked.stopped = parked.stopped.or(Some(code));
            return;
        }
        self.with_session(session, |connect, now| {
            let input = session::Input::StreamStopped { stream, code };
            connect.session.handle(now, input);
        });
        self.drop_data_if_over(stream);
    }

    pub(super) fn data_writable(&mut self, stream: StreamId) {
        let Some(Slot::Data(DataStream {
            session,
            outgoing: None,
            ..
        })) = self.slots.get(&stream)
        else {
            return;
        };
        let input = session::Input::StreamWritable { stream };
        self.with_session(*session, |connect, now| connect.session.handle(now, input));
    }

    /// QUIC took some of the header or the FIN.
    pub(super) fn data_written(&mut self, stream: StreamId) {
        let Some(Slot::Data(slot)) = self.slots.get_mut(&stream) else {
            return;
        };
        if !slot.outgoing.as_ref().is_some_and(|out| out.is_written()) {
            return;
        }
        slot.outgoing = None;
        let session = slot.session;
        match std::mem::replace(&mut slot.ending, Ending::None) {
            Ending::None => self.data_writable(stream),
            Ending::Finish => {
                self.with_session(session, |connect, _| connect.session.finish(stream));
            }
            Ending::Reset { code } => {
                self.with_session(session, |connect, _| connect.session.reset(stream, code));
            }
        }
    }

    /// The session is open: what was parked follows `StreamOpened`.
    pub(super) fn release_parked(&mut self, stream: StreamId) {
        let Some(Slot::Data(slot)) = self.slots.get_mut(&stream) else {
            return;
        };
        let Some(mut parked) = slot.parked.take() else {
            return;
        };
        let session = slot.session;
        let (data, fin) = parked.take();
        self.buffered.remove_stream(data.len());
        if fin || !data.is_empty() {
            self.out.event(Event::StreamData {
                session,
                stream,
                data,
                fin,
            });
        }
        if self.is_receiving_on(session, stream) {
            self.out.action(Action::Read { stream });
        }
        self.drop_data_if_over(stream);
    }

    pub(super) fn data_expired(&mut self, stream: StreamId) {
        if let Some(Slot::Data(slot)) = self.slots.get_mut(&stream) {
            if let Some(parked) = &mut slot.parked {
                parked.armed = None;
            }
            let session = slot.session;
            self.forgive(session, stream.dir());
            self.refuse_stream(stream, WT_BUFFERED_STREAM_REJECTED);
        }
    }

    /// Drops the slot of a stream that its session no longer knows.
    pub(super) fn drop_data_if_over(&mut self, stream: StreamId) {
        let Some(Slot::Data(slot)) = self.slots.get(&stream) else {
            return;
        };
        let session = slot.session;
        let orphan = slot.parked.as_ref().is_some_and(|parked| !parked.known);
        let known = self
            .connect_stream(session)
            .is_some_and(|connect| connect.session.has_stream(stream));
        if !orphan && !known {
            self.remove_data(stream);
        } else if slot.paused && !self.is_receiving_on(session, stream) {
            // Nothing is held back any more.
            self.set_paused(stream, false);
        }
    }

    fn remove_data(&mut self, stream: StreamId) {
        if !matches!(self.slots.get(&stream), Some(Slot::Data(_))) {
            return;
        }
        let Some(Slot::Data(slot)) = self.slots.remove(&stream) else {
            return;
        };
        if let Some(mut parked) = slot.parked {
            self.deadlines.arm(stream, &mut parked.armed, None);
            self.buffered.remove_stream(parked.bytes.len());
            self.buffered.remove_orphan(slot.session, stream);
        }
        if let Some(outgoing) = slot.outgoing {
            self.unwritten -= outgoing.len();
        }
        if slot.paused {
            self.with_session(slot.session, |connect, _| connect.session.resume_untimed());
        }
    }

    // ---- the application's commands

    pub(super) fn may_open(&mut self, session: SessionId, dir: Dir) -> Result<(), OpenError> {
        self.with_session(session, |connect, _| connect.session.may_open(dir))
            .unwrap_or(Err(OpenError::SessionClosed))
    }

    /// The application has been given payload of a session.
    pub(super) fn consumed(&mut self, session: SessionId, len: usize) {
        let has_flow_control = |connect: &ConnectStream| connect.session.has_flow_control();
        if self.connect_stream(session).is_some_and(has_flow_control) {
            let len = u64::try_from(len).unwrap_or(u64::MAX);
            self.with_session(session, |connect, _| connect.session.consumed(len));
        }
    }

    pub(super) fn bind_stream(&mut self, stream: StreamId, session: SessionId, dir: Dir) {
        let ours = stream.initiator() == self.side && stream.dir() == dir;
        if !ours || !self.seen.mark(stream) {
            return;
        }
        let mut slot = DataStream::new(session, 0);
        slot.outgoing = Some(Box::default());
        self.slots.insert(stream, Slot::Data(slot));
        let header = self.with_session(session, |connect, _| {
            let permit = connect.session.open_stream(dir).ok()?;
            Some(permit.bind(stream))
        });
        if let Some(Some(header)) = header {
            self.send(stream, header.as_ref(), false);
        }
    }

    /// Whether payload may be written to a stream. A refusal may have something to say to the peer.
    pub(super) fn may_write(&mut self, stream: StreamId) -> Result<(), SendError> {
        let Some(Slot::Data(slot)) = self.slots.get(&stream) else {
            return Err(SendError::StreamClosed);
        };
        let (session, is_blocked) = (slot.session, slot.outgoing.is_some());
        if slot.ending != Ending::None {
            return Err(SendError::StreamClosed);
        }
        let Some(Slot::Connect(connect)) = self.slots.get_mut(&session.connect_stream()) else {
            return Err(SendError::StreamClosed);
        };
        let result = connect.session.may_write(stream, is_blocked);
        if result.is_err() {
            self.with_session(session, |_, _| ());
        }
        result.map(|_| ())
    }

    pub(super) fn finish_stream(&mut self, stream: StreamId) -> Result<(), StreamClosed> {
        self.check_sending(stream)?;
        if let Some(Slot::Data(slot)) = self.slots.get_mut(&stream) {
            slot.ending = Ending::Finish;
            slot.outgoing.get_or_insert_default();
        }
        self.send(stream, &[], true);
        Ok(())
    }

    pub(super) fn reset_stream(&mut self, stream: StreamId, code: u32) -> Result<(), StreamClosed> {
        let session = self.check_sending(stream).or_else(|closed| {
            // A FIN that QUIC has not taken can still be overtaken by a reset.
            match self.slots.get(&stream) {
                Some(Slot::Data(slot)) if slot.ending == Ending::Finish => Ok(slot.session),
                _ => Err(closed),
            }
        })?;
        // Without its header the peer could not tell whose stream this is: that goes first.
        let header_is_pending = self.outgoing(stream).is_some_and(|out| out.len() > 0);
        if header_is_pending {
            if let Some(Slot::Data(slot)) = self.slots.get_mut(&stream) {
                slot.ending = Ending::Reset { code };
            }
            return Ok(());
        }
        self.with_session(session, |connect, _| connect.session.reset(stream, code))
            .unwrap_or(Err(StreamClosed))
    }

    pub(super) fn stop_stream(&mut self, stream: StreamId, code: u32) -> Result<(), StreamClosed> {
        let Some(Slot::Data(slot)) = self.slots.get(&stream) else {
            return Err(StreamClosed);
        };
        self.with_session(slot.session, |connect, _| {
            connect.session.stop(stream, code)
        })
        .unwrap_or(Err(StreamClosed))
    }

    fn check_sending(&self, stream: StreamId) -> Result<SessionId, StreamClosed> {
        let Some(Slot::Data(slot)) = self.slots.get(&stream) else {
            return Err(StreamClosed);
        };
        let connect = self.connect_stream(slot.session).ok_or(StreamClosed)?;
        match connect.session.is_sending_on(stream) {
            true if slot.ending == Ending::None => Ok(slot.session),
            true | false => Err(StreamClosed),
        }
    }

    pub(super) fn set_paused(&mut self, stream: StreamId, paused: bool) {
        let Some(Slot::Data(slot)) = self.slots.get(&stream) else {
            return;
        };
        let session = slot.session;
        if slot.paused == paused || (paused && !self.is_receiving_on(session, stream)) {
            return;
        }
        if let Some(Slot::Data(slot)) = self.slots.get_mut(&stream) {
            slot.paused = paused;
        }
        self.with_session(session, |connect, _| {
            if paused {
                connect.session.pause();
            } else {
                connect.session.resume_untimed();
            }
        });
        if !paused && self.wants(stream) {
            self.out.action(Action::Read { stream });
        }
    }

    // ---- reads held back

    /// After events may have been queued.
    pub(super) fn note_backlog(&mut self) {
        self.held_back |= self.is_backlogged();
        let limit = self.config.limits.undelivered_bytes;
        if self.out.undelivered() > limit.saturating_mul(FLOOD) && !self.is_closed() {
            self.fail(Http3Error::ExcessiveLoad);
        }
    }

    fn is_backlogged(&self) -> bool {
        self.out.undelivered() > self.config.limits.undelivered_bytes
    }

    /// After an event was polled.
    pub(super) fn release_reads(&mut self) {
        if !self.held_back || self.is_backlogged() {
            return;
        }
        self.held_back = false;
        for session in self.connect_streams() {
            // Inactivity counts from here: nobody could hear the peer before.
            self.with_session(session, |connect, _| {
                connect.session.pause();
                connect.session.resume_untimed();
            });
        }
        let waiting: Vec<_> = self.slots.keys().copied().collect();
        for stream in waiting {
            let is_data = matches!(self.slots.get(&stream), Some(Slot::Data(_)));
            if is_data && self.wants(stream) {
                self.out.action(Action::Read { stream });
            }
        }
    }
}
