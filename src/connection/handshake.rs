//! The CONNECT and its answer: field sections in, typed messages out, and back.
//!
//! What a message says is decided here; what follows for the session or the stream is not.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header,
    uri::{self, Authority, PathAndQuery, Scheme},
};

use crate::dialect::{self, ProtocolRule};
use crate::{
    Dialect, Http3Error, Protocol, Rejection, Request, Response, Violation,
    message::{WT_AVAILABLE_PROTOCOLS, WT_PROTOCOL, is_reserved},
    wire::{
        frame,
        qpack::{self, Encoder},
    },
};

/// Why a field section gives no message.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// The message breaks a rule of RFC 9114 §4.
    Malformed,
    /// It is larger than we said we take.
    TooLarge,
    /// The connection's error.
    Connection(Http3Error),
}

/// A request, as a server read it.
#[derive(Debug)]
pub(crate) enum Asked {
    /// A CONNECT with a token of WebTransport.
    Session(Box<Wanted>),
    /// Something else, and what it is answered with.
    Other(StatusCode),
}

/// A CONNECT for a session, before its dialect is known.
#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq))]
pub(crate) struct Wanted {
    pub(crate) token: Bytes,
    uri: Uri,
    origin: Option<HeaderValue>,
    headers: HeaderMap,
}

/// Of the headers their number: the rest tells requests apart well enough.
#[cfg(feature = "testing")]
impl std::hash::Hash for Wanted {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.token, &self.uri, &self.origin, self.headers.len()).hash(state);
    }
}

/// A response, as a client read it.
#[derive(Debug)]
pub(crate) enum Answered {
    /// 1xx: the final answer follows.
    Interim,
    /// 2xx.
    Accepted(HeaderMap),
    /// Any other.
    Rejected(Rejection),
}

pub(crate) fn read_request(section: &[u8], limit: usize) -> Result<Asked, Unreadable> {
    let fields = Fields::read(section, limit)?;
    if fields.status.is_some() {
        return Err(Unreadable::Malformed);
    }
    let method = fields.method.as_deref().ok_or(Unreadable::Malformed)?;
    if method != b"CONNECT" {
        // RFC 9114 §4.3.1: "All HTTP/3 requests MUST include exactly one value for the :method,
        // :scheme, and :path pseudo-header fields, unless the request is a CONNECT request".
        // RFC 9220 §3: `:protocol` is for CONNECT alone.
        let complete = fields.scheme.is_some() && fields.path.is_some();
        return if complete && fields.protocol.is_none() {
            Ok(Asked::Other(StatusCode::NOT_FOUND))
        } else {
            Err(Unreadable::Malformed)
        };
    }
    let authority = fields.authority.ok_or(Unreadable::Malformed)?;
    let Some(token) = fields.protocol else {
        // RFC 9114 §4.4: a plain CONNECT has neither `:scheme` nor `:path`.
        return if fields.scheme.is_none() && fields.path.is_none() {
            Ok(Asked::Other(StatusCode::NOT_IMPLEMENTED))
        } else {
            Err(Unreadable::Malformed)
        };
    };
    let scheme = fields.scheme.ok_or(Unreadable::Malformed)?;
    let path = fields.path.ok_or(Unreadable::Malformed)?;
    if path.is_empty() || authority.is_empty() {
        return Err(Unreadable::Malformed);
    }
    if !dialect::is_token(&token) {
        return Ok(Asked::Other(StatusCode::NOT_IMPLEMENTED));
    }
    // §3.2: "The `:scheme` field MUST be `https`."
    if scheme.as_ref() != b"https" {
        return Ok(Asked::Other(StatusCode::BAD_REQUEST));
    }
    let (origin, headers) = (fields.origin, fields.headers);
    if !may_use_capsules(&headers) || fields.more_origins {
        return Err(Unreadable::Malformed);
    }
    let Some(uri) = uri_of(authority, path) else {
        return Ok(Asked::Other(StatusCode::BAD_REQUEST));
    };
    Ok(Asked::Session(Box::new(Wanted {
        token,
        uri,
        origin,
        headers,
    })))
}

fn uri_of(authority: Bytes, path: Bytes) -> Option<Uri> {
    let authority = Authority::from_maybe_shared(authority).ok()?;
    // RFC 9114 §4.3.1: the authority has no userinfo.
    if authority.as_str().contains('@') {
        return None;
    }
    let mut parts = uri::Parts::default();
    parts.scheme = Some(Scheme::HTTPS);
    parts.authority = Some(authority);
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(path).ok()?);
    Uri::from_parts(parts).ok()
}

