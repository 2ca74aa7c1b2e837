use super::tree::Tree;
use super::violations;

const FILES: &[(&str, &str)] = &[
    (
        "Cargo.toml",
        r#"
[workspace]
members = ["engine/dataflow", "formats/objects", "transforms/basic", "runners/direct"]
[workspace.dependencies]
dataflow = { package = "levain-dataflow", path = "engine/dataflow" }
objects = { package = "levain-objects", path = "formats/objects" }
basic = { package = "levain-basic", path = "transforms/basic" }
direct = { path = "runners/direct", package = "levain-direct" }
[package]
name = "levain"
[features]
anything = []
[dependencies]
direct.workspace = true
"#,
    ),
    (
        "Cargo.lock",
        r#"
[[package]]
name = "levain-dataflow"
dependencies = ["bytes"]
[[package]]
name = "bytes"
source = "registry+https://github.com/rust-lang/crates.io-index"
"#,
    ),
    ("README.md", "# Levain\n"),
    (
        "docs/architecture.md",
        "`engine/dataflow` `formats/objects` `transforms/basic` `runners/direct`",
    ),
    (
        "engine/dataflow/Cargo.toml",
        r#"
[package]
name = "levain-dataflow"
[lib]
name = "dataflow"
[features]
testing = []
"#,
    ),
    ("engine/dataflow/src/lib.rs", "//! It.\npub mod error;\npub mod graph;\npub mod plan;\n"),
    ("engine/dataflow/src/error.rs", "//! Leads to [`crate::plan`].\npub struct Error;\n"),
    ("engine/dataflow/src/graph/node.rs", "//! A node.\nuse super::super::error::Error;\n"),
    (
        "engine/dataflow/src/plan.rs",
        "//! The plan.\nuse crate::{error::Error, graph};\n#[cfg(test)]\nuse crate::testing::T;\n",
    ),
    (
        "formats/objects/Cargo.toml",
        r#"
[package]
name = "levain-objects"
[lib]
name = "objects"
[dependencies]
dataflow.workspace = true
[dev-dependencies]
dataflow = { workspace = true, features = ["testing"] }
"#,
    ),
    ("formats/objects/src/lib.rs", "//! Stores.\nuse dataflow::prelude::Pipeline;\n"),
    ("formats/objects/src/client.rs", "//! Waits.\nasync fn get() {}\n"),
    ("formats/objects/src/credentials.rs", "//! Keys.\nuse std::env;\n"),
    (
        "transforms/basic/Cargo.toml",
        r#"
[package]
name = "levain-basic"
[lib]
name = "basic"
[dependencies]
dataflow.workspace = true
"#,
    ),
    ("transforms/basic/src/lib.rs", "//! Maps.\nmod map;\n#[cfg(test)]\nmod tests;\n"),
    ("transforms/basic/src/map.rs", "//! A map.\nfn say() -> &'static str { \"println!()\" }\n"),
    ("transforms/basic/src/tests.rs", "fn f() { println!() }\n"),
    (
        "runners/direct/Cargo.toml",
        r#"
[package]
name = "levain-direct"
[lib]
name = "direct"
[dependencies]
dataflow.workspace = true
"#,
    ),
    ("runners/direct/src/lib.rs", "//! Runs.\nuse dataflow::runner::Runner;\n"),
    ("src/main.rs", "//! The command.\nfn main() { println!(\"{:?}\", std::env::args()) }\n"),
];

/// A small house in which nothing is broken.
fn house() -> Tree {
    FILES.iter().fold(Tree::default(), |tree, (path, text)| tree.with(path, text))
}

/// Checks that the tree breaks one rule, once, in this file.
#[track_caller]
fn check(tree: &Tree, rule: &str, file: &str) {
    let found = violations(tree);
    let found: Vec<(&str, &str)> = found.iter().map(|v| (v.rule, v.file.as_str())).collect();
    assert_eq!(found, [(rule, file)]);
}

/// Checks that a file with this text breaks one rule, once.
#[track_caller]
fn check_file(rule: &str, file: &str, text: &str) {
    check(&house().with(file, text), rule, file);
}

/// Checks that a line at the end of a file breaks one rule, once.
#[track_caller]
fn check_line(rule: &str, file: &str, line: &str) {
    let text = house().text(file).expect("a file of the house").to_owned();
    check_file(rule, file, &format!("{text}{line}\n"));
}

/// Checks that one word in place of another breaks one rule, once.
#[track_caller]
fn check_instead(rule: &str, file: &str, from: &str, to: &str) {
    let text = house().text(file).expect("a file of the house").replace(from, to);
    assert!(text.contains(to), "nothing to replace");
    check_file(rule, file, &text);
}

#[test]
fn a_tidy_house_breaks_no_rule() {
    assert_eq!(violations(&house()), []);
}

