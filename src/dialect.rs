//! The only file that knows drafts: which dialect a connection speaks, and what follows from it.
//!
//! A dialect is named by the last draft that used its SETTINGS codepoint: a codepoint outlives
//! drafts, and peers are recognised by codepoints. The rest of the crate asks the questions that
//! [`Dialect`] answers here and is blind to draft numbers.

use std::time::Duration;

use crate::{
    Config, Dialect, FlowControl, Requirement, Side, Support, Transport,
    wire::{qpack::Literal, settings::Settings},
};

/// `:protocol` of drafts 02 to 14.
const TOKEN: &[u8] = b"webtransport";
/// `:protocol` from draft 15 on.
const TOKEN_H3: &[u8] = b"webtransport-h3";

/// Newest first.
const NEWEST_FIRST: [Dialect; 4] = [
    Dialect::Draft16,
    Dialect::Draft14,
    Dialect::Draft07,
    Dialect::Draft02,
];

/// What the CONNECT's answer says about application protocols, by dialect (§3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProtocolRule {
    /// There may be one; a choice that was not offered is as good as none, and none is required.
    Optional,
    /// A choice that was not offered is as good as none.
    Ignored,
    /// A choice that was not offered ends the session.
    Enforced,
}

impl Dialect {
    /// The `:protocol` of its CONNECT (draft §3.2): for those with an HTTP/3 of their own.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Draft02 | Self::Draft07 | Self::Draft14 => "webtransport",
            Self::Draft16 => "webtransport-h3",
        }
    }

    /// The field line with it.
    pub(crate) const fn protocol_line(self) -> &'static Literal {
        static LINE: Literal = Literal::of(b":protocol", TOKEN);
        static LINE_H3: Literal = Literal::of(b":protocol", TOKEN_H3);
        match self {
            Self::Draft02 | Self::Draft07 | Self::Draft14 => &LINE,
            Self::Draft16 => &LINE_H3,
        }
    }

    /// The name and value of the version header that its CONNECT carries; only draft 02 has one.
    #[must_use]
    pub const fn request_header(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Draft02 => Some(("sec-webtransport-http3-draft02", "1")),
            Self::Draft07 | Self::Draft14 | Self::Draft16 => None,
        }
    }

    /// The name and value of the version header that its 2xx carries; only draft 02 has one.
    ///
    /// ```
    /// use webtransport_session::Dialect;
    ///
    /// assert_eq!(
    ///     Dialect::Draft02.response_header(),
    ///     Some(("sec-webtransport-http3-draft", "draft02"))
    /// );
    /// assert_eq!(Dialect::Draft16.response_header(), None);
    /// ```
    #[must_use]
    pub const fn response_header(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Draft02 => Some(("sec-webtransport-http3-draft", "draft02")),
            Self::Draft07 | Self::Draft14 | Self::Draft16 => None,
        }
    }

    pub(crate) const fn protocol_rule(self) -> ProtocolRule {
        match self {
            // Draft 02 has no such header. Chromium sends it in that dialect all the same and takes
            // an answer to it, and to others an unknown header is nothing.
            Self::Draft02 | Self::Draft07 => ProtocolRule::Optional,
            Self::Draft14 => ProtocolRule::Ignored,
            Self::Draft16 => ProtocolRule::Enforced,
        }
    }

    /// Whether WT_MAX_STREAM_DATA and WT_STREAM_DATA_BLOCKED are a session error (§5.4) rather than
    /// unknown.
    pub(crate) const fn prohibits_stream_data_capsules(self) -> bool {
        matches!(self, Self::Draft14 | Self::Draft16)
    }

    /// Whether its clients can be sent GOAWAY. Chromium, which speaks draft 02 alone, crashes its
    /// network service at one while it has a session (156): its pages lose their sessions without
    /// our close message, and the server is told nothing.
    pub(crate) const fn takes_goaway(self) -> bool {
        !matches!(self, Self::Draft02)
    }

    /// How long the connection is kept behind its last session, so that its clients tell that one's
    /// end. To a page of Chromium (156) a CONNECTION_CLOSE that comes in the same moment as the close
    /// capsule is the end, without our code and message: seen in 4 of 10.
    pub(crate) const fn parting(self) -> Duration {
        match self {
            Self::Draft02 => Duration::from_millis(100),
            Self::Draft07 | Self::Draft14 | Self::Draft16 => Duration::ZERO,
        }
    }

    /// Draft 02 implies extended CONNECT; later ones announce it.
    const fn needs_extended_connect(self) -> bool {
        !matches!(self, Self::Draft02)
    }

    /// §3.1: "A SETTINGS_H3_DATAGRAM setting with a value of 1". The older dialects are of a time when
    /// HTTP datagrams had another setting: either will do there.
    const fn needs_h3_datagram(self) -> bool {
        matches!(self, Self::Draft14 | Self::Draft16)
    }

    const fn needs_reset_stream_at(self) -> bool {
        matches!(self, Self::Draft14 | Self::Draft16)
    }

    const fn is_announced(self, peer: &Settings) -> bool {
        match self {
            Self::Draft02 => peer.enable_webtransport == 1,
            Self::Draft07 => peer.max_sessions_draft07 > 0,
            Self::Draft14 => peer.max_sessions_draft13 > 0,
            Self::Draft16 => peer.wt_enabled == 1,
        }
    }

    /// How many sessions at a time a server that sent `server` takes.
    ///
    /// §5.1: "If flow control is not enabled, clients MUST NOT attempt to establish more than one
    /// simultaneous WebTransport session."
    pub(crate) fn session_limit(self, server: &Settings, flow_control: bool) -> u64 {
        match self {
            Self::Draft02 => server.max_sessions_draft04.unwrap_or(u64::MAX),
            Self::Draft07 => server.max_sessions_draft07,
            Self::Draft14 | Self::Draft16 if !flow_control => 1,
            Self::Draft14 => server.max_sessions_draft13,
            Self::Draft16 => u64::MAX,
        }
    }

    /// Whether it has session flow control at all.
    pub(crate) const fn has_flow_control(self) -> bool {
        matches!(self, Self::Draft14 | Self::Draft16)
    }

    /// Whether the same limit again is no mistake: draft 14 forbids lower ones only.
    pub(crate) const fn limits_may_repeat(self) -> bool {
        matches!(self, Self::Draft14)
    }

    /// The peer's initial limits, if both sides declare flow control (§5.1).
    pub(crate) fn peer_flow_control(self, ours: &Settings, peer: &Settings) -> Option<FlowControl> {
        let declares = |side: &Settings| {
            // Draft 13 has no limits in SETTINGS: more than one session is the declaration.
            side.flow_control().is_declared()
                || (self == Self::Draft14 && side.max_sessions_draft13 > 1)
        };
        let is_on = self.has_flow_control() && declares(ours) && declares(peer);
        is_on.then(|| peer.flow_control())
    }
}

