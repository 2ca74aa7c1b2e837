//! An array seen coarser: each element stands for a window of another array.
//!
//! It is read through the seam like any array, so that a copy of it keeps to the byte budget.

use std::sync::Arc;

use array::{
    ArrayBuffer, ArraySource, Axis, Chunk, ChunkGrid, DType, Fetched, Native, Placement, Region,
    SourceFacts,
};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// What an element of a coarser array is made of the elements of its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CoarsenMethod {
    /// Their mean; NaN is left out, and windows of nothing else are NaN. Floats only.
    #[default]
    Mean,
    /// The greatest; NaN is left out.
    Max,
    /// The least; NaN is left out.
    Min,
    /// The first of them, for any type.
    Nearest,
}

impl CoarsenMethod {
    /// The words of the methods, the default first.
    pub const WORDS: [&str; 4] = ["mean", "max", "min", "nearest"];

    /// The word of this method.
    pub fn word(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Max => "max",
            Self::Min => "min",
            Self::Nearest => "nearest",
        }
    }

    /// Whether elements of this type can be reduced so.
    pub fn takes(self, dtype: DType) -> bool {
        match self {
            Self::Mean => matches!(dtype, DType::Float32 | DType::Float64),
            Self::Max | Self::Min => dtype.is_integer() || dtype.is_float(),
            Self::Nearest => true,
        }
    }
}

impl std::str::FromStr for CoarsenMethod {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::Mean, Self::Max, Self::Min, Self::Nearest];
        all.into_iter().find(|it| it.word() == text).ok_or_else(|| {
            let message = format!("there is no method `{text}` to coarsen by");
            Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
                .mend(format!("the methods are: {}", Self::WORDS.join(", ")))
        })
    }
}

/// An array of which every element is a window of another one.
///
/// Windows have `factors` elements along the dimensions and begin at their multiples; those at the
/// ends may have fewer.
#[derive(Debug)]
pub struct CoarseSource {
    fine: Arc<dyn ArraySource>,
    window: Window,
    facts: SourceFacts,
}

#[derive(Debug, Clone)]
struct Window {
    factors: Vec<u64>,
    method: CoarsenMethod,
    fine_shape: Vec<u64>,
    dtype: DType,
}

impl CoarseSource {
    /// The array `fine`, coarsened.
    ///
    /// # Errors
    /// A type that the method does not take, or windows of no elements.
    pub fn new(fine: Arc<dyn ArraySource>, factors: &[u64], method: CoarsenMethod) -> Result<Self> {
        let mut facts = fine.facts().clone();
        let fine_shape = facts.grid.shape();
        if factors.len() != fine_shape.len() || factors.contains(&0) {
            let message = format!("windows of {factors:?} in an array of {fine_shape:?}");
            return Err(Error::internal(message));
        }
        if !method.takes(facts.dtype) {
            let message = format!("there is no {} of elements of {}", method.word(), facts.dtype);
            let error = Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message);
            return Err(error.mend("coarsen by `nearest`, or cast to a float before"));
        }
        let axes = facts.grid.axes().iter().zip(factors);
        facts.grid = ChunkGrid::new(axes.map(|(axis, &factor)| coarse_axis(axis, factor)));
        // A window is decoded before it is one element, with its sum and count beside; encoded it is
        // held twice, for this task and the next.
        let window_elements: u64 = factors.iter().product();
        let window_bytes = window_elements.saturating_mul(facts.dtype.estimated_bytes());
        facts.recode_bytes = facts
            .recode_bytes
            .saturating_mul(window_elements)
            .saturating_add(window_bytes.saturating_mul(3))
            .saturating_add(32);
        facts.is_random_access = false;
        let window = Window { factors: factors.to_vec(), method, fine_shape, dtype: facts.dtype };
        Ok(Self { fine, window, facts })
    }
}

