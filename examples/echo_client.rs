//! Opens a session, sends a datagram and a stream, prints what comes back, and closes.
//! `cargo run --example echo_client -- CERTIFICATE [ADDRESS]`: the file is `echo_server`'s.
#![expect(clippy::disallowed_methods, reason = "the caller owns the clock")]
#![expect(clippy::wildcard_enum_match_arm, reason = "no other event matters")]

use std::{env, error::Error, fs, net::UdpSocket, sync::Arc, time::*};

use bytes::BytesMut;
use quinn_proto::{ClientConfig, crypto::rustls::QuicClientConfig};
use webtransport_session::{Dir, Event, Request, host::quinn_proto::Endpoint};

fn main() -> Result<(), Box<dyn Error>> {
    let file = env::args().nth(1).ok_or("which certificate is trusted?")?;
    let peer = env::args().nth(2).unwrap_or("127.0.0.1:4433".into());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(fs::read(file)?.into())?;
    let tls = rustls::ClientConfig::builder().with_root_certificates(roots);
    let mut tls = tls.with_no_client_auth();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    let mut endpoint = Endpoint::client(Arc::default());
    endpoint.connect(Instant::now(), config, peer.parse()?, "localhost")?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let request = Request::new("https://localhost/echo".parse()?);
    loop {
        let now = Instant::now();
        endpoint.handle_timeout(now);
        while let Some((id, event)) = endpoint.poll(now) {
            let peer = endpoint.peer(id).ok_or("no event comes after the end")?;
            match event {
                Event::Ready(_) => _ = peer.connect(now, &request)?,
                Event::SessionOpened { session, .. } => {
                    peer.send_datagram(session, b"hello in a datagram")?;
                    let stream = peer.open(now, session, Dir::Bi)?;
                    peer.write(stream, b"hello on a stream")?; // so little always fits
                    peer.sessions().finish(stream)?;
                }
                // Closes the session, waits for the server to know, closes the connection.
                Event::StreamData { fin: true, .. } => peer.sessions().shutdown(now, 7, "done"),
                Event::DatagramReceived { payload: data, .. } | Event::StreamData { data, .. } => {
                    println!("{}", data.escape_ascii());
                }
                Event::SessionClosed { reason, .. } => {
                    println!("session: {reason}");
                    peer.sessions().shutdown(now, 0, "");
                }
                Event::ConnectionClosed { reason } => println!("connection: {reason}"),
                _ => {}
            }
        }
        let mut out = Vec::new();
        while let Some(transmit) = endpoint.poll_transmit(now, &mut out) {
            let _lost = socket.send_to(&out, transmit.destination);
            out.clear();
        }
        // Not at `ConnectionClosed`: our own close is still to be sent, perhaps more than once.
        if endpoint.is_empty() {
            return Ok(());
        }
        // Sleep until a packet comes, but not beyond the first deadline.
        let due = endpoint.poll_timeout();
        let wait = due.map(|due| due.saturating_duration_since(now));
        socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
        let mut packet = BytesMut::zeroed(1500);
        if let Ok((len, from)) = socket.recv_from(&mut packet) {
            let now = Instant::now();
            let _nobody_connects_to_a_client =
                endpoint.handle(now, from, None, None, packet.split_to(len));
        }
    }
}
