//! aioquic, with everything that can be done to a CONNECT stream. How it is run is in `process`, what
//! it does in `peers/aioquic/peer.py`.

mod process;

use std::time::Duration;

use serde_json::{Value, json};
use webtransport_session::{
    AbortedBy, CloseReason, ConnectionLost, Deadline, Dialect, Endpoint, Http3Error, Side,
    Violation,
};

use super::{
    Case, aborted, capsule, closed_with,
    guest::Deed,
    local,
    ours::{Act, redirect},
    peer_closed, peer_finished, rejected, table,
};
use crate::{
    options::Options,
    table::{Cell, Row, Section, Table},
};

pub(crate) use process::{install, start, version};

pub(crate) const NAME: &str = "aioquic";

pub(crate) fn section(options: &Options) -> anyhow::Result<Section> {
    let mut section = Section::new(NAME, NAME);
    section.notes.push(
        "It hands its application the streams of requests, and a function for all that can be done \
         to them: told are the bytes that come on the CONNECT stream, how it ends, and how the \
         connection does."
            .into(),
    );
    let python = match install(options) {
        Ok(python) => python,
        Err(error) => {
            eprintln!("!! SKIPPED: {NAME}: {error:#}");
            let mut table = Table::new(NAME, &["what happens", "our application"]);
            let skipped = Cell::skipped(format!("aioquic cannot be had: {error:#}"));
            table.rows.push(Row::new("everything", [skipped]));
            section.tables.push(table);
            return Ok(section);
        }
    };
    section.version(NAME, version(&python)?);
    let start = |invitation| start(&python, invitation);
    for (side, dialect, title, cases) in [
        (
            Side::Client,
            Dialect::Draft02,
            "aioquic as client",
            client_cases(),
        ),
        (
            Side::Server,
            Dialect::Draft02,
            "aioquic as server",
            server_cases(),
        ),
    ] {
        section
            .tables
            .push(table(options, title, (side, dialect), cases, &start)?);
    }
    Ok(section)
}

fn client_cases() -> Vec<Case> {
    let mut cases = common_cases();
    let redirected = CloseReason::Rejected {
        by: Endpoint::Local,
        rejection: Box::new(redirect()),
    };
    let withdrawn = |code| CloseReason::Withdrawn { code };
    let early = |name: &str, deed: &str, reason, told: &[&str]| {
        let plan = json!({"deed": deed, "code": 0x10c});
        script(name, Act::Withhold, plan, reason).told(told)
    };
    let mut at_once = early(
        "E38 RESET_STREAM(0x10c) right behind the request",
        "reset-at-once",
        withdrawn(None),
        &["reset with 0x10c", SHUT],
    );
    // Its bytes are gone with it: there never was a request.
    at_once.reasons.clear();
    cases.extend([
        at_once,
        early(
            "E36 RESET_STREAM(0x10c) before the answer",
            "reset-early",
            withdrawn(Some(0x10c)),
            &["reset with 0x10c", SHUT],
        ),
        early(
            "E36 STOP_SENDING(0x10c) before the answer",
            "stop-early",
            withdrawn(Some(0x10c)),
            &["reset with 0x10c", "stopped with 0x10c", SHUT],
        ),
        early(
            "E36 FIN with the request",
            "fin-early",
            withdrawn(None),
            &["reset with 0x10c", SHUT],
        ),
        early(
            "E40 CONNECTION_CLOSE(0x10c) before the answer",
            "close-early",
            closed_with(0x10c, "").into(),
            &["connection: app 0x10c"],
        ),
        wait(
            "E37 we reject with 403",
            Act::Reject(403),
            rejected(Endpoint::Local, 403),
        )
        .told(&["stopped with 0x100", "status 403", "end", SHUT]),
        wait("E37 we redirect", Act::Redirect, redirected).told(&[
            "stopped with 0x100",
            "status 302",
            "location https://example.net/",
            "end",
            SHUT,
        ]),
        wait(
            "E50 we do not answer",
            Act::Withhold,
            CloseReason::TimedOut(Deadline::Request),
        )
        .told(&["reset with 0x10c", "stopped with 0x10c", SHUT]),
        script(
            "two sessions, each with its own",
            Act::Wait,
            json!({"deed": "two"}),
            peer_closed(1, ""),
        )
        .and(4, peer_closed(2, ""))
        .notes(&["0: datagram p-0", "4: datagram p-1"])
        .told(&["0: datagram p-0", "4: datagram p-1", "end", "end", SHUT]),
    ]);
    cases
}

