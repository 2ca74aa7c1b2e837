//! The values of each key, in batches.

use std::marker::PhantomData;
use std::num::{NonZeroU64, NonZeroUsize};

use dataflow::coder::{Coder, Context};
use dataflow::dofn::DoFnFacts;
use dataflow::prelude::{
    DoFn, Element, GroupByKey, Iterable, PCollection, PTransform, ParDo, ProcessContext, Result,
};

/// Every key with its values in batches that are no larger than allowed.
///
/// All batches of a key but the last are full: a value that is put off would have made the batch
/// too large. A value that is too large by itself has a batch of its own. Which values share a
/// batch is not said, since the values of a key have no order. One batch must fit in memory, all
/// values of a key need not.
///
/// ```
/// # use std::num::NonZeroUsize;
/// # use dataflow::prelude::{Create, PCollection, Pipeline};
/// # use basic::GroupIntoBatches;
/// let pairs = Pipeline::new().apply(Create::of((0..10i64).map(|n| (n % 2, n))));
/// let three = NonZeroUsize::new(3).expect("not zero");
/// let batches: PCollection<(i64, Vec<i64>)> = pairs.apply(GroupIntoBatches::of_size(three));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct GroupIntoBatches {
    max_count: Option<NonZeroUsize>,
    max_bytes: Option<NonZeroU64>,
}

impl GroupIntoBatches {
    /// Batches of at most so many values.
    pub const fn of_size(max_count: NonZeroUsize) -> Self {
        Self { max_count: Some(max_count), max_bytes: None }
    }

    /// Batches of values whose encodings have at most so many bytes together.
    pub const fn of_byte_size(max_bytes: NonZeroU64) -> Self {
        Self { max_count: None, max_bytes: Some(max_bytes) }
    }

    /// Bounds the values of a batch too.
    #[must_use]
    pub const fn with_max_count(mut self, max_count: NonZeroUsize) -> Self {
        self.max_count = Some(max_count);
        self
    }

    /// Bounds the bytes of a batch too.
    #[must_use]
    pub const fn with_max_bytes(mut self, max_bytes: NonZeroU64) -> Self {
        self.max_bytes = Some(max_bytes);
        self
    }
}

impl<K: Element, V: Element> PTransform<PCollection<(K, V)>> for GroupIntoBatches
where
    Vec<V>: Element,
{
    type Output = PCollection<(K, Vec<V>)>;

    fn expand(self, input: PCollection<(K, V)>) -> Self::Output {
        input.apply(GroupByKey).apply(ParDo::of(CutBatches { limits: self, of: PhantomData }))
    }
}

struct CutBatches<K, V> {
    limits: GroupIntoBatches,
    of: PhantomData<fn(K, V)>,
}

impl<K, V> Clone for CutBatches<K, V> {
    fn clone(&self) -> Self {
        Self { limits: self.limits, of: PhantomData }
    }
}

impl<K: Element, V: Element> DoFn for CutBatches<K, V>
where
    Vec<V>: Element,
{
    type In = (K, Iterable<V>);
    type Out = (K, Vec<V>);

    fn process(&mut self, group: Self::In, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let (key, values) = group;
        let max_count = self.limits.max_count.map_or(usize::MAX, NonZeroUsize::get);
        let (coder, mut encoding) = (V::coder(), Vec::new());
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for value in &values {
            let mut value_bytes = 0;
            if let Some(max_bytes) = self.limits.max_bytes {
                encoding.clear();
                coder.encode(&value, Context::Outer, &mut encoding)?;
                value_bytes = encoding.len() as u64;
                if bytes + value_bytes > max_bytes.get() && !batch.is_empty() {
                    bytes = 0;
                    ctx.output((key.clone(), std::mem::take(&mut batch)))?;
                }
            }
            bytes += value_bytes;
            batch.push(value);
            if batch.len() == max_count {
                bytes = 0;
                ctx.output((key.clone(), std::mem::take(&mut batch)))?;
            }
        }
        if batch.is_empty() { Ok(()) } else { ctx.output((key, batch)) }
    }

    fn facts(&self) -> DoFnFacts {
        let GroupIntoBatches { max_count, max_bytes } = self.limits;
        DoFnFacts::default().with_parameters(format!("count {max_count:?} bytes {max_bytes:?}"))
    }
}
