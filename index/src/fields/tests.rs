//! The field indexes beside [`Filter::matches`], which is the meaning of a filter.

use proptest::prelude::*;
use serde_json::json;
use types::filter::words::words;
use types::{
    Condition, CountRange, GeoArea, GeoPoint, MinShould, NumberBound, PointId, Predicate, Range, Scalar,
    Subject, TimeRange, Value,
};

use super::*;

const PATHS: [&str; 5] = ["a", "b", "a.x", "b[]", "c[0]"];

fn path(text: &str) -> FieldPath {
    text.parse().expect("a path")
}

fn text() -> impl Strategy<Value = String> {
    let texts = vec!["", "u", "v", "w", "u v", "V, u!", "2024-06-01", "2024-06-01T12:00:00Z", "uv"];
    prop::sample::select(texts).prop_map(str::to_owned)
}

/// Numbers that are hard to compare: at the edges of both types, and where they meet.
fn integer() -> impl Strategy<Value = i64> {
    prop_oneof![
        -2_i64..3,
        prop::sample::select(vec![i64::MIN, i64::MAX, i64::MAX - 1, (1 << 53) + 1, 1 << 53])
    ]
}

fn float() -> impl Strategy<Value = f64> {
    prop::sample::select(vec![-1.0, -0.0, 0.0, 0.5, 1.0, 9007199254740992.0, 9.3e18, -1e300])
}

fn place() -> impl Strategy<Value = GeoPoint> {
    let degrees = || prop::sample::select(vec![-90.0, -1.0, 0.0, 1.0, 2.5, 90.0]);
    (degrees(), degrees()).prop_map(|(lon, lat)| GeoPoint { lon, lat })
}

fn area() -> impl Strategy<Value = GeoArea> {
    let circle = (place(), prop::sample::select(vec![1.0, 200_000.0, 1e8]))
        .prop_map(|(center, radius_m)| GeoArea::Circle { center, radius_m });
    let between =
        (place(), place()).prop_map(|(top_left, bottom_right)| GeoArea::Box { top_left, bottom_right });
    let ring = (place(), place(), place())
        .prop_map(|(a, b, c)| GeoArea::Polygon { exterior: vec![a, b, c, a], interiors: vec![] });
    prop_oneof![circle, between, ring]
}

fn times() -> impl Strategy<Value = TimeRange> {
    let day = types::datetime::micros("2024-06-01").expect("a time");
    let bound = move || prop::option::weighted(0.3, prop::sample::select(vec![day, day + 1, i64::MAX]));
    (bound(), bound(), bound(), bound()).prop_map(|(lt, lte, gt, gte)| TimeRange { lt, lte, gt, gte })
}

/// Any JSON.
fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        integer().prop_map(Value::from),
        prop::sample::select(vec![u64::MAX, 1 << 63]).prop_map(Value::from),
        float().prop_map(Value::from),
        text().prop_map(Value::from),
        place().prop_map(|place| json!({"lon": place.lon, "lat": place.lat})),
    ];
    scalar.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            inner.prop_map(|inner| json!({"x": inner})),
        ]
    })
}

fn payload(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Payload> {
    prop::collection::btree_map(prop::sample::select(vec!["a", "b", "c"]), value, 0..3)
        .prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        text().prop_map(Scalar::Str),
        integer().prop_map(Scalar::Int),
        any::<bool>().prop_map(Scalar::Bool),
    ]
}

fn range() -> impl Strategy<Value = Range> {
    let bound = || prop::option::weighted(0.3, prop_oneof![9 => float(), 1 => Just(f64::NAN)]);
    (bound(), bound(), bound(), bound()).prop_map(|(lt, lte, gt, gte)| Range { lt, lte, gt, gte })
}

