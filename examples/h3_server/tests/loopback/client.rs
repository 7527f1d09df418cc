//! The two ends over loopback: the server in a thread of its own, a client of this crate on a plain
//! socket. Whoever waits does so for ten seconds at most.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use h3_quinn::quinn;
use h3_server::{Identity, page, serve};
use quinn_proto::{ClientConfig, TransportConfig, crypto::rustls::QuicClientConfig};
use webtransport_session::{
    CloseReason, Config, Dialects, Dir, Event, Request, SessionId, StreamId,
    host::quinn_proto::{Endpoint, Peer, PeerId},
};

pub const PATIENCE: Duration = Duration::from_secs(10);
/// Of QUIC, at the server.
const IDLE: Duration = Duration::from_secs(2);

pub struct Server {
    pub address: SocketAddr,
    identity: Identity,
    reports: mpsc::Receiver<(SessionId, CloseReason)>,
}

impl Server {
    pub fn start() -> Self {
        Self::with(Config::default())
    }

    pub fn with(config: Config) -> Self {
        let identity = Identity::fresh().unwrap();
        let mut quic = identity.server().unwrap();
        let mut transport = quinn::TransportConfig::default();
        transport.max_idle_timeout(Some(IDLE.try_into().unwrap()));
        // Few, so that a client finds the limit.
        transport.max_concurrent_bidi_streams(8u32.into());
        quic.transport_config(Arc::new(transport));
        let (addresses, address) = mpsc::channel();
        let (ends, reports) = mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(async move {
                let endpoint = quinn::Endpoint::server(quic, ([127, 0, 0, 1], 0).into()).unwrap();
                addresses.send(endpoint.local_addr().unwrap()).unwrap();
                let incoming = endpoint.accept().await.unwrap();
                let report = |session, reason| drop(ends.send((session, reason)));
                let quic = incoming.await.unwrap();
                let page = page(endpoint.local_addr().unwrap(), &Identity::fresh().unwrap());
                serve(quic, Arc::new(config), page, report).await.unwrap();
                // The last packets are still to go.
                endpoint.wait_idle().await;
            });
        });
        let address = address.recv().unwrap();
        Self {
            address,
            identity,
            reports,
        }
    }

    /// The reason that the server gives for the end of this session, the next that it tells.
    pub fn reason(&self, session: SessionId) -> CloseReason {
        let (told, reason) = self.reports.recv_timeout(PATIENCE).unwrap();
        assert_eq!(told, session);
        reason
    }

    /// The same, without waiting.
    pub fn reason_if_told(&self, session: SessionId) -> Option<CloseReason> {
        let (told, reason) = self.reports.try_recv().ok()?;
        assert_eq!(told, session);
        Some(reason)
    }

    /// After the connection's end: nothing was told but what was asked for.
    pub fn assert_no_more(&self) {
        assert_eq!(
            self.reports.recv_timeout(PATIENCE),
            Err(mpsc::RecvTimeoutError::Disconnected)
        );
    }
}

pub struct Client {
    endpoint: Endpoint,
    socket: UdpSocket,
    peer: PeerId,
    /// What came and nobody has asked for.
    events: Vec<Event>,
    is_ready: bool,
}

impl Client {
    pub fn connect(server: &Server) -> Self {
        Self::speaking(server, Dialects::ALL)
    }

    pub fn speaking(server: &Server, dialects: Dialects) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(server.identity.certificate().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let mut quic = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        let mut transport = TransportConfig::default();
        transport.max_concurrent_uni_streams(8u32.into());
        quic.transport_config(Arc::new(transport));
        let mut config = Config::default();
        config.dialects = dialects;
        let mut endpoint = Endpoint::client(Arc::new(config));
        let peer = endpoint
            .connect(Instant::now(), quic, server.address, "localhost")
            .unwrap();
        Self {
            endpoint,
            socket: UdpSocket::bind("127.0.0.1:0").unwrap(),
            peer,
            events: Vec::new(),
            is_ready: false,
        }
    }

    pub fn peer(&mut self) -> &mut Peer {
        self.endpoint.peer(self.peer).unwrap()
    }

    /// Sends what there is to send, and takes in what comes within a moment.
    pub fn turn(&mut self) {
        let mut raw = |_: &mut Peer| {};
        self.turn_with(&mut raw);
    }

    /// The same; `raw` looks at QUIC before the sessions do.
    pub fn turn_with(&mut self, raw: &mut dyn FnMut(&mut Peer)) {
        self.flush();
        self.socket
            .set_read_timeout(Some(Duration::from_millis(2)))
            .unwrap();
        let mut packet = BytesMut::zeroed(2048);
        if let Ok((len, from)) = self.socket.recv_from(&mut packet) {
            let now = Instant::now();
            let packet = packet.split_to(len);
            assert!(
                self.endpoint
                    .handle(now, from, None, None, packet)
                    .is_none()
            );
        }
        if let Some(peer) = self.endpoint.peer(self.peer) {
            raw(peer);
        }
        self.endpoint.handle_timeout(Instant::now());
        self.flush();
    }

