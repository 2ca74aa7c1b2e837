//! MapBlocks: a function on every chunk, whose result is known beforehand.

use std::fmt;
use std::sync::Arc;

use array::{
    Attributes, Axis, Dataset, DatasetChunk, Dimension, Key, Storage, Variable, VariableChunk,
};
use dataflow::dofn::{DoFn, DoFnFacts, ProcessContext};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::prelude::{PCollection, PTransform, ParDo};

use crate::blocks::template::Template;
use crate::keyed::Chunks;

/// Makes a chunk of every chunk, with the same function.
///
/// What comes out is inferred when the pipeline is built: the function runs on the first and on the
/// last chunk, filled with zeros and empty texts. A dimension that is cut must stay, with as many
/// chunks; its length may change if all chunks change alike. Other dimensions may change, go, and
/// come. At run time every result is compared with what was inferred.
///
/// Memory: a chunk and its result, granted before a bundle starts.
///
/// Source: xarray-beam 0.11.5, `Dataset.map_blocks`.
pub struct MapBlocks<F> {
    function: F,
    from: Arc<Template>,
    to: Arc<Template>,
}

impl<F> MapBlocks<F>
where
    F: Fn(&Key, &DatasetChunk) -> Result<DatasetChunk> + Clone + Send + Sync + 'static,
{
    /// Maps the chunks of this template.
    ///
    /// # Errors
    /// A function that fails on zeros, a dimension that is cut and does not stay, or whose chunks
    /// change in different ratios.
    pub fn new(from: &Template, function: F) -> Result<Self> {
        let run = |is_last| {
            let (key, blank) = from.blank(is_last)?;
            function(&key, &blank).map_err(|error| {
                error.context("the function was run on zeros, to see what it gives").mend(
                    "let it take zeros and chunks of any length, or say what comes out with \
                     `MapBlocks::with_template`",
                )
            })
        };
        let (first, last) = (run(false)?, run(true)?);
        let to = inferred(from, &first, &last)?;
        Ok(Self { function, from: Arc::new(from.clone()), to: Arc::new(to) })
    }

    /// Maps the chunks of this template to those of another.
    ///
    /// # Errors
    /// A dimension that is cut and does not stay, with as many chunks.
    pub fn with_template(from: &Template, to: Template, function: F) -> Result<Self> {
        for (name, axis) in from.axes().iter().filter(|(_, axis)| axis.chunk_count() > 1) {
            let count = to.axis(name).map_or(0, Axis::chunk_count);
            if count != axis.chunk_count() {
                return Err(not_kept(name, axis.chunk_count(), count));
            }
        }
        Ok(Self { function, from: Arc::new(from.clone()), to: Arc::new(to) })
    }
}

impl<F> MapBlocks<F> {
    /// What comes out.
    pub fn template(&self) -> &Template {
        &self.to
    }
}

impl<F> fmt::Debug for MapBlocks<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapBlocks").field("to", &self.to).finish_non_exhaustive()
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::INVALID_CHUNKS, ErrorKind::InvalidInput, message)
}

fn not_kept(name: &str, count: u64, other: u64) -> Error {
    let message = format!("`{name}` is cut into {count} chunks, and its blocks become {other}");
    invalid(message).mend(format!("keep `{name}`, or consolidate it into one chunk before"))
}

/// The template of what the function gave for the first and for the last chunk.
fn inferred(from: &Template, first: &DatasetChunk, last: &DatasetChunk) -> Result<Template> {
    let absent =
        |(name, axis): &&(String, Axis)| axis.chunk_count() > 1 && first.length(name).is_none();
    if let Some((name, axis)) = from.axes().iter().find(absent) {
        return Err(not_kept(name, axis.chunk_count(), 0));
    }
    let mut lengths = Vec::new();
    let mut dimensions = Vec::new();
    for (name, length) in first.sizes().iter() {
        let cut = from.axis(name).filter(|axis| axis.chunk_count() > 1);
        let total = match cut {
            Some(axis) => cut_length(name, axis, length, last.length(name).unwrap_or(0))?,
            None => length,
        };
        lengths.push((name.to_owned(), if cut.is_some() { length } else { total }));
        let is_unlimited = from.dataset().dimension(name).is_some_and(|it| it.is_unlimited);
        dimensions.push(Dimension { name: name.to_owned(), length: total, is_unlimited });
    }
    let length_of =
        |name: &String| dimensions.iter().find(|it| it.name == *name).map_or(0, |it| it.length);
    let variable = |variable: &VariableChunk| Variable {
        name: variable.name().to_owned(),
        dimensions: variable.dimensions().to_vec(),
        shape: variable.dimensions().iter().map(length_of).collect(),
        dtype: variable.elements().dtype(),
        fill: None,
        attributes: {
            let known = from.dataset().variable(variable.name());
            known.map_or_else(Attributes::default, |it| it.attributes.clone())
        },
        storage: Storage::default(),
    };
    let dataset = Dataset {
        variables: first.variables().iter().map(variable).collect(),
        attributes: from.dataset().attributes.clone(),
        dimensions,
        ..Dataset::default()
    };
    let labels = first.variables().iter().filter(|it| it.is_coordinate());
    let labels: Vec<&str> = labels.map(VariableChunk::name).collect();
    Ok(Template::of(dataset, Chunks::regular(&lengths))?.with_coordinates(labels))
}

