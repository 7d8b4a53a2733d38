//! The routes that the dialect had before `query`: search, recommend, discover. Each body becomes that of a query.
//!
//! Invariant: what is understood is what a query understands, and errors name the place in the body that was sent.
//! When not to use: in new clients; `points/query` says all of it.

pub(crate) mod schema;

use kithdb::{Error, Payload, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::groups::{Groups, QueryGroups};
use super::parse_part;
use super::point::ScoredPoint;
use super::query::QueryBody;
use super::question::{Found, Room};
use super::translate::Translator;
use crate::error::Refusal;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The nearest to a vector.
    Search,
    /// The like of some points and the unlike of others.
    Recommend,
    /// The nearest to a target on the right side of pairs.
    Discover,
}

/// Several bodies of one kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    searches: Vec<Payload>,
}

/// Members that every kind has.
const SHARED: [&str; 9] = [
    "filter",
    "params",
    "limit",
    "offset",
    "with_payload",
    "with_vector",
    "with_vectors",
    "score_threshold",
    "shard_key",
];

/// Further members of recommend and discover.
const BY_POINTS: [&str; 2] = ["using", "lookup_from"];

/// Further members of requests for groups.
const OF_GROUPS: [&str; 3] = ["group_by", "group_size", "with_lookup"];

impl Kind {
    /// Members that only this kind has: they become the query.
    fn own(self) -> &'static [&'static str] {
        match self {
            Self::Search => &["vector"],
            Self::Recommend => &["positive", "negative", "strategy"],
            Self::Discover => &["target", "context"],
        }
    }

    /// The hits of a body.
    ///
    /// # Errors
    /// `InvalidArgument` naming the place; `NotFound` for points that do not exist.
    pub(crate) fn hits(self, body: Payload, translator: &Translator<'_>) -> Result<Vec<ScoredPoint>> {
        let run = |query: QueryBody| query.run(translator);
        Ok(self.translated(body, &[], run)?.into_points())
    }

    /// The hits of several bodies.
    ///
    /// # Errors
    /// As for [`hits`](Self::hits), on `searches[i]`.
    pub(crate) fn batch(self, batch: Batch, translator: &Translator<'_>) -> Result<Vec<Vec<ScoredPoint>>> {
        translator.strict.check_searches(batch.searches.len())?;
        let bodies = batch.searches.into_iter().enumerate();
        let mut room = Room::new(translator.db.limits());
        let hits = |(position, body): (usize, Payload)| {
            let ask =
                |query: QueryBody| query.into_question(translator).and_then(|question| room.answer(question));
            let found = self.translated(body, &[], ask).map(Found::into_points);
            found.map_err(|error| error.within(&format!("searches[{position}]")))
        };
        bodies.map(hits).collect()
    }

    /// The groups of a body.
    ///
    /// # Errors
    /// As for [`hits`](Self::hits).
    pub(crate) fn groups(self, body: Payload, translator: &Translator<'_>) -> Result<Groups> {
        self.translated(body, &OF_GROUPS, |query: QueryGroups| query.run(translator))
    }

    fn translated<B: DeserializeOwned, T>(
        self,
        body: Payload,
        further: &[&str],
        run: impl FnOnce(B) -> Result<T>,
    ) -> Result<T> {
        let is_named = body.get("vector").is_some_and(|vector| vector.get("name").is_some());
        let body = self.body(body, further)?;
        let answer = parse_part(body.into(), "body").and_then(run);
        answer.map_err(|error| match error.field().map(|field| self.place(field, is_named)) {
            Some(field) => error.with_field(field),
            None => error,
        })
    }

    /// The body of the query.
    fn body(self, body: Payload, further: &[&str]) -> Result<Payload> {
        let (mut query, mut own) = (Payload::new(), Payload::new());
        for (name, value) in body {
            let is_shared = SHARED.contains(&name.as_str())
                || further.contains(&name.as_str())
                || (self != Self::Search && BY_POINTS.contains(&name.as_str()));
            match () {
                () if value.is_null() => {}
                () if self.own().contains(&name.as_str()) => drop(own.insert(name, value)),
                // The older word.
                () if name == "top" => drop(query.insert("limit".to_owned(), value)),
                () if is_shared => drop(query.insert(name, value)),
                () => {
                    let known = self.own().iter().chain(&SHARED).copied().collect::<Vec<_>>().join(", ");
                    let why = format!("is not known here; these are: {known}");
                    return Err(Refusal::Malformed.of(name, why));
                }
            }
        }
        let asked = match self {
            Self::Search => nearest(&mut own, &mut query)?,
            Self::Recommend => Payload::from_iter([("recommend".to_owned(), own.into())]),
            Self::Discover if own.contains_key("target") => {
                Payload::from_iter([("discover".to_owned(), own.into())])
            }
            Self::Discover if own.contains_key("context") => own,
            Self::Discover => {
                return Err(Error::invalid("target", "is missing, and so is `context`; name one"));
            }
        };
        query.insert("query".to_owned(), asked.into());
        Ok(query)
    }

    /// Where a place in the query stands in the body that was sent.
    fn place(self, field: &str, is_named: bool) -> String {
        let inner = field.strip_prefix("body.").unwrap_or(field);
        let of = |start: &str| inner.strip_prefix(start);
        match self {
            Self::Search => of("query.nearest").or_else(|| of("query")).map_or(inner.to_owned(), |rest| {
                format!("{}{rest}", if is_named { "vector.vector" } else { "vector" })
            }),
            Self::Recommend => match of("query.recommend") {
                Some("") => "positive".to_owned(),
                Some(rest) => rest.trim_start_matches('.').to_owned(),
                None => inner.to_owned(),
            },
            Self::Discover => match of("query.discover.").or_else(|| of("query.")) {
                Some(rest) => rest.to_owned(),
                None => inner.to_owned(),
            },
        }
    }
}

