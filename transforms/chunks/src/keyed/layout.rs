//! How the pieces of a group lie beside each other, found out before any element is copied.

use std::collections::{BTreeMap, BTreeSet};

use array::{ArrayBuffer, Chunk, DType, DatasetChunk, Key, Region, VariableChunk, validate_chunk};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

/// A box that pieces fill without holes and without overlaps.
#[derive(Debug)]
pub(crate) struct Layout {
    key: Key,
    /// For each dimension of the key: where pieces begin, and how long they are there.
    cuts: Vec<(String, BTreeMap<u64, u64>)>,
    variables: Vec<VariableLayout>,
}

/// A variable of the whole box.
#[derive(Debug)]
struct VariableLayout {
    name: String,
    dimensions: Vec<String>,
    is_coordinate: bool,
    dtype: DType,
    shape: Vec<u64>,
    /// For each axis, the place of its dimension among those of the key.
    cut_axes: Vec<Option<usize>>,
}

impl Layout {
    /// The layout of pieces whose keys name the same variables.
    ///
    /// Memory: the keys.
    ///
    /// # Errors
    /// No piece, pieces of one key, holes, overlaps, pieces that differ in their variables or in
    /// the lengths of what they share.
    pub(crate) fn of<P>(pieces: impl IntoIterator<Item = Result<(Key, P)>>) -> Result<Self>
    where
        P: std::borrow::Borrow<DatasetChunk>,
    {
        let mut pieces = pieces.into_iter();
        let Some(first) = pieces.next() else {
            return Err(Error::internal("a group of no chunk is consolidated"));
        };
        let (first_key, first) = first?;
        validate_chunk(&first_key, first.borrow())?;
        let mut layout = Self::begun(&first_key, first.borrow());
        drop(first);
        let mut keys = BTreeSet::from([first_key]);
        for piece in pieces {
            let (key, chunk) = piece?;
            validate_chunk(&key, chunk.borrow())?;
            layout.add(&key, chunk.borrow())?;
            if keys.contains(&key) {
                let error = conflict(ErrorCode::NOT_ASCENDING, "two chunks have the same key");
                return Err(error.at("chunk", key).mend("give each chunk a key of its own"));
            }
            keys.insert(key);
        }
        layout.check_full(&keys)?;
        layout.finish();
        Ok(layout)
    }

    fn begun(key: &Key, chunk: &DatasetChunk) -> Self {
        let cut = |(name, offset): (&str, u64)| {
            let length = chunk.length(name).unwrap_or(0);
            (name.to_owned(), BTreeMap::from([(offset, length)]))
        };
        let cuts: Vec<(String, BTreeMap<u64, u64>)> = key.offsets().map(cut).collect();
        let variable = |variable: &VariableChunk| VariableLayout {
            name: variable.name().to_owned(),
            dimensions: variable.dimensions().to_vec(),
            is_coordinate: variable.is_coordinate(),
            dtype: variable.elements().dtype(),
            shape: variable.elements().shape().to_vec(),
            cut_axes: {
                let place = |name: &String| cuts.iter().position(|(known, _)| known == name);
                variable.dimensions().iter().map(place).collect()
            },
        };
        let variables = chunk.variables().iter().map(variable).collect();
        Self { key: key.clone(), cuts, variables }
    }

    /// Notes where a piece lies; it must be like the first.
    fn add(&mut self, key: &Key, chunk: &DatasetChunk) -> Result<()> {
        if key.offsets().count() != self.cuts.len() {
            return Err(self.other_dimensions(key));
        }
        if self.cuts.iter().any(|(name, _)| key.offset(name).is_none()) {
            return Err(self.other_dimensions(key));
        }
        for (name, cuts) in &mut self.cuts {
            let offset = key.offset(name).unwrap_or(0);
            let length = chunk.length(name).unwrap_or(0);
            let known = *cuts.entry(offset).or_insert(length);
            if known != length {
                let message = format!(
                    "chunks that begin at {name}={offset} have {known} and {length} elements along it"
                );
                return Err(conflict(ErrorCode::GRIDS_DIFFER, message)
                    .at("chunk", key)
                    .mend("cut chunks that lie beside each other at the same places"));
            }
        }
        self.check_variables(key, chunk)
    }

