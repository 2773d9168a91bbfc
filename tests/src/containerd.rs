//! A private containerd: own root, state and socket below a directory, so that a test never meets the node's own.
//!
//! Everything it leaves on the machine carries one unique name ([`Private::namespace`], [`Private::bridge`]), and
//! dropping it removes all of that: containers, shims, mounts, network namespaces, runc's state (which is global per
//! namespace, see `/run/containerd/runc`), cgroups, bridge and firewall rules. A test that panics cleans up too.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use containerd_client::services::v1::ListNamespacesRequest;
use containerd_client::services::v1::namespaces_client::NamespacesClient;
use rustix::mount::UnmountFlags;
use rustix::process::{Pid, Signal, kill_process};

use crate::firewall;

/// A containerd that is not there after this time will not come.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A running private containerd.
pub struct Private {
    dir: PathBuf,
    daemon: Option<Child>,
    unique: String,
    subnet: String,
}

impl Private {
    /// Starts a containerd with everything below `dir`, and returns when it answers.
    ///
    /// # Panics
    /// When containerd is not installed, we are not root, or it does not answer: a lane that needs it must not pass
    /// without it.
    pub async fn start(dir: &Path) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        assert!(rustix::process::geteuid().is_root(), "the real lane needs root");
        let (pid, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut private = Self {
            dir: dir.into(),
            daemon: None,
            unique: format!("cwt{pid:x}n{count}"),
            subnet: format!("10.{}.{}.0/24", 200 + count % 30, pid % 250 + 1),
        };
        std::fs::create_dir_all(dir).expect("the directory of a private containerd");
        std::fs::write(dir.join("config.toml"), private.config()).expect("containerd's configuration");
        private.restart().await;
        private
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("containerd.sock")
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.daemon.as_ref().map(Child::id)
    }

    /// A containerd namespace that nobody else on the machine uses.
    pub fn namespace(&self) -> &str {
        &self.unique
    }

    /// A bridge that nobody else on the machine uses; removed with this value.
    pub fn bridge(&self) -> &str {
        &self.unique
    }

    /// Addresses for that bridge.
    pub fn subnet(&self) -> &str {
        &self.subnet
    }

