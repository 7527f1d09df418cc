//! The crates `h3` and `h3-quinn`: as a server with `h3-webtransport` (in `web_transport`), and in both
//! roles by themselves, with the capsules written by hand (in `alone`).

mod alone;
mod web_transport;

use std::time::Duration;

use webtransport_session::{
    AbortedBy, CloseReason, ConnectionLost, Deadline, Dialect, Endpoint, Http3Error, Side,
    Violation,
};

use super::{
    CONVERSED, CONVERSED_THERE, Case, aborted, capsule, closed_with,
    guest::{Deed, Fin, Guest},
    local,
    ours::{Act, redirect},
    peer_closed, peer_finished, rejected, table,
};
use crate::{options::Options, table::Section};

type Quic = h3_quinn::Connection;

pub(crate) fn section(options: &Options) -> anyhow::Result<Section> {
    let mut section = Section::new("h3", "h3, h3-quinn and h3-webtransport");
    for name in ["h3", "h3-quinn", "h3-webtransport", "h3-datagram"] {
        section.version(name, super::version(name));
    }
    section.notes.push(
        "With h3-webtransport a server has no function that ends a session, nor one that tells of \
         an end: told is what waiting for a stream gives. Alone, h3 has streams of requests, on \
         which the capsules are written by hand: told is what comes as a body, and how that ends."
            .into(),
    );
    let web_transport = |invitation| Guest::start(invitation, web_transport::play);
    let alone = |invitation| Guest::start(invitation, alone::play);
    let server = (Side::Server, Dialect::Draft02);
    let title = "h3-webtransport as server";
    section.tables.push(table(
        options,
        title,
        server,
        web_transport_cases(),
        &web_transport,
    )?);
    for (side, dialect, title, cases) in [
        (
            Side::Client,
            Dialect::Draft07,
            "h3 alone as client",
            client_cases(),
        ),
        (
            Side::Server,
            Dialect::Draft02,
            "h3 alone as server",
            server_cases(),
        ),
    ] {
        section
            .tables
            .push(table(options, title, (side, dialect), cases, &alone)?);
    }
    Ok(section)
}

/// How our shutdown of the connection looks.
const SHUT: &str = "Connection error: Remote error: ApplicationClose: H3_NO_ERROR";
const UNREAD: &str = "It never reads the CONNECT stream: code and message are lost, and the end is \
    noticed when the connection ends";
const CODES: &str = "Its codes of streams are those on the wire: neither those that it sends nor \
    those that it is given are mapped (draft §4.4)";
const QUARTER: &str = "h3-datagram writes the quarter stream id 0 for every session (it encodes into \
    one buffer and sends another): the datagram \"p-2\" is of session 4";
const GREASE: &str = "`finish` puts a GREASE frame in front of the first FIN on a connection, here \
    behind the close capsule (draft §6: \"the stream MUST be reset with code H3_MESSAGE_ERROR\")";
const LETS_GO: &str =
    "A client that is let go closes the connection with 0, which is no code of HTTP/3";
const ENDED: &str = "Connection was closed by the server";

fn web_transport_cases() -> Vec<Case> {
    vec![
        Case::new(
            "streams and datagrams",
            Act::Converse,
            Deed::Converse,
            local(0, ""),
        )
        .notes(&CONVERSED)
        .told(&[&CONVERSED_THERE[..], &[SHUT]].concat())
        .told_wrong(UNREAD),
        Case::new(
            "streams are aborted",
            Act::AbortStreams,
            Deed::AbortStreams,
            local(0, ""),
        )
        .notes(&[
            "0: Uni done",
            "0: stream reset with None",
            "0: stream stopped with None",
        ])
        .sent_wrong(CODES)
        .told(&[
            "StreamClosed: 0x52e4a40fa924",
            "StreamClosed: 0x52e4a40fa925",
            SHUT,
        ])
        .told_wrong(CODES),
        Case::new(
            "it lets go",
            Act::Wait,
            Deed::Drop,
            closed_with(0x100, ENDED).into(),
        ),
        Case::new(
            "it closes the connection with 0x10c and \"off\"",
            Act::Wait,
            Deed::CloseConnection(0x10c, "off"),
            closed_with(0x10c, "off").into(),
        ),
        Case::new(
            "we close with 4242 and \"bye-bye\"",
            Act::Close(4242, "bye-bye".into()),
            Deed::Wait,
            local(4242, "bye-bye"),
        )
        .told(&[SHUT])
        .told_wrong(UNREAD),
        Case::new(
            "FIN from us",
            Act::Fin,
            Deed::Wait,
            ConnectionLost::IdleTimeout.into(),
        )
        .with(|setup| setup.idle = Duration::from_secs(1))
        .sent_wrong(UNREAD)
        .told(&["Connection error: Timeout"])
        .told_wrong(UNREAD),
        Case::new(
            "we close the connection with 0x100 and \"over\"",
            Act::Abort(0x100, "over"),
            Deed::Wait,
            ConnectionLost::Local { code: Some(0x100) }.into(),
        )
        .told(&[SHUT]),
        Case::new(
            "the network goes",
            Act::Vanish,
            Deed::Wait,
            ConnectionLost::IdleTimeout.into(),
        )
        .with(|setup| setup.idle = Duration::from_secs(1))
        .told(&["Connection error: Timeout"]),
        Case::new(
            "two sessions, and a datagram in each",
            Act::Second,
            Deed::Later,
            closed_with(0x100, ENDED).into(),
        )
        .and(4, closed_with(0x100, ENDED).into())
        .notes(&["0: datagram p-1", "0: datagram p-2"])
        .sent_wrong(QUARTER),
    ]
}

