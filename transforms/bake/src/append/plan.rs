//! The plan of an append: everything that was decided before anything is written.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use array::{ArraySource, ChunkGrid, Region, Scalar, SourceFacts, Variable};
use cf::Instants;
use chunks::{CopyPlan, Machine, PlannedCopy};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::{Location, StoreOptions};
use serde::{Deserialize, Serialize};
use zarr::{ZarrAppend, ZarrSource};

use super::elements::{NewElements, StoreAxis};
use super::region::StoreRegion;
use super::variables::{Appended, Comparison};
use super::window::{Window, WindowSink, WindowSource};
use crate::check::{Checked, check};
use crate::files::OpenFiles;
use crate::open::open_prepared;
use crate::options::BakeOptions;
use crate::order::Piece;
use crate::plan::{BakePlan, SourceFile, VariablePlan, takes_as_encoded};
use crate::recode::Recode;
use crate::schema::{AxisPoint, Schema};
use crate::source::{JoinedSource, Sources};
use crate::tiling::Lane;

/// What is written into a store that is there: at its end, or in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Append {
    /// The dimension that grows.
    pub dimension: String,
    /// Elements along it before; in place, the first that is written.
    pub old_length: u64,
    /// Elements along it after; in place, the end of those that are written.
    pub new_length: u64,
    /// Elements of the sources that the store has already.
    pub skipped_count: u64,
    /// CRC-32C of the root document with the old lengths: the append is one to that store.
    pub root_crc32c: u32,
    /// Elements along it of a store that is written in place and does not grow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_length: Option<u64>,
}

impl Append {
    /// The part of a variable that is written, in a store of the new lengths.
    fn window(&self, target: &Variable) -> Result<Window> {
        let storage = &target.storage;
        let unit_shape = storage.shard_shape.as_ref().or(storage.chunk_shape.as_ref());
        let unit_shape = unit_shape.ok_or_else(|| Error::internal("a Zarr array has chunks"))?;
        let axis = target.axis_of(&self.dimension);
        let axis = axis.ok_or_else(|| Error::internal("a variable that grows has no such axis"))?;
        Ok(match self.store_length {
            None => Window::new(&target.shape, unit_shape, axis, self.old_length),
            Some(_) => {
                let range = self.old_length..self.new_length;
                Window::of_range(&target.shape, unit_shape, axis, &range)
            }
        })
    }

    /// A variable as it would be with its new elements alone.
    fn new_part(&self, target: &Variable) -> Variable {
        let mut part = target.clone();
        if let Some(axis) = target.axis_of(&self.dimension) {
            part.shape[axis] = self.new_length - self.old_length;
        }
        part
    }

    pub(crate) fn decoded_bytes(&self, plan: &BakePlan) -> u64 {
        let targets = plan.variables.iter().filter_map(|it| plan.template.variable(&it.name));
        targets.map(|target| self.new_part(target).decoded_bytes()).sum()
    }

    /// The units of a variable along the dimension that hold elements of before and are written
    /// anew, and the axis: the first one of an append, if it is partial; all of those in place.
    pub fn rewritten_units(&self, plan: &BakePlan, name: &str) -> Option<(usize, Range<u64>)> {
        let window = self.window(plan.template.variable(name)?).ok()?;
        let units = match self.store_length {
            Some(_) => window.unit_range(),
            None if window.old_length > 0 => window.first_unit..window.first_unit + 1,
            None => return None,
        };
        Some((window.axis, units))
    }
}

/// The store that is written into, and what the files have for it.
struct Compared {
    source: ZarrSource,
    axis: StoreAxis,
    checked: Checked,
    appended: Vec<Appended>,
}

impl Compared {
    /// Compares the files with the store along a dimension; `is_in_place` says whether elements of
    /// it are written anew.
    ///
    /// # Errors
    /// No store there; files that contradict each other or the store.
    fn new(
        schema: &Schema,
        (dimension, is_in_place): (&str, bool),
        destination: &Location,
        options: &BakeOptions,
        store: &StoreOptions,
    ) -> Result<Self> {
        let source = ZarrSource::open(destination, store)?;
        let axis = StoreAxis::read(&source, dimension)?;
        let checked = check(schema, Some(dimension), options)?;
        let (store, checked_files) = (&source, &checked);
        let comparison =
            Comparison { store, dimension, schema, checked: checked_files, options, is_in_place };
        let appended = comparison.variables()?;
        Ok(Self { source, axis, checked, appended })
    }
}

/// What is written by an append, and where.
#[derive(Debug)]
pub struct OpenAppend {
    /// The store at its new length.
    pub target: ZarrAppend,
    /// The copies of the ends of its arrays.
    pub copies: Vec<PlannedCopy>,
    /// What is added to the index of a unit of a copy to get that in its array.
    pub unit_offsets: BTreeMap<String, Vec<u64>>,
}

