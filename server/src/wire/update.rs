//! Writes that change points: parts of payloads, vectors, several operations at once, several collections.
//!
//! Bodies become operations of the engine. It names an operation at fault by its position (`ops[3]`); [`Writes`] knows
//! where in the body that one stands.

use std::time::Instant;

use kithdb::{
    Change, Collection, Database, Error, ErrorKind, FieldPath, Filter, Op, Payload, Receipt, Result,
    Transaction,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{Need, Rights};
use crate::strict::{Rates, Strict};

use super::filter::FilterIn;
use super::id::Id;
use super::point::{Delete, Upsert, selection};
use super::shape::Ignored;
use super::vector::VectorsIn;
use super::weighed;
use crate::error::invalid;

/// Operations, and where in the body each of them stands.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    ops: Vec<Op>,
    places: Vec<Place>,
}

/// A place in a body, as errors spell it: `operations[2].upsert.points[3]`.
#[derive(Clone, Copy, Debug)]
struct Place {
    operation: Option<(usize, &'static str)>,
    point: Option<usize>,
}

/// `POST points/payload` merges, `PUT points/payload` replaces.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "accepted and passed over")]
pub(crate) struct SetPayload {
    #[schema(value_type = Object)]
    payload: Payload,
    #[serde(default, deserialize_with = "weighed::points")]
    points: Option<Vec<Id>>,
    filter: Option<FilterIn>,
    key: Option<String>,
    #[schema(value_type = Option<Value>)]
    shard_key: Ignored,
}

/// `POST points/payload/delete`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "accepted and passed over")]
pub(crate) struct DeletePayload {
    keys: Vec<String>,
    #[serde(default, deserialize_with = "weighed::points")]
    points: Option<Vec<Id>>,
    filter: Option<FilterIn>,
    #[schema(value_type = Option<Value>)]
    shard_key: Ignored,
}

/// `PUT points/vectors`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "accepted and passed over")]
pub(crate) struct UpdateVectors {
    points: Vec<PointVectors>,
    update_filter: Option<FilterIn>,
    #[schema(value_type = Option<Value>)]
    shard_key: Ignored,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PointVectors {
    id: Id,
    #[serde(alias = "vectors")]
    vector: VectorsIn,
}

/// `POST points/vectors/delete`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "accepted and passed over")]
pub(crate) struct DeleteVectors {
    #[serde(alias = "vectors")]
    vector: Vec<String>,
    #[serde(default, deserialize_with = "weighed::points")]
    points: Option<Vec<Id>>,
    filter: Option<FilterIn>,
    #[schema(value_type = Option<Value>)]
    shard_key: Ignored,
}

/// Ours, in batches and transactions: versions that points must have; whatever follows is done only then.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Require {
    points: Vec<Required>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RequiredVersion)]
#[serde(deny_unknown_fields)]
struct Required {
    id: Id,
    if_version: u64,
}

/// `POST points/batch`: operations in order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateBatch {
    operations: Vec<Operation>,
}

/// `POST /api/v1/transaction`: operations that name their collection.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Transaction)]
#[serde(deny_unknown_fields)]
pub(crate) struct TransactionIn {
    operations: Vec<Operation>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Operation {
    collection: Option<String>,
    upsert: Option<Upsert>,
    delete: Option<Delete>,
    set_payload: Option<SetPayload>,
    overwrite_payload: Option<SetPayload>,
    delete_payload: Option<DeletePayload>,
    clear_payload: Option<Delete>,
    update_vectors: Option<UpdateVectors>,
    delete_vectors: Option<DeleteVectors>,
    require: Option<Require>,
}

/// What became of a transaction.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Committed {
    seqno: u64,
}

impl Writes {
    /// Adds an operation, which stands at a point of the body or is the body.
    pub(crate) fn push(&mut self, op: Op, point: Option<usize>) {
        self.ops.push(op);
        self.places.push(Place { operation: None, point });
    }

    pub(crate) fn of(op: Op) -> Self {
        let mut writes = Self::default();
        writes.push(op, None);
        writes
    }

