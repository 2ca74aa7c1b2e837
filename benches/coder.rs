//! How fast are elements encoded and decoded? `memcpy` is the limit for those with a payload.
//!
//! Each case encodes 100 000 elements into one buffer and decodes them all again. `record` is a
//! type with a derived coder, which is CBOR; `payload` has 4 KiB, which decoding shares.

use std::hint::black_box;

use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use dataflow::coder::{Coder, Context};
use dataflow::prelude::Element;
use serde::{Deserialize, Serialize};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ELEMENTS: usize = 100_000;
const PAYLOAD_BYTES: usize = 4 << 10;

/// A reading of a station.
#[derive(Debug, Clone, Serialize, Deserialize, Element)]
#[element(crate = "dataflow")]
struct Reading {
    station: String,
    time: i64,
    value: f64,
}

fn encode<T: Element>(elements: &[T], out: &mut Vec<u8>) {
    let coder = T::coder();
    out.clear();
    for element in elements {
        coder.encode(element, Context::Nested, out).expect("encodes");
    }
}

fn decode<T: Element>(mut bytes: &[u8]) -> usize {
    let coder = T::coder();
    let mut count = 0;
    while !bytes.is_empty() {
        black_box(coder.decode(Context::Nested, &mut bytes).expect("decodes"));
        count += 1;
    }
    count
}

fn case<T: Element>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, elements: &[T]) {
    let mut bytes = Vec::new();
    encode(elements, &mut bytes);
    assert_eq!(decode::<T>(&bytes), elements.len(), "all come back");
    group.throughput(Throughput::Elements(elements.len() as u64));
    let mut out = Vec::with_capacity(bytes.len());
    group.bench_function(format!("{name}/encode"), |b| b.iter(|| encode(elements, &mut out)));
    group.bench_function(format!("{name}/decode"), |b| b.iter(|| decode::<T>(&bytes)));
}

/// Payloads as edges carry them: the head is copied, the tail is shared.
fn payloads(group: &mut BenchmarkGroup<'_, WallTime>) {
    let payloads: Vec<Bytes> =
        (0..ELEMENTS).map(|n| Bytes::from(vec![n as u8; PAYLOAD_BYTES])).collect();
    let coder = Bytes::coder();
    group.throughput(Throughput::Elements(ELEMENTS as u64));
    let mut head = Vec::new();
    group.bench_function("payload/shared", |bench| {
        bench.iter(|| {
            for payload in &payloads {
                head.clear();
                let tail = coder.encode_shared(payload, &mut head).expect("encodes");
                let back: Bytes = coder.decode_shared(&head, tail).expect("decodes");
                black_box(back);
            }
        });
    });
    let mut out = vec![0; PAYLOAD_BYTES];
    group.bench_function("payload/memcpy", |bench| {
        bench.iter(|| payloads.iter().for_each(|it| black_box(&mut out).copy_from_slice(it)));
    });
}

fn coder(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("coder");
    group.sample_size(20);
    let numbers = 0..ELEMENTS as i64;
    let word = |n: i64| format!("word-{}", n % 5000);
    case(&mut group, "varint", &numbers.clone().map(|n| n * n).collect::<Vec<i64>>());
    case(&mut group, "pair", &numbers.clone().map(|n| (word(n), n)).collect::<Vec<_>>());
    let reading = |n| Reading { station: word(n), time: n, value: n as f64 / 7.0 };
    case(&mut group, "record", &numbers.map(reading).collect::<Vec<_>>());
    payloads(&mut group);
    group.finish();
}

criterion_group!(benches, coder);
criterion_main!(benches);
