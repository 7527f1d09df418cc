//! The crate `wtransport`.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::Context as _;
use webtransport_session::{CloseReason, ConnectionLost, Deadline, Endpoint, Side};
use wtransport::{
    Connection, VarInt,
    endpoint::{IncomingSessionFuture, SessionRequest},
};

use super::{
    Case, both_roles, closed_with,
    guest::{self, Deed, Guest, Invitation, Lines, Session},
    local,
    ours::{Act, redirect},
};
use crate::{options::Options, table::Section};

/// What it does with frames of unknown type.
const GOAWAY: &str = "On GOAWAY, a frame that it does not know, it reads on behind the type as if \
    the length were a frame, takes 07 01 00 for HEADERS, and closes the connection with \
    H3_FRAME_UNEXPECTED; which of the two it sees first, capsule or GOAWAY, is chance";
const CLOSED: &str = "`closed` says \"locally closed\" when it was the peer";
const CODES: &str = "Its codes of streams are those on the wire: neither those that it sends nor \
    those that it is given are mapped (draft §4.4)";
const CLOSE: &str = "`close` sends no capsule, but CONNECTION_CLOSE with the application's code as \
    one of HTTP/3 (draft §6)";
const LETS_GO: &str = "Letting go of the session closes the connection with 0, which is no code of \
    HTTP/3";
const STOP: &str = "It does not answer STOP_SENDING on the CONNECT stream with RESET_STREAM (RFC \
    9000 §3.5), and does not notice the end";
const RESET: &str = "It takes the reset of the CONNECT stream for H3_CLOSED_CRITICAL_STREAM, which \
    the CONNECT stream is not (RFC 9114 §6.2.1), and ends the connection";

pub(crate) fn section(options: &Options) -> anyhow::Result<Section> {
    let mut section = Section::new("wtransport", "wtransport");
    section.version("wtransport", super::version("wtransport"));
    section.notes.push(
        "It carries one session on a connection, and closes the connection after it. What its \
         application is told is what waiting for a stream fails with, then what `closed` gives."
            .into(),
    );
    let start = |invitation| Guest::start(invitation, play);
    let tables = both_roles(
        options,
        "wtransport",
        client_cases(),
        server_cases(),
        &start,
    )?;
    section.tables.extend(tables);
    Ok(section)
}

fn client_cases() -> Vec<Case> {
    let mut cases = common_cases();
    let lost = [closed_with(0, "")];
    let rejected = "server rejected WebTransport session request";
    let redirected = CloseReason::Rejected {
        by: Endpoint::Local,
        rejection: Box::new(redirect()),
    };
    cases.extend([
        Case::new(
            "it lets go before the answer",
            Act::Withhold,
            Deed::DropEarly,
            CloseReason::Withdrawn { code: None },
        )
        .connection(&lost)
        .sent_wrong(LETS_GO)
        .with(|setup| setup.config.deadlines.request = Some(Duration::from_secs(5))),
        Case::new(
            "we reject with 403",
            Act::Reject(403),
            Deed::Wait,
            super::rejected(Endpoint::Local, 403),
        )
        .connection(&lost)
        .told(&[rejected]),
        Case::new("we redirect", Act::Redirect, Deed::Wait, redirected)
            .connection(&lost)
            .told(&[rejected]),
        Case::new(
            "we send GOAWAY, then it closes with 7",
            Act::GoAway,
            Deed::Close(7, ""),
            closed_with(7, "").into(),
        )
        .sent_wrong(CLOSE),
        Case::new(
            "we do not answer",
            Act::Withhold,
            Deed::Wait,
            CloseReason::TimedOut(Deadline::Request),
        )
        .connection(&lost)
        .told(&["connection locally closed"])
        .told_wrong("It says \"locally closed\" when its request was reset"),
    ]);
    cases
}

fn server_cases() -> Vec<Case> {
    let mut cases = common_cases();
    let lost = [closed_with(0, "")];
    for status in [403, 404, 429] {
        let reason = super::rejected(Endpoint::Peer, status);
        let name = format!("it rejects with {status}");
        cases.push(Case::new(name, Act::Wait, Deed::Reject(status), reason).connection(&lost));
    }
    let timed_out = CloseReason::TimedOut(Deadline::Request);
    cases.extend([
        Case::new(
            "we send GOAWAY",
            Act::GoAway,
            Deed::Wait,
            closed_with(0x105, "").into(),
        )
        .sent_wrong(GOAWAY)
        .told(&[
            "connection locally aborted: FrameUnexpectedError",
            "connection locally closed",
        ])
        .told_wrong(GOAWAY),
        Case::new("it does not answer", Act::Wait, Deed::Withhold, timed_out),
        super::second("we ask for a second session")
            .connection(&[closed_with(0x100, ""), closed_with(0x105, "")])
            .told(&["connection closed by peer: 0", "connection locally closed"])
            .told(&[
                "connection locally aborted: FrameUnexpectedError",
                "connection locally closed",
            ])
            .told_wrong(GOAWAY),
        Case::new(
            "it lets the request go",
            Act::Wait,
            Deed::DropEarly,
            lost[0].clone().into(),
        )
        .sent_wrong(LETS_GO),
        Case::new(
            "we close before the answer",
            Act::CloseEarly(5),
            Deed::Withhold,
            local(5, ""),
        )
        .told(&["connection closed by peer: 256"]),
    ]);
    cases
}

