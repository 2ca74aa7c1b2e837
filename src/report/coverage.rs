//! Which units of arrays are there, by the commit records of a run.

use std::collections::BTreeMap;
use std::ops::Range;

use array::{ChunkGrid, Region};
use chunks::Written;
use xxhash_rust::xxh3::xxh3_64;

use crate::report::model::{ArrayOutput, CompletenessMap, Outputs};

/// Units of all arrays together that are kept one by one, a bit or two each; arrays beyond are
/// counted and have no map.
const UNIT_LIMIT: u64 = 1 << 26;
/// Cells of a map.
const MAP_ROWS: u64 = 48;
const MAP_COLUMNS: u64 = 96;

/// The units of an array, and which of them are those of the run.
#[derive(Debug, Clone)]
pub(crate) struct UnitGrid {
    pub(crate) name: String,
    pub(crate) dimensions: Vec<String>,
    /// Of the whole array.
    pub(crate) grid: ChunkGrid,
    /// The units that the run writes, along each axis.
    pub(crate) own: Vec<Range<u64>>,
    /// The axes along which units may hold fill values that no source has given, if any do.
    pub(crate) hole_axes: Option<Vec<usize>>,
}

impl UnitGrid {
    fn expected(&self) -> u64 {
        self.own.iter().map(|range| range.end - range.start).product()
    }

    fn is_own(&self, index: &[u64]) -> bool {
        index.len() == self.own.len()
            && self.own.iter().zip(index).all(|(range, place)| range.contains(place))
    }
}

/// What is there of each array.
#[derive(Debug)]
pub(crate) struct Coverage {
    arrays: BTreeMap<String, Tally>,
    digest: u64,
}

#[derive(Debug)]
struct Tally {
    grid: UnitGrid,
    /// A bit for every unit of the whole array, if they are kept.
    seen: Option<Bits>,
    written: u64,
    encoded_bytes: u64,
}

impl Coverage {
    /// Nothing is there yet.
    pub(crate) fn new(grids: Vec<UnitGrid>) -> Self {
        let mut left = UNIT_LIMIT;
        let tallies = grids.into_iter().map(|grid| {
            let count = grid.grid.chunk_count();
            let seen = (count <= left).then(|| Bits::new(count));
            left -= if seen.is_some() { count } else { 0 };
            (grid.name.clone(), Tally { grid, seen, written: 0, encoded_bytes: 0 })
        });
        Self { arrays: tallies.collect(), digest: 0 }
    }

    /// Counts a unit that was committed; a second time changes nothing.
    pub(crate) fn add(&mut self, unit: &Written) {
        let Some(tally) = self.arrays.get_mut(&unit.array) else { return };
        if !tally.grid.is_own(&unit.index) {
            return;
        }
        let place = tally.grid.grid.linear_index(&unit.index);
        if tally.seen.as_mut().is_some_and(|seen| !seen.set(place)) {
            return;
        }
        tally.written += 1;
        tally.encoded_bytes += unit.encoded_bytes;
        let (array, index) = (&unit.array, &unit.index);
        let text = format!("{array}\0{index:?}\0{}\0{:08x}", unit.encoded_bytes, unit.crc32c);
        // A sum does not depend on the order of units.
        self.digest = self.digest.wrapping_add(xxh3_64(text.as_bytes()));
    }

    /// What a report says; `has_hole` tells whether a region of an array has elements that no
    /// source has given.
    ///
    /// `is_kept` is false where what was written was removed again.
    pub(crate) fn outputs(
        &self,
        is_visible: bool,
        is_kept: bool,
        has_hole: &dyn Fn(&str, &Region) -> bool,
    ) -> Outputs {
        let arrays: Vec<ArrayOutput> =
            self.arrays.values().map(|tally| tally.output(is_kept, has_hole)).collect();
        let sum = |of: fn(&ArrayOutput) -> u64| arrays.iter().map(of).sum();
        let (expected, written) = (sum(|it| it.expected), sum(|it| it.written));
        Outputs {
            is_visible,
            digest: (expected == written).then(|| format!("xxh3:{:016x}", self.digest)),
            chunks_expected: expected,
            chunks_written: written,
            chunks_filled: sum(|it| it.filled),
            chunks_missing: sum(|it| it.missing),
            encoded_bytes: sum(|it| it.encoded_bytes),
            arrays,
        }
    }
}

