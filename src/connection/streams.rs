//! Data streams of a session: the peer's facts about them, and the application's commands. Which
//! session they belong to, and what waits until that is open, is in `parking.rs`.

use bytes::Bytes;

use super::{
    Connection,
    slot::{DataStream, Ending, Reading, Reset, Slot},
};
use crate::{
    Action, Dir, Event, Http3Error, OpenError, SendError, SessionId, StreamClosed, StreamId,
    session::{self, SendCredit},
    table::Table,
};

/// How many times `undelivered_bytes` may pile up, where bytes are fed that were not wanted or the
/// peer opens stream after stream while nobody polls, before it is a flood.
const FLOOD: usize = 4;

/// Leave to write payload to a stream that [`may`](Connection::may_write) be written. Of the
/// connection it needs the slots alone.
pub(super) fn credit(
    slots: &mut Table<StreamId, Slot>,
    stream: StreamId,
) -> Result<SendCredit<'_>, SendError> {
    let Some(Slot::Data(slot)) = slots.get(stream) else {
        return Err(SendError::StreamClosed);
    };
    let connect = slot.session.connect_stream();
    match slots.get_mut(connect) {
        Some(Slot::Connect(connect)) => connect.session.credit(stream),
        _ => Err(SendError::StreamClosed),
    }
}

impl Connection {
    // ---- the peer's facts

    /// Payload of a data stream.
    pub(super) fn data(&mut self, stream: StreamId, data: Bytes, fin: bool) {
        if data.is_empty() && !fin {
            return;
        }
        let Some(Slot::Data(slot)) = self.slots.get(stream) else {
            return;
        };
        let session = slot.session;
        if slot.parked.is_none() || self.park_if_receiving(session, stream, &data, fin) {
            self.payload_in_full(session, stream, data, fin);
        }
    }

    /// The same of a stream that [is receiving](DataStream::is_receiving).
    #[inline]
    pub(super) fn payload(&mut self, session: SessionId, stream: StreamId, data: Bytes, fin: bool) {
        if fin || !self.hears_uncounted(session) {
            return self.payload_in_full(session, stream, data, fin);
        }
        self.out.event(Event::StreamData {
            session,
            stream,
            data,
            fin,
        });
    }

    /// Payload of which only that it came matters: whether the application is to have it. False changes
    /// nothing.
    #[inline]
    pub(super) fn hears_uncounted(&mut self, session: SessionId) -> bool {
        match (self.slots.get_mut(session.connect_stream()), self.now) {
            (Some(Slot::Connect(connect)), Some(now)) => connect.session.hears_uncounted(now),
            _ => false,
        }
    }

    #[inline(never)]
    fn payload_in_full(&mut self, session: SessionId, stream: StreamId, data: Bytes, fin: bool) {
        let len = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let is_over = self.with_open_session(session, |connect, now| {
            connect.session.receive(now, stream, len, fin)
        });
        match is_over.flatten() {
            Some(is_over) => {
                self.out.event(Event::StreamData {
                    session,
                    stream,
                    data,
                    fin,
                });
                if is_over {
                    self.remove_data(stream);
                } else if fin {
                    self.end_if_over(stream);
                }
            }
            None => self.end_if_over(stream),
        }
    }

    /// False when there is nothing more to do with the bytes.
    fn park_if_receiving(
        &mut self,
        session: SessionId,
        stream: StreamId,
        data: &Bytes,
        fin: bool,
    ) -> bool {
        let is_receiving = match self.slots.get(stream) {
            Some(Slot::Data(DataStream {
                parked: Some(parked),
                ..
            })) if !parked.known => !parked.fin && parked.reset.is_none(),
            _ => self.is_receiving_on(session, stream),
        };
        is_receiving && self.park_bytes(stream, data, fin)
    }

    pub(super) fn is_receiving_on(&self, session: SessionId, stream: StreamId) -> bool {
        self.connect_stream(session)
            .is_some_and(|connect| connect.session.is_receiving_on(stream))
    }

