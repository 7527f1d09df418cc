//! The connection ends under the session.

use std::{thread, time::Duration};

use host_suite::Verb;
use webtransport_session::{CloseReason, ConnectionLost, FlowControl, Http3Error, Side};

use super::{
    CLIENT, EITHER, H3_FRAME_UNEXPECTED, H3_NO_ERROR, SERVER, Scenario, control, local,
    peer_closed, plain,
};
use crate::{Failure, stage::Stage};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "E40",
        title: "closes the QUIC connection with a code and a reason",
        actors: EITHER,
        setup: plain,
        play: |stage, actor| {
            let session = stage.open()?;
            abort(stage, actor)?;
            stage.closed(actor.other(), session, aborted_by_peer())?;
            stage.connection_closed(actor.other(), aborted_by_peer())
        },
    },
    Scenario {
        id: "E40.many",
        title: "closes the QUIC connection with three sessions on it",
        actors: EITHER,
        setup: |setup, _| {
            setup.both(|config| config.flow_control = Some(FlowControl::new(1 << 16, 10, 10)));
        },
        play: |stage, actor| {
            let mut sessions = vec![stage.open()?];
            for _ in 0..2 {
                sessions.push(stage.open_another()?);
            }
            abort(stage, actor)?;
            for session in sessions {
                stage.closed(actor.other(), session, aborted_by_peer())?;
                stage.closed(actor, session, aborted_by_us())?;
            }
            Ok(())
        },
    },
    Scenario {
        id: "E40.late",
        title: "closes, then the QUIC connection too, while the other is busy",
        actors: EITHER,
        setup: plain,
        play: |stage, actor| {
            let session = stage.open()?;
            let milliseconds = 300;
            stage.order(actor.other(), Verb::BeBusy { milliseconds })?;
            stage.close(actor, session, 7, "bye")?;
            stage.closed(actor, session, local(7, "bye"))?;
            // Closed at once, QUIC would forget the capsule.
            thread::sleep(Duration::from_millis(100));
            abort(stage, actor)?;
            stage.closed(actor.other(), session, peer_closed(7, "bye"))
        },
    },
    Scenario {
        id: "E42",
        title: "is gone with the network",
        actors: EITHER,
        setup: |setup, _| setup.idle = Duration::from_secs(1),
        play: |stage, actor| {
            let session = stage.open()?;
            stage.relay.cut();
            stage.closed(actor.other(), session, ConnectionLost::IdleTimeout)
        },
    },
    Scenario {
        id: "E43",
        title: "was started anew",
        actors: SERVER,
        setup: |setup, _| setup.idle = Duration::from_secs(4),
        play: |stage, _| {
            let session = stage.open()?;
            stage.restart_server()?;
            let text = "still there?".repeat(10);
            stage.order(Side::Client, Verb::Datagram { session, text })?;
            stage.closed(Side::Client, session, ConnectionLost::StatelessReset)
        },
    },
    Scenario {
        id: "E44",
        title: "speaks no HTTP/3",
        actors: SERVER,
        setup: |setup, _| {
            setup.server_alpn = "nope";
            // A server that only falls silent is given up by then.
            setup.idle = Duration::from_secs(4);
        },
        play: |stage, _| {
            stage.enter()?;
            stage.connection_closed(Side::Client, ConnectionLost::HandshakeFailed)
        },
    },
    Scenario {
        id: "E44.version",
        title: "speaks another version of QUIC",
        actors: SERVER,
        setup: |setup, _| setup.idle = Duration::from_secs(4),
        play: |stage, _| {
            stage.relay.refuse_versions();
            stage.enter()?;
            stage.connection_closed(Side::Client, ConnectionLost::VersionMismatch)
        },
    },
    Scenario {
        id: "E45",
        title: "closes the QUIC connection, and is told so itself",
        actors: EITHER,
        setup: plain,
        play: |stage, actor| {
            let session = stage.open()?;
            abort(stage, actor)?;
            stage.closed(actor, session, aborted_by_us())?;
            stage.connection_closed(actor, aborted_by_us())
        },
    },
    Scenario {
        id: "E46",
        title: "breaks HTTP/3 on its control stream",
        actors: EITHER,
        setup: plain,
        play: breaks_http3,
    },
    Scenario {
        id: "E53",
        title: "finds no session on the connection for too long",
        actors: SERVER,
        setup: |setup, _| {
            setup.server.deadlines.idle_connection = Some(Duration::from_millis(300));
        },
        play: |stage, _| {
            stage.ready()?;
            let code = H3_NO_ERROR;
            stage.connection_closed(Side::Server, ConnectionLost::Local { code: Some(code) })?;
            closed_by_peer(stage, Side::Client, code)
        },
    },
    Scenario {
        id: "E42.before",
        title: "is not there at all",
        actors: CLIENT,
        setup: |setup, _| setup.idle = Duration::from_secs(1),
        play: |stage, _| {
            stage.relay.cut();
            stage.enter()?;
            stage.connection_closed(Side::Client, ConnectionLost::HandshakeFailed)
        },
    },
];

const CODE: u32 = 0x1234;
const WORDS: &str = "so long";

fn abort(stage: &mut Stage, actor: Side) -> Result<(), Failure> {
    let reason = WORDS.into();
    stage.order(actor, Verb::Abort { code: CODE, reason })
}

fn aborted_by_peer() -> ConnectionLost {
    ConnectionLost::PeerApplication {
        code: CODE.into(),
        reason: WORDS.into(),
    }
}

fn aborted_by_us() -> ConnectionLost {
    let code = CODE.into();
    ConnectionLost::Local { code: Some(code) }
}

fn breaks_http3(stage: &mut Stage, actor: Side) -> Result<(), Failure> {
    let session = stage.open()?;
    // A DATA frame has no place there (RFC 9114 §7.2.1).
    stage.write(actor, control(actor), &[0x00, 0x00], false)?;
    let error = ConnectionLost::Http3(Http3Error::FrameUnexpected);
    stage.closed(actor.other(), session, CloseReason::from(error.clone()))?;
    stage.connection_closed(actor.other(), error)?;
    // The words are the library's own.
    let reason = stage.closed_somehow(actor, session, &["peer-connection-close"])?;
    has_code(&reason, H3_FRAME_UNEXPECTED)
}

pub(super) fn closed_by_peer(stage: &mut Stage, side: Side, code: u64) -> Result<(), Failure> {
    let reason = stage.connection_closed_somehow(side, "peer-connection-close")?;
    has_code(&reason, code)
}

fn has_code(reason: &str, code: u64) -> Result<(), Failure> {
    match reason.contains(&format!("code: {code},")) {
        true => Ok(()),
        false => Err(Failure(format!("not code {code}: {reason}"))),
    }
}
