//! One session whose peer, HTTP/3 and application do anything, in any order.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::StatusCode;
use webtransport_session::{
    AbortedBy, CloseReason, CloseVia, Config, ConnectionLost, Deadline, Dialect, Dir, Endpoint,
    FlowControl, Rejection, SessionId, Side, StreamId, Support, Transport, Violation,
    session::{Action, Event, Input, Output, Session, Terms},
};

use crate::{application::wrong, search::World};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    // The peer, on the CONNECT stream.
    Body(&'static str, &'static [u8]),
    Fin,
    ConnectReset,
    ConnectStopped(u64),
    // The peer, elsewhere.
    StreamOpened(StreamId),
    Data(StreamId, bool),
    StreamReset(StreamId),
    StreamStopped(StreamId),
    Datagram,
    GoAway,
    Lost,
    Wait,
    // HTTP/3.
    Open,
    Reject(Endpoint),
    Fail,
    // The application.
    Close,
    Drain,
    OpenStream(Dir),
    Write(StreamId),
    Consumed,
    Finish(StreamId),
    ResetStream(StreamId),
    Stop(StreamId),
    Pause,
    Resume,
}

const GONE: u64 = 0x170d_7b68;
const CANCELLED: u64 = 0x10c;
/// What each side allows at first: bytes, and streams of each kind.
const ROOM: u64 = 2;

const BODIES: &[Move] = &[
    Move::Body("close", b"\x68\x43\x04\x00\x00\x00\x07"),
    Move::Body("half of a close", b"\x68\x43\x04\x00\x00"),
    Move::Body("the other half", b"\x00\x07"),
    Move::Body("a close that is too short", b"\x68\x43\x01\x00"),
    Move::Body("drain", b"\x80\x00\x78\xae\x00"),
    Move::Body("a datagram", b"\x00\x01d"),
    Move::Body("room for data", b"\x99\x0b\x4d\x3d\x01\x04"),
    Move::Body("room for streams", b"\x99\x0b\x4d\x40\x01\x04"),
    Move::Body("no room for data", b"\x99\x0b\x4d\x41\x01\x02"),
    Move::Body("what is prohibited", b"\x99\x0b\x4d\x3e\x00"),
];

#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Alone {
    session: Session,
    side: Side,
    opened: bool,
    draining: bool,
    closed: bool,
    paused: u8,
    /// What came before the answer, or before a reason that it may lead to.
    held: bool,
    halved: bool,
    stopped: Option<u64>,
    /// Our half of the CONNECT stream.
    half: Half,
    /// The peer's half.
    stopped_peer: bool,
    /// Of each stream: which of our half and the peer's is over.
    streams: BTreeMap<StreamId, (bool, bool)>,
    /// What the peer opened.
    begun: Vec<StreamId>,
    /// What we opened.
    ours: Vec<StreamId>,
    sent: u64,
    may_send: u64,
    may_open: u64,
    uni: u64,
    received: u64,
    consumed: u64,
    /// What the peer was told that it may send.
    limit: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Half {
    Open,
    Finished,
    Reset,
}

#[expect(clippy::disallowed_methods, reason = "an origin; only offsets matter")]
static NOW: LazyLock<Instant> = LazyLock::new(|| Instant::now() + Duration::from_secs(86400));

impl Alone {
    pub fn new(side: Side) -> Self {
        let mut config = Config::default();
        config.flow_control = Some(FlowControl::new(ROOM, ROOM, ROOM));
        config.deadlines.inactivity = Some(Duration::from_secs(5));
        config.limits.buffered_datagrams = 1;
        config.limits.undelivered_datagrams = 1;
        let mut terms = Terms::new(Dialect::Draft16, Transport::new(Support::Yes));
        terms.peer_flow_control = config.flow_control;
        let id = SessionId::try_from(StreamId::from(0)).unwrap();
        Self {
            session: Session::new(*NOW, side, id, terms, Arc::new(config)),
            side,
            opened: false,
            draining: false,
            closed: false,
            paused: 0,
            held: false,
            halved: false,
            stopped: None,
            half: Half::Open,
            stopped_peer: false,
            streams: BTreeMap::new(),
            begun: Vec::new(),
            ours: Vec::new(),
            sent: 0,
            may_send: ROOM,
            may_open: ROOM,
            uni: 0,
            received: 0,
            consumed: 0,
            limit: ROOM,
        }
    }

