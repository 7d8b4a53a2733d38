//! Collections and the indexes of their payload fields.

use kithdb::schema::check_name;
use kithdb::{Error, Result, Value};
use serde_json::json;

use super::Call;
use super::call::Wait;
use crate::error::Refusal;
use crate::limits;
use crate::state::LINGERING_MAX;
use crate::wire::alias::{Aliases, ChangeAliases};
use crate::wire::alter::{self, Alter, CreateVector};
use crate::wire::collection::Create;
use crate::wire::describe;
use crate::wire::field::CreateField;
use crate::wire::optimizations::Optimize;
use crate::wire::point::Updated;

pub(super) fn list(call: &Call) -> Result<Value> {
    let all = call.state.db.collections();
    let seen = all.iter().map(|collection| collection.name()).filter(|name| call.rights.sees(name));
    let names: Vec<Value> = seen.map(|name| json!({"name": name})).collect();
    Ok(json!({"collections": names}))
}

pub(super) fn describe(call: &Call) -> Result<Value> {
    let mut told = describe::describe(&call.collection()?)?;
    // Writes of all collections wait in one queue.
    told["update_queue"] = json!({"length": call.state.db.measures().writes_waiting});
    Ok(told)
}

pub(super) fn describe_fully(call: &Call) -> Result<Value> {
    Ok(describe::describe_fully(&call.collection()?))
}

pub(super) fn optimize(call: &Call) -> Result<bool> {
    let of_body = !call.is_empty() && call.parse::<Optimize>()?.is_awaited();
    let is_awaited = call.query::<Wait>()?.wait.unwrap_or(of_body);
    let full = |_| limits::full("wait", "clients wait for what is done in the background", LINGERING_MAX);
    let _place = is_awaited.then(|| call.state.waiters.try_acquire().map_err(full)).transpose()?;
    call.collection()?.optimize(is_awaited).map(|()| true)
}

pub(super) fn exists(call: &Call) -> Result<Value> {
    Ok(json!({"exists": call.collection().is_ok()}))
}

pub(super) fn create(call: &Call) -> Result<bool> {
    let (db, name) = (&call.state.db, call.part("collection")?);
    let never = |error: Error| Refusal::Path.of("collection_name", error.message());
    check_name(name, db.limits()).map_err(never)?;
    let schema = call.parse::<Create>()?.into_schema()?;
    // Documents that wait for a library of this name that was dropped would come into this one.
    rag::forget_gone(db, name)?;
    db.create_collection(name, schema)?;
    Ok(true)
}

pub(super) fn update(call: &Call) -> Result<bool> {
    let change = call.parse::<Alter>()?.into_change()?;
    call.collection()?.configure(change).map(|_| true)
}

pub(super) fn create_vector(call: &Call) -> Result<Updated> {
    let change = call.parse::<CreateVector>()?.into_change(call.part("vector")?.to_owned())?;
    call.collection()?.configure(change).map(|receipt| call.updated(receipt))
}

pub(super) fn drop_vector(call: &Call) -> Result<Updated> {
    let change = alter::drop_vector(call.part("vector")?.to_owned());
    call.collection()?.configure(change).map(|receipt| call.updated(receipt))
}

pub(super) fn drop(call: &Call) -> Result<bool> {
    let name = call.part("collection")?;
    call.state.rates.forget(name);
    call.state.db.drop_collection(name)
}

pub(super) fn change_aliases(call: &Call) -> Result<bool> {
    call.state.db.change_aliases(call.parse::<ChangeAliases>()?.into_changes()).map(|()| true)
}

pub(super) fn aliases(call: &Call) -> Result<Aliases> {
    Ok(Aliases::of(call.state.db.aliases(), |collection| call.rights.sees(collection)))
}

pub(super) fn aliases_of(call: &Call) -> Result<Aliases> {
    let collection = call.collection()?;
    Ok(Aliases::of(call.state.db.aliases(), |name| name == collection.name()))
}

pub(super) fn create_field(call: &Call) -> Result<Updated> {
    let collection = call.collection()?;
    let (path, kind, params) = call.parse::<CreateField>()?.into_field()?;
    call.strict(&collection).check_index()?;
    collection.create_field_with(path, kind, params).map(|receipt| call.updated(receipt))
}

pub(super) fn drop_field(call: &Call) -> Result<Updated> {
    let collection = call.collection()?;
    let path = call.part("field")?.parse().map_err(|error: Error| error.with_field("field_name"))?;
    collection.drop_field(path).map(|receipt| call.updated(receipt))
}
