//! A store rooted at a location: get, put, list, delete.

use std::fmt;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use futures::future::try_join_all;
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::client::Client;
use crate::failure::io_failed;
use crate::listing;
use crate::location::{Location, Scheme};
use crate::options::StoreOptions;
use crate::pending::Pending;
use crate::requests::Object;
use crate::uploads;
use crate::writer::ObjectWriter;

/// What a store says of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectFacts {
    /// The key, from the root of the [`Objects`] that was asked.
    pub key: String,
    /// The length.
    pub size_bytes: u64,
    /// The tag of this version, where the store has one.
    pub etag: Option<String>,
    /// When it was written, in milliseconds since 1970.
    pub last_modified_ms: i64,
}

/// One end of an object, so many bytes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// The first bytes.
    First(u64),
    /// The last bytes.
    Last(u64),
}

/// The bytes at one end of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EdgeBytes {
    /// As many as were asked for; all of an object that is shorter.
    pub bytes: Bytes,
    /// The length of the whole object.
    pub size_bytes: u64,
}

/// The objects below a [`Location`]; cheap to clone.
///
/// Keys are paths with `/` between their parts, counted from the root. What a call gives out as a
/// [`Pending`] is under way when it returns. An object is visible whole or not at all, in a file
/// system too.
#[derive(Clone)]
pub struct Objects {
    client: Arc<Client>,
    root: Location,
    prefix: String,
    options: StoreOptions,
    not_after_ms: Option<i64>,
}

impl Objects {
    /// Opens the store at `root`, which need not exist.
    ///
    /// Nothing is asked of the store yet. Stores in memory are shared by name in the process.
    ///
    /// # Errors
    /// Settings or a profile that make no sense.
    pub fn open(root: &Location, options: &StoreOptions) -> Result<Self> {
        Ok(Self {
            client: Client::of(root, options)?,
            root: root.clone(),
            prefix: root.key()?,
            options: options.clone(),
            not_after_ms: None,
        })
    }

    /// Refuses to read objects that were written after a moment, in milliseconds since 1970: they
    /// are others than were there.
    ///
    /// Objects of a store that does not say when they were written are read all the same, and one
    /// that was deleted since is not there. The clock is that of the store.
    #[must_use]
    pub fn as_of(mut self, moment_ms: i64) -> Self {
        self.not_after_ms = Some(moment_ms);
        self
    }

    /// The location that keys are counted from.
    pub fn root(&self) -> &Location {
        &self.root
    }

    /// Reads a whole object, waiting for it.
    ///
    /// # Errors
    /// No such object, or a store that fails.
    pub fn get(&self, key: &str) -> Result<Bytes> {
        let object = self.object(key)?;
        let missing = object.missing();
        Pending::start(async move { object.get().await }).wait()?.ok_or(missing)
    }

    /// Reads a whole object, waiting for it; `None` if it does not exist.
    ///
    /// # Errors
    /// A store that fails.
    pub fn try_get(&self, key: &str) -> Result<Option<Bytes>> {
        let object = self.object(key)?;
        Pending::start(async move { object.get().await }).wait()
    }

    /// Asks for the size, the tag and the time of an object.
    ///
    /// # Errors
    /// No such object, or a store that fails.
    pub fn facts(&self, key: &str) -> Result<ObjectFacts> {
        let object = self.object(key)?;
        let missing = object.missing();
        let meta = Pending::start(async move { object.meta().await }).wait()?.ok_or(missing)?;
        Ok(facts_of(key.to_owned(), meta))
    }

    /// Asks for the same by reading the first byte; nothing if that fails.
    pub(crate) fn facts_of_first(&self, key: &str) -> Option<ObjectFacts> {
        let object = self.object(key).ok()?;
        let meta = Pending::start(async move { object.meta_of_first().await }).wait().ok()??;
        Some(facts_of(key.to_owned(), meta))
    }

