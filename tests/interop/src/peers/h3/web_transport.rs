//! A server with `h3-webtransport`.

use std::time::Duration;

use anyhow::Context as _;
use bytes::{Buf as _, Bytes};
use h3::quic::{RecvStream as _, SendStream as _};
use h3_datagram::datagram::Datagram;
use h3_webtransport::server::{AcceptedBi, WebTransportSession};
use http::Response;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    super::guest::{self, Deed, Invitation, Lines, PATIENCE, Session},
    Quic,
};

type WebTransport = WebTransportSession<Quic, Bytes>;

pub(super) async fn play(
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
        stream.reset(73);
        stream.stop_sending(74);
        Ok(())
    }
}
