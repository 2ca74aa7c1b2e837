//! Steps that are missing along the concat dimension of files that are otherwise regular.
//!
//! It refuses nothing: a gap is told and baked.

use crate::schema::{AxisPoint, AxisSummary, FilePlace, Schema};

/// One sentence on the gaps between files, given in order; nothing where there is none.
pub(crate) fn note(
    schema: &Schema,
    concat: &str,
    axes: &[(FilePlace, &AxisSummary)],
) -> Option<String> {
    let common = step_between_single_values(axes);
    let pairs = axes.windows(2).filter_map(|pair| match pair {
        [before, after] => Some((*before, *after)),
        _ => None,
    });
    let mut gaps = pairs.filter(|((_, before), (_, after))| is_gap(before, after, common));
    let ((a, before), (b, after)) = gaps.next()?;
    let first = format!(
        "from {} in {} to {} in {}",
        before.last.text(before.calendar),
        schema.location(a),
        after.first.text(after.calendar),
        schema.location(b)
    );
    Some(match gaps.count() {
        0 => format!("`{concat}` has a gap: {first}"),
        more => format!("`{concat}` has {} gaps, the first {first}", more + 1),
    })
}

/// Whether there is more than a step between two files that have the same step.
fn is_gap(before: &AxisSummary, after: &AxisSummary, common: Option<AxisPoint>) -> bool {
    let Some(step) = before.step.or(after.step).or(common) else { return false };
    let is_regular = [before, after].iter().all(|axis| {
        axis.is_ascending().is_none() || axis.step.is_some_and(|own| own.is_about(step))
    });
    let jump = before.last.distance_to(after.first);
    is_regular && jump.is_some_and(|jump| !jump.is_about(step) && step.is_shorter_than(jump))
}

/// The step of files with one value each: the least one, if most are that and all are multiples.
///
/// Months are not: they have 28 to 31 days.
fn step_between_single_values(axes: &[(FilePlace, &AxisSummary)]) -> Option<AxisPoint> {
    if axes.iter().any(|(_, axis)| axis.is_ascending().is_some()) {
        return None;
    }
    let jumps: Option<Vec<AxisPoint>> =
        axes.windows(2).map(|pair| pair[0].1.last.distance_to(pair[1].1.first)).collect();
    let jumps = jumps?;
    let least = jumps.iter().copied().reduce(|a, b| if b.is_shorter_than(a) { b } else { a })?;
    let regular_count = jumps.iter().filter(|jump| jump.is_about(least)).count();
    let is_regular = jumps.iter().all(|jump| jump.is_multiple_of(least));
    (is_regular && 2 * regular_count > jumps.len()).then_some(least)
}
