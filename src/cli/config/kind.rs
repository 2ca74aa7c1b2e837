//! What a setting takes: read from text and from TOML, and printed back in one form.

use std::fmt;

use levain::chunks::ByteSize;
use toml::de::DeValue;

use super::duration::{duration_ms, duration_text};
use super::resource;

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// The URL or path of a store or a service.
    Url,
    /// A path.
    Path,
    /// `true` or `false`.
    Flag,
    /// A whole number, not less than this.
    Count(i64),
    /// A number that is not negative.
    Number,
    /// Bytes with their unit.
    Size,
    /// Sizes, each greater than the one before.
    Sizes,
    /// Time with its unit.
    Duration,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// The name or the ARN of a resource of AWS of this type; see [`resource`].
    Resource(&'static str),
    /// One or more of them.
    Resources(&'static str),
}

/// What a setting is set to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Flag(bool),
    Count(i64),
    Number(f64),
    Size(u64),
    DurationMs(u64),
    List(Vec<Self>),
}

impl Kind {
    /// What it takes, for people.
    pub(crate) fn expects(self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::Url => "a URL or a path".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Count(0) => "a whole number".to_owned(),
            Self::Count(least) => format!("a whole number from {least} on"),
            Self::Number => "a number from 0 on".to_owned(),
            Self::Size => "a size with its unit, as \"8 GiB\"".to_owned(),
            Self::Sizes => "ascending sizes, as [\"4 GiB\", \"8 GiB\"]".to_owned(),
            Self::Duration => "a time with its unit, as \"90s\", \"10m\" or \"1h30m\"".to_owned(),
            Self::Choice(words) => format!("one of: {}", words.join(", ")),
            Self::Resource(resource) => resource::expects(resource),
            Self::Resources(resource) => {
                format!("{}, or a list of them", resource::expects(resource))
            }
        }
    }

    fn is_list(self) -> bool {
        matches!(self, Self::Sizes | Self::Resources(_))
    }

    /// What one item of a list is.
    fn item(self) -> Self {
        match self {
            Self::Sizes => Self::Size,
            Self::Resources(resource) => Self::Resource(resource),
            other => other,
        }
    }

    /// Reads what stands in the environment or behind a flag; items of a list stand between commas.
    ///
    /// # Errors
    /// Why it is none, without the text itself.
    pub(crate) fn read(self, text: &str) -> Result<Value, String> {
        if !self.is_list() {
            return self.read_one(text.trim());
        }
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let items = items.map(|item| self.item().read_one(item)).collect::<Result<Vec<_>, _>>()?;
        self.checked_list(items)
    }

    fn read_one(self, text: &str) -> Result<Value, String> {
        let unreadable = || format!("it takes {}", self.expects());
        match self {
            Self::Flag => text.parse().map(Value::Flag).map_err(|_| unreadable()),
            Self::Count(_) => self.checked(Value::Count(text.parse().map_err(|_| unreadable())?)),
            Self::Number => self.checked(Value::Number(text.parse().map_err(|_| unreadable())?)),
            _ => self.read_text(text),
        }
    }

    /// Reads a value of a file.
    ///
    /// # Errors
    /// Why it is none, without the value itself.
    pub(crate) fn read_toml(self, value: &DeValue<'_>) -> Result<Value, String> {
        if self.is_list() {
            let items = match value {
                DeValue::Array(items) => {
                    let items = items.iter().map(|item| self.item().toml_one(item.get_ref()));
                    items.collect::<Result<Vec<_>, _>>()?
                }
                one => vec![self.item().toml_one(one)?],
            };
            return self.checked_list(items);
        }
        self.toml_one(value)
    }

    fn toml_one(self, value: &DeValue<'_>) -> Result<Value, String> {
        let unreadable = || format!("it takes {}", self.expects());
        let whole =
            || i64::from_str_radix(value.as_integer()?.as_str(), value.as_integer()?.radix()).ok();
        match self {
            Self::Flag => value.as_bool().map(Value::Flag).ok_or_else(unreadable),
            Self::Count(_) => self.checked(Value::Count(whole().ok_or_else(unreadable)?)),
            Self::Number => {
                let float = value.as_float().and_then(|it| it.as_str().parse().ok());
                let number = float.or_else(|| whole().map(|whole| whole as f64));
                self.checked(Value::Number(number.ok_or_else(unreadable)?))
            }
            _ => self.read_text(value.as_str().ok_or_else(unreadable)?),
        }
    }

    fn read_text(self, text: &str) -> Result<Value, String> {
        let unreadable = || format!("it takes {}", self.expects());
        match self {
            Self::Size => size(text).map(Value::Size).ok_or_else(unreadable),
            Self::Duration => duration_ms(text).map(Value::DurationMs).ok_or_else(unreadable),
            Self::Choice(words) if !words.contains(&text) => Err(unreadable()),
            Self::Resource(resource) => {
                resource::check(resource, text)?;
                Ok(Value::Text(text.to_owned()))
            }
            _ => Ok(Value::Text(text.to_owned())),
        }
    }

    fn checked(self, value: Value) -> Result<Value, String> {
        let is_good = match (self, &value) {
            (Self::Count(least), Value::Count(count)) => *count >= least,
            (Self::Number, Value::Number(number)) => number.is_finite() && *number >= 0.0,
            _ => true,
        };
        if is_good { Ok(value) } else { Err(format!("it takes {}", self.expects())) }
    }

    fn checked_list(self, items: Vec<Value>) -> Result<Value, String> {
        let is_ascending = items.windows(2).all(|pair| match pair {
            [Value::Size(a), Value::Size(b)] => a < b,
            _ => true,
        });
        let is_good = !items.is_empty() && is_ascending;
        if is_good { Ok(Value::List(items)) } else { Err(format!("it takes {}", self.expects())) }
    }
}

