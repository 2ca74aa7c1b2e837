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
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::coder::{Coder, Preview};
use crate::combine::CombineFn;
use crate::element::Element;
use crate::error::Result;
use crate::graph::combine_table::{CombineTable, Drain};
use crate::graph::feed::Feed;
use crate::graph::group::WritePairs;
use crate::graph::{
    CombinePart, ElementPlace, Env, GroupFacts, Grouping, Groups, KeyLayout, NodeId, Noted, Shown,
};
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
    /// Combines the values of the current group, or what was accumulated of them before.
    fn combine_group(
        &self,
        groups: &mut Groups<'_>,
        is_lifted: bool,
        values: &<C::In as Element>::Coder,
        accumulators: &<C::Acc as Element>::Coder,
    ) -> Result<C::Out> {
        let mut accumulator = self.function.create();
        while let Some((head, tail)) = groups.next_value()? {
            if is_lifted {
                let other = accumulators.decode_shared(head, tail.clone())?;
                self.function.merge(&mut accumulator, other);
            } else {
                let value = values.decode_shared(head, tail.clone())?;
                self.function.add(&mut accumulator, value);
            }
        }
        Ok(self.function.extract(accumulator))
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
    ) -> AnyReceiver {
        if !is_lifted {
            return AnyReceiver::new::<(K, C::In)>(WritePairs::<K, C::In>::new(sink, layout, env));
        }
        let drain = ToSink::<C::Acc> { coder: C::Acc::coder(), head: Vec::new(), sink };
        let function = self.function.clone();
        let receiver = Precombine::<K, C, _>::new(node, function, layout, drain, env);
        AnyReceiver::new::<(K, C::In)>(receiver)
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
        for _ in 0..env.skip() {
            groups.next_group()?;
        }
        let start = env.progress().done;
        for ordinal in 0..limit.min(env.span_limit()) as u64 {
            if !groups.next_group()? {
                feed.finish()?;
                return Ok(false);
            }
            let key = groups.key(&keys)?;
            let place = ElementPlace { node, start, ordinal };
            if env.leaves_out(place, || shown(&key))? {
                feed.pass_over()?;
                continue;
            }
            let combine = || self.combine_group(groups, is_lifted, &values, &accumulators);
            let noted = || Noted { place: Some(place), shown: Some(shown(&key)) };
            let combined = noting(combine, || env.note_element(node, Some(noted())));
            feed.push((key, combined?), groups.stamp())?;
        }
        feed.finish()?;
        Ok(env.reads_all())
    }

    fn part(
        &self,
        part: CombinePart,
        node: NodeId,
        layout: &KeyLayout,
        next: AnyReceiver,
        env: &Env,
    ) -> Option<AnyReceiver> {
        let function = self.function.clone();
        Some(match part {
            CombinePart::Precombine => {
                let out = OutputBuffer::new(next.typed::<(K, C::Acc)>());
                let (coder, layout) = (K::coder(), layout.clone());
                let drain = ToReceiver::<K, C::Acc> { coder, layout: layout.clone(), out };
                let receiver = Precombine::<K, C, _>::new(node, function, &layout, drain, env);
                AnyReceiver::new::<(K, C::In)>(receiver)
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

/// Runs `work`; if it panics, `note` is called before the panic goes on.
///
/// So a panic in a combine function names its key, which no second attempt could find: it depends
/// on all the values before.
fn noting<R>(work: impl FnOnce() -> R, note: impl FnOnce()) -> R {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        note();
        resume_unwind(panic)
    })
}

/// A group is shown by its key.
fn shown<K: Element>(key: &K) -> Shown {
    let mut preview = Preview::default();
    K::coder().preview(key, &mut preview);
    let preview = preview.finish();
    Shown { key: Some(preview.clone()), preview }
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
    keys: Vec<u8>,
    key_ends: Vec<usize>,
    table: CombineTable<C>,
    drain: D,
    env: Env,
}

impl<K: Element, C: CombineFn, D: Drain<C::Acc>> Precombine<K, C, D> {
    fn new(node: NodeId, function: C, layout: &KeyLayout, drain: D, env: &Env) -> Self {
        let table = CombineTable::new(function, &env.budget);
        let (coder, layout, env) = (K::coder(), layout.clone(), env.clone());
        let (keys, key_ends) = (Vec::new(), Vec::new());
        Self { node, coder, layout, keys, key_ends, table, drain, env }
    }

    /// Encodes the keys of a batch, so that it is known what they take before they are kept.
    fn encode_keys(&mut self, batch: &Batch<(K, C::In)>) -> Result<()> {
        self.keys.clear();
        self.key_ends.clear();
        for (place, (key, _)) in batch.values.iter().enumerate() {
            let stamp = batch.times.get(place);
            self.layout.encode(&self.coder, key, stamp, &mut self.keys)?;
            self.key_ends.push(self.keys.len());
        }
        Ok(())
    }
}

impl<K: Element, C: CombineFn, D: Drain<C::Acc>> Receiver<(K, C::In)> for Precombine<K, C, D> {
    fn push(&mut self, batch: &mut Batch<(K, C::In)>) -> Result<()> {
        let before = self.env.enter(self.node);
        self.encode_keys(batch)?;
        while !self.table.make_room(batch.values.len(), self.keys.len()) {
            self.table.drain(&mut self.drain)?;
        }
        let current = Cell::new((0, 0));
        let add_all = || {
            for ((_, value), &end) in batch.values.drain(..).zip(&self.key_ends) {
                let start = current.get().1;
                current.set((start, end));
                self.table.add(&self.keys[start..end], value);
            }
        };
        noting(add_all, || {
            let (start, end) = current.get();
            if let Ok((key, _)) = self.layout.decode(&self.coder, &self.keys[start..end]) {
                // No place: it is not this pair alone that makes the function panic.
                let noted = Noted { place: None, shown: Some(shown(&key)) };
                self.env.note_element(self.node, Some(noted));
            }
        });
        self.env.enter(before);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.table.drain(&mut self.drain)?;
        self.drain.finish(&self.env)
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
        for (place, pair) in batch.values.drain(..).enumerate() {
            let before = self.env.enter(self.node);
            let result = (self.function)(pair);
            self.env.enter(before);
            self.out.set_stamp(Some(batch.times.get(place)));
            self.out.push(result)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.out.finish()
    }
}
