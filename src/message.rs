//! The three HTTP messages of a session: the request, the answer that opens it, and the others.
//!
//! Decides which requests can be sent and which fields belong to the crate. Does not know how
//! they look on the wire (`wire::qpack`), nor which dialect adds which field.

mod protocol;
#[cfg(feature = "serde")]
mod serde;

use std::{
    borrow::Cow,
    hash::{Hash, Hasher},
    net::Ipv6Addr,
    time::Duration,
};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header,
    uri::{PathAndQuery, Scheme},
};

use crate::{Dialect, InvalidRequest, Priority, priority::PRIORITY};

pub use protocol::Protocol;
pub(crate) use protocol::join;

/// The field that offers protocols, in a request (draft §3.3).
pub(crate) const WT_AVAILABLE_PROTOCOLS: HeaderName =
    HeaderName::from_static("wt-available-protocols");
/// The field that chooses one of them, in a 2xx response (draft §3.3).
pub(crate) const WT_PROTOCOL: HeaderName = HeaderName::from_static("wt-protocol");

/// The CONNECT of a session (draft §3.2).
///
/// With feature `serde` it is stored with all its headers in clear, credentials too.
///
/// ```
/// use webtransport_session::{Protocol, Request};
///
/// let request = Request::new("https://example.com/play?room=7".parse()?)
///     .protocols([Protocol::try_from("game-2")?, Protocol::try_from("game-1")?]);
/// assert_eq!(request.path(), "/play");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Serialize, ::serde::Deserialize))]
#[non_exhaustive]
pub struct Request {
    /// `https://authority/path?query`.
    #[cfg_attr(feature = "serde", serde(with = "self::serde::uri"))]
    pub uri: Uri,
    /// The Origin field. A browser always sends it, and a server must check it before it accepts:
    /// [`origin_is_any_of`](Self::origin_is_any_of).
    #[cfg_attr(feature = "serde", serde(with = "self::serde::optional_value"))]
    pub origin: Option<HeaderValue>,
    /// The protocols that the client offers, the most wanted first; empty: none.
    pub protocols: Vec<Protocol>,
    /// Client: an answer without one of `protocols` is a
    /// [`Violation::ProtocolMissing`](crate::Violation::ProtocolMissing). Not sent; `false` at a
    /// server.
    pub protocol_required: bool,
    /// All other fields. Those that the crate sends itself must not be in it, nor those that
    /// belong to a connection or describe a content: connection, content-length, content-type,
    /// host, keep-alive, origin, proxy-connection, sec-webtransport-http3-draft…, te,
    /// transfer-encoding, upgrade, wt-available-protocols, wt-protocol.
    #[cfg_attr(feature = "serde", serde(with = "self::serde::headers"))]
    pub headers: HeaderMap,
    /// Server: the dialect in which it was asked. Without effect at a client.
    pub dialect: Option<Dialect>,
}

/// Of the headers their number.
impl Hash for Request {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.uri, &self.origin, &self.protocols).hash(state);
        (self.protocol_required, self.headers.len()).hash(state);
    }
}

impl Request {
    /// A request that offers no protocols and has no further fields.
    ///
    /// Whether the URI will do is seen by `connect`: it needs to be `https` with an authority.
    pub fn new(uri: Uri) -> Self {
        Self {
            uri,
            origin: None,
            protocols: Vec::new(),
            protocol_required: false,
            headers: HeaderMap::new(),
            dialect: None,
        }
    }

    /// Offers these protocols, the most wanted first, in place of any before.
    pub fn protocols(mut self, offered: impl IntoIterator<Item = Protocol>) -> Self {
        self.protocols = offered.into_iter().collect();
        self
    }

    /// Client: the session is not to open unless the server chooses one of the protocols.
    pub fn require_protocol(mut self) -> Self {
        self.protocol_required = true;
        self
    }

