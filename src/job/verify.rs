//! Verifying a store: every unit is there, decodes, and is the one that was written.

use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::PoisonError;

use ::bake::FilledElements;
use array::{ChunkGrid, DatasetSource as _, GroupPath};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::{Location, StoreOptions};
use rayon::iter::{ParallelBridge as _, ParallelIterator as _};
use zarr::{Unit, UnitState, ZarrSource};

use crate::job::committed::Committed;
use crate::job::run_store::RunStore;

/// Findings that are kept; more of the same kind help nobody.
const FINDINGS_LIMIT: usize = 1000;
/// Files of a finding that are kept.
const FILES_LIMIT: usize = 100;

/// Something that is wrong with a store.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The variable; of a group below the root, with its path.
    pub variable: String,
    /// The index of the unit.
    pub index: Vec<u64>,
    /// The key of the object.
    pub key: String,
    /// The files that feed it, the first hundred; none where no run store knows.
    pub files: Vec<String>,
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
    /// How closely they were looked at.
    pub level: VerifyLevel,
    /// Whether a run store says what was written; otherwise only metadata could be compared with.
    pub has_commits: bool,
    /// What is wrong, by variable and index, the first thousand.
    pub findings: Vec<Finding>,
    /// How many are wrong.
    pub finding_count: u64,
    /// Elements that hold missing values as no source could give them, which was allowed when they
    /// were written: nothing is wrong with their units.
    pub filled: Vec<FilledElements>,
}

/// How closely a store is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VerifyLevel {
    /// Every unit is there. Nothing is read but what the store says of the objects.
    Chunks,
    /// Every unit has the length and the checksum that its run has committed. Units are read, not
    /// decoded.
    Digests,
    /// Every unit decodes, and is the one that was committed as far as that is known.
    #[default]
    Readback,
}

impl FromStr for VerifyLevel {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "chunks" => Ok(Self::Chunks),
            "digests" => Ok(Self::Digests),
            "readback" => Ok(Self::Readback),
            _ => {
                let message = format!("there is no level `{text}` of verifying");
                let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
                Err(error.mend("the levels are: chunks, digests, readback"))
            }
        }
    }
}

/// Looks at every unit of a store and of all its groups, on so many threads.
///
/// `each` is told how many units were looked at; an error of it stops the work and is returned.
///
/// Memory: for each thread an encoded unit and a decoded chunk, and a record of 40 bytes for each
/// unit that a run store knows.
///
/// # Errors
/// No store there, metadata that cannot be read, no run store where digests are to be compared, or
/// a store that fails.
pub fn verify(
    location: &Location,
    store: &StoreOptions,
    level: VerifyLevel,
    threads: NonZeroUsize,
    each: impl FnMut(u64) -> Result<()> + Send,
) -> Result<VerifyReport> {
    verify_with_runs(location, None, store, level, threads, each)
}

/// The same for a store whose runs may be kept below `run_store`, as
/// [`Bake::with_run_store`](crate::job::Bake::with_run_store) has it, or beside it.
///
/// # Errors
/// As [`verify`].
pub fn verify_with_runs(
    location: &Location,
    run_store: Option<&Location>,
    store: &StoreOptions,
    level: VerifyLevel,
    threads: NonZeroUsize,
    mut each: impl FnMut(u64) -> Result<()> + Send,
) -> Result<VerifyReport> {
    let tree = ZarrSource::open(location, store)?.tree()?;
    let runs = RunStore::place_of_runs(run_store, location, store)?;
    let committed = Committed::read(&runs, store)?;
    if committed.is_none() && level == VerifyLevel::Digests {
        let message = "no run store says what was written: there are no digests to compare with";
        let error = Error::new(ErrorCode::METADATA_BROKEN, ErrorKind::NotFound, message);
        let error = error.at("store", location);
        return Err(error.mend("--level readback needs none; DST.levain/ lies beside the store"));
    }
    let mut report = VerifyReport {
        unit_count: 0,
        read_bytes: 0,
        level,
        has_commits: committed.is_some(),
        findings: tree.iter().flat_map(|(path, group)| unreadable(path, group)).collect(),
        finding_count: 0,
        filled: committed.as_ref().map(|it| it.filled().to_vec()).unwrap_or_default(),
    };
    report.finding_count = report.findings.len() as u64;
    let rewritten = rewritten(&tree, &runs, store)?;
    let units = tree.iter().zip(&rewritten).flat_map(|((path, source), is_rewritten)| {
        let committed = committed.as_ref().filter(|_| !is_rewritten);
        source.units().map(move |unit| (source, committed, full_name(path, &unit.variable), unit))
    });
    let shared = Mutex::new((&mut report, &mut each));
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.get())
        .build()
        .map_err(|why| Error::internal(format!("cannot start threads: {why}")))?;
    pool.install(|| {
        units.par_bridge().try_for_each(|(source, committed, variable, unit)| {
            let written = committed.and_then(|it| it.unit(&variable, &unit.index));
            let state = match level {
                VerifyLevel::Chunks => source.find(&unit)?,
                VerifyLevel::Digests if written.is_some() => source.digest(&unit)?,
                // What nobody has committed must at least decode.
                VerifyLevel::Digests | VerifyLevel::Readback => source.check(&unit)?,
            };
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let (report, each) = &mut *shared;
            report.unit_count += 1;
            if let UnitState::Sound { encoded_bytes, .. } = state {
                report.read_bytes += encoded_bytes;
            }
            if let Some(error) = judge(&state, written) {
                report.finding_count += 1;
                if report.findings.len() < FINDINGS_LIMIT {
                    let files = files_of(source, committed, &variable, &unit);
                    let Unit { index, key, .. } = unit;
                    report.findings.push(Finding { variable, index, key, files, error });
                }
            }
            each(report.unit_count)
        })
    })?;
    report.findings.sort_by(|a, b| (&a.variable, &a.index).cmp(&(&b.variable, &b.index)));
    Ok(report)
}