/// The vector of a search, which may name its space.
fn nearest(own: &mut Payload, query: &mut Payload) -> Result<Payload> {
    let mut vector = own.shift_remove("vector").ok_or_else(|| {
        Error::invalid("vector", "is missing; a search needs one, and `scroll` lists points without")
    })?;
    if let Some(named) = vector.as_object_mut().filter(|named| named.contains_key("name")) {
        let unknown = named.keys().find(|member| !["name", "vector"].contains(&member.as_str()));
        if let Some(unknown) = unknown {
            return Err(Error::invalid(
                format!("vector.{unknown}"),
                "is not known here; give `name`, `vector`",
            ));
        }
        if let Some(name) = named.shift_remove("name") {
            query.insert("using".to_owned(), name);
        }
        vector = named.shift_remove("vector").unwrap_or_default();
    }
    if !vector.is_array() && vector.get("indices").is_none() {
        let why = "is no vector; give a list of numbers, or `name` and `vector`";
        return Err(Refusal::Malformed.of("vector", why));
    }
    Ok(Payload::from_iter([("nearest".to_owned(), vector)]))
}

#[cfg(test)]
mod tests {
    use kithdb::{Database, Metric, Point, Schema, SparseSpec, SparseVector, Value, VectorSpec};
    use serde_json::json;

    use super::*;

    fn ask(kind: Kind, body: &Value) -> Result<Vec<u64>> {
        let db = Database::in_memory().expect("a database");
        let schema =
            Schema::new().vector(2, Metric::Dot).named_vector("v", VectorSpec::new(1, Metric::Euclid));
        let schema = schema.sparse_vector("s", SparseSpec::default());
        let collection = db.create_collection("c", schema).expect("a collection");
        let point = |id: u64, x: f32, y: f32| {
            let mut point = Point::new(id).vector([x, y]).named_vector("v", [x]);
            point.vectors.push(("s".to_owned(), SparseVector::of([(id as u32, 1.0)]).into()));
            point
        };
        collection.upsert(vec![point(1, 1.0, 0.0), point(2, 0.5, 0.5), point(3, 0.0, 1.0)]).expect("written");
        let translator = Translator::over(&db, &collection);
        let hits = kind.hits(body.as_object().expect("an object").clone(), &translator)?;
        let hits = serde_json::to_value(hits).expect("JSON");
        Ok(hits.as_array().expect("hits").iter().map(|hit| hit["id"].as_u64().expect("an id")).collect())
    }

