//! The numbers of a field in order, over all parts: every column has its own sorted, here they are merged.
//!
//! Invariant: nothing is claimed of rows that a column does not know whole. Those with a foreign element, those with a
//! float so large that it cannot be told which integer it was, and those that no column covers are
//! [`unknown`](Sequence::unknown): their payloads know. Rows that are gone come too; who asks knows which are alive.
//! Cost: the logarithm of the number of columns for each number of a column, and the slots of equal ones are sorted.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use roaring::RoaringBitmap;
use types::{FieldKind, FieldPath};

use super::Fields;
use super::keys::Keys;
use crate::bitmap::raised;

/// Every integer below is a float of its own (2^53).
const FLOATS_EXACT: f64 = 9_007_199_254_740_992.0;

/// A key as a column has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Key {
    /// An integer, or microseconds since 1970.
    Integer(i64),
    /// A number of a field of floats, where integers stand as floats.
    Float(f64),
}

/// The keys of a field in order, each with the slots that hold it.
pub struct Sequence<'a> {
    /// In the order of their slots.
    columns: Vec<Sorted<'a>>,
    /// Where the next key of each column stands in the order.
    next: BinaryHeap<Reverse<(u64, usize)>>,
    is_descending: bool,
}

/// One column.
struct Sorted<'a> {
    base: u32,
    rows: Range<u32>,
    foreign: &'a RoaringBitmap,
    /// Keys that are too large to be told apart, at both ends.
    large: [Floats<'a>; 2],
    /// What has not come yet.
    rest: Rest<'a>,
}

/// (number, row), sorted.
type Floats<'a> = &'a [(f64, u32)];

#[derive(Clone, Copy)]
enum Rest<'a> {
    Integers(&'a [(i64, u32)]),
    Floats(Floats<'a>),
}

impl Fields {
    /// The keys of a field in order, but for those that come before what is asked for: in the order, all of these
    /// stand before all others. Nothing where the field has no index of numbers or times.
    pub fn sequence(
        &self,
        path: &FieldPath,
        is_descending: bool,
        is_before: &dyn Fn(Key) -> bool,
    ) -> Option<Sequence<'_>> {
        let is_ordered =
            matches!(self.kinds.get(path)?, FieldKind::Integer | FieldKind::Float | FieldKind::Datetime);
        if !is_ordered {
            return None;
        }
        let mut columns = Vec::new();
        self.visit(path, &mut |base, rows, column| {
            let [_, _, foreign, ..] = column.sets();
            if let Some((large, rest)) = parted(column.keys()) {
                let rest = rest.after(is_descending, is_before);
                columns.push(Sorted { base, rows, foreign, large, rest });
            }
        })?;
        let first = |(at, column): (usize, &Sorted<'_>)| {
            let key = column.rest.next(is_descending)?;
            Some(Reverse((key.place(is_descending), at)))
        };
        let next = columns.iter().enumerate().filter_map(first).collect();
        Some(Sequence { columns, next, is_descending })
    }
}

impl Sequence<'_> {
    /// How many keys are left, each as often as a row holds it.
    pub fn keys(&self) -> usize {
        self.columns.iter().map(|column| column.rest.len()).sum()
    }

    /// Those of the slots of which it is not known which keys they hold. They may come in the sequence all the same.
    pub fn unknown(&self, slots: &RoaringBitmap) -> RoaringBitmap {
        let (mut unknown, mut known) = (RoaringBitmap::new(), 0);
        for column in &self.columns {
            let start = column.base + column.rows.start;
            if known < start {
                unknown.extend(slots.range(known..start));
            }
            known = column.base + column.rows.end;
            if !column.foreign.is_empty() {
                unknown |= raised(column.foreign.clone(), column.base) & slots;
            }
            let large = column.large.iter().flat_map(|large| large.iter());
            unknown.extend(large.map(|(_, row)| column.base + row).filter(|slot| slots.contains(*slot)));
        }
        unknown.extend(slots.range(known..));
        unknown
    }

    /// The next key; the slots that hold it, ascending, take the place of those in `slots`. Nothing at the end.
    pub fn advance(&mut self, slots: &mut Vec<u32>) -> Option<Key> {
        slots.clear();
        let place = self.next.peek()?.0.0;
        let mut key = None;
        while let Some(Reverse((other, at))) = self.next.peek().copied()
            && other == place
        {
            self.next.pop();
            let column = self.columns.get_mut(at)?;
            key = key.or(column.rest.next(self.is_descending));
            column.rest = column.rest.take(self.is_descending, column.base, slots);
            if let Some(next) = column.rest.next(self.is_descending) {
                self.next.push(Reverse((next.place(self.is_descending), at)));
            }
        }
        slots.sort_unstable();
        slots.dedup();
        key
    }
}

