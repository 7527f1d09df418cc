//! One thing done as badly as it can be, for each term of the formula: what has to be remembered in
//! pieces, what keeps more alive than itself, and what can be had again and again.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use webtransport_session::{
    Config, Dialect, Dir, Input, Limits, Request, Response, SessionId, Side, StreamId, Support,
    Transport,
};

use crate::{
    meter::{Acted, Metered},
    support::{
        close_capsule, connect_request, data_frame, headers, peer_settings, response,
        stream_header, tlv, varint,
    },
    theme::{Quic, tiny},
    worst_case,
};

pub fn the_worst_of_each_kind_stays_below_the_formula() {
    for field in [
        "origin",
        ":path",
        ":authority",
        "wt-available-protocols",
        "x",
    ] {
        requests_taken_back(field, 1);
        requests_taken_back(field, 12_000);
        requests_held(field, 12_000);
    }
    requests_taken_back("names", 12_000);
    requests_held("names", 12_000);
    priorities_in_one_read();
    streams_of_sessions_to_come();
    for side in [Side::Client, Side::Server] {
        for len in [1, 1030] {
            datagrams_in_capsules(side, len, 1500);
            datagrams_in_capsules(side, len, 16_384);
        }
        many_datagrams_at_once(side);
        early_datagrams(side);
        early_streams(side);
        capsules_in_pieces(side);
        close_capsules_in_pieces(side);
        heads_in_pieces(side);
        close_messages(side);
        sessions_and_streams(side);
        for len in [1, 3000] {
            payload(side, len);
            parked_payload(side, len);
        }
        settings_in_pieces(side);
    }
}

/// A connection under siege.
pub struct Siege {
    pub side: Side,
    pub peer: Side,
    name: &'static str,
    pub victim: Metered,
    quic: Quic,
    bound: usize,
    most: usize,
    over: bool,
    /// The code with which we closed the connection.
    pub closed: Option<u64>,
    /// What passes between two pieces of what is fed.
    pub pace: Duration,
}

impl Siege {
    /// With the peer's SETTINGS of dialect 02, which knows no limit of sessions.
    pub fn begin(name: &'static str, side: Side, limits: &Limits, quic: Quic) -> Self {
        let mut siege = Self::before_settings(name, side, limits, quic);
        let control = StreamId::new(siege.peer, Dir::Uni, 0);
        siege.feed(control, &peer_settings(side, Dialect::Draft02), false);
        siege.victim.drain();
        siege
    }

    pub fn before_settings(name: &'static str, side: Side, limits: &Limits, quic: Quic) -> Self {
        let mut config = Config::default();
        config.limits = limits.clone();
        config.deadlines.idle_connection = None;
        let mut victim = Metered::new(side, &Arc::new(config));
        victim.start(Transport::new(Support::Yes));
        let mut siege = Self {
            side,
            peer: match side {
                Side::Client => Side::Server,
                Side::Server => Side::Client,
            },
            name,
            victim,
            quic,
            bound: worst_case(limits, quic),
            most: 0,
            over: false,
            closed: None,
            pace: Duration::ZERO,
        };
        siege.check();
        siege
    }

    pub fn feed(&mut self, stream: impl Into<StreamId>, data: &[u8], fin: bool) {
        let stream = stream.into();
        let last = data.len().saturating_sub(1) / self.quic.read;
        if data.is_empty() {
            self.victim.feed(stream, data, fin);
        }
        for (n, piece) in data.chunks(self.quic.read).enumerate() {
            self.victim.feed(stream, piece, fin && n == last);
            self.victim.now += self.pace;
            self.check();
        }
    }

    /// A piece at a time.
    pub fn trickle(&mut self, stream: impl Into<StreamId>, data: &[u8]) {
        let stream = stream.into();
        for piece in data.chunks(self.quic.read.min(100)) {
            self.victim.feed(stream, piece, false);
            self.check();
        }
    }

