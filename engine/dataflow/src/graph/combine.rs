//! CombinePerKey: combining before the shuffle, after it, or in its three parts alone.
//!
//! What we have, and what lifting makes of it:
//!
//! ```text
//! (K, In) ──────────────────────── GroupByKey ── (K, Iterable<In>)  ── add, extract ──► (K, Out)
//! (K, In) ── precombine ── (K, Acc) ── GroupByKey ── merge ── (K, Acc) ── extract ────► (K, Out)
//! ```

use std::fmt;
use std::marker::PhantomData;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use crate::coder::{Coder, Context, decode_all};
use crate::combine::CombineFn;
use crate::element::Element;
use crate::error::Result;
use crate::graph::feed::Feed;
use crate::graph::group::{WritePairs, read_key};
use crate::graph::{CombinePart, Env, GroupFacts, Grouping, Groups, NodeId};
use crate::memory::Reservation;
use crate::receiver::{AnyReceiver, Batch, OutputBuffer, Receiver};
use crate::shuffle::{Iterable, Record, RecordSink};

/// Combines the values of each key of type `K`.
pub struct Combine<K, C> {
    function: C,
    of: PhantomData<fn() -> K>,
}

impl<K, C> Combine<K, C> {
    /// The grouping that combines with this function.
    pub const fn new(function: C) -> Self {
        Self { function, of: PhantomData }
    }
}

impl<K, C> fmt::Debug for Combine<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Combine")
    }
}

impl<K: Element, C: CombineFn> Grouping for Combine<K, C> {
    fn facts(&self) -> GroupFacts {
        let facts = self.function.facts();
        GroupFacts { is_combining: true, parameters: facts.parameters, version: facts.version }
    }

    fn write(
        &self,
        node: NodeId,
        sink: Box<dyn RecordSink>,
        is_lifted: bool,
        env: &Env,
    ) -> AnyReceiver {
        if !is_lifted {
            return AnyReceiver::new::<(K, C::In)>(WritePairs::<K, C::In>::new(sink, env));
        }
        let table = CombineTable::new(node, self.function.clone(), env);
        let drain = ToSink::<C::Acc> { coder: C::Acc::coder(), head: Vec::new(), sink };
        AnyReceiver::new::<(K, C::In)>(Precombine::<K, C, _>::new(table, drain))
    }

    fn read(
        &self,
        node: NodeId,
        groups: &mut Groups<'_>,
        is_lifted: bool,
        limit: usize,
        next: AnyReceiver,
        env: &Env,
    ) -> Result<bool> {
        let mut feed = Feed::new(next.typed::<(K, C::Out)>(), env);
        let (keys, values, accumulators) = (K::coder(), C::In::coder(), C::Acc::coder());
        let function = &self.function;
        for _ in 0..env.skip() {
            groups.next_group()?;
        }
        for _ in 0..limit.min(env.span_limit()) {
            if !groups.next_group()? {
                feed.finish()?;
                return Ok(false);
            }
            let before = env.enter(node);
            let key = read_key::<K>(&keys, groups.key(), node, env)?;
            let mut accumulator = function.create();
            while let Some((head, tail)) = groups.next_value()? {
                if is_lifted {
                    let other = accumulators.decode_shared(head, tail.clone())?;
                    function.merge(&mut accumulator, other);
                } else {
                    function.add(&mut accumulator, values.decode_shared(head, tail.clone())?);
                }
            }
            let result = function.extract(accumulator);
            env.enter(before);
            feed.push((key, result))?;
        }
        feed.finish()?;
        Ok(!env.notes_elements)
    }

