//! Joins of two collections by key.

use std::fmt;
use std::marker::PhantomData;

use dataflow::dofn::DoFnFacts;
use dataflow::prelude::{DoFn, Element, PCollection, PTransform, ParDo, ProcessContext, Result};

use crate::co_group_by_key::CoGroupByKey;
use crate::tagged::TaggedIterable;

/// Bytes of left values that are paired with one pass over the right ones.
const BLOCK_BYTES: usize = 64 << 10;

macro_rules! joins {
    ($($(#[$doc:meta])+ $name:ident ($left:ty, $right:ty) $make:expr;)+) => {$(
        $(#[$doc])+
        ///
        /// Neither side of a key need fit in memory. Cost: the shuffle of both sides, and a pass
        /// over the values of a key for every 64 KiB of its left ones.
        #[derive(Debug, Clone)]
        pub struct $name<K, B>(PCollection<(K, B)>);

        impl<K, B> $name<K, B> {
            /// Joins the collection that it is applied to, the left one, with this one.
            pub fn with(right: &PCollection<(K, B)>) -> Self {
                Self(right.clone())
            }
        }

        impl<K: Element, A: Element, B: Element> PTransform<PCollection<(K, A)>> for $name<K, B> {
            type Output = PCollection<(K, ($left, $right))>;

            fn expand(self, input: PCollection<(K, A)>) -> Self::Output {
                let groups = input.apply(CoGroupByKey::with(&self.0));
                groups.apply(ParDo::of(PairUp::<K, A, B, ($left, $right)> {
                    kind: stringify!($name),
                    pair: $make,
                    of: PhantomData,
                }))
            }
        }
    )+};
}

joins! {
    /// Every left value with every right value of the same key.
    ///
    /// ```
    /// # use dataflow::prelude::{Create, PCollection, Pipeline};
    /// # use basic::InnerJoin;
    /// let pipeline = Pipeline::new();
    /// let names = pipeline.apply(Create::of([(1i64, "ann".to_owned())]));
    /// let ages = pipeline.apply(Create::of([(1i64, 40i64), (2, 50)]));
    /// let both: PCollection<(i64, (String, i64))> = names.apply(InnerJoin::with(&ages));
    /// ```
    InnerJoin (A, B) |a, b| Some((a?, b?));
    /// Every left value with every right value of the same key, or with none if there is none.
    LeftJoin (A, Option<B>) |a, b| Some((a?, b));
    /// Every right value with every left value of the same key, or with none if there is none.
    RightJoin (Option<A>, B) |a, b| Some((a, b?));
    /// Every left value with every right value of the same key; those without a partner alone.
    FullJoin (Option<A>, Option<B>) |a, b| Some((a, b));
}

/// What a join makes of two values, of which one may be missing; nothing if it leaves them out.
type Pair<A, B, P> = fn(Option<A>, Option<B>) -> Option<P>;

struct PairUp<K, A, B, P> {
    kind: &'static str,
    pair: Pair<A, B, P>,
    of: PhantomData<fn(K)>,
}

impl<K, A, B, P> Clone for PairUp<K, A, B, P> {
    fn clone(&self) -> Self {
        Self { kind: self.kind, pair: self.pair, of: PhantomData }
    }
}

impl<K, A, B, P> fmt::Debug for PairUp<K, A, B, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)
    }
}

impl<K: Element, A: Element, B: Element, P: Element> DoFn for PairUp<K, A, B, P> {
    type In = (K, (TaggedIterable<A>, TaggedIterable<B>));
    type Out = (K, P);

    fn process(&mut self, group: Self::In, ctx: &mut ProcessContext<'_, (K, P)>) -> Result<()> {
        let (key, (left, right)) = group;
        let mut put = |a, b| match (self.pair)(a, b) {
            Some(pair) => ctx.output((key.clone(), pair)),
            None => Ok(()),
        };
        let mut lefts = left.iter();
        let mut block = next_block(&mut lefts);
        if block.is_empty() {
            return right.iter().try_for_each(|b| put(None, Some(b)));
        }
        while !block.is_empty() {
            let mut rights = right.iter().peekable();
            if rights.peek().is_none() {
                block.drain(..).try_for_each(|a| put(Some(a), None))?;
            }
            for b in rights {
                block.iter().try_for_each(|a| put(Some(a.clone()), Some(b.clone())))?;
            }
            block = next_block(&mut lefts);
        }
        Ok(())
    }

    fn facts(&self) -> DoFnFacts {
        DoFnFacts::default().with_parameters(self.kind).with_working_bytes(BLOCK_BYTES as u64)
    }
}

/// The next values, as many as a block holds.
fn next_block<A: Element>(values: &mut impl Iterator<Item = A>) -> Vec<A> {
    let (mut block, mut bytes) = (Vec::new(), 0);
    while bytes < BLOCK_BYTES {
        let Some(value) = values.next() else { break };
        bytes += size_of::<A>() + value.heap_bytes();
        block.push(value);
    }
    block
}
