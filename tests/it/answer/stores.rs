//! Files, vector stores and responses of the dialect of OpenAI. `tests/acceptance/openai_sdk.py` has the client's
//! view of the shapes; here is what must hold of them.

use kithdb::{AliasChange, Database, Value};
use rag::Shelf;
use rag::shelf::Wanted;
use serde_json::json;

use super::{Act, Fake, Site};
use crate::http::Answer;

const TOWER: &str =
    "# Eiffel tower\n\nThe Eiffel tower stands in Paris. It was built in 1889. It is 330 metres high.\n";

impl Site {
    pub(super) fn post(&self, path: &str, body: &Value) -> Answer {
        self.server.ask("POST", path, Some(body))
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        self.server.ask("GET", path, None)
    }

    fn upload(&self, name: &str, content: &[u8]) -> Answer {
        let head = |rest: &str| format!("--b\r\ncontent-disposition: form-data; {rest}\r\n\r\n");
        let purpose = format!("{}user_data\r\n", head("name=\"purpose\""));
        let file = head(&format!("name=\"file\"; filename=\"{name}\""));
        let form = [purpose.as_bytes(), file.as_bytes(), content, b"\r\n--b--\r\n"].concat();
        self.server.send_as("POST", "/v1/files", "multipart/form-data; boundary=b", &form)
    }

    pub(super) fn uploaded(&self, name: &str, content: &str) -> String {
        let answer = self.upload(name, content.as_bytes());
        answer.body["id"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    }

    /// A store with files, each with attributes.
    pub(super) fn store(&self, files: &[(&str, &str, Value)]) -> String {
        let store = self.post("/v1/vector_stores", &json!({"name": "s"})).body["id"]
            .as_str()
            .expect("an id")
            .to_owned();
        for (name, content, attributes) in files {
            let body = json!({"file_id": self.uploaded(name, content), "attributes": attributes});
            let put = self.post(&format!("/v1/vector_stores/{store}/files"), &body);
            assert_eq!(put.body["status"], "completed", "{put:?}");
        }
        store
    }

    pub(super) fn found(&self, store: &str, body: &Value) -> Vec<String> {
        let answer = self.post(&format!("/v1/vector_stores/{store}/search"), body);
        let hits = answer.body["data"].as_array().unwrap_or_else(|| panic!("{answer:?}"));
        hits.iter().filter_map(|hit| hit["filename"].as_str()).map(str::to_owned).collect()
    }
}

#[test]
fn a_file_comes_back_as_it_went_in() {
    let site = Site::new(None);
    let bytes: Vec<u8> = (0..=255).collect();
    let file = site.upload("../a/name.bin", &bytes);
    assert_eq!(
        (&file.body["filename"], &file.body["bytes"], &file.body["status"]),
        (&json!("name.bin"), &json!(256), &json!("processed"))
    );
    let path = format!("/v1/files/{}", file.body["id"].as_str().expect("an id"));
    assert_eq!(site.server.fetch(&format!("{path}/content")), bytes);
    assert_eq!(site.get(&path).body, file.body);
    assert_eq!(site.get("/v1/files").body["data"], json!([file.body]));
    assert_eq!(site.get("/v1/files?purpose=batch").body["data"], json!([]));
    assert_eq!(site.server.ask("DELETE", &path, None).body["deleted"], true);
    for path in [path.clone(), format!("{path}/content")] {
        assert_eq!(
            (site.get(&path).status, site.get("/v1/files").body["data"].as_array().map(Vec::len)),
            (404, Some(0))
        );
    }
    assert_eq!(site.upload("a.txt", b"").field.as_deref(), Some("file"));
    let no_form = site.post("/v1/files", &json!({}));
    assert_eq!((no_form.status, no_form.field.as_deref()), (400, Some("body")));
    let part = |name: &str, rest: &str| {
        format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"{rest}\r\n\r\nx\r\n")
    };
    let expires = part("expires_after[anchor]", "") + &part("file", "; filename=\"a.txt\"") + "--b--\r\n";
    let kind = "multipart/form-data; boundary=b";
    let expires = site.server.send_as("POST", "/v1/files", kind, expires.as_bytes());
    assert_eq!((expires.status, expires.field.as_deref()), (400, Some("expires_after")));
}

