//! Opens a session, sends a datagram and a stream, prints what comes back, and closes.
//! `cargo run --example echo_client -- CERTIFICATE [ADDRESS]`: the file is `echo_server`'s.
#![expect(clippy::disallowed_methods, reason = "the caller owns the clock")]
#![expect(clippy::wildcard_enum_match_arm, reason = "no other event matters")]

use std::{env, error::Error, fs, net::UdpSocket, sync::Arc, time::*};

use bytes::BytesMut;
use quinn_proto::{self as quic, DatagramEvent, Endpoint, crypto::rustls::QuicClientConfig};
use webtransport_session::{Dir, Event, Request, host::quinn_proto::Host};

fn main() -> Result<(), Box<dyn Error>> {
    let file = env::args().nth(1).ok_or("which certificate is trusted?")?;
    let peer = env::args().nth(2).unwrap_or("127.0.0.1:4433".into());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(fs::read(file)?.into())?;
    let tls = rustls::ClientConfig::builder().with_root_certificates(roots);
    let mut tls = tls.with_no_client_auth();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let config = quic::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    let mut endpoint = Endpoint::new(Arc::default(), None, false, None);
    let (id, mut quic) = endpoint.connect(Instant::now(), config, peer.parse()?, "localhost")?;
    let mut host = Host::client(Arc::default());
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let request = Request::new("https://localhost/echo".parse()?);
    loop {
        let now = Instant::now();
        quic.handle_timeout(now);
        host.handle_timeout(now);
        while let Some(event) = host.poll(&mut quic, now) {
            match event {
                Event::Ready(_) => _ = host.connect(&mut quic, now, &request)?,
                Event::SessionOpened { session, .. } => {
                    host.send_datagram(&mut quic, session, b"hello in a datagram")?;
                    let stream = host.open(&mut quic, now, session, Dir::Bi)?;
                    host.write(&mut quic, stream, b"hello on a stream")?; // so little always fits
                    host.connection().finish(stream)?;
                }
                // Closes the session, waits for the server to know, closes the connection.
                Event::StreamData { fin: true, .. } => host.connection().shutdown(now, 7, "done"),
                Event::DatagramReceived { payload: data, .. } | Event::StreamData { data, .. } => {
                    println!("{}", data.escape_ascii());
                }
                Event::SessionClosed { reason, .. } => {
                    println!("session: {reason}");
                    host.connection().shutdown(now, 0, "");
                }
                Event::ConnectionClosed { reason } => println!("connection: {reason}"),
                _ => {}
            }
        }
        while let Some(event) = quic.poll_endpoint_events() {
            if let Some(event) = endpoint.handle_event(id, event) {
                quic.handle_event(event);
            }
        }
        let mut out = Vec::new();
        while let Some(to) = quic.poll_transmit(now, 1, &mut out) {
            socket.send_to(&out, to.destination)?;
            out.clear();
        }
        // Not at `ConnectionClosed`: our own close is still to be sent, perhaps more than once.
        if quic.is_drained() {
            return Ok(());
        }
        // Sleep until a packet comes, but not beyond the first deadline.
        let due = quic.poll_timeout().into_iter().chain(host.poll_timeout());
        let wait = due.min().map(|at| at.saturating_duration_since(now));
        socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
        let mut packet = BytesMut::zeroed(1500);
        if let Ok((len, from)) = socket.recv_from(&mut packet) {
            packet.truncate(len);
            let event = endpoint.handle(Instant::now(), from, None, None, packet, &mut out);
            if let Some(DatagramEvent::ConnectionEvent(_, event)) = event {
                quic.handle_event(event);
            }
        }
    }
}
