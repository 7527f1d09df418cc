//! `cargo run --release -- [ADDRESS]`: serves pages and sessions, and says why each session ended.

use std::{error::Error, net::SocketAddr, sync::Arc};

use h3_quinn::quinn;
use h3_server::{Identity, page, serve};
use webtransport_session::Config;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let address: SocketAddr = address.as_deref().unwrap_or("127.0.0.1:4433").parse()?;
    let identity = Identity::fresh()?;
    let endpoint = quinn::Endpoint::server(identity.server()?, address)?;
    let address = endpoint.local_addr()?;
    let page = page(address, &identity);
    println!("https://{address}/ over HTTP/3; sessions at https://{address}/echo");
    println!(
        "chromium --origin-to-force-quic-on={address} --ignore-certificate-errors-spki-list={} \\\n    \
         --user-data-dir=\"$(mktemp -d)\" https://{address}/",
        identity.spki()
    );
    let config = Arc::new(Config::default());
    while let Some(incoming) = endpoint.accept().await {
        let (config, page) = (config.clone(), page.clone());
        tokio::spawn(async move {
            let peer = incoming.remote_address();
            let report = |session, reason| println!("{peer}/{session}: {reason}");
            let served = match incoming.await {
                Ok(quic) => serve(quic, config, page, report).await,
                Err(error) => Err(error.into()),
            };
            if let Err(error) = served {
                println!("{peer}: {error}");
            }
        });
    }
    Ok(())
}
