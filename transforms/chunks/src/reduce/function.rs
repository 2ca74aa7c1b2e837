//! The reductions that everybody needs.

use array::{Chunk, DType, Scalar};
use dataflow::combine::Accuracy;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::reduce::number::{Number, Values, chunk_of, values_of, with_number};
use crate::reduce::reducer::{ReduceInput, Reduced, Reducer};
use crate::reduce::selection::{self, Choice};

/// How much two orders of merging may differ, relative to the greater result.
const TOLERANCE: f64 = 1e-9;

/// A reduction of numbers: one result of many elements, as xarray computes it.
///
/// NaN are skipped unless [`with_skipna`](Self::with_skipna) says otherwise. Sums, means and
/// variances are computed in 64-bit floats; of integers, sums are exact. Results of floats have
/// the type of the elements, but for means; sums of integers have 64 bits, and what else is computed of
/// integers is `Float64`.
///
/// Source: xarray 2025.1, "Aggregation", <https://docs.xarray.dev/en/stable/api.html#aggregation>.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reduction {
    function: Function,
    skips_nan: bool,
    ddof: u64,
    dtype: Option<DType>,
    missing_index: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Sum,
    Mean,
    Variance,
    Deviation,
    Count,
    Choice(Choice),
}

impl Reduction {
    const fn of(function: Function) -> Self {
        Self { function, skips_nan: true, ddof: 0, dtype: None, missing_index: None }
    }

    /// The sum; of no element it is zero.
    pub const fn sum() -> Self {
        Self::of(Function::Sum)
    }

    /// The mean; of no element it is NaN.
    ///
    /// Without NaN it is `Float64`, a sum by a count; with them it has the type of the elements.
    ///
    /// Source: xarray-beam 0.11.5, `MeanCombineFn`.
    pub const fn mean() -> Self {
        Self::of(Function::Mean)
    }

    /// The variance: squares of distances from the mean, by the number of elements less `ddof`.
    ///
    /// Source: Chan, Golub and LeVeque, "Algorithms for computing the sample variance", The American
    /// Statistician 37(3), 1983.
    pub const fn var() -> Self {
        Self::of(Function::Variance)
    }

    /// The standard deviation: the square root of the variance.
    pub const fn std() -> Self {
        Self::of(Function::Deviation)
    }

    /// The least element; of floats NaN if there is none.
    pub const fn min() -> Self {
        Self::of(Function::Choice(Choice::Least))
    }

    /// The greatest element; of floats NaN if there is none.
    pub const fn max() -> Self {
        Self::of(Function::Choice(Choice::Greatest))
    }

    /// The number of elements that are not NaN.
    pub const fn count() -> Self {
        Self::of(Function::Count)
    }

    /// The first element along the one dimension that is reduced.
    pub const fn first() -> Self {
        Self::of(Function::Choice(Choice::First))
    }

    /// The last element along the one dimension that is reduced.
    pub const fn last() -> Self {
        Self::of(Function::Choice(Choice::Last))
    }

    /// The index of the least element along the one dimension that is reduced, counted from the
    /// start of the dataset; of equal ones the first.
    pub const fn arg_min() -> Self {
        Self::of(Function::Choice(Choice::PlaceOfLeast))
    }

    /// The index of the greatest element; see [`Reduction::arg_min`].
    pub const fn arg_max() -> Self {
        Self::of(Function::Choice(Choice::PlaceOfGreatest))
    }

    /// Skips NaN, or lets one NaN make the result NaN.
    #[must_use]
    pub const fn with_skipna(mut self, skipna: bool) -> Self {
        self.skips_nan = skipna;
        self
    }

    /// Takes so many from the number of elements that a variance is divided by: 1 for a sample.
    #[must_use]
    pub const fn with_ddof(mut self, ddof: u64) -> Self {
        self.ddof = ddof;
        self
    }

    /// Gives sums, means, variances and deviations as this float type.
    #[must_use]
    pub const fn with_dtype(mut self, dtype: DType) -> Self {
        self.dtype = Some(dtype);
        self
    }

    /// Gives this index where there is no element, instead of an error.
    #[must_use]
    pub const fn with_missing_index(mut self, index: i64) -> Self {
        self.missing_index = Some(index);
        self
    }

