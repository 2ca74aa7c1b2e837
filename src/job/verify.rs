//! Verifying a store: every unit is there, decodes, and is the one that was written.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::PoisonError;

use ::bake::read_commits;
use array::DatasetSource as _;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::{Location, StoreOptions};
use rayon::iter::{ParallelBridge as _, ParallelIterator as _};
use zarr::{Unit, UnitState, ZarrSource};

use crate::job::run_store::RunStore;

/// Findings that are kept; more of the same kind help nobody.
const FINDINGS_LIMIT: usize = 1000;

/// Something that is wrong with a store.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The variable.
    pub variable: String,
    /// The index of the unit.
    pub index: Vec<u64>,
    /// The key of the object.
    pub key: String,
    /// What is wrong.
    pub error: Error,
}

/// What verifying has found.
#[derive(Debug, Clone)]
pub struct VerifyReport {
    /// Units that were looked at.
    pub unit_count: u64,
    /// Bytes that were read.
    pub read_bytes: u64,
    /// Whether a run store says what was written; otherwise only metadata could be compared with.
    pub has_commits: bool,
    /// What is wrong, by variable and index, the first thousand.
    pub findings: Vec<Finding>,
    /// How many are wrong.
    pub finding_count: u64,
}

/// Reads every unit of a store and decodes it, on so many threads.
///
/// `each` is told how many units were looked at; an error of it stops the work and is returned.
///
/// Memory: for each thread an encoded unit and a decoded chunk, and a record of 40 bytes for each
/// unit that a run store knows.
///
/// # Errors
/// No store there, metadata that cannot be read, or a store that fails.
pub fn verify(
    location: &Location,
    store: &StoreOptions,
    threads: NonZeroUsize,
    mut each: impl FnMut(u64) -> Result<()> + Send,
) -> Result<VerifyReport> {
    let source = ZarrSource::open(location, store)?;
    let mut report = VerifyReport {
        unit_count: 0,
        read_bytes: 0,
        has_commits: false,
        findings: unreadable(&source),
        finding_count: 0,
    };
    report.finding_count = report.findings.len() as u64;
    let committed = committed_units(location, store)?;
    report.has_commits = committed.is_some();
    let shared = Mutex::new((&mut report, &mut each));
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.get())
        .build()
        .map_err(|why| Error::internal(format!("cannot start threads: {why}")))?;
    pool.install(|| {
        source.units().par_bridge().try_for_each(|unit| {
            let state = source.check(&unit)?;
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let (report, each) = &mut *shared;
            report.unit_count += 1;
            if let UnitState::Sound { encoded_bytes, .. } = state {
                report.read_bytes += encoded_bytes;
            }
            if let Some(error) = judge(&unit, &state, committed.as_ref()) {
                report.finding_count += 1;
                if report.findings.len() < FINDINGS_LIMIT {
                    let Unit { variable, index, key, .. } = unit;
                    report.findings.push(Finding { variable, index, key, error });
                }
            }
            each(report.unit_count)
        })
    })?;
    report.findings.sort_by(|a, b| (&a.variable, &a.index).cmp(&(&b.variable, &b.index)));
    Ok(report)
}

/// Length and checksum of every unit that was committed, by variable and index.
type Committed = BTreeMap<(String, Vec<u64>), (u64, u32)>;

/// What the runs of a store have committed since it was baked; nothing if no run is known to have
/// baked it.
fn committed_units(location: &Location, store: &StoreOptions) -> Result<Option<Committed>> {
    let mut committed = None;
    for run in RunStore::history(location, store)? {
        let has_succeeded = run.result()?.is_some_and(|result| result.state == "SUCCEEDED");
        let plan = run.plan()?;
        let append = plan.as_ref().and_then(|plan| Some((plan, plan.append.as_ref()?)));
        match (append, has_succeeded) {
            (None, true) => committed = Some(Committed::new()),
            // Whatever is there now is not what a run before had written.
            (None, false) => committed = None,
            (Some(_), true) => {}
            (Some((plan, append)), false) => {
                // An append that was cut short may have written partial units anew, with the old
                // elements in them, and nobody knows which.
                for variable in &plan.variables {
                    let Some((axis, unit)) = append.partial_unit(plan, &variable.name) else {
                        continue;
                    };
                    let is_other = |array: &String, index: &Vec<u64>| {
                        *array != variable.name || index.get(axis) != Some(&unit)
                    };
                    if let Some(committed) = committed.as_mut() {
                        committed.retain(|(array, index), _: &mut (u64, u32)| is_other(array, index));
                    }
                }
            }
        }
        if let Some(committed) = committed.as_mut().filter(|_| has_succeeded) {
            read_commits(run.objects(), |record| {
                let units = record.units.into_iter();
                committed.extend(
                    units.map(|it| ((it.array, it.index), (it.encoded_bytes, it.crc32c))),
                );
                Ok(())
            })?;
        }
    }
    Ok(committed)
}

fn judge(unit: &Unit, state: &UnitState, committed: Option<&Committed>) -> Option<Error> {
    let written = committed.and_then(|it| it.get(&(unit.variable.clone(), unit.index.clone())));
    match state {
        UnitState::Missing => Some(Error::new(
            ErrorCode::CHUNK_MISSING,
            ErrorKind::NotFound,
            "the object is missing; readers see the fill value",
        )),
        UnitState::Damaged(error) => Some(error.clone()),
        UnitState::Sound { encoded_bytes, crc32c } => match written {
            Some(known) if *known != (*encoded_bytes, *crc32c) => Some(Error::new(
                ErrorCode::CHUNK_CORRUPT,
                ErrorKind::Corrupt,
                "the object decodes, but is not the one that was written",
            )),
            _ => None,
        },
        _ => Some(Error::internal("a unit is in a state that is not known")),
    }
}

/// Arrays that cannot be read at all.
fn unreadable(source: &ZarrSource) -> Vec<Finding> {
    source
        .dataset()
        .warnings
        .iter()
        .map(|warning| Finding {
            variable: warning.split(':').next().unwrap_or_default().to_owned(),
            index: Vec::new(),
            key: String::new(),
            error: Error::new(ErrorCode::METADATA_BROKEN, ErrorKind::Unsupported, warning),
        })
        .collect()
}
