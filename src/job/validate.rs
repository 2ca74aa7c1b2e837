//! Validating a store, before it becomes visible or at any later time.

use std::num::NonZeroUsize;
use std::sync::Arc;

use ::bake::{
    CheckLevel, Checks, ValidateChunks, ValidationFinding, ValidationReport, check_metadata,
};
use array::{DatasetSource, Region};
use dataflow::cancel::CancelToken;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::options::RunOptions;
use dataflow::plan::StageGraph;
use dataflow::prelude::{Collected, Pipeline};
use dataflow::runner::{JobReport, NoObserver, Runner as _};
use direct::DirectRunner;
use objects::{Location, StoreOptions};
use zarr::ZarrSource;

use crate::job::committed::Committed;
use crate::job::memory::MemoryLimit;
use crate::job::run_store::RunStore;

/// Files of a finding that are kept.
const FILES_LIMIT: usize = 100;
/// Findings that an error names.
const NAMED_COUNT: usize = 5;

/// Makes checks of a store that is there, and stops when `cancel` is cancelled.
///
/// Memory: three copies of a chunk for each thread; as many threads as `memory` has room for, one at
/// least.
///
/// # Errors
/// No store there, checks that nothing can be made of, chunks that cannot be read, or a store that
/// fails. What the checks find is no error but the report.
pub fn validate(
    location: &Location,
    store: &StoreOptions,
    checks: &Checks,
    (threads, memory): (NonZeroUsize, MemoryLimit),
    cancel: CancelToken,
) -> Result<ValidationReport> {
    let source = Arc::new(ZarrSource::open(location, store)?);
    let runs = RunStore::place_of_runs(None, location, store)?;
    let committed = Committed::read(&runs, store)?.unwrap_or_default();
    let runner = DirectRunner::new().with_threads(threads).with_cancel(cancel);
    let look = Look { source, checks, append: None };
    let files = |variable: &str, region: &Region| committed.files_feeding(variable, region);
    look.report(files, |pipeline| {
        let graph = pipeline.compile_for(&runner)?;
        runner.run(&graph, &options_of(memory, &graph), &NoObserver)
    })
}

/// What is looked at.
pub(super) struct Look<'a> {
    pub(super) source: Arc<dyn DatasetSource>,
    pub(super) checks: &'a Checks,
    /// Of an append, the dimension and how long it was: chunks with old elements alone are not
    /// looked at again.
    pub(super) append: Option<(&'a str, u64)>,
}

impl Look<'_> {
    /// What all checks find; `files` names those that feed a region of a variable, `run` runs the
    /// pipeline that reads the chunks.
    pub(super) fn report(
        &self,
        files: impl Fn(&str, &Region) -> Vec<String>,
        run: impl FnOnce(&Pipeline) -> Result<JobReport>,
    ) -> Result<ValidationReport> {
        let chunks = self.chunks()?;
        let mut report = ValidationReport::new(self.checks.clone());
        check_metadata(self.source.as_ref(), self.checks, &mut report)?;
        if chunks.is_nothing() {
            return Ok(report);
        }
        let (pipeline, found) = validating(chunks);
        let job = run(&pipeline)?;
        for mut part in &job.get(&found)? {
            part.findings.iter_mut().try_for_each(|finding| self.name_files(finding, &files))?;
            report.merge(part);
        }
        Ok(report)
    }

    /// The checks of values, as a transform.
    pub(super) fn chunks(&self) -> Result<ValidateChunks> {
        self.checks.check_against(self.source.dataset())?;
        let chunks = ValidateChunks::new(Arc::clone(&self.source), self.checks.clone())?;
        Ok(match self.append {
            Some((dimension, old_length)) => chunks.since(dimension, old_length),
            None => chunks,
        })
    }

    fn name_files(
        &self,
        finding: &mut ValidationFinding,
        files: impl Fn(&str, &Region) -> Vec<String>,
    ) -> Result<()> {
        let (Some(variable), Some(chunk)) = (&finding.variable, &finding.chunk) else {
            return Ok(());
        };
        let region = self.source.array(variable)?.facts().grid.region(chunk);
        finding.files = files(variable, &region);
        finding.files.truncate(FILES_LIMIT);
        Ok(())
    }
}

/// The pipeline that makes the checks of values.
pub(super) fn validating(chunks: ValidateChunks) -> (Pipeline, Collected<ValidationReport>) {
    let pipeline = Pipeline::new();
    let found = pipeline.apply(chunks).collect();
    (pipeline, found)
}

/// How a store is read by this process: a run may have taken all the memory that it was allowed,
/// and one chunk after the other always goes.
pub(super) fn options_of(memory: MemoryLimit, graph: &StageGraph) -> RunOptions {
    let left = memory.accounted_bytes().unwrap_or(0);
    RunOptions::default().with_memory_bytes(left.max(DirectRunner::least_memory_bytes(graph)))
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
