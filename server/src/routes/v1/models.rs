//! What there is to ask: a model for each collection of documents, the model that embeds, and the documents that
//! answers cite.

use kithdb::{Error, ErrorKind, Result, Value};
use rag::{Embedder, answer};
use serde::Deserialize;
use serde_json::json;

use super::super::Call;
use crate::access::Need;
use crate::wire::collection;
use crate::wire::openai::chat::MODEL_PREFIX;
use crate::wire::openai::embeddings::{EmbeddingsIn, model_name};

pub(super) fn list(call: &Call) -> Result<Value> {
    let all = call.state.db.collections();
    let seen = all.iter().filter(|collection| call.rights.sees(collection.name()));
    let documents = seen.filter(|collection| answer::sources_of(&call.state.db, collection).is_ok());
    let mut models: Vec<Value> =
        documents.map(|collection| model(call, &format!("{MODEL_PREFIX}{}", collection.name()))).collect();
    models.extend(call.state.embedder.as_deref().map(|embedder| embedding(call, embedder)));
    Ok(json!({"object": "list", "data": models}))
}

pub(super) fn get(call: &Call) -> Result<Value> {
    let name = call.part("model")?;
    let unknown = || {
        let message = format!("there is no model `{name}`; GET /v1/models lists those that there are");
        Error::new(ErrorKind::NotFound, message).with_field("model")
    };
    if let Some(embedder) = call.state.embedder.as_deref().filter(|embedder| model_name(embedder) == name) {
        return Ok(embedding(call, embedder));
    }
    let collection = name.strip_prefix(MODEL_PREFIX).ok_or_else(unknown)?;
    call.rights.check_of(&call.state.db, collection, Need::Read)?;
    let found = call.state.db.collection(collection).map_err(|_| unknown())?;
    answer::sources_of(&call.state.db, &found).map(|_| model(call, name))
}

fn model(call: &Call, id: &str) -> Value {
    let started_s = call.state.metrics.started_micros() / 1_000_000;
    json!({"id": id, "object": "model", "created": started_s, "owned_by": "kithdb"})
}

/// The model that embeds, with all that a vector of a new collection names of the one that it is bound to.
fn embedding(call: &Call, embedder: &Embedder) -> Value {
    let mut told = model(call, model_name(embedder));
    told["model"] = collection::model(embedder.identity());
    told
}

pub(super) fn embed(call: &Call) -> Result<Value> {
    call.parse::<EmbeddingsIn>()?.run(call.state.embedder.as_deref())
}

#[derive(Deserialize)]
struct Place {
    start: Option<usize>,
    end: Option<usize>,
    hash: Option<String>,
}

/// The bytes that a citation names, if they are still what it was made of.
pub(super) fn source(call: &Call) -> Result<Value> {
    let collection = call.collection()?;
    let sources = answer::sources_of(&call.state.db, &collection)?;
    let place: Place = call.query()?;
    let id = call.part("source")?.parse().map_err(|error: Error| error.with_field("source"))?;
    let document = answer::document(&sources, id)?;
    if place.hash.as_ref().is_some_and(|hash| *hash != document.hash) {
        let message = "the document has changed since it was cited; ask again";
        return Err(Error::new(ErrorKind::Conflict, message).with_field("hash"));
    }
    let span = place.start.unwrap_or(0)..place.end.unwrap_or(document.text.len());
    let text = document.text.get(span.clone()).ok_or_else(|| {
        let message = format!("start and end are no place in a text of {} bytes", document.text.len());
        Error::invalid("start", message)
    })?;
    Ok(json!({
        "source": id.to_string(), "path": document.about.path, "title": document.about.title,
        "hash": document.hash, "start": span.start, "end": span.end, "text": text,
    }))
}
