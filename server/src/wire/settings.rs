//! Settings of the dialect: what a client says of graphs, optimizers, logs, shards, places in memory. They decide
//! nothing here, since the engine decides these things by itself. They are checked, kept with the schema, and told
//! again exactly as they were given. More than that are strict mode (see [`strict`](crate::strict)) and the place of a
//! vector ([`memory`]).
//!
//! Invariant: what is kept is of a shape below, so that clients, which refuse what they do not know, can read it.
//! `null` is the same as absent.

use kithdb::{Error, Memory, Payload, Result, Value};

use super::collection::TURBO4;
use crate::error::{Refusal, invalid};

/// What a value may be.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// A whole number, at least so large.
    Count(u64),
    /// A whole number between these.
    Whole(u64, u64),
    /// A number between these.
    Between(f64, f64),
    Flag,
    Word(&'static [&'static str]),
    /// A whole number, or one of the words.
    CountOr(&'static [&'static str]),
    /// An object with these members.
    Object(&'static [(&'static str, Shape)]),
    /// An object with exactly one of these members.
    OneOf(&'static [(&'static str, Shape)]),
    /// An object that has this member.
    Having(&'static str, &'static Shape),
    /// An object of any members, each of this shape.
    Each(&'static Shape),
    /// Any object.
    Anything,
}

use Shape::{Anything, Between, Count, CountOr, Each, Flag, Having, Object, OneOf, Whole, Word};

const MEMORY: Shape = Word(&["cold", "cached", "pinned"]);

/// Of what is too large to be pinned.
const PLACE: Shape = Word(&["cold", "cached"]);

const HNSW: Shape = Object(&[
    ("m", Count(0)),
    ("ef_construct", Count(4)),
    ("full_scan_threshold", Count(10)),
    ("max_indexing_threads", Count(0)),
    ("on_disk", Flag),
    ("memory", MEMORY),
    ("payload_m", Count(0)),
    ("inline_storage", Flag),
]);

const QUANTIZATION: Shape = OneOf(&[
    (
        "scalar",
        Having(
            "type",
            &Object(&[
                ("type", Word(&["int8"])),
                ("quantile", Between(0.5, 1.0)),
                ("always_ram", Flag),
                ("memory", MEMORY),
            ]),
        ),
    ),
    (
        "product",
        Having(
            "compression",
            &Object(&[
                ("compression", Word(&["x4", "x8", "x16", "x32", "x64"])),
                ("always_ram", Flag),
                ("memory", MEMORY),
            ]),
        ),
    ),
    (
        "binary",
        Object(&[
            ("always_ram", Flag),
            ("memory", MEMORY),
            ("encoding", Word(&["one_bit", "two_bits", "one_and_half_bits"])),
            ("query_encoding", Word(&["default", "binary", "scalar4bits", "scalar8bits"])),
        ]),
    ),
    (
        "turbo",
        Object(&[
            ("always_ram", Flag),
            ("memory", MEMORY),
            ("bits", Word(&["bits1", "bits1_5", "bits2", "bits4", "bits8"])),
        ]),
    ),
]);

const OPTIMIZERS: Shape = Object(&[
    ("deleted_threshold", Between(0.0, 1.0)),
    ("vacuum_min_vector_number", Count(100)),
    ("default_segment_number", Count(0)),
    ("max_segment_size", Count(1)),
    ("memmap_threshold", Count(0)),
    ("indexing_threshold", Count(0)),
    ("flush_interval_sec", Count(0)),
    ("max_optimization_threads", CountOr(&["auto"])),
    ("prevent_unoptimized", Flag),
]);

const WAL: Shape = Object(&[
    ("wal_capacity_mb", Count(1)),
    ("wal_segments_ahead", Count(0)),
    ("wal_retain_closed", Count(1)),
]);

const STRICT_MODE: Shape = Object(&[
    ("enabled", Flag),
    ("max_query_limit", Count(1)),
    ("max_timeout", Count(1)),
    ("unindexed_filtering_retrieve", Flag),
    ("unindexed_filtering_update", Flag),
    ("search_max_hnsw_ef", Count(0)),
    ("search_allow_exact", Flag),
    ("search_max_oversampling", Between(1.0, f64::MAX)),
    ("upsert_max_batchsize", Count(0)),
    ("search_max_batchsize", Count(0)),
    ("max_collection_vector_size_bytes", Count(0)),
    ("read_rate_limit", Count(1)),
    ("write_rate_limit", Count(1)),
    ("max_collection_payload_size_bytes", Count(0)),
    ("max_points_count", Count(1)),
    ("filter_max_conditions", Count(0)),
    ("condition_max_size", Count(0)),
    ("multivector_config", Each(&Object(&[("max_vectors", Count(1))]))),
    ("sparse_config", Each(&Object(&[("max_length", Count(1))]))),
    ("max_payload_index_count", Count(0)),
    ("max_resident_memory_percent", Whole(1, 100)),
]);

