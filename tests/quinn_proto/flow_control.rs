//! Session flow control over two real QUIC stacks.

use webtransport_session::{Config, Dir, Event, FlowControl, SendError};

use crate::{
    pair::{Pair, received},
    setup::Setup,
};

fn limited() -> Setup {
    let config = || {
        let mut config = Config::default();
        config.flow_control = Some(FlowControl::new(16 * 1024, 2, 2));
        config
    };
    Setup {
        client: config(),
        server: config(),
        ..Setup::default()
    }
}

#[test]
fn a_megabyte_goes_through_a_window_of_16_kib() {
    let (mut pair, session) = Pair::in_session(limited());
    let payload = vec![7; 1 << 20];
    let stream = pair.client.open(session, Dir::Uni);
    let mut sent = 0;
    let mut blocked = 0;
    let mut turns = 0;
    while sent < payload.len() {
        match pair.client.write(stream, &payload[sent..]) {
            Ok(written) => sent += written,
            Err(error) => {
                assert_eq!(error, SendError::Blocked);
                blocked += 1;
                pair.settle();
                let told = pair.client.take();
                let writable = |event: &Event| matches!(event, Event::StreamWritable { .. });
                assert!(told.iter().any(writable), "{told:?}");
            }
        }
        turns += 1;
        assert!(turns < 10_000, "{sent} sent");
    }
    pair.client.finish(stream);
    pair.settle();
    let (bytes, ended) = received(&pair.server.take(), stream);
    assert!(bytes == payload && ended, "{} of {sent}", bytes.len());
    assert!(blocked >= (1 << 20) / (16 * 1024) / 2, "{blocked}");
}

#[test]
fn streams_go_on_when_earlier_ones_are_over_however_they_ended() {
    let (mut pair, session) = Pair::in_session(limited());
    for n in 0..20 {
        let stream = pair.client.open(session, Dir::Uni);
        pair.client.write_all(stream, b"payload");
        if n % 2 == 0 {
            pair.client.finish(stream);
        } else {
            pair.settle();
            pair.client.sessions().reset(stream, 1).unwrap();
        }
        pair.settle();
    }
    let opened = |event: &Event| matches!(event, Event::StreamOpened { .. });
    let told = pair.server.take();
    assert_eq!(told.iter().filter(|event| opened(event)).count(), 20);
}