impl BakePlan {
    /// Compares the files with the store at `destination` and decides what follows; nothing is
    /// written. Chunks, codec and format are those of the store, whatever the options say.
    ///
    /// # Errors
    /// No store there; files that contradict each other or the store: what they hold would have to
    /// be inserted, or would need other units, types, packings, chunks or another grid.
    pub fn for_append(
        schema: &Schema,
        dimension: &str,
        (sources, destination): (&[Location], &Location),
        options: BakeOptions,
        store: &StoreOptions,
        machine: Machine,
    ) -> Result<Self> {
        let compared = Compared::new(schema, (dimension, false), destination, &options, store)?;
        let Compared { source, axis, checked, appended } = compared;
        let new = axis.compare(schema, &checked.pieces, &options)?;
        let new_length = axis.length + new.points.len() as u64;
        let target = ZarrAppend::open(&source, dimension, new_length)?;
        check_times(&appended, &new, &axis, (sources, &options), store)?;
        let append = Append {
            dimension: dimension.to_owned(),
            old_length: axis.length,
            new_length,
            skipped_count: new.skipped_count,
            root_crc32c: target.root_crc32c(),
            store_length: None,
        };
        Self::into_store(schema, &checked, (appended, append, new), &target, options, machine)
    }

    /// Compares the files with the store at `destination` and finds the elements of it that they
    /// are written over; nothing is written, and the store does not change its length.
    ///
    /// # Errors
    /// As [`BakePlan::for_append`], elements that the store does not have, or that are not those
    /// of the region.
    pub fn for_region(
        schema: &Schema,
        region: &StoreRegion,
        (sources, destination): (&[Location], &Location),
        options: BakeOptions,
        store: &StoreOptions,
        machine: Machine,
    ) -> Result<Self> {
        let dimension = region.dimension();
        let dimension = dimension.ok_or_else(|| Error::internal("a region without a dimension"))?;
        let compared = Compared::new(schema, (dimension, true), destination, &options, store)?;
        let Compared { source, axis, checked, mut appended } = compared;
        // It is the same there: by it the places were found.
        appended.retain(|variable| variable.name != dimension);
        let (new, start) = axis.locate(schema, &checked.pieces, &options, region)?;
        let target = ZarrAppend::open(&source, dimension, axis.length)?;
        check_times(&appended, &new, &axis, (sources, &options), store)?;
        let append = Append {
            dimension: dimension.to_owned(),
            old_length: start,
            new_length: start + new.points.len() as u64,
            skipped_count: 0,
            root_crc32c: target.root_crc32c(),
            store_length: Some(axis.length),
        };
        Self::into_store(schema, &checked, (appended, append, new), &target, options, machine)
    }

    fn into_store(
        schema: &Schema,
        checked: &Checked,
        (appended, append, new): (Vec<Appended>, Append, NewElements),
        target: &ZarrAppend,
        options: BakeOptions,
        machine: Machine,
    ) -> Result<Self> {
        let mut variables = Vec::new();
        for variable in appended.into_iter().filter(|_| !new.pieces.is_empty()) {
            variables.push(variable_plan(variable, &append, target, &new.pieces, machine)?);
        }
        let files = schema.files.values().map(SourceFile::of);
        let warnings = schema.warnings.keys().chain(&checked.notes).chain(&new.notes);
        Ok(Self {
            version: crate::plan::PLAN_VERSION,
            destination: target.location().to_string(),
            options,
            concat: Some(append.dimension.clone()),
            files: files.collect(),
            pieces: new.pieces,
            filled: Vec::new(),
            lanes: Vec::new(),
            aligned: Vec::new(),
            template: target.dataset().clone(),
            variables,
            warnings: warnings.cloned().collect(),
            append: Some(append),
            groups: Vec::new(),
        })
    }

    /// Opens the store and the sources that were scanned, for appending by this plan.
    ///
    /// # Errors
    /// A plan that is no append, or a store that is not the one that was planned for.
    pub fn open_append(
        &self,
        sources: &[Location],
        destination: &Location,
        store: &StoreOptions,
        open_files_bytes: u64,
    ) -> Result<OpenAppend> {
        let append = self.append.as_ref();
        let append = append.ok_or_else(|| Error::internal("the plan is no append"))?;
        let source = ZarrSource::open(destination, store)?;
        let length = append.store_length.unwrap_or(append.new_length);
        let target = ZarrAppend::open(&source, &append.dimension, length)?;
        if target.root_crc32c() != append.root_crc32c {
            let message = "the store has changed since the append was planned";
            let error = Error::new(ErrorCode::CANNOT_READ, ErrorKind::Conflict, message);
            let error = error.at("store", destination);
            return Err(error.mend("append again when nobody else writes the store"));
        }
        let versions = self.files.iter().map(|file| file.version);
        let files = sources.iter().cloned().zip(versions).collect();
        let files = OpenFiles::new(files, &self.options, store.clone(), open_files_bytes);
        let lane = Lane::from(self.pieces.as_slice());
        let lengths: Arc<[u64]> = self.files.iter().map(|file| file.concat_length).collect();
        let (mut copies, mut unit_offsets) = (Vec::new(), BTreeMap::new());
        for variable in &self.variables {
            let whole = self.template.expect_variable(&variable.name)?;
            let part = append.new_part(whole);
            let tiling = variable.assembly.tiling(part.shape.len(), &lane, &[]);
            let files =
                Sources { files: files.clone(), lengths: Arc::clone(&lengths), dim_count: 1 };
            let new: Arc<dyn ArraySource> =
                Arc::new(JoinedSource::new(files, variable, &part, tiling));
            // A bundle that is run again reads units that it has replaced itself.
            let old = source.changing_array(&variable.name)?;
            let window = append.window(whole)?;
            unit_offsets.insert(variable.name.clone(), window.unit_offset());
            let sink = WindowSink::new(&window, target.array(&variable.name)?);
            copies.push(PlannedCopy {
                name: variable.name.clone(),
                source: Arc::new(WindowSource::new(window, old, new)),
                sink: Arc::new(sink),
                plan: variable.copy.clone(),
            });
        }
        Ok(OpenAppend { target, copies, unit_offsets })
    }
}

