//! Searches under strict mode that a server of the dialect has no graph for. Ours answers them without a scan; what is
//! refused is the choice of the collection.

use kithdb::{Condition, DEFAULT_VECTOR, FieldPath, Filter, Query, Result, Schema, Value};

use super::{Strict, refused};

impl Strict<'_> {
    /// A search at the lowest level of a query: where exact ones are not allowed, its vector needs a graph.
    ///
    /// # Errors
    /// Bad request, naming the vector.
    pub(crate) fn check_graph(&self, query: &Query, filter: &Filter) -> Result<()> {
        let may_scan = self.config.as_ref().is_none_or(|config| config.search_allow_exact != Some(false));
        let Some(using) = query.space().filter(|_| !may_scan) else { return Ok(()) };
        let schema = self.collection.schema();
        // Sparse vectors are always found by their lists.
        if schema.sparse.contains_key(using) || links(&schema, using, "m") != Some(0) {
            return Ok(());
        }
        let label = if using == DEFAULT_VECTOR { String::new() } else { format!(" on '{using}'") };
        let forbidden = format!("Request is forbidden{label} because");
        if !is_of_tenants(&schema, filter) {
            let what = format!("{forbidden} global vector indexing is disabled (hnsw_config.m = 0)");
            let solution = "Use tenant-specific filter, enable global vector indexing or enable strict mode \
                            `search_allow_exact` option";
            return Err(refused("using", &what, solution));
        }
        if links(&schema, using, "payload_m").unwrap_or(0) > 0 {
            return Ok(());
        }
        let why = "vector indexing is disabled (hnsw_config.m = 0 and hnsw_config.payload_m = 0)";
        let solution = "Enable vector indexing, use a prefetch query with indexed vectors or enable strict mode \
                        `search_allow_exact` option";
        Err(refused("using", &format!("{forbidden} {why}"), solution))
    }
}

/// What was set of the links of a vector's graph: for itself, or for all.
fn links(schema: &Schema, using: &str, member: &str) -> Option<u64> {
    let set = |graph: &Value| graph.get(member)?.as_u64();
    let own = schema.settings.get("vectors").and_then(|kept| kept.get(using)?.get("hnsw_config"));
    own.and_then(set).or_else(|| schema.settings.get("hnsw_config").and_then(set))
}

/// Whether a condition is on a field that was indexed as one of tenants.
fn is_of_tenants(schema: &Schema, filter: &Filter) -> bool {
    let is_tenant = |path: &FieldPath| {
        schema.params.get(path).and_then(|params| params.get("is_tenant")?.as_bool()) == Some(true)
    };
    filter.conditions().any(|condition| match condition {
        Condition::Field(path, _) | Condition::Count(path, _) => is_tenant(path),
        Condition::IsEmpty(path) | Condition::IsNull(path) => is_tenant(path),
        Condition::Filter(inner) => is_of_tenants(schema, inner),
        _ => false,
    })
}
