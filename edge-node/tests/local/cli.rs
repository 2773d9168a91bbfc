//! The program itself: what it prints, and with which code it ends.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use edge_node::api::port;

use super::fake::{Daemon, name};

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edge-node"));
    command.args(arguments).env_clear().env("LANG", "en_US.UTF-8").stdin(Stdio::null());
    command
}

fn run(socket: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = program(arguments).env("CAUSEWAY_SOCKET", socket).output().expect("run");
    said(&output)
}

fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("utf-8");
    (output.status.code().expect("an exit code"), text(&output.stdout), text(&output.stderr))
}

#[test]
fn tables_and_json_in_both_languages() {
    let daemon = Daemon::start();
    let socket = daemon.socket();
    let (code, out, _) = run(&socket, &["ps"]);
    assert_eq!(code, 0);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>(),
        ["APP", "VERSION", "STATE", "SERVICE", "STATE", "HEALTH", "RESTARTS", "UP", "LAST", "GOOD"]
    );
    assert!(lines[1].starts_with("idle") && lines[1].contains("pending") && lines[1].ends_with(" -"), "{out}");
    assert!(lines[2].contains("failed (137 OOM)"), "{out}");
    assert!(lines[3].contains("running") && lines[3].split_whitespace().rev().take(2).eq(["0.9", "1m"]), "{out}");
    assert!(
        lines[4].starts_with("! shop: Service db ended with code 137") && lines[4].ends_with("[node-service-exits]"),
        "{out}"
    );

    let (code, out, _) = run(&socket, &["status"]);
    assert_eq!(code, 0);
    for part in [
        "crane-7",
        "offline for 3d4h",
        "1m30s ago",
        "1.7",
        "5 GiB",
        "2026-11-21T12:25:07Z",
        "1 MiB of 3 MiB (33.3 %), 64 KiB/s, time left unknown; 260 MiB reused",
    ] {
        assert!(out.contains(part), "{part} is missing in\n{out}");
    }
    let (_, out, _) = run(&socket, &["status", "--lang", "zh"]);
    assert!(out.contains("离线（已 3 天 4 小时）") && out.contains("1 分 30 秒前"), "{out}");
    assert!(out.contains("3 MiB 中已到 1 MiB（33.3 %），64 KiB/s，剩余时间未知；复用 260 MiB"), "{out}");
    let (_, out, _) = run(&socket, &["events", "--from", "2", "--limit", "1"]);
    assert!(out.lines().count() == 2 && out.contains("1970-01-01T00:00:00Z   shop   containerd does not answer"), "{out}");
    assert!(out.contains("(gone·[2J·)"), "{out}");
    let (_, out, _) = run(&socket, &["status"]);
    assert!(out.contains("1 GiB a day (+00:00)") && out.contains("images 4 MiB, logs 3 B"), "{out}");
    let (_, out, _) = run(&socket, &["transfers"]);
    assert!(out.contains("1 MiB of 3 MiB") && out.contains("Paused on site"), "{out}");
    let (_, out, _) = run(&socket, &["transfers", "--lang", "zh"]);
    assert!(out.contains("3 MiB 中已到 1 MiB") && out.contains("已在现场暂停"), "{out}");
    let (_, out, _) = run(&socket, &["trust", "show"]);
    assert!(out.contains("Publisher key") && out.contains("ed25519:"), "{out}");

    let (code, out, _) = run(&socket, &["df"]);
    assert_eq!(code, 0);
    for part in [
        "running   shop 1.0 (db, web)   40 MiB   100 MiB    30 MiB",
        "40.0 % of the files unpacked from them",
        "1 on their way: 1 MiB of 3 MiB arrived",
        "gone/data",
        "of 9 GiB at /var/lib/causeway; images leave 256 MiB free",
        "! There are more files than were counted",
        "! containerd does not answer (gone)",
    ] {
        assert!(out.contains(part), "{part} is missing in\n{out}");
    }
    let (_, out, _) = run(&socket, &["df", "--lang", "zh"]);
    assert!(out.contains("运行中") && out.contains("为其解包后文件的 40.0 %") && out.contains("容器写入的文件   -"), "{out}");

    for arguments in [
        &["status"][..],
        &["ps"],
        &["df"],
        &["events"],
        &["trust", "show"],
        &["secret", "list", "shop"],
        &["transfers"],
        &["neighbours"],
        &["version"],
    ] {
        let (code, out, err) = run(&socket, &[arguments, &["-o", "json"]].concat());
        assert_eq!(code, 0, "{arguments:?} {err}");
        assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{arguments:?} {out}");
    }
}

