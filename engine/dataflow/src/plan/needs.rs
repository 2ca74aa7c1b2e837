//! What a plan needs of its runner.

use crate::capability::{Capabilities, Capability};
use crate::error::Result;
use crate::graph::{Node, Operation};
use crate::plan::StageGraph;

impl StageGraph {
    /// Refuses this plan for a runner that offers less than it needs.
    ///
    /// # Errors
    /// E104 for the first transform, in the order of construction, that needs more: it names the
    /// transform, its recipe line, the capability and the runner.
    pub fn check_runnable(&self, runner: &str, offered: Capabilities) -> Result<()> {
        for (id, node) in self.graph.iter() {
            let step = &self.steps[id.0 as usize];
            for need in needs_of(node) {
                offered.require(need, runner).map_err(|error| step.locate(error))?;
            }
        }
        Ok(())
    }
}

fn needs_of(node: &Node) -> Vec<Capability> {
    match &node.operation {
        Operation::Impulse => vec![Capability::Impulse],
        Operation::Reshuffle => vec![Capability::Reshuffle],
        Operation::Flatten => vec![Capability::Flatten],
        Operation::Window(_) => vec![Capability::Windows],
        Operation::Group(group) if group.facts().accumulator.is_some() => {
            vec![Capability::Combine]
        }
        Operation::Group(_) => vec![Capability::GroupByKey],
        Operation::ParDo(pardo) => {
            let mut needs = vec![Capability::ParDo];
            needs.extend((node.outputs.len() > 1).then_some(Capability::TaggedOutputs));
            needs.extend((!node.sides.is_empty()).then_some(Capability::SideInputs));
            needs.extend(pardo.facts().dofn.needs);
            needs
        }
    }
}
