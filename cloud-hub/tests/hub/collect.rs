//! Releases that are taken back, and what goes from the disk then.

use std::collections::BTreeSet;
use std::fs::File;
use std::future::{Future, poll_fn};
use std::path::Path;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use cloud_hub::collect::{CollectError, Freed};
use cloud_hub::os::system_clock;
use reqwest::{Method, StatusCode};
use serde_json::json;
use shared::id::Digest;
use shared::release::Release;
use shared::report::{AppReport, Good, Phase};
use shared::time::UnixMillis;

use crate::flow::eventually;
use crate::node::{FakeNode, enroll, report, running};
use crate::world::{World, release, sample, signed};

const DAY: u64 = 24 * 3600;

/// The names of the files below a directory of the state.
pub fn files(state: &Path, below: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left = vec![state.join(below)];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                left.push(entry.path());
            } else {
                found.insert(entry.file_name().into_string().unwrap());
            }
        }
    }
    found
}

fn blobs(world: &World) -> BTreeSet<String> {
    files(&world.state(), "blobs/sha256")
}

/// Version `version` of `web`; all versions have a layer in common.
fn web(version: &str) -> Release {
    release("web", version, vec![images(version).expected()])
}

fn images(version: &str) -> crate::samples::Sample {
    use crate::samples;
    use shared::release::Compression;
    let base = samples::tar(&[("base", b"the same")]);
    let text: Vec<u8> = version.bytes().cycle().take(100_000).collect();
    samples::image("linux/amd64", &[(Compression::None, base), (Compression::Gzip, samples::tar(&[("app", &text)]))])
}

fn blobs_of(versions: &[&str]) -> BTreeSet<String> {
    versions.iter().flat_map(|version| images(version).blobs()).map(|bytes| Digest::of(&bytes).hex()).collect()
}

fn packs_of(versions: &[&str]) -> BTreeSet<String> {
    let layers = versions.iter().flat_map(|version| images(version).expected().layers);
    layers.flat_map(|layer| ["pack", "files"].map(|ending| format!("{}.{ending}", layer.tar.digest.hex()))).collect()
}

async fn publish(world: &World, version: &str) {
    world.publisher().await;
    world.upload(&images(version)).await;
    let (status, value) = world.bytes(Method::POST, "/api/v1/releases", signed(&web(version))).await;
    assert!(status.is_success(), "{value}");
}

async fn unpublish(world: &World, version: &str) -> (u16, String) {
    let (status, value) = world.call(Method::DELETE, &format!("/api/v1/releases/web@{version}"), None).await;
    (status.as_u16(), value["code"].as_str().unwrap_or_default().to_owned())
}

/// The same hub a day after it was begun anew, which passes only when it is asked to: its own pass is behind it, and was too
/// early to remove anything.
async fn settled(world: World) -> World {
    let world = world.restarted(|_| {}).await;
    world.get("/api/v1/releases").await;
    assert_eq!(world.running.hub.collect().await.unwrap(), Freed::default());
    world.pass(DAY + 60);
    world
}

/// Waits until these layers are packed.
async fn packed(world: &World, versions: &[&str]) {
    for _ in 0..400 {
        if files(&world.state(), "packs") == packs_of(versions) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?}", files(&world.state(), "packs"));
}

#[tokio::test]
async fn a_release_that_is_taken_back_leaves_the_disk_and_the_others_stay() {
    let world = World::new().await;
    world.pass(DAY + 60);
    for version in ["1", "2"] {
        publish(&world, version).await;
    }
    packed(&world, &["1", "2"]).await;
    assert_eq!(unpublish(&world, "1").await, (204, String::new()));
    assert_eq!(unpublish(&world, "1").await, (404, "hub-release-not-found".into()));
    let listed = world.get("/api/v1/releases").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    let freed = world.running.hub.collect().await.unwrap();
    assert_eq!((freed.blobs, blobs(&world)), (0, blobs_of(&["1", "2"])), "somebody may be about to publish what just came");
    packed(&world, &["2"]).await;

    let world = settled(world).await;
    let freed = world.running.hub.collect().await.unwrap();
    assert_eq!(blobs(&world), blobs_of(&["2"]));
    let bytes: u64 = images("1")
        .blobs()
        .iter()
        .filter(|bytes| !blobs_of(&["2"]).contains(&Digest::of(bytes).hex()))
        .map(|bytes| bytes.len() as u64)
        .sum();
    assert_eq!((freed.blobs, freed.packs, freed.bytes), (3, 0, bytes));
    assert_eq!(world.running.hub.collect().await.unwrap(), Freed::default());
    let figures = world.get("/metrics").await;
    for line in ["causeway_hub_collected_total 3\n".to_owned(), format!("causeway_hub_collected_bytes_total {bytes}\n")] {
        assert!(figures.as_str().unwrap().contains(&line), "{line} {figures}");
    }
    let events = world.get("/api/v1/events").await.to_string();
    assert!(events.contains("hub-unpublished"), "{events}");

    // The version means what it meant.
    let other = release("web", "1", vec![sample("other", "linux/amd64").expected()]);
    world.upload(&sample("other", "linux/amd64")).await;
    let (status, value) = world.bytes(Method::POST, "/api/v1/releases", signed(&other)).await;
    assert_eq!((status, value["code"].as_str().unwrap()), (StatusCode::CONFLICT, "hub-version-taken"));
    publish(&world, "1").await;
    assert_eq!(world.get("/api/v1/releases/web@1").await["status"]["deployments"], json!([]));
}