/// Cuts the coarse axis where both windows and chunks of the fine one begin.
fn coarse_axis(axis: &Axis, factor: u64) -> Axis {
    let length = axis.length().div_ceil(factor);
    match axis {
        Axis::Regular { chunk_length, .. } => {
            Axis::regular(length, lcm(*chunk_length, factor) / factor)
        }
        Axis::Rectilinear { .. } => {
            let starts = (0..axis.chunk_count()).map(|index| axis.chunk(index).start);
            let mut cuts: Vec<u64> = starts.filter(|it| it % factor == 0).collect();
            cuts.push(length * factor);
            Axis::of_lengths(cuts.windows(2).map(|pair| (pair[1] - pair[0]) / factor))
        }
    }
}

fn lcm(a: u64, b: u64) -> u64 {
    let (mut x, mut y) = (a, b);
    while y > 0 {
        (x, y) = (y, x % y);
    }
    (a / x.max(1)).saturating_mul(b)
}

impl ArraySource for CoarseSource {
    fn facts(&self) -> &SourceFacts {
        &self.facts
    }

    fn fetch(&self, regions: &[Region]) -> Result<Box<dyn Fetched>> {
        let regions: Vec<Region> = regions.iter().map(|it| self.window.fine_region(it)).collect();
        let fetched = self.fine.fetch(&regions)?;
        Ok(Box::new(FetchedWindows { fetched, regions, window: self.window.clone() }))
    }
}

struct FetchedWindows {
    fetched: Box<dyn Fetched>,
    /// Of the fine array.
    regions: Vec<Region>,
    window: Window,
}

impl Fetched for FetchedWindows {
    fn decode(self: Box<Self>, places: &mut [Placement<'_>]) -> Result<()> {
        let buffer = |region: &Region| ArrayBuffer::zeroed(self.window.dtype, &region.shape());
        let mut buffers: Vec<ArrayBuffer> = self.regions.iter().map(buffer).collect();
        let fine = buffers.iter_mut().zip(&self.regions);
        let mut fine: Vec<Placement<'_>> =
            fine.map(|(into, region)| Placement { into, at: vec![0; region.rank()] }).collect();
        self.fetched.decode(&mut fine)?;
        for (buffer, place) in buffers.into_iter().zip(places) {
            let coarse = self.window.reduce(&buffer.freeze()?)?;
            place.into.write(&place.at, &coarse, &Region::whole(coarse.shape()))?;
        }
        Ok(())
    }
}

impl Window {
    /// The elements whose windows are those of a region.
    fn fine_region(&self, coarse: &Region) -> Region {
        let ranges = coarse.ranges().zip(&self.factors).zip(&self.fine_shape);
        Region::new(ranges.map(|((range, factor), &length)| {
            (range.start * factor).min(length)..(range.end * factor).min(length)
        }))
    }

    fn reduce(&self, fine: &Chunk) -> Result<Chunk> {
        let shape = fine.shape().iter().zip(&self.factors).map(|(n, factor)| n.div_ceil(*factor));
        let shape: Vec<u64> = shape.collect();
        match (self.method, fine.dtype()) {
            (CoarsenMethod::Nearest, _) => self.firsts(fine, &shape),
            (CoarsenMethod::Mean, DType::Float32) => {
                let means = self.means(&fine.values::<f32>()?, fine.shape(), &shape);
                Chunk::of(shape, &means.into_iter().map(|it| it as f32).collect::<Vec<_>>())
            }
            (CoarsenMethod::Mean, _) => {
                let means = self.means(&fine.values::<f64>()?, fine.shape(), &shape);
                Chunk::of(shape, &means)
            }
            (CoarsenMethod::Max | CoarsenMethod::Min, dtype) => match dtype {
                DType::Int8 => self.extremes::<i8>(fine, shape),
                DType::Int16 => self.extremes::<i16>(fine, shape),
                DType::Int32 => self.extremes::<i32>(fine, shape),
                DType::Int64 => self.extremes::<i64>(fine, shape),
                DType::UInt8 => self.extremes::<u8>(fine, shape),
                DType::UInt16 => self.extremes::<u16>(fine, shape),
                DType::UInt32 => self.extremes::<u32>(fine, shape),
                DType::UInt64 => self.extremes::<u64>(fine, shape),
                DType::Float16 => self.extremes::<half::f16>(fine, shape),
                DType::Float32 => self.extremes::<f32>(fine, shape),
                _ => self.extremes::<f64>(fine, shape),
            },
        }
    }

