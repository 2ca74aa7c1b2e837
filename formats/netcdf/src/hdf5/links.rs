//! The children of a group: names and the addresses of objects.
//!
//! Groups keep links in three ways: a symbol table (before HDF5 1.8), messages in the header, or a
//! heap with an index beside it.

use array::error::Result;
use hdf5_reader::btree_v1::collect_btree_v1_leaves_storage;
use hdf5_reader::btree_v2::{BTreeV2Header, BTreeV2Record, collect_btree_v2_records_storage};
use hdf5_reader::error::Error as LibraryError;
use hdf5_reader::fractal_heap::{FractalHeap, FractalHeapDirectBlockCache};
use hdf5_reader::io::Cursor;
use hdf5_reader::local_heap::LocalHeap;
use hdf5_reader::messages::link::{self, LinkMessage, LinkTarget};
use hdf5_reader::messages::{link_info, symbol_table_msg};
use hdf5_reader::symbol_table::SymbolTableNode;

use super::file::Hdf5;
use super::guard::guarded;
use super::header::{Header, Kind};
use crate::fault::{corrupt, of_the_file, sentence, unsupported};
use crate::text;

/// Groups that are looked into for one link, at most.
const MOST_STEPS: usize = 256;
/// What an entry of a symbol table keeps in its scratch pad: where its target is named.
const CACHED_SOFT_LINK: u32 = 2;

/// A name in a group.
#[derive(Debug, Clone)]
pub(crate) struct Child {
    /// The name.
    pub(crate) name: String,
    /// The object that it names, or why that cannot be reached.
    pub(crate) address: Result<u64>,
}

/// The children of the group with this header and address, in the order in which they were made
/// if the group keeps that, else by name.
///
/// What is damaged becomes a sentence in `warnings`.
///
/// # Errors
/// A list of links that is damaged as a whole, or a store that fails.
pub(crate) fn children(
    file: &Hdf5,
    header: &Header,
    address: u64,
    warnings: &mut Vec<String>,
) -> Result<Vec<Child>> {
    let links = links(file, header, warnings)?;
    let child = |link: LinkMessage| {
        let mut steps = MOST_STEPS;
        let target = resolve(file, address, &link.target, &mut steps);
        Ok(Child { address: of_the_file(target)?, name: link.name })
    };
    links.into_iter().map(child).collect()
}

fn links(file: &Hdf5, header: &Header, warnings: &mut Vec<String>) -> Result<Vec<LinkMessage>> {
    if let Some(body) = header.find(file, Kind::SymbolTable)? {
        return symbol_table(file, &body);
    }
    let mut found: Vec<Result<LinkMessage>> = Vec::new();
    for body in header.all(file, Kind::Link) {
        found.push(body.and_then(|body| parse_link(file, &body)));
    }
    let mut is_tracked = false;
    if let Some(body) = header.find(file, Kind::LinkInfo)? {
        let (offset, length) = (file.offset_bytes(), file.length_bytes());
        let info =
            guarded(|| link_info::parse(&mut Cursor::new(&body), offset, length, body.len()))?;
        is_tracked = info.creation_order_tracked;
        if !file.is_undefined(info.fractal_heap_address) {
            let (heap, index) = (info.fractal_heap_address, info.btree_name_index_address);
            let dense = dense_objects(file, heap, index)?;
            found.extend(dense.into_iter().map(|(_, body)| parse_link(file, &body?)));
        }
    }
    let mut links = Vec::new();
    for link in found {
        match of_the_file(link)? {
            Ok(link) => links.push(link),
            Err(error) => warnings.push(format!("a link cannot be read: {}", sentence(&error))),
        }
    }
    match is_tracked {
        true => links.sort_by_key(|link| link.creation_order),
        false => links.sort_by(|a, b| a.name.cmp(&b.name)),
    }
    Ok(links)
}

fn parse_link(file: &Hdf5, body: &[u8]) -> Result<LinkMessage> {
    let (offset, length) = (file.offset_bytes(), file.length_bytes());
    guarded(|| link::parse(&mut Cursor::new(body), offset, length, body.len()))
}

