//! The REST API of the hub: `/api/v1`, one file per resource.
//!
//! ```text
//! TLS ([`server`]) ──▶ count ──▶ guard: who calls, may they? ([`guard`]) ──▶ handler ──▶ Hub ──▶ JSON | Problem
//! ```
//!
//! Every route stands once in [`ROUTES`], together with what it takes to use it. A handler reads its request through
//! [`extract`] (bounded, strict), calls one method of the hub, and shows the answer.

mod api_tokens;
mod blobs;
mod budgets;
mod bundles;
mod deployments;
mod diff;
mod events;
mod extract;
mod guard;
mod images;
mod lines;
mod logs;
mod nodes;
pub mod openapi;
mod problem;
mod publishers;
mod releases;
pub mod server;
mod system;
mod tokens;
pub mod types;
mod watch;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use shared::fault::{Fault, hub as texts};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use problem::ApiError;

use crate::access::{Resource, Verb};
use crate::hub::Hub;
use crate::images::Limits;
use crate::stop::Stop;

/// Most watches at the same time.
pub const WATCHES_MAX: usize = 256;
/// Most image ingests at the same time.
pub const INGESTS_MAX: usize = 4;

/// Most comparisons of releases at the same time.
pub const DIFFS_MAX: usize = 4;

/// What handlers share.
#[derive(Clone)]
pub struct Api {
    /// The hub.
    pub hub: Arc<Hub>,
    /// Bounds of images.
    pub limits: Limits,
    /// Registries, `host:port`, that are reached by plain HTTP because an operator said so.
    pub plain_http: Arc<BTreeSet<String>>,
    /// Permits for watches.
    pub watches: Arc<Semaphore>,
    /// Permits for image ingests.
    pub ingests: Arc<Semaphore>,
    /// Permits for comparisons of releases.
    pub diffs: Arc<Semaphore>,
    /// Says `true` when the hub stops, so that endless answers end.
    pub stop: Stop,
}

/// What it takes to use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    Open,
    /// A token whose role allows this.
    Needs(Verb, Resource),
}

/// One route.
pub struct Route {
    /// The method; HEAD comes with GET.
    pub method: Method,
    /// The path, as in the OpenAPI document.
    pub path: &'static str,
    /// What it takes.
    pub access: Access,
    handler: fn() -> MethodRouter<Api>,
}

const fn route(method: Method, path: &'static str, access: Access, handler: fn() -> MethodRouter<Api>) -> Route {
    Route { method, path, access, handler }
}

const fn read(resource: Resource) -> Access {
    Access::Needs(Verb::Read, resource)
}

const fn write(resource: Resource) -> Access {
    Access::Needs(Verb::Write, resource)
}

