//! The server's certificate and key, and the TLS made of them for both ends.

use std::{path::PathBuf, sync::Arc, time::Duration};

use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer,
        pem::{self, PemObject},
    },
};

use crate::{Failure, clock};

/// How long a fresh certificate is valid. Browsers accept one by its hash for at most 14 days.
const VALID_FOR: Duration = Duration::from_secs(13 * 24 * 60 * 60);
/// How long ago it began to be, for clocks that are behind.
const VALID_SINCE: Duration = Duration::from_secs(60 * 60);

/// What HTTP/3 is called in the handshake.
const HTTP3: &[u8] = b"h3";

pub(crate) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// A fresh certificate for this machine, signed by itself, with a P-256 key.
    pub(crate) fn fresh() -> Result<Self, Failure> {
        let failure = |error: rcgen::Error| Failure::Identity(error.to_string());
        let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
        let mut params = CertificateParams::new(names).map_err(failure)?;
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let not_before = clock::since_1970().saturating_sub(VALID_SINCE);
        params.not_before = epoch + not_before;
        params.not_after = epoch + not_before + VALID_FOR;
        let key = KeyPair::generate().map_err(failure)?;
        let certificate = params.self_signed(&key).map_err(failure)?;
        Ok(Self {
            chain: vec![certificate.der().clone()],
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        })
    }

    /// A chain and its key from PEM files.
    pub(crate) fn read(chain: PathBuf, key: PathBuf) -> Result<Self, Failure> {
        let read: Result<Vec<_>, _> =
            CertificateDer::pem_file_iter(&chain).and_then(Iterator::collect);
        let chain = match read {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            Ok(_) => Err(pem::Error::NoItemsFound),
            Err(error) => Err(error),
        }
        .map_err(|error| Failure::Unreadable {
            what: "certificate",
            file: chain,
            error,
        })?;
        let key = PrivateKeyDer::from_pem_file(&key).map_err(|error| Failure::Unreadable {
            what: "key",
            file: key,
            error,
        })?;
        Ok(Self { chain, key })
    }

    /// SHA-256 of the server's certificate, by which a browser may be told to accept it.
    pub(crate) fn hash(&self) -> Vec<u8> {
        let suite = ring::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13();
        match (suite, self.chain.first()) {
            (Some(suite), Some(certificate)) => {
                let hash = suite.common.hash_provider.hash(certificate);
                hash.as_ref().to_vec()
            }
            (None, _) | (_, None) => Vec::new(),
        }
    }

    /// TLS for the server.
    pub(crate) fn server(&self) -> Result<quinn_proto::ServerConfig, Failure> {
        let mut tls = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(failure)?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(failure)?;
        tls.alpn_protocols = vec![HTTP3.to_vec()];
        let tls = QuicServerConfig::try_from(tls).map_err(failure)?;
        Ok(quinn_proto::ServerConfig::with_crypto(Arc::new(tls)))
    }

    /// TLS for clients that trust this server and no other.
    pub(crate) fn client(&self) -> Result<quinn_proto::ClientConfig, Failure> {
        let mut roots = RootCertStore::empty();
        for certificate in &self.chain {
            roots.add(certificate.clone()).map_err(failure)?;
        }
        let mut tls = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(failure)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![HTTP3.to_vec()];
        let tls = QuicClientConfig::try_from(tls).map_err(failure)?;
        Ok(quinn_proto::ClientConfig::new(Arc::new(tls)))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn failure(error: impl std::fmt::Display) -> Failure {
    Failure::Identity(error.to_string())
}
