//! `POST /v1/chat/completions`, and what stands around it.

use std::time::Duration;

use kithdb::Value;
use serde_json::json;

use super::{Act, Fake, Site, body, check_citations, content};

/// What the engine says of the tower: a claim that is cited, one that is cited wrongly, one that nobody made.
const TOWER: &str =
    "The Eiffel tower stands in Paris [1]. It is 330 metres high. It was painted blue in 1950 [1].";

const ABOUT: &str = "Where does the Eiffel tower stand, and how high is it?";

#[test]
fn an_answer_is_cited_from_what_is_stored_and_marked_where_it_is_not() {
    let fake = Fake::start(2_000, &[Act::Say(TOWER)]);
    let site = Site::new(Some(&fake));
    let answer = site.ask(ABOUT, &json!({}));
    assert_eq!(answer.status, 200, "{answer:?}");
    let (body, text) = (&answer.body, content(&answer));
    assert!(text.starts_with("The Eiffel tower stands in Paris. ["), "{text}");
    assert!(text.contains("It was painted blue in 1950. [unsupported]\n\nSources:\n["), "{text}");
    assert_eq!(check_citations(&site, text, &body["rag"]), 2);
    assert_eq!(body["rag"]["citations"][1]["quote"], "It is 330 metres high.");
    assert_eq!(body["rag"]["unsupported"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&body["rag"]["outcome"], &body["choices"][0]["finish_reason"]),
        (&json!("generated"), &json!("stop"))
    );
    assert_eq!(
        (&body["usage"]["total_tokens"], &body["usage"]["prompt_tokens_details"]["cached_tokens"]),
        (&json!(16), &json!(7))
    );
    let annotation = &body["choices"][0]["message"]["annotations"][0];
    let url = annotation["url_citation"]["url"].as_str().expect("an address");
    let path = url.split_once("/api/").map(|(_, path)| format!("/api/{path}")).expect("of this server");
    assert_eq!(
        site.server.ask("GET", &path, None).body["result"]["text"],
        "The Eiffel tower stands in Paris."
    );
    let moved = site.server.ask("GET", &path.replace("hash=", "hash=0"), None);
    assert_eq!((moved.status, moved.field.as_deref()), (412, Some("hash")));
}

#[test]
fn a_stream_says_the_same_as_the_whole() {
    let fake = Fake::start(2_000, &[Act::Say(TOWER), Act::Say(TOWER)]);
    let site = Site::new(Some(&fake));
    let whole = site.ask(ABOUT, &json!({})).body;
    let events = site.stream(ABOUT, &json!({"stream_options": {"include_usage": true}}));
    let deltas = || events.iter().filter_map(|event| event["choices"].get(0)).map(|choice| &choice["delta"]);
    let text: String = deltas().filter_map(|delta| delta["content"].as_str()).collect();
    let annotations: Vec<&Value> =
        deltas().filter_map(|delta| delta["annotations"].as_array()).flatten().collect();
    let message = &whole["choices"][0]["message"];
    assert_eq!((&json!(text), &json!(annotations)), (&message["content"], &message["annotations"]));
    assert_eq!(deltas().filter(|delta| delta["role"] == "assistant").count(), 1);
    let (usage, rest) = events.split_last().expect("events");
    assert_eq!((&usage["choices"], &usage["usage"]), (&json!([]), &whole["usage"]));
    assert!(rest.iter().all(|piece| piece.get("usage") == Some(&Value::Null)), "as of OpenAI");
    let last = rest.last().expect("a last piece");
    assert_eq!(
        (&last["choices"][0]["finish_reason"], &last["rag"]["citations"]),
        (&json!("stop"), &whole["rag"]["citations"])
    );
    assert!(deltas().count() > 3, "sentence by sentence");
    assert!(
        events
            .iter()
            .all(|event| event["id"] == events[0]["id"] && event["object"] == "chat.completion.chunk")
    );
}