    fn start_numbers<T: Number>(&self, input: &ReduceInput<'_>) -> Result<Vec<Chunk>> {
        let (values, count) = (Values::<T>::new(input.elements), input.cells.count());
        let is_skipped = |value: T| self.skips_nan && value.is_nan();
        match self.function {
            Function::Sum if !T::IS_FLOAT => {
                let mut sums = vec![0i128; count];
                input.cells.for_each(|element, cell| sums[cell] += values.get(element).to_int());
                wide_parts(&sums)
            }
            Function::Sum | Function::Mean => {
                let (mut sums, mut counts) = (vec![0f64; count], vec![0i64; count]);
                input.cells.for_each(|element, cell| {
                    let value = values.get(element);
                    if !is_skipped(value) {
                        sums[cell] += value.to_float();
                        counts[cell] += 1;
                    }
                });
                let mut parts = vec![chunk_of(DType::Float64, &sums)?];
                if self.function == Function::Mean {
                    parts.push(chunk_of(DType::Int64, &counts)?);
                }
                Ok(parts)
            }
            Function::Count => {
                let mut counts = vec![0i64; count];
                input.cells.for_each(|element, cell| {
                    counts[cell] += i64::from(!values.get(element).is_nan());
                });
                Ok(vec![chunk_of(DType::Int64, &counts)?])
            }
            Function::Variance | Function::Deviation => {
                let mut moments = Moments::none(count);
                input.cells.for_each(|element, cell| {
                    let value = values.get(element);
                    if !is_skipped(value) {
                        moments.add(cell, value.to_float());
                    }
                });
                moments.write()
            }
            Function::Choice(choice) => selection::start(choice, self.skips_nan, input),
        }
    }

    /// The type of results that are rounded floats.
    fn float_type(&self, dtype: DType) -> Result<DType> {
        // A sum by an array of counts has 64 bits, as NumPy divides floats by integers.
        let is_counted = self.function == Function::Mean && self.skips_nan;
        let own = if dtype.is_float() && !is_counted { dtype } else { DType::Float64 };
        match self.dtype {
            None => Ok(own),
            Some(asked) if asked.is_float() => Ok(asked),
            Some(asked) => {
                let message = format!("a {:?} is asked for as {asked}", self.function);
                Err(Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
                    .mend("ask for float16, float32 or float64"))
            }
        }
    }
}

impl Reducer for Reduction {
    fn start(&self, input: &ReduceInput<'_>) -> Result<Vec<Chunk>> {
        with_number!(input.dtype(), T => self.start_numbers::<T>(input))
    }

    fn merge(&self, dtype: DType, left: &[Chunk], right: &[Chunk]) -> Result<Vec<Chunk>> {
        match self.function {
            Function::Choice(choice) => selection::merge(choice, dtype, left, right),
            Function::Variance | Function::Deviation => {
                let mut moments = Moments::read(left)?;
                moments.merge(&Moments::read(right)?);
                moments.write()
            }
            Function::Sum if !dtype.is_float() => {
                let pairs = wide_values(left)?.into_iter().zip(wide_values(right)?);
                wide_parts(&pairs.map(|(a, b)| a + b).collect::<Vec<i128>>())
            }
            Function::Sum | Function::Mean | Function::Count => {
                left.iter().zip(right).map(|(left, right)| added(left, right)).collect()
            }
        }
    }

    fn finish(&self, dtype: DType, parts: &[Chunk]) -> Result<Reduced> {
        let elements = match self.function {
            Function::Choice(choice) => {
                selection::finish(choice, self.missing_index, dtype, parts)?
            }
            Function::Count => parts[0].clone(),
            Function::Sum if !dtype.is_float() && self.dtype.is_none() => {
                whole(dtype, &wide_values(parts)?)?
            }
            Function::Sum if !dtype.is_float() => {
                let sums = wide_values(parts)?.into_iter().map(|sum| sum as f64);
                floats(self.float_type(dtype)?, sums)?
            }
            Function::Sum => floats(self.float_type(dtype)?, values_of(&parts[0]))?,
            Function::Mean => {
                let (sums, counts): (Vec<f64>, Vec<i64>) =
                    (values_of(&parts[0]), values_of(&parts[1]));
                let means = sums.iter().zip(&counts).map(|(sum, &count)| sum / count as f64);
                floats(self.float_type(dtype)?, means)?
            }
            Function::Variance | Function::Deviation => {
                let variances = Moments::read(parts)?.variances(self.ddof).into_iter();
                let is_deviation = self.function == Function::Deviation;
                let results = variances.map(|it| if is_deviation { it.sqrt() } else { it });
                floats(self.float_type(dtype)?, results)?
            }
        };
        Ok(Reduced { leading: None, elements })
    }

    fn needs_positions(&self) -> bool {
        matches!(self.function, Function::Choice(choice) if choice.needs_positions())
    }

    fn accuracy(&self) -> Accuracy {
        match self.function {
            Function::Count | Function::Choice(_) => Accuracy::Exact,
            _ => Accuracy::Within { relative: TOLERANCE },
        }
    }

    fn parameters(&self) -> String {
        format!("{self:?}")
    }
}

/// The sum of two arrays of `Int64` or `Float64`.
fn added(left: &Chunk, right: &Chunk) -> Result<Chunk> {
    if left.dtype() == DType::Int64 {
        let pairs = values_of::<i64>(left).into_iter().zip(values_of::<i64>(right));
        return chunk_of(DType::Int64, &pairs.map(|(a, b)| a + b).collect::<Vec<i64>>());
    }
    let pairs = values_of::<f64>(left).into_iter().zip(values_of::<f64>(right));
    chunk_of(DType::Float64, &pairs.map(|(a, b)| a + b).collect::<Vec<f64>>())
}

