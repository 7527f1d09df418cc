//! Our server: accepts, echoes, and answers as the path of a request says.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes};
use http::StatusCode;
use webtransport_session::{
    Config, Dir, Event, Protocol, Rejection, Request, Response, SendError, SessionId, StreamId,
    host::quinn_proto::{Endpoint, Peer, PeerId},
};

use crate::{
    identity::Identity,
    node::{Application, Node},
};

/// Starts a server on a free port of 127.0.0.1 that gives a silent QUIC connection up after `idle`.
pub(crate) fn start(identity: &Identity, idle: Duration, config: Config) -> anyhow::Result<Node> {
    let endpoint = Endpoint::server(identity.server(idle)?, Arc::new(config));
    Node::start(endpoint, Answers::default())
}

/// What it does with a session, by the path of its request:
///
/// - `/echo`: streams and datagrams are sent back, unidirectional ones on a stream of our own; and
///   of the protocols offered the last is chosen.
/// - `/sink`: streams are read and not told; what came is told once by a datagram with its length
///   in decimals, when a stream ends.
/// - `/source?N`: opens a unidirectional stream with N bytes.
/// - `/status?N`: refused with this status.
/// - `/origin`: accepted from pages of `https://example.com`, others are refused with 403.
/// - `/wait`: not answered.
/// - anything else: accepted, and all that happens is told and not answered.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    sessions: BTreeMap<(PeerId, SessionId), Way>,
    /// Streams that we write, with what is left.
    writing: BTreeMap<(PeerId, StreamId), Writing>,
    /// Streams of the peer, and where their bytes go.
    reading: BTreeMap<(PeerId, StreamId), Reading>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Echo,
    Sink,
    Source(u64),
    Quiet,
}

#[derive(Debug)]
enum Reading {
    /// To a stream of ours.
    Echo(StreamId),
    /// Counted.
    Sink(u64),
}

#[derive(Debug, Default)]
struct Writing {
    left: VecDeque<Bytes>,
    finish: bool,
    /// The stream of the peer that is not read until this one has gone on.
    paused: Option<StreamId>,
}

/// So much of an echo may wait before its source is not read any longer.
const WAITING: usize = 1 << 20;

impl Application for Answers {
    fn event(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        id: PeerId,
        event: Event,
    ) -> Option<Event> {
        let Some(peer) = endpoint.peer(id) else {
            return Some(event);
        };
        match &event {
            Event::SessionRequested { session, request } => {
                self.request(now, peer, id, *session, request);
            }
            Event::SessionOpened { session, .. } => {
                if let Some(Way::Source(len)) = self.sessions.get(&(id, *session)) {
                    let len = usize::try_from(*len).unwrap_or(usize::MAX);
                    if let Ok(stream) = peer.open(now, *session, Dir::Uni) {
                        let left = VecDeque::from([Bytes::from(vec![b's'; len])]);
                        let writing = Writing {
                            left,
                            finish: true,
                            paused: None,
                        };
                        self.writing.insert((id, stream), writing);
                        self.write(peer, id, stream);
                    }
                }
            }
            Event::DatagramReceived { session, payload }
                if self.sessions.get(&(id, *session)) == Some(&Way::Echo) =>
            {
                let _lost = peer.send_datagram(*session, payload);
            }
            Event::StreamOpened { session, stream } => {
                self.opened(now, peer, id, *session, *stream)
            }
            Event::StreamData {
                session,
                stream,
                data,
                fin,
            } => {
                return match self.data(peer, id, *session, *stream, data, *fin) {
                    Told::Yes => Some(event),
                    Told::No => None,
                };
            }
            Event::StreamWritable { stream, .. } => self.write(peer, id, *stream),
            Event::StreamReset { stream, .. } => {
                if let Some(Reading::Echo(out)) = self.reading.remove(&(id, *stream)) {
                    self.writing.remove(&(id, out));
                    let _gone = peer.sessions().reset(out, 0);
                }
            }
            Event::StreamStopped { stream, .. } => {
                self.writing.remove(&(id, *stream));
            }
            Event::SessionClosed { session, .. } => {
                self.sessions.remove(&(id, *session));
            }
            Event::ConnectionClosed { .. } => {
                self.writing.retain(|&(of, _), _| of != id);
                self.reading.retain(|&(of, _), _| of != id);
            }
            _ => {}
        }
        Some(event)
    }
}

