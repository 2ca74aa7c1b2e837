//! Coarsen: each window of elements becomes one.

use std::num::NonZeroU64;

use array::{Axis, Chunk, DType, DatasetChunk, Key, Sizes, VariableChunk};
use dataflow::dofn::{DoFn, DoFnFacts, ProcessContext};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::prelude::{PCollection, PTransform, ParDo};

use crate::keyed::{Chunks, ConsolidateChunks, SplitChunks};
use crate::reduce::cells::{AxisCells, Cells, pick_elements};
use crate::reduce::function::Reduction;
use crate::reduce::reducer::{ReduceInput, Reducer};

/// What a window becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WindowMethod {
    /// The mean.
    Mean,
    /// The greatest element.
    Max,
    /// The least element.
    Min,
    /// The sum.
    Sum,
    /// The first element: for labels, which have no mean.
    Nearest,
}

/// What becomes of the last window where the dimension is not a multiple of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    /// It is refused.
    Exact,
    /// It is left out.
    Trim,
    /// It has fewer elements.
    Pad,
}

/// The window along each dimension that is made coarser.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Windows(Vec<(String, NonZeroU64)>);

impl Windows {
    fn of<S: Into<String>>(windows: impl IntoIterator<Item = (S, u64)>) -> Result<Self> {
        let window = |(name, length): (S, u64)| {
            let name = name.into();
            let length = NonZeroU64::new(length).ok_or_else(|| {
                invalid(format!("a window of {name}=0 is asked for"))
                    .mend("give windows of one element at the least")
            })?;
            Ok((name, length))
        };
        Ok(Self(windows.into_iter().map(window).collect::<Result<_>>()?))
    }

