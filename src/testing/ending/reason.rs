//! The one reason that each ending gives.

use super::{Ending, redirect};
use crate::{
    CloseMessage, CloseReason, CloseVia, ConnectionLost, Deadline, Endpoint, Http3Error, Rejection,
    Violation,
    close::AbortedBy,
    wire::error_code::{H3_REQUEST_REJECTED, WT_SESSION_GONE},
};

impl Ending {
    /// The one reason that the application of the side it happens to is given.
    #[must_use]
    pub fn reason(&self) -> CloseReason {
        match self {
            Self::PeerCloses { code, message }
            | Self::PeerClosesWithoutFin { code, message }
            | Self::PeerClosesInPieces { code, message }
            | Self::PeerStopsAndCloses { code, message } => peer_closed(*code, message.clone()),
            Self::PeerClosesAndResets { code }
            | Self::PeerClosesAndStops { code }
            | Self::PeerClosesAndGoesOn { code }
            | Self::WeCloseAfterPeer { code } => peer_closed(*code, CloseMessage::default()),
            Self::PeerClosesSilently => peer_closed(0, CloseMessage::default()),
            Self::PeerFinishes | Self::PeerStopsAndFinishes | Self::PeerFinishesAtOnce => {
                CloseReason::Peer {
                    code: 0,
                    message: CloseMessage::default(),
                    via: CloseVia::Fin,
                }
            }
            Self::PeerResets { code }
            | Self::PeerResetsAndStops { code }
            | Self::PeerResetsUnanswered { code } => aborted(AbortedBy::Reset, *code),
            Self::PeerStops { code }
            | Self::PeerStopsAndResets { code }
            | Self::PeerStopsAndAccepts { code } => aborted(AbortedBy::StopSending, *code),
            Self::PeerIsGone => aborted(AbortedBy::StopSending, WT_SESSION_GONE),
            Self::PeerGoesAway => aborted(AbortedBy::GoAway, H3_REQUEST_REJECTED),

            Self::PeerSendsTruncatedClose => Violation::TruncatedClose.into(),
            Self::PeerSendsTooLongMessage => Violation::MessageTooLong.into(),
            Self::PeerSendsBrokenMessage => Violation::MessageNotUtf8.into(),
            Self::PeerFinishesInsideCapsule => Violation::Truncated.into(),
            Self::PeerSendsForbiddenCapsule => Violation::ForbiddenCapsule.into(),
            Self::PeerOpensTooManyStreams => Violation::TooManyStreams.into(),
            Self::PeerSendsTooMuchData => Violation::TooMuchData.into(),
            Self::PeerDoesNotRaiseLimit => Violation::LimitNotRaised.into(),
            Self::PeerSendsMalformedCapsule => Violation::MalformedCapsule.into(),
            Self::PeerChoosesAnotherProtocol => Violation::ProtocolNotOffered.into(),
            Self::PeerFinishesUnanswered | Self::PeerSendsMalformedResponse => {
                Violation::MalformedResponse.into()
            }

            Self::PeerStopsAndRejects { status } | Self::PeerRejects { status } => {
                rejected(Endpoint::Peer, Rejection::from(*status))
            }
            Self::PeerRedirects => rejected(Endpoint::Peer, redirect()),
            Self::WeReject { status } => rejected(Endpoint::Local, Rejection::from(*status)),
            Self::PeerWithdraws { code } | Self::PeerWithdrawsWithStop { code } => {
                CloseReason::Withdrawn { code: Some(*code) }
            }
            Self::PeerWithdrawsWithFin => CloseReason::Withdrawn { code: None },

            Self::PeerClosesConnection { code, reason } => ConnectionLost::PeerApplication {
                code: *code,
                reason: (*reason).into(),
            }
            .into(),
            Self::PeerClosesConnectionUnanswered { code } => ConnectionLost::PeerApplication {
                code: *code,
                reason: "".into(),
            }
            .into(),
            Self::PeerBreaksOff { code } => ConnectionLost::PeerTransport {
                code: *code,
                reason: "".into(),
            }
            .into(),
            Self::IdleTimeout => ConnectionLost::IdleTimeout.into(),
            Self::StatelessReset => ConnectionLost::StatelessReset.into(),
            Self::WeCloseConnection { code } => ConnectionLost::Local { code: Some(*code) }.into(),
            Self::PeerSendsTrailers | Self::PeerSendsForbiddenFrame => {
                ConnectionLost::Http3(Http3Error::FrameUnexpected).into()
            }
            Self::PeerEndsControlStream => {
                ConnectionLost::Http3(Http3Error::ClosedCriticalStream).into()
            }
            Self::PeerSendsBrokenDatagram => ConnectionLost::Http3(Http3Error::Datagram).into(),
            Self::PeerBreaksQuic { code } => ConnectionLost::LocalTransport {
                code: *code,
                reason: "".into(),
            }
            .into(),

            Self::NoAnswer => CloseReason::TimedOut(Deadline::Request),
            Self::Inactivity => CloseReason::TimedOut(Deadline::Inactivity),

            Self::WeClose { code, message } | Self::WeShutDown { code, message } => {
                let message = message.clone();
                CloseReason::Local {
                    code: *code,
                    message,
                }
            }
            Self::WeCloseTwice { code }
            | Self::BothClose { code }
            | Self::WeCloseUnanswered { code } => CloseReason::Local {
                code: *code,
                message: CloseMessage::default(),
            },
            Self::WeCloseWithLongMessage => CloseReason::Local {
                code: 0,
                message: "x".repeat(CloseMessage::MAX_LEN).into(),
            },
        }
    }
}

fn peer_closed(code: u32, message: CloseMessage) -> CloseReason {
    let via = CloseVia::Capsule;
    CloseReason::Peer { code, message, via }
}

fn aborted(by: AbortedBy, code: u64) -> CloseReason {
    CloseReason::Aborted { by, code }
}

fn rejected(by: Endpoint, rejection: Rejection) -> CloseReason {
    let rejection = Box::new(rejection);
    CloseReason::Rejected { by, rejection }
}
