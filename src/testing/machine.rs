//! What a [`Pair`] can join: a connection, or a session alone behind somebody's own HTTP/3. Each says
//! here how QUIC's facts reach it, and what takes the place of HTTP/3 where there is none.

#![expect(unnameable_types, reason = "so is `Machine` implemented here only")]

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{Pair, Script, http3};
use crate::{
    Action, CloseMessage, Connection, ConnectionLost, DatagramError, Dir, Endpoint, Event,
    Http3Error, Input, OpenError, Output, Rejection, Request, Response, SendCredit, SendError,
    SessionId, Side, StreamId, Violation,
    session::{self, Session, StreamHeader},
};

/// What a [`Pair`] can join: [`Connection`] or [`Session`]. Nobody else implements it.
pub trait Machine: Drive {}

impl<M: Drive> Machine for M {}

/// What came out of a machine.
#[derive(Debug)]
pub enum Out<E> {
    Action(Action),
    Event(E),
}

/// How the peer answers a request.
#[derive(Clone, Debug)]
pub enum Answer {
    Accepted { fin: bool },
    AnotherProtocol,
    Malformed,
    Rejected(Rejection),
}

/// How the peer breaks HTTP/3.
#[derive(Clone, Copy, Debug)]
pub enum Broken {
    Trailers,
    ForbiddenFrame,
    ControlStream,
    Datagram,
}

/// The working side of [`Machine`].
pub trait Drive: Debug + Sized {
    type Event: Clone + Debug;

    /// Whether a write may be taken in parts.
    const WRITES_IN_PARTS: bool;

    // ---- QUIC

    fn side(&self) -> Side;
    /// `first`: nothing was heard of this stream before.
    fn handle(&mut self, now: Instant, input: Input, first: bool);
    fn poll(&mut self) -> Option<Out<Self::Event>>;
    fn poll_timeout(&self) -> Option<Instant>;
    fn wants(&self, stream: StreamId) -> bool;

    // ---- the application

    fn close(&mut self, now: Instant, session: SessionId, code: u32, message: CloseMessage);
    fn shutdown(&mut self, now: Instant, code: u32, message: CloseMessage);
    fn open(&mut self, session: SessionId, dir: Dir, stream: StreamId) -> Result<(), OpenError>;
    /// Commits what may be written of `data`.
    fn write(&mut self, stream: StreamId, data: &[u8]) -> Result<usize, SendError>;
    /// The datagram as it travels.
    fn datagram(&self, session: SessionId, payload: &[u8]) -> Result<Bytes, DatagramError>;
    fn is_live(&self, session: SessionId) -> bool;
    fn opens(event: &Self::Event, session: SessionId) -> bool;
    fn record(script: &mut Script, at: Duration, side: Side, event: &Self::Event);

    // ---- HTTP/3

    fn ask(pair: &mut Pair<Self>, request: &Request) -> SessionId;
    fn accept(pair: &mut Pair<Self>, session: SessionId, response: Response);
    fn reject(pair: &mut Pair<Self>, session: SessionId, rejection: Rejection);
    /// What begins a data stream.
    fn header(dir: Dir, session: SessionId) -> Bytes;
    /// Capsule bytes, as they are written to the CONNECT stream.
    fn body(payload: &[u8]) -> Bytes;
    fn peer_answers(pair: &mut Pair<Self>, session: SessionId, answer: Answer);
    fn peer_goes_away(pair: &mut Pair<Self>);
    fn peer_breaks_http3(pair: &mut Pair<Self>, side: Side, session: SessionId, how: Broken);
}

impl Drive for Connection {
    type Event = Event;

    const WRITES_IN_PARTS: bool = true;

    fn side(&self) -> Side {
        self.side()
    }

    fn handle(&mut self, now: Instant, input: Input, _: bool) {
        self.handle(now, input);
    }

