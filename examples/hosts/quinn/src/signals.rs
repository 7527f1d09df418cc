//! What quinn has news of.
//!
//! Whatever waits is polled with a waker of its own, which says whose it is. So a connection polls only
//! that which something happened to, in one task, however many streams it has.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
};

use webtransport_session::{Dir, StreamId};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    /// The peer has opened a bidirectional stream, or the connection is over.
    Bi,
    /// The peer has opened a unidirectional stream.
    Uni,
    Datagram,
    /// The peer asked to stop, or knows all that was sent.
    Stopped(StreamId),
    Readable(StreamId),
    Writable(StreamId),
    /// The peer allows another stream.
    Available(Dir),
    /// The deadline is over.
    Timeout,
}

/// In the order in which they were raised, so that all have their turn. Quinn wakes a waker once, so
/// there are not many more than there are futures and streams that wait.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals(Arc<Mutex<Shared>>);

#[derive(Debug, Default)]
struct Shared {
    raised: VecDeque<Signal>,
    /// Who waits for one.
    task: Option<Waker>,
}

impl Signals {
    /// A waker that raises this signal.
    pub(crate) fn waker(&self, signal: Signal) -> Waker {
        let shared = Arc::clone(&self.0);
        Waker::from(Arc::new(Raise { signal, shared }))
    }

    /// Waits for a signal and takes it. Nothing is lost where this is dropped while it waits.
    pub(crate) async fn next(&self) -> Signal {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Signal> {
        let mut shared = lock(&self.0);
        match shared.raised.pop_front() {
            Some(signal) => Poll::Ready(signal),
            None => {
                shared.task = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Raise {
    signal: Signal,
    shared: Arc<Mutex<Shared>>,
}

impl Wake for Raise {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut shared = lock(&self.shared);
        shared.raised.push_back(self.signal);
        let task = shared.task.take();
        drop(shared);
        if let Some(task) = task {
            task.wake();
        }
    }
}

type Kept<T> = Pin<Box<dyn Future<Output = T> + Send + Sync>>;

/// A future that is kept while it waits: if it were made anew for each turn, it would have to tell
/// quinn each time that it waits. Its signal says when to poll it, and comes a first time at once.
pub(crate) struct Waiting<T> {
    future: Option<Kept<T>>,
    waker: Waker,
}

impl<T> Waiting<T> {
    pub(crate) fn new(
        waker: Waker,
        future: impl Future<Output = T> + Send + Sync + 'static,
    ) -> Self {
        let mut waiting = Self {
            future: None,
            waker,
        };
        waiting.renew(future);
        waiting
    }

    /// Waits for something else.
    pub(crate) fn renew(&mut self, future: impl Future<Output = T> + Send + Sync + 'static) {
        self.future = Some(Box::pin(future));
        self.waker.wake_by_ref();
    }

    /// What it waited for, once.
    pub(crate) fn poll(&mut self) -> Option<T> {
        let future = self.future.as_mut()?;
        match future.as_mut().poll(&mut Context::from_waker(&self.waker)) {
            Poll::Ready(value) => {
                self.future = None;
                Some(value)
            }
            Poll::Pending => None,
        }
    }
}

impl<T> fmt::Debug for Waiting<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiting")
    }
}
