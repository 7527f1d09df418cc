//! What the crate says to `tracing`: one event for each end, the peer's text escaped, no payload.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fmt::{Debug, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use webtransport_session::{
    Config, Connection, ConnectionLost, Input, Response, Support, Transport,
};

/// Keeps each span and event as one line.
#[derive(Clone, Default)]
struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    next: Arc<AtomicU64>,
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = format!("span {}", span.metadata().name());
        span.record(&mut Fields(&mut line));
        self.lines.lock().unwrap().push(line);
        Id::from_u64(self.next.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let parent = event.parent().map_or(0, Id::into_u64);
        let mut line = format!("in {parent}:");
        event.record(&mut Fields(&mut line));
        self.lines.lock().unwrap().push(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn each_end_is_one_event_in_the_span_of_its_connection() {
    let subscriber = Lines::default();
    let lines = subscriber.lines.clone();
    tracing::subscriber::with_default(subscriber, || {
        #[expect(clippy::disallowed_methods, reason = "an origin; only offsets matter")]
        let now = Instant::now();
        let mut server = Connection::server(Arc::new(Config::default()));
        server.start(now, 3.into(), Transport::new(Support::Yes));
        let feed = |server: &mut Connection, stream: u64, data: &'static [u8]| {
            let (data, fin) = (Bytes::from_static(data), false);
            let stream = stream.into();
            server.handle(now, Input::StreamData { stream, data, fin });
        };
        feed(&mut server, 2, b"\x00\x04\x07\x33\x01\xab\x60\x37\x42\x01");
        let connect =
            b"\x01\x2a\0\0\xcf\x27\x02:protocol\x0cwebtransport\xd7\x50\x0bexample.org\xc1";
        feed(&mut server, 0, connect);
        let session = server.sessions().next().unwrap();
        server.accept(now, session, Response::default()).unwrap();
        feed(&mut server, 0, b"\x00\x0a\x68\x43\x07\0\0\0\x07a\nb"); // close(7, "a\nb")
        let reason = ConnectionLost::IdleTimeout;
        server.handle(now, Input::ConnectionClosed { reason });
    });
    assert_eq!(
        *lines.lock().unwrap(),
        [
            "span webtransport side=Server",
            "in 1: message=session closed session=0 label=\"peer-close\" \
             reason=closed by the peer with code 7: \"a\\nb\"",
            "in 1: message=connection closed label=\"idle-timeout\" reason=QUIC idle timeout",
        ]
    );
}