#[test]
fn neighbours_and_how_they_stand() {
    let daemon = Daemon::start();
    let socket = daemon.socket();
    let lines = |arguments: &[&str]| {
        let (code, out, err) = run(&socket, arguments);
        assert_eq!((code, err.as_str()), (0, ""), "{arguments:?} {out}");
        out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let has =
        |lines: &[String], part: &str| assert!(lines.iter().any(|line| line.contains(part)), "{part} is missing in {lines:?}");
    let out = lines(&["neighbours"]);
    let expected = [
        "Neighbours are told to reach this node at: 192.168.7.7:7448",
        "NEIGHBOUR   ADDRESS             STATE                   TAKEN    GIVEN",
        "crane-8     192.168.7.8:7448    not asked yet           8 MiB    3 MiB",
        "crane-9     192.168.7.9:7448    of use 1m30s ago        9 MiB    3 MiB",
        "crane-10    192.168.7.10:7448   of no use 2d ago        10 MiB   3 MiB",
        "crane-11    192.168.7.11:7448   left aside for 59m55s   11 MiB   3 MiB",
    ];
    assert_eq!(out[..6], expected);
    assert!(out[6].contains("did not answer (timed·[2J out)") && out[6].ends_with("[node-neighbour-away]"), "{out:?}");
    assert!(out.len() == 8 && out[7].ends_with("[node-neighbour-wrong]"), "{out:?}");
    let out = lines(&["neighbours", "--lang", "zh"]);
    for part in [
        "告知邻居节点的本机地址：192.168.7.7:7448",
        "尚未询问",
        "可用（1 分 30 秒前）",
        "不可用（2 天前）",
        "搁置（还有 59 分 55 秒）",
        "没有应答",
    ] {
        has(&out, part);
    }
    has(&lines(&["status"]), "4, 2 of no use; 40 MiB taken from them, 12 MiB given");
    has(&lines(&["status", "--lang", "zh"]), "4 个，其中 2 个不可用；已取得 40 MiB，已提供 12 MiB");

    let mut alone = super::fake::sharing();
    (alone.address, alone.neighbours) = (None, Vec::new());
    *daemon.node.sharing.lock().expect("lock") = Some(alone);
    let out = lines(&["neighbours"]);
    assert!(out.len() == 2 && out[0].ends_with("not known yet") && out[1].contains("label site"), "{out:?}");
    let out = lines(&["neighbours", "--lang", "zh"]);
    assert!(out.len() == 2 && out[0].ends_with("尚未确定") && out[1].contains("没有指定邻居节点"), "{out:?}");
    has(&lines(&["status"]), "0; 40 MiB taken from them, 12 MiB given");

    *daemon.node.sharing.lock().expect("lock") = None;
    let out = lines(&["neighbours"]);
    assert!(out.len() == 1 && out[0].contains("address = \"0.0.0.0:7448\" below [neighbours] in node.toml"), "{out:?}");
    let out = lines(&["neighbours", "--lang", "zh"]);
    assert!(out.len() == 1 && out[0].contains("node.toml 的 [neighbours] 下设置 address"), "{out:?}");
    assert_eq!(lines(&["neighbours", "-o", "json"]), ["null"]);
    assert!(!lines(&["status"]).iter().any(|line| line.starts_with("Neighbours")), "nothing is shared");
}

#[test]
fn commands_do_what_they_say() {
    let daemon = Daemon::start();
    let socket = daemon.socket();
    let target = |service: Option<&str>| port::Target { app: name("shop"), service: service.map(name) };
    let said = |arguments: &[&str]| {
        let (code, out, err) = run(&socket, arguments);
        assert_eq!((code, err.as_str()), (0, ""), "{arguments:?} {out}");
        out
    };
    assert_eq!(said(&["stop", "shop"]), "Stopped: shop; it stays so until: edge-node start shop\n");
    assert_eq!(said(&["start", "shop", "web"]), "Started: shop/web\n");
    assert_eq!(said(&["restart", "shop", "--lang", "zh"]), "正在重启：shop\n");
    let image = shared::id::Digest::of(b"i");
    let paused = said(&["pause", &image.short()]);
    assert_eq!(paused, format!("Paused: {}; nothing is lost, and it stays so until: edge-node resume\n", image.short()));
    assert_eq!(said(&["resume"]), "Resumed: all transfers\n");
    assert_eq!(said(&["pause", "--lang", "zh"]), "已暂停：全部传输；已传输的内容不会丢失，恢复请执行 edge-node resume\n");
    let expected = [
        port::Command::Stop(target(None)),
        port::Command::Start(target(Some("web"))),
        port::Command::Restart(target(None)),
        port::Command::Pause(Some(image)),
        port::Command::Resume(None),
        port::Command::Pause(None),
    ];
    assert_eq!(daemon.told(), expected);

    let mut set = program(&["secret", "set", "shop", "pin"]);
    let mut child = set.env("CAUSEWAY_SOCKET", &socket).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("run");
    child.stdin.take().expect("stdin").write_all(b"hush").expect("written");
    let output = child.wait_with_output().expect("ended");
    assert_eq!(self::said(&output), (0, "Secret pin of app shop is set\n".into(), String::new()));
    assert_eq!(std::fs::read(daemon.state().join("secrets/shop/pin")).expect("stored"), b"hush");
    assert_eq!(run(&socket, &["secret", "list", "shop"]), (0, "pin\n".into(), String::new()));
    assert_eq!(said(&["secret", "remove", "shop", "pin"]), "Secret pin of app shop is removed\n");
    assert_eq!(run(&socket, &["secret", "remove", "shop", "pin"]).0, 3);

    let (code, out, _) = run(&socket, &["logs", "shop", "web", "--tail", "5"]);
    assert_eq!((code, out.as_str()), (0, "2026-01-01T00:00:00.000000000Z out web 5\n"));
    let (_, out, _) = run(&socket, &["logs", "shop"]);
    let mut lines: Vec<&str> = out.lines().collect();
    lines.sort_unstable();
    assert!(lines.len() == 2 && lines[0].starts_with("db  | ") && lines[1].starts_with("web | "), "{out}");
}

#[test]
fn exit_codes_are_those_of_the_manual() {
    let daemon = Daemon::start();
    let socket = daemon.socket();
    for (arguments, code, text) in [
        (&["--help"][..], 0, ""),
        (&["version"], 0, ""),
        (&["completion", "bash"], 0, ""),
        (&[], 2, "Usage"),
        (&["dance"], 2, "dance"),
        (&["stop"], 2, "APP"),
        (&["stop", "../etc"], 2, "not a name"),
        (&["trust", "add", "ed25519:00"], 2, "ed25519"),
        (&["join", "hunter2"], 2, "trust-token-not-one"),
        (&["run", "--config", "/no/such/file"], 2, "node-config-unreadable"),
        (&["run", "--run-dir", "relative"], 2, "run_dir is not right"),
        (&["stop", "nope"], 3, "node-app-not-found"),
        (&["stop", "shop", "nope"], 3, "db, web"),
        (&["pause", "ffff"], 3, "budget-no-transfer"),
        (&["resume", ""], 3, "budget-no-transfer"),
        (&["logs", "nope"], 3, "node-app-not-found"),
        (&["run", "--config", "/no/\u{1b}]0;x\u{7}\u{202e}"], 2, "/no/·]0;x··"),
    ] {
        let (got, out, err) = run(&socket, arguments);
        assert_eq!(got, code, "{arguments:?}\n{out}{err}");
        assert!(err.contains(text), "{arguments:?}\n{err}");
    }
    let nobody = daemon.dir.path().join("nobody.sock");
    let (code, _, err) = run(&nobody, &["ps", "--lang", "zh"]);
    assert!(code == 7 && err.contains("没有 edge-node 应答") && err.contains("[cli-daemon-unreachable]"), "{code} {err}");
    std::fs::write(&nobody, "").expect("written");
    assert_eq!(run(&nobody, &["ps"]).0, 7, "a file that is no socket");
}

#[test]
fn help_speaks_both_languages() {
    for (lang, expected) in [("en", ["Usage:", "Commands:", "Join a hub"]), ("zh", ["用法：", "命令:", "接入中心"])] {
        let output = program(&["--lang", lang, "--help"]).output().expect("run");
        let (code, out, _) = said(&output);
        assert_eq!(code, 0);
        for part in expected {
            assert!(out.contains(part), "{part} is missing in\n{out}");
        }
    }
    let (_, out, _) = said(&program(&["logs", "--help"]).env("LANG", "zh_CN.UTF-8").output().expect("run"));
    assert!(out.contains("选项:") && out.contains("持续显示新的日志") && !out.contains("Options"), "{out}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let daemon = Daemon::start();
    let mut child = program(&["logs", "shop", "web", "-f"])
        .env("CAUSEWAY_SOCKET", daemon.socket())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run");
    let mut stdout = child.stdout.take().expect("stdout");
    let mut first = [0; 10];
    stdout.read_exact(&mut first).expect("a line");
    drop(stdout);
    let output = child.wait_with_output().expect("ended");
    assert_eq!(said(&output), (0, String::new(), String::new()));
}

#[test]
fn check_says_what_would_be_used_and_what_is_wrong() {
    let dir = tempfile::tempdir().expect("dir");
    let file = dir.path().join("node.toml");
    let state = dir.path().join("state");
    std::fs::write(&file, format!("state_dir = {state:?}\nrun_dir = {state:?}\n[runtime]\nkind = \"memory\"\n"))
        .expect("written");
    let file = file.to_str().expect("utf-8");
    let (code, out, err) = run(dir.path(), &["run", "--check", "--config", file]);
    assert!(code == 1 && out.contains("runtime.kind") && err.contains("trust-not-joined"), "{code}\n{out}\n{err}");
    let (_, out, _) = run(dir.path(), &["run", "--check", "--config", file, "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("json");
    assert_eq!(json["config"]["runtime"]["kind"], "memory");
    assert!(!state.exists(), "nothing was made");

    std::fs::write(file, "stat_dir = 1\n[limits]\npid = 3\n").expect("written");
    let (code, _, err) = run(dir.path(), &["run", "--config", file, "--lang", "zh"]);
    assert_eq!(code, 2);
    assert!(err.contains("node.toml:1：没有名为 stat_dir 的设置。最接近的设置：state_dir"), "{err}");
    assert!(err.contains("node.toml:3：没有名为 limits.pid 的设置。最接近的设置：limits.pids"), "{err}");
}

#[test]
fn a_daemon_that_has_not_joined_says_what_to_do() {
    let dir = tempfile::tempdir().expect("dir");
    let place = dir.path().to_str().expect("utf-8");
    let (code, _, err) = run(dir.path(), &["run", "--runtime", "memory", "--state-dir", place, "--run-dir", place]);
    assert!(code == 1 && err.contains("edge-node join TOKEN"), "{code} {err}");
    assert_eq!(std::fs::metadata(dir.path().join("node.lock")).expect("lock").permissions().mode() & 0o777, 0o600);
}

#[test]
fn bundles_in_and_receipts_out() {
    let daemon = Daemon::start();
    let identity = daemon.joined();
    let (socket, stick) = (daemon.socket(), tempfile::tempdir().expect("dir"));
    let bundle = |name: &str| {
        let path = stick.path().join(name);
        std::fs::write(&path, "the fake does not look into it").expect("written");
        path.display().to_string()
    };
    let (good, bad) = (bundle("good.bundle"), bundle("bad.bundle"));
    let (code, out, err) = run(&socket, &["import", &good]);
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (0, "Everything of desired state 1.7 is on this node. The stick can be pulled; see: edge-node ps\n", "")
    );
    let (code, out, _) = run(&socket, &["import", &good, "--lang", "zh"]);
    assert!(code == 0 && out.contains("现在可以拔出 U 盘"), "{out}");
    let (code, out, _) = run(&socket, &["import", &good, "-o", "json"]);
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).expect("json")).collect();
    assert_eq!((code, lines.len()), (0, 3));
    assert_eq!((&lines[0]["type"], &lines[2]["accepted"]["generation"]), (&"checking".into(), &7.into()));
    let (code, out, err) = run(&socket, &["import", &bad]);
    assert!(code == 1 && out.is_empty() && err.contains("[bundle-unreadable]") && !err.contains('\u{1b}'), "{err}");
    let (code, _, err) = run(&socket, &["import", &bundle("x").replace("/x", "/none"), "--lang", "zh"]);
    assert!(code == 1 && err.contains("U 盘是否已插好"), "{err}");

    let file = stick.path().join("crane-7.receipt");
    let to = file.display().to_string();
    let (code, out, _) = run(&socket, &["receipts", "--to", &to]);
    assert!(
        code == 0 && out.contains("the newest report of crane-7 and 3 events") && out.contains("hubctl import-receipts"),
        "{out}"
    );
    let (_, out, _) = run(&socket, &["receipts", "--to", &to, "--lang", "zh"]);
    assert!(out.contains("3 条事件"), "{out}");
    let signed = shared::receipt::Signed::from_bytes(&std::fs::read(&file).expect("file")).expect("receipt");
    assert_eq!(signed.certificate, identity.chain[0].to_vec());
    assert_eq!(signed.receipt().expect("receipt").events.len(), 3);
    assert!(!stick.path().join("crane-7.receipt.part").exists());
    let (code, _, err) = run(&socket, &["receipts", "--to", &stick.path().join("no/such").display().to_string()]);
    assert!(code == 1 && err.contains("[node-file-failed]"), "{err}");
    let (code, _, err) = run(Path::new("/nowhere/node.sock"), &["import", &good]);
    assert!(code == 7 && err.contains("[cli-daemon-unreachable]"), "{err}");
    std::fs::remove_dir_all(daemon.state().join("identity")).expect("gone");
    let (code, _, err) = run(&socket, &["receipts", "--to", &to]);
    assert!(code == 1 && err.contains("[trust-not-joined]"), "{err}");
    daemon.stop();
}
