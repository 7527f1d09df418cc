//! Makes an [`Ending`] happen: what the peer would have to send for it, put on the link in its name, or
//! what our own application, QUIC or the clock would have to do.

use bytes::{Bytes, BytesMut};

use super::{
    Ending, Machine, Pair, Stage,
    ending::{LIMITS, redirect},
    http3::RESERVED,
    machine::{Answer, Broken},
};
use crate::{
    CloseMessage, ConnectionLost, Dir, Input, Rejection, Response, SessionId, Side, StreamId,
    wire::{
        capsule::{self, FlowKind},
        error_code::{H3_NO_ERROR, WT_SESSION_GONE},
        frame,
    },
};

impl<M: Machine> Pair<M> {
    /// Opens a session, or only asks for it, as the ending needs it; makes the ending happen to
    /// `side`; waits until that side has been told. All events on the way are kept.
    ///
    /// For a pair of [`Ending::pair`]: another's configuration may lack the deadline.
    ///
    /// # Panics
    /// If the session does not come about, with the transcript.
    pub fn play(&mut self, side: Side, ending: &Ending) -> SessionId {
        let session = self.ask_for(&ending.request());
        if ending.stage() == Stage::Open {
            self.accept_and_wait(session);
        }
        self.inject(side, session, ending);
        self.wait(ending.duration());
        session
    }

