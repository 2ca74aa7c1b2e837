//! A million elements of 1 KiB through a Reshuffle, beside a copy of the same elements.

use std::hint::black_box;

use basic::{FlatMap, Map, Sum};
use bytes::Bytes;
use dataflow::prelude::{CombineGlobally, Create, Pipeline, Reshuffle};
use direct::DirectRunner;

use crate::{Outcome, measure};

const BUNDLES: u32 = 16;
const PAYLOADS: u32 = 1 << 20;
const PAYLOAD_BYTES: usize = 1 << 10;

fn payloads_of(bundle: u32) -> impl Iterator<Item = Bytes> {
    (0..PAYLOADS / BUNDLES).map(move |_| Bytes::from(vec![bundle as u8; PAYLOAD_BYTES]))
}

/// Makes the elements, spreads them and adds up their lengths.
pub(crate) fn with_levain() -> Outcome {
    measure(|| {
        let pipeline = Pipeline::new();
        let made = pipeline.apply(Create::of(0..BUNDLES)).apply(FlatMap::of(payloads_of));
        let lengths = made.apply(Reshuffle).apply(Map::of(|payload: Bytes| payload.len() as u64));
        let total = lengths.apply(CombineGlobally::of(Sum::<u64>::new())).collect();
        let report = pipeline.run(&DirectRunner::new()).expect("runs");
        let check = report.get(&total).expect("asked for").iter().sum();
        (check, report.shuffle.spilled_bytes)
    })
}

/// Copies the same elements on one thread, each into an allocation of its own, and keeps them all.
pub(crate) fn copy() -> Outcome {
    let payloads: Vec<Bytes> = (0..BUNDLES).flat_map(payloads_of).collect();
    measure(|| {
        let copies: Vec<Vec<u8>> = payloads.iter().map(|payload| payload.to_vec()).collect();
        (black_box(copies).iter().map(|copy| copy.len() as u64).sum(), 0)
    })
}
