//! The Model Context Protocol over HTTP: what tools answer, what they refuse, and who may call them.

use kithdb::{Database, Value};
use serde_json::json;
use server::{Keys, ServeOptions};

use crate::http::{Answer, Running};

const ACCEPT: &str = "accept: application/json, text/event-stream";

/// A server, and who asks it.
struct Client {
    server: Running,
    lines: String,
}

impl Client {
    fn new(options: ServeOptions) -> Self {
        let db = Database::in_memory().expect("a database");
        Self { server: Running::with(db, options), lines: ACCEPT.to_owned() }
    }

    fn with(&mut self, line: &str) -> &mut Self {
        self.lines = format!("{ACCEPT}\r\n{line}");
        self
    }

    fn sent(&self, method: &str, params: &Value) -> Answer {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.server.ask_with(&self.lines, "POST", "/mcp", Some(&message))
    }

    /// What a method answers, as its result.
    fn ask(&self, method: &str, params: &Value) -> Value {
        let answer = self.sent(method, params);
        assert_eq!(answer.status, 200, "{method}: {answer:?}");
        assert!(answer.body["error"].is_null(), "{method}: {answer:?}");
        answer.body["result"].clone()
    }

    /// What a tool answers.
    fn call(&self, tool: &str, arguments: &Value) -> Value {
        let result = self.ask("tools/call", &json!({"name": tool, "arguments": arguments}));
        assert_eq!(result["isError"], false, "{tool}: {result}");
        let text = result["content"][0]["text"].as_str().expect("a text");
        let told: Value = serde_json::from_str(text).expect("the text is the same as JSON");
        assert_eq!(told, result["structuredContent"]);
        told
    }

    /// Why a tool refuses.
    fn refusal(&self, tool: &str, arguments: &Value) -> String {
        let result = self.ask("tools/call", &json!({"name": tool, "arguments": arguments}));
        assert_eq!(result["isError"], true, "{tool}: {result}");
        result["content"][0]["text"].as_str().expect("a text").to_owned()
    }

    fn tools(&self) -> Vec<String> {
        let told = self.ask("tools/list", &json!({}));
        let tools = told["tools"].as_array().expect("tools");
        tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
    }
}

fn two_notes() -> Value {
    json!({"collection": "notes", "documents": [
        {"id": "crates", "title": "Crates", "text": "A crate for vectors", "metadata": {"year": 2024}},
        {"id": 7, "text": "A book on gardens", "metadata": {"year": 2019}},
    ]})
}

#[test]
fn documents_are_added_found_and_read() {
    let client = Client::new(ServeOptions::default());
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}});
    let told = client.ask("initialize", &hello);
    assert_eq!(
        (&told["serverInfo"]["name"], &told["protocolVersion"]),
        (&json!("kithdb"), &json!("2025-06-18"))
    );
    assert_eq!(client.tools(), ["search", "fetch", "list_collections", "collection_info", "add_documents"]);
    let added = client.call("add_documents", &two_notes());
    assert_eq!(
        (&added["added"], &added["ids"][1], &added["urls"][1]),
        (&json!(2), &json!("7"), &json!("kithdb://notes/7"))
    );
    client.call("add_documents", &two_notes());
    let listed = client.call("list_collections", &json!({}));
    assert_eq!(
        listed,
        json!({"collections": [{"name": "notes", "documents": 2}]}),
        "the same again is the same"
    );

    let found = client.call("search", &json!({"query": "gardens", "explain": true}));
    assert_eq!(found["results"][0]["text"], "A book on gardens");
    assert!(found["plan"].as_str().expect("a plan").contains("keyword"), "{found}");
    let filtered =
        client.call("search", &json!({"query": "crate gardens", "filter": "year >= 2020", "limit": 5}));
    let only = &filtered["results"][0];
    assert_eq!((filtered["results"].as_array().map(Vec::len), &only["title"]), (Some(1), &json!("Crates")));
    assert_eq!(only["metadata"], json!({"year": 2024, "id": "crates", "title": "Crates"}));

    for id in [&only["url"], &only["id"]] {
        assert_eq!(client.call("fetch", &json!({"id": id}))["text"], "A crate for vectors");
    }
    assert_eq!(client.call("fetch", &json!({"id": 7, "collection": "notes"}))["text"], "A book on gardens");
    assert_eq!(client.call("collection_info", &json!({"collection": "notes"}))["points"], 2);

    let resources = client.ask("resources/list", &json!({}));
    assert_eq!(resources["resources"][0]["uri"], "kithdb://notes");
    let read = client.ask("resources/read", &json!({"uri": "kithdb://notes/7"}));
    assert!(read["contents"][0]["text"].as_str().expect("text").contains("A book on gardens"));
    assert_eq!(
        client.sent("resources/read", &json!({"uri": "kithdb://none/7"})).body["error"]["code"],
        -32002
    );
    let asked =
        client.ask("prompts/get", &json!({"name": "ask", "arguments": {"question": "What of gardens?"}}));
    let prompt = asked["messages"][0]["content"]["text"].as_str().expect("text");
    assert!(
        prompt.contains("kithdb://notes/7") && prompt.ends_with("Question: What of gardens?"),
        "{prompt}"
    );
    assert!(prompt.contains("\n<<<document 1, mark "), "passages are data: {prompt}");
}

