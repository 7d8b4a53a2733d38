//! `/v1/vector_stores`: collections of documents, their files, batches of files, and searches.

use kithdb::{Payload, Result, Value};
use rag::answer::{Library, Passage, retrieve};
use rag::engine::Cancel;
use rag::shelf::{Batch, Chunking, FILES, Member, Shelf, Store};
use serde_json::json;

use super::super::Call;
use super::answering::asked_by;
use super::{shelf, used};
use crate::access::Need;
use crate::wire::openai::page::{LIMIT, PageIn};
use crate::wire::openai::rag as told;
use crate::wire::openai::stores::{self, AttributesIn, BatchIn, ChunkingIn, MemberIn, SearchIn, StoreIn};
use crate::wire::openai::{fresh, now_s};

pub(super) fn create(call: &Call) -> Result<Value> {
    let given: StoreIn = if call.is_empty() { crate::wire::parse(b"{}")? } else { call.parse()? };
    let (wanted, chunking) = (given.wanted()?, ChunkingIn::chunking(given.chunking_strategy.as_ref())?);
    let (shelf, files) = (shelf(call), given.file_ids.unwrap_or_default());
    // Nothing is made when one of the files is not there.
    files.iter().try_for_each(|file| shelf.file(file).map(drop))?;
    let store = shelf.create_store(&fresh("vs_"), wanted, now_s())?;
    let add = |file: &String| shelf.add(&store.id, file, &Payload::new(), chunking, now_s()).map(drop);
    // Nobody is told of a store that was not filled.
    files.iter().try_for_each(add).inspect_err(|_| drop(shelf.drop_store(&store.id)))?;
    described(shelf, &store)
}

fn described(shelf: Shelf<'_>, store: &Store) -> Result<Value> {
    Ok(stores::told(store, shelf.holdings(&store.id)?, now_s()))
}

pub(super) fn list(call: &Call) -> Result<Value> {
    let page: PageIn = call.query()?;
    let shelf = shelf(call);
    let seen = shelf.stores()?.into_iter().filter(|store| call.rights.sees(&store.id));
    let ids = seen.map(|store| (store.id.clone(), Value::from(store.id)));
    let mut told = page.of(ids.collect(), LIMIT)?;
    // The files of those alone that are shown are counted.
    for entry in told["data"].as_array_mut().into_iter().flatten() {
        let store = shelf.store(entry.as_str().unwrap_or_default())?;
        *entry = described(shelf, &store)?;
    }
    Ok(told)
}

pub(super) fn get(call: &Call) -> Result<Value> {
    let (shelf, id) = (shelf(call), call.part("collection")?);
    described(shelf, &shelf.store(id)?)
}

pub(super) fn change(call: &Call) -> Result<Value> {
    let wanted = call.parse::<StoreIn>()?.wanted()?;
    let (shelf, id) = (shelf(call), call.part("collection")?);
    described(shelf, &shelf.change_store(id, wanted, now_s())?)
}

pub(super) fn delete(call: &Call) -> Result<Value> {
    let id = call.part("collection")?;
    shelf(call).drop_store(id)?;
    Ok(json!({"id": id, "object": "vector_store.deleted", "deleted": true}))
}

pub(super) fn search(call: &Call) -> Result<Value> {
    let (queries, mut how) = call.parse::<SearchIn>()?.read()?;
    how.deadline = Some(call.deadline());
    let collection = call.collection()?;
    used(call, collection.name())?;
    let (embedder, reranker) = (call.state.embedder.as_deref(), call.state.reranker.as_deref());
    let library = Library { db: &call.state.db, chunks: &collection, embedder, engine: None, reranker };
    let (mut found, mut reranked): (Vec<Passage>, Vec<Value>) = (Vec::new(), Vec::new());
    for query in &queries {
        let retrieved = retrieve(&library, query, &how, &Cancel::new());
        let retrieved = retrieved.map_err(|error| asked_by(error, "query"))?;
        reranked.extend(retrieved.reranked.as_ref().map(told::reranked));
        // A chunk that answers several questions counts by the one that it answers best.
        for passage in retrieved.passages {
            let same = |own: &&mut Passage| (own.source, &own.span) == (passage.source, &passage.span);
            match found.iter_mut().find(same) {
                Some(own) => own.score = own.score.max(passage.score),
                None => found.push(passage),
            }
        }
    }
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found.truncate(how.limit);
    let mut page = json!({
        "object": "vector_store.search_results.page", "search_query": queries,
        "data": found.iter().map(stores::hit).collect::<Vec<_>>(), "has_more": false, "next_page": null,
    });
    if !reranked.is_empty() {
        page["rag"] = json!({"rerank": reranked});
    }
    Ok(page)
}

