//! Files of other programs: what each has in it becomes points; a file that is cut or something else is refused.

use std::path::{Path, PathBuf};

use kithdb::bulk::files::{self, Format};
use kithdb::bulk::{IdColumn, ImportOptions};
use kithdb::{
    Database, Datatype, ErrorKind, Limits, Metric, Point, Result, Schema, SparseVector, VectorSpec,
};
use serde_json::json;

use super::all;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("files").join(name)
}

/// The schema and the points that a file makes.
fn made(path: &Path, options: &ImportOptions) -> Result<(Schema, Vec<Point>)> {
    let db = Database::in_memory().expect("a database");
    let source = files::open(path, Format::of_path(path)?, options, &Limits::default())?;
    let rows = source.rows;
    let imported = db.import("a", source.batches, options, &mut |_| ())?;
    assert!(rows.is_none_or(|rows| rows == imported.rows), "as many as the file says");
    let a = db.collection("a").expect("it was made");
    Ok((a.schema(), all(&a)))
}

/// A file of these bytes.
fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("written");
    (folder, path)
}

fn npy(descr: &str, rows: usize, elements: &[u8]) -> Vec<u8> {
    let dict = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({rows}, 2), }}");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((dict.len() as u16).to_le_bytes());
    bytes.extend(dict.bytes());
    bytes.extend(elements);
    bytes
}

