//! The part of an array that is written: whole units, from the first that holds a new element to
//! the last.
//!
//! Read through the window, its first elements are the old ones of a partial unit, then come those
//! of the files, and where the array goes on the old ones of the last unit; written through it,
//! units keep their places in the array.

use std::ops::Range;
use std::sync::Arc;

use array::{
    ArraySink, ArraySource, Axis, Chunk, ChunkGrid, EncodedChunks, EncodedFacts, Fetched,
    Placement, Region, SinkFacts, SourceFacts, UnitStream, Writing,
};
use bytes::Bytes;
use dataflow::error::{Error, Result};

use super::window_chunks::WindowChunks;

/// Where a window lies in its array.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    /// The dimension of the array that grows.
    pub(crate) axis: usize,
    /// The first unit along it that is written.
    pub(crate) first_unit: u64,
    /// The element at which that unit begins.
    pub(crate) start: u64,
    /// Old elements along it before the new ones: those of the first unit.
    pub(crate) old_length: u64,
    /// Elements of the files along it; old ones follow where the window does not end.
    new_length: u64,
    /// Elements of the window.
    pub(crate) shape: Vec<u64>,
    /// Elements of a unit.
    unit_shape: Vec<u64>,
}

impl Window {
    /// The window of an array of this new shape and these units that had `old_length` elements
    /// along `axis`.
    pub(crate) fn new(shape: &[u64], unit_shape: &[u64], axis: usize, old_length: u64) -> Self {
        Self::of_range(shape, unit_shape, axis, &(old_length..shape[axis]))
    }

    /// The window of an array of this shape and these units of which these elements along `axis`
    /// are written.
    pub(crate) fn of_range(
        shape: &[u64],
        unit_shape: &[u64],
        axis: usize,
        range: &Range<u64>,
    ) -> Self {
        let unit_length = unit_shape[axis];
        let first_unit = range.start / unit_length;
        let start = first_unit * unit_length;
        let end = range.end.next_multiple_of(unit_length).min(shape[axis]);
        let mut window = shape.to_vec();
        window[axis] = end - start;
        Self {
            axis,
            first_unit,
            start,
            old_length: range.start - start,
            new_length: range.end - range.start,
            shape: window,
            unit_shape: unit_shape.to_vec(),
        }
    }

    /// The units along the axis that are written.
    pub(crate) fn unit_range(&self) -> Range<u64> {
        let count = self.shape[self.axis].div_ceil(self.unit_shape[self.axis]);
        self.first_unit..self.first_unit + count
    }

    /// Elements along the axis that follow the new ones.
    fn rest_length(&self) -> u64 {
        self.shape[self.axis] - self.old_length - self.new_length
    }

    /// The new elements along the axis, counted from the start of the window.
    pub(crate) fn new_elements(&self) -> Range<u64> {
        self.old_length..self.old_length + self.new_length
    }

    /// Whether no chunk of this shape holds both old elements and new ones.
    pub(crate) fn is_of_chunks(&self, chunk_shape: &[u64]) -> bool {
        let length = chunk_shape.get(self.axis).copied().unwrap_or(1).max(1);
        let new = self.new_elements();
        let ends = new.end.is_multiple_of(length) || self.rest_length() == 0;
        new.start.is_multiple_of(length) && ends
    }

    /// What is added to the index of a unit of the window to get that in the array.
    pub(crate) fn unit_offset(&self) -> Vec<u64> {
        let mut offset = vec![0; self.shape.len()];
        offset[self.axis] = self.first_unit;
        offset
    }

    /// What a planner must know of the window as a source, of which `new` is the new part.
    pub(crate) fn source_facts(&self, new: &SourceFacts) -> SourceFacts {
        let axes = new.grid.axes().iter().enumerate().map(|(place, axis)| {
            if place != self.axis || self.old_length + self.rest_length() == 0 {
                return axis.clone();
            }
            let lengths = (0..axis.chunk_count()).map(|index| {
                let chunk = axis.chunk(index);
                chunk.end - chunk.start
            });
            let old = |length: u64| Some(length).filter(|&length| length > 0);
            Axis::of_lengths(
                old(self.old_length).into_iter().chain(lengths).chain(old(self.rest_length())),
            )
        });
        SourceFacts { grid: ChunkGrid::new(axes), ..new.clone() }
    }

