//! Arrow IPC: tables, read by record batches.

use std::sync::Arc;

use arrow::buffer::Buffer;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileDecoder, StreamDecoder, read_footer_length};
use arrow::ipc::{Block, Footer, convert::try_fb_to_schema, root_as_footer};
use bytes::Bytes;
use dataflow::error::{Error, ErrorCode, ErrorKind};
use dataflow::prelude::Result;
use objects::ObjectFile;

use crate::fault::{arrow_failed, corrupt, guarded};
use crate::ipc_message::{CONTINUATION, CUT_SHORT, DOING, END, check_message, next_message};
use crate::parquet_read::unknown_column;
use crate::read::{BlockReader, FileFormat, FileSplit, ReadFiles};
use crate::table::Table;

/// How a file with a footer begins, and how it ends.
const MAGIC: &[u8] = b"ARROW1";
/// The length of the footer, and the magic.
const TRAILER_BYTES: u64 = 10;
/// A record batch that others have written is as long as they liked; ours are some megabytes.
const BATCH_BYTES: u64 = 64 << 20;

/// Reads Arrow IPC files as [`Table`]s, one a record batch.
///
/// Files with a footer (`.arrow`, Feather 2) are read by runs of record batches, in parallel;
/// streams (`.arrows`) whole. Which it is, the first bytes say. Memory: one record batch, as long
/// as it was written.
///
/// Source: Arrow columnar format, "IPC File Format",
/// <https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format>.
pub type ReadArrow = ReadFiles<ArrowTables>;

impl ReadArrow {
    /// Reads all columns.
    pub fn new() -> Self {
        Self::of(ArrowTables { columns: None })
    }

    /// Keeps these columns only; they come in the order of the names.
    ///
    /// Record batches are fetched whole all the same. A name that a file does not have is an error.
    #[must_use]
    pub fn with_columns<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.format.columns = Some(names.into_iter().map(Into::into).collect());
        self
    }
}

impl Default for ReadArrow {
    fn default() -> Self {
        Self::new()
    }
}

/// The format of [`ReadArrow`].
#[derive(Debug, Clone)]
pub struct ArrowTables {
    columns: Option<Vec<String>>,
}

impl FileFormat for ArrowTables {
    type Out = Table;

    fn name(&self) -> &'static str {
        "ReadArrow"
    }

    fn parameters(&self) -> String {
        format!("{self:?}")
    }

    fn working_bytes(&self) -> u64 {
        BlockReader::WORKING_BYTES + 2 * BATCH_BYTES
    }

    fn split(&self, file: &ObjectFile, split_bytes: u64) -> Result<Vec<FileSplit>> {
        let head = file.read(0..file.size_bytes().min(8))?;
        if head.starts_with(&CONTINUATION) {
            return Ok(vec![FileSplit::whole(file.size_bytes())]);
        }
        if !head.starts_with(MAGIC) {
            let message = "this is neither a file nor a stream of Arrow IPC";
            return Err(Error::new(ErrorCode::UNKNOWN_FORMAT, ErrorKind::Corrupt, message).mend(
                "files begin with ARROW1; CSV, Parquet and text have transforms of their own",
            ));
        }
        let index = Index::read(file)?;
        self.projection(&index.schema)?;
        let (mut splits, mut start, mut held) = (Vec::new(), 0, 0);
        for (place, block) in (0u64..).zip(&index.batches) {
            held += length_of(block)?;
            if held >= split_bytes {
                splits.push(FileSplit::part(start, place + 1));
                (start, held) = (place + 1, 0);
            }
        }
        let end = index.batches.len() as u64;
        if start < end {
            splits.push(FileSplit::part(start, end));
        }
        Ok(splits)
    }

    fn read(
        &self,
        file: &ObjectFile,
        split: FileSplit,
        out: &mut dyn FnMut(Table) -> Result<()>,
    ) -> Result<()> {
        if split.is_whole {
            self.read_stream(file, out)
        } else {
            self.read_batches(file, split, out)
        }
    }
}

impl ArrowTables {
    fn read_stream(
        &self,
        file: &ObjectFile,
        out: &mut dyn FnMut(Table) -> Result<()>,
    ) -> Result<()> {
        let (mut stream, mut left_bytes) = (BlockReader::whole(file), file.size_bytes());
        let (mut decoder, mut projection) = (StreamDecoder::new(), None);
        let (mut place, mut is_over) = (0u64, false);
        while !is_over {
            let next = next_message(&mut stream, &mut left_bytes)?;
            is_over = next.is_none();
            // A batch without a body is given out when more follows: at the end, its mark.
            let mut message = next.unwrap_or_else(|| Buffer::from(END));
            while !message.is_empty() {
                let batch = guarded(DOING, || decoder.decode(&mut message).map_err(failed));
                let batch = batch.map_err(|error| error.at("record batch", place))?;
                // The schema comes first, in a message of its own.
                if let Some(schema) = decoder.schema().filter(|_| projection.is_none()) {
                    projection = Some(self.projection(&schema)?);
                }
                let Some(batch) = batch else { continue };
                place += 1;
                out(Table(match projection.as_ref().and_then(Option::as_ref) {
                    Some(places) => batch.project(places).map_err(failed)?,
                    None => batch,
                }))?;
            }
        }
        Ok(())
    }

