//! The watch: nothing is missed, and a cut is resumed.

use reqwest::{Method, Response};
use serde_json::Value;
use std::time::Duration;

use crate::node::{FakeNode, enroll, report, running};
use crate::world::World;

struct Events {
    response: Response,
    text: String,
}

impl Events {
    async fn open(world: &World, query: &str) -> Self {
        let url = format!("{}/api/v1/watch?{query}", world.base);
        let response = world.http.get(url).bearer_auth(&world.token).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// The next event: its name, id and data.
    async fn next(&mut self) -> (String, u64, Value) {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field =
                    |key: &str| event.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().trim().to_owned();
                let found = (
                    field("event:"),
                    field("id:").parse().unwrap_or(0),
                    serde_json::from_str(&field("data:")).unwrap_or(Value::Null),
                );
                self.text = rest.to_owned();
                if !found.0.is_empty() {
                    return found;
                }
                continue;
            }
            let chunk = tokio::time::timeout(Duration::from_secs(60), self.response.chunk()).await.expect("in time");
            self.text.push_str(std::str::from_utf8(&chunk.unwrap().expect("open")).unwrap());
        }
    }

    async fn until(&mut self, what: impl Fn(&str, &Value) -> bool) -> (u64, Value) {
        loop {
            let (event, id, data) = self.next().await;
            if what(&event, &data) {
                return (id, data);
            }
        }
    }
}

#[tokio::test]
async fn changes_are_seen_and_a_cut_is_resumed() {
    let world = World::new().await;
    let release = world.publish("1", "linux/amd64").await;
    let from = world.get("/api/v1/deployments").await["revision"].as_u64().unwrap();
    let mut events = Events::open(&world, "kind=nodes,deployments").await;
    let identity = enroll(&world, "n1").await;
    events.until(|event, data| event == "put" && data["kind"] == "nodes" && data["name"] == "n1").await;
    world.deploy("d", "1", &["n1"]).await;
    let (id, made) = events.until(|_, data| data["kind"] == "deployments").await;
    assert_eq!(made["object"]["spec"]["version"], "1");

    let mut node = FakeNode::connect(world.running.gate, &identity, &world.ca).await.expect("session");
    node.say(&report(1, 2, Some(running("web", release, "1")))).await;
    let ready = |_: &str, data: &Value| data["kind"] == "deployments" && data["object"]["status"]["ready"] == 1;
    events.until(ready).await;

    drop(events);
    world.call(Method::DELETE, "/api/v1/deployments/d", None).await;
    let mut resumed = Events::open(&world, &format!("kind=deployments&from={id}")).await;
    resumed.until(|event, data| event == "delete" && data["name"] == "d").await;
    let mut from_list = Events::open(&world, &format!("kind=nodes&from={from}")).await;
    from_list.until(|event, data| event == "put" && data["name"] == "n1").await;
}

#[tokio::test]
async fn a_release_that_is_taken_back_is_told_by_its_name() {
    let world = World::new().await;
    let from = world.get("/api/v1/releases").await["revision"].as_u64().unwrap();
    world.publish("1", "linux/amd64").await;
    assert_eq!(world.call(Method::DELETE, "/api/v1/releases/web@1", None).await.0, 204);
    let mut events = Events::open(&world, &format!("kind=releases&from={from}")).await;
    events.until(|event, data| event == "delete" && data["name"] == "web@1").await;
    world.publish("1", "linux/amd64").await;
    events.until(|event, data| event == "put" && data["name"] == "web@1").await;
}
