//! One world of real parts, and what every test asks of it.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_node::boot::Boot;
use edge_node::budget::Ledger;
use edge_node::clock::Clock;
use edge_node::images::content::Content;
use edge_node::images::fetch::{Present, fetch};
use edge_node::runtime::containerd::log::read;
use edge_node::runtime::containerd::{Config, Containerd};
use edge_node::runtime::{Runtime, RuntimeError, Seen};
use scenarios::busybox;
use scenarios::containerd::Private;
use serde_json::{Value, json};
use shared::id::{Digest, Name};
use shared::plan::Step;
use shared::release::{Image, InstanceSpec};
use shared::state::{Exit, InstanceId, Task};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Nothing here takes so long on a loaded machine.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A node's runtime with everything below one directory.
pub struct World {
    pub runtime: Option<Containerd>,
    content: Content,
    pub private: Private,
    image: Image,
    pub config: Config,
    // Last: removed when nothing is mounted in it any more.
    pub dir: TempDir,
}

impl World {
    pub async fn new() -> Self {
        Self::with(&json!({})).await
    }

    /// A world whose image has these process defaults.
    pub async fn with(image: &Value) -> Self {
        let dir = tempfile::tempdir().expect("directory");
        let private = Private::start(dir.path()).await;
        let content = Content::open(&dir.path().join("node"), "boot").expect("content");
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
        fetch(&memory, &content, &image, &Present::default(), &Ledger::unlimited(Clock::system()), &progress)
            .await
            .expect("the image's bytes");
        let mut world = Self { runtime: None, content, private, image, config, dir };
        world.daemon();
        world.apply(Step::Unpack(world.image.clone())).await;
        world
    }

    /// A new daemon, as after its restart.
    pub fn daemon(&mut self) {
        self.runtime = None;
        let boot = Arc::new(Boot::begin(&self.config.state, false).expect("marks"));
        self.runtime = Some(Containerd::new(self.config.clone(), self.content.clone(), boot).expect("a runtime"));
    }

    pub fn runtime(&self) -> &Containerd {
        self.runtime.as_ref().expect("a runtime")
    }

    pub fn spec(&self, service: &str, mut definition: Value) -> InstanceSpec {
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
    pub async fn create(&self, spec: &InstanceSpec) -> Result<InstanceId, RuntimeError> {
        self.runtime().apply(&Step::Create(Box::new(spec.clone()))).await?;
        Ok(self.find(spec).await)
    }

    pub async fn find(&self, spec: &InstanceSpec) -> InstanceId {
        let seen = self.runtime().observe().await.expect("observe").instances;
        seen.into_iter().find(|(_, seen)| seen.hash == spec.hash).expect("the instance").0
    }

    /// A service that runs a line of shell.
    pub async fn shell(&self, service: &str, line: &str, mut further: Value) -> InstanceId {
        further["command"] = json!(["sh", "-c", line]);
        let spec = self.spec(service, further);
        self.create(&spec).await.expect("created")
    }

    pub async fn seen(&self, id: &InstanceId) -> Seen {
        self.runtime().observe().await.expect("observe").instances.get(id).expect("it exists").clone()
    }

    pub async fn pid(&self, id: &InstanceId) -> u32 {
        match self.seen(id).await.task {
            Task::Running { pid, .. } => pid,
            other @ (Task::Absent | Task::Exited(_)) => panic!("{id} does not run: {other:?}"),
        }
    }

    pub async fn exit(&self, id: &InstanceId) -> Exit {
        wait_for("an exit", || async {
            match self.seen(id).await.task {
                Task::Exited(exit) => Some(exit),
                Task::Absent | Task::Running { .. } => None,
            }
        })
        .await
    }

    pub async fn apply(&self, step: Step) {
        self.runtime().apply(&step).await.expect("the step");
    }

    pub fn lines(&self, service: &str) -> Vec<String> {
        let (lines, _) = read::tail(&self.log(service), 1000).expect("logs");
        lines.into_iter().map(|line| line.text).collect()
    }

    pub fn log(&self, service: &str) -> PathBuf {
        self.config.state.join("logs/shop").join(service)
    }

    /// Waits until the service printed `text`.
    pub async fn printed(&self, service: &str, text: &str) -> String {
        let found = || async { self.lines(service).into_iter().find(|line| line.contains(text)) };
        wait_for(text, found).await
    }

    /// Everything a power cut takes: processes, network namespaces, what lies in memory.
    pub fn power_off(&mut self) {
        self.runtime = None;
        self.private.power_off();
        for netns in std::fs::read_dir(self.config.run.join("netns")).expect("namespaces").flatten() {
            let _ = rustix::mount::unmount(netns.path(), rustix::mount::UnmountFlags::DETACH);
        }
        let _ = rustix::mount::unmount(self.config.run.join("secrets"), rustix::mount::UnmountFlags::DETACH);
    }
}

pub fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

pub async fn wait_for<T, F: Future<Output = Option<T>>>(what: &str, ask: impl Fn() -> F) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begin.elapsed() < LIMIT, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn code(error: RuntimeError) -> String {
    match error {
        RuntimeError::Refused(fault) => fault.code,
        other @ (RuntimeError::Unreachable(_) | RuntimeError::Failed { .. }) => panic!("not refused but {other}"),
    }
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("address").port()
}

pub async fn get(address: &str) -> Option<String> {
    let ask = async {
        let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    };
    tokio::time::timeout(Duration::from_secs(5), ask).await.ok()?
}

/// A service that answers `hello` on port 8080.
pub const WEB: &str = "mkdir -p /www; echo hello > /www/index.html; exec httpd -f -p 8080 -h /www";
