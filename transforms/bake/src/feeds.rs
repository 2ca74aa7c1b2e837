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
        let mut files = Vec::new();
        for file in
            tiling.parts(&self.own_region(plan, region)).into_iter().filter_map(|part| part.file)
        {
            if !files.contains(&file) && has(plan, file) {
                files.push(file);
            }
        }
        files.into_iter().filter_map(|file| self.location(file)).collect()
    }

    /// The axes of a variable along which the files that feed it change, where some of its elements
    /// have no file and hold fill values; `None` where every element has one.
    pub fn hole_axes(&self, variable: &str) -> Option<Vec<usize>> {
        let (group, name) = self.plan_of(variable);
        let plan = group.variables.iter().find(|it| it.name == name)?;
        let is_whole = plan.hole.is_none() && plan.filled.is_none();
        if is_whole || matches!(plan.assembly, Assembly::One { .. }) {
            return None;
        }
        let rank = group.template.variable(name)?.shape.len();
        let tiling = plan.assembly.tiling(rank, &group.list(), &group.lanes);
        Some(tiling.axes.iter().map(|it| it.axis).collect())
    }

    /// Whether some elements of a region of a variable have no file that gives them.
    ///
    /// Units are elements of the whole array. Cost: O(pieces).
    pub fn has_hole(&self, variable: &str, region: &Region) -> bool {
        let (group, name) = self.plan_of(variable);
        let Some(plan) = group.variables.iter().find(|it| it.name == name) else { return false };
        let own = group.own_region(plan, region);
        let tiling = plan.assembly.tiling(region.rank(), &group.list(), &group.lanes);
        tiling.parts(&own).iter().any(|part| part.file.is_none_or(|file| !has(plan, file)))
    }

    /// A region as the files of this plan see it: elements that were there before an append are
    /// those of other plans.
    fn own_region(&self, plan: &VariablePlan, region: &Region) -> Region {
        let tiling = plan.assembly.tiling(region.rank(), &self.list(), &self.lanes);
        let old_length = self.append.as_ref().map_or(0, |append| append.old_length);
        let is_along = |axis: usize| tiling.axes.iter().any(|it| it.axis == axis);
        Region::new(region.ranges().enumerate().map(|(axis, range)| match is_along(axis) {
            true => range.start.saturating_sub(old_length)..range.end.saturating_sub(old_length),
            false => range,
        }))
    }

    fn location(&self, file: u32) -> Option<&str> {
        self.files.get(file as usize).map(|file| file.location.as_str())
    }
}

fn has(plan: &VariablePlan, file: u32) -> bool {
    plan.files.contains(file)
}