    fn part(
        &self,
        part: CombinePart,
        node: NodeId,
        next: AnyReceiver,
        env: &Env,
    ) -> Option<AnyReceiver> {
        let function = self.function.clone();
        Some(match part {
            CombinePart::Precombine => {
                let out = OutputBuffer::new(next.typed::<(K, C::Acc)>());
                let drain = ToReceiver::<K, C::Acc> { coder: K::coder(), out };
                let table = CombineTable::new(node, function, env);
                AnyReceiver::new::<(K, C::In)>(Precombine::<K, C, _>::new(table, drain))
            }
            CombinePart::Merge => each_pair(node, next, env, move |pair| {
                let (key, accumulators): (K, Iterable<C::Acc>) = pair;
                let mut merged = function.create();
                accumulators.iter().for_each(|other| function.merge(&mut merged, other));
                (key, merged)
            }),
            CombinePart::Extract => each_pair(node, next, env, move |pair| {
                let (key, accumulator): (K, C::Acc) = pair;
                (key, function.extract(accumulator))
            }),
        })
    }
}

fn each_pair<In: Element, Out: Element>(
    node: NodeId,
    next: AnyReceiver,
    env: &Env,
    function: impl FnMut(In) -> Out + Send + 'static,
) -> AnyReceiver {
    let out = OutputBuffer::new(next.typed::<Out>());
    let of = PhantomData;
    AnyReceiver::new::<In>(EachPair { node, function, out, env: env.clone(), of })
}

/// Accumulators by encoded key.
///
/// Reserves twice what it takes, because draining it writes everything once more.
struct CombineTable<C: CombineFn> {
    node: NodeId,
    function: C,
    places: HashTable<u32>,
    entries: Vec<Entry<C::Acc>>,
    keys: Vec<u8>,
    /// Bytes that accumulators own, never less than the truth.
    accumulator_bytes: usize,
    reservation: Reservation,
    env: Env,
}

struct Entry<A> {
    hash: u64,
    key_start: usize,
    key_length: u32,
    accumulator: A,
}

/// Bytes that a table may take without a reservation; every bundle declares them.
const FREE_BYTES: u64 = 256 << 10;
/// Growing in steps keeps the budget's lock out of the way of every element.
const STEP_BYTES: u64 = 256 << 10;

impl<C: CombineFn> CombineTable<C> {
    fn new(node: NodeId, function: C, env: &Env) -> Self {
        Self {
            node,
            function,
            places: HashTable::new(),
            entries: Vec::new(),
            keys: Vec::new(),
            accumulator_bytes: 0,
            reservation: env.budget.hold(),
            env: env.clone(),
        }
    }

    fn add(&mut self, key: &[u8], value: C::In) {
        let hash = xxh3_64(key);
        if std::mem::needs_drop::<C::Acc>() {
            self.accumulator_bytes += size_of::<C::In>() + value.heap_bytes();
        }
        let (entries, keys) = (&self.entries, &self.keys);
        let is_same = |place: &u32| {
            let entry = &entries[*place as usize];
            entry.hash == hash && keys[entry.key_start..][..entry.key_length as usize] == *key
        };
        if let Some(&place) = self.places.find(hash, is_same) {
            self.function.add(&mut self.entries[place as usize].accumulator, value);
            return;
        }
        let mut accumulator = self.function.create();
        self.function.add(&mut accumulator, value);
        let place = self.entries.len() as u32;
        let (key_start, key_length) = (self.keys.len(), key.len() as u32);
        self.keys.extend_from_slice(key);
        self.entries.push(Entry { hash, key_start, key_length, accumulator });
        let entries = &self.entries;
        self.places.insert_unique(hash, place, |place| entries[*place as usize].hash);
    }

    /// Whether there is memory for another batch; asks the budget for more when there is not.
    fn has_room(&mut self) -> bool {
        let table = self.places.capacity() * size_of::<u32>() * 8 / 7
            + self.entries.capacity() * size_of::<Entry<C::Acc>>()
            + self.keys.capacity();
        let wanted = |accumulators: usize| 2 * (table + accumulators) as u64;
        let granted = FREE_BYTES + self.reservation.bytes();
        if wanted(self.accumulator_bytes) <= granted {
            return true;
        }
        if std::mem::needs_drop::<C::Acc>() {
            let sizes = self.entries.iter().map(|entry| entry.accumulator.heap_bytes());
            self.accumulator_bytes = sizes.sum();
        }
        let wanted = wanted(self.accumulator_bytes);
        wanted <= granted
            || self.reservation.try_grow(wanted - granted + STEP_BYTES.max(wanted / 8))
    }