impl Tally {
    fn output(&self, is_kept: bool, has_hole: &dyn Fn(&str, &Region) -> bool) -> ArrayOutput {
        let grid = &self.grid;
        let expected = grid.expected();
        let written = if is_kept { self.written.min(expected) } else { 0 };
        let mut holes = Holes { grid, has_hole, known: BTreeMap::new() };
        let seen = self.seen.as_ref().filter(|_| is_kept);
        let cells = self.seen.is_some().then(|| cells(grid, seen, &mut holes));
        ArrayOutput {
            name: grid.name.clone(),
            dimensions: grid.dimensions.clone(),
            shape: grid.grid.shape(),
            unit_shape: grid.grid.largest_chunk(),
            expected,
            written,
            filled: cells.as_ref().map_or(0, |(_, filled)| *filled),
            missing: expected - written,
            encoded_bytes: if is_kept { self.encoded_bytes } else { 0 },
            map: cells.map(|(map, _)| map),
        }
    }
}

/// Which units have a hole: the same for all that lie at one place along some axes.
struct Holes<'a> {
    grid: &'a UnitGrid,
    has_hole: &'a dyn Fn(&str, &Region) -> bool,
    known: BTreeMap<Vec<u64>, bool>,
}

impl Holes<'_> {
    fn at(&mut self, index: &[u64]) -> bool {
        let Some(axes) = &self.grid.hole_axes else { return false };
        let place: Vec<u64> = axes.iter().filter_map(|&axis| index.get(axis).copied()).collect();
        if let Some(&known) = self.known.get(&place) {
            return known;
        }
        let has_hole = (self.has_hole)(&self.grid.name, &self.grid.grid.region(index));
        self.known.insert(place, has_hole);
        has_hole
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    expected: u64,
    written: u64,
    filled: u64,
}

impl Cell {
    const fn sign(self) -> char {
        match self {
            Self { expected: 0, .. } => '-',
            Self { written: 0, .. } => '.',
            Self { expected, written, .. } if written < expected => '+',
            Self { filled: 0, .. } => '#',
            Self { .. } => 'o',
        }
    }
}

/// The map of an array, and how many of its units have holes.
fn cells(grid: &UnitGrid, seen: Option<&Bits>, holes: &mut Holes<'_>) -> (CompletenessMap, u64) {
    let counts = grid.grid.counts();
    let axes: Vec<usize> = (0..counts.len()).filter(|&axis| counts[axis] != 1).collect();
    // What has several units along one dimension only lies in a row.
    let (row, columns) = match axes.as_slice() {
        [row, columns @ ..] if !columns.is_empty() => (Some(*row), columns.to_vec()),
        columns => (None, columns.to_vec()),
    };
    let row_units = row.map_or(1, |axis| counts[axis]);
    let column_units: u64 = columns.iter().map(|&axis| counts[axis]).product();
    let name = |axis: &usize| grid.dimensions.get(*axis).cloned();
    let row_dimension = row.as_ref().and_then(name);
    let column_dimensions = columns.iter().filter_map(name).collect();
    let (rows, columns) = (row_units.min(MAP_ROWS), column_units.min(MAP_COLUMNS));
    let mut cells = vec![Cell::default(); (rows * columns) as usize];
    let mut filled = 0;
    for place in 0..row_units * column_units {
        let (row, column) = (place / column_units, place % column_units);
        let cell = row * rows / row_units * columns + column * columns / column_units;
        let cell = &mut cells[cell as usize];
        let index = grid.grid.index_of(place);
        if !grid.is_own(&index) {
            continue;
        }
        cell.expected += 1;
        if seen.is_some_and(|seen| seen.get(place)) {
            cell.written += 1;
            if holes.at(&index) {
                cell.filled += 1;
                filled += 1;
            }
        }
    }
    let columns = (columns as usize).max(1);
    let rows = cells.chunks(columns).map(|row| row.iter().map(|cell| cell.sign()).collect());
    let rows = rows.collect();
    (CompletenessMap { row_dimension, row_units, column_dimensions, column_units, rows }, filled)
}

