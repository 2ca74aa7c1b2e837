//! Consolidate: chunks that lie beside each other become one.

use std::collections::BTreeMap;

use array::{DatasetChunk, Key, Sizes};
use dataflow::dofn::{DoFn, DoFnFacts, ProcessContext};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::prelude::{GroupByKey, Iterable, PCollection, PTransform, ParDo};

use crate::keyed::layout::{Layout, missing};
use crate::keyed::lengths::{ChunkLengths, Chunks, invalid};
use crate::keyed::variables::merged;
use crate::room::Room;

/// Joins chunks along all dimensions of their keys, one chunk for each set of variables that keys
/// name.
///
/// Sets of variables come in the order in which they are met. Offsets must be a full grid without
/// holes, the same for all sets. A variable that lacks a dimension of the keys must be the same in
/// all chunks along it. Memory: the chunks, and what comes out. Cost: one copy of each element.
///
/// # Errors
/// Two chunks of one key, chunks that are missing, overlap or differ in what they share.
///
/// Source: xarray-beam 0.11.5, `consolidate_chunks`; there, holes between offsets go unnoticed.
pub fn consolidate_chunks(
    inputs: impl IntoIterator<Item = (Key, DatasetChunk)>,
) -> Result<Vec<(Key, DatasetChunk)>> {
    let mut groups: Vec<Vec<(Key, DatasetChunk)>> = Vec::new();
    let mut offsets: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (key, chunk) in inputs {
        for (name, offset) in key.offsets() {
            offsets.entry(name.to_owned()).or_default().push(offset);
        }
        let names_same = |group: &&mut Vec<(Key, DatasetChunk)>| {
            group[0].0.variables().map(Vec::from_iter) == key.variables().map(Vec::from_iter)
        };
        match groups.iter_mut().find(names_same) {
            Some(group) => group.push((key, chunk)),
            None => groups.push(vec![(key, chunk)]),
        }
    }
    offsets.values_mut().for_each(|offsets| {
        offsets.sort_unstable();
        offsets.dedup();
    });
    groups.iter().try_for_each(|group| check_offsets(group, &offsets))?;
    let consolidated = groups.into_iter().map(|group| {
        let pieces = || group.iter().map(|(key, chunk)| Ok((key.clone(), chunk)));
        let layout = Layout::of(pieces())?;
        Ok((layout.key().clone(), layout.fill(pieces())?))
    });
    consolidated.collect()
}

/// Refuses a set of variables that lacks an offset which another one has.
fn check_offsets(
    group: &[(Key, DatasetChunk)],
    offsets: &BTreeMap<String, Vec<u64>>,
) -> Result<()> {
    for (name, all) in offsets {
        let mut own: Vec<u64> = group.iter().filter_map(|(key, _)| key.offset(name)).collect();
        own.sort_unstable();
        own.dedup();
        if own.is_empty() || own == *all {
            continue;
        }
        let absent = all.iter().find(|offset| !own.contains(offset)).copied().unwrap_or(0);
        let error =
            missing(format!("a chunk is missing that other variables have, at {name}={absent}"));
        return Err(error.at("chunk", &group[0].0));
    }
    Ok(())
}

/// Joins chunks along all dimensions of their keys, and all their variables.
///
/// # Errors
/// As [`consolidate_chunks`] and
/// [`consolidate_variables`](crate::consolidate_variables); sets of variables that begin at other
/// offsets.
///
/// Source: xarray-beam 0.11.5, `consolidate_fully`.
pub fn consolidate_fully(
    inputs: impl IntoIterator<Item = (Key, DatasetChunk)>,
) -> Result<(Key, DatasetChunk)> {
    let mut starts = Sizes::default();
    let mut chunks = Vec::new();
    for (key, chunk) in consolidate_chunks(inputs)? {
        for (name, offset) in key.offsets() {
            let known = starts.get(name).unwrap_or(offset);
            if known != offset {
                let message = format!("variables begin at {name}={known} and at {name}={offset}");
                return Err(Error::new(ErrorCode::GRIDS_DIFFER, ErrorKind::Conflict, message)
                    .at("chunk", &key)
                    .mend("bring together variables that begin at the same place"));
            }
            starts.set(name, offset);
        }
        chunks.push(chunk);
    }
    let whole = merged(&chunks)?;
    let names: Vec<String> = whole.data_variables().map(|it| it.name().to_owned()).collect();
    let offsets: Vec<(&str, u64)> = starts.iter().collect();
    Ok((Key::new(offsets).with_variables(names), whole))
}

