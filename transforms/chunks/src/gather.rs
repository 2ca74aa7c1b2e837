//! Gathers one region: reads every source chunk that meets it once, on all threads, and hands on
//! each cell of it as soon as nothing of the cell is missing.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use array::{ArrayBuffer, ArraySource, Chunk, ChunkGrid, Fetched, Region};
use dataflow::cancel::CancelToken;
use dataflow::error::{Error, Result};

/// Batches that are fetched ahead, for each thread.
const FETCHES_A_THREAD: usize = 2;

/// What is gathered, and where it goes.
pub(crate) struct Gathering<'a> {
    /// Where elements come from.
    pub(crate) source: &'a dyn ArraySource,
    /// The units in which it is read.
    pub(crate) chunks: &'a ChunkGrid,
    /// What is gathered.
    pub(crate) region: &'a Region,
    /// What becomes of it.
    pub(crate) cells: Cells<'a>,
    /// The order in which source chunks are read.
    pub(crate) order: Order,
    /// Decoded bytes that one thread takes at once, or one source chunk.
    pub(crate) batch_bytes: u64,
    /// Threads that there is memory for.
    pub(crate) thread_count: u64,
    /// The request to stop.
    pub(crate) cancel: &'a CancelToken,
}

/// How a region is cut, and who takes the pieces; cells are named by their indices in the grid.
#[derive(Clone, Copy)]
pub(crate) struct Cells<'a> {
    /// Cells that reach beyond the region are cut.
    pub(crate) grid: &'a ChunkGrid,
    /// Whether a cell is wanted.
    pub(crate) wants: &'a (dyn Fn(&[u64]) -> bool + Sync),
    /// Takes a complete cell.
    pub(crate) takes: &'a (dyn Fn(&[u64], ArrayBuffer) -> Result<()> + Sync),
}

/// Slabs of source chunks are read one after the other along one dimension; all that are in one
/// window, together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    pub(crate) dimension: usize,
    pub(crate) window_slabs: u64,
}

impl Order {
    /// All chunks together.
    pub(crate) const TOGETHER: Self = Self { dimension: 0, window_slabs: u64::MAX };
}

impl Gathering<'_> {
    /// Gathers the region.
    ///
    /// Memory: the cells that a window of source chunks meets, and for each thread three batches, of
    /// which two are encoded; and what taking a cell needs.
    ///
    /// # Errors
    /// A source that cannot be read, whatever taking a cell gives, or a request to stop. The first
    /// error ends all work.
    pub(crate) fn run(&self) -> Result<()> {
        let chunks = SourceChunks::of(self.chunks, self.region, self.order);
        let state = State {
            gathering: self,
            slots: Slots::of(self.cells.grid, self.region),
            queue: Mutex::new(Queue { next: 0, fetched: VecDeque::new() }),
            failed: Mutex::default(),
            chunks,
        };
        for window in state.chunks.windows() {
            rayon::scope(|scope| {
                for _ in 0..self.threads() {
                    let state = &state;
                    scope.spawn(move |scope| state.keep_error(state.work(window.end, scope)));
                }
            });
            if let Some(error) = state.lock_failed().take() {
                return Err(error);
            }
        }
        state.slots.check_all_taken(self.cells.wants)
    }

    /// Threads that work at once.
    fn threads(&self) -> usize {
        let granted = usize::try_from(self.thread_count).unwrap_or(usize::MAX);
        rayon::current_num_threads().min(granted).max(1)
    }

    /// Whether some threads must stay idle, as there is no memory for them.
    fn is_short_of_memory(&self) -> bool {
        self.threads() < rayon::current_num_threads()
    }
}

struct State<'a> {
    gathering: &'a Gathering<'a>,
    chunks: SourceChunks<'a>,
    slots: Slots<'a>,
    queue: Mutex<Queue>,
    failed: Mutex<Option<Error>>,
}

/// What is on its way, in the order of chunks.
struct Queue {
    next: u64,
    fetched: VecDeque<Batch>,
}

/// Chunks that are fetched and decoded together.
struct Batch {
    first: u64,
    regions: Vec<Region>,
    bytes: Box<dyn Fetched>,
}

