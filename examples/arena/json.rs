//! What the server notices, as one JSON object a line.

use std::io::{self, Write};

use serde::Serialize;
use webtransport_session::{CloseReason, CloseVia, ConnectionLost, SessionId};

use crate::{
    clock,
    server::{Fact, Report},
};

/// One event of a session, or the end of its connection.
#[derive(Serialize)]
struct Line<'a> {
    /// Nanoseconds of CLOCK_MONOTONIC.
    t: u64,
    conn: u64,
    /// `null` for the end of the connection.
    session: Option<u64>,
    event: &'static str,
    #[serde(flatten)]
    details: Details<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Details<'a> {
    Requested {
        path: &'a str,
        origin: Option<String>,
    },
    Opened {},
    Ended {
        label: &'static str,
        reason: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        via: Option<&'static str>,
    },
}

/// Writes what the server noticed just now.
pub(crate) fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let number = |session: &SessionId| Some(u64::from(session.connect_stream()));
    let (event, session, details) = match &report.fact {
        Fact::Requested { session, request } => {
            let path = request.uri.path_and_query();
            let path = path.map_or("/", |path| path.as_str());
            let origin = request.origin.as_ref();
            let origin = origin.map(|origin| String::from_utf8_lossy(origin.as_bytes()).into());
            let details = Details::Requested { path, origin };
            ("requested", number(session), details)
        }
        Fact::Opened { session, .. } => ("opened", number(session), Details::Opened {}),
        Fact::Closed {
            session, reason, ..
        } => ("closed", number(session), end_of_session(reason)),
        Fact::ConnectionClosed { reason } => ("connection_closed", None, end_of_connection(reason)),
    };
    let line = Line {
        t: clock::shared_nanoseconds(),
        conn: report.conn,
        session,
        event,
        details,
    };
    writeln!(out, "{}", serde_json::to_string(&line)?)
}

fn end_of_session(reason: &CloseReason) -> Details<'static> {
    let (code, message, via) = match reason {
        CloseReason::Peer { code, message, via } => {
            let via = match via {
                CloseVia::Capsule => "capsule",
                CloseVia::Fin => "fin",
            };
            (Some(u64::from(*code)), Some(message.as_str()), Some(via))
        }
        CloseReason::Local { code, message } => {
            (Some(u64::from(*code)), Some(message.as_str()), None)
        }
        CloseReason::Aborted { code, .. } => (Some(*code), None, None),
        CloseReason::Withdrawn { code } => (*code, None, None),
        CloseReason::ConnectionLost(lost) => {
            let (code, message) = code_and_message(lost);
            return ended(reason.label(), reason, code, message, None);
        }
        CloseReason::Rejected { .. } | CloseReason::Violation(_) | CloseReason::TimedOut(_) => {
            (None, None, None)
        }
    };
    ended(
        reason.label(),
        reason,
        code,
        message.map(str::to_owned),
        via,
    )
}

fn end_of_connection(reason: &ConnectionLost) -> Details<'static> {
    let (code, message) = code_and_message(reason);
    ended(reason.label(), reason, code, message, None)
}

fn code_and_message(lost: &ConnectionLost) -> (Option<u64>, Option<String>) {
    match lost {
        ConnectionLost::PeerApplication { code, reason }
        | ConnectionLost::PeerTransport { code, reason }
        | ConnectionLost::LocalTransport { code, reason } => {
            let message = String::from_utf8_lossy(reason).into_owned();
            (Some(*code), Some(message))
        }
        ConnectionLost::Local { code } => (*code, None),
        ConnectionLost::Http3(error) => (Some(error.code()), None),
        ConnectionLost::IdleTimeout
        | ConnectionLost::StatelessReset
        | ConnectionLost::HandshakeFailed
        | ConnectionLost::VersionMismatch
        | ConnectionLost::Unknown => (None, None),
    }
}

fn ended(
    label: &'static str,
    reason: &impl ToString,
    code: Option<u64>,
    message: Option<String>,
    via: Option<&'static str>,
) -> Details<'static> {
    Details::Ended {
        label,
        reason: reason.to_string(),
        code,
        message,
        via,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use webtransport_session::{Request, StreamId};

    use super::*;

    fn written(fact: Fact) -> Value {
        let report = Report {
            at: clock::now(),
            conn: 3,
            fact,
        };
        let mut line = Vec::new();
        write(&mut line, &report).unwrap();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let mut line: Value = serde_json::from_slice(&line).unwrap();
        let t = line.as_object_mut().unwrap().remove("t").unwrap();
        assert!(t.is_u64());
        line
    }

    fn session() -> SessionId {
        SessionId::try_from(StreamId::from(4)).unwrap()
    }

    fn closed(reason: CloseReason) -> Value {
        written(Fact::Closed {
            session: session(),
            reason,
            departure: None,
        })
    }

    #[test]
    fn a_request_has_its_path_and_origin() {
        let request = Request::new("https://localhost/arena?way=x".parse().unwrap());
        let line = written(Fact::Requested {
            session: session(),
            request: Box::new(request),
        });
        let expected = json!({
            "conn": 3, "session": 4, "event": "requested", "path": "/arena?way=x", "origin": null,
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn an_end_has_what_its_reason_has() {
        let line = closed(CloseReason::Peer {
            code: 7,
            message: "a\nb".into(),
            via: CloseVia::Capsule,
        });
        let expected = json!({
            "conn": 3, "session": 4, "event": "closed", "label": "peer-close",
            "reason": "closed by the peer with code 7: \"a\\nb\"",
            "code": 7, "message": "a\nb", "via": "capsule",
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn an_end_has_nothing_that_its_reason_has_not() {
        let line = closed(CloseReason::ConnectionLost(ConnectionLost::IdleTimeout));
        let expected = json!({
            "conn": 3, "session": 4, "event": "closed", "label": "idle-timeout",
            "reason": "connection lost: QUIC idle timeout",
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn the_end_of_a_connection_has_no_session() {
        let line = written(Fact::ConnectionClosed {
            reason: ConnectionLost::PeerApplication {
                code: 0x100,
                reason: "bye".into(),
            },
        });
        let expected = json!({
            "conn": 3, "session": null, "event": "connection_closed",
            "label": "peer-connection-close",
            "reason": "closed by the peer with code 0x100: \"bye\"",
            "code": 256, "message": "bye",
        });
        assert_eq!(line, expected);
    }
}
