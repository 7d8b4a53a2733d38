//! Another schema for a collection that lives: what is told again, and vectors that come and go over segments and
//! heads, through reopening.

use std::path::Path;

use kithdb::{
    Codes, Collection, Database, ErrorKind, Memory, Metric, Options, Point, Schema, Segments, Select,
    SparseSpec, SparseVector, Value, Vector, VectorSpec,
};
use serde_json::json;

use crate::http::Running;

fn open(folder: &Path) -> Database {
    let segments = Segments { seal_rows: 20, ..Segments::default() };
    Database::open_with(folder, Options { segments, ..Options::default() }).expect("a database")
}

fn with<T>(collection: &Collection, change: impl FnOnce(&mut Schema) -> T + Send + 'static) {
    collection
        .configure(|schema| {
            change(schema);
            Ok(())
        })
        .expect("configured");
}

fn put(collection: &Collection, ids: std::ops::Range<u64>, name: &str, vector: impl Fn(u64) -> Vec<f32>) {
    let point = |id: u64| Point::new(id).vector([id as f32, 1.0]).named_vector(name, vector(id));
    collection.upsert(ids.map(point).collect()).expect("written");
}

fn nearest(collection: &Collection, name: &str, vector: Vec<f32>) -> Vec<u64> {
    let hits = collection.query().nearest_in(name, vector).limit(3).run().expect("hits");
    hits.iter().map(|hit| if let kithdb::PointId::Num(id) = hit.id { id } else { 0 }).collect()
}

fn assert_whole(db: &Database) {
    assert!(db.start().rebuilt.is_empty(), "{:?}", db.start().rebuilt);
    assert_eq!(db.verify().expect("a walk").faults, []);
}

#[test]
fn vectors_come_and_go_and_come_again_with_another_size() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path());
    let schema = Schema::new().vector(2, Metric::Euclid);
    let docs = db.create_collection("docs", schema).expect("a collection");
    docs.upsert((0..50).map(|id| Point::new(id).vector([id as f32, 1.0])).collect()).expect("written");
    docs.optimize(true).expect("a segment");
    with(&docs, |schema| schema.vectors.insert("v".to_owned(), VectorSpec::new(1, Metric::Euclid)));
    assert_eq!(nearest(&docs, "v", vec![1.0]), [0_u64; 0]);
    put(&docs, 10..40, "v", |id| vec![id as f32]);
    assert_eq!(nearest(&docs, "v", vec![20.0]), [20, 19, 21]);
    docs.optimize(true).expect("a segment");
    assert_eq!(nearest(&docs, "v", vec![20.0]), [20, 19, 21]);
    assert_whole(&db);

    with(&docs, |schema| schema.vectors.remove("v"));
    let error = docs.query().nearest_in("v", vec![1.0]).run().expect_err("it is gone");
    assert_eq!(error.field(), Some("using"));
    let all = docs.get(&[20.into()], &Select::all()).expect("a point");
    assert_eq!(all[0].vectors.len(), 1);
    with(&docs, |schema| schema.vectors.insert("v".to_owned(), VectorSpec::new(3, Metric::Dot)));
    assert_eq!(nearest(&docs, "v", vec![1.0, 0.0, 0.0]), [0_u64; 0], "nothing of the old one shows");
    put(&docs, 45..48, "v", |id| vec![id as f32, 0.0, 0.0]);
    assert_eq!(nearest(&docs, "v", vec![1.0, 0.0, 0.0]), [47, 46, 45]);
    assert_whole(&db);
    drop((docs, db));

    let db = open(folder.path());
    assert_whole(&db);
    let docs = db.collection("docs").expect("it is there");
    assert_eq!(nearest(&docs, "v", vec![1.0, 0.0, 0.0]), [47, 46, 45]);
    docs.optimize(true).expect("a segment");
    assert_eq!(nearest(&docs, "v", vec![1.0, 0.0, 0.0]), [47, 46, 45]);
    assert_eq!(nearest(&docs, "", vec![30.0, 1.0]), [30, 29, 31]);
    assert_whole(&db);
}

