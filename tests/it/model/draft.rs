//! What the model test may do: random actions over few ids, few words and small whole vectors, so that things meet.

use std::collections::BTreeMap;

use kithdb::{
    Condition, CountRange, FieldKind, Filter, MinShould, Payload, PointId, Predicate, Range, Scalar,
    Selection, UpsertMode, Value,
};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::question::{Question, question};

/// One step of a run. The first number says which of the two collections.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Apply(usize, Vec<Change>),
    Transaction([Vec<Change>; 2]),
    CreateField(usize, &'static str, FieldKind),
    DropField(usize, &'static str),
    Ask(usize, Question),
    Recreate(usize),
    Reopen,
    Rebuild,
    Flush,
    /// Waits for its end, or not.
    Optimize(usize, bool),
    /// Long enough for background work: a keyword commit, a purge.
    Rest,
}

/// An operation whose vectors are drawn before the collection's spaces are known.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Upsert(Draft),
    UpsertWhere(Vec<Draft>, UpsertMode, Filter),
    UpdateVectors(Vec<Draft>, Filter),
    Part(Selection, PartDraft),
    Delete(Vec<PointId>),
    DeleteWhere(Filter),
    Require(PointId, Guess),
}

/// A change of a part of points.
#[derive(Clone, Debug)]
pub(crate) enum PartDraft {
    Set(Payload, Option<&'static str>),
    Overwrite(Payload),
    Delete(Vec<&'static str>),
    Clear,
    /// By their places among the names of the collection.
    DeleteVectors(Vec<usize>),
}

/// A version that is required.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Guess {
    Right,
    Absent,
    Stale,
}

/// A point in the making: each space of a collection takes the first elements of one lane.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) id: PointId,
    pub(crate) lanes: [Option<[i8; 4]>; 2],
    /// What its sparse vector is made of.
    pub(crate) weights: Option<Weights>,
    /// The rows of its multivector; none: it has none.
    pub(crate) rows: Vec<[i8; 2]>,
    pub(crate) payload: Payload,
}

/// Dimensions and weights.
pub(crate) type Weights = BTreeMap<u32, i8>;

pub(crate) const PATHS: [&str; 9] =
    ["tag", "n", "ok", "text", "more.a", "more.list[].k", "more.list[0].k", "\"ü.x\"", "nowhere"];

const WORDS: [&str; 9] = ["red", "Red", "Grün", "北京", "a", "x_1", "ZÜRICH", "don't", "2023-01"];

pub(crate) fn action() -> impl Strategy<Value = Action> {
    let which = || 0..2_usize;
    prop_oneof![
        60 => (which(), changes()).prop_map(|(which, changes)| Action::Apply(which, changes)),
        10 => [changes(), changes()].prop_map(Action::Transaction),
        8 => (which(), select(PATHS.to_vec()), select(FieldKind::ALL.to_vec()))
            .prop_map(|(which, path, kind)| Action::CreateField(which, path, kind)),
        3 => (which(), select(PATHS.to_vec())).prop_map(|(which, path)| Action::DropField(which, path)),
        100 => (which(), question()).prop_map(|(which, question)| Action::Ask(which, question)),
        2 => which().prop_map(Action::Recreate),
        8 => Just(Action::Reopen),
        3 => Just(Action::Rebuild),
        3 => Just(Action::Flush),
        8 => (which(), any::<bool>()).prop_map(|(which, wait)| Action::Optimize(which, wait)),
        1 => Just(Action::Rest),
    ]
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec(
        prop_oneof![
            12 => draft().prop_map(Change::Upsert),
            2 => ids().prop_map(Change::Delete),
            1 => filter().prop_map(Change::DeleteWhere),
            2 => (drafts(), select(MODES.to_vec()), filter())
                .prop_map(|(drafts, mode, filter)| Change::UpsertWhere(drafts, mode, filter)),
            2 => (few(draft()), filter()).prop_map(|(drafts, filter)| Change::UpdateVectors(drafts, filter)),
            4 => (selection(), part()).prop_map(|(selection, part)| Change::Part(selection, part)),
            2 => (id(), guess()).prop_map(|(id, guess)| Change::Require(id, guess)),
        ],
        1..12,
    )
}

const MODES: [UpsertMode; 3] = [UpsertMode::Upsert, UpsertMode::InsertOnly, UpsertMode::UpdateOnly];

