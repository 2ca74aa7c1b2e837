//! Where everything of a run lies, below its root.
//!
//! ```text
//! run.json                      what the run is; create-once
//! e/<epoch>.json                who drives it; create-once, the highest is the driver
//! hb/leader-<epoch>             the driver lives; overwritten
//! hb/w-<worker>                 a worker lives, and what it does; overwritten
//! p/<stage>.json                the tasks of a stage; create-once
//! p/<stage>.x<nnnn>.json        what was decided about them since; create-once
//! k/<stage>/<task>.<attempt>    an attempt has begun: advice for others
//! d/<hh>/<stage>/<task>.<attempt>/out   the records that it left
//! c/<stage>/<task>.json         the one attempt that counts; create-once
//! f/<stage>/<task>.<attempt>.json       an attempt that failed, and why
//! n/<stage>/<task>.json         numbers of what was called after the commit
//! done/<stage>.bin              what all tasks have left, by partition; create-once
//! b/<stage>.<epoch>.<nnnn>.intent       workers are about to be submitted; .job: they were
//! b/refusals.json               errors of submissions, each with its count; overwritten
//! x/<hh>/<key>                  payloads that go around the shuffle
//! cancel                        everybody stops
//! leave                         the driver goes, workers do what is open
//! result.json                   how it ended; create-once
//! state.json                    where it stands, in the words of its driver; overwritten
//! requests.json                 what was asked of the store, by driver and workers
//! ```
//!
//! Keys are immutable but for heartbeats. What is read is only what a commit or a done index names.

use dataflow::plan::StageId;
use xxhash_rust::xxh3::xxh3_64;

/// What the run is.
pub(crate) const RUN: &str = "run.json";
/// Everybody stops.
pub(crate) const CANCEL: &str = "cancel";
/// The driver goes, workers do what is open.
pub(crate) const LEAVE: &str = "leave";
/// What was asked of the store.
pub(crate) const REQUESTS: &str = "requests.json";
/// Where it stands.
pub(crate) const STATE: &str = "state.json";
/// How it ended.
pub(crate) const RESULT: &str = "result.json";
/// Who drives the run.
pub(crate) const LEASES: &str = "e";
/// Who lives.
pub(crate) const HEARTBEATS: &str = "hb";
/// The tasks of stages.
pub(crate) const PLANS: &str = "p";
/// What stages have left.
pub(crate) const DONE: &str = "done";
/// Submissions of workers.
pub(crate) const SUBMISSIONS: &str = "b";
/// Submissions that were refused, and how often.
pub(crate) const REFUSALS: &str = "b/refusals.json";
/// Numbers that come after commits.
pub(crate) const AFTER: &str = "n";
/// Records of tasks.
pub(crate) const RECORDS: &str = "d";
/// Attempts that failed.
pub(crate) const FAILURES: &str = "f";
/// Attempts that have begun.
pub(crate) const CLAIMS: &str = "k";
/// Payloads.
pub(crate) const PAYLOADS: &str = "x";

/// A lease.
pub(crate) fn lease(epoch: u32) -> String {
    format!("{LEASES}/{epoch:06}.json")
}

/// The heartbeat of a driver.
pub(crate) fn leader_heartbeat(epoch: u32) -> String {
    format!("{HEARTBEATS}/leader-{epoch:06}")
}

/// The heartbeat of a worker.
pub(crate) fn worker_heartbeat(worker: &str) -> String {
    format!("{HEARTBEATS}/w-{worker}")
}

/// The tasks of a stage.
pub(crate) fn plan(stage: StageId) -> String {
    format!("{PLANS}/{stage}.json")
}

/// The n-th decision about the tasks of a stage.
pub(crate) fn extension(stage: StageId, number: u32) -> String {
    format!("{PLANS}/{stage}.x{number:04}.json")
}

/// The claims of a stage.
pub(crate) fn claims(stage: StageId) -> String {
    format!("{CLAIMS}/{stage}")
}

/// The claim of an attempt.
pub(crate) fn claim(stage: StageId, task: u32, attempt: &str) -> String {
    format!("{CLAIMS}/{stage}/{task:05}.{attempt}")
}

/// The commits of a stage.
pub(crate) fn commits(stage: StageId) -> String {
    format!("c/{stage}")
}

/// The commit of a task.
pub(crate) fn commit(stage: StageId, task: u32) -> String {
    format!("c/{stage}/{task:05}.json")
}

/// What was counted after the commit of a task.
pub(crate) fn after(stage: StageId, task: u32) -> String {
    format!("{AFTER}/{stage}/{task:05}.json")
}

/// The failures of a stage.
pub(crate) fn failures(stage: StageId) -> String {
    format!("{FAILURES}/{stage}")
}

/// The failure of an attempt.
pub(crate) fn failure(stage: StageId, task: u32, attempt: &str) -> String {
    format!("{FAILURES}/{stage}/{task:05}.{attempt}.json")
}

/// What a stage has left.
pub(crate) fn done(stage: StageId) -> String {
    format!("{DONE}/{stage}.bin")
}

/// Where an attempt leaves its records; hashed first, so that a store can split its load.
pub(crate) fn records(stage: StageId, task: u32, attempt: &str) -> String {
    let place = format!("{stage}/{task:05}");
    format!("{RECORDS}/{:02x}/{place}.{attempt}/out", xxh3_64(place.as_bytes()) as u8)
}

/// The payload of a key.
pub(crate) fn payload(key: &str) -> String {
    format!("{PAYLOADS}/{:02x}/{key}", xxh3_64(key.as_bytes()) as u8)
}

/// The id that was given to a submission, by the key of its intent.
pub(crate) fn job(intent: &str) -> String {
    intent.replace(".intent", ".job")
}

/// The task that a key of a commit, a claim or a failure is about, and the attempt.
pub(crate) fn task_of(key: &str) -> Option<(u32, &str)> {
    let name = key.rsplit('/').next()?;
    let (task, rest) = name.split_once('.')?;
    Some((task.parse().ok()?, rest.strip_suffix(".json").unwrap_or(rest)))
}

/// The stage, the task and the worker of a claim.
pub(crate) fn claim_of(key: &str) -> Option<(StageId, u32, &str)> {
    let (folder, _) = key.rsplit_once('/')?;
    let (stage, (task, worker)) = (stage_of(folder)?, task_of(key)?);
    Some((stage, task, worker))
}

/// The stage that a key `<folder>/s<nnn>.…` is about.
pub(crate) fn stage_of(key: &str) -> Option<StageId> {
    let name = key.rsplit('/').next()?.strip_prefix('s')?;
    name.split('.').next()?.parse().ok().map(StageId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_stage_task_and_attempt() {
        let stage = StageId(12);
        assert_eq!(commit(stage, 7), "c/s012/00007.json");
        assert_eq!(task_of(&commit(stage, 7)), Some((7, "json")));
        assert_eq!(task_of(&failure(stage, 7, "3-1-ab")), Some((7, "3-1-ab")));
        assert_eq!(claim_of(&claim(stage, 7, "3-1-ab")), Some((stage, 7, "3-1-ab")));
        assert_eq!(stage_of(&plan(stage)), Some(stage));
        assert_eq!(stage_of(&extension(stage, 3)), Some(stage));
        assert_eq!(stage_of(&done(stage)), Some(stage));
        assert!(records(stage, 7, "3-1-ab").ends_with("/s012/00007.3-1-ab/out"));
    }
}