    fn append(&mut self, later: Self, operation: (usize, &'static str)) {
        self.ops.extend(later.ops);
        let places = later.places.into_iter();
        self.places.extend(places.map(|place| Place { operation: Some(operation), ..place }));
    }

    /// The operations alone.
    #[cfg(test)]
    pub(crate) fn into_ops(self) -> Vec<Op> {
        self.ops
    }

    /// What the settings of the collection say of them.
    fn check(&self, strict: &Strict<'_>) -> Result<()> {
        strict.check_writes(&self.ops, |position| {
            self.places[position].operation.map_or(0, |(operation, _)| operation)
        })
    }

    /// Applies them in one commit.
    ///
    /// # Errors
    /// What the settings of the collection refuse; the engine's, with the place in the body.
    pub(crate) fn run(self, collection: &Collection, strict: &Strict<'_>) -> Result<Receipt> {
        self.check(strict)?;
        let Self { ops, places } = self;
        collection.apply(ops).map_err(|error| placed(error, "ops", &places))
    }
}

fn placed(error: Error, list: &str, places: &[Place]) -> Error {
    error.relocated(list, |position| places.get(position).map(Place::text).unwrap_or_default())
}

impl Place {
    fn text(&self) -> String {
        let operation = self.operation.map(|(position, name)| format!("operations[{position}].{name}"));
        let point = self.point.map(|position| format!("points[{position}]"));
        operation.into_iter().chain(point).collect::<Vec<String>>().join(".")
    }
}

impl SetPayload {
    /// Merges.
    ///
    /// # Errors
    /// `InvalidArgument` when the points are not named, or `key` is no path.
    pub(crate) fn into_set(self) -> Result<Writes> {
        let path = self.key.map(|key| key.parse::<FieldPath>()).transpose()?;
        let points = selection(self.points, self.filter)?;
        Ok(Writes::of(Op::Change(points, Change::SetPayload { payload: self.payload, path })))
    }