    /// Starts to read ranges of one object; the result has their order.
    ///
    /// Ranges that lie close together are read by one request; their bytes share its memory.
    pub fn fetch(&self, key: &str, ranges: Vec<Range<u64>>) -> Pending<Vec<Bytes>> {
        match self.object(key) {
            Ok(object) => Pending::start(async move { object.ranges(&ranges).await }),
            Err(error) => Pending::failed(error),
        }
    }

    /// Starts to read many objects, whole or a range of each; `None` for one that does not exist.
    pub fn fetch_many(
        &self,
        reads: Vec<(String, Option<Range<u64>>)>,
    ) -> Pending<Vec<Option<Bytes>>> {
        let objects: Result<Vec<_>> =
            reads.into_iter().map(|(key, range)| Ok((self.object(&key)?, range))).collect();
        match objects {
            Ok(objects) => Pending::start(async move {
                try_join_all(objects.iter().map(|(object, range)| one_of_many(object, range))).await
            }),
            Err(error) => Pending::failed(error),
        }
    }

    /// Starts to read one end of an object; `None` if it does not exist.
    pub fn edge(&self, key: &str, edge: Edge) -> Pending<Option<EdgeBytes>> {
        match self.object(key) {
            Ok(object) => Pending::start(async move { object.edge(edge).await }),
            Err(error) => Pending::failed(error),
        }
    }

    /// Starts to read ranges that the object itself names in an index at one of its ends; `None`
    /// if it does not exist.
    ///
    /// `plan` is given the index and says the ranges. It runs on a thread that waits for stores,
    /// so it must be quick.
    pub fn fetch_indexed(
        &self,
        key: &str,
        edge: Edge,
        plan: impl FnOnce(EdgeBytes) -> Result<Vec<Range<u64>>> + Send + 'static,
    ) -> Pending<Option<Vec<Bytes>>> {
        match self.object(key) {
            Ok(object) => Pending::start(async move {
                let Some(index) = object.edge(edge).await? else { return Ok(None) };
                object.ranges(&plan(index)?).await.map(Some)
            }),
            Err(error) => Pending::failed(error),
        }
    }

    /// Starts to write a whole object, in place of the one that may be there.
    pub fn put(&self, key: &str, bytes: Bytes) -> Pending<()> {
        self.put_pieces(key, vec![bytes])
    }

    /// Starts to write these pieces, one after the other, as one object; as [`Objects::put`].
    pub fn put_pieces(&self, key: &str, pieces: Vec<Bytes>) -> Pending<()> {
        match self.writable(key) {
            Ok(object) => Pending::start(async move { object.put(pieces).await }),
            Err(error) => Pending::failed(error),
        }
    }

    /// Begins to write an object of any length, in place of the one that may be there.
    ///
    /// # Errors
    /// A key that no object can have, or a store that is read only.
    pub fn writer(&self, key: &str) -> Result<ObjectWriter> {
        Ok(ObjectWriter::new(self.writable(key)?))
    }

    /// The most memory that an [`ObjectWriter`] of this store takes.
    pub fn writer_bytes(&self) -> u64 {
        ObjectWriter::working_bytes(self.root.scheme())
    }

    /// Writes an object if there is none, and says whether it is this one that is there now.
    ///
    /// Whatever the store answers, the object is read back and compared, unless it was made beyond
    /// doubt. Writers that must be told apart therefore write different bytes.
    ///
    /// # Errors
    /// A store that fails, or one that never says what became of the object.
    pub fn create(&self, key: &str, bytes: Bytes) -> Result<bool> {
        let object = self.writable(key)?;
        Pending::start(async move { object.create(bytes).await }).wait()
    }

    /// Lists the objects below `prefix`, by key; a prefix is whole parts of a path.
    ///
    /// # Errors
    /// A store that fails, or that cannot list.
    pub fn list(&self, prefix: &str) -> Result<Vec<ObjectFacts>> {
        let (objects, folder) = (self.clone(), self.object(prefix)?);
        let retry_count = self.options.retry_count;
        let found = Pending::start(async move { listing::list(&folder, retry_count).await });
        let mut facts: Vec<_> =
            found.wait()?.into_iter().map(|meta| objects.facts_below(meta)).collect();
        facts.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(facts)
    }

