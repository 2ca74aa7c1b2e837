//! Commit records: which units are in the store, with length and checksum.
//!
//! One object for each bundle, named by what it says: writing it again changes nothing. The run
//! store lies beside the destination, never inside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use chunks::Written;
use dataflow::dofn::{BundleState, DoFn, DoFnFacts, ProcessContext};
use dataflow::error::{Error, Result};
use objects::{Location, Objects, StoreOptions};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::filling::FilledElements;
use crate::write::ArrayTotal;

/// The version of commit records.
const COMMIT_VERSION: u32 = 1;
/// Units of one record: a bundle with more writes several.
const UNITS_A_RECORD: usize = 4096;

/// A commit record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommitRecord {
    /// The version of this form.
    pub v: u32,
    /// The units that are in the store.
    pub units: Vec<Written>,
    /// Elements that hold missing values in place of what a file should have given; units with
    /// such elements are committed later than this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filled: Vec<FilledElements>,
}

/// Writes a commit record for every bundle, and adds up what each array has got.
#[derive(Clone)]
pub(crate) struct CommitUnits {
    run: Location,
    store: StoreOptions,
    /// What is added to the index of a unit, by array.
    offsets: Arc<BTreeMap<String, Vec<u64>>>,
    units: BundleState<Vec<Written>>,
}

impl CommitUnits {
    pub(crate) fn new(
        run: Location,
        store: StoreOptions,
        offsets: Arc<BTreeMap<String, Vec<u64>>>,
    ) -> Self {
        Self { run, store, offsets, units: BundleState::default() }
    }

    fn commit(&mut self, ctx: &mut ProcessContext<'_, (String, ArrayTotal)>) -> Result<()> {
        let mut units = std::mem::take(self.units.get());
        if units.is_empty() {
            return Ok(());
        }
        units.sort();
        let totals: Vec<(String, ArrayTotal)> = units
            .chunk_by(|a, b| a.array == b.array)
            .map(|units| {
                let encoded_bytes = units.iter().map(|unit| unit.encoded_bytes).sum();
                let total = ArrayTotal { unit_count: units.len() as u64, encoded_bytes };
                (units[0].array.clone(), total)
            })
            .collect();
        let record = CommitRecord { v: COMMIT_VERSION, units, filled: Vec::new() };
        put(&Objects::open(&self.run, &self.store)?, "c/s000", &record)?;
        totals.into_iter().try_for_each(|total| ctx.output(total))
    }
}

impl DoFn for CommitUnits {
    type In = Written;
    type Out = (String, ArrayTotal);

    fn process(
        &mut self,
        mut unit: Written,
        ctx: &mut ProcessContext<'_, Self::Out>,
    ) -> Result<()> {
        if let Some(offset) = self.offsets.get(&unit.array) {
            unit.index.iter_mut().zip(offset).for_each(|(index, more)| *index += more);
        }
        self.units.get().push(unit);
        if self.units.get().len() >= UNITS_A_RECORD { self.commit(ctx) } else { Ok(()) }
    }

    fn finish_bundle(&mut self, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        self.commit(ctx)
    }

    fn facts(&self) -> DoFnFacts {
        DoFnFacts::default().with_working_bytes(2 << 20)
    }
}

/// Records elements that are filled. Recording the same ones again changes nothing.
///
/// # Errors
/// A store that fails.
pub(crate) fn put_filled(run: &Objects, filled: FilledElements) -> Result<()> {
    let record = CommitRecord { v: COMMIT_VERSION, units: Vec::new(), filled: vec![filled] };
    put(run, "c/filled", &record)
}

fn put(run: &Objects, folder: &str, record: &CommitRecord) -> Result<()> {
    let body = serde_json::to_vec(record)
        .map_err(|why| Error::internal(format!("a commit record has no JSON: {why}")))?;
    run.put(&format!("{folder}/{:016x}.json", xxh3_64(&body)), Bytes::from(body)).wait()
}

/// The elements that a run has filled as no file could give them, by array and place.
///
/// Memory: all of them.
///
/// # Errors
/// A store that fails, or a record that is damaged.
pub fn read_filled(run: &Objects) -> Result<Vec<FilledElements>> {
    let mut filled = Vec::new();
    read_commits(run, |record| {
        filled.extend(record.filled);
        Ok(())
    })?;
    filled.sort_by(|a, b| (&a.array, &a.start, &a.shape).cmp(&(&b.array, &b.start, &b.shape)));
    filled.dedup_by(|a, b| (&a.array, &a.start, &a.shape) == (&b.array, &b.start, &b.shape));
    Ok(filled)
}

/// Reads the commit records of a run, one after the other.
///
/// # Errors
/// A store that fails, or a record that is damaged.
pub fn read_commits(run: &Objects, mut each: impl FnMut(CommitRecord) -> Result<()>) -> Result<()> {
    for found in run.list("c/")? {
        let body = run.get(&found.key)?;
        let record = serde_json::from_slice(&body).map_err(|why| {
            let message = format!("a commit record is damaged: {why}");
            Error::new(
                dataflow::error::ErrorCode::METADATA_BROKEN,
                dataflow::error::ErrorKind::Corrupt,
                message,
            )
            .at("record", &found.key)
        })?;
        each(record)?;
    }
    Ok(())
}
