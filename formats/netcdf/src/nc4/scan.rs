//! What the datasets of a group say of themselves.

use std::collections::BTreeSet;

use array::AttributeValue;
use array::error::Result;

use crate::fault::{corrupt, of_the_file, sentence};
use crate::hdf5::{
    Attribute, Hdf5, Header, Kind, Space, TextHeap, children, read_attributes, space,
};

/// Dimensions without a variable are scales whose `NAME` begins so.
const DIMENSION_ONLY: &str = "This is a netCDF dimension but not a netCDF variable";
/// Variables that share the name of a dimension without being its coordinate are stored so.
const NOT_COORDINATE: &str = "_nc4_non_coord_";
/// Groups below the root that are looked into, at most.
const MOST_GROUPS: usize = 1024;

/// A group.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// In the order of the file.
    pub(super) datasets: Vec<Dataset>,
    /// In the order of the file.
    pub(super) groups: Vec<Below>,
    /// Datasets that cannot be read at all, and why.
    pub(super) unreadable: Vec<(String, array::error::Error)>,
}

/// A group in a group.
#[derive(Debug)]
pub(super) struct Below {
    /// The name of the link.
    pub(super) name: String,
    /// The address of its header.
    pub(super) address: u64,
    /// What it holds, if it was asked for and can be read.
    pub(super) scanned: Option<Group>,
}

/// A dataset, before its dimensions are known.
#[derive(Debug)]
pub(super) struct Dataset {
    /// The name of the link.
    pub(super) name: String,
    /// The address of its header, by which others refer to it.
    pub(super) address: u64,
    pub(super) header: Header,
    pub(super) space: Space,
    pub(super) attributes: Vec<Attribute>,
    /// What it says as a dimension, if it is one.
    pub(super) scale: Option<Scale>,
    /// Ids of its dimensions, where the file states them.
    pub(super) dimension_ids: Option<Vec<i64>>,
    /// For every axis, the scales attached to it.
    pub(super) scales: Vec<Vec<u64>>,
}

/// A dataset that is a dimension.
#[derive(Debug)]
pub(super) struct Scale {
    /// The id that the file states.
    pub(super) id: Option<i64>,
    /// Whether there is no variable of this name.
    pub(super) is_dimension_only: bool,
}

impl Dataset {
    /// The name of the variable.
    pub(super) fn variable_name(&self) -> &str {
        match self.name.strip_prefix(NOT_COORDINATE) {
            Some(name) if !name.is_empty() => name,
            _ => &self.name,
        }
    }
}

/// Reads the datasets of the group at `address`, and the names of its groups.
///
/// # Errors
/// A group whose list of links is damaged, or a store that fails.
pub(super) fn scan(
    file: &Hdf5,
    heap: &TextHeap,
    address: u64,
    header: &Header,
    warnings: &mut Vec<String>,
) -> Result<Group> {
    let mut group = Group::default();
    for child in children(file, header, address, warnings)? {
        let read = child.address.and_then(|address| Ok((address, Header::read(file, address)?)));
        let found = read.and_then(|(address, header)| match kind_of(&header) {
            ObjectKind::Dataset => {
                dataset(file, heap, &child.name, address, header, warnings).map(Found::Dataset)
            }
            ObjectKind::Group => Ok(Found::Group(address)),
            ObjectKind::Type => Ok(Found::Nothing),
        });
        match of_the_file(found)? {
            Ok(Found::Dataset(dataset)) => group.datasets.push(dataset),
            Ok(Found::Group(address)) => {
                group.groups.push(Below { name: child.name, address, scanned: None });
            }
            Ok(Found::Nothing) => {}
            Err(error) => group.unreadable.push((child.name, error)),
        }
    }
    Ok(group)
}

/// Reads the groups below `group` too, as far as they can be read: their variables may make
/// dimensions of groups above longer, and take numbers of phony dimensions.
///
/// # Errors
/// A store that fails.
pub(super) fn scan_below(
    file: &Hdf5,
    heap: &TextHeap,
    group: &mut Group,
    seen: &mut BTreeSet<u64>,
) -> Result<()> {
    for below in &mut group.groups {
        // Links may lead in circles.
        if seen.len() == MOST_GROUPS || !seen.insert(below.address) {
            continue;
        }
        // Nothing of these groups is shown, so that there is nothing to warn of.
        let header = Header::read(file, below.address);
        let scanned = header.and_then(|h| scan(file, heap, below.address, &h, &mut Vec::new()));
        if let Ok(mut scanned) = of_the_file(scanned)? {
            scan_below(file, heap, &mut scanned, seen)?;
            below.scanned = Some(scanned);
        }
    }
    Ok(())
}

enum Found {
    Dataset(Dataset),
    Group(u64),
    Nothing,
}

enum ObjectKind {
    Dataset,
    Group,
    Type,
}

fn kind_of(header: &Header) -> ObjectKind {
    let is_group = [Kind::SymbolTable, Kind::Link, Kind::LinkInfo].map(|kind| header.has(kind));
    if is_group.contains(&true) {
        ObjectKind::Group
    } else if header.has(Kind::Dataspace) || header.has(Kind::Layout) {
        ObjectKind::Dataset
    } else {
        ObjectKind::Type
    }
}

fn dataset(
    file: &Hdf5,
    heap: &TextHeap,
    name: &str,
    address: u64,
    header: Header,
    warnings: &mut Vec<String>,
) -> Result<Dataset> {
    let space = space(file, &header)?;
    let owner = format!("variable `{name}`");
    let attributes = read_attributes(file, &header, &owner, warnings)?;
    let own = Internal { attributes: &attributes, heap };
    let is_scale = own.text("CLASS")?.is_some_and(|class| class == "DIMENSION_SCALE");
    let scale = match is_scale && !space.dimensions.is_empty() {
        false => None,
        true => Some(Scale {
            id: own.integers("_Netcdf4Dimid")?.and_then(|ids| ids.into_iter().find(|&id| id >= 0)),
            is_dimension_only: own
                .text("NAME")?
                .is_some_and(|name| name.starts_with(DIMENSION_ONLY)),
        }),
    };
    let dimension_ids = own.integers("_Netcdf4Coordinates")?;
    let dimension_ids = dimension_ids.filter(|ids| ids.len() == space.dimensions.len());
    let scales = match own.find("DIMENSION_LIST").map(|list| of_the_file(list.object_lists(heap))) {
        None => Vec::new(),
        Some(lists) => lists?.unwrap_or_else(|error| {
            let why = sentence(&error);
            warnings.push(format!("the dimensions of {owner} cannot be read: {why}"));
            Vec::new()
        }),
    };
    if scales.len() > space.dimensions.len() {
        return Err(corrupt(format!("{} axes have scales, there are fewer", scales.len())));
    }
    Ok(Dataset {
        name: name.to_owned(),
        address,
        header,
        space,
        attributes,
        scale,
        dimension_ids,
        scales,
    })
}

/// Attributes by which libraries say what a dataset is; one that is damaged says nothing.
struct Internal<'a> {
    attributes: &'a [Attribute],
    heap: &'a TextHeap,
}

impl Internal<'_> {
    fn find(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name.value == name)
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        let value = self.find(name).map(|attribute| of_the_file(attribute.value(self.heap)));
        Ok(match value.transpose()? {
            Some(Ok((AttributeValue::Text(text), _))) => Some(text),
            _ => None,
        })
    }

    fn integers(&self, name: &str) -> Result<Option<Vec<i64>>> {
        let value = self.find(name).map(|attribute| of_the_file(attribute.integers(self.heap)));
        Ok(value.transpose()?.and_then(Result::ok))
    }
}
