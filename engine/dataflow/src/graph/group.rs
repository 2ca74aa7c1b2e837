//! GroupByKey, and what all groupings have in common.
//!
//! A grouping has two sides: the writing side encodes pairs into a sink, the reading side gets
//! them back sorted by key. Keys are compared as encoded bytes, so that every runner groups alike.

use std::fmt;
use std::marker::PhantomData;

use crate::coder::{Coder, CoderKind};
use crate::element::Element;
use crate::error::Result;
use crate::graph::by_time::{ByTime, KeepTimes};
use crate::graph::feed::Feed;
use crate::graph::{Env, Groups, KeyLayout, NodeId, Shape};
use crate::receiver::{AnyReceiver, Batch, Receiver};
use crate::shuffle::{Iterable, RawValues, Record, RecordSink};
use crate::time::Timestamp;
use crate::window::encode_time;

/// A grouping whose types the graph has forgotten.
pub trait Grouping: Send + Sync {
    /// What is known of it.
    fn facts(&self) -> GroupFacts;

    /// The receiver of its input, which writes into `sink`; lifted, it combines before it writes.
    ///
    /// # Errors
    /// A function that cannot be set up.
    fn write(
        &self,
        node: NodeId,
        sink: Box<dyn RecordSink>,
        layout: &KeyLayout,
        is_lifted: bool,
        env: &Env,
    ) -> Result<AnyReceiver>;

    /// Reads at most `limit` groups and pushes what they give; whether more may come.
    ///
    /// # Errors
    /// Records that do not decode, or whatever fails downstream.
    fn read(
        &self,
        node: NodeId,
        groups: &mut Groups<'_>,
        is_lifted: bool,
        limit: usize,
        next: AnyReceiver,
        env: &Env,
    ) -> Result<bool>;

    /// What goes in and out of a part, for runners that shuffle themselves; `None` where this grouping
    /// has no such part.
    fn shapes(&self, part: GroupPart) -> Option<(Shape, Shape)>;

    /// One part, for runners that shuffle themselves; `None` where this grouping has no such part.
    ///
    /// # Errors
    /// A function that cannot be set up.
    fn part(
        &self,
        part: GroupPart,
        node: NodeId,
        layout: &KeyLayout,
        next: AnyReceiver,
        env: &Env,
    ) -> Result<Option<AnyReceiver>>;
}

/// What a grouping does besides bringing equal keys together: before that, and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupPart {
    /// `(K, In)` to `(K, Acc)`, any number of times a key.
    Precombine,
    /// `(K, Iterable<Acc>)` to `(K, Acc)`.
    Merge,
    /// `(K, Acc)` to `(K, Out)`.
    Extract,
    /// `(K, Iterable<In>)` to `(K, Out)`, where nothing was combined before.
    Combine,
    /// `(K, V)` to `(K, (Timestamp, V))`, where values are to come by time.
    KeepTimes,
    /// `(K, Iterable<(Timestamp, V)>)` to `(K, Iterable<V>)`, ascending by time.
    ByTime,
}

/// What is known of a [`Grouping`] before it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupFacts {
    /// The coder of the accumulators, where values are combined: combining can then be lifted
    /// before the shuffle.
    pub accumulator: Option<CoderKind>,
    /// Arguments that change the result.
    pub parameters: String,
    /// The declared version of the code.
    pub version: u32,
    /// Whether the values of a group come by time.
    pub is_by_time: bool,
}

/// GroupByKey of pairs of `K` and `V`.
pub struct GroupBy<K, V> {
    is_by_time: bool,
    of: PhantomData<fn() -> (K, V)>,
}

impl<K, V> GroupBy<K, V> {
    /// The grouping of these types, with values in no order.
    pub const fn new() -> Self {
        Self { is_by_time: false, of: PhantomData }
    }

    /// The same, with the values of a group ascending by time.
    pub const fn by_time() -> Self {
        Self { is_by_time: true, of: PhantomData }
    }
}

impl<K, V> Default for GroupBy<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> fmt::Debug for GroupBy<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupBy")
    }
}

impl<K: Element, V: Element> Grouping for GroupBy<K, V> {
    fn facts(&self) -> GroupFacts {
        GroupFacts { is_by_time: self.is_by_time, ..GroupFacts::default() }
    }

