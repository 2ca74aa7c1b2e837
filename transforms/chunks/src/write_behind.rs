//! Units on their way to the store.

use std::collections::VecDeque;

use array::Writing;
use dataflow::dofn::ProcessContext;
use dataflow::error::Result;

use crate::written::Written;

/// Units on their way to the store, no more than so many bytes at once.
#[derive(Default)]
pub(crate) struct WriteBehind {
    pending: VecDeque<(Written, Box<dyn Writing>)>,
    pending_bytes: u64,
    written: Vec<Written>,
}

impl WriteBehind {
    /// Adds a unit, and waits for the oldest ones while more than `limit_bytes` are pending.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn push(
        &mut self,
        array: &str,
        index: Vec<u64>,
        writing: Box<dyn Writing>,
        limit_bytes: u64,
    ) -> Result<()> {
        let encoded_bytes = writing.encoded_bytes();
        self.pending_bytes += encoded_bytes;
        let unit = Written { array: array.to_owned(), index, encoded_bytes, crc32c: 0 };
        self.pending.push_back((unit, writing));
        while self.pending_bytes > limit_bytes && !self.pending.is_empty() {
            self.wait_for_oldest()?;
        }
        Ok(())
    }

    /// Units that are on their way.
    pub(crate) fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// Waits for all.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn finish(&mut self) -> Result<()> {
        while !self.pending.is_empty() {
            self.wait_for_oldest()?;
        }
        Ok(())
    }

    /// Puts out the units that are in the store, each once.
    ///
    /// # Errors
    /// Whatever fails downstream.
    pub(crate) fn put_out(&mut self, ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        self.written.drain(..).try_for_each(|unit| unit.put_out(ctx))
    }

    /// Waits for the unit that is longest on its way.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn wait_for_oldest(&mut self) -> Result<()> {
        let Some((unit, writing)) = self.pending.pop_front() else { return Ok(()) };
        let written = writing.wait().map_err(|error| {
            error.at("variable", &unit.array).at("chunk", format_args!("{:?}", unit.index))
        })?;
        self.pending_bytes -= unit.encoded_bytes;
        let (encoded_bytes, crc32c) = (written.encoded_bytes, written.crc32c);
        self.written.push(Written { encoded_bytes, crc32c, ..unit });
        Ok(())
    }
}

/// A bundle that fails waits for what it has started: a write that comes to its end later would
/// put an object back after the store was cleared.
impl Drop for WriteBehind {
    fn drop(&mut self) {
        for (_, writing) in self.pending.drain(..) {
            drop(writing.wait());
        }
    }
}