impl State<'_> {
    /// Takes batches until the window is done.
    fn work<'s>(&'s self, window_end: u64, scope: &rayon::Scope<'s>) -> Result<()> {
        while let Some(batch) = self.next_batch(window_end)? {
            self.gathering.cancel.check()?;
            if self.lock_failed().is_some() {
                break;
            }
            self.take(batch, scope)?;
        }
        Ok(())
    }

    /// The next batch of this window; those behind it are fetched meanwhile, also of windows to come.
    fn next_batch(&self, window_end: u64) -> Result<Option<Batch>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead = FETCHES_A_THREAD * self.gathering.threads();
        while queue.fetched.len() < ahead && queue.next < self.chunks.count {
            let first = queue.next;
            let (regions, next) = self.batch_from(first);
            queue.next = next;
            if !regions.is_empty() {
                let bytes = self.gathering.source.fetch(&regions);
                let bytes = bytes.map_err(|error| locate(error, &regions))?;
                queue.fetched.push_back(Batch { first, regions, bytes });
            }
        }
        let is_due = queue.fetched.front().is_some_and(|batch| batch.first < window_end);
        Ok(if is_due { queue.fetched.pop_front() } else { None })
    }

    /// What is wanted of the chunks from `first` on, as much as makes a batch, and the chunk after.
    fn batch_from(&self, first: u64) -> (Vec<Region>, u64) {
        let Gathering { source, region, cells, batch_bytes, .. } = *self.gathering;
        let item_bytes = source.facts().dtype.estimated_bytes();
        let end = self.chunks.window_end(first);
        let (mut regions, mut bytes, mut next) = (Vec::new(), 0, first);
        while next < end && (regions.is_empty() || bytes < batch_bytes) {
            let chunk = self.chunks.region(next);
            next += 1;
            let Some(part) = chunk.intersection(region) else { continue };
            if cells.grid.chunks_meeting(&part).any(|cell| (cells.wants)(&cell)) {
                bytes += part.element_count() * item_bytes;
                regions.push(part);
            }
        }
        (regions, next)
    }

    /// Decodes a batch and spreads it over the cells that it meets; those that are complete are
    /// handed on.
    fn take<'s>(&'s self, batch: Batch, scope: &rayon::Scope<'s>) -> Result<()> {
        let Batch { regions, bytes, .. } = batch;
        let (dtype, cells) = (self.gathering.source.facts().dtype, self.gathering.cells);
        let chunks = bytes.into_chunks(dtype, &regions).map_err(|error| locate(error, &regions))?;
        for (region, chunk) in regions.iter().zip(&chunks) {
            for cell in cells.grid.chunks_meeting(region) {
                if !(cells.wants)(&cell) {
                    continue;
                }
                if let Some(complete) = self.slots.put(&cell, region, chunk)? {
                    let takes = cells.takes;
                    if self.gathering.is_short_of_memory() {
                        takes(&cell, complete)?;
                        continue;
                    }
                    scope.spawn(move |_| self.keep_error(takes(&cell, complete)));
                }
            }
        }
        Ok(())
    }

    /// Keeps the first error; what still runs ends as soon as it looks.
    fn keep_error(&self, outcome: Result<()>) {
        if let Err(error) = outcome {
            self.lock_failed().get_or_insert(error);
        }
    }

    fn lock_failed(&self) -> MutexGuard<'_, Option<Error>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds the elements to an error that does not say them.
fn locate(error: Error, regions: &[Region]) -> Error {
    match regions {
        [only] => error.at("elements", only),
        [first, .., last] => error.at("elements", format_args!("{first} to {last}")),
        [] => error,
    }
}

/// The source chunks that meet a region, slab after slab.
struct SourceChunks<'a> {
    grid: &'a ChunkGrid,
    first: Vec<u64>,
    counts: Vec<u64>,
    /// All of them.
    count: u64,
    dimension: usize,
    /// Chunks in one window.
    window: u64,
}

