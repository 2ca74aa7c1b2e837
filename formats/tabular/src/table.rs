//! Record batches as elements.

use std::ops::Deref;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::Schema;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use dataflow::Element;
use dataflow::coder::{
    Coder, CoderKind, Context, Preview, malformed, put_prefixed, take_prefixed, unencodable,
};
use dataflow::error::Result;

use crate::fault::invalid;

const KIND: &str = "arrow_table";

/// Some rows of named columns: an Arrow [`RecordBatch`] that can flow through a pipeline.
///
/// Clones share the columns.
///
/// ```
/// use std::sync::Arc;
/// use arrow::array::{Int64Array, RecordBatch};
/// use tabular::Table;
/// let column = Arc::new(Int64Array::from(vec![1, 2])) as _;
/// let batch = RecordBatch::try_from_iter([("n", column)]).expect("one column");
/// assert_eq!(Table(batch).num_rows(), 2);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Table(pub RecordBatch);

impl Deref for Table {
    type Target = RecordBatch;

    fn deref(&self) -> &RecordBatch {
        &self.0
    }
}

impl From<RecordBatch> for Table {
    fn from(batch: RecordBatch) -> Self {
        Self(batch)
    }
}

impl Element for Table {
    type Coder = TableCoder;

    fn coder() -> TableCoder {
        TableCoder
    }

    /// Of a slice, all of what it is a slice of: that is what it keeps in memory.
    fn heap_bytes(&self) -> usize {
        self.0.get_array_memory_size()
    }
}

/// Encodes a [`Table`] as an Arrow IPC stream: the schema, one record batch, the end.
///
/// Not deterministic, so that no table can be a grouping key: what lies below a null, and how a
/// dictionary is filled, differs in bytes between equal tables. Encoding what was decoded gives
/// the same bytes again.
///
/// Source: Arrow columnar format, "IPC Streaming Format",
/// <https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format>.
#[derive(Debug, Clone, Copy)]
pub struct TableCoder;

impl Coder<Table> for TableCoder {
    fn kind(&self) -> CoderKind {
        CoderKind::Opaque(KIND.to_owned())
    }

    fn is_deterministic(&self) -> bool {
        false
    }

    fn encode(&self, table: &Table, context: Context, out: &mut Vec<u8>) -> Result<()> {
        put_prefixed(context, out, |out| {
            out.extend_from_slice(&stream_of(table)?);
            Ok(())
        })
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<Table> {
        table_of(Bytes::copy_from_slice(take_prefixed(context, input, KIND)?))
    }

    fn preview(&self, table: &Table, out: &mut Preview) {
        let names: Vec<_> = table.schema_ref().fields().iter().map(|f| f.name().clone()).collect();
        out.push_display(&format_args!("{} rows of {}", table.num_rows(), names.join(", ")));
    }

    /// All of it is tail: the shuffle does not copy it.
    fn encode_shared(&self, table: &Table, _: &mut Vec<u8>) -> Result<Bytes> {
        stream_of(table).map(Bytes::from)
    }

    /// The columns share the tail where it is aligned.
    fn decode_shared(&self, head: &[u8], tail: Bytes) -> Result<Table> {
        match head {
            [] => table_of(tail),
            head => table_of([head, &tail[..]].concat().into()),
        }
    }
}

/// Makes sure that a table has the columns that a file was declared to have.
///
/// # Errors
/// A column of another name, type or place.
pub(crate) fn check_schema(table: &Table, want: &Schema) -> Result<()> {
    if table.schema_ref().fields() == want.fields() {
        return Ok(());
    }
    let shown = |schema: &Schema| {
        let fields = schema.fields().iter().map(|field| {
            let null = if field.is_nullable() { "" } else { " not null" };
            format!("{} {}{null}", field.name(), field.data_type())
        });
        fields.collect::<Vec<_>>().join(", ")
    };
    let message =
        format!("a table of {} where {} was declared", shown(table.schema_ref()), shown(want));
    Err(invalid(message).mend("cast the columns of the table, or declare its schema"))
}

fn stream_of(table: &Table) -> Result<Vec<u8>> {
    let refused = |why: arrow::error::ArrowError| unencodable(KIND, &why.to_string());
    let mut stream = StreamWriter::try_new(Vec::new(), table.schema_ref()).map_err(refused)?;
    stream.write(&table.0).map_err(refused)?;
    stream.into_inner().map_err(refused)
}

fn table_of(bytes: Bytes) -> Result<Table> {
    let refused = |why: arrow::error::ArrowError| malformed(KIND, &why.to_string());
    let mut buffer = Buffer::from(bytes);
    let mut decoder = StreamDecoder::new();
    let batch = decoder.decode(&mut buffer).map_err(refused)?;
    let Some(batch) = batch else { return Err(malformed(KIND, "there is no record batch")) };
    // What is left is the mark of the end, or another batch that must not be lost.
    match decoder.decode(&mut buffer).map_err(refused)? {
        None if buffer.is_empty() => Ok(Table(batch)),
        None => Err(malformed(KIND, &format!("{} bytes follow the table", buffer.len()))),
        Some(_) => Err(malformed(KIND, "a second record batch follows the table")),
    }
}

#[cfg(test)]
mod tests;
