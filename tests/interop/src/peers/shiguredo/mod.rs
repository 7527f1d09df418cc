//! The crate `shiguredo_http3`: a machine without sockets like ours, and so joined to ours in memory, in
//! `pair`.

mod pair;

use shiguredo_http3::webtransport::DraftVersion;
use webtransport_session::{
    AbortedBy, CloseReason, Deadline, Dialect, Dialects, Endpoint, FlowControl, Side, Violation,
};

use super::{
    Case, aborted, capsule, closed_with,
    guest::{Deed, Fin},
    local,
    ours::Act,
    peer_closed, peer_finished, rejected,
};
use crate::{
    options::Options,
    table::{Section, Table},
};
use pair::play;

pub(crate) fn section(options: &Options) -> anyhow::Result<Section> {
    let name = "shiguredo_http3";
    let mut section = Section::new("shiguredo", name);
    section.version(name, super::version(name));
    section.notes.push(
        "Both machines in one process, without QUIC: what one gives the other takes. Told are its \
         events of sessions. Each case is played with the drafts 02, 07 and 16."
            .into(),
    );
    for (draft, dialect, words) in [
        (DraftVersion::Draft15, Dialect::Draft16, "draft 16"),
        (DraftVersion::Draft07, Dialect::Draft07, "draft 07"),
        (DraftVersion::Draft02, Dialect::Draft02, "draft 02"),
    ] {
        for (side, role) in [(Side::Client, "client"), (Side::Server, "server")] {
            let title = format!("{name} as {role}, {words}");
            let mut table = Table::new(&title, &["what happens", "our application", "the peer's"]);
            for mut case in cases(side, dialect) {
                if options.wants(&case.name) || options.wants(&title) {
                    case.setup.config.dialects = Dialects::only(dialect);
                    let (told, lines) = play(draft, side, &case)?;
                    table.rows.push(case.judge(&told, lines));
                }
            }
            section.tables.push(table);
        }
    }
    Ok(section)
}

/// What comes in a session of ours in a conversation.
const CONVERSED: [&str; 5] = [
    "0: Bi o-bi",
    "0: Bi p-bi",
    "0: Uni p-uni",
    "0: datagram o-datagram",
    "0: datagram p-datagram",
];
/// And in theirs, sorted.
const CONVERSED_THERE: [&str; 6] = [
    "0: closed with 0 \"\"",
    "0: datagram o-datagram",
    "0: datagram p-datagram",
    "Bi o-bi",
    "Bi p-bi",
    "Uni o-uni",
];
const ALIKE: &str = "RESET_STREAM and STOP_SENDING are told as a close with 0 and no message, as a FIN \
    is, and with the same `error_code` (WT_SESSION_GONE); so is the reset of a request that was never \
    answered";
const CLOSED: &str = "0: closed with 0 \"\"";

