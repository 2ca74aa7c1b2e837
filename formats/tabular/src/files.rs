//! Which files are meant: patterns, what they match, and what is known of a match.

use dataflow::Element;
use dataflow::dofn::DoFnFacts;
use dataflow::error::{Error, ErrorCode, ErrorKind};
use dataflow::prelude::{
    Create, DoFn, PCollection, PTransform, ParDo, Pipeline, ProcessContext, Reshuffle, Result,
};
use objects::{Location, ObjectFile, StoreOptions, expand};
use serde::{Deserialize, Serialize};

use crate::write::Manifest;

/// A file that was matched, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Element)]
#[element(crate = "dataflow")]
#[non_exhaustive]
pub struct FileMatch {
    /// The path or URL.
    pub location: String,
    /// The length.
    pub size_bytes: u64,
    /// The tag of this version, where the store has one.
    pub etag: Option<String>,
    /// When it was written, in milliseconds since 1970; 0 where the store does not say.
    pub last_modified_ms: i64,
}

impl FileMatch {
    /// Opens the file, which must be the one that was matched.
    ///
    /// Cost: one request.
    ///
    /// # Errors
    /// A file that is gone or has changed, or a store that fails.
    pub fn open(&self, store: &StoreOptions) -> Result<ObjectFile> {
        let file = ObjectFile::open(&Location::parse(&self.location)?, store)?;
        let now = Self::of(&self.location, &file);
        if now == *self {
            return Ok(file);
        }
        let message = format!(
            "the file has changed since it was matched: it had {} bytes, and has {}",
            self.size_bytes, now.size_bytes
        );
        Err(Error::new(ErrorCode::CANNOT_READ, ErrorKind::Conflict, message)
            .at("file", &self.location)
            .mend("run again when nobody writes to the input"))
    }

    fn of(location: &str, file: &ObjectFile) -> Self {
        let facts = file.facts();
        Self {
            location: location.to_owned(),
            size_bytes: facts.size_bytes,
            etag: facts.etag.clone(),
            last_modified_ms: facts.last_modified_ms,
        }
    }
}

/// What a pattern that matches no file means.
///
/// Source: Beam, `org.apache.beam.sdk.io.fs.EmptyMatchTreatment`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EmptyMatchTreatment {
    /// No files.
    Allow,
    /// An error.
    Disallow,
    /// No files if the pattern has a wildcard, else an error.
    AllowIfWildcard,
}

/// The files that a pattern matches: `FileIO.match` of Beam.
///
/// Patterns are those of [`objects::expand`]: `*`, `?` and `[..]` within a part of the path, `**`
/// for any number of parts; a folder stands for the files in it. No match is an error unless
/// [`EmptyMatchTreatment`] says otherwise.
#[derive(Debug, Clone)]
pub struct MatchFiles {
    pattern: String,
    all: MatchAll,
}

impl MatchFiles {
    /// Matches this pattern.
    pub fn of(pattern: impl Into<String>) -> Self {
        let all = MatchAll::new().with_empty_match_treatment(EmptyMatchTreatment::Disallow);
        Self { pattern: pattern.into(), all }
    }

    /// Says what no match means.
    #[must_use]
    pub fn with_empty_match_treatment(mut self, treatment: EmptyMatchTreatment) -> Self {
        self.all.treatment = treatment;
        self
    }

    /// Says how the store is reached.
    #[must_use]
    pub fn with_store_options(mut self, store: StoreOptions) -> Self {
        self.all.store = store;
        self
    }
}

impl PTransform<Pipeline> for MatchFiles {
    type Output = PCollection<FileMatch>;

    fn expand(self, pipeline: Pipeline) -> Self::Output {
        pipeline.apply(Create::of([self.pattern])).apply(self.all)
    }
}

/// The files that patterns match, each pattern an element: `FileIO.matchAll` of Beam.
///
/// A file that two patterns match comes twice. A pattern with a wildcard may match nothing, unless
/// [`EmptyMatchTreatment`] says otherwise. Cost: one listing for each folder that a pattern
/// reaches, one request for each file.
#[derive(Debug, Clone)]
pub struct MatchAll {
    treatment: EmptyMatchTreatment,
    store: StoreOptions,
}

impl MatchAll {
    /// Matches all patterns.
    pub fn new() -> Self {
        Self { treatment: EmptyMatchTreatment::AllowIfWildcard, store: StoreOptions::default() }
    }

    /// Says what no match means.
    #[must_use]
    pub fn with_empty_match_treatment(mut self, treatment: EmptyMatchTreatment) -> Self {
        self.treatment = treatment;
        self
    }

    /// Says how the store is reached.
    #[must_use]
    pub fn with_store_options(mut self, store: StoreOptions) -> Self {
        self.store = store;
        self
    }
}

