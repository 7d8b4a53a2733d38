//! Collections as they go out: in the dialect's own shape, and in full.
//!
//! Invariant: the dialect's shape has no key that its clients do not know, for they refuse the answer then. What is
//! ours stands at an address of its own.

use std::collections::BTreeMap;

use kithdb::{
    BuildStatus, Codes, Collection, Condition, DEFAULT_VECTOR, Datatype, Drift, FieldKind, FieldPath, Filter,
    MeasuredRecall, Result, Schema, SegmentStatus, SpaceStatus, Status, Value, VectorSpec,
};
use serde_json::{Map, json};

use super::collection::ModelJson;
use super::hybrid::HybridWeightsJson;
use super::quantization::{self, quantization};
use super::settings;
use super::sparse::SparseIn;

/// What is set of when vectors are indexed, and how many KiB of a space are where nothing is.
const OPTIMIZERS: &str = "optimizers_config";
const INDEXING_THRESHOLD: &str = "indexing_threshold";
const INDEXING_THRESHOLD_KB: u64 = 10_000;

/// `GET collections/{name}`, in the dialect's own shape.
///
/// # Errors
/// What the database returns.
pub(crate) fn describe(collection: &Collection) -> Result<Value> {
    let (schema, status) = (collection.schema(), collection.status());
    let is_building = status.build.is_some() || status.waiting_rows > 0;
    let optimizer = status.failure.as_ref().map_or_else(|| json!("ok"), |failure| json!({"error": failure}));
    let mut told = json!({
        "status": if is_building { "yellow" } else { "green" },
        "optimizer_status": optimizer,
        "indexed_vectors_count": indexed(&schema, &status),
        "points_count": status.points,
        "segments_count": status.segments.len() + 1,
        "config": config(&schema),
        "payload_schema": fields(collection, &schema)?,
    });
    let warnings = warnings(&schema);
    if !warnings.is_empty() {
        told["warnings"] = warnings.into();
    }
    Ok(told)
}

/// The vectors that count as indexed. Who asks wants to know whether to wait: what a scan finds faster than a graph
/// would counts too, once there is as much of it as the dialect has an index for.
fn indexed(schema: &Schema, status: &Status) -> usize {
    let set = schema.settings.get(OPTIMIZERS).and_then(|config| config.get(INDEXING_THRESHOLD)?.as_u64());
    let bytes_min = set.unwrap_or(INDEXING_THRESHOLD_KB).saturating_mul(1024);
    let count = |(name, space): (&String, &SpaceStatus)| {
        // A point that was replaced leaves a dead vector for a while.
        let (vectors, linked) = (space.vectors.min(status.points), space.linked.min(status.points));
        match schema.vectors.get(name) {
            // Sparse vectors are in their lists as they come, whatever is set.
            None => vectors,
            Some(_) if bytes_min == 0 => 0,
            Some(spec) if (vectors * spec.dim * Datatype::bytes(spec.datatype)) as u64 >= bytes_min => {
                space.settled.min(status.points)
            }
            Some(_) => linked,
        }
    };
    status.spaces.iter().map(count).sum()
}

/// What was set although the dialect has no use for it there, in its words.
fn warnings(schema: &Schema) -> Vec<Value> {
    let inline = |graph: &Value| graph.get("inline_storage").and_then(Value::as_bool);
    let of_all = schema.settings.get("hnsw_config").and_then(inline);
    let own = |name: &String| schema.settings.get("vectors")?.get(name)?.get("hnsw_config").and_then(inline);
    let is_inline = |name: &String| own(name).or(of_all) == Some(true);
    let warning = |name: &String, why: &str| {
        let option = format!("The `hnsw_config.inline_storage` option for vector '{name}'");
        json!({"message": format!("{option} {why}. This option will be ignored.")})
    };
    let is_bare = |name: &String| quantization::given(&schema.settings, name).is_none();
    let single = schema.vectors.keys().filter(|&name| is_inline(name) && is_bare(name));
    let multi = schema.multi.keys().filter(|&name| is_inline(name));
    let single = single.map(|name| warning(name, "requires quantization to be enabled"));
    single.chain(multi.map(|name| warning(name, "is not compatible with multivectors"))).collect()
}

