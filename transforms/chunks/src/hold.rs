//! Hold: the whole array is held, and every source chunk is read once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use array::{ArrayBuffer, Chunk, Fetched, Placement, Region};
use dataflow::cancel::CancelToken;
use dataflow::dofn::{DoFn, DoFnFacts, ProcessContext};
use dataflow::error::{Error, Result};

use crate::copy::{Copies, PlannedCopy};
use crate::written::Written;

/// Ranges of source chunks for each thread: uneven ones are evened out by taking the next.
const RANGES_A_THREAD: u64 = 4;

/// Copies whole arrays, each as one task that uses all threads of the runner.
#[derive(Clone)]
pub(crate) struct HoldArrays {
    copies: Copies,
    cancel: CancelToken,
}

impl HoldArrays {
    /// Holds these arrays; one is long work, which stops when `cancel` says so.
    pub(crate) fn new(copies: Copies, cancel: CancelToken) -> Self {
        Self { copies, cancel }
    }
}

impl DoFn for HoldArrays {
    type In = (u32, u64);
    type Out = Written;

    fn process(&mut self, task: (u32, u64), ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        let held = HeldArray::new(&self.copies, self.copies.get(task.0), &self.cancel);
        let chunk_count = held.copy.source.facts().grid.chunk_count();
        let range_count = rayon::current_num_threads() as u64 * RANGES_A_THREAD;
        let range_count = range_count.min(chunk_count).max(1);
        let bound = |range: u64| chunk_count * range / range_count;
        rayon::scope(|scope| {
            for range in 0..range_count {
                let held = &held;
                scope.spawn(move |scope| {
                    let taken = held.take_chunks(bound(range)..bound(range + 1), scope);
                    held.keep_error(taken);
                });
            }
        });
        for unit in held.finish()? {
            ctx.count("units_written", 1);
            ctx.count("bytes_written", unit.encoded_bytes);
            ctx.output(unit)?;
        }
        Ok(())
    }

    fn facts(&self) -> DoFnFacts {
        self.copies.facts()
    }
}

/// An array of which all units are in memory; a buffer is made when its first element comes.
struct HeldArray<'a> {
    copies: &'a Copies,
    copy: &'a PlannedCopy,
    cancel: &'a CancelToken,
    slots: Vec<Mutex<Slot>>,
    outcome: Mutex<Result<Vec<Written>>>,
}

struct Slot {
    buffer: Option<ArrayBuffer>,
    /// Elements that are still missing.
    missing: u64,
}

impl<'a> HeldArray<'a> {
    fn new(copies: &'a Copies, copy: &'a PlannedCopy, cancel: &'a CancelToken) -> Self {
        let grid = &copy.sink.facts().units;
        let slots = (0..grid.chunk_count()).map(|unit| {
            let missing = grid.region(&grid.index_of(unit)).element_count();
            Mutex::new(Slot { buffer: None, missing })
        });
        let outcome = Mutex::new(Ok(Vec::new()));
        Self { copies, copy, cancel, slots: slots.collect(), outcome }
    }

    /// Reads neighbouring source chunks; while one is decoded, the next is being fetched.
    fn take_chunks<'s>(
        &'s self,
        chunks: std::ops::Range<u64>,
        scope: &rayon::Scope<'s>,
    ) -> Result<()> {
        let grid = &self.copy.source.facts().grid;
        let region_of = |chunk: u64| grid.region(&grid.index_of(chunk));
        // The next chunk that some unit still needs.
        let needed = |chunks: std::ops::Range<u64>| {
            let mut chunks = chunks.into_iter();
            chunks.find(|&chunk| !self.copies.is_all_done(self.copy, &region_of(chunk)))
        };
        let fetch = |chunk: u64| {
            let region = region_of(chunk);
            let fetched = self.copy.source.fetch(std::slice::from_ref(&region));
            let located = fetched.map_err(|error| self.copy.locate(error, &region));
            located.map(|fetched| (chunk, region, fetched))
        };
        let mut next = needed(chunks.clone()).map(fetch).transpose()?;
        while let Some((chunk, region, fetched)) = next.take() {
            self.cancel.check()?;
            if self.lock().is_err() {
                break;
            }
            next = needed(chunk + 1..chunks.end).map(fetch).transpose()?;
            let taken = self.take_chunk(&region, fetched, scope);
            taken.map_err(|error| self.copy.locate(error, &region))?;
        }
        Ok(())
    }

    /// Spreads a chunk over the units that it meets; those that are complete are written.
    fn take_chunk<'s>(
        &'s self,
        region: &Region,
        fetched: Box<dyn Fetched>,
        scope: &rayon::Scope<'s>,
    ) -> Result<()> {
        let mut buffer = ArrayBuffer::zeroed(self.copy.source.facts().dtype, &region.shape());
        let at = vec![0; region.rank()];
        fetched.decode(&mut [Placement { into: &mut buffer, at }])?;
        let chunk = buffer.freeze()?;
        for unit in self.copy.sink.facts().units.chunks_meeting(region) {
            if self.copies.is_done(self.copy, &unit) {
                continue;
            }
            if let Some(complete) = self.put(&unit, region, &chunk)? {
                scope.spawn(move |_| self.keep_error(self.write(&unit, complete)));
            }
        }
        Ok(())
    }

    /// Copies what a chunk has of a unit; the whole unit once nothing is missing.
    fn put(&self, unit: &[u64], region: &Region, chunk: &Chunk) -> Result<Option<ArrayBuffer>> {
        let grid = &self.copy.sink.facts().units;
        let unit_region = grid.region(unit);
        let Some(common) = unit_region.intersection(region) else { return Ok(None) };
        let slot = &self.slots[grid.linear_index(unit) as usize];
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || ArrayBuffer::zeroed(chunk.dtype(), &unit_region.shape());
        let buffer = slot.buffer.get_or_insert_with(new);
        let part = common.relative_to(&region.start());
        buffer.write(&common.offset_in(&unit_region), chunk, &part)?;
        slot.missing -= common.element_count();
        Ok(if slot.missing == 0 { slot.buffer.take() } else { None })
    }

    fn write(&self, unit: &[u64], complete: ArrayBuffer) -> Result<()> {
        let write = || self.copy.sink.write(unit, &complete.freeze()?)?.wait();
        let written = write().map_err(|error| {
            let region = self.copy.sink.facts().units.region(unit);
            self.copy.locate(error, &region)
        })?;
        if let Ok(units) = &mut *self.lock() {
            units.push(Written {
                array: self.copy.name.clone(),
                index: unit.to_vec(),
                encoded_bytes: written.encoded_bytes,
                crc32c: written.crc32c,
            });
        }
        Ok(())
    }

    /// Keeps the first error; what still runs ends as soon as it looks.
    fn keep_error(&self, outcome: Result<()>) {
        let mut kept = self.lock();
        if let (Ok(_), Err(error)) = (&*kept, outcome) {
            *kept = Err(error);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Result<Vec<Written>>> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All units, in order; each must have been written.
    fn finish(self) -> Result<Vec<Written>> {
        let mut units = self.outcome.into_inner().unwrap_or_else(PoisonError::into_inner)?;
        let done = self.copies.done_count(self.copy);
        if units.len() + done < self.slots.len() {
            let error = Error::internal("a source does not cover its target");
            return Err(error.at("variable", &self.copy.name));
        }
        units.sort();
        Ok(units)
    }
}