    /// Makes an ending happen to `side`. The session must be at the ending's
    /// [`stage`](Ending::stage), and the ending be one of that [side](Ending::sides); after it
    /// [`wait`](Self::wait) for its [`duration`](Ending::duration).
    ///
    /// The pair's configuration must be the ending's, or at least have the deadline or the limits that
    /// it needs: see [`Ending::config`]. Else nothing happens.
    ///
    /// What the peer does is put on the link in its name: the peer's own machine does not know of
    /// it, and what that makes of the answers is of no meaning.
    #[expect(clippy::too_many_lines, reason = "one arm for each ending")]
    pub fn inject(&mut self, side: Side, session: SessionId, ending: &Ending) {
        self.remark(side, &format_args!("{ending} happens to session {session}"));
        let mut peer = Peer {
            pair: self,
            side: side.other(),
            connect: session.connect_stream(),
        };
        match ending {
            Ending::PeerCloses { code, message } => {
                peer.sends(&M::body(&capsule::close(*code, message)), true);
            }
            Ending::PeerClosesWithoutFin { code, message } => {
                peer.sends(&M::body(&capsule::close(*code, message)), false);
            }
            Ending::PeerClosesSilently => {
                peer.sends(&M::body(&capsule::close(0, "")), true);
            }
            Ending::PeerFinishes => {
                peer.sends(b"", true);
            }
            Ending::PeerSendsTrailers => {
                M::peer_breaks_http3(self, side, session, Broken::Trailers)
            }
            Ending::PeerClosesInPieces { code, message } => {
                let mut bytes = BytesMut::from(&frame::encode(RESERVED, b"grease")[..]);
                bytes.extend_from_slice(&M::body(&frame::encode(RESERVED, b"grease")));
                for byte in capsule::close(*code, message) {
                    bytes.extend_from_slice(&M::body(&[byte]));
                }
                peer.sends(&bytes, true);
            }
            Ending::PeerResets { code }
            | Ending::PeerResetsUnanswered { code }
            | Ending::PeerWithdraws { code } => {
                peer.resets(*code);
            }
            Ending::PeerStops { code } | Ending::PeerWithdrawsWithStop { code } => {
                peer.stops(*code);
            }
            Ending::PeerResetsAndStops { code } => {
                peer.resets(*code).stops(*code);
            }
            Ending::PeerStopsAndResets { code } => {
                peer.stops(*code).resets(*code);
            }
            Ending::PeerClosesAndResets { code } => {
                let close = M::body(&capsule::close(*code, ""));
                peer.sends(&close, false).resets(WT_SESSION_GONE);
            }
            Ending::PeerClosesAndStops { code } => {
                let close = M::body(&capsule::close(*code, ""));
                peer.sends(&close, false).stops(WT_SESSION_GONE);
            }
            Ending::PeerClosesAndGoesOn { code } => {
                let mut bytes = BytesMut::from(&M::body(&capsule::close(*code, ""))[..]);
                bytes.extend_from_slice(&M::body(b"more"));
                peer.sends(&bytes, false);
            }
            Ending::PeerStopsAndCloses { code, message } => {
                let close = M::body(&capsule::close(*code, message));
                peer.stops(WT_SESSION_GONE).sends(&close, true);
            }
            Ending::PeerStopsAndFinishes => {
                peer.stops(WT_SESSION_GONE).sends(b"", true);
            }
            Ending::PeerIsGone => {
                peer.stops(WT_SESSION_GONE);
            }

            Ending::PeerSendsTruncatedClose => {
                peer.sends(&M::body(&frame::encode(capsule::CLOSE, &[0, 0])), false);
            }
            Ending::PeerSendsTooLongMessage => {
                let payload = vec![b'x'; 4 + CloseMessage::MAX_LEN + 1];
                peer.sends(&M::body(&frame::encode(capsule::CLOSE, &payload)), false);
            }
            Ending::PeerSendsBrokenMessage => {
                peer.sends(
                    &M::body(&frame::encode(capsule::CLOSE, b"\0\0\0\0\xff")),
                    false,
                );
            }
            Ending::PeerFinishesInsideCapsule => {
                let cut = capsule::close(0, "cut").split_to(5);
                peer.sends(&M::body(&cut), true);
            }
            Ending::PeerSendsForbiddenCapsule => {
                peer.sends(
                    &M::body(&frame::encode(capsule::MAX_STREAM_DATA, &[0, 0])),
                    false,
                );
            }
            Ending::PeerOpensTooManyStreams => {
                for n in 0..=LIMITS.max_streams_uni {
                    peer.opens(session, n);
                }
            }
            Ending::PeerSendsTooMuchData => {
                // By its final size: what is read in between makes room for more.
                let stream = peer.opens(session, 0);
                peer.pair.send_as(
                    side.other(),
                    Input::StreamReset {
                        stream,
                        code: WT_SESSION_GONE,
                        final_size: Some(1 << 40),
                    },
                );
            }
            Ending::PeerDoesNotRaiseLimit => {
                let limit = capsule::flow(FlowKind::MaxData, LIMITS.max_data);
                peer.sends(&M::body(&limit), false);
            }
            Ending::PeerSendsMalformedCapsule => {
                peer.sends(&M::body(&frame::encode(capsule::DRAIN, &[0])), false);
            }
            Ending::PeerChoosesAnotherProtocol => {
                M::peer_answers(self, session, Answer::AnotherProtocol);
            }

            Ending::PeerStopsAndRejects { status } => {
                peer.stops(H3_NO_ERROR);
                M::peer_answers(self, session, Answer::Rejected((*status).into()));
            }
            Ending::PeerStopsAndAccepts { code } => {
                peer.stops(*code);
                M::peer_answers(self, session, Answer::Accepted { fin: false });
            }
            Ending::PeerRejects { status } => {
                M::peer_answers(self, session, Answer::Rejected((*status).into()));
            }
            Ending::PeerRedirects => {
                M::peer_answers(self, session, Answer::Rejected(redirect()));
            }
            Ending::PeerFinishesUnanswered | Ending::PeerWithdrawsWithFin => {
                peer.sends(b"", true);
            }
            Ending::PeerSendsMalformedResponse => {
                M::peer_answers(self, session, Answer::Malformed);
            }
            Ending::PeerGoesAway => M::peer_goes_away(self),
            Ending::WeReject { status } => self.reject(session, Rejection::from(*status)),
            Ending::PeerFinishesAtOnce => match side {
                Side::Client => M::peer_answers(self, session, Answer::Accepted { fin: true }),
                Side::Server => {
                    peer.pair.accept(session, Response::default());
                    peer.sends(b"", true);
                }
            },

            Ending::PeerClosesConnection { code, reason } => {
                self.close_connection(side.other(), *code, reason);
            }
            Ending::PeerClosesConnectionUnanswered { code } => {
                self.close_connection(side.other(), *code, "");
            }
            Ending::PeerBreaksOff { code } => {
                let (here, there) = transport_close(*code);
                self.lose_connection(side.other(), here);
                self.send_as(side.other(), Input::ConnectionClosed { reason: there });
            }
            Ending::PeerBreaksQuic { code } => {
                let (here, there) = transport_close(*code);
                self.lose_connection(side, here);
                self.send_as(side, Input::ConnectionClosed { reason: there });
            }
            Ending::IdleTimeout => self.link.cut(),
            Ending::StatelessReset => {
                let reason = ConnectionLost::StatelessReset;
                self.send_as(side.other(), Input::ConnectionClosed { reason });
            }
            Ending::WeCloseConnection { code } => self.close_connection(side, *code, ""),
            Ending::PeerSendsForbiddenFrame => {
                M::peer_breaks_http3(self, side, session, Broken::ForbiddenFrame);
            }
            Ending::PeerEndsControlStream => {
                M::peer_breaks_http3(self, side, session, Broken::ControlStream);
            }
            Ending::PeerSendsBrokenDatagram => {
                M::peer_breaks_http3(self, side, session, Broken::Datagram);
            }

            // The clock does it.
            Ending::NoAnswer | Ending::Inactivity => {}

            Ending::WeClose { code, message } => self.close(side, session, *code, message.clone()),
            Ending::WeCloseTwice { code } => {
                self.close(side, session, *code, "");
                self.close(side, session, code.wrapping_add(1), "again");
            }
            Ending::WeCloseAfterPeer { code } => {
                peer.sends(&M::body(&capsule::close(*code, "")), false);
                self.run();
                self.close(side, session, code.wrapping_add(1), "too late");
            }
            Ending::BothClose { code } => {
                self.close(side, session, *code, "");
                self.close(side.other(), session, code.wrapping_add(1), "");
            }
            Ending::WeCloseUnanswered { code } => self.close(side, session, *code, ""),
            Ending::WeShutDown { code, message } => self.shutdown(side, *code, message.clone()),
            Ending::WeCloseWithLongMessage => {
                self.close(side, session, 0, "x".repeat(CloseMessage::MAX_LEN + 1));
            }
        }
    }
}

