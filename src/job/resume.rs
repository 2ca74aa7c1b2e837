//! What a run that failed or was killed has left that the next one need not write again.

use std::collections::{BTreeMap, BTreeSet};

use ::bake::{BakePlan, FilledElements, read_commits, read_filled};
use array::{ChunkGrid, WrittenUnit};
use chunks::{DoneUnits, Written};
use dataflow::error::{Error, Result};
use objects::{Location, Objects, StoreOptions};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::job::bake::Bake;
use crate::job::run_store::{PastRun, RunStore};
use crate::job::target::OpenTarget;

/// Files that are named where many have changed.
const NAMED_FILES: usize = 3;

/// What `--resume` has found.
#[derive(Debug, Clone)]
pub(crate) enum Resumption {
    /// A run of this very plan that did not come to its end.
    Continued(Box<PastRun>),
    /// A run of this very plan that did, but has filled elements that no file could give; sources
    /// may have been changed since.
    Mending(Box<PastRun>),
    /// A run of this very plan that did: nothing is left to do.
    Complete,
    /// Nothing that this plan could go on with, for this reason.
    Nothing(String),
}

impl Resumption {
    /// Looks for a run to go on with: the newest one, if its plan is this one.
    ///
    /// # Errors
    /// A run store that cannot be read.
    pub(crate) fn find(runs: &Location, store: &StoreOptions, plan: &BakePlan) -> Result<Self> {
        let Some(run) = RunStore::newest(runs, store)? else {
            return Ok(Self::Nothing("no run of this destination is known".to_owned()));
        };
        let is_same = match run.plan() {
            Some(past) => past.same_store_as(plan)?,
            None => false,
        };
        if run.has_succeeded() && plan.append.is_none() {
            let filled = read_filled(run.objects())?;
            let is_near = match run.plan() {
                Some(past) => past.same_but_for_sources(plan)?,
                None => false,
            };
            if is_near && !filled.is_empty() {
                return Ok(Self::Mending(Box::new(run)));
            }
        }
        Ok(match (run.has_succeeded(), is_same) {
            (true, true) => Self::Complete,
            (true, false) => Self::Nothing("the last run came to its end".to_owned()),
            (false, _) if !run.has_remains() => {
                Self::Nothing("the last run failed and left nothing".to_owned())
            }
            (false, true) => Self::Continued(Box::new(run)),
            (false, false) => Self::Nothing(difference(run.plan().as_ref(), plan)?),
        })
    }

    /// The units that need not be written again: committed by that run, and there with the length
    /// and the checksum that it has recorded.
    ///
    /// A unit with elements that were filled is not one of them, nor is one of a finished store
    /// that a source feeds which was changed since.
    ///
    /// Cost: each is read once, on the threads of the current pool.
    ///
    /// # Errors
    /// Records that are damaged, or a store that fails.
    pub(crate) fn units(
        &self,
        (target, plan): (&OpenTarget, &BakePlan),
        destination: &Location,
        store: &StoreOptions,
    ) -> Result<DoneUnits> {
        let (Self::Continued(run) | Self::Mending(run)) = self else {
            return Ok(DoneUnits::default());
        };
        let (mut committed, mut filled) = (Vec::new(), Vec::new());
        read_commits(run.objects(), |record| {
            committed.extend(record.units);
            filled.extend(record.filled);
            Ok(())
        })?;
        let filled = target.units_of(&filled);
        committed.retain(|unit| !filled.contains(&(unit.array.as_str(), unit.index.clone())));
        if let Self::Mending(run) = self {
            let (earlier, units) = (run.plan(), target.unit_grids());
            let changed: BTreeSet<&str> =
                earlier.iter().flat_map(|earlier| plan.changed_since(earlier)).collect();
            let is_fed = |unit: &Written| {
                let region = units.get(unit.array.as_str()).map(|grid| grid.region(&unit.index));
                let files = region.map(|region| plan.files_feeding(&unit.array, &region));
                files.is_none_or(|files| files.iter().any(|file| changed.contains(file)))
            };
            committed.retain(|unit| changed.is_empty() || !is_fed(unit));
        }
        committed.sort();
        committed.dedup();
        let objects = Objects::open(destination, store)?;
        let is_there = |unit: &Written| {
            let key = target.target.unit_key(&unit.array, &unit.index)?;
            let body = objects.try_get(&key)?;
            Ok(body.is_some_and(|body| {
                body.len() as u64 == unit.encoded_bytes && crc32c::crc32c(&body) == unit.crc32c
            }))
        };
        let checked: Result<Vec<(Written, bool)>> = committed
            .into_par_iter()
            .map(|unit| is_there(&unit).map(|is_there| (unit, is_there)))
            .collect();
        let mut done = DoneUnits::default();
        for (unit, _) in checked?.into_iter().filter(|(_, is_there)| *is_there) {
            let mut index = unit.index;
            for (index, offset) in index.iter_mut().zip(target.offset(&unit.array)) {
                let own = index.checked_sub(*offset);
                *index = own.ok_or_else(|| Error::internal("a unit before the appended ones"))?;
            }
            let written = WrittenUnit { encoded_bytes: unit.encoded_bytes, crc32c: unit.crc32c };
            done.entry(unit.array).or_default().insert(index, written);
        }
        Ok(done)
    }

