//! The local API: HTTP over a Unix socket that only root may open.
//!
//! The command line, and later the on-site page, are its clients. It reads snapshots and hands commands to the loop
//! through [`port::Node`]; it decides nothing. At most [`CONNECTIONS_MAX`] connections are served at once, bodies and
//! waits are bounded. The description of the API is `openapi.json`, which a test holds against [`ROUTES`].

mod apps;
mod carry;
mod listener;
mod logs;
mod metrics;
pub mod port;
pub mod problem;
mod secrets;
mod status;
mod transfers;
mod trust;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri, header::CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::{get, post, put};
use shared::fault::{Fault, node};

use crate::config::Config;
use crate::reserve::Reserve;
use crate::shutdown::Shutdown;
use port::{Command, Node};
use problem::{Answer, Problem};

pub use carry::{Import, ImportLine};
pub use listener::{CONNECTIONS_MAX, Listener};
pub use secrets::SECRET_MAX;
pub use status::{Hub, Status};
pub use transfers::TransferView;
pub use trust::{NewPublisher, TrustView};

/// Largest body of a request that carries no secret, in bytes.
const BODY_MAX: usize = 64 << 10;
/// A command must be durable within this time, in seconds.
const COMMAND_SECONDS: u64 = 30;
/// Open requests may finish for so long at shutdown.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Every route: method and path, as in `openapi.json`.
pub const ROUTES: &[(&str, &str)] = &[
    ("get", "/v1/status"),
    ("get", "/v1/apps"),
    ("get", "/v1/transfers"),
    ("get", "/v1/neighbours"),
    ("get", "/v1/disk"),
    ("post", "/v1/transfers/{verb}"),
    ("post", "/v1/transfers/{image}/{verb}"),
    ("get", "/v1/events"),
    ("get", "/v1/logs/{app}/{service}"),
    ("post", "/v1/apps/{app}/{verb}"),
    ("post", "/v1/apps/{app}/services/{service}/{verb}"),
    ("get", "/v1/secrets/{app}"),
    ("put", "/v1/secrets/{app}/{name}"),
    ("delete", "/v1/secrets/{app}/{name}"),
    ("get", "/v1/trust"),
    ("post", "/v1/trust/publishers"),
    ("post", "/v1/import"),
    ("get", "/v1/receipt"),
    ("get", "/metrics"),
    ("get", "/healthz"),
    ("get", "/openapi.json"),
];

/// What the handlers share.
struct Api<N> {
    node: Arc<N>,
    identity_dir: PathBuf,
    secrets_dir: PathBuf,
    reserve: Reserve,
}

impl<N> Clone for Api<N> {
    fn clone(&self) -> Self {
        let Self { node, identity_dir, secrets_dir, reserve } = self;
        let (identity_dir, secrets_dir) = (identity_dir.clone(), secrets_dir.clone());
        Self { node: node.clone(), identity_dir, secrets_dir, reserve: reserve.clone() }
    }
}

impl<N: Node> Api<N> {
    async fn command(&self, command: Command) -> Answer<StatusCode> {
        let done = tokio::time::timeout(Duration::from_secs(COMMAND_SECONDS), self.node.command(command)).await;
        match done {
            Ok(result) => result.map(|()| StatusCode::NO_CONTENT).map_err(Problem::from),
            Err(_) => {
                let fault = Fault::new(&node::API_TIMEOUT).with("seconds", COMMAND_SECONDS);
                Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, fault))
            }
        }
    }
}

/// The routes over `node`; what they write may take of `reserve`.
pub fn router<N: Node>(node: Arc<N>, config: &Config, reserve: Reserve) -> Router {
    let api = Api { node, identity_dir: config.identity_dir(), secrets_dir: config.secrets_dir(), reserve };
    let secret = put(secrets::put::<N>).delete(secrets::remove::<N>).layer(DefaultBodyLimit::max(SECRET_MAX + 1));
    Router::new()
        .route("/v1/status", get(status::status::<N>))
        .route("/v1/apps", get(apps::list::<N>))
        .route("/v1/transfers", get(transfers::list::<N>))
        .route("/v1/transfers/{verb}", post(transfers::all::<N>))
        .route("/v1/transfers/{image}/{verb}", post(transfers::one::<N>))
        .route("/v1/neighbours", get(status::neighbours::<N>))
        .route("/v1/disk", get(status::disk::<N>))
        .route("/v1/events", get(status::events::<N>))
        .route("/v1/logs/{app}/{service}", get(logs::logs::<N>))
        .route("/v1/apps/{app}/{verb}", post(apps::app::<N>))
        .route("/v1/apps/{app}/services/{service}/{verb}", post(apps::service::<N>))
        .route("/v1/secrets/{app}", get(secrets::list::<N>))
        .route("/v1/secrets/{app}/{name}", secret)
        .route("/v1/trust", get(trust::show::<N>))
        .route("/v1/trust/publishers", post(trust::add::<N>))
        .route("/v1/import", post(carry::import::<N>))
        .route("/v1/receipt", get(carry::receipt::<N>))
        .route("/metrics", get(metrics::metrics::<N>))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/openapi.json", get(openapi))
        .fallback(nothing)
        .method_not_allowed_fallback(nothing)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(api)
}

/// Serves the API until shutdown; then open requests have two seconds, and logs that are followed end.
pub async fn serve<N: Node>(
    listener: Listener,
    node: Arc<N>,
    config: &Config,
    reserve: Reserve,
    shutdown: Shutdown,
) -> io::Result<()> {
    let mut asked = shutdown.clone();
    let graceful = async move { asked.wait().await };
    let serving = axum::serve(listener, router(node, config, reserve)).with_graceful_shutdown(graceful).into_future();
    let mut asked = shutdown;
    let last = async move {
        asked.wait().await;
        tokio::time::sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        result = serving => result,
        () = last => Ok(()),
    }
}

async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], include_str!("openapi.json"))
}

async fn nothing(method: Method, uri: Uri) -> Problem {
    Problem::not_found(Fault::new(&node::API_NO_ROUTE).with("method", method).with("path", uri.path()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_description_has_every_route_and_no_other() {
        let document: serde_json::Value = serde_json::from_str(include_str!("openapi.json")).expect("json");
        let paths = document["paths"].as_object().expect("paths");
        let described: BTreeSet<_> = paths
            .iter()
            .flat_map(|(path, methods)| methods.as_object().expect("methods").keys().map(move |m| (m.as_str(), path.as_str())))
            .collect();
        assert_eq!(described, ROUTES.iter().copied().collect());
        let text = document.to_string();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().expect("name");
            assert!(document["components"]["schemas"][name].is_object(), "{name} is not described");
        }
    }
}
