//! What the crate says to `tracing`: one event for each end, the peer's text escaped, no payload.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fmt::{Debug, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use webtransport_session::{Side, testing::Pair};

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
        let mut pair = Pair::new();
        let session = pair.open_session();
        pair.close(Side::Client, session, 7, "a\nb");
        pair.run();
        pair.link.cut();
        pair.wait(Duration::from_secs(40));
    });
    assert_eq!(
        *lines.lock().unwrap(),
        [
            "span webtransport side=Client",
            "span webtransport side=Server",
            "in 1: message=session closed session=0 label=\"local-close\" \
             reason=closed by us with code 7: \"a\\nb\"",
            "in 2: message=session closed session=0 label=\"peer-close\" \
             reason=closed by the peer with code 7: \"a\\nb\"",
            // A server closes a connection that carries no session.
            "in 2: message=connection closed label=\"local-connection-close\" \
             reason=closed by us with code 0x100",
            "in 1: message=connection closed label=\"idle-timeout\" reason=QUIC idle timeout",
        ]
    );
}
