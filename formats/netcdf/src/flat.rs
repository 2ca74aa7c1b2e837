//! Elements that lie in a file as they are: in one piece, or one piece a record.
//!
//! It serves the classic format and the contiguous and compact layouts of HDF5 alike, and knows
//! neither.

use std::ops::Range;

use array::error::{Error, Result};
use array::{BoxCopy, Region};
use bytes::Bytes;

use crate::fault::corrupt;
use crate::ranges::Joined;
use crate::target::{Target, copy_units};
use objects::FileBytes;

/// Where unencoded elements lie.
#[derive(Debug)]
pub(crate) struct Flat {
    /// Where the first one begins.
    pub(crate) begin: u64,
    /// Bytes from one record to the next, where each index of the first dimension is a record that
    /// lies apart from the others.
    pub(crate) record_stride: Option<u64>,
    /// Elements along every dimension.
    pub(crate) shape: Vec<u64>,
    /// Bytes of one element.
    pub(crate) unit_bytes: usize,
    /// Bytes of the numbers to turn round, or 1.
    pub(crate) swap_bytes: usize,
}

impl Flat {
    /// Refuses elements that the file does not hold.
    ///
    /// # Errors
    /// Elements that reach beyond the end of the file.
    pub(crate) fn check(&self, bytes: &FileBytes) -> Result<()> {
        if self.shape.contains(&0) {
            return Ok(());
        }
        let end = self.end().ok_or_else(|| {
            corrupt(format!("elements {:?} take more bytes than can be counted", self.shape))
        })?;
        bytes.check(&(self.begin..end))
    }

    fn end(&self) -> Option<u64> {
        let (records, row) = match self.record_stride {
            Some(_) => self.shape.split_first()?,
            None => (&1, &self.shape[..]),
        };
        let row_bytes = row.iter().try_fold(self.unit_bytes as u64, |a, &b| a.checked_mul(b))?;
        let last = (records - 1).checked_mul(self.record_stride.unwrap_or(0))?;
        self.begin.checked_add(last)?.checked_add(row_bytes)
    }

    /// The ranges to fetch for a region, ascending.
    pub(crate) fn plan(&self, region: &Region) -> Vec<Range<u64>> {
        let mut joined = Joined::new();
        self.for_each_run(region, &region.shape(), &vec![0; region.rank()], |from, _| {
            joined.push(from);
        });
        joined.into_ranges()
    }

    /// Copies the region of a target out of the pieces that were fetched for it.
    pub(crate) fn decode(&self, pieces: &[(u64, Bytes)], target: &mut Target<'_>) -> Result<()> {
        let mut current = 0;
        let mut is_complete = true;
        let (region, shape) = (target.region.clone(), target.shape.clone());
        let start = target.start.clone();
        self.for_each_run(&region, &shape, &start, |from, to| {
            // Pieces and runs ascend together.
            while pieces
                .get(current)
                .is_some_and(|(at, piece)| at + piece.len() as u64 <= from.start)
            {
                current += 1;
            }
            let found = pieces.get(current).and_then(|(at, piece)| {
                let start = from.start.checked_sub(*at)? as usize;
                piece.get(start..start + (from.end - from.start) as usize)
            });
            match found {
                Some(bytes) => {
                    let to = to * self.unit_bytes;
                    copy_units(bytes, &mut target.bytes[to..to + bytes.len()], self.swap_bytes);
                }
                None => is_complete = false,
            }
        });
        if is_complete { Ok(()) } else { Err(Error::internal("a run lies in no piece")) }
    }

    /// Calls `run(bytes of the file, element of the target)` for every run of a region that is
    /// contiguous in the file and in a target of this shape where the region begins at `start`.
    fn for_each_run(
        &self,
        region: &Region,
        target_shape: &[u64],
        target_start: &[u64],
        mut run: impl FnMut(Range<u64>, usize),
    ) {
        let unit_bytes = self.unit_bytes as u64;
        let inner = usize::from(self.record_stride.is_some());
        let records = self.record_stride.map_or(0..1, |_| region.range(0));
        let (source_start, extent) = (region.start(), region.shape());
        for record in records.clone() {
            let copy = BoxCopy {
                source_shape: &self.shape[inner..],
                source_start: &source_start[inner..],
                target_shape: &target_shape[inner..],
                target_start: &target_start[inner..],
                extent: &extent[inner..],
            };
            let begin = self.begin + record * self.record_stride.unwrap_or(0);
            let row =
                target_start[..inner].first().map_or(0, |first| first + record - records.start);
            let row_elements: u64 = target_shape[inner..].iter().product();
            copy.for_each_run(|from, to, length| {
                let start = begin + from as u64 * unit_bytes;
                run(start..start + length as u64 * unit_bytes, (row * row_elements) as usize + to);
            });
        }
    }
}