impl Key {
    /// A number that is larger for a key that comes later, and the same for equal keys.
    fn place(self, is_descending: bool) -> u64 {
        const SIGN: u64 = 1 << 63;
        let place = match self {
            Self::Integer(number) => number as u64 ^ SIGN,
            // 0.0 and -0.0 are equal.
            Self::Float(0.0) => SIGN,
            Self::Float(number) if number < 0.0 => !number.to_bits(),
            Self::Float(number) => number.to_bits() | SIGN,
        };
        if is_descending { !place } else { place }
    }
}

/// The keys of numbers or times, those that are too large to be told apart by themselves.
fn parted(keys: &Keys) -> Option<([Floats<'_>; 2], Rest<'_>)> {
    match keys {
        Keys::Integers(numbers) | Keys::Times(numbers) => {
            let none: Floats<'_> = &[];
            Some(([none; 2], Rest::Integers(numbers.entries())))
        }
        Keys::Floats(numbers) => {
            let entries = numbers.entries();
            let end = entries.partition_point(|entry| entry.0 < FLOATS_EXACT);
            let (entries, most) = entries.split_at(end);
            let start = entries.partition_point(|entry| entry.0 <= -FLOATS_EXACT);
            let (least, entries) = entries.split_at(start);
            Some(([least, most], Rest::Floats(entries)))
        }
        Keys::Words(_) | Keys::Flags(_) | Keys::Texts(_) | Keys::Places(_) => None,
    }
}

impl Rest<'_> {
    fn len(self) -> usize {
        match self {
            Self::Integers(entries) => entries.len(),
            Self::Floats(entries) => entries.len(),
        }
    }

    fn next(self, is_descending: bool) -> Option<Key> {
        match self {
            Self::Integers(entries) => next(entries, is_descending).map(Key::Integer),
            Self::Floats(entries) => next(entries, is_descending).map(Key::Float),
        }
    }

    /// Without those that come before what is asked for.
    fn after(self, is_descending: bool, is_before: &dyn Fn(Key) -> bool) -> Self {
        match self {
            Self::Integers(entries) => {
                Self::Integers(after(entries, is_descending, |number| is_before(Key::Integer(number))))
            }
            Self::Floats(entries) => {
                Self::Floats(after(entries, is_descending, |number| is_before(Key::Float(number))))
            }
        }
    }

    /// Without those that equal the next one, whose slots are added to others.
    fn take(self, is_descending: bool, base: u32, slots: &mut Vec<u32>) -> Self {
        match self {
            Self::Integers(entries) => Self::Integers(take(entries, is_descending, base, slots)),
            Self::Floats(entries) => Self::Floats(take(entries, is_descending, base, slots)),
        }
    }
}

fn next<N: Copy>(entries: &[(N, u32)], is_descending: bool) -> Option<N> {
    let entry = if is_descending { entries.last() } else { entries.first() };
    entry.map(|entry| entry.0)
}

fn after<N: Copy>(entries: &[(N, u32)], is_descending: bool, is_before: impl Fn(N) -> bool) -> &[(N, u32)] {
    if is_descending {
        &entries[..entries.partition_point(|entry| !is_before(entry.0))]
    } else {
        &entries[entries.partition_point(|entry| is_before(entry.0))..]
    }
}

