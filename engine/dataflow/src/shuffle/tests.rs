use bytes::Bytes;

use super::values::{RawValuesBuilder, ReadFault};
use super::{
    EdgeId, EdgeOrder, InProcessShuffle, Iterable, Record, Records, ShuffleStore, partition_of,
};
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
    let store = InProcessShuffle::new(budget.clone(), None);
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
    let store = InProcessShuffle::new(MemoryBudget::new(100 << 10, 0), None);
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
    let store = InProcessShuffle::new(MemoryBudget::unlimited(), None);
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
    let store = InProcessShuffle::new(budget.clone(), None);
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
    let mut builder = RawValuesBuilder::new(budget, None);
    for value in 0..count {
        let mut head = Vec::new();
        crate::coder::encode_varint(value.cast_unsigned(), &mut head);
        builder.push(&head, &Bytes::new()).expect("disk works");
    }
    let values = Iterable::<i64>::new(builder.finish().expect("disk works"), ReadFault::default());
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
    let mut builder = RawValuesBuilder::new(&MemoryBudget::unlimited(), None);
    let tails = [Bytes::new(), Bytes::from_static(b"x"), Bytes::new()];
    for (index, tail) in tails.iter().enumerate() {
        builder.push(&[index as u8], tail).expect("fits");
    }
    let mut seen = Vec::new();
    let values = builder.finish().expect("fits");
    values
        .for_each(|head, tail| {
            seen.push((head.to_vec(), tail.clone()));
            Ok(())
        })
        .expect("in memory");
    let want: Vec<_> = tails.iter().enumerate().map(|(i, t)| (vec![i as u8], t.clone())).collect();
    assert_eq!(seen, want);
}
