//! Bodies of HTTP requests: the first byte chooses the route, the rest is the body.
//!
//! Invariant: the answer is JSON, and no fault of the server's.
//! Cost: about 50 µs for a question; what changes something is undone by making everything anew.

use std::cell::Cell;
use std::time::Duration;

use kithdb::{Database, FieldKind, Language, Metric, Point, Schema, SparseSpec, Value};
use server::door::Door;

use crate::seed;

/// A route, and a body for it that is answered.
struct Route {
    method: &'static str,
    path: &'static str,
    changes: bool,
    body: &'static str,
}

const fn reads(path: &'static str, body: &'static str) -> Route {
    Route { method: "POST", path, changes: false, body }
}

const fn changes(method: &'static str, path: &'static str, body: &'static str) -> Route {
    Route { method, path, changes: true, body }
}

const QUERY: &str = "/collections/notes/points/query";

const ROUTES: [Route; 24] = [
    reads(
        QUERY,
        r#"{"query":{"nearest":[0.5,1]},"filter":{"must":[{"key":"n","range":{"gte":1}}]},"limit":3}"#,
    ),
    reads(
        QUERY,
        r#"{"prefetch":[{"query":[1,0]},{"query":{"keyword":"word"}}],"query":{"rrf":{"k":60}},"with_payload":true}"#,
    ),
    reads(
        QUERY,
        r#"{"query":{"recommend":{"positive":[1,[0,1]],"negative":[2]}},"params":{"exact":true},"with_vector":["s"]}"#,
    ),
    reads(QUERY, r#"{"query":{"indices":[1,7],"values":[0.5,1]},"using":"s","score_threshold":-1}"#),
    reads(QUERY, r#"{"prefetch":{"query":[1,0]},"query":{"formula":{"sum":["$score",{"mult":[2,"n"]}]}}}"#),
    reads(QUERY, r#"{"query":{"order_by":{"key":"n","direction":"desc"}},"filter":"n >= 1"}"#),
    reads("/collections/notes/points/query/batch", r#"{"searches":[{"query":[1,0]},{"query":1}]}"#),
    reads("/collections/notes/points/query/groups", r#"{"query":[1,0],"group_by":"n","limit":2}"#),
    reads(
        "/collections/notes/points/scroll",
        r#"{"filter":{"min_should":{"conditions":[{"has_id":[1]}],"min_count":1}},"offset":1}"#,
    ),
    reads(
        "/collections/notes/points/count",
        r#"{"filter":{"should":[{"is_empty":{"key":"n"}},{"key":"text","match":{"any":["word"]}}]},"exact":true}"#,
    ),
    reads("/collections/notes/points/search", r#"{"vector":[1,0],"limit":2,"with_payload":["n"]}"#),
    reads("/collections/notes/points/recommend", r#"{"positive":[1],"negative":[[0,1]],"limit":2}"#),
    reads("/collections/notes/points/search/matrix/pairs", r#"{"sample":3,"limit":2}"#),
    reads("/collections/notes/facet", r#"{"key":"n","limit":3}"#),
    reads("/api/v1/collections/notes/why-not", r#"{"id":1,"query":{"query":[1,0],"limit":1}}"#),
    changes(
        "PUT",
        "/collections/notes/points?wait=true",
        r#"{"points":[{"id":1,"vector":{"":[1,2],"s":{"indices":[3],"values":[1]}},"payload":{"a":[1.5,null]}}]}"#,
    ),
    changes(
        "POST",
        "/collections/notes/points/batch?wait=true",
        r#"{"operations":[{"upsert":{"points":[{"id":4,"vector":[1,1]}]}},{"delete":{"points":[2]}}]}"#,
    ),
    changes(
        "POST",
        "/collections/notes/points/payload?wait=true",
        r#"{"payload":{"a":{"b":1}},"points":[1]}"#,
    ),
    changes("PUT", "/collections/notes/points/vectors?wait=true", r#"{"points":[{"id":1,"vector":[0,1]}]}"#),
    changes(
        "POST",
        "/collections/notes/points/delete?wait=true",
        r#"{"filter":{"must_not":[{"nested":{"key":"c","filter":{"must":[{"is_null":{"key":"d"}}]}}}]}}"#,
    ),
    changes(
        "PUT",
        "/collections/made",
        r#"{"vectors":{"size":2,"distance":"Dot"},"sparse_vectors":{"s":{"modifier":"idf"}}}"#,
    ),
    changes("PATCH", "/collections/notes", r#"{"strict_mode_config":{"enabled":true,"max_query_limit":9}}"#),
    changes(
        "PUT",
        "/collections/notes/index?wait=true",
        r#"{"field_name":"a.b[]","field_schema":"keyword"}"#,
    ),
    changes(
        "POST",
        "/collections/aliases",
        r#"{"actions":[{"create_alias":{"collection_name":"notes","alias_name":"other"}}]}"#,
    ),
];

/// No answer takes so long.
const TIME_MAX: Duration = Duration::from_secs(60);

/// A database and its routes.
struct Site {
    db: Database,
    door: Door,
}

thread_local! {
    /// The one that nothing was changed in.
    static SITE: Cell<Option<Site>> = const { Cell::new(None) };
}

impl Site {
    fn new() -> Self {
        let db = Database::in_memory().expect("a database");
        let door = Door::new(db.clone(), None, None).expect("a door");
        let site = Self { db, door };
        site.furnish();
        site
    }

    /// Three points, and nothing else.
    fn furnish(&self) {
        for collection in self.db.collections() {
            self.db.drop_collection(collection.name()).expect("a drop");
        }
        let schema = Schema::new()
            .vector(2, Metric::Cosine)
            .sparse_vector("s", SparseSpec::default())
            .keyword(["text".parse().expect("a path")], Language::English)
            .field("n".parse().expect("a path"), FieldKind::Integer);
        let notes = self.db.create_collection("notes", schema).expect("a collection");
        let point = |id: u64| Point::new(id).vector([1.0, id as f32]).with("text", "word").with("n", id);
        notes.upsert((1..4).map(point).collect()).expect("points");
    }
}

/// Asks a route; whether it did as it was asked.
pub fn run(bytes: &[u8]) -> bool {
    let Some((choice, body)) = bytes.split_first() else { return false };
    let route = &ROUTES[usize::from(*choice) % ROUTES.len()];
    let site = SITE.take().unwrap_or_else(Site::new);
    let asked = site.door.ask(route.method, route.path, body.to_vec()).expect("an address");
    let answer = asked.wait(TIME_MAX).expect("not broken off").expect("an answer in time");
    let text = String::from_utf8_lossy(&answer.body);
    assert!(answer.status < 500, "{} {}: {} {text}", route.method, route.path, answer.status);
    let is_json = serde_json::from_slice::<Value>(&answer.body).is_ok();
    assert!(is_json, "{} {}: no JSON: {text}", route.method, route.path);
    let is_done = answer.status < 300;
    if is_done && route.changes {
        site.furnish();
    }
    SITE.set(Some(site));
    is_done
}

/// A body for each route.
pub fn seeds() -> Vec<Vec<u8>> {
    ROUTES.iter().enumerate().map(|(choice, route)| seed(choice, route.body.as_bytes())).collect()
}