fn predicate() -> impl Strategy<Value = Predicate> {
    let list = || prop::collection::vec(scalar(), 0..3);
    let whole = || prop::option::weighted(0.4, integer().prop_map(NumberBound::Whole));
    prop_oneof![
        list().prop_map(Predicate::Any),
        list().prop_map(Predicate::Except),
        range().prop_map(Predicate::Range),
        [whole(), whole(), whole(), whole()].prop_map(Predicate::within),
        times().prop_map(Predicate::Times),
        area().prop_map(Predicate::Geo),
        text().prop_map(Predicate::Text),
        text().prop_map(Predicate::TextAny),
        text().prop_map(Predicate::Phrase),
        text().prop_map(Predicate::Prefix),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    let place = || prop::sample::select(PATHS.to_vec()).prop_map(path);
    let leaf = prop_oneof![
        4 => (place(), predicate()).prop_map(|(path, predicate)| Condition::Field(path, predicate)),
        1 => place().prop_map(Condition::IsEmpty),
        1 => place().prop_map(Condition::IsNull),
        1 => prop::collection::vec((0_u64..40).prop_map(PointId::Num), 0..4).prop_map(Condition::HasId),
        1 => prop::sample::select(vec!["v", "w"]).prop_map(|name| Condition::HasVector(name.into())),
        1 => (place(), 0_usize..4)
            .prop_map(|(path, gte)| Condition::Count(path, CountRange { gte: Some(gte), ..CountRange::default() })),
    ];
    let condition = leaf.prop_recursive(3, 16, 4, |inner| {
        let place = prop::sample::select(PATHS.to_vec()).prop_map(path);
        prop_oneof![
            4 => clauses(inner.clone()).prop_map(|filter| Condition::Filter(Box::new(filter))),
            1 => (place, clauses(inner))
                .prop_map(|(path, filter)| Condition::Nested(path, Box::new(filter))),
        ]
    });
    clauses(condition)
}

fn clauses(condition: impl Strategy<Value = Condition> + Clone + 'static) -> impl Strategy<Value = Filter> {
    let list = move || prop::collection::vec(condition.clone(), 0..3);
    let least = (list(), 0_usize..4).prop_map(|(conditions, count)| MinShould { conditions, count });
    (list(), list(), list(), prop::option::of(least))
        .prop_map(|(must, should, must_not, min_should)| Filter { must, should, must_not, min_should })
}

fn kinds() -> impl Strategy<Value = BTreeMap<FieldPath, FieldKind>> {
    let kind = prop::sample::select(FieldKind::ALL.to_vec());
    prop::collection::btree_map(prop::sample::select(PATHS.to_vec()).prop_map(path), kind, 0..5)
}

/// Appends payloads in groups of these sizes; all before, and all after, some later ones.
fn indexed(kinds: &BTreeMap<FieldPath, FieldKind>, payloads: &[Payload], groups: &[usize]) -> Fields {
    let mut fields = Fields::over(Arc::new(kinds.clone()), vec![(0, PartFields::of_head())]);
    let mut rest: Vec<&Payload> = payloads.iter().collect();
    let mut sizes = groups.iter().copied().chain(std::iter::repeat(1));
    while !rest.is_empty() {
        let later = rest.split_off(sizes.next().unwrap_or(1).min(rest.len()));
        fields.append((payloads.len() - later.len() - rest.len()) as u32, &rest);
        rest = later;
    }
    fields
}

fn ids(list: &[PointId]) -> RoaringBitmap {
    let nums = list.iter().filter_map(|id| if let PointId::Num(num) = id { Some(*num as u32) } else { None });
    nums.collect()
}

fn known(fields: &Fields, filter: &Filter, universe: &RoaringBitmap) -> Bounds {
    let vectors = |name: &str| if name == "v" { universe.clone() } else { RoaringBitmap::new() };
    fields.bounds(filter, universe, &Lookups { ids: &ids, vectors: &vectors })
}

fn matching(payloads: &[Payload], filter: &Filter, universe: &RoaringBitmap) -> RoaringBitmap {
    let matches = |slot: &u32| {
        payloads.get(*slot as usize).is_some_and(|payload| filter.matches(&subject(*slot, payload)))
    };
    universe.iter().filter(matches).collect()
}

fn subject(slot: u32, payload: &Payload) -> Subject<'_> {
    Subject { id: PointId::Num(u64::from(slot)), payload, has_vector: &|name| name == "v" }
}

