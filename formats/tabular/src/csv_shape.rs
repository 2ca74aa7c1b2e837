//! What columns a CSV file has, found by reading all of it: no row is a surprise later.

use std::ops::Range;

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use dataflow::error::Result;
use objects::ObjectFile;

use crate::compression::Compression;
use crate::csv_rows::{Allowance, CsvDialect, failed_row};
use crate::csv_tables::{TABLE_TEXT_BYTES, WithoutMark};
use crate::fault::corrupt;
use crate::lines::{compression_of, decoded};
use crate::table_file::is_nullable;

/// Columns and rows of a file.
pub(crate) struct CsvShape {
    pub(crate) schema: SchemaRef,
    pub(crate) groups: Vec<CsvGroup>,
}

/// Rows that are read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CsvGroup {
    pub(crate) row_count: u64,
    /// Where the text of the rows lies in the file; `None` if the file is compressed, and so can
    /// only be read from its start, header and all.
    pub(crate) bytes: Option<Range<u64>>,
}

/// What all fields of a column are, those that are empty left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nothing,
    Bool,
    Integer,
    Float,
    Date,
    /// With so many digits of a second's fraction.
    Time(u32),
    Text,
}

/// Reads a file whose first row names the columns, and cuts its rows into groups of at least so
/// many bytes of text, unless it is compressed.
///
/// Memory: a row, and 40 bytes for each group.
///
/// # Errors
/// A file that is no CSV, rows of other lengths, names that are missing or stand twice.
pub(crate) fn csv_shape(
    file: &ObjectFile,
    dialect: CsvDialect,
    group_bytes: u64,
) -> Result<CsvShape> {
    let can_be_cut = compression_of(file)? == Compression::Uncompressed;
    let allowance = Allowance::new(TABLE_TEXT_BYTES);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(dialect.delimiter)
        .from_reader(WithoutMark::new(allowance.guard(decoded(file)?)));
    let names = reader.headers().map_err(failed_row)?.clone();
    check_names(&names)?;
    let mark_bytes = reader.get_ref().mark_bytes();
    let mut kinds = vec![Kind::Nothing; names.len()];
    let mut have_nulls = vec![false; names.len()];
    let mut row = csv::StringRecord::new();
    let mut groups = vec![CsvGroup { row_count: 0, bytes: None }];
    let mut start = mark_bytes + reader.position().byte();
    while reader.read_record(&mut row).map_err(failed_row)? {
        allowance.renew();
        let at = mark_bytes + row.position().map_or(0, csv::Position::byte);
        if can_be_cut && at.saturating_sub(start) >= group_bytes {
            let last = groups.last_mut().expect("there is always a group");
            last.bytes = Some(start..at);
            groups.push(CsvGroup { row_count: 0, bytes: None });
            start = at;
        }
        groups.last_mut().expect("there is always a group").row_count += 1;
        for ((kind, has_nulls), field) in kinds.iter_mut().zip(&mut have_nulls).zip(&row) {
            match field.is_empty() {
                true => *has_nulls = true,
                false => *kind = kind.joined(Kind::of(field)),
            }
        }
    }
    if can_be_cut {
        let last = groups.last_mut().expect("there is always a group");
        last.bytes = Some(start..file.size_bytes());
    }
    let columns = names.iter().zip(&kinds).zip(&have_nulls);
    let field = |((name, kind), &has_nulls): ((&str, &Kind), &bool)| {
        let data_type = kind.data_type();
        let is_nullable = is_nullable(&data_type, has_nulls);
        Field::new(name, data_type, is_nullable)
    };
    let fields: Vec<Field> = columns.map(field).collect();
    Ok(CsvShape { schema: Schema::new(fields).into(), groups })
}

fn check_names(names: &csv::StringRecord) -> Result<()> {
    let refused = |why: String| -> Result<()> {
        Err(corrupt(why).mend("the first row must name each column, each with another name"))
    };
    if names.is_empty() {
        return refused("the file has no header".to_owned());
    }
    for (place, name) in names.iter().enumerate() {
        if name.trim().is_empty() {
            return refused(format!("column {} has no name", place + 1));
        }
        if names.iter().take(place).any(|other| other == name) {
            return refused(format!("two columns are called `{name}`"));
        }
    }
    if names.iter().all(|name| name.parse::<f64>().is_ok()) {
        return refused("the first row holds numbers in place of names".to_owned());
    }
    Ok(())
}

