//! How one array is copied on this machine: the plan that is taken, and those that are not.

use array::{ChunkGrid, SinkFacts, SourceFacts};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::axis::common_period;
use super::choose::{Candidate, Planned, plan};
use super::cost::{CostModel, Costs, Price};
use super::method::Method;
use super::problem::{Problem, read_grid};
use super::rates::{CodecRates, StoreProfile};
use crate::byte_size::ByteSize;

/// What a copy may use, and where it reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Bytes that all copies together may hold.
    pub memory_bytes: u64,
    /// Threads that work at once.
    pub thread_count: u64,
    /// Where the source lies.
    pub source: StoreProfile,
    /// Where the target goes.
    pub target: StoreProfile,
}

impl Machine {
    /// Everything on disks of the machine, segments of a plan too.
    pub fn local(memory_bytes: u64, thread_count: u64) -> Self {
        let disk = StoreProfile::LOCAL_DISK;
        Self { memory_bytes, thread_count, source: disk, target: disk }
    }
}

/// How one array is copied, and what that costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CopyPlan {
    /// Who reads what.
    pub method: Method,
    /// Why, in one sentence.
    pub reason: String,
    /// Exact counts; bytes are of decoded elements.
    pub costs: Costs,
    /// What these cost.
    pub price: Price,
    /// Decoded bytes that a thread takes at once, or one source chunk where that has more. Of a
    /// passthrough, those of the encoded chunks that are appended together to a unit which is written
    /// as a stream; none where units are passed whole.
    pub batch_bytes: u64,
    /// Units of a passthrough that are under way at once.
    #[serde(default = "one")]
    pub units_at_once: u64,
    /// The ways that were looked at too.
    pub others: Vec<Candidate>,
}

/// What threads take at once: enough for few requests, little enough to stay in a cache; and less
/// where memory is short.
const BATCH_BYTES: [u64; 2] = [4 << 20, 256 << 10];
/// A task that uses only half of the memory leaves room for another, which computes while this one
/// waits. That is worth so much more by the model, which does not know of waiting.
const WORTH_ROOM: f64 = 1.1;
/// Units of a passthrough that are under way at once, at the most: half of them come, half go.
const MOST_UNITS_AT_ONCE: u64 = 8;
/// Encoded chunks that are appended together to a stream have no more bytes than these, decoded.
const MOST_BATCH_BYTES: u64 = 16 << 20;
/// Tasks of a sweep: as many as a run shows progress in and is resumed by,
const MOST_TASKS: u64 = 64;
/// but none smaller than this.
const LEAST_TASK_BYTES: u64 = 16 << 20;

impl CopyPlan {
    /// Chooses how to copy an array from `source` to `sink`.
    ///
    /// # Errors
    /// Not enough memory for any way; the error says how much would do.
    pub fn choose(source: &SourceFacts, sink: &SinkFacts, machine: Machine) -> Result<Self> {
        let [large, small] = BATCH_BYTES;
        Self::with_batches(source, sink, machine, large)
            .or_else(|_| Self::with_batches(source, sink, machine, small))
    }

    /// Copies encoded chunks as they are, where those of the source are chunks of the sink.
    ///
    /// # Errors
    /// Not enough memory, as for [`CopyPlan::choose`].
    pub fn pass_through(source: &SourceFacts, sink: &SinkFacts, machine: Machine) -> Result<Self> {
        let disk = StoreProfile::LOCAL_DISK;
        let codec = CodecRates::of_codecs(&source.codecs);
        let model = CostModel::new(disk, codec, codec);
        let within = |bytes| {
            let problem = Problem::new(source, sink, bytes, machine.thread_count, 0);
            plan(&problem.with_pass_through(true), &model)
        };
        let planned = within(machine.memory_bytes).or_else(|why| match sink.stream_bytes {
            Some(_) => within(u64::MAX),
            None => Err(why),
        })?;
        // Whatever else would fit: the bytes must not depend on the memory.
        let is_it = |candidate: &&Candidate| candidate.method == Method::Passthrough;
        let Some(own) = planned.candidates.iter().find(is_it).cloned() else {
            return Err(Error::internal("chunks pass through that do not nest"));
        };
        let others = planned.candidates.into_iter().filter(|it| it.method != Method::Passthrough);
        let Candidate { method, costs, reason, price, .. } = own;
        let (batch_bytes, units_at_once, others) = (0, 1, others.collect());
        let whole = Self { method, reason, costs, price, batch_bytes, units_at_once, others };
        if whole.costs.peak_bytes <= machine.memory_bytes {
            return Ok(whole.overlapped(sink, machine));
        }
        match sink.stream_bytes {
            Some(stream_bytes) => whole.streamed(sink, stream_bytes, machine),
            None => Ok(whole),
        }
    }

    /// Lets several units be under way at once where a store is far away, in half of the memory.
    fn overlapped(mut self, sink: &SinkFacts, machine: Machine) -> Self {
        let disk = StoreProfile::LOCAL_DISK;
        if machine.source == disk && machine.target == disk {
            return self;
        }
        let unit_bytes = bytes_of(&sink.units.largest_chunk(), sink).max(1);
        let each = machine.memory_bytes / 2 / machine.thread_count.max(1);
        let more = each.saturating_sub(self.costs.peak_bytes) / unit_bytes;
        self.units_at_once = (more + 1).min(MOST_UNITS_AT_ONCE).min(self.costs.target_puts.max(1));
        self.costs.peak_bytes += (self.units_at_once - 1) * unit_bytes;
        self
    }

