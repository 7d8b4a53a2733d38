//! What is asked about the server itself.

use serde_json::json;

use super::operation::{Operation, value};
use crate::wire::described::{Anything, Version};
use crate::wire::schema::{free, named};

const TAG: &str = "Service";

pub(super) fn operations() -> Vec<Operation> {
    let at = |path, id, summary| Operation::new("GET", path, id, TAG, summary);
    let text = |operation: Operation, kind: &str| operation.answers_bare(&[kind], &json!({"type": "string"}));
    vec![
        at("/", "version", "The version of the dialect")
            .answers_bare(&["application/json"], &value(named::<Version>())),
        text(at("/healthz", "healthz", "Whether the process answers"), "text/plain"),
        text(at("/livez", "livez", "Whether the process answers"), "text/plain"),
        text(at("/readyz", "readyz", "Whether it takes reads and writes"), "text/plain"),
        text(at("/metrics", "metrics", "Figures, for Prometheus"), "text/plain"),
        at("/openapi.json", "openapi", "This document")
            .answers_bare(&["application/json"], &value(named::<Anything>())),
        text(at("/docs", "docs", "This document, to be read and tried"), "text/html"),
        text(at("/docs/page.js", "docs_script", "What that page does"), "text/javascript"),
        Operation::new("POST", "/mcp", "mcp", TAG, "Tools for models, by the Model Context Protocol")
            .body_like(free(), json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}))
            .answers_bare(&["application/json", "text/event-stream"], &value(named::<Anything>()))
            .also(406)
            .also(415)
            .elsewhere(),
    ]
}
