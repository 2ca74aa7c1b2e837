//! Rechunk: any chunks become any other, in stages of bounded chunks.

use array::{DatasetChunk, Key, Sizes};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::prelude::{PCollection, PTransform};

use crate::keyed::consolidate::{ConsolidateChunks, consolidate_chunks};
use crate::keyed::lengths::{ChunkLengths, Chunks, invalid};
use crate::keyed::split::{SplitChunks, split_chunks};
use crate::keyed::stages::StagePlanner;

/// Consolidates chunks and splits the result: the oracle of [`Rechunk`].
///
/// Pieces come in C order of the dimensions of `target`, for one set of variables after the other.
///
/// # Errors
/// As [`consolidate_chunks`] and [`split_chunks`].
///
/// Source: xarray-beam 0.11.5, `in_memory_rechunk`.
pub fn rechunk_in_memory(
    inputs: impl IntoIterator<Item = (Key, DatasetChunk)>,
    target: &Chunks,
) -> Result<Vec<(Key, DatasetChunk)>> {
    let mut pieces = Vec::new();
    for (key, chunk) in consolidate_chunks(inputs)? {
        for piece in split_chunks(&key, &chunk, target)? {
            pieces.push(piece?);
        }
    }
    Ok(pieces)
}

/// One step of a [`Rechunk`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RechunkStage {
    /// Lengths of the chunks that come in, in the order of the sizes.
    pub from: Vec<(String, u64)>,
    /// Lengths of the chunks that go out.
    pub to: Vec<(String, u64)>,
    /// Whether a chunk that comes in may lie in several that go out.
    pub is_split: bool,
    /// Whether a chunk that goes out may be made of several that come in.
    pub is_consolidated: bool,
}

/// How large chunks may become on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RechunkOptions {
    /// Bytes of one element: of all variables that have all dimensions together.
    pub item_bytes: u64,
    /// Pieces should have so many bytes at the least; a hundredth of `max_bytes` if not said.
    pub min_bytes: Option<u64>,
    /// Chunks may have so many bytes at the most.
    pub max_bytes: u64,
}

impl RechunkOptions {
    /// Chunks of at most 1 GiB, of elements of so many bytes.
    pub fn of(item_bytes: u64) -> Self {
        Self { item_bytes, min_bytes: None, max_bytes: 1 << 30 }
    }

    /// Allows chunks of so many bytes on the way.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Avoids pieces of fewer bytes, by more stages.
    #[must_use]
    pub fn with_min_bytes(mut self, bytes: u64) -> Self {
        self.min_bytes = Some(bytes);
        self
    }
}

/// Changes the chunks of a collection from `source` to `target`.
///
/// The source may be cut irregularly. Keys must have an offset for every dimension of their
/// variables. Chunks that are missing are an error, in the middle and at the end. Memory: one chunk
/// of a stage and a piece of it, granted before a bundle starts.
///
/// Source: xarray-beam 0.11.5, `Rechunk`.
#[derive(Debug, Clone)]
pub struct Rechunk {
    sizes: Sizes,
    source: Vec<(String, u64)>,
    target: Vec<(String, u64)>,
    stages: Vec<RechunkStage>,
    item_bytes: u64,
    has_excessive_io: bool,
}

impl Rechunk {
    /// Plans the change for a dataset of these sizes.
    ///
    /// # Errors
    /// Dimensions that have no size or stand in one of both chunks only, a target that is not
    /// regular, chunks that exceed `max_bytes`.
    pub fn new(
        sizes: Sizes,
        source: &Chunks,
        target: &Chunks,
        options: RechunkOptions,
    ) -> Result<Self> {
        check_same_dimensions(source, target)?;
        let (from, is_regular) = normalized(source, &sizes)?;
        let (to, target_is_regular) = normalized(target, &sizes)?;
        if !target_is_regular {
            let message = format!("the target chunks {target} are not regular");
            return Err(invalid(message).mend("give the target one length for each dimension"));
        }
        let mut rechunk = Self {
            sizes,
            source: from,
            target: to,
            stages: Vec::new(),
            item_bytes: options.item_bytes,
            has_excessive_io: false,
        };
        if rechunk.source != rechunk.target || !is_regular {
            rechunk.plan(options, is_regular)?;
        }
        Ok(rechunk)
    }

