//! F12: the node's disk is full to the last byte while it works.

use std::time::{Duration, Instant};

use scenarios::demo::{Failure, Site, Version, wait_for};
use scenarios::disk::Disk;
use serde_json::Value;

use super::{LONG, Lane, Process, accepted, deploy, deploy_and_wait, must, running, steady};

/// Of the node's disk: what images leave free, and some.
const SIZE: u64 = 640 << 20;
/// A node that finds room again works as before within this time.
const NORMAL: Duration = Duration::from_secs(30);
/// Enough for all of the reserve, when somebody takes what each of them leaves.
const COMMANDS: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_neither_apps_nor_decisions_and_nobody_has_to_mend_it() {
    let mut lane = Lane::new().await;
    let dir = lane.site.dir.clone();
    let disk = Disk::new(&dir, SIZE, &[dir.join("node")]).unwrap();
    let told = filled(&mut lane.site, &disk).await;
    lane.site.power_off_node();
    drop(disk);
    lane.shows("F12", 1, "a disk full to the last byte: decisions are taken and kept, no restart, normal by itself", told);
}

async fn filled(site: &mut Site, disk: &Disk) -> Result<(), Failure> {
    site.open_hub().await?;
    site.enrol().await?;
    site.publish(&Version::new("1.0.0"))?;
    deploy_and_wait(site, "sample@1.0.0")?;
    site.publish(&Version::new("2.0.0"))?;
    let before = steady(site)?;
    let df = site.edge_node(&["df"])?;
    must(df.contains("for when the disk is full"), || df)?;

    disk.fill()?;
    decisions_are_taken_and_kept(site, &before).await?;
    the_reserve_ends(site, disk).await?;
    what_it_says_is_what_it_has(site, disk, &before).await?;
    let freed = Instant::now();
    disk.free()?;
    it_is_as_before(site, &before).await?;
    println!("normal {:.1} s after there was room", freed.elapsed().as_secs_f64());
    must(freed.elapsed() < NORMAL, || format!("normal only after {:?}", freed.elapsed()))
}

async fn decisions_are_taken_and_kept(site: &mut Site, before: &[Process]) -> Result<(), Failure> {
    let was = accepted(site)?;
    deploy(site, "sample@2.0.0")?;
    let newer = async || accepted(site).ok().filter(|now| *now > was);
    let newest = wait_for("the new state to be accepted", LONG, newer).await?;
    site.edge_node(&["stop", "sample"])?;
    site.kill_node();
    site.start_node().await?;
    must(accepted(site)? == newest, || format!("{:?} is left of {newest:?}", accepted(site)))?;
    wait_for("sample to stop", LONG, async || is_stopped(site).then_some(())).await?;
    wait_for("the reserve's fault", LONG, async || faults(site).contains("node-state-reserve-used").then_some(())).await?;
    must(site.edge_node(&["events"])?.contains("kept for the node's state"), || "no event says it".into())?;
    must(running(site, "steady").await? == before, || "the steady app changed".into())
}

/// Whatever a command leaves of what it was given, somebody takes.
async fn the_reserve_ends(site: &Site, disk: &Disk) -> Result<(), Failure> {
    let mut taken = 0;
    for n in 0..COMMANDS {
        disk.fill()?;
        let said = site.ask("edge-node", &[["start", "stop"][n % 2], "sample"])?;
        taken += usize::from(said.code == 0);
        must(said.code == 0 || said.err.contains("node-state-disk-full"), || format!("{said:?}"))?;
    }
    println!("{taken} of {COMMANDS} commands were taken");
    wait_for("an end of the reserve", LONG, async || faults(site).contains("\"left\":\"0 B\"").then_some(())).await
}

/// Not a byte is left anywhere. Whether the node still takes a decision depends on its file; it has all it says it has.
async fn what_it_says_is_what_it_has(site: &mut Site, disk: &Disk, before: &[Process]) -> Result<(), Failure> {
    disk.fill()?;
    let was = accepted(site)?;
    deploy(site, "sample@1.0.0")?;
    let told = async || (accepted(site).ok()? > was || faults(site).contains("node-state-disk-full")).then_some(());
    wait_for("the new state, or why not", LONG, told).await?;
    let holds = accepted(site)?;
    site.kill_node();
    disk.fill()?;
    site.start_node().await?;
    must(accepted(site)? == holds, || format!("{:?} is left of {holds:?}", accepted(site)))?;
    must(running(site, "steady").await? == before, || "the steady app changed".into())?;
    let log = std::fs::read_to_string(site.dir.join("node.log")).map_err(|error| error.to_string())?;
    must(!log.contains("panicked"), || "the daemon panicked".into())
}

async fn it_is_as_before(site: &Site, before: &[Process]) -> Result<(), Failure> {
    wait_for("an end of the faults", LONG, async || (faults(site) == "[]").then_some(())).await?;
    site.edge_node(&["start", "sample"])?;
    site.answers_as("1.0.0", LONG).await?;
    must(site.edge_node(&["events"])?.contains("There is room on the disk again"), || "no event says it".into())?;
    must(running(site, "steady").await? == before, || "the steady app changed".into())
}

/// No process of the sample app runs.
fn is_stopped(site: &Site) -> bool {
    let services = site.app("sample").map(|app| app["services"].as_array().cloned().unwrap_or_default());
    services.is_ok_and(|services| !services.is_empty() && services.iter().all(|service| service["pid"] == 0))
}

/// Of the node as a whole.
fn faults(site: &Site) -> String {
    site.status().map_or_else(|failure| failure, |status| status.get("faults").map(Value::to_string).unwrap_or_default())
}
