//! Join tokens: once, in time, for one node.

use cloud_hub::api::types::Enrolled;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::id::Digest;
use shared::join::{Granted, JoinToken, seal};

use crate::node::{FakeNode, Identity, NoSession, asks, enroll, request};
use crate::world::{World, name};

async fn try_enroll(world: &World, token: &str, node: &str, csr: &str) -> (u16, Value) {
    let (status, answer) = world.call_as("", Method::POST, "/api/v1/enroll", Some(asks(token, node, csr))).await;
    (status.as_u16(), answer["code"].clone())
}

/// Whether the answer has the seal of `token`.
fn is_sealed(answer: &Value, token: &str) -> bool {
    let answer: Enrolled = serde_json::from_value(answer.clone()).unwrap();
    let Enrolled { certificate, ca, hub_key, publishers, mqtt, epoch, seal: shown } = &answer;
    let granted = Granted { certificate, ca, hub_key, publishers, mqtt, epoch: *epoch };
    seal(token.parse::<JoinToken>().unwrap().secret_digest(), &granted) == *shown
}

#[tokio::test]
async fn a_token_works_once_in_time_and_for_its_node() {
    let world = World::new().await;
    let (_, csr) = request();
    let token = world.join_token("n1").await;
    let parsed: JoinToken = token.parse().unwrap();
    assert_eq!((parsed.node(), parsed.hub()), (&name("n1"), world.base.as_str()));

    let forged = JoinToken::new(&world.base, name("n1"), [9; 16], Digest::of(b"")).unwrap().to_string();
    for (what, token, node, csr, expected) in [
        ("another node", &token, "n2", csr.as_str(), (403, "hub-enroll-refused")),
        ("guessed", &forged, "n1", &csr, (403, "hub-enroll-refused")),
        ("no request", &token, "n1", "", (400, "trust-csr-refused")),
        (
            "noise for a request",
            &token,
            "n1",
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
            (422, "trust-csr-refused"),
        ),
    ] {
        world.pass(61);
        let (status, code) = try_enroll(&world, token, node, csr).await;
        assert_eq!((status, code.as_str().unwrap()), expected, "{what}");
    }
    let mut seen = asks(&token, "n1", &csr);
    seen["csr"] = json!(request().1);
    let (status, answer) = world.call_as("", Method::POST, "/api/v1/enroll", Some(seen)).await;
    assert_eq!((status.as_u16(), &answer["code"]), (403, &json!("hub-enroll-refused")), "who saw it, with a key of his own");
    assert_eq!(try_enroll(&world, &token, "n1", &csr).await.0, 200);
    assert_eq!(try_enroll(&world, &token, "n1", &request().1).await.1, "hub-enroll-refused", "a second time");

    let late = world.join_token("n2").await;
    world.pass(3601);
    assert_eq!(try_enroll(&world, &late, "n2", &csr).await, (403, json!("hub-enroll-expired")));

    let (first, second) = (world.join_token("n3").await, world.join_token("n3").await);
    assert_eq!(try_enroll(&world, &first, "n3", &csr).await.1, "hub-enroll-refused", "replaced by a newer one");
    assert_eq!(world.call(Method::DELETE, "/api/v1/tokens/n3", None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(try_enroll(&world, &second, "n3", &csr).await.1, "hub-enroll-refused", "removed");
}

#[tokio::test]
async fn who_lost_the_answer_gets_it_again_and_changes_nothing() {
    let world = World::new().await;
    let token = world.join_token("n1").await;
    let (key, csr) = request();
    let ask = async |csr: &str| world.call_as("", Method::POST, "/api/v1/enroll", Some(asks(&token, "n1", csr))).await;
    let (status, answer) = ask(&csr).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let identity = Identity { node: name("n1"), certificate: answer["certificate"].as_str().unwrap().into(), key, answer };
    let _session = FakeNode::connect(world.running.gate, &identity, &world.ca).await.expect("session");
    let joined = async || {
        let events = world.get("/api/v1/events?node=n1").await;
        events["items"].as_array().unwrap().iter().filter(|event| event["what"]["code"] == "hub-node-enrolled").count()
    };
    let (node, before) = (world.get("/api/v1/nodes/n1").await, joined().await);
    assert_eq!(before, 1, "{}", world.get("/api/v1/events?node=n1").await);

    assert_eq!(ask(&csr).await, (StatusCode::OK, identity.answer.clone()), "the same request");
    let anew = rcgen::CertificateParams::default().serialize_request(&identity.key).unwrap().pem().unwrap();
    assert_ne!(anew, csr, "signatures differ every time");
    assert_eq!(ask(&anew).await, (StatusCode::OK, identity.answer.clone()), "the same key");
    assert_eq!(ask(&request().1).await.1["code"], "hub-enroll-refused", "another key");
    assert_eq!((world.get("/api/v1/nodes/n1").await["spec"].clone(), joined().await), (node["spec"].clone(), 1));
    assert_eq!(world.get("/api/v1/nodes/n1").await["status"]["certificate"], node["status"]["certificate"]);
    assert_eq!(world.get("/api/v1/tokens").await["items"], json!([]), "it waits for nobody");
    assert_eq!(world.call(Method::DELETE, "/api/v1/tokens/n1", None).await.0, StatusCode::NOT_FOUND);

    world.pass(3601);
    assert_eq!(ask(&csr).await.1["code"], "hub-enroll-expired");
    let token = world.join_token("n1").await;
    assert_eq!(try_enroll(&world, &token, "n1", &csr).await.0, 200);
    world.call(Method::POST, "/api/v1/nodes/n1/revoke", None).await;
    assert_eq!(try_enroll(&world, &token, "n1", &csr).await.1, "hub-enroll-refused", "revoked");
}

#[tokio::test]
async fn guessing_tokens_is_slowed_down() {
    let world = World::new().await;
    let (_, csr) = request();
    let token = world.join_token("n1").await;
    let forged = JoinToken::new(&world.base, name("n1"), [9; 16], Digest::of(b"")).unwrap().to_string();
    for _ in 0..10 {
        assert_eq!(try_enroll(&world, &forged, "n1", &csr).await.0, 403);
    }
    assert_eq!(try_enroll(&world, &token, "n1", &csr).await, (429, json!("hub-too-many-attempts")));
    world.pass(61);
    assert_eq!(try_enroll(&world, &token, "n1", &csr).await.0, 200);
}

#[tokio::test]
async fn of_two_machines_with_one_token_one_becomes_the_node() {
    let world = World::new().await;
    let (one, two, three) = (request().1, request().1, request().1);
    let token = world.join_token("n1").await;
    let (a, b, c) = tokio::join!(
        try_enroll(&world, &token, "n1", &one),
        try_enroll(&world, &token, "n1", &two),
        try_enroll(&world, &token, "n1", &three)
    );
    assert_eq!([a, b, c].iter().filter(|(status, _)| *status == 200).count(), 1);
}

#[tokio::test]
async fn an_enrolled_node_gets_all_it_needs_and_nothing_secret_is_shown_later() {
    let world = World::new().await;
    world.publisher().await;
    let pending = world.join_token("n1").await;
    let listed = world.get("/api/v1/tokens").await;
    assert_eq!((&listed["items"][0]["node"], &listed["items"][0]["by"]), (&json!("n1"), &json!("admin")));
    assert!(!listed.to_string().contains(&pending[5..]));

    let (_, csr) = request();
    let (status, answer) = world.call_as("", Method::POST, "/api/v1/enroll", Some(asks(&pending, "n1", &csr))).await;
    assert_eq!((status, is_sealed(&answer, &pending)), (StatusCode::OK, true), "{answer}");
    let mut changed = answer;
    changed["epoch"] = json!(2);
    assert!(!is_sealed(&changed, &pending));

    let identity = enroll(&world, "n1").await;
    assert_eq!(identity.answer["publishers"], json!([crate::world::key().public().to_string()]));
    assert_eq!(identity.answer["hubKey"], world.get("/api/v1/version").await["hubKey"]);
    assert_eq!((&identity.answer["epoch"], &identity.answer["mqtt"]), (&json!(1), &json!(world.running.gate.to_string())));
    let node = world.get("/api/v1/nodes/n1").await;
    assert_eq!(node["metadata"]["labels"], json!({"site": "north"}));
    assert_eq!((&node["status"]["wanted"], &node["status"]["inSync"]), (&json!({"epoch": 1, "generation": 1}), &json!(false)));
    assert_eq!(world.get("/api/v1/tokens").await["items"], json!([]));
}

#[tokio::test]
async fn enrolling_again_makes_the_old_certificate_worthless_and_revoking_ends_the_session() {
    let world = World::new().await;
    let old = enroll(&world, "n1").await;
    let mut session = FakeNode::connect(world.running.gate, &old, &world.ca).await.expect("session");
    let new = enroll(&world, "n1").await;
    assert!(session.hear().await.is_none(), "the old session ends");
    assert!(matches!(FakeNode::connect(world.running.gate, &old, &world.ca).await, Err(NoSession::Refused(5))));

    let mut session = FakeNode::connect(world.running.gate, &new, &world.ca).await.expect("session");
    let began = std::time::Instant::now();
    let (status, node) = world.call(Method::POST, "/api/v1/nodes/n1/revoke", None).await;
    assert_eq!((status, &node["spec"]["revoked"]), (StatusCode::OK, &json!(true)));
    assert!(session.hear().await.is_none());
    assert!(began.elapsed().as_secs() < 5);
    assert!(matches!(FakeNode::connect(world.running.gate, &new, &world.ca).await, Err(NoSession::Refused(5))));

    // A token that was made before, or between two revocations, does not bring it back.
    let (_, csr) = request();
    for _ in 0..2 {
        let pending = world.join_token("n1").await;
        world.call(Method::POST, "/api/v1/nodes/n1/revoke", None).await;
        assert_eq!(try_enroll(&world, &pending, "n1", &csr).await, (403, json!("hub-enroll-refused")));
        assert_eq!(world.get("/api/v1/nodes/n1").await["spec"]["revoked"], true);
    }

    let back = enroll(&world, "n1").await;
    let pending = world.join_token("n1").await;
    assert_eq!(world.call(Method::POST, "/api/v1/nodes/n1/revoke", None).await.0, StatusCode::OK);
    assert_eq!(try_enroll(&world, &pending, "n1", &csr).await, (403, json!("hub-enroll-refused")));
    assert!(FakeNode::connect(world.running.gate, &back, &world.ca).await.is_err());

    let back = enroll(&world, "n1").await;
    assert!(FakeNode::connect(world.running.gate, &back, &world.ca).await.is_ok());
    assert_eq!(world.call(Method::DELETE, "/api/v1/nodes/n1", None).await.0, StatusCode::NO_CONTENT);
    assert!(FakeNode::connect(world.running.gate, &back, &world.ca).await.is_err());
    let generation = |node: Value| node["status"]["wanted"]["generation"].as_u64().unwrap();
    let before = generation(node);
    enroll(&world, "n1").await;
    assert!(generation(world.get("/api/v1/nodes/n1").await) >= before, "a name that comes back never goes backwards");
}