#[test]
fn sparse_vectors_and_multivectors_come_and_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path());
    let schema = Schema::new().vector(2, Metric::Euclid).sparse_vector("m", SparseSpec::default());
    let docs = db.create_collection("docs", schema).expect("a collection");
    let weight = |id: u64| Vector::from(SparseVector::of([(7, id as f32)]));
    let point = |id: u64, name: &str| {
        let mut point = Point::new(id).vector([id as f32, 1.0]);
        point.vectors.push((name.to_owned(), weight(id)));
        point
    };
    docs.upsert((0..30).map(|id| point(id, "m")).collect()).expect("written");
    docs.optimize(true).expect("a segment");
    // Before the other in the order of names, so that places change.
    with(&docs, |schema| schema.sparse.insert("a".to_owned(), SparseSpec::default()));
    docs.upsert((30..40).map(|id| point(id, "a")).collect()).expect("written");
    let best = |name: &str| {
        let hits = docs.query().nearest_in(name, SparseVector::of([(7, 1.0)])).limit(1).run().expect("hits");
        hits[0].id
    };
    assert_eq!((best("a"), best("m")), (39.into(), 29.into()));
    assert_whole(&db);
    with(&docs, |schema| schema.sparse.remove("m"));
    assert_eq!(best("a"), 39.into());
    with(&docs, |schema| {
        schema.multi.insert("m".to_owned(), VectorSpec::new(1, Metric::Dot));
    });
    let all = docs.get(&[29.into()], &Select::all()).expect("a point");
    assert_eq!(all[0].vectors.len(), 1, "nothing of the old one shows");
    docs.optimize(true).expect("a segment");
    assert_eq!(best("a"), 39.into());
    assert_whole(&db);
    drop(docs);
    drop(db);
    assert_whole(&open(folder.path()));
}

#[test]
fn what_is_stored_decides_what_cannot_be_changed() {
    let db = Database::in_memory().expect("a database");
    let schema = Schema::new().vector(2, Metric::Euclid);
    let docs = db.create_collection("docs", schema).expect("a collection");
    let other = VectorSpec::new(2, Metric::Dot);
    let error = docs.configure(move |schema| {
        schema.vectors.insert(String::new(), other);
        Ok(())
    });
    let error = error.expect_err("another metric");
    assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some("vectors.")));
    with(&docs, |schema| {
        schema.vectors.values_mut().for_each(|spec| spec.codes = Codes::Bits1);
        schema.recall = Some(0.9);
    });
    assert_eq!((docs.schema().recall, docs.schema().vectors[""].codes), (Some(0.9), Codes::Bits1));
}

/// The description of a collection that was made with a body and then changed with others.
fn told(server: &Running, body: &Value, changes: &[Value]) -> Value {
    let answer = server.ask("PUT", "/collections/c", Some(body));
    assert_eq!(answer.status, 200, "{}", answer.body);
    for change in changes {
        let answer = server.ask("PATCH", "/collections/c", Some(change));
        assert_eq!((answer.status, &answer.body["result"]), (200, &json!(true)), "{}", answer.body);
    }
    let config = server.ask("GET", "/collections/c", None).body["result"]["config"].take();
    assert_eq!(server.ask("DELETE", "/collections/c", None).status, 200);
    config
}

