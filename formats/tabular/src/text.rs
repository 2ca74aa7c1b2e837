//! Text: one element a line.

use std::io::Write;

use dataflow::prelude::Result;
use objects::ObjectFile;

use crate::compression::{Compression, Encoder};
use crate::fault::{corrupt, unwritten, write_failed};
use crate::lines::{Line, LineRules};
use crate::read::{FileFormat, FileSplit, ReadFiles};
use crate::write::{FileSink, RecordWriter, ShardFile, WriteFiles};

/// Reads the lines of text files, one element a line, without their ends.
///
/// A line ends with `\n` or `\r\n`; the last one needs no end. A byte order mark at the start is
/// left out. Compressed files (gzip, zstd, bzip2) are recognised by how they begin. Uncompressed
/// ones are read by ranges of bytes, in parallel; compressed ones whole.
///
/// A line that is no UTF-8 is an error with file and byte; [`ReadText::as_bytes`] takes any bytes.
/// Memory: a few blocks of 2 MiB, and the longest line.
///
/// ```no_run
/// use dataflow::prelude::*;
/// use tabular::ReadText;
/// let pipeline = Pipeline::new();
/// let lines: PCollection<String> = pipeline.apply(ReadText::new().from("logs/*.txt.gz"));
/// ```
pub type ReadText = ReadFiles<TextLines>;

/// Reads the lines of files as bytes, one element a line; else as [`ReadText`].
pub type ReadTextBytes = ReadFiles<ByteLines>;

impl ReadText {
    /// Reads all lines of UTF-8.
    pub fn new() -> Self {
        Self::of(TextLines::default())
    }

    /// Leaves out so many lines at the start of each file.
    #[must_use]
    pub fn with_skip_header_lines(mut self, count: u64) -> Self {
        self.format.0.skip_header_lines = count;
        self
    }

    /// Refuses lines that are longer; the limit is 8 MiB unless this is called.
    #[must_use]
    pub fn with_max_line_bytes(mut self, bytes: usize) -> Self {
        self.format.0.max_line_bytes = bytes;
        self
    }

    /// Takes lines as they are, of any bytes.
    #[must_use]
    pub fn as_bytes(self) -> ReadTextBytes {
        self.map(|TextLines(rules)| ByteLines(rules))
    }
}

impl Default for ReadText {
    fn default() -> Self {
        Self::new()
    }
}

/// The format of [`ReadText`].
#[derive(Debug, Clone, Default)]
pub struct TextLines(LineRules);

impl FileFormat for TextLines {
    type Out = String;

    fn name(&self) -> &'static str {
        "ReadText"
    }

    fn parameters(&self) -> String {
        format!("{:?}", self.0)
    }

    fn working_bytes(&self) -> u64 {
        self.0.working_bytes()
    }

    fn split(&self, file: &ObjectFile, split_bytes: u64) -> Result<Vec<FileSplit>> {
        self.0.split(file, split_bytes)
    }

    fn read(
        &self,
        file: &ObjectFile,
        split: FileSplit,
        out: &mut dyn FnMut(String) -> Result<()>,
    ) -> Result<()> {
        self.0.read(file, split, &mut |line| out(text_of(line)?.to_owned()))
    }
}

/// The text of a line.
fn text_of(line: Line<'_>) -> Result<&str> {
    str::from_utf8(line.bytes).map_err(|why| {
        let bad = &line.bytes[why.valid_up_to()..];
        let shown: Vec<String> = bad.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let error = corrupt(format!("a line is no UTF-8: it goes on with {}", shown.join(" ")));
        let error = error
            .at("byte", line.offset + why.valid_up_to() as u64)
            .mend("convert the file to UTF-8, or read it with `as_bytes` and decode it yourself");
        match line.number {
            Some(number) => error.at("line", number),
            None => error,
        }
    })
}

/// The format of [`ReadTextBytes`].
#[derive(Debug, Clone, Default)]
pub struct ByteLines(LineRules);

impl FileFormat for ByteLines {
    type Out = Vec<u8>;

