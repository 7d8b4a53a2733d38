//! Points written and changed.

use serde_json::json;

use super::super::points;
use super::operation::Operation;
use crate::wire::point::{Delete, Upsert};
use crate::wire::update::{
    DeletePayload, DeleteVectors, SetPayload, TransactionIn, UpdateBatch, UpdateVectors,
};

const TAG: &str = "Points";

pub(super) fn operations() -> Vec<Operation> {
    let mut all = whole();
    all.extend(parts());
    all
}

fn at(method: &'static str, rest: &str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(method, &format!("/collections/{{collection}}/points{rest}"), id, TAG, summary).writes()
}

fn whole() -> Vec<Operation> {
    let points = json!([
        {"id": 1, "vector": [0.1, 0.2, 0.3, 0.4], "payload": {"title": "The Sea Wolf", "genre": "novel", "year": 1904}},
        {"id": 2, "vector": [0.4, 0.1, 0.0, 0.2], "payload": {"title": "Walden", "genre": "essay", "year": 1854}},
        {"id": 3, "vector": [0.0, 0.3, 0.3, 0.1], "payload": {"title": "Moby-Dick", "genre": "novel", "year": 1851}},
    ]);
    let operations = json!([
        {"upsert": {"points": [{"id": 9, "vector": [0.1, 0.1, 0.1, 0.1], "payload": {"title": "Dracula"}}]}},
        {"delete": {"points": [9]}},
    ]);
    let require = json!({"collection": "books", "require": {"points": [{"id": 9, "if_version": 0}]}});
    let upsert =
        json!({"collection": "books", "upsert": {"points": [{"id": 8, "vector": [0.2, 0.1, 0.1, 0.1]}]}});
    vec![
        at("PUT", "", "upsert", "Write points whole: as a list, or as columns")
            .saying("Under conditions too: update_mode, update_filter, and if_version of each point.")
            .body::<Upsert>(json!({"points": points}))
            .answers(points::upsert),
        at("POST", "/batch", "update_batch", "Several operations in order, in one commit")
            .body::<UpdateBatch>(json!({"operations": operations}))
            .answers(points::update_batch),
        Operation::new(
            "POST",
            "/api/v1/transaction",
            "transaction",
            TAG,
            "Operations on several collections, in one commit",
        )
        .writes()
        .body::<TransactionIn>(json!({"operations": [require, upsert]}))
        .answers(points::transaction)
        .also(404),
        at("POST", "/delete", "delete_points", "Delete points by their ids, or by a filter")
            .body::<Delete>(json!({"points": [8, 9]}))
            .answers(points::delete),
    ]
}

fn parts() -> Vec<Operation> {
    vec![
        at("POST", "/payload", "set_payload", "Merge into payloads")
            .body::<SetPayload>(json!({"payload": {"shelf": "B4"}, "points": [1, 2]}))
            .answers(points::set_payload),
        at("PUT", "/payload", "overwrite_payload", "Replace payloads")
            .body::<SetPayload>(
                json!({"payload": {"title": "Walden", "genre": "essay", "year": 1854}, "points": [2]}),
            )
            .answers(points::overwrite_payload),
        at("POST", "/payload/delete", "delete_payload", "Remove keys of payloads")
            .body::<DeletePayload>(json!({"keys": ["shelf"], "points": [1]}))
            .answers(points::delete_payload),
        at("POST", "/payload/clear", "clear_payload", "Remove everything of payloads")
            .body::<Delete>(json!({"filter": {"must": [{"key": "genre", "match": {"value": "atlas"}}]}}))
            .answers(points::clear_payload),
        at("PUT", "/vectors", "update_vectors", "Set vectors of points; their others stay")
            .body::<UpdateVectors>(json!({
                "points": [{"id": 3, "vector": {"words": {"indices": [5, 17], "values": [0.5, 1.5]}}}],
            }))
            .answers(points::update_vectors),
        at("POST", "/vectors/delete", "delete_vectors", "Delete vectors of points by name")
            .body::<DeleteVectors>(json!({"points": [3], "vector": ["words"]}))
            .answers(points::delete_vectors),
    ]
}