fn take<'a, N: Copy + PartialEq>(
    entries: &'a [(N, u32)],
    is_descending: bool,
    base: u32,
    slots: &mut Vec<u32>,
) -> &'a [(N, u32)] {
    let Some(number) = next(entries, is_descending) else { return entries };
    let is_same = |entry: &&(N, u32)| entry.0 == number;
    let (taken, rest) = if is_descending {
        let others = entries.len() - 1 - entries.iter().rev().skip(1).take_while(is_same).count();
        let (rest, taken) = entries.split_at(others);
        (taken, rest)
    } else {
        entries.split_at(1 + entries.iter().skip(1).take_while(is_same).count())
    };
    slots.extend(taken.iter().map(|(_, row)| base + row));
    rest
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::json;
    use types::{Payload, Value, datetime};

    use super::*;
    use crate::fields::PartFields;

    fn value() -> impl Strategy<Value = Value> {
        let one = prop_oneof![
            4 => (-2_i64..3).prop_map(Value::from),
            2 => prop::sample::select(vec![i64::MIN, i64::MAX, 1 << 53, (1 << 53) - 1]).prop_map(Value::from),
            3 => prop::sample::select(vec![-1.5, -0.0, 0.0, 0.5, 2.0, 1e300, -1e300]).prop_map(Value::from),
            3 => prop::sample::select(vec!["a", "1969-06-01", "2024-06-01", "2024-06-02"]).prop_map(Value::from),
            1 => any::<bool>().prop_map(Value::from),
            1 => Just(json!({"x": 1})),
            1 => Just(Value::Null),
        ];
        prop_oneof![3 => one.clone(), 1 => prop::collection::vec(one, 0..4).prop_map(Value::from)]
    }

    fn elements(payload: &Payload) -> Vec<&Value> {
        match payload.get("f") {
            Some(Value::Array(items)) => items.iter().collect(),
            other => other.into_iter().collect(),
        }
    }

    fn key(kind: FieldKind, value: &Value) -> Option<Key> {
        match kind {
            FieldKind::Integer => value.as_i64().map(Key::Integer),
            FieldKind::Float => value.as_f64().map(Key::Float),
            _ => value.as_str().and_then(datetime::micros).map(Key::Integer),
        }
    }

    fn number(key: Key) -> f64 {
        match key {
            Key::Integer(number) => number as f64,
            Key::Float(number) => number,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]
        #[test]
        fn keys_come_in_order_with_all_that_hold_them(
            values in prop::collection::vec(prop::option::of(value()), 1..60),
            group in 1_usize..20,
            hidden in prop::collection::btree_set(0_u32..60, 0..20),
            is_descending in any::<bool>(),
            from in prop::option::of(prop::sample::select(vec![-1.0, 0.0, 0.5, 2.0, 1e15])),
        ) {
            let payload = |value: Option<Value>| value.map(|value| ("f".to_owned(), value)).into_iter().collect();
            let payloads: Vec<Payload> = values.into_iter().map(payload).collect();
            let slots: RoaringBitmap = (0..payloads.len() as u32).filter(|slot| !hidden.contains(slot)).collect();
            let path: FieldPath = "f".parse().expect("a path");
            let is_before = |key: Key| from.is_some_and(|from| {
                if is_descending { number(key) > from } else { number(key) < from }
            });
            for kind in FieldKind::ALL {
                let kinds = BTreeMap::from([(path.clone(), kind)]);
                let mut fields = Fields::over(Arc::new(kinds), vec![(0, PartFields::of_head())]);
                for (first, group) in (0..).step_by(group).zip(payloads.chunks(group)) {
                    fields.append(first, &group.iter().collect::<Vec<_>>());
                }
                let Some(mut sequence) = fields.sequence(&path, is_descending, &is_before) else { continue };
                let unknown = sequence.unknown(&slots);
                prop_assert!(unknown.is_subset(&slots));
                let mut expected: Vec<(u64, u32)> = (&slots - &unknown).iter().flat_map(|slot| {
                    let keys = elements(&payloads[slot as usize]).into_iter().filter_map(|value| key(kind, value));
                    let keys = keys.filter(|key| !is_before(*key));
                    keys.map(|key| (key.place(is_descending), slot)).collect::<Vec<_>>()
                }).collect();
                expected.sort_unstable();
                expected.dedup();
                let (mut found, mut holders, mut keys) = (Vec::new(), Vec::new(), sequence.keys());
                while let Some(key) = sequence.advance(&mut holders) {
                    let known = holders.iter().filter(|slot| slots.contains(**slot) && !unknown.contains(**slot));
                    found.extend(known.map(|slot| (key.place(is_descending), *slot)));
                    prop_assert!(sequence.keys() < keys);
                    keys = sequence.keys();
                }
                prop_assert_eq!((found, keys), (expected, 0), "{}", kind);
            }
        }
    }

    #[test]
    fn what_no_column_covers_is_unknown() {
        let path: FieldPath = "f".parse().expect("a path");
        let kinds = BTreeMap::from([(path.clone(), FieldKind::Integer)]);
        let mut fields = Fields::over(Arc::new(kinds), vec![(0, PartFields::of_head())]);
        let payload = json!({"f": 1}).as_object().expect("an object").clone();
        fields.append(2, &[&payload, &payload]);
        let unknown = |fields: &Fields| {
            let sequence = fields.sequence(&path, false, &|_| false).expect("an index of numbers");
            sequence.unknown(&(0..6).collect())
        };
        assert_eq!(unknown(&fields), [0, 1, 4, 5].into());
        fields.append(9, &[&payload]);
        assert_eq!(unknown(&fields), [0, 1, 4, 5].into());
        assert!(fields.sequence(&"g".parse().expect("a path"), false, &|_| false).is_none());
    }
}