#[test]
fn what_is_put_into_a_store_is_found_by_its_attributes_until_it_goes() {
    let site = Site::new(None);
    let store = site.store(&[
        ("tower.md", TOWER, json!({"kind": "tower", "year": 1889})),
        (
            "bridge.txt",
            "The bridge is 1280 metres high above the tower of the city.",
            json!({"kind": "bridge", "year": 1937.5}),
        ),
    ]);
    let path = format!("/v1/vector_stores/{store}");
    let counts = site.get(&path).body["file_counts"].clone();
    assert_eq!((&counts["completed"], &counts["total"]), (&json!(2), &json!(2)));
    let ask =
        |filters: Value| site.found(&store, &json!({"query": "how high in metres", "filters": filters}));
    let leaf = |kind: &str, key: &str, value: Value| json!({"type": kind, "key": key, "value": value});
    assert_eq!(ask(Value::Null).len(), 2);
    assert_eq!(ask(leaf("eq", "kind", json!("tower"))), ["tower.md"]);
    assert_eq!(ask(leaf("gt", "year", json!(1889))), ["bridge.txt"]);
    assert_eq!(ask(leaf("nin", "kind", json!(["tower"]))), ["bridge.txt"]);
    assert!(ask(json!({"type": "and", "filters": [leaf("eq", "kind", json!("tower")), leaf("gt", "year", json!(1900))]})).is_empty());
    let two =
        site.found(&store, &json!({"query": ["Paris", "the bridge of the city"], "max_num_results": 1}));
    assert_eq!(two.len(), 1);
    assert!(
        site.found(&store, &json!({"query": "Paris", "ranking_options": {"score_threshold": 1.0}})).len()
            <= 1
    );
    let many = site.post(&format!("{path}/search"), &json!({"query": vec!["x"; 33]}));
    assert_eq!((many.status, many.field.as_deref()), (400, Some("query")));
    let files = site.get(&format!("{path}/files?order=asc")).body["data"].clone();
    // Both were made within one second.
    let files = files.as_array().expect("files").iter();
    let mut files = files.map(|file| format!("{path}/files/{}", file["id"].as_str().expect("an id")));
    let tower = files.find(|file| site.get(&format!("{file}/content")).body["data"][0]["text"] == TOWER);
    let tower = tower.expect("the tower's file");
    let moved = site.post(&tower, &json!({"attributes": {"kind": "landmark"}}));
    assert_eq!((&moved.body["attributes"], moved.status), (&json!({"kind": "landmark"}), 200));
    assert_eq!(ask(leaf("eq", "kind", json!("landmark"))), ["tower.md"]);
    assert_eq!(site.server.ask("DELETE", &tower, None).body["object"], "vector_store.file.deleted");
    assert_eq!((ask(Value::Null), site.get(&tower).status), (vec!["bridge.txt".to_owned()], 404));
    assert_eq!(site.get("/v1/files").body["data"].as_array().map(Vec::len), Some(2), "the file itself stays");
    assert_eq!(site.server.ask("DELETE", &path, None).body["deleted"], true);
    assert_eq!(
        (site.get(&path).status, site.post(&format!("{path}/search"), &json!({"query": "x"})).status),
        (404, 404)
    );
}

