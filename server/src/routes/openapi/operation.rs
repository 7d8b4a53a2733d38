//! One route as it is described.

use std::collections::BTreeMap;

use kithdb::{Result, Value};
use serde::de::DeserializeOwned;
use serde_json::{Map, json};
use utoipa::ToSchema;

use super::super::Call;
use crate::access::Need;
use crate::wire::schema::{self, Shown, Told};

/// A route, what it is for, what it takes and what it gives.
pub(super) struct Operation {
    method: &'static str,
    path: String,
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    description: Option<&'static str>,
    parameters: Vec<Value>,
    body: Option<Value>,
    /// The example of the body, and whether it is read as one.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests look whether the examples are understood"))]
    pub(super) example: Option<(Value, Reads)>,
    /// What is answered when all is well; nothing where it never is.
    answer: Option<Value>,
    /// Whether it may be answered before it is done.
    is_later: bool,
    /// Whether its errors have the shape of OpenAI's.
    is_openai: bool,
    /// Whether tests of its own try it, and not the one of all examples.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test looks at it"))]
    is_elsewhere: bool,
    /// Further statuses of errors.
    further: Vec<u16>,
}

/// Whether a body is read without an error.
pub(super) type Reads = fn(&[u8]) -> bool;

/// The statuses of errors, each with when it is met.
const ERRORS: [(u16, &str); 19] = [
    (400, "Something is asked that cannot be; the text and the header kithdb-error-field name it"),
    (401, "No key was shown, or none that counts"),
    (403, "The key has not the right"),
    (404, "There is no such collection, point or snapshot"),
    (405, "Nothing that a single node can do"),
    (406, "The header accept leaves out application/json or text/event-stream"),
    (408, "Not done in time"),
    (409, "There is one already"),
    (412, "A point has another version"),
    (413, "The body is larger than the limit body_bytes_max"),
    (415, "The header content-type is another than application/json"),
    (422, "A value of the right type that can never be"),
    (429, "The collection has had its operations of a minute"),
    (431, "The address and the header are too long"),
    (500, "A defect of the server, or of its disk; the log says more"),
    (502, "The serving engine failed; the text says how"),
    (503, "The server is busy, or takes no more writes"),
    (504, "The serving engine took too long"),
    (507, "The disk is full; reads and deletions go on"),
];

/// Points, collections and so on as examples name them.
const PARTS: [(&str, &str, &str); 15] = [
    ("collection", "The collection, or an alias of it", "books"),
    ("vector", "The name of a vector", "blurb"),
    ("field", "The path of a payload field", "genre"),
    ("id", "The id of a point", "1"),
    ("snapshot", "The name of a snapshot", "books-9-2026-01-01T00-00-00-000000Z.snapshot"),
    ("cursor", "The name of a cursor", "936da01f-9abd-4d9d-80c7-02af85c822a8"),
    ("peer", "The number of a node", "1"),
    ("shard", "The number of a shard: there is one, 0", "0"),
    ("document", "The id of a document", "936da01f-9abd-4d9d-80c7-02af85c822a8"),
    ("job", "The id of a job", "936da01f-9abd-4d9d-80c7-02af85c822a8"),
    ("source", "The id of a source", "936da01f-9abd-4d9d-80c7-02af85c822a8"),
    ("model", "The name of a model", "rag:books"),
    ("response", "The id of a response", "resp_1"),
    ("file", "The id of a file", "file-1"),
    ("batch", "The id of a batch", "vsfb_1"),
];

impl Operation {
    pub(super) fn new(
        method: &'static str,
        path: &str,
        id: &'static str,
        tag: &'static str,
        summary: &'static str,
    ) -> Self {
        Self {
            method,
            path: path.to_owned(),
            id,
            tag,
            summary,
            description: None,
            parameters: Vec::new(),
            body: None,
            example: None,
            answer: None,
            is_later: false,
            is_openai: false,
            is_elsewhere: false,
            further: Vec::new(),
        }
    }

    /// Says more.
    pub(super) fn saying(self, description: &'static str) -> Self {
        Self { description: Some(description), ..self }
    }

    /// The body, by an example.
    pub(super) fn body<T: DeserializeOwned + ToSchema>(self, example: Value) -> Self {
        let is_one = |bytes: &[u8]| crate::wire::parse::<T>(bytes).is_ok();
        self.body_of(schema::named::<T>(), example, is_one, true)
    }

    /// A body that may be left out.
    pub(super) fn body_perhaps<T: DeserializeOwned + ToSchema>(self, example: Value) -> Self {
        let is_one = |bytes: &[u8]| crate::wire::parse::<T>(bytes).is_ok();
        self.body_of(schema::named::<T>(), example, is_one, false)
    }