    /// Sets the Origin field (RFC 6454), which only browsers have to send.
    pub fn origin(mut self, origin: HeaderValue) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Says how urgent the session is, in the Priority field (draft §3.4, RFC 9218 §5). Without it
    /// the server reads [`Priority::default`].
    pub fn priority(mut self, priority: Priority) -> Self {
        if let Some(value) = priority.to_value() {
            self.headers.insert(PRIORITY, value);
        }
        self
    }

    /// Server: whether the Origin is one of these, each as a browser writes it: scheme and host in
    /// lower case, the port only where it is not the scheme's own, no path and no slash at the end.
    /// Compared byte by byte.
    ///
    /// A request of a browser always has an Origin, so that pages of other sites can be kept out
    /// (draft §3.2, §8); answer those with 403. This is `false` where there is none: clients that
    /// are no browsers need not send it and can send any, so that for them it proves nothing. Who
    /// wants them too looks at [`origin`](Self::origin) first. A page without an origin of its own,
    /// such as a file, says "null".
    ///
    /// ```
    /// use http::{HeaderValue, StatusCode};
    /// use webtransport_session::{Rejection, Request};
    ///
    /// # let uri = "https://example.com/play".parse::<http::Uri>()?;
    /// let may_enter = |request: &Request| {
    ///     request.origin_is_any_of(&["https://example.com", "https://localhost:8443"])
    /// };
    /// let ours = HeaderValue::from_static("https://example.com");
    /// assert!(may_enter(&Request::new(uri.clone()).origin(ours)));
    /// assert!(!may_enter(&Request::new(uri)));
    /// let answer_to_others = Rejection::from(StatusCode::FORBIDDEN);
    /// # Ok::<(), http::uri::InvalidUri>(())
    /// ```
    #[must_use]
    pub fn origin_is_any_of(&self, allowed: &[&str]) -> bool {
        // §3.2: "the WebTransport server MUST verify the `Origin` header to ensure that the specified
        // origin is allowed to access the server in question."
        self.origin
            .as_ref()
            .is_some_and(|origin| allowed.iter().any(|allowed| origin == allowed))
    }

    /// The path without its query; "/" when the URI has none.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// The `:path`: path and query, with the slash that a URI such as `https://a?b` leaves out.
    pub(crate) fn target(&self) -> Cow<'_, str> {
        let target = self.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        if target.starts_with('/') {
            target.into()
        } else {
            format!("/{target}").into()
        }
    }

    /// Whether it can be sent as the CONNECT of a session.
    pub(crate) fn validate(&self) -> Result<(), InvalidRequest> {
        check_uri(&self.uri)?;
        let reserved = |name: &HeaderName| is_reserved(name) || name == header::ORIGIN;
        if self.headers.keys().any(reserved) {
            return Err(InvalidRequest);
        }
        Ok(())
    }
}

/// Whether it can be the URI of a session: asked of what is sent, and of what comes.
pub(crate) fn check_uri(uri: &Uri) -> Result<(), InvalidRequest> {
    // §3.2: "The `:scheme` field MUST be `https`."
    if uri.scheme() != Some(&Scheme::HTTPS) {
        return Err(InvalidRequest);
    }
    // §3.2: "Both the `:authority` and the `:path` value MUST be set"
    let authority = uri.authority().ok_or(InvalidRequest)?;
    let target = uri.path_and_query().map_or("", PathAndQuery::as_str);
    // RFC 9114 §4.3.1: only OPTIONS may have "*" for its path. A query may stand alone: a slash is put before.
    let is_path = target.starts_with(['/', '?']);
    // RFC 3986 §2.1: other bytes are percent-encoded.
    if is_path && target.is_ascii() && is_host_and_port(authority.as_str()) {
        Ok(())
    } else {
        Err(InvalidRequest)
    }
}

