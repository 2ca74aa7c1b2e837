//! From elements to shards to manifests: what all writes have in common.

use std::marker::PhantomData;

use bytes::Bytes;
use dataflow::Element;
use dataflow::coder::{Coder, decode_all};
use dataflow::dofn::DoFnFacts;
use dataflow::error::{Error, ErrorCode, ErrorKind};
use dataflow::prelude::{
    DoFn, Flatten, GlobalWindows, GroupByKey, Iterable, PCollection, PCollectionList, ParDo,
    ProcessContext, Result, Tag, WindowInto,
};
use objects::{Objects, StoreOptions};
use xxhash_rust::xxh3::xxh3_64;

use super::destination::Destination;
use super::manifest::ShardFacts;
use super::shard_file::ShardFile;
use super::sort::{self, Sorter};
use super::{FileSink, Manifest, WrittenFiles};

/// A destination's key, empty for a fixed one, and the place of a shard.
type ShardKey = (String, u64);
/// An element, encoded; `None` says that the shard exists, also if it stays empty.
type Record = Option<Bytes>;

/// Keys of destinations, as elements name them: many times each.
pub(crate) const KEYS: Tag<(String, ())> = Tag::new("keys");

/// An element and the key of its destination.
pub(crate) struct Addressed<T> {
    pub(crate) key: String,
    pub(crate) element: T,
}

/// What the prefix of a write is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Addressing {
    /// The destination.
    Fixed,
    /// The folder below which keys name destinations.
    ByKey,
}

/// Where files go, and how many.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) prefix: String,
    /// `None` for what the format suggests.
    pub(crate) suffix: Option<String>,
    pub(crate) shard_count: u32,
    pub(crate) is_overwriting: bool,
    pub(crate) store: StoreOptions,
    pub(crate) addressing: Addressing,
}

impl Target {
    /// The step that gives every element its shard.
    pub(crate) fn assign<T, E, A>(&self, address: A) -> ParDo<AssignShards<T, E, A>>
    where
        T: Element,
        E: Element,
        A: Fn(T) -> Addressed<E> + Clone + Send + Sync + 'static,
    {
        ParDo::of(AssignShards {
            address,
            shard_count: u64::from(self.shard_count),
            addressing: self.addressing,
            last_key: String::new(),
            of: PhantomData,
        })
    }

    fn destination(&self, key: &str) -> Result<Destination> {
        match self.addressing {
            Addressing::Fixed => Destination::parse(&self.prefix),
            Addressing::ByKey => Destination::below(&self.prefix, key),
        }
    }

    fn parameters(&self) -> String {
        let Self { prefix, suffix, shard_count, is_overwriting, addressing, .. } = self;
        format!("{prefix} {suffix:?} {shard_count} {is_overwriting} {addressing:?}")
    }
}

/// Writes the records of all destinations; the manifests.
pub(crate) fn write_shards<S: FileSink>(
    sink: S,
    mut target: Target,
    destinations: &PCollection<String>,
    records: &PCollection<(ShardKey, Record)>,
) -> PCollection<WrittenFiles> {
    let format = sink.format();
    let suffix = target.suffix.take().unwrap_or_else(|| sink.suffix());
    target.suffix = Some(suffix.clone());
    let clear = Clear { target: target.clone(), suffix: suffix.clone() };
    let shards = destinations.apply_named("Clear", ParDo::of(clear));
    // Files are of the whole collection, whatever windows its elements are in.
    let records = records.apply(WindowInto::of(GlobalWindows));
    PCollectionList::of(&shards, [records])
        .apply(Flatten)
        .apply_named("GroupByShard", GroupByKey)
        .apply_named("Write", ParDo::of(WriteShards { sink, target: target.clone(), suffix }))
        .apply_named("GroupByDestination", GroupByKey)
        .apply_named("Manifest", ParDo::of(WriteManifests { target, format }))
}

/// Gives every element the key of its shard.
#[derive(Clone)]
pub(crate) struct AssignShards<T, E, A> {
    address: A,
    shard_count: u64,
    addressing: Addressing,
    /// The key that was put out last: neighbours often have the same.
    last_key: String,
    of: PhantomData<fn(T) -> E>,
}

impl<T, E, A> DoFn for AssignShards<T, E, A>
where
    T: Element,
    E: Element,
    A: Fn(T) -> Addressed<E> + Clone + Send + Sync + 'static,
{
    type In = T;
    type Out = (ShardKey, Record);

    fn start_bundle(&mut self) -> Result<()> {
        self.last_key.clear();
        Ok(())
    }

    fn process(&mut self, element: T, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let Addressed { key, element } = (self.address)(element);
        // An empty key is no destination; it is put out all the same, and refused by name.
        if self.addressing == Addressing::ByKey && (key != self.last_key || key.is_empty()) {
            self.last_key.clone_from(&key);
            ctx.output_to(&KEYS, (key.clone(), ()))?;
        }
        let mut head = Vec::new();
        let tail = E::coder().encode_shared(&element, &mut head)?;
        let record = match (head.is_empty(), tail.is_empty()) {
            (true, false) => tail,
            (_, true) => head.into(),
            _ => [&head, &tail[..]].concat().into(),
        };
        let shard = xxh3_64(&record) % self.shard_count;
        ctx.output(((key, shard), Some(record)))
    }

    fn facts(&self) -> DoFnFacts {
        DoFnFacts::default().with_parameters(self.shard_count.to_string())
    }
}

