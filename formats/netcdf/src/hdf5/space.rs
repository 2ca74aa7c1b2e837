//! The shape of a dataset, where its elements lie, and what those are that were never written.

use array::error::Result;
use hdf5_reader::io::Cursor;
use hdf5_reader::messages::dataspace::{self, DataspaceType, UNLIMITED};
use hdf5_reader::messages::fill_value;
use hdf5_reader::messages::layout::{self, DataLayout};

use super::file::Hdf5;
use super::guard::guarded;
use super::header::{Header, Kind};
use super::index::ChunkIndex;
use crate::fault::{corrupt, unsupported};

/// The shape of a dataset or an attribute.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    /// Elements along every dimension.
    pub(crate) dimensions: Vec<u64>,
    /// Elements to which it can grow along each of them; [`UNLIMITED`] without end.
    pub(crate) greatest: Vec<u64>,
    /// One element, an array, or nothing.
    pub(crate) kind: DataspaceType,
}

impl Space {
    /// Whether it can grow without end along a dimension.
    pub(crate) fn is_unlimited(&self, axis: usize) -> bool {
        self.greatest.get(axis) == Some(&UNLIMITED)
    }

    /// The number of elements.
    ///
    /// # Errors
    /// More than can be counted.
    pub(crate) fn element_count(&self) -> Result<u64> {
        if self.kind == DataspaceType::Null {
            return Ok(0);
        }
        let count = self.dimensions.iter().try_fold(1u64, |count, &n| count.checked_mul(n));
        count.ok_or_else(|| corrupt(format!("{:?} elements cannot be counted", self.dimensions)))
    }
}

/// The shape that the header of a dataset states.
///
/// # Errors
/// A header without one.
pub(crate) fn space(file: &Hdf5, header: &Header) -> Result<Space> {
    let body = header.find(file, Kind::Dataspace)?;
    parse(file, &body.ok_or_else(|| corrupt("there is no dataspace"))?)
}

/// Understands the body of a dataspace message.
pub(super) fn parse(file: &Hdf5, body: &[u8]) -> Result<Space> {
    let (offset, length) = (file.offset_bytes(), file.length_bytes());
    let parsed = guarded(|| dataspace::parse(&mut Cursor::new(body), offset, length, body.len()))?;
    // A length of fewer bytes than eight has its own way to say "unlimited".
    let widen = |most| if Cursor::is_undefined_offset(most, length) { UNLIMITED } else { most };
    let greatest = parsed.max_dims.unwrap_or_else(|| parsed.dims.clone());
    let greatest = greatest.into_iter().map(widen).collect();
    Ok(Space { dimensions: parsed.dims, greatest, kind: parsed.dataspace_type })
}

/// Where the elements of a dataset lie.
#[derive(Debug)]
pub(crate) enum Place {
    /// Nowhere: nothing was ever written.
    Nowhere,
    /// In the header.
    Header(Vec<u8>),
    /// In one piece at an address.
    Address(u64),
    /// In chunks under this index.
    Chunks(ChunkIndex),
}

/// Where the elements of a dataset of this shape lie.
///
/// # Errors
/// Elements in other files or datasets, which are not read; a layout that is damaged.
pub(crate) fn place(
    file: &Hdf5,
    header: &Header,
    space: &Space,
    unit_bytes: usize,
) -> Result<Place> {
    if header.has(Kind::ExternalFiles) {
        return Err(unsupported("elements in other files (external storage) are not supported"));
    }
    let body = header.find(file, Kind::Layout)?;
    let body = body.ok_or_else(|| corrupt("there is no data layout"))?;
    check_class(&body)?;
    let (offset, length) = (file.offset_bytes(), file.length_bytes());
    let parsed =
        guarded(|| layout::parse(&mut Cursor::new(&body), offset, length, body.len()))?.layout;
    match parsed {
        DataLayout::Compact { data } => Ok(Place::Header(data)),
        DataLayout::Contiguous { address, .. } if file.is_undefined(address) => Ok(Place::Nowhere),
        DataLayout::Contiguous { address, .. } => Ok(Place::Address(address)),
        DataLayout::Chunked { address, dims, chunk_indexing, .. } => {
            let index = ChunkIndex::new(address, chunk_indexing, &dims, space, unit_bytes)?;
            Ok(Place::Chunks(index))
        }
    }
}

/// Layouts of version 4 have a class and a flag that the library does not look at.
fn check_class(body: &[u8]) -> Result<()> {
    match body {
        [4 | 5, 3, ..] => Err(unsupported("virtual datasets are not supported")),
        [4 | 5, 2, flags, ..] if flags & 0x01 != 0 => {
            Err(unsupported("chunks whose edges are left unfiltered are not supported"))
        }
        _ => Ok(()),
    }
}

/// The stored element that stands for those that were never written, if the dataset has its own.
///
/// # Errors
/// A message that is damaged.
pub(crate) fn fill_value(file: &Hdf5, header: &Header) -> Result<Option<Vec<u8>>> {
    let (offset, length) = (file.offset_bytes(), file.length_bytes());
    if let Some(body) = header.find(file, Kind::Fill)? {
        let mut cursor = Cursor::new(&body);
        return Ok(
            guarded(|| fill_value::parse_new(&mut cursor, offset, length, body.len()))?.value
        );
    }
    let Some(body) = header.find(file, Kind::OldFill)? else { return Ok(None) };
    let mut cursor = Cursor::new(&body);
    Ok(guarded(|| fill_value::parse_old(&mut cursor, offset, length, body.len()))?.value)
}