    fn poll(&mut self) -> Option<Out<Event>> {
        Some(match self.poll()? {
            Output::Action(action) => Out::Action(action),
            Output::Event(event) => Out::Event(event),
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn wants(&self, stream: StreamId) -> bool {
        self.wants(stream)
    }

    fn close(&mut self, now: Instant, session: SessionId, code: u32, message: CloseMessage) {
        self.close(now, session, code, message);
    }

    fn shutdown(&mut self, now: Instant, code: u32, message: CloseMessage) {
        self.shutdown(now, code, message);
    }

    fn open(&mut self, session: SessionId, dir: Dir, stream: StreamId) -> Result<(), OpenError> {
        self.open(session, dir)?.bind(stream);
        Ok(())
    }

    fn write(&mut self, stream: StreamId, data: &[u8]) -> Result<usize, SendError> {
        self.credit(stream).map(|credit| spend(credit, data))
    }

    fn datagram(&self, session: SessionId, payload: &[u8]) -> Result<Bytes, DatagramError> {
        Ok(self.datagram(session)?.encode(payload))
    }

    fn is_live(&self, session: SessionId) -> bool {
        self.sessions().any(|id| id == session)
    }

    fn opens(event: &Event, session: SessionId) -> bool {
        matches!(event, Event::SessionOpened { session: id, .. } if *id == session)
    }

    fn record(script: &mut Script, at: Duration, side: Side, event: &Event) {
        script.event(at, side, event);
    }

    fn ask(pair: &mut Pair, request: &Request) -> SessionId {
        let session = pair.connect(request);
        session.unwrap_or_else(|error| panic!("{error}:\n{}", pair.script()))
    }

    fn accept(pair: &mut Pair, session: SessionId, response: Response) {
        let now = pair.now();
        let result = pair.server.machine.accept(now, session, response);
        pair.remark_result(&format_args!("accept {session}"), result);
    }

    fn reject(pair: &mut Pair, session: SessionId, rejection: Rejection) {
        let what = format!("reject {session}: {}", rejection.status);
        let now = pair.now();
        let result = pair.server.machine.reject(now, session, rejection);
        pair.remark_result(&what, result);
    }

    fn header(dir: Dir, session: SessionId) -> Bytes {
        Bytes::copy_from_slice(StreamHeader::new(dir, session).as_ref())
    }

    fn body(payload: &[u8]) -> Bytes {
        http3::data_frame(payload)
    }

    fn peer_answers(pair: &mut Pair, session: SessionId, answer: Answer) {
        http3::answer(pair, session, answer);
    }

    fn peer_goes_away(pair: &mut Pair) {
        http3::go_away(pair);
    }

    fn peer_breaks_http3(pair: &mut Pair, side: Side, session: SessionId, how: Broken) {
        http3::break_http3(pair, side, session, how);
    }
}

/// Commits all that may be written of `data`, and gives its length.
fn spend(credit: SendCredit<'_>, data: &[u8]) -> usize {
    let len = credit.clamp(data).len();
    credit.spend(len);
    len
}

/// There is no HTTP/3 here: what it would say, both ends are told at once.
impl Drive for Session {
    type Event = session::Event;

    /// That HTTP/3 keeps what QUIC does not take.
    const WRITES_IN_PARTS: bool = false;

    fn side(&self) -> Side {
        self.side()
    }

    fn handle(&mut self, now: Instant, input: Input, first: bool) {
        let connect = self.id().connect_stream();
        let input = match input {
            Input::StreamData { stream, data, fin } if stream == connect => {
                session::Input::Body { data, fin }
            }
            Input::StreamReset { stream, code, .. } if stream == connect => {
                session::Input::ConnectReset { code }
            }
            Input::StreamStopped { stream, code } if stream == connect => {
                session::Input::ConnectStopped { code }
            }
            Input::StreamData { stream, data, fin } => {
                if first && stream.initiator() != self.side() {
                    self.handle(now, session::Input::StreamOpened { stream });
                }
                let len = u64::try_from(data.len()).unwrap_or(u64::MAX);
                session::Input::StreamData { stream, len, fin }
            }
            Input::StreamReset {
                stream,
                code,
                final_size,
            } => session::Input::StreamReset {
                stream,
                code,
                final_size,
            },
            Input::StreamStopped { stream, code } => session::Input::StreamStopped { stream, code },
            Input::StreamWritable { stream } => session::Input::StreamWritable { stream },
            Input::StreamsAvailable { dir } => session::Input::StreamsAvailable { dir },
            Input::DatagramReceived { data } => session::Input::DatagramReceived { payload: data },
            Input::ConnectionClosed { reason } => session::Input::ConnectionClosed { reason },
            Input::Timeout => session::Input::Timeout,
            Input::Written { .. } | Input::StreamAcknowledged { .. } => return,
        };
        self.handle(now, input);
    }

    fn poll(&mut self) -> Option<Out<session::Event>> {
        let connect = self.id().connect_stream();
        let action = match self.poll()? {
            session::Output::Event(event) => return Some(Out::Event(event)),
            session::Output::Action(action) => action,
        };
        let action = match action {
            session::Action::SendBody { data, fin } => Action::Write {
                stream: connect,
                data,
                fin,
            },
            session::Action::ResetConnect { code } => Action::Reset {
                stream: connect,
                code,
                reliable_size: 0,
            },
            session::Action::StopConnect { code } => Action::StopSending {
                stream: connect,
                code,
            },
            session::Action::Finish { stream } => Action::Write {
                stream,
                data: Bytes::new(),
                fin: true,
            },
            session::Action::Reset {
                stream,
                code,
                reliable_size,
            } => Action::Reset {
                stream,
                code,
                reliable_size,
            },
            session::Action::StopSending { stream, code } => Action::StopSending { stream, code },
        };
        Some(Out::Action(action))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn wants(&self, _: StreamId) -> bool {
        true
    }

    fn close(&mut self, now: Instant, _: SessionId, code: u32, message: CloseMessage) {
        self.close(now, code, message);
    }

    fn shutdown(&mut self, now: Instant, code: u32, message: CloseMessage) {
        self.close(now, code, message);
    }

    fn open(&mut self, _: SessionId, dir: Dir, stream: StreamId) -> Result<(), OpenError> {
        let _of_no_use_without_http3 = self.open_stream(dir)?.bind(stream);
        Ok(())
    }

    fn write(&mut self, stream: StreamId, data: &[u8]) -> Result<usize, SendError> {
        self.credit(stream).map(|credit| spend(credit, data))
    }

    fn datagram(&self, _: SessionId, payload: &[u8]) -> Result<Bytes, DatagramError> {
        let _header = self.datagram()?;
        Ok(Bytes::copy_from_slice(payload))
    }

    fn is_live(&self, _: SessionId) -> bool {
        !self.is_closed()
    }

    fn opens(event: &session::Event, _: SessionId) -> bool {
        *event == session::Event::Opened
    }

    fn record(script: &mut Script, at: Duration, side: Side, event: &session::Event) {
        script.session_event(at, side, event);
    }

    fn ask(pair: &mut Pair<Self>, _: &Request) -> SessionId {
        pair.client.machine.id()
    }

    fn accept(pair: &mut Pair<Self>, session: SessionId, _: Response) {
        let now = pair.now();
        for side in [Side::Server, Side::Client] {
            pair.remark(side, &format_args!("open {session}"));
            pair.end(side).machine.open(now);
        }
    }

    fn reject(pair: &mut Pair<Self>, session: SessionId, rejection: Rejection) {
        let now = pair.now();
        for (side, by) in [
            (Side::Server, Endpoint::Local),
            (Side::Client, Endpoint::Peer),
        ] {
            pair.remark(
                side,
                &format_args!("reject {session}: {}", rejection.status),
            );
            let machine = &mut pair.end(side).machine;
            machine.reject(now, by, rejection.clone());
        }
    }

    fn header(_: Dir, _: SessionId) -> Bytes {
        Bytes::new()
    }

    fn body(payload: &[u8]) -> Bytes {
        Bytes::copy_from_slice(payload)
    }

    fn peer_answers(pair: &mut Pair<Self>, session: SessionId, answer: Answer) {
        // What was sent before the answer comes before it.
        if let Some(last) = pair.link.last_arrival(Side::Client) {
            pair.wait(last.saturating_duration_since(pair.now()));
        }
        let now = pair.now();
        let client = &mut pair.client.machine;
        match answer {
            Answer::Accepted { fin } => {
                client.open(now);
                if fin {
                    let (stream, data) = (session.connect_stream(), Bytes::new());
                    pair.send_as(Side::Server, Input::StreamData { stream, data, fin });
                }
            }
            Answer::AnotherProtocol => client.fail(now, Violation::ProtocolNotOffered),
            Answer::Malformed => client.fail(now, Violation::MalformedResponse),
            Answer::Rejected(rejection) => client.reject(now, Endpoint::Peer, rejection),
        }
    }

    fn peer_goes_away(pair: &mut Pair<Self>) {
        let (now, input) = (pair.now(), session::Input::GoAway { id: 0 });
        pair.client.machine.handle(now, input);
    }

    fn peer_breaks_http3(pair: &mut Pair<Self>, side: Side, _: SessionId, how: Broken) {
        let error = match how {
            Broken::Trailers | Broken::ForbiddenFrame => Http3Error::FrameUnexpected,
            Broken::ControlStream => Http3Error::ClosedCriticalStream,
            Broken::Datagram => Http3Error::Datagram,
        };
        pair.lose_connection(side, ConnectionLost::Http3(error));
    }
}
