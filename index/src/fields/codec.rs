//! A column as bytes. Integers are little-endian; a set is a length:u32 and a portable Roaring bitmap of rows.
//!
//! ```text
//!  keyed several foreign foreign_numbers empty null    six sets
//!  keyword   count:u32, then for each word, ascending: length:u32, UTF-8, set
//!  integer   count:u32, numbers:i64 ascending, rows:u32
//!  float     count:u32, numbers as bits:u64 ascending, in which 0.0 and -0.0 are equal, rows:u32
//!  bool      the set of false, the set of true
//!  datetime  count:u32, microseconds since 1970:i64 ascending, rows:u32
//!  uuid      as keyword
//!  geo       count:u32, by latitude: latitude and longitude as bits:u64, row:u32
//!  text      as keyword, of the words of each string
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use roaring::RoaringBitmap;
use types::FieldKind;

use super::column::Column;
use super::keys::{Keys, Numbers};
use super::places::Places;
use crate::bitmap::serialised;

const PLACE_BYTES: usize = 20;

pub(super) fn encode(column: &Column) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(column.bytes());
    column.sets().iter().for_each(|set| put_set(&mut bytes, set));
    match column.keys() {
        Keys::Words(words) | Keys::Texts(words) => {
            bytes.extend_from_slice(&(words.len() as u32).to_le_bytes());
            for (word, rows) in words {
                Cursor::put_bytes(&mut bytes, word.as_bytes());
                put_set(&mut bytes, rows);
            }
        }
        Keys::Integers(numbers) | Keys::Times(numbers) => {
            put_numbers(&mut bytes, numbers, i64::to_le_bytes);
        }
        Keys::Places(places) => put_places(&mut bytes, places),
        Keys::Floats(numbers) => {
            put_numbers(&mut bytes, numbers, |number: f64| number.to_bits().to_le_bytes());
        }
        Keys::Flags(flags) => flags.iter().for_each(|set| put_set(&mut bytes, set)),
    }
    bytes
}

/// The column in bytes; nothing if they are not one of this kind, of so many rows.
pub(super) fn decode(kind: FieldKind, bytes: &[u8], rows: u32) -> Option<Column> {
    let mut cursor = Cursor { rest: bytes, rows };
    let mut sets = [const { None }; 6];
    for set in &mut sets {
        *set = Some(cursor.set()?);
    }
    let keys = match kind {
        FieldKind::Keyword | FieldKind::Uuid => Keys::Words(cursor.words()?),
        FieldKind::Text => Keys::Texts(cursor.words()?),
        FieldKind::Datetime => Keys::Times(cursor.numbers(i64::from_le_bytes)?),
        FieldKind::Geo => Keys::Places(cursor.places()?),
        FieldKind::Integer => Keys::Integers(cursor.numbers(i64::from_le_bytes)?),
        FieldKind::Float => Keys::Floats(cursor.numbers(|bytes| f64::from_bits(u64::from_le_bytes(bytes)))?),
        FieldKind::Bool => Keys::Flags([cursor.set()?, cursor.set()?]),
    };
    cursor.rest.is_empty().then(|| Column::over(kind, keys, sets.map(Option::unwrap_or_default)))
}

fn put_set(bytes: &mut Vec<u8>, set: &RoaringBitmap) {
    Cursor::put_bytes(bytes, &serialised(set));
}

fn put_places(bytes: &mut Vec<u8>, places: &Places) {
    bytes.extend_from_slice(&(places.entries().len() as u32).to_le_bytes());
    for (lat, lon, row) in places.entries() {
        bytes.extend_from_slice(&lat.to_bits().to_le_bytes());
        bytes.extend_from_slice(&lon.to_bits().to_le_bytes());
        bytes.extend_from_slice(&row.to_le_bytes());
    }
}

fn put_numbers<N: Copy>(bytes: &mut Vec<u8>, numbers: &Numbers<N>, number: impl Fn(N) -> [u8; 8]) {
    let entries = numbers.entries();
    bytes.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    entries.iter().for_each(|entry| bytes.extend_from_slice(&number(entry.0)));
    entries.iter().for_each(|entry| bytes.extend_from_slice(&entry.1.to_le_bytes()));
}

/// A position in bytes that are being read.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    rows: u32,
}

impl<'a> Cursor<'a> {
    pub(super) fn put_bytes(bytes: &mut Vec<u8>, part: &[u8]) {
        bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
        bytes.extend_from_slice(part);
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        let (number, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u32::from_le_bytes(*number))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()?;
        self.take(len as usize)
    }

    fn set(&mut self) -> Option<RoaringBitmap> {
        let set = RoaringBitmap::deserialize_from(self.bytes()?).ok()?;
        set.max().is_none_or(|row| row < self.rows).then_some(set)
    }

    fn words(&mut self) -> Option<BTreeMap<Arc<str>, RoaringBitmap>> {
        let mut words = BTreeMap::new();
        for _ in 0..self.u32()? {
            let word = std::str::from_utf8(self.bytes()?).ok()?;
            words.insert(word.into(), self.set()?);
        }
        Some(words)
    }

    fn places(&mut self) -> Option<Places> {
        let count = self.u32()? as usize;
        let (places, rest) = self.take(count.checked_mul(PLACE_BYTES)?)?.as_chunks::<PLACE_BYTES>();
        let place = |bytes: &[u8; PLACE_BYTES]| {
            let (degrees, row) = bytes.split_at(16);
            let (degrees, _) = degrees.as_chunks::<8>();
            let float = |at: usize| Some(f64::from_bits(u64::from_le_bytes(*degrees.get(at)?)));
            let row = u32::from_le_bytes(*row.first_chunk()?);
            (row < self.rows).then_some((float(0)?, float(1)?, row))
        };
        let places: Option<Vec<_>> = places.iter().map(place).collect();
        rest.is_empty().then(|| places.map(Places::over)).flatten()
    }

    fn numbers<N: Copy>(&mut self, number: impl Fn([u8; 8]) -> N) -> Option<Numbers<N>> {
        let count = self.u32()? as usize;
        let (numbers, _) = self.take(count.checked_mul(8)?)?.as_chunks();
        let (rows, _) = self.take(count.checked_mul(4)?)?.as_chunks();
        let rows = rows.iter().map(|row| u32::from_le_bytes(*row));
        let entries: Vec<(N, u32)> = numbers.iter().map(|bytes| number(*bytes)).zip(rows).collect();
        entries.iter().all(|entry| entry.1 < self.rows).then(|| Numbers::over(entries))
    }
}