    /// Replaces.
    ///
    /// # Errors
    /// `InvalidArgument` when the points are not named, or with `key`.
    pub(crate) fn into_overwrite(self) -> Result<Writes> {
        if self.key.is_some() {
            let message =
                "stands beside a payload that replaces the whole one; to change what is below a key, merge";
            return Err(Error::invalid("key", message));
        }
        let points = selection(self.points, self.filter)?;
        Ok(Writes::of(Op::Change(points, Change::OverwritePayload(self.payload))))
    }
}

impl DeletePayload {
    /// # Errors
    /// `InvalidArgument` when the points are not named, or a key is no path.
    pub(crate) fn into_writes(self) -> Result<Writes> {
        let parse = |(position, key): (usize, &String)| {
            key.parse().map_err(|error: Error| error.with_field(format!("keys[{position}]")))
        };
        let paths = self.keys.iter().enumerate().map(parse).collect::<Result<_>>()?;
        let points = selection(self.points, self.filter)?;
        Ok(Writes::of(Op::Change(points, Change::DeletePayload(paths))))
    }
}

/// `POST points/payload/clear`, which has the body of a deletion.
///
/// # Errors
/// `InvalidArgument` when the points are not named.
pub(crate) fn clear_payload(points: Delete) -> Result<Writes> {
    Ok(Writes::of(Op::Change(points.into_selection()?, Change::ClearPayload)))
}

impl UpdateVectors {
    /// # Errors
    /// `InvalidArgument` when there is no point, or nothing of one, and for a filter that is none.
    pub(crate) fn into_writes(self) -> Result<Writes> {
        if self.points.is_empty() {
            return Err(invalid("points", "must specify points to update"));
        }
        let update_filter = self.update_filter.map_or_else(|| Ok(Filter::default()), FilterIn::into_filter);
        let update_filter = update_filter.map_err(|error| error.within("update_filter"))?;
        if let Some(at) = self.points.iter().position(|point| point.vector.0.is_empty()) {
            return Err(invalid(&format!("points[{at}].vector"), "must specify vectors to update for point"));
        }
        let points = self.points.into_iter().map(|point| (point.id.0, point.vector.0)).collect();
        Ok(Writes::of(Op::UpdateVectors { points, update_filter }))
    }
}

impl DeleteVectors {
    /// # Errors
    /// `InvalidArgument` when neither points nor vectors are named.
    pub(crate) fn into_writes(self) -> Result<Writes> {
        if self.vector.is_empty() {
            return Err(invalid("vector", "must specify vector names to delete"));
        }
        let points = selection(self.points, self.filter)?;
        Ok(Writes::of(Op::Change(points, Change::DeleteVectors(self.vector))))
    }
}

impl Require {
    fn into_writes(self) -> Writes {
        let mut writes = Writes::default();
        for (position, Required { id: Id(id), if_version }) in self.points.into_iter().enumerate() {
            writes.push(Op::Require { id, if_version }, Some(position));
        }
        writes
    }
}

impl Operation {
    /// Its name and what it does.
    fn into_writes(self) -> Result<(&'static str, Writes)> {
        let all = [
            ("upsert", self.upsert.map(Upsert::into_writes)),
            ("delete", self.delete.map(|points| points.into_op().map(Writes::of))),
            ("set_payload", self.set_payload.map(SetPayload::into_set)),
            ("overwrite_payload", self.overwrite_payload.map(SetPayload::into_overwrite)),
            ("delete_payload", self.delete_payload.map(DeletePayload::into_writes)),
            ("clear_payload", self.clear_payload.map(clear_payload)),
            ("update_vectors", self.update_vectors.map(UpdateVectors::into_writes)),
            ("delete_vectors", self.delete_vectors.map(DeleteVectors::into_writes)),
            ("require", self.require.map(|required| Ok(required.into_writes()))),
        ];
        let names = all.each_ref().map(|(name, _)| *name).join("`, `");
        let mut given = all.into_iter().filter_map(|(name, writes)| Some((name, writes?)));
        match (given.next(), given.next()) {
            (Some((name, writes)), None) => Ok((name, writes.map_err(|error| error.within(name))?)),
            _ => Err(Error::new(ErrorKind::InvalidArgument, format!("give one of `{names}`"))),
        }
    }
}

/// Each operation with its position, its name, and the collection that it names.
fn each(
    operations: Vec<Operation>,
    mut take: impl FnMut(Option<String>, Writes, (usize, &'static str)) -> Result<()>,
) -> Result<()> {
    operations.into_iter().enumerate().try_for_each(|(position, mut operation)| {
        let collection = operation.collection.take();
        let took =
            operation.into_writes().and_then(|(name, writes)| take(collection, writes, (position, name)));
        took.map_err(|error| error.within(&format!("operations[{position}]")))
    })
}

impl UpdateBatch {
    /// All operations in one commit, in order; a receipt for each.
    ///
    /// # Errors
    /// `InvalidArgument` naming the operation; the engine's.
    pub(crate) fn run(self, collection: &Collection, strict: &Strict<'_>) -> Result<Vec<Receipt>> {
        let (mut all, count) = (Writes::default(), self.operations.len());
        each(self.operations, |named, writes, operation| {
            if named.is_some() {
                return Err(Error::invalid("collection", "is named by the path already; leave it out"));
            }
            all.append(writes, operation);
            Ok(())
        })?;
        if count == 0 {
            return Ok(Vec::new());
        }
        all.run(collection, strict).map(|receipt| vec![receipt; count])
    }
}

impl TransactionIn {
    /// All operations in one commit, or none of them.
    ///
    /// # Errors
    /// `InvalidArgument` naming the operation; forbidden, naming the collection; the engine's.
    pub(crate) fn run(
        self,
        db: &Database,
        rights: &Rights,
        rates: &Rates,
        deadline: Instant,
    ) -> Result<Committed> {
        let mut targets: Vec<(String, Writes)> = Vec::new();
        each(self.operations, |named, writes, operation| {
            let name =
                named.ok_or_else(|| Error::invalid("collection", "is missing; name the collection"))?;
            rights.check_of(db, &name, Need::Write)?;
            db.collection(&name).map_err(|error| error.with_field("collection"))?;
            match targets.iter_mut().find(|(known, _)| *known == name) {
                Some((_, before)) => before.append(writes, operation),
                None => {
                    let mut first = Writes::default();
                    first.append(writes, operation);
                    targets.push((name, first));
                }
            }
            Ok(())
        })?;
        if targets.is_empty() {
            return Err(Error::invalid("operations", "is empty; a transaction has at least one operation"));
        }
        let (mut transaction, mut places) = (Transaction::new().until(deadline), Vec::new());
        for (name, writes) in targets {
            writes.check(&Strict::of(&db.collection(&name)?.until(deadline), rates))?;
            transaction = transaction.on(&name, writes.ops);
            places.push((name, writes.places));
        }
        let located = |error: Error| {
            places.iter().fold(error, |error, (name, places)| placed(error, &format!("{name}.ops"), places))
        };
        db.commit(transaction).map(|receipt| Committed { seqno: receipt.seqno.0 }).map_err(located)
    }
}
