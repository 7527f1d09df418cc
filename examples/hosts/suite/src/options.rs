//! The arguments of every program in the suite.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use webtransport_session::{Config, Side};

/// What a program is told at its start.
#[derive(Clone, Debug)]
pub struct Options {
    /// A client connects to `address`, a server listens there.
    pub side: Side,
    /// Loopback. Port 0 at a server: any.
    pub address: SocketAddr,
    /// A PEM file with the server's certificate, which the client trusts. It is for "localhost".
    pub certificate: PathBuf,
    /// A PEM file with the server's key.
    pub key: PathBuf,
    /// The protocol of the handshake: "h3", but for the scenario in which it fails.
    pub alpn: String,
    /// QUIC's idle timeout at this end.
    pub idle_timeout: Duration,
    /// What a server's stateless resets are made with, the same after a restart.
    pub reset_key: [u8; 64],
    /// How many streams of a kind the peer may have open, as this end's transport parameters say.
    pub streams: u32,
    /// How many bytes the peer may have on their way on one stream.
    pub stream_window: u32,
    /// For the sessions.
    pub config: Arc<Config>,
}

/// Why the arguments will not do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadArguments {
    /// Not what was expected there.
    #[error(transparent)]
    Arguments(#[from] lexopt::Error),
    /// One is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// The configuration cannot be read.
    #[error("--config: {0}")]
    Config(#[from] serde_json::Error),
}

impl Options {
    /// Reads `client ADDRESS` or `server ADDRESS`, and `--name value` for what else there is.
    ///
    /// # Errors
    /// In words that can be printed.
    pub fn from_args() -> Result<Self, BadArguments> {
        Self::parse(lexopt::Parser::from_env())
    }

    fn parse(mut arguments: lexopt::Parser) -> Result<Self, BadArguments> {
        use lexopt::{Arg, ValueExt as _};
        let (mut side, mut address, mut certificate, mut key) = (None, None, None, None);
        let mut alpn = "h3".to_owned();
        let mut idle_timeout = Duration::from_secs(30);
        let (mut streams, mut stream_window) = (100, 1 << 18);
        let mut config = Config::default();
        while let Some(argument) = arguments.next()? {
            match argument {
                Arg::Value(value) if side.is_none() => {
                    side = Some(match value.string()?.as_str() {
                        "client" => Side::Client,
                        "server" => Side::Server,
                        other => Err(lexopt::Error::from(format!(
                            "neither client nor server: {other}"
                        )))?,
                    });
                }
                Arg::Value(value) if address.is_none() => address = Some(value.parse()?),
                Arg::Long("certificate") => certificate = Some(arguments.value()?.into()),
                Arg::Long("key") => key = Some(arguments.value()?.into()),
                Arg::Long("alpn") => alpn = arguments.value()?.string()?,
                Arg::Long("idle") => {
                    idle_timeout = Duration::from_millis(arguments.value()?.parse()?);
                }
                Arg::Long("streams") => streams = arguments.value()?.parse()?,
                Arg::Long("stream-window") => stream_window = arguments.value()?.parse()?,
                Arg::Long("config") => {
                    config = serde_json::from_str(&arguments.value()?.string()?)?;
                }
                other => Err(other.unexpected())?,
            }
        }
        Ok(Self {
            side: side.ok_or(BadArguments::Missing("client or server"))?,
            address: address.ok_or(BadArguments::Missing("the address"))?,
            certificate: certificate.ok_or(BadArguments::Missing("--certificate"))?,
            key: key.ok_or(BadArguments::Missing("--key"))?,
            alpn,
            idle_timeout,
            reset_key: [0x5e; 64],
            streams,
            stream_window,
            config: Arc::new(config),
        })
    }
}