/// The other end of the session, whose name is used.
struct Peer<'a, M: Machine> {
    pair: &'a mut Pair<M>,
    side: Side,
    connect: StreamId,
}

impl<M: Machine> Peer<'_, M> {
    fn sends(&mut self, bytes: &[u8], fin: bool) -> &mut Self {
        let stream = self.connect;
        let data = Bytes::copy_from_slice(bytes);
        let input = Input::StreamData { stream, data, fin };
        self.pair.send_as(self.side, input);
        self
    }

    /// Opens a unidirectional stream far above those that its machine opens.
    fn opens(&mut self, session: SessionId, n: u64) -> StreamId {
        let stream = StreamId::new(self.side, Dir::Uni, 1000 + n);
        let (data, fin) = (M::header(Dir::Uni, session), false);
        let input = Input::StreamData { stream, data, fin };
        self.pair.send_as(self.side, input);
        stream
    }

    fn resets(&mut self, code: u64) -> &mut Self {
        let input = Input::StreamReset {
            stream: self.connect,
            code,
            final_size: None,
        };
        self.pair.send_as(self.side, input);
        self
    }

    fn stops(&mut self, code: u64) -> &mut Self {
        let stream = self.connect;
        let input = Input::StreamStopped { stream, code };
        self.pair.send_as(self.side, input);
        self
    }
}

/// A close by QUIC as those who close and those who are closed see it.
fn transport_close(code: u64) -> (ConnectionLost, ConnectionLost) {
    let reason = Bytes::new();
    let here = ConnectionLost::LocalTransport {
        code,
        reason: reason.clone(),
    };
    (here, ConnectionLost::PeerTransport { code, reason })
}