    /// What becomes of the request to resume, in a sentence.
    pub(crate) fn note(&self, reused_count: u64) -> String {
        match self {
            Self::Continued(_) => {
                format!("resumed: {reused_count} units were there already, as they were committed")
            }
            Self::Mending(..) => format!(
                "resumed: elements were filled or sources changed; {reused_count} units that \
                 neither concerns were kept"
            ),
            Self::Complete => "nothing to resume: the store is complete".to_owned(),
            Self::Nothing(why) => format!("nothing to resume, {why}; all was written"),
        }
    }
}

/// How a plan differs from that of an earlier run: by the files that were written since, if that is all.
fn difference(earlier: Option<&BakePlan>, plan: &BakePlan) -> Result<String> {
    let another = "the last run had another plan";
    if let Some(earlier) = earlier
        && plan.same_but_for_sources(earlier)?
    {
        let changed: Vec<&str> = plan.changed_since(earlier).collect();
        let named = changed.iter().take(NAMED_FILES).copied().collect::<Vec<_>>().join(", ");
        let more = changed.len().saturating_sub(NAMED_FILES);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        return Ok(format!("{another}: written since are {named}{more}"));
    }
    Ok(format!("{another}: other files or options"))
}

impl Bake {
    /// Of a plan that goes on with that of an earlier run: sources are those of that run.
    pub(super) fn look_as_before(&self, mut plan: BakePlan) -> Result<BakePlan> {
        if self.may_resume
            && let Resumption::Continued(run) = Resumption::find(&self.runs()?, &self.store, &plan)?
            && let Some(earlier) = run.plan()
        {
            plan.look_as(&earlier);
        }
        Ok(plan)
    }
}

impl OpenTarget {
    /// The units of each array.
    fn unit_grids(&self) -> BTreeMap<&str, &ChunkGrid> {
        self.copies.iter().map(|copy| (copy.name.as_str(), &copy.sink.facts().units)).collect()
    }

    /// The units that hold some of these elements.
    fn units_of<'a>(&self, filled: &'a [FilledElements]) -> BTreeSet<(&'a str, Vec<u64>)> {
        let grids = self.unit_grids();
        let units = filled.iter().flat_map(|filled| {
            let grid = grids.get(filled.array.as_str());
            let units = grid.into_iter().flat_map(|grid| grid.chunks_meeting(&filled.region()));
            units.map(|unit| (filled.array.as_str(), unit))
        });
        units.collect()
    }

    fn offset(&self, array: &str) -> &[u64] {
        self.unit_offsets.get(array).map_or(&[], Vec::as_slice)
    }
}

/// The number of units.
pub(crate) fn count_of(done: &DoneUnits) -> u64 {
    done.values().map(BTreeMap::len).sum::<usize>() as u64
}
