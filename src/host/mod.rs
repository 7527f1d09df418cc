//! Adapters that join a [`Connection`](crate::Connection) to a QUIC stack, each behind a feature.
//!
//! A host is two `match`es and next to no state; there is no trait over QUIC stacks. The one for h3 is
//! more than that: h3 is an HTTP/3 of its own, so its sessions are those of layer 1
//! ([`session`](crate::session)).

#[cfg(feature = "h3")]
#[cfg_attr(docsrs, doc(cfg(feature = "h3")))]
pub mod h3;
#[cfg(feature = "quinn-proto")]
#[cfg_attr(docsrs, doc(cfg(feature = "quinn-proto")))]
pub mod quinn_proto;
