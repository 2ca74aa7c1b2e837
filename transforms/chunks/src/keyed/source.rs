//! DatasetToChunks: reads a dataset as chunks under keys.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use array::{
    ArrayBuffer, ArraySource, DatasetChunk, DatasetSource, Fetched, Key, Placement, Region, Sizes,
    Variable, VariableChunk, validate_chunk,
};
use dataflow::dofn::{BundleState, DoFn, DoFnFacts, ProcessContext};
use dataflow::error::Result;
use dataflow::prelude::{Impulse, PCollection, PTransform, ParDo, Pipeline, Reshuffle};

use crate::keyed::dataset_keys::{DatasetKeys, KeyRange};
use crate::keyed::lengths::Chunks;

/// Of more keys than this, keys are made in shards, on all threads.
const SHARDING_THRESHOLD: u64 = 200_000;
/// About so many keys are made in one shard.
const KEYS_PER_SHARD: u64 = 10_000;

/// Reads a dataset as `(Key, DatasetChunk)`, one chunk for each key.
///
/// A variable that labels its only dimension is a coordinate, all others are data. Every chunk holds
/// all variables, or one data variable and its coordinates with
/// [`with_split_variables`](Self::with_split_variables). While one chunk is decoded, the next is
/// being fetched. Memory: two chunks a thread, granted before a bundle starts.
///
/// Source: xarray-beam 0.11.5, `DatasetToChunks`.
#[derive(Clone)]
pub struct DatasetToChunks {
    plan: Arc<ReadPlan>,
}

struct ReadPlan {
    keys: DatasetKeys,
    variables: Vec<(Variable, Arc<dyn ArraySource>)>,
    coordinates: Vec<String>,
    chunks: Chunks,
    sizes: Sizes,
}

impl DatasetToChunks {
    /// Reads all variables of a dataset, cut into these chunks.
    ///
    /// # Errors
    /// A variable that cannot be read, chunks along a dimension that is not there, explicit lengths
    /// that do not add up to it.
    pub fn new(source: &dyn DatasetSource, chunks: Chunks) -> Result<Self> {
        let dataset = source.dataset();
        let sizes = Sizes::from(dataset);
        let open = |variable: &Variable| {
            let array = source.array(&variable.name);
            let array = array.map_err(|error| error.at("variable", &variable.name))?;
            Ok((variable.clone(), array))
        };
        let variables: Result<Vec<_>> = dataset.variables.iter().map(open).collect();
        let labels = dataset.variables.iter().filter(|it| it.is_dimension_coordinate());
        let coordinates = labels.map(|it| it.name.clone()).collect();
        let keys = DatasetKeys::new(&sizes, &chunks, [])?;
        let plan = ReadPlan { keys, variables: variables?, coordinates, chunks, sizes };
        Ok(Self { plan: Arc::new(plan) })
    }

    /// Takes these variables for coordinates, too.
    #[must_use]
    pub fn with_coordinates<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Self {
        self.changed(|plan| plan.coordinates.extend(names.into_iter().map(Into::into)))
    }

    /// Makes a chunk of each data variable; its key names the variable and its own dimensions.
    #[must_use]
    pub fn with_split_variables(self) -> Self {
        self.changed(|plan| plan.keys = plan.keys.clone().with_split_variables())
    }

    fn changed(self, change: impl FnOnce(&mut ReadPlan)) -> Self {
        let plan = &self.plan;
        let mut plan = ReadPlan {
            keys: plan.keys.clone(),
            variables: plan.variables.clone(),
            coordinates: plan.coordinates.clone(),
            chunks: plan.chunks.clone(),
            sizes: plan.sizes.clone(),
        };
        change(&mut plan);
        Self { plan: Arc::new(plan) }
    }
}

impl fmt::Debug for DatasetToChunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatasetToChunks")
            .field("sizes", &self.plan.sizes)
            .field("chunks", &self.plan.chunks)
            .finish_non_exhaustive()
    }
}

impl PTransform<Pipeline> for DatasetToChunks {
    type Output = PCollection<(Key, DatasetChunk)>;

