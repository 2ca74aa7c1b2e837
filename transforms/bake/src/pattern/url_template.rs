//! Templates of URLs: a text with fields that keys fill in.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use cf::{Calendar, CivilTime};
use dataflow::error::{Error, ErrorCode, Result, redact};
use serde::{Deserialize, Serialize};

use crate::pattern::keys::{Key, invalid, nearest};

/// A text such as `https://h/{var}/{time:%Y%m%d}.nc`.
///
/// `{name}` is the key of that dimension; `{{` and `}}` are braces. After a colon stands how the
/// key is written: dates as `strftime` writes them (`%Y %m %d %H %M %S %f %j %y %b %B %%`, and
/// `%-m` and the like without leading zeros), which must be said; integers with a width, `04`, and
/// `d`, `x` or `X`, as Python's `format`; texts as they are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UrlTemplate {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Field { name: String, spec: Spec },
}

/// How a key is written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Spec {
    Plain,
    Integer { width: usize, is_zero_padded: bool, form: IntegerForm },
    Date(Vec<DatePiece>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IntegerForm {
    Decimal,
    LowerHex,
    UpperHex,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum DatePiece {
    Literal(String),
    Directive { letter: char, is_padded: bool },
}

const DIRECTIVES: &str = "YmdHMSfjybB";
const WIDEST: usize = 64;
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

impl UrlTemplate {
    /// The names of its fields, in the order in which they stand, repeated where they are.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Field { name, .. } => Some(name.as_str()),
            Piece::Literal(_) => None,
        })
    }

    /// The text with every field filled in.
    ///
    /// # Errors
    /// A field without a key, and a key that cannot be written as the field says.
    pub fn fill<'a>(&self, key: impl Fn(&str) -> Result<Key<'a>>) -> Result<String> {
        let mut url = String::with_capacity(self.text.len() + 16);
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => url.push_str(text),
                Piece::Field { name, spec } => {
                    let mut write = || write_key(key(name)?, spec, &mut url);
                    write().map_err(|error| error.at("field", name).at("template", self))?;
                }
            }
        }
        Ok(url)
    }
}

impl FromStr for UrlTemplate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let pieces = parse(text).map_err(|error| error.at("template", redact(text)))?;
        Ok(Self { text: text.to_owned(), pieces })
    }
}

fn parse(text: &str) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let (brace, after) = rest[at..].split_at(1);
        if let Some(after) = after.strip_prefix(brace) {
            literal.push_str(brace);
            rest = after;
            continue;
        }
        let end =
            after.find(['{', '}']).filter(|end| brace == "{" && after[*end..].starts_with('}'));
        let Some(end) = end else {
            let message =
                format!("the brace at byte {} belongs to no field", text.len() - rest.len() + at);
            return Err(invalid(message).mend("write `{{` and `}}` for braces, `{time}` for a key"));
        };
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        pieces.push(parse_field(&after[..end])?);
        rest = &after[end + 1..];
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    if pieces.is_empty() {
        return Err(invalid("the template is empty").mend("write a path or a URL"));
    }
    Ok(pieces)
}

fn parse_field(field: &str) -> Result<Piece> {
    let (name, spec) = field.split_once(':').unwrap_or((field, ""));
    let is_name = !name.is_empty()
        && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if !is_name {
        let error = invalid(format!("`{{{field}}}` names no dimension"));
        return Err(error.mend("write the name of a dimension, as in `{time}` or `{time:%Y}`"));
    }
    Ok(Piece::Field { name: name.to_owned(), spec: parse_spec(spec)? })
}

fn parse_spec(spec: &str) -> Result<Spec> {
    if spec.is_empty() || spec == "s" {
        return Ok(Spec::Plain);
    }
    if spec.contains('%') {
        return Ok(Spec::Date(parse_date(spec)?));
    }
    let (digits, form) = match spec.strip_suffix(['d', 'x', 'X']) {
        Some(digits) if spec.ends_with('x') => (digits, IntegerForm::LowerHex),
        Some(digits) if spec.ends_with('X') => (digits, IntegerForm::UpperHex),
        Some(digits) => (digits, IntegerForm::Decimal),
        None => (spec, IntegerForm::Decimal),
    };
    let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
    let width = if digits.is_empty() { Some(0) } else { digits.parse::<usize>().ok() };
    match width.filter(|width| is_number && *width <= WIDEST) {
        Some(width) => Ok(Spec::Integer { width, is_zero_padded: digits.starts_with('0'), form }),
        None => Err(invalid(format!("no key is written as `{spec}`")).mend(
            "integers take a width up to 64, as in `{step:03}`, dates `{time:%Y%m%d}`, texts nothing",
        )),
    }
}