/// Every route of the hub.
pub static ROUTES: &[Route] = &[
    route(Method::GET, "/healthz", Access::Open, || get(system::healthz)),
    route(Method::GET, "/readyz", Access::Open, || get(system::readyz)),
    route(Method::GET, "/metrics", read(Resource::Metrics), || get(system::metrics)),
    route(Method::GET, "/openapi.json", Access::Open, || get(system::openapi)),
    route(Method::GET, "/api/v1/version", Access::Open, || get(system::version)),
    route(Method::GET, "/api/v1/whoami", read(Resource::Caller), || get(system::whoami)),
    route(Method::GET, "/api/v1/publishers", read(Resource::Publishers), || get(publishers::list)),
    route(Method::POST, "/api/v1/publishers", write(Resource::Publishers), || post(publishers::create)),
    route(Method::DELETE, "/api/v1/publishers/{name}", write(Resource::Publishers), || delete(publishers::remove)),
    route(Method::GET, "/api/v1/blobs/{digest}", read(Resource::Blobs), || get(blobs::download)),
    route(Method::HEAD, "/api/v1/blobs/{digest}", read(Resource::Blobs), || axum::routing::head(blobs::head)),
    route(Method::PUT, "/api/v1/blobs/{digest}", write(Resource::Blobs), || put(blobs::upload)),
    route(Method::PATCH, "/api/v1/blobs/{digest}", write(Resource::Blobs), || patch(blobs::upload_part)),
    route(Method::POST, "/api/v1/images:ingest", write(Resource::Images), || post(images::ingest)),
    route(Method::GET, "/api/v1/apps", read(Resource::Releases), || get(releases::apps)),
    route(Method::GET, "/api/v1/releases", read(Resource::Releases), || get(releases::list)),
    route(Method::POST, "/api/v1/releases", write(Resource::Releases), || post(releases::publish)),
    route(Method::GET, "/api/v1/releases/{release}", read(Resource::Releases), || get(releases::show)),
    route(Method::DELETE, "/api/v1/releases/{release}", write(Resource::Releases), || delete(releases::remove)),
    route(Method::GET, "/api/v1/releases/{release}/diff", read(Resource::Releases), || get(diff::diff)),
    route(Method::GET, "/api/v1/bundle/plan", read(Resource::Blobs), || get(bundles::plan)),
    route(Method::GET, "/api/v1/bundle", read(Resource::Blobs), || get(bundles::download)),
    route(Method::GET, "/api/v1/deployments", read(Resource::Deployments), || get(deployments::list)),
    route(Method::GET, "/api/v1/deployments/{name}", read(Resource::Deployments), || get(deployments::show)),
    route(Method::PUT, "/api/v1/deployments/{name}", write(Resource::Deployments), || put(deployments::apply)),
    route(Method::DELETE, "/api/v1/deployments/{name}", write(Resource::Deployments), || delete(deployments::remove)),
    route(Method::POST, "/api/v1/deployments/{name}/rollback", write(Resource::Deployments), || post(deployments::rollback)),
    route(Method::GET, "/api/v1/budgets", read(Resource::Budgets), || get(budgets::list)),
    route(Method::GET, "/api/v1/budgets/{name}", read(Resource::Budgets), || get(budgets::show)),
    route(Method::PUT, "/api/v1/budgets/{name}", write(Resource::Budgets), || put(budgets::apply)),
    route(Method::DELETE, "/api/v1/budgets/{name}", write(Resource::Budgets), || delete(budgets::remove)),
    route(Method::GET, "/api/v1/nodes", read(Resource::Nodes), || get(nodes::list)),
    route(Method::GET, "/api/v1/nodes/{name}", read(Resource::Nodes), || get(nodes::show)),
    route(Method::PATCH, "/api/v1/nodes/{name}", write(Resource::Nodes), || patch(nodes::label)),
    route(Method::DELETE, "/api/v1/nodes/{name}", write(Resource::Nodes), || delete(nodes::remove)),
    route(Method::POST, "/api/v1/nodes/{name}/revoke", write(Resource::Nodes), || post(nodes::revoke)),
    route(Method::GET, "/api/v1/nodes/{name}/logs", read(Resource::Logs), || get(logs::read)),
    route(Method::POST, "/api/v1/receipts", write(Resource::Nodes), || post(bundles::merge)),
    route(Method::GET, "/api/v1/tokens", read(Resource::Tokens), || get(tokens::list)),
    route(Method::POST, "/api/v1/tokens", write(Resource::Tokens), || post(tokens::create)),
    route(Method::DELETE, "/api/v1/tokens/{node}", write(Resource::Tokens), || delete(tokens::remove)),
    route(Method::POST, "/api/v1/enroll", Access::Open, || post(tokens::enroll)),
    route(Method::GET, "/api/v1/api-tokens", read(Resource::ApiTokens), || get(api_tokens::list)),
    route(Method::POST, "/api/v1/api-tokens", write(Resource::ApiTokens), || post(api_tokens::create)),
    route(Method::DELETE, "/api/v1/api-tokens/{name}", write(Resource::ApiTokens), || delete(api_tokens::remove)),
    route(Method::GET, "/api/v1/events", read(Resource::Events), || get(events::list)),
    route(Method::GET, "/api/v1/watch", read(Resource::Events), || get(watch::watch)),
];

/// The whole API as one service.
pub fn router(api: Api) -> Router {
    let routes = ROUTES.iter().fold(Router::new(), |router, route| router.route(route.path, (route.handler)()));
    routes
        .method_not_allowed_fallback(problem::no_method)
        .route_layer(from_fn_with_state(api.clone(), guard::guard))
        .fallback(problem::no_route)
        .layer(from_fn_with_state(api.clone(), guard::count))
        .layer(from_fn(guard::headers))
        .layer(DefaultBodyLimit::disable())
        .with_state(api)
}

/// A part of what handlers may do at the same time, which is `max` of `what`.
fn permit(permits: &Arc<Semaphore>, what: &str, max: usize) -> Result<OwnedSemaphorePermit, ApiError> {
    permits.clone().try_acquire_owned().map_err(|_| {
        let fault = Fault::new(&texts::TOO_MANY).with("what", what).with("max", max);
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, fault)
    })
}

/// Does work to its end even if whoever asked for it goes away meanwhile.
async fn to_its_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, ApiError> {
    tokio::spawn(work).await.map_err(|error| {
        tracing::error!(%error, "a request's work broke");
        let fault = Fault::new(&texts::RUNTIME_FAILED).with("doing", "api").with("cause", error);
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, fault)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_route_stands_twice_and_only_these_are_open() {
        let all: BTreeSet<(&str, &str)> = ROUTES.iter().map(|route| (route.method.as_str(), route.path)).collect();
        assert_eq!(all.len(), ROUTES.len());
        let open: Vec<&str> = ROUTES.iter().filter(|route| route.access == Access::Open).map(|route| route.path).collect();
        assert_eq!(open, ["/healthz", "/readyz", "/openapi.json", "/api/v1/version", "/api/v1/enroll"]);
    }

    #[test]
    fn what_reads_does_not_need_the_right_to_write() {
        for route in ROUTES {
            let Access::Needs(verb, _) = route.access else { continue };
            let reads = matches!(route.method, Method::GET | Method::HEAD);
            assert_eq!(verb == Verb::Read, reads, "{} {}", route.method, route.path);
        }
    }
}
