//! CombinePerKey: combining before the shuffle, after it, or in its three parts alone.
//!
//! What we have, and what lifting makes of it:
//!
//! ```text
//! (K, In) ──────────────────────── GroupByKey ── (K, Iterable<In>)  ── add, extract ──► (K, Out)
//! (K, In) ── precombine ── (K, Acc) ── GroupByKey ── merge ── (K, Acc) ── extract ────► (K, Out)
//! ```

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use crate::coder::Coder;
use crate::combine::{CombineFn, LiveCombineFn};
use crate::element::Element;
use crate::error::Result;
use crate::graph::combine_read::{CombineGroups, noting, shown};
use crate::graph::combine_table::{BatchKeys, CombineTable, Drain};
use crate::graph::feed::Feed;
use crate::graph::group::WritePairs;
use crate::graph::{Env, GroupFacts, GroupPart, Grouping, Groups, KeyLayout, NodeId, Noted, Shape};
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

impl<K, C: CombineFn> Combine<K, C> {
    /// An instance of the function that is set up.
    fn start(&self, node: NodeId, env: &Env) -> Result<LiveCombineFn<C>> {
        let before = env.enter(node);
        let started = LiveCombineFn::start(&self.function);
        let function = started.map_err(|error| env.blame(node, error))?;
        env.enter(before);
        Ok(function)
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
        GroupFacts {
            accumulator: Some(C::Acc::coder().kind()),
            parameters: facts.parameters,
            version: facts.version,
            is_by_time: false,
        }
    }

    fn write(
        &self,
        node: NodeId,
        sink: Box<dyn RecordSink>,
        layout: &KeyLayout,
        is_lifted: bool,
        env: &Env,
    ) -> Result<AnyReceiver> {
        if !is_lifted {
            let pairs = WritePairs::<K, C::In>::new(sink, layout, env);
            return Ok(AnyReceiver::new::<(K, C::In)>(pairs));
        }
        let drain = ToSink::<C::Acc> { coder: C::Acc::coder(), head: Vec::new(), sink };
        let function = self.start(node, env)?;
        let receiver = Precombine::<K, C, _>::new(node, function, layout, drain, env);
        Ok(AnyReceiver::new::<(K, C::In)>(receiver))
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
        let feed = Feed::new(next.typed::<(K, C::Out)>(), env);
        let (keys, values, accumulators) = (K::coder(), C::In::coder(), C::Acc::coder());
        let function = self.start(node, env)?;
        let combine = CombineGroups { node, function, is_lifted, keys, values, accumulators, env };
        combine.read(groups, limit, feed)
    }

    fn shapes(&self, part: GroupPart) -> Option<(Shape, Shape)> {
        let (input, output) = (Shape::of::<(K, C::In)>, Shape::of::<(K, C::Out)>);
        let accumulated = Shape::of::<(K, C::Acc)>;
        Some(match part {
            GroupPart::Precombine => (input(), accumulated()),
            GroupPart::Merge => (Shape::of::<(K, Iterable<C::Acc>)>(), accumulated()),
            GroupPart::Extract => (accumulated(), output()),
            GroupPart::Combine => (Shape::of::<(K, Iterable<C::In>)>(), output()),
            GroupPart::KeepTimes | GroupPart::ByTime => return None,
        })
    }

    fn part(
        &self,
        part: GroupPart,
        node: NodeId,
        layout: &KeyLayout,
        next: AnyReceiver,
        env: &Env,
    ) -> Result<Option<AnyReceiver>> {
        let function = self.start(node, env)?;
        Ok(Some(match part {
            GroupPart::Precombine => {
                let out = OutputBuffer::new(next.typed::<(K, C::Acc)>());
                let (coder, layout) = (K::coder(), layout.clone());
                let drain = ToReceiver::<K, C::Acc> { coder, layout: layout.clone(), out };
                let receiver = Precombine::<K, C, _>::new(node, function, &layout, drain, env);
                AnyReceiver::new::<(K, C::In)>(receiver)
            }
            GroupPart::Merge => each_pair(node, function, merged::<K, C>, next, env),
            GroupPart::Extract => each_pair(node, function, extracted::<K, C>, next, env),
            GroupPart::Combine => each_pair(node, function, combined::<K, C>, next, env),
            GroupPart::KeepTimes | GroupPart::ByTime => return Ok(None),
        }))
    }
}

/// The accumulators of a key as one, which travels on.
fn merged<K, C: CombineFn>(function: &C, pair: (K, Iterable<C::Acc>)) -> (K, C::Acc) {
    let (key, accumulators) = pair;
    let mut merged = function.create();
    accumulators.iter().for_each(|other| function.merge(&mut merged, other));
    function.compact(&mut merged);
    (key, merged)
}

