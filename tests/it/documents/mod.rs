//! Documents: uploaded over HTTP, and ingested whatever ends the process meanwhile.

mod kill;
mod moved;
mod pdf;

use kithdb::{Database, Value};
use rag::jobs;
use serde_json::json;

use crate::http::{Answer, Running};

const AT: &str = "/api/v1/collections/docs/documents";

fn upload(server: &Running, body: &Value) -> Answer {
    server.ask("POST", &format!("{AT}?wait=true"), Some(body))
}

fn documents(server: &Running) -> Vec<Value> {
    let answer = server.ask("GET", AT, None);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["result"]["documents"].as_array().expect("a list").clone()
}

fn find(server: &Running, words: &str, filter: &Value) -> Vec<Value> {
    let body = json!({"query": {"keyword": words}, "with_payload": true, "filter": filter});
    let answer = server.ask("POST", "/collections/docs/points/query", Some(&body));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["result"]["points"].as_array().expect("hits").clone()
}

#[test]
fn an_upload_is_found_replaced_and_removed() {
    let server = Running::over(Database::in_memory().expect("a database"));
    let body = json!({"metadata": {"author": "A. Writer", "labels": ["staff"]}, "documents": [
        {"path": "guide.md", "text": "---\ntime: 2024-01-31\n---\n# Guide\n\nThe badger digs tunnels."},
        {"path": "table.csv", "text": "animal,legs\nbadger,4\nspider,8\n"},
        {"path": "page.html", "content": "PGgxPk90dGVyPC9oMT48cD5Td2ltcy4=", "metadata": {"labels": ["public"]}},
        {"path": "bad.jsonl", "text": "{"},
    ]});
    let answer = upload(&server, &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    let job = &answer.body["result"];
    assert_eq!(
        (&job["state"], &job["added"], &job["documents"]),
        (&json!("done"), &json!(3), &json!(4)),
        "{job}"
    );
    assert_eq!(job["skipped"][0]["path"], "bad.jsonl");
    let again = server.ask("GET", &format!("/api/v1/jobs/{}", job["id"].as_str().expect("an id")), None);
    assert_eq!(again.body["result"], *job);

    let hits =
        find(&server, "badger tunnels", &json!({"must": [{"key": "labels", "match": {"value": "staff"}}]}));
    let guide = &hits[0]["payload"];
    assert_eq!(
        (&guide["path"], &guide["heading"], &guide["author"]),
        (&json!("guide.md"), &json!("Guide"), &json!("A. Writer"))
    );
    assert_eq!(guide["time"], "2024-01-31T00:00:00Z");
    assert!(
        find(&server, "otter", &json!({"must": [{"key": "labels", "match": {"value": "staff"}}]})).is_empty()
    );
    let spider = &find(&server, "spider", &json!({}))[0]["payload"];
    assert_eq!((&spider["record"], &spider["fields"]), (&json!(1), &json!({"animal": "spider", "legs": 8})));

    let source = format!("{AT}/{}", guide["source"].as_str().expect("an id"));
    let document = server.ask("GET", &source, None).body["result"].clone();
    let text = document["text"].as_str().expect("text");
    let place = |key: &str| guide[key].as_u64().expect(key) as usize;
    assert_eq!(&text[place("start")..place("end")], guide["text"]);
    assert_eq!((&document["hash"], &document["revision"]), (&guide["hash"], &json!(1)));

    let change = json!({"documents": [{"path": "guide.md", "text": "# Guide\n\nThe badger sleeps."}]});
    let job = upload(&server, &change).body["result"].clone();
    assert_eq!((&job["changed"], &job["added"]), (&json!(1), &json!(0)), "{job}");
    assert!(find(&server, "tunnels", &json!({})).is_empty());
    assert_eq!(server.ask("GET", &source, None).body["result"]["revision"], 2);
    assert_eq!(upload(&server, &change).body["result"]["unchanged"], 1);

    assert_eq!(server.ask("DELETE", &source, None).status, 200);
    assert_eq!(server.ask("DELETE", &source, None).status, 404);
    assert!(
        find(&server, "badger sleeps", &json!({})).iter().all(|hit| hit["payload"]["path"] != "guide.md")
    );
    assert_eq!(documents(&server).len(), 2);
}

/// By the name of the collection alone, as clients of the dialect do it, while a job has most documents before it.
#[test]
fn what_waits_for_a_collection_that_was_dropped_comes_into_no_other_of_its_name() {
    let server = Running::over(Database::in_memory().expect("a database"));
    let badger = |nth: usize| json!({"path": format!("{nth}.md"), "text": format!("Badger {nth}.")});
    let body = json!({"documents": (0..600).map(badger).collect::<Vec<_>>()});
    let answer = server.ask("POST", AT, Some(&body));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(server.ask("DELETE", "/collections/docs", None).status, 200);
    let made = server.ask("PUT", "/collections/docs", Some(&json!({"vectors": {}})));
    // The job may have begun at that moment: it makes no collection.
    assert_eq!(made.status, 200, "{made:?}");
    let job = upload(&server, &json!({"documents": [{"path": "1.md", "text": "Badger 1."}]}));
    assert_eq!(job.body["result"]["state"], "done", "{job:?}");
    let count = server.ask("POST", "/collections/docs/points/count", Some(&json!({"exact": true})));
    assert_eq!(count.body["result"]["count"], 1, "{count:?}");
}

#[test]
fn what_waits_for_a_collection_that_was_dropped_does_not_come_into_one_that_is_imported() {
    let db = Database::in_memory().expect("a database");
    let waits = jobs::Upload { path: "1.md".into(), bytes: b"Badger 1.".to_vec(), ..jobs::Upload::default() };
    jobs::submit(&db, "docs", &jobs::Order::default(), vec![waits], None).expect("a job");
    assert!(db.drop_collection("docs").expect("a drop"));
    let server = Running::over(db);
    let path = "/api/v1/collections/docs/import?id=n";
    let answer = server.send_as("POST", path, "application/x-ndjson", b"{\"n\": 1, \"text\": \"Otter.\"}\n");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(server.ask("GET", "/collections/docs.jobs", None).status, 404);
    let count = server.ask("POST", "/collections/docs/points/count", Some(&json!({"exact": true})));
    assert_eq!(count.body["result"]["count"], 1, "{count:?}");
}

#[test]
fn a_mirror_removes_what_is_no_longer_there_in_its_set_alone() {
    let server = Running::over(Database::in_memory().expect("a database"));
    let put = |set: &str, names: &[&str], mirror: bool| {
        let text = |name: &&str| json!({"path": name, "text": format!("The text of {name} in {set}.")});
        let documents: Vec<Value> = names.iter().map(text).collect();
        let answer = upload(&server, &json!({"set": set, "mirror": mirror, "documents": documents}));
        answer.body["result"].clone()
    };
    put("one", &["a.md", "b.md"], false);
    put("two", &["a.md"], false);
    put("one", &["c.md"], false);
    assert_eq!(documents(&server).len(), 4);
    let job = put("one", &["b.md"], true);
    assert_eq!((&job["removed"], &job["unchanged"]), (&json!(2), &json!(1)), "{job}");
    let left: Vec<(String, String)> = documents(&server)
        .iter()
        .map(|document| (document["root"].to_string(), document["path"].to_string()))
        .collect();
    assert_eq!(left.len(), 2);
    let of_two = server.ask("GET", &format!("{AT}?set=two"), None).body["result"]["documents"].clone();
    assert_eq!(of_two.as_array().map(Vec::len), Some(1));
}

#[test]
fn documents_that_say_the_same_are_told_of() {
    let server = Running::over(Database::in_memory().expect("a database"));
    let words: Vec<String> = (0..200).map(|n| format!("word{}", n * 7919 % 1000)).collect();
    let text = words.join(" ");
    let near = words[..195].join(" ") + " and some other words";
    let far = words.iter().rev().cloned().collect::<Vec<_>>().join(" ");
    upload(&server, &json!({"documents": [{"path": "one.txt", "text": text}]}));
    let body = json!({"documents": [
        {"path": "same.txt", "text": text}, {"path": "near.txt", "text": near}, {"path": "far.txt", "text": far},
        {"path": "far2.txt", "text": far},
    ]});
    let found = upload(&server, &body).body["result"]["duplicates"].clone();
    let of = |at: usize| (found[at]["path"].clone(), found[at]["of"].clone());
    assert_eq!(of(0), (json!("same.txt"), json!("one.txt")));
    assert_eq!(of(1).0, "near.txt");
    assert_eq!(of(2), (json!("far2.txt"), json!("far.txt")), "also of the same upload");
    assert_eq!(found.as_array().map(Vec::len), Some(3));
    assert!(found[1]["similarity"].as_f64().expect("a number") < 1.0);
}

#[test]
fn a_wrong_upload_is_a_4xx_that_names_the_field_and_keeps_nothing() {
    let server = Running::over(Database::in_memory().expect("a database"));
    let document = |document: Value| json!({"documents": [{"path": "a.md", "text": "A"}, document]});
    let cases = [
        (json!({"documents": [{"path": "a.md", "text": "A"}], "chunk_size": 3}), "chunk_size"),
        (json!({"documents": [], "chunk_size": 100, "chunk_overlap": 60}), "chunk_overlap"),
        (json!({"documents": [], "set": ""}), "set"),
        (json!({"documents": [], "folder_field": "source"}), "folder_field"),
        (document(json!({"path": "", "text": "B"})), "documents[1].path"),
        (document(json!({"path": "b.png", "text": "B"})), "documents[1].path"),
        (document(json!({"path": "b\n.md", "text": "B"})), "documents[1].path"),
        (
            document(json!({"path": "b.md", "text": "B", "metadata": {"time": "soon"}})),
            "documents[1].metadata.time",
        ),
        (
            document(json!({"path": "b.md", "text": "B", "metadata": {"attributes": {"a": {}}}})),
            "documents[1].metadata.attributes.a",
        ),
        (document(json!({"path": "b.md"})), "documents[1].text"),
        (document(json!({"path": "b.md", "text": "B", "more": 1})), "documents[1].more"),
    ];
    for (body, field) in cases {
        let answer = upload(&server, &body);
        assert!((400..500).contains(&answer.status), "{body}: {answer:?}");
        assert_eq!(answer.field.as_deref(), Some(field), "{body}");
    }
    assert_eq!(server.ask("GET", "/collections/docs", None).status, 404, "nothing was made");
    for path in
        [AT, "/api/v1/jobs/7", "/api/v1/collections/docs/jobs", "/api/v1/collections/docs/eval/questions"]
    {
        assert_eq!(server.ask("GET", path, None).status, 404, "{path}");
    }
    assert_eq!(server.ask("GET", "/api/v1/jobs/x", None).field.as_deref(), Some("job"));
}

#[test]
fn questions_are_kept_and_two_configurations_compared() {
    let server = Running::over(Database::in_memory().expect("a database"));
    let texts = ["The badger digs tunnels.", "The otter swims rivers.", "The spider weaves webs."];
    let document = |(nth, text): (usize, &&str)| json!({"path": format!("{nth}.md"), "text": text});
    let documents: Vec<Value> = texts.iter().enumerate().map(document).collect();
    upload(&server, &json!({"documents": documents}));
    let at = "/api/v1/collections/docs/eval";
    let questions = json!({"questions": [
        {"question": "Who digs tunnels?", "expected": [{"path": "0.md", "start": 0, "end": 24}]},
        {"question": "Who swims in rivers?", "expected": [{"path": "1.md"}]},
        {"question": "Who flies?", "expected": []},
    ]});
    assert_eq!(server.ask("PUT", &format!("{at}/questions"), Some(&questions)).body["result"], 3);
    let body = json!({"a": {"mode": "keyword", "limit": 1}, "b": {"mode": "keyword", "filter": "path = '2.md'"},
                      "with_questions": true});
    let report = server.ask("POST", at, Some(&body)).body["result"].clone();
    let runs = &report["runs"];
    assert_eq!(
        (&runs[0]["mean"]["recall"], &runs[1]["mean"]["recall"]),
        (&json!(1.0), &json!(0.0)),
        "{report}"
    );
    assert_eq!((&runs[0]["questions"], &runs[0]["unanswerable"]), (&json!(2), &json!(1)));
    assert_eq!(
        (&report["comparison"][0]["measure"], &report["comparison"][0]["losses"]),
        (&json!("recall"), &json!(2))
    );
    for (body, field) in [
        (json!({"a": {"mode": "magic"}}), "a.mode"),
        (json!({"b": {"limit": 0}}), "b.limit"),
        (json!({"b": {"filter": "path ="}}), "b.filter"),
    ] {
        let answer = server.ask("POST", at, Some(&body));
        assert_eq!((answer.status, answer.field.as_deref()), (400, Some(field)), "{answer:?}");
    }
    let wrong = json!({"questions": [{"question": "q", "expected": [{"start": 1, "end": 2}]}]});
    let answer = server.ask("PUT", &format!("{at}/questions"), Some(&wrong));
    assert_eq!(answer.field.as_deref(), Some("questions[0].expected[0].path"));
    assert_eq!(server.ask("DELETE", &format!("{at}/questions"), None).body["result"], true);
    assert_eq!(server.ask("POST", at, Some(&json!({}))).status, 400);
}
