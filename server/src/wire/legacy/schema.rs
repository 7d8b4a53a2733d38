//! The schemas of these bodies: members that a query has as well, and their own.

use utoipa::PartialSchema as _;
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};

use super::{BY_POINTS, OF_GROUPS, SHARED};
use crate::wire::groups::QueryGroups;
use crate::wire::query::{PairIn, QueryBody, VectorInput};
use crate::wire::schema::{
    Shown, any_of, declare, free, many, named, null, nullable, object, one_or_many, text, words,
};
use crate::wire::vector::vector;

/// `points/search`.
pub(crate) enum SearchBody {}

/// `points/search/groups`.
pub(crate) enum SearchGroupsBody {}

/// `points/recommend`.
pub(crate) enum RecommendBody {}

/// `points/recommend/groups`.
pub(crate) enum RecommendGroupsBody {}

/// `points/discover`.
pub(crate) enum DiscoverBody {}

/// Several of one kind.
pub(crate) enum Searches {}

declare!(SearchBody as "SearchRequest": body(&[("vector", search_vector())], true, &[], false));
declare!(SearchGroupsBody as "SearchGroups": body(&[("vector", search_vector())], true, &[], true));
declare!(RecommendBody as "RecommendRequest": body(&recommended(), false, &BY_POINTS, false));
declare!(RecommendGroupsBody as "RecommendGroups": body(&recommended(), false, &BY_POINTS, true));
declare!(DiscoverBody as "DiscoverRequest": body(&discovered(), false, &BY_POINTS, false));
declare!(Searches as "SearchBatch": object([("searches", many(free()))]).shown());

/// `own` members, which are needed or not, and those of a query.
fn body(own: &[(&str, Shown)], is_needed: bool, further: &[&str], is_of_groups: bool) -> Shown {
    let mut object = own.iter().fold(ObjectBuilder::new(), |object, (name, kind)| {
        let object = object.property(*name, kind.clone());
        if is_needed { object.required(*name) } else { object }
    });
    let shared = SHARED.iter().chain(further).copied();
    object = taken(object, &QueryBody::schema(), shared.filter(|name| !is_of_groups || *name != "offset"));
    if is_of_groups {
        object = taken(object, &QueryGroups::schema(), OF_GROUPS.into_iter()).required("group_by");
    }
    RefOr::T(object.additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false))).into())
}

/// Members of another schema.
fn taken<'a>(to: ObjectBuilder, from: &Shown, names: impl Iterator<Item = &'a str>) -> ObjectBuilder {
    let RefOr::T(Schema::Object(from)) = from else { return to };
    names.fold(to, |object, name| match from.properties.get(name) {
        Some(member) => object.property(name, member.clone()),
        None => object,
    })
}

fn search_vector() -> Shown {
    any_of([vector(), object([("name", text()), ("vector", vector())]).shown()])
}

fn recommended() -> [(&'static str, Shown); 3] {
    let examples = || nullable(many(named::<VectorInput>()));
    let strategy = words(&["average_vector", "best_score", "sum_scores"]);
    [("positive", examples()), ("negative", examples()), ("strategy", any_of([strategy, null()]))]
}

fn discovered() -> [(&'static str, Shown); 2] {
    [("target", nullable(named::<VectorInput>())), ("context", one_or_many::<PairIn>())]
}
