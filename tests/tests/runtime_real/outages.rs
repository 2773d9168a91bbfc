//! What survives when power, daemon, containerd or a shim is gone.

use edge_node::runtime::{Runtime, RuntimeError};
use serde_json::json;
use shared::plan::Step;
use shared::state::Task;

use crate::world::{LIMIT, WEB, World, free_port, get, wait_for};

#[tokio::test]
async fn running_ones_come_back_after_a_power_cut() {
    let mut world = World::new().await;
    let port = free_port();
    std::fs::create_dir_all(world.config.state.join("secrets/shop")).expect("directory");
    std::fs::write(world.config.state.join("secrets/shop/key"), "hush").expect("secret");
    let definition = json!({
        "command": ["sh", "-c", WEB], "ports": [{"target": 8080, "published": port}],
        "secrets": [{"source": "key", "target": "/key", "mode": "0400"}],
    });
    let spec = world.spec("web", definition);
    let id = world.create(&spec).await.expect("created");
    let at = format!("127.0.0.1:{port}");
    wait_for("an answer", || get(&at)).await;
    world.power_off();
    world.private.restart().await;
    world.daemon();
    assert_eq!(world.seen(&id).await.task, Task::Absent);
    world.apply(Step::Start(id.clone(), Box::new(spec.clone()))).await;
    world.pid(&id).await;
    wait_for("an answer after the power cut", || get(&at)).await;
    // The same once more, on a machine whose /run really was memory.
    world.power_off();
    std::fs::remove_dir_all(&world.config.run).expect("wiped");
    world.private.restart().await;
    world.daemon();
    world.apply(Step::Start(id.clone(), Box::new(spec))).await;
    wait_for("an answer after the second one", || get(&at)).await;
    world.apply(Step::Stop(id.clone())).await;
    world.apply(Step::Remove(id)).await;
}

#[tokio::test]
async fn daemon_containerd_and_shim_may_die() {
    let mut world = World::new().await;
    let script = "n=0; while :; do n=$((n+1)); echo line $n; sleep 0.02; done";
    let id = world.shell("web", script, json!({"network_mode": "none"})).await;
    let (pid, since) = (world.pid(&id).await, world.seen(&id).await.task);
    world.printed("web", "line 5").await;

    world.daemon();
    assert_eq!(world.seen(&id).await.task, since, "a new daemon finds the same process");
    world.runtime().changed().await;

    world.private.kill();
    let down = world.runtime().observe().await.expect_err("containerd is dead");
    assert!(matches!(down, RuntimeError::Unreachable(_)), "{down}");
    let lines = world.lines("web").len();
    wait_for("lines without containerd", || async { (world.lines("web").len() > lines + 5).then_some(()) }).await;
    world.private.restart().await;
    let changed = tokio::time::timeout(LIMIT, world.runtime().changed()).await;
    changed.expect("its return wakes the node");
    assert_eq!(world.pid(&id).await, pid, "the container never stopped");
    let numbers: Vec<u32> = world.lines("web").iter().filter_map(|line| line.strip_prefix("line ")?.parse().ok()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "no line is lost: {numbers:?}");

    let (_, shim) = world.private.shims().into_iter().find(|(of, _)| of == id.as_str()).expect("its shim");
    rustix::process::kill_process(rustix::process::Pid::from_raw(shim).expect("pid"), rustix::process::Signal::KILL)
        .expect("killed");
    tokio::time::timeout(LIMIT, world.runtime().changed()).await.expect("its loss wakes the node");
    wait_for("the loss", || async { (world.seen(&id).await.task == Task::Absent).then_some(()) }).await;
    let mut definition = json!({"network_mode": "none"});
    definition["command"] = json!(["sh", "-c", script]);
    let spec = world.spec("web", definition);
    world.apply(Step::Start(id.clone(), Box::new(spec))).await;
    assert_ne!(world.pid(&id).await, pid);
}

#[tokio::test]
async fn what_a_killed_daemon_left_is_swept() {
    let mut world = World::new().await;
    let port = free_port();
    let id = world.shell("web", WEB, json!({"ports": [{"target": 8080, "published": port}]})).await;
    // The daemon dies; meanwhile somebody removes the container behind its back.
    world.runtime = None;
    for arguments in [vec!["tasks", "kill", "-s", "9"], vec!["tasks", "delete"], vec!["containers", "delete"]] {
        let mut ctr = std::process::Command::new("ctr");
        ctr.arg("-a").arg(world.private.socket()).args(["-n", world.private.namespace()]).args(arguments).arg(id.as_str());
        wait_for("ctr", || {
            let done = ctr_done(&ctr);
            async move { done.then_some(()) }
        })
        .await;
    }
    world.daemon();
    assert!(world.runtime().observe().await.expect("observe").instances.is_empty());
    for dir in ["netns", "network", "instances"] {
        assert_eq!(std::fs::read_dir(world.config.run.join(dir)).expect("run").count(), 0, "{dir}");
    }
    let again = world.shell("web", WEB, json!({"ports": [{"target": 8080, "published": port}]})).await;
    let at = format!("127.0.0.1:{port}");
    wait_for("the port is free again", || get(&at)).await;
    world.apply(Step::Stop(again.clone())).await;
    world.apply(Step::Remove(again)).await;
}

fn ctr_done(ctr: &std::process::Command) -> bool {
    let mut again = std::process::Command::new(ctr.get_program());
    again.args(ctr.get_args()).stderr(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    again.status().expect("ctr").success()
}

#[tokio::test]
async fn a_create_that_fails_without_containerd_keeps_no_port() {
    let mut world = World::new().await;
    let port = free_port();
    let spec = world.spec("web", json!({"command": ["sleep", "60"], "ports": [{"target": 8080, "published": port}]}));
    world.private.kill();
    world.create(&spec).await.expect_err("no containerd");
    world.private.restart().await;
    world.runtime().observe().await.expect("a look");
    let id = world.create(&spec).await.expect("its own port is free");
    // A network that comes later brings its resolvers into what runs.
    let resolvers = world.config.run.join("instances").join(id.as_str()).join("resolv.conf");
    let right = std::fs::read_to_string(&resolvers).expect("resolvers");
    std::fs::write(&resolvers, "").expect("none yet");
    world.runtime().observe().await.expect("a look");
    assert_eq!(std::fs::read_to_string(&resolvers).expect("resolvers"), right);
    world.apply(Step::Stop(id.clone())).await;
    world.apply(Step::Remove(id)).await;
}

/// A power cut right after a container was made leaves its record and not its directories.
#[tokio::test]
async fn a_container_whose_own_files_are_gone_starts_again() {
    let mut world = World::new().await;
    let spec = world.spec("web", json!({"command": ["sh", "-c", "echo here; sleep 1000"]}));
    let id = world.create(&spec).await.expect("created");
    world.printed("web", "here").await;
    world.power_off();
    let snapshots = world.private.root().join("io.containerd.snapshotter.v1.overlayfs/snapshots");
    let own = std::fs::read_dir(&snapshots).expect("snapshots").map(|entry| entry.expect("entry").path());
    let own = own.max_by_key(|path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok())).expect("its own");
    std::fs::remove_dir_all(own).expect("lost");
    world.private.restart().await;
    world.daemon();
    world.apply(Step::Start(id.clone(), Box::new(spec))).await;
    world.pid(&id).await;
    world.apply(Step::Stop(id.clone())).await;
    world.apply(Step::Remove(id)).await;
}
