//! Room in memory for one group of chunks: declared beforehand, and asked for beyond that.

use dataflow::dofn::{DoFnFacts, ProcessContext};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::memory::Reservation;
use dataflow::prelude::Element;

/// Bytes that a step may take for one group of chunks without asking.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    bytes: u64,
}

impl Default for Room {
    fn default() -> Self {
        Self { bytes: 32 << 20 }
    }
}

impl Room {
    /// Room for so many bytes.
    pub(crate) fn of(bytes: u64) -> Self {
        Self { bytes }
    }

    /// The facts of a step that takes this room.
    pub(crate) fn facts(self) -> DoFnFacts {
        DoFnFacts::default().with_working_bytes(self.bytes)
    }

    /// Holds what a group of so many bytes needs beyond this room.
    ///
    /// # Errors
    /// A budget that refuses it.
    pub(crate) fn hold<Out: Element>(
        self,
        bytes: u64,
        ctx: &ProcessContext<'_, Out>,
    ) -> Result<Reservation> {
        let mut held = ctx.hold();
        self.grow(&mut held, bytes)?;
        Ok(held)
    }

    /// Holds what a group needs beyond this room, which now has so many bytes.
    ///
    /// # Errors
    /// A budget that refuses it.
    pub(crate) fn grow(self, held: &mut Reservation, bytes: u64) -> Result<()> {
        if held.try_resize(bytes.saturating_sub(self.bytes)) {
            return Ok(());
        }
        let message = format!("{bytes} bytes are needed for one group of chunks");
        let error = Error::new(ErrorCode::MEMORY_TOO_SMALL, ErrorKind::ResourceExhausted, message);
        Err(error.mend(format!(
            "allow more memory, ask for smaller chunks, or say `with_chunk_bytes({bytes})`: then it \
             is granted before the step starts"
        )))
    }
}
