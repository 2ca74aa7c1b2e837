//! The part of a combine that comes after the shuffle: one value for every group.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::coder::{Coder, Preview};
use crate::combine::{CombineFn, LiveCombineFn};
use crate::element::Element;
use crate::error::Result;
use crate::graph::feed::Feed;
use crate::graph::{ElementPlace, Env, Groups, NodeId, Noted, Shown};

/// Combines groups of values, or of what was accumulated of them before.
pub(super) struct CombineGroups<'a, K: Element, C: CombineFn> {
    pub(super) node: NodeId,
    pub(super) function: LiveCombineFn<C>,
    pub(super) is_lifted: bool,
    pub(super) keys: K::Coder,
    pub(super) values: <C::In as Element>::Coder,
    pub(super) accumulators: <C::Acc as Element>::Coder,
    pub(super) env: &'a Env,
}

impl<K: Element, C: CombineFn> CombineGroups<'_, K, C> {
    /// Reads at most `limit` groups and pushes what they give; whether more may come.
    pub(super) fn read(
        self,
        groups: &mut Groups<'_>,
        limit: usize,
        mut feed: Feed<'_, (K, C::Out)>,
    ) -> Result<bool> {
        for _ in 0..self.env.skip() {
            groups.next_group()?;
        }
        let start = self.env.progress().done;
        let mut may_have_more = self.env.reads_all();
        for ordinal in 0..limit.min(self.env.span_limit()) as u64 {
            if !groups.next_group()? {
                may_have_more = false;
                break;
            }
            self.group(groups, ElementPlace { node: self.node, start, ordinal }, &mut feed)?;
        }
        self.function.end();
        feed.finish()?;
        Ok(may_have_more)
    }

    /// Combines the current group and pushes its value, unless it is left out.
    fn group(
        &self,
        groups: &mut Groups<'_>,
        place: ElementPlace,
        feed: &mut Feed<'_, (K, C::Out)>,
    ) -> Result<()> {
        let key = groups.key(&self.keys)?;
        if self.env.leaves_out(place, || shown(&key))? {
            return feed.pass_over();
        }
        let noted = || Noted { place: Some(place), shown: Some(shown(&key)) };
        let note = || self.env.note_element(self.node, Some(noted()));
        let combined = noting(|| self.combine(groups), note)?;
        feed.push((key, combined), groups.stamp())
    }

    /// The value of the current group.
    fn combine(&self, groups: &mut Groups<'_>) -> Result<C::Out> {
        let mut accumulator = self.function.create();
        while let Some((head, tail)) = groups.next_value()? {
            if self.is_lifted {
                let other = self.accumulators.decode_shared(head, tail.clone())?;
                self.function.merge(&mut accumulator, other);
            } else {
                let value = self.values.decode_shared(head, tail.clone())?;
                self.function.add(&mut accumulator, value);
            }
        }
        Ok(self.function.extract(accumulator))
    }
}

/// Runs `work`; if it panics, `note` is called before the panic goes on.
///
/// So a panic in a combine function names its key, which no second attempt could find: it depends
/// on all the values before.
pub(super) fn noting<R>(work: impl FnOnce() -> R, note: impl FnOnce()) -> R {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        note();
        resume_unwind(panic)
    })
}

/// A group is shown by its key.
pub(super) fn shown<K: Element>(key: &K) -> Shown {
    let mut preview = Preview::default();
    K::coder().preview(key, &mut preview);
    let preview = preview.finish();
    Shown { key: Some(preview.clone()), preview }
}
