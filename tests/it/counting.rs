//! Counts words into a collection that is read from where the run has left it: more of them than memory holds.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use levain::dataflow::runner::NoObserver;
use levain::prelude::*;

/// Writes a line with count and word for every word of the files.
pub(crate) fn run(
    files: Vec<PathBuf>,
    runner: &DirectRunner,
    options: &RunOptions,
    out: &mut dyn Write,
) -> Result<JobReport> {
    let pipeline = Pipeline::new();
    let ranges = pipeline.apply(Create::of(split(&files)?));
    let words = ranges.apply(ParDo::of(ReadWords(Arc::new(files))));
    let counts = words.apply(Count::per_element()).collect();

    let report = pipeline.run_with(runner, options, &NoObserver)?;
    let mut out = BufWriter::new(out);
    // The counts are read from where the run has left them: they may be more than memory holds.
    for counted in report.get(&counts)?.try_iter() {
        let (word, count) = counted?;
        writeln!(out, "{count} {word}")?;
    }
    out.flush()?;
    Ok(report)
}

/// A part of a file: the place of the file, where the part begins and where it ends.
type FileRange = (u32, u64, u64);

const RANGE_BYTES: usize = 4 << 20;

/// Cuts all files into ranges, which are read side by side.
fn split(files: &[PathBuf]) -> Result<Vec<FileRange>> {
    let mut ranges = Vec::new();
    for (index, file) in (0u32..).zip(files) {
        let length = std::fs::metadata(file)
            .map_err(|error| Error::from(error).at("file", file.display()))?
            .len();
        let starts = (0..length).step_by(RANGE_BYTES);
        ranges.extend(starts.map(|at| (index, at, length.min(at + RANGE_BYTES as u64))));
    }
    Ok(ranges)
}

/// Puts out the words of the lines that begin in a range.
#[derive(Clone)]
struct ReadWords(Arc<Vec<PathBuf>>);

impl DoFn for ReadWords {
    type In = FileRange;
    type Out = String;

    fn process(&mut self, range: FileRange, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        let file = &self.0[range.0 as usize];
        read_words(file, range.1..range.2, ctx).map_err(|error| error.at("file", file.display()))
    }
}

fn read_words(file: &Path, range: Range<u64>, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
    let mut reader = BufReader::new(File::open(file)?);
    let (mut at, mut line) = (range.start, Vec::new());
    if at > 0 {
        // The line that is under way at the start belongs to the range before.
        reader.seek(SeekFrom::Start(at - 1))?;
        at += reader.read_until(b'\n', &mut line)? as u64 - 1;
    }
    while at < range.end {
        line.clear();
        match reader.read_until(b'\n', &mut line)? {
            // The file has become shorter since its ranges were made.
            0 => break,
            length => at += length as u64,
        }
        let text = String::from_utf8_lossy(&line);
        text.split_ascii_whitespace().try_for_each(|word| ctx.output(word.to_owned()))?;
    }
    Ok(())
}
