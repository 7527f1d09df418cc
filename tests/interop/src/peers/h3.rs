//! The crates `h3` and `h3-quinn`: as a server with `h3-webtransport`, and in both roles alone, with
//! the capsules written by hand.

use std::time::Duration;

use anyhow::Context as _;
use bytes::{Buf as _, Bytes};
use h3::{
    error::{Code, ConnectionError, StreamError},
    ext::Protocol,
    quic::{RecvStream as _, SendStream as _},
};
use h3_datagram::datagram::Datagram;
use h3_webtransport::server::{AcceptedBi, WebTransportSession};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use webtransport_session::{
    AbortedBy, CloseReason, ConnectionLost, Deadline, Endpoint, Http3Error, Side, Violation,
};

use super::{
    CONVERSED, CONVERSED_THERE, Case, aborted, capsule, closed_with,
    guest::{self, Deed, Fin, Guest, Invitation, Lines, PATIENCE, Session},
    local,
    ours::{Act, READY, redirect},
    peer_closed, peer_finished, rejected, table,
};
use crate::{options::Options, table::Section};

type Quic = h3_quinn::Connection;
type WebTransport = WebTransportSession<Quic, Bytes>;

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
    let web_transport = |invitation| Guest::start(invitation, play);
    let alone = |invitation| Guest::start(invitation, play_alone);
    let server = Side::Server;
    let title = "h3-webtransport as server";
    section
        .tables
        .push(table(options, title, server, web_transport_cases(), &web_transport)?);
    for (side, title, cases) in [
        (Side::Client, "h3 alone as client", client_cases()),
        (Side::Server, "h3 alone as server", server_cases()),
    ] {
        section
            .tables
            .push(table(options, title, side, cases, &alone)?);
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
const LETS_GO: &str = "A client that is let go closes the connection with 0, which is no code of HTTP/3";
const ENDED: &str = "Connection was closed by the server";

fn web_transport_cases() -> Vec<Case> {
    vec![
        Case::new("streams and datagrams", Act::Converse, Deed::Converse, local(0, ""))
            .notes(&CONVERSED)
            .told(&[&CONVERSED_THERE[..], &[SHUT]].concat())
            .told_wrong(UNREAD),
        Case::new("streams are aborted", Act::AbortStreams, Deed::AbortStreams, local(0, ""))
            .notes(&["0: Uni done", "0: stream reset with None", "0: stream stopped with None"])
            .sent_wrong(CODES)
            .told(&["StreamClosed: 0x52e4a40fa8e6", "StreamClosed: 0x52e4a40fa8e7", SHUT])
            .told_wrong(CODES),
        Case::new("it lets go", Act::Wait, Deed::Drop, closed_with(0x100, ENDED).into()),
        Case::new("it closes the connection with 0x10c and \"off\"", Act::Wait, Deed::CloseConnection(0x10c, "off"), closed_with(0x10c, "off").into()),
        Case::new("we close with 4242 and \"bye-bye\"", Act::Close(4242, "bye-bye".into()), Deed::Wait, local(4242, "bye-bye"))
            .told(&[SHUT])
            .told_wrong(UNREAD),
        Case::new("FIN from us", Act::Fin, Deed::Wait, ConnectionLost::IdleTimeout.into())
            .with(|setup| setup.idle = Duration::from_secs(1))
            .sent_wrong(UNREAD)
            .told(&["Connection error: Timeout"])
            .told_wrong(UNREAD),
        Case::new("we close the connection with 0x100 and \"over\"", Act::Abort(0x100, "over"), Deed::Wait, ConnectionLost::Local { code: 0x100 }.into())
            .told(&[SHUT]),
        Case::new("the network goes", Act::Vanish, Deed::Wait, ConnectionLost::IdleTimeout.into())
            .with(|setup| setup.idle = Duration::from_secs(1))
            .told(&["Connection error: Timeout"]),
        Case::new("two sessions, and a datagram in each", Act::Second, Deed::Later, closed_with(0x100, ENDED).into())
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
        Case::new("it lets go", Act::Wait, Deed::Drop, closed_with(0, "").into()).sent_wrong(LETS_GO),
        Case::new("it lets go before the answer", Act::Withhold, Deed::DropEarly, closed_with(0, "").into())
            .with(|setup| setup.config.deadlines.request = Some(Duration::from_secs(5)))
            .sent_wrong(LETS_GO),
        Case::new("RESET_STREAM(0x10c) before the answer", Act::Withhold, Deed::ResetEarly(0x10c), withdrawn(Some(0x10c))),
        Case::new("STOP_SENDING(0x10c) before the answer", Act::Withhold, Deed::StopEarly(0x10c), withdrawn(Some(0x10c))),
        Case::new("FIN before the answer", Act::Withhold, Deed::FinEarly, withdrawn(None)),
        Case::new("we reject with 403", Act::Reject(403), Deed::Wait, rejected(Endpoint::Local, 403)).told(&["403"]),
        Case::new("we redirect", Act::Redirect, Deed::Wait, redirected).told(&["302"]),
        Case::new("we do not answer", Act::Withhold, Deed::Wait, CloseReason::TimedOut(Deadline::Request))
            .told(&["reset with 0x10c"]),
    ]);
    cases
}

