//! The ways of leaving: for each how it is done, and the one reason that the server must give.
//!
//! Most of them no well-behaved client would ever go: those are done on QUIC itself, beside the
//! host, or with bytes that the crate would not write. The endings have the ids of the crate's
//! tests.

use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn_proto::VarInt;
use webtransport_session::{
    AbortedBy, CloseReason, CloseVia, ConnectionLost, Deadline, Endpoint, Http3Error, Rejection,
    SessionId, Violation, host::quinn_proto::Peer,
};

use crate::server::{CHEATING, REFUSED, SLOW};

/// What players say who say something.
const GOODBYE: (u32, &str) = (7, "good game");
/// H3_REQUEST_CANCELLED: what HTTP/3 says when a request is not wanted any longer.
const CANCELLED: u32 = 0x10c;
/// H3_NO_ERROR.
const NO_ERROR: u32 = 0x100;
/// WT_SESSION_GONE.
const SESSION_GONE: u32 = 0x170d_7b68;

/// A way of leaving. Most leave after some play; some never get so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    CloseWithMessage,
    CloseWithout,
    BareFin,
    ResetStream,
    StopSending,
    StopBeforeClose,
    ConnectionClose,
    CloseThenConnectionClose,
    Vanish,
    Silence,
    Kicked,
    LeaveUnanswered,
    NeverAnswered,
    Refused,
    BrokenClose,
    BrokenMessage,
    BrokenHttp3,
}

/// When a way is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cue {
    /// With the request itself.
    Request,
    /// While the request waits for its answer.
    Unanswered,
    /// After some time of play.
    Play,
}

/// What a player does after the act. None of them sends positions any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Goes on with QUIC.
    Lingers,
    /// Does the second half of it after a while.
    ActsAgain(Duration),
    /// Is gone from the face of the net.
    IsGone,
}

impl Way {
    pub(crate) const ALL: [Self; 17] = [
        Self::CloseWithMessage,
        Self::CloseWithout,
        Self::BareFin,
        Self::ResetStream,
        Self::StopSending,
        Self::StopBeforeClose,
        Self::ConnectionClose,
        Self::CloseThenConnectionClose,
        Self::Vanish,
        Self::Silence,
        Self::Kicked,
        Self::LeaveUnanswered,
        Self::NeverAnswered,
        Self::Refused,
        Self::BrokenClose,
        Self::BrokenMessage,
        Self::BrokenHttp3,
    ];

