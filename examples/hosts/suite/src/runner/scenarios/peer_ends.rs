//! The actor ends the session on the CONNECT stream, in order or not: the other side tells how.

use std::{thread, time::Duration};

use host_suite::{Raw, Verb};
use webtransport_session::{
    AbortedBy, CloseReason, CloseVia, ConnectionLost, Http3Error, SessionId, Side, Violation,
};

use super::{
    EITHER, Scenario, WT_SESSION_GONE, close_capsule, data, local, peer_closed, plain, tlv,
};
use crate::{Failure, stage::Stage};

/// A code that says nothing but itself.
const CODE: u64 = 0x1_2345;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "E01",
        title: "closes with a code and a message",
        actors: EITHER,
        setup: plain,
        play: |stage, actor| {
            let session = stage.open()?;
            stage.close(actor, session, 7, "bye")?;
            stage.closed(actor, session, local(7, "bye"))?;
            stage.closed(actor.other(), session, peer_closed(7, "bye"))
        },
    },
    Scenario {
        id: "E02",
        title: "sends a close capsule without FIN",
        actors: EITHER,
        setup: plain,
        play: |stage, actor| {
            writes(stage, actor, &data(&close_capsule(7, b"bye")), false)?
                .told(peer_closed(7, "bye"))
        },
    },
    Scenario {
        id: "E03",
        title: "closes with code 0 and no message",
        actors: EITHER,
        setup: plain,
        play: |stage, actor| {
            let session = stage.open()?;
            stage.close(actor, session, 0, "")?;
            stage.closed(actor.other(), session, peer_closed(0, ""))
        },
    },
    Scenario {
        id: "E04",
        title: "sends a bare FIN",
        actors: EITHER,
        setup: plain,
        play: |stage, actor| writes(stage, actor, b"", true)?.told(fin()),
    },
    Scenario {
        id: "E05",
        title: "sends trailers",
        actors: EITHER,
        setup: plain,
        play: |stage, actor| {
            // A HEADERS frame with the QPACK prefix and `age: 0` of the static table.
            let trailers = tlv(&[0x01], &[0, 0, 0xc2]);
            writes(stage, actor, &trailers, false)?
                .told(ConnectionLost::Http3(Http3Error::FrameUnexpected))
        },
    },
    Scenario {
        id: "E06",
        title: "sends a close capsule in pieces, behind unknown capsules and frames",
        actors: EITHER,
        setup: plain,
        play: in_pieces,
    },
    Scenario {
        id: "E07",
        title: "resets the CONNECT stream",
        actors: EITHER,
        setup: plain,
        play: |stage, actor| {
            raw(stage, actor, |stream| Raw::Reset { stream, code: CODE })?
                .told(aborted(AbortedBy::Reset, CODE))
        },
    },
    Scenario {
        id: "E08",
        title: "stops the CONNECT stream",
        actors: EITHER,
        setup: plain,
        play: |stage, actor| {
            raw(stage, actor, |stream| Raw::Stop { stream, code: CODE })?
                .told(aborted(AbortedBy::StopSending, CODE))
        },
    },
    Scenario {
        id: "E09",
        title: "resets and stops the CONNECT stream",
        actors: EITHER,
        setup: plain,
        play: |stage, actor| {
            let session = stage.open()?;
            let stream = session.connect_stream();
            let code = CODE;
            stage.order(actor, Verb::Raw(Raw::Stop { stream, code }))?;
            stage.order(actor, Verb::Raw(Raw::Reset { stream, code }))?;
            let reason =
                stage.closed_somehow(actor.other(), session, &["peer-reset", "peer-stop"])?;
            match reason.contains(&CODE.to_string()) {
                true => Ok(()),
                false => Err(Failure(format!("another code: {reason}"))),
            }
        },
    },
    Scenario {
        id: "E12",
        title: "stops with WT_SESSION_GONE, then closes",
        actors: EITHER,
        setup: plain,
        play: |stage, actor| {
            let code = WT_SESSION_GONE;
            let ended = raw(stage, actor, |stream| Raw::Stop { stream, code })?;
            let stream = ended.session.connect_stream();
            let capsule = data(&close_capsule(7, b"bye"));
            ended.stage.write(actor, stream, &capsule, true)?;
            ended.told(peer_closed(7, "bye"))
        },
    },
    Scenario {
        id: "E12.gone",
        title: "stops with WT_SESSION_GONE, and nothing follows",
        actors: EITHER,
        setup: |setup, _| {
            setup.both(|config| config.deadlines.stop_grace = Duration::from_millis(200));
        },
        play: |stage, actor| {
            let code = WT_SESSION_GONE;
            raw(stage, actor, |stream| Raw::Stop { stream, code })?
                .told(aborted(AbortedBy::StopSending, WT_SESSION_GONE))
        },
    },
    Scenario {
        id: "E10",
        title: "sends a close capsule and FIN, then stops, while the other is busy",
        actors: EITHER,
        setup: plain,
        play: |stage, actor| {
            let session = stage.open()?;
            let stream = session.connect_stream();
            let milliseconds = 400;
            stage.order(actor.other(), Verb::BeBusy { milliseconds })?;
            // What is sent now is all there when the other looks again.
            thread::sleep(Duration::from_millis(50));
            stage.write(actor, stream, &data(&close_capsule(7, b"bye")), true)?;
            let code = CODE;
            stage.order(actor, Verb::Raw(Raw::Stop { stream, code }))?;
            stage.closed(actor.other(), session, peer_closed(7, "bye"))
        },
    },
    Scenario {
        id: "E20",
        title: "sends a close capsule without a whole code",
        actors: EITHER,
        setup: plain,
        play: |stage, actor| {
            let capsule = tlv(&[0x68, 0x43], &[0, 7]);
            writes(stage, actor, &data(&capsule), true)?.told(Violation::TruncatedClose)
        },
    },
    Scenario {
        id: "E22",
        title: "sends a close message that is not UTF-8",
        actors: EITHER,
        setup: plain,
        play: |stage, actor| {
            let capsule = close_capsule(7, b"\xff\xfe");
            writes(stage, actor, &data(&capsule), true)?.told(Violation::MessageNotUtf8)
        },
    },
    Scenario {
        id: "E23",
        title: "sends FIN inside a capsule",
        actors: EITHER,
        setup: plain,
        play: |stage, actor| {
            let capsule = close_capsule(7, b"bye");
            let (begin, _) = capsule.split_at(5);
            writes(stage, actor, &data(begin), true)?.told(Violation::Truncated)
        },
    },
];

