//! The parts of the demo: hub, node and containerd as processes, and the commands an operator would type.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Failure;
use crate::containerd::Private;

/// Where other nodes of the site reach this one: an address from which nobody connects, so that its port stays free.
const NEAR: &str = "127.0.0.9:7448";
/// Longest answer of the sample app that is read, in bytes.
const ANSWER_MAX: u64 = 64 << 10;

/// Everything that runs.
pub struct Site {
    /// Below it lies everything.
    pub dir: PathBuf,
    /// Port of the hub's API.
    pub api: u16,
    /// Port of the hub's gate.
    pub gate: u16,
    /// Port of the gate as nodes are told it: [`gate`](Self::gate), unless something stands in between.
    pub told: u16,
    /// Port of the sample app's page.
    pub page: u16,
    /// The node's containerd.
    pub containerd: Private,
    hub: Option<Child>,
    node: Option<Child>,
}

impl Site {
    /// An empty site below `dir`, on free ports; only containerd runs.
    pub async fn new(dir: &Path) -> Result<Self, Failure> {
        let containerd = Private::start(&dir.join("containerd")).await;
        let [api, gate, page] = free_ports()?;
        let site = Self { dir: dir.into(), api, gate, told: gate, page, containerd, hub: None, node: None };
        std::fs::write(site.dir.join("node.toml"), site.node_config()).map_err(|error| error.to_string())?;
        Ok(site)
    }

    fn node_config(&self) -> String {
        let (dir, ctd) = (self.dir.display(), &self.containerd);
        format!(
            "state_dir = \"{dir}/node\"\nrun_dir = \"{dir}/run\"\nhost_network = true\n\n[runtime]\nsocket = \"{}\"\nnamespace = \"{}\"\n\n\
             [network]\nbridge = \"{}\"\nsubnet = \"{}\"\n\n[neighbours]\naddress = \"{NEAR}\"\n",
            ctd.socket().display(),
            ctd.namespace(),
            ctd.bridge(),
            ctd.subnet()
        )
    }

    fn hub_config(&self) -> String {
        let Self { dir, api, gate, told, .. } = self;
        format!(
            "name = \"demo-hub\"\nstate_dir = \"{}/hub\"\nhosts = [\"127.0.0.1\"]\n\n[api]\nlisten = \"127.0.0.1:{api}\"\n\n\
             [gate]\nlisten = \"127.0.0.1:{gate}\"\naddress = \"127.0.0.1:{told}\"\n",
            dir.display()
        )
    }

    /// Starts the hub; returns when its API answers.
    pub async fn start_hub(&mut self) -> Result<(), Failure> {
        let config = self.dir.join("hub.toml");
        std::fs::write(&config, self.hub_config()).map_err(|error| error.to_string())?;
        let mut command = program("cloud-hub");
        command.arg("serve").arg("--config").arg(config);
        self.hub = Some(self.spawn(command, "hub.log")?);
        let address = ("127.0.0.1", self.api);
        wait_for("the hub's API", Duration::from_secs(20), async || TcpStream::connect(address).await.ok().map(drop)).await
    }

    /// Logs in as the hub says it at its first start.
    pub async fn login(&self) -> Result<(), Failure> {
        let said = wait_for("the hub's first words", Duration::from_secs(5), async || {
            let log = std::fs::read_to_string(self.dir.join("hub.log")).ok()?;
            log.lines().find_map(|line| line.trim().strip_prefix("hubctl ").map(str::to_owned))
        })
        .await?;
        let (command, file) = said.split_once(" < ").ok_or_else(|| format!("not a login: {said}"))?;
        let token = File::open(file).map_err(|error| format!("{file}: {error}"))?;
        let mut login = self.command("hubctl");
        login.args(command.split(' ')).stdin(token);
        Said::of(login)?.success().map(drop)
    }

