//! Golden vectors of pangeo-forge-recipes 0.10.8 and xarray: what schemas and attributes of files
//! become together.

use std::collections::BTreeMap;

use array::{AttributeValue, Attributes, DType, Dataset, Dimension, Scalar, Storage, Variable};
use dataflow::testing::shared_file;
use serde_json::{Value, json};

use crate::check::check;
use crate::open::SourceVersion;
use crate::options::{AttributePolicy, BakeOptions, DimOrderPolicy};
use crate::pattern::{CombineDim, FilePattern, Keys};
use crate::schema::{AxisSummary, FilePlace, FileSummary, FurtherAxis, Schema, VariableFindings};
use crate::template::Template;

/// The cases of a file, or none where the vectors do not lie beside the project.
pub(crate) fn cases(file: &str) -> Vec<Value> {
    let Some(path) = shared_file(&format!("golden/{file}")) else { return Vec::new() };
    let text = std::fs::read_to_string(path).expect("the file is there");
    let mut root: Value = serde_json::from_str(&text).expect("vectors are JSON");
    let cases = root["cases"].take().as_array().expect("vectors have cases").clone();
    assert_eq!(Some(cases.len() as u64), root["n_cases"].as_u64());
    cases
}

/// Attributes as Python has them; a bool is a number there.
pub(crate) fn attributes_of_json(attributes: &Value) -> Attributes {
    let attributes = attributes.as_object().expect("attributes");
    attributes.iter().map(|(name, value)| (name.clone(), attribute(value))).collect()
}

fn attribute(value: &Value) -> AttributeValue {
    match value {
        Value::String(text) if text == "NaN" => Scalar::of(f64::NAN).into(),
        Value::String(text) => text.as_str().into(),
        Value::Bool(bool) => Scalar::of(i64::from(*bool)).into(),
        Value::Number(number) => scalar(number).into(),
        Value::Array(all) => {
            let numbers = all.iter().map(|it| match it {
                Value::Number(number) => scalar(number),
                other => panic!("unknown {other}"),
            });
            AttributeValue::Numbers(numbers.collect())
        }
        Value::Null => AttributeValue::Json("null".to_owned()),
        Value::Object(_) => panic!("unknown {value}"),
    }
}