/// For either role.
fn common_cases() -> Vec<Case> {
    let long = "ü".repeat(512);
    let lost = [closed_with(0x100, "")];
    let locally = "connection locally closed";
    let closed = |text: &str| [format!("connection closed by peer: {text}"), locally.into()];
    let close = |code, message: &str, text: &str| {
        let act = Act::Close(code, message.into());
        let name = match message.len() {
            1024 => "we close with 2^32 - 1 and a message of 1024 bytes".into(),
            _ => format!("we close with {code} and {message:?}"),
        };
        Case::new(name, act, Deed::Wait, local(code, message))
            .connection(&lost)
            .told(&closed(text))
            .told_wrong(CLOSED)
    };
    vec![
        Case::new(
            "streams and datagrams",
            Act::Converse,
            Deed::Converse,
            local(0, ""),
        )
        .notes(&super::CONVERSED)
        .connection(&lost)
        .told(
            &[
                &super::CONVERSED_THERE[..],
                &["connection closed by peer: 0", locally],
            ]
            .concat(),
        )
        .told_wrong(CLOSED),
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
        .connection(&lost)
        .sent_wrong(CODES)
        .told(&[
            "stream reset (code: 91141958510884)",
            "stream stopped (code: 91141958510885)",
            "connection closed by peer: 0",
            locally,
        ])
        .told_wrong(CODES),
        Case::new(
            "it closes with 7 and \"bye\"",
            Act::Wait,
            Deed::Close(7, "bye"),
            closed_with(7, "bye").into(),
        )
        .sent_wrong(CLOSE),
        Case::new(
            "it lets go",
            Act::Wait,
            Deed::Drop,
            closed_with(0, "").into(),
        )
        .sent_wrong(LETS_GO),
        close(4242, "bye-bye", "bye-bye (code 4242)"),
        close(0, "", "0"),
        close(u32::MAX, &long, &format!("{long} (code 4294967295)")),
        Case::new(
            "we shut down with 8 and \"later\"",
            Act::Shutdown(8, "later"),
            Deed::Wait,
            local(8, "later"),
        )
        .connection(&[closed_with(0x100, ""), closed_with(0x105, "")])
        .told(&closed("later (code 8)"))
        .told(&["connection locally aborted: FrameUnexpectedError", locally])
        .told_wrong(GOAWAY),
        Case::new(
            "FIN from us",
            Act::Fin,
            Deed::Wait,
            closed_with(0x100, "").into(),
        )
        .told(&closed("0"))
        .told_wrong(CLOSED),
        Case::new(
            "RESET_STREAM from us",
            Act::Reset(0x10c),
            Deed::Wait,
            closed_with(0x104, "").into(),
        )
        .sent_wrong(RESET)
        .told(&[
            "connection locally aborted: ClosedCriticalStreamError",
            locally,
        ])
        .told_wrong(RESET),
        Case::new(
            "STOP_SENDING from us",
            Act::Stop(0x10c),
            Deed::Wait,
            ConnectionLost::IdleTimeout.into(),
        )
        .with(|setup| setup.idle = Duration::from_secs(1))
        .sent_wrong(STOP)
        .told(&["connection timed out"; 2])
        .told_wrong(STOP),
        Case::new(
            "we close the connection with 0x100 and \"over\"",
            Act::Abort(0x100, "over"),
            Deed::Wait,
            ConnectionLost::Local { code: Some(0x100) }.into(),
        )
        .told(&["connection closed by peer: over (code 256)"; 2]),
        Case::new(
            "the network goes",
            Act::Vanish,
            Deed::Wait,
            ConnectionLost::IdleTimeout.into(),
        )
        .with(|setup| setup.idle = Duration::from_secs(1))
        .told(&["connection timed out"; 2]),
        Case::new(
            "we drain, then it closes with 7",
            Act::Drain,
            Deed::Close(7, ""),
            closed_with(7, "").into(),
        )
        .sent_wrong(CLOSE),
    ]
}