/// Something was done to end a session.
struct Ended<'a> {
    stage: &'a mut Stage,
    session: SessionId,
    observer: Side,
}

impl Ended<'_> {
    fn told(self, reason: impl Into<CloseReason>) -> Result<(), Failure> {
        self.stage.closed(self.observer, self.session, reason)
    }
}

/// The actor's QUIC does something to the CONNECT stream.
fn raw(
    stage: &mut Stage,
    actor: Side,
    what: impl FnOnce(webtransport_session::StreamId) -> Raw,
) -> Result<Ended<'_>, Failure> {
    let session = stage.open()?;
    stage.order(actor, Verb::Raw(what(session.connect_stream())))?;
    Ok(Ended {
        stage,
        session,
        observer: actor.other(),
    })
}

fn writes<'a>(
    stage: &'a mut Stage,
    actor: Side,
    bytes: &[u8],
    fin: bool,
) -> Result<Ended<'a>, Failure> {
    let data = bytes.to_vec();
    raw(stage, actor, |stream| Raw::Write { stream, data, fin })
}

fn in_pieces(stage: &mut Stage, actor: Side) -> Result<(), Failure> {
    let session = stage.open()?;
    let stream = session.connect_stream();
    // A frame and a capsule of reserved types (RFC 9114 §7.2.8, RFC 9297 §5.4).
    let mut bytes = tlv(&[0x21], b"grease");
    bytes.extend(data(&tlv(&[0x17], b"grease")));
    for byte in close_capsule(7, b"bye") {
        bytes.extend(data(&[byte]));
    }
    for piece in bytes.chunks(3) {
        stage.write(actor, stream, piece, false)?;
    }
    stage.write(actor, stream, b"", true)?;
    stage.closed(actor.other(), session, peer_closed(7, "bye"))
}

fn fin() -> CloseReason {
    CloseReason::Peer {
        code: 0,
        message: "".into(),
        via: CloseVia::Fin,
    }
}

fn aborted(by: AbortedBy, code: u64) -> CloseReason {
    CloseReason::Aborted { by, code }
}
