//! One end of a connection under test; the test plays QUIC and the peer, byte by byte.
//!
//! Beside `testing::Pair`, because with two machines nobody sees what exactly one of them wrote. The
//! bytes are written here by hand, so that the crate's own codecs are not their own judge.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::StatusCode;
use webtransport_session::{
    AbortedBy, Action, CloseMessage, CloseReason, CloseVia, Config, Connection, ConnectionLost,
    Dialect, Dialects, Dir, Event, Input, Output, Request, Response, SessionId, Side, StreamId,
    Support, Transport,
};

pub const H3_NO_ERROR: u64 = 0x100;
pub const H3_STREAM_CREATION_ERROR: u64 = 0x103;
pub const H3_REQUEST_REJECTED: u64 = 0x10b;
pub const H3_REQUEST_CANCELLED: u64 = 0x10c;
pub const H3_REQUEST_INCOMPLETE: u64 = 0x10d;
pub const H3_MESSAGE_ERROR: u64 = 0x10e;
pub const WT_SESSION_GONE: u64 = 0x170d_7b68;
pub const WT_BUFFERED_STREAM_REJECTED: u64 = 0x3994_bd84;
pub const WT_ALPN_ERROR: u64 = 0x0817_b3dd;
pub const WT_REQUIREMENTS_NOT_MET: u64 = 0x212c_0d48;
/// Application code 0 on a data stream (§4.4).
pub const APPLICATION_0: u64 = 0x52e4_a40f_a8db;

/// The stream of the first session.
pub const CONNECT: u64 = 0;

/// The oldest first.
pub const DIALECTS: [Dialect; 4] = [
    Dialect::Draft02,
    Dialect::Draft07,
    Dialect::Draft14,
    Dialect::Draft16,
];

/// Settings by name; those of WebTransport with the number of a draft that had them.
#[allow(dead_code, reason = "no test needs them all")]
pub mod setting {
    pub const MAX_FIELD_SECTION_SIZE: u64 = 0x06;
    pub const ENABLE_CONNECT_PROTOCOL: u64 = 0x08;
    pub const DATAGRAM: u64 = 0x33;
    pub const DATAGRAM_DRAFT04: u64 = 0xff_d277;
    pub const ENABLED_02: u64 = 0x2b60_3742;
    pub const MAX_SESSIONS_04: u64 = 0x2b60_3743;
    pub const MAX_SESSIONS_07: u64 = 0xc671_706a;
    pub const MAX_SESSIONS_13: u64 = 0x14e9_cd29;
    pub const ENABLED_16: u64 = 0x2c7c_f000;
    pub const MAX_DATA: u64 = 0x2b61;
    pub const MAX_STREAMS_UNI: u64 = 0x2b64;
    pub const MAX_STREAMS_BIDI: u64 = 0x2b65;
    pub const LIMITS: [u64; 3] = [MAX_DATA, MAX_STREAMS_UNI, MAX_STREAMS_BIDI];
}

pub struct Rig {
    pub connection: Connection,
    pub now: Instant,
    side: Side,
    dialect: Dialect,
    /// The data streams that were opened, and whose they are.
    streams: Vec<(SessionId, StreamId)>,
    /// What QUIC takes of each write: all of it, unless a test says otherwise.
    pub takes: usize,
    /// How many of the peer's bytes come at a time: all of them, unless a test says otherwise.
    pub chunk_len: usize,
    /// How many streams we have opened for sessions.
    opened: u64,
}

// ---- making one

impl Rig {
    /// A connection that has started and has the peer's SETTINGS; drafts 15/16.
    pub fn new(side: Side) -> Self {
        Self::with(side, Config::default(), Dialect::Draft16)
    }

    /// With a configuration, speaking one dialect.
    pub fn with(side: Side, config: Config, dialect: Dialect) -> Self {
        Self::on(side, config, dialect, Transport::new(Support::Yes))
    }

