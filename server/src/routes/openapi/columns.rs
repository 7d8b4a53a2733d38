//! Points in columns.

use super::super::bulk;
use super::operation::Operation;
use crate::wire::bulk::ImportedOut;
use crate::wire::schema::{flag, named, text, words};

const TAG: &str = "Columns";

pub(super) fn operations() -> Vec<Operation> {
    let at = |method, rest: &str, id, summary| {
        Operation::new(method, &format!("/api/v1/collections/{{collection}}{rest}"), id, TAG, summary)
    };
    let all = "One column has ids, some have vectors, the others are the payload. A collection is made if there is none.";
    vec![
        at("POST", "/import", "import", "Import an Arrow stream, a Parquet file, or lines of JSON")
            .saying(all)
            .takes("id", text(), "The column of ids; empty: numbers are given")
            .takes("names", flag(), "true: they are names, any texts, which stay in the payload")
            .takes("vectors", text(), "Columns with vectors, `column` or `column:vector`, between commas")
            .takes("payload", text(), "The column of JSON objects")
            .takes("metric", text(), "How vectors are compared, if the collection is made")
            .takes(
                "datatype",
                words(&["float32", "float16", "uint8"]),
                "What they are stored as, if it is made",
            )
            .takes("durability", words(&["fsync", "wal", "none"]), "What each commit survives")
            .file(&bulk::KINDS)
            .answers_with(named::<ImportedOut>()),
        at("GET", "/import", "imports", "How far imports are").reads().answers(bulk::imports),
        at("GET", "/export", "export", "Export a collection: one state of it, however long it takes")
            .takes(
                "format",
                words(&["arrow", "parquet", "jsonl"]),
                "What it is sent as; arrow unless another is named",
            )
            .takes("filter", text(), "Only these points: a filter as text")
            .answers_bare(&bulk::KINDS, &super::operation::binary()),
    ]
}
