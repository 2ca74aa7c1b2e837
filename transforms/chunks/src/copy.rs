//! Runs planned copies as transforms.

use std::collections::BTreeMap;
use std::sync::Arc;

use array::{ArraySink, ArraySource, ChunkGrid, Region, WrittenUnit};
use dataflow::dofn::{DoFn, DoFnFacts, ProcessContext};
use dataflow::error::{Error, Result};
use dataflow::prelude::{
    Flatten, GroupByKey, Impulse, PCollection, PCollectionList, PTransform, ParDo, Pipeline,
    Reshuffle,
};

use crate::moving::{CELLS, GroupTask, MoveCells, MoveRegions};
use crate::passing::PassChunks;
use crate::plan::{CopyPlan, Method};
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
    keeps_going: bool,
}

impl CopyArrays {
    /// Copies these arrays.
    pub fn new(copies: Vec<PlannedCopy>) -> Self {
        Self { copies, done: Arc::default(), keeps_going: false }
    }

    /// Leaves out units that are there already, and what is read for them alone; they come out as
    /// if they were written.
    #[must_use]
    pub fn with_done(mut self, done: DoneUnits) -> Self {
        self.done = Arc::new(done);
        self
    }

    /// Decodes units whose encoded chunks are damaged, of sources that put something in the place
    /// of what they cannot decode.
    #[must_use]
    pub fn with_keep_going(mut self, keeps_going: bool) -> Self {
        self.keeps_going = keeps_going;
        self
    }
}

impl PTransform<Pipeline> for CopyArrays {
    type Output = PCollection<Written>;

    fn expand(self, pipeline: Pipeline) -> PCollection<Written> {
        let copies = Arc::new(self.copies);
        let done = &self.done;
        let of = |way| Copies { all: Arc::clone(&copies), done: Arc::clone(done), way };
        let tasks = |name: &str, copies: &Copies| {
            let list = ListTasks(copies.clone());
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
        let passed = of(Way::Encoded);
        if passed.any() {
            let units = tasks("Units", &passed);
            let pass = PassChunks::new(passed, self.keeps_going);
            written.push(&units.apply(ParDo::of(pass)));
        }
        let moved = of(Way::Groups);
        if moved.any() {
            let groups = tasks("Groups", &moved);
            written.push(&groups.apply(ParDo::of(MoveRegions(moved))));
        }
        let packed = of(Way::Segments);
        if packed.any() {
            let groups = tasks("MapGroups", &packed);
            let mut cells = groups
                .apply(ParDo::of(MoveRegions(packed.clone())).with_output(&CELLS))
                .get(&CELLS);
            let last =
                packed.iter().map(|(_, copy)| copy.task_grids().len() - 1).max().unwrap_or(0);
            for stage in 1..=last {
                let groups = cells.apply_named(&format!("GroupCells{stage}"), GroupByKey);
                let copies = packed.clone();
                let moving = ParDo::of(MoveCells { copies, stage }).with_output(&CELLS);
                let outputs = groups.apply_named(&format!("MoveCells{stage}"), moving);
                written.push(&outputs.main);
                cells = outputs.get(&CELLS);
            }
        }
        written.apply(Flatten)
    }
}

/// How tasks of a copy are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// As they are encoded, from the source to the target.
    Encoded,
    /// From the source to the target.
    Groups,
    /// In stages, by way of segments.
    Segments,
}

impl PlannedCopy {
    fn way(&self) -> Way {
        match &self.plan.method {
            Method::Passthrough => Way::Encoded,
            Method::Packed { .. } => Way::Segments,
            _ => Way::Groups,
        }
    }

    /// The tasks of each stage.
    pub(crate) fn task_grids(&self) -> Vec<ChunkGrid> {
        self.plan.method.task_grids(&self.sink.facts().units)
    }

    /// The name of the array and the elements, for errors that do not say them.
    pub(crate) fn locate(&self, error: Error, region: &Region) -> Error {
        error.at("variable", &self.name).at("elements", region)
    }
}

/// The copies that run in one way. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Copies {
    all: Arc<Vec<PlannedCopy>>,
    done: Arc<DoneUnits>,
    way: Way,
}

impl Copies {
    fn any(&self) -> bool {
        self.iter().next().is_some()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &PlannedCopy)> {
        let all = self.all.iter().enumerate().map(|(index, copy)| (index as u32, copy));
        all.filter(|(_, copy)| copy.way() == self.way)
    }

    /// The copy of this place among all copies.
    pub(crate) fn get(&self, index: u32) -> &PlannedCopy {
        &self.all[index as usize]
    }

    /// Whether a unit of a copy is there already.
    pub(crate) fn is_done(&self, copy: &PlannedCopy, unit: &[u64]) -> bool {
        self.done.get(&copy.name).is_some_and(|units| units.contains_key(unit))
    }

    /// Whether nothing of a region is needed any more: all units are there already that the groups
    /// write which it meets in the last stage.
    pub(crate) fn is_all_done(&self, copy: &PlannedCopy, region: &Region) -> bool {
        let are_done = |region: &Region| {
            let mut units = copy.sink.facts().units.chunks_meeting(region);
            units.all(|unit| self.is_done(copy, &unit))
        };
        self.done.contains_key(&copy.name)
            && match copy.task_grids().as_slice() {
                [.., _, last] => {
                    last.chunks_meeting(region).all(|group| are_done(&last.region(&group)))
                }
                _ => are_done(region),
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
        let working_bytes = self.iter().map(|(_, copy)| copy.plan.costs.peak_bytes).max();
        DoFnFacts::default()
            .with_parameters(identity.collect::<Vec<_>>().join("; "))
            .with_working_bytes(working_bytes.unwrap_or(0))
    }
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
struct ListTasks(Copies);

impl DoFn for ListTasks {
    type In = Vec<u8>;
    type Out = GroupTask;

    fn process(&mut self, _: Vec<u8>, ctx: &mut ProcessContext<'_, GroupTask>) -> Result<()> {
        self.0.iter().try_for_each(|(index, copy)| {
            let tasks = copy.task_grids().first().map_or(0, ChunkGrid::chunk_count);
            (0..tasks).try_for_each(|task| ctx.output((index, task)))
        })
    }
}
