//! The containerd runtime against real parts: a private containerd, runc, CNI plugins, iptables, and the kernel's own
//! word on what a container may do. Needs root; fails where a part is missing (`make test` installs them).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use edge_node::images::blobs::Blobs;
use edge_node::images::fetch::fetch;
use edge_node::runtime::containerd::log::read;
use edge_node::runtime::containerd::{Config, Containerd};
use edge_node::runtime::{Runtime, RuntimeError, Seen};
use scenarios::busybox;
use scenarios::containerd::Private;
use serde_json::{Value, json};
use shared::fault::node;
use shared::id::{Digest, Name};
use shared::manifest::Probe;
use shared::plan::Step;
use shared::release::{Image, InstanceSpec};
use shared::state::{Exit, InstanceId, Task};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Nothing here takes so long on a loaded machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A node's runtime with everything below one directory.
struct World {
    runtime: Option<Containerd>,
    blobs: Blobs,
    private: Private,
    image: Image,
    config: Config,
    // Last: removed when nothing is mounted in it any more.
    dir: TempDir,
}

impl World {
    async fn new() -> Self {
        Self::with(&json!({})).await
    }

    /// A world whose image has these process defaults.
    async fn with(image: &Value) -> Self {
        let dir = tempfile::tempdir().expect("directory");
        let private = Private::start(dir.path()).await;
        let blobs = Blobs::open(&dir.path().join("node/blobs"), "boot").expect("blobs");
        let config = Config {
            socket: private.socket(),
            namespace: private.namespace().into(),
            state: dir.path().join("node"),
            run: dir.path().join("run"),
            log_sink: env!("CARGO_BIN_EXE_log-sink").into(),
            bridge: private.bridge().into(),
            subnet: private.subnet().into(),
            bind_roots: vec![dir.path().join("site")],
            devices: vec!["/dev/loop-control".into()],
            ..Config::default()
        };
        std::fs::create_dir(dir.path().join("site")).expect("directory");
        let (image, memory) = busybox::image(image);
        let progress = tokio::sync::watch::Sender::default();
        fetch(&memory, &blobs, &image, &BTreeSet::new(), &progress).await.expect("the image's bytes");
        let mut world = Self { runtime: None, blobs, private, image, config, dir };
        world.daemon();
        world.apply(Step::Unpack(world.image.clone())).await;
        world
    }

    /// A new daemon, as after its restart.
    fn daemon(&mut self) {
        self.runtime = None;
        self.runtime = Some(Containerd::new(self.config.clone(), self.blobs.clone()).expect("a runtime"));
    }

    fn runtime(&self) -> &Containerd {
        self.runtime.as_ref().expect("a runtime")
    }

    fn spec(&self, service: &str, mut definition: Value) -> InstanceSpec {
        definition["image"] = json!("example.com/busybox:1");
        let hash = Digest::of(format!("{service}{definition}").as_bytes());
        InstanceSpec {
            app: name("shop"),
            service: name(service),
            release: Digest::of(b"release"),
            definition: serde_json::from_value(definition).expect("a service"),
            image: self.image.clone(),
            configs: BTreeMap::from([(name("motd"), "welcome".to_owned())]),
            hash,
        }
    }

    /// Creates an instance and returns its name.
    async fn create(&self, spec: &InstanceSpec) -> Result<InstanceId, RuntimeError> {
        self.runtime().apply(&Step::Create(Box::new(spec.clone()))).await?;
        Ok(self.find(spec).await)
    }

    async fn find(&self, spec: &InstanceSpec) -> InstanceId {
        let seen = self.runtime().observe().await.expect("observe").instances;
        seen.into_iter().find(|(_, seen)| seen.hash == spec.hash).expect("the instance").0
    }

    /// A service that runs a line of shell.
    async fn shell(&self, service: &str, line: &str, mut further: Value) -> InstanceId {
        further["command"] = json!(["sh", "-c", line]);
        let spec = self.spec(service, further);
        self.create(&spec).await.expect("created")
    }

    async fn seen(&self, id: &InstanceId) -> Seen {
        self.runtime().observe().await.expect("observe").instances.get(id).expect("it exists").clone()
    }

    async fn pid(&self, id: &InstanceId) -> u32 {
        match self.seen(id).await.task {
            Task::Running { pid, .. } => pid,
            other @ (Task::Absent | Task::Exited(_)) => panic!("{id} does not run: {other:?}"),
        }
    }

    async fn exit(&self, id: &InstanceId) -> Exit {
        wait_for("an exit", || async {
            match self.seen(id).await.task {
                Task::Exited(exit) => Some(exit),
                Task::Absent | Task::Running { .. } => None,
            }
        })
        .await
    }

    async fn apply(&self, step: Step) {
        self.runtime().apply(&step).await.expect("the step");
    }

    fn lines(&self, service: &str) -> Vec<String> {
        let (lines, _) = read::tail(&self.log(service), 1000).expect("logs");
        lines.into_iter().map(|line| line.text).collect()
    }

    fn log(&self, service: &str) -> PathBuf {
        self.config.state.join("logs/shop").join(service)
    }

    /// Waits until the service printed `text`.
    async fn printed(&self, service: &str, text: &str) -> String {
        let found = || async { self.lines(service).into_iter().find(|line| line.contains(text)) };
        wait_for(text, found).await
    }

    /// Everything a power cut takes: processes, network namespaces, what lies in memory.
    fn power_off(&mut self) {
        self.runtime = None;
        self.private.power_off();
        for netns in std::fs::read_dir(self.config.run.join("netns")).expect("namespaces").flatten() {
            let _ = rustix::mount::unmount(netns.path(), rustix::mount::UnmountFlags::DETACH);
        }
        let _ = rustix::mount::unmount(self.config.run.join("secrets"), rustix::mount::UnmountFlags::DETACH);
    }
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

async fn wait_for<T, F: Future<Output = Option<T>>>(what: &str, ask: impl Fn() -> F) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begin.elapsed() < LIMIT, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn code(error: RuntimeError) -> String {
    match error {
        RuntimeError::Refused(fault) => fault.code,
        other @ (RuntimeError::Unreachable(_) | RuntimeError::Failed { .. }) => panic!("not refused but {other}"),
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("address").port()
}

async fn get(address: &str) -> Option<String> {
    let ask = async {
        let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    };
    tokio::time::timeout(Duration::from_secs(5), ask).await.ok()?
}

const WEB: &str = "mkdir -p /www; echo hello > /www/index.html; exec httpd -f -p 8080 -h /www";

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
