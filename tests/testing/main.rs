//! The pair and its link: what a session says does not depend on what lies between.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks for one event"
)]

mod endings;
mod flow_control;
mod schedules;

use std::time::Duration;

use webtransport_session::{
    CloseReason, CloseVia, Config, Dir, Side,
    testing::{Link, Pair},
};

fn pair(seed: u64) -> Pair {
    Pair::with(Config::default(), Config::default(), Link::seeded(seed))
}

#[test]
fn a_close_gives_its_code_and_message_whatever_the_link_does() {
    for seed in 0..500 {
        let mut pair = pair(seed);
        let session = pair.open_session();
        for side in [Side::Client, Side::Server] {
            let stream = pair.open_stream(side, session, Dir::Bi).unwrap();
            let _blocked = pair.write(side, stream, b"some payload");
            pair.send_datagram(side, session, b"here").unwrap();
        }
        pair.close(Side::Client, session, 7, "bye");
        pair.wait(Duration::from_secs(5));
        let peer = CloseReason::Peer {
            code: 7,
            message: "bye".into(),
            via: CloseVia::Capsule,
        };
        let local = CloseReason::Local {
            code: 7,
            message: "bye".into(),
        };
        assert_eq!(
            endings::reason(&pair, Side::Server, session),
            peer,
            "seed {seed}"
        );
        assert_eq!(
            endings::reason(&pair, Side::Client, session),
            local,
            "seed {seed}"
        );
        assert!(pair.client.machine.is_settled(), "seed {seed}");
        assert!(pair.server.machine.is_settled(), "seed {seed}");
    }
}

#[test]
fn the_same_seed_gives_the_same_transcript() {
    let run = |seed| {
        let mut pair = pair(seed);
        let session = pair.open_session();
        pair.send_datagram(Side::Client, session, b"here").unwrap();
        pair.shutdown(Side::Server, 1, "closing time");
        pair.wait(Duration::from_secs(10));
        pair.script().to_string()
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
    assert!(run(3).contains("SessionClosed 0: closed by the peer with code 1"));
}
