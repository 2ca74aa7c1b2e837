//! Sorted records, seen as groups of equal keys and windows.

use std::fmt;

use bytes::Bytes;

use crate::coder::{Coder, take};
use crate::error::Result;
use crate::graph::KeyLayout;
use crate::shuffle::{RawValues, Record, Records};
use crate::time::Timestamp;
use crate::window::{Stamp, TIME_BYTES, Window, decode_time};

/// Sorted records, seen as groups of equal keys and windows.
pub struct Groups<'a> {
    records: &'a mut dyn Records,
    layout: &'a KeyLayout,
    /// The record key of the latest value of the group.
    key: Vec<u8>,
    window: Window,
    time: Option<Timestamp>,
    has_group: bool,
    has_record: bool,
}

impl<'a> Groups<'a> {
    /// The groups of these records, which were keyed in this way.
    pub fn new(records: &'a mut dyn Records, layout: &'a KeyLayout) -> Self {
        let (key, window, time) = (Vec::new(), Window::Global, None);
        Self { records, layout, key, window, time, has_group: false, has_record: false }
    }

    /// Moves to the next group, past what is left of this one; false means that there is none.
    ///
    /// # Errors
    /// Records that cannot be read.
    pub fn next_group(&mut self) -> Result<bool> {
        while self.has_group {
            self.next_value()?;
        }
        if !self.has_record {
            self.has_record = self.records.advance()?;
        }
        self.has_group = self.has_record;
        if self.has_record {
            self.time = None;
            self.key.clear();
            self.key.extend_from_slice(self.records.record().key);
            self.window = self.layout.split(&self.key)?.1;
        }
        Ok(self.has_group)
    }

    /// The key of the group.
    ///
    /// # Errors
    /// Bytes that are no key.
    pub(super) fn key<K, C: Coder<K>>(&self, coder: &C) -> Result<K> {
        Ok(self.layout.decode(coder, &self.key)?.0)
    }

    /// The stamp of the group, once all its values were read.
    pub(super) fn stamp(&self) -> Stamp {
        self.layout.stamp(self.window, self.time)
    }

    /// The next value of the group, head and tail.
    ///
    /// # Errors
    /// Records that cannot be read.
    pub fn next_value(&mut self) -> Result<Option<(&[u8], &Bytes)>> {
        if self.has_group && !self.has_record {
            self.has_record = self.records.advance()?;
            self.has_group = self.has_record && self.continues()?;
        }
        if !self.has_group {
            return Ok(None);
        }
        self.has_record = false;
        let Record { mut head, tail, .. } = self.records.record();
        if self.layout.carries_times() {
            let time = decode_time(take(&mut head, TIME_BYTES, "timestamp")?);
            self.time = Some(self.layout.combine_times(self.time, time));
        }
        Ok(Some((head, tail)))
    }

    /// All values of the group, where nothing was read of it yet, the records of a group have one key
    /// and they lie together.
    pub(super) fn take_values(&mut self) -> Option<RawValues> {
        if !self.has_record || self.layout.reaches_over_keys() || self.layout.carries_times() {
            return None;
        }
        let values = self.records.take_group()?;
        (self.has_record, self.has_group) = (false, false);
        Some(values)
    }

    /// Whether the current record is of this group, which may take its window in.
    fn continues(&mut self) -> Result<bool> {
        let next = self.records.record().key;
        let time_bytes = self.layout.time_bytes();
        if next.len() == self.key.len()
            && next[..next.len() - time_bytes] == self.key[..next.len() - time_bytes]
        {
            return Ok(true);
        }
        if self.layout.tail_bytes() == 0 {
            return Ok(false);
        }
        let ((key, _), (next_key, next_window)) =
            (self.layout.split(&self.key)?, self.layout.split(next)?);
        if key != next_key {
            return Ok(false);
        }
        let Some(merged) = self.layout.merge(self.window, next_window) else { return Ok(false) };
        self.window = merged;
        self.key.clear();
        self.key.extend_from_slice(next);
        Ok(true)
    }
}

impl fmt::Debug for Groups<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups").field("has_group", &self.has_group).finish_non_exhaustive()
    }
}
