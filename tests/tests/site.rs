//! The real lane: hub, `hubctl`, `edge-node` and a private containerd as processes, worked with as an operator does.
//!
//! ```sh
//! cargo test -p scenarios --test site                                              # needs the programs: cargo build --bins
//! SITE_KILLS=1000 SITE_CUTS=200 SITE_SEED=7 cargo test -p scenarios --test site    # longer; the same seed, the same choices
//! ```
//!
//! One site at a time: each is a whole small installation, and its deadlines are those of a machine that has little else
//! to do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "tests"
)]

#[path = "site/full.rs"]
mod full;
#[path = "site/neighbours.rs"]
mod neighbours;
#[path = "site/stick.rs"]
mod stick;

use std::time::{Duration, Instant};

use scenarios::demo::{self, Failure, NODE, Said, Site, Version, wait_for};
use scenarios::promises;
use scenarios::proxy::Proxy;
use scenarios::world::random::Random;
use serde_json::Value;
use shared::id::Name;
use shared::join::JoinToken;
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::sleep;

/// Nothing here takes so long, on however slow a machine.
const LONG: Duration = Duration::from_secs(120);
/// As `hubctl` takes it.
const LONG_TEXT: &str = "120s";
/// Kills of one round: half of them while a good version arrives, half while a bad one is undone.
const ROUND: u64 = 20;
/// Most bytes between two cuts.
const CUT_MOST: u64 = 2 << 20;
/// What is sent again after a cut or a kill, at most: all that may be asked for and not on disk yet, and what the link says
/// about itself.
const AGAIN_MOST: u64 = 2_621_440;

static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// A site with its directory, and the right to be the only one.
struct Lane {
    site: Site,
    _dir: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Lane {
    async fn new() -> Self {
        let alone = ONE_AT_A_TIME.lock().await;
        let dir = tempfile::Builder::new().prefix("causeway-site-").tempdir().unwrap();
        let site = Site::new(dir.path()).await.unwrap();
        Self { site, _dir: dir, _alone: alone }
    }

    /// With a hub, and a node that reached it.
    async fn enrolled() -> Self {
        let mut lane = Self::new().await;
        lane.site.open_hub().await.unwrap();
        lane.site.enrol().await.unwrap();
        lane
    }

    /// Ends the story; when it failed, so does the test, with what hub and node said last.
    #[track_caller]
    fn end(self, told: Result<(), Failure>) {
        if let Err(failure) = told {
            panic!("{failure}\n\n{}", self.site.logs());
        }
    }

    /// As [`end`](Self::end), and writes down what was promised and tried so often.
    #[track_caller]
    fn shows(self, id: &str, trials: u64, promised: &str, told: Result<(), Failure>) {
        let command = "SITE_KILLS=n SITE_CUTS=n cargo test -p scenarios --test site";
        promises::record(id, trials, told.is_err().into(), promised, command);
        self.end(told);
    }
}

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

fn random() -> Random {
    let seed = number("SITE_SEED", u64::from(std::process::id()));
    println!("SITE_SEED={seed}");
    Random::new(seed)
}

/// Fails with `what` unless `fact`.
fn must(fact: bool, what: impl FnOnce() -> String) -> Result<(), Failure> {
    if fact { Ok(()) } else { Err(what()) }
}

fn deploy(site: &Site, release: &str) -> Result<(), Failure> {
    site.hubctl(&["deploy", release, "-l", "site=demo"]).map(drop)
}

fn deploy_and_wait(site: &Site, release: &str) -> Result<(), Failure> {
    site.hubctl(&["deploy", release, "-l", "site=demo", "--wait", "--timeout", LONG_TEXT]).map(drop)
}

/// An app beside the one that changes; whatever happens to that, this one runs on.
fn steady(site: &Site) -> Result<Vec<Process>, Failure> {
    site.publish(&Version { app: "steady", page: false, ..Version::new("1.0.0") })?;
    deploy_and_wait(site, "steady@1.0.0")?;
    processes(site, "steady")
}

/// A service's process; two are the same only if the kernel says that they began at the same moment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Process {
    service: String,
    pid: u64,
    began: u64,
}

/// The processes of an app; an error unless all its services have one.
fn processes(site: &Site, app: &str) -> Result<Vec<Process>, Failure> {
    let services = site.app(app)?["services"].as_array().cloned().unwrap_or_default();
    let one = |service: &Value| {
        let (name, pid) = (service["service"].as_str().unwrap_or_default(), service["pid"].as_u64().unwrap_or(0));
        let began = began(pid).ok_or_else(|| format!("{app}/{name} has no process: {service}"))?;
        Ok(Process { service: name.to_owned(), pid, began })
    };
    services.iter().map(one).collect()
}

