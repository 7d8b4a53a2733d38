//! Ranges between integers that doubles do not hold.
//!
//! From 2^53 on not every integer is a double: compared as doubles, neighbours are one number. Times in nanoseconds and
//! ids of other systems are so large. Where all bounds are integers and one of them is, numbers are compared with them
//! exactly. Where all are smaller, doubles say the same; where one is a double, so is what it is compared with.

use std::cmp::Ordering;

use super::{Predicate, Range};
use crate::payload::Value;

/// Every integer below is a double of its own.
const DOUBLES_END: u64 = 1 << 53;

/// A bound of a range, as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NumberBound {
    /// An integer.
    Whole(i64),
    /// Any other number.
    Float(f64),
}

/// Integers that bound a number, one of them at least 2^53 away from 0; absent bounds do not bind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WholeRange {
    /// Less than.
    pub lt: Option<i64>,
    /// Less than or equal.
    pub lte: Option<i64>,
    /// Greater than.
    pub gt: Option<i64>,
    /// Greater than or equal.
    pub gte: Option<i64>,
}

impl NumberBound {
    fn whole(self) -> Option<i64> {
        match self {
            Self::Whole(number) => Some(number),
            Self::Float(_) => None,
        }
    }

    fn float(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

impl Predicate {
    /// A number within bounds: less than, at most, greater than, at least.
    pub fn within(bounds: [Option<NumberBound>; 4]) -> Self {
        let whole = bounds.map(|bound| bound.and_then(NumberBound::whole));
        let are_whole = bounds.iter().zip(&whole).all(|(bound, whole)| bound.is_some() == whole.is_some());
        if are_whole && whole.iter().flatten().any(|number| number.unsigned_abs() >= DOUBLES_END) {
            let [lt, lte, gt, gte] = whole;
            return Self::Whole(WholeRange { lt, lte, gt, gte });
        }
        let [lt, lte, gt, gte] = bounds.map(|bound| bound.map(NumberBound::float));
        Self::Range(Range { lt, lte, gt, gte })
    }
}

impl WholeRange {
    /// Whether an integer lies within all bounds.
    pub fn contains(&self, number: i64) -> bool {
        self.bind(|bound| number.cmp(&bound))
    }

    /// Whether a value is a number within all bounds.
    pub(super) fn holds(&self, value: &Value) -> bool {
        match (value.as_i64(), value.as_f64()) {
            (Some(number), _) => self.contains(number),
            (None, Some(number)) => self.bind(|bound| beside(number, bound)),
            (None, None) => false,
        }
    }

    /// Whether all bounds allow what stands so beside them.
    fn bind(&self, beside: impl Fn(i64) -> Ordering) -> bool {
        self.lt.is_none_or(|bound| beside(bound).is_lt())
            && self.lte.is_none_or(|bound| beside(bound).is_le())
            && self.gt.is_none_or(|bound| beside(bound).is_gt())
            && self.gte.is_none_or(|bound| beside(bound).is_ge())
    }
}

/// A finite double beside an integer, exactly: rounding keeps the order, so only what it makes equal, a whole number,
/// is looked at again. Integers beyond those of 64 bits with a sign are above all bounds as doubles, too.
fn beside(number: f64, bound: i64) -> Ordering {
    let rounded = number.partial_cmp(&(bound as f64)).unwrap_or(Ordering::Equal);
    rounded.then_with(|| (number as i128).cmp(&i128::from(bound)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const END: i64 = 1 << 53;

    #[test]
    fn neighbours_that_are_one_double_are_told_apart() {
        let holds = |bounds: [Option<i64>; 4], value: Value| {
            Predicate::within(bounds.map(|bound| bound.map(NumberBound::Whole))).holds(&value)
        };
        assert!(holds([None, None, Some(END), None], json!(END + 1)));
        assert!(!holds([None, None, None, Some(END + 1)], json!(END)));
        assert!(holds([Some(END + 2), None, Some(END), None], json!([1, END + 1])));
        assert!(holds([None, Some(i64::MAX), None, Some(i64::MAX)], json!(i64::MAX)));
        assert!(!holds([None, Some(i64::MAX), None, None], json!(i64::MAX as u64 + 1)));
        assert!(holds([Some(-END), None, None, Some(i64::MIN)], json!(-END - 1)));
        assert!(!holds([None, Some(i64::MAX), None, None], json!(9.3e18)), "a float");
        assert!(
            holds([None, Some(END), None, Some(1)], json!(1.5))
                && !holds([None, Some(END), None, None], json!("1"))
        );
    }

    #[test]
    fn small_bounds_and_floats_are_doubles() {
        let of = |gte, lt| Predicate::within([lt, None, None, gte]);
        let (small, large) = (NumberBound::Whole(END - 1), NumberBound::Whole(-END));
        assert!(matches!(of(Some(small), None), Predicate::Range(Range { gte: Some(_), lt: None, .. })));
        assert!(matches!(of(Some(small), Some(large)), Predicate::Whole(_)));
        assert!(matches!(of(Some(NumberBound::Float(0.5)), Some(large)), Predicate::Range(_)));
        assert_eq!(of(None, None), Predicate::Range(Range::default()));
    }
}
