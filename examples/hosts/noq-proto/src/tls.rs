//! Noq's configuration, from the suite's options.

use std::{error::Error, sync::Arc};

use host_suite::Options;
use noq_proto::{
    ClientConfig, Endpoint, EndpointConfig, HashedConnectionIdGenerator, ServerConfig,
    TransportConfig,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use ring::hmac;
use webtransport_session::Side;

pub(crate) fn endpoint(options: &Options) -> Result<Endpoint, Box<dyn Error>> {
    // A server that was started anew can tell a client so: the key of its resets is the same, and
    // it takes the connection ids of before for its own.
    let reset_key = hmac::Key::new(hmac::HMAC_SHA256, &options.reset_key);
    let mut config = EndpointConfig::new(Arc::new(reset_key));
    config.cid_generator(Arc::new(|| {
        Box::new(HashedConnectionIdGenerator::from_key(0x5e))
    }));
    let server = match options.side {
        Side::Client => None,
        Side::Server => Some(Arc::new(server(options)?)),
    };
    // mio's sockets do not forbid fragments: no larger packets are tried.
    Ok(Endpoint::new(Arc::new(config), server, false))
}

fn server(options: &Options) -> Result<ServerConfig, Box<dyn Error>> {
    let tls = options.server_tls()?;
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(transport(options)?);
    Ok(config)
}

pub(crate) fn client(options: &Options) -> Result<ClientConfig, Box<dyn Error>> {
    let tls = options.client_tls()?;
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(transport(options)?);
    Ok(config)
}

fn transport(options: &Options) -> Result<Arc<TransportConfig>, Box<dyn Error>> {
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(options.idle_timeout.try_into()?));
    transport.max_concurrent_bidi_streams(options.streams.into());
    transport.max_concurrent_uni_streams(options.streams.into());
    transport.stream_receive_window(options.stream_window.into());
    Ok(Arc::new(transport))
}
