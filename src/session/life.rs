//! The steps of a session's life, carried out: what `state.rs` says of a fact becomes actions and
//! events here.

use bytes::Bytes;

use super::{
    Body, Event, Once, Session, after,
    state::{Code, Fact, Parting, State, Step, Verdict, step},
};
use crate::{
    CloseReason, Side,
    wire::{capsule, error_code},
};

impl Session {
    /// The one place where a session changes its state.
    pub(super) fn apply(&mut self, fact: Fact) {
        match step(self.side, self.state, &fact) {
            Step::Ignore => {}
            Step::NoteStop => {
                let code = fact.code();
                self.early.get_or_insert_default().stopped = Some(code);
                self.connect.stopped_early(code, &mut self.out);
            }
            Step::Open => self.become_open(),
            Step::Hold => self.become_stopped(),
            Step::End(verdict, parting) => self.become_closed(fact, verdict, parting),
        }
    }

    fn become_open(&mut self) {
        self.state = State::Open;
        self.awake_or_due = Some(self.now);
        self.out.event(Event::Opened);
        self.body = Body::Capsules;
        let held = match &mut self.early {
            Some(early) => std::mem::take(&mut early.body).freeze(),
            None => Bytes::new(),
        };
        if let Some(code) = self.stopped_early() {
            self.stopped_while_open(code);
            return;
        }
        // It is told right after the opening, however much waits in front of it.
        if self.draining == Once::Owed || self.asks_to_drain(held.clone()) {
            self.draining = Once::Said;
            self.out.event(Event::Draining);
        }
        if self.drain == Once::Owed {
            self.say_drain();
        }
        self.streams.announce(&mut self.out);
        self.update_windows(None);
        let early = self.early.take().map(|early| early.payloads);
        for payload in early.unwrap_or_default() {
            self.tell_datagram(payload);
        }
        if !held.is_empty() {
            self.body = Body::Held;
            self.early.get_or_insert_default().body = held.into();
        }
    }

    /// What came before the answer: told after the opening and all that waited for it.
    ///
    /// §3.2: "Bytes received before the server sends the response are processed once the session is
    /// accepted or discarded if the session is rejected."
    pub(crate) fn read_held(&mut self) {
        if self.state == State::Open && self.body == Body::Held {
            let early = self.early.take().unwrap_or_default();
            self.body = Body::Capsules;
            self.read_capsules(early.body.freeze());
        }
    }

    fn become_stopped(&mut self) {
        self.state = State::Stopped;
        self.awake_or_due = after(self.now, Some(self.config.deadlines.stop_grace));
        if self.connect.is_sending() {
            self.connect
                .reset(error_code::WT_SESSION_GONE, &mut self.out);
        }
        self.abandon();
    }

    fn become_closed(&mut self, fact: Fact, verdict: Verdict, parting: Parting) {
        let was_requested = self.state == State::Requested;
        self.state = State::Closed;
        let code = match parting {
            Parting::Abort(Code::Cancelled) => error_code::H3_REQUEST_CANCELLED,
            Parting::Abort(Code::Gone) => error_code::WT_SESSION_GONE,
            Parting::Abort(Code::Message) => error_code::H3_MESSAGE_ERROR,
            Parting::Abort(Code::AsStated) => fact.code(),
            Parting::Decline => match self.side {
                Side::Client => error_code::H3_REQUEST_CANCELLED,
                Side::Server => error_code::H3_NO_ERROR,
            },
            Parting::Finish | Parting::Capsule | Parting::Silent => error_code::WT_SESSION_GONE,
        };
        let reason = fact.into_reason(verdict);
        let capsule = || {
            if let CloseReason::Local { code, message } = &reason {
                return capsule::close(*code, message);
            }
            let (code, message) = &self.config.deadlines.inactivity_close;
            capsule::close(*code, message)
        };
        self.connect.part(parting, code, capsule, &mut self.out);
        if parting == Parting::Silent {
            self.streams.clear();
            self.early = None;
        } else {
            self.abandon();
        }
        if was_requested {
            // Nothing on the stream was read as capsules, and nothing will be.
            self.body = Body::Absorbed;
        }
        self.awake_or_due = after(self.now, Some(self.config.deadlines.linger));
        self.out.event(Event::Closed { reason });
    }

    /// Ends what is alive, and counts what the application never heard of.
    fn abandon(&mut self) {
        if let Some(capsules) = &mut self.capsules {
            capsules.drop_datagram();
        }
        let streams = self.streams.abandon(&mut self.out);
        let early = self.early.take().map_or(0, |early| early.payloads.len());
        self.absorb(streams, u64::try_from(early).unwrap_or(u64::MAX));
    }
}