#[tokio::test]
async fn what_a_deployment_or_a_node_may_ask_for_is_not_taken_back() {
    let world = World::new().await;
    for version in ["1", "2", "3"] {
        publish(&world, version).await;
    }
    let identity = enroll(&world, "n1").await;
    world.deploy("d", "1", &["n1"]).await;
    assert_eq!(unpublish(&world, "1").await, (409, "hub-release-deployed".into()));
    world.deploy("d", "2", &["n1"]).await;
    assert_eq!(unpublish(&world, "1").await, (409, "hub-release-way-back".into()));
    world.deploy("d", "3", &["n1"]).await;

    let [one, three] = ["1", "3"].map(|version| Digest::of(&web(version).to_bytes()));
    let mut node = FakeNode::connect(world.running.gate, &identity, &world.ca).await.unwrap();
    let good = |release| Some(Good { release, version: String::new() });
    let says = |sequence, release, phase, good| {
        report(sequence, 3, Some(AppReport { wanted: three, phase, good, ..running("web", release, "") }))
    };
    let reports = [
        (1, one, Phase::Fetching, None, "fetching"),
        (2, three, Phase::Starting, good(one), "starting"),
        (3, one, Phase::Undone, good(one), "undone"),
    ];
    for (sequence, release, phase, good, shown) in reports {
        node.say(&says(sequence, release, phase, good)).await;
        eventually(&world, "/api/v1/nodes/n1", |node| node["status"]["apps"][0]["phase"] == shown).await;
        assert_eq!(unpublish(&world, "1").await, (409, "hub-release-on-nodes".into()), "{shown}");
    }
    node.say(&says(5, three, Phase::Running, good(three))).await;
    eventually(&world, "/api/v1/nodes/n1", |node| node["status"]["apps"][0]["phase"] == "running").await;
    assert_eq!(unpublish(&world, "1").await.0, 204);
    // It cannot be deployed any more, and the way back to it is no way.
    let (status, value) = world.post("/api/v1/deployments/d/rollback", json!({"to": "1"})).await;
    assert_eq!((status, value["code"].as_str().unwrap()), (StatusCode::NOT_FOUND, "hub-release-not-found"));

    let body = json!({"app": "web", "release": "2", "target": {"nodes": ["n1"]}, "prefetch": true});
    let (status, value) = world.call(Method::PUT, "/api/v1/deployments/p", Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{value}");
    assert_eq!(unpublish(&world, "2").await, (409, "hub-release-deployed".into()));
    let viewer = world.post("/api/v1/api-tokens", json!({"name": "v", "role": "viewer"})).await.1["token"].clone();
    let path = "/api/v1/releases/web@2";
    assert_eq!(world.call_as(viewer.as_str().unwrap(), Method::DELETE, path, None).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_publish_finds_what_was_there_when_it_began() {
    let world = World::new().await;
    let versions = ["1", "2", "3", "4", "5", "6"];
    for version in versions {
        publish(&world, version).await;
    }
    let world = settled(world).await;
    for version in versions {
        assert_eq!(unpublish(&world, version).await.0, 204);
    }
    // Half of them are published anew while the disk is swept: what is there is not sent again.
    let collecting = async {
        for _ in 0..20 {
            world.running.hub.collect().await.unwrap();
        }
    };
    let publishing = async {
        for version in ["1", "3", "5"] {
            for bytes in images(version).blobs() {
                let path = format!("{}/api/v1/blobs/{}", world.base, Digest::of(&bytes));
                let head = world.http.head(&path).bearer_auth(&world.token).send().await.unwrap();
                if head.status() != StatusCode::OK {
                    world.bytes(Method::PUT, &format!("/api/v1/blobs/{}", Digest::of(&bytes)), bytes).await;
                }
            }
            let (status, value) = world.bytes(Method::POST, "/api/v1/releases", signed(&web(version))).await;
            assert_eq!(status, StatusCode::CREATED, "{value}");
        }
    };
    tokio::join!(collecting, publishing);
    assert_eq!(blobs(&world), blobs_of(&["1", "3", "5"]));
}

/// Sets the time of all blobs back.
fn age_blobs(state: &Path, by: Duration) {
    for hex in files(state, "blobs/sha256") {
        let file = File::open(state.join("blobs/sha256").join(&hex[..2]).join(hex)).unwrap();
        file.set_modified(SystemTime::now() - by).unwrap();
    }
}

#[tokio::test]
async fn a_hub_on_a_store_that_is_new_or_older_removes_nothing_for_a_day() {
    let world = World::new().await;
    publish(&world, "1").await;
    let world = world
        .restarted(|state| {
            age_blobs(state, Duration::from_secs(30 * DAY));
            std::fs::rename(state.join("hub.redb"), state.join("hub.redb.aside")).unwrap();
        })
        .await;
    for seconds in [0, DAY - 60] {
        world.pass(seconds);
        assert_eq!(world.running.hub.collect().await.unwrap(), Freed::default());
        assert_eq!(blobs(&world), blobs_of(&["1"]));
    }

    // So does one on a store that is old, but was restored.
    let world = world.of_a_new_epoch(UnixMillis(system_clock()().0 + 9 * DAY * 1000)).await;
    for seconds in [DAY + 60, 9 * DAY - 120] {
        world.pass(seconds);
        assert_eq!(world.running.hub.collect().await.unwrap(), Freed::default());
        assert_eq!(blobs(&world), blobs_of(&["1"]));
    }
    world.pass(120);
    assert_eq!(world.running.hub.collect().await.unwrap().blobs as usize, blobs_of(&["1"]).len());
    assert_eq!(blobs(&world), BTreeSet::new());
}

#[tokio::test]
async fn one_file_that_cannot_go_does_not_keep_the_others() {
    let world = World::new().await;
    world.pass(DAY + 60);
    publish(&world, "1").await;
    packed(&world, &["1"]).await;
    let stays = Digest::from_bytes([0; 32]).hex();
    let world = world
        .restarted(|state| {
            age_blobs(state, Duration::from_secs(DAY));
            // What has the name of a blob and is none, and what somebody left there.
            let strange = state.join("blobs/sha256/00").join(&stays);
            std::fs::create_dir_all(&strange).unwrap();
            File::open(&strange).unwrap().set_modified(SystemTime::now() - Duration::from_secs(DAY)).unwrap();
            std::fs::write(state.join("blobs/sha256/notes.txt"), b"mine").unwrap();
        })
        .await;
    world.pass(DAY + 60);
    assert_eq!(unpublish(&world, "1").await.0, 204);
    assert!(matches!(world.running.hub.collect().await, Err(CollectError::Blobs(_))));
    assert_eq!(blobs(&world), BTreeSet::from(["notes.txt".to_owned()]));
    packed(&world, &[]).await;
}

/// Polls a future so many times and drops it; whether it came to its end.
async fn cut<T>(polls: usize, work: impl Future<Output = T>) -> bool {
    let (mut work, mut left) = (Box::pin(work), polls);
    poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        work.as_mut().poll(context).map(|_| true)
    })
    .await
}

#[tokio::test]
async fn a_pass_that_was_cut_anywhere_leaves_what_is_needed_and_the_next_one_ends_it() {
    let mut world = World::new().await;
    let versions = ["1", "2", "3", "4"];
    for version in versions {
        publish(&world, version).await;
    }
    packed(&world, &versions).await;
    for version in ["1", "2", "4"] {
        assert_eq!(unpublish(&world, version).await.0, 204);
    }
    world = settled(world).await;
    let (all, needed) = (blobs(&world), blobs_of(&["3"]));
    let (mut polls, mut halfway) = (0, false);
    while !cut(polls, world.running.hub.collect()).await {
        let left = blobs(&world);
        assert!(left.is_superset(&needed), "after {polls} steps");
        assert!(files(&world.state(), "packs").is_superset(&packs_of(&["3"])), "after {polls} steps");
        halfway |= left != all && left != needed;
        polls += 1;
        if polls % 10 == 0 {
            world = settled(world).await;
        }
    }
    assert!(halfway, "no pass was cut on its way, in {polls} steps");
    assert_eq!(blobs(&world), needed);
    assert_eq!(files(&world.state(), "packs"), packs_of(&["3"]));
}
