//! `h3` by itself, in both roles: the CONNECT and its answer, and what is done to its stream.

use std::time::Duration;

use anyhow::Context as _;
use bytes::{Buf as _, Bytes};
use h3::{
    error::{Code, ConnectionError, StreamError},
    ext::Protocol,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use webtransport_session::Side;

use super::{
    super::{
        guest::{self, Deed, Fin, Invitation, Lines, PATIENCE},
        ours::READY,
    },
    Quic,
};

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

pub(super) async fn play(
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
    if let Deed::GoAway(body) = deed {
        stream.send_response(Response::new(())).await?;
        ready(&quic).await?;
        tokio::time::sleep(MOMENT).await;
        server.shutdown(0).await?;
        stream.send_data(Bytes::from(body.clone())).await?;
        stream.finish().await?;
        quic.closed().await;
        return Ok(());
    }
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
