//! The addresses: one line a route, one small function each in the modules.
//!
//! A function of a route is synchronous: it gets a [`Call`], asks the database, and returns what goes into `result`.

mod bulk;
mod call;
mod collections;
mod cursors;
mod node;
mod points;
mod service;
mod snapshots;

use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State as Shared};
use axum::http::HeaderName;
use axum::http::header::HeaderValue;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{delete, get, post, put};
use tower_http::catch_panic::CatchPanicLayer;

use crate::lanes::Lane::{Computes, Waits};
use crate::{State, VERSION};
use call::{Call, route};

/// The header with the version of KithDB; the body of `GET /` has the version of the dialect.
const VERSION_HEADER: HeaderName = HeaderName::from_static("kithdb-version");

/// Every route over a state.
pub fn router(state: State) -> Router {
    Router::new()
        .merge(service_routes())
        .merge(collection_routes())
        .merge(point_routes())
        .merge(update_routes())
        .merge(legacy_routes())
        .merge(node_routes())
        .merge(snapshot_routes())
        .merge(bulk_routes())
        .fallback(service::no_route)
        .method_not_allowed_fallback(service::no_method)
        .layer(CatchPanicLayer::custom(service::panicked))
        .layer(middleware::from_fn_with_state(state.clone(), observe))
        .with_state(state)
}

fn service_routes() -> Router<State> {
    Router::new()
        .route("/", get(service::version))
        .route("/healthz", get(service::health))
        .route("/livez", get(service::health))
        .route("/readyz", get(service::ready))
        .route("/metrics", get(service::metrics))
}

fn collection_routes() -> Router<State> {
    let one = get(route(Waits, collections::describe))
        .put(route(Waits, collections::create))
        .patch(route(Waits, collections::update))
        .delete(route(Waits, collections::drop));
    let vector = put(route(Waits, collections::create_vector)).delete(route(Waits, collections::drop_vector));
    Router::new()
        .route("/collections", get(route(Waits, collections::list)))
        .route("/collections/aliases", post(route(Waits, collections::change_aliases)))
        .route("/collections/{collection}", one)
        .route("/collections/{collection}/aliases", get(route(Waits, collections::aliases_of)))
        .route("/aliases", get(route(Waits, collections::aliases)))
        .route("/collections/{collection}/exists", get(route(Waits, collections::exists)))
        .route("/collections/{collection}/vectors/{vector}", vector)
        .route("/collections/{collection}/index", put(route(Waits, collections::create_field)))
        .route("/collections/{collection}/index/{field}", delete(route(Waits, collections::drop_field)))
        .route("/api/v1/collections/{collection}", get(route(Waits, collections::describe_fully)))
}

fn point_routes() -> Router<State> {
    let all = put(route(Waits, points::upsert)).post(route(Computes, points::retrieve));
    Router::new()
        .route("/collections/{collection}/points", all)
        .route("/collections/{collection}/points/{id}", get(route(Computes, points::get)))
        .route("/collections/{collection}/points/delete", post(route(Waits, points::delete)))
        .route("/collections/{collection}/points/scroll", post(route(Computes, points::scroll)))
        .route("/collections/{collection}/points/count", post(route(Computes, points::count)))
        .route("/collections/{collection}/points/query", post(route(Computes, points::query)))
        .route("/collections/{collection}/points/query/batch", post(route(Computes, points::query_batch)))
        .route("/collections/{collection}/points/query/groups", post(route(Computes, points::query_groups)))
        .route("/api/v1/collections/{collection}/why-not", post(route(Computes, points::why_not)))
        .route("/collections/{collection}/facet", post(route(Computes, points::facet)))
        .route("/api/v1/collections/{collection}/cursors", post(route(Computes, cursors::begin)))
        .route(
            "/api/v1/cursors/{cursor}",
            post(route(Computes, cursors::next)).delete(route(Waits, cursors::close)),
        )
        .route(&matrix("pairs"), post(route(Computes, points::matrix_pairs)))
        .route(&matrix("offsets"), post(route(Computes, points::matrix_offsets)))
}

/// Writes beyond upserts and deletions.
fn update_routes() -> Router<State> {
    let payload = post(route(Waits, points::set_payload)).put(route(Waits, points::overwrite_payload));
    Router::new()
        .route("/collections/{collection}/points/payload", payload)
        .route("/collections/{collection}/points/payload/delete", post(route(Waits, points::delete_payload)))
        .route("/collections/{collection}/points/payload/clear", post(route(Waits, points::clear_payload)))
        .route("/collections/{collection}/points/vectors", put(route(Waits, points::update_vectors)))
        .route("/collections/{collection}/points/vectors/delete", post(route(Waits, points::delete_vectors)))
        .route("/collections/{collection}/points/batch", post(route(Waits, points::update_batch)))
        .route("/api/v1/transaction", post(route(Waits, points::transaction)))
}

