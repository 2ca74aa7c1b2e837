//! The coarser levels of a pyramid, written after the finest one.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::bake::{ArrayTotal, Pyramid, PyramidLevel, WriteStore};
use array::{DatasetSource, GroupPath};
use chunks::{CopyArrays, Machine};
use dataflow::error::{Error, Result};
use dataflow::prelude::{Collected, Pipeline};
use dataflow::runner::JobObserver;
use objects::Location;
use zarr::{ZarrGroup, ZarrSink, ZarrSource};

use crate::job::bake::Bake;
use crate::job::destination::Destination;
use crate::job::run_store::{End, RunStore};
use crate::job::workers::Part;
use crate::job::write::WRITE_PARTITIONS;

/// What one coarser level has got.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LevelTotal {
    pub(crate) unit_count: u64,
    pub(crate) encoded_bytes: u64,
}

/// How one coarser level is written.
pub(super) struct LevelPipeline {
    pub(super) pipeline: Pipeline,
    totals: Collected<(String, ArrayTotal)>,
    sink: Arc<ZarrSink>,
    unit_count: u64,
}

impl Bake {
    /// Writes a pyramid: what is baked is its finest level, in the group `0` of the target.
    ///
    /// The target group, if there is one, is given before.
    ///
    /// # Errors
    /// None that a path of digits could have.
    pub fn with_pyramid(self, pyramid: Pyramid) -> Result<Self> {
        let finest = self.group.child("0")?;
        Ok(Self { pyramid: Some(pyramid), ..self.with_target_group(finest) })
    }

    /// The same job for another level.
    fn at_level(&self, level: u32) -> Result<Self> {
        let holder = self.group.parent().unwrap_or_default();
        let group: GroupPath = holder.child(&level.to_string())?;
        Ok(self.clone().with_target_group(group))
    }

    /// Refuses levels that are there, unless they may be overwritten.
    pub(super) fn check_levels(&self) -> Result<()> {
        let Some(pyramid) = &self.pyramid else { return Ok(()) };
        // What lies beside a finest level that was never finished are remains of the same run.
        let last = RunStore::newest(&self.runs()?, &self.store)?;
        if last.is_some_and(|last| last.has_remains()) {
            return Ok(());
        }
        (1..pyramid.levels).try_for_each(|level| {
            let own = self.at_level(level)?;
            own.opened_destination()?.check(self.may_overwrite || self.may_resume, &[])
        })
    }

    /// Hides levels that are there, and removes what they hold but the finest one.
    pub(super) fn clear_levels(&self) -> Result<()> {
        if self.pyramid.is_none() {
            return Ok(());
        }
        for level in 1.. {
            let own = self.at_level(level)?;
            let is_wanted = self.pyramid.as_ref().is_some_and(|pyramid| level < pyramid.levels);
            if !is_wanted && !ZarrSource::exists(&own.destination, &own.store)? {
                break;
            }
            own.target_group()?.as_ref().map_or(Ok(()), ZarrGroup::hide)?;
            own.opened_destination()?.clear()?;
        }
        Ok(())
    }

    /// Writes all coarser levels, then shows all, and says what they are.
    pub(super) fn write_levels(
        &self,
        sources: &[Location],
        run: &RunStore,
        observer: &dyn JobObserver,
    ) -> Result<Vec<LevelTotal>> {
        let Some(pyramid) = &self.pyramid else { return Ok(Vec::new()) };
        let totals = (1..pyramid.levels)
            .map(|level| {
                let written = self.write_level(level, (sources, run), observer);
                written.map_err(|error| error.at("level", level))
            })
            .collect::<Result<Vec<_>>>()?;
        for level in 0..pyramid.levels {
            if let Some(group) = self.at_level(level)?.target_group()? {
                group.show()?;
            }
        }
        if let Some(finest) = self.target_group()? {
            finest.set_holder_attribute("multiscales", &pyramid.multiscales())?;
        }
        Ok(totals)
    }

    /// The pipeline that writes one level, and keeps its commit records at `own_run`.
    ///
    /// # Errors
    /// A finer level that cannot be read, or too little memory for one window of chunks.
    pub(super) fn level_pipeline(
        &self,
        level: u32,
        machine: Machine,
        own_run: &Location,
    ) -> Result<LevelPipeline> {
        let pyramid = self.pyramid.as_ref();
        let pyramid = pyramid.ok_or_else(|| Error::internal("there is no pyramid"))?;
        let own = self.at_level(level)?;
        let finer = self.at_level(pyramid.source_level(level))?;
        let finer: Arc<dyn DatasetSource> =
            Arc::new(ZarrSource::open(&finer.destination, &self.store)?);
        let target = (&own.destination, &self.store);
        let PyramidLevel { sink, copies } =
            PyramidLevel::plan(pyramid, level, finer, target, &self.options, machine)?;
        let unit_count = copies.iter().map(|it| it.sink.facts().units.chunk_count()).sum();
        let pipeline = Pipeline::new();
        let write = WriteStore::new(CopyArrays::new(copies), own_run.clone(), self.store.clone());
        let totals = pipeline.apply(write).collect();
        Ok(LevelPipeline { pipeline, totals, sink, unit_count })
    }

    fn write_level(
        &self,
        level: u32,
        (sources, run): (&[Location], &RunStore),
        observer: &dyn JobObserver,
    ) -> Result<LevelTotal> {
        let own = self.at_level(level)?;
        let own_run = RunStore::new(&own.runs()?, &self.store)?;
        let machine = self.machine(&[])?;
        let LevelPipeline { pipeline, totals, sink, unit_count: expected } =
            self.level_pipeline(level, machine, own_run.location())?;
        let commits = own_run.location().to_string();
        let part = Part::Level { level, machine, commits };
        let runner = self.part_runner(sources, run, &part, &pipeline)?;
        let graph = pipeline.compile_for(runner.as_ref())?;
        let run_options = self.run_options(&graph)?.with_partition_count(WRITE_PARTITIONS);
        let destination: Destination = own.opened_destination()?;
        own_run.begin(&own.destination, &graph.fingerprint().to_string(), &self.about)?;
        let report = runner.run(&graph, &run_options, observer);
        let written = report.and_then(|report| {
            self.sweep_after_workers(&destination)?;
            let totals: BTreeMap<String, ArrayTotal> = report.get(&totals)?.iter().collect();
            let total = LevelTotal {
                unit_count: totals.values().map(|total| total.unit_count).sum(),
                encoded_bytes: totals.values().map(|total| total.encoded_bytes).sum(),
            };
            if total.unit_count != expected {
                let message = format!("{} of {expected} units were committed", total.unit_count);
                return Err(Error::internal(message));
            }
            sink.finish()?;
            own_run.end(End { state: "SUCCEEDED", error: None, has_remains: false })?;
            Ok(total)
        });
        written.map_err(|error| {
            // What is left of a level that failed is removed; the error that matters is this one.
            match destination.clear() {
                Ok(()) => error,
                Err(more) => error.at("left over", &own.destination).at("because", more.message()),
            }
        })
    }
}
