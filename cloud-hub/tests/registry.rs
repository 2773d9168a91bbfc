//! Pulling from a real registry (the Debian package `docker-registry`, on a port of its own on loopback), and from a
//! hostile one made here. Without the package the real part says so and is left out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stderr, clippy::panic)]

#[path = "support/hostile.rs"]
mod hostile;
#[path = "support/samples.rs"]
mod samples;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloud_hub::blobs::Blobs;
use cloud_hub::images::pull::{Pulled, pull};
use cloud_hub::images::{ImageError, Limits, Progress, Step, Wanted, archive, quiet};
use cloud_hub::registry::{Auth, RegistryError, Source, Transport};
use samples::Sample;
use shared::id::Digest;
use shared::oci::media;
use shared::release::Compression;

/// A registry process with its own directory, ended with the test.
struct Registry {
    child: Child,
    host: String,
    _dir: tempfile::TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

impl Registry {
    /// Starts it; `password`: user `anna` must give it. `None` when the package is not installed.
    async fn start(password: Option<&str>) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let mut config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nhttp: {{addr: \"{host}\"}}\nstorage: {{filesystem: {{rootdirectory: \"{}\"}}, delete: {{enabled: true}}}}\n",
            dir.path().join("data").display()
        );
        if let Some(password) = password {
            let htpasswd = dir.path().join("htpasswd");
            std::fs::write(&htpasswd, format!("anna:{password}\n")).unwrap();
            config += &format!("auth: {{htpasswd: {{realm: test, path: \"{}\"}}}}\n", htpasswd.display());
        }
        let file = dir.path().join("config.yml");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(child) = command.spawn() else {
            eprintln!("docker-registry is not installed: left out");
            return None;
        };
        let registry = Self { child, host, _dir: dir };
        registry.wait().await;
        Some(registry)
    }

    async fn wait(&self) {
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(&self.host).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the registry does not listen");
    }

    /// Uploads blobs and manifests of `images` as `repository:tag`; several become an index.
    async fn push(&self, repository: &str, tag: &str, images: &[&Sample]) -> Digest {
        let http = client();
        for image in images {
            for bytes in image.blobs() {
                let url = format!("http://{}/v2/{repository}/blobs/uploads/", self.host);
                let response = http.post(url).send().await.unwrap();
                let place = response.headers()["location"].to_str().unwrap().to_owned();
                let url = format!("{place}&digest={}", Digest::of(&bytes));
                assert!(http.put(url).body(bytes).send().await.unwrap().status().is_success());
            }
            self.put_manifest(repository, &Digest::of(&image.manifest()).to_string(), media::MANIFEST, image.manifest()).await;
        }
        match images {
            [image] => self.put_manifest(repository, tag, media::MANIFEST, image.manifest()).await,
            images => self.put_manifest(repository, tag, media::INDEX, plain_index(images)).await,
        }
    }

    async fn put_manifest(&self, repository: &str, name: &str, media_type: &str, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        let url = format!("http://{}/v2/{repository}/manifests/{name}", self.host);
        let response = client().put(url).header("content-type", media_type).body(bytes).send().await.unwrap();
        let status = response.status();
        assert!(status.is_success(), "{status}: {}", response.text().await.unwrap());
        digest
    }

    fn source(&self, name: &str) -> Source {
        Source::anonymous(format!("{}/{name}", self.host))
    }
}

fn client() -> reqwest::Client {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// An index without the attestation: a registry takes only what it has.
fn plain_index(images: &[&Sample]) -> Vec<u8> {
    let mut index: serde_json::Value = serde_json::from_slice(&samples::index(images)).unwrap();
    index["manifests"].as_array_mut().unwrap().pop();
    index.to_string().into_bytes()
}

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
    let source = registry.source("team/app:1");
    let pulled = pull(&source, &Wanted::default(), &hub.blobs, &Limits::default(), progress).await.unwrap();
    assert_eq!(pulled.images, [amd64.expected(), arm64.expected()]);
    assert_eq!(pulled.reference, format!("{}/team/app@{digest}", registry.host));
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
    assert_eq!(hub.pull(&registry.source("team/single:1"), &Wanted::default()).await.unwrap().images, [amd64.expected()]);
}

#[tokio::test]
async fn what_skopeo_exports_is_what_the_registry_holds() {
    let Some(registry) = Registry::start(None).await else { return };
    let plain = samples::image("linux/amd64", &[(Compression::Gzip, samples::tar(&[("a", b"1"), ("b", &[2; 9000])]))]);
    registry.push("app", "1", &[&plain]).await;
    let dir = tempfile::tempdir().unwrap();
    let from = format!("docker://{}/app:1", registry.host);
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
        let pulled = hub.pull(&registry.source("app:1"), &Wanted::default()).await.unwrap();
        assert_eq!(pulled.images, [image.expected()]);
    }
}

#[tokio::test]
async fn refusals_have_names() {
    let Some(registry) = Registry::start(None).await else { return };
    let image = sample("linux/amd64", "x");
    registry.push("app", "1", &[&image]).await;
    let hub = hub();
    let error = async |name: &str, wanted: &Wanted| format!("{:?}", hub.pull(&registry.source(name), wanted).await);
    assert!(error("app:2", &Wanted::default()).await.contains("NotFound"));
    assert!(error(&format!("app@{}", Digest::of(b"other")), &Wanted::default()).await.contains("NotFound"));
    assert!(error("app:1", &wanted("linux/s390x")).await.contains("NoPlatform"));
    let tls = Source { transport: Transport::Https, ..registry.source("app:1") };
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
    let error = hub.pull(&registry.source("app:1"), &Wanted::default()).await.unwrap_err();
    assert!(matches!(error, ImageError::Registry(RegistryError::Unauthorized { .. })), "{error:?}");
    let with = |password: &str| Source {
        auth: Auth::Basic { user: "anna".into(), password: password.into() },
        ..registry.source("app:1")
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
