//! Points in columns: what is exported is imported as it was, through the crate, in every format and over HTTP; what is
//! wrong with columns is told by column and row, and what was committed before stays.

mod draft;
mod files;
mod hostile;
mod over_http;
mod round_trip;

use std::sync::Arc;

use kithdb::arrow::array::{
    Array, ArrayRef, FixedSizeListArray, RecordBatch, RecordBatchIterator, RecordBatchReader, UInt64Array,
};
use kithdb::arrow::datatypes::Float32Type;
use kithdb::arrow::ipc::writer::StreamWriter;
use kithdb::bulk::{ExportOptions, IdColumn, ImportOptions};
use kithdb::{Collection, Database, ErrorKind, Filter, Metric, Point, Result, Schema, Select};

/// A batch of columns.
fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

fn ids(ids: impl IntoIterator<Item = u64>) -> ArrayRef {
    Arc::new(UInt64Array::from_iter_values(ids))
}

/// Vectors of two elements.
fn vectors(rows: &[Option<[f32; 2]>]) -> ArrayRef {
    let rows = rows.iter().map(|row| row.map(|row| row.map(Some)));
    Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(rows, 2))
}

/// The batches as a source.
fn source(batches: Vec<RecordBatch>) -> impl RecordBatchReader + Send {
    let schema = batches[0].schema();
    RecordBatchIterator::new(batches.into_iter().map(Ok), schema)
}

/// The batches as a stream.
fn stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).expect("a writer");
    batches.iter().for_each(|batch| writer.write(batch).expect("written"));
    writer.into_inner().expect("the end")
}

fn all(collection: &Collection) -> Vec<Point> {
    let page = collection.scroll(&Filter::default(), None, 100_000, &Select::all()).expect("a page");
    assert_eq!(page.next, None);
    page.points
}

fn import(db: &Database, name: &str, batches: Vec<RecordBatch>) -> Result<kithdb::bulk::Imported> {
    db.import(name, source(batches), &ImportOptions::default(), &mut |_| ())
}

#[test]
fn rows_become_points_of_a_collection_that_is_made() {
    let db = Database::in_memory().expect("a database");
    let batch =
        batch(vec![("id", ids([5, 6])), ("emb", vectors(&[Some([3.0, 4.0]), None])), ("n", ids([7, 8]))]);
    let imported = import(&db, "a", vec![batch.clone(), batch.slice(0, 0)]).expect("imported");
    let a = db.collection("a").expect("it was made");
    assert_eq!((imported.rows, imported.seqno), (2, a.status().seqno));
    assert_eq!(a.schema(), Schema::new().vector(2, Metric::Cosine));
    let points = all(&a);
    assert_eq!(points[0], Point::new(5).vector([0.6, 0.8]).with("n", 7));
    assert_eq!(points[1], Point::new(6).with("n", 8));
    let hits = a.query().nearest([1.0, 1.0]).run().expect("hits");
    assert_eq!(hits[0].id, 5.into());
}

#[test]
fn rows_without_ids_get_numbers_behind_the_largest() {
    let db = Database::in_memory().expect("a database");
    let rows = || vec![batch(vec![("emb", vectors(&[Some([1.0, 0.0]), Some([0.0, 1.0])]))])];
    for _ in 0..2 {
        import(&db, "a", rows()).expect("imported");
    }
    let a = db.collection("a").expect("it was made");
    assert_eq!(all(&a).iter().map(|point| point.id).collect::<Vec<_>>(), [0, 1, 2, 3].map(Into::into));
    a.upsert(vec![Point::new(u64::MAX)]).expect("the last number");
    let error = import(&db, "a", rows()).expect_err("none is left");
    assert_eq!(error.field(), Some("id"));
    // What is said to be no id is payload.
    let with_ids = batch(vec![("id", ids([9])), ("emb", vectors(&[Some([1.0, 0.0])]))]);
    let given = ImportOptions { id: IdColumn::Given, ..ImportOptions::default() };
    let schema = db.import("b", source(vec![with_ids]), &given, &mut |_| ()).map(|_| ());
    schema.expect("imported");
    let points = all(&db.collection("b").expect("it was made"));
    assert_eq!(points, [Point::new(0).vector([1.0, 0.0]).with("id", 9)]);
}

#[test]
fn only_one_import_gives_ids_at_a_time() {
    let db = Database::in_memory().expect("a database");
    let rows = || vec![batch(vec![("emb", vectors(&[Some([1.0, 0.0])]))])];
    import(&db, "a", rows()).expect("imported");
    let a = db.collection("a").expect("it was made");
    let mut told = None;
    a.import(source(rows()), &ImportOptions::default(), &mut |_| {
        told = a.import(source(rows()), &ImportOptions::default(), &mut |_| ()).err();
        assert_eq!(a.imports().len(), 1);
    })
    .expect("imported");
    assert_eq!(told.expect("a second one").kind(), ErrorKind::Busy);
    assert_eq!((a.imports().len(), a.status().points), (0, 2));
}

#[test]
fn progress_is_told_commit_by_commit_and_an_error_says_what_stays() {
    let db = Database::in_memory().expect("a database");
    let rows = 20_000;
    let mut batches: Vec<RecordBatch> = (0..rows)
        .step_by(1_000)
        .map(|first| {
            let all = vec![Some([1.0, 0.0]); 1_000];
            batch(vec![("id", ids(first..first + 1_000)), ("emb", vectors(&all))])
        })
        .collect();
    let mut told = Vec::new();
    let options = ImportOptions::default();
    db.import("a", source(batches.clone()), &options, &mut |progress| told.push(progress.rows))
        .expect("imported");
    assert_eq!(told, [8_192, 16_384, 20_000]);
    batches.push(batch(vec![("id", ids([1])), ("emb", vectors(&[Some([f32::NAN, 0.0])]))]));
    let error = import(&db, "b", batches).expect_err("a number that is none");
    assert_eq!(error.field(), Some("rows[20000].vector[0]"));
    assert!(error.message().ends_with("16384 rows before it were imported"), "{error}");
    assert_eq!(db.collection("b").expect("it stays").status().points, 16_384);
}

#[test]
fn a_collection_that_got_nothing_is_gone_again() {
    let db = Database::in_memory().expect("a database");
    let bad = batch(vec![("id", ids([1])), ("emb", vectors(&[Some([f32::NAN, 0.0])]))]);
    let error = import(&db, "a", vec![bad]).expect_err("a number that is none");
    assert_eq!(error.field(), Some("rows[0].vector[0]"));
    assert!(error.message().ends_with("nothing was imported"), "{error}");
    assert!(db.collection("a").is_err());
}

#[test]
fn an_export_shows_one_state_and_only_what_matches() {
    let db = Database::in_memory().expect("a database");
    let a = db.create_collection("a", Schema::new()).expect("a collection");
    a.upsert((0..10).map(|id| Point::new(id).with("n", id)).collect()).expect("written");
    let mut export = a.export(&ExportOptions::default()).expect("an export");
    a.delete_where(Filter::default()).expect("deleted");
    assert_eq!(export.rows(), 10);
    assert_eq!(export.next().expect("a batch").expect("read").num_rows(), 10);
    assert!(export.next().is_none());
    a.upsert((0..10).map(|id| Point::new(id).with("n", id)).collect()).expect("written");
    let filter = "n >= 7".parse().expect("a filter");
    let export = a.export(&ExportOptions { filter }).expect("an export");
    let rows: usize = export.map(|batch| batch.expect("read").column(0).len()).sum();
    assert_eq!(rows, 3);
}