#[test]
fn what_was_set_is_told_and_nothing_else() {
    let server = Running::over(Database::in_memory().expect("a database"));
    let config = told(&server, &json!({"vectors": {"size": 2, "distance": "Dot"}}), &[]);
    assert_eq!(config["params"]["vectors"], json!({"size": 2, "distance": "Dot"}));
    assert_eq!(config["optimizer_config"]["indexing_threshold"], 10_000);
    assert!(config.get("metadata").is_none() && config.get("strict_mode_config").is_none());
    let named = json!({"vectors": {"": {"size": 2, "distance": "Dot"}}});
    assert_eq!(told(&server, &named, &[])["params"]["vectors"], named["vectors"]);
    let vectors = json!({
        "a": {
            "size": 2, "distance": "Dot", "on_disk": true, "datatype": "float32", "hnsw_config": {"m": 8},
            "quantization_config": {"product": {"compression": "x32", "always_ram": true}},
        },
        "b": {"size": 2, "distance": "Dot", "memory": "cold"},
    });
    let sparse = json!({"s": {"index": {"on_disk": true, "memory": "cold"}, "modifier": "idf"}});
    let body = json!({
        "vectors": vectors, "sparse_vectors": sparse, "shard_number": 3, "replication_factor": 2,
        "write_consistency_factor": 2, "on_disk_payload": false, "sharding_method": "custom",
        "read_fan_out_factor": 2, "read_fan_out_delay_ms": null,
        "hnsw_config": {"ef_construct": 50}, "wal_config": {"wal_capacity_mb": 8},
        "optimizers_config": {"memmap_threshold": 500, "max_optimization_threads": "auto"},
        "strict_mode_config": {"enabled": true, "max_query_limit": 10}, "metadata": {"a": {"b": 1}},
        "quantization_config": {"binary": {"encoding": "two_bits"}},
    });
    let config = told(&server, &body, &[]);
    let params = json!({
        "vectors": vectors, "sparse_vectors": sparse, "shard_number": 3, "replication_factor": 2,
        "write_consistency_factor": 2, "on_disk_payload": false, "sharding_method": "custom",
        "read_fan_out_factor": 2,
    });
    assert_eq!(config["params"], params);
    assert_eq!(
        (&config["hnsw_config"]["m"], &config["hnsw_config"]["ef_construct"]),
        (&json!(16), &json!(50))
    );
    assert_eq!(config["wal_config"], json!({"wal_capacity_mb": 8, "wal_segments_ahead": 0}));
    assert_eq!(config["optimizer_config"]["memmap_threshold"], 500);
    assert!(config["optimizer_config"].get("max_optimization_threads").is_none());
    for member in ["strict_mode_config", "metadata", "quantization_config"] {
        assert_eq!(config[member], body[member]);
    }
    let changes = [
        json!({"vectors": {"a": {"hnsw_config": {"ef_construct": 60}, "on_disk": false}}, "metadata": {"c": 2}}),
        json!({"params": {"on_disk_payload": true}, "metadata": {"a": null}, "quantization_config": "Disabled"}),
        json!({"sparse_vectors": {"s": {"index": {"on_disk": false}}}}),
    ];
    let config = told(&server, &body, &changes);
    let a = &config["params"]["vectors"]["a"];
    assert_eq!((&a["hnsw_config"], &a["on_disk"]), (&json!({"m": 8, "ef_construct": 60}), &json!(false)));
    assert_eq!((&config["metadata"], &config["quantization_config"]), (&json!({"c": 2}), &json!(null)));
    assert_eq!(config["params"]["sparse_vectors"]["s"]["index"], json!({"on_disk": false, "memory": "cold"}));
    assert_eq!(config["params"]["on_disk_payload"], true);
}

#[test]
fn vectors_come_and_go_over_http() {
    let server = Running::over(Database::in_memory().expect("a database"));
    let body = json!({"vectors": {"a": {"size": 2, "distance": "Dot"}}});
    assert_eq!(server.ask("PUT", "/collections/c", Some(&body)).status, 200);
    let put = |name: &str, body: Value| {
        let answer = server.ask("PUT", &format!("/collections/c/vectors/{name}"), Some(&body));
        (answer.status, answer.field.unwrap_or_default())
    };
    let dense = json!({"dense": {"size": 3, "distance": "Cosine", "datatype": "float16"}});
    assert_eq!(put("b", dense.clone()), (200, String::new()));
    assert_eq!(put("b", dense), (200, String::new()), "it is there as it is asked for");
    assert_eq!(put("s", json!({"sparse": {"modifier": "idf"}})).0, 200);
    let small = json!({"dense": {"size": 3, "distance": "Dot", "datatype": "turbo4"}});
    assert_eq!(put("small", small), (200, String::new()));
    let refused = [
        ("b", json!({"dense": {"size": 4, "distance": "Cosine"}}), 409, "vector_name"),
        ("s", json!({"dense": {"size": 4, "distance": "Cosine"}}), 409, "vector_name"),
        ("x", json!({"dense": {"size": 0, "distance": "Cosine"}}), 422, "dense.size"),
        ("x", json!({"dense": {"size": 4, "distance": "Far"}}), 400, "dense.distance"),
        ("x", json!({"sparse": {"modifier": "tf"}}), 400, "sparse.modifier"),
        ("x", json!({"sparse": {"datatype": "turbo4"}}), 400, "sparse.datatype"),
        ("x", json!({"dens": {}}), 400, "body"),
        ("x%2Fy", json!({"sparse": {}}), 422, "vector_name"),
    ];
    for (name, body, status, field) in refused {
        assert_eq!(put(name, body.clone()), (status, field.to_owned()), "{body}");
    }
    let info = server.ask("GET", "/collections/c", None).body;
    let params = &info["result"]["config"]["params"];
    assert_eq!(params["vectors"]["b"], json!({"size": 3, "distance": "Cosine", "datatype": "float16"}));
    assert_eq!(params["vectors"]["small"], json!({"size": 3, "distance": "Dot", "datatype": "turbo4"}));
    assert_eq!(params["sparse_vectors"], json!({"s": {"modifier": "idf"}}));
    let drop = |name: &str| server.ask("DELETE", &format!("/collections/c/vectors/{name}"), None);
    assert_eq!(drop("b").body["result"]["status"], "acknowledged", "it was not asked to wait");
    let gone = drop("b");
    assert_eq!((gone.status, gone.field.as_deref()), (400, Some("vector_name")));
}

