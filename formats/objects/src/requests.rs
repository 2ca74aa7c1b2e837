//! What can be asked of one object of a store, as it is asked: the only async code besides the
//! runtime.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use futures::future::try_join_all;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Error as StoreError, GetOptions, GetRange, GetResult, ObjectMeta, ObjectStoreExt, PutMode,
    PutPayload,
};

use crate::client::Client;
use crate::failure::{changed, failed, out_of_range};
use crate::location::{Location, Scheme};
use crate::objects::{Edge, EdgeBytes};
use crate::ranges::{cut_ranges, join_ranges};
use crate::version::ObjectVersion;

/// Bytes between two ranges that are read rather than asked for apart: a request to a service
/// costs as much as a megabyte, one to a file as much as a few pages.
const GAP_BYTES_REMOTE: u64 = 1 << 20;
const GAP_BYTES_LOCAL: u64 = 16 << 10;
/// Objects longer than this are uploaded in parts.
const WHOLE_BYTES: usize = 64 << 20;
const PART_BYTES: usize = 16 << 20;
/// Attempts of a create-once whose answer leaves open what happened, and the wait after the first.
const CREATE_ATTEMPTS: u32 = 8;
const RETRY_WAIT: Duration = Duration::from_millis(50);
/// How often it is tried to read an object whose answers break off, and how soon that must have come.
const READ_ATTEMPTS: u32 = 5;
const READ_AGAIN_WITHIN: Duration = Duration::from_secs(30);

/// The bytes of an object as they come.
pub(crate) type ObjectBytes = BoxStream<'static, Result<Bytes>>;

/// One object of a store.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) client: Arc<Client>,
    pub(crate) path: Path,
    /// How errors name it.
    pub(crate) shown: Location,
    /// The kind of the store.
    pub(crate) scheme: Scheme,
    /// The version that is meant, if it must be one and the same in all reads.
    pub(crate) version: Option<Arc<ObjectVersion>>,
    /// The moment after which it may not have been written, in milliseconds since 1970.
    pub(crate) not_after_ms: Option<i64>,
}

impl Object {
    /// The whole object; `None` if it does not exist.
    pub(crate) async fn get(&self) -> Result<Option<Bytes>> {
        Ok(self.get_with(None).await?.map(|(bytes, _)| bytes))
    }

    /// The bytes at an edge; `None` if it does not exist.
    pub(crate) async fn edge(&self, edge: Edge) -> Result<Option<EdgeBytes>> {
        let found = match edge {
            Edge::First(length) => self.get_with(Some((0..length).into())).await?,
            // Azure knows no ranges that are counted from the end.
            Edge::Last(length) if self.scheme == Scheme::Azure => {
                let Some(meta) = self.meta().await? else { return Ok(None) };
                let start = meta.size.saturating_sub(length);
                Some((self.read(start..meta.size).await?, meta.size))
            }
            Edge::Last(length) => self.get_with(Some(GetRange::Suffix(length))).await?,
        };
        Ok(found.map(|(bytes, size_bytes)| EdgeBytes { bytes, size_bytes }))
    }

