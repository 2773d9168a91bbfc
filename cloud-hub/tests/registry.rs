//! Pulling from a real registry (the Debian package `docker-registry`, on a port of its own on loopback), and from a
//! hostile one made here. Without the package the real part says so and is left out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stderr, clippy::panic)]

#[path = "support/hostile.rs"]
mod hostile;
#[path = "support/registry.rs"]
mod registry;
#[path = "support/samples.rs"]
mod samples;

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloud_hub::blobs::Blobs;
use cloud_hub::images::pull::{Pulled, pull};
use cloud_hub::images::{ImageError, Limits, Progress, Step, Wanted, archive, quiet};
use cloud_hub::registry::{Auth, RegistryError, Source, Transport};
use registry::Registry;
use samples::Sample;
use shared::id::Digest;
use shared::release::Compression;

fn sample(platform: &str, text: &str) -> Sample {
    // Bytes that do not compress, so that the layer is as large on the way (xorshift, Marsaglia 2003).
    let noise = std::iter::successors(Some(88_172_645_463_325_252_u64), |x| {
        let x = x ^ (x << 13);
        let x = x ^ (x >> 7);
        Some(x ^ (x << 17))
    });
    let base: Vec<u8> = noise.map(|x| x as u8).take(3_000_000).collect();
    let base = samples::tar(&[("bin/app", &base)]);
    let top = samples::tar(&[("etc/text", text.as_bytes())]);
    samples::image(platform, &[(Compression::Gzip, base), (Compression::Zstd, top.clone()), (Compression::None, top)])
}

struct Hub {
    dir: tempfile::TempDir,
    blobs: Blobs,
}

fn hub() -> Hub {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path(), 1 << 30).unwrap();
    Hub { dir, blobs }
}

impl Hub {
    async fn pull(&self, source: &Source, wanted: &Wanted) -> Result<Pulled, ImageError> {
        pull(source, wanted, &self.blobs, &Limits::default(), Arc::new(quiet)).await
    }

    fn part(&self, digest: &Digest, bytes: &[u8]) {
        std::fs::write(self.dir.path().join("blobs/parts").join(digest.hex()), bytes).unwrap();
    }
}

fn anonymous(registry: &Registry, image: &str) -> Source {
    Source::anonymous(registry.reference(image))
}

fn wanted(platform: &str) -> Wanted {
    Wanted { name: None, platforms: vec![samples::platform(platform)] }
}

#[tokio::test]
async fn a_registry_a_layout_and_an_archive_give_the_same_image() {
    let Some(registry) = Registry::start(None).await else { return };
    let hub = hub();
    let (amd64, arm64) = (sample("linux/amd64", "x"), sample("linux/arm64", "y"));
    let digest = registry.push("team/app", "1", &[&amd64, &arm64]).await;

    let events = Arc::new(Mutex::new(Vec::<Progress>::new()));
    let seen = Arc::clone(&events);
    let progress = Arc::new(move |event| seen.lock().unwrap().push(event));
    let source = anonymous(&registry, "team/app:1");
    let pulled = pull(&source, &Wanted::default(), &hub.blobs, &Limits::default(), progress).await.unwrap();
    assert_eq!(pulled.images, [amd64.expected(), arm64.expected()]);
    assert_eq!(pulled.reference, registry.reference(&format!("team/app@{digest}")));
    for image in [&amd64, &arm64] {
        for bytes in image.blobs() {
            assert!(hub.blobs.has(&Digest::of(&bytes)).await.unwrap());
        }
    }
    let ends = |step| events.lock().unwrap().iter().filter(|event| event.step == step && event.done == event.total).count();
    assert!(ends(Step::Fetch) >= 6 && ends(Step::Check) >= 4);

    let dir = tempfile::tempdir().unwrap();
    samples::write(&samples::layout(&[&amd64, &arm64]), dir.path());
    let layout = archive::read(dir.path(), &Wanted::default(), dir.path(), &Limits::default(), &quiet).unwrap();
    assert_eq!(layout.images, pulled.images);

    let pinned = hub.pull(&Source::anonymous(&pulled.reference), &wanted("linux/arm64")).await.unwrap();
    assert_eq!(pinned.images, [arm64.expected()]);
    let single = registry.push("team/single", "1", &[&amd64]).await;
    assert_eq!(single, amd64.expected().id());
    assert_eq!(hub.pull(&anonymous(&registry, "team/single:1"), &Wanted::default()).await.unwrap().images, [amd64.expected()]);
}

