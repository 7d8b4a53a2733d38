//! The schemas of [`settings`](super::settings), made of the shapes that they are checked by.

use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

use kithdb::FieldKind;

use super::collection::SpaceIn;
use super::quantization::{DISABLED, MEMBER};
use super::schema::{self, Shown, any_of, free, map, named, nullable, object, text, words};
use super::settings::{COLLECTION, SPARSE_INDEX, Shape, VECTOR};

/// A shape as a schema.
fn shown(shape: Shape) -> Shown {
    match shape {
        Shape::Count(least) => schema::whole(least),
        Shape::Whole(from, to) => {
            let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(from as usize));
            RefOr::T(number.maximum(Some(to as usize)).into())
        }
        Shape::Between(from, to) => {
            let number = ObjectBuilder::new().schema_type(Type::Number).minimum(Some(from));
            RefOr::T(number.maximum((to < f64::MAX).then_some(to)).into())
        }
        Shape::Flag => schema::flag(),
        Shape::Word(known) => words(known),
        Shape::CountOr(known) => any_of([schema::whole(0), words(known)]),
        Shape::Object(members) => with_members(members, None),
        Shape::OneOf(kinds) => {
            any_of(kinds.iter().map(|(name, kind)| object([(name, shown(*kind))]).shown()))
        }
        Shape::Having(member, Shape::Object(members)) => with_members(members, Some(member)),
        Shape::Having(_, inner) => shown(*inner),
        Shape::Each(inner) => map(shown(*inner)),
        Shape::Anything => free(),
    }
}

fn with_members(members: &[(&str, Shape)], needed: Option<&str>) -> Shown {
    let object =
        members.iter().fold(ObjectBuilder::new(), |object, (name, shape)| match needed == Some(name) {
            true => object.property(*name, shown(*shape)).required(*name),
            false => object.property(*name, nullable(shown(*shape))),
        });
    RefOr::T(object.additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false))).into())
}

/// The member of a list of settings.
fn member(known: &[(&str, Shape)], name: &str) -> Shown {
    let shape = known.iter().find(|(known, _)| *known == name).map_or(Shape::Anything, |(_, shape)| *shape);
    nullable(shown(shape))
}

/// Names settings, each by a function, as a field of a body refers to it.
macro_rules! settings {
    ($($name:ident: $known:expr, $member:expr;)*) => {
        $(#[doc = concat!("`", stringify!($name), "`.")]
        pub(super) fn $name() -> Shown {
            member($known, $member)
        })*
    };
}

settings! {
    hnsw_config: COLLECTION, "hnsw_config";
    optimizers_config: COLLECTION, "optimizers_config";
    wal_config: COLLECTION, "wal_config";
    strict_mode_config: COLLECTION, "strict_mode_config";
    quantization_config: COLLECTION, MEMBER;
    sharding_method: COLLECTION, "sharding_method";
    count: COLLECTION, "replication_factor";
    whole: COLLECTION, "read_fan_out_factor";
    flag: COLLECTION, "on_disk_payload";
    placed: COLLECTION, "payload";
    id_tracker: COLLECTION, "id_tracker";
    metadata: COLLECTION, "metadata";
    place: VECTOR, "memory";
    memory: SPARSE_INDEX, "memory";
}

/// A configuration of quantisation, or the word that takes it back.
pub(super) fn requantization() -> Shown {
    any_of([quantization_config(), words(&[DISABLED])])
}

/// The vectors of a collection: one, or several by name.
pub(super) fn vectors() -> Shown {
    any_of([named::<SpaceIn>(), map(named::<SpaceIn>()), schema::null()])
}

/// The kind of an index of a field, or an object that says more of it.
pub(super) fn field_schema() -> Shown {
    let kinds = FieldKind::ALL.map(FieldKind::name);
    let object = ObjectBuilder::new().property("type", words(&kinds)).required("type");
    let object = object.additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(true)));
    any_of([words(&kinds), RefOr::T(object.into())])
}

/// Of a vector that is told of: its own parameters, as they were set.
pub(super) fn told_vector() -> Shown {
    let mut shown = object([("size", schema::whole(1)), ("distance", text())]);
    for (name, shape) in VECTOR {
        shown = shown.may(name, self::shown(*shape));
    }
    let comparator = object([("comparator", words(&["max_sim"]))]).shown();
    shown.may("multivector_config", comparator).shown()
}

/// What is told of a collection's settings, without what stands elsewhere.
pub(super) fn told_setting(name: &str) -> Shown {
    let shape = COLLECTION.iter().find(|(known, _)| *known == name).map(|(_, shape)| *shape);
    shown(shape.unwrap_or(Shape::Anything))
}