impl Wanted {
    /// The request for the application, now that its dialect is known.
    pub(crate) fn into_request(self, dialect: Dialect) -> Request {
        let mut request = Request::new(self.uri);
        request.protocols = Protocol::parse_list(self.headers.get_all(WT_AVAILABLE_PROTOCOLS));
        request.origin = self.origin;
        request.headers = without_reserved(self.headers);
        request.dialect = Some(dialect);
        request
    }
}

pub(crate) fn read_response(section: &[u8], limit: usize) -> Result<Answered, Unreadable> {
    let fields = Fields::read(section, limit)?;
    let is_request = fields.method.is_some()
        || fields.scheme.is_some()
        || fields.authority.is_some()
        || fields.path.is_some()
        || fields.protocol.is_some();
    let status = fields
        .status
        .filter(|status| status.len() == 3 && !is_request)
        .and_then(|status| StatusCode::from_bytes(&status).ok())
        .ok_or(Unreadable::Malformed)?;
    // RFC 9114 §4.5: "HTTP/3 does not support the 101 (Switching Protocols) informational status"
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Unreadable::Malformed);
    }
    if status.is_informational() {
        return Ok(Answered::Interim);
    }
    if !status.is_success() {
        return Ok(Answered::Rejected(Rejection {
            headers: fields.headers,
            ..Rejection::from(status)
        }));
    }
    // RFC 9297 §3.2: 2xx with one of these does not use the capsule protocol.
    let without_capsules = matches!(
        status,
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::PARTIAL_CONTENT
    );
    if without_capsules || !may_use_capsules(&fields.headers) {
        return Err(Unreadable::Malformed);
    }
    Ok(Answered::Accepted(fields.headers))
}

/// The 2xx for the application, or how it breaks the rules of protocol negotiation (§3.3).
pub(crate) fn response_of(
    headers: HeaderMap,
    dialect: Dialect,
    offered: &[Protocol],
    required: bool,
) -> Result<Response, Violation> {
    let rule = dialect.protocol_rule();
    let chosen = Protocol::parse_item(headers.get_all(WT_PROTOCOL));
    let mut chosen = chosen.filter(|_| !offered.is_empty());
    if chosen.as_ref().is_some_and(|name| !offered.contains(name)) {
        // §3.3: "the client MUST close the WebTransport session with a `WT_ALPN_ERROR` error code"
        if rule == ProtocolRule::Enforced {
            return Err(Violation::ProtocolNotOffered);
        }
        chosen = None;
    }
    let enforced = matches!(rule, ProtocolRule::Ignored | ProtocolRule::Enforced);
    if chosen.is_none() && required && enforced {
        return Err(Violation::ProtocolMissing);
    }
    Ok(Response {
        protocol: chosen,
        headers: without_reserved(headers),
    })
}

/// A HEADERS frame of ours.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) frame: Bytes,
    /// Of the field section, as the peer's limit counts it.
    pub(crate) size: u64,
}

/// The HEADERS frame of a CONNECT. `request` was validated.
pub(crate) fn connect(request: &Request, dialect: Dialect) -> Head {
    let authority = request.uri.authority().map_or("", Authority::as_str);
    let path = request.target();
    head(|fields| {
        fields.encode_field(b":method", b"CONNECT");
        fields.encode_field(b":protocol", dialect.token().as_bytes());
        fields.encode_field(b":scheme", b"https");
        fields.encode_field(b":authority", authority.as_bytes());
        fields.encode_field(b":path", path.as_bytes());
        if let Some(origin) = &request.origin {
            fields.encode_field(b"origin", origin.as_bytes());
        }
        put(fields, dialect.request_header());
        let offered = Protocol::encode_list(&request.protocols);
        let offered = offered.as_deref();
        put(fields, offered.map(|value| (WT_AVAILABLE_PROTOCOLS, value)));
        put_all(fields, &request.headers);
    })
}

/// The HEADERS frame of a 2xx.
pub(crate) fn accept(response: &Response, dialect: Dialect) -> Head {
    head(|fields| {
        fields.encode_field(b":status", b"200");
        put(fields, dialect.response_header());
        let chosen = response.protocol.as_ref().and_then(Protocol::encode_item);
        put(fields, chosen.as_deref().map(|value| (WT_PROTOCOL, value)));
        put_all(fields, &response.headers);
    })
}

/// The HEADERS frame of any other final answer.
pub(crate) fn reject(rejection: &Rejection) -> Head {
    head(|fields| {
        fields.encode_field(b":status", rejection.status.as_str().as_bytes());
        put_all(fields, &rejection.headers);
    })
}

