//! QUIC between two ends in memory (quinn-proto, encrypted as ever), with nothing above it and with this
//! crate's host: what the sessions add to the whole of it. Time is a number here.

use std::{
    collections::VecDeque,
    hint::black_box,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig,
    Event as QuicEvent, ServerConfig, StreamEvent, StreamId, TransportConfig, VarInt,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use webtransport_session::{
    self as wt, Config, Event, Request, Response, SessionId, host::quinn_proto::Host,
};

use crate::operations::{OURS, Operation, Work};

/// Nothing above QUIC.
pub const RAW: &str = "raw QUIC";
const MIB: usize = 1 << 20;

pub const ALL: &[Operation] = &[
    whole("quic-datagram-100", OURS, 500, datagrams::<100, true>),
    whole("quic-datagram-100", RAW, 500, datagrams::<100, false>),
    whole("quic-datagram-1200", OURS, 500, datagrams::<1200, true>),
    whole("quic-datagram-1200", RAW, 500, datagrams::<1200, false>),
    whole("quic-mib-of-stream", OURS, 1, stream::<true>),
    whole("quic-mib-of-stream", RAW, 1, stream::<false>),
    whole("quic-session", OURS, 20, sessions),
    whole("quic-session", RAW, 20, bare_streams),
];

const fn whole(
    row: &'static str,
    by: &'static str,
    rounds: usize,
    prepare: fn(usize) -> Work,
) -> Operation {
    Operation {
        row,
        by,
        rounds,
        prepare,
    }
}

// ---- two ends

struct End {
    endpoint: Endpoint,
    quic: Option<(ConnectionHandle, Connection)>,
    /// `None`: raw.
    host: Option<Host>,
    /// Packets that came.
    inbox: VecDeque<BytesMut>,
    peer: SocketAddr,
    /// What there was to hear, and to read on streams without a host.
    events: Vec<Event>,
    datagrams: usize,
    bytes: usize,
}

struct Pair {
    now: Instant,
    client: End,
    server: End,
}

struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

static IDENTITY: LazyLock<Identity> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let made = made.expect("a certificate");
    Identity {
        certificate: made.cert.der().clone(),
        key: PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key"),
    }
});

fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn transport() -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport
        .initial_rtt(Duration::from_millis(2))
        .mtu_discovery_config(None)
        .initial_mtu(1452)
        .stream_receive_window(VarInt::from_u32(16 << 20))
        .receive_window(VarInt::from_u32(16 << 20));
    Arc::new(transport)
}

fn server_config() -> ServerConfig {
    let builder = rustls::ServerConfig::builder().with_no_client_auth();
    let chain = vec![IDENTITY.certificate.clone()];
    let tls = builder.with_single_cert(chain, IDENTITY.key.clone_key());
    let mut tls = tls.expect("a certificate of ours");
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let crypto = QuicServerConfig::try_from(tls).expect("TLS 1.3");
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(transport());
    config
}

fn client_config() -> ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    let added = roots.add(IDENTITY.certificate.clone());
    added.expect("a certificate of ours");
    let builder = rustls::ClientConfig::builder().with_root_certificates(roots);
    let mut tls = builder.with_no_client_auth();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let crypto = QuicClientConfig::try_from(tls).expect("TLS 1.3");
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(transport());
    config
}

impl Pair {
    /// Connected; with sessions both have said their SETTINGS.
    fn new(with_sessions: bool) -> Self {
        let now = Instant::now();
        let config = Arc::new(Config::default());
        let host = |host: fn(Arc<Config>) -> Host| with_sessions.then(|| host(config.clone()));
        let quic = Arc::new(EndpointConfig::default());
        let server = Some(Arc::new(server_config()));
        let server = Endpoint::new(quic.clone(), server, true, None);
        let client = Endpoint::new(quic, None, true, None);
        let mut pair = Self {
            now,
            client: End::new(client, host(Host::client), address(4433)),
            server: End::new(server, host(Host::server), address(50_000)),
        };
        let client = &mut pair.client;
        let dialled = client
            .endpoint
            .connect(now, client_config(), address(4433), "localhost");
        client.quic = Some(dialled.expect("a good address"));
        pair.settle();
        pair
    }

    fn in_session() -> (Self, SessionId) {
        let mut pair = Self::new(true);
        let session = pair.open(&request());
        (pair, session)
    }