#[test]
fn files_that_cannot_be_read_are_there_as_failed_and_found_by_nobody() {
    let site = Site::new(None);
    let store = site.store(&[("a.txt", "The tower is high.", json!({}))]);
    let path = format!("/v1/vector_stores/{store}");
    let broken = site.upload("b.txt", b"The tower\0is high.").body["id"].clone();
    let strange = site.upload("c.zip", &[0, 159, 146, 150]).body["id"].clone();
    let batch = site.post(&format!("{path}/file_batches"), &json!({"file_ids": [broken, strange]})).body;
    assert_eq!((&batch["status"], &batch["file_counts"]["failed"]), (&json!("completed"), &json!(2)));
    let failed = site.get(&format!("{path}/files?filter=failed&order=asc")).body["data"].clone();
    let mut codes: Vec<&str> = failed
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|file| file["last_error"]["code"].as_str())
        .collect();
    codes.sort_unstable();
    assert_eq!(codes, ["invalid_file", "unsupported_file"]);
    assert_eq!(site.found(&store, &json!({"query": "tower"})), ["a.txt"]);
    let told = site.get(&path).body;
    let counts = json!({"in_progress": 0, "completed": 1, "failed": 2, "cancelled": 0, "total": 3});
    assert_eq!((&told["file_counts"], &told["usage_bytes"]), (&counts, &json!(18)));
    let id = batch["id"].as_str().expect("an id");
    assert_eq!(site.get(&format!("{path}/file_batches/{id}")).body["file_counts"], batch["file_counts"]);
    assert_eq!(
        site.get(&format!("{path}/file_batches/{id}/files")).body["data"].as_array().map(Vec::len),
        Some(2)
    );
    let missing = site.post(&format!("{path}/file_batches"), &json!({"file_ids": [strange, "file-none"]}));
    assert_eq!(
        (missing.status, site.get(&path).body["file_counts"]["total"].as_u64()),
        (404, Some(3)),
        "nothing was put there"
    );
}