/// Whether every leaf stands on an indexed field.
fn is_indexed(filter: &Filter, kinds: &BTreeMap<FieldPath, FieldKind>) -> bool {
    filter.conditions().all(|condition| match condition {
        Condition::Field(path, _) | Condition::IsEmpty(path) | Condition::IsNull(path) => {
            kinds.contains_key(path)
        }
        Condition::HasId(_) | Condition::HasVector(_) => true,
        Condition::Count(..) | Condition::Slice { .. } | Condition::Nested(..) => false,
        Condition::Filter(filter) => is_indexed(filter, kinds),
    })
}

/// Whether every predicate asks an index for what it holds.
fn is_well_typed(filter: &Filter, kinds: &BTreeMap<FieldPath, FieldKind>) -> bool {
    filter.conditions().all(|condition| match condition {
        Condition::Field(path, predicate) => match (kinds.get(path), predicate) {
            (Some(FieldKind::Integer | FieldKind::Float), Predicate::Range(_)) => true,
            (Some(FieldKind::Integer), Predicate::Whole(_)) => true,
            (Some(FieldKind::Datetime), Predicate::Times(_)) => true,
            (Some(FieldKind::Geo), Predicate::Geo(_)) => true,
            (Some(FieldKind::Keyword), Predicate::Prefix(_)) => true,
            (Some(FieldKind::Text), Predicate::TextAny(_)) => false,
            (Some(kind), Predicate::Any(list) | Predicate::Except(list)) => list.iter().all(|scalar| {
                matches!(
                    (kind, scalar),
                    (FieldKind::Keyword | FieldKind::Uuid, Scalar::Str(_))
                        | (FieldKind::Integer, Scalar::Int(_))
                        | (FieldKind::Bool, Scalar::Bool(_))
                )
            }),
            _ => false,
        },
        Condition::Filter(filter) => is_well_typed(filter, kinds),
        _ => true,
    })
}