    /// Lists what lies directly below `prefix`: the keys of folders, and objects; each by key.
    ///
    /// # Errors
    /// A store that fails, or that cannot list.
    pub fn list_folder(&self, prefix: &str) -> Result<(Vec<String>, Vec<ObjectFacts>)> {
        let folder = self.object(prefix)?;
        let retry_count = self.options.retry_count;
        let found = Pending::start(async move { listing::list_folder(&folder, retry_count).await });
        let found = found.wait()?;
        let mut folders: Vec<_> =
            found.common_prefixes.iter().map(|path| self.key_of(path)).collect();
        let mut facts: Vec<_> =
            found.objects.into_iter().map(|meta| self.facts_below(meta)).collect();
        folders.sort_unstable();
        facts.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok((folders, facts))
    }

    /// Deletes an object; one that does not exist is no error.
    ///
    /// # Errors
    /// A store that fails.
    pub fn delete(&self, key: &str) -> Result<()> {
        let object = self.object(key)?;
        self.refuse_read_only()?;
        Pending::start(async move { object.delete().await }).wait()
    }

    /// Deletes all objects below `prefix` and says how many there were.
    ///
    /// In a file system, folders that are then empty go too, and so do the remains of writes that
    /// were cut short.
    ///
    /// # Errors
    /// A store that fails; some objects may be deleted then.
    pub fn delete_all(&self, prefix: &str) -> Result<u64> {
        self.refuse_read_only()?;
        let folder = self.object(prefix)?;
        let retry_count = self.options.retry_count;
        let deleted =
            Pending::start(async move { listing::delete_all(&folder, retry_count).await });
        let deleted_count = deleted.wait()?;
        self.sweep_folder(prefix)?;
        Ok(deleted_count)
    }

    /// Removes what writes below `prefix` that were cut short have left: in a file system files that are
    /// no objects, and folders without any; in S3 uploads in parts that nobody has ended. Nothing where
    /// writes leave nothing.
    ///
    /// Cost: all folders below are listed; in S3 one request for a thousand uploads, and one for each. Who may
    /// not list them is told, and they stay. Nobody else may write there meanwhile.
    ///
    /// # Errors
    /// A store that fails.
    pub fn sweep(&self, prefix: &str) -> Result<()> {
        if self.root.scheme() != Scheme::S3 {
            return self.sweep_folder(prefix);
        }
        let (folder, retry_count) = (self.object(prefix)?, self.options.retry_count);
        Pending::start(async move { uploads::give_up(&folder, retry_count).await }).wait().map(drop)
    }

    /// What [`Objects::sweep`] would remove, by key; a key that was begun twice is there twice.
    ///
    /// # Errors
    /// A store that fails.
    pub fn unfinished(&self, prefix: &str) -> Result<Vec<String>> {
        let folder = self.object(prefix)?;
        let mut keys = match self.root.scheme() {
            Scheme::Local => {
                let mut paths = Vec::new();
                let path = PathBuf::from(format!("/{}", self.path(prefix)?));
                let mut note = |path: &FilePath| {
                    paths.push(path.to_owned());
                    Ok(())
                };
                let found = visit_unfinished(&path, &mut note, &|_| ());
                found.map_err(|error| io_failed("list", &folder.shown, &error))?;
                paths.iter().map(|path| self.key_of_text(&path.to_string_lossy())).collect()
            }
            Scheme::S3 => {
                let retry_count = self.options.retry_count;
                let found = async move { uploads::list(&folder, retry_count).await };
                let found = Pending::start(found).wait()?;
                found.iter().map(|it| self.key_of_text(&it.key)).collect::<Vec<_>>()
            }
            _ => Vec::new(),
        };
        keys.sort_unstable();
        Ok(keys)
    }

