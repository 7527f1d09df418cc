//! What the two ends of a pair are made of: configurations, and a certificate for the server.

use std::{sync::LazyLock, time::Duration};

use quinn_proto::{EndpointConfig, TransportConfig};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use webtransport_session::Config;

/// The round trip of the link.
pub const ROUND_TRIP: Duration = Duration::from_millis(20);

/// What a test wants to be different.
pub struct Setup {
    pub client: Config,
    pub server: Config,
    pub client_quic: TransportConfig,
    pub server_quic: TransportConfig,
    pub client_tls: rustls::ClientConfig,
    pub server_tls: rustls::ServerConfig,
    /// As quinn has it, unless a test says otherwise.
    pub server_endpoint: Option<EndpointConfig>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            client: Config::default(),
            server: Config::default(),
            client_quic: transport(),
            server_quic: transport(),
            client_tls: client_tls(),
            server_tls: server_tls(),
            server_endpoint: None,
        }
    }
}

/// Quinn's own settings, with a first guess of the round trip that fits this link.
fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.initial_rtt(ROUND_TRIP).mtu_discovery_config(None);
    transport
}

struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

static IDENTITY: LazyLock<Identity> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    Identity {
        certificate: made.cert.der().clone(),
        key: PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap(),
    }
});

/// Trusts the server of these tests.
pub fn client_tls() -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(IDENTITY.certificate.clone()).unwrap();
    client_tls_trusting(roots)
}

pub fn client_tls_trusting(roots: rustls::RootCertStore) -> rustls::ClientConfig {
    let mut tls = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    tls
}

pub fn server_tls() -> rustls::ServerConfig {
    let builder = rustls::ServerConfig::builder().with_no_client_auth();
    server_tls_from(builder)
}

/// Asks each client for a certificate that it does not have.
pub fn server_tls_with_client_certificates() -> rustls::ServerConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(IDENTITY.certificate.clone()).unwrap();
    let verifier = rustls::server::WebPkiClientVerifier::builder(roots.into())
        .build()
        .unwrap();
    let builder = rustls::ServerConfig::builder().with_client_cert_verifier(verifier);
    server_tls_from(builder)
}

fn server_tls_from(
    builder: rustls::ConfigBuilder<rustls::ServerConfig, rustls::server::WantsServerCert>,
) -> rustls::ServerConfig {
    let chain = vec![IDENTITY.certificate.clone()];
    let mut tls = builder
        .with_single_cert(chain, IDENTITY.key.clone_key())
        .unwrap();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    tls
}
