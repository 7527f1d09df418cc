//! What has to work before anything can end.

use std::{thread, time::Duration};

use host_suite::{Verb, report::What};
use webtransport_session::{Dir, FlowControl, SessionId, Side, StreamId};

use super::{CLIENT, EITHER, SERVER, Scenario, plain};
use crate::{
    Failure,
    stage::{FIRST, Setup, Stage},
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "W01",
        title: "opens a session",
        actors: CLIENT,
        setup: plain,
        play: |stage, _| stage.open().map(drop),
    },
    Scenario {
        id: "W02",
        title: "sends datagrams, one as large as can be",
        actors: EITHER,
        setup: plain,
        play: datagrams,
    },
    Scenario {
        id: "W03",
        title: "opens a bidirectional stream, which is answered",
        actors: EITHER,
        setup: plain,
        play: |stage, actor| {
            let session = stage.open()?;
            let stream = opened(stage, actor, session, Dir::Bi)?;
            carries(stage, actor, stream, 100_000)?;
            carries(stage, actor.other(), stream, 50_000)
        },
    },
    Scenario {
        id: "W04",
        title: "opens a unidirectional stream",
        actors: EITHER,
        setup: plain,
        play: |stage, actor| {
            let session = stage.open()?;
            let stream = opened(stage, actor, session, Dir::Uni)?;
            carries(stage, actor, stream, 100_000)
        },
    },
    Scenario {
        id: "W05",
        title: "sends 1 MiB each way at once, QUIC's window is 16 KiB",
        actors: EITHER,
        setup: |setup, _| setup.stream_window = 16 * 1024,
        play: both_ways,
    },
    Scenario {
        id: "W06",
        title: "opens 60 streams where QUIC allows 10 at a time",
        actors: EITHER,
        setup: |setup, _| setup.streams = 10,
        play: many_streams,
    },
    Scenario {
        id: "W07",
        title: "resets a stream with a code",
        actors: EITHER,
        setup: plain,
        play: resets_a_stream,
    },
    Scenario {
        id: "W08",
        title: "stops a stream with a code",
        actors: EITHER,
        setup: plain,
        play: stops_a_stream,
    },
    Scenario {
        id: "W09",
        title: "reads no more of a stream for a while",
        actors: EITHER,
        setup: |setup, _| setup.stream_window = 16 * 1024,
        play: pauses,
    },
    Scenario {
        id: "W10",
        title: "closes one of two sessions on a connection",
        actors: EITHER,
        setup: |setup, _| limited(setup, 1 << 16),
        play: two_sessions,
    },
    Scenario {
        id: "W11",
        title: "closes a session while another client stays",
        actors: CLIENT,
        setup: plain,
        play: two_clients,
    },
    Scenario {
        id: "W12",
        title: "sends 1 MiB through session flow control of 16 KiB",
        actors: EITHER,
        setup: |setup, _| limited(setup, 16 * 1024),
        play: both_ways,
    },
    Scenario {
        id: "N01",
        title: "drains a session",
        actors: EITHER,
        setup: plain,
        play: |stage, actor| {
            let session = stage.open()?;
            stage.order(actor, Verb::Drain { session })?;
            draining(stage, actor.other(), session)
        },
    },
    Scenario {
        id: "N02",
        title: "sends GOAWAY",
        actors: SERVER,
        setup: plain,
        play: |stage, actor| {
            let session = stage.open()?;
            stage.order(actor, Verb::GoAway)?;
            draining(stage, actor.other(), session)
        },
    },
];

fn limited(setup: &mut Setup, window: u64) {
    setup.both(|config| config.flow_control = Some(FlowControl::new(window, 100, 100)));
}

fn draining(stage: &mut Stage, side: Side, session: SessionId) -> Result<(), Failure> {
    stage.wait(side, "draining", |what| {
        (*what == What::Draining { session }).then_some(())
    })?;
    // Everything works on.
    greets(stage, side, session)
}

