//! What words weigh is learned from questions whose answers are known, kept with the collection, used, shown, set and
//! taken back, through each door.

use kithdb::{
    Collection, Database, HybridWeights, Language, Metric, Point, PointId, Query, Request, Schema, Value,
};
use rag::eval::{self, Expected, Lesson, Question};
use serde_json::json;
use server::ServeOptions;

use crate::http::Running;

const POINTS: u64 = 60;

const AT: &str = "/api/v1/collections/notes/eval/learn";

/// Directions, each the answer to one question.
fn vector(id: u64) -> Vec<f32> {
    let angle = id as f32 / POINTS as f32 * std::f32::consts::TAU;
    vec![angle.cos(), angle.sin()]
}

/// Words that say nothing of which note a question means.
fn words(id: u64, count: u64) -> String {
    let word = |nth: u64| format!("word{}", (id * 7 + nth * nth * 5 + id * nth) % 23);
    (0..count).map(word).collect::<Vec<_>>().join(" ")
}

fn notes(db: &Database) -> Collection {
    let schema = Schema::new().vector(2, Metric::Cosine);
    let schema = schema.keyword(["text".parse().expect("a path")], Language::English);
    let notes = db.create_collection("notes", schema).expect("a collection");
    let point = |id: u64| Point::new(id).vector(vector(id)).with("text", words(id, 8));
    notes.upsert((0..POINTS).map(point).collect()).expect("written");
    notes
}

fn text(id: u64) -> String {
    format!("{} {id}", words(id * 3 + 1, 3))
}

fn question(id: u64) -> Value {
    json!({"question": text(id), "vector": vector(id), "expected": [{"id": id}]})
}

fn questions(count: u64) -> Vec<Value> {
    (0..count).map(question).collect()
}

fn hybrid(collection: &Collection, id: u64) -> Request {
    collection.query().nearest(vector(id)).keyword(text(id)).limit(3).request()
}

fn told(server: &Running) -> Value {
    server.ask("GET", "/api/v1/collections/notes", None).body["result"]["hybrid_weights"].clone()
}

/// The first line of a plan, and the first hit, of a question over HTTP.
fn asked(server: &Running, fusion: &Value) -> (String, Value) {
    let legs =
        [json!(vector(7)), json!({"keyword": text(7)})].map(|query| json!({"query": query, "limit": 100}));
    let body = json!({"prefetch": legs, "query": fusion, "limit": 1, "explain": true});
    let answer = server.ask("POST", "/collections/notes/points/query", Some(&body));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let result = &answer.body["result"];
    let text = result["plan"]["text"].as_str().unwrap_or_default();
    (text.lines().next().unwrap_or_default().to_owned(), result["points"][0]["id"].clone())
}

#[test]
fn weights_are_learned_kept_through_a_restart_shown_and_taken_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = Database::open(folder.path()).expect("a database");
    notes(&db);
    let server = Running::over(db);
    assert_eq!(told(&server), Value::Null);
    let kept = json!({"questions": questions(POINTS)});
    let at = "/api/v1/collections/notes/eval/questions";
    assert_eq!(server.ask("PUT", at, Some(&kept)).body["result"], POINTS);
    let learned = server.ask("POST", AT, Some(&json!({}))).body["result"].clone();
    assert_eq!((&learned["is_adopted"], &learned["questions"]), (&json!(true), &json!(POINTS)), "{learned}");
    let figure = |name: &str| learned[name].as_f64().expect(name);
    assert!(figure("learned") > figure("default") && figure("p") < 0.05, "{learned}");
    assert!(figure("vector") > figure("keyword"), "{learned}");
    let weights = told(&server);
    assert_eq!((&weights, weights["words_least"].as_f64()), (&learned["hybrid_weights"], Some(0.0)));

    let adaptive = json!({"fusion": "adaptive"});
    let (plan, best) = asked(&server, &adaptive);
    assert!(plan.contains("(words 0.00 to ") && best == 7, "{plan}: {best}");
    let own = asked(&server, &json!({"adaptive": {}})).0;
    assert!(own.contains("(words 0.30 to 1.00)"), "{own}");
    assert_eq!(asked(&server, &json!({"fusion": "dbsf"})).0, "fuse by distribution of scores, 1 hits");
    drop(server);

    let db = Database::open(folder.path()).expect("the database again");
    let notes = db.collection("notes").expect("the collection");
    let plan = notes.explain(hybrid(&notes, 7)).expect("a plan").to_text();
    assert!(plan.contains("(words 0.00 to "), "{plan}");
    let (hits, _) = notes.search(hybrid(&notes, 7), &Default::default()).expect("hits");
    assert_eq!(hits[0].id, PointId::Num(7));
    let server = Running::over(db);
    assert_eq!(told(&server), weights);
    let change =
        |body: Value| server.ask("PATCH", "/collections/notes", Some(&json!({"hybrid_weights": body})));
    assert_eq!(change(json!({"words_least": 0.2, "words_most": 0.4})).status, 200);
    assert_eq!(told(&server), json!({"words_least": 0.2, "words_most": 0.4}));
    let refused = change(json!({"words_least": 0.9}));
    assert_eq!((refused.status, refused.field.as_deref()), (400, Some("hybrid_weights.words_least")));
    assert_eq!(told(&server), json!({"words_least": 0.2, "words_most": 0.4}));
    assert_eq!(change(json!({})).status, 200);
    assert_eq!(told(&server), Value::Null);
    assert_eq!(asked(&server, &adaptive).0, "fuse by relative score, weights by the query, 1 hits");
}