    fn read_batches(
        &self,
        file: &ObjectFile,
        split: FileSplit,
        out: &mut dyn FnMut(Table) -> Result<()>,
    ) -> Result<()> {
        let index = Index::read(file)?;
        let mut decoder = FileDecoder::new(Arc::clone(&index.schema), index.version);
        if let Some(places) = self.projection(&index.schema)? {
            decoder = decoder.with_projection(places);
        }
        for block in &index.dictionaries {
            let bytes = Buffer::from(fetch(file, block)?);
            guarded(DOING, || decoder.read_dictionary(block, &bytes).map_err(failed))?;
        }
        for place in split.start..split.end {
            let read = || -> Result<_> {
                let block = index.batches.get(place as usize);
                let block = block.ok_or_else(|| corrupt("there are fewer record batches"))?;
                let bytes = Buffer::from(fetch(file, block)?);
                guarded(DOING, || decoder.read_record_batch(block, &bytes).map_err(failed))
            };
            if let Some(batch) = read().map_err(|error| error.at("record batch", place))? {
                out(Table(batch))?;
            }
        }
        Ok(())
    }

    fn projection(&self, schema: &Schema) -> Result<Option<Vec<usize>>> {
        let Some(names) = &self.columns else { return Ok(None) };
        let fields = schema.fields();
        let place = |name: &String| {
            let place = fields.iter().position(|field| field.name() == name);
            place.ok_or_else(|| unknown_column(name, fields))
        };
        names.iter().map(place).collect::<Result<Vec<_>>>().map(Some)
    }
}

/// What the footer of a file says.
struct Index {
    schema: Arc<Schema>,
    version: arrow::ipc::MetadataVersion,
    dictionaries: Vec<Block>,
    batches: Vec<Block>,
}

impl Index {
    fn read(file: &ObjectFile) -> Result<Self> {
        let size_bytes = file.size_bytes();
        let cut_short = || corrupt("the file is too short to have a footer").mend(CUT_SHORT);
        let trailer_start = size_bytes.checked_sub(TRAILER_BYTES).ok_or_else(cut_short)?;
        let trailer = file.read(trailer_start..size_bytes)?;
        let trailer = trailer[..].try_into().map_err(|_| cut_short())?;
        let length = read_footer_length(trailer).map_err(failed)?;
        let start = trailer_start.checked_sub(length as u64).ok_or_else(cut_short)?;
        let footer = file.read(start..trailer_start)?;
        guarded(DOING, || {
            let footer = root_as_footer(&footer)
                .map_err(|why| corrupt(format!("the footer is damaged: {why}")).mend(CUT_SHORT))?;
            Self::of(&footer)
        })
    }

    fn of(footer: &Footer<'_>) -> Result<Self> {
        let none = || corrupt("the footer names no schema").mend(CUT_SHORT);
        let schema = footer.schema().ok_or_else(none)?;
        if !schema.endianness().equals_to_target_endianness() {
            let message = "the file was written on a machine of the other byte order";
            let error = Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message);
            return Err(error.mend("write it again with little endian buffers"));
        }
        Ok(Self {
            schema: Arc::new(try_fb_to_schema(schema).map_err(failed)?),
            version: footer.version(),
            dictionaries: footer.dictionaries().iter().flatten().copied().collect(),
            batches: footer.recordBatches().iter().flatten().copied().collect(),
        })
    }
}

fn failed(error: ArrowError) -> Error {
    arrow_failed(DOING, error)
}

fn length_of(block: &Block) -> Result<u64> {
    let parts = (u64::try_from(block.metaDataLength()), u64::try_from(block.bodyLength()));
    let (Ok(metadata), Ok(body)) = parts else {
        return Err(corrupt("a record batch has a negative length").mend(CUT_SHORT));
    };
    metadata.checked_add(body).ok_or_else(|| corrupt("a record batch is too long").mend(CUT_SHORT))
}

fn fetch(file: &ObjectFile, block: &Block) -> Result<Bytes> {
    let start = u64::try_from(block.offset());
    let start = start.map_err(|_| corrupt("a record batch begins before the file"))?;
    let end = start.checked_add(length_of(block)?);
    let bytes = file.read(start..end.ok_or_else(|| corrupt("a record batch is too long"))?)?;
    check_message(&bytes, usize::try_from(block.metaDataLength()).unwrap_or(usize::MAX))?;
    Ok(bytes)
}