fn server_cases() -> Vec<Case> {
    let mut cases = common_cases();
    let reject = |status: u16| json!({"deed": "reject", "code": status});
    let redirection = json!({"deed": "reject", "code": 302, "location": "https://example.net/"});
    let redirected = CloseReason::Rejected {
        by: Endpoint::Peer,
        rejection: Box::new(redirect()),
    };
    let malformed = || CloseReason::from(Violation::MalformedResponse);
    let timed_out = CloseReason::TimedOut(Deadline::Request);
    cases.extend([
        script(
            "E30 it rejects with 403",
            Act::Wait,
            reject(403),
            rejected(Endpoint::Peer, 403),
        )
        .told(&["stopped with 0x10c", "end", SHUT]),
        script(
            "E30 it rejects with 503",
            Act::Wait,
            reject(503),
            rejected(Endpoint::Peer, 503),
        )
        .told(&["stopped with 0x10c", "end", SHUT]),
        script("E31 it redirects", Act::Wait, redirection, redirected).told(&[
            "stopped with 0x10c",
            "end",
            SHUT,
        ]),
        script(
            "E32 103, then it accepts, and we close",
            Act::Close(7, "bye".into()),
            json!({"deed": "interim"}),
            local(7, "bye"),
        )
        .told(&["body hC\\x07\\x00\\x00\\x00\\x07bye", "end", SHUT]),
        script(
            "E33 RESET_STREAM(H3_REQUEST_REJECTED) for an answer",
            Act::Wait,
            json!({"deed": "reset-early", "code": 0x10b}),
            aborted(AbortedBy::Reset, 0x10b),
        )
        .told(&["reset with 0x10c", SHUT]),
        script(
            "E34 2xx with Content-Length",
            Act::Wait,
            json!({"deed": "malformed"}),
            malformed(),
        )
        .told(&["reset with 0x10e", "stopped with 0x10e", SHUT]),
        script(
            "E34 FIN for an answer",
            Act::Wait,
            json!({"deed": "fin-early"}),
            malformed(),
        )
        .told(&["reset with 0x10e", SHUT]),
        script(
            "E35 GOAWAY for an answer",
            Act::Wait,
            json!({"deed": "go-away-early"}),
            aborted(AbortedBy::GoAway, 0x10b),
        )
        .told(&["reset with 0x10c", "stopped with 0x10c", SHUT]),
        script(
            "E50 it does not answer",
            Act::Wait,
            json!({"deed": "withhold"}),
            timed_out,
        )
        .told(&["reset with 0x10c", "stopped with 0x10c", SHUT]),
        script(
            "E63 we close before the answer",
            Act::CloseEarly(5),
            json!({"deed": "withhold"}),
            local(5, ""),
        )
        .told(&["stream reset with None", "stream stopped with None", SHUT]),
        script(
            "N02 GOAWAY, and then it says nothing",
            Act::Wait,
            json!({"deed": "go-away"}),
            CloseReason::TimedOut(Deadline::Inactivity),
        )
        .with(|setup| setup.config.deadlines.inactivity = Some(Duration::from_millis(300)))
        .notes(&["0: draining"])
        .told(&["body hC\\x04\\x00\\x00\\x00\\x00", "end", SHUT]),
        script(
            "two sessions, each with its own",
            Act::Second,
            json!({"deed": "two"}),
            peer_closed(1, ""),
        )
        .and(4, peer_closed(2, ""))
        .notes(&["0: datagram p-0", "4: datagram p-1"])
        .told(&["0: datagram p-0", "4: datagram p-1", "end", "end", SHUT]),
    ]);
    cases
}