/// What was set, over what a server of the dialect has where nothing is.
pub(crate) fn config(schema: &Schema) -> Value {
    let mut params = json!({
        "vectors": vectors(schema),
        "shard_number": 1,
        "replication_factor": 1,
        "write_consistency_factor": 1,
        "on_disk_payload": true,
    });
    if !schema.sparse.is_empty() {
        params["sparse_vectors"] = json!(sparse(schema));
    }
    for (name, value) in &schema.settings {
        if PARAMS.contains(&name.as_str()) {
            params[name] = value.clone();
        }
    }
    let quantised = schema.settings.get(quantization::MEMBER).cloned();
    let quantised = quantised.or_else(|| common_codes(schema).and_then(quantization));
    let mut config = json!({
        "params": params,
        "hnsw_config": over(schema, "hnsw_config", hnsw()),
        "optimizer_config": optimizers(schema),
        "wal_config": over(schema, "wal_config", json!({"wal_capacity_mb": 32, "wal_segments_ahead": 0})),
        "quantization_config": quantised,
    });
    for member in ["strict_mode_config", "metadata"] {
        if let Some(kept) = schema.settings.get(member) {
            config[member] = kept.clone();
        }
    }
    config
}

/// What was set of a member, over a configuration.
fn over(schema: &Schema, member: &str, mut config: Value) -> Value {
    for (name, value) in schema.settings.get(member).and_then(Value::as_object).into_iter().flatten() {
        config[name] = value.clone();
    }
    config
}

fn hnsw() -> Value {
    json!({
        "m": 16,
        "ef_construct": 100,
        "full_scan_threshold": 10_000,
        "max_indexing_threads": 0,
        "on_disk": false,
    })
}

fn optimizers(schema: &Schema) -> Value {
    let unset = json!({
        "deleted_threshold": 0.2,
        "vacuum_min_vector_number": 1000,
        "default_segment_number": 1,
        INDEXING_THRESHOLD: INDEXING_THRESHOLD_KB,
        "flush_interval_sec": 1,
    });
    let mut told = over(schema, OPTIMIZERS, unset);
    // Going out, it is a number or nothing.
    let is_word = told.get("max_optimization_threads").is_some_and(Value::is_string);
    if let Some(told) = told.as_object_mut().filter(|_| is_word) {
        told.shift_remove("max_optimization_threads");
    }
    told
}

/// The settings among the parameters of a collection.
const PARAMS: [&str; 9] = [
    "shard_number",
    "sharding_method",
    "replication_factor",
    "write_consistency_factor",
    "read_fan_out_factor",
    "read_fan_out_delay_ms",
    "on_disk_payload",
    "payload",
    "id_tracker",
];

/// The codes of all spaces, if they are the same and no other words were used for them: what the collection could have
/// been given them by.
fn common_codes(schema: &Schema) -> Option<Codes> {
    let is_told = |name: &String| quantization::given(&schema.settings, name).is_some();
    if schema.vectors.keys().any(is_told) {
        return None;
    }
    let mut codes = schema.vectors.values().map(|spec| spec.codes);
    let first = codes.next()?;
    codes.all(|other| other == first).then_some(first)
}