#[test]
fn edges_that_the_law_does_not_know_are_found() {
    let (objects, basic) = ("formats/objects/Cargo.toml", "transforms/basic/Cargo.toml");
    check_line("imports", basic, "objects.workspace = true");
    check_line("imports", basic, "store = { workspace = true, package = \"levain-objects\" }");
    check_line("imports", basic, "[dependencies.objects]\nworkspace = true");
    check_line("imports", basic, "[dev-dependencies]\ndirect.workspace = true");
    check_line("imports", basic, "[build-dependencies]\nlevain-objects = \"1\"");
    check_line("imports", basic, "[target.'cfg(unix)'.dependencies]\nobjects.workspace = true");
    check_line("imports", objects, "direct.workspace = true");
    check_line("imports", "runners/direct/Cargo.toml", "basic.workspace = true");
    check_line("imports", "engine/dataflow/Cargo.toml", "[dependencies]\nobjects.workspace = true");
    check_line("imports", basic, "other = { path = \"../other\" }");
}

#[test]
fn crates_that_the_law_does_not_know_are_found() {
    let place = "formats/hologram";
    let of_basic = |file: &str| house().text(file).expect("a file").replace("basic", "hologram");
    let root = house().text("Cargo.toml").expect("a manifest").to_owned();
    let line =
        format!("hologram = {{ package = \"levain-hologram\", path = \"{place}\" }}\n[package]");
    let root = root.replace("members = [", &format!("members = [\"{place}\", "));
    let map = format!("{} `{place}`", house().text("docs/architecture.md").expect("a map"));
    let tree = house()
        .with("Cargo.toml", &root.replace("[package]", &line))
        .with("docs/architecture.md", &map)
        .with(&format!("{place}/Cargo.toml"), &of_basic("transforms/basic/Cargo.toml"))
        .with(&format!("{place}/src/lib.rs"), "//! Light.\nmod light;\n");
    check(&tree, "imports", "formats/hologram/Cargo.toml");
}

#[test]
fn features_below_the_root_are_found() {
    check_line("features", "runners/direct/Cargo.toml", "[features]\nfast = []");
    check_line("features", "runners/direct/Cargo.toml", "[features]\ntesting = []");
    check_line("features", "engine/dataflow/Cargo.toml", "fast = []");
    check_line(
        "features",
        "Cargo.toml",
        "dataflow = { workspace = true, features = [\"testing\"] }",
    );
    check_line("features", "transforms/basic/Cargo.toml", "dataflow.features = [\"testing\"]");
}

#[test]
fn packages_with_other_names_are_found() {
    let manifest = "transforms/basic/Cargo.toml";
    check_instead("names", manifest, "levain-basic", "levain_basic");
    check_instead("names", manifest, "name = \"basic\"", "name = \"basics\"");
    check_instead("names", "Cargo.toml", "basic = {", "simple = {");
}

#[test]
fn crates_that_are_not_on_a_shelf_are_found() {
    check_file("shelves", "formats/objects/s3/Cargo.toml", "");
    check_file("shelves", "formats/Cargo.toml", "");
    check_file("shelves", "extra/Cargo.toml", "");
    check_file("shelves", "formats/stray.rs", "//! A file.");
    check_file("shelves", "formats/stray/src/lib.rs", "//! A folder without a manifest.");
}

#[test]
fn manifests_that_are_not_understood_are_found() {
    let tree = house().with("formats/other/Cargo.toml", "what is this");
    check(&tree, "shelves", "formats/other/Cargo.toml");
}

#[test]
fn members_that_are_missing_or_empty_are_found() {
    check_instead("members", "Cargo.toml", "\"runners/direct\"]", "]");
    check_instead("members", "Cargo.toml", "\"runners/direct\"]", "\"runners/direct\", \"a/b\"]");
    let empty = house().with("runners/direct/src/lib.rs", "//! Nothing yet.\n");
    check(&empty, "members", "runners/direct/Cargo.toml");
}

#[test]
fn an_engine_that_stands_on_a_cloud_is_found() {
    let lock = "[[package]]\nname = \"levain-dataflow\"\ndependencies = [\"a 1.0\"]\n\
                [[package]]\nname = \"a\"\ndependencies = [\n \"tokio-util\",\n]\n\
                [[package]]\nname = \"tokio-util\"\n";
    let manifest = "engine/dataflow/Cargo.toml";
    check(&house().with("Cargo.lock", lock), "light engine", manifest);
    check(&house().without("Cargo.lock"), "light engine", manifest);
}