    /// The ranges, in their order; neighbours are asked for together.
    pub(crate) async fn ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let gap = match self.scheme {
            Scheme::Local | Scheme::Memory => GAP_BYTES_LOCAL,
            _ => GAP_BYTES_REMOTE,
        };
        let requests = join_ranges(ranges, gap);
        let bodies = try_join_all(requests.iter().map(|range| self.read(range.clone()))).await?;
        cut_ranges(ranges, &requests, &bodies)
            .ok_or_else(|| Error::internal(format!("{ranges:?} were not all fetched")))
    }

    /// One range that is not empty.
    pub(crate) async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let bounded = GetRange::Bounded(range.clone());
        match self.get_with(Some(bounded)).await {
            Ok(Some((bytes, _))) if bytes.len() as u64 == range.end - range.start => Ok(bytes),
            Ok(Some((_, size_bytes))) => Err(out_of_range(&self.shown, range.end, size_bytes)),
            Ok(None) => Err(self.missing()),
            // A range that begins after the end is refused in a different way by every store.
            Err(error) if error.is_transient() || error.kind() == ErrorKind::Conflict => Err(error),
            Err(error) => match self.meta().await {
                Ok(Some(meta)) if meta.size < range.end => {
                    Err(out_of_range(&self.shown, range.end, meta.size))
                }
                // It is another version, which is why the range is refused.
                Err(why) if why.kind() == ErrorKind::Conflict => Err(why),
                _ => Err(error),
            },
        }
    }

    /// Size, tag and time; `None` if it does not exist.
    pub(crate) async fn meta(&self) -> Result<Option<ObjectMeta>> {
        let _permit = self.client.permit().await;
        let head = self.client.store.head(&self.path).await;
        match self.found(head.map_err(|error| failed("read", &self.shown, &error)))? {
            Some(meta) => self.check_version(&meta).map(|()| Some(meta)),
            None => Ok(None),
        }
    }

    /// The same, by reading the first byte: an address that is signed for reading tells nothing else.
    pub(crate) async fn meta_of_first(&self) -> Result<Option<ObjectMeta>> {
        let _permit = self.client.permit().await;
        let options = GetOptions::new().with_range(Some(GetRange::Bounded(0..1)));
        let got = self.client.store.get_opts(&self.path, options).await;
        let got = self.found(got.map_err(|error| failed("read", &self.shown, &error)))?;
        Ok(got.map(|got| got.meta))
    }

    /// Refuses another version than the one that is meant.
    fn check_version(&self, meta: &ObjectMeta) -> Result<()> {
        let written_ms = meta.last_modified.timestamp_millis();
        if self.not_after_ms.is_some_and(|moment_ms| written_ms > moment_ms) {
            let written = meta.last_modified.format("%Y-%m-%d %H:%M:%S UTC");
            return Err(changed(&self.shown, &format!("it was written at {written}")));
        }
        let Some(meant) = &self.version else { return Ok(()) };
        match meant.differs_from(&ObjectVersion::of(meta)) {
            Some(how) => Err(changed(&self.shown, &how)),
            None => Ok(()),
        }
    }

    /// Starts to read the bytes from one on, to the end; nothing if it does not exist.
    pub(crate) async fn stream(&self, start: u64) -> Result<Option<ObjectBytes>> {
        let permit = self.client.permit().await;
        // The whole is asked for without a range: not every server knows them.
        let range = (start > 0).then_some(GetRange::Offset(start));
        let got = self.client.store.get_opts(&self.path, GetOptions::new().with_range(range)).await;
        let Some(got) = self.found(got.map_err(|error| failed("read", &self.shown, &error)))?
        else {
            return Ok(None);
        };
        self.check_version(&got.meta)?;
        drop(permit);
        let shown = self.shown.clone();
        let bytes = got.into_stream().map_err(move |error| failed("read", &shown, &error));
        Ok(Some(bytes.boxed()))
    }

    /// Writes the whole object; what was there before is replaced at once.
    pub(crate) async fn put(&self, pieces: Vec<Bytes>) -> Result<()> {
        let is_remote = !matches!(self.scheme, Scheme::Local | Scheme::Memory);
        let bytes: usize = pieces.iter().map(Bytes::len).sum();
        let written = if is_remote && bytes > WHOLE_BYTES {
            self.put_in_parts(pieces).await
        } else {
            let _permit = self.client.permit().await;
            let payload = PutPayload::from_iter(pieces);
            self.client.store.put(&self.path, payload).await.map(drop)
        };
        written.map_err(|error| failed("write", &self.shown, &error))
    }

    async fn put_in_parts(&self, pieces: Vec<Bytes>) -> object_store::Result<()> {
        let mut upload = self.client.store.put_multipart(&self.path).await?;
        let parts = in_parts(pieces).into_iter().map(|part| {
            let sent = upload.put_part(PutPayload::from_iter(part));
            async {
                let _permit = self.client.permit().await;
                sent.await
            }
        });
        let parts: Vec<_> = parts.collect();
        let done = match try_join_all(parts).await {
            Ok(_) => upload.complete().await.map(drop),
            Err(error) => Err(error),
        };
        if done.is_err() {
            // The first error is the one to tell; parts that stay are for the bucket's own rules.
            drop(upload.abort().await);
        }
        done
    }

    /// Writes the object if there is none; whether it is ours that is there now.
    ///
    /// The answer of a store is not trusted: `AlreadyExists` may mean that an attempt of ours was
    /// done although its answer was lost, or that two attempts met and neither was done.
    pub(crate) async fn create(&self, bytes: Bytes) -> Result<bool> {
        let mut wait = RETRY_WAIT;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let error = {
                let _permit = self.client.permit().await;
                let payload = PutPayload::from_bytes(bytes.clone());
                match self.client.store.put_opts(&self.path, payload, PutMode::Create.into()).await
                {
                    Ok(_) => return Ok(true),
                    Err(error) => error,
                }
            };
            let is_contested = matches!(error, StoreError::AlreadyExists { .. });
            let error = failed("write", &self.shown, &error);
            let is_open = is_contested || error.is_transient();
            match self.get().await {
                Ok(Some(there)) => return Ok(there == bytes),
                Ok(None) if is_open => {}
                Err(why) if why.is_transient() => {}
                // Whether it was written is known to nobody: what to mend is the look at it.
                Err(why) if is_open => return Err(why),
                Ok(None) | Err(_) => return Err(error),
            }
            if attempt == CREATE_ATTEMPTS {
                return Err(error.with_kind(ErrorKind::Transient));
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
    }

    /// Deletes the object; one that does not exist is as good as deleted.
    pub(crate) async fn delete(&self) -> Result<()> {
        let _permit = self.client.permit().await;
        let deleted = self.client.store.delete(&self.path).await;
        self.found(deleted.map_err(|error| failed("delete", &self.shown, &error))).map(drop)
    }

    /// The error for an object that must exist.
    pub(crate) fn missing(&self) -> Error {
        let message = "cannot read: there is no such object";
        Error::new(ErrorCode::STORE_NOT_FOUND, ErrorKind::NotFound, message)
            .at("object", &self.shown)
    }

    /// Reads all or a range; an answer that breaks off is asked for again, which the client of the
    /// store does not do once it has begun.
    async fn get_with(&self, range: Option<GetRange>) -> Result<Option<(Bytes, u64)>> {
        let (began, mut wait, mut attempt) = (Instant::now(), RETRY_WAIT, 1);
        loop {
            let outcome = self.get_once(range.clone()).await;
            match outcome {
                // What took long was asked for again by the client.
                Err(error)
                    if error.is_transient()
                        && attempt < READ_ATTEMPTS
                        && began.elapsed() < READ_AGAIN_WITHIN =>
                {
                    tracing::debug!(%error, attempt, "an answer broke off");
                }
                outcome => return outcome,
            }
            tokio::time::sleep(wait).await;
            (wait, attempt) = (wait * 2, attempt + 1);
        }
    }

    async fn get_once(&self, range: Option<GetRange>) -> Result<Option<(Bytes, u64)>> {
        let _permit = self.client.permit().await;
        let options = GetOptions::new().with_range(range);
        let got = self.client.store.get_opts(&self.path, options).await;
        let Some(got) = self.found(got.map_err(|error| failed("read", &self.shown, &error)))?
        else {
            return Ok(None);
        };
        self.check_version(&got.meta)?;
        let body = whole_body(got).await;
        self.found(body.map_err(|error| failed("read", &self.shown, &error)))
    }

    fn found<T>(&self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.code() == ErrorCode::STORE_NOT_FOUND => Ok(None),
            Err(error) => Err(error),
        }
    }
}

