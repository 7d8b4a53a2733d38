//! Filters under strict mode: how large they are, and whether their fields have indexes.

use std::collections::BTreeSet;

use kithdb::{Condition, FieldKind, FieldPath, Filter, GeoArea, Predicate, Result, Scalar, Schema};

use super::{Config, Strict, refused};

impl Strict<'_> {
    pub(super) fn filter(
        &self,
        config: &Config,
        filter: &Filter,
        may_be_unindexed: Option<bool>,
    ) -> Result<()> {
        if let Some(limit) = config.filter_max_conditions {
            let count = conditions(filter);
            if count > limit {
                let message = format!("Filter condition limit reached ({count} > {limit})");
                return Err(refused("filter", &message, "Reduce the amount of conditions of your filter."));
            }
        }
        if let Some(limit) = config.condition_max_size {
            let size = largest(filter);
            if size > limit {
                let message = format!("Condition size limit reached ({size} > {limit})");
                return Err(refused("filter", &message, "Reduce the size of your condition."));
            }
        }
        match may_be_unindexed {
            Some(false) => all_indexed(&self.collection.schema(), filter, ""),
            _ => Ok(()),
        }
    }
}

/// Conditions of all levels; filters themselves do not count.
pub(crate) fn conditions(filter: &Filter) -> usize {
    let count = |condition: &Condition| match condition {
        Condition::Nested(_, filter) | Condition::Filter(filter) => conditions(filter),
        _ => 1,
    };
    filter.conditions().map(count).sum()
}

/// What the largest condition names: values, ids, corners.
fn largest(filter: &Filter) -> usize {
    let size = |condition: &Condition| match condition {
        Condition::Nested(_, filter) | Condition::Filter(filter) => largest(filter),
        Condition::HasId(ids) => ids.len(),
        Condition::Field(_, Predicate::Any(values) | Predicate::Except(values)) => values.len(),
        Condition::Field(_, Predicate::Geo(GeoArea::Polygon { exterior, interiors })) => {
            exterior.len() + interiors.iter().map(Vec::len).sum::<usize>()
        }
        _ => 1,
    };
    filter.conditions().map(size).max().unwrap_or(0)
}

/// `above` is the path of the objects that a nested filter is about.
fn all_indexed(schema: &Schema, filter: &Filter, above: &str) -> Result<()> {
    let below = |path: &FieldPath| format!("{above}{path}");
    filter.conditions().try_for_each(|condition| match condition {
        Condition::Field(path, predicate) => indexed(schema, &below(path), Some(kinds(predicate))),
        Condition::IsEmpty(path) | Condition::IsNull(path) | Condition::Count(path, _) => {
            indexed(schema, &below(path), None)
        }
        Condition::HasId(_) | Condition::Slice { .. } | Condition::HasVector(_) => Ok(()),
        Condition::Nested(path, filter) => all_indexed(schema, filter, &format!("{}.", below(path))),
        Condition::Filter(filter) => all_indexed(schema, filter, above),
    })
}

/// Checks that a field has an index of one of these kinds, or of any.
///
/// # Errors
/// Bad request, naming the field.
pub(super) fn check_indexed(schema: &Schema, path: &FieldPath, kinds: Option<&[FieldKind]>) -> Result<()> {
    indexed(schema, &path.to_string(), kinds)
}

fn indexed(schema: &Schema, path: &str, kinds: Option<&[FieldKind]>) -> Result<()> {
    // An array at the end of a path counts as its elements, so `a` and `a[]` are one field.
    let plain = |path: &str| path.replace("[]", "");
    let wanted = plain(path);
    let is_served = schema.fields.iter().any(|(own, kind)| {
        plain(&own.to_string()) == wanted && kinds.is_none_or(|kinds| kinds.contains(kind))
    });
    if is_served {
        return Ok(());
    }
    let kinds: BTreeSet<&str> = kinds.unwrap_or(&FieldKind::ALL).iter().map(|kind| kind.name()).collect();
    let kinds = kinds.into_iter().collect::<Vec<_>>().join(", ");
    let message =
        format!("Index required but not found for \"{path}\" of one of the following types: [{kinds}]");
    Err(refused("filter", &message, "Create an index for this key or use a different filter."))
}

/// The kinds of index that know what satisfies a predicate.
fn kinds(predicate: &Predicate) -> &'static [FieldKind] {
    match predicate {
        Predicate::Any(values) | Predicate::Except(values) => match values.first() {
            Some(Scalar::Int(_)) => &[FieldKind::Integer],
            Some(Scalar::Bool(_)) => &[FieldKind::Bool],
            _ => &[FieldKind::Keyword, FieldKind::Uuid],
        },
        Predicate::Range(_) => &[FieldKind::Float, FieldKind::Integer],
        Predicate::Times(_) => &[FieldKind::Datetime],
        Predicate::Geo(_) => &[FieldKind::Geo],
        Predicate::Prefix(_) => &[FieldKind::Keyword],
        Predicate::Text(_) | Predicate::TextAny(_) | Predicate::Phrase(_) | Predicate::Analysed(_) => {
            &[FieldKind::Text]
        }
    }
}
