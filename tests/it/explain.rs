//! What an answer says of itself: why a point is not in it, what was done for it, that it is partial.

use std::time::{Duration, Instant};

use kithdb::{
    Collection, Condition, Database, ErrorKind, Failed, FieldKind, Filter, Fusion, Grouping, KeywordQuery,
    Language, MatrixRequest, Metric, Order, Params, Point, PointId, Query, Reading, Request, Result, Schema,
    Select, Terms, Why,
};

const POINTS: u64 = 3000;
const DIM: usize = 8;

/// Numbers that look random and are always the same.
fn vector(id: u64) -> Vec<f32> {
    let number = |element: u64| {
        let mixed = (id * 8 + element + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..DIM as u64).map(number).collect()
}

fn collection(db: &Database) -> Collection {
    let schema =
        Schema::new().vector(DIM, Metric::Euclid).keyword(["text".parse().expect("a path")], Language::None);
    let collection = db.create_collection("c", schema).expect("a collection");
    let point = |id: u64| {
        let word = if id % 1000 == 7 { "rare" } else { "common" };
        let point = Point::new(id).with("third", id % 3).with("text", word);
        if id == 0 { point } else { point.vector(vector(id)) }
    };
    collection.upsert((0..POINTS).map(point).collect()).expect("written");
    collection.optimize(true).expect("one segment");
    collection
}

fn nearest(limit: usize) -> Request {
    let query = Query::Nearest { vector: vector(POINTS).into(), using: String::new() };
    Request { query, limit, ..Request::default() }
}

fn exact(limit: usize) -> Request {
    Request { params: Params { is_exact: true, ..Params::default() }, ..nearest(limit) }
}

fn ids(collection: &Collection, request: Request) -> Vec<PointId> {
    let (hits, _) = collection.search(request, &Select::none()).expect("hits");
    hits.iter().map(|hit| hit.id).collect()
}

#[test]
fn a_point_is_told_why_it_is_no_hit() {
    let db = Database::in_memory().expect("a database");
    let collection = collection(&db);
    let why = |request: Request, id: PointId| collection.why_not(request, id).expect("a reason").why;
    let order = ids(&collection, exact(POINTS as usize));
    assert_eq!(order.len(), POINTS as usize - 1);

    assert!(matches!(why(exact(5), order[2]), Why::Hit(rank) if rank.rank == 3));
    assert!(matches!(why(exact(5), order[40]), Why::Outranked(rank) if rank.rank == 41));
    let second = Request { offset: 2, ..exact(5) };
    assert!(matches!(why(second.clone(), order[0]), Why::Offset(rank) if rank.rank == 1));
    assert!(matches!(why(second, order[6]), Why::Hit(rank) if rank.rank == 7));
    assert_eq!(why(exact(5), PointId::Num(POINTS)), Why::NoPoint);
    assert_eq!(why(exact(5), PointId::Num(0)), Why::NoVector);
    let strict = Request { score_threshold: Some(0.0), ..exact(5) };
    assert!(matches!(why(strict, order[0]), Why::Threshold(score) if score > 0.0));

    let third = Condition::equals("third", 1).expect("a path");
    let failed = |place: &str, condition: &Condition| Failed {
        place: place.to_owned(),
        conditions: vec![condition.clone()],
    };
    let filtered = Request { filter: Filter::must(third.clone()), ..exact(5) };
    assert_eq!(why(filtered, PointId::Num(3)), Why::Filtered(vec![failed("must[0]", &third)]));
    let without = Filter { must_not: vec![third.clone()], ..Filter::default() };
    let filtered = Request { filter: without, ..exact(5) };
    assert_eq!(why(filtered, PointId::Num(4)), Why::Filtered(vec![failed("must_not[0]", &third)]));

    let words = Request { query: Query::Keyword("rare".into()), limit: 1, ..Request::default() };
    assert_eq!(why(words.clone(), PointId::Num(8)), Why::NoScore);
    assert!(matches!(why(words.clone(), PointId::Num(1007)), Why::Outranked(rank) if rank.rank == 2));

    let fused = Request {
        prefetch: vec![exact(5), words],
        query: Query::Fuse(Fusion::rrf(2.0)),
        limit: 9,
        ..exact(9)
    };
    let told = collection.why_not(fused, order[40]).expect("a reason");
    assert_eq!(told.why, Why::NoCandidate);
    assert!(matches!(told.legs[0].why, Why::Outranked(_)) && told.legs[1].why == Why::NoScore);
}

#[test]
fn what_comes_behind_many_values_of_another_point_is_outranked() {
    let db = Database::in_memory().expect("a database");
    let collection = db.create_collection("c", Schema::new()).expect("a collection");
    let path = || "n".parse().expect("a path");
    let many = Point::new(1).with("n", (0..50).collect::<Vec<i64>>());
    collection.upsert(vec![many, Point::new(2).with("n", 99)]).expect("written");
    for is_indexed in [false, true] {
        if is_indexed {
            collection.create_field(path(), FieldKind::Integer).expect("an index");
        }
        let query = Query::Order(Order { path: path(), is_descending: false, from: None });
        let request = Request { query, limit: 3, ..Request::default() };
        let why = collection.why_not(request, PointId::Num(2)).expect("a reason").why;
        assert!(matches!(why, Why::Outranked(rank) if rank.rank == 51), "{why:?}");
    }
}

#[test]
fn a_walk_that_misses_a_hit_says_so() {
    // So many that a scan by codes costs more than the narrowest walk.
    const MANY: u64 = 20_000;
    // Those of `vector` lie on a line, where no walk misses anything.
    let scattered = |id: u64| -> Vec<f32> {
        let number = |element: u64| {
            let mixed = (id * DIM as u64 + element + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f32 / (1 << 24) as f32
                - 0.5
        };
        (0..DIM as u64).map(number).collect()
    };
    let db = Database::in_memory().expect("a database");
    let schema = Schema::new().vector(DIM, Metric::Euclid);
    let collection = db.create_collection("many", schema).expect("a collection");
    collection.upsert((0..MANY).map(|id| Point::new(id).vector(scattered(id))).collect()).expect("written");
    collection.optimize(true).expect("one segment");
    let mut missed = 0;
    for seed in MANY..MANY + 50 {
        let query = || Query::Nearest { vector: scattered(seed).into(), using: String::new() };
        let truth = ids(&collection, Request { query: query(), ..exact(10) });
        // Of the hits that are wanted.
        let params = Params { ef: Some(1), ..Params::default() };
        let short = Request { query: query(), params, ..nearest(10) };
        let found = ids(&collection, short.clone());
        for id in truth.into_iter().filter(|id| !found.contains(id)) {
            let why = collection.why_not(short.clone(), id).expect("a reason").why;
            assert!(matches!(why, Why::NotReached(rank) | Why::Mistaken(rank) if rank.rank <= 10), "{why:?}");
            missed += 1;
        }
    }
    assert!(missed > 0, "such a beam misses some of 500");
}

#[test]
fn an_analysis_counts_what_was_done() {
    let db = Database::in_memory().expect("a database");
    let collection = collection(&db);
    let terms = Terms { is_analyzed: true, ..Terms::default() };
    let found = collection.search_on(exact(5), &Select::none(), terms).expect("hits");
    let actual = found.actual.expect("it was asked for");
    assert_eq!((actual.found, actual.parts[0].work.distances), (5, POINTS));
    assert_eq!(actual.parts[0].work.bytes, POINTS * (DIM * size_of::<f32>()) as u64);
    let third = Filter::must(Condition::equals("third", 1).expect("a path"));
    let filtered = Request { filter: third, ..nearest(5) };
    let actual = collection.search_on(filtered, &Select::none(), terms).expect("hits").actual.expect("asked");
    assert!(actual.payloads >= 5 && actual.parts[0].work.distances > 0, "{actual:?}");
    let text = found.plan.to_text_with(&actual);
    assert!(["distances", "bytes", "payloads read"].iter().all(|part| text.contains(part)), "{text}");
    let slice = Filter::must(Condition::Slice { index: 0, total: 3 });
    let sliced = Request { filter: slice, ..nearest(5) };
    let actual = collection.search_on(sliced, &Select::none(), terms).expect("hits").actual.expect("asked");
    assert_eq!((actual.found, actual.payloads), (5, 0), "ids decide");
    let plain = collection.search_on(exact(5), &Select::none(), Terms::default()).expect("hits");
    assert_eq!((plain.actual, plain.partial), (None, None));
}

#[test]
fn a_deadline_cuts_the_answer_or_fails_it() {
    let db = Database::in_memory().expect("a database");
    let collection = collection(&db);
    let ask = |until: Duration, is_partial_welcome: bool| {
        let deadline = Some(Instant::now() + until);
        let terms = Terms { deadline, is_partial_welcome, ..Terms::default() };
        collection.search_on(exact(5), &Select::none(), terms)
    };
    let error = ask(Duration::ZERO, false).expect_err("too late");
    assert_eq!((error.kind(), error.field()), (ErrorKind::DeadlineExceeded, Some("timeout")));
    let partial = ask(Duration::ZERO, true).expect("what was found").partial;
    assert!(partial.is_some_and(|share| share < 0.5), "{partial:?}");
    let whole = ask(Duration::from_secs(600), false).expect("in time");
    assert_eq!((whole.hits.len(), whole.partial), (5, None));
}

#[test]
fn a_budget_of_rows_cuts_the_answer_or_fails_it() {
    let db = Database::in_memory().expect("a database");
    let collection =
        db.create_collection("many", Schema::new().vector(DIM, Metric::Euclid)).expect("a collection");
    collection.upsert((0..10_000).map(|id| Point::new(id).vector(vector(id))).collect()).expect("written");
    let ask = |rows_max: u64, is_partial_welcome: bool| {
        let terms = Terms { rows_max: Some(rows_max), is_partial_welcome, ..Terms::default() };
        collection.search_on(exact(5), &Select::none(), terms)
    };
    let partial = ask(5_000, true).expect("what was found");
    assert_eq!((partial.hits.len(), partial.partial), (5, Some(0.8192)), "it is asked every 4,096 rows");
    let error = ask(5_000, false).expect_err("more rows");
    assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some("rows_max")));
    let whole = ask(10_000, false).expect("as many as there are");
    assert_eq!((whole.hits.len(), whole.partial), (5, None));
    // Payloads that decide what matches count, too.
    let filter = Filter::must(Condition::equals("third", 1).expect("a path"));
    let terms = Terms { rows_max: Some(10_050), ..Terms::default() };
    let error = collection.search_on(Request { filter, ..exact(5) }, &Select::none(), terms);
    assert_eq!(error.expect_err("no payload matches").field(), Some("rows_max"));
}

