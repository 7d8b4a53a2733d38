//! Sparse vectors that the server makes of texts, as the dialect has them: the same in whatever form points come and
//! questions are asked, and errors at their place.

use kithdb::{Database, Value};
use serde_json::json;

use crate::http::Running;

/// Those of Qdrant's own test (`tests/openapi/test_bm25.py`).
const TEXTS: [&str; 19] = [
    "I must not fear. Fear is the mind-killer.",
    "All animals are equal, but some animals are more equal than others.",
    "It was a pleasure to burn.",
    "The sky above the port was the color of television, tuned to a dead channel.",
    "In the beginning, the universe was created. This has made a lot of people very angry and been widely regarded as \
     a bad move.",
    "It's a truth universally acknowledged that a zombie in possession of brains must be in want of more brains.",
    "War is peace. Freedom is slavery. Ignorance is strength.",
    "We're not in Infinity; we're in the suburbs.",
    "I was a thousand times more evil than thou!",
    "History is merely a list of surprises... It can only prepare us to be surprised yet again.",
    "The a an and or but",
    "A an the",
    "I am you are he she it we they",
    "Is are was were",
    "Do does did",
    "Have has had",
    "Can could",
    "I am is not the you are",
    "I is not the you are",
];

fn running() -> Running {
    let running = Running::over(Database::in_memory().expect("a database"));
    let body = json!({"sparse_vectors": {"text": {}}, "vectors": {"dense": {"size": 1, "distance": "Dot"}}});
    assert_eq!(running.ask("PUT", "/collections/c", Some(&body)).status, 200);
    running
}

fn done(running: &Running, method: &str, path: &str, body: &Value) -> Value {
    let answer = running.ask(method, &format!("/collections/c/points{path}"), Some(body));
    assert_eq!(answer.status, 200, "{body}: {answer:?}");
    answer.body["result"].clone()
}

/// The ids that a question finds, the best first.
fn found(running: &Running, body: &Value) -> Vec<u64> {
    let hits = done(running, "POST", "/query", body)["points"].clone();
    hits.as_array().expect("hits").iter().map(|hit| hit["id"].as_u64().expect("a number")).collect()
}

#[test]
fn questions_find_the_texts_that_they_find_there() {
    let running = running();
    let point = |(id, text): (usize, &str)| json!({"id": id, "vector": {"text": {"model": "qdrant/bm25", "text": text}}, "payload": {"text": text}});
    let points: Vec<Value> = TEXTS.into_iter().enumerate().map(point).collect();
    done(&running, "PUT", "", &json!({"points": points}));
    for (text, id) in [("I should not fear", 0), ("It's universally acknowledged", 5), ("brain", 5)] {
        let alone = json!({"text": text, "model": "Qdrant/BM25"});
        for query in [alone.clone(), json!({"nearest": alone})] {
            let body = json!({"query": query, "using": "text", "limit": 2});
            assert_eq!(found(&running, &body), [id], "{body}");
        }
    }
    let nothing = json!({"query": {"text": "I am the", "model": "bm25"}, "using": "text"});
    assert_eq!(found(&running, &nothing), [0; 0]);
    // As a leg, as an example, as a pair.
    let text = |text: &str| json!({"text": text, "model": "bm25"});
    let leg = json!({"prefetch": {"query": text("animals"), "using": "text"}, "query": {"fusion": "rrf"}});
    assert_eq!(found(&running, &leg), [1]);
    let like = json!({"query": {"recommend": {"positive": [text("fears")]}}, "using": "text", "limit": 1});
    assert_eq!(found(&running, &like), [0]);
    let target =
        json!({"target": text("peace"), "context": [{"positive": text("war"), "negative": text("port")}]});
    let discover = json!({"query": {"discover": target}, "using": "text", "limit": 1});
    assert_eq!(found(&running, &discover), [6]);
}

