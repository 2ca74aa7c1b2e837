use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::{Shelf, Table, TableOrder};
use crate::error::{Error, Result};
use crate::memory::MemoryBudget;
use crate::shuffle::{RawValuesBuilder, Record, RecordSet, Scratch};

/// A key of one letter to three, and a value whose parts may be large.
type Pair = (String, Vec<u8>, Vec<u8>);

/// The first byte of a head says how long its key is; the byte is a part of the key.
fn key_bytes(head: &[u8]) -> Result<usize> {
    head.first().map(|count| usize::from(*count) + 1).ok_or_else(|| Error::internal("empty"))
}

fn encoded(key: &str) -> Vec<u8> {
    [&[key.len() as u8], key.as_bytes()].concat()
}

fn records(pairs: &[Pair]) -> impl RecordSet {
    let mut records = RawValuesBuilder::new(&MemoryBudget::unlimited(), &Scratch::default());
    for (key, head, tail) in pairs {
        let head = [&encoded(key)[..], head].concat();
        records.push(&head, &Bytes::from(tail.clone())).expect("memory");
    }
    records.finish().expect("memory")
}

fn part(record: Record<'_>) -> Result<(Vec<u8>, Vec<u8>)> {
    Ok((record.head.to_vec(), record.tail.to_vec()))
}

/// Tables in ample memory and in none but that of an index; only the second has a file.
fn both(pairs: &[Pair], order: TableOrder<'_>) -> [Table; 2] {
    let scratch = Scratch::default();
    let make = |bytes| {
        let mut shelf = Shelf::new(&MemoryBudget::new(bytes, 0), &scratch);
        let made = Table::of(&records(pairs), order, &mut shelf).expect("disk works");
        made.expect("there is memory for an index")
    };
    let in_memory = make(u64::MAX);
    assert_eq!(scratch.spilled_bytes(), 0);
    let on_disk = make(pairs.len() as u64 * 23);
    assert!(scratch.spilled_bytes() > 0 || pairs.is_empty());
    [in_memory, on_disk]
}

fn pairs(count: usize) -> impl Strategy<Value = Vec<Pair>> {
    let key = (0..20u8, 0..3usize).prop_map(|(letter, count)| {
        let letter = char::from(b'a' + letter);
        std::iter::repeat_n(letter, count + 1).collect()
    });
    // Parts of four kilobytes and more lie in blocks of their own.
    let part = || {
        let length = prop_oneof![8 => 0..20usize, 1 => 4000..9000usize];
        (any::<u8>(), length).prop_map(|(byte, length)| vec![byte; length])
    };
    prop::collection::vec((key, part(), part()), 100..count)
}

/// The parts of a value.
type HeadAndTail = (Vec<u8>, Vec<u8>);

/// All that tables are asked gives what `wanted`, by key, says.
fn check(tables: [Table; 2], wanted: &BTreeMap<Vec<u8>, Vec<HeadAndTail>>) {
    let repeated = wanted.iter().find(|(_, values)| values.len() > 1).map(|(key, _)| &key[..]);
    for table in tables {
        assert_eq!(table.repeated_key(), repeated);
        for key in (b'`'..=b'z').flat_map(|letter| (0..5).map(move |count| vec![letter; count])) {
            let key = encoded(std::str::from_utf8(&key).expect("letters"));
            let values = wanted.get(&key).map_or(&[][..], Vec::as_slice);
            let first = table.look_up(&key, part).expect("readable");
            assert!(first.map_or(values.is_empty(), |first| values.contains(&first)));
            // Bytes are elements: head and tail together.
            let all = table.values_of::<Bytes>(&key).expect("readable");
            assert_eq!(all.len(), values.len() as u64);
            assert_eq!(sorted(all.iter()), sorted(values.iter().map(|(a, b)| joined(a, b))));
        }
        let elements: Vec<Bytes> = table.elements().iter().collect();
        assert!(elements.is_sorted_by_key(|element| element[..=usize::from(element[0])].to_vec()));
        let flat = wanted.iter().flat_map(|(key, values)| values.iter().map(move |v| (key, v)));
        let flat = flat.map(|(key, (head, tail))| joined(&[&key[..], head].concat(), tail));
        assert_eq!(sorted(elements.into_iter()), sorted(flat));
    }
}

