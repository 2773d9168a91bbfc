//! Publish, deploy, change, go back, take away.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::node::{FakeNode, enroll, report, report_of, running};
use crate::world::World;

pub async fn eventually(world: &World, path: &str, what: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..100 {
        let value = world.get(path).await;
        if what(&value) {
            return value;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{path} never became so: {}", world.get(path).await);
}

#[tokio::test]
async fn a_release_is_found_in_every_way() {
    let world = World::new().await;
    let id = world.publish("1.0.0", "linux/amd64").await;
    world.publish("1.1.0", "linux/amd64").await;
    let by_version = world.get("/api/v1/releases/web@1.0.0").await;
    assert_eq!(by_version, world.get(&format!("/api/v1/releases/{id}")).await);
    assert_eq!(by_version["spec"]["manifest"]["kind"], "App");
    assert_eq!(by_version["spec"]["images"]["web"][0]["platform"], "linux/amd64");

    let names = |list: &Value| -> Vec<String> {
        list["items"].as_array().unwrap().iter().map(|r| r["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };
    let all = world.get("/api/v1/releases?app=web").await;
    assert_eq!(names(&all), ["web@1.0.0", "web@1.1.0"]);
    assert_eq!(names(&world.get("/api/v1/releases?app=db").await), Vec::<String>::new());
    let first = world.get("/api/v1/releases?limit=1").await;
    assert_eq!((names(&first), &first["next"]), (vec!["web@1.0.0".to_owned()], &json!("web@1.0.0")));
    assert_eq!(names(&world.get("/api/v1/releases?limit=1&after=web@1.0.0").await), ["web@1.1.0"]);
    let apps = world.get("/api/v1/apps").await;
    assert_eq!(apps["items"][0]["status"]["latest"], "1.1.0");
    assert_eq!(apps["items"][0]["status"]["releases"], 2);
}

#[tokio::test]
async fn a_deployment_is_made_changed_rolled_back_and_taken_away() {
    let world = World::new().await;
    let (v1, v2) = (world.publish("1", "linux/amd64").await, world.publish("2", "linux/amd64").await);
    enroll(&world, "n1").await;
    let made = world.deploy("d", "1", &["n1", "typo"]).await;
    assert_eq!((&made["spec"]["release"], &made["spec"]["revision"]), (&json!(v1), &json!(1)));
    assert_eq!((&made["status"]["nodes"], &made["status"]["absent"]), (&json!(1), &json!(["typo"])));
    assert_eq!(made["status"]["phases"], json!({"unknown": 1}));
    let node = world.get("/api/v1/nodes/n1").await;
    assert_eq!(node["spec"]["apps"]["web"]["deployment"], "d");
    let generation = node["status"]["wanted"]["generation"].as_u64().unwrap();

    let same = world.deploy("d", "1", &["n1", "typo"]).await;
    assert_eq!(same["metadata"]["revision"], made["metadata"]["revision"], "the same again changes nothing");
    let wider = world.deploy("d", "1", &["n1"]).await;
    assert_eq!(wider["spec"]["revision"], 1, "other nodes are no new revision");
    assert_eq!(world.get("/api/v1/nodes/n1").await["status"]["wanted"]["generation"], generation);

    let second = world.deploy("d", "2", &["n1"]).await;
    assert_eq!((&second["spec"]["release"], &second["spec"]["revision"]), (&json!(v2), &json!(2)));
    assert_eq!(world.get("/api/v1/nodes/n1").await["status"]["wanted"]["generation"], generation + 1);

    let stale = world.http.put(format!("{}/api/v1/deployments/d", world.base)).bearer_auth(&world.token);
    let body = json!({"app": "web", "release": "1", "target": {"nodes": ["n1"]}});
    let seen = made["metadata"]["revision"].to_string();
    let (status, problem) = crate::world::answer(stale.header("if-match", seen).json(&body)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::PRECONDITION_FAILED, &json!("hub-stale")));

    let (status, back) = world.call(Method::POST, "/api/v1/deployments/d/rollback", None).await;
    assert_eq!((status, &back["spec"]["version"], &back["spec"]["revision"]), (StatusCode::OK, &json!("1"), &json!(3)));
    let history: Vec<u64> = back["history"].as_array().unwrap().iter().map(|past| past["revision"].as_u64().unwrap()).collect();
    assert_eq!(history, [3, 2, 1]);
    let (status, named) = world.post("/api/v1/deployments/d/rollback", json!({"to": "2"})).await;
    assert_eq!((status, &named["spec"]["version"]), (StatusCode::OK, &json!("2")));
    let (status, problem) = world.post("/api/v1/deployments/d/rollback", json!({"to": "9"})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("hub-deployment-not-in-history")));

    assert_eq!(world.call(Method::DELETE, "/api/v1/deployments/d", None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.get("/api/v1/nodes/n1").await["spec"]["apps"], json!({}));
    let events = world.get("/api/v1/events?app=web").await;
    let codes: Vec<&str> = events["items"].as_array().unwrap().iter().map(|e| e["what"]["code"].as_str().unwrap()).collect();
    let expected = ["published", "published", "deployed", "retargeted", "deployed", "deployed", "deployed", "undeployed"];
    assert_eq!(codes, expected.map(|code| format!("hub-{code}")));
    assert!(events["items"].as_array().unwrap().iter().all(|event| event["by"] == "admin"));
    let cursor = events["items"][2]["cursor"].as_u64().unwrap();
    let rest = world.get(&format!("/api/v1/events?app=web&after={cursor}&limit=2")).await;
    assert_eq!(rest["items"].as_array().unwrap().len(), 2);
    assert_eq!(rest["items"][0]["what"]["code"], "hub-retargeted");
}

#[tokio::test]
async fn of_two_deployments_of_an_app_the_later_wins_and_both_say_so() {
    let world = World::new().await;
    world.publish("1", "linux/amd64").await;
    world.publish("2", "linux/amd64").await;
    enroll(&world, "n1").await;
    enroll(&world, "n2").await;
    let body = json!({"app": "web", "release": "1", "target": {"selector": {"matchLabels": {"site": "north"}}}});
    world.call(Method::PUT, "/api/v1/deployments/fleet", Some(body)).await;
    world.deploy("canary", "2", &["n1"]).await;
    let n1 = world.get("/api/v1/nodes/n1").await;
    assert_eq!(n1["spec"]["apps"]["web"]["deployment"], "canary");
    assert_eq!(n1["spec"]["apps"]["web"]["overruled"], json!([{"deployment": "fleet", "revision": 1}]));
    let fleet = world.get("/api/v1/deployments/fleet").await;
    assert_eq!((&fleet["status"]["nodes"], &fleet["status"]["overruled"]), (&json!(1), &json!(["n1"])));

    let (status, n2) = world.call(Method::PATCH, "/api/v1/nodes/n2", Some(json!({"labels": {"site": "south", "gpu": ""}}))).await;
    assert_eq!((status, &n2["spec"]["apps"]), (StatusCode::OK, &json!({})), "the label decides");
    let found = world.get("/api/v1/nodes?selector=gpu,site%3Dsouth").await;
    assert_eq!(found["items"][0]["metadata"]["name"], "n2");
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    world.call(Method::DELETE, "/api/v1/deployments/canary", None).await;
    assert_eq!(world.get("/api/v1/nodes/n1").await["spec"]["apps"]["web"]["deployment"], "fleet");
}

#[tokio::test]
async fn a_rollback_never_brings_back_what_was_taken_away_meanwhile() {
    let world = World::new().await;
    world.publish("1", "linux/amd64").await;
    world.publish("2", "linux/amd64").await;
    let (hub, d) = (&world.running.hub, crate::world::name("d"));
    // Which one is first is left to chance, so several times.
    for _ in 0..10 {
        world.deploy("d", "1", &["n1"]).await;
        world.deploy("d", "2", &["n1"]).await;
        let (back, gone) = tokio::join!(hub.rollback(&d, None, None, "ann"), hub.undeploy(&d, None, "bob"));
        gone.expect("taken away");
        let (status, found) = world.call(Method::GET, "/api/v1/deployments/d", None).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{back:?} {found}");
    }
}

#[tokio::test]
async fn a_node_of_another_platform_is_named_and_nothing_is_deployed() {
    let world = World::new().await;
    let arm = world.publish("1", "linux/arm64").await;
    let identity = enroll(&world, "n1").await;
    world.deploy("early", "1", &["n1"]).await;
    let mut node = FakeNode::connect(world.running.gate, &identity, &world.ca).await.expect("session");
    node.say(&report(1, 0, None)).await;
    eventually(&world, "/api/v1/nodes/n1", |node| node["status"]["facts"].is_object()).await;
    let body = json!({"app": "web", "release": arm, "target": {"nodes": ["n1"]}});
    let (status, problem) = world.call(Method::PUT, "/api/v1/deployments/d", Some(body)).await;
    assert_eq!((status.as_u16(), &problem["code"]), (422, &json!("hub-deployment-no-platform")));
    assert_eq!(
        (&problem["params"]["nodes"], &problem["params"]["published"]),
        (&json!("n1 (linux/amd64)"), &json!("linux/arm64"))
    );
    assert_eq!(world.call(Method::GET, "/api/v1/deployments/d", None).await.0, StatusCode::NOT_FOUND);

    // By labels, one node says nothing for the others; all of them together do.
    let by_label = || json!({"app": "web", "release": arm, "target": {"selector": {"matchLabels": {"site": "north"}}}});
    let deploy = |name: &'static str| world.call(Method::PUT, name, Some(by_label()));
    let (status, problem) = deploy("/api/v1/deployments/d").await;
    assert_eq!((status.as_u16(), &problem["code"]), (422, &json!("hub-deployment-no-platform")));
    let other = enroll(&world, "n2").await;
    let mut arm_node = FakeNode::connect(world.running.gate, &other, &world.ca).await.expect("session");
    arm_node.say(&report_of("linux/arm64", 1)).await;
    eventually(&world, "/api/v1/nodes/n2", |node| node["status"]["facts"].is_object()).await;
    assert_eq!(deploy("/api/v1/deployments/d").await.0, StatusCode::OK);

    // A revoked one says nothing at all.
    world.call(Method::POST, "/api/v1/nodes/n1/revoke", None).await;
    let body = json!({"app": "web", "release": arm, "target": {"nodes": ["n1", "n2"]}});
    assert_eq!(world.call(Method::PUT, "/api/v1/deployments/named", Some(body)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn status_comes_from_what_nodes_say() {
    let world = World::new().await;
    let release = world.publish("1", "linux/amd64").await;
    let identity = enroll(&world, "n1").await;
    world.deploy("d", "1", &["n1"]).await;
    let mut node = FakeNode::connect(world.running.gate, &identity, &world.ca).await.expect("session");
    node.say(&report(1, 2, Some(running("web", release, "1")))).await;
    let shown = eventually(&world, "/api/v1/deployments/d", |d| d["status"]["ready"] == 1).await;
    assert_eq!(shown["status"]["phases"], json!({"running": 1}));
    assert_eq!((&shown["status"]["detail"][0]["node"], &shown["status"]["detail"][0]["connected"]), (&json!("n1"), &json!(true)));
    let n1 = world.get("/api/v1/nodes/n1").await;
    assert_eq!((&n1["status"]["inSync"], &n1["status"]["connected"]), (&json!(true), &json!(true)));
    assert_eq!(n1["status"]["apps"][0]["services"][0]["runningSeconds"], 4);

    drop(node);
    let gone = eventually(&world, "/api/v1/nodes/n1", |node| node["status"]["connected"] == false).await;
    assert_eq!(gone["status"]["apps"][0]["phase"], "running", "what was said last stays, with its age");
    world.pass(3600);
    assert!(world.get("/api/v1/nodes/n1").await["status"]["ageSeconds"].as_u64().unwrap() >= 3600);
}