#[test]
fn where_nothing_speaks_for_an_answer_no_model_is_asked() {
    let fake = Fake::start(2_000, &[]);
    let site = Site::new(Some(&fake));
    let answer = site.ask("Which mushrooms grow in Siberian forests?", &json!({}));
    assert_eq!(content(&answer), rag::answer::NOTHING_FOUND);
    assert_eq!(
        (&answer.body["rag"]["outcome"], &answer.body["rag"]["citations"]),
        (&json!("nothing_found"), &json!([]))
    );
    assert!(fake.questions().is_empty());
    let events = site.stream("Which mushrooms grow in Siberian forests?", &json!({}));
    assert_eq!(events[0]["choices"][0]["delta"]["content"], rag::answer::NOTHING_FOUND);
}

#[test]
fn without_an_engine_an_answer_is_made_of_quotes_and_says_so() {
    let site = Site::new(None);
    for question in
        [ABOUT, "Wie lang ist die Brücke über den Rhein?", "What is the colour of the Golden Gate bridge?"]
    {
        let answer = site.ask(question, &json!({}));
        let text = content(&answer);
        assert!(text.starts_with(rag::answer::EXTRACTIVE), "{text}");
        assert!(check_citations(&site, text, &answer.body["rag"]) > 0);
        let first = &answer.body["rag"]["citations"][0];
        assert!(text.contains(first["quote"].as_str().expect("a quote")), "{text}");
    }
    let fake = Fake::start(2_000, &[]);
    let site = Site::new(Some(&fake));
    let answer = site.ask(ABOUT, &json!({"rag": {"extractive": true, "list_sources": false}}));
    assert!(!content(&answer).contains("Sources:") && fake.questions().is_empty());
}

/// Two documents that say the same were quoted one after the other.
#[test]
fn a_copy_is_found_and_not_quoted_again() {
    let text = "# Tower\n\nThe Eiffel tower stands in Paris.\n";
    let site = Site::of(&[("a.md", text), ("copies/b.md", text)], None);
    let answer = site.ask("Where does the Eiffel tower stand?", &json!({}));
    assert_eq!(content(&answer).matches("stands in Paris").count(), 1, "{answer:?}");
    assert_eq!(answer.body["rag"]["documents"].as_array().map(Vec::len), Some(1), "{answer:?}");
    let mut found = site.found("documents", &json!({"query": "Eiffel tower"}));
    found.sort_unstable();
    assert_eq!(found, ["a.md", "copies/b.md"]);
}

/// One of them was taken for a copy of the other.
#[test]
fn the_same_words_under_another_title_are_no_copy() {
    let page =
        |name: &str| format!("---\ntitle: {name}\n---\nIt costs ten euros a month, and is billed yearly.\n");
    let (basic, plus) = (page("Basic"), page("Plus"));
    let site = Site::of(&[("basic.md", &basic), ("plus.md", &plus)], None);
    let answer = site.ask("What is billed yearly, and costs ten euros a month?", &json!({}));
    let documents = answer.body["rag"]["documents"].as_array().into_iter().flatten();
    let mut titles: Vec<&str> = documents.filter_map(|document| document["title"].as_str()).collect();
    titles.sort_unstable();
    assert_eq!(titles, ["Basic", "Plus"], "{answer:?}");
}

#[test]
fn what_the_filter_and_the_labels_exclude_reaches_nobody() {
    let fake = Fake::start(2_000, &[]);
    let site = Site::new(Some(&fake));
    site.label("secret/vault.md", &["keepers"]);
    let code = "What is the code of the vault?";
    let outcome = |more: Value| site.ask(code, &json!({"rag": more})).body["rag"]["outcome"].clone();
    assert_eq!(outcome(json!({"labels": []})), "nothing_found");
    assert_eq!(outcome(json!({"labels": ["visitors"]})), "nothing_found");
    assert_eq!(outcome(json!({"filter": "folder = 'towers'"})), "nothing_found");
    assert_eq!(
        outcome(json!({"filter": {"must_not": [{"key": "folder", "match": {"value": "secret"}}]}})),
        "nothing_found"
    );
    assert!(fake.questions().is_empty());
    assert_eq!(
        outcome(json!({"labels": ["visitors", "keepers"], "filter": "folder = 'secret'"})),
        "generated"
    );
    let asked = fake.questions()[0]["messages"].to_string();
    assert!(asked.contains("7391") && !asked.contains("Eiffel"), "{asked}");
    assert_eq!(site.ask(code, &json!({"rag": {"label": ["keepers"]}})).field.as_deref(), Some("rag.label"));
}