/// Makes sure that destinations are empty, and puts out the keys of their shards.
///
/// It changes nothing but what it was asked to overwrite, and is committed before the first shard
/// is written: an attempt that runs again does not meet files of its own run.
#[derive(Clone)]
struct Clear {
    target: Target,
    suffix: String,
}

impl DoFn for Clear {
    type In = String;
    type Out = (ShardKey, Record);

    fn process(&mut self, key: String, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let Target { shard_count, is_overwriting, store, .. } = &self.target;
        self.target.destination(&key)?.clear(&self.suffix, *is_overwriting, store)?;
        (0..u64::from(*shard_count)).try_for_each(|shard| ctx.output(((key.clone(), shard), None)))
    }

    fn facts(&self) -> DoFnFacts {
        DoFnFacts::default().with_parameters(self.target.parameters())
    }
}

/// Writes whole shards.
#[derive(Clone)]
struct WriteShards<S> {
    sink: S,
    target: Target,
    suffix: String,
}

impl<S: FileSink> DoFn for WriteShards<S> {
    type In = (ShardKey, Iterable<Record>);
    type Out = (String, ShardFacts);

    fn process(&mut self, group: Self::In, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let ((key, shard), records) = group;
        let destination = self.target.destination(&key)?;
        let name = destination.shard_name(shard, self.target.shard_count.into(), &self.suffix);
        let facts = self.write(&destination, &name, shard, &records, ctx);
        let facts = facts.map_err(|error| error.at("file", destination.folder.join(&name)))?;
        ctx.count("records_written", facts.record_count);
        ctx.count("bytes_written", facts.size_bytes);
        ctx.output((key, facts))
    }

    fn facts(&self) -> DoFnFacts {
        let working_bytes =
            sort::WORKING_BYTES + ShardFile::WORKING_BYTES + self.sink.working_bytes();
        DoFnFacts::default()
            .with_parameters(format!("{} {}", self.target.parameters(), self.sink.parameters()))
            .with_working_bytes(working_bytes)
    }
}

impl<S: FileSink> WriteShards<S> {
    fn write(
        &self,
        destination: &Destination,
        name: &str,
        shard: u64,
        records: &Iterable<Record>,
        ctx: &ProcessContext<'_, (String, ShardFacts)>,
    ) -> Result<ShardFacts> {
        let mut sorter = Sorter::new();
        for record in records.try_iter() {
            if let Some(record) = record? {
                sorter.push(&record)?;
            }
            check_cancelled(ctx)?;
        }
        let folder = Objects::open(&destination.folder, &self.target.store)?;
        let mut writer = self.sink.open(ShardFile::create(&folder, name)?)?;
        let (coder, mut record_count) = (S::In::coder(), 0);
        sorter.drain(|record| {
            check_cancelled(ctx)?;
            record_count += 1;
            writer.write(&decode_all(&coder, record)?)
        })?;
        let (size_bytes, crc32c) = writer.finish()?.finish()?;
        let index = u32::try_from(shard).expect("a shard is one of a count of 32 bits");
        let (name, crc32c) = (name.to_owned(), format!("{crc32c:08x}"));
        Ok(ShardFacts { index, name, record_count, size_bytes, crc32c })
    }
}

/// Writing a shard is one element, and may take long.
fn check_cancelled<T: Element>(ctx: &ProcessContext<'_, T>) -> Result<()> {
    if !ctx.is_cancelled() {
        return Ok(());
    }
    Err(Error::new(ErrorCode::CANCELLED, ErrorKind::Cancelled, "the run was asked to stop"))
}

/// Writes the manifests of destinations whose shards are all committed.
#[derive(Clone)]
struct WriteManifests {
    target: Target,
    format: String,
}

impl DoFn for WriteManifests {
    type In = (String, Iterable<ShardFacts>);
    type Out = WrittenFiles;

    fn process(
        &mut self,
        group: Self::In,
        ctx: &mut ProcessContext<'_, WrittenFiles>,
    ) -> Result<()> {
        let (key, shards) = group;
        let destination = self.target.destination(&key)?;
        let shards = shards.try_iter().collect::<Result<Vec<_>>>()?;
        let want = self.target.shard_count as usize;
        if shards.len() != want {
            let message = format!("{} shards were written, not {want}", shards.len());
            return Err(Error::internal(message).at("destination", destination.shown()));
        }
        let manifest = Manifest::of(self.format.clone(), shards);
        let folder = Objects::open(&destination.folder, &self.target.store)?;
        folder.put(&destination.manifest_name(), manifest.to_json()?.into()).wait()?;
        ctx.output(WrittenFiles::new(destination.shown(), manifest))
    }

    fn facts(&self) -> DoFnFacts {
        DoFnFacts::default().with_parameters(format!(
            "{} {}",
            self.target.parameters(),
            self.format
        ))
    }
}
