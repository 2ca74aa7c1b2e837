//! Input files that are open: a bounded number, the least recently used closed first.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use array::DatasetSource;
use dataflow::error::Result;
use objects::{Location, StoreOptions};

use crate::open::open_dataset;
use crate::openers::Openers;

/// What an open file is taken to hold in memory: a small one is held whole, of a large one its
/// metadata.
const FILE_BYTES_LIMIT: u64 = 4 << 20;
const FILE_BYTES_LEAST: u64 = 64 << 10;

/// Opens files when they are needed and keeps some open. Clones share them.
#[derive(Clone)]
pub struct OpenFiles(Arc<Shared>);

struct Shared {
    files: Vec<(Location, u64)>,
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
    /// These files, of so many bytes each; open ones take no more than `limit_bytes` together,
    /// or as much as one of them needs.
    pub fn new(files: Vec<(Location, u64)>, options: StoreOptions, limit_bytes: u64) -> Self {
        let (open, openers) = (Mutex::default(), OnceLock::new());
        Self(Arc::new(Shared { files, options, limit_bytes, open, openers }))
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
    /// A file that cannot be opened.
    pub fn get(&self, place: u32) -> Result<Arc<dyn DatasetSource>> {
        let file = self.slot(place);
        let location = self.location(place);
        let opened = file.get_or_init(|| open_dataset(location, &self.0.options));
        if opened.is_err() {
            // A file that could not be opened for the moment may be opened later.
            self.lock().slots.remove(&place);
        }
        opened.clone()
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
            open.slots.remove(&oldest);
            open.bytes = open.bytes.saturating_sub(self.bytes_of(oldest));
        }
        file
    }

    fn bytes_of(&self, place: u32) -> u64 {
        self.0.files[place as usize].1.clamp(FILE_BYTES_LEAST, FILE_BYTES_LIMIT)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for OpenFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenFiles({})", self.len())
    }
}