fn head(write: impl FnOnce(&mut Encoder<'_>)) -> Head {
    let (frame, size) = frame::encode_with(frame::HEADERS, |section| {
        let mut encoder = Encoder::new(section);
        write(&mut encoder);
        encoder.size()
    });
    Head { frame, size }
}

fn put(fields: &mut Encoder<'_>, field: Option<(&str, &str)>) {
    if let Some((name, value)) = field {
        fields.encode_field(name.as_bytes(), value.as_bytes());
    }
}

fn put_all(fields: &mut Encoder<'_>, headers: &HeaderMap) {
    for (name, value) in headers {
        if !is_reserved(name) {
            fields.encode_field(name.as_str().as_bytes(), value.as_bytes());
        }
    }
}

fn without_reserved(headers: HeaderMap) -> HeaderMap {
    if !headers.keys().any(is_reserved) {
        return headers;
    }
    let mut kept = HeaderMap::new();
    for (name, value) in &headers {
        if !is_reserved(name) {
            kept.append(name, value.clone());
        }
    }
    kept
}

/// RFC 9297 §3.2: the capsule protocol is not used with messages that have one of these.
fn may_use_capsules(headers: &HeaderMap) -> bool {
    ![
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::TRANSFER_ENCODING,
    ]
    .iter()
    .any(|name| headers.contains_key(name))
}

/// The fields of one message, with the rules that all messages share (RFC 9114 §4.2, §4.3).
#[derive(Debug, Default)]
struct Fields {
    method: Option<Bytes>,
    protocol: Option<Bytes>,
    scheme: Option<Bytes>,
    authority: Option<Bytes>,
    path: Option<Bytes>,
    status: Option<Bytes>,
    /// Of a request: beside the headers, which most requests then have none of.
    origin: Option<HeaderValue>,
    more_origins: bool,
    headers: HeaderMap,
    regular: bool,
}

/// What nearly every message says in its pseudo-header fields: not worth a copy.
const USUAL: [&[u8]; 6] = [
    b"CONNECT",
    b"https",
    b"webtransport-h3",
    b"webtransport",
    b"/",
    b"200",
];

impl Fields {
    fn read(section: &[u8], limit: usize) -> Result<Self, Unreadable> {
        let mut fields = Self::default();
        let mut well_formed = true;
        qpack::decode(section, limit, |name, value| {
            well_formed = well_formed && fields.add(name, value).is_some();
        })
        .map_err(|error| match error {
            qpack::Error::Decompression => Unreadable::Connection(Http3Error::QpackDecompression),
            qpack::Error::TooLarge => Unreadable::TooLarge,
        })?;
        if well_formed {
            Ok(fields)
        } else {
            Err(Unreadable::Malformed)
        }
    }

    /// `None`: malformed.
    fn add(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        let pseudo = match name {
            b":method" => &mut self.method,
            b":protocol" => &mut self.protocol,
            b":scheme" => &mut self.scheme,
            b":authority" => &mut self.authority,
            b":path" => &mut self.path,
            b":status" => &mut self.status,
            _ => return self.add_regular(name, value),
        };
        // RFC 9114 §4.3: "All pseudo-header fields MUST appear in the header section before
        // regular header fields."
        if self.regular || pseudo.is_some() {
            return None;
        }
        let usual = USUAL.into_iter().find(|usual| *usual == value);
        *pseudo = Some(match usual {
            Some(usual) => Bytes::from_static(usual),
            None => Bytes::copy_from_slice(value),
        });
        Some(())
    }

    fn add_regular(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        self.regular = true;
        // RFC 9114 §4.2: "Characters in field names MUST be converted to lowercase prior to their
        // encoding." An unknown pseudo-header is no name at all.
        if name.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let name = HeaderName::from_bytes(name).ok()?;
        let value = HeaderValue::from_bytes(value).ok()?;
        if name == header::ORIGIN && self.method.is_some() {
            self.more_origins = self.origin.replace(value).is_some();
            return Some(());
        }
        // RFC 9114 §4.2: connection-specific fields make a message malformed.
        match name.as_str() {
            "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade" => {
                return None;
            }
            "te" if value != "trailers" => return None,
            "host"
                if self
                    .authority
                    .as_deref()
                    .is_some_and(|authority| authority != value.as_bytes()) =>
            {
                return None;
            }
            _ => {}
        }
        self.headers.try_append(name, value).ok()?;
        Some(())
    }
}
