//! One field over one range of rows: what its kind holds, and how much is known about the rest.
//!
//! A path reaches values, and an array at its end counts as its elements (types, [`FieldPath`]). Elements of the
//! field's kind are *keys*. All others but null are *foreign*: an index does not know them, it knows where they are.
//!
//! [`FieldPath`]: types::FieldPath

use roaring::RoaringBitmap;
use types::filter::words::words;
use types::filter::{is_empty, is_null};
use types::{FieldKind, Predicate, Range, Scalar, Value};

use super::NO_ROW;
use super::keys::Keys;
use super::truth::Truth;

#[derive(Clone)]
pub(super) struct Column {
    kind: FieldKind,
    keys: Keys,
    /// Rows with a key.
    keyed: RoaringBitmap,
    /// Rows with two different keys or more.
    several: RoaringBitmap,
    /// Rows with a foreign element.
    foreign: RoaringBitmap,
    /// Rows with a foreign element that is a number.
    foreign_numbers: RoaringBitmap,
    /// Rows for which "is empty" holds.
    empty: RoaringBitmap,
    /// Rows for which "is null" holds.
    null: RoaringBitmap,
}

impl Column {
    fn new(kind: FieldKind) -> Self {
        Self {
            kind,
            keys: Keys::new(kind),
            keyed: RoaringBitmap::new(),
            several: RoaringBitmap::new(),
            foreign: RoaringBitmap::new(),
            foreign_numbers: RoaringBitmap::new(),
            empty: RoaringBitmap::new(),
            null: RoaringBitmap::new(),
        }
    }

