//! The addresses: one line a route, with what it asks of its caller; one small function each in the modules.
//!
//! Invariant: there is no route without a [`Need`](crate::access::Need). A function of a route is synchronous: it gets
//! a [`Call`], asks the database, and returns what goes into `result`.

mod answers;
mod bulk;
mod call;
mod collections;
mod cursors;
mod documents;
mod eval;
mod feedback;
mod node;
mod openapi;
mod points;
mod service;
mod snapshots;
mod table;
mod telemetry;
pub(crate) mod v1;

use axum::handler::Handler as _;
use axum::middleware;
use axum::{Extension, Router};
use tower_http::catch_panic::CatchPanicLayer;

use crate::access::Need::{Key, Manage, Metrics, Nothing, Read, ReadAll, ReadWhole, Write, WriteWhole};
use crate::access::{Gate, guard};
use crate::lanes::Lane::{Computes, Generates, Waits};
use crate::mcp::{self, Mcp};
use crate::{State, cors, observe};
use call::{Call, later, route};
pub(crate) use service::DIALECT_VERSION;
use table::Routes;

/// Every address that is served, as method and pattern: what a test that forgets none goes through.
pub fn addresses() -> Vec<(String, String)> {
    all().addresses()
}

/// Every route over a state.
pub fn router(state: &State) -> Router {
    let mcp = Mcp::new(state.clone(), routes(state), false).over_http();
    routes(state).layer(Extension(mcp))
}

/// The routes alone: what tools of models ask has no tools of its own.
pub(crate) fn routes(state: &State) -> Router {
    let known = middleware::from_fn_with_state(Gate { state: state.clone(), need: Key }, guard);
    let mut routes = all()
        .into_router(state)
        .fallback(service::no_route.layer(known.clone()))
        .method_not_allowed_fallback(service::no_method.layer(known))
        .layer(CatchPanicLayer::custom(service::panicked));
    if !state.inner.cors_origins.is_empty() {
        routes = routes.layer(middleware::from_fn_with_state(state.clone(), cors::answer));
    }
    routes.layer(middleware::from_fn_with_state(state.clone(), observe::observe)).with_state(state.clone())
}

fn all() -> Routes {
    let routes = collection_routes(service_routes(Routes::default()));
    let routes = legacy_routes(update_routes(point_routes(routes)));
    document_routes(v1::routes(bulk_routes(snapshot_routes(node_routes(routes)))))
}

fn service_routes(routes: Routes) -> Routes {
    routes
        .get("/", Nothing, service::version)
        .get("/healthz", Nothing, service::health)
        .get("/livez", Nothing, service::health)
        .get("/readyz", Nothing, service::ready)
        .get("/metrics", Metrics, service::metrics)
        .get("/openapi.json", Nothing, openapi::sent)
        .get("/docs", Nothing, openapi::page)
        .get("/docs/page.js", Nothing, openapi::script)
        // Each tool asks further routes, with the same key.
        .post("/mcp", Key, mcp::answer)
}

fn collection_routes(routes: Routes) -> Routes {
    let at = |rest: &str| format!("/collections/{{collection}}{rest}");
    routes
        .get("/collections", Key, route(Waits, collections::list))
        .post("/collections/aliases", Manage, route(Waits, collections::change_aliases))
        .get("/aliases", Key, route(Waits, collections::aliases))
        .get(&at(""), Read, route(Waits, collections::describe))
        .put(&at(""), Manage, route(Waits, collections::create))
        .patch(&at(""), Manage, route(Waits, collections::update))
        .delete(&at(""), Manage, route(Waits, collections::drop))
        .get(&at("/aliases"), Read, route(Waits, collections::aliases_of))
        .get(&at("/exists"), Read, route(Waits, collections::exists))
        .put(&at("/vectors/{vector}"), WriteWhole, route(Waits, collections::create_vector))
        .delete(&at("/vectors/{vector}"), WriteWhole, route(Waits, collections::drop_vector))
        .put(&at("/index"), WriteWhole, route(Waits, collections::create_field))
        .delete(&at("/index/{field}"), WriteWhole, route(Waits, collections::drop_field))
        .get("/api/v1/collections/{collection}", Read, route(Waits, collections::describe_fully))
        .post("/api/v1/collections/{collection}/optimize", WriteWhole, route(Waits, collections::optimize))
}

fn point_routes(routes: Routes) -> Routes {
    let at = |rest: &str| format!("/collections/{{collection}}/points{rest}");
    routes
        .put(&at(""), Write, route(Waits, points::upsert))
        .post(&at(""), Read, route(Computes, points::retrieve))
        .get(&at("/{id}"), Read, route(Computes, points::get))
        .post(&at("/delete"), Write, route(Waits, points::delete))
        .post(&at("/scroll"), Read, route(Computes, points::scroll))
        .post(&at("/count"), Read, route(Computes, points::count))
        .post(&at("/query"), Read, route(Computes, points::query))
        .post(&at("/query/batch"), Read, route(Computes, points::query_batch))
        .post(&at("/query/groups"), Read, route(Computes, points::query_groups))
        .post(&at("/search/matrix/pairs"), Read, route(Computes, points::matrix_pairs))
        .post(&at("/search/matrix/offsets"), Read, route(Computes, points::matrix_offsets))
        .post("/collections/{collection}/facet", Read, route(Computes, points::facet))
        .post("/api/v1/collections/{collection}/why-not", Read, route(Computes, points::why_not))
        .post("/api/v1/collections/{collection}/cursors", Read, route(Computes, cursors::begin))
        .post("/api/v1/cursors/{cursor}", Key, route(Computes, cursors::next))
        .delete("/api/v1/cursors/{cursor}", Key, route(Waits, cursors::close))
}

