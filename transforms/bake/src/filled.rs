//! Steps along the concat dimension that no file has, and that the store has all the same.
//!
//! Variables hold what stands for a missing value there; the concat coordinate goes on.

use std::ops::Range;

use array::{Chunk, DType, Scalar};
use cf::{Calendar, Instants, TimeEncoding};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::gaps::Gap;
use crate::order::Piece;
use crate::schema::{AxisPoint, AxisSummary, FilePlace};

/// Steps that follow each other and that no file has.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FilledRun {
    /// The place of the first in the store.
    pub start: u64,
    /// How many there are.
    pub length: u64,
    /// The coordinate of the first.
    pub(crate) first: AxisPoint,
    /// From one coordinate to the next.
    pub(crate) step: AxisPoint,
}

impl FilledRun {
    /// The coordinates of some elements of the store, all of this run.
    fn points(&self, places: Range<u64>) -> impl Iterator<Item = Option<AxisPoint>> {
        places.map(|place| self.first.after(self.step, place - self.start))
    }

    /// The run in words: its first and its last coordinate.
    pub(crate) fn text(&self, concat: &str, calendar: Option<Calendar>) -> String {
        let first = self.first.text(calendar);
        let last = self.first.after(self.step, self.length - 1).unwrap_or(self.first);
        match self.length {
            1 => format!("{concat} {first}"),
            length => format!("{concat} {first} to {} ({length})", last.text(calendar)),
        }
    }
}

/// The runs that fill these gaps; `axes` are the coordinates of all pieces that have elements.
///
/// # Errors
/// A gap that is no whole number of steps; a file without a coordinate.
pub(crate) fn runs(
    concat: &str,
    axes: &[(FilePlace, &AxisSummary)],
    pieces: &[Piece],
    gaps: &[Gap],
) -> Result<Vec<FilledRun>> {
    let lengths: Vec<u64> =
        pieces.iter().map(|piece| piece.length).filter(|&length| length > 0).collect();
    if lengths.len() != axes.len() {
        let message = format!("`{concat}` has no coordinate in some files: gaps cannot be filled");
        let error = Error::new(ErrorCode::NOT_ASCENDING, ErrorKind::Conflict, message);
        return Err(error.at("variable", concat).mend("bake with --gaps report"));
    }
    let (mut runs, mut end, mut gaps) = (Vec::new(), 0, gaps.iter().peekable());
    for (index, length) in lengths.into_iter().enumerate() {
        end += length;
        let Some(gap) = gaps.next_if(|gap| gap.after == index) else { continue };
        let (last, calendar) = (axes[index].1.last, axes[index].1.calendar);
        let steps = gap.step.steps_in(gap.jump).filter(|_| gap.jump.is_multiple_of(gap.step));
        let (Some(steps), Some(first)) = (steps, last.after(gap.step, 1)) else {
            let message = format!(
                "the gap of `{concat}` after {} is no whole number of steps",
                last.text(calendar)
            );
            let error = Error::new(ErrorCode::NOT_ASCENDING, ErrorKind::Conflict, message);
            return Err(error
                .at("variable", concat)
                .mend("bake with --gaps report, or add the files that are missing"));
        };
        let run = FilledRun { start: end, length: steps - 1, first, step: gap.step };
        end += run.length;
        runs.push(run);
    }
    Ok(runs)
}

/// How the coordinates of steps that no file has are written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FilledCoordinate {
    /// As times.
    Times(TimeEncoding),
    /// As numbers of this type.
    Numbers(DType),
}

impl FilledCoordinate {
    /// The coordinates of some elements of the store, all of one of these runs.
    ///
    /// # Errors
    /// A coordinate that the type does not hold.
    pub(crate) fn values(&self, runs: &[FilledRun], places: Range<u64>) -> Result<Chunk> {
        let index = runs.partition_point(|run| run.start <= places.start);
        let run = index.checked_sub(1).map(|index| runs[index]);
        let run = run.ok_or_else(|| Error::internal("a step that no run fills"))?;
        let length = places.end - places.start;
        match self {
            Self::Times(encoding) => {
                let instant = |point: Option<AxisPoint>| match point {
                    Some(AxisPoint::Instant(instant)) => Ok(Some(instant)),
                    _ => Err(not_held()),
                };
                let instants: Result<Vec<_>> = run.points(places).map(instant).collect();
                let instants = Instants::new(encoding.calendar(), instants?)?;
                Chunk::of([length], &encoding.encode(&instants)?)
            }
            Self::Numbers(dtype) => {
                let mut payload = Vec::new();
                for point in run.points(places) {
                    let Some(AxisPoint::Number(number)) = point else { return Err(not_held()) };
                    let scalar = match dtype.is_float() {
                        true => Scalar::from_float(*dtype, number),
                        false => Scalar::of(number).cast(*dtype),
                    };
                    payload.extend_from_slice(scalar.ok_or_else(not_held)?.bytes());
                }
                Chunk::new(*dtype, [length], payload.into())
            }
        }
    }
}

#[cold]
fn not_held() -> Error {
    let message = "a coordinate that is filled in is not held by the type of the others";
    Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::Conflict, message)
        .mend("bake with --gaps report")
}
