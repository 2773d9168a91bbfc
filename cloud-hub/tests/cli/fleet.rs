//! Nodes and deployments.

use serde_json::Value;
use shared::report::{AppReport, Good, Phase};
use shared::wire::v1::{NextReport, Up};

use crate::node::{FakeNode, Identity, asks, report, request, running};
use crate::shell::Shell;
use crate::world::{World, name};

/// Joins with what `hubctl token create` printed.
pub async fn join(world: &World, shell: &Shell, node: &str) -> Identity {
    let said = shell.run(&["token", "create", node, "--ttl", "10m", "-l", "site=north"]).await;
    assert!(said.err.contains(&format!("becomes node {node}")), "{said:?}");
    let token = said.out.strip_prefix("edge-node join ").unwrap().trim().to_owned();
    assert_eq!(shell.run(&["get", "tokens", "-o", "name"]).await.ok(), format!("token/{node}\n"));
    let (key, csr) = request();
    let (status, answer) = world.call_as("", reqwest::Method::POST, "/api/v1/enroll", Some(asks(&token, node, &csr))).await;
    assert!(status.is_success(), "{answer}");
    Identity { node: name(node), certificate: answer["certificate"].as_str().unwrap().to_owned(), key, answer }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_goes_to_a_node_and_back() {
    let world = World::new().await;
    let shell = Shell::of(&world).await;
    let v1 = world.publish_as(&shell, "1.0.0").await;
    let v2 = world.publish_as(&shell, "2.0.0").await;
    let identity = join(&world, &shell, "n1").await;

    shell.run(&["deploy", "web@1.0.0"]).await.failed(2, "cli-no-target");
    shell.run(&["deploy", "web@9", "--all-nodes"]).await.failed(3, "hub-release-not-found");
    shell.run(&["deploy", "web@1.0.0", "-l", "site!=north"]).await.failed(2, "cli-bad-selector");
    let said = shell.run(&["deploy", "web@1.0.0", "-l", "site=north"]).await.ok();
    assert_eq!(said, "Deployment web: web@1.0.0 to 1 nodes, revision 1\n");
    let late = shell.run(&["wait", "--for=ready", "deployment/web", "--timeout", "1s"]).await.failed(6, "cli-wait-timeout");
    assert!(late.err.contains("0 of 1 nodes ready (1 unknown)"), "{late:?}");
    let late = ["wait", "--for=ready", "deployment/web", "--timeout", "1s", "--lang", "zh"];
    let late = shell.run(&late).await.failed(6, "cli-wait-timeout");
    assert!(late.err.contains("就绪") && late.err.contains("未知") && !late.err.contains("ready"), "{late:?}");
    let offline = shell.run(&["get", "nodes"]).await.ok();
    assert!(offline.contains("never seen") && offline.contains("behind"), "{offline}");

    let mut node = FakeNode::connect(world.running.gate, &identity, &world.ca).await.unwrap();
    node.hello(0, [0; 32]).await;
    node.say(&report(1, 1, Some(running("web", v1, "1.0.0")))).await;
    let ready = shell.run(&["wait", "--for=ready", "deploy/web", "--timeout", "20s"]).await.ok();
    assert_eq!(ready, "deployment/web is ready\n");
    shell.run(&["wait", "--for=connected", "node/n1", "--timeout", "5s"]).await.ok();
    let text = shell.run(&["describe", "node", "n1"]).await.ok();
    for part in ["connected", "site=north", "linux/amd64", "web   web       running", "Events:"] {
        assert!(text.contains(part), "{part}: {text}");
    }

    // The same nodes, another release; a node that undoes it is told at once.
    shell.run(&["deploy", "web@2.0.0"]).await.ok();
    let fault = shared::fault::Fault::new(&shared::fault::node::SERVICE_UNHEALTHY).with("service", "web");
    let good = Some(Good { release: v1, version: "1.0.0".into() });
    let undone = AppReport { wanted: v2, good, phase: Phase::Undone, fault: Some(fault), ..running("web", v1, "1.0.0") };
    node.say(&report(2, 2, Some(undone))).await;
    let hopeless = shell.run(&["wait", "--for=ready", "deployment/web", "--timeout", "60s"]).await.failed(1, "cli-wait-hopeless");
    assert!(hopeless.err.contains("node-service-unhealthy"), "{hopeless:?}");
    let page = shell.run(&["describe", "node", "n1"]).await.ok();
    let row = ["web", "1.0.0", "undone", "1.0.0"];
    assert!(page.contains("LAST GOOD") && page.lines().any(|line| line.split_whitespace().eq(row)), "{page}");
    assert!(shell.run(&["describe", "node", "n1", "--lang", "zh"]).await.ok().contains("上一个正常"));
    let text = shell.run(&["describe", "deployment", "web", "--lang", "zh"]).await.ok();
    assert!(text.contains("已回退") && text.contains("健康检查失败"), "{text}");

    let back = shell.run(&["rollback", "web"]).await.ok();
    assert_eq!(back, "Deployment web: web@1.0.0 to 1 nodes, revision 3\n");
    assert_eq!(shell.run(&["rollback", "web", "--to", "7"]).await.code, 5);
    shell.run(&["undeploy", "web"]).await.ok();
    shell.run(&["undeploy", "web"]).await.failed(3, "hub-deployment-not-found");
    shell.run(&["wait", "--for=deleted", "deployment/web", "--timeout", "5s"]).await.ok();
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_prefetched_and_then_deployed() {
    let world = World::new().await;
    let shell = Shell::of(&world).await;
    let v1 = world.publish_as(&shell, "1.0.0").await;
    let v2 = world.publish_as(&shell, "2.0.0").await;
    let identity = join(&world, &shell, "n1").await;
    shell.run(&["deploy", "web@1.0.0", "-n", "n1"]).await.ok();
    shell.run(&["prefetch", "web@2.0.0"]).await.failed(2, "cli-no-target");
    shell.run(&["prefetch", "web@2.0.0", "--name", "web"]).await.failed(5, "hub-deployment-other-kind");
    let said = shell.run(&["prefetch", "web@2.0.0", "-n", "n1"]).await.ok();
    assert!(said.starts_with("Prefetch web-prefetch: web@2.0.0 to the disks of 1 nodes, revision 2; "), "{said}");
    shell.run(&["deploy", "web@2.0.0", "--name", "web-prefetch"]).await.failed(5, "hub-deployment-other-kind");

    let mut node = FakeNode::connect(world.running.gate, &identity, &world.ca).await.unwrap();
    node.hello(0, [0; 32]).await;
    let Up::Report(mut said) = report(1, 2, Some(running("web", v1, "1.0.0"))) else { panic!("not a report") };
    let next = |phase| NextReport { app: "web".into(), release: *v2.as_bytes(), version: "2.0.0".into(), phase, fault: None };
    said.next = vec![next(1)];
    node.say(&Up::Report(said.clone())).await;
    let wait = ["wait", "--for=ready", "deployment/web-prefetch", "--timeout", "2s"];
    let late = shell.run(&wait).await.failed(6, "cli-wait-timeout");
    assert!(late.err.contains("0 of 1 nodes ready (1 fetching)"), "{late:?}");
    shell.run(&["wait", "--for=ready", "deployment/web", "--timeout", "5s"]).await.ok();
    (said.next, said.sequence) = (vec![next(8)], 2);
    node.say(&Up::Report(said)).await;
    shell.run(&["wait", "--for=ready", "deployment/web-prefetch", "--timeout", "20s"]).await.ok();
    let text = shell.run(&["describe", "node", "n1", "--lang", "zh"]).await.ok();
    assert!(text.contains("预取") && text.contains("已就位"), "{text}");
    let text = shell.run(&["describe", "deployment", "web-prefetch"]).await.ok();
    assert!(text.contains("prefetch only") && text.contains("fetched"), "{text}");

    // What is deployed later ends it.
    shell.run(&["deploy", "web@2.0.0"]).await.ok();
    assert!(shell.run(&["get", "deployments"]).await.ok().contains("web-prefetch   web@2.0.0   0/0"));
    shell.run(&["undeploy", "web-prefetch"]).await.ok();
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn budgets_are_set_shown_and_removed() {
    let world = World::new().await;
    let shell = Shell::of(&world).await;
    join(&world, &shell, "n1").await;
    shell.run(&["budget", "set", "north", "--rate", "1Mbit"]).await.failed(2, "cli-no-target");
    shell.run(&["budget", "set", "north", "-l", "site=north"]).await.failed(2, "budget-limits-nothing");
    shell.run(&["budget", "set", "north", "--per-day", "much", "--all-nodes"]).await.failed(2, "cli-bad-pair");
    shell.run(&["budget", "set", "north", "--window", "22-6", "--all-nodes"]).await.failed(2, "budget-bad-window");
    let set = ["budget", "set", "north", "-l", "site=north", "--per-day", "2GiB", "--window", "22:00-06:00", "--zone", "+08:00"];
    let said = shell.run(&set).await.ok();
    assert_eq!(said, "Budget north: 2 GiB a day; 22:00-06:00 (+08:00), in force on 1 nodes, each by itself\n");
    let said = shell.run(&["budget", "set", "north", "--rate", "1Mbit", "--lang", "zh"]).await.ok();
    assert_eq!(said, "预算 north：122 KiB/秒 (+00:00)，在 1 个节点上各自生效\n", "all of it anew, for the same nodes");
    let table = shell.run(&["get", "budgets"]).await.ok();
    assert!(table.contains("north") && table.contains("122 KiB/s (+00:00)") && table.contains("site=north"), "{table}");
    let one: Value = serde_json::from_str(&shell.run(&["get", "budget/north", "-o", "json"]).await.ok()).unwrap();
    assert_eq!((&one["spec"]["limits"]["rate"], &one["status"]["nodes"][0]), (&Value::from(125_000), &Value::from("n1")));
    let text = shell.run(&["describe", "node", "n1"]).await.ok();
    assert!(text.contains("Link budget:") && text.contains("north: 122 KiB/s (+00:00)"), "{text}");
    assert!(shell.run(&["describe", "budget", "north", "--lang", "zh"]).await.ok().contains("122 KiB/秒"));
    shell.run(&["budget", "remove", "north"]).await.ok();
    shell.run(&["budget", "remove", "north"]).await.failed(3, "hub-budget-not-found");
    assert!(!shell.run(&["describe", "node", "n1"]).await.ok().contains("Link budget"));
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbours_are_shown() {
    let world = World::new().await;
    let shell = Shell::of(&world).await;
    let mut sessions = Vec::new();
    for (node, address) in [("a", "192.168.7.21:7448"), ("b", "192.168.7.22:7448")] {
        let identity = join(&world, &shell, node).await;
        let mut session = FakeNode::connect(world.running.gate, &identity, &world.ca).await.unwrap();
        let Up::Report(mut said) = report(1, 1, None) else { panic!("not a report") };
        said.facts.address = Some(address.parse().unwrap());
        session.say(&Up::Report(said)).await;
        sessions.push(session);
    }
    for session in &mut sessions {
        assert!(session.hear().await.is_some(), "told about the other one");
    }
    for (lang, parts) in [
        ("en", ["Site:", "Shares images at:", "Neighbours:", "NEIGHBOUR   ADDRESS", "b           192.168.7.22:7448"]),
        ("zh", ["站点：", "镜像共享地址：", "邻居：", "邻居   地址", "b      192.168.7.22:7448"]),
    ] {
        let text = shell.run(&["describe", "node", "a", "--lang", lang]).await.ok();
        for part in parts.into_iter().chain(["192.168.7.21:7448"]) {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    shell.run(&["node", "label", "b", "site=south"]).await.ok();
    assert!(!shell.run(&["describe", "node", "a"]).await.ok().contains("Neighbours"));
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_labelled_listed_revoked_and_forgotten() {
    let world = World::new().await;
    let shell = Shell::of(&world).await;
    for node in ["a", "b"] {
        join(&world, &shell, node).await;
    }
    assert_eq!(shell.run(&["node", "label", "a", "gpu=yes", "site-"]).await.ok(), "Node a: gpu=yes\n");
    let get = async |args: &[&str]| shell.run(&[&["get", "nodes"], args].concat()).await;
    assert_eq!(get(&["-o", "name"]).await.ok(), "node/a\nnode/b\n");
    assert_eq!(get(&["-l", "gpu", "-o", "name"]).await.ok(), "node/a\n");
    assert_eq!(get(&["-l", "site=north,!gpu", "-o", "name"]).await.ok(), "node/b\n");
    assert_eq!(get(&["b", "a", "-o", "name"]).await.ok(), "node/a\nnode/b\n");
    get(&["a", "zz", "-o", "name"]).await.failed(3, "cli-not-found");
    get(&["zz"]).await.failed(3, "hub-node-not-found");
    get(&["-l", "a in (b)"]).await.failed(2, "hub-bad-selector");
    assert!(!get(&["--no-headers"]).await.ok().contains("STATUS"));
    assert_eq!(get(&["-l", "none"]).await.err, "No node found\n");
    let one: Value = serde_json::from_str(&get(&["a", "-o", "json"]).await.ok()).unwrap();
    assert_eq!(one["metadata"]["labels"]["gpu"], "yes");
    let yaml = get(&["a", "-o", "yaml"]).await.ok();
    assert!(yaml.starts_with("metadata:\n  created: ") && yaml.contains("    gpu: \"yes\"\n"), "{yaml}");
    let list: Value = serde_json::from_str(&get(&["-o", "json"]).await.ok()).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 2);

    shell.run(&["node", "revoke", "a"]).await.ok();
    assert!(get(&["a"]).await.ok().contains("revoked"));
    shell.run(&["node", "delete", "a"]).await.ok();
    shell.run(&["node", "delete", "a"]).await.failed(3, "hub-node-not-found");
    shell.run(&["node", "delete", "A/.."]).await.failed(2, "cli-bad-name");
    assert_eq!(shell.run(&["logs", "b", "web"]).await.code, 1, "it is not connected");
    assert_eq!(shell.run(&["logs", "zz", "web"]).await.code, 3);
    let events = shell.run(&["get", "events", "--node", "a"]).await.ok();
    assert!(events.contains("admin") && events.lines().count() > 3, "{events}");
    shell.run(&["get", "apps", "-w"]).await.failed(2, "cli-not-for-kind");
    shell.run(&["get", "pods"]).await.failed(2, "cli-bad-kind");
    shell.run(&["token", "create", "c", "--ttl", "2161h"]).await.failed(1, "hub-bad-ttl");
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_taken_back_when_nothing_needs_it() {
    let world = World::new().await;
    let shell = Shell::of(&world).await;
    world.publish_as(&shell, "1.0.0").await;
    let v2 = world.publish_as(&shell, "2.0.0").await;
    let identity = join(&world, &shell, "n1").await;
    shell.run(&["deploy", "web@2.0.0", "-n", "n1"]).await.ok();
    let said = shell.run(&["unpublish", "web@1.0.0"]).await.ok();
    assert!(said.starts_with("web@1.0.0 unpublished; "), "{said}");
    shell.run(&["unpublish", "web@1.0.0"]).await.failed(3, "hub-release-not-found");
    shell.run(&["unpublish", "web"]).await.failed(2, "cli-bad-reference");

    let used = shell.run(&["unpublish", "web@2.0.0"]).await.failed(5, "hub-release-deployed");
    assert!(used.err.contains("web@2.0.0 is what web bring"), "{used:?}");
    let mut node = FakeNode::connect(world.running.gate, &identity, &world.ca).await.unwrap();
    node.say(&report(1, 1, Some(running("web", v2, "2.0.0")))).await;
    shell.run(&["wait", "--for=ready", "deployment/web", "--timeout", "20s"]).await.ok();
    shell.run(&["undeploy", "web"]).await.ok();
    let used = shell.run(&["unpublish", &v2.to_string(), "--lang", "zh"]).await.failed(5, "hub-release-on-nodes");
    assert!(used.err.contains("n1 上有 web@2.0.0"), "{used:?}");
    node.say(&report(2, 2, None)).await;
    shell.run(&["node", "delete", "n1"]).await.ok();
    let said = shell.run(&["unpublish", "web@2.0.0", "--lang", "zh"]).await.ok();
    assert!(said.contains("已撤回 web@2.0.0"), "{said}");
    assert_eq!(shell.run(&["get", "releases", "-o", "name"]).await.ok(), "");
    world.running.stop().await;
}

impl World {
    /// Publishes `web` in `version`, signed with the shell's key.
    pub async fn publish_as(&self, shell: &Shell, version: &str) -> shared::id::Digest {
        use shared::sign::{Envelope, Purpose};
        let sample = crate::world::sample(version, "linux/amd64");
        self.upload(&sample).await;
        let release = crate::world::release("web", version, vec![sample.expected()]);
        let envelope = Envelope::sign(Purpose::Release, release.to_bytes(), &[&shell.key()]);
        let (status, value) = self.bytes(reqwest::Method::POST, "/api/v1/releases", envelope.to_bytes()).await;
        assert!(status.is_success(), "{value}");
        envelope.payload_digest()
    }
}
