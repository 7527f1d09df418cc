//! Everything that QUIC, a peer and an application can do to a connection, right or wrong.

use std::{sync::Arc, time::Duration};

use arbitrary::Arbitrary;
use http::StatusCode;
use webtransport_session::{
    Config, Connection, ConnectionLost, Dialect, Dir, FlowControl, Input, Rejection, SessionId,
    Side, StreamId, Support, Transport, trace::Step,
};

use crate::{
    support::{
        close_capsule, connect_request, data_frame, headers, peer_settings, request, response,
        stream_header, tlv, varint,
    },
    watch::Watched,
};

#[derive(Arbitrary, Clone, Debug)]
pub enum Turn {
    Says { stream: Id, phrases: Vec<Phrase>, fin: bool },
    IsReset { stream: Id, code: Code, size: Option<u32> },
    IsStopped { stream: Id, code: Code },
    Written { stream: Id, len: u8, fin: bool },
    Writable { stream: Id },
    Acknowledged { stream: Id },
    Available { uni: bool },
    Datagram { session: u8, payload: Vec<u8> },
    RawDatagram { data: Vec<u8> },
    Lost,
    Timeout,
    Wait { millis: u16 },
    GoBack { millis: u16 },
    /// All actions, on a QUIC that takes everything.
    Perform,
    Poll { times: u8 },
    Connect { bound: Option<Id> },
    Accept { session: u8 },
    Reject { session: u8, status: u16 },
    Close { session: u8, code: u32 },
    Drain { session: u8 },
    GoAway,
    ShutDown,
    Open { session: u8, uni: bool, bound: Option<Id> },
    Credit { stream: Id, spent: Option<u8> },
    Finish { stream: Id },
    Reset { stream: Id, code: u32 },
    Stop { stream: Id, code: u32 },
    Pause { stream: Id },
    Resume { stream: Id },
}

/// A stream: nearly always one of the first.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Id {
    Small(u8),
    Any(u64),
}