/// The new length of a dimension whose chunks all change alike.
fn cut_length(name: &str, axis: &Axis, first: u64, last: u64) -> Result<u64> {
    let count = axis.chunk_count();
    let length_of = |chunk: u64| axis.chunk(chunk).end - axis.chunk(chunk).start;
    let (old_first, old_last) = (length_of(0), length_of(count - 1));
    if (0..count - 1).any(|chunk| length_of(chunk) != old_first) {
        let message = format!("`{name}` is cut into chunks of different lengths");
        return Err(invalid(message).mend("rechunk it to one length before"));
    }
    if first == 0
        || u128::from(first) * u128::from(old_last) != u128::from(last) * u128::from(old_first)
    {
        let message = format!(
            "chunks of `{name}` change unevenly: {old_first} elements become {first}, and the last \
             {old_last} become {last}"
        );
        return Err(invalid(message)
            .mend("choose chunks that all change in the same ratio, or rechunk before"));
    }
    Ok((count - 1) * first + last)
}

impl<F> PTransform<PCollection<(Key, DatasetChunk)>> for MapBlocks<F>
where
    F: Fn(&Key, &DatasetChunk) -> Result<DatasetChunk> + Clone + Send + Sync + 'static,
{
    type Output = PCollection<(Key, DatasetChunk)>;

    fn name(&self) -> String {
        "MapBlocks".to_owned()
    }

    fn expand(self, input: PCollection<(Key, DatasetChunk)>) -> Self::Output {
        let Self { function, from, to } = self;
        input.apply_named("Map", ParDo::of(MapFn { function, from, to }))
    }
}

#[derive(Clone)]
struct MapFn<F> {
    function: F,
    from: Arc<Template>,
    to: Arc<Template>,
}

impl<F> MapFn<F> {
    /// The key of a result: the same chunk along each dimension that is still there.
    fn key(&self, of: &Key) -> Result<Key> {
        let mut key = Key::default();
        for (name, offset) in of.offsets() {
            let (Some(from), Some(to)) = (self.from.axis(name), self.to.axis(name)) else {
                continue;
            };
            let chunk = from.chunks_meeting(&(offset..offset + 1));
            if from.chunk_count() == 0 {
                key = key.with_offset(name, 0);
                continue;
            }
            if chunk.is_empty() || from.chunk(chunk.start).start != offset {
                let message = format!("no chunk begins at {name}={offset}");
                let error = Error::new(ErrorCode::GRIDS_DIFFER, ErrorKind::Conflict, message);
                return Err(
                    error.mend("give `MapBlocks` the template of the chunks that there are")
                );
            }
            let start = if to.chunk_count() == 0 { 0 } else { to.chunk(chunk.start).start };
            key = key.with_offset(name, start);
        }
        Ok(match of.variables() {
            Some(names) => key.with_variables(names),
            None => key,
        })
    }

    /// Refuses a result that is not what was inferred.
    fn check(&self, key: &Key, chunk: &DatasetChunk) -> Result<()> {
        let other = |message: String| {
            Error::new(ErrorCode::GRIDS_DIFFER, ErrorKind::User, message).mend(
                "let the function give the same variables, types and dimensions for every chunk",
            )
        };
        for variable in chunk.variables() {
            let name = variable.name();
            let Some(known) = self.to.dataset().variable(name) else {
                return Err(other(format!(
                    "a result has the variable `{name}`, which is not expected"
                )));
            };
            let elements = variable.elements();
            let wanted = known.dimensions.iter().zip(&known.shape).map(|(name, &length)| {
                let Some(axis) = self.to.axis(name) else { return length };
                let offset = key.offset(name).unwrap_or(0);
                let chunk = axis.chunks_meeting(&(offset..offset + 1));
                if chunk.is_empty() { length } else { axis.chunk(chunk.start).end - offset }
            });
            let wanted: Vec<u64> = wanted.collect();
            if variable.dimensions() != known.dimensions
                || elements.dtype() != known.dtype
                || elements.shape() != wanted
            {
                return Err(other(format!(
                    "a result is {} {:?}{:?}, where {} {:?}{wanted:?} is expected",
                    elements.dtype(),
                    variable.dimensions(),
                    elements.shape(),
                    known.dtype,
                    known.dimensions,
                ))
                .at("variable", name));
            }
        }
        // With keys that name variables, a chunk holds some of them only.
        let names: Option<Vec<&str>> = key.variables().map(Iterator::collect);
        let is_missing = |it: &&Variable| {
            let is_of_key = names.as_ref().is_none_or(|names| names.contains(&it.name.as_str()));
            is_of_key && chunk.variable(&it.name).is_none()
        };
        match self.to.dataset().variables.iter().find(is_missing) {
            Some(missing) => Err(other(format!("a result lacks the variable `{}`", missing.name))),
            None => Ok(()),
        }
    }
}

impl<F> DoFn for MapFn<F>
where
    F: Fn(&Key, &DatasetChunk) -> Result<DatasetChunk> + Clone + Send + Sync + 'static,
{
    type In = (Key, DatasetChunk);
    type Out = (Key, DatasetChunk);

    fn process(&mut self, keyed: Self::In, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let (key, chunk) = keyed;
        let mapped = self.key(&key).and_then(|to| {
            let mapped = (self.function)(&key, &chunk)?;
            self.check(&to, &mapped)?;
            Ok((to, mapped))
        });
        drop(chunk);
        ctx.output(mapped.map_err(|error| error.at("chunk", &key))?)
    }

    fn facts(&self) -> DoFnFacts {
        let variables = self.to.dataset().variables.iter();
        let variables: Vec<String> = variables
            .map(|it| format!("{} {} {:?}{:?}", it.name, it.dtype, it.dimensions, it.shape))
            .collect();
        DoFnFacts::default()
            .with_parameters(format!(
                "{} to {}: {}",
                self.from.chunks(),
                self.to.chunks(),
                variables.join("; ")
            ))
            .with_working_bytes(self.from.chunk_bytes().saturating_add(self.to.chunk_bytes()))
    }
}