/// The objects of a heap that an index by name lists: orders of creation and bytes.
pub(super) fn dense_objects(
    file: &Hdf5,
    heap_address: u64,
    index_address: u64,
) -> Result<Vec<(u32, Result<Vec<u8>>)>> {
    let (storage, offset, length) = (file.storage(), file.offset_bytes(), file.length_bytes());
    let (heap, records) = guarded(|| {
        let heap = FractalHeap::parse_at_storage(storage, heap_address, offset, length)?;
        let tree = BTreeV2Header::parse_at_storage(storage, index_address, offset, length)?;
        let records =
            collect_btree_v2_records_storage(storage, &tree, offset, length, None, &[], None)?;
        Ok((heap, records))
    })?;
    let mut blocks = FractalHeapDirectBlockCache::default();
    let objects = records.into_iter().filter_map(|record| {
        let (order, id) = match record {
            BTreeV2Record::LinkNameHash { heap_id, .. } => (0, heap_id),
            BTreeV2Record::AttributeNameHash { heap_id, creation_order, .. } => {
                (creation_order, heap_id)
            }
            _ => return None,
        };
        let object =
            guarded(|| heap.get_object_storage_cached(&id, storage, offset, length, &mut blocks));
        Some((order, object))
    });
    Ok(objects.collect())
}

fn symbol_table(file: &Hdf5, body: &[u8]) -> Result<Vec<LinkMessage>> {
    let (storage, offset, length) = (file.storage(), file.offset_bytes(), file.length_bytes());
    let mut links = guarded(|| {
        let table = symbol_table_msg::parse(&mut Cursor::new(body), offset, length, body.len())?;
        let heap = LocalHeap::parse_at_storage(storage, table.heap_address, offset, length)?;
        let names =
            storage.read_range(heap.data_segment_address, heap.data_segment_size as usize)?;
        let text = |at: u64| {
            let rest = names.get(at as usize..).ok_or(LibraryError::OffsetOutOfBounds(at))?;
            Ok::<_, LibraryError>(text::decode(text::until_zero(rest)).value)
        };
        let root = table.btree_address;
        let leaves =
            collect_btree_v1_leaves_storage(storage, root, offset, length, None, &[], None)?;
        let mut links = Vec::new();
        for (_, node) in leaves {
            let prefix = storage.read_range(node, 8)?;
            let count = usize::from(u16::from_le_bytes([prefix[6], prefix[7]]));
            let bytes = storage.read_range(node, 8 + count * (2 * usize::from(offset) + 24))?;
            for entry in SymbolTableNode::parse(&mut Cursor::new(&bytes), offset, length)?.entries {
                let name = text(entry.link_name_offset)?;
                let target = match entry.cache_type {
                    CACHED_SOFT_LINK => {
                        let at = Cursor::new(&entry.scratch).read_u32_le()?;
                        LinkTarget::Soft { path: text(u64::from(at))? }
                    }
                    _ => LinkTarget::Hard { address: entry.object_header_address },
                };
                links.push(LinkMessage { name, target, creation_order: None });
            }
        }
        Ok(links)
    })?;
    links.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(links)
}

/// Follows a link; `steps` counts down, so that links that lead in circles come to an end.
fn resolve(file: &Hdf5, group: u64, target: &LinkTarget, steps: &mut usize) -> Result<u64> {
    match target {
        LinkTarget::Hard { address } => Ok(*address),
        LinkTarget::External { filename, path } => {
            Err(unsupported(format!("it is a link to `{path}` in the file `{filename}`")))
        }
        LinkTarget::Soft { path } => {
            let start = if path.starts_with('/') { file.root()? } else { group };
            let mut names = path.split('/').filter(|name| !name.is_empty() && *name != ".");
            names.try_fold(start, |group, name| {
                *steps = steps
                    .checked_sub(1)
                    .ok_or_else(|| corrupt(format!("links to `{path}` lead in circles")))?;
                let header = Header::read(file, group)?;
                let links = links(file, &header, &mut Vec::new())?;
                let link = links.iter().find(|link| link.name == name);
                let link = link.ok_or_else(|| {
                    corrupt(format!("it is a link to `{path}`, which there is not"))
                })?;
                resolve(file, group, &link.target, steps)
            })
        }
    }
}
