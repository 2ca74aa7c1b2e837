//! The stages of a rechunking, as pure numbers: which chunks are read, kept between, and written.
//!
//! A stage splits and then consolidates. Few stages make many small pieces, many stages move all
//! data often; a plan has as few stages as keep pieces above a least size.
//!
//! Source: xarray-beam 0.11.5, `rechunker_algorithm`, after Rechunker, "Algorithm",
//! <https://rechunker.readthedocs.io/en/latest/algorithm.html>.

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::keyed::lengths::invalid;

/// No plan has more stages.
const MAX_STAGES: u32 = 100;

/// How far a chunk may grow along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkLimit {
    /// It stays as it is.
    Keep,
    /// Up to the length of the axis.
    Whole,
    /// Up to so many elements.
    UpTo(u64),
}

/// The chunk shapes of one stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageChunks {
    /// What is split.
    pub read: Vec<u64>,
    /// The largest pieces that fit into both.
    pub intermediate: Vec<u64>,
    /// What is consolidated.
    pub write: Vec<u64>,
}

/// All stages of a rechunking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultistagePlan {
    /// In the order in which they run.
    pub stages: Vec<StageChunks>,
    /// Whether pieces stay below the least size, as more stages would move more data.
    pub has_excessive_io: bool,
}

/// Plans stages within bounds on the size of chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StagePlanner {
    /// Bytes of one element, of all variables together.
    pub item_bytes: u64,
    /// Pieces should have so many bytes at the least.
    pub min_bytes: u64,
    /// Chunks may have so many bytes at the most.
    pub max_bytes: u64,
    /// Whether chunks are made larger before the first stage, as far as the target allows.
    pub consolidate_reads: bool,
    /// Whether the last stage makes chunks that are larger than those of the target.
    pub consolidate_writes: bool,
}

impl StagePlanner {
    /// Plans the stages from `source` to `target`, both regular chunks of an array of `shape`.
    ///
    /// # Errors
    /// Ranks that differ, a chunk larger than `max_bytes`, a `min_bytes` above that.
    pub fn plan(&self, shape: &[u64], source: &[u64], target: &[u64]) -> Result<MultistagePlan> {
        self.check(shape, source, target)?;
        let (item, most) = (self.item_bytes, self.max_bytes);
        let write = if self.consolidate_writes {
            consolidate_chunk_shape(shape, target, item, most, None)?
        } else {
            target.to_vec()
        };
        let read = if self.consolidate_reads {
            let limit = |(&own, &other): (&u64, &u64)| {
                if other > own { ChunkLimit::UpTo(other) } else { ChunkLimit::Keep }
            };
            let limits: Vec<ChunkLimit> = source.iter().zip(&write).map(limit).collect();
            consolidate_chunk_shape(shape, source, item, most, Some(&limits))?
        } else {
            source.to_vec()
        };
        self.staged(shape, &read, &write)
    }

    /// Adds stages until pieces are large enough, or more data would be moved than before.
    fn staged(&self, shape: &[u64], read: &[u64], write: &[u64]) -> Result<MultistagePlan> {
        let mut before: Option<(u128, Vec<StageChunks>)> = None;
        for stage_count in 1..MAX_STAGES {
            let mut bounds = vec![read.to_vec()];
            bounds.extend(stage_chunks(read, write, stage_count));
            bounds.push(write.to_vec());
            let stages: Vec<StageChunks> = bounds.windows(2).map(stage).collect();
            let least = stages.iter().map(|stage| self.bytes_of(&stage.intermediate)).min();
            if least >= Some(u128::from(self.min_bytes)) {
                return Ok(MultistagePlan { stages, has_excessive_io: false });
            }
            let operations =
                stages.iter().map(|it| count_io_operations(shape, &it.read, &it.write));
            let operations = operations.sum();
            if let Some((fewer, stages)) = before
                && operations > fewer
            {
                return Ok(MultistagePlan { stages, has_excessive_io: true });
            }
            before = Some((operations, stages));
        }
        let message = format!("no plan of {MAX_STAGES} stages goes from {read:?} to {write:?}");
        Err(invalid(message).mend("ask for smaller pieces, or allow larger chunks"))
    }

    fn check(&self, shape: &[u64], source: &[u64], target: &[u64]) -> Result<()> {
        for (what, chunk) in [("source", source), ("target", target)] {
            if chunk.len() != shape.len() {
                let message = format!("the {what} chunk {chunk:?} is of an array of {shape:?}");
                return Err(invalid(message).mend("give it one length for each dimension"));
            }
            let bytes = self.bytes_of(chunk);
            if bytes > u128::from(self.max_bytes) {
                let most = self.max_bytes;
                let message = format!("a {what} chunk of {bytes} bytes exceeds {most} bytes");
                return Err(too_small(message)
                    .mend("allow larger chunks on the way, or ask for smaller ones"));
            }
        }
        if self.min_bytes > self.max_bytes {
            let (least, most) = (self.min_bytes, self.max_bytes);
            let message = format!("pieces have {least} bytes at the least and {most} at the most");
            return Err(invalid(message).mend("give a least size that is below the greatest"));
        }
        Ok(())
    }