/// A long question over many documents had all the time that it took.
#[test]
fn words_are_looked_for_until_a_deadline() {
    let db = Database::in_memory().expect("a database");
    let collection = collection(&db);
    let words = |text: &str| Query::Keyword(KeywordQuery::new(text));
    for text in ["common", "common rare", "\"common rare\" common"] {
        let ask = |until: Duration, is_partial_welcome: bool| {
            let deadline = Some(Instant::now() + until);
            let terms = Terms { deadline, is_partial_welcome, ..Terms::default() };
            let request = Request { query: words(text), limit: 5, ..Request::default() };
            collection.search_on(request, &Select::none(), terms)
        };
        let error = ask(Duration::ZERO, false).expect_err("too late");
        assert_eq!((error.kind(), error.field()), (ErrorKind::DeadlineExceeded, Some("timeout")), "{text}");
        let partial = ask(Duration::ZERO, true).expect("what was found");
        assert_eq!((partial.hits.len(), partial.partial), (0, Some(0.0)), "{text}");
        let whole = ask(Duration::from_secs(600), false).expect("in time");
        assert_eq!((whole.hits.len(), whole.partial), (5, None), "{text}");
    }
}

/// Every question that reads payloads, of a state, by name.
fn reads_of(reading: &Reading) -> [(&'static str, Result<usize>); 6] {
    let filter = || Filter::must(Condition::equals("third", 1).expect("a path"));
    let third = "third".parse().expect("a path");
    let grouping = Grouping { path: "third".parse().expect("a path"), groups: 2, size: 2 };
    let matrix =
        MatrixRequest { filter: filter(), using: String::new(), sample: 50, limit: 3, seed: Some(1) };
    let none = Select::none();
    [
        ("scroll", reading.scroll(&filter(), None, 10, &none).map(|page| page.points.len())),
        ("count", reading.count(&filter())),
        ("facets", reading.facets(&third, &Filter::default(), 10).map(|facets| facets.len())),
        ("groups", reading.groups(nearest(5), &grouping, &none).map(|groups| groups.len())),
        ("matrix", reading.matrix(&matrix).map(|matrix| matrix.ids.len())),
        (
            "why_not",
            reading.why_not(exact(5), PointId::Num(0)).map(|told| usize::from(told.why == Why::NoVector)),
        ),
    ]
}

#[test]
fn whatever_is_asked_until_a_deadline_is_whole_or_fails() {
    let db = Database::in_memory().expect("a database");
    let reading = collection(&db).reading().expect("a state");
    let until = |time| reads_of(&reading.clone().until(Instant::now() + time));
    let whole = until(Duration::from_secs(600)).map(|(_, answer)| answer.expect("in time"));
    assert_eq!(whole, [10, 1000, 3, 2, 50, 1]);
    for (name, answer) in until(Duration::ZERO) {
        let error = answer.expect_err(name);
        assert_eq!((error.kind(), error.field()), (ErrorKind::DeadlineExceeded, Some("timeout")), "{name}");
    }
}

/// It was told in eight spellings, and the text was cut before the one that was asked for.
#[test]
fn a_uuid_that_shuts_a_point_out_is_told_as_it_was_asked_for() {
    let db = Database::in_memory().expect("a database");
    let schema = Schema::new().vector(1, Metric::Dot).field("f".parse().expect("a path"), FieldKind::Uuid);
    let collection = db.create_collection("c", schema).expect("a collection");
    collection.upsert(vec![Point::new(1).vector([1.0]).with("f", "other")]).expect("written");
    let query = Query::Nearest { vector: vec![1.0].into(), using: String::new() };
    let asked = "f = '936da01f-9abd-4d9d-80c7-02af85c822a8'";
    let filter = asked.parse().expect("a filter");
    let request = Request { query, filter, limit: 1, ..Request::default() };
    let told = collection.why_not(request, PointId::Num(1)).expect("a reason").why;
    let Why::Filtered(failed) = &told else { panic!("{told:?}") };
    assert_eq!(failed.iter().map(Failed::to_text).collect::<Vec<_>>(), [asked]);
}

#[test]
fn two_spellings_of_a_filter_have_one_plan() {
    let db = Database::in_memory().expect("a database");
    let collection = collection(&db);
    collection.create_field("third".parse().expect("a path"), FieldKind::Integer).expect("a field");
    let spellings = [
        // One field has an index, the other one has none: bounds that are not exact must agree too.
        ["third IN (0, 1)", "third = 1 OR third = 0", "NOT (NOT (third = 1) AND third != 0)"],
        [
            "third = 1 AND text = 'rare'",
            "text = 'rare' AND (third = 1 OR ID IN ())",
            "NOT (third != 1 OR text != 'rare')",
        ],
        [
            "third = 1 OR text = 'rare'",
            "AT LEAST 1 OF (text = 'rare', third = 1)",
            "NOT (third != 1 AND text != 'rare')",
        ],
        [
            "NOT AT LEAST 2 OF (third = 1, text = 'rare', ID = 7)",
            "AT LEAST 2 OF (ID != 7, third != 1, text != 'rare')",
            "TRUE AND NOT (AT LEAST 2 OF (text = 'rare', ID IN (7), third = 1))",
        ],
    ];
    for texts in spellings {
        let answers = texts.map(|text| {
            let request = Request { filter: text.parse().expect(text), ..nearest(9) };
            let (hits, plan) = collection.search(request, &Select::none()).expect("hits");
            (hits, plan)
        });
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{texts:?}");
    }
    let found = collection.query().nearest(vector(POINTS)).filter_text("third = 1").expect("a filter").run();
    assert_eq!(found.expect("hits").len(), 10);
    let error = collection.query().filter_text("third =").expect_err("no value");
    assert_eq!(error.field(), Some("filter"));
}