/// The SETTINGS that this side sends.
pub(crate) fn announced(side: Side, config: &Config) -> Settings {
    let speaks = |dialect: Dialect| u64::from(config.dialects.contains(dialect));
    let sessions = u64::from(config.limits.sessions);
    let flow_control = config.flow_control.filter(FlowControl::is_declared);
    // Peers of drafts 13 and 14 expect session credit behind this setting: without, it is announced
    // only when it is the one thing to announce.
    let only_14 = !NEWEST_FIRST
        .iter()
        .any(|&dialect| dialect != Dialect::Draft14 && config.dialects.contains(dialect));
    Settings {
        max_field_section_size: Some(
            u64::try_from(config.limits.field_section).unwrap_or(u64::MAX),
        ),
        enable_connect_protocol: u64::from(side == Side::Server),
        h3_datagram: 1,
        h3_datagram_draft04: 1,
        enable_webtransport: speaks(Dialect::Draft02),
        max_sessions_draft04: match side {
            Side::Server if config.dialects.contains(Dialect::Draft02) => Some(sessions),
            Side::Server | Side::Client => None,
        },
        max_sessions_draft07: speaks(Dialect::Draft07),
        max_sessions_draft13: match flow_control {
            // Above 1, so that draft 13 takes it for flow control too.
            Some(_) => speaks(Dialect::Draft14) * sessions.max(2),
            None => u64::from(only_14),
        },
        wt_enabled: speaks(Dialect::Draft16),
        initial_max_data: flow_control.map(|limits| limits.max_data),
        initial_max_streams_uni: flow_control.map(|limits| limits.max_streams_uni),
        initial_max_streams_bidi: flow_control.map(|limits| limits.max_streams_bidi),
    }
}

