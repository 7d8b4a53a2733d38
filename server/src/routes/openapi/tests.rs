//! The document beside the routes that it describes.

use std::collections::BTreeMap;
use std::time::Duration;

use kithdb::Database;

use super::super::{addresses, all};
use super::*;
use crate::door::Door;

/// Every value below one that is an object with this member.
fn each<'a>(value: &'a Value, member: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get(member));
            members.values().for_each(|inner| each(inner, member, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| each(inner, member, found)),
        _ => {}
    }
}

#[test]
fn every_route_has_an_entry_and_every_entry_a_route() {
    let mut entries: Vec<(String, String)> =
        operations().iter().map(|entry| (entry.method().to_owned(), entry.path().to_owned())).collect();
    let mut routes = addresses();
    entries.sort();
    routes.sort();
    assert_eq!(entries, routes);
    let told = document(&all());
    let mut ids = Vec::new();
    each(&told["paths"], "operationId", &mut ids);
    assert_eq!(ids.len(), routes.len());
    let mut unique: Vec<&str> = ids.iter().filter_map(|id| id.as_str()).collect();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), routes.len(), "an operation has the name of another");
}

#[test]
fn every_name_is_of_one_schema_and_every_reference_leads_to_one() {
    let mut known: BTreeMap<String, Value> = BTreeMap::new();
    for (name, shown) in schema::components() {
        let shown = serde_json::to_value(shown).expect("JSON");
        let before = known.entry(name.clone()).or_insert_with(|| shown.clone());
        assert_eq!(*before, shown, "two types are called {name}");
    }
    let told = document(&all());
    let mut references = Vec::new();
    each(&told, "$ref", &mut references);
    assert!(references.len() > 500, "{}", references.len());
    for reference in references {
        let pointer = reference.as_str().and_then(|reference| reference.strip_prefix('#')).expect("a place");
        assert!(told.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn what_reads_points_may_say_how_many_copies_are_asked() {
    let told = document(&all());
    let says = |path: &str, method: &str| {
        let entry = &told["paths"][format!("/collections/{{collection}}{path}")][method];
        let parameters = entry["parameters"].as_array().expect("parameters");
        parameters.iter().any(|parameter| parameter["name"] == "consistency")
    };
    for path in ["", "/query", "/query/batch", "/scroll", "/count", "/search", "/search/matrix/pairs"] {
        assert!(says(&format!("/points{path}"), "post"), "{path}");
    }
    assert!(says("/points/{id}", "get") && says("/facet", "post"));
    assert!(!says("/points", "put") && !says("", "get"));
}

/// Calls routes one after the other, as their entries say.
struct Caller {
    door: Door,
    snapshot: String,
    location: String,
    cursor: String,
}

impl Caller {
    fn call(&mut self, entry: &Operation) {
        let of_all = entry.path().starts_with("/snapshots");
        let fill = [
            ("{collection}", "books"),
            ("{vector}", "blurb"),
            ("{field}", "genre"),
            ("{id}", "1"),
            ("{snapshot}", &self.snapshot),
            ("{cursor}", &self.cursor),
        ];
        let path = fill.iter().fold(entry.path().to_owned(), |path, (part, name)| path.replace(part, name));
        let mut body = entry.example.as_ref().map(|(body, _)| body.clone());
        if let Some(location) = body.as_mut().and_then(|body| body.get_mut("location")) {
            *location = self.location.clone().into();
        }
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let asked = self.door.ask(entry.method(), &path, body).expect("a request");
        let answer = asked.wait(Duration::from_secs(60)).expect("an answer").expect("in time");
        let text = String::from_utf8_lossy(&answer.body).chars().take(300).collect::<String>();
        assert_eq!(answer.status, 200, "{} {path}: {text}", entry.method());
        let Ok(told) = serde_json::from_slice::<Value>(&answer.body) else { return };
        if let Some(cursor) = told["result"]["cursor"].as_str() {
            cursor.clone_into(&mut self.cursor);
        }
        if let (Some(name), true) = (told["result"]["name"].as_str(), told["result"]["checksum"].is_string())
        {
            name.clone_into(&mut self.snapshot);
            let folder = self.door.state().database().snapshots_folder();
            let folder = if of_all { folder.join("all") } else { folder.join("collections/books") };
            self.location = format!("file://{}", folder.join(name).display());
        }
    }
}

#[test]
fn every_example_works_when_it_is_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let door = Door::new(Database::open(folder.path()).expect("a database"), None, None).expect("a door");
    let mut caller = Caller { door, snapshot: String::new(), location: String::new(), cursor: String::new() };
    let all = operations();
    for entry in &all {
        if let Some((example, is_one)) = &entry.example {
            assert!(is_one(example.to_string().as_bytes()), "the example of {} is no body", entry.path());
        }
    }
    // What only a cluster can do, and what takes a file, is asked elsewhere.
    let is_asked = |entry: &&Operation| entry.is_tried() && !entry.takes_file();
    let turn = |entry: &&Operation| match (entry.method(), entry.path()) {
        ("PUT", "/collections/{collection}") => 0,
        ("PUT", "/collections/{collection}/points") => 1,
        ("DELETE", "/collections/{collection}") => 5,
        ("DELETE", path) if path.starts_with("/snapshots") => 4,
        (_, path) if path.starts_with("/snapshots") => 3,
        ("DELETE", _) => 2,
        _ => 1,
    };
    let mut asked: Vec<&Operation> = all.iter().filter(is_asked).collect();
    asked.sort_by_key(turn);
    let is_upsert =
        |entry: &&Operation| entry.path() == "/collections/{collection}/points" && entry.method() == "PUT";
    let upsert = asked.iter().position(is_upsert).expect("it is there");
    let upsert = asked.remove(upsert);
    asked.insert(1, upsert);
    asked.iter().for_each(|entry| caller.call(entry));
}
