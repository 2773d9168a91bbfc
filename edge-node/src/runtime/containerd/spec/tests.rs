use expect_test::expect;
use shared::id::{Digest, Name};
use shared::oci::Platform;
use shared::release::{Blob, Image};

use super::*;

fn image() -> ImageConfig {
    serde_json::from_value(json!({
        "os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []},
        "config": {
            "User": "app", "Env": ["A=image", "B=image", "BROKEN"], "Entrypoint": ["/entry"], "Cmd": ["image"],
            "WorkingDir": "/app", "StopSignal": "SIGINT", "Labels": {"containerd.io/restart.status": "running"},
        },
    }))
    .expect("an image config")
}

fn instance(service: Value) -> InstanceSpec {
    let mut service = service;
    service["image"] = json!("example/app:1");
    let digest = Digest::of(b"x");
    let blob = Blob { digest, size: 1 };
    let platform = Platform { os: "linux".into(), architecture: "amd64".into(), variant: String::new() };
    InstanceSpec {
        app: Name::new("shop").expect("name"),
        service: Name::new("web").expect("name"),
        release: digest,
        definition: serde_json::from_value(service).expect("a service"),
        image: Image { platform, manifest: blob, config: blob, layers: vec![] },
        configs: BTreeMap::new(),
        hash: digest,
    }
}

fn ground() -> Ground {
    Ground {
        user: User { uid: 1234, gid: 2345, groups: vec![2345, 44], home: "/home/app".into() },
        lent: vec![],
        devices: vec![],
        network: Netns::Path("/run/causeway/netns/i".into()),
        host: Host { cgroup2: false, swap: true, files: 20_000 },
        cgroup: "/causeway/i".into(),
    }
}

fn made(service: Value, ground: &Ground) -> Result<Value, Fault> {
    let allowed = ["SYS_NICE".to_owned()];
    build(&instance(service), &image(), ground, &Rules { capabilities: &allowed, memory: 1 << 28, pids: 512 })
}

/// One line per part.
fn pretty(spec: &Value) -> String {
    let parts = |name: &str| {
        let inner = spec[name].as_object().expect(name).iter().map(move |(key, value)| (format!("{name}.{key}"), value.clone()));
        inner.collect::<Vec<_>>()
    };
    let mounts = spec["mounts"].as_array().expect("mounts").iter().map(|mount| ("mount".into(), mount.clone()));
    let all = ["process", "linux", "root"].into_iter().flat_map(parts).chain(mounts);
    all.map(|(name, value)| format!("{name} {value}\n")).collect()
}