    /// With a QUIC stack that can do other things than most.
    pub fn on(side: Side, config: Config, dialect: Dialect, transport: Transport) -> Self {
        let mut rig = Self::started(side, config, dialect, transport);
        rig.feed(rig.peer_control(), &peer_settings(side, dialect));
        let events = rig.events();
        assert!(matches!(events[..], [Event::Ready(_)]), "{events:?}");
        rig
    }

    /// Started, and without the peer's SETTINGS.
    pub fn before_settings(side: Side, config: Config) -> Self {
        Self::started(side, config, Dialect::Draft16, Transport::new(Support::Yes))
    }

    /// The same, in other circumstances.
    pub fn started(side: Side, config: Config, dialect: Dialect, transport: Transport) -> Self {
        let mut rig = Self::before_start(side, config, dialect);
        rig.start(transport);
        rig.drain();
        rig
    }

    /// QUIC is connected, and the first of our streams is the control stream.
    pub fn start(&mut self, transport: Transport) {
        self.connection.start(self.now, transport);
        // There is none where what was remembered ends the connection at once.
        if let Some(permit) = self.connection.protocol_stream() {
            permit.bind(StreamId::new(self.side, Dir::Uni, 0));
        }
    }

    /// While QUIC shakes hands.
    pub fn before_start(side: Side, config: Config, dialect: Dialect) -> Self {
        let config = Arc::new(config);
        let connection = match side {
            Side::Client => Connection::client(config),
            Side::Server => Connection::server(config),
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "an origin; only offsets from it matter"
        )]
        let now = Instant::now();
        Self {
            connection,
            now,
            side,
            dialect,
            streams: Vec::new(),
            takes: usize::MAX,
            chunk_len: usize::MAX,
            opened: 0,
        }
    }

    /// With one open session: the CONNECT stream is 0.
    pub fn open(side: Side) -> (Self, SessionId) {
        let mut rig = Self::new(side);
        let session = rig.open_session();
        (rig, session)
    }

    pub fn open_with(side: Side, config: Config, dialect: Dialect) -> (Self, SessionId) {
        let mut rig = Self::with(side, config, dialect);
        let session = rig.open_session();
        (rig, session)
    }

    /// With one session that waits for its answer.
    pub fn requested(side: Side) -> (Self, SessionId) {
        let mut rig = Self::new(side);
        let session = rig.request_session(CONNECT);
        (rig, session)
    }

    pub fn open_session(&mut self) -> SessionId {
        let session = self.request_session(CONNECT);
        self.answer(session);
        session
    }

    /// The CONNECT goes out or comes in; what that gives is checked and dropped.
    pub fn request_session(&mut self, stream: u64) -> SessionId {
        match self.side {
            Side::Client => {
                let request = request();
                let permit = self.connection.connect(self.now, &request).unwrap();
                let session = permit.bind(stream.into());
                let outputs = self.outputs();
                assert!(
                    matches!(
                        &outputs[..],
                        [Output::Action(Action::Write { fin: false, .. })]
                    ),
                    "{outputs:?}"
                );
                session
            }
            Side::Server => {
                self.feed(stream, &connect_request(self.token()));
                let events = self.events();
                let [Event::SessionRequested { session, .. }] = events[..] else {
                    panic!("{events:?}");
                };
                session
            }
        }
    }

    /// The 2xx comes in or goes out; what that gives is checked and dropped.
    pub fn answer(&mut self, session: SessionId) {
        match self.side {
            Side::Client => self.feed(session.connect_stream(), &response("200")),
            Side::Server => self
                .connection
                .accept(self.now, session, Response::default())
                .unwrap(),
        }
        let events = self.events();
        assert!(
            matches!(events.first(), Some(Event::SessionOpened { .. })),
            "{events:?}"
        );
    }

    pub fn token(&self) -> &'static str {
        match self.dialect {
            Dialect::Draft02 | Dialect::Draft07 | Dialect::Draft14 => "webtransport",
            Dialect::Draft16 => "webtransport-h3",
        }
    }

    pub fn side(&self) -> Side {
        self.side
    }

    /// The peer's control stream.
    pub fn peer_control(&self) -> u64 {
        match self.side {
            Side::Client => 3,
            Side::Server => 2,
        }
    }

    /// A bidirectional stream that the peer can open beside the CONNECT stream: the `n`th.
    pub fn peer_bidi(&self, n: u64) -> StreamId {
        match self.side {
            Side::Client => StreamId::new(Side::Server, Dir::Bi, n),
            Side::Server => StreamId::new(Side::Client, Dir::Bi, n + 1),
        }
    }

    /// A unidirectional stream that the peer can open beside its control stream: the `n`th.
    pub fn peer_uni(&self, n: u64) -> StreamId {
        let peer = match self.side {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        };
        StreamId::new(peer, Dir::Uni, n + 1)
    }
}

