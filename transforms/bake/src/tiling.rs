//! Which elements of which files a variable of the store is made of.

use std::ops::Range;
use std::sync::Arc;

use array::{Axis, ChunkGrid, Region, Variable};
use serde::{Deserialize, Serialize};

use crate::filled::FilledRun;
use crate::order::Piece;
use crate::schema::FilePlace;

/// Rows of an array that lies in one piece are read together up to this size.
const SLAB_BYTES: u64 = 64 << 10;

/// Elements along a dimension of the store that follow each other in one file, or that no file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// How many.
    pub length: u64,
    /// What is added to the place of the first file of a variable to get that of this one; `None`
    /// where no file has the elements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<u32>,
    /// The first element of the file that is taken.
    #[serde(default)]
    pub start: u64,
}

/// All elements along a dimension of the store, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lane(pub Vec<Segment>);

impl Lane {
    /// The number of elements.
    pub fn length(&self) -> u64 {
        self.0.iter().map(|segment| segment.length).sum()
    }

    /// Whether no file has some of the elements.
    pub(crate) fn has_holes(&self) -> bool {
        self.0.iter().any(|segment| segment.file.is_none())
    }
}

impl From<&[Piece]> for Lane {
    fn from(pieces: &[Piece]) -> Self {
        Self::of_list(pieces, &[])
    }
}

impl Lane {
    /// The elements of a list of files, and of runs between them that no file has.
    ///
    /// Such a run starts, as a segment, at its place in the store: so its elements are known.
    pub(crate) fn of_list(pieces: &[Piece], filled: &[FilledRun]) -> Self {
        let (mut segments, mut end) = (Vec::with_capacity(pieces.len() + filled.len()), 0);
        let mut filled = filled.iter().peekable();
        for &Piece { file, start, length } in pieces {
            if let Some(run) = filled.next_if(|run| run.start == end) {
                segments.push(Segment { length: run.length, file: None, start: run.start });
                end += run.length;
            }
            segments.push(Segment { length, file: Some(file), start });
            end += length;
        }
        Self(segments)
    }
}

/// Along which dimensions the files of a variable follow each other, and how.
///
/// The place of a file is the sum of that of the first one and of those of its segments: files lie
/// in a grid, row by row.
#[derive(Debug, Clone)]
pub(crate) struct Tiling {
    pub(crate) first: FilePlace,
    /// Those that files lack come first: they are the first dimensions of the variable.
    pub(crate) axes: Vec<TiledAxis>,
    pub(crate) rank: usize,
}

/// One dimension along which the files of a variable follow each other.
#[derive(Debug, Clone)]
pub(crate) struct TiledAxis {
    /// The dimension of the variable.
    pub(crate) axis: usize,
    /// Its number among the dimensions along which files have lengths.
    dim: usize,
    /// Files do not have it: each of their values stands for all their elements along it.
    is_repeated: bool,
    segments: Arc<[Segment]>,
    /// Where each segment begins, and where the last one ends.
    starts: Arc<[u64]>,
}

/// What one file adds to one region.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// The file; `None` where there is none.
    pub(crate) file: Option<FilePlace>,
    /// The elements of the file's own array, with its dimensions in the order of the target.
    pub(crate) region: Region,
    /// Where they go, from the start of the region that was asked for.
    pub(crate) at: Vec<u64>,
    /// How many elements they become: more along dimensions that the file does not have.
    pub(crate) extent: Vec<u64>,
}

impl TiledAxis {
    pub(crate) fn new(axis: usize, dim: usize, is_repeated: bool, lane: &Lane) -> Self {
        let ends = lane.0.iter().scan(0, |end, segment| {
            *end += segment.length;
            Some(*end)
        });
        let starts = std::iter::once(0).chain(ends).collect();
        Self { axis, dim, is_repeated, segments: lane.0.as_slice().into(), starts }
    }