/// How our shutdown of the connection looks.
const SHUT: &str = "connection: app 0x100";
const ANSWER: &str = "It reads the answer on a bidirectional stream that it opened itself as frames of \
    HTTP/3, and closes the connection with H3_FRAME_ERROR";

fn script(name: &str, act: Act, plan: Value, reason: CloseReason) -> Case {
    Case::new(name, act, Deed::Script(plan), reason)
}

fn wait(name: &str, act: Act, reason: CloseReason) -> Case {
    script(name, act, json!({"deed": "wait"}), reason)
}

/// For either role.
fn common_cases() -> Vec<Case> {
    let mut cases = conversations();
    cases.extend(endings());
    cases.extend(violations());
    cases.extend(losses());
    cases.extend(ours());
    cases
}

fn conversations() -> Vec<Case> {
    let truncated = "Frame is truncated by the end of the stream";
    vec![
        script(
            "streams and datagrams",
            Act::Converse,
            json!({"deed": "converse"}),
            local(0, ""),
        )
        .notes(&[
            "0: Bi o-bi",
            "0: Uni done",
            "0: datagram o-datagram",
            "0: datagram p-datagram",
        ])
        .any_order()
        .told(&[
            "0: Bi o-bi",
            "0: datagram o-datagram",
            "0: datagram p-datagram",
            "body hC\\x04\\x00\\x00\\x00\\x00",
            SHUT,
            "end",
        ]),
        script(
            "a stream of its own that is answered",
            Act::Wait,
            json!({"deed": "ask"}),
            closed_with(0x106, truncated).into(),
        )
        .notes(&["0: Bi p-bi"])
        .sent_wrong(ANSWER)
        .told(&[format!("connection: app 0x106 {truncated}")]),
        script(
            "streams are aborted",
            Act::AbortStreams,
            json!({"deed": "abort-streams"}),
            local(0, ""),
        )
        .notes(&[
            "0: Uni done",
            "0: stream reset with Some(73)",
            "0: stream stopped with Some(74)",
        ])
        .any_order()
        .told(&[
            "body hC\\x04\\x00\\x00\\x00\\x00",
            SHUT,
            "end",
            "stream reset with 71",
            "stream reset with 74",
            "stream stopped with 72",
        ]),
    ]
}

