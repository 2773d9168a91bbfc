//! After the machine went down under the daemon.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use shared::fault::Faulty;
use shared::release::Compression;

use super::desk::*;
use super::images::*;

/// A file that one unpacked layer has, wherever the snapshotter has it.
async fn unpacked_file(desk: &Desk, name: &str) -> PathBuf {
    let mut found = unpacked_files(desk, name).await;
    assert_eq!(found.len(), 1, "of several layers: {found:?}");
    found.remove(0)
}

/// The same file of all layers that have it; attempts that were cut off leave some.
async fn unpacked_files(desk: &Desk, name: &str) -> Vec<PathBuf> {
    let snapshots = desk.images.root().await.unwrap().join("snapshots");
    let all = std::fs::read_dir(snapshots).unwrap().map(|entry| entry.unwrap().path().join("fs").join(name));
    all.filter(|path| path.is_file()).collect()
}

/// Changes the last byte and nothing else that can be seen.
fn rot(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn after_the_machine_went_down_nothing_damaged_is_ready_and_packs_mend_it() {
    let mut desk = desk(OVERLAYFS).await;
    let made = three_layers();
    let sharing = make(&[(lower(), Compression::Gzip), (upper(), Compression::None)], |_| {});
    desk.bring(&made).await.unwrap();
    desk.bring(&sharing).await.unwrap();
    let before = desk.tree(&desk.client, OVERLAYFS, &made.image).await;
    let both = BTreeSet::from([made.image.id(), sharing.image.id()]);
    let doubtful = desk.dir.path().join("doubtful");

    // Empty files, as after a power cut: seen before anything starts. A layer that is shared is mended once.
    std::fs::write(unpacked_file(&desk, "etc/owned").await, b"").unwrap();
    std::fs::remove_file(unpacked_file(&desk, "bin/sh").await).unwrap();
    desk.reboot();
    let seen = desk.images.unpacked().await.unwrap();
    assert_eq!((&seen.images, &seen.doubtful), (&BTreeSet::new(), &both));
    desk.images.verify(&made.image, now()).await.unwrap();
    desk.images.verify(&sharing.image, now()).await.unwrap();
    let seen = desk.images.unpacked().await.unwrap();
    assert_eq!((&seen.images, &seen.damaged), (&BTreeSet::new(), &both));
    assert_eq!(seen.layers.len(), 2, "the two that are damaged need their packs");
    desk.images.unpack(&made.image, now()).await.unwrap();
    assert_eq!(desk.images.unpacked().await.unwrap().images, both);
    assert_eq!(desk.tree(&desk.client, OVERLAYFS, &made.image).await, before);
    desk.settled(&doubtful).await;

    // Other bytes in the same places: found in the background, over a restart of the daemon.
    rot(&unpacked_file(&desk, "bin/busybox").await);
    desk.reboot();
    desk.images.verify(&made.image, now()).await.unwrap();
    desk.images = desk.life(false);
    assert_eq!(desk.images.unpacked().await.unwrap().doubtful, both, "still in doubt");
    desk.images.verify(&made.image, now()).await.unwrap();
    desk.images.verify(&sharing.image, now()).await.unwrap();
    while desk.images.unpacked().await.unwrap().damaged.is_empty() {
        assert!(doubtful.exists());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    desk.images.unpack(&made.image, now()).await.unwrap();
    assert_eq!(desk.tree(&desk.client, OVERLAYFS, &made.image).await, before);
    desk.settled(&doubtful).await;

    // What containerd has of the documents.
    for blob in [made.image.manifest, made.image.config] {
        let content = desk.private.root().join("io.containerd.content.v1.content/blobs/sha256");
        std::fs::write(content.join(blob.digest.hex()), b"").unwrap();
        desk.reboot();
        desk.images.verify(&made.image, now()).await.unwrap();
        assert_eq!(desk.images.config(made.image.id()).await.unwrap().config.cmd, ["/bin/sh"]);
    }

    // Neither pack nor document: it says so, is fetched again, and mended.
    std::fs::write(unpacked_file(&desk, "etc/owned").await, b"").unwrap();
    desk.content.packs.sweep(&BTreeSet::new(), &BTreeSet::new()).unwrap();
    desk.reboot();
    desk.images.verify(&made.image, now()).await.unwrap();
    assert_eq!(desk.images.unpack(&made.image, now()).await.unwrap_err().fault().code, "image-layer-unknown");
    assert!(desk.images.unpacked().await.unwrap().damaged.contains(&made.image.id()));
    desk.bring(&made).await.unwrap();
    assert_eq!(desk.tree(&desk.client, OVERLAYFS, &made.image).await, before);
}

/// Layers that were unpacked and never became an image count only after they are verified.
#[tokio::test]
async fn layers_left_by_a_power_cut_are_not_believed() {
    let mut desk = desk(OVERLAYFS).await;
    let made = three_layers();
    desk.fetch(&made).await;
    let mut limit = Duration::from_millis(1);
    while desk.images.unpacked().await.unwrap().layers.len() < 2 {
        limit += Duration::from_millis(2);
        drop(tokio::time::timeout(limit, desk.images.unpack(&made.image, now())).await);
    }
    for path in unpacked_files(&desk, "bin/busybox").await {
        std::fs::write(path, b"").unwrap();
    }
    desk.reboot();
    let error = desk.images.unpack(&made.image, now()).await.unwrap_err();
    assert_eq!(error.fault().code, "node-image-damaged", "others may run on the layer");
    desk.images.unpack(&made.image, now()).await.unwrap();
    let fresh = self::desk(OVERLAYFS).await;
    fresh.bring(&made).await.unwrap();
    let [a, b] = [&desk, &fresh].map(|desk| desk.tree(&desk.client, OVERLAYFS, &made.image));
    assert_eq!(a.await, b.await);
}

/// They would keep everything in doubt, so that each life of the daemon verified all images anew.
#[tokio::test]
async fn layers_left_by_a_power_cut_do_not_keep_the_doubt_alive() {
    let mut desk = desk(OVERLAYFS).await;
    let (made, whole) = (three_layers(), make(&[(lower(), Compression::Gzip), (upper(), Compression::None)], |_| {}));
    desk.fetch(&made).await;
    let mut limit = Duration::from_millis(1);
    while desk.images.unpacked().await.unwrap().layers.len() < 2 {
        limit += Duration::from_millis(2);
        drop(tokio::time::timeout(limit, desk.images.unpack(&made.image, now())).await);
    }
    desk.bring(&whole).await.unwrap();
    desk.reboot();
    desk.images.remove_orphans().await.unwrap();
    let seen = desk.images.unpacked().await.unwrap();
    assert_eq!((seen.layers.len(), seen.doubtful), (2, [whole.image.id()].into()), "those of the image");
    desk.images.verify(&whole.image, now()).await.unwrap();
    desk.settled(&desk.dir.path().join("doubtful")).await;
    desk.images.remove_orphans().await.unwrap();
    desk.images.unpack(&made.image, now()).await.unwrap();
    assert_eq!(desk.images.unpacked().await.unwrap().images, [made.image.id(), whole.image.id()].into());
}

/// containerd takes over what it has under a digest, whole or not: what is brought again would stay what it was.
#[tokio::test]
async fn documents_that_are_damaged_here_and_there_are_written_again() {
    let mut desk = desk(OVERLAYFS).await;
    let made = three_layers();
    desk.bring(&made).await.unwrap();
    let before = desk.tree(&desk.client, OVERLAYFS, &made.image).await;
    let content = desk.private.root().join("io.containerd.content.v1.content/blobs/sha256");
    for blob in [made.image.manifest, made.image.config] {
        let place = content.join(blob.digest.hex());
        let mut bytes = std::fs::read(&place).unwrap();
        bytes[0] ^= 1;
        std::fs::write(&place, bytes).unwrap();
        desk.content.blobs.remove(blob.digest).unwrap();
        desk.reboot();
        desk.images.verify(&made.image, now()).await.unwrap();
        assert!(desk.images.unpacked().await.unwrap().damaged.contains(&made.image.id()));
        desk.bring(&made).await.unwrap();
        assert_eq!(desk.images.config(made.image.id()).await.unwrap().config.cmd, ["/bin/sh"]);
        desk.collect().await;
        assert_eq!(desk.tree(&desk.client, OVERLAYFS, &made.image).await, before);
    }
}