#[test]
fn names_of_a_later_layer_are_found() {
    let (error, node) = ("engine/dataflow/src/error.rs", "engine/dataflow/src/graph/node.rs");
    check_line("layers", error, "use crate::plan::Stage;");
    check_line("layers", error, "use super::plan::Stage;");
    check_line("layers", node, "use crate::{error::Error, plan};");
    check_line("layers", node, "fn f() { super::super::plan::f() }");
    check_line("layers", node, "use crate::Stage;");
    check_file("layers", "engine/dataflow/src/cellar.rs", "//! A new module.");
}

#[test]
fn closed_doors_that_are_used_are_found() {
    check_line("doors", "transforms/basic/src/map.rs", "use dataflow::runner::Runner;");
    check_line("doors", "transforms/basic/src/tests.rs", "use dataflow::{bundle, prelude::X};");
    check_line("doors", "formats/objects/src/lib.rs", "fn f() { ::dataflow::plan::f() }");
}

#[test]
fn long_files_are_found() {
    let lines = |count: usize| format!("//! Long.\n{}", "type A = u8;\n".repeat(count - 1));
    check_file("file lengths", "runners/direct/src/long.rs", &lines(601));
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "//\n".repeat(100));
    let tree = house().with("runners/direct/src/long.rs", &(lines(600) + &tests));
    assert_eq!(violations(&tree), []);
}

#[test]
fn long_functions_are_found() {
    let function = |line_count: usize| {
        format!("//! Long.\nfn f() {{\n{}}}\n", "    f();\n".repeat(line_count - 2))
    };
    let file = "runners/direct/src/long.rs";
    check_file("function lengths", file, &function(71));
    check_file("function lengths", "runners/direct/src/long/tests.rs", &function(71));
    assert_eq!(violations(&house().with(file, &function(70))), []);
}

#[test]
fn files_that_do_more_than_declare_are_found() {
    let work = "pub fn f() {\n    f();\n    f();\n    f();\n}\n".repeat(9);
    check_line("declaring files", "runners/direct/src/lib.rs", &work);
    check_file("declaring files", "runners/direct/src/a/mod.rs", &format!("//! It.\n{work}"));
}

#[test]
fn names_that_say_nothing_are_found() {
    check_file("file names", "runners/direct/src/utils.rs", "//! This and that.");
    check_file("file names", "runners/direct/src/common/mod.rs", "//! This and that.");
    check_file("file names", "tests/it/helpers.rs", "//! This and that.");
}

#[test]
fn modules_that_do_not_say_what_they_are_for_are_found() {
    check_file("module docs", "runners/direct/src/map.rs", "use a::B;\n");
    check_file("module docs", "examples/first.rs", "fn main() {}\n");
}

#[test]
fn async_where_calls_block_is_found() {
    check_line("async", "transforms/basic/src/map.rs", "async fn f() {}");
    check_line("async", "src/main.rs", "fn f() { g(async { 1 }) }");
}

#[test]
fn printing_below_the_root_is_found() {
    check_line("printing", "transforms/basic/src/map.rs", "fn f() { println!(\"a\") }");
    check_line("printing", "runners/direct/src/lib.rs", "fn f() { dbg!(1) }");
    check_line("printing", "runners/direct/src/lib.rs", "fn f() { std::io::stderr() }");
    check_line("printing", "runners/direct/src/lib.rs", "fn f() { stdout() }");
}

#[test]
fn looking_at_the_environment_below_the_root_is_found() {
    check_line("environment", "transforms/basic/src/map.rs", "fn f() { std::env::var(\"A\") }");
    check_line("environment", "formats/objects/src/client.rs", "use std::{env, fs};");
}

#[test]
fn a_client_that_goes_another_way_in_tests_is_found() {
    let client = "formats/objects/src/client.rs";
    check_line("one way", client, "fn f() { if cfg!(test) {} }");
    check_line("one way", client, "#[cfg(test)] fn f() {}");
    check_line("one way", client, "fn f() { if is_sandbox {} }");
}

#[test]
fn a_readme_that_nobody_reads_is_found() {
    check_file("readme", "README.md", &"a\n".repeat(121));
    check(&house().without("README.md"), "readme", "README.md");
}

#[test]
fn crates_that_are_not_on_the_map_are_found() {
    check_instead("map", "docs/architecture.md", "`runners/direct`", "runners");
}

#[test]
fn claims_without_their_test_are_found() {
    let row = "| yes | no | `no_test_is_called_so` |\n";
    check_file("proofs", "docs/capabilities.md", row);
    check_file("proofs", "docs/batch-rows.md", row);
}

#[test]
fn paths_of_machines_are_found() {
    check_line("machine paths", "README.md", concat!("see /ho", "me/somebody/levain"));
    let mirror = concat!("source = \"registry", "+https://mirror.example/index\"");
    check_line("machine paths", "Cargo.lock", mirror);
    check_line("machine paths", "src/main.rs", concat!("// /wo", "rk/levain"));
}