impl From<Id> for StreamId {
    fn from(id: Id) -> Self {
        match id {
            Id::Small(id) => (u64::from(id) % 32).into(),
            Id::Any(id) => id.into(),
        }
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Code {
    Gone,
    Cancelled,
    Any(u64),
}

impl From<Code> for u64 {
    fn from(code: Code) -> Self {
        match code {
            Code::Gone => 0x170d_7b68,
            Code::Cancelled => 0x10c,
            Code::Any(code) => code,
        }
    }
}

/// What may stand on a stream.
#[derive(Arbitrary, Clone, Debug)]
pub enum Phrase {
    Settings(u8),
    Request(bool),
    Response(u16),
    Fields(Vec<(String, String)>),
    Header { uni: bool, session: u8 },
    StreamType(u8),
    Close { code: u32, message: Vec<u8> },
    Capsule { kind: u8, payload: Vec<u8> },
    Limit { kind: u8, value: u64 },
    Frame { kind: u8, payload: Vec<u8> },
    Varint(u64),
    Bytes(Vec<u8>),
}

const VARINT_MAX: u64 = (1 << 62) - 1;

impl Phrase {
    fn bytes(&self, side: Side) -> Vec<u8> {
        match self {
            Self::Settings(dialect) => {
                let dialects =
                    [Dialect::Draft02, Dialect::Draft07, Dialect::Draft14, Dialect::Draft16];
                peer_settings(side, dialects[usize::from(dialect % 4)])
            }
            Self::Request(new) => {
                connect_request(if *new { "webtransport-h3" } else { "webtransport" })
            }
            Self::Response(status) => response(&(100 + status % 500).to_string()),
            Self::Fields(fields) => {
                let fields: Vec<_> = fields
                    .iter()
                    .filter(|(name, value)| name.len() < 100 && value.len() < 100)
                    .map(|(name, value)| (name.as_str(), value.as_str()))
                    .collect();
                headers(&fields)
            }
            Self::Header { uni, session } => stream_header(dir(*uni), u64::from(*session)),
            Self::StreamType(kind) => vec![kind % 64],
            Self::Close { code, message } => {
                data_frame(&close_capsule(*code, &message[..message.len().min(1030)]))
            }
            Self::Capsule { kind, payload } => {
                let kinds = [0x00, 0x17, 0x2843, 0x78ae, 0x190b_4d3d, 0x190b_4d3e, 0x190b_4d42];
                data_frame(&tlv(kinds[usize::from(*kind) % kinds.len()], payload))
            }
            Self::Limit { kind, value } => {
                let kind = 0x190b_4d3d + u64::from(kind % 8);
                data_frame(&tlv(kind, &varint(value & VARINT_MAX)))
            }
            Self::Frame { kind, payload } => {
                let kinds =
                    [0x00, 0x01, 0x03, 0x04, 0x05, 0x07, 0x0d, 0x21, 0x40, 0x41, 0xf0700, 0xf0701];
                tlv(kinds[usize::from(*kind) % kinds.len()], payload)
            }
            Self::Varint(value) => varint(value & VARINT_MAX),
            Self::Bytes(bytes) => bytes.clone(),
        }
    }
}

fn dir(uni: bool) -> Dir {
    if uni { Dir::Uni } else { Dir::Bi }
}

/// Each limit is small enough to be met.
fn config(flow_control: bool) -> Config {
    let mut config = Config::default();
    config.deadlines.request = Some(Duration::from_secs(5));
    config.deadlines.inactivity = Some(Duration::from_secs(6));
    config.deadlines.idle_connection = Some(Duration::from_secs(9));
    config.limits.sessions = 3;
    config.limits.unanswered_requests = 2;
    config.limits.answered_requests = 2;
    config.limits.unanswered_body = 40;
    config.limits.buffered_streams = 3;
    config.limits.buffered_bytes = 60;
    config.limits.buffered_datagrams = 2;
    config.limits.undelivered_datagrams = 2;
    config.limits.undelivered_bytes = 2000;
    config.limits.unwritten_bytes = 600;
    config.grease = Some(7);
    if flow_control {
        config.flow_control = Some(FlowControl::new(10, 2, 2));
    }
    config
}

#[derive(Arbitrary, Clone, Debug)]
pub struct Play {
    flow_control: bool,
    beginning: Beginning,
    turns: Vec<Turn>,
}

/// How far everything has gone well.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Beginning {
    Nothing,
    Started,
    Ready,
    Open,
}

fn begin(side: Side, beginning: Beginning, watched: &mut Watched) {
    let says = |id, phrase| Turn::Says {
        stream: Id::Small(id),
        phrases: vec![phrase],
        fin: false,
    };
    if beginning >= Beginning::Started {
        let control = StreamId::new(side, Dir::Uni, 0);
        let transport = Transport::new(Support::Yes);
        watched.step(Step::Start { transport, remembered: None });
        watched.step(Step::ProtocolStream { bound: control });
        watched.perform();
    }
    if beginning >= Beginning::Ready {
        let control = if side == Side::Client { 3 } else { 2 };
        make(side, watched, says(control, Phrase::Settings(3)));
    }
    if beginning >= Beginning::Open {
        match side {
            Side::Client => {
                make(side, watched, Turn::Connect { bound: Some(Id::Small(0)) });
                make(side, watched, says(0, Phrase::Response(100)));
            }
            Side::Server => {
                make(side, watched, says(0, Phrase::Request(true)));
                make(side, watched, Turn::Poll { times: 255 });
                make(side, watched, Turn::Accept { session: 0 });
            }
        }
    }
}

pub fn run(side: Side, play: Play) {
    let config = Arc::new(config(play.flow_control));
    let connection = match side {
        Side::Client => Connection::client(config),
        Side::Server => Connection::server(config),
    };
    let mut watched = Watched::new(connection);
    begin(side, play.beginning, &mut watched);
    for turn in play.turns.into_iter().take(200) {
        make(side, &mut watched, turn);
        watched.log.clear();
    }
    watched.finish();
}

fn make(side: Side, watched: &mut Watched, turn: Turn) {
    let session = |n: u8| SessionId::try_from(StreamId::from(4 * u64::from(n % 4))).unwrap();
    let input = match turn {
        Turn::Says { stream, phrases, fin } => {
            let data: Vec<_> = phrases.iter().take(8).flat_map(|phrase| phrase.bytes(side)).collect();
            Input::StreamData { stream: stream.into(), data: data.into(), fin }
        }
        Turn::IsReset { stream, code, size } => Input::StreamReset {
            stream: stream.into(),
            code: code.into(),
            final_size: size.map(u64::from),
        },
        Turn::IsStopped { stream, code } => {
            Input::StreamStopped { stream: stream.into(), code: code.into() }
        }
        Turn::Written { stream, len, fin } => {
            Input::Written { stream: stream.into(), len: len.into(), fin }
        }
        Turn::Writable { stream } => Input::StreamWritable { stream: stream.into() },
        Turn::Acknowledged { stream } => Input::StreamAcknowledged { stream: stream.into() },
        Turn::Available { uni } => Input::StreamsAvailable { dir: dir(uni) },
        Turn::Datagram { session, payload } => {
            let data = [varint(u64::from(session % 4)), payload].concat();
            Input::DatagramReceived { data: data.into() }
        }
        Turn::RawDatagram { data } => Input::DatagramReceived { data: data.into() },
        Turn::Lost => Input::ConnectionClosed { reason: ConnectionLost::IdleTimeout },
        Turn::Timeout => Input::Timeout,
        Turn::Wait { millis } => return watched.wait(Duration::from_millis(millis.into())),
        Turn::GoBack { millis } => return watched.go_back(Duration::from_millis(millis.into())),
        Turn::Perform => return watched.perform(),
        Turn::Connect { bound } => return connect(watched, bound),
        Turn::Open { session: id, uni, bound } => {
            let (id, dir) = (session(id), dir(uni));
            let stream = bound.map(StreamId::from);
            let opened = watched.connection.open(id, dir).map(|permit| match stream {
                Some(stream) => permit.bind(stream),
                None => drop(permit),
            });
            if let (Ok(()), Some(stream)) = (opened, stream) {
                watched.opened(id, stream);
            }
            return;
        }
        Turn::Credit { stream, spent } => {
            if let Ok(credit) = watched.connection.credit(stream.into()) {
                assert!(credit.len() > 0);
                if let Some(spent) = spent {
                    credit.spend(spent.into());
                }
            }
            return;
        }
        command => return watched.step(step_of(command, session)),
    };
    watched.step(Step::Input(input));
}

fn step_of(command: Turn, session: impl Fn(u8) -> SessionId) -> Step {
    match command {
        Turn::Accept { session: id } => {
            Step::Accept { session: session(id), response: Box::default() }
        }
        Turn::Reject { session: id, status } => {
            let status = StatusCode::from_u16(100 + status % 900).unwrap();
            Step::Reject { session: session(id), rejection: Box::new(Rejection::from(status)) }
        }
        Turn::Close { session: id, code } => {
            Step::Close { session: session(id), code, message: "closed".into() }
        }
        Turn::Drain { session: id } => Step::Drain { session: session(id) },
        Turn::GoAway => Step::GoAway,
        Turn::ShutDown => Step::Shutdown { code: 1, message: "shut down".into() },
        Turn::Finish { stream } => Step::Finish { stream: stream.into() },
        Turn::Reset { stream, code } => Step::Reset { stream: stream.into(), code },
        Turn::Stop { stream, code } => Step::Stop { stream: stream.into(), code },
        Turn::Pause { stream } => Step::Pause { stream: stream.into() },
        Turn::Resume { stream } => Step::Resume { stream: stream.into() },
        Turn::Poll { times } => Step::Poll { times: times.into() },
        _ => Step::Poll { times: u64::MAX },
    }
}

fn connect(watched: &mut Watched, bound: Option<Id>) {
    let before = watched.connection.sessions().collect();
    let now = watched.now();
    let request = request();
    let permit = watched.connection.connect(now, &request);
    let session = permit.map(|permit| bound.map(|stream| permit.bind(stream.into())));
    if let Ok(Some(session)) = session {
        watched.bound(session, &before);
    }
}
