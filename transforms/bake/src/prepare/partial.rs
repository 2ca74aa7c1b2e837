//! Steps of files that hold different variables: each changes those that a file has.

use std::collections::BTreeSet;

use array::Dataset;

use crate::prepare::step::Step;

/// The number of a step, from 1, and a name in it that nothing in a file is called.
pub(crate) type Unknown = (u32, String);

impl Step {
    /// This step without the variables that a file lacks, or nothing if it names no others; what it
    /// lacks is added to `unknown`.
    ///
    /// Dimensions must be there: all files of a grid have them.
    pub(super) fn within(
        &self,
        dataset: &Dataset,
        number: u32,
        unknown: &mut BTreeSet<Unknown>,
    ) -> Option<Self> {
        let mut has = |name: &String| {
            let is_there = dataset.variable(name).is_some() || dataset.dimension(name).is_some();
            if !is_there {
                unknown.insert((number, name.clone()));
            }
            is_there
        };
        let mut step = self.clone();
        let is_empty = match &mut step {
            Self::Select { vars }
            | Self::Drop { vars }
            | Self::SetCoords { vars }
            | Self::Scale { vars, .. }
            | Self::Mask { vars, .. }
            | Self::Cast { vars, .. } => {
                let was_empty = vars.is_empty();
                vars.retain(&mut has);
                vars.is_empty() && !was_empty
            }
            Self::Rename { names } => {
                let was_empty = names.is_empty();
                names.retain(|name, _| has(name));
                names.is_empty() && !was_empty
            }
            Self::Attributes { var: Some(name), .. } => !has(name),
            Self::Attributes { var: None, .. }
            | Self::Group { .. }
            | Self::Subset { .. }
            | Self::Expand { .. } => false,
        };
        (!is_empty).then_some(step)
    }
}
