//! A cache in a folder: one process fetches a file, others wait for it.
//!
//! Locks are those of the file system, which end with the process that holds them. A copy that is
//! in use is locked, so that nobody deletes it.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use dataflow::error::{Error, Result};
use sha2::{Digest, Sha256};

use crate::cache::Copied;
use crate::cache::download::{Destination, Download};
use crate::cache::entry::Entry;
use crate::cache::evict::evict;
use crate::cache::options::CacheOptions;
use crate::failure::io_failed;
use crate::hex::hex;
use crate::location::Location;
use crate::options::StoreOptions;
use crate::requests::Object;
use crate::version::ObjectVersion;

/// A copy that is in use.
#[derive(Debug)]
pub(crate) struct HeldCopy {
    /// Locked for as long as this lives.
    _lock: File,
}

struct Folder<'a> {
    root: &'a Path,
    name: &'a str,
}

/// The copy of this version of an object, fetched now if it is not there.
pub(super) fn copy(
    root: &Path,
    name: &str,
    origin: &Object,
    version: &ObjectVersion,
    cache: &CacheOptions,
    options: &StoreOptions,
) -> Result<Copied> {
    let folder = Folder { root, name };
    for part in ["entries", "content", "partial", "locks"] {
        let path = root.join(part);
        fs::create_dir_all(&path).map_err(|error| io_failed("write", path.display(), &error))?;
    }
    if let Some(copied) = folder.find(version)? {
        return Ok(copied);
    }
    let lock = folder.at("locks", "");
    let lock = File::create(&lock)
        .and_then(|file| file.lock().map(|()| file))
        .map_err(|error| io_failed("write", lock.display(), &error))?;
    // Somebody else may have fetched it meanwhile.
    if let Some(copied) = folder.find(version)? {
        return Ok(copied);
    }
    let content = folder.fetch(origin, version, options.retry_count)?;
    let copied = folder.find(version)?;
    drop(lock);
    if let Some(size_bytes) = cache.size_bytes {
        evict(root, size_bytes, &content)?;
    }
    let lost = || Error::internal("a file that was fetched is not in the cache");
    copied.ok_or_else(lost)
}

impl Folder<'_> {
    fn at(&self, part: &str, suffix: &str) -> PathBuf {
        self.root.join(part).join(format!("{}{suffix}", self.name))
    }

    /// The entry, if there is one that can be read.
    fn entry(&self) -> Result<Option<Entry>> {
        let path = self.at("entries", ".json");
        match fs::read(&path) {
            Ok(text) => Ok(Entry::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_failed("read", path.display(), &error)),
        }
    }

    /// The copy of this version, if it is there, whole and unharmed.
    fn find(&self, version: &ObjectVersion) -> Result<Option<Copied>> {
        let Some(entry) = self.entry()?.filter(|entry| entry.is_of(version)) else {
            return Ok(None);
        };
        let path = self.root.join("content").join(&entry.content);
        let failed = |error: io::Error| io_failed("read", path.display(), &error);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        file.lock_shared().map_err(failed)?;
        // It may have been deleted between the two.
        if !path.exists() {
            return Ok(None);
        }
        if !is_unharmed(&file, &path, &entry).map_err(failed)? {
            drop(file);
            fs::remove_file(&path).map_err(failed)?;
            return Ok(None);
        }
        // When it was used last; a folder that can only be read keeps no order.
        drop(file.set_modified(SystemTime::now()));
        let location = Location::parse(&format!("{}", path.display()))?;
        Ok(Some(Copied { location, held: Some(HeldCopy { _lock: file }) }))
    }

    /// Fetches the object, and makes it the entry of this name; where its bytes lie.
    fn fetch(
        &self,
        origin: &Object,
        version: &ObjectVersion,
        retry_count: usize,
    ) -> Result<PathBuf> {
        let partial = self.at("partial", "");
        let failed = |error: &io::Error| io_failed("write", partial.display(), error);
        let mut open = OpenOptions::new();
        open.create(true).truncate(false).read(true).write(true);
        let mut file = Partial(open.open(&partial).map_err(|error| failed(&error))?);
        let mut download = Download::new(origin, version, retry_count);
        let left_bytes = file.0.metadata().map_err(|error| failed(&error))?.len();
        if self.is_partial_of(version) && left_bytes <= version.size_bytes {
            download.resume(&mut file.0).map_err(|error| failed(&error))?;
        } else {
            file.restart().map_err(|error| failed(&error))?;
            // Before the first byte: what lies here is of this version or of none.
            self.note_partial(version)?;
        }
        let sha256 = download.run(&mut file, failed)?;
        file.0.sync_all().map_err(|error| failed(&error))?;
        let content = self.root.join("content").join(&sha256);
        let old = self.entry()?.filter(|old| old.content != sha256);
        fs::rename(&partial, &content).map_err(|error| failed(&error))?;
        remember(&content);
        let url = origin.shown.to_string();
        let entry = Entry::new(url, version, sha256.clone(), sha256);
        self.write("entries", &entry.to_json()?)?;
        drop(fs::remove_file(self.at("partial", ".json")));
        if let Some(old) = old {
            remove_unused(&self.root.join("content").join(old.content))
                .map_err(|error| failed(&error))?;
        }
        Ok(content)
    }

    /// Whether what was fetched in part is of this version.
    fn is_partial_of(&self, version: &ObjectVersion) -> bool {
        let text = fs::read(self.at("partial", ".json")).ok();
        let left: Option<ObjectVersion> = text.and_then(|it| serde_json::from_slice(&it).ok());
        left.is_some_and(|left| left.is_told() && left.differs_from(version).is_none())
    }

    fn note_partial(&self, version: &ObjectVersion) -> Result<()> {
        let text = serde_json::to_vec(version);
        self.write("partial", &text.map_err(|why| Error::internal(format!("a version: {why}")))?)
    }

    /// Writes a record whole or not at all; whoever does holds the lock of the name.
    fn write(&self, part: &str, text: &[u8]) -> Result<()> {
        let (path, beside) = (self.at(part, ".json"), self.at("locks", ".new"));
        let write = || {
            let mut file = File::create(&beside)?;
            file.write_all(text)?;
            file.sync_all()?;
            fs::rename(&beside, &path)
        };
        write().map_err(|error| io_failed("write", path.display(), &error))
    }
}

/// Deletes a copy, unless somebody uses it.
pub(super) fn remove_unused(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(false),
        Err(fs::TryLockError::Error(error)) => return Err(error),
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        removed => removed.map(|()| true),
    }
}

/// A file that is being fetched.
struct Partial(File);

impl Write for Partial {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Destination for Partial {
    fn restart(&mut self) -> io::Result<bool> {
        self.0.set_len(0)?;
        self.0.rewind().map(|()| true)
    }
}

/// Copies whose bytes this process has seen to be those that were fetched.
static SEEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn remember(path: &Path) {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
}

/// Whether a copy has its length and, when a process uses it for the first time, its digest.
fn is_unharmed(file: &File, path: &Path, entry: &Entry) -> io::Result<bool> {
    if file.metadata()?.len() != entry.version.size_bytes {
        return Ok(false);
    }
    let is_seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner).contains(path);
    if is_seen {
        return Ok(true);
    }
    let mut hasher = Sha256::new();
    let mut block = vec![0; 1 << 20];
    let mut file = file;
    loop {
        match io::Read::read(&mut file, &mut block)? {
            0 => break,
            length => hasher.update(&block[..length]),
        }
    }
    let is_unharmed = hex(&hasher.finalize()) == entry.sha256;
    if is_unharmed {
        remember(path);
    }
    Ok(is_unharmed)
}
