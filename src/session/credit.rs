//! Flow control at work (§5): what the counts of `flow.rs` mean for the peer's streams and for ours, and
//! the capsules that say so.

use super::{
    Action, Event, Session,
    flow::Flow,
    state::{Fact, State},
};
use crate::{
    Dir, SendError, StreamId, Violation,
    wire::capsule::{self, FlowKind},
};

impl Session {
    pub(crate) fn has_flow_control(&self) -> bool {
        self.streams.flow.is_some()
    }

    // ---- the peer's use of our limits

    /// The peer opened a stream.
    ///
    /// False when that was one too many, and the session is over.
    pub(super) fn count_stream(&mut self, dir: Dir) -> bool {
        let fits = |flow: &mut Box<Flow>| flow.received.streams(dir).take(1);
        if !self.streams.flow.as_mut().is_none_or(fits) {
            // §5.6.2: "If an endpoint receives an incoming stream for a session that would exceed
            // the advertised Maximum Streams value, it MUST close the WebTransport session with a
            // WT_FLOW_CONTROL_ERROR error code."
            self.apply(Fact::Violated(Violation::TooManyStreams));
            return false;
        }
        true
    }

    /// Payload came on a stream that still receives.
    pub(super) fn count_data(&mut self, len: u64) {
        let fits = |flow: &mut Box<Flow>| flow.received.data.take(len);
        if !self.streams.flow.as_mut().is_none_or(fits) {
            // §5.6.4: "If an endpoint receives Stream Body data in excess of this limit, it MUST
            // close the WebTransport session with a WT_FLOW_CONTROL_ERROR error code."
            self.apply(Fact::Violated(Violation::TooMuchData));
        }
    }

    /// A stream that still received was reset: what was sent on it and never seen counts too.
    pub(super) fn count_reset(&mut self, stream: StreamId, payload: Option<u64>) {
        let Some(received) = self.streams.payload_of(stream) else {
            return;
        };
        let Some(payload) = payload else {
            return self.release_lost();
        };
        let unseen = payload.saturating_sub(received);
        self.streams.receive(stream, unseen, false);
        self.count_data(unseen);
        if let Some(flow) = &mut self.streams.flow {
            flow.received.data.give(unseen);
        }
    }

    /// Streams of the peer's were refused: they count, and what they used is given back.
    pub(crate) fn forgive(&mut self, dir: Dir, count: u64) {
        for _ in 0..count {
            if !self.count_stream(dir) {
                return;
            }
            self.release_unseen();
            if let Some(flow) = &mut self.streams.flow {
                flow.received.streams(dir).give(1);
            }
        }
        self.update_windows(None);
    }

    /// A stream ended that may have been this session's: if it was, the peer has counted it.
    pub(crate) fn forgive_nameless(&mut self, dir: Dir) {
        self.release_lost();
        if let Some(flow) = &mut self.streams.flow {
            let window = flow.received.streams(dir);
            window.give(window.unused().min(1));
        }
        self.update_windows(None);
    }

    /// We read no more of a stream that the peer goes on sending until it hears of that: not more
    /// than QUIC lets it send ahead of the reader. To give too little would get the session stuck.
    pub(super) fn release_unseen(&mut self) {
        if let Some(flow) = &mut self.streams.flow {
            flow.received.data.give(flow.stream_window);
        }
    }

    /// The peer ended a stream, and nobody knows how much it had sent: not more than QUIC let it, nor
    /// than the limit has left. Without a bound of its own the limit would double with each reset.
    fn release_lost(&mut self) {
        if let Some(flow) = &mut self.streams.flow {
            let data = &mut flow.received.data;
            data.give(flow.stream_window.min(data.lost()));
        }
    }

    /// Tells the peer of limits that have moved on. `asked`: of the one that is in its way, also of a
    /// little.
    pub(super) fn update_windows(&mut self, asked: Option<FlowKind>) {
        if !self.has_flow_control() {
            return;
        }
        self.tell_data_limit(asked == Some(FlowKind::DataBlocked));
        for dir in [Dir::Bi, Dir::Uni] {
            self.tell_stream_limit(dir, asked == Some(FlowKind::StreamsBlocked(dir)));
        }
    }

