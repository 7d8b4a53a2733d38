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
            Condition::Count(..) | Condition::Slice { .. } => {
                Truth::between(RoaringBitmap::new(), self.universe.clone())
            }
            Condition::Nested(path, filter) => self.nested(path, filter),
            Condition::Filter(filter) => self.filter(filter),
        }
    }

    /// One condition alone, or one of several, some object satisfies where some value that stands in objects does.
    fn nested(&self, path: &FieldPath, filter: &Filter) -> Truth {
        match (&filter.must[..], &filter.should[..], &filter.must_not[..], &filter.min_should) {
            ([one], [], [], None) => self.nested_alone(path, one),
            ([], [first, rest @ ..], [], None) => {
                let first = self.nested_alone(path, first);
                rest.iter().fold(first, |truth, one| truth.or(&self.nested_alone(path, one)))
            }
            _ => Truth::between(RoaringBitmap::new(), self.some_object(path, filter)),
        }
    }

    fn nested_alone(&self, path: &FieldPath, condition: &Condition) -> Truth {
        match condition {
            Condition::Field(inner, predicate) => {
                self.leaf(&path.in_objects(inner), |column| column.holds(predicate))
            }
            Condition::IsNull(inner) => {
                self.leaf(&path.in_objects(inner), |column| Truth::Exact(column.null().clone()))
            }
            Condition::Nested(inner, filter) => self.nested(&path.in_objects(inner), filter),
            Condition::Filter(filter) => self.nested(path, filter),
            other => Truth::between(RoaringBitmap::new(), self.some_object_of(path, other)),
        }
    }

    /// Slots outside of which no object at the path satisfies a filter: what it must have by itself, some object has.
    fn some_object(&self, path: &FieldPath, filter: &Filter) -> RoaringBitmap {
        let mut upper = self.universe.clone();
        for condition in &filter.must {
            upper &= self.some_object_of(path, condition);
        }
        if !filter.should.is_empty() {
            let each = filter.should.iter().map(|condition| self.some_object_of(path, condition));
            upper &= each.fold(RoaringBitmap::new(), |any, one| any | one);
        }
        upper
    }

    /// The same of one condition.
    fn some_object_of(&self, path: &FieldPath, condition: &Condition) -> RoaringBitmap {
        match condition {
            Condition::Field(..) | Condition::IsNull(_) | Condition::Nested(..) | Condition::Filter(_) => {
                self.nested_alone(path, condition).into_bounds().upper
            }
            Condition::HasId(_) | Condition::HasVector(_) => self.condition(condition).into_bounds().upper,
            // One object may have nothing where another has something.
            Condition::IsEmpty(_) | Condition::Count(..) | Condition::Slice { .. } => self.universe.clone(),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::json;
    use types::{FieldKind, Payload, Predicate, Range, Scalar, Subject, Value};

    use super::*;
    use crate::fields::PartFields;

    const PATHS: [&str; 4] = ["a[].x", "a[].y", "a[].l[].x", "a"];

    fn path(text: &str) -> FieldPath {
        text.parse().expect("a path")
    }

    fn scalar() -> impl Strategy<Value = Value> {
        prop_oneof![
            3 => (-1_i64..2).prop_map(Value::from),
            2 => prop::sample::select(vec!["u", "v", "u v"]).prop_map(Value::from),
            1 => Just(json!(0.5)),
            1 => Just(Value::Null),
        ]
    }

    fn fields_of(inner: impl Strategy<Value = Value> + Clone + 'static) -> impl Strategy<Value = Value> {
        let value =
            prop_oneof![3 => scalar(), 1 => prop::collection::vec(scalar(), 0..3).prop_map(Value::from)];
        let scalars = prop::collection::btree_map(prop::sample::select(vec!["x", "y"]), value, 0..3);
        (scalars, prop::option::of(prop::collection::vec(inner, 0..3))).prop_map(|(mut fields, inner)| {
            fields.extend(inner.map(|inner| ("l", Value::from(inner))));
            json!(fields)
        })
    }

    fn payload() -> impl Strategy<Value = Payload> {
        let object = fields_of(fields_of(Just(Value::Null)).boxed()).boxed();
        let list = prop::collection::vec(prop_oneof![5 => object, 1 => scalar()], 0..4);
        list.prop_map(|list| Payload::from_iter([("a".to_owned(), Value::from(list))]))
    }

    fn leaf() -> impl Strategy<Value = Condition> + Clone {
        let values = || {
            prop::collection::vec(
                prop::sample::select(vec![Scalar::Int(0), Scalar::Int(1), "u".into()]),
                1..3,
            )
        };
        let predicate = prop_oneof![
            values().prop_map(Predicate::Any),
            values().prop_map(Predicate::Except),
            Just(Predicate::Range(Range { gt: Some(0.0), ..Range::default() })),
            Just(Predicate::Text("u".to_owned())),
        ];
        let place = || prop::sample::select(vec!["x", "y", "l[].x"]).prop_map(path);
        prop_oneof![
            4 => (place(), predicate).prop_map(|(path, predicate)| Condition::Field(path, predicate)),
            1 => place().prop_map(Condition::IsNull),
            1 => place().prop_map(Condition::IsEmpty),
            1 => prop::collection::vec((0_u64..20).prop_map(PointId::Num), 0..9).prop_map(Condition::HasId),
        ]
    }

    fn clauses(
        test: impl Strategy<Value = Condition> + Clone + 'static,
    ) -> impl Strategy<Value = Filter> + Clone {
        let list = move |most: usize| prop::collection::vec(test.clone(), 0..most);
        (list(3), list(3), list(2)).prop_map(|(must, should, must_not)| Filter {
            must,
            should,
            must_not,
            min_should: None,
        })
    }

    fn nested(
        paths: Vec<&'static str>,
        filter: impl Strategy<Value = Filter> + Clone + 'static,
    ) -> impl Strategy<Value = Condition> + Clone {
        (prop::sample::select(paths), filter)
            .prop_map(|(at, filter)| Condition::Nested(path(at), Box::new(filter)))
    }

    fn known(fields: &Fields, filter: &Filter, universe: &RoaringBitmap) -> Bounds {
        let ids = |list: &[PointId]| -> RoaringBitmap {
            let nums = list
                .iter()
                .filter_map(|id| if let PointId::Num(num) = id { Some(*num as u32) } else { None });
            nums.collect()
        };
        fields.bounds(filter, universe, &Lookups { ids: &ids, vectors: &|_| RoaringBitmap::new() })
    }

    fn indexed(kinds: BTreeMap<FieldPath, FieldKind>, payloads: &[Payload]) -> Fields {
        let mut fields = Fields::over(Arc::new(kinds), vec![(0, PartFields::of_head())]);
        fields.append(0, &payloads.iter().collect::<Vec<_>>());
        fields
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]
        #[test]
        fn the_truth_of_nested_filters_lies_between_the_bounds(
            kinds in prop::collection::btree_map(
                prop::sample::select(PATHS.to_vec()).prop_map(path),
                prop::sample::select(FieldKind::ALL.to_vec()),
                0..4,
            ),
            payloads in prop::collection::vec(payload(), 1..20),
            filter in {
                let inner = prop_oneof![3 => leaf(), 1 => nested(vec!["l", "l[]", "x"], clauses(leaf()))];
                clauses(nested(vec!["a", "a[]"], clauses(inner)))
            },
        ) {
            let fields = indexed(kinds, &payloads);
            let universe: RoaringBitmap = (0..payloads.len() as u32).collect();
            let matches = |slot: &u32| {
                let (id, payload) = (PointId::Num(u64::from(*slot)), &payloads[*slot as usize]);
                filter.matches(&Subject { id, payload, has_vector: &|_| false })
            };
            let truth: RoaringBitmap = universe.iter().filter(matches).collect();
            let bounds = known(&fields, &filter, &universe);
            prop_assert!(bounds.lower.is_subset(&truth), "{:?} {:?}", bounds, truth);
            prop_assert!(truth.is_subset(&bounds.upper), "{:?} {:?}", bounds, truth);
        }
    }

    #[test]
    fn an_index_of_what_objects_hold_bounds_a_nested_filter() {
        let payloads = [
            json!({"a": [{"x": "u", "y": 1}, {"x": "v"}]}),
            json!({"a": [{"x": "u"}, {"x": "v", "y": 1}]}),
            json!({"a": [{"x": "v"}]}),
            json!({}),
        ];
        let payloads = payloads.map(|payload| payload.as_object().expect("an object").clone());
        let fields = indexed(BTreeMap::from([(path("a[].x"), FieldKind::Keyword)]), &payloads);
        let inner = Filter::must(Condition::equals("x", "u").expect("a path"))
            .and(Condition::equals("y", 1).expect("a path"));
        let filter = |place: &str| Filter::must(Condition::Nested(path(place), Box::new(inner.clone())));
        for place in ["a", "a[]"] {
            let bounds = known(&fields, &filter(place), &(0..4).collect());
            assert_eq!((bounds.lower, bounds.upper), (RoaringBitmap::new(), [0, 1].into()), "{place}");
        }
        // One condition alone it answers.
        let alone = Filter::must(Condition::equals("x", "u").expect("a path"));
        let nested = Filter::must(Condition::Nested(path("a"), Box::new(alone)));
        let bounds = known(&fields, &nested, &(0..4).collect());
        assert_eq!((bounds.lower, bounds.upper), ([0, 1].into(), [0, 1].into()));
    }
}
