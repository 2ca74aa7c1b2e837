//! Golden vectors, where they lie beside the clone.

use dataflow::testing::shared_file;
use serde_json::Value;

/// The cases of a file of vectors; none, with a line that says so, where it is absent.
pub(crate) fn cases(name: &str) -> Vec<Value> {
    let Some(path) = shared_file(&format!("golden/{name}")) else { return Vec::new() };
    let text = std::fs::read_to_string(path).expect("the file is there");
    let golden: Value = serde_json::from_str(&text).expect("vectors are JSON");
    golden["cases"].as_array().expect("there are cases").clone()
}
