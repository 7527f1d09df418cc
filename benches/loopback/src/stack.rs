//! What every stack has to do, in the same words.

use crate::{Result, net::Net};

/// A QUIC with something above it, or with nothing.
pub trait Stack: Sized {
    type Client: Client;
    type Server: Server + 'static;

    fn new(net: &Net) -> Result<Self>;
    /// A new connection with a session that is open.
    async fn connect(&self, net: &Net) -> Result<Self::Client>;
    /// The other end of it.
    async fn accept(net: &Net) -> Result<Self::Server>;
}

pub trait Client {
    /// One that does not fit is an error; one that is lost is none.
    fn send_datagram(&mut self, payload: &[u8]) -> Result<()>;

    /// A unidirectional stream with so many bytes and FIN, until all is QUIC's.
    async fn send_stream(&mut self, len: usize) -> Result<()>;

    /// Waits, and does meanwhile what the stack needs done.
    async fn wait<T>(&mut self, until: impl Future<Output = T>) -> Result<T> {
        Ok(until.await)
    }

    /// Closes the session, but not the connection.
    async fn end_session(&mut self) -> Result<()> {
        Err("it has one session on a connection".into())
    }

    /// Opens the next on the same connection.
    async fn begin_session(&mut self) -> Result<()> {
        Err("it has one session on a connection".into())
    }

    /// Ends session and connection, and waits for both.
    async fn close(self) -> Result<()>;
}

pub trait Server {
    /// The length of the next datagram.
    async fn datagram(&mut self) -> Result<usize>;

    /// The length of the next unidirectional stream, at its FIN.
    async fn stream(&mut self) -> Result<usize>;

    /// Waits for the end of the session, but not of the connection.
    async fn session_ended(&mut self) -> Result<()> {
        Err("it has one session on a connection".into())
    }

    /// Takes the next on the same connection.
    async fn take_session(&mut self) -> Result<()> {
        Err("it has one session on a connection".into())
    }

    /// Waits for the end of session and connection.
    async fn ended(self) -> Result<()>;
}

/// What is written at a time, in bytes.
pub static CHUNK: [u8; 64 * 1024] = [7; 64 * 1024];

/// The part of so many bytes that is written next.
pub fn part(left: usize) -> &'static [u8] {
    CHUNK.get(..left).unwrap_or(&CHUNK)
}