/// A set of small numbers.
#[derive(Debug)]
struct Bits(Vec<u64>);

impl Bits {
    fn new(count: u64) -> Self {
        Self(vec![0; count.div_ceil(64) as usize])
    }

    /// Adds a number; whether it is new.
    fn set(&mut self, number: u64) -> bool {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }

    fn get(&self, number: u64) -> bool {
        self.0[(number / 64) as usize] >> (number % 64) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(
        shape: &[u64],
        unit: &[u64],
        own: Vec<Range<u64>>,
        hole: Option<Vec<usize>>,
    ) -> UnitGrid {
        let dimensions = (0..shape.len()).map(|axis| format!("d{axis}")).collect();
        let grid = ChunkGrid::regular(shape, unit);
        UnitGrid { name: "v".to_owned(), dimensions, grid, own, hole_axes: hole }
    }

    fn unit(index: &[u64]) -> Written {
        Written { array: "v".to_owned(), index: index.to_vec(), encoded_bytes: 10, crc32c: 7 }
    }

    #[test]
    fn units_are_counted_once_and_shown_where_they_lie() {
        let mut coverage =
            Coverage::new(vec![grid(&[6, 4], &[2, 1], vec![1..3, 0..4], Some(vec![0]))]);
        for index in [[1, 0], [1, 1], [1, 1], [2, 0], [2, 1], [2, 2], [2, 3], [0, 0]] {
            coverage.add(&unit(&index));
        }
        let has_hole = |_: &str, region: &Region| region.range(0).contains(&5);
        let outputs = coverage.outputs(true, true, &has_hole);
        let array = &outputs.arrays[0];
        let map = array.map.as_ref().expect("few units");
        assert_eq!(map.rows, ["----", "##..", "oooo"]);
        assert_eq!((array.expected, array.written, array.filled, array.missing), (8, 6, 4, 2));
        assert_eq!((array.encoded_bytes, outputs.digest.as_deref()), (60, None));
        let removed = coverage.outputs(false, false, &has_hole);
        assert_eq!(removed.arrays[0].map.as_ref().expect("few").rows, ["----", "....", "...."]);
        assert_eq!((removed.chunks_written, removed.chunks_missing), (0, 8));
    }

    #[test]
    fn the_digest_is_that_of_the_units_in_whichever_order() {
        let of = |order: &[u64]| {
            let mut coverage = Coverage::new(vec![grid(&[4, 1], &[1, 1], vec![0..4, 0..1], None)]);
            order.iter().for_each(|&place| coverage.add(&unit(&[place, 0])));
            coverage.outputs(true, true, &|_, _| false)
        };
        let forwards = of(&[0, 1, 2, 3]);
        assert_eq!(of(&[3, 0, 2, 1, 2]), forwards);
        assert!(forwards.digest.is_some());
        assert_eq!(forwards.arrays[0].map.as_ref().expect("few").rows, ["####"]);
    }

    #[test]
    fn many_units_are_few_cells() {
        let mut coverage =
            Coverage::new(vec![grid(&[300, 300], &[1, 1], vec![0..300, 0..300], None)]);
        coverage.add(&unit(&[299, 299]));
        let outputs = coverage.outputs(true, true, &|_, _| false);
        let map = outputs.arrays[0].map.as_ref().expect("few bits");
        assert_eq!((map.rows.len(), map.rows[0].len()), (48, 96));
        assert_eq!(&map.rows[47][94..], ".+");
    }
}
