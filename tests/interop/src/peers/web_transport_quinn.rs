//! The crate `web-transport-quinn`.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use url::Url;
use web_transport_quinn::{Request, Session as WebTransport};
use webtransport_session::{
    CloseReason, ConnectionLost, Deadline, Endpoint, Http3Error, Side, Violation,
};

use super::{
    CONVERSED, CONVERSED_THERE, Case, both_roles, closed_with,
    guest::{self, Deed, Guest, Invitation, Lines, PATIENCE, Session},
    local,
    ours::{Act, redirect},
    peer_closed, rejected,
};
use crate::{options::Options, table::Section};

const CLOSES: &str = "After the capsule it closes the connection, with the session's code in the \
    range of codes of streams (draft §4.4), where HTTP/3 has H3_NO_ERROR";
const LOCALLY: &str = "Whatever ends a session but a close capsule is told as \"closed\", which is \
    quinn's word for \"closed by us\"";
const LETS_GO: &str = "Letting go of the session ends the control stream with a FIN, in front of what \
    ends the session (RFC 9114 §6.2.1)";
const REJECTS: &str = "`reject` ends the control stream with a FIN, in front of the answer (RFC 9114 \
    §6.2.1)";
const OUTRUN: &str = "`reject` lets go of the connection, if nobody else holds it: its \
    CONNECTION_CLOSE(0) outruns the answer";
const ZERO: &str = "It closes the connection with 0, which is no code of HTTP/3";
const TOO_LONG: &str = "It sends a message of more than 1024 bytes (draft §6)";
const QUARTER: &str = "It takes the session id for the quarter stream id, in both directions: its \
    datagram is of the session 16, which never was, and ours is of none that it knows";
const STOP: &str = "It does not answer STOP_SENDING on the CONNECT stream with RESET_STREAM (RFC \
    9000 §3.5), and does not notice the end";

pub(crate) fn section(options: &Options) -> anyhow::Result<Section> {
    let name = "web-transport-quinn";
    let mut section = Section::new(name, name);
    section.version(name, super::version(name));
    section.notes.push(
        "It carries one session on a connection, and closes the connection after it. What its \
         application is told is what `closed` gives."
            .into(),
    );
    let start = |invitation| Guest::start(invitation, play);
    let tables = both_roles(options, name, client_cases(), server_cases(), &start)?;
    section.tables.extend(tables);
    Ok(section)
}

fn client_cases() -> Vec<Case> {
    let mut cases = common_cases();
    let zero = [closed_with(0, "")];
    let redirected = CloseReason::Rejected {
        by: Endpoint::Local,
        rejection: Box::new(redirect()),
    };
    let status = |status| {
        format!("failed to exchange h3 connect: protocol error: expected 200, got: Some({status})")
    };
    let mut later = Case::new(
        "a session that is not on the first stream, and a datagram each way",
        Act::Datagram,
        Deed::Later,
        peer_closed(0, ""),
    );
    later.reasons = vec![(4, peer_closed(0, ""))];
    cases.extend([
        Case::new(
            "it lets go before the answer",
            Act::Withhold,
            Deed::DropEarly,
            closed_with(0, "").into(),
        )
        .with(|setup| setup.config.deadlines.request = Some(Duration::from_secs(5)))
        .sent_wrong(ZERO),
        Case::new(
            "we reject with 403",
            Act::Reject(403),
            Deed::Wait,
            rejected(Endpoint::Local, 403),
        )
        .connection(&zero)
        .sent_wrong(ZERO)
        .told(&[status(403)]),
        Case::new("we redirect", Act::Redirect, Deed::Wait, redirected)
            .connection(&zero)
            .sent_wrong(ZERO)
            .told(&[status(302)]),
        Case::new(
            "we do not answer",
            Act::Withhold,
            Deed::Wait,
            CloseReason::TimedOut(Deadline::Request),
        )
        .connection(&zero)
        .sent_wrong(ZERO)
        .told(&["failed to exchange h3 connect: protocol error: unexpected end of input"])
        .told_wrong("It takes the reset of its request for the end of the stream"),
        later
            .connection(&closes_or_we_do(0, ""))
            .sent_wrong(QUARTER)
            .told(&[
                "webtransport error: unknown session",
                "connection error: closed",
            ])
            .told_wrong(QUARTER),
    ]);
    cases
}

