//! What a rollout would send.

use serde_json::Value;

use crate::shell::Shell;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn the_bytes_of_a_rollout_are_known_before_it() {
    let world = World::new().await;
    let shell = Shell::of(&world).await;
    for version in ["1.0.0", "2.0.0"] {
        world.publish_as(&shell, version).await;
    }
    let shown = shell.run(&["image", "diff", "web@1.0.0", "web@2.0.0"]).await;
    let lines: Vec<&str> = shown.out.lines().collect();
    assert!(lines[0].starts_with("PLATFORM") && lines[0].ends_with("REGISTRY"), "{shown:?}");
    assert!(lines.iter().skip(1).any(|line| line.contains("patch") || line.contains("cold")), "{shown:?}");
    let last = lines.last().unwrap();
    assert!(
        last.starts_with("linux/amd64: ") && last.contains("to each node") && last.contains("of a registry pull"),
        "{shown:?}"
    );
    assert!(shown.err.contains("layers compared"), "{shown:?}");

    let json = shell.run(&["image", "diff", "web@1.0.0", "web@2.0.0", "-o", "json", "-q"]).await.ok();
    let diff: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&diff["from"], &diff["to"]), (&"web@1.0.0".into(), &"web@2.0.0".into()));
    let layers = diff["platforms"][0]["layers"].as_array().unwrap();
    let sum: u64 = layers.iter().map(|layer| layer["transfer"].as_u64().unwrap()).sum();
    assert_eq!(diff["platforms"][0]["transfer"], sum);

    let same = shell.run(&["image", "diff", "web@2.0.0", "web@2.0.0", "--lang", "zh"]).await.ok();
    assert!(same.contains("不变") && same.contains("无需传输"), "{same}");
    assert_eq!(shell.run(&["image", "diff", "web@2.0.0", "web@2.0.0", "-o", "name"]).await.ok(), "");
    shell.run(&["image", "diff", "web@1.0.0", "web@9"]).await.failed(3, "hub-release-not-found");
    shell.run(&["image", "diff", "web", "web@2.0.0"]).await.failed(2, "cli-bad-reference");
    shell.run(&["image", "diff", "web@1.0.0"]).await.failed(2, "cli-missing-argument");
    world.running.stop().await;
}
