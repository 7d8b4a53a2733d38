//! HTTP as a door: a case's JSON becomes requests in the Qdrant dialect.

use kithdb::{Database, Payload, Value};
use serde_json::json;

use super::case::{Door, Outcome, Refusal, Step};
use crate::http::{Answer, Running};

const PATH: &str = "/collections/case";

pub(super) struct HttpDoor {
    server: Running,
}

impl HttpDoor {
    pub(super) fn new() -> Self {
        Self { server: Running::over(Database::in_memory().expect("a database")) }
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, Refusal> {
        let Answer { status, field, mut body, .. } = self.server.ask(method, path, Some(body));
        let kind = match status {
            200 => {
                assert_eq!(body["status"], "ok", "{body}");
                assert!(body["time"].is_f64(), "{body}");
                return Ok(body["result"].take());
            }
            400 | 413 | 422 => "invalid",
            404 => "not_found",
            409 => "exists",
            412 => "conflict",
            _ => panic!("{method} {path}: {status} {body}"),
        };
        let text = body["status"]["error"].as_str().unwrap_or_else(|| panic!("no envelope: {body}"));
        if let (400, Some(field)) = (status, &field) {
            // A vector that there is not is named in the words of the dialect, the field in the header.
            let is_unknown = text.starts_with("Wrong input: Not existing vector name error: ");
            assert!(is_unknown || text.contains(field.as_str()), "`{text}` does not name {field}");
        }
        Err(Refusal { kind, field })
    }

    fn write(&self, verb: &str, body: &Value) -> Result<Outcome, Refusal> {
        let (method, path) = match verb {
            "upsert" => ("PUT", "/points?wait=true&ordering=strong&timeout=10"),
            "set_payload" => ("POST", "/points/payload?wait=true"),
            "overwrite_payload" => ("PUT", "/points/payload"),
            "delete_payload" => ("POST", "/points/payload/delete?wait=true&ordering=weak"),
            "clear_payload" => ("POST", "/points/payload/clear?wait=false"),
            "update_vectors" => ("PUT", "/points/vectors?wait=true"),
            "delete_vectors" => ("POST", "/points/vectors/delete?timeout=10"),
            other => panic!("no write: {other}"),
        };
        self.change(method, path, body)
    }

    fn batch(&self, operations: &Value) -> Result<Outcome, Refusal> {
        let path = format!("{PATH}/points/batch?wait=true");
        let result = self.ask("POST", &path, &json!({"operations": operations}))?;
        let (result, operations) = (result.as_array(), operations.as_array());
        assert_eq!(result.map(Vec::len), operations.map(Vec::len));
        assert!(result.into_iter().flatten().all(|one| one["status"] == "completed"), "{result:?}");
        Ok(Outcome::Done)
    }

    fn change(&self, method: &str, path: &str, body: &Value) -> Result<Outcome, Refusal> {
        let result = self.ask(method, &format!("{PATH}{path}"), body)?;
        // It is done either way; the word is that of the dialect.
        let status = if path.contains("wait=true") { "completed" } else { "acknowledged" };
        assert_eq!(result["status"], status, "{result}");
        assert!(result["operation_id"].is_u64(), "{result}");
        Ok(Outcome::Done)
    }
}

impl Door for HttpDoor {
    fn create(&self, schema: &Value) -> Result<(), Refusal> {
        self.ask("PUT", PATH, &schema_of(schema)).map(|result| assert_eq!(result, true))
    }

