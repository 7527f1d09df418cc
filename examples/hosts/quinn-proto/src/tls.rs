//! Quinn's configuration, from the suite's options.

use std::{error::Error, sync::Arc};

use ::ring::hmac;
use host_suite::Options;
use quinn_proto::{
    self as quic, ClientConfig, EndpointConfig, RandomConnectionIdGenerator, ServerConfig,
    TransportConfig,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use rustls::{
    RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use webtransport_session::{Side, host::quinn_proto::Endpoint};

pub(crate) fn endpoint(options: &Options) -> Result<Endpoint, Box<dyn Error>> {
    // A server that was started anew can tell a client so: the key of its resets is the same, and
    // it takes the connection ids of before for its own.
    let reset_key = hmac::Key::new(hmac::HMAC_SHA256, &options.reset_key);
    let mut config = EndpointConfig::new(Arc::new(reset_key));
    config.cid_generator(|| Box::new(RandomConnectionIdGenerator::new(8)));
    let server = match options.side {
        Side::Client => None,
        Side::Server => Some(Arc::new(server(options)?)),
    };
    let endpoint = quic::Endpoint::new(Arc::new(config), server, true, None);
    Ok(Endpoint::new(endpoint, options.config.clone()))
}

fn server(options: &Options) -> Result<ServerConfig, Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(&options.certificate)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(&options.key)?;
    let tls = rustls::ServerConfig::builder_with_provider(provider());
    let tls = tls.with_safe_default_protocol_versions()?;
    let tls = tls.with_no_client_auth();
    let mut tls = tls.with_single_cert(chain, key)?;
    tls.alpn_protocols = vec![options.alpn.clone().into()];
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(transport(options)?);
    Ok(config)
}

pub(crate) fn client(options: &Options) -> Result<ClientConfig, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&options.certificate)? {
        roots.add(certificate?)?;
    }
    let tls = rustls::ClientConfig::builder_with_provider(provider());
    let tls = tls.with_safe_default_protocol_versions()?;
    let tls = tls.with_root_certificates(roots);
    let mut tls = tls.with_no_client_auth();
    tls.alpn_protocols = vec![options.alpn.clone().into()];
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(transport(options)?);
    Ok(config)
}

/// By name: another host that is built along with this one brings rustls a second.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn transport(options: &Options) -> Result<Arc<TransportConfig>, Box<dyn Error>> {
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(options.idle_timeout.try_into()?));
    transport.max_concurrent_bidi_streams(options.streams.into());
    transport.max_concurrent_uni_streams(options.streams.into());
    transport.stream_receive_window(options.stream_window.into());
    Ok(Arc::new(transport))
}
