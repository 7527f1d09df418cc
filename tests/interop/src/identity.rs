//! The server's certificate, and TLS and QUIC made with it for both ends.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use quinn_proto::{
    ClientConfig, IdleTimeout, ServerConfig, TransportConfig,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// Browsers accept a certificate by its hash if it is valid for at most 14 days.
const VALID_FOR: Duration = Duration::from_secs(13 * 24 * 60 * 60);

/// A certificate for this machine, signed by itself, with a P-256 key.
#[derive(Debug)]
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    pem: (String, String),
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self {
            certificate: self.certificate.clone(),
            key: self.key.clone_key(),
            pem: self.pem.clone(),
        }
    }
}

impl Identity {
    pub(crate) fn fresh() -> anyhow::Result<Self> {
        let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
        let mut params = CertificateParams::new(names)?;
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let now = SystemTime::UNIX_EPOCH.elapsed()?;
        params.not_before = epoch + now - Duration::from_secs(60 * 60);
        params.not_after = params.not_before + VALID_FOR;
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            certificate: certificate.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            pem: (certificate.pem(), key.serialize_pem()),
        })
    }

    /// The certificate and its key as text, for peers that read files.
    pub(crate) fn pem(&self) -> (&str, &str) {
        (&self.pem.0, &self.pem.1)
    }

    /// SHA-256 of the certificate.
    pub(crate) fn hash(&self) -> Vec<u8> {
        let suite = ring::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13();
        suite.map_or_else(Vec::new, |suite| {
            let hash = suite.common.hash_provider.hash(&self.certificate);
            hash.as_ref().to_vec()
        })
    }

    /// QUIC for a server that gives a silent connection up after `idle`.
    pub(crate) fn server(&self, idle: Duration) -> anyhow::Result<ServerConfig> {
        let mut tls = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())?;
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
        config.transport_config(transport(idle)?);
        Ok(config)
    }

    /// QUIC for a client that trusts this server and no other.
    pub(crate) fn client(&self, idle: Duration) -> anyhow::Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        let mut tls = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
        config.transport_config(transport(idle)?);
        Ok(config)
    }
}

fn transport(idle: Duration) -> anyhow::Result<Arc<TransportConfig>> {
    let mut transport = TransportConfig::default();
    let idle = IdleTimeout::try_from(idle).context("the idle timeout is too long")?;
    transport.max_idle_timeout(Some(idle));
    Ok(Arc::new(transport))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
