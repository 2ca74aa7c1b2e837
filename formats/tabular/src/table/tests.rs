use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, DictionaryArray, Float64Array, Int64Array, ListArray, StringArray,
};
use arrow::datatypes::{Field, Int32Type, Int64Type, Schema};
use dataflow::coder::decode_all;
use dataflow::error::ErrorCode;

use super::*;

/// A table of `rows` rows with nulls, texts, lists and a dictionary.
fn sample(rows: usize) -> Table {
    let numbers = (0..rows as i64).map(|n| (n % 3 != 1).then_some(n));
    let texts = (0..rows).map(|n| (n % 4 != 2).then(|| "é".repeat(n)));
    let lists = (0..rows).map(|n| (n % 5 != 3).then(|| (0..n as i64 % 4).map(Some)));
    let columns: [(&str, ArrayRef); 5] = [
        ("number", Arc::new(numbers.collect::<Int64Array>())),
        ("text", Arc::new(texts.collect::<StringArray>())),
        ("list", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))),
        ("nan", Arc::new(Float64Array::from(vec![f64::INFINITY; rows]))),
        (
            "kind",
            Arc::new((0..rows).map(|n| ["a", "b"][n % 2]).collect::<DictionaryArray<Int32Type>>()),
        ),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let pairs = [("unit", "m"), ("author", "b")];
    let pairs: std::collections::BTreeMap<String, String> =
        pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let with_metadata = batch.schema().as_ref().clone().with_metadata(pairs);
    Table(batch.with_schema(Arc::new(with_metadata)).expect("the same columns"))
}

#[track_caller]
fn check(table: &Table) {
    let coder = Table::coder();
    let mut outer = Vec::new();
    coder.encode(table, Context::Outer, &mut outer).expect("encodes");
    assert_eq!(&decode_all(&coder, &outer).expect("decodes"), table);

    let mut nested = Vec::new();
    coder.encode(table, Context::Nested, &mut nested).expect("encodes");
    nested.push(7);
    let mut input = nested.as_slice();
    assert_eq!(&coder.decode(Context::Nested, &mut input).expect("decodes"), table);
    assert_eq!(input, [7]);

    let mut head = Vec::new();
    let tail = coder.encode_shared(table, &mut head).expect("encodes");
    assert_eq!([&head, &tail[..]].concat(), outer);
    let shared = coder.decode_shared(&head, tail).expect("decodes");
    assert_eq!(&shared, table);
    let mut again = Vec::new();
    coder.encode(&shared, Context::Outer, &mut again).expect("encodes");
    assert_eq!(again, outer, "encoding what was decoded gives the same bytes");
}

#[test]
fn tables_survive_their_coder() {
    for rows in [0, 1, 2, 100] {
        check(&sample(rows));
    }
    check(&Table(sample(100).slice(13, 29)));
    check(&Table(sample(100).slice(7, 0)));
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(3));
    let none = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options);
    check(&Table(none.expect("rows without columns")));
}

#[test]
fn a_slice_is_encoded_alone_and_held_whole() {
    let (whole, slice) = (sample(1000), Table(sample(1000).slice(10, 1)));
    assert_eq!(slice.heap_bytes(), whole.heap_bytes());
    assert!(whole.heap_bytes() > 1000 * 8);
    assert!(
        stream_of(&slice).expect("encodes").len() < stream_of(&whole).expect("encodes").len() / 10
    );
}

#[test]
fn columns_share_the_bytes_that_they_were_decoded_from() {
    let mut head = Vec::new();
    let table = sample(1000);
    let tail = TableCoder.encode_shared(&table, &mut head).expect("encodes");
    let range = tail.as_ptr_range();
    let back = TableCoder.decode_shared(&head, tail).expect("decodes");
    let values = back.column(0).to_data().buffers()[0].as_ptr();
    assert!(range.contains(&values));
}

#[test]
fn damaged_bytes_are_errors() {
    let bytes = stream_of(&sample(5)).expect("encodes");
    for length in (0..bytes.len() - 8).step_by(7) {
        let error = decode_all(&TableCoder, &bytes[..length]).expect_err("cut short");
        assert_eq!(error.code(), ErrorCode::CODER, "{length}");
    }
    let twice = [bytes.clone(), bytes.clone()].concat();
    decode_all(&TableCoder, &twice).expect_err("two tables");
    let schema = Schema::new(vec![Field::new("n", arrow::datatypes::DataType::Int64, true)]);
    let error = check_schema(&sample(1), &schema).expect_err("other columns");
    assert!(error.message().contains("n Int64 was declared"), "{error}");
}