    fn write(
        &self,
        _: NodeId,
        sink: Box<dyn RecordSink>,
        layout: &KeyLayout,
        _: bool,
        env: &Env,
    ) -> Result<AnyReceiver> {
        Ok(AnyReceiver::new::<(K, V)>(WritePairs::<K, V>::new(sink, layout, env)))
    }

    fn read(
        &self,
        _: NodeId,
        groups: &mut Groups<'_>,
        _: bool,
        limit: usize,
        next: AnyReceiver,
        env: &Env,
    ) -> Result<bool> {
        let mut feed = Feed::new(next.typed::<(K, Iterable<V>)>(), env);
        let coder = K::coder();
        for _ in 0..env.skip() {
            groups.next_group()?;
        }
        for _ in 0..limit.min(env.span_limit()) {
            if !groups.next_group()? {
                feed.finish()?;
                return Ok(false);
            }
            let key = groups.key(&coder)?;
            let values = match groups.take_values() {
                Some(values) => values,
                None => collect_values(groups, env)?,
            };
            feed.push((key, Iterable::in_bundle(values)), groups.stamp())?;
        }
        feed.finish()?;
        Ok(env.reads_all())
    }

    fn shapes(&self, part: GroupPart) -> Option<(Shape, Shape)> {
        Some(match part {
            GroupPart::KeepTimes => (Shape::of::<(K, V)>(), Shape::of::<(K, (Timestamp, V))>()),
            GroupPart::ByTime => {
                let timed = Shape::of::<(K, Iterable<(Timestamp, V)>)>();
                (timed, Shape::of::<(K, Iterable<V>)>())
            }
            _ => return None,
        })
    }

    fn part(
        &self,
        part: GroupPart,
        _: NodeId,
        _: &KeyLayout,
        next: AnyReceiver,
        env: &Env,
    ) -> Result<Option<AnyReceiver>> {
        Ok(Some(match part {
            GroupPart::KeepTimes => {
                AnyReceiver::new::<(K, V)>(KeepTimes::<K, V>::new(next.typed()))
            }
            GroupPart::ByTime => AnyReceiver::new::<(K, Iterable<(Timestamp, V)>)>(
                ByTime::<K, V>::new(next.typed(), env),
            ),
            _ => return Ok(None),
        }))
    }
}

/// The values of the current group, one by one.
fn collect_values(groups: &mut Groups<'_>, env: &Env) -> Result<RawValues> {
    let mut values = env.group_builder();
    while let Some((head, tail)) = groups.next_value()? {
        values.push(head, tail)?;
    }
    values.finish()
}

/// Encodes pairs into a sink, key by key.
pub(super) struct WritePairs<K: Element, V: Element> {
    key_coder: K::Coder,
    value_coder: V::Coder,
    /// The key of a record, and behind it its head.
    row: Vec<u8>,
    layout: KeyLayout,
    sink: Box<dyn RecordSink>,
    env: Env,
}

impl<K: Element, V: Element> WritePairs<K, V> {
    pub(super) fn new(sink: Box<dyn RecordSink>, layout: &KeyLayout, env: &Env) -> Self {
        let (row, layout, env) = (Vec::new(), layout.clone(), env.clone());
        Self { key_coder: K::coder(), value_coder: V::coder(), row, layout, sink, env }
    }
}

impl<K: Element, V: Element> Receiver<(K, V)> for WritePairs<K, V> {
    fn push(&mut self, batch: &mut Batch<(K, V)>) -> Result<()> {
        for (place, (key, value)) in batch.values.drain(..).enumerate() {
            let stamp = batch.times.get(place);
            self.row.clear();
            self.layout.encode(&self.key_coder, &key, stamp, &mut self.row)?;
            let key_bytes = self.row.len();
            if self.layout.carries_times() {
                encode_time(stamp.timestamp, &mut self.row);
            }
            let tail = self.value_coder.encode_shared(&value, &mut self.row)?;
            let (key, head) = self.row.split_at(key_bytes);
            self.sink.put(Record { key, head, tail: &tail })?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.env.leave_sink(self.sink);
        Ok(())
    }
}
