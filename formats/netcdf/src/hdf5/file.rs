//! An HDF5 file: its superblock, and its bytes by address.

use std::ops::Range;
use std::sync::Arc;

use array::error::{Error, ErrorCode, ErrorKind, Result};
use hdf5_reader::io::Cursor;
use hdf5_reader::superblock::Superblock;
use hdf5_reader::{Storage, StorageBuffer};

use super::blocks::Blocks;
use super::guard::guarded;
use super::pipeline::ScratchPool;
use crate::fault::corrupt;
use objects::FileBytes;

/// An HDF5 file that can be asked for its structures.
pub(crate) struct Hdf5 {
    superblock: Superblock,
    blocks: Blocks,
    /// The file.
    pub(crate) bytes: Arc<FileBytes>,
    /// Buffers that decoders of this file take turns with.
    pub(crate) scratch: Arc<ScratchPool>,
}

impl std::fmt::Debug for Hdf5 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hdf5({})", self.bytes.name())
    }
}

impl Hdf5 {
    /// Reads the superblock.
    ///
    /// # Errors
    /// A file that is not HDF5, or that is shorter than its superblock says.
    pub(crate) fn open(bytes: Arc<FileBytes>) -> Result<Self> {
        let whole = Blocks::new(Arc::clone(&bytes), 0);
        let superblock = guarded(|| match Superblock::parse_from_storage(&whole) {
            Err(hdf5_reader::error::Error::InvalidMagic) => Ok(None),
            result => result.map(Some),
        })?;
        let Some(superblock) = superblock else {
            let message = "neither NetCDF nor HDF5: the file begins with no signature of theirs";
            return Err(Error::new(ErrorCode::UNKNOWN_FORMAT, ErrorKind::Unsupported, message)
                .mend("give a NetCDF or HDF5 file; names do not matter, contents do"));
        };
        let (wanted, length) = (superblock.eof_address, bytes.length());
        if wanted > length {
            let message = format!("the file is cut short: it has {length} bytes of {wanted}");
            return Err(corrupt(message));
        }
        let blocks = Blocks::new(Arc::clone(&bytes), superblock.base_address);
        Ok(Self { superblock, blocks, bytes, scratch: Arc::default() })
    }

    /// The address of the root group.
    ///
    /// # Errors
    /// A superblock that names none.
    pub(crate) fn root(&self) -> Result<u64> {
        guarded(|| self.superblock.root_object_header_address())
    }

    /// What the library reads structures from.
    pub(super) fn storage(&self) -> &dyn Storage {
        &self.blocks
    }

    /// Bytes of an address.
    pub(crate) fn offset_bytes(&self) -> u8 {
        self.superblock.offset_size
    }

    /// Bytes of a length.
    pub(super) fn length_bytes(&self) -> u8 {
        self.superblock.length_size
    }

    /// Whether an address stands for nothing.
    pub(crate) fn is_undefined(&self, address: u64) -> bool {
        Cursor::is_undefined_offset(address, self.offset_bytes())
    }

    /// The bytes behind an address, by metadata blocks.
    pub(super) fn read(&self, address: u64, length: usize) -> Result<StorageBuffer> {
        guarded(|| self.blocks.read_range(address, length))
    }

    /// Where bytes behind an address lie in the file.
    ///
    /// # Errors
    /// Bytes that the file does not hold.
    pub(crate) fn range(&self, address: u64, length: u64) -> Result<Range<u64>> {
        let start = address.saturating_add(self.superblock.base_address);
        let range = start..start.saturating_add(length);
        self.bytes.check(&range).map(|()| range)
    }
}
