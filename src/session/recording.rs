//! Recording a session that is driven alone: see [`trace`](crate::trace).

use super::Session;
use crate::trace::{Record, Recorder, SessionStep};

/// Recording: see [`trace`](crate::trace).
#[cfg_attr(docsrs, doc(cfg(feature = "trace")))]
impl Session {
    /// Records each call from here on, or no more of them. A recording can be replayed if it was on
    /// from the beginning, right after [`new`](Self::new).
    ///
    /// What is recorded is kept until [`take_trace`](Self::take_trace): take it often, or memory
    /// grows with all that comes in. A permit or credit given to [`std::mem::forget`] is not
    /// recorded.
    ///
    /// Turned on later, or off and on again, the recording says so ([`SessionStep::Missed`]): it is
    /// not read beyond there, and without payload nothing of the CONNECT stream's body is written.
    pub fn set_recording(&mut self, on: bool) {
        if !on && self.recorder.is_none() {
            return;
        }
        let now = self.now;
        let is_late = self.is_used || self.recorder.is_some();
        self.recorder
            .get_or_insert_with(|| Box::new(Recorder::since(now)))
            .turn(on, Some(now), is_late);
    }

    /// What was recorded since this was last called.
    #[must_use = "what was taken is not kept"]
    pub fn take_trace(&mut self) -> Vec<Record<SessionStep>> {
        self.recorder
            .as_mut()
            .map(|recorder| recorder.take())
            .unwrap_or_default()
    }
}