/// RFC 3986 §3.2, without the userinfo that RFC 9114 §4.3.1 forbids. Of what `http` takes for an authority.
fn is_host_and_port(authority: &str) -> bool {
    // From the end; in brackets there are colons of the address.
    let mark = |byte: u8| matches!(byte, b'@' | b':' | b'[' | b']');
    let Some(at) = authority.bytes().rposition(mark) else {
        return !authority.is_empty();
    };
    let (host, port) = match authority.split_at_checked(at) {
        Some((host, port)) if port.starts_with(':') => (host, port.get(1..).unwrap_or_default()),
        _ => (authority, ""),
    };
    let is_host = match host.strip_prefix('[') {
        Some(address) => address
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => !host.is_empty() && !host.bytes().any(mark),
    };
    is_host && (port.is_empty() || (!port.starts_with('+') && port.parse::<u16>().is_ok()))
}

/// Whether a field is the crate's to send, or has no place in a message of a session at all.
///
/// Such fields make a request invalid; from a response or rejection they are left out.
pub(crate) fn is_reserved(name: &HeaderName) -> bool {
    match name.as_str() {
        // The crate writes these.
        "wt-available-protocols" | "wt-protocol" => true,
        // RFC 9114 §4.2: connection-specific fields make a message malformed. Host would only
        // repeat `:authority`.
        "connection" | "host" | "keep-alive" | "proxy-connection" | "te" | "transfer-encoding"
        | "upgrade" => true,
        // RFC 9297 §3.2: nor may a message that uses the capsule protocol have these.
        "content-length" | "content-type" => true,
        // Dialect 02 has one in each direction.
        name => name.starts_with("sec-webtransport-http3-draft"),
    }
}

/// For a router that knows `http`: a CONNECT with the same URI, and with Origin and
/// WT-Available-Protocols among its headers. `protocol_required` and `dialect` are lost.
impl From<Request> for http::Request<()> {
    fn from(from: Request) -> Self {
        let mut request = Self::new(());
        *request.method_mut() = Method::CONNECT;
        *request.uri_mut() = from.uri;
        *request.version_mut() = Version::HTTP_3;
        *request.headers_mut() = from.headers;
        if let Some(origin) = from.origin {
            let _ = request.headers_mut().try_insert(header::ORIGIN, origin);
        }
        let offered = Protocol::encode_list(&from.protocols);
        if let Some(Ok(offered)) = offered.map(HeaderValue::try_from) {
            let _ = request
                .headers_mut()
                .try_insert(WT_AVAILABLE_PROTOCOLS, offered);
        }
        request
    }
}

/// Takes Origin and WT-Available-Protocols out of the headers into fields of their own. The
/// method, the version and the extensions are not looked at.
///
/// `Err` where the URI will not do, a header is one of those that [`Request::headers`] excludes,
/// there are two Origins, or the protocols cannot be read.
impl TryFrom<http::Request<()>> for Request {
    type Error = InvalidRequest;

    fn try_from(request: http::Request<()>) -> Result<Self, Self::Error> {
        let (parts, ()) = request.into_parts();
        let mut request = Self::new(parts.uri);
        request.headers = parts.headers;

        if request.headers.get_all(header::ORIGIN).iter().count() > 1 {
            return Err(InvalidRequest);
        }
        request.origin = request.headers.remove(header::ORIGIN);
        if request.headers.contains_key(WT_AVAILABLE_PROTOCOLS) {
            request.protocols =
                Protocol::parse_list(request.headers.get_all(WT_AVAILABLE_PROTOCOLS));
            // Left unread it would be ignored by the peer too, so it is a mistake.
            if request.protocols.is_empty() {
                return Err(InvalidRequest);
            }
            request.headers.remove(WT_AVAILABLE_PROTOCOLS);
        }
        request.validate()?;
        Ok(request)
    }
}

