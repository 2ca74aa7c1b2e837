//! What the column of a table is as a variable. Pure.

use array::{AttributeValue, Attributes, DType, Scalar};
use arrow::datatypes::{DataType, Field, TimeUnit};

/// How nulls and values become elements.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    /// The type of the elements.
    pub(crate) dtype: DType,
    /// The type of Arrow that holds them as they are.
    pub(crate) as_type: DataType,
    /// What stands for a null; nothing where none may be.
    pub(crate) null: Option<Scalar>,
    /// Units and calendar of times, `_FillValue`.
    pub(crate) attributes: Attributes,
}

impl Column {
    /// The variable of a column; `None` for a type that no array has here.
    ///
    /// Nulls become NaN in floats, the empty text in texts, and elsewhere the default fill value of
    /// NetCDF, which is `_FillValue` then; whether they may be is what the schema of the file says. Booleans that may be null are bytes with `flag_meanings`. Times
    /// are counts since 1970 in the unit of the column, whatever its time zone, which is but how
    /// they are shown.
    ///
    /// The coordinate of rows has no nulls.
    pub(crate) fn of(field: &Field, is_coordinate: bool) -> Option<Self> {
        let mut attributes = Attributes::default();
        let (dtype, as_type) = match value_type(field.data_type()) {
            DataType::Boolean if !field.is_nullable() => (DType::Bool, DataType::Boolean),
            DataType::Boolean => {
                attributes.set(
                    "flag_values",
                    AttributeValue::Numbers(vec![Scalar::of(0i8), Scalar::of(1i8)]),
                );
                attributes.set("flag_meanings", "false true");
                (DType::Int8, DataType::Int8)
            }
            DataType::Int8 => (DType::Int8, DataType::Int8),
            DataType::Int16 => (DType::Int16, DataType::Int16),
            DataType::Int32 => (DType::Int32, DataType::Int32),
            DataType::Int64 => (DType::Int64, DataType::Int64),
            DataType::UInt8 => (DType::UInt8, DataType::UInt8),
            DataType::UInt16 => (DType::UInt16, DataType::UInt16),
            DataType::UInt32 => (DType::UInt32, DataType::UInt32),
            DataType::UInt64 => (DType::UInt64, DataType::UInt64),
            DataType::Float16 | DataType::Float32 => (DType::Float32, DataType::Float32),
            DataType::Float64 => (DType::Float64, DataType::Float64),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                (DType::Text, DataType::Utf8)
            }
            DataType::Date32 => {
                set_time(&mut attributes, "days since 1970-01-01");
                (DType::Int32, DataType::Int32)
            }
            DataType::Date64 => {
                set_time(&mut attributes, "milliseconds since 1970-01-01");
                (DType::Int64, DataType::Int64)
            }
            DataType::Timestamp(unit, _) => {
                set_time(&mut attributes, &format!("{} since 1970-01-01", unit_name(*unit)));
                (DType::Int64, DataType::Int64)
            }
            DataType::Duration(unit) => {
                attributes.set("units", unit_name(*unit));
                (DType::Int64, DataType::Int64)
            }
            _ => return None,
        };
        let null = (field.is_nullable() && !is_coordinate).then(|| null_of(dtype));
        if let Some(null) = null.as_ref().filter(|_| dtype != DType::Text) {
            attributes.set("_FillValue", null.clone());
        }
        Some(Self { dtype, as_type, null, attributes })
    }
}

/// The type of the values of a column, which a dictionary may keep apart.
fn value_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

fn set_time(attributes: &mut Attributes, units: &str) {
    attributes.set("units", units);
    attributes.set("calendar", "proleptic_gregorian");
}

fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "seconds",
        TimeUnit::Millisecond => "milliseconds",
        TimeUnit::Microsecond => "microseconds",
        TimeUnit::Nanosecond => "nanoseconds",
    }
}

/// What stands for a null.
///
/// Source: `NC_FILL_*` of netCDF for integers.
fn null_of(dtype: DType) -> Scalar {
    match dtype {
        DType::Float32 => Scalar::of(f32::NAN),
        DType::Float64 => Scalar::of(f64::NAN),
        other => netcdf::default_fill(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(data_type: DataType, is_nullable: bool, want: DType, units: Option<&str>, null: &str) {
        let column = Column::of(&Field::new("x", data_type, is_nullable), false).expect("a type");
        assert_eq!((column.dtype, column.attributes.text("units")), (want, units));
        let got = column.attributes.number("_FillValue").map_or(String::new(), Scalar::to_string);
        assert_eq!(got, null);
        assert_eq!(column.null.is_some(), is_nullable);
    }

    #[test]
    fn columns_are_variables_of_their_type() {
        check(DataType::Int16, false, DType::Int16, None, "");
        check(DataType::Int16, true, DType::Int16, None, "-32767");
        check(DataType::Float32, true, DType::Float32, None, "NaN");
        check(DataType::Boolean, false, DType::Bool, None, "");
        check(DataType::Boolean, true, DType::Int8, None, "-127");
        check(DataType::Utf8View, true, DType::Text, None, "");
        let codes = DataType::Dictionary(DataType::Int8.into(), DataType::Utf8.into());
        check(codes, false, DType::Text, None, "");
    }

    #[test]
    fn times_are_counts_in_their_own_unit() {
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("Europe/Oslo".into()));
        let units = Some("microseconds since 1970-01-01");
        check(time, true, DType::Int64, units, "-9223372036854775806");
        check(DataType::Date32, false, DType::Int32, Some("days since 1970-01-01"), "");
        check(DataType::Duration(TimeUnit::Second), false, DType::Int64, Some("seconds"), "");
    }

    #[test]
    fn a_coordinate_has_no_nulls_and_lists_are_no_column() {
        let field = Field::new("x", DataType::Int64, true);
        assert_eq!(Column::of(&field, true).expect("a type").null, None);
        let list = DataType::new_list(DataType::Int64, true);
        assert_eq!(Column::of(&Field::new("x", list, true), false), None);
    }
}