    pub fn datagram(&mut self, session: SessionId, payload: &[u8]) {
        let mut data = varint(u64::from(session.connect_stream()) / 4);
        data.extend_from_slice(payload);
        self.victim.handle(|| Input::DatagramReceived {
            data: Bytes::copy_from_slice(&data),
        });
        self.check();
    }

    /// The CONNECT goes out or comes in.
    pub fn request(&mut self, n: u64) -> SessionId {
        let stream = StreamId::new(Side::Client, Dir::Bi, n);
        match self.side {
            Side::Client => self.victim.with(|connection, now| {
                let request = Request::new("https://example.org/game".parse().unwrap());
                let permit = connection.connect(now, &request).unwrap();
                permit.bind(stream);
            }),
            Side::Server => self.feed(stream, &connect_request("webtransport"), false),
        }
        self.check();
        SessionId::try_from(stream).unwrap()
    }

    pub fn answer(&mut self, session: SessionId) {
        if self.over {
            return;
        }
        match self.side {
            Side::Client => self.feed(session.connect_stream(), &response("200"), false),
            Side::Server => self.victim.with(|connection, now| {
                connection
                    .accept(now, session, Response::default())
                    .unwrap();
            }),
        }
        self.check();
    }

    pub fn open(&mut self, n: u64) -> SessionId {
        let session = self.request(n);
        self.answer(session);
        session
    }

    /// The actions are performed; the events stay.
    pub fn check(&mut self) {
        while let Some(acted) = self.victim.act(usize::MAX) {
            if let Acted::Closed { code } = acted {
                self.over = true;
                self.closed = Some(code);
            }
        }
        self.most = self.most.max(self.victim.heap());
    }

    /// And would not without this term.
    #[track_caller]
    fn lift_thanks_to(self, term: usize) {
        let others = self.bound - term;
        assert!(self.most > others, "{}: {others} are enough", self.name);
        self.lift();
    }

    #[track_caller]
    pub fn lift(self) {
        let percent = self.most * 100 / self.bound;
        println!(
            "{:?}, {}: {} of {} bytes, {percent} %",
            self.side, self.name, self.most, self.bound
        );
        assert!(percent <= 100, "{}", self.name);
    }
}

pub fn quic(bidi: usize, uni: usize) -> Quic {
    Quic {
        bidi,
        uni,
        read: 1500,
        datagram: 64,
    }
}

/// A CONNECT that is as large as it may be, all of it in this one field.
fn connect_with(field: &str, len: usize) -> Vec<u8> {
    let plain = [
        (":method", "CONNECT"),
        (":protocol", "webtransport"),
        (":scheme", "https"),
        (":authority", "example.org"),
        (":path", "/game"),
    ];
    let mut fields: Vec<(String, String)> = plain
        .map(|(name, value)| (name.into(), value.into()))
        .to_vec();
    let long = "x".repeat(len);
    match field {
        ":authority" => fields[3].1 = long,
        ":path" => fields[4].1 = format!("/?{long}"),
        "wt-available-protocols" => {
            let offered = vec!["\"a\""; len.div_ceil(4)].join(",");
            fields.push((field.into(), offered));
        }
        "names" => {
            for n in 0..len / 35 {
                let letters = [n / 26 / 26, n / 26, n].map(|n| (b'a' + (n % 26) as u8) as char);
                fields.push((letters.iter().collect(), String::new()));
            }
        }
        _ => fields.push((field.into(), long)),
    }
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (&name[..], &value[..]))
        .collect();
    headers(&fields)
}

/// CONNECT and RESET, again and again, while nobody hears of it.
fn requests_taken_back(field: &str, len: usize) {
    let mut limits = tiny();
    limits.field_section = len + 1000;
    limits.undelivered_bytes = 16_384;
    let mut siege = Siege::begin("requests taken back", Side::Server, &limits, quic(2, 1));
    let connect = connect_with(field, len);
    for n in 0..2000 {
        let stream = StreamId::new(Side::Client, Dir::Bi, n);
        siege.feed(stream, &connect, false);
        siege.victim.handle(|| Input::StreamReset {
            stream,
            code: 0x10c,
            final_size: None,
        });
        siege.check();
        if siege.over {
            break;
        }
    }
    assert!(siege.over, "{field}: a flood that is none");
    siege.lift();
}