    pub fn flush(&mut self) {
        let now = Instant::now();
        while let Some((_, event)) = self.endpoint.poll(now) {
            self.events.push(event);
        }
        let mut out = Vec::new();
        while let Some(transmit) = self.endpoint.poll_transmit(now, &mut out) {
            self.socket.send_to(&out, transmit.destination).unwrap();
            out.clear();
        }
    }

    /// Goes on until this has come, and leaves the rest.
    pub fn wait<T>(&mut self, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            let found = self.events.iter().position(|event| wanted(event).is_some());
            if let Some(index) = found {
                return wanted(&self.events.remove(index)).unwrap();
            }
            assert!(Instant::now() < until, "it never came: {:?}", self.events);
            self.turn();
        }
    }

    /// The server's SETTINGS are in.
    pub fn ready(&mut self) {
        if !std::mem::replace(&mut self.is_ready, true) {
            self.wait(|event| matches!(event, Event::Ready(_)).then_some(()));
        }
    }

    pub fn ask(&mut self, path: &str) -> SessionId {
        let uri = format!("https://localhost{path}").parse().unwrap();
        let now = Instant::now();
        self.peer().connect(now, &Request::new(uri)).unwrap()
    }

    /// A session that is open.
    pub fn open(&mut self, path: &str) -> SessionId {
        self.ready();
        let asked = self.ask(path);
        self.wait(|event| match event {
            Event::SessionOpened { session, .. } if *session == asked => Some(()),
            _ => None,
        });
        asked
    }

    pub fn reason(&mut self, asked: SessionId) -> CloseReason {
        self.wait(|event| match event {
            Event::SessionClosed { session, reason } if *session == asked => Some(reason.clone()),
            _ => None,
        })
    }

    pub fn datagram(&mut self, asked: SessionId) -> Bytes {
        self.wait(|event| match event {
            Event::DatagramReceived { session, payload } if *session == asked => {
                Some(payload.clone())
            }
            _ => None,
        })
    }

    /// All of a stream.
    pub fn read(&mut self, of: StreamId) -> Vec<u8> {
        let mut whole = Vec::new();
        loop {
            let fin = self.wait(|event| match event {
                Event::StreamData {
                    stream, data, fin, ..
                } if *stream == of => Some((data.clone(), *fin)),
                _ => None,
            });
            whole.extend_from_slice(&fin.0);
            if fin.1 {
                return whole;
            }
        }
    }

    pub fn stream(&mut self, session: SessionId, dir: Dir) -> StreamId {
        self.peer().open(Instant::now(), session, dir).unwrap()
    }

    /// Everything, however long QUIC takes.
    pub fn write(&mut self, stream: StreamId, mut data: &[u8]) {
        let until = Instant::now() + PATIENCE;
        while !data.is_empty() {
            match self.peer().write(stream, data) {
                Ok(written) => data = &data[written..],
                Err(webtransport_session::SendError::Blocked) => self.turn(),
                Err(error) => panic!("{error}"),
            }
            assert!(Instant::now() < until, "never taken");
        }
    }

    /// An ordinary GET on this connection, by hand; the whole answer as it is on the wire.
    pub fn get(&mut self) -> Vec<u8> {
        // HEADERS: `:method GET`, `:scheme https`, `:path /`, `:authority localhost`.
        let request = b"\x01\x10\x00\x00\xd1\xd7\xc1\x50\x09localhost";
        assert_eq!(request.len(), 2 + 0x10);
        let quic = &mut self.peer().quic;
        let id = quic.streams().open(quinn_proto::Dir::Bi).unwrap();
        assert_eq!(quic.send_stream(id).write(request), Ok(request.len()));
        quic.send_stream(id).finish().unwrap();
        let (mut answer, mut is_over) = (Vec::new(), false);
        let until = Instant::now() + PATIENCE;
        while !is_over {
            assert!(Instant::now() < until, "no answer");
            self.turn_with(&mut |peer| {
                let mut stream = peer.quic.recv_stream(id);
                let Ok(mut chunks) = stream.read(true) else {
                    return;
                };
                loop {
                    match chunks.next(usize::MAX) {
                        Ok(Some(chunk)) => answer.extend_from_slice(&chunk.bytes),
                        Ok(None) => is_over = true,
                        Err(quinn_proto::ReadError::Blocked) => break,
                        Err(error) => panic!("{error}"),
                    }
                    if is_over {
                        break;
                    }
                }
                let _ = chunks.finalize();
            });
        }
        answer
    }
}