fn server_cases() -> Vec<Case> {
    let mut cases = common_cases();
    cases.extend([
        Case::new("it lets go", Act::Wait, Deed::Drop, closed_with(0x100, ENDED).into()),
        Case::new("it rejects with 403", Act::Wait, Deed::Reject(403), rejected(Endpoint::Peer, 403)),
        Case::new("it rejects with 503", Act::Wait, Deed::Reject(503), rejected(Endpoint::Peer, 503)),
        Case::new("RESET_STREAM(H3_REQUEST_REJECTED) for an answer", Act::Wait, Deed::ResetEarly(0x10b), aborted(AbortedBy::Reset, 0x10b)),
        Case::new("FIN for an answer", Act::Wait, Deed::FinEarly, Violation::MalformedResponse.into()),
        Case::new("it does not answer", Act::Wait, Deed::Withhold, CloseReason::TimedOut(Deadline::Request)),
        Case::new("it lets the request go", Act::Wait, Deed::DropEarly, closed_with(0x100, ENDED).into()),
        Case::new("we close before the answer", Act::CloseEarly(5), Deed::Withhold, local(5, ""))
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
        body("capsule (7, \"bye\"), no FIN", bye(), Fin::No, peer_closed(7, "bye")).told(&["end"]),
        greased("capsule (0, \"\") and FIN", capsule(0, b""), peer_closed(0, "")),
        greased("capsule of 1024 bytes and FIN", capsule(u32::MAX, long.as_bytes()), peer_closed(u32::MAX, &long)),
        greased("capsule behind an unknown one, and FIN", grease, peer_closed(7, "bye")),
        body("bare FIN", Vec::new(), Fin::Yes, peer_finished()).told(&["end"]),
        violates("capsule too short for its code", wrong(), Violation::TruncatedClose),
        violates("capsule of 1025 bytes", capsule(0, &[b'x'; 1025]), Violation::MessageTooLong),
        violates("capsule that is not UTF-8", capsule(0, b"\xff"), Violation::MessageNotUtf8),
        violates("FIN inside a capsule", vec![0x68, 0x43, 7, 0], Violation::Truncated),
        Case::new("trailers", Act::Wait, Deed::Trailers, unexpected.into())
            .told(&["Remote error: ApplicationClose: H3_FRAME_UNEXPECTED"]),
        Case::new("RESET_STREAM(0x10c)", Act::Wait, Deed::Reset(0x10c), aborted(AbortedBy::Reset, 0x10c))
            .told(&["reset with 0x170d7b68"]),
        Case::new("STOP_SENDING(0x10c)", Act::Wait, Deed::Stop(0x10c), aborted(AbortedBy::StopSending, 0x10c))
            .told(&["end"]),
        Case::new("RESET_STREAM(0x10c) and STOP_SENDING(0x10c)", Act::Wait, Deed::ResetAndStop(0x10c), aborted(AbortedBy::Reset, 0x10c))
            .told(&["end"]),
        Case::new("CONNECTION_CLOSE(0x10c, \"off\")", Act::Wait, Deed::CloseConnection(0x10c, "off"), closed_with(0x10c, "off").into())
            .told(&["Remote error: Error undefined by h3: closed"]),
        close(4242, "bye-bye"),
        close(0, ""),
        close(u32::MAX, &long),
        Case::new("we shut down with 8 and \"later\"", Act::Shutdown(8, "later"), Deed::Wait, local(8, "later"))
            .told(&["body hC\\t\\x00\\x00\\x00\\x08later", "end"]),
        answer("FIN from us, then capsule (7, \"bye\")", Act::Fin, "end"),
        answer("RESET_STREAM from us, then capsule (7, \"bye\")", Act::Reset(0x10c), "reset with 0x10c"),
        Case::new("we close the connection with 0x100 and \"over\"", Act::Abort(0x100, "over"), Deed::Wait, ConnectionLost::Local { code: 0x100 }.into())
            .told(&["Remote error: ApplicationClose: H3_NO_ERROR"]),
        Case::new("the network goes", Act::Vanish, Deed::Wait, ConnectionLost::IdleTimeout.into())
            .with(|setup| setup.idle = Duration::from_secs(1))
            .told(&["Timeout"]),
        answer("we drain, then capsule (7, \"bye\")", Act::Drain, "body \\x80\\x00x\\xae\\x00"),
    ]
}

// ---- with h3-webtransport

async fn play(
    endpoint: quinn::Endpoint,
    invitation: Invitation,
    lines: Lines,
) -> anyhow::Result<()> {
    let quic = guest::connection(&endpoint, &invitation).await?;
    let mut builder = h3::server::builder();
    builder
        .enable_webtransport(true)
        .enable_extended_connect(true)
        .enable_datagram(true)
        .max_webtransport_sessions(2);
    let mut server = builder.build::<_, Bytes>(Quic::new(quic.clone())).await?;
    let request = server.accept().await?.context("no request comes")?;
    let (request, stream) = request.resolve_request().await?;
    let session = WebTransport::accept(request, stream, server).await?;
    with_session(&session, &quic, &invitation.deed, &lines).await?;
    drop(session);
    drop(quic);
    let _hangs = tokio::time::timeout(PATIENCE, endpoint.wait_idle()).await;
    Ok(())
}

async fn with_session(
    session: &WebTransport,
    quic: &quinn::Connection,
    deed: &Deed,
    lines: &Lines,
) -> anyhow::Result<()> {
    let _ended = guest::greet(session).await;
    let result = match *deed {
        Deed::Drop => return Ok(()),
        Deed::CloseConnection(code, reason) => {
            quic.close(quinn::VarInt::from_u64(code)?, reason.as_bytes());
            return Ok(());
        }
        Deed::Converse => guest::converse(session, lines).await,
        Deed::AbortStreams => guest::abort_streams(session, lines).await,
        Deed::Later => two_sessions(session, quic).await,
        _ => Ok(()),
    };
    if let Err(error) = result {
        lines.tell(error);
    }
    if *deed == Deed::Later {
        return Ok(());
    }
    match session.accept_bi().await {
        Ok(Some(_)) => lines.tell("a stream"),
        Ok(None) => lines.tell("no more streams"),
        Err(error) => lines.tell(say(error)),
    }
    Ok(())
}

/// Takes a second session, and sends a datagram in each.
async fn two_sessions(session: &WebTransport, quic: &quinn::Connection) -> Result<(), String> {
    let Some(AcceptedBi::Request(_, mut stream)) = session.accept_bi().await.map_err(say)? else {
        return Err("no second request".into());
    };
    stream.send_response(Response::new(())).await.map_err(say)?;
    session.send_datagram(b"p-1").await?;
    // The same sender, with the other id.
    quic.send_datagram({
        let datagram = Datagram::new(stream.id(), Bytes::from_static(b"p-2"));
        let mut encoded = datagram.encode();
        encoded.copy_to_bytes(encoded.remaining())
    })
    .map_err(say)?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    Ok(())
}

fn say(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Session for WebTransport {
    async fn send_uni(&self, data: &[u8]) -> Result<(), String> {
        let mut stream = self.open_uni(self.session_id()).await.map_err(say)?;
        stream.write_all(data).await.map_err(say)?;
        stream.shutdown().await.map_err(say)
    }

    async fn next_uni(&self) -> Result<Vec<u8>, String> {
        let stream = self.accept_uni().await.map_err(say)?;
        let (_, mut stream) = stream.ok_or("no more streams")?;
        let mut data = Vec::new();
        stream.read_to_end(&mut data).await.map_err(say)?;
        Ok(data)
    }

    async fn ask(&self, data: &[u8]) -> Result<Vec<u8>, String> {
        let mut stream = self.open_bi(self.session_id()).await.map_err(say)?;
        stream.write_all(data).await.map_err(say)?;
        stream.shutdown().await.map_err(say)?;
        let mut data = Vec::new();
        stream.read_to_end(&mut data).await.map_err(say)?;
        Ok(data)
    }

    async fn answer(&self) -> Result<Vec<u8>, String> {
        let Some(AcceptedBi::BidiStream(_, mut stream)) = self.accept_bi().await.map_err(say)?
        else {
            return Err("no stream".into());
        };
        let mut data = Vec::new();
        stream.read_to_end(&mut data).await.map_err(say)?;
        stream.write_all(&data).await.map_err(say)?;
        stream.shutdown().await.map_err(say)?;
        Ok(data)
    }

    async fn send_datagram(&self, data: &[u8]) -> Result<(), String> {
        let data = Bytes::copy_from_slice(data);
        self.datagram_sender().send_datagram(data).map_err(say)
    }

    async fn next_datagram(&self) -> Result<Vec<u8>, String> {
        let datagram = self.datagram_reader().read_datagram().await.map_err(say)?;
        Ok(datagram.into_payload().to_vec())
    }

    async fn be_aborted(&self, data: &[u8]) -> Result<[String; 2], String> {
        let mut stream = self.open_bi(self.session_id()).await.map_err(say)?;
        stream.write_all(data).await.map_err(say)?;
        let read = stream.read_to_end(&mut Vec::new()).await;
        let read = read.map_or_else(say, |_| "the end".into());
        let write = stream.write_all(b"more").await;
        Ok([read, write.map_or_else(say, |()| "written".into())])
    }

    async fn abort(&self) -> Result<(), String> {
        let Some(AcceptedBi::BidiStream(_, mut stream)) = self.accept_bi().await.map_err(say)?
        else {
            return Err("no stream".into());
        };
        stream.reset(13);
        stream.stop_sending(14);
        Ok(())
    }
}

// ---- alone

/// What an opening may take.
const MOMENT: Duration = Duration::from_millis(200);

/// What is done on the stream of a request, which is of another type at each side.
macro_rules! with_request {
    ($stream:ident, $quic:ident, $deed:ident, $lines:ident) => {{
        // A reset would overtake the opening.
        tokio::time::sleep(MOMENT).await;
        match $deed {
            Deed::Body(body, fin) => {
                if !body.is_empty() {
                    $stream.send_data(Bytes::from(body.clone())).await?;
                }
                if *fin == Fin::Yes {
                    $stream.finish().await?;
                }
            }
            Deed::Trailers => {
                let mut trailers = HeaderMap::new();
                trailers.insert("a", HeaderValue::from_static("b"));
                $stream.send_trailers(trailers).await?;
            }
            Deed::Reset(code) => $stream.stop_stream(Code::from(*code)),
            Deed::Stop(code) => $stream.stop_sending(Code::from(*code)),
            Deed::ResetAndStop(code) => {
                $stream.stop_stream(Code::from(*code));
                $stream.stop_sending(Code::from(*code));
            }
            Deed::CloseConnection(code, reason) => {
                $quic.close(quinn::VarInt::from_u64(*code)?, reason.as_bytes());
            }
            _ => {}
        }
        if *$deed != Deed::Drop {
            loop {
                match $stream.recv_data().await {
                    Ok(Some(mut data)) => {
                        let data = data.copy_to_bytes(data.remaining());
                        $lines.tell(format!("body {}", data.escape_ascii()));
                        if matches!($deed, Deed::Answer(_)) && data.len() == 5 {
                            break; // a drain, which has no end
                        }
                    }
                    Ok(None) => {
                        $lines.tell("end");
                        break;
                    }
                    Err(error) => {
                        $lines.tell(brief(&error));
                        break;
                    }
                }
            }
            if let Deed::Answer(body) = $deed {
                $stream.send_data(Bytes::from(body.clone())).await?;
                $stream.finish().await?;
            }
        }
    }};
}

async fn play_alone(
    endpoint: quinn::Endpoint,
    invitation: Invitation,
    lines: Lines,
) -> anyhow::Result<()> {
    let quic = guest::connection(&endpoint, &invitation).await?;
    match invitation.side {
        Side::Client => alone_as_client(quic, &invitation.deed, &lines).await?,
        Side::Server => alone_as_server(quic, &invitation.deed, &lines).await?,
    }
    let _hangs = tokio::time::timeout(PATIENCE, endpoint.wait_idle()).await;
    Ok(())
}

/// A stream of a session, written past h3, which cannot.
async fn ready(quic: &quinn::Connection) -> anyhow::Result<()> {
    let mut stream = quic.open_uni().await?;
    stream.write_all(&[0x40, 0x54, 0]).await?;
    stream.write_all(READY).await?;
    Ok(stream.finish()?)
}

async fn alone_as_client(
    quic: quinn::Connection,
    deed: &Deed,
    lines: &Lines,
) -> anyhow::Result<()> {
    let mut builder = h3::client::builder();
    builder.enable_extended_connect(true).enable_datagram(true);
    let (mut driver, mut requests) = builder
        .build::<_, _, Bytes>(Quic::new(quic.clone()))
        .await?;
    let mut request = http::Request::new(());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = "https://localhost/peers".parse()?;
    request.extensions_mut().insert(Protocol::WEB_TRANSPORT);
    let ended = async {
        let mut stream = requests.send_request(request).await?;
        let is_early = match deed {
            Deed::DropEarly => {
                tokio::time::sleep(MOMENT).await;
                return Ok(());
            }
            Deed::ResetEarly(_) | Deed::StopEarly(_) | Deed::FinEarly => true,
            _ => false,
        };
        if is_early {
            tokio::time::sleep(MOMENT).await;
            match deed {
                Deed::ResetEarly(code) => stream.stop_stream(Code::from(*code)),
                Deed::StopEarly(code) => stream.stop_sending(Code::from(*code)),
                _ => stream.finish().await?,
            }
            quic.closed().await;
            return Ok(());
        }
        match stream.recv_response().await {
            Ok(response) if response.status() == StatusCode::OK => {
                ready(&quic).await?;
                with_request!(stream, quic, deed, lines);
            }
            Ok(response) => lines.tell(response.status().as_str()),
            Err(error) => lines.tell(brief(&error)),
        }
        // So that what was sent arrives, and the connection ends by us.
        if *deed != Deed::Drop {
            quic.closed().await;
        }
        Ok::<_, anyhow::Error>(())
    };
    tokio::select! {
        biased;
        result = ended => result?,
        error = driver.wait_idle() => {
            lines.tell(connection_error(&error));
            quic.closed().await;
        }
    }
    Ok(())
}

async fn alone_as_server(
    quic: quinn::Connection,
    deed: &Deed,
    lines: &Lines,
) -> anyhow::Result<()> {
    let mut builder = h3::server::builder();
    builder
        .enable_webtransport(true)
        .enable_extended_connect(true)
        .enable_datagram(true)
        .max_webtransport_sessions(1);
    let mut server = builder.build::<_, Bytes>(Quic::new(quic.clone())).await?;
    let request = server.accept().await?.context("no request comes")?;
    let (_, mut stream) = request.resolve_request().await?;
    let ended = async {
        match deed {
            Deed::DropEarly => return Ok(()),
            Deed::Withhold => {
                quic.closed().await;
                return Ok(());
            }
            Deed::ResetEarly(code) => stream.stop_stream(Code::from(*code)),
            Deed::FinEarly => stream.finish().await?,
            Deed::Reject(status) => {
                let mut response = Response::new(());
                *response.status_mut() = StatusCode::from_u16(*status)?;
                stream.send_response(response).await?;
                stream.finish().await?;
            }
            _ => {
                stream.send_response(Response::new(())).await?;
                ready(&quic).await?;
                with_request!(stream, quic, deed, lines);
            }
        }
        if *deed != Deed::Drop {
            quic.closed().await;
        }
        Ok::<_, anyhow::Error>(())
    };
    tokio::select! {
        biased;
        result = ended => result?,
        next = server.accept() => {
            match next {
                Ok(_) => lines.tell("the connection ends"),
                Err(error) => lines.tell(connection_error(&error)),
            }
            quic.closed().await;
        }
    }
    Ok(())
}

fn brief(error: &StreamError) -> String {
    match error {
        StreamError::RemoteTerminate { code } => format!("reset with {:#x}", code.value()),
        StreamError::ConnectionError(error) => connection_error(error),
        error => error.to_string(),
    }
}

fn connection_error(error: &ConnectionError) -> String {
    error.to_string()
}