/// Brings the chunks together that lie in one chunk of the target.
///
/// Chunks must lie within one chunk of the target each: [`SplitChunks`](crate::SplitChunks) with the
/// same target sees to that. With the sizes of the dataset known, a chunk of the target that is not
/// complete is refused; without, one whose last pieces are missing comes out short.
///
/// Memory: one chunk of the target, and a piece of it. It is granted before a bundle starts, as far
/// as [`with_chunk_bytes`](Self::with_chunk_bytes) says.
#[derive(Debug, Clone)]
pub struct ConsolidateChunks {
    target: Chunks,
    sizes: Option<Sizes>,
    room: Room,
}

impl ConsolidateChunks {
    /// Brings together what lies in one of these chunks.
    pub fn new(target: Chunks) -> Self {
        Self { target, sizes: None, room: Room::default() }
    }

    /// Refuses chunks of the target that are not complete in a dataset of these sizes.
    #[must_use]
    pub fn with_sizes(mut self, sizes: Sizes) -> Self {
        self.sizes = Some(sizes);
        self
    }

    /// Says how many bytes a chunk of the target has at the most, 32 MiB if not said.
    ///
    /// A larger one asks for more while the bundle runs, and ends the run if that is refused.
    #[must_use]
    pub fn with_chunk_bytes(mut self, bytes: u64) -> Self {
        self.room = Room::of(bytes);
        self
    }
}

impl PTransform<PCollection<(Key, DatasetChunk)>> for ConsolidateChunks {
    type Output = PCollection<(Key, DatasetChunk)>;

    fn expand(self, input: PCollection<(Key, DatasetChunk)>) -> Self::Output {
        let key = KeyByTarget { target: self.target.clone() };
        let groups = input.apply_named("KeyByTarget", ParDo::of(key)).apply(GroupByKey);
        groups.apply_named("Consolidate", ParDo::of(ConsolidateFn { of: self }))
    }
}

#[derive(Clone)]
struct KeyByTarget {
    target: Chunks,
}

impl DoFn for KeyByTarget {
    type In = (Key, DatasetChunk);
    type Out = (Key, (Key, DatasetChunk));

    fn process(&mut self, keyed: Self::In, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let rounded = self.target.round_key(&keyed.0);
        for (name, lengths) in self.target.iter() {
            let (Some(offset), Some(length)) = (keyed.0.offset(name), keyed.1.length(name)) else {
                continue;
            };
            let end = lengths.end_after(rounded.offset(name).unwrap_or(0));
            if end.is_some_and(|end| offset + length > end) {
                let message = format!(
                    "a chunk holds {name} from {offset} to {}, beyond one of {}",
                    offset + length,
                    self.target
                );
                let error = invalid(message).at("chunk", &keyed.0);
                return Err(error.mend("apply `SplitChunks` with the same target before"));
            }
        }
        ctx.output((rounded, keyed))
    }

    fn facts(&self) -> DoFnFacts {
        DoFnFacts::default().with_parameters(self.target.to_string())
    }
}

#[derive(Clone)]
struct ConsolidateFn {
    of: ConsolidateChunks,
}

impl ConsolidateFn {
    /// Refuses a chunk that does not begin or end where one of the target does.
    fn check_whole(&self, rounded: &Key, layout: &Layout) -> Result<()> {
        if layout.key() != rounded {
            let message = format!("the first chunk of {rounded} is missing");
            return Err(missing(message).at("chunk", layout.key()));
        }
        let Some(sizes) = &self.of.sizes else { return Ok(()) };
        for (name, end) in layout.ends() {
            let Some(size) = sizes.get(name) else { continue };
            let bound = |lengths: &ChunkLengths| {
                lengths.end_after(rounded.offset(name).unwrap_or(0)).map_or(size, |it| it.min(size))
            };
            let wanted = self.of.target.get(name).map_or(end, bound);
            if end != wanted {
                let message = format!("no chunk holds {name} from {end} to {wanted}");
                return Err(missing(message).at("chunk", rounded));
            }
        }
        Ok(())
    }
}

impl DoFn for ConsolidateFn {
    type In = (Key, Iterable<(Key, DatasetChunk)>);
    type Out = (Key, DatasetChunk);

    fn process(&mut self, group: Self::In, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let (rounded, pieces) = group;
        let layout = Layout::of(pieces.try_iter())?;
        self.check_whole(&rounded, &layout)?;
        let held = self.of.room.hold(layout.payload_bytes(), ctx);
        let _held = held.map_err(|error| error.at("chunk", &rounded))?;
        let whole = layout.fill(pieces.try_iter())?;
        drop(pieces);
        ctx.output((rounded, whole))
    }

    fn facts(&self) -> DoFnFacts {
        let ConsolidateChunks { target, sizes, .. } = &self.of;
        let sizes = sizes.as_ref().map_or_else(String::new, |sizes| format!(" of {sizes}"));
        self.of.room.facts().with_parameters(format!("{target}{sizes}"))
    }
}
