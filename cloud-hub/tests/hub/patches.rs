//! How layers get to a node: as patches, made for what it has.

use reqwest::Method;
use shared::id::Digest;
use shared::recipe::apply::apply;
use shared::recipe::cut::Cutter;
use shared::recipe::pack::{Pack, PackWriter};
use shared::recipe::patch::PatchReader;
use shared::release::Compression;
use shared::report::{AppReport, Good};
use shared::wire::v1::{self, Down, Up};

use crate::node::{FakeNode, Identity, enroll, report, running};
use crate::samples::{self, Sample};
use crate::world::{World, name, release, signed};

/// The tar of a version: 1.5 MB of which a tenth is new.
fn tar(version: u64) -> Vec<u8> {
    samples::tar(&[("usr/lib/same", &samples::noise(1, 1_350_000)), ("usr/bin/app", &samples::noise(100 + version, 150_000))])
}

fn sample(version: u64) -> Sample {
    samples::image("linux/amd64", &[(Compression::None, samples::tar(&[("base", b"b")])), (Compression::Gzip, tar(version))])
}

async fn publish(world: &World, app: &str, version: u64) {
    world.publisher().await;
    let sample = sample(version);
    for bytes in sample.blobs() {
        world.bytes(Method::PUT, &format!("/api/v1/blobs/{}", Digest::of(&bytes)), bytes).await;
    }
    let release = release(app, &version.to_string(), vec![sample.expected()]);
    let (status, value) = world.bytes(Method::POST, "/api/v1/releases", signed(&release)).await;
    assert!(status.is_success(), "{value}");
}

fn open(bytes: Vec<u8>) -> Pack<Vec<u8>> {
    let length = bytes.len() as u64;
    Pack::open(bytes, length).unwrap()
}

fn pack(tar: &[u8]) -> Pack<Vec<u8>> {
    let mut writer = PackWriter::new(Vec::new()).unwrap();
    let mut cutter = Cutter::default();
    cutter.push(tar, |chunk| writer.put(chunk)).unwrap();
    cutter.finish(|chunk| writer.put(chunk)).unwrap();
    open(writer.finish(samples::blob(tar)).unwrap())
}

fn applied(patch: &[u8], from: &[&[u8]]) -> Vec<u8> {
    let mut packs: Vec<_> = from.iter().map(|tar| pack(tar)).collect();
    let mut made = open(apply(&mut PatchReader::new(patch).unwrap(), &mut packs, Vec::new(), &|| false).unwrap());
    let (mut tar, size) = (Vec::new(), u32::try_from(made.tar().size).unwrap());
    made.read(0, size, &mut tar).unwrap();
    tar
}

async fn ask(node: &mut FakeNode, request: u32, layer: Digest, have: &[Digest]) {
    let have = have.iter().map(|layer| *layer.as_bytes()).collect();
    node.say(&Up::PatchWanted(v1::PatchWanted { request, layer: *layer.as_bytes(), have })).await;
}

/// The answer to a request, whatever else comes before.
async fn answer(node: &mut FakeNode) -> Result<v1::Patch, v1::Fault> {
    loop {
        let message = node.hear().await.expect("alive");
        if let Down::Patch(patch) = message {
            return Ok(patch);
        }
        if let Down::NoBlob { fault, .. } = message {
            return Err(fault);
        }
    }
}

async fn wanted(node: &mut FakeNode, layer: Digest, have: &[Digest]) -> v1::Patch {
    ask(node, 5, layer, have).await;
    let patch = answer(node).await.expect("a patch");
    assert_eq!((patch.request, patch.layer), (5, *layer.as_bytes()));
    patch
}

async fn pulled(node: &mut FakeNode, patch: &v1::Patch) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < patch.size {
        let offset = bytes.len() as u64;
        node.say(&Up::Pull(v1::Pull { request: 6, blob: patch.blob, offset, length: u32::MAX })).await;
        let message = node.hear().await.expect("alive");
        if let Down::NoBlob { fault, .. } = message {
            return Err(fault.code);
        }
        if let Down::Frame(frame) = message {
            assert_eq!((frame.blob, frame.offset, frame.total), (patch.blob, offset, patch.size));
            bytes.extend(frame.data);
        }
    }
    assert_eq!(Digest::of(&bytes).as_bytes(), &patch.blob);
    Ok(bytes)
}

/// Assigns an app and hears of it.
async fn deploy(world: &World, app: &str, version: u64, nodes: &[&str]) {
    deploy_as(world, app, app, version, nodes).await;
}

async fn deploy_as(world: &World, deployment: &str, app: &str, version: u64, nodes: &[&str]) {
    let body = serde_json::json!({"app": app, "release": version.to_string(), "target": {"nodes": nodes}});
    let (status, value) = world.call(Method::PUT, &format!("/api/v1/deployments/{deployment}"), Some(body)).await;
    assert!(status.is_success(), "{value}");
}

