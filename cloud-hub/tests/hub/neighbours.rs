//! Nodes of one site are told about each other.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use reqwest::{Method, StatusCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use shared::id::Digest;
use shared::state::{Desired, Neighbour};
use shared::wire::v1::{Down, Up};

use crate::link::opened;
use crate::node::{FakeNode, Identity, enroll, report};
use crate::world::{World, name};

/// A node in its session that said what it holds.
async fn connect(world: &World, identity: &Identity, generation: u64, hash: [u8; 32]) -> FakeNode {
    let mut node = FakeNode::connect(world.running.gate, identity, &world.ca).await.expect("session");
    node.hello(generation, hash).await;
    node
}

fn at(sequence: u64, generation: u64, address: Option<&str>) -> Up {
    let Up::Report(mut report) = report(sequence, generation, None) else { panic!("not a report") };
    report.facts.address = address.map(|address| address.parse().unwrap());
    Up::Report(report)
}

/// What a neighbour of this identity is told as.
fn as_told(identity: &Identity, address: &str) -> Neighbour {
    let der = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
    Neighbour { address: address.parse::<SocketAddr>().unwrap(), certificate: Digest::of(&der) }
}

async fn told(world: &World, node: &mut FakeNode) -> Desired {
    opened(world, node.hear().await).0
}

async fn wanted(world: &World, node: &str) -> (Value, Value) {
    let shown = world.get(&format!("/api/v1/nodes/{node}")).await;
    (shown["status"]["wanted"].clone(), shown["spec"]["neighbours"].clone())
}

async fn label(world: &World, node: &str, labels: Value) {
    let (status, value) = world.call(Method::PATCH, &format!("/api/v1/nodes/{node}"), Some(json!({"labels": labels}))).await;
    assert_eq!(status, StatusCode::OK, "{value}");
}

#[tokio::test]
async fn who_says_an_address_gets_neighbours() {
    const A: &str = "192.168.7.21:7448";
    const B: &str = "192.168.7.22:7448";
    let world = World::new().await;
    let (a, b) = (enroll(&world, "a").await, enroll(&world, "b").await);
    let (mut node_a, mut node_b) = (connect(&world, &a, 0, [0; 32]).await, connect(&world, &b, 0, [0; 32]).await);
    for node in [&mut node_a, &mut node_b] {
        assert_eq!(told(&world, node).await.neighbours, BTreeMap::new());
    }

    node_a.say(&at(1, 1, Some(A))).await;
    node_b.say(&at(1, 1, Some("0.0.0.0:7448"))).await;
    node_a.hears_nothing().await;
    node_b.hears_nothing().await;
    node_b.say(&at(2, 1, Some(B))).await;
    let (second, hash) = opened(&world, node_a.hear().await);
    assert_eq!((second.stamp.generation, second.neighbours), (2, [(name("b"), as_told(&b, B))].into()));
    assert_eq!(told(&world, &mut node_b).await.neighbours, [(name("a"), as_told(&a, A))].into());
    assert_eq!(wanted(&world, "a").await.1, json!({"b": B}));
    assert_eq!(world.get("/api/v1/nodes/a").await["status"]["facts"]["address"], A);

    // What says nothing new costs nothing, and one that is away stays a neighbour, also of a hub that was away.
    node_a.say(&at(2, 2, Some(A))).await;
    drop(node_b);
    node_a.hears_nothing().await;
    drop(node_a);
    let before = [wanted(&world, "a").await, wanted(&world, "b").await];
    let world = world.restarted(|_| ()).await;
    label(&world, "a", json!({"its": "pass is done when this is"})).await;
    assert_eq!([wanted(&world, "a").await, wanted(&world, "b").await], before);

    // Another site, another certificate, revoked.
    let mut node_a = connect(&world, &a, 2, *hash.as_bytes()).await;
    assert!(matches!(node_a.hear().await, Some(Down::Agreed { .. })));
    label(&world, "b", json!({"site": "south"})).await;
    assert_eq!(told(&world, &mut node_a).await.neighbours, BTreeMap::new());
    label(&world, "b", json!({"site": "north"})).await;
    assert_eq!(told(&world, &mut node_a).await.neighbours.len(), 1);
    let b = enroll(&world, "b").await;
    assert_eq!(told(&world, &mut node_a).await.neighbours, [(name("b"), as_told(&b, B))].into());
    assert_eq!(world.post("/api/v1/nodes/b/revoke", json!({})).await.0, StatusCode::OK);
    assert_eq!(told(&world, &mut node_a).await.neighbours, BTreeMap::new());
    assert_eq!(wanted(&world, "b").await.1, Value::Null, "and it is told nobody");

    // Who serves no more is told nobody either.
    let b = enroll(&world, "b").await;
    assert_eq!(told(&world, &mut node_a).await.neighbours, [(name("b"), as_told(&b, B))].into());
    let generation = wanted(&world, "a").await.0["generation"].as_u64().unwrap();
    node_a.say(&at(3, generation, None)).await;
    assert_eq!(told(&world, &mut node_a).await.neighbours, BTreeMap::new());
    assert_eq!(wanted(&world, "b").await.1, Value::Null);
    assert_eq!(world.call(Method::DELETE, "/api/v1/nodes/b", None).await.0, StatusCode::NO_CONTENT);
    node_a.hears_nothing().await;
    world.running.stop().await;
}
