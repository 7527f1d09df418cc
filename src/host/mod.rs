//! Adapters that join a [`Connection`](crate::Connection) to a QUIC stack, each behind a feature;
//! and how to write one for any other stack.
//!
//! The adapter for h3 is more than a host: h3 is an HTTP/3 of its own, so its sessions are those of
//! layer 1 ([`session`](crate::session)).
//!
#![doc = include_str!("embedding.md")]

#[cfg(feature = "h3")]
#[cfg_attr(docsrs, doc(cfg(feature = "h3")))]
pub mod h3;
#[cfg(feature = "quinn-proto")]
#[cfg_attr(docsrs, doc(cfg(feature = "quinn-proto")))]
pub mod quinn_proto;
