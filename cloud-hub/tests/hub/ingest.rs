//! Images fetched by the hub from a real registry (the Debian package `docker-registry`), as lines of JSON.

use std::net::TcpListener;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::registry::Registry;
use crate::world::{World, release, sample, signed};

/// All lines of an ingest.
async fn ingest(world: &World, body: Value) -> Vec<Value> {
    let request = world.http.post(format!("{}/api/v1/images:ingest", world.base)).bearer_auth(&world.token).json(&body);
    let response = request.send().await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["content-type"]),
        (StatusCode::OK, &"application/x-ndjson".parse().unwrap())
    );
    response.text().await.unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn an_image_comes_from_a_registry_and_is_published() {
    let world = World::new().await;
    let Some(registry) = Registry::start(None).await else { return };
    let image = sample("1", "linux/amd64");
    registry.push("team/web", "1", &[&image]).await;
    let reference = registry.reference("team/web:1");
    let lines = ingest(&world, json!({"reference": reference, "platforms": ["linux/amd64"]})).await;
    let (last, before) = lines.split_last().unwrap();
    assert_eq!(last["type"], "done", "{last}");
    assert!(before.iter().all(|line| line["type"] == "progress") && !before.is_empty());
    let images: Vec<shared::release::Image> = serde_json::from_value(last["images"].clone()).unwrap();
    assert_eq!(images, [image.expected()]);
    assert!(last["reference"].as_str().unwrap().ends_with(&image.expected().id().to_string()));

    world.publisher().await;
    let (status, made) = world.bytes(Method::POST, "/api/v1/releases", signed(&release("web", "1", images))).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
}

#[tokio::test]
async fn what_cannot_be_fetched_ends_with_the_reason() {
    let world = World::new().await;
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for reference in [format!("{free}/team/web:1"), "not a reference".into(), "127.0.0.1:1/x@sha256:00".into()] {
        let lines = ingest(&world, json!({"reference": reference})).await;
        let last = lines.last().unwrap();
        assert_eq!(last["type"], "failed", "{reference}: {last}");
        assert!(last["problem"]["message_zh"].as_str().unwrap().chars().any(|c| c > '\u{2E80}'), "{last}");
    }
}