fn server_cases() -> Vec<Case> {
    let mut cases = common_cases();
    let critical = ConnectionLost::Http3(Http3Error::ClosedCriticalStream);
    cases.extend([
        Case::new(
            "it rejects with 403",
            Act::Wait,
            Deed::Reject(403),
            critical.into(),
        )
        .sent_wrong(REJECTS)
        .told(&["closed by peer: H3_CLOSED_CRITICAL_STREAM (code 260)"]),
        Case::new(
            "it rejects with 404 and lets go",
            Act::Wait,
            Deed::RejectAndDrop(404),
            closed_with(0, "").into(),
        )
        .sent_wrong(OUTRUN),
        Case::new(
            "it does not answer",
            Act::Wait,
            Deed::Withhold,
            CloseReason::TimedOut(Deadline::Request),
        )
        .told(&["closed by peer: 256"]),
        super::second("we ask for a second session")
            .connection(&closes_or_we_do(0, ""))
            .sent_wrong(CLOSES)
            .told(&["webtransport error: closed: code=0 reason="]),
        Case::new(
            "it lets the request go",
            Act::Wait,
            Deed::DropEarly,
            closed_with(0, "").into(),
        )
        .sent_wrong(ZERO),
        Case::new(
            "we close before the answer",
            Act::CloseEarly(5),
            Deed::Withhold,
            local(5, ""),
        )
        .told(&["failed to exchange h3 connect: protocol error: unexpected end of input"]),
    ]);
    cases
}

/// The close of the connection that follows on that of a session.
fn closes(code: u32, reason: &'static str) -> ConnectionLost {
    let code = u64::from(code);
    closed_with(0x52e4_a40f_a8db + code + code / 0x1e, reason)
}

/// It takes 100 ms for it, and so it may come behind our shutdown.
fn closes_or_we_do(code: u32, reason: &'static str) -> [ConnectionLost; 2] {
    [
        closes(code, reason),
        ConnectionLost::Local { code: Some(0x100) },
    ]
}