fn drafts() -> impl Strategy<Value = Vec<Draft>> {
    prop::collection::vec(draft(), 0..5)
}

/// One or two: each that names a point that is not there makes the whole write fail.
fn few<T: std::fmt::Debug>(item: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(item, 1..3)
}

fn selection() -> impl Strategy<Value = Selection> {
    prop_oneof![1 => few(id()).prop_map(Selection::Ids), 2 => filter().prop_map(Selection::Where)]
}

fn part() -> impl Strategy<Value = PartDraft> {
    let below = || prop::option::weighted(0.4, select(PATHS.to_vec()));
    let gone =
        prop_oneof![4 => select(PATHS.to_vec()), 1 => select(vec!["tag[]", "more.list[0]", "more.list"])];
    prop_oneof![
        4 => (payload(), below()).prop_map(|(payload, below)| PartDraft::Set(payload, below)),
        1 => payload().prop_map(PartDraft::Overwrite),
        3 => prop::collection::vec(gone, 0..3).prop_map(PartDraft::Delete),
        1 => Just(PartDraft::Clear),
        2 => few(0..4_usize).prop_map(PartDraft::DeleteVectors),
    ]
}

fn guess() -> impl Strategy<Value = Guess> {
    prop_oneof![6 => Just(Guess::Right), 1 => Just(Guess::Absent), 1 => Just(Guess::Stale)]
}

fn draft() -> impl Strategy<Value = Draft> {
    let lane = || prop::option::weighted(0.9, prop::array::uniform4(-2..3_i8));
    (id(), [lane(), lane()], prop::option::weighted(0.8, weights()), rows(0), payload())
        .prop_map(|(id, lanes, weights, rows, payload)| Draft { id, lanes, weights, rows, payload })
}

pub(crate) fn rows(least: usize) -> impl Strategy<Value = Vec<[i8; 2]>> {
    prop::collection::vec(prop::array::uniform2(-2..3_i8), least..4)
}

pub(crate) fn weights() -> impl Strategy<Value = Weights> {
    let dim = prop_oneof![5 => 0..5_u32, 1 => Just(u32::MAX)];
    prop::collection::btree_map(dim, -2..4_i8, 0..5)
}

pub(crate) fn id() -> impl Strategy<Value = PointId> {
    prop_oneof![
        4 => (0..14_u64).prop_map(PointId::Num),
        1 => select(vec![PointId::Num(u64::MAX), PointId::from_name("a"), PointId::from_name("b")]),
    ]
}

pub(crate) fn ids() -> impl Strategy<Value = Vec<PointId>> {
    prop::collection::vec(id(), 0..6)
}

fn payload() -> impl Strategy<Value = Payload> {
    let maybe = |value: BoxedStrategy<Value>| prop::option::weighted(0.7, value);
    let members = (
        maybe(one_or_many(scalar())),
        maybe(one_or_many(number())),
        maybe(prop_oneof![any::<bool>().prop_map(Value::from), scalar()].boxed()),
        maybe(sentence().prop_map(Value::from).boxed()),
        maybe(more().boxed()),
        maybe(scalar()),
        any::<bool>(),
    );
    members.prop_map(|(tag, n, ok, text, more, odd, is_reversed)| {
        let members = [("tag", tag), ("n", n), ("ok", ok), ("text", text), ("more", more), ("ü.x", odd)];
        let mut members: Vec<_> = members.into_iter().collect();
        if is_reversed {
            members.reverse();
        }
        members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    })
}

fn more() -> impl Strategy<Value = Value> {
    let list = prop::collection::vec(one_or_many(scalar()), 0..3);
    let words = prop::collection::vec(sentence(), 0..3);
    (scalar(), list, words).prop_map(|(a, list, words)| {
        let list: Vec<Value> = list.into_iter().map(|k| json!({"k": k})).collect();
        json!({"a": a, "list": list, "words": words, "deep": {"er": [[], {}, [null]]}})
    })
}

fn one_or_many(value: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    prop_oneof![3 => value.clone(), 1 => prop::collection::vec(value, 0..4).prop_map(Value::from)].boxed()
}

fn scalar() -> BoxedStrategy<Value> {
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        4 => select(WORDS.to_vec()).prop_map(Value::from),
        3 => number(),
    ]
    .boxed()
}

