//! The table `[pattern]` of a recipe: files by a template and keys instead of a list.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use ::bake::{CombineDim, DateRange, FilePattern, Keys, Selection};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::Deserialize;
use toml::Value;

use crate::job::recipe::{invalid, unreadable};

/// So many files are listed for one bake; a pattern itself has no such limit.
const MOST_FILES: u64 = 10_000_000;

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
    prune: Option<NonZeroU64>,
}

/// Keys from a start to an end: integers, or dates as texts.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RangeTable {
    start: Value,
    end: Value,
    step: Option<Value>,
    calendar: Option<String>,
}

impl PatternTable {
    /// The files of the pattern in order, and the dimension that joins them.
    ///
    /// # Errors
    /// A pattern that cannot be, or that has more than one dimension, which is not baked yet.
    pub(super) fn sources(&self) -> Result<(Vec<String>, Option<String>)> {
        let pattern = self.pattern()?;
        let concat: Vec<&str> = self.concat.keys().map(String::as_str).collect();
        let others = self.merge.keys().map(|dim| (dim, "merge"));
        let mut others = others.chain(self.expand.keys().map(|dim| (dim, "expand")));
        if let Some((dim, op)) = others.next() {
            let error =
                unsupported(format!("files are not joined along the {op} dimension `{dim}`"));
            return Err(error.mend("bake a store for each of its keys, with one concat dimension"));
        }
        if concat.len() > 1 {
            let names = concat.join("`, `");
            let error =
                unsupported(format!("files are not joined along several dimensions: `{names}`"));
            return Err(error.mend("bake a store for each key of all but one of them"));
        }
        if pattern.len() > MOST_FILES {
            let message =
                format!("the pattern has {} files, at most {MOST_FILES} are baked", pattern.len());
            return Err(invalid(message).mend("give fewer keys, or `prune`"));
        }
        let urls: Result<Vec<String>> = (0..pattern.len()).map(|it| pattern.url_at(it)).collect();
        Ok((urls?, concat.first().map(|&dim| dim.to_owned())))
    }

    fn pattern(&self) -> Result<FilePattern> {
        let mut dims = dims_of(&self.merge, CombineDim::merge)?;
        dims.extend(dims_of(&self.expand, CombineDim::expand)?);
        dims.extend(dims_of(&self.concat, CombineDim::concat)?);
        let pattern = FilePattern::new(self.template.parse()?, dims)?;
        Ok(match self.prune {
            Some(most) => pattern.prune(Selection::First(most)),
            None => pattern,
        })
    }
}

fn dims_of(
    table: &BTreeMap<String, Value>,
    dim: fn(String, Keys) -> CombineDim,
) -> Result<Vec<CombineDim>> {
    let read = |(name, keys): (&String, &Value)| {
        let keys = keys_of(keys).map_err(|error| error.at("dimension", name))?;
        Ok(dim(name.clone(), keys))
    };
    table.iter().map(read).collect()
}

/// Keys as a list of texts or integers, or as a range.
fn keys_of(keys: &Value) -> Result<Keys> {
    match keys {
        Value::Array(keys) => {
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
        Value::Table(_) => {
            let range = RangeTable::deserialize(keys.clone());
            range_of(&range.map_err(|error| unreadable(&error, ""))?)
        }
        other => Err(invalid(format!(
            "the keys are a {}, neither a list nor a range",
            other.type_str()
        ))
            .mend("write `[\"a\", \"b\"]` or `{ start = \"2020-01-01\", end = \"2020-12-31\", step = \"1 day\" }`")),
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

fn unsupported(message: String) -> Error {
    Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message)
}