const PLACED: Shape = Object(&[("memory", PLACE)]);

/// Of a collection, by their names in `PUT collections/{name}`.
pub(super) const COLLECTION: &[(&str, Shape)] = &[
    ("shard_number", Count(1)),
    ("sharding_method", Word(&["auto", "custom"])),
    ("replication_factor", Count(1)),
    ("write_consistency_factor", Count(1)),
    ("read_fan_out_factor", Count(0)),
    ("read_fan_out_delay_ms", Count(0)),
    ("on_disk_payload", Flag),
    ("payload", PLACED),
    ("id_tracker", Object(&[("memory", MEMORY)])),
    ("hnsw_config", HNSW),
    ("optimizers_config", OPTIMIZERS),
    ("wal_config", WAL),
    ("quantization_config", QUANTIZATION),
    ("strict_mode_config", STRICT_MODE),
    ("metadata", Anything),
];

/// Kept where the unnamed vector was given by its empty name, and not alone: it is told so again.
pub(super) const NAMED: &str = "is_named";

/// The most elements that the dialect lets a vector have.
const SIZE_MAX: usize = 65_536;

/// The number of elements of a vector, if there can be so many.
///
/// # Errors
/// `InvalidArgument` on `size`.
pub(super) fn size(size: usize) -> Result<usize> {
    match size {
        1..=SIZE_MAX => Ok(size),
        _ => Err(invalid("size", &format!("value {size} invalid, must be from 1 to {SIZE_MAX}"))),
    }
}

/// Of a sparse index, beside what is kept with the vector itself.
pub(super) const SPARSE_INDEX: &[(&str, Shape)] = &[("memory", MEMORY)];

/// Of a dense vector.
pub(super) const VECTOR: &[(&str, Shape)] = &[
    ("hnsw_config", HNSW),
    ("quantization_config", QUANTIZATION),
    ("on_disk", Flag),
    ("memory", PLACE),
    ("datatype", Word(&["float32", "float16", "uint8", TURBO4])),
];

/// The settings among these that a client gave, checked. `field` is where they stand; empty at the top.
///
/// # Errors
/// `InvalidArgument` naming the place.
pub(super) fn read(
    given: impl IntoIterator<Item = (&'static str, Option<Value>)>,
    known: &'static [(&'static str, Shape)],
    field: &str,
) -> Result<Payload> {
    let mut settings = Payload::new();
    for (name, value) in given {
        let shape = known.iter().find(|(known, _)| *known == name).map_or(Anything, |(_, shape)| *shape);
        let kept = value.map(|value| checked(value, shape, &place(field, name))).transpose()?.flatten();
        settings.extend(kept.map(|kept| (name.to_owned(), kept)));
    }
    Ok(settings)
}

/// What is kept of single vectors, dense (`vectors`) or sparse (`sparse_vectors`), by name.
fn of_vectors<'a>(settings: &'a mut Payload, kind: &str) -> &'a mut Payload {
    let vectors = settings.entry(kind).or_insert_with(|| Payload::new().into());
    if !vectors.is_object() {
        *vectors = Payload::new().into();
    }
    vectors.as_object_mut().expect("it is an object by now")
}

/// Takes out what is kept of one vector.
pub(super) fn take_vector(settings: &mut Payload, kind: &str, name: &str) -> Payload {
    let taken = settings.get_mut(kind).and_then(|vectors| vectors.as_object_mut()?.shift_remove(name));
    if settings.get(kind).and_then(Value::as_object).is_some_and(Payload::is_empty) {
        settings.shift_remove(kind);
    }
    match taken {
        Some(Value::Object(own)) => own,
        _ => Payload::new(),
    }
}

/// Keeps what there is to keep of one vector.
pub(super) fn put_vector(settings: &mut Payload, kind: &str, name: String, own: Payload) {
    if !own.is_empty() {
        of_vectors(settings, kind).insert(name, own.into());
    }
}

/// Where the settings of a vector want it to be.
pub(super) fn memory(own: &Payload) -> Memory {
    match (own.get("memory").and_then(Value::as_str), own.get("on_disk")) {
        (Some("cold"), _) | (None, None | Some(Value::Bool(true) | Value::Null)) => Memory::Cold,
        _ => Memory::Cached,
    }
}

/// Puts later settings over earlier ones: objects are joined, everything else is replaced. An object that is empty
/// takes back what was set.
pub(super) fn merge(settings: &mut Payload, later: Payload) {
    for (name, value) in later {
        match (settings.get_mut(&name), value) {
            (_, Value::Object(members)) if members.is_empty() => drop(settings.shift_remove(&name)),
            // One kind of quantisation takes the place of another.
            (Some(Value::Object(before)), Value::Object(members)) if name != "quantization_config" => {
                merge(before, members);
            }
            (_, value) => drop(settings.insert(name, value)),
        }
    }
}