    fn expand(self, pipeline: Pipeline) -> Self::Output {
        let plan = self.changed(ReadPlan::name_variables).plan;
        let impulse = pipeline.apply(Impulse);
        let shard_count = plan.keys.shard_count(SHARDING_THRESHOLD, KEYS_PER_SHARD);
        let list = ListShards { plan: Arc::clone(&plan), shard_count };
        let mut shards = impulse.apply_named("ListShards", ParDo::of(list));
        if shard_count.is_some() {
            shards = shards.apply_named("SpreadShards", Reshuffle);
        }
        let keys = shards.apply_named("ListKeys", ParDo::of(ListKeys { plan: Arc::clone(&plan) }));
        let keys = keys.apply_named("SpreadKeys", Reshuffle);
        keys.apply_named("Read", ParDo::of(ReadChunks { plan, fetching: BundleState::default() }))
    }
}

impl ReadPlan {
    /// Tells the keys which variables are data.
    fn name_variables(&mut self) {
        let data = self.variables.iter().map(|(variable, _)| variable);
        let data = data.filter(|variable| !self.is_coordinate(variable));
        let data: Vec<_> = data.map(|it| (it.name.clone(), it.dimensions.clone())).collect();
        self.keys = self.keys.clone().of_variables(data);
    }

    fn is_coordinate(&self, variable: &Variable) -> bool {
        self.coordinates.contains(&variable.name)
    }

    /// The variables of a key: those it names, and the coordinates that label them.
    fn variables_of(&self, key: &Key) -> Vec<&(Variable, Arc<dyn ArraySource>)> {
        let Some(names) = key.variables() else { return self.variables.iter().collect() };
        let names: Vec<&str> = names.collect();
        let named = |variable: &Variable| names.contains(&variable.name.as_str());
        let has_dimension = |dimension: &String| {
            let mut of_key = self.variables.iter().filter(|(variable, _)| named(variable));
            of_key.any(|(variable, _)| variable.dimensions.contains(dimension))
        };
        let labels = |variable: &Variable| {
            self.is_coordinate(variable) && variable.dimensions.iter().all(has_dimension)
        };
        self.variables.iter().filter(|(it, _)| named(it) || labels(it)).collect()
    }

    /// The elements of a variable that belong to a key.
    fn region(&self, key: &Key, variable: &Variable) -> Region {
        let range = |(dimension, length): (&String, &u64)| -> Range<u64> {
            let Some(axis) = self.keys.axis(dimension) else { return 0..*length };
            let start = key.offset(dimension).unwrap_or(0);
            let chunk = axis.chunks_meeting(&(start..start + 1));
            if chunk.is_empty() { 0..0 } else { axis.chunk(chunk.start) }
        };
        Region::new(variable.dimensions.iter().zip(&variable.shape).map(range))
    }

    /// Bytes of the largest chunk.
    fn chunk_bytes(&self) -> u64 {
        let bytes = |(variable, array): &(Variable, Arc<dyn ArraySource>)| {
            let lengths = variable.dimensions.iter().zip(&variable.shape).map(|(name, length)| {
                self.keys.axis(name).map_or(*length, array::Axis::longest_chunk)
            });
            let item_bytes = array.facts().dtype.estimated_bytes() + array.facts().recode_bytes;
            lengths.fold(item_bytes, u64::saturating_mul)
        };
        self.variables.iter().map(bytes).fold(0, u64::saturating_add)
    }

    fn facts(&self) -> DoFnFacts {
        let variables = self.variables.iter().map(|(variable, array)| {
            let dtype = array.facts().dtype;
            let kind = if self.is_coordinate(variable) { "coordinate " } else { "" };
            format!("{kind}{} {dtype} {:?}{:?}", variable.name, variable.dimensions, variable.shape)
        });
        let variables: Vec<String> = variables.collect();
        let parameters = format!("{} of {}: {}", self.chunks, self.sizes, variables.join("; "));
        DoFnFacts::default().with_parameters(parameters)
    }
}

/// Puts out the ranges of keys.
#[derive(Clone)]
struct ListShards {
    plan: Arc<ReadPlan>,
    shard_count: Option<u64>,
}

/// A range of keys as an element: its variable, and the range of chunks.
type Shard = (Option<u64>, Option<(u64, u64)>);

impl DoFn for ListShards {
    type In = Vec<u8>;
    type Out = Shard;

    fn process(&mut self, _: Vec<u8>, ctx: &mut ProcessContext<'_, Shard>) -> Result<()> {
        let ranges = self.plan.keys.shards(self.shard_count).into_iter();
        let mut shards = ranges.map(|it| (it.variable.map(|place| place as u64), it.shard));
        shards.try_for_each(|shard| ctx.output(shard))
    }

    fn facts(&self) -> DoFnFacts {
        self.plan.facts()
    }
}