/// A value of the kind, or none, or several.
fn value_of(kind: FieldKind) -> BoxedStrategy<Value> {
    let one = match kind {
        FieldKind::Keyword | FieldKind::Uuid | FieldKind::Text | FieldKind::Datetime => {
            text().prop_map(Value::from).boxed()
        }
        FieldKind::Geo => place().prop_map(|place| json!({"lon": place.lon, "lat": place.lat})).boxed(),
        FieldKind::Integer => integer().prop_map(Value::from).boxed(),
        FieldKind::Float => float().prop_map(Value::from).boxed(),
        FieldKind::Bool => any::<bool>().prop_map(Value::from).boxed(),
    };
    let many = prop::collection::vec(one.clone(), 0..3).prop_map(Value::from);
    prop_oneof![3 => one, 2 => many, 1 => Just(Value::Null)].boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn the_truth_lies_between_the_bounds(
        kinds in kinds(),
        payloads in prop::collection::vec(payload(value()), 0..40),
        groups in prop::collection::vec(1_usize..9, 0..6),
        filter in filter(),
        hidden in prop::collection::btree_set(0_u32..40, 0..10),
    ) {
        let fields = indexed(&kinds, &payloads, &groups);
        let universe: RoaringBitmap = (0..payloads.len() as u32).filter(|slot| !hidden.contains(slot)).collect();
        let truth = matching(&payloads, &filter, &universe);
        let bounds = known(&fields, &filter, &universe);
        prop_assert!(bounds.lower.is_subset(&truth), "{:?} {:?}", bounds, truth);
        prop_assert!(truth.is_subset(&bounds.upper), "{:?} {:?}", bounds, truth);
        prop_assert!(bounds.upper.is_subset(&universe));
        if is_indexed(&filter, &kinds) && is_well_typed(&filter, &kinds) && !has_number_trouble(&filter, &kinds) {
            prop_assert!(bounds.is_exact());
        }
    }

    #[test]
    fn well_typed_fields_are_answered_exactly(
        rows in prop::collection::vec(
            (
                value_of(FieldKind::Keyword),
                value_of(FieldKind::Integer),
                value_of(FieldKind::Float),
                value_of(FieldKind::Bool),
            ),
            1..60,
        ),
        list in prop::collection::vec(scalar(), 0..3),
        range in range(),
        negates in any::<bool>(),
    ) {
        let names = ["k", "i", "f", "b"];
        let kinds: BTreeMap<_, _> = names.iter().map(|name| path(name)).zip(FieldKind::ALL).collect();
        let payloads: Vec<Payload> = rows.into_iter().map(|(k, i, f, b)| {
            names.iter().map(|name| (*name).to_owned()).zip([k, i, f, b]).collect()
        }).collect();
        let fields = indexed(&kinds, &payloads, &[]);
        let universe: RoaringBitmap = (0..payloads.len() as u32).collect();
        for (name, kind) in names.iter().zip(FieldKind::ALL) {
            let own: Vec<Scalar> = list.iter().filter(|scalar| matches!(
                (kind, scalar),
                (FieldKind::Keyword, Scalar::Str(_))
                    | (FieldKind::Integer, Scalar::Int(_))
                    | (FieldKind::Bool, Scalar::Bool(_))
            )).cloned().collect();
            for predicate in [Predicate::Any(own.clone()), Predicate::Except(own), Predicate::Range(range)] {
                let condition = Condition::Field(path(name), predicate);
                let filter = if negates {
                    Filter { must_not: vec![condition], ..Filter::default() }
                } else {
                    Filter::must(condition)
                };
                let bounds = known(&fields, &filter, &universe);
                prop_assert!(bounds.is_exact(), "{:?}", filter);
                prop_assert_eq!(bounds.lower, matching(&payloads, &filter, &universe), "{:?}", filter);
            }
        }
    }

    #[test]
    fn single_values_of_text_times_and_places_are_answered_exactly(
        rows in prop::collection::vec((text(), text(), place()), 1..60),
        wanted in text(),
        range in times(),
        area in area(),
    ) {
        use FieldKind::{Datetime, Geo, Keyword, Text};
        let kinds = [("t", Text), ("d", Datetime), ("g", Geo), ("k", Keyword)];
        let kinds: BTreeMap<_, _> = kinds.map(|(name, kind)| (path(name), kind)).into();
        let payloads: Vec<Payload> = rows.into_iter().map(|(t, d, g)| {
            let row = json!({"t": t, "d": d, "g": {"lon": g.lon, "lat": g.lat}, "k": t});
            row.as_object().expect("an object").clone()
        }).collect();
        let fields = indexed(&kinds, &payloads, &[]);
        let universe: RoaringBitmap = (0..payloads.len() as u32).collect();
        let is_phrase = words(&wanted).count() > 1;
        for (name, predicate, is_exact) in [
            ("t", Predicate::Text(wanted.clone()), true),
            ("t", Predicate::TextAny(wanted.clone()), true),
            ("t", Predicate::Phrase(wanted.clone()), !is_phrase),
            ("k", Predicate::Prefix(wanted), true),
            ("d", Predicate::Times(range), true),
            ("g", Predicate::Geo(area), true),
        ] {
            let filter = Filter::must(Condition::Field(path(name), predicate));
            let bounds = known(&fields, &filter, &universe);
            let truth = matching(&payloads, &filter, &universe);
            prop_assert!(bounds.lower.is_subset(&truth) && truth.is_subset(&bounds.upper), "{:?}", filter);
            prop_assert!(!is_exact || bounds.is_exact(), "{:?}", filter);
        }
    }

    #[test]
    fn a_clone_never_changes(payloads in prop::collection::vec(payload(value()), 1..60), split in 0_usize..60) {
        let kinds = BTreeMap::from([(path("a"), FieldKind::Integer), (path("b"), FieldKind::Keyword)]);
        let split = split.min(payloads.len());
        let mut fields = indexed(&kinds, &payloads[..split], &[]);
        let (earlier, bytes) = (fields.clone(), fields.bytes());
        for (slot, payload) in payloads.iter().enumerate().skip(split) {
            fields.append(slot as u32, &[payload]);
        }
        let universe: RoaringBitmap = (0..payloads.len() as u32).collect();
        let filter = Filter::must(Condition::IsEmpty(path("a")));
        let bounds = known(&earlier, &filter, &universe);
        let known: RoaringBitmap = (0..split as u32).collect();
        prop_assert_eq!(&bounds.lower, &(matching(&payloads, &filter, &universe) & known));
        prop_assert_eq!(bounds.upper, bounds.lower | (split as u32..payloads.len() as u32).collect::<RoaringBitmap>());
        prop_assert_eq!(earlier.bytes(), bytes);
        prop_assert!(self::known(&fields, &filter, &universe).is_exact());
    }
}