    fn get(&self, dimension: &str) -> Option<u64> {
        self.0.iter().find(|(name, _)| name == dimension).map(|(_, window)| window.get())
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
}

/// Makes a chunk coarser whose first element begins a window.
///
/// Coordinates become the mean of their window, texts the first of it; NaN are skipped.
/// An incomplete last window is treated as `boundary` says. The order of dimensions stays.
///
/// # Errors
/// A window of zero, an incomplete one with [`Boundary::Exact`], elements that cannot be reduced, a
/// dimension that the chunk does not have.
///
/// Source: xarray 2025.1, `Dataset.coarsen`, whose `pad` fills with NaN; here the last window has
/// fewer elements, which for all methods that skip NaN is the same.
pub fn coarsen_chunk<S: Into<String>>(
    chunk: &DatasetChunk,
    windows: impl IntoIterator<Item = (S, u64)>,
    method: WindowMethod,
    boundary: Boundary,
) -> Result<DatasetChunk> {
    coarsened(chunk, &Windows::of(windows)?, method, boundary)
}

fn coarsened(
    chunk: &DatasetChunk,
    windows: &Windows,
    method: WindowMethod,
    boundary: Boundary,
) -> Result<DatasetChunk> {
    let mut kept = Vec::new();
    for (name, window) in &windows.0 {
        let Some(length) = chunk.length(name) else {
            let message = format!("a chunk is made coarser along `{name}`, which it lacks");
            let error = Error::new(ErrorCode::UNKNOWN_DIMENSION, ErrorKind::InvalidInput, message);
            return Err(error.mend(format!("the dimensions of the chunk are: {}", chunk.sizes())));
        };
        check_exact(name, length, window.get(), boundary)?;
        if boundary == Boundary::Trim {
            kept.push((name.as_str(), 0..length / *window * window.get()));
        }
    }
    let chunk = chunk.slice(&kept)?;
    let coarse = |variable: &VariableChunk| {
        let coarse = coarse_variable(variable, windows, method);
        coarse.map_err(|error| error.at("variable", variable.name()))
    };
    DatasetChunk::new(chunk.variables().iter().map(coarse).collect::<Result<_>>()?)
}

fn check_exact(name: &str, length: u64, window: u64, boundary: Boundary) -> Result<()> {
    if boundary != Boundary::Exact || length.is_multiple_of(window) {
        return Ok(());
    }
    let message =
        format!("{length} elements along `{name}` are no multiple of a window of {window}");
    Err(invalid(message).mend("choose another window, or `Boundary::Trim` or `Boundary::Pad`"))
}

fn coarse_variable(
    variable: &VariableChunk,
    windows: &Windows,
    method: WindowMethod,
) -> Result<VariableChunk> {
    let of_axis = variable.dimensions().iter().map(|name| windows.get(name));
    let of_axis: Vec<Option<u64>> = of_axis.collect();
    if of_axis.iter().all(Option::is_none) {
        return Ok(variable.clone());
    }
    let elements = variable.elements();
    let is_number = elements.dtype().is_float() || elements.dtype().is_integer();
    let reduction = match method {
        WindowMethod::Nearest => None,
        _ if variable.is_coordinate() => is_number.then(|| mean_of(elements.dtype())),
        WindowMethod::Mean => Some(mean_of(elements.dtype())),
        WindowMethod::Max => Some(Reduction::max()),
        WindowMethod::Min => Some(Reduction::min()),
        WindowMethod::Sum => Some(Reduction::sum()),
    };
    let Some(reduction) = reduction else { return firsts(variable, &of_axis) };
    let axes = of_axis.iter().map(|window| window.map_or(AxisCells::Kept, AxisCells::Windows));
    let cells = Cells::new(elements.shape(), &axes.collect::<Vec<_>>());
    let parts = reduction.start(&ReduceInput { elements, cells: &cells, positions: None })?;
    let reduced = reduction.finish(elements.dtype(), &parts)?.elements;
    let payload = reduced.payload().clone();
    variable.with_elements(Chunk::new(reduced.dtype(), cells.shape(), payload)?)
}

/// A mean of floats keeps their type, as xarray's `coarsen` does.
fn mean_of(dtype: DType) -> Reduction {
    if dtype.is_float() { Reduction::mean().with_dtype(dtype) } else { Reduction::mean() }
}

/// The first element of each window.
fn firsts(variable: &VariableChunk, windows: &[Option<u64>]) -> Result<VariableChunk> {
    let elements = variable.elements();
    let picked = elements
        .shape()
        .iter()
        .zip(windows)
        .map(|(&length, window)| (0..length).step_by(window.unwrap_or(1) as usize).collect());
    let picked: Vec<Vec<u64>> = picked.collect();
    variable.with_elements(pick_elements(elements, &picked)?)
}

/// Makes a collection of chunks coarser: each window of elements becomes one.
///
/// Windows are counted from the start of the dataset. Where chunks do not begin with a window, they
/// are split and consolidated first. Offsets of keys count the new elements. Memory: a chunk of the
/// dataset and its windows, granted before a bundle starts.
///
/// Source: xarray 2025.1, `Dataset.coarsen`.
#[derive(Debug, Clone)]
pub struct Coarsen {
    windows: Windows,
    method: WindowMethod,
    boundary: Boundary,
    source_sizes: Sizes,
    /// Chunks that begin with a window, where those that come in do not.
    aligned: Option<Chunks>,
    sizes: Sizes,
    chunks: Chunks,
    chunk_bytes: u64,
}

impl Coarsen {
    /// Makes a dataset of these sizes, cut into these chunks, coarser by these windows.
    ///
    /// # Errors
    /// A dimension that is not there, a window of zero or longer than its dimension, with
    /// [`Boundary::Exact`] a dimension that is no multiple of it.
    pub fn new<S: Into<String>>(
        sizes: Sizes,
        chunks: &Chunks,
        windows: impl IntoIterator<Item = (S, u64)>,
        method: WindowMethod,
        boundary: Boundary,
    ) -> Result<Self> {
        let windows = Windows::of(windows)?;
        let known = Chunks::regular(
            &windows.0.iter().map(|(name, it)| (name.clone(), it.get())).collect::<Vec<_>>(),
        );
        known.check_known(&sizes)?;
        let axes = chunks.axes(&sizes)?;
        let (mut aligned, mut coarse_sizes, mut coarse_chunks) =
            (Vec::new(), Sizes::default(), Vec::new());
        let mut is_aligned = true;
        for (name, axis) in &axes {
            let window = windows.get(name).unwrap_or(1);
            let size = axis.length();
            check_exact(name, size, window, boundary)?;
            let coarse =
                if boundary == Boundary::Pad { size.div_ceil(window) } else { size / window };
            if coarse == 0 && size > 0 {
                let message = format!("a window of {window} is longer than `{name}` of {size}");
                return Err(invalid(message).mend("choose a window within the dimension"));
            }
            is_aligned &= begins_with_windows(axis, window);
            let length = axis.longest_chunk().max(1).next_multiple_of(window);
            aligned.push((name.clone(), length));
            coarse_sizes.set(name.clone(), coarse);
            coarse_chunks.push((name.clone(), length / window));
        }
        let chunk_bytes = aligned.iter().fold(8, |bytes: u64, (_, it)| bytes.saturating_mul(*it));
        Ok(Self {
            windows,
            method,
            boundary,
            source_sizes: sizes,
            aligned: (!is_aligned).then(|| Chunks::regular(&aligned)),
            sizes: coarse_sizes,
            chunks: Chunks::regular(&coarse_chunks),
            chunk_bytes,
        })
    }

