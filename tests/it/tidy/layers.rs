//! Rules on what modules may name: the layers of `engine/dataflow`, and the doors closed to others.

use super::source::{ident, line_of, names_below, words};
use super::tree::{RustFile, Tree, Violation};

const DATAFLOW: &str = "engine/dataflow/src/";

/// The layers of `engine/dataflow`: a module names modules of its own or an earlier line.
const LAYERS: [&[&str]; 13] = [
    &["error", "time"],
    &["element", "coder"],
    &["window"],
    &["metrics", "memory", "cancel", "capability", "options"],
    &["shuffle"],
    &["blob"],
    &["receiver"],
    &["dofn", "combine", "state", "view"],
    &["graph"],
    &["ptransform", "pipeline", "pcollection", "primitives"],
    &["plan"],
    &["bundle"],
    &["runner", "prelude", "testing"],
];

/// What of `dataflow` is for runners and for `dataflow` itself.
const CLOSED_DOORS: [&str; 6] = ["bundle", "graph", "plan", "receiver", "runner", "shuffle"];

/// Every module of `dataflow` names its own layer and those before it. Tests may name all.
pub(crate) fn check_layers(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in tree.shipped(DATAFLOW.trim_end_matches('/')) {
        let inner = file.path.trim_start_matches(DATAFLOW);
        let violation = |what: String, mend: &str| Violation {
            file: file.path.to_owned(),
            rule: "layers",
            what,
            mend: mend.to_owned(),
        };
        let module = inner.split(['/', '.']).next().unwrap_or(inner);
        if module == "lib" {
            continue;
        }
        let Some(own) = layer_of(module) else {
            let what = format!("{module} stands in no layer");
            found.push(violation(what, "give it a layer in LAYERS"));
            continue;
        };
        let code = file.source.shipped_code();
        let mut names: Vec<(usize, &str)> = names_below(&code, "crate");
        names.extend(names_above(&code, depth(inner)));
        for (line, name) in names {
            match layer_of(name) {
                Some(layer) if layer <= own => {}
                Some(_) => {
                    let what = format!("line {line}: {module} names {name}, of a later layer");
                    found.push(violation(what, "move what is shared to the earlier layer"));
                }
                None => {
                    let what = format!("line {line}: {name} is a module of no layer");
                    found.push(violation(what, "name the module that a thing is defined in"));
                }
            }
        }
    }
    found
}

/// Transforms and formats name of `dataflow` what authors of pipelines use, also in their tests.
pub(crate) fn check_doors(tree: &Tree) -> Vec<Violation> {
    let is_outside = |file: &RustFile<'_>| {
        file.path.starts_with("transforms/") || file.path.starts_with("formats/")
    };
    let mut found = Vec::new();
    for file in tree.rust().filter(is_outside) {
        for (line, name) in names_below(file.source.code(), "dataflow") {
            if CLOSED_DOORS.contains(&name) {
                found.push(Violation {
                    file: file.path.to_owned(),
                    rule: "doors",
                    what: format!("line {line}: dataflow::{name}"),
                    mend: "use what dataflow::prelude offers".to_owned(),
                });
            }
        }
    }
    found
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Modules between a file and the root of its crate.
fn depth(inner_path: &str) -> usize {
    let path = inner_path.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').count()
}

/// What is named by exactly as many `super::` as lead to the root of the crate.
fn names_above(code: &str, depth: usize) -> Vec<(usize, &str)> {
    let chain = vec!["super"; depth].join("::");
    let starts = words(code, "super").filter(|at| !code[..*at].ends_with("::"));
    let names = starts.filter_map(|at| {
        let name = code[at..].strip_prefix(&chain)?.strip_prefix("::")?;
        (!name.starts_with("super")).then(|| (line_of(code, at), ident(name)))
    });
    names.collect()
}