fn scalar(number: &serde_json::Number) -> Scalar {
    match number.as_i64() {
        Some(integer) => Scalar::of(integer),
        None => Scalar::of(number.as_f64().expect("a number")),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

/// One file as it was scanned; data are told apart by their file, coordinates are all the same.
struct MadeFile {
    place: FilePlace,
    /// Elements along each concat dimension.
    along: Vec<(String, u64)>,
    dataset: Dataset,
    coordinates: Vec<String>,
}

impl MadeFile {
    fn schema(&self) -> Schema {
        let concats: Vec<String> = self.along.iter().map(|(name, _)| name.clone()).collect();
        let findings = self.dataset.variables.iter().map(|variable| {
            let is_static = !variable.dimensions.iter().any(|it| concats.contains(it));
            let is_shared = self.coordinates.contains(&variable.name);
            let digest = if is_shared { 0 } else { u128::from(self.place) + 1 };
            let digest = is_static.then_some(digest);
            let found = VariableFindings { digest, encoded_ratio: 1.0, ..Default::default() };
            (variable.name.clone(), found)
        });
        let axis = |length: u64| AxisSummary::of_numbers((0..length).map(|it| it as f64), true);
        let mut along = self.along.iter().map(|(_, length)| (*length, axis(*length)));
        let (concat_length, axis) = along.next().unwrap_or_default();
        let summary = FileSummary {
            location: format!("{}.nc", self.place),
            version: SourceVersion::default(),
            concat_length,
            axis,
            further: along.map(|(length, axis)| FurtherAxis { length, axis }).collect(),
        };
        Schema::of_file(self.place, summary, &self.dataset, &concats, &findings.collect())
    }
}

fn variable(name: &str, dimensions: &[&str], shape: &[u64], dtype: DType) -> Variable {
    Variable {
        name: name.to_owned(),
        dimensions: dimensions.iter().map(|&it| it.to_owned()).collect(),
        shape: shape.to_vec(),
        dtype,
        fill: None,
        attributes: Attributes::default(),
        storage: Storage::default(),
    }
}

fn dimensions(all: &[(&str, u64)]) -> Vec<Dimension> {
    let dimension = |&(name, length): &(&str, u64)| Dimension {
        name: name.to_owned(),
        length,
        is_unlimited: false,
    };
    all.iter().map(dimension).collect()
}

fn reduced(files: &[MadeFile]) -> Schema {
    let mut schema = Schema::default();
    files.iter().for_each(|file| schema.merge(file.schema()));
    schema
}

/// The template of files that can become one store.
fn template(
    schema: &Schema,
    concat: Option<&str>,
    options: &BakeOptions,
) -> dataflow::error::Result<Template> {
    let checked = check(schema, concat, options)?;
    Template::new(schema, &checked, concat, options)
}

/// pangeo-forge starts from no attributes and takes those of the first that has some: where its
/// left side is empty, no file was added yet. A list beside a scalar is an error there and a
/// difference here: 6 of 80 cases, for which its own rule, "attributes that both have", decides.
#[test]
fn golden_pfr_combine_attrs() {
    for case in cases("pfr_combine_attrs.json") {
        let sides = [&case["input"]["a1"], &case["input"]["a2"]].map(attributes_of_json);
        let files = (0..).zip(&sides).filter(|(place, it)| *place == 1 || !it.is_empty());
        let files: Vec<MadeFile> = files
            .map(|(place, attributes)| MadeFile {
                place,
                along: Vec::new(),
                dataset: Dataset { attributes: attributes.clone(), ..Dataset::default() },
                coordinates: Vec::new(),
            })
            .collect();
        let schema = reduced(&files);
        let got = crate::attributes::of_store(&schema, AttributePolicy::DropConflicts, |_| {});
        let expected = match &case["error"] {
            Value::Null => attributes_of_json(&case["expected"]),
            _ => {
                let both = |(name, it): &(&str, &AttributeValue)| sides[1].get(name) == Some(it);
                let own = |(name, it): (&str, &AttributeValue)| (name.to_owned(), it.clone());
                sides[0].iter().filter(both).map(own).collect()
            }
        };
        let sorted = |it: &Attributes| {
            let own = |(name, it): (&str, &AttributeValue)| (name.to_owned(), it.clone());
            let mut all: Vec<_> = it.iter().map(own).collect();
            all.sort_by(|a, b| a.0.cmp(&b.0));
            all
        };
        assert_eq!(sorted(&got), sorted(&expected), "{}", case["id"]);
    }
}

/// Every file of a grid of variables and times; where the last is longer than the others at its
/// key, both refuse.
#[test]
fn golden_pfr_determine_schema_grid() {
    for case in cases("pfr_determine_schema_grid.json") {
        let input = &case["input"];
        let lengths: Vec<u64> =
            input["file_lengths"].as_array().expect("lengths").iter().map(number).collect();
        let count = |count: u64| Keys::integers(0, count as i64 - 1, 1).expect("keys");
        let variables = number(&input["n_variables"]);
        let dim = |name: &Value| match text(name) {
            "variable" => CombineDim::merge("variable", count(variables)),
            _ => CombineDim::concat("time", count(lengths.len() as u64)),
        };
        let dims = input["combine_dims"].as_array().expect("dimensions").iter().map(dim);
        let template_text = "{variable}{time}".parse().expect("a template");
        let pattern = FilePattern::new(template_text, dims).expect("a pattern");
        let key = |place: u32, dim: &str| {
            let index = pattern.index(place.into()).expect("is there");
            let key = pattern.key(&index, dim).expect("a key").to_string();
            key.parse::<u64>().expect("a number")
        };
        let is_longer = input["last_file_of_last_variable_longer_by_one"] == true;
        let schema = grid_schema(&pattern, key, (variables, &lengths), is_longer);
        let options = BakeOptions { pattern: Some(pattern.clone()), ..BakeOptions::default() };
        let template = match template(&schema, Some("time"), &options) {
            Ok(template) => template.dataset,
            Err(error) => {
                assert!(!case["error"].is_null(), "{}: {error}", case["id"]);
                continue;
            }
        };
        // A single variable has no other to be compared with: it is longer, and right.
        let is_alone = is_longer && variables == 1;
        assert!(case["error"].is_null() || is_alone, "{}", case["id"]);
        if case["error"].is_null() {
            let chunks = schema.files.iter().filter(|(place, _)| key(**place, "variable") == 0);
            let chunks = chunks
                .map(|(place, file)| (key(*place, "time").to_string(), file.concat_length.into()));
            let got = json!({
                "dims": sizes(&template),
                "chunks": { "time": Value::Object(chunks.collect()) },
                "variables": described(&template),
            });
            assert_eq!(got, case["expected"], "{}", case["id"]);
        }
    }
}

/// What the files of a grid say: one variable each, of as many elements as their time has.
fn grid_schema(
    pattern: &FilePattern,
    key: impl Fn(u32, &str) -> u64,
    (variables, lengths): (u64, &[u64]),
    is_longer: bool,
) -> Schema {
    let mut start = 0.0;
    let starts: Vec<f64> = lengths
        .iter()
        .map(|&length| {
            let own = start;
            start += length as f64;
            own
        })
        .collect();
    let mut schema = Schema::default();
    for place in 0..pattern.len() as u32 {
        let (own, time) = (key(place, "variable"), key(place, "time") as usize);
        let is_last = own + 1 == variables && time + 1 == lengths.len();
        let length = lengths[time] + u64::from(is_longer && is_last);
        let dataset = Dataset {
            dimensions: dimensions(&[("time", length), ("lat", 2)]),
            variables: vec![
                variable("time", &["time"], &[length], DType::Int64),
                variable("lat", &["lat"], &[2], DType::Float64),
                variable(&format!("v{own}"), &["time", "lat"], &[length, 2], DType::Float32),
            ],
            ..Dataset::default()
        };
        let along = vec![("time".to_owned(), length)];
        let coordinates = vec!["lat".to_owned()];
        let mut file = MadeFile { place, along, dataset, coordinates }.schema();
        let axis = (0..length).map(|it| starts[time] + it as f64);
        for summary in file.files.values_mut() {
            summary.axis = AxisSummary::of_numbers(axis.clone(), true);
        }
        schema.merge(file);
    }
    schema
}

fn sizes(dataset: &Dataset) -> Value {
    let sizes = dataset.dimensions.iter().map(|it| (it.name.clone(), it.length.into()));
    Value::Object(sizes.collect())
}

fn described(dataset: &Dataset) -> Value {
    let own = dataset.variables.iter().map(|it| {
        let dtype = it.dtype.to_string();
        (it.name.clone(), json!({ "dims": it.dimensions, "shape": it.shape, "dtype": dtype }))
    });
    Value::Object(own.collect())
}

/// A schema of pangeo-forge as a file of ours, and the dimensions along which it stands somewhere.
fn file_of(schema: &Value, place: FilePlace, concat: Option<&str>) -> MadeFile {
    let own = |kind: &str| schema[kind].as_object().expect("an object").clone();
    let mut variables = Vec::new();
    for (kind, is_coordinate) in [("coords", true), ("data_vars", false)] {
        for (name, described) in own(kind) {
            let list = |of: &str| described[of].as_array().expect("a list").clone();
            let dims = list("dims");
            let dims: Vec<&str> = dims.iter().map(text).collect();
            let shape: Vec<u64> = list("shape").iter().map(number).collect();
            let is_time = described["dtype"] == "datetime64[ns]";
            let dtype = match text(&described["dtype"]) {
                "datetime64[ns]" => DType::Int64,
                "<U3" => DType::Text,
                other => other.parse().expect("a type"),
            };
            let mut made = variable(&name, &dims, &shape, dtype);
            made.attributes = attributes_of_json(&described["attrs"]);
            if is_time {
                made.attributes.set("units", "days since 2000-01-01");
            }
            variables.push((made, is_coordinate));
        }
    }
    let sizes = own("dims");
    let sizes: Vec<(&str, u64)> =
        sizes.iter().map(|(name, length)| (name.as_str(), number(length))).collect();
    let coordinates = variables.iter().filter(|it| it.1).map(|it| it.0.name.clone()).collect();
    let dataset = Dataset {
        dimensions: dimensions(&sizes),
        variables: variables.into_iter().map(|it| it.0).collect(),
        attributes: attributes_of_json(&schema["attrs"]),
        ..Dataset::default()
    };
    let along = concat
        .into_iter()
        .map(|name| (name.to_owned(), dataset.dimension(name).map_or(0, |it| it.length)));
    MadeFile { place, along: along.collect(), coordinates, dataset }
}

/// Compared are lengths, dimensions, types by NumPy's promotion, and attributes that both have.
/// Encodings are combined as groups here, which no dictionary can say, and are not compared.
///
/// Deliberately different, 4 of 139: numbers and texts of one variable are refused, not made texts
/// (CF 1.11, 2.2, knows each variable as one of the types that it lists, and texts as none of the
/// numeric ones). Dimensions in another order are refused as pangeo-forge does where that is asked for.
#[test]
fn golden_pfr_combine_schemas() {
    let mut text_count = 0;
    for case in cases("pfr_combine_schemas.json") {
        let (input, id) = (&case["input"], &case["id"]);
        let concat = input["concat_dim"].as_str();
        let sides: Vec<&Value> = [&input["schema1"], &input["schema2"]]
            .into_iter()
            // Before any file is added there is nothing, not even a dimension.
            .filter(|side| side["dims"].as_object().is_some_and(|it| !it.is_empty()))
            .collect();
        let files: Vec<MadeFile> =
            (0..).zip(&sides).map(|(place, side)| file_of(side, place, concat)).collect();
        let schema = reduced(&files);
        let message = case["error"]["message"].as_str().unwrap_or_default();
        let has_both = schema.variables.values().any(|it| {
            let is_text = *it.dtype.first() == DType::Text;
            it.dtype.conflict().is_some_and(|[_, (_, other)]| is_text != (*other == DType::Text))
        });
        let refusal = refusal(&schema, &sides, concat);
        if has_both && message.is_empty() {
            text_count += 1;
            assert!(refusal.is_some(), "{id}");
            continue;
        }
        assert_eq!(refusal.is_some(), !message.is_empty(), "{id}: {refusal:?} and {message}");
        if refusal.is_none() {
            check_combined(&schema, &sides, &case["expected"], concat, id);
        }
    }
    assert!(text_count <= 4, "{text_count}");
}

/// Why two schemas are not combined.
fn refusal(schema: &Schema, sides: &[&Value], concat: Option<&str>) -> Option<String> {
    if schema.variables.is_empty() {
        return Some("there is nothing".to_owned());
    }
    let places: Vec<BTreeMap<String, Vec<String>>> = sides
        .iter()
        .map(|side| {
            let chunks = side["chunks"].as_object().expect("chunks");
            let keys = |of: &Value| of.as_object().expect("places").keys().cloned().collect();
            chunks.iter().map(|(dim, at)| (dim.clone(), keys(at))).collect()
        })
        .collect();
    if let ([one, other], Some(concat)) = (places.as_slice(), concat) {
        // Places of files are those of one pattern, which has one file at each.
        if !one.keys().eq(other.keys()) {
            return Some("the files do not stand in one pattern".to_owned());
        }
        let urls = [one, other].map(|it| it.get(concat).cloned().unwrap_or_default()).concat();
        if let Err(error) = FilePattern::from_files(urls, Some(concat), None) {
            return Some(error.to_string());
        }
    }
    if let Err(error) = crate::check::check_lengths(schema) {
        return Some(error.to_string());
    }
    for (name, variable) in &schema.variables {
        let policy = (DimOrderPolicy::Error, &mut Vec::new());
        if let Err(error) = crate::check::check_shape(schema, name, variable, policy) {
            return Some(error.to_string());
        }
        let is_twice = concat.is_none()
            && variable.file_count > 1
            && !sides.iter().any(|side| side["coords"].get(name).is_some());
        if is_twice {
            // Of data, only the digest tells whether they are the same; these are not.
            return Some(format!("`{name}` is in two files of a merge dimension"));
        }
        if variable.time.conflict().is_some() || variable.decoded_dtype().is_none() {
            return Some(format!("`{name}` has types that nothing holds"));
        }
    }
    None
}

fn check_combined(
    schema: &Schema,
    sides: &[&Value],
    expected: &Value,
    concat: Option<&str>,
    id: &Value,
) {
    for (name, length) in expected["dims"].as_object().expect("dims") {
        let got = match concat {
            Some(concat) if concat == name => {
                Some(schema.files.values().map(|file| file.concat_length).sum())
            }
            _ => schema.dimensions.get(name).map(|it| *it.first()),
        };
        // A dimension that no variable has is none of a store.
        assert!(got.is_none_or(|got| got == number(length)), "{id}: {name} is {got:?}");
    }
    let file_count = sides.len() as u32;
    let all = ["coords", "data_vars"].map(|kind| expected[kind].as_object().expect("variables"));
    let mut count = 0;
    for (name, described) in all.into_iter().flatten() {
        let own = schema.variables.get(name).unwrap_or_else(|| panic!("{id} has no {name}"));
        count += 1;
        assert_eq!(json!(own.dimensions.first()), described["dims"], "{id}: {name}");
        let is_time = own.time.first().is_some();
        let dtype = match own.decoded_dtype() {
            _ if is_time => "datetime64[ns]".to_owned(),
            Some(DType::Text) => "<U3".to_owned(),
            dtype => dtype.map_or(String::new(), |it| it.to_string()),
        };
        // Texts of NumPy have a width, which promotion with numbers makes larger.
        let is_text = |text: &str| text.starts_with("<U");
        let wanted = text(&described["dtype"]);
        assert!(dtype == wanted || is_text(&dtype) && is_text(wanted), "{id}: {name} is {dtype}");
        let is_there = |side: &&&Value| {
            let own = ["coords", "data_vars"].into_iter().find_map(|kind| side[kind].get(name));
            own.is_some_and(|it| it["attrs"].as_object().is_some_and(|it| !it.is_empty()))
        };
        // A left side without attributes is one that no file was added to, as above.
        let is_first_empty = sides.len() > 1 && !is_there(&&sides[0]);
        let needed = if is_first_empty { 1 } else { own.file_count };
        let kept = own.attributes.iter().filter(|(name, it)| {
            it.conflict().is_none() && it.count() == needed && !(is_time && *name == "units")
        });
        let kept: BTreeMap<&str, &AttributeValue> =
            kept.map(|(name, it)| (name.as_str(), &it.first().1)).collect();
        let wanted = attributes_of_json(&described["attrs"]);
        let wanted = wanted.iter().filter(|(name, _)| !(is_time && *name == "units"));
        assert_eq!(kept, wanted.collect(), "{id}: {name}");
    }
    assert_eq!(count, schema.variables.len(), "{id}");
    let is_first_empty =
        sides.len() > 1 && sides[0]["attrs"].as_object().is_some_and(serde_json::Map::is_empty);
    let needed = if is_first_empty { 1 } else { file_count };
    let kept = schema.attributes.iter();
    let kept = kept.filter(|(_, it)| it.conflict().is_none() && it.count() == needed);
    let kept: BTreeMap<&str, &AttributeValue> =
        kept.map(|(name, it)| (name.as_str(), &it.first().1)).collect();
    let wanted = attributes_of_json(&expected["attrs"]);
    assert_eq!(kept, wanted.iter().collect(), "{id}");
}
