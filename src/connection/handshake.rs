//! The CONNECT and its answer: field sections in, typed messages out, and back.
//!
//! What a message says is decided here; what follows for the session or the stream is not.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode, Uri,
    uri::{self, Authority, PathAndQuery, Scheme},
};

use crate::dialect::{self, ProtocolRule};
use crate::{
    Dialect, Http3Error, Protocol, Rejection, Request, Response, Violation,
    message::{WT_AVAILABLE_PROTOCOLS, WT_PROTOCOL, check_uri, is_reserved},
    wire::{
        frame,
        qpack::{self, Encoder, Line, Name},
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
    Session(Wanted),
    /// Something else, and what it is answered with.
    Other(StatusCode),
}

/// A CONNECT for a session, before its dialect is known.
#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(crate) struct Wanted {
    /// Its `:protocol`.
    pub(crate) token: &'static [u8],
    /// With all headers, and neither protocols nor a dialect.
    request: Box<Request>,
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
    let mut fields = Fields::default();
    fields.read(section, limit)?;
    if fields.status.is_some() {
        return Err(Unreadable::Malformed);
    }
    let is_connect = fields.is_connect.ok_or(Unreadable::Malformed)?;
    if !is_connect {
        // RFC 9114 §4.3.1: "All HTTP/3 requests MUST include exactly one value for the :method,
        // :scheme, and :path pseudo-header fields, unless the request is a CONNECT request".
        // RFC 9220 §3: `:protocol` is for CONNECT alone.
        let complete = fields.is_https.is_some() && fields.path.is_some();
        return if complete && fields.token.is_none() {
            Ok(Asked::Other(StatusCode::NOT_FOUND))
        } else {
            Err(Unreadable::Malformed)
        };
    }
    let authority = fields.authority.ok_or(Unreadable::Malformed)?;
    let Some(token) = fields.token else {
        // RFC 9114 §4.4: a plain CONNECT has neither `:scheme` nor `:path`.
        return if fields.is_https.is_none() && fields.path.is_none() {
            Ok(Asked::Other(StatusCode::NOT_IMPLEMENTED))
        } else {
            Err(Unreadable::Malformed)
        };
    };
    let is_https = fields.is_https.ok_or(Unreadable::Malformed)?;
    let path = fields.path.ok_or(Unreadable::Malformed)?;
    if path.is_empty() || authority.is_empty() {
        return Err(Unreadable::Malformed);
    }
    let Some(token) = token else {
        return Ok(Asked::Other(StatusCode::NOT_IMPLEMENTED));
    };
    // §3.2: "The `:scheme` field MUST be `https`."
    if !is_https {
        return Ok(Asked::Other(StatusCode::BAD_REQUEST));
    }
    if fields.has_content || fields.more_origins {
        return Err(Unreadable::Malformed);
    }
    let Some(uri) = uri_of(authority, path) else {
        return Ok(Asked::Other(StatusCode::BAD_REQUEST));
    };
    let request = Box::new(Request {
        uri,
        origin: fields.origin,
        protocols: Vec::new(),
        protocol_required: false,
        headers: fields.headers,
        dialect: None,
    });
    Ok(Asked::Session(Wanted { token, request }))
}

fn uri_of(authority: Bytes, path: Bytes) -> Option<Uri> {
    // A `Uri` might take the path for more of the host, drops a fragment, and may let in a DEL.
    let is_wrong = |byte: &u8| matches!(byte, b'#' | 0x7f);
    if !path.starts_with(b"/") || path.iter().any(is_wrong) {
        return None;
    }
    let mut parts = uri::Parts::default();
    parts.scheme = Some(Scheme::HTTPS);
    parts.authority = Some(Authority::from_maybe_shared(authority).ok()?);
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(path).ok()?);
    let uri = Uri::from_parts(parts).ok()?;
    check_uri(&uri).ok()?;
    Some(uri)
}

impl Wanted {
    /// The request for the application, now that its dialect is known.
    pub(crate) fn into_request(self, dialect: Dialect) -> Box<Request> {
        let mut request = self.request;
        let headers = &mut request.headers;
        if !headers.is_empty() {
            request.protocols = Protocol::parse_list(headers.get_all(WT_AVAILABLE_PROTOCOLS));
            remove_reserved(headers);
        }
        request.dialect = Some(dialect);
        request
    }
}

pub(crate) fn read_response(section: &[u8], limit: usize) -> Result<Answered, Unreadable> {
    let mut fields = Fields::default();
    fields.read(section, limit)?;
    let is_request = fields.is_connect.is_some()
        || fields.is_https.is_some()
        || fields.authority.is_some()
        || fields.path.is_some()
        || fields.token.is_some();
    let status = fields
        .status
        .filter(|_| !is_request)
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
    if without_capsules || fields.has_content {
        return Err(Unreadable::Malformed);
    }
    Ok(Answered::Accepted(fields.headers))
}

/// The 2xx for the application, or how it breaks the rules of protocol negotiation (§3.3).
pub(crate) fn response_of(
    mut headers: HeaderMap,
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
    remove_reserved(&mut headers);
    Ok(Response {
        protocol: chosen,
        headers,
    })
}

