//! Input files that are open: a bounded number, the least recently used closed first.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use array::DatasetSource;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::{Location, StoreOptions};

use crate::aligned::{AlignedDim, aligned};
use crate::open::{SourceVersion, open_version};
use crate::openers::Openers;
use crate::options::{BakeOptions, Reading};
use crate::prepare::Preparation;

/// What an open file is taken to hold in memory: a small one is held whole, of a large one its
/// metadata.
const FILE_BYTES_LIMIT: u64 = 4 << 20;
const FILE_BYTES_LEAST: u64 = 64 << 10;

/// Opens files when they are needed and keeps some open. Clones share them.
#[derive(Clone)]
pub struct OpenFiles(Arc<Shared>);

struct Shared {
    files: Vec<(Location, SourceVersion)>,
    reading: Reading,
    preparation: Preparation,
    dims: Arc<[AlignedDim]>,
    options: StoreOptions,
    limit_bytes: u64,
    open: Mutex<Open>,
    openers: OnceLock<Result<Openers>>,
}

#[derive(Default)]
struct Open {
    slots: BTreeMap<u32, Slot>,
    bytes: u64,
    clock: u64,
}

struct Slot {
    file: Arc<OnceLock<Result<Arc<dyn DatasetSource>>>>,
    used: u64,
}

impl OpenFiles {
    /// These versions of files, read and changed as the options say; open ones take no more than
    /// `limit_bytes` together, or as much as one of them needs.
    pub fn new(
        files: Vec<(Location, SourceVersion)>,
        bake: &BakeOptions,
        options: StoreOptions,
        limit_bytes: u64,
    ) -> Self {
        Self::joined(files, bake, &[], options, limit_bytes)
    }

    /// The same, as if all files had all elements along these dimensions.
    pub(crate) fn joined(
        files: Vec<(Location, SourceVersion)>,
        bake: &BakeOptions,
        dims: &[AlignedDim],
        options: StoreOptions,
        limit_bytes: u64,
    ) -> Self {
        Self(Arc::new(Shared {
            files,
            reading: bake.reading.clone(),
            preparation: Preparation::of(bake),
            dims: dims.into(),
            options,
            limit_bytes,
            open: Mutex::default(),
            openers: OnceLock::new(),
        }))
    }

    /// The threads that open these files, started when they are first needed.
    pub(crate) fn openers(&self) -> Result<&Openers> {
        self.0.openers.get_or_init(Openers::start).as_ref().map_err(Clone::clone)
    }

    /// The number of files.
    pub fn len(&self) -> usize {
        self.0.files.len()
    }

    /// Whether there is no file.
    pub fn is_empty(&self) -> bool {
        self.0.files.is_empty()
    }

    /// The place of a file.
    pub fn location(&self, place: u32) -> &Location {
        &self.0.files[place as usize].0
    }

    /// An open file; who asks first opens it, and others wait.
    ///
    /// # Errors
    /// A file that cannot be opened, or that is not the version that was asked for.
    pub fn get(&self, place: u32) -> Result<Arc<dyn DatasetSource>> {
        let file = self.slot(place);
        let opened = file.get_or_init(|| self.open(place));
        if opened.is_err() {
            // A file that could not be opened for the moment may be opened later.
            self.lock().close(place, self.bytes_of(place));
        }
        opened.clone()
    }

    fn open(&self, place: u32) -> Result<Arc<dyn DatasetSource>> {
        let (location, scanned) = &self.0.files[place as usize];
        let (dataset, version) =
            open_version(location, &self.0.reading, &self.0.options, Some(scanned))?;
        if version.is_same(scanned) {
            let prepared = self.0.preparation.prepare(dataset, place)?;
            return Ok(aligned(prepared, place, &self.0.dims));
        }
        let message = "the file has changed since it was scanned";
        let error = Error::new(ErrorCode::CANNOT_READ, ErrorKind::Conflict, message);
        Err(error.at("source", location).mend("run again when nobody writes the file"))
    }

    fn slot(&self, place: u32) -> Arc<OnceLock<Result<Arc<dyn DatasetSource>>>> {
        let mut open = self.lock();
        open.clock += 1;
        let clock = open.clock;
        if let Some(slot) = open.slots.get_mut(&place) {
            slot.used = clock;
            return Arc::clone(&slot.file);
        }
        let file = Arc::new(OnceLock::new());
        open.slots.insert(place, Slot { file: Arc::clone(&file), used: clock });
        open.bytes += self.bytes_of(place);
        while open.bytes > self.0.limit_bytes && open.slots.len() > 1 {
            let oldest = open.slots.iter().min_by_key(|(_, slot)| slot.used);
            let Some(oldest) = oldest.map(|(place, _)| *place) else { break };
            open.close(oldest, self.bytes_of(oldest));
        }
        file
    }

    fn bytes_of(&self, place: u32) -> u64 {
        self.0.files[place as usize].1.size_bytes.clamp(FILE_BYTES_LEAST, FILE_BYTES_LIMIT)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn close(&mut self, place: u32, bytes: u64) {
        if self.slots.remove(&place).is_some() {
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }
}

impl fmt::Debug for OpenFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenFiles({})", self.len())
    }
}
