//! h3 on quinn and tokio: the crate's own host below somebody else's HTTP/3. A server only.

mod connection;
#[path = "../../quinn/src/tls.rs"]
mod tls;

use std::{error::Error, future::poll_fn, time::Instant};

use host_suite::{Application, Limit, Options, Verb};
use tokio::{sync::mpsc, task::JoinSet};
use webtransport_session::{Side, host::h3::Output};

use crate::connection::Connection;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_args()?;
    if options.side == Side::Client {
        return Err("this host is for servers".into());
    }
    host_suite::limits(&limits());
    let (sender, mut orders) = mpsc::channel(1);
    host_suite::orders(move |order| {
        let _over = sender.blocking_send(order);
    });

    let endpoint = tls::endpoint(&options)?;
    host_suite::listening(endpoint.local_addr()?);
    let mut peers: Vec<mpsc::Sender<Verb>> = Vec::new();
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            Some(incoming) = endpoint.accept() => {
                let (sender, orders) = mpsc::channel(1);
                let application = Application::new(peers.len());
                let config = options.config.clone();
                peers.push(sender);
                tasks.spawn(async move {
                    // A handshake that fails is nobody's connection.
                    if let Ok(quic) = incoming.await
                        && let Ok(connection) = Connection::new(quic, config).await
                    {
                        serve(connection, application, orders).await;
                    }
                });
            }
            order = orders.recv() => match order.flatten() {
                Some(order) => if let Some(peer) = peers.get(order.peer) {
                    let _over = peer.send(order.verb).await;
                },
                None => break,
            },
        }
    }
    drop(peers);
    while tasks.join_next().await.is_some() {}
    // What is closing has to reach its peer.
    endpoint.wait_idle().await;
    Ok(())
}

/// A connection from its handshake to its end, or until there are no more orders.
async fn serve(
    mut connection: Connection,
    mut application: Application,
    mut orders: mpsc::Receiver<Verb>,
) {
    loop {
        let due = connection.host.poll_timeout();
        let quic = connection.quic.clone();
        tokio::select! {
            output = poll_fn(|cx| connection.host.poll(cx, Instant::now())) => match output {
                Some(Output::Event(event)) => {
                    application.event(&mut connection, Instant::now(), event);
                }
                // Nobody asks for a page here: it is let go of, and h3 resets it.
                Some(Output::Request(_)) => {}
                None => return,
            },
            Ok(datagram) = quic.read_datagram() => {
                connection.host.handle_datagram(Instant::now(), datagram);
            }
            () = until(due) => {}
            verb = orders.recv() => match verb {
                Some(verb) => application.obey(&mut connection, Instant::now(), verb),
                // Dropped, it closes the connection.
                None => return,
            },
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

fn limits() -> Vec<Limit> {
    let raw = [
        "E02", "E04", "E05", "E06", "E07", "E08", "E09", "E10", "E12", "E12.gone", "E20", "E22",
        "E23", "E33", "E35", "E46",
    ];
    let why = "h3 keeps QUIC's streams to itself, so that this end cannot break the rules";
    let mut limits: Vec<_> = raw.map(|scenario| Limit::impossible(scenario, why)).into();
    let why = "h3-quinn panics where a stream is stopped while it is read: the code goes out as 0";
    limits.push(Limit::impossible("W08", why));
    let why = "the connection is h3's too: whether it idles the application knows";
    limits.push(Limit::impossible("E53", why));
    limits
}