/// Puts later metadata over earlier: member by member, and `null` takes one away.
pub(super) fn merge_metadata(settings: &mut Payload, later: Payload) {
    let before = settings.entry("metadata").or_insert_with(|| Payload::new().into());
    let Some(before) = before.as_object_mut() else { return };
    for (name, value) in later {
        if value.is_null() {
            before.shift_remove(&name);
        } else {
            before.insert(name, value);
        }
    }
}

/// A value of a shape, without what is `null` in it.
fn checked(value: Value, shape: Shape, field: &str) -> Result<Option<Value>> {
    let number = value.as_f64();
    match (shape, value) {
        (_, Value::Null) => Ok(None),
        (Count(_) | CountOr(_), Value::Number(count)) if count.is_u64() => {
            let least = least_of(shape);
            match count.as_u64() {
                Some(given) if given < least => {
                    Err(invalid(field, &format!("value {given} invalid, must be {least} or larger")))
                }
                _ => Ok(Some(count.into())),
            }
        }
        (Whole(from, to), Value::Number(given)) if given.is_u64() => match given.as_u64() {
            Some(number) if (from..=to).contains(&number) => Ok(Some(given.into())),
            _ => Err(invalid(field, &format!("value {given} invalid, must be from {from} to {to}"))),
        },
        (Between(from, to), Value::Number(given)) => match number {
            Some(number) if number >= from && number <= to => Ok(Some(given.into())),
            _ => Err(invalid(field, &format!("value {given} invalid, must be from {from} to {to}"))),
        },
        (Flag, value @ Value::Bool(_)) => Ok(Some(value)),
        (Word(words) | CountOr(words), Value::String(word)) if words.contains(&word.as_str()) => {
            Ok(Some(word.into()))
        }
        (Word(_), Value::String(word)) if word == "pinned" => {
            Err(invalid(field, "value pinned invalid, must be cold or cached"))
        }
        (Object(members), Value::Object(given)) => {
            members_of(given, field, &|name| known(members, name, field))
        }
        (OneOf(kinds), Value::Object(given)) => {
            let kept = checked(given.into(), Object(kinds), field)?;
            match kept.as_ref().and_then(Value::as_object).map(Payload::len) {
                Some(1) => Ok(kept),
                _ => Err(malformed(field, &expected(shape))),
            }
        }
        (Having(member, shape), value @ Value::Object(_)) => {
            let kept = checked(value, *shape, field)?;
            match kept.as_ref().is_some_and(|kept| kept.get(member).is_some()) {
                true => Ok(kept),
                false => Err(malformed(field, &format!("lacks `{member}`"))),
            }
        }
        (Each(shape), Value::Object(given)) => members_of(given, field, &|_| Ok(*shape)),
        (Anything, value @ Value::Object(_)) => Ok(Some(value)),
        _ => Err(malformed(field, &expected(shape))),
    }
}

/// The members of an object, each of the shape that its name has.
fn members_of(given: Payload, field: &str, shape: &dyn Fn(&str) -> Result<Shape>) -> Result<Option<Value>> {
    let check = |(name, value): (String, Value)| {
        let kept = checked(value, shape(&name)?, &place(field, &name))?;
        Ok(kept.map(|kept| (name, kept)))
    };
    let was_empty = given.is_empty();
    let kept = given.into_iter().map(check).collect::<Result<Vec<_>>>()?;
    let kept: Payload = kept.into_iter().flatten().collect();
    // Nothing but absent members is absent; only what is given as empty takes back what was set.
    Ok((was_empty || !kept.is_empty()).then(|| kept.into()))
}

fn known(members: &[(&str, Shape)], name: &str, field: &str) -> Result<Shape> {
    let found = members.iter().find(|(known, _)| *known == name).map(|(_, shape)| *shape);
    found.ok_or_else(|| {
        let known: Vec<&str> = members.iter().map(|(known, _)| *known).collect();
        malformed(&place(field, name), &format!("is not known here; these are: {}", known.join(", ")))
    })
}

fn least_of(shape: Shape) -> u64 {
    if let Count(least) = shape { least } else { 0 }
}

