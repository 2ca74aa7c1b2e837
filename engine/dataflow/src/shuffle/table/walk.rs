//! The records of a table, one after the other.

use std::ops::Range;
use std::sync::Arc;

use super::file::FileTable;
use super::memory::MemoryTable;
use super::{Form, Table};
use crate::error::Result;
use crate::shuffle::merge::Cursor;
use crate::shuffle::{Record, RecordSet, Records};

/// The values of one key.
#[derive(Debug)]
pub(super) struct OfTableKey {
    table: Table,
    key: Arc<[u8]>,
    count: u64,
}

impl OfTableKey {
    pub(super) fn new(table: &Table, key: &[u8]) -> Result<Self> {
        let count = match &table.0 {
            Form::Memory(memory) => memory.range_of(key).len() as u64,
            Form::File(file) => {
                let mut count = 0;
                let mut cursor = file.before(key)?;
                while let Some(cursor) = &mut cursor
                    && advance_to(cursor.as_mut(), key)?
                {
                    count += 1;
                }
                count
            }
        };
        Ok(Self { table: table.clone(), key: key.into(), count })
    }
}

/// Moves to the next record of this key; false means that there is none.
fn advance_to(cursor: &mut dyn Cursor, key: &[u8]) -> Result<bool> {
    while cursor.advance()? {
        if cursor.key() >= key {
            return Ok(cursor.key() == key);
        }
    }
    Ok(false)
}

impl RecordSet for OfTableKey {
    fn record_count(&self) -> u64 {
        self.count
    }

    fn records(&self) -> Box<dyn Records> {
        match &self.table.0 {
            Form::Memory(table) => {
                let (places, table) = (table.range_of(&self.key), Arc::clone(table));
                Box::new(InMemory { table, places, current: 0, has_keys: false })
            }
            Form::File(table) => {
                let (table, key) = (Arc::clone(table), Arc::clone(&self.key));
                Box::new(KeyInFile { table, key, is_opened: false, cursor: None })
            }
        }
    }
}

/// All records, their keys before their heads.
#[derive(Debug)]
pub(super) struct Elements(pub(super) Table);

impl RecordSet for Elements {
    fn record_count(&self) -> u64 {
        self.0.len()
    }

    fn records(&self) -> Box<dyn Records> {
        match &self.0.0 {
            Form::Memory(table) => {
                let (places, table) = (0..table.len(), Arc::clone(table));
                Box::new(InMemory { table, places, current: 0, has_keys: true })
            }
            Form::File(table) => Box::new(InFile { cursor: table.whole(), head: Vec::new() }),
        }
    }
}

/// Records of a table in memory.
struct InMemory {
    table: Arc<MemoryTable>,
    places: Range<usize>,
    current: usize,
    /// Whether heads begin with keys.
    has_keys: bool,
}

impl Records for InMemory {
    fn advance(&mut self) -> Result<bool> {
        let next = self.places.next();
        self.current = next.unwrap_or(self.current);
        Ok(next.is_some())
    }

    fn record(&self) -> Record<'_> {
        if self.has_keys {
            return self.table.element(self.current);
        }
        self.table.record(self.current)
    }
}

/// The records of one key of a table in a file.
struct KeyInFile {
    table: Arc<FileTable>,
    key: Arc<[u8]>,
    is_opened: bool,
    /// Opened when the first record is asked for, so that a failure can be told.
    cursor: Option<Box<dyn Cursor>>,
}

impl Records for KeyInFile {
    fn advance(&mut self) -> Result<bool> {
        if !self.is_opened {
            self.cursor = self.table.before(&self.key)?;
            self.is_opened = true;
        }
        let Some(cursor) = &mut self.cursor else { return Ok(false) };
        if advance_to(cursor.as_mut(), &self.key)? {
            return cursor.load().map(|()| true);
        }
        self.cursor = None;
        Ok(false)
    }

    fn record(&self) -> Record<'_> {
        let cursor = self.cursor.as_ref();
        cursor.expect("a record is asked for after `advance` gave true").record()
    }
}

/// All records of a table in a file.
struct InFile {
    cursor: Box<dyn Cursor>,
    /// The key and the head of the current record.
    head: Vec<u8>,
}

impl Records for InFile {
    fn advance(&mut self) -> Result<bool> {
        if !self.cursor.advance()? {
            return Ok(false);
        }
        self.cursor.load()?;
        self.head.clear();
        let Record { key, head, .. } = self.cursor.record();
        self.head.extend_from_slice(key);
        self.head.extend_from_slice(head);
        Ok(true)
    }

    fn record(&self) -> Record<'_> {
        Record { key: &[], head: &self.head, ..self.cursor.record() }
    }
}
