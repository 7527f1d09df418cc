//! Bytes whose number is not known before they are written.
//!
//! Few of them, as nearly all that is sent here, become `Bytes` in one allocation that clones share; a `Vec`
//! would take two. What the bytes mean is not known here.

use bytes::Bytes;

/// How many are few: a CONNECT, its answer, and our SETTINGS.
pub(crate) const FEW: usize = 144;

/// Grows at its end.
#[derive(Debug)]
pub(crate) enum Buffer {
    Few(Few),
    Many(Vec<u8>),
}

/// At most `FEW`.
#[derive(Debug)]
pub(crate) struct Few {
    bytes: [u8; FEW],
    len: usize,
}

impl AsRef<[u8]> for Few {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Buffer {
    pub(crate) const fn new() -> Self {
        Self::Few(Few {
            bytes: [0; FEW],
            len: 0,
        })
    }

    /// Appends one byte.
    #[inline]
    pub(crate) fn push(&mut self, byte: u8) {
        if let Self::Few(few) = self {
            if let Some(place) = few.bytes.get_mut(few.len) {
                *place = byte;
                few.len += 1;
                return;
            }
        }
        self.put_many(&[byte]);
    }

    /// Appends `bytes`.
    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        if let Self::Few(few) = self {
            let rest = few.bytes.get_mut(few.len..).unwrap_or_default();
            if let Some(place) = rest.get_mut(..bytes.len()) {
                place.copy_from_slice(bytes);
                few.len += bytes.len();
                return;
            }
        }
        self.put_many(bytes);
    }

    /// Appends the first `len` of eight bytes.
    #[inline]
    pub(crate) fn put_front(&mut self, bytes: [u8; 8], len: usize) {
        if let Self::Few(few) = self {
            let rest = few.bytes.get_mut(few.len..).unwrap_or_default();
            // All eight at once is one store; what is too much the next bytes overwrite.
            if let Some(place) = rest.first_chunk_mut() {
                *place = bytes;
                few.len += len.min(8);
                return;
            }
        }
        self.put(bytes.get(..len).unwrap_or(&bytes));
    }

    /// What makes them many, or more.
    #[inline(never)]
    fn put_many(&mut self, bytes: &[u8]) {
        match self {
            Self::Few(few) => *self = Self::Many([few.as_ref(), bytes].concat()),
            Self::Many(many) => many.extend_from_slice(bytes),
        }
    }

    /// All that was written, to be changed.
    pub(crate) fn as_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Few(few) => few.bytes.get_mut(..few.len).unwrap_or_default(),
            Self::Many(many) => many,
        }
    }

    /// All that was written.
    pub(crate) fn freeze(self) -> Bytes {
        match self {
            Self::Few(few) => Bytes::from_owner(few),
            Self::Many(many) => Bytes::from(many),
        }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Few(few) => few.as_ref(),
            Self::Many(many) => many,
        }
    }
}

#[cfg(test)]
mod tests;
