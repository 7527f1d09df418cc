//! A bad network on loopback: passes UDP packets on between any number of clients and one server,
//! and drops, delays and reorders them as a seed says. Knows nothing of QUIC.
//!
//! Each packet is delayed by itself, so that a wide range of delays is what reorders them.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use fastrand::Rng;
use tokio::{net::UdpSocket, sync::oneshot, time};

/// What is done to packets, the same in both directions.
#[derive(Clone, Debug)]
pub(crate) struct Conditions {
    /// How many of a hundred packets are lost.
    pub(crate) loss_percent: u32,
    /// How long a packet takes, in milliseconds.
    pub(crate) delay_ms: RangeInclusive<u64>,
}

impl Conditions {
    /// Nothing is lost, late or out of order.
    pub(crate) fn perfect() -> Self {
        Self {
            loss_percent: 0,
            delay_ms: 0..=0,
        }
    }
}

/// A network that is there until it is dropped.
pub(crate) struct Relay {
    /// Where clients send to.
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    is_cut: AtomicBool,
    passed: AtomicU64,
    dropped: AtomicU64,
    conditions: Conditions,
    rng: Mutex<Rng>,
}

impl Relay {
    /// A network to `server`. The same seed gives packets the same fates in the order in which they
    /// come.
    pub(crate) fn start(server: SocketAddr, conditions: Conditions, seed: u64) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let state = Arc::new(State {
            is_cut: AtomicBool::new(false),
            passed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            conditions,
            rng: Mutex::new(Rng::with_seed(seed)),
        });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let shared = Arc::clone(&state);
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = serve(socket, server, shared) => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self {
            address,
            state,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// From now on nothing gets through, those packets included that are on their way.
    pub(crate) fn cut(&self) {
        self.state.is_cut.store(true, Ordering::SeqCst);
    }

    /// How many packets got through, and how many were lost.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let passed = self.state.passed.load(Ordering::SeqCst);
        (passed, self.state.dropped.load(Ordering::SeqCst))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

impl State {
    /// How long the next packet takes; `None`: it is lost.
    fn fate(&self) -> Option<Duration> {
        let mut rng = self.rng.lock().ok()?;
        // Always both, so that the fates do not depend on each other.
        let is_lost = rng.u32(0..100) < self.conditions.loss_percent;
        let delay = Duration::from_millis(rng.u64(self.conditions.delay_ms.clone()));
        (!is_lost).then_some(delay)
    }

    /// Sends a packet on, when and if it is to arrive.
    async fn pass(self: &Arc<Self>, packet: Vec<u8>, from: &Arc<UdpSocket>, to: SocketAddr) {
        match self.fate() {
            None => _ = self.dropped.fetch_add(1, Ordering::SeqCst),
            // At once, so that nothing is reordered.
            Some(Duration::ZERO) => self.send(&packet, from, to).await,
            Some(delay) => {
                let (state, from) = (Arc::clone(self), Arc::clone(from));
                tokio::spawn(async move {
                    time::sleep(delay).await;
                    state.send(&packet, &from, to).await;
                });
            }
        }
    }

    async fn send(&self, packet: &[u8], from: &UdpSocket, to: SocketAddr) {
        if self.is_cut.load(Ordering::SeqCst) {
            self.dropped.fetch_add(1, Ordering::SeqCst);
        } else {
            // First, for whoever has the packet may ask.
            self.passed.fetch_add(1, Ordering::SeqCst);
            // Where nobody listens it is no concern of a network's.
            let _gone = from.send_to(packet, to).await;
        }
    }
}

async fn serve(
    socket: std::net::UdpSocket,
    server: SocketAddr,
    state: Arc<State>,
) -> io::Result<()> {
    let socket = Arc::new(UdpSocket::from_std(socket)?);
    let mut clients = HashMap::<SocketAddr, Arc<UdpSocket>>::new();
    let mut buffer = vec![0; 65_536];
    loop {
        // An error says that an earlier packet found nobody: no concern of a network's.
        let Ok((len, client)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let upstream = match clients.get(&client) {
            Some(upstream) => Arc::clone(upstream),
            None => {
                let upstream = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
                clients.insert(client, Arc::clone(&upstream));
                tokio::spawn(back(
                    Arc::clone(&upstream),
                    Arc::clone(&socket),
                    client,
                    Arc::clone(&state),
                ));
                upstream
            }
        };
        state.pass(buffer[..len].to_vec(), &upstream, server).await;
    }
}

/// From the server to one client.
async fn back(
    upstream: Arc<UdpSocket>,
    socket: Arc<UdpSocket>,
    client: SocketAddr,
    state: Arc<State>,
) {
    let mut buffer = vec![0; 65_536];
    loop {
        if let Ok((len, _)) = upstream.recv_from(&mut buffer).await {
            state.pass(buffer[..len].to_vec(), &socket, client).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn state(loss_percent: u32, seed: u64) -> State {
        State {
            is_cut: AtomicBool::new(false),
            passed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            conditions: Conditions {
                loss_percent,
                delay_ms: 1..=20,
            },
            rng: Mutex::new(Rng::with_seed(seed)),
        }
    }

    #[test]
    fn the_same_seed_gives_packets_the_same_fates() {
        let fates = |seed| {
            let state = state(20, seed);
            (0..1000).map(|_| state.fate()).collect::<Vec<_>>()
        };
        assert_eq!(fates(7), fates(7));
        assert_ne!(fates(7), fates(8));
        let lost = fates(7).iter().filter(|fate| fate.is_none()).count();
        assert!((150..250).contains(&lost), "{lost} of 1000");
        let mut delays: Vec<_> = fates(7).into_iter().flatten().collect();
        delays.sort();
        assert_eq!(delays.first(), Some(&Duration::from_millis(1)));
        assert_eq!(delays.last(), Some(&Duration::from_millis(20)));
    }

    #[test]
    fn packets_pass_both_ways_until_the_network_is_cut() -> io::Result<()> {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let patience = Some(Duration::from_secs(5));
        server.set_read_timeout(patience)?;
        client.set_read_timeout(patience)?;
        let relay = Relay::start(server.local_addr()?, Conditions::perfect(), 0)?;
        let mut buffer = [0; 16];

        client.send_to(b"there", relay.address)?;
        let (len, from) = server.recv_from(&mut buffer)?;
        assert_eq!(&buffer[..len], b"there");
        server.send_to(b"and back", from)?;
        let (len, from) = client.recv_from(&mut buffer)?;
        assert_eq!((&buffer[..len], from), (&b"and back"[..], relay.address));
        assert_eq!(relay.counts(), (2, 0));

        relay.cut();
        client.send_to(b"lost", relay.address)?;
        server.set_read_timeout(Some(Duration::from_millis(200)))?;
        assert!(server.recv_from(&mut buffer).is_err(), "nothing comes");
        assert_eq!(relay.counts(), (2, 1));
        Ok(())
    }
}
