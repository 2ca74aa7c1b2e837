//! The object that says which shards belong together.

use dataflow::Element;
use dataflow::error::{Error, ErrorCode, ErrorKind};
use dataflow::prelude::Result;
use objects::{Location, Objects, StoreOptions};
use serde::{Deserialize, Serialize};

use super::destination::Destination;

/// The version of the JSON that is written here.
const VERSION: u32 = 1;

/// One shard of a destination.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Element)]
#[element(crate = "dataflow")]
#[non_exhaustive]
pub struct ShardFacts {
    /// The place among the shards.
    pub index: u32,
    /// The name of the object, in the folder of the manifest.
    pub name: String,
    /// Elements.
    pub record_count: u64,
    /// The length of the object.
    pub size_bytes: u64,
    /// CRC-32C of the object, eight hexadecimal digits.
    pub crc32c: String,
}

/// All shards of a destination: JSON, written last, beside them.
///
/// The shards `out/part-00000-of-00003.txt` and so on have `out/.part.manifest.json`. Names that
/// begin with a dot are skipped by those who list folders for data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Element)]
#[element(crate = "dataflow")]
#[non_exhaustive]
pub struct Manifest {
    /// The version of this form, 1.
    pub levain_manifest: u32,
    /// The format of the shards, with its compression.
    pub format: String,
    /// Elements of all shards.
    pub record_count: u64,
    /// Bytes of all shards.
    pub size_bytes: u64,
    /// The shards, by their index; all of them, also empty ones.
    pub shards: Vec<ShardFacts>,
}

impl Manifest {
    /// The manifest of these shards.
    pub(crate) fn of(format: String, mut shards: Vec<ShardFacts>) -> Self {
        shards.sort_unstable();
        Self {
            levain_manifest: VERSION,
            format,
            record_count: shards.iter().map(|shard| shard.record_count).sum(),
            size_bytes: shards.iter().map(|shard| shard.size_bytes).sum(),
            shards,
        }
    }

    /// Reads the manifest of a destination; `None` if there is none, as before a write has ended.
    ///
    /// The destination is what the write was given: a prefix, without number and suffix.
    ///
    /// # Errors
    /// A manifest that is damaged or of a later version, or a store that fails.
    pub fn read(destination: &str, store: &StoreOptions) -> Result<Option<Self>> {
        let destination = Destination::parse(destination)?;
        let folder = Objects::open(&destination.folder, store)?;
        let name = destination.manifest_name();
        let Some(bytes) = folder.try_get(&name)? else { return Ok(None) };
        let place = destination.folder.join(&name);
        Self::parse(&bytes, &place).map(Some)
    }

    fn parse(bytes: &[u8], place: &Location) -> Result<Self> {
        let broken = |why: String| {
            Error::new(ErrorCode::METADATA_BROKEN, ErrorKind::Corrupt, why).at("file", place)
        };
        let json: serde_json::Value = serde_json::from_slice(bytes)
            .map_err(|why| broken(format!("the manifest is no JSON: {why}")))?;
        if let Some(version) = json["levain_manifest"].as_u64()
            && version > u64::from(VERSION)
        {
            let message = format!("the manifest is of version {version}, this is {VERSION}");
            return Err(broken(message)
                .with_kind(ErrorKind::Unsupported)
                .mend("read it with the version of Levain that has written it, or a later one"));
        }
        serde_json::from_value(json).map_err(|why| {
            broken(format!("this is no manifest: {why}")).mend("write the files again")
        })
    }

    pub(crate) fn to_json(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|why| Error::internal(format!("a manifest has no JSON: {why}")))?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Manifest {
        let shard = |index, record_count, size_bytes, crc32c: &str| ShardFacts {
            index,
            name: format!("part-{index:05}-of-00002.txt.gz"),
            record_count,
            size_bytes,
            crc32c: crc32c.to_owned(),
        };
        let shards = vec![shard(1, 3, 40, "00c0ffee"), shard(0, 0, 20, "e3069283")];
        Manifest::of("text, gzip".to_owned(), shards)
    }

    #[test]
    fn version_1_is_written_as_it_was_and_read() {
        let kept = include_bytes!("testdata/manifest-v1.json");
        assert_eq!(
            String::from_utf8_lossy(&sample().to_json().expect("JSON")),
            String::from_utf8_lossy(kept)
        );
        let place = Location::parse("memory://manifest").expect("a location");
        assert_eq!(Manifest::parse(kept, &place), Ok(sample()));
    }

    #[track_caller]
    fn check(text: &str, kind: ErrorKind, says: &str) {
        let place = Location::parse("memory://manifest/.a.manifest.json").expect("a location");
        let error = Manifest::parse(text.as_bytes(), &place).expect_err("no manifest");
        assert!(error.kind() == kind && error.message().contains(says), "{error}");
        assert_eq!(error.place("file"), Some("memory://manifest/.a.manifest.json"));
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        check("{\"levain_manifest\": 2}", ErrorKind::Unsupported, "version 2");
        check("{\"levain_manifest\": 1, \"format\": \"text\"}", ErrorKind::Corrupt, "record_count");
        check("{\"levain_ma", ErrorKind::Corrupt, "no JSON");
    }
}
