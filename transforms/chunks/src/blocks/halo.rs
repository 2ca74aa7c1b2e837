//! Halos: what lies around a block, also beyond the ends of the dataset.

use std::ops::Range;

use array::{ArrayBuffer, Chunk, DatasetChunk, Region, Scalar, VariableChunk};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::reduce::pick_elements;

/// What lies beyond the ends of a dimension.
///
/// Source: Dask, "Overlapping computations", <https://docs.dask.org/en/stable/array-overlap.html>.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum BoundaryMode {
    /// Nothing: blocks at the ends have a shorter halo.
    None,
    /// The elements mirrored at the end, which is the last of them twice: `b a | a b c`.
    Reflect,
    /// The last element, again and again.
    Nearest,
    /// This value, as an element of whatever type.
    Constant(f64),
    /// The elements at the other end.
    Periodic,
}

/// The halo along one dimension of the dataset.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Halo {
    pub(crate) dimension: String,
    /// Elements on either side.
    pub(crate) depth: u64,
    pub(crate) mode: BoundaryMode,
    /// Elements of the dimension.
    pub(crate) size: u64,
}

impl Halo {
    /// What a block holds with its halo, counted from `depth` before the start of the dataset.
    ///
    /// Without what lies beyond the ends, but for a dimension that is periodic.
    pub(crate) fn frame(&self, block: &Range<u64>) -> Range<u64> {
        let frame = block.start..block.end + 2 * self.depth;
        match self.mode {
            BoundaryMode::Periodic => frame,
            _ => frame.start.max(self.depth)..frame.end.min(self.size + self.depth),
        }
    }

    /// Where some elements lie in the frame of a block, each with its part of the elements.
    ///
    /// In a dimension that is periodic they may lie there more than once.
    pub(crate) fn pieces(
        &self,
        elements: &Range<u64>,
        block: &Range<u64>,
    ) -> Vec<(u64, Range<u64>)> {
        let frame = self.frame(block);
        // Counted so that an image before the start is not below zero.
        let images = match self.mode {
            BoundaryMode::Periodic => 0..3,
            _ => 1..2,
        };
        let piece = |image: u64| {
            let shift = image * self.size + self.depth;
            let start = (elements.start + shift).max(frame.start + self.size);
            let end = (elements.end + shift).min(frame.end + self.size);
            let part = |at: u64| at - shift - elements.start;
            (start < end).then(|| (start - self.size, part(start)..part(end)))
        };
        images.filter_map(piece).collect()
    }

    /// Where blocks lie that may need some elements; in a dimension that is periodic, also beyond
    /// either end.
    pub(crate) fn near(&self, elements: &Range<u64>) -> [Range<u64>; 3] {
        let (start, end) = (elements.start.saturating_sub(self.depth), elements.end + self.depth);
        let (before, after) = match self.mode {
            BoundaryMode::Periodic => (
                0..end.saturating_sub(self.size),
                (elements.start + self.size).saturating_sub(self.depth)..self.size,
            ),
            _ => (0..0, 0..0),
        };
        [start..end, before, after]
    }

    /// How many elements of the halo lie before and after those of a frame: beyond the ends.
    fn beyond(&self, block: &Range<u64>) -> (u64, u64) {
        match self.mode {
            BoundaryMode::Periodic | BoundaryMode::None => (0, 0),
            _ => {
                let frame = self.frame(block);
                (frame.start - block.start, block.end + 2 * self.depth - frame.end)
            }
        }
    }

    /// Adds to a framed block what lies beyond the ends.
    pub(crate) fn pad(&self, block: &Range<u64>, framed: &DatasetChunk) -> Result<DatasetChunk> {
        let (before, after) = self.beyond(block);
        if (before, after) == (0, 0) {
            return Ok(framed.clone());
        }
        let pad = |variable: &VariableChunk| {
            let Some(axis) = variable.axis_of(&self.dimension) else { return Ok(variable.clone()) };
            let elements = variable.elements();
            let padded = match self.mode {
                BoundaryMode::Constant(value) => constant(elements, axis, before, after, value),
                _ => self.gathered(elements, axis, before, after),
            };
            variable.with_elements(padded.map_err(|error| error.at("variable", variable.name()))?)
        };
        DatasetChunk::new(framed.variables().iter().map(pad).collect::<Result<_>>()?)
    }