fn parse_date(spec: &str) -> Result<Vec<DatePiece>> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut chars = spec.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            literal.push(c);
            continue;
        }
        let mut letter = chars.next();
        let is_padded = letter != Some('-');
        if !is_padded {
            letter = chars.next();
        }
        match letter {
            Some('%') if is_padded => literal.push('%'),
            Some(letter) if DIRECTIVES.contains(letter) => {
                if !literal.is_empty() {
                    pieces.push(DatePiece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(DatePiece::Directive { letter, is_padded });
            }
            other => {
                let letter = other.map(String::from).unwrap_or_default();
                let dash = if is_padded { "" } else { "-" };
                let error = invalid(format!("dates are not written as `%{dash}{letter}`"));
                return Err(error.mend("there are %Y %m %d %H %M %S %f %j %y %b %B and %%"));
            }
        }
    }
    if !literal.is_empty() {
        pieces.push(DatePiece::Literal(literal));
    }
    Ok(pieces)
}

fn write_key(key: Key<'_>, spec: &Spec, url: &mut String) -> Result<()> {
    match (key, spec) {
        (Key::Text(text), Spec::Plain) => url.push_str(text),
        (Key::Integer(number), Spec::Plain) => push(url, format_args!("{number}")),
        (Key::Integer(number), Spec::Integer { width, is_zero_padded, form }) => {
            push_integer(url, number, *width, *is_zero_padded, *form);
        }
        (Key::Date { instant, calendar }, Spec::Date(pieces)) => {
            push_date(url, instant, calendar, pieces)?;
        }
        (Key::Date { .. }, _) => {
            let error = invalid(format!("the date {key} can be written in many ways"));
            return Err(error.mend("say how, as in `{time:%Y%m%d}`"));
        }
        (Key::Text(_), _) => {
            let error = invalid(format!("the key `{key}` is a text, which is written as it is"));
            return Err(error.mend("leave out what follows the colon, or give integers or dates"));
        }
        (Key::Integer(_), Spec::Date(_)) => {
            let error = invalid(format!("the key {key} is a number, not a date"));
            return Err(error.mend("give the dimension a range of dates, or write a width as `04`"));
        }
    }
    Ok(())
}

fn push(url: &mut String, text: fmt::Arguments<'_>) {
    url.write_fmt(text).expect("a String takes every text");
}

/// As Python's `format`: a sign counts towards the width.
fn push_integer(
    url: &mut String,
    number: i64,
    width: usize,
    is_zero_padded: bool,
    form: IntegerForm,
) {
    let magnitude = number.unsigned_abs();
    let digits = match form {
        IntegerForm::Decimal => format!("{magnitude}"),
        IntegerForm::LowerHex => format!("{magnitude:x}"),
        IntegerForm::UpperHex => format!("{magnitude:X}"),
    };
    let sign = if number < 0 { "-" } else { "" };
    if is_zero_padded {
        let width = width.saturating_sub(sign.len());
        push(url, format_args!("{sign}{digits:0>width$}"));
    } else {
        let signed = format!("{sign}{digits}");
        push(url, format_args!("{signed:>width$}"));
    }
}

fn push_date(
    url: &mut String,
    instant: i128,
    calendar: Calendar,
    pieces: &[DatePiece],
) -> Result<()> {
    let civil = calendar.civil(instant)?;
    for piece in pieces {
        match piece {
            DatePiece::Literal(text) => url.push_str(text),
            DatePiece::Directive { letter: 'b', .. } => url.push_str(&month_name(civil)[..3]),
            DatePiece::Directive { letter: 'B', .. } => url.push_str(month_name(civil)),
            DatePiece::Directive { letter, is_padded } => {
                let (number, width) = match letter {
                    'Y' => (civil.year, 4),
                    'y' => (civil.year.rem_euclid(100), 2),
                    'm' => (civil.month.into(), 2),
                    'd' => (civil.day.into(), 2),
                    'H' => (civil.hour.into(), 2),
                    'M' => (civil.minute.into(), 2),
                    'S' => (civil.second.into(), 2),
                    'f' => (i64::from(civil.nanosecond / 1_000), 6),
                    _ => (calendar.day_of_year(instant)?.into(), 3),
                };
                let width = if *is_padded { width } else { 0 };
                push_integer(url, number, width, true, IntegerForm::Decimal);
            }
        }
    }
    Ok(())
}

fn month_name(civil: CivilTime) -> &'static str {
    MONTHS[usize::from(civil.month) - 1]
}

/// The error for a field that no dimension fills in.
pub(super) fn unknown_field<'a>(
    field: &str,
    template: &UrlTemplate,
    known: impl IntoIterator<Item = &'a str>,
) -> Error {
    let message = format!("the template has `{{{field}}}`, and no dimension is called so");
    let error =
        Error::new(ErrorCode::UNKNOWN_DIMENSION, dataflow::error::ErrorKind::InvalidInput, message);
    error.at("template", template).mend(nearest(field, known))
}

/// Without the values of a query, which may be secret.
impl fmt::Display for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact(&self.text))
    }
}

impl fmt::Debug for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UrlTemplate({self})")
    }
}

impl TryFrom<String> for UrlTemplate {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<UrlTemplate> for String {
    fn from(template: UrlTemplate) -> Self {
        template.text
    }
}
