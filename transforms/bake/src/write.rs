//! Writes a store by its plan: data first, metadata last.

use std::collections::BTreeMap;
use std::sync::Arc;

use chunks::CopyArrays;
use dataflow::Element;
use dataflow::error::{Error, Result};
use dataflow::prelude::{CombineFn, CombinePerKey, PCollection, PTransform, ParDo, Pipeline};
use objects::{Location, StoreOptions};
use serde::{Deserialize, Serialize};

use crate::commit::CommitUnits;
use crate::plan::BakePlan;
use crate::tree::full_name;

/// What one array has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Element)]
#[element(crate = "dataflow")]
pub struct ArrayTotal {
    /// Units that were written and committed.
    pub unit_count: u64,
    /// Bytes of these.
    pub encoded_bytes: u64,
}

/// Writes every unit once, with a commit record, and adds up what each array has got.
#[derive(Debug, Clone)]
pub struct WriteStore {
    copies: CopyArrays,
    run: Location,
    store: StoreOptions,
    offsets: Arc<BTreeMap<String, Vec<u64>>>,
}

impl WriteStore {
    /// Makes these copies, and keeps commit records in the run store at `run`.
    pub fn new(copies: CopyArrays, run: Location, store: StoreOptions) -> Self {
        Self { copies, run, store, offsets: Arc::default() }
    }

    /// Copies that write into the ends of arrays: what is added to the index of a unit to get that
    /// in its array, by array.
    #[must_use]
    pub fn with_unit_offsets(mut self, offsets: BTreeMap<String, Vec<u64>>) -> Self {
        self.offsets = Arc::new(offsets);
        self
    }
}

impl PTransform<Pipeline> for WriteStore {
    type Output = PCollection<(String, ArrayTotal)>;

    fn expand(self, pipeline: Pipeline) -> Self::Output {
        let written = pipeline.apply(self.copies);
        let totals = written.apply(ParDo::of(CommitUnits::new(self.run, self.store, self.offsets)));
        totals.apply(CombinePerKey::of(AddTotals))
    }
}

#[derive(Clone)]
struct AddTotals;

impl CombineFn for AddTotals {
    type In = ArrayTotal;
    type Acc = ArrayTotal;
    type Out = ArrayTotal;

    fn create(&self) -> ArrayTotal {
        ArrayTotal::default()
    }

    fn add(&self, sum: &mut ArrayTotal, more: ArrayTotal) {
        sum.unit_count += more.unit_count;
        sum.encoded_bytes += more.encoded_bytes;
    }

    fn merge(&self, sum: &mut ArrayTotal, other: ArrayTotal) {
        self.add(sum, other);
    }

    fn extract(&self, sum: ArrayTotal) -> ArrayTotal {
        sum
    }
}

impl BakePlan {
    /// Refuses a store of which not every unit was committed exactly once.
    ///
    /// # Errors
    /// Units that are missing, or more than there can be: a bug of ours, caught before metadata
    /// make the store visible.
    pub fn check_complete(&self, totals: &BTreeMap<String, ArrayTotal>) -> Result<()> {
        for (path, plan) in self.tree() {
            for variable in &plan.variables {
                let name = full_name(&path, &variable.name);
                let written = totals.get(&name).map_or(0, |total| total.unit_count);
                let expected = variable.copy.costs.target_puts;
                if written != expected {
                    let message = format!("{written} of {expected} units were committed");
                    return Err(Error::internal(message).at("variable", name));
                }
            }
        }
        Ok(())
    }
}
