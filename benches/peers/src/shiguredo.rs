//! `shiguredo_http3`: a state machine like ours, which makes it the peer to compare with. It is used as
//! its documentation says: feed, poll events until there are none, take what is to be written.

use std::hint::black_box;

use shiguredo_http3::{
    ClientConnection, Event, H3InitData, Header, ServerConnection, Settings, VarInt,
    WebTransportEvent, webtransport,
};

use crate::operations::{
    CLOSE, HUFFMAN, Operation, PLAIN, Work,
    memory::Holding,
    streams::{uni, uni_bytes},
};

const BY: &str = "shiguredo_http3";

pub const ALL: &[Operation] = &[
    peer("datagram-in-20", 1000, datagram_in::<20>),
    peer("datagram-in-100", 1000, datagram_in::<100>),
    peer("datagram-in-1200", 1000, datagram_in::<1200>),
    peer("datagram-out-20", 1000, datagram_out::<20>),
    peer("datagram-out-100", 1000, datagram_out::<100>),
    peer("datagram-out-1200", 1000, datagram_out::<1200>),
    peer("datagram-both-100", 1000, datagram_both::<100>),
    peer("datagram-both-1200", 1000, datagram_both::<1200>),
    peer("chunk-in-1200", 1000, chunk_in::<1200>),
    peer("chunk-in-65536", 200, chunk_in::<65536>),
    peer("uni-stream-in", 1000, uni_stream_in),
    peer("session-open", 50, open),
    peer("handshake", 50, handshake),
    peer("connect-in-plain", 50, |n| connect_in(n, PLAIN)),
    peer("connect-in-huffman", 50, |n| connect_in(n, HUFFMAN)),
    peer("connect-out", 50, connect_out),
    peer("close-capsule-in", 50, close_in),
];

pub const HOLDINGS: &[Holding] = &[
    holding("size-of-connection", |_| size_of::<ServerConnection>()),
    holding("size-of-event", |_| size_of::<Event>()),
    holding("connection-with-one-session", |live| {
        size_of::<ServerConnection>() + heap_with_session(live)
    }),
    holding("after-10000-streams", after_streams),
];

const fn peer(row: &'static str, rounds: usize, prepare: fn(usize) -> Work) -> Operation {
    Operation {
        row,
        by: BY,
        rounds,
        prepare,
    }
}

const fn holding(row: &'static str, measure: fn(&dyn Fn() -> usize) -> usize) -> Holding {
    let by = BY;
    Holding { row, by, measure }
}

struct Ends {
    client: ClientConnection,
    server: ServerConnection,
}

fn number(value: u64) -> VarInt {
    VarInt::new(value).expect("a small number")
}

fn header(name: &str, value: &str) -> Header {
    Header::new(name, value).expect("a field")
}

/// As our client asks.
fn request() -> Vec<Header> {
    vec![
        header(":method", "CONNECT"),
        header(":protocol", "webtransport"),
        header(":scheme", "https"),
        header(":authority", "example.org"),
        header(":path", "/game"),
        header("origin", "https://example.org"),
    ]
}

impl Ends {
    fn new() -> Self {
        let wt = webtransport::Settings::new()
            .enable_webtransport_draft02(true)
            .webtransport_max_sessions_draft07(number(1000));
        let server = Settings::new().enable_webtransport_server(wt);
        let client = Settings::new().enable_webtransport_client(wt);
        let mut ends = Self {
            client: ClientConnection::new(client),
            server: ServerConnection::new(server),
        };
        let verified = ends.client.set_webtransport_transport_verified(true, true);
        verified.expect("datagrams");
        let verified = ends.server.set_webtransport_transport_verified(true, true);
        verified.expect("datagrams");
        ends
    }

    fn start(&mut self) {
        let client = self.client.init_h3_streams(2, 6, 10).expect("streams");
        for (stream, data) in written(&client) {
            self.server.feed_stream(stream, data, false).expect("valid");
        }
        let server = self.server.init_h3_streams(3, 7, 11).expect("streams");
        for (stream, data) in written(&server) {
            self.client.feed_stream(stream, data, false).expect("valid");
        }
        self.exchange();
    }

