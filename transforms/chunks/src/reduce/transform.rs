//! Reduce: a collection of chunks over dimensions or by groups.

use std::collections::BTreeMap;
use std::fmt;

use array::{DatasetChunk, Key};
use dataflow::combine::Accuracy;
use dataflow::dofn::{DoFn, DoFnFacts, ProcessContext};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::prelude::{CombinePerKey, GroupByKey, Iterable, PCollection, PTransform, ParDo};

use crate::reduce::combine::MergePartials;
use crate::reduce::fanout::Fanout;
use crate::reduce::groups::Groups;
use crate::reduce::partial::{Over, Partial, bytes_of, finish, merge, partials};
use crate::reduce::reducer::Reducer;
use crate::room::Room;

/// Reduces chunks over dimensions, each with all others that differ in those dimensions only.
///
/// Keys lose the offsets of dimensions that are reduced. With [`by`](Self::by), elements along a
/// dimension are reduced by groups instead, such as the months of a climatology: each group is a
/// chunk of length one along the new dimensions. Chunks may be cut in any way along what is reduced.
///
/// Results are the same to the bit for all runners, bundles and budgets: what depends on the order
/// of merging is merged in the order of keys. Memory: partials of one result that have come out of
/// order, besides the result.
///
/// ```
/// use chunks::{Reduce, Reduction};
/// let mean = Reduce::with(Reduction::mean()).over(["time"]);
/// let greatest = Reduce::with(Reduction::max().with_skipna(false)).over(["lat", "lon"]);
/// ```
#[derive(Clone)]
pub struct Reduce<R> {
    reducer: R,
    over: Over,
    fanout: Option<Fanout>,
    room: Room,
}

impl<R: Reducer> Reduce<R> {
    /// Reduces with this function; over no dimension until one is named.
    pub fn with(reducer: R) -> Self {
        Self { reducer, over: Over::default(), fanout: None, room: Room::default() }
    }

    /// Reduces over these dimensions.
    #[must_use]
    pub fn over<S: Into<String>>(mut self, dimensions: impl IntoIterator<Item = S>) -> Self {
        for dimension in dimensions.into_iter().map(Into::into) {
            if !self.over.has(&dimension) {
                self.over.dimensions.push(dimension);
            }
        }
        self
    }

    /// Reduces by groups along their dimension.
    #[must_use]
    pub fn by(mut self, groups: Groups) -> Self {
        self = self.over([groups.dimension()]);
        self.over.groups = Some(groups);
        self
    }

    /// Merges in steps, a few partials at a time, where there are many chunks.
    ///
    /// Sums of floats differ by rounding from those that are merged in one step.
    #[must_use]
    pub fn with_fanout(mut self, fanout: Fanout) -> Self {
        self.fanout = Some(fanout);
        self
    }

    /// Says how many bytes of partials are held at the most, 32 MiB if not said.
    ///
    /// More are asked for while a bundle runs, and if that is refused the run ends.
    #[must_use]
    pub fn with_chunk_bytes(mut self, bytes: u64) -> Self {
        self.room = Room::of(bytes);
        self
    }
}

impl<R: Reducer> PTransform<PCollection<(Key, DatasetChunk)>> for Reduce<R> {
    type Output = PCollection<(Key, DatasetChunk)>;

    fn name(&self) -> String {
        "Reduce".to_owned()
    }

    fn expand(self, input: PCollection<(Key, DatasetChunk)>) -> Self::Output {
        let Self { reducer, over, fanout, room } = self;
        let start = StartFn { reducer: reducer.clone(), over };
        let partials = input.apply_named("Start", ParDo::of(start));
        let merged = if reducer.accuracy() == Accuracy::Exact {
            let unordered = partials.apply_named("Unordered", ParDo::of(DropOrder));
            unordered.apply(CombinePerKey::of(MergePartials { reducer: reducer.clone() }))
        } else {
            let mut partials = partials;
            for (place, bin) in binned(fanout.as_ref()) {
                let bin = BinFn { fanout: fanout.clone(), width: bin };
                let bins = partials.apply_named(&format!("Bin{place}"), ParDo::of(bin));
                let merge = MergeBins { reducer: reducer.clone(), room };
                let bins = bins.apply_named(&format!("GroupBins{place}"), GroupByKey);
                partials = bins.apply_named(&format!("MergeBins{place}"), ParDo::of(merge));
            }
            let merge = MergeInOrder { reducer: reducer.clone(), room };
            partials.apply(GroupByKey).apply_named("Merge", ParDo::of(merge))
        };
        merged.apply_named("Finish", ParDo::of(FinishFn { reducer }))
    }
}

impl<R> fmt::Debug for Reduce<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reduce").field("over", &self.over).finish_non_exhaustive()
    }
}

/// The widths of bins, in chunks, for all steps but the last.
fn binned(fanout: Option<&Fanout>) -> Vec<(usize, u64)> {
    let bins = fanout.map_or(&[][..], Fanout::bins);
    let Some((_, steps)) = bins.split_last() else { return Vec::new() };
    let widths = steps.iter().scan(1u64, |width, bin| {
        *width = width.saturating_mul(*bin);
        Some(*width)
    });
    widths.enumerate().collect()
}

/// A partial under the key of its result, with the key of the first chunk that is in it.
type Placed = (Key, (Key, Partial));

