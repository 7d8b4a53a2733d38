//! Further names of collections: all or none, through every route, through reopening.

use kithdb::{
    AliasChange, Database, ErrorKind, Metric, Op, Point, PointId, Schema, Select, Transaction, Value,
};
use serde_json::json;

use crate::http::Running;

fn set(alias: &str, collection: &str) -> AliasChange {
    AliasChange::Set { alias: alias.to_owned(), collection: collection.to_owned() }
}

fn rename(from: &str, to: &str) -> AliasChange {
    AliasChange::Rename { from: from.to_owned(), to: to.to_owned() }
}

fn make(db: &Database, names: &[&str]) {
    for name in names {
        db.create_collection(name, Schema::new().vector(1, Metric::Dot)).expect("a collection");
    }
}

fn told(db: &Database) -> Vec<(String, String)> {
    db.aliases().into_iter().collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(alias, name)| ((*alias).to_owned(), (*name).to_owned())).collect()
}

#[test]
fn aliases_survive_reopening_and_go_with_their_collection() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = Database::open(folder.path()).expect("a database");
    make(&db, &["a", "b"]);
    db.change_aliases(vec![set("x", "a"), set("y", "b"), rename("x", "z"), set("ä", "a")]).expect("changed");
    drop(db);
    let db = Database::open(folder.path()).expect("a database");
    assert_eq!(told(&db), pairs(&[("y", "b"), ("z", "a"), ("ä", "a")]));
    assert_eq!(db.collection("z").expect("by its alias").name(), "a");
    assert!(!db.drop_collection("z").expect("asked"), "an alias is no name of what is dropped");
    assert!(db.drop_collection("a").expect("asked"));
    drop(db);
    let db = Database::open(folder.path()).expect("a database");
    assert_eq!(told(&db), pairs(&[("y", "b")]));
    db.change_aliases(vec![AliasChange::Remove { alias: "y".to_owned() }]).expect("changed");
    drop(db);
    assert_eq!(told(&Database::open(folder.path()).expect("a database")), pairs(&[]));
}

#[test]
fn a_batch_that_fails_changes_nothing() {
    let db = Database::in_memory().expect("a database");
    make(&db, &["a", "b"]);
    db.change_aliases(vec![set("x", "a")]).expect("changed");
    let cases = [
        (set("y", "none"), ErrorKind::NotFound, "actions[1].collection_name"),
        (set("y", "x"), ErrorKind::NotFound, "actions[1].collection_name"),
        (set("b", "a"), ErrorKind::AlreadyExists, "actions[1].alias_name"),
        (set("a/b", "a"), ErrorKind::InvalidArgument, "actions[1].alias_name"),
        (rename("none", "y"), ErrorKind::NotFound, "actions[1].old_alias_name"),
        (rename("x", "b"), ErrorKind::AlreadyExists, "actions[1].new_alias_name"),
    ];
    for (change, kind, field) in cases {
        let error = db.change_aliases(vec![set("x", "b"), change]).expect_err(field);
        assert_eq!((error.kind(), error.field()), (kind, Some(field)));
        assert_eq!(told(&db), pairs(&[("x", "a")]));
    }
    let error = db.create_collection("x", Schema::new()).expect_err("the name is taken");
    assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some("collection_name")));
}

/// An alias moves to what was made of a collection only if nothing has come into it since.
#[test]
fn a_collection_that_has_changed_lets_no_alias_move() {
    let db = Database::in_memory().expect("a database");
    make(&db, &["a", "b"]);
    db.change_aliases(vec![set("x", "a")]).expect("changed");
    let a = db.collection("a").expect("it is there");
    let put = |id: u64| a.upsert(vec![Point::new(id).vector([1.0])]).expect("written").seqno;
    let require = |seqno| AliasChange::Require { collection: "a".to_owned(), seqno };
    let (first, second) = (put(1), put(2));
    let error = db.change_aliases(vec![set("x", "b"), require(first)]).expect_err("it has changed");
    assert_eq!((error.kind(), error.field()), (ErrorKind::Conflict, Some("actions[1].seqno")));
    assert_eq!(told(&db), pairs(&[("x", "a")]));
    db.change_aliases(vec![require(second), set("x", "b")]).expect("it is as it was");
    assert_eq!(told(&db), pairs(&[("x", "b")]));
    // What is committed elsewhere is no change of it.
    db.collection("b").expect("it is there").upsert(vec![Point::new(1).vector([1.0])]).expect("written");
    db.change_aliases(vec![require(a.reading().expect("a state").seqno()), set("x", "a")]).expect("changed");
    assert_eq!(told(&db), pairs(&[("x", "a")]));
    let gone = AliasChange::Require { collection: "none".to_owned(), seqno: second };
    let error = db.change_aliases(vec![gone]).expect_err("there is none");
    assert_eq!((error.kind(), error.field()), (ErrorKind::NotFound, Some("actions[0].collection_name")));
}