    fn bytes_of(&self, chunk: &[u64]) -> u128 {
        bytes_of(chunk, self.item_bytes)
    }
}

fn stage(bounds: &[Vec<u64>]) -> StageChunks {
    let (read, write) = (bounds[0].clone(), bounds[1].clone());
    // What is smaller than both needs no room of its own.
    let intermediate = read.iter().zip(&write).map(|(a, b)| *a.min(b)).collect();
    StageChunks { read, intermediate, write }
}

fn bytes_of(chunk: &[u64], item_bytes: u64) -> u128 {
    chunk.iter().fold(u128::from(item_bytes), |bytes, &length| bytes.saturating_mul(length.into()))
}

fn too_small(message: String) -> Error {
    Error::new(ErrorCode::MEMORY_TOO_SMALL, ErrorKind::ResourceExhausted, message)
}

/// Makes a chunk as large as `max_bytes` allow, from the last axis to the first.
///
/// An axis becomes as long as its limit if there is room, else a multiple of the chunk. Without
/// limits every axis may become whole, and must be as long as the chunk.
///
/// # Errors
/// A limit below the chunk, a chunk that exceeds `max_bytes` already.
pub fn consolidate_chunk_shape(
    shape: &[u64],
    chunk: &[u64],
    item_bytes: u64,
    max_bytes: u64,
    limits: Option<&[ChunkLimit]>,
) -> Result<Vec<u64>> {
    let mut grown = chunk.to_vec();
    let most = u128::from(max_bytes);
    let mut bytes = bytes_of(&grown, item_bytes);
    if bytes > most {
        let message = format!("a chunk of {bytes} bytes exceeds {max_bytes} bytes");
        return Err(too_small(message).mend("allow larger chunks, or ask for smaller ones"));
    }
    let mut bounds = Vec::new();
    for axis in 0..shape.len() {
        bounds.push(match limits.map_or(ChunkLimit::UpTo(shape[axis]), |limits| limits[axis]) {
            ChunkLimit::Keep => None,
            ChunkLimit::Whole => Some(shape[axis]),
            ChunkLimit::UpTo(limit) if limit >= chunk[axis] || limit > shape[axis] => {
                Some(limit.min(shape[axis]))
            }
            ChunkLimit::UpTo(limit) => {
                let message = format!("a chunk of {} elements is limited to {limit}", chunk[axis]);
                return Err(invalid(message).mend("give a limit that is not below the chunk"));
            }
        });
    }
    for axis in (0..shape.len()).rev() {
        let Some(bound) = bounds[axis] else { continue };
        // How often the chunk, as it was before this axis, fits into what is allowed.
        let fitting = most / bytes.max(1);
        grown[axis] = bound;
        if bytes_of(&grown, item_bytes) >= most {
            let multiple = u128::from(chunk[axis]).saturating_mul(fitting);
            grown[axis] = u64::try_from(multiple).unwrap_or(u64::MAX).min(bound);
        }
        bytes = bytes_of(&grown, item_bytes);
    }
    Ok(grown)
}

/// The chunk shapes between the stages from `read` to `write`, each axis in equal ratios.
///
/// Lengths are rounded down. A length within a billionth of a whole number is that number, so that
/// the last bits of a logarithm do not decide: all machines plan alike.
pub fn stage_chunks(read: &[u64], write: &[u64], stage_count: u32) -> Vec<Vec<u64>> {
    let between = |stage: u32| {
        let share = f64::from(stage) / f64::from(stage_count);
        let length = |(&from, &to): (&u64, &u64)| {
            let (from, to) = ((from as f64).log10(), (to as f64).log10());
            let length = 10f64.powf(from + (to - from) * share);
            let whole = length.round();
            let is_whole = (length - whole).abs() <= 1e-9 * whole;
            (if is_whole { whole } else { length.floor() }) as u64
        };
        read.iter().zip(write).map(length).collect()
    };
    (1..stage_count).map(between).collect()
}

/// How many pieces an axis of `size` elements has that is cut at the multiples of both chunks.
pub fn count_intermediate_chunks(source_chunk: u64, target_chunk: u64, size: u64) -> u64 {
    let (source, target) = (source_chunk.max(1), target_chunk.max(1));
    let period = u128::from(source / greatest_divisor(source, target)) * u128::from(target);
    let pieces = |length: u128| match length {
        0 => 0,
        _ => length.div_ceil(source.into()) + length.div_ceil(target.into()) - 1,
    };
    let size = u128::from(size);
    // Where a period ends, both chunks end: the pieces of whole periods add up.
    let count = size / period * pieces(period) + pieces(size % period);
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn greatest_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_divisor(b, a % b) }
}

/// How many pieces a stage reads and writes.
pub fn count_io_operations(shape: &[u64], read: &[u64], write: &[u64]) -> u128 {
    let axes = shape.iter().zip(read).zip(write);
    let counts = axes.map(|((&size, &a), &b)| u128::from(count_intermediate_chunks(a, b, size)));
    counts.fold(1, u128::saturating_mul)
}
