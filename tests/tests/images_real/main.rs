//! Images on a real, private containerd: what our unpacker makes is what containerd's own makes, and nothing that
//! happens on the way leaves anything behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod desk;
mod doubt;
mod images;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use edge_node::budget::Ledger;
use edge_node::clock::Clock;
use edge_node::images::fetch::{Present, fetch};
use edge_node::images::memory::Memory;
use edge_node::runtime::RuntimeError;
use edge_node::runtime::containerd::client::Client;
use edge_node::runtime::containerd::lease::Lease;
use shared::fault::Faulty;
use shared::id::Digest;
use shared::oci::chain_ids;
use shared::recipe::Recipe;
use shared::recipe::pack::PackWriter;
use shared::release::Compression;

use self::desk::*;
use self::images::*;

#[tokio::test]
async fn the_tree_is_the_one_that_containerd_makes() {
    let desk = desk(OVERLAYFS).await;
    let made = three_layers();
    desk.bring(&made).await.unwrap();
    assert!(desk.images.root().await.is_some_and(|root| root.is_dir()), "where layers are unpacked");
    let unpacked = desk.images.unpacked().await.unwrap();
    assert_eq!(unpacked.images, BTreeSet::from([made.image.id()]));
    assert_eq!(unpacked.layers, chain_ids(&made.image.diff_ids()).into_iter().collect());
    assert_eq!(desk.content.patches.sweep(&BTreeSet::new()).unwrap(), 0, "no patch is kept");

    let other = format!("{}-ctr", desk.private.namespace());
    let path = desk.dir.path().join("image.tar");
    archive(&made, &path);
    desk.ctr(&other, &["images", "import", path.to_str().unwrap()]);
    let theirs = Client::connect(&desk.private.socket(), &other).await.unwrap();
    let (ours, theirs) =
        (desk.tree(&desk.client, OVERLAYFS, &made.image).await, desk.tree(&theirs, OVERLAYFS, &made.image).await);
    assert_eq!(ours, theirs);
    assert!(ours.len() > 15, "{ours:#?}");
    for (path, there) in [("etc/gone", false), ("etc/kept", true), ("cache/old", false), ("cache/new", true), ("big", true)] {
        assert_eq!(ours.contains_key(Path::new(path)), there, "{path}");
    }
    assert!(ours[Path::new("bin/capable")].contains("security.capability"), "{ours:#?}");

    let config = desk.images.config(made.image.id()).await.unwrap();
    assert_eq!(config.config.cmd, ["/bin/sh"]);
    let name = format!("causeway/{}", made.image.id().hex());
    let script = "cat /etc/kept; busybox stat -c ' %u:%g %a' /etc/owned; ls /cache";
    let run = ["run", "--rm", &name, "reader", "/bin/busybox", "sh", "-c", script];
    assert_eq!(desk.ctr(desk.private.namespace(), &run), "kept 1234:2345 6755\nnew\n");
    let labels = desk.ctr(desk.private.namespace(), &["images", "ls"]);
    assert!(!labels.contains("restart"), "no label of the image reaches containerd: {labels}");
}

#[tokio::test]
async fn unpacking_goes_on_after_being_cut_off_anywhere() {
    let mut desk = desk(OVERLAYFS).await;
    let made = three_layers();
    desk.fetch(&made).await;
    let mut limit = Duration::from_millis(1);
    let (mut cuts, mut failures) = (0, 0);
    loop {
        match tokio::time::timeout(limit, desk.images.unpack(&made.image, now())).await {
            Ok(Ok(())) => break,
            Ok(Err(RuntimeError::Unreachable(_))) | Err(_) => {}
            // What a killed containerd left half-made is in its own way, until it has cleared up.
            Ok(Err(error)) => {
                failures += 1;
                assert!(failures < 20, "{error}");
            }
        }
        limit += Duration::from_millis(4);
        cuts += 1;
        if cuts % 5 == 0 {
            // containerd dies as well, with the daemon's calls under way
            let unpacking = tokio::spawn({
                let (images, image) = (desk.images.clone(), made.image.clone());
                async move { images.unpack(&image, now()).await }
            });
            tokio::time::sleep(limit).await;
            desk.private.kill();
            drop(unpacking.await.unwrap());
            desk.private.restart().await;
        }
    }
    assert!(cuts > 0);
    let fresh = self::desk(OVERLAYFS).await;
    fresh.bring(&made).await.unwrap();
    let [a, b] = [&desk, &fresh].map(|desk| desk.tree(&desk.client, OVERLAYFS, &made.image));
    assert_eq!(a.await, b.await);
    desk.collect().await;
    assert_eq!(desk.snapshots(OVERLAYFS).len(), 3, "{cuts} cuts leave nothing: {:?}", desk.snapshots(OVERLAYFS));
    assert_eq!(desk.directories(), 3);
}

