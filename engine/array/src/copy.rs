//! Copies a box of elements out of one array into another.

/// Where a box lies in its source and in its destination; all in elements, C order.
#[derive(Debug, Clone, Copy)]
pub struct BoxCopy<'a> {
    /// Shape of the source array.
    pub source_shape: &'a [u64],
    /// Where the box begins in the source.
    pub source_start: &'a [u64],
    /// Shape of the destination array.
    pub target_shape: &'a [u64],
    /// Where the box begins in the destination.
    pub target_start: &'a [u64],
    /// Shape of the box.
    pub extent: &'a [u64],
}

impl BoxCopy<'_> {
    /// Calls `run(source, target, length)` for every run of elements that is contiguous in both.
    ///
    /// Runs are in C order. Trailing dimensions that both arrays hold whole are joined, so a box
    /// that is contiguous in both is one run. Cost: O(runs).
    pub fn for_each_run(&self, mut run: impl FnMut(usize, usize, usize)) {
        let rank = self.extent.len();
        if self.extent.contains(&0) {
            return;
        }
        // From `inner` on, dimensions are whole in both arrays; `inner - 1` is contiguous too.
        let is_whole = |d: usize| {
            self.extent[d] == self.source_shape[d] && self.extent[d] == self.target_shape[d]
        };
        let mut inner = rank;
        while inner > 0 && is_whole(inner - 1) {
            inner -= 1;
        }
        let outer_rank = inner.saturating_sub(1);
        let length: u64 = self.extent[outer_rank..].iter().product();
        let source_strides = strides(self.source_shape);
        let target_strides = strides(self.target_shape);
        let mut source = offset(self.source_start, &source_strides);
        let mut target = offset(self.target_start, &target_strides);
        let mut index = vec![0u64; outer_rank];
        loop {
            run(source as usize, target as usize, length as usize);
            let mut dimension = outer_rank;
            loop {
                if dimension == 0 {
                    return;
                }
                dimension -= 1;
                index[dimension] += 1;
                source += source_strides[dimension];
                target += target_strides[dimension];
                if index[dimension] < self.extent[dimension] {
                    break;
                }
                source -= source_strides[dimension] * index[dimension];
                target -= target_strides[dimension] * index[dimension];
                index[dimension] = 0;
            }
        }
    }
}

/// Copies a box of elements of `item_bytes` each.
///
/// # Panics
/// If the box does not lie within both arrays.
pub fn copy_box(source: &[u8], target: &mut [u8], item_bytes: usize, copy: &BoxCopy<'_>) {
    copy.for_each_run(|from, to, length| {
        let (from, to, bytes) = (from * item_bytes, to * item_bytes, length * item_bytes);
        target[to..to + bytes].copy_from_slice(&source[from..from + bytes]);
    });
}

fn strides(shape: &[u64]) -> Vec<u64> {
    let mut strides = vec![1; shape.len()];
    for dimension in (1..shape.len()).rev() {
        strides[dimension - 1] = strides[dimension] * shape[dimension];
    }
    strides
}

fn offset(start: &[u64], strides: &[u64]) -> u64 {
    start.iter().zip(strides).map(|(start, stride)| start * stride).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(copy: &BoxCopy<'_>, want_runs: usize) {
        let count = |shape: &[u64]| shape.iter().product::<u64>() as usize;
        let source: Vec<u8> = (0..count(copy.source_shape)).map(|i| i as u8 + 1).collect();
        let mut target = vec![0u8; count(copy.target_shape)];
        copy_box(&source, &mut target, 1, copy);
        let (from, to) = (strides(copy.source_shape), strides(copy.target_shape));
        let mut want = vec![0u8; target.len()];
        for linear in 0..count(copy.extent) {
            let within: Vec<u64> = {
                let own = strides(copy.extent);
                (0..own.len()).map(|d| linear as u64 / own[d] % copy.extent[d]).collect()
            };
            let place = |start: &[u64], strides: &[u64]| {
                (offset(start, strides) + offset(&within, strides)) as usize
            };
            want[place(copy.target_start, &to)] = source[place(copy.source_start, &from)];
        }
        assert_eq!(target, want);
        let mut runs = 0;
        copy.for_each_run(|_, _, _| runs += 1);
        assert_eq!(runs, want_runs);
    }

    #[test]
    fn a_box_inside_both_arrays() {
        check(
            &BoxCopy {
                source_shape: &[3, 4, 5],
                source_start: &[1, 0, 2],
                target_shape: &[4, 4, 6],
                target_start: &[0, 1, 3],
                extent: &[2, 3, 3],
            },
            6,
        );
    }

    #[test]
    fn whole_trailing_dimensions_are_one_run() {
        check(
            &BoxCopy {
                source_shape: &[6, 4, 5],
                source_start: &[2, 0, 0],
                target_shape: &[3, 4, 5],
                target_start: &[1, 0, 0],
                extent: &[2, 4, 5],
            },
            1,
        );
    }

    #[test]
    fn no_dimensions_is_one_element() {
        let none: &[u64] = &[];
        check(
            &BoxCopy {
                source_shape: none,
                source_start: none,
                target_shape: none,
                target_start: none,
                extent: none,
            },
            1,
        );
    }

    #[test]
    fn an_empty_box_has_no_run() {
        check(
            &BoxCopy {
                source_shape: &[2, 2],
                source_start: &[0, 0],
                target_shape: &[2, 2],
                target_start: &[0, 0],
                extent: &[2, 0],
            },
            0,
        );
    }
}