    fn name(&self) -> &'static str {
        "ReadTextBytes"
    }

    fn parameters(&self) -> String {
        format!("{:?}", self.0)
    }

    fn working_bytes(&self) -> u64 {
        self.0.working_bytes()
    }

    fn split(&self, file: &ObjectFile, split_bytes: u64) -> Result<Vec<FileSplit>> {
        self.0.split(file, split_bytes)
    }

    fn read(
        &self,
        file: &ObjectFile,
        split: FileSplit,
        out: &mut dyn FnMut(Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        self.0.read(file, split, &mut |line| out(line.bytes.to_vec()))
    }
}

/// Writes strings as lines of text files, each with `\n` behind it.
///
/// A string that has a line end of its own would be read as two, and is refused. See
/// [`WriteFiles`] for shards, order and manifest.
///
/// ```no_run
/// # use dataflow::prelude::*;
/// use tabular::{Compression, WriteText};
/// let pipeline = Pipeline::new();
/// let words = pipeline.apply(Create::of(["to".to_owned(), "be".to_owned()]));
/// words.apply(WriteText::to("out/words").with_num_shards(2).with_compression(Compression::Gzip));
/// // out/words-00000-of-00002.txt.gz, out/words-00001-of-00002.txt.gz, out/.words.manifest.json
/// ```
pub type WriteText = WriteFiles<TextSink>;

impl WriteText {
    /// Writes to shards whose names begin so.
    pub fn to(prefix: impl Into<String>) -> Self {
        Self::of(TextSink::default(), prefix)
    }

    /// Puts these lines before those of each shard, and a line end after them.
    #[must_use]
    pub fn with_header(self, header: impl Into<String>) -> Self {
        self.map(|sink| sink.header = Some(header.into()))
    }

    /// Puts these lines behind those of each shard, and a line end after them.
    #[must_use]
    pub fn with_footer(self, footer: impl Into<String>) -> Self {
        self.map(|sink| sink.footer = Some(footer.into()))
    }

    /// Compresses each shard.
    #[must_use]
    pub fn with_compression(self, compression: Compression) -> Self {
        self.map(|sink| sink.compression = compression)
    }
}

/// The format of [`WriteText`].
#[derive(Debug, Clone, Default)]
pub struct TextSink {
    compression: Compression,
    header: Option<String>,
    footer: Option<String>,
}

impl FileSink for TextSink {
    type In = String;

    fn name(&self) -> &'static str {
        "WriteText"
    }

    fn format(&self) -> String {
        format!("text, {}", self.compression)
    }

    fn suffix(&self) -> String {
        format!(".txt{}", self.compression.suffix())
    }

    fn parameters(&self) -> String {
        format!("{self:?}")
    }

    fn working_bytes(&self) -> u64 {
        STREAM_BYTES
    }

    fn open(&self, file: ShardFile) -> Result<Box<dyn RecordWriter<String>>> {
        let mut out = Encoder::new(self.compression, file).map_err(write_failed)?;
        if let Some(header) = &self.header {
            writeln!(out, "{header}").map_err(write_failed)?;
        }
        Ok(Box::new(TextWriter { out, footer: self.footer.clone() }))
    }
}

/// What compressing a stream takes; bzip2 takes the most.
pub(crate) const STREAM_BYTES: u64 = 8 << 20;

struct TextWriter {
    out: Encoder<ShardFile>,
    footer: Option<String>,
}

impl RecordWriter<String> for TextWriter {
    fn write(&mut self, line: &String) -> Result<()> {
        if line.contains('\n') || line.ends_with('\r') {
            let head: String = line.chars().take(80).collect();
            return Err(
                unwritten("it has a line end of its own").at("element", format_args!("{head:?}"))
            );
        }
        self.out.write_all(line.as_bytes()).map_err(write_failed)?;
        self.out.write_all(b"\n").map_err(write_failed)
    }

    fn finish(mut self: Box<Self>) -> Result<ShardFile> {
        if let Some(footer) = &self.footer {
            writeln!(self.out, "{footer}").map_err(write_failed)?;
        }
        self.out.finish().map_err(write_failed)
    }
}