#[test]
fn where_a_vector_is_kept_follows_what_was_said_last() {
    let db = Database::in_memory().expect("a database");
    let server = Running::over(db.clone());
    let vectors = json!({
        "a": {"size": 2, "distance": "Dot"}, "b": {"size": 2, "distance": "Dot", "on_disk": false},
        "c": {"size": 2, "distance": "Dot", "memory": "cached"}, "d": {"size": 2, "distance": "Dot", "memory": "cold"},
        "m": {"size": 2, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}},
    });
    assert_eq!(server.ask("PUT", "/collections/c", Some(&json!({"vectors": vectors}))).status, 200);
    let kept = || {
        let schema = db.collection("c").expect("it is there").schema();
        schema.vectors.values().map(|spec| spec.memory).collect::<Vec<_>>()
    };
    assert_eq!(kept(), [Memory::Cold, Memory::Cached, Memory::Cached, Memory::Cold]);
    let mapped = json!({"on_disk": false});
    let change = json!({"vectors": {"a": mapped, "c": {"memory": "cold"}, "m": mapped}});
    assert_eq!(server.ask("PATCH", "/collections/c", Some(&change)).status, 200);
    assert_eq!(kept(), [Memory::Cached, Memory::Cached, Memory::Cold, Memory::Cold]);
    let config = server.ask("GET", "/collections/c", None).body["result"]["config"].take();
    assert_eq!(config["params"]["vectors"]["a"], json!({"size": 2, "distance": "Dot", "on_disk": false}));
    let rows = &config["params"]["vectors"]["m"];
    assert_eq!((&rows["on_disk"], rows.get("memory")), (&json!(false), None), "as it was set, and no more");
}

/// A client that waits for this number must not wait for what never comes.
#[test]
fn a_space_above_the_threshold_that_was_set_counts_as_indexed_once_nothing_is_built_for_it() {
    let server = Running::over(Database::in_memory().expect("a database"));
    let body = json!({
        "vectors": {"large": {"size": 64, "distance": "Dot"}, "small": {"size": 1, "distance": "Dot"}},
        "optimizers_config": {"indexing_threshold": 10},
    });
    assert_eq!(server.ask("PUT", "/collections/c", Some(&body)).status, 200);
    let told = || {
        let told = server.ask("GET", "/collections/c", None).body;
        (told["result"]["indexed_vectors_count"].clone(), told["result"]["status"].clone())
    };
    let put = |ids: std::ops::Range<u32>| {
        let vector = |id: u32| json!({"large": vec![id; 64], "small": [id]});
        let points: Vec<Value> = ids.map(|id| json!({"id": id, "vector": vector(id)})).collect();
        let answer = server.ask("PUT", "/collections/c/points", Some(&json!({"points": points})));
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    // 39 * 64 * 4 bytes are less than 10 KiB, 40 are not.
    put(0..39);
    assert_eq!(told(), (json!(0), json!("green")));
    put(39..40);
    assert_eq!(told(), (json!(40), json!("green")));
    put(0..40);
    assert_eq!(told().0, 40, "as many as there are, however often they are written");
    for (threshold, count) in [(json!(0), 0), (json!(11), 0), (json!(1), 40), (json!(10_000), 0)] {
        let change = json!({"optimizers_config": {"indexing_threshold": threshold}});
        assert_eq!(server.ask("PATCH", "/collections/c", Some(&change)).status, 200);
        assert_eq!(told().0, count, "{change}");
    }
    let sparse = json!({"sparse_vectors": {"s": {}}});
    assert_eq!(server.ask("PUT", "/collections/words", Some(&sparse)).status, 200);
    let points = json!({"points": [{"id": 1, "vector": {"s": {"indices": [1], "values": [1.0]}}}]});
    assert_eq!(server.ask("PUT", "/collections/words/points", Some(&points)).status, 200);
    let told = server.ask("GET", "/collections/words", None).body;
    assert_eq!(told["result"]["indexed_vectors_count"], 1, "lists find it at once");
}
