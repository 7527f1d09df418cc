//! Which streams quinn has news of.
//!
//! Each half of a stream is polled with a waker of its own, which says whose it is. So a connection
//! with many streams polls only those that something happened to, in one task.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    task::{Wake, Waker},
};

use tokio::sync::Notify;
use webtransport_session::StreamId;

/// News of a stream, in the order in which they are told where several are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Signal {
    /// The peer asked to stop, or knows all that was sent.
    Stopped(StreamId),
    Readable(StreamId),
    Writable(StreamId),
}

#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// At most one of each kind for each stream.
    raised: Mutex<BTreeSet<Signal>>,
    any: Notify,
}

impl Signals {
    /// A waker that raises this signal.
    pub(crate) fn waker(self: &Arc<Self>, signal: Signal) -> Waker {
        let signals = Arc::clone(self);
        Waker::from(Arc::new(Raise { signal, signals }))
    }

    /// Waits for a signal and takes it. Nothing is lost where this is dropped while it waits.
    pub(crate) async fn next(&self) -> Signal {
        loop {
            if let Some(signal) = self.take() {
                return signal;
            }
            // At once if something was raised since.
            self.any.notified().await;
        }
    }

    fn take(&self) -> Option<Signal> {
        let mut raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        raised.pop_first()
    }
}

struct Raise {
    signal: Signal,
    signals: Arc<Signals>,
}

impl Wake for Raise {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let raised = self.signals.raised.lock();
        let mut raised = raised.unwrap_or_else(PoisonError::into_inner);
        raised.insert(self.signal);
        drop(raised);
        self.signals.any.notify_one();
    }
}