/// When a process began, in ticks since boot: the 20th field behind the name in `/proc/<pid>/stat` (proc(5)).
fn began(pid: u64) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

/// As [`processes`], once every service has one.
async fn running(site: &Site, app: &str) -> Result<Vec<Process>, Failure> {
    wait_for(&format!("the processes of {app}"), LONG, async || processes(site, app).ok().filter(|all| !all.is_empty())).await
}

async fn becomes(site: &Site, app: &str, phase: &str) -> Result<Value, Failure> {
    wait_for(&format!("{app} {phase}"), LONG, async || site.app(app).ok().filter(|app| app["phase"] == phase)).await
}

/// The state the node holds durably.
fn accepted(site: &Site) -> Result<(u64, u64), Failure> {
    let stamp = &site.status()?["accepted"];
    let part = |name: &str| stamp[name].as_u64().ok_or_else(|| format!("no stamp: {stamp}"));
    Ok((part("epoch")?, part("generation")?))
}

fn count(status: &Value) -> u64 {
    status["count"].as_u64().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo() {
    let mut lane = Lane::new().await;
    let told = demo::run(&mut lane.site).await;
    lane.end(told);
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_daemon_restarts_nothing_and_loses_nothing() {
    let mut lane = Lane::enrolled().await;
    let kills = number("SITE_KILLS", ROUND);
    let told = kill_the_daemon(&mut lane.site, kills).await;
    lane.shows("F01", kills, "kill -9 of the node's daemon: no container restarted, no accepted state lost", told);
}

async fn kill_the_daemon(site: &mut Site, kills: u64) -> Result<(), Failure> {
    let mut random = random();
    site.publish(&Version::new("0.1.0"))?;
    deploy_and_wait(site, "sample@0.1.0")?;
    let before = steady(site)?;
    for round in 1..=kills.div_ceil(ROUND) {
        let [good, bad] = [1, 2].map(|minor| format!("{round}.{minor}.0"));
        site.publish(&Version::new(&good))?;
        site.publish(&Version { healthy: false, deadline: 10, ..Version::new(&bad) })?;
        deploy(site, &format!("sample@{good}"))?;
        kill_often(site, &mut random, ROUND / 2, &before).await?;
        site.online(LONG).await?;
        site.hubctl(&["wait", "--for", "ready", "deployment/sample", "--timeout", LONG_TEXT])?;
        deploy(site, &format!("sample@{bad}"))?;
        kill_often(site, &mut random, ROUND / 2, &before).await?;
        becomes(site, "sample", "undone").await?;
        site.answers_as(&good, LONG).await?;
        site.online(LONG).await?;
        site.hubctl(&["wait", "--for", "in-sync", &format!("node/{NODE}"), "--timeout", LONG_TEXT])?;
        let after = processes(site, "steady")?;
        must(after == before, || format!("round {round}: processes changed from {before:?} to {after:?}"))?;
    }
    Ok(())
}

/// Kills the daemon `times` at random moments and starts it again; what must hold after every kill is looked at.
async fn kill_often(site: &mut Site, random: &mut Random, times: u64, before: &[Process]) -> Result<(), Failure> {
    let mut newest = accepted(site)?;
    for kill in 1..=times {
        // The moment is the point here: from the start of its work to long after.
        sleep(Duration::from_millis(random.below(1_500))).await;
        newest = newest.max(accepted(site)?);
        site.kill_node();
        site.start_node().await?;
        let now = accepted(site)?;
        must(now >= newest, || format!("kill {kill}: the accepted state went back from {newest:?} to {now:?}"))?;
        for process in before {
            must(began(process.pid) == Some(process.began), || format!("kill {kill}: {process:?} is gone"))?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_containerd_during_a_deployment_is_survived() {
    let mut lane = Lane::enrolled().await;
    let versions = number("SITE_KILLS", ROUND).div_ceil(ROUND).max(3);
    let told = kill_containerd(&mut lane.site, versions).await;
    lane.shows("F21", versions, "kill -9 of containerd during a deployment: no other container restarted", told);
}

async fn kill_containerd(site: &mut Site, versions: u64) -> Result<(), Failure> {
    let mut random = random();
    let before = steady(site)?;
    for version in (1..=versions).map(|major| format!("{major}.0.0")) {
        site.publish(&Version::new(&version))?;
        deploy(site, &format!("sample@{version}"))?;
        sleep(Duration::from_millis(random.below(1_000))).await;
        site.containerd.kill();
        must(processes(site, "steady").is_ok(), || "the node says that steady does not run".into())?;
        site.containerd.restart().await;
        site.hubctl(&["wait", "--for", "ready", "deployment/sample", "--timeout", LONG_TEXT])?;
        site.answers_as(&version, LONG).await?;
        let after = running(site, "steady").await?;
        must(after == before, || format!("{version}: processes changed from {before:?} to {after:?}"))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_is_cut_often_goes_on_where_it_was() {
    let mut lane = Lane::new().await;
    let proxy = Proxy::start(lane.site.gate).unwrap();
    lane.site.told = proxy.port();
    lane.site.open_hub().await.unwrap();
    lane.site.enrol().await.unwrap();
    let cuts = number("SITE_CUTS", ROUND);
    let told = cut_the_link(&mut lane.site, &proxy, cuts).await;
    lane.shows("F28", cuts, "cuts and kills during a transfer: sent again at most one window per cut", told);
}

async fn cut_the_link(site: &mut Site, proxy: &Proxy, cuts: u64) -> Result<(), Failure> {
    let mut random = random();
    for round in 1..=cuts.div_ceil(ROUND) {
        // All cuts come before the image is there, even if nothing is sent twice.
        let (version, ballast) = (format!("{round}.0.0"), usize::try_from(ROUND * CUT_MOST).unwrap());
        let size = site.publish(&Version { ballast, ..Version::new(&version) })? as u64;
        let (bytes_before, cuts_before) = (proxy.bytes(), proxy.cuts());
        proxy.cut_after((0..ROUND).map(|_| random.between(64 << 10, CUT_MOST)));
        deploy(site, &format!("sample@{version}"))?;
        wait_for("half of the cuts", 4 * LONG, async || (proxy.cuts() >= cuts_before + ROUND / 2).then_some(())).await?;
        site.kill_node();
        site.start_node().await?;
        site.answers_as(&version, 4 * LONG).await?;
        let (bytes, made) = (proxy.bytes() - bytes_before, proxy.cuts() - cuts_before);
        must(made == ROUND, || format!("{made} cuts"))?;
        let most = size + (ROUND + 1) * AGAIN_MOST + size / 10;
        println!("image of {size} bytes, {made} cuts, 1 kill: {bytes} bytes came, at most {most} allowed");
        must(bytes <= most, || format!("{bytes} bytes came for an image of {size}"))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_is_worked_with_through_the_command_lines() {
    let mut lane = Lane::enrolled().await;
    let told = command_lines(&mut lane.site).await;
    lane.end(told);
}

async fn command_lines(site: &mut Site) -> Result<(), Failure> {
    for version in ["1.0.0", "2.0.0"] {
        site.publish(&Version::new(version))?;
        deploy_and_wait(site, &format!("sample@{version}"))?;
    }
    what_commands_show(site)?;
    how_commands_end(site)?;
    site.hubctl(&["rollback", "sample", "--wait", "--timeout", LONG_TEXT])?;
    site.answers_as("1.0.0", LONG).await?;
    site.hubctl(&["rollback", "sample", "--to", "2.0.0", "--wait", "--timeout", LONG_TEXT])?;
    site.answers_as("2.0.0", LONG).await?;
    stop_and_start(site).await?;
    revoked(site).await
}

/// Commands that show something, each in both languages where people read it.
fn what_commands_show(site: &Site) -> Result<(), Failure> {
    for (program, line, expected) in [
        ("hubctl", "get nodes", NODE),
        ("hubctl", "get apps", "sample"),
        ("hubctl", "get releases", "2.0.0"),
        ("hubctl", "get deployments -o wide", "sample"),
        ("hubctl", "get events", "sample"),
        ("hubctl", "get publishers -o yaml", "demo"),
        ("hubctl", "describe node demo-node", "sample"),
        ("hubctl", "describe app sample", "1.0.0"),
        ("hubctl", "describe release sample@2.0.0", "counter"),
        ("hubctl", "describe deployment sample", NODE),
        ("hubctl", "logs demo-node sample counter --tail 20", "counter: version 2.0.0"),
        ("hubctl", "wait --for in-sync node/demo-node", ""),
        ("hubctl", "version", ""),
        ("edge-node", "status", NODE),
        ("edge-node", "ps", "counter"),
        ("edge-node", "logs sample counter", "counter: version 2.0.0"),
        ("edge-node", "events", "sample"),
        ("edge-node", "trust show", "ed25519:"),
        ("edge-node", "run --check", ""),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let said = site.ask(program, &words)?.success()?;
        must(said.contains(expected), || format!("{program} {line} does not say {expected}:\n{said}"))?;
    }
    for (program, line) in [
        ("hubctl", "get nodes"),
        ("hubctl", "get deployments"),
        ("hubctl", "describe node demo-node"),
        ("hubctl", "describe deployment sample"),
        ("hubctl", "--help"),
        ("edge-node", "status"),
        ("edge-node", "ps"),
        ("edge-node", "--help"),
    ] {
        let words: Vec<&str> = ["--lang", "zh"].into_iter().chain(line.split(' ')).collect();
        let said = site.ask(program, &words)?.success()?;
        must(is_chinese(&said), || format!("{program} --lang zh {line} is not Chinese:\n{said}"))?;
    }
    let nodes: Result<Value, _> = serde_json::from_str(&site.hubctl(&["get", "nodes", "-o", "json"])?);
    must(nodes.is_ok_and(|nodes| nodes.to_string().contains(NODE)), || "hubctl get nodes -o json is no JSON".into())
}

fn is_chinese(text: &str) -> bool {
    text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
}

/// Exit codes as documented, and the error's code behind its text, in both languages.
fn how_commands_end(site: &Site) -> Result<(), Failure> {
    for (program, line, code) in [
        ("hubctl", "get nodes nobody", 3),
        ("hubctl", "describe deployment nothing", 3),
        ("hubctl", "deploy sample@9.9.9 -n demo-node", 3),
        ("hubctl", "get potatoes", 2),
        ("hubctl", "wait --for ripe deployment/sample", 2),
        ("hubctl", "wait --for disconnected node/demo-node --timeout 1s", 6),
        ("hubctl", "--server https://127.0.0.1:1 get nodes", 4),
        ("edge-node", "logs nothing", 3),
        ("edge-node", "stop sample nothing", 3),
        ("edge-node", "frobnicate", 2),
        ("edge-node", "--socket /nonexistent/node.sock ps", 7),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let said = site.ask(program, &words)?;
        must(said.code == code && !said.err.is_empty(), || format!("{said:?}: {code} was expected"))?;
        let words: Vec<&str> = ["--lang", "zh"].into_iter().chain(line.split(' ')).collect();
        let said = site.ask(program, &words)?;
        must(said.code == code && is_chinese(&said.err), || format!("{said:?}: {code} and Chinese were expected"))?;
    }
    Ok(())
}

/// What is stopped on site stays so through a reboot, until it is started on site; restart is one service's business.
async fn stop_and_start(site: &mut Site) -> Result<(), Failure> {
    steady(site)?;
    site.edge_node(&["stop", "sample"])?;
    becomes(site, "sample", "stopped").await?;
    site.power_off_node();
    site.containerd.restart().await;
    site.start_node().await?;
    becomes(site, "steady", "running").await?; // By now sample would run, too.
    let sample = becomes(site, "sample", "stopped").await?;
    let pids = sample["services"].as_array().into_iter().flatten().filter(|service| service["pid"] != 0).count();
    must(pids == 0, || format!("stopped, and yet: {sample}"))?;
    site.edge_node(&["start", "sample"])?;
    becomes(site, "sample", "running").await?;
    site.answers_as("2.0.0", LONG).await?;
    let before = running(site, "sample").await?;
    site.edge_node(&["restart", "sample", "web"])?;
    let web = |all: &[Process]| all.iter().find(|process| process.service == "web").cloned();
    let after = wait_for("another web", LONG, async || processes(site, "sample").ok().filter(|now| web(now) != web(&before)));
    let (after, others) =
        (after.await?, |all: &[Process]| all.iter().filter(|p| p.service != "web").cloned().collect::<Vec<_>>());
    must(others(&after) == others(&before), || format!("more than web changed: from {before:?} to {after:?}"))?;
    site.answers_as("2.0.0", LONG).await.map(drop)
}

/// A revoked node is cut off within 5 s; its apps run on.
async fn revoked(site: &Site) -> Result<(), Failure> {
    site.online(LONG).await?;
    let before = running(site, "sample").await?;
    let begin = Instant::now();
    site.hubctl(&["node", "revoke", NODE])?;
    let offline = async || (site.status().ok()?["hub"]["online"] == false).then_some(());
    wait_for("the end of the session", Duration::from_secs(5), offline).await?;
    println!("revoked: the session ended within {:?}", begin.elapsed());
    // The link is tried again and refused: the node says why.
    let told = async || site.status().ok()?["hub"]["trouble"]["code"].as_str().map(str::to_owned);
    let code = wait_for("why there is no link", LONG, told).await?;
    must(!code.is_empty(), || "no reason".into())?;
    must(processes(site, "sample")? == before, || "the apps of a revoked node changed".into())?;
    let node = site.hubctl(&["get", "nodes", NODE, "-o", "json"])?;
    must(node.contains("\"revoked\": true") || node.contains("\"revoked\":true"), || format!("not revoked: {node}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_join_is_told_why() {
    let lane = Lane::enrolled().await;
    let told = joins(&lane.site);
    lane.end(told);
}

fn joins(site: &Site) -> Result<(), Failure> {
    let (first, second) = (site.token("other")?, site.token("third")?);
    let changed = |change: &dyn Fn(&JoinToken) -> JoinToken| first.parse().map(|token| change(&token).to_string()).unwrap();
    let named = |name: &str| Name::new(name).unwrap();
    let wrong = changed(&|token| JoinToken::new(token.hub(), token.node().clone(), [9; 16], token.ca()).unwrap());
    let hub = changed(&|token| JoinToken::new("https://127.0.0.1:1", token.node().clone(), [9; 16], token.ca()).unwrap());
    let impostor = {
        let ca = shared::id::Digest::of(b"another CA");
        changed(&|token| JoinToken::new(token.hub(), token.node().clone(), [9; 16], ca).unwrap())
    };
    // The secret stands behind the name, so that only a name of the same length leaves the rest as it is.
    let foreign = renamed(&second, "third", "fifth");
    must(foreign.parse::<JoinToken>().is_ok_and(|token| *token.node() == named("fifth")), || "not renamed".into())?;
    let elsewhere = |token: &str, dir: &str| {
        let dir = site.dir.join(dir).display().to_string();
        site.ask_to_join(token, &["--state-dir", &dir])
    };
    let expect = |said: Said, code: i32, fault: &str| {
        must(said.code == code && said.err.contains(fault), || format!("{said:?}: {code} and {fault} were expected"))
    };
    expect(elsewhere("hunter2", "a")?, 2, "trust-token-not-one")?;
    expect(elsewhere(&first[..first.len() - 7], "a")?, 2, "trust-token-damaged")?;
    expect(elsewhere(&hub, "a")?, 7, "trust-join-unreachable")?;
    expect(elsewhere(&impostor, "a")?, 4, "trust-join-impostor")?;
    expect(elsewhere(&wrong, "a")?, 4, "trust-join-refused")?;
    expect(elsewhere(&foreign, "a")?, 4, "trust-join-refused")?;
    must(!site.dir.join("a/identity").exists(), || "a refused join left an identity".into())?;
    expect(site.ask_to_join(&first, &[])?, 5, "trust-already-joined")?;
    elsewhere(&first, "b")?.success()?;
    expect(elsewhere(&first, "c")?, 4, "trust-join-refused")?;
    expect(elsewhere(&second, "b")?, 5, "trust-already-joined")?;
    elsewhere(&second, "d")?.success().map(drop)
}

/// A token whose name of a node is another one; everything else stays as it is.
fn renamed(token: &str, from: &str, to: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let (prefix, body) = token.split_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(body).unwrap();
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    format!("{prefix}.{}", URL_SAFE_NO_PAD.encode(bytes))
}

#[tokio::test(flavor = "multi_thread")]
async fn undeploying_removes_containers_and_keeps_volumes() {
    let lane = Lane::enrolled().await;
    let told = undeploys(&lane.site).await;
    lane.end(told);
}

async fn undeploys(site: &Site) -> Result<(), Failure> {
    site.publish(&Version::new("1.0.0"))?;
    deploy_and_wait(site, "sample@1.0.0")?;
    site.answers_as("1.0.0", LONG).await?;
    for _ in 0..3 {
        site.get("/").await.ok_or("the page does not answer")?;
    }
    let counted = count(&site.answers_as("1.0.0", LONG).await?);
    must(counted >= 3, || format!("counted {counted}"))?;
    let before = running(site, "sample").await?;
    site.hubctl(&["undeploy", "sample"])?;
    site.hubctl(&["wait", "--for", "deleted", "deployment/sample", "--timeout", LONG_TEXT])?;
    wait_for("the app to leave", LONG, async || site.app("sample").is_err().then_some(())).await?;
    for process in &before {
        must(began(process.pid) != Some(process.began), || format!("{process:?} runs on"))?;
    }
    wait_for("the shims to leave", LONG, async || site.containerd.shims().is_empty().then_some(())).await?;
    must(site.get("/status").await.is_none(), || "the page still answers".into())?;
    deploy_and_wait(site, "sample@1.0.0")?;
    let again = count(&site.answers_as("1.0.0", LONG).await?);
    must(again >= counted, || format!("the counter fell from {counted} to {again}"))
}
