//! What a lifted combine has accumulated of each key before the shuffle, within the budget.

use hashbrown::HashTable;

use crate::combine::{CombineFn, LiveCombineFn};
use crate::element::Element as _;
use crate::error::Result;
use crate::memory::{MemoryBudget, Reservation};
use crate::shuffle::{ShortHash, ShortKey};

/// Bytes that a table may take without a reservation; every bundle declares them.
const FREE_BYTES: u64 = 256 << 10;
/// Growing in steps keeps the budget's lock out of the way of every batch.
const STEP_BYTES: u64 = 256 << 10;
/// Places have 32 bits.
const ENTRY_LIMIT: usize = u32::MAX as usize;

/// Accumulators by encoded key.
///
/// It reserves one and a half times what it takes: while it is drained, what was drained lies in
/// front of the shuffle before the first half of the table is given back.
pub(super) struct CombineTable<C: CombineFn> {
    function: LiveCombineFn<C>,
    slots: HashTable<Slot>,
    entries: Vec<Entry<C::Acc>>,
    /// The keys of all entries, in their order.
    keys: Vec<u8>,
    /// Bytes that accumulators own, never less than the truth.
    accumulator_bytes: usize,
    reservation: Reservation,
}

/// What it takes to know a short key: a value of it touches nothing else but its accumulator.
#[derive(Clone, Copy)]
struct Slot {
    key: ShortKey,
    hash: ShortHash,
    place: u32,
}

struct Entry<A> {
    key_start: usize,
    key_length: u32,
    accumulator: A,
}

impl<A> Entry<A> {
    /// Where the key lies.
    fn key(&self) -> std::ops::Range<usize> {
        self.key_start..self.key_start + self.key_length as usize
    }
}

/// Takes what a table has accumulated.
pub(super) trait Drain<A>: Send {
    fn put(&mut self, key: &[u8], accumulator: A) -> Result<()>;
    fn finish(self, env: &crate::graph::Env) -> Result<()>;
}

impl<C: CombineFn> CombineTable<C> {
    pub(super) fn new(function: LiveCombineFn<C>, budget: &MemoryBudget) -> Self {
        Self {
            function,
            slots: HashTable::new(),
            entries: Vec::new(),
            keys: Vec::new(),
            accumulator_bytes: 0,
            reservation: budget.hold(),
        }
    }

    /// Adds a value; [`Self::make_room`] must have granted it.
    pub(super) fn add(&mut self, key: &[u8], value: C::In) {
        let short = ShortKey::of(key);
        let hash = short.hash_of(key);
        if std::mem::needs_drop::<C::Acc>() {
            self.accumulator_bytes += size_of::<C::In>() + value.heap_bytes();
        }
        let (entries, keys) = (&self.entries, &self.keys);
        let is_same = |slot: &Slot| {
            slot.key == short
                && (short.is_whole() || *key == keys[entries[slot.place as usize].key()])
        };
        if let Some(&Slot { place, .. }) = self.slots.find(hash.spread(), is_same) {
            self.function.add(&mut self.entries[place as usize].accumulator, value);
            return;
        }
        let mut accumulator = self.function.create();
        self.function.add(&mut accumulator, value);
        // A first value may make room for several.
        if std::mem::needs_drop::<C::Acc>() {
            self.accumulator_bytes += accumulator.heap_bytes();
        }
        let place = self.entries.len() as u32;
        let (key_start, key_length) = (self.keys.len(), key.len() as u32);
        self.keys.extend_from_slice(key);
        self.entries.push(Entry { key_start, key_length, accumulator });
        let slot = Slot { key: short, hash, place };
        self.slots.insert_unique(hash.spread(), slot, |slot| slot.hash.spread());
    }

    /// Makes room for so many new entries and bytes of keys; false if it must be drained first.
    ///
    /// An empty table always has room for a batch: its bundle has declared that.
    pub(super) fn make_room(&mut self, entry_count: usize, key_bytes: usize) -> bool {
        let entries = grown(self.entries.capacity(), self.entries.len() + entry_count);
        let keys = grown(self.keys.capacity(), self.keys.len() + key_bytes);
        let table = entries * size_of::<Entry<C::Acc>>() + slots_bytes(entries) + keys;
        let is_granted = self.is_granted(table) && self.entries.len() + entry_count <= ENTRY_LIMIT;
        if !is_granted && !self.entries.is_empty() {
            return false;
        }
        self.entries.reserve_exact(entries - self.entries.len());
        self.keys.reserve_exact(keys - self.keys.len());
        self.slots.reserve(entries - self.entries.len(), |slot| slot.hash.spread());
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
        self.slots = HashTable::new();
        self.accumulator_bytes = 0;
        while let Some(mut entry) = self.entries.pop() {
            self.function.compact(&mut entry.accumulator);
            drain.put(&self.keys[entry.key_start..], entry.accumulator)?;
            self.keys.truncate(entry.key_start);
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
        self.keys.shrink_to_fit();
        let entries = self.entries.capacity() * size_of::<Entry<C::Acc>>();
        let accumulators = self.measure_accumulators();
        let taken = (entries + self.keys.capacity() + accumulators) as u64;
        self.reservation.shrink(self.reservation.bytes().saturating_sub(taken));
    }
}

/// The capacity of a table that must hold `needed`: the same, or at least twice as much.
fn grown(capacity: usize, needed: usize) -> usize {
    if needed <= capacity { capacity } else { needed.max(2 * capacity) }
}

/// Bytes of a hash table with room for so many places: seven of eight buckets are used.
fn slots_bytes(entries: usize) -> usize {
    let buckets = (entries * 8 / 7 + 1).next_power_of_two();
    buckets * (size_of::<Slot>() + 1)
}