    /// Joins the node; the token goes in where nobody else can read it.
    pub fn join(&self, token: &str) -> Result<(), Failure> {
        self.ask_to_join(token, &[])?.success().map(drop)
    }

    /// Runs `edge-node join` with further arguments, whatever comes of it.
    pub fn ask_to_join(&self, token: &str, args: &[&str]) -> Result<Said, Failure> {
        let file = self.dir.join("join.token");
        std::fs::write(&file, token).map_err(|error| error.to_string())?;
        let mut join = self.command("edge-node");
        join.args(["join", "-"]).args(args).stdin(File::open(file).map_err(|error| error.to_string())?);
        Said::of(join)
    }

    /// Ends the hub as a crash does.
    pub fn kill_hub(&mut self) {
        kill(&mut self.hub);
    }

    /// Starts the node's daemon; returns when its local API answers.
    pub async fn start_node(&mut self) -> Result<(), Failure> {
        self.spawn_node()?;
        wait_for("the node's local API", Duration::from_secs(20), async || self.edge_node(&["status"]).ok().map(drop)).await
    }

    /// Starts the node's daemon, and does not wait for it.
    pub fn spawn_node(&mut self) -> Result<(), Failure> {
        let mut command = self.command("edge-node");
        command.arg("run");
        self.node = Some(self.spawn(command, "node.log")?);
        Ok(())
    }

    /// The daemon's process, while it runs.
    pub fn node_pid(&self) -> Option<u32> {
        self.node.as_ref().map(Child::id)
    }

    /// Ends the node's daemon as a crash does. Containers go on.
    pub fn kill_node(&mut self) {
        kill(&mut self.node);
    }

    /// The node's machine loses its power: containers, daemon and containerd end, memory is gone.
    pub fn power_off_node(&mut self) {
        self.kill_node();
        self.containerd.power_off();
        unmount_below(&self.dir.join("run"));
        drop(std::fs::remove_dir_all(self.dir.join("run")));
    }

    /// Runs `hubctl`; its output.
    pub fn hubctl(&self, args: &[&str]) -> Result<String, Failure> {
        self.ask("hubctl", args)?.success()
    }

    /// Runs `edge-node` against this node; its output.
    pub fn edge_node(&self, args: &[&str]) -> Result<String, Failure> {
        self.ask("edge-node", args)?.success()
    }

    /// Runs one of the project's programs, whatever comes of it.
    pub fn ask(&self, name: &str, args: &[&str]) -> Result<Said, Failure> {
        let mut command = self.command(name);
        command.args(args).stdin(Stdio::null());
        Said::of(command)
    }

    /// Starts one of the project's programs, and does not wait for it.
    pub fn start(&self, name: &str, args: &[&str]) -> Result<Child, Failure> {
        let mut command = self.command(name);
        command.args(args);
        self.spawn(command, "started.log")
    }

    /// The apps of the node, as its own report says it.
    pub fn apps(&self) -> Result<Value, Failure> {
        let text = self.edge_node(&["ps", "-o", "json"])?;
        serde_json::from_str(&text).map_err(|error| format!("edge-node ps -o json: {error}"))
    }

    /// Process ids of the sample app's services.
    pub fn pids(&self) -> Result<Vec<(String, u64)>, Failure> {
        let apps = self.apps()?;
        let services = apps.as_array().into_iter().flatten().filter_map(|app| app.get("services")?.as_array()).flatten();
        Ok(services.filter_map(pid).collect())
    }