/// Whether something is told to whoever watches.
enum Told {
    Yes,
    No,
}

impl Answers {
    fn request(
        &mut self,
        now: Instant,
        peer: &mut Peer,
        id: PeerId,
        session: SessionId,
        request: &Request,
    ) {
        let number = || request.uri.query().and_then(|query| query.parse().ok());
        let way = match request.path() {
            "/echo" => Way::Echo,
            "/sink" => Way::Sink,
            "/source" => Way::Source(number().unwrap_or(0)),
            "/status" => {
                let status = number().and_then(|status| u16::try_from(status).ok());
                let status = status.and_then(|status| StatusCode::from_u16(status).ok());
                let status = status.unwrap_or(StatusCode::BAD_REQUEST);
                let _left = peer
                    .sessions()
                    .reject(now, session, Rejection::from(status));
                return;
            }
            "/origin" if !request.origin_is_any_of(&["https://example.com"]) => {
                let forbidden = Rejection::from(StatusCode::FORBIDDEN);
                let _left = peer.sessions().reject(now, session, forbidden);
                return;
            }
            "/wait" => return,
            _ => Way::Quiet,
        };
        let mut response = Response::default();
        let chosen = request.protocols.last().map(Protocol::as_str);
        if let (Way::Echo, Some(Ok(chosen))) = (way, chosen.map(Protocol::try_from)) {
            response = response.protocol(chosen);
        }
        if peer.sessions().accept(now, session, response).is_ok() {
            self.sessions.insert((id, session), way);
        }
    }

    fn opened(
        &mut self,
        now: Instant,
        peer: &mut Peer,
        id: PeerId,
        session: SessionId,
        stream: StreamId,
    ) {
        match (self.sessions.get(&(id, session)), stream.dir()) {
            (Some(Way::Echo), Dir::Bi) => {
                self.reading.insert((id, stream), Reading::Echo(stream));
            }
            (Some(Way::Echo), Dir::Uni) => {
                if let Ok(out) = peer.open(now, session, Dir::Uni) {
                    self.reading.insert((id, stream), Reading::Echo(out));
                } else {
                    let _gone = peer.sessions().stop(stream, 0);
                }
            }
            (Some(Way::Sink), _) => {
                self.reading.insert((id, stream), Reading::Sink(0));
            }
            _ => {}
        }
    }

    fn data(
        &mut self,
        peer: &mut Peer,
        id: PeerId,
        session: SessionId,
        stream: StreamId,
        data: &Bytes,
        fin: bool,
    ) -> Told {
        match self.reading.get_mut(&(id, stream)) {
            None => Told::Yes,
            Some(Reading::Sink(len)) => {
                *len += data.len() as u64;
                if fin {
                    let told = len.to_string();
                    let _lost = peer.send_datagram(session, told.as_bytes());
                    self.reading.remove(&(id, stream));
                }
                Told::No
            }
            Some(&mut Reading::Echo(out)) => {
                if fin {
                    self.reading.remove(&(id, stream));
                }
                let writing = self.writing.entry((id, out)).or_default();
                writing.left.push_back(data.clone());
                writing.finish |= fin;
                let waiting: usize = writing.left.iter().map(Bytes::len).sum();
                if waiting > WAITING && !fin {
                    writing.paused = Some(stream);
                    peer.sessions().pause(stream);
                }
                self.write(peer, id, out);
                Told::No
            }
        }
    }

    /// Writes what is left for a stream, as far as it goes now.
    fn write(&mut self, peer: &mut Peer, id: PeerId, stream: StreamId) {
        let Some(writing) = self.writing.get_mut(&(id, stream)) else {
            return;
        };
        while let Some(data) = writing.left.front_mut() {
            match peer.write_buf(stream, data) {
                Ok(()) if !data.has_remaining() => {
                    writing.left.pop_front();
                }
                Ok(()) | Err(SendError::Blocked) => return,
                Err(_) => {
                    self.writing.remove(&(id, stream));
                    return;
                }
            }
        }
        if let Some(paused) = writing.paused.take() {
            peer.sessions().resume(paused);
        }
        if writing.finish {
            let _gone = peer.sessions().finish(stream);
            self.writing.remove(&(id, stream));
        }
    }
}