/// By the peer, on the CONNECT stream.
fn endings() -> Vec<Case> {
    let body = |name: &str, data: &[u8], fin, reason| {
        let plan = json!({"deed": "body", "data": hex(data), "fin": fin});
        script(name, Act::Wait, plan, reason).told(&["end", SHUT])
    };
    let code = |name: &str, deed: &str, code: u64, reason, told: &[&str]| {
        let plan = json!({"deed": deed, "code": code});
        script(name, Act::Wait, plan, reason).told(told)
    };
    let long = "ü".repeat(512);
    let bye = bye();
    let gone = 0x170d_7b68;
    let grease = [&[0x40, 0x5f, 3][..], b"abc", &bye].concat();
    let twice = [&bye[..], &capsule(8, b"")].concat();
    let stopped = |code| aborted(AbortedBy::StopSending, code);
    let pieces = json!({"deed": "body", "data": hex(&bye), "fin": true, "pieces": true});
    let stop_and = |data: &[u8]| json!({"deed": "stop-and-body", "code": gone, "data": hex(data), "fin": true});
    let both = &["reset with 0x10e", "stopped with 0x10e", SHUT];
    let mut two_capsules = body("E11 two capsules", &twice, true, peer_closed(7, "bye"));
    two_capsules.told.clear();
    vec![
        body(
            "E01 capsule (7, \"bye\") and FIN",
            &bye,
            true,
            peer_closed(7, "bye"),
        ),
        body(
            "E01 capsule of 2^32 - 1 and 1024 bytes",
            &capsule(u32::MAX, long.as_bytes()),
            true,
            peer_closed(u32::MAX, &long),
        ),
        body(
            "E02 capsule (7, \"bye\"), no FIN",
            &bye,
            false,
            peer_closed(7, "bye"),
        ),
        body(
            "E03 capsule (0, \"\") and FIN",
            &capsule(0, b""),
            true,
            peer_closed(0, ""),
        ),
        body("E04 bare FIN", b"", true, peer_finished()),
        script(
            "E06 capsule in pieces",
            Act::Wait,
            pieces,
            peer_closed(7, "bye"),
        )
        .told(&["end", SHUT]),
        body(
            "E06 capsule behind an unknown one",
            &grease,
            true,
            peer_closed(7, "bye"),
        ),
        code(
            "E07 RESET_STREAM(0x10c)",
            "reset",
            0x10c,
            aborted(AbortedBy::Reset, 0x10c),
            &["reset with 0x170d7b68", "stopped with 0x170d7b68", SHUT],
        )
        .told(&["reset with 0x170d7b68", SHUT]),
        code(
            "E08 STOP_SENDING(0x10c)",
            "stop",
            0x10c,
            stopped(0x10c),
            &["reset with 0x10c", "stopped with 0x10c", SHUT],
        ),
        code(
            "E09 RESET_STREAM(0x10c) and STOP_SENDING(0x10c)",
            "reset-and-stop",
            0x10c,
            aborted(AbortedBy::Reset, 0x10c),
            &["reset with 0x170d7b68", SHUT],
        ),
        two_capsules.told(both),
        script(
            "E12 STOP_SENDING(WT_SESSION_GONE), capsule and FIN",
            Act::Wait,
            stop_and(&bye),
            peer_closed(7, "bye"),
        )
        .told(&["reset with 0x170d7b68", SHUT])
        .told(&[SHUT]),
        script(
            "E12 STOP_SENDING(WT_SESSION_GONE) and FIN",
            Act::Wait,
            stop_and(b""),
            peer_finished(),
        )
        .told(&["reset with 0x170d7b68", SHUT])
        .told(&[SHUT]),
        code(
            "E12 STOP_SENDING(WT_SESSION_GONE) alone",
            "stop",
            gone,
            stopped(gone),
            &["reset with 0x170d7b68", "stopped with 0x170d7b68", SHUT],
        ),
    ]
}

/// By the peer, against the rules.
fn violations() -> Vec<Case> {
    let violates = |name: &str, data: &[u8], violation: Violation| {
        let plan = json!({"deed": "body", "data": hex(data), "fin": true});
        script(name, Act::Wait, plan, violation.into()).told(&[
            "reset with 0x10e",
            "stopped with 0x10e",
            SHUT,
        ])
    };
    let ends = |name: &str, plan: Value, error: Http3Error| {
        script(name, Act::Wait, plan, ConnectionLost::Http3(error).into()).told(&[format!(
            "connection: app {:#x} {}",
            error.code(),
            error.to_string().split(' ').next().unwrap_or_default()
        )])
    };
    let fin = json!({"deed": "body", "data": "68430700", "fin": true});
    vec![
        ends(
            "E05 trailers",
            json!({"deed": "trailers"}),
            Http3Error::FrameUnexpected,
        ),
        ends(
            "E05 a SETTINGS frame",
            json!({"deed": "raw", "data": "0400"}),
            Http3Error::FrameUnexpected,
        ),
        violates(
            "E20 capsule too short for its code",
            &[0x68, 0x43, 3, 0, 0, 0],
            Violation::TruncatedClose,
        ),
        violates(
            "E21 capsule of 1025 bytes",
            &capsule(0, &[b'x'; 1025]),
            Violation::MessageTooLong,
        ),
        violates(
            "E22 capsule that is not UTF-8",
            &capsule(0, b"\xff"),
            Violation::MessageNotUtf8,
        ),
        script(
            "E23 FIN inside a capsule",
            Act::Wait,
            fin,
            Violation::Truncated.into(),
        )
        .told(&["reset with 0x10e", SHUT]),
        ends(
            "E46 the end of its control stream",
            json!({"deed": "end-control"}),
            Http3Error::ClosedCriticalStream,
        ),
        ends(
            "E46 an empty datagram",
            json!({"deed": "datagram", "data": ""}),
            Http3Error::Datagram,
        ),
    ]
}

