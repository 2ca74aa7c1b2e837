//! Values out of messages that may end anywhere, also within a value.

use bytes::{Bytes, BytesMut};
use dataflow::coder::malformed;
use dataflow::error::Result;

/// Where the bytes come from, message by message.
pub(super) trait Messages: Send {
    /// The next message; `None` where there is no more.
    ///
    /// # Errors
    /// A runner that is gone or refuses.
    fn next(&mut self) -> Result<Option<Bytes>>;
}

/// Reads values one after the other, and more messages when one is not whole.
pub(super) struct Incremental<M> {
    messages: M,
    bytes: Bytes,
    is_over: bool,
}

impl<M: Messages> Incremental<M> {
    pub(super) fn new(messages: M) -> Self {
        Self { messages, bytes: Bytes::new(), is_over: false }
    }

    /// The next value as `read` takes it off the front of its input; `None` after the last one.
    ///
    /// `read` is called again with more bytes when it fails, so what it has appended elsewhere must
    /// not count before it succeeds.
    pub(super) fn next<T>(
        &mut self,
        mut read: impl FnMut(&mut &[u8]) -> Result<T>,
    ) -> Result<Option<T>> {
        // Twice as much each time: a large value in small messages is not read anew for each of them.
        let mut wanted = 1;
        loop {
            self.fill(wanted)?;
            if self.bytes.is_empty() {
                return Ok(None);
            }
            let mut input = &self.bytes[..];
            match read(&mut input) {
                Ok(_) if input.len() == self.bytes.len() => {
                    return Err(malformed("element", "it takes no bytes"));
                }
                Ok(value) => {
                    let taken = self.bytes.len() - input.len();
                    self.bytes = self.bytes.slice(taken..);
                    return Ok(Some(value));
                }
                Err(error) if self.is_over => return Err(error),
                Err(_) => wanted = 2 * self.bytes.len(),
            }
        }
    }

    /// Reads messages until so many bytes are there, or no more come.
    fn fill(&mut self, wanted: usize) -> Result<()> {
        if self.bytes.len() >= wanted || self.is_over {
            return Ok(());
        }
        let mut joined = BytesMut::new();
        while !self.is_over && joined.len().max(self.bytes.len()) < wanted {
            match self.messages.next()? {
                None => self.is_over = true,
                Some(message) if self.bytes.is_empty() => self.bytes = message,
                Some(message) => {
                    if joined.is_empty() {
                        joined.extend_from_slice(&self.bytes);
                    }
                    joined.extend_from_slice(&message);
                }
            }
        }
        if !joined.is_empty() {
            self.bytes = joined.freeze();
        }
        Ok(())
    }
}
