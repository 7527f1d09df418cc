//! A peer in a thread of its own, with a runtime for nothing else, and what it tells.

use std::{
    cell::RefCell,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    rc::Rc,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use tokio::time::timeout;
use webtransport_session::Side;

use super::ours::{ABORT, READY};
use crate::identity::Identity;

/// What the peer does when the session is open at both ends, if it is not said otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Waits for us, and tells how it ended.
    Wait,
    /// Closes with its own function for that.
    Close(u32, &'static str),
    /// Closes with its own function for that, with a message of so many bytes.
    CloseLong(u32, usize),
    /// Lets go of everything.
    Drop,
    /// Client: asks, and lets go before the answer.
    DropEarly,
    /// Server: answers with this status.
    Reject(u16),
    /// Server: does not answer.
    Withhold,
    /// As its counterpart of [`Act`](super::ours::Act).
    Converse,
    /// As its counterpart of [`Act`](super::ours::Act).
    AbortStreams,
    /// Bytes in a DATA frame on the CONNECT stream, then perhaps FIN.
    Body(Vec<u8>, Fin),
    /// Waits until our half has ended or a drain has come, then these bytes in a DATA frame, and FIN.
    Answer(Vec<u8>),
    /// RESET_STREAM before the answer.
    ResetEarly(u64),
    /// STOP_SENDING before the answer.
    StopEarly(u64),
    /// FIN before the answer.
    FinEarly,
    /// Trailers on the CONNECT stream.
    Trailers,
    /// RESET_STREAM on the CONNECT stream.
    Reset(u64),
    /// STOP_SENDING on the CONNECT stream.
    Stop(u64),
    /// Both of them.
    ResetAndStop(u64),
    /// CONNECTION_CLOSE by its application.
    CloseConnection(u64, &'static str),
    /// Server: GOAWAY, then these bytes in a DATA frame, and FIN.
    GoAway(Vec<u8>),
    /// Server: rejects with this status, and lets go at once.
    RejectAndDrop(u16),
    /// As the peer's own program has it.
    Script(serde_json::Value),
    /// A session that is not on the first stream, and a datagram in it.
    Later,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fin {
    Yes,
    No,
}

/// What is the same for each peer.
pub(crate) struct Invitation {
    /// The peer's.
    pub(crate) side: Side,
    pub(crate) deed: Deed,
    pub(crate) identity: Identity,
    pub(crate) idle: Duration,
    /// Client: the server.
    pub(crate) server: Option<SocketAddr>,
}

/// What a peer tells, in the order in which it does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Rc<RefCell<Vec<String>>>);

impl Lines {
    pub(crate) fn tell(&self, line: impl Into<String>) {
        self.0.borrow_mut().push(line.into());
    }
}

/// A peer that runs.
pub(crate) struct Guest {
    /// Server: where it listens.
    pub(crate) address: Option<SocketAddr>,
    told: mpsc::Receiver<Vec<String>>,
}

/// Whatever takes longer has hung.
pub(crate) const PATIENCE: Duration = Duration::from_secs(29);

impl Guest {
    /// Runs a peer that has its quinn endpoint made for it.
    pub(crate) fn start<F>(
        invitation: Invitation,
        play: impl FnOnce(quinn::Endpoint, Invitation, Lines) -> F + Send + 'static,
    ) -> anyhow::Result<Self>
    where
        F: Future<Output = anyhow::Result<()>>,
    {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = (invitation.side == Side::Server).then_some(socket.local_addr()?);
        let (tell, told) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::Builder::new().name("peer".into()).spawn(move || {
            let lines = Lines::default();
            let play = async {
                let endpoint = endpoint(socket, &invitation)?;
                play(endpoint, invitation, lines.clone()).await
            };
            match runtime.block_on(async { timeout(PATIENCE, play).await }) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => lines.tell(format!("{error:#}")),
                Err(_) => lines.tell("hangs"),
            }
            let all = lines.0.borrow().clone();
            let _gone = tell.send(all);
        })?;
        Ok(Self { address, told })
    }

    /// One that is run otherwise.
    pub(crate) fn of(address: Option<SocketAddr>, told: mpsc::Receiver<Vec<String>>) -> Self {
        Self { address, told }
    }

    /// All that it told, when it has ended.
    pub(crate) fn told(&self) -> anyhow::Result<Vec<String>> {
        let patience = PATIENCE + Duration::from_secs(2);
        self.told
            .recv_timeout(patience)
            .context("the peer's thread is gone or does not end")
    }
}

fn endpoint(socket: UdpSocket, invitation: &Invitation) -> anyhow::Result<quinn::Endpoint> {
    let runtime = Arc::new(quinn::TokioRuntime);
    let config = quinn::EndpointConfig::default();
    let (identity, idle) = (&invitation.identity, invitation.idle);
    Ok(match invitation.side {
        Side::Server => {
            let server = Some(identity.server(idle)?);
            quinn::Endpoint::new(config, server, socket, runtime)?
        }
        Side::Client => {
            let mut endpoint = quinn::Endpoint::new(config, None, socket, runtime)?;
            endpoint.set_default_client_config(identity.client(idle)?);
            endpoint
        }
    })
}

/// A connection of that endpoint.
pub(crate) async fn connection(
    endpoint: &quinn::Endpoint,
    invitation: &Invitation,
) -> anyhow::Result<quinn::Connection> {
    match invitation.side {
        Side::Server => {
            let incoming = endpoint.accept().await.context("no connection comes")?;
            Ok(incoming.await?)
        }
        Side::Client => {
            let server = invitation.server.context("there is no server")?;
            Ok(endpoint.connect(server, "localhost")?.await?)
        }
    }
}

/// What every peer's session can do. Errors are the peer's, in its words.
pub(crate) trait Session {
    /// A unidirectional stream with this and FIN.
    async fn send_uni(&self, data: &[u8]) -> Result<(), String>;
    /// All of the next unidirectional stream.
    async fn next_uni(&self) -> Result<Vec<u8>, String>;
    /// Sends on a bidirectional stream, with FIN, and gives what comes back.
    async fn ask(&self, data: &[u8]) -> Result<Vec<u8>, String>;
    /// Sends all of the next bidirectional stream back, and gives it.
    async fn answer(&self) -> Result<Vec<u8>, String>;
    async fn send_datagram(&self, data: &[u8]) -> Result<(), String>;
    async fn next_datagram(&self) -> Result<Vec<u8>, String>;
    /// Opens a stream with `data`, and tells how reading and writing it end.
    async fn be_aborted(&self, data: &[u8]) -> Result<[String; 2], String>;
    /// Resets the next bidirectional stream with 73 and stops it with 74.
    async fn abort(&self) -> Result<(), String>;
}

/// The opening, seen from the peer.
pub(crate) async fn greet(session: &impl Session) -> Result<(), String> {
    session.send_uni(READY).await?;
    let ready = session.next_uni().await?;
    if ready == READY {
        Ok(())
    } else {
        Err(format!("not ready: {}", ready.escape_ascii()))
    }
}

/// The counterpart of [`Act::Converse`](super::ours::Act::Converse).
pub(crate) async fn converse(session: &impl Session, lines: &Lines) -> Result<(), String> {
    let datagrams = async {
        session.send_datagram(b"p-datagram").await?;
        let mut received = Vec::new();
        for _ in 0..2 {
            let datagram = session.next_datagram().await?;
            if datagram.starts_with(b"o-") {
                session.send_datagram(&datagram).await?;
            }
            received.push(format!("datagram {}", datagram.escape_ascii()));
        }
        received.sort();
        Ok::<_, String>(received)
    };
    let (asked, answered, datagrams) =
        tokio::try_join!(session.ask(b"p-bi"), session.answer(), datagrams)?;
    lines.tell(format!("Bi {}", asked.escape_ascii()));
    lines.tell(format!("Bi {}", answered.escape_ascii()));
    for datagram in datagrams {
        lines.tell(datagram);
    }
    session.send_uni(b"done").await
}

/// The counterpart of [`Act::AbortStreams`](super::ours::Act::AbortStreams).
pub(crate) async fn abort_streams(session: &impl Session, lines: &Lines) -> Result<(), String> {
    let (aborted, ()) = tokio::try_join!(session.be_aborted(ABORT), session.abort())?;
    for line in aborted {
        lines.tell(line);
    }
    session.send_uni(b"done").await
}
