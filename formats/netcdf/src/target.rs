//! Where decoded elements go: a box in somebody's buffer, reached by runs.
//!
//! Dimensions are those of storage: an array of characters keeps its last one here. Nothing in
//! this module knows how elements were encoded.

use array::{BoxCopy, Region};

/// The place of a region in a buffer.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    /// All bytes of the buffer.
    pub(crate) bytes: &'a mut [u8],
    /// Elements along every dimension of the buffer.
    pub(crate) shape: Vec<u64>,
    /// Where the region begins in the buffer.
    pub(crate) start: Vec<u64>,
    /// The elements of the array that go there.
    pub(crate) region: Region,
    /// Bytes of one element.
    pub(crate) unit_bytes: usize,
}

/// A box of elements of the same array that lies in C order somewhere else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// Its shape.
    pub(crate) shape: &'a [u64],
    /// Its first element, in the array.
    pub(crate) start: &'a [u64],
}

impl Target<'_> {
    /// Calls `run(from, out)` for every run of `part` that is contiguous on both sides: its first
    /// element, counted in `origin`, and the bytes that it fills.
    ///
    /// `part` lies in the region and in the origin. Runs are in C order.
    pub(crate) fn for_each_run(
        &mut self,
        part: &Region,
        origin: Origin<'_>,
        mut run: impl FnMut(usize, &mut [u8]),
    ) {
        let within = part.offset_in(&self.region);
        let place: Vec<u64> = self.start.iter().zip(&within).map(|(a, b)| a + b).collect();
        let copy = BoxCopy {
            source_shape: origin.shape,
            source_start: &part.relative_to(origin.start).start(),
            target_shape: &self.shape,
            target_start: &place,
            extent: &part.shape(),
        };
        let unit_bytes = self.unit_bytes;
        copy.for_each_run(|from, to, length| {
            run(from, &mut self.bytes[to * unit_bytes..(to + length) * unit_bytes]);
        });
    }

    /// Sets every element of `part` to these bytes.
    pub(crate) fn fill(&mut self, part: &Region, unit: &[u8]) {
        let (shape, start) = (part.shape(), part.start());
        self.for_each_run(part, Origin { shape: &shape, start: &start }, |_, out| {
            match unit.split_first() {
                Some((first, rest)) if rest.iter().all(|byte| byte == first) => out.fill(*first),
                _ => out.chunks_exact_mut(unit.len()).for_each(|cell| cell.copy_from_slice(unit)),
            }
        });
    }
}

/// Copies whole numbers of `swap_bytes` each, in the opposite byte order if that is not 1.
pub(crate) fn copy_units(from: &[u8], out: &mut [u8], swap_bytes: usize) {
    match swap_bytes {
        2 => copy_swapped::<2>(from, out),
        4 => copy_swapped::<4>(from, out),
        8 => copy_swapped::<8>(from, out),
        _ => out.copy_from_slice(from),
    }
}

fn copy_swapped<const N: usize>(from: &[u8], out: &mut [u8]) {
    let (from, _) = from.as_chunks::<N>();
    let (out, _) = out.as_chunks_mut::<N>();
    for (from, out) in from.iter().zip(out) {
        *out = *from;
        out.reverse();
    }
}
