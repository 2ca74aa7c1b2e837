//! ChunksToZarr: a collection of chunks becomes a store, metadata last.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use array::{ArraySink, Dataset, DatasetChunk, Key};
use chunks::{WriteChunks, Written};
use dataflow::dofn::{DoFn, DoFnFacts, ProcessContext};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::prelude::{
    CombineFn, CombineGlobally, GroupByKey, Iterable, PCollection, PTransform, ParDo,
};
use objects::{Location, StoreOptions};
use zarr::{ZarrLayout, ZarrSink, ZarrSource};

/// Writes a collection of `(Key, DatasetChunk)` as one Zarr store; its location comes out, once.
///
/// Chunks must be made of whole chunks or shards of the store. When all are written, every unit of
/// every array is looked for, and the metadata are written, those of the root last: a run that fails
/// or misses a chunk leaves nothing that a reader opens. Memory: as [`WriteChunks`], and a bit for
/// each unit of one array.
///
/// Source: xarray-beam 0.11.5, `ChunksToZarr`; there, metadata are written first.
#[derive(Clone)]
pub struct ChunksToZarr {
    sink: Arc<ZarrSink>,
    arrays: Vec<(String, Arc<dyn ArraySink>)>,
}

impl ChunksToZarr {
    /// Writes a store of this template and layout.
    ///
    /// # Errors
    /// A store that is there already, a template that cannot be written in this layout.
    pub fn new(
        location: &Location,
        template: &Dataset,
        layout: &ZarrLayout,
        options: &StoreOptions,
    ) -> Result<Self> {
        if ZarrSource::exists(location, options)? {
            let message = "the destination exists";
            let error =
                Error::new(ErrorCode::DESTINATION_EXISTS, ErrorKind::AlreadyExists, message);
            return Err(error
                .at("store", location)
                .mend("choose another one, or remove it before"));
        }
        let sink = ZarrSink::create(location, template, layout, options)?;
        let array = |name: &String| Ok((name.clone(), sink.array(name)?));
        let names = template.variables.iter().map(|variable| &variable.name);
        let arrays = names.map(array).collect::<Result<_>>()?;
        Ok(Self { sink: Arc::new(sink), arrays })
    }
}

impl fmt::Debug for ChunksToZarr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunksToZarr").field("sink", &self.sink).finish_non_exhaustive()
    }
}

impl PTransform<PCollection<(Key, DatasetChunk)>> for ChunksToZarr {
    type Output = PCollection<String>;

    fn expand(self, input: PCollection<(Key, DatasetChunk)>) -> Self::Output {
        let written = input.apply(WriteChunks::to(self.arrays.iter().cloned()));
        let by_array = written.apply_named("KeyByArray", ParDo::of(KeyByArray)).apply(GroupByKey);
        let check = CheckArray { arrays: Arc::new(self.arrays) };
        let whole = by_array.apply_named("Check", ParDo::of(check.clone()));
        let names = whole.apply(CombineGlobally::of(Names));
        names.apply_named("Finish", ParDo::of(Finish { sink: self.sink, check }))
    }
}

#[derive(Clone)]
struct KeyByArray;

impl DoFn for KeyByArray {
    type In = Written;
    type Out = (String, Vec<u64>);

    fn process(&mut self, unit: Written, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        ctx.output((unit.array, unit.index))
    }
}

/// Puts out the name of an array of which every unit was written once.
#[derive(Clone)]
struct CheckArray {
    arrays: Arc<Vec<(String, Arc<dyn ArraySink>)>>,
}

impl DoFn for CheckArray {
    type In = (String, Iterable<Vec<u64>>);
    type Out = String;

    fn process(&mut self, group: Self::In, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        let (name, indices) = group;
        let sink = self.arrays.iter().find(|(known, _)| *known == name).map(|(_, sink)| sink);
        let sink = sink.ok_or_else(|| Error::internal(format!("`{name}` has no array")))?;
        let units = &sink.facts().units;
        let count = units.chunk_count();
        let mut held = ctx.hold();
        if !held.try_grow(count / 8 + 1) {
            let message = format!("{count} units of an array are to be looked for");
            let kind = ErrorKind::ResourceExhausted;
            let error = Error::new(ErrorCode::MEMORY_TOO_SMALL, kind, message);
            return Err(error.at("variable", &name).mend("allow more memory, or larger chunks"));
        }
        let mut bits = vec![0u8; (count / 8 + 1) as usize];
        for index in indices.try_iter() {
            let index = index?;
            let unit = units.linear_index(&index);
            let (byte, bit) = ((unit / 8) as usize, 1u8 << (unit % 8));
            if bits[byte] & bit != 0 {
                let message = format!("two chunks were written to the unit {index:?}");
                let error = Error::new(ErrorCode::NOT_ASCENDING, ErrorKind::Conflict, message);
                return Err(error.at("variable", &name).mend("give each chunk a key of its own"));
            }
            bits[byte] |= bit;
        }
        let is_missing = |unit: &u64| bits[(unit / 8) as usize] & (1 << (unit % 8)) == 0;
        match (0..count).find(is_missing) {
            None => ctx.output(name),
            Some(unit) => Err(missing(&name, format!("{:?}", units.index_of(unit)))),
        }
    }
}

fn missing(array: &str, unit: impl fmt::Display) -> Error {
    let message = format!("the unit {unit} was not written");
    Error::new(ErrorCode::CHUNK_MISSING, ErrorKind::Conflict, message)
        .at("variable", array)
        .mend("look whether a step before drops chunks")
}

#[derive(Clone)]
struct Names;

impl CombineFn for Names {
    type In = String;
    type Acc = Vec<String>;
    type Out = Vec<String>;

    fn create(&self) -> Vec<String> {
        Vec::new()
    }

    fn add(&self, names: &mut Vec<String>, name: String) {
        names.push(name);
    }

    fn merge(&self, names: &mut Vec<String>, others: Vec<String>) {
        names.extend(others);
    }

    fn extract(&self, mut names: Vec<String>) -> Vec<String> {
        names.sort_unstable();
        names
    }
}

/// Writes the metadata, once all arrays are whole.
#[derive(Clone)]
struct Finish {
    sink: Arc<ZarrSink>,
    check: CheckArray,
}

impl DoFn for Finish {
    type In = Vec<String>;
    type Out = String;

    fn process(&mut self, whole: Vec<String>, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        let whole: BTreeSet<String> = whole.into_iter().collect();
        for (name, sink) in self.check.arrays.iter().filter(|(name, _)| !whole.contains(name)) {
            // An array without elements has no unit that could be written.
            if sink.facts().units.chunk_count() > 0 {
                return Err(missing(name, 0));
            }
        }
        self.sink.finish()?;
        ctx.output(self.sink.location().to_string())
    }

    fn facts(&self) -> DoFnFacts {
        DoFnFacts::default().with_parameters(self.sink.location().to_string())
    }
}