/// Refuses times that the store's encoding does not hold, before anything is written.
fn check_times(
    appended: &[Appended],
    new: &NewElements,
    axis: &StoreAxis,
    (sources, options): (&[Location], &BakeOptions),
    store: &StoreOptions,
) -> Result<()> {
    for variable in appended {
        let Some(Recode::Stored(times)) = variable.assembly.recode() else { continue };
        let at = |error: Error| error.at("variable", &variable.name).at("store", &axis.location);
        if variable.name == axis.dimension {
            let calendar = axis.summary.as_ref().and_then(|summary| summary.calendar);
            let instant = |point: &AxisPoint| match point {
                AxisPoint::Instant(instant) => Some(*instant),
                AxisPoint::Number(_) => None,
            };
            // Element by element, so that the error names the file.
            if let Some(calendar) = calendar {
                let mut points = new.points.iter();
                for piece in &new.pieces {
                    let own = points.by_ref().take(piece.length as usize).map(instant);
                    let instants = Instants::new(calendar, own.collect())?;
                    times
                        .encode(&instants, &[piece.length])
                        .map_err(|error| at(error.at("file", &sources[piece.file as usize])))?;
                }
                continue;
            }
        }
        let mut files: Vec<u32> = new.pieces.iter().map(|piece| piece.file).collect();
        files.dedup();
        for file in files.into_iter().filter(|file| variable.files.contains(*file)) {
            let location = &sources[file as usize];
            let read = || {
                let opened = open_prepared(location, file, options, store)?;
                let reader =
                    Recode::Stored(times.clone()).reader(opened.as_ref(), &variable.name)?;
                let array = opened.array(&variable.name)?;
                reader.recode(&array.read(&Region::whole(&array.facts().grid.shape()))?)
            };
            read().map_err(|error| at(error.at("file", location)))?;
        }
    }
    Ok(())
}

fn variable_plan(
    variable: Appended,
    append: &Append,
    target: &ZarrAppend,
    pieces: &[Piece],
    machine: Machine,
) -> Result<VariablePlan> {
    let Appended { name, assembly, files, hole, source_chunk_shape, .. } = variable;
    let Appended { codecs, encoding, encoded_ratio, .. } = variable;
    let whole = target.dataset().expect_variable(&name)?;
    let part = append.new_part(whole);
    let is_recoded = assembly.recode().is_some() || source_chunk_shape.is_none();
    let tiling = assembly.tiling(part.shape.len(), &Lane::from(pieces), &[]);
    let facts = SourceFacts {
        dtype: whole.dtype,
        grid: tiling.grid(&part, source_chunk_shape.as_deref(), assembly.is_whole()),
        is_random_access: false,
        codecs,
        encoded_ratio,
        // As it is read and unpacked, eight bytes each at the most, and as it is written.
        recode_bytes: if is_recoded { 16 + whole.dtype.estimated_bytes() } else { 0 },
        fill: Scalar::zero(whole.dtype),
    };
    let (window, array) = (append.window(whole)?, target.array(&name)?);
    let sink = window.sink_facts(array.facts());
    let of_chunks = |shape: &[u64]| ChunkGrid::regular(shape, &sink.chunk_shape);
    let passes_through = facts.grid == of_chunks(&part.shape)
        && window.is_of_chunks(&sink.chunk_shape)
        && takes_as_encoded(array.as_ref(), encoding.as_deref());
    let copy = if passes_through {
        let facts = SourceFacts { grid: of_chunks(&window.shape), ..facts };
        CopyPlan::pass_through(&facts, &sink, machine)
    } else {
        CopyPlan::choose(&window.source_facts(&facts), &sink, machine)
    };
    let copy = copy.map_err(|error| error.at("variable", &name))?;
    Ok(VariablePlan {
        name,
        assembly,
        files,
        hole,
        source_chunk_shape,
        chunk_shape: sink.chunk_shape,
        shard_shape: whole.storage.shard_shape.clone(),
        copy,
        filled: None,
    })
}
