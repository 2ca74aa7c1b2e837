//! Grouping by time where a foreign runner groups: it keeps no order, so times travel with values.

use crate::coder::Coder;
use crate::element::Element;
use crate::error::Result;
use crate::graph::Env;
use crate::receiver::{Batch, OutputBuffer, Receiver};
use crate::shuffle::{
    EdgeId, EdgeOrder, InProcessShuffle, Iterable, RawValues, Record, ShuffleStore,
};
use crate::time::Timestamp;
use crate::window::encode_time;

/// Larger groups are sorted as the shuffle sorts, through spill files where memory is refused.
const SMALL_GROUP: u64 = 1024;

/// Puts the time of every pair before its value.
pub(super) struct KeepTimes<K: Element, V: Element>(OutputBuffer<(K, (Timestamp, V))>);

impl<K: Element, V: Element> KeepTimes<K, V> {
    pub(super) fn new(next: Box<dyn Receiver<(K, (Timestamp, V))>>) -> Self {
        Self(OutputBuffer::new(next))
    }
}

impl<K: Element, V: Element> Receiver<(K, V)> for KeepTimes<K, V> {
    fn push(&mut self, batch: &mut Batch<(K, V)>) -> Result<()> {
        for (place, (key, value)) in batch.values.drain(..).enumerate() {
            let stamp = batch.times.get(place);
            self.0.push_with((key, (stamp.timestamp, value)), stamp)?;
        }
        self.0.flush()
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.0.finish()
    }
}

/// Values of a key with their times.
type Timed<V> = Iterable<(Timestamp, V)>;

/// Sorts the values of every group by the times before them, and takes these off.
pub(super) struct ByTime<K: Element, V: Element> {
    coder: V::Coder,
    out: OutputBuffer<(K, Iterable<V>)>,
    env: Env,
}

impl<K: Element, V: Element> ByTime<K, V> {
    pub(super) fn new(next: Box<dyn Receiver<(K, Iterable<V>)>>, env: &Env) -> Self {
        Self { coder: V::coder(), out: OutputBuffer::new(next), env: env.clone() }
    }

    fn sorted(&self, values: &Timed<V>) -> Result<RawValues> {
        let mut sorted = self.env.group_builder();
        let mut head = Vec::new();
        if values.len() <= SMALL_GROUP {
            let mut values: Vec<(Timestamp, V)> = values.try_iter().collect::<Result<_>>()?;
            values.sort_by_key(|(time, _)| *time);
            for (_, value) in &values {
                head.clear();
                let tail = self.coder.encode_shared(value, &mut head)?;
                sorted.push(&head, &tail)?;
            }
            return sorted.finish();
        }
        let edge = EdgeId(0);
        let store = InProcessShuffle::new(self.env.budget.clone(), self.env.scratch.clone());
        store.declare(edge, EdgeOrder::ByKey, 1);
        let mut sink = store.sink(edge)?;
        let mut key = Vec::new();
        for item in values.try_iter() {
            let (time, value) = item?;
            key.clear();
            head.clear();
            encode_time(time, &mut key);
            let tail = self.coder.encode_shared(&value, &mut head)?;
            sink.put(Record { key: &key, head: &head, tail: &tail })?;
        }
        sink.finish()?.commit()?;
        let mut records = store.records(edge, 0)?;
        while records.advance()? {
            let Record { head, tail, .. } = records.record();
            sorted.push(head, tail)?;
        }
        sorted.finish()
    }
}

impl<K: Element, V: Element> Receiver<(K, Timed<V>)> for ByTime<K, V> {
    fn push(&mut self, batch: &mut Batch<(K, Timed<V>)>) -> Result<()> {
        let groups = std::mem::take(&mut batch.values);
        for (place, (key, values)) in groups.into_iter().enumerate() {
            let sorted = Iterable::in_bundle(self.sorted(&values)?);
            self.out.push_with((key, sorted), batch.times.get(place))?;
        }
        self.out.flush()
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.out.finish()
    }
}