    /// The place of the window of every element, in C order.
    fn places(&self, fine: &[u64], coarse: &[u64]) -> impl Iterator<Item = usize> {
        let (fine, coarse, factors) = (fine.to_vec(), coarse.to_vec(), self.factors.clone());
        let count: u64 = fine.iter().product();
        let mut index = vec![0u64; fine.len()];
        (0..count).map(move |_| {
            let windows = index.iter().zip(&factors).zip(&coarse);
            let place = windows.fold(0, |place, ((at, factor), n)| place * n + at / factor);
            for dimension in (0..index.len()).rev() {
                index[dimension] += 1;
                if index[dimension] < fine[dimension] {
                    break;
                }
                index[dimension] = 0;
            }
            place as usize
        })
    }

    fn means<T: Native + Into<f64>>(&self, fine: &[T], from: &[u64], to: &[u64]) -> Vec<f64> {
        let count = to.iter().product::<u64>() as usize;
        let (mut sums, mut counts) = (vec![0.0f64; count], vec![0u32; count]);
        for (place, &value) in self.places(from, to).zip(fine) {
            let value: f64 = value.into();
            if !value.is_nan() {
                sums[place] += value;
                counts[place] += 1;
            }
        }
        // Nothing by nothing is NaN.
        sums.into_iter().zip(counts).map(|(sum, count)| sum / f64::from(count)).collect()
    }

    fn extremes<T: Native + PartialOrd>(&self, fine: &Chunk, shape: Vec<u64>) -> Result<Chunk> {
        let values = fine.values::<T>()?;
        let mut chosen: Vec<Option<T>> = vec![None; shape.iter().product::<u64>() as usize];
        for (place, &value) in self.places(fine.shape(), &shape).zip(&values) {
            let is_better = match &chosen[place] {
                None => true,
                // What is not equal to itself is NaN, and gives way to any number.
                Some(best) if best.partial_cmp(best).is_none() => true,
                Some(best) if self.method == CoarsenMethod::Max => value > *best,
                Some(best) => value < *best,
            };
            if is_better {
                chosen[place] = Some(value);
            }
        }
        Chunk::of(shape, &chosen.into_iter().flatten().collect::<Vec<T>>())
    }

