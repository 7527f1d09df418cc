//! s2n-quic, with a task for each connection.

mod driven;
mod endpoint;
mod host;
mod quic;
mod told;

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    task::{
        Poll::{Pending, Ready},
        ready,
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use host_suite::{Application, Limit, Options, Order, Verb, listening, orders};
use s2n_quic::client::Connect;
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::JoinSet,
    time::timeout,
};
use webtransport_session::{Connection, ConnectionLost, Event, Side};

use crate::{endpoint::BoxError, host::Host, told::Listener};

/// How long a program that leaves goes on sending what closes its connections.
const DRAIN: Duration = Duration::from_secs(3);

type Orders = UnboundedReceiver<Option<Order>>;
type Verbs = UnboundedReceiver<Verb>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let options = Options::from_args()?;
    host_suite::limits(&limits(options.side));
    let (sender, receiver) = mpsc::unbounded_channel();
    orders(move |order| _ = sender.send(order));
    let (alive, mut over) = mpsc::channel::<Infallible>(1);
    let listener = Listener {
        alive: alive.downgrade(),
    };
    match options.side {
        Side::Server => serve(&options, listener, receiver).await?,
        Side::Client => connect(&options, listener, receiver).await?,
    }
    // What was closed is to reach the peer: each connection lives until s2n-quic is done with it.
    drop(alive);
    let _given_up = timeout(DRAIN, over.recv()).await;
    Ok(())
}

async fn serve(options: &Options, listener: Listener, mut orders: Orders) -> Result<(), BoxError> {
    let mut server = endpoint::server(options, listener)?;
    listening(server.local_addr()?);
    let mut peers = Peers::default();
    loop {
        tokio::select! {
            order = orders.recv() => match order.flatten() {
                Some(order) => peers.order(order),
                None => break,
            },
            quic = server.accept() => {
                let quic = quic.ok_or("the endpoint is gone")?;
                let sessions = Connection::server(options.config.clone());
                let host = Host::new(quic, sessions, options.stream_window.into());
                peers.add(|application, verbs| drive(host, application, verbs));
            }
        }
    }
    peers.leave().await;
    Ok(())
}

async fn connect(
    options: &Options,
    listener: Listener,
    mut orders: Orders,
) -> Result<(), BoxError> {
    let client = endpoint::client(options, listener)?;
    let sessions = Connection::client(options.config.clone());
    let attempt = client.connect(Connect::new(options.address).with_server_name("localhost"));
    let window = options.stream_window.into();
    let mut peers = Peers::default();
    peers.add(|application, verbs| async move {
        match attempt.await {
            Ok(quic) => drive(Host::new(quic, sessions, window), application, verbs).await,
            Err(_) => application.connection_closed(&ConnectionLost::HandshakeFailed),
        }
    });
    while let Some(order) = orders.recv().await.flatten() {
        peers.order(order);
    }
    peers.leave().await;
    Ok(())
}

/// The task of a connection: orders in, events out. It leaves when the orders are over.
async fn drive(mut host: Host, mut application: Application, mut verbs: Verbs) {
    let mut stays = true;
    poll_fn(|cx| {
        loop {
            match verbs.poll_recv(cx) {
                Ready(Some(verb)) => {
                    application.obey(&mut host, Instant::now(), verb);
                    continue;
                }
                Ready(None) if stays => {
                    stays = false;
                    host.sessions.shutdown(Instant::now(), 0, "");
                }
                Ready(None) | Pending => {}
            }
            let event = ready!(host.poll(cx));
            let last = matches!(event, Event::ConnectionClosed { .. });
            application.event(&mut host, Instant::now(), event);
            if last {
                return Ready(());
            }
        }
    })
    .await;
}

/// The tasks, and the orders to each.
#[derive(Default)]
struct Peers {
    orders: Vec<UnboundedSender<Verb>>,
    tasks: JoinSet<()>,
}

impl Peers {
    fn add<F>(&mut self, task: impl FnOnce(Application, Verbs) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, verbs) = mpsc::unbounded_channel();
        self.tasks
            .spawn(task(Application::new(self.orders.len()), verbs));
        self.orders.push(sender);
    }

    fn order(&self, order: Order) {
        if let Some(peer) = self.orders.get(order.peer) {
            let _over = peer.send(order.verb);
        }
    }

    /// No more orders: every connection is shut down.
    async fn leave(mut self) {
        self.orders.clear();
        while self.tasks.join_next().await.is_some() {}
    }
}

fn limits(side: Side) -> Vec<Limit> {
    let silent = ConnectionLost::PeerApplication {
        code: 0x1234,
        reason: Bytes::new(),
    };
    let why = "s2n-quic takes no words for CONNECTION_CLOSE with the code";
    let mut limits = vec![
        Limit::peer_told("E40", silent.clone(), why),
        Limit::peer_told("E40.many", silent, why),
    ];
    if side == Side::Client {
        limits.push(Limit::told(
            "E44.version",
            ConnectionLost::HandshakeFailed,
            "s2n-quic ignores Version Negotiation, until the handshake has taken too long",
        ));
    }
    limits
}
