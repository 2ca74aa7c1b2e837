//! How one array is copied on this machine: the plan that is taken, and those that are not.

use array::{ChunkGrid, SinkFacts, SourceFacts};
use dataflow::error::{Error, Result};
use serde::{Deserialize, Serialize};

use super::axis::common_period;
use super::choose::{Candidate, Planned, plan};
use super::cost::{CostModel, Costs, Price};
use super::method::Method;
use super::problem::{Problem, read_grid};
use super::rates::{CodecRates, StoreProfile};

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
    /// Decoded bytes that a thread takes at once, or one source chunk where that has more.
    pub batch_bytes: u64,
    /// The ways that were looked at too.
    pub others: Vec<Candidate>,
}

/// What threads take at once: enough for few requests, little enough to stay in a cache; and less
/// where memory is short.
const BATCH_BYTES: [u64; 2] = [4 << 20, 256 << 10];
/// A task that uses only half of the memory leaves room for another, which computes while this one
/// waits. That is worth so much more by the model, which does not know of waiting.
const WORTH_ROOM: f64 = 1.1;
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
        let problem = Problem::new(source, sink, machine.memory_bytes, machine.thread_count, 0);
        let planned = plan(&problem.with_pass_through(true), &model)?;
        // Whatever else would fit: the bytes must not depend on the memory.
        let is_it = |candidate: &&Candidate| candidate.method == Method::Passthrough;
        let Some(own) = planned.candidates.iter().find(is_it).cloned() else {
            return Err(Error::internal("chunks pass through that do not nest"));
        };
        let others = planned.candidates.into_iter().filter(|it| it.method != Method::Passthrough);
        let Candidate { method, costs, reason, price, .. } = own;
        Ok(Self { method, reason, costs, price, batch_bytes: 0, others: others.collect() })
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
        Ok(Self { method, reason, costs, price, batch_bytes, others: candidates })
    }
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
