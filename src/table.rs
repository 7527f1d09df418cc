//! Things by their id: found at once, however many there are, and walked through in the order of ids.
//!
//! One array, in which each id lies at the place that its hash names or, where others are, at the
//! first free one behind. The hash knows no chance, so that the same inputs do the same work, and a peer
//! can keep those streams open whose ids collide. Where one lies too far behind its place, the hash is
//! changed for all.

#[cfg(feature = "testing")]
use std::hash::{Hash, Hasher};

#[derive(Clone, Debug)]
pub(crate) struct Table<K, V> {
    /// None, or a power of two; at least a quarter of them are free.
    places: Box<[Option<(K, V)>]>,
    len: usize,
    /// What ids are multiplied with: odd.
    spread: u64,
}

/// The fewest places that there are when there are any.
const FIRST: usize = 4;
/// So many places stay; what a flood made more is given back.
const KEPT: usize = 16;
/// Spreads ids that follow each other over the highest bits, and the few that every connection has:
/// 0, 2, 3, 6 and 10.
const SPREAD: u64 = 0xd1b5_4a32_d192_ed03;
/// Makes another spread of one.
const RESPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self {
            places: Box::default(),
            len: 0,
            spread: SPREAD,
        }
    }
}

impl<K: Copy + Eq + Ord + Into<u64>, V> Table<K, V> {
    #[inline]
    pub(crate) fn get(&self, id: K) -> Option<&V> {
        let mut at = self.home(id);
        loop {
            match self.places.get(at)? {
                Some((found, value)) if *found == id => return Some(value),
                Some(_) => at = self.behind(at),
                None => return None,
            }
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: K) -> Option<&mut V> {
        let at = self.place(id);
        let (_, value) = self.places.get_mut(at)?.as_mut()?;
        Some(value)
    }

    /// Puts it in the place of what was there.
    pub(crate) fn insert(&mut self, id: K, value: V) {
        let at = self.room_for(id);
        if let Some(place) = self.places.get_mut(at) {
            self.len += usize::from(place.is_none());
            *place = Some((id, value));
        }
    }

    /// Puts it in, unless the id is there already: whether it is new.
    pub(crate) fn add(&mut self, id: K, value: V) -> bool {
        let at = self.room_for(id);
        match self.places.get_mut(at) {
            Some(place) if place.is_none() => {
                self.len += 1;
                *place = Some((id, value));
                true
            }
            _ => false,
        }
    }

    pub(crate) fn remove(&mut self, id: K) -> Option<V> {
        let mut hole = self.place(id);
        let (_, value) = self.places.get_mut(hole)?.take()?;
        self.len -= 1;
        // Those that lie behind it for want of room move up: a search ends at the first free place.
        let mut at = self.behind(hole);
        while let Some(Some((next, _))) = self.places.get(at) {
            if self.distance(self.home(*next), at) >= self.distance(hole, at) {
                self.places.swap(hole, at);
                hole = at;
            }
            at = self.behind(at);
        }
        if self.places.len() > KEPT.max(self.len.saturating_mul(8)) {
            self.rebuild((self.len * 2).next_power_of_two().max(FIRST));
        }
        Some(value)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Ascending.
    pub(crate) fn ids(&self) -> Vec<K> {
        self.ids_of(|_| true)
    }

    /// The ids of some, ascending.
    pub(crate) fn ids_of(&self, is_wanted: impl Fn(&V) -> bool) -> Vec<K> {
        let all = self.places.iter().flatten();
        let wanted = all.filter(|(_, value)| is_wanted(value));
        let mut ids: Vec<K> = wanted.map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    // ---- places

    /// Where an id belongs: the highest bits of a product.
    #[inline]
    fn home(&self, id: K) -> usize {
        let product = id.into().wrapping_mul(self.spread);
        let bits = self.places.len().trailing_zeros();
        usize::try_from(product.wrapping_shr(64 - bits)).unwrap_or(0)
    }

    #[inline]
    fn behind(&self, at: usize) -> usize {
        (at + 1) & self.mask()
    }

    #[inline]
    fn mask(&self) -> usize {
        self.places.len().wrapping_sub(1)
    }

    /// How far it is from one place to another that lies behind.
    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & self.mask()
    }

    /// Where an id lies, or the free place that it would get.
    #[inline]
    fn place(&self, id: K) -> usize {
        let mut at = self.home(id);
        while let Some(Some((found, _))) = self.places.get(at) {
            if *found == id {
                break;
            }
            at = self.behind(at);
        }
        at
    }

    /// Where an id lies, or is to lie: there is room for one more.
    fn room_for(&mut self, id: K) -> usize {
        if (self.len + 1) * 4 > self.places.len() * 3 {
            self.rebuild((self.places.len() * 2).max(FIRST));
        }
        let at = self.place(id);
        if self.distance(self.home(id), at) <= self.far() {
            return at;
        }
        self.spread = self.spread.wrapping_mul(RESPREAD);
        self.rebuild(self.places.len());
        self.place(id)
    }

    /// How far behind its place an id may lie. So far next to none comes by chance, in a table as full
    /// as it may be.
    fn far(&self) -> usize {
        let doublings: usize = self.places.len().trailing_zeros().try_into().unwrap_or(0);
        16 * doublings
    }

    fn rebuild(&mut self, places: usize) {
        let mut free = Vec::new();
        free.resize_with(places, || None);
        let taken = std::mem::replace(&mut self.places, free.into());
        for (id, value) in taken.into_vec().into_iter().flatten() {
            let at = self.place(id);
            if let Some(place) = self.places.get_mut(at) {
                *place = Some((id, value));
            }
        }
    }
}

#[cfg(feature = "testing")]
impl<K: Copy + Eq + Ord + Into<u64>, V> Table<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// In no order.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.places.iter_mut().flatten().map(|(_, value)| value)
    }
}

#[cfg(feature = "testing")]
impl<K: Copy + Eq + Ord + Into<u64>, V: PartialEq> PartialEq for Table<K, V> {
    fn eq(&self, other: &Self) -> bool {
        let mut all = self.places.iter().flatten();
        self.len == other.len && all.all(|(id, value)| other.get(*id) == Some(value))
    }
}

#[cfg(feature = "testing")]
impl<K: Copy + Eq + Ord + Into<u64>, V: Eq> Eq for Table<K, V> {}

#[cfg(feature = "testing")]
impl<K: Copy + Eq + Ord + Into<u64> + Hash, V: Hash> Hash for Table<K, V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for id in self.ids() {
            (id, self.get(id)).hash(state);
        }
    }
}

#[cfg(test)]
mod tests;
