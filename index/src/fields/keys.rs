//! The keys of a column: its elements of the field's kind, ordered so that equality and ranges are look-ups.
//!
//! Cost: 16 bytes for each number of each row; for strings and flags a bitmap for each distinct key.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use roaring::RoaringBitmap;
use types::filter::words::words;
use types::{FieldKind, GeoArea, GeoPoint, Range, Scalar, TimeRange, Value, WholeRange, datetime};

use super::column::{moved_row, moved_set};
use super::places::Places;

/// Bytes of a distinct string beside its text and its bitmap: the map's entry, the counts of the `Arc`.
const WORD_BYTES: usize = 64;

#[derive(Clone)]
pub(super) enum Keys {
    Words(Words),
    Integers(Numbers<i64>),
    Floats(Numbers<f64>),
    /// Rows with `false`, rows with `true`.
    Flags([RoaringBitmap; 2]),
    /// Microseconds.
    Times(Numbers<i64>),
    /// Words of strings.
    Texts(Words),
    Places(Places),
}

/// Rows by word.
type Words = BTreeMap<Arc<str>, RoaringBitmap>;

/// (number, row), sorted.
#[derive(Clone)]
pub(super) struct Numbers<N>(Vec<(N, u32)>);

/// A number as filters compare it.
pub(super) trait Number: Copy + PartialOrd {
    fn float(self) -> f64;
}

impl Keys {
    pub(super) fn new(kind: FieldKind) -> Self {
        match kind {
            FieldKind::Keyword | FieldKind::Uuid => Self::Words(BTreeMap::new()),
            FieldKind::Text => Self::Texts(BTreeMap::new()),
            FieldKind::Datetime => Self::Times(Numbers(Vec::new())),
            FieldKind::Geo => Self::Places(Places::default()),
            FieldKind::Integer => Self::Integers(Numbers(Vec::new())),
            FieldKind::Float => Self::Floats(Numbers(Vec::new())),
            FieldKind::Bool => Self::Flags(Default::default()),
        }
    }

    /// Adds an element if it is a key of this kind; whether it is. [`sort`](Self::sort) comes after the last.
    pub(super) fn push(&mut self, element: &Value, row: u32) -> bool {
        match (self, element) {
            (Self::Words(words), Value::String(text)) => {
                words.entry(text.as_str().into()).or_default().insert(row);
            }
            (Self::Integers(numbers), Value::Number(number)) if number.is_i64() => {
                numbers.0.extend(number.as_i64().map(|number| (number, row)));
            }
            (Self::Floats(numbers), Value::Number(number)) => {
                numbers.0.extend(number.as_f64().map(|number| (number, row)));
            }
            (Self::Flags(flags), Value::Bool(flag)) => {
                flags[usize::from(*flag)].insert(row);
            }
            (Self::Times(numbers), Value::String(text)) => match datetime::micros(text) {
                Some(time) => numbers.0.push((time, row)),
                None => return false,
            },
            (Self::Texts(texts), Value::String(text)) => {
                for word in words(text) {
                    texts.entry(word.into()).or_default().insert(row);
                }
            }
            (Self::Places(places), value) => match GeoPoint::of(value) {
                Some(place) => places.push(place, row),
                None => return false,
            },
            _ => return false,
        }
        true
    }

    pub(super) fn sort(&mut self) {
        match self {
            Self::Integers(numbers) | Self::Times(numbers) => numbers.0.sort_unstable(),
            Self::Places(places) => places.sort(),
            Self::Floats(numbers) => {
                numbers.0.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            }
            Self::Words(_) | Self::Texts(_) | Self::Flags(_) => {}
        }
    }

    /// These keys and those of later rows. Of one kind, since both stand in the same column.
    pub(super) fn merge(&self, next: &Self) -> Self {
        match (self, next) {
            (Self::Words(words), Self::Words(next)) => Self::Words(merge_words(words, next)),
            (Self::Integers(numbers), Self::Integers(next)) => Self::Integers(numbers.merge(next)),
            (Self::Floats(numbers), Self::Floats(next)) => Self::Floats(numbers.merge(next)),
            (Self::Flags(flags), Self::Flags(next)) => {
                Self::Flags([&flags[0] | &next[0], &flags[1] | &next[1]])
            }
            (Self::Times(times), Self::Times(next)) => Self::Times(times.merge(next)),
            (Self::Texts(words), Self::Texts(next)) => Self::Texts(merge_words(words, next)),
            (Self::Places(places), Self::Places(next)) => Self::Places(places.merge(next)),
            _ => unreachable!("a column keeps its kind"),
        }
    }

    /// These keys over other rows, as [`Column::moved`](super::column::Column::moved).
    pub(super) fn moved(&self, moves: &[u32]) -> Self {
        match self {
            Self::Words(words) => Self::Words(moved_words(words, moves)),
            Self::Texts(words) => Self::Texts(moved_words(words, moves)),
            Self::Times(times) => Self::Times(times.moved(moves)),
            Self::Places(places) => Self::Places(places.moved(moves)),
            Self::Integers(numbers) => Self::Integers(numbers.moved(moves)),
            Self::Floats(numbers) => Self::Floats(numbers.moved(moves)),
            Self::Flags(flags) => Self::Flags(flags.each_ref().map(|rows| moved_set(rows, moves))),
        }
    }