    fn check_variables(&self, key: &Key, chunk: &DatasetChunk) -> Result<()> {
        if chunk.variables().len() != self.variables.len() {
            let message = "chunks of one group hold different variables";
            let mend = "consolidate variables first, or name them in the keys";
            return Err(conflict(ErrorCode::VARIABLE_MISSING, message).at("chunk", key).mend(mend));
        }
        for layout in &self.variables {
            let variable = chunk.expect_variable(&layout.name);
            let variable = variable.map_err(|error| error.at("chunk", key))?;
            let shape = variable.elements().shape();
            let mut axes = shape.iter().zip(&layout.shape).zip(&layout.cut_axes);
            if variable.dimensions() == layout.dimensions
                && variable.elements().dtype() == layout.dtype
                && axes.all(|((own, first), cut)| cut.is_some() || own == first)
            {
                continue;
            }
            let message = format!(
                "a variable is {} {:?}{shape:?} in one chunk and {} {:?}{:?} in another",
                variable.elements().dtype(),
                variable.dimensions(),
                layout.dtype,
                layout.dimensions,
                layout.shape,
            );
            return Err(conflict(ErrorCode::GRIDS_DIFFER, message)
                .at("variable", &layout.name)
                .at("chunk", key)
                .mend(
                    "give it one type, one order of dimensions, and one length where it is not cut",
                ));
        }
        Ok(())
    }

    fn other_dimensions(&self, key: &Key) -> Error {
        let named: Vec<&str> = self.cuts.iter().map(|(name, _)| name.as_str()).collect();
        let message = format!("keys of one group name other dimensions than {}", named.join(", "));
        conflict(ErrorCode::GRIDS_DIFFER, message)
            .at("chunk", key)
            .mend("give all keys that are consolidated an offset for the same dimensions")
    }

    /// Refuses holes, overlaps and missing pieces.
    fn check_full(&self, keys: &BTreeSet<Key>) -> Result<()> {
        for (name, cuts) in &self.cuts {
            for ((start, length), (next, _)) in cuts.iter().zip(cuts.iter().skip(1)) {
                let end = start + length;
                if end < *next {
                    return Err(missing(format!("no chunk holds {name} from {end} to {next}")));
                }
                if end > *next {
                    let message = format!("two chunks hold {name} from {next} to {end}");
                    let error = conflict(ErrorCode::NOT_ASCENDING, message);
                    return Err(error.mend("cut chunks so that they do not overlap"));
                }
            }
        }
        let count: usize = self.cuts.iter().map(|(_, cuts)| cuts.len()).product();
        if count == keys.len() {
            return Ok(());
        }
        // Every key lies on the grid, and none is there twice: some are not there.
        let absent = (0..count).map(|place| self.key_at(place)).find(|key| !keys.contains(key));
        let absent = absent.map_or_else(String::new, |key| format!(", the first is {key}"));
        Err(missing(format!("{} of {count} chunks are missing{absent}", count - keys.len())))
    }

    /// The key of the piece at a place in C order.
    fn key_at(&self, mut place: usize) -> Key {
        let mut key = self.key.clone();
        for (name, cuts) in self.cuts.iter().rev() {
            let offset = cuts.keys().nth(place % cuts.len()).copied().unwrap_or(0);
            key = key.with_offset(name, offset);
            place /= cuts.len();
        }
        key
    }

    /// The key begins at the least offsets, and the variables are as long as all pieces together.
    fn finish(&mut self) {
        let (mut key, mut totals) = (self.key.clone(), Vec::new());
        for (name, cuts) in &self.cuts {
            key = key.with_offset(name, self.start(cuts));
            totals.push(cuts.values().sum());
        }
        self.key = key;
        for variable in &mut self.variables {
            for (length, cut) in variable.shape.iter_mut().zip(&variable.cut_axes) {
                if let Some(place) = cut {
                    *length = totals[*place];
                }
            }
        }
    }

