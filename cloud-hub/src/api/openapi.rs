//! The OpenAPI document: made from the handlers, committed as `cloud-hub/openapi.json`, and kept current by a test
//! (`UPDATE=1 cargo test -p cloud-hub openapi` rewrites it).

use std::sync::OnceLock;

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{
    api_tokens, blobs, budgets, bundles, deployments, diff, events, images, logs, nodes, publishers, releases, system, tokens,
    types, watch,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Causeway hub", description = "The app center: releases, deployments, nodes.", license(name = "Apache-2.0")),
    paths(
        system::healthz, system::readyz, system::metrics, system::openapi, system::version, system::whoami,
        publishers::list, publishers::create, publishers::remove,
        blobs::download, blobs::head, blobs::upload, blobs::upload_part,
        images::ingest,
        releases::apps, releases::list, releases::publish, releases::show, releases::remove, diff::diff,
        bundles::plan, bundles::download, bundles::merge,
        deployments::list, deployments::show, deployments::apply, deployments::remove, deployments::rollback,
        budgets::list, budgets::show, budgets::apply, budgets::remove,
        nodes::list, nodes::show, nodes::label, nodes::remove, nodes::revoke, logs::read,
        tokens::list, tokens::create, tokens::remove, tokens::enroll,
        api_tokens::list, api_tokens::create, api_tokens::remove,
        events::list, watch::watch,
    ),
    components(schemas(types::Problem, types::WatchEvent, types::IngestLine, types::DiffLine, types::BundleLine)),
    security(("token" = [])),
    modifiers(&Token),
    tags(
        (name = "system", description = "The hub itself"), (name = "access", description = "Who may do what"),
        (name = "releases", description = "What can run"), (name = "deployments", description = "What shall run where"),
        (name = "nodes", description = "Edge machines"), (name = "events", description = "What happened"),
    ),
)]
struct Document;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An API token")).build();
        document.components.get_or_insert_default().add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// The document.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// The document as JSON text.
pub fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        // The document is plain data: it always has a JSON form.
        let mut text = document().to_pretty_json().unwrap_or_default();
        text.push('\n');
        text
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::ROUTES;
    use super::*;

    #[test]
    fn openapi_names_each_route_and_nothing_else() {
        let value: serde_json::Value = serde_json::from_str(text()).expect("JSON");
        let documented: BTreeSet<String> = value["paths"]
            .as_object()
            .expect("paths")
            .iter()
            .flat_map(|(path, methods)| {
                methods.as_object().expect("methods").keys().map(move |method| format!("{} {path}", method.to_uppercase()))
            })
            .collect();
        let routes: BTreeSet<String> = ROUTES.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
        assert_eq!(documented, routes);
    }

    #[test]
    fn openapi_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, text()).expect("written");
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == text(), "openapi.json is not current: UPDATE=1 cargo test -p cloud-hub openapi");
    }
}