    fn ready() -> Self {
        let mut ends = Self::new();
        ends.start();
        ends
    }

    fn with_sessions(count: usize) -> Self {
        let mut ends = Self::ready();
        for _ in 0..count {
            let opened = ends.open(&request());
            assert_eq!(opened, 2, "at both ends");
        }
        ends
    }

    /// Gives how many ends said that it is open.
    fn open(&mut self, request: &[Header]) -> usize {
        self.client.send_request(request, false).expect("ready");
        self.exchange()
    }

    /// Carries everything over, until both are quiet. Gives how many sessions were established.
    fn exchange(&mut self) -> usize {
        let mut opened = 0;
        loop {
            let mut moved = false;
            for stream in self.client.writable_streams().collect::<Vec<_>>() {
                while let Some((data, fin)) = self.client.take_stream_data(stream) {
                    moved = true;
                    self.server.feed_stream(stream, &data, fin).expect("valid");
                }
            }
            while let Some(event) = self.server.poll_event().expect("alive") {
                moved = true;
                if let Event::HeadersEnd { stream_id } = event {
                    let answer = [header(":status", "200")];
                    let sent = self.server.send_response(stream_id, &answer, false);
                    sent.expect("a request");
                }
                opened += established(&event);
            }
            for stream in self.server.writable_streams().collect::<Vec<_>>() {
                while let Some((data, fin)) = self.server.take_stream_data(stream) {
                    moved = true;
                    self.client.feed_stream(stream, &data, fin).expect("valid");
                }
            }
            while let Some(event) = self.client.poll_event().expect("alive") {
                moved = true;
                opened += established(&event);
            }
            if !moved {
                return opened;
            }
        }
    }

    fn events(&mut self) -> usize {
        let mut count = 0;
        while let Some(event) = self.server.poll_event().expect("alive") {
            black_box(event);
            count += 1;
        }
        count
    }
}

fn established(event: &Event) -> usize {
    let event = matches!(
        event,
        Event::WebTransport(WebTransportEvent::SessionEstablished { .. })
    );
    usize::from(event)
}

fn written(init: &H3InitData) -> [(u64, &[u8]); 3] {
    [
        (init.control_stream_id, &init.control_data),
        (init.encoder_stream_id, &init.encoder_data),
        (init.decoder_stream_id, &init.decoder_data),
    ]
}

fn datagram_in<const LEN: usize>(rounds: usize) -> Work {
    let mut ends = Ends::with_sessions(1);
    let datagram = ends.client.send_datagram(0, &[7; LEN]).expect("open");
    ends.server.feed_datagram(&datagram).expect("valid");
    ends.events();
    Box::new(move || {
        let mut events = 0;
        for _ in 0..rounds {
            let fed = ends.server.feed_datagram(black_box(&datagram));
            fed.expect("valid");
            events += ends.events();
        }
        assert_eq!(events, rounds);
        Box::new((ends.client, ends.server))
    })
}

fn datagram_out<const LEN: usize>(rounds: usize) -> Work {
    let ends = Ends::with_sessions(1);
    Box::new(move || {
        for _ in 0..rounds {
            let sent = ends.server.send_datagram(0, black_box(&[7; LEN]));
            black_box(sent.expect("open"));
        }
        Box::new((ends.client, ends.server))
    })
}

fn datagram_both<const LEN: usize>(rounds: usize) -> Work {
    let mut ends = Ends::with_sessions(1);
    Box::new(move || {
        let mut events = 0;
        for _ in 0..rounds {
            let sent = ends.client.send_datagram(0, black_box(&[7; LEN]));
            let fed = ends.server.feed_datagram(&sent.expect("open"));
            fed.expect("valid");
            events += ends.events();
        }
        assert_eq!(events, rounds);
        Box::new((ends.client, ends.server))
    })
}

/// Beyond the ids of its own unidirectional streams.
fn stream(n: usize) -> u64 {
    u64::from(uni(n + 2))
}

