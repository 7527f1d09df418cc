//! The crate `web-transport-quinn`. It has one session on a connection, and closes with a capsule.

use bytes::Bytes;
use url::Url;
use web_transport_quinn::{Request, Session};

use crate::{
    Result,
    net::Net,
    stack::{Client, Server, Stack, part},
};

#[derive(Debug)]
pub struct WebTransportQuinn {
    url: Url,
}

impl Stack for WebTransportQuinn {
    type Client = Session;
    type Server = Session;

    fn new(net: &Net) -> Result<Self> {
        let url = net.url().parse()?;
        Ok(Self { url })
    }

    async fn connect(&self, net: &Net) -> Result<Session> {
        let quic = net.dial().await?;
        Ok(Session::connect(quic, self.url.clone()).await?)
    }

    async fn accept(net: &Net) -> Result<Session> {
        let quic = net.incoming().await?.await?;
        Ok(Request::accept(quic).await?.ok().await?)
    }
}

impl Client for Session {
    fn send_datagram(&mut self, payload: &[u8]) -> Result<()> {
        let payload = Bytes::copy_from_slice(payload);
        Ok(Self::send_datagram(self, payload)?)
    }

    async fn send_stream(&mut self, len: usize) -> Result<()> {
        let mut stream = self.open_uni().await?;
        let mut left = len;
        while left > 0 {
            left -= stream.write(part(left)).await?;
        }
        Ok(stream.finish()?)
    }

    async fn close(self) -> Result<()> {
        Self::close(&self, 7, b"bye");
        self.closed().await;
        Ok(())
    }
}

impl Server for Session {
    async fn datagram(&mut self) -> Result<usize> {
        Ok(self.read_datagram().await?.len())
    }

    async fn stream(&mut self) -> Result<usize> {
        let mut stream = self.accept_uni().await?;
        let mut len = 0;
        while let Some(chunk) = stream.read_chunk(usize::MAX, true).await? {
            len += chunk.bytes.len();
        }
        Ok(len)
    }

    async fn ended(self) -> Result<()> {
        self.closed().await;
        Ok(())
    }
}