    /// The sizes of what comes out.
    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// The chunks of what comes out; the last along a dimension may be shorter.
    pub fn chunks(&self) -> &Chunks {
        &self.chunks
    }

    /// Says how many bytes the windows of one chunk have at the most, if not 8 for each element.
    #[must_use]
    pub fn with_chunk_bytes(mut self, bytes: u64) -> Self {
        self.chunk_bytes = bytes;
        self
    }
}

/// Whether all chunks have the length of the first, and begin where a window does.
fn begins_with_windows(axis: &Axis, window: u64) -> bool {
    let longest = axis.longest_chunk().max(1);
    (0..axis.chunk_count()).all(|chunk| {
        let start = axis.chunk(chunk).start;
        start.is_multiple_of(window) && start == chunk * longest
    })
}

impl PTransform<PCollection<(Key, DatasetChunk)>> for Coarsen {
    type Output = PCollection<(Key, DatasetChunk)>;

    fn expand(self, input: PCollection<(Key, DatasetChunk)>) -> Self::Output {
        let mut chunks = input;
        if let Some(aligned) = &self.aligned {
            let consolidate = ConsolidateChunks::new(aligned.clone())
                .with_sizes(self.source_sizes.clone())
                .with_chunk_bytes(self.chunk_bytes);
            chunks = chunks.apply(SplitChunks::new(aligned.clone())).apply(consolidate);
        }
        chunks.apply_named("Coarsen", ParDo::of(CoarsenFn { of: self }))
    }
}

#[derive(Clone)]
struct CoarsenFn {
    of: Coarsen,
}

impl CoarsenFn {
    /// The offset of a chunk among the new elements.
    fn coarse_key(&self, key: &Key) -> Result<Key> {
        let mut coarse = key.clone();
        for (name, offset) in key.offsets() {
            let Some(window) = self.of.windows.get(name) else { continue };
            if offset % window != 0 {
                let message =
                    format!("a chunk begins at {name}={offset}, within a window of {window}");
                let error = Error::new(ErrorCode::GRIDS_DIFFER, ErrorKind::Conflict, message);
                return Err(error
                    .at("chunk", key)
                    .mend("give `Coarsen` the chunks that there are"));
            }
            coarse = coarse.with_offset(name, offset / window);
        }
        Ok(coarse)
    }
}

impl DoFn for CoarsenFn {
    type In = (Key, DatasetChunk);
    type Out = (Key, DatasetChunk);

    fn process(&mut self, keyed: Self::In, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let (key, chunk) = keyed;
        let coarse_key = self.coarse_key(&key)?;
        // A variable by itself may lack some of the dimensions.
        let windows = self.of.windows.0.iter();
        let windows =
            Windows(windows.filter(|it| chunk.length(&it.0).is_some()).cloned().collect());
        let coarse = coarsened(&chunk, &windows, self.of.method, self.of.boundary);
        let coarse = coarse.map_err(|error| error.at("chunk", &key))?;
        if coarse.sizes().iter().any(|(name, length)| length == 0 && windows.get(name).is_some()) {
            // All of it was a part of a window.
            return Ok(());
        }
        ctx.output((coarse_key, coarse))
    }

    fn facts(&self) -> DoFnFacts {
        let Coarsen { windows, method, boundary, source_sizes: sizes, chunk_bytes, .. } = &self.of;
        DoFnFacts::default()
            .with_parameters(format!("{windows:?} {method:?} {boundary:?} of {sizes}"))
            .with_working_bytes(*chunk_bytes)
    }
}
