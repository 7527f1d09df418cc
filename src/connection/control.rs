//! The streams that belong to the connection: control and QPACK, ours and the peer's; SETTINGS and
//! GOAWAY; and what SETTINGS decide.

use bytes::Bytes;

use super::{
    Connection,
    slot::{PeerControl, Slot},
};
use crate::{
    ConnectionLost, Dir, Event, Http3Error, Negotiated, SessionId, Side, StreamId, dialect,
    session,
    wire::{
        buffer::Buffer,
        error_code::WT_REQUIREMENTS_NOT_MET,
        frame, settings,
        settings::{Settings, SettingsError},
        tlv::Part,
        varint,
    },
};

/// Types of unidirectional streams (RFC 9114 §6.2, RFC 9204 §4.2).
pub(crate) const CONTROL: u64 = 0x00;
pub(super) const PUSH: u64 = 0x01;
pub(crate) const QPACK_ENCODER: u64 = 0x02;
pub(crate) const QPACK_DECODER: u64 = 0x03;

impl Connection {
    // ---- ours

    /// The control stream first of all.
    pub(super) fn bind_protocol_stream(&mut self, stream: StreamId) {
        if self.control.is_some() {
            self.bind_grease(stream);
        } else {
            self.bind_control(stream);
            self.negotiate();
            self.settle();
        }
    }

    /// Sends the stream type and our SETTINGS.
    fn bind_control(&mut self, stream: StreamId) {
        if stream.initiator() != self.side || stream.dir() != Dir::Uni || !self.seen.mark(stream) {
            return;
        }
        self.slots.insert(stream, Slot::Control(Default::default()));
        let mut bytes = Buffer::new();
        varint::write(&mut bytes, CONTROL);
        settings::put(&mut bytes, self.greased_settings(self.ours.pairs()));
        bytes.put(&self.control_grease());
        self.send(stream, bytes.freeze(), false);
        self.control = Some(stream);
        if self.goaway.sent {
            self.write_goaway();
        }
    }

    /// Sends GOAWAY, once; before there is a control stream it waits for that. A client that would
    /// not survive it learns from the refusal of its next request.
    pub(super) fn send_goaway(&mut self) {
        let is_first = !std::mem::replace(&mut self.goaway.sent, true);
        let is_understood = match self.agreement {
            Some(Ok(Some(dialect))) => self.side == Side::Client || dialect.takes_goaway(),
            _ => true,
        };
        if is_first && is_understood {
            self.write_goaway();
        }
    }

    fn write_goaway(&mut self) {
        // RFC 9114 §5.2: a server names the first request that it has not seen, a client a push.
        let id = match self.side {
            Side::Server => self.seen.next(Side::Client, Dir::Bi).into(),
            Side::Client => 0,
        };
        let mut payload = Buffer::new();
        varint::write(&mut payload, id);
        if let Some(control) = self.control {
            let goaway = frame::encode(frame::GOAWAY, payload.as_ref());
            self.send(control, goaway, false);
        }
    }

    // ---- the peer's

    pub(super) fn control_data(&mut self, stream: StreamId, mut data: Bytes, fin: bool) {
        loop {
            let Some(Slot::PeerControl(control)) = self.slots.get_mut(stream) else {
                return;
            };
            match control.reader.next(&mut data) {
                None => break,
                Some(Part::Header { kind, len }) => {
                    let limit = self.config.limits.control_frame;
                    if let Err(error) = control.begin(kind, len, limit, self.side) {
                        return self.fail(error);
                    }
                    if kind != frame::SETTINGS {
                        self.count_cheap();
                    }
                }
                Some(Part::Payload { mut data, end }) => {
                    let Some(kind) = control.kind else {
                        continue;
                    };
                    data.truncate(control.room);
                    control.room -= data.len();
                    let Some(payload) = control.collect.push(data, end) else {
                        continue;
                    };
                    let is_cut = control.is_cut;
                    if let Err(error) = self.control_frame(kind, &payload, is_cut) {
                        return self.fail(error);
                    }
                    // One read can hold a thousand of them, each an event.
                    self.check_backlog();
                }
            }
        }
        if fin {
            self.fail(Http3Error::ClosedCriticalStream);
        }
    }