// ---- the peer and QUIC

impl Rig {
    pub fn handle(&mut self, input: Input) {
        self.connection.handle(self.now, input);
    }

    pub fn feed(&mut self, stream: impl Into<StreamId>, data: &[u8]) {
        self.chunk(stream, data, false);
    }

    pub fn feed_fin(&mut self, stream: impl Into<StreamId>, data: &[u8]) {
        self.chunk(stream, data, true);
    }

    pub fn feed_maybe_fin(&mut self, stream: impl Into<StreamId>, data: &[u8], fin: bool) {
        self.chunk(stream, data, fin);
    }

    fn chunk(&mut self, stream: impl Into<StreamId>, mut data: &[u8], fin: bool) {
        let stream = stream.into();
        loop {
            let (now, later) = data.split_at(data.len().min(self.chunk_len));
            self.handle(Input::StreamData {
                stream,
                data: Bytes::copy_from_slice(now),
                fin: fin && later.is_empty(),
            });
            if later.is_empty() {
                return;
            }
            data = later;
        }
    }

    pub fn peer_resets(&mut self, stream: impl Into<StreamId>, code: u64) {
        self.handle(Input::StreamReset {
            stream: stream.into(),
            code,
            final_size: None,
        });
    }

    pub fn peer_stops(&mut self, stream: impl Into<StreamId>, code: u64) {
        self.handle(Input::StreamStopped {
            stream: stream.into(),
            code,
        });
    }

    pub fn peer_sends_datagram(&mut self, session: u64, payload: &[u8]) {
        let mut data = varint(session / 4);
        data.extend_from_slice(payload);
        self.handle(Input::DatagramReceived { data: data.into() });
    }

    pub fn connection_lost(&mut self, reason: ConnectionLost) {
        self.handle(Input::ConnectionClosed { reason });
    }

    /// Lets time pass, stopping at each deadline on the way.
    pub fn wait(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(due) = self.connection.poll_timeout() {
            if due > until {
                break;
            }
            self.now = self.now.max(due);
            self.handle(Input::Timeout);
            if self.connection.poll_timeout() == Some(due) {
                panic!("a timeout that does not go away");
            }
        }
        self.now = until;
    }

    /// The peer opens a stream of `session` and sends `payload`.
    pub fn peer_opens(&mut self, stream: StreamId, session: SessionId, payload: &[u8]) {
        self.peer_opens_for(session.connect_stream().into(), stream, payload);
    }

    /// The peer opens a stream that names any id as its session's.
    pub fn peer_opens_for(&mut self, session: u64, stream: StreamId, payload: &[u8]) {
        let mut data = stream_header(stream.dir(), session);
        data.extend_from_slice(payload);
        self.feed(stream, &data);
    }

    /// We open a stream of `session`; its header is written.
    pub fn we_open(&mut self, session: SessionId, dir: Dir) -> StreamId {
        self.opened += 1;
        let stream = StreamId::new(self.side, dir, 99 + self.opened);
        self.connection.open(session, dir).unwrap().bind(stream);
        let outputs = self.outputs();
        let header = stream_header(dir, session.connect_stream().into());
        assert_eq!(outputs, [write(stream, &header, false)]);
        self.streams.push((session, stream));
        stream
    }

