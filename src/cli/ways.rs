//! The ways in which arrays can be copied, as a plan shows them: the one that is taken, and those
//! that are not, each with what it takes and why.

use levain::array::GroupPath;
use levain::bake::{BakePlan, VariablePlan};
use levain::chunks::ByteSize;

use crate::cli::table::{Table, count};

/// Smaller arrays are copied in no time, whatever the way.
const WORTH_A_LOOK: u64 = 1 << 20;

/// A table for every variable that is not small.
pub(crate) fn ways_text(plan: &BakePlan) -> String {
    let large = |it: &&VariablePlan| it.copy.costs.target_bytes >= WORTH_A_LOOK;
    let of_group = |(group, plan): (GroupPath, &BakePlan)| {
        let large = plan.variables.iter().filter(large);
        large.map(|variable| ways_of(&group, plan, variable)).collect::<String>()
    };
    plan.tree().map(of_group).collect()
}

fn ways_of(group: &GroupPath, plan: &BakePlan, variable: &VariablePlan) -> String {
    let target = plan.template.variable(&variable.name);
    let dimensions = target.map_or(&[][..], |it| it.dimensions.as_slice());
    let head = ["  WAY", "READS", "IN", "SEGMENTS", "CELLS", "MEM/TASK", "CORE S", "WHY"];
    let mut table = Table::new(head).with_right(&[1, 2, 3, 4, 5, 6]);
    let copy = &variable.copy;
    let mut row = |way: String, costs: &levain::chunks::Costs, seconds: f64, why: &str| {
        table.row([
            format!("  {way}"),
            count(costs.source_gets),
            ByteSize(costs.source_bytes).to_string(),
            count(costs.segment_puts),
            count(costs.segment_gets),
            ByteSize(costs.peak_bytes).to_string(),
            format!("{seconds:.1}"),
            why.to_owned(),
        ]);
    };
    row(copy.method.describe(dimensions), &copy.costs, copy.price.core_seconds, &copy.reason);
    for other in &copy.others {
        let way = other.method.describe(dimensions);
        row(way, &other.costs, other.price.core_seconds, &other.reason);
    }
    let name = full_name(group, &variable.name);
    format!("ways to copy {name}, the first is taken\n{table}")
}

/// The name of a variable of a group, as a store as a whole has it.
pub(crate) fn full_name(group: &GroupPath, variable: &str) -> String {
    if group.is_root() { variable.to_owned() } else { format!("{group}/{variable}") }
}
