//! A decoded chunk on its way to where its elements belong.
//!
//! A chunk that was shuffled stays so: its bytes are brought together while they are copied.

use crate::target::copy_units;

/// A decoded chunk.
#[derive(Debug, Clone, Copy)]
pub(super) enum Decoded<'a> {
    /// Elements, one after the other.
    Elements(&'a [u8]),
    /// Shuffled elements: first bytes, then second bytes, and so on.
    Planes(&'a [u8]),
}

impl Decoded<'_> {
    /// Copies elements from `first` on to `out`, turned round if `swap_bytes` is not 1.
    pub(super) fn copy(self, first: usize, out: &mut [u8], unit_bytes: usize, swap_bytes: usize) {
        match self {
            Self::Elements(bytes) => {
                let from = first * unit_bytes;
                copy_units(&bytes[from..from + out.len()], out, swap_bytes);
            }
            Self::Planes(planes) => {
                let is_swapped = swap_bytes != 1;
                match unit_bytes {
                    2 => gather::<2>(planes, first, out, is_swapped),
                    4 => gather::<4>(planes, first, out, is_swapped),
                    8 => gather::<8>(planes, first, out, is_swapped),
                    _ => gather_any(planes, first, out, unit_bytes),
                }
            }
        }
    }
}

/// Puts elements together from their planes; the other byte order is the other order of planes.
fn gather<const N: usize>(planes: &[u8], first: usize, out: &mut [u8], is_swapped: bool) {
    let count = planes.len() / N;
    let (out, _) = out.as_chunks_mut::<N>();
    let plane = |place: usize| {
        let place = if is_swapped { N - 1 - place } else { place };
        &planes[place * count + first..][..out.len()]
    };
    let planes: [&[u8]; N] = std::array::from_fn(plane);
    for (index, element) in out.iter_mut().enumerate() {
        *element = std::array::from_fn(|place| planes[place][index]);
    }
}

fn gather_any(planes: &[u8], first: usize, out: &mut [u8], unit_bytes: usize) {
    let count = planes.len() / unit_bytes;
    for (index, element) in out.chunks_exact_mut(unit_bytes).enumerate() {
        for (place, byte) in element.iter_mut().enumerate() {
            *byte = planes[place * count + first + index];
        }
    }
}

/// Brings bytes that were set apart by their place in an element together again.
pub(super) fn unshuffle(planes: &[u8], width: usize, out: &mut [u8]) {
    let count = planes.len() / width.max(1);
    let (shuffled, rest) = planes.split_at(count * width);
    let (elements, tail) = out.split_at_mut(count * width);
    // What is no whole element was left in place.
    tail.copy_from_slice(rest);
    if count > 0 {
        for (place, plane) in shuffled.chunks_exact(count).enumerate() {
            elements[place..].iter_mut().step_by(width).zip(plane).for_each(|(out, &b)| *out = b);
        }
    }
}
