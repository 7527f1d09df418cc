//! quiche's configuration, from the suite's options.

use std::path::Path;

use host_suite::Options;
use quiche::Config;
use webtransport_session::Side;

pub(crate) fn config(options: &Options) -> Result<Config, quiche::Error> {
    let mut config = Config::new(quiche::PROTOCOL_VERSION)?;
    match options.side {
        Side::Server => {
            config.load_cert_chain_from_pem_file(text(&options.certificate)?)?;
            config.load_priv_key_from_pem_file(text(&options.key)?)?;
        }
        Side::Client => {
            config.load_verify_locations_from_file(text(&options.certificate)?)?;
            config.verify_peer(true);
        }
    }
    config.set_application_protos(&[options.alpn.as_bytes()])?;
    config.set_max_idle_timeout(
        options
            .idle_timeout
            .as_millis()
            .try_into()
            .unwrap_or(u64::MAX),
    );
    config.set_initial_max_streams_bidi(options.streams.into());
    config.set_initial_max_streams_uni(options.streams.into());
    let stream_window = options.stream_window.into();
    config.set_initial_max_stream_data_bidi_local(stream_window);
    config.set_initial_max_stream_data_bidi_remote(stream_window);
    config.set_initial_max_stream_data_uni(stream_window);
    // Else quiche makes it larger for whoever reads fast.
    config.set_max_stream_window(stream_window);
    // quiche's own default is 0: nobody may send anything.
    config.set_initial_max_data(10 << 20);
    config.enable_dgram(true, 1024, 1024);
    config.set_max_send_udp_payload_size(1350);
    // The loop sends at once what there is.
    config.enable_pacing(false);
    Ok(config)
}

/// quiche takes names of files as text.
fn text(path: &Path) -> Result<&str, quiche::Error> {
    path.to_str().ok_or(quiche::Error::TlsFail)
}
