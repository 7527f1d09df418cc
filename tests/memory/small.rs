//! What a session costs when nobody means harm.

use std::sync::Arc;

use webtransport_session::{
    Connection, Dialect, Request, Response, SessionId, Side, StreamId, Support, Transport,
};

use crate::{
    meter::Metered,
    support::{connect_request, peer_settings, response, speaking},
};

pub fn a_connection_and_its_sessions_take_little() {
    let machine = size_of::<Connection>();
    println!("size_of::<Connection>() = {machine}");
    assert!(machine <= 2048, "{machine}");
    for side in [Side::Client, Side::Server] {
        let config = Arc::new(speaking(Dialect::Draft02));
        let mut metered = Metered::new(side, &config);
        metered.start(Transport::new(Support::Yes));
        let control = match side {
            Side::Client => 3,
            Side::Server => 2,
        };
        metered.feed(control, &peer_settings(side, Dialect::Draft02), false);
        metered.drain();
        let ready = metered.heap();
        println!("{side:?}: {ready} bytes of heap when ready");
        assert!(ready <= 2048, "{side:?}: {ready}");
        let mut before = ready;
        for n in 0..8 {
            open(&mut metered, side, n * 4);
            let more = metered.heap() - before;
            println!("{side:?}: {more} more for session {n}");
            assert!(more <= 4096, "{side:?}: {more}");
            before = metered.heap();
            if n == 0 {
                let one = machine + before;
                println!("{side:?}: {one} bytes in all with one session");
                assert!(one <= 6 * 1024, "{side:?}: {one}");
            }
        }
    }
}

fn open(metered: &mut Metered, side: Side, stream: u64) {
    let session = SessionId::try_from(StreamId::from(stream)).unwrap();
    match side {
        Side::Client => {
            let request = Request::new("https://example.org/game".parse().unwrap());
            metered.with(|connection, now| {
                connection
                    .connect(now, &request)
                    .unwrap()
                    .bind(session.connect_stream());
            });
            metered.drain();
            metered.feed(stream, &response("200"), false);
        }
        Side::Server => {
            metered.feed(stream, &connect_request("webtransport"), false);
            metered.drain();
            metered.with(|connection, now| {
                connection
                    .accept(now, session, Response::default())
                    .unwrap();
            });
        }
    }
    metered.drain();
    assert_eq!(metered.ask().sessions().count() as u64, stream / 4 + 1);
}
