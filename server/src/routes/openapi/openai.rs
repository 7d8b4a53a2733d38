//! The dialect of OpenAI. Its shapes are described by its own document; here stand the addresses and what may be sent.

use kithdb::Value;
use serde_json::json;

use super::operation::{Operation, binary, value};
use crate::wire::schema::{free, text};

const TAG: &str = "OpenAI";

pub(super) fn operations() -> Vec<Operation> {
    let mut all = models();
    all.extend(stores());
    all
}

fn at(method: &'static str, path: &str, id: &'static str, summary: &'static str) -> Operation {
    let operation = Operation::new(method, path, id, TAG, summary).reads().openai_shaped().elsewhere();
    operation.answers_bare(&["application/json"], &value(free()))
}

fn with(operation: Operation, example: Value) -> Operation {
    operation.body_like(free(), example)
}

fn models() -> Vec<Operation> {
    let say = json!([{"role": "user", "content": "What pulls the sea?"}]);
    let source = "/api/v1/collections/{collection}/sources/{source}";
    let both = ["application/json", "text/event-stream"];
    vec![
        at("GET", "/v1/models", "openai_models", "Collections that answer, and the model that embeds"),
        at("GET", "/v1/models/{model}", "openai_model", "One of them"),
        with(
            at("POST", "/v1/embeddings", "openai_embed", "Embed texts"),
            json!({"model": "all-MiniLM-L6-v2", "input": "sea"}),
        )
        .also(404),
        with(
            at("POST", "/v1/chat/completions", "openai_chat", "Answer from a collection, with what is cited"),
            json!({"model": "rag:books", "messages": say}),
        )
        .answers_bare(&both, &value(free()))
        .also(404)
        .also(502)
        .also(504),
        with(
            at("POST", "/v1/responses", "openai_respond", "The same in the newer shape"),
            json!({"model": "rag:books", "input": "What pulls the sea?"}),
        )
        .answers_bare(&both, &value(free()))
        .also(404)
        .also(502)
        .also(504),
        at("GET", "/v1/responses/{response}", "openai_response", "A response that is kept"),
        at("DELETE", "/v1/responses/{response}", "openai_forget", "Forget it"),
        at("POST", "/v1/responses/{response}/cancel", "openai_cancel", "Cancel it"),
        at("GET", "/v1/responses/{response}/input_items", "openai_inputs", "What it was asked"),
        at("GET", "/v1/files", "openai_files", "Files"),
        at("POST", "/v1/files", "openai_upload", "Upload a file").file(&["multipart/form-data"]),
        at("GET", "/v1/files/{file}", "openai_file", "A file"),
        at("DELETE", "/v1/files/{file}", "openai_delete_file", "Delete a file"),
        at("GET", "/v1/files/{file}/content", "openai_content", "What is in a file")
            .answers_bare(&["application/octet-stream"], &binary()),
        Operation::new("GET", source, "source", TAG, "What an answer cites")
            .reads()
            .answers_with(free())
            .elsewhere(),
    ]
}

fn stores() -> Vec<Operation> {
    let of = |method, rest: &str, id, summary| {
        at(method, &format!("/v1/vector_stores/{{collection}}{rest}"), id, summary)
    };
    let batch = json!({"file_ids": ["file-1"]});
    vec![
        at("GET", "/v1/vector_stores", "openai_stores", "Collections, as stores"),
        with(at("POST", "/v1/vector_stores", "openai_create_store", "Make one"), json!({"name": "library"})),
        of("GET", "", "openai_store", "A store"),
        with(of("POST", "", "openai_change_store", "Change it"), json!({"name": "library"})),
        of("DELETE", "", "openai_delete_store", "Delete it"),
        with(
            of("POST", "/search", "openai_search", "Search it"),
            json!({"query": "sea", "max_num_results": 3}),
        ),
        of("GET", "/files", "openai_store_files", "Its files").takes(
            "filter",
            text(),
            "Only files of this state",
        ),
        with(of("POST", "/files", "openai_add_file", "Add a file"), json!({"file_id": "file-1"})),
        of("GET", "/files/{file}", "openai_store_file", "One of them"),
        with(
            of("POST", "/files/{file}", "openai_attributes", "Set its attributes"),
            json!({"attributes": {"year": 1904}}),
        ),
        of("DELETE", "/files/{file}", "openai_remove_file", "Take it out"),
        of("GET", "/files/{file}/content", "openai_store_content", "Its passages"),
        with(of("POST", "/file_batches", "openai_add_files", "Add several"), batch),
        of("GET", "/file_batches/{batch}", "openai_batch", "How far that is"),
        of("POST", "/file_batches/{batch}/cancel", "openai_cancel_batch", "Cancel it"),
        of("GET", "/file_batches/{batch}/files", "openai_batch_files", "Its files"),
    ]
}
