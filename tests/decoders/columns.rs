//! Points in columns: the first byte chooses the kind of file, the rest is the file, and is imported.

use std::cell::Cell;
use std::io::Cursor;
use std::sync::Arc;

use kithdb::arrow::array::{ArrayRef, FixedSizeListArray, RecordBatch, StringArray, UInt64Array};
use kithdb::arrow::datatypes::Float32Type;
use kithdb::bulk::files::{self, Format};
use kithdb::bulk::{ImportOptions, Imported};
use kithdb::{Database, Limits, Metric, Result, Schema};

use crate::{seed, taken};

const FORMATS: [Format; 5] = [Format::Arrow, Format::JsonLines, Format::Npy, Format::Fvecs, Format::Bvecs];

/// What a batch and a row may take: small, so that what claims more is refused soon.
fn limits() -> Limits {
    Limits { record_batch_bytes_max: 1 << 20, ..Limits::default() }
}

thread_local! {
    /// A database in which nothing was imported.
    static EMPTY: Cell<Option<Database>> = const { Cell::new(None) };
}

/// Imports a file.
pub fn run(bytes: &[u8]) -> bool {
    let Some((choice, body)) = bytes.split_first() else { return false };
    let format = FORMATS[usize::from(*choice) % FORMATS.len()];
    let db = EMPTY.take().unwrap_or_else(database);
    let is_taken = taken(&imported(&db, format, body));
    if !is_taken {
        EMPTY.set(Some(db));
    }
    is_taken
}

fn database() -> Database {
    let db = Database::in_memory().expect("a database");
    db.create_collection("a", Schema::new().vector(2, Metric::Euclid)).expect("a collection");
    db
}

fn imported(db: &Database, format: Format, body: &[u8]) -> Result<Imported> {
    let (options, limits) = (ImportOptions::default(), limits());
    let bytes = Some(body.len() as u64);
    let source = files::read(Cursor::new(body.to_vec()), bytes, format, &options, &limits)?;
    db.import("a", source.batches, &options, &mut |_| ())
}

/// A file of each kind, with two points.
pub fn seeds() -> Vec<Vec<u8>> {
    let lines = "{\"id\": 1, \"vector\": [1, 0.5], \"payload\": {\"a\": null}}\n{\"id\": 2, \"vector\": [0, 1], \"b\": [1]}\n";
    let mut seeds = vec![seed(0, &stream()), seed(1, lines.as_bytes())];
    let elements = [1.0_f32, 0.0, 0.0, 1.0].iter().flat_map(|element| element.to_le_bytes());
    let head = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }";
    // The head ends with a line feed, at a multiple of 64 bytes.
    let head = format!("{head:<117}\n");
    let mut npy = b"\x93NUMPY\x01\0".to_vec();
    npy.extend((head.len() as u16).to_le_bytes());
    npy.extend(head.into_bytes());
    npy.extend(elements.clone());
    seeds.push(seed(2, &npy));
    let elements: Vec<u8> = elements.collect();
    let dim = 2_u32.to_le_bytes();
    seeds.push(seed(3, &[&dim[..], &elements[..8], &dim, &elements[8..]].concat()));
    seeds.push(seed(4, &[&dim[..], &[1, 0], &dim, &[0, 1]].concat()));
    seeds
}

/// An Arrow stream.
fn stream() -> Vec<u8> {
    let vectors = [Some([Some(1.0), Some(0.0)]), Some([Some(0.0), Some(1.0)])];
    let vectors = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, 2);
    let columns = [
        ("id", Arc::new(UInt64Array::from(vec![1, 2])) as ArrayRef),
        ("vector", Arc::new(vectors) as ArrayRef),
        ("text", Arc::new(StringArray::from(vec![Some("ü"), None])) as ArrayRef),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let mut bytes = Vec::new();
    let mut sink = files::write(&mut bytes, Format::Arrow, &batch.schema()).expect("a sink");
    sink.write(&batch).expect("written");
    sink.finish().expect("the end");
    bytes
}
