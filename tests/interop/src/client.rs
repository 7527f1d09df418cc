//! Our client: tells all that happens, and does what it is told.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use webtransport_session::{
    Config, Event, Request, SessionId,
    host::quinn_proto::{Endpoint, PeerId},
};

use crate::{
    identity::Identity,
    node::{Application, Node},
};

/// Starts a client's endpoint.
pub(crate) fn start(config: Config) -> anyhow::Result<Node> {
    Node::start(Endpoint::client(Arc::new(config)), Watches)
}

/// Connects to a server; to be waited for is [`Event::Ready`].
pub(crate) fn connect(
    node: &Node,
    identity: &Identity,
    idle: Duration,
    server: SocketAddr,
) -> anyhow::Result<PeerId> {
    let config = identity.client(idle)?;
    node.call(move |now, turn| turn.endpoint.connect(now, config, server, "localhost"))?
        .map_err(|error| anyhow!("{error}"))
}

/// Asks for a session on a connection that is ready.
pub(crate) fn request(node: &Node, peer: PeerId, request: Request) -> anyhow::Result<SessionId> {
    node.call(move |now, turn| {
        let peer = turn.endpoint.peer(peer).context("the connection is gone")?;
        Ok(peer.connect(now, &request)?)
    })?
}

/// Answers nothing.
struct Watches;

impl Application for Watches {
    fn event(&mut self, _: Instant, _: &mut Endpoint, _: PeerId, event: Event) -> Option<Event> {
        Some(event)
    }
}