    /// The segments that hold some of these elements, and which of them.
    fn meeting(&self, wanted: &Range<u64>) -> impl Iterator<Item = (&Segment, Range<u64>, u64)> {
        let first = self.starts.partition_point(|&start| start <= wanted.start).saturating_sub(1);
        let (start, end) = (wanted.start, wanted.end);
        let places = (first..self.segments.len()).take_while(move |&it| self.starts[it] < end);
        places.filter_map(move |place| {
            let segment_start = self.starts[place];
            let from = start.max(segment_start);
            let to = end.min(self.starts[place + 1]);
            (from < to).then_some((&self.segments[place], from..to, segment_start))
        })
    }

    /// The elements that the one file of all segments has of a region: parts of its own array, and
    /// where they go, from the place of the region that they are a piece of.
    pub(crate) fn pieces_of(&self, (own, at): &(Region, Vec<u64>)) -> Vec<(Region, Vec<u64>)> {
        let wanted = own.range(self.axis);
        let of_file = self.meeting(&wanted).filter(|(segment, ..)| segment.file.is_some());
        let piece = |(segment, range, segment_start): (&Segment, Range<u64>, u64)| {
            let mut at = at.clone();
            at[self.axis] += range.start - wanted.start;
            let start = range.start - segment_start + segment.start;
            let length = range.end - range.start;
            let ranges = own.ranges().enumerate().map(|(axis, it)| match axis == self.axis {
                true => start..start + length,
                false => it,
            });
            (Region::new(ranges), at)
        };
        of_file.map(piece).collect()
    }

    /// The chunks of all segments, cut as they lie in their files.
    fn chunks(&self, chunk_length: u64) -> Axis {
        let inner = &self.segments[..self.segments.len().saturating_sub(1)];
        let starts_chunks = self.segments.iter().all(|it| it.start % chunk_length == 0);
        if starts_chunks && inner.iter().all(|it| it.length % chunk_length == 0) {
            let length = self.segments.iter().map(|it| it.length).sum();
            return Axis::regular(length, chunk_length);
        }
        Axis::of_lengths(self.segments.iter().flat_map(|segment| {
            let (start, end) = (segment.start, segment.start + segment.length);
            let chunks = start / chunk_length..end.div_ceil(chunk_length);
            chunks.map(move |index| {
                end.min((index + 1) * chunk_length) - start.max(index * chunk_length)
            })
        }))
    }
}

impl Tiling {
    /// The dimensions of the variable that a file does not have: so many, the first ones.
    pub(crate) fn repeated_count(&self) -> usize {
        self.axes.iter().filter(|axis| axis.is_repeated).count()
    }

    /// The chunks of the sources of a variable, joined: what is read at once.
    ///
    /// Times that are encoded anew are read by whole files, as `TimeEncoding::decode` asks for.
    pub(crate) fn grid(
        &self,
        target: &Variable,
        source_chunks: Option<&[u64]>,
        is_whole: bool,
    ) -> ChunkGrid {
        let offset = self.repeated_count();
        let own_shape = &target.shape[offset..];
        let row: u64 = own_shape.iter().skip(1).product::<u64>() * target.dtype.estimated_bytes();
        let slab = |axis: usize| match axis {
            0 if !is_whole => (SLAB_BYTES / row.max(1)).max(1),
            _ => own_shape[axis].max(1),
        };
        let chunk_of = |axis: usize| match source_chunks.filter(|_| !is_whole) {
            Some(chunks) if chunks.len() == own_shape.len() => chunks[axis].max(1),
            _ => slab(axis),
        };
        let axes =
            (0..target.shape.len()).map(|axis| match self.axes.iter().find(|it| it.axis == axis) {
                Some(tiled) if tiled.is_repeated => {
                    Axis::of_lengths(tiled.segments.iter().map(|segment| segment.length))
                }
                Some(tiled) => tiled.chunks(chunk_of(axis - offset)),
                None => Axis::regular(target.shape[axis], chunk_of(axis - offset)),
            });
        ChunkGrid::new(axes)
    }

