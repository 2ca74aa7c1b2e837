//! Elements that come in, as records of the engine.

use bytes::Bytes;
use dataflow::coder::Context;
use dataflow::error::Result;
use dataflow::shuffle::{Record, Records};
use dataflow::window::{PaneInfo, STAMP_BYTES, encode_stamp};

use super::descriptor::{Port, SideRead};
use super::incremental::{Incremental, Messages};
use crate::coder::{WireCoder, convert, decode_header};

/// The elements of a source, each once for every window that it is in.
pub(super) struct SourceRecords<'p, M> {
    port: &'p Port,
    input: Incremental<M>,
    /// The header of the element before, and the stamp it means: most have the same.
    last_header: Vec<u8>,
    last_stamp: Vec<u8>,
    /// Stamp and encoding of the element.
    head: Vec<u8>,
    /// The stamps of other windows of the element, encoded.
    others: Vec<Vec<u8>>,
    tail: Bytes,
}

impl<'p, M: Messages> SourceRecords<'p, M> {
    pub(super) fn new(port: &'p Port, messages: M) -> Self {
        Self {
            port,
            input: Incremental::new(messages),
            last_header: Vec::new(),
            last_stamp: Vec::new(),
            head: Vec::new(),
            others: Vec::new(),
            tail: Bytes::new(),
        }
    }
}

impl<M: Messages> Records for SourceRecords<'_, M> {
    fn advance(&mut self) -> Result<bool> {
        loop {
            if let Some(stamp) = self.others.pop() {
                self.head[..STAMP_BYTES].copy_from_slice(&stamp);
                return Ok(true);
            }
            let Self { port, input, last_header, last_stamp, head, others, .. } = self;
            let read = input.next(|input| {
                head.clear();
                others.clear();
                let is_same = !last_header.is_empty() && input.starts_with(last_header);
                if is_same {
                    *input = &input[last_header.len()..];
                    head.extend_from_slice(last_stamp);
                } else {
                    let before = *input;
                    let header = decode_header(&port.window, input)?;
                    for mut stamp in header.stamps() {
                        if port.is_grouped {
                            stamp.pane = PaneInfo::OnTime;
                        }
                        if port.ends_windows {
                            stamp.timestamp = stamp.window.max_timestamp();
                        }
                        let mut bytes = Vec::with_capacity(STAMP_BYTES);
                        encode_stamp(stamp, &mut bytes);
                        others.push(bytes);
                    }
                    let first = others.pop();
                    head.extend_from_slice(&first.clone().unwrap_or_default());
                    if let (true, Some(stamp)) = (others.is_empty(), first) {
                        *last_header = before[..before.len() - input.len()].to_vec();
                        *last_stamp = stamp;
                    }
                }
                let has_window = !head.is_empty();
                read_value(port, input, head)?;
                Ok(has_window)
            })?;
            match read {
                None => return Ok(false),
                Some(true) => return Ok(true),
                // An element in no window at all stands nowhere, as in Beam.
                Some(false) => {}
            }
        }
    }

    fn record(&self) -> Record<'_> {
        Record { key: &[], head: &self.head, tail: &self.tail }
    }
}

/// Appends our encoding of the value; its own bytes where nobody knows what it is.
fn read_value(port: &Port, input: &mut &[u8], head: &mut Vec<u8>) -> Result<()> {
    let (kind, context) = match &port.kind {
        Some(kind) => (kind, Context::Outer),
        None => (&port.coder, Context::Nested),
    };
    convert((&port.coder, Context::Nested), (kind, context), input, head)
}

/// The elements of a side input: keyed by window where they are pairs of a window and bytes.
pub(super) struct SideRecords<'p, M> {
    side: &'p SideRead,
    input: Incremental<M>,
    head: Vec<u8>,
    key_bytes: usize,
    tail: Bytes,
}

impl<'p, M: Messages> SideRecords<'p, M> {
    pub(super) fn new(side: &'p SideRead, messages: M) -> Self {
        let (input, tail) = (Incremental::new(messages), Bytes::new());
        Self { side, input, head: Vec::new(), key_bytes: 0, tail }
    }
}

impl<M: Messages> Records for SideRecords<'_, M> {
    fn advance(&mut self) -> Result<bool> {
        let Self { side, input, head, key_bytes, .. } = self;
        let SideRead { coder, kind, is_by_window, .. } = side;
        let read = input.next(|input| {
            head.clear();
            *key_bytes = 0;
            let (from, to) = ((coder, Context::Nested), (kind, Context::Outer));
            convert(from, to, input, head)?;
            if !is_by_window {
                return Ok(());
            }
            // The window is nested in the pair, after its length.
            let mut rest = &head[..];
            let bytes = (&WireCoder::Bytes, Context::Nested);
            let mut window = Vec::new();
            convert(bytes, (&WireCoder::Bytes, Context::Outer), &mut rest, &mut window)?;
            *key_bytes = window.len();
            window.extend_from_slice(rest);
            *head = window;
            Ok(())
        })?;
        Ok(read.is_some())
    }

    fn record(&self) -> Record<'_> {
        let (key, head) = self.head.split_at(self.key_bytes);
        Record { key, head, tail: &self.tail }
    }
}
