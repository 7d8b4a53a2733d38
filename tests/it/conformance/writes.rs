//! Writes of cases as operations of the crate, and errors of the crate as cases name them: by the place in the body.

use kithdb::{
    Change, Collection, Database, Error, FieldPath, Filter, Op, Receipt, Result, Selection, Transaction,
    UpsertMode, Value,
};

use super::embedded::{bad, filter_of, id_of, ids_of, list, point_of};

/// An operation with the place where its body stands, which is empty for the body itself.
type Placed<'a> = (String, &'a str, &'a Value);

pub(super) fn apply(collection: &Collection, operations: Vec<Placed<'_>>) -> Result<Receipt> {
    let (mut ops, mut places) = (Vec::new(), Vec::new());
    for (place, verb, body) in operations {
        add(&place, verb, body, &mut ops, &mut places)?;
    }
    collection.apply(ops).map_err(|error| error.relocated("ops", |position| places[position].clone()))
}

pub(super) fn batch(collection: &Collection, operations: &Value) -> Result<Receipt> {
    let operation = |(position, operation): (usize, &'_ Value)| {
        let (verb, body) = operation.as_object()?.iter().next()?;
        Some((format!("operations[{position}].{verb}"), verb.clone(), body.clone()))
    };
    let all: Option<Vec<_>> = list(operations, "operations")?.iter().enumerate().map(operation).collect();
    let all = all.ok_or_else(|| bad("operations"))?;
    apply(collection, all.iter().map(|(place, verb, body)| (place.clone(), verb.as_str(), body)).collect())
}

pub(super) fn transact(db: &Database, operations: &Value) -> Result<Receipt> {
    let mut all: Vec<(&str, Vec<Op>, Vec<String>)> = Vec::new();
    for (position, operation) in list(operations, "operations")?.iter().enumerate() {
        let place = format!("operations[{position}]");
        let name = operation["collection"].as_str().ok_or_else(|| bad("collection"))?;
        db.collection(name).map_err(|error| error.with_field(format!("{place}.collection")))?;
        let mut members = operation.as_object().into_iter().flatten();
        let (verb, body) =
            members.find(|(verb, _)| *verb != "collection").ok_or_else(|| bad("operations"))?;
        if all.iter().all(|(known, ..)| *known != name) {
            all.push((name, Vec::new(), Vec::new()));
        }
        let (_, ops, places) = all.iter_mut().find(|(known, ..)| *known == name).expect("it was added above");
        add(&format!("{place}.{verb}"), verb, body, ops, places)?;
    }
    let transaction = all.iter().fold(Transaction::new(), |all, (name, ops, _)| all.on(name, ops.clone()));
    db.commit(transaction).map_err(|error| {
        all.iter().fold(error, |error, (name, _, places)| {
            error.relocated(&format!("{name}.ops"), |position| places[position].clone())
        })
    })
}

fn add(place: &str, verb: &str, body: &Value, ops: &mut Vec<Op>, places: &mut Vec<String>) -> Result<()> {
    let mut push = |op: Op, inner: String| {
        ops.push(op);
        places.push(if place.is_empty() || inner.is_empty() {
            format!("{place}{inner}")
        } else {
            format!("{place}.{inner}")
        });
    };
    let within = |error: Error| if place.is_empty() { error } else { error.within(place) };
    if verb == "require" {
        for (position, tree) in list(&body["points"], "points")?.iter().enumerate() {
            let if_version = tree["if_version"].as_u64().ok_or_else(|| bad("if_version"))?;
            push(Op::Require { id: id_of(&tree["id"])?, if_version }, format!("points[{position}]"));
        }
        return Ok(());
    }
    if verb != "upsert" {
        push(op_of(verb, body).map_err(within)?, String::new());
        return Ok(());
    }
    let mut points = Vec::new();
    let is_plain = body.get("update_mode").is_none() && body.get("update_filter").is_none();
    for (position, tree) in list(&body["points"], "points")?.iter().enumerate() {
        let point = point_of(tree)?;
        if let Some(if_version) = tree["if_version"].as_u64() {
            push(Op::Require { id: point.id, if_version }, format!("points[{position}]"));
        }
        if is_plain {
            push(Op::Upsert(point), format!("points[{position}]"));
        } else {
            points.push(point);
        }
    }
    if !is_plain {
        let mode = match body["update_mode"].as_str() {
            Some("insert_only") => UpsertMode::InsertOnly,
            Some("update_only") => UpsertMode::UpdateOnly,
            _ => UpsertMode::Upsert,
        };
        push(Op::UpsertWhere { points, mode, update_filter: update_filter(body)? }, String::new());
    }
    Ok(())
}

fn op_of(verb: &str, body: &Value) -> Result<Op> {
    let payload = || body["payload"].as_object().cloned().ok_or_else(|| bad("payload"));
    let change = |change: Change| Ok(Op::Change(selection(body)?, change));
    match verb {
        "delete" => Ok(match selection(body)? {
            Selection::Ids(ids) => Op::Delete(ids),
            Selection::Where(filter) => Op::DeleteWhere(filter),
        }),
        "set_payload" => {
            let path = body["key"].as_str().map(str::parse).transpose()?;
            change(Change::SetPayload { payload: payload()?, path })
        }
        "overwrite_payload" => change(Change::OverwritePayload(payload()?)),
        "delete_payload" => {
            let key = |(position, key): (usize, &Value)| -> Result<FieldPath> {
                let key = key.as_str().unwrap_or_default().parse();
                key.map_err(|error: Error| error.with_field(format!("keys[{position}]")))
            };
            change(Change::DeletePayload(
                list(&body["keys"], "keys")?.iter().enumerate().map(key).collect::<Result<_>>()?,
            ))
        }
        "clear_payload" => change(Change::ClearPayload),
        "delete_vectors" => {
            let names = list(&body["vector"], "vector")?.iter().filter_map(Value::as_str);
            change(Change::DeleteVectors(names.map(str::to_owned).collect()))
        }
        "update_vectors" => {
            let point = |tree: &Value| Ok((id_of(&tree["id"])?, point_of(tree)?.vectors));
            let points = list(&body["points"], "points")?.iter().map(point).collect::<Result<_>>()?;
            Ok(Op::UpdateVectors { points, update_filter: update_filter(body)? })
        }
        other => panic!("no write: {other}"),
    }
}

fn selection(body: &Value) -> Result<Selection> {
    match body.get("points") {
        Some(ids) => ids_of(ids).map(Selection::Ids),
        None => filter_of(&body["filter"]).map_err(|error| error.within("filter")).map(Selection::Where),
    }
}

fn update_filter(body: &Value) -> Result<Filter> {
    match body.get("update_filter") {
        Some(filter) => filter_of(filter).map_err(|error| error.within("update_filter")),
        None => Ok(Filter::default()),
    }
}
