//! An HDF5 file in the words of the house.

use std::collections::BTreeSet;
use std::sync::Arc;

use array::error::Result;
use array::{Attributes, Dimension, GroupPath};

use super::dimensions::{dimensions, needs_groups_below};
use super::scan::{Dataset, Group, scan, scan_below};
use super::variables::variable;
use crate::fault::{corrupt, of_the_file, sentence};
use crate::hdf5::{Attribute, Hdf5, Header, TextHeap, read_attributes};
use crate::opened::Opened;
use objects::FileBytes;

/// Attributes by which libraries talk to themselves; the C library does not show them either.
const INTERNAL: [&str; 17] = [
    "CLASS",
    "DIMENSION_LABELS",
    "DIMENSION_LIST",
    "NAME",
    "REFERENCE_LIST",
    "_ARRAY_DIMENSIONS",
    "_Codecs",
    "_Format",
    "_IsNetcdf4",
    "_NCProperties",
    "_Netcdf4Coordinates",
    "_Netcdf4Dimid",
    "_SuperblockVersion",
    "_nc3_strict",
    "_nczarr_array",
    "_nczarr_attr",
    "_nczarr_group",
];

/// Reads one group of an HDF5 file.
///
/// # Errors
/// A superblock or a group that is damaged, no such group, or a store that fails. What is wrong
/// with one variable or attribute becomes a warning.
pub(crate) fn open(bytes: &Arc<FileBytes>, path: &GroupPath) -> Result<Opened> {
    let file = Arc::new(Hdf5::open(Arc::clone(bytes))?);
    let heap = Arc::new(TextHeap::new(Arc::clone(&file)));
    let mut opened = Opened::new("netCDF-4 or HDF5");
    let root_address = file.root()?;
    let header = Header::read(&file, root_address)?;
    let mut warnings = Vec::new();
    let mut root = scan(&file, &heap, root_address, &header, &mut warnings)?;
    if needs_groups_below(&root) || !path.is_root() {
        scan_below(&file, &heap, &mut root, &mut BTreeSet::from([root_address]))?;
    }
    let way = way_to(&root, path)?;
    let dimensions = dimensions(&root, &way);
    let (mut group, header) = match address_of(&root, &way) {
        None => (root, header),
        Some(address) => {
            // Read again for what is wrong with it, which only matters where it is shown.
            warnings.clear();
            let header = Header::read(&file, address)?;
            (scan(&file, &heap, address, &header, &mut warnings)?, header)
        }
    };
    let owner = if path.is_root() { "the file".to_owned() } else { format!("group `{path}`") };
    let found = read_attributes(&file, &header, &owner, &mut warnings)?;
    opened.dataset.attributes = attributes(&found, &heap, &owner, &mut warnings)?;
    opened.dataset.groups = group.groups.iter().map(|below| below.name.clone()).collect();
    opened.dataset.warnings = warnings;
    for (name, error) in std::mem::take(&mut group.unreadable) {
        opened.leave_out(&name, error);
    }
    opened.dataset.dimensions.clone_from(&dimensions.all);
    for (dataset, places) in group.datasets.iter().zip(&dimensions.of_dataset) {
        if dataset.scale.as_ref().is_some_and(|scale| scale.is_dimension_only) {
            continue;
        }
        let own: Vec<&Dimension> = places.iter().map(|&place| &dimensions.all[place]).collect();
        add(&mut opened, &file, &heap, dataset, &own)?;
    }
    Ok(opened)
}

/// The places of the groups on the way from the root.
fn way_to(root: &Group, path: &GroupPath) -> Result<Vec<usize>> {
    let mut group = Some(root);
    let mut way = Vec::new();
    for name in path.names() {
        let below = group.map_or(&[][..], |group| &group.groups);
        let Some(place) = below.iter().position(|below| below.name == *name) else {
            let known: Vec<String> = below.iter().map(|below| below.name.clone()).collect();
            return Err(path.not_found(&known));
        };
        group = below[place].scanned.as_ref();
        way.push(place);
    }
    if group.is_none() {
        let message = format!("the group `{path}` cannot be read");
        return Err(corrupt(message));
    }
    Ok(way)
}

/// Where the header of the group at the end of a way lies; `None` for the root.
fn address_of(root: &Group, way: &[usize]) -> Option<u64> {
    let (last, way) = way.split_last()?;
    let group = way.iter().try_fold(root, |group, &place| group.groups[place].scanned.as_ref())?;
    Some(group.groups[*last].address)
}

fn add(
    opened: &mut Opened,
    file: &Arc<Hdf5>,
    heap: &Arc<TextHeap>,
    dataset: &Dataset,
    dimensions: &[&Dimension],
) -> Result<()> {
    let name = dataset.variable_name();
    let owner = format!("variable `{name}`");
    let attributes = attributes(&dataset.attributes, heap, &owner, &mut opened.dataset.warnings)?;
    match of_the_file(variable(file, heap, dataset, dimensions, attributes))? {
        Ok(made) => {
            if let Err(error) = &made.array {
                let why = sentence(error);
                opened.dataset.warnings.push(format!("{owner} cannot be read: {why}"));
            }
            opened.add(made.variable, made.array.map_err(|error| error.at("variable", name)));
        }
        Err(error) => opened.leave_out(name, error),
    }
    Ok(())
}

fn attributes(
    found: &[Attribute],
    heap: &TextHeap,
    owner: &str,
    warnings: &mut Vec<String>,
) -> Result<Attributes> {
    let mut attributes = Attributes::default();
    for attribute in found {
        let name = &attribute.name.value;
        if INTERNAL.contains(&name.as_str()) {
            continue;
        }
        match of_the_file(attribute.value(heap))? {
            Ok((value, is_latin1)) => {
                if is_latin1 || attribute.name.is_latin1 {
                    let text =
                        format!("attribute `{name}` of {owner} is not UTF-8: read as latin-1");
                    warnings.push(text);
                }
                attributes.set(name, value);
            }
            Err(error) => {
                let why = sentence(&error);
                warnings.push(format!("attribute `{name}` of {owner} is left out: {why}"));
            }
        }
    }
    Ok(attributes)
}
