//! A certificate that the server signs itself, for two weeks at most: so a browser takes it by its
//! hash.

use std::{error::Error, sync::Arc, time::SystemTime};

use h3_quinn::quinn::{self, crypto::rustls::QuicServerConfig};
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// The server's certificate and its key.
pub struct Identity {
    certificate: CertificateDer<'static>,
    /// SHA-256 of the public key.
    key_hash: Vec<u8>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// A fresh one for this machine, with a P-256 key.
    pub fn fresh() -> Result<Self, Box<dyn Error>> {
        let names = ["localhost", "127.0.0.1"].map(String::from);
        let mut params = CertificateParams::new(names)?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let hours = |hours: u64| std::time::Duration::from_secs(hours * 60 * 60);
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        params.not_before = epoch + now.saturating_sub(hours(1));
        params.not_after = epoch + now + hours(13 * 24);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            certificate: certificate.der().clone(),
            key_hash: sha256(&key.subject_public_key_info()),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        })
    }

    /// For whoever trusts it.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Its SHA-256, as a page has to give it.
    pub(crate) fn hash(&self) -> Vec<u8> {
        sha256(&self.certificate)
    }

    /// What Chromium wants of `--ignore-certificate-errors-spki-list`.
    pub fn spki(&self) -> String {
        data_encoding::BASE64.encode(&self.key_hash)
    }

    /// TLS and QUIC of the server.
    pub fn server(&self) -> Result<quinn::ServerConfig, Box<dyn Error>> {
        let provider = Arc::new(ring::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())?;
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let tls = QuicServerConfig::try_from(tls)?;
        Ok(quinn::ServerConfig::with_crypto(Arc::new(tls)))
    }
}

fn sha256(data: &[u8]) -> Vec<u8> {
    let suite = ring::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13();
    let hash = suite.map(|suite| suite.common.hash_provider.hash(data));
    hash.map_or(Vec::new(), |hash| hash.as_ref().to_vec())
}