    fn theirs(&self) -> [StreamId; 2] {
        let peer = self.side.other();
        [
            StreamId::new(peer, Dir::Uni, 1),
            StreamId::new(peer, Dir::Bi, 1),
        ]
    }

    fn input(&self, step: &Move) -> Option<Input> {
        Some(match *step {
            Move::Body(_, data) => Input::Body {
                data: Bytes::from_static(data),
                fin: false,
            },
            Move::Fin => Input::Body {
                data: Bytes::new(),
                fin: true,
            },
            Move::ConnectReset => Input::ConnectReset { code: CANCELLED },
            Move::ConnectStopped(code) => Input::ConnectStopped { code },
            Move::StreamOpened(stream) => Input::StreamOpened { stream },
            Move::Data(stream, fin) => Input::StreamData {
                stream,
                len: 2,
                fin,
            },
            Move::StreamReset(stream) => Input::StreamReset {
                stream,
                code: GONE,
                final_size: None,
            },
            Move::StreamStopped(stream) => Input::StreamStopped { stream, code: GONE },
            Move::Datagram => Input::DatagramReceived {
                payload: Bytes::from_static(b"d"),
            },
            Move::GoAway => Input::GoAway { id: 0 },
            Move::Lost => Input::ConnectionClosed {
                reason: ConnectionLost::IdleTimeout,
            },
            Move::Wait => Input::Timeout,
            _ => return None,
        })
    }

    fn command(&mut self, step: &Move) -> Result<(), String> {
        let now = *NOW;
        match *step {
            Move::Open => self.session.open(now),
            Move::Reject(by) => {
                self.session
                    .reject(now, by, Rejection::from(StatusCode::FORBIDDEN));
            }
            Move::Fail => self.session.fail(now, Violation::MalformedResponse),
            Move::Close => self.session.close(now, 9, ""),
            Move::Drain => self.session.drain(),
            Move::OpenStream(dir) => {
                let index = 1 + self
                    .ours
                    .iter()
                    .filter(|stream| stream.dir() == dir)
                    .count();
                let stream = StreamId::new(self.side, dir, u64::try_from(index).unwrap());
                if let Ok(permit) = self.session.open_stream(dir) {
                    _ = permit.bind(stream);
                    self.ours.push(stream);
                    self.streams.insert(stream, (false, dir == Dir::Uni));
                    self.uni += u64::from(dir == Dir::Uni);
                    if self.uni > self.may_open {
                        return wrong("more streams than the peer allows");
                    }
                }
            }
            Move::Write(stream) => {
                if let Ok(credit) = self.session.credit(stream) {
                    let len = credit.len().min(2);
                    credit.spend(len);
                    self.sent += u64::try_from(len).unwrap();
                    if self.sent > self.may_send {
                        return wrong("more bytes than the peer allows");
                    }
                }
            }
            Move::Consumed => {
                let len = self.received - self.consumed;
                self.consumed = self.received;
                self.session.consumed(len);
            }
            // A stream that is over says so.
            Move::Finish(stream) => _ = self.session.finish(stream),
            Move::ResetStream(stream) => _ = self.session.reset(stream, 1),
            Move::Stop(stream) => _ = self.session.stop(stream, 1),
            Move::Pause => {
                self.paused += 1;
                self.session.pause();
            }
            Move::Resume => {
                self.paused -= 1;
                self.session.resume(now);
            }
            _ => {}
        }
        Ok(())
    }

    fn listen(&mut self, cause: &Move) -> Result<(), String> {
        for count in 0.. {
            let Some(output) = self.session.poll() else {
                break;
            };
            if count > 40 {
                return wrong("there is no end to it");
            }
            match output {
                Output::Action(action) => self.acts(&action)?,
                Output::Event(event) => self.tells(event, cause)?,
            }
        }
        if self.session.is_drained() && self.session.poll_timeout().is_some() {
            return wrong("what is over waits for something");
        }
        if self.session.is_closed() != self.closed {
            return wrong("it is over, and nobody was told");
        }
        Ok(())
    }

