//! Every way in which a session can end, by name: who is told of it, and when it can happen.
//!
//! The one reason that each gives is in `ending/reason.rs`, how it is made to happen in `inject.rs`.

mod reason;

use std::{fmt, time::Duration};

use http::{HeaderMap, HeaderValue, StatusCode, Uri, header::LOCATION};

use super::{Link, Pair, end::IDLE_TIMEOUT};
use crate::{
    CloseMessage, Config, FlowControl, Protocol, Rejection, Request, Side,
    session::Session,
    wire::error_code::{H3_NO_ERROR, H3_REQUEST_CANCELLED, H3_REQUEST_REJECTED},
};

/// When an [`Ending`] can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// The server has been asked, and has not answered.
    Requested,
    /// The session is open at both ends.
    Open,
}

const BOTH: &[Side] = &[Side::Client, Side::Server];
const CLIENT: &[Side] = &[Side::Client];
const SERVER: &[Side] = &[Side::Server];

/// Defines the endings from one table, so that none can be missing anywhere.
macro_rules! endings {
    ($(
        $(#[doc = $doc:literal])+
        $id:literal $stage:ident $sides:ident
        $name:ident $({ $( $(#[doc = $about:literal])+ $field:ident: $type:ty = $sample:expr, )+ })?;
    )+) => {
        /// One way for a session to end, as one side sees it: that side is "we".
        ///
        /// The ids are those of the README's table and of the tests in `tests/endings/`.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Ending {
            $(
                $(#[doc = $doc])+
                #[doc = concat!("\n\nId: ", $id, ".")]
                $name $({ $( $(#[doc = $about])+ $field: $type, )+ })?,
            )+
        }

        impl Ending {
            /// Each of them, with sample codes and messages.
            #[must_use]
            pub fn all() -> Vec<Self> {
                vec![$( Self::$name $({ $( $field: $sample, )+ })?, )+]
            }

            /// The id in the README's table.
            #[must_use]
            pub fn id(&self) -> &'static str {
                match self { $( Self::$name { .. } => $id, )+ }
            }

            /// The name of the variant.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $( Self::$name { .. } => stringify!($name), )+ }
            }

            /// When it can happen.
            #[must_use]
            pub fn stage(&self) -> Stage {
                match self { $( Self::$name { .. } => Stage::$stage, )+ }
            }

            /// Whom it can happen to.
            #[must_use]
            pub fn sides(&self) -> &'static [Side] {
                match self { $( Self::$name { .. } => $sides, )+ }
            }
        }
    };
}

endings! {
    // ---- the peer ends it on the CONNECT stream

    /// The peer closes in order: close capsule and FIN together.
    "E01" Open BOTH
    PeerCloses {
        /// The application's code.
        code: u32 = 7,
        /// The application's message, of at most 1024 bytes.
        message: CloseMessage = "good game".into(),
    };
    /// The peer's close capsule, and no FIN behind it for now.
    "E02" Open BOTH
    PeerClosesWithoutFin {
        /// The application's code.
        code: u32 = 7,
        /// The application's message, of at most 1024 bytes.
        message: CloseMessage = "good game".into(),
    };
    /// The peer closes without a word: code 0 and no message, as a closed tab in Chromium does.
    "E03" Open BOTH
    PeerClosesSilently;
    /// The peer finishes the CONNECT stream without a close capsule.
    "E04" Open BOTH
    PeerFinishes;
    /// The peer sends trailers, which WebTransport has no place for.
    "E05" Open BOTH
    PeerSendsTrailers;
    /// A close capsule byte by byte, over many DATA frames, behind unknown capsules and frames.
    "E06" Open BOTH
    PeerClosesInPieces {
        /// The application's code.
        code: u32 = 7,
        /// The application's message, of at most 1024 bytes.
        message: CloseMessage = "good game".into(),
    };
    /// The peer resets the CONNECT stream.
    "E07" Open BOTH
    PeerResets {
        /// The code on the wire.
        code: u64 = H3_REQUEST_CANCELLED,
    };
    /// The peer stops reading the CONNECT stream.
    "E08" Open BOTH
    PeerStops {
        /// The code on the wire; with WT_SESSION_GONE it is
        /// [`PeerIsGone`](Self::PeerIsGone).
        code: u64 = H3_REQUEST_CANCELLED,
    };
    /// The peer resets and stops the CONNECT stream, in this order.
    "E09" Open BOTH
    PeerResetsAndStops {
        /// The code on the wire.
        code: u64 = H3_REQUEST_CANCELLED,
    };
    /// The peer stops and resets the CONNECT stream, in this order.
    "E09" Open BOTH
    PeerStopsAndResets {
        /// The code on the wire, not WT_SESSION_GONE.
        code: u64 = H3_REQUEST_CANCELLED,
    };
    /// A close capsule, and a reset behind it.
    "E10" Open BOTH
    PeerClosesAndResets {
        /// The application's code.
        code: u32 = 7,
    };
    /// A close capsule, and STOP_SENDING behind it.
    "E10" Open BOTH
    PeerClosesAndStops {
        /// The application's code.
        code: u32 = 7,
    };
    /// A close capsule, and more behind it, which is forbidden.
    "E11" Open BOTH
    PeerClosesAndGoesOn {
        /// The application's code.
        code: u32 = 7,
    };
    /// STOP_SENDING(WT_SESSION_GONE) overtakes the close capsule that it belongs to.
    "E12" Open BOTH
    PeerStopsAndCloses {
        /// The application's code.
        code: u32 = 7,
        /// The application's message, of at most 1024 bytes.
        message: CloseMessage = "good game".into(),
    };
    /// STOP_SENDING(WT_SESSION_GONE), and then a bare FIN.
    "E12" Open BOTH
    PeerStopsAndFinishes;
    /// STOP_SENDING(WT_SESSION_GONE), and nothing behind it.
    "E12" Open BOTH
    PeerIsGone;

    // ---- the peer breaks a rule of the session

    /// A close capsule too short for its code.
    "E20" Open BOTH
    PeerSendsTruncatedClose;
    /// A close message longer than 1024 bytes.
    "E21" Open BOTH
    PeerSendsTooLongMessage;
    /// A close message that is not UTF-8.
    "E22" Open BOTH
    PeerSendsBrokenMessage;
    /// A FIN inside a capsule.
    "E23" Open BOTH
    PeerFinishesInsideCapsule;
    /// WT_MAX_STREAM_DATA, which is prohibited over HTTP/3.
    "E24" Open BOTH
    PeerSendsForbiddenCapsule;
    /// More streams than flow control allows.
    "E25" Open BOTH
    PeerOpensTooManyStreams;
    /// More stream data than flow control allows.
    "E25" Open BOTH
    PeerSendsTooMuchData;
    /// A flow control limit that does not rise.
    "E25" Open BOTH
    PeerDoesNotRaiseLimit;
    /// A WT_DRAIN_SESSION capsule with something in it.
    "E26" Open BOTH
    PeerSendsMalformedCapsule;
    /// The server chooses a protocol that was not offered.
    "E27" Requested CLIENT
    PeerChoosesAnotherProtocol;

    // ---- it never opened

    /// The server stops reading the request, and then refuses it.
    "E29" Requested CLIENT
    PeerStopsAndRejects {
        /// The status of the answer: neither 1xx nor 2xx.
        status: StatusCode = StatusCode::SERVICE_UNAVAILABLE,
    };
    /// The server stops reading the request, and accepts it all the same.
    "E29" Requested CLIENT
    PeerStopsAndAccepts {
        /// The code on the wire, not WT_SESSION_GONE.
        code: u64 = H3_NO_ERROR,
    };
    /// The server refuses.
    "E30" Requested CLIENT
    PeerRejects {
        /// The status of the answer: neither 1xx nor 2xx.
        status: StatusCode = StatusCode::FORBIDDEN,
    };
    /// The server answers with a redirect, which is not followed.
    "E31" Requested CLIENT
    PeerRedirects;
    /// The server resets the CONNECT stream instead of an answer.
    "E33" Requested CLIENT
    PeerResetsUnanswered {
        /// The code on the wire. With H3_REQUEST_REJECTED the client may try again.
        code: u64 = H3_REQUEST_REJECTED,
    };
    /// The server finishes the CONNECT stream instead of an answer.
    "E34" Requested CLIENT
    PeerFinishesUnanswered;
    /// The server's answer is malformed.
    "E34" Requested CLIENT
    PeerSendsMalformedResponse;
    /// The server goes away without having looked at the request.
    "E35" Requested CLIENT
    PeerGoesAway;
    /// The client takes its request back with a reset.
    "E36" Requested SERVER
    PeerWithdraws {
        /// The code on the wire.
        code: u64 = H3_REQUEST_CANCELLED,
    };
    /// The client takes its request back with STOP_SENDING.
    "E36" Requested SERVER
    PeerWithdrawsWithStop {
        /// The code on the wire.
        code: u64 = H3_REQUEST_CANCELLED,
    };
    /// The client takes its request back with a FIN.
    "E36" Requested SERVER
    PeerWithdrawsWithFin;
    /// Our application refuses.
    "E37" Requested SERVER
    WeReject {
        /// The status of the answer: neither 1xx nor 2xx.
        status: StatusCode = StatusCode::FORBIDDEN,
    };
    /// It opens, and the peer's FIN is right behind that.
    "E39" Requested BOTH
    PeerFinishesAtOnce;

    // ---- the connection ends under it

    /// The peer's application closes the connection.
    "E40" Open BOTH
    PeerClosesConnection {
        /// The code on the wire.
        code: u64 = H3_NO_ERROR,
        /// The peer's words.
        reason: &'static str = "shutting down",
    };
    /// The same, before the answer.
    "E40" Requested BOTH
    PeerClosesConnectionUnanswered {
        /// The code on the wire.
        code: u64 = H3_NO_ERROR,
    };
    /// The peer's QUIC closes the connection.
    "E41" Open BOTH
    PeerBreaksOff {
        /// The code on the wire; one of QUIC (RFC 9000 §20.1).
        code: u64 = 0x1,
    };
    /// Nothing arrives any more, and QUIC's idle timeout runs out.
    "E42" Open BOTH
    IdleTimeout;
    /// The peer has forgotten the connection, as after a restart.
    "E43" Open BOTH
    StatelessReset;
    /// Our application, or the host, closes QUIC itself.
    "E45" Open BOTH
    WeCloseConnection {
        /// The code on the wire.
        code: u64 = H3_NO_ERROR,
    };
    /// The peer sends a frame that belongs elsewhere: the connection is closed.
    "E46" Open BOTH
    PeerSendsForbiddenFrame;
    /// The peer ends its control stream: the connection is closed.
    "E46" Open BOTH
    PeerEndsControlStream;
    /// The peer sends a datagram without a session: the connection is closed.
    "E46" Open BOTH
    PeerSendsBrokenDatagram;
    /// Our QUIC closes the connection, because the peer broke QUIC.
    "E47" Open BOTH
    PeerBreaksQuic {
        /// The code on the wire; one of QUIC (RFC 9000 §20.1).
        code: u64 = 0xa,
    };

    // ---- a deadline of ours

    /// Nobody answers the request in time.
    "E50" Requested BOTH
    NoAnswer;
    /// Nothing comes from the peer for too long.
    "E51" Open BOTH
    Inactivity;

    // ---- we end it

    /// Our application closes.
    "E60" Open BOTH
    WeClose {
        /// The application's code.
        code: u32 = 7,
        /// The application's message.
        message: CloseMessage = "kicked".into(),
    };
    /// Our application closes twice: the first counts.
    "E61" Open BOTH
    WeCloseTwice {
        /// The first code.
        code: u32 = 7,
    };
    /// Our application closes when the peer has closed already.
    "E61" Open BOTH
    WeCloseAfterPeer {
        /// The peer's application's code.
        code: u32 = 7,
    };
    /// Both applications close at once: each is told of its own.
    "E62" Open BOTH
    BothClose {
        /// Our application's code.
        code: u32 = 7,
    };
    /// Our application closes before there was an answer.
    "E63" Requested BOTH
    WeCloseUnanswered {
        /// The application's code.
        code: u32 = 7,
    };
    /// Our application shuts the whole connection down.
    "E64" Open BOTH
    WeShutDown {
        /// The application's code.
        code: u32 = 7,
        /// The application's message.
        message: CloseMessage = "restart".into(),
    };
    /// Our application closes with a message of 1025 bytes, which is cut.
    "E65" Open BOTH
    WeCloseWithLongMessage;
}

/// What the endings of flow control go beyond.
pub(super) const LIMITS: FlowControl = FlowControl::new(64 * 1024, 4, 4);

/// What `Inactivity` and `NoAnswer` wait for: less than the other side does by default.
const PATIENCE: Duration = Duration::from_secs(5);

impl Ending {
    /// A configuration for the side that it happens to: the default, and the deadline or the limits
    /// that it needs, if it needs any.
    #[must_use]
    pub fn config(&self) -> Config {
        let mut config = Config::default();
        if self.needs_flow_control() {
            config.flow_control = Some(LIMITS);
        }
        if *self == Self::NoAnswer {
            config.deadlines.request = Some(PATIENCE);
        }
        if *self == Self::Inactivity {
            config.deadlines.inactivity = Some(PATIENCE);
        }
        config
    }

    /// A request for a session that can end so.
    #[must_use]
    pub fn request(&self) -> Request {
        let mut request = Request::new(Uri::from_static("https://example.org/"));
        if matches!(self, Self::PeerChoosesAnotherProtocol) {
            request.protocols.extend(Protocol::try_from("game"));
        }
        request
    }

    /// A pair that this can be [played](Pair::play) in for this side: with its
    /// [`config`](Self::config) there.
    #[must_use]
    pub fn pair(&self, side: Side, link: Link) -> Pair {
        let (client, server) = self.configs(side);
        Pair::with(client, server, link)
    }

    /// The same for two [`Session`]s without an HTTP/3.
    #[must_use]
    pub fn session_pair(&self, side: Side, link: Link) -> Pair<Session> {
        let (client, server) = self.configs(side);
        Pair::sessions(client, server, link)
    }

    /// The client's and the server's. A deadline is for one side alone, so that it is the one that
    /// notices.
    fn configs(&self, side: Side) -> (Config, Config) {
        let other = Config {
            flow_control: self.config().flow_control,
            ..Config::default()
        };
        match side {
            Side::Client => (self.config(), other),
            Side::Server => (other, self.config()),
        }
    }

    fn needs_flow_control(&self) -> bool {
        matches!(
            self,
            Self::PeerOpensTooManyStreams
                | Self::PeerSendsTooMuchData
                | Self::PeerDoesNotRaiseLimit
        )
    }

    /// How long it takes at most until the application is told, with the [`config`](Self::config)
    /// of it and links that take less than a second.
    #[must_use]
    pub fn duration(&self) -> Duration {
        let is_idle = *self == Self::IdleTimeout;
        let waits = if is_idle { IDLE_TIMEOUT } else { PATIENCE };
        waits + Duration::from_secs(5)
    }
}

/// Name and id.
impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.id())
    }
}

/// An answer that sends the client elsewhere.
pub(super) fn redirect() -> Rejection {
    let mut headers = HeaderMap::new();
    headers.insert(LOCATION, HeaderValue::from_static("https://example.net/"));
    let mut redirect = Rejection::from(StatusCode::FOUND);
    redirect.headers = headers;
    redirect
}