    /// What it is called, in a table and in a path.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::CloseWithMessage => "close-with-message",
            Self::CloseWithout => "close-without",
            Self::BareFin => "bare-fin",
            Self::ResetStream => "reset-stream",
            Self::StopSending => "stop-sending",
            Self::StopBeforeClose => "stop-before-close",
            Self::ConnectionClose => "connection-close",
            Self::CloseThenConnectionClose => "close-then-connection-close",
            Self::Vanish => "vanish",
            Self::Silence => "silence",
            Self::Kicked => "kicked",
            Self::LeaveUnanswered => "leave-unanswered",
            Self::NeverAnswered => "never-answered",
            Self::Refused => "refused",
            Self::BrokenClose => "broken-close",
            Self::BrokenMessage => "broken-message",
            Self::BrokenHttp3 => "broken-http3",
        }
    }

    /// The id of the ending that it comes to.
    pub(crate) const fn ending(self) -> &'static str {
        match self {
            Self::CloseWithMessage | Self::CloseThenConnectionClose => "E01",
            Self::CloseWithout => "E03",
            Self::BareFin => "E04",
            Self::ResetStream => "E07",
            Self::StopSending => "E08",
            Self::StopBeforeClose => "E12",
            Self::ConnectionClose => "E40",
            Self::Vanish => "E42",
            Self::Silence => "E51",
            Self::Kicked => "E60",
            Self::LeaveUnanswered => "E36",
            Self::NeverAnswered => "E50",
            Self::Refused => "E37",
            Self::BrokenClose => "E20",
            Self::BrokenMessage => "E22",
            Self::BrokenHttp3 => "E46",
        }
    }

    /// What the server must say.
    pub(crate) fn expected(self) -> CloseReason {
        let closed = |(code, message): (u32, &str)| CloseReason::Peer {
            code,
            message: message.into(),
            via: CloseVia::Capsule,
        };
        match self {
            Self::CloseWithMessage | Self::StopBeforeClose | Self::CloseThenConnectionClose => {
                closed(GOODBYE)
            }
            Self::CloseWithout => closed((0, "")),
            Self::BareFin => CloseReason::Peer {
                code: 0,
                message: "".into(),
                via: CloseVia::Fin,
            },
            Self::ResetStream => CloseReason::Aborted {
                by: AbortedBy::Reset,
                code: CANCELLED.into(),
            },
            Self::StopSending => CloseReason::Aborted {
                by: AbortedBy::StopSending,
                code: CANCELLED.into(),
            },
            Self::ConnectionClose => CloseReason::ConnectionLost(ConnectionLost::PeerApplication {
                code: NO_ERROR.into(),
                reason: Bytes::from_static(GOODBYE.1.as_bytes()),
            }),
            Self::Vanish => CloseReason::ConnectionLost(ConnectionLost::IdleTimeout),
            Self::Silence => CloseReason::TimedOut(Deadline::Inactivity),
            Self::Kicked => CloseReason::Local {
                code: CHEATING.0,
                message: CHEATING.1.into(),
            },
            Self::LeaveUnanswered => CloseReason::Withdrawn {
                code: Some(CANCELLED.into()),
            },
            Self::NeverAnswered => CloseReason::TimedOut(Deadline::Request),
            Self::Refused => CloseReason::Rejected {
                by: Endpoint::Local,
                rejection: Box::new(Rejection::from(REFUSED.1)),
            },
            Self::BrokenClose => CloseReason::Violation(Violation::TruncatedClose),
            Self::BrokenMessage => CloseReason::Violation(Violation::MessageNotUtf8),
            Self::BrokenHttp3 => {
                CloseReason::ConnectionLost(ConnectionLost::Http3(Http3Error::FrameUnexpected))
            }
        }
    }

    /// Where the player asks to be let in.
    pub(crate) const fn path(self) -> &'static str {
        match (self, self.cue()) {
            (Self::Refused, _) => REFUSED.0,
            (_, Cue::Request | Cue::Unanswered) => SLOW,
            (_, Cue::Play) => "/arena",
        }
    }

    pub(crate) const fn cue(self) -> Cue {
        if matches!(self, Self::Refused | Self::NeverAnswered) {
            Cue::Request
        } else if matches!(self, Self::LeaveUnanswered) {
            Cue::Unanswered
        } else {
            Cue::Play
        }
    }

    /// Whether the player keeps QUIC alive on purpose, as Firefox does for a tab that was closed.
    pub(crate) fn keeps_alive(self) -> bool {
        matches!(self, Self::Silence | Self::NeverAnswered)
    }

    /// Leaves. The act is as short as it can be, so that its time is that of the leaving.
    pub(crate) fn act(self, peer: &mut Peer, session: SessionId, now: Instant) -> Then {
        let connect = session.connect_stream().into();
        // A half that is over already needs no more: what the server says of it is what counts.
        match self {
            Self::CloseWithMessage => {
                let (code, message) = GOODBYE;
                peer.sessions().close(now, session, code, message);
            }
            Self::CloseWithout => peer.sessions().close(now, session, 0, ""),
            Self::BareFin => {
                let _over = peer.quic.send_stream(connect).finish();
            }
            Self::ResetStream | Self::LeaveUnanswered => {
                let code = VarInt::from_u32(CANCELLED);
                let _over = peer.quic.send_stream(connect).reset(code);
            }
            Self::StopSending => {
                let code = VarInt::from_u32(CANCELLED);
                let _over = peer.quic.recv_stream(connect).stop(code);
            }
            // The order that packets may arrive in where a peer sends capsule and STOP_SENDING.
            Self::StopBeforeClose => {
                let code = VarInt::from_u32(SESSION_GONE);
                let _over = peer.quic.recv_stream(connect).stop(code);
                return Then::ActsAgain(Duration::from_millis(20));
            }
            Self::ConnectionClose => close_connection(peer, now),
            // As Firefox does. The capsule has to be out before quinn forgets it.
            Self::CloseThenConnectionClose => {
                let (code, message) = GOODBYE;
                peer.sessions().close(now, session, code, message);
                return Then::ActsAgain(Duration::ZERO);
            }
            Self::Vanish => return Then::IsGone,
            // The deed is the request itself, or to do nothing more.
            Self::Silence | Self::NeverAnswered | Self::Refused => {}
            Self::Kicked => {
                let nowhere = crate::format::encode_position(crate::format::FIELD);
                let _lost = peer.send_datagram(session, &nowhere);
            }
            // A DATA frame with a close capsule of two bytes: there is no room for a code.
            Self::BrokenClose => write(peer, session, b"\x00\x05\x68\x43\x02\x00\x00"),
            // A close capsule whose message is no text.
            Self::BrokenMessage => {
                write(peer, session, b"\x00\x08\x68\x43\x05\x00\x00\x00\x07\xff")
            }
            // SETTINGS, which belong on the control stream.
            Self::BrokenHttp3 => write(peer, session, b"\x04\x00"),
        }
        Then::Lingers
    }

    /// The second half of those ways that have one.
    pub(crate) fn act_again(self, peer: &mut Peer, session: SessionId, now: Instant) {
        if self == Self::CloseThenConnectionClose {
            close_connection(peer, now);
        } else {
            let (code, message) = GOODBYE;
            peer.sessions().close(now, session, code, message);
        }
    }
}

fn close_connection(peer: &mut Peer, now: Instant) {
    let reason = GOODBYE.1.as_bytes();
    peer.abort(now, NO_ERROR.into(), reason);
}

/// Writes raw bytes where the capsules go. They are few, and the stream has hardly been used.
fn write(peer: &mut Peer, session: SessionId, bytes: &[u8]) {
    let connect = session.connect_stream().into();
    let _taken = peer.quic.send_stream(connect).write(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_has_a_name_of_its_own() {
        for (index, way) in Way::ALL.iter().enumerate() {
            assert!(
                Way::ALL[..index]
                    .iter()
                    .all(|other| other.name() != way.name())
            );
        }
    }

    #[test]
    fn only_who_asks_and_does_not_play_asks_elsewhere() {
        for way in Way::ALL {
            assert_eq!(way.cue() == Cue::Play, way.path() == "/arena", "{way:?}");
        }
    }
}