    fn gathered(&self, elements: &Chunk, axis: usize, before: u64, after: u64) -> Result<Chunk> {
        let length = elements.shape()[axis];
        let place = |distance: u64| match self.mode {
            BoundaryMode::Nearest => 0,
            _ => distance.min(length - 1),
        };
        let lead = (0..before).rev().map(place);
        let trail = (0..after).map(|distance| length - 1 - place(distance));
        let all = lead.chain(0..length).chain(trail).collect();
        let mut picked: Vec<Vec<u64>> =
            elements.shape().iter().map(|&length| (0..length).collect()).collect();
        picked[axis] = all;
        pick_elements(elements, &picked)
    }

    /// The part of a padded block that is the block itself.
    pub(crate) fn own(&self, block: &Range<u64>) -> Range<u64> {
        let lead = match self.mode {
            BoundaryMode::None => self.frame(block).start - block.start,
            _ => 0,
        };
        self.depth - lead..self.depth - lead + (block.end - block.start)
    }

    /// Elements of a padded block.
    pub(crate) fn padded_length(&self, block: &Range<u64>) -> u64 {
        let (frame, (before, after)) = (self.frame(block), self.beyond(block));
        frame.end - frame.start + before + after
    }
}

fn constant(elements: &Chunk, axis: usize, before: u64, after: u64, value: f64) -> Result<Chunk> {
    let dtype = elements.dtype();
    let exact = Scalar::of(value).cast(dtype);
    let rounded = || dtype.is_float().then(|| Scalar::from_float(dtype, value)).flatten();
    let Some(value) = exact.or_else(rounded) else {
        let message = format!("elements of {dtype} are padded with {value}, which is none");
        let error = Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::InvalidInput, message);
        return Err(error.mend("pad with a value of this type, or in another mode"));
    };
    let mut shape = elements.shape().to_vec();
    shape[axis] += before + after;
    let mut origin = vec![0; shape.len()];
    origin[axis] = before;
    let mut padded = ArrayBuffer::filled(&shape, &value);
    padded.write(&origin, elements, &Region::whole(elements.shape()))?;
    padded.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halo(depth: u64, mode: BoundaryMode) -> Halo {
        Halo { dimension: "x".to_owned(), depth, mode, size: 7 }
    }

    #[test]
    fn frames_end_where_the_dataset_does_unless_it_is_periodic() {
        let of = |mode, block: Range<u64>| halo(2, mode).frame(&block);
        assert_eq!(of(BoundaryMode::None, 0..3), 2..7);
        assert_eq!(of(BoundaryMode::None, 3..6), 3..9);
        assert_eq!(of(BoundaryMode::Periodic, 0..3), 0..7);
        assert_eq!(of(BoundaryMode::Periodic, 6..7), 6..11);
    }

    #[test]
    fn pieces_of_neighbours_and_of_the_other_end() {
        let none = halo(2, BoundaryMode::None);
        assert_eq!(none.pieces(&(0..3), &(3..6)), [(3, 1..3)]);
        assert_eq!(none.pieces(&(6..7), &(3..6)), [(8, 0..1)]);
        assert_eq!(none.pieces(&(6..7), &(0..3)), []);
        let periodic = halo(2, BoundaryMode::Periodic);
        assert_eq!(periodic.pieces(&(6..7), &(0..3)), [(1, 0..1)]);
        assert_eq!(periodic.pieces(&(0..3), &(6..7)), [(9, 0..2)]);
        // The only block is its own neighbour on both sides.
        assert_eq!(periodic.pieces(&(0..7), &(0..7)), [(0, 5..7), (2, 0..7), (9, 0..2)]);
    }
}
