//! Adapters that join a [`Connection`](crate::Connection) to a QUIC stack, each behind a feature;
//! and how to write one for any other stack.
//!
#![doc = include_str!("embedding.md")]

#[cfg(feature = "quinn-proto")]
#[cfg_attr(docsrs, doc(cfg(feature = "quinn-proto")))]
pub mod quinn_proto;
