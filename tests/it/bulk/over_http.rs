//! Columns over HTTP: in and out as streams and files, errors in the envelope, bodies that break off.

use std::io::Cursor;

use kithdb::arrow::array::RecordBatch;
use kithdb::bulk::ImportOptions;
use kithdb::bulk::files::{self, Format};
use kithdb::{Database, Limits, Point};
use serde_json::json;

use super::draft::schema;
use super::{all, batch, ids, stream, vectors};
use crate::http::Running;

const ARROW: &str = "application/vnd.apache.arrow.stream";
const PARQUET: &str = "application/vnd.apache.parquet";

fn rows(count: u64) -> RecordBatch {
    let all = vec![Some([1.0, 2.0]); count as usize];
    batch(vec![("id", ids(0..count)), ("vector", vectors(&all))])
}

fn parquet(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut sink = files::write(&mut bytes, Format::Parquet, &batch.schema()).expect("a sink");
    sink.write(batch).expect("written");
    sink.finish().expect("the end");
    bytes
}

#[test]
fn streams_and_files_go_in_and_come_out_again() {
    let db = Database::in_memory().expect("a database");
    let a = db.create_collection("a", schema()).expect("a collection");
    let point =
        |id: u64| Point::new(id).vector([id as f32, 1.0, 0.5]).with("n", id).with("tags", json!(["x", null]));
    a.upsert((0..50).map(point).chain([Point::new(kithdb::PointId::from_name("x"))]).collect())
        .expect("written");
    let server = Running::over(db.clone());
    for (format, kind) in [("arrow", ARROW), ("parquet", PARQUET), ("arrow", ""), ("parquet", "")] {
        let body = server.fetch(&format!("/api/v1/collections/a/export?format={format}"));
        let answer = server.send_as("POST", "/api/v1/collections/copy/import", kind, &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        let copy = db.collection("copy").expect("it was made");
        assert_eq!(answer.body["result"]["rows"], 51);
        assert_eq!(answer.body["result"]["seqno"], copy.status().seqno.0);
        assert_eq!((all(&copy), copy.schema()), (all(&a), schema()));
        db.drop_collection("copy").expect("dropped");
    }
    let some = server.fetch("/api/v1/collections/a/export?filter=n%20%3C%203");
    let limits = Limits::default();
    let source = files::read(Cursor::new(some), None, Format::Arrow, &ImportOptions::default(), &limits);
    let counts = source.expect("a stream").batches.map(|batch| batch.expect("read").num_rows());
    assert_eq!(counts.sum::<usize>(), 3);
    let running = server.ask("GET", "/api/v1/collections/a/import", None);
    assert_eq!(running.body["result"], json!({"running": []}));
}

#[test]
fn options_stand_behind_the_path() {
    let db = Database::in_memory().expect("a database");
    let server = Running::over(db.clone());
    let path = "/api/v1/collections/a/import?id=&vectors=vector:text&metric=Euclid&datatype=float16";
    let answer = server.send_as("POST", path, ARROW, &stream(&[rows(3)]));
    assert_eq!(answer.status, 200, "{answer:?}");
    let a = db.collection("a").expect("it was made");
    let spec = kithdb::VectorSpec::new(2, kithdb::Metric::Euclid).stored_as(kithdb::Datatype::Float16);
    assert_eq!(a.schema(), kithdb::Schema::new().named_vector("text", spec));
    assert_eq!(all(&a)[2], Point::new(2).named_vector("text", [1.0, 2.0]).with("id", 2));
    for (query, field) in
        [("?metric=near", "metric"), ("?vectors=x", "x"), ("?format=1", "query"), ("?id=x", "x")]
    {
        let answer = server.send_as(
            "POST",
            &format!("/api/v1/collections/b/import{query}"),
            ARROW,
            &stream(&[rows(1)]),
        );
        assert_eq!((answer.status, answer.field.as_deref()), (400, Some(field)), "{answer:?}");
    }
    for (query, field) in [("?format=csv", "format"), ("?filter=n%20%3D", "filter"), ("?x=1", "query")] {
        let answer = server.ask("GET", &format!("/api/v1/collections/a/export{query}"), None);
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.field.is_some_and(|named| named.starts_with(field)));
    }
    assert_eq!(server.ask("GET", "/api/v1/collections/b/export", None).status, 404);
    assert!(db.collection("b").is_err());
}

#[test]
fn bodies_that_are_damaged_are_told_as_that() {
    let db = Database::in_memory().expect("a database");
    let server = Running::over(db.clone());
    let (arrow, file) = (stream(&[rows(9_000), rows(10)]), parquet(&rows(100)));
    let mut garbage = file.clone();
    let middle = garbage.len() / 2;
    garbage[4..middle].fill(0xaa);
    let bodies: [(&str, &[u8]); 8] = [
        (ARROW, b""),
        (ARROW, b"{}"),
        (ARROW, &arrow[..arrow.len() - 100]),
        (ARROW, &file),
        (PARQUET, b""),
        (PARQUET, &file[..file.len() - 1]),
        (PARQUET, &garbage),
        ("application/json", b"[]"),
    ];
    for (kind, body) in bodies {
        let answer = server.send_as("POST", "/api/v1/collections/a/import", kind, body);
        let told = (answer.status, answer.field.as_deref());
        assert_eq!(told, (400, Some("body")), "{kind} {}: {answer:?}", body.len());
    }
    let said = server.send_as("POST", "/api/v1/collections/a/import", ARROW, &arrow[..arrow.len() - 100]);
    let text = said.body["status"]["error"].as_str().unwrap_or_default();
    assert!(text.contains("8192 rows before it were imported"), "{text}");
    assert_eq!(db.collection("a").expect("a part of it").status().points, 8_192);
    let whole = server.send_as("POST", "/api/v1/collections/a/import", ARROW, &arrow);
    assert_eq!(whole.body["result"]["rows"], 9_010);
}

#[test]
fn a_client_that_goes_away_leaves_whole_blocks() {
    let db = Database::in_memory().expect("a database");
    let server = Running::over(db.clone());
    let body = stream(&[rows(20_000)]);
    server.abandon("POST", "/api/v1/collections/a/import", ARROW, body.len() * 2, &body[..body.len() - 8]);
    // It ends by itself: another may give ids, and the server answers.
    let again = server.send_as("POST", "/api/v1/collections/b/import", ARROW, &body);
    assert_eq!(again.status, 200, "{again:?}");
    let points = db.collection("a").map_or(0, |a| a.status().points);
    assert!([0, 8_192, 16_384].contains(&points), "{points}");
}
