//! What a lifted combine has accumulated of each key before the shuffle, within the budget.

use std::cell::Cell;

use crate::combine::{CombineFn, LiveCombineFn};
use crate::element::Element as _;
use crate::error::Result;
use crate::memory::{MemoryBudget, Reservation};
use crate::shuffle::{NOWHERE, Places, ShortHash, ShortKey};

/// Bytes that a table may take without a reservation; every bundle declares them.
const FREE_BYTES: u64 = 256 << 10;
/// Growing in steps keeps the budget's lock out of the way of every batch.
const STEP_BYTES: u64 = 256 << 10;
/// Places have 32 bits, and the greatest is none.
const ENTRY_LIMIT: usize = NOWHERE as usize;

/// Accumulators by encoded key.
///
/// It reserves one and a half times what it takes: while it is drained, what was drained lies in
/// front of the shuffle before the first half of the table is given back.
pub(super) struct CombineTable<C: CombineFn> {
    function: LiveCombineFn<C>,
    places: Places,
    /// In the order in which keys came: frequent ones come early, and lie close together.
    entries: Vec<Entry<C::Acc>>,
    keys: BatchKeys,
    /// The keys of a batch, and their places.
    shorts: Vec<ShortKey>,
    hashes: Vec<ShortHash>,
    found: Vec<u32>,
    /// Bytes that accumulators own, never less than the truth.
    accumulator_bytes: usize,
    reservation: Reservation,
}

/// What a value touches whose key is short.
struct Entry<A> {
    key: ShortKey,
    accumulator: A,
}

/// Encoded keys, one behind the other.
#[derive(Default)]
pub(super) struct BatchKeys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl BatchKeys {
    /// Forgets all keys.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Adds what `encode` appends.
    pub(super) fn push_with(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        encode(&mut self.bytes)?;
        self.ends.push(self.bytes.len());
        Ok(())
    }

    /// The key at a place.
    #[inline]
    pub(super) fn at(&self, place: usize) -> &[u8] {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[place]]
    }

    /// All keys.
    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| &self.bytes[std::mem::replace(&mut start, end)..end])
    }

    fn push(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
    }

    /// Takes the last key away.
    fn pop(&mut self) {
        self.ends.pop();
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
    }
}

/// Takes what a table has accumulated.
pub(super) trait Drain<A>: Send {
    fn put(&mut self, key: &[u8], accumulator: A) -> Result<()>;
    fn finish(self, env: &crate::graph::Env) -> Result<()>;
}

impl<C: CombineFn> CombineTable<C> {
    /// Bytes of an entry besides its slot and the bytes of its key.
    const ENTRY_BYTES: usize = size_of::<Entry<C::Acc>>() + size_of::<usize>();

    pub(super) fn new(function: LiveCombineFn<C>, budget: &MemoryBudget) -> Self {
        Self {
            function,
            places: Places::default(),
            entries: Vec::new(),
            keys: BatchKeys::default(),
            shorts: Vec::new(),
            hashes: Vec::new(),
            found: Vec::new(),
            accumulator_bytes: 0,
            reservation: budget.hold(),
        }
    }

    /// Adds a value to each of these keys; [`Self::make_room`] must have granted it. `at` says at
    /// which it is.
    ///
    /// All keys are looked for before any value is added: steps of neither loop wait for each
    /// other, so that those that miss the caches overlap.
    pub(super) fn add_all(
        &mut self,
        keys: &BatchKeys,
        values: impl Iterator<Item = C::In>,
        at: &Cell<usize>,
    ) {
        self.shorts.clear();
        self.hashes.clear();
        for key in keys.iter() {
            let short = ShortKey::of(key);
            self.shorts.push(short);
            self.hashes.push(short.hash_of(key));
        }
        let (entries, own_keys, shorts) = (&self.entries, &self.keys, &self.shorts);
        self.places.find_all(&self.hashes, &mut self.found, |index, place| {
            let (short, place) = (shorts[index], place as usize);
            entries[place].key == short
                && (short.is_whole() || keys.at(index) == own_keys.at(place))
        });
        for (index, value) in values.enumerate() {
            at.set(index);
            if std::mem::needs_drop::<C::Acc>() {
                self.accumulator_bytes += size_of::<C::In>() + value.heap_bytes();
            }
            match self.entries.get_mut(self.found[index] as usize) {
                Some(entry) => self.function.add(&mut entry.accumulator, value),
                None => self.add_new(keys.at(index), index, value),
            }
        }
    }

