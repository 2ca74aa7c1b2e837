//! The lengths of chunks, by dimension: what other tools call `chunks`.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use array::{Axis, Key, Sizes};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::keyed::split::split_range;

/// How one dimension is cut into chunks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChunkLengths {
    /// At every multiple of this length, counted from the start of the dataset.
    Regular(NonZeroU64),
    /// Not at all: `-1`.
    Whole,
    /// Into chunks of these lengths, which add up to the dimension.
    Explicit(Arc<[u64]>),
}

impl ChunkLengths {
    /// The cuts of a dimension of this length.
    ///
    /// # Errors
    /// Explicit lengths that do not add up to it.
    pub fn axis(&self, dimension: &str, length: u64) -> Result<Axis> {
        match self {
            Self::Regular(chunk) => Ok(Axis::regular(length, chunk.get())),
            Self::Whole => Ok(Axis::regular(length, length)),
            Self::Explicit(lengths) if lengths.iter().sum::<u64>() == length => {
                Ok(Axis::of_lengths(lengths.iter().copied()))
            }
            Self::Explicit(lengths) => {
                let total: u64 = lengths.iter().sum();
                let message = format!("chunks of `{dimension}` add up to {total}, not to {length}");
                Err(invalid(message).mend("give lengths that add up to the dimension"))
            }
        }
    }

    /// Where the chunk begins that holds this element.
    pub(crate) fn start_of(&self, element: u64) -> u64 {
        match self {
            Self::Regular(chunk) => element / chunk.get() * chunk.get(),
            Self::Whole => 0,
            Self::Explicit(lengths) => {
                let ends = ends(lengths).take_while(|&end| end <= element);
                ends.last().unwrap_or(0)
            }
        }
    }

    /// Where the chunk ends that begins at `start`; `None` where only the dimension ends it.
    pub(crate) fn end_after(&self, start: u64) -> Option<u64> {
        match self {
            Self::Regular(chunk) => Some(start + chunk.get()),
            Self::Whole => None,
            Self::Explicit(lengths) => ends(lengths).find(|&end| end > start),
        }
    }

    /// The pieces of a range that lie in one chunk each.
    pub(crate) fn cut(&self, range: Range<u64>) -> Vec<Range<u64>> {
        match self {
            Self::Regular(chunk) => split_range(range, *chunk),
            Self::Whole => vec![range],
            Self::Explicit(lengths) => {
                let inside = ends(lengths).filter(|end| (range.start + 1..range.end).contains(end));
                let mut pieces = Vec::new();
                let mut start = range.start;
                for end in inside.chain([range.end]) {
                    pieces.push(start..end);
                    start = end;
                }
                pieces
            }
        }
    }
}

fn ends(lengths: &[u64]) -> impl Iterator<Item = u64> {
    lengths.iter().scan(0, |end, length| {
        *end += length;
        Some(*end)
    })
}

/// Lengths of chunks by dimension, in an order that is kept.
///
/// A dimension that is not named is not cut. As text: `time=100,lat=-1`.
///
/// ```
/// use chunks::Chunks;
/// let chunks = Chunks::of([("time", 100), ("lat", -1)])?;
/// assert_eq!(chunks, "time=100,lat=-1".parse()?);
/// # Ok::<(), dataflow::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Chunks(Vec<(String, ChunkLengths)>);

impl Chunks {
    /// Chunks of one length a dimension; `-1` is the whole dimension.
    ///
    /// # Errors
    /// A length that is neither positive nor `-1`, a dimension that is named twice.
    pub fn of<S: Into<String>>(lengths: impl IntoIterator<Item = (S, i64)>) -> Result<Self> {
        let mut lengths = lengths.into_iter();
        lengths
            .try_fold(Self::default(), |chunks, (dimension, length)| chunks.with(dimension, length))
    }

    /// The same, with one more dimension, cut into chunks of this length; `-1` is the whole of it.
    ///
    /// # Errors
    /// As [`Chunks::of`].
    pub fn with(mut self, dimension: impl Into<String>, length: i64) -> Result<Self> {
        let dimension = dimension.into();
        let positive = u64::try_from(length).ok().and_then(NonZeroU64::new);
        let lengths = match positive {
            Some(length) => ChunkLengths::Regular(length),
            None if length == -1 => ChunkLengths::Whole,
            None => {
                let message = format!("a chunk length of {dimension}={length} is not possible");
                let mend = "a length is a number from 1, or -1 for the whole dimension";
                return Err(invalid(message).mend(mend));
            }
        };
        self.add(dimension, lengths)?;
        Ok(self)
    }

    /// Chunks of these lengths, at least one element long.
    pub(crate) fn regular(lengths: &[(String, u64)]) -> Self {
        let regular =
            |length: u64| ChunkLengths::Regular(NonZeroU64::new(length).unwrap_or(NonZeroU64::MIN));
        Self(lengths.iter().map(|(name, length)| (name.clone(), regular(*length))).collect())
    }

    /// The same, with one more dimension, cut into chunks of these lengths.
    ///
    /// # Errors
    /// A length of zero, no length at all, a dimension that is named twice.
    pub fn with_lengths(
        mut self,
        dimension: impl Into<String>,
        lengths: impl IntoIterator<Item = u64>,
    ) -> Result<Self> {
        let dimension = dimension.into();
        let lengths: Arc<[u64]> = lengths.into_iter().collect();
        if lengths.is_empty() || lengths.contains(&0) {
            let message = format!("chunks of `{dimension}` have the lengths {lengths:?}");
            return Err(invalid(message).mend("give at least one length, each from 1 on"));
        }
        self.add(dimension, ChunkLengths::Explicit(lengths))?;
        Ok(self)
    }

