//! s2n-quic's configuration, from the suite's options.

use std::{convert::Infallible, error::Error, time::Duration};

use aws_lc_rs::hmac;
use host_suite::Options;
use s2n_quic::{
    Client, Server,
    provider::{
        datagram,
        limits::Limits,
        stateless_reset_token::{self, Generator},
        tls::rustls,
    },
};
use s2n_quic_core::stateless_reset::Token;

use crate::told::Listener;

/// As s2n-quic's TLS says it.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// What s2n-quic keeps of a stream until the peer has it, in bytes. Its own 4 MiB would take in what
/// nobody reads.
const SEND_BUFFER: u32 = 1 << 18;

/// How long a handshake may take. The suite waits for 10 s.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Received datagrams of which nobody has heard yet, and unsent ones.
const DATAGRAMS: usize = 200;

pub(crate) fn server(options: &Options, listener: Listener) -> Result<Server, BoxError> {
    let tls = rustls::Server::builder()
        .with_certificate(options.certificate.as_path(), options.key.as_path())?
        .with_application_protocols([&options.alpn].into_iter())?
        .build()?;
    // A server that was started anew can tell a client so: the key of its resets is the same.
    let resets = Resets(hmac::Key::new(hmac::HMAC_SHA256, &options.reset_key));
    let server = Server::builder()
        .with_tls(tls)?
        .with_io(options.address)?
        .with_limits(limits(options)?)?
        .with_datagram(datagrams()?)?
        .with_stateless_reset_token(resets)?
        .with_event(listener)?
        .start()?;
    Ok(server)
}

pub(crate) fn client(options: &Options, listener: Listener) -> Result<Client, BoxError> {
    let tls = rustls::Client::builder()
        .with_certificate(options.certificate.as_path())?
        .with_application_protocols([&options.alpn].into_iter())?
        .build()?;
    let client = Client::builder()
        .with_tls(tls)?
        .with_io("127.0.0.1:0")?
        .with_limits(limits(options)?)?
        .with_datagram(datagrams()?)?
        .with_event(listener)?
        .start()?;
    Ok(client)
}

fn limits(options: &Options) -> Result<Limits, BoxError> {
    let (streams, window) = (options.streams.into(), options.stream_window.into());
    let limits = Limits::new()
        .with_max_idle_timeout(options.idle_timeout)?
        .with_max_handshake_duration(HANDSHAKE)?
        .with_max_open_remote_bidirectional_streams(streams)?
        .with_max_open_remote_unidirectional_streams(streams)?
        .with_bidirectional_local_data_window(window)?
        .with_bidirectional_remote_data_window(window)?
        .with_unidirectional_data_window(window)?
        .with_max_send_buffer_size(SEND_BUFFER)?
        // How many we open is up to the peer alone, and so told when it changes.
        .with_max_open_local_bidirectional_streams(u32::MAX.into())?
        .with_max_open_local_unidirectional_streams(u32::MAX.into())?;
    Ok(limits)
}

fn datagrams() -> Result<datagram::default::Endpoint, BoxError> {
    let endpoint = datagram::default::Endpoint::builder()
        .with_recv_capacity(DATAGRAMS)?
        .with_send_capacity(DATAGRAMS)?
        .build()?;
    Ok(endpoint)
}

struct Resets(hmac::Key);

impl stateless_reset_token::Provider for Resets {
    type Generator = Self;
    type Error = Infallible;

    fn start(self) -> Result<Self, Infallible> {
        Ok(self)
    }
}

impl Generator for Resets {
    fn generate(&mut self, connection_id: &[u8]) -> Token {
        let tag = hmac::sign(&self.0, connection_id);
        let mut token = [0; 16];
        token.copy_from_slice(&tag.as_ref()[..16]);
        token.into()
    }
}