    /// Where it keeps what survives a reboot.
    pub fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// Where it keeps what a reboot wipes.
    pub fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// Ends it as a crash does; containers and their shims go on.
    pub fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().expect("containerd can be killed");
            daemon.wait().expect("containerd can be awaited");
        }
    }

    /// Starts it again after [`kill`](Self::kill), and returns when it answers.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn restart(&mut self) {
        self.kill();
        let log = std::fs::File::create(self.dir.join("containerd.log")).expect("containerd's log");
        let daemon = Command::new("containerd")
            .arg("--config")
            .arg(self.dir.join("config.toml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log)
            .spawn()
            .expect("containerd is installed (apt-get install containerd)");
        self.daemon = Some(daemon);
        let begin = Instant::now();
        while !self.answers().await {
            let log = || std::fs::read_to_string(self.dir.join("containerd.log")).unwrap_or_default();
            assert!(begin.elapsed() < START_LIMIT, "containerd does not answer:\n{}", log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The processes of all containers, and their shims, end as in a power cut; what lies in memory is gone. The next
    /// [`restart`](Self::restart) is the boot.
    pub fn power_off(&mut self) {
        self.kill();
        self.end_processes();
        self.unmount(&self.state());
        drop(std::fs::remove_dir_all(self.state()));
        drop(std::fs::remove_dir_all(self.runc()));
        firewall::remove_network(&self.unique, &self.subnet);
    }

    /// Process ids of the shims of our containers, by container.
    pub fn shims(&self) -> Vec<(String, i32)> {
        let mine = |args: &[String]| args.iter().any(|arg| arg == &self.unique);
        let after = |args: &[String], key: &str| {
            args.iter().position(|arg| arg == key).and_then(|at| args.get(at + 1)).cloned().unwrap_or_default()
        };
        processes()
            .into_iter()
            .filter(|(_, args)| args.first().is_some_and(|arg| arg.contains("containerd-shim")) && mine(args))
            .map(|(pid, args)| (after(&args, "-id"), pid))
            .collect()
    }

    /// Namespaces.List says that the metadata store works; Version answers before it does.
    async fn answers(&self) -> bool {
        let Ok(channel) = containerd_client::connect(self.socket()).await else { return false };
        let call = NamespacesClient::new(channel).list(ListNamespacesRequest::default()).await;
        call.is_ok()
    }

    fn config(&self) -> String {
        let (root, state, socket) = (self.root(), self.state(), self.socket());
        let [root, state, socket] = [&root, &state, &socket].map(|path| path.display().to_string());
        format!(
            "version = 2\nroot = {root:?}\nstate = {state:?}\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.snapshotter.v1.aufs\", \
             \"io.containerd.snapshotter.v1.btrfs\", \"io.containerd.snapshotter.v1.devmapper\", \
             \"io.containerd.snapshotter.v1.zfs\"]\n\
             [grpc]\naddress = {socket:?}\n[ttrpc]\naddress = \"{socket}.ttrpc\"\n[debug]\nlevel = \"info\"\n"
        )
    }

    fn runc(&self) -> PathBuf {
        Path::new("/run/containerd/runc").join(&self.unique)
    }

    /// Kills all processes in our cgroups, then the shims, until there are none.
    fn end_processes(&self) {
        let begin = Instant::now();
        loop {
            let shims: Vec<i32> = self.shims().into_iter().map(|(_, pid)| pid).collect();
            let pids: Vec<i32> = self.cgroups().iter().flat_map(|dir| members(dir)).collect();
            if (shims.is_empty() && pids.is_empty()) || begin.elapsed() > START_LIMIT {
                return;
            }
            let targets = if pids.is_empty() { shims } else { pids };
            for pid in targets.into_iter().filter_map(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
            pause();
        }
    }

    /// Every cgroup directory of our containers, deepest first.
    fn cgroups(&self) -> Vec<PathBuf> {
        let top = Path::new("/sys/fs/cgroup");
        let controllers = entries(top).into_iter().map(|dir| dir.join(&self.unique));
        let ours = controllers.chain([top.join(&self.unique)]).filter(|dir| dir.is_dir());
        ours.flat_map(|dir| entries(&dir).into_iter().filter(|path| path.is_dir()).chain([dir])).collect()
    }

    fn unmount(&self, below: &Path) {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
        let mut ours: Vec<PathBuf> = points.filter(|path| path.starts_with(below)).collect();
        ours.reverse();
        for path in ours {
            let _ = rustix::mount::unmount(&path, UnmountFlags::DETACH);
        }
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            drop(daemon.kill());
            drop(daemon.wait());
        }
        self.end_processes();
        self.unmount(&self.dir.clone());
        drop(std::fs::remove_dir_all(self.runc()));
        for dir in self.cgroups() {
            drop(std::fs::remove_dir(dir));
        }
        firewall::remove_network(&self.unique, &self.subnet);
    }
}

/// Every process with its arguments.
fn processes() -> Vec<(i32, Vec<String>)> {
    let pids = entries(Path::new("/proc")).into_iter().filter_map(|path| path.file_name()?.to_str()?.parse().ok());
    let args = |pid: i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        Some((pid, line.split(|byte| *byte == 0).map(|arg| String::from_utf8_lossy(arg).into_owned()).collect()))
    };
    pids.filter_map(args).collect()
}

fn members(cgroup: &Path) -> Vec<i32> {
    let text = std::fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let list = |dir: &Path| -> io::Result<Vec<PathBuf>> { std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect() };
    list(dir).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "Drop cannot await; killed processes take a moment to vanish")]
fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_starts_dies_and_starts_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut private = Private::start(dir.path()).await;
        assert!(private.answers().await);
        private.kill();
        assert!(!private.answers().await);
        private.restart().await;
        assert!(private.answers().await);
        assert!(private.shims().is_empty());
    }
}