/// Two heads become a file: rows that are left out are gone, the others answer as before at their new places.
fn sealed(
    folder: &Path,
    kinds: &BTreeMap<FieldPath, FieldKind>,
    payloads: &[Payload],
    dead: &[bool],
) -> (Stored, Vec<Payload>) {
    let (first, second) = payloads.split_at(payloads.len() / 2);
    let heads = [first, second].map(|payloads| indexed(kinds, payloads, &[]));
    let is_kept = |row: &usize| !dead.get(*row).copied().unwrap_or_default();
    let mut kept = 0..;
    let mut moves =
        (0..payloads.len()).map(|row| if is_kept(&row) { kept.next().unwrap_or(NO_ROW) } else { NO_ROW });
    let moves = [first, second].map(|payloads| moves.by_ref().take(payloads.len()).collect::<Vec<u32>>());
    let sources = heads.iter().zip(&moves).filter(|(_, moves)| !moves.is_empty());
    let sources = sources.map(|(head, moves)| Source {
        kinds,
        fields: head.parts().next().expect("one part"),
        moves: Some(moves),
    });
    let left: Vec<Payload> = (0..payloads.len()).filter(is_kept).map(|row| payloads[row].clone()).collect();
    let mark = Mark { rows: left.len() as u32, checksum: 7 };
    let path = folder.join("1.fld");
    assert!(store(&path, kinds, mark, &[sources.collect()], &()).expect("written"));
    let other = Mark { checksum: 8, ..mark };
    assert!(Stored::open(&path, kinds, other).is_err(), "of another segment");
    (Stored::open(&path, kinds, mark).expect("whole"), left)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_stored_answers_as_what_it_was_made_of(
        kinds in kinds(),
        payloads in prop::collection::vec(payload(value()), 1..40),
        dead in prop::collection::vec(any::<bool>(), 0..40),
        filter in filter(),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let (stored, left) = sealed(folder.path(), &kinds, &payloads, &dead);
        stored.verify().expect("whole");
        let all = indexed(&kinds, &left, &[]);
        let universe: RoaringBitmap = (0..left.len() as u32).collect();
        let expected = known(&all, &filter, &universe);
        // The same at the places of a part, with ids that are slots.
        let base = 3 << 16;
        let file = vec![(base, PartFields::Stored(Arc::new(stored)))];
        let fields = Fields::over(Arc::new(kinds), file);
        let lift = |rows: &RoaringBitmap| rows.iter().map(|row| row + base).collect::<RoaringBitmap>();
        let found = {
            let vectors = |name: &str| if name == "v" { lift(&universe) } else { RoaringBitmap::new() };
            let lookups = Lookups { ids: &|list| lift(&ids(list)), vectors: &vectors };
            fields.bounds(&filter, &lift(&universe), &lookups)
        };
        prop_assert_eq!(found.lower, lift(&expected.lower));
        prop_assert_eq!(found.upper, lift(&expected.upper));
    }
}

#[test]
fn a_damaged_column_leaves_its_rows_unknown() {
    let folder = tempfile::tempdir().expect("a folder");
    let kinds = BTreeMap::from([(path("a"), FieldKind::Integer)]);
    let payloads: Vec<Payload> =
        (0..20).map(|n| json!({"a": n}).as_object().expect("an object").clone()).collect();
    drop(sealed(folder.path(), &kinds, &payloads, &[]));
    let file = folder.path().join("1.fld");
    let whole = std::fs::read(&file).expect("a file");
    let at =
        whole.windows(8).rposition(|bytes| bytes == 19_i64.to_le_bytes()).expect("a number of the column");
    let mut bytes = whole;
    bytes[at] ^= 1;
    std::fs::write(&file, bytes).expect("written");
    let stored = Stored::open(&file, &kinds, Mark { rows: 20, checksum: 7 }).expect("its header is whole");
    assert_eq!(stored.verify().expect_err("a column is not").kind(), types::ErrorKind::Corrupted);
    assert!(stored.is_sound(), "nothing was asked for");
    let fields = Fields::over(Arc::new(kinds), vec![(0, PartFields::Stored(Arc::new(stored)))]);
    let universe: RoaringBitmap = (0..20).collect();
    let bounds = known(&fields, &Filter::must(Condition::equals("a", 3).expect("a path")), &universe);
    assert_eq!((bounds.lower, bounds.upper), (RoaringBitmap::new(), universe));
    assert!(!fields.parts().next().expect("one part").is_sound());
}

