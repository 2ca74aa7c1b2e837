//! Elements that go out.

use std::sync::Arc;

use dataflow::coder::Context;
use dataflow::error::Result;
use dataflow::shuffle::{EdgeId, Prepared, Record, RecordSink};
use dataflow::window::{STAMP_BYTES, decode_stamp};

use super::data::DataPlane;
use super::descriptor::Port;
use crate::coder::{WireCoder, convert, encode_header};

/// A message is sent when it has so many bytes: large enough to be few, small enough for any server.
const MESSAGE_BYTES: usize = 1 << 20;

/// Encodes elements as the runner wants them, and sends them.
pub(super) struct WireSink {
    edge: EdgeId,
    outlet: Outlet,
    coder: WireCoder,
    window: WireCoder,
    kind: Option<WireCoder>,
    /// The stamp of the element before, and the header that says it.
    last_stamp: Vec<u8>,
    last_header: Vec<u8>,
    message: Vec<u8>,
    value: Vec<u8>,
}

/// Where messages of one sink of one bundle go.
struct Outlet {
    plane: Arc<DataPlane>,
    instruction_id: String,
    transform_id: String,
}

impl WireSink {
    pub(super) fn new(edge: EdgeId, port: &Port, plane: Arc<DataPlane>, instruction: &str) -> Self {
        let outlet = Outlet {
            plane,
            instruction_id: instruction.to_owned(),
            transform_id: port.transform_id.clone(),
        };
        Self {
            edge,
            outlet,
            coder: port.coder.clone(),
            window: port.window.clone(),
            kind: port.kind.clone(),
            last_stamp: Vec::new(),
            last_header: Vec::new(),
            message: Vec::new(),
            value: Vec::new(),
        }
    }

    fn flush(&mut self) -> Result<()> {
        if self.message.is_empty() {
            return Ok(());
        }
        let message = std::mem::take(&mut self.message);
        self.outlet.send(message, false)
    }
}

impl RecordSink for WireSink {
    fn edge(&self) -> EdgeId {
        self.edge
    }

    fn put(&mut self, record: Record<'_>) -> Result<()> {
        let (stamp, head) = record.head.split_at(STAMP_BYTES.min(record.head.len()));
        if stamp != self.last_stamp {
            self.last_header.clear();
            let decoded = decode_stamp(&mut &stamp[..])?;
            encode_header(&self.window, decoded, &mut self.last_header)?;
            self.last_stamp = stamp.to_vec();
        }
        self.message.extend_from_slice(&self.last_header);
        let mut whole = head;
        if !record.tail.is_empty() {
            self.value.clear();
            self.value.extend_from_slice(head);
            self.value.extend_from_slice(record.tail);
            whole = &self.value;
        }
        let from = match &self.kind {
            Some(kind) => (kind, Context::Outer),
            None => (&self.coder, Context::Nested),
        };
        convert(from, (&self.coder, Context::Nested), &mut whole, &mut self.message)?;
        if self.message.len() >= MESSAGE_BYTES { self.flush() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> Result<Box<dyn Prepared>> {
        self.flush()?;
        Ok(Box::new(self.outlet))
    }
}

impl Outlet {
    fn send(&self, data: Vec<u8>, is_last: bool) -> Result<()> {
        self.plane.send(&self.instruction_id, &self.transform_id, data, is_last)
    }
}

impl Prepared for Outlet {
    /// Says that no more comes, which the runner waits for, also where nothing came.
    fn commit(self: Box<Self>) -> Result<()> {
        self.send(Vec::new(), true)
    }
}
