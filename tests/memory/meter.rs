//! How many bytes of heap one connection holds, counted in the allocator.
//!
//! Whatever is allocated or freed inside [`Metered::with`] is the connection's; what the test itself
//! keeps is made outside. Only one thread may allocate meanwhile, so that this crate has one test.

use std::{alloc::System, sync::Arc, time::Instant};

use bytes::Bytes;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use webtransport_session::{
    Action, Config, Connection, Dir, Input, Output, Side, StreamId, Transport,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that are allocated now.
fn live() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// A connection, and what it holds.
pub struct Metered {
    connection: Connection,
    pub now: Instant,
    heap: usize,
}

impl Metered {
    pub fn new(side: Side, config: &Arc<Config>) -> Self {
        let before = live();
        let connection = match side {
            Side::Client => Connection::client(config.clone()),
            Side::Server => Connection::server(config.clone()),
        };
        let heap = live() - before;
        #[expect(
            clippy::disallowed_methods,
            reason = "an origin; only offsets from it matter"
        )]
        let now = Instant::now();
        Self {
            connection,
            now,
            heap,
        }
    }

    pub fn start(&mut self, transport: Transport) {
        let side = self.connection.side();
        self.with(|connection, now| {
            connection.start(now, transport);
            if let Some(permit) = connection.protocol_stream() {
                permit.bind(StreamId::new(side, Dir::Uni, 0));
            }
        });
    }

    /// What the connection holds beside its own `size_of`.
    pub fn heap(&self) -> usize {
        self.heap
    }

    /// For questions, which hold nothing.
    pub fn ask(&self) -> &Connection {
        &self.connection
    }

    /// Everything that changes the connection. The result must hold no heap.
    pub fn with<R>(&mut self, work: impl FnOnce(&mut Connection, Instant) -> R) -> R {
        let before = live();
        let result = work(&mut self.connection, self.now);
        let after = live();
        self.heap = (self.heap + after)
            .checked_sub(before)
            .expect("the connection freed what was not its own");
        result
    }

    pub fn handle(&mut self, input: impl FnOnce() -> Input) {
        self.with(|connection, now| connection.handle(now, input()));
    }

    pub fn feed(&mut self, stream: impl Into<StreamId>, data: &[u8], fin: bool) {
        self.handle(|| Input::StreamData {
            stream: stream.into(),
            data: Bytes::copy_from_slice(data),
            fin,
        });
    }

    /// Performs the next action on a QUIC that takes `takes` bytes of each write. Gives what it was,
    /// and leaves the events where they are.
    pub fn act(&mut self, takes: usize) -> Option<Acted> {
        self.with(|connection, now| {
            let action = connection.poll_action()?;
            Some(perform(connection, now, &action, takes))
        })
    }

    /// Polls everything; drops the events.
    pub fn drain(&mut self) {
        self.with(|connection, now| {
            while let Some(output) = connection.poll() {
                if let Output::Action(action) = output {
                    perform(connection, now, &action, usize::MAX);
                }
            }
        });
    }
}

/// An action without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acted {
    Wrote { stream: StreamId, fin: bool },
    Read,
    Reset { stream: StreamId, code: u64 },
    Stopped { stream: StreamId, code: u64 },
    Closed { code: u64 },
}

fn perform(connection: &mut Connection, now: Instant, action: &Action, takes: usize) -> Acted {
    match *action {
        Action::Write {
            stream,
            ref data,
            fin,
        } => {
            let len = data.len().min(takes);
            let fin = fin && len == data.len() && takes > 0;
            connection.handle(now, Input::Written { stream, len, fin });
            Acted::Wrote { stream, fin }
        }
        Action::Read { .. } => Acted::Read,
        Action::Reset { stream, code, .. } => Acted::Reset { stream, code },
        Action::StopSending { stream, code } => Acted::Stopped { stream, code },
        Action::CloseConnection { code, .. } => Acted::Closed { code },
    }
}
