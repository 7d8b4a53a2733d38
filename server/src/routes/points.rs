//! Points: written, read, counted, searched.

use kithdb::{Matrix, Result, Select};

use super::Call;
use crate::error::Refusal;
use crate::wire::facet::{Facet, FacetHits};
use crate::wire::groups::{Groups, QueryGroups};
use crate::wire::legacy::{Batch, Kind};
use crate::wire::matrix::{MatrixBody, MatrixOffsets, MatrixPairs};
use crate::wire::point::{
    self, Count, Counted, Delete, Record, Retrieve, ScoredPoint, Scroll, Scrolled, Updated, Upsert,
};
use crate::wire::query::{QueryBatch, QueryBody};
use crate::wire::question::{Found, Room};
use crate::wire::update::{
    self, Committed, DeletePayload, DeleteVectors, SetPayload, TransactionIn, UpdateBatch, UpdateVectors,
    Writes,
};
use crate::wire::why::{WhyNotBody, WhyNotOut};

/// What the dialect's own type of a query has between the body and its members.
const INTERNAL: &str = "internal";

/// An answer to a body whose validations the dialect places below `part`.
fn below<T>(part: &'static str, answer: impl FnOnce() -> Result<T>) -> Result<T> {
    answer().map_err(|error| Refusal::below(error, part))
}

pub(super) fn upsert(call: &Call) -> Result<Updated> {
    let collection = call.collection()?;
    call.parse::<Upsert>()?
        .into_writes()?
        .run(&collection, &call.strict(&collection))
        .map(|receipt| call.updated(receipt))
}

pub(super) fn delete(call: &Call) -> Result<Updated> {
    let collection = call.collection()?;
    let writes = Writes::of(call.parse::<Delete>()?.into_op()?);
    writes.run(&collection, &call.strict(&collection)).map(|receipt| call.updated(receipt))
}

pub(super) fn set_payload(call: &Call) -> Result<Updated> {
    let collection = call.collection()?;
    call.parse::<SetPayload>()?
        .into_set()?
        .run(&collection, &call.strict(&collection))
        .map(|receipt| call.updated(receipt))
}

pub(super) fn overwrite_payload(call: &Call) -> Result<Updated> {
    let collection = call.collection()?;
    call.parse::<SetPayload>()?
        .into_overwrite()?
        .run(&collection, &call.strict(&collection))
        .map(|receipt| call.updated(receipt))
}

pub(super) fn delete_payload(call: &Call) -> Result<Updated> {
    let collection = call.collection()?;
    call.parse::<DeletePayload>()?
        .into_writes()?
        .run(&collection, &call.strict(&collection))
        .map(|receipt| call.updated(receipt))
}

pub(super) fn clear_payload(call: &Call) -> Result<Updated> {
    let collection = call.collection()?;
    update::clear_payload(call.parse()?)?
        .run(&collection, &call.strict(&collection))
        .map(|receipt| call.updated(receipt))
}

pub(super) fn update_vectors(call: &Call) -> Result<Updated> {
    let collection = call.collection()?;
    call.parse::<UpdateVectors>()?
        .into_writes()?
        .run(&collection, &call.strict(&collection))
        .map(|receipt| call.updated(receipt))
}

pub(super) fn delete_vectors(call: &Call) -> Result<Updated> {
    let collection = call.collection()?;
    call.parse::<DeleteVectors>()?
        .into_writes()?
        .run(&collection, &call.strict(&collection))
        .map(|receipt| call.updated(receipt))
}

pub(super) fn update_batch(call: &Call) -> Result<Vec<Updated>> {
    let collection = call.collection()?;
    let receipts = call.parse::<UpdateBatch>()?.run(&collection, &call.strict(&collection))?;
    Ok(receipts.into_iter().map(|receipt| call.updated(receipt)).collect())
}

pub(super) fn transaction(call: &Call) -> Result<Committed> {
    call.parse::<TransactionIn>()?.run(&call.state.db, &call.rights, &call.state.rates, call.deadline())
}

pub(super) fn retrieve(call: &Call) -> Result<Vec<Record>> {
    let collection = call.collection()?;
    below("point_request", || call.parse::<Retrieve>()?.run(&collection, &call.strict(&collection)))
}

pub(super) fn get(call: &Call) -> Result<Record> {
    let (collection, id) = (call.collection()?, call.part("id")?.parse()?);
    call.strict(&collection).take_read(1)?;
    let select = Select::all();
    let point = collection.get(&[id], &select)?.pop().ok_or_else(|| point::no_point(id))?;
    Ok(Record::new(point, &select))
}

