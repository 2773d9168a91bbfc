//! A node with nothing to do: memory, processor time, size of its program, and what it makes the disk write.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::desk::service;
use super::figure::Goal;
use super::process::{Used, memory};
use super::{Figure, Plan};
use crate::demo::{Failure, Site, program, wait_for};
use crate::image::{Image, oci_archive};

/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// Sets everything up, waits, and measures.
pub(super) async fn measure(plan: &Plan, sample: &Image, site: &mut Site) -> Result<Vec<Figure>, Failure> {
    site.open_hub().await?;
    site.enrol().await?;
    deploy(plan, sample, site).await?;
    tokio::time::sleep(plan.settle).await;
    let (node, containerd) = (site.node_pid().ok_or("no node")?, site.containerd.pid().ok_or("no containerd")?);
    let before = (Used::by(node)?, Used::by(containerd)?);
    tokio::time::sleep(plan.idle).await;
    let (ours, theirs) = (Used::by(node)?.since(before.0), Used::by(containerd)?.since(before.1));
    let seconds = plan.idle.as_secs_f64();
    let day = |bytes: u64| bytes as f64 / 1e6 / seconds * DAY;
    let size = std::fs::metadata(PathBuf::from(program("edge-node").get_program())).map_err(|error| error.to_string())?.len();
    let sinks = sinks(site)?;
    let how = |what: &str| {
        format!("bench: {what}; edge-node run, joined to cloud-hub serve, {} containers, {seconds} s", plan.services)
    };
    let figure = |id: &str, value, unit, goal: Option<f64>, what: &str| Figure {
        id: id.into(),
        value,
        unit,
        floor: None,
        goal: goal.map(Goal::Value),
        command: how(what),
    };
    Ok(vec![
        figure("node_idle_pss_mb", memory(node)?, "MB", Some(12.0), "Pss of /proc/PID/smaps_rollup"),
        figure("log_sinks_idle_pss_mb", sinks, "MB", None, "Pss of the loggers containerd runs, together"),
        figure(
            "node_idle_cpu_s",
            ours.cpu.as_secs_f64() / seconds * 60.0,
            "s/60s",
            Some(0.1),
            "utime and stime of /proc/PID/stat",
        ),
        figure("node_binary_mb", size as f64 / 1e6, "MB", Some(10.0), "size of edge-node"),
        figure("node_idle_writes_mb_day", day(ours.written), "MB/day", Some(5.0), "write_bytes of /proc/PID/io"),
        figure("containerd_idle_writes_mb_day", day(theirs.written), "MB/day", None, "write_bytes of containerd itself"),
    ])
}

/// The loggers are processes of the node's program that containerd started, one per container.
fn sinks(site: &Site) -> Result<f64, Failure> {
    let node = site.node_pid().unwrap_or(0);
    let own = std::fs::canonicalize(program("edge-node").get_program()).map_err(|error| error.to_string())?;
    let pids = std::fs::read_dir("/proc").map_err(|error| error.to_string())?;
    let pids = pids.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let ours = pids.filter(|pid| *pid != node && std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == own));
    Ok(ours.filter_map(|pid| memory(pid).ok()).sum())
}

/// Publishes one app with many services, and waits until they all run.
async fn deploy(plan: &Plan, sample: &Image, site: &Site) -> Result<(), Failure> {
    let failed = |error: std::io::Error| error.to_string();
    let (manifest, archive) = (site.dir.join("bench.yaml"), site.dir.join("bench.tar"));
    std::fs::write(&archive, oci_archive(&[sample]).map_err(failed)?).map_err(failed)?;
    std::fs::write(&manifest, app(plan.services).to_string()).map_err(failed)?;
    let mut publish = vec!["publish".to_owned(), manifest.display().to_string()];
    for number in 0..plan.services {
        publish.extend(["--image".into(), format!("counter-{number}={}", archive.display())]);
    }
    site.hubctl(&publish.iter().map(String::as_str).collect::<Vec<_>>())?;
    site.hubctl(&["deploy", "bench@1.0.0", "-l", "site=demo", "--wait", "--timeout", "120s"])?;
    all_run(plan, site).await
}

/// Returns when every service has a process.
pub(super) async fn all_run(plan: &Plan, site: &Site) -> Result<(), Failure> {
    let all = |pids: &Vec<(String, u64)>| pids.len() == plan.services && pids.iter().all(|(_, pid)| *pid != 0);
    wait_for("every service", Duration::from_secs(60), async || site.pids().ok().filter(all)).await.map(drop)
}

/// JSON is YAML.
fn app(services: usize) -> Value {
    let services: Map<String, Value> = (0..services).map(|number| (format!("counter-{number}"), service())).collect();
    json!({
        "apiVersion": "causeway/v1", "kind": "App",
        "metadata": {"name": "bench", "version": "1.0.0"},
        "spec": {"services": services, "update": {"settle": "3s"}},
    })
}
