//! The dialect of OpenAI, under `/v1`: what its SDK and the interfaces of chats speak.
//!
//! Fields of requests that are not known are passed over, since clients send what every server has; what is
//! answered has exactly the shape that strict clients expect, with what is ours in a member `rag`. That member of a
//! request is read strictly: a misspelt filter would answer from more than was meant.

mod answering;
mod chat;
mod files;
mod models;
mod responses;
mod stores;

use kithdb::Result;
use rag::Shelf;
use rag::shelf::Store;

use super::Call;
use super::call::{bare, route};
use super::table::Routes;
use crate::access::Need::{Key, Manage, Read, Write, WriteWhole};
use crate::lanes::Lane::{Computes, Waits};
use crate::wire::openai::now_s;

/// How its addresses begin.
pub(crate) const PREFIX: &str = "/v1/";

/// The routes of the dialect, and the one that opens what its answers cite.
pub(super) fn routes(routes: Routes) -> Routes {
    let routes = routes
        .get("/v1/models", Key, bare(Waits, models::list))
        .get("/v1/models/{model}", Key, bare(Waits, models::get))
        .post("/v1/embeddings", Key, bare(Computes, models::embed))
        // The body names the collection: the handlers look at the rights.
        .post("/v1/chat/completions", Key, chat::complete)
        .post("/v1/responses", Key, responses::create)
        .get("/v1/responses/{response}", Key, bare(Waits, responses::get))
        .delete("/v1/responses/{response}", Key, bare(Waits, responses::delete))
        .post("/v1/responses/{response}/cancel", Key, bare(Waits, responses::cancel))
        .get("/v1/responses/{response}/input_items", Key, bare(Waits, responses::input_items))
        // Files lie in a collection of their own: the handlers look at the rights on it.
        .get("/v1/files", Key, bare(Waits, files::list))
        .post("/v1/files", Key, files::upload)
        .get("/v1/files/{file}", Key, bare(Waits, files::get))
        .delete("/v1/files/{file}", Key, bare(Waits, files::delete))
        .get("/v1/files/{file}/content", Key, files::content)
        .get("/api/v1/collections/{collection}/sources/{source}", Read, route(Waits, models::source));
    store_routes(routes)
}

fn store_routes(routes: Routes) -> Routes {
    let at = |rest: &str| format!("/v1/vector_stores/{{collection}}{rest}");
    routes
        .get("/v1/vector_stores", Key, bare(Waits, stores::list))
        .post("/v1/vector_stores", Manage, bare(Waits, stores::create))
        .get(&at(""), Read, bare(Waits, stores::get))
        .post(&at(""), WriteWhole, bare(Waits, stores::change))
        .delete(&at(""), Manage, bare(Waits, stores::delete))
        .post(&at("/search"), Read, bare(Computes, stores::search))
        .get(&at("/files"), Read, bare(Waits, stores::members))
        .post(&at("/files"), Write, bare(Waits, stores::add))
        .get(&at("/files/{file}"), Read, bare(Waits, stores::member))
        .post(&at("/files/{file}"), Write, bare(Waits, stores::set_attributes))
        .delete(&at("/files/{file}"), Write, bare(Waits, stores::remove))
        .get(&at("/files/{file}/content"), Read, bare(Waits, stores::content))
        .post(&at("/file_batches"), Write, bare(Waits, stores::create_batch))
        .get(&at("/file_batches/{batch}"), Read, bare(Waits, stores::get_batch))
        .post(&at("/file_batches/{batch}/cancel"), Write, bare(Waits, stores::get_batch))
        .get(&at("/file_batches/{batch}/files"), Read, bare(Waits, stores::batch_members))
}

fn shelf(call: &Call) -> Shelf<'_> {
    Shelf { db: &call.state.db, embedder: call.state.embedder.as_deref() }
}

/// A store that may be used, and is.
fn used(call: &Call, id: &str) -> Result<Store> {
    let (shelf, now_s) = (shelf(call), now_s());
    let store = shelf.store(id)?;
    store.check_alive(now_s)?;
    // Who reads is answered all the same.
    if let Err(error) = shelf.touch(&store, now_s) {
        tracing::warn!(%error, store = store.id, "that a vector store was used could not be noted");
    }
    Ok(store)
}