    fn firsts(&self, fine: &Chunk, shape: &[u64]) -> Result<Chunk> {
        let mut into = ArrayBuffer::zeroed(fine.dtype(), shape);
        let grid = ChunkGrid::regular(fine.shape(), &self.factors);
        for linear in 0..grid.chunk_count() {
            let index = grid.index_of(linear);
            let start = grid.region(&index).start();
            let one = Region::at(&start, &vec![1; start.len()]);
            into.write(&index, fine, &one)?;
        }
        into.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An array that is held.
    #[derive(Debug)]
    struct Held(Chunk, SourceFacts);

    struct HeldFetch(Vec<Chunk>);

    impl ArraySource for Held {
        fn facts(&self) -> &SourceFacts {
            &self.1
        }

        fn fetch(&self, regions: &[Region]) -> Result<Box<dyn Fetched>> {
            let parts = regions.iter().map(|region| self.0.slice(region));
            Ok(Box::new(HeldFetch(parts.collect::<Result<_>>()?)))
        }
    }

    impl Fetched for HeldFetch {
        fn decode(self: Box<Self>, places: &mut [Placement<'_>]) -> Result<()> {
            let mut all = self.0.iter().zip(places);
            all.try_for_each(|(chunk, place)| {
                place.into.write(&place.at, chunk, &Region::whole(chunk.shape()))
            })
        }
    }

    fn coarse(chunk: Chunk, factors: &[u64], method: CoarsenMethod) -> Result<CoarseSource> {
        let facts = SourceFacts {
            dtype: chunk.dtype(),
            grid: ChunkGrid::regular(chunk.shape(), &vec![3; chunk.shape().len()]),
            is_random_access: false,
            codecs: Vec::new(),
            encoded_ratio: 1.0,
            recode_bytes: 0,
            fill: array::Scalar::zero(chunk.dtype()),
        };
        CoarseSource::new(Arc::new(Held(chunk, facts)), factors, method)
    }

    #[track_caller]
    fn check(values: &[f32], shape: [u64; 2], method: CoarsenMethod, want: &[f32]) {
        let chunk = Chunk::of(shape, values).expect("numbers");
        let source = coarse(chunk, &[2, 2], method).expect("floats");
        let whole = Region::whole(&source.facts().grid.shape());
        let got = (&source as &dyn ArraySource).read(&whole).expect("reads");
        let got = got.values::<f32>().expect("floats");
        let same = got.iter().zip(want).all(|(a, b)| a == b || a.is_nan() && b.is_nan());
        assert!(same && got.len() == want.len(), "{got:?} {want:?}");
    }

    const NAN: f32 = f32::NAN;

    #[test]
    fn windows_at_the_ends_have_fewer_elements() {
        let values = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        check(&values, [3, 3], CoarsenMethod::Mean, &[2.0, 3.5, 6.5, 8.0]);
        check(&values, [3, 3], CoarsenMethod::Max, &[4.0, 5.0, 7.0, 8.0]);
        check(&values, [3, 3], CoarsenMethod::Min, &[0.0, 2.0, 6.0, 8.0]);
        check(&values, [3, 3], CoarsenMethod::Nearest, &[0.0, 2.0, 6.0, 8.0]);
    }

    #[test]
    fn what_is_missing_is_left_out() {
        let values = [NAN, 1.0, NAN, NAN, 3.0, NAN, NAN, NAN];
        check(&values, [2, 4], CoarsenMethod::Mean, &[2.0, NAN]);
        check(&values, [2, 4], CoarsenMethod::Max, &[3.0, NAN]);
        check(&values, [2, 4], CoarsenMethod::Min, &[1.0, NAN]);
        check(&values, [2, 4], CoarsenMethod::Nearest, &[NAN, NAN]);
    }

    #[test]
    fn any_part_is_the_part_of_the_whole() {
        let values: Vec<i64> = (0..70).map(|n| (n * 37) % 71).collect();
        let chunk = Chunk::of([7, 10], &values).expect("numbers");
        let source = coarse(chunk, &[3, 4], CoarsenMethod::Max).expect("integers");
        let source: &dyn ArraySource = &source;
        let whole = source.read(&Region::whole(&[3, 3])).expect("reads");
        for region in
            [Region::new([1..3, 0..2]), Region::new([2..3, 2..3]), Region::new([0..0, 0..3])]
        {
            assert_eq!(source.read(&region).expect("reads"), whole.slice(&region).expect("within"));
        }
    }

    #[test]
    fn texts_have_no_mean() {
        let chunk = Chunk::of_texts([3], &["a", "b", "c"]).expect("texts");
        let error = coarse(chunk.clone(), &[2], CoarsenMethod::Mean).expect_err("refused");
        assert!(error.to_string().contains("no mean of elements of string"), "{error}");
        let source = coarse(chunk, &[2], CoarsenMethod::Nearest).expect("any");
        let got = (&source as &dyn ArraySource).read(&Region::whole(&[2])).expect("reads");
        assert_eq!(got.texts().expect("texts"), ["a", "c"]);
    }

    #[test]
    fn chunks_of_any_lengths_are_cut_where_windows_begin() {
        let axis = Axis::of_lengths([3, 5, 4, 1]);
        assert_eq!(coarse_axis(&axis, 4), Axis::of_lengths([2, 1, 1]));
        assert_eq!(coarse_axis(&Axis::regular(13, 6), 4), Axis::regular(4, 3));
    }
}