impl Kind {
    fn of(field: &str) -> Self {
        let digits = field.strip_prefix(['-', '+']).unwrap_or(field);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            // What 64 bits do not hold, and what would lose its zeros.
            let is_exact = (digits == "0" || !digits.starts_with('0'))
                && !field.starts_with('+')
                && field.parse::<i64>().is_ok();
            return if is_exact { Self::Integer } else { Self::Text };
        }
        if field.eq_ignore_ascii_case("true") || field.eq_ignore_ascii_case("false") {
            return Self::Bool;
        }
        if field.trim() == field && field.parse::<f64>().is_ok() {
            return Self::Float;
        }
        let is_date = |text: &str| {
            let bytes = text.as_bytes();
            bytes.len() == 10 && bytes[4] == b'-' && bytes[7] == b'-'
        };
        if !field.is_char_boundary(10) || !field.get(..10).is_some_and(is_date) {
            return Self::Text;
        }
        // Arrow reads dates beyond the nanoseconds of 64 bits not at all: they are texts.
        match (string_to_timestamp_nanos(field), field.split_once('.')) {
            (Err(_), _) => Self::Text,
            (Ok(_), _) if field.len() == 10 => Self::Date,
            (Ok(_), None) => Self::Time(0),
            (Ok(_), Some((_, fraction))) => {
                let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
                Self::Time(digits as u32)
            }
        }
    }

    fn joined(self, other: Self) -> Self {
        match (self, other) {
            (same, also) if same == also => same,
            (Self::Nothing, only) | (only, Self::Nothing) => only,
            (Self::Integer, Self::Float) | (Self::Float, Self::Integer) => Self::Float,
            (Self::Time(digits), Self::Time(others)) => Self::Time(digits.max(others)),
            (Self::Time(digits), Self::Date) | (Self::Date, Self::Time(digits)) => {
                Self::Time(digits)
            }
            _ => Self::Text,
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Integer => DataType::Int64,
            // A column of nothing is one of missing numbers, as for pandas.
            Self::Nothing | Self::Float => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Time(0) => DataType::Timestamp(TimeUnit::Second, None),
            Self::Time(1..=3) => DataType::Timestamp(TimeUnit::Millisecond, None),
            Self::Time(4..=6) => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Time(_) => DataType::Timestamp(TimeUnit::Nanosecond, None),
            Self::Text => DataType::Utf8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fields: &[&str], want: &DataType) {
        let kinds = fields.iter().map(|field| Kind::of(field));
        let kind = kinds.fold(Kind::Nothing, Kind::joined);
        assert_eq!(kind.data_type(), *want, "{fields:?}");
    }

    #[test]
    fn numbers() {
        check(&["1", "-2", "0"], &DataType::Int64);
        check(&["1", "2.5", "nan"], &DataType::Float64);
        check(&["9223372036854775807"], &DataType::Int64);
        check(&["9223372036854775808"], &DataType::Utf8);
        check(&["007", "8"], &DataType::Utf8);
        check(&[], &DataType::Float64);
    }

    #[test]
    fn times() {
        use TimeUnit::{Microsecond, Second};
        check(&["2000-01-31", "1999-12-01"], &DataType::Date32);
        check(&["2000-01-31", "2000-01-31T12:00:00"], &DataType::Timestamp(Second, None));
        check(
            &["2000-01-31 12:00:00Z", "2000-01-31T12:00:00.12345"],
            &DataType::Timestamp(Microsecond, None),
        );
        check(&["2000-13-31"], &DataType::Utf8);
    }

    #[test]
    fn everything_else_is_text() {
        check(&["true", "FALSE"], &DataType::Boolean);
        check(&["true", "1"], &DataType::Utf8);
        check(&["2000-01-31", "1"], &DataType::Utf8);
        check(&["é", "Ωδόςδόςδός"], &DataType::Utf8);
    }
}
