//! A site without a link: what the hub wants comes on a stick, and what the node says goes back on it.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use scenarios::demo::{Failure, NODE, Site, Version, wait_for};
use tokio::net::TcpStream;

use super::{LONG, LONG_TEXT, Lane, accepted, deploy, must, running};

/// A large layer, so that there is something to interrupt.
const BALLAST: usize = 24 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_site_without_a_link_is_supplied_by_hand() {
    let mut lane = Lane::new().await;
    let told = by_hand(&mut lane.site).await;
    lane.end(told);
}

async fn by_hand(site: &mut Site) -> Result<(), Failure> {
    // The node knows the gate by a port where nobody listens.
    site.told =
        TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).map_err(|error| error.to_string())?.port();
    site.open_hub().await?;
    join(site)?;
    site.start_node().await?;
    first(site).await?;
    second(site).await?;
    receipts(site).await?;
    the_link_has_nothing_to_add(site).await
}

fn stick(site: &Site, name: &str) -> (PathBuf, String) {
    let path = site.dir.join(name);
    let text = path.display().to_string();
    (path, text)
}

/// The node never meets the hub: its request is carried there, and the answer back.
fn join(site: &Site) -> Result<(), Failure> {
    let token = site.token(NODE)?;
    let ((request, request_text), (answer_path, answer)) = (stick(site, "node.request"), stick(site, "node.answer"));
    let said = site.ask_to_join(&token, &["--request", &request_text])?.success()?;
    must(said.contains("hubctl answer-join"), || said.clone())?;
    let seen = std::fs::read_to_string(&request).map_err(|error| error.to_string())?;
    must(!seen.contains(&token), || "the request holds the token".into())?;
    let early = site.ask("edge-node", &["join", "--answer", &request_text, "--lang", "zh"])?;
    must(early.code == 1 && early.err.contains("[trust-not-a-join-answer]"), || early.err.clone())?;
    let nowhere = site.ask("hubctl", &["answer-join", &request_text, "--to", "/nowhere/at/all"])?;
    must(nowhere.code == 1, || "an answer without a place used the token".into())?;
    let said = site.hubctl(&["answer-join", &request_text, "--to", &answer])?;
    must(said.contains(&format!("edge-node join --answer {answer}")), || said.clone())?;
    // The stick was pulled too early: who asks the same gets the same.
    let first = std::fs::read(&answer_path).map_err(|error| error.to_string())?;
    std::fs::remove_file(&answer_path).map_err(|error| error.to_string())?;
    site.hubctl(&["answer-join", &request_text, "--to", &answer])?;
    must(std::fs::read(&answer_path).is_ok_and(|again| again == first), || "another answer to the same request".into())?;
    let said = site.edge_node(&["join", "--answer", &answer])?;
    must(said.contains(NODE), || said.clone())
}

/// The first version comes on the stick, while there is no hub.
async fn first(site: &mut Site) -> Result<(), Failure> {
    let (path, bundle) = stick(site, "first.bundle");
    site.publish(&Version { ballast: BALLAST, ..Version::new("1.0.0") })?;
    deploy(site, "sample@1.0.0")?;
    let said = site.hubctl(&["export", NODE, "--to", &bundle])?;
    must(said.contains("edge-node import"), || said.clone())?;
    site.kill_hub();
    let whole = std::fs::read(&path).map_err(|error| error.to_string())?;
    let (cut, cut_text) = stick(site, "cut.bundle");
    std::fs::write(cut, &whole[..whole.len() / 2]).map_err(|error| error.to_string())?;
    let refused = site.ask("edge-node", &["import", &cut_text, "--lang", "zh"])?;
    must(refused.code == 1 && refused.err.contains("[bundle-short]") && refused.err.contains("不完整"), || {
        refused.err.clone()
    })?;
    must(accepted(site)? == (0, 0), || "a bundle that was cut changed something".into())?;
    let said = site.edge_node(&["import", &bundle])?;
    must(said.contains("The stick can be pulled"), || said.clone())?;
    std::fs::remove_file(path).map_err(|error| error.to_string())?;
    site.answers_as("1.0.0", LONG).await.map(drop)
}

/// The second one as a difference, with the daemon killed in the middle.
async fn second(site: &mut Site) -> Result<(), Failure> {
    site.start_hub().await?;
    site.publish(&Version { ballast: BALLAST, ..Version::new("2.0.0") })?;
    deploy(site, "sample@2.0.0")?;
    let (whole, delta) = (stick(site, "whole.bundle"), stick(site, "delta.bundle"));
    site.hubctl(&["export", NODE, "--to", &whole.1])?;
    site.hubctl(&["export", NODE, "--to", &delta.1, "--have", "sample@1.0.0"])?;
    site.kill_hub();
    let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |meta| meta.len());
    must(size(&delta.0) < size(&whole.0), || format!("{} is not less than {}", size(&delta.0), size(&whole.0)))?;
    for moment in [20, 150, 400, 900] {
        let mut import = site.start("edge-node", &["import", &delta.1])?;
        tokio::time::sleep(Duration::from_millis(moment)).await;
        site.kill_node();
        drop(import.wait());
        site.start_node().await?;
        wait_for("the page of either version", LONG, async || site.get("/status").await).await?;
    }
    site.edge_node(&["import", &delta.1])?;
    site.answers_as("2.0.0", LONG).await.map(drop)
}

/// What the node says goes back; merged twice, it counts once.
async fn receipts(site: &mut Site) -> Result<(), Failure> {
    let (_, file) = stick(site, "node.receipt");
    wait_for("the report", LONG, async || site.app("sample").ok().filter(|app| app["phase"] == "running")).await?;
    site.edge_node(&["receipts", "--to", &file])?;
    site.start_hub().await?;
    let said = site.hubctl(&["import-receipts", &file])?;
    must(said.contains("the report was taken") && !said.contains(" 0 new"), || said.clone())?;
    let again = site.hubctl(&["import-receipts", &file])?;
    must(again.contains(" 0 new events"), || again.clone())?;
    let shown = site.hubctl(&["describe", "node", NODE])?;
    must(shown.contains("2.0.0") && shown.contains("running"), || shown.clone())?;
    let events = site.hubctl(&["get", "events", "--node", NODE, "--limit", "1000"])?;
    must(events.contains("The stick can be pulled"), || events.clone())?;
    must(events.matches("The node daemon").count() == 5, || events.clone())
}

/// The link comes at last: hub and node agree at once, and nothing is fetched or started again.
async fn the_link_has_nothing_to_add(site: &mut Site) -> Result<(), Failure> {
    let before = running(site, "sample").await?;
    let (told, gate) = (site.told, site.gate);
    let relay = tokio::spawn(async move {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", told)).await.unwrap();
        while let Ok((mut node, _)) = listener.accept().await {
            let mut hub = TcpStream::connect(("127.0.0.1", gate)).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut node, &mut hub).await });
        }
    });
    site.kill_node();
    site.start_node().await?;
    site.online(LONG).await?;
    site.hubctl(&["wait", "--for", "in-sync", &format!("node/{NODE}"), "--timeout", LONG_TEXT])?;
    site.hubctl(&["wait", "--for", "ready", "deployment/sample", "--timeout", LONG_TEXT])?;
    let after = running(site, "sample").await?;
    relay.abort();
    must(after == before, || format!("processes changed from {before:?} to {after:?}"))
}
