//! The global heap: where values of any length are kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use array::error::Result;
use hdf5_reader::global_heap::GlobalHeapCollection;
use hdf5_reader::io::Cursor;

use super::file::Hdf5;
use super::guard::guarded;
use crate::fault::corrupt;

/// Collections that are kept parsed; writers make them of 4 KiB, and of more only for one value.
const KEPT_COLLECTIONS: usize = 64;

/// Finds the bytes that a reference stands for.
///
/// Cost: one read of metadata for each collection of values, which is kept for the next reference.
#[derive(Debug)]
pub(crate) struct TextHeap {
    file: Arc<Hdf5>,
    kept: Mutex<BTreeMap<u64, Arc<GlobalHeapCollection>>>,
}

impl TextHeap {
    /// The heap of a file.
    pub(crate) fn new(file: Arc<Hdf5>) -> Self {
        Self { file, kept: Mutex::default() }
    }

    /// The bytes of the value; none for a value that was never written.
    ///
    /// # Errors
    /// A reference to a value that the heap does not hold.
    pub(crate) fn resolve(&self, reference: &[u8]) -> Result<Vec<u8>> {
        self.object(reference, 1)
    }

    /// The addresses in a list of object references.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub(crate) fn addresses(&self, reference: &[u8]) -> Result<Vec<u64>> {
        let width = usize::from(self.file.offset_bytes());
        let bytes = self.object(reference, width)?;
        let addresses = bytes
            .chunks_exact(width)
            .map(|unit| guarded(|| Cursor::new(unit).read_offset(self.file.offset_bytes())));
        addresses.collect()
    }

    fn object(&self, reference: &[u8], unit_bytes: usize) -> Result<Vec<u8>> {
        let (count, address, index) = guarded(|| {
            let mut cursor = Cursor::new(reference);
            let count = cursor.read_u32_le()?;
            let address = cursor.read_offset(self.file.offset_bytes())?;
            Ok((count, address, cursor.read_u32_le()?))
        })?;
        if count == 0 || address == 0 || self.file.is_undefined(address) {
            return Ok(Vec::new());
        }
        let collection = self.collection(address)?;
        let object = u16::try_from(index).ok().and_then(|index| collection.get_object(index));
        let wanted = (count as usize).checked_mul(unit_bytes);
        let bytes = object.and_then(|object| object.data.get(..wanted?));
        bytes.map(<[u8]>::to_vec).ok_or_else(|| {
            corrupt(format!("the heap at {address} holds no value {index} of {count} elements"))
        })
    }

    fn collection(&self, address: u64) -> Result<Arc<GlobalHeapCollection>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(collection) = kept.get(&address) {
            return Ok(Arc::clone(collection));
        }
        let (offset, length) = (self.file.offset_bytes(), self.file.length_bytes());
        let storage = self.file.storage();
        let parsed =
            guarded(|| GlobalHeapCollection::parse_at_storage(storage, address, offset, length))?;
        let parsed = Arc::new(parsed);
        if kept.len() >= KEPT_COLLECTIONS {
            kept.clear();
        }
        kept.insert(address, Arc::clone(&parsed));
        Ok(parsed)
    }
}
