//! Nothing above QUIC: datagrams without a prefix, bare streams, and for a session a bidirectional
//! stream with about as many bytes.

use bytes::Bytes;
use quinn::{Connection, RecvStream, SendStream};

use crate::{
    Result,
    net::{H3_NO_ERROR, Net},
    stack::{Client, Server, Stack, part},
};

/// As long as a CONNECT, its answer, and a close capsule.
const ASK: &[u8] = &[7; 80];
const ANSWER: &[u8] = &[7; 12];

#[derive(Debug)]
pub struct Raw;

#[derive(Debug)]
pub struct End {
    quic: Connection,
    /// What stands for the CONNECT stream.
    stream: (SendStream, RecvStream),
}

impl Stack for Raw {
    type Client = End;
    type Server = End;

    fn new(_: &Net) -> Result<Self> {
        Ok(Self)
    }

    async fn connect(&self, net: &Net) -> Result<End> {
        let quic = net.dial().await?;
        let stream = ask(&quic).await?;
        Ok(End { quic, stream })
    }

    async fn accept(net: &Net) -> Result<End> {
        let quic = net.incoming().await?.await?;
        let stream = answer(&quic).await?;
        Ok(End { quic, stream })
    }
}

async fn ask(quic: &Connection) -> Result<(SendStream, RecvStream)> {
    let (mut send, mut receive) = quic.open_bi().await?;
    send.write_all(ASK).await?;
    receive.read_exact(&mut [0; ANSWER.len()]).await?;
    Ok((send, receive))
}

async fn answer(quic: &Connection) -> Result<(SendStream, RecvStream)> {
    let (mut send, mut receive) = quic.accept_bi().await?;
    receive.read_exact(&mut [0; ASK.len()]).await?;
    send.write_all(ANSWER).await?;
    Ok((send, receive))
}

/// A message and FIN, until the peer's FIN.
async fn say_goodbye((send, receive): &mut (SendStream, RecvStream)) -> Result<()> {
    send.write_all(ANSWER).await?;
    send.finish()?;
    count(receive).await?;
    Ok(())
}

async fn hear_goodbye((send, receive): &mut (SendStream, RecvStream)) -> Result<()> {
    count(receive).await?;
    Ok(send.finish()?)
}

/// How many bytes until the FIN.
async fn count(receive: &mut RecvStream) -> Result<usize> {
    let mut len = 0;
    while let Some(chunk) = receive.read_chunk(usize::MAX, true).await? {
        len += chunk.bytes.len();
    }
    Ok(len)
}

impl Client for End {
    fn send_datagram(&mut self, payload: &[u8]) -> Result<()> {
        Ok(self.quic.send_datagram(Bytes::copy_from_slice(payload))?)
    }

    async fn send_stream(&mut self, len: usize) -> Result<()> {
        let mut stream = self.quic.open_uni().await?;
        let mut left = len;
        while left > 0 {
            left -= stream.write(part(left)).await?;
        }
        Ok(stream.finish()?)
    }

    async fn end_session(&mut self) -> Result<()> {
        say_goodbye(&mut self.stream).await
    }

    async fn begin_session(&mut self) -> Result<()> {
        self.stream = ask(&self.quic).await?;
        Ok(())
    }

    async fn close(mut self) -> Result<()> {
        say_goodbye(&mut self.stream).await?;
        self.quic.close(H3_NO_ERROR, b"");
        Ok(())
    }
}

impl Server for End {
    async fn datagram(&mut self) -> Result<usize> {
        Ok(self.quic.read_datagram().await?.len())
    }

    async fn stream(&mut self) -> Result<usize> {
        count(&mut self.quic.accept_uni().await?).await
    }

    async fn session_ended(&mut self) -> Result<()> {
        hear_goodbye(&mut self.stream).await
    }

    async fn take_session(&mut self) -> Result<()> {
        self.stream = answer(&self.quic).await?;
        Ok(())
    }

    async fn ended(mut self) -> Result<()> {
        hear_goodbye(&mut self.stream).await?;
        self.quic.closed().await;
        Ok(())
    }
}
