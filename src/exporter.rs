//! Keying material for one session (draft §4.8): what to ask the TLS stack for, and nothing of TLS.
//!
//! TLS (RFC 8446 §7.5) derives secrets that both ends of a connection know and nobody else. Sessions
//! share the connection, so each asks with a context that names it.
//!
//! ```
//! use webtransport_session::{SessionId, StreamId, exporter};
//!
//! # fn derive(label: &str, context: &[u8]) {}
//! let session = SessionId::try_from(StreamId::from(4))?;
//! let context = exporter::context(session, b"game token", b"round 7")?;
//! // Any TLS stack: the same on both ends gives the same bytes.
//! derive(exporter::LABEL, &context);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Whether the session is open is not known here, and nothing is to be exported before it is:
//! `Host::export_keying_material` of the quinn-proto host sees to both.

use bytes::BufMut;

use crate::{InvalidExport, SessionId};

/// The label for TLS, for every session.
///
/// §4.8: "with the label set to "EXPORTER-WebTransport""
pub const LABEL: &str = "EXPORTER-WebTransport";

/// The context for TLS: the serialized "WebTransport Exporter Context" (draft §4.8).
///
/// `label` and `context` are the application's; the draft's context that was left out is an empty
/// one.
///
/// # Errors
/// [`InvalidExport::Label`] unless `label` has 1 to 255 bytes, [`InvalidExport::Context`] when
/// `context` has more than 255.
pub fn context(session: SessionId, label: &[u8], context: &[u8]) -> Result<Vec<u8>, InvalidExport> {
    // §4.8: "WebTransport Application-Supplied Exporter Label (8..)", which is one byte at least,
    // and a length of 8 bits.
    let label_len = u8::try_from(label.len())
        .ok()
        .filter(|&len| len > 0)
        .ok_or(InvalidExport::Label)?;
    let context_len = u8::try_from(context.len()).map_err(|_| InvalidExport::Context)?;
    let mut out = Vec::with_capacity(10 + label.len() + context.len());
    // §4.8: "WebTransport Session ID (64)", no variable-length integer.
    out.put_u64(session.connect_stream().into());
    out.put_u8(label_len);
    out.put_slice(label);
    out.put_u8(context_len);
    out.put_slice(context);
    Ok(out)
}

#[cfg(test)]
mod tests;