#[test]
fn labels_that_a_document_was_ingested_with_count() {
    let vault = "---\nlabels: [keepers]\n---\n\n# Vault\n\nThe code of the vault is 7391.\n";
    let site = Site::of(&[("vault.md", vault)], None);
    let asked = |labels: Value| {
        let answer = site.ask("What is the code of the vault?", &json!({"rag": {"labels": labels}}));
        answer.body["rag"]["outcome"].clone()
    };
    assert_eq!(asked(Value::Null), "extractive", "who names no labels sees everything");
    assert_eq!(asked(json!(["keepers"])), "extractive");
    for others in [json!([]), json!(["visitors"])] {
        assert_eq!(asked(others.clone()), "nothing_found", "{others}");
    }
}

#[test]
fn questions_on_the_same_documents_share_nearly_all_of_their_prompts() {
    let fake = Fake::start(4_000, &[]);
    let site = Site::new(Some(&fake));
    for question in ["How high in metres?", "Which bridge, and which tower?"] {
        site.ask(question, &json!({"rag": {"top_k": 20, "min_coverage": 0}}));
    }
    let asked = fake.questions();
    let text = |at: usize| asked[at]["messages"][1]["content"].as_str().expect("text").to_owned();
    let same = text(0).bytes().zip(text(1).bytes()).take_while(|(a, b)| a == b).count();
    assert_eq!(asked[0]["messages"][0], asked[1]["messages"][0]);
    assert!(same * 10 >= text(1).len() * 9, "{same} of {}", text(1).len());
}

#[test]
fn a_prompt_has_no_more_tokens_than_there_is_room_for() {
    let long: Vec<(String, String)> = (0..12)
        .map(|at| {
            (format!("{at}.md"), format!("# Part {at}\n\n{}", "The bridge has a long main span. ".repeat(20)))
        })
        .collect();
    let documents: Vec<(&str, &str)> =
        long.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    for fake in [Fake::start(700, &[]), Fake::without_tokenizer(1_200, &[])] {
        let site = Site::of(&documents, Some(&fake));
        let more = json!({"max_tokens": 100, "rag": {"top_k": 20}});
        assert_eq!(site.ask("How long is the main span of the bridge?", &more).status, 200);
        let asked = &fake.questions()[0];
        let words: usize = asked["messages"]
            .as_array()
            .expect("messages")
            .iter()
            .map(|message| message["content"].as_str().expect("text").split_whitespace().count())
            .sum();
        assert!(words > 200 && words <= 600, "{words}");
        assert_eq!(asked["max_tokens"], 100);
    }
}

#[test]
fn an_engine_with_less_room_than_it_says_is_asked_once_more_with_less() {
    let overflow = Act::Refuse(
        400,
        "",
        r#"{"error":{"message":"x","type":"exceed_context_size_error",
        "n_prompt_tokens":200,"n_ctx":100}}"#,
    );
    let fake = Fake::start(2_000, &[overflow, Act::Say(TOWER)]);
    let site = Site::new(Some(&fake));
    let answer = site.ask(ABOUT, &json!({"rag": {"prompt_tokens": 400}}));
    assert_eq!((answer.status, &answer.body["rag"]["outcome"]), (200, &json!("generated")));
    let fake = Fake::start(2_000, &[overflow, overflow]);
    let answer = Site::new(Some(&fake)).ask(ABOUT, &json!({}));
    assert_eq!((answer.status, fake.questions().len()), (400, 2));
    assert_eq!(answer.body["error"]["type"], "invalid_request_error");
    assert_eq!(answer.body["error"]["code"], "context_length_exceeded");
}

