//! Fragments: the datasets of files, cut and joined by where they stand in a pattern.

use std::sync::Arc;

use array::{DatasetChunk, Key, Sizes};
use chunks::{Chunks, consolidate_chunks, split_chunks};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::pattern::dim::CombineOp;
use crate::pattern::index::{Index, IndexedPosition, Place, Position};
use crate::pattern::keys::invalid;

/// The chunk that a fragment belongs to: its index along each dimension of the target, by name, and
/// then the file along each merge dimension, by name.
pub type GroupKey = Vec<(String, u64)>;

/// A dataset and where it stands.
pub type Fragment = (Index, DatasetChunk);

/// Cuts a fragment at the bounds of chunks of the whole dataset.
///
/// A dimension of the target that the index does not have is taken to be whole in the fragment.
/// Pieces come in C order of the target. Their index has what the target does not name first, then
/// the dimensions of the target in its order, in elements.
///
/// # Errors
/// A dimension of the target that the fragment does not have, one whose position is that of a file,
/// one that is empty.
///
/// Source: pangeo-forge-recipes 0.10.8, `rechunking.split_fragment`.
pub fn split_fragment(fragment: &Fragment, target: &Chunks) -> Result<Vec<(GroupKey, Fragment)>> {
    let (index, chunk) = fragment;
    let mut sizes = Sizes::default();
    let mut key = Key::default();
    for dim in target.dimensions() {
        let length = chunk.length(dim).unwrap_or(0);
        let position = concat_position(index, dim);
        let IndexedPosition { start, dimsize } = match position.map(|it| it.place) {
            Some(Place::Elements(indexed)) => indexed,
            Some(Place::File(file)) => {
                let message = format!("file {file} along `{dim}` is not yet located in elements");
                return Err(invalid(message).mend("locate the index with the lengths of all files"));
            }
            None => IndexedPosition { start: 0, dimsize: length },
        };
        if dimsize == 0 {
            return Err(invalid(format!("`{dim}` has no elements"))
                .mend("locate the index with the lengths of all files"));
        }
        sizes.set(dim, dimsize);
        key = key.with_offset(dim, start);
    }
    let axes = target.axes(&sizes)?;
    let is_cut = |it: &&Position| it.op == CombineOp::Concat && sizes.get(&it.dim).is_some();
    let kept: Vec<Position> = index.0.iter().filter(|it| !is_cut(it)).cloned().collect();
    let mut merged: GroupKey = kept.iter().filter_map(merge_position).collect();
    merged.sort();
    let pieces = split_chunks(&key, chunk, target)?.map(|piece| {
        let (key, chunk) = piece?;
        let (mut group, mut positions) = (GroupKey::new(), kept.clone());
        for (dim, axis) in &axes {
            let start = key.offset(dim).unwrap_or(0);
            group.push((dim.clone(), axis.chunks_meeting(&(start..start + 1)).start));
            let place = Place::Elements(IndexedPosition { start, dimsize: axis.length() });
            positions.push(Position { dim: Arc::from(&**dim), op: CombineOp::Concat, place });
        }
        group.sort();
        group.extend(merged.iter().cloned());
        Ok((group, (Index(positions), chunk)))
    });
    pieces.collect()
}

fn concat_position<'a>(index: &'a Index, dim: &str) -> Option<&'a Position> {
    index.0.iter().find(|it| it.op == CombineOp::Concat && *it.dim == *dim)
}

fn merge_position(position: &Position) -> Option<(String, u64)> {
    match (position.op, position.place) {
        (CombineOp::Merge, Place::File(file)) => Some((position.dim.to_string(), file)),
        _ => None,
    }
}