    /// A body that is read otherwise than as its type.
    pub(super) fn body_like(self, shown: Shown, example: Value) -> Self {
        self.body_of(shown, example, |_| true, true)
    }

    fn body_of(self, shown: Shown, example: Value, is_one: Reads, is_needed: bool) -> Self {
        let content = json!({"schema": value(shown), "example": example});
        let body = json!({"required": is_needed, "content": {"application/json": content}});
        Self { body: Some(body), example: Some((example, is_one)), ..self }
    }

    /// A body that is no JSON.
    pub(super) fn file(self, kinds: &[&str]) -> Self {
        let binary = json!({"schema": binary()});
        let content: Map<String, Value> =
            kinds.iter().map(|kind| ((*kind).to_owned(), binary.clone())).collect();
        Self { body: Some(json!({"required": true, "content": content})), ..self }
    }

    /// The answer is what this handler returns.
    pub(super) fn answers<T: Told>(self, _: fn(&Call) -> Result<T>) -> Self {
        self.answers_with(T::told())
    }

    /// The answer is this, in the envelope.
    pub(super) fn answers_with(self, result: Shown) -> Self {
        let envelope = json!({
            "type": "object",
            "required": ["result", "status", "time"],
            "properties": {
                "result": value(result),
                "status": {"type": "string", "enum": ["ok"]},
                "time": {"type": "number", "description": "Seconds that it took"},
            },
            "additionalProperties": false,
        });
        self.answers_bare(&["application/json"], &envelope)
    }

    /// The answer is this, and there is no envelope.
    pub(super) fn answers_bare(self, kinds: &[&str], shown: &Value) -> Self {
        let content = kinds.iter().map(|kind| ((*kind).to_owned(), json!({"schema": shown})));
        let answer = json!({"description": "Done", "content": content.collect::<Map<String, Value>>()});
        Self { answer: Some(answer), ..self }
    }

    /// A parameter behind the path.
    pub(super) fn takes(mut self, name: &str, shown: Shown, what: &str) -> Self {
        self.parameters.push(json!({
            "name": name, "in": "query", "required": false, "schema": value(shown), "description": what,
        }));
        self
    }

    /// What the dialect lets be said of a write.
    pub(super) fn writes(self) -> Self {
        let ordering = schema::words(&["weak", "medium", "strong"]);
        let wait =
            "Of the word alone, completed or acknowledged: a write is durable and found when it is answered";
        self.takes("wait", schema::flag(), wait)
            .takes("ordering", ordering, "Passed over: writes are in order")
            .takes("timeout", schema::whole(1), TIMEOUT)
            .also(412)
            .also(507)
    }

    /// What it lets be said of something that reads.
    pub(super) fn reads(self) -> Self {
        self.takes("timeout", schema::whole(1), TIMEOUT)
    }

    /// What it lets be said of something that reads points.
    pub(super) fn reads_points(self) -> Self {
        let copies = schema::any_of([schema::whole(1), schema::words(&["majority", "quorum", "all"])]);
        self.reads().takes("consistency", copies, "Passed over: there is one copy of each point")
    }

    /// It is answered before it is done, if that is wanted.
    pub(super) fn may_wait(self) -> Self {
        let wait = "false: it is answered with a 202 at once, and done behind it";
        Self { is_later: true, ..self.takes("wait", schema::flag(), wait) }
    }

    /// Its errors have the shape of OpenAI's.
    pub(super) fn openai_shaped(self) -> Self {
        Self { is_openai: true, ..self }
    }

    /// Its own tests try it: it takes a model, or what another route has made.
    pub(super) fn elsewhere(self) -> Self {
        Self { is_elsewhere: true, ..self }
    }

    /// The body may be a file of this kind as well.
    pub(super) fn or_file(mut self, kind: &str) -> Self {
        if let Some(body) = &mut self.body {
            body["content"][kind] = json!({"schema": binary()});
        }
        self
    }

    /// A further status of errors.
    pub(super) fn also(mut self, status: u16) -> Self {
        self.further.push(status);
        self
    }

    pub(super) fn method(&self) -> &'static str {
        self.method
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Whether its example is tried with those of all.
    #[cfg(test)]
    pub(super) fn is_tried(&self) -> bool {
        self.answer.is_some() && !self.is_elsewhere
    }

    /// Whether its body is a file.
    #[cfg(test)]
    pub(super) fn takes_file(&self) -> bool {
        self.body.is_some() && self.example.is_none()
    }

