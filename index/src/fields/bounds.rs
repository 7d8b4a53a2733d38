//! From a filter to what the indexes know about it.

use roaring::RoaringBitmap;
use types::{Condition, FieldPath, Filter, MinShould, PointId};

use super::Fields;
use super::column::Column;
use super::counter::Counter;
use super::truth::Truth;

/// What is known about a filter: `lower ⊆ truth ⊆ upper`, both within the universe that was asked about. They are
/// equal when the indexes answer every condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// Slots that certainly match.
    pub lower: RoaringBitmap,
    /// Slots outside of which certainly none matches.
    pub upper: RoaringBitmap,
}

/// What is known of points beside their fields.
pub struct Lookups<'a> {
    /// The slots of points by id.
    pub ids: &'a dyn Fn(&[PointId]) -> RoaringBitmap,
    /// The slots of points with a vector of a name.
    pub vectors: &'a dyn Fn(&str) -> RoaringBitmap,
}

impl Bounds {
    /// Whether nothing is left to check.
    pub fn is_exact(&self) -> bool {
        self.lower.len() == self.upper.len()
    }
}

pub(super) fn evaluate(
    fields: &Fields,
    filter: &Filter,
    universe: &RoaringBitmap,
    lookups: &Lookups<'_>,
) -> Bounds {
    Evaluation { fields, universe, lookups }.filter(filter).into_bounds()
}

struct Evaluation<'a> {
    fields: &'a Fields,
    universe: &'a RoaringBitmap,
    lookups: &'a Lookups<'a>,
}

impl Evaluation<'_> {
    fn filter(&self, filter: &Filter) -> Truth {
        let everything = Truth::Exact(self.universe.clone());
        let truth =
            filter.must.iter().fold(everything, |truth, condition| truth.and(&self.condition(condition)));
        let truth = filter
            .must_not
            .iter()
            .fold(truth, |truth, condition| truth.and(&self.condition(condition).not(self.universe)));
        let truth = if filter.should.is_empty() { truth } else { truth.and(&self.any(&filter.should)) };
        match &filter.min_should {
            Some(least) => truth.and(&self.at_least(least)),
            None => truth,
        }
    }

    fn any(&self, conditions: &[Condition]) -> Truth {
        let nothing = Truth::Exact(RoaringBitmap::new());
        conditions.iter().fold(nothing, |truth, condition| truth.or(&self.condition(condition)))
    }

    fn at_least(&self, least: &MinShould) -> Truth {
        let (mut certain, mut possible) = (Counter::default(), Counter::default());
        for condition in &least.conditions {
            let truth = self.condition(condition);
            certain.add(truth.lower());
            possible.add(truth.upper());
        }
        let lower = certain.at_least(least.count, self.universe);
        Truth::between(lower, possible.at_least(least.count, self.universe))
    }

    fn condition(&self, condition: &Condition) -> Truth {
        match condition {
            Condition::Field(path, predicate) => self.leaf(path, |column| column.holds(predicate)),
            Condition::IsEmpty(path) => self.leaf(path, |column| Truth::Exact(column.empty().clone())),
            Condition::IsNull(path) => self.leaf(path, |column| Truth::Exact(column.null().clone())),
            Condition::HasId(ids) => Truth::Exact((self.lookups.ids)(ids) & self.universe),
            Condition::HasVector(name) => Truth::Exact((self.lookups.vectors)(name) & self.universe),
            // A column says which values there are, not how many, nor which stand together.
            Condition::Count(..) | Condition::Nested(..) | Condition::Slice { .. } => {
                Truth::between(RoaringBitmap::new(), self.universe.clone())
            }
            Condition::Filter(filter) => self.filter(filter),
        }
    }

    /// The truth of a leaf over all parts. Unknown where there is no index, or no column.
    fn leaf(&self, path: &FieldPath, holds: impl Fn(&Column) -> Truth) -> Truth {
        let nothing = RoaringBitmap::new;
        let Some(position) = self.fields.kinds.keys().position(|indexed| indexed == path) else {
            return Truth::between(nothing(), self.universe.clone());
        };
        let mut uncovered = self.universe.clone();
        let found = self.fields.leaf(position, &holds, &mut uncovered);
        found.and(&Truth::Exact(self.universe.clone())).or(&Truth::between(nothing(), uncovered))
    }
}