    /// One live stream of each kind. Gives what ends them when the session is gone.
    pub fn one_stream_of_each_kind(&mut self, session: SessionId) -> Vec<Output> {
        let (their_bi, their_uni) = (self.peer_bidi(0), self.peer_uni(0));
        self.peer_opens(their_bi, session, b"");
        self.peer_opens(their_uni, session, b"");
        self.drain();
        let our_bi = self.we_open(session, Dir::Bi);
        let our_uni = self.we_open(session, Dir::Uni);
        let mut gone = Vec::new();
        for stream in [their_bi, our_bi, our_uni] {
            gone.push((stream, reset(stream, WT_SESSION_GONE)));
        }
        for stream in [their_bi, our_bi, their_uni] {
            gone.push((stream, stop_sending(stream, WT_SESSION_GONE)));
        }
        gone.sort_by_key(|&(stream, _)| stream);
        gone.into_iter().map(|(_, action)| action).collect()
    }

    /// Everything there is to poll, in order. Writes are answered as `takes` says.
    pub fn outputs(&mut self) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Some(output) = self.connection.poll() {
            if let Output::Action(Action::Write { stream, data, fin }) = &output {
                let len = data.len().min(self.takes);
                let fin = *fin && len == data.len() && self.takes > 0;
                let stream = *stream;
                self.handle(Input::Written { stream, len, fin });
            }
            outputs.push(output);
        }
        outputs
    }

    /// Everything there is to poll; only the events are given.
    pub fn events(&mut self) -> Vec<Event> {
        let outputs = self.outputs();
        outputs
            .into_iter()
            .filter_map(|output| match output {
                Output::Event(event) => Some(event),
                Output::Action(_) => None,
            })
            .collect()
    }

    pub fn drain(&mut self) {
        self.outputs();
    }
}

// ---- what must be seen

impl Rig {
    /// Exactly these actions and one `SessionClosed` with this reason; then nothing of the session
    /// whatever the peer and the application still do, and everything as if it had never been.
    #[track_caller]
    pub fn ends(mut self, session: SessionId, reason: CloseReason, actions: &[Output]) {
        self.closes(session, reason, actions);
        self.is_over(session);
    }

    /// The same, where the peer never closes its half of the CONNECT stream (E52).
    #[track_caller]
    pub fn ends_after_linger(
        mut self,
        session: SessionId,
        reason: CloseReason,
        actions: &[Output],
    ) {
        self.closes(session, reason, actions);
        assert!(!self.connection.is_settled());
        self.wait(Duration::from_secs(3));
        let stop = stop_sending(session.connect_stream(), WT_SESSION_GONE);
        assert_eq!(self.outputs(), [stop]);
        self.is_over(session);
    }

    /// Exactly these actions and one `SessionClosed` with this reason.
    #[track_caller]
    pub fn closes(&mut self, session: SessionId, reason: CloseReason, actions: &[Output]) {
        let mut expected = actions.to_vec();
        expected.push(closed(session, reason));
        assert_eq!(self.outputs(), expected);
    }

    /// The session is over: late input is absorbed, late commands fail, nothing is left.
    #[track_caller]
    pub fn is_over(&mut self, session: SessionId) {
        let connect: u64 = session.connect_stream().into();
        assert_eq!(self.connection.sessions().count(), 0);
        for &(owner, stream) in &self.streams.clone() {
            if owner == session {
                self.stream_is_over(stream);
            }
        }
        self.peer_sends_datagram(connect, b"late");
        self.feed_fin(connect, b"");
        self.peer_resets(connect, 7);
        self.peer_stops(connect, 7);
        assert!(self.connection.open(session, Dir::Bi).is_err());
        assert!(self.connection.datagram(session).is_err());
        assert!(self.connection.last_activity(session).is_none());
        self.connection.drain(session);
        self.connection.close(self.now, session, 1, "late");
        self.wait(Duration::from_secs(20)); // every deadline of a session, not the idle one
        assert_eq!(self.outputs(), []);
        assert!(self.connection.is_settled());
        assert!(!self.connection.wants(session.connect_stream()));
        if self.side == Side::Client {
            assert_eq!(self.connection.poll_timeout(), None, "nothing to wait for");
        }
    }

