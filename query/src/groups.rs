//! Hits in groups by the values of a field: the best groups, each with its best hits.
//!
//! A group is as good as its best hit, and has a point once, where that comes first. Hits are asked for in growing
//! numbers until every group that is wanted is full or no more are left, so what comes back is what a search for all
//! hits would be grouped into. Legs are asked for as many: what they were limited to for a list of hits would leave
//! groups half full.
//! Cost: that of the last search, and the payloads of its hits, of which a block is held at a time.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use types::{Error, FieldPath, Limits, Payload, Result, Scalar, Slot, Value};

use crate::execute::watch::Watch;
use crate::pace::Pace;
use crate::{Effort, Plan, Query, Ranked, Request, Stage, Terms, View, execute};

/// How hits are grouped.
#[derive(Clone, Debug, PartialEq)]
pub struct Grouping {
    /// The field whose values, strings and integers, are the groups. A point with several is in several.
    pub path: FieldPath,
    /// Groups wanted.
    pub groups: usize,
    /// Hits of a group, at most.
    pub size: usize,
}

/// Groups, and how they were found.
#[derive(Clone, Debug, PartialEq)]
pub struct Grouped {
    /// Best first.
    pub groups: Vec<Group>,
    /// The plan of the last search.
    pub plan: Plan,
    /// What all searches took.
    pub effort: Effort,
}

/// One group.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The value that its hits share.
    pub value: Scalar,
    /// Best first.
    pub hits: Vec<Ranked>,
}

/// So many times more hits are asked for when they were too few.
const GROWTH: usize = 4;

/// Groups as they fill.
#[derive(Default)]
struct Filling {
    groups: Vec<Group>,
    places: HashMap<Scalar, usize>,
}

impl Grouping {
    /// Checks it against the limits.
    ///
    /// # Errors
    /// `InvalidArgument`, `LimitExceeded`, naming the field.
    pub fn check(&self, limits: &Limits) -> Result<()> {
        for (field, count) in [("limit", self.groups), ("group_size", self.size)] {
            if count == 0 {
                return Err(Error::invalid(field, "is 0; ask for at least 1"));
            }
        }
        let hits = self.groups.saturating_mul(self.size);
        if hits > limits.hits_max {
            return Err(Error::limit("limit", "limit * group_size", hits, limits.hits_max));
        }
        Ok(())
    }
}

/// The best groups of a request, which must have passed [`Request::check`]; its limit does not count. Until a
/// deadline, if there is one.
///
/// # Errors
/// As for [`execute()`].
pub fn groups(
    view: &View,
    request: &Request,
    grouping: &Grouping,
    deadline: Option<Instant>,
) -> Result<Grouped> {
    let (terms, watch) = (Terms { deadline, ..Terms::default() }, Watch::until(deadline));
    // In an order a point may come more than once.
    let most = if matches!(request.query, Query::Order(_)) { usize::MAX } else { view.points() };
    let (mut limit, mut effort) = (grouping.groups.saturating_mul(grouping.size), Effort::default());
    loop {
        let answer = execute(view, widened(request.clone(), limit), terms)?;
        effort.add(&answer.effort);
        let fetch = Stage::Fetch.span().entered();
        let began = Instant::now();
        let mut filling = Filling::default();
        // Where there are few groups, there may be as many hits as points.
        let (pace, mut rest) = (Pace::default(), &answer.hits[..]);
        while let Some(hits) = pace.block(&mut rest)
            && watch.has_time()
        {
            let slots: Vec<Slot> = hits.iter().map(|hit| hit.slot).collect();
            let payloads = view.payloads(&slots)?;
            pace.took(&payloads);
            filling.add(hits, &payloads, grouping);
        }
        watch.verdict()?;
        effort.stages.add(Stage::Fetch, began.elapsed());
        drop(fetch);
        let groups = filling.best(grouping.groups);
        let is_full =
            groups.len() == grouping.groups && groups.iter().all(|group| group.hits.len() == grouping.size);
        if is_full || answer.hits.len() < limit || limit >= most {
            return Ok(Grouped { groups, plan: answer.plan, effort });
        }
        limit = limit.saturating_mul(GROWTH).min(most);
    }
}

/// The request for so many hits, its legs for no fewer.
fn widened(request: Request, limit: usize) -> Request {
    let widen = |leg: Request| {
        let limit = leg.limit.max(limit);
        widened(leg, limit)
    };
    Request { limit, prefetch: request.prefetch.into_iter().map(widen).collect(), ..request }
}

