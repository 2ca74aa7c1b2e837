use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;

use super::merge::{Cursor, Merged};
use super::values::{RawValues, RawValuesBuilder};
use super::{
    EMPTY, EdgeId, EdgeOrder, InProcessShuffle, Iterable, Record, RecordSet, Records, Scratch,
    ShuffleStore, partition_of,
};
use crate::error::{Error, Result};
use crate::memory::MemoryBudget;

const EDGE: EdgeId = EdgeId(0);

/// Key, value head, value tail.
type Row = (Vec<u8>, Vec<u8>, Bytes);

fn rows(count: usize) -> Vec<Row> {
    let tail = |i: usize| if i.is_multiple_of(97) { vec![i as u8; 6000] } else { vec![] };
    let row = |i: usize| {
        let key = format!("key-{:04}", i * 7919 % 503);
        (key.into_bytes(), i.to_le_bytes().to_vec(), Bytes::from(tail(i)))
    };
    (0..count).map(row).collect()
}

fn read(mut records: Box<dyn Records>) -> Vec<Row> {
    let mut rows = Vec::new();
    while records.advance().expect("readable") {
        let Record { key, head, tail } = records.record();
        rows.push((key.to_vec(), head.to_vec(), tail.clone()));
    }
    rows
}

fn put_all(store: &InProcessShuffle, rows: &[Row], bundle_count: usize) {
    for bundle in rows.chunks(rows.len().div_ceil(bundle_count)) {
        let mut sink = store.sink(EDGE).expect("declared");
        for (key, head, tail) in bundle {
            sink.put(Record { key, head, tail }).expect("disk works");
        }
        sink.finish().expect("disk works").commit().expect("disk works");
    }
}

#[track_caller]
fn check(budget_bytes: u64, bundle_count: usize, partition_count: usize) -> u64 {
    let budget = MemoryBudget::new(budget_bytes, 0);
    let store = InProcessShuffle::new(budget.clone(), Scratch::default());
    store.declare(EDGE, EdgeOrder::ByKey, partition_count);
    let rows = rows(20_000);
    put_all(&store, &rows, bundle_count);
    let mut all = Vec::new();
    for partition in store.filled_partitions(EDGE) {
        let got = read(store.records(EDGE, partition).expect("declared"));
        assert!(got.is_sorted_by_key(|row| row.0.clone()), "keys ascend");
        assert!(got.iter().all(|row| partition_of(&row.0, partition_count) == partition));
        all.extend(got);
    }
    let mut want = rows;
    want.sort();
    all.sort();
    assert!(all == want, "every record once");
    let contents = store.contents(EDGE).expect("declared");
    assert_eq!(contents.record_count(), 20_000);
    let mut again = read(contents.records());
    again.sort();
    assert!(again == want, "every record once, without partitions");
    drop(contents);
    store.release(EDGE);
    assert!(budget.try_start(budget_bytes).is_some(), "everything is given back");
    store.counts().spilled_bytes
}

#[test]
fn ample_memory_spills_nothing() {
    assert_eq!(check(u64::MAX, 3, 7), 0);
}

#[test]
fn scarce_memory_spills_and_loses_nothing() {
    assert!(check(300 << 10, 3, 7) > 0);
}

#[test]
fn no_memory_and_many_bundles_still_end() {
    assert!(check(0, 200, 1) > 0);
}

#[test]
fn edges_without_keys_spread_evenly() {
    let store = InProcessShuffle::new(MemoryBudget::new(100 << 10, 0), Scratch::default());
    store.declare(EDGE, EdgeOrder::InTurns, 4);
    let rows: Vec<Row> = rows(4000).into_iter().map(|row| (vec![], row.1, row.2)).collect();
    put_all(&store, &rows, 5);
    let sizes = store
        .filled_partitions(EDGE)
        .into_iter()
        .map(|partition| read(store.records(EDGE, partition).expect("declared")).len());
    assert_eq!(sizes.collect::<Vec<_>>(), [1000; 4]);
}

#[test]
fn nothing_is_seen_before_the_commit() {
    let store = InProcessShuffle::new(MemoryBudget::unlimited(), Scratch::default());
    store.declare(EDGE, EdgeOrder::ByKey, 1);
    let mut sink = store.sink(EDGE).expect("declared");
    sink.put(Record { key: b"a", head: b"1", tail: &Bytes::new() }).expect("fits");
    let prepared = sink.finish().expect("fits");
    assert!(store.filled_partitions(EDGE).is_empty());
    prepared.commit().expect("fits");
    assert_eq!(store.filled_partitions(EDGE), [0]);
}

