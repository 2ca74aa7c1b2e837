//! Stores that xarray-beam writes, written here: documents, objects and values.

use array::{AttributeValue, Chunk, DType, Dataset, DatasetSource as _, Region, Scalar};
use chunks::{ChunkWish, ZarrChunks, ZarrGrid};
use dataflow::error::Result;
use dataflow::testing::shared_file;
use objects::StoreOptions;
use serde_json::{Value, json};
use zarr::{CodecChain, VariableLayout, ZarrFormat, ZarrLayout, ZarrSink};

use super::samples::{at, dataset, fill, objects, open, read, variable};

fn numbers(value: &Value) -> Vec<f64> {
    let rows = value.as_array().expect("rows").iter();
    let cells = rows.flat_map(|row| row.as_array().expect("a row"));
    cells.map(|cell| cell.as_f64().unwrap_or(f64::NAN)).collect()
}

/// What a case writes: the encoding of `v`, and its values as they are stored.
struct Encoded {
    dtype: DType,
    scale: Option<f64>,
    fill: Scalar,
}

impl Encoded {
    fn of(encoding: &Value) -> Self {
        let dtype =
            encoding["dtype"].as_str().map_or(DType::Float32, |it| it.parse().expect("known"));
        let fill = encoding["_FillValue"].as_f64().unwrap_or(f64::NAN);
        let fill = Scalar::of(fill).cast(dtype).expect("the type holds it");
        Self { dtype, scale: encoding["scale_factor"].as_f64(), fill }
    }

    fn store(&self, value: f64) -> Vec<u8> {
        let scalar = match self.scale {
            _ if value.is_nan() => self.fill.clone(),
            None => Scalar::from_float(self.dtype, value).expect("a float"),
            Some(scale) => {
                let packed = (value / scale).round_ties_even();
                Scalar::from_int(self.dtype, packed as i128).expect("in range")
            }
        };
        scalar.bytes().to_vec()
    }

    fn unpack(&self, chunk: &Chunk) -> Vec<f64> {
        let one = |place: u64| {
            let scalar = chunk.scalar(place).expect("there");
            let value = scalar.as_float().expect("a number");
            if scalar == self.fill { f64::NAN } else { value * self.scale.unwrap_or(1.0) }
        };
        (0..chunk.shape().iter().product()).map(one).collect()
    }
}

fn template(shape: [u64; 2], encoded: &Encoded) -> Dataset {
    let mut v = variable("v", encoded.dtype, &[("t", shape[0]), ("x", shape[1])]);
    v.attributes.set("units", "K");
    if let Some(scale) = encoded.scale {
        v.attributes.set("scale_factor", Scalar::of(scale));
    }
    v.attributes.set("_FillValue", encoded.fill.clone());
    // In version 3 xarray has the fill value that nothing is said of, whatever masks.
    let unsaid = Scalar::from_float(encoded.dtype, f64::NAN);
    v.fill = Some(unsaid.unwrap_or_else(|| Scalar::zero(encoded.dtype)));
    let mut x = variable("x", DType::Float64, &[("x", shape[1])]);
    // xarray gives every float this one.
    x.attributes.set("_FillValue", Scalar::of(f64::NAN));
    let mut template = dataset(vec![variable("t", DType::Int64, &[("t", shape[0])]), v, x]);
    template.attributes.set("title", AttributeValue::from("q"));
    template
}

fn grid(input: &Value, shape: [u64; 2]) -> Result<ZarrGrid> {
    let names = ["t", "x"];
    let pipeline = names.iter().zip(shape).map(|(name, length)| {
        input["pipeline_chunks"][name].as_u64().map_or(length, |chunk| chunk.min(length))
    });
    let pipeline: Vec<u64> = pipeline.collect();
    let wishes = |table: &Value| -> Vec<ChunkWish> {
        let wish = |name: &&str| match table[*name].as_i64() {
            None => ChunkWish::Kept,
            Some(length) => u64::try_from(length).map_or(ChunkWish::Whole, ChunkWish::Elements),
        };
        names.iter().map(wish).collect()
    };
    let chunks = match &input["zarr_chunks"] {
        Value::Null => ZarrChunks::Kept,
        table => ZarrChunks::Wishes(wishes(table)),
    };
    let shards = (!input["zarr_shards"].is_null()).then(|| wishes(&input["zarr_shards"]));
    let grid = ZarrGrid::new(&shape, &pipeline, &chunks, shards.as_deref())?;
    // What is one chunk there must fill the units by itself.
    for (place, &chunk) in pipeline.iter().enumerate() {
        let unit = grid.shards.as_ref().unwrap_or(&grid.chunks)[place];
        for start in (0..shape[place]).step_by(chunk as usize) {
            let elements = start..(start + chunk).min(shape[place]);
            chunks::check_whole_units(&elements, unit, shape[place])?;
        }
    }
    Ok(grid)
}

