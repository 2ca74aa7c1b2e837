//! Rules on crates: which there are, what they are called, and which may know which.

use std::collections::BTreeSet;

use super::manifest::{Dependency, Manifest, Table, inline_fields, strings};
use super::tree::{Crate, SHELVES, Tree, Violation, crate_place};

/// The import law: a crate, and the crates of the house that it may know. The root knows all.
///
/// Source: `docs/architecture.md`. A new crate is a line here and a line there.
const LAW: &[(&str, &[&str])] = &[
    ("engine/dataflow", &["derive"]),
    ("engine/derive", &[]),
    ("engine/array", &["dataflow"]),
    ("formats/objects", &["dataflow"]),
    ("formats/zarr", &["dataflow", "array", "objects"]),
    ("formats/netcdf", &["dataflow", "array", "objects"]),
    ("formats/grib", &["dataflow", "array", "objects"]),
    ("formats/cf", &["array"]),
    ("formats/tabular", &["dataflow", "objects"]),
    ("formats/virtual", &["array", "objects"]),
    ("transforms/basic", &["dataflow"]),
    ("transforms/chunks", &["dataflow", "array"]),
    (
        "transforms/bake",
        &[
            "dataflow", "array", "chunks", "objects", "zarr", "netcdf", "grib", "cf", "tabular",
            "virtual",
        ],
    ),
    ("runners/direct", &["dataflow"]),
    ("runners/batch", &["dataflow", "objects"]),
    ("runners/beam", &["dataflow"]),
];

/// How crates are called that carry clouds, formats, protobuf or async, and their families:
/// nothing that the engine stands on may.
const OUTSIDE_OF_ENGINE: [&str; 14] = [
    "async-",
    "aws-",
    "azure",
    "google-cloud",
    "grib",
    "hdf5",
    "netcdf",
    "object_store",
    "prost",
    "protobuf",
    "reqwest",
    "tokio",
    "tonic",
    "zarrs",
];

/// Every edge between crates of the house is one that the law allows.
pub(crate) fn check_imports(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for member in tree.crates() {
        let violation = |what: String, mend: &str| Violation {
            file: member.manifest_path(),
            rule: "imports",
            what,
            mend: mend.to_owned(),
        };
        let Some((_, allowed)) = LAW.iter().find(|(place, _)| *place == member.place) else {
            let what = "the law does not know this crate".to_owned();
            found.push(violation(what, "give it a line in LAW and in docs/architecture.md"));
            continue;
        };
        for dependency in member.manifest.dependencies() {
            if dependency.field("path").is_some() {
                let what = format!("{} is named by its path", dependency.name);
                found.push(violation(what, "write `NAME.workspace = true`"));
            }
            let Some(name) = house_name(&dependency) else { continue };
            let is_test_support = dependency.is_dev && name == "dataflow";
            if !allowed.contains(&name.as_str()) && !is_test_support {
                let kind = if dependency.is_dev { ", for its tests," } else { "" };
                let what = format!("{}{kind} imports {name}", member.folder);
                let mend = format!("{} may know {}", member.place, listed(allowed));
                found.push(violation(what, &mend));
            }
        }
    }
    found
}

/// Features are the root's; `testing` of `dataflow` is the only other, and only tests use it.
pub(crate) fn check_features(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for member in tree.crates() {
        let violation = |what: String, mend: &str| Violation {
            file: member.manifest_path(),
            rule: "features",
            what,
            mend: mend.to_owned(),
        };
        let features = member.manifest.tables("features").flat_map(|table| &table.entries);
        for (feature, _) in features {
            if (member.place.as_str(), feature.as_str()) != ("engine/dataflow", "testing") {
                let what = format!("the feature {feature}");
                found.push(violation(what, "features belong in the root manifest"));
            }
        }
    }
    for (file, manifest) in all_manifests(tree) {
        let shipped = manifest.dependencies().into_iter().filter(|d| !d.is_dev);
        for dependency in shipped.filter(|d| house_name(d).as_deref() == Some("dataflow")) {
            if strings(dependency.field("features").unwrap_or("")).contains(&"testing") {
                found.push(Violation {
                    file: file.clone(),
                    rule: "features",
                    what: "dataflow with `testing` outside of tests".to_owned(),
                    mend: "move the feature to [dev-dependencies]".to_owned(),
                });
            }
        }
    }
    found
}

/// Packages are called `levain-<folder>`, libraries after their folder, also in the root's list.
pub(crate) fn check_names(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    let root = tree.manifest("Cargo.toml").unwrap_or_default();
    for member in tree.crates() {
        let folder = &member.folder;
        let names = [
            ("package", member.manifest.string("package", "name"), format!("levain-{folder}")),
            ("library", member.manifest.string("lib", "name"), folder.clone()),
        ];
        for (kind, name, want) in names.iter().filter(|(_, name, want)| *name != Some(want)) {
            found.push(Violation {
                file: member.manifest_path(),
                rule: "names",
                what: format!("the {kind} is called {}", name.unwrap_or("nothing")),
                mend: format!("call it {want}"),
            });
        }
        let line = format!("{{ package = \"levain-{folder}\", path = \"{}\" }}", member.place);
        let mut listed = root.tables("workspace.dependencies").flat_map(|table| &table.entries);
        let is_listed = listed
            .any(|(name, value)| name == folder && sorted_fields(value) == sorted_fields(&line));
        if !is_listed {
            found.push(Violation {
                file: "Cargo.toml".to_owned(),
                rule: "names",
                what: format!("[workspace.dependencies] does not name {folder} by its folder"),
                mend: format!("write {folder} = {line}"),
            });
        }
    }
    found
}

