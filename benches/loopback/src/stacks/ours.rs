//! This crate with the host for quinn on tokio, as `examples/hosts/quinn` has it: one task for each
//! connection, which a user copies.

use std::{
    pin::pin,
    sync::{Arc, LazyLock},
    time::Instant,
};

use webtransport_session::{
    Config, Connection, Dir, Event, Request, Response, SendError, SessionId,
};

use crate::{
    Result,
    host::Host,
    net::Net,
    stack::{self, Stack, part},
};

static CONFIG: LazyLock<Arc<Config>> = LazyLock::new(Arc::default);

#[derive(Debug)]
pub struct Ours {
    request: Request,
}

#[derive(Debug)]
pub struct Client {
    host: Host,
    session: SessionId,
    request: Request,
}

#[derive(Debug)]
pub struct Server {
    host: Host,
}

impl Stack for Ours {
    type Client = Client;
    type Server = Server;

    fn new(net: &Net) -> Result<Self> {
        let request = Request::new(net.url().parse()?);
        Ok(Self { request })
    }

    async fn connect(&self, net: &Net) -> Result<Client> {
        let connecting = net.client.connect(net.address, crate::net::NAME)?;
        let mut host = handshake(net, connecting, Connection::client(CONFIG.clone())).await?;
        while !matches!(next(&mut host).await?, Event::Ready(_)) {}
        let request = self.request.clone();
        let session = open(&mut host, &request).await?;
        Ok(Client {
            host,
            session,
            request,
        })
    }

    async fn accept(net: &Net) -> Result<Server> {
        let connecting = net.incoming().await?.accept()?;
        let host = handshake(net, connecting, Connection::server(CONFIG.clone())).await?;
        let mut server = Server { host };
        server.take_session().await?;
        Ok(server)
    }
}

async fn handshake(net: &Net, connecting: quinn::Connecting, sessions: Connection) -> Result<Host> {
    let host = Host::handshake(connecting, sessions, net.stream_window()).await;
    host.map_err(|_| "the handshake failed".into())
}

async fn next(host: &mut Host) -> Result<Event> {
    match host.next().await {
        Some(Event::ConnectionClosed { reason }) => Err(reason.to_string().into()),
        Some(event) => Ok(event),
        None => Err("the connection is over".into()),
    }
}

async fn open(host: &mut Host, request: &Request) -> Result<SessionId> {
    let asked = host.connect(request)?;
    loop {
        match next(host).await? {
            Event::SessionOpened { session, .. } if session == asked => return Ok(session),
            Event::SessionClosed { session, reason } if session == asked => {
                return Err(reason.to_string().into());
            }
            _ => {}
        }
    }
}

impl stack::Client for Client {
    fn send_datagram(&mut self, payload: &[u8]) -> Result<()> {
        Ok(self.host.send_datagram(self.session, payload)??)
    }

    async fn send_stream(&mut self, len: usize) -> Result<()> {
        let stream = self.host.open(self.session, Dir::Uni)?;
        let mut left = len;
        while left > 0 {
            match self.host.write(stream, part(left)) {
                Ok(written) => left -= written,
                Err(SendError::Blocked) => loop {
                    match next(&mut self.host).await? {
                        Event::StreamWritable { stream: free, .. } if free == stream => break,
                        _ => {}
                    }
                },
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.host.sessions.finish(stream)?)
    }

    async fn wait<T>(&mut self, until: impl Future<Output = T>) -> Result<T> {
        let mut until = pin!(until);
        loop {
            tokio::select! {
                value = &mut until => return Ok(value),
                event = next(&mut self.host) => drop(event?),
            }
        }
    }

    async fn end_session(&mut self) -> Result<()> {
        let sessions = &mut self.host.sessions;
        sessions.close(Instant::now(), self.session, 7, "bye");
        while !matches!(next(&mut self.host).await?, Event::SessionClosed { .. }) {}
        Ok(())
    }

    async fn begin_session(&mut self) -> Result<()> {
        self.session = open(&mut self.host, &self.request).await?;
        Ok(())
    }

    async fn close(mut self) -> Result<()> {
        self.host.sessions.shutdown(Instant::now(), 7, "bye");
        while self.host.next().await.is_some() {}
        Ok(())
    }
}

impl Server {
    async fn take_session(&mut self) -> Result<()> {
        loop {
            if let Event::SessionRequested { session, .. } = next(&mut self.host).await? {
                let sessions = &mut self.host.sessions;
                sessions.accept(Instant::now(), session, Response::default())?;
                // It follows the answer.
                while !matches!(next(&mut self.host).await?, Event::SessionOpened { .. }) {}
                return Ok(());
            }
        }
    }
}

impl stack::Server for Server {
    async fn datagram(&mut self) -> Result<usize> {
        loop {
            if let Event::DatagramReceived { payload, .. } = next(&mut self.host).await? {
                return Ok(payload.len());
            }
        }
    }

    async fn stream(&mut self) -> Result<usize> {
        let mut len = 0;
        loop {
            if let Event::StreamData { data, fin, .. } = next(&mut self.host).await? {
                len += data.len();
                if fin {
                    return Ok(len);
                }
            }
        }
    }

    async fn session_ended(&mut self) -> Result<()> {
        while !matches!(next(&mut self.host).await?, Event::SessionClosed { .. }) {}
        Ok(())
    }

    async fn take_session(&mut self) -> Result<()> {
        Self::take_session(self).await
    }

    async fn ended(mut self) -> Result<()> {
        let mut is_over = false;
        while let Some(event) = self.host.next().await {
            is_over |= matches!(event, Event::SessionClosed { .. });
        }
        match is_over {
            true => Ok(()),
            false => Err("the session never ended".into()),
        }
    }
}