/// The name of a variable of a group, as a store as a whole has it.
fn full_name(group: &GroupPath, variable: &str) -> String {
    if group.is_root() { variable.to_owned() } else { format!("{group}/{variable}") }
}

/// Which groups were written anew by a run of their own since the last run of the whole store.
fn rewritten(
    tree: &[(GroupPath, ZarrSource)],
    runs: &Location,
    store: &StoreOptions,
) -> Result<Vec<bool>> {
    let last = RunStore::newest_name(runs, store)?;
    let groups = RunStore::folder(runs)?.join("groups");
    let is_rewritten = |path: &GroupPath| {
        if path.is_root() {
            return Ok(false);
        }
        Ok(RunStore::newest_name(&groups.join(&path.to_string()), store)? > last)
    };
    // Names of runs sort by time; a group without runs of its own has none.
    tree.iter().map(|(path, _)| is_rewritten(path)).collect()
}

/// The files that feed a unit, as far as a run store knows.
fn files_of(
    source: &ZarrSource,
    committed: Option<&Committed>,
    full_name: &str,
    unit: &Unit,
) -> Vec<String> {
    let Some(committed) = committed else { return Vec::new() };
    let Some(variable) = source.dataset().variable(&unit.variable) else { return Vec::new() };
    let storage = &variable.storage;
    let Some(shape) = storage.shard_shape.as_ref().or(storage.chunk_shape.as_ref()) else {
        return Vec::new();
    };
    let region = ChunkGrid::regular(&variable.shape, shape).region(&unit.index);
    let mut files = committed.files_feeding(full_name, &region);
    files.truncate(FILES_LIMIT);
    files
}

fn judge(state: &UnitState, written: Option<(u64, u32)>) -> Option<Error> {
    match state {
        UnitState::Missing => Some(Error::new(
            ErrorCode::CHUNK_MISSING,
            ErrorKind::NotFound,
            "the object is missing; readers see the fill value",
        )),
        UnitState::Damaged(error) => Some(error.clone()),
        UnitState::Found => None,
        UnitState::Sound { encoded_bytes, crc32c } => match written {
            Some(known) if known != (*encoded_bytes, *crc32c) => Some(Error::new(
                ErrorCode::CHUNK_CORRUPT,
                ErrorKind::Corrupt,
                "the object is not the one that was written",
            )),
            _ => None,
        },
        _ => Some(Error::internal("a unit is in a state that is not known")),
    }
}

/// Arrays that cannot be read at all.
fn unreadable(path: &GroupPath, source: &ZarrSource) -> Vec<Finding> {
    let left_out = source.left_out().into_iter();
    let finding = |(name, why): (String, Error)| {
        let message = format!("the variable cannot be read: {}", why.message());
        Finding {
            variable: full_name(path, &name),
            index: Vec::new(),
            key: String::new(),
            files: Vec::new(),
            error: Error::new(ErrorCode::METADATA_BROKEN, ErrorKind::Unsupported, message),
        }
    };
    left_out.map(finding).collect()
}
