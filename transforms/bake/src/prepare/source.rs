//! A file as steps have changed it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use array::{ArraySource, ChunkGrid, Dataset, DatasetSource, Scalar};
use dataflow::error::{Error, Result};

use crate::options::BakeOptions;
use crate::pattern::{CombineDim, CombineOp, FilePattern, Place};
use crate::prepare::key::NewCoordinate;
use crate::prepare::mapped::{Constant, Mapped, Mapping};
use crate::prepare::partial::Unknown;
use crate::prepare::step::{Step, expand};

/// What is changed in every file before it is looked at.
#[derive(Debug, Clone)]
pub(crate) struct Preparation {
    steps: Arc<[Step]>,
    pattern: Option<Arc<FilePattern>>,
}

impl Preparation {
    /// What these options say.
    pub(crate) fn of(options: &BakeOptions) -> Self {
        let pattern = options.pattern.clone().map(Arc::new);
        Self { steps: options.steps.as_slice().into(), pattern }
    }

    /// A file, which stands at this place of its list or pattern, as all steps leave it.
    ///
    /// # Errors
    /// A step that this file does not allow; the error says which.
    pub(crate) fn prepare(
        &self,
        source: Arc<dyn DatasetSource>,
        place: u32,
    ) -> Result<Arc<dyn DatasetSource>> {
        self.prepare_part(source, place).map(|(prepared, _)| prepared)
    }

    /// The same, and what steps name that the file does not have: files with other merge keys have
    /// other variables.
    ///
    /// # Errors
    /// As [`Preparation::prepare`].
    pub(crate) fn prepare_part(
        &self,
        source: Arc<dyn DatasetSource>,
        place: u32,
    ) -> Result<(Arc<dyn DatasetSource>, BTreeSet<Unknown>)> {
        let is_merged = self.pattern.as_ref().is_some_and(|it| it.merge_dims().next().is_some());
        let mut unknown = BTreeSet::new();
        let mut keyed = self.keyed_dims(place);
        let mut prepared = source;
        for (number, step) in (1..).zip(self.steps.iter()) {
            let part;
            let step = if is_merged {
                part = step.within(prepared.dataset(), number, &mut unknown);
                let Some(step) = &part else { continue };
                step
            } else {
                step
            };
            let key = match step {
                Step::Expand { dim, value: None } => keyed.iter().position(|it| it.0.name() == dim),
                _ => None,
            };
            prepared = match key {
                Some(key) => {
                    let change = expanded(prepared.as_ref(), keyed.remove(key));
                    let change = change.map_err(|error| error.at("step", number))?;
                    Arc::new(Prepared { source: prepared, change })
                }
                None => changed(prepared, step, number)?,
            };
        }
        // The last one becomes the first dimension.
        for key in keyed.into_iter().rev() {
            let change = expanded(prepared.as_ref(), key)?;
            prepared = Arc::new(Prepared { source: prepared, change });
        }
        Ok((prepared, unknown))
    }

    /// The dimensions that are made from keys, and which key is that of a file.
    fn keyed_dims(&self, place: u32) -> Vec<(&CombineDim, u64)> {
        let pattern = self.pattern.iter();
        let keyed = pattern.flat_map(|pattern| {
            let index = pattern.index(place.into());
            let dims = pattern.dims().iter().filter(|dim| dim.op() == CombineOp::Expand);
            dims.filter_map(move |dim| match index.as_ref()?.get(dim.name())?.place {
                Place::File(number) => Some((dim, number)),
                Place::Elements(_) => None,
            })
        });
        keyed.collect()
    }
}

fn expanded(source: &dyn DatasetSource, (dim, number): (&CombineDim, u64)) -> Result<Change> {
    let mut change = Change::of(source.dataset());
    let coordinate = NewCoordinate::of_key(dim, number)?;
    let name = dim.name();
    expand(source.dataset(), name, Some(coordinate), &mut change)
        .map_err(|error| error.at("dimension", name))?;
    Ok(change)
}

/// A source as all these steps leave it.
///
/// # Errors
/// A step that the source does not allow; the error says which.
pub(crate) fn prepared(
    source: Arc<dyn DatasetSource>,
    steps: &[Step],
) -> Result<Arc<dyn DatasetSource>> {
    (1..).zip(steps).try_fold(source, |source, (number, step)| changed(source, step, number))
}

/// A source as one step leaves it.
fn changed(
    source: Arc<dyn DatasetSource>,
    step: &Step,
    number: u32,
) -> Result<Arc<dyn DatasetSource>> {
    let named = |error: Error| error.at("step", number);
    if let Step::Group { path } = step {
        return source.group(path).map_err(named);
    }
    let change = step.change(source.as_ref()).map_err(named)?;
    Ok(Arc::new(Prepared { source, change }))
}

/// What one step makes of a file.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) dataset: Dataset,
    /// The old name of each variable that has another one now.
    pub(super) names: BTreeMap<String, String>,
    /// How variables are read that are not read as before.
    pub(super) mappings: BTreeMap<String, Mapping>,
    /// Scalar variables that the file does not have.
    pub(super) constants: BTreeMap<String, Scalar>,
}

impl Change {
    /// No change.
    pub(super) fn of(dataset: &Dataset) -> Self {
        let (names, mappings, constants) = Default::default();
        Self { dataset: dataset.clone(), names, mappings, constants }
    }
}

#[derive(Debug)]
struct Prepared {
    source: Arc<dyn DatasetSource>,
    change: Change,
}

impl DatasetSource for Prepared {
    fn dataset(&self) -> &Dataset {
        &self.change.dataset
    }

    fn array(&self, name: &str) -> Result<Arc<dyn ArraySource>> {
        let variable = self.change.dataset.expect_variable(name)?;
        let array: Arc<dyn ArraySource> = match self.change.constants.get(name) {
            Some(value) => Arc::new(Constant::new(value)),
            None => self.source.array(self.change.names.get(name).map_or(name, String::as_str))?,
        };
        let Some(mapping) = self.change.mappings.get(name) else { return Ok(array) };
        let mut facts = array.facts().clone();
        facts.dtype = variable.dtype;
        facts.grid = ChunkGrid::new(mapping.axes(facts.grid.axes(), &variable.shape));
        facts.recode_bytes += mapping.recode_bytes(variable.dtype);
        facts.fill = Scalar::zero(variable.dtype);
        Ok(Arc::new(Mapped::new(array, facts, mapping.clone())))
    }
}