/// As many requests as wait for the SETTINGS, each with a body; then the SETTINGS.
fn requests_held(field: &str, len: usize) {
    let mut limits = tiny();
    limits.unanswered_requests = 20;
    limits.sessions = 20;
    limits.field_section = len + 1000;
    limits.unanswered_body = 1030;
    let quic = quic(20, 1);
    let mut siege = Siege::before_settings("requests held", Side::Server, &limits, quic);
    let connect = connect_with(field, len);
    for n in 0..20 {
        let stream = StreamId::new(Side::Client, Dir::Bi, n);
        siege.feed(stream, &connect, false);
        siege.trickle(stream, &data_frame(&[0; 1020]));
        siege.feed(stream, &data_frame(&[0; 1400]), false);
    }
    siege.feed(2, &peer_settings(Side::Server, Dialect::Draft02), false);
    siege.lift();
}

/// Datagrams that come in capsules, each alone in what is read, or in pieces.
fn datagrams_in_capsules(side: Side, len: usize, read: usize) {
    let mut limits = tiny();
    limits.datagram_capsule = len;
    limits.undelivered_datagrams = 64;
    let quic = Quic { read, ..quic(2, 1) };
    let mut siege = Siege::begin("datagrams in capsules", side, &limits, quic);
    let session = siege.open(0);
    let capsule = tlv(0x00, &vec![b'd'; len]);
    let padding = tlv(0x17, &vec![0; read - capsule.len().min(read / 2) - 20]);
    let whole = data_frame(&[&padding[..], &capsule].concat());
    for _ in 0..32 {
        siege.feed(session.connect_stream(), &whole, false);
        siege.trickle(session.connect_stream(), &data_frame(&capsule));
    }
    siege.lift();
}

/// Tiny datagrams, as many as can be read at once, on every session.
fn many_datagrams_at_once(side: Side) {
    let mut limits = tiny();
    limits.sessions = 8;
    limits.unanswered_requests = 8;
    limits.datagram_capsule = 1;
    limits.undelivered_datagrams = 8;
    // For the requests and their answers, which nobody hears of.
    limits.undelivered_bytes = 4096;
    let mut siege = Siege::begin("many datagrams at once", side, &limits, quic(8, 1));
    for n in 0..8 {
        let session = siege.open(n);
        let capsules = tlv(0x00, b"").repeat(700);
        siege.feed(session.connect_stream(), &data_frame(&capsules), false);
    }
    siege.lift();
}

/// Datagrams for a request that comes behind them.
fn early_datagrams(side: Side) {
    let mut limits = tiny();
    limits.buffered_datagrams = 1030;
    limits.buffered_bytes = 2000;
    let mut siege = Siege::begin("early datagrams", side, &limits, quic(2, 1));
    let session = SessionId::try_from(StreamId::from(0)).unwrap();
    if side == Side::Client {
        siege.request(0);
    }
    for _ in 0..1030 {
        siege.datagram(session, b"d");
    }
    if side == Side::Server {
        siege.request(0);
    }
    siege.lift_thanks_to(1030 * 128);
}

/// Streams for a request that comes behind them, each of which QUIC has forgotten when the next comes.
fn early_streams(side: Side) {
    let mut limits = tiny();
    limits.buffered_streams = 1000;
    let mut siege = Siege::begin("early streams", side, &limits, quic(1, 1));
    if side == Side::Client {
        siege.request(0);
    }
    for n in 1..1001 {
        let stream = StreamId::new(siege.peer, Dir::Uni, n);
        siege.feed(stream, &stream_header(Dir::Uni, 0), true);
    }
    if side == Side::Server {
        siege.request(0);
    }
    siege.answer(SessionId::try_from(StreamId::from(0)).unwrap());
    siege.lift_thanks_to(1000 * 1024);
}