    /// The entry, of a route with this need.
    pub(super) fn told(self, need: Need) -> Value {
        let parts = self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let parts: Vec<&str> = parts.collect();
        let statuses = self.statuses(need, &parts);
        let mut parameters: Vec<Value> = parts.iter().map(|part| path_parameter(part)).collect();
        parameters.extend(self.parameters);
        let dialect = if self.is_openai { "openai" } else { "" };
        let reference = |status: u16| json!({"$ref": format!("#/components/responses/{dialect}{status}")});
        let mut responses: BTreeMap<String, Value> =
            statuses.into_iter().map(|status| (status.to_string(), reference(status))).collect();
        responses.extend(self.answer.map(|answer| ("200".to_owned(), answer)));
        if self.is_later {
            responses.insert("202".to_owned(), json!({"$ref": "#/components/responses/202"}));
        }
        let mut told = json!({
            "operationId": self.id, "tags": [self.tag], "summary": self.summary, "responses": responses,
        });
        if let Some(description) = self.description {
            told["description"] = description.into();
        }
        if !parameters.is_empty() {
            told["parameters"] = parameters.into();
        }
        if let Some(body) = self.body {
            told["requestBody"] = body;
        }
        if need != Need::Nothing {
            told["security"] = json!([{}, {"key": []}, {"bearer": []}]);
        }
        told
    }

    /// Statuses of its errors.
    fn statuses(&self, need: Need, parts: &[&str]) -> Vec<u16> {
        if need == Need::Nothing {
            return self.further.clone();
        }
        let mut statuses = vec![400, 401, 403, 408, 422, 429, 431, 500, 503];
        if self.body.is_some() {
            statuses.push(413);
        }
        if !parts.is_empty() {
            statuses.push(404);
        }
        statuses.extend(&self.further);
        statuses
    }
}

const TIMEOUT: &str = "Seconds until it must be answered";

fn path_parameter(name: &str) -> Value {
    let known = PARTS.iter().find(|(known, ..)| *known == name);
    let (what, example) = known.map_or(("", ""), |(_, what, example)| (*what, *example));
    json!({
        "name": name, "in": "path", "required": true, "description": what, "example": example,
        "schema": {"type": "string", "minLength": 1},
    })
}

/// What all errors look like.
pub(super) fn error() -> Value {
    json!({
        "type": "object",
        "description": "The text begins with what kind of error it is, and names the field at fault.",
        "required": ["status", "time"],
        "properties": {
            "status": {
                "type": "object", "required": ["error"], "properties": {"error": {"type": "string"}},
            },
            "time": {"type": "number"},
        },
        "example": {"status": {"error": "Not found: Collection `books` doesn't exist!"}, "time": 0.00002},
    })
}

/// What errors look like in the dialect of OpenAI.
pub(super) fn openai_error() -> Value {
    json!({"type": "object", "required": ["error"], "properties": {"error": {"type": "object"}}})
}

/// The answers of all errors, and of what is only accepted, by status.
pub(super) fn errors() -> Map<String, Value> {
    let text = |what: &str| json!({"schema": {"type": "string"}, "description": what});
    let answer = |(dialect, schema): (&str, &str), (status, what): (u16, &str)| {
        let mut headers = json!({
            "kithdb-error-field": text("The field at fault"),
            "kithdb-error-kind": text("The kind of error, where several share a status"),
        });
        if matches!(status, 429 | 503) {
            headers["retry-after"] = text("Seconds until another attempt may succeed");
        }
        let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
        let content = json!({"application/json": {"schema": schema}});
        (format!("{dialect}{status}"), json!({"description": what, "headers": headers, "content": content}))
    };
    let accepted = json!({
        "type": "object",
        "required": ["status", "time"],
        "properties": {"status": {"type": "string", "enum": ["accepted"]}, "time": {"type": "number"}},
        "additionalProperties": false,
    });
    let accepted = json!({
        "description": "Accepted: it is done behind the answer, and the log says how it ended",
        "content": {"application/json": {"schema": accepted}},
    });
    let ours = ERRORS.into_iter().map(|error| answer(("", "Error"), error));
    let openai = ERRORS.into_iter().map(|error| answer(("openai", "OpenAIError"), error));
    ours.chain(openai).chain([("202".to_owned(), accepted)]).collect()
}

/// A schema as JSON.
pub(super) fn value(shown: Shown) -> Value {
    // It is a tree of what JSON has.
    serde_json::to_value(shown).unwrap_or_default()
}

/// Bytes.
pub(super) fn binary() -> Value {
    json!({"type": "string", "format": "binary"})
}
