//! The story of the demo, step by step.

use std::time::Duration;

use super::{Failure, NODE, Row, Site, Version, step, wait_for};

const MINUTE: Duration = Duration::from_secs(60);

pub(super) async fn all(site: &mut Site, rows: &mut Vec<Row>) -> Result<(), Failure> {
    step(rows, "hub starts", hub(site)).await?;
    step(rows, "node joins", join(site)).await?;
    step(rows, "publish 1.0.0", async { publish(site, "1.0.0", true) }).await?;
    step(rows, "deploy 1.0.0", deploy(site, "1.0.0")).await?;
    let counted = step(rows, "it answers", count(site)).await?;
    step(rows, "publish 2.0.0", async { publish(site, "2.0.0", true) }).await?;
    step(rows, "switch to 2.0.0", switch(site, counted)).await?;
    step(rows, "lights out", lights_out(site)).await?;
    let pids = step(rows, "back without the hub", back(site, counted)).await?;
    step(rows, "hub returns", hub_returns(site, &pids)).await?;
    step(rows, "publish bad 3.0.0", async { publish(site, "3.0.0", false) }).await?;
    step(rows, "3.0.0 is undone", undone(site)).await
}

async fn hub(site: &mut Site) -> Result<((), String), Failure> {
    site.open_hub().await?;
    Ok(((), "own CA, admin token made at first start, a publisher key of ours".into()))
}

async fn join(site: &mut Site) -> Result<((), String), Failure> {
    site.enrol().await?;
    Ok(((), "one outbound MQTT connection, TLS 1.3 with certificates on both sides".into()))
}

fn publish(site: &Site, version: &str, healthy: bool) -> Result<((), String), Failure> {
    let size = site.publish(&Version { healthy, ..Version::new(version) })?;
    Ok(((), format!("signed by the publisher; image of {:.1} MB, every digest checked", size as f64 / 1e6)))
}

async fn deploy(site: &Site, version: &str) -> Result<((), String), Failure> {
    site.hubctl(&["deploy", &format!("sample@{version}"), "-l", "site=demo", "--wait", "--timeout", "90s"])?;
    site.answers_as(version, MINUTE).await?;
    Ok(((), "web after healthy counter, each in its own container on the node's bridge".into()))
}

async fn count(site: &Site) -> Result<(u64, String), Failure> {
    for _ in 0..3 {
        site.get("/").await.ok_or("the page does not answer")?;
    }
    let count = counter(site, "1.0.0").await?;
    Ok((count, format!("http://127.0.0.1:{}/ counts to {count} on a volume", site.page)))
}

async fn counter(site: &Site, version: &str) -> Result<u64, Failure> {
    let status = site.answers_as(version, MINUTE).await?;
    status.get("count").and_then(serde_json::Value::as_u64).filter(|count| *count > 0).ok_or(format!("no count in {status}"))
}

async fn switch(site: &Site, counted: u64) -> Result<((), String), Failure> {
    site.hubctl(&["deploy", "sample@2.0.0", "-l", "site=demo", "--wait", "--timeout", "90s"])?;
    let count = counter(site, "2.0.0").await?;
    if count < counted {
        return Err(format!("the counter fell from {counted} to {count}"));
    }
    let travelled = site.travelled()?;
    Ok(((), format!("{travelled}; the old version ran until the new one was on disk; the counter still says {count}")))
}

async fn lights_out(site: &mut Site) -> Result<((), String), Failure> {
    site.kill_hub();
    site.power_off_node();
    match site.get("/status").await {
        None => Ok(((), "hub, containers, daemon and containerd are gone".into())),
        Some(_) => Err("something still answers".into()),
    }
}

async fn back(site: &mut Site, counted: u64) -> Result<(Vec<(String, u64)>, String), Failure> {
    site.containerd.restart().await;
    site.start_node().await?;
    let count = counter(site, "2.0.0").await?;
    if count < counted {
        return Err(format!("the counter fell from {counted} to {count}"));
    }
    let pids =
        wait_for("both services", MINUTE, async || site.pids().ok().filter(|pids| pids.iter().all(|(_, pid)| *pid != 0))).await?;
    Ok((pids, format!("2.0.0 runs with no hub and no network; the counter still says {count}")))
}

async fn hub_returns(site: &mut Site, before: &[(String, u64)]) -> Result<((), String), Failure> {
    site.start_hub().await?;
    site.online(MINUTE).await?;
    site.hubctl(&["wait", "--for", "ready", "deployment/sample", "--timeout", "60s"])?;
    let after = site.pids()?;
    if after != before {
        return Err(format!("processes changed from {before:?} to {after:?}"));
    }
    Ok(((), format!("agreed again; 0 of {} services restarted (same process ids)", after.len())))
}

async fn undone(site: &Site) -> Result<((), String), Failure> {
    site.hubctl(&["deploy", "sample@3.0.0", "-l", "site=demo"])?;
    wait_for("the undo", 2 * MINUTE, async || {
        let apps = site.apps().ok()?;
        (apps.pointer("/0/phase")?.as_str()? == "undone").then_some(())
    })
    .await?;
    site.answers_as("2.0.0", MINUTE).await?;
    let why = wait_for("the report at the hub", MINUTE, async || {
        let text = site.hubctl(&["describe", "node", NODE]).ok()?;
        text.contains("health check").then_some(())
    });
    why.await?;
    Ok(((), "never healthy, so the node went back to 2.0.0 by itself and said why".into()))
}
