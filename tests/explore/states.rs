//! Which states are the same.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    sync::Arc,
    time::{Duration, Instant},
};

use webtransport_session::{Config, Connection, Dir, Input, Side, StreamId, Support, Transport};

/// A server that heard of a session early in the life of its connection; or late.
fn server(began: Instant, early: Duration) -> Connection {
    let mut server = Connection::server(Arc::new(Config::default()));
    let control = StreamId::new(Side::Server, Dir::Uni, 0);
    server.start(began, Transport::new(Support::Yes));
    server.protocol_stream().unwrap().bind(control);
    let data = bytes::Bytes::from_static(b"\0early");
    server.handle(began + early, Input::DatagramReceived { data });
    server
}

fn hash(machine: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    machine.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn states_that_differ_by_when_they_were_reached_can_be_made_the_same() {
    #[expect(clippy::disallowed_methods, reason = "only differences matter")]
    let now = Instant::now() + Duration::from_secs(3600);
    let (by, early) = (Duration::from_secs(7), Duration::from_secs(1));
    let then = server(now, early);
    let mut later = server(now + by, early);
    assert!(then != later);
    later.set_back(by);
    assert!(then == later);
    assert_eq!(hash(&then), hash(&later));
    assert_eq!(later.poll_timeout(), then.poll_timeout());
    // The time between two events is no matter of when.
    let mut slower = server(now + by, 2 * early);
    slower.set_back(by);
    assert!(then != slower);
}

#[test]
fn a_copy_goes_its_own_way() {
    #[expect(clippy::disallowed_methods, reason = "only differences matter")]
    let now = Instant::now();
    let mut one = server(now, Duration::ZERO);
    let mut other = one.clone();
    assert!(one == other);
    while one.poll().is_some() {}
    assert!(one != other);
    while other.poll().is_some() {}
    assert!(one == other);
}