/// Joins fragments along all their concat dimensions; merge dimensions are not joined.
///
/// The index is that of the first. Fragments may come in any order.
///
/// # Errors
/// Fragments of different dimensions or merge positions, positions that are not in elements,
/// fragments that are missing, come twice, overlap or leave holes.
///
/// Source: pangeo-forge-recipes 0.10.8, `rechunking.combine_fragments`.
pub fn combine_fragments(fragments: Vec<Fragment>) -> Result<Fragment> {
    let differ = |message: &str| {
        Error::new(ErrorCode::GRIDS_DIFFER, ErrorKind::Conflict, message)
            .mend("combine fragments of one group")
    };
    let Some(first) = fragments.iter().map(|it| &it.0).min().cloned() else {
        return Err(invalid("no fragment is to be combined"));
    };
    let mut keyed = Vec::with_capacity(fragments.len());
    for (index, chunk) in fragments {
        let is_alike = index.0.len() == first.0.len()
            && index.0.iter().zip(&first.0).all(|(a, b)| (&a.dim, a.op) == (&b.dim, b.op));
        if !is_alike {
            let error = differ("fragments have different dimensions");
            return Err(error.at("index", &index).at("index of the first", &first));
        }
        let mut key = Key::default();
        for (position, known) in index.0.iter().zip(&first.0) {
            match (position.op, position.place) {
                (CombineOp::Concat, Place::Elements(indexed)) => {
                    key = key.with_offset(&position.dim, indexed.start);
                }
                (CombineOp::Concat, Place::File(_)) => {
                    let message = format!("`{}` is not yet located in elements", position.dim);
                    let mend = "locate the index with the lengths of all files";
                    return Err(invalid(message).at("index", &index).mend(mend));
                }
                _ if position.place != known.place => {
                    return Err(
                        differ("fragments come from different merge files").at("index", &index)
                    );
                }
                _ => {}
            }
        }
        keyed.push((key, chunk));
    }
    // All have the variables that they have: keys name none, so there is one group.
    let mut combined = consolidate_chunks(keyed)?;
    let (_, chunk) = combined.pop().ok_or_else(|| Error::internal("fragments make one chunk"))?;
    Ok((first, chunk))
}

#[cfg(test)]
mod tests {
    use array::{Chunk, VariableChunk};
    use dataflow::testing::shared_file;
    use serde_json::{Value, json};

    use super::*;

    fn cases(file: &str) -> Vec<Value> {
        let Some(path) = shared_file(&format!("golden/{file}.json")) else { return Vec::new() };
        let text = std::fs::read_to_string(path).expect("the file is there");
        let mut root: Value = serde_json::from_str(&text).expect("vectors are JSON");
        root["cases"].take().as_array().expect("vectors have cases").clone()
    }

    fn number(value: &Value) -> u64 {
        value.as_u64().expect("a whole number")
    }

    fn index(value: &Value) -> Index {
        let position = |it: &Value| {
            let is_merge = it["op"] == "merge";
            let (start, dimsize) = (number(&it["value"]), it["dimsize"].as_u64());
            let place = match dimsize.filter(|_| it["indexed"] == true) {
                Some(dimsize) => Place::Elements(IndexedPosition { start, dimsize }),
                None => Place::File(start),
            };
            Position {
                dim: Arc::from(it["dim"].as_str().expect("a name")),
                op: if is_merge { CombineOp::Merge } else { CombineOp::Concat },
                place,
            }
        };
        Index(value.as_array().expect("positions").iter().map(position).collect())
    }

    fn index_json(index: &Index) -> Value {
        let position = |it: &Position| match it.place {
            Place::File(value) => {
                json!({ "dim": &*it.dim, "op": it.op.to_string(), "value": value, "indexed": false })
            }
            Place::Elements(IndexedPosition { start, dimsize }) => json!({
                "dim": &*it.dim, "op": it.op.to_string(), "value": start,
                "indexed": true, "dimsize": dimsize,
            }),
        };
        index.positions().iter().map(position).collect()
    }

