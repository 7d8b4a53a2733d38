//! The normal form of filters: what means the same by the laws of logic is written in one way.
//!
//! Negations go down to single conditions, alternatives and conjunctions are flattened, sorted and freed of
//! repetitions, lists of values that belong together are joined, and what is always or never true is dropped. Bounds of
//! ranges are written in one way too. The normal form of a normal form is itself.
//!
//! Not done: laws that would make a filter larger (distribution), and implications between different conditions.
//! Cost: O(n log n) in the conditions and listed values. A list of ids that is sorted already is only looked through.

use std::cmp::Ordering;

use super::{
    Condition, CountRange, Filter, MinShould, NumberBound, Predicate, Range, Scalar, TimeRange, WholeRange,
};
use crate::{FieldPath, PointId};

/// A filter as logic.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
enum Logic {
    /// Always true or always false.
    Always(bool),
    /// One condition, or its negation. Never a filter.
    Leaf { is_negated: bool, condition: Condition },
    /// Two or more, none of them the same kind again.
    All(Vec<Logic>),
    /// Two or more, none of them the same kind again.
    Any(Vec<Logic>),
    /// Between 2 and all but one of them.
    AtLeast(usize, Vec<Logic>),
}

impl Filter {
    /// The same filter in normal form: filters that differ only by how they are nested, ordered, repeated or negated
    /// become equal. It matches the same points, provided that [`check`](Self::check) passed.
    #[must_use]
    pub fn normalised(&self) -> Self {
        of_filter(self).into_filter()
    }
}

fn of_filter(filter: &Filter) -> Logic {
    let mut parts: Vec<Logic> = filter.must.iter().map(of_condition).collect();
    parts.extend(filter.must_not.iter().map(|condition| of_condition(condition).negated()));
    if !filter.should.is_empty() {
        parts.push(Logic::any(filter.should.iter().map(of_condition).collect()));
    }
    if let Some(MinShould { conditions, count }) = &filter.min_should {
        parts.push(Logic::at_least(*count, conditions.iter().map(of_condition).collect()));
    }
    Logic::all(parts)
}

fn of_condition(condition: &Condition) -> Logic {
    let leaf = match condition {
        Condition::Filter(inner) => return of_filter(inner),
        Condition::Nested(path, inner) => match of_filter(inner) {
            Logic::Always(false) => return Logic::Always(false),
            inner => Condition::Nested(path.clone(), Box::new(inner.into_filter())),
        },
        Condition::HasId(ids) if ids.is_sorted_by(|a, b| a < b) => condition.clone(),
        Condition::HasId(ids) => Condition::HasId(sorted(ids)),
        Condition::Field(path, predicate) => Condition::Field(path.clone(), of_predicate(predicate)),
        Condition::Count(path, range) => match of_count(range) {
            CountRange { gte: None, lte: None, .. } => return Logic::Always(true),
            CountRange { gte: Some(least), lte: Some(most), .. } if least > most => {
                return Logic::Always(false);
            }
            range => Condition::Count(path.clone(), range),
        },
        Condition::Slice { total: 1, .. } => return Logic::Always(true),
        Condition::IsEmpty(_) | Condition::IsNull(_) | Condition::HasVector(_) | Condition::Slice { .. } => {
            condition.clone()
        }
    };
    let is_nothing = match &leaf {
        Condition::HasId(ids) => ids.is_empty(),
        Condition::Field(_, Predicate::Any(list)) => list.is_empty(),
        // Nothing compares with a bound that is no number, nor does the bound with itself.
        other => other.partial_cmp(other).is_none(),
    };
    if is_nothing { Logic::Always(false) } else { Logic::Leaf { condition: leaf, is_negated: false } }
}

fn of_predicate(predicate: &Predicate) -> Predicate {
    match predicate {
        Predicate::Any(list) => Predicate::Any(sorted(list)),
        Predicate::Except(list) => Predicate::Except(sorted(list)),
        other => with_bounds(other),
    }
}

/// The same with at most one bound on each side, where they compare.
pub(super) fn with_bounds(predicate: &Predicate) -> Predicate {
    match predicate {
        Predicate::Range(Range { lt, lte, gt, gte }) => {
            let (gt, gte) = tighter(*gt, *gte, |gt, gte| gt >= gte);
            let (lt, lte) = tighter(*lt, *lte, |lt, lte| lt <= lte);
            Predicate::Range(Range { lt, lte, gt, gte })
        }
        Predicate::Whole(WholeRange { lt, lte, gt, gte }) => {
            let (gt, gte) = tighter(*gt, *gte, |gt, gte| gt >= gte);
            let (lt, lte) = tighter(*lt, *lte, |lt, lte| lt <= lte);
            // What is left of them may be small.
            Predicate::within([lt, lte, gt, gte].map(|bound| bound.map(NumberBound::Whole)))
        }
        Predicate::Times(TimeRange { lt, lte, gt, gte }) => {
            let (gt, gte) = tighter(*gt, *gte, |gt, gte| gt >= gte);
            let (lt, lte) = tighter(*lt, *lte, |lt, lte| lt <= lte);
            Predicate::Times(TimeRange { lt, lte, gt, gte })
        }
        other => other.clone(),
    }
}