/// Integers of 128 bits as two arrays: sums of all of them are exact, in any order.
fn wide_parts(sums: &[i128]) -> Result<Vec<Chunk>> {
    let low: Vec<u64> = sums.iter().map(|&sum| sum as u64).collect();
    let high: Vec<i64> = sums.iter().map(|&sum| (sum >> 64) as i64).collect();
    Ok(vec![chunk_of(DType::UInt64, &low)?, chunk_of(DType::Int64, &high)?])
}

fn wide_values(parts: &[Chunk]) -> Result<Vec<i128>> {
    let [low, high] = parts else { return Err(Error::internal("a wide sum has two parts")) };
    let pairs = values_of::<u64>(low).into_iter().zip(values_of::<i64>(high));
    Ok(pairs.map(|(low, high)| (i128::from(high) << 64) | i128::from(low)).collect())
}

/// Sums of integers as the 64-bit type that NumPy gives them.
fn whole(dtype: DType, sums: &[i128]) -> Result<Chunk> {
    let target = if dtype.is_unsigned() { DType::UInt64 } else { DType::Int64 };
    let mut payload = Vec::with_capacity(sums.len() * 8);
    for &sum in sums {
        let Some(fitting) = Scalar::from_int(target, sum) else {
            let message = format!("a sum is {sum}, which no {target} holds");
            let error = Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::InvalidInput, message);
            return Err(error.mend("ask for a float with `with_dtype(DType::Float64)`"));
        };
        payload.extend_from_slice(fitting.bytes());
    }
    Chunk::new(target, [sums.len() as u64], payload.into())
}

/// Floats rounded to a type.
pub(crate) fn floats(dtype: DType, values: impl IntoIterator<Item = f64>) -> Result<Chunk> {
    // One NaN, whatever its bits: machines differ in those of 0 / 0.
    let plain = |value: f64| if value.is_nan() { f64::NAN } else { value };
    let values = values.into_iter().map(plain);
    match dtype {
        DType::Float64 => chunk_of(dtype, &values.collect::<Vec<f64>>()),
        DType::Float32 => chunk_of(dtype, &values.map(|it| it as f32).collect::<Vec<f32>>()),
        _ => chunk_of(dtype, &values.map(half::f16::from_f64).collect::<Vec<half::f16>>()),
    }
}

/// Count, mean and sum of squared distances of every cell.
struct Moments {
    counts: Vec<i64>,
    means: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    fn none(count: usize) -> Self {
        Self { counts: vec![0; count], means: vec![0.0; count], squares: vec![0.0; count] }
    }

    /// Source: Welford, "Note on a method for calculating corrected sums of squares and products",
    /// Technometrics 4(3), 1962.
    fn add(&mut self, cell: usize, value: f64) {
        self.counts[cell] += 1;
        let before = value - self.means[cell];
        self.means[cell] += before / self.counts[cell] as f64;
        self.squares[cell] += before * (value - self.means[cell]);
    }

    /// Source: Chan, Golub and LeVeque, 1983, equations 2.1.
    fn merge(&mut self, other: &Self) {
        for cell in 0..other.counts.len() {
            let (own, more) = (self.counts[cell], other.counts[cell]);
            if more == 0 {
                continue;
            }
            if own == 0 {
                self.counts[cell] = more;
                self.means[cell] = other.means[cell];
                self.squares[cell] = other.squares[cell];
                continue;
            }
            let (own, more) = (own as f64, more as f64);
            let (all, distance) = (own + more, other.means[cell] - self.means[cell]);
            self.counts[cell] += other.counts[cell];
            self.means[cell] += distance * (more / all);
            self.squares[cell] += other.squares[cell] + distance * distance * (own / all) * more;
        }
    }

    fn variances(&self, ddof: u64) -> Vec<f64> {
        let cells = self.counts.iter().zip(&self.squares);
        cells
            .map(|(&count, squares)| match count.cast_unsigned().checked_sub(ddof) {
                Some(divisor) if divisor > 0 => squares / divisor as f64,
                _ => f64::NAN,
            })
            .collect()
    }

    fn read(parts: &[Chunk]) -> Result<Self> {
        let [counts, means, squares] = parts else {
            return Err(Error::internal("a variance has three parts"));
        };
        let (means, squares) = (values_of(means), values_of(squares));
        Ok(Self { counts: values_of(counts), means, squares })
    }

    fn write(&self) -> Result<Vec<Chunk>> {
        Ok(vec![
            chunk_of(DType::Int64, &self.counts)?,
            chunk_of(DType::Float64, &self.means)?,
            chunk_of(DType::Float64, &self.squares)?,
        ])
    }
}
