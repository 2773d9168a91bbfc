//! Files of the node in a container, and what a container leaves on the node.

use serde_json::json;
use shared::fault::node;
use shared::plan::Step;

use crate::world::{World, code};

#[tokio::test]
async fn files_of_the_node_reach_the_container_and_volumes_stay() {
    let world = World::new().await;
    let site = world.dir.path().join("site");
    std::fs::create_dir_all(site.join("data")).expect("directory");
    std::fs::write(site.join("data/in"), "from the site\n").expect("file");
    let definition = || {
        json!({
            "network_mode": "none", "user": "app",
            "volumes": [
                {"type": "volume", "source": "data", "target": "/data"},
                {"type": "bind", "source": site.join("data"), "target": "/site", "read_only": true},
                {"type": "tmpfs", "target": "/scratch", "size": "1m"},
            ],
            "configs": [{"source": "motd", "target": "/etc/motd", "mode": "0444"}],
            "secrets": [{"source": "key", "target": "/run/secrets/key", "uid": 1234, "mode": "0400"}],
        })
    };
    let script = "cat /data/count; echo more >> /data/count; cat /site/in /etc/motd; echo; cat /run/secrets/key; ls -l /run/secrets; \
        echo x > /site/in || echo site-ro; echo x > /etc/motd || echo motd-ro; \
        echo x > /scratch/x && echo scratch-rw; cat /etc/hosts /etc/hostname; echo end";
    let mut with = definition();
    with["command"] = json!(["sh", "-c", script]);
    let spec = world.spec("web", with);
    assert_eq!(code(world.create(&spec).await.expect_err("no secret yet")), node::SECRET_MISSING.code);
    let secrets = world.config.state.join("secrets/shop");
    std::fs::create_dir_all(&secrets).expect("directory");
    std::fs::write(secrets.join("key"), "hush\n").expect("secret");
    let id = world.create(&spec).await.expect("created");
    assert_eq!(world.exit(&id).await.code, 0);
    let said = world.lines("web").join("\n");
    for expected in ["from the site", "welcome", "hush", "-r--------", "site-ro", "motd-ro", "scratch-rw", "localhost", "\nweb\n"]
    {
        assert!(said.contains(expected), "{expected} is not in\n{said}");
    }
    assert_eq!(std::fs::read_to_string(site.join("data/in")).expect("unchanged"), "from the site\n");
    world.apply(Step::Remove(id)).await;
    assert!(site.join("data/in").exists(), "a removal leaves the site's files");
    assert_eq!(std::fs::read_dir(world.config.run.join("instances")).expect("run").count(), 0);
    let id = world.create(&spec).await.expect("created again");
    world.exit(&id).await;
    assert!(world.lines("web").iter().any(|line| line == "more"), "the volume kept what the first one wrote");
}

#[tokio::test]
async fn logs_have_a_cap() {
    let mut world = World::new().await;
    world.config.log_bytes = 64 << 10;
    world.daemon();
    let id = world.shell("web", "seq 1 20000; echo end", json!({"network_mode": "none"})).await;
    world.exit(&id).await;
    world.printed("web", "end").await;
    let sizes: Vec<u64> =
        std::fs::read_dir(world.log("web")).expect("logs").flatten().map(|file| file.metadata().expect("file").len()).collect();
    assert_eq!(sizes.len(), 2);
    assert!(sizes.iter().all(|size| *size <= 64 << 10), "{sizes:?}");
    let lines = world.lines("web");
    let numbers: Vec<u32> = lines.iter().filter_map(|line| line.parse().ok()).collect();
    assert!(numbers.len() > 500 && numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
    assert_eq!(lines.last().map(String::as_str), Some("end"));
}