async fn play(
    endpoint: quinn::Endpoint,
    invitation: Invitation,
    lines: Lines,
) -> anyhow::Result<()> {
    match invitation.side {
        Side::Server => {
            let incoming = endpoint.accept().await.context("no connection comes")?;
            let request = IncomingSessionFuture::with_quic_incoming(incoming).await?;
            answer(request, &invitation.deed, &lines).await?;
            endpoint.wait_idle().await;
        }
        Side::Client => {
            drop(endpoint);
            let config = wtransport::ClientConfig::builder()
                .with_bind_address((Ipv4Addr::LOCALHOST, 0).into())
                .build_with_quic_config(invitation.identity.client(invitation.idle)?);
            let endpoint = wtransport::Endpoint::client(config)?;
            let server = invitation.server.context("there is no server")?;
            let connecting = endpoint.connect(format!("https://{server}/peers"));
            if invitation.deed == Deed::DropEarly {
                let patience = Duration::from_millis(300);
                let _let_go = tokio::time::timeout(patience, connecting).await;
            } else {
                match connecting.await {
                    Ok(connection) => with_session(connection, &invitation.deed, &lines).await?,
                    Err(error) => lines.tell(error.to_string()),
                }
            }
            endpoint.wait_idle().await;
        }
    }
    Ok(())
}

async fn answer(request: SessionRequest, deed: &Deed, lines: &Lines) -> anyhow::Result<()> {
    match deed {
        Deed::Reject(403) => request.forbidden().await,
        Deed::Reject(404) => request.not_found().await,
        Deed::Reject(429) => request.too_many_requests().await,
        Deed::DropEarly => drop(request),
        Deed::Withhold => {
            tokio::time::sleep(Duration::from_millis(2500)).await;
            drop(request);
        }
        _ => match request.accept().await {
            Ok(connection) => with_session(connection, deed, lines).await?,
            Err(error) => lines.tell(error.to_string()),
        },
    }
    Ok(())
}

async fn with_session(connection: Connection, deed: &Deed, lines: &Lines) -> anyhow::Result<()> {
    // We may have ended it by then: told below.
    let _ended = guest::greet(&connection).await;
    let result = match *deed {
        Deed::Close(code, reason) => {
            connection.close(VarInt::from_u32(code), reason.as_bytes());
            return Ok(());
        }
        Deed::Drop => return Ok(()),
        Deed::Converse => guest::converse(&connection, lines).await,
        Deed::AbortStreams => guest::abort_streams(&connection, lines).await,
        _ => Ok(()),
    };
    if let Err(error) = result {
        lines.tell(error);
    }
    // What its application is told: by whatever it waits for, and by `closed`.
    let by_stream = connection.accept_bi().await.err();
    lines.tell(by_stream.map_or("a stream".into(), |error| error.to_string()));
    lines.tell(connection.closed().await.to_string());
    Ok(())
}

fn say(error: impl std::fmt::Display) -> String {
    error.to_string()
}

async fn read(stream: &mut wtransport::RecvStream) -> Result<Vec<u8>, String> {
    let mut all = Vec::new();
    let mut buffer = [0; 1024];
    while let Some(len) = stream.read(&mut buffer).await.map_err(say)? {
        all.extend_from_slice(&buffer[..len]);
    }
    Ok(all)
}

impl Session for Connection {
    async fn send_uni(&self, data: &[u8]) -> Result<(), String> {
        let mut stream = self.open_uni().await.map_err(say)?.await.map_err(say)?;
        stream.write_all(data).await.map_err(say)?;
        stream.finish().await.map_err(say)
    }

    async fn next_uni(&self) -> Result<Vec<u8>, String> {
        read(&mut self.accept_uni().await.map_err(say)?).await
    }

    async fn ask(&self, data: &[u8]) -> Result<Vec<u8>, String> {
        let stream = self.open_bi().await.map_err(say)?.await.map_err(say)?;
        let (mut send, mut receive) = stream;
        send.write_all(data).await.map_err(say)?;
        send.finish().await.map_err(say)?;
        read(&mut receive).await
    }

    async fn answer(&self) -> Result<Vec<u8>, String> {
        let (mut send, mut receive) = self.accept_bi().await.map_err(say)?;
        let data = read(&mut receive).await?;
        send.write_all(&data).await.map_err(say)?;
        send.finish().await.map_err(say)?;
        Ok(data)
    }

    async fn send_datagram(&self, data: &[u8]) -> Result<(), String> {
        Self::send_datagram(self, data).map_err(say)
    }

    async fn next_datagram(&self) -> Result<Vec<u8>, String> {
        let datagram = self.receive_datagram().await.map_err(say)?;
        Ok(datagram.payload().to_vec())
    }

    async fn be_aborted(&self, data: &[u8]) -> Result<[String; 2], String> {
        let stream = self.open_bi().await.map_err(say)?.await.map_err(say)?;
        let (mut send, mut receive) = stream;
        send.write_all(data).await.map_err(say)?;
        let read = read(&mut receive).await;
        let read = read.map_or_else(|error| error, |_| "the end".into());
        Ok([read, send.stopped().await.to_string()])
    }

    async fn abort(&self) -> Result<(), String> {
        let (mut send, receive) = self.accept_bi().await.map_err(say)?;
        send.reset(VarInt::from_u32(73)).map_err(say)?;
        receive.stop(VarInt::from_u32(74));
        Ok(())
    }
}