    pub(super) fn tell_data_limit(&mut self, is_asked: bool) {
        let is_telling = self.is_telling();
        if let Some(flow) = self.streams.flow.as_mut().filter(|_| is_telling) {
            let limit = flow.received.data.update(is_asked);
            self.send_limit(FlowKind::MaxData, limit);
        }
    }

    fn tell_stream_limit(&mut self, dir: Dir, is_asked: bool) {
        let is_telling = self.is_telling();
        if let Some(flow) = self.streams.flow.as_mut().filter(|_| is_telling) {
            let limit = flow.received.streams(dir).update(is_asked);
            self.send_limit(FlowKind::MaxStreams(dir), limit);
        }
    }

    fn is_telling(&self) -> bool {
        self.state == State::Open && self.connect.is_sending()
    }

    // ---- our use of the peer's

    /// How much may be written to a stream now. `is_held`: its header is still on its way.
    pub(crate) fn may_write(
        &mut self,
        stream: StreamId,
        is_held: bool,
    ) -> Result<usize, SendError> {
        self.streams.sending(stream)?;
        let left = self.sendable().filter(|_| !is_held);
        match left {
            Some(left) if left > 0 => Ok(usize::try_from(left).unwrap_or(usize::MAX)),
            None if !is_held => Ok(usize::MAX),
            Some(_) | None => {
                self.streams.refuse(stream);
                Err(SendError::Blocked)
            }
        }
    }

    /// What may be sent now; `None`: there is no limit. 0 is complained of.
    fn sendable(&mut self) -> Option<u64> {
        let allowance = &mut self.streams.flow.as_mut()?.sent.data;
        let left = allowance.left();
        if left == 0 {
            let limit = allowance.complain();
            self.send_limit(FlowKind::DataBlocked, limit);
        }
        Some(left)
    }

    pub(super) fn spent(&mut self, len: usize) {
        if let Some(flow) = &mut self.streams.flow {
            let len = u64::try_from(len).unwrap_or(u64::MAX);
            flow.sent.data.take(len);
        }
    }

    /// Whether the peer's limit leaves room for a stream; if not, it is complained of.
    pub(super) fn can_open(&mut self, dir: Dir) -> bool {
        let Some(flow) = &mut self.streams.flow else {
            return true;
        };
        let allowance = flow.sent.streams(dir);
        let fits = allowance.left() > 0;
        if !fits {
            let limit = allowance.complain();
            self.send_limit(FlowKind::StreamsBlocked(dir), limit);
        }
        fits
    }

    pub(super) fn opened(&mut self, dir: Dir) {
        if let Some(flow) = &mut self.streams.flow {
            flow.sent.streams(dir).take(1);
        }
    }

    /// A flow control capsule, where there is flow control.
    pub(super) fn flow_capsule(&mut self, kind: FlowKind, value: u64) {
        let may_repeat = self.dialect.limits_may_repeat();
        let Some(flow) = self
            .streams
            .flow
            .as_mut()
            .filter(|_| self.state == State::Open)
        else {
            return;
        };
        let raised = match kind {
            FlowKind::MaxData => flow.sent.data.raise(value, may_repeat),
            FlowKind::MaxStreams(dir) => flow.sent.streams(dir).raise(value, may_repeat),
            FlowKind::StreamsBlocked(_) if value > super::flow::MAX_STREAMS => {
                Err(Violation::LimitTooHigh)
            }
            FlowKind::DataBlocked | FlowKind::StreamsBlocked(_) => {
                return self.update_windows(Some(kind));
            }
        };
        match (raised, kind) {
            (Err(violation), _) => self.apply(Fact::Violated(violation)),
            (Ok(()), FlowKind::MaxStreams(dir)) => {
                if std::mem::take(self.refused(dir)) {
                    self.out.event(Event::StreamsAvailable { dir });
                }
            }
            (Ok(()), _) => self.streams.unblock(&mut self.out),
        }
    }

    fn send_limit(&mut self, kind: FlowKind, limit: Option<u64>) {
        if let Some(limit) = limit.filter(|_| self.connect.is_sending()) {
            let data = capsule::flow(kind, limit);
            self.out.action(Action::SendBody { data, fin: false });
        }
    }
}