    /// `a` of these dimensions, whose elements count on from `first`.
    fn dataset(dims: &Value, sizes: &Value, first: i64) -> DatasetChunk {
        let dims: Vec<&str> =
            dims.as_array().expect("names").iter().map(|it| it.as_str().expect("a name")).collect();
        let shape: Vec<u64> = dims.iter().map(|dim| number(&sizes[dim])).collect();
        let count = shape.iter().product::<u64>() as i64;
        let values: Vec<i64> = (first..first + count).collect();
        let elements = Chunk::of(shape, &values).expect("as many");
        let variable = VariableChunk::new("a", dims, elements).expect("named");
        DatasetChunk::new(vec![variable]).expect("one")
    }

    fn values(chunk: &DatasetChunk) -> Vec<i64> {
        chunk.variables()[0].elements().values().expect("numbers")
    }

    fn sizes_json(chunk: &DatasetChunk) -> Value {
        Value::Object(chunk.sizes().iter().map(|(name, it)| (name.to_owned(), json!(it))).collect())
    }

    /// The chunks that are asked for; with a schema, those of the first file where nothing is, and
    /// none along a dimension that they hold whole.
    fn target(input: &Value) -> Option<Result<Chunks>> {
        let asked = input["target_chunks"].as_object();
        let mut lengths: Vec<(String, u64)> = Vec::new();
        let mut set = |dim: &str, length: u64| match lengths.iter_mut().find(|it| it.0 == dim) {
            Some(known) => known.1 = length,
            None => lengths.push((dim.to_owned(), length)),
        };
        let schema = &input["schema"];
        if schema.is_null() && asked.is_none() {
            return None;
        }
        for (dim, files) in schema["chunks"].as_object().into_iter().flatten() {
            set(dim, number(&files["0"]));
        }
        for (dim, size) in schema["dims"].as_object().into_iter().flatten() {
            if schema["chunks"].get(dim).is_none() {
                set(dim, number(size));
            }
        }
        for (dim, length) in asked.into_iter().flatten() {
            set(dim, number(length));
        }
        lengths.retain(|(dim, length)| schema["dims"][dim].as_u64() != Some(*length));
        Some(Chunks::of(lengths.into_iter().map(|(dim, length)| (dim, length as i64))))
    }

    #[test]
    fn golden_pfr_split_fragment() {
        for case in cases("pfr_split_fragment") {
            let input = &case["input"];
            // Without a target and a schema there is nothing that could be asked for here.
            let Some(target) = target(input) else {
                assert!(case["error"].is_object(), "{case}");
                continue;
            };
            let fragment = (index(&input["index"]), dataset(&input["dims"], &input["sizes"], 0));
            let pieces = target.and_then(|target| split_fragment(&fragment, &target));
            let Ok(pieces) = pieces else {
                assert!(case["error"].is_object(), "{case}: {pieces:?}");
                continue;
            };
            let described = pieces.iter().map(|(group, (index, chunk))| {
                json!({
                    "group_key": group, "index": index_json(index),
                    "sizes": sizes_json(chunk), "first_value": values(chunk)[0],
                })
            });
            assert_eq!(described.collect::<Value>(), case["expected"], "{case}");
        }
    }

    #[test]
    fn golden_pfr_combine_fragments() {
        for case in cases("pfr_combine_fragments") {
            let (input, mut first) = (&case["input"], 0);
            let fragment = |it: &Value| {
                let chunk = dataset(&input["dims"], &it["sizes"], first);
                first += 10_000;
                (index(&it["index"]), chunk)
            };
            let fragments = input["fragments"].as_array().expect("a list").iter().map(fragment);
            match combine_fragments(fragments.collect()) {
                Ok((index, chunk)) => {
                    let described = json!({
                        "index": index_json(&index), "sizes": sizes_json(&chunk),
                        "dims": chunk.variables()[0].dimensions(), "values": values(&chunk),
                    });
                    assert_eq!(described, case["expected"], "{case}");
                }
                Err(error) => assert!(case["error"].is_object(), "{case}: {error}"),
            }
        }
    }
}
