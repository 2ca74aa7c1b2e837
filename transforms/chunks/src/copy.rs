//! Runs planned copies as transforms.

use std::collections::BTreeMap;
use std::sync::Arc;

use array::{ArraySink, ArraySource, Region, WrittenUnit};
use dataflow::cancel::CancelToken;
use dataflow::dofn::{DoFn, DoFnFacts, ProcessContext};
use dataflow::error::Result;
use dataflow::prelude::{
    Flatten, GroupByKey, Impulse, PCollection, PCollectionList, PTransform, ParDo, Pipeline,
    Reshuffle,
};

use crate::hold::HoldArrays;
use crate::plan::{CopyPlan, Strategy};
use crate::pull::{PullUnits, UnitTask};
use crate::shuffle::{ConsolidateChunks, SplitChunks};
use crate::written::Written;

/// One array to be copied, and how.
#[derive(Debug, Clone)]
pub struct PlannedCopy {
    /// The name of the array, for errors and reports.
    pub name: String,
    /// Where the elements come from.
    pub source: Arc<dyn ArraySource>,
    /// Where they go; of the same shape and type.
    pub sink: Arc<dyn ArraySink>,
    /// How.
    pub plan: CopyPlan,
}

/// Units that an earlier run has written, by array and by index.
pub type DoneUnits = BTreeMap<String, BTreeMap<Vec<u64>, WrittenUnit>>;

/// Copies arrays, each by its plan; what comes out is every unit that was written.
#[derive(Debug, Clone)]
pub struct CopyArrays {
    copies: Vec<PlannedCopy>,
    done: Arc<DoneUnits>,
    cancel: CancelToken,
}

impl CopyArrays {
    /// Copies these arrays.
    pub fn new(copies: Vec<PlannedCopy>) -> Self {
        Self { copies, done: Arc::default(), cancel: CancelToken::default() }
    }

    /// Leaves out units that are there already, and what is read for them alone; they come out as
    /// if they were written.
    #[must_use]
    pub fn with_done(mut self, done: DoneUnits) -> Self {
        self.done = Arc::new(done);
        self
    }

    /// Stops long work on one array when this token is cancelled; the runner stops between tasks.
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancelToken) -> Self {
        self.cancel = cancel;
        self
    }
}

impl PTransform<Pipeline> for CopyArrays {
    type Output = PCollection<Written>;

    fn expand(self, pipeline: Pipeline) -> PCollection<Written> {
        let copies = Arc::new(self.copies);
        let done = &self.done;
        let of = |strategy| Copies { all: Arc::clone(&copies), done: Arc::clone(done), strategy };
        let tasks = |name: &str, count: TaskCount, copies: &Copies| {
            let list = ListTasks { copies: copies.clone(), count };
            let listed = pipeline.apply_named(&format!("{name}Impulse"), Impulse);
            let listed = listed.apply_named(&format!("List{name}"), ParDo::of(list));
            listed.apply_named(&format!("Spread{name}"), Reshuffle)
        };
        let mut written = PCollectionList::empty(&pipeline);
        if !self.done.is_empty() {
            let list = ListDone(Arc::clone(&self.done));
            let impulse = pipeline.apply_named("DoneImpulse", Impulse);
            written.push(&impulse.apply_named("ListDone", ParDo::of(list)));
        }
        let pulled = of(Strategy::Pull);
        if pulled.any() {
            let units = tasks("Units", TaskCount::Units, &pulled);
            written.push(&units.apply(ParDo::of(PullUnits::new(pulled))));
        }
        let held = of(Strategy::Hold);
        if held.any() {
            let arrays = tasks("Arrays", TaskCount::One, &held);
            written.push(&arrays.apply(ParDo::of(HoldArrays::new(held, self.cancel))));
        }
        let shuffled = of(Strategy::Shuffle);
        if shuffled.any() {
            let chunks = tasks("Chunks", TaskCount::SourceChunks, &shuffled);
            let pieces = chunks.apply(ParDo::of(SplitChunks::new(shuffled.clone())));
            let groups = pieces.apply(GroupByKey);
            written.push(&groups.apply(ParDo::of(ConsolidateChunks::new(shuffled))));
        }
        written.apply(Flatten)
    }
}