#[test]
fn hdf5_is_read_as_benchmarks_lay_it_out() {
    let rows = [[3.0, 4.0], [0.5, -1.0], [2.0, 0.25]];
    let options = ImportOptions::default();
    let (schema, points) = made(&fixture("contiguous.hdf5"), &options).expect("a file");
    assert_eq!(schema, Schema::new().vector(2, Metric::Euclid));
    let expected: Vec<Point> = (0..).zip(rows).map(|(id, row)| Point::new(id).vector(row)).collect();
    assert_eq!(points, expected);
    let (schema, points) = made(&fixture("chunked.hdf5"), &options).expect("doubles, compressed");
    assert_eq!(schema, Schema::new().vector(2, Metric::Cosine));
    assert_eq!(points[0], Point::new(0).vector([0.6, 0.8]));
    let bytes = std::fs::read(fixture("contiguous.hdf5")).expect("read");
    for cut in [0, 8, 100, bytes.len() / 2] {
        let (_folder, path) = file("x.hdf5", &bytes[..cut]);
        assert_eq!(made(&path, &options).expect_err("cut").kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn arrays_and_rows_of_numbers_become_vectors() {
    let floats = [3.0_f32, 4.0, 0.5, -1.0];
    let wide: Vec<u8> = floats.iter().flat_map(|element| f64::from(*element).to_le_bytes()).collect();
    let plain: Vec<u8> = floats.iter().flat_map(|element| element.to_le_bytes()).collect();
    let euclid = ImportOptions { metric: Some(Metric::Euclid), ..ImportOptions::default() };
    for (descr, bytes) in [("<f8", &wide), ("<f4", &plain)] {
        let (_folder, path) = file("x.npy", &npy(descr, 2, bytes));
        let (schema, points) = made(&path, &euclid).expect("an array");
        assert_eq!(schema, Schema::new().vector(2, Metric::Euclid), "{descr}");
        assert_eq!(points[1], Point::new(1).vector([0.5, -1.0]), "{descr}");
    }
    let (_folder, path) = file("x.npy", &npy("|u1", 2, &[1, 2, 3, 255]));
    let (schema, points) = made(&path, &euclid).expect("bytes");
    let bytes = VectorSpec::new(2, Metric::Euclid).stored_as(Datatype::Uint8);
    assert_eq!(schema, Schema::new().named_vector("", bytes.clone()));
    assert_eq!(points[1], Point::new(1).vector([3.0, 255.0]));
    let (_folder, path) = file("x.npy", &npy("<f4", 3, &plain));
    assert_eq!(made(&path, &euclid).expect_err("cut").kind(), ErrorKind::InvalidArgument);
    let row = |row: &[u8]| [&2_u32.to_le_bytes(), row].concat();
    let (_folder, path) = file("x.fvecs", &[row(&plain[..8]), row(&plain[8..])].concat());
    assert_eq!(made(&path, &euclid).expect("rows").1[0], Point::new(0).vector([3.0, 4.0]));
    let (_folder, path) = file("x.bvecs", &[row(&[1, 2]), row(&[3, 255])].concat());
    let (schema, points) = made(&path, &ImportOptions::default()).expect("rows");
    assert_eq!(
        (schema, &points[1]),
        (Schema::new().named_vector("", bytes), &Point::new(1).vector([3.0, 255.0]))
    );
}

#[test]
fn ids_may_be_names_which_stay_in_the_payload() {
    let options = ImportOptions { is_named: true, ..ImportOptions::default() };
    let (_folder, path) = file("x.jsonl", br#"{"id": "chapter 1", "vector": [3, 4], "n": 1}"#);
    let (_, points) = made(&path, &options).expect("a row");
    let point = Point::new(kithdb::PointId::from_name("chapter 1")).vector([0.6, 0.8]);
    assert_eq!(points, [point.with("n", 1).with("id", "chapter 1")]);
    let (_folder, path) = file("x.jsonl", br#"{"vector": [3, 4], "n": 1}"#);
    let error = made(&path, &options).expect_err("no names");
    assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some("id")), "{error}");
}

#[test]
fn lines_are_points_or_rows() {
    let lines = r#"
        {"id": 1, "vector": [3, 4], "payload": {"a": {"b": [1, null]}}, "c": 2.5}

        {"id": "936da01f-9abd-4d9d-80c7-02af85c822a8", "vector": {"words": {"indices": [7], "values": [0.5]}}}
        {"id": 2, "vector": {"": [0, 1]}, "payload": "text"}"#;
    let (_folder, path) = file("x.jsonl", lines.as_bytes());
    let (_, points) = made(&path, &ImportOptions::default()).expect("lines");
    let uuid = "936da01f-9abd-4d9d-80c7-02af85c822a8".parse::<kithdb::PointId>().expect("a UUID");
    assert_eq!(points[0], Point::new(1).vector([0.6, 0.8]).with("a", json!({"b": [1, null]})).with("c", 2.5));
    assert_eq!(points[1], Point::new(2).vector([0.0, 1.0]).with("payload", "text"));
    assert_eq!(points[2], Point::new(uuid).named_vector("words", SparseVector::of([(7, 0.5)])));
    let options = ImportOptions {
        id: IdColumn::Named("key".to_owned()),
        vectors: vec![("emb".to_owned(), None)],
        ..ImportOptions::default()
    };
    let (_folder, path) = file("x.jsonl", br#"{"key": 7, "emb": [3, 4], "text": "x"}"#);
    let (schema, points) = made(&path, &options).expect("a row");
    assert_eq!(schema, Schema::new().vector(2, Metric::Cosine));
    assert_eq!(points, [Point::new(7).vector([0.6, 0.8]).with("text", "x")]);
    for (bad, said) in [
        ("{", "line 1"),
        ("[1]", "line 1"),
        ("{\"id\": 1}\n{\"id\": {}}", "rows[1]"),
        ("{\"id\": 1, \"vector\": [1, 2]}\n{\"id\": 2, \"vector\": [1, \"x\"]}", "rows[1]"),
        ("{\"id\": 1, \"vector\": [1, 2]}\n{\"id\": 2, \"vector\": [[1, 2]]}", "file"),
    ] {
        let (_folder, path) = file("x.jsonl", bad.as_bytes());
        let error = made(&path, &ImportOptions::default()).expect_err(bad);
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some(said)), "{bad}: {error}");
    }
    let (_folder, path) = file("x.jsonl", b"{\"id\": 1}\n{\"id\": NaN}\n");
    let error = made(&path, &ImportOptions::default()).expect_err("no JSON");
    assert_eq!(error.to_string(), "line 2: is no JSON: expected value, at column 8");
}

/// Two megabytes of short lists became two hundred, and a line may be far longer.
#[test]
fn a_line_that_becomes_far_more_than_it_is_is_refused() {
    let line = |lists: usize| format!(r#"{{"id": 1, "vector": [3, 4], "a": [{}1]}}"#, "[1],".repeat(lists));
    let (_folder, path) = file("x.jsonl", line(500_000).as_bytes());
    let error = made(&path, &ImportOptions::default()).expect_err("too much");
    assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some("line 1")), "{error}");
    assert!(error.message().contains("body_bytes_max"), "{error}");
    let (_folder, path) = file("x.jsonl", line(50_000).as_bytes());
    assert_eq!(made(&path, &ImportOptions::default()).expect("a row").1.len(), 1);
}

/// A key of vectors that was misspelled made points without vectors, and `vector` a part of their payloads.
#[test]
fn lines_without_the_key_of_their_vectors_are_refused() {
    let options = ImportOptions { vectors: vec![("embedding".to_owned(), None)], ..ImportOptions::default() };
    let (_folder, path) = file("x.jsonl", br#"{"id": 1, "vector": [3, 4]}"#);
    let error = made(&path, &options).expect_err("no such key");
    assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some("file")), "{error}");
    assert!(error.to_string().contains("`embedding`"), "{error}");
    let (_folder, path) = file("x.jsonl", b"{\"id\": 1, \"embedding\": [3, 4]}\n{\"id\": 2}");
    assert_eq!(made(&path, &options).expect("one with a vector").1.len(), 2);
    let (_folder, path) = file("x.jsonl", b"");
    assert!(made(&path, &options).expect("nothing").1.is_empty());
}