    /// Adds the rows with a key that equals the scalar, for floats numerically.
    pub(super) fn find(&self, scalar: &Scalar, found: &mut RoaringBitmap) {
        match (self, scalar) {
            (Self::Words(words), Scalar::Str(text)) => {
                if let Some(rows) = words.get(text.as_str()) {
                    *found |= rows;
                }
            }
            (Self::Integers(numbers), Scalar::Int(number)) => found.extend(numbers.equal(*number)),
            (Self::Floats(numbers), Scalar::Int(number)) => found.extend(numbers.equal(*number as f64)),
            (Self::Flags(flags), Scalar::Bool(flag)) => *found |= &flags[usize::from(*flag)],
            _ => {}
        }
    }

    /// Rows with a key that equals none of the list. O(keys).
    pub(super) fn outside(&self, list: &[Scalar]) -> RoaringBitmap {
        let listed = |scalar: Scalar| list.contains(&scalar);
        match self {
            Self::Words(words) => {
                let others = words.iter().filter(|(word, _)| !listed(Scalar::Str(word.to_string())));
                others.fold(RoaringBitmap::new(), |found, (_, rows)| found | rows)
            }
            Self::Integers(numbers) => numbers.where_key(|number| !listed(Scalar::Int(number))),
            Self::Floats(numbers) => numbers.where_key(|number| {
                !list.iter().any(|scalar| matches!(scalar, Scalar::Int(int) if *int as f64 == number))
            }),
            // What they were made of is not kept, so none is known to differ.
            Self::Times(_) | Self::Texts(_) | Self::Places(_) => RoaringBitmap::new(),
            Self::Flags(flags) => {
                let others = [false, true].into_iter().filter(|flag| !listed(Scalar::Bool(*flag)));
                others.fold(RoaringBitmap::new(), |found, flag| found | &flags[usize::from(flag)])
            }
        }
    }

    /// Rows with a number within the range.
    pub(super) fn within(&self, range: &Range) -> RoaringBitmap {
        match self {
            Self::Integers(numbers) => numbers.within(range),
            Self::Floats(numbers) => numbers.within(range),
            _ => RoaringBitmap::new(),
        }
    }

    /// Rows with a number within the range; nothing if it is not known which integers the numbers were.
    pub(super) fn within_whole(&self, range: &WholeRange) -> Option<RoaringBitmap> {
        match self {
            Self::Integers(numbers) => Some(numbers.within_whole(range)),
            Self::Floats(_) => None,
            _ => Some(RoaringBitmap::new()),
        }
    }

    /// Rows with a time within the range; nothing if these are no times.
    pub(super) fn within_times(&self, range: &TimeRange) -> Option<RoaringBitmap> {
        let Self::Times(times) = self else { return None };
        let lower = TimeRange { lt: None, lte: None, ..*range };
        let start = times.0.partition_point(|(time, _)| !lower.contains(*time));
        let within = times.0[start..].iter().take_while(|(time, _)| range.contains(*time));
        Some(set_of(within.map(|(_, row)| *row)))
    }

    /// Rows with a place in the area; nothing if these are no places.
    pub(super) fn within_area(&self, area: &GeoArea) -> Option<RoaringBitmap> {
        if let Self::Places(places) = self { Some(places.within(area)) } else { None }
    }

    /// Rows with a string that begins so; nothing if these are no whole strings.
    pub(super) fn beginning(&self, start: &str) -> Option<RoaringBitmap> {
        let Self::Words(words) = self else { return None };
        let from = words
            .range::<str, _>((Bound::Included(start), Bound::Unbounded))
            .take_while(|(word, _)| word.starts_with(start));
        Some(from.fold(RoaringBitmap::new(), |found, (_, rows)| found | rows))
    }

    /// Rows with all of the words of a text, and with any; nothing if these are no words.
    pub(super) fn with_words(&self, text: &str) -> Option<(RoaringBitmap, RoaringBitmap)> {
        let Self::Texts(texts) = self else { return None };
        let nothing = RoaringBitmap::new();
        let (mut all, mut any) = (None::<RoaringBitmap>, RoaringBitmap::new());
        for word in words(text) {
            let rows = texts.get(word.as_str()).unwrap_or(&nothing);
            any |= rows;
            all = Some(all.map_or_else(|| rows.clone(), |all| all & rows));
        }
        Some((all.unwrap_or_default(), any))
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Times(times) => times.bytes(),
            Self::Places(places) => places.bytes(),
            Self::Words(words) | Self::Texts(words) => {
                words.iter().map(|(word, rows)| WORD_BYTES + word.len() + rows.serialized_size()).sum()
            }
            Self::Integers(numbers) => numbers.bytes(),
            Self::Floats(numbers) => numbers.bytes(),
            Self::Flags(flags) => flags.iter().map(RoaringBitmap::serialized_size).sum(),
        }
    }
}