/// Of a strict and a weak bound the one that binds. Both stay where they do not compare.
fn tighter<T: Copy + PartialOrd>(
    strict: Option<T>,
    weak: Option<T>,
    binds: impl Fn(T, T) -> bool,
) -> (Option<T>, Option<T>) {
    match (strict, weak) {
        (Some(a), Some(b)) if a.partial_cmp(&b).is_some() => {
            if binds(a, b) {
                (Some(a), None)
            } else {
                (None, Some(b))
            }
        }
        both => both,
    }
}

/// Bounds of whole numbers, both inclusive.
pub(super) fn of_count(range: &CountRange) -> CountRange {
    let nothing = CountRange { gte: Some(1), lte: Some(0), ..CountRange::default() };
    let above = match range.gt.map(|bound| bound.checked_add(1)) {
        Some(None) => return nothing,
        bound => bound.flatten(),
    };
    let below = match range.lt.map(|bound| bound.checked_sub(1)) {
        Some(None) => return nothing,
        bound => bound.flatten(),
    };
    let gte = above.max(range.gte).filter(|least| *least > 0);
    let lte = [below, range.lte].into_iter().flatten().min();
    CountRange { gte, lte, ..CountRange::default() }
}

fn sorted<T: Clone + Ord>(list: &[T]) -> Vec<T> {
    let mut list = list.to_vec();
    list.sort_unstable();
    list.dedup();
    list
}

impl Logic {
    fn negated(self) -> Self {
        let all = |parts: Vec<Self>| parts.into_iter().map(Self::negated).collect::<Vec<_>>();
        match self {
            Self::Always(value) => Self::Always(!value),
            Self::Leaf { condition, is_negated } => Self::Leaf { condition, is_negated: !is_negated },
            Self::All(parts) => Self::any(all(parts)),
            Self::Any(parts) => Self::all(all(parts)),
            // Fewer than `count` hold: more than `len - count` do not.
            Self::AtLeast(count, parts) => Self::at_least(parts.len() + 1 - count, all(parts)),
        }
    }

    fn all(parts: Vec<Self>) -> Self {
        Self::joined(parts, false)
    }

    fn any(parts: Vec<Self>) -> Self {
        Self::joined(parts, true)
    }

    /// All of the parts, or any; `zero` is the value that decides it alone.
    fn joined(parts: Vec<Self>, zero: bool) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Self::Always(value) if value == zero => return Self::Always(zero),
                Self::Always(_) => {}
                Self::Any(inner) if zero => flat.extend(inner),
                Self::All(inner) if !zero => flat.extend(inner),
                other => flat.push(other),
            }
        }
        let flat = merged(flat, zero);
        if flat.contains(&Self::Always(zero)) || has_contradiction(&flat) {
            return Self::Always(zero);
        }
        let flat: Vec<Self> = flat.into_iter().filter(|part| *part != Self::Always(!zero)).collect();
        match (flat.len(), zero) {
            (0, _) => Self::Always(!zero),
            (1, _) => flat.into_iter().next().unwrap_or(Self::Always(!zero)),
            (_, true) => Self::Any(flat),
            (_, false) => Self::All(flat),
        }
    }

    fn at_least(count: usize, parts: Vec<Self>) -> Self {
        let certain = parts.iter().filter(|part| **part == Self::Always(true)).count();
        let mut open: Vec<Self> = parts.into_iter().filter(|part| !matches!(part, Self::Always(_))).collect();
        match count.saturating_sub(certain) {
            0 => Self::Always(true),
            1 => Self::any(open),
            left if left > open.len() => Self::Always(false),
            left if left == open.len() => Self::all(open),
            left => {
                sort(&mut open);
                Self::AtLeast(left, open)
            }
        }
    }

    fn into_filter(self) -> Filter {
        let mut filter = Filter::default();
        match self {
            Self::All(parts) => {
                let is_alone =
                    |is_kind: fn(&Self) -> bool| parts.iter().filter(|part| is_kind(part)).count() == 1;
                let one_any = is_alone(|part| matches!(part, Self::Any(_)));
                let one_count = is_alone(|part| matches!(part, Self::AtLeast(..)));
                for part in parts {
                    match part {
                        Self::Any(_) if !one_any => filter.must.push(part.into_condition()),
                        Self::AtLeast(..) if !one_count => filter.must.push(part.into_condition()),
                        part => part.add_to(&mut filter),
                    }
                }
            }
            other => other.add_to(&mut filter),
        }
        filter
    }

    fn add_to(self, filter: &mut Filter) {
        let conditions = |parts: Vec<Self>| parts.into_iter().map(Self::into_condition).collect();
        match self {
            Self::Always(true) => {}
            Self::Always(false) => filter.must.push(Condition::HasId(Vec::new())),
            Self::Leaf { condition, is_negated: false } => filter.must.push(condition),
            Self::Leaf { condition, is_negated: true } => filter.must_not.push(condition),
            Self::Any(parts) => filter.should = conditions(parts),
            Self::AtLeast(count, parts) => {
                filter.min_should = Some(MinShould { conditions: conditions(parts), count });
            }
            all @ Self::All(_) => filter.must.push(all.into_condition()),
        }
    }

    fn into_condition(self) -> Condition {
        match self {
            Self::Leaf { condition, is_negated: false } => condition,
            other => Condition::Filter(Box::new(other.into_filter())),
        }
    }
}