#[test]
fn a_refusal_names_what_is_wrong_and_changes_nothing() {
    let client = Client::new(ServeOptions::default());
    assert!(client.refusal("search", &json!({"query": "x"})).contains("there is none yet"));
    client.call("add_documents", &two_notes());
    client.server.ask("PUT", "/collections/bare", Some(&json!({"vectors": {"size": 2, "distance": "Dot"}})));
    let many: Vec<Value> = (0..101).map(|n| json!({"text": n.to_string()})).collect();
    let cases = [
        ("search", json!({}), "query"),
        ("search", json!({"query": "x"}), "there are: bare, notes"),
        ("search", json!({"query": "x", "collection": "notes", "limit": 51}), "limit: must be from 1 to 50"),
        ("search", json!({"query": "x", "collection": "notes", "page": 1}), "page"),
        ("search", json!({"query": "x", "collection": "notes", "filter": "year >="}), "filter"),
        ("search", json!({"query": "x", "collection": "notes", "mode": "vector"}), "mode: cannot be"),
        ("search", json!({"query": "x", "collection": "bare"}), "collection: has neither"),
        ("search", json!({"query": "x", "collection": "none"}), "none"),
        ("fetch", json!({"id": "8", "collection": "notes"}), "8"),
        ("fetch", json!({"id": "kithdb://none/8"}), "none"),
        ("collection_info", json!({}), "collection"),
        ("list_collections", json!({"x": 1}), "x"),
        ("add_documents", json!({"documents": []}), "documents: must be 1 to 100"),
        ("add_documents", json!({"documents": many}), "documents: must be 1 to 100"),
        ("add_documents", json!({"collection": "notes", "documents": [{"title": "x"}]}), "documents[0]"),
        (
            "add_documents",
            json!({"collection": "notes", "documents": [{"id": -1, "text": "x"}]}),
            "documents[0].id",
        ),
        (
            "add_documents",
            json!({"collection": "notes", "documents": [{"text": "a"}, {"text": "x", "metadata": {"id": 1}}]}),
            "documents[1].metadata.id",
        ),
    ];
    for (tool, arguments, says) in cases {
        let told = client.refusal(tool, &arguments);
        assert!(told.contains(says), "{tool} {arguments}: {told}");
    }
    let listed = client.call("list_collections", &json!({}));
    assert_eq!(listed["collections"][1], json!({"name": "notes", "documents": 2}));
    let unknown = client.sent("tools/call", &json!({"name": "drop", "arguments": {}}));
    assert!(
        unknown.body["error"]["message"].as_str().expect("a message").contains("there are: search, fetch")
    );
}

#[test]
fn ingested_documents_have_no_others_put_among_them() {
    let client = Client::new(ServeOptions::default());
    let upload = json!({"documents": [{"path": "a.md", "text": "The tower."}]});
    let path = "/api/v1/collections/docs/documents?wait=true";
    assert_eq!(client.server.ask("POST", path, Some(&upload)).status, 200);
    let added = json!({"collection": "docs", "documents": [{"text": "x"}]});
    let told = client.refusal("add_documents", &added);
    assert!(told.starts_with("collection: `docs` has documents that were ingested"), "{told}");
    let count = client.server.ask("POST", "/collections/docs/points/count", Some(&json!({})));
    assert_eq!(count.body["result"]["count"], 1);
}