/// Puts out the keys of a range.
#[derive(Clone)]
struct ListKeys {
    plan: Arc<ReadPlan>,
}

impl DoFn for ListKeys {
    type In = Shard;
    type Out = Key;

    fn process(&mut self, shard: Shard, ctx: &mut ProcessContext<'_, Key>) -> Result<()> {
        let range = KeyRange { variable: shard.0.map(|place| place as usize), shard: shard.1 };
        self.plan.keys.keys(range).try_for_each(|key| ctx.output(key))
    }
}

/// Reads the chunk of a key.
#[derive(Clone)]
struct ReadChunks {
    plan: Arc<ReadPlan>,
    fetching: BundleState<Option<Fetching>>,
}

/// A chunk that is on its way: for each variable its place in the plan, and its bytes.
struct Fetching {
    key: Key,
    parts: Vec<Part>,
}

struct Part {
    variable: Variable,
    array: Arc<dyn ArraySource>,
    region: Region,
    bytes: Box<dyn Fetched>,
}

impl Part {
    fn decode(self) -> Result<VariableChunk> {
        let mut buffer = ArrayBuffer::zeroed(self.array.facts().dtype, &self.region.shape());
        let at = vec![0; self.region.rank()];
        self.bytes.decode(&mut [Placement { into: &mut buffer, at }])?;
        VariableChunk::new(&self.variable.name, &self.variable.dimensions, buffer.freeze()?)
    }
}

impl ReadChunks {
    fn fetch(&self, key: Key) -> Result<Fetching> {
        let part = |(variable, array): &(Variable, Arc<dyn ArraySource>)| {
            let region = self.plan.region(&key, variable);
            let bytes = array.fetch(std::slice::from_ref(&region));
            let bytes = bytes.map_err(|error| error.at("variable", &variable.name))?;
            Ok(Part { variable: variable.clone(), array: Arc::clone(array), region, bytes })
        };
        let parts: Result<Vec<Part>> = self.plan.variables_of(&key).into_iter().map(part).collect();
        let parts = parts.map_err(|error| error.at("chunk", &key))?;
        Ok(Fetching { key, parts })
    }

    fn complete(&mut self, ctx: &mut ProcessContext<'_, (Key, DatasetChunk)>) -> Result<()> {
        let Some(Fetching { key, parts }) = self.fetching.get().take() else { return Ok(()) };
        let decode = |part: Part| {
            let (name, is_coordinate) =
                (part.variable.name.clone(), self.plan.is_coordinate(&part.variable));
            let decoded = part.decode().map_err(|error| error.at("variable", name))?;
            Ok(if is_coordinate { decoded.into_coordinate() } else { decoded })
        };
        let variables: Result<Vec<VariableChunk>> = parts.into_iter().map(decode).collect();
        let chunk = variables.and_then(DatasetChunk::new);
        let chunk = chunk.map_err(|error| error.at("chunk", &key))?;
        ctx.count("chunks_read", 1);
        ctx.count("bytes_read", chunk.payload_bytes());
        ctx.output((key, chunk))
    }
}

impl DoFn for ReadChunks {
    type In = Key;
    type Out = (Key, DatasetChunk);

    fn process(&mut self, key: Key, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let next = self.fetch(key)?;
        self.complete(ctx)?;
        *self.fetching.get() = Some(next);
        Ok(())
    }

    fn finish_bundle(&mut self, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        self.complete(ctx)
    }

    fn facts(&self) -> DoFnFacts {
        self.plan.facts().with_working_bytes(self.plan.chunk_bytes().saturating_mul(2))
    }
}

/// Refuses chunks whose keys do not name what they hold, with [`validate_chunk`].
#[derive(Debug, Clone, Copy, Default)]
pub struct ValidateEachChunk;

impl PTransform<PCollection<(Key, DatasetChunk)>> for ValidateEachChunk {
    type Output = PCollection<(Key, DatasetChunk)>;

    fn expand(self, input: PCollection<(Key, DatasetChunk)>) -> Self::Output {
        input.apply_named("Validate", ParDo::of(ValidateFn))
    }
}

#[derive(Clone)]
struct ValidateFn;

impl DoFn for ValidateFn {
    type In = (Key, DatasetChunk);
    type Out = (Key, DatasetChunk);

    fn process(&mut self, keyed: Self::In, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        validate_chunk(&keyed.0, &keyed.1)?;
        ctx.output(keyed)
    }
}
