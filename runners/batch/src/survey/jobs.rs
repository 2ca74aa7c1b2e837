//! What was submitted for a run, by all of its drivers.

use dataflow::error::Result;

use crate::launch::JobId;
use crate::store::{Intent, RunStore, keys};

/// One submission of workers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunJob {
    /// The name by which the place of the workers knows it.
    pub name: String,
    /// Its id there; nothing if the answer of the place was lost.
    pub id: Option<JobId>,
    /// How many workers it has.
    pub workers: u32,
    /// Their rung on the ladder of memory.
    pub rung: u32,
}

impl RunStore {
    /// Everything that was submitted for the run, oldest first.
    ///
    /// Cost: a list, and two reads for each submission.
    ///
    /// # Errors
    /// A store that fails.
    pub fn jobs(&self) -> Result<Vec<RunJob>> {
        let submissions = self.list(keys::SUBMISSIONS)?.into_iter().map(|it| it.key);
        let intents: Vec<String> = submissions.filter(|key| key.ends_with(".intent")).collect();
        let ids = self.read_all::<JobId>(intents.iter().map(|key| keys::job(key)))?;
        let mut jobs = Vec::new();
        for (key, Intent { name, workers, rung, .. }) in self.read_all::<Intent>(intents)? {
            let own = keys::job(&key);
            let id = ids.iter().find(|(key, _)| *key == own).map(|(_, id)| id.clone());
            jobs.push(RunJob { name, id, workers, rung });
        }
        Ok(jobs)
    }
}