#[test]
fn a_column_has_its_golden_bytes() {
    let kinds = BTreeMap::from([(path("a"), FieldKind::Keyword)]);
    let payloads = [json!({"a": "w"}), json!({})].map(|tree| tree.as_object().expect("an object").clone());
    let block = indexed(&kinds, &payloads, &[]);
    let moved = block.parts().next().expect("one part").moved(0, &[0, 1]).expect("a column");
    let set =
        |row: u8| [&[18, 0, 0, 0, 58, 48, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0][..], &[row, 0]].concat();
    let none = || [8, 0, 0, 0, 58, 48, 0, 0, 0, 0, 0, 0].to_vec();
    let word = [&[1, 0, 0, 0, 1, 0, 0, 0, b'w'][..], &set(0)].concat();
    let golden = [set(0), none(), none(), none(), set(1), none(), word].concat();
    assert_eq!(codec::encode(&moved), golden);
    assert!(codec::decode(FieldKind::Keyword, &golden, 2).is_some());
    assert!(codec::decode(FieldKind::Keyword, &golden, 1).is_none(), "a row beyond the last");
    for len in 0..golden.len() {
        assert!(codec::decode(FieldKind::Keyword, &golden[..len], 2).is_none(), "cut to {len}");
    }
}

/// Whether a range is asked of an integer index, which does not hold every number.
fn has_number_trouble(filter: &Filter, kinds: &BTreeMap<FieldPath, FieldKind>) -> bool {
    filter.conditions().any(|condition| match condition {
        Condition::Field(path, Predicate::Range(_)) => kinds.get(path) == Some(&FieldKind::Integer),
        Condition::Filter(filter) => has_number_trouble(filter, kinds),
        _ => false,
    })
}

#[test]
fn a_range_over_integers_is_unknown_only_where_another_number_stands() {
    let kinds = BTreeMap::from([(path("n"), FieldKind::Integer)]);
    let payloads = [json!({"n": 3}), json!({"n": 2.5}), json!({"n": "2"}), json!({"n": [9, 2.5]}), json!({})];
    let payloads = payloads.map(|payload| payload.as_object().expect("an object").clone());
    let fields = indexed(&kinds, &payloads, &[]);
    let filter =
        Filter::must(Condition::range("n", Range { lt: Some(5.0), ..Range::default() }).expect("a path"));
    let bounds = known(&fields, &filter, &(0..5).collect());
    assert_eq!((bounds.lower, bounds.upper), ([0].into(), [0, 1, 3].into()));
}

#[test]
fn many_single_rows_make_few_blocks() {
    let kinds = BTreeMap::from([(path("n"), FieldKind::Float), (path("k"), FieldKind::Keyword)]);
    let payloads: Vec<Payload> = (0..5_000)
        .map(|row| {
            json!({"n": row as f64 / 2.0, "k": format!("k{}", row % 10)})
                .as_object()
                .expect("an object")
                .clone()
        })
        .collect();
    let fields = indexed(&kinds, &payloads, &[]);
    let Some(PartFields::Growing(growing)) = fields.parts().next() else { panic!("a head") };
    assert!(growing.blocks() <= 13, "{}", growing.blocks());
    let filter = Filter::must(Condition::equals("k", "k3").expect("a path"))
        .and(Condition::range("n", Range { gte: Some(1000.0), ..Range::default() }).expect("a path"));
    let bounds = known(&fields, &filter, &(0..6_000).collect());
    assert_eq!(bounds.lower.len(), 300);
    // What was never appended is unknown.
    assert_eq!(bounds.upper.len(), 1_300);
    assert_eq!(
        known(&Fields::over(Arc::default(), Vec::new()), &Filter::default(), &[7].into()).lower,
        [7].into()
    );
}
