//! What the runtime says it takes of the disk, beside what the kernel says.

use std::path::Path;

use edge_node::disk::walk::Walk;
use edge_node::images::stop::Stop;
use edge_node::runtime::Runtime;
use serde_json::json;
use shared::plan::Step;

use crate::world::{World, wait_for};

#[tokio::test]
async fn what_layers_and_containers_take_is_what_the_disk_says() {
    let world = World::new().await;
    let id = world.shell("web", "dd if=/dev/urandom of=/big bs=1M count=3; echo done; sleep 1000", json!({})).await;
    world.printed("web", "done").await;

    let usage = world.runtime().usage().await.expect("usage");
    let root = usage.root.clone().expect("where layers are");
    let below = |path: &Path| Walk::new(Stop::default()).below(path);
    let layers: u64 = usage.layers.values().sum();
    let written = usage.instances[&id].bytes;
    assert!(usage.images.len() == 1 && !usage.layers.is_empty() && layers > 0, "{usage:?}");
    assert!((3 << 20..4 << 20).contains(&written), "{written}");
    assert_eq!(usage.instances[&id].app.as_str(), "shop");
    // Beside the files, each snapshot has a few directories of its own, and there is a file with containerd's records.
    let all = below(&root);
    let told = layers + written + usage.unpacking;
    assert!(told <= all && all - told < 1 << 20, "{told} told, {all} there");

    world.apply(Step::Stop(id.clone())).await;
    world.apply(Step::Remove(id.clone())).await;
    wait_for("the container's files to go", || async {
        let usage = world.runtime().usage().await.expect("usage");
        (usage.instances.is_empty() && usage.unpacking == 0).then_some(())
    })
    .await;
}
