//! Keeps the steps of one machine while recording is on. Knows no step's meaning.

use std::{
    fmt,
    time::{Duration, Instant},
};

use super::{Calls, Record, Step};
use crate::{Connection, SendCredit, SendError, StreamId};

/// What was recorded and not taken.
pub(crate) struct Recorder<S = Step> {
    is_on: bool,
    /// What times are counted from: the first that was told, if nothing else.
    origin: Option<Instant>,
    records: Vec<Record<S>>,
}

impl<S: Calls> Recorder<S> {
    /// Off.
    pub(crate) const fn new() -> Self {
        Self {
            is_on: false,
            origin: None,
            records: Vec::new(),
        }
    }

    /// Off. Times are counted from `origin`.
    pub(crate) const fn since(origin: Instant) -> Self {
        let mut recorder = Self::new();
        recorder.origin = Some(origin);
        recorder
    }

    /// `now`: as in [`record`](Self::record). `is_late`: should this turn it on, calls are missing.
    pub(crate) fn turn(&mut self, on: bool, now: Option<Instant>, is_late: bool) {
        let was_on = std::mem::replace(&mut self.is_on, on);
        if on && !was_on && is_late {
            self.push(now, S::missed());
        }
    }

    pub(crate) fn take(&mut self) -> Vec<Record<S>> {
        std::mem::take(&mut self.records)
    }

    /// Keeps a step, which is made only while recording is on. `now`: the latest time that the
    /// machine knows.
    #[inline]
    pub(crate) fn record(&mut self, now: Option<Instant>, step: impl FnOnce() -> S) {
        if self.is_on {
            self.push(now, step());
        }
    }

    fn push(&mut self, now: Option<Instant>, step: S) {
        let at = match now {
            Some(now) => now.saturating_duration_since(*self.origin.get_or_insert(now)),
            None => Duration::ZERO,
        };
        let last = self.records.last_mut();
        if !last.is_some_and(|last| last.step.takes_in(&step)) {
            self.records.push(Record { at, step });
        }
    }
}

/// A copy records nothing until it is told to.
#[cfg(feature = "testing")]
impl<S> Clone for Recorder<S> {
    fn clone(&self) -> Self {
        Self {
            is_on: false,
            origin: self.origin,
            records: Vec::new(),
        }
    }
}

/// Two machines that differ in what was recorded of them only are the same.
#[cfg(feature = "testing")]
impl<S> PartialEq for Recorder<S> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

#[cfg(feature = "testing")]
impl<S> Eq for Recorder<S> {}

#[cfg(feature = "testing")]
impl<S> std::hash::Hash for Recorder<S> {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

impl Recorder {
    /// Keeps what becomes of a credit, or that there was none.
    pub(crate) fn credit<'a>(
        &'a mut self,
        now: Option<Instant>,
        stream: StreamId,
        asked: Result<SendCredit<'a>, SendError>,
    ) -> Result<SendCredit<'a>, SendError> {
        let mut witness = Witness {
            recorder: self,
            now,
            stream,
        };
        match asked {
            Ok(credit) => Ok(credit.before(witness)),
            Err(error) => {
                witness.tell(None);
                Err(error)
            }
        }
    }
}

/// How many, and not which: they hold payload.
impl<S> fmt::Debug for Recorder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("is_on", &self.is_on)
            .field("records", &self.records.len())
            .finish_non_exhaustive()
    }
}

/// Tells the recorder what became of a credit.
#[derive(Debug)]
pub(crate) struct Witness<'a> {
    recorder: &'a mut Recorder,
    now: Option<Instant>,
    stream: StreamId,
}

impl Witness<'_> {
    pub(crate) fn tell(&mut self, spent: Option<usize>) {
        let stream = self.stream;
        self.recorder
            .record(self.now, || Step::Credit { stream, spent });
    }
}

/// Recording: see [`trace`](crate::trace).
#[cfg_attr(docsrs, doc(cfg(feature = "trace")))]
impl Connection {
    /// Records each call from here on, or no more of them. A recording can be replayed if it was on
    /// from the beginning, before [`start`](Self::start).
    ///
    /// What is recorded is kept until [`take_trace`](Self::take_trace): take it often, or memory
    /// grows with all that comes in. A permit or credit given to [`std::mem::forget`] is not
    /// recorded.
    ///
    /// Turned on later, the recording says so ([`Step::Missed`]): it is not read beyond there, and
    /// without payload nothing at all of what streams carry is written.
    pub fn set_recording(&mut self, on: bool) {
        let now = self.latest();
        self.recorder().turn(on, now, now.is_some());
    }

    /// What was recorded since this was last called.
    #[must_use = "what was taken is not kept"]
    pub fn take_trace(&mut self) -> Vec<Record> {
        self.recorder().take()
    }
}
