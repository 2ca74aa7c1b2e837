//! What was written is read again: every format, compression, store and number of shards.

use dataflow::prelude::PCollection;
use dataflow::prelude::PTransform;
use objects::StoreOptions;

use super::*;
use crate::csv_rows::CsvDialect;
use crate::read::{FileFormat, ReadFiles};
use crate::write::{FileSink, WriteFiles};
use crate::{
    ArrowCompression, MatchManifest, ParquetCompression, ReadArrow, ReadCsv, ReadCsvTables,
    ReadJson, ReadParquet, ReadText, WriteArrow, WriteCsv, WriteCsvTables, WriteJson, WriteParquet,
    WriteText, WrittenFiles, infer_csv_schema,
};

/// Writes elements, reads them by pattern and by manifest; both must be the same.
#[track_caller]
fn round_trip<S: FileSink, F: FileFormat<Out = S::In>>(
    write: WriteFiles<S>,
    read: ReadFiles<F>,
    elements: &[S::In],
    (base, store): (&str, &StoreOptions),
) -> Vec<S::In>
where
    WriteFiles<S>: PTransform<PCollection<S::In>, Output = PCollection<WrittenFiles>>,
{
    let written = run(|p| create(p, elements).apply(write.with_store_options(store.clone())));
    let written = written.expect("writes");
    let [written] = &written[..] else { panic!("one destination: {written:?}") };
    assert_eq!(written.manifest.record_count, elements.len() as u64);
    assert_eq!(written.destination, base);
    let read = read.with_store_options(store.clone());
    let files = MatchManifest::of(base).with_store_options(store.clone());
    let listed = run(|p| p.apply(files).apply(read.clone())).expect("reads");
    let matched = run(|p| p.apply(read.from(format!("{base}-*")))).expect("reads");
    assert_eq!(listed.len(), matched.len());
    listed
}

fn sorted<T: PartialOrd>(mut values: Vec<T>) -> Vec<T> {
    values.sort_by(|a, b| a.partial_cmp(b).expect("no NaN"));
    values
}

#[test]
fn text() {
    let lines: Vec<String> = (0..200).map(|n| format!("{} é {n}", "-".repeat(n % 50))).collect();
    let lines: Vec<String> =
        lines.into_iter().chain(["".into(), "".into(), " \r ".into()]).collect();
    everywhere("text", |base, store| {
        for (compression, shards) in COMPRESSIONS.into_iter().zip([1, 3, 5, 2]) {
            let base = format!("{base}/{compression}");
            let write = WriteText::to(&base).with_num_shards(shards).with_compression(compression);
            let read = ReadText::new().with_split_bytes(100);
            let back = round_trip(write, read, &lines, (&base, store));
            assert_eq!(sorted(back), sorted(lines.clone()), "{compression}");
        }
    });
}

#[test]
fn text_with_header_and_footer() {
    let base = "memory://tabular-header/out";
    let write = WriteText::to(base).with_num_shards(2).with_header("# a\n# b").with_footer("end");
    run(|p| create(p, &["x".to_owned()]).apply(write)).expect("writes");
    let files = objects_in("memory://tabular-header", &StoreOptions::default());
    let mut texts: Vec<_> = files[1..].iter().map(|(_, b)| String::from_utf8_lossy(b)).collect();
    texts.sort();
    assert_eq!(texts, ["# a\n# b\nend\n", "# a\n# b\nx\nend\n"]);
    let read = ReadText::new().with_skip_header_lines(2).from(format!("{base}-*"));
    assert_eq!(sorted(run(|p| p.apply(read)).expect("reads")), ["end", "end", "x"]);
}

#[test]
fn json() {
    everywhere("json", |base, store| {
        for (compression, shards) in COMPRESSIONS.into_iter().zip([3, 1, 2, 4]) {
            let base = format!("{base}/{compression}");
            let write = WriteJson::to(&base).with_num_shards(shards).with_compression(compression);
            let read = ReadJson::<Sale>::new().with_split_bytes(64);
            let back = round_trip(write, read, &sales(100), (&base, store));
            assert_eq!(sorted(back), sorted(sales(100)), "{compression}");
        }
    });
}

#[test]
fn csv_rows() {
    everywhere("csv", |base, store| {
        for (compression, shards) in COMPRESSIONS.into_iter().zip([2, 3, 4, 1]) {
            let base = format!("{base}/{compression}");
            let dialect = CsvDialect { delimiter: b';', has_header: shards != 3 };
            let write = WriteCsv::to(&base).with_num_shards(shards).with_compression(compression);
            let write = write.with_dialect(dialect);
            let read = ReadCsv::<Sale>::new().with_dialect(dialect);
            let back = round_trip(write, read, &sales(100), (&base, store));
            assert_eq!(sorted(back), sorted(sales(100)), "{compression}");
        }
    });
}

fn tables() -> Vec<Table> {
    [(0, 50), (50, 1), (51, 0), (51, 149)].map(|(first, rows)| table(first, rows)).into()
}

#[test]
fn csv_tables() {
    everywhere("csv-tables", |base, store| {
        for (compression, shards) in COMPRESSIONS.into_iter().zip([2, 3, 4, 1]) {
            let base = format!("{base}/{compression}");
            let schema = table(0, 1).schema();
            let write = WriteCsvTables::to(&base, Arc::clone(&schema));
            let write = write.with_num_shards(shards).with_compression(compression);
            let read = ReadCsvTables::new(schema).with_table_rows(20);
            let back = round_trip(write, read, &tables(), (&base, store));
            assert!(back.iter().all(|table| table.num_rows() <= 20));
            assert_eq!(rows(&back), rows(&tables()), "{compression}");
        }
    });
}

