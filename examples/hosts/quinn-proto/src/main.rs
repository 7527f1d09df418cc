//! quinn-proto: the crate's own host and its `Endpoint`, on a mio loop.

mod peer;
mod tls;

use std::{
    collections::BTreeMap,
    error::Error,
    io,
    sync::mpsc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use host_suite::{Application, Limit, Options, listening, orders};
use mio::{Events, Interest, Poll, Token, Waker, net::UdpSocket};
use webtransport_session::{Side, host::quinn_proto::PeerId};

use crate::peer::Driven;

const SOCKET: Token = Token(0);
const ORDERS: Token = Token(1);

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_args()?;
    host_suite::limits(&limits());
    let mut poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), ORDERS)?;
    let (sender, receiver) = mpsc::channel();
    orders(move |order| {
        let _over = sender.send(order).is_ok() && waker.wake().is_ok();
    });

    let mut endpoint = tls::endpoint(&options)?;
    let local = match options.side {
        Side::Client => "127.0.0.1:0".parse()?,
        Side::Server => options.address,
    };
    let mut socket = UdpSocket::bind(local)?;
    poll.registry()
        .register(&mut socket, SOCKET, Interest::READABLE)?;
    // By the number that the runner knows, and by the endpoint's.
    let mut numbers = Vec::new();
    let mut applications = BTreeMap::<PeerId, Application>::new();
    match options.side {
        Side::Server => listening(socket.local_addr()?),
        Side::Client => {
            let tls = tls::client(&options)?;
            let id = endpoint.connect(Instant::now(), tls, options.address, "localhost")?;
            numbers.push(id);
            applications.insert(id, Application::new(0));
        }
    }

    let mut events = Events::with_capacity(16);
    let mut out = Vec::new();
    loop {
        let now = Instant::now();
        endpoint.handle_timeout(now);
        for order in receiver.try_iter() {
            let Some(order) = order else { return Ok(()) };
            let Some(id) = numbers.get(order.peer) else {
                continue;
            };
            if let (Some(peer), Some(application)) = (endpoint.peer(*id), applications.get_mut(id))
            {
                application.obey(&mut Driven(peer), now, order.verb);
            }
        }
        while let Some((id, event)) = endpoint.poll(now) {
            if let (Some(peer), Some(application)) = (endpoint.peer(id), applications.get_mut(&id))
            {
                application.event(&mut Driven(peer), now, event);
            }
        }
        while let Some(transmit) = endpoint.poll_transmit(now, &mut out) {
            let _lost = socket.send_to(&out, transmit.destination);
            out.clear();
        }
        let wait = endpoint
            .poll_timeout()
            .map(|due| due.saturating_duration_since(Instant::now()))
            // Rounded up: the poll counts in milliseconds.
            .map(|wait| wait + Duration::from_millis(1));
        match poll.poll(&mut events, wait) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        let now = Instant::now();
        loop {
            let mut packet = BytesMut::zeroed(2048);
            let (len, from) = match socket.recv_from(&mut packet) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Of an earlier packet, which nobody took.
                Err(_) => continue,
            };
            if let Some(incoming) = endpoint.handle(now, from, None, None, packet.split_to(len))
                && let Some(id) = endpoint.accept(now, incoming)
            {
                applications.insert(id, Application::new(numbers.len()));
                numbers.push(id);
            }
        }
    }
}

/// Nothing that the suite asks for is beyond quinn-proto.
fn limits() -> [Limit; 0] {
    []
}