/// Chooses the dialect, or says what is missing: the first, in the order of [`Requirement`].
///
/// `None` at a server: the client announces nothing, and its request will tell.
pub(crate) fn choose(
    side: Side,
    ours: &Settings,
    peer: &Settings,
    transport: &Transport,
) -> Result<Option<Dialect>, Requirement> {
    let chosen = NEWEST_FIRST
        .into_iter()
        .find(|dialect| dialect.is_announced(ours) && dialect.is_announced(peer));
    let announces_any = NEWEST_FIRST
        .into_iter()
        .any(|dialect| dialect.is_announced(peer));
    match (chosen, side) {
        (Some(_), _) => {}
        (None, _) if announces_any => return Err(Requirement::Dialect),
        (None, Side::Client) => return Err(Requirement::WebTransport),
        (None, Side::Server) => {}
    }
    match missing(side, chosen, peer, transport) {
        Some(requirement) => Err(requirement),
        None => Ok(chosen),
    }
}

/// What the peer lacks first for sessions of this dialect; of `None`, for sessions of any.
pub(crate) fn missing(
    side: Side,
    dialect: Option<Dialect>,
    peer: &Settings,
    transport: &Transport,
) -> Option<Requirement> {
    let needs = |rule: fn(Dialect) -> bool| dialect.is_some_and(rule);
    if side == Side::Client
        && needs(Dialect::needs_extended_connect)
        && peer.enable_connect_protocol != 1
    {
        return Some(Requirement::ExtendedConnect);
    }
    let is_old_enough = !needs(Dialect::needs_h3_datagram);
    let datagrams = peer.h3_datagram == 1 || (is_old_enough && peer.h3_datagram_draft04 == 1);
    if !datagrams || transport.datagrams == Support::No {
        return Some(Requirement::Datagrams);
    }
    if needs(Dialect::needs_reset_stream_at) && transport.peer_reset_stream_at == Support::No {
        return Some(Requirement::ResetStreamAt);
    }
    None
}

/// This `:protocol`, if any dialect uses it.
pub(crate) fn token(protocol: &[u8]) -> Option<&'static [u8]> {
    [TOKEN, TOKEN_H3]
        .into_iter()
        .find(|token| *token == protocol)
}

/// Server: the dialect of one request, by its `:protocol`. `None`: nothing that both speak.
pub(crate) fn of_request(protocol: &[u8], ours: &Settings, peer: &Settings) -> Option<Dialect> {
    let announces_any = NEWEST_FIRST
        .into_iter()
        .any(|dialect| dialect.is_announced(peer));
    if announces_any {
        return NEWEST_FIRST.into_iter().find(|dialect| {
            dialect.is_announced(ours)
                && dialect.is_announced(peer)
                && dialect.token().as_bytes() == protocol
        });
    }
    // Drafts 09 to 12 send no setting from the client.
    let sent_limits = [
        peer.initial_max_data,
        peer.initial_max_streams_uni,
        peer.initial_max_streams_bidi,
    ]
    .iter()
    .any(Option::is_some);
    let dialect = match protocol {
        TOKEN_H3 => Dialect::Draft16,
        TOKEN if sent_limits && Dialect::Draft14.is_announced(ours) => Dialect::Draft14,
        TOKEN => Dialect::Draft07,
        _ => return None,
    };
    dialect.is_announced(ours).then_some(dialect)
}
