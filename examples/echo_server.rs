//! Sends every stream and datagram back: one UDP socket, a loop of our own, no async runtime.
//! `cargo run --example echo_server -- CERTIFICATE [ADDRESS] [--once]` writes the certificate that it
//! makes for itself to this file; with `--once` it ends with its first connection.
#![expect(clippy::disallowed_methods, reason = "the caller owns the clock")]
#![expect(clippy::wildcard_enum_match_arm, reason = "no other event matters")]

use std::{collections::BTreeMap, env, error::Error, fs, net::UdpSocket, sync::Arc, time::*};

use bytes::{Buf, BytesMut};
use quinn_proto::{self as quic, DatagramEvent, Endpoint, crypto::rustls::QuicServerConfig};
use webtransport_session::{
    Dir, Event, Response, SendError, SessionId, StreamId, host::quinn_proto::Host,
};

fn main() -> Result<(), Box<dyn Error>> {
    let once = env::args().any(|argument| argument == "--once");
    let mut names = env::args().skip(1).filter(|name| name != "--once");
    let file = names.next().ok_or("where is the certificate to go?")?;
    let address = names.next().unwrap_or("127.0.0.1:4433".into());
    let made = rcgen::generate_simple_self_signed(["localhost".into()])?;
    fs::write(file, made.cert.der())?;
    let mut tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.into()], made.signing_key.into())?;
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let config = quic::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    let mut endpoint = Endpoint::new(Arc::default(), Some(Arc::new(config)), false, None);
    let socket = UdpSocket::bind(address)?;
    let mut peers = BTreeMap::<_, Peer>::new();
    loop {
        // Sleep until a packet comes, but not beyond the first deadline.
        let due = peers.values_mut().filter_map(Peer::due).min();
        let wait = due.map(|at| at.saturating_duration_since(Instant::now()));
        socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
        let (mut packet, mut out) = (BytesMut::zeroed(1500), Vec::new());
        let received = socket.recv_from(&mut packet);
        let now = Instant::now();
        let event = received.ok().and_then(|(len, from)| {
            packet.truncate(len);
            endpoint.handle(now, from, None, None, packet, &mut out)
        });
        match event {
            Some(DatagramEvent::NewConnection(incoming)) => {
                if let Ok((handle, quic)) = endpoint.accept(incoming, now, &mut out, None) {
                    let (host, echoes) = (Host::server(Arc::default()), BTreeMap::new());
                    peers.insert(handle, Peer { quic, host, echoes });
                }
            }
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some(peer) = peers.get_mut(&handle) {
                    peer.quic.handle_event(event);
                }
            }
            Some(DatagramEvent::Response(to)) => _ = socket.send_to(&out, to.destination)?,
            None => {}
        }
        for (&handle, peer) in &mut peers {
            peer.turn(now);
            while let Some(event) = peer.quic.poll_endpoint_events() {
                if let Some(event) = endpoint.handle_event(handle, event) {
                    peer.quic.handle_event(event);
                }
            }
            out.clear();
            while let Some(to) = peer.quic.poll_transmit(now, 1, &mut out) {
                socket.send_to(&out, to.destination)?;
                out.clear();
            }
        }
        // Not at `ConnectionClosed`: our own close is still to be sent, perhaps more than once.
        let before = peers.len();
        peers.retain(|_, peer| !peer.quic.is_drained());
        if once && peers.len() < before {
            return Ok(());
        }
    }
}

/// One connection, and its streams by session and source.
struct Peer {
    quic: quic::Connection,
    host: Host,
    echoes: BTreeMap<(SessionId, StreamId), Echo>,
}

#[derive(Default)]
struct Echo {
    answer: Option<StreamId>,
    unsent: BytesMut,
    fin: bool,
}

impl Peer {
    fn due(&mut self) -> Option<Instant> {
        let due = self.quic.poll_timeout().into_iter();
        due.chain(self.host.poll_timeout()).min()
    }

    fn turn(&mut self, now: Instant) {
        self.quic.handle_timeout(now);
        self.host.handle_timeout(now);
        while let Some(event) = self.host.poll(&mut self.quic, now) {
            let sessions = self.host.connection();
            match event {
                Event::SessionRequested { session, .. } => {
                    let _left_meanwhile = sessions.accept(now, session, Response::default());
                }
                Event::DatagramReceived { session, payload } => {
                    let _lost = self.host.send_datagram(&mut self.quic, session, &payload);
                }
                Event::StreamData {
                    session,
                    stream,
                    data,
                    fin,
                } => {
                    let echo = self.echoes.entry((session, stream)).or_default();
                    echo.unsent.extend_from_slice(&data);
                    echo.fin = fin;
                    self.echo(now);
                }
                Event::StreamReset {
                    session, stream, ..
                } => {
                    let echo = self.echoes.remove(&(session, stream));
                    if let Some(answer) = echo.and_then(|echo| echo.answer) {
                        let _over = sessions.reset(answer, 0);
                    }
                }
                Event::StreamWritable { .. } | Event::StreamsAvailable { .. } => self.echo(now),
                Event::SessionClosed { session, reason } => {
                    println!("session {session}: {reason}");
                    self.echoes.retain(|&(of, _), _| of != session);
                }
                Event::ConnectionClosed { reason } => println!("connection: {reason}"),
                _ => {}
            }
        }
    }

    /// Sends back what has come. While QUIC does not take it, no more is read.
    fn echo(&mut self, now: Instant) {
        let (host, quic) = (&mut self.host, &mut self.quic);
        self.echoes.retain(|&(session, source), echo| {
            let answer = echo.answer.or_else(|| match source.dir() {
                Dir::Bi => Some(source),
                Dir::Uni => host.open(quic, now, session, Dir::Uni).ok(),
            });
            let Some(answer) = answer else {
                return true; // until `StreamsAvailable`
            };
            echo.answer = Some(answer);
            while !echo.unsent.is_empty() {
                match host.write(quic, answer, &echo.unsent) {
                    Ok(written) => echo.unsent.advance(written),
                    Err(SendError::Blocked) => {
                        host.connection().pause(source);
                        return true; // until `StreamWritable`
                    }
                    Err(_nobody_reads) => {
                        let _over = host.connection().stop(source, 0);
                        return false;
                    }
                }
            }
            host.connection().resume(source);
            if echo.fin {
                let _over = host.connection().finish(answer);
            }
            !echo.fin
        });
    }
}
