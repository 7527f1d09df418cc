//! The crate `h3-webtransport`, on `h3` and `h3-quinn`. It is a server only; its client is the one by
//! hand. Nor can it end a session, or tell of an end: that is the connection's.

use std::future::poll_fn;

use bytes::Bytes;
use h3::quic::RecvStream as _;
use h3_datagram::datagram_handler::DatagramReader;
use h3_quinn::datagram::RecvDatagramHandler;
use h3_webtransport::server::WebTransportSession;

use super::by_hand;
use crate::{
    Result,
    net::Net,
    stack::{self, Stack},
};

#[derive(Debug)]
pub struct H3;

pub struct Server {
    session: WebTransportSession<h3_quinn::Connection, Bytes>,
    datagrams: DatagramReader<RecvDatagramHandler>,
}

impl Stack for H3 {
    type Client = by_hand::Client;
    type Server = Server;

    fn new(_: &Net) -> Result<Self> {
        Ok(Self)
    }

    async fn connect(&self, net: &Net) -> Result<by_hand::Client> {
        by_hand::connect(net).await
    }

    async fn accept(net: &Net) -> Result<Server> {
        let quic = net.incoming().await?.await?;
        let mut builder = h3::server::builder();
        builder
            .enable_webtransport(true)
            .enable_extended_connect(true)
            .enable_datagram(true)
            .max_webtransport_sessions(1);
        let quic = h3_quinn::Connection::new(quic);
        let mut connection = builder.build::<_, Bytes>(quic).await?;
        let resolver = connection.accept().await?.ok_or("no request comes")?;
        let (request, stream) = resolver.resolve_request().await?;
        let session = WebTransportSession::accept(request, stream, connection).await?;
        let datagrams = session.datagram_reader();
        Ok(Server { session, datagrams })
    }
}

impl stack::Server for Server {
    async fn datagram(&mut self) -> Result<usize> {
        let datagram = self.datagrams.read_datagram().await?;
        Ok(datagram.into_payload().len())
    }

    async fn stream(&mut self) -> Result<usize> {
        let accepted = self.session.accept_uni().await?;
        let (_, mut stream) = accepted.ok_or("no stream comes")?;
        let mut len = 0;
        while let Some(data) = poll_fn(|context| stream.poll_data(context)).await? {
            len += data.len();
        }
        Ok(len)
    }

    async fn ended(self) -> Result<()> {
        match self.session.accept_bi().await {
            Ok(Some(_)) => Err("a stream instead of the end".into()),
            Ok(None) | Err(_) => Ok(()),
        }
    }
}