    fn sweep_folder(&self, prefix: &str) -> Result<()> {
        if self.root.scheme() != Scheme::Local {
            return Ok(());
        }
        let folder = self.object(prefix)?;
        let path = PathBuf::from(format!("/{}", self.path(prefix)?));
        sweep(&path).map_err(|error| io_failed("delete", &folder.shown, &error))
    }

    pub(crate) fn object(&self, key: &str) -> Result<Object> {
        Ok(Object {
            client: Arc::clone(&self.client),
            path: self.path(key)?,
            shown: self.root.join(key),
            scheme: self.root.scheme(),
            version: None,
            not_after_ms: self.not_after_ms,
        })
    }

    fn writable(&self, key: &str) -> Result<Object> {
        self.refuse_read_only()?;
        let object = self.object(key)?;
        if let Some(faults) = &self.options.faults {
            faults.check().map_err(|error| io_failed("write", &object.shown, &error))?;
        }
        Ok(object)
    }

    fn refuse_read_only(&self) -> Result<()> {
        if self.root.scheme() != Scheme::Http {
            return Ok(());
        }
        let message = "objects behind http can be read only";
        Err(Error::new(ErrorCode::STORE_DENIED, ErrorKind::Unsupported, message)
            .at("object", &self.root)
            .mend("write to a path, s3://, gs:// or az://"))
    }

    fn path(&self, key: &str) -> Result<Path> {
        let key = key.trim_matches('/');
        let slash = if self.prefix.is_empty() || key.is_empty() { "" } else { "/" };
        Path::parse(format!("{}{slash}{key}", self.prefix)).map_err(|error| {
            let message = format!("no object can have this name: {error}");
            Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
                .at("object", self.root.join(key))
        })
    }

    fn key_of(&self, path: &Path) -> String {
        self.key_of_text(path.as_ref())
    }

    fn key_of_text(&self, path: &str) -> String {
        let path = path.trim_matches('/');
        path.strip_prefix(&self.prefix).unwrap_or(path).trim_matches('/').to_owned()
    }

    fn facts_below(&self, meta: ObjectMeta) -> ObjectFacts {
        facts_of(self.key_of(&meta.location), meta)
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Objects({})", self.root)
    }
}

fn facts_of(key: String, meta: ObjectMeta) -> ObjectFacts {
    ObjectFacts {
        key,
        size_bytes: meta.size,
        etag: meta.e_tag,
        last_modified_ms: meta.last_modified.timestamp_millis(),
    }
}

async fn one_of_many(object: &Object, range: &Option<Range<u64>>) -> Result<Option<Bytes>> {
    let Some(range) = range else { return object.get().await };
    if range.is_empty() {
        return Ok(object.meta().await?.map(|_| Bytes::new()));
    }
    match object.read(range.clone()).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.code() == ErrorCode::STORE_NOT_FOUND => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes empty folders below `folder` and itself, and files that a write did not finish.
fn sweep(folder: &FilePath) -> std::io::Result<()> {
    let mut remove = |file: &FilePath| match std::fs::remove_file(file) {
        // Its write has ended meanwhile.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    // A folder that is not empty stays, and so does one that somebody else holds on to.
    visit_unfinished(folder, &mut remove, &|folder| drop(std::fs::remove_dir(folder)))
}

/// Calls `each` for every file below `folder` that a write did not finish, and `after` for every folder once all
/// below it was visited.
fn visit_unfinished(
    folder: &FilePath,
    each: &mut dyn FnMut(&FilePath) -> std::io::Result<()>,
    after: &dyn Fn(&FilePath),
) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            visit_unfinished(&entry.path(), each, after)?;
        } else if entry.file_name().to_str().is_some_and(is_unfinished) {
            each(&entry.path())?;
        }
    }
    after(folder);
    Ok(())
}

/// Whether a file is what a write under this name left: a file is written as `name#1` and renamed.
fn is_unfinished(name: &str) -> bool {
    let digits = name.rsplit_once('#').map_or("", |(_, digits)| digits);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod faulty;
#[cfg(test)]
mod tests;
