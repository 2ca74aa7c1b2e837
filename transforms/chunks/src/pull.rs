//! Pull: each target unit reads the source regions that it needs.

use array::{ArrayBuffer, Fetched, Placement, Region};
use dataflow::dofn::{BundleState, DoFn, DoFnFacts, ProcessContext};
use dataflow::error::{Error, Result};

use crate::copy::{Copies, PlannedCopy};
use crate::write_behind::WriteBehind;
use crate::written::Written;

/// A unit of one copy: which copy, and the place of the unit in C order.
pub(crate) type UnitTask = (u32, u64);

/// Reads, encodes and writes target units.
///
/// While one unit is decoded the next is being fetched, and the last may still be on its way to
/// the store: the thread computes as long as there is something to compute.
#[derive(Clone)]
pub(crate) struct PullUnits {
    copies: Copies,
    state: BundleState<State>,
}

/// What is under way in a bundle.
#[derive(Default)]
struct State {
    fetching: Option<(UnitTask, Box<dyn Fetched>)>,
    writing: WriteBehind,
}

impl PullUnits {
    pub(crate) fn new(copies: Copies) -> Self {
        Self { copies, state: BundleState::default() }
    }

    /// Decodes and writes what was fetched.
    fn complete(&mut self, ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        let Some((task, fetched)) = self.state.get().fetching.take() else { return Ok(()) };
        let (copy, unit) = self.copies.unit(task);
        let region = copy.sink.facts().units.region(&unit);
        let write = || {
            let mut buffer = ArrayBuffer::zeroed(copy.source.facts().dtype, &region.shape());
            let at = vec![0; region.rank()];
            fetched.decode(&mut [Placement { into: &mut buffer, at }])?;
            copy.sink.write(&unit, &buffer.freeze()?)
        };
        let writing = write().map_err(|error| copy.locate(error, &region))?;
        let unit_bytes = region.element_count() * copy.sink.facts().dtype.estimated_bytes();
        let behind = &mut self.state.get().writing;
        behind.push(&copy.name, unit, writing, unit_bytes / 2)?;
        behind.put_out(ctx)
    }
}

impl DoFn for PullUnits {
    type In = UnitTask;
    type Out = Written;

    fn process(&mut self, task: UnitTask, ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        let (copy, unit) = self.copies.unit(task);
        if self.copies.is_done(copy, &unit) {
            return Ok(());
        }
        let region = copy.sink.facts().units.region(&unit);
        let next = copy.source.fetch(std::slice::from_ref(&region));
        let next = next.map_err(|error| copy.locate(error, &region))?;
        self.complete(ctx)?;
        self.state.get().fetching = Some((task, next));
        Ok(())
    }

    fn finish_bundle(&mut self, ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        self.complete(ctx)?;
        let behind = &mut self.state.get().writing;
        behind.finish()?;
        behind.put_out(ctx)
    }

    fn facts(&self) -> DoFnFacts {
        self.copies.facts()
    }
}

impl PlannedCopy {
    /// The name of the array and the elements, for errors that do not say them.
    pub(crate) fn locate(&self, error: Error, region: &Region) -> Error {
        error.at("variable", &self.name).at("elements", region)
    }
}