fn number() -> BoxedStrategy<Value> {
    const EXACT: i64 = 1 << 53;
    prop_oneof![
        6 => (-3..4_i64).prop_map(Value::from),
        1 => select(vec![EXACT, EXACT + 1, -EXACT - 1, i64::MIN, i64::MAX]).prop_map(Value::from),
        1 => Just(Value::from(u64::MAX)),
        2 => (-6..7_i32).prop_map(|half| Value::from(f64::from(half) / 2.0)),
        1 => any::<f64>().prop_filter("JSON has no such number", |n| n.is_finite()).prop_map(Value::from),
    ]
    .boxed()
}

pub(crate) fn sentence() -> impl Strategy<Value = String> {
    prop::collection::vec(select(WORDS.to_vec()), 0..9).prop_map(|words| words.join(" "))
}

/// Filters of every kind, up to three levels deep; often the one that matches everything.
pub(crate) fn filter() -> impl Strategy<Value = Filter> {
    let nested = condition().prop_recursive(2, 8, 3, |inner| {
        let path = select(PATHS.to_vec()).prop_map(|path| path.parse().expect("a path of this list"));
        prop_oneof![
            4 => clauses(inner.clone()).prop_map(|filter| Condition::Filter(Box::new(filter))),
            1 => (path, clauses(inner)).prop_map(|(path, filter)| Condition::Nested(path, Box::new(filter))),
        ]
    });
    prop_oneof![1 => Just(Filter::default()), 4 => clauses(nested)]
}

fn clauses(condition: impl Strategy<Value = Condition> + Clone + 'static) -> impl Strategy<Value = Filter> {
    let some = || prop::collection::vec(condition.clone(), 0..3);
    let least = (prop::collection::vec(condition.clone(), 0..4), 0..3_usize)
        .prop_map(|(conditions, count)| MinShould { conditions, count });
    (some(), some(), some(), prop::option::weighted(0.2, least))
        .prop_map(|(must, should, must_not, min_should)| Filter { must, should, must_not, min_should })
}

fn condition() -> impl Strategy<Value = Condition> + Clone {
    let path = || select(PATHS.to_vec()).prop_map(|path| path.parse().expect("a path of this list"));
    let list = || prop::collection::vec(matched(), 0..3);
    prop_oneof![
        4 => (path(), list()).prop_map(|(path, list)| Condition::Field(path, Predicate::Any(list))),
        2 => (path(), list()).prop_map(|(path, list)| Condition::Field(path, Predicate::Except(list))),
        4 => (path(), range()).prop_map(|(path, range)| Condition::Field(path, Predicate::Range(range))),
        1 => path().prop_map(Condition::IsEmpty),
        1 => path().prop_map(Condition::IsNull),
        1 => ids().prop_map(Condition::HasId),
        1 => select(vec!["", "s", "m", "gone"]).prop_map(|name| Condition::HasVector(name.to_owned())),
        1 => (path(), 0..3_usize).prop_map(|(path, least)| {
            Condition::Count(path, CountRange { gte: Some(least), ..CountRange::default() })
        }),
        2 => (path(), select(WORDS.to_vec()), select(WORDS.to_vec()), 0..4).prop_map(|(path, one, two, kind)| {
            let text = format!("{one} {two}");
            Condition::Field(path, match kind {
                0 => Predicate::Text(text),
                1 => Predicate::TextAny(text),
                2 => Predicate::Phrase(text),
                _ => Predicate::Prefix(one.chars().take(1).collect()),
            })
        }),
    ]
}

fn matched() -> impl Strategy<Value = Scalar> + Clone {
    prop_oneof![
        select(WORDS.to_vec()).prop_map(Scalar::from),
        (-3..4_i64).prop_map(Scalar::Int),
        select(vec![(1_i64 << 53) + 1, i64::MIN]).prop_map(Scalar::Int),
        any::<bool>().prop_map(Scalar::Bool),
    ]
}

fn range() -> impl Strategy<Value = Range> + Clone {
    let bound = || {
        let large = vec![9_007_199_254_740_992.0, -1e300, f64::INFINITY, f64::NAN];
        prop::option::weighted(
            0.4,
            prop_oneof![8 => (-6..7_i32).prop_map(|half| f64::from(half) / 2.0), 1 => select(large)],
        )
    };
    (bound(), bound(), bound(), bound()).prop_map(|(lt, lte, gt, gte)| Range { lt, lte, gt, gte })
}