    #[test]
    fn each_kind_is_the_query_that_it_became() {
        let sparse = json!({"name": "s", "vector": {"indices": [3], "values": [1.0]}});
        let cases = [
            (Kind::Search, json!({"vector": [1.0, 0.0], "limit": 2, "params": null}), vec![1, 2]),
            (Kind::Search, json!({"vector": {"name": "v", "vector": [0.4]}, "limit": 1}), vec![2]),
            (Kind::Search, json!({"vector": sparse, "limit": 3}), vec![3]),
            (Kind::Search, json!({"vector": [1.0, 0.0], "limit": 1, "offset": 1}), vec![2]),
            (Kind::Search, json!({"vector": [1.0, 0.0], "top": 1}), vec![1]),
            (Kind::Search, json!({"vector": [0.0, 1.0], "limit": 3, "score_threshold": 0.7}), vec![3]),
            (Kind::Recommend, json!({"positive": [1], "negative": [3], "limit": 1}), vec![2]),
            (
                Kind::Recommend,
                json!({"positive": [[0.0, 1.0]], "strategy": "best_score", "limit": 1}),
                vec![3],
            ),
            (Kind::Recommend, json!({"positive": [1], "using": "v", "limit": 1}), vec![2]),
            (Kind::Discover, json!({"target": [0.0, 1.0], "limit": 1}), vec![3]),
            (Kind::Discover, json!({"context": [{"positive": 3, "negative": 1}], "limit": 1}), vec![2]),
        ];
        for (kind, body, expected) in cases {
            assert_eq!(ask(kind, &body).expect("hits"), expected, "{body}");
        }
    }

    #[test]
    fn errors_name_the_place_in_the_body_that_was_sent() {
        let cases = [
            (Kind::Search, json!({"limit": 1}), "vector"),
            (Kind::Search, json!({"vector": 1}), "vector"),
            (Kind::Search, json!({"vector": [1.0]}), "vector"),
            (Kind::Search, json!({"vector": [1.0, "x"]}), "vector[1]"),
            (Kind::Search, json!({"vector": {"name": "v", "vector": [1.0, 2.0]}}), "vector.vector"),
            (Kind::Search, json!({"vector": {"name": "x", "vector": [1.0]}}), "using"),
            (Kind::Search, json!({"vector": {"name": "v", "vektor": [1.0]}}), "vector.vektor"),
            (Kind::Search, json!({"vector": [1.0, 0.0], "using": "v"}), "using"),
            (Kind::Search, json!({"vector": [1.0, 0.0], "limit": 0}), "limit"),
            (
                Kind::Search,
                json!({"vector": [1.0, 0.0], "filter": {"must": [{"key": "a"}]}}),
                "filter.must[0].key",
            ),
            (Kind::Recommend, json!({"positive": [77]}), "positive[0]"),
            (Kind::Recommend, json!({"limit": 3}), "positive"),
            (Kind::Recommend, json!({"positive": [1], "strategy": "sum"}), "strategy"),
            (Kind::Recommend, json!({"positive": [1], "prefetch": []}), "prefetch"),
            (Kind::Discover, json!({}), "target"),
            (Kind::Discover, json!({"target": [1.0]}), "target"),
            (Kind::Discover, json!({"context": [{"positive": 1, "negative": [2.0]}]}), "context[0].negative"),
        ];
        for (kind, body, field) in cases {
            assert_eq!(ask(kind, &body).expect_err("refused").field(), Some(field), "{body}");
        }
    }
}