    /// What a planner must know of the window as a sink into `whole`.
    pub(crate) fn sink_facts(&self, whole: &SinkFacts) -> SinkFacts {
        SinkFacts {
            shape: self.shape.clone(),
            units: ChunkGrid::regular(&self.shape, &self.unit_shape),
            ..whole.clone()
        }
    }

    /// The part of a region of the window that lies before, in or behind the new elements, as a
    /// region of the array or of the new elements, and where it begins in the region.
    fn part(&self, region: &Region, stretch: Stretch) -> Option<(Region, Vec<u64>)> {
        let wanted = region.range(self.axis);
        let new = self.new_elements();
        let own = match stretch {
            Stretch::Before => 0..new.start,
            Stretch::New => new.clone(),
            Stretch::Behind => new.end..self.shape[self.axis],
        };
        let range = wanted.start.max(own.start)..wanted.end.min(own.end);
        if range.start >= range.end {
            return None;
        }
        let shift = match stretch {
            Stretch::New => range.start - new.start..range.end - new.start,
            Stretch::Before | Stretch::Behind => range.start + self.start..range.end + self.start,
        };
        let mut at = vec![0; region.rank()];
        at[self.axis] = range.start - wanted.start;
        let own = region.ranges().enumerate();
        let own = own.map(|(axis, range)| if axis == self.axis { shift.clone() } else { range });
        Some((Region::new(own), at))
    }
}

/// Elements of a window that lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stretch {
    /// Old ones, before the new ones.
    Before,
    /// Those of the files.
    New,
    /// Old ones again.
    Behind,
}

/// The old elements of partial units, and the new ones between them.
#[derive(Debug)]
pub(crate) struct WindowSource {
    window: Window,
    old: Arc<dyn ArraySource>,
    new: Arc<dyn ArraySource>,
    facts: SourceFacts,
}

impl WindowSource {
    /// Puts the elements of a store around new ones.
    pub(crate) fn new(
        window: Window,
        old: Arc<dyn ArraySource>,
        new: Arc<dyn ArraySource>,
    ) -> Self {
        let facts = window.source_facts(new.facts());
        Self { window, old, new, facts }
    }
}

impl ArraySource for WindowSource {
    fn facts(&self) -> &SourceFacts {
        &self.facts
    }

    fn fetch(&self, regions: &[Region]) -> Result<Box<dyn Fetched>> {
        let mut parts = Vec::new();
        let sources =
            [(Stretch::Before, &self.old), (Stretch::New, &self.new), (Stretch::Behind, &self.old)];
        for (stretch, source) in sources {
            let own = regions.iter().enumerate().filter_map(|(place, region)| {
                let (own, at) = self.window.part(region, stretch)?;
                Some((own, (place, at)))
            });
            let (own, places): (Vec<Region>, Vec<_>) = own.unzip();
            if !own.is_empty() {
                parts.push(FetchedPart { bytes: source.fetch(&own)?, places });
            }
        }
        Ok(Box::new(FetchedParts(parts)))
    }

    fn encoded(&self) -> Result<Arc<dyn EncodedChunks>> {
        let (old, new) = (self.old.encoded()?, self.new.encoded()?);
        Ok(Arc::new(WindowChunks::new(&self.window, old, new)?))
    }
}

/// Parts of regions out of one source: of each, which region, and where it begins in it.
struct FetchedPart {
    bytes: Box<dyn Fetched>,
    places: Vec<(usize, Vec<u64>)>,
}

struct FetchedParts(Vec<FetchedPart>);

impl Fetched for FetchedParts {
    fn decode(self: Box<Self>, places: &mut [Placement<'_>]) -> Result<()> {
        for FetchedPart { bytes, places: wanted } in self.0 {
            // Places ascend, and each region has one part of a stretch at the most.
            let mut wanted = wanted.into_iter().peekable();
            let mut own = Vec::new();
            for (place, Placement { into, at }) in places.iter_mut().enumerate() {
                let Some((_, offset)) = wanted.next_if(|(it, _)| *it == place) else { continue };
                let at = at.iter().zip(offset).map(|(at, offset)| at + offset).collect();
                own.push(Placement { into, at });
            }
            bytes.decode(&mut own)?;
        }
        Ok(())
    }
}

/// Writes units of the window as units of the array.
#[derive(Debug)]
pub(crate) struct WindowSink {
    offset: Vec<u64>,
    whole: Arc<dyn ArraySink>,
    facts: SinkFacts,
}

impl WindowSink {
    /// The window of an array at its new length.
    pub(crate) fn new(window: &Window, whole: Arc<dyn ArraySink>) -> Self {
        let facts = window.sink_facts(whole.facts());
        Self { offset: window.unit_offset(), whole, facts }
    }

