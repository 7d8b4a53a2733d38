//! Collections and the indexes of their payload fields.

use kithdb::{Error, Result, Value};
use serde_json::json;

use super::Call;
use crate::wire::collection::{Create, CreateField};
use crate::wire::describe;
use crate::wire::point::Updated;

pub(super) fn list(call: &Call) -> Result<Value> {
    let names: Vec<Value> =
        call.state.db.collections().iter().map(|collection| json!({"name": collection.name()})).collect();
    Ok(json!({"collections": names}))
}

pub(super) fn describe(call: &Call) -> Result<Value> {
    describe::describe(&call.collection()?)
}

pub(super) fn describe_fully(call: &Call) -> Result<Value> {
    Ok(describe::describe_fully(&call.collection()?))
}

pub(super) fn exists(call: &Call) -> Result<Value> {
    Ok(json!({"exists": call.collection().is_ok()}))
}

pub(super) fn create(call: &Call) -> Result<bool> {
    let schema = call.parse::<Create>()?.into_schema()?;
    call.state.db.create_collection(call.part("collection")?, schema)?;
    Ok(true)
}

pub(super) fn drop(call: &Call) -> Result<bool> {
    call.state.db.drop_collection(call.part("collection")?)
}

pub(super) fn create_field(call: &Call) -> Result<Updated> {
    let collection = call.collection()?;
    let (path, kind, params) = call.parse::<CreateField>()?.into_field()?;
    collection.create_field_with(path, kind, params).map(Updated::from)
}

pub(super) fn drop_field(call: &Call) -> Result<Updated> {
    let collection = call.collection()?;
    let path = call.part("field")?.parse().map_err(|error: Error| error.with_field("field_name"))?;
    collection.drop_field(path).map(Updated::from)
}
