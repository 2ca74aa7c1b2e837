//! Payloads in the run store: bytes that go around the shuffle.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use dataflow::blob::{BlobStore, FetchedBlobs};
use dataflow::error::Result;
use dataflow::memory::{MemoryBudget, Reservation};
use objects::Pending;

use crate::store::{Fetched, RunStore, keys};

/// Payloads of a task that are on their way at once.
const FLYING_LIMIT: usize = 16;
/// Their bytes before memory is asked for.
const FREE_BYTES: u64 = 4 << 20;

/// The payloads of one attempt, as objects of the run. Every attempt writes the same bytes under one key.
///
/// They are sent while the task computes on, and must have [settled](Self::settle) before it commits.
pub(crate) struct StorePayloads {
    store: RunStore,
    flying: Mutex<Flying>,
}

/// Payloads that are on their way, oldest first.
struct Flying {
    puts: VecDeque<(String, u64, Pending<()>)>,
    held: Reservation,
}

impl StorePayloads {
    pub(crate) fn new(store: &RunStore, budget: &MemoryBudget) -> Self {
        let flying = Flying { puts: VecDeque::new(), held: budget.hold() };
        Self { store: store.clone(), flying: Mutex::new(flying) }
    }

    /// Waits until all payloads are in the store.
    ///
    /// # Errors
    /// One that could not be written; the others have an end as well.
    pub(crate) fn settle(&self) -> Result<()> {
        let mut flying = self.flying();
        let mut settled = Ok(());
        while !flying.puts.is_empty() {
            settled = settled.and(flying.land());
        }
        settled
    }

    fn flying(&self) -> MutexGuard<'_, Flying> {
        // Whatever panicked between, each payload is there or on its way.
        self.flying.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flying {
    /// Whether so many bytes more may be on their way.
    fn has_room(&mut self, bytes: u64) -> bool {
        let all = self.puts.iter().map(|put| put.1).sum::<u64>() + bytes;
        self.puts.len() < FLYING_LIMIT && self.held.try_resize(all.saturating_sub(FREE_BYTES))
    }

    /// Waits for the oldest.
    fn land(&mut self) -> Result<()> {
        let Some((_, bytes, put)) = self.puts.pop_front() else { return Ok(()) };
        let landed = put.wait();
        self.held.shrink(bytes.min(self.held.bytes()));
        landed
    }
}

impl BlobStore for StorePayloads {
    fn put(&self, key: &str, parts: &[Bytes]) -> Result<()> {
        let bytes = parts.iter().map(|part| part.len() as u64).sum();
        let mut flying = self.flying();
        let mut has_room = flying.has_room(bytes);
        while !has_room && !flying.puts.is_empty() {
            flying.land()?;
            has_room = flying.has_room(bytes);
        }
        let put = self.store.start_put(&keys::payload(key), parts.to_vec());
        flying.puts.push_back((key.to_owned(), bytes, put));
        // Where memory is short, one is sent at a time, while its bytes are held by whoever puts it.
        if has_room { Ok(()) } else { flying.land() }
    }

    fn fetch(&self, key: &str, ranges: &[Range<u64>]) -> Result<Box<dyn FetchedBlobs>> {
        let mut flying = self.flying();
        while flying.puts.iter().any(|put| put.0 == key) {
            flying.land()?;
        }
        Ok(Box::new(Fetching(self.store.fetch(&keys::payload(key), ranges.to_vec()))))
    }
}

impl fmt::Debug for StorePayloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorePayloads").finish_non_exhaustive()
    }
}

struct Fetching(Fetched);

impl FetchedBlobs for Fetching {
    fn wait(self: Box<Self>) -> Result<Vec<Bytes>> {
        self.0.wait()
    }
}

#[cfg(test)]
mod tests {
    use dataflow::error::ErrorCode;
    use objects::{Location, StoreOptions};

    use super::*;
    use crate::loopback::{Answer, Loopback};

    #[test]
    fn payloads_are_sent_while_a_task_goes_on_and_a_lost_one_is_told_before_it_commits() {
        let server = Loopback::start(|_, seen| match seen.target.contains("bad") {
            true => Answer::status(403),
            false => Answer::status(200).with("ETag", "\"e\""),
        });
        let location = Location::parse("s3://b/run").expect("a location");
        let options = StoreOptions::default()
            .with_endpoint(server.url(""))
            .with_setting("aws_access_key_id", "test")
            .with_setting("aws_secret_access_key", "test");
        let store = RunStore::open(&location, &options).expect("a store");
        let payloads = StorePayloads::new(&store, &MemoryBudget::unlimited());
        let put = |key: &str| payloads.put(key, &[Bytes::from("bytes")]);
        put("bad").expect("it is on its way");
        put("good").expect("it is on its way");
        let lost = payloads.settle().expect_err("one is refused");
        assert_eq!(lost.code(), ErrorCode::STORE_DENIED, "{lost}");
        put("good").expect("it is on its way");
        payloads.settle().expect("all are there");
        assert_eq!(server.seen().len(), 3);
    }

    #[test]
    fn without_memory_they_are_sent_one_by_one() {
        let location = Location::parse("memory://payloads/run").expect("a location");
        let store = RunStore::open(&location, &StoreOptions::default()).expect("a store");
        let budget = MemoryBudget::new(1 << 20, 0);
        let payloads = StorePayloads::new(&store, &budget);
        for key in ["a", "b"] {
            payloads.put(key, &[Bytes::from(vec![1; 6 << 20])]).expect("written");
            assert!(payloads.flying().puts.is_empty(), "it is there when the next may be made");
        }
        let read = payloads.fetch("b", &[Range { start: 1, end: 3 }]).expect("there");
        assert_eq!(read.wait().expect("read"), [vec![1, 1]]);
    }
}