    /// The index in the array of a unit of the window.
    fn in_whole(&self, index: &[u64]) -> Result<Vec<u64>> {
        if index.len() != self.offset.len() {
            return Err(Error::internal(format!("a window has no unit {index:?}")));
        }
        Ok(index.iter().zip(&self.offset).map(|(a, b)| a + b).collect())
    }
}

impl ArraySink for WindowSink {
    fn facts(&self) -> &SinkFacts {
        &self.facts
    }

    fn write(&self, index: &[u64], elements: &Chunk) -> Result<Box<dyn Writing>> {
        self.whole.write(&self.in_whole(index)?, elements)
    }

    fn encoded(&self) -> Option<&EncodedFacts> {
        self.whole.encoded()
    }

    fn write_encoded(&self, index: &[u64], chunks: Vec<Option<Bytes>>) -> Result<Box<dyn Writing>> {
        self.whole.write_encoded(&self.in_whole(index)?, chunks)
    }

    fn stream(&self, index: &[u64]) -> Result<Box<dyn UnitStream + '_>> {
        self.whole.stream(&self.in_whole(index)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(old: u64, new: u64, unit: u64, want: (u64, u64, u64, u64)) {
        let window = Window::new(&[3, new], &[3, unit], 1, old);
        let found = (window.first_unit, window.start, window.old_length, window.shape[1]);
        assert_eq!(found, want);
    }

    #[test]
    fn a_window_begins_with_the_first_unit_that_is_not_full() {
        check(10, 12, 4, (2, 8, 2, 4));
        check(8, 12, 4, (2, 8, 0, 4));
        check(0, 3, 4, (0, 0, 0, 3));
        check(3, 4, 10, (0, 0, 3, 4));
    }

    #[test]
    fn a_window_within_an_array_is_of_whole_units() {
        let window = Window::of_range(&[3, 22], &[3, 4], 1, &(6..15));
        let found = (window.start, window.old_length, window.shape[1], window.rest_length());
        assert_eq!((found, window.unit_range()), ((4, 2, 12, 1), 1..4));
        // The last unit of the array is short.
        let window = Window::of_range(&[22], &[4], 0, &(20..21));
        assert_eq!((window.shape[0], window.rest_length(), window.unit_range()), (2, 1, 5..6));
    }

    #[test]
    fn new_elements_may_begin_and_end_within_chunks() {
        let is_of_chunks = |range: Range<u64>, chunk| {
            Window::of_range(&[22], &[12], 0, &range).is_of_chunks(&[chunk])
        };
        assert!(is_of_chunks(6..15, 3) && is_of_chunks(6..9, 1));
        assert!(!is_of_chunks(6..16, 3) && !is_of_chunks(7..15, 3));
        // The last chunk of the array is short.
        assert!(is_of_chunks(6..22, 3));
    }

    #[test]
    fn a_region_is_split_at_the_last_new_element_too() {
        let window = Window::of_range(&[22], &[4], 0, &(6..15));
        let part = |stretch| {
            let (own, at) = window.part(&Region::at(&[1], &[11]), stretch)?;
            Some(([own.range(0).start, own.range(0).end], at[0]))
        };
        assert_eq!(part(Stretch::Before), Some(([5, 6], 0)));
        assert_eq!(part(Stretch::New), Some(([0, 9], 1)));
        assert_eq!(part(Stretch::Behind), Some(([15, 16], 10)));
    }

    #[track_caller]
    fn check_part(range: Range<u64>, is_old: bool, want: Option<([u64; 2], u64)>) {
        // Elements 8 and 9 are old; those of the files begin at 10.
        let window = Window::new(&[12], &[4], 0, 10);
        let stretch = if is_old { Stretch::Before } else { Stretch::New };
        let part = window.part(&Region::new([range]), stretch);
        let found = part.map(|(own, at)| ([own.range(0).start, own.range(0).end], at[0]));
        assert_eq!(found, want);
    }

    #[test]
    fn a_region_is_split_at_the_first_new_element() {
        check_part(0..4, true, Some(([8, 10], 0)));
        check_part(0..4, false, Some(([0, 2], 2)));
        check_part(1..2, true, Some(([9, 10], 0)));
        check_part(1..2, false, None);
        check_part(2..4, true, None);
        check_part(3..4, false, Some(([1, 2], 0)));
    }
}
