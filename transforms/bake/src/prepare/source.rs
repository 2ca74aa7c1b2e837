//! A file as steps have changed it.

use std::collections::BTreeMap;
use std::sync::Arc;

use array::{ArraySource, ChunkGrid, Dataset, DatasetSource, Scalar};
use dataflow::error::Result;

use crate::prepare::mapped::{Constant, Mapped, Mapping};
use crate::prepare::step::Step;

/// A file as all these steps leave it.
///
/// # Errors
/// A step that this file does not allow; the error says which.
pub(crate) fn prepared(
    source: Arc<dyn DatasetSource>,
    steps: &[Step],
) -> Result<Arc<dyn DatasetSource>> {
    (1..).zip(steps).try_fold(source, |source, (number, step)| {
        let change = step.change(source.as_ref()).map_err(|error| error.at("step", number))?;
        Ok(Arc::new(Prepared { source, change }) as Arc<dyn DatasetSource>)
    })
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
