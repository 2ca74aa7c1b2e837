//! Makes sure that nobody works on a run any more.

use std::time::{Duration, Instant};

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::store::{ResultRecord, RunStore, WorkerBeat, keys, silence};

/// Asks the workers of a run that has no end to go home, and waits until none is left.
///
/// Whoever writes anew what such a run writes calls this first: a worker that nobody drives goes on
/// for a while; what the run has kept for them is removed. Cost: two reads and a list where there is no such
/// run.
///
/// # Errors
/// E507 for a run that somebody drives, and for workers that stay; a store that fails.
pub fn dispel(store: &RunStore, patience: Duration) -> Result<()> {
    if !store.is_open()? {
        // A driver may have died before the run has begun, or after its end.
        return if super::lease::last_epoch(store)? > 0 { store.tidy() } else { Ok(()) };
    }
    let run = store.run_record()?;
    // Whoever can take the lease knows that nobody drives the run.
    let silence = silence(run.options.heartbeat_ms);
    super::Lease::take(store, "", silence)?.release()?;
    store.put(keys::CANCEL, &"another run begins")?;
    let began = Instant::now();
    while let Some(worker) = living(store, silence)? {
        if began.elapsed() > patience {
            let message = "a worker of an earlier run is still at work";
            return Err(Error::new(ErrorCode::LOCKED, ErrorKind::Conflict, message)
                .at("run", store.root())
                .at("worker", worker)
                .mend("stop its job, or wait until it has ended"));
        }
        crate::pause(Duration::from_millis(200));
    }
    let ended_ms = objects::now_ms();
    let (state, error) = ("CANCELLED".to_owned(), None);
    store.create(keys::RESULT, &ResultRecord { v: 1, state, error, ended_ms })?;
    store.tidy()
}

/// A worker that lives, by the clock of the store.
pub(crate) fn living(store: &RunStore, silence: Duration) -> Result<Option<String>> {
    let (beats, now_ms) = super::lease::beats_now(store)?;
    let is_fresh = |at_ms: i64| now_ms - at_ms <= silence.as_millis() as i64;
    let fresh =
        beats.into_iter().filter(|it| it.key.contains("/w-") && is_fresh(it.last_modified_ms));
    let beats = store.read_all::<WorkerBeat>(fresh.map(|it| it.key))?;
    Ok(beats.into_iter().find(|(_, beat)| !beat.has_ended).map(|(key, _)| key))
}

#[cfg(test)]
mod tests {
    use objects::{Location, StoreOptions};

    use super::*;
    use crate::leader::Lease;

    #[test]
    fn a_driver_that_died_before_the_run_began_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Location::parse(&folder.path().to_string_lossy()).expect("a place");
        let store = RunStore::open(&root, &StoreOptions::default()).expect("a store");
        let lease = Lease::take(&store, "here", Duration::from_secs(60)).expect("nobody drives it");
        let beat = folder.path().join(lease.heartbeat_key());
        let cut_short = beat.with_file_name("leader-000001#1");
        std::fs::write(&cut_short, "a part").expect("a file");
        assert!(beat.exists());
        dispel(&store, Duration::ZERO).expect("nobody is at work");
        assert!(!beat.exists() && !cut_short.exists(), "the remains of the driver are there");
    }
}
