//! Ports, addresses, names, probes.

use std::time::Duration;

use edge_node::runtime::Runtime;
use serde_json::json;
use shared::fault::node;
use shared::manifest::Probe;
use shared::plan::Step;
use shared::state::InstanceId;

use crate::world::{WEB, World, code, free_port, get, wait_for};

#[tokio::test]
async fn services_are_reached_by_port_by_address_and_by_name() {
    let world = World::new().await;
    let port = free_port();
    let web = world.shell("web", WEB, json!({"ports": [{"target": 8080, "published": port}]})).await;
    let address = world.seen(&web).await.address.expect("an address");
    for at in [format!("127.0.0.1:{port}"), format!("{address}:8080")] {
        let answer = wait_for(&at, || get(&at)).await;
        assert!(answer.contains("hello"), "{at}: {answer}");
    }
    let script = "until wget -qO- http://web:8080/; do sleep 0.1; done; exec sleep 1000000";
    let client = world.shell("client", script, json!({})).await;
    world.printed("client", "hello").await;

    let second = Duration::from_secs(10);
    let probe = |id: InstanceId, probe: Probe| {
        let runtime = world.runtime();
        async move { runtime.probe(&id, &probe, second).await }
    };
    let http = |path: &str| Probe::Http { port: 8080, path: path.into() };
    probe(web.clone(), http("/")).await.expect("healthy");
    probe(web.clone(), http("/none")).await.expect_err("404");
    probe(web.clone(), Probe::Tcp { port: 8080 }).await.expect("healthy");
    probe(web.clone(), Probe::Tcp { port: 9 }).await.expect_err("closed");
    probe(web.clone(), Probe::Shell("test $(hostname) = web".into())).await.expect("healthy");
    probe(web.clone(), Probe::Exec(vec!["false".into()])).await.expect_err("exit 1");
    probe(web.clone(), Probe::Exec(vec!["none".into()])).await.expect_err("no such program");
    let slow = Probe::Exec(vec!["sleep".into(), "1000".into()]);
    world.runtime().probe(&web, &slow, Duration::from_millis(300)).await.expect_err("too slow");
    let procs = std::fs::read_to_string(format!("/sys/fs/cgroup/pids/{}/{web}/cgroup.procs", world.config.namespace));
    assert_eq!(procs.expect("processes").lines().count(), 1, "no probe is left behind");

    let taken = world.spec("third", json!({"ports": [{"target": 1, "published": port}]}));
    assert_eq!(code(world.create(&taken).await.expect_err("taken")), node::PORT_TAKEN.code);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a program of the node");
    let own = listener.local_addr().expect("address").port();
    let taken = world.spec("third", json!({"ports": [{"target": 1, "published": own}]}));
    assert_eq!(code(world.create(&taken).await.expect_err("in use")), node::PORT_UNUSABLE.code);

    world.apply(Step::Stop(web.clone())).await;
    assert!(get(&format!("127.0.0.1:{port}")).await.is_none(), "a stopped service frees its port");
    let other = world.shell("other", WEB, json!({"ports": [{"target": 8080, "published": port}]})).await;
    let at = format!("127.0.0.1:{port}");
    wait_for("the new holder", || get(&at)).await;
    for id in [web, client, other] {
        world.apply(Step::Stop(id.clone())).await;
        world.apply(Step::Remove(id)).await;
    }
    let rules = std::process::Command::new("iptables").args(["-w", "-t", "nat", "-S"]).output().expect("iptables").stdout;
    let rules = String::from_utf8_lossy(&rules).into_owned();
    assert!(!rules.contains(world.private.bridge()), "rules are left: {rules}");
    assert_eq!(std::fs::read_dir(world.config.run.join("netns")).expect("run").count(), 0);
}
