//! All jobs, by their places; statuses change here alone, so that the counts of arrays are right.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::now_ms;
use crate::job::{Array, Job, Key};
use crate::status::{Counts, Status};

/// All jobs that are not forgotten.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    all: BTreeMap<Key, Job>,
    serials: BTreeMap<String, u64>,
    live: BTreeSet<Key>,
}

impl Jobs {
    /// Adds a job, or an array with its children.
    pub(crate) fn add(&mut self, job: Job, size: Option<u32>) {
        let (key, spec, now) = (job.key, std::sync::Arc::clone(&job.spec), job.created_ms);
        self.serials.insert(spec.id.clone(), key.serial);
        let mut counts = Counts::default();
        for index in 0..size.unwrap_or(0) {
            let child = Key { index: Some(index), ..key };
            self.all.insert(child, Job::new(child, std::sync::Arc::clone(&spec), now));
            self.live.insert(child);
            counts.add(Status::Submitted);
        }
        let array = size.map(|size| Array { size, counts, shown: counts, shown_ms: now });
        self.all.insert(key, Job { array, ..job });
        self.live.insert(key);
    }

    /// The place of the job that an id or an ARN names.
    pub(crate) fn find(&self, named: &str) -> Option<Key> {
        let id = named.rsplit_once(":job/").map_or(named, |(_, id)| id);
        let (id, index) = match id.split_once(':') {
            Some((id, index)) => (id, Some(index.parse().ok()?)),
            None => (id, None),
        };
        let key = Key { serial: *self.serials.get(id)?, index };
        self.all.contains_key(&key).then_some(key)
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Job> {
        self.all.get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Job> {
        self.all.get_mut(&key)
    }

    pub(crate) fn all(&self) -> impl DoubleEndedIterator<Item = &Job> {
        self.all.values()
    }

    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut Job> {
        self.all.values_mut()
    }

    /// Those that have not ended.
    pub(crate) fn live(&self) -> impl Iterator<Item = &Job> {
        self.live.iter().filter_map(|key| self.all.get(key))
    }

    /// The children of an array, in their order.
    pub(crate) fn children(&self, array: Key) -> impl DoubleEndedIterator<Item = &Job> {
        let child = |index| Key { index: Some(index), ..array };
        self.all.range(child(0)..=child(u32::MAX)).map(|(_, job)| job)
    }

    /// Moves a job to a status, and its array's counts with it.
    pub(crate) fn set(&mut self, key: Key, status: Status) {
        let now = now_ms();
        let Some(job) = self.all.get_mut(&key) else { return };
        let old = std::mem::replace(&mut job.status, status);
        job.entered_ms = now;
        if status.has_ended() {
            job.stopped_ms = Some(now);
            self.live.remove(&key);
        }
        let parent = Key { index: None, ..key };
        if key.index.is_some()
            && let Some(array) = self.all.get_mut(&parent).and_then(|it| it.array.as_mut())
        {
            array.counts.shift(old, status);
        }
    }

    /// Ends a job for a reason, without more attempts.
    pub(crate) fn fail(&mut self, key: Key, reason: &str) {
        if let Some(job) = self.all.get_mut(&key) {
            job.status_reason = Some(reason.to_owned());
        }
        self.set(key, Status::Failed);
    }

    /// Forgets a job, and its children with it.
    pub(crate) fn forget(&mut self, key: Key) {
        let children: Vec<Key> = self.children(key).map(|job| job.key).collect();
        for key in children.into_iter().chain([key]) {
            self.live.remove(&key);
            if let Some(job) = self.all.remove(&key)
                && key.index.is_none()
            {
                self.serials.remove(&job.spec.id);
            }
        }
    }
}