    #[track_caller]
    fn stream_is_over(&mut self, stream: StreamId) {
        assert!(!self.connection.wants(stream), "{stream}");
        self.feed_fin(stream, b"late");
        self.peer_resets(stream, 7);
        self.peer_stops(stream, 7);
        self.handle(Input::StreamWritable { stream });
        assert!(self.connection.credit(stream).is_err(), "{stream}");
        assert!(self.connection.finish(stream).is_err(), "{stream}");
        assert!(self.connection.reset(stream, 0).is_err(), "{stream}");
        assert!(self.connection.stop(stream, 0).is_err(), "{stream}");
    }

    /// Exactly these actions, one `SessionClosed` for each of these sessions, and the one
    /// `ConnectionClosed`; then nothing, whatever comes.
    #[track_caller]
    pub fn connection_ends(
        mut self,
        sessions: &[SessionId],
        reason: &ConnectionLost,
        actions: &[Output],
        condition: &str,
    ) {
        let mut expected = actions.to_vec();
        for &session in sessions {
            let reason = CloseReason::ConnectionLost(reason.clone());
            expected.push(closed(session, reason));
        }
        expected.push(connection_closed(reason));
        assert_eq!(self.outputs(), expected, "{condition}");
        self.is_inert(condition);
    }

    /// The connection is over: every input and command leaves it as it is.
    #[track_caller]
    pub fn is_inert(&mut self, condition: &str) {
        let stats = self.connection.stats();
        let control = self.peer_control();
        self.feed_fin(CONNECT, &close_frame(1, b"late"));
        self.feed_fin(control, &tlv(0x00, b""));
        self.peer_resets(control, 7);
        for stream in [StreamId::from(CONNECT), self.peer_bidi(7), self.peer_uni(7)] {
            assert!(!self.connection.wants(stream), "{condition}");
            let (len, fin, dir) = (1, true, stream.dir());
            self.feed(stream, b"late");
            self.peer_resets(stream, 7);
            self.peer_stops(stream, 7);
            self.handle(Input::Written { stream, len, fin });
            self.handle(Input::StreamWritable { stream });
            self.handle(Input::StreamsAvailable { dir });
            assert!(self.connection.credit(stream).is_err(), "{condition}");
            assert!(self.connection.finish(stream).is_err(), "{condition}");
            assert!(self.connection.reset(stream, 1).is_err(), "{condition}");
            assert!(self.connection.stop(stream, 1).is_err(), "{condition}");
            self.connection.pause(stream);
            self.connection.resume(stream);
        }
        self.peer_sends_datagram(CONNECT, b"late");
        self.handle(Input::DatagramReceived { data: Bytes::new() });
        self.connection_lost(ConnectionLost::StatelessReset);
        let session = SessionId::try_from(StreamId::from(CONNECT)).unwrap();
        let (now, transport) = (self.now, Transport::new(Support::Yes));
        let request = request();
        let rejection = StatusCode::NOT_FOUND.into();
        let connection = &mut self.connection;
        connection.start(now, transport);
        assert!(connection.protocol_stream().is_none(), "{condition}");
        assert!(connection.connect(now, &request).is_err(), "{condition}");
        let answer = connection.accept(now, session, Response::default());
        assert!(answer.is_err(), "{condition}");
        assert!(connection.reject(now, session, rejection).is_err());
        assert!(connection.open(session, Dir::Bi).is_err(), "{condition}");
        assert!(connection.datagram(session).is_err(), "{condition}");
        assert!(connection.last_activity(session).is_none(), "{condition}");
        connection.drain(session);
        connection.close(now, session, 1, "late");
        connection.go_away();
        connection.shutdown(now, 1, "late");
        assert_eq!(connection.sessions().count(), 0, "{condition}");
        assert_eq!(connection.poll_timeout(), None, "{condition}");
        assert_eq!(connection.stats(), stats, "{condition}");
        assert!(connection.is_settled(), "{condition}");
        assert!(connection.is_closed(), "{condition}");
        self.wait(Duration::from_secs(3600));
        assert_eq!(self.outputs(), [], "{condition}");
    }
}