    pub(super) fn over(kind: FieldKind, keys: Keys, sets: [RoaringBitmap; 6]) -> Self {
        let [keyed, several, foreign, foreign_numbers, empty, null] = sets;
        Self { kind, keys, keyed, several, foreign, foreign_numbers, empty, null }
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(super) fn sets(&self) -> [&RoaringBitmap; 6] {
        [&self.keyed, &self.several, &self.foreign, &self.foreign_numbers, &self.empty, &self.null]
    }

    /// This column over other rows: each row becomes the one that `moves` has in its place, ascending, or none.
    pub(super) fn moved(&self, moves: &[u32]) -> Self {
        Self::over(self.kind, self.keys.moved(moves), self.sets().map(|set| moved_set(set, moves)))
    }

    /// From rows, ascending, and the values that the path reaches in their payloads.
    pub(super) fn build<'a>(kind: FieldKind, rows: impl Iterator<Item = (u32, Vec<&'a Value>)>) -> Self {
        let mut column = Self::new(kind);
        for (row, values) in rows {
            column.add(row, &values);
        }
        column.keys.sort();
        column
    }

    fn add(&mut self, row: u32, values: &[&Value]) {
        if values.iter().all(|value| is_empty(value)) {
            self.empty.insert(row);
        }
        if values.iter().any(|value| is_null(value)) {
            self.null.insert(row);
        }
        let mut first = None;
        for element in values.iter().flat_map(|value| elements(value)) {
            if self.keys.push(element, row) {
                self.keyed.insert(row);
                if *first.get_or_insert(element) != element {
                    self.several.insert(row);
                }
            } else if !element.is_null() {
                self.foreign.insert(row);
                if element.is_number() {
                    self.foreign_numbers.insert(row);
                }
            }
        }
    }

    /// This column and the one over the rows that follow.
    pub(super) fn merge(&self, next: &Self) -> Self {
        Self {
            kind: self.kind,
            keys: self.keys.merge(&next.keys),
            keyed: &self.keyed | &next.keyed,
            several: &self.several | &next.several,
            foreign: &self.foreign | &next.foreign,
            foreign_numbers: &self.foreign_numbers | &next.foreign_numbers,
            empty: &self.empty | &next.empty,
            null: &self.null | &next.null,
        }
    }

    pub(super) fn empty(&self) -> &RoaringBitmap {
        &self.empty
    }

    pub(super) fn null(&self) -> &RoaringBitmap {
        &self.null
    }

    /// What is known about a predicate, within this column's rows.
    pub(super) fn holds(&self, predicate: &Predicate) -> Truth {
        match predicate {
            Predicate::Any(list) => self.any(list),
            Predicate::Except(list) => self.except(list),
            Predicate::Range(range) => self.range(range),
            Predicate::Whole(range) => match self.keys.within_whole(range) {
                Some(found) => Truth::between(found, self.foreign_numbers.clone()),
                None => self.unknown(),
            },
            Predicate::Times(range) => self.strings(self.keys.within_times(range), true),
            Predicate::Prefix(start) => self.strings(self.keys.beginning(start), true),
            Predicate::Geo(area) => match self.keys.within_area(area) {
                Some(found) => Truth::Exact(found),
                None => self.unknown(),
            },
            Predicate::Analysed(_) | Predicate::PartUnlessIndexed(_) => self.unknown(),
            Predicate::TextAny(text) => self.strings(self.keys.with_words(text).map(|(_, any)| any), true),
            Predicate::Text(text) | Predicate::Phrase(text) => {
                let is_certain = matches!(predicate, Predicate::Text(_)) || words(text).count() < 2;
                self.strings(self.keys.with_words(text).map(|(all, _)| all), is_certain)
            }
        }
    }

    /// Of a predicate on strings: the rows that the keys tell, if they do. Rows with several strings may have their
    /// words in different ones.
    fn strings(&self, found: Option<RoaringBitmap>, is_certain: bool) -> Truth {
        let Some(found) = found else { return self.unknown() };
        let is_split = self.kind == FieldKind::Text;
        match (is_certain, is_split) {
            (true, false) => Truth::Exact(found),
            (true, true) => Truth::between(&found - &self.several, found),
            (false, _) => Truth::between(RoaringBitmap::new(), found),
        }
    }

    /// What is known of a predicate that the keys say nothing of: it needs some value.
    fn unknown(&self) -> Truth {
        Truth::between(RoaringBitmap::new(), &self.keyed | &self.foreign)
    }

    /// Whether keys are made of strings in a way that the strings cannot be told from.
    fn is_made_of_strings(&self) -> bool {
        matches!(self.kind, FieldKind::Datetime | FieldKind::Text)
    }

    fn any(&self, list: &[Scalar]) -> Truth {
        if self.is_made_of_strings() && list.iter().any(|scalar| matches!(scalar, Scalar::Str(_))) {
            return self.unknown();
        }
        let found = self.keys_in(list);
        let mut maybe = RoaringBitmap::new();
        for scalar in list.iter().filter(|scalar| self.may_be_foreign(scalar)) {
            maybe |= if matches!(scalar, Scalar::Int(_)) { &self.foreign_numbers } else { &self.foreign };
        }
        match self.kind {
            // `1` and `1.0` are one key and two scalars.
            FieldKind::Float => Truth::between(RoaringBitmap::new(), found | maybe),
            _ => Truth::between(found, maybe),
        }
    }

    fn except(&self, list: &[Scalar]) -> Truth {
        if self.is_made_of_strings() && list.iter().any(|scalar| matches!(scalar, Scalar::Str(_))) {
            return self.unknown();
        }
        let found = self.keys_in(list);
        let mut certain = &self.keyed - &found;
        let rechecked = &found & &self.several;
        if !rechecked.is_empty() {
            certain |= self.keys.outside(list) & rechecked;
        }
        let mut maybe = if self.kind == FieldKind::Float { found } else { RoaringBitmap::new() };
        if list.iter().any(|scalar| self.may_be_foreign(scalar)) {
            maybe |= &self.foreign;
        } else {
            certain |= &self.foreign;
        }
        Truth::between(certain, maybe)
    }

    fn range(&self, range: &Range) -> Truth {
        Truth::between(self.keys.within(range), self.foreign_numbers.clone())
    }

    /// Rows with a key that equals one of the list's.
    fn keys_in(&self, list: &[Scalar]) -> RoaringBitmap {
        let mut found = RoaringBitmap::new();
        list.iter().for_each(|scalar| self.keys.find(scalar, &mut found));
        found
    }

    /// Whether an element that equals this scalar would be foreign.
    fn may_be_foreign(&self, scalar: &Scalar) -> bool {
        !matches!(
            (self.kind, scalar),
            (FieldKind::Keyword | FieldKind::Uuid, Scalar::Str(_))
                | (FieldKind::Integer | FieldKind::Float, Scalar::Int(_))
                | (FieldKind::Bool, Scalar::Bool(_))
        )
    }

    pub(super) fn bytes(&self) -> usize {
        self.keys.bytes() + self.sets().map(RoaringBitmap::serialized_size).iter().sum::<usize>()
    }
}

/// The rows that these become.
pub(super) fn moved_set(rows: &RoaringBitmap, moves: &[u32]) -> RoaringBitmap {
    let moved = rows.iter().filter_map(|row| moved_row(row, moves));
    RoaringBitmap::from_sorted_iter(moved).expect("moves ascend with the rows")
}

pub(super) fn moved_row(row: u32, moves: &[u32]) -> Option<u32> {
    moves.get(row as usize).copied().filter(|row| *row != NO_ROW)
}

/// The elements of an array, or the value itself.
fn elements(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        other => std::slice::from_ref(other),
    }
}
