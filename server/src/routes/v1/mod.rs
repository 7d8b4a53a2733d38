//! The dialect of OpenAI, under `/v1`: what its SDK and the interfaces of chats speak.
//!
//! Fields of requests that are not known are passed over, since clients send what every server has; what is answered has
//! exactly the shape that strict clients expect, with what is ours in a member `rag`. That member of a request is read
//! strictly: a misspelt filter would answer from more than was meant.

mod chat;
mod models;

use super::call::{bare, route};
use super::table::Routes;
use crate::access::Need::{Key, Read};
use crate::lanes::Lane::{Computes, Waits};

/// How its addresses begin.
pub(super) const PREFIX: &str = "/v1/";

/// The routes of the dialect, and the one that opens what its answers cite.
pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/v1/models", Key, bare(Waits, models::list))
        .get("/v1/models/{model}", Key, bare(Waits, models::get))
        .post("/v1/embeddings", Key, bare(Computes, models::embed))
        // The body names the collection: the handler looks at the rights.
        .post("/v1/chat/completions", Key, chat::complete)
        .get("/api/v1/collections/{collection}/sources/{source}", Read, route(Waits, models::source))
}