fn client_cases() -> Vec<Case> {
    let mut cases = common_cases();
    let redirected = CloseReason::Rejected {
        by: Endpoint::Local,
        rejection: Box::new(redirect()),
    };
    let withdrawn = |code| CloseReason::Withdrawn { code };
    cases.extend([
        Case::new(
            "it lets go",
            Act::Wait,
            Deed::Drop,
            closed_with(0, "").into(),
        )
        .sent_wrong(LETS_GO),
        Case::new(
            "it lets go before the answer",
            Act::Withhold,
            Deed::DropEarly,
            closed_with(0, "").into(),
        )
        .with(|setup| setup.config.deadlines.request = Some(Duration::from_secs(5)))
        .sent_wrong(LETS_GO),
        Case::new(
            "RESET_STREAM(0x10c) before the answer",
            Act::Withhold,
            Deed::ResetEarly(0x10c),
            withdrawn(Some(0x10c)),
        ),
        Case::new(
            "STOP_SENDING(0x10c) before the answer",
            Act::Withhold,
            Deed::StopEarly(0x10c),
            withdrawn(Some(0x10c)),
        ),
        Case::new(
            "FIN before the answer",
            Act::Withhold,
            Deed::FinEarly,
            withdrawn(None),
        ),
        Case::new(
            "we reject with 403",
            Act::Reject(403),
            Deed::Wait,
            rejected(Endpoint::Local, 403),
        )
        .told(&["403"]),
        Case::new("we redirect", Act::Redirect, Deed::Wait, redirected).told(&["302"]),
        Case::new(
            "we do not answer",
            Act::Withhold,
            Deed::Wait,
            CloseReason::TimedOut(Deadline::Request),
        )
        .told(&["reset with 0x10c"]),
    ]);
    cases
}

fn server_cases() -> Vec<Case> {
    let mut cases = common_cases();
    cases.extend([
        Case::new(
            "it lets go",
            Act::Wait,
            Deed::Drop,
            closed_with(0x100, ENDED).into(),
        ),
        Case::new(
            "it rejects with 403",
            Act::Wait,
            Deed::Reject(403),
            rejected(Endpoint::Peer, 403),
        ),
        Case::new(
            "it rejects with 503",
            Act::Wait,
            Deed::Reject(503),
            rejected(Endpoint::Peer, 503),
        ),
        Case::new(
            "RESET_STREAM(H3_REQUEST_REJECTED) for an answer",
            Act::Wait,
            Deed::ResetEarly(0x10b),
            aborted(AbortedBy::Reset, 0x10b),
        ),
        Case::new(
            "FIN for an answer",
            Act::Wait,
            Deed::FinEarly,
            Violation::MalformedResponse.into(),
        ),
        Case::new(
            "it does not answer",
            Act::Wait,
            Deed::Withhold,
            CloseReason::TimedOut(Deadline::Request),
        ),
        Case::new(
            "GOAWAY, then capsule (7, \"bye\") and FIN",
            Act::Wait,
            Deed::GoAway(capsule(7, b"bye")),
            peer_closed(7, "bye"),
        )
        .notes(&["0: draining"])
        .sent_wrong(GREASE),
        Case::new(
            "it lets the request go",
            Act::Wait,
            Deed::DropEarly,
            closed_with(0x100, ENDED).into(),
        ),
        Case::new(
            "we close before the answer",
            Act::CloseEarly(5),
            Deed::Withhold,
            local(5, ""),
        )
        .told(&["Remote reset: H3_REQUEST_CANCELLED"]),
    ]);
    cases
}