/// Parts are comparable: what holds a bound that is no number was dropped.
fn compare(a: &Logic, b: &Logic) -> Ordering {
    a.partial_cmp(b).unwrap_or(Ordering::Equal)
}

fn sort(parts: &mut [Logic]) {
    parts.sort_by(compare);
}

/// Whether a condition stands beside its negation. The parts are sorted, and negated conditions come after the others.
fn has_contradiction(parts: &[Logic]) -> bool {
    parts.iter().any(|part| match part {
        Logic::Leaf { is_negated: true, .. } => {
            let other = part.clone().negated();
            parts.binary_search_by(|part| compare(part, &other)).is_ok()
        }
        _ => false,
    })
}

/// Sorted, without repetitions, lists of one kind joined.
fn merged(mut parts: Vec<Logic>, is_any: bool) -> Vec<Logic> {
    if parts.len() < 2 {
        return parts;
    }
    sort(&mut parts);
    let mut merged: Vec<Logic> = Vec::with_capacity(parts.len());
    let mut ids: [Option<Vec<PointId>>; 2] = [None, None];
    for part in parts {
        match part {
            Logic::Leaf { condition: Condition::HasId(list), is_negated } => {
                let known = &mut ids[usize::from(is_negated)];
                *known = Some(match known.take() {
                    None => list,
                    Some(known) => join(known, list, is_any != is_negated),
                });
            }
            // What may be joined stands side by side.
            part => match merged.last_mut().and_then(|last| values_beside(last, &part, is_any)) {
                Some((known, list)) => *known = join(std::mem::take(known), list, true),
                None => merged.push(part),
            },
        }
    }
    for (list, is_negated) in ids.into_iter().zip([false, true]) {
        match list {
            None => {}
            Some(list) if list.is_empty() => merged.push(Logic::Always(is_negated)),
            Some(list) => merged.push(Logic::Leaf { condition: Condition::HasId(list), is_negated }),
        }
    }
    sort(&mut merged);
    merged.dedup();
    merged
}

/// The values of the one, and those of the other to add to them, if both are lists of values of the same field whose
/// union says as much: either of `a` or of `b`, or none of `a` and none of `b`.
fn values_beside<'a>(
    last: &'a mut Logic,
    part: &Logic,
    is_any: bool,
) -> Option<(&'a mut Vec<Scalar>, Vec<Scalar>)> {
    let (path, list, is_negated) = values(part)?;
    let Logic::Leaf { condition: Condition::Field(own_path, Predicate::Any(own)), is_negated: own_negated } =
        last
    else {
        return None;
    };
    let is_union = is_any != is_negated;
    (is_union && own_path == path && *own_negated == is_negated).then(|| (own, list.clone()))
}

fn values(part: &Logic) -> Option<(&FieldPath, &Vec<Scalar>, bool)> {
    match part {
        Logic::Leaf { condition: Condition::Field(path, Predicate::Any(list)), is_negated } => {
            Some((path, list, *is_negated))
        }
        _ => None,
    }
}

/// The union or the intersection of two sorted lists.
fn join<T: Clone + Ord>(mut a: Vec<T>, b: Vec<T>, is_union: bool) -> Vec<T> {
    if is_union {
        a.extend(b);
        a.sort_unstable();
        a.dedup();
    } else {
        a.retain(|item| b.binary_search(item).is_ok());
    }
    a
}

#[cfg(test)]
mod tests;
