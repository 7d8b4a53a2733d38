//! The tools: what a model is told of each, and what each asks.

use axum::http::Method;
use kithdb::Value;
use rmcp::ErrorData;
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, JsonObject, Tool, ToolAnnotations};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::ask::{Asker, Refused, path};
use super::documents::{self, Added, DOCUMENTS_MAX};
use super::found::{Layout, parted};
use crate::wire;

/// Hits of one search.
const LIMIT_MAX: usize = 50;

/// How a question is asked.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Hybrid,
    Vector,
    Keyword,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    query: String,
    collection: Option<String>,
    #[serde(default = "ten")]
    limit: usize,
    /// As text, or in the words of the dialect.
    filter: Option<Value>,
    mode: Option<Mode>,
    #[serde(default)]
    explain: bool,
}

fn ten() -> usize {
    10
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fetch {
    id: Value,
    collection: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Of {
    collection: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// The tools that there are for who may write, or may not.
pub(super) fn all(is_read_only: bool) -> Vec<Tool> {
    let text = |what: &str| json!({"type": "string", "description": what});
    let collection = text("The collection; it may be left out if there is one only");
    let reads =
        |name: &'static str, title: &str, what: &'static str, properties: Value, required: &[&str]| {
            tool(
                name,
                title,
                what,
                &properties,
                required,
                ToolAnnotations::new().read_only(true).open_world(false),
            )
        };
    let search = json!({
        "query": text("What to look for, in plain words"),
        "collection": collection,
        "limit": {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": 10},
        "filter": text("Only what satisfies this, such as: year >= 2020 AND lang IN ('en', 'de')"),
        "mode": {"type": "string", "enum": ["hybrid", "vector", "keyword"],
                 "description": "By meaning and by words (the default where both can be), or by one of them"},
        "explain": {"type": "boolean", "default": false, "description": "Say how the search went"},
    });
    let fetch = json!({"id": text("The id, or the url, that search gave"), "collection": collection});
    let mut tools = vec![
        reads("search", "Search", "Finds passages for a question, the best first.", search, &["query"]),
        reads("fetch", "Fetch a document", "Gives a document in full, by its id or url.", fetch, &["id"]),
        reads(
            "list_collections",
            "List collections",
            "Names the collections, with how many documents each has.",
            json!({}),
            &[],
        ),
        reads(
            "collection_info",
            "Describe a collection",
            "Tells what a collection is: its vectors, words, indexed fields, and how many documents it has.",
            json!({"collection": text("The collection")}),
            &["collection"],
        ),
    ];
    if !is_read_only {
        tools.push(add_documents());
    }
    tools
}

fn add_documents() -> Tool {
    let text = |what: &str| json!({"type": "string", "description": what});
    let document = json!({
        "type": "object",
        "properties": {
            "id": text("An id of your own: the same id replaces the document"),
            "text": text("What is searched"),
            "title": text("What it is called"),
            "metadata": {"type": "object", "description": "Fields to filter by"},
        },
        "required": ["text"],
        "additionalProperties": false,
    });
    let properties = json!({
        "collection": text("The collection, documents by default; it is made if it is not there"),
        "documents": {"type": "array", "items": document, "minItems": 1, "maxItems": DOCUMENTS_MAX},
    });
    let hints = ToolAnnotations::new().read_only(false).destructive(true).idempotent(true).open_world(false);
    let what = "Keeps texts to be found later, or replaces those with the same ids.";
    tool("add_documents", "Add documents", what, &properties, &["documents"], hints)
}

fn tool(
    name: &'static str,
    title: &str,
    what: &'static str,
    properties: &Value,
    required: &[&str],
    hints: ToolAnnotations,
) -> Tool {
    let schema = json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    });
    let Value::Object(schema) = schema else { unreachable!("it is written as an object") };
    Tool::new(name, what, schema).with_title(title).with_annotations(hints)
}

/// Does what a tool says. What is refused is a result too.
pub(super) async fn call(
    asker: &Asker<'_>,
    name: &str,
    arguments: JsonObject,
) -> Result<CallToolResponse, ErrorData> {
    let told = match name {
        "search" => search(asker, arguments).await,
        "fetch" => fetch(asker, arguments).await,
        "list_collections" => list(asker, arguments).await,
        "collection_info" => describe(asker, arguments).await,
        "add_documents" if !asker.is_read_only => add(asker, arguments).await,
        _ => {
            let known: Vec<_> = all(asker.is_read_only).into_iter().map(|tool| tool.name).collect();
            let message = format!("there is no tool `{name}`; there are: {}", known.join(", "));
            return Err(ErrorData::invalid_params(message, None));
        }
    };
    Ok(match told {
        Ok(told) => CallToolResult::structured(told),
        Err(refused) => CallToolResult::error(vec![ContentBlock::text(refused.told())]),
    }
    .into())
}

fn read<T: DeserializeOwned>(arguments: JsonObject) -> Result<T, Refused> {
    Ok(wire::parse(Value::Object(arguments).to_string().as_bytes())?)
}

/// `search`.
///
/// # Errors
/// What the routes refuse; `Refused` naming the argument at fault.
pub(super) async fn search(asker: &Asker<'_>, arguments: JsonObject) -> Result<Value, Refused> {
    let search: Search = read(arguments)?;
    if search.limit == 0 || search.limit > LIMIT_MAX {
        return Err(Refused::new("limit", format!("must be from 1 to {LIMIT_MAX}")));
    }
    let collection = chosen(asker, search.collection.as_deref()).await?;
    let schema = asker.describe(&collection).await?;
    let mut body = asked(asker, &search, &schema)?;
    body["limit"] = search.limit.into();
    body["with_payload"] = true.into();
    body["explain"] = search.explain.into();
    if let Some(filter) = &search.filter {
        body["filter"] = filter.clone();
    }
    let mut found =
        asker.ask(Method::POST, &format!("{}/points/query", path(&collection)), Some(&body)).await?;
    let layout = Layout::of(&schema);
    let points = found["points"].as_array().into_iter().flatten();
    let mut told = json!({
        "collection": collection,
        "results": points.map(|point| layout.hit(&collection, point)).collect::<Vec<_>>(),
    });
    if search.explain {
        told["plan"] = found["plan"]["text"].take();
    }
    Ok(told)
}

/// The question, in the way that was asked for, or in every way that the collection has.
fn asked(asker: &Asker<'_>, search: &Search, schema: &Value) -> Result<Value, Refused> {
    let revision = &schema["vectors"][""]["model"]["revision"];
    let has_model = asker.state.embedder().is_some_and(|one| *revision == one.identity().revision);
    let has_words = schema["keyword"].is_object();
    let mode = match (search.mode, has_model, has_words) {
        (None | Some(Mode::Hybrid), true, true) => Mode::Hybrid,
        (None | Some(Mode::Vector), true, _) => Mode::Vector,
        (None | Some(Mode::Keyword), _, true) => Mode::Keyword,
        (None, false, false) => {
            let message =
                "has neither words nor a model that the server has: it can be searched by vectors alone";
            return Err(Refused::new("collection", message));
        }
        (Some(_), ..) => {
            let ways = [has_model.then_some("vector"), has_words.then_some("keyword")];
            let ways: Vec<_> = ways.into_iter().flatten().collect();
            return Err(Refused::new(
                "mode",
                format!("cannot be for this collection; it has: {}", ways.join(", ")),
            ));
        }
    };
    let nearest = json!({"nearest": {"text": search.query}});
    let words = json!({"keyword": search.query});
    let leg_hits = kithdb::leg_hits(search.limit);
    let leg = |query: &Value| json!({"query": query, "limit": leg_hits});
    Ok(match mode {
        Mode::Vector => json!({"query": nearest}),
        Mode::Keyword => json!({"query": words}),
        Mode::Hybrid => json!({"prefetch": [leg(&nearest), leg(&words)], "query": {"fusion": "adaptive"}}),
    })
}

async fn fetch(asker: &Asker<'_>, arguments: JsonObject) -> Result<Value, Refused> {
    let Fetch { id, collection } = read(arguments)?;
    let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    if let Some((collection, id)) = parted(&id) {
        return point(asker, &collection, &id).await;
    }
    point(asker, &chosen(asker, collection.as_deref()).await?, &id).await
}

/// A document in full.
///
/// # Errors
/// What the routes refuse.
pub(super) async fn point(asker: &Asker<'_>, collection: &str, id: &str) -> Result<Value, Refused> {
    let schema = asker.describe(collection).await?;
    let at = format!("{}/points/{}", path(collection), crate::address::encoded(id));
    let found = asker.ask(Method::GET, &at, None).await?;
    Ok(Layout::of(&schema).whole(collection, &found))
}

/// The collections that the caller sees.
///
/// # Errors
/// What the route refuses.
pub(super) async fn names(asker: &Asker<'_>) -> Result<Vec<String>, Refused> {
    let told = asker.ask(Method::GET, "/collections", None).await?;
    let names = told["collections"].as_array().into_iter().flatten();
    Ok(names.filter_map(|one| one["name"].as_str()).map(str::to_owned).collect())
}

/// The collection that was named, or the only one.
async fn chosen(asker: &Asker<'_>, named: Option<&str>) -> Result<String, Refused> {
    if let Some(name) = named {
        return Ok(name.to_owned());
    }
    let mut names = names(asker).await?;
    match names.len() {
        1 => Ok(names.remove(0)),
        0 => Err(Refused::new("collection", "there is none yet; add_documents makes one")),
        _ => Err(Refused::new("collection", format!("is missing; there are: {}", names.join(", ")))),
    }
}

async fn list(asker: &Asker<'_>, arguments: JsonObject) -> Result<Value, Refused> {
    let Nothing {} = read(arguments)?;
    let mut told = Vec::new();
    for name in names(asker).await? {
        // One that goes meanwhile is passed over.
        if let Ok(schema) = asker.describe(&name).await {
            told.push(json!({"name": name, "documents": schema["points"]}));
        }
    }
    Ok(json!({"collections": told}))
}

async fn describe(asker: &Asker<'_>, arguments: JsonObject) -> Result<Value, Refused> {
    let Of { collection } = read(arguments)?;
    asker.describe(&collection).await
}

async fn add(asker: &Asker<'_>, arguments: JsonObject) -> Result<Value, Refused> {
    documents::add(asker, read::<Added>(arguments)?).await
}