/// The result of the values of a key.
fn combined<K, C: CombineFn>(function: &C, pair: (K, Iterable<C::In>)) -> (K, C::Out) {
    let (key, values) = pair;
    let mut accumulator = function.create();
    values.iter().for_each(|value| function.add(&mut accumulator, value));
    (key, function.extract(accumulator))
}

/// The result of the accumulator of a key.
fn extracted<K, C: CombineFn>(function: &C, pair: (K, C::Acc)) -> (K, C::Out) {
    (pair.0, function.extract(pair.1))
}

fn each_pair<C: CombineFn, In: Element, Out: Element>(
    node: NodeId,
    function: LiveCombineFn<C>,
    run: fn(&C, In) -> Out,
    next: AnyReceiver,
    env: &Env,
) -> AnyReceiver {
    let out = OutputBuffer::new(next.typed::<Out>());
    AnyReceiver::new::<In>(EachPair { node, function, run, out, env: env.clone() })
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
        env.leave_sink(self.sink);
        Ok(())
    }
}

/// Pushes accumulators as elements, for runners that shuffle themselves.
struct ToReceiver<K: Element, A: Element> {
    coder: K::Coder,
    layout: KeyLayout,
    out: OutputBuffer<(K, A)>,
}

impl<K: Element, A: Element> Drain<A> for ToReceiver<K, A> {
    fn put(&mut self, key: &[u8], accumulator: A) -> Result<()> {
        let (key, window) = self.layout.decode(&self.coder, key)?;
        self.out.push_with((key, accumulator), self.layout.stamp(window, None))
    }

    fn finish(self, _: &Env) -> Result<()> {
        self.out.finish()
    }
}

/// The part of a lifted combine that comes before the shuffle.
struct Precombine<K: Element, C: CombineFn, D> {
    node: NodeId,
    coder: K::Coder,
    layout: KeyLayout,
    /// The keys of the batch.
    keys: BatchKeys,
    table: CombineTable<C>,
    drain: D,
    env: Env,
}

impl<K: Element, C: CombineFn, D: Drain<C::Acc>> Precombine<K, C, D> {
    fn new(
        node: NodeId,
        function: LiveCombineFn<C>,
        layout: &KeyLayout,
        drain: D,
        env: &Env,
    ) -> Self {
        let table = CombineTable::new(function, &env.budget);
        let (coder, layout, env) = (K::coder(), layout.clone(), env.clone());
        Self { node, coder, layout, keys: BatchKeys::default(), table, drain, env }
    }

    /// Encodes the keys of a batch, so that it is known what they take before they are kept.
    fn encode_keys(&mut self, batch: &Batch<(K, C::In)>) -> Result<()> {
        self.keys.clear();
        let (layout, coder) = (&self.layout, &self.coder);
        batch.values.iter().enumerate().try_for_each(|(place, (key, _))| {
            let stamp = batch.times.get(place);
            self.keys.push_with(|bytes| layout.encode(coder, key, stamp, bytes))
        })
    }
}

impl<K: Element, C: CombineFn, D: Drain<C::Acc>> Receiver<(K, C::In)> for Precombine<K, C, D> {
    fn push(&mut self, batch: &mut Batch<(K, C::In)>) -> Result<()> {
        let before = self.env.enter(self.node);
        self.encode_keys(batch)?;
        while !self.table.make_room(&self.keys) {
            self.table.drain(&mut self.drain)?;
        }
        let current = Cell::new(0);
        let values = batch.values.drain(..).map(|(_, value)| value);
        noting(
            || self.table.add_all(&self.keys, values, &current),
            || {
                let key = self.keys.at(current.get());
                if let Ok((key, _)) = self.layout.decode(&self.coder, key) {
                    // No place: it is not this pair alone that makes the function panic.
                    let noted = Noted { place: None, shown: Some(shown(&key)) };
                    self.env.note_element(self.node, Some(noted));
                }
            },
        );
        self.env.enter(before);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        let before = self.env.enter(self.node);
        self.table.drain(&mut self.drain)?;
        self.table.end();
        self.env.enter(before);
        self.drain.finish(&self.env)
    }
}

/// A part of a combine that does not shuffle: element by element.
struct EachPair<C: CombineFn, In, Out> {
    node: NodeId,
    function: LiveCombineFn<C>,
    run: fn(&C, In) -> Out,
    out: OutputBuffer<Out>,
    env: Env,
}

impl<C: CombineFn, In: Element, Out: Element> Receiver<In> for EachPair<C, In, Out> {
    fn push(&mut self, batch: &mut Batch<In>) -> Result<()> {
        for (place, pair) in batch.values.drain(..).enumerate() {
            let before = self.env.enter(self.node);
            let result = (self.run)(&self.function, pair);
            self.env.enter(before);
            self.out.set_stamp(Some(batch.times.get(place)));
            self.out.push(result)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let Self { node, function, out, env, .. } = *self;
        let before = env.enter(node);
        function.end();
        env.enter(before);
        out.finish()
    }
}