    /// GET on the sample app's page.
    pub async fn get(&self, path: &str) -> Option<String> {
        let ask = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.page)).await.ok()?;
            stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()).await.ok()?;
            let mut answer = String::new();
            stream.take(ANSWER_MAX).read_to_string(&mut answer).await.ok()?;
            let (head, body) = answer.split_once("\r\n\r\n")?;
            head.contains(" 200 ").then(|| body.to_owned())
        };
        tokio::time::timeout(Duration::from_secs(3), ask).await.ok()?
    }

    /// The sample app's own status, once it answers with `version`.
    pub async fn answers_as(&self, version: &str, limit: Duration) -> Result<Value, Failure> {
        wait_for(&format!("the page of version {version}"), limit, async || {
            let status: Value = serde_json::from_str(&self.get("/status").await?).ok()?;
            (status.get("version")?.as_str()? == version).then_some(status)
        })
        .await
    }

    /// The last lines of the logs of hub and node, for a failure.
    pub fn logs(&self) -> String {
        let tail = |name: &str| {
            let text = std::fs::read_to_string(self.dir.join(name)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().rev().take(15).collect();
            format!("--- {name}\n{}\n", lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
        };
        tail("hub.log") + &tail("node.log")
    }

    /// One of the project's programs, at home on this site.
    fn command(&self, name: &str) -> Command {
        let mut command = program(name);
        command.env("XDG_CONFIG_HOME", self.dir.join("config")).env("LANG", "en_US.UTF-8");
        command.env("CAUSEWAY_CONFIG", self.dir.join("node.toml")).env("CAUSEWAY_SOCKET", self.dir.join("run/node.sock"));
        command
    }

    fn spawn(&self, mut command: Command, log: &str) -> Result<Child, Failure> {
        let failed = |error: std::io::Error| format!("{command:?}: {error}", command = command.get_program());
        let file = File::options().create(true).append(true).open(self.dir.join(log)).map_err(&failed)?;
        let errors = file.try_clone().map_err(&failed)?;
        command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn().map_err(|error| error.to_string())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.kill_hub();
        self.power_off_node();
    }
}

fn pid(service: &Value) -> Option<(String, u64)> {
    Some((service.get("service")?.as_str()?.to_owned(), service.get("pid")?.as_u64()?))
}

/// One of the project's programs: it lies beside this one.
pub fn program(name: &str) -> Command {
    let here = std::env::current_exe().expect("the path of this program");
    let dir = here.parent().expect("a directory");
    let dir = if dir.ends_with("deps") { dir.parent().expect("a directory") } else { dir };
    Command::new(dir.join(name))
}

/// What a program said, and how it ended.
#[derive(Debug, Clone)]
pub struct Said {
    /// Its command line.
    pub line: String,
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Said {
    fn of(mut command: Command) -> Result<Self, Failure> {
        let done = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        let name = Path::new(command.get_program()).file_name().unwrap_or_default();
        let words = std::iter::once(name).chain(command.get_args()).map(|word| word.to_string_lossy());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Self {
            line: words.collect::<Vec<_>>().join(" "),
            code: done.status.code().unwrap_or(-1),
            out: text(&done.stdout),
            err: text(&done.stderr),
        })
    }

    /// The output, if the program succeeded.
    ///
    /// # Errors
    /// It did not; what it said.
    pub fn success(self) -> Result<String, Failure> {
        if self.code == 0 { Ok(self.out) } else { Err(format!("{}: {}", self.line, self.err.trim())) }
    }
}

fn kill(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        drop(child.kill());
        drop(child.wait());
    }
}

/// Asks until there is an answer.
pub async fn wait_for<T>(what: &str, limit: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> Result<T, Failure> {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return Ok(answer);
        }
        if begin.elapsed() > limit {
            return Err(format!("{what}: not within {} s", limit.as_secs()));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn free_ports() -> Result<[u16; 3], Failure> {
    let bind = || TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string());
    let listeners = [bind()?, bind()?, bind()?];
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr().map_err(|error| error.to_string())?.port();
    }
    Ok(ports)
}

/// What the node mounted below its run directory would be gone after a power cut.
fn unmount_below(dir: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    for target in mounts.lines().rev().filter_map(|line| line.split(' ').nth(1)) {
        if Path::new(target).starts_with(dir) {
            _ = rustix::mount::unmount(target, rustix::mount::UnmountFlags::DETACH);
        }
    }
}