#[test]
fn an_abandoned_bundle_leaves_nothing() {
    let budget = MemoryBudget::new(1 << 30, 0);
    let store = InProcessShuffle::new(budget.clone(), Scratch::default());
    store.declare(EDGE, EdgeOrder::ByKey, 1);
    let mut sink = store.sink(EDGE).expect("declared");
    for (key, head, tail) in &rows(10_000) {
        sink.put(Record { key, head, tail }).expect("fits");
    }
    drop(sink);
    assert!(store.filled_partitions(EDGE).is_empty());
    assert!(budget.try_start(1 << 30).is_some());
}

#[track_caller]
fn check_values(budget: &MemoryBudget, count: i64) {
    let mut builder = RawValuesBuilder::new(budget, &Scratch::default());
    for value in 0..count {
        let mut head = Vec::new();
        crate::coder::encode_varint(value.cast_unsigned(), &mut head);
        builder.push(&head, &Bytes::new()).expect("disk works");
    }
    let values = Iterable::<i64>::outside(builder.finish().expect("disk works"));
    assert_eq!(values.len(), count.cast_unsigned());
    for _ in 0..2 {
        assert!(values.iter().eq(0..count), "the same at every iteration");
    }
}

#[test]
fn a_group_may_be_larger_than_memory() {
    check_values(&MemoryBudget::unlimited(), 100_000);
    check_values(&MemoryBudget::new(80 << 10, 0), 100_000);
    check_values(&MemoryBudget::new(0, 0), 0);
}

#[test]
fn tails_stay_with_their_values() {
    let mut builder = RawValuesBuilder::new(&MemoryBudget::unlimited(), &Scratch::default());
    let tails = [Bytes::new(), Bytes::from_static(b"x"), Bytes::new()];
    for (index, tail) in tails.iter().enumerate() {
        builder.push(&[index as u8], tail).expect("fits");
    }
    let mut seen = Vec::new();
    let mut cursor = builder.finish().expect("fits").cursor();
    while let Some((head, tail)) = cursor.next_value().expect("in memory") {
        seen.push((head.to_vec(), tail.clone()));
    }
    let want: Vec<_> = tails.iter().enumerate().map(|(i, t)| (vec![i as u8], t.clone())).collect();
    assert_eq!(seen, want);
}

#[test]
fn records_stay_visible_while_another_edge_makes_room() {
    let store = InProcessShuffle::new(MemoryBudget::new(4 << 20, 0), Scratch::default());
    store.declare(EDGE, EdgeOrder::ByKey, 3);
    let all = rows(20_000);
    put_all(&store, &all, 3);
    // The readers come only now: until then the edge may be moved to disk.
    let pressing = || {
        let other = EdgeId(1);
        store.declare(other, EdgeOrder::ByKey, 1);
        let mut sink = store.sink(other).expect("declared");
        for (key, head, tail) in rows(20_000).iter().cycle().take(60_000) {
            sink.put(Record { key, head, tail }).expect("disk works");
        }
    };
    let counting = || {
        for _ in 0..2000 {
            assert_eq!(store.filled_partitions(EDGE), [0, 1, 2]);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(pressing);
        scope.spawn(counting);
    });
}

#[test]
fn a_long_bundle_keeps_few_spill_files_open() {
    let store = InProcessShuffle::new(MemoryBudget::new(0, 0), Scratch::default());
    store.declare(EDGE, EdgeOrder::ByKey, 2);
    let mut sink = store.sink(EDGE).expect("declared");
    let head = [7u8; 1000];
    let mut most = 0;
    for index in 0..100_000u32 {
        let key = index.to_be_bytes();
        sink.put(Record { key: &key, head: &head, tail: &Bytes::new() }).expect("disk works");
        if index.is_multiple_of(1000) {
            let open = std::fs::read_dir("/proc/self/fd").expect("Linux").count();
            most = most.max(open);
        }
    }
    assert!(most < 200, "{most} files were open");
}

/// A run of two records that counts the values that are loaded in all runs.
struct Counting {
    loaded: Arc<AtomicUsize>,
    is_loaded: bool,
    left: u8,
}

impl Counting {
    fn forget(&mut self) {
        self.loaded.fetch_sub(usize::from(std::mem::take(&mut self.is_loaded)), Relaxed);
    }
}

