//! Columns and streams that somebody made to break things: a clear error that names what is wrong, and nothing else.

use std::sync::Arc;

use kithdb::arrow::array::{
    Array, ArrayRef, BinaryArray, DictionaryArray, FixedSizeListArray, Float32Array, Float64Array,
    Int64Array, ListArray, StringArray, StructArray, UInt32Array,
};
use kithdb::arrow::buffer::OffsetBuffer;
use kithdb::arrow::datatypes::{
    DataType, Field, Float32Type, Int8Type, Schema as Columns, SchemaRef, UInt32Type,
};
use kithdb::arrow::ipc::CompressionType;
use kithdb::arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use kithdb::bulk::{ImportOptions, files};
use kithdb::{Database, ErrorKind, Limits, Metric, Point, Schema, SparseSpec, VectorSpec};

use super::{all, batch, ids, source, stream, vectors};

fn site() -> Database {
    let db = Database::in_memory().expect("a database");
    let schema = Schema::new()
        .vector(2, Metric::Cosine)
        .sparse_vector("words", SparseSpec::default())
        .multi_vector("rows", VectorSpec::new(2, Metric::Dot));
    let a = db.create_collection("a", schema).expect("a collection");
    a.upsert(vec![Point::new(1).vector([1.0, 0.0])]).expect("written");
    db
}

fn lists(rows: Vec<Option<Vec<Option<f32>>>>) -> ArrayRef {
    Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(rows))
}

fn sparse(indices: Vec<u32>, values: Vec<f32>) -> ArrayRef {
    let indices = ListArray::from_iter_primitive::<UInt32Type, _, _>([Some(indices.into_iter().map(Some))]);
    let values = ListArray::from_iter_primitive::<Float32Type, _, _>([Some(values.into_iter().map(Some))]);
    let field = |name: &str, array: &ListArray| Arc::new(Field::new(name, array.data_type().clone(), true));
    let fields = [("indices", indices), ("values", values)];
    let columns = fields.map(|(name, array)| (field(name, &array), Arc::new(array) as ArrayRef));
    Arc::new(StructArray::from(columns.to_vec()))
}

/// Columns, what the error names, and a part of what it says.
type Case = (Vec<(&'static str, ArrayRef)>, &'static str, &'static str);

fn cases() -> Vec<Case> {
    let good = || ("vector", vectors(&[Some([1.0, 0.0])]));
    let empty = FixedSizeListArray::try_new_with_length(
        Arc::new(Field::new_list_field(DataType::Float32, true)),
        0,
        Arc::new(Float32Array::from(Vec::<f32>::new())),
        None,
        1,
    );
    let (nan, null) = (vec![Some(f32::NAN), Some(1.0)], vec![Some(1.0), None]);
    let dictionary: DictionaryArray<Int8Type> = ["one"].into_iter().collect();
    vec![
        (vec![("id", ids([2])), ("vector", lists(vec![Some(nan)]))], "rows[0].vector[0]", "NaN"),
        (vec![("id", ids([2])), ("vector", lists(vec![Some(null)]))], "rows[0].vector[1]", "null"),
        (vec![("id", ids([2])), ("vector", lists(vec![Some(vec![])]))], "rows[0].vector", "dim: 2, got 0"),
        (vec![("id", ids([2])), ("vector", Arc::new(empty.expect("an array")))], "rows[0].vector", "got 0"),
        (
            vec![("id", ids([2])), ("words", sparse(vec![1, 1], vec![1.0, 2.0]))],
            "rows[0].vector.words.indices[1]",
            "before",
        ),
        (
            vec![("id", ids([2])), ("words", sparse(vec![1], vec![]))],
            "rows[0].vector.words.values",
            "0 entries",
        ),
        (vec![("id", ids([2])), ("words", vectors(&[Some([1.0, 0.0])]))], "rows[0].vector.words", "dense"),
        (vec![("id", Arc::new(Int64Array::from(vec![-1]))), good()], "rows[0].id", "negative"),
        (vec![("id", Arc::new(Int64Array::from(vec![None]))), good()], "rows[0].id", "null"),
        (vec![("id", Arc::new(StringArray::from(vec!["x"]))), good()], "rows[0].id", "neither"),
        (vec![("id", Arc::new(dictionary)), good()], "rows[0].id", "neither"),
        (vec![("id", ids([2])), good(), ("b", Arc::new(BinaryArray::from(vec![&b"x"[..]])))], "b", "Binary"),
        (
            vec![("id", ids([2])), good(), ("f", Arc::new(Float64Array::from(vec![f64::INFINITY])))],
            "rows[0].f",
            "inf",
        ),
    ]
}

#[test]
fn what_is_wrong_is_named_by_column_and_row() {
    let db = site();
    let a = db.collection("a").expect("it is there");
    let before = all(&a);
    for (columns, field, said) in cases() {
        let error =
            a.import(source(vec![batch(columns)]), &ImportOptions::default(), &mut |_| ()).expect_err(field);
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some(field)), "{error}");
        assert!(
            error.message().contains(said) && error.message().ends_with("nothing was imported"),
            "{error}"
        );
        assert_eq!(all(&a), before);
    }
}

