//! Collections, their vectors, the indexes of their fields, their further names.

use serde_json::json;

use super::super::collections;
use super::operation::Operation;
use crate::wire::alias::ChangeAliases;
use crate::wire::alter::{Alter, CreateVector};
use crate::wire::collection::Create;
use crate::wire::described::{CollectionDetails, CollectionTold, Collections, Exists};
use crate::wire::field::CreateField;
use crate::wire::optimizations::Optimize;
use crate::wire::schema::{flag, named};

const TAG: &str = "Collections";

const OURS: &str = "/api/v1/collections/{collection}";

pub(super) fn operations() -> Vec<Operation> {
    let mut all = wholes();
    all.extend(parts());
    all.extend(removals());
    all
}

fn at(method: &'static str, rest: &str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(method, &format!("/collections/{{collection}}{rest}"), id, TAG, summary).reads()
}

/// Collections themselves.
fn wholes() -> Vec<Operation> {
    vec![
        at("PUT", "", "create_collection", "Make a collection")
            .saying(
                "What the engine decides by itself (graph, optimizer, log, shards) is kept and told again.",
            )
            .body::<Create>(json!({
                "vectors": {"size": 4, "distance": "Cosine"},
                "sparse_vectors": {"words": {"modifier": "idf"}},
                "keyword": {"paths": ["title"]},
                "fields": {"year": "integer"},
            }))
            .answers(collections::create)
            .also(409),
        Operation::new("GET", "/collections", "collections", TAG, "The names of all collections")
            .reads()
            .answers_with(named::<Collections>()),
        at("GET", "", "collection", "What a collection is").answers_with(named::<CollectionTold>()),
        Operation::new(
            "GET",
            OURS,
            "collection_details",
            TAG,
            "What a collection is, with what the dialect has no place for",
        )
        .reads()
        .answers_with(named::<CollectionDetails>()),
        at("GET", "/exists", "collection_exists", "Whether there is such a collection")
            .answers_with(named::<Exists>()),
        at("PATCH", "", "update_collection", "Change the settings of a collection")
            .saying(
                "Objects are laid over what was set, member by member; an empty one takes back what was set.",
            )
            .body::<Alter>(json!({"metadata": {"owner": "library"}}))
            .answers(collections::update),
    ]
}

/// What belongs to them.
fn parts() -> Vec<Operation> {
    vec![
        at("PUT", "/index", "create_index", "Index a payload field")
            .body::<CreateField>(json!({"field_name": "genre", "field_schema": "keyword"}))
            .writes()
            .answers(collections::create_field),
        at("PUT", "/vectors/{vector}", "create_vector", "Add a vector to a collection that lives")
            .body::<CreateVector>(json!({"dense": {"size": 4, "distance": "Dot"}}))
            .writes()
            .answers(collections::create_vector)
            .also(409),
        Operation::new(
            "POST",
            "/collections/aliases",
            "change_aliases",
            TAG,
            "Give, take and rename aliases, all or none",
        )
        .reads()
        .body::<ChangeAliases>(json!({
            "actions": [{"create_alias": {"collection_name": "books", "alias_name": "catalogue"}}],
        }))
        .answers(collections::change_aliases)
        .also(404)
        .also(409),
        Operation::new("GET", "/aliases", "aliases", TAG, "All aliases")
            .reads()
            .answers(collections::aliases),
        at("GET", "/aliases", "collection_aliases", "The aliases of a collection")
            .answers(collections::aliases_of),
        Operation::new("POST", &format!("{OURS}/optimize"), "optimize", TAG, "Make one segment of all rows")
            .reads()
            .takes("wait", flag(), "Answer when it is done, as in the body")
            .body_perhaps::<Optimize>(json!({"wait": true}))
            .answers(collections::optimize),
    ]
}

fn removals() -> Vec<Operation> {
    vec![
        at("DELETE", "/index/{field}", "drop_index", "Drop the index of a payload field")
            .writes()
            .answers(collections::drop_field),
        at("DELETE", "/vectors/{vector}", "drop_vector", "Drop a vector, with all its rows")
            .writes()
            .answers(collections::drop_vector),
        at("DELETE", "", "drop_collection", "Drop a collection and its aliases")
            .saying("By its own name only. The answer is false where there is none.")
            .answers(collections::drop),
    ]
}
