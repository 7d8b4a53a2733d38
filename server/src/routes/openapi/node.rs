//! What is asked of a cluster.

use serde_json::json;

use super::super::node;
use super::operation::Operation;
use crate::wire::described::{Cluster, Issues, Optimizations, Quotas, ShardKeys, Shards, Telemetry};
use crate::wire::schema::{flag, free, many, named, object, text, whole};

const TAG: &str = "Node";

pub(super) fn operations() -> Vec<Operation> {
    let at = |method, path, id, summary| Operation::new(method, path, id, TAG, summary);
    let mut all = vec![
        at("GET", "/telemetry", "telemetry", "What is known of the server and its collections")
            .reads()
            .takes("details_level", whole(0), "How much of it")
            .takes("anonymize", flag(), "Without the names and settings of collections")
            .takes("per_collection", flag(), "Requests by collection too")
            .answers_with(named::<Telemetry>()),
        at("GET", "/api/v1/slow-queries", "slow_queries", "The queries that were slow, each with its plan")
            .reads()
            .answers_with(object([("queries", many(free()))]).shown()),
        at("GET", "/cluster", "cluster", "That there is no cluster").reads().answers_with(named::<Cluster>()),
        at("GET", "/issues", "issues", "Nothing: nobody writes any").reads().answers_with(named::<Issues>()),
        at("DELETE", "/issues", "clear_issues", "Nothing to clear").reads().answers(node::clear_issues),
        at("GET", "/quotas", "quotas", "That there are none").reads().answers_with(named::<Quotas>()),
        at("PUT", "/quotas", "set_quotas", "Take none; what would set one is refused")
            .reads()
            .body_like(free(), json!({"enabled": false}))
            .answers(node::set_quotas),
        at("GET", "/collections/{collection}/cluster", "collection_cluster", "The one shard of a collection")
            .reads()
            .answers_with(named::<Shards>()),
        at("GET", "/collections/{collection}/shards", "shard_keys", "That there are no keys of shards")
            .reads()
            .answers_with(named::<ShardKeys>()),
        at(
            "GET",
            "/collections/{collection}/optimizations",
            "optimizations",
            "What is built, and what waits to be",
        )
        .reads()
        .takes("with", text(), "More of it, between commas: queued, completed, idle_segments")
        .answers_with(named::<Optimizations>()),
    ];
    all.extend(refused());
    all
}

/// What only nodes of a cluster can do.
fn refused() -> Vec<Operation> {
    let only = "Only a cluster can: always a 405";
    let all = [
        ("GET", "/cluster/telemetry", "cluster_telemetry"),
        ("POST", "/collections/{collection}/cluster", "update_collection_cluster"),
        ("PUT", "/collections/{collection}/shards", "create_shard_key"),
        ("POST", "/cluster/recover", "recover_peer"),
        ("PUT", "/cluster/recover", "recover_peer_put"),
        ("DELETE", "/cluster/recover", "recover_peer_delete"),
        ("POST", "/cluster/peer/{peer}", "peer_post"),
        ("PUT", "/cluster/peer/{peer}", "peer_put"),
        ("DELETE", "/cluster/peer/{peer}", "remove_peer"),
        ("POST", "/collections/{collection}/shards/delete", "delete_shard_key"),
        ("PUT", "/collections/{collection}/shards/delete", "delete_shard_key_put"),
        ("DELETE", "/collections/{collection}/shards/delete", "delete_shard_key_delete"),
    ];
    all.map(|(method, path, id)| Operation::new(method, path, id, TAG, only).also(405)).into()
}