    fn acts(&mut self, action: &Action) -> Result<(), String> {
        let is_right = match action {
            Action::SendBody { data, fin } => {
                let was = self.half;
                if *fin {
                    self.half = Half::Finished;
                }
                was == Half::Open && self.raises(data)
            }
            Action::ResetConnect { .. } => {
                std::mem::replace(&mut self.half, Half::Reset) != Half::Reset
            }
            Action::StopConnect { .. } => !std::mem::replace(&mut self.stopped_peer, true),
            Action::Finish { stream } | Action::Reset { stream, .. } => {
                let known = self.streams.get_mut(stream);
                known.is_none_or(|(sending, _)| !std::mem::replace(sending, true))
            }
            Action::StopSending { stream, .. } => {
                let known = self.streams.get_mut(stream);
                known.is_none_or(|(_, receiving)| !std::mem::replace(receiving, true))
            }
        };
        match is_right {
            true => Ok(()),
            false => wrong(format!(
                "{action:?} on a half that is over, or a limit gone wrong"
            )),
        }
    }

    /// WT_MAX_DATA says more than before, and no more than was read and the first limit.
    fn raises(&mut self, data: &[u8]) -> bool {
        let Some([_, limit]) = data.strip_prefix(b"\x99\x0b\x4d\x3d") else {
            return true;
        };
        let limit = u64::from(*limit);
        let before = std::mem::replace(&mut self.limit, limit);
        // What a reset stream may have brought unseen is given back as well.
        let unseen = ROOM * u64::try_from(self.begun.len() + self.ours.len()).unwrap();
        limit > before && limit <= self.consumed + ROOM + unseen
    }

    fn tells(&mut self, event: Event, cause: &Move) -> Result<(), String> {
        if self.closed {
            return wrong(format!("{event:?} after the end"));
        }
        let is_right = match &event {
            Event::Opened => *cause == Move::Open && !std::mem::replace(&mut self.opened, true),
            Event::Draining => self.opened && !std::mem::replace(&mut self.draining, true),
            Event::Closed { reason } => {
                self.closed = true;
                self.explains(cause, reason)
            }
            Event::StreamOpened { stream } => {
                self.opened
                    && self
                        .streams
                        .insert(*stream, (stream.dir() == Dir::Uni, false))
                        .is_none()
            }
            Event::StreamReset { stream, .. } => self
                .streams
                .get_mut(stream)
                .is_some_and(|half| !std::mem::replace(&mut half.1, true)),
            Event::StreamStopped { stream, .. } => self.streams.contains_key(stream),
            _ => self.opened,
        };
        match is_right {
            true => Ok(()),
            false => wrong(format!("{event:?} for {cause:?}")),
        }
    }

    fn explains(&self, cause: &Move, reason: &CloseReason) -> bool {
        use CloseReason::{Aborted, Local, Peer, Rejected, TimedOut, Withdrawn};
        let is_body =
            matches!(cause, Move::Body(..) | Move::Fin) || (*cause == Move::Open && self.held);
        match reason {
            // Half a capsule takes in what comes behind it.
            Peer {
                via: CloseVia::Capsule,
                code,
                ..
            } => self.opened && is_body && (*code == 7 || self.halved),
            Peer {
                via: CloseVia::Fin,
                code: 0,
                ..
            } => self.opened && *cause == Move::Fin,
            Peer { .. } => false,
            Local { code, .. } => *cause == Move::Close && *code == 9,
            Aborted {
                by: AbortedBy::Reset,
                code,
            } => *cause == Move::ConnectReset && *code == CANCELLED,
            Aborted {
                by: AbortedBy::StopSending,
                code,
            } => {
                let ends = matches!(cause, Move::Body("close", _) | Move::Fin) && !self.halved;
                *cause == Move::ConnectStopped(*code)
                    || self.stopped == Some(*code)
                        && (*cause == Move::Open || *code == GONE && !ends)
            }
            Aborted {
                by: AbortedBy::GoAway,
                ..
            } => *cause == Move::GoAway && self.side == Side::Client && !self.opened,
            Rejected { by, .. } => *cause == Move::Reject(*by) && !self.opened,
            Withdrawn { code } => {
                let came = match cause {
                    Move::Fin => None,
                    Move::ConnectReset => Some(CANCELLED),
                    Move::ConnectStopped(code) => Some(*code),
                    _ => return false,
                };
                self.side == Side::Server && !self.opened && *code == came
            }
            CloseReason::Violation(violation) => match violation {
                Violation::TooManyStreams => matches!(cause, Move::StreamOpened(_)),
                Violation::TooMuchData => matches!(cause, Move::Data(..)),
                // A client has no body to read before the answer.
                Violation::MalformedResponse => {
                    matches!(cause, Move::Fail) || is_body && !self.opened
                }
                _ => is_body,
            },
            TimedOut(Deadline::Request) => *cause == Move::Wait && !self.opened,
            TimedOut(Deadline::Inactivity) => {
                *cause == Move::Wait && self.opened && self.paused == 0
            }
            CloseReason::ConnectionLost(lost) => {
                *cause == Move::Lost && *lost == ConnectionLost::IdleTimeout
            }
        }
    }
}

