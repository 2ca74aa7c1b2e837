//! What a run has left in its store that nobody reads any more.

use std::collections::BTreeSet;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::Serialize;

use crate::leader::{Lease, living};
use crate::store::{Commit, DoneIndex, RunStore, keys, silence};

/// Objects that can be removed, and nothing is lost that a driver, a worker or a report reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Leavings {
    /// Their keys, below the root of the run.
    pub keys: Vec<String>,
    /// Their bytes.
    pub bytes: u64,
    /// The keys of writes that were cut short: uploads in parts that nobody ends, files beside their place.
    pub unfinished: Vec<String>,
}

impl Leavings {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.unfinished.is_empty()
    }
}

impl RunStore {
    /// What the run has left: of one that has an end, all that tasks have left for each other, claims and
    /// heartbeats; of one that may be taken up, attempts that do not count, claims and heartbeats.
    ///
    /// Cost: lists, and a read for each commit of a run without an end.
    ///
    /// # Errors
    /// E507 for a run at which somebody works; a store that fails.
    pub fn leavings(&self) -> Result<Leavings> {
        let silence = silence(self.run_record()?.options.heartbeat_ms);
        let is_open = self.is_open()?;
        if is_open && self.is_driven()? {
            return Err(at_work(self, "a driver"));
        }
        if let Some(worker) = living(self, silence)? {
            return Err(at_work(self, &worker));
        }
        let unfinished = self.unfinished()?;
        let mut leavings = Leavings { unfinished, ..Leavings::default() };
        let kept = if is_open { self.records_that_count()? } else { BTreeSet::new() };
        let folders: &[&str] = match is_open {
            // Payloads go around the shuffle, and nobody knows which of them are still to be read.
            true => &[keys::RECORDS, keys::CLAIMS, keys::HEARTBEATS],
            false => &[keys::RECORDS, keys::PAYLOADS, keys::CLAIMS, keys::HEARTBEATS],
        };
        for folder in folders {
            for facts in self.list(folder)? {
                if !kept.contains(&facts.key) {
                    leavings.bytes += facts.size_bytes;
                    leavings.keys.push(facts.key);
                }
            }
        }
        Ok(leavings)
    }

    /// Removes what [`RunStore::leavings`] has found; no driver can begin meanwhile.
    ///
    /// # Errors
    /// E507 if somebody has begun to drive the run; a store that fails.
    pub fn remove(&self, leavings: &Leavings) -> Result<()> {
        let silence = silence(self.run_record()?.options.heartbeat_ms);
        let lease = if self.is_open()? { Some(Lease::take(self, "", silence)?) } else { None };
        let own = lease.as_ref().map(Lease::heartbeat_key);
        for key in leavings.keys.iter().filter(|key| own.as_ref() != Some(*key)) {
            self.delete(key)?;
        }
        // Writes that were cut short leave what no list shows.
        self.sweep()?;
        lease.map_or(Ok(()), |lease| lease.release())
    }

    /// The records that commits and indexes name.
    fn records_that_count(&self) -> Result<BTreeSet<String>> {
        let mut kept = BTreeSet::new();
        let commits = self.list("c")?.into_iter().map(|it| it.key);
        for (_, commit) in self.read_all::<Commit>(commits)? {
            kept.extend(commit.key);
            kept.extend(commit.index_key);
        }
        for facts in self.list(keys::DONE)? {
            if let Some(stage) = keys::stage_of(&facts.key) {
                kept.extend(DoneIndex::read(self, stage)?.objects().map(str::to_owned));
            }
        }
        Ok(kept)
    }
}

fn at_work(store: &RunStore, who: &str) -> Error {
    let message = "somebody works on the run: what it has left is not there to be removed";
    Error::new(ErrorCode::LOCKED, ErrorKind::Conflict, message)
        .at("run", store.root())
        .at("at work", who)
        .mend("wait until it has ended, or stop it: levain cancel RUN")
}
