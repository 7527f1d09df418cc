//! An echo server in an event loop of its own: mio, quinn-proto as it comes, and a `Host` beside each
//! of its connections. No async, and no `host::quinn_proto::Endpoint`: this is for whoever has such
//! a loop already. Here is the loop, in `peer.rs` what it does with one connection.
//!
//! `cargo run --example event_loop -- CERTIFICATE [ADDRESS]` writes the certificate that it makes to a
//! file; `cargo run --example echo_client -- CERTIFICATE [ADDRESS]` trusts that, and talks to it.
//!
//! Each turn looks at all connections. With thousands of them, keep the set of those that something
//! happened to, and one of their timers.
#![expect(clippy::disallowed_methods, reason = "the caller owns the clock")]
#![expect(clippy::wildcard_enum_match_arm, reason = "no other event matters")]

mod peer;

use std::{collections::BTreeMap, convert::Infallible, fs, io, path::PathBuf, process::ExitCode};
use std::{error::Error, net::SocketAddr, sync::Arc, time::*};

use lexopt::{Arg, ValueExt};
use mio::{Events, Interest, Poll, Token, net::UdpSocket};
use quinn_proto::{
    self as quic, ConnectionHandle, DatagramEvent, crypto::rustls::QuicServerConfig,
};

use peer::Peer;

/// Connections at a time; more are refused.
const CONNECTIONS: usize = 1024;
/// Packets taken in at a time, so that timers get their turn under any load.
const BATCH: usize = 256;

fn main() -> ExitCode {
    match parse().map(|(file, address)| serve(file, address)) {
        Ok(Err(error)) => {
            eprintln!("event_loop: {error}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("event_loop: {error}; it takes a file for its certificate, and an address");
            ExitCode::from(2)
        }
    }
}

fn parse() -> Result<(PathBuf, SocketAddr), lexopt::Error> {
    let (mut file, mut address) = (None, None);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Value(value) if file.is_none() => file = Some(value.into()),
            Arg::Value(value) if address.is_none() => address = Some(value.parse()?),
            _ => return Err(argument.unexpected()),
        }
    }
    let address = address.unwrap_or(([127, 0, 0, 1], 4433).into());
    Ok((file.ok_or("no file is given")?, address))
}

fn serve(file: PathBuf, address: SocketAddr) -> Result<Infallible, Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed(["localhost".into()])?;
    fs::write(file, made.cert.der())?;
    let tls = rustls::ServerConfig::builder().with_no_client_auth();
    let mut tls = tls.with_single_cert(vec![made.cert.into()], made.signing_key.into())?;
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let config = quic::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    let mut endpoint = quic::Endpoint::new(Arc::default(), Some(Arc::new(config)), true, None);

    let mut socket = UdpSocket::bind(address)?;
    let (mut poll, mut ready) = (Poll::new()?, Events::with_capacity(8));
    let interest = Interest::READABLE | Interest::WRITABLE;
    poll.registry().register(&mut socket, Token(0), interest)?;
    let mut peers = BTreeMap::<ConnectionHandle, Peer>::new();
    let mut unsent: Option<(SocketAddr, Vec<u8>)> = None;
    let mut more = false;
    loop {
        // One timer for all connections, of QUIC and of sessions alike. mio tells edges: who has not
        // read until `WouldBlock` must not wait.
        let due = peers.values_mut().filter_map(Peer::due).min();
        let wait = due.map(|due| due.saturating_duration_since(Instant::now()));
        match poll.poll(&mut ready, if more { Some(Duration::ZERO) } else { wait }) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        let now = Instant::now();
        more = receive(now, &socket, &mut endpoint, &mut peers);
        for (&handle, peer) in &mut peers {
            peer.turn(now, handle, &mut endpoint);
        }
        // Until the socket takes no more, and wakes us when it does. What is left stays with QUIC,
        // which slows down whoever writes.
        for peer in peers.values_mut() {
            while send(&socket, &unsent) {
                unsent = peer.next_packet(now);
                if unsent.is_none() {
                    break;
                }
            }
        }
        // Not at `ConnectionClosed`: our own CONNECTION_CLOSE is still to be sent, perhaps again.
        peers.retain(|_, peer| !peer.quic.is_drained());
    }
}

/// Takes in what the socket has. True if there may be more.
fn receive(
    now: Instant,
    socket: &UdpSocket,
    endpoint: &mut quic::Endpoint,
    peers: &mut BTreeMap<ConnectionHandle, Peer>,
) -> bool {
    let mut packet = [0; 65_536];
    for _ in 0..BATCH {
        let (len, from) = match socket.recv_from(&mut packet) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            // Some systems report here that an earlier packet found no listener.
            Err(_) => continue,
        };
        let packet = packet.get(..len).unwrap_or_default().into();
        let mut answer = Vec::new();
        let transmit = match endpoint.handle(now, from, None, None, packet, &mut answer) {
            None => None,
            Some(DatagramEvent::Response(transmit)) => Some(transmit),
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some(peer) = peers.get_mut(&handle) {
                    peer.quic.handle_event(event);
                }
                None
            }
            Some(DatagramEvent::NewConnection(incoming)) if peers.len() < CONNECTIONS => {
                let accepted = endpoint.accept(incoming, now, &mut answer, None);
                let peer = accepted.map(|(handle, quic)| peers.insert(handle, Peer::new(quic)));
                peer.err().and_then(|failed| failed.response)
            }
            Some(DatagramEvent::NewConnection(other)) => Some(endpoint.refuse(other, &mut answer)),
        };
        // Who misses this asks again.
        let _lost = transmit.map(|transmit| socket.send_to(&answer, transmit.destination));
    }
    true
}

/// Whether the packet is away, or there was none. An error is a loss on the way: QUIC repeats.
fn send(socket: &UdpSocket, unsent: &Option<(SocketAddr, Vec<u8>)>) -> bool {
    let Some((to, packet)) = unsent else {
        return true;
    };
    let is_full = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
    !socket.send_to(packet, *to).is_err_and(is_full)
}