/// For either role.
fn common_cases() -> Vec<Case> {
    let long = "ü".repeat(512);
    let told = |code: u32, message: &str| {
        format!("webtransport error: closed: code={code} reason={message}")
    };
    let close = |code, message: &'static str| {
        let act = Act::Close(code, message.into());
        let name = format!("we close with {code} and {message:?}");
        Case::new(name, act, Deed::Wait, local(code, message))
            .connection(&closes_or_we_do(code, message))
            .sent_wrong(CLOSES)
            .told(&[told(code, message)])
    };
    // Of the long reason quinn sends as much as there is room for.
    let mut longest = Case::new(
        "we close with 2^32 - 1 and a message of 1024 bytes",
        Act::Close(u32::MAX, long.clone()),
        Deed::Wait,
        local(u32::MAX, &long),
    )
    .sent_wrong(CLOSES)
    .told(&[told(u32::MAX, &long)]);
    let (code, reason) = (0x52e5_ac98_3162, long.into());
    longest.connections[0] = ConnectionLost::PeerApplication { code, reason };
    longest
        .connections
        .push(ConnectionLost::Local { code: Some(0x100) });
    let closes_itself = |name: &str, deed, code, reason| {
        Case::new(name, Act::Wait, deed, reason)
            .connection(&closes_or_we_do(code, ""))
            .sent_wrong(CLOSES)
            .told(&["connection error: closed"])
    };
    let critical = ConnectionLost::Http3(Http3Error::ClosedCriticalStream);
    let seven = || peer_closed(7, "");
    vec![
        Case::new(
            "streams and datagrams",
            Act::Converse,
            Deed::Converse,
            local(0, ""),
        )
        .notes(&CONVERSED)
        .connection(&closes_or_we_do(0, ""))
        .told(&[&CONVERSED_THERE[..], &[&*told(0, "")]].concat()),
        Case::new(
            "streams are aborted",
            Act::AbortStreams,
            Deed::AbortStreams,
            local(0, ""),
        )
        .notes(&[
            "0: Uni done",
            "0: stream reset with Some(73)",
            "0: stream stopped with Some(74)",
        ])
        .connection(&closes_or_we_do(0, ""))
        .told(&[
            "read error: RESET_STREAM: 71",
            "stopped with Some(72)",
            &*told(0, ""),
        ]),
        closes_itself(
            "it closes with 7 and \"bye\"",
            Deed::Close(7, "bye"),
            7,
            peer_closed(7, "bye"),
        ),
        closes_itself(
            "it closes with 0 and \"\"",
            Deed::Close(0, ""),
            0,
            peer_closed(0, ""),
        ),
        closes_itself(
            "it closes with 2^32 - 1 and 1024 bytes",
            Deed::CloseLong(u32::MAX, 1024),
            u32::MAX,
            peer_closed(u32::MAX, &"x".repeat(1024)),
        ),
        closes_itself(
            "it closes with 1025 bytes",
            Deed::CloseLong(0, 1025),
            0,
            Violation::MessageTooLong.into(),
        )
        .sent_wrong(TOO_LONG),
        Case::new("it lets go", Act::Wait, Deed::Drop, critical.into()).sent_wrong(LETS_GO),
        Case::new(
            "it closes the connection with 0x10c and \"off\"",
            Act::Wait,
            Deed::CloseConnection(0x10c, "off"),
            closed_with(0x10c, "off").into(),
        )
        .told(&["connection error: closed"]),
        close(4242, "bye-bye"),
        close(0, ""),
        longest,
        Case::new(
            "we shut down with 8 and \"later\"",
            Act::Shutdown(8, "later"),
            Deed::Wait,
            local(8, "later"),
        )
        .connection(&closes_or_we_do(8, "later"))
        .sent_wrong(CLOSES)
        .told(&[told(8, "later")]),
        Case::new("FIN from us", Act::Fin, Deed::Wait, closes(0, "").into())
            .sent_wrong(CLOSES)
            .told(&["connection error: closed"])
            .told_wrong(LOCALLY),
        Case::new(
            "RESET_STREAM from us",
            Act::Reset(0x10c),
            Deed::Wait,
            closes(0, "").into(),
        )
        .sent_wrong(CLOSES)
        .told(&["connection error: closed"])
        .told_wrong(LOCALLY),
        Case::new(
            "STOP_SENDING from us",
            Act::Stop(0x10c),
            Deed::Wait,
            ConnectionLost::IdleTimeout.into(),
        )
        .with(|setup| setup.idle = Duration::from_secs(1))
        .sent_wrong(STOP)
        .told(&["connection error: closed"])
        .told_wrong(STOP),
        Case::new(
            "we close the connection with 0x100 and \"over\"",
            Act::Abort(0x100, "over"),
            Deed::Wait,
            ConnectionLost::Local { code: Some(0x100) }.into(),
        )
        .told(&["connection error: closed"])
        .told_wrong(LOCALLY),
        Case::new(
            "the network goes",
            Act::Vanish,
            Deed::Wait,
            ConnectionLost::IdleTimeout.into(),
        )
        .with(|setup| setup.idle = Duration::from_secs(1))
        .told(&["connection error: closed"])
        .told_wrong(LOCALLY),
        closes_itself(
            "we drain, then it closes with 7",
            Deed::Close(7, ""),
            7,
            seven(),
        )
        .with(|setup| setup.act = Act::Drain),
        closes_itself(
            "we send GOAWAY, then it closes with 7",
            Deed::Close(7, ""),
            7,
            seven(),
        )
        .with(|setup| setup.act = Act::GoAway),
    ]
}

pub(crate) async fn play(
    endpoint: quinn::Endpoint,
    invitation: Invitation,
    lines: Lines,
) -> anyhow::Result<()> {
    let deed = invitation.deed.clone();
    let connection = guest::connection(&endpoint, &invitation).await?;
    match invitation.side {
        Side::Server => {
            let kept = connection.clone();
            let request = match Request::accept(connection).await {
                Ok(request) => request,
                Err(error) => {
                    lines.tell(chain(&error));
                    return Ok(());
                }
            };
            match deed {
                Deed::Reject(status) => {
                    request.reject(StatusCode::from_u16(status)?).await?;
                    lines.tell(kept.closed().await.to_string());
                }
                Deed::RejectAndDrop(status) => {
                    drop(kept);
                    request.reject(StatusCode::from_u16(status)?).await?;
                }
                Deed::DropEarly => {
                    drop(kept);
                    drop(request);
                }
                Deed::Withhold => {
                    lines.tell(kept.closed().await.to_string());
                    drop(request);
                }
                _ => {
                    drop(kept);
                    match request.ok().await {
                        Ok(session) => with_session(session, &deed, &lines).await?,
                        Err(error) => lines.tell(chain(&error)),
                    }
                }
            }
        }
        Side::Client => {
            if deed == Deed::Later {
                let (mut send, _receive) = connection.open_bi().await?;
                send.reset(0x10c_u32.into())?;
            }
            let url = Url::parse("https://localhost/peers")?;
            let connecting = WebTransport::connect(connection, url);
            if deed == Deed::DropEarly {
                let patience = Duration::from_millis(300);
                let _let_go = tokio::time::timeout(patience, connecting).await;
            } else {
                match connecting.await {
                    Ok(session) => with_session(session, &deed, &lines).await?,
                    Err(error) => lines.tell(chain(&error)),
                }
            }
        }
    }
    // Lets the connection end, which takes at most as long as what is tried.
    let _hangs = tokio::time::timeout(PATIENCE, endpoint.wait_idle()).await;
    Ok(())
}

