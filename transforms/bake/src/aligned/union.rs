//! The elements of a dimension that files do not have alike, and where each file has them.

use array::{Chunk, DType, Scalar};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::options::JoinPolicy;
use crate::schema::{AxisPoint, AxisSummary, FilePlace, FileSet, KnownAxes};
use crate::tiling::{Lane, Segment};

/// Integers up to this one are told apart in a double.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// Values nearer to each other than this part of a step of a file are one value, rounded.
const ROUNDING: f64 = 1e-6;

/// A dimension along which files have elements of their own, as the store has them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlignedDim {
    /// The name of the dimension and of its coordinate.
    pub(crate) name: String,
    dtype: DType,
    /// The elements of the coordinate in the store.
    values: Vec<Scalar>,
    /// For each way of files to have these elements, where they are; segments name file 0, which
    /// is the file itself.
    lanes: Vec<Lane>,
    /// The files that have them so.
    files: Vec<FileSet>,
}

impl AlignedDim {
    /// Takes the elements that any file has, or those that all have, ascending or descending as
    /// those of the files are.
    ///
    /// Memory: elements times different coordinates. Cost: O(that times log elements).
    ///
    /// # Errors
    /// Coordinates by which elements cannot be told apart; nothing that all files have.
    pub(super) fn new(
        name: &str,
        dtype: DType,
        known: &KnownAxes,
        join: JoinPolicy,
    ) -> Result<Self> {
        let axes = known.axes();
        if !axes.iter().all(|(axis, _)| is_distinct(axis)) {
            let message = format!("`{name}` does not grow or fall from each element to the next");
            return Err(refuse(message).mend("bake such files apart"));
        }
        let mut directions = axes.iter().filter_map(|(axis, _)| axis.is_ascending());
        let is_ascending = directions.next().unwrap_or(true);
        if directions.any(|it| it != is_ascending) {
            let message = format!("`{name}` grows in some files and falls in others");
            return Err(refuse(message).mend("turn one of them round first"));
        }
        let order = |a: &f64, b: &f64| match is_ascending {
            true => a.total_cmp(b),
            false => b.total_cmp(a),
        };
        let lists: Vec<Vec<f64>> = axes.iter().map(|(axis, _)| numbers(axis)).collect();
        let mut points: Vec<f64> = lists.iter().flatten().copied().collect();
        points.sort_by(order);
        points.dedup();
        check_apart(name, &points, &lists)?;
        let find = |list: &[f64], point: &f64| list.binary_search_by(|it| order(it, point)).ok();
        if join == JoinPolicy::Inner {
            points.retain(|point| lists.iter().all(|list| find(list, point).is_some()));
        }
        if points.is_empty() {
            let message = format!("no element of `{name}` is in all files");
            return Err(refuse(message).mend("say --join outer to take those of any"));
        }
        let values = points.iter().map(|&point| scalar(name, dtype, point));
        let places = |list: &Vec<f64>| {
            lane(points.iter().map(|point| find(list, point).map(|place| place as u64)))
        };
        Ok(Self {
            name: name.to_owned(),
            dtype,
            values: values.collect::<Result<_>>()?,
            lanes: lists.iter().map(places).collect(),
            files: axes.iter().map(|(_, files)| files.clone()).collect(),
        })
    }

    /// The number of elements.
    pub(crate) fn length(&self) -> u64 {
        self.values.len() as u64
    }

    /// The number of the way in which a file has the elements.
    pub(super) fn way(&self, file: FilePlace) -> Option<usize> {
        self.files.iter().position(|files| files.contains(file))
    }

    /// Where a file has the elements; `None` of a file without the dimension.
    pub(super) fn lane(&self, file: FilePlace) -> Option<&Lane> {
        self.way(file).map(|way| &self.lanes[way])
    }

    /// The coordinate of the store.
    ///
    /// # Errors
    /// Elements of several types: a plan that is not ours.
    pub(super) fn coordinate(&self) -> Result<Chunk> {
        let mut payload = Vec::new();
        self.values.iter().for_each(|value| payload.extend_from_slice(value.bytes()));
        Chunk::new(self.dtype, [self.length()], payload.into())
    }
}

/// Whether a coordinate has a value for each element, and never the same twice.
fn is_distinct(axis: &AxisSummary) -> bool {
    let is_exact = |point: &AxisPoint| matches!(point, AxisPoint::Number(it) if it.abs() < EXACT);
    axis.missing_at.is_none() && axis.turns_at.is_none() && axis.values.iter().all(is_exact)
}

/// The values of a coordinate; both zeros are one.
fn numbers(axis: &AxisSummary) -> Vec<f64> {
    let number = |point: &AxisPoint| match point {
        AxisPoint::Number(number) => number + 0.0,
        AxisPoint::Instant(_) => f64::NAN,
    };
    axis.values.iter().map(number).collect()
}