/// What a node goes back to is at hand for it, whichever deployment brought it.
#[tokio::test]
async fn what_another_deployment_brought_counts_as_soon_as_the_node_says_that_it_is_good() {
    let world = World::new().await;
    for version in [1, 2] {
        publish(&world, "web", version).await;
    }
    publish(&world, "other", 7).await;
    let identity = enroll(&world, "n1").await;
    let mut ids = Vec::new();
    for (deployment, app, version, nodes) in
        [("fleet", "web", 1, ["n1"]), ("canary", "web", 2, ["n1"]), ("other", "other", 7, ["n2"])]
    {
        deploy_as(&world, deployment, app, version, &nodes).await;
        ids.push(Digest::of(&release(app, &version.to_string(), vec![sample(version).expected()]).to_bytes()));
    }
    let mut node = FakeNode::connect(world.running.gate, &identity, &world.ca).await.expect("session");
    let [one, two, seven] = [1, 2, 7].map(|version| Digest::of(&tar(version)));
    assert!(wanted(&mut node, two, &[one]).await.size > 1_400_000, "nobody knows yet that it has it");
    // It says that it has that of another app, too, which it was never given.
    for (sequence, good) in [(1, ids[2]), (2, ids[0])] {
        let good = Some(Good { release: good, version: String::new() });
        let app = AppReport { good, ..running("web", ids[1], "") };
        node.say(&report(sequence, 2, Some(app))).await;
        if sequence == 1 {
            ask(&mut node, 5, seven, &[]).await;
            assert_eq!(answer(&mut node).await.expect_err("never given").code, "hub-blob-not-assigned");
        }
    }
    assert!(wanted(&mut node, two, &[one]).await.size < 350_000);
    let back = wanted(&mut node, one, &[two]).await;
    let bytes = pulled(&mut node, &back).await.expect("it may have it");
    assert!(applied(&bytes, &[&tar(2)]) == tar(1));
}

#[tokio::test]
async fn a_layer_comes_as_a_patch_of_what_the_node_has() {
    let world = World::new().await;
    for version in [1, 2] {
        publish(&world, "web", version).await;
    }
    publish(&world, "other", 7).await;
    let identity = enroll(&world, "n1").await;
    let stranger = enroll(&world, "n2").await;
    deploy(&world, "web", 1, &["n1"]).await;
    deploy(&world, "web", 2, &["n1"]).await;
    deploy(&world, "other", 7, &["n2"]).await;
    let mut node = FakeNode::connect(world.running.gate, &identity, &world.ca).await.expect("session");
    let [one, two, seven] = [1, 2, 7].map(|version| Digest::of(&tar(version)));

    let warm = wanted(&mut node, two, &[one, two]).await;
    let bytes = pulled(&mut node, &warm).await.unwrap();
    assert!(warm.size < 350_000, "{}", warm.size);
    assert!(applied(&bytes, &[&tar(1)]) == tar(2));

    let cold = wanted(&mut node, two, &[]).await;
    assert!(cold.size > 1_400_000, "{}", cold.size);
    let bytes = pulled(&mut node, &cold).await.unwrap();
    assert!(applied(&bytes, &[]) == tar(2));

    let unknown: Vec<Digest> = (0..256_u32).map(|n| Digest::of(&n.to_le_bytes())).collect();
    assert_eq!(wanted(&mut node, two, &unknown).await.blob, cold.blob);
    let more: Vec<Digest> = (0..257_u32).map(|n| Digest::of(&n.to_le_bytes())).collect();
    ask(&mut node, 9, two, &more).await;
    node.hears_nothing().await;
    // An undo goes back to it.
    assert!(wanted(&mut node, one, &[two]).await.size < 350_000);

    for (what, layer) in
        [("another app's", seven), ("nobody's", Digest::of(b"?")), ("a blob, not a tar", Digest::of(&samples::gzip(&tar(2))))]
    {
        ask(&mut node, 3, layer, &[one]).await;
        assert_eq!(answer(&mut node).await.expect_err(what).code, "hub-blob-not-assigned", "{what}");
    }
    let mut other = FakeNode::connect(world.running.gate, &stranger, &world.ca).await.expect("session");
    assert_eq!(pulled(&mut other, &warm).await, Err("hub-blob-not-assigned".into()), "a patch of a layer that is not its own");
    assert!(wanted(&mut other, seven, &[two]).await.size > 1_400_000, "nor is it told what that has in common with its own");

    let figures = world.get("/metrics").await;
    assert!(figures.as_str().unwrap().contains("causeway_hub_patches_made_total 4"), "{figures}");
}

/// A node that had version 1 and shall have version 2, with the diff_ids of their layers.
async fn updated() -> (World, Identity, FakeNode, [Digest; 2]) {
    let world = World::new().await;
    for version in [1, 2] {
        publish(&world, "web", version).await;
    }
    let identity = enroll(&world, "n1").await;
    deploy(&world, "web", 1, &["n1"]).await;
    deploy(&world, "web", 2, &["n1"]).await;
    let node = FakeNode::connect(world.running.gate, &identity, &world.ca).await.expect("session");
    (world, identity, node, [1, 2].map(|version| Digest::of(&tar(version))))
}

