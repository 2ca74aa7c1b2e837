//! Whatever an array is, and however it lay and is to lie: its elements, its fill value and its
//! attributes are what they were.

use array::{AttributeValue, DType, DatasetSource as _, Region, Scalar, Variable};
use levain::bake::{BakeOptions, ZarrVersion};
use levain::job::Bake;
use zarr::{CodecChain, VariableLayout, ZarrFormat, ZarrLayout, ZarrSink};

use crate::made::Folder;
use crate::random_recipes::Draw;
use crate::zarr::samples::{DTYPES, at, dataset, elements, fill, open, variable};

const CODECS: [&str; 5] = ["blosc-zstd:1", "zstd:3", "shuffle+zlib:1", "lz4", "none"];
const STORES: u64 = 60;
const ARRAYS: usize = 8;

/// An array of any type and of 0 to 6 dimensions, none of them longer than 7; some have no elements.
fn drawn_variable(draw: &mut Draw, number: usize) -> Variable {
    let rank = draw.below(7);
    let longest = if rank > 3 { 4 } else { 8 };
    let names: Vec<String> = (0..rank).map(|axis| format!("d{number}_{axis}")).collect();
    let length = |draw: &mut Draw| if draw.one_in(12) { 0 } else { 1 + draw.below(longest - 1) };
    let lengths: Vec<u64> = names.iter().map(|_| length(draw) as u64).collect();
    let dimensions: Vec<(&str, u64)> =
        names.iter().map(String::as_str).zip(lengths.iter().copied()).collect();
    let dtype = draw.pick(&DTYPES);
    let mut variable = variable(&format!("v{number}"), dtype, &dimensions);
    variable.attributes.set("long_name", "größer");
    variable.attributes.set("scale_factor", Scalar::of(0.1));
    variable
        .attributes
        .set("levels", AttributeValue::Numbers(vec![Scalar::of(1_i64), Scalar::of(2_i64)]));
    if draw.one_in(2) {
        variable.fill = Some(Scalar::zero(dtype));
    }
    if draw.one_in(2) {
        let masked = elements(dtype, &[9]).scalar(8).expect("an element");
        variable.attributes.set("_FillValue", masked);
    }
    variable
}

/// A chunk that may be longer than its dimension, and a shard of some of them.
fn drawn_layout(draw: &mut Draw, variable: &Variable, format: ZarrFormat) -> VariableLayout {
    let chunk_shape: Vec<u64> = variable.shape.iter().map(|_| 1 + draw.below(8) as u64).collect();
    let is_sharded = format == ZarrFormat::V3 && variable.dtype != DType::Text && draw.one_in(2);
    let shard_shape = is_sharded
        .then(|| chunk_shape.iter().map(|chunk| chunk * (1 + draw.below(3) as u64)).collect());
    let codecs: CodecChain = draw.pick(&CODECS).parse().expect("codecs");
    VariableLayout { chunk_shape, shard_shape, codecs }
}

fn lengths(draw: &mut Draw, variables: &[Variable]) -> String {
    let names = variables.iter().flat_map(|it| &it.dimensions);
    names.map(|name| format!("{name}={}", 1 + draw.below(8))).collect::<Vec<_>>().join(",")
}

#[test]
fn any_array_comes_back_as_it_was() {
    for seed in 0..STORES {
        let draw = &mut Draw::new(seed);
        let folder = Folder::new();
        let (source, target) = (folder.text("a.zarr"), folder.text("b.zarr"));
        let format = draw.pick(&[ZarrFormat::V2, ZarrFormat::V3]);
        let variables: Vec<Variable> =
            (0..ARRAYS).map(|number| drawn_variable(draw, number)).collect();
        let mut layout = ZarrLayout::new(format);
        for variable in &variables {
            let own = drawn_layout(draw, variable, format);
            layout = layout.with_variable(variable.name.clone(), own);
        }
        let template = dataset(variables.clone());
        let sink = ZarrSink::create(&at(&source), &template, &layout, &Default::default());
        let sink = sink.expect("a layout that fits");
        let wholes: Vec<_> = variables.iter().map(|it| elements(it.dtype, &it.shape)).collect();
        for (variable, whole) in variables.iter().zip(&wholes) {
            fill(&*sink.array(&variable.name).expect("there"), whole);
        }
        sink.finish().expect("a store");
        let zarr_format = draw.pick(&[ZarrVersion::V2, ZarrVersion::V3]);
        let chunks = lengths(draw, &variables).parse().expect("chunks");
        let options = BakeOptions { chunks, zarr_format, ..BakeOptions::default() };
        let bake = Bake::new([source.clone()], &target).expect("paths").with_options(options);
        let done = bake.with_groups(true).run();
        done.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let (old, new) = (open(&source), open(&target));
        for (variable, whole) in variables.iter().zip(&wholes) {
            let name = &variable.name;
            let was = old.dataset().variable(name).expect("written");
            let is = new.dataset().variable(name).expect("copied");
            assert_eq!(
                (is.dtype, &is.shape, &is.dimensions),
                (was.dtype, &was.shape, &was.dimensions)
            );
            let mut attributes = was.attributes.clone();
            let is_text = matches!(is.dtype, DType::Bytes(_) | DType::Text);
            if is_text && zarr_format == ZarrVersion::V3 {
                attributes.remove("_FillValue");
            }
            assert_eq!(is.attributes, attributes, "seed {seed}, {name}");
            let array = new.array(name).expect("an array");
            let read = array.read(&Region::whole(&variable.shape)).expect("reads");
            assert_eq!(&read, whole, "seed {seed}, {name} {} {:?}", variable.dtype, variable.shape);
        }
    }
}
