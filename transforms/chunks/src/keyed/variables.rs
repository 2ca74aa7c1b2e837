//! Variables of chunks: apart, and together again.

use array::{DatasetChunk, Key, VariableChunk};
use dataflow::dofn::{DoFn, DoFnFacts, ProcessContext};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::prelude::{GroupByKey, Iterable, PCollection, PTransform, ParDo};

use crate::keyed::layout::check_same;
use crate::room::Room;

/// Makes a chunk of each data variable, with the coordinates that it has the dimensions of.
///
/// Keys lose the offsets of dimensions that a variable lacks: where such a dimension is cut, the
/// variable comes out once for each of its chunks, under one key. Variables are in their order.
///
/// # Errors
/// None for a chunk whose lengths agree.
///
/// Source: xarray-beam 0.11.5, `split_variables`.
pub fn split_variables(key: &Key, chunk: &DatasetChunk) -> Result<Vec<(Key, DatasetChunk)>> {
    let apart = chunk.data_variables().map(|variable| {
        let kept = key.offsets().filter(|(name, _)| variable.axis_of(name).is_some());
        let own = Key::new(kept).with_variables([variable.name()]);
        Ok((own, chunk.select(&[variable.name()])?))
    });
    apart.collect()
}

/// Makes one chunk of those at the same offsets; its key names all variables.
///
/// Offsets come in the order in which they are met. Coordinates that several chunks have must be
/// the same in them.
///
/// # Errors
/// A data variable that two chunks have, a coordinate that differs, lengths that do not agree.
///
/// Source: xarray-beam 0.11.5, `consolidate_variables`.
pub fn consolidate_variables(
    inputs: impl IntoIterator<Item = (Key, DatasetChunk)>,
) -> Result<Vec<(Key, DatasetChunk)>> {
    let mut places: Vec<(Key, Vec<DatasetChunk>)> = Vec::new();
    for (key, chunk) in inputs {
        let place = Key::new(key.offsets());
        match places.iter_mut().find(|(known, _)| *known == place) {
            Some((_, chunks)) => chunks.push(chunk),
            None => places.push((place, vec![chunk])),
        }
    }
    let together = places.into_iter().map(|(place, chunks)| {
        let whole = merged(&chunks).map_err(|error| error.at("chunk", &place))?;
        let names: Vec<String> = whole.data_variables().map(|it| it.name().to_owned()).collect();
        Ok((place.with_variables(names), whole))
    });
    together.collect()
}

/// All variables of some chunks; payloads are shared.
pub(crate) fn merged(chunks: &[DatasetChunk]) -> Result<DatasetChunk> {
    let mut variables: Vec<VariableChunk> = Vec::new();
    for variable in chunks.iter().flat_map(|chunk| chunk.variables()) {
        let Some(known) = variables.iter().find(|known| known.name() == variable.name()) else {
            variables.push(variable.clone());
            continue;
        };
        if !(known.is_coordinate() && variable.is_coordinate()) {
            let message = format!("two chunks hold the variable `{}`", variable.name());
            let error = Error::new(ErrorCode::GRIDS_DIFFER, ErrorKind::Conflict, message);
            return Err(error.mend("bring together chunks of different variables"));
        }
        check_same(variable.name(), &Key::default(), known.elements(), variable.elements())?;
    }
    DatasetChunk::new(variables)
}

/// Splits the variables of every chunk with [`split_variables`].
#[derive(Debug, Clone, Copy, Default)]
pub struct SplitVariables;

impl PTransform<PCollection<(Key, DatasetChunk)>> for SplitVariables {
    type Output = PCollection<(Key, DatasetChunk)>;

    fn expand(self, input: PCollection<(Key, DatasetChunk)>) -> Self::Output {
        input.apply_named("Split", ParDo::of(SplitVariablesFn))
    }
}

#[derive(Clone)]
struct SplitVariablesFn;

impl DoFn for SplitVariablesFn {
    type In = (Key, DatasetChunk);
    type Out = (Key, DatasetChunk);

    fn process(&mut self, keyed: Self::In, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let apart = split_variables(&keyed.0, &keyed.1)?;
        apart.into_iter().try_for_each(|piece| ctx.output(piece))
    }
}

/// Brings the variables together that lie at the same offsets.
///
/// Keys name no variables afterwards: all are there. Memory: the chunks of one place, granted before
/// a bundle starts as far as [`with_chunk_bytes`](Self::with_chunk_bytes) says.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConsolidateVariables {
    room: Room,
}

impl ConsolidateVariables {
    /// Says how many bytes the variables of one place have at the most, 32 MiB if not said.
    #[must_use]
    pub fn with_chunk_bytes(mut self, bytes: u64) -> Self {
        self.room = Room::of(bytes);
        self
    }
}

impl PTransform<PCollection<(Key, DatasetChunk)>> for ConsolidateVariables {
    type Output = PCollection<(Key, DatasetChunk)>;

    fn expand(self, input: PCollection<(Key, DatasetChunk)>) -> Self::Output {
        let groups = input.apply_named("KeyByOffsets", ParDo::of(KeyByOffsets)).apply(GroupByKey);
        groups.apply_named("Consolidate", ParDo::of(ConsolidateVariablesFn { room: self.room }))
    }
}

#[derive(Clone)]
struct KeyByOffsets;

impl DoFn for KeyByOffsets {
    type In = (Key, DatasetChunk);
    type Out = (Key, (Key, DatasetChunk));

    fn process(&mut self, keyed: Self::In, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        ctx.output((Key::new(keyed.0.offsets()), keyed))
    }
}

#[derive(Clone)]
struct ConsolidateVariablesFn {
    room: Room,
}

impl DoFn for ConsolidateVariablesFn {
    type In = (Key, Iterable<(Key, DatasetChunk)>);
    type Out = (Key, DatasetChunk);

    fn process(&mut self, group: Self::In, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let (place, chunks) = group;
        let mut parts: Vec<(Key, DatasetChunk)> = Vec::new();
        let (mut bytes, mut held) = (0, ctx.hold());
        for part in chunks.try_iter() {
            let part = part?;
            bytes += part.1.payload_bytes();
            self.room.grow(&mut held, bytes).map_err(|error| error.at("chunk", &place))?;
            parts.push(part);
        }
        // The order of a group is not defined, that of variables is: by the keys.
        parts.sort_by(|(a, _), (b, _)| a.cmp(b));
        let parts: Vec<DatasetChunk> = parts.into_iter().map(|(_, chunk)| chunk).collect();
        let whole = merged(&parts).map_err(|error| error.at("chunk", &place))?;
        drop(held);
        ctx.output((place, whole))
    }

    fn facts(&self) -> DoFnFacts {
        self.room.facts()
    }
}
