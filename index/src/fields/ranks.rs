//! What columns know beyond filters: how many rows hold each key.
//!
//! Invariant: nothing is claimed of rows that a column does not know whole: those with a foreign element, and those
//! that no column covers, are handed back for their payloads to be read.
//! Cost: a look at every key; memory for each that some of the rows hold, up to a bound.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use roaring::RoaringBitmap;
use types::{FieldPath, Scalar};

use super::Fields;
use super::column::Column;
use super::keys::Keys;

/// So many keys are counted in the time in which the payload of one row is read.
const KEYS_PER_PAYLOAD: u64 = 16;

/// How many rows hold each key.
#[derive(Debug, Default, PartialEq)]
pub struct Counts {
    /// By key; a row counts once for each.
    pub counts: BTreeMap<Scalar, usize>,
    /// Slots that were not counted: their payloads know.
    pub rest: RoaringBitmap,
    /// Bytes of memory that the keys take, about.
    pub bytes: usize,
}

impl Counts {
    /// Counts rows of a key.
    pub fn add(&mut self, key: Scalar, rows: usize) {
        match self.counts.entry(key) {
            Entry::Occupied(mut count) => *count.get_mut() += rows,
            Entry::Vacant(place) => {
                let text = if let Scalar::Str(text) = place.key() { text.len() } else { 0 };
                self.bytes += 2 * size_of::<(Scalar, usize)>() + text;
                place.insert(rows);
            }
        }
    }
}

impl Fields {
    /// How many of these slots hold each key of a field of strings, integers or flags; nothing where reading their
    /// payloads is no slower. As soon as the keys take more than `bytes_max` no further one is counted.
    pub fn counts(&self, path: &FieldPath, slots: &RoaringBitmap, bytes_max: usize) -> Option<Counts> {
        let mut keys = 0;
        let mut is_countable = true;
        self.visit(path, &mut |_, _, column| match column.keys() {
            Keys::Words(words) => keys += words.len() as u64,
            Keys::Integers(numbers) => keys += numbers.entries().len() as u64 / KEYS_PER_PAYLOAD,
            Keys::Flags(_) => {}
            Keys::Floats(_) | Keys::Times(_) | Keys::Texts(_) | Keys::Places(_) => is_countable = false,
        })?;
        if !is_countable || keys > slots.len() * KEYS_PER_PAYLOAD {
            return None;
        }
        let mut found = Counts { rest: slots.clone(), ..Counts::default() };
        self.visit(path, &mut |base, rows, column| {
            let range = base + rows.start..base + rows.end;
            let asked: RoaringBitmap = slots.range(range.clone()).map(|slot| slot - base).collect();
            let [_, _, foreign, ..] = column.sets();
            found.rest.remove_range(range);
            found.rest.extend((&asked & foreign).iter().map(|row| row + base));
            count(column.keys(), &(asked - foreign), &mut found, bytes_max);
        })?;
        Some(found)
    }

    /// Every column of a field, with the base of its part; nothing if the field is not indexed.
    pub(super) fn visit<'a>(
        &'a self,
        path: &FieldPath,
        each: &mut dyn FnMut(u32, std::ops::Range<u32>, &'a Column),
    ) -> Option<()> {
        let position = self.kinds.keys().position(|indexed| indexed == path)?;
        for (base, part) in &self.parts {
            part.for_each_column(position, &mut |rows, column| each(*base, rows, column));
        }
        Some(())
    }
}