#[test]
fn failures_of_the_engine_have_their_statuses_in_the_envelope_of_the_dialect() {
    for (act, status, kind) in [
        (Act::Refuse(401, "", "{}"), 502, "server_error"),
        (Act::Refuse(429, "retry-after: 60\r\n", "{}"), 429, "rate_limit_error"),
        (Act::Refuse(503, "retry-after: 60\r\n", "{}"), 503, "server_error"),
        (Act::Babble, 502, "server_error"),
        (Act::Cut("x"), 502, "server_error"),
        (Act::SayNothing("stop"), 502, "server_error"),
        (Act::SayNothing("tool_calls"), 502, "server_error"),
        (Act::SayWhole("<think>Paris?</think>\n"), 502, "server_error"),
    ] {
        for is_stream in [false, true] {
            let fake = Fake::start(2_000, std::slice::from_ref(&act));
            let answer = Site::new(Some(&fake)).ask(ABOUT, &json!({"stream": is_stream}));
            let error = &answer.body["error"];
            assert_eq!(
                (answer.status, error["type"].as_str(), error["param"].as_str()),
                (status, Some(kind), Some("engine")),
                "{act:?} {answer:?}"
            );
        }
    }
    let fake = Fake::start(2_000, &[Act::Cut("The Eiffel tower stands in Paris. It is ")]);
    let site = Site::new(Some(&fake));
    let mut asked = body(ABOUT, &json!({}));
    asked["stream"] = true.into();
    let text = site.server.stream("POST", "/v1/chat/completions", &asked);
    assert!(
        text.contains("stands in Paris")
            && text.contains("\"error\":{\"message\"")
            && !text.contains("[DONE]"),
        "{text}"
    );
}

/// What ends an answer before it begins is told by its reason, as the dialect has it.
#[test]
fn an_answer_that_is_cut_short_before_it_says_anything_says_why() {
    for (act, more, reason) in [
        (Act::SayNothing("length"), json!({}), "length"),
        (Act::SayNothing("content_filter"), json!({}), "content_filter"),
        (Act::SayNothing("stop"), json!({"stop": ["The"]}), "stop"),
    ] {
        let fake = Fake::start(2_000, std::slice::from_ref(&act));
        let answer = Site::new(Some(&fake)).ask(ABOUT, &more);
        assert_eq!((answer.status, &answer.body["choices"][0]["finish_reason"]), (200, &json!(reason)));
    }
}

#[test]
fn a_client_that_goes_away_ends_the_generation() {
    for is_stream in [true, false] {
        let fake = Fake::start(2_000, &[Act::Drip]);
        let site = Site::new(Some(&fake));
        let mut asked = body(ABOUT, &json!({}));
        asked["stream"] = is_stream.into();
        let text = asked.to_string();
        site.server.abandon_after(
            "POST",
            "/v1/chat/completions",
            text.as_bytes(),
            Duration::from_millis(300),
        );
        assert!(fake.was_hung_up(), "stream: {is_stream}");
    }
}

#[test]
fn a_conversation_goes_on() {
    let fake = Fake::start(2_000, &[]);
    let site = Site::new(Some(&fake));
    let messages = json!([
        {"role": "system", "content": "Answer in French."},
        {"role": "user", "content": "Where does the Eiffel tower stand?"},
        {"role": "assistant", "content": "In Paris. [1]"},
        {"role": "user", "content": "And how high?"},
    ]);
    let answer = site.server.ask(
        "POST",
        "/v1/chat/completions",
        Some(&json!({"model": "rag:documents", "messages": messages})),
    );
    assert_eq!(
        answer.body["rag"]["outcome"], "generated",
        "a short question is meant with the one before it"
    );
    let asked = fake.questions()[0]["messages"].as_array().expect("messages").clone();
    let roles: Vec<&str> = asked.iter().filter_map(|message| message["role"].as_str()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "user"]);
    assert!(asked[0]["content"].as_str().is_some_and(|text| text.ends_with("Answer in French.")));
    assert!(asked[1]["content"].as_str().is_some_and(
        |text| text.contains("330 metres") && text.ends_with("Where does the Eiffel tower stand?")
    ));
    assert_eq!(asked[3]["content"], "Question: And how high?");
}

