//! The table `[pattern]` of a recipe: files by a template and keys instead of a list.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::Path;

use ::bake::{CombineDim, DateRange, FilePattern, Keys, QuerySecrets, Selection, UrlTemplate};
use dataflow::error::Result;
use serde::Deserialize;
use toml::Value;

use crate::job::recipe::{invalid, unreadable, within};

/// The form of the table; `docs/recipes.md` describes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct PatternTable {
    template: String,
    #[serde(default)]
    concat: BTreeMap<String, Value>,
    #[serde(default)]
    merge: BTreeMap<String, Value>,
    #[serde(default)]
    expand: BTreeMap<String, Value>,
    prune: Option<Value>,
    #[serde(default)]
    query_secrets: BTreeMap<String, String>,
}

/// Keys from a start to an end: integers, or dates as texts.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RangeTable {
    start: Value,
    end: Value,
    step: Option<Value>,
    calendar: Option<String>,
    nitems: Option<NonZeroU64>,
}

/// Keys that are listed, with more about them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ListTable {
    keys: Value,
    nitems: Option<NonZeroU64>,
}

/// Which keys are kept: one of `first`, `every` and `sample`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct PruneTable {
    dim: Option<String>,
    first: Option<NonZeroU64>,
    every: Option<NonZeroU64>,
    sample: Option<NonZeroU64>,
    seed: Option<u64>,
}

impl PatternTable {
    /// The pattern; a path in its template counts from this folder.
    ///
    /// Dimensions that merge files come first, then those made from keys, then those along which
    /// files follow each other; of one kind, in the order in which the template names them.
    ///
    /// # Errors
    /// A pattern that cannot be, or a secret that the environment does not have.
    pub(super) fn pattern(&self, folder: &Path) -> Result<FilePattern> {
        let template: UrlTemplate = within(folder, &self.template).parse()?;
        let mut dims = dims_of(&template, &self.merge, CombineDim::merge)?;
        dims.extend(dims_of(&template, &self.expand, CombineDim::expand)?);
        dims.extend(dims_of(&template, &self.concat, CombineDim::concat)?);
        let pattern = FilePattern::new(template, dims)?;
        let pattern = match &self.prune {
            Some(prune) => pruned(&pattern, prune).map_err(|error| error.at("key", "prune"))?,
            None => pattern,
        };
        if self.query_secrets.is_empty() {
            return Ok(pattern);
        }
        let secrets: Result<Vec<(String, String)>> =
            self.query_secrets.iter().map(secret).collect();
        pattern.with_secrets(QuerySecrets::new(secrets?))
    }
}

/// A parameter of a query, and its value, of which the recipe names the environment variable.
#[expect(clippy::disallowed_methods, reason = "a recipe names variables of the environment")]
fn secret((parameter, variable): (&String, &String)) -> Result<(String, String)> {
    match std::env::var(variable) {
        Ok(value) => Ok((parameter.clone(), value)),
        Err(_) => {
            let error = invalid(format!("the environment has no variable `{variable}`"));
            Err(error
                .at("key", format!("query-secrets.{parameter}"))
                .mend("set it to the secret; the recipe names the variable, never the value"))
        }
    }
}

fn pruned(pattern: &FilePattern, prune: &Value) -> Result<FilePattern> {
    let (dim, selection) = match prune {
        Value::Integer(number) => {
            let first = u64::try_from(*number).ok().and_then(NonZeroU64::new);
            let first = first.ok_or_else(|| invalid(format!("{number} keys cannot be kept")))?;
            (None, Selection::First(first))
        }
        Value::Table(_) => {
            let table = PruneTable::deserialize(prune.clone());
            let table = table.map_err(|error| unreadable(&error, ""))?;
            let seed = table.seed.unwrap_or(0);
            let selection = match (table.first, table.every, table.sample) {
                (Some(first), None, None) => Selection::First(first),
                (None, Some(step), None) => Selection::Every(step),
                (None, None, Some(count)) => Selection::Sample { count, seed },
                _ => {
                    let error = invalid("it is not said which keys are kept".to_owned());
                    return Err(error.mend("give one of `first`, `every` and `sample`"));
                }
            };
            (table.dim, selection)
        }
        other => {
            let error = invalid(format!("a {} does not say which keys are kept", other.type_str()));
            return Err(error.mend("write `prune = 2`, or `{ every = 10 }`, `{ sample = 5 }`"));
        }
    };
    match dim {
        Some(dim) => pattern.prune_dim(&dim, selection),
        None => Ok(pattern.prune(selection)),
    }
}

