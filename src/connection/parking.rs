//! Which session a peer's stream belongs to, and what waits until that is there and open (§4.6).
//!
//! Counts and the index of what waits are in `buffered.rs`, the bytes in the streams' own slots.

use bytes::Bytes;

use super::{
    Connection,
    slot::{DataStream, Parked, Preamble, Reset, Slot},
};
use crate::{
    Action, Dir, Event, Http3Error, SessionId, Side, StreamId, session,
    wire::error_code::{WT_BUFFERED_STREAM_REJECTED, WT_SESSION_GONE},
};

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

impl Connection {
    pub(super) fn destination(&self, session: SessionId) -> Destination {
        let id = session.connect_stream();
        match self.slots.get(id) {
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
        // Nothing can happen to it any more, so nobody need know it: messages often come so.
        if fin && stream.dir() == Dir::Uni && self.hears_uncounted(session) {
            self.out.event(Event::StreamOpened { session, stream });
            self.out.event(Event::StreamData {
                session,
                stream,
                data,
                fin,
            });
            return;
        }
        // Nearly all come to a session that is open.
        if let Some(is_told) = self.meet(session, stream, preamble) {
            if is_told && (fin || !data.is_empty()) {
                self.payload(session, stream, data, fin);
            }
            return;
        }
        let destination = if session.connect_stream() == stream {
            Destination::Never
        } else {
            self.destination(session)
        };
        match destination {
            Destination::Session => self.attach_to(session, stream, preamble.len),
            Destination::Expected => self.park_orphan(session, stream, preamble.len),
            Destination::Gone => self.refuse_stream(stream, WT_SESSION_GONE),
            Destination::Never => self.refuse_early(stream),
        }
        if let Some(code) = preamble.stopped {
            self.data_stopped(stream, code);
        }
        self.data(stream, data, fin);
    }

    /// A stream of a session that is open: whether the application is to hear of it, and has. `None`: the
    /// session is not open, or of the stream there is more to say.
    fn meet(&mut self, session: SessionId, stream: StreamId, preamble: &Preamble) -> Option<bool> {
        let now = self.now?;
        let Slot::Connect(connect) = self.slots.get_mut(session.connect_stream())? else {
            return None;
        };
        if !connect.session.is_open() || preamble.stopped.is_some() {
            return None;
        }
        let is_told = connect.session.meets(now, stream);
        let is_quiet = connect.session.is_quiet();
        if is_told {
            let slot = DataStream::new(session, preamble.len);
            self.slots.insert(stream, Slot::Data(slot));
        }
        if !is_quiet {
            self.with_session(session, |_, _| ());
        }
        if is_told {
            self.out.event(Event::StreamOpened { session, stream });
        }
        Some(is_told)
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
        let is_told =
            self.with_open_session(session, |connect, now| connect.session.meets(now, stream));
        if is_told == Some(true) {
            self.out.event(Event::StreamOpened { session, stream });
        } else {
            self.end_if_over(stream);
        }
    }

    fn park_orphan(&mut self, session: SessionId, stream: StreamId, header_len: u8) {
        if !self.buffered.has_stream_room(&self.config.limits) {
            self.forgive(session, stream.dir());
            return self.refuse_early(stream);
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
        if let Some(owed) = self.buffered.take_forsaken(session) {
            self.with_session(session, |connect, _| {
                connect.session.forgive(Dir::Bi, owed.bidi.into());
                connect.session.forgive(Dir::Uni, owed.uni.into());
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
        })) = self.slots.get_mut(stream)
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
            if let Some(now) = self.now {
                self.buffered
                    .forsake(session, dir, now, &self.config.limits);
            }
            return;
        }
        self.with_session(session, |connect, _| connect.session.forgive(dir, 1));
    }

    /// The same of a stream that ended before it named its session, which may be any.
    pub(super) fn forgive_nameless(&mut self, dir: Dir) {
        if self.config.flow_control.is_none() {
            return;
        }
        for session in self.connect_streams() {
            self.with_session(session, |connect, _| connect.session.forgive_nameless(dir));
        }
    }

    /// Refuses a peer's stream, whether it has a slot or not.
    pub(super) fn refuse_stream(&mut self, stream: StreamId, code: u64) {
        self.refuse_halves(stream, code, stream.dir() == Dir::Bi);
    }

    /// Refuses a stream whose session is not there: nothing paces these but the peer.
    fn refuse_early(&mut self, stream: StreamId) {
        self.refuse_stream(stream, WT_BUFFERED_STREAM_REJECTED);
        self.count_cheap();
    }

    fn refuse_halves(&mut self, stream: StreamId, code: u64, sending: bool) {
        self.stats.streams_refused += 1;
        self.remove_data(stream);
        if sending {
            self.reset_half(stream, code, 0);
        }
        self.out.action(Action::StopSending { stream, code });
    }

    /// Keeps bytes of a parked stream, copied, so that they do not keep a larger buffer alive.
    /// False when there was no room and the stream was refused.
    pub(super) fn park_bytes(&mut self, stream: StreamId, data: &Bytes, fin: bool) -> bool {
        let Some(Slot::Data(DataStream {
            parked: Some(parked),
            session,
            ..
        })) = self.slots.get_mut(stream)
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
            self.refuse_early(stream);
            return false;
        }
        let was_sending = self.with_session(session, |connect, _| connect.session.forget(stream));
        // The peer's STOP_SENDING had its answer already.
        let sending = was_sending.unwrap_or(true) && stream.dir() == Dir::Bi;
        self.refuse_halves(stream, WT_BUFFERED_STREAM_REJECTED, sending);
        false
    }

    /// The session is open: what was parked follows `StreamOpened`.
    pub(super) fn release_parked(&mut self, stream: StreamId) {
        let Some(Slot::Data(slot)) = self.slots.get_mut(stream) else {
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
        self.end_if_over(stream);
    }

    pub(super) fn data_expired(&mut self, stream: StreamId) {
        if let Some(Slot::Data(slot)) = self.slots.get_mut(stream) {
            if let Some(parked) = &mut slot.parked {
                parked.armed = None;
            }
            let session = slot.session;
            self.forgive(session, stream.dir());
            self.refuse_stream(stream, WT_BUFFERED_STREAM_REJECTED);
        }
    }
}
