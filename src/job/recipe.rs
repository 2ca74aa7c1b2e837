//! A bake as a text file: the same words as the library and the flags have.

use std::collections::BTreeMap;
use std::path::Path;

use ::bake::{BakeOptions, Check, Checks, FilePattern, Pyramid, Step, WrittenAs, ZarrVersion};
use array::GroupPath;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::StoreOptions;
use serde::Deserialize;

use crate::job::recipe_encoding::{Codecs, EncodingTable};
use crate::job::recipe_fetch::{CacheTable, FetchTable};
use crate::job::recipe_pattern::PatternTable;

/// What a recipe says: sources, a destination, and all that decides what is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// Files, globs, folders, URLs or Zarr stores; none where the options have a pattern.
    pub sources: Vec<String>,
    /// Where the store goes.
    pub destination: String,
    /// The group of the store that is written; the root if nothing is said.
    pub target_group: GroupPath,
    /// Coarser copies of what is baked, if they are wanted.
    pub pyramid: Option<Pyramid>,
    /// What is asked of the store before readers see it.
    pub checks: Checks,
    /// How it is baked.
    pub options: BakeOptions,
    /// How sources are fetched.
    pub store: StoreOptions,
}

/// The form of the file; `docs/recipes.md` describes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Form {
    sources: Option<OneOrMore>,
    pattern: Option<PatternTable>,
    destination: String,
    group: Option<String>,
    target_group: Option<String>,
    pyramid: Option<Pyramid>,
    concat: Option<String>,
    #[serde(default)]
    vars: Vec<String>,
    #[serde(rename = "static")]
    statics: Option<String>,
    missing_files: Option<String>,
    missing_vars: Option<String>,
    packing: Option<String>,
    attrs: Option<String>,
    dim_order: Option<String>,
    overlap: Option<String>,
    gaps: Option<String>,
    join: Option<String>,
    chunks: Option<Lengths>,
    chunk_ratio: Option<Lengths>,
    shards: Option<Lengths>,
    chunk_size: Option<String>,
    zarr_format: Option<u8>,
    #[serde(rename = "as")]
    written_as: Option<String>,
    inline: Option<String>,
    codec: Option<Codecs>,
    #[serde(default)]
    encoding: BTreeMap<String, EncodingTable>,
    broken_messages: Option<String>,
    row_column: Option<String>,
    #[serde(default)]
    fetch: FetchTable,
    cache: Option<CacheTable>,
    #[serde(default)]
    steps: Vec<Step>,
    /// Words, or tables, or a text of words.
    validate: Option<toml::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// Lengths as a text, `time=100,lat=-1`, or as a table.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Lengths {
    Text(String),
    Table(BTreeMap<String, Length>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Length {
    Number(i64),
    Word(String),
}

impl Recipe {
    /// Reads a recipe; paths in it count from the folder that it lies in.
    ///
    /// # Errors
    /// A file that cannot be read, or is no recipe: the error names the line, and for a word that
    /// nothing is called the nearest that something is.
    pub fn read(path: &Path) -> Result<Self> {
        let read = || {
            let text = std::fs::read_to_string(path)?;
            Self::parse(&text, path.parent().unwrap_or(Path::new("")))
        };
        read().map_err(|error: Error| error.at("recipe", path.display()))
    }

    /// Reads a recipe that may have several groups: one recipe for each, in the order of names.
    ///
    /// # Errors
    /// As [`Recipe::read`].
    pub fn read_all(path: &Path) -> Result<Vec<Self>> {
        let read = || {
            let text = std::fs::read_to_string(path)?;
            Self::parse_all(&text, path.parent().unwrap_or(Path::new("")))
        };
        read().map_err(|error: Error| error.at("recipe", path.display()))
    }

    /// The recipes of all groups of a text: what stands outside of `[groups.PATH]` is said of each
    /// of them that says nothing else.
    ///
    /// # Errors
    /// A text that is no recipe.
    pub fn parse_all(text: &str, folder: &Path) -> Result<Vec<Self>> {
        let mut common: toml::Table =
            toml::from_str(text).map_err(|error| unreadable(&error, text))?;
        let groups = match common.remove("groups") {
            None => return Ok(vec![Self::parse(text, folder)?]),
            Some(toml::Value::Table(groups)) if !groups.is_empty() => groups,
            Some(_) => {
                let error = invalid("`groups` has no tables".to_owned());
                return Err(error.mend("write a table for each group: [groups.PATH]"));
            }
        };
        let group = |(name, own): (String, toml::Value)| {
            let at = |error: Error| error.at("table", format!("groups.{name}"));
            let toml::Value::Table(own) = own else {
                return Err(at(invalid(format!("`{name}` is no table"))));
            };
            if let Some(key) =
                ["destination", "target-group", "groups"].iter().find(|it| own.contains_key(**it))
            {
                let error = invalid(format!("a group has no `{key}` of its own"));
                return Err(at(error.mend("say it once, outside of the groups")));
            }
            let mut merged = common.clone();
            merged.extend(own);
            merged.insert("target-group".to_owned(), name.clone().into());
            let form = merged.try_into().map_err(|error| unreadable(&error, ""));
            form.and_then(|form| Self::of(form, folder)).map_err(at)
        };
        groups.into_iter().map(group).collect()
    }

    /// The recipe in a text; paths in it count from this folder.
    ///
    /// # Errors
    /// A text that is no recipe.
    pub fn parse(text: &str, folder: &Path) -> Result<Self> {
        Self::of(toml::from_str(text).map_err(|error| unreadable(&error, text))?, folder)
    }

    fn of(mut form: Form, folder: &Path) -> Result<Self> {
        let destination = within(folder, &form.destination);
        let mut store = StoreOptions::default();
        std::mem::take(&mut form.fetch).set(&mut store, folder)?;
        store.cache = form.cache.take().map(|it| it.options(folder)).transpose()?;
        let (sources, pattern) = form.sources(folder)?;
        let path = |text: &Option<String>, key| -> Result<GroupPath> {
            let text = text.as_deref().unwrap_or_default();
            text.parse().map_err(|error: Error| error.at("key", key))
        };
        let (group, target_group) =
            (path(&form.group, "group")?, path(&form.target_group, "target-group")?);
        let pyramid = form.pyramid.clone();
        let checks = form.validate.take().map(checks_of).transpose();
        let checks = checks.map_err(|error| error.at("key", "validate"))?.unwrap_or_default();
        let mut options = BakeOptions { pattern, ..form.options()? };
        if !group.is_root() {
            options.steps.insert(0, Step::Group { path: group });
        }
        Ok(Self { sources, destination, target_group, pyramid, checks, options, store })
    }
}

impl Form {
    /// What files there are: a list, or a pattern.
    fn sources(&self, folder: &Path) -> Result<(Vec<String>, Option<FilePattern>)> {
        let pattern = match (&self.sources, &self.pattern) {
            (Some(sources), None) => {
                let sources = match sources {
                    OneOrMore::One(source) => std::slice::from_ref(source),
                    OneOrMore::More(sources) => sources,
                };
                return Ok((sources.iter().map(|it| within(folder, it)).collect(), None));
            }
            (None, Some(pattern)) => pattern,
            (None, None) => {
                let error = invalid("the recipe says nowhere what files there are".to_owned());
                return Err(error.mend("give `sources` or a table `[pattern]`"));
            }
            (Some(_), Some(_)) => {
                let error = invalid("the recipe has `sources` and a pattern".to_owned());
                return Err(error.mend("leave one of the two out"));
            }
        };
        let pattern = pattern.pattern(folder).map_err(|error| error.at("table", "pattern"))?;
        let mut known = pattern.concat_dims();
        match &self.concat {
            Some(concat) if !known.any(|dim| dim == concat) => {
                let known: Vec<&str> = pattern.concat_dims().collect();
                let message = format!(
                    "files follow each other along `{}`, and along `{concat}`",
                    known.join("`, `")
                );
                let error = invalid(message).at("key", "concat");
                Err(error.mend(format!("leave `concat = \"{concat}\"` out")))
            }
            _ => {
                drop(known);
                Ok((Vec::new(), Some(pattern)))
            }
        }
    }

    fn options(self) -> Result<BakeOptions> {
        let mut options = BakeOptions {
            steps: self.steps,
            concat: self.concat,
            variables: self.vars,
            ..BakeOptions::default()
        };
        given(&mut options.statics, "static", self.statics)?;
        given(&mut options.missing_files, "missing-files", self.missing_files)?;
        given(&mut options.presence, "missing-vars", self.missing_vars)?;
        given(&mut options.packing, "packing", self.packing)?;
        given(&mut options.attributes, "attrs", self.attrs)?;
        given(&mut options.dim_order, "dim-order", self.dim_order)?;
        given(&mut options.overlap, "overlap", self.overlap)?;
        let broken = &mut options.reading.broken_messages;
        given(broken, "broken-messages", self.broken_messages)?;
        options.reading.row_column = self.row_column;
        given(&mut options.gaps, "gaps", self.gaps)?;
        given(&mut options.join, "join", self.join)?;
        given(&mut options.chunks, "chunks", self.chunks.map(|it| it.text()))?;
        let ratio = self.chunk_ratio.map(|it| it.text());
        given(&mut options.chunk_ratio, "chunk-ratio", ratio)?;
        given(&mut options.shards, "shards", self.shards.map(|it| it.text()))?;
        given(&mut options.chunk_size, "chunk-size", self.chunk_size)?;
        options.zarr_format = match self.zarr_format {
            None | Some(3) => ZarrVersion::V3,
            Some(2) => ZarrVersion::V2,
            Some(other) => {
                let error = invalid(format!("there is no version {other} of the Zarr format"));
                return Err(error.at("key", "zarr-format").mend("write 2 or 3"));
            }
        };
        given(&mut options.written_as, "as", self.written_as)?;
        given(&mut options.inline_limit, "inline", self.inline)?;
        if options.written_as == WrittenAs::Kerchunk && self.zarr_format == Some(3) {
            let error = invalid("references are of version 2 of the Zarr format".to_owned());
            return Err(error.at("key", "zarr-format").mend("leave it out"));
        }
        if let Some(codecs) = self.codec {
            options.codec = codecs.text();
        }
        for (name, table) in self.encoding {
            let encoding = table.encoding();
            let encoding = encoding.map_err(|error| error.at("table", format!("encoding.{name}")));
            options.encodings.insert(name, encoding?);
        }
        Ok(options)
    }
}

/// Checks as a text, `"cf,monotonic=lat"`, as words, `["cf", "monotonic=lat"]`, or as tables.
fn checks_of(value: toml::Value) -> Result<Checks> {
    let one = |value: toml::Value| match value {
        toml::Value::String(word) => word.parse(),
        table => table.try_into::<Check>().map_err(|error| unreadable(&error, "")),
    };
    match value {
        toml::Value::String(text) => text.parse(),
        toml::Value::Array(all) => {
            Checks::new(all.into_iter().map(one).collect::<Result<Vec<_>>>()?)
        }
        other => Checks::new([one(other)?]),
    }
}

impl Lengths {
    pub(super) fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Table(table) => {
                let length = |(name, length): (&String, &Length)| match length {
                    Length::Word(word) => format!("{name}={word}"),
                    Length::Number(number) => format!("{name}={number}"),
                };
                table.iter().map(length).collect::<Vec<_>>().join(",")
            }
        }
    }
}

