//! Models as clients: the Model Context Protocol, over streamable HTTP (`POST /mcp`) and on standard input and output
//! (`kithdb mcp`).
//!
//! Each tool is a translation: into requests to the routes, with the keys that the caller showed, and of their answers
//! into text and JSON that a model reads. So rights, strict mode and limits hold as they do for everyone, and no tool
//! can do what a route refuses. A refusal is the result of a tool, with the words of the route: a model reads those and
//! asks better; only what is no request at all is an error of the protocol.
//!
//! Invariant: nothing is kept between two requests, there are no sessions: any server answers any request. Pages of
//! other sites cannot ask: an `Origin` must be of this machine, and so must the `Host` where there are no keys.
//! Cost: beside that of the routes, JSON once more, about 50 µs.
//! When not to use: in programs. The routes say more, and in one step less.

mod ask;
mod documents;
mod found;
mod prompts;
mod resources;
mod tools;

use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as Shared};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::Response;
use axum::{Extension, Router};
use kithdb::{Error, Result};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, GetPromptRequestParams, GetPromptResponse, Implementation,
    ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt as _};

use crate::access::Rights;
use crate::body::{self, Allowance};
use crate::{State, VERSION, error, wire};
use ask::Asker;

/// What a model is told about all of it.
const INSTRUCTIONS: &str = "KithDB holds documents in collections. Use list_collections to see them, search to find \
    passages, and fetch to read one in full by the id that search gave. Cite the url of what you use. Filters are \
    texts such as: year >= 2020 AND lang IN ('en', 'de').";

/// Bytes of a refusal that are told.
const REFUSAL_BYTES_MAX: usize = 4096;

/// Origins of browsers on this machine.
const ORIGINS: [&str; 6] = [
    "http://localhost:*",
    "http://127.0.0.1:*",
    "http://[::1]:*",
    "https://localhost:*",
    "https://127.0.0.1:*",
    "https://[::1]:*",
];

/// The protocol over a database.
#[derive(Clone)]
pub(crate) struct Mcp {
    state: State,
    /// Every route but this one.
    routes: Router,
    is_read_only: bool,
}

/// The protocol over HTTP.
pub(crate) type Service = StreamableHttpService<Mcp, NeverSessionManager>;

impl Mcp {
    /// The protocol over routes.
    pub(crate) fn new(state: State, routes: Router, is_read_only: bool) -> Self {
        Self { state, routes, is_read_only }
    }

    /// What answers requests over HTTP.
    pub(crate) fn over_http(self) -> Arc<Service> {
        let mut config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            .with_allowed_origins(ORIGINS)
            .with_max_request_body_bytes(self.state.inner.db.limits().body_bytes_max);
        if !self.state.inner.keys.is_empty() {
            // Who reaches the server under another name has no key to show.
            config = config.disable_allowed_hosts();
        }
        Arc::new(StreamableHttpService::new(move || Ok(self.clone()), Arc::default(), config))
    }

    /// Answers on standard input and output, until the former ends.
    ///
    /// # Errors
    /// `InvalidArgument` when what comes is not the protocol.
    pub(crate) async fn over_stdio(self) -> Result<()> {
        let broken = |error: &dyn std::fmt::Display| {
            Error::invalid("stdin", format!("is not the Model Context Protocol: {error}"))
        };
        let running = self.serve(rmcp::transport::stdio()).await.map_err(|error| broken(&error))?;
        running.waiting().await.map(|_| ()).map_err(|error| broken(&error))
    }

    /// Who asks: with the keys of the HTTP request, or, on standard input, as the owner of the process.
    fn asker(&self, context: &RequestContext<RoleServer>) -> Asker<'_> {
        let parts = context.extensions.get::<Parts>();
        let headers = parts.map_or_else(HeaderMap::new, |parts| parts.headers.clone());
        let rights = parts.and_then(|parts| parts.extensions.get::<Rights>());
        let is_read_only = self.is_read_only || rights.is_some_and(|rights| !rights.writes());
        Asker::new(&self.state, &self.routes, &headers, is_read_only)
    }
}

impl ServerHandler for Mcp {
    fn get_info(&self) -> ServerConfig {
        let capabilities =
            ServerCapabilities::builder().enable_tools().enable_resources().enable_prompts().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("kithdb", VERSION).with_title("KithDB"))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> std::result::Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::all(self.asker(&context).is_read_only)))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> std::result::Result<CallToolResponse, ErrorData> {
        tools::call(&self.asker(&context), &request.name, request.arguments.unwrap_or_default()).await
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> std::result::Result<ListPromptsResult, ErrorData> {
        Ok(prompts::all())
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> std::result::Result<GetPromptResponse, ErrorData> {
        prompts::get(&self.asker(&context), request).await
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> std::result::Result<ListResourcesResult, ErrorData> {
        resources::list(&self.asker(&context)).await
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> std::result::Result<ListResourceTemplatesResult, ErrorData> {
        Ok(resources::templates())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> std::result::Result<ReadResourceResponse, ErrorData> {
        resources::read(&self.asker(&context), &request.uri).await
    }
}

/// `POST /mcp`. What is read of the body is held to the same limits as any other.
pub(crate) async fn answer(
    Shared(state): Shared<State>,
    Extension(service): Extension<Arc<Service>>,
    request: Request,
) -> Response {
    let began = Instant::now();
    let allowance = Allowance {
        bytes_max: state.inner.db.limits().body_bytes_max,
        time_max: state.inner.limits.body_time_max,
        blocks: Arc::clone(&state.inner.blocks),
    };
    let (parts, body) = request.into_parts();
    match body::read(&parts.headers, body, &allowance).await {
        Ok(held) => {
            let _blocks = held.blocks;
            let tree = state.inner.trees.part();
            if let Err(refused) = wire::weigh(&held.bytes, &tree) {
                return error::respond(&refused, began);
            }
            let response = service.handle(Request::from_parts(parts, Body::from(held.bytes))).await;
            told(response.map(Body::new), began).await
        }
        Err(refused) => error::respond(&refused, began),
    }
}

/// An answer of the library; what it refuses, it does by a bare sentence.
async fn told(response: Response, began: Instant) -> Response {
    let status = response.status();
    if !status.is_client_error() || response.headers().contains_key(CONTENT_TYPE) {
        return response;
    }
    let text = to_bytes(response.into_body(), REFUSAL_BYTES_MAX).await.unwrap_or_default();
    let refused = Error::invalid("request", String::from_utf8_lossy(&text).into_owned());
    let mut response = error::respond(&refused, began);
    *response.status_mut() = status;
    response
}
