//! Pull: each target unit reads the source regions that it needs.

use std::collections::VecDeque;

use array::{ArrayBuffer, Fetched, Placement, Region, Writing};
use dataflow::dofn::{BundleState, DoFn, DoFnFacts, ProcessContext};
use dataflow::error::{Error, Result};

use crate::copy::{Copies, PlannedCopy};
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
        self.state.get().writing.push(copy.name.clone(), unit, writing, unit_bytes / 2, ctx)
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
        self.state.get().writing.finish(ctx)
    }

    fn facts(&self) -> DoFnFacts {
        self.copies.facts()
    }
}

/// Units on their way to the store, no more than so many bytes at once.
#[derive(Default)]
pub(crate) struct WriteBehind {
    pending: VecDeque<(Written, Box<dyn Writing>)>,
    pending_bytes: u64,
}

impl WriteBehind {
    /// Adds a unit, and waits for the oldest ones while more than `limit_bytes` are pending.
    pub(crate) fn push(
        &mut self,
        array: String,
        index: Vec<u64>,
        writing: Box<dyn Writing>,
        limit_bytes: u64,
        ctx: &mut ProcessContext<'_, Written>,
    ) -> Result<()> {
        let encoded_bytes = writing.encoded_bytes();
        self.pending_bytes += encoded_bytes;
        let unit = Written { array, index, encoded_bytes, crc32c: 0 };
        self.pending.push_back((unit, writing));
        while self.pending_bytes > limit_bytes && !self.pending.is_empty() {
            self.wait_for_oldest(ctx)?;
        }
        Ok(())
    }

    /// Waits for all.
    pub(crate) fn finish(&mut self, ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        while !self.pending.is_empty() {
            self.wait_for_oldest(ctx)?;
        }
        Ok(())
    }

    fn wait_for_oldest(&mut self, ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        let Some((unit, writing)) = self.pending.pop_front() else { return Ok(()) };
        let array = unit.array.clone();
        let written = writing.wait().map_err(|error| {
            error.at("variable", &array).at("chunk", format_args!("{:?}", unit.index))
        })?;
        self.pending_bytes -= unit.encoded_bytes;
        ctx.count("units_written", 1);
        ctx.count("bytes_written", written.encoded_bytes);
        let (encoded_bytes, crc32c) = (written.encoded_bytes, written.crc32c);
        ctx.output(Written { encoded_bytes, crc32c, ..unit })
    }
}

/// A bundle that fails waits for what it has started: a write that comes to its end later would
/// put an object back after the store was cleared.
impl Drop for WriteBehind {
    fn drop(&mut self) {
        for (_, writing) in self.pending.drain(..) {
            drop(writing.wait());
        }
    }
}

impl PlannedCopy {
    /// The name of the array and the elements, for errors that do not say them.
    pub(crate) fn locate(&self, error: Error, region: &Region) -> Error {
        error.at("variable", &self.name).at("elements", region)
    }
}
