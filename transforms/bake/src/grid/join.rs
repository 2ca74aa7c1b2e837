//! One sequence of elements for files of a merge dimension that do not hold the same ones.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::options::{BakeOptions, JoinPolicy};
use crate::order::{Element, Order};
use crate::schema::{AxisPoint, AxisSummary, FilePlace, Schema};
use crate::tiling::{Lane, Segment};

/// Numbers up to this one are told apart, whatever type they have.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The elements of the store along a dimension, and where each combination of merge keys has them.
#[derive(Debug)]
pub(super) struct Joined {
    /// The first files of all combinations of merge keys.
    cells: Vec<FilePlace>,
    /// For each of them, and each element of the store: the number of the key along the dimension,
    /// and the place in the file.
    elements: Vec<Vec<Option<(u32, u64)>>>,
    pub(super) length: u64,
}

impl Joined {
    /// Joins lists of files, one for each combination of merge keys, by the values of their
    /// coordinate.
    ///
    /// Memory grows with the elements along the dimension times the combinations of merge keys.
    ///
    /// # Errors
    /// A coordinate by whose values elements cannot be told apart, or nothing that all have.
    pub(super) fn new(
        lists: Vec<(FilePlace, Schema)>,
        name: &str,
        options: &BakeOptions,
        notes: &mut Vec<String>,
    ) -> Result<Self> {
        let (mut cells, mut all) = (Vec::new(), Vec::new());
        for (cell, list) in lists {
            let order = Order::new(&list, name, options)?;
            let elements = elements_of(&list, name, &order)?;
            for note in order.notes {
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
            cells.push(cell);
            all.push(elements);
        }
        let is_ascending = direction(&all, name)?;
        let order = |a: &AxisPoint, b: &AxisPoint| {
            let order = a.partial_cmp(b).unwrap_or(Ordering::Equal);
            if is_ascending { order } else { order.reverse() }
        };
        let mut points: Vec<AxisPoint> = all.iter().flatten().map(|it| it.point).collect();
        points.sort_by(order);
        points.dedup();
        let find = |elements: &Vec<Element>, point: &AxisPoint| {
            let found = elements.binary_search_by(|it| order(&it.point, point)).ok()?;
            Some((elements[found].file, elements[found].place))
        };
        if options.join == JoinPolicy::Inner {
            points.retain(|point| all.iter().all(|elements| find(elements, point).is_some()));
        }
        if points.is_empty() {
            let message = format!("no element of `{name}` is in the files of all merge keys");
            let error = Error::new(ErrorCode::GRIDS_DIFFER, ErrorKind::Conflict, message);
            return Err(error.at("dimension", name).mend("say --join outer to take those of any"));
        }
        let elements = all.iter().map(|own| points.iter().map(|it| find(own, it)).collect());
        Ok(Self { cells, elements: elements.collect(), length: points.len() as u64 })
    }

    /// Two files whose rows of one element differ, of a variable of which `rows` are the digests of
    /// each element; `key` gives the combination of merge keys of a file and the number of its key.
    pub(super) fn differing(
        &self,
        rows: &BTreeMap<FilePlace, Vec<u64>>,
        key: impl Fn(FilePlace) -> (FilePlace, u32),
    ) -> Option<[FilePlace; 2]> {
        let mut files: BTreeMap<(FilePlace, u32), Vec<FilePlace>> = BTreeMap::new();
        for &place in rows.keys() {
            files.entry(key(place)).or_default().push(place);
        }
        for element in 0..self.length as usize {
            let mut known: Option<(FilePlace, u64)> = None;
            for (cell, elements) in self.cells.iter().zip(&self.elements) {
                let Some((position, row)) = elements[element] else { continue };
                for &place in files.get(&(*cell, position)).into_iter().flatten() {
                    let Some(&digest) = rows[&place].get(row as usize) else { continue };
                    match known {
                        Some((first, same)) if same != digest => return Some([first, place]),
                        Some(_) => {}
                        None => known = Some((place, digest)),
                    }
                }
            }
        }
        None
    }

    /// Where these combinations of merge keys have the elements: of several, each element is that
    /// of the first that has it.
    ///
    /// Files are `stride` apart along the dimension; with several combinations, what merge keys add
    /// to places is in the lane.
    pub(super) fn lane(&self, cells: &[FilePlace], stride: u32) -> Lane {
        let own = self.cells.iter().zip(&self.elements);
        let own: Vec<_> = own.filter(|(cell, _)| cells.contains(cell)).collect();
        let adds_cell = cells.len() > 1;
        let mut segments: Vec<Segment> = Vec::new();
        for element in 0..self.length as usize {
            let found = own.iter().find_map(|(cell, elements)| {
                let (position, place) = elements[element]?;
                Some((position * stride + if adds_cell { **cell } else { 0 }, place))
            });
            let goes_on = |last: &Segment| match (last.file, found) {
                (None, None) => true,
                (Some(file), Some((own, place))) => {
                    file == own && last.start + last.length == place
                }
                _ => false,
            };
            match segments.last_mut().filter(|last| goes_on(last)) {
                Some(last) => last.length += 1,
                None => segments.push(Segment {
                    length: 1,
                    file: found.map(|(file, _)| file),
                    start: found.map_or(0, |(_, place)| place),
                }),
            }
        }
        Lane(segments)
    }
}

/// The elements of a list in its order, each with its value.
fn elements_of(list: &Schema, name: &str, order: &Order) -> Result<Vec<Element>> {
    let mut elements = Vec::new();
    for piece in order.pieces.iter().filter(|piece| piece.length > 0) {
        let file = &list.files[&piece.file];
        let is_whole = |axis: &&AxisSummary| {
            axis.missing_at.is_none()
                && axis.values.len() as u64 == file.concat_length
                && !axis
                    .values
                    .iter()
                    .any(|it| matches!(it, AxisPoint::Number(it) if it.abs() >= EXACT))
        };
        let Some(axis) = file.axis.as_ref().filter(is_whole) else {
            let message = format!("`{name}` has no value for every element by which to join files");
            let error = Error::new(ErrorCode::GRIDS_DIFFER, ErrorKind::Conflict, message);
            return Err(error
                .at("dimension", name)
                .at("source", &file.location)
                .mend("add a coordinate of numbers or times, or bake files of equal length"));
        };
        for place in piece.start..piece.start + piece.length {
            elements.push(Element { point: axis.values[place as usize], file: piece.file, place });
        }
    }
    Ok(elements)
}

/// Whether the values of all lists grow.
fn direction(all: &[Vec<Element>], name: &str) -> Result<bool> {
    let mut directions = all.iter().filter_map(|elements| {
        let order = elements.first()?.point.partial_cmp(&elements.last()?.point)?;
        order.is_ne().then_some(order.is_lt())
    });
    let first = directions.next().unwrap_or(true);
    if directions.all(|it| it == first) {
        return Ok(first);
    }
    let message = format!("`{name}` grows in the files of one merge key and falls in another's");
    let error = Error::new(ErrorCode::NOT_ASCENDING, ErrorKind::Conflict, message);
    Err(error.at("dimension", name).mend("turn one of them round first"))
}
