//! One object, written from its start to its end, of any length.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};

use crate::failure::failed;
use crate::location::Scheme;
use crate::pending::Pending;
use crate::requests::Object;

/// The length of a part, and so of the longest object that is put by one request.
const PART_BYTES: usize = 8 << 20;
/// The same where a part costs no request: as much as keeps a disk busy.
const LOCAL_PART_BYTES: usize = 1 << 20;
/// Parts that may be under way while the next one is filled.
const PARTS_IN_FLIGHT: usize = 2;
/// The most parts that S3 puts together.
const PART_LIMIT: usize = 10_000;

/// Writes one object part by part, for what is longer than memory should hold.
///
/// The object is visible when [`ObjectWriter::finish`] has returned, whole and in place of the one
/// that may have been there; never before, and not at all when the writer is dropped. Errors that
/// come through [`io::Write`] carry ours: `error.downcast::<dataflow::error::Error>()`.
///
/// Memory: at most [`ObjectWriter::WORKING_BYTES`]; [`Objects::writer_bytes`](crate::Objects::writer_bytes)
/// says it for a store. Cost: one request for an object of up to 8 MiB, else one a part and two more.
/// In a cloud the longest object has 10 000 parts.
///
/// ```
/// use std::io::Write;
/// use objects::{Location, Objects, StoreOptions};
/// let store = Objects::open(&Location::parse("memory://writer-doc")?, &StoreOptions::default())?;
/// let mut writer = store.writer("a")?;
/// writer.write_all(b"text").expect("the store takes it");
/// assert_eq!(store.try_get("a")?, None);
/// writer.finish()?;
/// assert_eq!(store.get("a")?, "text");
/// # Ok::<(), dataflow::error::Error>(())
/// ```
pub struct ObjectWriter {
    object: Object,
    part: BytesMut,
    part_bytes: usize,
    upload: Option<Box<dyn MultipartUpload>>,
    in_flight: VecDeque<(Pending<()>, Bytes)>,
    part_count: usize,
}

impl ObjectWriter {
    /// The bytes of a part of a long object.
    pub const PART_BYTES: u64 = PART_BYTES as u64;
    /// The most memory that a writer takes.
    pub const WORKING_BYTES: u64 = ((PARTS_IN_FLIGHT + 1) * PART_BYTES) as u64;

    pub(crate) fn new(object: Object) -> Self {
        let in_flight = VecDeque::with_capacity(PARTS_IN_FLIGHT);
        let part_bytes = part_bytes(object.scheme);
        Self { object, part: BytesMut::new(), part_bytes, upload: None, in_flight, part_count: 0 }
    }

    /// The most memory that a writer to a store of this kind takes.
    pub(crate) fn working_bytes(scheme: Scheme) -> u64 {
        ((PARTS_IN_FLIGHT + 1) * part_bytes(scheme)) as u64
    }

    /// Begins to write in parts, however short the object will be.
    ///
    /// # Errors
    /// A store that takes no parts.
    pub fn in_parts(mut self) -> Result<Self> {
        if self.upload.is_none() {
            self.upload = Some(start(&self.object)?);
        }
        Ok(self)
    }

    /// Makes the object visible, waiting for it.
    ///
    /// # Errors
    /// A store that fails; nothing has changed then.
    pub fn finish(mut self) -> Result<()> {
        if self.upload.is_none() {
            let (object, bytes) = (self.object.clone(), std::mem::take(&mut self.part).freeze());
            return Pending::start(async move { object.put(vec![bytes]).await }).wait();
        }
        if !self.part.is_empty() {
            self.send_part()?;
        }
        while let Some((part, _)) = self.in_flight.pop_front() {
            part.wait()?;
        }
        let Some(mut upload) = self.upload.take() else { return Ok(()) };
        let object = self.object.clone();
        Pending::start(async move {
            let _permit = object.client.permit().await;
            match upload.complete().await {
                Ok(_) => Ok(()),
                Err(error) => {
                    // The first error is the one to tell.
                    drop(upload.abort().await);
                    Err(failed("write", &object.shown, &error))
                }
            }
        })
        .wait()
    }

    /// Appends these bytes; waits while more parts are under way than may be.
    ///
    /// # Errors
    /// A store that fails, or an object that gets too long for it.
    pub fn append(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            // A full part leaves only when more follows, so that a short object is one request.
            if self.part.len() == self.part_bytes {
                self.send_part()?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(self.part_bytes - self.part.len()));
            self.part.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn send_part(&mut self) -> Result<()> {
        let is_cloud = self.part_bytes == PART_BYTES;
        if is_cloud && self.part_count == PART_LIMIT {
            let message = format!("an object of more than {PART_LIMIT} parts of 8 MiB");
            return Err(Error::new(ErrorCode::STORE_FAILED, ErrorKind::ResourceExhausted, message)
                .at("object", &self.object.shown)
                .mend("spread what is written over more objects"));
        }
        let mut next = BytesMut::new();
        if self.in_flight.len() == PARTS_IN_FLIGHT
            && let Some((oldest, bytes)) = self.in_flight.pop_front()
        {
            oldest.wait()?;
            // Its buffer takes the next part: allocators keep freed ones of this size for a while.
            next = bytes.try_into_mut().unwrap_or_default();
            next.clear();
        }
        next.reserve(self.part_bytes);
        let part = std::mem::replace(&mut self.part, next).freeze();
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => none.insert(start(&self.object)?),
        };
        let sent = upload.put_part(PutPayload::from(part.clone()));
        let object = self.object.clone();
        self.part_count += 1;
        let sent = Pending::start(async move {
            let _permit = object.client.permit().await;
            sent.await.map_err(|error| failed("write", &object.shown, &error))
        });
        self.in_flight.push_back((sent, part));
        Ok(())
    }
}

fn part_bytes(scheme: Scheme) -> usize {
    match scheme {
        Scheme::Local | Scheme::Memory => LOCAL_PART_BYTES,
        _ => PART_BYTES,
    }
}

fn start(object: &Object) -> Result<Box<dyn MultipartUpload>> {
    let (client, path, shown) =
        (Arc::clone(&object.client), object.path.clone(), object.shown.clone());
    let started = Pending::start(async move {
        let _permit = client.permit().await;
        client.store.put_multipart(&path).await.map_err(|error| failed("write", shown, &error))
    });
    started.wait()
}

impl io::Write for ObjectWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    /// Does nothing: an object is visible whole or not at all.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for ObjectWriter {
    fn drop(&mut self) {
        if let Some(mut upload) = self.upload.take() {
            let parts = std::mem::take(&mut self.in_flight);
            // Nobody waits for it: parts that stay are for the bucket's own rules.
            drop(Pending::start(async move {
                drop(upload.abort().await);
                drop(parts);
                Ok(())
            }));
        }
    }
}

impl fmt::Debug for ObjectWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectWriter({}, {} parts)", self.object.shown, self.part_count)
    }
}

#[cfg(test)]
mod tests;