pub(super) fn add(call: &Call) -> Result<Value> {
    let (file, attributes, chunking) = call.parse::<MemberIn>()?.read()?;
    call.rights.check_of(&call.state.db, FILES, Need::Read)?;
    let store = used(call, call.part("collection")?)?.id;
    let member = shelf(call).add(&store, &file, &attributes, chunking, now_s())?;
    Ok(stores::member(&store, &member))
}

pub(super) fn members(call: &Call) -> Result<Value> {
    let page: PageIn = call.query()?;
    let store = call.part("collection")?;
    listed(&page, store, shelf(call).members(store)?)
}

fn listed(page: &PageIn, store: &str, members: Vec<Member>) -> Result<Value> {
    stores::check_status(page.filter.as_deref())?;
    let wanted =
        |member: &Member| page.filter.as_deref().is_none_or(|filter| filter == stores::status(member));
    let told =
        members.into_iter().filter(wanted).map(|member| (member.id.clone(), stores::member(store, &member)));
    page.of(told.collect(), LIMIT)
}

pub(super) fn member(call: &Call) -> Result<Value> {
    let store = call.part("collection")?;
    shelf(call).member(store, call.part("file")?).map(|member| stores::member(store, &member))
}

pub(super) fn set_attributes(call: &Call) -> Result<Value> {
    let attributes = call.parse::<AttributesIn>()?.read()?;
    let store = call.part("collection")?;
    let member = shelf(call).set_attributes(store, call.part("file")?, &attributes)?;
    Ok(stores::member(store, &member))
}

pub(super) fn remove(call: &Call) -> Result<Value> {
    let file = call.part("file")?;
    shelf(call).remove(call.part("collection")?, file)?;
    Ok(json!({"id": file, "object": "vector_store.file.deleted", "deleted": true}))
}

pub(super) fn content(call: &Call) -> Result<Value> {
    let text = shelf(call).member_text(call.part("collection")?, call.part("file")?)?;
    Ok(json!({
        "object": "vector_store.file_content.page", "data": [{"type": "text", "text": text}], "has_more": false,
        "next_page": null,
    }))
}

pub(super) fn create_batch(call: &Call) -> Result<Value> {
    let files: Vec<(String, Payload, Chunking)> = call.parse::<BatchIn>()?.read()?;
    call.rights.check_of(&call.state.db, FILES, Need::Read)?;
    let (shelf, store) = (shelf(call), used(call, call.part("collection")?)?.id);
    files.iter().try_for_each(|(file, ..)| shelf.file(file).map(drop))?;
    let ids = files.iter().map(|(file, ..)| file.clone()).collect();
    let batch = Batch { id: fresh("vsfb_"), store, created_s: now_s(), files: ids };
    for (file, attributes, chunking) in files {
        shelf.add(&batch.store, &file, &attributes, chunking, now_s())?;
    }
    shelf.keep_batch(&batch)?;
    told_batch(shelf, &batch)
}

fn told_batch(shelf: Shelf<'_>, batch: &Batch) -> Result<Value> {
    let members: Vec<Option<Member>> =
        batch.files.iter().map(|file| shelf.member(&batch.store, file).ok()).collect();
    Ok(stores::batch(batch, &members))
}

fn batch(call: &Call) -> Result<Batch> {
    shelf(call).batch(call.part("collection")?, call.part("batch")?)
}

/// Cancelling it changes nothing: a batch is answered when it is done.
pub(super) fn get_batch(call: &Call) -> Result<Value> {
    told_batch(shelf(call), &batch(call)?)
}

pub(super) fn batch_members(call: &Call) -> Result<Value> {
    let page: PageIn = call.query()?;
    let batch = batch(call)?;
    let members = batch.files.iter().filter_map(|file| shelf(call).member(&batch.store, file).ok());
    listed(&page, &batch.store, members.collect())
}