#[test]
fn what_cannot_be_learned_from_is_refused_by_name_and_changes_nothing() {
    let db = Database::in_memory().expect("a database");
    let notes = notes(&db);
    let set = HybridWeights { words_least: 0.1, words_most: 0.9 };
    let keep = move |schema: &mut Schema| {
        schema.hybrid = Some(set);
        Ok(())
    };
    notes.configure(keep).expect("configured");
    let plain = Schema::new().vector(2, Metric::Cosine);
    db.create_collection("plain", plain).expect("a collection");
    let server = Running::over(db);
    let wordless: Vec<Value> =
        (0..40).map(|id| json!({"question": text(id), "expected": [{"id": id}]})).collect();
    let wide: Vec<Value> = (0..40)
        .map(|id| json!({"question": text(id), "expected": [{"id": id}], "vector": [1.0, 0.0, 0.0]}))
        .collect();
    let unanswerable: Vec<Value> =
        (0..40).map(|id| json!({"question": text(id), "vector": vector(id), "expected": []})).collect();
    for (body, field) in [
        (json!({}), "questions"),
        (json!({"questions": questions(29)}), "questions"),
        (json!({"questions": unanswerable}), "questions"),
        (json!({"questions": wide}), "questions"),
        (json!({"questions": [{"question": ""}]}), "questions[0].question"),
        (json!({"questions": wordless}), "model"),
        (json!({"questions": questions(40), "using": "image"}), "using"),
        (json!({"questions": questions(40), "filter": "n ="}), "filter"),
        (json!({"k": 10}), "k"),
    ] {
        let answer = server.ask("POST", AT, Some(&body));
        assert_eq!((answer.status, answer.field.as_deref()), (400, Some(field)), "{answer:?}");
    }
    let body = json!({"questions": questions(40)});
    let answer = server.ask("POST", "/api/v1/collections/plain/eval/learn", Some(&body));
    assert_eq!((answer.status, answer.field.as_deref()), (400, Some("keyword")), "{answer:?}");
    assert_eq!(notes.schema().hybrid, Some(set));
}

/// What was said of answers teaches beside the questions, and never in the place of one.
#[test]
fn what_was_said_of_answers_is_learned_from_where_that_is_asked_for() {
    let db = Database::in_memory().expect("a database");
    notes(&db);
    let server = Running::with(db, ServeOptions { feedback_max: Some(9), ..ServeOptions::default() });
    let say = |nth: u64, question: &str| {
        let id = format!("chatcmpl-{nth:016x}{:016x}", 7);
        let said = json!({"id": id, "helpful": true, "question": question, "expected": [{"id": 0}]});
        let answer = server.ask("POST", "/api/v1/collections/notes/feedback", Some(&said));
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    let learn = |more: Value| {
        let mut body = json!({"questions": questions(40)});
        body["feedback"] = more;
        server.ask("POST", AT, Some(&body))
    };
    let without = learn(json!(false)).body["result"].clone();
    assert_eq!(without["questions"], 40);
    // The question is there, with another answer: that counts.
    say(1, &text(3));
    assert_eq!(learn(json!(true)).body["result"], without);
    say(2, "What is new?");
    let refused = learn(json!(true));
    assert_eq!((refused.status, refused.field.as_deref()), (400, Some("model")), "{refused:?}");
    assert!(refused.body.to_string().contains("What is new?"), "{refused:?}");
    assert_eq!(learn(json!(false)).body["result"], without);
    let refused = learn(json!("yes"));
    assert_eq!(refused.status, 400, "{refused:?}");
}

/// The crate's door: the same questions, in any order, teach the same; those that a filter leaves nothing of, nothing.
#[test]
fn the_crate_learns_alike_whatever_the_order_and_keeps_what_was_set_where_nothing_is_gained() {
    let db = Database::in_memory().expect("a database");
    let notes = notes(&db);
    let expected = |id: u64| Expected { path: None, id: Some(id.into()), range: None, grade: 1.0 };
    let question = |id: u64| Question {
        vector: Some(vector(id)),
        expected: vec![expected(id)],
        ..Question::read(json!({"question": text(id)})).expect("a question")
    };
    let mut questions: Vec<Question> = (0..POINTS).map(question).collect();
    let nothing = Lesson { filter: "text = 'nowhere'".parse().expect("a filter"), ..Lesson::default() };
    let learned = eval::learn(&notes, None, &questions, &nothing).expect("learned");
    assert_eq!((learned.is_adopted, learned.learned, learned.p), (false, 0.0, 1.0));
    assert_eq!(notes.schema().hybrid, None);
    let first = eval::learn(&notes, None, &questions, &Lesson::default()).expect("learned");
    questions.reverse();
    questions.push(question(3));
    assert_eq!(eval::learn(&notes, None, &questions, &Lesson::default()).expect("learned"), first);
    assert_eq!((first.is_adopted, notes.schema().hybrid), (true, Some(first.weights)));
    let own = Query::Fuse(kithdb::Fusion::rrf(60.0));
    let plan = notes.explain(Request { query: own, ..hybrid(&notes, 1) }).expect("a plan").to_text();
    assert!(plan.starts_with("fuse by reciprocal rank, 3 hits"), "{plan}");
}