pub fn event(event: Event) -> Output {
    Output::Event(event)
}

pub fn aborted_by_reset(code: u64) -> CloseReason {
    let by = AbortedBy::Reset;
    CloseReason::Aborted { by, code }
}

pub fn aborted_by_stop(code: u64) -> CloseReason {
    let by = AbortedBy::StopSending;
    CloseReason::Aborted { by, code }
}

pub fn connection_closed(reason: &ConnectionLost) -> Output {
    let reason = reason.clone();
    Output::Event(Event::ConnectionClosed { reason })
}

pub fn close_connection(code: u64, reason: &'static str) -> Output {
    Output::Action(Action::CloseConnection { code, reason })
}

pub fn closed(session: SessionId, reason: CloseReason) -> Output {
    Output::Event(Event::SessionClosed { session, reason })
}

/// The peer's close capsule.
pub fn by_capsule(code: u32, message: &str) -> CloseReason {
    CloseReason::Peer {
        code,
        message: message.into(),
        via: CloseVia::Capsule,
    }
}

/// The peer's FIN without a capsule.
pub fn by_fin() -> CloseReason {
    CloseReason::Peer {
        code: 0,
        message: CloseMessage::default(),
        via: CloseVia::Fin,
    }
}

pub fn write(stream: impl Into<StreamId>, data: &[u8], fin: bool) -> Output {
    Output::Action(Action::Write {
        stream: stream.into(),
        data: Bytes::copy_from_slice(data),
        fin,
    })
}

pub fn read(stream: impl Into<StreamId>) -> Output {
    let stream = stream.into();
    Output::Action(Action::Read { stream })
}

pub fn reset(stream: impl Into<StreamId>, code: u64) -> Output {
    Output::Action(Action::Reset {
        stream: stream.into(),
        code,
        reliable_size: 0,
    })
}

/// A reset of a stream that we opened, where the host may deliver its header all the same.
pub fn reset_after(stream: impl Into<StreamId>, code: u64, reliable_size: u64) -> Output {
    Output::Action(Action::Reset {
        stream: stream.into(),
        code,
        reliable_size,
    })
}

pub fn stop_sending(stream: impl Into<StreamId>, code: u64) -> Output {
    Output::Action(Action::StopSending {
        stream: stream.into(),
        code,
    })
}

/// A configuration with one dialect only.
pub fn speaking(dialect: Dialect) -> Config {
    let mut config = Config::default();
    config.dialects = Dialects::only(dialect);
    config
}

/// Runs a test as client and as server.
pub fn both_roles(test: impl Fn(Side)) {
    for side in [Side::Client, Side::Server] {
        println!("as {side:?}");
        test(side);
    }
}

// ---- bytes

pub fn varint(value: u64) -> Vec<u8> {
    match value {
        0..0x40 => vec![value as u8],
        0x40..0x4000 => (value as u16 | 0x4000).to_be_bytes().to_vec(),
        0x4000..0x4000_0000 => (value as u32 | 0x8000_0000).to_be_bytes().to_vec(),
        _ => (value | 0xc000_0000_0000_0000).to_be_bytes().to_vec(),
    }
}

/// Type, length, payload: a frame or a capsule.
pub fn tlv(kind: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = varint(kind);
    bytes.extend(varint(payload.len() as u64));
    bytes.extend_from_slice(payload);
    bytes
}