const CONNECT: Line = Line::of(b":method", b"CONNECT");
const HTTPS: Line = Line::of(b":scheme", b"https");
const OK: Line = Line::of(b":status", b"200");
const AUTHORITY: Name = Name::of(b":authority");
const PATH: Name = Name::of(b":path");
const ORIGIN: Name = Name::of(b"origin");
const STATUS: Name = Name::of(b":status");

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
        fields.encode_line(CONNECT);
        fields.encode_literal(dialect.protocol_line());
        fields.encode_line(HTTPS);
        fields.encode_known(AUTHORITY, authority.as_bytes());
        fields.encode_known(PATH, path.as_bytes());
        if let Some(origin) = &request.origin {
            fields.encode_known(ORIGIN, origin.as_bytes());
        }
        put_version(fields, dialect.request_header());
        if let Some(offered) = Protocol::encode_list(&request.protocols) {
            put(fields, &WT_AVAILABLE_PROTOCOLS, offered.as_bytes());
        }
        put_all(fields, &request.headers);
    })
}

/// The HEADERS frame of a 2xx.
pub(crate) fn accept(response: &Response, dialect: Dialect) -> Head {
    head(|fields| {
        fields.encode_line(OK);
        put_version(fields, dialect.response_header());
        if let Some(chosen) = response.protocol.as_ref().and_then(Protocol::encode_item) {
            put(fields, &WT_PROTOCOL, chosen.as_bytes());
        }
        put_all(fields, &response.headers);
    })
}

/// The HEADERS frame of any other final answer.
pub(crate) fn reject(rejection: &Rejection) -> Head {
    head(|fields| {
        fields.encode_known(STATUS, rejection.status.as_str().as_bytes());
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

fn put(fields: &mut Encoder<'_>, name: &HeaderName, value: &[u8]) {
    fields.encode_field(name.as_str().as_bytes(), value);
}

fn put_version(fields: &mut Encoder<'_>, header: Option<(&str, &str)>) {
    if let Some((name, value)) = header {
        fields.encode_field(name.as_bytes(), value.as_bytes());
    }
}

#[inline]
fn put_all(fields: &mut Encoder<'_>, headers: &HeaderMap) {
    for (name, value) in headers {
        if !is_reserved(name) {
            put(fields, name, value.as_bytes());
        }
    }
}

fn remove_reserved(headers: &mut HeaderMap) {
    if !headers.keys().any(is_reserved) {
        return;
    }
    let mut kept = HeaderMap::new();
    for (name, value) in &*headers {
        if !is_reserved(name) {
            kept.append(name, value.clone());
        }
    }
    *headers = kept;
}

/// The fields of one message, with the rules that all messages share (RFC 9114 §4.2, §4.3).
///
/// Of a pseudo-header field no more is kept than what is asked of it later.
#[derive(Debug, Default)]
struct Fields {
    /// Of `:method`.
    is_connect: Option<bool>,
    /// Of `:protocol`; inside `None` for what is not WebTransport.
    token: Option<Option<&'static [u8]>>,
    /// Of `:scheme`.
    is_https: Option<bool>,
    authority: Option<Bytes>,
    path: Option<Bytes>,
    status: Option<StatusCode>,
    /// Of a request: beside the headers, which most requests then have none of.
    origin: Option<HeaderValue>,
    more_origins: bool,
    /// RFC 9297 §3.2: one of the fields that messages with the capsule protocol may not have.
    has_content: bool,
    headers: HeaderMap,
    regular: bool,
}

impl Fields {
    fn read(&mut self, section: &[u8], limit: usize) -> Result<(), Unreadable> {
        let mut well_formed = true;
        qpack::decode(section, limit, |name, value| {
            well_formed = well_formed && self.add(name, value).is_some();
        })
        .map_err(|error| match error {
            qpack::Error::Decompression => Unreadable::Connection(Http3Error::QpackDecompression),
            qpack::Error::TooLarge => Unreadable::TooLarge,
        })?;
        if well_formed {
            Ok(())
        } else {
            Err(Unreadable::Malformed)
        }
    }

    /// `None`: malformed.
    #[inline]
    fn add(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        // RFC 9114 §4.3: "All pseudo-header fields MUST appear in the header section before
        // regular header fields." One that comes later is no name of a regular field either.
        if self.regular || !name.starts_with(b":") {
            return self.add_regular(name, value);
        }
        match name {
            b":method" => once(&mut self.is_connect, value == b"CONNECT"),
            b":protocol" => once(&mut self.token, dialect::token(value)),
            b":scheme" => once(&mut self.is_https, value == b"https"),
            b":authority" => once(&mut self.authority, Bytes::copy_from_slice(value)),
            b":path" if value == b"/" => once(&mut self.path, Bytes::from_static(b"/")),
            b":path" => once(&mut self.path, Bytes::copy_from_slice(value)),
            b":status" => once(&mut self.status, StatusCode::from_bytes(value).ok()?),
            // RFC 9114 §4.3: "Endpoints MUST treat a request or response that contains undefined or
            // invalid pseudo-header fields as malformed."
            _ => None,
        }
    }

    fn add_regular(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        self.regular = true;
        if name == b"origin" && self.is_connect.is_some() {
            let value = HeaderValue::from_bytes(value).ok()?;
            self.more_origins = self.origin.replace(value).is_some();
            return Some(());
        }
        // RFC 9114 §4.2: "Characters in field names MUST be converted to lowercase prior to their
        // encoding."
        if name.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let name = HeaderName::from_bytes(name).ok()?;
        let value = HeaderValue::from_bytes(value).ok()?;
        match name.as_str() {
            // RFC 9114 §4.2: connection-specific fields make a message malformed.
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
            "content-length" | "content-type" => self.has_content = true,
            _ => {}
        }
        self.headers.try_append(name, value).ok()?;
        Some(())
    }
}

/// `None`: it stands there twice.
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}
