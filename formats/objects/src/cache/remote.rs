//! A cache in an object store: objects are visible whole or not at all, so that nobody waits for
//! anybody, and two processes that fetch the same write the same.

use std::io;

use dataflow::error::{Error, Result};
use sha2::{Digest, Sha256};

use crate::cache::Copied;
use crate::cache::download::{Destination, Download};
use crate::cache::entry::Entry;
use crate::cache::options::CacheOptions;
use crate::failure::io_failed;
use crate::hex::hex;
use crate::objects::Objects;
use crate::options::StoreOptions;
use crate::requests::Object;
use crate::version::ObjectVersion;
use crate::writer::ObjectWriter;

/// The copy of this version of an object, fetched now if it is not there.
///
/// Its digest is known when all bytes are written, so that its name is the digest of what tells the
/// version.
pub(super) fn copy(
    name: &str,
    origin: &Object,
    version: &ObjectVersion,
    cache: &CacheOptions,
    options: &StoreOptions,
) -> Result<Copied> {
    let objects = Objects::open(&cache.place, options)?;
    let key = format!("entries/{name}.json");
    let entry = objects.try_get(&key)?.and_then(|text| Entry::parse(&text));
    if let Some(entry) = entry.filter(|entry| entry.is_of(version)) {
        let content = format!("content/{}", entry.content);
        let kept = objects.facts(&content);
        if kept.is_ok_and(|facts| facts.size_bytes == version.size_bytes) {
            return Ok(Copied { location: cache.place.join(&content), held: None });
        }
    }
    let told = serde_json::to_string(version);
    let told = told.map_err(|why| Error::internal(format!("a version: {why}")))?;
    let own = hex(&Sha256::digest(format!("{name} {told}")));
    let content = format!("content/{own}");
    let shown = cache.place.join(&content);
    let mut writer = Upload(objects.writer(&content)?);
    let failed = |error: &io::Error| match error.get_ref().and_then(|it| it.downcast_ref::<Error>())
    {
        Some(ours) => ours.clone(),
        None => io_failed("write", &shown, error),
    };
    let sha256 = Download::new(origin, version, options.retry_count).run(&mut writer, failed)?;
    writer.0.finish()?;
    let entry = Entry::new(origin.shown.to_string(), version, own, sha256);
    objects.put(&key, entry.to_json()?.into()).wait()?;
    Ok(Copied { location: shown, held: None })
}

/// An object that is being written.
struct Upload(ObjectWriter);

impl io::Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Destination for Upload {
    fn restart(&mut self) -> io::Result<bool> {
        Ok(false)
    }
}