/// `GET /api/v1/collections/{name}`: what the dialect has no place for.
pub(crate) fn describe_fully(collection: &Collection) -> Value {
    let (schema, status) = (collection.schema(), collection.status());
    let space = |spec: &VectorSpec| {
        let model = spec.model.as_ref().map(ModelJson::new);
        json!({
            "size": spec.dim,
            "distance": spec.metric.name(),
            "datatype": spec.datatype.name(),
            "codes": spec.codes.name(),
            "model": model,
        })
    };
    let spaces: BTreeMap<&String, Value> =
        schema.vectors.iter().chain(&schema.multi).map(|(name, spec)| (name, space(spec))).collect();
    let keyword = schema.keyword.as_ref().map(|keyword| {
        let paths: Vec<String> = keyword.paths.iter().map(ToString::to_string).collect();
        json!({"paths": paths, "language": keyword.language.name()})
    });
    let fields: BTreeMap<String, &str> =
        schema.fields.iter().map(|(path, kind)| (path.to_string(), kind.name())).collect();
    json!({
        "vectors": spaces,
        "sparse_vectors": sparse(&schema),
        "multivectors": schema.multi.keys().collect::<Vec<_>>(),
        "keyword": keyword,
        "fields": fields,
        "recall": schema.recall.map(shortest),
        "hybrid_weights": schema.hybrid.map(HybridWeightsJson::of),
        "history_s": schema.history_s,
        "points": status.points,
        "seqno": status.seqno.0,
        "vectors_linked": status.vectors_linked,
        "vectors_count": status.vectors,
        "keyword_pending": status.keyword_pending,
        "index_bytes": status.index_bytes,
        "segments": status.segments.iter().map(segment).collect::<Vec<_>>(),
        "head_rows": status.head_rows,
        "waiting_rows": status.waiting_rows,
        "build": status.build.as_ref().map(build),
        "build_failure": status.failure,
        "measured_recall": status.recall.iter().map(measured).collect::<Vec<_>>(),
        "drift": status.drift.iter().map(drift).collect::<Vec<_>>(),
    })
}

/// The number of the fewest digits that is read back as this one.
pub(super) fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

fn measured(measured: &MeasuredRecall) -> Value {
    json!({
        "vector": measured.space,
        "share": measured.share.name(),
        "queries": measured.queries,
        "recall": measured.recall,
        "interval": [measured.interval.0, measured.interval.1],
        "expected": measured.expected,
        "misses": measured.misses,
    })
}

fn drift(drift: &Drift) -> Value {
    json!({
        "vector": drift.space,
        "of": drift.of.name(),
        "vectors": drift.vectors,
        "difference": drift.difference,
        "least": drift.least,
        "usual": drift.usual,
        "has_drifted": drift.has_drifted,
    })
}

fn segment(segment: &SegmentStatus) -> Value {
    json!({"rows": segment.rows, "dead_rows": segment.dead_rows, "bytes": segment.bytes})
}

fn build(build: &BuildStatus) -> Value {
    json!({
        "what": build.what,
        "rows": build.rows,
        "vectors": build.vectors,
        "vectors_built": build.vectors_built,
    })
}

/// The vectors as they were given: one space, or several by name. Clients refuse keys that they do not know.
fn vectors(schema: &Schema) -> Value {
    let kept = schema.settings.get("vectors");
    let space = |name: &String, spec: &VectorSpec| {
        let mut told = json!({"size": spec.dim, "distance": spec.metric.name()});
        if spec.datatype != Datatype::default() {
            told["datatype"] = spec.datatype.name().into();
        }
        if quantization::given(&schema.settings, name).is_none()
            && let Some(config) = quantization(spec.codes)
        {
            told[quantization::MEMBER] = config;
        }
        let own = kept.and_then(|kept| kept.get(name)?.as_object());
        if spec.memory != own.map(settings::memory).unwrap_or_default() {
            told["memory"] = spec.memory.name().into();
        }
        for (member, value) in own.into_iter().flatten() {
            told[member] = value.clone();
        }
        told
    };
    let multi = |name: &String, spec: &VectorSpec| {
        let mut told = space(name, spec);
        told["multivector_config"] = json!({"comparator": "max_sim"});
        told
    };
    let dense = schema.vectors.iter().map(|(name, spec)| (name.clone(), space(name, spec)));
    let mut told: BTreeMap<String, Value> = dense.collect();
    told.extend(schema.multi.iter().map(|(name, spec)| (name.clone(), multi(name, spec))));
    match told.remove(DEFAULT_VECTOR) {
        Some(single) if told.is_empty() && !schema.settings.contains_key(settings::NAMED) => single,
        unnamed => {
            told.extend(unnamed.map(|unnamed| (DEFAULT_VECTOR.to_owned(), unnamed)));
            json!(told)
        }
    }
}

