//! What a container may do, in the kernel's own words, and what nobody may ask for.

use edge_node::runtime::{Runtime, RuntimeError};
use serde_json::{Value, json};
use shared::fault::node;
use shared::id::Digest;

use crate::world::{World, code};

#[tokio::test]
async fn a_container_is_locked_down_in_the_kernels_own_words() {
    let world = World::new().await;
    let script = "cat /proc/self/status; id; hostname; echo home=$HOME; echo ping=$(cat /proc/sys/net/ipv4/ping_group_range); \
        mknod /z c 1 5 && echo BAD-mknod; unshare -m true && echo BAD-unshare; mount -t tmpfs x /bin && echo BAD-mount; \
        (exec < /dev/mydev) && echo device-ok; (exec > /dev/mydev) && echo BAD-write; \
        echo x > /proc/sys/kernel/hostname && echo BAD-proc; ls /sys/firmware | grep -q . && echo BAD-firmware; \
        grep -q . /proc/keys && echo BAD-keys; echo end; exec sleep 1000000";
    let definition = json!({
        "network_mode": "none", "deploy": {"resources": {"limits": {"memory": "40m", "pids": 33, "cpus": "0.5"}}},
        "devices": [{"source": "/dev/loop-control", "target": "/dev/mydev", "permissions": "r"}],
    });
    let id = world.shell("web", script, definition).await;
    world.printed("web", "end").await;
    let said = world.lines("web").join("\n");
    // chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service sys_chroot setfcap
    for expected in [
        "CapEff:\t00000000800405fb",
        "CapBnd:\t00000000800405fb",
        "CapAmb:\t0000000000000000",
        "CapInh:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "uid=0(root)",
        "\nweb\n",
        "home=/root",
        "device-ok",
        "ping=0 2147483647",
    ] {
        assert!(said.contains(expected), "{expected} is not in\n{said}");
    }
    assert!(!said.contains("BAD"), "{said}");
    let limit = |file: &str| std::fs::read_to_string(format!("/sys/fs/cgroup/{file}")).map(|text| text.trim().to_owned());
    let group = format!("{}/{id}", world.config.namespace);
    for (file, value) in [
        (format!("memory/{group}/memory.limit_in_bytes"), "41943040"),
        (format!("memory/{group}/memory.memsw.limit_in_bytes"), "41943040"),
        (format!("pids/{group}/pids.max"), "33"),
        (format!("cpu/{group}/cpu.cfs_quota_us"), "50000"),
    ] {
        assert_eq!(limit(&file).expect(&file), value, "{file}");
    }
}

#[tokio::test]
async fn users_are_the_images_own() {
    let world = World::with(&json!({"User": "app"})).await;
    world.shell("image", "id; echo home=$HOME; sleep 1000000", json!({"network_mode": "none"})).await;
    let said = world.printed("image", "uid=").await;
    assert_eq!(said, "uid=1234(app) gid=2345(app) groups=44(video),2345(app)");
    world.printed("image", "home=/home/app").await;
    world.shell("other", "id", json!({"network_mode": "none", "user": "77:88"})).await;
    assert_eq!(world.printed("other", "uid=").await, "uid=77 gid=88 groups=88");
    for (user, expected) in [
        ("4294967296:0", node::USER_RANGE.code),
        ("2147483648", node::USER_RANGE.code),
        ("-1", node::USER_UNKNOWN.code),
        ("nobody", node::USER_UNKNOWN.code),
    ] {
        let spec = world.spec("bad", json!({"network_mode": "none", "user": user}));
        assert_eq!(code(world.create(&spec).await.expect_err("refused")), expected, "{user}");
    }
    let seen = world.runtime().observe().await.expect("observe");
    assert_eq!(seen.instances.len(), 2, "nothing of a refused one is left");
}

#[tokio::test]
async fn hostile_specs_are_refused() {
    let world = World::new().await;
    let site = world.dir.path().join("site");
    std::os::unix::fs::symlink(world.private.socket(), site.join("sock")).expect("link");
    std::os::unix::fs::symlink("/", site.join("root")).expect("link");
    let bind = |source: &str| json!({"volumes": [{"type": "bind", "source": source, "target": "/x"}]});
    let inside = |name: &str| bind(site.join(name).to_str().expect("a path"));
    let device = |source: &str| json!({"devices": [{"source": source, "target": "/dev/x", "permissions": "rw"}]});
    for (mut definition, expected) in [
        (bind("/"), node::BIND_OUTSIDE.code),
        (bind("/etc"), node::BIND_OUTSIDE.code),
        (bind(world.private.socket().to_str().expect("a path")), node::BIND_OUTSIDE.code),
        (inside("sock"), node::BIND_OUTSIDE.code),
        (inside("root"), node::BIND_OUTSIDE.code),
        (inside("root/etc"), node::BIND_OUTSIDE.code),
        (inside("none"), node::BIND_MISSING.code),
        (device("/dev/vda"), node::DEVICE_REFUSED.code),
        (device("/dev/shm/../vda"), node::DEVICE_REFUSED.code),
        (json!({"cap_add": ["SYS_ADMIN"]}), node::CAPABILITY_REFUSED.code),
        (json!({"network_mode": "host"}), node::HOST_NETWORK_REFUSED.code),
        (json!({"working_dir": "../../.."}), node::PATH_REFUSED.code),
        (json!({"working_dir": "/proc/self/fd/7"}), node::PATH_REFUSED.code),
        (json!({"entrypoint": ["sh\u{0}x"]}), node::TEXT_REFUSED.code),
        (json!({"stop_signal": "SIGNONE"}), node::SIGNAL_UNKNOWN.code),
    ] {
        if definition["network_mode"].is_null() {
            definition["network_mode"] = json!("none");
        }
        let spec = world.spec("web", definition.clone());
        assert_eq!(code(world.create(&spec).await.expect_err("refused")), expected, "{definition}");
    }
    let mut failing = world.spec("web", json!({"entrypoint": ["/none"], "network_mode": "none"}));
    assert!(matches!(world.create(&failing).await, Err(RuntimeError::Failed { .. })));
    failing.image.config.digest = Digest::of(b"absent");
    assert!(matches!(world.create(&failing).await, Err(RuntimeError::Failed { .. })));
    assert!(world.runtime().observe().await.expect("observe").instances.is_empty(), "nothing half made is left");
    assert!(world.private.shims().is_empty());
    assert_eq!(std::fs::read_dir(world.config.run.join("instances")).expect("run").count(), 0);
}

#[tokio::test]
async fn labels_of_an_image_steer_nothing() {
    let marker = "binary:///bin/touch?/tmp/causeway-marker";
    let labels = json!({"containerd.io/restart.status": "running", "containerd.io/restart.loguri": marker});
    let world = World::with(&json!({"Labels": labels, "Volumes": {"/../../etc": {}}})).await;
    let id = world
        .shell("web", "exit 0", json!({"network_mode": "none", "labels": {"containerd.io/restart.status": "running"}}))
        .await;
    world.exit(&id).await;
    let output = std::process::Command::new("ctr")
        .arg("-a")
        .arg(world.private.socket())
        .args(["-n", world.private.namespace(), "containers", "info", id.as_str()])
        .output()
        .expect("ctr");
    let info: Value = serde_json::from_slice(&output.stdout).expect("json");
    let labels = info["Labels"].as_object().expect("labels");
    assert!(labels.keys().all(|label| label.starts_with("causeway/")), "{labels:?}");
}
