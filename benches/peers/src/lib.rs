//! The operations of this crate and, in the same words, those of its peers.
#![allow(
    missing_docs,
    dead_code,
    clippy::disallowed_methods,
    reason = "a bench, and operations that only some harnesses run"
)]

#[path = "../../operations/mod.rs"]
pub mod operations;
pub mod quic;
pub mod shiguredo;
pub mod web_transport_proto;
pub mod wtransport_proto;

use operations::Operation;

/// Everything that is measured in one run.
pub fn all() -> Vec<Operation> {
    let mut all = operations::all();
    all.extend_from_slice(quic::ALL);
    all.extend_from_slice(shiguredo::ALL);
    all.extend_from_slice(web_transport_proto::ALL);
    all.extend_from_slice(wtransport_proto::ALL);
    all
}