    /// Adds a value to a key that the table did not have when the batch came.
    fn add_new(&mut self, key: &[u8], index: usize, value: C::In) {
        let (short, hash) = (self.shorts[index], self.hashes[index]);
        let known = self.places.find(hash, |place| {
            let place = place as usize;
            self.entries[place].key == short && (short.is_whole() || key == self.keys.at(place))
        });
        if let Some(entry) = self.entries.get_mut(known as usize) {
            return self.function.add(&mut entry.accumulator, value);
        }
        let mut accumulator = self.function.create();
        self.function.add(&mut accumulator, value);
        // A first value may make room for several.
        if std::mem::needs_drop::<C::Acc>() {
            self.accumulator_bytes += accumulator.heap_bytes();
        }
        self.places.insert(hash, self.entries.len() as u32);
        self.keys.push(key);
        self.entries.push(Entry { key: short, accumulator });
    }

    /// Makes room for so many new entries and bytes of keys; false if it must be drained first.
    ///
    /// An empty table always has room for a batch: its bundle has declared that.
    pub(super) fn make_room(&mut self, keys: &BatchKeys) -> bool {
        let (entry_count, key_bytes) = (keys.ends.len(), keys.bytes.len());
        let entries = grown(self.entries.capacity(), self.entries.len() + entry_count);
        let keys = grown(self.keys.bytes.capacity(), self.keys.bytes.len() + key_bytes);
        let table = entries * Self::ENTRY_BYTES + Places::bytes_of(entries) + keys;
        let is_granted = self.is_granted(table) && self.entries.len() + entry_count <= ENTRY_LIMIT;
        if !is_granted && !self.entries.is_empty() {
            return false;
        }
        self.entries.reserve_exact(entries - self.entries.len());
        self.keys.ends.reserve_exact(entries - self.keys.ends.len());
        self.keys.bytes.reserve_exact(keys - self.keys.bytes.len());
        self.places.reserve(entries);
        true
    }

    /// Whether the budget grants a table of so many bytes besides the accumulators.
    fn is_granted(&mut self, table_bytes: usize) -> bool {
        let wanted = |accumulators: usize| (table_bytes + accumulators) as u64 * 3 / 2;
        let granted = FREE_BYTES + self.reservation.bytes();
        if wanted(self.accumulator_bytes) <= granted {
            return true;
        }
        self.accumulator_bytes = self.measure_accumulators();
        let wanted = wanted(self.accumulator_bytes);
        let Some(missing) = wanted.checked_sub(granted) else { return true };
        let ahead = missing + STEP_BYTES.max(wanted / 8);
        self.reservation.try_grow(ahead) || self.reservation.try_grow(missing)
    }

    fn measure_accumulators(&self) -> usize {
        if !std::mem::needs_drop::<C::Acc>() {
            return 0;
        }
        self.entries.iter().map(|entry| entry.accumulator.heap_bytes()).sum()
    }

    /// Hands every key and accumulator to `drain`, and starts anew.
    pub(super) fn drain(&mut self, drain: &mut impl Drain<C::Acc>) -> Result<()> {
        self.places = Places::default();
        self.accumulator_bytes = 0;
        while let Some(mut entry) = self.entries.pop() {
            self.function.compact(&mut entry.accumulator);
            drain.put(self.keys.at(self.entries.len()), entry.accumulator)?;
            self.keys.pop();
            if self.entries.len() == self.entries.capacity() / 2 {
                self.give_back();
            }
        }
        self.give_back();
        Ok(())
    }

    /// Ends the life of the function.
    pub(super) fn end(self) {
        self.function.end();
    }

    /// Gives back the memory that is not used any more.
    fn give_back(&mut self) {
        self.entries.shrink_to_fit();
        self.keys.ends.shrink_to_fit();
        self.keys.bytes.shrink_to_fit();
        let entries = self.entries.capacity() * Self::ENTRY_BYTES;
        let accumulators = self.measure_accumulators();
        let taken = (entries + self.keys.bytes.capacity() + accumulators) as u64;
        self.reservation.shrink(self.reservation.bytes().saturating_sub(taken));
    }
}

/// The capacity of a table that must hold `needed`: the same, or at least twice as much.
fn grown(capacity: usize, needed: usize) -> usize {
    if needed <= capacity { capacity } else { needed.max(2 * capacity) }
}
