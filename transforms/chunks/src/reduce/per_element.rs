//! Any combine function of floats as a reduction: one accumulator a cell.

use std::fmt;

use array::{Chunk, DType};
use bytes::Bytes;
use dataflow::coder::{Coder, Context, decode_all};
use dataflow::combine::{Accuracy, CombineFn};
use dataflow::element::Element;
use dataflow::error::{Error, Result};

use crate::reduce::function::floats;
use crate::reduce::reducer::{ReduceInput, Reduced, Reducer};

/// Combines the elements of each cell with a [`CombineFn`] of floats to lists of floats.
///
/// What comes out is `Float64` with one more dimension, which comes first: the list. So the
/// quantile sketch of `basic` becomes a reduction, whose result has the dimension `quantile`. A
/// function that gives a list of another length, as quantiles of nothing, gives NaN there. NaN are
/// skipped. Memory: an accumulator a cell.
///
/// ```
/// # use chunks::{PerElement, Reduce};
/// # use dataflow::combine::CombineFn;
/// # #[derive(Clone)] struct Ends;
/// # impl CombineFn for Ends {
/// #     type In = f64; type Acc = Vec<f64>; type Out = Vec<f64>;
/// #     fn create(&self) -> Vec<f64> { vec![] }
/// #     fn add(&self, ends: &mut Vec<f64>, value: f64) { ends.push(value); }
/// #     fn merge(&self, ends: &mut Vec<f64>, other: Vec<f64>) { ends.extend(other); }
/// #     fn extract(&self, ends: Vec<f64>) -> Vec<f64> { ends }
/// # }
/// let reduce = Reduce::with(PerElement::of(Ends, "end", 2)).over(["time"]);
/// ```
#[derive(Clone)]
pub struct PerElement<C> {
    function: C,
    dimension: String,
    length: u64,
}

impl<C: CombineFn<In = f64, Out = Vec<f64>>> PerElement<C> {
    /// Combines with this function; its lists have so many values, and become this dimension.
    pub fn of(function: C, dimension: impl Into<String>, length: u64) -> Self {
        Self { function, dimension: dimension.into(), length }
    }

    fn read(parts: &[Chunk]) -> Result<Vec<C::Acc>> {
        let [encoded] = parts else { return Err(Error::internal("accumulators are one part")) };
        decode_all(&Vec::<C::Acc>::coder(), encoded.payload())
    }

    fn write(&self, mut accumulators: Vec<C::Acc>) -> Result<Vec<Chunk>> {
        accumulators.iter_mut().for_each(|accumulator| self.function.compact(accumulator));
        let mut encoded = Vec::new();
        Vec::<C::Acc>::coder().encode(&accumulators, Context::Outer, &mut encoded)?;
        // An accumulator can be anything, so all of them are one element of bytes.
        let length = u32::try_from(encoded.len()).map_err(|_| {
            Error::internal("accumulators of one chunk take more than 4 GiB")
                .mend("reduce smaller chunks")
        })?;
        Ok(vec![Chunk::new(DType::Bytes(length), [], Bytes::from(encoded))?])
    }
}

impl<C: CombineFn<In = f64, Out = Vec<f64>>> Reducer for PerElement<C> {
    fn start(&self, input: &ReduceInput<'_>) -> Result<Vec<Chunk>> {
        let mut accumulators: Vec<C::Acc> =
            (0..input.cell_count()).map(|_| self.function.create()).collect();
        input.for_each_float(|cell, value| {
            if !value.is_nan() {
                self.function.add(&mut accumulators[cell], value);
            }
        })?;
        self.write(accumulators)
    }

    fn merge(&self, _: DType, left: &[Chunk], right: &[Chunk]) -> Result<Vec<Chunk>> {
        let mut accumulators = Self::read(left)?;
        let pairs = accumulators.iter_mut().zip(Self::read(right)?);
        pairs.for_each(|(own, other)| self.function.merge(own, other));
        self.write(accumulators)
    }

    fn finish(&self, _: DType, parts: &[Chunk]) -> Result<Reduced> {
        let accumulators = Self::read(parts)?;
        let (count, length) = (accumulators.len(), self.length as usize);
        let mut values = vec![f64::NAN; count * length];
        for (cell, accumulator) in accumulators.into_iter().enumerate() {
            let list = self.function.extract(accumulator);
            if list.len() == length {
                for (place, value) in list.into_iter().enumerate() {
                    values[place * count + cell] = value;
                }
            }
        }
        let leading = Some((self.dimension.clone(), self.length));
        Ok(Reduced { leading, elements: floats(DType::Float64, values)? })
    }

    fn accuracy(&self) -> Accuracy {
        self.function.facts().accuracy
    }

    fn parameters(&self) -> String {
        let facts = self.function.facts();
        format!("{} {}={}", facts.parameters, self.dimension, self.length)
    }
}

impl<C> fmt::Debug for PerElement<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PerElement({}={})", self.dimension, self.length)
    }
}
