//! A browser's remote protocol: numbered commands and their answers as JSON over a websocket. CDP
//! and WebDriver BiDi are alike in this.

use std::{
    net::{Ipv4Addr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, bail};
use serde_json::{Value, json};
use tungstenite::{Error, Message, WebSocket};

pub(crate) struct Remote {
    socket: WebSocket<TcpStream>,
    last: u64,
}

/// Whatever takes a browser longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

impl Remote {
    pub(crate) fn connect(port: u16, path: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_millis(200)))?;
        let url = format!("ws://127.0.0.1:{port}{path}");
        let mut attempt = tungstenite::client(url, stream);
        let until = Instant::now() + PATIENCE;
        let (socket, _) = loop {
            attempt = match attempt {
                Ok(connected) => break connected,
                Err(tungstenite::HandshakeError::Interrupted(middle)) if Instant::now() < until => {
                    middle.handshake()
                }
                Err(error) => bail!("{error}"),
            };
        };
        Ok(Self { socket, last: 0 })
    }

    /// Sends a command and gives its number. `session` is CDP's way to name a tab.
    pub(crate) fn send(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> anyhow::Result<u64> {
        self.last += 1;
        let mut command = json!({ "id": self.last, "method": method, "params": params });
        if let (Some(session), Some(command)) = (session, command.as_object_mut()) {
            command.insert("sessionId".into(), session.into());
        }
        self.socket.send(Message::text(command.to_string()))?;
        Ok(self.last)
    }

    /// Sends a command and waits for its result.
    pub(crate) fn call(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> anyhow::Result<Value> {
        let id = self.send(session, method, params)?;
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let text = match self.socket.read() {
                Ok(Message::Text(text)) => text,
                Ok(_) => continue,
                Err(Error::Io(error))
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) =>
                {
                    continue;
                }
                Err(error) => return Err(error).context(method.to_owned()),
            };
            let mut answer: Value = serde_json::from_str(&text)?;
            // Of other numbers are the answers that nobody waited for; without are events.
            if answer.get("id").and_then(Value::as_u64) != Some(id) {
                continue;
            }
            if let Some(error) = answer.get("error") {
                let more = answer.get("message").cloned().unwrap_or_default();
                bail!("{method}: {error} {more}");
            }
            return Ok(answer
                .get_mut("result")
                .map(Value::take)
                .unwrap_or_default());
        }
        Err(anyhow!(
            "{method}: no answer within {} s",
            PATIENCE.as_secs()
        ))
    }
}