    /// Appends chunks to units that are larger than memory.
    fn streamed(mut self, sink: &SinkFacts, stream_bytes: u64, machine: Machine) -> Result<Self> {
        let chunk_bytes = bytes_of(&sink.chunk_shape, sink).max(1);
        // One batch comes while another goes, of which each thread decodes a chunk and encodes it.
        let peak = |chunks: u64| {
            let threads = machine.thread_count.clamp(1, chunks.max(1));
            let chunks = chunks.saturating_add(threads).saturating_mul(2);
            chunks.saturating_mul(chunk_bytes).saturating_add(stream_bytes)
        };
        let fits = |chunks: &u64| peak(*chunks) <= machine.memory_bytes;
        let most = (MOST_BATCH_BYTES / chunk_bytes).max(1);
        let halved = std::iter::successors(Some(most), |chunks| Some(chunks / 2));
        let chunks = halved.take_while(|&chunks| chunks > 0).find(fits).unwrap_or(1);
        self.batch_bytes = chunks.saturating_mul(chunk_bytes);
        self.costs.peak_bytes = peak(chunks);
        if !fits(&chunks) {
            return Err(too_small_for_streams(self.costs.peak_bytes, machine.memory_bytes));
        }
        self.reason =
            "copies encoded chunks as they are, into shards that are written as streams: \
                       memory does not hold one"
                .to_owned();
        Ok(self)
    }

    /// Whether units are written chunk after chunk, and never held whole.
    pub fn is_streamed(&self) -> bool {
        match self.method {
            Method::Streamed { .. } => true,
            Method::Passthrough => self.batch_bytes > 0,
            _ => false,
        }
    }

    fn with_batches(
        source: &SourceFacts,
        sink: &SinkFacts,
        machine: Machine,
        batch_bytes: u64,
    ) -> Result<Self> {
        let model = CostModel {
            source: machine.source,
            target: machine.target,
            ..CostModel::new(
                StoreProfile::LOCAL_DISK,
                CodecRates::of_codecs(&source.codecs),
                CodecRates::of_codecs(&sink.codecs),
            )
        };
        let within = |bytes| {
            let problem = Problem::new(source, sink, bytes, machine.thread_count, batch_bytes);
            plan(&problem, &model)
        };
        let all = within(machine.memory_bytes)?;
        let usd = |planned: &Planned| planned.chosen().price.usd;
        let half = within(machine.memory_bytes / 2).ok();
        let half = half.filter(|half| {
            let busy = |planned: &Planned| planned.chosen().costs.busy_threads;
            usd(half) <= WORTH_ROOM * usd(&all) && busy(half) >= busy(&all)
        });
        let Planned { chosen, mut candidates } = half.unwrap_or(all);
        let Candidate { mut method, mut costs, reason, price, .. } = candidates.remove(chosen);
        let grid = read_grid(source, sink, batch_bytes);
        divide(&mut method, &mut costs, &grid, sink);
        let (units_at_once, others) = (1, candidates);
        Ok(Self { method, reason, costs, price, batch_bytes, units_at_once, others })
    }
}

fn one() -> u64 {
    1
}

/// Decoded bytes of a box of the target.
fn bytes_of(extents: &[u64], sink: &SinkFacts) -> u64 {
    extents.iter().fold(sink.dtype.estimated_bytes(), |bytes, &n| bytes.saturating_mul(n))
}

fn too_small_for_streams(needed: u64, allowed: u64) -> Error {
    let (needs, has) = (ByteSize(needed), ByteSize(allowed));
    let message = format!(
        "a task needs {needs} ({needed} bytes) to append encoded chunks to shards, {has} of the \
         memory are left for it"
    );
    let error = Error::new(ErrorCode::MEMORY_TOO_SMALL, ErrorKind::ResourceExhausted, message);
    error.mend("allow more memory")
}

/// Cuts the blocks of a sweep where no chunk of either grid is cut: every piece is a task.
fn divide(method: &mut Method, costs: &mut Costs, source: &ChunkGrid, sink: &SinkFacts) {
    let Method::Sweep { dimension, block, window } = method else { return };
    let Some(axis) = source.axes().get(*dimension) else { return };
    let period = common_period(axis, &sink.units.axes()[*dimension]).max(1);
    let tasks = (costs.target_bytes / LEAST_TASK_BYTES).clamp(1, MOST_TASKS);
    let along = (tasks / costs.task_count.max(1)).max(1);
    // A window is not cut either.
    let least = axis.longest_chunk().saturating_mul(*window).min(axis.length());
    let extent = axis.length().div_ceil(along).max(least).max(1);
    block[*dimension] = extent.next_multiple_of(period).min(axis.length());
    let shape = sink.units.shape();
    costs.task_count = ChunkGrid::regular(&shape, block).chunk_count();
}
