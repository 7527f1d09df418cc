//! The crate `wtransport`. It has one session on a connection, and closes both with CONNECTION_CLOSE.

use std::net::{Ipv4Addr, UdpSocket};

use wtransport::{
    ClientConfig, Connection, Endpoint, VarInt,
    endpoint::{IncomingSessionFuture, endpoint_side},
};

use crate::{
    Result,
    net::Net,
    stack::{CHUNK, Client, Server, Stack, part},
};

pub struct Wtransport {
    client: Endpoint<endpoint_side::Client>,
}

impl Stack for Wtransport {
    type Client = Connection;
    type Server = Connection;

    fn new(net: &Net) -> Result<Self> {
        let config = ClientConfig::builder()
            .with_bind_socket(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?)
            .build_with_quic_config(net.client_config.clone());
        let client = Endpoint::client(config)?;
        Ok(Self { client })
    }

    async fn connect(&self, net: &Net) -> Result<Connection> {
        Ok(self.client.connect(net.url()).await?)
    }

    async fn accept(net: &Net) -> Result<Connection> {
        let incoming = net.incoming().await?;
        let request = IncomingSessionFuture::with_quic_incoming(incoming).await?;
        Ok(request.accept().await?)
    }
}

impl Client for Connection {
    fn send_datagram(&mut self, payload: &[u8]) -> Result<()> {
        Ok(Self::send_datagram(self, payload)?)
    }

    async fn send_stream(&mut self, len: usize) -> Result<()> {
        let mut stream = self.open_uni().await?.await?;
        let mut left = len;
        while left > 0 {
            left -= stream.write(part(left)).await?;
        }
        Ok(stream.finish().await?)
    }

    async fn close(self) -> Result<()> {
        Self::close(&self, VarInt::from_u32(7), b"bye");
        self.closed().await;
        Ok(())
    }
}

impl Server for Connection {
    async fn datagram(&mut self) -> Result<usize> {
        Ok(self.receive_datagram().await?.len())
    }

    async fn stream(&mut self) -> Result<usize> {
        let mut stream = self.accept_uni().await?;
        // It has no function that gives what QUIC has without a copy.
        let mut buffer = vec![0; CHUNK.len()];
        let mut len = 0;
        while let Some(read) = stream.read(&mut buffer).await? {
            len += read;
        }
        Ok(len)
    }

    async fn ended(self) -> Result<()> {
        self.closed().await;
        Ok(())
    }
}
