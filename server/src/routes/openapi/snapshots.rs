//! Snapshots of a collection, and of all.

use serde_json::json;

use super::super::snapshots;
use super::operation::{Operation, binary};
use crate::wire::schema::{flag, text};
use crate::wire::snapshot::Recover;

const TAG: &str = "Snapshots";

pub(super) fn operations() -> Vec<Operation> {
    let mut all = of_collections();
    all.extend(of_shards());
    all
}

/// Of the one shard of a collection, for clients that ask each shard by itself: the same again.
fn of_shards() -> Vec<Operation> {
    let at = |method, rest: &str, id, summary| {
        let path = format!("/collections/{{collection}}/shards/{{shard}}/snapshots{rest}");
        Operation::new(method, &path, id, TAG, summary).elsewhere()
    };
    vec![
        at("POST", "", "create_shard_snapshot", "Make a snapshot of a collection, by its one shard")
            .reads()
            .may_wait()
            .answers(snapshots::create),
        at("GET", "", "shard_snapshots", "The snapshots of a collection, by its one shard")
            .reads()
            .answers(snapshots::list),
        at("GET", "/{snapshot}", "download_shard_snapshot", "A snapshot itself, by the one shard")
            .answers_bare(&["application/octet-stream"], &binary()),
        at(
            "PUT",
            "/recover",
            "recover_shard_snapshot",
            "Put a snapshot in the place of a collection that is there",
        )
        .reads()
        .may_wait()
        .body::<Recover>(
            json!({"location": "http://127.0.0.1:6333/collections/books/snapshots/books.snapshot"}),
        )
        .answers(snapshots::recover),
        at("POST", "/upload", "upload_shard_snapshot", "Put a snapshot that is sent there")
            .may_wait()
            .takes("checksum", text(), "SHA-256 of the file, in hexadecimal")
            .file(&["multipart/form-data", "application/octet-stream"])
            .answers_with(flag()),
        at("DELETE", "/{snapshot}", "delete_shard_snapshot", "Delete a snapshot, by the one shard")
            .reads()
            .may_wait()
            .answers(snapshots::delete),
    ]
}

fn of_collections() -> Vec<Operation> {
    let at = |method, rest: &str, id, summary| {
        Operation::new(method, &format!("/collections/{{collection}}/snapshots{rest}"), id, TAG, summary)
    };
    let of_all = |method, rest: &str, id, summary| {
        Operation::new(method, &format!("/snapshots{rest}"), id, TAG, summary)
    };
    vec![
        at("POST", "", "create_snapshot", "Make a snapshot of a collection")
            .reads()
            .may_wait()
            .answers(snapshots::create),
        at("GET", "", "snapshots", "The snapshots of a collection").reads().answers(snapshots::list),
        at("GET", "/{snapshot}", "download_snapshot", "A snapshot itself")
            .answers_bare(&["application/octet-stream"], &binary()),
        at(
            "PUT",
            "/recover",
            "recover_snapshot",
            "Make a collection of a snapshot, in the place of the one of its name",
        )
        .reads()
        .may_wait()
        .body::<Recover>(
            json!({"location": "http://127.0.0.1:6333/collections/books/snapshots/books.snapshot"}),
        )
        .answers(snapshots::recover),
        at("POST", "/upload", "upload_snapshot", "Make a collection of a snapshot that is sent")
            .may_wait()
            .takes("checksum", text(), "SHA-256 of the file, in hexadecimal")
            .file(&["multipart/form-data", "application/octet-stream"])
            .answers_with(flag()),
        of_all("POST", "", "create_full_snapshot", "Make a snapshot of everything")
            .reads()
            .may_wait()
            .answers(snapshots::create),
        of_all("GET", "", "full_snapshots", "The snapshots of everything").reads().answers(snapshots::list),
        of_all("GET", "/{snapshot}", "download_full_snapshot", "A snapshot of everything itself")
            .answers_bare(&["application/octet-stream"], &binary()),
        at("DELETE", "/{snapshot}", "delete_snapshot", "Delete a snapshot of a collection")
            .reads()
            .may_wait()
            .answers(snapshots::delete),
        of_all("DELETE", "/{snapshot}", "delete_full_snapshot", "Delete a snapshot of everything")
            .reads()
            .may_wait()
            .answers(snapshots::delete),
    ]
}
