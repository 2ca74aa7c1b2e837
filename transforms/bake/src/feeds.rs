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
        let (group, variable) = self.plan_of(variable);
        group.own_files_feeding(variable, region)
    }

    /// The same for a variable of the root.
    fn own_files_feeding(&self, variable: &str, region: &Region) -> Vec<&str> {
        let Some(plan) = self.variables.iter().find(|it| it.name == variable) else {
            return Vec::new();
        };
        if let Assembly::One { file } = &plan.assembly {
            return self.location(*file).into_iter().collect();
        }
        let lane = self.list();
        let tiling = plan.assembly.tiling(region.rank(), &lane, &self.lanes);
        // Elements that were there before an append are those of other plans.
        let old_length = self.append.as_ref().map_or(0, |append| append.old_length);
        let is_along = |axis: usize| tiling.axes.iter().any(|it| it.axis == axis);
        let own = region.ranges().enumerate().map(|(axis, range)| match is_along(axis) {
            true => range.start.saturating_sub(old_length)..range.end.saturating_sub(old_length),
            false => range,
        });
        let mut files = Vec::new();
        for file in tiling.parts(&Region::new(own)).into_iter().filter_map(|part| part.file) {
            if !files.contains(&file) && has(plan, file) {
                files.push(file);
            }
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