fn count(keys: &Keys, asked: &RoaringBitmap, found: &mut Counts, bytes_max: usize) {
    match keys {
        Keys::Words(words) => {
            for (word, rows) in words {
                if found.bytes > bytes_max {
                    return;
                }
                let rows = rows.intersection_len(asked) as usize;
                if rows > 0 {
                    found.add(Scalar::Str(word.to_string()), rows);
                }
            }
        }
        Keys::Integers(numbers) => {
            for alike in numbers.entries().chunk_by(|a, b| a.0 == b.0) {
                if found.bytes > bytes_max {
                    return;
                }
                // Rows ascend: one that holds a number twice has its entries side by side.
                let rows = alike.chunk_by(|a, b| a.1 == b.1).filter(|row| asked.contains(row[0].1)).count();
                if rows > 0 {
                    found.add(Scalar::Int(alike[0].0), rows);
                }
            }
        }
        Keys::Flags(flags) => {
            for (flag, rows) in [false, true].into_iter().zip(flags) {
                let rows = rows.intersection_len(asked) as usize;
                if rows > 0 {
                    found.add(Scalar::Bool(flag), rows);
                }
            }
        }
        Keys::Floats(_) | Keys::Times(_) | Keys::Texts(_) | Keys::Places(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::json;
    use types::{FieldKind, Payload, Value};

    use super::*;
    use crate::fields::PartFields;

    fn value() -> impl Strategy<Value = Value> {
        let one = prop_oneof![
            4 => (-2_i64..3).prop_map(Value::from),
            2 => prop::sample::select(vec![-1.5, 0.0, 0.5, 2.0]).prop_map(Value::from),
            2 => prop::sample::select(vec!["a", "b", "2024-06-01", "2024-06-02"]).prop_map(Value::from),
            1 => any::<bool>().prop_map(Value::from),
            1 => Just(json!({"x": 1})),
            1 => Just(Value::Null),
        ];
        prop_oneof![3 => one.clone(), 1 => prop::collection::vec(one, 0..3).prop_map(Value::from)]
    }

    fn elements(payload: &Payload) -> Vec<&Value> {
        match payload.get("f") {
            Some(Value::Array(items)) => items.iter().collect(),
            other => other.into_iter().collect(),
        }
    }

    fn indexed(kind: FieldKind, payloads: &[Payload], group: usize) -> Fields {
        let kinds = BTreeMap::from([("f".parse().expect("a path"), kind)]);
        let mut fields = Fields::over(Arc::new(kinds), vec![(0, PartFields::of_head())]);
        for (first, group) in (0..).step_by(group).zip(payloads.chunks(group)) {
            fields.append(first, &group.iter().collect::<Vec<_>>());
        }
        fields
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]
        #[test]
        fn what_is_claimed_is_so_and_the_rest_is_handed_back(
            values in prop::collection::vec(prop::option::of(value()), 1..60),
            group in 1_usize..20,
            hidden in prop::collection::btree_set(0_u32..60, 0..20),
        ) {
            let payload = |value: Option<Value>| value.map(|value| ("f".to_owned(), value)).into_iter().collect();
            let payloads: Vec<Payload> = values.into_iter().map(payload).collect();
            let slots: RoaringBitmap = (0..payloads.len() as u32).filter(|slot| !hidden.contains(slot)).collect();
            let path: FieldPath = "f".parse().expect("a path");
            for kind in FieldKind::ALL {
                let fields = indexed(kind, &payloads, group);
                if let Some(found) = fields.counts(&path, &slots, usize::MAX) {
                    let mut expected = BTreeMap::<Scalar, usize>::new();
                    for row in (&slots - &found.rest).iter() {
                        let mut held: Vec<Scalar> =
                            elements(&payloads[row as usize]).into_iter().filter_map(Scalar::of).collect();
                        held.sort_unstable();
                        held.dedup();
                        held.into_iter().for_each(|scalar| *expected.entry(scalar).or_default() += 1);
                    }
                    prop_assert_eq!(&found.counts, &expected, "{}", kind);
                    prop_assert!(found.rest.is_subset(&slots));
                }
            }
        }
    }

    #[test]
    fn few_rows_are_not_worth_a_look_at_many_keys() {
        let payload = |id: u32| json!({"f": format!("word {id}")}).as_object().expect("an object").clone();
        let payloads: Vec<Payload> = (0..1000).map(payload).collect();
        let fields = indexed(FieldKind::Keyword, &payloads, 1000);
        let path = "f".parse().expect("a path");
        let count = |slots: u32, bytes_max: usize| {
            fields.counts(&path, &(0..slots).collect(), bytes_max).map(|found| found.counts.len())
        };
        assert_eq!((count(10, usize::MAX), count(100, usize::MAX)), (None, Some(100)));
        assert!(count(100, 1_000).is_some_and(|keys| keys < 50), "no more keys than there is room for");
        assert_eq!(fields.counts(&"g".parse().expect("a path"), &(0..100).collect(), usize::MAX), None);
    }
}
