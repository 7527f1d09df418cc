//! The CONNECT's bytes alone, without a connection or a session: what benches measure beside the
//! codecs of others. No part of the interface.

use bytes::Bytes;

use crate::{
    Config, Dialect, Request, Side,
    connection::{
        handshake::{self, Asked},
        request_stream::{Frames, Item},
    },
};

/// The request in a whole HEADERS frame, as a server reads it. `None`: it asks for no session.
#[must_use]
pub fn read_connect(mut frame: Bytes, dialect: Dialect, config: &Config) -> Option<Request> {
    let limit = config.limits.field_section;
    let item = Frames::new().next(&mut frame, Side::Server, limit)?;
    let Ok(Item::Head(section)) = item else {
        return None;
    };
    match handshake::read_request(&section, limit) {
        Ok(Asked::Session(wanted)) => Some(*wanted.into_request(dialect)),
        Ok(Asked::Other(_)) | Err(_) => None,
    }
}

/// The HEADERS frame of a request, as a client writes it. `None`: it may not be sent.
#[must_use]
pub fn write_connect(request: &Request, dialect: Dialect) -> Option<Bytes> {
    request.validate().ok()?;
    Some(handshake::connect(request, dialect).frame)
}
