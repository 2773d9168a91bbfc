//! Who may call what.

use cloud_hub::api::{Access, ROUTES};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::world::{World, client};

fn path(pattern: &str) -> String {
    let digest = format!("sha256:{}", "0".repeat(64));
    pattern.replace("{digest}", &digest).replace("{name}", "x").replace("{node}", "x").replace("{release}", "x@1")
}

#[tokio::test]
async fn each_route_but_the_open_ones_needs_a_token() {
    let world = World::new().await;
    let wrong = format!("cwa1.admin.{}", "0".repeat(64));
    for route in ROUTES.iter().filter(|route| route.access != Access::Open) {
        for token in ["", "nonsense", &wrong] {
            world.pass(61);
            let (status, problem) = world.call_as(token, route.method.clone(), &path(route.path), None).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{} {} {problem}", route.method, route.path);
            if route.method != Method::HEAD {
                let code = if token.is_empty() { "hub-token-missing" } else { "hub-token-wrong" };
                assert_eq!(problem["code"], code);
                assert!(problem["message_zh"].as_str().unwrap().contains("令牌"));
            }
        }
    }
}

#[tokio::test]
async fn a_viewer_reads_and_an_operator_does_not_manage_tokens() {
    let world = World::new().await;
    let token = |role: &'static str| {
        let world = &world;
        async move {
            let (status, made) = world.post("/api/v1/api-tokens", json!({"name": format!("a-{role}"), "role": role})).await;
            assert_eq!(status, StatusCode::CREATED, "{made}");
            made["token"].as_str().unwrap().to_owned()
        }
    };
    let (viewer, operator) = (token("viewer").await, token("operator").await);
    for route in ROUTES {
        let Access::Needs(verb, resource) = route.access else { continue };
        for (role, token) in [(cloud_hub::api::types::Role::Viewer, &viewer), (cloud_hub::api::types::Role::Operator, &operator)]
        {
            if route.path == "/api/v1/watch" {
                continue;
            }
            let (status, _) = world.call_as(token, route.method.clone(), &path(route.path), None).await;
            let allowed = cloud_hub::access::is_allowed(role, verb, resource);
            assert_eq!(status != StatusCode::FORBIDDEN, allowed, "{role:?} {} {}", route.method, route.path);
            assert_ne!(status, StatusCode::UNAUTHORIZED);
        }
    }
    let (_, me) = world.call_as(&viewer, Method::GET, "/api/v1/whoami", None).await;
    assert_eq!(me, json!({"name": "a-viewer", "role": "viewer"}));
}

#[tokio::test]
async fn guessing_is_slowed_down_and_ends_by_itself() {
    let world = World::new().await;
    let guess = || world.call_as("cwa1.admin.00", Method::GET, "/api/v1/whoami", None);
    for _ in 0..10 {
        assert_eq!(guess().await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(guess().await.0, StatusCode::TOO_MANY_REQUESTS);
    let (status, _) = world.call(Method::GET, "/api/v1/whoami", None).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "the right token has to wait too: a guess must not be told from it");
    world.pass(61);
    assert_eq!(world.call(Method::GET, "/api/v1/whoami", None).await.0, StatusCode::OK);
}

#[tokio::test]
async fn api_tokens_end_are_removed_and_the_last_admin_stays() {
    let world = World::new().await;
    let (_, made) = world.post("/api/v1/api-tokens", json!({"name": "ci", "role": "operator", "ttlSeconds": 60})).await;
    let ci = made["token"].as_str().unwrap();
    assert_eq!(world.call_as(ci, Method::GET, "/api/v1/nodes", None).await.0, StatusCode::OK);
    world.pass(61);
    assert_eq!(world.call_as(ci, Method::GET, "/api/v1/nodes", None).await.0, StatusCode::UNAUTHORIZED);

    let listed = world.get("/api/v1/api-tokens").await;
    let names: Vec<&str> = listed["items"].as_array().unwrap().iter().map(|t| t["metadata"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["admin", "ci"]);
    assert!(!listed.to_string().contains("cwa1."), "no list shows a token");

    for (method, path, body, status, code) in [
        (Method::POST, "/api/v1/api-tokens", Some(json!({"name": "ci", "role": "viewer"})), 409, "hub-api-token-taken"),
        (Method::POST, "/api/v1/api-tokens", Some(json!({"name": "x", "role": "king"})), 400, "hub-bad-json"),
        (Method::POST, "/api/v1/api-tokens", Some(json!({"name": "x", "role": "viewer", "ttlSeconds": 0})), 422, "hub-bad-ttl"),
        (Method::DELETE, "/api/v1/api-tokens/nobody", None, 404, "hub-api-token-not-found"),
        (Method::DELETE, "/api/v1/api-tokens/admin", None, 409, "hub-last-admin"),
    ] {
        let (found, problem) = world.call(method, path, body).await;
        assert_eq!((found.as_u16(), &problem["code"]), (status, &json!(code)), "{path}");
    }
    assert_eq!(world.call(Method::DELETE, "/api/v1/api-tokens/ci", None).await.0, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn silent_strangers_take_no_room_from_those_who_have_a_token() {
    let world = World::new().await;
    world.get("/api/v1/whoami").await; // a connection that stays
    let mut flood = Vec::new();
    for _ in 0..1100 {
        flood.push(tokio::net::TcpStream::connect(world.running.api).await.unwrap());
    }
    let newcomer = client(&world.ca);
    let answered = newcomer.get(format!("{}/healthz", world.base)).send().await.expect("the newest stranger has a place");
    assert_eq!(answered.status(), StatusCode::OK);
    world.get("/api/v1/whoami").await;
    let mut byte = [0];
    let evicted = tokio::time::timeout(std::time::Duration::from_secs(60), flood[0].read(&mut byte)).await;
    assert!(matches!(evicted, Ok(Ok(0) | Err(_))), "the oldest of the flood has lost its place");
}

#[tokio::test]
async fn who_asks_nothing_is_closed_after_ten_seconds() {
    let world = World::new().await;
    let mut silent = crate::node::api_stream(&world).await;
    let began = std::time::Instant::now();
    let closed = tokio::time::timeout(std::time::Duration::from_secs(30), silent.read_u8()).await;
    assert!(matches!(closed, Ok(Err(_))), "{closed:?}");
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_is_open_tells_what_is_needed_to_trust_the_hub() {
    let world = World::new().await;
    let open = |path: &'static str| world.call_as("", Method::GET, path, None);
    assert_eq!(open("/healthz").await.0, StatusCode::OK);
    assert_eq!(open("/readyz").await.0, StatusCode::OK);
    let (_, version) = open("/api/v1/version").await;
    let root = rustls::pki_types::pem::PemObject::from_pem_slice(world.ca.as_bytes());
    let root: rustls::pki_types::CertificateDer<'_> = root.unwrap();
    assert_eq!(version["caFingerprint"], shared::id::Digest::of(&root).to_string());
    assert_eq!((&version["epoch"], &version["mqtt"]), (&json!(1), &json!(world.running.gate.to_string())));
    let (_, document) = open("/openapi.json").await;
    assert!(document["paths"]["/api/v1/enroll"]["post"].is_object());

    let figures = world.get("/metrics").await;
    let figures = figures.as_str().unwrap();
    for line in ["causeway_hub_nodes 0", "causeway_gate_nodes 0", "causeway_hub_api_requests_total{", "# EOF"] {
        assert!(figures.contains(line), "{line} in {figures}");
    }
}
