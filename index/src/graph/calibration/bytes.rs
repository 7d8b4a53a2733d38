//! The bytes of a calibration, version 1. Integers and floats are little-endian.
//!
//! ```text
//!  0   4  version: u32
//!  4   4  queries that were asked: u32, at least 1
//!  8   4  nanoseconds a row of a scan by codes: f32
//!  12  4  nanoseconds a row of an exact scan: f32
//!  16  4  number of columns: u32, at least 1
//!  20     the columns, by hits ascending, then by share descending:
//!         4  hits: u32, at least 1
//!         4  share: f32, above 0, at most 1
//!         4  number of points: u32, at least 1
//!            the points, by window ascending:
//!            4  window: u32, at least 1
//!            4  recall: f32, 0 to 1
//!            4  standard error of the recall: f32
//!            4  distances a query: f32
//!            4  nanoseconds a query: f32
//! ```
//!
//! No float is negative, infinite or NaN. Only what was measured is written. What does not parse, another version
//! too, is done without: everything here can be guessed.
//!
//! Version history: 1, the first.

use super::{Calibration, Column, Point};

const VERSION: u32 = 1;

impl Calibration {
    /// As it is written.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, [VERSION, self.queries].map(u32::to_le_bytes));
        put(&mut bytes, [self.scan_codes_ns, self.scan_ns].map(f32::to_le_bytes));
        put(&mut bytes, [(self.columns.len() as u32).to_le_bytes()]);
        for column in &self.columns {
            put(&mut bytes, [column.hits.to_le_bytes(), column.share.to_le_bytes()]);
            put(&mut bytes, [(column.points.len() as u32).to_le_bytes()]);
            for point in &column.points {
                let Point { window, recall, recall_error, distances, elapsed_ns } = *point;
                put(&mut bytes, [window.to_le_bytes()]);
                put(&mut bytes, [recall, recall_error, distances, elapsed_ns].map(f32::to_le_bytes));
            }
        }
        bytes
    }

    /// What was written; nothing if it is damaged or of another version.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, []) = bytes.as_chunks::<4>() else { return None };
        let mut rest = Words(words);
        if rest.number()? != VERSION {
            return None;
        }
        let (queries, scan_codes_ns, scan_ns) = (rest.number()?, rest.float()?, rest.float()?);
        let mut columns: Vec<Column> = Vec::new();
        for _ in 0..rest.number()? {
            let column = column(&mut rest)?;
            let follows = |before: &Column| {
                before.hits < column.hits || (before.hits == column.hits && before.share > column.share)
            };
            if !columns.last().is_none_or(follows) {
                return None;
            }
            columns.push(column);
        }
        let is_whole = queries > 0 && !columns.is_empty() && rest.0.is_empty();
        is_whole.then_some(Self { queries, scan_codes_ns, scan_ns, columns })
    }
}

fn put<const N: usize>(bytes: &mut Vec<u8>, words: [[u8; 4]; N]) {
    bytes.extend_from_slice(words.as_flattened());
}

fn column(rest: &mut Words<'_>) -> Option<Column> {
    let (hits, share) = (rest.number()?, rest.float()?);
    let mut points: Vec<Point> = Vec::new();
    for _ in 0..rest.number()? {
        let point = Point {
            window: rest.number()?,
            recall: rest.float()?,
            recall_error: rest.float()?,
            distances: rest.float()?,
            elapsed_ns: rest.float()?,
        };
        let before = points.last().map_or(0, |before| before.window);
        if point.window <= before || point.recall > 1.0 {
            return None;
        }
        points.push(point);
    }
    let is_fit = hits > 0 && share > 0.0 && share <= 1.0 && !points.is_empty();
    is_fit.then(|| Column::new(hits, share, points))
}

/// What is not read yet.
struct Words<'a>(&'a [[u8; 4]]);

impl Words<'_> {
    fn number(&mut self) -> Option<u32> {
        let (word, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*word))
    }

    fn float(&mut self) -> Option<f32> {
        let float = f32::from_bits(self.number()?);
        (float.is_finite() && float.is_sign_positive()).then_some(float)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_calibration_has_its_golden_bytes() {
        let point = |window: u32, recall: f32| Point {
            window,
            recall,
            recall_error: 0.25,
            distances: 2.0,
            elapsed_ns: 258.0,
        };
        let columns = vec![
            Column::new(10, 1.0, vec![point(8, 0.5), point(258, 1.0)]),
            Column::new(10, 0.5, vec![point(8, 0.0)]),
        ];
        let calibration = Calibration { queries: 3, scan_codes_ns: 8.0, scan_ns: 16.0, columns };
        let (quarter, half, one, two) =
            ([0, 0, 0x80, 0x3e], [0, 0, 0, 0x3f], [0, 0, 0x80, 0x3f], [0, 0, 0, 0x40]);
        let ns = [0, 0, 0x81, 0x43];
        let golden: [[u8; 4]; 26] = [
            [1, 0, 0, 0],
            [3, 0, 0, 0],
            [0, 0, 0, 0x41],
            [0, 0, 0x80, 0x41],
            [2, 0, 0, 0],
            [10, 0, 0, 0],
            one,
            [2, 0, 0, 0],
            [8, 0, 0, 0],
            half,
            quarter,
            two,
            ns,
            [2, 1, 0, 0],
            one,
            quarter,
            two,
            ns,
            [10, 0, 0, 0],
            half,
            [1, 0, 0, 0],
            [8, 0, 0, 0],
            [0; 4],
            quarter,
            two,
            ns,
        ];
        assert_eq!(calibration.to_bytes(), golden.as_flattened());
        assert_eq!(Calibration::from_bytes(golden.as_flattened()), Some(calibration));
    }

    #[test]
    fn what_is_no_calibration_is_refused() {
        let guess = Calibration { queries: 5, ..Calibration::default_for(8) };
        let bytes = guess.to_bytes();
        assert_eq!(Calibration::from_bytes(&bytes), Some(guess));
        assert_eq!(Calibration::from_bytes(&[&bytes[..], &[0; 4]].concat()), None);
        assert!((0..bytes.len()).all(|len| Calibration::from_bytes(&bytes[..len]).is_none()));
        // Another version; no query; a share of 0; of 2; no window; a recall of 2; a time of NaN; one below 0.
        let cases = [
            (0, 2_u32),
            (4, 0),
            (24, 0),
            (24, 2_f32.to_bits()),
            (32, 0),
            (36, 2_f32.to_bits()),
            (8, f32::NAN.to_bits()),
            (8, (-1_f32).to_bits()),
        ];
        for (at, word) in cases {
            let mut other = bytes.clone();
            other[at..at + 4].copy_from_slice(&word.to_le_bytes());
            assert_eq!(Calibration::from_bytes(&other), None, "{word:x} at {at}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_as_they_are_or_refused(
            words in prop::collection::vec(prop_oneof![0_u32..3, Just(0x3f80_0000), any::<u32>()], 0..30),
        ) {
            let words = [1, 1].into_iter().chain(words);
            let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
            if let Some(calibration) = Calibration::from_bytes(&bytes) {
                prop_assert_eq!(calibration.to_bytes(), bytes);
            }
        }
    }
}