/// Writes beyond upserts and deletions.
fn update_routes(routes: Routes) -> Routes {
    let at = |rest: &str| format!("/collections/{{collection}}/points{rest}");
    routes
        .post(&at("/payload"), Write, route(Waits, points::set_payload))
        .put(&at("/payload"), Write, route(Waits, points::overwrite_payload))
        .post(&at("/payload/delete"), Write, route(Waits, points::delete_payload))
        .post(&at("/payload/clear"), Write, route(Waits, points::clear_payload))
        .put(&at("/vectors"), Write, route(Waits, points::update_vectors))
        .post(&at("/vectors/delete"), Write, route(Waits, points::delete_vectors))
        .post(&at("/batch"), Write, route(Waits, points::update_batch))
        // Each operation names its collection: the handler checks them all.
        .post("/api/v1/transaction", Key, route(Waits, points::transaction))
}

/// What `query` says as well, for clients from before it.
fn legacy_routes(routes: Routes) -> Routes {
    let at = |rest: &str| format!("/collections/{{collection}}/points{rest}");
    routes
        .post(&at("/search"), Read, route(Computes, points::search))
        .post(&at("/search/batch"), Read, route(Computes, points::search_batch))
        .post(&at("/search/groups"), Read, route(Computes, points::search_groups))
        .post(&at("/recommend"), Read, route(Computes, points::recommend))
        .post(&at("/recommend/batch"), Read, route(Computes, points::recommend_batch))
        .post(&at("/recommend/groups"), Read, route(Computes, points::recommend_groups))
        .post(&at("/discover"), Read, route(Computes, points::discover))
        .post(&at("/discover/batch"), Read, route(Computes, points::discover_batch))
}

/// What a cluster is asked, and the little that is asked of any node.
fn node_routes(routes: Routes) -> Routes {
    let at = |rest: &str| format!("/collections/{{collection}}{rest}");
    let mut routes = routes
        .get("/telemetry", Key, route(Waits, telemetry::telemetry))
        .get("/api/v1/slow-queries", Key, route(Waits, telemetry::slow_queries))
        .get("/cluster", ReadAll, route(Waits, node::cluster))
        .get("/cluster/telemetry", Key, node::alone)
        .get("/issues", Key, route(Waits, node::issues))
        .delete("/issues", Manage, route(Waits, node::clear_issues))
        .get("/quotas", ReadAll, route(Waits, node::quotas))
        .put("/quotas", Manage, route(Waits, node::set_quotas))
        .get(&at("/cluster"), Read, route(Waits, node::shards))
        .post(&at("/cluster"), Manage, node::alone)
        .get(&at("/shards"), Read, route(Waits, node::shard_keys))
        .put(&at("/shards"), Manage, node::alone)
        .get(&at("/optimizations"), Read, route(Waits, node::optimizing));
    for path in ["/cluster/recover", "/cluster/peer/{peer}", &at("/shards/delete")] {
        routes = routes.post(path, Manage, node::alone).put(path, Manage, node::alone);
        routes = routes.delete(path, Manage, node::alone);
    }
    routes
}

/// Bodies and answers of these may be too large to hold.
fn snapshot_routes(routes: Routes) -> Routes {
    let at = |rest: &str| format!("/collections/{{collection}}/snapshots{rest}");
    let of_shard = |rest: &str| format!("/collections/{{collection}}/shards/{{shard}}/snapshots{rest}");
    routes
        .get(&of_shard(""), ReadWhole, route(Waits, snapshots::list))
        .post(&of_shard(""), WriteWhole, later(snapshots::may_create, snapshots::create))
        .put(&of_shard("/recover"), Manage, later(snapshots::may_recover, snapshots::recover))
        .post(&of_shard("/upload"), Manage, snapshots::upload_to_shard)
        .get(&of_shard("/{snapshot}"), ReadWhole, snapshots::download_of_shard)
        .delete(&of_shard("/{snapshot}"), WriteWhole, later(snapshots::may_delete, snapshots::delete))
        .get("/snapshots", ReadAll, route(Waits, snapshots::list))
        .post("/snapshots", Manage, later(snapshots::may_create, snapshots::create))
        .get("/snapshots/{snapshot}", ReadAll, snapshots::download_of_all)
        .delete("/snapshots/{snapshot}", Manage, later(snapshots::may_delete, snapshots::delete))
        .get(&at(""), ReadWhole, route(Waits, snapshots::list))
        .post(&at(""), WriteWhole, later(snapshots::may_create, snapshots::create))
        .put(&at("/recover"), Manage, later(snapshots::may_recover, snapshots::recover))
        .post(&at("/upload"), Manage, snapshots::upload)
        .get(&at("/{snapshot}"), ReadWhole, snapshots::download_of)
        .delete(&at("/{snapshot}"), WriteWhole, later(snapshots::may_delete, snapshots::delete))
}

