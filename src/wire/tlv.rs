//! The shape that HTTP/3 frames (RFC 9114 §7.1) and capsules (RFC 9297 §3.2) share: type, length, payload.
//!
//! The reader holds at most one unfinished integer, so that a payload of any length can be passed over.
//! It does not know which types there are, nor how long they may be.

use bytes::Bytes;

use super::varint::Partial;

/// What the reader found next. One or more `Payload` follow each `Header`, the last with `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Header { kind: u64, len: u64 },
    Payload { data: Bytes, end: bool },
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "testing", derive(PartialEq, Eq, Hash))]
enum State {
    Kind(Partial),
    Len { kind: u64, len: Partial },
    Payload { left: u64 },
}

/// Splits a byte stream into parts.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "testing", derive(PartialEq, Eq, Hash))]
pub(crate) struct Reader {
    state: State,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    pub(crate) const fn new() -> Self {
        Self {
            state: State::Kind(Partial::new()),
        }
    }

    /// Goes on behind a type that was read already.
    pub(crate) const fn after_kind(kind: u64) -> Self {
        Self {
            state: State::Len {
                kind,
                len: Partial::new(),
            },
        }
    }

    /// The next part at the front of `input`. `None`: all of `input` is taken, more is wanted.
    pub(crate) fn next(&mut self, input: &mut Bytes) -> Option<Part> {
        if let State::Kind(partial) = &mut self.state {
            let kind = partial.read(input)?;
            self.state = State::Len {
                kind,
                len: Partial::new(),
            };
        }
        match &mut self.state {
            State::Kind(_) => None,
            State::Len { kind, len } => {
                let (kind, len) = (*kind, len.read(input)?);
                self.state = State::Payload { left: len };
                Some(Part::Header { kind, len })
            }
            State::Payload { left } => {
                // An empty payload is an end of its own and needs no input.
                if input.is_empty() && *left > 0 {
                    return None;
                }
                let take = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(input.len());
                let data = input.split_to(take);
                *left = left.saturating_sub(u64::try_from(take).unwrap_or(u64::MAX));
                let end = *left == 0;
                if end {
                    self.state = State::Kind(Partial::new());
                }
                Some(Part::Payload { data, end })
            }
        }
    }

    /// Whether nothing is begun: where a FIN may come.
    pub(crate) const fn is_between(&self) -> bool {
        matches!(self.state, State::Kind(partial) if partial.is_empty())
    }

    /// The type of what is begun, while its length is not complete: for rules that need the type only.
    pub(crate) const fn begun_kind(&self) -> Option<u64> {
        match self.state {
            State::Len { kind, .. } => Some(kind),
            State::Kind(_) | State::Payload { .. } => None,
        }
    }
}

/// Gathers the pieces of one payload after another. What comes in one piece is not copied.
///
/// The caller has checked the length: it holds up to twice what was pushed.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "testing", derive(PartialEq, Eq, Hash))]
pub(crate) struct Collect {
    pieces: Vec<u8>,
}

impl Collect {
    /// The whole payload with its last piece, before that `None`.
    pub(crate) fn push(&mut self, data: Bytes, end: bool) -> Option<Bytes> {
        if end && self.pieces.is_empty() {
            return Some(data);
        }
        self.pieces.extend_from_slice(&data);
        end.then(|| Bytes::from(std::mem::take(&mut self.pieces)))
    }
}

#[cfg(test)]
mod tests;
