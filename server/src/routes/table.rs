//! Routes as they are declared: each with what it asks of its caller, so that none can be without.

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, patch, post, put};

use crate::State;
use crate::access::{Gate, Need, guard};

/// Routes, each with its method, its pattern and its need.
#[derive(Default)]
pub(super) struct Routes(Vec<Declared>);

struct Declared {
    method: &'static str,
    path: String,
    need: Need,
    handler: MethodRouter<State>,
}

impl Routes {
    pub(super) fn get<T: 'static>(self, path: &str, need: Need, handler: impl Handler<T, State>) -> Self {
        self.with("GET", path, need, get(handler))
    }

    pub(super) fn put<T: 'static>(self, path: &str, need: Need, handler: impl Handler<T, State>) -> Self {
        self.with("PUT", path, need, put(handler))
    }

    pub(super) fn post<T: 'static>(self, path: &str, need: Need, handler: impl Handler<T, State>) -> Self {
        self.with("POST", path, need, post(handler))
    }

    pub(super) fn patch<T: 'static>(self, path: &str, need: Need, handler: impl Handler<T, State>) -> Self {
        self.with("PATCH", path, need, patch(handler))
    }

    pub(super) fn delete<T: 'static>(self, path: &str, need: Need, handler: impl Handler<T, State>) -> Self {
        self.with("DELETE", path, need, delete(handler))
    }

    fn with(mut self, method: &'static str, path: &str, need: Need, handler: MethodRouter<State>) -> Self {
        self.0.push(Declared { method, path: path.to_owned(), need, handler });
        self
    }

    /// Method and pattern of each.
    pub(super) fn addresses(&self) -> Vec<(String, String)> {
        self.0.iter().map(|route| (route.method.to_owned(), route.path.clone())).collect()
    }

    /// What a route asks of its caller; nothing where there is no such route.
    pub(super) fn need(&self, method: &str, path: &str) -> Option<Need> {
        let found = self.0.iter().find(|route| route.method == method && route.path == path);
        found.map(|route| route.need)
    }

    /// The router, with each route behind what guards its need.
    pub(super) fn into_router(self, state: &State) -> Router<State> {
        self.0.into_iter().fold(Router::new(), |router, route| {
            let gate = Gate { state: state.clone(), need: route.need };
            router.route(&route.path, route.handler.route_layer(from_fn_with_state(gate, guard)))
        })
    }
}