impl<N: Copy> Numbers<N> {
    /// Numbers and their rows, sorted.
    pub(super) fn over(entries: Vec<(N, u32)>) -> Self {
        Self(entries)
    }

    pub(super) fn entries(&self) -> &[(N, u32)] {
        &self.0
    }

    fn moved(&self, moves: &[u32]) -> Self {
        Self(self.0.iter().filter_map(|(number, row)| Some((*number, moved_row(*row, moves)?))).collect())
    }
}

impl Numbers<i64> {
    fn within_whole(&self, range: &WholeRange) -> RoaringBitmap {
        let lower = WholeRange { lt: None, lte: None, ..*range };
        let upper = WholeRange { gt: None, gte: None, ..*range };
        let start = self.0.partition_point(|(number, _)| !lower.contains(*number));
        let end = self.0.partition_point(|(number, _)| upper.contains(*number));
        set_of(self.0.get(start..end).unwrap_or_default().iter().map(|(_, row)| *row))
    }
}

impl<N: Number> Numbers<N> {
    fn merge(&self, next: &Self) -> Self {
        let mut merged = Vec::with_capacity(self.0.len() + next.0.len());
        let (mut left, mut right) = (self.0.iter().peekable(), next.0.iter().peekable());
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            // Equal numbers keep the order of their rows, which are all smaller on the left.
            let taken = if a.0 <= b.0 { left.next() } else { right.next() };
            merged.extend(taken);
        }
        merged.extend(left.chain(right));
        Self(merged)
    }

    fn equal(&self, key: N) -> impl Iterator<Item = u32> {
        let start = self.0.partition_point(|(number, _)| *number < key);
        self.0[start..].iter().take_while(move |(number, _)| *number == key).map(|(_, row)| *row)
    }

    fn where_key(&self, wanted: impl Fn(N) -> bool) -> RoaringBitmap {
        set_of(self.0.iter().filter(|(number, _)| wanted(*number)).map(|(_, row)| *row))
    }

    /// Bounds are compared as [`Range::contains`] does, in `f64`: the conversion of integers rounds, but never
    /// changes their order.
    fn within(&self, range: &Range) -> RoaringBitmap {
        let lower = Range { lt: None, lte: None, ..*range };
        let upper = Range { gt: None, gte: None, ..*range };
        let start = self.0.partition_point(|(number, _)| !lower.contains(number.float()));
        let end = self.0.partition_point(|(number, _)| upper.contains(number.float()));
        set_of(self.0.get(start..end).unwrap_or_default().iter().map(|(_, row)| *row))
    }

    fn bytes(&self) -> usize {
        self.0.len() * size_of::<(N, u32)>()
    }
}

impl Number for i64 {
    fn float(self) -> f64 {
        self as f64
    }
}

impl Number for f64 {
    fn float(self) -> f64 {
        self
    }
}

/// A set of rows is made of bits where it has one row or more for so many bytes of them.
const BYTES_OF_ROW: usize = 64;

/// The set of rows that come by their keys, in no order. Added one by one, each would move those behind it.
pub(super) fn set_of(rows: impl Iterator<Item = u32>) -> RoaringBitmap {
    let mut rows: Vec<u32> = rows.collect();
    let bytes = rows.iter().max().map_or(0, |last| *last as usize / 8 + 1);
    if bytes > rows.len() * BYTES_OF_ROW {
        rows.sort_unstable();
        rows.dedup();
        return RoaringBitmap::from_sorted_iter(rows).expect("they were sorted, and each is there once");
    }
    let mut bits = vec![0_u8; bytes];
    for row in rows {
        bits[row as usize / 8] |= 1 << (row % 8);
    }
    RoaringBitmap::from_lsb0_bytes(0, &bits)
}

fn moved_words(words: &Words, moves: &[u32]) -> Words {
    let moved = words.iter().map(|(word, rows)| (Arc::clone(word), moved_set(rows, moves)));
    moved.filter(|(_, rows)| !rows.is_empty()).collect()
}

fn merge_words(words: &Words, next: &Words) -> Words {
    let mut merged = words.clone();
    for (word, rows) in next {
        *merged.entry(Arc::clone(word)).or_default() |= rows;
    }
    merged
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_in_no_order_become_their_set(
            rows in prop::collection::vec(prop_oneof![0_u32..300, 65_000_u32..66_000, 0_u32..5_000_000], 0..400),
        ) {
            let expected: RoaringBitmap = rows.iter().copied().collect();
            let first: RoaringBitmap = expected.iter().take_while(|row| *row < 70_000).collect();
            prop_assert_eq!(set_of(rows.iter().copied()), expected);
            prop_assert_eq!(set_of(rows.into_iter().filter(|row| *row < 70_000)), first);
        }
    }
}
