//! Whole jobs, as the command runs them and as programs can: bake, rechunk, inspect, verify.
//!
//! Jobs wire transforms, formats and the direct runner together. They print nothing; what happens
//! is told to a [`JobObserver`](dataflow::runner::JobObserver).

mod about;
mod allocator;
mod append;
mod bake;
mod beam;
mod beam_store;
mod beginning;
mod cancel;
mod committed;
mod destination;
mod history;
mod memory;
mod pattern;
mod pipeline_report;
mod pipeline_run;
mod place;
mod process;
mod pyramid;
mod readable;
mod recipe;
mod recipe_encoding;
mod recipe_fetch;
mod recipe_pattern;
mod references;
mod reporting;
mod resume;
mod run_store;
mod sample;
mod sample_tiles;
mod target;
mod tree;
mod validate;
mod verify;
mod workers;
mod write;

pub use self::bake::Bake;
pub use self::beam::{Beam, BeamJob};
pub use about::{Again, OnBegin, RunAbout};
pub use history::{Run, RunSummary, find_run, list_runs};
pub use memory::MemoryLimit;
pub use pipeline_run::{PLAN_VERSION, PipelineReport, PipelineRun, RecipeRecord, plan_json};
pub use process::this_binary;
pub use recipe::Recipe;
pub use recipe_fetch::{cache_options, wait_ms};
pub use reporting::RunPlace;
pub(crate) use run_store::now_ms;
pub use sample::{SampleFiles, SampleFormat, write_sample_files};
pub use sample_tiles::write_sample_tiles;
pub use validate::{validate, validation_failure};
pub use verify::{Finding, VerifyLevel, VerifyReport, verify, verify_with_runs};
pub use workers::{Workers, WriteJob, check_reachable, log_folder, patient_worker};
pub use write::{BakeReport, ScannedBake};
