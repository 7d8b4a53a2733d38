//! What was exported is imported as it was, whatever it is and whatever form it took between.

use std::io::Cursor;

use kithdb::arrow::array::RecordBatchReader as _;
use kithdb::arrow::error::ArrowError;
use kithdb::bulk::files::{self, Format};
use kithdb::bulk::{Export, ExportOptions, ImportOptions};
use kithdb::{Database, ErrorKind, Limits, Point, Schema};
use proptest::prelude::*;

use super::all;
use super::draft::{points, schema};

/// The bytes of an export.
fn written(export: Export, format: Format) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut sink = files::write(&mut bytes, format, &export.schema()).expect("a sink");
    for batch in export {
        sink.write(&batch.expect("read")).expect("written");
    }
    sink.finish().expect("the end");
    bytes
}

/// Opens bytes as a file, or reads them as they come.
fn opened(bytes: Vec<u8>, format: Format) -> files::Source {
    let limits = Limits::default();
    let options = ImportOptions::default();
    if format != Format::Parquet {
        return files::read(Cursor::new(bytes), None, format, &options, &limits).expect("a stream");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.parquet");
    std::fs::write(&path, bytes).expect("written");
    files::open(&path, format, &options, &limits).expect("a file")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_point_comes_back_as_it_was(points in points()) {
        let db = Database::in_memory().expect("a database");
        let a = db.create_collection("a", schema()).expect("a collection");
        a.upsert(points).expect("written");
        let (before, options) = (all(&a), ImportOptions::default());
        let export = || a.export(&ExportOptions::default()).expect("an export");
        db.import("copy", export(), &options, &mut |_| ()).expect("imported");
        let copy = db.collection("copy").expect("it was made");
        prop_assert_eq!(copy.schema(), schema());
        prop_assert_eq!(&all(&copy), &before);
        for format in [Format::Arrow, Format::Parquet, Format::JsonLines] {
            let name = format!("{format:?}");
            let to = db.create_collection(&name, schema()).expect("a collection");
            let source = opened(written(export(), format), format);
            to.import(source.batches, &options, &mut |_| ()).expect("imported");
            prop_assert_eq!(&all(&to), &before, "{}", name);
        }
    }
}

#[test]
fn what_has_no_vectors_and_no_points_comes_back_too() {
    let db = Database::in_memory().expect("a database");
    for (name, schema) in [("empty", schema()), ("plain", Schema::new())] {
        let a = db.create_collection(name, schema.clone()).expect("a collection");
        for format in [Format::Arrow, Format::Parquet] {
            let export = a.export(&ExportOptions::default()).expect("an export");
            let copy = format!("{name}{format:?}");
            let source = opened(written(export, format), format);
            let imported = db.import(&copy, source.batches, &ImportOptions::default(), &mut |_| ());
            assert_eq!(imported.expect("imported").rows, 0);
            assert_eq!(db.collection(&copy).expect("it was made").schema(), schema);
        }
    }
}

/// Rows go with their collection, also under an export: it was told as damage.
#[test]
fn an_export_whose_collection_is_dropped_says_that_it_is_gone() {
    let db = Database::in_memory().expect("a database");
    for _ in 0..8 {
        let a = db.create_collection("a", Schema::new()).expect("a collection");
        a.upsert((0..4_000_u64).map(|id| Point::new(id).with("n", id)).collect()).expect("written");
        std::thread::scope(|scope| {
            let dropper = scope.spawn(|| {
                std::thread::sleep(std::time::Duration::from_millis(3));
                db.drop_collection("a").expect("dropped")
            });
            let error = loop {
                match a.export(&ExportOptions::default()).map(Iterator::collect::<Vec<_>>) {
                    Err(error) => break error,
                    Ok(batches) => match batches.into_iter().find_map(std::result::Result::err) {
                        Some(ArrowError::ExternalError(error)) => {
                            break *error.downcast().expect("an error of the database");
                        }
                        Some(error) => panic!("{error}"),
                        None => {}
                    },
                }
            };
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            assert!(dropper.join().expect("no panic"));
        });
    }
}