/// For either role.
fn common_cases() -> Vec<Case> {
    let long = "ü".repeat(512);
    let close = |code, message: &str| {
        let act = Act::Close(code, message.into());
        let name = match message.len() {
            1024 => "we close with 2^32 - 1 and a message of 1024 bytes".into(),
            _ => format!("we close with {code} and {message:?}"),
        };
        let body = capsule(code, message.as_bytes());
        Case::new(name, act, Deed::Wait, local(code, message))
            .told(&[format!("body {}", body.escape_ascii()), "end".into()])
    };
    let body = |name: &str, body: Vec<u8>, fin, reason| {
        Case::new(name, Act::Wait, Deed::Body(body, fin), reason)
    };
    let greased = |name: &str, bytes: Vec<u8>, reason| {
        body(name, bytes, Fin::Yes, reason)
            .sent_wrong(GREASE)
            .told(&["reset with 0x10e"])
    };
    let violates = |name: &str, bytes: Vec<u8>, violation: Violation| {
        body(name, bytes, Fin::Yes, violation.into()).told(&["reset with 0x10e"])
    };
    let bye = || capsule(7, b"bye");
    let answer = |name: &str, act, told: &str| {
        Case::new(name, act, Deed::Answer(bye()), peer_closed(7, "bye")).told(&[told])
    };
    let unexpected = ConnectionLost::Http3(Http3Error::FrameUnexpected);
    let grease = [&[0x40, 0x5f, 3][..], b"abc", &bye()].concat();
    let wrong = || vec![0x68, 0x43, 3, 0, 0, 0];
    vec![
        greased("capsule (7, \"bye\") and FIN", bye(), peer_closed(7, "bye")),
        body(
            "capsule (7, \"bye\"), no FIN",
            bye(),
            Fin::No,
            peer_closed(7, "bye"),
        )
        .told(&["end"]),
        greased(
            "capsule (0, \"\") and FIN",
            capsule(0, b""),
            peer_closed(0, ""),
        ),
        greased(
            "capsule of 1024 bytes and FIN",
            capsule(u32::MAX, long.as_bytes()),
            peer_closed(u32::MAX, &long),
        ),
        greased(
            "capsule behind an unknown one, and FIN",
            grease,
            peer_closed(7, "bye"),
        ),
        body("bare FIN", Vec::new(), Fin::Yes, peer_finished()).told(&["end"]),
        violates(
            "capsule too short for its code",
            wrong(),
            Violation::TruncatedClose,
        ),
        violates(
            "capsule of 1025 bytes",
            capsule(0, &[b'x'; 1025]),
            Violation::MessageTooLong,
        ),
        violates(
            "capsule that is not UTF-8",
            capsule(0, b"\xff"),
            Violation::MessageNotUtf8,
        ),
        violates(
            "FIN inside a capsule",
            vec![0x68, 0x43, 7, 0],
            Violation::Truncated,
        ),
        Case::new("trailers", Act::Wait, Deed::Trailers, unexpected.into())
            .told(&["Remote error: ApplicationClose: H3_FRAME_UNEXPECTED"]),
        Case::new(
            "RESET_STREAM(0x10c)",
            Act::Wait,
            Deed::Reset(0x10c),
            aborted(AbortedBy::Reset, 0x10c),
        )
        .told(&["reset with 0x170d7b68"]),
        Case::new(
            "STOP_SENDING(0x10c)",
            Act::Wait,
            Deed::Stop(0x10c),
            aborted(AbortedBy::StopSending, 0x10c),
        )
        .told(&["end"]),
        Case::new(
            "RESET_STREAM(0x10c) and STOP_SENDING(0x10c)",
            Act::Wait,
            Deed::ResetAndStop(0x10c),
            aborted(AbortedBy::Reset, 0x10c),
        )
        .told(&["end"]),
        Case::new(
            "CONNECTION_CLOSE(0x10c, \"off\")",
            Act::Wait,
            Deed::CloseConnection(0x10c, "off"),
            closed_with(0x10c, "off").into(),
        )
        .told(&["Remote error: Error undefined by h3: closed"]),
        close(4242, "bye-bye"),
        close(0, ""),
        close(u32::MAX, &long),
        Case::new(
            "we shut down with 8 and \"later\"",
            Act::Shutdown(8, "later"),
            Deed::Wait,
            local(8, "later"),
        )
        .told(&["body hC\\t\\x00\\x00\\x00\\x08later", "end"]),
        answer("FIN from us, then capsule (7, \"bye\")", Act::Fin, "end"),
        answer(
            "RESET_STREAM from us, then capsule (7, \"bye\")",
            Act::Reset(0x10c),
            "reset with 0x10c",
        ),
        Case::new(
            "we close the connection with 0x100 and \"over\"",
            Act::Abort(0x100, "over"),
            Deed::Wait,
            ConnectionLost::Local { code: Some(0x100) }.into(),
        )
        .told(&["Remote error: ApplicationClose: H3_NO_ERROR"]),
        Case::new(
            "the network goes",
            Act::Vanish,
            Deed::Wait,
            ConnectionLost::IdleTimeout.into(),
        )
        .with(|setup| setup.idle = Duration::from_secs(1))
        .told(&["Timeout"]),
        answer(
            "we drain, then capsule (7, \"bye\")",
            Act::Drain,
            "body \\x80\\x00x\\xae\\x00",
        ),
    ]
}