#[test]
fn the_default_container_is_locked_down() {
    let mut spec = made(json!({}), &ground()).expect("spec");
    let seccomp = spec["linux"]["seccomp"].take();
    assert_eq!(seccomp["defaultAction"], "SCMP_ACT_ERRNO");
    expect![[r#"
        process.args ["/entry","image"]
        process.capabilities {"bounding":["CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FOWNER","CAP_FSETID","CAP_KILL","CAP_NET_BIND_SERVICE","CAP_SETFCAP","CAP_SETGID","CAP_SETPCAP","CAP_SETUID","CAP_SYS_CHROOT"],"effective":["CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FOWNER","CAP_FSETID","CAP_KILL","CAP_NET_BIND_SERVICE","CAP_SETFCAP","CAP_SETGID","CAP_SETPCAP","CAP_SETUID","CAP_SYS_CHROOT"],"permitted":["CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FOWNER","CAP_FSETID","CAP_KILL","CAP_NET_BIND_SERVICE","CAP_SETFCAP","CAP_SETGID","CAP_SETPCAP","CAP_SETUID","CAP_SYS_CHROOT"]}
        process.cwd "/app"
        process.env ["A=image","B=image","HOME=/home/app","HOSTNAME=web","PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        process.noNewPrivileges true
        process.oomScoreAdj 0
        process.rlimits [{"hard":20000,"soft":20000,"type":"RLIMIT_NOFILE"},{"hard":0,"soft":0,"type":"RLIMIT_CORE"}]
        process.terminal false
        process.user {"additionalGids":[2345,44],"gid":2345,"uid":1234}
        linux.cgroupsPath "/causeway/i"
        linux.devices []
        linux.maskedPaths ["/proc/acpi","/proc/asound","/proc/interrupts","/proc/kcore","/proc/keys","/proc/latency_stats","/proc/sched_debug","/proc/scsi","/proc/timer_list","/proc/timer_stats","/sys/devices/virtual/powercap","/sys/firmware"]
        linux.namespaces [{"type":"pid"},{"type":"ipc"},{"type":"uts"},{"type":"mount"},{"path":"/run/causeway/netns/i","type":"network"}]
        linux.readonlyPaths ["/proc/bus","/proc/fs","/proc/irq","/proc/sys","/proc/sysrq-trigger"]
        linux.resources {"devices":[{"access":"rwm","allow":false}],"memory":{"limit":268435456,"swap":268435456},"pids":{"limit":512}}
        linux.seccomp null
        linux.sysctl {"net.ipv4.ip_unprivileged_port_start":"0","net.ipv4.ping_group_range":"0 2147483647"}
        root.path "rootfs"
        root.readonly false
        mount {"destination":"/proc","options":["nosuid","noexec","nodev"],"source":"proc","type":"proc"}
        mount {"destination":"/dev","options":["nosuid","strictatime","mode=755","size=65536k"],"source":"tmpfs","type":"tmpfs"}
        mount {"destination":"/dev/pts","options":["nosuid","noexec","newinstance","ptmxmode=0666","mode=0620","gid=5"],"source":"devpts","type":"devpts"}
        mount {"destination":"/dev/shm","options":["nosuid","noexec","nodev","mode=1777","size=65536k"],"source":"tmpfs","type":"tmpfs"}
        mount {"destination":"/dev/mqueue","options":["nosuid","noexec","nodev"],"source":"mqueue","type":"mqueue"}
        mount {"destination":"/sys","options":["nosuid","noexec","nodev","ro"],"source":"sysfs","type":"sysfs"}
        mount {"destination":"/sys/fs/cgroup","options":["nosuid","noexec","nodev","relatime","ro"],"source":"cgroup","type":"cgroup"}
    "#]].assert_eq(&pretty(&spec));
}

#[test]
fn what_the_service_says_wins_over_the_image() {
    let args = |service: Value| made(service, &ground()).map(|spec| spec["process"]["args"].clone());
    assert_eq!(args(json!({})), Ok(json!(["/entry", "image"])));
    assert_eq!(args(json!({"command": ["mine"]})), Ok(json!(["/entry", "mine"])));
    assert_eq!(args(json!({"entrypoint": ["/mine"]})), Ok(json!(["/mine"])));
    assert_eq!(args(json!({"entrypoint": ["/mine"], "command": ["x"]})), Ok(json!(["/mine", "x"])));
    assert_eq!(args(json!({"entrypoint": []})).expect_err("nothing to run").code, node::COMMAND_MISSING.code);
    let spec = made(json!({"environment": {"A": "mine", "HOME": "/h"}, "working_dir": "/w", "read_only": true}), &ground());
    let spec = spec.expect("spec");
    assert_eq!(spec["process"]["env"], json!(["A=mine", "B=image", "HOME=/h", "HOSTNAME=web", format!("PATH={PATH}")]));
    assert_eq!((&spec["process"]["cwd"], &spec["root"]["readonly"]), (&json!("/w"), &json!(true)));
}

#[test]
fn limits_and_grants_reach_the_kernel() {
    let lent = |source: &str, target: &str, read_only| Lent { source: source.into(), target: target.into(), read_only };
    let ground = Ground {
        lent: vec![lent("/v/data/deep", "/data/deep", true), lent("/v/data", "/data", false)],
        devices: vec![DeviceNode {
            path: "/dev/port".into(),
            kind: "c",
            major: 188,
            minor: 0,
            owner: (0, 20, 0o660),
            access: "rw".into(),
        }],
        network: Netns::Host,
        host: Host { cgroup2: true, swap: false, files: 1 << 20 },
        ..ground()
    };
    let service = json!({
        "deploy": {"resources": {"limits": {"cpus": "1.5", "memory": "64m", "pids": 20}}},
        "volumes": [{"type": "tmpfs", "target": "/tmp", "size": "1m"}], "cap_add": ["SYS_NICE"],
    });
    let spec = made(service, &ground).expect("spec");
    let mounts = spec["mounts"].as_array().expect("mounts").iter().skip(base_mounts().len());
    let shown = [
        spec["linux"]["resources"].clone(),
        spec["linux"]["devices"].clone(),
        spec["linux"]["namespaces"].clone(),
        spec["linux"]["sysctl"].clone(),
        spec["process"]["rlimits"].clone(),
        mounts.cloned().collect(),
        spec["linux"]["seccomp"]["syscalls"].as_array().expect("rules").last().expect("a rule").clone(),
    ];
    expect![[r#"
        {"cpu":{"period":100000,"quota":150000},"devices":[{"access":"rwm","allow":false},{"access":"rw","allow":true,"major":188,"minor":0,"type":"c"}],"memory":{"limit":67108864},"pids":{"limit":20}}
        [{"fileMode":432,"gid":20,"major":188,"minor":0,"path":"/dev/port","type":"c","uid":0}]
        [{"type":"pid"},{"type":"ipc"},{"type":"uts"},{"type":"mount"},{"type":"cgroup"}]
        {}
        [{"hard":524288,"soft":65536,"type":"RLIMIT_NOFILE"},{"hard":0,"soft":0,"type":"RLIMIT_CORE"}]
        [{"destination":"/data","options":["rbind","rprivate","nosuid","nodev","rw"],"source":"/v/data","type":"bind"},{"destination":"/tmp","options":["nosuid","nodev","mode=1777","size=1048576"],"source":"tmpfs","type":"tmpfs"},{"destination":"/data/deep","options":["bind","rprivate","nosuid","nodev","ro"],"source":"/v/data/deep","type":"bind"}]
        {"action":"SCMP_ACT_ALLOW","names":["get_mempolicy","mbind","set_mempolicy","set_mempolicy_home_node"]}
    "#]].assert_eq(&shown.iter().map(|value| format!("{value}\n")).collect::<String>());
}

#[test]
fn what_could_steer_runc_is_refused() {
    for (service, code) in [
        (json!({"working_dir": "../../.."}), node::PATH_REFUSED.code),
        (json!({"working_dir": "/proc/self/fd/7"}), node::PATH_REFUSED.code),
        (json!({"working_dir": "/a/../../etc"}), node::PATH_REFUSED.code),
        (json!({"command": ["a\0b"]}), node::TEXT_REFUSED.code),
        (json!({"environment": {"A": "\0"}}), node::TEXT_REFUSED.code),
        (json!({"cap_add": ["SYS_ADMIN"]}), node::CAPABILITY_REFUSED.code),
        (json!({"volumes": [{"type": "tmpfs", "target": "/"}]}), node::PATH_REFUSED.code),
        (json!({"volumes": [{"type": "tmpfs", "target": "/dev/"}]}), node::PATH_REFUSED.code),
        (json!({"volumes": [{"type": "tmpfs", "target": "//./proc/x"}]}), node::PATH_REFUSED.code),
        (json!({"volumes": [{"type": "tmpfs", "target": "tmp"}]}), node::PATH_REFUSED.code),
    ] {
        assert_eq!(made(service.clone(), &ground()).expect_err("refused").code, code, "{service}");
    }
    assert!(made(json!({"volumes": [{"type": "tmpfs", "target": "/dev/shm"}]}), &ground()).is_ok());
}

#[test]
fn signals_have_names_and_numbers() {
    for (name, number) in [("SIGTERM", 15), ("term", 15), ("SIGINT", 2), ("9", 9), ("SIGRTMIN+3", 37), ("SIGSYS", 31)] {
        assert_eq!(signal(name), Some(number), "{name}");
    }
    for name in ["", "0", "65", "-1", "SIGNONE", "RTMIN+99", "SIG"] {
        assert_eq!(signal(name), None, "{name}");
    }
    assert_eq!(stop_signal(&service(), &image()), Ok(2), "the image's");
    assert_eq!(stop_signal(&instance(json!({"stop_signal": "SIGQUIT"})).definition, &image()), Ok(3));
    assert!(stop_signal(&instance(json!({"stop_signal": "SIGNONE"})).definition, &image()).is_err());
}

#[test]
fn every_profile_is_an_allow_list_without_io_uring() {
    for text in
        [include_str!("../seccomp/x86_64.json"), include_str!("../seccomp/aarch64.json"), include_str!("../seccomp/arm.json")]
    {
        let profile: Value = serde_json::from_str(text).expect("a profile");
        assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
        let names = profile["syscalls"][0]["names"].as_array().expect("names");
        assert!(names.len() > 350);
        for refused in ["io_uring_setup", "bpf", "keyctl", "mount", "unshare", "setns", "socket", "userfaultfd", "kexec_load"] {
            assert!(!names.contains(&json!(refused)), "{refused}");
        }
    }
}
