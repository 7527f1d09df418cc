//! What is done on a stack, and what it used.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use nix::sys::{
    resource::{Usage as Rusage, UsageWho, getrusage},
    time::TimeValLike as _,
};
use serde_json::{Value, json};
use tokio::{
    sync::Notify,
    task::{JoinHandle, spawn_local},
    time::timeout,
};

use crate::{
    Result,
    net::Net,
    stack::{Client, Server, Stack},
};

#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// Datagrams of so many bytes, in bursts of so many, from the client to the server.
    Datagrams { len: usize, burst: u64 },
    /// MiB of one unidirectional stream, from the client to the server.
    Stream,
    /// Connections, each with a session that is opened and closed.
    Connections,
    /// Sessions on one connection, closed and opened one after another.
    Sessions,
}

/// What both ends used, in one process and on one thread.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// What was asked for, and for datagrams what it took to have as many arrive.
    pub started: u64,
    pub done: u64,
    /// Of the whole process, in the program and in the kernel.
    pub user: Duration,
    pub system: Duration,
    pub wall: Duration,
}

impl Used {
    pub fn to_json(self) -> Value {
        json!({
            "started": self.started,
            "done": self.done,
            "user": self.user.as_secs_f64(),
            "system": self.system.as_secs_f64(),
            "wall": self.wall.as_secs_f64(),
        })
    }
}

impl Work {
    /// Both ends on the thread that this is called on; the first part of the work, which makes
    /// everything warm, is not counted.
    pub async fn run<S: Stack>(self, count: u64) -> Result<Used> {
        let net = Net::new()?;
        let stack = S::new(&net)?;
        let warm = warm(count);
        if matches!(self, Self::Connections) {
            connections(&net, &stack, warm).await?;
            let watch = Watch::start()?;
            connections(&net, &stack, count).await?;
            return watch.stop(count, count);
        }
        let (client, server) = tokio::join!(stack.connect(&net), S::accept(&net));
        let (mut client, mut server) = (client?, server?);
        match self {
            Self::Datagrams { len, burst } => {
                let payload = vec![7; len];
                let arrived = Rc::new(Arrived::default());
                let counting = spawn_local(count_datagrams(server, len, arrived.clone()));
                let mut sender = Sender {
                    client,
                    arrived,
                    counting,
                    burst,
                    sent: 0,
                };
                sender.send(&payload, warm).await?;
                let before = sender.sent;
                let watch = Watch::start()?;
                sender.send(&payload, count).await?;
                let used = watch.stop(sender.sent - before, count);
                sender.counting.abort();
                used
            }
            Self::Stream => {
                server = stream(&mut client, server, warm).await?;
                let watch = Watch::start()?;
                stream(&mut client, server, count).await?;
                watch.stop(count, count)
            }
            Self::Sessions => {
                server = sessions(&mut client, server, warm).await?;
                let watch = Watch::start()?;
                sessions(&mut client, server, count).await?;
                watch.stop(count, count)
            }
            Self::Connections => Err("done above".into()),
        }
    }
}

/// How much of the work is done first, uncounted.
pub fn warm(count: u64) -> u64 {
    (count / 10).max(1)
}

// ---- datagrams

/// What has arrived, shared by both ends: there is no acknowledgement on the wire beside QUIC's.
#[derive(Debug, Default)]
struct Arrived {
    count: Cell<u64>,
    wanted: Cell<u64>,
    all: Notify,
}

async fn count_datagrams(mut server: impl Server, len: usize, arrived: Rc<Arrived>) -> Result<()> {
    loop {
        if server.datagram().await? != len {
            return Err("a datagram of another length".into());
        }
        arrived.count.set(arrived.count.get() + 1);
        if arrived.count.get() == arrived.wanted.get() {
            arrived.all.notify_one();
        }
    }
}

struct Sender<C> {
    client: C,
    arrived: Rc<Arrived>,
    counting: JoinHandle<Result<()>>,
    burst: u64,
    sent: u64,
}

impl<C: Client> Sender<C> {
    /// Until so many more have arrived: a burst, then the next when it is there, or when what is
    /// missing of it can be called lost.
    async fn send(&mut self, payload: &[u8], count: u64) -> Result<()> {
        let arrived = self.arrived.clone();
        let goal = arrived.count.get() + count;
        while arrived.count.get() < goal {
            let burst = self.burst.min(goal - arrived.count.get());
            arrived.wanted.set(arrived.count.get() + burst);
            for _ in 0..burst {
                self.client.send_datagram(payload)?;
            }
            self.sent += burst;
            let all = timeout(LOST_AFTER, arrived.all.notified());
            if self.client.wait(all).await?.is_err() && self.counting.is_finished() {
                (&mut self.counting).await??;
            }
        }
        Ok(())
    }
}

/// Long also under callgrind, where everything takes fifty times as long.
const LOST_AFTER: Duration = Duration::from_secs(1);

// ---- a stream

async fn stream<C: Client, S: Server + 'static>(
    client: &mut C,
    mut server: S,
    mib: u64,
) -> Result<S> {
    let len = usize::try_from(mib << 20)?;
    let reading = spawn_local(async move {
        let read = server.stream().await?;
        Ok::<_, crate::Error>((server, read))
    });
    client.send_stream(len).await?;
    let (server, read) = client.wait(reading).await???;
    match read == len {
        true => Ok(server),
        false => Err("not all bytes arrived".into()),
    }
}

// ---- sessions

async fn connections<S: Stack>(net: &Net, stack: &S, count: u64) -> Result<()> {
    for _ in 0..count {
        let client = async { stack.connect(net).await?.close().await };
        let server = async { S::accept(net).await?.ended().await };
        tokio::try_join!(client, server)?;
    }
    Ok(())
}

/// The client asks when the server knows the end of the one before: nothing orders two streams, and
/// a server that has room for one session refuses a second.
async fn sessions<C: Client, S: Server + 'static>(
    client: &mut C,
    mut server: S,
    count: u64,
) -> Result<S> {
    let ended = Rc::new(Notify::new());
    let tell = ended.clone();
    let serving = spawn_local(async move {
        for _ in 0..count {
            server.session_ended().await?;
            tell.notify_one();
            server.take_session().await?;
        }
        Ok::<_, crate::Error>(server)
    });
    for _ in 0..count {
        client.end_session().await?;
        client.wait(ended.notified()).await?;
        client.begin_session().await?;
    }
    client.wait(serving).await??
}

// ---- what it used

struct Watch {
    used: Rusage,
    at: Instant,
}

impl Watch {
    fn start() -> Result<Self> {
        let used = getrusage(UsageWho::RUSAGE_SELF)?;
        let at = Instant::now();
        Ok(Self { used, at })
    }

    fn stop(self, started: u64, done: u64) -> Result<Used> {
        let wall = self.at.elapsed();
        let used = getrusage(UsageWho::RUSAGE_SELF)?;
        let since = |after: nix::sys::time::TimeVal, before: nix::sys::time::TimeVal| {
            let micros = (after - before).num_microseconds();
            u64::try_from(micros).map(Duration::from_micros)
        };
        Ok(Used {
            started,
            done,
            user: since(used.user_time(), self.used.user_time())?,
            system: since(used.system_time(), self.used.system_time())?,
            wall,
        })
    }
}