fn write(store: &str, case: &Value, shape: [u64; 2], encoded: &Encoded) -> Result<()> {
    let input = &case["input"];
    let grid = grid(input, shape)?;
    let format = if input["zarr_format"] == 2 { ZarrFormat::V2 } else { ZarrFormat::V3 };
    let own = VariableLayout {
        chunk_shape: grid.chunks,
        shard_shape: grid.shards,
        codecs: CodecChain::default(),
    };
    let layout = ZarrLayout::new(format).with_variable("v", own);
    let template = template(shape, encoded);
    let sink = ZarrSink::create(&at(store), &template, &layout, &StoreOptions::default())?;
    let t: Vec<i64> = (0..shape[0]).map(|n| n as i64 * 6).collect();
    fill(&*sink.array("t")?, &Chunk::of([shape[0]], &t)?);
    let last = (shape[1] - 1).max(1) as f64;
    let x: Vec<f64> = (0..shape[1]).map(|n| n as f64 / last).collect();
    fill(&*sink.array("x")?, &Chunk::of([shape[1]], &x)?);
    let values = numbers(&input["values"]).into_iter().flat_map(|it| encoded.store(it));
    let v = Chunk::new(encoded.dtype, shape, values.collect::<Vec<u8>>().into())?;
    fill(&*sink.array("v")?, &v);
    sink.finish()
}

/// The document of an array in the words of the case.
fn described(store: &str, name: &str, format: &Value) -> Value {
    let document = |key: &str| -> Value {
        let text = objects(store).get(&format!("{name}/{key}")).expect("written");
        serde_json::from_slice(&text).expect("JSON")
    };
    if *format == 2 {
        let array = document(".zarray");
        return json!({
            "zarr_format": 2, "shape": array["shape"], "chunks": array["chunks"], "shards": null,
            "fill_value": array["fill_value"], "attrs": document(".zattrs")
        });
    }
    let array = document("zarr.json");
    let unit = &array["chunk_grid"]["configuration"]["chunk_shape"];
    let inner = &array["codecs"][0]["configuration"]["chunk_shape"];
    let (chunks, shards) = if inner.is_null() { (unit, &Value::Null) } else { (inner, unit) };
    json!({
        "zarr_format": 3, "shape": array["shape"], "chunks": chunks, "shards": shards,
        "fill_value": array["fill_value"], "attrs": array["attributes"]
    })
}

#[test]
fn golden_xbeam_chunks_to_zarr_end_to_end() {
    let Some(path) = shared_file("golden/xbeam_chunks_to_zarr_end_to_end.json") else { return };
    let text = std::fs::read_to_string(path).expect("the file is there");
    let golden: Value = serde_json::from_str(&text).expect("vectors are JSON");
    let (mut passed, mut with_fill) = (0, 0);
    for case in golden["cases"].as_array().expect("there are cases") {
        let id = case["id"].as_str().expect("an id");
        let store = format!("memory://golden-{id}");
        let values = &case["input"]["values"];
        let rows = values.as_array().expect("rows");
        let shape = [rows.len() as u64, rows[0].as_array().expect("a row").len() as u64];
        let encoded = Encoded::of(&case["input"]["encoding"]["v"]);
        let written = write(&store, case, shape, &encoded);
        let Some(want) = case.get("expected") else {
            assert!(written.is_err(), "{id}: {}", case["error"]);
            passed += 1;
            continue;
        };
        written.expect(id);
        for (name, array) in want["arrays"].as_object().expect("arrays") {
            let mut array = array.clone();
            array.as_object_mut().expect("an object").remove("dtype");
            assert_eq!(described(&store, name, &array["zarr_format"]), array, "{id} {name}");
        }
        let title = open(&store).dataset().attributes.text("title").map(str::to_owned);
        assert_eq!(title.as_deref(), want["group_attrs"]["title"].as_str());
        let got = encoded.unpack(&read(&open(&store), "v", &Region::whole(&shape)));
        let same = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-9 || a.is_nan() && b.is_nan();
        assert!(got.iter().zip(&numbers(&want["values"])).all(same), "{id}: {got:?}");
        let keys = objects(&store).list("").expect("lists").into_iter();
        let keys: Vec<Value> = keys.map(|it| it.key.into()).collect();
        let wanted = want["objects"].as_array().expect("keys");
        // Zarr: a chunk that is absent holds the fill value. Here such a chunk is written unless
        // that is asked for, so that what is absent is missing.
        match keys.len() == wanted.len() {
            true => passed += 1,
            false => with_fill += 1,
        }
        assert!(wanted.iter().all(|key| keys.contains(key)), "{id}: {keys:?}");
    }
    assert_eq!((passed, with_fill), (24, 1), "equal, and with chunks of fill values besides");
}