/// A datagram arrives. Over loopback it does.
fn greets(stage: &mut Stage, side: Side, session: SessionId) -> Result<(), Failure> {
    let text = format!("hello from the {side:?}");
    stage.order(
        side,
        Verb::Datagram {
            session,
            text: text.clone(),
        },
    )?;
    stage.wait(side.other(), "a datagram", |what| {
        let len = text.len();
        let text = text.clone();
        (*what == What::Datagram { session, len, text }).then_some(())
    })
}

fn datagrams(stage: &mut Stage, actor: Side) -> Result<(), Failure> {
    let session = stage.open()?;
    greets(stage, actor, session)?;
    stage.order(actor, Verb::LargestDatagram { session })?;
    let sent = stage.wait(actor, "what it sent", |what| match what {
        What::SentDatagram { len, .. } => Some(*len),
        _ => None,
    })?;
    if sent < 1000 {
        return Err(Failure(format!("a largest datagram of {sent} bytes")));
    }
    stage.wait(actor.other(), "the largest datagram", |what| {
        matches!(what, What::Datagram { len, .. } if *len == sent).then_some(())
    })
}

/// The actor opens a stream.
fn opened(
    stage: &mut Stage,
    actor: Side,
    session: SessionId,
    dir: Dir,
) -> Result<StreamId, Failure> {
    stage.order(actor, Verb::Open { session, dir })?;
    opened_now(stage, actor, dir)
}

fn opened_now(stage: &mut Stage, actor: Side, dir: Dir) -> Result<StreamId, Failure> {
    stage.wait(actor, "a stream was opened", |what| match what {
        What::Open {
            stream, dir: of, ..
        } if *of == dir => Some(*stream),
        _ => None,
    })
}

/// So many bytes and the FIN arrive on a stream, as they were sent.
fn carries(stage: &mut Stage, from: Side, stream: StreamId, len: u64) -> Result<(), Failure> {
    let fin = true;
    stage.order(from, Verb::Send { stream, len, fin })?;
    arrives(stage, from.other(), stream, len)
}

fn arrives(stage: &mut Stage, at: Side, stream: StreamId, len: u64) -> Result<(), Failure> {
    let (came, intact) = stage.wait(at, "the end of a stream", |what| match what {
        What::StreamEnded {
            stream: of,
            len,
            intact,
            ..
        } if *of == stream => Some((*len, *intact)),
        _ => None,
    })?;
    if (came, intact) == (len, true) {
        return Ok(());
    }
    Err(Failure(format!(
        "{came} bytes of {len} on stream {stream}, intact: {intact}"
    )))
}

fn both_ways(stage: &mut Stage, actor: Side) -> Result<(), Failure> {
    const LEN: u64 = 1 << 20;
    let session = stage.open()?;
    let stream = opened(stage, actor, session, Dir::Bi)?;
    let fin = true;
    // The other end knows of the stream when something came on it.
    stage.order(
        actor,
        Verb::Send {
            stream,
            len: LEN,
            fin,
        },
    )?;
    stage.wait(actor.other(), "a stream", |what| {
        matches!(what, What::StreamOpened { stream: of, .. } if *of == stream).then_some(())
    })?;
    carries(stage, actor.other(), stream, LEN)?;
    arrives(stage, actor.other(), stream, LEN)
}

fn many_streams(stage: &mut Stage, actor: Side) -> Result<(), Failure> {
    let session = stage.open()?;
    let dir = Dir::Uni;
    for _ in 0..60 {
        stage.order(actor, Verb::Open { session, dir })?;
    }
    for _ in 0..60 {
        let stream = opened_now(stage, actor, dir)?;
        carries(stage, actor, stream, 3_000)?;
    }
    Ok(())
}

