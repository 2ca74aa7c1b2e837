//! What the runs of a store say of it: units with lengths and checksums, and the files behind them.

use std::collections::BTreeMap;

use ::bake::{BakePlan, FilledElements, read_commits};
use array::Region;
use dataflow::error::Result;
use objects::{Location, StoreOptions};

use crate::job::run_store::RunStore;

/// Length and checksum of every unit that was committed, by variable and index.
type Units = BTreeMap<(String, Vec<u64>), (u64, u32)>;

/// What runs have committed since a store was baked.
///
/// Memory: a record of 40 bytes for each unit, and the plans of all runs.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    units: Units,
    /// What holds missing values as no file could give it.
    filled: Vec<FilledElements>,
    /// Of the bake, and of the appends since.
    plans: Vec<BakePlan>,
}

impl Committed {
    /// Reads the runs of a store; nothing if none is known to have baked it.
    ///
    /// # Errors
    /// Records that are damaged, or a store that fails.
    pub(crate) fn read(location: &Location, store: &StoreOptions) -> Result<Option<Self>> {
        let mut committed: Option<Self> = None;
        for run in RunStore::history(location, store)? {
            let (has_succeeded, plan) = (run.has_succeeded(), run.plan());
            let is_append = plan.as_ref().is_some_and(|plan| plan.append.is_some());
            if !is_append {
                // Whatever is there now is not what a run before had written.
                committed = has_succeeded.then(Self::default);
            }
            let Some(committed) = committed.as_mut() else { continue };
            if has_succeeded {
                read_commits(run.objects(), |record| {
                    let units = record.units.into_iter();
                    let known =
                        units.map(|it| ((it.array, it.index), (it.encoded_bytes, it.crc32c)));
                    committed.units.extend(known);
                    committed.filled.extend(record.filled);
                    Ok(())
                })?;
                if let Some(plan) = &plan {
                    committed.forget_filled(plan);
                }
                committed.plans.extend(plan);
            } else if let Some(plan) = &plan {
                committed.forget_partial_units(plan);
            }
        }
        Ok(committed)
    }

    /// A run that was cut short may have written units anew, with old elements in them, and nobody
    /// knows which.
    fn forget_partial_units(&mut self, plan: &BakePlan) {
        let Some(append) = &plan.append else { return };
        for variable in &plan.variables {
            if let Some((axis, units)) = append.rewritten_units(plan, &variable.name) {
                self.units.retain(|(array, index), _| {
                    *array != variable.name || index.get(axis).is_none_or(|it| !units.contains(it))
                });
            }
        }
    }

    /// Elements that are written anew in place are no longer those that were filled.
    fn forget_filled(&mut self, plan: &BakePlan) {
        let Some(append) = &plan.append else { return };
        let is_anew = |filled: &FilledElements| {
            let variable = plan.template.variable(&filled.array)?;
            let range = filled.region().range(variable.axis_of(&append.dimension)?);
            Some(append.old_length <= range.start && range.end <= append.new_length)
        };
        self.filled.retain(|filled| is_anew(filled) != Some(true));
    }

    /// What holds missing values as no file could give it.
    pub(crate) fn filled(&self) -> &[FilledElements] {
        &self.filled
    }

    /// Length and checksum of a unit, if they are known.
    pub(crate) fn unit(&self, variable: &str, index: &[u64]) -> Option<(u64, u32)> {
        self.units.get(&(variable.to_owned(), index.to_vec())).copied()
    }

    /// The files that feed a region of a variable.
    pub(crate) fn files_feeding(&self, variable: &str, region: &Region) -> Vec<String> {
        let plans = self.plans.iter();
        let files = plans.flat_map(|plan| plan.files_feeding(variable, region));
        files.map(str::to_owned).collect()
    }
}