fn dims_of(
    template: &UrlTemplate,
    table: &BTreeMap<String, Value>,
    dim: fn(String, Keys) -> CombineDim,
) -> Result<Vec<CombineDim>> {
    let read = |(name, keys): (&String, &Value)| {
        let read = || {
            let (keys, nitems) = keys_of(keys)?;
            let dim = dim(name.clone(), keys);
            match nitems {
                Some(nitems) => dim.with_nitems_per_file(nitems),
                None => Ok(dim),
            }
        };
        read().map_err(|error| error.at("dimension", name))
    };
    let mut dims: Vec<CombineDim> = table.iter().map(read).collect::<Result<_>>()?;
    // A table has no order of its own.
    dims.sort_by_key(|dim| template.fields().position(|field| field == dim.name()));
    Ok(dims)
}

/// Keys as a list of texts or integers, or as a range; and the number of items of each file.
fn keys_of(keys: &Value) -> Result<(Keys, Option<NonZeroU64>)> {
    match keys {
        Value::Array(keys) => Ok((listed(keys)?, None)),
        Value::Table(table) if table.contains_key("keys") => {
            let table = ListTable::deserialize(keys.clone());
            let table = table.map_err(|error| unreadable(&error, ""))?;
            match &table.keys {
                Value::Array(keys) => Ok((listed(keys)?, table.nitems)),
                other => Err(invalid(format!("the keys are a {}, no list", other.type_str()))),
            }
        }
        Value::Table(_) => {
            let range = RangeTable::deserialize(keys.clone());
            let range = range.map_err(|error| unreadable(&error, ""))?;
            Ok((range_of(&range)?, range.nitems))
        }
        other => Err(invalid(format!(
            "the keys are a {}, neither a list nor a range",
            other.type_str()
        ))
            .mend("write `[\"a\", \"b\"]` or `{ start = \"2020-01-01\", end = \"2020-12-31\", step = \"1 day\" }`")),
    }
}

fn listed(keys: &[Value]) -> Result<Keys> {
    let texts: Option<Vec<&str>> = keys.iter().map(Value::as_str).collect();
    let numbers: Option<Vec<i64>> = keys.iter().map(Value::as_integer).collect();
    match (texts, numbers) {
        (Some(texts), _) => Keys::texts(texts),
        (None, Some(numbers)) => Keys::listed_integers(numbers),
        (None, None) => {
            let error = invalid("the keys are neither texts nor integers".to_owned());
            Err(error.mend("list one or the other"))
        }
    }
}

fn range_of(range: &RangeTable) -> Result<Keys> {
    match (&range.start, &range.end, &range.step, &range.calendar) {
        (Value::Integer(start), Value::Integer(end), None, None) => Keys::integers(*start, *end, 1),
        (Value::Integer(start), Value::Integer(end), Some(Value::Integer(step)), None) => {
            Keys::integers(*start, *end, *step)
        }
        (start, end, Some(Value::String(step)), calendar) => {
            let (start, end) = (date_text(start)?, date_text(end)?);
            let calendar = calendar.as_deref().map(str::parse).transpose()?;
            Ok(Keys::dates(DateRange::new(&start, &end, step.parse()?, calendar)?))
        }
        _ => Err(invalid("the range is neither of integers nor of dates".to_owned()).mend(
            "write dates with a step such as \"1 day\", and a calendar if it is not standard; \
             or three integers",
        )),
    }
}

/// A date as a text, or as TOML writes one without quotes.
fn date_text(date: &Value) -> Result<String> {
    match date {
        Value::String(text) => Ok(text.clone()),
        Value::Datetime(date) => Ok(date.to_string()),
        other => {
            Err(invalid(format!("a {} is no date", other.type_str())).mend("write \"2020-01-31\""))
        }
    }
}