#[test]
fn what_there_is_to_ask_is_listed_and_what_there_is_not_is_told() {
    let site = Site::new(None);
    let listed = site.server.ask("GET", "/v1/models", None).body;
    let ids: Vec<&str> =
        listed["data"].as_array().expect("a list").iter().filter_map(|model| model["id"].as_str()).collect();
    assert_eq!((ids, &listed["object"]), (vec!["rag:documents"], &json!("list")));
    assert_eq!(site.server.ask("GET", "/v1/models/rag:documents", None).body["owned_by"], "kithdb");
    site.db.create_collection("bare", kithdb::Schema::new()).expect("a collection");
    let post = |path: &str, body: Value| site.server.ask("POST", path, Some(&body));
    let chat = |model: &str| {
        post("/v1/chat/completions", json!({"model": model, "messages": [{"role": "user", "content": "x"}]}))
    };
    for (answer, status, param) in [
        (site.server.ask("GET", "/v1/models/rag:none", None), 404, Some("model")),
        (site.server.ask("GET", "/v1/models/other", None), 404, Some("model")),
        (chat("rag:none"), 404, Some("model")),
        (chat("rag:bare"), 404, Some("model")),
        (post("/v1/embeddings", json!({"model": "x", "input": "y"})), 404, Some("model")),
        (post("/v1/embeddings", json!({"model": "x"})), 400, Some("body")),
        (post("/v1/chat/completions", json!([])), 400, Some("body")),
        (post("/v1/nowhere", json!({})), 404, None),
        (site.server.ask("DELETE", "/v1/models", None), 405, None),
    ] {
        assert_eq!((answer.status, answer.body["error"]["param"].as_str()), (status, param), "{answer:?}");
        assert!(answer.body["error"]["message"].is_string() && answer.body["error"]["type"].is_string());
        let is_model = (answer.status, param) == (404, Some("model"));
        assert_eq!(answer.body["error"]["code"] == "model_not_found", is_model, "{answer:?}");
    }
    let other =
        json!({"model": "x", "rag": {"collection": "none"}, "messages": [{"role": "user", "content": "x"}]});
    let other = post("/v1/chat/completions", other);
    assert_eq!((other.status, other.field.as_deref()), (404, Some("rag.collection")), "{other:?}");
}

#[test]
fn answers_and_their_tokens_are_counted() {
    let fake = Fake::start(2_000, &[Act::Say(TOWER), Act::Refuse(401, "", "{}")]);
    let site = Site::new(Some(&fake));
    site.ask(ABOUT, &json!({}));
    site.ask(ABOUT, &json!({}));
    site.ask("Which mushrooms grow in Siberian forests?", &json!({}));
    let metrics = site.server.ask("GET", "/metrics", None).body;
    for line in [
        "kithdb_answers_total{outcome=\"generated\"} 1",
        "kithdb_answers_total{outcome=\"nothing_found\"} 1",
        "kithdb_answers_total{outcome=\"extractive\"} 0",
        "kithdb_answer_seconds_count{outcome=\"generated\"} 1",
        "kithdb_answer_first_seconds_count 1",
        "kithdb_answer_failures_total{reason=\"engine_unavailable\"} 0",
        "kithdb_answer_failures_total{reason=\"rerank_unavailable\"} 0",
        "kithdb_answer_failures_total{reason=\"engine_unauthorized\"} 1",
        "kithdb_answer_tokens_total{kind=\"prompt\"} 11",
        "kithdb_answer_tokens_total{kind=\"cached\"} 7",
        "kithdb_answer_tokens_total{kind=\"completion\"} 5",
        "kithdb_answer_citations_total 2",
        "kithdb_answer_unsupported_total 1",
    ] {
        assert!(
            metrics.as_str().is_some_and(|text| text.lines().any(|found| found == line)),
            "{line}: {metrics}"
        );
    }
}
