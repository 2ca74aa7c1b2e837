//! Which files a part of a store was made of, as its plan says.

use array::Region;

use crate::plan::{BakePlan, VariablePlan};
use crate::source::Assembly;

impl BakePlan {
    /// The files that feed a region of a variable, in the order of the store; none for elements
    /// that this plan does not write.
    ///
    /// Units are elements of the whole array. Cost: O(pieces).
    pub fn files_feeding(&self, variable: &str, region: &Region) -> Vec<&str> {
        let Some(plan) = self.variables.iter().find(|it| it.name == variable) else {
            return Vec::new();
        };
        let axis = match &plan.assembly {
            Assembly::One { file } => return self.location(*file).into_iter().collect(),
            Assembly::Along { axis, .. } => *axis,
            Assembly::Repeated { .. } => 0,
        };
        let mut start = self.append.as_ref().map_or(0, |append| append.old_length);
        let wanted = region.range(axis);
        let mut files = Vec::new();
        for piece in &self.pieces {
            let end = start + piece.length;
            let meets = start < wanted.end && wanted.start < end;
            if meets && !files.contains(&piece.file) && has(plan, piece.file) {
                files.push(piece.file);
            }
            start = end;
        }
        files.into_iter().filter_map(|file| self.location(file)).collect()
    }

    fn location(&self, file: u32) -> Option<&str> {
        self.files.get(file as usize).map(|file| file.location.as_str())
    }
}

fn has(plan: &VariablePlan, file: u32) -> bool {
    plan.files.contains(file)
}