    fn open(&mut self, request: &Request) -> SessionId {
        let now = self.now;
        let (host, quic) = self.client.both();
        let session = host.connect(quic, now, request).expect("ready");
        self.settle();
        self.client.events.clear();
        self.server.events.clear();
        session
    }

    /// Packets to and fro, and time, until there are no more packets.
    fn settle(&mut self) {
        loop {
            self.turn();
            if !self.client.inbox.is_empty() || !self.server.inbox.is_empty() {
                continue;
            }
            // Acknowledgements that wait, and what the pacer holds back; not the idle timeout.
            let due = [self.client.due(), self.server.due()];
            match due.into_iter().flatten().min() {
                Some(due) if due <= self.now + Duration::from_millis(100) => {
                    self.now = self.now.max(due);
                }
                _ => return,
            }
        }
    }

    /// All that can be done at this time.
    fn turn(&mut self) {
        self.client.take_packets(self.now);
        self.client.give_packets(self.now, &mut self.server.inbox);
        self.server.take_packets(self.now);
        self.server.give_packets(self.now, &mut self.client.inbox);
    }
}

impl End {
    fn new(endpoint: Endpoint, host: Option<Host>, peer: SocketAddr) -> Self {
        Self {
            endpoint,
            quic: None,
            host,
            inbox: VecDeque::new(),
            peer,
            events: Vec::new(),
            datagrams: 0,
            bytes: 0,
        }
    }

    fn both(&mut self) -> (&mut Host, &mut Connection) {
        let host = self.host.as_mut().expect("with sessions");
        (host, &mut self.quic.as_mut().expect("connected").1)
    }

    fn raw(&mut self) -> &mut Connection {
        &mut self.quic.as_mut().expect("connected").1
    }

    fn due(&mut self) -> Option<Instant> {
        self.quic.as_mut()?.1.poll_timeout()
    }

    fn take_packets(&mut self, now: Instant) {
        let mut buffer = Vec::new();
        while let Some(packet) = self.inbox.pop_front() {
            let event = self
                .endpoint
                .handle(now, self.peer, None, None, packet, &mut buffer);
            match event {
                Some(DatagramEvent::ConnectionEvent(_, event)) => {
                    self.raw().handle_event(event);
                }
                Some(DatagramEvent::NewConnection(incoming)) => {
                    let accepted = self.endpoint.accept(incoming, now, &mut buffer, None);
                    self.quic = accepted.ok();
                }
                Some(DatagramEvent::Response(_)) | None => {}
            }
        }
    }

    fn give_packets(&mut self, now: Instant, outbox: &mut VecDeque<BytesMut>) {
        let Some((handle, quic)) = &mut self.quic else {
            return;
        };
        if quic.poll_timeout().is_some_and(|due| due <= now) {
            quic.handle_timeout(now);
        }
        match &mut self.host {
            Some(host) => {
                while let Some(event) = host.poll(quic, now) {
                    match event {
                        Event::DatagramReceived { payload, .. } => {
                            black_box(payload);
                            self.datagrams += 1;
                        }
                        Event::StreamData { data, .. } => self.bytes += data.len(),
                        Event::SessionRequested { session, .. } => {
                            let sessions = host.connection();
                            let taken = sessions.accept(now, session, Response::default());
                            taken.expect("the client is still here");
                        }
                        event => self.events.push(event),
                    }
                }
            }
            None => {
                while let Some(event) = quic.poll() {
                    match event {
                        QuicEvent::DatagramReceived => {
                            while let Some(data) = quic.datagrams().recv() {
                                black_box(data);
                                self.datagrams += 1;
                            }
                        }
                        QuicEvent::Stream(StreamEvent::Opened { dir }) => {
                            while let Some(id) = quic.streams().accept(dir) {
                                self.bytes += read(quic, id);
                            }
                        }
                        QuicEvent::Stream(StreamEvent::Readable { id }) => {
                            self.bytes += read(quic, id);
                        }
                        _ => {}
                    }
                }
            }
        }
        while let Some(event) = quic.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(*handle, event) {
                quic.handle_event(event);
            }
        }
        let mut packet = Vec::with_capacity(1500);
        while quic.poll_transmit(now, 1, &mut packet).is_some() {
            outbox.push_back(BytesMut::from(&packet[..]));
            packet.clear();
        }
    }
}

