//! What a caller may rely on whatever the peer, QUIC and the caller itself do: the contracts in the
//! documentation of [`Connection`](webtransport_session::Connection).
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, writes small numbers, and looks at what it expects"
)]

mod chunking;
mod misuse;
mod model;
mod reference;
#[path = "../endings/support.rs"]
#[allow(dead_code, reason = "shared with the tests of the endings")]
mod support;
mod watch;
mod writes;
