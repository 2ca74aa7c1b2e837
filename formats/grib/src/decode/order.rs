//! Puts values into rows that run alike.

use super::sink::Real;
use crate::grid::{Scan, Shape};

/// Values row by row, out of the order of the file.
///
/// Rows keep the order of the file, and so do points of a row: coordinates say where they are.
pub(super) fn in_rows<T: Real>(mut values: Vec<T>, shape: Shape, scan: Scan) -> Vec<T> {
    let Shape::Rows { ni, nj } = shape else { return values };
    if scan.is_plain() {
        return values;
    }
    let (ni, nj) = (ni as usize, nj as usize);
    let line = if scan.is_by_columns { nj } else { ni };
    if scan.is_alternating {
        values.chunks_mut(line).skip(1).step_by(2).for_each(<[T]>::reverse);
    }
    if !scan.is_by_columns {
        return values;
    }
    let mut rows = Vec::with_capacity(values.len());
    for j in 0..nj {
        rows.extend((0..ni).map(|i| values[i * nj + j]));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(flags: u8, stored: [f32; 6]) {
        let scan = Scan::parse(flags).expect("a plain mode");
        let shape = Shape::Rows { ni: 3, nj: 2 };
        assert_eq!(in_rows(stored.to_vec(), shape, scan), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn rows_columns_and_both_with_turns() {
        check(0x00, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        check(0x10, [1.0, 2.0, 3.0, 6.0, 5.0, 4.0]);
        check(0x20, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        check(0x30, [1.0, 4.0, 5.0, 2.0, 3.0, 6.0]);
    }
}