#[tokio::test]
async fn layers_other_than_signed_are_refused_and_leave_nothing() {
    let desk = desk(OVERLAYFS).await;
    let layers = [(lower(), Compression::Gzip), (middle(), Compression::Zstd)];
    let other = make(&layers, |layers| {
        layers[1].tar.digest = Digest::of(b"something else");
        layers[1].recipe = Recipe::of(b"something else").id();
    });
    // A source that says so is refused while it is fetched; a pack that says so, however it came, while it is unpacked.
    let (none, progress) = (Present::default(), tokio::sync::watch::Sender::default());
    let error = fetch(&other.memory, &desk.content, &other.image, &none, &Ledger::unlimited(Clock::system()), &progress)
        .await
        .unwrap_err();
    assert_eq!(error.fault().code, "image-patch-unfit");
    let signed = other.image.layers[1].tar;
    let mut lie = PackWriter::new(Vec::new()).unwrap();
    lie.put(&middle()).unwrap();
    std::fs::write(desk.content.packs.path(signed.digest), lie.finish(signed).unwrap()).unwrap();
    let error = desk.bring(&other).await.unwrap_err();
    assert_eq!(error.fault().code, "image-layer-differs");
    desk.collect().await;
    assert_eq!(desk.snapshots(OVERLAYFS), Vec::<String>::new());
    assert_eq!(desk.directories(), 0);
    assert_eq!(desk.images.unpacked().await.unwrap().images, BTreeSet::new());
    assert!(!desk.content.packs.has(other.image.layers[1].tar.digest), "what makes another layer is not kept");
    // A release that contradicts itself gets as far as a pack, and no further.
    let torn = make(&layers, |layers| layers[1].tar.digest = Digest::of(b"something else"));
    assert_eq!(desk.bring(&torn).await.unwrap_err().fault().code, "image-layer-differs");
    assert!(!desk.content.packs.has(torn.image.layers[1].tar.digest));
    // The documents must say what was signed, too.
    let mut made = three_layers();
    made.image.layers.pop();
    assert_eq!(desk.bring(&made).await.unwrap_err().fault().code, "image-documents-differ");

    // A pack that was damaged on this disk is thrown away, and fetched again.
    let made = three_layers();
    desk.fetch(&made).await;
    let path = desk.content.packs.path(made.image.layers[1].tar.digest);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = desk.images.unpack(&made.image, now()).await.unwrap_err();
    assert_eq!(error.fault().code, "image-pack-damaged");
    assert!(!path.exists());
    desk.bring(&made).await.unwrap();
}

#[tokio::test]
async fn images_share_layers_and_removal_frees_what_nobody_needs() {
    let desk = desk(OVERLAYFS).await;
    let base = (lower(), Compression::Gzip);
    let a = make(&[base.clone(), (middle(), Compression::Gzip)], |_| {});
    let b = make(&[base, (upper(), Compression::Zstd)], |_| {});
    desk.fetch(&a).await;
    desk.fetch(&b).await;
    // Side by side, twice each, while garbage is collected all the time.
    let collecting = tokio::spawn({
        let client = desk.client.clone();
        async move {
            loop {
                let lease = Lease::take(&client, "garbage".into(), now()).await.unwrap();
                lease.release(&client).await.unwrap();
            }
        }
    });
    let unpack = |made: &Made| {
        let (images, image) = (desk.images.clone(), made.image.clone());
        async move { images.unpack(&image, now()).await }
    };
    let all = tokio::join!(unpack(&a), unpack(&b), unpack(&a), unpack(&b));
    collecting.abort();
    assert!(all.0.is_ok() && all.1.is_ok() && all.2.is_ok() && all.3.is_ok(), "{all:?}");
    desk.collect().await;
    assert_eq!((desk.snapshots(OVERLAYFS).len(), desk.directories()), (3, 3));

    let before = desk.tree(&desk.client, OVERLAYFS, &b.image).await;
    desk.images.remove(a.image.id()).await.unwrap();
    assert_eq!((desk.snapshots(OVERLAYFS).len(), desk.directories()), (2, 2));
    assert_eq!(desk.tree(&desk.client, OVERLAYFS, &b.image).await, before);
    desk.images.remove(b.image.id()).await.unwrap();
    desk.images.remove(b.image.id()).await.unwrap();
    assert_eq!((desk.snapshots(OVERLAYFS).len(), desk.directories()), (0, 0));
    assert_eq!(desk.ctr(desk.private.namespace(), &["content", "ls", "-q"]), "");

    // The packs are still there: nothing of a layer is asked for again.
    let bare = Made { memory: Memory::default(), ..b.clone() };
    let Made { mut memory, image, blobs } = bare;
    for blob in blobs.iter().filter(|blob| blob.len() < 4096) {
        memory.insert(blob.clone());
    }
    desk.bring(&Made { memory, image, blobs }).await.unwrap();
    assert_eq!(desk.tree(&desk.client, OVERLAYFS, &b.image).await, before);
}

#[tokio::test]
async fn a_snapshotter_without_overlay_goes_through_containerd() {
    let direct = desk(OVERLAYFS).await;
    let native = desk("native").await;
    let made = three_layers();
    direct.bring(&made).await.unwrap();
    native.bring(&made).await.unwrap();
    let ours = native.tree(&native.client, "native", &made.image).await;
    let same = direct.tree(&direct.client, OVERLAYFS, &made.image).await;
    assert_eq!(ours.keys().collect::<Vec<_>>(), same.keys().collect::<Vec<_>>());
    for path in ["etc/owned", "cache/new", "big", "tree", "bin/capable", "etc"] {
        assert_eq!(ours[Path::new(path)], same[Path::new(path)], "{path}");
    }
    native.collect().await;
    let content = native.ctr(native.private.namespace(), &["content", "ls", "-q"]);
    assert_eq!(content.lines().count(), 2, "manifest and config stay, layers do not: {content}");
}

#[tokio::test]
async fn writes_into_the_content_store_go_on_where_they_stopped() {
    let desk = desk("native").await;
    let made = three_layers();
    desk.fetch(&made).await;
    let mut limit = Duration::from_millis(1);
    loop {
        limit += Duration::from_millis(7);
        match tokio::time::timeout(limit, desk.images.unpack(&made.image, now())).await {
            Ok(Ok(())) => break,
            // The write that was cut off may still hold its name for a moment.
            Ok(Err(RuntimeError::Unreachable(_))) | Err(_) => {}
            Ok(Err(error)) => panic!("{error}"),
        }
    }
    desk.collect().await;
    assert_eq!(desk.snapshots("native").len(), 3);
}
