//! What the ends of a connection tell each other beside sessions: priorities, SETTINGS that are
//! remembered, and what is there to be ignored.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, writes small numbers, and looks at what it expects"
)]

mod grease;
mod priorities;
mod resuming;
#[path = "../endings/support.rs"]
#[allow(dead_code, reason = "shared with the tests of the endings")]
mod support;