async fn whole_body(got: GetResult) -> object_store::Result<(Bytes, u64)> {
    let size_bytes = got.meta.size;
    Ok((got.bytes().await?, size_bytes))
}

/// Pieces, put together and cut so that all parts but the last have one length.
fn in_parts(pieces: Vec<Bytes>) -> Vec<Vec<Bytes>> {
    let (mut parts, mut part, mut room) = (Vec::new(), Vec::new(), PART_BYTES);
    for mut piece in pieces {
        while piece.len() >= room {
            part.push(piece.split_to(room));
            parts.push(std::mem::take(&mut part));
            room = PART_BYTES;
        }
        if !piece.is_empty() {
            room -= piece.len();
            part.push(piece);
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pieces: &[usize], want: &[usize]) {
        let whole = Bytes::from((0..pieces.iter().sum()).map(|n| n as u8).collect::<Vec<u8>>());
        let mut rest = whole.clone();
        let pieces = pieces.iter().map(|&length| rest.split_to(length)).collect();
        let parts = in_parts(pieces);
        let lengths = parts.iter().map(|part| part.iter().map(Bytes::len).sum::<usize>());
        assert_eq!(lengths.collect::<Vec<_>>(), want);
        assert_eq!(parts.concat().concat(), whole);
    }

    #[test]
    fn pieces_are_put_together_to_parts_of_one_length() {
        check(&[], &[]);
        check(&[3, PART_BYTES - 3], &[PART_BYTES]);
        check(&[2 * PART_BYTES + 1, 0, 5], &[PART_BYTES, PART_BYTES, 6]);
        check(&[1, PART_BYTES, 1], &[PART_BYTES, 2]);
    }
}