#[test]
fn nesting_and_numbers_of_columns_have_limits() {
    let db = site();
    let many: Vec<(String, ArrayRef)> = (0..5_000).map(|n| (n.to_string(), ids([1]))).collect();
    let many = kithdb::arrow::array::RecordBatch::try_from_iter(many).expect("a batch");
    let error = db.import("a", source(vec![many]), &ImportOptions::default(), &mut |_| ()).expect_err("many");
    assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some("columns")));
    let mut deep = ids([1]);
    for _ in 0..100 {
        let field = Arc::new(Field::new_list_field(deep.data_type().clone(), true));
        let ends = OffsetBuffer::from_lengths([1]);
        deep = Arc::new(ListArray::try_new(field, ends, deep, None).expect("a list"));
    }
    let deep = batch(vec![("id", ids([1])), ("deep", deep)]);
    let error = db.import("a", source(vec![deep]), &ImportOptions::default(), &mut |_| ()).expect_err("deep");
    assert_eq!(error.field().map(|field| field.starts_with("deep")), Some(true), "{error}");
    assert!(error.message().contains("nested"), "{error}");
}

/// Imports bytes; whether anything was wrong.
fn read(db: &Database, bytes: &[u8]) -> kithdb::Result<usize> {
    let (options, limits) = (ImportOptions::default(), Limits::default());
    let bytes = std::io::Cursor::new(bytes.to_vec());
    let source = files::read(bytes, None, files::Format::Arrow, &options, &limits)?;
    db.import("a", source.batches, &options, &mut |_| ()).map(|imported| imported.rows as usize)
}

#[test]
fn a_stream_whose_lengths_lie_is_refused() {
    let rows = batch(vec![("id", ids([1, 2])), ("vector", vectors(&[Some([1.0, 0.0]), Some([0.0, 1.0])]))]);
    let whole = stream(&[rows]);
    let db = site();
    assert_eq!(read(&db, &whole).expect("a stream"), 2);
    for at in 0..whole.len() {
        for value in [0x00, 0x7f, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            if let Err(error) = read(&db, &bytes) {
                let expected = [ErrorKind::InvalidArgument, ErrorKind::LimitExceeded];
                assert!(expected.contains(&error.kind()), "byte {at} as {value}: {error}");
            }
        }
    }
}

#[test]
fn a_schema_may_have_no_end() {
    // A hundred thousand columns without a row: refused before anything is made of them.
    let field = |n: usize| Arc::new(Field::new(n.to_string(), DataType::Null, true));
    let columns: SchemaRef = Arc::new(Columns::new((0..100_000).map(field).collect::<Vec<_>>()));
    let mut bytes = Vec::new();
    let sink = files::write(&mut bytes, files::Format::Arrow, &columns).expect("a sink");
    sink.finish().expect("the end");
    let db = site();
    let error = read(&db, &bytes).expect_err("many columns");
    assert!(matches!(error.kind(), ErrorKind::LimitExceeded | ErrorKind::InvalidArgument), "{error}");
    let wide = UInt32Array::from(vec![u32::MAX]);
    let rows = batch(vec![("id", Arc::new(wide))]);
    assert_eq!(
        db.import("a", source(vec![rows]), &ImportOptions::default(), &mut |_| ()).expect("an id").rows,
        1
    );
}

/// 48 MiB of numbers, most of them zeros, in far less: nothing is made for them before the limit is asked.
#[test]
fn what_grows_beyond_its_limit_is_refused_before_it_grows() {
    let count = 4 << 20;
    let zeros: ArrayRef = Arc::new(UInt32Array::from(vec![0; count]));
    let rows = batch(vec![("id", ids(0..count as u64)), ("n", zeros)]);
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD));
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new_with_options(&mut bytes, &rows.schema(), options.expect("zstd"))
        .expect("a writer");
    writer.write(&rows).expect("written");
    writer.finish().expect("the end");
    drop(writer);
    let (options, limits) =
        (ImportOptions::default(), Limits { record_batch_bytes_max: 8 << 20, ..Limits::default() });
    let source = files::read(std::io::Cursor::new(bytes), None, files::Format::Arrow, &options, &limits);
    let db = site();
    let read = source.and_then(|source| db.import("a", source.batches, &options, &mut |_| ()));
    let error = read.expect_err("a batch that grows");
    assert!(
        error.kind() == ErrorKind::LimitExceeded && error.message().contains("record_batch_bytes_max"),
        "{error}"
    );
    assert_eq!(db.collection("a").expect("a collection").count(&Default::default()).expect("a count"), 1);
}

/// Two MiB that each of 40 rows has are 80 MiB of points, and were one block; a row that has them twelve times over is
/// refused by its number.
#[test]
fn what_rows_share_is_counted_for_each_of_them() {
    let dictionary = |keys: Vec<i8>| -> ArrayRef {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(2 << 20)]));
        Arc::new(DictionaryArray::<Int8Type>::try_new(keys.into(), text).expect("keys of it"))
    };
    let db = site();
    let rows = batch(vec![("id", ids(2..42)), ("text", dictionary(vec![0; 40]))]);
    let mut blocks = Vec::new();
    let mut seen = |progress: kithdb::bulk::Progress| blocks.push(progress.rows);
    let imported = db.import("a", source(vec![rows]), &ImportOptions::default(), &mut seen);
    assert_eq!(imported.expect("imported").rows, 40);
    assert!(blocks.len() >= 4 && blocks.is_sorted(), "{blocks:?}");
    let texts = dictionary(vec![0; 12]);
    let field = Arc::new(Field::new_list_field(texts.data_type().clone(), true));
    let lists: ArrayRef = Arc::new(ListArray::new(field, OffsetBuffer::from_lengths([0, 12]), texts, None));
    let error = super::import(&db, "a", vec![batch(vec![("id", ids([2, 3])), ("texts", lists)])])
        .expect_err("24 MiB");
    assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some("rows[1].payload")), "{error}");
}