    fn control_frame(&mut self, kind: u64, payload: &[u8], is_cut: bool) -> Result<(), Http3Error> {
        match kind {
            frame::SETTINGS => self.settings(payload),
            frame::GOAWAY => {
                let id = frame::single_varint(payload).ok_or(Http3Error::Frame)?;
                self.peer_goes_away(id)
            }
            frame::MAX_PUSH_ID => {
                let id = frame::single_varint(payload).ok_or(Http3Error::Frame)?;
                // RFC 9114 §7.2.7: "A MAX_PUSH_ID frame cannot reduce the maximum push ID".
                if self
                    .critical
                    .max_push_id
                    .is_some_and(|earlier| id < earlier)
                {
                    return Err(Http3Error::Id);
                }
                self.critical.max_push_id = Some(id);
                Ok(())
            }
            // RFC 9114 §7.2.3: no push was ever promised, by either side.
            frame::CANCEL_PUSH => Err(match frame::single_varint(payload) {
                Some(_) => Http3Error::Id,
                None => Http3Error::Frame,
            }),
            frame::PRIORITY_UPDATE_REQUEST | frame::PRIORITY_UPDATE_PUSH => {
                self.priority_update(kind, payload, is_cut)
            }
            _ => Ok(()),
        }
    }

    fn settings(&mut self, payload: &[u8]) -> Result<(), Http3Error> {
        let limit = self.config.limits.settings;
        let theirs = Settings::parse(payload, limit, self.side).map_err(|error| match error {
            SettingsError::Settings => Http3Error::Settings,
            SettingsError::Frame => Http3Error::Frame,
            SettingsError::ExcessiveLoad => Http3Error::ExcessiveLoad,
        })?;
        // First of all: what is wrong now is what to remember for the next time.
        self.theirs = Some(theirs);
        if self.transport.is_some() {
            self.check_remembered(&theirs)?;
        }
        self.negotiate();
        Ok(())
    }

    /// Decides what the connection can carry, once both ends' SETTINGS are on their way and QUIC is
    /// known: whichever comes last, and each comes once.
    pub(super) fn negotiate(&mut self) {
        let (Some(theirs), Some(transport), Some(_)) =
            (&self.theirs, &self.transport, self.control)
        else {
            return;
        };
        let agreement = dialect::choose(self.side, &self.ours, theirs, transport);
        self.agreement = Some(agreement);
        match agreement {
            Ok(dialect) => {
                let limits =
                    dialect.and_then(|dialect| dialect.peer_flow_control(&self.ours, theirs));
                let flow_control = limits.is_some();
                self.out.event(Event::Ready(Negotiated {
                    dialect,
                    flow_control,
                }));
            }
            Err(missing) => {
                self.out.event(Event::Unsupported(missing));
                if self.config.close_unsupported && self.side == Side::Client {
                    let code = WT_REQUIREMENTS_NOT_MET;
                    self.close_connection(code, "", ConnectionLost::Local { code: Some(code) });
                }
            }
        }
        self.announce_held();
    }

    fn peer_goes_away(&mut self, id: u64) -> Result<(), Http3Error> {
        let is_request =
            StreamId::from(id).initiator() == Side::Client && StreamId::from(id).dir() == Dir::Bi;
        let rises = self.goaway.received.is_some_and(|earlier| id > earlier);
        // RFC 9114 §5.2: "Receiving a GOAWAY containing a larger identifier than previously
        // received MUST be treated as a connection error of type H3_ID_ERROR."
        if rises || (self.side == Side::Client && !is_request) {
            return Err(Http3Error::Id);
        }
        for session in self.told_by_goaway(id) {
            self.with_session(session, |connect, now| {
                connect.session.handle(now, session::Input::GoAway { id });
            });
        }
        Ok(())
    }

