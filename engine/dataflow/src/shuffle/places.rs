//! Finds the places of keys in a table by their hashes, many at a time.
//!
//! Open addressing with linear probing (Knuth, *The Art of Computer Programming* 3, 6.4), at most
//! half full. Looking for a batch runs in loops whose steps do not wait for each other, so that
//! steps that miss the caches overlap: this is why it is no table of a library.

use super::short_key::ShortHash;

/// The place of no key.
pub(crate) const NOWHERE: u32 = u32::MAX;

const FREE: Slot = Slot { hash: ShortHash::ZERO, place: NOWHERE };

/// Places by hash. What the keys are, its owner knows.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// A power of two of them, or none.
    slots: Vec<Slot>,
    count: usize,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: ShortHash,
    place: u32,
}

impl Places {
    /// Bytes that so many places take.
    pub(crate) const fn bytes_of(count: usize) -> usize {
        Self::slot_count(count) * size_of::<Slot>()
    }

    const fn slot_count(count: usize) -> usize {
        if count == 0 { 0 } else { (2 * count).next_power_of_two() }
    }

    /// Makes room for so many places in all.
    ///
    /// Cost: all that are there move, while the old slots are still there.
    pub(crate) fn reserve(&mut self, count: usize) {
        let slot_count = Self::slot_count(count);
        if slot_count <= self.slots.len() {
            return;
        }
        let mut known: Vec<Slot> = std::mem::replace(&mut self.slots, vec![FREE; slot_count]);
        known.retain(|slot| slot.place != NOWHERE);
        // Keys that came first are likely to be the frequent ones: these are found at once.
        known.sort_unstable_by_key(|slot| slot.place);
        for slot in known {
            self.put(slot);
        }
    }

    /// Adds a place whose key is not there; there must be room.
    pub(crate) fn insert(&mut self, hash: ShortHash, place: u32) {
        self.put(Slot { hash, place });
        self.count += 1;
        debug_assert!(2 * self.count <= self.slots.len(), "room was made");
    }

    fn put(&mut self, slot: Slot) {
        let mut at = self.home(slot.hash);
        while self.slots[at].place != NOWHERE {
            at = self.after(at);
        }
        self.slots[at] = slot;
    }

    /// The place of a key with this hash, or [`NOWHERE`].
    #[inline]
    pub(crate) fn find(&self, hash: ShortHash, is_same: impl Fn(u32) -> bool) -> u32 {
        if self.slots.is_empty() {
            return NOWHERE;
        }
        let mut at = self.home(hash);
        loop {
            let slot = self.slots[at];
            if slot.place == NOWHERE || slot.hash == hash && is_same(slot.place) {
                return slot.place;
            }
            at = self.after(at);
        }
    }

    /// The places of keys with these hashes, or [`NOWHERE`]; `is_same` compares the key that stands
    /// there in `hashes` with that of a place.
    pub(crate) fn find_all(
        &self,
        hashes: &[ShortHash],
        found: &mut Vec<u32>,
        is_same: impl Fn(usize, u32) -> bool,
    ) {
        found.clear();
        if self.slots.is_empty() {
            found.resize(hashes.len(), NOWHERE);
            return;
        }
        found.extend(hashes.iter().map(|&hash| {
            let slot = self.slots[self.home(hash)];
            if slot.hash == hash { slot.place } else { NOWHERE }
        }));
        for (index, place) in found.iter_mut().enumerate() {
            if *place == NOWHERE || !is_same(index, *place) {
                *place = self.find(hashes[index], |place| is_same(index, place));
            }
        }
    }

    #[inline]
    fn home(&self, hash: ShortHash) -> usize {
        hash.bits() as usize & (self.slots.len() - 1)
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shuffle::short_key::ShortKey;

    fn hash_of(key: u32) -> ShortHash {
        let key = key.to_be_bytes();
        ShortKey::of(&key).hash_of(&key)
    }

    #[test]
    fn places_are_found_one_by_one_and_together() {
        let mut places = Places::default();
        let mut found = Vec::new();
        let is_same = |key: u32| move |place: u32| place == key;
        for key in 0..5_000u32 {
            assert_eq!(places.find(hash_of(key), is_same(key)), NOWHERE);
            places.reserve(key as usize + 1);
            places.insert(hash_of(key), key);
        }
        let hashes: Vec<ShortHash> = (0..6_000).map(hash_of).collect();
        places.find_all(&hashes, &mut found, |index, place| place as usize == index);
        let expected = (0..6_000).map(|key| if key < 5_000 { key } else { NOWHERE });
        assert!(found.iter().copied().eq(expected));
    }

    #[test]
    fn keys_of_one_hash_are_told_apart() {
        let mut places = Places::default();
        places.reserve(40);
        (0..40).for_each(|place| places.insert(hash_of(7), place));
        let hashes = vec![hash_of(7); 41];
        let mut found = Vec::new();
        places.find_all(&hashes, &mut found, |index, place| place as usize == index);
        assert!(found.iter().copied().eq((0..40).chain([NOWHERE])));
    }

    #[test]
    fn nothing_is_found_in_no_slots() {
        let mut found = vec![3];
        Places::default().find_all(&[hash_of(1)], &mut found, |_, _| true);
        assert_eq!(found, [NOWHERE]);
    }
}
