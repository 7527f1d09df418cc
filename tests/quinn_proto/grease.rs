//! What peers have to ignore, over QUIC (RFC 9114 §6.2.3, §7.2.8).

use webtransport_session::{CloseReason, CloseVia, Dir, Side};

use crate::{
    pair::{Pair, received},
    setup::Setup,
};

#[test]
fn sessions_live_and_end_as_ever_where_both_ends_send_grease() {
    for seed in 0..10 {
        let mut setup = Setup::default();
        setup.client.grease = Some(seed);
        setup.server.grease = Some(seed + 100);
        let (mut pair, session) = Pair::in_session(setup);
        for side in [Side::Client, Side::Server] {
            let sent = pair.side(side).sessions().protocol_stream().is_none();
            assert!(sent, "{side:?}");
        }
        let stream = pair.client.open(session, Dir::Uni);
        pair.client.write_all(stream, b"payload");
        pair.client.finish(stream);
        pair.settle();
        let (data, fin) = received(&pair.server.take(), stream);
        assert_eq!((&data[..], fin), (&b"payload"[..], true));
        pair.client.close(session, 7, "bye");
        pair.settle();
        let reason = CloseReason::Peer {
            code: 7,
            message: "bye".into(),
            via: CloseVia::Capsule,
        };
        assert_eq!(pair.server.end_of(session), reason);
    }
}

#[test]
fn where_the_peer_spares_no_stream_none_is_opened() {
    let mut setup = Setup::default();
    setup.client.grease = Some(1);
    setup.server_quic.max_concurrent_uni_streams(1_u8.into());
    let (mut pair, _) = Pair::in_session(setup);
    assert!(pair.client.sessions().protocol_stream().is_some());
}