/// Everything there is; a stream that is finished is answered with a FIN where it can be.
fn read(quic: &mut Connection, id: StreamId) -> usize {
    let mut stream = quic.recv_stream(id);
    let Ok(mut chunks) = stream.read(true) else {
        return 0;
    };
    let (mut count, mut is_over) = (0, false);
    while let Ok(chunk) = chunks.next(64 * 1024) {
        let Some(chunk) = chunk else {
            is_over = true;
            break;
        };
        count += black_box(chunk.bytes).len();
    }
    let _transmit_follows = chunks.finalize();
    if is_over && id.dir() == Dir::Bi {
        let _stopped = quic.send_stream(id).finish();
    }
    count
}

fn request() -> Request {
    Request::new("https://localhost/game".parse().expect("a URI"))
}

// ---- what is done

/// From the client to the server, packet by packet; acknowledgements are part of it.
fn datagrams<const LEN: usize, const SESSIONS: bool>(rounds: usize) -> Work {
    let mut pair = Pair::new(SESSIONS);
    let session = SESSIONS.then(|| pair.open(&request()));
    Box::new(move || {
        for _ in 0..rounds {
            match session {
                Some(session) => {
                    let (host, quic) = pair.client.both();
                    let sent = host.send_datagram(quic, session, black_box(&[7; LEN]));
                    sent.expect("room");
                }
                None => {
                    let data = Bytes::copy_from_slice(black_box(&[7; LEN]));
                    let sent = pair.client.raw().datagrams().send(data, true);
                    sent.expect("room");
                }
            }
            pair.settle();
        }
        assert_eq!(pair.server.datagrams, rounds);
        Box::new(pair)
    })
}

/// One unidirectional stream, so many MiB.
fn stream<const SESSIONS: bool>(rounds: usize) -> Work {
    let mut pair = Pair::new(SESSIONS);
    let session = SESSIONS.then(|| pair.open(&request()));
    let data = vec![7; 64 * 1024];
    Box::new(move || {
        let now = pair.now;
        let ours = session.map(|session| {
            let (host, quic) = pair.client.both();
            host.open(quic, now, session, wt::Dir::Uni).expect("room")
        });
        let raw = ours.is_none().then(|| {
            let opened = pair.client.raw().streams().open(Dir::Uni);
            opened.expect("room")
        });
        let mut left = rounds * MIB;
        while left > 0 {
            let part = &data[..left.min(data.len())];
            let written = match (ours, raw) {
                (Some(stream), _) => {
                    let (host, quic) = pair.client.both();
                    host.write(quic, stream, part).unwrap_or(0)
                }
                (None, Some(stream)) => {
                    let mut stream = pair.client.raw().send_stream(stream);
                    stream.write(part).unwrap_or(0)
                }
                (None, None) => unreachable!("one of them was opened"),
            };
            left -= written;
            pair.settle();
        }
        assert_eq!(pair.server.bytes, rounds * MIB);
        Box::new(pair)
    })
}

/// Sessions, one after another, opened and closed with a capsule.
fn sessions(rounds: usize) -> Work {
    let (mut pair, first) = Pair::in_session();
    close(&mut pair, first);
    let request = request();
    Box::new(move || {
        for _ in 0..rounds {
            let session = pair.open(&request);
            close(&mut pair, session);
        }
        Box::new(pair)
    })
}

fn close(pair: &mut Pair, session: SessionId) {
    let now = pair.now;
    let (host, _) = pair.client.both();
    host.connection().close(now, session, 7, "bye");
    pair.settle();
    let is_over = |event: &Event| matches!(event, Event::SessionClosed { .. });
    assert!(pair.server.events.iter().any(is_over));
    assert!(pair.client.events.iter().any(is_over));
}

/// What QUIC needs for the same: a bidirectional stream with as many bytes, and FINs.
fn bare_streams(rounds: usize) -> Work {
    let mut pair = Pair::new(false);
    Box::new(move || {
        for n in 1..=rounds {
            let stream = pair.client.raw().streams().open(Dir::Bi);
            let stream = stream.expect("room");
            for part in [&[7; 80][..], &[7; 12]] {
                let written = pair.client.raw().send_stream(stream).write(part);
                assert_eq!(written.expect("room"), part.len());
                pair.settle();
            }
            let finished = pair.client.raw().send_stream(stream).finish();
            finished.expect("it is open");
            pair.settle();
            assert_eq!(pair.server.bytes, n * 92);
        }
        Box::new(pair)
    })
}
