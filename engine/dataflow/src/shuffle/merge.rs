//! Merges sorted runs into one sequence that ascends by key.

use std::cmp::Ordering;

use super::{Record, Records};
use crate::error::Result;

/// The records of several cursors, ascending by key; of equal keys, the earlier cursor first.
///
/// Cost: O(log cursors) comparisons a record. A heap of cursor numbers is kept, least key first.
pub(super) struct Merged {
    cursors: Vec<Box<dyn Records>>,
    /// The first key bytes of every cursor: most comparisons need no more.
    prefixes: Vec<u64>,
    heap: Vec<usize>,
    is_begun: bool,
}

impl Merged {
    pub(super) fn new(cursors: Vec<Box<dyn Records>>) -> Self {
        let prefixes = vec![0; cursors.len()];
        Self { cursors, prefixes, heap: Vec::new(), is_begun: false }
    }

    fn advance_cursor(&mut self, index: usize) -> Result<bool> {
        let has_more = self.cursors[index].advance()?;
        if has_more {
            let key = self.cursors[index].record().key;
            let mut prefix = [0u8; 8];
            let length = key.len().min(8);
            prefix[..length].copy_from_slice(&key[..length]);
            self.prefixes[index] = u64::from_be_bytes(prefix);
        }
        Ok(has_more)
    }

    fn begin(&mut self) -> Result<()> {
        self.is_begun = true;
        for index in 0..self.cursors.len() {
            if self.advance_cursor(index)? {
                self.heap.push(index);
            }
        }
        for place in (0..self.heap.len() / 2).rev() {
            self.sink_down(place);
        }
        Ok(())
    }

    fn is_before(&self, a: usize, b: usize) -> bool {
        let (left, right) = (self.heap[a], self.heap[b]);
        let by_prefix = self.prefixes[left].cmp(&self.prefixes[right]);
        let by_key = || self.cursors[left].record().key.cmp(self.cursors[right].record().key);
        match by_prefix.then_with(by_key) {
            Ordering::Less => true,
            Ordering::Equal => left < right,
            Ordering::Greater => false,
        }
    }

    fn sink_down(&mut self, mut place: usize) {
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            let mut least = place;
            if left < self.heap.len() && self.is_before(left, least) {
                least = left;
            }
            if right < self.heap.len() && self.is_before(right, least) {
                least = right;
            }
            if least == place {
                return;
            }
            self.heap.swap(place, least);
            place = least;
        }
    }
}

impl Records for Merged {
    fn advance(&mut self) -> Result<bool> {
        if !self.is_begun {
            self.begin()?;
        } else if let Some(&first) = self.heap.first() {
            if !self.advance_cursor(first)? {
                self.heap.swap_remove(0);
            }
            self.sink_down(0);
        }
        Ok(!self.heap.is_empty())
    }

    fn record(&self) -> Record<'_> {
        self.cursors[self.heap[0]].record()
    }
}

/// The records of several cursors, one cursor after the other.
pub(super) struct Chained {
    cursors: Vec<Box<dyn Records>>,
    current: usize,
}

impl Chained {
    pub(super) fn new(cursors: Vec<Box<dyn Records>>) -> Self {
        Self { cursors, current: 0 }
    }
}

impl Records for Chained {
    fn advance(&mut self) -> Result<bool> {
        while let Some(cursor) = self.cursors.get_mut(self.current) {
            if cursor.advance()? {
                return Ok(true);
            }
            self.current += 1;
        }
        Ok(false)
    }

    fn record(&self) -> Record<'_> {
        self.cursors[self.current].record()
    }
}