    /// The sessions to which a GOAWAY is news, and notes that it came.
    fn told_by_goaway(&mut self, id: u64) -> Vec<SessionId> {
        let Some(earlier) = self.goaway.received.replace(id) else {
            return self.connect_streams();
        };
        // Whoever was there is draining. A lower id still covers requests that the earlier one did not.
        match self.side {
            Side::Client => {
                let session = |id| SessionId::from_connect_stream(StreamId::from(id));
                let newly_covered = session(id)..session(earlier);
                self.connects.range(newly_covered).to_vec()
            }
            Side::Server => Vec::new(),
        }
    }

    pub(super) fn encoder_data(&mut self, data: &[u8], fin: bool) {
        // RFC 9204 §4.3.1: Set Dynamic Table Capacity 0 is all that capacity 0 leaves to say.
        if data.iter().any(|&byte| byte != 0x20) {
            return self.fail(Http3Error::QpackEncoderStream);
        }
        for _ in data {
            self.count_cheap();
        }
        if fin {
            self.fail(Http3Error::ClosedCriticalStream);
        }
    }

    pub(super) fn decoder_data(&mut self, stream: StreamId, data: &[u8], fin: bool) {
        for &byte in data {
            let Some(Slot::PeerDecoder(decoder)) = self.slots.get_mut(stream) else {
                return;
            };
            if !decoder.accepts(byte) {
                return self.fail(Http3Error::QpackDecoderStream);
            }
            self.count_cheap();
        }
        if fin {
            self.fail(Http3Error::ClosedCriticalStream);
        }
    }
}

impl PeerControl {
    /// A frame begins: whether it may, and whether its payload is of interest.
    fn begin(&mut self, kind: u64, len: u64, limit: usize, side: Side) -> Result<(), Http3Error> {
        // RFC 9114 §6.2.1: "If the first frame of the control stream is any other frame type, this
        // MUST be treated as a connection error of type H3_MISSING_SETTINGS."
        if !self.has_settings && kind != frame::SETTINGS {
            return Err(Http3Error::MissingSettings);
        }
        self.kind = match kind {
            frame::SETTINGS if self.has_settings => return Err(Http3Error::FrameUnexpected),
            frame::DATA | frame::HEADERS | frame::PUSH_PROMISE => {
                return Err(Http3Error::FrameUnexpected);
            }
            frame::WT_STREAM => return Err(Http3Error::Frame),
            frame::MAX_PUSH_ID | frame::PRIORITY_UPDATE_REQUEST | frame::PRIORITY_UPDATE_PUSH
                if side == Side::Client =>
            {
                return Err(Http3Error::FrameUnexpected);
            }
            _ if frame::is_reserved_http2(kind) => return Err(Http3Error::FrameUnexpected),
            frame::SETTINGS | frame::PRIORITY_UPDATE_REQUEST | frame::PRIORITY_UPDATE_PUSH => {
                Some(kind)
            }
            frame::GOAWAY | frame::MAX_PUSH_ID | frame::CANCEL_PUSH => {
                if len > 8 {
                    return Err(Http3Error::Frame);
                }
                Some(kind)
            }
            _ => None,
        };
        self.has_settings = true;
        self.room = limit;
        self.is_cut = usize::try_from(len).map_or(true, |len| len > limit);
        // Of a priority the front will do: whom it is for.
        let may_be_cut = matches!(
            kind,
            frame::PRIORITY_UPDATE_REQUEST | frame::PRIORITY_UPDATE_PUSH
        );
        if self.kind.is_some() && self.is_cut && !may_be_cut {
            return Err(Http3Error::ExcessiveLoad);
        }
        Ok(())
    }
}

impl super::slot::DecoderStream {
    /// Stream Cancellation is the only instruction that capacity 0 leaves (RFC 9204 §4.4.2).
    fn accepts(&mut self, byte: u8) -> bool {
        if self.continues {
            self.continues = byte & 0x80 != 0;
            return true;
        }
        self.continues = byte & 0x3f == 0x3f;
        byte & 0xc0 == 0x40
    }
}