/// Each write of a collection has versions of its own, by whatever name it comes.
#[test]
fn a_transaction_names_a_collection_and_its_alias_as_one() {
    let db = Database::in_memory().expect("a database");
    make(&db, &["a"]);
    db.change_aliases(vec![set("x", "a")]).expect("changed");
    let put = |id: u64| vec![Op::Upsert(Point::new(id).vector([id as f32]).with("n", id))];
    let transaction = Transaction::new().on("a", put(1)).on("x", put(2)).on("a", put(3));
    db.commit(transaction).expect("one commit");
    let points = db.collection("a").expect("it is there").get(&[1, 2, 3].map(PointId::Num), &Select::all());
    let payloads: Vec<Option<u64>> =
        points.expect("points").iter().map(|point| point.payload["n"].as_u64()).collect();
    assert_eq!(payloads, [Some(1), Some(2), Some(3)]);
    assert_eq!(db.verify().expect("a walk").faults, []);
}

#[test]
fn every_route_takes_an_alias() {
    let db = Database::in_memory().expect("a database");
    make(&db, &["a", "b"]);
    db.collection("a").expect("it is there").upsert(vec![Point::new(7).vector([1.0])]).expect("written");
    let server = Running::over(db);
    let ask = |method: &str, path: &str, body: Value| {
        let answer = server.ask(method, path, Some(&body));
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.body);
        answer.body["result"].clone()
    };
    let actions = json!({"actions": [
        {"create_alias": {"collection_name": "a", "alias_name": "x"}},
        {"create_alias": {"collection_name": "b", "alias_name": "y"}},
        {"rename_alias": {"old_alias_name": "y", "new_alias_name": "z"}},
    ]});
    assert_eq!(ask("POST", "/collections/aliases", actions), true);
    let x = json!({"alias_name": "x", "collection_name": "a"});
    let z = json!({"alias_name": "z", "collection_name": "b"});
    assert_eq!(ask("GET", "/aliases", json!(null)), json!({"aliases": [x, z]}));
    assert_eq!(ask("GET", "/collections/a/aliases", json!(null)), json!({"aliases": [x]}));
    assert_eq!(ask("GET", "/collections/x/aliases", json!(null)), json!({"aliases": [x]}));
    assert_eq!(ask("GET", "/collections/x/exists", json!(null)), json!({"exists": true}));
    assert_eq!(ask("GET", "/collections/x", json!(null))["points_count"], 1);
    assert_eq!(ask("POST", "/collections/x/points/count", json!({}))["count"], 1);
    let lookup = json!({"query": 7, "lookup_from": {"collection": "x"}});
    ask("PUT", "/collections/z/points", json!({"points": [{"id": 1, "vector": [2.0]}]}));
    assert_eq!(ask("POST", "/collections/z/points/query", lookup)["points"][0]["id"], 1);
    assert_eq!(ask("DELETE", "/collections/x", json!(null)), false);
    let switch = json!({"actions": [
        {"delete_alias": {"alias_name": "x"}}, {"create_alias": {"collection_name": "b", "alias_name": "x"}},
    ]});
    ask("POST", "/collections/aliases", switch);
    assert_eq!(ask("GET", "/collections/x", json!(null))["points_count"], 1);
    let bad = server.ask("POST", "/collections/aliases", Some(&json!({"actions": [{"make_alias": {}}]})));
    assert_eq!((bad.status, bad.field.as_deref()), (400, Some("actions[0]")));
}
