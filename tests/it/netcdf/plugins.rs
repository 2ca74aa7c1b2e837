//! Filters that come as plugins of the C library, as it writes them.

use std::process::Command;

use array::DatasetSource;
use dataflow::testing::python;
use serde_json::{Map, Value};
use tempfile::TempDir;

use super::peer::crc32;
use super::reading::{open, read};

#[test]
fn what_filters_of_plugins_have_written_is_read() {
    let Some(python) = python() else { return };
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("plugins.h5");
    let made = Command::new(&python)
        .args(["-c", include_str!("plugins.py")])
        .arg(&path)
        .output()
        .expect("LEVAIN_TEST_PYTHON is an interpreter");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let told: Map<String, Value> = serde_json::from_slice(&made.stdout).expect("an object");
    let file = open(&path).expect("it opens");
    assert_eq!(file.dataset().variables.len(), told.len());
    for (name, want) in told {
        let chunk = read(&file, &name).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(Value::from(crc32(&chunk)), want, "{name} differs");
    }
}