/// The sparse vectors as they were given.
fn sparse(schema: &Schema) -> BTreeMap<&String, SparseIn> {
    let kept = |name: &String| schema.settings.get("sparse_vectors").and_then(|kept| kept.get(name));
    schema.sparse.iter().map(|(name, spec)| (name, SparseIn::new(spec, kept(name)))).collect()
}

fn fields(collection: &Collection, schema: &Schema) -> Result<Map<String, Value>> {
    let field = |(path, kind): (&FieldPath, &FieldKind)| {
        let is_there = Filter { must_not: vec![Condition::IsEmpty(path.clone())], ..Filter::default() };
        let points = collection.count(&is_there)?;
        let mut told = json!({"data_type": kind.name(), "points": points});
        if let Some(params) = schema.params.get(path) {
            told["params"] = params.clone().into();
        }
        Ok((path.to_string(), told))
    };
    schema.fields.iter().map(field).collect()
}

#[cfg(test)]
mod tests {
    use kithdb::{Database, Metric, Point};

    use super::*;

    #[test]
    fn a_description_tells_what_was_given() {
        let db = Database::in_memory().expect("a database");
        let schema =
            Schema::new().vector(2, Metric::Euclid).field("n".parse().expect("a path"), FieldKind::Integer);
        let collection = db.create_collection("c", schema).expect("a collection");
        let points = vec![Point::new(1).vector([1.0, 2.0]).with("n", 1), Point::new(2).vector([0.0, 0.0])];
        collection.upsert(points).expect("written");
        let told = describe(&collection).expect("a description");
        assert_eq!(told["config"]["params"]["vectors"], json!({"size": 2, "distance": "Euclid"}));
        assert_eq!(told["payload_schema"], json!({"n": {"data_type": "integer", "points": 1}}));
        assert_eq!(told["points_count"], 2);
        assert_eq!(told["status"], "green");
        assert_eq!(describe_fully(&collection)["fields"], json!({"n": "integer"}));
        collection.optimize(true).expect("a segment");
        let told = describe_fully(&collection);
        assert_eq!((&told["vectors"][""]["datatype"], &told["recall"]), (&json!("float32"), &json!(null)));
        assert_eq!((&told["segments"][0]["rows"], &told["head_rows"]), (&json!(2), &json!(0)));
        assert_eq!((&told["build"], &told["build_failure"]), (&json!(null), &json!(null)));
    }

