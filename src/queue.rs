//! What waits for its turn: first in, first out.
//!
//! The first lies in front of the ring that has the others. It is mostly the only one, and then it is
//! moved once.

use std::collections::VecDeque;

/// Room for `KEPT` others stays when all are taken; what a flood made larger is given back.
#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(crate) struct Queue<T, const KEPT: usize> {
    /// None only if there are no others.
    first: Option<T>,
    others: VecDeque<T>,
}

impl<T, const KEPT: usize> Default for Queue<T, KEPT> {
    fn default() -> Self {
        Self {
            first: None,
            others: VecDeque::new(),
        }
    }
}

impl<T, const KEPT: usize> Queue<T, KEPT> {
    #[inline]
    pub(crate) fn push(&mut self, last: T) {
        if self.first.is_none() {
            self.first = Some(last);
        } else {
            self.others.push_back(last);
        }
    }

    #[inline]
    pub(crate) fn front(&self) -> Option<&T> {
        self.first.as_ref()
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<T> {
        if self.others.is_empty() {
            return self.first.take();
        }
        let next = self.others.pop_front();
        if self.others.is_empty() && self.others.capacity() > KEPT {
            self.others = VecDeque::new();
        }
        std::mem::replace(&mut self.first, next)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests;
