//! In which order the elements of all files follow each other along the concat dimension.

use std::cmp::Ordering;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::check::between;
use crate::filled::{self, FilledRun};
use crate::gaps;
use crate::options::{BakeOptions, GapPolicy, OverlapPolicy};
use crate::schema::{AxisPoint, AxisSummary, FilePlace, FileSummary, Schema};

/// Elements of one file that follow each other in the store as they do in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The place of the file in the list of sources.
    pub file: u32,
    /// The first element that is taken.
    pub start: u64,
    /// How many are taken.
    pub length: u64,
}

/// The pieces of all files, in the order of the store, and what was noticed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Order {
    pub(crate) pieces: Vec<Piece>,
    /// What lies between pieces and is in no file, in order.
    pub(crate) filled: Vec<FilledRun>,
    pub(crate) notes: Vec<String>,
}

impl Order {
    /// All files whole, as they were given.
    pub(crate) fn as_given(schema: &Schema) -> Self {
        let whole = |(&file, summary): (&FilePlace, &FileSummary)| Piece {
            file,
            start: 0,
            length: summary.concat_length,
        };
        let pieces = schema.files.iter().map(whole).collect();
        Self { pieces, filled: Vec::new(), notes: Vec::new() }
    }

    /// The order that the policy gives.
    ///
    /// # Errors
    /// Files that are not in order, overlap or leave gaps, where the policy does not decide.
    pub(crate) fn new(schema: &Schema, concat: &str, options: &BakeOptions) -> Result<Self> {
        let axes = axes_of(schema);
        let present = schema.files.values().filter(|file| file.concat_length > 0).count();
        let mut order = Self::as_given(schema);
        if axes.is_empty() && present > 1 {
            if options.overlap != OverlapPolicy::Error {
                return Err(no_order(concat, options.overlap));
            }
            order.notes.push(format!(
                "`{concat}` has no coordinate that tells an order: \
                 files follow each other as they were given"
            ));
            return Ok(order);
        }
        if options.overlap == OverlapPolicy::Error {
            for (_, file, axis) in &axes {
                check_within(file, axis, concat)?;
            }
            let is_ascending = is_ascending(&axes);
            for pair in axes.windows(2) {
                let [(a, _, before), (b, _, after)] = pair else { continue };
                check_between(schema, concat, is_ascending, (*a, before), (*b, after))?;
            }
            let axes: Vec<_> = axes.iter().map(|(place, _, axis)| (*place, *axis)).collect();
            order.decide_gaps(schema, concat, &axes, options)?;
        } else {
            let sorted = sorted(schema, concat, &axes, options.overlap)?;
            order.pieces = pieces_of(&sorted.elements);
            order.notes.extend(sorted.note);
            let axes = axes_of_pieces(&sorted.elements, &order.pieces, axes[0].2.calendar);
            let axes: Vec<_> = axes.iter().map(|(place, axis)| (*place, axis)).collect();
            order.decide_gaps(schema, concat, &axes, options)?;
        }
        Ok(order)
    }

    /// Tells, refuses or fills the gaps between coordinates, which are those of all pieces that
    /// have elements, in their order.
    fn decide_gaps(
        &mut self,
        schema: &Schema,
        concat: &str,
        axes: &[(FilePlace, &AxisSummary)],
        options: &BakeOptions,
    ) -> Result<()> {
        let found = gaps::find(axes);
        let Some(note) = gaps::note(schema, concat, axes, &found) else { return Ok(()) };
        if options.fills_gaps() {
            self.filled = filled::runs(concat, axes, &self.pieces, &found)?;
            let count: u64 = self.filled.iter().map(|run| run.length).sum();
            self.notes.push(format!("{note}; filled: {count} steps in all"));
            return Ok(());
        }
        if options.gaps == GapPolicy::Error {
            let error = Error::new(ErrorCode::NOT_ASCENDING, ErrorKind::Conflict, note);
            return Err(error.at("variable", concat).mend(
                "add the files that are missing, or bake with --gaps report to leave them out, \
                 --gaps fill to fill them",
            ));
        }
        self.notes.push(note);
        Ok(())
    }
}

type FileAxis<'a> = (FilePlace, &'a FileSummary, &'a AxisSummary);

/// The concat coordinates of all files that have elements along it.
fn axes_of(schema: &Schema) -> Vec<FileAxis<'_>> {
    let present = schema.files.iter().filter(|(_, file)| file.concat_length > 0);
    present.filter_map(|(place, file)| Some((*place, file, file.axis.as_ref()?))).collect()
}

/// The direction of the first file that has one, or from the first file to the last.
fn is_ascending(axes: &[FileAxis<'_>]) -> bool {
    let of_file = axes.iter().find_map(|(_, _, axis)| axis.is_ascending());
    of_file.or_else(|| Some(axes.first()?.2.first < axes.last()?.2.first)).unwrap_or(true)
}

/// One element along the concat dimension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element {
    pub(crate) point: AxisPoint,
    pub(crate) file: FilePlace,
    /// The place in the file.
    pub(crate) place: u64,
}

struct Sorted {
    elements: Vec<Element>,
    note: Option<String>,
}

