//! noq-proto, a fork of quinn-proto, on a mio loop: many connections at a server, one at a client.

mod host;
mod peers;
mod suite;
mod tls;

use std::{
    error::Error,
    io,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use host_suite::{Options, listening, orders};
use mio::{Events, Interest, Poll, Token, Waker, net::UdpSocket};
use webtransport_session::Side;

use crate::peers::Peers;

const SOCKET: Token = Token(0);
const ORDERS: Token = Token(1);

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_args()?;
    // Nothing that the suite asks for is beyond noq-proto.
    host_suite::limits(&[]);
    let mut poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), ORDERS)?;
    let (sender, receiver) = mpsc::channel();
    orders(move |order| {
        let _over = sender.send(order).is_ok() && waker.wake().is_ok();
    });

    let local = match options.side {
        Side::Client => "127.0.0.1:0".parse()?,
        Side::Server => options.address,
    };
    let mut socket = UdpSocket::bind(local)?;
    poll.registry()
        .register(&mut socket, SOCKET, Interest::READABLE)?;
    if options.side == Side::Server {
        listening(socket.local_addr()?);
    }
    let mut peers = Peers::new(
        tls::endpoint(&options)?,
        socket,
        Arc::clone(&options.config),
        options.stream_window,
    );
    if options.side == Side::Client {
        peers.connect(Instant::now(), tls::client(&options)?, options.address)?;
    }

    let mut events = Events::with_capacity(16);
    let mut leaving = false;
    loop {
        let now = Instant::now();
        for order in receiver.try_iter() {
            match order {
                Some(order) => peers.obey(now, order),
                None => leaving = true,
            }
        }
        let due = peers.turn(now);
        if leaving && !peers.is_closing() {
            return Ok(());
        }
        // Rounded up: the poll counts in milliseconds.
        let wait =
            due.map(|due| due.saturating_duration_since(Instant::now()) + Duration::from_millis(1));
        match poll.poll(&mut events, wait) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        peers.receive()?;
    }
}