/// A stream of the actor's that the other end has seen.
fn begun(stage: &mut Stage, actor: Side) -> Result<StreamId, Failure> {
    let session = stage.open()?;
    let stream = opened(stage, actor, session, Dir::Uni)?;
    let (len, fin) = (10, false);
    stage.order(actor, Verb::Send { stream, len, fin })?;
    stage.wait(actor, "that the first bytes were sent", |what| {
        (*what == What::Sent { stream }).then_some(())
    })?;
    stage.wait(actor.other(), "a stream", |what| {
        matches!(what, What::StreamOpened { stream: of, .. } if *of == stream).then_some(())
    })?;
    Ok(stream)
}

fn resets_a_stream(stage: &mut Stage, actor: Side) -> Result<(), Failure> {
    let stream = begun(stage, actor)?;
    stage.order(actor, Verb::Reset { stream, code: 77 })?;
    stage.wait(actor.other(), "the stream's reset", |what| {
        let is_it =
            matches!(what, What::StreamReset { stream: of, code: Some(77), .. } if *of == stream);
        is_it.then_some(())
    })
}

fn stops_a_stream(stage: &mut Stage, actor: Side) -> Result<(), Failure> {
    let stream = begun(stage, actor.other())?;
    stage.order(actor, Verb::Stop { stream, code: 78 })?;
    stage.wait(actor.other(), "that the stream was stopped", |what| {
        let is_it =
            matches!(what, What::StreamStopped { stream: of, code: Some(78), .. } if *of == stream);
        is_it.then_some(())
    })
}

fn pauses(stage: &mut Stage, actor: Side) -> Result<(), Failure> {
    let stream = begun(stage, actor.other())?;
    stage.order(actor, Verb::Pause { stream })?;
    let (len, fin) = ((1 << 20) - 10, true);
    stage.order(actor.other(), Verb::Send { stream, len, fin })?;
    let sent = |what: &What| matches!(what, What::Sent { stream: of } if *of == stream);
    // The first ten bytes were a `Send` of their own.
    // Time enough for all of it on a busy machine, were it not for the pause.
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(100));
        if stage.actor(actor.other())?.count(FIRST, sent) > 1 {
            return Err(Failure("QUIC took 1 MiB that nobody read".into()));
        }
    }
    stage.order(actor, Verb::Resume { stream })?;
    arrives(stage, actor, stream, 1 << 20)
}

fn two_sessions(stage: &mut Stage, actor: Side) -> Result<(), Failure> {
    let first = stage.open()?;
    let second = stage.open_another()?;
    stage.close(actor, first, 3, "first")?;
    stage.closed(actor.other(), first, super::peer_closed(3, "first"))?;
    greets(stage, actor, second)?;
    greets(stage, actor.other(), second)
}

fn two_clients(stage: &mut Stage, _: Side) -> Result<(), Failure> {
    let stays = stage.open()?;
    let leaver = stage.enter()?;
    let client = stage.clients.get_mut(leaver);
    let client = client.ok_or(Failure("nobody entered".into()))?;
    let ready = |what: &What| matches!(what, What::Ready { .. }).then_some(());
    client.wait(FIRST, "ready", ready)?;
    let path = "/".to_owned();
    client.order(FIRST, Verb::Connect { path })?;
    let opened = |what: &What| match what {
        What::Opened { session } => Some(*session),
        _ => None,
    };
    let session = client.wait(FIRST, "opened", opened)?;
    stage.server.wait(leaver, "opened", opened)?;
    let message = "bye".to_owned();
    let code = 5;
    client.order(
        FIRST,
        Verb::Close {
            session,
            code,
            message,
        },
    )?;
    let expected = format!("{:?}", super::peer_closed(5, "bye"));
    stage
        .server
        .wait(leaver, "the end of the session", |what| {
            matches!(what, What::Closed { reason, .. } if *reason == expected).then_some(())
        })?;
    greets(stage, Side::Client, stays)?;
    greets(stage, Side::Server, stays)
}
