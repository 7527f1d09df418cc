//! Our control stream: which stream it is, and what stands behind the SETTINGS.

use webtransport_session::{Config, Dialect, Dir, Side, StreamId, Support, Transport};

use crate::{bytes::*, support::*};

fn connected(side: Side, config: Config) -> Rig {
    let mut rig = Rig::before_start(side, config, Dialect::Draft16);
    let transport = Transport::new(Support::Yes);
    rig.connection.start(rig.now, transport);
    rig
}

#[test]
fn it_is_a_unidirectional_stream_of_this_side() {
    both_roles(|side| {
        let mut rig = connected(side, Config::default());
        let other = match side {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        };
        for wrong in [
            StreamId::new(other, Dir::Uni, 0),
            StreamId::new(side, Dir::Bi, 0),
        ] {
            rig.connection.protocol_stream().unwrap().bind(wrong);
            assert_eq!(rig.outputs(), [], "{wrong:?}");
        }
        let right = StreamId::new(side, Dir::Uni, 0);
        rig.connection.protocol_stream().unwrap().bind(right);
        let written = written(&rig.outputs(), right);
        // RFC 9114 §6.2.1: "A control stream is indicated by a stream type of 0x00", and §7.2.4:
        // SETTINGS "MUST be sent as the first frame".
        assert!(written.starts_with(&[0x00, 0x04]), "{written:x?}");
        assert!(rig.connection.protocol_stream().is_none());
    });
}

#[test]
fn a_goaway_that_was_early_stands_behind_the_settings() {
    both_roles(|side| {
        let mut rig = connected(side, Config::default());
        rig.connection.go_away();
        assert_eq!(rig.outputs(), []);
        let stream = StreamId::new(side, Dir::Uni, 0);
        rig.connection.protocol_stream().unwrap().bind(stream);
        let written = written(&rig.outputs(), stream);
        let [(0x04, _), (0x07, [0])] = tlvs(&written[1..])[..] else {
            panic!("{written:x?}");
        };
    });
}