fn expected(shape: Shape) -> String {
    let named = |members: &[(&str, Shape)]| {
        members.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    match shape {
        Count(_) => "must be a whole number, 0 or larger".to_owned(),
        Whole(..) => "must be a whole number".to_owned(),
        Between(..) => "must be a number".to_owned(),
        Flag => "must be true or false".to_owned(),
        Word(words) => format!("must be one of {}", words.join(", ")),
        CountOr(words) => format!("must be a whole number, or one of {}", words.join(", ")),
        Object(_) | Having(..) | Each(_) | Anything => "must be an object".to_owned(),
        OneOf(kinds) => format!("must be an object with one of {}", named(kinds)),
    }
}

fn place(field: &str, name: &str) -> String {
    if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") }
}

fn malformed(field: &str, why: &str) -> Error {
    Refusal::Malformed.of(field, why)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_one(name: &'static str, value: Value) -> Result<Option<Value>> {
        read([(name, Some(value))], COLLECTION, "").map(|settings| settings.get(name).cloned())
    }

    #[test]
    fn what_is_given_is_kept_and_null_is_absent() {
        let cases = [
            ("hnsw_config", json!({"m": 0, "payload_m": null}), Some(json!({"m": 0}))),
            ("optimizers_config", json!({"max_optimization_threads": "auto"}), None),
            ("optimizers_config", json!({"max_optimization_threads": 2, "deleted_threshold": 1}), None),
            ("quantization_config", json!({"scalar": {"type": "int8", "quantile": 0.99}}), None),
            ("quantization_config", json!({"binary": {}, "product": null}), Some(json!({"binary": {}}))),
            ("metadata", json!({"a": [null, {"b": 1}]}), None),
            ("strict_mode_config", json!({"multivector_config": {"v": {"max_vectors": 3}}}), None),
            ("shard_number", json!(6), None),
        ];
        for (name, given, kept) in cases {
            let kept = kept.unwrap_or_else(|| given.clone());
            assert_eq!(read_one(name, given.clone()).expect(name), Some(kept), "{given}");
        }
        for absent in [json!(null), json!({"wal_capacity_mb": null})] {
            assert_eq!(read_one("wal_config", absent).expect("absent"), None);
        }
    }

    #[test]
    fn impossible_values_are_refused_by_their_place() {
        let cases = [
            ("hnsw_config", json!({"ef_construct": 0}), "hnsw_config.ef_construct", "must be 4 or larger"),
            ("hnsw_config", json!({"m": -1}), "hnsw_config.m", "whole number"),
            ("hnsw_config", json!({"n": 1}), "hnsw_config.n", "payload_m"),
            ("hnsw_config", json!(3), "hnsw_config", "an object"),
            ("shard_number", json!(0), "shard_number", "1 or larger"),
            ("payload", json!({"memory": "pinned"}), "payload.memory", "cold or cached"),
            ("id_tracker", json!({"memory": "hot"}), "id_tracker.memory", "cold, cached, pinned"),
            ("quantization_config", json!({}), "quantization_config", "`scalar`"),
            (
                "quantization_config",
                json!({"scalar": {"type": "int4"}}),
                "quantization_config.scalar.type",
                "int8",
            ),
            ("quantization_config", json!({"scalar": {}}), "quantization_config.scalar", "lacks `type`"),
            ("quantization_config", json!({"sum": {}}), "quantization_config.sum", "product"),
            (
                "optimizers_config",
                json!({"deleted_threshold": 1.5}),
                "optimizers_config.deleted_threshold",
                "to 1",
            ),
            (
                "strict_mode_config",
                json!({"max_resident_memory_percent": 50.5}),
                "strict_mode_config.max_resident_memory_percent",
                "a whole number",
            ),
            (
                "strict_mode_config",
                json!({"max_resident_memory_percent": 101}),
                "strict_mode_config.max_resident_memory_percent",
                "from 1 to 100",
            ),
            (
                "strict_mode_config",
                json!({"sparse_config": {"s": {"max_length": 0}}}),
                "strict_mode_config.sparse_config.s.max_length",
                "1 or larger",
            ),
        ];
        for (name, given, field, says) in cases {
            let error = read_one(name, given.clone()).expect_err("refused");
            assert_eq!(error.field(), Some(field), "{given}");
            assert!(error.message().contains(says), "{}", error.message());
        }
    }

    #[test]
    fn later_settings_lie_over_earlier_ones() {
        let object = |value: Value| value.as_object().expect("an object").clone();
        let mut settings = object(json!({
            "hnsw_config": {"m": 8, "on_disk": true}, "quantization_config": {"binary": {}}, "wal_config": {"a": 1},
            "metadata": {"a": 1, "b": {"c": 2}},
        }));
        let scalar = json!({"scalar": {"type": "int8"}});
        let later = json!({"hnsw_config": {"m": 9}, "quantization_config": scalar, "wal_config": {}});
        merge(&mut settings, object(later));
        merge_metadata(&mut settings, object(json!({"a": null, "b": {"d": 3}, "e": 4})));
        let expected = json!({
            "hnsw_config": {"m": 9, "on_disk": true}, "quantization_config": {"scalar": {"type": "int8"}},
            "metadata": {"b": {"d": 3}, "e": 4},
        });
        assert_eq!(settings, object(expected));
    }
}
