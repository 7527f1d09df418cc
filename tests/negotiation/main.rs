//! What the ends tell each other beside the life of a session: priorities, SETTINGS that are
//! remembered, what is there to be ignored, who may enter and when, how large a datagram can be.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, writes small numbers, and looks at what it expects"
)]

mod answers;
mod bytes;
mod control;
mod datagrams;
mod grease;
mod priorities;
mod resuming;
#[path = "../endings/support.rs"]
#[allow(dead_code, reason = "shared with the tests of the endings")]
mod support;