impl<'a> SourceChunks<'a> {
    fn of(grid: &'a ChunkGrid, region: &Region, order: Order) -> Self {
        let meeting = grid.axes().iter().zip(region.ranges());
        let meeting: Vec<Range<u64>> = meeting.map(|(axis, it)| axis.chunks_meeting(&it)).collect();
        let first = meeting.iter().map(|range| range.start).collect();
        let counts: Vec<u64> = meeting.iter().map(|range| range.end - range.start).collect();
        let count: u64 = counts.iter().product();
        let slabs = counts.get(order.dimension).copied().unwrap_or(1).max(1);
        let window = (count / slabs).saturating_mul(order.window_slabs).max(1);
        Self { grid, first, counts, count, dimension: order.dimension, window }
    }

    fn windows(&self) -> impl Iterator<Item = Range<u64>> + use<> {
        let (window, count) = (self.window, self.count);
        let bound = move |it: u64| it.saturating_mul(window).min(count);
        (0..count.div_ceil(window)).map(move |it| bound(it)..bound(it + 1))
    }

    /// The end of the window of a chunk.
    fn window_end(&self, chunk: u64) -> u64 {
        (chunk / self.window + 1).saturating_mul(self.window).min(self.count)
    }

    /// The elements of the chunk of this place in the order.
    fn region(&self, chunk: u64) -> Region {
        let mut index = self.first.clone();
        let mut rest = chunk;
        let others = (0..index.len()).rev().filter(|&other| other != self.dimension);
        // The slab changes last.
        for place in others.chain((self.dimension < index.len()).then_some(self.dimension)) {
            index[place] += rest % self.counts[place];
            rest /= self.counts[place];
        }
        self.grid.region(&index)
    }
}

/// The cells of a region; a buffer is made when its first element comes.
struct Slots<'a> {
    cells: &'a ChunkGrid,
    region: &'a Region,
    first: Vec<u64>,
    counts: Vec<u64>,
    slots: Vec<Mutex<Slot>>,
}

#[derive(Default)]
struct Slot {
    buffer: Option<ArrayBuffer>,
    /// Elements that came.
    there: u64,
    is_taken: bool,
}

impl<'a> Slots<'a> {
    fn of(cells: &'a ChunkGrid, region: &'a Region) -> Self {
        let meeting = cells.axes().iter().zip(region.ranges());
        let meeting: Vec<Range<u64>> = meeting.map(|(axis, it)| axis.chunks_meeting(&it)).collect();
        let first = meeting.iter().map(|range| range.start).collect();
        let counts: Vec<u64> = meeting.iter().map(|range| range.end - range.start).collect();
        let count: u64 = counts.iter().product();
        let slots = (0..count).map(|_| Mutex::default()).collect();
        Self { cells, region, first, counts, slots }
    }

    /// Copies what a chunk, which holds `part`, has of a cell; the cell once nothing is missing.
    fn put(&self, cell: &[u64], part: &Region, from: &Chunk) -> Result<Option<ArrayBuffer>> {
        let whole = self.cells.region(cell).intersection(self.region);
        let Some(whole) = whole else { return Ok(None) };
        let Some(common) = whole.intersection(part) else { return Ok(None) };
        let mut slot = self.slot(cell).lock().unwrap_or_else(PoisonError::into_inner);
        let new = || ArrayBuffer::zeroed(from.dtype(), &whole.shape());
        let buffer = slot.buffer.get_or_insert_with(new);
        buffer.write(&common.offset_in(&whole), from, &common.relative_to(&part.start()))?;
        slot.there += common.element_count();
        if slot.there < whole.element_count() {
            return Ok(None);
        }
        slot.is_taken = true;
        Ok(slot.buffer.take())
    }

    fn slot(&self, cell: &[u64]) -> &Mutex<Slot> {
        let places = cell.iter().zip(&self.first).zip(&self.counts);
        let place = places.fold(0, |place, ((index, first), count)| place * count + index - first);
        &self.slots[place as usize]
    }

    /// Refuses a source that did not give all elements of a cell that is wanted.
    fn check_all_taken(&self, wants: &(dyn Fn(&[u64]) -> bool + Sync)) -> Result<()> {
        for cell in self.cells.chunks_meeting(self.region) {
            let slot = self.slot(&cell).lock().unwrap_or_else(PoisonError::into_inner);
            if !slot.is_taken && wants(&cell) {
                return Err(Error::internal("a source does not cover its target"));
            }
        }
        Ok(())
    }
}
