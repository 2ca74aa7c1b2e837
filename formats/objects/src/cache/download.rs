//! Fetches a whole object from its first byte or from where an earlier attempt has ended.

use std::io::{self, Read, Write};

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use sha2::{Digest, Sha256};

use crate::failure::changed;
use crate::hex::hex;
use crate::pending::Pulling;
use crate::requests::Object;
use crate::version::ObjectVersion;

/// Bytes that are hashed at once of what was fetched before.
const BLOCK_BYTES: usize = 1 << 20;

/// What takes the bytes of an object, in order.
pub(super) trait Destination: Write {
    /// Forgets all that was written; `false` if that cannot be.
    ///
    /// # Errors
    /// A file system that fails.
    fn restart(&mut self) -> io::Result<bool>;
}

/// A download: how far it is.
pub(super) struct Download<'a> {
    origin: &'a Object,
    version: &'a ObjectVersion,
    retry_count: usize,
    hasher: Sha256,
    at: u64,
}

impl<'a> Download<'a> {
    pub(super) fn new(origin: &'a Object, version: &'a ObjectVersion, retry_count: usize) -> Self {
        Self { origin, version, retry_count, hasher: Sha256::new(), at: 0 }
    }

    /// Goes on behind what an earlier attempt has left.
    ///
    /// # Errors
    /// What is left cannot be read.
    pub(super) fn resume(&mut self, left: &mut impl Read) -> io::Result<()> {
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            match left.read(&mut block)? {
                0 => return Ok(()),
                length => {
                    self.hasher.update(&block[..length]);
                    self.at += length as u64;
                }
            }
        }
    }

    /// Fetches what is left; the SHA-256 of the whole.
    ///
    /// A connection that breaks is made again as often as is allowed, counted from the last byte
    /// that came.
    ///
    /// # Errors
    /// An object that cannot be fetched, or that is another version meanwhile.
    pub(super) fn run(
        mut self,
        into: &mut impl Destination,
        failed: impl Fn(&io::Error) -> Error,
    ) -> Result<String> {
        let (mut failure_count, mut restart_count) = (0, 0);
        while self.at < self.version.size_bytes {
            let began_at = self.at;
            let Err(error) = self.pull(into, &failed) else { break };
            failure_count = if self.at > began_at { 1 } else { failure_count + 1 };
            // Whoever goes on asks for a range.
            let is_without_ranges = error.kind() == ErrorKind::Unsupported && self.at > 0;
            if is_without_ranges && restart_count < self.retry_count {
                if !into.restart().map_err(|error| failed(&error))? {
                    return Err(error);
                }
                restart_count += 1;
                (self.hasher, self.at) = (Sha256::new(), 0);
            } else if !error.is_transient() || failure_count > self.retry_count {
                return Err(error);
            }
        }
        into.flush().map_err(|error| failed(&error))?;
        Ok(hex(&self.hasher.finalize()))
    }

    fn pull(
        &mut self,
        into: &mut impl Destination,
        failed: &impl Fn(&io::Error) -> Error,
    ) -> Result<()> {
        let mut pulling = Pulling::start(self.origin.clone(), self.at)?;
        while let Some(bytes) = pulling.next() {
            let bytes = bytes?;
            let end = self.at + bytes.len() as u64;
            if end > self.version.size_bytes {
                let size_bytes = self.version.size_bytes;
                let how = format!("it had {size_bytes} bytes, and has more");
                return Err(changed(&self.origin.shown, &how));
            }
            into.write_all(&bytes).map_err(|error| failed(&error))?;
            self.hasher.update(&bytes);
            self.at = end;
        }
        if self.at < self.version.size_bytes { Err(self.cut_short()) } else { Ok(()) }
    }

    fn cut_short(&self) -> Error {
        let (at, size_bytes) = (self.at, self.version.size_bytes);
        let message = format!("the answer ended after {at} of {size_bytes} bytes");
        Error::new(ErrorCode::STORE_FAILED, ErrorKind::Transient, message)
            .at("object", &self.origin.shown)
    }
}
