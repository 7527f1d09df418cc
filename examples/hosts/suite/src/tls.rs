//! TLS by rustls, for every stack that takes it as it is.

use std::{error::Error, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use crate::Options;

impl Options {
    /// A server's, with its certificate, key and ALPN.
    ///
    /// # Errors
    /// A file cannot be read, or is not what it should be.
    pub fn server_tls(&self) -> Result<ServerConfig, Box<dyn Error>> {
        let chain = CertificateDer::pem_file_iter(&self.certificate)?.collect::<Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_file(&self.key)?;
        let tls = ServerConfig::builder_with_provider(provider());
        let tls = tls.with_safe_default_protocol_versions()?;
        let mut tls = tls.with_no_client_auth().with_single_cert(chain, key)?;
        tls.alpn_protocols = vec![self.alpn.clone().into()];
        Ok(tls)
    }

    /// A client's, which trusts that certificate alone.
    ///
    /// # Errors
    /// The file cannot be read, or is not what it should be.
    pub fn client_tls(&self) -> Result<ClientConfig, Box<dyn Error>> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(&self.certificate)? {
            roots.add(certificate?)?;
        }
        let tls = ClientConfig::builder_with_provider(provider());
        let tls = tls.with_safe_default_protocol_versions()?;
        let mut tls = tls.with_root_certificates(roots).with_no_client_auth();
        tls.alpn_protocols = vec![self.alpn.clone().into()];
        Ok(tls)
    }
}

/// By name: another host that is built along with this one brings rustls a second.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
