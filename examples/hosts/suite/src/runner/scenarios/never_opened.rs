//! The session never opens, or ends as soon as it does.

use std::time::Duration;

use host_suite::{Raw, Verb};
use webtransport_session::{AbortedBy, CloseReason, Deadline, Side};

use super::{
    CLIENT, H3_REQUEST_CANCELLED, H3_REQUEST_REJECTED, SERVER, Scenario, control, peer_closed,
    plain,
};
use crate::{
    Failure,
    stage::{Setup, Stage},
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "E30",
        title: "refuses with 403",
        actors: SERVER,
        setup: plain,
        play: |stage, _| refused(stage, "/reject", "403"),
    },
    Scenario {
        id: "E31",
        title: "redirects",
        actors: SERVER,
        setup: plain,
        play: |stage, _| refused(stage, "/redirect", "302"),
    },
    Scenario {
        id: "E33",
        title: "resets the CONNECT stream before the answer",
        actors: SERVER,
        setup: unhurried,
        play: |stage, _| {
            stage.ready()?;
            let session = stage.request("/wait")?;
            let (stream, code) = (session.connect_stream(), H3_REQUEST_REJECTED);
            stage.order(Side::Server, Verb::Raw(Raw::Reset { stream, code }))?;
            let by = AbortedBy::Reset;
            stage.closed(Side::Client, session, CloseReason::Aborted { by, code })
        },
    },
    Scenario {
        id: "E35",
        title: "sends GOAWAY with the id of a request before the answer",
        actors: SERVER,
        setup: unhurried,
        play: |stage, _| {
            stage.ready()?;
            let session = stage.request("/wait")?;
            // GOAWAY (RFC 9114 §5.2) with id 0: nothing was processed.
            stage.write(Side::Server, control(Side::Server), &[0x07, 1, 0], false)?;
            let (by, code) = (AbortedBy::GoAway, H3_REQUEST_REJECTED);
            stage.closed(Side::Client, session, CloseReason::Aborted { by, code })
        },
    },
    Scenario {
        id: "E36",
        title: "takes its request back",
        actors: CLIENT,
        setup: plain,
        play: |stage, _| {
            stage.ready()?;
            let session = stage.request("/wait")?;
            stage.close(Side::Client, session, 7, "")?;
            let code = Some(H3_REQUEST_CANCELLED);
            stage.closed(Side::Server, session, CloseReason::Withdrawn { code })
        },
    },
    Scenario {
        id: "E36.fin",
        title: "sends FIN before the answer",
        actors: CLIENT,
        setup: plain,
        play: |stage, _| {
            stage.ready()?;
            let session = stage.request("/wait")?;
            stage.write(Side::Client, session.connect_stream(), b"", true)?;
            let code = None;
            stage.closed(Side::Server, session, CloseReason::Withdrawn { code })
        },
    },
    Scenario {
        id: "E39",
        title: "accepts, and closes at once",
        actors: SERVER,
        setup: plain,
        play: |stage, _| {
            stage.ready()?;
            let session = stage.request("/wait")?;
            stage.order(Side::Server, Verb::Accept { session })?;
            stage.close(Side::Server, session, 7, "full")?;
            stage.opened(Side::Client, session)?;
            stage.closed(Side::Client, session, peer_closed(7, "full"))
        },
    },
    Scenario {
        id: "E50",
        title: "does not answer in time",
        actors: SERVER,
        setup: |setup, _| setup.client.deadlines.request = Some(Duration::from_millis(300)),
        play: |stage, _| {
            stage.ready()?;
            let session = stage.request("/wait")?;
            let late = CloseReason::TimedOut(Deadline::Request);
            stage.closed(Side::Client, session, late)?;
            let code = Some(H3_REQUEST_CANCELLED);
            stage.closed(Side::Server, session, CloseReason::Withdrawn { code })
        },
    },
];

/// Neither end gives a request up by itself, however slow the machine is.
fn unhurried(setup: &mut Setup, _: Side) {
    for config in [&mut setup.client, &mut setup.server] {
        config.deadlines.request = None;
    }
}

fn refused(stage: &mut Stage, path: &str, status: &str) -> Result<(), Failure> {
    stage.ready()?;
    let session = stage.request(path)?;
    for (side, label) in [
        (Side::Server, "rejected-by-us"),
        (Side::Client, "rejected-by-peer"),
    ] {
        let reason = stage.closed_somehow(side, session, &[label])?;
        if !reason.contains(status) {
            return Err(Failure(format!("not {status}: {reason}")));
        }
    }
    Ok(())
}
