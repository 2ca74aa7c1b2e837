//! How many requests a process has made of the run store: they are what a shuffle costs.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Requests by what they are billed as, and bytes. What a client sends again by itself is not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// Whole objects and parts of long ones.
    pub puts: u64,
    /// Reads of objects, of ranges and of facts.
    pub gets: u64,
    /// Pages of lists, counted as one each.
    pub lists: u64,
    /// Deletes, which cost nothing.
    pub deletes: u64,
    /// Bytes that were written.
    pub bytes_written: u64,
    /// Bytes that were read.
    pub bytes_read: u64,
}

impl AddAssign for Requests {
    fn add_assign(&mut self, other: Self) {
        self.puts += other.puts;
        self.gets += other.gets;
        self.lists += other.lists;
        self.deletes += other.deletes;
        self.bytes_written += other.bytes_written;
        self.bytes_read += other.bytes_read;
    }
}

/// The same, while it is counted by many threads.
#[derive(Debug, Default)]
pub(super) struct Tally {
    puts: AtomicU64,
    gets: AtomicU64,
    lists: AtomicU64,
    deletes: AtomicU64,
    bytes_written: AtomicU64,
    bytes_read: AtomicU64,
}

impl Tally {
    pub(super) fn put(&self, bytes: u64) {
        self.puts.fetch_add(1, Ordering::Relaxed);
        self.bytes_written.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn get(&self, bytes: u64) {
        self.gets.fetch_add(1, Ordering::Relaxed);
        self.bytes_read.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn list(&self) {
        self.lists.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn delete(&self) {
        self.deletes.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn so_far(&self) -> Requests {
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Requests {
            puts: number(&self.puts),
            gets: number(&self.gets),
            lists: number(&self.lists),
            deletes: number(&self.deletes),
            bytes_written: number(&self.bytes_written),
            bytes_read: number(&self.bytes_read),
        }
    }
}
