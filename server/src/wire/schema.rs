//! The schemas of bodies and answers: derived beside the types, or declared here and there by the few words below where
//! a type is read by hand.
//!
//! Invariant: two types with one name have one schema, and every name that is referred to is among
//! [`components`]. Tests hold the document against what the routes really take and give.
//! When not to use: to check a body. What is taken is decided where it is read.

use utoipa::ToSchema;
use utoipa::openapi::schema::{AdditionalProperties, AnyOfBuilder, ArrayBuilder, SchemaType, Type};
use utoipa::openapi::{ObjectBuilder, Ref, RefOr, Schema};

use super::described::{
    Anything, Cluster, CollectionDetails, CollectionTold, Collections, Exists, Issues, Optimizations, Quotas,
    ShardKeys, Shards, Telemetry, Version,
};
use super::legacy::schema::{
    DiscoverBody, RecommendBody, RecommendGroupsBody, SearchBody, SearchGroupsBody, Searches,
};
use super::{
    alias, alter, answers, bulk, collection, cursor, documents, eval, facet, feedback, field, filter, groups,
    matrix, optimizations, point, query, question, snapshot, sparse, update, why,
};

/// A schema, or a reference to one.
pub(crate) type Shown = RefOr<Schema>;

/// What an answer may hold.
pub(crate) trait Told {
    /// Its schema, by reference where it has a name.
    fn told() -> Shown;
}

impl Told for bool {
    fn told() -> Shown {
        flag()
    }
}

impl<T: Told> Told for Vec<T> {
    fn told() -> Shown {
        many(T::told())
    }
}

/// Declares the schema of a type that is read or written by hand, with the types in it.
macro_rules! declare {
    ($type:ty as $name:literal: $schema:expr $(, $inner:ty)*) => {
        impl utoipa::PartialSchema for $type {
            fn schema() -> $crate::wire::schema::Shown {
                $schema
            }
        }

        impl utoipa::ToSchema for $type {
            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn schemas(all: &mut Vec<(String, $crate::wire::schema::Shown)>) {
                let _ = &all;
                $($crate::wire::schema::gather::<$inner>(all);)*
            }
        }
    };
}
pub(crate) use declare;

/// Names the types that bodies and answers begin with: what is below them is found from them.
macro_rules! roots {
    ($($type:ty),* $(,)?) => {
        $(impl Told for $type {
            fn told() -> Shown {
                named::<$type>()
            }
        })*

        /// Every schema that has a name. A name may be there several times.
        pub(crate) fn components() -> Vec<(String, Shown)> {
            let mut all = Vec::new();
            $(gather::<$type>(&mut all);)*
            all
        }
    };
}

roots! {
    Anything, Cluster, CollectionDetails, CollectionTold, Collections, Exists, Issues, Optimizations, Quotas, ShardKeys,
    Shards, Telemetry, Version,
    alias::ChangeAliases, alias::Aliases,
    alter::Alter, alter::CreateVector,
    answers::AnswersIn,
    bulk::ImportedOut, bulk::Running,
    collection::Create, collection::SpaceIn,
    cursor::NextBody, cursor::CursorPage,
    documents::UploadIn, documents::JobOut,
    eval::QuestionsIn, eval::EvalIn, eval::LearnIn, eval::LearnedOut, feedback::FeedbackIn,
    facet::Facet, facet::FacetHits,
    field::CreateField,
    filter::FilterIn,
    groups::QueryGroups, groups::Groups,
    matrix::MatrixBody, matrix::MatrixPairs, matrix::MatrixOffsets,
    optimizations::Optimize,
    point::Upsert, point::Retrieve, point::Delete, point::Scroll, point::Count, point::Record, point::ScoredPoint,
    point::Scrolled, point::Updated, point::Counted,
    query::QueryBody, query::QueryBatch, query::Prefetch, query::PairIn,
    question::Found,
    snapshot::Described, snapshot::Recover,
    sparse::SparseIn,
    update::SetPayload, update::DeletePayload, update::UpdateVectors, update::DeleteVectors, update::UpdateBatch,
    update::TransactionIn, update::Committed,
    why::WhyNotBody, why::WhyNotOut,
    SearchBody, SearchGroupsBody, RecommendBody, RecommendGroupsBody, DiscoverBody, Searches,
}

/// A type and what is below it.
pub(crate) fn gather<T: ToSchema>(all: &mut Vec<(String, Shown)>) {
    all.push((T::name().into_owned(), T::schema()));
    T::schemas(all);
}

/// A reference to the schema of a type.
pub(crate) fn named<T: ToSchema>() -> Shown {
    Ref::from_schema_name(T::name()).into()
}

/// One, or a list of them, or nothing.
pub(crate) fn one_or_many<T: ToSchema>() -> Shown {
    any_of([named::<T>(), many(named::<T>()), null()])
}

/// Any of these.
pub(crate) fn any_of(kinds: impl IntoIterator<Item = Shown>) -> Shown {
    RefOr::T(kinds.into_iter().fold(AnyOfBuilder::new(), AnyOfBuilder::item).into())
}

/// This, or nothing.
pub(crate) fn nullable(kind: Shown) -> Shown {
    any_of([kind, null()])
}

/// A list.
pub(crate) fn many(items: Shown) -> Shown {
    RefOr::T(ArrayBuilder::new().items(items).into())
}

/// An object of any members, each like this.
pub(crate) fn map(values: Shown) -> Shown {
    RefOr::T(ObjectBuilder::new().additional_properties(Some(AdditionalProperties::RefOr(values))).into())
}

/// One of these words.
pub(crate) fn words(words: &[&'static str]) -> Shown {
    RefOr::T(ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.iter().copied())).into())
}

/// A whole number, at least so large.
pub(crate) fn whole(least: u64) -> Shown {
    RefOr::T(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least as usize)).into())
}

/// A whole number of either sign.
pub(crate) fn integer() -> Shown {
    of(Type::Integer)
}

/// A number.
pub(crate) fn number() -> Shown {
    of(Type::Number)
}

/// True or false.
pub(crate) fn flag() -> Shown {
    of(Type::Boolean)
}

/// A text.
pub(crate) fn text() -> Shown {
    of(Type::String)
}

/// Nothing.
pub(crate) fn null() -> Shown {
    of(Type::Null)
}

/// An object of any members.
pub(crate) fn free() -> Shown {
    of(Type::Object)
}

/// Any JSON.
pub(crate) fn anything() -> Shown {
    RefOr::T(ObjectBuilder::new().schema_type(SchemaType::AnyValue).into())
}

fn of(kind: Type) -> Shown {
    RefOr::T(ObjectBuilder::new().schema_type(kind).into())
}

/// An object with these members, which are always there, and no others but [`may`](Members::may).
pub(crate) fn object<const N: usize>(members: [(&str, Shown); N]) -> Members {
    members.into_iter().fold(Members(ObjectBuilder::new()), |object, (name, kind)| {
        Members(object.0.property(name, kind).required(name))
    })
}

/// An object that is being declared.
pub(crate) struct Members(ObjectBuilder);

impl Members {
    /// A member that may be absent.
    pub(crate) fn may(self, name: &str, kind: Shown) -> Self {
        Self(self.0.property(name, kind))
    }

    /// The schema.
    pub(crate) fn shown(self) -> Shown {
        RefOr::T(self.0.additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false))).into())
    }
}
