//! The files of the project as the rules see them, and what a rule says of one.
//!
//! A tree is read from disk or built by a test; rules are pure functions of it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use super::manifest::Manifest;
use super::source::Source;

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The file, from the root of the project.
    pub(crate) file: String,
    pub(crate) rule: &'static str,
    /// What is there, with its line where it has one.
    pub(crate) what: String,
    pub(crate) mend: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, rule, what, mend } = self;
        write!(f, "{file}: {what}\n    rule {rule}; mend: {mend}")
    }
}

/// A file: what it says, and for Rust the code in it.
#[derive(Debug, Clone)]
struct File {
    text: String,
    source: Option<Source>,
}

/// A Rust file of a tree.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RustFile<'a> {
    pub(crate) path: &'a str,
    pub(crate) text: &'a str,
    pub(crate) source: &'a Source,
    /// Whether only tests see it.
    pub(crate) is_test: bool,
}

/// A crate on one of the shelves.
#[derive(Debug, Clone)]
pub(crate) struct Crate {
    /// The shelf and the folder, as in `engine/array`.
    pub(crate) place: String,
    pub(crate) folder: String,
    pub(crate) manifest: Manifest,
}

impl Crate {
    /// The path of its manifest.
    pub(crate) fn manifest_path(&self) -> String {
        format!("{}/Cargo.toml", self.place)
    }
}

/// The folders that hold crates.
pub(crate) const SHELVES: [&str; 4] = ["engine", "formats", "transforms", "runners"];

/// Files by their path from the root, with `/` between folders.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree(BTreeMap<String, File>);

impl Tree {
    /// Reads a project, without what git keeps or ignores.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn read(root: &Path) -> io::Result<Self> {
        let ignored = fs::read_to_string(root.join(".gitignore"))?;
        let ignored: Vec<&str> =
            ignored.lines().filter_map(|line| line.strip_prefix('/')).collect();
        let mut tree = Self::default();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(root.join(&folder))? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                let kind = entry.file_type()?;
                if path == ".git" || ignored.contains(&path.as_str()) {
                    continue;
                }
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() {
                    let bytes = fs::read(entry.path())?;
                    tree.put(&path, &String::from_utf8_lossy(&bytes));
                }
            }
        }
        Ok(tree)
    }

    /// This tree with one file added or replaced.
    #[must_use]
    pub(crate) fn with(mut self, path: &str, text: &str) -> Self {
        self.put(path, text);
        self
    }

    /// This tree without one file.
    #[must_use]
    pub(crate) fn without(mut self, path: &str) -> Self {
        self.0.remove(path);
        self
    }

    fn put(&mut self, path: &str, text: &str) {
        let source = path.ends_with(".rs").then(|| Source::new(text));
        self.0.insert(path.to_owned(), File { text: text.to_owned(), source });
    }

    /// All files and what they say.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(path, file)| (path.as_str(), file.text.as_str()))
    }

    /// What a file says; nothing if it is missing.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(|file| file.text.as_str())
    }

    /// All Rust files.
    pub(crate) fn rust(&self) -> impl Iterator<Item = RustFile<'_>> {
        self.0.iter().filter_map(|(path, file)| {
            let source = file.source.as_ref()?;
            Some(RustFile { path, text: &file.text, source, is_test: self.is_test(path) })
        })
    }

    /// The Rust files below a folder, without those that only tests see.
    pub(crate) fn shipped<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = RustFile<'a>> {
        self.rust().filter(move |file| !file.is_test && is_below(file.path, folder))
    }

    /// The manifest at this path; none if it is missing or not understood.
    pub(crate) fn manifest(&self, path: &str) -> Option<Manifest> {
        Manifest::parse(self.text(path)?).ok()
    }

    /// The crates on the shelves whose manifests are understood.
    pub(crate) fn crates(&self) -> Vec<Crate> {
        let place = |path: &str| crate_place(path).map(str::to_owned);
        let places = self.0.keys().filter_map(|path| place(path));
        let crates = places.filter_map(|place| {
            let manifest = self.manifest(&format!("{place}/Cargo.toml"))?;
            let folder = place.split('/').nth(1)?.to_owned();
            Some(Crate { place, folder, manifest })
        });
        crates.collect()
    }

    fn is_test(&self, path: &str) -> bool {
        let mut folders = path.split('/').take_while(|name| *name != "src");
        if folders.any(|name| name == "tests") {
            return true;
        }
        let (parents, module) = module_of(path);
        parents.iter().any(|parent| {
            let source = self.0.get(parent).and_then(|file| file.source.as_ref());
            source.is_some_and(|source| source.declares_for_tests(&module))
                || (source.is_some() && self.is_test(parent))
        })
    }
}

/// Whether a path lies in a folder.
pub(crate) fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// The folder of a manifest that lies where crates belong.
pub(crate) fn crate_place(manifest_path: &str) -> Option<&str> {
    let place = manifest_path.strip_suffix("/Cargo.toml")?;
    let (shelf, folder) = place.split_once('/')?;
    (SHELVES.contains(&shelf) && !folder.contains('/')).then_some(place)
}

/// The files that may declare the module of this file, and its name.
fn module_of(path: &str) -> (Vec<String>, String) {
    let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
    let (folder, module) = path.rsplit_once('/').unwrap_or(("", path));
    if matches!(module, "lib" | "main") {
        return (Vec::new(), module.to_owned());
    }
    let roots = ["lib.rs", "main.rs", "mod.rs"].map(|name| format!("{folder}/{name}"));
    (roots.into_iter().chain([format!("{folder}.rs")]).collect(), module.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_for_tests_where_they_are_declared_so() {
        let tree = Tree::default()
            .with("a/src/lib.rs", "mod code;\n#[cfg(test)]\nmod golden;")
            .with("a/src/golden.rs", "mod deep;")
            .with("a/src/golden/deep.rs", "")
            .with("a/src/code.rs", "#[cfg(test)]\nmod tests;")
            .with("a/src/code/tests.rs", "")
            .with("a/src/tests.rs", "")
            .with("a/tests/it/main.rs", "");
        let shipped: Vec<&str> = tree.shipped("a").map(|file| file.path).collect();
        assert_eq!(shipped, ["a/src/code.rs", "a/src/lib.rs", "a/src/tests.rs"]);
    }
}
