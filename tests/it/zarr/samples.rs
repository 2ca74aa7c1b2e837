//! Stores in memory, and elements of every type to fill them with.

use array::{
    ArraySink, Attributes, Chunk, ChunkGrid, DType, Dataset, DatasetSource, Dimension, Region,
    Scalar, Storage, Variable,
};
use objects::{Location, Objects, StoreOptions};
use zarr::{CodecChain, VariableLayout, ZarrFormat, ZarrLayout, ZarrSink, ZarrSource};

pub(crate) const DTYPES: [DType; 17] = [
    DType::Bool,
    DType::Int8,
    DType::Int16,
    DType::Int32,
    DType::Int64,
    DType::UInt8,
    DType::UInt16,
    DType::UInt32,
    DType::UInt64,
    DType::Float16,
    DType::Float32,
    DType::Float64,
    DType::Complex64,
    DType::Complex128,
    DType::Bytes(1),
    DType::Bytes(5),
    DType::Text,
];

pub(crate) fn at(text: &str) -> Location {
    Location::parse(text).expect("a location")
}

pub(crate) fn objects(text: &str) -> Objects {
    Objects::open(&at(text), &StoreOptions::default()).expect("opens")
}

pub(crate) fn open(text: &str) -> ZarrSource {
    ZarrSource::open(&at(text), &StoreOptions::default()).expect("a store")
}

/// Elements that differ from their neighbours; floats hold a NaN and infinities.
pub(crate) fn elements(dtype: DType, shape: &[u64]) -> Chunk {
    let count = shape.iter().product::<u64>();
    if dtype == DType::Text {
        let texts: Vec<String> = (0..count).map(|n| "ü".repeat(n as usize % 4)).collect();
        return Chunk::of_texts(shape, &texts).expect("texts");
    }
    let scalar = |n: u64| match dtype {
        DType::Bool => Scalar::from_int(dtype, i128::from(n % 3 == 1)),
        DType::Float16 | DType::Float32 | DType::Float64 => {
            let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0];
            let value = odd.get(n as usize).copied().unwrap_or(n as f64 * 0.5);
            Scalar::from_float(dtype, value)
        }
        _ => {
            let bytes =
                (0..dtype.item_bytes().expect("fixed") as u64).map(|b| (n * 7 + b) as u8 % 100 + 1);
            Scalar::new(dtype, bytes.collect::<Vec<u8>>()).ok()
        }
    };
    let bytes = (0..count).flat_map(|n| scalar(n).expect("an element").bytes().to_vec());
    Chunk::new(dtype, shape, bytes.collect::<Vec<u8>>().into()).expect("elements")
}

pub(crate) fn variable(name: &str, dtype: DType, dimensions: &[(&str, u64)]) -> Variable {
    Variable {
        name: name.to_owned(),
        dimensions: dimensions.iter().map(|(name, _)| (*name).to_owned()).collect(),
        shape: dimensions.iter().map(|(_, length)| *length).collect(),
        dtype,
        fill: None,
        attributes: Attributes::default(),
        storage: Storage::default(),
    }
}

pub(crate) fn dataset(variables: Vec<Variable>) -> Dataset {
    let mut dimensions: Vec<Dimension> = Vec::new();
    for (name, &length) in variables.iter().flat_map(|v| v.dimensions.iter().zip(&v.shape)) {
        if !dimensions.iter().any(|known| known.name == *name) {
            dimensions.push(Dimension { name: name.clone(), length, is_unlimited: false });
        }
    }
    Dataset { dimensions, variables, ..Dataset::default() }
}

/// A layout of one variable `v`.
pub(crate) fn layout(
    format: ZarrFormat,
    chunk: &[u64],
    shard: Option<&[u64]>,
    codecs: impl Into<CodecChain>,
) -> ZarrLayout {
    let layout = VariableLayout {
        chunk_shape: chunk.to_vec(),
        shard_shape: shard.map(<[u64]>::to_vec),
        codecs: codecs.into(),
    };
    ZarrLayout::new(format).with_variable("v", layout)
}

/// Writes every unit of one array.
pub(crate) fn fill(array: &dyn ArraySink, whole: &Chunk) {
    let units: &ChunkGrid = &array.facts().units;
    for linear in 0..units.chunk_count() {
        let index = units.index_of(linear);
        let part = whole.slice(&units.region(&index)).expect("within");
        array.write(&index, &part).expect("encodes").wait().expect("writes");
    }
}

/// Writes a store of one variable.
pub(crate) fn write(store: &str, variable: &Variable, layout: &ZarrLayout, whole: &Chunk) {
    let template = dataset(vec![variable.clone()]);
    let sink = ZarrSink::create(&at(store), &template, layout, &StoreOptions::default());
    let sink = sink.expect("a layout that fits");
    fill(&*sink.array(&variable.name).expect("there"), whole);
    sink.finish().expect("writes");
}

pub(crate) fn read(source: &ZarrSource, name: &str, region: &Region) -> Chunk {
    source.array(name).expect("an array").read(region).expect("reads")
}

/// All objects of a store, with their bytes.
pub(crate) fn contents(store: &str) -> Vec<(String, bytes::Bytes)> {
    let objects = objects(store);
    let keys = objects.list("").expect("lists").into_iter().map(|facts| facts.key);
    keys.map(|key| (key.clone(), objects.get(&key).expect("there"))).collect()
}
