//! How one array is copied: chosen by arithmetic on grids, before anything is read.

use array::{SinkFacts, SourceFacts};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::byte_size::ByteSize;
use crate::cost::{Coverage, coverage};

/// What a copy may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Bytes that all copies together may hold.
    pub memory_bytes: u64,
    /// Threads that work at once.
    pub thread_count: u64,
}

/// Who reads what, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// Each target unit reads the source regions that it needs.
    Pull,
    /// Every source chunk is read once; all target units are held until they are complete.
    Hold,
    /// Every source chunk is read once, split, grouped by target unit and consolidated.
    Shuffle,
}

/// How one array is copied, and what that costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CopyPlan {
    /// Who reads what.
    pub strategy: Strategy,
    /// Why, in one sentence.
    pub reason: String,
    /// Units of work that run by themselves.
    pub task_count: u64,
    /// Chunks that are read, counting each time.
    pub source_read_count: u64,
    /// Decoded bytes that are read, counting each time.
    pub source_bytes: u64,
    /// Objects that are written.
    pub target_unit_count: u64,
    /// Decoded bytes that go through the shuffle.
    pub shuffle_bytes: u64,
    /// Bytes that one task needs at the most.
    pub working_bytes: u64,
}

/// Reading twice what was asked for costs less than writing an intermediate and reading it back.
///
/// Source: `docs/decisions/0003-three-copy-strategies.md`.
const AMPLIFICATION_LIMIT: f64 = 2.5;
/// Arrays below this size are copied before a second thread has begun.
const WORTH_SHARING: u64 = 4 << 20;
/// Edges that do not quite meet are no reason to do anything clever.
const NEARLY_ONCE: f64 = 1.05;

impl CopyPlan {
    /// Chooses how to copy an array from `source` to `sink`.
    ///
    /// # Errors
    /// Not enough memory for any way; the error says how much would do.
    pub fn choose(source: &SourceFacts, sink: &SinkFacts, machine: Machine) -> Result<Self> {
        let sizes = Sizes::of(source, sink);
        let pull = sizes.pull(source.is_random_access);
        let amplification = pull.source_bytes as f64 / sizes.array.max(1) as f64;
        let hold = sizes.hold(machine.thread_count);
        let shuffle = sizes.shuffle();
        let fits = |plan: &Self| plan.working_bytes <= machine.memory_bytes;
        let at_once = machine.memory_bytes / pull.working_bytes.max(1);
        let pulling = at_once.min(pull.task_count).min(machine.thread_count);
        let leaves_threads_idle =
            pulling < machine.thread_count && pull.source_read_count > pulling;
        let wanted = if amplification <= NEARLY_ONCE && fits(&pull) {
            if leaves_threads_idle && fits(&hold) && sizes.array >= WORTH_SHARING {
                hold.because(format!("pulling would keep {pulling} threads busy, this all"))
            } else {
                pull.because("every source chunk is read about once")
            }
        } else if fits(&hold) {
            hold.because(format!("{} fit the memory", ByteSize(sizes.array)))
        } else if amplification <= AMPLIFICATION_LIMIT && fits(&pull) {
            pull.because(format!("reading {amplification:.2} times costs less than a shuffle"))
        } else if amplification <= AMPLIFICATION_LIMIT {
            shuffle.because(format!("pulling needs {} a task", ByteSize(pull.working_bytes)))
        } else {
            shuffle.because(format!("pulling would read everything {amplification:.1} times"))
        };
        if fits(&wanted) {
            return Ok(wanted);
        }
        let (unit, least) = (ByteSize(sizes.unit), wanted.working_bytes);
        let left = machine.memory_bytes;
        let message = format!(
            "a task needs {} for one unit of {unit}, {} of the memory are left for it",
            ByteSize(least),
            ByteSize(left)
        );
        let error = Error::new(ErrorCode::MEMORY_TOO_SMALL, ErrorKind::ResourceExhausted, message);
        // What is allowed is more than what is left: a quarter more covers what others take, and what
        // the process takes differs from run to run.
        let more = ByteSize(((least - left) / 4).saturating_mul(5).saturating_add(4 << 20));
        Err(error.mend(format!("allow {more} more, or ask for smaller chunks or shards")))
    }

    fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..self }
    }
}

