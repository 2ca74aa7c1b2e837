//! State of one key and window, in memory within the budget.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;

use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::memory::{MemoryBudget, Reservation};

/// Bytes that the state of a key may take without a reservation.
const FREE_BYTES: u64 = 16 << 10;

/// A piece of state, and the bytes that it takes.
struct Cell {
    value: Box<dyn Any + Send>,
    bytes: u64,
}

/// The state of the key and window that is being processed, by name.
pub(crate) struct Cells {
    cells: BTreeMap<&'static str, Cell>,
    bytes: u64,
    held: Reservation,
}

impl Cells {
    /// No state, within this budget.
    pub(crate) fn new(budget: &MemoryBudget) -> Self {
        Self { cells: BTreeMap::new(), bytes: 0, held: budget.hold() }
    }

    /// What is kept under a name, if anything is.
    pub(super) fn get<S: Send + 'static>(&self, name: &'static str) -> Result<Option<&S>> {
        match self.cells.get(name) {
            None => Ok(None),
            Some(cell) => cell.value.downcast_ref().map(Some).ok_or_else(|| other_type(name)),
        }
    }

    /// Changes what is kept under a name, or the default; `change` says how many bytes come and go.
    pub(super) fn change<S: Default + Send + 'static>(
        &mut self,
        name: &'static str,
        change: impl FnOnce(&mut S) -> Result<Growth>,
    ) -> Result<()> {
        let cell = self
            .cells
            .entry(name)
            .or_insert_with(|| Cell { value: Box::new(S::default()), bytes: 0 });
        let state = cell.value.downcast_mut().ok_or_else(|| other_type(name))?;
        let Growth { more, less } = change(state)?;
        let less = less.min(cell.bytes + more);
        cell.bytes = cell.bytes + more - less;
        self.bytes = self.bytes + more - less;
        self.reserve(name)
    }

    /// Forgets what is kept under a name.
    pub(super) fn remove(&mut self, name: &'static str) {
        if let Some(cell) = self.cells.remove(name) {
            self.bytes -= cell.bytes;
        }
    }

    fn reserve(&mut self, name: &'static str) -> Result<()> {
        let Some(wanted) = self.bytes.checked_sub(FREE_BYTES + self.held.bytes()) else {
            return Ok(());
        };
        // Growing in steps keeps the budget's lock out of the way of every element.
        if self.held.try_grow(wanted.max(self.bytes / 4)) || self.held.try_grow(wanted) {
            return Ok(());
        }
        let message =
            format!("the state of one key takes {} bytes, more than there are", self.bytes);
        let error = Error::new(ErrorCode::MEMORY_TOO_SMALL, ErrorKind::ResourceExhausted, message);
        Err(error.at("state", name).mend("allow more memory, or keep less of each key"))
    }
}

/// Bytes that a change adds to a piece of state, and takes from it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Growth {
    pub(super) more: u64,
    pub(super) less: u64,
}

/// Bytes that an element takes within a table.
pub(super) fn bytes_of<T: Element>(element: &T) -> u64 {
    (size_of::<T>() + element.heap_bytes()) as u64
}

fn other_type(name: &str) -> Error {
    let message = format!("the state `{name}` has another type where it was used before");
    Error::new(ErrorCode::NOT_DECLARED, ErrorKind::InvalidInput, message)
        .mend("give every piece of state of a function a name of its own")
}

impl fmt::Debug for Cells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cells").field("names", &self.cells.keys()).finish_non_exhaustive()
    }
}