fn cases(side: Side, dialect: Dialect) -> Vec<Case> {
    let long = "ü".repeat(512);
    let bye = || capsule(7, b"bye");
    let body = |name: &str, data: Vec<u8>, fin, reason| {
        Case::new(name, Act::Wait, Deed::Body(data, fin), reason)
    };
    let violates = |name: &str, data: Vec<u8>, violation: Violation| {
        body(name, data, Fin::Yes, violation.into())
    };
    let close = |code, message: &str| {
        let act = Act::Close(code, message.into());
        let name = match message.len() {
            1024 => "we close with 2^32 - 1 and a message of 1024 bytes".into(),
            _ => format!("we close with {code} and {message:?}"),
        };
        Case::new(name, act, Deed::Wait, local(code, message))
            .told(&[format!("0: closed with {code} {message:?}")])
    };
    // Clients of draft 02 are sent no GOAWAY.
    let mut later = vec!["goaway", "0: closed with 8 \"later\""];
    if (side, dialect) == (Side::Client, Dialect::Draft02) {
        later.remove(0);
    }
    let grease = [&[0x40, 0x5f, 3][..], b"abc", &bye()].concat();
    let forbidden = vec![0x99, 0x0b, 0x4d, 0x3e, 0];
    let mut cases = vec![
        Case::new(
            "streams and datagrams",
            Act::Converse,
            Deed::Converse,
            local(0, ""),
        )
        .notes(&CONVERSED)
        .any_order()
        .told(&CONVERSED_THERE),
        body(
            "E01 capsule (7, \"bye\") and FIN",
            bye(),
            Fin::Yes,
            peer_closed(7, "bye"),
        ),
        body(
            "E01 capsule of 2^32 - 1 and 1024 bytes",
            capsule(u32::MAX, long.as_bytes()),
            Fin::Yes,
            peer_closed(u32::MAX, &long),
        ),
        // Its own close it is not told of, but our FIN.
        body(
            "E02 capsule (7, \"bye\"), no FIN",
            bye(),
            Fin::No,
            peer_closed(7, "bye"),
        )
        .told(&[CLOSED]),
        body("E04 bare FIN", Vec::new(), Fin::Yes, peer_finished()),
        body(
            "E06 capsule behind an unknown one",
            grease,
            Fin::Yes,
            peer_closed(7, "bye"),
        ),
        Case::new(
            "E07 RESET_STREAM(0x10c)",
            Act::Wait,
            Deed::Reset(0x10c),
            aborted(AbortedBy::Reset, 0x10c),
        )
        .told(&[CLOSED])
        .told_wrong(ALIKE),
        Case::new(
            "E08 STOP_SENDING(0x10c)",
            Act::Wait,
            Deed::Stop(0x10c),
            aborted(AbortedBy::StopSending, 0x10c),
        )
        .told(&[CLOSED])
        .told_wrong(ALIKE),
        violates(
            "E20 capsule too short for its code",
            vec![0x68, 0x43, 3, 0, 0, 0],
            Violation::TruncatedClose,
        ),
        violates(
            "E21 capsule of 1025 bytes",
            capsule(0, &[b'x'; 1025]),
            Violation::MessageTooLong,
        ),
        violates(
            "E22 capsule that is not UTF-8",
            capsule(0, b"\xff"),
            Violation::MessageNotUtf8,
        ),
        violates(
            "E23 FIN inside a capsule",
            vec![0x68, 0x43, 7, 0],
            Violation::Truncated,
        ),
        Case::new(
            "E40 CONNECTION_CLOSE(0x10c, \"off\")",
            Act::Wait,
            Deed::CloseConnection(0x10c, "off"),
            closed_with(0x10c, "off").into(),
        ),
        close(4242, "bye-bye"),
        close(0, ""),
        close(u32::MAX, &long),
        Case::new(
            "E64 we shut down with 8 and \"later\"",
            Act::Shutdown(8, "later"),
            Deed::Wait,
            local(8, "later"),
        )
        .told(&later),
        Case::new(
            "N01 we drain, then capsule (7, \"bye\")",
            Act::Drain,
            Deed::Body(bye(), Fin::Yes),
            peer_closed(7, "bye"),
        )
        .told(&["0: draining"]),
        Case::new("FIN from us", Act::Fin, Deed::Wait, peer_finished()).told(&[CLOSED]),
        Case::new(
            "RESET_STREAM from us",
            Act::Reset(0x10c),
            Deed::Wait,
            peer_finished(),
        )
        .told(&[CLOSED])
        .told_wrong(ALIKE),
        Case::new(
            "STOP_SENDING from us",
            Act::Stop(0x10c),
            Deed::Wait,
            peer_finished(),
        )
        .told(&[CLOSED])
        .told_wrong(ALIKE),
    ];
    if dialect == Dialect::Draft16 {
        cases.push(violates(
            "E24 WT_MAX_STREAM_DATA",
            forbidden,
            Violation::ForbiddenCapsule,
        ));
        cases.push(
            Case::new(
                "streams, datagrams and flow control",
                Act::Converse,
                Deed::Converse,
                local(0, ""),
            )
            .with(|setup| setup.config.flow_control = Some(FlowControl::new(64, 1, 1)))
            .notes(&CONVERSED)
            .any_order()
            .told(&CONVERSED_THERE),
        );
    }
    match side {
        Side::Client => cases.extend([
            Case::new(
                "E37 we reject with 403",
                Act::Reject(403),
                Deed::Wait,
                rejected(Endpoint::Local, 403),
            )
            .told(&["0: status 403"]),
            Case::new(
                "E50 we do not answer",
                Act::Withhold,
                Deed::Wait,
                CloseReason::TimedOut(Deadline::Request),
            )
            .told(&[CLOSED])
            .told_wrong(ALIKE),
            Case::new(
                "E36 RESET_STREAM(0x10c) before the answer",
                Act::Withhold,
                Deed::ResetEarly(0x10c),
                CloseReason::Withdrawn { code: Some(0x10c) },
            )
            .told(&[CLOSED])
            .told_wrong(ALIKE),
        ]),
        Side::Server => cases.extend([
            Case::new(
                "E30 it rejects with 403",
                Act::Wait,
                Deed::Reject(403),
                rejected(Endpoint::Peer, 403),
            ),
            Case::new(
                "E50 it does not answer",
                Act::Wait,
                Deed::Withhold,
                CloseReason::TimedOut(Deadline::Request),
            )
            .told(&[CLOSED])
            .told_wrong(ALIKE),
            Case::new(
                "E63 we close before the answer",
                Act::CloseEarly(5),
                Deed::Withhold,
                local(5, ""),
            ),
            Case::new(
                "N02 GOAWAY, then capsule (7, \"bye\")",
                Act::Wait,
                Deed::GoAway(bye()),
                peer_closed(7, "bye"),
            )
            .notes(&["0: draining"]),
        ]),
    }
    cases
}
