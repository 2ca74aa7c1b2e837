//! How long a worker may go on, and whether one more task ends in time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dataflow::plan::StageId;

/// A task may take longer than the longest so far by this part of it.
const SPARE: u32 = 4;

/// The time of a worker, which its place ends after a while, and of its tasks.
#[derive(Debug)]
pub(super) struct Time {
    end: Option<Instant>,
    longest: Duration,
    began: BTreeMap<(StageId, u32), Instant>,
}

impl Time {
    /// The time of a worker that begins now.
    pub(super) fn new(now: Instant, limit: Option<Duration>) -> Self {
        let end = limit.and_then(|limit| now.checked_add(limit));
        Self { end, longest: Duration::ZERO, began: BTreeMap::new() }
    }

    /// Notes that a task has begun.
    pub(super) fn begin(&mut self, now: Instant, task: (StageId, u32)) {
        self.began.insert(task, now);
    }

    /// Notes that a task has ended, however.
    pub(super) fn end(&mut self, now: Instant, task: (StageId, u32)) {
        if let Some(began) = self.began.remove(&task) {
            self.longest = self.longest.max(now.saturating_duration_since(began));
        }
    }

    /// Whether one more task would end in time that is begun now, where so many compute at once.
    pub(super) fn suffices(&self, now: Instant, threads: usize) -> bool {
        let Some(end) = self.end else { return true };
        let ahead = u32::try_from(self.began.len() / threads.max(1)).unwrap_or(u32::MAX);
        let needed = (self.longest + self.longest / SPARE).saturating_mul(ahead.saturating_add(1));
        now < end && end.saturating_duration_since(now) >= needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// The tasks that a worker does whose place ends it after `limit` minutes, where each takes so long.
    fn done(limit: u32, took: u32) -> u32 {
        let began = Instant::now();
        let (mut time, mut now, mut count) = (Time::new(began, Some(MINUTE * limit)), began, 0);
        while time.suffices(now, 1) {
            time.begin(now, (StageId(0), count));
            now += MINUTE * took;
            time.end(now, (StageId(0), count));
            count += 1;
        }
        assert!(now <= began + MINUTE * limit || count == 1, "a task has not ended in time");
        count
    }

    #[test]
    fn no_task_is_begun_that_would_not_end_in_time() {
        assert_eq!(done(10, 3), 3);
        assert_eq!(done(10, 4), 2);
        assert_eq!(done(10, 1), 9);
        // Nobody knows how long the first one takes.
        assert_eq!(done(10, 11), 1);
    }

    #[test]
    fn tasks_that_wait_for_a_thread_need_their_time_too() {
        let began = Instant::now();
        let mut time = Time::new(began, Some(MINUTE * 10));
        time.begin(began, (StageId(0), 0));
        time.end(began + MINUTE * 3, (StageId(0), 0));
        time.begin(began + MINUTE * 3, (StageId(0), 1));
        assert!(!time.suffices(began + MINUTE * 3, 1), "it waits for another one");
        assert!(time.suffices(began + MINUTE * 3, 2), "it has a thread of its own");
    }

    #[test]
    fn without_a_limit_there_is_always_time() {
        let began = Instant::now();
        assert!(Time::new(began, None).suffices(began + MINUTE * 10_000, 1));
    }
}