/// Reduces each chunk by itself.
#[derive(Clone)]
struct StartFn<R> {
    reducer: R,
    over: Over,
}

impl<R: Reducer> DoFn for StartFn<R> {
    type In = (Key, DatasetChunk);
    type Out = Placed;

    fn process(&mut self, keyed: Self::In, ctx: &mut ProcessContext<'_, Placed>) -> Result<()> {
        let (key, chunk) = keyed;
        for (result, partial) in partials(&self.reducer, &self.over, &key, &chunk)? {
            ctx.output((result, (key.clone(), partial)))?;
        }
        Ok(())
    }

    fn facts(&self) -> DoFnFacts {
        let parameters = format!("{} {:?}", self.reducer.parameters(), self.over);
        DoFnFacts::default().with_parameters(parameters)
    }
}

#[derive(Clone)]
struct DropOrder;

impl DoFn for DropOrder {
    type In = Placed;
    type Out = (Key, Partial);

    fn process(&mut self, placed: Placed, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let (result, (_, partial)) = placed;
        ctx.output((result, partial))
    }
}

/// Puts partials that follow each other into one bin.
#[derive(Clone)]
struct BinFn {
    fanout: Option<Fanout>,
    width: u64,
}

impl DoFn for BinFn {
    type In = Placed;
    type Out = ((Key, u64), (Key, Partial));

    fn process(&mut self, placed: Placed, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let (result, (key, partial)) = placed;
        let index = self.fanout.as_ref().map_or(0, |fanout| fanout.index_of(&key));
        ctx.output(((result, index / self.width.max(1)), (key, partial)))
    }

    fn facts(&self) -> DoFnFacts {
        DoFnFacts::default().with_parameters(format!("{:?} {}", self.fanout, self.width))
    }
}

#[derive(Clone)]
struct MergeBins<R> {
    reducer: R,
    room: Room,
}

impl<R: Reducer> DoFn for MergeBins<R> {
    type In = ((Key, u64), Iterable<(Key, Partial)>);
    type Out = Placed;

    fn process(&mut self, group: Self::In, ctx: &mut ProcessContext<'_, Placed>) -> Result<()> {
        let ((result, _), parts) = group;
        let merged = merge_in_order(&self.reducer, self.room, &parts, ctx);
        let merged = merged.map_err(|error| error.at("chunk", &result))?;
        ctx.output((result, merged))
    }

    fn facts(&self) -> DoFnFacts {
        self.room.facts().with_parameters(self.reducer.parameters())
    }
}

#[derive(Clone)]
struct MergeInOrder<R> {
    reducer: R,
    room: Room,
}

impl<R: Reducer> DoFn for MergeInOrder<R> {
    type In = (Key, Iterable<(Key, Partial)>);
    type Out = (Key, Partial);

    fn process(&mut self, group: Self::In, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let (result, parts) = group;
        let merged = merge_in_order(&self.reducer, self.room, &parts, ctx);
        let (_, partial) = merged.map_err(|error| error.at("chunk", &result))?;
        ctx.output((result, partial))
    }

    fn facts(&self) -> DoFnFacts {
        self.room.facts().with_parameters(self.reducer.parameters())
    }
}

/// Merges partials in the order of their keys; the first key stands for all.
///
/// A partial whose turn has not come waits: that is what memory is held for.
fn merge_in_order<R: Reducer, Out: dataflow::Element>(
    reducer: &R,
    room: Room,
    parts: &Iterable<(Key, Partial)>,
    ctx: &ProcessContext<'_, Out>,
) -> Result<(Key, Partial)> {
    let keys = parts.try_iter().map(|part| part.map(|(key, _)| key));
    let mut keys: Vec<Key> = keys.collect::<Result<_>>()?;
    keys.sort_unstable();
    if let Some(twice) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
        let message = format!("two chunks have the key {}, and would count twice", twice[0]);
        let error = Error::new(ErrorCode::NOT_ASCENDING, ErrorKind::Conflict, message);
        return Err(error.mend("give each chunk a key of its own"));
    }
    let Some(first) = keys.first().cloned() else {
        return Err(Error::internal("a group of no partial is merged"));
    };
    let mut waiting: BTreeMap<Key, Partial> = BTreeMap::new();
    let (mut held, mut bytes) = (ctx.hold(), 0);
    let mut merged = Partial::new();
    let mut turns = keys.iter().peekable();
    for part in parts.try_iter() {
        let (key, partial) = part?;
        bytes += bytes_of(&partial);
        room.grow(&mut held, bytes)?;
        waiting.insert(key, partial);
        while let Some(turn) = turns.peek()
            && let Some(partial) = waiting.remove(turn)
        {
            bytes -= bytes_of(&partial);
            merge(reducer, &mut merged, partial)?;
            turns.next();
        }
    }
    Ok((first, merged))
}

/// Makes results of what was merged.
#[derive(Clone)]
struct FinishFn<R> {
    reducer: R,
}

impl<R: Reducer> DoFn for FinishFn<R> {
    type In = (Key, Partial);
    type Out = (Key, DatasetChunk);

    fn process(&mut self, merged: Self::In, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let (result, partial) = merged;
        let chunk = finish(&self.reducer, partial).map_err(|error| error.at("chunk", &result))?;
        ctx.output((result, chunk))
    }

    fn facts(&self) -> DoFnFacts {
        DoFnFacts::default().with_parameters(self.reducer.parameters())
    }
}