/// `red` is 347068675, `fox` 1621867415 (MurmurHash3), of three words: 2 · 2.2 / (2 + 1.2 · (0.25 + 0.75 · 3 / 256)).
#[test]
fn a_text_is_the_same_vector_in_whatever_form_it_comes() {
    let running = running();
    let text = |options: Value| json!({"text": "The red fox is red", "model": "bm25", "options": options});
    let plain = text(json!({}));
    done(&running, "PUT", "", &json!({"points": [{"id": 1, "vector": {"text": plain, "dense": [1]}}]}));
    done(&running, "PUT", "", &json!({"batch": {"ids": [2], "vectors": {"text": [plain]}}}));
    done(
        &running,
        "PUT",
        "",
        &json!({"points": [{"id": 3, "vector": {"dense": [1]}}, {"id": 4, "vector": {}}]}),
    );
    done(&running, "PUT", "/vectors", &json!({"points": [{"id": 3, "vector": {"text": plain}}]}));
    let operations = json!([{"upsert": {"points": [{"id": 4, "vector": {"text": text(Value::Null)}}]}}]);
    done(&running, "POST", "/batch", &json!({"operations": operations}));
    let stored = |id: u64| {
        let told = done(&running, "POST", "", &json!({"ids": [id], "with_vector": ["text"]}));
        told[0]["vector"]["text"].clone()
    };
    for id in 1..=4 {
        let vector = stored(id);
        assert_eq!(vector["indices"], json!([347_068_675, 1_621_867_415]), "{id}");
        let values = vector["values"].as_array().expect("weights");
        for (value, expected) in values.iter().zip([1.904_311_1, 1.678_688_5]) {
            assert!((value.as_f64().expect("a number") - expected).abs() < 1e-6, "{id}: {vector}");
        }
    }
    let bare = text(json!({"b": 0, "k": 2, "language": "none", "max_token_len": 2}));
    done(&running, "PUT", "/vectors", &json!({"points": [{"id": 4, "vector": {"text": bare}}]}));
    assert_eq!(stored(4)["values"], json!([1.0]), "of `is` alone");
    // The score is the dot product with a weight of 1 for each word of the question, however often it is there.
    let asked = json!({"query": {"text": "fox fox foxes", "model": "bm25"}, "using": "text", "limit": 1});
    let score = done(&running, "POST", "/query", &asked)["points"][0]["score"].as_f64().expect("a score");
    assert!((score - 1.678_688_5).abs() < 1e-6, "{score}");
}

#[test]
fn what_cannot_be_made_is_refused_at_its_place_and_changes_nothing() {
    let running = running();
    for (vector, place, says) in [
        (json!({"text": {"text": "x", "model": "openai/clip"}}), ".text.model", "qdrant/bm25"),
        (json!({"text": {"image": "x", "model": "openai/clip"}}), ".text.model", "there is no model"),
        (json!({"text": {"image": "x", "model": "bm25"}}), ".text", "`model`"),
        (json!({"text": {"object": {}, "model": "bm25"}}), ".text", "`model`"),
        (json!({"text": {"text": "x"}}), ".text", "`model`"),
        (json!({"text": {"model": "bm25"}}), ".text", "`text`"),
        (json!({"text": {"text": 1, "model": "bm25"}}), ".text.text", "a string"),
        (json!({"text": {"text": "x", "model": "bm25", "indices": [1]}}), ".text", "`indices`"),
        (json!({"text": {"text": "x", "model": "bm25", "options": {"k": -1}}}), ".text.options.k", "`k`"),
        (
            json!({"text": {"text": "x", "model": "bm25", "options": {"k1": 1}}}),
            ".text.options.k1",
            "avg_len",
        ),
        (
            json!({"text": {"text": "x", "model": "bm25", "options": {"language": "klingon"}}}),
            ".text.options.language",
            "english",
        ),
        (json!({"text": {"text": "x", "model": "bm25", "options": 1}}), ".text.options", "bm25"),
        (json!({"dense": {"text": "x", "model": "bm25"}}), ".dense", "dense"),
        (json!({"text": "x", "model": "bm25"}), ".text", "`model`"),
    ] {
        let body = json!({"points": [{"id": 1, "vector": vector}]});
        let answer = running.ask("PUT", "/collections/c/points", Some(&body));
        let field = answer.field.clone().unwrap_or_default();
        assert_eq!(
            (answer.status, field.as_str()),
            (400, format!("points[0].vector{place}").as_str()),
            "{answer:?}"
        );
        assert!(answer.body.to_string().contains(says), "{says}: {answer:?}");
    }
    for (query, place) in [
        (json!({"text": "x", "model": "openai/clip"}), "query.model"),
        (json!({"nearest": {"text": "x", "model": "openai/clip"}}), "query.nearest.model"),
        (
            json!({"recommend": {"positive": [{"text": "x", "model": "bm25", "options": {"b": 2}}]}}),
            "query.recommend.positive[0].options.b",
        ),
        (json!({"text": "x"}), "query"),
        (json!({"text": "x", "model": "bm25", "fusion": "rrf"}), "query"),
    ] {
        let answer = running.ask(
            "POST",
            "/collections/c/points/query",
            Some(&json!({"query": query, "using": "text"})),
        );
        assert_eq!((answer.status, answer.field.as_deref()), (400, Some(place)), "{answer:?}");
    }
    assert_eq!(done(&running, "POST", "/count", &json!({}))["count"], 0);
}
