//! What opening a file yields, whatever its format: a dataset and its arrays, some of which can
//! only say why they cannot be read.

use std::collections::BTreeMap;
use std::sync::Arc;

use array::error::{Error, Result};
use array::{Dataset, Variable};

use crate::stored::Parts;

/// A file that was opened.
pub(crate) struct Opened {
    /// The format, for people.
    pub(crate) format_name: &'static str,
    /// What the file holds.
    pub(crate) dataset: Dataset,
    /// By the names of variables, those that were left out of the dataset among them.
    pub(crate) arrays: BTreeMap<String, Result<Arc<Parts>>>,
}

impl Opened {
    /// A file of which nothing is known but its format.
    pub(crate) fn new(format_name: &'static str) -> Self {
        Self { format_name, dataset: Dataset::default(), arrays: BTreeMap::new() }
    }

    /// Adds a variable and its array, or why that cannot be read.
    ///
    /// A second variable of one name is left out with a warning: nobody could ask for it.
    pub(crate) fn add(&mut self, variable: Variable, array: Result<Parts>) {
        if self.arrays.contains_key(&variable.name) {
            let text = format!("a second variable called `{}` is left out", variable.name);
            return self.dataset.warnings.push(text);
        }
        self.arrays.insert(variable.name.clone(), array.map(Arc::new));
        self.dataset.variables.push(variable);
    }

    /// Leaves a variable out, with a warning that says why.
    pub(crate) fn leave_out(&mut self, name: &str, error: Error) {
        let why = crate::fault::sentence(&error);
        self.dataset.warnings.push(format!("variable `{name}` is left out: {why}"));
        self.arrays.entry(name.to_owned()).or_insert(Err(error.at("variable", name)));
    }
}
