//! Sessions and streams that come and go in every way, on one connection: the ten thousandth leaves
//! no more behind than the hundredth.
//!
//! `CHURN=1000000 cargo test --release --test memory` goes on to the millionth.

use std::{env, sync::Arc, time::Duration};

use http::StatusCode;
use webtransport_session::{
    Config, Deadlines, Dialect, Dir, Input, Rejection, Request, Response, SessionId, Side,
    StreamId, Support, Transport,
};

use crate::{
    meter::Metered,
    support::{
        WT_SESSION_GONE, close_frame, connect_request, data_frame, headers, peer_settings,
        response, speaking, stream_header, tlv, varint,
    },
};

/// How a session ends.
const ENDINGS: u64 = 10;
/// How its streams do.
const WAYS: u64 = 5;

/// How many sessions, each with five streams.
const SESSIONS: u64 = 10_000;

pub fn sessions_without_number_leave_nothing_behind() {
    let sessions = env::var("CHURN").map_or(SESSIONS, |count| count.parse().unwrap());
    for side in [Side::Client, Side::Server] {
        let mut churn = Churn::new(side);
        for n in 0..100 {
            churn.session(n);
        }
        let hundred = churn.metered.heap();
        for n in 100..sessions {
            churn.session(n);
        }
        let all = churn.metered.heap();
        println!("{side:?}: {hundred} bytes after 100 sessions, {all} after {sessions}");
        assert_eq!(all, hundred, "{side:?}");
    }
}

pub fn what_a_backlog_took_is_given_back() {
    for side in [Side::Client, Side::Server] {
        let mut churn = Churn::new(side);
        let session = SessionId::try_from(churn.next(Side::Client, Dir::Bi)).unwrap();
        churn.request(session);
        churn.answer(session);
        let before = churn.metered.heap();
        // Nobody polls.
        for _ in 0..600 {
            churn.datagram(session, b"datagram");
            let stream = churn.next(churn.peer, Dir::Uni);
            let mut data = stream_header(Dir::Uni, session.connect_stream().into());
            data.extend_from_slice(b"payload");
            churn.metered.feed(stream, &data, true);
        }
        let capsules = data_frame(&tlv(0x00, b"d").repeat(300));
        churn
            .metered
            .feed(session.connect_stream(), &capsules, false);
        let most = churn.metered.heap();
        churn.metered.drain();
        println!("{side:?}: {before} bytes, {most} with a backlog");
        assert!(most > 10 * before);
        // A little room stays in each queue.
        assert!(churn.metered.heap() <= before + 512, "{side:?}");
    }
}

struct Churn {
    side: Side,
    peer: Side,
    metered: Metered,
    /// How many streams of each kind were opened: QUIC hands out ids in order.
    opened: [u64; 4],
}

impl Churn {
    fn new(side: Side) -> Self {
        let mut config = speaking(Dialect::Draft02);
        config.deadlines = Deadlines::default();
        config.deadlines.idle_connection = None;
        config.deadlines.inactivity = Some(Duration::from_secs(20));
        let config: Arc<Config> = Arc::new(config);
        let mut metered = Metered::new(side, &config);
        metered.start(Transport::new(Support::Yes));
        let (peer, control) = match side {
            Side::Client => (Side::Server, 3),
            Side::Server => (Side::Client, 2),
        };
        metered.feed(control, &peer_settings(side, Dialect::Draft02), false);
        metered.drain();
        Self {
            side,
            peer,
            metered,
            opened: [0, 0, 1, 1],
        }
    }

    fn next(&mut self, initiator: Side, dir: Dir) -> StreamId {
        let kind = u64::from(StreamId::new(initiator, dir, 0)) as usize;
        self.opened[kind] += 1;
        StreamId::new(initiator, dir, self.opened[kind] - 1)
    }

    /// One session with one stream of each kind, a refused request and some datagrams beside it.
    fn session(&mut self, n: u64) {
        let (ending, way) = (n % ENDINGS, n / ENDINGS % WAYS);
        let session = SessionId::try_from(self.next(Side::Client, Dir::Bi)).unwrap();
        let theirs = [
            self.next(self.peer, Dir::Uni),
            self.next(self.peer, Dir::Bi),
        ];
        let overtake = way == 4;
        if overtake && self.side == Side::Server {
            self.their_streams(session, theirs);
        }
        self.request(session);
        if !overtake || self.side == Side::Client {
            self.their_streams(session, theirs);
        }
        let is_answered = !matches!(ending, 5 | 6 | 8);
        if is_answered {
            self.answer(session);
            let ours = [
                self.next(self.side, Dir::Uni),
                self.next(self.side, Dir::Bi),
            ];
            self.our_streams(session, ours, !overtake);
            for stream in [theirs, ours].concat() {
                self.end_stream(stream, way);
            }
        }
        self.end(session, ending);
        self.metered.drain();
        if !matches!(ending, 8 | 9) {
            self.late(session, theirs[0]);
        }
        if self.side == Side::Server {
            self.refused_request();
        }
        self.wait(Duration::from_secs(30));
        let connection = self.metered.ask();
        assert!(connection.is_settled() && !connection.is_closed(), "{n}");
    }

