//! Messages of Arrow IPC, checked before the library believes their lengths.
//!
//! Arrow makes room for what a message says that its body is, and that a buffer decompresses to.
//! A damaged length there would end the process; here it ends the read.

use std::io::{BufRead, Read};

use arrow::buffer::Buffer;
use arrow::ipc::{Message, RecordBatch, root_as_message};
use dataflow::prelude::Result;

use crate::fault::{corrupt, read_failed};

/// How a message begins.
pub(crate) const CONTINUATION: [u8; 4] = [0xff; 4];
/// How a stream ends.
pub(crate) const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
/// The most that Zstandard makes of a byte: a block of 128 KiB may be four bytes long.
const LARGEST_RATIO: u64 = 32 << 10;
/// The most that one buffer is believed to decompress to.
const LARGEST_BUFFER_BYTES: u64 = 4 << 30;
/// Compressed buffers begin with the length of what they decompress to.
const LENGTH_BYTES: usize = 8;

pub(crate) const DOING: &str = "cannot read Arrow IPC";
pub(crate) const CUT_SHORT: &str = "copy the file again: it may be cut short or damaged";

/// Reads the next message of a stream, its marks included; `None` at the end of the stream.
///
/// `left_bytes` is what the file still has; it is made less by what was read.
///
/// # Errors
/// A message that would reach beyond the file, or that makes no sense; a store that fails.
pub(crate) fn next_message(
    stream: &mut impl BufRead,
    left_bytes: &mut u64,
) -> Result<Option<Buffer>> {
    if stream.fill_buf().map_err(|error| read_failed(DOING, error))?.is_empty() {
        return Ok(None);
    }
    let mut message = Vec::new();
    take(stream, 4, left_bytes, &mut message)?;
    if message == CONTINUATION {
        take(stream, 4, left_bytes, &mut message)?;
    }
    let length = message.last_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    if length == 0 {
        return Ok(None);
    }
    let metadata_at = message.len();
    take(stream, length.into(), left_bytes, &mut message)?;
    let body_length = root_as_message(&message[metadata_at..]).map(|message| message.bodyLength());
    let body_length = body_length
        .map_err(|why| corrupt(format!("a message makes no sense: {why}")).mend(CUT_SHORT))?;
    let body_at = message.len();
    let body_length = u64::try_from(body_length);
    let body_length =
        body_length.map_err(|_| corrupt("a message has a negative length").mend(CUT_SHORT))?;
    take(stream, body_length, left_bytes, &mut message)?;
    check_message(&message, body_at)?;
    Ok(Some(Buffer::from_vec(message)))
}

/// Appends `length` bytes of the stream, which must have them.
fn take(
    stream: &mut impl BufRead,
    length: u64,
    left_bytes: &mut u64,
    out: &mut Vec<u8>,
) -> Result<()> {
    let cut_short = || corrupt("a message reaches beyond the end of the file").mend(CUT_SHORT);
    *left_bytes = left_bytes.checked_sub(length).ok_or_else(cut_short)?;
    let read = stream.take(length).read_to_end(out).map_err(|error| read_failed(DOING, error))?;
    if read as u64 == length { Ok(()) } else { Err(cut_short()) }
}

/// Makes sure that the buffers of a message, whose body begins at `body_at`, can be what it says.
///
/// A message that makes no sense otherwise is left to the library, which refuses it.
///
/// # Errors
/// A buffer that would decompress to more than any compression makes of it.
pub(crate) fn check_message(bytes: &[u8], body_at: usize) -> Result<()> {
    let metadata_at = if bytes.starts_with(&CONTINUATION) { 8 } else { 4 };
    let Some(metadata) = bytes.get(metadata_at..body_at) else {
        return Err(corrupt("a message is shorter than its head").mend(CUT_SHORT));
    };
    let Ok(message) = root_as_message(metadata) else { return Ok(()) };
    let Some(batch) = batch_of(&message).filter(|batch| batch.compression().is_some()) else {
        return Ok(());
    };
    let body = &bytes[body_at..];
    for buffer in batch.buffers().iter().flatten() {
        let (Ok(start), Ok(length)) =
            (usize::try_from(buffer.offset()), usize::try_from(buffer.length()))
        else {
            return Err(corrupt("a buffer lies outside of its message").mend(CUT_SHORT));
        };
        let prefix = body.get(start..).and_then(|rest| rest.first_chunk::<LENGTH_BYTES>());
        let Some(prefix) = prefix.filter(|_| length >= LENGTH_BYTES) else { continue };
        // -1 says that the buffer is not compressed.
        let Ok(becomes) = u64::try_from(i64::from_le_bytes(*prefix)) else { continue };
        let compressed = (length - LENGTH_BYTES) as u64;
        let most = compressed.saturating_mul(LARGEST_RATIO).min(LARGEST_BUFFER_BYTES);
        if becomes > most {
            let message =
                format!("a buffer of {length} bytes says that it decompresses to {becomes}");
            return Err(corrupt(message).mend(CUT_SHORT));
        }
    }
    Ok(())
}

fn batch_of<'a>(message: &Message<'a>) -> Option<RecordBatch<'a>> {
    message
        .header_as_record_batch()
        .or_else(|| message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, RecordBatch as Rows};
    use arrow::ipc::CompressionType;
    use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

    use super::*;

    fn stream() -> Vec<u8> {
        let column = Arc::new(Int64Array::from(vec![7; 4096])) as _;
        let batch = Rows::try_from_iter([("n", column)]).expect("a column");
        let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD));
        let options = options.expect("compression");
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options)
            .expect("begins");
        writer.write(&batch).expect("takes");
        writer.into_inner().expect("ends")
    }

    fn messages(bytes: &[u8]) -> Result<usize> {
        let (mut stream, mut left_bytes, mut count) = (bytes, bytes.len() as u64, 0);
        while next_message(&mut stream, &mut left_bytes)?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    #[test]
    fn lengths_that_cannot_be_are_refused() {
        let whole = stream();
        assert_eq!(messages(&whole), Ok(2), "a schema and a batch");
        let length = (4096u64 * 8).to_le_bytes();
        let at = whole.windows(8).position(|bytes| bytes == length).expect("the length");
        for (value, is_fine) in [(1u64 << 15, true), (1 << 40, false), (1 << 33, false)] {
            let mut bytes = whole.clone();
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
            assert_eq!(messages(&bytes).is_ok(), is_fine, "{value}");
        }
        for length in (5..whole.len() - 8).step_by(3) {
            // A stream may end between two messages.
            let is_between = messages(&whole[..length]) == Ok(1);
            assert!(is_between || messages(&whole[..length]).is_err(), "{length}");
        }
    }
}