    fn start(&self, cuts: &BTreeMap<u64, u64>) -> u64 {
        cuts.keys().next().copied().unwrap_or(0)
    }

    /// The key of the whole box.
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// Where the box ends on each dimension of its key.
    pub(crate) fn ends(&self) -> impl Iterator<Item = (&str, u64)> {
        self.cuts.iter().map(|(name, cuts)| {
            let last = cuts.iter().next_back().map_or(0, |(start, length)| start + length);
            (name.as_str(), last)
        })
    }

    /// Bytes of all elements of the box; texts are estimated.
    pub(crate) fn payload_bytes(&self) -> u64 {
        let bytes = |variable: &VariableLayout| {
            variable.shape.iter().product::<u64>() * variable.dtype.estimated_bytes()
        };
        self.variables.iter().map(bytes).sum()
    }

    /// Copies the elements of all pieces to their places.
    ///
    /// Memory: the box, one piece, and what several pieces hold the same.
    ///
    /// # Errors
    /// A variable without some dimension of the key that is not the same in all pieces along it.
    pub(crate) fn fill<P>(
        &self,
        pieces: impl Iterator<Item = Result<(Key, P)>>,
    ) -> Result<DatasetChunk>
    where
        P: std::borrow::Borrow<DatasetChunk>,
    {
        let zeroed = |it: &VariableLayout| ArrayBuffer::zeroed(it.dtype, &it.shape);
        let mut buffers: Vec<ArrayBuffer> = self.variables.iter().map(zeroed).collect();
        let mut shared: BTreeMap<(usize, Vec<u64>), Chunk> = BTreeMap::new();
        for piece in pieces {
            let (key, chunk) = piece?;
            for (place, (layout, buffer)) in self.variables.iter().zip(&mut buffers).enumerate() {
                let elements = chunk.borrow().expect_variable(&layout.name)?.elements();
                let origin = self.origin(layout, &key);
                if layout.cut_axes.iter().flatten().count() < self.cuts.len() {
                    if let Some(known) = shared.get(&(place, origin.clone())) {
                        check_same(&layout.name, &key, known, elements)?;
                        continue;
                    }
                    shared.insert((place, origin.clone()), elements.clone());
                }
                buffer.write(&origin, elements, &Region::whole(elements.shape()))?;
            }
        }
        let variable = |(layout, buffer): (&VariableLayout, ArrayBuffer)| {
            let elements = buffer.freeze()?;
            let variable =
                VariableChunk::new(layout.name.clone(), layout.dimensions.clone(), elements)?;
            Ok(if layout.is_coordinate { variable.into_coordinate() } else { variable })
        };
        let variables = self.variables.iter().zip(buffers).map(variable);
        DatasetChunk::new(variables.collect::<Result<_>>()?)
    }

    /// Where the elements of a piece begin in the box.
    fn origin(&self, layout: &VariableLayout, key: &Key) -> Vec<u64> {
        let start = |cut: &Option<usize>| {
            let (name, cuts) = &self.cuts[(*cut)?];
            Some(key.offset(name)? - self.start(cuts))
        };
        layout.cut_axes.iter().map(|cut| start(cut).unwrap_or(0)).collect()
    }
}

/// Refuses elements that should be the same in two pieces.
pub(crate) fn check_same(variable: &str, key: &Key, known: &Chunk, other: &Chunk) -> Result<()> {
    if known == other {
        return Ok(());
    }
    let message = "a variable that does not vary along the chunks differs between two of them";
    Err(conflict(ErrorCode::STATIC_DIFFERS, message)
        .at("variable", variable)
        .at("chunk", key)
        .mend("drop it, or give it the dimension along which it varies"))
}

fn conflict(code: ErrorCode, message: impl AsRef<str>) -> Error {
    Error::new(code, ErrorKind::Conflict, message)
}

pub(crate) fn missing(message: impl AsRef<str>) -> Error {
    conflict(ErrorCode::CHUNK_MISSING, message)
        .mend("look whether a step before drops chunks, or ask for chunks that all have")
}