    /// Hands every key and accumulator to `drain`, and starts anew.
    fn drain(&mut self, drain: &mut impl Drain<C::Acc>) -> Result<()> {
        self.places = HashTable::new();
        let keys = std::mem::take(&mut self.keys);
        let entries = std::mem::take(&mut self.entries);
        self.accumulator_bytes = 0;
        // What is drained is held by whoever takes it, under a reservation of its own.
        let half = self.reservation.bytes() / 2;
        self.reservation.shrink(half);
        for entry in entries {
            let key = &keys[entry.key_start..][..entry.key_length as usize];
            drain.put(key, entry.accumulator)?;
        }
        self.reservation.shrink(self.reservation.bytes());
        Ok(())
    }
}

/// Takes what a table has accumulated.
trait Drain<A>: Send {
    fn put(&mut self, key: &[u8], accumulator: A) -> Result<()>;
    fn finish(self, env: &Env) -> Result<()>;
}

/// Encodes accumulators into a shuffle.
struct ToSink<A: Element> {
    coder: A::Coder,
    head: Vec<u8>,
    sink: Box<dyn RecordSink>,
}

impl<A: Element> Drain<A> for ToSink<A> {
    fn put(&mut self, key: &[u8], accumulator: A) -> Result<()> {
        self.head.clear();
        let tail = self.coder.encode_shared(&accumulator, &mut self.head)?;
        self.sink.put(Record { key, head: &self.head, tail: &tail })
    }

    fn finish(self, env: &Env) -> Result<()> {
        env.finish_sink(self.sink)
    }
}

/// Pushes accumulators as elements, for runners that shuffle themselves.
struct ToReceiver<K: Element, A: Element> {
    coder: K::Coder,
    out: OutputBuffer<(K, A)>,
}

impl<K: Element, A: Element> Drain<A> for ToReceiver<K, A> {
    fn put(&mut self, key: &[u8], accumulator: A) -> Result<()> {
        self.out.push((decode_all(&self.coder, key)?, accumulator))
    }

    fn finish(self, _: &Env) -> Result<()> {
        self.out.finish()
    }
}

/// The part of a lifted combine that comes before the shuffle.
struct Precombine<K: Element, C: CombineFn, D> {
    coder: K::Coder,
    key: Vec<u8>,
    table: CombineTable<C>,
    drain: D,
}

impl<K: Element, C: CombineFn, D: Drain<C::Acc>> Precombine<K, C, D> {
    fn new(table: CombineTable<C>, drain: D) -> Self {
        Self { coder: K::coder(), key: Vec::new(), table, drain }
    }
}

impl<K: Element, C: CombineFn, D: Drain<C::Acc>> Receiver<(K, C::In)> for Precombine<K, C, D> {
    fn push(&mut self, batch: &mut Batch<(K, C::In)>) -> Result<()> {
        let before = self.table.env.enter(self.table.node);
        for (key, value) in batch.values.drain(..) {
            self.key.clear();
            self.coder.encode(&key, Context::Outer, &mut self.key)?;
            self.table.add(&self.key, value);
        }
        self.table.env.enter(before);
        if self.table.has_room() { Ok(()) } else { self.table.drain(&mut self.drain) }
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let Self { mut table, mut drain, .. } = *self;
        table.drain(&mut drain)?;
        drain.finish(&table.env)
    }
}

/// A part of a combine that does not shuffle: element by element.
struct EachPair<In, Out, F> {
    node: NodeId,
    function: F,
    out: OutputBuffer<Out>,
    env: Env,
    of: PhantomData<fn(In)>,
}

impl<In, Out, F> Receiver<In> for EachPair<In, Out, F>
where
    In: Element,
    Out: Element,
    F: FnMut(In) -> Out + Send,
{
    fn push(&mut self, batch: &mut Batch<In>) -> Result<()> {
        for pair in batch.values.drain(..) {
            let before = self.env.enter(self.node);
            let result = (self.function)(pair);
            self.env.enter(before);
            self.out.push(result)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.out.finish()
    }
}
