//! Makes one sequence of the records of several runs: sorted by key, or one run after the other.

use std::cmp::Ordering;

use super::short_key::ShortKey;
use super::{Record, Records};
use crate::error::Result;

/// The records of a run, sorted by key. Only what a merge asks for is loaded.
pub(super) trait Cursor: Send {
    /// Moves to the next record, of which only the key is known then; false means that there is
    /// none.
    fn advance(&mut self) -> Result<bool>;

    /// The key of the current record.
    fn key(&self) -> &[u8];

    /// Loads the value of the current record.
    fn load(&mut self) -> Result<()>;

    /// The current record, which is loaded.
    fn record(&self) -> Record<'_>;
}

/// The records of several cursors, ascending by key; of equal keys, the earlier cursor first.
///
/// One value is loaded at a time, so that large values cost memory once and not once a run.
/// Cost: O(log cursors) comparisons a record. A heap of cursor numbers is kept, least key first.
pub(super) struct Merged {
    cursors: Vec<Box<dyn Cursor>>,
    /// The keys of every cursor, as far as most comparisons need them.
    short_keys: Vec<ShortKey>,
    heap: Vec<usize>,
    is_begun: bool,
}

impl Merged {
    pub(super) fn new(cursors: Vec<Box<dyn Cursor>>) -> Self {
        let short_keys = vec![ShortKey::default(); cursors.len()];
        Self { cursors, short_keys, heap: Vec::new(), is_begun: false }
    }

    fn advance_cursor(&mut self, index: usize) -> Result<bool> {
        let has_more = self.cursors[index].advance()?;
        if has_more {
            self.short_keys[index] = ShortKey::of(self.cursors[index].key());
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
        let (short, other) = (self.short_keys[left], self.short_keys[right]);
        let by_key = || match short.is_whole() {
            true => Ordering::Equal,
            false => self.cursors[left].key().cmp(self.cursors[right].key()),
        };
        match short.cmp(&other).then_with(by_key) {
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
        match self.heap.first() {
            Some(&first) => self.cursors[first].load().map(|()| true),
            None => Ok(false),
        }
    }

    fn record(&self) -> Record<'_> {
        self.cursors[self.heap[0]].record()
    }
}

/// The records of several cursors, one cursor after the other; each is opened when it is needed.
pub(super) struct Chained<I> {
    rest: I,
    current: Option<Box<dyn Cursor>>,
}

impl<I: Iterator<Item = Box<dyn Cursor>>> Chained<I> {
    pub(super) fn new(mut cursors: I) -> Self {
        let current = cursors.next();
        Self { rest: cursors, current }
    }
}

impl<I: Iterator<Item = Box<dyn Cursor>> + Send> Records for Chained<I> {
    fn advance(&mut self) -> Result<bool> {
        while let Some(cursor) = &mut self.current {
            if cursor.advance()? {
                return cursor.load().map(|()| true);
            }
            self.current = self.rest.next();
        }
        Ok(false)
    }

    fn record(&self) -> Record<'_> {
        let current = self.current.as_ref();
        current.expect("a record is asked for after `advance` gave true").record()
    }
}