    fn request(&mut self, session: SessionId) {
        let connect = session.connect_stream();
        match self.side {
            Side::Client => {
                let request = Request::new("https://example.org/game".parse().unwrap());
                self.metered.with(|connection, now| {
                    let permit = connection.connect(now, &request).unwrap();
                    permit.bind(connect);
                });
            }
            Side::Server => self
                .metered
                .feed(connect, &connect_request("webtransport"), false),
        }
        self.datagram(session, b"early");
        self.metered.drain();
    }

    fn answer(&mut self, session: SessionId) {
        match self.side {
            Side::Client => {
                self.metered
                    .feed(session.connect_stream(), &response("200"), false);
            }
            Side::Server => self.metered.with(|connection, now| {
                let response = Response::default();
                connection.accept(now, session, response).unwrap();
            }),
        }
        self.datagram(session, b"in time");
        self.metered.drain();
    }

    fn datagram(&mut self, session: SessionId, payload: &[u8]) {
        let mut data = varint(u64::from(session.connect_stream()) / 4);
        data.extend_from_slice(payload);
        self.metered.handle(|| Input::DatagramReceived {
            data: bytes::Bytes::copy_from_slice(&data),
        });
    }

    fn their_streams(&mut self, session: SessionId, streams: [StreamId; 2]) {
        for stream in streams {
            let mut data = stream_header(stream.dir(), session.connect_stream().into());
            data.extend_from_slice(b"payload");
            let (front, back) = data.split_at(2);
            self.metered.feed(stream, front, false);
            self.metered.feed(stream, back, false);
        }
        self.metered.drain();
    }

    /// QUIC takes the headers, or it does not take a byte.
    fn our_streams(&mut self, session: SessionId, streams: [StreamId; 2], written: bool) {
        for stream in streams {
            self.metered.with(|connection, _| {
                let permit = connection.open(session, stream.dir()).unwrap();
                permit.bind(stream);
            });
        }
        if written {
            self.metered.drain();
        } else {
            while self.metered.act(0).is_some() {}
        }
    }

    fn end_stream(&mut self, stream: StreamId, way: u64) {
        match way {
            0 => {
                self.metered.feed(stream, b"last", true);
                let _ = self.metered.with(|connection, _| connection.finish(stream));
            }
            1 => {
                self.metered.handle(|| Input::StreamReset {
                    stream,
                    code: WT_SESSION_GONE,
                    final_size: Some(7),
                });
                let _ = self
                    .metered
                    .with(|connection, _| connection.reset(stream, 1));
            }
            2 => {
                self.metered
                    .handle(|| Input::StreamStopped { stream, code: 0 });
                let _ = self
                    .metered
                    .with(|connection, _| connection.stop(stream, 2));
            }
            // Alive until the session takes them with it.
            _ => self.metered.with(|connection, _| {
                connection.pause(stream);
                let _ = connection.credit(stream);
            }),
        }
        if way < 3 {
            self.metered.drain();
        }
    }

    fn end(&mut self, session: SessionId, ending: u64) {
        let stream = session.connect_stream();
        match ending {
            0 => self.metered.feed(stream, &close_frame(42, b"bye"), true),
            1 => self.metered.feed(stream, b"", true),
            2 => self.metered.handle(|| Input::StreamReset {
                stream,
                code: 7,
                final_size: None,
            }),
            3 => self
                .metered
                .handle(|| Input::StreamStopped { stream, code: 7 }),
            4 => {
                self.metered
                    .with(|connection, now| connection.close(now, session, 1, "kicked"));
                self.metered.drain();
                self.metered.feed(stream, b"", true);
            }
            5 => self.reject(session),
            6 => self.metered.handle(|| Input::StreamReset {
                stream,
                code: 0x10c,
                final_size: None,
            }),
            7 => {
                let short = data_frame(&tlv(0x2843, b"abc"));
                self.metered.feed(stream, &short, false);
            }
            // Nobody answers, or nobody says anything: a deadline does it.
            8 => {}
            _ => self.metered.handle(|| Input::StreamStopped {
                stream,
                code: WT_SESSION_GONE,
            }),
        }
    }

    fn reject(&mut self, session: SessionId) {
        match self.side {
            Side::Client => {
                let rejection = headers(&[(":status", "403"), ("why", "full")]);
                self.metered
                    .feed(session.connect_stream(), &rejection, true);
            }
            Side::Server => self.metered.with(|connection, now| {
                let rejection = Rejection::from(StatusCode::FORBIDDEN);
                connection.reject(now, session, rejection).unwrap();
            }),
        }
    }

    /// What the peer still sends for a session that is gone.
    fn late(&mut self, session: SessionId, stream: StreamId) {
        self.datagram(session, b"late");
        self.metered.feed(session.connect_stream(), b"late", true);
        self.metered.feed(stream, b"late", true);
        self.metered.drain();
    }

    fn refused_request(&mut self) {
        let stream = self.next(Side::Client, Dir::Bi);
        let get = headers(&[
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "example.org"),
            (":path", "/"),
        ]);
        self.metered.feed(stream, &get, true);
        self.metered.drain();
    }

    fn wait(&mut self, duration: Duration) {
        let until = self.metered.now + duration;
        while let Some(due) = self
            .metered
            .ask()
            .poll_timeout()
            .filter(|&due| due <= until)
        {
            self.metered.now = self.metered.now.max(due);
            self.metered.handle(|| Input::Timeout);
            self.metered.drain();
        }
        self.metered.now = until;
    }
}
