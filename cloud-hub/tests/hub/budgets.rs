//! Budgets: set, resolved per node, signed, told, taken away; and what nodes say about them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::fault::Fault;
use shared::wire::v1::{self, Down, Up};

use crate::flow::eventually;
use crate::node::{FakeNode, enroll, report};
use crate::world::World;

impl World {
    async fn budget(&self, name: &str, target: Value, limits: Value) -> (StatusCode, Value) {
        let mut body = limits;
        body["target"] = target;
        self.call(Method::PUT, &format!("/api/v1/budgets/{name}"), Some(body)).await
    }
}

#[tokio::test]
async fn the_budget_set_last_is_in_force_and_is_part_of_what_is_signed() {
    let world = World::new().await;
    let identity = enroll(&world, "n1").await;
    let all = json!({"selector": {"matchLabels": {}}});
    let limits = json!({"perDay": 2 << 20, "windows": ["mon-fri 22:00-06:00"], "zone": "+08:00"});
    let (status, made) = world.budget("fleet", all.clone(), limits.clone()).await;
    assert_eq!((status, &made["status"]["nodes"]), (StatusCode::OK, &json!(["n1"])), "{made}");
    assert_eq!(made["spec"]["limits"]["windows"], json!(["mon,tue,wed,thu,fri 22:00-06:00"]), "in one form");
    let (_, same) = world.budget("fleet", all.clone(), limits).await;
    assert_eq!(same["metadata"]["revision"], made["metadata"]["revision"], "the same again changes nothing");

    let mut node = FakeNode::connect(world.running.gate, &identity, &world.ca).await.unwrap();
    node.hello(0, [0; 32]).await;
    let Some(Down::Desired(envelope)) = node.hear().await else { panic!("not a desired state") };
    let desired = v1::Desired::decode(&envelope.payload).unwrap();
    let budget = desired.budget.unwrap();
    assert_eq!((budget.per_day, budget.windows, budget.zone), (Some(2 << 20), vec![(0x1f, 1320, 360)], 480));

    let (_, second) = world.budget("crane", json!({"nodes": ["n1"]}), json!({"rate": 4096})).await;
    assert_eq!(second["status"]["nodes"], json!(["n1"]));
    assert_eq!(world.get("/api/v1/budgets/fleet").await["status"], json!({"nodes": [], "accepted": 0, "overruled": ["n1"]}));
    let shown = world.get("/api/v1/nodes/n1").await;
    assert_eq!(
        shown["spec"]["budget"],
        json!({"budget": "crane", "limits": {"rate": 4096, "zone": "+00:00"}, "overruled": ["fleet"]})
    );

    let Up::Report(mut said) = report(1, 2, None) else { panic!("not a report") };
    said.spent.0.counts[3] = 5000;
    let waits = Fault::new(&shared::fault::budget::DAY_USED).with("used", "5 KiB").with("quota", "4 KiB").with("until", "x");
    said.transfers =
        vec![v1::Transfer { image: [7; 32], done: 1, total: 9, taken: 0, rate: 0, reused: 0, waits: Some(waits.into()) }];
    node.say(&Up::Report(said)).await;
    let status = eventually(&world, "/api/v1/nodes/n1", |node| node["status"]["carried"].is_object()).await["status"].clone();
    assert_eq!(status["carried"]["today"]["images"], 5000);
    assert_eq!(status["transfers"][0]["waits"]["code"], "budget-day-used");

    assert_eq!(world.call(Method::DELETE, "/api/v1/budgets/crane", None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.get("/api/v1/nodes/n1").await["spec"]["budget"]["budget"], "fleet");
    assert_eq!(world.get("/api/v1/budgets").await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn budgets_that_make_no_sense_are_refused_by_name() {
    let world = World::new().await;
    let n1 = json!({"nodes": ["n1"]});
    for (target, limits, status, code) in [
        (n1.clone(), json!({}), 422, "budget-limits-nothing"),
        (n1.clone(), json!({"rate": 1}), 422, "budget-out-of-range"),
        (n1.clone(), json!({"perDay": 1u64 << 60}), 422, "budget-out-of-range"),
        (n1.clone(), json!({"windows": ["22-06"]}), 422, "budget-bad-window"),
        (n1.clone(), json!({"windows": ["22:00-06:00"], "zone": "CET"}), 422, "budget-bad-zone"),
        (n1.clone(), json!({"windows": vec!["22:00-06:00"; 17]}), 422, "budget-too-many-windows"),
        (json!({"nodes": []}), json!({"rate": 4096}), 422, "hub-deployment-bad-target"),
        (n1.clone(), json!({"rate": -1}), 400, "hub-bad-json"),
        (n1.clone(), json!({"rate": 4096, "perday": 1 << 20}), 400, "hub-bad-json"),
    ] {
        let (found, problem) = world.budget("b", target, limits.clone()).await;
        assert_eq!((found.as_u16(), problem["code"].as_str().unwrap()), (status, code), "{limits}: {problem}");
    }
    assert_eq!(world.call(Method::DELETE, "/api/v1/budgets/b", None).await.1["code"], "hub-budget-not-found");
}