    pub(super) fn data_reset(&mut self, stream: StreamId, code: u64, final_size: Option<u64>) {
        let Some(Slot::Data(slot)) = self.slots.get_mut(stream) else {
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
        self.end_if_over(stream);
    }

    pub(super) fn data_stopped(&mut self, stream: StreamId, code: u64) {
        let Some(Slot::Data(slot)) = self.slots.get_mut(stream) else {
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
        self.end_if_over(stream);
    }

    pub(super) fn data_writable(&mut self, stream: StreamId) {
        let Some(Slot::Data(DataStream {
            session,
            sending: None,
            ..
        })) = self.slots.get(stream)
        else {
            return;
        };
        let input = session::Input::StreamWritable { stream };
        self.with_session(*session, |connect, now| connect.session.handle(now, input));
    }

    /// QUIC took some of the header or the FIN.
    pub(super) fn data_written(&mut self, stream: StreamId) {
        let Some(Slot::Data(slot)) = self.slots.get_mut(stream) else {
            return;
        };
        let Some(sending) = slot
            .sending
            .take_if(|sending| sending.outgoing.is_written())
        else {
            return;
        };
        let session = slot.session;
        match sending.ending {
            Ending::None => self.data_writable(stream),
            Ending::Finish => {
                self.with_session(session, |connect, _| connect.session.finish(stream));
            }
            Ending::Reset { code } => {
                self.with_session(session, |connect, _| connect.session.reset(stream, code));
            }
        }
    }

    /// Notes that the session expects nothing more of the peer's half, and drops the slot of a stream
    /// that it no longer knows. To be called whenever either may have come about.
    pub(super) fn end_if_over(&mut self, stream: StreamId) {
        let Some(Slot::Data(slot)) = self.slots.get(stream) else {
            return;
        };
        let session = slot.session;
        let orphan = slot.parked.as_ref().is_some_and(|parked| !parked.known);
        if orphan {
            return;
        }
        let receives = self
            .connect_stream(session)
            .and_then(|connect| connect.session.receives(stream));
        match receives {
            Some(true) => {}
            Some(false) => self.end_reading(stream),
            None => self.remove_data(stream),
        }
    }

    fn end_reading(&mut self, stream: StreamId) {
        let Some(Slot::Data(slot)) = self.slots.get_mut(stream) else {
            return;
        };
        let session = slot.session;
        if std::mem::replace(&mut slot.reading, Reading::Over) == Reading::Paused {
            // Nothing is held back any more.
            self.with_session(session, |connect, _| connect.session.resume_untimed());
        }
    }

    pub(super) fn remove_data(&mut self, stream: StreamId) {
        if !matches!(self.slots.get(stream), Some(Slot::Data(_))) {
            return;
        }
        let Some(Slot::Data(slot)) = self.slots.remove(stream) else {
            return;
        };
        if let Some(mut parked) = slot.parked {
            self.deadlines.arm(stream, &mut parked.armed, None);
            self.buffered.remove_stream(parked.bytes.len());
            self.buffered.remove_orphan(slot.session, stream);
        }
        if let Some(sending) = slot.sending {
            self.unwritten -= sending.outgoing.len();
        }
        if slot.reading == Reading::Paused {
            self.with_session(slot.session, |connect, _| connect.session.resume_untimed());
        }
    }

    // ---- the application's commands

    pub(super) fn may_open(&mut self, session: SessionId, dir: Dir) -> Result<(), OpenError> {
        self.with_session(session, |connect, _| connect.session.may_open(dir))
            .unwrap_or(Err(OpenError::SessionClosed))
    }

    /// The application has been given payload of a session.
    #[inline]
    pub(super) fn consumed(&mut self, session: SessionId, len: usize) {
        if self.config.flow_control.is_some() {
            self.give_credit(session, len);
        }
    }

    #[inline(never)]
    fn give_credit(&mut self, session: SessionId, len: usize) {
        self.with_open_session(session, |connect, _| {
            if connect.session.has_flow_control() {
                let len = u64::try_from(len).unwrap_or(u64::MAX);
                connect.session.consumed(len);
            }
        });
    }

    pub(super) fn bind_stream(&mut self, stream: StreamId, session: SessionId, dir: Dir) {
        let ours = stream.initiator() == self.side && stream.dir() == dir;
        if !ours || !self.seen.mark(stream) {
            return;
        }
        let mut slot = DataStream::new(session, 0);
        slot.sending = Some(Box::default());
        if dir == Dir::Uni {
            slot.reading = Reading::Over;
        }
        self.slots.insert(stream, Slot::Data(slot));
        let header = self.with_session(session, |connect, _| {
            let permit = connect.session.open_stream(dir).ok()?;
            Some(permit.bind(stream))
        });
        if let Some(Some(header)) = header {
            self.send(stream, Bytes::copy_from_slice(header.as_ref()), false);
        }
    }

    /// Whether payload may be written to a stream. A refusal may have something to say to the peer.
    pub(super) fn may_write(&mut self, stream: StreamId) -> Result<(), SendError> {
        let Some(Slot::Data(slot)) = self.slots.get(stream) else {
            return Err(SendError::StreamClosed);
        };
        let (session, is_blocked) = (slot.session, slot.sending.is_some());
        if slot.ending() != Ending::None {
            return Err(SendError::StreamClosed);
        }
        let Some(Slot::Connect(connect)) = self.slots.get_mut(session.connect_stream()) else {
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
        if let Some(Slot::Data(slot)) = self.slots.get_mut(stream) {
            slot.sending.get_or_insert_default().ending = Ending::Finish;
        }
        self.send(stream, Bytes::new(), true);
        Ok(())
    }

    pub(super) fn reset_stream(&mut self, stream: StreamId, code: u32) -> Result<(), StreamClosed> {
        let session = self.check_sending(stream).or_else(|closed| {
            // A FIN that QUIC has not taken can still be overtaken by a reset.
            match self.slots.get(stream) {
                Some(Slot::Data(slot)) if slot.ending() == Ending::Finish => Ok(slot.session),
                _ => Err(closed),
            }
        })?;
        // Without its header the peer could not tell whose stream this is: that goes first.
        let header_is_pending = self.outgoing(stream).is_some_and(|out| out.len() > 0);
        if header_is_pending {
            if let Some(Slot::Data(slot)) = self.slots.get_mut(stream) {
                slot.sending.get_or_insert_default().ending = Ending::Reset { code };
            }
            return Ok(());
        }
        self.with_session(session, |connect, _| connect.session.reset(stream, code))
            .unwrap_or(Err(StreamClosed))
    }

    pub(super) fn stop_stream(&mut self, stream: StreamId, code: u32) -> Result<(), StreamClosed> {
        let Some(Slot::Data(slot)) = self.slots.get(stream) else {
            return Err(StreamClosed);
        };
        self.with_session(slot.session, |connect, _| {
            connect.session.stop(stream, code)
        })
        .unwrap_or(Err(StreamClosed))
    }

    fn check_sending(&self, stream: StreamId) -> Result<SessionId, StreamClosed> {
        let Some(Slot::Data(slot)) = self.slots.get(stream) else {
            return Err(StreamClosed);
        };
        let connect = self.connect_stream(slot.session).ok_or(StreamClosed)?;
        match connect.session.is_sending_on(stream) {
            true if slot.ending() == Ending::None => Ok(slot.session),
            true | false => Err(StreamClosed),
        }
    }

    pub(super) fn set_paused(&mut self, stream: StreamId, paused: bool) {
        let Some(Slot::Data(slot)) = self.slots.get_mut(stream) else {
            return;
        };
        let (before, after) = match paused {
            true => (Reading::On, Reading::Paused),
            false => (Reading::Paused, Reading::On),
        };
        if slot.reading != before || slot.parked.is_some() {
            return;
        }
        slot.reading = after;
        let session = slot.session;
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

    /// Too many events were queued.
    pub(super) fn hold_back(&mut self) {
        self.held_back = true;
        let limit = self.config.limits.undelivered_bytes;
        if self.out.undelivered() > limit.saturating_mul(FLOOD) {
            self.fail(Http3Error::ExcessiveLoad);
        }
    }

    #[inline]
    pub(super) fn is_backlogged(&self) -> bool {
        self.out.undelivered() > self.config.limits.undelivered_bytes
    }

    /// After an event was polled while reads were held back. They go on when half is delivered:
    /// what that costs for each stream there is, many events share.
    #[cold]
    pub(super) fn release_reads(&mut self) {
        if self.out.undelivered() > self.config.limits.undelivered_bytes / 2 {
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
        let is_data = |slot: &Slot| matches!(slot, Slot::Data(_));
        for stream in self.slots.ids_of(is_data) {
            if self.wants(stream) {
                self.out.action(Action::Read { stream });
            }
        }
    }
}