#[test]
fn chunks_are_as_large_as_was_asked_for_and_overlap() {
    let site = Site::new(None);
    let text: String = (0..600).map(|at| format!("tower{at} ")).collect();
    let file = site.uploaded("a.txt", &text);
    let chunking =
        json!({"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50}});
    let store =
        site.post("/v1/vector_stores", &json!({"file_ids": [file], "chunking_strategy": chunking})).body;
    let path = format!("/v1/vector_stores/{}", store["id"].as_str().expect("an id"));
    assert_eq!(site.get(&format!("{path}/files/{file}")).body["chunking_strategy"], chunking);
    // A word stands in two chunks, unless it is the first of its own.
    let found = |word: &str| {
        let hits = site.post(&format!("{path}/search"), &json!({"query": word})).body["data"].clone();
        let texts = hits
            .as_array()
            .expect("hits")
            .iter()
            .map(|hit| hit["content"][0]["text"].as_str().expect("text").to_owned());
        let texts: Vec<String> = texts.collect();
        assert!(texts.iter().all(|text| text.len() <= 408 && text.contains(word)), "{texts:?}");
        texts.len()
    };
    assert_eq!(found("tower301").max(found("tower302")), 2);
    for (sizes, field) in [
        ([99, 0], "max_chunk_size_tokens"),
        ([4_097, 0], "max_chunk_size_tokens"),
        ([100, 51], "chunk_overlap_tokens"),
    ] {
        let chunking = json!({"type": "static", "static": {"max_chunk_size_tokens": sizes[0], "chunk_overlap_tokens": sizes[1]}});
        let refused = site.post("/v1/vector_stores", &json!({"chunking_strategy": chunking}));
        assert_eq!(refused.field, Some(format!("chunking_strategy.static.{field}")), "{refused:?}");
    }
}

#[test]
fn what_was_ingested_is_a_store_as_well() {
    let site = Site::new(None);
    let listed = site.get("/v1/vector_stores").body;
    assert_eq!(
        (&listed["data"][0]["id"], &listed["data"][0]["file_counts"]["completed"]),
        (&json!("documents"), &json!(4))
    );
    assert_eq!(site.found("documents", &json!({"query": "the code of the vault"}))[0], "secret/vault.md");
    let changed = site.post(
        "/v1/vector_stores/documents",
        &json!({"name": "Mine", "expires_after": {"anchor": "last_active_at", "days": 1}}),
    );
    assert_eq!((&changed.body["name"], &changed.body["expires_after"]["days"]), (&json!("Mine"), &json!(1)));
    let kept = site
        .post("/v1/vector_stores/documents", &json!({"metadata": {"a": "b"}, "expires_after": null}))
        .body;
    assert_eq!(
        (&kept["name"], &kept["expires_at"], &kept["metadata"]),
        (&json!("Mine"), &Value::Null, &json!({"a": "b"}))
    );
    let alias = AliasChange::Set { alias: "live".into(), collection: "documents".into() };
    site.db.change_aliases(vec![alias]).expect("an alias");
    assert_eq!(site.get("/v1/vector_stores/live").body["id"], "documents");
    let refused = site.server.ask("DELETE", "/v1/vector_stores/live", None);
    assert_eq!((refused.status, site.get("/v1/vector_stores/documents").status), (404, 200));
}

#[test]
fn a_store_that_is_used_does_not_expire() {
    let db = Database::in_memory().expect("a database");
    let shelf = Shelf { db: &db, embedder: None };
    let wanted = Wanted { expires_days: Some(Some(1)), ..Wanted::default() };
    let store = shelf.create_store("s", wanted, 1_000).expect("a store");
    shelf.touch(&store, 80_000).expect("noted");
    let used = shelf.store("s").expect("it is there");
    let is_alive = |now_s| used.check_alive(now_s).is_ok();
    assert_eq!((used.active_s, is_alive(160_000), is_alive(166_401)), (80_000, true, false));
}

/// An answer of `responses` without what differs from one to the next.
fn plain(response: &Value) -> Value {
    let message = &response["output"][1]["content"][0];
    json!([response["status"], message["text"], message["annotations"], response["usage"]])
}

#[test]
fn a_response_searches_cites_files_and_is_kept() {
    let said = "The Eiffel tower stands in Paris [1]. It was painted blue.";
    let fake = Fake::start(2_000, &[Act::Say(said), Act::Say(said), Act::Say("It is 330 metres high.")]);
    let site = Site::new(Some(&fake));
    let store = site.store(&[("tower.md", TOWER, json!({}))]);
    let tools = json!([{"type": "file_search", "vector_store_ids": [store]}]);
    let mut body = json!({"model": "any", "input": "Where does the Eiffel tower stand?", "tools": tools, "include": ["file_search_call.results"]});
    let whole = site.post("/v1/responses", &body).body;
    let message = &whole["output"][1]["content"][0];
    assert_eq!(message["text"], "The Eiffel tower stands in Paris. [1] It was painted blue. [unsupported]");
    assert_eq!(
        (&message["annotations"][0]["filename"], &message["annotations"][0]["index"]),
        (&json!("tower.md"), &json!(34))
    );
    assert_eq!(whole["output"][0]["results"][0]["file_id"], message["annotations"][0]["file_id"]);
    let id = whole["id"].as_str().expect("an id");
    let kept = site.get(&format!("/v1/responses/{id}")).body;
    assert_eq!((&kept["id"], plain(&kept)), (&whole["id"], plain(&whole)));
    let items = site.get(&format!("/v1/responses/{id}/input_items")).body;
    assert_eq!(items["data"][0]["content"][0]["text"], "Where does the Eiffel tower stand?");
    body["stream"] = true.into();
    let events = events(&site, &body);
    assert!(events.iter().enumerate().all(|(at, event)| event["sequence_number"] == at), "{events:?}");
    let last = events.last().expect("events");
    assert_eq!((&last["type"], plain(&last["response"])), (&json!("response.completed"), plain(&whole)));
    let deltas: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(message["text"], deltas);
    let next = json!({"input": "How high?", "tools": tools, "previous_response_id": id});
    site.post("/v1/responses", &next);
    let asked = fake.questions().pop().expect("asked")["messages"].clone();
    assert_eq!(
        (asked.as_array().map(Vec::len), asked[2]["content"].as_str().map(|text| text.contains("Paris"))),
        (Some(4), Some(true))
    );
    let refused = site.post(&format!("/v1/responses/{id}/cancel"), &json!({}));
    assert_eq!(
        (
            refused.status,
            site.server.ask("DELETE", &format!("/v1/responses/{id}"), None).body["deleted"].as_bool()
        ),
        (400, Some(true))
    );
    assert_eq!(site.get(&format!("/v1/responses/{id}")).status, 404);
    let unkept = site
        .post("/v1/responses", &json!({"input": "Which mushrooms?", "tools": tools, "store": false}))
        .body;
    assert_eq!(site.get(&format!("/v1/responses/{}", unkept["id"].as_str().expect("an id"))).status, 404);
}

/// The events of a streamed response.
fn events(site: &Site, body: &Value) -> Vec<Value> {
    let text = site.server.stream("POST", "/v1/responses", body);
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|event| serde_json::from_str(event).expect("JSON")).collect()
}

#[test]
fn every_response_that_is_streamed_begins_and_ends_however_it_goes() {
    let cut = Act::Cut("The Eiffel tower stands in Paris. It is ");
    let whole = Act::Say("The Eiffel tower stands in Paris.");
    let fake = Fake::start(2_000, &[Act::SayNothing("length"), whole, cut]);
    let site = Site::new(Some(&fake));
    let filters = json!({"type": "eq", "key": "kind", "value": "tower"});
    let store = site.store(&[("tower.md", TOWER, json!({"kind": "tower"}))]);
    let tools = json!([{"type": "file_search", "vector_store_ids": [store], "filters": filters}]);
    let body = json!({
        "input": "Where does the Eiffel tower stand?", "tools": tools, "stream": true,
        "include": ["file_search_call.results"],
    });
    for expected in ["response.incomplete", "response.completed", "error"] {
        let events = events(&site, &body);
        assert!(events.iter().enumerate().all(|(at, event)| event["sequence_number"] == at), "{events:?}");
        let (first, last) = (&events[0], events.last().expect("events"));
        assert_eq!((&first["type"], &last["type"]), (&json!("response.created"), &json!(expected)));
        assert_eq!(first["response"]["tools"][0]["filters"], filters);
        let searched = events.iter().find(|event| event["type"] == "response.output_item.done");
        let results = &searched.expect("a search")["item"]["results"];
        assert_eq!(results[0]["filename"], "tower.md");
        assert!(expected != "error" || last["message"] == last["error"]["message"], "{last}");
    }
}

#[test]
fn what_no_response_can_be_made_of_is_refused_by_name() {
    let site = Site::new(None);
    let search = json!([{"type": "file_search", "vector_store_ids": ["documents"]}]);
    let with = |key: &str, value: Value| {
        let mut body = json!({"model": "m", "input": "Why?", "tools": search});
        body[key] = value;
        body
    };
    for (body, status, field) in [
        (json!({"model": "m", "tools": search}), 400, "body"),
        (with("input", json!([])), 400, "input"),
        (with("input", json!([{"role": "friend", "content": "x"}])), 400, "input[0].role"),
        (with("tools", json!([])), 400, "tools"),
        (with("tools", json!([{"type": "web_search"}])), 400, "tools[0].type"),
        (
            with("tools", json!([{"type": "file_search", "vector_store_ids": []}])),
            400,
            "tools[0].vector_store_ids",
        ),
        (with("tools", json!([{"type": "file_search", "vector_store_ids": ["none"]}])), 404, "id"),
        (
            with(
                "tools",
                json!([{"type": "file_search", "vector_store_ids": ["documents"], "max_num_results": 51}]),
            ),
            400,
            "tools[0].max_num_results",
        ),
        (with("previous_response_id", json!("resp_none")), 404, "previous_response_id"),
        (with("temperature", json!(3)), 400, "temperature"),
        (with("metadata", json!({"a": 1})), 400, "metadata.a"),
        (with("tool_choice", json!("none")), 400, "tool_choice"),
        (with("tool_choice", json!({"type": "function", "name": "f"})), 400, "tool_choice"),
        (with("text", json!({"format": {"type": "json_schema", "name": "x"}})), 400, "text.format.type"),
        (with("background", json!(true)), 400, "background"),
        (with("conversation", json!("conv_1")), 400, "conversation"),
        (with("prompt", json!({"id": "pmpt_1"})), 400, "prompt"),
        (with("include", json!(["message.output_text.logprobs"])), 400, "include"),
        (with("top_logprobs", json!(2)), 400, "top_logprobs"),
        (with("rag", json!({"collection": "documents"})), 400, "rag.collection"),
        (with("rag", json!({"label": ["a"]})), 400, "rag.label"),
    ] {
        let refused = site.post("/v1/responses", &body);
        assert_eq!(
            (refused.status, refused.body["error"]["param"].as_str()),
            (status, Some(field)),
            "{body} {refused:?}"
        );
    }
    let by_model = site.post(
        "/v1/responses",
        &json!({
            "model": "rag:documents", "input": "Where does the Eiffel tower stand?", "tools": null, "include": null,
        }),
    );
    assert_eq!(
        (&by_model.body["status"], &by_model.body["rag"]["outcome"]),
        (&json!("completed"), &json!("extractive"))
    );
}

#[test]
fn labels_count_for_searches_and_responses_too() {
    let site = Site::new(None);
    site.label("secret/vault.md", &["keepers"]);
    let code = "What is the code of the vault?";
    let found = |rag: Value| site.found("documents", &json!({"query": code, "rag": rag}));
    assert_eq!(found(json!({"labels": ["keepers"]}))[0], "secret/vault.md");
    assert!(!found(json!({"labels": ["visitors"]})).contains(&"secret/vault.md".to_owned()));
    let both = json!({"labels": ["keepers"], "filter": "folder = 'towers'"});
    assert!(!found(both).contains(&"secret/vault.md".to_owned()), "the filter counts as well");
    let outcome = |labels: Value| {
        let body = json!({"model": "rag:documents", "input": code, "rag": {"labels": labels}});
        site.post("/v1/responses", &body).body["rag"]["outcome"].clone()
    };
    assert_eq!(
        (outcome(json!([])), outcome(json!(["keepers"]))),
        (json!("nothing_found"), json!("extractive"))
    );
    for (body, field) in [
        (json!({"query": code, "rag": {"label": []}}), "rag.label"),
        (json!({"query": code, "rag": {"min_coverage": 0}}), "rag.min_coverage"),
        (json!({"query": code, "rewrite_query": true}), "rewrite_query"),
    ] {
        let refused = site.post("/v1/vector_stores/documents/search", &body);
        assert_eq!((refused.status, refused.field.as_deref()), (400, Some(field)), "{refused:?}");
    }
}

#[test]
fn labels_that_an_uploaded_file_says_of_itself_count() {
    let site = Site::new(None);
    let vault = "---\nlabels: [keepers]\n---\n\n# Vault\n\nThe code of the vault is 7391.\n";
    let store = site.store(&[("vault.md", vault, json!({})), ("open.md", "The vault is old.", json!({}))]);
    let found = |rag: Value| site.found(&store, &json!({"query": "the code of the vault", "rag": rag}));
    assert_eq!(found(json!({"labels": ["keepers"]}))[0], "vault.md");
    assert_eq!(found(json!({"labels": ["visitors"]})), ["open.md"]);
    assert_eq!(found(json!({})).len(), 2, "who names no labels sees everything");
}

#[test]
fn what_a_response_was_asked_is_told_again() {
    let site = Site::new(None);
    let said = |role: &str, text: &str| json!({"role": role, "content": text});
    let question = said("user", "Where does the Eiffel tower stand?");
    let input = json!([said("user", "Hello."), said("assistant", "Hello to you."), question]);
    let made = site.post("/v1/responses", &json!({"model": "rag:documents", "input": input})).body;
    let items = format!("/v1/responses/{}/input_items?order=asc", made["id"].as_str().expect("an id"));
    let items = site.get(&items).body["data"].clone();
    let told: Vec<Value> = items
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| {
            said(item["role"].as_str().expect("a role"), item["content"][0]["text"].as_str().expect("text"))
        })
        .collect();
    assert_eq!(json!(told), input);
}
