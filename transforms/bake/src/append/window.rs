//! The end of an array that grows: from the first unit that is not full to its new last element.
//!
//! Read through the window, its first elements are the old ones of a partial unit and the others
//! those of the files; written through it, units keep their places in the array.

use std::sync::Arc;

use array::{
    ArraySink, ArraySource, Axis, Chunk, ChunkGrid, Fetched, Placement, Region, SinkFacts,
    SourceFacts, Writing,
};
use dataflow::error::{Error, Result};

/// Where a window lies in its array.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    /// The dimension of the array that grows.
    pub(crate) axis: usize,
    /// The first unit along it that is written.
    pub(crate) first_unit: u64,
    /// The element at which that unit begins.
    pub(crate) start: u64,
    /// Old elements along it: those of the first unit.
    pub(crate) old_length: u64,
    /// Elements of the window.
    pub(crate) shape: Vec<u64>,
    /// Elements of a unit.
    unit_shape: Vec<u64>,
}

impl Window {
    /// The window of an array of this new shape and these units that had `old_length` elements
    /// along `axis`.
    pub(crate) fn new(shape: &[u64], unit_shape: &[u64], axis: usize, old_length: u64) -> Self {
        let first_unit = old_length / unit_shape[axis];
        let start = first_unit * unit_shape[axis];
        let mut window = shape.to_vec();
        window[axis] -= start;
        Self {
            axis,
            first_unit,
            start,
            old_length: old_length - start,
            shape: window,
            unit_shape: unit_shape.to_vec(),
        }
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
            if place != self.axis || self.old_length == 0 {
                return axis.clone();
            }
            let lengths = (0..axis.chunk_count()).map(|index| {
                let chunk = axis.chunk(index);
                chunk.end - chunk.start
            });
            Axis::of_lengths(std::iter::once(self.old_length).chain(lengths))
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

    /// The part of a region of the window that lies in the old or in the new elements, as a region
    /// of the array or of the new elements, and where it begins in the region.
    fn part(&self, region: &Region, is_old: bool) -> Option<(Region, Vec<u64>)> {
        let wanted = region.range(self.axis);
        let (range, shift) = if is_old {
            let range = wanted.start..wanted.end.min(self.old_length);
            (range.clone(), range.start + self.start..range.end + self.start)
        } else {
            let range = wanted.start.max(self.old_length)..wanted.end;
            let new = range.start - self.old_length..range.end.saturating_sub(self.old_length);
            (range, new)
        };
        if range.start >= range.end {
            return None;
        }
        let mut at = vec![0; region.rank()];
        at[self.axis] = range.start - wanted.start;
        let own = region.ranges().enumerate();
        let own = own.map(|(axis, range)| if axis == self.axis { shift.clone() } else { range });
        Some((Region::new(own), at))
    }
}

/// The old elements of a partial unit, and the new ones after them.
#[derive(Debug)]
pub(crate) struct WindowSource {
    window: Window,
    old: Arc<dyn ArraySource>,
    new: Arc<dyn ArraySource>,
    facts: SourceFacts,
}

impl WindowSource {
    /// Puts the elements of a store before new ones.
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
        for (is_old, source) in [(true, &self.old), (false, &self.new)] {
            let own = regions.iter().enumerate().filter_map(|(place, region)| {
                let (own, at) = self.window.part(region, is_old)?;
                Some((own, (place, at)))
            });
            let (own, places): (Vec<Region>, Vec<_>) = own.unzip();
            if !own.is_empty() {
                parts.push(FetchedPart { bytes: source.fetch(&own)?, places });
            }
        }
        Ok(Box::new(FetchedParts(parts)))
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
            // Places ascend, and each region has one part of a source at the most.
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
}

impl ArraySink for WindowSink {
    fn facts(&self) -> &SinkFacts {
        &self.facts
    }

    fn write(&self, index: &[u64], elements: &Chunk) -> Result<Box<dyn Writing>> {
        if index.len() != self.offset.len() {
            return Err(Error::internal(format!("a window has no unit {index:?}")));
        }
        let index: Vec<u64> = index.iter().zip(&self.offset).map(|(a, b)| a + b).collect();
        self.whole.write(&index, elements)
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

    #[track_caller]
    fn check_part(range: std::ops::Range<u64>, is_old: bool, want: Option<([u64; 2], u64)>) {
        // Elements 8 and 9 are old; those of the files begin at 10.
        let window = Window::new(&[12], &[4], 0, 10);
        let part = window.part(&Region::new([range]), is_old);
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