#[test]
fn a_schema_of_csv_is_inferred() {
    let place =
        put("infer.csv.gz", &compressed(Compression::Gzip, b"n,name,half\n1,a,0.5\n2,,1\n"));
    let store = StoreOptions::default();
    let schema = infer_csv_schema(&place, CsvDialect::default(), 100, &store).expect("a schema");
    let shown: Vec<String> = schema.fields().iter().map(|f| f.data_type().to_string()).collect();
    assert_eq!(shown, ["Int64", "Utf8", "Float64"]);
    let read = run(|p| p.apply(ReadCsvTables::new(schema).from(place.clone()))).expect("reads");
    assert_eq!(rows(&read), [(1, Some("a".into()), 0.5), (2, None, 1.0)]);
}

#[test]
fn parquet() {
    use ParquetCompression as By;
    everywhere("parquet", |base, store| {
        for (compression, shards) in
            [(By::Uncompressed, 2), (By::Snappy, 3), (By::Gzip, 1), (By::Zstd, 4), (By::Lz4, 1)]
        {
            let base = format!("{base}/{compression:?}");
            let write = WriteParquet::to(&base, table(0, 1).schema());
            let write = write.with_num_shards(shards).with_compression(compression);
            // Every table ends a row group.
            let write = write.with_row_group_bytes(1);
            let read = ReadParquet::new().with_table_rows(20);
            let back = round_trip(write, read, &tables(), (&base, store));
            assert!(back.iter().all(|table| table.num_rows() <= 20));
            assert_eq!(rows(&back), rows(&tables()), "{compression:?}");
        }
    });
}

#[test]
fn arrow() {
    use ArrowCompression as By;
    everywhere("arrow", |base, store| {
        for (compression, shards) in [(By::Uncompressed, 2), (By::Lz4, 3), (By::Zstd, 1)] {
            let base = format!("{base}/{compression:?}");
            let write = WriteArrow::to(&base, table(0, 1).schema());
            let write = write.with_num_shards(shards).with_compression(compression);
            let read = ReadArrow::new().with_split_bytes(1);
            let back = round_trip(write, read, &tables(), (&base, store));
            assert_eq!(rows(&back), rows(&tables()), "{compression:?}");
        }
    });
}

#[test]
fn an_arrow_stream_is_read_too() {
    let tables = tables();
    let mut stream =
        arrow::ipc::writer::StreamWriter::try_new(Vec::new(), &tables[0].schema()).expect("begins");
    tables.iter().for_each(|table| stream.write(table).expect("takes"));
    let place = put("a.arrows", &stream.into_inner().expect("ends"));
    let back = run(|p| p.apply(ReadArrow::new().from(place.clone()))).expect("reads");
    assert_eq!(back, tables);
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(3));
    let schema = Arc::new(arrow::datatypes::Schema::empty());
    let bare = RecordBatch::try_new_with_options(Arc::clone(&schema), vec![], &options);
    let bare = bare.expect("rows without columns");
    let mut stream =
        arrow::ipc::writer::StreamWriter::try_new(Vec::new(), &schema).expect("begins");
    (0..2).for_each(|_| stream.write(&bare).expect("takes"));
    let bare_place = put("bare.arrows", &stream.into_inner().expect("ends"));
    let back = run(|p| p.apply(ReadArrow::new().from(bare_place))).expect("reads");
    assert_eq!(back, [Table(bare.clone()), Table(bare)]);
    let columns = ReadArrow::new().with_columns(["half", "n"]).from(place);
    let back = run(|p| p.apply(columns)).expect("reads");
    assert_eq!(back[3].0, tables[3].project(&[2, 0]).expect("columns"));
}

#[test]
fn columns_are_chosen_and_the_others_not_fetched() {
    let base = "memory://tabular-columns/out";
    let write = WriteParquet::to(base, table(0, 1).schema()).with_num_shards(1);
    run(|p| create(p, &tables()).apply(write)).expect("writes");
    let pattern = format!("{base}-*");
    let columns = ReadParquet::new().with_columns(["half", "n"]).from(pattern.clone());
    let back = run(|p| p.apply(columns)).expect("reads");
    let names: Vec<_> = back[0].schema_ref().fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!((names, back.iter().map(|t| t.num_rows()).sum::<usize>()), (vec!["n", "half"], 200));
    // The chunk of `name` is damaged, and nobody who leaves it out sees that.
    let files = objects_in("memory://tabular-columns", &StoreOptions::default());
    let (_, mut bytes) = files.into_iter().next_back().expect("a shard");
    let dictionary = bytes.windows(7).position(|at| at == b"row 101");
    assert_eq!(dictionary, None, "it is compressed");
    let footer = parquet::file::metadata::ParquetMetaDataReader::new()
        .parse_and_finish(&bytes::Bytes::from(bytes.clone()))
        .expect("a footer");
    let (start, length) = footer.row_group(0).column(1).byte_range();
    bytes[start as usize..(start + length) as usize].fill(0xff);
    let place = put("columns.parquet", &bytes);
    let columns = ReadParquet::new().with_columns(["half"]).from(place.clone());
    assert_eq!(run(|p| p.apply(columns)).expect("reads").len(), 1);
    let error = run(|p| p.apply(ReadParquet::new().from(place))).expect_err("damaged");
    assert_eq!(error.place("row group"), Some("0"), "{error}");
    let error = run(|p| p.apply(ReadParquet::new().with_columns(["none"]).from(pattern)));
    let error = error.expect_err("no such column");
    assert_eq!(error.advice(), Some("the columns are: n, name, half"), "{error}");
}
