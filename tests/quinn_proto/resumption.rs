//! A client that comes back, with a TLS session ticket and what the server said before (§3.2).

use std::sync::Arc;

use webtransport_session::{
    Config, ConnectionLost, Dialect, Dialects, Event, Http3Error, RememberedSettings, Side,
    host::quinn_proto::Host,
};

use crate::{
    pair::Pair,
    setup::{ROUND_TRIP, Setup, client_tls, server_tls},
};

/// Both ends' TLS, which remembers the sessions of the connections before.
struct Tls {
    client: rustls::ClientConfig,
    server: rustls::ServerConfig,
}

impl Tls {
    fn new() -> Self {
        let (mut client, mut server) = (client_tls(), server_tls());
        client.enable_early_data = true;
        server.max_early_data_size = u32::MAX;
        Self { client, server }
    }

    fn setup(&self) -> Setup {
        Setup {
            client_tls: self.client.clone(),
            server_tls: self.server.clone(),
            ..Setup::default()
        }
    }
}

/// A first connection, for the ticket and the SETTINGS.
fn first(setup: Setup) -> RememberedSettings {
    let mut pair = Pair::connected(setup);
    assert!(!pair.client.quic().accepted_0rtt());
    let server = pair.server.sessions();
    assert_eq!(server.remembered_settings(), None);
    let client = pair.client.sessions();
    client.remembered_settings().unwrap()
}

fn resuming(setup: Setup, remembered: RememberedSettings) -> Pair {
    let mut pair = Pair::connecting(setup);
    let config = Arc::new(Config::default());
    pair.client.peer().host = Host::client_resuming(config, remembered);
    pair
}

#[test]
fn a_client_that_comes_back_finds_the_server_as_it_was() {
    let tls = Tls::new();
    let remembered = first(tls.setup());
    let mut pair = resuming(tls.setup(), remembered);
    // The server's handshake is under way, and its SETTINGS are behind it.
    pair.turn();
    pair.arrive();
    pair.turn();
    pair.arrive();
    pair.turn();
    assert!(pair.client.quic().accepted_0rtt());
    assert_eq!(pair.client.take(), []);
    pair.settle();
    let events = pair.client.take();
    assert!(matches!(events[..], [Event::Ready(_)]), "{events:?}");
    let session = pair.client.connect("/again");
    pair.settle();
    pair.server.accept(session);
    pair.settle();
    let events = pair.client.take();
    assert!(matches!(events[..], [Event::SessionOpened { .. }]));
    let client = pair.client.sessions();
    assert_eq!(client.remembered_settings(), Some(remembered));
}

#[test]
fn a_server_that_takes_back_what_it_said_is_left() {
    let tls = Tls::new();
    let remembered = first(tls.setup());
    let mut setup = tls.setup();
    setup.server.dialects = Dialects::only(Dialect::Draft02);
    let mut pair = resuming(setup, remembered);
    pair.run(ROUND_TRIP * 4);
    let lost = ConnectionLost::Http3(Http3Error::Settings);
    assert_eq!(pair.client.loss(), lost);
    let seen = pair.side(Side::Server).loss();
    assert_eq!(
        seen,
        ConnectionLost::PeerApplication {
            code: 0x109,
            reason: "H3_SETTINGS_ERROR".into()
        }
    );
}

#[test]
fn a_server_that_takes_no_early_data_may_say_something_else() {
    let tls = Tls::new();
    let remembered = first(tls.setup());
    let mut setup = tls.setup();
    setup.server_tls = server_tls();
    setup.server.dialects = Dialects::only(Dialect::Draft02);
    let mut pair = resuming(setup, remembered);
    pair.settle();
    assert!(!pair.client.quic().accepted_0rtt());
    let events = pair.client.take();
    let [Event::Ready(negotiated)] = events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(negotiated.dialect, Some(Dialect::Draft02));
    let known = pair.client.sessions().remembered_settings();
    assert!(known.is_some_and(|known| known != remembered));
}
