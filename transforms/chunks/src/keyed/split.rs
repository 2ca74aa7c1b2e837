//! Split: chunks are cut at the bounds of other chunks.

use std::num::NonZeroU64;
use std::ops::Range;

use array::{DatasetChunk, Key};
use dataflow::dofn::{DoFn, DoFnFacts, ProcessContext};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::prelude::{PCollection, PTransform, ParDo};

use crate::keyed::lengths::Chunks;

/// Cuts a range at every multiple of `multiple`.
///
/// Units are elements, counted from the start of the dataset. Pieces are in order and cover the
/// range exactly once; an empty range is one empty piece. Cost: O(pieces).
///
/// Source: xarray-beam 0.11.5, `_split_chunk_bounds`.
pub fn split_range(range: Range<u64>, multiple: NonZeroU64) -> Vec<Range<u64>> {
    let first_cut = (range.start / multiple + 1) * multiple.get();
    let cuts = (first_cut..range.end).step_by(multiple.get() as usize);
    let starts = std::iter::once(range.start).chain(cuts.clone());
    starts.zip(cuts.chain([range.end])).map(|(start, end)| start..end).collect()
}

/// Cuts a chunk at the bounds of `target`, which lie where chunks of the whole dataset do.
///
/// Pieces come in C order of the dimensions of `target`, in its order; each is copied when it is
/// asked for. Keys gain an offset for every dimension of `target`; one that a key does not name
/// begins at zero.
///
/// # Errors
/// A dimension of `target` that the chunk does not have.
///
/// Source: xarray-beam 0.11.5, `split_chunks`.
pub fn split_chunks(
    key: &Key,
    chunk: &DatasetChunk,
    target: &Chunks,
) -> Result<impl Iterator<Item = Result<(Key, DatasetChunk)>> + use<>> {
    let mut bounds: Vec<(String, u64, Vec<Range<u64>>)> = Vec::new();
    for (name, lengths) in target.iter() {
        let Some(length) = chunk.length(name) else {
            let message = format!("a chunk is to be split along `{name}`, which it lacks");
            let error = Error::new(ErrorCode::UNKNOWN_DIMENSION, ErrorKind::InvalidInput, message);
            let mend = format!("the dimensions of the chunk are: {}", chunk.sizes());
            return Err(error.at("chunk", key).mend(mend));
        };
        let start = key.offset(name).unwrap_or(0);
        bounds.push((name.to_owned(), start, lengths.cut(start..start + length)));
    }
    let (key, chunk) = (key.clone(), chunk.clone());
    let count: usize = bounds.iter().map(|(_, _, pieces)| pieces.len()).product();
    Ok((0..count).map(move |mut place| {
        let mut piece_key = key.clone();
        let mut ranges = Vec::with_capacity(bounds.len());
        for (name, base, pieces) in bounds.iter().rev() {
            let piece = &pieces[place % pieces.len()];
            place /= pieces.len();
            piece_key = piece_key.with_offset(name, piece.start);
            ranges.push((name.as_str(), piece.start - base..piece.end - base));
        }
        Ok((piece_key, chunk.slice(&ranges)?))
    }))
}

/// Splits every chunk of a collection with [`split_chunks`].
///
/// A dimension of the target that a chunk does not have is left alone. Memory: one piece at a time.
#[derive(Debug, Clone)]
pub struct SplitChunks {
    target: Chunks,
}

impl SplitChunks {
    /// Splits at the bounds of these chunks.
    pub fn new(target: Chunks) -> Self {
        Self { target }
    }
}

impl PTransform<PCollection<(Key, DatasetChunk)>> for SplitChunks {
    type Output = PCollection<(Key, DatasetChunk)>;

    fn expand(self, input: PCollection<(Key, DatasetChunk)>) -> Self::Output {
        input.apply_named("Split", ParDo::of(SplitFn { target: self.target }))
    }
}

#[derive(Clone)]
struct SplitFn {
    target: Chunks,
}

impl DoFn for SplitFn {
    type In = (Key, DatasetChunk);
    type Out = (Key, DatasetChunk);

    fn process(&mut self, keyed: Self::In, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let (key, chunk) = keyed;
        let target = self.target.along(|name| chunk.length(name).is_some());
        for piece in split_chunks(&key, &chunk, &target)? {
            ctx.output(piece?)?;
        }
        Ok(())
    }

    fn facts(&self) -> DoFnFacts {
        DoFnFacts::default().with_parameters(self.target.to_string())
    }
}
