//! What a reduction must be able to do.

use array::{Chunk, DType};
use dataflow::combine::Accuracy;
use dataflow::error::Result;

use crate::reduce::cells::Cells;
use crate::reduce::number::{Number, Values, with_number};

/// The elements of a variable in one chunk, and the cells that they go into.
#[derive(Debug)]
pub struct ReduceInput<'a> {
    /// The elements.
    pub(crate) elements: &'a Chunk,
    pub(crate) cells: &'a Cells,
    /// Where elements lie along the one dimension that is reduced, if it is one.
    pub(crate) positions: Option<Positions>,
}

/// Where elements lie along a dimension of the whole dataset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Positions {
    /// What one step along the dimension adds to the place of an element.
    pub(crate) stride: usize,
    pub(crate) length: usize,
    /// The offset of the chunk.
    pub(crate) first: u64,
}

impl Positions {
    /// The index of an element along the dimension.
    pub(crate) fn of(self, element: usize) -> u64 {
        self.first + (element / self.stride % self.length.max(1)) as u64
    }
}

impl ReduceInput<'_> {
    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        self.elements.dtype()
    }

    /// The number of cells.
    pub fn cell_count(&self) -> usize {
        self.cells.count()
    }

    /// Calls `visit(cell, value)` for every element, in C order, widened or rounded to 64 bits.
    ///
    /// # Errors
    /// Elements that are not numbers.
    pub fn for_each_float(&self, mut visit: impl FnMut(usize, f64)) -> Result<()> {
        with_number!(self.dtype(), T => {
            let values = Values::<T>::new(self.elements);
            self.cells.for_each(|element, cell| visit(cell, values.get(element).to_float()));
            Ok(())
        })
    }
}

/// What came out of a reduction, for all cells.
#[derive(Debug)]
pub struct Reduced {
    /// A dimension that every result has besides those of its cell; it comes first.
    pub leading: Option<(String, u64)>,
    /// The type and the elements, in C order: those of the leading dimension, then the cells.
    pub elements: Chunk,
}

/// Reduces elements to one result a cell, by way of arrays that can be merged.
///
/// What must hold: merging is associative, and either commutative to the bit or declared to be
/// within a tolerance; arrays of no element change nothing.
///
/// Implementors are [`Reduction`](crate::Reduction), and [`PerElement`](crate::PerElement) for
/// functions of one's own.
pub trait Reducer: Clone + Send + Sync + 'static {
    /// Reduces the elements of one chunk.
    ///
    /// # Errors
    /// Elements of a type that cannot be reduced.
    fn start(&self, input: &ReduceInput<'_>) -> Result<Vec<Chunk>>;

    /// Merges the arrays of two chunks; `dtype` is that of the elements.
    ///
    /// # Errors
    /// Arrays that are not of this reduction.
    fn merge(&self, dtype: DType, left: &[Chunk], right: &[Chunk]) -> Result<Vec<Chunk>>;

    /// The results.
    ///
    /// # Errors
    /// A result that its type does not hold, or that does not exist.
    fn finish(&self, dtype: DType, parts: &[Chunk]) -> Result<Reduced>;

    /// Whether it needs to know where elements lie along the one dimension that is reduced.
    fn needs_positions(&self) -> bool {
        false
    }

    /// Whether the order of merging shows in results, for elements of any type.
    fn accuracy(&self) -> Accuracy;

    /// Arguments that change results.
    fn parameters(&self) -> String;
}
