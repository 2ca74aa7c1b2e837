//! Records that are looked up, by key or by place: in memory, or sorted in a spill file.
//!
//! Side inputs are made of them. Both forms give the same records, in the same order but for those
//! of one key; which form a table has, the budget decides.

mod cache;
mod file;
mod memory;
mod walk;

use std::fmt;
use std::sync::Arc;

use self::cache::BlockCache;
use self::file::FileTable;
use self::memory::MemoryTable;
use super::run_file::RunWriter;
use super::{Iterable, RawValues, Record, RecordSet, Scratch};
use crate::element::Element;
use crate::error::Result;
use crate::memory::MemoryBudget;

/// How the records of a table are put in order.
#[derive(Clone, Copy)]
pub enum TableOrder<'a> {
    /// As they are read.
    AsRead,
    /// By their keys, with which their heads begin; the function says with how many bytes.
    ByKey(&'a dyn Fn(&[u8]) -> Result<usize>),
}

impl TableOrder<'_> {
    /// Bytes of the key that a head begins with.
    fn key_bytes(self, head: &[u8]) -> Result<usize> {
        match self {
            Self::AsRead => Ok(0),
            Self::ByKey(key_bytes) => key_bytes(head),
        }
    }
}

impl fmt::Debug for TableOrder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AsRead => "AsRead",
            Self::ByKey(_) => "ByKey",
        })
    }
}

/// What the tables of one side input share: the budget, and one file for all that it refuses.
#[derive(Debug)]
pub struct Shelf {
    budget: MemoryBudget,
    scratch: Scratch,
    writer: Option<RunWriter>,
    cache: Arc<BlockCache>,
}

impl Shelf {
    /// A shelf without tables.
    pub fn new(budget: &MemoryBudget, scratch: &Scratch) -> Self {
        let cache = Arc::new(BlockCache::new(budget.hold()));
        Self { budget: budget.clone(), scratch: scratch.clone(), writer: None, cache }
    }

    /// The budget.
    pub fn budget(&self) -> &MemoryBudget {
        &self.budget
    }
}

/// Records that do not change, to be looked up by all threads. Clones share them.
#[derive(Debug, Clone)]
pub struct Table(Form);

#[derive(Debug, Clone)]
enum Form {
    Memory(Arc<MemoryTable>),
    File(Arc<FileTable>),
}

impl Table {
    /// A table of these records; `None` if memory does not even hold an index of a file of them.
    ///
    /// Cost: memory for all records where it is granted. Else they are read again, sorted through
    /// spill files where the order asks for it, and written to the file of the shelf.
    ///
    /// # Errors
    /// Records that cannot be read, or a disk that fails.
    pub fn of(
        records: &dyn RecordSet,
        order: TableOrder<'_>,
        shelf: &mut Shelf,
    ) -> Result<Option<Self>> {
        if let Some(memory) = MemoryTable::of(records, order, &shelf.budget)? {
            return Ok(Some(Self(Form::Memory(Arc::new(memory)))));
        }
        let file = FileTable::of(records, order, shelf)?;
        Ok(file.map(|file| Self(Form::File(Arc::new(file)))))
    }

    /// The number of records.
    pub fn len(&self) -> u64 {
        match &self.0 {
            Form::Memory(table) => table.len() as u64,
            Form::File(table) => table.len(),
        }
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The least of the keys that more than one record has.
    pub fn repeated_key(&self) -> Option<&[u8]> {
        match &self.0 {
            Form::Memory(table) => table.repeated_key(),
            Form::File(table) => table.repeated_key(),
        }
    }

    /// Reads a record of a key; what comes after the key is its head.
    ///
    /// Cost: a look-up in memory; in a file, a block is read unless it is one of the last few, and
    /// half of its records are passed over.
    ///
    /// # Errors
    /// What `read` returns, or kept data that is damaged.
    pub fn look_up<R>(
        &self,
        key: &[u8],
        read: impl FnOnce(Record<'_>) -> Result<R>,
    ) -> Result<Option<R>> {
        match &self.0 {
            Form::Memory(table) => {
                let found = table.range_of(key);
                (!found.is_empty()).then(|| read(table.record(found.start))).transpose()
            }
            Form::File(table) => match table.find(key)? {
                Some(cursor) => read(cursor.record()).map(Some),
                None => Ok(None),
            },
        }
    }

    /// Reads the record at a place in the order.
    ///
    /// Cost: as [`Table::look_up`].
    ///
    /// # Errors
    /// As [`Table::look_up`].
    pub fn at<R>(
        &self,
        place: u64,
        read: impl FnOnce(Record<'_>) -> Result<R>,
    ) -> Result<Option<R>> {
        if place >= self.len() {
            return Ok(None);
        }
        match &self.0 {
            Form::Memory(table) => read(table.record(place as usize)).map(Some),
            Form::File(table) => read(table.at(place)?.record()).map(Some),
        }
    }

    /// The values of a key, in no order.
    ///
    /// Cost: in a file, the blocks of the key are read once to count its values.
    ///
    /// # Errors
    /// Kept data that is damaged.
    pub fn values_of<V: Element>(&self, key: &[u8]) -> Result<Iterable<V>> {
        let values = walk::OfTableKey::new(self, key)?;
        Ok(Iterable::in_bundle(RawValues::of_records(Arc::new(values))))
    }

    /// The elements that the records were made of, in the order of the table.
    pub fn elements<T: Element>(&self) -> Iterable<T> {
        let elements = walk::Elements(self.clone());
        Iterable::in_bundle(RawValues::of_records(Arc::new(elements)))
    }
}

#[cfg(test)]
mod tests;