/// Refuses values of several files that are one value, rounded: the grid would double.
fn check_apart(name: &str, points: &[f64], lists: &[Vec<f64>]) -> Result<()> {
    let steps = lists.iter().flat_map(|list| list.windows(2).map(|it| (it[1] - it[0]).abs()));
    let step = steps.fold(f64::INFINITY, f64::min);
    let is_near = |pair: &&[f64]| {
        let size = if step.is_finite() { step } else { pair[0].abs().max(pair[1].abs()).max(1.0) };
        (pair[1] - pair[0]).abs() < ROUNDING * size
    };
    let Some(pair) = points.windows(2).find(is_near) else { return Ok(()) };
    let message =
        format!("`{name}` is {} and {} in several files: one value, rounded", pair[0], pair[1]);
    Err(refuse(message).mend("say --static close:1e-9 where it is one grid, or round it first"))
}

fn scalar(name: &str, dtype: DType, point: f64) -> Result<Scalar> {
    let scalar = match dtype.is_float() {
        true => Scalar::from_float(dtype, point),
        false => Scalar::of(point).cast(dtype),
    };
    scalar.ok_or_else(|| {
        refuse(format!("`{name}` cannot be {point} as {dtype}")).mend("cast it to a float first")
    })
}

/// Elements that follow each other as segments.
fn lane(places: impl Iterator<Item = Option<u64>>) -> Lane {
    let mut segments: Vec<Segment> = Vec::new();
    for place in places {
        let goes_on = |last: &&mut Segment| match (last.file, place) {
            (None, None) => true,
            (Some(_), Some(place)) => last.start + last.length == place,
            _ => false,
        };
        match segments.last_mut().filter(goes_on) {
            Some(last) => last.length += 1,
            None => segments.push(Segment {
                length: 1,
                file: place.map(|_| 0),
                start: place.unwrap_or_default(),
            }),
        }
    }
    Lane(segments)
}

fn refuse(message: String) -> Error {
    Error::new(ErrorCode::GRIDS_DIFFER, ErrorKind::Conflict, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of each file, lengths of segments and where they begin in it.
    type Ways<'a> = &'a [&'a [(u64, Option<u64>)]];

    #[track_caller]
    fn check(files: &[&[f64]], join: JoinPolicy, want: Result<(&[f64], Ways<'_>), &str>) {
        let mut known = KnownAxes::default();
        for (file, values) in (0..).zip(files) {
            let axis = AxisSummary::of_numbers(values.iter().copied(), true).expect("numbers");
            known.merge(KnownAxes::of(axis, file));
        }
        let got = AlignedDim::new("lat", DType::Float64, &known, join);
        let (got, (values, lanes)) = match (got, want) {
            (Ok(got), Ok(want)) => (got, want),
            (Err(error), Err(words)) => {
                return assert!(error.to_string().contains(words), "{error}");
            }
            (got, want) => panic!("{got:?}, not {want:?}"),
        };
        assert_eq!(got.coordinate().expect("values").values::<f64>().expect("doubles"), values);
        for (file, lane) in (0..).zip(lanes) {
            let own = &got.lane(file).expect("a file").0;
            let own: Vec<_> = own.iter().map(|it| (it.length, it.file.map(|_| it.start))).collect();
            assert_eq!(own, *lane, "file {file}");
        }
    }

    #[test]
    fn elements_of_any_file_or_of_all_are_in_their_order() {
        let files: [&[f64]; 2] = [&[10.0, 20.0, 30.0], &[20.0, 30.0, 35.0, 40.0]];
        let ways: [&[_]; 2] = [&[(3, Some(0)), (2, None)], &[(1, None), (4, Some(0))]];
        check(&files, JoinPolicy::Outer, Ok((&[10.0, 20.0, 30.0, 35.0, 40.0], &ways)));
        check(&files, JoinPolicy::Inner, Ok((&[20.0, 30.0], &[&[(2, Some(1))], &[(2, Some(0))]])));
        let falling: [&[f64]; 2] = [&[3.0, 1.0], &[2.0]];
        let ways: [&[_]; 2] =
            [&[(1, Some(0)), (1, None), (1, Some(1))], &[(1, None), (1, Some(0)), (1, None)]];
        check(&falling, JoinPolicy::Outer, Ok((&[3.0, 2.0, 1.0], &ways)));
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        check(&[&[1.0, 2.0], &[2.0, 1.0]], JoinPolicy::Outer, Err("falls in others"));
        check(&[&[1.0, 1.0], &[2.0, 3.0]], JoinPolicy::Outer, Err("from each element to the next"));
        check(&[&[1.0, f64::NAN], &[2.0]], JoinPolicy::Outer, Err("from each element to the next"));
        check(&[&[0.1, 0.2], &[0.1, 0.2 + 1e-15]], JoinPolicy::Outer, Err("one value, rounded"));
        check(&[&[1.0], &[2.0]], JoinPolicy::Inner, Err("is in all files"));
    }
}