    fn perform(&self, step: &Step) -> Result<Outcome, Refusal> {
        let read = |path: &str, body: &Value| self.ask("POST", &format!("{PATH}{path}"), body);
        match step {
            Step::Create(name, schema) => {
                let path = format!("/collections/{}", escaped(name));
                self.ask("PUT", &path, &schema_of(schema)).map(|_| Outcome::Done)
            }
            Step::Upsert(points) => self.change("PUT", "/points?wait=true", &json!({"points": points})),
            Step::Write(verb, body) => self.write(verb, body),
            Step::Batch(operations) => self.batch(operations),
            Step::Transaction(operations) => {
                let result = self.ask("POST", "/api/v1/transaction", &json!({"operations": operations}))?;
                assert!(result["seqno"].is_u64(), "{result}");
                Ok(Outcome::Done)
            }
            Step::DeleteIds(ids) => self.change("POST", "/points/delete?wait=true", &json!({"points": ids})),
            Step::DeleteWhere(filter) => self.change("POST", "/points/delete", &json!({"filter": filter})),
            Step::CreateField(path, kind) => {
                self.change("PUT", "/index?wait=true", &json!({"field_name": path, "field_schema": kind}))
            }
            Step::DropField(path) => self.change("DELETE", &format!("/index/{}", escaped(path)), &json!({})),
            Step::Get(ids) => {
                let points =
                    read("/points", &json!({"ids": ids, "with_payload": true, "with_vector": true}))?;
                Ok(Outcome::Points(points_of(&points), None))
            }
            Step::Scroll(with) => {
                let page = read("/points/scroll", with)?;
                let next = Some(page["next_page_offset"].clone()).filter(|next| !next.is_null());
                Ok(Outcome::Points(points_of(&page["points"]), next))
            }
            Step::Count(filter) => {
                let count = read("/points/count", &json!({"filter": filter, "exact": true}))?;
                Ok(Outcome::Count(count["count"].as_u64().expect("a count")))
            }
            Step::Query(with) => {
                let found = read("/points/query", &query_of(with))?;
                Ok(Outcome::Points(points_of(&found["points"]), None))
            }
            Step::Facet(with) => {
                let found = read("/facet", with)?;
                let row = |hit: &Value| json!([hit["value"], hit["count"]]);
                Ok(Outcome::Rows(found["hits"].as_array().expect("hits").iter().map(row).collect()))
            }
            Step::Groups(with) => {
                let found = read("/points/query/groups", &query_of(with))?;
                let row = |group: &Value| {
                    let ids = group["hits"].as_array().expect("hits").iter().map(|hit| hit["id"].clone());
                    std::iter::once(group["id"].clone()).chain(ids).collect()
                };
                Ok(Outcome::Rows(found["groups"].as_array().expect("groups").iter().map(row).collect()))
            }
        }
    }

    fn count(&self) -> u64 {
        match self.perform(&Step::Count(json!({}))) {
            Ok(Outcome::Count(count)) => count,
            other => panic!("no count: {other:?}"),
        }
    }
}

/// A part of a path with everything escaped that could mean something.
pub(super) fn escaped(part: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    part.bytes().map(escape).collect()
}

/// The unnamed vector stands alone if it is, named ones in an object.
fn schema_of(schema: &Value) -> Value {
    let mut body = schema.clone();
    if let Some(unnamed) = body["vectors"].get("").cloned()
        && body["vectors"].as_object().is_some_and(|named| named.len() == 1)
    {
        body["vectors"] = unnamed;
    }
    if body["vectors"].is_null() {
        body["vectors"] = json!({});
    }
    body
}

fn points_of(points: &Value) -> Vec<Value> {
    let point = |point: &Value| {
        let vectors = match &point["vector"] {
            Value::Array(list) => json!({"": list}),
            Value::Object(named) => Value::Object(named.clone()),
            _ => json!({}),
        };
        let payload = point["payload"].as_object().cloned().unwrap_or_else(Payload::new);
        json!({"id": point["id"], "score": point["score"], "payload": payload, "vectors": vectors,
            "highlight": point["highlight"]})
    };
    points.as_array().expect("a list of points").iter().map(point).collect()
}

fn query_of(with: &Value) -> Value {
    let (mut body, mut params) = (Payload::new(), Payload::new());
    for (member, value) in with.as_object().into_iter().flatten() {
        let (member, value) = match member.as_str() {
            "legs" => {
                let legs = value.as_array().into_iter().flatten();
                ("prefetch", legs.map(query_of).collect::<Vec<Value>>().into())
            }
            "nearest" => ("query", json!({"nearest": value})),
            "keyword" => ("query", json!({"keyword": value})),
            "rrf" if *value == 2 => ("query", json!({"fusion": "rrf"})),
            "rrf" => ("query", json!({"rrf": {"k": value}})),
            "exact" | "ef" | "recall" => {
                let member = if member == "ef" { "hnsw_ef" } else { member };
                params.insert(member.to_owned(), value.clone());
                continue;
            }
            "corpus" => {
                params.insert("idf".to_owned(), json!({"corpus": value}));
                continue;
            }
            other => (other, value.clone()),
        };
        body.insert(member.to_owned(), value);
    }
    if !params.is_empty() {
        body.insert("params".to_owned(), params.into());
    }
    body.into()
}
