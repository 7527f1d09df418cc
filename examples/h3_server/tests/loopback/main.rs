//! The server of this example against a client of the crate's own, over loopback.

mod client;
mod endings;
mod streams;