/// Points in columns, as many as there are.
fn bulk_routes(routes: Routes) -> Routes {
    let at = |rest: &str| format!("/api/v1/collections/{{collection}}{rest}");
    routes
        .get(&at("/import"), ReadWhole, route(Waits, bulk::imports))
        .post(&at("/import"), WriteWhole, bulk::import)
        .get(&at("/export"), ReadWhole, bulk::export)
}

/// Documents, the jobs that ingest them, how well questions find them, and what answers were worth.
fn document_routes(routes: Routes) -> Routes {
    let at = |rest: &str| format!("/api/v1/collections/{{collection}}{rest}");
    routes
        .post(&at("/documents"), Write, route(Waits, documents::upload))
        .get(&at("/documents"), Read, route(Computes, documents::list))
        .get(&at("/documents/{document}"), Read, route(Computes, documents::get))
        .delete(&at("/documents/{document}"), Write, route(Waits, documents::remove))
        .get(&at("/jobs"), Read, route(Computes, documents::jobs_of))
        .get("/api/v1/jobs/{job}", Key, route(Computes, documents::job))
        .put(&at("/eval/questions"), Write, route(Waits, eval::put))
        .get(&at("/eval/questions"), Read, route(Computes, eval::list))
        .delete(&at("/eval/questions"), Write, route(Waits, eval::clear))
        .post(&at("/eval"), Read, route(Computes, eval::run))
        .post(&at("/eval/answers"), Read, route(Generates, answers::run))
        // Who may ask may say what the answer was worth; what others asked is read by who may write.
        .post(&at("/feedback"), Read, route(Waits, feedback::give))
        .get(&at("/feedback"), Write, route(Computes, feedback::list))
        .delete(&at("/feedback"), Write, route(Waits, feedback::clear))
        .get(&at("/feedback/questions"), Write, route(Computes, feedback::questions))
        .post(&at("/eval/learn"), WriteWhole, route(Computes, eval::learn))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};
    use std::time::Duration;

    use kithdb::{Database, Result};
    use tokio::net::TcpListener;
    use tokio::task::spawn_blocking;

    use super::*;
    use crate::ServeOptions;

    fn broken(_: &Call) -> Result<bool> {
        panic!("a defect")
    }

    fn fine(_: &Call) -> Result<()> {
        Ok(())
    }

    fn slow(_: &Call) -> Result<bool> {
        std::thread::sleep(Duration::from_secs(5));
        Ok(true)
    }

    fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).expect("a connection");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// There was no end of them, and writes stood behind them all. Who goes away without waiting changes nothing.
    #[tokio::test(flavor = "multi_thread")]
    async fn operations_that_take_long_have_an_end() {
        let state = State::new(Database::in_memory().expect("a database"), None, &ServeOptions::default());
        let routes = Routes::default().get("/slow", Key, later(fine, slow)).into_router(&state);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let service = routes.with_state(state.clone()).merge(router(&state));
        tokio::spawn(axum::serve(listener, service).into_future());
        let asked = spawn_blocking(move || {
            for _ in 0..8 {
                let mut stream = TcpStream::connect(address).expect("a connection");
                stream.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").expect("sent");
                std::thread::sleep(Duration::from_millis(50));
            }
            let answers: Vec<String> = (0..20).map(|_| ask(address, "/slow?wait=false")).collect();
            (answers, ask(address, "/collections"))
        });
        let (answers, other) = asked.await.expect("asked");
        let count = |status: &str| answers.iter().filter(|answer| answer.starts_with(status)).count();
        assert_eq!([count("HTTP/1.1 202"), count("HTTP/1.1 503")], [8, 12], "{answers:?}");
        assert!(answers[19].contains("16 operations that take long") && answers[19].contains("retry-after"));
        assert!(other.starts_with("HTTP/1.1 200"), "{other}");
    }

    #[tokio::test]
    async fn a_panic_is_answered_in_the_envelope_and_the_server_goes_on() {
        let state = State::new(Database::in_memory().expect("a database"), None, &ServeOptions::default());
        let routes = Routes::default().get("/broken", Key, route(Computes, broken)).into_router(&state);
        let routes = routes.layer(CatchPanicLayer::custom(service::panicked)).with_state(state.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(axum::serve(listener, routes.merge(router(&state))).into_future());
        for (path, expected) in
            [("/broken", "500 Internal"), ("/broken", "a defect of"), ("/healthz", "200 OK")]
        {
            let answer = spawn_blocking(move || ask(address, path)).await.expect("asked");
            assert!(answer.contains(expected), "{answer}");
        }
    }
}
