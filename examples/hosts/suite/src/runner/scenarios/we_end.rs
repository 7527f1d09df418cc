//! The actor's own application or deadline ends it, and nothing is lost on the way.

use std::time::Duration;

use host_suite::Verb;
use webtransport_session::{CloseMessage, CloseReason, ConnectionLost, Deadline, FlowControl};

use super::{EITHER, H3_NO_ERROR, Scenario, connection::closed_by_peer, local, peer_closed, plain};
use crate::{Failure, stage::Stage};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "E51",
        title: "hears nothing for too long",
        actors: EITHER,
        setup: |setup, actor| {
            let deadlines = &mut setup.config(actor).deadlines;
            deadlines.inactivity = Some(Duration::from_millis(300));
            deadlines.inactivity_close = (8, "asleep".into());
        },
        play: |stage, actor| {
            let session = stage.open()?;
            let silence = CloseReason::TimedOut(Deadline::Inactivity);
            stage.closed(actor, session, silence)?;
            stage.closed(actor.other(), session, peer_closed(8, "asleep"))
        },
    },
    Scenario {
        id: "E52",
        title: "closes, and is never answered",
        actors: EITHER,
        setup: |setup, _| setup.idle = Duration::from_secs(1),
        play: |stage, actor| {
            let session = stage.open()?;
            stage.relay.cut();
            stage.close(actor, session, 7, "bye")?;
            stage.closed(actor, session, local(7, "bye"))?;
            stage.connection_closed(actor, ConnectionLost::IdleTimeout)
        },
    },
    Scenario {
        id: "E61",
        title: "closes twice",
        actors: EITHER,
        setup: plain,
        play: |stage, actor| {
            let session = stage.open()?;
            stage.close(actor, session, 7, "bye")?;
            stage.close(actor, session, 8, "again")?;
            stage.closed(actor, session, local(7, "bye"))?;
            stage.closed(actor.other(), session, peer_closed(7, "bye"))
        },
    },
    Scenario {
        id: "E62",
        title: "closes while the other does",
        actors: EITHER,
        setup: plain,
        play: |stage, actor| {
            let session = stage.open()?;
            stage.close(actor, session, 7, "one")?;
            stage.close(actor.other(), session, 8, "two")?;
            stage.closed_somehow(actor, session, &["local-close", "peer-close"])?;
            stage.closed_somehow(actor.other(), session, &["local-close", "peer-close"])?;
            Ok(())
        },
    },
    Scenario {
        id: "E64",
        title: "shuts the connection down, and no reason is lost",
        actors: EITHER,
        setup: |setup, _| {
            setup.both(|config| config.flow_control = Some(FlowControl::new(1 << 16, 10, 10)));
        },
        play: shuts_down,
    },
    Scenario {
        id: "E65",
        title: "closes with a message that is too long",
        actors: EITHER,
        setup: plain,
        play: |stage, actor| {
            let session = stage.open()?;
            let long = "\u{e9}".repeat(600);
            stage.close(actor, session, 7, &long)?;
            let cut = CloseMessage::from(long.as_str());
            assert!(
                cut.len() < long.len(),
                "a message of 1200 bytes is too long"
            );
            stage.closed(actor.other(), session, peer_closed(7, &cut))
        },
    },
];

fn shuts_down(stage: &mut Stage, actor: webtransport_session::Side) -> Result<(), Failure> {
    let sessions = [stage.open()?, stage.open_another()?];
    let message = "over".into();
    stage.order(actor, Verb::Shutdown { code: 9, message })?;
    for session in sessions {
        stage.closed(actor, session, local(9, "over"))?;
        stage.closed(actor.other(), session, peer_closed(9, "over"))?;
    }
    let code = H3_NO_ERROR;
    stage.connection_closed(actor, ConnectionLost::Local { code: Some(code) })?;
    closed_by_peer(stage, actor.other(), code)
}