    fn plan(&mut self, options: RechunkOptions, is_regular: bool) -> Result<()> {
        let lengths = |named: &[(String, u64)]| named.iter().map(|it| it.1).collect::<Vec<u64>>();
        let shape: Vec<u64> = self.sizes.iter().map(|it| it.1).collect();
        let planner = StagePlanner {
            item_bytes: options.item_bytes,
            min_bytes: options.min_bytes.unwrap_or(options.max_bytes / 100),
            max_bytes: options.max_bytes,
            consolidate_reads: true,
            consolidate_writes: true,
        };
        let plan = planner.plan(&shape, &lengths(&self.source), &lengths(&self.target))?;
        let named = |chunk: &[u64]| {
            let names = self.sizes.dimensions().map(str::to_owned);
            names.zip(chunk.iter().copied()).collect::<Vec<(String, u64)>>()
        };
        let mut bounds = vec![self.source.clone(), named(&plan.stages[0].read)];
        bounds.extend(plan.stages.iter().map(|stage| named(&stage.write)));
        bounds.push(self.target.clone());
        self.stages = bounds.windows(2).map(|pair| stage(&pair[0], &pair[1])).collect();
        if !is_regular {
            // Irregular chunks end anywhere.
            self.stages[0].is_split = true;
            self.stages[0].is_consolidated = true;
        }
        self.has_excessive_io = plan.has_excessive_io;
        Ok(())
    }

    /// The steps, in order; none if nothing changes.
    pub fn stages(&self) -> &[RechunkStage] {
        &self.stages
    }

    /// The longest chunk of the source along each dimension, in the order of the sizes.
    pub fn source_chunks(&self) -> &[(String, u64)] {
        &self.source
    }

    /// The length of a chunk of the target along each dimension, in the order of the sizes.
    pub fn target_chunks(&self) -> &[(String, u64)] {
        &self.target
    }

    /// Whether pieces stay below the least size, as more stages would move more data.
    pub fn has_excessive_io(&self) -> bool {
        self.has_excessive_io
    }
}

fn stage(from: &[(String, u64)], to: &[(String, u64)]) -> RechunkStage {
    let lengths = || from.iter().zip(to).map(|((_, a), (_, b))| (*a, *b));
    RechunkStage {
        from: from.to_vec(),
        to: to.to_vec(),
        is_split: lengths().any(|(a, b)| b % a != 0),
        is_consolidated: lengths().any(|(a, b)| a % b != 0),
    }
}

fn check_same_dimensions(source: &Chunks, target: &Chunks) -> Result<()> {
    let named = |chunks: &Chunks, other: &Chunks| {
        chunks.dimensions().find(|name| other.get(name).is_none()).map(str::to_owned)
    };
    let Some(name) = named(source, target).or_else(|| named(target, source)) else { return Ok(()) };
    let message = format!("`{name}` stands in one of the chunks `{source}` and `{target}` only");
    Err(Error::new(ErrorCode::INVALID_CHUNKS, ErrorKind::InvalidInput, message)
        .mend("name the same dimensions in the source and in the target, with -1 for whole ones"))
}

/// The length of the longest chunk of each dimension, and whether all chunks but the last have it.
fn normalized(chunks: &Chunks, sizes: &Sizes) -> Result<(Vec<(String, u64)>, bool)> {
    chunks.check_known(sizes)?;
    let mut is_regular = true;
    let mut lengths = Vec::new();
    for (name, size) in sizes.iter() {
        let length = match chunks.get(name) {
            None | Some(ChunkLengths::Whole) => size.max(1),
            Some(ChunkLengths::Regular(length)) => length.get(),
            Some(explicit @ ChunkLengths::Explicit(own)) => {
                let longest = own.iter().copied().max().unwrap_or(1);
                if own.iter().any(|&it| it != longest) {
                    explicit.axis(name, size)?;
                    let (_, others) = own.split_last().unwrap_or((&0, &[]));
                    is_regular &= others.iter().all(|&it| it == longest);
                }
                longest
            }
        };
        lengths.push((name.to_owned(), length));
    }
    Ok((lengths, is_regular))
}

impl PTransform<PCollection<(Key, DatasetChunk)>> for Rechunk {
    type Output = PCollection<(Key, DatasetChunk)>;

    fn expand(self, input: PCollection<(Key, DatasetChunk)>) -> Self::Output {
        let mut chunks = input;
        for (place, stage) in self.stages.iter().enumerate() {
            let to = Chunks::regular(&stage.to);
            if stage.is_split {
                let split = SplitChunks::new(to.clone());
                chunks = chunks.apply_named(&format!("Split{place}"), split);
            }
            if stage.is_consolidated {
                let lengths = stage.to.iter().zip(self.sizes.iter());
                let elements = lengths.map(|((_, length), (_, size))| *length.min(&size));
                let chunk_bytes = elements.fold(self.item_bytes, u64::saturating_mul);
                let consolidate = ConsolidateChunks::new(to)
                    .with_sizes(self.sizes.clone())
                    .with_chunk_bytes(chunk_bytes);
                chunks = chunks.apply_named(&format!("Consolidate{place}"), consolidate);
            }
        }
        chunks
    }
}