/// The copies of one strategy. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Copies {
    all: Arc<Vec<PlannedCopy>>,
    done: Arc<DoneUnits>,
    strategy: Strategy,
}

impl Copies {
    fn any(&self) -> bool {
        self.iter().next().is_some()
    }

    fn iter(&self) -> impl Iterator<Item = (u32, &PlannedCopy)> {
        let all = self.all.iter().enumerate().map(|(index, copy)| (index as u32, copy));
        all.filter(|(_, copy)| copy.plan.strategy == self.strategy)
    }

    /// The copy of this place among all copies.
    pub(crate) fn get(&self, index: u32) -> &PlannedCopy {
        &self.all[index as usize]
    }

    /// The copy of a task, and the index of its unit.
    pub(crate) fn unit(&self, task: UnitTask) -> (&PlannedCopy, Vec<u64>) {
        let copy = self.get(task.0);
        (copy, copy.sink.facts().units.index_of(task.1))
    }

    /// Whether a unit of a copy is there already.
    pub(crate) fn is_done(&self, copy: &PlannedCopy, unit: &[u64]) -> bool {
        self.done.get(&copy.name).is_some_and(|units| units.contains_key(unit))
    }

    /// How many units of a copy are there already.
    pub(crate) fn done_count(&self, copy: &PlannedCopy) -> usize {
        self.done.get(&copy.name).map_or(0, BTreeMap::len)
    }

    /// Whether all units that a region meets are there already.
    pub(crate) fn is_all_done(&self, copy: &PlannedCopy, region: &Region) -> bool {
        self.done.contains_key(&copy.name) && {
            let mut units = copy.sink.facts().units.chunks_meeting(region);
            units.all(|unit| self.is_done(copy, &unit))
        }
    }

    /// What every task needs at the most, and what makes the plan what it is.
    pub(crate) fn facts(&self) -> DoFnFacts {
        let identity = self.iter().map(|(_, copy)| {
            let facts = copy.sink.facts();
            let (shape, unit) = (&facts.shape, facts.units.largest_chunk());
            let (dtype, chunk) = (facts.dtype, &facts.chunk_shape);
            format!("{:?} {dtype} {shape:?} in {unit:?} of {chunk:?}", copy.name)
        });
        let working_bytes = self.iter().map(|(_, copy)| copy.plan.working_bytes).max();
        DoFnFacts::default()
            .with_parameters(identity.collect::<Vec<_>>().join("; "))
            .with_working_bytes(working_bytes.unwrap_or(0))
    }
}

/// How many tasks a copy is made of.
#[derive(Debug, Clone, Copy)]
enum TaskCount {
    Units,
    SourceChunks,
    One,
}

/// Puts out the units that are there already.
#[derive(Clone)]
struct ListDone(Arc<DoneUnits>);

impl DoFn for ListDone {
    type In = Vec<u8>;
    type Out = Written;

    fn process(&mut self, _: Vec<u8>, ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        for (array, units) in self.0.iter() {
            for (index, unit) in units {
                let WrittenUnit { encoded_bytes, crc32c } = *unit;
                let (array, index) = (array.clone(), index.clone());
                ctx.output(Written { array, index, encoded_bytes, crc32c })?;
            }
        }
        Ok(())
    }
}

/// Puts out the tasks of all copies, in order.
#[derive(Clone)]
struct ListTasks {
    copies: Copies,
    count: TaskCount,
}

impl DoFn for ListTasks {
    type In = Vec<u8>;
    type Out = (u32, u64);

    fn process(&mut self, _: Vec<u8>, ctx: &mut ProcessContext<'_, (u32, u64)>) -> Result<()> {
        let (copies, count) = (&self.copies, self.count);
        copies.iter().try_for_each(|(index, copy)| {
            let tasks = match count {
                TaskCount::Units => copy.sink.facts().units.chunk_count(),
                TaskCount::SourceChunks => copy.source.facts().grid.chunk_count(),
                TaskCount::One => u64::from(copy.sink.facts().units.chunk_count() > 0),
            };
            (0..tasks).try_for_each(|task| ctx.output((index, task)))
        })
    }
}
