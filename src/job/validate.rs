//! Validating a store, before it becomes visible or at any later time.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use ::bake::{
    BakePlan, CheckLevel, Checks, ValidationFinding, ValidationReport, ValueChecks, check_metadata,
};
use array::{DatasetSource, Region, Variable};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::{Location, StoreOptions};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use zarr::ZarrSource;

use crate::job::committed::Committed;
use crate::job::memory::MemoryLimit;

/// Files of a finding that are kept.
const FILES_LIMIT: usize = 100;
/// Findings that an error names.
const NAMED_COUNT: usize = 5;
/// How many times a decoded chunk may be in memory while it is looked at: encoded, decoded, placed.
const COPIES_OF_A_CHUNK: u64 = 3;

/// Makes checks of a store that is there.
///
/// `each` is told how many chunks were looked at; an error of it stops the work and is returned.
///
/// Memory: a chunk for each thread, in three copies; as many threads as `memory` has room for.
///
/// # Errors
/// No store there, checks that nothing can be made of, chunks that cannot be read, or a store that
/// fails. What the checks find is no error but the report.
pub fn validate(
    location: &Location,
    store: &StoreOptions,
    checks: &Checks,
    (threads, memory): (NonZeroUsize, MemoryLimit),
    each: impl FnMut(u64) -> Result<()> + Send,
) -> Result<ValidationReport> {
    let source = ZarrSource::open(location, store)?;
    let committed = Committed::read(location, store)?.unwrap_or_default();
    let files = |variable: &str, region: &Region| committed.files_feeding(variable, region);
    let look = Look { source: &source, checks, files: &files, plan: None, threads, memory };
    look.report(each)
}

/// What is looked at, and by whom.
pub(super) struct Look<'a> {
    pub(super) source: &'a dyn DatasetSource,
    pub(super) checks: &'a Checks,
    /// The files that feed a region of a variable.
    pub(super) files: &'a (dyn Fn(&str, &Region) -> Vec<String> + Sync),
    /// The plan of an append: chunks with old elements alone are not looked at again.
    pub(super) plan: Option<&'a BakePlan>,
    pub(super) threads: NonZeroUsize,
    pub(super) memory: MemoryLimit,
}

impl Look<'_> {
    pub(super) fn report(
        &self,
        mut each: impl FnMut(u64) -> Result<()> + Send,
    ) -> Result<ValidationReport> {
        let dataset = self.source.dataset();
        self.checks.check_against(dataset)?;
        let mut report = ValidationReport::new(self.checks.clone());
        check_metadata(self.source, self.checks, &mut report)?;
        let values = ValueChecks::new(self.checks, dataset)?;
        let shared = Mutex::new((&mut report, &mut each));
        for variable in values.variables() {
            let array = self.source.array(&variable.name)?;
            let grid = &array.facts().grid;
            let chunks = 0..grid.chunk_count();
            let one = |linear: u64| -> Result<()> {
                let index = grid.index_of(linear);
                let region = grid.region(&index);
                if self.is_old(variable, &region) {
                    return Ok(());
                }
                let mut found = values.judge(&variable.name, &index, &array.read(&region)?)?;
                for finding in &mut found {
                    finding.files = (self.files)(&variable.name, &region);
                    finding.files.truncate(FILES_LIMIT);
                }
                let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                let (report, each) = &mut *shared;
                report.chunk_count += 1;
                found.into_iter().for_each(|finding| report.add(finding));
                each(report.chunk_count)
            };
            self.pool(variable)?.install(|| chunks.into_par_iter().try_for_each(one))?;
        }
        Ok(report)
    }

    /// Whether a region has only elements that were there before an append.
    fn is_old(&self, variable: &Variable, region: &Region) -> bool {
        let Some(append) = self.plan.and_then(|plan| plan.append.as_ref()) else { return false };
        let axis = variable.axis_of(&append.dimension);
        axis.and_then(|axis| region.ranges().nth(axis)).is_none_or(|it| it.end <= append.old_length)
    }

    /// As many threads as there is room for chunks of a variable.
    fn pool(&self, variable: &Variable) -> Result<rayon::ThreadPool> {
        let chunk = variable.storage.chunk_shape.as_ref().unwrap_or(&variable.shape);
        let chunk_bytes = chunk.iter().product::<u64>() * variable.dtype.estimated_bytes();
        // A run may have taken all that it was allowed; one chunk after the other always goes.
        let left = self.memory.accounted_bytes().unwrap_or(0);
        let room = left / (chunk_bytes * COPIES_OF_A_CHUNK).max(1);
        let threads = usize::try_from(room).unwrap_or(usize::MAX).clamp(1, self.threads.get());
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|why| Error::internal(format!("cannot start threads: {why}")))
    }
}

/// The error of a report that lets a job fail; `None` if all is as it should be.
pub fn validation_failure(report: &ValidationReport, about: &Location) -> Option<Error> {
    let mut errors = report.findings.iter().filter(|it| it.level == CheckLevel::Error);
    let first = errors.next()?;
    let message = match report.error_count {
        1 => format!("validation failed: {}: {}", first.check, first.message),
        count => {
            format!("validation failed with {count} findings: {}: {}", first.check, first.message)
        }
    };
    let error = Error::new(ErrorCode::VALIDATION_FAILED, ErrorKind::Corrupt, message);
    let mut error = error.at("store", about);
    if let Some(variable) = &first.variable {
        error = error.at("variable", variable);
    }
    if let Some(chunk) = &first.chunk {
        error = error.at("chunk", format!("{chunk:?}"));
    }
    match first.files.as_slice() {
        [] => {}
        [file] => error = error.at("file", file),
        [file, more @ ..] => error = error.at("file", format!("{file} and {} more", more.len())),
    }
    for (place, finding) in (2..=NAMED_COUNT).zip(errors) {
        error = error.at(&format!("finding {place}"), in_words(finding));
    }
    Some(error.mend(&first.mend))
}

/// A finding in one line.
fn in_words(finding: &ValidationFinding) -> String {
    let place = match (&finding.variable, &finding.chunk) {
        (Some(variable), Some(chunk)) => format!(" of `{variable}` {chunk:?}"),
        (Some(variable), None) => format!(" of `{variable}`"),
        (None, _) => String::new(),
    };
    format!("{}{place}: {}", finding.check, finding.message)
}
