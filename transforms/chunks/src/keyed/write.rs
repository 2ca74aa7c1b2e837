//! WriteChunks: chunks of a collection become units of arrays.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use array::{ArraySink, DatasetChunk, Key, Region, VariableChunk};
use dataflow::dofn::{BundleState, DoFn, DoFnFacts, ProcessContext};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::prelude::{PCollection, PTransform, ParDo};

use crate::write_behind::WriteBehind;
use crate::written::Written;

/// Writes the variables of every chunk to arrays of the same names; what comes out is every unit
/// that was written.
///
/// Chunks must be made of whole units, so that each unit has one writer: what cuts one is refused.
/// A variable that lacks a dimension of its key is written by the chunk at the start of that
/// dimension. Writing does not wait while more chunks come. Memory: a unit, and encoded ones on
/// their way, granted before a bundle starts.
///
/// Source: xarray-beam 0.11.5, `ChunksToZarr`.
#[derive(Clone)]
pub struct WriteChunks {
    sinks: Arc<BTreeMap<String, Arc<dyn ArraySink>>>,
}

impl WriteChunks {
    /// Writes to these arrays, by the names of variables.
    pub fn to(sinks: impl IntoIterator<Item = (String, Arc<dyn ArraySink>)>) -> Self {
        Self { sinks: Arc::new(sinks.into_iter().collect()) }
    }
}

impl fmt::Debug for WriteChunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteChunks").field("arrays", &self.sinks.keys()).finish()
    }
}

impl PTransform<PCollection<(Key, DatasetChunk)>> for WriteChunks {
    type Output = PCollection<Written>;

    fn expand(self, input: PCollection<(Key, DatasetChunk)>) -> Self::Output {
        let write = WriteFn { sinks: self.sinks, writing: BundleState::default() };
        input.apply_named("Write", ParDo::of(write))
    }
}

#[derive(Clone)]
struct WriteFn {
    sinks: Arc<BTreeMap<String, Arc<dyn ArraySink>>>,
    writing: BundleState<WriteBehind>,
}

impl WriteFn {
    fn sink(&self, variable: &VariableChunk) -> Result<Arc<dyn ArraySink>> {
        self.sinks.get(variable.name()).map(Arc::clone).ok_or_else(|| {
            let known: Vec<&str> = self.sinks.keys().map(String::as_str).collect();
            let message = format!("there is no array for the variable `{}`", variable.name());
            Error::new(ErrorCode::UNKNOWN_VARIABLE, ErrorKind::InvalidInput, message)
                .mend(format!("drop it before, or write to more arrays than: {}", known.join(", ")))
        })
    }

    /// Bytes of the largest unit.
    fn unit_bytes(&self) -> u64 {
        let bytes = self.sinks.values().map(|sink| {
            let facts = sink.facts();
            let item_bytes = facts.dtype.estimated_bytes();
            facts.units.largest_chunk().into_iter().fold(item_bytes, u64::saturating_mul)
        });
        bytes.max().unwrap_or(0)
    }

    fn write(
        &mut self,
        key: &Key,
        variable: &VariableChunk,
        ctx: &mut ProcessContext<'_, Written>,
    ) -> Result<()> {
        let sink = self.sink(variable)?;
        let is_elsewhere =
            |(name, offset): (&str, u64)| offset > 0 && variable.axis_of(name).is_none();
        if key.offsets().any(is_elsewhere) {
            return Ok(());
        }
        let elements = variable.elements();
        let starts = variable.dimensions().iter().map(|name| key.offset(name).unwrap_or(0));
        let region = Region::at(&starts.collect::<Vec<_>>(), elements.shape());
        check_whole_units(sink.as_ref(), variable, &region)?;
        let (limit_bytes, units) = (self.unit_bytes() / 2, &sink.facts().units);
        for unit in units.chunks_meeting(&region) {
            let own = units.region(&unit);
            let piece = if own == region {
                elements.clone()
            } else {
                elements.slice(&own.relative_to(&region.start()))?
            };
            let writing = sink.write(&unit, &piece)?;
            self.writing.get().push(variable.name(), unit, writing, limit_bytes)?;
        }
        self.writing.get().put_out(ctx)
    }
}

/// Refuses elements that the array does not have, or that cut one of its units.
fn check_whole_units(
    sink: &dyn ArraySink,
    variable: &VariableChunk,
    region: &Region,
) -> Result<()> {
    let (facts, elements) = (sink.facts(), variable.elements());
    let conflict =
        |message: String| Error::new(ErrorCode::GRIDS_DIFFER, ErrorKind::Conflict, message);
    let mut ends = region.ranges().zip(&facts.shape);
    if facts.dtype != elements.dtype()
        || facts.shape.len() != region.rank()
        || ends.any(|(range, &length)| range.end > length)
    {
        let message = format!(
            "{} {region} is written to an array of {} {:?}",
            elements.dtype(),
            facts.dtype,
            facts.shape
        );
        return Err(conflict(message).mend("make the template of what is written"));
    }
    let axes = variable.dimensions().iter().zip(region.ranges()).zip(facts.units.axes());
    for ((name, range), axis) in axes {
        let met = axis.chunks_meeting(&range);
        let covered = if met.is_empty() {
            range.clone()
        } else {
            axis.chunk(met.start).start..axis.chunk(met.end - 1).end
        };
        if covered != range {
            let message = format!(
                "elements {range:?} along `{name}` cut units that reach from {} to {}",
                covered.start, covered.end
            );
            return Err(Error::new(ErrorCode::INVALID_CHUNKS, ErrorKind::InvalidInput, message)
                .mend("consolidate or rechunk before, so that each unit has one writer"));
        }
    }
    Ok(())
}

impl DoFn for WriteFn {
    type In = (Key, DatasetChunk);
    type Out = Written;

    fn process(&mut self, keyed: Self::In, ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        let (key, chunk) = keyed;
        for variable in chunk.variables() {
            let written = self.write(&key, variable, ctx);
            written.map_err(|error| error.at("variable", variable.name()).at("chunk", &key))?;
        }
        Ok(())
    }

    fn finish_bundle(&mut self, ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        let behind = self.writing.get();
        behind.finish()?;
        behind.put_out(ctx)
    }

    fn facts(&self) -> DoFnFacts {
        let arrays = self.sinks.iter().map(|(name, sink)| {
            let facts = sink.facts();
            let unit = facts.units.largest_chunk();
            format!(
                "{name} {} {:?} in {unit:?} of {:?}",
                facts.dtype, facts.shape, facts.chunk_shape
            )
        });
        let arrays: Vec<String> = arrays.collect();
        DoFnFacts::default()
            .with_parameters(arrays.join("; "))
            .with_working_bytes(self.unit_bytes().saturating_mul(2))
    }
}