async fn with_session(session: WebTransport, deed: &Deed, lines: &Lines) -> anyhow::Result<()> {
    // We may have ended it by then: told below.
    let _ended = guest::greet(&session).await;
    let result = match *deed {
        Deed::Close(code, reason) => {
            session.close(code, reason.as_bytes());
            Ok(())
        }
        Deed::CloseLong(code, len) => {
            session.close(code, "x".repeat(len).as_bytes());
            Ok(())
        }
        Deed::CloseConnection(code, reason) => {
            let code = quinn::VarInt::from_u64(code)?;
            (*session).close(code, reason.as_bytes());
            Ok(())
        }
        Deed::Drop => return Ok(()),
        Deed::Converse => guest::converse(&session, lines).await,
        Deed::AbortStreams => guest::abort_streams(&session, lines).await,
        Deed::Later => {
            let result = later(&session).await;
            session.close(0, b"");
            result
        }
        _ => Ok(()),
    };
    if let Err(error) = result {
        lines.tell(error);
    }
    lines.tell(session.closed().await.to_string());
    Ok(())
}

async fn later(session: &WebTransport) -> Result<(), String> {
    Session::send_datagram(session, b"p-datagram").await?;
    let received = Session::next_datagram(session).await?;
    Err(format!("datagram {}", received.escape_ascii()))
}

fn say(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// An error with its causes.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

impl Session for WebTransport {
    async fn send_uni(&self, data: &[u8]) -> Result<(), String> {
        let mut stream = self.open_uni().await.map_err(say)?;
        stream.write_all(data).await.map_err(say)?;
        stream.finish().map_err(say)
    }

    async fn next_uni(&self) -> Result<Vec<u8>, String> {
        let mut stream = self.accept_uni().await.map_err(say)?;
        stream.read_to_end(1024).await.map_err(say)
    }

    async fn ask(&self, data: &[u8]) -> Result<Vec<u8>, String> {
        let (mut send, mut receive) = self.open_bi().await.map_err(say)?;
        send.write_all(data).await.map_err(say)?;
        send.finish().map_err(say)?;
        receive.read_to_end(1024).await.map_err(say)
    }

    async fn answer(&self) -> Result<Vec<u8>, String> {
        let (mut send, mut receive) = self.accept_bi().await.map_err(say)?;
        let data = receive.read_to_end(1024).await.map_err(say)?;
        send.write_all(&data).await.map_err(say)?;
        send.finish().map_err(say)?;
        Ok(data)
    }

    async fn send_datagram(&self, data: &[u8]) -> Result<(), String> {
        Self::send_datagram(self, Bytes::copy_from_slice(data)).map_err(say)
    }

    async fn next_datagram(&self) -> Result<Vec<u8>, String> {
        Ok(self.read_datagram().await.map_err(say)?.to_vec())
    }

    async fn be_aborted(&self, data: &[u8]) -> Result<[String; 2], String> {
        let (mut send, mut receive) = self.open_bi().await.map_err(say)?;
        send.write_all(data).await.map_err(say)?;
        let read = receive.read_to_end(1024).await;
        let read = read.map_or_else(say, |_| "the end".into());
        let stopped = send.stopped().await.map_err(say)?;
        Ok([read, format!("stopped with {stopped:?}")])
    }

    async fn abort(&self) -> Result<(), String> {
        let (mut send, mut receive) = self.accept_bi().await.map_err(say)?;
        send.reset(73).map_err(say)?;
        receive.stop(74).map_err(say)
    }
}
