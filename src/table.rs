//! Things by their id: found at once, however many there are, and walked through in the order of ids.
//!
//! The hash is fixed, so that the same inputs do the same work. That a peer could choose ids that
//! collide is no matter: QUIC hands out ids in order, and limits how many are there at a time.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hash, Hasher},
};

#[derive(Clone, Debug)]
pub(crate) struct Table<K, V> {
    map: HashMap<K, V, BuildHasherDefault<Multiply>>,
}

/// Room for so many stays; what a flood made larger is given back.
const KEPT: usize = 16;

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        let map = HashMap::default();
        Self { map }
    }
}

impl<K: Copy + Eq + Ord + Hash, V> Table<K, V> {
    #[inline]
    pub(crate) fn get(&self, id: K) -> Option<&V> {
        self.map.get(&id)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: K) -> Option<&mut V> {
        self.map.get_mut(&id)
    }

    /// Puts it in the place of what was there.
    pub(crate) fn insert(&mut self, id: K, value: V) {
        self.map.insert(id, value);
    }

    pub(crate) fn remove(&mut self, id: K) -> Option<V> {
        let removed = self.map.remove(&id);
        let len = self.map.len();
        if self.map.capacity() > KEPT.max(len.saturating_mul(8)) {
            self.map.shrink_to(len.saturating_mul(2));
        }
        removed
    }

    pub(crate) fn clear(&mut self) {
        self.map = HashMap::default();
    }

    /// Ascending.
    pub(crate) fn ids(&self) -> Vec<K> {
        let mut ids: Vec<K> = self.map.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// In no order: for questions whose answer has none.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.map.values()
    }
}

#[cfg(feature = "testing")]
impl<K: Copy + Eq + Ord + Hash, V> Table<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    /// In no order.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.map.values_mut()
    }
}

#[cfg(feature = "testing")]
impl<K: Eq + Hash, V: PartialEq> PartialEq for Table<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.map == other.map
    }
}

#[cfg(feature = "testing")]
impl<K: Eq + Hash, V: Eq> Eq for Table<K, V> {}

#[cfg(feature = "testing")]
impl<K: Copy + Eq + Ord + Hash, V: Hash> Hash for Table<K, V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for id in self.ids() {
            (id, self.map.get(&id)).hash(state);
        }
    }
}

/// A multiplication spreads ids that follow each other over all bits; a turn brings the best of them
/// to where the map looks.
#[derive(Clone, Copy, Debug, Default)]
struct Multiply(u64);

impl Hasher for Multiply {
    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}

#[cfg(test)]
mod tests;