/// A frame, and a capsule, of a type that is reserved to be ignored: 0x40 is 0x1f * 1 + 0x21 and
/// 0x29 * 1 + 0x17.
pub fn grease(payload: &[u8]) -> Vec<u8> {
    tlv(0x40, payload)
}

/// An HTTP/3 DATA frame.
pub fn data_frame(payload: &[u8]) -> Vec<u8> {
    tlv(0x00, payload)
}

/// A WT_CLOSE_SESSION capsule, without its DATA frame.
pub fn close_capsule(code: u32, message: &[u8]) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(message);
    tlv(0x2843, &payload)
}

/// A WT_CLOSE_SESSION capsule in a DATA frame.
pub fn close_frame(code: u32, message: &[u8]) -> Vec<u8> {
    data_frame(&close_capsule(code, message))
}

/// A HEADERS frame: literal names and values, nothing indexed, no Huffman coding.
pub fn headers(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut section = vec![0, 0];
    for (name, value) in fields {
        prefixed(&mut section, 0x20, 7, name.len());
        section.extend_from_slice(name.as_bytes());
        prefixed(&mut section, 0x00, 127, value.len());
        section.extend_from_slice(value.as_bytes());
    }
    tlv(0x01, &section)
}

fn prefixed(out: &mut Vec<u8>, pattern: u8, max: usize, mut value: usize) {
    if value < max {
        out.push(pattern | value as u8);
        return;
    }
    out.push(pattern | max as u8);
    value -= max;
    while value >= 128 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// What the client asks for.
pub fn request() -> Request {
    Request::new("https://example.org/game".parse().unwrap())
}

pub fn connect_request(token: &str) -> Vec<u8> {
    connect_request_with(token, &[])
}

/// The same with more fields.
pub fn connect_request_with(token: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [
        (":method", "CONNECT"),
        (":protocol", token),
        (":scheme", "https"),
        (":authority", "example.org"),
        (":path", "/game"),
    ];
    headers(&[&pseudo, more].concat())
}

pub fn response(status: &str) -> Vec<u8> {
    headers(&[(":status", status)])
}

/// What the server writes for a 200 without headers: QPACK's static entry 25.
pub const OK_200: &[u8] = &[0x01, 0x03, 0x00, 0x00, 0xd9];

pub fn stream_header(dir: Dir, session: u64) -> Vec<u8> {
    let mut bytes = varint(match dir {
        Dir::Bi => 0x41,
        Dir::Uni => 0x54,
    });
    bytes.extend(varint(session));
    bytes
}

pub fn settings(entries: &[(u64, u64)]) -> Vec<u8> {
    let payload: Vec<u8> = entries
        .iter()
        .flat_map(|&(id, value)| [varint(id), varint(value)].concat())
        .collect();
    tlv(0x04, &payload)
}

/// The setting by which a peer is known to speak a dialect.
pub fn codepoint(dialect: Dialect) -> (u64, u64) {
    match dialect {
        Dialect::Draft02 => (setting::ENABLED_02, 1),
        Dialect::Draft07 => (setting::MAX_SESSIONS_07, 1),
        Dialect::Draft14 => (setting::MAX_SESSIONS_13, 1),
        Dialect::Draft16 => (setting::ENABLED_16, 1),
    }
}

/// The peer's control stream as it begins, announcing one dialect.
pub fn peer_settings(side: Side, dialect: Dialect) -> Vec<u8> {
    peer_settings_with(side, &[codepoint(dialect)])
}

/// The same, announcing these settings beside those that every dialect needs.
pub fn peer_settings_with(side: Side, more: &[(u64, u64)]) -> Vec<u8> {
    let mut entries = [&[(setting::DATAGRAM, 1)], more].concat();
    if side == Side::Client {
        entries.push((setting::ENABLE_CONNECT_PROTOCOL, 1));
    }
    let mut bytes = vec![0x00];
    bytes.extend(settings(&entries));
    bytes
}