    #[test]
    fn sparse_vectors_and_multivectors_are_told_as_they_were_set() {
        let db = Database::in_memory().expect("a database");
        let body = json!({
            "vectors": {"m": {"size": 2, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}}},
            "sparse_vectors": {
                "plain": {}, "none": {"modifier": "none", "index": {}},
                "idf": {"modifier": "idf", "index": {"on_disk": false, "full_scan_threshold": 5, "datatype": "uint8"}},
            },
        });
        let create: super::super::collection::Create =
            super::super::parse(body.to_string().as_bytes()).expect("a body");
        let schema = create.into_schema().expect("a schema");
        let collection = db.create_collection("c", schema).expect("a collection");
        let told = describe(&collection).expect("a description");
        let params = &told["config"]["params"];
        assert_eq!(params["sparse_vectors"], body["sparse_vectors"]);
        assert_eq!(params["vectors"], body["vectors"]);
        let one = json!({"size": 2, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}});
        let alone = Schema::new().multi_vector("", VectorSpec::new(2, Metric::Dot));
        let alone = db.create_collection("alone", alone).expect("a collection");
        assert_eq!(describe(&alone).expect("a description")["config"]["params"]["vectors"], one);
    }

    #[test]
    fn a_setting_that_the_dialect_has_no_use_for_is_warned_of() {
        let db = Database::in_memory().expect("a database");
        let inline = json!({"inline_storage": true});
        let (scalar, rows) = (json!({"scalar": {"type": "int8"}}), json!({"comparator": "max_sim"}));
        let cases = [
            (json!({}), json!({}), ""),
            (json!({"hnsw_config": inline, "quantization_config": scalar}), json!({}), ""),
            (json!({"hnsw_config": inline}), json!({"quantization_config": scalar}), ""),
            (json!({"hnsw_config": inline}), json!({}), "'v' requires quantization to be enabled."),
            (json!({}), json!({"hnsw_config": inline}), "'v' requires quantization to be enabled."),
            (
                json!({"hnsw_config": inline, "multivector_config": rows}),
                json!({}),
                "'v' is not compatible with multivectors.",
            ),
        ];
        for (number, (own, mut body, says)) in cases.into_iter().enumerate() {
            body["vectors"]["v"] = own;
            (body["vectors"]["v"]["size"], body["vectors"]["v"]["distance"]) = (json!(2), json!("Dot"));
            let create: super::super::collection::Create =
                super::super::parse(body.to_string().as_bytes()).expect("a body");
            let schema = create.into_schema().expect("a schema");
            let collection = db.create_collection(&format!("c{number}"), schema).expect("a collection");
            let told = describe(&collection).expect("a description");
            assert_eq!(told.get("warnings").is_some(), !says.is_empty(), "{body}");
            let message = told["warnings"][0]["message"].as_str().unwrap_or_default();
            assert!(message.contains(says), "{body}: {message}");
        }
    }

    #[test]
    fn what_was_said_of_a_field_is_told_again_and_nothing_else() {
        let db = Database::in_memory().expect("a database");
        let collection = db.create_collection("c", Schema::new()).expect("a collection");
        let params =
            json!({"type": "text", "tokenizer": "prefix", "stopwords": {"custom": ["x"]}, "on_disk": false});
        let body = |schema: Value| json!({"field_name": "t", "field_schema": schema}).to_string();
        let set = |schema: Value| {
            let field: super::super::field::CreateField =
                super::super::parse(body(schema).as_bytes()).expect("a body");
            let (path, kind, params) = field.into_field().expect("a field");
            collection.create_field_with(path, kind, params).expect("an index");
            describe(&collection).expect("a description")["payload_schema"]["t"].clone()
        };
        let mut with_null = params.clone();
        with_null["stemmer"] = json!(null);
        assert_eq!(set(with_null), json!({"data_type": "text", "points": 0, "params": params}));
        assert_eq!(set(json!("text")), json!({"data_type": "text", "points": 0}));
    }

    #[test]
    fn options_are_told_in_the_words_that_clients_know() {
        let db = Database::in_memory().expect("a database");
        let space = |codes| VectorSpec::new(2, Metric::Dot).stored_as(Datatype::Uint8).found_by(codes);
        let schema = Schema::new().vector(2, Metric::Dot).named_vector("off", space(Codes::Off)).recall(0.9);
        let mixed = schema.named_vector("bits", space(Codes::Bits1));
        let mixed = db.create_collection("mixed", mixed).expect("a collection");
        let told = describe(&mixed).expect("a description");
        let bits =
            json!({"size": 2, "distance": "Dot", "datatype": "uint8", "quantization_config": {"binary": {}}});
        let off = json!({"size": 2, "distance": "Dot", "datatype": "uint8"});
        let plain = json!({"size": 2, "distance": "Dot"});
        let vectors = json!({"": plain, "bits": bits, "off": off});
        assert_eq!(told["config"]["params"]["vectors"], vectors);
        // As a server of the dialect tells that nothing is set.
        assert_eq!(told["config"].get("quantization_config"), Some(&json!(null)));
        assert!(told.get("recall").is_none());
        let fully = describe_fully(&mixed);
        assert_eq!((&fully["vectors"]["off"]["codes"], &fully["recall"]), (&json!("off"), &json!(0.9)));
        let alike = Schema::new().named_vector("", space(Codes::Bits1));
        let alike = db.create_collection("alike", alike).expect("a collection");
        let told = describe(&alike).expect("a description");
        assert_eq!(told["config"]["quantization_config"], json!({"binary": {}}));
        assert_eq!(told["config"]["params"]["vectors"], bits);
    }
}
