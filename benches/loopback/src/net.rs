//! Two endpoints on loopback, the same for every stack: certificate, windows, buffers, congestion.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use quinn::{
    ClientConfig, Endpoint, EndpointConfig, ServerConfig, TokioRuntime, TransportConfig, VarInt,
    congestion::CubicConfig,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use rustls::{
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

use crate::Result;

/// Named by its address everywhere, as one of the peers cannot be given a name beside it.
pub const NAME: &str = "127.0.0.1";

/// RFC 9114 §8.1.
pub const H3_NO_ERROR: VarInt = VarInt::from_u32(0x100);

const STREAM_WINDOW: u32 = 4 << 20;
const DATAGRAM_BUFFER: usize = 1 << 20;

#[derive(Debug)]
pub struct Net {
    pub server: Endpoint,
    pub client: Endpoint,
    pub address: SocketAddr,
    /// For whoever makes an endpoint for itself.
    pub client_config: ClientConfig,
}

impl Net {
    pub fn new() -> Result<Self> {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
        let certificate = made.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
        let server = server_config(certificate.clone(), key)?;
        let client_config = client_config(certificate)?;
        let endpoint = |server| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            let config = EndpointConfig::default();
            Endpoint::new(config, server, socket, Arc::new(TokioRuntime))
        };
        let server = endpoint(Some(server))?;
        let mut client = endpoint(None)?;
        client.set_default_client_config(client_config.clone());
        Ok(Self {
            address: server.local_addr()?,
            server,
            client,
            client_config,
        })
    }

    pub async fn dial(&self) -> Result<quinn::Connection> {
        Ok(self.client.connect(self.address, NAME)?.await?)
    }

    pub async fn incoming(&self) -> Result<quinn::Incoming> {
        let incoming = self.server.accept().await;
        Ok(incoming.ok_or("the endpoint is closed")?)
    }

    pub fn url(&self) -> String {
        format!("https://{}/game", self.address)
    }

    /// What quinn's configuration gives the peer on each stream, in bytes.
    pub fn stream_window(&self) -> u32 {
        STREAM_WINDOW
    }
}

/// Big enough that neither window nor pacing stops a burst; packets of full size from the start.
fn transport() -> Arc<TransportConfig> {
    let mut congestion = CubicConfig::default();
    congestion.initial_window(16 << 20);
    let mut transport = TransportConfig::default();
    transport
        .initial_rtt(Duration::from_millis(2))
        .initial_mtu(1452)
        .mtu_discovery_config(None)
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window((4 * STREAM_WINDOW).into())
        .send_window(u64::from(4 * STREAM_WINDOW))
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER))
        .datagram_send_buffer_size(DATAGRAM_BUFFER)
        .congestion_controller_factory(Arc::new(congestion));
    Arc::new(transport)
}

fn server_config(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig> {
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(transport());
    Ok(config)
}

/// Trusts that server, and resumes nothing: each handshake is a whole one.
fn client_config(certificate: CertificateDer<'static>) -> Result<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate)?;
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    tls.resumption = rustls::client::Resumption::disabled();
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(transport());
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