/// Streams that each name another session, and are refused at once.
fn streams_of_sessions_to_come() {
    let mut limits = tiny();
    limits.sessions = 2000;
    let (side, pace) = (Side::Server, Duration::from_millis(2));
    let mut siege = Siege::begin("streams of sessions to come", side, &limits, quic(1, 1));
    siege.victim.drain();
    let before = siege.victim.heap();
    siege.pace = pace;
    for n in 1..3000 {
        let stream = StreamId::new(siege.peer, Dir::Uni, n);
        siege.feed(stream, &stream_header(Dir::Uni, 4 * n), false);
    }
    assert!(!siege.over && siege.victim.heap() > 2000 * 20);
    siege.victim.now = siege.victim.ask().poll_timeout().unwrap();
    siege.victim.handle(|| Input::Timeout);
    assert!(siege.victim.heap() <= before + 512, "they are waited for");
    siege.lift_thanks_to(2000 * 64);
}

/// As many as a read holds, each an event.
fn priorities_in_one_read() {
    let quic = Quic {
        read: 9216,
        ..quic(1, 1)
    };
    let mut siege = Siege::begin("priorities in one read", Side::Server, &tiny(), quic);
    siege.open(0);
    let update = |value: &[u8]| tlv(0xf_0700, &[b"\x00", value].concat());
    let updates = [update(b"u=1"), update(b"u=2")].concat().repeat(512);
    siege.feed(2, &updates, false);
    assert!(siege.over, "a flood that is none");
    siege.lift();
}

/// A capsule that lacks its last byte, on every session, and on all that the application has closed
/// and the peer has not.
fn capsules_in_pieces(side: Side) {
    let mut limits = tiny();
    limits.sessions = 8;
    limits.datagram_capsule = 20_000;
    let mut siege = Siege::begin("capsules in pieces", side, &limits, quic(16, 1));
    let mut sessions = Vec::new();
    for n in 0..16 {
        let session = siege.open(n);
        sessions.push(session);
        let mut capsule = tlv(0x00, &[b'd'; 20_000]);
        capsule.pop();
        siege.trickle(session.connect_stream(), &data_frame(&capsule));
        if let Some(&eighth) = sessions.iter().nth_back(7) {
            siege
                .victim
                .with(|connection, now| connection.close(now, eighth, 0, ""));
        }
        siege.check();
        siege.victim.drain();
    }
    assert!(!siege.over && !siege.victim.ask().is_settled());
    siege.lift_thanks_to(8 * 2 * 20_000);
}

/// A close capsule that lacks its last byte, on a session that is open and on all that the application
/// has closed and the peer has not.
fn close_capsules_in_pieces(side: Side) {
    let limits = tiny();
    let quic = Quic {
        read: 64,
        ..quic(64, 1)
    };
    let mut siege = Siege::begin("close capsules in pieces", side, &limits, quic);
    let mut capsule = close_capsule(1, &[b'm'; 1024]);
    capsule.pop();
    for n in 0..64 {
        let session = siege.open(n);
        siege.victim.drain();
        siege.trickle(session.connect_stream(), &data_frame(&capsule));
        siege
            .victim
            .with(|connection, now| connection.close(now, session, 0, ""));
        siege.check();
        siege.victim.drain();
    }
    assert!(!siege.over && !siege.victim.ask().is_settled());
    siege.lift_thanks_to(64 * 2 * 1028);
}

/// A message head that lacks its last byte, on every stream that can carry one.
fn heads_in_pieces(side: Side) {
    let mut limits = tiny();
    limits.sessions = 24;
    limits.field_section = 4100;
    let mut siege = Siege::begin("heads in pieces", side, &limits, quic(24, 1));
    for n in 0..24 {
        let stream = StreamId::new(Side::Client, Dir::Bi, n);
        if side == Side::Client {
            siege.request(n);
        }
        let mut head = tlv(0x01, &[0; 4100]);
        head.pop();
        siege.trickle(stream, &head);
    }
    siege.lift_thanks_to(24 * 2 * 4100);
}

