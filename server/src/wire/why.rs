//! `POST /api/v1/collections/{c}/why-not`: why a point is not in the answer to a query.

use kithdb::{Failed, Rank, Result, Why, WhyNot};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::id::Id;
use super::query::QueryBody;
use super::translate::Translator;

/// The body: a query, and the point.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WhyNotRequest)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhyNotBody {
    query: QueryBody,
    id: Id,
}

/// What became of the point at one level, and at its legs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WhyNot)]
pub(crate) struct WhyNotOut {
    why: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rank: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f32>,
    /// Where in the filter the conditions stand that shut it out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    filter: Vec<String>,
    /// The same conditions, as filters are written: what must hold and does not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    conditions: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    legs: Vec<WhyNotOut>,
    /// All of it for people; at the first level only.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl WhyNotBody {
    /// Says why.
    ///
    /// # Errors
    /// As for a query.
    pub(crate) fn run(self, translator: &Translator<'_>) -> Result<WhyNotOut> {
        let reading = super::reading(translator.collection, self.query.as_of, translator.deadline)?;
        let (request, _) = self.query.into_request(translator).map_err(|error| error.within("query"))?;
        let told = reading.why_not(request, self.id.0)?;
        let text = Some(told.to_text());
        Ok(WhyNotOut { text, ..WhyNotOut::from(told) })
    }
}

impl From<WhyNot> for WhyNotOut {
    fn from(told: WhyNot) -> Self {
        let ranked = |why, rank: Rank| (why, Some(rank.rank), Some(rank.score));
        let bare = |why| (why, None, None);
        let (mut filter, mut conditions) = (Vec::new(), Vec::new());
        let (why, rank, score) = match told.why {
            Why::Hit(rank) => ranked("hit", rank),
            Why::Offset(rank) => ranked("passed_over_by_offset", rank),
            Why::NoPoint => bare("no_such_point"),
            Why::Filtered(failed) => {
                conditions.extend(failed.iter().map(Failed::to_text));
                filter.extend(failed.into_iter().map(|Failed { place, .. }| place));
                bare("filtered_out")
            }
            Why::NoVector => bare("no_vector"),
            Why::NoCandidate => bare("found_by_no_leg"),
            Why::NoScore => bare("no_score"),
            Why::Threshold(score) => ("below_threshold", None, Some(score)),
            Why::NotReached(rank) => ranked("not_reached_by_the_graph", rank),
            Why::Mistaken(rank) => ranked("mistaken_by_codes", rank),
            Why::Outranked(rank) => ranked("outranked", rank),
        };
        let legs = told.legs.into_iter().map(Self::from).collect();
        Self { why, rank, score, filter, conditions, legs, text: None }
    }
}

#[cfg(test)]
mod tests {
    use kithdb::{Database, Metric, Point, Schema};
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_reason_comes_with_its_figures() {
        let db = Database::in_memory().expect("a database");
        let collection =
            db.create_collection("c", Schema::new().vector(1, Metric::Dot)).expect("a collection");
        let points = (1..4_u64).map(|id| Point::new(id).vector([id as f32]).with("n", id));
        collection.upsert(points.collect()).expect("written");
        let translator = Translator::over(&db, &collection);
        let ask = |query: Value, id: u64| {
            let body = json!({"query": query, "id": id}).to_string();
            let body: WhyNotBody = super::super::parse(body.as_bytes()).expect("a body");
            serde_json::to_value(body.run(&translator).expect("a reason")).expect("JSON")
        };
        let nearest = json!({"query": [1.0], "limit": 1});
        assert_eq!(
            ask(nearest.clone(), 3),
            json!({"why": "hit", "rank": 1, "score": 3.0, "text": "it is a hit (rank 1, score 3)"})
        );
        assert_eq!(
            ask(nearest.clone(), 2),
            json!({"why": "outranked", "rank": 2, "score": 2.0, "text": "others are better (rank 2, score 2)"})
        );
        assert_eq!(ask(nearest, 9), json!({"why": "no_such_point", "text": "there is no such point"}));
        let few = json!({"query": [1.0], "filter": {"must": {"key": "n", "match": {"value": 1}}}});
        assert_eq!(
            ask(few, 2),
            json!({
                "why": "filtered_out", "filter": ["must[0]"], "conditions": ["n = 1"],
                "text": "the filter shuts it out (must[0]: n = 1)",
            })
        );
    }
}