impl World for Alone {
    type Move = Move;

    fn moves(&self) -> Vec<Move> {
        let [uni, bi] = self.theirs();
        let mut moves = BODIES.to_vec();
        moves.extend([
            Move::Fin,
            Move::ConnectReset,
            Move::ConnectStopped(GONE),
            Move::ConnectStopped(CANCELLED),
            Move::Data(uni, true),
            Move::Data(bi, false),
            Move::StreamReset(uni),
            Move::StreamReset(bi),
            Move::StreamStopped(bi),
            Move::Datagram,
            Move::GoAway,
            Move::Lost,
            Move::Open,
            Move::Reject(Endpoint::Peer),
            Move::Fail,
            Move::Close,
            Move::Drain,
            Move::OpenStream(Dir::Uni),
            Move::Finish(bi),
            Move::ResetStream(bi),
            Move::Stop(uni),
            Move::Write(bi),
        ]);
        // QUIC opens no stream twice.
        let unopened = self
            .theirs()
            .into_iter()
            .filter(|id| !self.begun.contains(id));
        moves.extend(unopened.map(Move::StreamOpened));
        if self.side == Side::Server {
            moves.push(Move::Reject(Endpoint::Local));
        }
        for &stream in &self.ours {
            moves.extend([
                Move::Write(stream),
                Move::Finish(stream),
                Move::StreamStopped(stream),
            ]);
        }
        if self.received > self.consumed {
            moves.push(Move::Consumed);
        }
        if self.session.poll_timeout().is_some() {
            moves.push(Move::Wait);
        }
        if self.paused == 0 {
            moves.push(Move::Pause);
        } else {
            moves.push(Move::Resume);
        }
        moves
    }

    fn make(&mut self, step: &Move) -> Result<(), String> {
        let is_drained = self.session.is_drained();
        match *step {
            Move::Wait => {
                let due = self.session.poll_timeout().unwrap();
                self.session.set_back(due.saturating_duration_since(*NOW));
            }
            Move::StreamOpened(stream) => self.begun.push(stream),
            Move::Body(name, _) => {
                self.held |= !self.opened;
                self.halved |= name.contains("half");
            }
            Move::ConnectStopped(code) if !self.closed => {
                self.stopped = self.stopped.or(Some(code));
            }
            Move::Data(stream, _) => {
                let is_read = self.streams.get(&stream).is_some_and(|&(_, over)| !over);
                self.received += if is_read { 2 } else { 0 };
            }
            _ => {}
        }
        // The limit is in force before it is heard of.
        if let Move::Body("room for data", _) = step {
            self.may_send = 4;
        }
        if let Move::Body("room for streams", _) = step {
            self.may_open = 4;
        }
        match self.input(step) {
            Some(input) => self.session.handle(*NOW, input),
            None => self.command(step)?,
        }
        let (half, stopped) = (self.half, self.stopped_peer);
        self.listen(step)?;
        if is_drained
            && !matches!(step, Move::StreamOpened(_))
            && (half, stopped) != (self.half, self.stopped_peer)
        {
            return wrong("what is over acts");
        }
        if *step == Move::Wait && self.session.poll_timeout().is_some_and(|due| due <= *NOW) {
            return wrong("a deadline that has come stays");
        }
        if let Move::Data(stream, true) = *step {
            if let Some(half) = self.streams.get_mut(&stream) {
                half.1 = true;
            }
        }
        Ok(())
    }

    fn rest(&self) -> Result<(), String> {
        wrong("somebody can always do something")
    }
}
