//! Whose logs are wanted: workers by name, by job and index, or by the steps that they ran.

use std::collections::BTreeSet;

use levain::batch::RunStore;
use levain::batch::launch::JobId;
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use levain::job::Run;
use levain::objects::StoreOptions;

/// One place of a job, whose starts write a log each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) job: String,
    pub(super) id: Option<JobId>,
    pub(super) index: u32,
    /// Whether the job has others.
    pub(super) is_one_of_many: bool,
}

impl Place {
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.job, self.index)
    }

    /// The end of the name, which tells it from the others of the run: `1-0000:3`.
    pub(super) fn short_name(&self) -> String {
        let name = self.name();
        let mut parts = name.rsplitn(3, '-');
        match (parts.next(), parts.next()) {
            (Some(number), Some(epoch)) => format!("{epoch}-{number}"),
            _ => name.clone(),
        }
    }
}

/// All places of a run.
pub(super) fn places_of(run: &Run, store: &StoreOptions) -> Result<Vec<Place>> {
    let jobs = run.jobs(store)?.into_iter();
    let places = jobs.flat_map(|job| {
        (0..job.workers).map(move |index| Place {
            job: job.name.clone(),
            id: job.id.clone(),
            index,
            is_one_of_many: job.workers > 1,
        })
    });
    Ok(places.collect())
}

/// Those of a worker: `JOB:INDEX`, the end of that, or the name that `levain tasks` shows.
///
/// # Errors
/// No such worker, a store that fails.
pub(super) fn of_worker(
    wanted: &str,
    places: Vec<Place>,
    stores: &[RunStore],
) -> Result<Vec<Place>> {
    let is_named = |place: &Place| place.name() == wanted || place.short_name() == wanted;
    if places.iter().any(is_named) {
        return Ok(places.into_iter().filter(is_named).collect());
    }
    let mut names = BTreeSet::new();
    for store in stores {
        let tasks = store.tasks()?;
        let of_tasks = tasks.into_iter().filter(|row| row.worker.as_deref() == Some(wanted));
        names.extend(of_tasks.filter_map(|row| row.place));
        let living = store.view()?.workers.into_iter().filter(|it| it.name == wanted);
        names.extend(living.map(|it| format!("{}:{}", it.job, it.index)));
    }
    let known: Vec<String> = places.iter().map(Place::short_name).collect();
    let found: Vec<Place> = places.into_iter().filter(|it| names.contains(&it.name())).collect();
    if found.is_empty() {
        let message = format!("the run has no worker `{wanted}`");
        return Err(Error::new(ErrorCode::UNKNOWN_JOB, ErrorKind::NotFound, message)
            .at("flag", "--worker")
            .mend(format!("there are: {}", known.join(", "))));
    }
    Ok(found)
}

/// Those that have run, or run, a step whose name fits a pattern.
///
/// # Errors
/// A pattern that is none or fits no step, a store that fails.
pub(super) fn of_step(
    pattern: &str,
    places: Vec<Place>,
    stores: &[RunStore],
) -> Result<Vec<Place>> {
    let refuse = |message: String, mend: String| {
        let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
        Err(error.at("flag", "--step").mend(mend))
    };
    let glob = match glob::Pattern::new(pattern) {
        Ok(glob) => glob,
        Err(why) => {
            return refuse(format!("`{pattern}` is no pattern: {why}"), "write '*Write*'".into());
        }
    };
    let (mut names, mut known, mut is_known) = (BTreeSet::new(), Vec::new(), false);
    for store in stores {
        let view = store.view()?;
        let stages = view.state.map(|state| state.stages).unwrap_or_default();
        let fits = |step: &String| glob.matches(step) || step.rsplit('/').next() == Some(pattern);
        let wanted = stages.iter().filter(|stage| stage.steps.iter().any(fits));
        let wanted: BTreeSet<&str> = wanted.map(|stage| stage.stage.as_str()).collect();
        known.extend(stages.iter().flat_map(|stage| stage.steps.clone()));
        is_known |= !wanted.is_empty();
        let tasks = store.tasks()?;
        let of_stage = tasks.into_iter().filter(|row| wanted.contains(row.stage.as_str()));
        names.extend(of_stage.filter_map(|row| row.place));
        for worker in view.workers {
            if worker.tasks.iter().any(|(stage, _)| wanted.contains(stage.as_str())) {
                names.insert(format!("{}:{}", worker.job, worker.index));
            }
        }
    }
    if !is_known {
        let message = format!("no step is called `{pattern}`");
        return refuse(message, format!("there are: {}", known.join(", ")));
    }
    Ok(places.into_iter().filter(|place| names.contains(&place.name())).collect())
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn places_are_told_by_the_end_of_their_names() {
        let place = Place {
            job: "levain-01M8EM30C9MD3K92EM6EP7R0XC-2-0011".to_owned(),
            id: None,
            index: 3,
            is_one_of_many: true,
        };
        assert_eq!(place.short_name(), "2-0011:3");
    }
}
