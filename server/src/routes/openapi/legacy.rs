//! The routes from before `query`.

use kithdb::Value;
use serde_json::json;

use super::super::points;
use super::operation::Operation;
use crate::wire::legacy::schema::{
    DiscoverBody, RecommendBody, RecommendGroupsBody, SearchBody, SearchGroupsBody, Searches,
};
use crate::wire::schema::{Shown, named};

pub(super) fn operations() -> Vec<Operation> {
    let at = |rest: &str, id, summary, shown: Shown, example: Value| {
        let path = format!("/collections/{{collection}}/points/{rest}");
        Operation::new("POST", &path, id, "Before query", summary).reads_points().body_like(shown, example)
    };
    let search = json!({"vector": [0.1, 0.2, 0.3, 0.4], "limit": 2});
    let recommend = json!({"positive": [1], "negative": [2], "limit": 2});
    let discover = json!({"target": 1, "context": [{"positive": 1, "negative": 2}], "limit": 2});
    let batch = |one: &Value| json!({"searches": [one]});
    let grouped = |one: &Value| {
        let mut one = one.clone();
        one["group_by"] = "genre".into();
        one["group_size"] = 1.into();
        one
    };
    vec![
        at("search", "search", "The nearest to a vector", named::<SearchBody>(), search.clone())
            .answers(points::search),
        at("search/batch", "search_batch", "Several of these", named::<Searches>(), batch(&search))
            .answers(points::search_batch),
        at("search/groups", "search_groups", "Their groups", named::<SearchGroupsBody>(), grouped(&search))
            .answers(points::search_groups),
        at("recommend", "recommend", "The like of some points", named::<RecommendBody>(), recommend.clone())
            .answers(points::recommend),
        at("recommend/batch", "recommend_batch", "Several of these", named::<Searches>(), batch(&recommend))
            .answers(points::recommend_batch),
        at(
            "recommend/groups",
            "recommend_groups",
            "Their groups",
            named::<RecommendGroupsBody>(),
            grouped(&recommend),
        )
        .answers(points::recommend_groups),
        at(
            "discover",
            "discover",
            "The nearest on the right side of pairs",
            named::<DiscoverBody>(),
            discover.clone(),
        )
        .answers(points::discover),
        at("discover/batch", "discover_batch", "Several of these", named::<Searches>(), batch(&discover))
            .answers(points::discover_batch),
    ]
}
