//! quinn on tokio: one task for each connection, many at a server and one at a client.

mod host;
mod opening;
mod signals;
mod suite;
mod tls;

use std::{error::Error, sync::Arc, time::Instant};

use host_suite::{Application, Options, Order, Verb};
use tokio::{sync::mpsc, task::JoinSet};
use webtransport_session::{Connection, Event, Output, Side};

use crate::host::Host;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_args()?;
    // Nothing that the suite asks for is beyond quinn.
    host_suite::limits(&[]);
    let (sender, mut orders) = mpsc::channel(1);
    host_suite::orders(move |order| {
        let _over = sender.blocking_send(order);
    });

    let endpoint = tls::endpoint(&options)?;
    let mut peers = Peers {
        options,
        orders: Vec::new(),
        tasks: JoinSet::new(),
    };
    match peers.options.side {
        Side::Server => host_suite::listening(endpoint.local_addr()?),
        Side::Client => peers.add(endpoint.connect(peers.options.address, "localhost")?),
    }
    loop {
        tokio::select! {
            Some(incoming) = endpoint.accept() => {
                // One that cannot be taken has been answered.
                if let Ok(connecting) = incoming.accept() {
                    peers.add(connecting);
                }
            }
            order = orders.recv() => match order.flatten() {
                Some(order) => peers.order(order).await,
                None => break,
            },
        }
    }
    peers.leave().await;
    // What is closing has to reach its peer.
    endpoint.wait_idle().await;
    Ok(())
}

/// The connections that there have been, by their numbers.
struct Peers {
    options: Options,
    orders: Vec<mpsc::Sender<Verb>>,
    tasks: JoinSet<()>,
}

impl Peers {
    fn add(&mut self, connecting: quinn::Connecting) {
        let config = Arc::clone(&self.options.config);
        let sessions = match self.options.side {
            Side::Client => Connection::client(config),
            Side::Server => Connection::server(config),
        };
        let application = Application::new(self.orders.len());
        let stream_window = self.options.stream_window;
        let (sender, orders) = mpsc::channel(1);
        self.orders.push(sender);
        self.tasks.spawn(async move {
            match Host::handshake(connecting, sessions, stream_window).await {
                Ok(host) => serve(host, application, orders).await,
                Err(sessions) => tell_failure(*sessions, &application),
            }
        });
    }

    async fn order(&mut self, order: Order) {
        if let Some(orders) = self.orders.get(order.peer) {
            let _over = orders.send(order.verb).await;
        }
    }

    async fn leave(mut self) {
        self.orders.clear();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// A connection from its handshake to its end, or until there are no more orders.
async fn serve(mut host: Host, mut application: Application, mut orders: mpsc::Receiver<Verb>) {
    let mut has_orders = true;
    // What is left is closed when it is dropped.
    while has_orders || host.is_closing() {
        tokio::select! {
            event = host.next() => match event {
                Some(event) => application.event(&mut host, Instant::now(), event),
                None => return,
            },
            verb = orders.recv(), if has_orders => match verb {
                Some(verb) => application.obey(&mut host, Instant::now(), verb),
                None => has_orders = false,
            },
        }
    }
}

fn tell_failure(mut sessions: Connection, application: &Application) {
    while let Some(output) = sessions.poll() {
        if let Output::Event(Event::ConnectionClosed { reason }) = output {
            application.connection_closed(&reason);
        }
    }
}