fn chunk_in<const LEN: usize>(rounds: usize) -> Work {
    let mut ends = Ends::with_sessions(1);
    let opened = ends.server.feed_stream(stream(0), &uni_bytes(b"x"), false);
    opened.expect("valid");
    ends.events();
    let chunk = vec![7; LEN];
    Box::new(move || {
        let mut events = 0;
        for _ in 0..rounds {
            let fed = ends.server.feed_stream(stream(0), black_box(&chunk), false);
            fed.expect("valid");
            events += ends.events();
        }
        assert_eq!(events, rounds);
        Box::new((ends.client, ends.server))
    })
}

fn uni_stream_in(rounds: usize) -> Work {
    let mut ends = Ends::with_sessions(1);
    let bytes = uni_bytes(b"x");
    Box::new(move || {
        let mut events = 0;
        for n in 0..rounds {
            let fed = ends.server.feed_stream(stream(n), black_box(&bytes), true);
            fed.expect("valid");
            events += ends.events();
        }
        assert_eq!(events, 3 * rounds, "open, data, end");
        Box::new((ends.client, ends.server))
    })
}

fn open(rounds: usize) -> Work {
    let mut all: Vec<_> = (0..rounds).map(|_| Ends::ready()).collect();
    let request = request();
    Box::new(move || {
        for ends in &mut all {
            assert_eq!(ends.open(&request), 2);
        }
        Box::new((
            all.into_iter().map(|ends| ends.server).collect::<Vec<_>>(),
            request,
        ))
    })
}

fn handshake(rounds: usize) -> Work {
    let request = request();
    let mut all = Vec::with_capacity(rounds);
    Box::new(move || {
        for _ in 0..rounds {
            let mut ends = Ends::ready();
            assert_eq!(ends.open(&request), 2);
            all.push((ends.client, ends.server));
        }
        Box::new((all, request))
    })
}

fn connect_in(rounds: usize, head: &'static [u8]) -> Work {
    let mut all: Vec<_> = (0..rounds).map(|_| Ends::ready()).collect();
    Box::new(move || {
        for ends in &mut all {
            let fed = ends.server.feed_stream(0, black_box(head), false);
            fed.expect("valid");
            assert!(ends.events() > 0, "the fields");
        }
        let kept: Vec<_> = all.into_iter().map(|ends| ends.server).collect();
        Box::new(kept)
    })
}

fn connect_out(rounds: usize) -> Work {
    let mut all: Vec<_> = (0..rounds).map(|_| Ends::ready()).collect();
    let request = request();
    Box::new(move || {
        for ends in &mut all {
            let stream = ends.client.send_request(&request, false).expect("ready");
            black_box(ends.client.take_stream_data(stream).expect("HEADERS"));
        }
        let kept: Vec<_> = all.into_iter().map(|ends| ends.client).collect();
        Box::new((kept, request))
    })
}

fn close_in(rounds: usize) -> Work {
    let mut all: Vec<_> = (0..rounds).map(|_| Ends::with_sessions(1)).collect();
    Box::new(move || {
        for ends in &mut all {
            let fed = ends.server.feed_stream(0, black_box(CLOSE), true);
            fed.expect("valid");
            let mut closed = 0;
            while let Some(event) = ends.server.poll_event().expect("alive") {
                closed += usize::from(matches!(
                    event,
                    Event::WebTransport(WebTransportEvent::SessionClosed { .. })
                ));
            }
            assert_eq!(closed, 1);
        }
        let kept: Vec<_> = all.into_iter().map(|ends| ends.server).collect();
        Box::new(kept)
    })
}

fn heap_with_session(live: &dyn Fn() -> usize) -> usize {
    let Ends { client, server } = Ends::with_sessions(1);
    let before = live();
    drop(server);
    let heap = before - live();
    drop(client);
    heap
}

fn after_streams(live: &dyn Fn() -> usize) -> usize {
    let mut ends = Ends::with_sessions(1);
    let bytes = uni_bytes(b"x");
    let mut before = live();
    for n in 0..10_000 {
        if n == 100 {
            before = live();
        }
        let fed = ends.server.feed_stream(stream(n), &bytes, true);
        fed.expect("valid");
        ends.events();
    }
    live().saturating_sub(before)
}
