//! Which elements of a box go into which cell of a result.

use array::Chunk;
use dataflow::error::Result;

/// What becomes of one axis.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AxisCells<'a> {
    /// Each element has a cell of its own.
    Kept,
    /// All elements share one cell.
    All,
    /// Each run of so many elements shares a cell; the last may be shorter.
    Windows(u64),
    /// These elements share one cell, others go nowhere.
    Chosen(&'a [u64]),
    /// Each of these elements has a cell of its own, others go nowhere.
    Picked(&'a [u64]),
}

/// Pairs of elements and cells, both by their places in C order.
#[derive(Debug)]
pub(crate) struct Cells {
    /// For each axis: what an element adds to the place in the box, and to that of the cell.
    axes: Vec<Vec<(usize, usize)>>,
    shape: Vec<u64>,
}

impl Cells {
    /// The cells of a box of this shape.
    pub(crate) fn new(shape: &[u64], axes: &[AxisCells<'_>]) -> Self {
        debug_assert_eq!(shape.len(), axes.len(), "one rule per axis");
        let cell_shape: Vec<u64> = shape
            .iter()
            .zip(axes)
            .map(|(&length, axis)| match axis {
                AxisCells::Kept => length,
                AxisCells::All | AxisCells::Chosen(_) => 1,
                AxisCells::Windows(window) => length.div_ceil(*window),
                AxisCells::Picked(picked) => picked.len() as u64,
            })
            .collect();
        let (strides, cell_strides) = (strides(shape), strides(&cell_shape));
        let mut pairs = Vec::with_capacity(axes.len());
        for (place, axis) in axes.iter().enumerate() {
            let pair = |element: u64, cell: u64| {
                (element as usize * strides[place], cell as usize * cell_strides[place])
            };
            let all = 0..shape[place];
            pairs.push(match axis {
                AxisCells::Kept => all.map(|it| pair(it, it)).collect(),
                AxisCells::All => all.map(|it| pair(it, 0)).collect(),
                AxisCells::Windows(window) => all.map(|it| pair(it, it / window)).collect(),
                AxisCells::Chosen(chosen) => chosen.iter().map(|&it| pair(it, 0)).collect(),
                AxisCells::Picked(picked) => {
                    (0..).zip(*picked).map(|(cell, &it)| pair(it, cell)).collect()
                }
            });
        }
        Self { axes: pairs, shape: cell_shape }
    }

    /// Cells along each axis; one along an axis that is reduced.
    pub(crate) fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// The number of cells.
    pub(crate) fn count(&self) -> usize {
        self.shape.iter().product::<u64>() as usize
    }

    /// Calls `visit(element, cell)` for every element that has a cell, in C order.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(usize, usize)) {
        let Some((last, outer)) = self.axes.split_last() else { return visit(0, 0) };
        if self.axes.iter().any(Vec::is_empty) {
            return;
        }
        let mut index = vec![0usize; outer.len()];
        loop {
            let bases = outer.iter().zip(&index).map(|(axis, &place)| axis[place]);
            let (element, cell) = bases.fold((0, 0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
            last.iter().for_each(|pair| visit(element + pair.0, cell + pair.1));
            let mut axis = outer.len();
            loop {
                if axis == 0 {
                    return;
                }
                axis -= 1;
                index[axis] += 1;
                if index[axis] < outer[axis].len() {
                    break;
                }
                index[axis] = 0;
            }
        }
    }
}

/// The elements at these places along each axis, in their order.
pub(crate) fn pick_elements(elements: &Chunk, picked: &[Vec<u64>]) -> Result<Chunk> {
    let axes: Vec<AxisCells<'_>> = picked.iter().map(|it| AxisCells::Picked(it)).collect();
    let cells = Cells::new(elements.shape(), &axes);
    let Some(item) = elements.dtype().item_bytes() else {
        let texts = elements.texts()?;
        let mut picked = Vec::with_capacity(cells.count());
        cells.for_each(|element, _| picked.push(texts[element]));
        return Chunk::of_texts(cells.shape(), &picked);
    };
    let mut payload = Vec::with_capacity(cells.count() * item);
    cells.for_each(|element, _| {
        payload.extend_from_slice(&elements.payload()[element * item..][..item]);
    });
    Chunk::new(elements.dtype(), cells.shape(), payload.into())
}

/// What one step along each axis adds to a place in C order.
pub(crate) fn strides(shape: &[u64]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis] as usize;
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(shape: &[u64], axes: &[AxisCells<'_>], want: &[(usize, usize)]) {
        let mut pairs = Vec::new();
        Cells::new(shape, axes).for_each(|element, cell| pairs.push((element, cell)));
        assert_eq!(pairs, want);
    }

    #[test]
    fn elements_find_their_cells() {
        use AxisCells::{All, Chosen, Kept, Windows};
        check(&[2, 2], &[All, Kept], &[(0, 0), (1, 1), (2, 0), (3, 1)]);
        check(&[2, 2], &[Kept, All], &[(0, 0), (1, 0), (2, 1), (3, 1)]);
        check(&[5], &[Windows(2)], &[(0, 0), (1, 0), (2, 1), (3, 1), (4, 2)]);
        check(&[3, 2], &[Chosen(&[2, 0]), Kept], &[(4, 0), (5, 1), (0, 0), (1, 1)]);
        check(&[], &[], &[(0, 0)]);
        check(&[0, 2], &[All, Kept], &[]);
    }
}
