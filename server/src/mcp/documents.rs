//! `add_documents`: texts become points, with vectors if their collection belongs to the model that the server has.

use std::sync::Arc;

use axum::http::Method;
use kithdb::Value;
use rag::answer::sources_of;
use serde::Deserialize;
use serde_json::{Map, json};
use uuid::Uuid;

use super::ask::{Asker, Refused, path};
use super::found::address;
use crate::lanes::Lane;
use crate::wire;

/// Documents in one call.
pub(super) const DOCUMENTS_MAX: usize = 100;

/// Members of a payload that are the document's own.
const TEXT: &str = "text";
const TITLE: &str = "title";
const ID: &str = "id";

/// Documents to be added.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Added {
    #[serde(default = "documents")]
    collection: String,
    documents: Vec<Document>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    id: Option<Value>,
    text: String,
    title: Option<String>,
    #[serde(default)]
    metadata: Map<String, Value>,
}

fn documents() -> String {
    "documents".to_owned()
}

/// Adds documents, or replaces those with the same ids. A collection that is not there is made, for words, and for
/// meaning if there is a model.
///
/// # Errors
/// What a route refuses; `Refused` naming the document at fault.
pub(super) async fn add(asker: &Asker<'_>, added: Added) -> Result<Value, Refused> {
    let Added { collection, documents } = added;
    if documents.is_empty() || documents.len() > DOCUMENTS_MAX {
        return Err(Refused::new("documents", format!("must be 1 to {DOCUMENTS_MAX} documents in one call")));
    }
    let schema = match asker.describe(&collection).await {
        Err(refused) if refused.is_missing() => made(asker, &collection).await?,
        described => described?,
    };
    check_bare(asker, &collection)?;
    let vectors = embedded(asker, &schema, &documents).await?;
    let mut ids = Vec::new();
    let mut points = Vec::new();
    for (at, document) in documents.into_iter().enumerate() {
        let (id, payload) = document.into_point(at)?;
        ids.push(id.as_str().map_or_else(|| id.to_string(), str::to_owned));
        points.push(json!({"id": id, "payload": payload}));
    }
    for (point, vector) in points.iter_mut().zip(vectors) {
        point["vector"] = json!(vector);
    }
    asker
        .ask(Method::PUT, &format!("{}/points", path(&collection)), Some(&json!({"points": points})))
        .await?;
    let urls: Vec<String> = ids.iter().map(|id| address(&collection, id)).collect();
    Ok(json!({"collection": collection, "added": ids.len(), "ids": ids, "urls": urls}))
}

impl Document {
    /// The id and the payload of its point. A text without an id has one of its own: the same text is one document.
    fn into_point(self, at: usize) -> Result<(Value, Map<String, Value>), Refused> {
        let Self { id, text, title, metadata: mut payload } = self;
        for own in [TEXT, TITLE, ID] {
            if payload.contains_key(own) {
                let message = format!("`{own}` stands beside `metadata`, and not in it");
                return Err(Refused::new(&format!("documents[{at}].metadata.{own}"), message));
            }
        }
        let named = |name: &str| Value::from(Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).to_string());
        let id = match id {
            None => named(&text),
            Some(Value::Number(number)) if number.is_u64() => number.into(),
            Some(Value::String(given)) => match given.parse::<u64>() {
                Ok(number) => number.into(),
                Err(_) => match Uuid::parse_str(&given) {
                    Ok(own) => Value::from(own.to_string()),
                    Err(_) => {
                        let id = named(&given);
                        payload.insert(ID.to_owned(), given.into());
                        id
                    }
                },
            },
            Some(_) => {
                return Err(Refused::new(
                    &format!("documents[{at}].id"),
                    "must be a text, or a number from 0 on",
                ));
            }
        };
        payload.insert(TEXT.to_owned(), text.into());
        payload.extend(title.map(|title| (TITLE.to_owned(), title.into())));
        Ok((id, payload))
    }
}

/// Refuses a collection of ingested documents: a point without a document there is found and cannot be cited, so that
/// it takes the place of one that can.
fn check_bare(asker: &Asker<'_>, collection: &str) -> Result<(), Refused> {
    let db = asker.state.database();
    if sources_of(db, &db.collection(collection)?).is_err() {
        return Ok(());
    }
    let message = format!(
        "`{collection}` has documents that were ingested; upload to /api/v1/collections/{{collection}}/documents, or \
         name another collection"
    );
    Err(Refused::new("collection", message))
}

/// Makes the collection, and says what it is.
async fn made(asker: &Asker<'_>, collection: &str) -> Result<Value, Refused> {
    let mut body = json!({"keyword": {"paths": [TEXT, TITLE]}});
    if let Some(embedder) = asker.state.embedder() {
        let model = wire::collection::model(embedder.identity());
        body["vectors"] = json!({"size": model["dim"], "distance": "Cosine", "model": model});
    }
    asker.ask(Method::PUT, &path(collection), Some(&body)).await?;
    asker.describe(collection).await
}

/// The vectors of the texts, if the collection belongs to the model that there is.
async fn embedded(
    asker: &Asker<'_>,
    schema: &Value,
    documents: &[Document],
) -> Result<Vec<Vec<f32>>, Refused> {
    let own = &schema["vectors"][""]["model"]["revision"];
    let Some(embedder) = asker.state.inner.embedder.as_ref().filter(|one| *own == one.identity().revision)
    else {
        if own.is_string() {
            let message = "belongs to a model that the server was started without; start it with that model";
            return Err(Refused::new("collection", message));
        }
        return Ok(Vec::new());
    };
    let embedder = Arc::clone(embedder);
    let texts: Vec<String> = documents.iter().map(|document| document.text.clone()).collect();
    let work = move || {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        embedder.embed_documents(&texts, &|_| ())
    };
    Ok(asker.state.inner.lanes.run(Lane::Computes, work).await?)
}
