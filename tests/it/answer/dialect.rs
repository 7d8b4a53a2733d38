//! What the dialect of OpenAI says of its operations beyond their shapes: each test is a promise of its reference that
//! was not kept once.

use kithdb::Error;
use rag::Shelf;
use serde_json::json;

use super::Site;

const TOWER: &str = "The tower stands in Paris.";

/// It went on being found and quoted.
#[test]
fn a_file_that_is_deleted_is_in_no_store_any_more() {
    let site = Site::new(None);
    let first = site.store(&[("tower.md", TOWER, json!({})), ("moon.md", "The moon is far.", json!({}))]);
    let files = site.get(&format!("/v1/vector_stores/{first}/files")).body["data"].clone();
    let mut ids = files.as_array().expect("files").iter().filter_map(|file| file["id"].as_str());
    let is_tower = |id: &&str| site.get(&format!("/v1/files/{id}")).body["filename"] == "tower.md";
    let tower = ids.find(is_tower).expect("the tower");
    let second = site.post("/v1/vector_stores", &json!({"file_ids": [tower]})).body["id"].clone();
    let second = second.as_str().expect("an id");
    let search = |store: &str| site.found(store, &json!({"query": "the tower in Paris"}));
    assert_eq!((search(second), search(&first).len()), (vec!["tower.md".to_owned()], 1));
    // Who may not write to one of the stores deletes nothing.
    let shelf = Shelf { db: &site.db, embedder: None };
    let check = |store: &str| match store == second {
        true => Err(Error::invalid("store", "is not theirs")),
        false => Ok(()),
    };
    assert_eq!(shelf.delete_file(tower, check).expect_err("refused").field(), Some("store"));
    assert_eq!((search(&first).len(), shelf.file(tower).is_ok()), (1, true));
    let path = format!("/v1/files/{tower}");
    assert_eq!(site.server.ask("DELETE", &path, None).body["deleted"], true);
    assert_eq!(site.server.ask("DELETE", &path, None).status, 404);
    for (store, left) in [(first.as_str(), 1), (second, 0)] {
        let at = format!("/v1/vector_stores/{store}");
        assert_eq!(search(store), Vec::<String>::new());
        assert_eq!(site.get(&format!("{at}/files/{tower}")).status, 404);
        assert_eq!(site.get(&at).body["file_counts"]["total"], left);
    }
}

/// It named a leg of the search that was made of it.
#[test]
fn a_question_that_is_too_long_is_told_by_its_field() {
    let site = Site::new(None);
    let long = "tower ".repeat(6_000);
    let store = "/v1/vector_stores/documents/search";
    for (answer, field) in [
        (site.ask(&long, &json!({})), "messages"),
        (site.ask(&long, &json!({"stream": true})), "messages"),
        (site.post("/v1/responses", &json!({"model": "rag:documents", "input": long})), "input"),
        (site.post(store, &json!({"query": long})), "query"),
    ] {
        assert_eq!((answer.status, answer.field.as_deref()), (400, Some(field)), "{answer:?}");
    }
}

/// It was looked for together with all of what was pasted before it, which no search takes.
#[test]
fn a_short_question_behind_a_long_text_is_answered() {
    let site = Site::new(None);
    let text = format!("{} The Golden Gate bridge.", "Line of a log. ".repeat(3_000));
    let turns = json!([
        {"role": "user", "content": text}, {"role": "assistant", "content": "I see."},
        {"role": "user", "content": "And its colour?"},
    ]);
    let answer = site.ask("", &json!({"messages": turns}));
    assert_eq!(answer.body["rag"]["outcome"], "extractive", "{answer:?}");
    assert_eq!(answer.body["rag"]["documents"][0]["path"], "bridges/golden.md");
}

/// It came whole, and clients that wait for events saw none.
#[test]
fn a_kept_response_that_is_asked_for_as_a_stream_is_refused() {
    let site = Site::new(None);
    let question = json!({"model": "rag:documents", "input": "Where does the Eiffel tower stand?"});
    let asked = site.post("/v1/responses", &question);
    let path = format!("/v1/responses/{}", asked.body["id"].as_str().expect("an id"));
    let streamed = site.get(&format!("{path}?stream=true&starting_after=3"));
    assert_eq!((streamed.status, streamed.field.as_deref()), (400, Some("stream")));
    assert_eq!(site.get(&format!("{path}?stream=false&include[]=x")).body, asked.body);
}

#[test]
fn files_are_uploaded_for_what_clients_know() {
    let site = Site::new(None);
    for (purpose, status) in [("assistants", 200), ("user_data", 200), ("evals", 200), ("fun", 400)] {
        let form = format!(
            "--b\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\n{purpose}\r\n--b\r\n\
             content-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nx\r\n--b--\r\n"
        );
        let kind = "multipart/form-data; boundary=b";
        let answer = site.server.send_as("POST", "/v1/files", kind, form.as_bytes());
        assert_eq!(answer.status, status, "{purpose}: {answer:?}");
    }
}

/// A misspelt one listed nothing.
#[test]
fn files_are_listed_by_a_status_that_there_is() {
    let site = Site::new(None);
    let store = site.store(&[("tower.md", TOWER, json!({}))]);
    for (filter, files) in [("completed", Some(1)), ("in_progress", Some(0)), ("complete", None)] {
        let listed = site.get(&format!("/v1/vector_stores/{store}/files?filter={filter}"));
        assert_eq!(listed.body["data"].as_array().map(Vec::len), files, "{listed:?}");
        assert_eq!(listed.field.as_deref(), files.is_none().then_some("filter"), "{listed:?}");
    }
}

/// It was counted twice, and who paged through the batch came to it again and again.
#[test]
fn a_file_that_is_named_twice_is_once_in_its_batch() {
    let site = Site::new(None);
    let (store, ids) = (site.store(&[]), ["a.md", "b.md"].map(|name| site.uploaded(name, TOWER)));
    let files = json!([
        {"file_id": ids[0], "attributes": {"nth": 1}}, {"file_id": ids[0], "attributes": {"nth": 2}},
        {"file_id": ids[1]},
    ]);
    let at = format!("/v1/vector_stores/{store}");
    let batch = site.post(&format!("{at}/file_batches"), &json!({"files": files})).body;
    assert_eq!(batch["file_counts"]["total"], 2, "{batch}");
    let path = format!("{at}/file_batches/{}/files?order=asc&limit=1", batch["id"].as_str().expect("an id"));
    let first = site.get(&path).body;
    let second = site.get(&format!("{path}&after={}", ids[0])).body;
    let seen = [&first, &second].map(|page| (&page["data"][0]["id"], &page["has_more"]));
    assert_eq!(seen, [(&json!(ids[0]), &json!(true)), (&json!(ids[1]), &json!(false))]);
    assert_eq!(first["data"][0]["attributes"], json!({"nth": 2}));
}