impl Cursor for Counting {
    fn advance(&mut self) -> Result<bool> {
        self.forget();
        let has_more = self.left > 0;
        self.left = self.left.saturating_sub(1);
        Ok(has_more)
    }

    fn key(&self) -> &[u8] {
        b"k"
    }

    fn load(&mut self) -> Result<()> {
        self.loaded.fetch_add(usize::from(!self.is_loaded), Relaxed);
        self.is_loaded = true;
        Ok(())
    }

    fn record(&self) -> Record<'_> {
        assert!(self.is_loaded, "a record that is looked at is loaded");
        Record { key: self.key(), head: &[], tail: &EMPTY }
    }
}

#[test]
fn a_merge_loads_one_value_at_a_time() {
    let loaded = Arc::new(AtomicUsize::new(0));
    let run = |_| Counting { loaded: Arc::clone(&loaded), is_loaded: false, left: 2 };
    let mut merged = Merged::new((0..10).map(run).map(|run| Box::new(run) as _).collect());
    let mut count = 0;
    while merged.advance().expect("no disk") {
        assert_eq!((merged.record().key, loaded.load(Relaxed)), (&b"k"[..], 1));
        count += 1;
    }
    assert_eq!((count, loaded.load(Relaxed)), (20, 0));
}

#[test]
fn an_element_that_is_too_large_is_refused_before_it_is_copied() {
    let store = InProcessShuffle::new(MemoryBudget::unlimited(), Scratch::default());
    store.declare(EDGE, EdgeOrder::InTurns, 1);
    let mut sink = store.sink(EDGE).expect("declared");
    // The pages of zeroes are never touched.
    let tail = Bytes::from(vec![0; 1 << 31]);
    let error = sink.put(Record { key: &[], head: &[], tail: &tail }).expect_err("too large");
    assert!(error.message().contains("2147483648 bytes"), "{error}");
}

#[test]
fn a_missing_scratch_folder_is_named() {
    let scratch = Scratch::new(Some("/nowhere/at/all".into()));
    let store = InProcessShuffle::new(MemoryBudget::new(0, 0), scratch);
    store.declare(EDGE, EdgeOrder::InTurns, 1);
    let mut sink = store.sink(EDGE).expect("declared");
    let tail = Bytes::from(vec![0; 100 << 10]);
    let mut puts = (0..10).map(|_| sink.put(Record { key: &[], head: &[], tail: &tail }));
    let error = puts.find_map(Result::err).expect("there is no such folder");
    assert_eq!(error.place("scratch"), Some("/nowhere/at/all"));
    assert!(error.advice().is_some_and(|advice| advice.contains("another scratch folder")));
}

/// Two records, of which the second cannot be read.
#[derive(Debug)]
struct Broken;

struct BrokenRecords(u32);

impl RecordSet for Broken {
    fn record_count(&self) -> u64 {
        2
    }

    fn records(&self) -> Box<dyn Records> {
        Box::new(BrokenRecords(0))
    }
}

impl Records for BrokenRecords {
    fn advance(&mut self) -> Result<bool> {
        self.0 += 1;
        if self.0 == 1 { Ok(true) } else { Err(Error::internal("the disk is broken")) }
    }

    fn record(&self) -> Record<'_> {
        Record { key: &[], head: &[7], tail: &EMPTY }
    }
}

#[test]
fn an_iteration_that_cannot_go_on_does_not_end_as_if_that_were_all() {
    let values = || RawValues::of_records(Arc::new(Broken));
    let sum = |values: Iterable<i64>| catch_unwind(AssertUnwindSafe(|| values.iter().sum::<i64>()));

    let in_bundle = sum(Iterable::in_bundle(values())).expect_err("there are two values");
    let error = in_bundle.downcast::<Error>().expect("unwinds with the error");
    assert_eq!(error.message(), "the disk is broken");

    let outside = sum(Iterable::outside(values())).expect_err("there are two values");
    let text = outside.downcast::<String>().expect("panics with a text");
    assert!(text.contains("the disk is broken"), "{text}");

    let mut tried = Iterable::<i64>::outside(values()).try_iter();
    assert_eq!(tried.next().expect("the first value").expect("is readable"), 7);
    assert_eq!(tried.next().expect("an error").expect_err("is returned"), *error);
    assert!(tried.next().is_none(), "once");
}
