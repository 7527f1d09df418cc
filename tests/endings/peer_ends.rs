//! The peer ends the session on the CONNECT stream: E01 to E14.

use crate::support::*;
use webtransport_session::{CloseMessage, CloseReason, CloseVia};

fn by_capsule(code: u32, message: &str) -> CloseReason {
    CloseReason::Peer {
        code,
        message: CloseMessage::from(message),
        via: CloseVia::Capsule,
    }
}

#[test]
fn e01_capsule_and_fin_give_code_and_message() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        rig.feed_fin(CONNECT, &close_frame(4242, b"bye-bye"));
        rig.ends(
            session,
            by_capsule(4242, "bye-bye"),
            &[write(CONNECT, b"", true)],
        );
    });
}
