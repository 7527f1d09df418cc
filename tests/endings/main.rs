//! Every way a session can end, and what is not an end: one test for each row of the table in the
//! README, named with its id.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and writes small numbers"
)]

mod connection_lost;
mod deadlines;
mod flow_control;
mod http3_errors;
mod neighbours;
mod never_opened;
mod not_an_end;
mod peer_ends;
mod readme;
mod support;
mod violations;
mod we_end_it;
