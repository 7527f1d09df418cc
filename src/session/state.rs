//! The session's life on one screen: every state, every fact that can end or change it, and what follows.
//!
//! Knows nothing of bytes, streams or time. `mod.rs` turns what happens into a [`Fact`], asks
//! [`step`], and carries the [`Step`] out; `close.rs` gives the partings their frames.

use crate::{
    CloseMessage, CloseReason, CloseVia, ConnectionLost, Deadline, Endpoint, Rejection, Side,
    Violation, close::AbortedBy, wire::error_code,
};

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "testing", derive(Hash))]
pub(super) enum State {
    /// The CONNECT is out, or in, and not answered.
    Requested,
    /// Answered with 2xx.
    Open,
    /// The peer stopped us with WT_SESSION_GONE; the capsule it says with it may still come (E12).
    Stopped,
    /// The reason has been given.
    Closed,
}

/// What happened to the session as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// A 2xx was sent or received.
    Accepted,
    /// A 2xx was received behind a STOP_SENDING that says otherwise (E29).
    AcceptedStopped { code: u64 },
    /// Another final answer was sent or received.
    Rejected {
        by: Endpoint,
        rejection: Box<Rejection>,
    },
    /// WT_CLOSE_SESSION.
    PeerClosed { code: u32, message: CloseMessage },
    /// FIN on the CONNECT stream, between two capsules.
    PeerFinished,
    /// RESET_STREAM on the CONNECT stream.
    PeerReset { code: u64 },
    /// STOP_SENDING on the CONNECT stream.
    PeerStopped { code: u64 },
    /// STOP_SENDING with WT_SESSION_GONE, and there is a grace to wait for the capsule.
    PeerGone,
    /// GOAWAY with an id that covers this session's request.
    WentAway,
    /// The application closed it.
    LocallyClosed { code: u32, message: CloseMessage },
    /// The peer broke a rule.
    Violated(Violation),
    /// Nobody answered the CONNECT in time.
    RequestOverdue,
    /// Nothing came from the peer for too long.
    Inactive,
    /// No capsule came after WT_SESSION_GONE.
    GraceOver,
    /// The connection is over.
    Lost(ConnectionLost),
}

/// What a fact does to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Ignore,
    /// Remember the code until the answer comes (E29).
    NoteStop,
    /// Tell the application that the session is open.
    Open,
    /// Give up everything but the reason, and wait for that (E12).
    Hold,
    /// Give the reason, leave in this way.
    End(Verdict, Parting),
}

/// Which reason the application is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The one that the fact itself states.
    AsStated,
    /// The client took its request back.
    Withdrawn,
    /// The response never came to an end.
    MalformedResponse,
    /// Aborted by the WT_SESSION_GONE that came first.
    Stopped,
}

/// What we do with the CONNECT stream at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parting {
    /// FIN, then wait for the peer's.
    Finish,
    /// WT_CLOSE_SESSION and FIN, then wait for the peer's.
    Capsule,
    /// FIN, and no interest in what else the peer sends.
    Decline,
    /// RESET_STREAM and STOP_SENDING.
    Abort(Code),
    /// The connection is gone: nothing can be said.
    Silent,
}

/// The error code of an abort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// H3_REQUEST_CANCELLED.
    Cancelled,
    /// WT_SESSION_GONE.
    Gone,
    /// H3_MESSAGE_ERROR.
    Message,
    /// The fact's own: the peer's code back, or the violation's.
    AsStated,
}