/// All elements in the order of the coordinate, each value once.
fn sorted(
    schema: &Schema,
    concat: &str,
    axes: &[FileAxis<'_>],
    policy: OverlapPolicy,
) -> Result<Sorted> {
    let is_ascending = is_ascending(axes);
    let mut elements = Vec::new();
    for &(file, summary, axis) in axes {
        let whole = axis.values.len() as u64 == summary.concat_length;
        if let Some(place) = axis.missing_at.or((!whole).then_some(axis.values.len() as u64)) {
            let message = format!("`{concat}` has no value at element {place}");
            return Err(within(summary, concat, message));
        }
        let points = (0..).zip(&axis.values);
        elements.extend(points.map(|(place, &point)| Element { point, file, place }));
    }
    if axes.len() < schema.files.values().filter(|file| file.concat_length > 0).count() {
        return Err(no_order(concat, policy));
    }
    // Stable: of equal values, that of the first file comes first.
    elements.sort_by(|a, b| {
        let order = a.point.partial_cmp(&b.point).unwrap_or(Ordering::Equal);
        if is_ascending { order } else { order.reverse() }
    });
    let total = elements.len();
    let twice = elements.windows(2).find(|pair| pair[0].point == pair[1].point);
    if let Some(&[a, b]) = twice.and_then(|pair| pair.first_chunk::<2>()) {
        if policy == OverlapPolicy::Sort {
            let text = a.point.text(axes[0].2.calendar);
            let message = format!("two files hold the same `{concat}`: {text}");
            return Err(between(schema, ErrorCode::NOT_ASCENDING, message, a.file, b.file)
                .mend("say which to take: --overlap keep-first or keep-last"));
        }
        if policy == OverlapPolicy::KeepLast {
            elements.reverse();
        }
        elements.dedup_by(|later, kept| later.point == kept.point);
        if policy == OverlapPolicy::KeepLast {
            elements.reverse();
        }
        let dropped = total - elements.len();
        let which = if policy == OverlapPolicy::KeepFirst { "first" } else { "last" };
        let times = if dropped == 1 { "1 value".to_owned() } else { format!("{dropped} values") };
        let note = format!(
            "{times} of `{concat}` stood twice, and the {which} was taken (first {} in {} and {})",
            a.point.text(axes[0].2.calendar),
            schema.location(a.file),
            schema.location(b.file)
        );
        return Ok(Sorted { elements, note: Some(note) });
    }
    Ok(Sorted { elements, note: None })
}

/// Runs of elements that also follow each other in their file.
pub(crate) fn pieces_of(elements: &[Element]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for element in elements {
        match pieces.last_mut() {
            Some(last)
                if last.file == element.file && last.start + last.length == element.place =>
            {
                last.length += 1;
            }
            _ => pieces.push(Piece { file: element.file, start: element.place, length: 1 }),
        }
    }
    pieces
}

/// The coordinate of every piece, to be looked at for gaps.
pub(crate) fn axes_of_pieces(
    elements: &[Element],
    pieces: &[Piece],
    calendar: Option<cf::Calendar>,
) -> Vec<(FilePlace, AxisSummary)> {
    let mut rest = elements;
    let axis = |piece: &Piece| {
        let (own, after) = rest.split_at(piece.length as usize);
        rest = after;
        let axis = AxisSummary::of(own.iter().map(|it| Some(it.point)), calendar, false)?;
        Some((piece.file, axis))
    };
    pieces.iter().filter_map(axis).collect()
}

fn no_order(concat: &str, policy: OverlapPolicy) -> Error {
    let message = format!("`{concat}` has no coordinate that tells an order in every file");
    let error = Error::new(ErrorCode::NOT_ASCENDING, ErrorKind::Conflict, message);
    error.mend(format!("leave out --overlap {policy}, and name the files in their order"))
}

fn within(file: &FileSummary, concat: &str, message: String) -> Error {
    let error = Error::new(ErrorCode::NOT_ASCENDING, ErrorKind::Conflict, message);
    error
        .at("variable", concat)
        .at("source", &file.location)
        .mend(format!("put the file in the order of `{concat}` first, each value once"))
}

fn check_within(file: &FileSummary, axis: &AxisSummary, concat: &str) -> Result<()> {
    let (place, how) = match (axis.missing_at, axis.turns_at) {
        (Some(place), _) => (place, "has no value"),
        (None, Some(place)) => (place, "does not go on in one direction"),
        (None, None) => return Ok(()),
    };
    Err(within(file, concat, format!("`{concat}` {how} at element {place}")))
}

fn check_between(
    schema: &Schema,
    concat: &str,
    is_ascending: bool,
    (a, before): (FilePlace, &AxisSummary),
    (b, after): (FilePlace, &AxisSummary),
) -> Result<()> {
    let goes_on = |earlier: AxisPoint, later: AxisPoint| {
        if is_ascending { earlier < later } else { earlier > later }
    };
    let runs_back = after.is_ascending().is_some_and(|it| it != is_ascending);
    if goes_on(before.last, after.first) && !runs_back {
        return Ok(());
    }
    let text = |point: AxisPoint| point.text(before.calendar);
    let (message, mend) = if runs_back {
        (
            format!("`{concat}` runs the other way in one of the files"),
            "turn that file round first, or say --overlap sort".to_owned(),
        )
    } else if goes_on(after.last, before.first) {
        (
            format!(
                "the files are not in order: `{concat}` ends at {} and goes on at {}",
                text(before.last),
                text(after.first)
            ),
            format!("name the files in the order of `{concat}`, or say --overlap sort"),
        )
    } else if before.last == after.first {
        (
            format!("two files hold the same `{concat}`: {}", text(after.first)),
            "say which to take: --overlap keep-first or keep-last".to_owned(),
        )
    } else {
        (
            format!(
                "two files overlap: one holds `{concat}` up to {}, the next begins at {}",
                text(before.last),
                text(after.first)
            ),
            "say which to take: --overlap keep-first or keep-last".to_owned(),
        )
    };
    Err(between(schema, ErrorCode::NOT_ASCENDING, message, a, b).mend(mend))
}