    /// What each file adds to a region, in the order of the store.
    pub(crate) fn parts(&self, region: &Region) -> Vec<Part> {
        let whole = Part {
            file: Some(self.first),
            region: region.clone(),
            at: vec![0; region.rank()],
            extent: region.shape(),
        };
        let mut parts = vec![whole];
        for tiled in &self.axes {
            let axis = tiled.axis;
            let wanted = region.range(axis);
            parts = parts.iter().flat_map(|part| tiled.split(part, &wanted)).collect();
            debug_assert!(axis < self.rank, "an axis of the variable");
        }
        let repeated_count = self.repeated_count();
        if repeated_count > 0 {
            for part in &mut parts {
                part.region = Region::new(part.region.ranges().skip(repeated_count));
            }
        }
        parts
    }

    /// The shape of the array of a file, of which `shape` is that of the target and `lengths` are
    /// those of the file along all dimensions along which files follow each other.
    pub(crate) fn file_shape(&self, shape: &[u64], lengths: &[u64]) -> Vec<u64> {
        let mut own = shape.to_vec();
        for tiled in self.axes.iter().filter(|it| !it.is_repeated) {
            own[tiled.axis] = lengths[tiled.dim];
        }
        own.split_off(self.repeated_count())
    }
}

impl TiledAxis {
    /// A part, cut where one file ends and the next begins.
    fn split<'a>(&'a self, part: &'a Part, wanted: &'a Range<u64>) -> impl Iterator<Item = Part> {
        self.meeting(wanted).map(move |(segment, range, segment_start)| {
            let mut at = part.at.clone();
            at[self.axis] = range.start - wanted.start;
            let mut extent = part.extent.clone();
            extent[self.axis] = range.end - range.start;
            let own = range.start - segment_start + segment.start
                ..range.end - segment_start + segment.start;
            let ranges = part.region.ranges().enumerate();
            let ranges = ranges.map(|(axis, it)| if axis == self.axis { own.clone() } else { it });
            let file = part.file.zip(segment.file).map(|(file, more)| file + more);
            Part { file, region: Region::new(ranges), at, extent }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(length: u64, file: Option<u32>, start: u64) -> Segment {
        Segment { length, file, start }
    }

    fn tiling() -> Tiling {
        // Two rows of three files; the second column is not there along the last dimension.
        let rows = Lane(vec![segment(2, Some(0), 0), segment(1, Some(3), 0)]);
        let columns =
            Lane(vec![segment(2, Some(0), 1), segment(1, None, 0), segment(2, Some(2), 0)]);
        let axes = vec![TiledAxis::new(0, 0, false, &rows), TiledAxis::new(2, 1, false, &columns)];
        Tiling { first: 10, axes, rank: 3 }
    }

    /// A file, its elements, and where they go.
    type Wanted = (Option<u32>, [[u64; 2]; 3], [u64; 3]);

    #[track_caller]
    fn check(ranges: [Range<u64>; 3], want: &[Wanted]) {
        let parts = tiling().parts(&Region::new(ranges));
        let found: Vec<_> = parts
            .iter()
            .map(|part| {
                let range = |axis| [part.region.range(axis).start, part.region.range(axis).end];
                let at = [part.at[0], part.at[1], part.at[2]];
                assert_eq!(part.region.shape(), part.extent);
                (part.file, [range(0), range(1), range(2)], at)
            })
            .collect();
        assert_eq!(found, want);
    }

    #[test]
    fn a_region_is_cut_where_files_end_along_every_dimension() {
        check([0..1, 5..6, 0..2], &[(Some(10), [[0, 1], [5, 6], [1, 3]], [0, 0, 0])]);
        check(
            [1..3, 0..9, 1..4],
            &[
                (Some(10), [[1, 2], [0, 9], [2, 3]], [0, 0, 0]),
                (None, [[1, 2], [0, 9], [0, 1]], [0, 0, 1]),
                (Some(12), [[1, 2], [0, 9], [0, 1]], [0, 0, 2]),
                (Some(13), [[0, 1], [0, 9], [2, 3]], [1, 0, 0]),
                (None, [[0, 1], [0, 9], [0, 1]], [1, 0, 1]),
                (Some(15), [[0, 1], [0, 9], [0, 1]], [1, 0, 2]),
            ],
        );
    }

    #[test]
    fn a_file_has_its_own_lengths() {
        assert_eq!(tiling().file_shape(&[3, 9, 5], &[2, 3]), [2, 9, 3]);
    }
}
