//! From a manifest to a release.

use std::sync::atomic::Ordering;

use serde_json::Value;
use shared::release::Compression;

use crate::proxy::Proxy;
use crate::registry::Registry;
use crate::samples::{self, Sample};
use crate::shell::{Shell, pin};
use crate::world::World;

/// Bytes that do not compress.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    })
    .take(size)
    .collect()
}

fn sample(size: usize) -> Sample {
    let tar = samples::tar(&[("bin/app", noise(size).as_slice())]);
    samples::image("linux/amd64", &[(Compression::Gzip, tar), (Compression::None, samples::tar(&[("v", b"1")]))])
}

fn manifest(version: &str) -> String {
    format!(
        "apiVersion: causeway/v1\nkind: App\nmetadata: {{name: web, version: {version}}}\nspec:\n  services:\n    \
         web: {{image: 'registry.example/web:1', restart: always, environment: {{PRICE: '5$$'}}}}\n    db: {{image: 'registry.example/web:1', restart: always}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_published_once_and_a_version_means_one_thing() {
    let world = World::new().await;
    let shell = Shell::of(&world).await;
    let archive = shell.file("web.tar", samples::archive(&samples::layout(&[&sample(100_000)])));
    let file = shell.file("app.yaml", manifest("1.0.0"));
    let (web, db) = (format!("web={archive}"), format!("db={archive}"));
    let publish = ["publish", file.as_str(), "--image", &web, "--image", &db];

    let said = shell.run(&publish).await;
    assert!(said.out.starts_with("Published web@1.0.0 as sha256:"), "{said:?}");
    assert!(said.err.contains("uploading"), "{said:?}");
    let again = shell.run(&publish).await;
    assert!(again.out.contains("was published before") && again.err.contains("4 blobs are at the hub already"), "{again:?}");
    let quiet = shell.run(&[&publish[..], &["-q", "-o", "name"]].concat()).await;
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("release/web@1.0.0\n", ""));

    let release = shell.run(&["get", "release", "web@1.0.0", "-o", "json"]).await.ok();
    let release: Value = serde_json::from_str(&release).unwrap();
    assert_eq!(release["status"]["signedBy"], serde_json::json!(["team"]));
    assert_eq!(release["spec"]["images"]["db"][0]["platform"], "linux/amd64");
    let text = shell.run(&["describe", "release/web@1.0.0"]).await.ok();
    assert!(text.contains("Signed by:"), "{text}");
    let shown = shell.file("shown.yaml", text.split_once("Manifest:\n").unwrap().1);
    let again = shell.run(&["publish", &shown, "--image", &web, "--image", &db]).await.ok();
    assert!(again.contains("was published before"), "what describe shows is the same manifest: {again}");

    // Other content under the same version.
    let other = shell.file("other.tar", samples::archive(&samples::layout(&[&sample(50_000)])));
    let (web, db) = (format!("web={other}"), format!("db={other}"));
    shell.run(&["publish", &file, "--image", &web, "--image", &db]).await.failed(5, "hub-version-taken");

    // A key the hub does not know.
    let stranger = shell.path("stranger.key");
    shell.run(&["keygen", "--file", &stranger]).await.ok();
    shell.run(&["keygen", "--file", &stranger]).await.failed(1, "cli-key-exists");
    shell.run(&[&publish[..], &["--version", "2", "--key", &stranger]].concat()).await.failed(1, "hub-publisher-unknown");
    shell.run(&[&publish[..], &["--key", "/nowhere/key"]].concat()).await.failed(1, "cli-key-missing");
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_with_their_place_before_anything_is_sent() {
    // No hub at all: everything here is found on this machine.
    let shell = Shell::new();
    let publish = async |text: &str, more: &[&str]| {
        let file = shell.file("app.yaml", text);
        shell.run(&[&["publish", &file, "--dry-run"], more].concat()).await
    };
    let bad = publish(
        "apiVersion: causeway/v1\nkind: App\nmetadata: {name: web, version: 1}\nspec:\n  services:\n    web: {imgae: x}\n",
        &[],
    )
    .await;
    assert_eq!(bad.code, 1);
    assert!(bad.err.contains("app.yaml:6:11: imgae is not supported") && bad.out.is_empty(), "{bad:?}");
    let compose = "services: {web: {image: 'r.example/web:${TAG}', restart: always}}\n";
    let unset = publish(compose, &["--name", "web", "--version", "1"]).await.failed(1, "manifest-variable-unset");
    assert!(unset.err.contains("app.yaml:1:25"), "{unset:?}");
    let good = publish(compose, &["--name", "web", "--version", "1", "--set", "TAG=7"]).await;
    assert!(good.out.contains("image: r.example/web:7\n"), "{good:?}");
    assert!(good.err.contains("web@1 could be published"), "{good:?}");
    publish(compose, &["--set", "TAG"]).await.failed(2, "cli-bad-pair");
    publish(&manifest("1"), &["--image", "cache=x"]).await.failed(2, "cli-unknown-service");
    publish(&manifest("1"), &["--platform", "amd64"]).await.failed(2, "cli-bad-platform");
    let broken = shell.file("broken.tar", noise(5000));
    assert_eq!(publish(&manifest("1"), &["--image", &format!("web={broken}")]).await.code, 1);
    publish(&manifest("1"), &["--image", "web=./none.tar"]).await;
    shell.run(&["publish", "no-such-file.yaml"]).await.failed(1, "cli-file-failed");
    let configs = "apiVersion: causeway/v1\nkind: App\nmetadata: {name: web, version: 1}\nspec:\n  services: {web: {image: 'x:1', configs: [a]}}\n  configs: {a: {file: a.conf}}\n";
    assert_eq!(publish(configs, &[]).await.code, 1);
    shell.file("a.conf", "listen 80");
    assert!(publish(configs, &[]).await.ok().contains("content: listen 80\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_where_the_network_broke() {
    let world = World::new().await;
    let shell = Shell::of(&world).await;
    let archive = shell.file("web.tar", samples::archive(&samples::layout(&[&sample(6 << 20)])));
    let file = shell.file("app.yaml", manifest("1.0.0"));
    // Four connections break after 2.5 MB each; the next ones hold.
    let proxy = Proxy::new(world.running.api, 4, 2_500_000).await;
    let broken = shell.with("CAUSEWAY_SERVER", &format!("https://{}", proxy.address));
    let broken = broken.with("CAUSEWAY_CA_FINGERPRINT", &pin(&world)).with("CAUSEWAY_TOKEN", &world.token);
    let (web, db) = (format!("web={archive}"), format!("db={archive}"));
    let said = broken.run(&["publish", &file, "--image", &web, "--image", &db]).await;
    assert!(said.out.starts_with("Published web@1.0.0"), "{said:?}");
    assert!(proxy.connections.load(Ordering::SeqCst) >= 3, "it was cut");
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hub_fetches_references() {
    let world = World::new().await;
    let shell = Shell::of(&world).await;
    let Some(registry) = Registry::start(None).await else {
        world.running.stop().await;
        return;
    };
    registry.push("team/web", "1", &[&sample(100_000)]).await;
    let reference = registry.reference("team/web:1");
    let file = shell.file("app.yaml", manifest("1.0.0").replace("registry.example/web:1", &reference));
    let said = shell.run(&["publish", &file, "--platform", "linux/amd64"]).await;
    assert!(said.out.starts_with("Published web@1.0.0"), "{said:?}");
    assert!(said.err.contains("hub fetches"), "{said:?}");
    let none = shell.run(&["publish", &file, "--platform", "linux/s390x", "--version", "2"]).await;
    assert_eq!(none.code, 1, "{none:?}");
    let gone = shell.run(&["publish", &file, "--image", &format!("web={}", registry.reference("none:1"))]).await;
    assert_eq!(gone.code, 1, "{gone:?}");
    assert!(gone.err.contains("[image-") || gone.err.contains("[hub-"), "{gone:?}");
    world.running.stop().await;
}
