//! The bytes of the column chunks that are needed, and no more of each than a window.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use dataflow::error::Result;
use objects::ObjectFile;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

/// What all windows hold together, unless there are very many columns.
pub(crate) const HELD_BYTES: u64 = 32 << 20;
/// A window is never shorter than this: a request has its price.
const LEAST_BYTES: u64 = 64 << 10;

/// A Parquet file of which some column chunks are read, each from its start to its end.
///
/// The first windows of all chunks are fetched together; a chunk that fits its window, as most do,
/// is fetched once. What lies outside of the chunks, as the footer, is fetched as it is asked for.
#[derive(Clone)]
pub(crate) struct ColumnWindows(Arc<Shared>);

struct Shared {
    file: ObjectFile,
    window_bytes: u64,
    columns: Mutex<Vec<Column>>,
}

struct Column {
    range: Range<u64>,
    /// Where the window begins.
    start: u64,
    window: Bytes,
}

impl ColumnWindows {
    /// No chunks: for the footer.
    pub(crate) fn none(file: &ObjectFile) -> Self {
        let columns = Mutex::default();
        Self(Arc::new(Shared { file: file.clone(), window_bytes: LEAST_BYTES, columns }))
    }

    /// Fetches the beginnings of these chunks.
    pub(crate) fn fetch(file: &ObjectFile, chunks: Vec<Range<u64>>) -> Result<Self> {
        let window_bytes = (HELD_BYTES / chunks.len().max(1) as u64).max(LEAST_BYTES);
        let first = |chunk: &Range<u64>| chunk.start..chunk.end.min(chunk.start + window_bytes);
        let windows = file.fetch(chunks.iter().map(first).collect()).wait()?;
        let column =
            |(range, window): (Range<u64>, Bytes)| Column { start: range.start, range, window };
        let columns = Mutex::new(chunks.into_iter().zip(windows).map(column).collect());
        Ok(Self(Arc::new(Shared { file: file.clone(), window_bytes, columns })))
    }

    /// At least one byte from `start` on, and `want` if that many are asked for and there.
    fn bytes(&self, start: u64, want: u64) -> Result<Bytes> {
        let Shared { file, window_bytes, .. } = &*self.0;
        let mut columns = self.columns();
        let Some(column) = columns.iter_mut().find(|column| column.range.contains(&start)) else {
            drop(columns);
            return file.read(start..start + want);
        };
        let held = column.start..column.start + column.window.len() as u64;
        if !held.contains(&start) || held.end < start + want {
            let end = column.range.end.min(start + want.max(*window_bytes));
            column.window = file.read(start..end.max(start + want))?;
            column.start = start;
        }
        Ok(column.window.slice((start - column.start) as usize..))
    }

    fn columns(&self) -> MutexGuard<'_, Vec<Column>> {
        // A window is replaced in one step.
        self.0.columns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Length for ColumnWindows {
    fn len(&self) -> u64 {
        self.0.file.size_bytes()
    }
}

impl ChunkReader for ColumnWindows {
    type T = WindowRead;

    fn get_read(&self, start: u64) -> Result<WindowRead, ParquetError> {
        Ok(WindowRead { windows: self.clone(), at: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        let bytes = self.bytes(start, length as u64);
        let bytes = bytes.map_err(|error| ParquetError::External(Box::new(error)))?;
        Ok(bytes.slice(..length))
    }
}

/// Reads on from a place.
pub(crate) struct WindowRead {
    windows: ColumnWindows,
    at: u64,
}

impl Read for WindowRead {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.windows.len().saturating_sub(self.at);
        if left == 0 || out.is_empty() {
            return Ok(0);
        }
        let bytes = self.windows.bytes(self.at, 1).map_err(io::Error::other)?;
        let count = bytes.len().min(out.len());
        out[..count].copy_from_slice(&bytes[..count]);
        self.at += count as u64;
        Ok(count)
    }
}
