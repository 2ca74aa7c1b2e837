//! How files lie: the place of each, from its keys.

use dataflow::error::Result;

use crate::options::{BakeOptions, OverlapPolicy};
use crate::pattern::{CombineOp, FilePattern, invalid};
use crate::schema::FilePlace;

/// A dimension of a grid of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GridDim {
    pub(crate) name: String,
    /// Number of keys.
    pub(crate) count: u32,
    /// By how many places the files of neighbouring keys are apart.
    pub(crate) stride: u32,
    /// Elements of each file along it, where that was said.
    pub(crate) nitems: Option<u64>,
    /// It is made from keys, whose order is that in which they were given.
    pub(crate) is_expanded: bool,
}

impl GridDim {
    /// The number of the key of a file.
    pub(crate) fn position(&self, place: FilePlace) -> u32 {
        place / self.stride % self.count
    }

    /// What the key of a file adds to its place.
    pub(crate) fn offset(&self, place: FilePlace) -> u32 {
        self.position(place) * self.stride
    }
}

/// The dimensions of a pattern. The place of a file is the sum of what each of its keys adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileGrid {
    /// Those along which files follow each other, the slowest first.
    pub(crate) along: Vec<GridDim>,
    /// Those along which files hold different variables, the slowest first.
    pub(crate) merged: Vec<GridDim>,
    pub(crate) file_count: u32,
}

impl FileGrid {
    /// The dimensions of this pattern.
    ///
    /// # Errors
    /// More files than are baked at once.
    pub(crate) fn of(pattern: &FilePattern) -> Result<Self> {
        let file_count = u32::try_from(pattern.len()).ok().filter(|it| *it < FilePlace::MAX);
        let file_count = file_count.ok_or_else(|| {
            invalid(format!("a pattern of {} files is too large to be baked", pattern.len()))
                .mend("give fewer keys, or prune it")
        })?;
        let (mut along, mut merged) = (Vec::new(), Vec::new());
        let mut stride = file_count;
        for dim in pattern.dims() {
            let count = dim.count() as u32;
            stride /= count;
            let nitems = dim.nitems_per_file().map(std::num::NonZeroU64::get);
            let is_expanded = dim.op() == CombineOp::Expand;
            let own = GridDim { name: dim.name().to_owned(), count, stride, nitems, is_expanded };
            match dim.op() {
                CombineOp::Merge => merged.push(own),
                CombineOp::Concat | CombineOp::Expand => along.push(own),
            }
        }
        Ok(Self { along, merged, file_count })
    }

    /// The dimensions of the pattern that these options name.
    ///
    /// # Errors
    /// More files than are baked at once.
    pub(crate) fn asked(options: &BakeOptions) -> Result<Option<Self>> {
        options.pattern.as_ref().map(Self::of).transpose()
    }

    /// Whether the files are more than a list along one dimension.
    pub(crate) fn is_grid(&self) -> bool {
        self.along.len() > 1 || !self.merged.is_empty()
    }

    /// Whether files follow each other along a dimension as its keys were given, whatever these
    /// are: no policy asks for another order.
    pub(crate) fn is_as_given(&self, dim: usize, options: &BakeOptions) -> bool {
        let is_expanded = self.along.get(dim).is_some_and(|dim| dim.is_expanded);
        is_expanded && options.overlap == OverlapPolicy::Error
    }

    /// The number of this concat dimension.
    pub(crate) fn along_of(&self, name: &str) -> Option<usize> {
        self.along.iter().position(|dim| dim.name == name)
    }

    /// How many combinations there are of the keys of all merge dimensions.
    pub(crate) fn cell_count(&self) -> u32 {
        self.merged.iter().map(|dim| dim.count).product()
    }

    /// How many files each combination has.
    pub(crate) fn files_per_cell(&self) -> u32 {
        self.file_count / self.cell_count()
    }

    /// The first file with the same keys of all merge dimensions.
    pub(crate) fn cell_start(&self, place: FilePlace) -> FilePlace {
        self.merged.iter().map(|dim| dim.offset(place)).sum()
    }

    /// The first file of every combination of keys of the merge dimensions, in order.
    pub(crate) fn cell_starts(&self) -> Vec<FilePlace> {
        let mut starts = vec![0];
        for dim in &self.merged {
            let with_keys =
                |start: u32| (0..dim.count).map(move |position| start + position * dim.stride);
            starts = starts.into_iter().flat_map(with_keys).collect();
        }
        starts.sort_unstable();
        starts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::{CombineDim, Keys};

    #[test]
    fn the_place_of_a_file_is_the_sum_of_what_its_keys_add() {
        let keys = |count| Keys::integers(1, count, 1).expect("keys");
        let dims = [
            CombineDim::concat("t", keys(2)),
            CombineDim::merge("v", keys(3)),
            CombineDim::expand("m", keys(4)),
        ];
        let pattern = FilePattern::new("{t}{v}{m}".parse().expect("a template"), dims);
        let grid = FileGrid::of(&pattern.expect("a pattern")).expect("a grid");
        assert_eq!((grid.file_count, grid.cell_count(), grid.files_per_cell()), (24, 3, 8));
        assert_eq!(grid.cell_starts(), [0, 4, 8]);
        for place in 0..24 {
            let along: u32 = grid.along.iter().map(|dim| dim.offset(place)).sum();
            assert_eq!(along + grid.cell_start(place), place);
        }
        assert_eq!(grid.along[0].position(13), 1);
        assert_eq!(grid.along[1].position(13), 1);
    }
}
