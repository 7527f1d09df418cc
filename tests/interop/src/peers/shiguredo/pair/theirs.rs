//! What their machine says, and what their application does about it.

use bytes::Bytes;
use shiguredo_http3::{
    Event as TheirEvent, WebTransportEvent,
    webtransport::{Capsule, ConnectResponse},
};
use webtransport_session::{Dir, Input, StreamId};

use super::{Pair, SESSION, Theirs};
use crate::peers::guest::Deed;

impl Pair<'_> {
    pub(super) fn their_event(&mut self, event: TheirEvent) {
        match event {
            TheirEvent::Header {
                stream_id,
                name,
                value,
            } if name == b":status" => {
                let status = String::from_utf8_lossy(&value).into_owned();
                if status != "200" {
                    self.lines.push(format!("{stream_id}: status {status}"));
                }
            }
            TheirEvent::HeadersEnd { stream_id } => self.answer(stream_id),
            TheirEvent::GoawayReceived { .. } => self.lines.push("goaway".into()),
            TheirEvent::WebTransport(event) => self.their_session_event(event),
            _ => {}
        }
    }

    pub(super) fn answer(&mut self, stream: u64) {
        let Theirs::Server(server) = &mut self.theirs else {
            return;
        };
        let status = match self.case.deed {
            Deed::Reject(status) => status,
            Deed::Withhold => return,
            _ => 200,
        };
        let Ok(headers) = ConnectResponse::new(status).to_headers() else {
            return;
        };
        let is_last = status != 200;
        if let Err(error) = server.send_response(stream, &headers, is_last) {
            self.lines.push(format!("no answer: {error:?}"));
        }
    }

    pub(super) fn their_session_event(&mut self, event: WebTransportEvent) {
        match event {
            WebTransportEvent::SessionEstablished { .. } => self.open.1 = true,
            WebTransportEvent::SessionDraining { session_id } => {
                self.lines.push(format!("{session_id}: draining"));
            }
            WebTransportEvent::SessionClosed {
                session_id,
                close_error_code,
                close_message,
                ..
            } if !self.finished.contains(&session_id) => {
                // What it ended itself it need not be told, see the guard.
                let told =
                    format!("{session_id}: closed with {close_error_code} {close_message:?}");
                self.lines.push(told);
                // The FIN that answers.
                self.give_us(session_id, Vec::new(), true);
            }
            WebTransportEvent::Datagram {
                session_id,
                payload,
            } => {
                let text = payload.escape_ascii();
                self.lines.push(format!("{session_id}: datagram {text}"));
                if payload.starts_with(b"o-") {
                    self.datagram_for_us(&payload);
                }
            }
            WebTransportEvent::BidiStreamData { stream_id, data }
            | WebTransportEvent::UniStreamData { stream_id, data } => {
                let received = self.received.entry((self.side, stream_id)).or_default();
                received.extend_from_slice(&data);
                let capsules = theirs!(self.theirs, machine => {
                    machine.wt_data_consumed(SESSION, data.len() as u64);
                    machine.take_wt_pending_capsules(SESSION)
                });
                self.send_capsules(&capsules);
            }
            WebTransportEvent::BidiStreamEnd { stream_id }
            | WebTransportEvent::UniStreamEnd { stream_id } => self.their_stream_ended(stream_id),
            _ => {}
        }
    }

    pub(super) fn send_capsules(&mut self, capsules: &[Capsule]) {
        for capsule in capsules {
            let mut bytes = Vec::new();
            capsule.encode(&mut bytes);
            self.send_body(&bytes, false);
        }
    }

    pub(super) fn send_body(&mut self, data: &[u8], fin: bool) {
        let sent = theirs!(self.theirs, machine => machine.send_body(SESSION, data, fin));
        if let Err(error) = sent {
            self.lines.push(format!("no body: {error:?}"));
        }
    }

    pub(super) fn their_stream_ended(&mut self, id: u64) {
        let stream = StreamId::from(id);
        let all = self.received.remove(&(self.side, id)).unwrap_or_default();
        let (dir, text) = (stream.dir(), all.escape_ascii());
        self.lines.push(format!("{dir:?} {text}"));
        if stream.initiator() != self.side && dir == Dir::Bi {
            self.give_us(id, all, true);
        }
    }

    pub(super) fn datagram_for_us(&mut self, payload: &[u8]) {
        let sent = theirs!(self.theirs, machine => machine.send_datagram(SESSION, payload));
        match sent {
            Ok(data) => {
                let data = Bytes::from(data);
                self.ours.handle(self.now, Input::DatagramReceived { data });
            }
            Err(error) => self.lines.push(format!("no datagram: {error:?}")),
        }
    }

    /// A stream of theirs, with its header and FIN.
    pub(super) fn their_stream(&mut self, dir: Dir, header: &[u8], data: &[u8]) {
        // Behind the CONNECT, and behind the three of HTTP/3.
        let index = if dir == Dir::Bi { 1 } else { 3 };
        let stream = u64::from(StreamId::new(self.side, dir, index));
        let known =
            theirs!(self.theirs, machine => machine.register_local_wt_stream(SESSION, stream));
        if let Err(error) = known {
            self.lines.push(format!("no stream: {error:?}"));
        }
        self.give_us(stream, [header, data].concat(), true);
    }
}