/// Close messages, each alone in what is read.
fn close_messages(side: Side) {
    let mut limits = tiny();
    limits.sessions = 8;
    limits.unanswered_requests = 8;
    limits.undelivered_bytes = 16_384;
    let quic = Quic {
        read: 16_384,
        ..quic(8, 1)
    };
    let mut siege = Siege::begin("close messages", side, &limits, quic);
    let padding = tlv(0x17, &[0; 16_300]);
    let body = data_frame(&[&padding[..], &close_capsule(1, b"m")].concat());
    for n in 0..200 {
        if siege.over {
            break;
        }
        let session = siege.open(n);
        siege.feed(session.connect_stream(), &body, true);
    }
    siege.lift();
}

/// Every stream a session, or a stream of one, or one that does not say what it is.
fn sessions_and_streams(side: Side) {
    let mut limits = tiny();
    limits.sessions = 64;
    let mut siege = Siege::begin("sessions and streams", side, &limits, quic(128, 128));
    for n in 0..64 {
        siege.open(n);
        siege.victim.drain();
    }
    let first = match side {
        Side::Client => 0,
        Side::Server => 64,
    };
    for n in 0..64 {
        let stream = StreamId::new(siege.peer, Dir::Bi, first + n);
        siege.feed(stream, &stream_header(Dir::Bi, 0), false);
        siege.victim.drain();
    }
    for n in 0..128 {
        let stream = StreamId::new(siege.peer, Dir::Uni, 1 + n);
        match n % 2 {
            0 => siege.feed(stream, &stream_header(Dir::Uni, 0), false),
            _ => siege.feed(stream, &[0x40], false),
        }
        siege.victim.drain();
    }
    siege.check();
    siege.lift();
}

/// Streams that are opened, say a little and are finished, while nobody hears of it.
fn payload(side: Side, len: usize) {
    let mut limits = tiny();
    limits.undelivered_bytes = 16_384;
    let mut siege = Siege::begin("payload", side, &limits, quic(1, 1));
    siege.open(0);
    for n in 1.. {
        let stream = StreamId::new(siege.peer, Dir::Uni, n);
        siege.feed(stream, &stream_header(Dir::Uni, 0), false);
        siege.feed(stream, &vec![b'p'; len], true);
        if siege.over {
            break;
        }
    }
    siege.lift_thanks_to(8 * 16_384);
}

/// Payload that comes before its session is open, a little at a time, from a host that does not ask.
fn parked_payload(side: Side, len: usize) {
    let mut limits = tiny();
    limits.buffered_streams = 8;
    limits.buffered_bytes = 8200;
    let mut siege = Siege::begin("parked payload", side, &limits, quic(1, 8));
    siege.request(0);
    for n in 1..9 {
        let stream = StreamId::new(siege.peer, Dir::Uni, n);
        siege.feed(stream, &stream_header(Dir::Uni, 0), false);
        for _ in 0..1024 / len {
            siege.feed(stream, &vec![b'p'; len], false);
        }
        siege.feed(stream, b"p", false);
    }
    let session = SessionId::try_from(StreamId::from(0)).unwrap();
    siege.answer(session);
    siege.lift();
}

fn settings_in_pieces(side: Side) {
    let mut limits = tiny();
    limits.control_frame = 20_000;
    let mut siege = Siege::before_settings("settings in pieces", side, &limits, quic(1, 1));
    let mut frame = tlv(0x04, &[0x3f; 20_000]);
    frame.pop();
    let control = StreamId::new(siege.peer, Dir::Uni, 0);
    siege.trickle(control, &[&[0x00][..], &frame].concat());
    siege.lift_thanks_to(2 * 20_000);
}