/// The transition table. A session never leaves [`State::Closed`].
pub(super) const fn step(side: Side, state: State, fact: &Fact) -> Step {
    use Step::{End, Hold, Ignore, NoteStop};
    use Verdict::{AsStated, MalformedResponse, Withdrawn};

    match (state, fact) {
        (State::Requested, Fact::Accepted) => Step::Open,
        (State::Requested, Fact::AcceptedStopped { .. }) => {
            End(AsStated, Parting::Abort(Code::AsStated))
        }
        (State::Requested, Fact::Rejected { .. }) => End(AsStated, Parting::Decline),
        (State::Requested, Fact::PeerFinished) => match side {
            Side::Client => End(MalformedResponse, Parting::Abort(Code::Message)),
            Side::Server => End(Withdrawn, Parting::Abort(Code::Cancelled)),
        },
        (State::Requested, Fact::PeerReset { .. }) => match side {
            Side::Client => End(AsStated, Parting::Abort(Code::Cancelled)),
            Side::Server => End(Withdrawn, Parting::Abort(Code::Cancelled)),
        },
        (State::Requested, Fact::PeerStopped { .. }) => match side {
            Side::Client => NoteStop,
            Side::Server => End(Withdrawn, Parting::Abort(Code::AsStated)),
        },
        (State::Requested, Fact::WentAway | Fact::LocallyClosed { .. } | Fact::RequestOverdue) => {
            End(AsStated, Parting::Abort(Code::Cancelled))
        }

        (State::Open, Fact::PeerClosed { .. } | Fact::PeerFinished) => {
            End(AsStated, Parting::Finish)
        }
        (State::Open, Fact::PeerReset { .. }) => End(AsStated, Parting::Abort(Code::Gone)),
        (State::Open, Fact::PeerStopped { .. }) => End(AsStated, Parting::Abort(Code::AsStated)),
        (State::Open, Fact::PeerGone) => Hold,
        (State::Open, Fact::LocallyClosed { .. } | Fact::Inactive) => {
            End(AsStated, Parting::Capsule)
        }

        (State::Requested | State::Open, Fact::Violated(_)) => {
            End(AsStated, Parting::Abort(Code::AsStated))
        }
        (State::Requested | State::Open, Fact::Lost(_)) => End(AsStated, Parting::Silent),

        (State::Stopped, Fact::PeerClosed { .. } | Fact::PeerFinished) => {
            End(AsStated, Parting::Finish)
        }
        (State::Stopped, Fact::PeerReset { .. } | Fact::GraceOver) => {
            End(Verdict::Stopped, Parting::Abort(Code::Gone))
        }
        (State::Stopped, Fact::Violated(_)) => {
            End(Verdict::Stopped, Parting::Abort(Code::AsStated))
        }
        (State::Stopped, Fact::Lost(_)) => End(Verdict::Stopped, Parting::Silent),

        (
            State::Requested,
            Fact::PeerClosed { .. } | Fact::PeerGone | Fact::Inactive | Fact::GraceOver,
        )
        | (
            State::Open,
            Fact::Accepted
            | Fact::AcceptedStopped { .. }
            | Fact::Rejected { .. }
            | Fact::WentAway
            | Fact::RequestOverdue
            | Fact::GraceOver,
        )
        | (
            State::Stopped,
            Fact::Accepted
            | Fact::AcceptedStopped { .. }
            | Fact::Rejected { .. }
            | Fact::PeerStopped { .. }
            | Fact::PeerGone
            | Fact::WentAway
            | Fact::LocallyClosed { .. }
            | Fact::RequestOverdue
            | Fact::Inactive,
        )
        | (State::Closed, _) => Ignore,
    }
}

impl Fact {
    /// The error code that an abort gives back for this fact.
    pub(super) const fn code(&self) -> u64 {
        match self {
            Self::AcceptedStopped { code }
            | Self::PeerReset { code }
            | Self::PeerStopped { code } => *code,
            Self::Violated(violation) => violation.code(),
            Self::PeerGone
            | Self::Accepted
            | Self::Rejected { .. }
            | Self::PeerClosed { .. }
            | Self::PeerFinished
            | Self::WentAway
            | Self::LocallyClosed { .. }
            | Self::RequestOverdue
            | Self::Inactive
            | Self::GraceOver
            | Self::Lost(_) => error_code::WT_SESSION_GONE,
        }
    }

    /// The reason for the application.
    pub(super) fn into_reason(self, verdict: Verdict) -> CloseReason {
        match verdict {
            Verdict::AsStated => self.into_stated_reason(),
            Verdict::Withdrawn => CloseReason::Withdrawn {
                code: (self != Self::PeerFinished).then(|| self.code()),
            },
            Verdict::MalformedResponse => CloseReason::Violation(Violation::MalformedResponse),
            Verdict::Stopped => stopped(error_code::WT_SESSION_GONE),
        }
    }

    fn into_stated_reason(self) -> CloseReason {
        match self {
            Self::PeerClosed { code, message } => CloseReason::Peer {
                code,
                message,
                via: CloseVia::Capsule,
            },
            // §6: "Cleanly terminating a CONNECT stream without a WT_CLOSE_SESSION capsule SHALL be
            // semantically equivalent to terminating it with a WT_CLOSE_SESSION capsule that
            // has an error code of 0 and an empty error string."
            Self::PeerFinished => CloseReason::Peer {
                code: 0,
                message: CloseMessage::default(),
                via: CloseVia::Fin,
            },
            Self::PeerReset { code } => CloseReason::Aborted {
                by: AbortedBy::Reset,
                code,
            },
            Self::PeerStopped { code } | Self::AcceptedStopped { code } => stopped(code),
            Self::WentAway => CloseReason::Aborted {
                by: AbortedBy::GoAway,
                code: error_code::H3_REQUEST_REJECTED,
            },
            Self::Rejected { by, rejection } => CloseReason::Rejected { by, rejection },
            Self::LocallyClosed { code, message } => CloseReason::Local { code, message },
            Self::Violated(violation) => CloseReason::Violation(violation),
            Self::RequestOverdue => CloseReason::TimedOut(Deadline::Request),
            Self::Inactive => CloseReason::TimedOut(Deadline::Inactivity),
            Self::Lost(reason) => CloseReason::ConnectionLost(reason),
            // The table ends a session with these under a verdict of its own, or not at all.
            Self::PeerGone | Self::GraceOver | Self::Accepted => {
                stopped(error_code::WT_SESSION_GONE)
            }
        }
    }
}

const fn stopped(code: u64) -> CloseReason {
    CloseReason::Aborted {
        by: AbortedBy::StopSending,
        code,
    }
}
