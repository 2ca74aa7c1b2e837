//! The transform that reads files of any format.

use dataflow::dofn::DoFnFacts;
use dataflow::prelude::{
    DoFn, PCollection, PTransform, ParDo, Pipeline, ProcessContext, Reshuffle, Result,
};
use objects::StoreOptions;

use super::format::{FileFormat, FileSplit};
use crate::files::{EmptyMatchTreatment, FileMatch, MatchFiles};

/// Bytes of a split unless something else is asked for: enough work to be worth a bundle.
const SPLIT_BYTES: u64 = 32 << 20;

/// Reads files that were matched, or with [`ReadFiles::from`] those of a pattern.
///
/// Files are cut into splits, which are spread over all threads; nothing has an order. A file that
/// changes between match and read is an error.
#[derive(Debug, Clone)]
pub struct ReadFiles<F> {
    pub(crate) format: F,
    split_bytes: u64,
    store: StoreOptions,
}

impl<F: FileFormat> ReadFiles<F> {
    /// Reads files of this format.
    pub fn of(format: F) -> Self {
        Self { format, split_bytes: SPLIT_BYTES, store: StoreOptions::default() }
    }

    /// Sets the length of a split, at least one byte; what it is for a format, its docs say.
    #[must_use]
    pub fn with_split_bytes(mut self, bytes: u64) -> Self {
        self.split_bytes = bytes.max(1);
        self
    }

    /// Says how the store is reached.
    #[must_use]
    pub fn with_store_options(mut self, store: StoreOptions) -> Self {
        self.store = store;
        self
    }

    /// Matches this pattern and reads the files that it matches.
    #[must_use]
    pub fn from(self, pattern: impl Into<String>) -> ReadFrom<F> {
        let files = MatchFiles::of(pattern).with_store_options(self.store.clone());
        ReadFrom { files, read: self }
    }

    /// The same transform for another format.
    pub(crate) fn map<G>(self, change: impl FnOnce(F) -> G) -> ReadFiles<G> {
        let Self { format, split_bytes, store } = self;
        ReadFiles { format: change(format), split_bytes, store }
    }
}

impl<F: FileFormat> PTransform<PCollection<FileMatch>> for ReadFiles<F> {
    type Output = PCollection<F::Out>;

    fn name(&self) -> String {
        self.format.name().to_owned()
    }

    fn expand(self, files: PCollection<FileMatch>) -> Self::Output {
        let Self { format, split_bytes, store } = self;
        let split = SplitFiles { format: format.clone(), split_bytes, store: store.clone() };
        files
            .apply_named("Split", ParDo::of(split))
            .apply(Reshuffle)
            .apply_named("Read", ParDo::of(ReadSplits { format, store }))
    }
}

/// Matches a pattern and reads the files that it matches.
#[derive(Debug, Clone)]
pub struct ReadFrom<F> {
    files: MatchFiles,
    read: ReadFiles<F>,
}

impl<F> ReadFrom<F> {
    /// Says what it means that no file matches; an error unless this is called.
    #[must_use]
    pub fn with_empty_match_treatment(mut self, treatment: EmptyMatchTreatment) -> Self {
        self.files = self.files.with_empty_match_treatment(treatment);
        self
    }
}

impl<F: FileFormat> PTransform<Pipeline> for ReadFrom<F> {
    type Output = PCollection<F::Out>;

    fn name(&self) -> String {
        self.read.format.name().to_owned()
    }

    fn expand(self, pipeline: Pipeline) -> Self::Output {
        pipeline.apply(self.files).apply_named("ReadFiles", self.read)
    }
}

/// Cuts files into splits.
#[derive(Clone)]
struct SplitFiles<F> {
    format: F,
    split_bytes: u64,
    store: StoreOptions,
}

impl<F: FileFormat> DoFn for SplitFiles<F> {
    type In = FileMatch;
    type Out = (FileMatch, FileSplit);

    fn process(&mut self, file: FileMatch, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let splits = file.open(&self.store).and_then(|open| {
            if open.size_bytes() == 0 {
                Ok(Vec::new())
            } else {
                self.format.split(&open, self.split_bytes)
            }
        });
        let splits = splits.map_err(|error| error.at("file", &file.location))?;
        splits.into_iter().try_for_each(|split| ctx.output((file.clone(), split)))
    }

    fn facts(&self) -> DoFnFacts {
        // Where files are cut changes no result.
        DoFnFacts::default().with_parameters(self.format.parameters())
    }
}

/// Puts out the records of splits.
#[derive(Clone)]
struct ReadSplits<F> {
    format: F,
    store: StoreOptions,
}

impl<F: FileFormat> DoFn for ReadSplits<F> {
    type In = (FileMatch, FileSplit);
    type Out = F::Out;

    fn process(&mut self, part: Self::In, ctx: &mut ProcessContext<'_, F::Out>) -> Result<()> {
        let (file, split) = part;
        let open = file.open(&self.store)?;
        // What fails downstream is not a matter of this file.
        let mut downstream = None;
        let read = self.format.read(&open, split, &mut |record| {
            ctx.output(record).inspect_err(|error| downstream = Some(error.clone()))
        });
        match (read, downstream) {
            (_, Some(error)) => Err(error),
            (read, None) => read.map_err(|error| error.at("file", &file.location)),
        }
    }

    fn facts(&self) -> DoFnFacts {
        DoFnFacts::default()
            .with_parameters(self.format.parameters())
            .with_working_bytes(self.format.working_bytes())
    }
}