/// What `query` says as well, for clients from before it.
fn legacy_routes() -> Router<State> {
    let points = |rest: &str| format!("/collections/{{collection}}/points/{rest}");
    Router::new()
        .route(&points("search"), post(route(Computes, points::search)))
        .route(&points("search/batch"), post(route(Computes, points::search_batch)))
        .route(&points("search/groups"), post(route(Computes, points::search_groups)))
        .route(&points("recommend"), post(route(Computes, points::recommend)))
        .route(&points("recommend/batch"), post(route(Computes, points::recommend_batch)))
        .route(&points("recommend/groups"), post(route(Computes, points::recommend_groups)))
        .route(&points("discover"), post(route(Computes, points::discover)))
        .route(&points("discover/batch"), post(route(Computes, points::discover_batch)))
}

/// What a cluster is asked, and the little that is asked of any node.
fn node_routes() -> Router<State> {
    let alone = || post(node::alone).put(node::alone).delete(node::alone);
    let issues = get(route(Waits, node::issues)).delete(route(Waits, node::clear_issues));
    Router::new()
        .route("/telemetry", get(route(Waits, node::telemetry)))
        .route("/cluster", get(route(Waits, node::cluster)))
        .route("/cluster/telemetry", get(node::alone))
        .route("/cluster/recover", alone())
        .route("/cluster/peer/{peer}", alone())
        .route("/issues", issues)
        .route("/quotas", get(route(Waits, node::quotas)).put(route(Waits, node::set_quotas)))
        .route("/collections/{collection}/cluster", get(route(Waits, node::shards)).post(node::alone))
        .route("/collections/{collection}/shards", get(route(Waits, node::shard_keys)).put(node::alone))
        .route("/collections/{collection}/shards/delete", alone())
        .route("/collections/{collection}/optimizations", get(route(Waits, node::optimizing)))
}

/// Bodies and answers of these may be too large to hold.
fn snapshot_routes() -> Router<State> {
    let all = || get(route(Waits, snapshots::list)).post(route(Waits, snapshots::create));
    let removed = || delete(route(Waits, snapshots::delete));
    let of = |rest: &str| format!("/collections/{{collection}}/snapshots{rest}");
    Router::new()
        .route("/snapshots", all())
        .route("/snapshots/{snapshot}", removed().get(snapshots::download_of_all))
        .route(&of(""), all())
        .route(&of("/recover"), put(route(Waits, snapshots::recover)))
        .route(&of("/upload"), post(snapshots::upload))
        .route(&of("/{snapshot}"), removed().get(snapshots::download_of))
}

/// Points in columns, as many as there are.
fn bulk_routes() -> Router<State> {
    let import = post(bulk::import).get(route(Waits, bulk::imports));
    Router::new()
        .route("/api/v1/collections/{collection}/import", import)
        .route("/api/v1/collections/{collection}/export", get(bulk::export))
}

fn matrix(form: &str) -> String {
    format!("/collections/{{collection}}/points/search/matrix/{form}")
}

/// Counts the request, and says which version answered it.
async fn observe(Shared(state): Shared<State>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    response.headers_mut().insert(VERSION_HEADER, HeaderValue::from_static(VERSION));
    // An address that does not exist is not kept: there is no end of them.
    let (method, route) = route.as_ref().map_or(("", ""), |route| (method.as_str(), route.as_str()));
    state.inner.metrics.record(method, route, response.status().as_u16(), began.elapsed());
    response
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};

    use kithdb::{Database, Result};
    use tokio::net::TcpListener;
    use tokio::task::spawn_blocking;

    use super::*;

    fn broken(_: &Call) -> Result<bool> {
        panic!("a defect")
    }

    fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).expect("a connection");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    #[tokio::test]
    async fn a_panic_is_answered_in_the_envelope_and_the_server_goes_on() {
        let state = State::new(Database::in_memory().expect("a database"), None);
        let routes = Router::new().route("/broken", get(route(Computes, broken)));
        let routes = routes.layer(CatchPanicLayer::custom(service::panicked)).with_state(state.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(axum::serve(listener, routes.merge(router(state))).into_future());
        for (path, expected) in
            [("/broken", "500 Internal"), ("/broken", "a defect of"), ("/healthz", "200 OK")]
        {
            let answer = spawn_blocking(move || ask(address, path)).await.expect("asked");
            assert!(answer.contains(expected), "{answer}");
        }
    }
}
