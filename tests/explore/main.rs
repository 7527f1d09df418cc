//! All that can happen, within bounds: the real machine is brought into every state that some order
//! of events leads to, and judged in each.
//!
//! Two connections with a network between them that delays and reorders (`pair.rs`), and a session
//! whose peer does anything at any time (`session.rs`). `search.rs` goes through the states, breadth
//! first, so that what is found is found by the shortest way there.
//!
//! Plain `cargo test` takes a small share. All of it, with figures:
//!
//! ```sh
//! EXPLORE=1000000 cargo test --release --test explore -- --nocapture --test-threads 1
//! ```
//!
//! `bugs/` holds mistakes that were made on purpose; `bugs/run` shows that each is found.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at what it expects"
)]

mod application;
mod network;
mod pair;
mod search;
mod session;
mod states;

use search::{World, explore};
use webtransport_session::Side;

/// How many states plain `cargo test` goes through.
const FEW: usize = 3_000;

fn check<W: World>(name: &str, start: W) {
    let most = match std::env::var("EXPLORE") {
        Ok(most) => most.parse().unwrap(),
        Err(_) => FEW,
    };
    match explore(start, most) {
        Ok(report) => println!("{name}: {report}"),
        Err(finding) => panic!("{name}: {finding}"),
    }
}

#[test]
fn a_pair_that_meets_and_parts() {
    check("meets and parts", pair::Joined::new(&pair::MEETING));
}

#[test]
fn a_pair_that_talks() {
    check("talks", pair::Joined::new(&pair::TALKING));
}

#[test]
fn a_pair_under_flow_control() {
    check("flow control", pair::Joined::new(&pair::COUNTING));
}

#[test]
fn a_pair_that_shuts_down() {
    check("shuts down", pair::Joined::new(&pair::LEAVING));
}

#[test]
fn a_session_at_a_server_whose_peer_does_anything() {
    check("server's session", session::Alone::new(Side::Server));
}

#[test]
fn a_session_at_a_client_whose_peer_does_anything() {
    check("client's session", session::Alone::new(Side::Client));
}
