//! What the C library reads of the same files, where an interpreter with netCDF4 is at hand.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use array::{AttributeValue, Attributes, Chunk, DType, DatasetSource, Scalar};
use flate2::Crc;
use netcdf::NetcdfFile;
use serde_json::{Value, json};

use super::reading::read;

/// What the C library reads, one value a file.
pub(crate) fn ask(python: &Path, files: &[PathBuf]) -> Vec<Value> {
    let mut child = Command::new(python)
        .args(["-c", include_str!("oracle.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("LEVAIN_TEST_PYTHON is an interpreter");
    let mut stdin = child.stdin.take().expect("it is piped");
    let lines: Vec<String> = files.iter().map(|path| format!("{}\n", path.display())).collect();
    stdin.write_all(lines.concat().as_bytes()).expect("the interpreter reads");
    drop(stdin);
    let output = child.wait_with_output().expect("the interpreter ends");
    let told = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    told.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// Where names, attributes and values differ; counts the variables that do not.
pub(crate) fn compare(file: &NetcdfFile, told: &Value, equal: &mut usize) -> Vec<String> {
    let dataset = file.dataset();
    let mut found = Vec::new();
    let mut check = |what: &str, ours: Value, theirs: &Value| {
        if ours != *theirs {
            let (ours, theirs) = first_difference(&ours, theirs);
            found.push(format!("{what}: {ours} here, {theirs} there"));
        }
    };
    let dimensions = dataset.dimensions.iter();
    let dimensions: Vec<Value> =
        dimensions.map(|d| json!([d.name, d.length, d.is_unlimited])).collect();
    check("dimensions", json!(dimensions), &told["dimensions"]);
    check("groups", json!(dataset.groups), &told["groups"]);
    check("attributes", of_attributes(&dataset.attributes), &told["attributes"]);
    let theirs: Vec<&Value> = told["variables"].as_array().expect("a list").iter().collect();
    let names = |kept: &dyn Fn(&&&Value) -> bool| -> Vec<Value> {
        theirs.iter().filter(kept).map(|variable| variable["name"].clone()).collect()
    };
    let is_kept = |v: &&&Value| v["type"] != "compound" && v["type"] != "vlen";
    let ours: Vec<&str> = dataset.variables.iter().map(|v| v.name.as_str()).collect();
    check("variables", json!(ours), &Value::Array(names(&is_kept)));
    for theirs in theirs {
        let name = theirs["name"].as_str().expect("a name");
        let Some(variable) = dataset.variable(name) else { continue };
        let mut own_shape = theirs["shape"].as_array().expect("a list").clone();
        let mut own_dimensions = theirs["dimensions"].as_array().expect("a list").clone();
        if theirs["type"] == "char" {
            own_shape.pop();
            own_dimensions.pop();
        } else {
            check(name, json!(variable.dtype.to_string()), &theirs["type"]);
        }
        check(name, json!(variable.shape), &Value::Array(own_shape));
        check(name, json!(variable.dimensions), &Value::Array(own_dimensions));
        check(name, of_attributes(&variable.attributes), &theirs["attributes"]);
        match (read(file, name), theirs.get("error")) {
            (Ok(chunk), None) => {
                check(name, json!(crc32(&chunk)), &theirs["crc32"]);
                *equal += 1;
            }
            // Some filters are known to one side only; which are ours, other tests say.
            (Ok(_), Some(_)) | (Err(_), _) => {}
        }
    }
    found
}

/// Of two lists, their first elements that differ.
fn first_difference<'a>(ours: &'a Value, theirs: &'a Value) -> (&'a Value, &'a Value) {
    let (Value::Array(a), Value::Array(b)) = (ours, theirs) else { return (ours, theirs) };
    let place = a.iter().zip(b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()));
    (a.get(place).unwrap_or(&Value::Null), b.get(place).unwrap_or(&Value::Null))
}

/// A sum over the values, as the oracle makes it.
pub(crate) fn crc32(chunk: &Chunk) -> u32 {
    let mut crc = Crc::new();
    if chunk.dtype() == DType::Text {
        for text in chunk.texts().expect("texts") {
            crc.update(text.as_bytes());
            crc.update(b"\0");
        }
    } else {
        crc.update(chunk.payload());
    }
    crc.sum()
}

fn of_attributes(attributes: &Attributes) -> Value {
    let values = attributes.iter().map(|(name, value)| json!([name, of_attribute(value)]));
    Value::Array(values.collect())
}

fn of_attribute(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::Text(text) => json!({ "text": text }),
        AttributeValue::Texts(texts) => json!({ "texts": texts }),
        AttributeValue::Numbers(numbers) => {
            let hex: Vec<u8> = numbers.iter().flat_map(Scalar::bytes).copied().collect();
            let hex: String = hex.iter().map(|byte| format!("{byte:02x}")).collect();
            let dtype = numbers.first().map(|number| number.dtype().to_string());
            json!({ "numbers": dtype, "hex": hex })
        }
        AttributeValue::Json(text) => json!({ "json": text }),
    }
}