impl Filling {
    /// Puts the next best hits into their groups.
    fn add(&mut self, hits: &[Ranked], payloads: &[Payload], grouping: &Grouping) {
        let Self { groups, places } = self;
        for (hit, payload) in hits.iter().zip(payloads) {
            for value in values(&grouping.path, payload) {
                let place = *places.entry(value.clone()).or_insert(groups.len());
                if place == groups.len() {
                    groups.push(Group { value, hits: Vec::new() });
                }
                let group = &mut groups[place];
                let is_new = group.hits.iter().all(|other| other.slot != hit.slot);
                if is_new && group.hits.len() < grouping.size {
                    group.hits.push(*hit);
                }
            }
        }
    }

    /// The best so many groups.
    fn best(mut self, count: usize) -> Vec<Group> {
        self.groups.truncate(count);
        self.groups
    }
}

/// The different strings and integers that a field holds, however many there are.
fn values(path: &FieldPath, payload: &Payload) -> Vec<Scalar> {
    let mut found = scalars(path, payload);
    let mut seen = HashSet::new();
    found.retain(|value| !matches!(value, Scalar::Bool(_)) && seen.insert(value.clone()));
    found
}

/// The scalars that a field holds, an array at its end counting as its elements.
pub(crate) fn scalars(path: &FieldPath, payload: &Payload) -> Vec<Scalar> {
    let flat = path.values(payload).into_iter().flat_map(|value| match value {
        Value::Array(items) => items.iter().collect(),
        other => vec![other],
    });
    flat.filter_map(Scalar::of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn groups_are_as_good_as_their_best_hit_and_no_larger_than_asked() {
        let payloads = [
            json!({"g": "b"}),
            json!({"g": ["a", "b", "a"]}),
            json!({"g": true}),
            json!({"g": 7}),
            json!({"g": "b"}),
            json!({"g": "a"}),
            json!({}),
        ];
        let payloads: Vec<Payload> =
            payloads.iter().map(|payload| payload.as_object().expect("an object").clone()).collect();
        let hits: Vec<Ranked> = (0..7).map(|slot| Ranked::new(Slot(slot), 1.0)).collect();
        let ask = |groups, size| {
            let grouping = Grouping { path: "g".parse().expect("a path"), groups, size };
            let mut filling = Filling::default();
            for (hits, payloads) in hits.chunks(3).zip(payloads.chunks(3)) {
                filling.add(hits, payloads, &grouping);
            }
            let found = filling.best(groups);
            let slots = |group: &Group| group.hits.iter().map(|hit| hit.slot.0).collect::<Vec<u32>>();
            found.iter().map(|group| (group.value.clone(), slots(group))).collect::<Vec<_>>()
        };
        let (a, b) = (Scalar::from("a"), Scalar::from("b"));
        assert_eq!(ask(9, 9), [(b.clone(), vec![0, 1, 4]), (a, vec![1, 5]), (7.into(), vec![3])]);
        assert_eq!(ask(1, 2), [(b, vec![0, 1])]);
    }

    #[test]
    fn a_point_that_comes_for_each_of_its_values_comes_once_in_a_group() {
        let payloads = [7, 7, 7].map(|value| json!({"g": value}).as_object().expect("an object").clone());
        let hits = [4, 4, 5].map(|slot| Ranked::new(Slot(slot), 1.0));
        let grouping = Grouping { path: "g".parse().expect("a path"), groups: 1, size: 2 };
        let mut filling = Filling::default();
        filling.add(&hits, &payloads, &grouping);
        let slots: Vec<u32> = filling.best(1)[0].hits.iter().map(|hit| hit.slot.0).collect();
        assert_eq!(slots, [4, 5]);
    }

    /// Each was held against all before it: 200 000 of one point took minutes.
    #[test]
    fn a_point_in_very_many_groups_is_put_there_in_a_moment() {
        let list: Vec<Value> = (0..200_000).chain(0..200_000).map(Value::from).collect();
        let payload = Payload::from_iter([("g".to_owned(), Value::from(list))]);
        let began = Instant::now();
        let found = values(&"g".parse().expect("a path"), &payload);
        assert_eq!(found.len(), 200_000);
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
    }
}
