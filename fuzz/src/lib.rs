//! What the targets have in common. Each is one line in `fuzz_targets/`.
//!
//! A connection is driven by structured operations and watched as in `tests/contracts`; a session
//! and a pair walk through the same worlds that `tests/explore` explores, judged in the same way;
//! the codecs are the library's own sources, compiled here, so that it needs no door to them.
#![allow(
    dead_code,
    unexpected_cfgs,
    unreachable_pub,
    unused_imports,
    reason = "what is shared is not needed whole, and knows other features"
)]

pub mod codecs;
pub mod connection;
pub mod worlds;

#[path = "../../tests/explore/application.rs"]
mod application;
#[path = "../../tests/explore/network.rs"]
mod network;
#[path = "../../tests/explore/pair.rs"]
mod pair;
#[path = "../../tests/explore/search.rs"]
mod search;
#[path = "../../tests/explore/session.rs"]
mod session;
#[path = "../../tests/endings/support.rs"]
mod support;
#[path = "../../tests/contracts/watch.rs"]
mod watch;
#[path = "../../src/wire/mod.rs"]
mod wire;

// As the codecs find them in the library.
use webtransport_session::{Dir, FlowControl, Side, Violation};
