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
pub(super) fn all_indexed(schema: &Schema, filter: &Filter, above: &str) -> Result<()> {
    let below = |path: &FieldPath| format!("{above}{path}");
    filter.conditions().try_for_each(|condition| match condition {
        // Of an empty list nothing is looked up, and no type can be read off it.
        Condition::Field(_, Predicate::Any(values) | Predicate::Except(values)) if values.is_empty() => {
            Ok(())
        }
        Condition::Field(path, predicate) => {
            let (kinds, option) = served_by(predicate);
            indexed(schema, &below(path), Some(kinds), option, "")
        }
        Condition::IsEmpty(path) | Condition::IsNull(path) | Condition::Count(path, _) => {
            indexed(schema, &below(path), None, None, "")
        }
        Condition::HasId(_) | Condition::Slice { .. } | Condition::HasVector(_) => Ok(()),
        Condition::Nested(path, filter) => all_indexed(schema, filter, &format!("{}.", below(path))),
        Condition::Filter(filter) => all_indexed(schema, filter, above),
    })
}

/// A field by which hits are grouped: its index must know what equals what.
///
/// # Errors
/// Bad request, naming the field.
pub(super) fn check_group(schema: &Schema, path: &FieldPath) -> Result<()> {
    let known = schema.fields.get(path);
    let message = match known {
        Some(FieldKind::Keyword | FieldKind::Integer | FieldKind::Bool | FieldKind::Uuid) => return Ok(()),
        Some(kind) => format!("Index of type \"{kind:?}\" found for \"{path}\""),
        None => format!("Index required but not found for \"{path}\""),
    };
    Err(refused("group_by", &message, "Create an index supporting `match` for this key."))
}

/// Checks that a field has an index of any kind. `of` says of what it is a part.
///
/// # Errors
/// Bad request, naming the field.
pub(super) fn check_indexed(schema: &Schema, path: &FieldPath, of: &str) -> Result<()> {
    indexed(schema, &path.to_string(), None, None, of)
}

/// What an index is good for, and what it was told about that.
type Use = (&'static str, bool);

fn indexed(
    schema: &Schema,
    path: &str,
    kinds: Option<&[FieldKind]>,
    option: Option<Use>,
    of: &str,
) -> Result<()> {
    // An array at the end of a path counts as its elements, so `a` and `a[]` are one field.
    let plain = |path: &str| path.replace("[]", "");
    let wanted = plain(path);
    let is_good = |own: &FieldPath| {
        let Some((name, default)) = option else { return true };
        let told = schema.params.get(own).and_then(|params| params.get(name)?.as_bool());
        told.unwrap_or(default)
    };
    let is_served = schema.fields.iter().any(|(own, kind)| {
        plain(&own.to_string()) == wanted && kinds.is_none_or(|kinds| kinds.contains(kind)) && is_good(own)
    });
    if is_served {
        return Ok(());
    }
    let kinds: BTreeSet<&str> = kinds.unwrap_or(&FieldKind::ALL).iter().map(|kind| kind.name()).collect();
    let kinds = kinds.into_iter().collect::<Vec<_>>().join(", ");
    let message =
        format!("Index required but not found for \"{path}\"{of} of one of the following types: [{kinds}]");
    Err(refused("filter", &message, "Create an index for this key or use a different filter."))
}

/// The kinds of index that know what satisfies a predicate, and the option, with its default, that such an index has
/// for that in the dialect. Ours would answer all the same; what is indexed for what is the choice of the collection.
fn served_by(predicate: &Predicate) -> (&'static [FieldKind], Option<Use>) {
    let (lookup, range) = (Some(("lookup", true)), Some(("range", true)));
    match predicate {
        Predicate::Any(values) | Predicate::Except(values) => match values.first() {
            Some(Scalar::Int(_)) => (&[FieldKind::Integer], lookup),
            Some(Scalar::Bool(_)) => (&[FieldKind::Bool], None),
            _ => (&[FieldKind::Keyword, FieldKind::Uuid], None),
        },
        Predicate::Range(_) | Predicate::Whole(_) => (&[FieldKind::Float, FieldKind::Integer], range),
        Predicate::Times(_) => (&[FieldKind::Datetime], None),
        Predicate::Geo(_) => (&[FieldKind::Geo], None),
        Predicate::Prefix(_) => (&[FieldKind::Keyword], Some(("prefix", false))),
        Predicate::PartUnlessIndexed(words) => served_by(words),
        Predicate::Phrase(_) => (&[FieldKind::Text], Some(("phrase_matching", false))),
        Predicate::Text(_) | Predicate::TextAny(_) | Predicate::Analysed(_) => (&[FieldKind::Text], None),
    }
}
