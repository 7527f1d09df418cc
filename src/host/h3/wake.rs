//! Which streams have something to say: a waker for each, so that a turn looks at those alone.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Wake, Waker},
};

use crate::StreamId;

/// The streams that were woken, and whom to tell.
#[derive(Debug, Default)]
pub(super) struct Wakes(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    woken: BTreeSet<StreamId>,
    task: Option<Waker>,
    /// The task was woken since it looked last.
    is_told: bool,
}

#[derive(Debug)]
struct StreamWaker {
    stream: StreamId,
    shared: Arc<Shared>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that could panic is done while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wakes {
    /// From now on this task is woken.
    pub(super) fn watch(&self, task: &Waker) {
        let mut state = self.0.state();
        state.is_told = false;
        if !state
            .task
            .as_ref()
            .is_some_and(|known| known.will_wake(task))
        {
            state.task = Some(task.clone());
        }
    }

    pub(super) fn waker(&self, stream: StreamId) -> Waker {
        let shared = self.0.clone();
        Waker::from(Arc::new(StreamWaker { stream, shared }))
    }

    /// To be looked at in the next turn, without waking anybody.
    pub(super) fn again(&self, stream: StreamId) {
        self.0.state().woken.insert(stream);
    }

    pub(super) fn take(&self) -> BTreeSet<StreamId> {
        std::mem::take(&mut self.0.state().woken)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.state().woken.is_empty()
    }
}

impl Wake for StreamWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.shared.state();
        state.woken.insert(self.stream);
        let was_told = std::mem::replace(&mut state.is_told, true);
        let task = state.task.clone().filter(|_| !was_told);
        // Outside of the lock: a waker may do anything.
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }
}