/// Crates lie on shelves, exactly one level below, and nothing else does.
pub(crate) fn check_shelves(tree: &Tree) -> Vec<Violation> {
    let crates: BTreeSet<String> = tree.crates().into_iter().map(|c| c.place).collect();
    let mut found = Vec::new();
    let mut strays = BTreeSet::new();
    for (path, text) in tree.files() {
        let violation = |what: String, mend: &str| Violation {
            file: path.to_owned(),
            rule: "shelves",
            what,
            mend: mend.to_owned(),
        };
        let is_manifest = path.rsplit('/').next() == Some("Cargo.toml");
        if is_manifest && path != "Cargo.toml" && crate_place(path).is_none() {
            let what = "a crate outside of the shelves, or not one level below".to_owned();
            let mend = format!("crates are folders of {}", listed(&SHELVES));
            found.push(violation(what, &mend));
        }
        if is_manifest && let Err(line) = Manifest::parse(text) {
            found.push(violation(format!("not understood: {line}"), "write it plainly"));
        }
        let mut names = path.split('/');
        let (shelf, folder) = (names.next().unwrap_or(""), names.next().unwrap_or(""));
        let place = format!("{shelf}/{folder}");
        let is_stray =
            SHELVES.contains(&shelf) && folder != "README.md" && !crates.contains(&place);
        if is_stray && !is_manifest && strays.insert(place) {
            found.push(violation("belongs to no crate".to_owned(), "shelves hold crates alone"));
        }
    }
    found
}

/// The workspace lists every crate, and no crate is empty.
pub(crate) fn check_members(tree: &Tree) -> Vec<Violation> {
    let root = tree.manifest("Cargo.toml").unwrap_or_default();
    let members: BTreeSet<String> = root
        .tables("workspace")
        .flat_map(|table| table.strings("members"))
        .map(str::to_owned)
        .collect();
    let crates = tree.crates();
    let places: BTreeSet<String> = crates.iter().map(|c| c.place.clone()).collect();
    let violation = |file: String, what: String, mend: &str| Violation {
        file,
        rule: "members",
        what,
        mend: mend.to_owned(),
    };
    let differing = members.symmetric_difference(&places);
    let mut found: Vec<Violation> = differing
        .map(|place| {
            let what = format!("{place} is a crate or a member, but not both");
            violation("Cargo.toml".to_owned(), what, "list exactly the crates that are there")
        })
        .collect();
    for member in crates {
        let src = format!("{}/src", member.place);
        if tree.shipped(&src).all(|file| file.source.shipped_code().trim().is_empty()) {
            let what = "a crate without code".to_owned();
            found.push(violation(member.manifest_path(), what, "fill it or remove it"));
        }
    }
    found
}

/// Nothing that the engine stands on, however far below, carries a cloud, a format or async.
///
/// The lock file does not tell dependencies of tests from others: tests of the engine are held to
/// the same.
pub(crate) fn check_engine_is_light(tree: &Tree) -> Vec<Violation> {
    let lock = tree.manifest("Cargo.lock").unwrap_or_default();
    let packages: Vec<_> = lock.tables("package").collect();
    let engine = tree.crates().into_iter().filter(|c| c.place.starts_with("engine/"));
    let check = |member: Crate| {
        let package = format!("levain-{}", member.folder);
        let is_heavy = |name: &&str| OUTSIDE_OF_ENGINE.iter().any(|kind| name.starts_with(kind));
        let reached = reachable(&packages, &package).into_iter();
        let heavy: Vec<&str> = reached.filter(is_heavy).collect();
        let is_locked = packages.iter().any(|other| other.string("name") == Some(&package));
        let (what, mend) = if !is_locked {
            (format!("{package} is not in Cargo.lock"), "let cargo write the lock file")
        } else if heavy.is_empty() {
            return None;
        } else {
            let mend = "move the work behind a trait that a crate of another shelf implements";
            (format!("stands on {}", listed(&heavy)), mend)
        };
        let (file, mend) = (member.manifest_path(), mend.to_owned());
        Some(Violation { file, rule: "light engine", what, mend })
    };
    engine.filter_map(check).collect()
}

/// The names of the packages of a lock file that one of them stands on, in any version.
fn reachable<'a>(packages: &[&'a Table], start: &'a str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::from([start]);
    let mut open = vec![start];
    while let Some(name) = open.pop() {
        for package in packages.iter().filter(|package| package.string("name") == Some(name)) {
            // A name is followed by a version where there are several.
            let dependencies = package.strings("dependencies").into_iter();
            let names = dependencies.filter_map(|text| text.split(' ').next());
            open.extend(names.filter(|name| reached.insert(name)));
        }
    }
    reached
}

/// The folder of the crate of the house that a dependency is, whatever it is called here.
fn house_name(dependency: &Dependency) -> Option<String> {
    let package = dependency.field("package").map(|name| name.trim_matches('"').to_owned());
    let name = package.unwrap_or_else(|| dependency.name.clone());
    let folder = name.strip_prefix("levain-").unwrap_or(&name);
    let is_ours = LAW.iter().any(|(place, _)| place.split('/').nth(1) == Some(folder));
    (is_ours || name.starts_with("levain")).then(|| folder.to_owned())
}

fn all_manifests(tree: &Tree) -> Vec<(String, Manifest)> {
    let root = tree.manifest("Cargo.toml").map(|manifest| ("Cargo.toml".to_owned(), manifest));
    let members = tree.crates().into_iter().map(|c| (c.manifest_path(), c.manifest));
    root.into_iter().chain(members).collect()
}

fn sorted_fields(value: &str) -> Vec<(String, String)> {
    let mut fields = inline_fields(value);
    fields.sort();
    fields
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "nothing of the house".to_owned() } else { names.join(", ") }
}