/// The connection ends under it.
fn losses() -> Vec<Case> {
    let off = json!({"deed": "close-connection", "code": 0x10c, "reason": "off"});
    let off_quic = json!({"deed": "close-quic", "code": 0xa, "reason": "off"});
    let (code, reason) = (0xa, "off".into());
    let quic = ConnectionLost::PeerTransport { code, reason };
    let idle = || CloseReason::from(ConnectionLost::IdleTimeout);
    vec![
        script(
            "E40 CONNECTION_CLOSE(0x10c, \"off\")",
            Act::Wait,
            off,
            closed_with(0x10c, "off").into(),
        )
        .told(&["connection: app 0x10c off"]),
        script(
            "E41 CONNECTION_CLOSE of QUIC (0xa, \"off\")",
            Act::Wait,
            off_quic,
            quic.into(),
        )
        .told(&["connection: quic 0xa off"]),
        script(
            "E42 it is killed",
            Act::Wait,
            json!({"deed": "die"}),
            idle(),
        )
        .with(|setup| setup.idle = Duration::from_secs(1)),
        wait("E42 the network goes", Act::Vanish, idle())
            .with(|setup| setup.idle = Duration::from_secs(1))
            .told(&["connection: quic 0x1 Idle timeout"]),
        wait(
            "E51 it says nothing",
            Act::Wait,
            CloseReason::TimedOut(Deadline::Inactivity),
        )
        .with(|setup| setup.config.deadlines.inactivity = Some(Duration::from_millis(300)))
        .told(&["body hC\\x04\\x00\\x00\\x00\\x00", "end", SHUT]),
    ]
}

/// By us.
fn ours() -> Vec<Case> {
    let long = "ü".repeat(512);
    let close = |code, message: &str| {
        let name = match message.len() {
            1024 => "E60 we close with 2^32 - 1 and a message of 1024 bytes".into(),
            _ => format!("E60 we close with {code} and {message:?}"),
        };
        let body = capsule(code, message.as_bytes());
        let act = Act::Close(code, message.into());
        let body = format!("body {}", body.escape_ascii());
        wait(&name, act, local(code, message)).told(&[&body, "end", SHUT])
    };
    let answer = |name: &str, act, told: &[&str]| {
        let plan = json!({"deed": "answer", "data": hex(&bye()), "fin": true});
        script(name, act, plan, peer_closed(7, "bye")).told(told)
    };
    let local_loss = ConnectionLost::Local { code: Some(0x100) };
    let drain = "body \\x80\\x00x\\xae\\x00";
    vec![
        close(4242, "bye-bye"),
        close(0, ""),
        close(u32::MAX, &long),
        wait(
            "E64 we shut down with 8 and \"later\"",
            Act::Shutdown(8, "later"),
            local(8, "later"),
        )
        .told(&["body hC\\t\\x00\\x00\\x00\\x08later", "end", SHUT]),
        wait(
            "E45 we close the connection with 0x100 and \"over\"",
            Act::Abort(0x100, "over"),
            local_loss.into(),
        )
        .told(&["connection: app 0x100 over"]),
        answer(
            "we drain, then capsule (7, \"bye\")",
            Act::Drain,
            &[drain, "end", SHUT],
        ),
        answer(
            "we send GOAWAY, then capsule (7, \"bye\")",
            Act::GoAway,
            &[drain, "end", SHUT],
        ),
        answer(
            "FIN from us, then capsule (7, \"bye\")",
            Act::Fin,
            &["end", SHUT],
        ),
        answer(
            "RESET_STREAM from us, then capsule (7, \"bye\")",
            Act::Reset(0x10c),
            &["reset with 0x10c", SHUT],
        ),
    ]
}

fn bye() -> Vec<u8> {
    capsule(7, b"bye")
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
