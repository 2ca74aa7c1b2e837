//! `levain inspect`: what a file or a store holds.

use levain::array::{AttributeValue, Attributes, Dataset, Variable};
use levain::bake::open_dataset;
use levain::dataflow::error::Result;
use levain::objects::Location;
use serde_json::{Map, Value, json};

use crate::cli::args::InspectArgs;
use crate::cli::out::Out;
use crate::cli::settled::Settled;
use crate::cli::table::{Table, count, shape};

/// Characters of an attribute that are shown.
const ATTRIBUTE_LIMIT: usize = 100;

/// Shows dimensions, variables, chunks, codecs and attributes.
pub(crate) fn inspect(args: &InspectArgs, settled: &Settled, out: &Out) -> Result<()> {
    let location = Location::parse(&args.source)?;
    let mut source = open_dataset(&location, &settled.store()?)?;
    if let Some(group) = &args.group {
        source = source.group(&group.parse()?).map_err(|error| error.at("source", &location))?;
    }
    let dataset = source.dataset();
    for warning in &dataset.warnings {
        out.warning(warning);
    }
    out.result(&text_of(&location.to_string(), dataset), &json_of(&location.to_string(), dataset))
}

fn text_of(location: &str, dataset: &Dataset) -> String {
    let mut text = format!("{location}\n");
    let dimensions = dataset.dimensions.iter().map(|dimension| {
        let unlimited = if dimension.is_unlimited { " (unlimited)" } else { "" };
        format!("{}={}{unlimited}", dimension.name, dimension.length)
    });
    text.push_str(&format!("dimensions  {}\n", dimensions.collect::<Vec<_>>().join(", ")));
    if !dataset.groups.is_empty() {
        text.push_str(&format!("groups      {} (--group shows one)\n", dataset.groups.join(", ")));
    }
    let mut table =
        Table::new(["VARIABLE", "DTYPE", "DIMENSIONS", "SHAPE", "CHUNKS", "SHARDS", "CODECS"]);
    for variable in &dataset.variables {
        let storage = &variable.storage;
        table.row([
            variable.name.clone(),
            variable.dtype.to_string(),
            variable.dimensions.join(", "),
            shape(&variable.shape),
            storage.chunk_shape.as_deref().map_or("-".to_owned(), shape),
            storage.shard_shape.as_deref().map_or("-".to_owned(), shape),
            storage.codecs.join(" "),
        ]);
    }
    text.push_str(&table.to_string());
    for variable in &dataset.variables {
        push_attributes(&mut text, &variable.name, &variable.attributes);
    }
    push_attributes(&mut text, "", &dataset.attributes);
    let elements: u64 = dataset.variables.iter().map(Variable::element_count).sum();
    text.push_str(&format!(
        "{} variables, {} elements\n",
        dataset.variables.len(),
        count(elements)
    ));
    text
}

fn push_attributes(text: &mut String, owner: &str, attributes: &Attributes) {
    for (name, value) in attributes.iter() {
        let shown = value_text(value).replace('\n', "\\n");
        let cut: String = shown.chars().take(ATTRIBUTE_LIMIT).collect();
        let more = if cut.len() < shown.len() { "…" } else { "" };
        text.push_str(&format!("  {owner}:{name} = {cut}{more}\n"));
    }
}

fn value_text(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Text(text) => format!("{text:?}"),
        AttributeValue::Texts(texts) => format!("{texts:?}"),
        AttributeValue::Numbers(numbers) => {
            numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
        AttributeValue::Json(json) => json.clone(),
    }
}

fn json_of(location: &str, dataset: &Dataset) -> Value {
    let variables = dataset.variables.iter().map(|variable| {
        json!({
            "name": variable.name,
            "dtype": variable.dtype.to_string(),
            "dimensions": variable.dimensions,
            "shape": variable.shape,
            "fill": variable.fill.as_ref().map(ToString::to_string),
            "chunks": variable.storage.chunk_shape,
            "shards": variable.storage.shard_shape,
            "codecs": variable.storage.codecs,
            "attributes": attributes_json(&variable.attributes),
        })
    });
    json!({
        "v": 1,
        "location": location,
        "dimensions": dataset.dimensions,
        "variables": variables.collect::<Vec<_>>(),
        "attributes": attributes_json(&dataset.attributes),
        "groups": dataset.groups,
        "warnings": dataset.warnings,
    })
}

fn attributes_json(attributes: &Attributes) -> Map<String, Value> {
    attributes.iter().map(|(name, value)| (name.to_owned(), attribute_json(value))).collect()
}

fn attribute_json(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::Text(text) => json!(text),
        AttributeValue::Texts(texts) => json!(texts),
        AttributeValue::Json(text) => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        AttributeValue::Numbers(numbers) => {
            let number = |scalar: &levain::array::Scalar| match scalar.as_int() {
                Some(int) => {
                    i64::try_from(int).map_or_else(|_| json!(int.to_string()), |int| json!(int))
                }
                None => match scalar.as_float() {
                    Some(float) if float.is_finite() => json!(float),
                    _ => json!(scalar.to_string()),
                },
            };
            match numbers.as_slice() {
                [only] => number(only),
                many => many.iter().map(number).collect(),
            }
        }
    }
}
