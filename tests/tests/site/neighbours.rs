//! Nodes of one site: a layer comes over the site's link about once, and with the hub gone from one node to the other.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use scenarios::demo::{Failure, NODE, Site, Version, program, wait_for};
use serde_json::Value;

use super::{LONG, LONG_TEXT, Lane, deploy, must};

/// Most of the image.
const BALLAST: usize = 24 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_one_site_share_images() {
    let mut lane = Lane::enrolled().await;
    let told = share(&mut lane.site).await;
    lane.end(told);
}

/// A further node of the site. Its containers exist in memory only; its images are real.
struct Further {
    name: &'static str,
    dir: PathBuf,
    daemon: Option<Child>,
}

impl Further {
    /// `near` is its own address of this machine: no connection from here takes its port.
    fn join(site: &Site, name: &'static str, near: &str) -> Result<Self, Failure> {
        let dir = site.dir.join(name);
        std::fs::create_dir(&dir).map_err(|error| error.to_string())?;
        let at = dir.display();
        let config = format!(
            "state_dir = \"{at}/state\"\nrun_dir = \"{at}/run\"\n\n[runtime]\nkind = \"memory\"\n\n[neighbours]\naddress = \"{near}:7448\"\n"
        );
        let token = dir.join("token");
        std::fs::write(dir.join("node.toml"), config).map_err(|error| error.to_string())?;
        std::fs::write(&token, site.token(name)?).map_err(|error| error.to_string())?;
        let node = Self { name, dir, daemon: None };
        let mut join = node.command(&["join", "-"]);
        join.stdin(File::open(token).map_err(|error| error.to_string())?);
        node.success(join)?;
        Ok(node)
    }

    async fn start(&mut self) -> Result<(), Failure> {
        let log = File::create(self.dir.join("log")).map_err(|error| error.to_string())?;
        let mut daemon = self.command(&["run"]);
        daemon.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.daemon = Some(daemon.spawn().map_err(|error| error.to_string())?);
        wait_for("its local API", LONG, async || self.ask(&["status"]).ok().map(drop)).await
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = program("edge-node");
        command.env("LANG", "en_US.UTF-8").env("CAUSEWAY_CONFIG", self.dir.join("node.toml"));
        command.env("CAUSEWAY_SOCKET", self.dir.join("run/node.sock")).args(args);
        command
    }

    fn ask(&self, args: &[&str]) -> Result<String, Failure> {
        self.success(self.command(args))
    }

    fn success(&self, mut command: Command) -> Result<String, Failure> {
        let done = command.output().map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if done.status.success() { Ok(text(&done.stdout)) } else { Err(format!("{}: {}", self.name, text(&done.stderr))) }
    }

    /// Bytes of images that its link carried today.
    fn over_link(&self) -> Result<u64, Failure> {
        over_link(&self.ask(&["status", "-o", "json"])?)
    }

    async fn phase(&self, version: &str, phase: &str) -> Result<(), Failure> {
        wait_for(&format!("{version} {phase} at {}", self.name), LONG, async || {
            let apps: Value = serde_json::from_str(&self.ask(&["ps", "-o", "json"]).ok()?).ok()?;
            let app = apps.as_array()?.iter().find(|app| app["app"] == "sample")?;
            (app["version"] == version && app["phase"] == phase).then_some(())
        })
        .await
        .map_err(|failure| format!("{failure}\n{}", std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()))
    }
}

impl Drop for Further {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            drop(daemon.kill());
            drop(daemon.wait());
        }
    }
}

fn over_link(status: &str) -> Result<u64, Failure> {
    let status: Value = serde_json::from_str(status).map_err(|error| error.to_string())?;
    status.pointer("/carried/today/images").and_then(Value::as_u64).ok_or_else(|| format!("nothing counted: {status}"))
}

async fn share(site: &mut Site) -> Result<(), Failure> {
    let (mut second, mut third) = (Further::join(site, "second", "127.0.0.2")?, Further::join(site, "third", "127.0.0.3")?);
    second.start().await?;
    third.start().await?;
    wait_for("two neighbours each", LONG, async || {
        let asked = [site.edge_node(&["neighbours"]), second.ask(&["neighbours"]), third.ask(&["neighbours"])];
        let names = [NODE, second.name, third.name];
        let knows_two = |shown: &String| names.into_iter().filter(|name| shown.contains(name)).count() == 2;
        asked.iter().all(|shown| shown.as_ref().is_ok_and(knows_two)).then_some(())
    })
    .await?;
    about_once(site, &second, &third).await?;
    without_the_hub(site, &second, &third).await
}

/// Three nodes want the same at the same moment.
async fn about_once(site: &mut Site, second: &Further, third: &Further) -> Result<(), Failure> {
    let image = site.publish(&Version { ballast: BALLAST, ..Version::new("1.0.0") })? as u64;
    site.hubctl(&["deploy", "sample@1.0.0", "-l", "site=demo", "--wait", "--timeout", LONG_TEXT])?;
    site.answers_as("1.0.0", LONG).await?;
    let sum = over_link(&site.edge_node(&["status", "-o", "json"])?)? + second.over_link()? + third.over_link()?;
    println!("an image of {image} bytes for three nodes: {sum} bytes came over the link");
    must(sum < image + image / 4, || format!("{sum} bytes over the link for an image of {image}"))
}

/// One of them hears what it shall run and gets no byte of it, before the hub goes away.
async fn without_the_hub(site: &mut Site, second: &Further, third: &Further) -> Result<(), Failure> {
    third.ask(&["pause"])?;
    let before = third.over_link()?;
    site.publish(&Version { ballast: BALLAST, ..Version::new("2.0.0") })?;
    deploy(site, "sample@2.0.0")?;
    site.answers_as("2.0.0", LONG).await?;
    second.phase("2.0.0", "running").await?;
    site.hubctl(&["wait", "--for", "in-sync", &format!("node/{}", third.name), "--timeout", LONG_TEXT])?;
    site.kill_hub();
    third.ask(&["resume"])?;
    third.phase("2.0.0", "running").await?;
    let cost = third.over_link()?.saturating_sub(before);
    must(cost < 64 << 10, || format!("{cost} bytes over a link that is down"))
}
