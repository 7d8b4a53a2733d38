//! What is asked of points.

use serde_json::json;

use super::super::{cursors, points};
use super::operation::Operation;
use crate::wire::cursor::NextBody;
use crate::wire::facet::Facet;
use crate::wire::groups::QueryGroups;
use crate::wire::matrix::MatrixBody;
use crate::wire::point::{Count, Retrieve, Scroll};
use crate::wire::query::{QueryBatch, QueryBody};
use crate::wire::why::WhyNotBody;

const TAG: &str = "Search";

pub(super) fn operations() -> Vec<Operation> {
    let mut all = queries();
    all.extend(lookups());
    all.extend(cursors_and_reasons());
    all
}

fn at(method: &'static str, rest: &str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(method, &format!("/collections/{{collection}}{rest}"), id, TAG, summary).reads_points()
}

fn queries() -> Vec<Operation> {
    let nearest = json!({"query": [0.1, 0.2, 0.3, 0.4], "limit": 3, "with_payload": true});
    let hybrid = json!({
        "prefetch": [
            {"query": [0.1, 0.2, 0.3, 0.4], "limit": 20},
            {"query": {"keyword": "sea"}, "limit": 20},
        ],
        "query": {"fusion": "rrf"},
        "filter": {"must": [{"key": "year", "range": {"gte": 1800}}]},
        "limit": 3,
        "with_payload": true,
    });
    vec![
        at(
            "POST",
            "/points/query",
            "query",
            "Search: by vectors, examples, words, formulas, and all of them fused",
        )
        .saying("A filter may also be a text, such as \"year >= 1800 AND genre = 'novel'\".")
        .body::<QueryBody>(hybrid)
        .answers(points::query),
        at(
            "POST",
            "/points/query/batch",
            "query_batch",
            "Several searches, each answered as if it were alone",
        )
        .body::<QueryBatch>(json!({"searches": [nearest, {"query": 1, "limit": 2}]}))
        .answers(points::query_batch),
        at(
            "POST",
            "/points/query/groups",
            "query_groups",
            "The best groups of hits by the values of a field",
        )
        .body::<QueryGroups>(json!({
            "query": [0.1, 0.2, 0.3, 0.4], "group_by": "genre", "limit": 2, "group_size": 1,
        }))
        .answers(points::query_groups),
    ]
}

fn lookups() -> Vec<Operation> {
    vec![
        at("POST", "/points", "retrieve", "Points by their ids; those that do not exist are left out")
            .body::<Retrieve>(json!({"ids": [1, 2], "with_payload": true}))
            .answers(points::retrieve),
        at("GET", "/points/{id}", "point", "A point by its id").answers(points::get),
        at("POST", "/points/scroll", "scroll", "Points page by page, in the order of ids or of a field")
            .body::<Scroll>(
                json!({"limit": 2, "filter": {"must": [{"key": "genre", "match": {"value": "novel"}}]}}),
            )
            .answers(points::scroll),
        at("POST", "/points/count", "count", "How many points match, exactly")
            .body::<Count>(json!({"filter": {"must": [{"key": "year", "range": {"lt": 1900}}]}}))
            .answers(points::count),
        at("POST", "/facet", "facet", "The values of a field, and how many points hold each")
            .body::<Facet>(json!({"key": "genre"}))
            .answers(points::facet),
        at(
            "POST",
            "/points/search/matrix/pairs",
            "matrix_pairs",
            "Distances among points chosen at random, as pairs",
        )
        .body::<MatrixBody>(json!({"sample": 10, "limit": 2}))
        .answers(points::matrix_pairs),
        at("POST", "/points/search/matrix/offsets", "matrix_offsets", "The same, as places in a list of ids")
            .body::<MatrixBody>(json!({"sample": 10, "limit": 2}))
            .answers(points::matrix_offsets),
    ]
}

fn cursors_and_reasons() -> Vec<Operation> {
    let ours = |method, path, id, summary| Operation::new(method, path, id, TAG, summary).reads();
    let of = |rest: &str| format!("/api/v1/collections/{{collection}}{rest}");
    vec![
        ours("POST", &of("/why-not"), "why_not", "Why a point is not in the answer to a query")
            .body::<WhyNotBody>(json!({"query": {"query": [0.1, 0.2, 0.3, 0.4], "limit": 1}, "id": 2}))
            .answers(points::why_not),
        ours("POST", &of("/cursors"), "begin_cursor", "A query answered page by page, of one state")
            .body::<QueryBody>(json!({"query": [0.1, 0.2, 0.3, 0.4], "limit": 1}))
            .answers(cursors::begin),
        ours("POST", "/api/v1/cursors/{cursor}", "next_page", "The next page of a cursor")
            .body_perhaps::<NextBody>(json!({"limit": 1}))
            .answers(cursors::next),
        ours("DELETE", "/api/v1/cursors/{cursor}", "close_cursor", "Close a cursor").answers(cursors::close),
    ]
}
