//! How instances end and start again.

use std::time::{Duration, Instant};

use edge_node::runtime::Runtime;
use edge_node::runtime::containerd::log::read;
use serde_json::json;
use shared::plan::Step;
use shared::state::Task;

use crate::world::{World, wait_for};

#[tokio::test]
async fn ends_are_told_apart() {
    let world = World::new().await;
    let net = || json!({"network_mode": "none"});
    let seven = world.shell("seven", "echo out; echo err >&2; exit 7", net()).await;
    let trap = world.shell("trap", "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done", net()).await;
    let mut deaf = net();
    deaf["stop_grace_period"] = json!("300ms");
    let deaf = world.shell("deaf", "trap '' TERM; echo ready; while :; do sleep 0.05; done", deaf).await;
    let mut hungry = net();
    hungry["deploy"] = json!({"resources": {"limits": {"memory": "16m"}}});
    let hungry = world.shell("hungry", "exec tail /dev/zero", hungry).await;
    let exit = world.exit(&seven).await;
    assert_eq!((exit.code, exit.oom), (7, false));
    assert_eq!(world.exit(&seven).await, exit, "an end keeps its time");
    let (lines, _) = read::tail(&world.log("seven"), 9).expect("logs");
    let told: Vec<_> = lines.iter().map(|line| (line.stream.as_str(), line.text.as_str())).collect();
    assert!(told.contains(&("out", "out")) && told.contains(&("err", "err")), "{told:?}");
    world.printed("trap", "ready").await;
    world.apply(Step::Stop(trap.clone())).await;
    assert_eq!(world.seen(&trap).await.task, Task::Absent, "a stopped instance has no task: it starts again when asked");
    world.printed("trap", "bye").await;
    world.printed("deaf", "ready").await;
    let begin = Instant::now();
    world.apply(Step::Stop(deaf.clone())).await;
    assert!(begin.elapsed() >= Duration::from_millis(300));
    assert_eq!(world.seen(&deaf).await.task, Task::Absent);
    let exit = world.exit(&hungry).await;
    assert_eq!((exit.code, exit.oom), (137, true));
    world.apply(Step::Stop(deaf)).await;
}

#[tokio::test]
async fn an_instance_starts_again_with_what_it_wrote() {
    let world = World::new().await;
    let definition =
        json!({"network_mode": "none", "command": ["sh", "-c", "cat /kept; echo was here > /kept; echo end; exit 3"]});
    let spec = world.spec("web", definition);
    let id = world.create(&spec).await.expect("created");
    world.exit(&id).await;
    world.apply(Step::Start(id.clone(), Box::new(spec.clone()))).await;
    wait_for("the second run", || async { (world.lines("web").iter().filter(|line| *line == "end").count() == 2).then_some(()) })
        .await;
    assert!(world.lines("web").contains(&"was here".to_owned()));
    assert_eq!(world.exit(&id).await.code, 3);
    world.apply(Step::Remove(id.clone())).await;
    world.apply(Step::Remove(id.clone())).await;
    assert!(world.runtime().observe().await.expect("observe").instances.is_empty());
    let gone = world.runtime().apply(&Step::Start(id, Box::new(spec))).await;
    assert!(gone.is_err(), "what was removed does not start");
}