/// Bytes, where the unit is said: a number alone may be meant as bytes or as gibibytes.
fn size(text: &str) -> Option<u64> {
    let has_unit = text.trim_end().ends_with(|c: char| c.is_ascii_alphabetic());
    let size = text.parse::<ByteSize>().ok().filter(|_| has_unit)?;
    Some(size.0)
}

/// As it would stand in a file.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{}", serde_json::Value::String(text.clone())),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Count(count) => write!(f, "{count}"),
            Self::Number(number) => write!(f, "{number:?}"),
            Self::Size(bytes) => write!(f, "\"{}\"", size_text(*bytes)),
            Self::DurationMs(ms) => write!(f, "\"{}\"", duration_text(*ms)),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
        }
    }
}

impl Value {
    /// As it would stand behind a flag.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Size(bytes) => size_text(*bytes),
            Self::DurationMs(ms) => duration_text(*ms),
            Self::List(items) => items.iter().map(Self::text).collect::<Vec<_>>().join(","),
            plain => plain.to_string(),
        }
    }

    /// As JSON: sizes and times as texts with their units.
    pub(crate) fn json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.clone().into(),
            Self::Flag(flag) => (*flag).into(),
            Self::Count(count) => (*count).into(),
            Self::Number(number) => (*number).into(),
            Self::Size(bytes) => size_text(*bytes).into(),
            Self::DurationMs(ms) => duration_text(*ms).into(),
            Self::List(items) => items.iter().map(Self::json).collect(),
        }
    }
}

/// The greatest unit of which it is a whole number.
fn size_text(bytes: u64) -> String {
    let binary = [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let decimal = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000), ("B", 1)];
    let units = binary.into_iter().chain(decimal);
    let whole = units.filter(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    let best = whole.max_by_key(|(_, unit)| *unit);
    best.map_or_else(|| format!("{bytes} B"), |(name, unit)| format!("{} {name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: Kind, text: &str, want: Option<&str>) {
        let read = kind.read(text);
        if let Ok(value) = &read {
            assert_eq!(kind.read(&value.text()).as_ref(), Ok(value), "behind a flag");
        }
        let got = read.map(|value| value.to_string());
        assert_eq!(got.as_deref().ok(), want, "{text}: {got:?}");
    }

    #[test]
    fn sizes_need_their_unit() {
        check(Kind::Size, "8 GiB", Some("\"8 GiB\""));
        check(Kind::Size, "8GB", Some("\"8 GB\""));
        check(Kind::Size, "1536 MiB", Some("\"1536 MiB\""));
        check(Kind::Size, "1.5GiB", Some("\"1536 MiB\""));
        check(Kind::Size, "100 B", Some("\"100 B\""));
        for refused in ["8", "8 ", "eight GiB", "", "-1 GiB", "0 GiB", "8 parsecs"] {
            check(Kind::Size, refused, None);
        }
        check(Kind::Sizes, "4GiB, 8GiB", Some("[\"4 GiB\", \"8 GiB\"]"));
        check(Kind::Sizes, "8GiB,4GiB", None);
        check(Kind::Sizes, "4GiB,8", None);
    }

    #[test]
    fn durations_need_their_unit() {
        check(Kind::Duration, "90s", Some("\"90s\""));
        check(Kind::Duration, "1h30m", Some("\"90m\""));
        check(Kind::Duration, "2 h", Some("\"2h\""));
        check(Kind::Duration, "250ms", Some("\"250ms\""));
        for refused in ["90", "s", "1.5h", "-1s", "1h30", "1 fortnight", ""] {
            check(Kind::Duration, refused, None);
        }
    }

    #[test]
    fn numbers_words_and_flags_are_checked() {
        check(Kind::Count(1), "16", Some("16"));
        check(Kind::Count(1), "0", None);
        check(Kind::Count(0), "-1", None);
        check(Kind::Number, "0.005", Some("0.005"));
        check(Kind::Number, "NaN", None);
        check(Kind::Flag, "true", Some("true"));
        check(Kind::Flag, "yes", None);
        check(Kind::Choice(&["stop", "finish"]), "finish", Some("\"finish\""));
        check(Kind::Choice(&["stop", "finish"]), "halt", None);
    }
}