/// The 2xx answer that opens a session (draft §3.2). Sent as 200.
///
/// ```
/// use webtransport_session::{Protocol, Response};
///
/// let response = Response::default().protocol(Protocol::try_from("game-2")?);
/// assert_eq!(response.protocol.as_ref().map(Protocol::as_str), Some("game-2"));
/// # Ok::<(), webtransport_session::InvalidProtocol>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Serialize, ::serde::Deserialize))]
#[non_exhaustive]
pub struct Response {
    /// The protocol that was chosen from the request's, if any.
    pub protocol: Option<Protocol>,
    /// All other fields. Those that [`Request::headers`] excludes are left out when sent.
    #[cfg_attr(feature = "serde", serde(with = "self::serde::headers"))]
    pub headers: HeaderMap,
}

/// Of the headers their number.
impl Hash for Response {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.protocol, self.headers.len()).hash(state);
    }
}

impl Response {
    /// Chooses one of the protocols that the client offered.
    pub fn protocol(mut self, chosen: Protocol) -> Self {
        self.protocol = Some(chosen);
        self
    }
}

/// Any other final answer: the session does not open.
///
/// The status is to be 300 or above. A 1xx or 2xx would mean something else to the peer, so that
/// 500 is sent in its place.
///
/// ```
/// use http::StatusCode;
/// use webtransport_session::Rejection;
///
/// let rejection = Rejection::from(StatusCode::NOT_FOUND);
/// assert!(rejection.headers.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Serialize, ::serde::Deserialize))]
#[non_exhaustive]
pub struct Rejection {
    /// Why, in HTTP's terms. A redirection is never followed (draft §3.2).
    #[cfg_attr(feature = "serde", serde(with = "self::serde::status"))]
    pub status: StatusCode,
    /// The fields with it. Those that [`Request::headers`] excludes are left out when sent.
    #[cfg_attr(feature = "serde", serde(with = "self::serde::headers"))]
    pub headers: HeaderMap,
}

/// Of the headers their number.
impl Hash for Rejection {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.status, self.headers.len()).hash(state);
    }
}

impl Rejection {
    /// 429: this client asks for too many sessions, and may ask again after so long, which is sent
    /// in whole seconds, rounded up (draft §5.2, RFC 6585 §4, RFC 9110 §10.2.3).
    ///
    /// The client's application is told of this. Requests over
    /// [`Limits::sessions`](crate::Limits::sessions) need no answer: they are reset with
    /// H3_REQUEST_REJECTED before the server's application hears of them. What is allowed at all can
    /// be said in rate limit fields, with this and with a 2xx:
    ///
    /// ```
    /// use std::time::Duration;
    /// use http::{HeaderValue, StatusCode};
    /// use webtransport_session::{Rejection, Response};
    ///
    /// let policy = HeaderValue::from_static("\"sessions\";q=5;w=60");
    /// let mut later = Rejection::too_many_requests(Duration::from_secs(30));
    /// later.headers.insert("ratelimit-policy", policy.clone());
    /// assert_eq!(later.status, StatusCode::TOO_MANY_REQUESTS);
    /// assert_eq!(later.headers["retry-after"], "30");
    ///
    /// let mut response = Response::default();
    /// response.headers.insert("ratelimit-policy", policy);
    /// ```
    #[must_use]
    pub fn too_many_requests(retry_after: Duration) -> Self {
        let seconds = retry_after
            .as_secs()
            .saturating_add(u64::from(retry_after.subsec_nanos() > 0));
        let mut rejection = Self::from(StatusCode::TOO_MANY_REQUESTS);
        rejection
            .headers
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        rejection
    }

    /// How long the server asks to wait before another request, where it says so in seconds (RFC
    /// 9110 §10.2.3). `None` also for a date, which needs a calendar.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let value = self.headers.get(header::RETRY_AFTER)?.to_str().ok()?;
        let is_number = value.bytes().all(|digit| digit.is_ascii_digit());
        let seconds = value.parse().ok().filter(|_| is_number)?;
        Some(Duration::from_secs(seconds))
    }
}

impl From<StatusCode> for Rejection {
    fn from(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
        }
    }
}

#[cfg(test)]
mod tests;
