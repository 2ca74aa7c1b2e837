//! Rows of Arrow as elements. Pure.

use array::{Chunk, DType, Native, Scalar};
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::table::column::Column;

/// The elements of some rows of a column.
///
/// # Errors
/// A null where there may be none, or a value that is what stands for nulls.
pub(crate) fn chunk_of(rows: &ArrayRef, column: &Column) -> Result<Chunk> {
    // Values that the type does not hold are errors, never nulls; that of one table never are.
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let rows = cast_with_options(rows, &column.as_type, &options).map_err(|why| {
        let message = format!("the column is no {}: {why}", column.dtype);
        Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::Unsupported, message)
    })?;
    if rows.null_count() > 0 && column.null.is_none() {
        let message = "a row has no value, where each must have one";
        let error = Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::InvalidInput, message);
        return Err(error.mend("name another column with --row-column, or leave such rows out"));
    }
    match column.dtype {
        DType::Bool => {
            let values = rows.as_boolean().values().iter().map(u8::from).collect::<Vec<u8>>();
            Chunk::new(DType::Bool, [rows.len() as u64], values.into())
        }
        DType::Text => {
            let texts = rows.as_string::<i32>();
            let text = |place| if texts.is_null(place) { "" } else { texts.value(place) };
            let texts: Vec<&str> = (0..texts.len()).map(text).collect();
            Chunk::of_texts([rows.len() as u64], &texts)
        }
        DType::Int8 => numbers::<Int8Type>(&rows, column),
        DType::Int16 => numbers::<Int16Type>(&rows, column),
        DType::Int32 => numbers::<Int32Type>(&rows, column),
        DType::Int64 => numbers::<Int64Type>(&rows, column),
        DType::UInt8 => numbers::<UInt8Type>(&rows, column),
        DType::UInt16 => numbers::<UInt16Type>(&rows, column),
        DType::UInt32 => numbers::<UInt32Type>(&rows, column),
        DType::UInt64 => numbers::<UInt64Type>(&rows, column),
        DType::Float32 => numbers::<Float32Type>(&rows, column),
        DType::Float64 => numbers::<Float64Type>(&rows, column),
        other => Err(Error::internal(format!("a column of {other}"))),
    }
}

fn numbers<T>(rows: &ArrayRef, column: &Column) -> Result<Chunk>
where
    T: ArrowPrimitiveType,
    T::Native: Native + PartialEq,
{
    let rows = rows.as_primitive::<T>();
    let null = column.null.as_ref().map(|null| T::Native::from_le_slice(null.bytes()));
    let Some(null) = null else { return Chunk::of([rows.len() as u64], rows.values()) };
    let mut values = Vec::with_capacity(rows.len());
    for place in 0..rows.len() {
        let is_null = rows.is_null(place);
        let value = rows.values()[place];
        // NaN is equal to nothing: it is missing either way.
        if !is_null && value == null {
            return Err(taken(&Scalar::of(value)));
        }
        values.push(if is_null { null } else { value });
    }
    Chunk::of([rows.len() as u64], &values)
}

fn taken(value: &Scalar) -> Error {
    let message = format!("{value} is a value of a column in which it stands for a missing one");
    Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::Unsupported, message)
        .mend("give the column a wider type, or declare that it has no nulls")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Float64Array, Int16Array, StringArray};
    use arrow::datatypes::Field;

    use super::*;

    fn column(rows: &ArrayRef, is_coordinate: bool) -> Column {
        let field = Field::new("x", rows.data_type().clone(), true);
        Column::of(&field, is_coordinate).expect("a type")
    }

    fn chunk(rows: impl Array + 'static) -> Result<Chunk> {
        let rows: ArrayRef = Arc::new(rows);
        chunk_of(&rows, &column(&rows, false))
    }

    #[test]
    fn nulls_become_what_stands_for_them() {
        let integers = chunk(Int16Array::from(vec![Some(5), None])).expect("a chunk");
        assert_eq!(integers.values::<i16>(), Ok(vec![5, -32_767]));
        let floats = chunk(Float64Array::from(vec![Some(5.0), None, Some(f64::NAN)]));
        let floats = floats.and_then(|it| it.values::<f64>()).expect("a chunk");
        assert!(floats[0] == 5.0 && floats[1].is_nan() && floats[2].is_nan());
        let texts = chunk(StringArray::from(vec![Some("é"), None])).expect("a chunk");
        assert_eq!(texts.texts(), Ok(vec!["é", ""]));
        let claims = vec![Some(true), None, Some(false)];
        let claims = chunk(BooleanArray::from(claims)).expect("a chunk");
        assert_eq!(claims.values::<i8>(), Ok(vec![1, -127, 0]));
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        let error = chunk(Int16Array::from(vec![-32_767])).expect_err("is the fill");
        assert!(error.to_string().contains("-32767"), "{error}");
        let rows: ArrayRef = Arc::new(Int16Array::from(vec![Some(1), None]));
        let error = chunk_of(&rows, &column(&rows, true)).expect_err("a null");
        assert!(error.to_string().contains("no value"), "{error}");
    }
}