/// Sets what a recipe says, where it says something.
fn given<T: std::str::FromStr<Err = Error>>(
    option: &mut T,
    key: &str,
    text: Option<String>,
) -> Result<()> {
    if let Some(text) = text {
        *option = text.parse().map_err(|error: Error| error.at("key", key))?;
    }
    Ok(())
}

/// A path of a recipe, as seen from here; URLs and absolute paths are what they are.
pub(super) fn within(folder: &Path, path: &str) -> String {
    if path.contains("://") || Path::new(path).is_absolute() || folder.as_os_str().is_empty() {
        return path.to_owned();
    }
    folder.join(path).to_string_lossy().into_owned()
}

pub(super) fn invalid(message: String) -> Error {
    Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
}

/// What is wrong with a text, where, and the word that was meant.
pub(super) fn unreadable(error: &toml::de::Error, text: &str) -> Error {
    let message = error.message().trim();
    let mut refusal = invalid(message.lines().next().unwrap_or(message).to_owned());
    if let Some(span) = error.span() {
        let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
        refusal = refusal.at("line", line);
    }
    // The first word between back quotes is not known, the others are.
    let mut words = message.split('`').skip(1).step_by(2);
    let is_unknown = message.starts_with("unknown field") || message.starts_with("unknown variant");
    let Some(unknown) = words.next().filter(|_| is_unknown) else {
        return refusal.mend("docs/recipes.md lists every key with what it takes");
    };
    let nearest = words.min_by_key(|word| strsim::damerau_levenshtein(unknown, word));
    match nearest {
        Some(word) => refusal.mend(format!("did you mean `{word}`?")),
        None => refusal.mend("leave it out"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Recipe::parse(text, Path::new("")).expect_err("no recipe").to_string()
    }

    #[test]
    fn a_recipe_says_what_flags_say() {
        let recipe = Recipe::parse(
            r#"
            sources = ["in/*.nc", "s3://bucket/more.nc", "/abs.nc"]
            destination = "out.zarr"
            static = "first"
            overlap = "keep-last"
            chunks = { time = 100, lat = -1, lon = "auto" }
            zarr-format = 2
            [[steps]]
            step = "scale"
            vars = ["t"]
            factor = 0.5
            [[steps]]
            step = "attributes"
            set = { title = "T", levels = [1, 2] }
            "#,
            Path::new("feed"),
        )
        .expect("a recipe");
        assert_eq!(recipe.sources, ["feed/in/*.nc", "s3://bucket/more.nc", "/abs.nc"]);
        assert_eq!(recipe.destination, "feed/out.zarr");
        let options = recipe.options;
        assert_eq!(options.statics.to_string(), "first");
        assert_eq!(options.overlap.to_string(), "keep-last");
        assert_eq!(options.chunks, "lat=-1,lon=auto,time=100".parse().expect("lengths"));
        assert_eq!(options.zarr_format, ZarrVersion::V2);
        assert_eq!(options.steps.len(), 2);
    }

    #[test]
    fn what_is_misspelled_is_refused_with_the_nearest_word() {
        let error = refusal("sources = []\ndestination = 'x'\nchunk = 'time=1'\n");
        assert!(error.contains("did you mean `chunks`?") && error.contains("line"), "{error}");
        assert!(error.contains("E100"), "{error}");
        let step = "sources = []\ndestination = 'x'\n[[steps]]\nstep = 'selct'\nvars = []\n";
        assert!(refusal(step).contains("did you mean `select`?"), "{}", refusal(step));
        let key = "sources = []\ndestination = 'x'\n[[steps]]\nstep = 'drop'\nvras = []\n";
        assert!(refusal(key).contains("did you mean `vars`?"), "{}", refusal(key));
        let policy = "sources = []\ndestination = 'x'\ngaps = 'fil'\n";
        assert!(refusal(policy).contains("report, error"), "{}", refusal(policy));
    }
}