fn sorted(values: impl Iterator<Item = Bytes>) -> Vec<Bytes> {
    let mut values: Vec<Bytes> = values.collect();
    values.sort();
    values
}

fn joined(head: &[u8], tail: &[u8]) -> Bytes {
    [head, tail].concat().into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn values_are_found_by_key_in_memory_and_on_disk(pairs in pairs(1500)) {
        let tables = both(&pairs, TableOrder::ByKey(&key_bytes));
        let mut wanted = BTreeMap::<_, Vec<_>>::new();
        for (key, head, tail) in pairs {
            wanted.entry(encoded(&key)).or_default().push((head, tail));
        }
        check(tables, &wanted);
    }

    #[test]
    fn keys_that_differ_are_found_in_memory_and_on_disk(pairs in pairs(1500)) {
        let mut unique = BTreeMap::new();
        for (key, head, tail) in &pairs {
            unique.entry(encoded(key)).or_insert_with(|| vec![(head.clone(), tail.clone())]);
        }
        let mut seen = std::collections::BTreeSet::new();
        let mut first = pairs;
        first.retain(|(key, ..)| seen.insert(key.clone()));
        check(both(&first, TableOrder::ByKey(&key_bytes)), &unique);
    }

    #[test]
    fn elements_are_found_by_place_in_memory_and_on_disk(pairs in pairs(800)) {
        let whole = |(key, head, tail): &Pair| ([&encoded(key)[..], head].concat(), tail.clone());
        for table in both(&pairs, TableOrder::AsRead) {
            for (place, pair) in pairs.iter().enumerate() {
                let got = table.at(place as u64, part).expect("readable");
                assert_eq!(got, Some(whole(pair)));
            }
            assert_eq!(table.at(table.len(), part).expect("readable"), None);
            assert_eq!(table.len(), pairs.len() as u64);
            let all: Vec<Bytes> = table.elements().iter().collect();
            let want = pairs.iter().map(whole).map(|(head, tail)| joined(&head, &tail));
            assert_eq!(all, want.collect::<Vec<_>>());
        }
    }
}

#[test]
fn tables_of_one_shelf_share_a_file() {
    let budget = MemoryBudget::new(400, 0);
    let mut shelf = Shelf::new(&budget, &Scratch::default());
    let pair = |table: usize, n: usize| (format!("{n:04}"), vec![table as u8; 30], vec![]);
    let tables: Vec<Table> = (0..4)
        .map(|table| {
            let pairs: Vec<Pair> = (0..100).map(|n| pair(table, n)).collect();
            let made = Table::of(&records(&pairs), TableOrder::ByKey(&key_bytes), &mut shelf);
            made.expect("disk works").expect("there is memory for an index")
        })
        .collect();
    for (number, table) in tables.iter().enumerate() {
        assert_eq!(table.len(), 100);
        let found = table.look_up(&encoded("0099"), part).expect("readable");
        assert_eq!(found, Some((vec![number as u8; 30], vec![])));
    }
    drop((tables, shelf));
    assert!(budget.try_start(400).is_some(), "all memory is given back");
}

#[test]
fn an_index_that_memory_does_not_hold_makes_no_table() {
    let mut shelf = Shelf::new(&MemoryBudget::new(100, 0), &Scratch::default());
    let pairs: Vec<Pair> = (0..100).map(|n| (format!("{n:0200}"), vec![], vec![])).collect();
    let made = Table::of(&records(&pairs), TableOrder::ByKey(&key_bytes), &mut shelf);
    assert!(made.expect("disk works").is_none());
}