    fn add(&mut self, dimension: String, lengths: ChunkLengths) -> Result<()> {
        if self.get(&dimension).is_some() {
            let message = format!("dimension `{dimension}` is named twice");
            return Err(invalid(message).mend("give each dimension one length"));
        }
        self.0.push((dimension, lengths));
        Ok(())
    }

    /// How a dimension is cut; `None` if it is not named.
    pub fn get(&self, dimension: &str) -> Option<&ChunkLengths> {
        self.0.iter().find(|(name, _)| name == dimension).map(|(_, lengths)| lengths)
    }

    /// Dimensions and how they are cut, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ChunkLengths)> {
        self.0.iter().map(|(name, lengths)| (name.as_str(), lengths))
    }

    /// The dimensions that are named, in their order.
    pub fn dimensions(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The cuts of all dimensions, in the order of `sizes`.
    ///
    /// # Errors
    /// A dimension that has no size, explicit lengths that do not add up to it.
    ///
    /// Source: xarray-beam 0.11.5, `normalize_expanded_chunks`.
    pub fn axes(&self, sizes: &Sizes) -> Result<Vec<(String, Axis)>> {
        self.check_known(sizes)?;
        let axis = |(name, length): (&str, u64)| {
            let lengths = self.get(name).unwrap_or(&ChunkLengths::Whole);
            Ok((name.to_owned(), lengths.axis(name, length)?))
        };
        sizes.iter().map(axis).collect()
    }

    /// Refuses dimensions that have no size.
    pub(crate) fn check_known(&self, sizes: &Sizes) -> Result<()> {
        match self.dimensions().find(|name| sizes.get(name).is_none()) {
            None => Ok(()),
            Some(name) => {
                let message = format!("chunks are asked for along `{name}`, which has no size");
                let error =
                    Error::new(ErrorCode::UNKNOWN_DIMENSION, ErrorKind::InvalidInput, message);
                Err(error.mend(format!("the dimensions are: {sizes}")))
            }
        }
    }

    /// The chunks that have these dimensions only.
    pub(crate) fn along(&self, is_known: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(name, _)| is_known(name)).cloned().collect())
    }

    /// The key of the chunk that holds the first element of another chunk.
    ///
    /// A dimension that is not named keeps its offset. Variables stay.
    ///
    /// Source: xarray-beam 0.11.5, `_round_chunk_key`.
    pub fn round_key(&self, key: &Key) -> Key {
        key.offsets().fold(key.clone(), |rounded, (name, offset)| match self.get(name) {
            Some(lengths) => rounded.with_offset(name, lengths.start_of(offset)),
            None => rounded,
        })
    }
}

impl FromStr for Chunks {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let length = |part: &str| {
            // A name may hold an equals sign, a length does not.
            let named = part.rsplit_once('=').map(|(name, length)| (name.trim(), length.trim()));
            let parsed =
                named.and_then(|(name, length)| Some((name.to_owned(), length.parse().ok()?)));
            parsed.ok_or_else(|| {
                invalid(format!("`{part}` does not say `dimension=length`"))
                    .mend("write for example `time=100,lat=-1`, with -1 for a whole dimension")
            })
        };
        Self::of(parts.map(length).collect::<Result<Vec<(String, i64)>>>()?)
    }
}

impl fmt::Display for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.iter().map(|(name, lengths)| match lengths {
            ChunkLengths::Regular(length) => format!("{name}={length}"),
            ChunkLengths::Whole => format!("{name}=-1"),
            ChunkLengths::Explicit(lengths) => format!("{name}={lengths:?}"),
        });
        f.write_str(&parts.collect::<Vec<_>>().join(","))
    }
}

pub(crate) fn invalid(message: impl AsRef<str>) -> Error {
    Error::new(ErrorCode::INVALID_CHUNKS, ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explicit_lengths_cut_and_round_where_they_end() {
        let chunks = Chunks::default().with_lengths("x", [3, 4, 2]).expect("lengths");
        let lengths = chunks.get("x").expect("named");
        assert_eq!(lengths.cut(1..9), [1..3, 3..7, 7..9]);
        assert_eq!(lengths.cut(4..9), [4..7, 7..9]);
        assert_eq!([2, 3, 6, 7].map(|it| lengths.start_of(it)), [0, 3, 3, 7]);
        assert_eq!((lengths.end_after(3), lengths.end_after(0)), (Some(7), Some(3)));
    }

    #[track_caller]
    fn refused(chunks: Result<Chunks>) {
        assert_eq!(chunks.expect_err("not chunks").code(), ErrorCode::INVALID_CHUNKS);
    }

    #[test]
    fn impossible_lengths_are_refused() {
        refused(Chunks::of([("x", 0)]));
        refused(Chunks::of([("x", -2)]));
        refused(Chunks::of([("x", 1), ("x", 2)]));
        refused(Chunks::default().with_lengths("x", [3, 0]));
        refused(Chunks::default().with_lengths("x", []));
        refused("x=auto".parse());
        refused("x".parse());
    }
}