/// What a copy by this strategy costs, whatever memory there is.
#[cfg(test)]
pub(crate) fn predict(
    source: &SourceFacts,
    sink: &SinkFacts,
    machine: Machine,
    strategy: Strategy,
) -> CopyPlan {
    let sizes = Sizes::of(source, sink);
    match strategy {
        Strategy::Pull => sizes.pull(source.is_random_access),
        Strategy::Hold => sizes.hold(machine.thread_count),
        Strategy::Shuffle => sizes.shuffle(),
    }
}

/// Decoded bytes of what is moved.
struct Sizes {
    array: u64,
    unit: u64,
    chunk: u64,
    /// What recoding all of the largest unit takes besides.
    recoded_unit: u64,
    /// What is fetched for the largest unit, still encoded.
    fetched_unit: u64,
    fetched_chunk: u64,
    coverage: Coverage,
    item: f64,
    unit_count: u64,
    chunk_count: u64,
}

impl Sizes {
    fn of(source: &SourceFacts, sink: &SinkFacts) -> Self {
        let bytes = |shape: &[u64], item: u64| shape.iter().fold(item, |n, &x| n.saturating_mul(x));
        let (from, to) = (source.dtype.estimated_bytes(), sink.dtype.estimated_bytes());
        let coverage = coverage(&sink.units, &source.grid);
        let chunk = bytes(&source.grid.largest_chunk(), from);
        let recoded = |elements: u64| elements.saturating_mul(source.recode_bytes);
        let encoded = |decoded: f64| (decoded * source.encoded_ratio.min(1.0)) as u64;
        let covered = if source.is_random_access {
            bytes(&sink.units.largest_chunk(), from) as f64
        } else {
            coverage.largest_unit * from as f64
        };
        Self {
            array: bytes(&sink.shape, to),
            unit: bytes(&sink.units.largest_chunk(), to),
            chunk: recoded(bytes(&source.grid.largest_chunk(), 1))
                .saturating_add(if source.is_random_access { 0 } else { chunk }),
            recoded_unit: recoded(bytes(&sink.units.largest_chunk(), 1)),
            fetched_unit: encoded(covered),
            fetched_chunk: encoded(chunk as f64),
            coverage,
            item: from as f64,
            unit_count: sink.units.chunk_count(),
            chunk_count: source.grid.chunk_count(),
        }
    }

    /// Fetched for this unit and the next, decoded, encoded, and half a unit still being written.
    fn pull(&self, is_random_access: bool) -> CopyPlan {
        let bytes =
            if is_random_access { self.array as f64 } else { self.coverage.total * self.item };
        CopyPlan {
            strategy: Strategy::Pull,
            reason: String::new(),
            task_count: self.unit_count,
            source_read_count: self.coverage.chunk_reads as u64,
            source_bytes: bytes as u64,
            target_unit_count: self.unit_count,
            shuffle_bytes: 0,
            working_bytes: sum([
                self.fetched_unit,
                self.fetched_unit,
                self.chunk,
                self.recoded_unit,
                self.two_and_a_half_units(),
            ]),
        }
    }

    /// The array, and for each thread a chunk (fetched for now and next, decoded) and a unit.
    fn hold(&self, thread_count: u64) -> CopyPlan {
        let decoded = self.chunk.max(self.fetched_chunk);
        let each = sum([self.fetched_chunk, self.fetched_chunk, decoded, self.unit]);
        CopyPlan {
            strategy: Strategy::Hold,
            reason: String::new(),
            task_count: 1,
            source_read_count: self.chunk_count,
            source_bytes: self.array,
            target_unit_count: self.unit_count,
            shuffle_bytes: 0,
            working_bytes: self.array.saturating_add(thread_count.saturating_mul(each)),
        }
    }

    /// The greater of splitting (a chunk, its pieces) and consolidating (a unit, encoded).
    fn shuffle(&self) -> CopyPlan {
        let decoded = self.chunk.max(self.fetched_chunk);
        let split = sum([self.fetched_chunk, self.fetched_chunk, decoded, decoded]);
        CopyPlan {
            strategy: Strategy::Shuffle,
            reason: String::new(),
            task_count: self.chunk_count + self.unit_count,
            source_read_count: self.chunk_count,
            source_bytes: self.array,
            target_unit_count: self.unit_count,
            shuffle_bytes: self.array,
            working_bytes: split.max(self.two_and_a_half_units()),
        }
    }

    fn two_and_a_half_units(&self) -> u64 {
        sum([self.unit, self.unit, self.unit / 2])
    }
}

/// The sum, or the greatest number: more than any machine has is too much, however much it is.
fn sum<const N: usize>(bytes: [u64; N]) -> u64 {
    bytes.into_iter().fold(0, u64::saturating_add)
}