pub(super) fn scroll(call: &Call) -> Result<Scrolled> {
    let collection = call.collection()?;
    let strict = call.strict(&collection);
    below("scroll_request", || call.parse::<Scroll>()?.run(&collection, &strict, call.deadline()))
}

pub(super) fn count(call: &Call) -> Result<Counted> {
    let collection = call.collection()?;
    let strict = call.strict(&collection);
    below("count_request", || call.parse::<Count>()?.run(&collection, &strict, call.deadline()))
}

pub(super) fn query(call: &Call) -> Result<Found> {
    let collection = call.collection()?;
    below(INTERNAL, || call.parse::<QueryBody>()?.run(&call.translator(&collection)))
}

pub(super) fn query_batch(call: &Call) -> Result<Vec<Found>> {
    let collection = call.collection()?;
    let translator = call.translator(&collection);
    let searches = below(INTERNAL, || call.parse::<QueryBatch>())?.searches;
    translator.strict.check_searches(searches.len())?;
    let searches = searches.into_iter().enumerate();
    let mut room = Room::new(call.state.db.limits());
    let ask = |(position, search): (usize, QueryBody)| {
        let found = search.into_question(&translator).and_then(|question| room.answer(question));
        found.map_err(|error| error.within(&format!("searches[{position}]")))
    };
    below(INTERNAL, || searches.map(ask).collect())
}

pub(super) fn query_groups(call: &Call) -> Result<Groups> {
    let collection = call.collection()?;
    call.parse::<QueryGroups>()?.run(&call.translator(&collection))
}

pub(super) fn facet(call: &Call) -> Result<FacetHits> {
    let collection = call.collection()?;
    let strict = call.strict(&collection);
    below("facet_request", || call.parse::<Facet>()?.run(&collection, &strict, call.deadline()))
}

pub(super) fn matrix_pairs(call: &Call) -> Result<MatrixPairs> {
    matrix(call).map(MatrixPairs::from)
}

pub(super) fn matrix_offsets(call: &Call) -> Result<MatrixOffsets> {
    matrix(call).map(MatrixOffsets::from)
}

fn matrix(call: &Call) -> Result<Matrix> {
    let collection = call.collection()?;
    let strict = call.strict(&collection);
    below("search_request", || call.parse::<MatrixBody>()?.run(&collection, &strict, call.deadline()))
}

pub(super) fn search(call: &Call) -> Result<Vec<ScoredPoint>> {
    hits(call, Kind::Search)
}

pub(super) fn search_batch(call: &Call) -> Result<Vec<Vec<ScoredPoint>>> {
    batch(call, Kind::Search)
}

pub(super) fn search_groups(call: &Call) -> Result<Groups> {
    groups(call, Kind::Search)
}

pub(super) fn recommend(call: &Call) -> Result<Vec<ScoredPoint>> {
    hits(call, Kind::Recommend)
}

pub(super) fn recommend_batch(call: &Call) -> Result<Vec<Vec<ScoredPoint>>> {
    batch(call, Kind::Recommend)
}

pub(super) fn recommend_groups(call: &Call) -> Result<Groups> {
    groups(call, Kind::Recommend)
}

pub(super) fn discover(call: &Call) -> Result<Vec<ScoredPoint>> {
    hits(call, Kind::Discover)
}

pub(super) fn discover_batch(call: &Call) -> Result<Vec<Vec<ScoredPoint>>> {
    batch(call, Kind::Discover)
}

fn hits(call: &Call, kind: Kind) -> Result<Vec<ScoredPoint>> {
    let collection = call.collection()?;
    kind.hits(call.parse()?, &call.translator(&collection))
}

fn batch(call: &Call, kind: Kind) -> Result<Vec<Vec<ScoredPoint>>> {
    let collection = call.collection()?;
    kind.batch(call.parse::<Batch>()?, &call.translator(&collection))
}

fn groups(call: &Call, kind: Kind) -> Result<Groups> {
    let collection = call.collection()?;
    kind.groups(call.parse()?, &call.translator(&collection))
}

pub(super) fn why_not(call: &Call) -> Result<WhyNotOut> {
    let collection = call.collection()?;
    call.parse::<WhyNotBody>()?.run(&call.translator(&collection))
}
