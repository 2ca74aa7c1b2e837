//! The best chunk for a wish in bytes, which always has an answer.

use super::normalize::ArraySize;
use super::ratio::{RatioSizing, even_divisor_chunks, nearest_scaled};

/// A chunk that divides evenly is taken if it differs from the target by less than this part.
const EVEN_TOLERANCE: f64 = 0.5;
/// A multiple of the source's chunk is taken if the size stays between these parts of the target.
const ALIGNED_SIZE: std::ops::RangeInclusive<f64> = 0.5..=1.5;

/// What is asked of the chunks of one array.
#[derive(Debug, Clone)]
pub struct ChunkSizing<'a> {
    /// Elements of every dimension.
    pub shape: &'a [u64],
    /// Bytes of an element.
    pub item_bytes: u64,
    /// Lengths that are settled, by dimension.
    pub settled: &'a [Option<u64>],
    /// How many times as many chunks along a dimension as along others, where no length is settled.
    pub ratios: &'a [u64],
    /// Bytes that are wanted.
    pub target_bytes: u64,
    /// Chunks of the source, if it has any.
    pub source: Option<&'a [u64]>,
}

/// A chunk, and how large it has become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BestChunk {
    /// Elements along every dimension.
    pub shape: Vec<u64>,
    /// Its bytes.
    pub bytes: u64,
}

impl ChunkSizing<'_> {
    /// The chunk that comes nearest to what is asked for.
    ///
    /// Lengths that divide the dimensions evenly come first, by the ratio; if none has about the
    /// size, all lengths of the ratio are divided by one number. Then lengths become multiples of
    /// the source's chunks, where the size stays between half and one and a half of the target.
    pub fn best(&self) -> BestChunk {
        // What is settled is part of the size of an element.
        let settled = self.settled.iter().flatten();
        let item_bytes = settled.fold(self.item_bytes, |bytes, &it| bytes.saturating_mul(it));
        let open = (0..self.shape.len()).filter(|place| self.settled[*place].is_none());
        let open: Vec<usize> = open.collect();
        let lengths: Vec<u64> = open.iter().map(|&place| self.shape[place].max(1)).collect();
        let ratios: Vec<Option<u64>> =
            open.iter().map(|&place| Some(self.ratios[place].max(1))).collect();
        let array = ArraySize { dimensions: (0..open.len()).collect(), item_bytes };
        let sizing = RatioSizing {
            lengths: &lengths,
            arrays: &[array],
            target_bytes: self.target_bytes,
            ratios: &ratios,
            tolerance: EVEN_TOLERANCE,
        };
        let chosen = even_divisor_chunks(&sizing).unwrap_or_else(|| nearest_scaled(&sizing).0);
        let mut chunk: Vec<u64> = self.settled.iter().map(|it| it.unwrap_or(1)).collect();
        open.iter().zip(chosen).for_each(|(&place, length)| chunk[place] = length);
        if let Some(source) = self.source {
            open.iter().for_each(|&place| self.align(&mut chunk, place, source[place].max(1)));
        }
        BestChunk { bytes: self.bytes(&chunk), shape: chunk }
    }

    /// The chunk that is cut along the first dimensions first, and never larger than the target if
    /// one element of each dimension fits; multiples of the source's chunks as [`Self::best`] has
    /// them.
    pub fn in_order(&self) -> BestChunk {
        let whole = self.settled.iter().zip(self.shape);
        let mut chunk: Vec<u64> = whole.map(|(it, &length)| it.unwrap_or(length.max(1))).collect();
        for place in (0..chunk.len()).filter(|place| self.settled[*place].is_none()) {
            let others = self.bytes(&chunk) / chunk[place];
            let fitting = (self.target_bytes / others.max(1)).max(1);
            chunk[place] = chunk[place].min(fitting);
            if let Some(source) = self.source {
                self.align(&mut chunk, place, source[place].max(1));
            }
        }
        BestChunk { bytes: self.bytes(&chunk), shape: chunk }
    }

    /// Makes one length a multiple of the source's, the nearest one that has about the size.
    pub(crate) fn align(&self, chunk: &mut [u64], place: usize, source: u64) {
        let own = chunk[place];
        let whole = self.shape[place].max(1);
        if own.is_multiple_of(source) || own == whole {
            return;
        }
        let below = own / source * source;
        let candidates = [below, below + source].map(|it| it.min(whole));
        let by_distance = |it: &u64| (it.abs_diff(own), *it);
        let mut candidates: Vec<u64> = candidates.into_iter().filter(|it| *it > 0).collect();
        candidates.sort_unstable_by_key(by_distance);
        for candidate in candidates {
            chunk[place] = candidate;
            let part = self.bytes(chunk) as f64 / self.target_bytes.max(1) as f64;
            if ALIGNED_SIZE.contains(&part) {
                return;
            }
        }
        chunk[place] = own;
    }

    /// Bytes of a chunk.
    pub(crate) fn bytes(&self, chunk: &[u64]) -> u64 {
        chunk.iter().fold(self.item_bytes, |bytes, &it| bytes.saturating_mul(it))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [u64; 3] = [1460, 181, 360];

    #[track_caller]
    fn check(ratios: [u64; 3], target_bytes: u64, source: Option<[u64; 3]>, want: [u64; 3]) {
        let sizing = ChunkSizing {
            shape: &SHAPE,
            item_bytes: 4,
            settled: &[None; 3],
            ratios: &ratios,
            target_bytes,
            source: source.as_ref().map(|it| &it[..]),
        };
        let best = sizing.best();
        assert_eq!(best.shape, want);
        assert_eq!(best.bytes, want.iter().product::<u64>() * 4);
    }

    #[test]
    fn the_ratio_is_that_of_numbers_of_chunks() {
        check([10, 1, 1], 40_000_000, None, [146, 181, 360]);
        check([1, 1, 1], 1_000_000, None, [73, 181, 18]);
    }

    #[test]
    fn there_is_always_an_answer() {
        check([1, 1, 1], 1, None, [1, 1, 1]);
        check([7, 5, 3], u64::MAX, None, [209, 36, 120]);
    }

    #[test]
    fn chunks_of_the_source_are_kept_whole() {
        check([10, 1, 1], 40_000_000, Some([31, 181, 360]), [155, 181, 360]);
        // A source chunk that is far too large is cut.
        check([10, 1, 1], 1_000_000, Some([1460, 181, 360]), [20, 181, 45]);
    }

    #[test]
    fn what_is_settled_stays() {
        let sizing = ChunkSizing {
            shape: &SHAPE,
            item_bytes: 4,
            settled: &[None, Some(181), Some(360)],
            ratios: &[1, 1, 1],
            target_bytes: 100_000_000,
            source: None,
        };
        assert_eq!(sizing.best(), BestChunk { shape: vec![365, 181, 360], bytes: 95_133_600 });
    }
}