#[tokio::test]
async fn pulls_go_on_while_patches_are_made_and_a_hundred_requests_are_one_patch() {
    let (world, _, mut node, [one, two]) = updated().await;
    for request in 0..50 {
        ask(&mut node, request, two, &[one]).await;
    }
    let manifest = Digest::of(&sample(2).manifest());
    node.say(&Up::Pull(v1::Pull { request: 77, blob: *manifest.as_bytes(), offset: 0, length: 9 })).await;
    let (mut patches, mut frame_after) = (Vec::new(), None);
    while patches.len() < 50 || frame_after.is_none() {
        let message = node.hear().await.expect("alive");
        if matches!(message, Down::Frame(_)) {
            frame_after = Some(patches.len());
        }
        if let Down::Patch(patch) = message {
            patches.push(patch);
        }
    }
    assert!(patches.iter().enumerate().all(|(n, patch)| patch.request as usize == n && patch.blob == patches[0].blob));
    let figures = world.get("/metrics").await;
    assert!(figures.as_str().unwrap().contains("causeway_hub_patches_made_total 1\n"), "{figures}");
    assert!(figures.as_str().unwrap().contains("causeway_hub_patch_cache_hits_total 49\n"), "{figures}");
}

#[tokio::test]
async fn a_transfer_goes_on_after_the_hub_began_anew() {
    let (mut world, identity, mut node, [one, two]) = updated().await;
    let before = wanted(&mut node, two, &[one]).await;
    let whole = pulled(&mut node, &before).await.unwrap();
    for is_kept in [true, false] {
        drop(node);
        world = world
            .restarted(|state| {
                if !is_kept {
                    std::fs::remove_dir_all(state.join("patches")).unwrap();
                    std::fs::remove_dir_all(state.join("packs")).unwrap();
                }
            })
            .await;
        node = FakeNode::connect(world.running.gate, &identity, &world.ca).await.expect("session");
        if is_kept {
            assert!(pulled(&mut node, &before).await.unwrap() == whole, "by its digest alone");
        }
        let after = wanted(&mut node, two, &[one]).await;
        assert_eq!((after.blob, after.size), (before.blob, before.size), "the same patch, made again");
        assert!(pulled(&mut node, &after).await.unwrap() == whole);
    }
    assert_eq!(identity.node, name("n1"));
}

/// Reads the first bytes of a patch.
async fn begun(node: &mut FakeNode, patch: &v1::Patch) {
    node.say(&Up::Pull(v1::Pull { request: 8, blob: patch.blob, offset: 0, length: 1000 })).await;
    while !matches!(node.hear().await.expect("alive"), Down::Frame(_)) {}
}

/// Waits until so many patches are held for nodes that are in the middle of them.
async fn pinned(world: &World, count: usize) {
    let line = format!("causeway_hub_patch_cache_pinned {count}\n");
    crate::flow::eventually(world, "/metrics", |figures| figures.as_str().unwrap().contains(&line)).await;
}

#[tokio::test]
async fn a_patch_is_held_while_a_node_is_in_the_middle_of_it() {
    let (world, _, mut node, [one, two]) = updated().await;
    let (warm, cold) = (wanted(&mut node, two, &[one]).await, wanted(&mut node, two, &[]).await);
    pinned(&world, 0).await;
    begun(&mut node, &warm).await;
    pinned(&world, 1).await;
    begun(&mut node, &cold).await;
    pinned(&world, 1).await;
    pulled(&mut node, &cold).await.unwrap();
    pinned(&world, 0).await;
    begun(&mut node, &warm).await;
    pinned(&world, 1).await;
    drop(node);
    pinned(&world, 0).await;
}

#[tokio::test]
async fn releases_are_compared_before_a_rollout() {
    let world = World::new().await;
    for version in [1, 2] {
        publish(&world, "web", version).await;
    }
    let text = world.get("/api/v1/releases/web@2/diff?from=web@1").await;
    let lines: Vec<serde_json::Value> = text.as_str().unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.last().unwrap();
    let platform = &last["diff"]["platforms"][0];
    assert_eq!((&last["type"], &last["diff"]["from"], &last["diff"]["to"]), (&"done".into(), &"web@1".into(), &"web@2".into()));
    let changes: Vec<&str> =
        platform["layers"].as_array().unwrap().iter().map(|layer| layer["change"].as_str().unwrap()).collect();
    assert_eq!(changes, ["unchanged", "patch"]);
    let [transfer, registry, image] = ["transfer", "registry", "image"].map(|key| platform[key].as_u64().unwrap());
    assert_eq!(registry, samples::gzip(&tar(2)).len() as u64);
    assert!(transfer < 350_000 && image > registry, "{platform}");
    for (path, status) in [
        ("/api/v1/releases/web@2/diff", 400),
        ("/api/v1/releases/web@9/diff?from=web@1", 404),
        ("/api/v1/releases/web@2/diff?from=web@9", 404),
        ("/api/v1/releases/web@2/diff?from=?", 400),
    ] {
        assert_eq!(world.call(Method::GET, path, None).await.0.as_u16(), status, "{path}");
    }
}
