//! A client by hand over quinn, that sends the bytes of a session and looks at nothing that it need
//! not: for servers whose peer has no client. It is the least that a client can cost.

use bytes::{BufMut as _, Bytes, BytesMut};
use quinn::{Connection, RecvStream, SendStream};
use url::Url;
use web_transport_proto::{ConnectRequest, ConnectResponse, Settings};

use crate::{
    Result,
    net::{H3_NO_ERROR, Net},
    stack::{self, Stack, part},
};

/// CLOSE_WEBTRANSPORT_SESSION, 7 and "bye", in a DATA frame.
const CLOSE: &[u8] = &[0x00, 10, 0x68, 0x43, 7, 0, 0, 0, 7, b'b', b'y', b'e'];

/// That client, of the first session of a connection.
#[derive(Debug)]
pub struct Client {
    quic: Connection,
    connect: (SendStream, RecvStream),
    /// Ends the connection where it ends.
    _control: SendStream,
}

pub async fn connect(net: &Net) -> Result<Client> {
    let quic = net.dial().await?;
    let mut control = quic.open_uni().await?;
    let mut settings = Settings::default();
    settings.enable_webtransport(1);
    settings.write(&mut control).await?;
    let (mut send, mut receive) = quic.open_bi().await?;
    let url: Url = net.url().parse()?;
    ConnectRequest::new(url).write(&mut send).await?;
    let response = ConnectResponse::read(&mut receive).await?;
    if !response.status.is_success() {
        return Err("the request was rejected".into());
    }
    Ok(Client {
        quic,
        connect: (send, receive),
        _control: control,
    })
}

impl stack::Client for Client {
    fn send_datagram(&mut self, payload: &[u8]) -> Result<()> {
        let mut datagram = BytesMut::with_capacity(1 + payload.len());
        datagram.put_u8(0);
        datagram.put_slice(payload);
        Ok(self.quic.send_datagram(datagram.freeze())?)
    }

    async fn send_stream(&mut self, len: usize) -> Result<()> {
        let mut stream = self.quic.open_uni().await?;
        let header = Bytes::from_static(&[0x40, 0x54, 0]);
        stream.write_chunk(header).await?;
        let mut left = len;
        while left > 0 {
            left -= stream.write(part(left)).await?;
        }
        Ok(stream.finish()?)
    }

    async fn close(mut self) -> Result<()> {
        let (send, _) = &mut self.connect;
        send.write_all(CLOSE).await?;
        send.finish()?;
        // Until the peer knows it, read or not.
        let _reset = send.stopped().await;
        self.quic.close(H3_NO_ERROR, b"");
        Ok(())
    }
}

/// This crate's server, behind the same client.
#[derive(Debug)]
pub struct OursByHand;

impl Stack for OursByHand {
    type Client = Client;
    type Server = super::ours::Server;

    fn new(_: &Net) -> Result<Self> {
        Ok(Self)
    }

    async fn connect(&self, net: &Net) -> Result<Client> {
        connect(net).await
    }

    async fn accept(net: &Net) -> Result<Self::Server> {
        super::ours::Ours::accept(net).await
    }
}
