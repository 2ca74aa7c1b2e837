//! Steps that are missing along the concat dimension of files that are otherwise regular.
//!
//! It refuses nothing: what becomes of a gap, `order` decides.

use crate::schema::{AxisPoint, AxisSummary, FilePlace, Schema};

/// Steps that are missing between two files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gap {
    /// The place, among the coordinates that were looked at, of the one before it.
    pub(crate) after: usize,
    /// The step of the coordinates around it.
    pub(crate) step: AxisPoint,
    /// From the last value before it to the first one after it.
    pub(crate) jump: AxisPoint,
}

/// The gaps between files, given in order.
pub(crate) fn find(axes: &[(FilePlace, &AxisSummary)]) -> Vec<Gap> {
    let common = step_between_single_values(axes);
    let pairs = axes.windows(2).enumerate();
    let gap = |(after, pair): (usize, &[(FilePlace, &AxisSummary)])| {
        let [(_, before), (_, behind)] = pair else { return None };
        let (step, jump) = gap_between(before, behind, common)?;
        Some(Gap { after, step, jump })
    };
    pairs.filter_map(gap).collect()
}

/// One sentence on these gaps; nothing where there is none.
pub(crate) fn note(
    schema: &Schema,
    concat: &str,
    axes: &[(FilePlace, &AxisSummary)],
    gaps: &[Gap],
) -> Option<String> {
    let [(a, before), (b, after), ..] = axes.get(gaps.first()?.after..)? else { return None };
    let first = format!(
        "from {} in {} to {} in {}",
        before.last.text(before.calendar),
        schema.location(*a),
        after.first.text(after.calendar),
        schema.location(*b)
    );
    Some(match gaps.len() {
        1 => format!("`{concat}` has a gap: {first}"),
        count => format!("`{concat}` has {count} gaps, the first {first}"),
    })
}

/// The step of two files that have the same one, and how far they are apart, if that is more.
fn gap_between(
    before: &AxisSummary,
    after: &AxisSummary,
    common: Option<AxisPoint>,
) -> Option<(AxisPoint, AxisPoint)> {
    let step = before.step.or(after.step).or(common)?;
    let is_regular = [before, after].iter().all(|axis| {
        axis.is_ascending().is_none() || axis.step.is_some_and(|own| own.is_about(step))
    });
    let jump = before.last.distance_to(after.first)?;
    let is_gap = is_regular && !jump.is_about(step) && step.is_shorter_than(jump);
    is_gap.then_some((step, jump))
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
