//! What connections and sessions hold, in bytes. Whoever counts says how many are allocated now.

use webtransport_session::{Connection, Event, Input};

use super::{
    OURS,
    ends::{Ends, crowded, drain, pieces, plain},
    streams,
};

/// Something that is held.
#[derive(Clone, Copy, Debug)]
pub struct Holding {
    /// What is held.
    pub row: &'static str,
    /// Who holds it.
    pub by: &'static str,
    /// Makes it, and gives its size in bytes by what is allocated before and after.
    pub measure: fn(&dyn Fn() -> usize) -> usize,
}

pub const ALL: &[Holding] = &[
    ours("size-of-connection", |_| size_of::<Connection>()),
    ours("size-of-event", |_| size_of::<Event>()),
    ours("connection-with-one-session", one_session),
    ours("one-more-session", one_more_session),
    ours("after-10000-streams", after_streams),
    ours("after-1000-sessions", after_sessions),
];

const fn ours(row: &'static str, measure: fn(&dyn Fn() -> usize) -> usize) -> Holding {
    let by = OURS;
    Holding { row, by, measure }
}

/// What the server's end alone holds on the heap: what is given back when it is dropped.
fn heap_of_server(ends: Ends, live: &dyn Fn() -> usize) -> usize {
    let Ends { client, server, .. } = ends;
    let before = live();
    drop(server);
    let heap = before - live();
    drop(client);
    heap
}

fn one_session(live: &dyn Fn() -> usize) -> usize {
    let config = plain();
    let ends = Ends::with_sessions(&config, 1);
    size_of::<Connection>() + heap_of_server(ends, live)
}

fn one_more_session(live: &dyn Fn() -> usize) -> usize {
    let config = crowded();
    let of = |count| heap_of_server(Ends::with_sessions(&config, count), live);
    (of(1100) - of(100)) / 1000
}

/// How much more the server holds after so many streams that came and went.
fn after_streams(live: &dyn Fn() -> usize) -> usize {
    const COUNT: usize = 10_000;
    let mut ends = Ends::with_sessions(&plain(), 1);
    let mut chunks = pieces(&streams::uni_bytes(b"x"), COUNT).into_iter();
    let mut before = live();
    for (n, data) in chunks.by_ref().enumerate() {
        if n == 100 {
            before = live();
        }
        let (stream, fin) = (streams::uni(n), true);
        let input = Input::StreamData { stream, data, fin };
        ends.server.handle(ends.now, input);
        drain(&mut ends.server, ends.now);
    }
    live().saturating_sub(before)
}

/// The same of sessions, both ends together.
fn after_sessions(live: &dyn Fn() -> usize) -> usize {
    let mut ends = Ends::ready(&plain());
    let request = super::ends::request();
    let mut before = live();
    for n in 0..1000 {
        if n == 100 {
            before = live();
        }
        let session = ends.open(&request);
        ends.client.close(ends.now, session, 7, "bye");
        ends.exchange();
    }
    live().saturating_sub(before)
}
