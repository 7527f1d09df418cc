//! Permissions to open: ask, open the stream on QUIC, bind its id.

use bytes::Bytes;

use super::{Connection, record};
use crate::{Dialect, Dir, Request, SessionId, Side, StreamId};

/// The right to open one unidirectional stream that HTTP/3 itself needs:
/// [`Connection::protocol_stream`]. Dropped unbound, it is asked for again.
#[must_use]
#[derive(Debug)]
pub struct ProtocolStreamPermit<'a> {
    connection: &'a mut Connection,
}

impl<'a> ProtocolStreamPermit<'a> {
    pub(super) fn new(connection: &'a mut Connection) -> Self {
        Self { connection }
    }

    /// Sends what belongs on the unidirectional stream that QUIC has just opened.
    ///
    /// An id that is in use, or that this side cannot have opened so, is a mistake of the caller:
    /// nothing is sent, and a stream is still asked for.
    pub fn bind(self, stream: StreamId) {
        record!(self.connection, Step::ProtocolStream { bound: stream });
        self.connection.bind_protocol_stream(stream);
    }
}

/// The right to open one CONNECT stream. Dropped unbound, as where QUIC has no stream to spare:
/// [`Event::StreamsAvailable`](crate::Event::StreamsAvailable) will follow for [`Dir::Bi`], with the
/// next [`Input::StreamsAvailable`](crate::Input::StreamsAvailable).
#[must_use]
#[derive(Debug)]
pub struct ConnectPermit<'a> {
    connection: &'a mut Connection,
    request: &'a Request,
    head: Bytes,
    dialect: Dialect,
    bound: bool,
}

impl<'a> ConnectPermit<'a> {
    pub(super) fn new(
        connection: &'a mut Connection,
        request: &'a Request,
        head: Bytes,
        dialect: Dialect,
    ) -> Self {
        Self {
            connection,
            request,
            head,
            dialect,
            bound: false,
        }
    }
}

impl ConnectPermit<'_> {
    /// Sends the CONNECT on the bidirectional stream that QUIC has just opened.
    ///
    /// An id that is in use, or that is not a client's bidirectional stream, is a mistake of the
    /// caller: nothing is sent, and no event will ever name the session.
    pub fn bind(mut self, stream: StreamId) -> SessionId {
        self.bound = true;
        record!(
            self.connection,
            Step::Connect {
                request: Box::new(self.request.clone()),
                bound: Some(stream)
            }
        );
        self.connection.bind_session(
            stream,
            self.request,
            std::mem::take(&mut self.head),
            self.dialect,
        )
    }
}

impl Drop for ConnectPermit<'_> {
    fn drop(&mut self) {
        if !self.bound {
            record!(
                self.connection,
                Step::Connect {
                    request: Box::new(self.request.clone()),
                    bound: None
                }
            );
            self.connection.refused.bi = true;
        }
    }
}

/// The right to open one stream. Dropped unbound, as where QUIC has no stream to spare:
/// [`Event::StreamsAvailable`](crate::Event::StreamsAvailable) will follow, with the next
/// [`Input::StreamsAvailable`](crate::Input::StreamsAvailable).
#[must_use]
#[derive(Debug)]
pub struct OpenPermit<'a> {
    connection: &'a mut Connection,
    session: SessionId,
    dir: Dir,
    bound: bool,
}

impl<'a> OpenPermit<'a> {
    pub(super) fn new(connection: &'a mut Connection, session: SessionId, dir: Dir) -> Self {
        Self {
            connection,
            session,
            dir,
            bound: false,
        }
    }
}

impl OpenPermit<'_> {
    /// Who opens it: this side.
    #[must_use]
    pub fn side(&self) -> Side {
        self.connection.side
    }

    /// The kind of stream to open.
    #[must_use]
    pub fn dir(&self) -> Dir {
        self.dir
    }

    /// Commits the stream that QUIC has just opened, and queues its header as an
    /// [`Action::Write`](crate::Action::Write);
    /// [`credit`](Connection::credit) is `Blocked` until that is written. A host performs it at once:
    /// [`Connection::poll_action`] until `None`.
    ///
    /// An id that is in use, or that this side cannot have opened so, is a mistake of the caller
    /// and is not added.
    pub fn bind(mut self, stream: StreamId) {
        self.bound = true;
        record!(
            self.connection,
            Step::Open {
                session: self.session,
                dir: self.dir,
                bound: Some(stream)
            }
        );
        self.connection.bind_stream(stream, self.session, self.dir);
    }
}

impl Drop for OpenPermit<'_> {
    fn drop(&mut self) {
        if !self.bound {
            record!(
                self.connection,
                Step::Open {
                    session: self.session,
                    dir: self.dir,
                    bound: None
                }
            );
            match self.dir {
                Dir::Bi => self.connection.refused.bi = true,
                Dir::Uni => self.connection.refused.uni = true,
            }
        }
    }
}
