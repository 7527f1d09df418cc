//! Plays QUIC for both ends of a [`Pair`], as far as a session can tell the difference: streams with
//! their halves, datagrams, the end of the connection.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::{Machine, Pair, machine::Out};
use crate::{Action, ConnectionLost, Input, Side, StreamId};

impl<M: Machine> Pair<M> {
    pub(super) fn tell(&mut self, side: Side, input: Input) {
        let (at, now) = (self.elapsed(), self.now);
        self.script.input(at, side, &input);
        let end = self.end(side);
        let first = stream_of(&input).is_some_and(|stream| end.quic.heard.insert(stream));
        end.machine.handle(now, input, first);
    }

    pub(super) fn send(&mut self, from: Side, input: Input) {
        let to = from.other();
        self.link.send(self.now, to, input);
    }

    pub(super) fn arrive(&mut self, side: Side, input: Input) {
        if self.end(side).quic.closed {
            return;
        }
        match input {
            Input::StreamData { stream, .. } | Input::StreamReset { stream, .. } => {
                if matches!(input, Input::StreamData { fin: true, .. }) {
                    self.send(side, Input::StreamAcknowledged { stream });
                }
                let end = self.end(side);
                if end.quic.stopped.contains(&stream) || end.quic.finished.contains(&stream) {
                    return;
                }
                if !matches!(input, Input::StreamData { fin: false, .. }) {
                    end.quic.finished.insert(stream);
                }
                end.quic.inbox.entry(stream).or_default().push_back(input);
                self.read(side, stream);
            }
            Input::StreamStopped { stream, .. } => {
                self.read(side, stream);
                self.tell(side, input);
            }
            Input::ConnectionClosed { .. } => {
                self.end(side).quic.closed = true;
                self.tell(side, input);
            }
            Input::Written { .. }
            | Input::StreamWritable { .. }
            | Input::StreamAcknowledged { .. }
            | Input::StreamsAvailable { .. }
            | Input::DatagramReceived { .. }
            | Input::Timeout => self.tell(side, input),
        }
    }

    /// Reads a stream while the machine wants it.
    fn read(&mut self, side: Side, stream: StreamId) {
        loop {
            let end = self.end(side);
            if !end.machine.wants(stream) {
                return;
            }
            let Some(inbox) = end.quic.inbox.get_mut(&stream) else {
                return;
            };
            let Some(mut input) = inbox.pop_front() else {
                end.quic.inbox.remove(&stream);
                return;
            };
            while self.link.merges() {
                let Some(inbox) = self.end(side).quic.inbox.get_mut(&stream) else {
                    break;
                };
                if !merge(&mut input, inbox) {
                    break;
                }
            }
            self.tell(side, input);
        }
    }

    /// What the machine has said itself goes out, all of it.
    pub(super) fn flush(&mut self, side: Side) {
        self.link.takes_all = true;
        self.drain(side);
        for stream in std::mem::take(&mut self.end(side).quic.blocked) {
            self.tell(side, Input::StreamWritable { stream });
            self.drain(side);
        }
        self.link.takes_all = false;
    }

    pub(super) fn drain_both(&mut self) {
        self.drain(Side::Client);
        self.drain(Side::Server);
    }

    /// Carries out what an end wants, and keeps what it tells.
    pub(super) fn drain(&mut self, side: Side) {
        while let Some(output) = self.end(side).machine.poll() {
            let at = self.elapsed();
            match output {
                Out::Event(event) => {
                    M::record(&mut self.script, at, side, &event);
                    self.end(side).events.push_back(event);
                }
                Out::Action(action) => {
                    self.script.action(at, side, &action);
                    self.perform(side, action);
                }
            }
        }
    }

    fn perform(&mut self, side: Side, action: Action) {
        match action {
            Action::Write {
                stream,
                mut data,
                fin,
            } => {
                let len = match M::WRITES_IN_PARTS {
                    true => self.link.takes(data.len()),
                    false => data.len(),
                };
                let fin = fin && len == data.len();
                let blocked = len < data.len();
                data.truncate(len);
                if len > 0 || fin {
                    self.send(side, Input::StreamData { stream, data, fin });
                }
                self.tell(side, Input::Written { stream, len, fin });
                if blocked {
                    self.end(side).quic.blocked.insert(stream);
                    self.link
                        .send(self.now, side, Input::StreamWritable { stream });
                }
            }
            Action::Read { stream } => self.read(side, stream),
            Action::Reset { stream, code, .. } => {
                let final_size = None;
                self.send(
                    side,
                    Input::StreamReset {
                        stream,
                        code,
                        final_size,
                    },
                );
            }
            Action::StopSending { stream, code } => {
                let end = self.end(side);
                end.quic.stopped.insert(stream);
                end.quic.inbox.remove(&stream);
                self.send(side, Input::StreamStopped { stream, code });
            }
            Action::CloseConnection { code, reason } => self.close_quic(side, code, reason),
        }
    }

    pub(super) fn close_quic(&mut self, side: Side, code: u64, reason: &'static str) {
        if std::mem::replace(&mut self.end(side).quic.closed, true) {
            return;
        }
        let reason = Bytes::from_static(reason.as_bytes());
        let reason = ConnectionLost::PeerApplication { code, reason };
        self.send(side, Input::ConnectionClosed { reason });
    }
}

/// Adds the next piece of the same stream to this one. False when there is none to add.
fn merge(input: &mut Input, pieces: &mut VecDeque<Input>) -> bool {
    let Input::StreamData { data, fin, .. } = input else {
        return false;
    };
    let Some(Input::StreamData {
        data: more,
        fin: last,
        ..
    }) = pieces.front()
    else {
        return false;
    };
    let mut both = BytesMut::with_capacity(data.len() + more.len());
    both.extend_from_slice(data);
    both.extend_from_slice(more);
    *data = both.freeze();
    *fin |= *last;
    pieces.pop_front();
    true
}

/// The stream that a fact brings something of.
fn stream_of(input: &Input) -> Option<StreamId> {
    match input {
        Input::StreamData { stream, .. } | Input::StreamReset { stream, .. } => Some(*stream),
        Input::StreamStopped { .. }
        | Input::Written { .. }
        | Input::StreamWritable { .. }
        | Input::StreamAcknowledged { .. }
        | Input::StreamsAvailable { .. }
        | Input::DatagramReceived { .. }
        | Input::ConnectionClosed { .. }
        | Input::Timeout => None,
    }
}
