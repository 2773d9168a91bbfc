//! `edge-node run` as systemd sees it.

use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::fake::identity;

/// A daemon that is killed if the test ends early.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(place: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edge-node"));
    command.args(["run", "--runtime", "memory", "--log-format", "json", "--state-dir", place, "--run-dir", place]);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn it_reports_to_systemd_runs_once_and_ends_on_sigterm() {
    let dir = tempfile::tempdir().expect("dir");
    let place = dir.path().to_str().expect("utf-8");
    let notices = UnixDatagram::bind(dir.path().join("notify")).expect("bound");
    notices.set_read_timeout(Some(Duration::from_secs(60))).expect("limit");
    let hears = |wanted: &str| {
        let mut buffer = [0; 256];
        loop {
            let got = notices.recv(&mut buffer).expect(wanted);
            if String::from_utf8_lossy(&buffer[..got]).contains(wanted) {
                return;
            }
        }
    };
    // Nobody listens at the hub's address: the daemon runs all the same.
    identity("localhost:1").store(&dir.path().join("identity"), false).expect("stored");
    let mut first = command(place);
    first.env("NOTIFY_SOCKET", dir.path().join("notify")).env("WATCHDOG_USEC", "400000");
    let mut first = Running(first.spawn().expect("run"));
    hears("READY=1");
    hears("WATCHDOG=1");
    hears("WATCHDOG=1");

    let second = command(place).output().expect("run");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(second.status.code() == Some(5) && said.contains("node-already-runs"), "{said}");

    kill_process(Pid::from_child(&first.0), Signal::TERM).expect("signalled");
    hears("STOPPING=1");
    assert_eq!(first.0.wait().expect("ended").code(), Some(0));
    let mut log = String::new();
    std::io::Read::read_to_string(&mut first.0.stderr.take().expect("stderr"), &mut log).expect("read");
    assert!(log.lines().count() > 0 && log.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{log}");
}

#[test]
fn a_log_that_cannot_be_written_ends_nothing() {
    let dir = tempfile::tempdir().expect("dir");
    let place = dir.path().to_str().expect("utf-8");
    let notices = UnixDatagram::bind(dir.path().join("notify")).expect("bound");
    notices.set_read_timeout(Some(Duration::from_secs(20))).expect("limit");
    identity("localhost:1").store(&dir.path().join("identity"), false).expect("stored");
    let mut daemon = command(place);
    daemon.stderr(std::fs::File::options().write(true).open("/dev/full").expect("/dev/full"));
    daemon.env("NOTIFY_SOCKET", dir.path().join("notify"));
    let mut daemon = Running(daemon.spawn().expect("run"));
    let mut buffer = [0; 256];
    notices.recv(&mut buffer).expect("READY=1");
    kill_process(Pid::from_child(&daemon.0), Signal::TERM).expect("signalled");
    assert_eq!(daemon.0.wait().expect("ended").code(), Some(0));
}