impl Default for MatchAll {
    fn default() -> Self {
        Self::new()
    }
}

impl PTransform<PCollection<String>> for MatchAll {
    type Output = PCollection<FileMatch>;

    fn expand(self, patterns: PCollection<String>) -> Self::Output {
        let Self { treatment, store } = self;
        let expand = ExpandPatterns { treatment, store: store.clone() };
        // Files are asked for on all threads: a listing is quick, a request for each file is not.
        patterns
            .apply_named("Expand", ParDo::of(expand))
            .apply(Reshuffle)
            .apply_named("Facts", ParDo::of(AskForFacts { store }))
    }
}

/// The files that a manifest lists: all shards of a write that has ended, or an error.
///
/// The destination is what the write was given: a prefix, without number and suffix of a shard.
#[derive(Debug, Clone)]
pub struct MatchManifest {
    destination: String,
    store: StoreOptions,
}

impl MatchManifest {
    /// Matches the shards that were written to this destination.
    pub fn of(destination: impl Into<String>) -> Self {
        Self { destination: destination.into(), store: StoreOptions::default() }
    }

    /// Says how the store is reached.
    #[must_use]
    pub fn with_store_options(mut self, store: StoreOptions) -> Self {
        self.store = store;
        self
    }
}

impl PTransform<Pipeline> for MatchManifest {
    type Output = PCollection<FileMatch>;

    fn expand(self, pipeline: Pipeline) -> Self::Output {
        let Self { destination, store } = self;
        pipeline
            .apply(Create::of([destination]))
            .apply_named("List", ParDo::of(ListShards { store: store.clone() }))
            .apply(Reshuffle)
            .apply_named("Facts", ParDo::of(AskForFacts { store }))
    }
}

/// A location, and the length that the file there must have, where it is known.
type Expected = (String, Option<u64>);

#[derive(Clone)]
struct ExpandPatterns {
    treatment: EmptyMatchTreatment,
    store: StoreOptions,
}

impl DoFn for ExpandPatterns {
    type In = String;
    type Out = Expected;

    fn process(&mut self, pattern: String, ctx: &mut ProcessContext<'_, Expected>) -> Result<()> {
        let found = match expand(&pattern, &self.store) {
            Err(error) if error.code() == ErrorCode::NOTHING_MATCHES => match self.treatment {
                EmptyMatchTreatment::Allow => Vec::new(),
                EmptyMatchTreatment::AllowIfWildcard if pattern.contains(['*', '?', '[']) => {
                    Vec::new()
                }
                _ => return Err(error),
            },
            other => other?,
        };
        let itself = Location::parse(&pattern)?;
        found.iter().try_for_each(|location| {
            // Shown, a URL is without the values of its query, which may be what opens it.
            let text = if *location == itself { pattern.clone() } else { location.to_string() };
            ctx.output((text, None))
        })
    }

    fn facts(&self) -> DoFnFacts {
        DoFnFacts::default().with_parameters(format!("{:?}", self.treatment))
    }
}

#[derive(Clone)]
struct ListShards {
    store: StoreOptions,
}

impl DoFn for ListShards {
    type In = String;
    type Out = Expected;

    fn process(&mut self, to: String, ctx: &mut ProcessContext<'_, Expected>) -> Result<()> {
        let Some(manifest) = Manifest::read(&to, &self.store)? else {
            let message = format!("`{to}` has no manifest");
            return Err(Error::new(ErrorCode::NOTHING_MATCHES, ErrorKind::NotFound, message)
                .mend("nothing was written there, or the write has not ended: run it again"));
        };
        let folder = Location::parse(&to)?.parent();
        for shard in manifest.shards {
            let location = match &folder {
                Some(folder) => folder.join(&shard.name).to_string(),
                None => shard.name,
            };
            ctx.output((location, Some(shard.size_bytes)))?;
        }
        Ok(())
    }
}

#[derive(Clone)]
struct AskForFacts {
    store: StoreOptions,
}

impl DoFn for AskForFacts {
    type In = Expected;
    type Out = FileMatch;

    fn process(&mut self, file: Expected, ctx: &mut ProcessContext<'_, FileMatch>) -> Result<()> {
        let (location, want) = file;
        let found = ObjectFile::open(&Location::parse(&location)?, &self.store);
        let found = found.map_err(|error| error.at("file", &location))?;
        let found = FileMatch::of(&location, &found);
        if let Some(size_bytes) = want.filter(|want| *want != found.size_bytes) {
            let has = found.size_bytes;
            let message = format!("the manifest says {size_bytes} bytes, the file has {has}");
            return Err(crate::fault::corrupt(message)
                .at("file", location)
                .mend("write the files again: something else has changed this one"));
        }
        ctx.output(found)
    }
}