#[test]
fn a_key_has_its_rights_here_too() {
    let of =
        |key: &str, access: &str| json!({"key": key, "access": [{"collection": "notes", "access": access}]});
    let keys = Keys::new().full("all").and_then(|keys| keys.read_only("reads"));
    let keys = keys.and_then(|keys| keys.with(&of("notes_read", "r").to_string()));
    let keys = keys.and_then(|keys| keys.with(&of("notes_write", "prw").to_string())).expect("keys");
    let mut client = Client::new(ServeOptions { keys, ..ServeOptions::default() });
    assert_eq!(client.sent("tools/list", &json!({})).status, 401);
    let other = json!({"collection": "other", "documents": [{"text": "x"}]});
    client.with("api-key: all").call("add_documents", &two_notes());
    client.call("add_documents", &other);
    for (key, tools, seen) in [("reads", 4, 2), ("notes_read", 4, 1), ("notes_write", 5, 1)] {
        client.with(&format!("authorization: Bearer {key}"));
        assert_eq!(client.tools().len(), tools, "{key}");
        let listed = client.call("list_collections", &json!({}));
        assert_eq!(listed["collections"].as_array().map(Vec::len), Some(seen), "{key}");
        assert_eq!(
            client.call("search", &json!({"query": "gardens", "collection": "notes"}))["results"][0]["id"],
            "7"
        );
    }
    assert!(client.refusal("search", &json!({"query": "x", "collection": "other"})).contains("Forbidden"));
    assert!(client.refusal("add_documents", &other).contains("Forbidden"));
    client.call("add_documents", &two_notes());
    client.with("api-key: reads");
    let hidden = client.sent("tools/call", &json!({"name": "add_documents", "arguments": two_notes()}));
    assert!(hidden.body["error"]["message"].as_str().expect("a message").contains("no tool `add_documents`"));
}

#[test]
fn pages_of_other_sites_cannot_ask() {
    let mut client = Client::new(ServeOptions::default());
    for (line, status) in [
        ("origin: http://localhost:3000", 200),
        ("origin: http://evil.example", 403),
        ("origin: http://evil.example:80", 403),
        ("origin: null", 403),
        ("x: y", 200),
    ] {
        assert_eq!(client.with(line).sent("tools/list", &json!({})).status, status, "{line}");
    }
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let head = |host: &str| {
        let bytes = message.len();
        format!(
            "POST /mcp HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{ACCEPT}\r\ncontent-type: application/json\r\n\
             content-length: {bytes}\r\n\r\n"
        )
    };
    let ask = |client: &Client, host: &str| {
        client.server.exchange(head(host).as_bytes(), message.as_bytes()).status
    };
    assert_eq!([ask(&client, "localhost:6333"), ask(&client, "evil.example:6333")], [200, 403]);
    assert_eq!(client.server.ask_with(ACCEPT, "GET", "/mcp", None).status, 405);
    assert_eq!(client.with("x: y").sent("nonsense", &json!({})).body["error"]["code"], -32601);
    let keyed =
        Client::new(ServeOptions { keys: Keys::new().full("k").expect("a key"), ..ServeOptions::default() });
    let named = head("kithdb.example").replace(ACCEPT, &format!("{ACCEPT}\r\napi-key: k"));
    assert_eq!(
        keyed.server.exchange(named.as_bytes(), message.as_bytes()).status,
        200,
        "a key opens any name"
    );
}

#[test]
fn what_the_protocol_refuses_is_said_in_the_envelope_of_all_errors() {
    let client =
        Client { lines: "accept: application/json".to_owned(), ..Client::new(ServeOptions::default()) };
    let refused = client.sent("ping", &json!({}));
    let why = refused.body["status"]["error"].as_str();
    assert!(refused.status == 406 && why.is_some_and(|why| why.contains("must accept")), "{refused:?}");
}
