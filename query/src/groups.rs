//! Hits in groups by the values of a field: the best groups, each with its best hits.
//!
//! A group is as good as its best hit, and has a point once, where that comes first. Hits are asked for in growing
//! numbers until every group that is wanted is full or no more are left, so what comes back is what a search for all
//! hits would be grouped into. Legs are asked for as many: what they were limited to for a list of hits would leave
//! groups half full.
//! Cost: that of the last search, and the payloads of its hits.

use std::collections::HashMap;
use std::time::Instant;

use types::{Error, FieldPath, Limits, Payload, Result, Scalar, Slot, Value};

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
    let terms = Terms { deadline, ..Terms::default() };
    // In an order a point may come more than once.
    let most = if matches!(request.query, Query::Order(_)) { usize::MAX } else { view.points() };
    let (mut limit, mut effort) = (grouping.groups.saturating_mul(grouping.size), Effort::default());
    loop {
        let answer = execute(view, widened(request.clone(), limit), terms)?;
        effort.add(&answer.effort);
        let slots: Vec<Slot> = answer.hits.iter().map(|hit| hit.slot).collect();
        let fetch = Stage::Fetch.span().entered();
        let began = Instant::now();
        let payloads = view.payloads(&slots)?;
        effort.stages.add(Stage::Fetch, began.elapsed());
        drop(fetch);
        let groups = group(&answer.hits, &payloads, grouping);
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

fn group(hits: &[Ranked], payloads: &[Payload], grouping: &Grouping) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places: HashMap<Scalar, usize> = HashMap::new();
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
    groups.truncate(grouping.groups);
    groups
}

/// The different strings and integers that a field holds.
fn values(path: &FieldPath, payload: &Payload) -> Vec<Scalar> {
    let mut found = Vec::new();
    for value in scalars(path, payload) {
        if !matches!(value, Scalar::Bool(_)) && !found.contains(&value) {
            found.push(value);
        }
    }
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
            let found = group(&hits, &payloads, &grouping);
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
        let found = group(&hits, &payloads, &grouping);
        let slots: Vec<u32> = found[0].hits.iter().map(|hit| hit.slot.0).collect();
        assert_eq!(slots, [4, 5]);
    }
}
