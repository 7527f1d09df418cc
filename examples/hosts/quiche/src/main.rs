//! A host for quiche, on a mio loop: level-triggered, without a runtime.

mod endpoint;
mod host;
mod peer;
mod tls;

use std::{
    error::Error,
    io,
    sync::mpsc,
    time::{Duration, Instant},
};

use host_suite::{Application, Limit, Options, listening, orders};
use mio::{Events, Interest, Poll, Token, Waker, net::UdpSocket};
use webtransport_session::{ConnectionLost, Side};

use crate::endpoint::Endpoint;

const SOCKET: Token = Token(0);
const ORDERS: Token = Token(1);

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_args()?;
    host_suite::limits(&limits(options.side));
    let mut poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), ORDERS)?;
    let (sender, receiver) = mpsc::channel();
    orders(move |order| {
        let _over = sender.send(order).is_ok() && waker.wake().is_ok();
    });

    let mut socket = UdpSocket::bind(match options.side {
        Side::Client => "127.0.0.1:0".parse()?,
        Side::Server => options.address,
    })?;
    poll.registry()
        .register(&mut socket, SOCKET, Interest::READABLE)?;
    let mut endpoint = Endpoint::new(&options, socket.local_addr()?)?;
    match options.side {
        Side::Server => listening(socket.local_addr()?),
        Side::Client => endpoint.connect(options.address, "localhost")?,
    }

    let mut applications = Vec::new();
    let mut leaving = false;
    let mut events = Events::with_capacity(16);
    let (mut packet, mut out) = ([0; 1 << 16], [0; 1 << 16]);
    loop {
        let now = Instant::now();
        while applications.len() < endpoint.count() {
            applications.push(Application::new(applications.len()));
        }
        for order in receiver.try_iter() {
            let Some(order) = order else {
                leaving = true;
                continue;
            };
            if let (Some(host), Some(application)) = (
                endpoint.hosts.get_mut(&order.peer),
                applications.get_mut(order.peer),
            ) {
                application.obey(host, now, order.verb);
            }
        }
        for (number, host) in &mut endpoint.hosts {
            host.feed(now);
            while let Some(event) = host.poll(now) {
                applications[*number].event(host, now, event);
            }
            while let Some((len, to)) = host.transmit(&mut out) {
                let _lost = socket.send_to(&out[..len], to);
            }
        }
        endpoint.retire();
        // Whoever was told to go goes, but not before its peers know.
        if leaving && !endpoint.hosts.values().any(|host| host.is_closing()) {
            return Ok(());
        }

        let dues = endpoint
            .hosts
            .values()
            .filter_map(|host| host.poll_timeout());
        let wait = dues
            .min()
            .map(|due| due.saturating_duration_since(Instant::now()))
            // Rounded up: the poll counts in milliseconds.
            .map(|wait| wait + Duration::from_millis(1));
        match poll.poll(&mut events, wait) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        let now = Instant::now();
        loop {
            let (len, from) = match socket.recv_from(&mut packet) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Of an earlier packet, which nobody took.
                Err(_) => continue,
            };
            if let Some(len) = endpoint.receive(now, &mut packet[..len], from, &mut out) {
                let _lost = socket.send_to(&out[..len], from);
            }
        }
    }
}

fn limits(side: Side) -> Vec<Limit> {
    match side {
        Side::Server => Vec::new(),
        Side::Client => vec![Limit::told(
            "E43",
            ConnectionLost::IdleTimeout,
            "quiche knows the reset token of the first connection id alone: servers that hand out more \
             are not heard",
        )],
    }
}
