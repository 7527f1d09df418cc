use http::StatusCode;

use super::*;
use crate::wire::error_code::{H3_REQUEST_CANCELLED, H3_REQUEST_REJECTED, WT_SESSION_GONE};

fn rejected(by: Endpoint) -> CloseReason {
    CloseReason::Rejected {
        by,
        rejection: Box::new(StatusCode::NOT_FOUND.into()),
    }
}

fn aborted(by: AbortedBy, code: u64) -> CloseReason {
    CloseReason::Aborted { by, code }
}

/// One of each kind that has a word of its own.
fn reasons() -> Vec<CloseReason> {
    let message = CloseMessage::from("bye\n\"now\"");
    vec![
        CloseReason::Peer {
            code: 7,
            message: message.clone(),
            via: CloseVia::Capsule,
        },
        CloseReason::Peer {
            code: 0,
            message: "".into(),
            via: CloseVia::Fin,
        },
        CloseReason::Local { code: 7, message },
        aborted(AbortedBy::Reset, H3_REQUEST_CANCELLED),
        aborted(AbortedBy::StopSending, WT_SESSION_GONE),
        aborted(AbortedBy::GoAway, H3_REQUEST_REJECTED),
        rejected(Endpoint::Peer),
        rejected(Endpoint::Local),
        CloseReason::Withdrawn { code: None },
        CloseReason::Withdrawn {
            code: Some(H3_REQUEST_CANCELLED),
        },
        CloseReason::Violation(Violation::MessageTooLong),
        CloseReason::TimedOut(Deadline::Request),
        CloseReason::TimedOut(Deadline::Inactivity),
        CloseReason::ConnectionLost(ConnectionLost::PeerApplication {
            code: 0x100,
            reason: "".into(),
        }),
        CloseReason::ConnectionLost(ConnectionLost::Local { code: Some(0x100) }),
        CloseReason::ConnectionLost(ConnectionLost::IdleTimeout),
    ]
}

#[test]
fn each_reason_has_its_word_origin_and_line() {
    let table: Vec<_> = reasons()
        .iter()
        .map(|reason| format!("{} {:?}: {reason}", reason.label(), reason.origin()))
        .collect();
    insta::assert_snapshot!(table.join("\n"), @r#"
    peer-close Peer: closed by the peer with code 7: "bye\n\"now\""
    peer-fin Peer: closed by the peer with a bare FIN
    local-close Local: closed by us with code 7: "bye\n\"now\""
    peer-reset Peer: the peer reset the CONNECT stream with code 0x10c
    peer-stop Peer: the peer stopped reading the CONNECT stream with code 0x170d7b68
    go-away Peer: the server is going away and did not process the request
    rejected-by-peer Peer: rejected by the server with status 404
    rejected-by-us Local: rejected by us with status 404
    withdrawn Peer: withdrawn by the client before the answer with a FIN
    withdrawn Peer: withdrawn by the client before the answer with code 0x10c
    violation Peer: the peer broke a rule: close message longer than 1024 bytes (draft §6)
    request-timeout Local: the request was not answered in time
    inactivity Network: nothing was received from the peer for too long
    peer-connection-close Peer: connection lost: closed by the peer with code 0x100
    local-connection-close Local: connection lost: closed by us with code 0x100
    idle-timeout Network: connection lost: QUIC idle timeout
    "#);
}

#[test]
fn e03_e04_a_bare_fin_is_the_same_as_an_empty_capsule_to_an_application() {
    // §6: "Cleanly terminating a CONNECT stream without a WT_CLOSE_SESSION capsule SHALL be
    // semantically equivalent to terminating it with a WT_CLOSE_SESSION capsule that has an
    // error code of 0 and an empty error string."
    let by = |via| CloseReason::Peer {
        code: 0,
        message: "".into(),
        via,
    };
    assert_eq!(by(CloseVia::Fin).application_close(), Some((0, "")));
    assert_eq!(by(CloseVia::Capsule).application_close(), Some((0, "")));
    assert_eq!(
        by(CloseVia::Capsule).to_string(),
        "closed by the peer with code 0"
    );
}

#[test]
fn only_a_close_in_order_is_clean_and_carries_an_applications_code() {
    for reason in reasons() {
        let clean = matches!(reason, CloseReason::Peer { .. } | CloseReason::Local { .. });
        assert_eq!(reason.is_clean(), clean, "{reason}");
        assert_eq!(reason.application_close().is_some(), clean, "{reason}");
    }
}

#[test]
fn e33_e35_a_request_may_be_tried_again_only_if_it_was_not_processed() {
    assert!(aborted(AbortedBy::GoAway, H3_REQUEST_REJECTED).is_retryable());
    assert!(aborted(AbortedBy::Reset, H3_REQUEST_REJECTED).is_retryable());
    assert!(!aborted(AbortedBy::Reset, H3_REQUEST_CANCELLED).is_retryable());
    assert!(!aborted(AbortedBy::StopSending, H3_REQUEST_REJECTED).is_retryable());
    let others = reasons()
        .into_iter()
        .filter(|reason| reason.label() != "go-away");
    assert_eq!(others.filter(CloseReason::is_retryable).count(), 0);
}

#[test]
fn a_line_stays_one_line_whatever_the_peer_says() {
    let text = "a\nb\r\u{85}\u{2028}\u{1b}[0m";
    let reasons = [
        CloseReason::Peer {
            code: 1,
            message: text.into(),
            via: CloseVia::Capsule,
        },
        CloseReason::ConnectionLost(ConnectionLost::PeerTransport {
            code: 1,
            reason: text.into(),
        }),
    ];
    for reason in reasons {
        let line = reason.to_string();
        assert!(
            !line.contains(|c: char| c.is_control() || c == '\u{2028}'),
            "{line:?}"
        );
    }
}
