//! The host for quinn-proto: two real QUIC stacks in memory, on a clock that the tests own.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, writes small numbers, and looks at the events that concern it"
)]

mod blocked;
mod endpoint;
mod exporter;
mod faults;
mod flow_control;
mod grease;
mod losses;
mod misuse;
mod pair;
mod payload;
mod quinn;
mod resumption;
mod setup;