#[tokio::test]
async fn what_skopeo_exports_is_what_the_registry_holds() {
    let Some(registry) = Registry::start(None).await else { return };
    let plain = samples::image("linux/amd64", &[(Compression::Gzip, samples::tar(&[("a", b"1"), ("b", &[2; 9000])]))]);
    registry.push("app", "1", &[&plain]).await;
    let dir = tempfile::tempdir().unwrap();
    let from = format!("docker://{}", registry.reference("app:1"));
    let export = |form: &str| {
        let to = format!("{form}:{}", dir.path().join(form).display());
        let to = if form == "docker-archive" { format!("{to}:app:1") } else { to };
        let arguments = ["copy", "-q", "--src-tls-verify=false", "--insecure-policy", &from, &to];
        Command::new("skopeo").args(arguments).status().is_ok_and(|status| status.success())
    };
    if !export("oci") {
        eprintln!("skopeo is not installed: left out");
        return;
    }
    let read = |form: &str, path: &Path| {
        let image = archive::read(path, &Wanted::default(), dir.path(), &Limits::default(), &quiet);
        image.unwrap_or_else(|error| panic!("{form}: {error:?}")).images
    };
    assert_eq!(read("oci", &dir.path().join("oci")), [plain.expected()]);
    for form in ["oci-archive", "docker-archive"] {
        assert!(export(form), "{form}");
        let images = read(form, &dir.path().join(form));
        assert_eq!(images[0].config, plain.expected().config, "{form}");
        assert_eq!(images[0].diff_ids(), plain.expected().diff_ids(), "{form}");
    }
}

#[tokio::test]
async fn a_pull_goes_on_with_what_is_there_and_does_not_trust_it() {
    let Some(registry) = Registry::start(None).await else { return };
    let image = sample("linux/amd64", "x");
    registry.push("app", "1", &[&image]).await;
    let (_, layer, _) = &image.layers[0];
    for begin in [&layer[..layer.len() / 2], &vec![0; layer.len() / 2], layer] {
        let hub = hub();
        hub.part(&Digest::of(layer), begin);
        let pulled = hub.pull(&anonymous(&registry, "app:1"), &Wanted::default()).await.unwrap();
        assert_eq!(pulled.images, [image.expected()]);
    }
}

#[tokio::test]
async fn refusals_have_names() {
    let Some(registry) = Registry::start(None).await else { return };
    let image = sample("linux/amd64", "x");
    registry.push("app", "1", &[&image]).await;
    let hub = hub();
    let error = async |name: &str, wanted: &Wanted| format!("{:?}", hub.pull(&anonymous(&registry, name), wanted).await);
    assert!(error("app:2", &Wanted::default()).await.contains("NotFound"));
    assert!(error(&format!("app@{}", Digest::of(b"other")), &Wanted::default()).await.contains("NotFound"));
    assert!(error("app:1", &wanted("linux/s390x")).await.contains("NoPlatform"));
    let tls = Source { transport: Transport::Https, ..anonymous(&registry, "app:1") };
    let started = std::time::Instant::now();
    let refused = hub.pull(&tls, &Wanted::default()).await.unwrap_err();
    assert!(matches!(refused, ImageError::Registry(RegistryError::Unreachable { .. })), "{refused:?}");
    assert!(started.elapsed() < Duration::from_secs(30), "tries end");
}

/// bcrypt of `secret`, because the registry takes nothing else and a test should not need another tool.
const HASH: &str = "$2b$05$40bP.h0i1.uBjsX/J6d8q.gygVcCP34FjB4QCuxxBL2DU0SVEEYO.";

#[tokio::test]
async fn a_password_is_asked_for_and_used() {
    let Some(registry) = Registry::start(Some(HASH)).await else { return };
    let hub = hub();
    let error = hub.pull(&anonymous(&registry, "app:1"), &Wanted::default()).await.unwrap_err();
    assert!(matches!(error, ImageError::Registry(RegistryError::Unauthorized { .. })), "{error:?}");
    let with = |password: &str| Source {
        auth: Auth::Basic { user: "anna".into(), password: password.into() },
        ..anonymous(&registry, "app:1")
    };
    let error = hub.pull(&with("wrong"), &Wanted::default()).await.unwrap_err();
    assert!(matches!(error, ImageError::Registry(RegistryError::Unauthorized { .. })), "{error:?}");
    let error = hub.pull(&with("secret"), &Wanted::default()).await.unwrap_err();
    assert!(matches!(error, ImageError::Registry(RegistryError::NotFound { .. })), "{error:?}: the door is open");
}

/// H11: what a hostile or broken registry may do, and what comes of it.
#[tokio::test]
async fn hostile_registries_cost_little_and_give_nothing() {
    use hostile::Trick;
    let image = sample("linux/amd64", "x");
    for (trick, expected) in [
        (Trick::Honest, "Ok"),
        (Trick::CutEveryMiB, "Ok"),
        (Trick::IgnoreRanges, "Ok"),
        (Trick::OtherRange, "another range"),
        (Trick::EndlessManifest, "more than 4194304 bytes"),
        (Trick::EndlessBlob, "WrongSize"),
        (Trick::OtherBytes, "WrongDigest"),
        (Trick::OtherManifest, "WrongDigest"),
        (Trick::NoContent, "Refused"),
        (Trick::Teapot, "short and stout"),
    ] {
        let server = hostile::Server::start(&image, trick).await;
        let hub = hub();
        let source = Source::anonymous(format!("{}/app@{}", server.host, image.expected().id()));
        let result = hub.pull(&source, &Wanted::default()).await;
        let text = format!("{result:?}");
        assert!(text.contains(expected), "{trick:?}: {text}");
        if let Ok(pulled) = result {
            assert_eq!(pulled.images, [image.expected()], "{trick:?}");
        }
    }
}
