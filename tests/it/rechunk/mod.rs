//! `levain rechunk`: a whole store or file written anew, with all its groups.

mod groups;
mod refused;
mod resumed;
mod round_trip;
mod types;

use array::{AttributeValue, DType, DatasetSource as _, GroupPath, Region};
use zarr::{VariableLayout, ZarrFormat, ZarrLayout, ZarrSink};

use crate::made::Folder;
use crate::zarr::samples::{at, dataset, elements, fill, open, variable};

/// The groups of a tree; `bare` has attributes alone.
const PATHS: [&str; 7] = ["", "a", "a/b", "bare", "c", "c/d", "c/d/e"];
/// Those that have an array `v(y, x)`, with its lengths.
const LENGTHS: [(&str, u64); 4] = [("", 7), ("a", 5), ("a/b", 9), ("c/d/e", 4)];

/// Makes a tree of groups in `a.zarr`; its path.
fn tree(folder: &Folder, format: &str) -> String {
    let format = if format == "2" { ZarrFormat::V2 } else { ZarrFormat::V3 };
    let path = folder.text("a.zarr");
    let sink = |group: &GroupPath| {
        let name = group.to_string();
        let length = LENGTHS.iter().find(|(path, _)| *path == name).map(|(_, length)| *length);
        let mut variables = Vec::new();
        if let Some(length) = length {
            let mut array = variable("v", DType::Int16, &[("y", length), ("x", 6)]);
            array.attributes.set("units", "K");
            variables.push(array);
            if group.names().len() < 2 {
                variables.push(variable("y", DType::Float64, &[("y", length)]));
            }
        }
        let mut template = dataset(variables);
        template.attributes.set("path", AttributeValue::Text(format!("/{name}")));
        let own = VariableLayout {
            chunk_shape: vec![2, 4],
            shard_shape: None,
            codecs: "zstd:1".parse().expect("codecs"),
        };
        let mut layout = ZarrLayout::new(format);
        if length.is_some() {
            layout = layout.with_variable("v", own);
        }
        let location = if group.is_root() { at(&path) } else { at(&path).join(&name) };
        let sink = ZarrSink::create(&location, &template, &layout, &Default::default());
        let sink = sink.expect("a layout that fits");
        for array in &template.variables {
            let whole = elements(array.dtype, &array.shape);
            fill(&*sink.array(&array.name).expect("there"), &whole);
        }
        sink
    };
    let mut root = sink(&GroupPath::default());
    for group in &PATHS[1..] {
        let group: GroupPath = group.parse().expect("a path");
        let below = sink(&group);
        root = root.with_group(group, below);
    }
    root.finish().expect("a store");
    path
}

/// Checks that a store has all that [`tree`] makes, and nothing else.
#[track_caller]
fn check_tree(path: &str) {
    let tree = open(path).tree().expect("a tree");
    let paths: Vec<String> = tree.iter().map(|(path, _)| path.to_string()).collect();
    assert_eq!(paths, PATHS);
    for (path, group) in &tree {
        let name = path.to_string();
        let own = group.dataset();
        assert_eq!(own.attributes.text("path"), Some(format!("/{name}").as_str()));
        assert_eq!(own.attributes.len(), 1, "{name}: {:?}", own.attributes);
        let Some((_, length)) = LENGTHS.iter().find(|(path, _)| *path == name) else {
            assert!(own.variables.is_empty(), "{name}");
            continue;
        };
        let shape = [*length, 6];
        let read = group.array("v").expect("an array").read(&Region::whole(&shape));
        assert_eq!(read.expect("reads"), elements(DType::Int16, &shape), "{name}");
        assert_eq!(own.expect_variable("v").expect("there").attributes.text("units"), Some("K"));
        assert_eq!(own.variable("y").is_some(), path.names().len() < 2, "{name}");
    }
}
