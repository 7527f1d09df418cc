//! Sends datagrams and bidirectional streams back: one UDP socket, and a loop of our own.
//! `cargo run --example echo_server -- CERTIFICATE [ADDRESS]`: a file for the one that it makes.
#![expect(clippy::disallowed_methods, reason = "the caller owns the clock")]
#![expect(clippy::wildcard_enum_match_arm, reason = "no other event matters")]

use std::{collections::BTreeMap, env, error::Error, fs, net::UdpSocket, sync::Arc, time::*};

use bytes::BytesMut;
use quinn_proto::{ServerConfig, crypto::rustls::QuicServerConfig};
use webtransport_session::{Event, Response, SendError, host::quinn_proto::Endpoint};

fn main() -> Result<(), Box<dyn Error>> {
    let file = env::args()
        .nth(1)
        .ok_or("where is the certificate to go?")?;
    let address = env::args().nth(2).unwrap_or("127.0.0.1:4433".into());
    let made = rcgen::generate_simple_self_signed(["localhost".into()])?;
    fs::write(file, made.cert.der())?;
    let tls = rustls::ServerConfig::builder().with_no_client_auth();
    let mut tls = tls.with_single_cert(vec![made.cert.into()], made.signing_key.into())?;
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    let mut endpoint = Endpoint::server(config, Arc::default());
    let socket = UdpSocket::bind(address)?;
    // By connection and stream: what was not sent back yet, and whether it is the last.
    let mut unsent = BTreeMap::<_, (BytesMut, bool)>::new();
    loop {
        // Sleep until a packet comes, but not beyond the first deadline.
        let due = endpoint.poll_timeout();
        let wait = due.map(|due| due.saturating_duration_since(Instant::now()));
        socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
        let mut packet = BytesMut::zeroed(1500);
        let received = socket.recv_from(&mut packet);
        let now = Instant::now();
        if let Ok((len, from)) = received {
            let incoming = endpoint.handle(now, from, None, None, packet.split_to(len));
            incoming.map(|incoming| endpoint.accept(now, incoming));
        }
        endpoint.handle_timeout(now);
        while let Some((id, event)) = endpoint.poll(now) {
            let peer = endpoint.peer(id).ok_or("no event comes after the end")?;
            match event {
                Event::SessionRequested { session, .. } => {
                    let _left = peer.sessions().accept(now, session, Response::default());
                }
                Event::DatagramReceived { session, payload } => {
                    _ = peer.send_datagram(session, &payload)
                }
                Event::StreamData {
                    stream, data, fin, ..
                } => {
                    let (bytes, ends) = unsent.entry((id, stream)).or_default();
                    bytes.extend_from_slice(&data);
                    *ends = fin;
                }
                Event::StreamReset { stream, .. } => _ = peer.sessions().reset(stream, 0),
                Event::SessionClosed { session, reason } => println!("{id}/{session}: {reason}"),
                _ => {}
            }
            // Whatever happened: what was blocked may go now, or never. Until then no more is read.
            unsent.retain(|&(of, stream), (bytes, ends)| {
                let result = (of == id).then(|| peer.write_buf(stream, bytes));
                match result {
                    None => {}
                    Some(Err(SendError::Blocked)) => peer.sessions().pause(stream),
                    Some(Err(_nobody_reads)) => _ = peer.sessions().stop(stream, 0),
                    Some(Ok(())) if *ends => _ = peer.sessions().finish(stream),
                    Some(Ok(())) => peer.sessions().resume(stream),
                }
                matches!(result, None | Some(Err(SendError::Blocked)))
            });
        }
        let mut packet = Vec::new();
        while let Some(transmit) = endpoint.poll_transmit(now, &mut packet) {
            let _lost = socket.send_to(&packet, transmit.destination);
            packet.clear();
        }
    }
}
